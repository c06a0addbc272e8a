// SPDX-License-Identifier: GPL-2.0 OR MIT

//! [`RangeSet`]: a set of numbers as a short sorted array of ranges.

use crate::array::{partition_point, remove_range, reserve_one};
use core::ops::Range;
use kernel::alloc::{AllocError, Flags, KVec};

/// A set of numbers, stored as the ranges that it consists of.
pub(crate) struct RangeSet<T> {
    // INVARIANT: No range is empty; each ends before the next one starts, with a number between
    // them that is missing.
    ranges: KVec<Range<T>>,
}

/// The change would need one more range than there is room for. Nothing was changed.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub(crate) struct NoRoom;

impl<T: Copy + Ord + Default> RangeSet<T> {
    /// The empty set.
    pub(crate) const fn new() -> Self {
        Self {
            ranges: KVec::new(),
        }
    }

    #[inline]
    pub(crate) fn is_empty(&self) -> bool {
        self.ranges.is_empty()
    }

    /// Gives memory back that is not needed.
    pub(crate) fn trim(&mut self) {
        if self.ranges.is_empty() {
            self.ranges = KVec::new();
        }
    }

    /// Of how many ranges the set consists.
    pub(crate) fn ranges(&self) -> usize {
        self.ranges.len()
    }

    /// The lowest range.
    #[inline]
    pub(crate) fn first(&self) -> Option<Range<T>> {
        self.ranges.first().cloned()
    }

    /// Whether `value` is in the set.
    pub(crate) fn contains(&self, value: T) -> bool {
        let at = partition_point(&self.ranges, |range| range.end <= value);
        self.ranges
            .get(at)
            .is_some_and(|range| range.start <= value)
    }

    /// Makes sure that the next insertion or removal does not fail.
    pub(crate) fn reserve(&mut self, flags: Flags) -> Result<(), AllocError> {
        reserve_one(&mut self.ranges, flags)
    }

    /// Adds the numbers of `new`.
    pub(crate) fn insert(&mut self, new: Range<T>) -> Result<(), NoRoom> {
        if new.is_empty() {
            return Ok(());
        }
        // What is not separated from `new` becomes one range with it.
        let from = partition_point(&self.ranges, |range| range.end < new.start);
        let to = partition_point(&self.ranges, |range| range.start <= new.end);
        let end = match to
            .checked_sub(1)
            .filter(|&last| last >= from)
            .and_then(|last| self.ranges.get(last))
        {
            Some(last) => last.end.max(new.end),
            None => {
                return self
                    .ranges
                    .insert_within_capacity(from, new)
                    .map_err(|_| NoRoom)
            }
        };
        if let Some(first) = self.ranges.get_mut(from) {
            // INVARIANT: The ranges before `from` end before `new` starts, those that `end` may
            // touch are removed.
            *first = first.start.min(new.start)..end;
        }
        remove_range(&mut self.ranges, from.saturating_add(1)..to);
        Ok(())
    }

    /// Takes the numbers of `old` away.
    pub(crate) fn remove(&mut self, old: Range<T>) -> Result<(), NoRoom> {
        if old.is_empty() {
            return Ok(());
        }
        let mut from = partition_point(&self.ranges, |range| range.end <= old.start);
        let mut to = partition_point(&self.ranges, |range| range.start < old.end);
        let Some(last) = to.checked_sub(1).filter(|&last| last >= from) else {
            return Ok(());
        };
        if let Some(range) = self
            .ranges
            .get(from)
            .filter(|range| range.start < old.start)
            .cloned()
        {
            if range.end > old.end {
                // A hole in the middle: the only case that needs room.
                self.ranges
                    .insert_within_capacity(from, range.start..old.start)
                    .map_err(|_| NoRoom)?;
                if let Some(rest) = self.ranges.get_mut(from.saturating_add(1)) {
                    rest.start = old.end;
                }
                return Ok(());
            }
            if let Some(range) = self.ranges.get_mut(from) {
                range.end = old.start;
            }
            from = from.saturating_add(1);
        }
        if let Some(range) = self
            .ranges
            .get_mut(last)
            .filter(|range| range.end > old.end)
        {
            range.start = range.start.max(old.end);
            to = last;
        }
        remove_range(&mut self.ranges, from..to);
        Ok(())
    }

    /// Takes all numbers below `bound` away.
    #[inline]
    pub(crate) fn remove_below(&mut self, bound: T) {
        if self.ranges.first().is_none_or(|range| range.start >= bound) {
            return;
        }
        let gone = partition_point(&self.ranges, |range| range.end <= bound);
        if let Some(range) = self.ranges.get_mut(gone) {
            range.start = range.start.max(bound);
        }
        remove_range(&mut self.ranges, 0..gone);
    }

    /// Takes all numbers from `bound` on away.
    pub(crate) fn remove_from(&mut self, bound: T) {
        self.ranges
            .truncate(partition_point(&self.ranges, |range| range.start < bound));
        if let Some(range) = self.ranges.last_mut() {
            range.end = range.end.min(bound);
        }
    }

    /// The largest part of `within` that is not in the set and starts lowest.
    pub(crate) fn first_gap(&self, within: Range<T>) -> Option<Range<T>> {
        let at = partition_point(&self.ranges, |range| range.end <= within.start);
        let mut start = within.start;
        let mut above = self.ranges.iter().skip(at);
        let mut end = within.end;
        if let Some(range) = above.next() {
            if range.start <= start {
                start = range.end;
                end = above.next().map_or(end, |next| end.min(next.start));
            } else {
                end = end.min(range.start);
            }
        }
        (start < end).then_some(start..end)
    }

    /// Drops all ranges and their memory.
    pub(crate) fn clear(&mut self) {
        self.ranges = KVec::new();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use kernel::alloc::flags::GFP_KERNEL;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    #[test]
    fn fails_only_for_want_of_room() {
        let mut set = RangeSet::new();
        assert_eq!(set.insert(3..5), Err(NoRoom));
        set.reserve(GFP_KERNEL).unwrap();
        set.insert(10..20).unwrap();
        assert_eq!(set.ranges.capacity(), 1);
        assert_eq!(set.insert(30..40), Err(NoRoom));
        assert_eq!(set.remove(12..15), Err(NoRoom));
        set.insert(5..10).unwrap();
        set.insert(7..25).unwrap();
        set.remove(0..6).unwrap();
        set.remove(24..30).unwrap();
        assert_eq!((set.ranges(), set.first()), (1, Some(6..24)));
        set.remove(6..24).unwrap();
        assert!(set.is_empty());
    }

    proptest! {
        #[test]
        fn agrees_with_a_set(steps in proptest::collection::vec((0..4_u8, 0..40_u64, 0..12_u64), 0..60)) {
            let mut set = RangeSet::new();
            let mut model = BTreeSet::new();
            for (action, start, len) in steps {
                set.reserve(GFP_KERNEL).unwrap();
                match action {
                    0 => {
                        set.insert(start..start + len).unwrap();
                        model.extend(start..start + len);
                    }
                    1 => {
                        set.remove(start..start + len).unwrap();
                        model.retain(|value| !(start..start + len).contains(value));
                    }
                    2 => {
                        set.remove_below(start / 4);
                        model.retain(|value| *value >= start / 4);
                    }
                    _ => {
                        set.remove_from(start + 15);
                        model.retain(|value| *value < start + 15);
                    }
                }
                let members: Vec<_> = set.ranges.iter().cloned().flatten().collect();
                prop_assert_eq!(members, model.iter().copied().collect::<Vec<_>>());
                for pair in set.ranges.windows(2) {
                    prop_assert!(pair[0].end < pair[1].start);
                }
                prop_assert!(set.ranges.iter().all(|range| !range.is_empty()));
                for value in 0..55 {
                    prop_assert_eq!(set.contains(value), model.contains(&value));
                }
                let gap = (start..start + len).find(|value| !model.contains(value));
                let expected = gap.map(|gap| gap..(gap..start + len).find(|value| model.contains(value)).unwrap_or(start + len));
                prop_assert_eq!(set.first_gap(start..start + len), expected);
            }
        }
    }
}
