// SPDX-License-Identifier: MIT OR Apache-2.0

//! System calls with types: what fails returns an [`errno::Errno`]. All `unsafe` of this crate is
//! below here.

pub(crate) mod address;
pub(crate) mod compat;
pub(crate) mod errno;
pub(crate) mod message;
pub(crate) mod netns;
pub(crate) mod poll;
pub(crate) mod privilege;
pub(crate) mod proc;
pub(crate) mod process;
pub(crate) mod signal;
pub(crate) mod socket;
