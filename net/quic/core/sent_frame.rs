// SPDX-License-Identifier: GPL-2.0 OR MIT

//! [`SentFrame`]: what has to be remembered of a frame until its packet is acknowledged or lost.

use crate::frame::Frame;
use crate::offset::Offset;
use crate::packet::PacketNumber;
use crate::stream_id::{Directionality, StreamId};
use crate::varint::VarInt;

/// A frame in a packet that is in flight.
///
/// RFC 9000 §13.3: it is not frames that are sent again, but the information in them, in new
/// frames. So a record names what was sent, not its contents. Limits are kept because only the loss
/// of the latest one matters. Records are stored by the thousand: 24 bytes each.
///
/// Who is told of the fate of a record:
///
/// | record | owner |
/// |---|---|
/// | STREAM, RESET_STREAM, STOP_SENDING, MAX_\*, \*_BLOCKED | [`Streams`](crate::stream::Streams) |
/// | CRYPTO | [`CryptoStream`](crate::crypto_stream::CryptoStream) |
/// | NEW_CONNECTION_ID | [`LocalCids`](crate::cid_set::LocalCids) |
/// | RETIRE_CONNECTION_ID | [`RemoteCids`](crate::cid_set::RemoteCids) |
/// | ACK, NEW_TOKEN, HANDSHAKE_DONE, ACK_FREQUENCY | the connection |
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub enum SentFrame {
    /// STREAM.
    Stream {
        /// The stream.
        id: StreamId,
        /// The offset of the first byte.
        offset: Offset,
        /// How many bytes.
        len: u16,
        /// Whether the FIN bit was set.
        fin: bool,
    },
    /// CRYPTO; the packet number space of the packet tells which stream.
    Crypto {
        /// The offset of the first byte.
        offset: Offset,
        /// How many bytes.
        len: u16,
    },
    /// RESET_STREAM, or RESET_STREAM_AT if the reliable size is not zero.
    ResetStream {
        /// The stream.
        id: StreamId,
        /// The reliable size.
        reliable: Offset,
    },
    /// STOP_SENDING.
    StopSending {
        /// The stream.
        id: StreamId,
    },
    /// MAX_DATA.
    MaxData {
        /// The limit.
        maximum: VarInt,
    },
    /// MAX_STREAM_DATA.
    MaxStreamData {
        /// The stream.
        id: StreamId,
        /// The limit.
        maximum: VarInt,
    },
    /// MAX_STREAMS.
    MaxStreams {
        /// Of which streams.
        directionality: Directionality,
        /// The limit.
        maximum: VarInt,
    },
    /// DATA_BLOCKED.
    DataBlocked {
        /// The limit.
        maximum: VarInt,
    },
    /// STREAM_DATA_BLOCKED.
    StreamDataBlocked {
        /// The stream.
        id: StreamId,
        /// The limit.
        maximum: VarInt,
    },
    /// STREAMS_BLOCKED.
    StreamsBlocked {
        /// Of which streams.
        directionality: Directionality,
        /// The limit.
        maximum: VarInt,
    },
    /// NEW_CONNECTION_ID.
    NewConnectionId {
        /// The sequence number.
        sequence: VarInt,
    },
    /// RETIRE_CONNECTION_ID.
    RetireConnectionId {
        /// The sequence number.
        sequence: VarInt,
    },
    /// ACK: when it is acknowledged, the peer has no need of the ranges in it any more (RFC 9000
    /// §13.2.4).
    Ack {
        /// Largest Acknowledged.
        largest: PacketNumber,
    },
    /// NEW_TOKEN.
    NewToken,
    /// HANDSHAKE_DONE.
    HandshakeDone,
    /// ACK_FREQUENCY.
    AckFrequency {
        /// The sequence number.
        sequence: VarInt,
    },
}

impl SentFrame {
    /// What to remember of `frame`; `None` if nothing follows from its fate.
    ///
    /// RFC 9000 §13.3: PING and PADDING carry no information; PATH_CHALLENGE is repeated with new
    /// data as long as the path is tried, PATH_RESPONSE is sent once, CONNECTION_CLOSE is repeated
    /// for what arrives. RFC 9221 §5: DATAGRAM is not sent again. IMMEDIATE_ACK is of its moment.
    pub fn of(frame: &Frame<'_>) -> Option<Self> {
        Some(match *frame {
            Frame::Stream(ref frame) => Self::Stream {
                id: frame.id,
                offset: frame.offset.into(),
                len: len(frame.data.bytes),
                fin: frame.fin,
            },
            Frame::Crypto(ref frame) => Self::Crypto {
                offset: frame.offset.into(),
                len: len(frame.data.bytes),
            },
            Frame::ResetStream(ref frame) => Self::ResetStream {
                id: frame.id,
                reliable: Offset::ZERO,
            },
            Frame::ResetStreamAt(ref frame) => Self::ResetStream {
                id: frame.reset.id,
                reliable: frame.reliable_size.into(),
            },
            Frame::StopSending(ref frame) => Self::StopSending { id: frame.id },
            Frame::MaxData { maximum } => Self::MaxData { maximum },
            Frame::MaxStreamData { id, maximum } => Self::MaxStreamData { id, maximum },
            Frame::MaxStreams {
                directionality,
                maximum,
            } => Self::MaxStreams {
                directionality,
                maximum,
            },
            Frame::DataBlocked { maximum } => Self::DataBlocked { maximum },
            Frame::StreamDataBlocked { id, maximum } => Self::StreamDataBlocked { id, maximum },
            Frame::StreamsBlocked {
                directionality,
                maximum,
            } => Self::StreamsBlocked {
                directionality,
                maximum,
            },
            Frame::NewConnectionId(ref frame) => Self::NewConnectionId {
                sequence: frame.sequence,
            },
            Frame::RetireConnectionId { sequence } => Self::RetireConnectionId { sequence },
            Frame::Ack(ref frame) => Self::Ack {
                largest: frame.largest,
            },
            Frame::NewToken { .. } => Self::NewToken,
            Frame::HandshakeDone => Self::HandshakeDone,
            Frame::AckFrequency(ref frame) => Self::AckFrequency {
                sequence: frame.sequence,
            },
            Frame::Padding { .. }
            | Frame::Ping
            | Frame::PathChallenge { .. }
            | Frame::PathResponse { .. }
            | Frame::ConnectionClose(_)
            | Frame::Datagram { .. }
            | Frame::ImmediateAck => return None,
        })
    }
}

/// No frame is longer than a UDP datagram.
fn len(data: &[u8]) -> u16 {
    u16::try_from(data.len()).unwrap_or(u16::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn size() {
        assert_eq!(core::mem::size_of::<SentFrame>(), 24);
        assert_eq!(core::mem::size_of::<Option<SentFrame>>(), 24);
    }
}
