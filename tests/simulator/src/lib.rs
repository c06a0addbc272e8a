// SPDX-License-Identifier: MIT OR Apache-2.0

//! Two QUIC endpoints and the network between them, in virtual time.

pub mod conduct;
pub mod datagram;
pub mod host;
pub mod link;
pub mod loss;
pub mod nat;
pub mod pattern;
pub mod plan;
pub mod program;
pub mod random;
pub mod scenario;
pub mod schedule;
pub mod settings;
pub mod simulation;
pub mod tcp;
pub mod trace;
