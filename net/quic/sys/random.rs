// SPDX-License-Identifier: GPL-2.0

//! Random numbers.
//!
//! C header: [`include/linux/random.h`](srctree/include/linux/random.h)

use super::bindings;

/// A number below `ceiling`, each equally likely; 0 if `ceiling` is 0. Any context.
pub(crate) fn below(ceiling: u32) -> u32 {
    if ceiling == 0 {
        return 0;
    }
    // SAFETY: No conditions; the ceiling is not zero.
    unsafe { bindings::quic_helper_random_below(ceiling) }
}
