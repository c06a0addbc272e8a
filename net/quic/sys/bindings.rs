// SPDX-License-Identifier: GPL-2.0

//! What bindgen makes of `bindings.h`, with the configuration and the flags of the kernel that is
//! built against.
//!
//! These types and those of `kernel::bindings` describe the same C types but are unrelated to the
//! compiler. Where a value crosses over, a pointer is cast, and the two sizes are asserted to be
//! equal here.

#![allow(
    clippy::all,
    clippy::pedantic,
    clippy::restriction,
    dead_code,
    improper_ctypes,
    missing_docs,
    non_camel_case_types,
    non_snake_case,
    non_upper_case_globals,
    rustdoc::all,
    unreachable_pub,
    unsafe_op_in_unsafe_fn
)]

use core::mem::size_of;

type __kernel_size_t = usize;
type __kernel_ssize_t = isize;
type __kernel_ptrdiff_t = isize;

/// bindgen overlooks the anonymous member of the lock, which is as large as a spinlock of the
/// configuration.
#[repr(C, align(8))]
pub struct socket_lock_t([u8; QUIC_SOCKET_LOCK_SIZE as usize]);

include!(concat!(env!("QUIC_OBJ"), "/sys/bindings_generated.rs"));

const _: () = {
    use kernel::bindings as theirs;
    assert!(size_of::<seq_file>() == size_of::<theirs::seq_file>());
    assert!(size_of::<module>() == size_of::<theirs::module>());
};
