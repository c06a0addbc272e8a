// SPDX-License-Identifier: GPL-2.0 OR MIT

//! What keeps a connection from going on, or makes it go too far.

use super::pair::{parameters, Pair, SUITE};
use crate::packet::PacketType;
use crate::stream_id::Directionality::Unidirectional;
use crate::time::Duration;

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
