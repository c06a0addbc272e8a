// SPDX-License-Identifier: GPL-2.0 OR MIT

//! What is dropped without a word: packets that are not, or not any more, of this connection.

use super::conformance::{answer, forge, pair_at, When};
use super::pair::{cid, parameters, Flying, Pair, Seen};
use crate::bytes::Writer;
use crate::connection::{Config, MigrateError, State};
use crate::crypto::rustcrypto::RustCrypto;
use crate::ecn::EcnCodepoint;
use crate::packet::{
    PacketNumberSpace, PacketType, Retry, VersionNegotiation, MIN_INITIAL_DATAGRAM,
};
use crate::role::Role::{self, Client, Server};
use crate::stream_id::Directionality::Unidirectional;
use crate::time::Duration;
use crate::version::SupportedVersion::{V1, V2};
use crate::version::Version;
use std::cell::RefCell;
use std::net::SocketAddr;
use std::rc::Rc;

/// How many packets of the other side `role` has taken.
fn taken(pair: &mut Pair, role: Role) -> u64 {
    let end = match role {
        Client => &mut pair.client,
        Server => pair.server(),
    };
    end.connection.stats().packets_received
}

/// That a datagram of `from` has no effect.
fn is_dropped(pair: &mut Pair, from: Role, bytes: Vec<u8>) {
    let to = from.peer();
    let before = taken(pair, to);
    assert_eq!(answer(pair, from, bytes), None);
    assert_eq!(taken(pair, to), before);
}

fn retry(pair: &Pair, scid: u8) -> Vec<u8> {
    let retry = Retry {
        version: V1,
        dcid: cid(0xc1),
        scid: cid(scid),
        token: b"token",
    };
    let mut buffer = [0; 200];
    let mut writer = Writer::new(&mut buffer);
    retry
        .emit(
            &mut writer,
            &RustCrypto,
            pair.client.connection.original_dcid(),
            0,
        )
        .unwrap();
    writer.written().to_vec()
}

fn retries(pair: &Pair) -> usize {
    let events = pair.client.world.events.iter();
    events.filter(|event| **event == Seen::Retried).count()
}

// [rfc9000-17.2.5.2-1] [rfc9000-17.2.5.2-5] [rfc9000-8.1.3-6]
#[test]
fn one_retry_is_followed() {
    let mut pair = Pair::of_version_1();
    pair.transmit();
    let sent = Rc::new(RefCell::new(Vec::new()));
    let shared = sent.clone();
    pair.drops = Box::new(move |_, flying| {
        shared.borrow_mut().push(flying.bytes.clone());
        true
    });
    for scid in [0xaa, 0xbb] {
        let bytes = retry(&pair, scid);
        assert_eq!(answer(&mut pair, Server, bytes), None);
    }
    assert_eq!(retries(&pair), 1);
    pair.run_for(Duration::from_secs(2));
    let sent = sent.borrow();
    assert!(!sent.is_empty());
    for bytes in sent.iter() {
        // The Destination Connection ID of the Retry, our own, and its token.
        assert_eq!(
            bytes[5..14],
            [8, 0xaa, 0xaa, 0xaa, 0xaa, 0xaa, 0xaa, 0xaa, 0xaa]
        );
        assert_eq!(
            bytes[14..23],
            [8, 0xc1, 0xc1, 0xc1, 0xc1, 0xc1, 0xc1, 0xc1, 0xc1]
        );
        assert_eq!(bytes[23..29], *b"\x05token");
    }
}

// [rfc9000-17.2.5.2-2]
#[test]
fn no_retry_is_followed_after_a_packet_of_the_server() {
    let mut pair = pair_at(When::Handshake);
    let bytes = retry(&pair, 0xaa);
    is_dropped(&mut pair, Server, bytes);
    assert_eq!(retries(&pair), 0);
}

/// A program that goes on without a word of the server.
#[test]
fn no_retry_is_followed_after_the_end_of_initial_packets() {
    let mut pair = Pair::of_version_1();
    pair.transmit();
    let now = pair.now;
    pair.client.with(now, |connection, cx| {
        connection.discard_keys(cx, PacketNumberSpace::Initial);
    });
    let bytes = retry(&pair, 0xaa);
    is_dropped(&mut pair, Server, bytes);
    assert_eq!(retries(&pair), 0);
    assert!(!pair.client.connection.can_send(PacketType::Initial));
}

// [rfc9000-6.2-2]
#[test]
fn no_version_is_negotiated_after_a_packet_of_the_server() {
    for (when, ends) in [(None, true), (Some(When::Handshake), false)] {
        let mut pair = when.map_or_else(Pair::of_version_1, pair_at);
        pair.transmit();
        let mut buffer = [0; 200];
        let mut writer = Writer::new(&mut buffer);
        let original = *pair.client.connection.original_dcid();
        VersionNegotiation::emit(
            &mut writer,
            cid(0xc1).as_slice(),
            original.as_slice(),
            [Version::new(9)],
            0,
        )
        .unwrap();
        let bytes = writer.written().to_vec();
        assert_eq!(answer(&mut pair, Server, bytes).is_some(), ends);
    }
}

// [rfc9000-5.2.1-1]
#[test]
fn another_version_is_dropped() {
    let mut pair = pair_at(When::Handshake);
    let mut bytes = forge(&mut pair, Server, PacketType::Handshake, 0, &[1]);
    bytes[1..5].copy_from_slice(&V2.wire().get().to_be_bytes());
    is_dropped(&mut pair, Server, bytes);
}

// [rfc9000-7.2-3] [rfc9000-7.2-6]
#[test]
fn another_source_connection_id_is_dropped() {
    for (from, packet_type) in [
        (Server, PacketType::Initial),
        (Server, PacketType::Handshake),
        (Client, PacketType::Handshake),
    ] {
        let mut pair = pair_at(When::Handshake);
        let mut bytes = forge(&mut pair, from, packet_type, 0, &[1]);
        bytes[15] ^= 1;
        is_dropped(&mut pair, from, bytes);
    }
}

// [rfc9000-17.2.2-1]
#[test]
fn a_token_of_a_server_is_dropped() {
    let mut pair = pair_at(When::Handshake);
    let mut bytes = forge(&mut pair, Server, PacketType::Initial, 0, &[1]);
    // The length of the token, which the first of the two bytes of the Length field becomes.
    assert_eq!(bytes[23], 0);
    bytes[23] = 1;
    is_dropped(&mut pair, Server, bytes);
}

// [rfc9000-14.1-3]
#[test]
fn a_small_datagram_with_an_initial_packet_is_dropped() {
    let mut pair = pair_at(When::Handshake);
    let bytes = forge(&mut pair, Client, PacketType::Initial, 0, &[1]);
    assert_eq!(bytes.len(), MIN_INITIAL_DATAGRAM);
    let mut small = pair_at(When::Handshake);
    is_dropped(
        &mut small,
        Client,
        bytes[..MIN_INITIAL_DATAGRAM - 1].to_vec(),
    );
    let before = taken(&mut pair, Server);
    assert_eq!(answer(&mut pair, Client, bytes), None);
    assert_eq!(taken(&mut pair, Server), before + 1);
}

// [rfc9000-14.1-2] [rfc9000-14.1-1]
#[test]
fn datagrams_with_initial_packets_have_1200_bytes() {
    let mut pair = Pair::of_version_1();
    let seen = Rc::new(RefCell::new([0; 2]));
    let shared = seen.clone();
    pair.drops = Box::new(move |role, flying| {
        // The first packet of a datagram is the Initial one, if there is one.
        if flying.bytes[0] & 0xb0 == 0x80 {
            assert!(flying.bytes.len() >= MIN_INITIAL_DATAGRAM);
            shared.borrow_mut()[role as usize] += 1;
        }
        false
    });
    pair.connect();
    assert!(seen.borrow().iter().all(|count| *count > 0));
}

// [rfc9000-9-5]
#[test]
fn a_client_takes_nothing_from_unknown_addresses() {
    let mut pair = pair_at(When::Confirmed);
    let bytes = forge(&mut pair, Server, PacketType::OneRtt, 0, &[1]);
    let before = taken(&mut pair, Client);
    pair.network.push_back(Flying {
        at: pair.now,
        from: "192.0.2.99:4433".parse().unwrap(),
        to: pair.client.address,
        ecn: EcnCodepoint::NotEct,
        bytes,
    });
    pair.step();
    assert_eq!(taken(&mut pair, Client), before);
}

// [rfc9000-8.2.2-2] [rfc9000-8.2.2-3] [rfc9000-8.2.2-6]
#[test]
fn a_challenge_is_answered_at_once_and_where_it_came_from() {
    let mut pair = pair_at(When::Confirmed);
    let from: SocketAddr = "198.51.100.1:1".parse().unwrap();
    let mut challenge = vec![0x1a];
    challenge.extend_from_slice(&[0x5a; 8]);
    let bytes = forge(&mut pair, Client, PacketType::OneRtt, 0, &challenge);
    let len = bytes.len();
    pair.network.push_back(Flying {
        at: pair.now,
        from,
        to: "192.0.2.2:4433".parse().unwrap(),
        ecn: EcnCodepoint::NotEct,
        bytes,
    });
    let sent = Rc::new(RefCell::new(Vec::new()));
    let shared = sent.clone();
    pair.drops = Box::new(move |_, flying| {
        if flying.to == from {
            shared.borrow_mut().push((flying.at, flying.bytes.len()));
        }
        false
    });
    let now = pair.now;
    pair.step();
    pair.transmit();
    let sent = sent.borrow();
    assert_eq!(sent[0].0, now + pair.delay);
    let total: usize = sent.iter().map(|(_, len)| len).sum();
    assert!(total <= 3 * len, "{total} for {len}");
    // Probing does not move the connection.
    assert_ne!(pair.server().connection.addresses().unwrap().remote, from);
}

// [rfc9000-9.3.3-1]
#[test]
fn the_path_before_is_challenged() {
    let mut pair = pair_at(When::Confirmed);
    let home = pair.nat;
    let away: SocketAddr = "198.51.100.1:1".parse().unwrap();
    let sent = Rc::new(RefCell::new(Vec::new()));
    let shared = sent.clone();
    pair.drops = Box::new(move |role, flying| {
        if role == Server {
            shared.borrow_mut().push((flying.to, flying.bytes.len()));
        }
        false
    });
    pair.nat = away;
    pair.client.connection.ping();
    pair.run_for(Duration::from_millis(50));
    let sent = sent.borrow();
    // RFC 9000 §8.2.1: it has 1200 bytes, for that address is validated.
    assert!(sent.contains(&(home, MIN_INITIAL_DATAGRAM)), "{sent:?}");
    assert!(sent.iter().any(|(to, _)| *to == away));
}

// [rfc9000-9-1] [rfc9000-9-2] [rfc9000-18.2-2]
#[test]
fn who_may_migrate_and_when() {
    let elsewhere: SocketAddr = "192.0.2.7:7".parse().unwrap();
    let mut pair = pair_at(When::Handshake);
    let now = pair.now;
    let migrate = |pair: &mut Pair, role| {
        let end = match role {
            Client => &mut pair.client,
            Server => pair.server(),
        };
        end.with(now, |connection, cx| connection.migrate(cx, elsewhere))
    };
    assert_eq!(migrate(&mut pair, Client), Err(MigrateError::NotAllowed));
    let mut pair = pair_at(When::Confirmed);
    assert_eq!(migrate(&mut pair, Server), Err(MigrateError::NotAllowed));
    assert_eq!(migrate(&mut pair, Client), Ok(()));
    let mut fixed = parameters();
    fixed.disable_active_migration = true;
    let server = Config {
        parameters: fixed,
        ..super::pair::config()
    };
    let mut pair = Pair::with(super::pair::config(), server);
    pair.connect();
    pair.run_for(Duration::from_secs(1));
    assert_eq!(migrate(&mut pair, Client), Err(MigrateError::NotAllowed));
}

// [rfc9000-10.2.2-2]
#[test]
fn nothing_is_sent_while_draining() {
    let mut pair = pair_at(When::Confirmed);
    let id = pair.server().open(Unidirectional);
    let now = pair.now;
    pair.server().write(now, id, &[1; 10_000], true);
    let bytes = forge(&mut pair, Client, PacketType::OneRtt, 0, &[0x1d, 0, 0]);
    assert!(answer(&mut pair, Client, bytes).is_some());
    assert_eq!(pair.server().connection.state(), State::Draining);
    pair.client.connection.ping();
    let sent = Rc::new(RefCell::new(0));
    let shared = sent.clone();
    pair.drops = Box::new(move |role, _| {
        *shared.borrow_mut() += usize::from(role == Server);
        false
    });
    pair.run_for(Duration::from_secs(5));
    assert_eq!(*sent.borrow(), 0);
}
