// SPDX-License-Identifier: MIT OR Apache-2.0

//! Network namespaces know nothing of each other.

use super::{listening, set_alpn, PORT};
use crate::harness::case::cases;
use crate::harness::expect::{equal, eventually, Expect};
use crate::sys::address::Family;
use crate::sys::netns::Namespace;
use crate::sys::proc::{listening_at, no_endpoints_are_left, read, udp_ports, CONNS, EPS, SNMP};
use crate::sys::socket::Socket;
use std::net::UdpSocket;

cases! { "netns":
    one_port_in_two,
    equal_alpn_lists_in_two,
    eps_shows_its_own_only,
    socket_stays_where_it_was_made,
    foreign_udp_socket_of_another_is_no_hindrance,
    range_of_ports_is_its_own,
    initial_one_has_the_files.in_init_net(),
    outlived_by_a_listener,
    comes_and_goes.within(60),
}

#[track_caller]
fn new() -> Namespace {
    Namespace::new().succeeds()
}

/// A socket that listens at the loopback address, in the current namespace.
#[track_caller]
fn listener(family: Family) -> Socket {
    let socket = Socket::quic(family);
    socket.bind(&family.loopback(PORT)).succeeds();
    socket.listen(1).succeeds();
    socket
}

fn one_port_in_two(family: Family) {
    let other = new();
    let _here = listener(family);
    let _there = other.inside(|| listener(family));
    // Within one of them it is taken, as ever.
    let second = Socket::quic(family);
    second.bind(&family.loopback(PORT)).succeeds();
    second.listen(1).fails(libc::EADDRINUSE);
}

fn equal_alpn_lists_in_two() {
    let listener = || {
        let socket = Socket::quic(Family::V4);
        set_alpn(&socket, "h3").succeeds();
        socket.bind(&Family::V4.wildcard(PORT)).succeeds();
        socket.listen(1).succeeds();
        socket
    };
    let _here = listener();
    let _there = new().inside(listener);
}

fn eps_shows_its_own_only() {
    let other = new();
    let here = [listening("127.0.0.1:4433"), listening("127.0.0.1:1111")];
    let there = other.inside(|| [listening("127.0.0.1:4433"), listening("[::1]:2222")]);
    equal(listening_at(), ["127.0.0.1:1111", "127.0.0.1:4433"]);
    equal(other.inside(listening_at), ["127.0.0.1:4433", "::1:2222"]);
    equal(other.inside(|| udp_ports("/proc/net/udp")), [4433]);
    drop(here);
    no_endpoints_are_left();
    equal(other.inside(listening_at), ["127.0.0.1:4433", "::1:2222"]);
    drop(there);
    other.inside(no_endpoints_are_left);
}

fn socket_stays_where_it_was_made(family: Family) {
    let other = new();
    let socket = other.inside(|| Socket::quic(family));
    socket.bind(&family.loopback(PORT)).succeeds();
    socket.listen(1).succeeds();
    equal(listening_at().len(), 0);
    equal(other.inside(listening_at).len(), 1);
}

fn foreign_udp_socket_of_another_is_no_hindrance() {
    let _foreign = new().inside(|| UdpSocket::bind("127.0.0.1:4433").expect("cannot bind"));
    listener(Family::V4);
}

fn range_of_ports_is_its_own() {
    let range = "/proc/sys/net/ipv4/ip_local_port_range";
    let other = new();
    other.inside(|| crate::sys::proc::write(range, "40000 40000"));
    crate::sys::proc::write(range, "50000 50000");
    let listener = || {
        let socket = Socket::quic(Family::V4);
        socket.listen(1).succeeds();
        socket.port()
    };
    equal((listener(), other.inside(listener)), (50000, 40000));
}

/// It was there before the module.
fn initial_one_has_the_files() {
    for path in [EPS, CONNS, SNMP] {
        assert!(!read(path).is_empty(), "{path} is empty");
    }
}

/// The namespace has no process then; it goes with the socket.
fn outlived_by_a_listener(family: Family) {
    let socket = new().inside(|| listener(family));
    equal(socket.name(), Ok(family.loopback(PORT)));
    socket.listen(0).succeeds();
    socket.listen(1).succeeds();
    drop(socket);
}

fn comes_and_goes() {
    for _ in 0..30 {
        new().inside(|| {
            let _sockets = [listener(Family::V4), listener(Family::V6)];
        });
    }
    equal(listening_at().len(), 0);
    eventually("no UDP socket", || udp_ports("/proc/net/udp").is_empty());
}
