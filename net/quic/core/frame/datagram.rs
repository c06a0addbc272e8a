// SPDX-License-Identifier: GPL-2.0 OR MIT

//! [`DatagramHeader`]: a DATAGRAM frame, whose data is neither ordered nor retransmitted (RFC 9221 §4).

use super::{FrameRules, FrameType, Malformed, Payload, PayloadReader};
use crate::bytes::{Full, Writer};
use crate::varint::VarInt;

/// A DATAGRAM frame to be sent, without its data, which is to follow directly.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub struct DatagramHeader {
    /// How many bytes of data follow; `None` if they fill the packet.
    pub length: Option<VarInt>,
}

/// Parses what follows the type, which took one byte.
#[inline]
pub(super) fn parse<'a>(
    reader: &mut PayloadReader<'a>,
    has_length: bool,
    rules: &FrameRules,
) -> Result<Payload<'a>, Malformed> {
    let before = reader.fields.remaining();
    let data = match has_length {
        true => {
            let length = reader.fields.varint()?;
            reader.take(length)?
        }
        false => reader.take_rest(),
    };
    // RFC 9221 §3: an endpoint that receives a DATAGRAM frame that is larger than the value it sent
    // in its max_datagram_frame_size transport parameter MUST terminate the connection with an
    // error of type PROTOCOL_VIOLATION. Zero is not to have indicated support, which is the
    // same error.
    let size = before
        .saturating_sub(reader.fields.remaining())
        .saturating_add(1);
    match VarInt::try_from(size) {
        Ok(size) if size <= rules.max_datagram_frame_size => Ok(data),
        _ => Err(Malformed::violation("datagram is larger than permitted")),
    }
}

impl DatagramHeader {
    /// Writes everything before the data.
    #[inline]
    pub fn emit(&self, writer: &mut Writer<'_>) -> Result<(), Full> {
        writer.whole(|writer| {
            self.frame_type().emit(writer)?;
            self.length.map_or(Ok(()), |length| writer.varint(length))
        })
    }

    /// How many bytes [`Self::emit`] writes.
    #[inline]
    pub fn size(&self) -> usize {
        self.length.map_or(0, VarInt::size).saturating_add(1)
    }

    /// How many bytes of data fit into a frame of `size` bytes with a Length field, in one packet
    /// or as the peer's max_datagram_frame_size; `None` if none do.
    pub fn capacity(size: usize) -> Option<usize> {
        super::capacity(size.checked_sub(1)?)
    }

    fn frame_type(&self) -> FrameType {
        match self.length {
            Some(_) => FrameType::DATAGRAM_LEN,
            None => FrameType::DATAGRAM,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn capacity_is_what_fits() {
        let size = |len: usize| {
            DatagramHeader {
                length: VarInt::try_from(len).ok(),
            }
            .size()
                + len
        };
        for room in (0..100).chain(16_380..16_400) {
            match DatagramHeader::capacity(room) {
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
