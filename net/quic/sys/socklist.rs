// SPDX-License-Identifier: GPL-2.0

//! [`SockList`]: sockets in a list that softirq code walks under RCU.
//!
//! C header: [`include/net/sock.h`](srctree/include/net/sock.h), `sk_add_node_rcu()`

use super::{bindings, proto::Family, sock::Sock};
use core::{marker::PhantomData, ptr::addr_of};
use kernel::{
    new_mutex,
    prelude::*,
    sync::{
        aref::ARef,
        atomic::{atomic_load, Acquire},
        rcu, Mutex,
    },
    types::Opaque,
};

/// A socket found in a list under RCU: its memory is valid, but its count may be zero already.
pub(crate) struct Found<'a, F: Family>(&'a Sock<F>);

impl<F: Family> Found<'_, F> {
    /// Counts the socket unless it is being released already.
    pub(crate) fn hold(&self) -> Option<ARef<Sock<F>>> {
        self.0.hold_unless_released()
    }
}

/// A list of sockets of family `F`. A socket is in at most one such list, and counted by it.
///
/// # Invariants
///
/// The list is changed with `writers` held. Every node lies in a [`Sock<F>`], which is freed no
/// sooner than a grace period after it was taken out.
#[pin_data]
pub(crate) struct SockList<F: Family> {
    #[pin]
    writers: Mutex<()>,
    head: Opaque<bindings::hlist_head>,
    _sockets: PhantomData<fn() -> F>,
}

// SAFETY: The list has no tie to a thread.
unsafe impl<F: Family> Send for SockList<F> {}
// SAFETY: By the type invariant, writers exclude each other; readers need RCU only.
unsafe impl<F: Family> Sync for SockList<F> {}

impl<F: Family> SockList<F> {
    /// An empty list.
    pub(crate) fn new() -> impl PinInit<Self> {
        pin_init!(Self {
            writers <- new_mutex!((), "SockList::writers"),
            head: Opaque::new(bindings::hlist_head {
                first: core::ptr::null_mut(),
            }),
            _sockets: PhantomData,
        })
    }

    /// Puts `sock` into the list if `check` finds nothing against any socket that is there. May
    /// sleep, and so may `check`.
    ///
    /// `EINVAL` if it is in a list already.
    pub(crate) fn insert(&self, sock: &Sock<F>, check: impl FnMut(&Sock<F>) -> Result) -> Result {
        let _writing = self.writers.lock();
        if sock.is_in_list() {
            return Err(EINVAL);
        }
        // SAFETY: `writers` is held, so the sockets stay in the list, and the list counts them.
        unsafe { self.walk() }.try_for_each(check)?;
        // SAFETY: `writers` is held; the socket is live, in no list, and has `SOCK_RCU_FREE` set.
        unsafe { bindings::quic_helper_sk_add_node_rcu(sock.as_ptr(), self.head.get()) };
        Ok(())
    }

    /// Takes `sock` out of the list, which must be the one it is in; nothing happens if it is in
    /// none. May sleep.
    pub(crate) fn remove(&self, sock: &Sock<F>) {
        let _writing = self.writers.lock();
        // SAFETY: `writers` is held; the socket is live by the caller's reference, so the count
        // given up is not the last.
        unsafe { bindings::quic_helper_sk_del_node_init_rcu(sock.as_ptr()) };
    }

    /// The sockets, for as long as the read section lasts.
    pub(crate) fn iter<'a>(
        &'a self,
        _reading: &'a rcu::Guard,
    ) -> impl Iterator<Item = Found<'a, F>> {
        // SAFETY: The result lives as long as the read section.
        unsafe { self.walk() }.map(Found)
    }

    /// # Safety
    ///
    /// While the result lives, the caller must hold `writers`, or be inside an RCU read section.
    unsafe fn walk<'a>(&'a self) -> impl Iterator<Item = &'a Sock<F>> {
        let first = self.head.get().cast::<*mut bindings::hlist_node>();
        // SAFETY: The head is valid; `first` is its only field, and is published with release
        // semantics.
        let mut node = unsafe { atomic_load(first, Acquire) };
        core::iter::from_fn(move || {
            if node.is_null() {
                return None;
            }
            // SAFETY: By the type invariant, `node` lies in the `sk_node` of a socket, which is
            // valid by the contract of this function.
            let sk = unsafe { bindings::quic_helper_sk_of_node(node) };
            // SAFETY: As above; `next` stays valid to read when the socket is taken out meanwhile.
            node = unsafe { atomic_load(addr_of!((*node).next).cast_mut(), Acquire) };
            // SAFETY: Sockets in the list are of family `F`, and live as `node` does.
            Some(unsafe { Sock::from_raw(sk) })
        })
    }
}
