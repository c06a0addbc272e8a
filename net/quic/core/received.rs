// SPDX-License-Identifier: GPL-2.0 OR MIT

//! [`ReceivedPackets`]: the packet numbers received in one packet number space, as few disjoint ranges.
//!
//! The set answers two questions: has this packet number been seen before, and what belongs into an
//! ACK frame. It holds a bounded number of ranges, ascending in an array: the first three inside
//! the object, more in memory of their own. Below `floor` nothing is remembered and everything
//! counts as seen, so that forgetting a range can never let a duplicate through (RFC 9000 §13.2.3:
//! "a minimum packet number that increases as ranges are discarded").
//!
//! ```text
//!   counts as seen     not seen   seen   not seen   seen
//!  0 ........... floor ........ [a, b] .......... [c, d] ........ 2^62
//! ```
//!
//! When a new range would exceed the limit, or memory for it cannot be had, the oldest range is
//! forgotten. The peer then retransmits what was in it, if our acknowledgment of it was lost, and
//! nothing else happens; so insertion cannot fail.

use crate::frame::AckRange;
use crate::packet::PacketNumber;
use core::mem;
use kernel::alloc::{Flags, KVec};

/// Ranges inside the object. A connection without loss has one, one with a single hole two.
const INLINE: usize = 3;

/// The most ranges of a set: an ACK frame of 64 gaps takes about 260 bytes, and 1% loss in a window
/// of 6000 packets leaves as many until the peer acknowledges our acknowledgment.
pub const MAX_RANGES: usize = 64;

/// What an element holds that is not in use.
const UNUSED: AckRange = AckRange {
    smallest: PacketNumber::ZERO,
    largest: PacketNumber::ZERO,
};

/// A bounded set of packet numbers.
///
/// # Invariants
///
/// The first `len` elements of the storage in use are ascending, disjoint, not adjacent, and not
/// below `floor`. The storage in use is `spilled` if that has elements, else `inline`; all its
/// elements are initialised.
#[derive(Debug)]
pub struct ReceivedPackets {
    inline: [AckRange; INLINE],
    spilled: KVec<AckRange>,
    len: usize,
    floor: u64,
}

impl ReceivedPackets {
    /// The empty set.
    pub const fn new() -> Self {
        Self {
            inline: [UNUSED; INLINE],
            spilled: KVec::new(),
            len: 0,
            floor: 0,
        }
    }

    /// Whether nothing is remembered.
    pub const fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The number of ranges.
    pub const fn len(&self) -> usize {
        self.len
    }

    /// Whether `pn` was inserted, or is too old to know.
    // RFC 9000 §13.2.3: A receiver MUST retain an ACK Range unless it can ensure that it will not
    // subsequently accept packets with numbers in that range.
    pub fn contains(&self, pn: PacketNumber) -> bool {
        if pn.get() < self.floor {
            return true;
        }
        match self.descending().find(|range| range.smallest <= pn) {
            Some(range) => pn <= range.largest,
            None => false,
        }
    }

    /// Inserts `pn` and says whether it is new. In order it takes constant time and no memory.
    #[inline(always)]
    pub fn insert(&mut self, pn: PacketNumber, flags: Flags) -> bool {
        if pn.get() < self.floor {
            return false;
        }
        let newest = self
            .len
            .checked_sub(1)
            .and_then(|last| self.slots_mut().get_mut(last));
        if let Some(newest) = newest {
            if follows(pn, newest.largest) {
                newest.largest = pn;
                return true;
            }
        }
        self.insert_out_of_order(pn, flags)
    }

    /// Forgets everything below `pn`.
    pub fn forget_below(&mut self, pn: PacketNumber) {
        self.raise_floor(pn.get());
    }

    fn raise_floor(&mut self, floor: u64) {
        let floor = self.floor.max(floor);
        self.floor = floor;
        let gone = self.first_reaching(floor.saturating_add(1));
        let kept = self.len.saturating_sub(gone);
        let slots = self.slots_mut();
        for to in 0..kept {
            let moved = slots.get(to.saturating_add(gone)).copied();
            if let (Some(slot), Some(moved)) = (slots.get_mut(to), moved) {
                *slot = moved;
            }
        }
        if let Some(oldest) = slots.first_mut().filter(|_| kept > 0) {
            oldest.smallest = oldest.smallest.max(PacketNumber::saturating(floor));
        }
        self.len = kept;
        self.shrink();
    }

    /// The ranges from the highest down, as an ACK frame lists them.
    pub fn descending(
        &self,
    ) -> impl DoubleEndedIterator<Item = AckRange> + ExactSizeIterator + Clone + '_ {
        self.slots().iter().take(self.len).rev().copied()
    }

    /// The largest packet number remembered.
    pub fn largest(&self) -> Option<PacketNumber> {
        self.descending().next().map(|range| range.largest)
    }

    /// The smallest packet number from `from` on and below `to` that was not inserted.
    pub fn first_missing(&self, from: PacketNumber, to: PacketNumber) -> Option<PacketNumber> {
        // From the top, since the callers ask about what has just arrived.
        let mut missing = None;
        let from = from.get().max(self.floor);
        let mut above = to.get();
        for range in self.descending() {
            if above <= from {
                break;
            }
            let next = end_of(range).max(from);
            if next < above {
                missing = Some(next);
            }
            above = above.min(range.smallest.get());
        }
        if from < above {
            missing = Some(from);
        }
        missing.map(PacketNumber::saturating)
    }

    #[cold]
    fn insert_out_of_order(&mut self, pn: PacketNumber, flags: Flags) -> bool {
        // The first range that ends at or behind the packet before `pn`: the only one that can hold
        // or touch it from below.
        let index = self.first_reaching(pn.get());
        let len = self.len;
        let slots = self.slots_mut();
        let Some((at, above)) = slots
            .get_mut(index..len)
            .and_then(|slice| slice.split_first_mut())
        else {
            return self.insert_range(index, pn, flags);
        };
        if at.smallest <= pn && pn <= at.largest {
            return false;
        }
        if at.largest < pn {
            // It ends just before `pn`.
            at.largest = pn;
            if let Some(next) = above.first().filter(|next| follows(next.smallest, pn)) {
                at.largest = next.largest;
                self.remove_range(index.saturating_add(1));
            }
            return true;
        }
        if follows(at.smallest, pn) {
            at.smallest = pn;
            return true;
        }
        self.insert_range(index, pn, flags)
    }

    /// The index of the first range that ends at or behind the packet before `end`.
    fn first_reaching(&self, end: u64) -> usize {
        // From the top: what comes out of order is mostly young. `partition_point` would refer to a
        // panic where core is compiled with checks for overflow.
        let mut first = self.len;
        for range in self.descending() {
            if end_of(range) < end {
                break;
            }
            first = first.saturating_sub(1);
        }
        first
    }

    /// Inserts a range of one before range `index`.
    fn insert_range(&mut self, index: usize, pn: PacketNumber, flags: Flags) -> bool {
        let mut index = index;
        if !self.make_room(flags) {
            // RFC 9000 §13.2.3: a receiver limits the number of ACK Ranges it remembers.
            let Some(oldest) = self.descending().next_back() else {
                return false;
            };
            if index == 0 {
                // The new range is the oldest itself. The packet counts, but is not acknowledged.
                self.floor = pn.get().saturating_add(1);
                return true;
            }
            self.raise_floor(end_of(oldest));
            index = index.saturating_sub(1);
        }
        let len = self.len.saturating_add(1);
        let mut carried = AckRange::one(pn);
        for slot in self.slots_mut().iter_mut().take(len).skip(index) {
            mem::swap(slot, &mut carried);
        }
        self.len = len;
        true
    }

    fn remove_range(&mut self, index: usize) {
        let len = self.len;
        let mut carried = UNUSED;
        for slot in self.slots_mut().iter_mut().take(len).skip(index).rev() {
            mem::swap(slot, &mut carried);
        }
        self.len = len.saturating_sub(1);
    }

    /// Sees to a free element, without losing a range.
    fn make_room(&mut self, flags: Flags) -> bool {
        let capacity = self.slots().len();
        if self.len < capacity {
            return true;
        }
        let larger = capacity.saturating_mul(2).clamp(8, MAX_RANGES);
        if larger <= capacity {
            return false;
        }
        let Ok(mut spilled) = KVec::from_elem(UNUSED, larger, flags) else {
            return false;
        };
        for (to, from) in spilled.iter_mut().zip(self.slots()) {
            *to = *from;
        }
        self.spilled = spilled;
        true
    }

    /// Gives the memory back once the ranges fit inside the object with one to spare.
    fn shrink(&mut self) {
        if self.len >= INLINE || self.spilled.is_empty() {
            return;
        }
        for (to, from) in self.inline.iter_mut().zip(self.spilled.iter()) {
            *to = *from;
        }
        self.spilled = KVec::new();
    }

    #[inline]
    fn slots(&self) -> &[AckRange] {
        if self.spilled.is_empty() {
            &self.inline
        } else {
            &self.spilled
        }
    }

    #[inline]
    fn slots_mut(&mut self) -> &mut [AckRange] {
        if self.spilled.is_empty() {
            &mut self.inline
        } else {
            &mut self.spilled
        }
    }
}

impl Default for ReceivedPackets {
    fn default() -> Self {
        Self::new()
    }
}

/// Whether `pn` is the packet number after `before`.
#[inline]
const fn follows(pn: PacketNumber, before: PacketNumber) -> bool {
    // Neither is above 2^62.
    before.get().wrapping_add(1) == pn.get()
}

/// The number after the range.
#[inline]
const fn end_of(range: AckRange) -> u64 {
    range.largest.get().wrapping_add(1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::pn;
    use kernel::alloc::{flags::GFP_ATOMIC, inject};
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    fn set(pns: impl IntoIterator<Item = u64>) -> ReceivedPackets {
        let mut set = ReceivedPackets::new();
        for number in pns {
            set.insert(pn(number), GFP_ATOMIC);
        }
        set
    }

    fn ranges(set: &ReceivedPackets) -> Vec<(u64, u64)> {
        set.descending()
            .map(|range| (range.smallest.get(), range.largest.get()))
            .collect()
    }

    #[test]
    fn in_order_is_one_range_and_no_allocation() {
        let before = inject::count();
        let set = set(0..1000);
        assert_eq!(ranges(&set), [(0, 999)]);
        assert_eq!(inject::count(), before);
    }

    #[test]
    fn a_hole_closes_from_either_side() {
        let mut set = set([0, 1, 5, 6]);
        assert_eq!(ranges(&set), [(5, 6), (0, 1)]);
        assert!(set.insert(pn(4), GFP_ATOMIC));
        assert!(set.insert(pn(2), GFP_ATOMIC));
        assert_eq!(ranges(&set), [(4, 6), (0, 2)]);
        assert!(set.insert(pn(3), GFP_ATOMIC));
        assert_eq!(ranges(&set), [(0, 6)]);
        for n in 0..=6 {
            assert!(!set.insert(pn(n), GFP_ATOMIC));
        }
    }

    // [rfc9000-13.2.3-1]
    #[test]
    fn the_oldest_range_goes_at_the_limit() {
        let mut set = set((0..=MAX_RANGES as u64).map(|n| n * 2));
        assert_eq!(set.len(), MAX_RANGES);
        assert!(set.contains(pn(0)) && !set.contains(pn(1)) && !set.contains(pn(3)));
        assert_eq!(set.descending().last(), AckRange::new(2, 2));
        // Older than the oldest: accepted once, not remembered for an acknowledgment.
        let top = MAX_RANGES as u64 * 2;
        set.forget_below(pn(3));
        for n in [top + 2, 6] {
            set.insert(pn(n), GFP_ATOMIC);
        }
        assert_eq!(set.len(), MAX_RANGES);
        assert!(set.insert(pn(top + 10), GFP_ATOMIC));
        assert!(!set.insert(pn(3), GFP_ATOMIC));
    }

    #[test]
    fn a_packet_older_than_a_full_set_counts_once() {
        let mut set = set((1..=MAX_RANGES as u64).map(|n| n * 4));
        assert_eq!(set.len(), MAX_RANGES);
        assert!(set.insert(pn(1), GFP_ATOMIC));
        assert!(!set.insert(pn(1), GFP_ATOMIC));
        assert_eq!(set.len(), MAX_RANGES);
    }

    #[test]
    fn without_memory_the_oldest_range_goes() {
        let (mut set, failed) = inject::fail_nth(0, || set([0, 2, 4, 6]));
        assert!(failed);
        assert_eq!(ranges(&set), [(6, 6), (4, 4), (2, 2)]);
        assert!(!set.insert(pn(0), GFP_ATOMIC));
    }

    #[test]
    fn memory_returns_when_the_ranges_are_few() {
        let mut set = set((0..20).map(|n| n * 2));
        assert!(!set.spilled.is_empty());
        set.forget_below(pn(35));
        assert!(set.spilled.is_empty());
        assert_eq!(ranges(&set), [(38, 38), (36, 36)]);
    }

    #[test]
    fn forgetting_cuts_a_range() {
        let mut set = set([0, 1, 2, 3, 8]);
        set.forget_below(pn(2));
        assert_eq!(ranges(&set), [(8, 8), (2, 3)]);
        set.forget_below(PacketNumber::MAX);
        assert!(set.is_empty() && set.contains(pn((1 << 62) - 2)));
        assert_eq!(set.largest(), None);
    }

    #[test]
    fn the_object_is_small() {
        assert_eq!(size_of::<ReceivedPackets>(), 88);
    }

    #[derive(Clone, Debug)]
    enum Step {
        Insert(u64),
        Forget(u64),
    }

    fn step() -> impl Strategy<Value = Step> {
        prop_oneof![20 => (0_u64..300).prop_map(Step::Insert), 1 => (0_u64..300).prop_map(Step::Forget)]
    }

    proptest! {
        // [rfc9000-12.3-4]
        #[test]
        fn agrees_with_a_set_of_numbers(steps in proptest::collection::vec(step(), 0..400), failing in 0_u64..12) {
            let (mut set, mut model, mut floor) = (ReceivedPackets::new(), BTreeSet::new(), 0);
            inject::fail_nth(failing, || {
                for step in &steps {
                    match *step {
                        Step::Insert(n) => {
                            prop_assert_eq!(set.insert(pn(n), GFP_ATOMIC), n >= floor && model.insert(n));
                        }
                        Step::Forget(n) => set.forget_below(pn(n)),
                    }
                    // The set may forget more than it was told to, at the limit; never less.
                    prop_assert!(set.floor >= floor);
                    floor = set.floor;
                    model.retain(|n| *n >= floor);
                    prop_assert!(set.len() <= MAX_RANGES);
                }
                Ok(())
            }).0?;
            let listed: BTreeSet<u64> = ranges(&set).into_iter().flat_map(|(first, last)| first..=last).collect();
            prop_assert_eq!(&listed, &model);
            let descending = ranges(&set);
            prop_assert!(descending.windows(2).all(|two| two[0].0 > two[1].1 + 1));
            for n in 0..310 {
                prop_assert_eq!(set.contains(pn(n)), n < floor || model.contains(&n));
                let missing = (n.max(floor)..305).find(|n| !model.contains(n));
                prop_assert_eq!(set.first_missing(pn(n), pn(305)), missing.map(pn));
            }
        }

        #[test]
        fn extreme_numbers(numbers in proptest::collection::vec(0..1_u64 << 62, 0..200)) {
            let set = set(numbers.iter().copied());
            for n in numbers {
                prop_assert!(set.contains(pn(n)));
            }
        }
    }
}
