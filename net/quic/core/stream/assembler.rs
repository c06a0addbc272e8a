// SPDX-License-Identifier: GPL-2.0 OR MIT

//! [`Assembler`]: puts received chunks in order.
//!
//! ```text
//!   0 .... read ############ end ..... [######] ........ [##########]
//!          |<-- ready ------>|  hole   island     hole      island
//! ```
//!
//! What continues the ready data is appended to it: that is the fast path, and it allocates
//! nothing. Anything else becomes an island or a part of one. When the first hole closes, the first
//! island is spliced onto the ready data as a whole. A chunk that overlaps others is trimmed at its
//! ends; older islands that it covers are dropped in its favour, so that a chunk never has to be
//! split (RFC 9000 §2.2: the data at a given offset does not change).
//!
//! RFC 9000 §21.7, a peer that leaves holes on purpose: every chunk counts with the memory that it
//! pins and with the place that it takes, against a [`Room`] whose larger part is open to data in
//! order only; and the islands, which have to be searched, are at most [`MAX_ISLANDS`].

use super::room::{Refused, Room};
use crate::array::{partition_point, remove_range, reserve_one};
use crate::chunk::Chunk;
use crate::offset::{bytes, length, Offset};
use crate::pool::{List, Pool};
use core::mem::take;
use kernel::alloc::{Flags, KVec};

/// The most islands of a stream. Each hole is at least one lost or late packet: with a thousand of
/// them, one packet in ten may be missing from 12 MB in flight. Their array has 24 KiB then, and
/// moving it takes about a microsecond. Data that would begin another island is refused, data that
/// enlarges or joins islands is not.
const MAX_ISLANDS: usize = 1024;

/// For how many islands memory is kept when there are none: single losses shall not allocate each
/// time.
const SPARE_ISLANDS: usize = 4;

/// A stream of chunks on its way into order.
// RFC 9000 §2.2: Endpoints MUST be able to deliver stream data to an application as an ordered byte
// stream.
#[derive(Debug, Default)]
pub(crate) struct Assembler {
    // INVARIANT: `ready` holds `read..end`. The islands are sorted, not empty, and there is a hole
    // before each of them; each holds the chunks of its range.
    read: Offset,
    end: Offset,
    ready: List,
    islands: KVec<Island>,
}

#[derive(Debug, Default)]
struct Island {
    start: Offset,
    end: Offset,
    chunks: List,
}

/// What became of a chunk.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub(crate) enum Inserted {
    /// Nothing in it was new.
    Duplicate,
    /// It waits behind a hole.
    OutOfOrder,
    /// [`Assembler::end`] moved.
    InOrder,
}

impl Assembler {
    /// Of whose data everything before `offset` was read, and nothing else received.
    pub(crate) fn from(offset: Offset) -> Self {
        Self {
            read: offset,
            end: offset,
            ..Self::default()
        }
    }

    /// Where the application continues to read.
    #[inline]
    pub(crate) fn read(&self) -> Offset {
        self.read
    }

    /// Where the first hole begins.
    #[inline]
    pub(crate) fn end(&self) -> Offset {
        self.end
    }

    /// The chunks that can be read.
    #[inline]
    pub(crate) fn ready(&self) -> &List {
        &self.ready
    }

    /// Takes up the bytes of `chunk`, the first of which is at `offset`. A refusal leaves
    /// everything as it was.
    ///
    /// `offset` and the length of the chunk add up to an [`Offset`].
    #[inline(always)]
    pub(crate) fn insert<C: Chunk>(
        &mut self,
        pool: &mut Pool<C>,
        offset: Offset,
        chunk: C,
        room: Room,
        flags: Flags,
    ) -> Result<Inserted, Refused> {
        if !self.is_next(offset) || chunk.len() == 0 {
            return self.insert_slow(pool, offset, chunk, room, flags);
        }
        room.in_order(&chunk)?;
        let end = self.end + chunk.len();
        self.append(pool, end, chunk, flags)?;
        Ok(Inserted::InOrder)
    }

    /// Whether what is at `offset` continues the ready data, and no island follows.
    #[inline(always)]
    pub(crate) fn is_next(&self, offset: Offset) -> bool {
        offset == self.end && self.islands.is_empty()
    }

    /// Takes up `chunk`, which continues the ready data up to `end`.
    #[inline(always)]
    pub(crate) fn append<C: Chunk>(
        &mut self,
        pool: &mut Pool<C>,
        end: Offset,
        chunk: C,
        flags: Flags,
    ) -> Result<(), Refused> {
        pool.reserve(1, flags)?;
        pool.push_back(&mut self.ready, chunk)
            .map_err(|_| Refused)?;
        self.end = end;
        Ok(())
    }

    #[cold]
    fn insert_slow<C: Chunk>(
        &mut self,
        pool: &mut Pool<C>,
        offset: Offset,
        mut chunk: C,
        room: Room,
        flags: Flags,
    ) -> Result<Inserted, Refused> {
        let mut start = offset;
        let mut end = offset + chunk.len();
        // The islands from `at` on are those that end where the chunk starts, or later.
        let at = partition_point(&self.islands, |island| island.end < start);
        let left = self.islands.get(at).filter(|island| island.start <= start);
        let in_order = start <= self.end;
        let known = if in_order {
            self.end
        } else {
            left.map_or(start, |island| island.end)
        };
        if end <= known {
            return Ok(Inserted::Duplicate);
        }
        // The islands from `at` to `next` are covered or, if it begins at `at`, continued by the
        // chunk.
        let joins_left = left.is_some() && !in_order;
        let first = if joins_left { at.saturating_add(1) } else { at };
        let next = partition_point(&self.islands, |island| island.end <= end).max(first);

        if in_order {
            room.in_order(&chunk)?;
        } else {
            room.out_of_order(&chunk)?;
        }
        let joins_right = self
            .islands
            .get(next)
            .is_some_and(|island| island.start <= end);
        let new_island = !in_order && !joins_left && !joins_right;
        if new_island {
            if self.islands.len() >= MAX_ISLANDS {
                return Err(Refused);
            }
            reserve_one(&mut self.islands, flags)?;
        }
        pool.reserve(1, flags)?;

        // Nothing fails from here on.
        chunk.advance(usize::try_from(known - start).unwrap_or(usize::MAX));
        start = start.max(known);
        if let Some(right) = self.islands.get(next).filter(|right| right.start < end) {
            end = right.start;
            chunk.truncate(usize::try_from(end - start).unwrap_or(usize::MAX));
        }
        self.drop_islands(pool, first, next);
        if in_order {
            let _ = pool.push_back(&mut self.ready, chunk);
            self.end = end;
            self.splice_first(pool);
            return Ok(Inserted::InOrder);
        }
        if joins_left {
            if let Some(left) = self.islands.get_mut(at) {
                let _ = pool.push_back(&mut left.chunks, chunk);
                left.end = end;
            }
            if joins_right {
                self.join(pool, at);
            }
        } else if joins_right {
            if let Some(right) = self.islands.get_mut(at) {
                let _ = pool.push_front(&mut right.chunks, chunk);
                right.start = start;
            }
        } else {
            let mut chunks = List::EMPTY;
            let _ = pool.push_back(&mut chunks, chunk);
            let _ = self
                .islands
                .insert_within_capacity(at, Island { start, end, chunks });
        }
        Ok(Inserted::OutOfOrder)
    }

    /// Drops the islands with the indices `from..to`.
    fn drop_islands<C: Chunk>(&mut self, pool: &mut Pool<C>, from: usize, to: usize) {
        for island in self.islands.get_mut(from..to).unwrap_or_default() {
            pool.clear(&mut island.chunks);
        }
        remove_range(&mut self.islands, from..to);
    }

    /// Makes one island of that at `at` and the one after it, which touch.
    fn join<C: Chunk>(&mut self, pool: &mut Pool<C>, at: usize) {
        if let Ok(right) = self.islands.remove(at.saturating_add(1)) {
            if let Some(left) = self.islands.get_mut(at) {
                pool.append(&mut left.chunks, right.chunks);
                left.end = right.end;
            }
        }
    }

    /// Moves the first island to the ready data, if there is no hole left before it.
    fn splice_first<C: Chunk>(&mut self, pool: &mut Pool<C>) {
        if self
            .islands
            .first()
            .is_some_and(|island| island.start == self.end)
        {
            if let Ok(island) = self.islands.remove(0) {
                pool.append(&mut self.ready, island.chunks);
                self.end = island.end;
            }
        }
        self.shrink();
    }

    /// Gives the memory of a large array of islands back when there are none left.
    fn shrink(&mut self) {
        if self.islands.is_empty() && self.islands.capacity() > SPARE_ISLANDS {
            self.islands = KVec::new();
        }
    }

    /// Gives up the next `len` bytes of the ready data, all if there are fewer.
    pub(crate) fn consume<C: Chunk>(&mut self, pool: &mut Pool<C>, len: u64) {
        let to = self.end.min(self.read + len);
        while self.read < to {
            let left = to - self.read;
            let whole = pool.pop_front_if(&mut self.ready, |front| bytes(front.len()) <= left);
            match whole {
                Some(chunk) => self.read = self.read + chunk.len(),
                None => {
                    let Some(front) = pool.get_mut(self.ready.head()) else {
                        return;
                    };
                    front.advance(length(left));
                    self.read = to;
                }
            }
        }
    }

    /// Drops everything at `bound` and after it that has not been read.
    pub(crate) fn truncate<C: Chunk>(&mut self, pool: &mut Pool<C>, bound: Offset) {
        let keep = partition_point(&self.islands, |island| island.start < bound);
        self.drop_islands(pool, keep, self.islands.len());
        if let Some(island) = self.islands.last_mut().filter(|island| island.end > bound) {
            truncate_list(pool, &mut island.chunks, bound - island.start);
            island.end = bound;
        }
        if self.end > bound {
            let bound = bound.max(self.read);
            truncate_list(pool, &mut self.ready, bound - self.read);
            self.end = bound;
        }
        self.shrink();
    }
}

/// Keeps the first `len` bytes of `list`.
fn truncate_list<C: Chunk>(pool: &mut Pool<C>, list: &mut List, mut len: u64) {
    let mut old = take(list);
    while let Some(mut chunk) = pool.pop_front(&mut old) {
        let keep = usize::try_from(len).unwrap_or(usize::MAX);
        if keep > 0 {
            len = len.saturating_sub(crate::offset::bytes(chunk.len()));
            chunk.truncate(keep);
            // Its place has just become free.
            let _ = pool.push_back(list, chunk);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chunk::testing::{pattern, Bytes, OVERHEAD};
    use kernel::alloc::flags::GFP_ATOMIC;
    use kernel::alloc::inject;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    const SEED: u64 = 7;
    const AMPLE: usize = 1 << 30;

    fn offset(at: u64) -> Offset {
        Offset::saturating(at)
    }

    struct Fixture {
        pool: Pool<Bytes>,
        assembler: Assembler,
        limit: usize,
    }

    impl Fixture {
        fn new() -> Self {
            Self {
                pool: Pool::new(),
                assembler: Assembler::default(),
                limit: AMPLE,
            }
        }

        fn insert(&mut self, at: u64, len: usize) -> Result<Inserted, Refused> {
            let idle = self.assembler.ready.is_empty();
            let room = Room::new(self.limit, self.pool.held(), idle);
            let chunk = Bytes::pattern(SEED, at, len);
            self.assembler
                .insert(&mut self.pool, offset(at), chunk, room, GFP_ATOMIC)
        }

        /// Reads up to `len` bytes and checks them.
        fn read(&mut self, len: usize) -> usize {
            let from = self.assembler.read().get();
            let ready: Vec<u8> = self
                .pool
                .iter(self.assembler.ready())
                .flat_map(|chunk| chunk.as_slice().to_vec())
                .collect();
            assert_eq!(ready.len() as u64, self.assembler.end().get() - from);
            assert_eq!(ready, pattern(SEED, from, ready.len()));
            let len = len.min(ready.len());
            self.assembler.consume(&mut self.pool, len as u64);
            assert_eq!(self.assembler.read().get(), from + len as u64);
            len
        }

        /// What the invariants of [`Assembler`] say.
        fn check(&self) {
            let mut last = self.assembler.end;
            for island in &self.assembler.islands {
                assert!(last < island.start, "a hole before each island");
                assert!(island.start < island.end);
                let bytes: Vec<u8> = self
                    .pool
                    .iter(&island.chunks)
                    .flat_map(|chunk| chunk.as_slice().to_vec())
                    .collect();
                assert_eq!(
                    bytes,
                    pattern(
                        SEED,
                        island.start.get(),
                        (island.end - island.start) as usize
                    )
                );
                last = island.end;
            }
            let chunks = |list| self.pool.iter(list).collect::<Vec<_>>();
            let mut all = chunks(&self.assembler.ready);
            all.extend(
                self.assembler
                    .islands
                    .iter()
                    .flat_map(|island| chunks(&island.chunks)),
            );
            assert!(all.iter().all(|chunk| chunk.len() > 0));
            assert_eq!(
                all.len(),
                self.pool.len() as usize,
                "no chunk is lost in the pool"
            );
            let held: usize = all
                .iter()
                .map(|chunk| chunk.truesize() + Pool::<Bytes>::OVERHEAD)
                .sum();
            assert_eq!(self.pool.held(), held);
        }

        fn islands(&self) -> Vec<(u64, u64)> {
            self.assembler
                .islands
                .iter()
                .map(|island| (island.start.get(), island.end.get()))
                .collect()
        }
    }

    // [rfc9000-2.2-1]
    #[test]
    fn order_is_kept_and_data_can_be_read_in_pieces() {
        let mut fixture = Fixture::new();
        assert_eq!(fixture.insert(0, 10), Ok(Inserted::InOrder));
        assert_eq!(fixture.insert(10, 10), Ok(Inserted::InOrder));
        assert_eq!(fixture.insert(0, 20), Ok(Inserted::Duplicate));
        assert_eq!(fixture.insert(20, 0), Ok(Inserted::Duplicate));
        assert_eq!(fixture.read(15), 15);
        assert_eq!(fixture.read(100), 5);
        assert_eq!(fixture.insert(19, 2), Ok(Inserted::InOrder));
        assert_eq!(fixture.read(100), 1);
        assert_eq!(fixture.pool.len(), 0);
    }

    #[test]
    fn islands_join_in_every_way() {
        for (inserts, islands, end) in [
            // A new one before, between, after.
            (
                &[(10, 5), (30, 5), (20, 5), (50, 5)][..],
                &[(10, 15), (20, 25), (30, 35), (50, 55)][..],
                0,
            ),
            // Touching at the end, at the start, at both.
            (&[(10, 5), (15, 5)], &[(10, 20)], 0),
            (&[(10, 5), (5, 5)], &[(5, 15)], 0),
            (&[(10, 5), (20, 5), (15, 5)], &[(10, 25)], 0),
            // Overlapping likewise.
            (&[(10, 5), (12, 8)], &[(10, 20)], 0),
            (&[(10, 5), (5, 8)], &[(5, 15)], 0),
            (&[(10, 5), (20, 5), (12, 10)], &[(10, 25)], 0),
            // Inside, equal.
            (&[(10, 5), (11, 3)], &[(10, 15)], 0),
            (&[(10, 5), (10, 5)], &[(10, 15)], 0),
            // Around one, around several, around several and into one.
            (&[(10, 5), (5, 20)], &[(5, 25)], 0),
            (&[(10, 5), (20, 5), (30, 5), (5, 40)], &[(5, 45)], 0),
            (&[(10, 5), (20, 5), (30, 5), (5, 27)], &[(5, 35)], 0),
            (&[(10, 5), (20, 5), (30, 5), (12, 20)], &[(10, 35)], 0),
            (
                &[(10, 5), (20, 5), (30, 5), (40, 5), (15, 15)],
                &[(10, 35), (40, 45)],
                0,
            ),
            // The first hole closes.
            (&[(10, 5), (20, 5), (0, 10)], &[(20, 25)], 15),
            (&[(10, 5), (20, 5), (0, 12)], &[(20, 25)], 15),
            (&[(10, 5), (20, 5), (0, 22)], &[], 25),
            (&[(10, 5), (20, 5), (0, 40)], &[], 40),
        ] {
            let mut fixture = Fixture::new();
            for &(at, len) in inserts {
                fixture.insert(at, len).unwrap();
                fixture.check();
            }
            assert_eq!(fixture.islands(), islands, "{inserts:?}");
            assert_eq!(fixture.assembler.end().get(), end, "{inserts:?}");
        }
    }

    #[test]
    fn one_byte_fragments_do_not_exceed_the_limit() {
        let mut fixture = Fixture::new();
        fixture.limit = 100_000;
        let mut refused = 0;
        for at in (2..1_000_000).step_by(2) {
            refused += usize::from(fixture.insert(at, 1).is_err());
            assert!(fixture.pool.held() <= 75_000);
        }
        assert!(refused > 0);
        assert!(fixture.pool.held() > 70_000);
        // What closes the hole is let in, up to the limit, and always when there is nothing to
        // read.
        assert_eq!(fixture.insert(0, 2), Ok(Inserted::InOrder));
        fixture.read(usize::MAX);
        assert_eq!(fixture.insert(3, 100_000), Ok(Inserted::InOrder));
        fixture.check();
    }

    #[test]
    fn islands_are_bounded_whatever_the_memory() {
        let mut fixture = Fixture::new();
        for at in 1..=MAX_ISLANDS as u64 {
            assert_eq!(fixture.insert(at * 3, 1), Ok(Inserted::OutOfOrder));
        }
        assert_eq!(fixture.insert(1, 1), Err(Refused));
        assert_eq!(fixture.insert(1_000_000, 1), Err(Refused));
        // Enlarging and joining still works, and makes room.
        assert_eq!(fixture.insert(4, 2), Ok(Inserted::OutOfOrder));
        assert_eq!(fixture.insert(1_000_000, 1), Ok(Inserted::OutOfOrder));
        fixture.check();
        // One chunk over all of them.
        assert_eq!(fixture.insert(0, 500_000), Ok(Inserted::InOrder));
        assert_eq!(fixture.islands(), [(1_000_000, 1_000_001)]);
        assert_eq!(fixture.pool.len(), 2);
        assert_eq!(fixture.insert(500_000, 500_000), Ok(Inserted::InOrder));
        assert!(
            fixture.assembler.islands.capacity() <= SPARE_ISLANDS,
            "the array is given back"
        );
    }

    #[test]
    fn a_failed_allocation_changes_nothing() {
        for n in 0.. {
            let mut fixture = Fixture::new();
            // The first block of the pool is full, so that each insertion allocates what it can.
            for at in 0..8 {
                fixture.insert(10 + at * 3, 1).unwrap();
            }
            let (before, held) = (fixture.islands(), fixture.pool.held());
            let (result, failed) = inject::fail_nth(n, || fixture.insert(100, 1));
            if !failed {
                assert_eq!(result, Ok(Inserted::OutOfOrder));
                assert!(n >= 2, "an island, and a block of the pool");
                break;
            }
            assert_eq!(result, Err(Refused));
            assert_eq!((fixture.islands(), fixture.pool.held()), (before, held));
            fixture.check();
            fixture.insert(100, 1).unwrap();
            fixture.check();
        }
    }

    #[test]
    fn truncation_keeps_what_is_below() {
        for bound in 0..60 {
            let mut fixture = Fixture::new();
            for (at, len) in [(0, 5), (5, 5), (15, 5), (20, 5), (40, 10)] {
                fixture.insert(at, len).unwrap();
            }
            fixture.read(3);
            fixture.assembler.truncate(&mut fixture.pool, offset(bound));
            fixture.check();
            assert_eq!(fixture.assembler.end().get(), bound.clamp(3, 10));
            let expected: Vec<_> = [(15, 25), (40, 50)]
                .iter()
                .filter(|i| i.0 < bound)
                .map(|i| (i.0, i.1.min(bound)))
                .collect();
            assert_eq!(fixture.islands(), expected);
            fixture.read(usize::MAX);
        }
    }

    #[test]
    fn in_order_data_allocates_nothing() {
        let mut fixture = Fixture::new();
        fixture.insert(0, 100).unwrap();
        let before = inject::count();
        for at in 1..1000 {
            fixture.insert(at * 100, 100).unwrap();
            fixture.assembler.consume(&mut fixture.pool, 100);
        }
        assert_eq!(inject::count(), before);
    }

    #[test]
    fn size() {
        assert_eq!(core::mem::size_of::<Assembler>(), 48);
        assert_eq!(core::mem::size_of::<Island>(), 24);
    }

    proptest! {
        #[test]
        fn agrees_with_a_map_of_bytes(
            steps in proptest::collection::vec((0..8_u8, 0..300_u64, 1..40_usize), 0..120),
            limit in prop_oneof![Just(AMPLE), 1_000..20_000_usize],
        ) {
            let mut fixture = Fixture::new();
            fixture.limit = limit;
            let mut model = BTreeMap::new();
            let mut read = 0;
            for (action, at, len) in steps {
                if action == 0 {
                    read += fixture.read(len) as u64;
                } else if fixture.insert(at, len).is_ok() {
                    for (at, byte) in (at..).zip(pattern(SEED, at, len)) {
                        model.insert(at, byte);
                    }
                } else {
                    prop_assert!(limit < AMPLE);
                }
                fixture.check();
                prop_assert!(fixture.pool.held() <= limit + 40 + OVERHEAD + Pool::<Bytes>::OVERHEAD);
                let end = (0..).find(|at| !model.contains_key(at)).unwrap();
                prop_assert_eq!((fixture.assembler.read().get(), fixture.assembler.end().get()), (read, end));
                let beyond: Vec<u64> = fixture.islands().into_iter().flat_map(|(from, to)| from..to).collect();
                prop_assert_eq!(beyond, model.range(end..).map(|(at, _)| *at).collect::<Vec<_>>());
            }
        }
    }
}
