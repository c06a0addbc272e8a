// SPDX-License-Identifier: GPL-2.0 OR MIT

//! [`Room`]: how much received data a connection may hold.

use crate::chunk::Chunk;
use crate::pool::Pool;
use kernel::alloc::AllocError;

/// Of the limit, the part that data may take that waits behind a hole: the rest is for what closes
/// the hole.
const OUT_OF_ORDER_QUARTERS: usize = 3;

/// Received data cannot be held, for want of memory or because the limit is reached.
///
/// The packet it came in must not be acknowledged: then its sender sends the data again.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub struct Refused;

/// How much memory received data may still take.
#[derive(Copy, Clone, Debug)]
pub(crate) struct Room {
    limit: usize,
    held: usize,
    idle: bool,
}

impl Room {
    /// What is left of `limit` when `held` is taken, both in bytes.
    ///
    /// `idle` says that the application has nothing left to read. Then there is room for what can
    /// be read at once, however small the limit: else what waits behind a hole could keep out what
    /// closes the hole.
    #[inline]
    pub(crate) fn new(limit: usize, held: usize, idle: bool) -> Self {
        Self { limit, held, idle }
    }

    /// Whether there is room for `chunk`, which can be read at once.
    #[inline]
    pub(crate) fn in_order<C: Chunk>(self, chunk: &C) -> Result<(), Refused> {
        self.other(cost(chunk))
    }

    /// Whether there is room for `size` bytes of another kind, which can be read at once.
    #[inline]
    pub(crate) fn other(self, size: usize) -> Result<(), Refused> {
        match self.idle || size <= self.limit.saturating_sub(self.held) {
            true => Ok(()),
            false => Err(Refused),
        }
    }

    /// Whether there is room for `chunk`, which waits behind a hole.
    #[inline]
    pub(crate) fn out_of_order<C: Chunk>(self, chunk: &C) -> Result<(), Refused> {
        let limit = (self.limit / 4).saturating_mul(OUT_OF_ORDER_QUARTERS);
        match cost(chunk) <= limit.saturating_sub(self.held) {
            true => Ok(()),
            false => Err(Refused),
        }
    }
}

/// What holding `chunk` takes.
#[inline]
fn cost<C: Chunk>(chunk: &C) -> usize {
    chunk.truesize().saturating_add(Pool::<C>::OVERHEAD)
}

impl From<AllocError> for Refused {
    fn from(_: AllocError) -> Self {
        Self
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chunk::testing::{Bytes, OVERHEAD};

    #[test]
    fn a_quarter_is_left_for_what_closes_holes() {
        let chunk = Bytes::new(&[0; 100]);
        let cost = 100 + OVERHEAD + Pool::<Bytes>::OVERHEAD;
        let limit = 4 * cost;
        for (held, in_order, out_of_order) in [
            (0, true, true),
            (2 * cost, true, true),
            (2 * cost + 1, true, false),
            (3 * cost, true, false),
            (3 * cost + 1, false, false),
        ] {
            let room = Room::new(limit, held, false);
            assert_eq!(
                (
                    room.in_order(&chunk).is_ok(),
                    room.out_of_order(&chunk).is_ok()
                ),
                (in_order, out_of_order)
            );
            let room = Room::new(limit, held, true);
            assert_eq!(
                (
                    room.in_order(&chunk).is_ok(),
                    room.out_of_order(&chunk).is_ok()
                ),
                (true, out_of_order)
            );
        }
    }
}
