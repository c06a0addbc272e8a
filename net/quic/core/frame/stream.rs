// SPDX-License-Identifier: GPL-2.0 OR MIT

//! [`Stream`] and [`StreamHeader`]: the bytes of a stream (RFC 9000 §19.8).

use super::{Malformed, Payload, PayloadReader};
use crate::bytes::{Full, Writer};
use crate::stream_id::StreamId;
use crate::varint::VarInt;

/// Present: an Offset field.
const OFF: u8 = 0x04;
/// Present: a Length field.
const LEN: u8 = 0x02;
/// The frame marks the end of the stream.
const FIN: u8 = 0x01;
/// The type of the frame with none of them.
pub(super) const TYPE: u8 = 0x08;
/// What the eight types have in common.
pub(super) const TYPE_MASK: u8 = 0xf8;

/// A received STREAM frame.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub struct Stream<'a> {
    /// Stream ID.
    pub id: StreamId,
    /// Where the data begins in the stream; where it ends is at most 2^62 − 1.
    pub offset: VarInt,
    /// Whether the data is the last of the stream.
    pub fin: bool,
    /// Stream Data.
    pub data: Payload<'a>,
}

/// A STREAM frame to be sent, without its data, which is to follow directly.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub struct StreamHeader {
    /// Stream ID.
    pub id: StreamId,
    /// Where the data begins in the stream.
    pub offset: VarInt,
    /// Whether the data is the last of the stream.
    pub fin: bool,
    /// How many bytes of data follow; `None` if they fill the packet.
    pub length: Option<VarInt>,
}

impl<'a> Stream<'a> {
    /// Parses what follows the type, of which `bits` are the lowest three.
    #[inline(always)]
    pub(super) fn parse(reader: &mut PayloadReader<'a>, bits: u8) -> Result<Self, Malformed> {
        let id = StreamId::new(reader.fields.varint()?);
        let offset = match bits & OFF {
            0 => VarInt::ZERO,
            _ => reader.fields.varint()?,
        };
        let data = match bits & LEN {
            0 => reader.take_rest(),
            _ => {
                let length = reader.fields.varint()?;
                reader.take(length)?
            }
        };
        // RFC 9000 §19.8: The largest offset delivered on a stream -- the sum of the offset and
        // data length -- cannot exceed 2^62-1. Receipt of a frame that exceeds this limit
        // MUST be treated as a connection error of type FRAME_ENCODING_ERROR or
        // FLOW_CONTROL_ERROR.
        data.end(offset)
            .ok_or(Malformed::encoding("stream data ends beyond 2^62-1"))?;
        Ok(Self {
            id,
            offset,
            fin: bits & FIN != 0,
            data,
        })
    }

    /// The frame as it is sent, with a Length field.
    pub(super) fn header(&self) -> StreamHeader {
        let length = VarInt::try_from(self.data.bytes.len()).unwrap_or_default();
        StreamHeader {
            id: self.id,
            offset: self.offset,
            fin: self.fin,
            length: Some(length),
        }
    }
}

impl StreamHeader {
    /// The type of this frame.
    #[inline]
    pub(super) fn type_byte(&self) -> u8 {
        TYPE | if self.offset == VarInt::ZERO { 0 } else { OFF }
            | if self.length.is_some() { LEN } else { 0 }
            | if self.fin { FIN } else { 0 }
    }

    /// Writes everything before the data.
    #[inline(always)]
    pub fn emit(&self, writer: &mut Writer<'_>) -> Result<(), Full> {
        let start = writer.position();
        // No closure, which the compiler would not inline: this is done for every packet.
        let written = self.try_emit(writer);
        if written.is_err() {
            writer.rewind(start);
        }
        written
    }

    #[inline(always)]
    fn try_emit(&self, writer: &mut Writer<'_>) -> Result<(), Full> {
        writer.u8(self.type_byte())?;
        writer.varint(self.id.get())?;
        if self.offset != VarInt::ZERO {
            writer.varint(self.offset)?;
        }
        match self.length {
            Some(length) => writer.varint(length),
            None => Ok(()),
        }
    }

    /// How many bytes [`Self::emit`] writes.
    #[inline]
    pub fn size(&self) -> usize {
        let length = self.length.map_or(0, VarInt::size);
        Self::size_before_length(self.id, self.offset).saturating_add(length)
    }

    /// How many bytes of data fit into `room` behind a header with a Length field; `None` if not
    /// even the header does.
    #[inline]
    pub fn capacity(id: StreamId, offset: VarInt, room: usize) -> Option<usize> {
        super::capacity(room.checked_sub(Self::size_before_length(id, offset))?)
    }

    #[inline]
    fn size_before_length(id: StreamId, offset: VarInt) -> usize {
        let offset = if offset == VarInt::ZERO {
            0
        } else {
            offset.size()
        };
        id.get().size().saturating_add(offset).saturating_add(1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn capacity_is_what_fits() {
        for (id, offset) in [(0, 0), (0, 5), (100_000, 1 << 40)] {
            let (id, offset) = (
                StreamId::new(VarInt::from_u32(id)),
                VarInt::new(offset).unwrap(),
            );
            let header = |len: usize| StreamHeader {
                id,
                offset,
                fin: false,
                length: VarInt::try_from(len).ok(),
            };
            for room in (0..200).chain(16_380..16_420) {
                match StreamHeader::capacity(id, offset, room) {
                    None => assert!(header(0).size() > room),
                    Some(capacity) => {
                        assert!(header(capacity).size() + capacity <= room, "{room}");
                        assert!(header(capacity + 1).size() + capacity + 1 > room, "{room}");
                    }
                }
            }
        }
    }
}
