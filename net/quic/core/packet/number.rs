// SPDX-License-Identifier: GPL-2.0 OR MIT

//! [`PacketNumber`] and [`TruncatedPacketNumber`]: what counts packets, and the part of it that travels
//! (RFC 9000 §12.3, §17.1, A.2, A.3).

use crate::bytes::{Full, Reader, Truncated, Writer};
use crate::varint::VarInt;
use core::fmt;

/// A packet number, at most 2^62 − 1.
#[derive(Copy, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PacketNumber(VarInt);

/// The 1 to 4 least significant bytes of a packet number, as a header holds them.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub struct TruncatedPacketNumber {
    // INVARIANT: Less than 2^(8 · (len + 1)).
    value: u32,
    // INVARIANT: 0 to 3, as the Packet Number Length bits have it: one less than the number of
    // bytes.
    len: u8,
}

impl PacketNumber {
    /// The first packet number of every space.
    pub const ZERO: Self = Self(VarInt::ZERO);
    /// The last packet number.
    pub const MAX: Self = Self(VarInt::MAX);

    /// The packet number `number`; `None` above 2^62 − 1.
    #[inline]
    pub const fn new(number: u64) -> Option<Self> {
        match VarInt::new(number) {
            Some(number) => Some(Self(number)),
            None => None,
        }
    }

    /// The packet number `number`, or [`Self::MAX`] if it is larger.
    #[inline]
    pub const fn saturating(number: u64) -> Self {
        Self(VarInt::saturating(number))
    }

    /// The packet number `number` of a packet that was counted, so that it is not above 2^62 − 1; a
    /// higher one would lose its upper bits.
    #[inline]
    pub(crate) const fn counted(number: u64) -> Self {
        Self(VarInt::low(number))
    }

    /// The packet number `number`.
    #[inline]
    pub const fn from_varint(number: VarInt) -> Self {
        Self(number)
    }

    /// As an integer.
    #[inline]
    pub const fn get(self) -> u64 {
        self.0.get()
    }

    /// As ACK frames carry it.
    #[inline]
    pub const fn as_varint(self) -> VarInt {
        self.0
    }

    /// The next packet number; `None` after the last.
    #[inline]
    pub const fn next(self) -> Option<Self> {
        match self.0.checked_add(1) {
            Some(next) => Some(Self(next)),
            None => None,
        }
    }

    /// The shortest form from which the peer can tell this number, of whose packets it has
    /// acknowledged `largest_acked` at most.
    ///
    /// `None` if four bytes do not suffice: then the packet must not be sent.
    // RFC 9000 §17.1: the sender MUST use a packet number size able to represent more than twice as
    // large a range as the difference between the largest acknowledged packet number and the
    // packet number being sent.
    #[inline(always)]
    pub fn truncate(self, largest_acked: Option<Self>) -> Option<TruncatedPacketNumber> {
        // RFC 9000 A.2, num_unacked: without an acknowledgment, all from zero.
        let unacked = match largest_acked {
            Some(acked) => self.get().checked_sub(acked.get())?,
            // RFC 9000 §17.1: Prior to receiving an acknowledgment for a packet number space, the
            // full packet number MUST be included.
            None => self.get().saturating_add(1),
        };
        let len = match unacked {
            0..=0x7f => 0,
            0x80..=0x7fff => 1,
            0x8000..=0x7f_ffff => 2,
            0x80_0000..=0x7fff_ffff => 3,
            _ => return None,
        };
        Some(self.truncate_to(len))
    }

    /// The form of `len` + 1 bytes, `len` being 0 to 3.
    #[inline]
    pub(super) fn truncate_to(self, len: u8) -> TruncatedPacketNumber {
        // INVARIANT: The mask leaves as many bits as the bytes have. The cast cuts off higher ones.
        let mask = u32::MAX.wrapping_shr(TruncatedPacketNumber::bits_behind(len));
        TruncatedPacketNumber {
            value: self.get() as u32 & mask,
            len,
        }
    }
}

impl TruncatedPacketNumber {
    /// The part of a four-byte field, from its first byte on, that a number of `len` + 1 bytes
    /// leaves, in bits.
    #[inline]
    pub(crate) const fn bits_behind(len: u8) -> u32 {
        // `u32::from` is not const.
        #[allow(clippy::cast_lossless)]
        let len = (len & 0x03) as u32;
        24_u32.wrapping_sub(len.wrapping_mul(8))
    }

    /// The number in the first `len` + 1 bytes of `word`.
    #[inline]
    pub(crate) const fn from_field(word: u32, len: u8) -> Self {
        Self {
            value: word.wrapping_shr(Self::bits_behind(len)),
            len: len & 0x03,
        }
    }

    /// The value of the Packet Number field.
    #[inline]
    pub const fn value(self) -> u32 {
        self.value
    }

    /// How many bytes it takes.
    #[inline]
    pub const fn size(self) -> usize {
        // `usize::from` is not const.
        #[allow(clippy::cast_lossless)]
        let len = self.len as usize;
        len.wrapping_add(1)
    }

    /// The Packet Number Length bits.
    #[inline]
    pub(crate) const fn len_bits(self) -> u8 {
        self.len
    }

    /// Reads a Packet Number field in the clear, whose Packet Number Length bits are the lowest of
    /// `first`.
    pub(crate) fn read(reader: &mut Reader<'_>, first: u8) -> Result<Self, Truncated> {
        let len = first & 0x03;
        let bytes = reader.bytes(usize::from(len).wrapping_add(1))?;
        // INVARIANT: There are no more than `len` + 1 bytes.
        let value = bytes
            .iter()
            .fold(0, |value, &byte| (value << 8) | u32::from(byte));
        Ok(Self { value, len })
    }

    /// Writes the Packet Number field.
    #[inline(always)]
    pub(crate) fn write(self, writer: &mut Writer<'_>) -> Result<(), Full> {
        // If there is room, as almost always, write four bytes without a branch on the length, and
        // take back those that are too many.
        let start = writer.position();
        let [a, b, c, d] = self
            .value
            .wrapping_shl(Self::bits_behind(self.len))
            .to_be_bytes();
        if writer.array([a, b, c, d]).is_ok() {
            writer.rewind(start.saturating_add(self.size()));
            return Ok(());
        }
        match self.len {
            0 => writer.array([a]),
            1 => writer.array([a, b]),
            _ => writer.array([a, b, c]),
        }
    }

    /// The packet number that ends like this and is the closest to the one after `largest`, the
    /// largest packet number that was successfully authenticated in its space.
    ///
    /// `None` if that would be larger than 2^62 − 1.
    // RFC 9000 §17.1: the packet number is decoded by finding the packet number value that is
    // closest to the next expected packet. The next expected packet is the highest received
    // packet number plus one.
    #[inline(always)]
    pub fn expand(self, largest: Option<PacketNumber>) -> Option<PacketNumber> {
        // RFC 9000 A.3, with the comparisons turned so that nothing can be negative. All terms are
        // below 2^63.
        let expected = largest.map_or(0, |largest| largest.get().wrapping_add(1));
        let window = 1_u64.wrapping_shl(32_u32.wrapping_sub(Self::bits_behind(self.len)));
        let half = window >> 1;
        let candidate = expected & !window.wrapping_sub(1) | u64::from(self.value);
        let number = if candidate.wrapping_add(half) <= expected
            && candidate < (1_u64 << 62).wrapping_sub(window)
        {
            candidate.wrapping_add(window)
        } else if candidate > expected.wrapping_add(half) && candidate >= window {
            candidate.wrapping_sub(window)
        } else {
            candidate
        };
        PacketNumber::new(number)
    }
}

impl fmt::Debug for PacketNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.get().fmt(f)
    }
}

impl fmt::Display for PacketNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.get().fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn number(number: u64) -> PacketNumber {
        PacketNumber::new(number).unwrap()
    }

    // [rfc9000-17.1-1] [rfc9000-17.1-2]
    #[test]
    fn vectors_of_rfc_9000_appendix_a_2() {
        // An acknowledgment for packet 0xabe8b3 has been received.
        let acked = Some(number(0x00ab_e8b3));
        let short = number(0x00ac_5c02).truncate(acked).unwrap();
        assert_eq!((short.size(), short.value()), (2, 0x5c02));
        let long = number(0x00ac_e8fe).truncate(acked).unwrap();
        assert_eq!((long.size(), long.value()), (3, 0x00ac_e8fe));
    }

    #[test]
    fn vector_of_rfc_9000_appendix_a_3() {
        let truncated = TruncatedPacketNumber {
            value: 0x9b32,
            len: 1,
        };
        assert_eq!(
            truncated.expand(Some(number(0xa82f_30ea))),
            Some(number(0xa82f_9b32))
        );
    }

    // [rfc9000-17.1-2]
    #[test]
    fn truncation_needs_more_than_twice_the_range() {
        for (unacked, len) in [
            (1, Some(1)),
            (0x7f, Some(1)),
            (0x80, Some(2)),
            (0x7fff, Some(2)),
            (0x8000, Some(3)),
            (0x7f_ffff, Some(3)),
            (0x80_0000, Some(4)),
            (0x7fff_ffff, Some(4)),
            (0x8000_0000, None),
        ] {
            let acked = number(1 << 40);
            let sent = number((1 << 40) + unacked);
            assert_eq!(
                sent.truncate(Some(acked)).map(|short| short.size()),
                len,
                "{unacked:#x}"
            );
        }
        assert_eq!(number(0).truncate(None).unwrap().size(), 1);
        assert_eq!(
            number(0x7f).truncate(None).unwrap().size(),
            2,
            "the first of all counts too"
        );
        assert_eq!(number(5).truncate(Some(number(6))), None);
    }

    #[test]
    fn expansion_stays_within_the_numbers() {
        let short = |value, len| TruncatedPacketNumber { value, len };
        assert_eq!(short(0, 0).expand(None), Some(number(0)));
        assert_eq!(
            short(0xff, 0).expand(None),
            Some(number(0xff)),
            "nothing below zero"
        );
        assert_eq!(
            short(0xff, 0).expand(Some(number(0x100))),
            Some(number(0xff))
        );
        assert_eq!(
            short(0xff, 0).expand(Some(PacketNumber::MAX)),
            Some(PacketNumber::MAX)
        );
        // The next expected number is 2^62: there is none to be had.
        assert_eq!(short(0, 0).expand(Some(PacketNumber::MAX)), None);
        assert_eq!(PacketNumber::MAX.next(), None);
        assert_eq!(PacketNumber::ZERO.next(), Some(number(1)));
        assert_eq!(PacketNumber::saturating(u64::MAX), PacketNumber::MAX);
    }

    #[test]
    fn expansion_is_the_closest_and_the_higher_of_two() {
        let byte = |value| TruncatedPacketNumber { value, len: 0 };
        for (largest, value, expanded) in [
            // The next expected number is 128: 0 and 256 are as close.
            (127, 0x00, 256),
            (126, 0x00, 0),
            // The next expected number is 256: 128 and 384 are as close.
            (255, 0x80, 384),
            (255, 0x81, 129),
        ] {
            assert_eq!(
                byte(value).expand(Some(number(largest))),
                Some(number(expanded)),
                "{value} after {largest}"
            );
        }
    }

    #[test]
    fn writes_its_bytes() {
        for (len, bytes) in [
            (0, &[4][..]),
            (1, &[3, 4]),
            (2, &[2, 3, 4]),
            (3, &[1, 2, 3, 4]),
        ] {
            let short = number(0x0102_0304).truncate_to(len);
            let mut buffer = [0; 4];
            let mut writer = Writer::new(&mut buffer);
            short.write(&mut writer).unwrap();
            assert_eq!(writer.written(), bytes);
            assert_eq!(short.size(), bytes.len());
            assert_eq!(
                TruncatedPacketNumber::read(&mut Reader::new(bytes), len | 0xfc),
                Ok(short)
            );
            let cut = &bytes[..bytes.len() - 1];
            assert_eq!(
                TruncatedPacketNumber::read(&mut Reader::new(cut), len),
                Err(Truncated)
            );
        }
    }

    proptest! {
        #[test]
        fn receiver_recovers_what_the_sender_truncates(
            acked in 0..(1_u64 << 62) - (1 << 31),
            ahead in 1..(1_u64 << 31),
            received in 0..(1_u64 << 31),
        ) {
            // The receiver has seen at least what it acknowledged, and at most what was sent before.
            let sent = number(acked + ahead);
            let largest = number(acked + received.min(ahead - 1));
            let short = sent.truncate(Some(number(acked))).unwrap();
            prop_assert_eq!(short.expand(Some(largest)), Some(sent));
        }

        #[test]
        fn expansion_ends_like_its_truncation(value in any::<u32>(), len in 0..4_u8, largest in 0..1_u64 << 62) {
            let short = TruncatedPacketNumber::from_field(value, len);
            if let Some(full) = short.expand(Some(number(largest))) {
                prop_assert_eq!(full.truncate_to(len), short);
            }
        }
    }
}
