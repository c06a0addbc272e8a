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
use crate::error::{TransportError, TransportErrorCode};
use crate::frame::{self, FrameType, ResetStream, ResetStreamAt, StopSending};
use crate::offset::Offset;
use crate::pool::Slot;
use crate::stream_id::{Directionality, StreamId};
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

impl<Tx: Chunk, Rx: Chunk> Streams<Tx, Rx> {
    /// STREAM, of which `data` is the data.
    #[inline(always)]
    pub fn on_stream(
        &mut self,
        frame: &frame::Stream<'_>,
        data: Rx,
        flags: Flags,
        events: &mut impl FnMut(StreamEvent),
    ) -> Result<(), FrameError> {
        let (id, offset, fin) = (frame.id, Offset::from(frame.offset), frame.fin);
        let Some(slot) = self.receiving(id, FrameType::STREAM, flags)? else {
            return Ok(());
        };
        let end = offset + data.len();
        let room = self.room();
        let Some(stream) = self.slab.get_mut(slot) else {
            return Ok(());
        };
        let Some(recv) = stream.recv.as_mut() else {
            return Ok(());
        };
        let raised = recv
            .check(end, fin)
            .map_err(|violation| error(FrameType::STREAM, violation))?;
        check_connection(
            self.received,
            raised,
            self.recv_window.limit(),
            FrameType::STREAM,
        )?;
        if recv.is_next(offset, fin) && data.len() > 0 {
            room.in_order(&data)?;
            self.arrivals.reserve(flags)?;
            recv.append(&mut self.rx, end, data, flags)?;
            self.received = self.received.saturating_add(raised);
            self.arrivals.extend(stream, slot, end);
            return Ok(());
        }
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

    #[cold]
    fn return_stream_credit(&mut self, slot: Slot) {
        let recv = self
            .slab
            .get_mut(slot)
            .and_then(|stream| stream.recv.as_mut());
        let credit = recv.map_or(0, |recv| recv.take_credit());
        self.return_credit(credit);
    }

    /// Reports what a frame changed, and closes the stream at `slot` if it is over.
    #[cold]
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
        frame: &ResetStream,
        flags: Flags,
        events: &mut impl FnMut(StreamEvent),
    ) -> Result<(), FrameError> {
        self.on_reset(FrameType::RESET_STREAM, frame, Offset::ZERO, flags, events)
    }

    /// RESET_STREAM_AT.
    pub fn on_reset_stream_at(
        &mut self,
        frame: &ResetStreamAt,
        flags: Flags,
        events: &mut impl FnMut(StreamEvent),
    ) -> Result<(), FrameError> {
        let reliable = Offset::from(frame.reliable_size);
        self.on_reset(
            FrameType::RESET_STREAM_AT,
            &frame.reset,
            reliable,
            flags,
            events,
        )
    }

    fn on_reset(
        &mut self,
        frame_type: FrameType,
        frame: &ResetStream,
        reliable: Offset,
        flags: Flags,
        events: &mut impl FnMut(StreamEvent),
    ) -> Result<(), FrameError> {
        let (code, size) = (frame.error, Offset::from(frame.final_size));
        let Some(slot) = self.receiving(frame.id, frame_type, flags)? else {
            return Ok(());
        };
        let Some(stream) = self.slab.get_mut(slot) else {
            return Ok(());
        };
        let Some(recv) = stream.recv.as_mut() else {
            return Ok(());
        };
        // RFC 9000 §4.5: The receiver MUST use the final size of the stream to account for all
        // bytes sent on the stream in its connection-level flow controller.
        let raised = recv
            .check_reset(code, size)
            .map_err(|violation| error(frame_type, violation))?;
        check_connection(self.received, raised, self.recv_window.limit(), frame_type)?;
        let changes = recv.on_reset(&mut self.rx, code, size, reliable);
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
        frame: &StopSending,
        flags: Flags,
        events: &mut impl FnMut(StreamEvent),
    ) -> Result<(), FrameError> {
        let id = frame.id;
        let Some(slot) = self.sending(id, FrameType::STOP_SENDING, flags)? else {
            return Ok(());
        };
        let Some(send) = self
            .slab
            .get_mut(slot)
            .and_then(|stream| stream.send.as_mut())
        else {
            return Ok(());
        };
        let Some(discarded) = send.on_stop_sending(&mut self.tx, frame.error) else {
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

    /// MAX_DATA. Returns whether more may be sent than before.
    pub fn on_max_data(&mut self, maximum: VarInt) -> bool {
        let raised = self.send_window.raise(maximum.get());
        if raised {
            self.pending.remove(ConnectionPending::DATA_BLOCKED);
            self.schedule.unpark(&mut self.slab);
        }
        raised
    }

    /// MAX_STREAM_DATA.
    pub fn on_max_stream_data(
        &mut self,
        id: StreamId,
        maximum: VarInt,
        flags: Flags,
        events: &mut impl FnMut(StreamEvent),
    ) -> Result<(), FrameError> {
        let Some(slot) = self.sending(id, FrameType::MAX_STREAM_DATA, flags)? else {
            return Ok(());
        };
        let Some(send) = self
            .slab
            .get_mut(slot)
            .and_then(|stream| stream.send.as_mut())
        else {
            return Ok(());
        };
        if send.on_max_stream_data(maximum.get()) {
            // RFC 9000 §3.1: The endpoint can safely ignore any MAX_STREAM_DATA frames it receives
            // from its peer for a stream in the "Data Sent" state.
            if send.check_writable().is_ok() {
                events(StreamEvent::MaxStreamData { id, limit: maximum });
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
        maximum: VarInt,
        events: &mut impl FnMut(StreamEvent),
    ) {
        // RFC 9000 §4.6, §19.11: MAX_STREAMS frames that do not increase the stream limit MUST be
        // ignored.
        let raised = self
            .local
            .get_mut(kind(directionality))
            .is_some_and(|local| local.window.raise(maximum.get()));
        let highest = maximum
            .get()
            .checked_sub(1)
            .and_then(|last| StreamId::nth(self.role, directionality, last));
        if let Some(highest) = highest.filter(|_| raised) {
            self.pending
                .remove(ConnectionPending::streams_blocked(directionality));
            self.release_held_back();
            events(StreamEvent::MaxStreams { highest });
        }
    }

    /// STREAM_DATA_BLOCKED.
    pub fn on_stream_data_blocked(&mut self, id: StreamId, flags: Flags) -> Result<(), FrameError> {
        // RFC 9000 §3.2: The receiving part of a stream is created when the first
        // STREAM_DATA_BLOCKED frame is received. Nothing else follows from it: limits move when
        // data is consumed (§4.2).
        self.receiving(id, FrameType::STREAM_DATA_BLOCKED, flags)
            .map(drop)
    }

    /// The place of stream `id`, on which the peer sends; `None` if it is over.
    #[inline(always)]
    fn receiving(
        &mut self,
        id: StreamId,
        frame_type: FrameType,
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
        frame_type: FrameType,
        flags: Flags,
    ) -> Result<Option<Slot>, FrameError> {
        self.named_by_peer(id, frame_type, id.initiator() != self.role, flags)
    }

    /// The place of stream `id`, for a frame that is not for unidirectional streams that are opened
    /// here, if `wrong_way`, or by the peer. The stream comes into being if the peer may open it.
    fn named_by_peer(
        &mut self,
        id: StreamId,
        frame_type: FrameType,
        wrong_way: bool,
        flags: Flags,
    ) -> Result<Option<Slot>, FrameError> {
        let state_error = |reason| {
            TransportError::new(
                TransportErrorCode::STREAM_STATE_ERROR,
                frame_type.get(),
                reason,
            )
        };
        // A frame for a send-only stream: [rfc9000-19.4-1] [rfc9000-19.8-1] [rfc9000-19.13-1]; for
        // a receive-only stream: [rfc9000-19.5-2] [rfc9000-19.10-2].
        if wrong_way && id.directionality() == Directionality::Unidirectional {
            return Err(state_error("the stream goes the other way").into());
        }
        match self.find(id) {
            Place::Known(slot) => {
                self.last = (Some(id), slot);
                Ok(Some(slot))
            }
            Place::Closed => Ok(None),
            // A frame for a locally initiated stream that has not yet been created:
            // [rfc9000-19.5-1] [rfc9000-19.8-1] [rfc9000-19.10-1].
            Place::Unopened if id.initiator() == self.role => {
                Err(state_error("the stream was not opened").into())
            }
            Place::Unopened | Place::Untouched => {
                // RFC 9000 §4.6: An endpoint that receives a frame with a stream ID exceeding the
                // limit it has sent MUST treat this as a connection error of type
                // STREAM_LIMIT_ERROR.
                let limit = self
                    .remote
                    .get(kind(id.directionality()))
                    .map_or(0, |remote| remote.limit);
                if id.initiator() != self.role && id.index() >= limit {
                    // RFC 9000 §19.11: An endpoint MUST terminate a connection with an error of
                    // type STREAM_LIMIT_ERROR if a peer opens more streams than was permitted.
                    let code = TransportErrorCode::STREAM_LIMIT_ERROR;
                    return Err(TransportError::new(
                        code,
                        frame_type.get(),
                        "more streams than the limit",
                    )
                    .into());
                }
                Ok(Some(self.create(id, flags)?))
            }
        }
    }
}

// RFC 9000 §4.1: A receiver MUST close the connection with an error of type FLOW_CONTROL_ERROR if
// the sender violates the advertised connection or stream data limits.
// RFC 9000 §19.9: An endpoint MUST terminate a connection with an error of type FLOW_CONTROL_ERROR
// if it receives more data than the maximum data value that it has sent.
#[inline]
fn check_connection(
    received: u64,
    raised: u64,
    limit: u64,
    frame_type: FrameType,
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
fn flow_control(frame_type: FrameType, reason: &'static str) -> TransportError {
    TransportError::new(
        TransportErrorCode::FLOW_CONTROL_ERROR,
        frame_type.get(),
        reason,
    )
}

#[cold]
fn error(frame_type: FrameType, (code, reason): Violation) -> TransportError {
    TransportError::new(code, frame_type.get(), reason)
}
