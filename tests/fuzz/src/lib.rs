// SPDX-License-Identifier: MIT OR Apache-2.0

//! Fuzz targets for quic-core.
//!
//! A [`Target`] is a function that takes any bytes, feeds quic-core with what it makes of them, and
//! panics if something is not as it must be. `tools/fuzz` runs a target with libFuzzer and keeps the
//! inputs that reached something new in `corpus/`; the test `corpus` gives them to the same functions,
//! without libFuzzer.
//!
//! Packets are not encrypted: `cipher` stands in for the ciphers, so that whatever is tried gets
//! past decryption, and an input is readable.

#[macro_use]
mod check;
mod cipher;
mod connection;
mod input;
mod memory;
mod targets;

pub use memory::held;
pub use targets::{Target, TARGETS};
