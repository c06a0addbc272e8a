// SPDX-License-Identifier: MIT OR Apache-2.0

//! Two QUIC endpoints and the network between them, in virtual time.
//!
//! A [`Simulation`](simulation::Simulation) runs one connection: a [`Scenario`](scenario::Scenario)
//! says what the network does, a [`Plan`](plan::Plan) what the applications do, and
//! [`Settings`](settings::Settings) how the endpoints are configured. All of them can be named or
//! follow from a seed; the same seed gives the same simulation, packet for packet.
//!
//! While it runs, every byte that arrives is compared with what was sent, and the endpoints are
//! watched for what they must not do: see [`program`] and [`conduct`].
//!
//! An implementation joins by the traits [`Host`](host::Host) and
//! [`Application`](host::Application); [`ours`] does so for quic-core, [`foreign`] for quinn. [`tls`]
//! is for those that do not bring TLS with them.

pub mod conduct;
pub mod credentials;
pub mod datagram;
pub mod foreign;
pub mod host;
pub mod link;
pub mod loss;
pub mod nat;
pub mod ours;
pub mod pattern;
pub mod plan;
pub mod program;
pub mod random;
pub mod scenario;
pub mod schedule;
pub mod settings;
pub mod simulation;
pub mod tcp;
pub mod tls;
pub mod trace;
pub mod trial;
