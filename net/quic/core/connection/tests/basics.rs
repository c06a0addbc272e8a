// SPDX-License-Identifier: GPL-2.0 OR MIT

//! Handshake, data, and the end.

use super::pair::{cid, config, End, Pair, Seen, World, SUITE};
use crate::chunk::testing::pattern;
use crate::connection::path::Path;
use crate::connection::{Accepted, Config, Connection, State};
use crate::packet::{Datagram, FixedBit, Packet, PacketType};
use crate::role::Role;
use crate::stream_id::Directionality::{Bidirectional, Unidirectional};
use crate::time::{Duration, Instant};
use crate::varint::VarInt;
use crate::version::SupportedVersion;
use kernel::alloc::flags::GFP_KERNEL;
use kernel::alloc::inject;

// [rfc9000-7.2-4] [rfc9000-7.2-5] [rfc9000-7.3-1] [rfc9001-4.1.2-1]
#[test]
fn a_handshake_takes_two_round_trips_to_be_confirmed() {
    let mut pair = Pair::new();
    let start = pair.now;
    pair.connect();
    assert!(pair.now.since(start) <= Duration::from_millis(60));
    assert!(pair.client.world.events.contains(&Seen::Confirmed));
    assert!(pair.server().world.events.contains(&Seen::Confirmed));
}

#[test]
fn data_goes_both_ways() {
    let mut pair = Pair::new();
    pair.connect();
    let data = pattern(1, 0, 300_000);
    let id = pair.client.open(Bidirectional);
    let now = pair.now;
    pair.client.write(now, id, &data, true);
    pair.run_until(|pair| pair.server().all_read(id).1);
    assert!(pair.server().all_read(id).0 == data);
    let answer = pattern(2, 0, 200_000);
    let now = pair.now;
    pair.server().write(now, id, &answer, true);
    pair.run_until(|pair| pair.client.all_read(id).1);
    assert!(pair.client.all_read(id).0 == answer);
}

// [rfc9000-12.3-4] [rfc9000-13.3-2] [rfc9001-4-1] [rfc9001-4.9-1]
#[test]
fn lost_data_is_sent_again() {
    for (seed, percent) in [(1, 50), (2, 30), (3, 30), (4, 10), (5, 3)] {
        let mut pair = Pair::new();
        let mut random = World::new(seed);
        pair.drops = Box::new(move |_, _| random.next_random() % 100 < percent);
        pair.connect();
        let data = pattern(1, 0, 100_000);
        let id = pair.client.open(Unidirectional);
        let now = pair.now;
        pair.client.write(now, id, &data, true);
        pair.run_until(|pair| pair.server().all_read(id).1);
        assert!(pair.server().all_read(id).0 == data, "{percent} %");
    }
}

// [rfc9000-10.2.2-1] [rfc9000-10.3-1] [rfc9000-10.2.3-1]
#[test]
fn close_reaches_the_peer() {
    let mut pair = Pair::new();
    pair.connect();
    let now = pair.now;
    pair.client.with(now, |connection, cx| {
        connection.close(cx, VarInt::from_u32(7), b"enough");
    });
    assert_eq!(pair.client.connection.state(), State::Closing);
    pair.run_until(|pair| pair.server().connection.state() == State::Draining);
    let seen = pair.server().world.events.iter().any(|event| {
        matches!(event, Seen::Closed(text) if text.starts_with("PeerApplication { code: VarInt(7)"))
    });
    assert!(seen, "{:?}", pair.server().world.events);
    pair.run_until(|pair| pair.client.connection.state() == State::Closed);
    pair.run_until(|pair| pair.server().connection.state() == State::Closed);
}

// [rfc9001-5.6-3]
#[test]
fn a_server_does_not_send_with_the_keys_of_early_data() {
    let pair = Pair::new();
    let mut world = World::new(1);
    let mut cx = End::cx(&mut world, pair.now);
    let accepted = Accepted {
        addresses: pair.client.connection.addresses().unwrap(),
        version: SupportedVersion::V1,
        dcid: cid(1),
        scid: cid(2),
        original_dcid: cid(1),
        validated: true,
    };
    let mut server = Connection::accept(&mut cx, config(), &accepted, cid(3)).unwrap();
    server
        .install_secret(&mut cx, PacketType::ZeroRtt, false, SUITE, &[1; 32])
        .unwrap();
    assert!(!server.can_send_data());
    server.close(&mut cx, VarInt::ZERO, b"");
    let mut batch = server.begin_batch(&mut cx, 1).unwrap();
    let mut out = [0; 1200];
    let len = server.fill(&mut cx, &mut batch, &mut out).unwrap();
    let types: Vec<_> = Datagram::new(&mut out[..len], 8, FixedBit::Ignored)
        .filter_map(|packet| match packet {
            Ok(Packet::Protected(packet)) => Some(packet.packet_type()),
            _ => None,
        })
        .collect();
    assert_eq!(types, [PacketType::Initial]);
}

#[test]
fn close_is_repeated_with_another_packet_number() {
    let mut pair = Pair::new();
    pair.connect();
    pair.run_for(Duration::from_secs(1));
    let closes = std::rc::Rc::new(std::cell::RefCell::new(Vec::new()));
    let shared = closes.clone();
    pair.drops = Box::new(move |role, flying| {
        if role == Role::Client {
            shared.borrow_mut().push(flying.bytes.clone());
        }
        role == Role::Client
    });
    let now = pair.now;
    pair.client.with(now, |connection, cx| {
        connection.close(cx, VarInt::from_u32(7), b"enough");
    });
    pair.run_for(Duration::from_millis(1));
    pair.server().connection.ping();
    pair.run_for(Duration::from_millis(20));
    let closes = closes.borrow();
    assert!(closes.len() > 1);
    assert_ne!(closes[0], closes[1]);
}

#[test]
fn silence_ends_the_connection() {
    let mut pair = Pair::new();
    pair.connect();
    pair.run_for(Duration::from_secs(1));
    pair.drops = Box::new(|_, _| true);
    pair.run_for(Duration::from_secs(40));
    assert_eq!(pair.client.connection.state(), State::Closed);
    assert_eq!(pair.server().connection.state(), State::Closed);
}

#[test]
fn keep_alive_keeps_alive() {
    let config = Config {
        keep_alive: Some(Duration::from_secs(10)),
        ..config()
    };
    let mut pair = Pair::with(config, config);
    pair.connect();
    pair.run_for(Duration::from_secs(300));
    assert_eq!(pair.client.connection.state(), State::Open);
    assert_eq!(pair.server().connection.state(), State::Open);
}

// [rfc9001-6.1-3] [rfc9001-6.2-1] [rfc9001-6.2-2] [rfc9001-6.3-2]
#[test]
fn keys_are_updated() {
    let mut pair = Pair::new();
    pair.connect();
    pair.run_for(Duration::from_secs(1));
    for round in 1..5 {
        let now = pair.now;
        let id = pair.client.open(Unidirectional);
        pair.client.write(now, id, b"before", false);
        pair.run_for(Duration::from_secs(1));
        let now = pair.now;
        pair.client
            .with(now, |connection, cx| connection.update_keys(cx))
            .unwrap();
        pair.client.write(now, id, b" and after", true);
        pair.run_until(|pair| pair.server().all_read(id).1);
        assert_eq!(pair.server().all_read(id).0, b"before and after");
        assert_eq!(pair.server().connection.key_phase(), round % 2 == 1);
        pair.run_for(Duration::from_secs(3));
    }
}

// [rfc9001-6.1-3]
#[test]
fn old_keys_stay_until_the_peer_has_followed() {
    let mut pair = Pair::new();
    pair.connect();
    let id = pair.client.open(Bidirectional);
    let now = pair.now;
    pair.client.write(now, id, b"before", false);
    // An acknowledgment, but not yet 3 PTO since the first key phase began.
    pair.run_for(Duration::from_millis(50));
    let now = pair.now;
    pair.client
        .with(now, |connection, cx| connection.update_keys(cx))
        .unwrap();
    // The client has nothing to send, so that the server knows nothing of it.
    pair.run_for(Duration::from_secs(5));
    assert!(!pair.server().connection.key_phase());
    let now = pair.now;
    pair.server().write(now, id, b"answer", true);
    pair.run_until(|pair| pair.client.all_read(id).1);
    pair.run_until(|pair| pair.server().connection.key_phase());
}

#[test]
fn data_that_waits_for_more_does_not_wake_anybody() {
    let config = Config {
        nagle: true,
        pmtud: false,
        ..config()
    };
    let mut pair = Pair::with(config, config);
    pair.connect();
    pair.run_for(Duration::from_secs(1));
    let id = pair.client.open(Unidirectional);
    let now = pair.now;
    pair.client.write(now, id, b"first", false);
    pair.transmit();
    pair.client.write(now, id, b"second", false);
    let sent = pair.client.with(now, |connection, cx| {
        let mut batch = connection.begin_batch(cx, 10).unwrap();
        let len = connection.fill(cx, &mut batch, &mut [0; 1500]);
        (len, connection.end_batch(cx, &batch))
    });
    assert_eq!(sent, (None, false));
    let timeout = pair.client.connection.timeout().unwrap();
    assert!(timeout > now + Duration::from_millis(10));
    pair.run_until(|pair| pair.server().all_read(id).0 == b"firstsecond");
}

#[test]
fn datagrams_arrive() {
    let mut pair = Pair::new();
    pair.connect();
    let len = pair.client.connection.max_datagram_len();
    assert!(len > 1000);
    for byte in 0..10 {
        pair.client
            .connection
            .send_datagram(vec![byte; len], GFP_KERNEL)
            .unwrap();
    }
    pair.run_for(Duration::from_secs(1));
    for byte in 0..10 {
        let (data, _) = pair.server().connection.datagrams().peek().unwrap();
        assert_eq!(data.as_slice(), vec![byte; len]);
        assert!(pair.server().connection.datagrams().consume(len));
    }
}

// [rfc9000-12.3-4]
#[test]
fn a_packet_that_was_refused_brings_its_datagrams_once() {
    let config = Config {
        pmtud: false,
        ..config()
    };
    for n in 0.. {
        let mut pair = Pair::with(config, config);
        pair.connect();
        pair.run_for(Duration::from_secs(1));
        let id = pair.client.open(Unidirectional);
        let now = pair.now;
        pair.client.write(now, id, b"a stream", false);
        let datagram = vec![1; 100];
        pair.client
            .connection
            .send_datagram(datagram, GFP_KERNEL)
            .unwrap();
        pair.transmit();
        let flying = pair.network.pop_front().unwrap();
        assert!(pair.network.is_empty());
        let now = pair.now;
        let ((), failed) = inject::fail_nth(n, || pair.server().receive(now, &flying));
        pair.server().receive(now, &flying);
        let datagrams = pair.server().connection.datagrams();
        let mut count = 0;
        while let Some(len) = datagrams.peek().map(|(data, _)| data.as_slice().len()) {
            assert!(datagrams.consume(len));
            count += 1;
        }
        assert!(count == 1 || failed && count == 0, "{n}: {count}");
        assert_eq!(pair.server().all_read(id).0, b"a stream", "{n}");
        if !failed {
            break;
        }
    }
}

// [rfc9000-8-1] [rfc9000-8.1-1] [rfc9000-8.1-2] [rfc9000-14.1-4]
#[test]
fn a_server_that_knows_no_address_sends_three_times_as_much() {
    let mut pair = Pair::new();
    // The client's second flight never arrives.
    let (mut from_client, mut from_server) = (0, 0);
    let counts = std::rc::Rc::new(std::cell::Cell::new((0, 0)));
    let shared = counts.clone();
    pair.drops = Box::new(move |role, flying| {
        match role {
            Role::Client if from_client == 0 => from_client += flying.bytes.len(),
            Role::Client => return true,
            Role::Server => from_server += flying.bytes.len(),
        }
        shared.set((from_client, from_server));
        false
    });
    pair.run_for(Duration::from_secs(20));
    let (from_client, from_server) = counts.get();
    assert!(from_server > from_client, "{from_server}");
    assert!(from_server <= 3 * from_client, "{from_server}");
}

// [rfc9000-9.4-3]
#[test]
fn a_challenge_is_repeated_after_a_probe_timeout() {
    let at = |millis| Instant::from_nanos(0) + Duration::from_millis(millis);
    let mut world = World::new(1);
    let recovery = config().path(&End::cx(&mut world, at(0)), 1200, 0).unwrap();
    let addresses = Pair::new().client.connection.addresses().unwrap();
    let mut path = Path::new(addresses, recovery);
    path.challenge(at(0), Duration::from_secs(10));
    // 3 * 333 ms without a sample, and the delay; then twice that.
    for (sent, due) in [(0, 1024), (1024, 1024 + 2048)] {
        path.on_challenge_sent([7; 8], at(sent), Duration::from_millis(25));
        assert_eq!(path.timeout(), Some(at(due)));
        assert!(!path.on_timeout(at(due - 1)));
        assert!(!path.challenge_due());
        assert!(!path.on_timeout(at(due)));
        assert!(path.challenge_due());
    }
    assert!(path.on_timeout(at(10_000)));
}
