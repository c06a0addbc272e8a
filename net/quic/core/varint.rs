// SPDX-License-Identifier: GPL-2.0 OR MIT

//! [`VarInt`]: the variable-length integer of RFC 9000 §16.
//!
//! The two most significant bits of the first byte give the length, the rest is the value in
//! network byte order:
//!
//! | bits | bytes | values                    |
//! |------|-------|---------------------------|
//! | 00   | 1     | 0–63                      |
//! | 01   | 2     | 0–16383                   |
//! | 10   | 4     | 0–1073741823              |
//! | 11   | 8     | 0–4611686018427387903     |

use crate::bytes::{Full, Reader, Truncated, Writer};

/// An integer of at most 62 bits.
#[derive(Copy, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
// INVARIANT: at most `VarInt::MAX`.
pub struct VarInt(u64);

/// The value does not fit in 62 bits.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub struct TooLarge;

impl VarInt {
    /// Zero.
    pub const ZERO: Self = Self(0);
    /// The largest value, 2^62 − 1.
    pub const MAX: Self = Self((1 << 62) - 1);
    /// The most bytes an encoding takes.
    pub const MAX_SIZE: usize = 8;

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

    /// The lower 62 bits of `value`.
    #[inline]
    pub(crate) const fn low(value: u64) -> Self {
        Self(value & Self::MAX.0)
    }

    /// The value.
    #[inline]
    pub const fn get(self) -> u64 {
        self.0
    }

    /// `self + other`, if that fits in 62 bits.
    #[inline]
    pub const fn checked_add(self, other: u64) -> Option<Self> {
        match self.0.checked_add(other) {
            Some(sum) => Self::new(sum),
            None => None,
        }
    }

    /// `self - other`, if that is not negative.
    #[inline]
    pub const fn checked_sub(self, other: u64) -> Option<Self> {
        match self.0.checked_sub(other) {
            Some(difference) => Some(Self(difference)),
            None => None,
        }
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

impl<'a> Reader<'a> {
    /// A variable-length integer in any of its encodings.
    // RFC 9000 §16: Values do not need to be encoded on the minimum number of bytes necessary, with
    // the sole exception of the Frame Type field.
    #[inline(always)]
    pub fn varint(&mut self) -> Result<VarInt, Truncated> {
        // All but the last fields of a packet have eight bytes ahead of them: one load, then shift
        // out what belongs to the next field, without a branch on the length.
        if let Some(ahead) = self.rest().first_chunk::<8>() {
            let word = u64::from_be_bytes(*ahead);
            // The cast cuts nothing off: two bits are left.
            let length_bits = (word >> 62) as u32;
            let size = 1_usize.wrapping_shl(length_bits);
            let foreign_bits = 64_u32.wrapping_sub(8_u32.wrapping_shl(length_bits));
            self.advance(size);
            // INVARIANT: The mask leaves 62 bits.
            return Ok(VarInt((word & VarInt::MAX.0).wrapping_shr(foreign_bits)));
        }
        // Not by reference: the reader shall stay in registers.
        let (value, rest) = varint_at_the_end(self.clone())?;
        *self = rest;
        Ok(value)
    }
}

/// A variable-length integer with less than eight bytes ahead, and what follows it.
fn varint_at_the_end(mut reader: Reader<'_>) -> Result<(VarInt, Reader<'_>), Truncated> {
    let first = *reader.rest().first().ok_or(Truncated)?;
    let value = match first >> 6 {
        0 => u64::from(reader.u8()?),
        1 => u64::from(reader.u16()?) & 0x3fff,
        2 => u64::from(reader.u32()?) & 0x3fff_ffff,
        _ => reader.u64()? & VarInt::MAX.0,
    };
    // INVARIANT: At most 62 bits are left of it.
    Ok((VarInt(value), reader))
}

impl Writer<'_> {
    /// A variable-length integer in its shortest encoding.
    #[inline(always)]
    pub fn varint(&mut self, value: VarInt) -> Result<(), Full> {
        let value = value.get();
        // The casts cut off bits that the ranges prove to be zero.
        match value {
            0..=0x3f => self.u8(value as u8),
            0x40..=0x3fff => self.u16(value as u16 | 0x4000),
            0x4000..=0x3fff_ffff => self.u32(value as u32 | 0x8000_0000),
            _ => self.u64(value | 0xc000_0000_0000_0000),
        }
    }

    /// A variable-length integer in two bytes; [`Full`] also if it needs more.
    ///
    /// For lengths that are written before they are known.
    #[inline]
    pub fn varint2(&mut self, value: VarInt) -> Result<(), Full> {
        match u16::try_from(value.get()) {
            Ok(value @ 0..=0x3fff) => self.u16(value | 0x4000),
            _ => Err(Full),
        }
    }

    /// A variable-length integer in four bytes; [`Full`] also if it needs more.
    #[inline]
    pub fn varint4(&mut self, value: VarInt) -> Result<(), Full> {
        match u32::try_from(value.get()) {
            Ok(value @ 0..=0x3fff_ffff) => self.u32(value | 0x8000_0000),
            _ => Err(Full),
        }
    }
}

impl From<u8> for VarInt {
    fn from(value: u8) -> Self {
        Self(u64::from(value))
    }
}

impl From<u16> for VarInt {
    fn from(value: u16) -> Self {
        Self(u64::from(value))
    }
}

impl From<u32> for VarInt {
    fn from(value: u32) -> Self {
        Self::from_u32(value)
    }
}

impl From<VarInt> for u64 {
    fn from(value: VarInt) -> Self {
        value.0
    }
}

impl TryFrom<u64> for VarInt {
    type Error = TooLarge;

    fn try_from(value: u64) -> Result<Self, TooLarge> {
        Self::new(value).ok_or(TooLarge)
    }
}

impl TryFrom<usize> for VarInt {
    type Error = TooLarge;

    fn try_from(value: usize) -> Result<Self, TooLarge> {
        u64::try_from(value)
            .ok()
            .and_then(Self::new)
            .ok_or(TooLarge)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn decode(bytes: &[u8]) -> Result<(u64, usize), Truncated> {
        let mut reader = Reader::new(bytes);
        let value = reader.varint()?;
        Ok((value.get(), bytes.len() - reader.remaining()))
    }

    #[test]
    fn vectors_of_rfc_9000_appendix_a_1() {
        for (encoding, value) in [
            (
                &[0xc2, 0x19, 0x7c, 0x5e, 0xff, 0x14, 0xe8, 0x8c][..],
                151_288_809_941_952_652,
            ),
            (&[0x9d, 0x7f, 0x3e, 0x7d], 494_878_333),
            (&[0x7b, 0xbd], 15_293),
            (&[0x25], 37),
        ] {
            assert_eq!(decode(encoding), Ok((value, encoding.len())));
            let mut buffer = [0; 8];
            let mut writer = Writer::new(&mut buffer);
            writer.varint(VarInt::new(value).unwrap()).unwrap();
            assert_eq!(writer.written(), encoding);
        }
        assert_eq!(
            decode(&[0x40, 0x25]),
            Ok((37, 2)),
            "not the shortest, and legal"
        );
    }

    #[test]
    fn every_length_at_its_bounds() {
        for (value, size) in [
            (0, 1),
            (63, 1),
            (64, 2),
            (16_383, 2),
            (16_384, 4),
            ((1 << 30) - 1, 4),
            (1 << 30, 8),
            ((1 << 62) - 1, 8),
        ] {
            let value = VarInt::new(value).unwrap();
            assert_eq!(value.size(), size);
            let mut buffer = [0; 8];
            let mut writer = Writer::new(&mut buffer[..size]);
            writer.varint(value).unwrap();
            assert_eq!(writer.position(), size);
            assert_eq!(
                Writer::new(&mut [0; 8][..size - 1]).varint(value),
                Err(Full)
            );
        }
        assert_eq!(VarInt::new(1 << 62), None);
        assert_eq!(VarInt::saturating(u64::MAX), VarInt::MAX);
        assert_eq!(VarInt::try_from(u64::MAX), Err(TooLarge));
        assert_eq!(VarInt::MAX.checked_add(1), None);
        assert_eq!(VarInt::MAX.checked_add(u64::MAX), None);
        assert_eq!(VarInt::ZERO.checked_sub(1), None);
        assert_eq!(VarInt::from(7_u8).checked_sub(5), Some(VarInt::from(2_u16)));
    }

    #[test]
    fn fixed_lengths_refuse_what_does_not_fit() {
        let mut buffer = [0; 8];
        let mut writer = Writer::new(&mut buffer);
        writer.varint2(VarInt::from_u32(37)).unwrap();
        writer.varint4(VarInt::from_u32(37)).unwrap();
        assert_eq!(writer.varint2(VarInt::from_u32(0x4000)), Err(Full));
        assert_eq!(writer.varint4(VarInt::from_u32(0x4000_0000)), Err(Full));
        assert_eq!(writer.varint4(VarInt::MAX), Err(Full));
        assert_eq!(writer.written(), &[0x40, 37, 0x80, 0, 0, 37]);
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(value in 0..=VarInt::MAX.0, tail in 0..9_usize) {
            let value = VarInt::new(value).unwrap();
            let mut buffer = [0xff; 17];
            let mut writer = Writer::new(&mut buffer);
            writer.varint(value).unwrap();
            let size = writer.position();
            prop_assert_eq!(size, value.size());
            // Both readers: with bytes to spare, and at the very end.
            prop_assert_eq!(decode(&buffer[..size + tail]), Ok((value.get(), size)));
            for cut in 0..size {
                prop_assert_eq!(decode(&buffer[..cut]), Err(Truncated));
            }
        }

        #[test]
        fn both_readers_agree(bytes in any::<[u8; 8]>()) {
            let reader = Reader::new(&bytes);
            let (slow, reader) = varint_at_the_end(reader).unwrap();
            prop_assert_eq!(decode(&bytes), Ok((slow.get(), 8 - reader.remaining())));
        }
    }
}
