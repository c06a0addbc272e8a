// SPDX-License-Identifier: GPL-2.0 OR MIT

//! [`Crypto`] and [`CryptoHeader`]: the bytes of the TLS handshake (RFC 9000 §19.6).

use super::{FrameType, Malformed, Payload, PayloadReader};
use crate::bytes::{Full, Writer};
use crate::varint::VarInt;

/// A received CRYPTO frame.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub struct Crypto<'a> {
    /// Where the data begins in the stream of its encryption level; where it ends is at most 2^62
    /// − 1.
    pub offset: VarInt,
    /// Crypto Data.
    pub data: Payload<'a>,
}

/// A CRYPTO frame to be sent, without its data, which is to follow directly.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub struct CryptoHeader {
    /// Where the data begins.
    pub offset: VarInt,
    /// How many bytes of data follow.
    pub length: VarInt,
}

impl<'a> Crypto<'a> {
    /// Parses what follows the type.
    pub(super) fn parse(reader: &mut PayloadReader<'a>) -> Result<Self, Malformed> {
        let (offset, length) = (reader.fields.varint()?, reader.fields.varint()?);
        let data = reader.take(length)?;
        // RFC 9000 §19.6: The largest offset delivered on a stream -- the sum of the offset and
        // data length -- cannot exceed 2^62-1. Receipt of a frame that exceeds this limit
        // MUST be treated as a connection error of type FRAME_ENCODING_ERROR or
        // CRYPTO_BUFFER_EXCEEDED.
        data.end(offset)
            .ok_or(Malformed::encoding("crypto data ends beyond 2^62-1"))?;
        Ok(Self { offset, data })
    }

    /// The frame as it is sent.
    pub(super) fn header(&self) -> CryptoHeader {
        let length = VarInt::try_from(self.data.bytes.len()).unwrap_or_default();
        CryptoHeader {
            offset: self.offset,
            length,
        }
    }
}

impl CryptoHeader {
    /// Writes everything before the data.
    pub fn emit(&self, writer: &mut Writer<'_>) -> Result<(), Full> {
        writer.whole(|writer| {
            FrameType::CRYPTO.emit(writer)?;
            writer.varint(self.offset)?;
            writer.varint(self.length)
        })
    }

    /// How many bytes [`Self::emit`] writes.
    pub fn size(&self) -> usize {
        self.offset
            .size()
            .saturating_add(self.length.size())
            .saturating_add(1)
    }

    /// How many bytes of data fit into `room` behind a header; `None` if not even the header does.
    pub fn capacity(offset: VarInt, room: usize) -> Option<usize> {
        super::capacity(room.checked_sub(offset.size())?.checked_sub(1)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn capacity_is_what_fits() {
        for offset in [0, 64, 1 << 20] {
            let offset = VarInt::from_u32(offset);
            let size = |len: usize| {
                CryptoHeader {
                    offset,
                    length: VarInt::try_from(len).unwrap(),
                }
                .size()
                    + len
            };
            for room in 0..200 {
                match CryptoHeader::capacity(offset, room) {
                    None => assert!(size(0) > room),
                    Some(capacity) => {
                        assert!(
                            size(capacity) <= room && size(capacity + 1) > room,
                            "{room}"
                        )
                    }
                }
            }
        }
    }
}
