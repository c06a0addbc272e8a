// SPDX-License-Identifier: GPL-2.0

//! What differs between the supported kernel releases. So far the C interfaces do not.
//!
//! Kbuild sets the cfg `before_7_3` when it builds against 7.2.

use kernel::prelude::*;

/// Runs an initialiser on `slot`.
///
/// # Safety
///
/// `slot` must be valid for writes, hold no value yet, and never be moved from; on an error it
/// still holds none.
pub(super) unsafe fn init_in_place<T>(init: impl PinInit<T, Error>, slot: *mut T) -> Result {
    #[cfg(before_7_3)]
    // SAFETY: By the contract of this function.
    return unsafe { init.__pinned_init(slot) };
    #[cfg(not(before_7_3))]
    // SAFETY: By the contract of this function.
    return unsafe { init.__init(slot) };
}
