// SPDX-License-Identifier: GPL-2.0

//! [`Counters`]: event counters, one set a CPU, added up when somebody looks.
//!
//! C header: [`include/linux/percpu.h`](srctree/include/linux/percpu.h)

use super::bindings;
use core::ptr::NonNull;
use kernel::{ffi::c_ulong, prelude::*};

/// `N` counters.
///
/// # Invariants
///
/// The pointer is that of a per-CPU allocation of `N` counters, which belongs to this value.
pub(crate) struct Counters<const N: usize>(NonNull<c_ulong>);

// SAFETY: The counters are changed by operations that are atomic on their CPU.
unsafe impl<const N: usize> Send for Counters<N> {}
// SAFETY: As above.
unsafe impl<const N: usize> Sync for Counters<N> {}

impl<const N: usize> Counters<N> {
    /// Counters at zero. May sleep.
    pub(crate) fn new() -> Result<Self> {
        // SAFETY: No conditions.
        let counters = unsafe { bindings::quic_helper_counters_alloc(N as u32) };
        // INVARIANT: Just allocated.
        NonNull::new(counters).map(Self).ok_or(ENOMEM)
    }

    /// Counts one event. Any context.
    pub(crate) fn increment(&self, counter: usize) {
        if counter < N {
            // SAFETY: By the type invariant; the index is in bounds.
            unsafe { bindings::quic_helper_counters_inc(self.0.as_ptr(), counter as u32) }
        }
    }

    /// How many events were counted on all CPUs.
    pub(crate) fn sum(&self, counter: usize) -> usize {
        if counter >= N {
            return 0;
        }
        // SAFETY: By the type invariant; the index is in bounds.
        unsafe { bindings::quic_helper_counters_sum(self.0.as_ptr(), counter as u32) }
    }
}

impl<const N: usize> Drop for Counters<N> {
    fn drop(&mut self) {
        // SAFETY: By the type invariant.
        unsafe { bindings::free_percpu(self.0.as_ptr().cast()) }
    }
}
