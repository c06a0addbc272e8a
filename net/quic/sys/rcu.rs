// SPDX-License-Identifier: GPL-2.0

//! [`RcuArc`]: a counted object that readers under RCU may still see after the last count is gone.
//!
//! C header: [`include/linux/rcupdate.h`](srctree/include/linux/rcupdate.h)

use super::bindings;
use core::{ops::Deref, ptr::NonNull};
use kernel::{prelude::*, sync::Refcount, types::Opaque};

#[pin_data]
#[repr(C)]
struct Inner<T> {
    // First, so that the callback can get from it to the whole.
    head: Opaque<bindings::callback_head>,
    count: Refcount,
    #[pin]
    value: T,
}

/// A counted object on the heap that is freed a grace period of RCU after its last count was given
/// up.
///
/// A pointer taken with [`RcuArc::as_ptr`] may be used by readers that got it inside a read
/// section, from a place where it was found before the last count was given up.
///
/// `T` is dropped in softirq context, so its drop must not sleep. The module must call [`barrier`]
/// before it goes.
///
/// # Invariants
///
/// The pointer is that of a pinned `Inner<T>` made by `KBox`, one count of which belongs to this
/// value.
pub(crate) struct RcuArc<T: Send + Sync + 'static>(NonNull<Inner<T>>);

// SAFETY: As `Arc`: the object may be dropped and shared from any thread.
unsafe impl<T: Send + Sync> Send for RcuArc<T> {}
// SAFETY: As above.
unsafe impl<T: Send + Sync> Sync for RcuArc<T> {}

impl<T: Send + Sync> RcuArc<T> {
    /// Makes an object on the heap. May sleep if `flags` says so.
    pub(crate) fn pin_init(value: impl PinInit<T>, flags: kernel::alloc::Flags) -> Result<Self> {
        let inner = KBox::pin_init(
            pin_init!(Inner {
                head: Opaque::uninit(),
                count: Refcount::new(1),
                value <- value,
            }),
            flags,
        )?;
        // SAFETY: The object is never moved: only shared references to it are lent out, and it is
        // freed where it lies.
        let inner = KBox::into_raw(unsafe { Pin::into_inner_unchecked(inner) });
        // INVARIANT: Just made by `KBox`, and given up by it, with a count of one.
        // SAFETY: A box is not at address zero.
        Ok(Self(unsafe { NonNull::new_unchecked(inner) }))
    }

    /// Where the value lies.
    pub(crate) fn as_ptr(&self) -> *const T {
        let value: &T = self;
        value
    }

    fn inner(&self) -> &Inner<T> {
        // SAFETY: By the type invariant; nobody has a mutable reference to the object.
        unsafe { self.0.as_ref() }
    }

    /// The grace period is over: nobody can see the object any more.
    ///
    /// # Safety
    ///
    /// To be called once, by `call_rcu()`, with the head of an object whose last count is gone.
    unsafe extern "C" fn free(head: *mut bindings::callback_head) {
        // SAFETY: `head` is the first field of an `Inner<T>` that the last `drop` has given up.
        drop(unsafe { KBox::from_raw(head.cast::<Inner<T>>()) });
    }
}

impl<T: Send + Sync> Clone for RcuArc<T> {
    fn clone(&self) -> Self {
        self.inner().count.inc();
        // INVARIANT: The count just taken belongs to the new value.
        Self(self.0)
    }
}

impl<T: Send + Sync> Deref for RcuArc<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.inner().value
    }
}

impl<T: Send + Sync> Drop for RcuArc<T> {
    fn drop(&mut self) {
        if self.inner().count.dec_and_test() {
            // SAFETY: The object stays valid until `free` is called, which happens once: the last
            // count is gone.
            unsafe { bindings::call_rcu(self.0.cast().as_ptr(), Some(Self::free)) }
        }
    }
}

/// Waits until everything whose last count is gone is freed. May sleep.
pub(crate) fn barrier() {
    // SAFETY: Process context, by the contract of this function.
    unsafe { bindings::quic_helper_rcu_barrier() }
}
