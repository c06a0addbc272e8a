// SPDX-License-Identifier: GPL-2.0 OR MIT

//! [`VarInt`]: the variable-length integer of RFC 9000 §16.

/// An integer of at most 62 bits.
#[derive(Copy, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
// INVARIANT: at most `VarInt::MAX`.
pub struct VarInt(u64);

impl VarInt {
    /// Zero.
    pub const ZERO: Self = Self(0);
    /// The largest value, 2^62 − 1.
    pub const MAX: Self = Self((1 << 62) - 1);

    /// `value`, if it fits in 62 bits.
    #[inline]
    pub const fn new(value: u64) -> Option<Self> {
        if value > Self::MAX.0 {
            return None;
        }
        Some(Self(value))
    }

    /// `value`, which always fits.
    #[inline]
    pub const fn from_u32(value: u32) -> Self {
        // `u64::from` is not const.
        #[allow(clippy::cast_lossless)]
        Self(value as u64)
    }

    /// `value`, or [`Self::MAX`] if it is larger.
    #[inline]
    pub const fn saturating(value: u64) -> Self {
        if value > Self::MAX.0 {
            return Self::MAX;
        }
        Self(value)
    }

    /// The value.
    #[inline]
    pub const fn get(self) -> u64 {
        self.0
    }

    /// How many bytes the shortest encoding takes: 1, 2, 4 or 8.
    #[inline]
    pub const fn size(self) -> usize {
        match self.0 {
            0..=0x3f => 1,
            0x40..=0x3fff => 2,
            0x4000..=0x3fff_ffff => 4,
            _ => 8,
        }
    }
}
