// SPDX-License-Identifier: MIT OR Apache-2.0

//! [`Amplification`] and [`Silence`]: what an endpoint must not send, as far as it is visible from outside.

use crate::host::{Status, Tolerance};
use quic_core::time::Instant;
use std::collections::BTreeMap;
use std::net::SocketAddr;

/// How many bytes a server may send for each that came from an address that is not validated.
// RFC 9000 §8: an endpoint MUST limit the amount of data it sends to the unvalidated address to
// three times the amount of data received from that address.
const LIMIT: u64 = 3;

/// What a server sends to addresses that it has not validated.
#[derive(Debug, Default)]
pub struct Amplification {
    tolerance: Tolerance,
    first: Option<SocketAddr>,
    paths: BTreeMap<SocketAddr, Path>,
}

#[derive(Debug, Default)]
struct Path {
    received: u64,
    sent: u64,
    /// When the client first got something that was sent to this address.
    reached: Option<Instant>,
    /// The server may hold the address for validated.
    validated: bool,
}

impl Amplification {
    /// Nothing was sent yet.
    pub fn new(tolerance: Tolerance) -> Self {
        Self {
            tolerance,
            ..Self::default()
        }
    }

    /// The server gets a datagram that the client sent at `sent_at`, as it was `sent` and as it
    /// `arrived`. Packets in it that are intact may validate the address.
    pub fn received(&mut self, from: SocketAddr, sent: &[u8], arrived: &[u8], sent_at: Instant) {
        self.first.get_or_insert(from);
        let path = self.paths.entry(from).or_default();
        path.received += arrived.len() as u64;
        path.validated |= may_validate(sent, arrived);
        if is_long(sent) || sent != arrived {
            return;
        }
        // The proof for a new path, a PATH_RESPONSE, is encrypted. But a client that got nothing on
        // the path cannot have sent one. RFC 9000 §8.2.3: it may come from another address.
        for path in self.paths.values_mut() {
            path.validated |= path.reached.is_some_and(|reached| sent_at >= reached);
        }
    }

    /// The client gets a datagram that the server sent to `to`.
    pub fn reached(&mut self, now: Instant, to: SocketAddr) {
        let path = self.paths.entry(to).or_default();
        path.reached.get_or_insert(now);
    }

    /// The server sends a datagram of `len` bytes.
    pub fn sent(&mut self, to: SocketAddr, len: usize) -> Result<(), String> {
        let path = self.paths.entry(to).or_default();
        path.sent += len as u64;
        if self.tolerance.new_paths && self.first != Some(to) {
            return Ok(());
        }
        let limit = LIMIT * path.received + self.tolerance.amplification;
        if !path.validated && path.sent > limit {
            return Err(format!(
                "the server has sent {} bytes to {to}, which is not validated, for {} received",
                path.sent, path.received
            ));
        }
        Ok(())
    }
}

/// The longest part of a long header that a Retry packet depends on: up to the connection IDs.
const HEADER: usize = 1 + 4 + 1 + 20 + 1 + 20;

/// Whether a datagram that was changed on its way has been, or has become, or is answered with a
/// Retry packet that is not authentic.
pub(crate) fn spoils_retry(sent: &[u8], arrived: &[u8]) -> bool {
    let initial = long_packet(sent).is_some_and(|(kind, ..)| kind == Kind::Initial);
    let len = HEADER.min(sent.len());
    if initial && sent.get(..len) != arrived.get(..len) {
        return true;
    }
    let mut rest = sent;
    loop {
        let at = sent.len() - rest.len();
        if is_retry(rest) || arrived.get(at..).is_some_and(is_retry) {
            return true;
        }
        match long_packet(rest) {
            Some((_, _, next)) if is_long(rest) => rest = next,
            _ => return false,
        }
    }
}

fn is_retry(packet: &[u8]) -> bool {
    let Some((first, rest)) = packet.split_first().filter(|_| is_long(packet)) else {
        return false;
    };
    let version = rest.first_chunk::<4>().copied().map(u32::from_be_bytes);
    matches!(
        (version, (first >> 4) & 0b11),
        (Some(1), 0b11) | (Some(0x6b33_43cf), 0b00)
    )
}

fn is_long(payload: &[u8]) -> bool {
    payload.first().is_some_and(|first| first & 0x80 != 0)
}

/// Whether the datagram has a Handshake packet, or an Initial packet with a token, that arrived as
/// it was sent.
// RFC 9000 §8.1: In particular, receipt of a packet protected with Handshake keys confirms that the
// peer successfully processed an Initial packet. §8.1.1: a token.
fn may_validate(sent: &[u8], arrived: &[u8]) -> bool {
    let mut rest = sent;
    while is_long(rest) {
        let Some((kind, token, next)) = long_packet(rest) else {
            return false;
        };
        let range = sent.len() - rest.len()..sent.len() - next.len();
        let intact = sent.get(range.clone()) == arrived.get(range);
        if intact && (kind == Kind::Handshake || kind == Kind::Initial && token) {
            return true;
        }
        rest = next;
    }
    false
}

#[derive(Copy, Clone, PartialEq, Eq)]
enum Kind {
    Initial,
    Handshake,
    Other,
}

/// What the first packet is, whether it has a token, and the rest of the datagram.
fn long_packet(datagram: &[u8]) -> Option<(Kind, bool, &[u8])> {
    let (first, rest) = datagram.split_first()?;
    let (version, rest) = rest.split_first_chunk::<4>()?;
    let kind = match (u32::from_be_bytes(*version), (first >> 4) & 0b11) {
        (1, 0b00) | (0x6b33_43cf, 0b01) => Kind::Initial,
        (1, 0b10) | (0x6b33_43cf, 0b11) => Kind::Handshake,
        (1 | 0x6b33_43cf, _) => Kind::Other,
        _ => return None,
    };
    let mut rest = rest;
    for _ in 0..2 {
        let (len, after) = rest.split_first()?;
        rest = after.get(usize::from(*len)..)?;
    }
    let mut token = false;
    if kind == Kind::Initial {
        let (len, after) = varint(rest)?;
        token = len > 0;
        rest = after.get(usize::try_from(len).ok()?..)?;
    }
    let (len, rest) = varint(rest)?;
    Some((kind, token, rest.get(usize::try_from(len).ok()?..)?))
}

fn varint(bytes: &[u8]) -> Option<(u64, &[u8])> {
    let len = 1 << (bytes.first()? >> 6);
    let (value, rest) = bytes.split_at_checked(len)?;
    let value = value
        .iter()
        .fold(0, |value, byte| (value << 8) | u64::from(*byte));
    Some((value & (u64::MAX >> (66 - 8 * len)), rest))
}

/// What an endpoint sends after its connection was closed.
#[derive(Debug, Default)]
pub struct Silence {
    /// Since the connection is closed.
    closed: bool,
    received: u64,
    sent: u64,
}

impl Silence {
    /// The endpoint gets a datagram.
    pub fn received(&mut self) {
        self.received += u64::from(self.closed);
    }

    /// The endpoint was asked for datagrams and has given `count`.
    pub fn sent(
        &mut self,
        status: Status,
        count: usize,
        tolerance: Tolerance,
    ) -> Result<(), String> {
        if status < Status::Closing {
            return Ok(());
        }
        let was_closed = std::mem::replace(&mut self.closed, true);
        if status == Status::Draining && was_closed && count > 0 && !tolerance.draining {
            // RFC 9000 §10.2.2: While otherwise identical to the closing state, an endpoint in the
            // draining state MUST NOT send any packets.
            return Err("a packet was sent in the draining state".into());
        }
        // At most one to say that it is closed, and one for each that still arrives: be it
        // CONNECTION_CLOSE or a stateless reset. What was sent before, in the same instant, may be
        // among the first.
        if !was_closed {
            self.sent = 0;
            return Ok(());
        }
        self.sent += count as u64;
        if self.sent > self.received + 1 {
            return Err(format!(
                "{} datagrams were sent after the close, {} received",
                self.sent, self.received
            ));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A long header packet with connection IDs of 2 and 0 bytes.
    fn long(first: u8, token: Option<&[u8]>, body: usize) -> Vec<u8> {
        let mut packet = vec![first, 0, 0, 0, 1, 2, 7, 7, 0];
        if let Some(token) = token {
            packet.push(token.len() as u8);
            packet.extend_from_slice(token);
        }
        packet.extend_from_slice(&[0x40, body as u8]);
        packet.resize(packet.len() + body, 0);
        packet
    }

    #[test]
    fn handshake_packets_and_tokens_validate() {
        let initial = long(0xc0, Some(b""), 100);
        let with_token = long(0xc0, Some(b"token"), 100);
        let handshake = long(0xe0, None, 50);
        let whole = |datagram: &[u8]| may_validate(datagram, datagram);
        assert!(!whole(&initial));
        assert!(whole(&with_token));
        assert!(whole(&handshake));
        let both = [initial.clone(), handshake].concat();
        assert!(whole(&both));
        assert!(!whole(&initial[..50]));
        assert!(!whole(&[]));
        // What follows from an intact packet does, whatever happened to the others.
        let change = |at: usize| {
            let mut changed = both.clone();
            changed[at] ^= 1;
            changed
        };
        assert!(may_validate(&both, &change(initial.len() - 1)));
        assert!(!may_validate(&both, &change(both.len() - 1)));
    }

    fn received(it: &mut Amplification, from: SocketAddr, datagram: &[u8], sent_at: Instant) {
        it.received(from, datagram, datagram, sent_at);
    }

    #[test]
    fn packets_that_a_retry_depends_on() {
        let initial = long(0xc0, Some(b""), 100);
        let retry = long(0xf0, None, 50);
        let handshake = long(0xe0, None, 50);
        let short = [0x40; 50];
        let changed = |datagram: &[u8], at: usize, bits: u8| {
            let mut changed = datagram.to_vec();
            changed[at] ^= bits;
            spoils_retry(datagram, &changed)
        };
        assert!(changed(&retry, 30, 1));
        assert!(changed(&handshake, 0, 0x10), "it becomes Retry");
        assert!(!changed(&handshake, 30, 1));
        assert!(changed(&initial, 6, 1), "a connection ID is another");
        assert!(!changed(&initial, 90, 1));
        let both = [initial.clone(), handshake].concat();
        assert!(changed(&both, initial.len(), 0x10));
        assert!(!changed(&short, 0, 0x10));
    }

    #[test]
    fn three_times_is_the_limit_until_then() {
        let client: SocketAddr = "192.0.2.1:1".parse().unwrap();
        let now = Instant::default();
        let mut amplification = Amplification::default();
        received(&mut amplification, client, &long(0xc0, Some(b""), 60), now);
        let bytes = amplification.paths[&client].received as usize;
        assert!(amplification.sent(client, 3 * bytes).is_ok());
        assert!(amplification.sent(client, 1).is_err());
        received(&mut amplification, client, &long(0xe0, None, 50), now);
        assert!(amplification.sent(client, 10_000).is_ok());
    }

    #[test]
    fn a_new_path_needs_an_answer() {
        let at = Instant::from_nanos;
        let client: SocketAddr = "192.0.2.1:1".parse().unwrap();
        let short = [0x40; 100];
        let mut amplification = Amplification::default();
        received(&mut amplification, client, &short, at(0));
        assert!(amplification.sent(client, 300).is_ok());
        amplification.reached(at(10), client);
        received(&mut amplification, client, &short, at(5));
        assert!(amplification.sent(client, 301).is_err());
        received(&mut amplification, client, &short, at(11));
        assert!(amplification.sent(client, 5_000).is_ok());
    }

    #[test]
    fn an_answer_may_come_from_elsewhere() {
        let at = Instant::from_nanos;
        let [client, elsewhere]: [SocketAddr; 2] =
            ["192.0.2.1:1", "192.0.2.2:1"].map(|it| it.parse().unwrap());
        let mut amplification = Amplification::default();
        received(&mut amplification, client, &[0x40; 100], at(0));
        amplification.reached(at(10), client);
        received(&mut amplification, elsewhere, &[0x40; 100], at(9));
        assert!(amplification.sent(client, 301).is_err());
        received(&mut amplification, elsewhere, &[0x40; 100], at(10));
        assert!(amplification.sent(client, 5_000).is_ok());
        assert!(amplification.sent(elsewhere, 601).is_err());
    }

    #[test]
    fn silence_after_the_close() {
        let none = Tolerance::default();
        let mut silence = Silence::default();
        assert!(silence.sent(Status::Established, 9, none).is_ok());
        assert!(silence.sent(Status::Closing, 2, none).is_ok());
        silence.received();
        assert!(silence.sent(Status::Closing, 1, none).is_ok());
        assert!(silence.sent(Status::Closing, 1, none).is_ok());
        assert!(silence.sent(Status::Closing, 1, none).is_err());

        let mut silence = Silence::default();
        assert!(silence.sent(Status::Draining, 1, none).is_ok());
        assert!(silence.sent(Status::Draining, 0, none).is_ok());
        assert!(silence.sent(Status::Draining, 1, none).is_err());
    }
}
