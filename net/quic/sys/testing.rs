// SPDX-License-Identifier: GPL-2.0

//! What KUnit tests need to play both sides of a socket: a process and a softirq.

use super::{bindings, proto::Family, skb::Skb, sock::Sock};
use core::{marker::PhantomData, ptr::NonNull};
use kernel::{error::to_result, ffi::c_int, prelude::*};

/// A socket of family `F` in the initial namespace; closed with this value.
pub(crate) struct TestSocket<F: Family> {
    socket: NonNull<bindings::socket>,
    _family: PhantomData<F>,
}

impl<F: Family> TestSocket<F> {
    /// Makes an IPv4 stream socket.
    pub(crate) fn new() -> Result<Self> {
        let mut socket = core::ptr::null_mut();
        // SAFETY: The initial namespace is `static`, and `socket` is a place for the result.
        to_result(unsafe {
            bindings::sock_create_kern(
                &raw mut bindings::init_net,
                bindings::AF_INET as c_int,
                bindings::sock_type_SOCK_STREAM as c_int,
                c_int::from(F::PROTOCOL),
                &mut socket,
            )
        })?;
        Ok(Self {
            socket: NonNull::new(socket).ok_or(EINVAL)?,
            _family: PhantomData,
        })
    }

    /// The socket.
    pub(crate) fn sock(&self) -> &Sock<F> {
        // SAFETY: A socket of this protocol, which lives as long as `self`.
        unsafe { Sock::from_raw((*self.socket.as_ptr()).sk) }
    }
}

impl<F: Family> Drop for TestSocket<F> {
    fn drop(&mut self) {
        // SAFETY: Ours to close.
        unsafe { bindings::sock_release(self.socket.as_ptr()) }
    }
}

/// Runs `body` as a softirq would run: with softirqs off.
pub(crate) fn as_softirq<R>(body: impl FnOnce() -> R) -> R {
    // SAFETY: Switched on again below.
    unsafe { bindings::quic_helper_local_bh_disable() };
    let result = body();
    // SAFETY: Switched off above.
    unsafe { bindings::quic_helper_local_bh_enable() };
    result
}

/// An empty packet.
pub(crate) fn packet() -> Result<Skb> {
    // SAFETY: Process context.
    let skb = unsafe { bindings::quic_helper_alloc_skb(64) };
    if skb.is_null() {
        return Err(ENOMEM);
    }
    // SAFETY: Just made, and ours.
    Ok(unsafe { Skb::from_raw(skb) })
}

/// How many counts a socket has.
pub(crate) fn count<F: Family>(sock: &Sock<F>) -> u32 {
    // SAFETY: A live socket.
    unsafe { bindings::quic_helper_sock_refcnt(sock.as_ptr()) }
}
