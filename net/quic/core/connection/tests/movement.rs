// SPDX-License-Identifier: GPL-2.0 OR MIT

//! Other addresses: NAT rebinding, paths that fail, the preferred address of a server.

use super::pair::{config, parameters, End, Pair, Seen, World};
use crate::chunk::testing::pattern;
use crate::cid::{ConnectionId, StatelessResetToken};
use crate::connection::config::Settings;
use crate::connection::path::{Path, PathSet, Responses, MAX_PATHS};
use crate::connection::{Config, State};
use crate::packet::MIN_INITIAL_DATAGRAM;
use crate::role::Role;
use crate::stream_id::Directionality::{Bidirectional, Unidirectional};
use crate::time::{Duration, Instant};
use crate::transport_parameters::PreferredAddress;
use kernel::alloc::flags::GFP_KERNEL;
use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::net::SocketAddr;
use std::rc::Rc;

fn at(millis: u64) -> Instant {
    Instant::from_nanos(0) + Duration::from_millis(millis)
}

fn address(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

fn new_path() -> Path {
    let mut world = World::new(1);
    let settings = Settings::from(&config());
    let recovery = settings.path(&End::cx(&mut world, at(0)), 1200, 0).unwrap();
    let addresses = Pair::new().client.connection.addresses().unwrap();
    Path::new(addresses, recovery)
}

/// The server talks to the client at its new address.
fn has_followed(pair: &mut Pair) -> bool {
    let nat = pair.nat;
    pair.server().connection.addresses().unwrap().remote == nat
}

// [rfc9000-9-4] [rfc9000-9.3-1]
#[test]
fn a_server_follows_its_client() {
    for nat in ["192.0.2.1:2222", "198.51.100.1:2222"] {
        let mut pair = Pair::new();
        pair.connect();
        pair.run_for(Duration::from_secs(1));
        pair.nat = address(nat);
        let id = pair.client.open(Bidirectional);
        let now = pair.now;
        pair.client.write(now, id, &[1; 50_000], true);
        pair.run_until(|pair| pair.server().all_read(id).1);
        assert!(has_followed(&mut pair));
        pair.run_for(Duration::from_secs(5));
        let server = &pair.server().world.events;
        assert!(
            !server.iter().any(|event| matches!(event, Seen::Closed(_))),
            "{server:?}"
        );
        let now = pair.now;
        pair.server().write(now, id, &[2; 50_000], true);
        pair.run_until(|pair| pair.client.all_read(id).1);
    }
}

// [rfc9000-9.5-1] [rfc9000-9.5-2]
#[test]
fn no_connection_id_goes_to_two_addresses() {
    let seen: Rc<RefCell<HashMap<Vec<u8>, SocketAddr>>> = Rc::default();
    let mut pair = Pair::new();
    pair.connect();
    pair.run_for(Duration::from_secs(1));
    let shared = seen.clone();
    pair.drops = Box::new(move |role, flying| {
        if role == Role::Server {
            // All are 1-RTT packets by now.
            let dcid = flying.bytes[1..9].to_vec();
            let first = *shared.borrow_mut().entry(dcid).or_insert(flying.to);
            assert_eq!(first, flying.to);
        }
        false
    });
    for nat in ["198.51.100.1:1", "198.51.100.2:1", "198.51.100.3:1"] {
        pair.nat = address(nat);
        let id = pair.client.open(Unidirectional);
        let now = pair.now;
        pair.client.write(now, id, &[1; 5000], true);
        pair.run_until(|pair| pair.server().all_read(id).1);
        assert!(has_followed(&mut pair));
        pair.run_for(Duration::from_secs(5));
    }
    assert!(seen.borrow().len() >= 4);
}

// [rfc9000-9.3.2-1]
#[test]
fn a_server_goes_back_if_the_client_is_not_there() {
    let mut pair = Pair::new();
    pair.connect();
    pair.run_for(Duration::from_secs(1));
    let home = pair.nat;
    let away = address("198.51.100.1:1");
    // Somebody sends a copy of a packet from elsewhere, and it overtakes.
    pair.nat = away;
    pair.client.connection.ping();
    pair.transmit();
    pair.nat = home;
    pair.run_for(Duration::from_millis(20));
    assert_eq!(pair.server().connection.addresses().unwrap().remote, away);
    pair.run_for(Duration::from_secs(10));
    assert_eq!(pair.server().connection.addresses().unwrap().remote, home);
    assert!(pair
        .server()
        .world
        .events
        .iter()
        .any(|event| matches!(event, Seen::PathFailed(addresses) if addresses.remote == away)));
    let id = pair.client.open(Unidirectional);
    let now = pair.now;
    pair.client.write(now, id, &[1; 5000], true);
    pair.run_until(|pair| pair.server().all_read(id).1);
}

// [rfc9000-9.3.2-1]
#[test]
fn the_way_back_stays_until_the_new_path_is_validated() {
    let mut pair = Pair::new();
    pair.connect();
    pair.run_for(Duration::from_secs(1));
    let home = pair.nat;
    pair.nat = address("198.51.100.1:1");
    pair.client.connection.ping();
    // Nothing of the server arrives any more: neither path answers.
    pair.drops = Box::new(|role, _| role == Role::Server);
    pair.run_for(Duration::from_secs(10));
    assert_eq!(pair.server().connection.state(), State::Open);
    let is_back = |event: &Seen| match event {
        Seen::PathChanged(addresses) => addresses.remote == home,
        _ => false,
    };
    assert!(pair.server().world.events.iter().any(is_back));
}

// RFC 9000 §8.2.4: an endpoint that has no validated path can wait.
#[test]
fn a_path_that_could_not_be_validated_is_tried_again() {
    let mut pair = Pair::new();
    pair.connect();
    pair.run_for(Duration::from_secs(1));
    let outage = Rc::new(Cell::new(true));
    let shared = outage.clone();
    pair.drops = Box::new(move |role, _| role == Role::Server && shared.get());
    pair.nat = address("203.0.113.1:9");
    let id = pair.client.open(Bidirectional);
    let now = pair.now;
    pair.client.write(now, id, b"where am I?", false);
    // Longer than any path is tried.
    pair.run_for(Duration::from_secs(20));
    outage.set(false);
    let answer = pattern(1, 0, 100_000);
    let now = pair.now;
    pair.server().write(now, id, &answer, true);
    pair.run_until(|pair| pair.client.all_read(id).1);
    assert!(pair.client.all_read(id).0 == answer);
}

// [rfc9000-9.3.2-2]
#[test]
fn without_a_way_back_the_connection_ends_silently() {
    let mut pair = Pair::new();
    pair.connect();
    pair.run_for(Duration::from_secs(1));
    pair.nat = address("198.51.100.1:1");
    pair.client.connection.ping();
    pair.drops = Box::new(|role, _| role == Role::Server);
    pair.run_for(Duration::from_millis(50));
    pair.server().connection.forget_way_back();
    pair.run_for(Duration::from_secs(10));
    assert_eq!(pair.server().connection.state(), State::Closed);
    let last = pair.server().world.events.last().cloned();
    assert_eq!(last, Some(Seen::Closed("NoPath".into())));
}

// [rfc9000-8.2.1-3] [rfc9000-8.2.3-1]
#[test]
fn a_small_challenge_is_followed_by_a_large_one() {
    let patience = Duration::from_secs(10);
    for expanded in [false, true] {
        let mut path = new_path();
        path.challenge(at(0), patience);
        path.on_challenge_sent([7; 8], expanded, at(0), Duration::ZERO);
        assert!(!path.on_response(&[8; 8], at(1), patience));
        assert!(!path.validated);
        assert!(path.on_response(&[7; 8], at(1), patience));
        assert!(path.validated);
        assert_eq!(path.challenge_due(), !expanded);
    }
}

// [rfc9000-8.2.2-1] [rfc9000-8.2.2-5]
#[test]
fn challenges_are_answered_in_order_and_not_without_end() {
    let mut responses = Responses::default();
    for n in 0..2 {
        responses.push([n; 8]);
    }
    assert_eq!(responses.next(), Some([0; 8]));
    for n in 2..100 {
        responses.push([n; 8]);
    }
    let rest: Vec<_> = std::iter::from_fn(|| responses.next()).collect();
    assert_eq!(rest, [[98; 8], [99; 8]]);
}

#[test]
fn the_only_validated_path_is_the_way_back() {
    let mut first = new_path();
    first.validated = true;
    let mut paths = PathSet::new(first, GFP_KERNEL).unwrap();
    let (second, _) = paths.add(new_path(), GFP_KERNEL).unwrap();
    assert!(paths.is_way_back(0));
    assert!(!paths.is_way_back(second));
    paths.get_mut(second).unwrap().validated = true;
    assert!(!paths.is_way_back(0));
}

#[test]
fn paths_are_bounded() {
    let mut pair = Pair::new();
    pair.connect();
    pair.run_for(Duration::from_secs(1));
    for n in 1..50 {
        pair.nat = address(&format!("198.51.100.{n}:1"));
        pair.client.connection.ping();
        pair.run_for(Duration::from_millis(15));
        assert!(pair.server().connection.paths.iter().count() <= MAX_PATHS);
    }
    pair.run_for(Duration::from_secs(10));
    let id = pair.client.open(Unidirectional);
    let now = pair.now;
    pair.client.write(now, id, &[1; 5000], true);
    pair.run_until(|pair| pair.server().all_read(id).1);
}

// [rfc9000-9.6.2-1] [rfc9000-9.6.2-2]
#[test]
fn a_server_moves_to_its_preferred_address_when_it_is_validated() {
    let mut parameters = parameters();
    let preferred = address("192.0.2.3:4433");
    let SocketAddr::V4(v4) = preferred else {
        unreachable!()
    };
    parameters.preferred_address = Some(PreferredAddress {
        ipv4: Some(v4),
        ipv6: None,
        connection_id: ConnectionId::new(&[0x77; 8]).unwrap(),
        stateless_reset_token: StatelessResetToken::new([0x77; 16]),
    });
    let mut pair = Pair::with(
        config(),
        Config {
            parameters,
            ..config()
        },
    );
    // The server's probes from there are lost for a while: it must not send anything else.
    let lost_until = at(1500);
    let shared = Rc::new(RefCell::new(Vec::new()));
    let log = shared.clone();
    pair.drops = Box::new(move |role, flying| {
        let from_there = role == Role::Server && flying.from == preferred;
        if from_there {
            log.borrow_mut().push((flying.at, flying.bytes.len()));
        }
        from_there && flying.at < lost_until
    });
    pair.connect();
    let of = |end: &End| end.connection.addresses().unwrap();
    pair.run_until(|pair| of(&pair.client).remote == preferred);
    assert!(pair.now > lost_until);
    let id = pair.client.open(Unidirectional);
    let now = pair.now;
    pair.client.write(now, id, &[1; 5000], true);
    pair.run_until(|pair| pair.server().all_read(id).1);
    assert_eq!(of(pair.server()).local, preferred);
    let log = shared.borrow();
    // Until then nothing but probes, and answers to them, came from there.
    let probes = log.iter().take_while(|(at, _)| *at < lost_until);
    assert!(probes.clone().count() > 0);
    for (_, len) in probes {
        assert_eq!(*len, MIN_INITIAL_DATAGRAM);
    }
}
