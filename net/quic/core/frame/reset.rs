// SPDX-License-Identifier: GPL-2.0 OR MIT

//! [`ResetStream`], [`ResetStreamAt`] and [`StopSending`]: ending one direction of a stream before its end
//! (RFC 9000 §19.4, §19.5, draft-ietf-quic-reliable-stream-reset).

use super::Malformed;
use crate::bytes::{Full, Reader, Writer};
use crate::stream_id::StreamId;
use crate::varint::VarInt;

/// A RESET_STREAM frame: no more data will come.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub struct ResetStream {
    /// Stream ID.
    pub id: StreamId,
    /// Application Protocol Error Code.
    pub error: VarInt,
    /// Final Size, in bytes.
    pub final_size: VarInt,
}

/// A RESET_STREAM_AT frame: no more data will come than `reliable_size` bytes.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub struct ResetStreamAt {
    /// The fields that it shares with RESET_STREAM.
    pub reset: ResetStream,
    /// Reliable Size, in bytes, not more than the Final Size.
    pub reliable_size: VarInt,
}

/// A STOP_SENDING frame: data will not be read.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub struct StopSending {
    /// Stream ID.
    pub id: StreamId,
    /// Application Protocol Error Code.
    pub error: VarInt,
}

impl ResetStream {
    pub(super) fn parse(reader: &mut Reader<'_>) -> Result<Self, Malformed> {
        Ok(Self {
            id: StreamId::new(reader.varint()?),
            error: reader.varint()?,
            final_size: reader.varint()?,
        })
    }

    pub(super) fn emit(&self, writer: &mut Writer<'_>) -> Result<(), Full> {
        writer.varint(self.id.get())?;
        writer.varint(self.error)?;
        writer.varint(self.final_size)
    }
}

impl ResetStreamAt {
    pub(super) fn parse(reader: &mut Reader<'_>) -> Result<Self, Malformed> {
        let (reset, reliable_size) = (ResetStream::parse(reader)?, reader.varint()?);
        // draft-ietf-quic-reliable-stream-reset §4: If the Reliable Size is larger than the Final
        // Size, the receiver MUST close the connection with a connection error of type
        // FRAME_ENCODING_ERROR.
        if reliable_size > reset.final_size {
            return Err(Malformed::encoding(
                "reliable size is larger than the final size",
            ));
        }
        Ok(Self {
            reset,
            reliable_size,
        })
    }

    pub(super) fn emit(&self, writer: &mut Writer<'_>) -> Result<(), Full> {
        self.reset.emit(writer)?;
        writer.varint(self.reliable_size)
    }
}

impl StopSending {
    pub(super) fn parse(reader: &mut Reader<'_>) -> Result<Self, Malformed> {
        Ok(Self {
            id: StreamId::new(reader.varint()?),
            error: reader.varint()?,
        })
    }

    pub(super) fn emit(&self, writer: &mut Writer<'_>) -> Result<(), Full> {
        writer.varint(self.id.get())?;
        writer.varint(self.error)
    }
}
