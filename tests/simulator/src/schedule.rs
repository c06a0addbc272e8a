// SPDX-License-Identifier: MIT OR Apache-2.0

//! [`Schedule`]: what happens when, in virtual time.

use quic_core::time::Instant;
use std::cmp::Ordering;
use std::collections::BinaryHeap;

/// A queue of things to come. What is due at the same instant comes out as it went in.
#[derive(Debug)]
pub struct Schedule<T> {
    heap: BinaryHeap<Entry<T>>,
    /// Numbers the entries.
    added: u64,
}

#[derive(Debug)]
struct Entry<T> {
    at: Instant,
    number: u64,
    what: T,
}

impl<T> Schedule<T> {
    /// Nothing is to come.
    pub fn new() -> Self {
        Self {
            heap: BinaryHeap::new(),
            added: 0,
        }
    }

    /// Plans `what` for the instant `at`.
    pub fn add(&mut self, at: Instant, what: T) {
        let number = self.added;
        self.added += 1;
        self.heap.push(Entry { at, number, what });
    }

    /// When the next thing is due.
    pub fn next_at(&self) -> Option<Instant> {
        self.heap.peek().map(|entry| entry.at)
    }

    /// The next thing, if it is due at `now` or before.
    pub fn pop(&mut self, now: Instant) -> Option<T> {
        if self.next_at()? > now {
            return None;
        }
        self.heap.pop().map(|entry| entry.what)
    }
}

impl<T> Default for Schedule<T> {
    fn default() -> Self {
        Self::new()
    }
}

// The heap gives the greatest first: so the earliest is the greatest.
impl<T> Ord for Entry<T> {
    fn cmp(&self, other: &Self) -> Ordering {
        (other.at, other.number).cmp(&(self.at, self.number))
    }
}

impl<T> PartialOrd for Entry<T> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl<T> PartialEq for Entry<T> {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl<T> Eq for Entry<T> {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn by_time_then_by_order_of_addition() {
        let at = Instant::from_nanos;
        let mut schedule = Schedule::new();
        for (when, what) in [(5, 'c'), (1, 'a'), (5, 'd'), (2, 'b')] {
            schedule.add(at(when), what);
        }
        assert_eq!(schedule.next_at(), Some(at(1)));
        assert_eq!(schedule.pop(at(0)), None);
        let order: String = std::iter::from_fn(|| schedule.pop(at(5))).collect();
        assert_eq!(order, "abcd");
    }
}
