// SPDX-License-Identifier: GPL-2.0 OR MIT

//! Two connections that talk to each other.

mod basics;
mod conformance;
mod end;
mod first_packets;
mod levels;
mod movement;
mod pair;
mod stuck;
