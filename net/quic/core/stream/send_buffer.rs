// SPDX-License-Identifier: GPL-2.0 OR MIT

//! [`SendBuffer`]: what the application wrote, until the peer has acknowledged it.
//!
//! ```text
//!   0 ...... acked_to ####====####====#### next ------------- end
//!            |        in flight, lost (=), |     not sent yet
//!            front     or acknowledged out of order
//! ```
//!
//! New data is taken at a cursor and acknowledged at the front, in order: neither searches nor
//! allocates. What is lost is sent again from the chunks it was sent from; finding them walks the
//! queue from where the last such walk ended, because losses are repaired from low to high.

use super::lost::{LostRanges, MAX_RANGES};
use crate::chunk::Chunk;
use crate::offset::{bytes, length, Offset};
use crate::pool::{List, Pool, Slot};
use crate::range_set::RangeSet;
use core::ops::Range;
use kernel::alloc::{AllocError, Flags};

/// The data of a stream on its way to the peer.
// RFC 9000 §2.2: The data at a given offset MUST NOT change if it is sent multiple times.
pub(crate) struct SendBuffer {
    // INVARIANT: `list` holds the bytes from `front` on, up to `end` or, if that is lower, `keep`.
    // Everything below `acked_to` is acknowledged; `acked` and `lost` are disjoint sets between
    // `acked_to` and `next`.
    list: List,
    front: Offset,
    acked_to: Offset,
    next: Offset,
    end: Offset,
    /// What is at this offset or after it does not have to arrive any more.
    keep: Offset,
    /// Where `next` is.
    cursor: Cursor,
    /// A chunk of `list` that was found before, and the offset of its first byte.
    hint: (Slot, Offset),
    acked: RangeSet<Offset>,
    lost: LostRanges,
}

/// A byte in a queue of chunks: how many bytes of the chunk at `slot` precede it.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub(crate) struct Cursor {
    slot: Slot,
    skip: u32,
}

impl Cursor {
    pub(crate) const NONE: Self = Self {
        slot: Slot::NONE,
        skip: 0,
    };
}

/// Consecutive bytes of a chunk: a part of what a frame carries.
#[derive(Debug)]
pub struct Piece<'a, C> {
    /// The chunk.
    pub chunk: &'a C,
    /// Which of its bytes.
    pub range: Range<usize>,
}

impl SendBuffer {
    pub(crate) const fn new() -> Self {
        Self {
            list: List::EMPTY,
            front: Offset::ZERO,
            acked_to: Offset::ZERO,
            next: Offset::ZERO,
            end: Offset::ZERO,
            keep: Offset::MAX,
            cursor: Cursor::NONE,
            hint: (Slot::NONE, Offset::ZERO),
            acked: RangeSet::new(),
            lost: LostRanges::new(),
        }
    }

    /// A buffer of whose data everything before `offset` was acknowledged, and nothing else written.
    pub(crate) fn from(offset: Offset) -> Self {
        Self {
            front: offset,
            acked_to: offset,
            next: offset,
            end: offset,
            ..Self::new()
        }
    }

    /// How much has been written.
    #[inline]
    pub(crate) fn end(&self) -> Offset {
        self.end
    }

    /// How much has been sent at least once.
    #[inline]
    pub(crate) fn next(&self) -> Offset {
        self.next
    }

    /// How much has been written behind the last byte up to which everything is acknowledged.
    pub(crate) fn unacked(&self) -> u64 {
        self.end - self.acked_to
    }

    /// Whether everything that has to arrive is acknowledged.
    pub(crate) fn all_acked(&self) -> bool {
        self.acked_to >= self.end.min(self.keep)
    }

    /// The range to send again first.
    #[inline]
    pub(crate) fn first_lost(&self) -> Option<Range<Offset>> {
        if self.lost.is_empty() {
            return None;
        }
        self.lost.first()
    }

    /// Takes up `chunk` behind everything written before. A failure leaves the buffer as it was.
    pub(crate) fn append<C: Chunk>(
        &mut self,
        pool: &mut Pool<C>,
        chunk: C,
        flags: Flags,
    ) -> Result<(), AllocError> {
        let len = chunk.len();
        let end = self.end.checked_add(len).ok_or(AllocError)?;
        if len == 0 {
            return Ok(());
        }
        let tail = self.list.tail();
        let skip = pool.get(tail).map_or(0, Chunk::len);
        let mut cursor = Cursor {
            slot: tail,
            skip: u32::try_from(skip).unwrap_or(u32::MAX),
        };
        if let Err(chunk) = pool.merge_back(&self.list, chunk) {
            pool.reserve(1, flags)?;
            pool.push_back(&mut self.list, chunk)
                .map_err(|_| AllocError)?;
            cursor = Cursor {
                slot: self.list.tail(),
                skip: 0,
            };
        }
        if self.cursor.slot.is_none() {
            // Everything before has been sent, so `next` is the first byte of the chunk.
            self.cursor = cursor;
        }
        self.end = end;
        Ok(())
    }

    /// As [`Self::send_new`] of bytes that are there, the next ones of which there are more.
    #[inline(always)]
    pub(crate) fn send_some<C: Chunk>(&mut self, pool: &Pool<C>, len: usize) -> Cursor {
        let start = self.cursor;
        let end = length(u64::from(start.skip)).saturating_add(len);
        match (pool.get(start.slot), u32::try_from(end)) {
            (Some(chunk), Ok(skip)) if end < chunk.len() => {
                self.cursor.skip = skip;
                self.next = self.next + len;
                start
            }
            _ => self.send_new(pool, len),
        }
    }

    /// Takes the next `len` bytes that were never sent, at most those there are, and says where
    /// they are.
    pub(crate) fn send_new<C: Chunk>(&mut self, pool: &Pool<C>, len: usize) -> Cursor {
        let start = self.cursor;
        let mut left = bytes(len).min(self.end - self.next);
        self.next = self.next + left;
        while let Some(chunk) = pool.get(self.cursor.slot) {
            let rest = bytes(chunk.len()).saturating_sub(u64::from(self.cursor.skip));
            if left < rest {
                // `left` is less than the length of a chunk.
                self.cursor.skip = self
                    .cursor
                    .skip
                    .saturating_add(u32::try_from(left).unwrap_or(u32::MAX));
                break;
            }
            left = left.saturating_sub(rest);
            self.cursor = Cursor {
                slot: pool.next(self.cursor.slot),
                skip: 0,
            };
        }
        start
    }

    /// Takes `range`, all or the beginning of [`Self::first_lost`], and says where it is.
    pub(crate) fn send_again<C: Chunk>(
        &mut self,
        pool: &Pool<C>,
        range: Range<Offset>,
        flags: Flags,
    ) -> Cursor {
        let at = self.find(pool, range.start);
        self.lost.remove(range, flags);
        at
    }

    /// Where the byte at `offset` is.
    fn find<C: Chunk>(&mut self, pool: &Pool<C>, offset: Offset) -> Cursor {
        let (mut slot, mut start) = match self.hint {
            (slot, start) if !slot.is_none() && start <= offset => (slot, start),
            _ => (self.list.head(), self.front),
        };
        while let Some(chunk) = pool.get(slot) {
            let end = start + chunk.len();
            if offset < end {
                self.hint = (slot, start);
                return Cursor {
                    slot,
                    skip: u32::try_from(offset - start).unwrap_or(u32::MAX),
                };
            }
            (slot, start) = (pool.next(slot), end);
        }
        Cursor::NONE
    }

    /// The peer has received `range`. Returns whether the acknowledged prefix grew.
    #[inline]
    pub(crate) fn on_acked<C: Chunk>(
        &mut self,
        pool: &mut Pool<C>,
        range: Range<Offset>,
        flags: Flags,
    ) -> bool {
        let range = range.start..range.end.min(self.next).min(self.keep);
        if range.start > self.acked_to {
            self.ack_out_of_order(range, flags);
            return false;
        }
        if range.end <= self.acked_to {
            return false;
        }
        self.acked_to = range.end;
        if !self.acked.is_empty() {
            self.acked.remove_below(self.acked_to);
            if let Some(first) = self
                .acked
                .first()
                .filter(|first| first.start == self.acked_to)
            {
                self.acked_to = first.end;
                self.acked.remove_below(self.acked_to);
            }
        }
        if !self.lost.is_empty() {
            self.lost.remove_below(self.acked_to);
        }
        self.release(pool);
        true
    }

    #[cold]
    fn ack_out_of_order(&mut self, range: Range<Offset>, flags: Flags) {
        if range.is_empty() {
            return;
        }
        let mut inserted = self.acked.insert(range.clone());
        if inserted.is_err()
            && self.acked.ranges() < MAX_RANGES
            && self.acked.reserve(flags).is_ok()
        {
            inserted = self.acked.insert(range.clone());
        }
        match inserted {
            Ok(()) => self.lost.remove(range, flags),
            // It cannot be remembered that it arrived; so it is sent again some time.
            Err(_) => self.lost.insert(range, flags),
        }
    }

    /// Drops the chunks that are acknowledged as a whole.
    #[inline]
    fn release<C: Chunk>(&mut self, pool: &mut Pool<C>) {
        while let Some(chunk) = pool.front(&self.list) {
            let end = self.front + chunk.len();
            if end > self.acked_to {
                break;
            }
            let slot = self.list.head();
            pool.pop_front(&mut self.list);
            self.front = end;
            if self.hint.0 == slot {
                self.hint.0 = Slot::NONE;
            }
            if self.cursor.slot == slot {
                // All of it has been sent, so `next` is the first byte after it.
                self.cursor = Cursor {
                    slot: self.list.head(),
                    skip: 0,
                };
            }
        }
    }

    /// The packet with `range` was lost: what the peer has not acknowledged since is to be sent
    /// again.
    pub(crate) fn on_lost(&mut self, range: Range<Offset>, flags: Flags) {
        let end = range.end.min(self.next).min(self.keep);
        let mut start = range.start.max(self.acked_to);
        while let Some(gap) = self.acked.first_gap(start..end) {
            start = gap.end;
            self.lost.insert(gap, flags);
        }
    }

    /// Gives up what has not been sent, and what is at `keep` and after it, sent or not: returns
    /// how many bytes will not be sent any more.
    pub(crate) fn cut<C: Chunk>(&mut self, pool: &mut Pool<C>, keep: Offset) -> u64 {
        let before = self.end;
        let keep = keep.min(self.keep);
        self.end = self.end.min(self.next.max(keep));
        self.keep = keep;
        let mut old = core::mem::take(&mut self.list);
        let mut at = self.front;
        while let Some(mut chunk) = pool.pop_front(&mut old) {
            if at < keep {
                let len = chunk.len();
                chunk.truncate(length(keep - at));
                at = at + len;
                // Its place has just become free.
                let _ = pool.push_back(&mut self.list, chunk);
            }
        }
        self.hint.0 = Slot::NONE;
        self.release(pool);
        self.cursor = self.find(pool, self.next);
        self.acked.remove_from(keep);
        self.lost.remove_from(keep);
        before - self.end
    }

    /// Forgets that anything was ever sent: the peer has discarded it all.
    pub(crate) fn rewind<C: Chunk>(&mut self, pool: &Pool<C>) {
        self.acked.clear();
        self.lost.clear();
        self.next = self.acked_to;
        self.cursor = self.find(pool, self.next);
    }

    /// Drops all chunks.
    pub(crate) fn clear<C: Chunk>(&mut self, pool: &mut Pool<C>) {
        pool.clear(&mut self.list);
        self.cursor = Cursor::NONE;
        self.hint.0 = Slot::NONE;
        self.acked.clear();
        self.lost.clear();
    }
}

/// The `len` bytes from `cursor` on, if they are in one chunk.
#[inline(always)]
pub(crate) fn only_piece<C: Chunk>(
    pool: &Pool<C>,
    cursor: Cursor,
    len: usize,
) -> Option<Piece<'_, C>> {
    let chunk = pool.get(cursor.slot)?;
    let start = length(u64::from(cursor.skip));
    let end = start.saturating_add(len);
    (len > 0 && end <= chunk.len()).then_some(Piece {
        chunk,
        range: start..end,
    })
}

/// The `len` bytes from `cursor` on, chunk by chunk.
pub(crate) fn pieces<C: Chunk>(
    pool: &Pool<C>,
    cursor: Cursor,
    len: usize,
) -> impl Iterator<Item = Piece<'_, C>> {
    let Cursor { mut slot, skip } = cursor;
    let mut skip = length(u64::from(skip));
    let mut left = len;
    core::iter::from_fn(move || {
        let chunk = pool.get(slot).filter(|_| left > 0)?;
        let end = chunk.len().min(skip.saturating_add(left));
        let range = skip..end;
        left = left.saturating_sub(end.saturating_sub(skip));
        slot = pool.next(slot);
        skip = 0;
        Some(Piece { chunk, range })
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chunk::testing::{pattern, Bytes};
    use kernel::alloc::flags::GFP_ATOMIC;
    use kernel::alloc::inject;
    use proptest::prelude::*;

    const SEED: u64 = 3;

    fn range(start: u64, end: u64) -> Range<Offset> {
        Offset::saturating(start)..Offset::saturating(end)
    }

    /// A send buffer and, for every byte that was written, what must be known about it.
    struct Fixture {
        pool: Pool<Bytes>,
        buffer: SendBuffer,
        acked: Vec<bool>,
        lost: Vec<bool>,
        sent: usize,
        packets: Vec<(u64, u64)>,
    }

    impl Fixture {
        fn new() -> Self {
            let (pool, buffer) = (Pool::new(), SendBuffer::new());
            Self {
                pool,
                buffer,
                acked: vec![],
                lost: vec![],
                sent: 0,
                packets: vec![],
            }
        }

        fn append(&mut self, len: usize) {
            let chunk = Bytes::pattern(SEED, self.acked.len() as u64, len);
            self.buffer
                .append(&mut self.pool, chunk, GFP_ATOMIC)
                .unwrap();
            self.acked.resize(self.acked.len() + len, false);
            self.lost.resize(self.acked.len(), false);
        }

        fn contents(&self, at: Cursor, len: usize) -> Vec<u8> {
            pieces(&self.pool, at, len)
                .flat_map(|piece| piece.chunk.as_slice()[piece.range].to_vec())
                .collect()
        }

        fn send(&mut self, len: usize) -> usize {
            let (start, len, at) = match self.buffer.first_lost() {
                Some(lost) => {
                    let len = len.min((lost.end - lost.start) as usize);
                    let range = lost.start..lost.start + len;
                    (
                        lost.start,
                        len,
                        self.buffer.send_again(&self.pool, range, GFP_ATOMIC),
                    )
                }
                None => {
                    let start = self.buffer.next();
                    let len = len.min((self.buffer.end() - start) as usize);
                    (start, len, self.buffer.send_new(&self.pool, len))
                }
            };
            assert_eq!(self.contents(at, len), pattern(SEED, start.get(), len));
            let start = start.get() as usize;
            self.lost[start..start + len].fill(false);
            self.sent = self.sent.max(start + len);
            if len > 0 {
                self.packets.push((start as u64, (start + len) as u64));
            }
            len
        }

        fn ack(&mut self, (start, end): (u64, u64)) {
            self.buffer
                .on_acked(&mut self.pool, range(start, end), GFP_ATOMIC);
            self.acked[start as usize..end as usize].fill(true);
            self.lost[start as usize..end as usize].fill(false);
        }

        fn lose(&mut self, (start, end): (u64, u64)) {
            self.buffer.on_lost(range(start, end), GFP_ATOMIC);
            for at in start as usize..end as usize {
                self.lost[at] = !self.acked[at];
            }
        }

        fn check(&self) {
            let prefix = self.acked.iter().take_while(|acked| **acked).count();
            for at in prefix..self.acked.len() {
                let at_offset = Offset::saturating(at as u64);
                assert_eq!(
                    self.buffer.acked.contains(at_offset),
                    self.acked[at],
                    "{at}"
                );
            }
            assert_eq!(self.buffer.acked_to.get(), prefix as u64);
            assert_eq!(self.buffer.next.get(), self.sent as u64);
            assert_eq!(self.buffer.all_acked(), prefix == self.acked.len());
            // The lowest lost byte comes next, and its range holds nothing that is not lost.
            match self.buffer.first_lost() {
                None => assert!(!self.lost.contains(&true)),
                Some(first) => {
                    let (start, end) = (first.start.get() as usize, first.end.get() as usize);
                    assert_eq!(self.lost.iter().position(|lost| *lost), Some(start));
                    assert!(self.lost[start..end].iter().all(|lost| *lost));
                    assert_ne!(self.lost.get(end), Some(&true));
                }
            }
            // Only what is acknowledged is dropped, and all chunks that are entirely acknowledged
            // at the front are.
            let held: Vec<u8> = self
                .pool
                .iter(&self.buffer.list)
                .flat_map(|chunk| chunk.as_slice().to_vec())
                .collect();
            let front = self.buffer.front.get();
            assert_eq!(
                held,
                pattern(SEED, front, self.acked.len() - front as usize)
            );
            assert!(front <= prefix as u64);
            if let Some(first) = self.pool.front(&self.buffer.list) {
                assert!(front + first.len() as u64 > prefix as u64);
            }
        }
    }

    #[test]
    fn in_order_nothing_is_allocated() {
        let mut fixture = Fixture::new();
        fixture.append(100);
        let before = inject::count();
        let (pool, buffer) = (&mut fixture.pool, &mut fixture.buffer);
        for at in 1..1000 {
            buffer
                .append(pool, Bytes::pattern(SEED, at * 100, 100), GFP_ATOMIC)
                .unwrap();
            buffer.send_new(pool, 100);
            assert!(buffer.on_acked(pool, range(at * 100 - 100, at * 100), GFP_ATOMIC));
        }
        assert_eq!(inject::count(), before);
        assert_eq!(pool.len(), 1);
    }

    #[test]
    fn a_peer_that_acknowledges_every_second_byte_gets_the_rest_in_one() {
        let mut fixture = Fixture::new();
        fixture.append(5_000);
        while fixture.send(1) > 0 {}
        for at in (1..5_000).step_by(2) {
            fixture
                .buffer
                .on_acked(&mut fixture.pool, range(at, at + 1), GFP_ATOMIC);
        }
        assert!(fixture.buffer.acked.ranges() <= MAX_RANGES);
        let again = fixture.buffer.first_lost().unwrap();
        assert_eq!(again.start.get(), MAX_RANGES as u64 * 2 + 1);
        fixture
            .buffer
            .on_acked(&mut fixture.pool, range(0, 5_000), GFP_ATOMIC);
        assert!(fixture.buffer.all_acked());
        assert!(fixture.buffer.first_lost().is_none());
    }

    #[test]
    fn an_acknowledgement_of_what_was_not_sent_frees_nothing() {
        let mut fixture = Fixture::new();
        fixture.append(100);
        fixture.send(10);
        fixture
            .buffer
            .on_acked(&mut fixture.pool, range(0, 100), GFP_ATOMIC);
        assert_eq!(fixture.buffer.acked_to.get(), 10);
        fixture.buffer.on_lost(range(0, 100), GFP_ATOMIC);
        assert_eq!(fixture.buffer.first_lost(), None);
        assert_eq!(fixture.send(200), 90);
    }

    #[test]
    fn acknowledgements_and_losses_do_without_memory() {
        for n in 0..8 {
            let mut fixture = Fixture::new();
            for _ in 0..10 {
                fixture.append(10);
            }
            while fixture.send(10) > 0 {}
            inject::fail_nth(n, || {
                for packet in [(20, 30), (40, 50), (60, 70)] {
                    fixture.buffer.on_acked(
                        &mut fixture.pool,
                        range(packet.0, packet.1),
                        GFP_ATOMIC,
                    );
                }
                for packet in [(0, 10), (30, 40), (70, 80), (10, 20), (50, 60)] {
                    fixture
                        .buffer
                        .on_lost(range(packet.0, packet.1), GFP_ATOMIC);
                }
            });
            // Whatever failed: everything but the last two packets is sent again or known to have
            // arrived.
            let mut covered = [false; 100];
            fixture
                .buffer
                .acked
                .first_gap(range(0, 1).start..range(0, 1).end);
            for at in 0..100 {
                covered[at as usize] = fixture.buffer.acked.contains(Offset::saturating(at));
            }
            while let Some(lost) = fixture.buffer.first_lost() {
                fixture.send(1000);
                covered[lost.start.get() as usize..lost.end.get() as usize].fill(true);
            }
            assert!(covered[..80].iter().all(|covered| *covered), "{n}");
        }
    }

    #[test]
    fn a_failed_append_changes_nothing() {
        let mut fixture = Fixture::new();
        for _ in 0..8 {
            fixture.append(10);
        }
        fixture.send(80);
        let chunk = Bytes::pattern(SEED, 80, 10);
        let body = || fixture.buffer.append(&mut fixture.pool, chunk, GFP_ATOMIC);
        assert_eq!(inject::fail_nth(0, body), (Err(AllocError), true));
        fixture.check();
        fixture.append(10);
        assert_eq!(fixture.send(20), 10);
    }

    #[test]
    fn size() {
        assert_eq!(core::mem::size_of::<SendBuffer>(), 136);
        assert_eq!(core::mem::size_of::<Cursor>(), 8);
    }

    /// A chunk that is merged with the one that lies before it in memory.
    #[derive(Debug)]
    struct Fragment {
        page: u32,
        range: Range<usize>,
    }

    impl Chunk for Fragment {
        fn len(&self) -> usize {
            self.range.len()
        }

        fn truesize(&self) -> usize {
            self.range.len()
        }

        fn advance(&mut self, len: usize) {
            self.range.start += len;
        }

        fn truncate(&mut self, len: usize) {
            self.range.end = self.range.end.min(self.range.start + len);
        }

        fn try_merge(&mut self, next: Self) -> Result<(), Self> {
            if self.page != next.page || self.range.end != next.range.start {
                return Err(next);
            }
            self.range.end = next.range.end;
            Ok(())
        }
    }

    #[test]
    fn small_writes_become_one_chunk() {
        let mut pool = Pool::new();
        let mut buffer = SendBuffer::new();
        let write = |pool: &mut Pool<Fragment>, buffer: &mut SendBuffer, page, range| {
            buffer
                .append(pool, Fragment { page, range }, GFP_ATOMIC)
                .unwrap();
        };
        write(&mut pool, &mut buffer, 0, 0..10);
        write(&mut pool, &mut buffer, 0, 10..20);
        let at = buffer.send_new(&pool, 20);
        assert!(pieces(&pool, at, 20)
            .map(|piece| piece.range)
            .eq(core::iter::once(0..20)));
        // What is appended to a chunk that was sent as a whole is found.
        write(&mut pool, &mut buffer, 0, 20..25);
        assert_eq!(
            (pool.len(), pool.held()),
            (1, 25 + Pool::<Fragment>::OVERHEAD)
        );
        write(&mut pool, &mut buffer, 1, 25..30);
        let at = buffer.send_new(&pool, 100);
        assert_eq!(
            pieces(&pool, at, 10)
                .map(|piece| (piece.chunk.page, piece.range))
                .collect::<Vec<_>>(),
            [(0, 20..25), (1, 0..5)]
        );
        buffer.on_acked(&mut pool, range(0, 25), GFP_ATOMIC);
        assert_eq!(
            (pool.len(), pool.held()),
            (1, 5 + Pool::<Fragment>::OVERHEAD)
        );
    }

    proptest! {
        // [rfc9000-2.2-2]
        #[test]
        fn agrees_with_a_byte_by_byte_model(
            steps in proptest::collection::vec((0..8_u8, 0..100_usize), 0..300),
        ) {
            let mut fixture = Fixture::new();
            let mut settled: Vec<(u64, u64)> = vec![];
            for (action, n) in steps {
                let packets = fixture.packets.len();
                match action {
                    0 | 1 => fixture.append(n),
                    2..=4 => {
                        fixture.send(n);
                    }
                    5 if packets > 0 => {
                        let packet = fixture.packets.remove(n % packets);
                        fixture.ack(packet);
                        settled.push(packet);
                    }
                    6 if packets > 0 => {
                        let packet = fixture.packets.remove(n % packets);
                        fixture.lose(packet);
                        settled.push(packet);
                    }
                    // A packet that was declared lost arrived after all.
                    7 if !settled.is_empty() => fixture.ack(settled[n % settled.len()]),
                    _ => {}
                }
                fixture.check();
            }
            // In the end everything arrives.
            while !fixture.buffer.all_acked() {
                while fixture.send(50) > 0 {}
                for packet in core::mem::take(&mut fixture.packets) {
                    fixture.ack(packet);
                }
            }
            prop_assert_eq!(fixture.pool.len(), 0);
        }

        #[test]
        fn after_a_cut_only_the_beginning_has_to_arrive(
            steps in proptest::collection::vec((0..6_u8, 1..60_usize), 0..60),
            keep in 0..600_u64,
        ) {
            let mut fixture = Fixture::new();
            for (action, n) in steps {
                let packets = fixture.packets.len();
                match action {
                    0 | 1 => fixture.append(n),
                    2 | 3 => {
                        fixture.send(n);
                    }
                    4 if packets > 0 => {
                        let packet = fixture.packets.remove(n % packets);
                        fixture.ack(packet);
                    }
                    5 if packets > 0 => {
                        let packet = fixture.packets.remove(n % packets);
                        fixture.lose(packet);
                    }
                    _ => {}
                }
            }
            let (written, sent) = (fixture.acked.len() as u64, fixture.sent as u64);
            let discarded = fixture.buffer.cut(&mut fixture.pool, Offset::saturating(keep));
            let end = written.min(sent.max(keep));
            prop_assert_eq!((fixture.buffer.end().get(), discarded), (end, written - end));
            let held: usize = fixture.pool.iter(&fixture.buffer.list).map(Chunk::len).sum();
            prop_assert_eq!(held as u64, end.min(keep).saturating_sub(fixture.buffer.front.get()));
            // What is in flight is lost, and all that arrives in the end is what was promised.
            for packet in core::mem::take(&mut fixture.packets) {
                fixture.buffer.on_lost(range(packet.0, packet.1), GFP_ATOMIC);
            }
            for _ in 0..1000 {
                while fixture.send(50) > 0 {}
                for packet in core::mem::take(&mut fixture.packets) {
                    prop_assert!(packet.1 <= keep.min(end));
                    fixture.buffer.on_acked(&mut fixture.pool, range(packet.0, packet.1), GFP_ATOMIC);
                }
            }
            prop_assert!(fixture.buffer.all_acked());
            prop_assert_eq!(fixture.pool.len(), 0);
        }
    }
}
