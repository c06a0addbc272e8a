// SPDX-License-Identifier: MIT OR Apache-2.0

//! The kernel's QUIC socket interface: `<linux/quic.h>` in Rust.
//!
//! Names are those of the C header, so that a program, the header and the manual page read alike.
//! Units and meanings are documented there; what is said here is what Rust needs in addition. A
//! test compiles the header and compares every number with it.
//!
//! A socket is made by `socket(AF_INET | AF_INET6, SOCK_STREAM | SOCK_DGRAM, IPPROTO_QUIC)`.

#![no_std]
#![allow(non_camel_case_types)]

mod constants;
mod structures;

pub use constants::*;
pub use structures::*;
