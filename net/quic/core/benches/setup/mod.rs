// SPDX-License-Identifier: GPL-2.0 OR MIT

//! What the benches of a connection share: two endpoints in one program, cryptography that costs
//! nothing, and payload of which nothing is looked at.
//!
//! Nothing here depends on the time of day, on addresses or on chance: two runs execute the same
//! instructions.

// Every bench is a crate of its own and uses a part of this.
#![allow(dead_code, unreachable_pub)]

pub mod chunk;
pub mod crypto;
pub mod endpoint;
pub mod idle;
pub mod pair;

/// What the program was called with, without what Cargo adds.
pub fn arguments() -> impl Iterator<Item = String> {
    std::env::args()
        .skip(1)
        .filter(|argument| !argument.starts_with('-'))
}
