// SPDX-License-Identifier: GPL-2.0 OR MIT

//! Clients whose address changes.

use super::pair::Pair;
use crate::chunk::testing::pattern;
use crate::role::Role;
use crate::stream_id::Directionality::Bidirectional;
use crate::time::Duration;
use std::cell::Cell;
use std::net::SocketAddr;
use std::rc::Rc;

const OUTSIDE: &str = "203.0.113.1:9";

/// Steps until `done`, with a NAT in front of the client that gives it another address.
fn run_behind_nat(pair: &mut Pair, mut done: impl FnMut(&mut Pair) -> bool) {
    let outside: SocketAddr = OUTSIDE.parse().unwrap();
    let inside = pair.client.address;
    let end = pair.now + Duration::from_secs(60);
    while !done(pair) {
        pair.transmit();
        for flying in &mut pair.network {
            if flying.from == inside {
                flying.from = outside;
            }
            if flying.to == outside {
                flying.to = inside;
            }
        }
        assert!(pair.step() && pair.now < end, "it does not come about");
    }
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
    let id = pair.client.open(Bidirectional);
    let now = pair.now;
    pair.client.write(now, id, b"where am I?", false);
    // Longer than any path is tried.
    run_behind_nat(&mut pair, |pair| pair.now > now + Duration::from_secs(20));
    outage.set(false);
    let answer = pattern(1, 0, 100_000);
    let now = pair.now;
    pair.server().write(now, id, &answer, true);
    run_behind_nat(&mut pair, |pair| pair.client.all_read(id).1);
    assert!(pair.client.all_read(id).0 == answer);
}
