// SPDX-License-Identifier: MIT OR Apache-2.0

//! All targets by name.

mod acks;
mod alpn;
mod client_hello;
mod frames;
mod packet;
mod tokens;
mod transport_parameters;
mod varint;

use crate::connection;

/// Something that takes any bytes, and panics if it finds a defect.
#[derive(Copy, Clone)]
pub struct Target {
    /// As `tools/fuzz` knows it.
    pub name: &'static str,
    /// Tries an input.
    pub run: fn(&[u8]),
}

/// All there are.
pub const TARGETS: &[Target] = &[
    Target {
        name: "varint",
        run: varint::run,
    },
    Target {
        name: "packet",
        run: packet::run,
    },
    Target {
        name: "frames",
        run: frames::run,
    },
    Target {
        name: "transport_parameters",
        run: transport_parameters::run,
    },
    Target {
        name: "client_hello",
        run: client_hello::run,
    },
    Target {
        name: "alpn",
        run: alpn::run,
    },
    Target {
        name: "acks",
        run: acks::run,
    },
    Target {
        name: "tokens",
        run: tokens::run,
    },
    Target {
        name: "connection_handshake",
        run: connection::run_handshake,
    },
    Target {
        name: "connection_established",
        run: connection::run_established,
    },
];
