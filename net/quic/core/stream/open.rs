// SPDX-License-Identifier: GPL-2.0 OR MIT

//! Opening and choosing streams.

use super::index::Place;
use super::send::SendPart;
use super::table::{kind, ConnectionPending, Streams};
use crate::chunk::Chunk;
use crate::stream_id::{Directionality, StreamId};
use kernel::alloc::{AllocError, Flags};

/// Which stream the application wants to write to.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub struct Choice {
    /// The stream, or `None` for the active one or, without one, the next that can be opened.
    pub id: Option<StreamId>,
    /// Whether it may be opened (MSG_QUIC_STREAM_NEW).
    pub new: bool,
    /// Of which kind the next is that can be opened (MSG_QUIC_STREAM_UNI).
    pub directionality: Directionality,
}

/// Why the application cannot open a stream, or write to it.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub enum OpenError {
    /// Only the peer sends on such a stream. EINVAL.
    ReceiveOnly,
    /// The stream is not open, and is not to be opened. EINVAL.
    NotOpen,
    /// It was to be new, and has been written to. EINVAL.
    InUse,
    /// It was open, and is closed. ENOSTR if it was opened here, else EINVAL.
    Closed,
    /// The peer does not allow as many streams yet. EAGAIN, or sleep; the stream is this one.
    Limit(StreamId),
    /// There are no stream IDs left. EINVAL.
    Exhausted,
    /// There is no memory. ENOMEM.
    NoMemory,
}

impl From<AllocError> for OpenError {
    fn from(_: AllocError) -> Self {
        Self::NoMemory
    }
}

impl<Tx: Chunk, Rx: Chunk> Streams<Tx, Rx> {
    /// The stream to write to, opened if that is asked for.
    pub fn choose(&mut self, choice: Choice, flags: Flags) -> Result<StreamId, OpenError> {
        let id = match choice.id.or(self.active) {
            Some(id) => id,
            None => self.next(choice.directionality)?,
        };
        match self.find_to_send(id)? {
            Place::Known(_) if !choice.new => Ok(id),
            Place::Unopened if !choice.new => Err(OpenError::NotOpen),
            _ => self.open(id, flags).map(|()| id),
        }
    }

    /// The next stream of that kind that can be opened here.
    pub fn next(&self, directionality: Directionality) -> Result<StreamId, OpenError> {
        let next = self
            .local
            .get(kind(directionality))
            .map_or(0, |local| local.index.next());
        StreamId::nth(self.role, directionality, next).ok_or(OpenError::Exhausted)
    }

    /// Opens stream `id`, and all lower ones of its kind that are not open.
    ///
    /// Opening it again is accepted as long as it has not been written to.
    pub fn open(&mut self, id: StreamId, flags: Flags) -> Result<(), OpenError> {
        match self.find_to_send(id)? {
            Place::Known(slot) => {
                let send = self.slab.get(slot).and_then(|stream| stream.send.as_ref());
                return if send.is_some_and(SendPart::is_untouched) {
                    Ok(())
                } else {
                    Err(OpenError::InUse)
                };
            }
            Place::Unopened if id.initiator() != self.role => return Err(OpenError::NotOpen),
            _ => {}
        }
        // RFC 9000 §4.6: Endpoints MUST NOT exceed the limit set by their peer. Only streams with a
        // stream ID less than (max_streams * 4 + first_stream_id_of_type) can be opened.
        // [rfc9000-19.11-3]
        let local = self
            .local
            .get(kind(id.directionality()))
            .filter(|_| id.initiator() == self.role);
        if local.is_some_and(|local| id.index() >= local.window.limit()) {
            return Err(OpenError::Limit(id));
        }
        self.create(id, flags)?;
        Ok(())
    }

    /// The application waits for a stream that the peer does not allow yet
    /// (MSG_QUIC_STREAM_SNDBLOCK).
    // RFC 9000 §4.6: An endpoint that is unable to open a new stream due to the peer's limits
    // SHOULD send a STREAMS_BLOCKED frame.
    pub fn signal_streams_blocked(&mut self, directionality: Directionality) {
        if self
            .local
            .get_mut(kind(directionality))
            .is_some_and(|local| local.window.block())
        {
            self.pending
                .insert(ConnectionPending::streams_blocked(directionality));
        }
    }

    /// What is known of stream `id`, which we may send on and which is not over.
    fn find_to_send(&self, id: StreamId) -> Result<Place, OpenError> {
        if id.initiator() != self.role && id.directionality() == Directionality::Unidirectional {
            return Err(OpenError::ReceiveOnly);
        }
        match self.find(id) {
            Place::Closed => Err(OpenError::Closed),
            Place::Known(slot) if self.slab.get(slot).is_some_and(|stream| stream.closed) => {
                Err(OpenError::Closed)
            }
            place => Ok(place),
        }
    }
}
