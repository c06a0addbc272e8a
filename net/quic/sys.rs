// SPDX-License-Identifier: GPL-2.0

//! Every binding and nearly every `unsafe` of the module: what the kernel offers in C, as types
//! that are safe to use.
//!
//! Nothing in here knows the protocol: of QUIC there are only the structures of the ABI, which are
//! copied from and to user memory, and the names of the sysctl files. A socket family is what
//! implements [`proto::Family`]; the other names are those of the kernel.
//!
//! # Who may touch what
//!
//! A socket is one slab object, [`sock::Sock`]: first the `struct inet_sock` that the kernel's C
//! code reads and writes whenever it likes, then what the family keeps with it. Three rules make
//! this sound:
//!
//! 1. No reference to the C part is ever formed. It lies in [`kernel::types::Opaque`] and is read
//!    and written field by field through raw pointers, by the functions of [`sock`] only.
//! 2. [`proto::Family::Shared`] may be reached by anybody who can reach the socket; it is `Sync`,
//!    so it consists of atomics, locks and things that never change.
//! 3. [`proto::Family::Locked`] belongs to whoever holds the socket lock. The only ways to it are
//!    the guards: [`sock::SockGuard`] in process context, [`sock::SoftirqGuard`] in softirq context
//!    when no process owns the socket, and [`sock::Held`], which both lend out and which the
//!    backlog callback receives.
//!
//! The socket lock of the kernel is two-staged: a spinlock, and a flag `owned` under it. A process
//! sets the flag and lets go of the spinlock; softirq code takes the spinlock and must look at the
//! flag. So exactly one of them at a time has the right to the locked part, and each guard stands
//! for that right:
//!
//! ```text
//!   process:  lock_sock ── owned = 1 ──────────────┐ SockGuard ┌── release_sock: backlog, owned = 0
//!                                                  └───────────┘
//!   softirq:  bh_lock_sock ── owned? ──no──────────┐ SoftirqGuard ┌── bh_unlock_sock
//!                               │                  └──────────────┘
//!                               └─yes─▶ backlog ─▶ runs inside release_sock, the owner's borrow has ended: Held
//! ```
//!
//! Waiting takes `&mut SockGuard`, so that no borrow of the locked part lives while the lock is
//! given up.
//!
//! # Lifetimes
//!
//! A socket is counted (`ARef<Sock<F>>`), and freed after a grace period of RCU: whoever finds it
//! in a list under [`kernel::sync::rcu::Guard`] may try to count it ([`socklist::Found`]). What
//! hangs on the `sk_user_data` of a UDP socket is freed the same way, by [`rcu::RcuArc`].

pub(crate) mod addr;
pub(crate) mod bindings;
mod compat;
pub(crate) mod errno;
pub(crate) mod layout;
pub(crate) mod netns;
mod once;
pub(crate) mod percpu;
pub(crate) mod proc;
pub(crate) mod proto;
pub(crate) mod rcu;
pub(crate) mod skb;
pub(crate) mod sock;
pub(crate) mod socklist;
pub(crate) mod sockopt;
pub(crate) mod sysctl;
#[cfg(CONFIG_IP_QUIC_KUNIT_TEST)]
pub(crate) mod testing;
mod timer;
pub(crate) mod udp;
