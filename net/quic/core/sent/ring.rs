// SPDX-License-Identifier: GPL-2.0 OR MIT

//! [`Ring`]: slots for a sliding window of numbers, in chunks of about a kilobyte.
//!
//! One array would have to be contiguous: a window of 10 000 packets takes 400 kB, and a kernel
//! that has run for a while has no such piece of physical memory to give to softirq. Chunks of 25
//! slots of 40 bytes fill a `kmalloc-1k` object; only the directory of pointers to them is
//! contiguous. A chunk that the window has left is used again for the numbers to come.
//!
//! ```text
//!   directory   [ c8 | c5 | c6 | c7 ]        chunk number modulo 4
//!                  |    |    |    |
//!   numbers     200..  125.. 150.. 175..     25 each; the window is 130..210
//! ```

use core::ops::Range;
use core::slice;
use kernel::alloc::{AllocError, Flags, KBox, KVec};

/// Slots of a chunk.
const CHUNK: usize = 25;
/// The same as a number of numbers.
const WIDTH: u64 = CHUNK as u64;

/// The most chunks: 800 000 packets, 1.2 GB in flight at 1500 bytes. Beyond, sending waits.
const MAX_CHUNKS: usize = 1 << 15;

/// Slots for the numbers of a window.
///
/// # Invariants
///
/// `chunks` has a power of two of elements or none. For every number from the `base` of the last
/// reservation up to `end`, the chunk of the number exists, in the element that its chunk number
/// gives modulo the number of elements.
#[derive(Debug)]
pub(super) struct Ring<S> {
    chunks: KVec<Option<KBox<[S; CHUNK]>>>,
    end: u64,
}

impl<S: Copy> Ring<S> {
    pub(super) const fn new() -> Self {
        Self {
            chunks: KVec::new(),
            end: 0,
        }
    }

    /// The number from which on there are no slots.
    #[inline]
    pub(super) const fn end(&self) -> u64 {
        self.end
    }

    /// How many chunks there may be without a larger directory.
    pub(super) fn chunks(&self) -> usize {
        self.chunks.len()
    }

    /// Makes slots up to `end`; what is below `base` may be lost, the rest stays. New slots hold
    /// `empty`, or anything from before.
    #[inline]
    pub(super) fn reserve(
        &mut self,
        base: u64,
        end: u64,
        empty: S,
        flags: Flags,
    ) -> Result<(), AllocError> {
        if end <= self.end {
            return Ok(());
        }
        self.grow(base, end, empty, flags)
    }

    fn grow(&mut self, base: u64, end: u64, empty: S, flags: Flags) -> Result<(), AllocError> {
        let first = number_of(base);
        // At least one chunk, also where `base` is `end` and the first of its chunk.
        let last = number_of(end.saturating_sub(1)).max(first);
        let span = last
            .checked_sub(first)
            .and_then(|span| usize::try_from(span).ok())
            .ok_or(AllocError)?;
        let needed = span.checked_add(1).ok_or(AllocError)?;
        if needed > self.chunks.len() {
            self.enlarge_directory(first, needed, flags)?;
        }
        for number in number_of(self.end.max(base))..=last {
            let Some(chunk) = self.element_mut(number) else {
                return Err(AllocError);
            };
            if chunk.is_none() {
                *chunk = Some(KBox::new([empty; CHUNK], flags)?);
            }
            self.end = number.saturating_add(1).saturating_mul(WIDTH);
        }
        Ok(())
    }

    fn enlarge_directory(
        &mut self,
        first: u64,
        needed: usize,
        flags: Flags,
    ) -> Result<(), AllocError> {
        if needed > MAX_CHUNKS {
            return Err(AllocError);
        }
        let length = needed.checked_next_power_of_two().ok_or(AllocError)?;
        let mut chunks = KVec::with_capacity(length, flags)?;
        for _ in 0..length {
            chunks.push_within_capacity(None).map_err(|_| AllocError)?;
        }
        let mut larger = Self {
            chunks,
            end: self.end,
        };
        for number in first..number_of(self.end.saturating_add(WIDTH - 1)) {
            if let (Some(from), Some(to)) = (self.element_mut(number), larger.element_mut(number)) {
                *to = from.take();
            }
        }
        *self = larger;
        Ok(())
    }

    /// The slot of `number`, which is in the window.
    #[inline]
    pub(super) fn get(&self, number: u64) -> Option<&S> {
        self.chunk(number_of(number))?.get(position_of(number))
    }

    /// The slot of `number`, which is in the window.
    #[inline]
    pub(super) fn get_mut(&mut self, number: u64) -> Option<&mut S> {
        self.element_mut(number_of(number))?
            .as_mut()?
            .get_mut(position_of(number))
    }

    /// The slots of the numbers from `first` to `last`.
    #[inline]
    pub(super) fn slots(&self, first: u64, last: u64) -> Slots<'_, S> {
        Slots {
            ring: self,
            slots: [].iter(),
            next: first,
            last,
        }
    }

    /// Puts `value` into the slots from `first` to `last`.
    #[inline]
    pub(super) fn fill(&mut self, first: u64, last: u64, value: S) {
        let mut next = first;
        while next <= last {
            let (number, places) = part_of(next, last);
            next = next.saturating_add(places.len() as u64);
            let chunk = self.element_mut(number).and_then(Option::as_mut);
            for slot in chunk
                .and_then(|chunk| chunk.get_mut(places))
                .unwrap_or_default()
            {
                *slot = value;
            }
        }
    }

    #[inline]
    fn chunk(&self, number: u64) -> Option<&[S; CHUNK]> {
        let mask = self.chunks.len().wrapping_sub(1);
        // Truncation does not matter: the mask is smaller still.
        self.chunks.get(number as usize & mask)?.as_deref()
    }

    #[inline]
    fn element_mut(&mut self, number: u64) -> Option<&mut Option<KBox<[S; CHUNK]>>> {
        let mask = self.chunks.len().wrapping_sub(1);
        self.chunks.get_mut(number as usize & mask)
    }
}

/// Slots of numbers in a row.
#[derive(Debug)]
pub(super) struct Slots<'a, S> {
    ring: &'a Ring<S>,
    slots: slice::Iter<'a, S>,
    next: u64,
    last: u64,
}

impl<S> Clone for Slots<'_, S> {
    fn clone(&self) -> Self {
        Self {
            ring: self.ring,
            slots: self.slots.clone(),
            next: self.next,
            last: self.last,
        }
    }
}

impl<'a, S: Copy> Iterator for Slots<'a, S> {
    type Item = &'a S;

    #[inline]
    fn next(&mut self) -> Option<&'a S> {
        match self.slots.next() {
            Some(slot) => Some(slot),
            None => self.next_chunk(),
        }
    }

    /// Chunk by chunk: half the instructions a slot of [`Self::next`].
    #[inline]
    fn fold<B, F: FnMut(B, &'a S) -> B>(mut self, init: B, mut f: F) -> B {
        let mut result = init;
        loop {
            for slot in self.slots.clone() {
                result = f(result, slot);
            }
            let Some(slots) = self.next_slots() else {
                return result;
            };
            self.slots = slots;
        }
    }
}

impl<'a, S: Copy> Slots<'a, S> {
    /// The first slot of the next chunk, after those of this one.
    #[inline]
    fn next_chunk(&mut self) -> Option<&'a S> {
        self.slots = self.next_slots()?;
        self.slots.next()
    }

    #[inline(never)]
    pub(super) fn next_slots(&mut self) -> Option<slice::Iter<'a, S>> {
        if self.next > self.last {
            return None;
        }
        let (number, places) = part_of(self.next, self.last);
        self.next = self.next.saturating_add(places.len() as u64);
        Some(self.ring.chunk(number)?.get(places)?.iter())
    }
}

/// The number of the chunk.
#[inline]
const fn number_of(number: u64) -> u64 {
    number / WIDTH
}

/// The place in the chunk.
#[inline]
const fn position_of(number: u64) -> usize {
    (number % WIDTH) as usize
}

/// The chunk of `first`, and the places in it that belong to `first..=last`: at least one.
#[inline]
fn part_of(first: u64, last: u64) -> (u64, Range<usize>) {
    let number = number_of(first);
    let start = position_of(first);
    // Less than the width of a chunk.
    let more = last.saturating_sub(first).min((CHUNK - 1) as u64) as usize;
    let end = start.saturating_add(more).saturating_add(1).min(CHUNK);
    (number, start..end)
}

#[cfg(test)]
mod tests {
    use super::*;
    use kernel::alloc::{flags::GFP_ATOMIC, inject};
    use proptest::prelude::*;

    #[test]
    fn a_chunk_of_records_is_a_kilobyte() {
        assert_eq!(size_of::<[[u64; 5]; CHUNK]>(), 1000);
    }

    #[test]
    fn chunks_are_used_again() {
        let mut ring = Ring::new();
        ring.reserve(0, 50, 0_u64, GFP_ATOMIC).unwrap();
        let before = inject::count();
        for base in 0..1000 {
            ring.reserve(base, base + 25, 0, GFP_ATOMIC).unwrap();
            *ring.get_mut(base + 24).unwrap() = base + 24;
            if base >= 24 {
                assert_eq!(ring.get(base), Some(&base));
            }
        }
        assert_eq!(inject::count(), before);
    }

    #[test]
    fn a_failed_allocation_loses_nothing() {
        let mut ring = Ring::new();
        ring.reserve(90, 120, 0_u64, GFP_ATOMIC).unwrap();
        for number in 90..120 {
            *ring.get_mut(number).unwrap() = number;
        }
        let mut failures = 0;
        loop {
            let (result, failed) = inject::fail_nth(0, || ring.reserve(90, 300, 0, GFP_ATOMIC));
            assert!((90..120).eq(ring.slots(90, 119).copied()));
            if !failed {
                result.unwrap();
                break;
            }
            assert!(result.is_err() && ring.end() < 300);
            failures += 1;
            // The next attempt gets further.
            let end = ring.end() + 1;
            ring.reserve(90, end, 0, GFP_ATOMIC).unwrap();
        }
        assert!(failures > 3);
        assert!(ring.reserve(0, u64::MAX, 0, GFP_ATOMIC).is_err());
        assert!(ring
            .reserve(0, (MAX_CHUNKS as u64 + 1) * 25, 0, GFP_ATOMIC)
            .is_err());
    }

    #[test]
    fn no_room_is_always_had() {
        let mut ring = Ring::new();
        ring.reserve(50, 50, 0_u64, GFP_ATOMIC).unwrap();
        assert!(ring.end() >= 50);
    }

    proptest! {
        #[test]
        fn a_window_keeps_its_numbers(
            start in 0_u64..1 << 60,
            steps in proptest::collection::vec((0_u64..90, 0_u64..90), 1..60),
        ) {
            let mut ring = Ring::new();
            let (mut base, mut next) = (start, start);
            for (ahead, behind) in steps {
                ring.reserve(base, next + ahead, u64::MAX, GFP_ATOMIC).unwrap();
                prop_assert!(ring.end() >= next + ahead);
                for number in next..next + ahead {
                    *ring.get_mut(number).unwrap() = number;
                }
                next += ahead;
                base = (base + behind).min(next);
                if base < next {
                    prop_assert!((base..next).eq(ring.slots(base, next - 1).copied()));
                    let middle = base + (next - base) / 2;
                    let mut filled = ring.slots(base, middle).count();
                    prop_assert_eq!(filled as u64, middle - base + 1);
                    let saved: Vec<u64> = ring.slots(base, next - 1).copied().collect();
                    ring.fill(base, middle, 7);
                    filled = ring.slots(base, next - 1).filter(|slot| **slot == 7).count();
                    prop_assert!(filled as u64 > middle - base);
                    for (number, value) in (base..next).zip(saved) {
                        *ring.get_mut(number).unwrap() = value;
                    }
                }
            }
        }
    }
}
