// SPDX-License-Identifier: GPL-2.0 OR MIT

//! [`Pool`]: values in fixed places, threaded into any number of queues.
//!
//! A connection holds thousands of chunks in thousands of queues, most of which are short. A pool
//! keeps them in blocks of [`BLOCK`] places, so that a queue costs two numbers while it is empty, a
//! chunk costs no allocation of its own, and no array grows large: the kernel has no large
//! contiguous memory to give in interrupt context. A place keeps its number as long as its value
//! stays.
//!
//! ```text
//!   blocks   0: [a c . b . . . .]      free: 2 -> 4 -> 5 -> ...
//!            1: [. . . . . . ...]      List { head: 0, tail: 3 }  =  a -> c -> b
//! ```

use crate::array::{reserve, reserve_one};
use crate::chunk::{Chunk, Weight};
use core::mem::{replace, size_of, take};
use kernel::alloc::{AllocError, Flags, KVec};

/// Places in a block. With 24 or 32 bytes a place, a block fits in a kilobyte.
const BLOCK: u32 = 1 << BLOCK_SHIFT;
const BLOCK_SHIFT: u32 = 5;
/// Places in the first block: enough for a connection that only exchanges short messages, at a fifth
/// of a kilobyte.
const FIRST_BLOCK: u32 = 8;
/// Blocks that stay allocated when the pool runs empty, until [`Pool::trim`]: with 72 places for the
/// datagrams that arrive together, which would else be allocated each time.
const KEPT_BLOCKS: usize = 3;

/// The number of a place in a pool, or none.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub(crate) struct Slot(u32);

/// A queue of values in a pool. It belongs to that pool; dropping it leaks the values until the
/// pool goes.
#[derive(Debug)]
pub(crate) struct List {
    head: Slot,
    tail: Slot,
}

/// A growing set of places for values.
pub(crate) struct Pool<T> {
    // INVARIANT: `blocks[0]` holds `FIRST_BLOCK` nodes, every other block `BLOCK`. Nodes without a
    // value are linked from `free`, nodes with one from at most one list. `used` counts the
    // latter, `weight` sums them up.
    blocks: KVec<KVec<Node<T>>>,
    free: Slot,
    used: u32,
    vacant: u32,
    weight: usize,
}

struct Node<T> {
    value: Option<T>,
    next: Slot,
}

impl Slot {
    /// No place.
    pub(crate) const NONE: Self = Self(u32::MAX);
    /// The first place of any pool, whether there is a value or not.
    pub(crate) const FIRST: Self = Self(0);

    #[inline]
    pub(crate) fn is_none(self) -> bool {
        self == Self::NONE
    }

    #[inline]
    pub(crate) fn some(self) -> Option<Self> {
        (!self.is_none()).then_some(self)
    }
}

impl List {
    /// A queue without values.
    pub(crate) const EMPTY: Self = Self {
        head: Slot::NONE,
        tail: Slot::NONE,
    };

    /// The queue whose first and last values are at those places.
    pub(crate) const fn between(head: Slot, tail: Slot) -> Self {
        Self { head, tail }
    }

    #[inline]
    pub(crate) fn is_empty(&self) -> bool {
        self.head.is_none()
    }

    /// Where the first value is.
    #[inline]
    pub(crate) fn head(&self) -> Slot {
        self.head
    }

    /// Where the last value is.
    #[inline]
    pub(crate) fn tail(&self) -> Slot {
        self.tail
    }
}

impl<T: Weight> Pool<T> {
    /// What a value costs in the pool beside its own weight, in bytes.
    pub(crate) const OVERHEAD: usize = size_of::<Node<T>>();

    /// A pool without memory.
    pub(crate) const fn new() -> Self {
        Self {
            blocks: KVec::new(),
            free: Slot::NONE,
            used: 0,
            vacant: 0,
            weight: 0,
        }
    }

    /// The memory that the values hold, their places included, in bytes.
    #[inline]
    pub(crate) fn held(&self) -> usize {
        self.weight
    }

    /// How many values find a place without another allocation.
    #[cfg(test)]
    pub(crate) fn vacant(&self) -> u32 {
        self.vacant
    }

    /// How many values there are.
    pub(crate) fn len(&self) -> u32 {
        self.used
    }

    /// Makes sure that the next `additional` values find a place.
    #[inline]
    pub(crate) fn reserve(&mut self, additional: u32, flags: Flags) -> Result<(), AllocError> {
        while self.vacant < additional {
            self.grow(flags)?;
        }
        Ok(())
    }

    #[cold]
    fn grow(&mut self, flags: Flags) -> Result<(), AllocError> {
        let block = u32::try_from(self.blocks.len()).map_err(|_| AllocError)?;
        let first = block.checked_mul(BLOCK).ok_or(AllocError)?;
        let size = if block == 0 { FIRST_BLOCK } else { BLOCK };
        // `Slot::NONE` and what is beyond it never become places.
        let end = first
            .checked_add(size)
            .filter(|&end| end < Slot::NONE.0)
            .ok_or(AllocError)?;
        reserve_one(&mut self.blocks, flags)?;
        let mut nodes = KVec::new();
        let places = usize::try_from(size).unwrap_or(usize::MAX);
        reserve(&mut nodes, places, flags)?;
        for slot in first..end {
            let next = slot.wrapping_add(1);
            let next = if next == end { self.free } else { Slot(next) };
            nodes
                .push_within_capacity(Node { value: None, next })
                .map_err(|_| AllocError)?;
        }
        self.blocks
            .push_within_capacity(nodes)
            .map_err(|_| AllocError)?;
        self.free = Slot(first);
        self.vacant = self.vacant.saturating_add(size);
        Ok(())
    }

    #[inline]
    fn node(&self, slot: Slot) -> Option<&Node<T>> {
        self.blocks
            .get((slot.0 >> BLOCK_SHIFT) as usize)?
            .get((slot.0 & (BLOCK - 1)) as usize)
    }

    #[inline]
    fn node_mut(&mut self, slot: Slot) -> Option<&mut Node<T>> {
        self.blocks
            .get_mut((slot.0 >> BLOCK_SHIFT) as usize)?
            .get_mut((slot.0 & (BLOCK - 1)) as usize)
    }

    /// The value at `slot`.
    #[inline]
    pub(crate) fn get(&self, slot: Slot) -> Option<&T> {
        self.node(slot)?.value.as_ref()
    }

    /// The value at `slot`. Its weight must not change.
    #[inline]
    pub(crate) fn get_mut(&mut self, slot: Slot) -> Option<&mut T> {
        self.node_mut(slot)?.value.as_mut()
    }

    /// Where the value after the one at `slot` is, in the same queue.
    #[inline]
    pub(crate) fn next(&self, slot: Slot) -> Slot {
        self.node(slot).map_or(Slot::NONE, |node| node.next)
    }

    /// The place after `slot`, whether there is a value or not, to visit all of them.
    pub(crate) fn place_after(&self, slot: Slot) -> Option<Slot> {
        let next = Slot(slot.0.saturating_add(1));
        let next = if slot.0 < BLOCK && self.node(next).is_none() {
            Slot(BLOCK)
        } else {
            next
        };
        self.node(next).map(|_| next)
    }

    /// Puts `value` in a place of its own, or gives it back if none was reserved.
    #[inline(always)]
    pub(crate) fn insert(&mut self, value: T) -> Result<Slot, T> {
        let slot = self.free;
        let weight = value.weight();
        let Some(node) = self.node_mut(slot) else {
            return Err(value);
        };
        node.value = Some(value);
        self.free = replace(&mut node.next, Slot::NONE);
        self.used = self.used.wrapping_add(1);
        self.vacant = self.vacant.wrapping_sub(1);
        self.weight = self
            .weight
            .saturating_add(weight)
            .saturating_add(Self::OVERHEAD);
        Ok(slot)
    }

    /// Takes out the value at `slot`, which is in no queue.
    #[inline]
    pub(crate) fn remove(&mut self, slot: Slot) -> Option<T> {
        self.take_out(slot, |_| true).map(|(value, _)| value)
    }

    /// Takes out the value at `slot`, if it is `wanted`; and says where the one after it in its
    /// queue is.
    #[inline]
    fn take_out(&mut self, slot: Slot, wanted: impl FnOnce(&T) -> bool) -> Option<(T, Slot)> {
        let free = self.free;
        let node = self.node_mut(slot)?;
        if !node.value.as_ref().is_some_and(wanted) {
            return None;
        }
        let value = node.value.take()?;
        let next = replace(&mut node.next, free);
        self.free = slot;
        self.used = self.used.wrapping_sub(1);
        self.vacant = self.vacant.wrapping_add(1);
        self.weight = self
            .weight
            .saturating_sub(value.weight())
            .saturating_sub(Self::OVERHEAD);
        if self.used == 0 && self.blocks.len() > KEPT_BLOCKS {
            self.shrink(KEPT_BLOCKS);
        }
        Some((value, next))
    }

    /// Gives memory back: all blocks, if there is no value. For a connection that has become idle.
    pub(crate) fn trim(&mut self) {
        if self.used == 0 {
            self.shrink(0);
        }
    }

    /// Frees all blocks but the first `kept`; there is no value.
    #[cold]
    fn shrink(&mut self, kept: usize) {
        self.blocks.truncate(kept);
        if kept == 0 {
            self.blocks = KVec::new();
        }
        self.free = Slot::NONE;
        self.vacant = 0;
        let mut first = 0_u32;
        for block in self.blocks.iter_mut() {
            let mut slot = first;
            for node in block.iter_mut() {
                node.next = replace(&mut self.free, Slot(slot));
                slot = slot.wrapping_add(1);
                self.vacant = self.vacant.wrapping_add(1);
            }
            first = first.wrapping_add(BLOCK);
        }
    }

    /// Appends `value` to `list`, or gives it back if no place was reserved.
    #[inline(always)]
    pub(crate) fn push_back(&mut self, list: &mut List, value: T) -> Result<(), T> {
        let slot = self.insert(value)?;
        match self.node_mut(list.tail) {
            Some(tail) => tail.next = slot,
            None => list.head = slot,
        }
        list.tail = slot;
        Ok(())
    }

    /// Puts `value` before the others in `list`, or gives it back if no place was reserved.
    pub(crate) fn push_front(&mut self, list: &mut List, value: T) -> Result<(), T> {
        let slot = self.insert(value)?;
        if let Some(node) = self.node_mut(slot) {
            node.next = list.head;
        }
        list.head = slot;
        if list.tail.is_none() {
            list.tail = slot;
        }
        Ok(())
    }

    /// The first value of `list`.
    #[inline]
    pub(crate) fn front(&self, list: &List) -> Option<&T> {
        self.get(list.head)
    }

    /// Takes the first value out of `list`.
    #[inline]
    pub(crate) fn pop_front(&mut self, list: &mut List) -> Option<T> {
        self.pop_front_if(list, |_| true)
    }

    /// Takes the first value out of `list` if `wanted` says so.
    #[inline]
    pub(crate) fn pop_front_if(
        &mut self,
        list: &mut List,
        wanted: impl FnOnce(&T) -> bool,
    ) -> Option<T> {
        let (value, next) = self.take_out(list.head, wanted)?;
        list.head = next;
        if next.is_none() {
            list.tail = Slot::NONE;
        }
        Some(value)
    }

    /// Moves all values of `from` behind those of `list`.
    pub(crate) fn append(&mut self, list: &mut List, from: List) {
        if from.is_empty() {
            return;
        }
        match self.node_mut(list.tail) {
            Some(tail) => tail.next = from.head,
            None => list.head = from.head,
        }
        list.tail = from.tail;
    }

    /// Drops all values of `list`.
    pub(crate) fn clear(&mut self, list: &mut List) {
        let mut rest = take(list);
        while self.pop_front(&mut rest).is_some() {}
    }

    /// The values of `list`, in order.
    pub(crate) fn iter<'a>(&'a self, list: &List) -> impl Iterator<Item = &'a T> {
        let mut slot = list.head;
        core::iter::from_fn(move || {
            let node = self.node(slot)?;
            slot = node.next;
            node.value.as_ref()
        })
    }
}

impl<C: Chunk> Pool<C> {
    /// Lets the last chunk of `list` take up `chunk`, if it lies behind it in memory, or gives it
    /// back.
    #[inline]
    pub(crate) fn merge_back(&mut self, list: &List, chunk: C) -> Result<(), C> {
        let Some(last) = self.get_mut(list.tail) else {
            return Err(chunk);
        };
        let before = last.truesize();
        last.try_merge(chunk)?;
        let after = last.truesize();
        self.weight = self.weight.saturating_sub(before).saturating_add(after);
        Ok(())
    }
}

impl Default for Slot {
    fn default() -> Self {
        Self::NONE
    }
}

impl Default for List {
    fn default() -> Self {
        Self::EMPTY
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use kernel::alloc::flags::GFP_KERNEL;
    use kernel::alloc::inject;
    use proptest::prelude::*;
    use std::collections::VecDeque;

    #[derive(PartialEq, Eq, Debug, Clone)]
    struct Value(u32);

    impl Weight for Value {
        fn weight(&self) -> usize {
            10
        }
    }

    fn push(pool: &mut Pool<Value>, list: &mut List, value: u32) {
        pool.reserve(1, GFP_KERNEL).unwrap();
        pool.push_back(list, Value(value)).unwrap();
    }

    fn contents(pool: &Pool<Value>, list: &List) -> Vec<u32> {
        pool.iter(list).map(|value| value.0).collect()
    }

    #[test]
    fn empty_pool_keeps_few_blocks_until_it_is_trimmed() {
        let mut pool = Pool::new();
        let mut list = List::EMPTY;
        assert_eq!(pool.blocks.capacity(), 0);
        for value in 0..1000 {
            push(&mut pool, &mut list, value);
        }
        assert_eq!(pool.held(), 1000 * (10 + Pool::<Value>::OVERHEAD));
        assert!(pool.blocks.len() > 30);
        pool.clear(&mut list);
        assert_eq!((pool.len(), pool.held()), (0, 0));
        assert_eq!(pool.blocks.len(), KEPT_BLOCKS);
        // The places that are left work, and no more than those are given away.
        let places = FIRST_BLOCK + 2 * BLOCK;
        assert_eq!(pool.vacant(), places);
        for value in 0..places {
            pool.push_back(&mut list, Value(value)).unwrap();
        }
        assert_eq!(pool.push_back(&mut list, Value(999)), Err(Value(999)));
        assert_eq!(contents(&pool, &list), (0..places).collect::<Vec<_>>());
        pool.trim();
        assert_eq!(pool.len(), places);
        pool.clear(&mut list);
        pool.trim();
        assert_eq!((pool.vacant(), pool.blocks.capacity()), (0, 0));
        push(&mut pool, &mut list, 7);
        assert_eq!(contents(&pool, &list), [7]);
    }

    #[test]
    fn every_place_is_visited() {
        let mut pool = Pool::new();
        let mut list = List::EMPTY;
        for count in 0..100 {
            let mut seen = vec![];
            let mut place = Some(Slot::FIRST);
            while let Some(slot) = place {
                seen.extend(pool.get(slot).map(|value: &Value| value.0));
                place = pool.place_after(slot);
            }
            seen.sort();
            assert_eq!(seen, (0..count).collect::<Vec<_>>());
            push(&mut pool, &mut list, count);
        }
    }

    #[test]
    fn failed_growth_changes_nothing() {
        for n in 0.. {
            let mut pool = Pool::new();
            let mut list = List::EMPTY;
            for value in 0..FIRST_BLOCK {
                push(&mut pool, &mut list, value);
            }
            let (result, failed) = inject::fail_nth(n, || pool.reserve(1, GFP_KERNEL));
            assert_eq!(result.is_err(), failed);
            if !failed {
                break;
            }
            assert_eq!(pool.insert(Value(9)), Err(Value(9)));
            assert_eq!(contents(&pool, &list), (0..FIRST_BLOCK).collect::<Vec<_>>());
            push(&mut pool, &mut list, FIRST_BLOCK);
            assert_eq!(
                contents(&pool, &list),
                (0..=FIRST_BLOCK).collect::<Vec<_>>()
            );
        }
    }

    #[test]
    fn places_are_small() {
        assert_eq!(size_of::<Pool<Value>>(), 48);
        assert_eq!(size_of::<List>(), 8);
        assert_eq!(Pool::<Value>::OVERHEAD, 12);
    }

    proptest! {
        /// Three queues in one pool behave like three queues.
        #[test]
        fn queues_do_not_mix(steps in proptest::collection::vec((0..5_u8, 0..3_usize, 0..3_usize), 0..400)) {
            let mut pool = Pool::new();
            let mut lists = [List::EMPTY, List::EMPTY, List::EMPTY];
            let mut model = [VecDeque::new(), VecDeque::new(), VecDeque::new()];
            for (number, (action, a, b)) in (0..).zip(steps) {
                match action {
                    0 | 1 => {
                        push(&mut pool, &mut lists[a], number);
                        model[a].push_back(number);
                    }
                    2 => {
                        pool.reserve(1, GFP_KERNEL).unwrap();
                        pool.push_front(&mut lists[a], Value(number)).unwrap();
                        model[a].push_front(number);
                    }
                    3 => {
                        let popped = pool.pop_front(&mut lists[a]).map(|value| value.0);
                        prop_assert_eq!(popped, model[a].pop_front());
                    }
                    _ if a != b => {
                        let from = take(&mut lists[b]);
                        pool.append(&mut lists[a], from);
                        let mut from = take(&mut model[b]);
                        model[a].append(&mut from);
                    }
                    _ => {
                        pool.clear(&mut lists[a]);
                        model[a].clear();
                    }
                }
                for (list, model) in lists.iter().zip(&model) {
                    prop_assert_eq!(contents(&pool, list), model.iter().copied().collect::<Vec<_>>());
                    prop_assert_eq!(pool.front(list).map(|value| value.0), model.front().copied());
                    prop_assert_eq!(pool.get(list.tail()).map(|value| value.0), model.back().copied());
                }
                let count: usize = model.iter().map(VecDeque::len).sum();
                prop_assert_eq!(pool.len() as usize, count);
                prop_assert_eq!(pool.held(), count * (10 + Pool::<Value>::OVERHEAD));
            }
        }
    }
}
