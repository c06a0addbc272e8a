// SPDX-License-Identifier: GPL-2.0 OR MIT

//! [`Frame`]: what packets are made of (RFC 9000 §19, RFC 9221, and two drafts).
//!
//! [`Frames`] parses the payload of an opened packet, one frame at a time, and enforces everything
//! that can be known without the state of the connection. Nothing is copied: a [`Payload`] is a
//! slice of the packet together with its position there, so that the caller can keep a reference to
//! the buffer in its place.
//!
//! A frame that carries data is sent as a header, [`StreamHeader`], [`CryptoHeader`] or
//! [`DatagramHeader`], with the data behind it; [`emit_ack`] writes an ACK frame from ranges that
//! are held elsewhere; everything else is written by [`Frame::emit`]. What does not fit is not
//! written at all.

mod ack;
mod ack_frequency;
mod close;
mod connection_id;
mod crypto;
mod datagram;
mod frame_type;
mod parse;
mod reset;
mod stream;
#[cfg(test)]
mod tests;

pub use ack::{emit_ack, Ack, AckRange, AckRanges, EcnCounts};
pub use ack_frequency::AckFrequency;
pub use close::{CloseCause, ConnectionClose};
pub use connection_id::NewConnectionId;
pub use crypto::{Crypto, CryptoHeader};
pub use datagram::DatagramHeader;
pub use frame_type::FrameType;
pub use parse::{FrameRules, Frames};
pub use reset::{ResetStream, ResetStreamAt, StopSending};
pub use stream::{Stream, StreamHeader};

use crate::bytes::{Full, Reader, Truncated, Writer};
use crate::error::TransportErrorCode;
use crate::stream_id::{Directionality, StreamId};
use crate::varint::VarInt;

/// A frame.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Frame<'a> {
    /// As many PADDING frames in a row.
    Padding {
        /// How many, and so how many bytes.
        length: usize,
    },
    /// PING.
    Ping,
    /// ACK.
    Ack(Ack<'a>),
    /// RESET_STREAM.
    ResetStream(ResetStream),
    /// STOP_SENDING.
    StopSending(StopSending),
    /// CRYPTO.
    Crypto(Crypto<'a>),
    /// NEW_TOKEN.
    NewToken {
        /// Token, never empty.
        token: &'a [u8],
    },
    /// STREAM.
    Stream(Stream<'a>),
    /// MAX_DATA.
    MaxData {
        /// Maximum Data, in bytes.
        maximum: VarInt,
    },
    /// MAX_STREAM_DATA.
    MaxStreamData {
        /// Stream ID.
        id: StreamId,
        /// Maximum Stream Data, in bytes.
        maximum: VarInt,
    },
    /// MAX_STREAMS.
    MaxStreams {
        /// Which streams.
        directionality: Directionality,
        /// Maximum Streams, at most 2^60.
        maximum: VarInt,
    },
    /// DATA_BLOCKED.
    DataBlocked {
        /// Maximum Data, in bytes.
        maximum: VarInt,
    },
    /// STREAM_DATA_BLOCKED.
    StreamDataBlocked {
        /// Stream ID.
        id: StreamId,
        /// Maximum Stream Data, in bytes.
        maximum: VarInt,
    },
    /// STREAMS_BLOCKED.
    StreamsBlocked {
        /// Which streams.
        directionality: Directionality,
        /// Maximum Streams, at most 2^60.
        maximum: VarInt,
    },
    /// NEW_CONNECTION_ID.
    NewConnectionId(NewConnectionId),
    /// RETIRE_CONNECTION_ID.
    RetireConnectionId {
        /// Sequence Number.
        sequence: VarInt,
    },
    /// PATH_CHALLENGE.
    PathChallenge {
        /// Data.
        data: [u8; 8],
    },
    /// PATH_RESPONSE.
    PathResponse {
        /// Data.
        data: [u8; 8],
    },
    /// CONNECTION_CLOSE.
    ConnectionClose(ConnectionClose<'a>),
    /// HANDSHAKE_DONE.
    HandshakeDone,
    /// RESET_STREAM_AT.
    ResetStreamAt(ResetStreamAt),
    /// DATAGRAM.
    Datagram {
        /// Datagram Data.
        data: Payload<'a>,
    },
    /// ACK_FREQUENCY.
    AckFrequency(AckFrequency),
    /// IMMEDIATE_ACK.
    ImmediateAck,
}

/// Data of the application or of TLS in a packet.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub struct Payload<'a> {
    /// The data.
    pub bytes: &'a [u8],
    /// Where it begins in the payload of the packet.
    pub offset: usize,
}

impl Payload<'_> {
    /// No data, for tests in which the data is beside the frame.
    #[cfg(test)]
    pub(crate) const EMPTY: Self = Self {
        bytes: &[],
        offset: 0,
    };

    /// Where the data ends in a stream if it begins at `start`; `None` beyond 2^62 − 1.
    #[inline]
    pub fn end(&self, start: VarInt) -> Option<VarInt> {
        start.checked_add(u64::try_from(self.bytes.len()).ok()?)
    }
}

/// Why a frame is refused; its type is known to whoever reads this.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
struct Malformed {
    code: TransportErrorCode,
    reason: &'static str,
}

impl Malformed {
    const TRUNCATED: Self = Self::encoding("frame is cut off");

    /// FRAME_ENCODING_ERROR.
    const fn encoding(reason: &'static str) -> Self {
        Self {
            code: TransportErrorCode::FRAME_ENCODING_ERROR,
            reason,
        }
    }

    /// PROTOCOL_VIOLATION.
    const fn violation(reason: &'static str) -> Self {
        Self {
            code: TransportErrorCode::PROTOCOL_VIOLATION,
            reason,
        }
    }
}

impl From<Truncated> for Malformed {
    fn from(_: Truncated) -> Self {
        Self::TRUNCATED
    }
}

/// Reads the payload of a packet and knows where it is.
#[derive(Clone, Debug)]
struct PayloadReader<'a> {
    fields: Reader<'a>,
    /// How many bytes the payload has.
    len: usize,
}

impl<'a> PayloadReader<'a> {
    #[inline]
    fn offset(&self) -> usize {
        self.len.saturating_sub(self.fields.remaining())
    }

    /// The next `length` bytes.
    #[inline]
    fn take(&mut self, length: VarInt) -> Result<Payload<'a>, Truncated> {
        let offset = self.offset();
        Ok(Payload {
            bytes: self.fields.bytes_u64(length.get())?,
            offset,
        })
    }

    /// All bytes that are left.
    #[inline]
    fn take_rest(&mut self) -> Payload<'a> {
        Payload {
            offset: self.offset(),
            bytes: self.fields.take_rest(),
        }
    }
}

impl Frame<'_> {
    /// The type that [`Self::emit`] writes; of PADDING frames, that of each.
    pub fn frame_type(&self) -> FrameType {
        use Directionality::{Bidirectional, Unidirectional};
        match self {
            Self::Padding { .. } => FrameType::PADDING,
            Self::Ping => FrameType::PING,
            Self::Ack(frame) => frame.frame_type(),
            Self::ResetStream(_) => FrameType::RESET_STREAM,
            Self::StopSending(_) => FrameType::STOP_SENDING,
            Self::Crypto(_) => FrameType::CRYPTO,
            Self::NewToken { .. } => FrameType::NEW_TOKEN,
            Self::Stream(frame) => FrameType::new(u64::from(frame.header().type_byte())),
            Self::MaxData { .. } => FrameType::MAX_DATA,
            Self::MaxStreamData { .. } => FrameType::MAX_STREAM_DATA,
            Self::MaxStreams {
                directionality: Bidirectional,
                ..
            } => FrameType::MAX_STREAMS_BIDI,
            Self::MaxStreams {
                directionality: Unidirectional,
                ..
            } => FrameType::MAX_STREAMS_UNI,
            Self::DataBlocked { .. } => FrameType::DATA_BLOCKED,
            Self::StreamDataBlocked { .. } => FrameType::STREAM_DATA_BLOCKED,
            Self::StreamsBlocked {
                directionality: Bidirectional,
                ..
            } => FrameType::STREAMS_BLOCKED_BIDI,
            Self::StreamsBlocked {
                directionality: Unidirectional,
                ..
            } => FrameType::STREAMS_BLOCKED_UNI,
            Self::NewConnectionId(_) => FrameType::NEW_CONNECTION_ID,
            Self::RetireConnectionId { .. } => FrameType::RETIRE_CONNECTION_ID,
            Self::PathChallenge { .. } => FrameType::PATH_CHALLENGE,
            Self::PathResponse { .. } => FrameType::PATH_RESPONSE,
            Self::ConnectionClose(frame) => frame.frame_type(),
            Self::HandshakeDone => FrameType::HANDSHAKE_DONE,
            Self::ResetStreamAt(_) => FrameType::RESET_STREAM_AT,
            Self::Datagram { .. } => FrameType::DATAGRAM_LEN,
            Self::AckFrequency(_) => FrameType::ACK_FREQUENCY,
            Self::ImmediateAck => FrameType::IMMEDIATE_ACK,
        }
    }

    /// Writes the frame, with its Length field and its data if it has them.
    #[inline]
    pub fn emit(&self, writer: &mut Writer<'_>) -> Result<(), Full> {
        writer.whole(|writer| self.emit_part(writer))
    }

    /// As [`Self::emit`], but leaves a part behind if the whole does not fit.
    #[inline]
    fn emit_part(&self, writer: &mut Writer<'_>) -> Result<(), Full> {
        match self {
            Self::Padding { length } => writer.fill(*length, 0),
            Self::Ping | Self::HandshakeDone | Self::ImmediateAck => self.frame_type().emit(writer),
            Self::Ack(frame) => frame.emit(writer),
            Self::ResetStream(frame) => {
                FrameType::RESET_STREAM.emit(writer)?;
                frame.emit(writer)
            }
            Self::StopSending(frame) => {
                FrameType::STOP_SENDING.emit(writer)?;
                frame.emit(writer)
            }
            Self::Crypto(frame) => {
                frame.header().emit(writer)?;
                writer.bytes(frame.data.bytes)
            }
            Self::NewToken { token } => {
                FrameType::NEW_TOKEN.emit(writer)?;
                writer.varint(VarInt::try_from(token.len()).map_err(|_| Full)?)?;
                writer.bytes(token)
            }
            Self::Stream(frame) => {
                frame.header().emit(writer)?;
                writer.bytes(frame.data.bytes)
            }
            Self::MaxData { maximum }
            | Self::DataBlocked { maximum }
            | Self::MaxStreams { maximum, .. }
            | Self::StreamsBlocked { maximum, .. } => {
                self.frame_type().emit(writer)?;
                writer.varint(*maximum)
            }
            Self::MaxStreamData { id, maximum } | Self::StreamDataBlocked { id, maximum } => {
                self.frame_type().emit(writer)?;
                writer.varint(id.get())?;
                writer.varint(*maximum)
            }
            Self::NewConnectionId(frame) => {
                FrameType::NEW_CONNECTION_ID.emit(writer)?;
                frame.emit(writer)
            }
            Self::RetireConnectionId { sequence } => {
                FrameType::RETIRE_CONNECTION_ID.emit(writer)?;
                writer.varint(*sequence)
            }
            Self::PathChallenge { data } | Self::PathResponse { data } => {
                self.frame_type().emit(writer)?;
                writer.array(*data)
            }
            Self::ConnectionClose(frame) => {
                frame.frame_type().emit(writer)?;
                frame.emit(writer)
            }
            Self::ResetStreamAt(frame) => {
                FrameType::RESET_STREAM_AT.emit(writer)?;
                frame.emit(writer)
            }
            Self::Datagram { data } => {
                let length = VarInt::try_from(data.bytes.len()).map_err(|_| Full)?;
                DatagramHeader {
                    length: Some(length),
                }
                .emit(writer)?;
                writer.bytes(data.bytes)
            }
            Self::AckFrequency(frame) => {
                FrameType::ACK_FREQUENCY.emit(writer)?;
                frame.emit(writer)
            }
        }
    }

    /// How many bytes [`Self::emit`] writes.
    pub fn size(&self) -> usize {
        let fields = |fields: &[VarInt]| {
            fields
                .iter()
                .fold(1_usize, |size, field| size.saturating_add(field.size()))
        };
        match self {
            Self::Padding { length } => *length,
            Self::Ping | Self::HandshakeDone | Self::ImmediateAck => 1,
            Self::Ack(frame) => frame.size(),
            Self::ResetStream(frame) => fields(&[frame.id.get(), frame.error, frame.final_size]),
            Self::StopSending(frame) => fields(&[frame.id.get(), frame.error]),
            Self::Crypto(frame) => frame.header().size().saturating_add(frame.data.bytes.len()),
            Self::NewToken { token } => {
                fields(&[VarInt::try_from(token.len()).unwrap_or(VarInt::MAX)])
                    .saturating_add(token.len())
            }
            Self::Stream(frame) => frame.header().size().saturating_add(frame.data.bytes.len()),
            Self::MaxData { maximum }
            | Self::DataBlocked { maximum }
            | Self::MaxStreams { maximum, .. }
            | Self::StreamsBlocked { maximum, .. } => fields(&[*maximum]),
            Self::MaxStreamData { id, maximum } | Self::StreamDataBlocked { id, maximum } => {
                fields(&[id.get(), *maximum])
            }
            Self::NewConnectionId(frame) => fields(&[frame.sequence, frame.retire_prior_to])
                .saturating_add(frame.connection_id.len())
                .saturating_add(17),
            Self::RetireConnectionId { sequence } => fields(&[*sequence]),
            Self::PathChallenge { .. } | Self::PathResponse { .. } => 9,
            Self::ConnectionClose(frame) => frame.size(),
            Self::ResetStreamAt(ResetStreamAt {
                reset,
                reliable_size,
            }) => fields(&[
                reset.id.get(),
                reset.error,
                reset.final_size,
                *reliable_size,
            ]),
            Self::Datagram { data } => {
                fields(&[VarInt::try_from(data.bytes.len()).unwrap_or(VarInt::MAX)])
                    .saturating_add(data.bytes.len())
            }
            // Its type takes two bytes.
            Self::AckFrequency(frame) => fields(&[
                frame.sequence,
                frame.ack_eliciting_threshold,
                frame.requested_max_ack_delay,
                frame.reordering_threshold,
            ])
            .saturating_add(1),
        }
    }

    /// Whether a packet with this frame must be acknowledged (RFC 9000 §13.2).
    #[inline]
    pub fn is_ack_eliciting(&self) -> bool {
        self.frame_type().is_ack_eliciting()
    }

    /// Whether a packet of such frames alone only probes a path (RFC 9000 §9.1).
    #[inline]
    pub fn is_probing(&self) -> bool {
        self.frame_type().is_probing()
    }
}

/// How many bytes of data fit into `room` behind their length, in bytes; `None` if not even the
/// length does.
#[inline]
fn capacity(room: usize) -> Option<usize> {
    // Behind a field of one, two and four bytes, at most as many as that can give as a length.
    match room {
        0 => None,
        0x01..=0x41 => room.checked_sub(1).map(|data| data.min(0x3f)),
        0x42..=0x4003 => room.checked_sub(2).map(|data| data.min(0x3fff)),
        _ => room.checked_sub(4).map(|data| data.min(0x3fff_ffff)),
    }
}
