// SPDX-License-Identifier: MIT OR Apache-2.0

//! Fallible allocation with the kernel's names: [`KVec`], [`KBox`], [`Flags`], [`AllocError`].

mod kbox;
mod kvec;

pub mod counting;
pub mod inject;

pub use kbox::KBox;
pub use kvec::{InsertError, KVec, PushError, RemoveError};

/// Memory could not be had.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub struct AllocError;

/// How an allocation may behave; userspace has one behaviour, so the value is only carried.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub struct Flags(u32);

/// The flags by name.
pub mod flags {
    use super::Flags;

    /// May sleep.
    pub const GFP_KERNEL: Flags = Flags(1);
    /// May not sleep; may use the emergency reserves.
    pub const GFP_ATOMIC: Flags = Flags(2);
    /// May not sleep; fails soon.
    pub const GFP_NOWAIT: Flags = Flags(4);
    /// As [`GFP_KERNEL`], charged to the memory control group of the caller.
    pub const GFP_KERNEL_ACCOUNT: Flags = Flags(8);
}
