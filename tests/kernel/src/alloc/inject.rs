// SPDX-License-Identifier: MIT OR Apache-2.0

//! Makes a chosen allocation of the current thread fail.

use std::cell::Cell;

thread_local! {
    static COUNTDOWN: Cell<Option<u64>> = const { Cell::new(None) };
    static SEEN: Cell<u64> = const { Cell::new(0) };
}

/// Runs `body` with its allocation number `n` (from 0) failing, and every later one succeeding.
///
/// Returns what `body` returned and whether it got as far as allocation `n`, so that a test can
/// count up until a run meets no failure any more.
pub fn fail_nth<R>(n: u64, body: impl FnOnce() -> R) -> (R, bool) {
    struct Restore;
    impl Drop for Restore {
        fn drop(&mut self) {
            COUNTDOWN.set(None);
        }
    }
    let _restore = Restore;
    COUNTDOWN.set(Some(n));
    let result = body();
    (result, COUNTDOWN.get().is_none())
}

/// How many allocations this thread has made, failed ones included.
pub fn count() -> u64 {
    SEEN.get()
}

/// Whether the allocation that is about to be made shall fail.
pub(super) fn next_fails() -> bool {
    SEEN.set(SEEN.get().wrapping_add(1));
    match COUNTDOWN.get() {
        Some(0) => {
            COUNTDOWN.set(None);
            true
        }
        Some(n) => {
            COUNTDOWN.set(Some(n - 1));
            false
        }
        None => false,
    }
}
