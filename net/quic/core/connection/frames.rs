// SPDX-License-Identifier: GPL-2.0 OR MIT

//! What each frame of the peer does.

use super::body::Reporter;
use super::receive::PacketContext;
use super::{CloseReason, Connection, Context, Environment, Event, ReceiveBuffer};
use crate::cid::ConnectionId;
use crate::error::{TransportError, TransportErrorCode};
use crate::frame::{
    Ack, AckFrequency, CloseCause, ConnectionClose, Crypto, Frame, FrameType, Frames,
    NewConnectionId, Payload, Stream,
};
use crate::loss::AckInfo;
use crate::packet::PacketType;
use crate::role::Role;
use crate::stream::FrameError;
use crate::time::Duration;
use crate::varint::VarInt;

impl<E: Environment> Connection<E> {
    /// Processes `frame`. If it is refused, the packet must not be acknowledged.
    pub(super) fn on_frame(
        &mut self,
        cx: &mut Context<'_, E>,
        frame: Frame<'_>,
        packet: &PacketContext<'_>,
        buffer: &mut impl ReceiveBuffer<Chunk = E::Rx>,
    ) -> Result<(), FrameError> {
        match frame {
            Frame::Stream(frame) => self.on_stream(cx, &frame, packet.payload_at, buffer),
            Frame::Ack(frame) => self.on_ack(cx, &frame, packet),
            // Those of a datagram have their turn when nothing can be refused any more.
            Frame::Padding { .. } | Frame::Ping | Frame::ImmediateAck | Frame::Datagram { .. } => {
                Ok(())
            }
            other => self.on_rare_frame(cx, other, packet, buffer),
        }
    }

    #[inline(always)]
    pub(super) fn on_stream(
        &mut self,
        cx: &mut Context<'_, E>,
        frame: &Stream<'_>,
        payload_at: usize,
        buffer: &mut impl ReceiveBuffer<Chunk = E::Rx>,
    ) -> Result<(), FrameError> {
        let data = chunk(payload_at, &frame.data, buffer)?;
        let Context { env, flags, .. } = cx;
        self.body
            .streams
            .on_stream(frame, data, *flags, &mut |event| {
                env.event(Event::Stream(event))
            })
    }

    #[inline(never)]
    fn on_ack(
        &mut self,
        cx: &mut Context<'_, E>,
        frame: &Ack<'_>,
        packet: &PacketContext<'_>,
    ) -> Result<(), FrameError> {
        let space = packet.packet_type.space();
        let exponent = match packet.packet_type {
            // RFC 9000 §13.2.5: the ACK Delay of Initial and Handshake packets is not to be
            // trusted, as the exponent is not known.
            PacketType::Initial | PacketType::Handshake | PacketType::ZeroRtt => 3,
            PacketType::OneRtt => self.peer_parameters().ack_delay_exponent,
        };
        let info = AckInfo::new(frame, exponent);
        let mut reporter = Reporter::new(&mut self.body, &mut *cx.env, cx.flags);
        let outcome = self.recovery.on_ack_received(
            space,
            &info,
            frame.ranges(),
            cx.now,
            &mut self.paths,
            &mut reporter,
        );
        reporter.finish();
        let outcome = outcome.map_err(|_| {
            // RFC 9000 §13.1: An endpoint SHOULD treat receipt of an acknowledgment for a
            // packet it did not send as a connection error of type PROTOCOL_VIOLATION.
            violation(FrameType::ACK, "packet acknowledged that was not sent")
        })?;
        self.stats.on_outcome(&outcome);
        Ok(())
    }

    /// Processes the DATAGRAM frames of a packet whose other frames have taken effect.
    ///
    /// A packet that was refused may come again, as a copy that the network has made. What its
    /// frames do a second time has no effect, but for these.
    pub(super) fn on_datagram_frames(
        &mut self,
        cx: &mut Context<'_, E>,
        payload: &[u8],
        packet: &PacketContext<'_>,
        buffer: &mut impl ReceiveBuffer<Chunk = E::Rx>,
    ) {
        let rules = self.rules;
        let Ok(mut frames) = Frames::new(payload, packet.packet_type, &rules) else {
            return;
        };
        while let Some(Ok(frame)) = frames.next() {
            if let Frame::Datagram { data } = frame {
                // RFC 9221 §5: without memory it is lost.
                let _ = self.on_datagram_frame(cx, &data, packet, buffer);
            }
        }
    }

    fn on_datagram_frame(
        &mut self,
        cx: &mut Context<'_, E>,
        data: &Payload<'_>,
        packet: &PacketContext<'_>,
        buffer: &mut impl ReceiveBuffer<Chunk = E::Rx>,
    ) -> Result<(), FrameError> {
        let chunk = chunk(packet.payload_at, data, buffer)?;
        let limit = self
            .config
            .recv_limit
            .saturating_sub(self.body.streams.recv_held());
        let streams = &mut self.body.streams;
        let readable = self
            .body
            .datagrams_in
            .on_datagram(chunk, limit, cx.flags, || streams.interject());
        if readable {
            cx.env.event(Event::Datagram);
        }
        Ok(())
    }

    fn on_rare_frame(
        &mut self,
        cx: &mut Context<'_, E>,
        frame: Frame<'_>,
        packet: &PacketContext<'_>,
        buffer: &mut impl ReceiveBuffer<Chunk = E::Rx>,
    ) -> Result<(), FrameError> {
        let flags = cx.flags;
        let streams = &mut self.body.streams;
        let env = &mut *cx.env;
        let events = &mut |event| env.event(Event::Stream(event));
        match frame {
            Frame::Crypto(frame) => return self.on_crypto(cx, &frame, packet, buffer),
            Frame::ResetStream(frame) => streams.on_reset_stream(&frame, flags, events)?,
            Frame::ResetStreamAt(frame) => streams.on_reset_stream_at(&frame, flags, events)?,
            Frame::StopSending(frame) => streams.on_stop_sending(&frame, flags, events)?,
            Frame::MaxData { maximum } => {
                if streams.on_max_data(maximum) {
                    cx.env.event(Event::MaxData { limit: maximum });
                }
            }
            Frame::MaxStreamData { id, maximum } => {
                streams.on_max_stream_data(id, maximum, flags, events)?;
            }
            Frame::MaxStreams {
                directionality,
                maximum,
            } => streams.on_max_streams(directionality, maximum, events),
            // It is up to the application to read, and so to raise the limits.
            Frame::DataBlocked { .. } | Frame::StreamsBlocked { .. } => {}
            Frame::StreamDataBlocked { id, .. } => streams.on_stream_data_blocked(id, flags)?,
            Frame::NewConnectionId(frame) => self.on_new_connection_id(cx, &frame)?,
            Frame::RetireConnectionId { sequence } => {
                self.on_retire_connection_id(cx, sequence, packet)?;
            }
            Frame::PathChallenge { data } => {
                if let Some(path) = self.paths.get_mut(packet.path) {
                    // RFC 9000 §8.2.2: an endpoint MUST respond by echoing the data contained in
                    // the PATH_CHALLENGE frame in a PATH_RESPONSE frame. […] A PATH_RESPONSE frame
                    // MUST be sent on the network path where the PATH_CHALLENGE frame was received.
                    // RFC 9000 §19.17: The recipient of this frame MUST generate a PATH_RESPONSE
                    // frame (Section 19.18) containing the same Data value.
                    path.responses.push(data);
                }
            }
            Frame::PathResponse { data } => self.on_path_response(cx, &data),
            Frame::NewToken { token } => cx.env.event(Event::NewToken(token)),
            Frame::HandshakeDone => self.confirm(cx),
            Frame::ConnectionClose(frame) => self.on_connection_close(cx, &frame),
            Frame::AckFrequency(frame) => self.on_ack_frequency(&frame),
            // They have been dealt with.
            Frame::Padding { .. }
            | Frame::Ping
            | Frame::ImmediateAck
            | Frame::Ack(_)
            | Frame::Stream(_)
            | Frame::Datagram { .. } => {}
        }
        Ok(())
    }

    fn on_crypto(
        &mut self,
        cx: &mut Context<'_, E>,
        frame: &Crypto<'_>,
        packet: &PacketContext<'_>,
        buffer: &mut impl ReceiveBuffer<Chunk = E::Rx>,
    ) -> Result<(), FrameError> {
        let space = packet.packet_type.space();
        let data = chunk(packet.payload_at, &frame.data, buffer)?;
        let Some(state) = self.body.space_mut(space) else {
            return Ok(());
        };
        let more = state.crypto.on_crypto(frame, data, cx.flags)?;
        if more {
            cx.env.event(Event::Crypto { space });
        }
        Ok(())
    }

    fn on_new_connection_id(
        &mut self,
        cx: &mut Context<'_, E>,
        frame: &NewConnectionId,
    ) -> Result<(), FrameError> {
        let displaced = self.body.remote_cids.on_new(frame, cx.flags)?;
        if displaced.reserved {
            self.forget_gone_cids();
        }
        cx.env.event(Event::CidReceived {
            sequence: frame.sequence.get(),
        });
        Ok(())
    }

    fn on_retire_connection_id(
        &mut self,
        cx: &mut Context<'_, E>,
        sequence: VarInt,
        packet: &PacketContext<'_>,
    ) -> Result<(), FrameError> {
        let used = ConnectionId::new(packet.dcid()).and_then(|cid| self.body.local_cids.find(&cid));
        let retired = self.body.local_cids.on_retire(sequence, used)?;
        if let Some(cid) = retired {
            cx.env.event(Event::CidRetired(cid));
        }
        Ok(())
    }

    fn on_connection_close(&mut self, cx: &mut Context<'_, E>, frame: &ConnectionClose<'_>) {
        let reason = frame.reason;
        let reason = match frame.cause {
            CloseCause::Application { code } => CloseReason::PeerApplication { code, reason },
            CloseCause::Transport { code, frame_type } => CloseReason::PeerTransport {
                code,
                frame_type,
                reason,
            },
        };
        self.drain(cx, reason);
    }

    fn on_ack_frequency(&mut self, frame: &AckFrequency) {
        self.body.application.receiver.on_ack_frequency(frame);
    }

    /// The parameters of the peer; before they are known, the defaults.
    pub(super) fn peer_parameters(&self) -> &crate::transport_parameters::TransportParameters {
        &self.peer
    }

    /// The longest that the peer delays an acknowledgment.
    pub(super) fn peer_max_ack_delay(&self) -> Duration {
        Duration::from_millis(u64::from(self.peer.max_ack_delay))
    }

    /// Whether this is a server.
    pub(super) fn is_server(&self) -> bool {
        self.role == Role::Server
    }
}

/// A reference to `data` of a packet whose payload begins at `payload_at` of the datagram.
#[inline]
fn chunk<B: ReceiveBuffer>(
    payload_at: usize,
    data: &Payload<'_>,
    buffer: &mut B,
) -> Result<B::Chunk, FrameError> {
    let start = payload_at.saturating_add(data.offset);
    let end = start.saturating_add(data.bytes.len());
    buffer
        .chunk(start..end, data.bytes)
        .map_err(FrameError::from)
}

pub(super) fn violation(frame_type: FrameType, reason: &'static str) -> TransportError {
    TransportError::new(
        TransportErrorCode::PROTOCOL_VIOLATION,
        frame_type.get(),
        reason,
    )
}
