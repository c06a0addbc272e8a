// SPDX-License-Identifier: GPL-2.0 OR MIT

//! Writing, finishing and resetting.

use super::entry::Pending;
use super::index::Place;
use super::send::{ResetError, WriteError};
use super::table::{ConnectionPending, Streams};
use crate::chunk::Chunk;
use crate::offset::Offset;
use crate::pool::Slot;
use crate::stream_id::{Directionality, StreamId};
use crate::varint::VarInt;
use kernel::alloc::{AllocError, Flags};

/// Why a stream cannot be sent on; each operation words it in its own terms.
enum Unusable {
    NotOpen,
    Closed,
    NoMemory,
}

impl From<Unusable> for WriteError {
    fn from(why: Unusable) -> Self {
        match why {
            Unusable::NotOpen => Self::NotOpen,
            Unusable::Closed => Self::Closed,
            Unusable::NoMemory => Self::NoMemory,
        }
    }
}

impl From<Unusable> for ResetError {
    fn from(why: Unusable) -> Self {
        match why {
            Unusable::NotOpen => Self::NotOpen,
            Unusable::Closed => Self::Closed,
            Unusable::NoMemory => Self::NoMemory,
        }
    }
}

impl<Tx: Chunk, Rx: Chunk> Streams<Tx, Rx> {
    /// How many bytes may be written to stream `id` so that all of them can be sent at once, as far
    /// as flow control goes.
    ///
    /// More is taken by [`Self::write`], and waits.
    pub fn write_credit(&mut self, id: StreamId, flags: Flags) -> Result<u64, WriteError> {
        let slot = self.writable(id, flags)?;
        let send = self
            .slab
            .get(slot)
            .and_then(|stream| stream.send.as_ref())
            .ok_or(WriteError::NotOpen)?;
        send.check_writable()?;
        Ok(send.credit().min(self.credit()))
    }

    /// Appends `chunk` to stream `id`. Without [`Self::push`] its last bytes may wait for more.
    pub fn write(&mut self, id: StreamId, chunk: Tx, flags: Flags) -> Result<(), WriteError> {
        let slot = self.writable(id, flags)?;
        let send = self
            .slab
            .get_mut(slot)
            .and_then(|stream| stream.send.as_mut())
            .ok_or(WriteError::NotOpen)?;
        let len = crate::offset::bytes(chunk.len());
        send.append(&mut self.tx, chunk, flags)?;
        self.written = self.written.saturating_add(len);
        self.schedule.want_data(&mut self.slab, slot);
        Ok(())
    }

    /// What was written to stream `id` shall not wait for more (no MSG_MORE).
    pub fn push(&mut self, id: StreamId) {
        let Some(slot) = self.known(id) else { return };
        if let Some(send) = self
            .slab
            .get_mut(slot)
            .and_then(|stream| stream.send.as_mut())
        {
            send.push();
            if send.has_data() {
                self.schedule.want_data(&mut self.slab, slot);
            }
        }
    }

    /// Stream `id` ends with what was written.
    pub fn finish(&mut self, id: StreamId, flags: Flags) -> Result<(), WriteError> {
        let slot = self.writable(id, flags)?;
        let send = self
            .slab
            .get_mut(slot)
            .and_then(|stream| stream.send.as_mut())
            .ok_or(WriteError::NotOpen)?;
        send.finish()?;
        self.deactivate(id);
        self.schedule.want_data(&mut self.slab, slot);
        Ok(())
    }

    /// Abandons the sending part of stream `id`, except for its first `reliable` bytes: those are
    /// delivered first, if the peer understands RESET_STREAM_AT.
    ///
    /// A second reset with the same code may lower `reliable`.
    // RFC 9000 §11.2: RESET_STREAM MUST only be instigated by the application protocol that uses
    // QUIC.
    pub fn reset(
        &mut self,
        id: StreamId,
        error_code: VarInt,
        reliable: Offset,
        flags: Flags,
    ) -> Result<(), ResetError> {
        // draft-ietf-quic-reliable-stream-reset §3: Support for receiving RESET_STREAM_AT frames is
        // advertised by sending the reset_stream_at (0x1d) transport parameter.
        let reliable = match self.peer.reset_stream_at {
            true => reliable,
            false => Offset::ZERO,
        };
        let slot = self.writable(id, flags)?;
        let send = self
            .slab
            .get_mut(slot)
            .and_then(|stream| stream.send.as_mut())
            .ok_or(ResetError::NotOpen)?;
        let discarded = send.reset(&mut self.tx, error_code, reliable)?;
        self.on_reset_begun(slot, id, discarded);
        Ok(())
    }

    /// The sending part of the stream at `slot` is being reset, and `discarded` bytes will never be
    /// sent.
    pub(super) fn on_reset_begun(&mut self, slot: Slot, id: StreamId, discarded: u64) {
        self.written = self.written.saturating_sub(discarded);
        self.deactivate(id);
        if self
            .slab
            .get(slot)
            .and_then(|stream| stream.send.as_ref())
            .is_some_and(|send| send.has_data())
        {
            self.schedule.want_data(&mut self.slab, slot);
        } else {
            self.schedule.end_data(&mut self.slab, slot);
        }
        self.want_reset(slot);
    }

    /// Sends the reset of the stream at `slot`, if it may be sent by now and was not.
    pub(super) fn want_reset(&mut self, slot: Slot) {
        if self
            .slab
            .get(slot)
            .and_then(|stream| stream.send.as_ref())
            .is_some_and(|send| send.reset_is_due())
        {
            self.want_control(slot, Pending::RESET);
        }
    }

    pub(super) fn want_control(&mut self, slot: Slot, frame: Pending) {
        if let Some(stream) = self.slab.get_mut(slot) {
            stream.pending.insert(frame);
            self.schedule.want_control(&mut self.slab, slot);
        }
    }

    /// The application cannot write to stream `id` for want of credit (MSG_QUIC_STREAM_SNDBLOCK):
    /// the peer is told, once for each limit.
    pub fn signal_blocked(&mut self, id: StreamId) {
        if self.credit() == 0 && self.send_window.block() {
            self.pending.insert(ConnectionPending::DATA_BLOCKED);
        }
        let Some(slot) = self.known(id) else { return };
        let send = self
            .slab
            .get_mut(slot)
            .and_then(|stream| stream.send.as_mut());
        if send.is_some_and(|send| send.credit() == 0 && send.block()) {
            self.want_control(slot, Pending::DATA_BLOCKED);
        }
    }

    /// Stream `id` is sent before those of a higher urgency, and takes turns with those of the same
    /// urgency if it is incremental (RFC 9218 §4).
    pub fn set_priority(
        &mut self,
        id: StreamId,
        urgency: u8,
        incremental: bool,
        flags: Flags,
    ) -> Result<(), WriteError> {
        let slot = self.writable(id, flags)?;
        self.schedule
            .set_priority(&mut self.slab, slot, urgency, incremental);
        Ok(())
    }

    /// The place of stream `id`, which is open and on which we may send.
    fn writable(&mut self, id: StreamId, flags: Flags) -> Result<Slot, Unusable> {
        if id.initiator() != self.role && id.directionality() == Directionality::Unidirectional {
            return Err(Unusable::NotOpen);
        }
        let slot = match self.find(id) {
            Place::Known(slot) => slot,
            Place::Untouched => {
                return self
                    .create(id, flags)
                    .map_err(|AllocError| Unusable::NoMemory)
            }
            Place::Closed => return Err(Unusable::Closed),
            Place::Unopened => return Err(Unusable::NotOpen),
        };
        if self.slab.get(slot).is_none_or(|stream| stream.closed) {
            return Err(Unusable::Closed);
        }
        self.last = (Some(id), slot);
        Ok(slot)
    }
}
