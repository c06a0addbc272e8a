// SPDX-License-Identifier: GPL-2.0 OR MIT

//! [`StreamFrame`]: a STREAM frame that is being sent, and how much of a packet it takes.

use super::send_buffer::Cursor;
use crate::offset::Offset;
use crate::sent_frame::SentFrame;
use crate::stream_id::StreamId;
use crate::varint::VarInt;

/// A frame of less payload than this is not worth its header, unless it is the last that the stream has to send.
pub(crate) const MIN_SPLIT: usize = 32;

/// What a STREAM frame with a Length field carries (RFC 9000 §19.8).
#[derive(Debug)]
pub struct StreamFrame {
    /// The stream.
    pub id: StreamId,
    /// The offset of the first byte.
    pub offset: Offset,
    /// How many bytes.
    pub len: usize,
    /// Whether the stream ends with the last of them.
    pub fin: bool,
    pub(crate) at: Cursor,
}

impl StreamFrame {
    /// What to remember of it.
    #[inline]
    pub fn record(&self) -> SentFrame {
        // No frame is longer than a UDP datagram.
        let len = u16::try_from(self.len).unwrap_or(u16::MAX);
        SentFrame::Stream {
            id: self.id,
            offset: self.offset,
            len,
            fin: self.fin,
        }
    }

    /// Which of the bytes of the packet the frame takes, if it is written with a Length field: header and payload.
    pub fn size(&self) -> usize {
        let length = VarInt::saturating(crate::offset::bytes(self.len)).size();
        header(self.id, self.offset)
            .saturating_add(length)
            .saturating_add(self.len)
    }
}

/// The size of a STREAM frame up to the Length field.
fn header(id: StreamId, offset: Offset) -> usize {
    let offset = match offset {
        // The field is absent.
        Offset::ZERO => 0,
        offset => offset.varint().size(),
    };
    // One byte is the type.
    id.get().size().saturating_add(offset).saturating_add(1)
}

/// How much payload a STREAM frame with a Length field can carry in `space` bytes; `None` if not even its header fits.
#[inline]
pub(crate) fn capacity(space: usize, id: StreamId, offset: Offset) -> Option<usize> {
    payload(space.checked_sub(header(id, offset))?)
}

/// How much payload fits in `space` bytes behind its length; `None` if not even that of nothing fits.
#[inline]
pub(crate) fn payload(space: usize) -> Option<usize> {
    /// The largest lengths that take one, two and four bytes; a UDP datagram has no more than fits in 16 bits.
    const ONE: usize = 0x3f;
    const TWO: usize = 0x3fff;
    const FOUR: usize = 0xffff;

    let one = space.checked_sub(1)?.min(ONE);
    let two = space.saturating_sub(2).min(TWO);
    let four = space.saturating_sub(4).min(FOUR);
    Some(one.max(two).max(four))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn capacity_is_the_most_that_fits() {
        for id in [0, 63, 64, 16_384, 1 << 30] {
            let id = StreamId::new(VarInt::new(id).unwrap());
            for offset in [0, 1, 64, 16_384, 1 << 30] {
                let offset = Offset::saturating(offset);
                let size = |len| {
                    StreamFrame {
                        id,
                        offset,
                        len,
                        fin: false,
                        at: Cursor::NONE,
                    }
                    .size()
                };
                for space in (0..200).chain(16_300..16_500).chain([65_507]) {
                    match capacity(space, id, offset) {
                        None => assert!(size(0) > space),
                        Some(len) => {
                            assert!(size(len) <= space, "{id} {offset:?} {space}");
                            assert!(size(len + 1) > space, "{id} {offset:?} {space}");
                        }
                    }
                }
            }
        }
    }
}
