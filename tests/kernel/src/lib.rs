// SPDX-License-Identifier: MIT OR Apache-2.0

//! The items of the kernel crate that `quic_core` uses, for userspace.
//!
//! Inside the kernel `quic_core` is compiled against the real `kernel` crate. Here the same names
//! stand on the standard allocator, with one addition: [`alloc::inject`] makes a chosen allocation
//! fail, so that a test can walk through every allocation failure of a code path.

pub mod alloc;

/// The names that kernel code has in scope by default, as far as they are supplied here.
pub mod prelude {
    pub use crate::alloc::{flags::*, AllocError, Flags, KBox, KVec};
}
