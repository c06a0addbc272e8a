// SPDX-License-Identifier: GPL-2.0 OR MIT

//! Frames of the peer.

use super::entry::Stream;
use super::event::StreamEvent;
use super::index::Place;
use super::recv::{Changes, Violation};
use super::room::Refused;
use super::state::{RecvState, SendState};
use super::table::{kind, ConnectionPending, Streams};
use crate::chunk::Chunk;
use crate::control_frame::frame_type;
use crate::error::{TransportError, TransportErrorCode};
use crate::offset::Offset;
use crate::pool::Slot;
use crate::stream_id::{Directionality, StreamId, MAX_STREAMS};
use crate::varint::VarInt;
use core::mem::size_of;
use kernel::alloc::{AllocError, Flags};

/// Why a frame of the peer was not taken up.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub enum FrameError {
    /// The peer broke a rule: the connection is to be closed.
    Transport(TransportError),
    /// There is no memory, or the receive buffer is full: the packet must not be acknowledged.
    Refused,
}

impl From<TransportError> for FrameError {
    fn from(error: TransportError) -> Self {
        Self::Transport(error)
    }
}

impl From<Refused> for FrameError {
    fn from(_: Refused) -> Self {
        Self::Refused
    }
}

impl From<AllocError> for FrameError {
    fn from(_: AllocError) -> Self {
        Self::Refused
    }
}

/// A RESET_STREAM or RESET_STREAM_AT frame.
#[derive(Copy, Clone, Debug)]
struct ResetFrame {
    frame_type: u64,
    id: StreamId,
    error_code: VarInt,
    final_size: Offset,
    reliable_size: Offset,
}

impl<Tx: Chunk, Rx: Chunk> Streams<Tx, Rx> {
    /// STREAM: `data` from `offset` on, and with `fin` nothing after it.
    #[inline]
    pub fn on_stream(
        &mut self,
        id: StreamId,
        offset: Offset,
        data: Rx,
        fin: bool,
        flags: Flags,
        events: &mut impl FnMut(StreamEvent),
    ) -> Result<(), FrameError> {
        let Some(slot) = self.receiving(id, frame_type::STREAM, flags)? else {
            return Ok(());
        };
        // RFC 9000 §19.8: The largest offset delivered on a stream cannot exceed 2^62-1. Receipt of a frame that exceeds this
        // limit MUST be treated as a connection error of type FRAME_ENCODING_ERROR or FLOW_CONTROL_ERROR.
        let end = offset
            .checked_add(data.len())
            .ok_or_else(|| flow_control(frame_type::STREAM, "offset beyond 2^62-1"))?;
        let room = self.room();
        let Some(stream) = self.slab.get_mut(slot) else {
            return Ok(());
        };
        let Some(recv) = stream.recv.as_mut() else {
            return Ok(());
        };
        let raised = recv
            .check(end, fin)
            .map_err(|violation| error(frame_type::STREAM, violation))?;
        check_connection(
            self.received,
            raised,
            self.recv_window.limit(),
            frame_type::STREAM,
        )?;
        if fin {
            // The end may be all that is left to read, and then the stream is kept for it.
            room.other(size_of::<Stream>())?;
        }
        self.arrivals.reserve(flags)?;
        let changes = recv.on_stream(&mut self.rx, offset, data, fin, room, flags)?;
        let stopped = recv.is_stopped();
        self.received = self.received.saturating_add(raised);
        if changes.readable {
            let end = recv.assembler().end();
            self.arrivals.extend(stream, slot, end);
        }
        if stopped {
            self.return_stream_credit(slot);
        }
        if changes.begun || changes.size_known || changes.over {
            self.on_received(slot, changes, events);
        }
        Ok(())
    }

    fn return_stream_credit(&mut self, slot: Slot) {
        let recv = self
            .slab
            .get_mut(slot)
            .and_then(|stream| stream.recv.as_mut());
        let credit = recv.map_or(0, |recv| recv.take_credit());
        self.return_credit(credit);
    }

    /// Reports what a frame changed, and closes the stream at `slot` if it is over.
    fn on_received(&mut self, slot: Slot, changes: Changes, events: &mut impl FnMut(StreamEvent)) {
        let Some(stream) = self.slab.get(slot) else {
            return;
        };
        let Some(recv) = stream.recv.as_ref() else {
            return;
        };
        let id = stream.id;
        let mut report = |state, error_code, final_size| {
            events(StreamEvent::Recv {
                id,
                state,
                error_code,
                final_size,
            });
        };
        let reset = recv.reset_code();
        // After STOP_SENDING, data is discarded silently.
        if changes.begun && !recv.is_stopped() {
            report(RecvState::Recv, VarInt::ZERO, Offset::ZERO);
        }
        match reset {
            Some((error_code, final_size)) if changes.over => {
                report(RecvState::ResetRecvd, error_code, final_size);
            }
            None if recv.is_stopped() => {}
            None if changes.over => report(RecvState::DataRecvd, VarInt::ZERO, recv.highest()),
            _ if changes.size_known => report(RecvState::SizeKnown, VarInt::ZERO, recv.highest()),
            _ => {}
        }
        if changes.over {
            self.settle(slot);
        }
    }

    /// RESET_STREAM.
    pub fn on_reset_stream(
        &mut self,
        id: StreamId,
        error_code: VarInt,
        final_size: Offset,
        flags: Flags,
        events: &mut impl FnMut(StreamEvent),
    ) -> Result<(), FrameError> {
        let reliable_size = Offset::ZERO;
        let frame_type = frame_type::RESET_STREAM;
        self.on_reset(
            ResetFrame {
                frame_type,
                id,
                error_code,
                final_size,
                reliable_size,
            },
            flags,
            events,
        )
    }

    /// RESET_STREAM_AT.
    pub fn on_reset_stream_at(
        &mut self,
        id: StreamId,
        error_code: VarInt,
        final_size: Offset,
        reliable_size: Offset,
        flags: Flags,
        events: &mut impl FnMut(StreamEvent),
    ) -> Result<(), FrameError> {
        let frame_type = frame_type::RESET_STREAM_AT;
        self.on_reset(
            ResetFrame {
                frame_type,
                id,
                error_code,
                final_size,
                reliable_size,
            },
            flags,
            events,
        )
    }

    fn on_reset(
        &mut self,
        frame: ResetFrame,
        flags: Flags,
        events: &mut impl FnMut(StreamEvent),
    ) -> Result<(), FrameError> {
        let ResetFrame {
            frame_type,
            id,
            error_code,
            final_size,
            reliable_size,
        } = frame;
        let Some(slot) = self.receiving(id, frame_type, flags)? else {
            return Ok(());
        };
        let Some(stream) = self.slab.get_mut(slot) else {
            return Ok(());
        };
        let Some(recv) = stream.recv.as_mut() else {
            return Ok(());
        };
        let raised = recv
            .check_reset(error_code, final_size, reliable_size)
            .map_err(|violation| error(frame_type, violation))?;
        check_connection(self.received, raised, self.recv_window.limit(), frame_type)?;
        let changes = recv.on_reset(&mut self.rx, error_code, final_size, reliable_size);
        self.received = self.received.saturating_add(raised);
        if !recv.is_unread() {
            self.arrivals.forget(stream);
        }
        self.return_stream_credit(slot);
        self.on_received(slot, changes, events);
        self.arrivals.sweep(&mut self.slab);
        Ok(())
    }

    /// STOP_SENDING.
    pub fn on_stop_sending(
        &mut self,
        id: StreamId,
        error_code: VarInt,
        flags: Flags,
        events: &mut impl FnMut(StreamEvent),
    ) -> Result<(), FrameError> {
        let Some(slot) = self.sending(id, frame_type::STOP_SENDING, flags)? else {
            return Ok(());
        };
        let Some(send) = self
            .slab
            .get_mut(slot)
            .and_then(|stream| stream.send.as_mut())
        else {
            return Ok(());
        };
        let Some(discarded) = send.on_stop_sending(&mut self.tx, error_code) else {
            return Ok(());
        };
        let (error_code, final_size) = send.reset_code().unwrap_or_default();
        self.on_reset_begun(slot, id, discarded);
        events(StreamEvent::Send {
            id,
            state: SendState::ResetSent,
            error_code,
            final_size,
        });
        Ok(())
    }

    /// MAX_DATA.
    pub fn on_max_data(&mut self, limit: VarInt) {
        if self.send_window.raise(limit.get()) {
            self.pending.remove(ConnectionPending::DATA_BLOCKED);
            self.schedule.unpark(&mut self.slab);
        }
    }

    /// MAX_STREAM_DATA.
    pub fn on_max_stream_data(
        &mut self,
        id: StreamId,
        limit: VarInt,
        flags: Flags,
        events: &mut impl FnMut(StreamEvent),
    ) -> Result<(), FrameError> {
        let Some(slot) = self.sending(id, frame_type::MAX_STREAM_DATA, flags)? else {
            return Ok(());
        };
        let Some(send) = self
            .slab
            .get_mut(slot)
            .and_then(|stream| stream.send.as_mut())
        else {
            return Ok(());
        };
        if send.on_max_stream_data(limit.get()) {
            // RFC 9000 §3.1: The endpoint can safely ignore any MAX_STREAM_DATA frames it receives from its peer for a stream in
            // the "Data Sent" state.
            if send.check_writable().is_ok() {
                events(StreamEvent::MaxStreamData { id, limit });
            }
            if send.has_data() {
                self.schedule.want_data(&mut self.slab, slot);
            }
        }
        Ok(())
    }

    /// MAX_STREAMS.
    pub fn on_max_streams(
        &mut self,
        directionality: Directionality,
        limit: VarInt,
        events: &mut impl FnMut(StreamEvent),
    ) -> Result<(), TransportError> {
        let frame_type = match directionality {
            Directionality::Bidirectional => frame_type::MAX_STREAMS_BIDI,
            Directionality::Unidirectional => frame_type::MAX_STREAMS_UNI,
        };
        check_count(limit, frame_type)?;
        let raised = self
            .local
            .get_mut(kind(directionality))
            .is_some_and(|local| local.window.raise(limit.get()));
        let highest = limit
            .get()
            .checked_sub(1)
            .and_then(|last| StreamId::nth(self.role, directionality, last));
        if let Some(highest) = highest.filter(|_| raised) {
            self.pending
                .remove(ConnectionPending::streams_blocked(directionality));
            events(StreamEvent::MaxStreams { highest });
        }
        Ok(())
    }

    /// STREAM_DATA_BLOCKED.
    pub fn on_stream_data_blocked(&mut self, id: StreamId, flags: Flags) -> Result<(), FrameError> {
        // RFC 9000 §3.2: The receiving part of a stream is created when the first STREAM_DATA_BLOCKED frame is received. Nothing
        // else follows from it: limits move when data is consumed (§4.2).
        self.receiving(id, frame_type::STREAM_DATA_BLOCKED, flags)
            .map(drop)
    }

    /// STREAMS_BLOCKED.
    pub fn on_streams_blocked(
        &mut self,
        directionality: Directionality,
        limit: VarInt,
    ) -> Result<(), TransportError> {
        check_count(
            limit,
            match directionality {
                Directionality::Bidirectional => frame_type::STREAMS_BLOCKED_BIDI,
                Directionality::Unidirectional => frame_type::STREAMS_BLOCKED_UNI,
            },
        )
    }

    /// The place of stream `id`, on which the peer sends; `None` if it is over.
    #[inline]
    fn receiving(
        &mut self,
        id: StreamId,
        frame_type: u64,
        flags: Flags,
    ) -> Result<Option<Slot>, FrameError> {
        if let Some(slot) = self.known(id) {
            if id.directionality() == Directionality::Bidirectional || id.initiator() != self.role {
                return Ok(Some(slot));
            }
        }
        self.named_by_peer(id, frame_type, id.initiator() == self.role, flags)
    }

    /// The place of stream `id`, on which we send; `None` if it is over.
    fn sending(
        &mut self,
        id: StreamId,
        frame_type: u64,
        flags: Flags,
    ) -> Result<Option<Slot>, FrameError> {
        self.named_by_peer(id, frame_type, id.initiator() != self.role, flags)
    }

    /// The place of stream `id`, for a frame that is not for unidirectional streams that are opened here, if `wrong_way`, or by the
    /// peer. The stream comes into being if the peer may open it.
    fn named_by_peer(
        &mut self,
        id: StreamId,
        frame_type: u64,
        wrong_way: bool,
        flags: Flags,
    ) -> Result<Option<Slot>, FrameError> {
        let state_error = |reason| {
            TransportError::new(TransportErrorCode::STREAM_STATE_ERROR, frame_type, reason)
        };
        // RFC 9000 §19.4, §19.8, §19.13: a frame for a send-only stream; §19.5, §19.10: a frame for a receive-only stream MUST
        // terminate the connection with error STREAM_STATE_ERROR.
        if wrong_way && id.directionality() == Directionality::Unidirectional {
            return Err(state_error("the stream goes the other way").into());
        }
        match self.find(id) {
            Place::Known(slot) => {
                self.last = (Some(id), slot);
                Ok(Some(slot))
            }
            Place::Closed => Ok(None),
            // RFC 9000 §19.5, §19.8, §19.10: a frame for a locally initiated stream that has not yet been created.
            Place::Unopened if id.initiator() == self.role => {
                Err(state_error("the stream was not opened").into())
            }
            Place::Unopened | Place::Untouched => {
                // RFC 9000 §4.6: An endpoint that receives a frame with a stream ID exceeding the limit it has sent MUST treat this
                // as a connection error of type STREAM_LIMIT_ERROR.
                let limit = self
                    .remote
                    .get(kind(id.directionality()))
                    .map_or(0, |remote| remote.limit);
                if id.initiator() != self.role && id.index() >= limit {
                    let code = TransportErrorCode::STREAM_LIMIT_ERROR;
                    return Err(TransportError::new(
                        code,
                        frame_type,
                        "more streams than the limit",
                    )
                    .into());
                }
                Ok(Some(self.create(id, flags)?))
            }
        }
    }
}

// RFC 9000 §4.6: If a MAX_STREAMS frame is received with a value greater than 2^60, the connection MUST be closed immediately with a
// connection error of type FRAME_ENCODING_ERROR; §19.14 says the same of STREAMS_BLOCKED.
fn check_count(limit: VarInt, frame_type: u64) -> Result<(), TransportError> {
    if limit > MAX_STREAMS {
        let code = TransportErrorCode::FRAME_ENCODING_ERROR;
        return Err(TransportError::new(
            code,
            frame_type,
            "more than 2^60 streams",
        ));
    }
    Ok(())
}

// RFC 9000 §4.1: A receiver MUST close the connection with an error of type FLOW_CONTROL_ERROR if the sender violates the advertised
// connection or stream data limits.
#[inline]
fn check_connection(
    received: u64,
    raised: u64,
    limit: u64,
    frame_type: u64,
) -> Result<(), TransportError> {
    if received.saturating_add(raised) > limit {
        return Err(flow_control(
            frame_type,
            "more data than the limit of the connection",
        ));
    }
    Ok(())
}

#[cold]
fn flow_control(frame_type: u64, reason: &'static str) -> TransportError {
    TransportError::new(TransportErrorCode::FLOW_CONTROL_ERROR, frame_type, reason)
}

#[cold]
fn error(frame_type: u64, (code, reason): Violation) -> TransportError {
    TransportError::new(code, frame_type, reason)
}
