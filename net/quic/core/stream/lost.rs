// SPDX-License-Identifier: GPL-2.0 OR MIT

//! [`LostRanges`]: what has to be sent again.

use crate::offset::Offset;
use crate::range_set::RangeSet;
use core::ops::Range;
use kernel::alloc::Flags;

/// The most ranges of a stream that are told apart, among the lost ones and among those
/// acknowledged out of order: 8 KiB each. It is the acknowledgements of the peer that divide what
/// is in flight; beyond this number, what lies between is sent again with the rest, so that a peer
/// that acknowledges every second packet pays with its bandwidth.
pub(crate) const MAX_RANGES: usize = 512;

/// A set of lost bytes. Adding to it cannot fail: what finds no place as a range of its own widens
/// [`Self::cover`], and some bytes are then sent again without need.
pub(crate) struct LostRanges {
    ranges: RangeSet<Offset>,
    cover: Range<Offset>,
}

impl LostRanges {
    pub(crate) const fn new() -> Self {
        Self {
            ranges: RangeSet::new(),
            cover: Offset::ZERO..Offset::ZERO,
        }
    }

    #[inline]
    pub(crate) fn is_empty(&self) -> bool {
        self.ranges.is_empty() && self.cover.is_empty()
    }

    /// The range to send next: the one that starts lowest, as it is what holds up the receiver.
    pub(crate) fn first(&self) -> Option<Range<Offset>> {
        let cover = Some(&self.cover).filter(|cover| !cover.is_empty()).cloned();
        match (self.ranges.first(), cover) {
            (Some(first), Some(cover)) if cover.start < first.start => Some(cover),
            (first, cover) => first.or(cover),
        }
    }

    /// `range` has to be sent again.
    pub(crate) fn insert(&mut self, range: Range<Offset>, flags: Flags) {
        if range.is_empty() {
            return;
        }
        let inserted = self.ranges.insert(range.clone()).is_ok()
            || (self.grow(flags) && self.ranges.insert(range.clone()).is_ok());
        if inserted {
            return;
        }
        self.cover = if self.cover.is_empty() {
            range
        } else {
            self.cover.start.min(range.start)..self.cover.end.max(range.end)
        };
    }

    /// `range` has been sent again, or arrived after all. If it would leave a hole for which there
    /// is no memory, it stays.
    pub(crate) fn remove(&mut self, range: Range<Offset>, flags: Flags) {
        if self.ranges.remove(range.clone()).is_err() && self.grow(flags) {
            let _ = self.ranges.remove(range.clone());
        }
        if range.start <= self.cover.start {
            self.cover.start = self.cover.start.max(range.end);
        } else if range.end >= self.cover.end {
            self.cover.end = self.cover.end.min(range.start);
        }
    }

    /// Makes room for one more range, within the bound.
    fn grow(&mut self, flags: Flags) -> bool {
        self.ranges.ranges() < MAX_RANGES && self.ranges.reserve(flags).is_ok()
    }

    /// Nothing below `bound` has to be sent again.
    #[inline]
    pub(crate) fn remove_below(&mut self, bound: Offset) {
        self.ranges.remove_below(bound);
        self.cover.start = self.cover.start.max(bound);
    }

    /// Nothing from `bound` on has to be sent again.
    pub(crate) fn remove_from(&mut self, bound: Offset) {
        self.ranges.remove_from(bound);
        self.cover.end = self.cover.end.min(bound);
    }

    /// Nothing has to be sent again.
    pub(crate) fn clear(&mut self) {
        *self = Self::new();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use kernel::alloc::flags::GFP_ATOMIC;
    use kernel::alloc::inject;

    fn range(start: u64, end: u64) -> Range<Offset> {
        Offset::saturating(start)..Offset::saturating(end)
    }

    fn drain(lost: &mut LostRanges) -> Vec<(u64, u64)> {
        let mut all = Vec::new();
        while let Some(first) = lost.first() {
            all.push((first.start.get(), first.end.get()));
            lost.remove(first, GFP_ATOMIC);
        }
        assert!(lost.is_empty());
        all
    }

    #[test]
    fn lowest_comes_first() {
        let mut lost = LostRanges::new();
        lost.insert(range(30, 40), GFP_ATOMIC);
        lost.insert(range(10, 20), GFP_ATOMIC);
        lost.insert(range(35, 50), GFP_ATOMIC);
        lost.insert(range(5, 5), GFP_ATOMIC);
        assert_eq!(drain(&mut lost), [(10, 20), (30, 50)]);
    }

    #[test]
    fn without_memory_more_is_sent_again_and_nothing_is_forgotten() {
        for n in 0..3 {
            let mut lost = LostRanges::new();
            let body = || {
                for at in [10, 30, 50] {
                    lost.insert(range(at, at + 10), GFP_ATOMIC);
                }
            };
            inject::fail_nth(n, body);
            let mut all: Vec<u64> = drain(&mut lost)
                .into_iter()
                .flat_map(|(from, to)| from..to)
                .collect();
            all.sort();
            for at in [10, 30, 50] {
                assert!(
                    (at..at + 10).all(|byte| all.contains(&byte)),
                    "{n}: {all:?}"
                );
            }
        }
    }

    #[test]
    fn ranges_are_bounded() {
        let mut lost = LostRanges::new();
        for at in 0..5_000 {
            lost.insert(range(at * 10, at * 10 + 5), GFP_ATOMIC);
        }
        assert!(lost.ranges.ranges() <= MAX_RANGES);
        assert_eq!(lost.cover, range(MAX_RANGES as u64 * 10, 49_995));
        let all = drain(&mut lost);
        assert_eq!(all.len(), MAX_RANGES + 1);
        assert!(all.windows(2).all(|pair| pair[0].1 < pair[1].0));
    }

    #[test]
    fn cover_shrinks_from_both_ends() {
        let mut lost = LostRanges {
            ranges: RangeSet::new(),
            cover: range(10, 50),
        };
        lost.remove(range(0, 15), GFP_ATOMIC);
        lost.remove(range(20, 30), GFP_ATOMIC);
        lost.remove(range(45, 60), GFP_ATOMIC);
        assert_eq!(lost.cover, range(15, 45));
        lost.remove_below(Offset::saturating(20));
        lost.remove_from(Offset::saturating(40));
        assert_eq!(lost.cover, range(20, 40));
        lost.remove(range(0, 100), GFP_ATOMIC);
        assert!(lost.is_empty());
    }
}
