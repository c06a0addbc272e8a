// SPDX-License-Identifier: MIT OR Apache-2.0

//! Makes chosen allocations of the current thread fail.

use std::cell::Cell;

thread_local! {
    static COUNTDOWN: Cell<Option<u64>> = const { Cell::new(None) };
    static SEEN: Cell<u64> = const { Cell::new(0) };
    static FAILED: Cell<u64> = const { Cell::new(0) };
    static FAILURES: Cell<Option<Failures>> = const { Cell::new(None) };
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

/// How many allocations of this thread were made to fail.
pub fn failed() -> u64 {
    FAILED.get()
}

/// Which of many allocations fail: the same ones for the same seed.
#[derive(Copy, Clone, Debug)]
pub struct Failures {
    state: u64,
    one_in: u64,
}

impl Failures {
    /// One in `one_in` allocations, about; none if that is 0.
    pub fn new(seed: u64, one_in: u64) -> Self {
        let state = seed | 1; // from 0 xorshift does not come away
        Self { state, one_in }
    }

    fn next(&mut self) -> bool {
        if self.one_in == 0 {
            return false;
        }
        self.state ^= self.state << 13;
        self.state ^= self.state >> 7;
        self.state ^= self.state << 17;
        self.state % self.one_in == 0
    }

    /// Runs `body`, in which they happen.
    pub fn during<R>(&mut self, body: impl FnOnce() -> R) -> R {
        struct Restore<'a>(&'a mut Failures);
        impl Drop for Restore<'_> {
            fn drop(&mut self) {
                *self.0 = FAILURES.take().unwrap_or(*self.0);
            }
        }
        FAILURES.set(Some(*self));
        let _restore = Restore(self);
        body()
    }
}

/// Whether the allocation that is about to be made shall fail. For whoever allocates in another
/// way than the types here.
pub fn next_fails() -> bool {
    SEEN.set(SEEN.get().wrapping_add(1));
    let fails = is_chosen();
    FAILED.set(FAILED.get().wrapping_add(u64::from(fails)));
    fails
}

fn is_chosen() -> bool {
    if let Some(mut failures) = FAILURES.get() {
        let fails = failures.next();
        FAILURES.set(Some(failures));
        return fails;
    }
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
