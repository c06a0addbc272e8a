// SPDX-License-Identifier: GPL-2.0

//! [`Skb`], an owned packet.
//!
//! C header: [`include/linux/skbuff.h`](srctree/include/linux/skbuff.h)

use super::bindings;
use core::{mem::ManuallyDrop, ptr::NonNull};

/// A packet that belongs to whoever has this value; freed with it.
///
/// # Invariants
///
/// The pointer is that of a valid `struct sk_buff`, one reference of which is owned.
pub(crate) struct Skb(NonNull<bindings::sk_buff>);

// SAFETY: A packet is not bound to a thread.
unsafe impl Send for Skb {}

impl Skb {
    /// Takes over a packet from C.
    ///
    /// # Safety
    ///
    /// `skb` must be a valid packet, one reference of which the caller gives away.
    pub(super) unsafe fn from_raw(skb: *mut bindings::sk_buff) -> Self {
        // INVARIANT: By the contract of this function.
        // SAFETY: A valid packet is not at address zero.
        Self(unsafe { NonNull::new_unchecked(skb) })
    }

    /// Gives the packet away to C.
    pub(super) fn into_raw(self) -> *mut bindings::sk_buff {
        ManuallyDrop::new(self).0.as_ptr()
    }
}

impl Drop for Skb {
    fn drop(&mut self) {
        // SAFETY: By the type invariant, the reference is ours to give up. `kfree_skb()` may be
        // called in any context.
        unsafe { bindings::quic_helper_kfree_skb(self.0.as_ptr()) }
    }
}
