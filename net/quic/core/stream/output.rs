// SPDX-License-Identifier: GPL-2.0 OR MIT

//! Frames to send, and what became of those that were sent.

use super::entry::{Pending, Stream};
use super::event::StreamEvent;
use super::frame::StreamFrame;
use super::send::{Tail, Turn};
use super::send_buffer::{only_piece, pieces, Piece};
use super::table::{kind, ConnectionPending, Streams, DIRECTIONALITIES};
use crate::bytes::Writer;
use crate::chunk::Chunk;
use crate::frame::{Frame, ResetStream, ResetStreamAt, StopSending};
use crate::offset::{bytes, Offset};
use crate::sent_frame::SentFrame;
use crate::stream_id::StreamId;
use crate::varint::VarInt;
use core::ops::Range;
use kernel::alloc::Flags;

impl<Tx: Chunk, Rx: Chunk> Streams<Tx, Rx> {
    /// Whether [`Self::poll_control`] has a frame.
    #[inline]
    pub fn has_control(&self) -> bool {
        !self.pending.is_empty() || self.schedule.next_control().is_some()
    }

    /// Whether [`Self::poll_stream`] may have a frame, flow control aside.
    #[inline]
    pub fn has_stream(&self, tail: Tail) -> bool {
        self.schedule.has_data(tail)
    }

    /// The next control frame to send, if it fits in `space` bytes. It counts as sent.
    pub fn poll_control(&mut self, space: usize) -> Option<Frame<'static>> {
        if !self.pending.is_empty() {
            if let Some(frame) = self.connection_control(space) {
                return Some(frame);
            }
        }
        while let Some(slot) = self.schedule.next_control() {
            if self.is_held_back(self.slab.get(slot)?.id) {
                self.schedule.end_control(&mut self.slab, slot);
                continue;
            }
            let stream = self.slab.get_mut(slot)?;
            let pending = Pending::ALL
                .into_iter()
                .find(|frame| stream.pending.contains(*frame))
                .unwrap_or_default();
            let frame = control_frame(stream, pending);
            if frame.as_ref().is_some_and(|frame| frame.size() > space) {
                return None;
            }
            stream.pending.remove(pending);
            let done = stream.pending.is_empty();
            if frame.is_some() {
                on_control_sent(stream, pending);
            }
            if done {
                self.schedule.end_control(&mut self.slab, slot);
            }
            // A frame that was not needed any more is passed over.
            if frame.is_some() {
                return frame;
            }
        }
        None
    }

    fn connection_control(&mut self, space: usize) -> Option<Frame<'static>> {
        let mut due = |pending: ConnectionPending, frame: Frame<'static>| {
            let due = self.pending.contains(pending) && frame.size() <= space;
            if due {
                self.pending.remove(pending);
            }
            due.then_some(frame)
        };
        for (remote, directionality) in self.remote.iter_mut().zip(DIRECTIONALITIES) {
            let maximum = VarInt::saturating(remote.limit);
            let frame = Frame::MaxStreams {
                directionality,
                maximum,
            };
            if let Some(frame) = due(ConnectionPending::max_streams(directionality), frame) {
                remote.signalled = maximum.get();
                return Some(frame);
            }
        }
        let maximum = VarInt::saturating(self.recv_window.limit());
        if let Some(frame) = due(ConnectionPending::MAX_DATA, Frame::MaxData { maximum }) {
            self.recv_window.signal();
            return Some(frame);
        }
        // RFC 9000 §13.3: These frames always include the limit that is causing blocking at the
        // time that they are transmitted.
        let maximum = VarInt::saturating(self.send_window.limit());
        if let Some(frame) = due(
            ConnectionPending::DATA_BLOCKED,
            Frame::DataBlocked { maximum },
        ) {
            return Some(frame);
        }
        self.local
            .iter()
            .zip(DIRECTIONALITIES)
            .find_map(|(local, directionality)| {
                let maximum = VarInt::saturating(local.window.limit());
                let frame = Frame::StreamsBlocked {
                    directionality,
                    maximum,
                };
                due(ConnectionPending::streams_blocked(directionality), frame)
            })
    }

    /// The next STREAM frame for the `space` bytes that are left in a packet, written with a Length
    /// field. It counts as sent.
    ///
    /// Data that does not fill the space is left out where `tail` says so. The caller copies
    /// [`Self::pieces`] into the packet and stores [`StreamFrame::record`] with it.
    #[inline]
    pub fn poll_stream(&mut self, space: usize, tail: Tail, flags: Flags) -> Option<StreamFrame> {
        loop {
            let slot = self.schedule.next_data(&mut self.slab, tail)?;
            let id = self.slab.get(slot)?.id;
            if self.is_held_back(id) {
                self.schedule.park(&mut self.slab, slot, None);
                continue;
            }
            let stream = self.slab.get_mut(slot)?;
            let Some(send) = stream.send.as_mut() else {
                self.schedule.end_data(&mut self.slab, slot);
                continue;
            };
            // RFC 9000 §2.2: An endpoint MUST NOT send data on any stream without ensuring that it
            // is within the flow control limits set by its peer. RFC 9000 §19.9: The sum of the
            // final sizes on all streams -- including streams in terminal states -- MUST NOT exceed
            // the value advertised by a receiver.
            let credit = self.send_window.available(self.sent);
            match send.next_frame(&self.tx, id, space, credit, tail, flags) {
                Turn::Frame { frame, new } => {
                    self.sent = self.sent.saturating_add(new);
                    let reset_is_due = send.reset_is_due();
                    if send.has_data() {
                        self.schedule.on_sent(&mut self.slab, slot, frame.len);
                    } else {
                        self.schedule.end_data(&mut self.slab, slot);
                    }
                    if reset_is_due {
                        self.want_reset(slot);
                    }
                    return Some(frame);
                }
                Turn::NoSpace => return None,
                Turn::Nothing => self.schedule.end_data(&mut self.slab, slot),
                Turn::Held => self.schedule.park(&mut self.slab, slot, Some(tail)),
                Turn::ConnectionBlocked => {
                    self.schedule.park(&mut self.slab, slot, None);
                    // RFC 9000 §4.1: A sender SHOULD send a STREAM_DATA_BLOCKED or DATA_BLOCKED
                    // frame to indicate to the receiver that it has data to write but is blocked by
                    // flow control limits.
                    if self.send_window.block() {
                        self.pending.insert(ConnectionPending::DATA_BLOCKED);
                    }
                }
                Turn::Blocked => {
                    let new = send.block();
                    self.schedule.end_data(&mut self.slab, slot);
                    if new {
                        self.want_control(slot, Pending::DATA_BLOCKED);
                    }
                }
            }
        }
    }

    /// As [`Self::poll_stream`], if the stream that is next has more new data than fits in the
    /// packet, and nothing to say beside it. The frame is the last of its packet, so it has no
    /// Length field (RFC 9000 §19.8): everything before the data is written here, and what remains
    /// of the packet after that is for the data. Without such a frame nothing has changed but what
    /// `writer` has written.
    #[inline(always)]
    pub fn poll_full(&mut self, writer: &mut Writer<'_>) -> Option<StreamFrame> {
        if self.held_back {
            return None;
        }
        let slot = self.schedule.first_ready()?;
        let stream = self.slab.get_mut(slot)?;
        let (id, send) = (stream.id, stream.send.as_mut()?);
        let credit = self.send_window.available(self.sent);
        let frame = send.next_full_frame(&self.tx, id, credit, writer)?;
        self.sent = self.sent.saturating_add(bytes(frame.len));
        let turn = stream.links.count(frame.len);
        if turn {
            self.schedule.end_turn(&mut self.slab, slot);
        }
        Some(frame)
    }

    /// The data of `frame`, which [`Self::poll_stream`] has just returned, if it is in one chunk.
    #[inline(always)]
    pub fn only_piece(&self, frame: &StreamFrame) -> Option<Piece<'_, Tx>> {
        only_piece(&self.tx, frame.at, frame.len)
    }

    /// The data of `frame`, which [`Self::poll_stream`] has just returned.
    pub fn pieces<'a>(&'a self, frame: &StreamFrame) -> impl Iterator<Item = Piece<'a, Tx>> {
        pieces(&self.tx, frame.at, frame.len)
    }

    /// The packet with `frame` was acknowledged.
    #[inline]
    pub fn on_acked(
        &mut self,
        frame: &SentFrame,
        flags: Flags,
        events: &mut impl FnMut(StreamEvent),
    ) {
        match *frame {
            SentFrame::Stream {
                id,
                offset,
                len,
                fin,
            } => {
                let range = offset..offset + usize::from(len);
                self.on_data_acked(id, range, fin, flags, events);
            }
            SentFrame::ResetStream { id, reliable } => {
                let Some(slot) = self.known(id) else { return };
                let Some(send) = self
                    .slab
                    .get_mut(slot)
                    .and_then(|stream| stream.send.as_mut())
                else {
                    return;
                };
                let was_terminal = send.is_terminal();
                send.on_reset_acked(reliable);
                if send.is_terminal() && !was_terminal {
                    self.report_send_end(slot, events);
                }
            }
            SentFrame::StopSending { id } => {
                let Some(slot) = self.known(id) else { return };
                if let Some(recv) = self
                    .slab
                    .get_mut(slot)
                    .and_then(|stream| stream.recv.as_mut())
                {
                    recv.on_stop_acked();
                    self.settle(slot);
                }
            }
            _ => {}
        }
    }

    /// The packets with `range` of stream `id` were acknowledged, with its end if `fin` says so.
    pub fn on_data_acked(
        &mut self,
        id: StreamId,
        range: Range<Offset>,
        fin: bool,
        flags: Flags,
        events: &mut impl FnMut(StreamEvent),
    ) {
        let Some(slot) = self.known(id) else { return };
        let Some(send) = self
            .slab
            .get_mut(slot)
            .and_then(|stream| stream.send.as_mut())
        else {
            return;
        };
        let was_terminal = send.is_terminal();
        send.on_acked(&mut self.tx, range, fin, flags);
        let has_lost = send.has_lost();
        if send.is_terminal() && !was_terminal {
            self.report_send_end(slot, events);
        } else if has_lost {
            // There was no memory to note what arrived: it is sent again.
            self.schedule.want_data(&mut self.slab, slot);
        }
    }

    /// The packet with `frame` was lost: what is still needed is sent again.
    pub fn on_lost(&mut self, frame: &SentFrame, flags: Flags) {
        let id = match *frame {
            SentFrame::Stream { id, .. }
            | SentFrame::ResetStream { id, .. }
            | SentFrame::StopSending { id }
            | SentFrame::MaxStreamData { id, .. }
            | SentFrame::StreamDataBlocked { id, .. } => id,
            _ => return self.on_connection_lost(frame),
        };
        let Some(slot) = self.known(id) else { return };
        let Some(stream) = self.slab.get_mut(slot).map(|stream| &mut **stream) else {
            return;
        };
        let again = match (*frame, &mut stream.send, &mut stream.recv) {
            (
                SentFrame::Stream {
                    offset, len, fin, ..
                },
                Some(send),
                _,
            ) => {
                send.on_lost(offset..offset + usize::from(len), fin, flags);
                if send.has_data() {
                    self.schedule.want_data(&mut self.slab, slot);
                }
                return;
            }
            (SentFrame::ResetStream { reliable, .. }, Some(send), _) => {
                send.on_reset_lost(reliable).then_some(Pending::RESET)
            }
            (SentFrame::StreamDataBlocked { maximum, .. }, Some(send), _) => send
                .on_blocked_lost(maximum)
                .then_some(Pending::DATA_BLOCKED),
            (SentFrame::MaxStreamData { maximum, .. }, _, Some(recv)) => recv
                .window()
                .on_lost(maximum)
                .then_some(Pending::MAX_STREAM_DATA),
            (SentFrame::StopSending { .. }, _, Some(_)) => Some(Pending::STOP_SENDING),
            _ => None,
        };
        if let Some(again) = again {
            self.want_control(slot, again);
        }
    }

    fn on_connection_lost(&mut self, frame: &SentFrame) {
        let (needed, pending) = match *frame {
            SentFrame::MaxData { maximum } => (
                self.recv_window.on_lost(maximum),
                ConnectionPending::MAX_DATA,
            ),
            SentFrame::DataBlocked { maximum } => (
                self.send_window.on_lost(maximum, self.written),
                ConnectionPending::DATA_BLOCKED,
            ),
            SentFrame::MaxStreams {
                directionality,
                maximum,
            } => {
                let remote = self.remote.get(kind(directionality));
                let latest = remote.is_some_and(|remote| remote.signalled == maximum.get());
                (latest, ConnectionPending::max_streams(directionality))
            }
            SentFrame::StreamsBlocked {
                directionality,
                maximum,
            } => {
                let local = self.local.get(kind(directionality));
                let blocked = local.is_some_and(|local| local.window.limit() == maximum.get());
                (blocked, ConnectionPending::streams_blocked(directionality))
            }
            _ => return,
        };
        if needed {
            self.pending.insert(pending);
        }
    }
}

/// The control frame that `pending` stands for, if it is still needed.
// RFC 9000 §3.3: A sender MUST NOT send any of these frames from a terminal state ("Data Recvd" or
// "Reset Recvd"). What was wanted earlier is passed over here.
fn control_frame(stream: &Stream, pending: Pending) -> Option<Frame<'static>> {
    let id = stream.id;
    let (send, recv) = (stream.send.as_ref(), stream.recv.as_ref());
    match pending {
        Pending::STOP_SENDING => recv?
            .stop_frame()
            .map(|error| Frame::StopSending(StopSending { id, error })),
        Pending::RESET => {
            let (error, final_size, reliable) = send?.reset_frame()?;
            let reset = ResetStream {
                id,
                error,
                final_size: final_size.varint(),
            };
            Some(match reliable {
                Offset::ZERO => Frame::ResetStream(reset),
                reliable => Frame::ResetStreamAt(ResetStreamAt {
                    reset,
                    reliable_size: reliable.varint(),
                }),
            })
        }
        Pending::MAX_STREAM_DATA => {
            let maximum =
                VarInt::saturating(recv.filter(|recv| recv.wants_data())?.window().limit());
            Some(Frame::MaxStreamData { id, maximum })
        }
        Pending::DATA_BLOCKED => {
            let maximum =
                VarInt::saturating(send.filter(|send| send.is_blocked())?.window().limit());
            Some(Frame::StreamDataBlocked { id, maximum })
        }
        _ => None,
    }
}

fn on_control_sent(stream: &mut Stream, pending: Pending) {
    match (pending, &mut stream.send, &mut stream.recv) {
        (Pending::RESET, Some(send), _) => send.on_reset_sent(),
        (Pending::DATA_BLOCKED, Some(send), _) => send.on_blocked_sent(),
        (Pending::MAX_STREAM_DATA, _, Some(recv)) => {
            recv.window_mut().signal();
        }
        _ => {}
    }
}
