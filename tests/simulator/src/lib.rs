// SPDX-License-Identifier: MIT OR Apache-2.0

//! Two QUIC endpoints and the network between them, in virtual time.

pub mod datagram;
pub mod link;
pub mod loss;
pub mod nat;
pub mod random;
pub mod scenario;
pub mod schedule;
pub mod tcp;
