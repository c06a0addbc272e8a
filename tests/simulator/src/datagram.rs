// SPDX-License-Identifier: MIT OR Apache-2.0

//! [`Datagram`]: a UDP datagram on its way.

use quic_core::role::Role;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

/// Where an endpoint is when the simulation begins. A client may go to higher ports.
pub const fn address(role: Role) -> SocketAddr {
    let (ip, port) = match role {
        Role::Client => (Ipv4Addr::new(192, 0, 2, 1), 5_000),
        Role::Server => (Ipv4Addr::new(198, 51, 100, 1), 443),
    };
    SocketAddr::new(IpAddr::V4(ip), port)
}

/// A UDP datagram, with what the IP header says about congestion.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Datagram {
    /// The address of the sender, as whoever holds the datagram sees it.
    pub from: SocketAddr,
    /// Where it goes.
    pub to: SocketAddr,
    /// The ECN field.
    pub ecn: Ecn,
    /// What UDP carries.
    pub payload: Vec<u8>,
}

/// The ECN field of the IP header (RFC 3168 §5).
#[derive(Copy, Clone, PartialEq, Eq, Hash, Debug, Default)]
pub enum Ecn {
    /// Not ECN-capable.
    #[default]
    NotEct = 0b00,
    /// ECN-capable, ECT(1).
    Ect1 = 0b01,
    /// ECN-capable, ECT(0).
    Ect0 = 0b10,
    /// Congestion experienced.
    Ce = 0b11,
}

impl Datagram {
    /// How many bytes the IP packet has.
    pub fn ip_size(&self) -> u32 {
        let headers = match self.to.ip() {
            IpAddr::V4(_) => 20 + 8,
            IpAddr::V6(_) => 40 + 8,
        };
        self.payload.len() as u32 + headers
    }
}
