// SPDX-License-Identifier: GPL-2.0 OR MIT

//! Reading, and asking the peer to stop.

use super::entry::Pending;
use super::index::Place;
use super::recv::StopError;
use super::table::{ConnectionPending, Streams};
use super::Stamp;
use crate::chunk::Chunk;
use crate::flow::Tuning;
use crate::pool::Slot;
use crate::stream_id::{Directionality, StreamId};
use crate::time::{Duration, Instant};
use crate::varint::VarInt;
use kernel::alloc::Flags;

/// How much larger the window of the connection is than that of a stream, at least, in halves: with
/// one and a half, a stream whose data nobody reads does not stop the others.
const CONNECTION_WINDOW_HALVES: u64 = 3;

/// Something that can be read.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub struct Readable {
    /// The stream.
    pub id: StreamId,
    /// How many bytes became readable before anything else did. More may be readable behind them.
    pub len: u64,
    /// Whether the stream ends after them. Without bytes, the end is all there is to read.
    pub fin: bool,
    /// When they became readable, compared to datagrams.
    pub stamp: Stamp,
}

impl<Tx: Chunk, Rx: Chunk> Streams<Tx, Rx> {
    /// What became readable first.
    pub fn next_readable(&mut self) -> Option<Readable> {
        let run = self.arrivals.first(&mut self.slab)?;
        let recv = self
            .slab
            .get(run.slot)
            .and_then(|stream| stream.recv.as_ref())?;
        let end = run.end.min(recv.assembler().end());
        let len = end - recv.assembler().read();
        Some(Readable {
            id: run.id,
            len,
            fin: recv.ends_at(end),
            stamp: run.stamp,
        })
    }

    /// What can be read of stream `id`: the number of bytes, and whether it ends after them.
    pub fn readable(&self, id: StreamId) -> (u64, bool) {
        let Place::Known(slot) = self.find(id) else {
            return (0, false);
        };
        let Some(recv) = self.slab.get(slot).and_then(|stream| stream.recv.as_ref()) else {
            return (0, false);
        };
        let assembler = recv.assembler();
        (
            assembler.end() - assembler.read(),
            recv.is_unread() && recv.ends_at(assembler.end()),
        )
    }

    /// The chunks that can be read of stream `id`, from where the application left off. Nothing is
    /// consumed.
    pub fn peek(&self, id: StreamId) -> impl Iterator<Item = &Rx> + '_ {
        let slot = match self.find(id) {
            Place::Known(slot) => slot,
            _ => Slot::NONE,
        };
        let recv = self.slab.get(slot).and_then(|stream| stream.recv.as_ref());
        recv.into_iter()
            .flat_map(|recv| self.rx.iter(recv.assembler().ready()))
    }

    /// The application has read the next `len` bytes of stream `id`, and with the last of them the
    /// end.
    ///
    /// Limits move: MAX_DATA and MAX_STREAM_DATA may have to be sent. `rtt` is the smoothed
    /// round-trip time, or zero.
    pub fn consume(&mut self, id: StreamId, len: u64, now: Instant, rtt: Duration) {
        let Some(slot) = self.known(id) else { return };
        let Some(stream) = self.slab.get_mut(slot) else {
            return;
        };
        let Some(recv) = stream.recv.as_mut() else {
            return;
        };
        let tuning = Tuning {
            now,
            rtt,
            max_window: self.max_window,
        };
        recv.consume(&mut self.rx, len);
        let credit = recv.take_credit();
        if recv.grant(&tuning) {
            let window = recv.window().size();
            self.recv_window
                .widen(window.saturating_mul(CONNECTION_WINDOW_HALVES) / 2);
            self.want_control(slot, Pending::MAX_STREAM_DATA);
        }
        self.consumed = self.consumed.saturating_add(credit);
        if self.recv_window.on_consumed(self.consumed, &tuning) {
            self.pending.insert(ConnectionPending::MAX_DATA);
        }
        self.settle_read(slot);
    }

    /// Frees the stream at `slot` if it was only kept to be read, and has been.
    fn settle_read(&mut self, slot: Slot) {
        if self
            .slab
            .get(slot)
            .is_some_and(|stream| stream.closed && !stream.is_unread())
        {
            self.settle(slot);
        }
    }

    /// `credit` bytes will not be read: they give their credit back to the connection.
    pub(super) fn return_credit(&mut self, credit: u64) {
        if credit == 0 {
            return;
        }
        self.consumed = self.consumed.saturating_add(credit);
        // Nothing was consumed, so nothing is learnt about how fast that goes.
        let tuning = Tuning {
            now: Instant::from_nanos(0),
            rtt: Duration::ZERO,
            max_window: self.max_window,
        };
        if self.recv_window.on_consumed(self.consumed, &tuning) {
            self.pending.insert(ConnectionPending::MAX_DATA);
        }
    }

    /// The application does not want to read any more of stream `id`: what has arrived is dropped,
    /// and the peer is asked to stop with `error_code`.
    pub fn stop(
        &mut self,
        id: StreamId,
        error_code: VarInt,
        flags: Flags,
    ) -> Result<(), StopError> {
        if id.initiator() == self.role && id.directionality() == Directionality::Unidirectional {
            return Err(StopError::NotOpen);
        }
        let slot = match self.find(id) {
            Place::Known(slot) => slot,
            Place::Untouched => self.create(id, flags).map_err(|_| StopError::NoMemory)?,
            Place::Closed => return Err(StopError::Closed),
            Place::Unopened => return Err(StopError::NotOpen),
        };
        let stream = self
            .slab
            .get_mut(slot)
            .filter(|stream| !stream.closed)
            .ok_or(StopError::Closed)?;
        let recv = stream.recv.as_mut().ok_or(StopError::NotOpen)?;
        recv.stop(&mut self.rx, error_code)?;
        let credit = recv.take_credit();
        self.arrivals.forget(stream);
        self.return_credit(credit);
        self.want_control(slot, Pending::STOP_SENDING);
        Ok(())
    }
}
