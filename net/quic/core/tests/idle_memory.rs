// SPDX-License-Identifier: GPL-2.0 OR MIT

//! An idle connection takes no more than a page of memory, all of its allocations included, however
//! busy it was before.

#[path = "../benches/setup/mod.rs"]
mod setup;

use kernel::alloc::counting::Counting;
use setup::idle;

#[global_allocator]
static ALLOCATOR: Counting = Counting;

#[test]
fn idle_connections_fit_in_a_page() {
    for idle in idle::measure() {
        assert!(
            idle.bytes <= idle::LIMIT,
            "an idle {} takes {} bytes",
            idle.name,
            idle.bytes
        );
    }
}

/// The test can fail: what a busy connection holds is noticed.
#[test]
fn busy_connections_do_not() {
    for busy in idle::measure_busy() {
        assert!(busy.bytes > 2 * idle::LIMIT, "{busy:?}");
    }
}
