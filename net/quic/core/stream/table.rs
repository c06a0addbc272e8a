// SPDX-License-Identifier: GPL-2.0 OR MIT

//! [`Streams`]: all streams of a connection, what they hold, and what they may send and receive.
//!
//! This file has the table itself: streams come into being here and end here. What else can be done
//! with them is beside it:
//!
//! | file      | who calls                 | what                                                   |
//! |-----------|---------------------------|--------------------------------------------------------|
//! | `open`    | the application           | open and choose a stream                               |
//! | `write`   | the application           | write, finish, reset, set the priority                 |
//! | `read`    | the application           | read, stop                                             |
//! | `input`   | the packet that came in   | frames of the peer                                     |
//! | `output`  | the packet that goes out  | frames to send, and what became of those that were sent |

use super::arrivals::{Arrivals, Stamp};
use super::entry::Stream;
use super::event::StreamEvent;
use super::index::{Index, Place};
use super::limits::{StreamLimits, StreamWindows};
use super::recv::RecvPart;
use super::room::Room;
use super::schedule::{Schedule, Slab};
use super::send::SendPart;
use super::state::{RecvState, SendState};
use crate::chunk::Chunk;
use crate::flow::{ReceiveWindow, SendWindow};
use crate::pool::{Pool, Slot};
use crate::role::Role;
use crate::stream_id::{Directionality, StreamId, MAX_STREAMS};
use core::mem::size_of;
use kernel::alloc::{AllocError, Flags, KBox};

/// What the streams of a connection may take.
#[derive(Copy, Clone, Debug)]
pub struct StreamConfig {
    /// What the peer may send before it hears more: our transport parameters.
    pub local: StreamLimits,
    /// The largest window of a stream and of the connection, in bytes.
    pub max_window: u64,
    /// The most memory that received data may hold, in bytes, overhead included: the receive
    /// buffer.
    pub recv_limit: usize,
}

/// The streams of a connection. `Tx` is what the application sends, `Rx` what is received.
///
/// The methods say what they need: time comes in where it matters, [`Flags`] wherever memory may be
/// needed. A method that fails has changed nothing, but that a frame of the peer opens the stream
/// it names before it is found that there is no room for what it carries; taking up a frame twice
/// does no harm.
pub struct Streams<Tx, Rx> {
    pub(super) role: Role,
    /// The largest window of a stream and of the connection, in bytes.
    pub(super) max_window: u64,
    /// The receive buffer, in bytes.
    recv_limit: usize,
    own: StreamWindows,
    pub(super) peer: StreamWindows,
    pub(super) slab: Slab,
    /// The stream that was found last.
    pub(super) last: (Option<StreamId>, Slot),
    /// Those that are opened here, by [`Directionality`].
    pub(super) local: [LocalStreams; 2],
    /// Those that the peer opens, by [`Directionality`].
    pub(super) remote: [RemoteStreams; 2],
    pub(super) schedule: Schedule,
    pub(super) arrivals: Arrivals,
    pub(super) tx: Pool<Tx>,
    pub(super) rx: Pool<Rx>,
    /// What may be sent on all streams, and of that: what was written, and what was sent, in
    /// bytes.
    pub(super) send_window: SendWindow,
    pub(super) written: u64,
    pub(super) sent: u64,
    /// What may be received on all streams, and of that: what was received, and what was consumed,
    /// in bytes.
    pub(super) recv_window: ReceiveWindow,
    pub(super) received: u64,
    pub(super) consumed: u64,
    /// Where data goes that is written without a stream.
    pub(super) active: Option<StreamId>,
    pub(super) pending: ConnectionPending,
    /// 0-RTT was rejected, and there are more streams than the peer allows.
    pub(super) held_back: bool,
    /// How many closed streams are kept because they have not been read.
    lingering: usize,
}

/// Streams that are opened here.
pub(super) struct LocalStreams {
    pub(super) index: Index,
    /// How many the peer allows.
    pub(super) window: SendWindow,
}

/// Streams that the peer opens.
pub(super) struct RemoteStreams {
    pub(super) index: Index,
    /// How many it may open: as many as at the beginning, and one for each that was closed.
    pub(super) limit: u64,
    /// The limit in the frame sent last.
    pub(super) signalled: u64,
}

/// A set of control frames of the connection.
#[derive(Copy, Clone, PartialEq, Eq, Debug, Default)]
pub(super) struct ConnectionPending(u8);

impl ConnectionPending {
    pub(super) const MAX_DATA: Self = Self(1);
    pub(super) const DATA_BLOCKED: Self = Self(2);

    pub(super) fn max_streams(directionality: Directionality) -> Self {
        match directionality {
            Directionality::Bidirectional => Self(4),
            Directionality::Unidirectional => Self(8),
        }
    }

    pub(super) fn streams_blocked(directionality: Directionality) -> Self {
        match directionality {
            Directionality::Bidirectional => Self(16),
            Directionality::Unidirectional => Self(32),
        }
    }

    #[inline]
    pub(super) fn is_empty(self) -> bool {
        self.0 == 0
    }

    pub(super) fn contains(self, frame: Self) -> bool {
        self.0 & frame.0 != 0
    }

    pub(super) fn insert(&mut self, frame: Self) {
        self.0 |= frame.0;
    }

    pub(super) fn remove(&mut self, frame: Self) {
        self.0 &= !frame.0;
    }
}

/// The two directionalities, in the order in which they are stored.
pub(super) const DIRECTIONALITIES: [Directionality; 2] = [
    Directionality::Bidirectional,
    Directionality::Unidirectional,
];

impl<Tx: Chunk, Rx: Chunk> Streams<Tx, Rx> {
    /// The streams of a new connection, of which the peer allows nothing yet.
    pub fn new(role: Role, config: StreamConfig) -> Self {
        let limits = StreamLimits::default();
        Self {
            role,
            max_window: config.max_window,
            recv_limit: config.recv_limit,
            own: config.local.windows(),
            peer: limits.windows(),
            slab: Slab::new(),
            last: (None, Slot::NONE),
            local: DIRECTIONALITIES.map(|kind| LocalStreams {
                index: Index::new(),
                window: SendWindow::new(limits.streams(kind)),
            }),
            remote: DIRECTIONALITIES.map(|kind| {
                let limit = config.local.streams(kind);
                RemoteStreams {
                    index: Index::new(),
                    limit,
                    signalled: limit,
                }
            }),
            schedule: Schedule::new(),
            arrivals: Arrivals::new(),
            tx: Pool::new(),
            rx: Pool::new(),
            send_window: SendWindow::new(limits.max_data.get()),
            written: 0,
            sent: 0,
            recv_window: ReceiveWindow::new(config.local.max_data.get()),
            received: 0,
            consumed: 0,
            active: None,
            pending: ConnectionPending::default(),
            held_back: false,
            lingering: 0,
        }
    }

    /// The peer allows this much: its transport parameters, or those remembered for 0-RTT and then
    /// its transport parameters.
    // RFC 9000 §7.4.1: the server MUST NOT reduce any limits or alter any values that might be
    // violated by the client with its 0-RTT data.
    pub fn set_peer_limits(&mut self, limits: &StreamLimits) {
        self.peer = limits.windows();
        self.send_window.raise(limits.max_data.get());
        for (local, kind) in self.local.iter_mut().zip(DIRECTIONALITIES) {
            local.window.raise(limits.streams(kind));
        }
        self.for_each_stream(|streams, slot| {
            let peer = streams.role.peer();
            let Some(stream) = streams.slab.get_mut(slot) else {
                return;
            };
            let limit = limits.windows().stream_data(peer, stream.id);
            if let Some(send) = &mut stream.send {
                send.on_max_stream_data(limit);
                if send.has_data() {
                    streams.schedule.want_data(&mut streams.slab, slot);
                }
            }
        });
        self.schedule.unpark(&mut self.slab);
    }

    /// The server has rejected 0-RTT: it has seen nothing of what was sent, and allows this much.
    ///
    /// The caller reports the 0-RTT packets as lost before this, so that the control frames in them
    /// are sent again. What was written is sent again from the beginning of each stream; a stream
    /// that this peer does not allow yet waits until it does.
    // RFC 9001 §4.6.2: The client therefore MUST reset the state of all streams, including
    // application state bound to those streams. (A program that wants to write anew resets the
    // streams itself.)
    pub fn on_early_data_rejected(&mut self, limits: &StreamLimits) {
        self.peer = limits.windows();
        self.send_window = SendWindow::new(limits.max_data.get());
        self.sent = 0;
        for (local, kind) in self.local.iter_mut().zip(DIRECTIONALITIES) {
            local.window = SendWindow::new(limits.streams(kind));
            if local.index.next() > local.window.limit() {
                self.held_back = true;
                local.window.block();
                self.pending
                    .insert(ConnectionPending::streams_blocked(kind));
            }
        }
        self.for_each_stream(|streams, slot| {
            let peer = streams.role.peer();
            let Some(stream) = streams.slab.get_mut(slot) else {
                return;
            };
            let limit = limits.windows().stream_data(peer, stream.id);
            let Some(send) = &mut stream.send else { return };
            let discarded = send.rewind(&mut streams.tx, limit, limits.reset_stream_at);
            streams.written = streams.written.saturating_sub(discarded);
            if send.has_data() {
                streams.schedule.want_data(&mut streams.slab, slot);
            }
            streams.want_reset(slot);
        });
        self.schedule.unpark(&mut self.slab);
    }

    /// Whether stream `id`, which was opened for 0-RTT, is one that the peer does not allow yet.
    // RFC 9000 §4.6: Endpoints MUST NOT exceed the limit set by their peer.
    pub(super) fn is_held_back(&self, id: StreamId) -> bool {
        self.held_back
            && id.initiator() == self.role
            && self
                .local
                .get(kind(id.directionality()))
                .is_some_and(|local| id.index() >= local.window.limit())
    }

    /// The peer allows more streams: those that waited for it may send.
    pub(super) fn release_held_back(&mut self) {
        if !self.held_back {
            return;
        }
        self.held_back = self
            .local
            .iter()
            .any(|local| local.index.next() > local.window.limit());
        self.for_each_stream(|streams, slot| {
            if streams
                .slab
                .get(slot)
                .is_some_and(|stream| !stream.pending.is_empty())
            {
                streams.schedule.want_control(&mut streams.slab, slot);
            }
        });
        self.schedule.unpark(&mut self.slab);
    }

    fn for_each_stream(&mut self, mut body: impl FnMut(&mut Self, Slot)) {
        let mut place = Some(Slot::FIRST);
        while let Some(slot) = place {
            place = self.slab.place_after(slot);
            body(self, slot);
        }
    }

    /// Changes how much memory received data may hold, and the largest window.
    pub fn set_recv_limits(&mut self, recv_limit: usize, max_window: u64) {
        self.recv_limit = recv_limit;
        self.max_window = max_window;
    }

    /// Gives memory back. For a connection that has become idle.
    pub(crate) fn trim(&mut self) {
        self.tx.trim();
        self.rx.trim();
        self.slab.trim();
        self.arrivals.trim();
        let local = self.local.iter_mut().map(|local| &mut local.index);
        let remote = self.remote.iter_mut().map(|remote| &mut remote.index);
        for index in local.chain(remote) {
            index.trim();
        }
    }

    /// The memory that received data holds, in bytes, overhead included.
    #[inline]
    pub fn recv_held(&self) -> usize {
        let lingering = match self.lingering {
            0 => 0,
            streams => streams.saturating_mul(size_of::<Stream>()),
        };
        self.rx
            .held()
            .saturating_add(self.arrivals.held())
            .saturating_add(lingering)
    }

    /// The memory that data to send holds, in bytes, overhead included, until it is acknowledged.
    pub fn send_held(&self) -> usize {
        self.tx.held()
    }

    /// How many bytes were written and never sent.
    pub fn unsent(&self) -> u64 {
        self.written.saturating_sub(self.sent)
    }

    /// How many bytes may be written, as far as the limit of the connection goes.
    pub fn credit(&self) -> u64 {
        self.send_window.available(self.written)
    }

    /// Where data goes that is written without a stream.
    pub fn active(&self) -> Option<StreamId> {
        self.active
    }

    /// The states of the two parts of stream `id`, while it exists.
    pub fn states(&self, id: StreamId) -> Option<(Option<SendState>, Option<RecvState>)> {
        let Place::Known(slot) = self.find(id) else {
            return None;
        };
        let stream = self.slab.get(slot).filter(|stream| !stream.closed)?;
        Some((
            stream.send.as_ref().map(SendPart::state),
            stream.recv.as_ref().map(RecvPart::state),
        ))
    }

    /// Something that is not stream data becomes readable now: a datagram.
    pub fn interject(&mut self) -> Stamp {
        self.arrivals.interject()
    }

    /// How much of the receive buffer is left.
    #[inline(always)]
    pub(super) fn room(&self) -> Room {
        Room::new(self.recv_limit, self.recv_held(), self.arrivals.is_empty())
    }

    fn index(&self, id: StreamId) -> Option<&Index> {
        let kind = kind(id.directionality());
        if id.initiator() == self.role {
            return self.local.get(kind).map(|local| &local.index);
        }
        self.remote.get(kind).map(|remote| &remote.index)
    }

    fn index_mut(&mut self, id: StreamId) -> Option<&mut Index> {
        let kind = kind(id.directionality());
        if id.initiator() == self.role {
            return self.local.get_mut(kind).map(|local| &mut local.index);
        }
        self.remote.get_mut(kind).map(|remote| &mut remote.index)
    }

    /// What is known of stream `id`.
    #[inline]
    pub(super) fn find(&self, id: StreamId) -> Place {
        if self.last.0 == Some(id) {
            return Place::Known(self.last.1);
        }
        self.index(id)
            .map_or(Place::Unopened, |index| index.find(id.index()))
    }

    /// The place of stream `id`, if it has state.
    #[inline(always)]
    pub(super) fn known(&mut self, id: StreamId) -> Option<Slot> {
        if self.last.0 == Some(id) {
            return Some(self.last.1);
        }
        let Place::Known(slot) = self.find(id) else {
            return None;
        };
        self.last = (Some(id), slot);
        Some(slot)
    }

    /// Gives stream `id`, which is unopened or untouched, its state; those below it are opened.
    // RFC 9000 §3.2: Before a stream is created, all streams of the same type with lower-numbered
    // stream IDs MUST be created.
    pub(super) fn create(&mut self, id: StreamId, flags: Flags) -> Result<Slot, AllocError> {
        let (own, one_way) = (
            id.initiator() == self.role,
            id.directionality() == Directionality::Unidirectional,
        );
        let send =
            (own || !one_way).then(|| SendPart::new(self.peer.stream_data(self.role.peer(), id)));
        let recv = (!own || !one_way).then(|| RecvPart::new(self.own.stream_data(self.role, id)));
        let stream = KBox::new(Stream::new(id, send, recv), flags)?;
        self.slab.reserve(1, flags)?;
        let Some(index) = self.index_mut(id) else {
            return Err(AllocError);
        };
        index.reserve(flags)?;
        // Nothing fails from here on.
        let newly_opened = id.index() >= index.next();
        let slot = self.slab.insert(stream).map_err(|_| AllocError)?;
        if let Some(index) = self.index_mut(id) {
            index.insert(id.index(), slot);
        }
        // The active stream is the most recently created stream we can send on: one opened here, or
        // a bidirectional stream just opened by the peer.
        if newly_opened && (own || !one_way) {
            self.active = Some(id);
        }
        self.last = (Some(id), slot);
        Ok(slot)
    }

    /// Data is no longer written to stream `id` unless it is asked for.
    pub(super) fn deactivate(&mut self, id: StreamId) {
        if self.active == Some(id) {
            self.active = None;
        }
    }

    /// Closes the stream at `slot` if both parts are over, and frees it if it is read as well.
    pub(super) fn settle(&mut self, slot: Slot) {
        let Some(stream) = self.slab.get_mut(slot) else {
            return;
        };
        if !stream.is_terminal() {
            return;
        }
        let id = stream.id;
        let unread = stream.is_unread();
        let newly_closed = !core::mem::replace(&mut stream.closed, true);
        if newly_closed {
            self.deactivate(id);
            self.replenish(id);
        }
        match (newly_closed, unread) {
            // Streams that nobody reads count with all their memory: nothing else limits how many
            // there are, as an empty stream needs no flow control credit.
            (true, true) => self.lingering = self.lingering.saturating_add(1),
            (false, false) => self.lingering = self.lingering.saturating_sub(1),
            _ => {}
        }
        if !unread {
            self.free(slot, id);
        }
    }

    /// Stream `id` is closed: the peer may open another in its place.
    // RFC 9000 §4.6: An endpoint MUST NOT wait to receive this signal before advertising additional
    // credit […] STREAMS_BLOCKED.
    fn replenish(&mut self, id: StreamId) {
        if id.initiator() == self.role {
            return;
        }
        if let Some(remote) = self.remote.get_mut(kind(id.directionality())) {
            if remote.limit < MAX_STREAMS.get() {
                remote.limit = remote.limit.saturating_add(1);
                self.pending
                    .insert(ConnectionPending::max_streams(id.directionality()));
            }
        }
    }

    fn free(&mut self, slot: Slot, id: StreamId) {
        if let Some(stream) = self.slab.get_mut(slot) {
            if let Some(send) = &mut stream.send {
                send.clear(&mut self.tx);
            }
            if let Some(recv) = &mut stream.recv {
                recv.clear(&mut self.rx);
            }
            self.arrivals.forget(stream);
        }
        self.schedule.remove(&mut self.slab, slot);
        self.slab.remove(slot);
        if let Some(index) = self.index_mut(id) {
            index.remove(id.index());
        }
        self.last = (None, Slot::NONE);
        self.arrivals.sweep(&mut self.slab);
    }

    /// Reports the end of the sending part of the stream at `slot`, if it was just reached.
    pub(super) fn report_send_end(&mut self, slot: Slot, events: &mut impl FnMut(StreamEvent)) {
        let Some(stream) = self.slab.get(slot) else {
            return;
        };
        let Some(send) = stream.send.as_ref().filter(|send| send.is_terminal()) else {
            return;
        };
        let (error_code, final_size) = send.reset_code().unwrap_or_default();
        events(StreamEvent::Send {
            id: stream.id,
            state: send.state(),
            error_code,
            final_size,
        });
        self.settle(slot);
    }
}

/// Where streams of that directionality are in [`Streams::local`] and [`Streams::remote`].
#[inline]
pub(super) fn kind(directionality: Directionality) -> usize {
    match directionality {
        Directionality::Bidirectional => 0,
        Directionality::Unidirectional => 1,
    }
}
