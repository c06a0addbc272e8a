// SPDX-License-Identifier: GPL-2.0 OR MIT

//! What keeps a connection from going on, or makes it go too far.

use super::pair::{parameters, Pair, Seen, SUITE};
use crate::packet::{PacketNumberSpace, PacketType};
use crate::stream_id::Directionality::Unidirectional;
use crate::time::Duration;
use kernel::alloc::flags::GFP_KERNEL;
use kernel::alloc::inject;

/// The server's TLS takes its time, and the client asks again and again meanwhile.
#[test]
fn acknowledgments_of_a_slow_server_do_not_fill_its_window() {
    let mut pair = Pair::of_version_1();
    pair.delay = Duration::from_micros(500);
    pair.server_is_slow = true;
    pair.run_for(Duration::from_secs(10));
    let path = pair.server().connection.path().unwrap();
    assert_eq!(path.bytes_in_flight(), 0);
    pair.server().is_slow = false;
    let now = pair.now;
    pair.server().handshake(now);
    pair.connect();
}

#[test]
fn early_data_keeps_to_the_window_after_a_probe() {
    let mut pair = Pair::of_version_1();
    let now = pair.now;
    pair.client.with(now, |connection, cx| {
        connection.set_remembered_parameters(&parameters());
        connection
            .install_secret(cx, PacketType::ZeroRtt, true, SUITE, &[3; 32])
            .unwrap();
    });
    for _ in 0..4 {
        let id = pair.client.open(Unidirectional);
        pair.client.write(now, id, &[1; 200_000], true);
    }
    pair.drops = Box::new(|_, _| true);
    pair.run_for(Duration::from_millis(1500));
    let path = pair.client.connection.path().unwrap();
    let (in_flight, window) = (path.bytes_in_flight(), path.congestion_window());
    assert!(in_flight <= window + 5 * 1200, "{in_flight} of {window}");
}

#[test]
fn handshake_data_in_crumbs_arrives() {
    let mut pair = Pair::new();
    pair.connect();
    pair.run_for(Duration::from_secs(1));
    let space = PacketNumberSpace::ApplicationData;
    let server = &mut pair.server().connection;
    let mut sent = Vec::new();
    for n in 0..100 {
        let message = vec![n; 1 + usize::from(n % 3)];
        sent.extend_from_slice(&message);
        server.write_crypto(space, message, GFP_KERNEL).unwrap();
    }
    pair.run_for(Duration::from_secs(1));
    let mut read = Vec::new();
    for chunk in pair.client.connection.crypto(space) {
        read.extend_from_slice(chunk.as_slice());
    }
    assert_eq!(read, sent);
}

#[test]
fn a_token_that_replaces_one_in_flight_is_sent() {
    let mut pair = Pair::new();
    pair.connect();
    pair.run_for(Duration::from_secs(1));
    let server = &mut pair.server().connection;
    server.send_new_token(b"old", GFP_KERNEL).unwrap();
    pair.transmit();
    let flying = pair.network.pop_front().unwrap();
    let now = pair.now;
    pair.client.receive(now, &flying);
    let now = pair.client.connection.timeout().unwrap();
    pair.now = now;
    pair.client
        .with(now, |connection, cx| connection.on_timeout(cx));
    let server = pair.server.take();
    pair.transmit();
    pair.server = server;
    let acknowledgment = pair.network.pop_front().unwrap();
    let server = &mut pair.server().connection;
    server.send_new_token(b"new", GFP_KERNEL).unwrap();
    pair.server().receive(now, &acknowledgment);
    pair.run_for(Duration::from_secs(1));
    let events = &pair.client.world.events;
    assert!(
        events.contains(&Seen::NewToken(b"new".to_vec())),
        "{events:?}"
    );
}

/// A timer in the past is one that expires again and again.
#[test]
fn without_memory_for_an_acknowledgment_it_is_tried_later() {
    let mut pair = Pair::new();
    pair.connect();
    // Long enough for memory to be given back.
    pair.run_for(Duration::from_secs(20));
    let id = pair.client.open(Unidirectional);
    let now = pair.now;
    pair.client.write(now, id, &[1; 10], false);
    pair.transmit();
    let flying = pair.network.pop_front().unwrap();
    let server = pair.server.as_mut().unwrap();
    server.receive(now, &flying);
    let now = server.connection.timeout().unwrap();
    server.with(now, |connection, cx| connection.on_timeout(cx));
    let mut tries = 0;
    for n in 0..100 {
        let (sent, failed) = inject::fail_nth(n, || {
            server.with(now, |connection, cx| {
                let mut batch = connection.begin_batch(cx, 10)?;
                let mut out = [0; 1500];
                while connection.fill(cx, &mut batch, &mut out).is_some() {}
                Some(connection.end_batch(cx, &batch))
            })
        });
        if !failed {
            break;
        }
        if sent == Some(false) {
            tries += 1;
            let next = server.connection.timeout().unwrap();
            assert!(next > now, "{:?}", now.since(next));
        }
    }
    assert!(tries > 0);
}

#[test]
fn a_key_update_that_fails_ends_the_connection_with_a_word() {
    for by_peer in [true, false] {
        let mut pair = Pair::new();
        pair.connect();
        pair.run_for(Duration::from_secs(5));
        pair.server().connection.keys.break_current();
        let now = pair.now;
        let end = match by_peer {
            true => &mut pair.client,
            false => pair.server(),
        };
        end.with(now, |connection, cx| connection.update_keys(cx))
            .unwrap();
        pair.client.connection.ping();
        pair.run_for(Duration::from_millis(100));
        let events = &pair.client.world.events;
        let closed = |event: &Seen| matches!(event, Seen::Closed(reason) if reason.contains("PeerTransport"));
        assert!(events.iter().any(closed), "{by_peer}: {events:?}");
    }
}
