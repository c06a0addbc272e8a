// SPDX-License-Identifier: MIT OR Apache-2.0

//! [`Nat`]: gives the client other addresses, which the server sees.
//!
//! A rebinding takes place when the client sends for the first time after its time. Then its
//! datagrams come from another port or address. There are none before the handshake is confirmed,
//! as no connection need survive that (RFC 9000 §9).

use quic_core::time::{Duration, Instant};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

/// What changes at a rebinding.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub enum Rebinding {
    /// The port.
    Port,
    /// The address and the port.
    Address,
}

/// The translation in front of the client.
#[derive(Debug, Default)]
pub struct Nat {
    /// When the handshake was confirmed.
    start: Option<Instant>,
    /// The rebindings to come, how long after that, sorted backwards.
    to_come: Vec<(Duration, Rebinding)>,
    /// What the server still sends to the old address is dropped.
    forgets: bool,
    /// How many rebindings there were, and how many changed the address.
    rebindings: u16,
    moves: u8,
    /// (inside, outside), the present one last.
    mappings: Vec<(SocketAddr, SocketAddr)>,
}

impl Nat {
    /// A translation with these rebindings, sorted by time.
    pub fn new(mut rebindings: Vec<(Duration, Rebinding)>, forgets: bool) -> Self {
        rebindings.reverse();
        Self {
            to_come: rebindings,
            forgets,
            ..Self::default()
        }
    }

    /// The handshake is confirmed at both ends; the times of the rebindings count from now on.
    pub fn start(&mut self, now: Instant) {
        self.start.get_or_insert(now);
    }

    /// The address that the server sees for a datagram that the client sends `from`.
    pub fn outbound(&mut self, now: Instant, from: SocketAddr) -> SocketAddr {
        let due = |after: Duration| self.start.is_some_and(|start| start + after <= now);
        while let Some(&(_, what)) = self.to_come.last().filter(|(after, _)| due(*after)) {
            self.to_come.pop();
            self.rebindings += 1;
            self.moves += u8::from(what == Rebinding::Address);
            if self.forgets {
                self.mappings.clear();
            }
        }
        let outside = self.translate(from);
        if self.mappings.last() != Some(&(from, outside)) {
            self.mappings.retain(|mapping| *mapping != (from, outside));
            self.mappings.push((from, outside));
        }
        outside
    }

    /// Where a datagram that the server sends `to` really goes, if anybody knows.
    pub fn inbound(&self, to: SocketAddr) -> Option<SocketAddr> {
        let mapping = self.mappings.iter().find(|(_, outside)| *outside == to);
        mapping.map(|(inside, _)| *inside)
    }

    fn translate(&self, inside: SocketAddr) -> SocketAddr {
        let ip = match inside.ip() {
            IpAddr::V4(v4) if self.moves > 0 => {
                let [_, _, _, host] = v4.octets();
                IpAddr::V4(Ipv4Addr::new(203, 0, self.moves, host))
            }
            other => other,
        };
        // Ports of different inside addresses stay different: these lie in 4096..8192.
        SocketAddr::new(
            ip,
            inside.port().wrapping_add(4_096 * (self.rebindings % 8)),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(n: u64) -> Instant {
        Instant::from_nanos(n)
    }

    #[test]
    fn rebindings_are_seen_when_the_client_sends() {
        let inside: SocketAddr = "192.0.2.1:5000".parse().unwrap();
        let after = Duration::from_nanos;
        let plan = vec![(after(5), Rebinding::Port), (after(15), Rebinding::Address)];
        for forgets in [false, true] {
            let mut nat = Nat::new(plan.clone(), forgets);
            assert_eq!(nat.outbound(at(0), inside), inside);
            assert_eq!(nat.inbound(inside), Some(inside));
            assert_eq!(nat.outbound(at(40), inside), inside);
            nat.start(at(5));
            let second = nat.outbound(at(10), inside);
            assert_eq!(second.ip(), inside.ip());
            assert_ne!(second.port(), inside.port());
            assert_eq!(nat.inbound(second), Some(inside));
            let old = nat.inbound(inside);
            assert_eq!(old, (!forgets).then_some(inside));
            let third = nat.outbound(at(30), inside);
            assert_ne!(third.ip(), inside.ip());
            assert_eq!(nat.outbound(at(31), inside), third);
        }
    }
}
