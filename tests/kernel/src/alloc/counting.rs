// SPDX-License-Identifier: MIT OR Apache-2.0

//! [`Counting`]: an allocator that knows how much memory the current thread holds.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

thread_local! {
    static HELD: Cell<isize> = const { Cell::new(0) };
    static ROUNDED: Cell<isize> = const { Cell::new(0) };
}

/// The system's allocator, with a count. A program that wants the count declares it:
/// `#[global_allocator] static ALLOCATOR: Counting = Counting;`.
#[derive(Copy, Clone, Debug)]
pub struct Counting;

/// What the current thread has allocated and not freed.
#[derive(Copy, Clone, PartialEq, Eq, Debug, Default)]
pub struct Held {
    /// In bytes, as asked for.
    pub asked: isize,
    /// In bytes, as `kmalloc` would take them from its caches.
    pub rounded: isize,
}

/// How much the current thread holds. Memory that another thread frees is not noticed.
pub fn held() -> Held {
    Held {
        asked: HELD.get(),
        rounded: ROUNDED.get(),
    }
}

/// The size of the objects of the `kmalloc` cache that serves `size` bytes.
fn kmalloc_size(size: usize) -> usize {
    match size {
        0 => 0,
        1..=8 => 8,
        65..=96 => 96,
        129..=192 => 192,
        _ => size.next_power_of_two(),
    }
}

fn count(size: usize, sign: isize) {
    HELD.set(HELD.get() + size as isize * sign);
    ROUNDED.set(ROUNDED.get() + kmalloc_size(size) as isize * sign);
}

// SAFETY: All methods are those of `System`, which keeps the contract; the counts are cells without
// destructors, so that using them allocates nothing.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(layout.size(), 1);
        // SAFETY: The contract of the caller.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        count(layout.size(), -1);
        // SAFETY: The contract of the caller.
        unsafe { System.dealloc(pointer, layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        count(layout.size(), -1);
        count(size, 1);
        // SAFETY: The contract of the caller.
        unsafe { System.realloc(pointer, layout, size) }
    }
}
