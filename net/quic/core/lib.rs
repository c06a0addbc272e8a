// SPDX-License-Identifier: GPL-2.0 OR MIT

//! The QUIC transport protocol, without input, output, clock, lock or `unsafe`.
//!
//! The crate is compiled twice from the same files: by Kbuild as a part of `quic.ko`, and by Cargo
//! for tests, simulation and fuzzing. It never sees a socket or a kernel object. Time, randomness
//! and cryptography come in as arguments or traits; stream data stays in opaque chunks that belong
//! to the caller.
//!
//! Nothing here may panic on any input: a panic in the kernel is an oops that anybody on the
//! Internet may cause. So there is no indexing, no unwrapping and no unchecked arithmetic, and the
//! build fails if the object refers to a panic function. Every allocation may fail; a function
//! reserves first and commits then, so that a failure leaves the state as it was.

// Kbuild passes `no_std` to every crate and defines CONFIG_RUST. It has no features.
#![cfg_attr(CONFIG_RUST, allow(unexpected_cfgs))]
#![cfg_attr(not(any(CONFIG_RUST, test, feature = "rustcrypto")), no_std)]
#![forbid(unsafe_code)]
#![cfg_attr(
    not(test),
    deny(
        clippy::expect_used,
        clippy::float_arithmetic,
        clippy::indexing_slicing,
        clippy::panic,
        clippy::unwrap_used,
    )
)]
// clippy.toml names the types whose operators saturate. Kbuild does not read it: it has the
// kernel's.
#![cfg_attr(not(any(CONFIG_RUST, test)), deny(clippy::arithmetic_side_effects))]

pub mod ack;
pub mod alpn;
mod array;
pub mod bytes;
pub mod chunk;
pub mod cid;
pub mod cid_set;
pub mod client_hello;
pub mod congestion;
pub mod connection;
pub mod crypto;
pub mod crypto_stream;
pub mod datagram;
pub mod ecn;
pub mod error;
pub mod flow;
pub mod frame;
pub mod loss;
pub mod offset;
pub mod pacing;
pub mod packet;
pub mod pmtud;
mod pool;
mod range_set;
pub mod rate;
pub mod received;
pub mod role;
pub mod rtt;
pub mod sent;
pub mod sent_frame;
pub mod stream;
pub mod stream_id;
#[cfg(test)]
mod testing;
pub mod time;
pub mod token;
pub mod transport_parameters;
pub mod varint;
pub mod version;
