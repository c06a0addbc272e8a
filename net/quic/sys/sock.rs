// SPDX-License-Identifier: GPL-2.0

//! [`Sock`], the socket object of a family, and the guards that give access to what its lock
//! protects.
//!
//! See [`crate::sys`] for who may touch what, and why that is sound.
//!
//! C header: [`include/net/sock.h`](srctree/include/net/sock.h)

use super::{
    bindings, compat,
    netns::{Net, NetData},
    proto::Family,
    skb::Skb,
    timer::SockTimer,
};
use core::{
    cell::UnsafeCell,
    mem::offset_of,
    net::{IpAddr, SocketAddr},
    ops::{Deref, DerefMut},
    ptr::{addr_of, addr_of_mut, NonNull},
};
use kernel::{
    ffi::{c_int, c_long},
    prelude::*,
    sync::aref::{ARef, AlwaysRefCounted},
    types::{NotThreadSafe, Opaque},
};

/// Where a socket is in its life, in the numbers of TCP: they show in `/proc` and in tracepoints.
#[derive(Copy, Clone, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum State {
    /// A connection that carries data.
    Established = bindings::TCP_ESTABLISHED as u8,
    /// A connection whose handshake is not over.
    Establishing = bindings::TCP_SYN_RECV as u8,
    /// Fresh, or over.
    Closed = bindings::TCP_CLOSE as u8,
    /// Accepts connections.
    Listening = bindings::TCP_LISTEN as u8,
}

/// A socket of family `F`: one slab object that begins with the `struct inet_sock` of the kernel.
///
/// # Invariants
///
/// A `Sock<F>` behind a reference has been initialised by [`Sock::init`] and not yet by
/// [`Sock::destruct`] undone: `shared` and `locked` are valid. All instances are counted by
/// `sk_refcnt`.
#[repr(C)]
pub(crate) struct Sock<F: Family> {
    inet: Opaque<bindings::inet_sock>,
    timer: SockTimer,
    shared: F::Shared,
    locked: UnsafeCell<F::Locked>,
}

/// A socket of an IPv6 family: the kernel wants the IPv6 part inside the same object.
#[repr(C)]
pub(super) struct Sock6<F: Family> {
    sock: Sock<F>,
    pub(super) inet6: Opaque<bindings::ipv6_pinfo>,
}

// SAFETY: A socket may be released from any thread; its parts are `Send`, or C's own.
unsafe impl<F: Family> Send for Sock<F> {}
// SAFETY: `shared` is `Sync`, `locked` is reached through the guards only, and `inet` is C's own.
unsafe impl<F: Family> Sync for Sock<F> {}

// SAFETY: The socket is kept in memory as long as its count is not zero.
unsafe impl<F: Family> AlwaysRefCounted for Sock<F> {
    fn inc_ref(&self) {
        // SAFETY: `self` is a live socket.
        unsafe { bindings::quic_helper_sock_hold(self.as_ptr()) }
    }

    unsafe fn dec_ref(obj: NonNull<Self>) {
        // SAFETY: By the contract of this function, the caller gives up a count that it owns.
        unsafe { bindings::quic_helper_sock_put(obj.as_ptr().cast()) }
    }
}

/// Reads one field of the C part, which C may be changing.
macro_rules! read {
    ($sock:expr, $($field:ident).+) => {
        // SAFETY: The pointer is that of a live socket by the invariants of `Sock`; the read is a single volatile one.
        unsafe { addr_of!((*$sock.as_ptr()).$($field).+).read_volatile() }
    };
}

impl<F: Family> Sock<F> {
    /// The socket behind a pointer from C.
    ///
    /// # Safety
    ///
    /// `sk` must point to a socket of family `F` that has been initialised and that lives for `'a`:
    /// a counted one, or one found under RCU.
    pub(super) unsafe fn from_raw<'a>(sk: *mut bindings::sock) -> &'a Self {
        // SAFETY: By the contract of this function. No reference to C's part is formed: it is
        // `Opaque`.
        unsafe { &*sk.cast() }
    }

    /// The C object.
    pub(super) fn as_ptr(&self) -> *mut bindings::sock {
        // From the whole object, so that the pointer may lead back to all of it.
        core::ptr::from_ref(self).cast_mut().cast()
    }

    /// Puts the family's parts into a fresh object and takes over its destruction.
    ///
    /// # Safety
    ///
    /// `sk` must be a socket of family `F` fresh from `sk_alloc()` that nobody else can reach yet.
    pub(super) unsafe fn init(sk: *mut bindings::sock) -> Result {
        let this: *mut Self = sk.cast();
        // SAFETY: A fresh socket. Taken back by `destroy`, which is called on an error as well.
        unsafe { bindings::quic_helper_sk_account_open(sk) };
        let locked = F::locked()?;
        // SAFETY: The object has room for a `Sock<F>` (`proto.obj_size`), is ours alone, and is
        // never moved.
        unsafe {
            compat::init_in_place(F::shared(), addr_of_mut!((*this).shared))?;
            addr_of_mut!((*this).locked).write(UnsafeCell::new(locked));
            SockTimer::init::<F>(addr_of_mut!((*this).timer));
            // Lists of sockets are read under RCU.
            bindings::quic_helper_sock_set_rcu_free(sk);
            bindings::quic_helper_sock_lock_class(sk);
            (*sk).sk_destruct = Some(Self::destruct);
            // Nobody else can reach the socket, which is as good as its lock.
            F::opened(&mut Held::new(&*this));
        }
        Ok(())
    }

    /// `destroy`: the file is gone, or never came to be.
    ///
    /// # Safety
    ///
    /// A callback of `struct proto`, for `sk_common_release()` to call.
    pub(super) unsafe extern "C" fn destroy(sk: *mut bindings::sock) {
        // SAFETY: `init` has counted the socket.
        unsafe { bindings::quic_helper_sk_account_close(sk) }
    }

    /// `sk_destruct`: the count has gone to zero and a grace period is over. Softirq context.
    ///
    /// # Safety
    ///
    /// To be called once, by the kernel, as `sk_destruct` of a socket that [`Sock::init`] has made.
    unsafe extern "C" fn destruct(sk: *mut bindings::sock) {
        let this: *mut Self = sk.cast();
        // SAFETY: `init` has set this function, so both parts are valid; nobody else can reach the
        // socket any more.
        unsafe {
            let is_ipv6 = (*this).is_ipv6();
            addr_of_mut!((*this).locked).drop_in_place();
            addr_of_mut!((*this).shared).drop_in_place();
            if is_ipv6 {
                bindings::inet6_sock_destruct(sk);
            } else {
                bindings::inet_sock_destruct(sk);
            }
        }
    }

    /// Where the timer lies in a socket.
    pub(super) const TIMER_OFFSET: usize = offset_of!(Self, timer);

    /// The socket's timer.
    pub(super) fn timer(&self) -> &SockTimer {
        &self.timer
    }

    /// What may be reached without the lock.
    pub(crate) fn shared(&self) -> &F::Shared {
        &self.shared
    }

    /// Takes the socket lock. Process context; may sleep.
    pub(crate) fn lock(&self) -> SockGuard<'_, F> {
        // SAFETY: A live socket.
        unsafe { bindings::quic_helper_lock_sock(self.as_ptr()) };
        // INVARIANT: The lock has just been taken.
        SockGuard {
            sock: self,
            _here: NotThreadSafe::default(),
        }
    }

    /// Hands a packet to [`Family::receive`], at once if no process owns the socket, else when it
    /// lets go. Softirq context.
    ///
    /// Returns `false` if the packet had to be dropped because too many wait for the owner: `slack`
    /// bytes more than the receive buffer holds.
    pub(crate) fn deliver(&self, skb: Skb, slack: u32) -> bool {
        match SoftirqGuard::lock(self) {
            Ok(mut guard) => {
                F::receive(&mut guard.held(), skb);
                true
            }
            Err(owned) => owned.queue(skb, slack),
        }
    }

    /// The network namespace.
    pub(crate) fn net(&self) -> &Net {
        // SAFETY: A socket has a namespace for life, and `Net` is transparent over it.
        unsafe { Net::from_raw(bindings::quic_helper_sock_net(self.as_ptr())) }
    }

    /// What the family keeps with the namespace.
    pub(crate) fn net_data(&self) -> &F::Net {
        F::Net::of(self.net())
    }

    /// Whether this is a `PF_INET6` socket.
    pub(crate) fn is_ipv6(&self) -> bool {
        u32::from(read!(self, __sk_common.skc_family)) == bindings::AF_INET6
    }

    /// Whether `IPV6_V6ONLY` is set.
    pub(crate) fn is_ipv6_only(&self) -> bool {
        // SAFETY: A live socket.
        unsafe { bindings::quic_helper_sk_ipv6only(self.as_ptr()) }
    }

    /// The state. Without the lock it may be out of date at once.
    pub(crate) fn state(&self) -> State {
        match u32::from(read!(self, __sk_common.skc_state)) {
            bindings::TCP_LISTEN => State::Listening,
            bindings::TCP_ESTABLISHED => State::Established,
            bindings::TCP_SYN_RECV => State::Establishing,
            _ => State::Closed,
        }
    }

    /// The device that `SO_BINDTODEVICE` chose, 0 if none.
    pub(crate) fn bound_device(&self) -> c_int {
        read!(self, __sk_common.skc_bound_dev_if)
    }

    /// Who made the socket: the user id of the kernel, whatever namespace it is seen from.
    pub(crate) fn owner(&self) -> u32 {
        // SAFETY: A live socket.
        unsafe { bindings::quic_helper_sk_uid(self.as_ptr()) }
    }

    /// Whether `SO_REUSEPORT` is set.
    pub(crate) fn reuseport(&self) -> bool {
        // SAFETY: A live socket.
        unsafe { bindings::quic_helper_sk_reuseport(self.as_ptr()) }
    }

    /// The limit of the accept queue.
    pub(crate) fn max_backlog(&self) -> u32 {
        read!(self, sk_max_ack_backlog)
    }

    /// Whether the caller may bind `port`: low ports need `CAP_NET_BIND_SERVICE`.
    pub(crate) fn may_bind_port(&self, port: u16) -> bool {
        // SAFETY: A live socket.
        unsafe { bindings::quic_helper_may_bind_port(self.as_ptr(), port) }
    }

    /// Whether `address` is one of this host's, or the administrator or `IP_FREEBIND` allows
    /// others.
    pub(crate) fn may_bind_address(&self, address: IpAddr, device: c_int) -> bool {
        // SAFETY: A live socket, and as many bytes as the functions read.
        unsafe {
            match address {
                IpAddr::V4(v4) => bindings::quic_helper_may_bind_v4(
                    self.as_ptr(),
                    u32::from_ne_bytes(v4.octets()),
                ),
                IpAddr::V6(v6) => {
                    bindings::quic_helper_may_bind_v6(self.as_ptr(), v6.octets().as_ptr(), device)
                }
            }
        }
    }

    /// The error of sending to a socket that cannot send: `EPIPE`, with `SIGPIPE` unless `flags`
    /// has `MSG_NOSIGNAL`.
    pub(crate) fn broken_pipe(&self, flags: u32) -> Error {
        // SAFETY: A live socket; process context.
        Error::from_errno(unsafe {
            bindings::sk_stream_error(self.as_ptr(), flags as c_int, EPIPE.to_errno())
        })
    }

    /// The inode number that `/proc/PID/fd` shows, 0 if the socket has no file.
    pub(crate) fn inode(&self) -> u64 {
        // SAFETY: A live socket.
        unsafe { bindings::quic_helper_sock_ino(self.as_ptr()) }
    }

    /// Tells those who wait for a change of state, in `poll` and in [`SockGuard::wait`].
    pub(crate) fn notify_state_change(&self) {
        // SAFETY: A live socket; the callback may be called in any context.
        unsafe { bindings::quic_helper_sk_state_change(self.as_ptr()) }
    }

    /// Whether the socket is in a [`super::socklist::SockList`].
    pub(super) fn is_in_list(&self) -> bool {
        // SAFETY: A live socket.
        unsafe { bindings::quic_helper_sk_hashed(self.as_ptr()) }
    }

    /// Counts the socket unless its count has already gone to zero. For sockets found under RCU.
    pub(super) fn hold_unless_released(&self) -> Option<ARef<Self>> {
        // SAFETY: The memory of the socket is valid, by the invariants.
        if unsafe { bindings::quic_helper_sock_hold_unless_zero(self.as_ptr()) } {
            // SAFETY: We own the count that was just taken.
            Some(unsafe { ARef::from_raw(NonNull::from(self)) })
        } else {
            None
        }
    }
}

/// The right to the locked part of a socket, in whatever way it was come by.
///
/// The guards lend it out for as long as they are borrowed; it does not give the lock back.
///
/// # Invariants
///
/// While a `Held` exists, its holder is the only one with a right to `locked`.
pub(crate) struct Held<'a, F: Family> {
    sock: &'a Sock<F>,
    _here: NotThreadSafe,
}

impl<'a, F: Family> Held<'a, F> {
    /// # Safety
    ///
    /// The caller must have the socket lock, in one of the ways that [`crate::sys`] lists, and keep
    /// it for `'a`, with no other way to the locked part in use.
    unsafe fn new(sock: &'a Sock<F>) -> Self {
        // INVARIANT: By the contract of this function.
        Self {
            sock,
            _here: NotThreadSafe::default(),
        }
    }

    /// In a callback that the kernel calls for the owner of the socket lock.
    ///
    /// # Safety
    ///
    /// To be called in such a callback only, while no guard's borrow of the locked part is alive.
    /// This holds for the backlog, which `release_sock()` runs with `owned` still set after
    /// [`SockGuard`] has ended its borrow, and for callbacks of C functions that take the lock
    /// themselves. `'a` must end with the callback.
    pub(super) unsafe fn in_callback(sock: &'a Sock<F>) -> Self {
        // SAFETY: By the contract of this function.
        unsafe { Self::new(sock) }
    }

    /// The socket.
    pub(crate) fn sock(&self) -> &'a Sock<F> {
        self.sock
    }

    /// Goes to another state, visible in the `inet_sock_set_state` tracepoint.
    pub(crate) fn set_state(&mut self, state: State) {
        // SAFETY: A live socket whose lock is held.
        unsafe { bindings::inet_sk_set_state(self.sock.as_ptr(), state as c_int) }
    }

    /// Shows the local address to the rest of the kernel: to socket options that must come before
    /// `bind`, to tools.
    pub(crate) fn set_local(&mut self, local: &SocketAddr) {
        let sk = self.sock.as_ptr();
        // SAFETY: A live socket whose lock is held, and as many bytes as the functions read.
        unsafe {
            match local {
                SocketAddr::V4(v4) => {
                    let address = u32::from_ne_bytes(v4.ip().octets());
                    bindings::quic_helper_set_local_v4(sk, address, v4.port());
                }
                SocketAddr::V6(v6) => {
                    bindings::quic_helper_set_local_v6(sk, v6.ip().octets().as_ptr(), v6.port());
                }
            }
        }
    }

    /// Sets the limit of the accept queue.
    pub(crate) fn set_max_backlog(&mut self, backlog: u32) {
        // SAFETY: A live socket whose lock is held.
        unsafe { addr_of_mut!((*self.sock.as_ptr()).sk_max_ack_backlog).write_volatile(backlog) }
    }

    /// Sets the receive buffer's size, whatever `SO_RCVBUF` said.
    pub(crate) fn set_receive_buffer(&mut self, bytes: c_int) {
        // SAFETY: A live socket whose lock is held.
        unsafe { addr_of_mut!((*self.sock.as_ptr()).sk_rcvbuf).write_volatile(bytes) }
    }
}

impl<F: Family> Deref for Held<'_, F> {
    type Target = F::Locked;

    fn deref(&self) -> &F::Locked {
        // SAFETY: By the type invariant, nobody else has a right to it; the result borrows `self`.
        unsafe { &*self.sock.locked.get() }
    }
}

impl<F: Family> DerefMut for Held<'_, F> {
    fn deref_mut(&mut self) -> &mut F::Locked {
        // SAFETY: As in `deref`, and the result borrows `self` mutably.
        unsafe { &mut *self.sock.locked.get() }
    }
}

/// How long a call may wait, and whether it has begun to.
pub(crate) struct Patience {
    /// In jiffies; counted down.
    timeout: c_long,
    slept: bool,
}

/// The socket lock in process context.
///
/// # Invariants
///
/// The lock of `sock` is held by whoever has the guard.
pub(crate) struct SockGuard<'a, F: Family> {
    sock: &'a Sock<F>,
    _here: NotThreadSafe,
}

impl<F: Family> SockGuard<'_, F> {
    /// The right to the locked part.
    pub(crate) fn held(&mut self) -> Held<'_, F> {
        // SAFETY: By the type invariant; the result borrows the guard mutably.
        unsafe { Held::new(self.sock) }
    }

    /// How long this call may wait for something to receive: `SO_RCVTIMEO`, or not at all.
    pub(crate) fn receive_patience(&self, nonblocking: bool) -> Patience {
        Patience {
            // SAFETY: A live socket.
            timeout: unsafe {
                bindings::quic_helper_sock_rcvtimeo(self.sock.as_ptr(), nonblocking)
            },
            slept: false,
        }
    }

    /// Gives the lock up, sleeps until the socket's waiters are woken, and takes it again. Of those
    /// who wait in here one wake-up wakes one, so they must all wait for the same thing.
    ///
    /// To be called in a loop, after a look at the condition: a wake-up between that look and the
    /// sleep is not lost, and one that came together with a signal or the end of the time is seen
    /// by the next look. Errors: `EAGAIN` when the time is over, `ERESTARTSYS` or `EINTR` after
    /// a signal.
    pub(crate) fn wait_exclusive(&mut self, patience: &mut Patience) -> Result {
        // SAFETY: No conditions.
        if patience.slept && unsafe { bindings::quic_helper_signal_pending() } {
            // SAFETY: No conditions.
            let errno = unsafe { bindings::quic_helper_sock_intr_errno(patience.timeout) };
            return Err(Error::from_errno(errno));
        }
        if patience.timeout == 0 {
            return Err(EAGAIN);
        }
        patience.slept = true;
        // SAFETY: A live socket whose lock we hold in process context. The lock is let go of and
        // taken again while `self` is borrowed mutably, so no borrow of the locked part is alive.
        patience.timeout = unsafe {
            bindings::quic_helper_sk_wait_exclusive(self.sock.as_ptr(), patience.timeout)
        };
        Ok(())
    }
}

impl<F: Family> Deref for SockGuard<'_, F> {
    type Target = F::Locked;

    fn deref(&self) -> &F::Locked {
        // SAFETY: By the type invariant; the result borrows the guard.
        unsafe { &*self.sock.locked.get() }
    }
}

impl<F: Family> DerefMut for SockGuard<'_, F> {
    fn deref_mut(&mut self) -> &mut F::Locked {
        // SAFETY: By the type invariant; the result borrows the guard mutably.
        unsafe { &mut *self.sock.locked.get() }
    }
}

impl<F: Family> Drop for SockGuard<'_, F> {
    fn drop(&mut self) {
        // SAFETY: By the type invariant. What was lent out borrowed the guard, so it has ended
        // before the backlog runs in here.
        unsafe { bindings::release_sock(self.sock.as_ptr()) }
    }
}

/// The socket lock in softirq context, with no process owning the socket.
///
/// # Invariants
///
/// The spinlock of `sock` is held by whoever has the guard, and `owned` is not set.
pub(super) struct SoftirqGuard<'a, F: Family> {
    sock: &'a Sock<F>,
    _here: NotThreadSafe,
}

impl<'a, F: Family> SoftirqGuard<'a, F> {
    /// Takes the spinlock and looks who owns the socket. Softirq context.
    pub(super) fn lock(sock: &'a Sock<F>) -> Result<Self, OwnedByProcess<'a, F>> {
        // SAFETY: A live socket.
        unsafe { bindings::quic_helper_bh_lock_sock(sock.as_ptr()) };
        // SAFETY: As above, and the spinlock is held.
        if unsafe { bindings::quic_helper_sock_owned_by_user(sock.as_ptr()) } {
            Err(OwnedByProcess {
                sock,
                _here: NotThreadSafe::default(),
            })
        } else {
            // INVARIANT: The spinlock has just been taken, and `owned` looked at.
            Ok(Self {
                sock,
                _here: NotThreadSafe::default(),
            })
        }
    }

    /// The right to the locked part.
    pub(super) fn held(&mut self) -> Held<'_, F> {
        // SAFETY: By the type invariant; the result borrows the guard mutably.
        unsafe { Held::new(self.sock) }
    }
}

impl<F: Family> Drop for SoftirqGuard<'_, F> {
    fn drop(&mut self) {
        // SAFETY: By the type invariant.
        unsafe { bindings::quic_helper_bh_unlock_sock(self.sock.as_ptr()) }
    }
}

/// The spinlock of a socket that a process owns: enough to leave a packet for it, not to touch its
/// state.
pub(super) struct OwnedByProcess<'a, F: Family> {
    sock: &'a Sock<F>,
    _here: NotThreadSafe,
}

impl<F: Family> OwnedByProcess<'_, F> {
    /// Leaves `skb` for the owner, unless what waits and what is received already exceed the
    /// receive buffer by `slack` bytes.
    fn queue(&self, skb: Skb, slack: u32) -> bool {
        let sk = self.sock.as_ptr();
        let buffer = u32::try_from(read!(self.sock, sk_rcvbuf)).unwrap_or(0);
        let skb = skb.into_raw();
        // SAFETY: The spinlock is held; the backlog takes the packet over if it says so.
        if unsafe { bindings::quic_helper_sk_add_backlog(sk, skb, buffer.saturating_add(slack)) } {
            return true;
        }
        // SAFETY: The packet was refused, so it is still ours.
        drop(unsafe { Skb::from_raw(skb) });
        false
    }
}

impl<F: Family> Drop for OwnedByProcess<'_, F> {
    fn drop(&mut self) {
        // SAFETY: `SoftirqGuard::lock` has taken the spinlock.
        unsafe { bindings::quic_helper_bh_unlock_sock(self.sock.as_ptr()) }
    }
}
