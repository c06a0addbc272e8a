// SPDX-License-Identifier: GPL-2.0

//! [`UdpSocket`]: a UDP socket inside the kernel whose packets come to us instead of to a queue.
//!
//! C header: [`include/net/udp_tunnel.h`](srctree/include/net/udp_tunnel.h)

use super::{addr, bindings, netns::Net, proto::Family, rcu::RcuArc, skb::Skb, sock::Sock};
use core::{net::SocketAddr, ptr::NonNull};
use kernel::{error::to_result, ffi::c_int, prelude::*};

/// Takes the packets of a [`UdpSocket`].
pub(crate) trait Receiver: Send + Sync + 'static {
    /// A packet with its UDP header still on. Softirq context, inside an RCU read section.
    fn receive(&self, net: &Net, skb: Skb);
}

/// A UDP socket of the kernel whose packets go to an `R`; closed with this value, in process
/// context.
///
/// # Invariants
///
/// The pointer is that of a bound kernel socket that belongs to this value. Its `sk_user_data` is
/// `receiver`.
pub(crate) struct UdpSocket<R: Receiver> {
    _socket: Closing,
    // Dropped after the socket has forgotten it; freed a grace period later, when no packet is on
    // its way to it any more.
    _receiver: RcuArc<R>,
}

/// A kernel socket that is closed when it is dropped.
struct Closing(NonNull<bindings::socket>);

// SAFETY: A socket is not bound to a thread.
unsafe impl Send for Closing {}
// SAFETY: Through a shared reference nothing is changed.
unsafe impl Sync for Closing {}

impl Drop for Closing {
    fn drop(&mut self) {
        // SAFETY: The socket is ours. It forgets its receiver first, and is itself freed after a
        // grace period.
        unsafe { bindings::quic_helper_udp_release(self.0.as_ptr()) }
    }
}

/// A bound UDP socket that does not yet receive.
pub(crate) struct BoundSocket(Closing);

impl BoundSocket {
    /// Binds a socket to `local` and, unless it is 0, to the device `ifindex`, in the namespace of
    /// `like` and by the rules that its options make. Port 0 is any. Process context; may sleep.
    ///
    /// Errors are those of `bind()` on a UDP socket: `EADDRINUSE`, `EADDRNOTAVAIL`, `EACCES`,
    /// `ENOMEM` …
    pub(crate) fn bind<F: Family>(
        like: &Sock<F>,
        local: &SocketAddr,
        ifindex: c_int,
        ipv6_only: bool,
    ) -> Result<Self> {
        let (bytes, len) = addr::emit(local);
        let mut socket = core::ptr::null_mut();
        // SAFETY: All arguments are valid; on success `socket` is ours.
        to_result(unsafe {
            bindings::quic_helper_udp_bind(
                like.as_ptr(),
                bytes.as_ptr().cast(),
                len as c_int,
                ifindex,
                ipv6_only,
                &mut socket,
            )
        })?;
        NonNull::new(socket)
            .map(|socket| Self(Closing(socket)))
            .ok_or(EINVAL)
    }

    /// The port in use.
    pub(crate) fn port(&self) -> u16 {
        // SAFETY: The socket is valid.
        u16::from_be(unsafe { bindings::quic_helper_udp_port(self.0 .0.as_ptr()) })
    }

    /// From now on the packets go to `receiver`.
    pub(crate) fn attach<R: Receiver>(self, net: &Net, receiver: RcuArc<R>) -> UdpSocket<R> {
        // The low bits of `sk_user_data` are flags.
        const { assert!(core::mem::align_of::<R>() >= 8) };
        // SAFETY: A valid socket. The receiver outlives it by a grace period, as `UdpSocket` owns a
        // count of it and drops it last.
        unsafe {
            bindings::quic_helper_udp_attach(
                net.as_ptr(),
                self.0 .0.as_ptr(),
                receiver.as_ptr().cast_mut().cast(),
                Some(encap_rcv::<R>),
            )
        }
        // INVARIANT: Just set.
        UdpSocket {
            _socket: self.0,
            _receiver: receiver,
        }
    }
}

/// `encap_rcv`: 0 says that the packet has been taken.
///
/// # Safety
///
/// A callback of a UDP tunnel socket, for the kernel to call.
unsafe extern "C" fn encap_rcv<R: Receiver>(
    sk: *mut bindings::sock,
    skb: *mut bindings::sk_buff,
) -> c_int {
    // SAFETY: Called by UDP with a packet that it gives away.
    let skb = unsafe { Skb::from_raw(skb) };
    // SAFETY: Called inside an RCU read section with a valid socket.
    let receiver: *const R = unsafe { bindings::quic_helper_sk_user_data(sk) }.cast();
    // Null once the socket is being closed.
    if !receiver.is_null() {
        // SAFETY: The receiver was set by `attach`, and is valid until a grace period after the
        // socket has forgotten it. The namespace of a socket outlives it.
        unsafe { (*receiver).receive(Net::from_raw(bindings::quic_helper_sock_net(sk)), skb) };
    }
    0
}
