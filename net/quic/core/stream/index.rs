// SPDX-License-Identifier: GPL-2.0 OR MIT

//! [`Index`]: which streams of a type are open, and where they are.
//!
//! RFC 9000 §2.1: a stream ID that is used out of order results in all streams of that type with
//! lower-numbered stream IDs also being opened. So below `next` every stream is or was open. It has
//! state in the table; or it was opened by a higher one and nothing was ever said about it, then it
//! is in `untouched`; or it is closed. So neither a closed stream nor one that was only opened
//! costs memory of its own, and one frame cannot make us allocate a thousand streams (RFC 9000
//! §21.8).

use crate::array::{partition_point, reserve_one, retain};
use crate::pool::Slot;
use crate::range_set::RangeSet;
use kernel::alloc::{AllocError, Flags, KVec};

/// The streams of a type, by their number within the type.
pub(crate) struct Index {
    // INVARIANT: Sorted by number. The numbers are below `next` and not in `untouched`. `dead`
    // entries have no slot.
    entries: KVec<Entry>,
    dead: usize,
    // INVARIANT: Below `next`. It has at most as many ranges as the peer may open streams.
    untouched: RangeSet<u64>,
    next: u64,
}

#[derive(Copy, Clone, Default)]
struct Entry {
    number: u64,
    slot: Slot,
}

/// What is known of a stream.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub(crate) enum Place {
    /// Not opened.
    Unopened,
    /// Opened by a higher one.
    Untouched,
    /// It has state.
    Known(Slot),
    /// It is over.
    Closed,
}

impl Index {
    pub(crate) const fn new() -> Self {
        Self {
            entries: KVec::new(),
            dead: 0,
            untouched: RangeSet::new(),
            next: 0,
        }
    }

    /// The lowest stream that is not open.
    // RFC 9000 §2.1: A QUIC endpoint MUST NOT reuse a stream ID within a connection.
    pub(crate) fn next(&self) -> u64 {
        self.next
    }

    #[inline]
    pub(crate) fn find(&self, number: u64) -> Place {
        if number >= self.next {
            return Place::Unopened;
        }
        // The stream opened last is the one most often asked for.
        let entry = match self.entries.last() {
            Some(last) if last.number == number => Some(last),
            _ => self
                .entries
                .get(self.position(number))
                .filter(|entry| entry.number == number),
        };
        match entry {
            Some(entry) if entry.slot.is_none() => Place::Closed,
            Some(entry) => Place::Known(entry.slot),
            None if self.untouched.contains(number) => Place::Untouched,
            None => Place::Closed,
        }
    }

    fn position(&self, number: u64) -> usize {
        partition_point(&self.entries, |entry| entry.number < number)
    }

    /// Makes sure that the next insertion does not fail.
    pub(crate) fn reserve(&mut self, flags: Flags) -> Result<(), AllocError> {
        reserve_one(&mut self.entries, flags)?;
        self.untouched.reserve(flags)
    }

    /// Stream `number`, which is unopened or untouched, has its state at `slot`. Those below it are
    /// opened.
    pub(crate) fn insert(&mut self, number: u64, slot: Slot) {
        if number >= self.next {
            let _ = self.untouched.insert(self.next..number);
            self.next = number.saturating_add(1);
        } else {
            let _ = self.untouched.remove(number..number.saturating_add(1));
        }
        let _ = self
            .entries
            .insert_within_capacity(self.position(number), Entry { number, slot });
    }

    /// Gives memory back. For a connection that has become idle.
    pub(crate) fn trim(&mut self) {
        // All that are listed are over: that follows from their not being listed, too.
        if self.dead == self.entries.len() {
            self.entries = KVec::new();
            self.dead = 0;
        }
        self.untouched.trim();
    }

    /// Stream `number` is over.
    pub(crate) fn remove(&mut self, number: u64) {
        let at = self.position(number);
        let Some(entry) = self
            .entries
            .get_mut(at)
            .filter(|entry| entry.number == number)
        else {
            return;
        };
        entry.slot = Slot::NONE;
        self.dead = self.dead.saturating_add(1);
        // Taking out one entry moves all after it; taking out half of them moves the other half
        // once.
        if self.dead > self.entries.len() / 2 {
            retain(&mut self.entries, |entry| !entry.slot.is_none());
            self.dead = 0;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chunk::Weight;
    use crate::pool::Pool;
    use kernel::alloc::flags::GFP_ATOMIC;
    use kernel::alloc::inject;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    struct Number(u64);

    impl Weight for Number {
        fn weight(&self) -> usize {
            0
        }
    }

    fn insert(index: &mut Index, pool: &mut Pool<Number>, number: u64) {
        index.reserve(GFP_ATOMIC).unwrap();
        pool.reserve(1, GFP_ATOMIC).unwrap();
        let slot = pool.insert(Number(number)).ok().unwrap();
        index.insert(number, slot);
    }

    #[test]
    fn a_high_number_opens_the_lower_ones_without_memory() {
        let (mut index, mut pool) = (Index::new(), Pool::new());
        insert(&mut index, &mut pool, 1_000_000);
        assert_eq!(index.next(), 1_000_001);
        assert_eq!((index.entries.capacity(), index.untouched.ranges()), (1, 1));
        assert_eq!(index.find(999_999), Place::Untouched);
        assert_eq!(index.find(1_000_001), Place::Unopened);
        index.remove(1_000_000);
        assert_eq!(index.find(1_000_000), Place::Closed);
        assert_eq!(index.entries.len(), 0);
    }

    #[test]
    fn failed_reservation_changes_nothing() {
        for n in 0.. {
            let (mut index, mut pool) = (Index::new(), Pool::new());
            insert(&mut index, &mut pool, 3);
            let (result, failed) = inject::fail_nth(n, || index.reserve(GFP_ATOMIC));
            assert_eq!(result.is_err(), failed);
            if !failed {
                break;
            }
            assert_eq!(
                (index.find(2), index.find(4), index.next()),
                (Place::Untouched, Place::Unopened, 4)
            );
        }
    }

    #[test]
    fn size() {
        assert_eq!(core::mem::size_of::<Index>(), 64);
    }

    proptest! {
        #[test]
        fn agrees_with_a_map(steps in proptest::collection::vec((any::<bool>(), 0..40_u64), 0..150)) {
            let (mut index, mut pool) = (Index::new(), Pool::new());
            let mut model: BTreeMap<u64, Place> = BTreeMap::new();
            for (open, number) in steps {
                let place = index.find(number);
                match place {
                    Place::Unopened | Place::Untouched if open => {
                        insert(&mut index, &mut pool, number);
                        for lower in 0..number {
                            model.entry(lower).or_insert(Place::Untouched);
                        }
                        let Place::Known(slot) = index.find(number) else { panic!("{number}") };
                        model.insert(number, Place::Known(slot));
                    }
                    Place::Known(slot) if !open => {
                        prop_assert_eq!(pool.remove(slot).unwrap().0, number);
                        index.remove(number);
                        model.insert(number, Place::Closed);
                    }
                    _ => {}
                }
                for number in 0..41 {
                    prop_assert_eq!(index.find(number), model.get(&number).copied().unwrap_or(Place::Unopened));
                }
                let known = model.values().filter(|place| matches!(place, Place::Known(_))).count();
                prop_assert!(index.entries.len() <= 2 * known + 1);
            }
        }
    }
}
