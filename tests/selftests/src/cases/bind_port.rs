// SPDX-License-Identifier: MIT OR Apache-2.0

//! `bind()` to port 0: which port is chosen.

use crate::harness::case::cases;
use crate::harness::expect::{between, equal, note, Expect};
use crate::sys::address::{at, Family};
use crate::sys::proc;
use crate::sys::socket::Socket;
use std::collections::BTreeSet;
use std::net::UdpSocket;

cases! { "bind_port":
    zero_gives_one_of_the_range,
    zero_gives_different_ones,
    zero_honours_a_narrow_range,
    zero_honours_the_range_of_the_socket,
    zero_honours_reserved_ports,
    reserved_port_may_be_named,
    zero_passes_by_a_foreign_udp_socket,
    zero_passes_by_another_quic_socket,
    exhausted_by_quic_is_eaddrinuse,
    exhausted_by_udp_is_eaddrinuse,
    exhausted_is_eaddrinuse_for_listen,
    zero_uses_up_the_whole_range,
    zero_starts_at_random,
    lowest_and_highest,
}

const RANGE: &str = "/proc/sys/net/ipv4/ip_local_port_range";
const RESERVED: &str = "/proc/sys/net/ipv4/ip_local_reserved_ports";

/// A socket bound to any port of the loopback address.
#[track_caller]
fn any_port(family: Family) -> Socket {
    let socket = Socket::quic(family);
    socket.bind(&family.loopback(0)).succeeds();
    socket
}

fn zero_gives_one_of_the_range(family: Family) {
    proc::write(RANGE, "40000 49999");
    let socket = any_port(family);
    between(socket.port(), 40000, 49999);
    equal(socket.name(), Ok(family.loopback(socket.port())));
}

fn zero_gives_different_ones(family: Family) {
    let sockets: Vec<_> = (0..20).map(|_| any_port(family)).collect();
    let ports: BTreeSet<_> = sockets.iter().map(Socket::port).collect();
    equal(ports.len(), sockets.len());
}

fn zero_honours_a_narrow_range(family: Family) {
    proc::write(RANGE, "40000 40000");
    equal(any_port(family).port(), 40000);
}

fn zero_honours_the_range_of_the_socket() {
    const IP_LOCAL_PORT_RANGE: libc::c_int = 51;
    proc::write(RANGE, "40000 49999");
    let socket = Socket::quic(Family::V4);
    // Lower bound in the low half.
    let range = (45678 << 16) | 45678_u32;
    socket
        .set(libc::SOL_IP, IP_LOCAL_PORT_RANGE, &range.to_ne_bytes())
        .succeeds();
    socket.bind(&at("127.0.0.1:0")).succeeds();
    equal(socket.port(), 45678);
}

fn zero_honours_reserved_ports(family: Family) {
    proc::write(RANGE, "40000 40003");
    proc::write(RESERVED, "40000,40002-40003");
    equal(any_port(family).port(), 40001);
}

fn reserved_port_may_be_named(family: Family) {
    proc::write(RESERVED, "40000");
    Socket::quic(family)
        .bind(&family.loopback(40000))
        .succeeds();
}

fn zero_passes_by_a_foreign_udp_socket() {
    proc::write(RANGE, "40000 40001");
    let _foreign = UdpSocket::bind("127.0.0.1:40000").expect("cannot bind a UDP socket");
    // Whichever of the two the search starts at. A socket closed before may still hold the port for
    // a moment.
    for round in 0..8 {
        note(format!("round {round}"));
        let socket = Socket::quic(Family::V4);
        super::bind_soon(&socket, &at("127.0.0.1:0")).succeeds();
        equal(socket.port(), 40001);
    }
}

fn zero_passes_by_another_quic_socket(family: Family) {
    proc::write(RANGE, "40000 40001");
    let first = Socket::quic(family);
    first.bind(&family.loopback(40000)).succeeds();
    for round in 0..8 {
        note(format!("round {round}"));
        let socket = Socket::quic(family);
        super::bind_soon(&socket, &family.loopback(0)).succeeds();
        equal(socket.port(), 40001);
    }
}

fn exhausted_by_quic_is_eaddrinuse(family: Family) {
    proc::write(RANGE, "40000 40000");
    let _first = any_port(family);
    let second = Socket::quic(family);
    second.bind(&family.loopback(0)).fails(libc::EADDRINUSE);
    // A port that is named can be shared all the same.
    second.bind(&family.loopback(40000)).succeeds();
}

fn exhausted_by_udp_is_eaddrinuse() {
    proc::write(RANGE, "40000 40001");
    let _foreign = [40000, 40001].map(|port| UdpSocket::bind(("127.0.0.1", port)).unwrap());
    Socket::quic(Family::V4)
        .bind(&at("127.0.0.1:0"))
        .fails(libc::EADDRINUSE);
}

fn exhausted_is_eaddrinuse_for_listen(family: Family) {
    proc::write(RANGE, "40000 40000");
    let first = Socket::quic(family);
    first.listen(1).succeeds();
    equal(first.port(), 40000);
    Socket::quic(family).listen(1).fails(libc::EADDRINUSE);
}

fn zero_uses_up_the_whole_range(family: Family) {
    proc::write(RANGE, "40000 40015");
    let sockets: Vec<_> = (0..16).map(|_| any_port(family)).collect();
    let ports: Vec<_> = sockets
        .iter()
        .map(Socket::port)
        .collect::<BTreeSet<_>>()
        .into_iter()
        .collect();
    equal(ports, (40000..=40015).collect::<Vec<u16>>());
    Socket::quic(family)
        .bind(&family.loopback(0))
        .fails(libc::EADDRINUSE);
}

/// A port that can be guessed makes it easier to forge packets.
fn zero_starts_at_random() {
    let ports: Vec<_> = (0..20).map(|_| any_port(Family::V4).port()).collect();
    let in_order = ports
        .windows(2)
        .filter(|pair| pair[0].abs_diff(pair[1]) <= 2)
        .count();
    assert!(in_order < 10, "the ports are guessable: {ports:?}");
}

fn lowest_and_highest(family: Family) {
    for port in [1, 65535] {
        note(format!("port {port}"));
        let socket = Socket::quic(family);
        socket.bind(&family.loopback(port)).succeeds();
        equal(socket.port(), port);
    }
}
