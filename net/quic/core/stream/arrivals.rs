// SPDX-License-Identifier: GPL-2.0 OR MIT

//! [`Arrivals`]: in which order received data became readable, across streams.
//!
//! A program that does not ask for a stream reads what came first. The order is kept as runs, each
//! of which says up to where a stream can be read: data that continues the last run only moves its
//! end. A run is a hint, checked when it gets to the front: if the stream is gone, was reset or has
//! been read further by then, the run is skipped.
//!
//! ```text
//!   (stream 0, up to 4000) (stream 4, up to 800, end) (stream 0, up to 9000)
//! ```

use super::entry::Stream;
use super::schedule::Slab;
use crate::chunk::Weight;
use crate::offset::Offset;
use crate::pool::{List, Pool, Slot};
use crate::stream_id::StreamId;
use core::mem::take;
use kernel::alloc::{AllocError, Flags};

/// Below this number, runs that have become void are not worth a search.
const MIN_VOID: u32 = 32;

/// When something became readable, compared to other such times of the same connection.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub struct Stamp(u32);

impl Stamp {
    /// Whether this is earlier than `other`. There are never more than 2^31 things to read.
    pub const fn is_before(self, other: Self) -> bool {
        self.0.wrapping_sub(other.0) > u32::MAX / 2
    }
}

/// Data of a stream that became readable.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub(crate) struct Run {
    pub(crate) id: StreamId,
    pub(crate) slot: Slot,
    pub(crate) stamp: Stamp,
    /// Up to where.
    pub(crate) end: Offset,
}

impl Weight for Run {
    fn weight(&self) -> usize {
        0
    }
}

/// The runs of a connection.
pub(crate) struct Arrivals {
    pool: Pool<Run>,
    runs: List,
    stamp: u32,
    /// The last run does not get any longer: something else has become readable after it.
    sealed: bool,
    /// How many runs are known to be void.
    void: u32,
}

impl Arrivals {
    pub(crate) const fn new() -> Self {
        Self {
            pool: Pool::new(),
            runs: List::EMPTY,
            stamp: 0,
            sealed: false,
            void: 0,
        }
    }

    #[inline]
    pub(crate) fn is_empty(&self) -> bool {
        self.runs.is_empty()
    }

    /// The memory that the runs take, in bytes.
    #[inline]
    pub(crate) fn held(&self) -> usize {
        self.pool.held()
    }

    /// Makes sure that the next [`Self::extend`] does not fail.
    #[inline]
    pub(crate) fn reserve(&mut self, flags: Flags) -> Result<(), AllocError> {
        self.pool.reserve(1, flags)
    }

    /// Gives memory back. For a connection that has become idle.
    pub(crate) fn trim(&mut self) {
        self.pool.trim();
    }

    fn next_stamp(&mut self) -> Stamp {
        self.stamp = self.stamp.wrapping_add(1);
        Stamp(self.stamp)
    }

    /// The stream at `slot` can be read up to `end`.
    #[inline(always)]
    pub(crate) fn extend(&mut self, stream: &mut Stream, slot: Slot, end: Offset) {
        if let Some(last) = self
            .pool
            .get_mut(self.runs.tail())
            .filter(|last| last.id == stream.id)
        {
            if !self.sealed {
                last.end = end;
                return;
            }
        }
        let stamp = self.next_stamp();
        if self
            .pool
            .push_back(
                &mut self.runs,
                Run {
                    id: stream.id,
                    slot,
                    stamp,
                    end,
                },
            )
            .is_ok()
        {
            stream.runs = stream.runs.saturating_add(1);
            self.sealed = false;
        }
    }

    /// Something that is not stream data becomes readable.
    pub(crate) fn interject(&mut self) -> Stamp {
        self.sealed = true;
        self.next_stamp()
    }

    /// The first run of which something is left to read. Those before it are dropped.
    pub(crate) fn first(&mut self, slab: &mut Slab) -> Option<Run> {
        loop {
            let run = *self.pool.front(&self.runs)?;
            if is_valid(slab, &run) {
                return Some(run);
            }
            self.pool.pop_front(&mut self.runs);
            self.uncount(slab, &run);
        }
    }

    /// Nothing that has become readable on the stream can be read any more.
    pub(crate) fn forget(&mut self, stream: &mut Stream) {
        self.void = self.void.saturating_add(take(&mut stream.runs));
    }

    /// Drops void runs, if there are more of them than others: else a peer that opens and resets
    /// streams behind data that nobody reads would fill the memory with them.
    pub(crate) fn sweep(&mut self, slab: &mut Slab) {
        if self.void < MIN_VOID || self.void < self.pool.len() / 2 {
            return;
        }
        let mut old = take(&mut self.runs);
        while let Some(run) = self.pool.pop_front(&mut old) {
            if is_valid(slab, &run) {
                // Its place has just become free.
                let _ = self.pool.push_back(&mut self.runs, run);
            } else {
                self.uncount(slab, &run);
            }
        }
        self.void = 0;
    }

    fn uncount(&mut self, slab: &mut Slab, run: &Run) {
        match slab
            .get_mut(run.slot)
            .filter(|stream| stream.id == run.id && stream.runs > 0)
        {
            Some(stream) => stream.runs = stream.runs.saturating_sub(1),
            None => self.void = self.void.saturating_sub(1),
        }
    }
}

fn is_valid(slab: &Slab, run: &Run) -> bool {
    let stream = slab.get(run.slot).filter(|stream| stream.id == run.id);
    let Some(recv) = stream.and_then(|stream| stream.recv.as_ref()) else {
        return false;
    };
    let read = recv.assembler().read();
    recv.is_unread() && (read < run.end || (read == run.end && recv.assembler().end() == run.end))
}
