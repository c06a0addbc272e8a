// SPDX-License-Identifier: GPL-2.0 OR MIT

//! [`StreamFrame`]: a STREAM frame that is being sent, and how much of a packet it takes.

use super::send_buffer::Cursor;
use crate::frame::StreamHeader;
use crate::offset::{bytes, Offset};
use crate::sent_frame::SentFrame;
use crate::stream_id::StreamId;
use crate::varint::VarInt;

/// A frame of less payload than this is not worth its header, unless it is the last that the stream
/// has to send.
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

    /// Shortens the frame to its first `len` bytes: returns the record of the rest.
    pub(crate) fn split_off(&mut self, len: usize) -> SentFrame {
        let rest = Self {
            id: self.id,
            offset: self.offset + len,
            len: self.len.saturating_sub(len),
            fin: self.fin,
            at: self.at,
        };
        self.len = self.len.min(len);
        self.fin = false;
        rest.record()
    }

    /// What is written before the data.
    #[inline]
    pub fn header(&self) -> StreamHeader {
        StreamHeader {
            id: self.id,
            offset: self.offset.varint(),
            fin: self.fin,
            length: Some(VarInt::saturating(bytes(self.len))),
        }
    }

    /// How many bytes of the packet the frame takes: header and data.
    #[inline]
    pub fn size(&self) -> usize {
        self.header().size().saturating_add(self.len)
    }
}

/// The most data of a frame, in bytes: no UDP datagram is longer, and a record counts in 16 bits.
pub(crate) const MAX_LEN: usize = 0xffff;

/// How much data a STREAM frame with a Length field can carry in `space` bytes; `None` if not even
/// its header fits.
#[inline]
pub(crate) fn capacity(space: usize, id: StreamId, offset: Offset) -> Option<usize> {
    StreamHeader::capacity(id, offset.varint(), space).map(|len| len.min(MAX_LEN))
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
