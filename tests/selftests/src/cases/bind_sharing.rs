// SPDX-License-Identifier: MIT OR Apache-2.0

//! `bind()`: which sockets can have one port together. All QUIC sockets whose address is covered by
//! one UDP socket share it.

use super::{bind_soon, bound, listening, PORT};
use crate::harness::case::cases;
use crate::harness::expect::{equal, eventually, Expect};
use crate::sys::address::{at, Family};
use crate::sys::proc::udp_ports;
use crate::sys::socket::Socket;
use std::net::UdpSocket;

cases! { "bind_sharing":
    same_address_twice,
    one_udp_socket_serves_all,
    udp_socket_lives_as_long_as_the_last,
    same_address_after_close,
    wildcard_then_specific,
    specific_then_wildcard_is_eaddrinuse,
    wildcard_after_specific_is_closed,
    different_specific_addresses,
    same_address_on_another_port,
    v6_wildcard_covers_v4,
    v4_wildcard_then_v6_wildcard_is_eaddrinuse,
    v4_wildcard_then_v6only_wildcard,
    v6only_wildcard_then_v4_wildcard,
    v4_socket_and_v6_socket_at_one_v4_address,
    v4_loopback_and_v6_loopback,
    foreign_udp_socket_is_eaddrinuse,
    foreign_udp_wildcard_is_eaddrinuse,
    foreign_udp_socket_with_reuse_is_eaddrinuse,
    quic_socket_keeps_foreign_udp_out,
    listener_and_bound_socket,
}

fn same_address_twice(family: Family) {
    let sockets = [(); 3].map(|()| Socket::quic(family));
    for socket in &sockets {
        socket.bind(&family.loopback(PORT)).succeeds();
        equal(socket.name(), Ok(family.loopback(PORT)));
    }
}

fn one_udp_socket_serves_all() {
    let _sockets = [(); 3].map(|()| bound(Family::V4, "127.0.0.1:4433"));
    equal(udp_ports("/proc/net/udp"), [4433]);
}

fn udp_socket_lives_as_long_as_the_last() {
    let first = bound(Family::V4, "127.0.0.1:4433");
    let second = bound(Family::V4, "127.0.0.1:4433");
    drop(first);
    // For what would close it in the background.
    std::thread::sleep(std::time::Duration::from_millis(100));
    equal(udp_ports("/proc/net/udp"), [4433]);
    drop(second);
    eventually("no UDP socket", || udp_ports("/proc/net/udp").is_empty());
}

fn same_address_after_close(family: Family) {
    for _ in 0..20 {
        let socket = Socket::quic(family);
        bind_soon(&socket, &family.loopback(PORT)).succeeds();
    }
}

fn wildcard_then_specific(family: Family) {
    let [wildcard, specific] = [(); 2].map(|()| Socket::quic(family));
    wildcard.bind(&family.wildcard(PORT)).succeeds();
    specific.bind(&family.loopback(PORT)).succeeds();
    equal(specific.name(), Ok(family.loopback(PORT)));
}

fn specific_then_wildcard_is_eaddrinuse(family: Family) {
    let [wildcard, specific] = [(); 2].map(|()| Socket::quic(family));
    specific.bind(&family.loopback(PORT)).succeeds();
    wildcard
        .bind(&family.wildcard(PORT))
        .fails(libc::EADDRINUSE);
    equal(wildcard.name(), Ok(family.wildcard(0)));
}

fn wildcard_after_specific_is_closed(family: Family) {
    let [wildcard, specific] = [(); 2].map(|()| Socket::quic(family));
    specific.bind(&family.loopback(PORT)).succeeds();
    drop(specific);
    bind_soon(&wildcard, &family.wildcard(PORT)).succeeds();
}

fn different_specific_addresses() {
    let _sockets = ["127.0.0.1:4433", "127.0.0.2:4433", "127.0.0.3:4433"]
        .map(|address| bound(Family::V4, address));
    equal(udp_ports("/proc/net/udp"), [4433, 4433, 4433]);
}

fn same_address_on_another_port(family: Family) {
    let [first, second] = [(); 2].map(|()| Socket::quic(family));
    first.bind(&family.wildcard(PORT)).succeeds();
    second.bind(&family.wildcard(PORT + 1)).succeeds();
}

/// The UDP socket of `[::]` takes IPv4 packets as well, so it serves IPv4 addresses.
fn v6_wildcard_covers_v4() {
    let _wildcard = bound(Family::V6, "[::]:4433");
    bound(Family::V4, "0.0.0.0:4433");
    bound(Family::V4, "127.0.0.1:4433");
    bound(Family::V6, "[::ffff:127.0.0.1]:4433");
    equal(udp_ports("/proc/net/udp"), []);
}

fn v4_wildcard_then_v6_wildcard_is_eaddrinuse() {
    let _v4 = bound(Family::V4, "0.0.0.0:4433");
    Socket::quic(Family::V6)
        .bind(&at("[::]:4433"))
        .fails(libc::EADDRINUSE);
}

#[track_caller]
fn v6only_wildcard() -> Socket {
    let socket = Socket::quic(Family::V6);
    socket
        .set_int(libc::SOL_IPV6, libc::IPV6_V6ONLY, 1)
        .succeeds();
    socket.bind(&at("[::]:4433")).succeeds();
    socket
}

fn v4_wildcard_then_v6only_wildcard() {
    let _v4 = bound(Family::V4, "0.0.0.0:4433");
    v6only_wildcard();
}

fn v6only_wildcard_then_v4_wildcard() {
    let _v6 = v6only_wildcard();
    let _v4 = bound(Family::V4, "0.0.0.0:4433");
    // Neither covers the other: there are two.
    equal(udp_ports("/proc/net/udp"), [4433]);
    equal(udp_ports("/proc/net/udp6"), [4433]);
}

fn v4_socket_and_v6_socket_at_one_v4_address() {
    let _v4 = bound(Family::V4, "127.0.0.1:4433");
    let _v6 = bound(Family::V6, "127.0.0.1:4433");
    let _mapped = bound(Family::V6, "[::ffff:127.0.0.1]:4433");
    equal(udp_ports("/proc/net/udp"), [4433]);
}

fn v4_loopback_and_v6_loopback() {
    let _v4 = bound(Family::V4, "127.0.0.1:4433");
    let _v6 = bound(Family::V6, "[::1]:4433");
}

fn foreign_udp_socket_is_eaddrinuse() {
    for (foreign, address) in [
        ("127.0.0.1:4433", "127.0.0.1:4433"),
        ("[::1]:4433", "[::1]:4433"),
    ] {
        let _foreign = UdpSocket::bind(foreign).expect("cannot bind a UDP socket");
        let socket = Socket::quic(super::family_of(address));
        socket.bind(&at(address)).fails(libc::EADDRINUSE);
    }
}

fn foreign_udp_wildcard_is_eaddrinuse() {
    let _foreign = UdpSocket::bind("0.0.0.0:4433").expect("cannot bind a UDP socket");
    Socket::quic(Family::V4)
        .bind(&at("127.0.0.1:4433"))
        .fails(libc::EADDRINUSE);
}

/// What the QUIC socket allows to be shared is shared with QUIC sockets only.
fn foreign_udp_socket_with_reuse_is_eaddrinuse() {
    let foreign = Socket::open(libc::AF_INET, libc::SOCK_DGRAM, 0).succeeds();
    for option in [libc::SO_REUSEADDR, libc::SO_REUSEPORT] {
        foreign.set_int(libc::SOL_SOCKET, option, 1).succeeds();
    }
    foreign.bind(&at("127.0.0.1:4433")).succeeds();
    let socket = Socket::quic(Family::V4);
    for option in [libc::SO_REUSEADDR, libc::SO_REUSEPORT] {
        socket.set_int(libc::SOL_SOCKET, option, 1).succeeds();
    }
    socket.bind(&at("127.0.0.1:4433")).fails(libc::EADDRINUSE);
}

fn quic_socket_keeps_foreign_udp_out() {
    let _socket = bound(Family::V4, "127.0.0.1:4433");
    let foreign = Socket::open(libc::AF_INET, libc::SOCK_DGRAM, 0).succeeds();
    foreign.bind(&at("127.0.0.1:4433")).fails(libc::EADDRINUSE);
    foreign
        .set_int(libc::SOL_SOCKET, libc::SO_REUSEADDR, 1)
        .succeeds();
    foreign.bind(&at("127.0.0.1:4433")).fails(libc::EADDRINUSE);
}

fn listener_and_bound_socket() {
    let listener = listening("127.0.0.1:4433");
    let bound = bound(Family::V4, "127.0.0.1:4433");
    drop(bound);
    equal(
        listener.get_int(libc::SOL_SOCKET, libc::SO_ACCEPTCONN),
        Ok(1),
    );
}
