// SPDX-License-Identifier: GPL-2.0

//! [`SockTimer`]: the one timer of a socket.
//!
//! It goes off in softirq context and runs [`Family::timeout`] with the socket held. If a process
//! owns the socket then, the timer leaves a note, and the owner runs it when it lets go:
//!
//! ```text
//!            set_timer                     softirq
//!   idle ───────────────▶ pending ───────────────────────▶ not owned: timeout()
//!    ▲    (counts the        │                                 │
//!    │      socket)          │ stop_timer                      │ owned: deferred = true
//!    └───────────────────────┘                                 ▼
//!    ▲                                        release_sock: deferred? timeout()
//!    └─────────────────────────────────────────────────────────┘
//! ```
//!
//! # Lifetime
//!
//! A pending timer owns a count of the socket, and so does a note. Each is given up by who ends it:
//! the softirq that ran the timer, `stop_timer` if it was in time, or the owner who found the note.
//! So a socket that is being freed has neither.
//!
//! C header: [`include/linux/timer.h`](srctree/include/linux/timer.h)

use super::{
    bindings,
    proto::Family,
    sock::{Held, Sock, SoftirqGuard},
};
use core::mem::offset_of;
use kernel::{
    ffi::c_ulong,
    sync::atomic::{Atomic, Relaxed},
    types::Opaque,
};

/// No timeout is longer, in nanoseconds: an hour. Who wants to wait for longer is asked again.
const LONGEST: u64 = 3_600_000_000_000;

/// Lies in every [`Sock`].
#[repr(C)]
pub(super) struct SockTimer {
    timer: Opaque<bindings::timer_list>,
    /// The timer has gone off while a process owned the socket. A count goes with it.
    deferred: Atomic<bool>,
}

impl SockTimer {
    /// Makes an idle timer.
    ///
    /// # Safety
    ///
    /// `this` must lie in a [`Sock<F>`] that nobody else can reach yet.
    pub(super) unsafe fn init<F: Family>(this: *mut Self) {
        // SAFETY: By the contract of this function.
        unsafe {
            (&raw mut (*this).deferred).write(Atomic::new(false));
            bindings::quic_helper_timer_setup((*this).timer.get(), Some(expired::<F>));
        }
    }
}

impl<F: Family> Held<'_, F> {
    /// Lets the timer go off in `nanoseconds`, rounded up to a jiffy, instead of whenever it was to
    /// go off before. Any context.
    // Connections will; until then the tests of the guards do.
    #[cfg_attr(not(CONFIG_IP_QUIC_KUNIT_TEST), expect(dead_code))]
    pub(crate) fn set_timer(&mut self, nanoseconds: u64) {
        let sock = self.sock();
        // SAFETY: A live socket and its timer, which is initialised. The function counts the socket
        // if the timer was idle.
        unsafe {
            let expires = bindings::quic_helper_jiffies_in(nanoseconds.min(LONGEST));
            bindings::sk_reset_timer(sock.as_ptr(), sock.timer().timer.get(), expires as c_ulong);
        }
    }

    /// The timer shall not go off, and a note that it has done so is torn up. A softirq that waits
    /// for the lock at this moment may still run it, or leave a note. Any context.
    pub(crate) fn stop_timer(&mut self) {
        let sock = self.sock();
        // SAFETY: As above. Gives up the timer's count if it was pending.
        unsafe { bindings::sk_stop_timer(sock.as_ptr(), sock.timer().timer.get()) }
        if sock.timer().deferred.xchg(false, Relaxed) {
            // SAFETY: The note's count is ours, and not the last: the caller has one.
            unsafe { bindings::quic_helper_sock_put(sock.as_ptr()) }
        }
    }
}

/// The timer has gone off.
///
/// # Safety
///
/// A callback of `struct timer_list`, for the kernel to call.
unsafe extern "C" fn expired<F: Family>(timer: *mut bindings::timer_list) {
    // SAFETY: `timer` is the first field of a `SockTimer`, which lies in a socket.
    let sk = unsafe {
        timer
            .byte_sub(offset_of!(SockTimer, timer))
            .byte_sub(Sock::<F>::TIMER_OFFSET)
    };
    // SAFETY: The pending timer's count, which we own now, keeps the socket alive.
    let sock: &Sock<F> = unsafe { Sock::from_raw(sk.cast()) };
    let keep = match SoftirqGuard::lock(sock) {
        Ok(mut guard) => {
            F::timeout(&mut guard.held());
            false
        }
        // The note takes over our count, unless there is one already.
        Err(_owned) => !sock.timer().deferred.xchg(true, Relaxed),
    };
    if !keep {
        // SAFETY: The count is ours; the guard is gone.
        unsafe { bindings::quic_helper_sock_put(sock.as_ptr()) }
    }
}

/// `release_cb`: the owner of a socket is about to let go of it.
///
/// # Safety
///
/// A callback of `struct proto`, for `release_sock()` to call.
pub(super) unsafe extern "C" fn release_cb<F: Family>(sk: *mut bindings::sock) {
    // SAFETY: A live socket.
    let sock: &Sock<F> = unsafe { Sock::from_raw(sk) };
    // Set with the spinlock held, which is held here as well; so mostly a look is enough.
    if sock.timer().deferred.load(Relaxed) && sock.timer().deferred.xchg(false, Relaxed) {
        // SAFETY: `release_sock()` calls this with the spinlock held and `owned` still set, after
        // `SockGuard` has ended its borrow.
        F::timeout(&mut unsafe { Held::<F>::in_callback(sock) });
        // SAFETY: The note's count is ours, and not the last: the owner has one.
        unsafe { bindings::quic_helper_sock_put(sk) }
    }
}
