// SPDX-License-Identifier: GPL-2.0 OR MIT

//! The end: limits of what answers cost, keys and numbers that are used up, Stateless Resets.

use super::pair::{Pair, Seen};
use crate::connection::State;
use crate::role::Role;
use crate::stream_id::Directionality::Unidirectional;
use crate::time::Duration;
use crate::varint::VarInt;
use std::cell::RefCell;
use std::rc::Rc;

/// A pair that has been quiet for a while.
fn connected() -> Pair {
    let mut pair = Pair::new();
    pair.connect();
    pair.run_for(Duration::from_secs(2));
    pair
}

/// Gives `bytes` to the client, as if they came from the server.
fn inject(pair: &mut Pair, bytes: &[u8]) {
    let addresses = pair.client.connection.addresses().unwrap();
    let flying = super::pair::Flying {
        at: pair.now,
        from: addresses.remote,
        to: addresses.local,
        ecn: crate::ecn::EcnCodepoint::NotEct,
        bytes: bytes.to_vec(),
    };
    pair.network.push_back(flying);
    pair.step();
}

// [rfc9000-10.2.1-1]
#[test]
fn small_packets_are_not_answered_by_large_ones() {
    let mut pair = connected();
    let sent = Rc::new(RefCell::new(Vec::new()));
    let shared = sent.clone();
    pair.drops = Box::new(move |role, flying| {
        if role == Role::Client {
            shared.borrow_mut().push(flying.bytes.len());
        }
        role == Role::Client
    });
    let now = pair.now;
    pair.client.with(now, |connection, cx| {
        connection.close(cx, VarInt::from_u32(7), &[b'x'; 200]);
    });
    pair.transmit();
    let first = sent.borrow()[0];
    assert!(first > 200);
    let mut received = 0;
    for _ in 0..200 {
        inject(&mut pair, &[0x40; 21]);
        pair.transmit();
        received += 21;
        let answers: usize = sent.borrow().iter().skip(1).sum();
        assert!(answers <= 3 * received, "{answers} for {received}");
    }
    assert!(sent.borrow().len() > 1);
}

// [rfc9001-6.6-4]
#[test]
fn keys_that_are_used_up_end_the_connection_with_a_word() {
    let mut pair = connected();
    // No update is possible: the client never hears of an acknowledgment of the new keys.
    pair.drops = Box::new(|role, _| role == Role::Server);
    let now = pair.now;
    pair.client
        .with(now, |connection, cx| connection.update_keys(cx))
        .unwrap();
    pair.client.connection.keys.use_up(300);
    let id = pair.client.open(Unidirectional);
    for _ in 0..300 {
        let now = pair.now;
        pair.client.write(now, id, &[1; 100], false);
        pair.run_for(Duration::from_millis(100));
        if pair.client.connection.state() != State::Open {
            break;
        }
    }
    assert_ne!(pair.client.connection.state(), State::Open);
    pair.run_for(Duration::from_millis(100));
    let seen = pair.server().world.events.last().cloned();
    let Some(Seen::Closed(text)) = seen else {
        panic!("{seen:?}");
    };
    assert!(text.starts_with("PeerTransport"), "{text}");
}

// [rfc9000-12.3-3]
#[test]
fn without_a_packet_number_the_connection_ends_silently() {
    let mut pair = connected();
    pair.client.connection.out_of_numbers = true;
    let sent = pair.sent;
    pair.client.connection.ping();
    pair.run_for(Duration::from_secs(1));
    assert_eq!(pair.client.connection.state(), State::Closed);
    assert_eq!(pair.sent, sent);
}

#[test]
fn late_calls_do_not_prolong_the_end() {
    let mut pair = connected();
    let now = pair.now;
    pair.client.with(now, |connection, cx| {
        connection.close(cx, VarInt::ZERO, b"");
        let closed = connection.timeout();
        let _ = connection.update_keys(cx);
        connection.ping();
        let _ = connection.set_peer_parameters(cx, &[]);
        connection.restart_idle_timer(cx.now);
        assert_eq!(connection.timeout(), closed);
        cx.now = closed.unwrap();
        connection.on_timeout(cx);
        assert_eq!(connection.state(), State::Closed);
        let _ = connection.update_keys(cx);
        let _ = connection.set_peer_parameters(cx, &[]);
        connection.restart_idle_timer(cx.now);
        assert_eq!(connection.timeout(), None);
    });
}

// [rfc9000-10.3-5] [rfc9000-10.3.1-1]
#[test]
fn a_stateless_reset_may_look_like_any_packet() {
    for first in [0x40, 0xc0, 0xe0, 0x00] {
        let mut pair = connected();
        let token = pair
            .client
            .connection
            .remote_parameters()
            .unwrap()
            .stateless_reset_token;
        let mut reset = vec![first; 50];
        reset.extend_from_slice(token.unwrap().as_bytes());
        // Of version 1, with connection IDs of 8 bytes.
        if first & 0x80 != 0 {
            reset[1..6].copy_from_slice(&[0, 0, 0, 1, 8]);
            reset[14] = 8;
        }
        inject(&mut pair, &reset);
        assert_eq!(
            pair.client.connection.state(),
            State::Draining,
            "{first:#x}"
        );
    }
}

// [rfc9000-10.1-1]
#[test]
fn a_packet_that_comes_again_does_not_keep_the_connection_alive() {
    let mut pair = connected();
    let copies = Rc::new(RefCell::new(Vec::new()));
    let shared = copies.clone();
    pair.drops = Box::new(move |role, flying| {
        if role == Role::Server {
            shared.borrow_mut().push(flying.bytes.clone());
        }
        false
    });
    pair.server().connection.ping();
    pair.run_for(Duration::from_secs(2));
    let copy = copies.borrow()[0].clone();
    pair.drops = Box::new(|_, _| true);
    for _ in 0..40 {
        pair.run_for(Duration::from_secs(1));
        if pair.client.connection.state() == State::Open {
            inject(&mut pair, &copy);
        }
    }
    assert_eq!(pair.client.connection.state(), State::Closed);
}
