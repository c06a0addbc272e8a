// SPDX-License-Identifier: GPL-2.0 OR MIT

//! [`Offset`]: a position in a stream of bytes, at most 2^62 − 1.

use crate::varint::VarInt;
use core::ops::{Add, Sub};

/// How many bytes of its stream precede a byte.
///
/// RFC 9000 §19.8: the largest offset delivered on a stream cannot exceed 2^62 − 1. The operators
/// saturate; what a peer sent is added with [`Offset::checked_add`].
#[derive(Copy, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct Offset(VarInt);

impl Offset {
    /// The position of the first byte.
    pub const ZERO: Self = Self(VarInt::ZERO);
    /// The largest position.
    pub const MAX: Self = Self(VarInt::MAX);

    /// The position `value`, or [`Self::MAX`] if that is larger.
    #[inline]
    pub const fn saturating(value: u64) -> Self {
        Self(VarInt::saturating(value))
    }

    /// In bytes.
    #[inline]
    pub const fn get(self) -> u64 {
        self.0.get()
    }

    /// As it is on the wire.
    #[inline]
    pub const fn varint(self) -> VarInt {
        self.0
    }

    /// The position `len` bytes later, if there is such a position.
    #[inline]
    pub fn checked_add(self, len: usize) -> Option<Self> {
        VarInt::new(self.get().checked_add(bytes(len))?).map(Self)
    }
}

impl From<VarInt> for Offset {
    fn from(value: VarInt) -> Self {
        Self(value)
    }
}

impl Add<u64> for Offset {
    type Output = Self;

    #[inline]
    fn add(self, len: u64) -> Self {
        Self::saturating(self.get().saturating_add(len))
    }
}

impl Add<usize> for Offset {
    type Output = Self;

    #[inline]
    fn add(self, len: usize) -> Self {
        self + bytes(len)
    }
}

/// How many bytes lie between the two, none if the right one is later.
impl Sub for Offset {
    type Output = u64;

    #[inline]
    fn sub(self, earlier: Self) -> u64 {
        self.get().saturating_sub(earlier.get())
    }
}

/// A length in memory as a count of bytes.
#[inline]
pub(crate) const fn bytes(len: usize) -> u64 {
    // Lossless: `usize` has at most 64 bits. `u64::from` does not exist for it, and `try_from` is
    // not const.
    len as u64
}

/// `count` bytes as a length in memory, cut down to what `usize` holds.
#[inline]
pub(crate) fn length(count: u64) -> usize {
    usize::try_from(count).unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stays_below_2_to_the_62() {
        let last = Offset::saturating(u64::MAX);
        assert_eq!(last, Offset::MAX);
        assert_eq!(last.get(), (1 << 62) - 1);
        assert_eq!(last + 1_u64, last);
        assert_eq!(last.checked_add(1), None);
        assert_eq!(last.checked_add(0), Some(last));
        assert_eq!(Offset::ZERO.checked_add(7), Some(Offset::saturating(7)));
        assert_eq!(Offset::saturating(3) - Offset::saturating(5), 0);
        assert_eq!(Offset::saturating(5) - Offset::saturating(3), 2);
        assert_eq!(Offset::from(VarInt::MAX).varint(), VarInt::MAX);
    }
}
