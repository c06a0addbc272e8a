// SPDX-License-Identifier: GPL-2.0 OR MIT

//! What keeps a connection from going on, or makes it go too far.

use super::pair::Pair;
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
