// SPDX-License-Identifier: GPL-2.0 OR MIT

//! [`Ack`]: which packets have arrived (RFC 9000 §19.3).
//!
//! The ranges stay in the packet. Parsing walks over them once and checks every number, so that
//! [`AckRanges`] can decode them again, one at a time and without failing, when they are wanted.

use super::{FrameType, Malformed};
use crate::bytes::{Full, Reader, Writer};
use crate::packet::PacketNumber;
use crate::varint::VarInt;

/// An ACK frame.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Ack<'a> {
    /// Largest Acknowledged.
    pub largest: PacketNumber,
    /// ACK Delay as it is on the wire: in microseconds, divided by 2 to the power of the sender's
    /// ack_delay_exponent.
    pub delay: VarInt,
    /// ECN Counts, of a frame of type 0x03.
    pub ecn: Option<EcnCounts>,
    ranges: AckRanges<'a>,
}

/// How many packets arrived with which ECN mark (RFC 9000 §19.3.2).
#[derive(Copy, Clone, PartialEq, Eq, Debug, Default)]
pub struct EcnCounts {
    /// ECT0 Count.
    pub ect0: VarInt,
    /// ECT1 Count.
    pub ect1: VarInt,
    /// ECN-CE Count.
    pub ce: VarInt,
}

impl EcnCounts {
    /// Nothing counted.
    pub const ZERO: Self = Self {
        ect0: VarInt::ZERO,
        ect1: VarInt::ZERO,
        ce: VarInt::ZERO,
    };
}

/// Packet numbers from `smallest` to `largest`, both included.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub struct AckRange {
    /// The first.
    pub smallest: PacketNumber,
    /// The last, not less than `smallest`.
    pub largest: PacketNumber,
}

/// The ranges of an ACK frame, in descending order, with a gap between any two.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct AckRanges<'a> {
    /// The one that comes next; `None` after the last.
    next: Option<AckRange>,
    /// The Gap and ACK Range Length fields after it.
    // INVARIANT: Nothing but whole pairs, and no number computed from them is negative.
    fields: Reader<'a>,
}

impl AckRange {
    /// The range from `smallest` to `largest`; `None` if that is empty or no packet number.
    pub fn new(smallest: u64, largest: u64) -> Option<Self> {
        (smallest <= largest).then_some(Self {
            smallest: PacketNumber::new(smallest)?,
            largest: PacketNumber::new(largest)?,
        })
    }

    /// The range of one packet number.
    #[inline]
    pub const fn one(number: PacketNumber) -> Self {
        Self {
            smallest: number,
            largest: number,
        }
    }

    // RFC 9000 §19.3.1: smallest = largest - ack_range
    #[inline]
    fn below(largest: PacketNumber, length: VarInt) -> Option<Self> {
        let smallest = largest.as_varint().checked_sub(length.get())?;
        Some(Self {
            smallest: PacketNumber::from_varint(smallest),
            largest,
        })
    }

    // RFC 9000 §19.3.1: largest = previous_smallest - gap - 2
    #[inline]
    fn after(self, gap: VarInt, length: VarInt) -> Option<Self> {
        let largest = self
            .smallest
            .as_varint()
            .checked_sub(gap.get())?
            .checked_sub(2)?;
        Self::below(PacketNumber::from_varint(largest), length)
    }

    /// ACK Range Length.
    #[inline]
    fn length(self) -> VarInt {
        self.largest
            .as_varint()
            .checked_sub(self.smallest.get())
            .unwrap_or_default()
    }

    /// The Gap field before this range, if `previous` is the one before it.
    #[inline]
    fn gap_after(self, previous: Self) -> Option<VarInt> {
        previous
            .smallest
            .as_varint()
            .checked_sub(self.largest.get())?
            .checked_sub(2)
    }
}

impl<'a> Ack<'a> {
    /// Parses what follows the type.
    pub(super) fn parse(reader: &mut Reader<'a>, ecn: bool) -> Result<Self, Malformed> {
        // RFC 9000 §19.3.1: If any computed packet number is negative, an endpoint MUST generate a
        // connection error of type FRAME_ENCODING_ERROR.
        const NEGATIVE: Malformed = Malformed::encoding("acknowledged packet number is negative");

        let largest = PacketNumber::from_varint(reader.varint()?);
        let delay = reader.varint()?;
        let count = reader.varint()?.get();
        let first = AckRange::below(largest, reader.varint()?).ok_or(NEGATIVE)?;

        let fields = reader.clone();
        let mut previous = first;
        // Ends with the packet at the latest, whatever the count is.
        for _ in 0..count {
            let (gap, length) = (reader.varint()?, reader.varint()?);
            previous = previous.after(gap, length).ok_or(NEGATIVE)?;
        }
        let fields = fields.up_to(reader);

        let ecn = match ecn {
            true => Some(EcnCounts {
                ect0: reader.varint()?,
                ect1: reader.varint()?,
                ce: reader.varint()?,
            }),
            false => None,
        };
        // INVARIANT: The loop has read these fields and computed these numbers.
        Ok(Self {
            largest,
            delay,
            ecn,
            ranges: AckRanges {
                next: Some(first),
                fields,
            },
        })
    }

    /// The acknowledged packets, from the largest down.
    #[inline]
    pub fn ranges(&self) -> AckRanges<'a> {
        self.ranges.clone()
    }

    /// The type of this frame.
    pub(super) fn frame_type(&self) -> FrameType {
        frame_type(self.ecn)
    }

    /// Writes the frame with all of its ranges.
    pub(super) fn emit(&self, writer: &mut Writer<'_>) -> Result<(), Full> {
        // `Iterator::count` adds with an overflow check.
        let all = self
            .ranges()
            .fold(0_usize, |count, _| count.saturating_add(1));
        writer.whole(
            |writer| match emit_ack(writer, self.delay, self.ecn, self.ranges())? {
                written if written == all => Ok(()),
                _ => Err(Full),
            },
        )
    }

    /// How many bytes [`Self::emit`] writes.
    pub(super) fn size(&self) -> usize {
        let mut ranges = self.ranges();
        let Some(mut previous) = ranges.next() else {
            return 0;
        };
        let mut count = VarInt::ZERO;
        let mut size = fixed_size(previous, self.delay, self.ecn);
        for range in ranges {
            size = size.saturating_add(range.gap_after(previous).map_or(0, VarInt::size));
            size = size.saturating_add(range.length().size());
            count = VarInt::saturating(count.get().saturating_add(1));
            previous = range;
        }
        size.saturating_add(count.size())
    }
}

impl Iterator for AckRanges<'_> {
    type Item = AckRange;

    #[inline]
    fn next(&mut self) -> Option<AckRange> {
        let range = self.next?;
        // By the invariant this fails only at the end.
        self.next = match (self.fields.varint(), self.fields.varint()) {
            (Ok(gap), Ok(length)) => range.after(gap, length),
            _ => None,
        };
        Some(range)
    }
}

/// Writes an ACK frame for `ranges`, which come in descending order with a gap between any two, as
/// many as there is room for.
///
/// Returns how many it wrote. [`Full`] if there is no room for the first or no first. `delay` is
/// encoded as in [`Ack::delay`]. A range that breaks the order ends the frame.
// RFC 9000 §13.2.3: A receiver limits the number of ACK Ranges it remembers and sends in ACK frames
// […] an ACK frame that acknowledges the most recently received packets.
pub fn emit_ack(
    writer: &mut Writer<'_>,
    delay: VarInt,
    ecn: Option<EcnCounts>,
    ranges: impl Iterator<Item = AckRange> + Clone,
) -> Result<usize, Full> {
    let mut others = ranges;
    let first = others.next().ok_or(Full)?;

    // The count comes before the ranges, so measure first. A count of up to 63 takes one byte, one
    // of up to 16383 two.
    let room = writer
        .remaining()
        .checked_sub(fixed_size(first, delay, ecn))
        .ok_or(Full)?;
    let mut count = 0_u32;
    let (mut used, mut previous) = (0_usize, first);
    for range in others.clone() {
        let Some(gap) = range.gap_after(previous) else {
            break;
        };
        used = used
            .saturating_add(gap.size())
            .saturating_add(range.length().size());
        let counted = count.saturating_add(1);
        if used.saturating_add(VarInt::from_u32(counted).size()) > room {
            break;
        }
        count = counted;
        previous = range;
    }

    writer.whole(|writer| {
        frame_type(ecn).emit(writer)?;
        writer.varint(first.largest.as_varint())?;
        writer.varint(delay)?;
        writer.varint(VarInt::from_u32(count))?;
        writer.varint(first.length())?;
        let mut previous = first;
        for (range, _) in others.zip(0..count) {
            writer.varint(range.gap_after(previous).ok_or(Full)?)?;
            writer.varint(range.length())?;
            previous = range;
        }
        let Some(ecn) = ecn else { return Ok(()) };
        writer.varint(ecn.ect0)?;
        writer.varint(ecn.ect1)?;
        writer.varint(ecn.ce)
    })?;
    // A `usize` of fewer than 32 bits cannot have counted so many.
    Ok(usize::try_from(count)
        .unwrap_or(usize::MAX)
        .saturating_add(1))
}

const fn frame_type(ecn: Option<EcnCounts>) -> FrameType {
    match ecn {
        Some(_) => FrameType::ACK_ECN,
        None => FrameType::ACK,
    }
}

/// How many bytes a frame has without ACK Range Count and the ranges after the first.
fn fixed_size(first: AckRange, delay: VarInt, ecn: Option<EcnCounts>) -> usize {
    let ecn = match ecn {
        Some(ecn) => [ecn.ect0.size(), ecn.ect1.size(), ecn.ce.size()],
        None => [0; 3],
    };
    [
        1,
        first.largest.as_varint().size(),
        delay.size(),
        first.length().size(),
    ]
    .into_iter()
    .chain(ecn)
    .fold(0, usize::saturating_add)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::TransportErrorCode;
    use crate::testing::hex;
    use proptest::prelude::*;

    fn parse(fields: &str, ecn: bool) -> Result<Vec<(u64, u64)>, Malformed> {
        let bytes = hex(fields);
        let mut reader = Reader::new(&bytes);
        let ack = Ack::parse(&mut reader, ecn)?;
        assert!(reader.is_empty());
        Ok(ack
            .ranges()
            .map(|range| (range.smallest.get(), range.largest.get()))
            .collect())
    }

    fn ranges(ranges: &[(u64, u64)]) -> Vec<AckRange> {
        ranges
            .iter()
            .map(|&(smallest, largest)| AckRange::new(smallest, largest).unwrap())
            .collect()
    }

    #[test]
    fn ranges_are_computed_downwards() {
        // 10–8; a gap of 7 and 6; 5–5; a gap of 4; 3–0.
        assert_eq!(
            parse("0a 00 02 02 01 00 00 03", false),
            Ok(vec![(8, 10), (5, 5), (0, 3)])
        );
        assert_eq!(parse("00 00 00 00", false), Ok(vec![(0, 0)]));
        assert_eq!(parse("05 00 00 05", false), Ok(vec![(0, 5)]));
        assert_eq!(parse("05 00 00 05 01 02 03", true), Ok(vec![(0, 5)]));
    }

    #[test]
    fn no_number_is_negative() {
        for (fields, valid) in [
            ("00 00 00 01", false),
            ("0a 00 00 0b", false),
            ("0a 00 01 02 06 00", true),
            ("0a 00 01 02 07 00", false),
            ("0a 00 01 02 06 01", false),
            ("0a 00 01 02 ffffffffffffffff 00", false),
            ("0a 00 01 02 00 ffffffffffffffff", false),
            ("0a 00 02 02 06 00 00 00", false),
        ] {
            let result = parse(fields, false);
            assert_eq!(result.is_ok(), valid, "{fields}: {result:?}");
            if let Err(malformed) = result {
                assert_eq!(malformed.code, TransportErrorCode::FRAME_ENCODING_ERROR);
                assert_eq!(malformed.reason, "acknowledged packet number is negative");
            }
        }
    }

    #[test]
    fn count_beyond_the_packet_ends_at_the_packet() {
        assert_eq!(
            parse("0a 00 ffffffffffffffff 02 00 00", false),
            Err(Malformed::TRUNCATED)
        );
    }

    #[test]
    fn emits_as_many_ranges_as_fit() {
        let given = ranges(&[(100, 200), (50, 90), (20, 30), (0, 10)]);
        let ecn = Some(EcnCounts {
            ect0: VarInt::from_u32(1),
            ect1: VarInt::ZERO,
            ce: VarInt::from_u32(500),
        });
        for ecn in [None, ecn] {
            let mut written_before = 0;
            for len in 0..40 {
                let mut buffer = [0; 40];
                let mut writer = Writer::new(&mut buffer[..len]);
                let Ok(written) = emit_ack(
                    &mut writer,
                    VarInt::from_u32(70),
                    ecn,
                    given.iter().copied(),
                ) else {
                    assert_eq!((writer.position(), written_before), (0, 0));
                    continue;
                };
                assert!(written >= written_before && written <= 4);
                written_before = written;
                let mut reader = Reader::new(writer.written());
                assert_eq!(reader.u8(), Ok(if ecn.is_some() { 3 } else { 2 }));
                let ack = Ack::parse(&mut reader, ecn.is_some()).unwrap();
                assert_eq!(
                    (ack.delay.get(), ack.ecn, ack.largest.get()),
                    (70, ecn, 200)
                );
                assert_eq!(ack.ranges().collect::<Vec<_>>(), given[..written]);
                assert_eq!(ack.size(), writer.position());
            }
            assert_eq!(written_before, 4);
        }
    }

    #[test]
    fn nothing_to_acknowledge_is_no_frame() {
        assert_eq!(
            emit_ack(
                &mut Writer::new(&mut [0; 40]),
                VarInt::ZERO,
                None,
                [].into_iter()
            ),
            Err(Full)
        );
        // Ranges that touch, overlap or ascend end the frame instead of garbling it.
        for second in [(5, 9), (0, 10), (30, 40)] {
            let given = ranges(&[(10, 20), second]);
            let written = emit_ack(
                &mut Writer::new(&mut [0; 40]),
                VarInt::ZERO,
                None,
                given.into_iter(),
            );
            assert_eq!(written, Ok(1));
        }
        assert_eq!(AckRange::new(2, 1), None);
        assert_eq!(AckRange::new(0, 1 << 62), None);
    }

    #[test]
    fn count_of_more_than_one_byte() {
        let given: Vec<_> = (0..100)
            .rev()
            .map(|n| AckRange::new(n * 2, n * 2).unwrap())
            .collect();
        let mut buffer = [0; 300];
        let mut writer = Writer::new(&mut buffer);
        assert_eq!(
            emit_ack(&mut writer, VarInt::ZERO, None, given.iter().copied()),
            Ok(100)
        );
        let mut reader = Reader::new(&writer.written()[1..]);
        let ack = Ack::parse(&mut reader, false).unwrap();
        assert_eq!(ack.ranges().collect::<Vec<_>>(), given);
        assert_eq!(ack.size(), writer.position());
    }

    proptest! {
        #[test]
        fn what_is_parsed_is_descending_and_apart(bytes in proptest::collection::vec(any::<u8>(), 0..60)) {
            if let Ok(ack) = Ack::parse(&mut Reader::new(&bytes), false) {
                let ranges: Vec<_> = ack.ranges().collect();
                prop_assert_eq!(ranges[0].largest, ack.largest);
                prop_assert!(ranges.iter().all(|range| range.smallest <= range.largest));
                prop_assert!(ranges.windows(2).all(|pair| pair[1].largest.get() + 1 < pair[0].smallest.get()));
            }
        }
    }
}
