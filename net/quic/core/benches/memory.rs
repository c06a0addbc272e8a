// SPDX-License-Identifier: GPL-2.0 OR MIT

//! How much memory an idle connection takes.
//!
//! Prints a line for each case: what it is, in one word, the bytes that the connection and all of
//! its allocations have, and the limit.

#![allow(missing_docs)]

mod setup;

use kernel::alloc::counting::Counting;
use setup::idle;

#[global_allocator]
static ALLOCATOR: Counting = Counting;

fn main() {
    for idle in idle::measure() {
        println!("{} {} {}", idle.name, idle.bytes, idle::LIMIT);
    }
}
