// SPDX-License-Identifier: GPL-2.0 OR MIT

//! [`Frames`]: parses the payload of a packet, frame by frame.

use super::frame_type::Rule;
use super::{
    datagram, stream, Ack, AckFrequency, ConnectionClose, Crypto, Frame, FrameType, Malformed,
    NewConnectionId, PayloadReader, ResetStream, ResetStreamAt, StopSending, Stream,
};
use crate::bytes::Reader;
use crate::error::TransportError;
use crate::packet::PacketType;
use crate::role::Role;
use crate::stream_id::{Directionality, StreamId, MAX_STREAMS};
use crate::varint::VarInt;

/// What an endpoint accepts: it follows from its role and from the transport parameters it sent.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub struct FrameRules {
    /// The role of this endpoint, which receives the frames.
    pub role: Role,
    /// max_datagram_frame_size as this endpoint sent it, 0 for no DATAGRAM frames.
    pub max_datagram_frame_size: VarInt,
    /// min_ack_delay as this endpoint sent it, in microseconds; without it, ACK_FREQUENCY and
    /// IMMEDIATE_ACK are unknown.
    pub min_ack_delay: Option<VarInt>,
    /// Whether this endpoint sent reset_stream_at; without it, RESET_STREAM_AT is unknown.
    pub reset_stream_at: bool,
}

/// Iterates over the frames of a packet. An error is to close the connection, and is the last item.
#[derive(Clone, Debug)]
pub struct Frames<'a, 'r> {
    reader: PayloadReader<'a>,
    packet_type: PacketType,
    rules: &'r FrameRules,
}

impl<'a, 'r> Frames<'a, 'r> {
    /// The frames in `payload` of a packet of type `packet_type`.
    ///
    /// Fails with PROTOCOL_VIOLATION if there are none.
    #[inline]
    pub fn new(
        payload: &'a [u8],
        packet_type: PacketType,
        rules: &'r FrameRules,
    ) -> Result<Self, TransportError> {
        // RFC 9000 §12.4: An endpoint MUST treat receipt of a packet containing no frames as a
        // connection error of type PROTOCOL_VIOLATION.
        if payload.is_empty() {
            return Err(TransportError::protocol_violation("packet without frames"));
        }
        let reader = PayloadReader {
            fields: Reader::new(payload),
            len: payload.len(),
        };
        Ok(Self {
            reader,
            packet_type,
            rules,
        })
    }

    /// What has not been parsed yet.
    pub fn rest(&self) -> &'a [u8] {
        self.reader.fields.rest()
    }

    /// The first frame in `payload` of a 1-RTT packet, if that is a STREAM frame without an error,
    /// and how many bytes it takes.
    #[inline(always)]
    pub fn first_stream(payload: &'a [u8]) -> Option<(Stream<'a>, usize)> {
        let first = *payload.first()?;
        if first & stream::TYPE_MASK != stream::TYPE {
            return None;
        }
        let mut reader = PayloadReader {
            fields: Reader::new(payload),
            len: payload.len(),
        };
        reader.fields.skip(1).ok()?;
        let frame = Stream::parse(&mut reader, first).ok()?;
        Some((frame, reader.offset()))
    }

    /// Passes over the first `len` bytes, whose frames have been processed.
    pub fn pass_over(&mut self, len: usize) {
        self.reader.fields.advance(len);
    }

    /// A STREAM frame with the type byte `first`.
    #[inline]
    fn stream(&mut self, first: u8) -> Result<Stream<'a>, Malformed> {
        if !Rule::STREAM.permits(self.packet_type) {
            return Err(NOT_PERMITTED);
        }
        self.reader.fields.skip(1)?;
        Stream::parse(&mut self.reader, first)
    }

    /// Nothing follows a frame that breaks a rule.
    #[cold]
    fn refuse(&mut self, malformed: Malformed, frame_type: FrameType) -> TransportError {
        self.reader.fields.take_rest();
        TransportError::new(malformed.code, frame_type.get(), malformed.reason)
    }

    /// A frame of any other type, which it leaves in `frame_type`.
    fn other(&mut self, frame_type: &mut FrameType) -> Result<Frame<'a>, Malformed> {
        let before = self.reader.fields.remaining();
        let value = self.reader.fields.varint()?;
        *frame_type = FrameType::new(value.get());
        // RFC 9000 §12.4: An endpoint MAY treat the receipt of a frame type that uses a longer
        // encoding than necessary as a connection error of type PROTOCOL_VIOLATION.
        if before.saturating_sub(self.reader.fields.remaining()) != value.size() {
            return Err(Malformed::violation(
                "frame type is not encoded in the shortest way",
            ));
        }
        self.check_rules(*frame_type)?;
        self.fields(*frame_type)
    }

    fn check_rules(&self, frame_type: FrameType) -> Result<(), Malformed> {
        // RFC 9000 §12.4: An endpoint MUST treat the receipt of a frame of unknown type as a
        // connection error of type FRAME_ENCODING_ERROR.
        const UNKNOWN: Malformed = Malformed::encoding("frame type is unknown");
        let rule = frame_type.rule().ok_or(UNKNOWN)?;
        let negotiated = match frame_type {
            FrameType::ACK_FREQUENCY | FrameType::IMMEDIATE_ACK => {
                self.rules.min_ack_delay.is_some()
            }
            FrameType::RESET_STREAM_AT => self.rules.reset_stream_at,
            // DATAGRAM has its own error for that.
            _ => true,
        };
        if !negotiated {
            return Err(UNKNOWN);
        }
        // RFC 9000 §12.4: An endpoint MUST treat receipt of a frame in a packet type that is not
        // permitted as a connection error of type PROTOCOL_VIOLATION.
        if !rule.permits(self.packet_type) {
            return Err(NOT_PERMITTED);
        }
        // RFC 9000 §19.7: A server MUST treat receipt of a NEW_TOKEN frame as a connection error of
        // type PROTOCOL_VIOLATION. §19.20: A server MUST treat receipt of a HANDSHAKE_DONE frame as
        // a connection error of type PROTOCOL_VIOLATION.
        match self.rules.role {
            Role::Server if rule.server_only() => {
                Err(Malformed::violation("frame is only for clients"))
            }
            Role::Server | Role::Client => Ok(()),
        }
    }

    /// Parses what follows the type.
    fn fields(&mut self, frame_type: FrameType) -> Result<Frame<'a>, Malformed> {
        use Directionality::{Bidirectional, Unidirectional};
        let fields = &mut self.reader.fields;
        Ok(match frame_type {
            FrameType::PADDING => Frame::Padding {
                length: skip_padding(fields).saturating_add(1),
            },
            FrameType::PING => Frame::Ping,
            // RFC 9000 §19.3: QUIC implementations MUST properly handle both types.
            FrameType::ACK => Frame::Ack(Ack::parse(fields, false)?),
            FrameType::ACK_ECN => Frame::Ack(Ack::parse(fields, true)?),
            FrameType::RESET_STREAM => Frame::ResetStream(ResetStream::parse(fields)?),
            FrameType::STOP_SENDING => Frame::StopSending(StopSending::parse(fields)?),
            FrameType::CRYPTO => Frame::Crypto(Crypto::parse(&mut self.reader)?),
            FrameType::NEW_TOKEN => Frame::NewToken {
                token: new_token(fields)?,
            },
            FrameType::MAX_DATA => Frame::MaxData {
                maximum: fields.varint()?,
            },
            FrameType::MAX_STREAM_DATA => Frame::MaxStreamData {
                id: StreamId::new(fields.varint()?),
                maximum: fields.varint()?,
            },
            FrameType::MAX_STREAMS_BIDI => Frame::MaxStreams {
                directionality: Bidirectional,
                maximum: stream_count(fields)?,
            },
            FrameType::MAX_STREAMS_UNI => Frame::MaxStreams {
                directionality: Unidirectional,
                maximum: stream_count(fields)?,
            },
            FrameType::DATA_BLOCKED => Frame::DataBlocked {
                maximum: fields.varint()?,
            },
            FrameType::STREAM_DATA_BLOCKED => Frame::StreamDataBlocked {
                id: StreamId::new(fields.varint()?),
                maximum: fields.varint()?,
            },
            FrameType::STREAMS_BLOCKED_BIDI => Frame::StreamsBlocked {
                directionality: Bidirectional,
                maximum: stream_count(fields)?,
            },
            FrameType::STREAMS_BLOCKED_UNI => Frame::StreamsBlocked {
                directionality: Unidirectional,
                maximum: stream_count(fields)?,
            },
            FrameType::NEW_CONNECTION_ID => Frame::NewConnectionId(NewConnectionId::parse(fields)?),
            FrameType::RETIRE_CONNECTION_ID => Frame::RetireConnectionId {
                sequence: fields.varint()?,
            },
            FrameType::PATH_CHALLENGE => Frame::PathChallenge {
                data: fields.array()?,
            },
            FrameType::PATH_RESPONSE => Frame::PathResponse {
                data: fields.array()?,
            },
            FrameType::CONNECTION_CLOSE => {
                Frame::ConnectionClose(ConnectionClose::parse(fields, false)?)
            }
            FrameType::APPLICATION_CLOSE => {
                Frame::ConnectionClose(ConnectionClose::parse(fields, true)?)
            }
            FrameType::HANDSHAKE_DONE => Frame::HandshakeDone,
            FrameType::RESET_STREAM_AT => Frame::ResetStreamAt(ResetStreamAt::parse(fields)?),
            FrameType::DATAGRAM => Frame::Datagram {
                data: datagram::parse(&mut self.reader, false, self.rules)?,
            },
            FrameType::DATAGRAM_LEN => Frame::Datagram {
                data: datagram::parse(&mut self.reader, true, self.rules)?,
            },
            FrameType::ACK_FREQUENCY => {
                Frame::AckFrequency(AckFrequency::parse(fields, self.rules)?)
            }
            FrameType::IMMEDIATE_ACK => Frame::ImmediateAck,
            // STREAM frames never come here, and `check_rules` has refused all types that are not
            // in the table.
            _ => return Err(Malformed::encoding("frame type is unknown")),
        })
    }
}

const NOT_PERMITTED: Malformed = Malformed::violation("frame is not permitted in this packet type");

impl<'a> Iterator for Frames<'a, '_> {
    type Item = Result<Frame<'a>, TransportError>;

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        let first = *self.reader.fields.rest().first()?;
        let mut frame_type = FrameType::new(u64::from(first));
        // Most packets are one STREAM frame.
        let frame = match first & stream::TYPE_MASK {
            stream::TYPE => self.stream(first).map(Frame::Stream),
            _ => self.other(&mut frame_type),
        };
        Some(frame.map_err(|malformed| self.refuse(malformed, frame_type)))
    }
}

/// Passes over PADDING frames and returns how many there were.
fn skip_padding(fields: &mut Reader<'_>) -> usize {
    let rest = fields.rest();
    let length = rest
        .iter()
        .position(|&byte| byte != 0)
        .unwrap_or(rest.len());
    fields.advance(length);
    length
}

fn new_token<'a>(fields: &mut Reader<'a>) -> Result<&'a [u8], Malformed> {
    let length = fields.varint()?;
    let token = fields.bytes_u64(length.get())?;
    // RFC 9000 §19.7: A client MUST treat receipt of a NEW_TOKEN frame with an empty Token field as
    // a connection error of type FRAME_ENCODING_ERROR.
    match token.is_empty() {
        true => Err(Malformed::encoding("token is empty")),
        false => Ok(token),
    }
}

/// Maximum Streams.
fn stream_count(fields: &mut Reader<'_>) -> Result<VarInt, Malformed> {
    let count = fields.varint()?;
    // RFC 9000 §19.11: Receipt of a frame that permits opening of a stream larger than this limit
    // MUST be treated as a connection error of type FRAME_ENCODING_ERROR. RFC 9000 §19.14: Receipt
    // of a frame that encodes a larger stream ID MUST be treated as a connection error of type
    // STREAM_LIMIT_ERROR or FRAME_ENCODING_ERROR. RFC 9000 §4.6: the connection MUST be closed
    // immediately with a connection error […] of type FRAME_ENCODING_ERROR if it was received in a
    // frame.
    match count > MAX_STREAMS {
        true => Err(Malformed::encoding("more than 2^60 streams")),
        false => Ok(count),
    }
}
