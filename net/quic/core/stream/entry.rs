// SPDX-License-Identifier: GPL-2.0 OR MIT

//! [`Stream`]: all that is kept of an open stream.

use super::recv::RecvPart;
use super::schedule::Links;
use super::send::SendPart;
use crate::chunk::Weight;
use crate::stream_id::StreamId;
use core::mem::size_of;
use kernel::alloc::KBox;

/// An open stream, or a closed one that has not been read to its end.
// RFC 9000 §4.4: Both endpoints MUST maintain flow control state for the stream in the unterminated
// direction until that direction enters a terminal state.
pub(crate) struct Stream {
    pub(crate) id: StreamId,
    /// Absent if only the peer sends.
    pub(crate) send: Option<SendPart>,
    /// Absent if only we send.
    pub(crate) recv: Option<RecvPart>,
    pub(crate) links: Links,
    /// The control frames to send.
    pub(crate) pending: Pending,
    /// How many runs of [`Arrivals`](super::arrivals::Arrivals) are its own.
    pub(crate) runs: u32,
    /// Both parts are over. For everybody but the reader the stream does not exist any more.
    pub(crate) closed: bool,
}

/// A set of control frames of a stream.
#[derive(Copy, Clone, PartialEq, Eq, Debug, Default)]
pub(crate) struct Pending(u8);

impl Pending {
    pub(crate) const STOP_SENDING: Self = Self(1);
    pub(crate) const RESET: Self = Self(2);
    pub(crate) const MAX_STREAM_DATA: Self = Self(4);
    pub(crate) const DATA_BLOCKED: Self = Self(8);

    /// In the order in which they are sent.
    pub(crate) const ALL: [Self; 4] = [
        Self::STOP_SENDING,
        Self::RESET,
        Self::MAX_STREAM_DATA,
        Self::DATA_BLOCKED,
    ];

    pub(crate) fn is_empty(self) -> bool {
        self.0 == 0
    }

    pub(crate) fn contains(self, frame: Self) -> bool {
        self.0 & frame.0 != 0
    }

    pub(crate) fn insert(&mut self, frame: Self) {
        self.0 |= frame.0;
    }

    pub(crate) fn remove(&mut self, frame: Self) {
        self.0 &= !frame.0;
    }
}

impl Stream {
    pub(crate) fn new(id: StreamId, send: Option<SendPart>, recv: Option<RecvPart>) -> Self {
        Self {
            id,
            send,
            recv,
            links: Links::default(),
            pending: Pending::default(),
            runs: 0,
            closed: false,
        }
    }

    /// Whether both parts are over.
    pub(crate) fn is_terminal(&self) -> bool {
        self.send.as_ref().is_none_or(SendPart::is_terminal)
            && self.recv.as_ref().is_none_or(RecvPart::is_terminal)
    }

    /// Whether the application still has to read something.
    pub(crate) fn is_unread(&self) -> bool {
        self.recv.as_ref().is_some_and(RecvPart::is_unread)
    }
}

impl Weight for KBox<Stream> {
    fn weight(&self) -> usize {
        size_of::<Stream>()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn size() {
        // One object of kmalloc-512.
        assert_eq!(size_of::<Stream>(), 384);
    }
}
