// SPDX-License-Identifier: MIT OR Apache-2.0

//! `listen()`.

use super::{bound, idle, listening, Idle, PORT};
use crate::harness::case::cases;
use crate::harness::expect::{between, equal, note, Expect};
use crate::sys::address::{at, Family};
use crate::sys::proc::{self, listening_at, no_endpoints_are_left};
use crate::sys::socket::Socket;
use libc::SOL_SOCKET;

cases! { "listen":
    bound_keeps_its_address,
    unbound_takes_the_wildcard_and_a_port,
    unbound_port_is_of_the_range.in_new_net(),
    datagram_type_listens_too,
    backlog_zero_is_einval,
    backlog_negative_is_somaxconn,
    backlog_is_clamped_to_somaxconn.in_new_net(),
    again_changes_the_backlog,
    zero_stops,
    stopped_keeps_its_address,
    stopped_may_listen_again,
    stopped_many_times,
    stopped_again_is_einval,
    second_at_one_address_is_eaddrinuse,
    refused_may_listen_when_the_first_stops,
    refused_may_listen_when_the_first_closes,
    refused_stays_bound_and_closed,
    other_port,
    wildcard_and_specific,
    v4_and_v6_wildcard,
    v4_and_mapped_at_one_address_is_eaddrinuse,
    reuseport_group,
    reuseport_of_the_first_only_is_eaddrinuse,
    reuseport_of_the_second_only_is_eaddrinuse,
    reuseport_member_leaves_the_group,
    reuseport_group_can_be_joined_after_stopping,
    reuseaddr_is_not_enough,
    survives_a_duplicate_being_closed,
}

#[track_caller]
fn is_listening(socket: &Socket, expected: bool) {
    equal(
        socket.get_int(SOL_SOCKET, libc::SO_ACCEPTCONN),
        Ok(i32::from(expected)),
    );
}

/// A socket bound to the loopback address.
#[track_caller]
fn at_loopback(family: Family) -> Socket {
    let socket = Socket::quic(family);
    socket.bind(&family.loopback(PORT)).succeeds();
    socket
}

#[track_caller]
fn with_option(family: Family, option: libc::c_int) -> Socket {
    let socket = Socket::quic(family);
    socket.set_int(SOL_SOCKET, option, 1).succeeds();
    socket.bind(&family.loopback(PORT)).succeeds();
    socket
}

fn bound_keeps_its_address(family: Family) {
    let socket = at_loopback(family);
    socket.listen(1).succeeds();
    is_listening(&socket, true);
    equal(socket.name(), Ok(family.loopback(PORT)));
}

fn unbound_takes_the_wildcard_and_a_port(family: Family) {
    let socket = Socket::quic(family);
    socket.listen(1).succeeds();
    is_listening(&socket, true);
    let port = socket.port();
    assert_ne!(port, 0);
    equal(socket.name(), Ok(family.wildcard(port)));
}

fn unbound_port_is_of_the_range(family: Family) {
    proc::write("/proc/sys/net/ipv4/ip_local_port_range", "40000 40009");
    let socket = Socket::quic(family);
    socket.listen(1).succeeds();
    between(socket.port(), 40000, 40009);
}

fn datagram_type_listens_too(family: Family) {
    let socket =
        Socket::open(family.number(), libc::SOCK_DGRAM, quic_uapi::IPPROTO_QUIC).succeeds();
    socket.listen(1).succeeds();
    is_listening(&socket, true);
}

fn backlog_zero_is_einval(family: Family) {
    for state in [Idle::Fresh, Idle::Bound] {
        note(format!("{state:?}"));
        let socket = idle(family, state);
        socket.listen(0).fails(libc::EINVAL);
        is_listening(&socket, false);
    }
    equal(Socket::quic(family).name(), Ok(family.wildcard(0)));
}

fn backlog_negative_is_somaxconn(family: Family) {
    let socket = Socket::quic(family);
    socket.listen(-1).succeeds();
    is_listening(&socket, true);
    socket.listen(i32::MIN).succeeds();
    is_listening(&socket, true);
}

fn backlog_is_clamped_to_somaxconn(family: Family) {
    proc::write("/proc/sys/net/core/somaxconn", "0");
    Socket::quic(family).listen(5).fails(libc::EINVAL);
}

fn again_changes_the_backlog(family: Family) {
    let socket = at_loopback(family);
    for backlog in [1, 100, 1, 4096] {
        socket.listen(backlog).succeeds();
        is_listening(&socket, true);
    }
    equal(listening_at().len(), 1);
}

fn zero_stops(family: Family) {
    let socket = at_loopback(family);
    socket.listen(1).succeeds();
    socket.listen(0).succeeds();
    is_listening(&socket, false);
    equal(listening_at().len(), 0);
}

fn stopped_keeps_its_address(family: Family) {
    let socket = at_loopback(family);
    socket.listen(1).succeeds();
    socket.listen(0).succeeds();
    equal(socket.name(), Ok(family.loopback(PORT)));
}

fn stopped_may_listen_again(family: Family) {
    let socket = idle(family, Idle::Stopped);
    socket.listen(1).succeeds();
    is_listening(&socket, true);
    equal(listening_at().len(), 1);
}

fn stopped_many_times(family: Family) {
    let socket = at_loopback(family);
    for _ in 0..100 {
        socket.listen(7).succeeds();
        socket.listen(0).succeeds();
    }
    equal(listening_at().len(), 0);
}

fn stopped_again_is_einval(family: Family) {
    idle(family, Idle::Stopped).listen(0).fails(libc::EINVAL);
}

fn second_at_one_address_is_eaddrinuse(family: Family) {
    let [first, second] = [(); 2].map(|()| at_loopback(family));
    first.listen(1).succeeds();
    second.listen(1).fails(libc::EADDRINUSE);
    is_listening(&first, true);
    is_listening(&second, false);
}

fn refused_may_listen_when_the_first_stops(family: Family) {
    let [first, second] = [(); 2].map(|()| at_loopback(family));
    first.listen(1).succeeds();
    second.listen(1).fails(libc::EADDRINUSE);
    first.listen(0).succeeds();
    second.listen(1).succeeds();
    first.listen(1).fails(libc::EADDRINUSE);
}

fn refused_may_listen_when_the_first_closes(family: Family) {
    let [first, second] = [(); 2].map(|()| at_loopback(family));
    first.listen(1).succeeds();
    second.listen(1).fails(libc::EADDRINUSE);
    drop(first);
    second.listen(1).succeeds();
}

fn refused_stays_bound_and_closed(family: Family) {
    let [first, second] = [(); 2].map(|()| at_loopback(family));
    first.listen(1).succeeds();
    second.listen(1).fails(libc::EADDRINUSE);
    equal(second.name(), Ok(family.loopback(PORT)));
    second.accept(0).fails(libc::EINVAL);
    second.listen(0).fails(libc::EINVAL);
}

fn other_port() {
    let _first = listening("127.0.0.1:4433");
    let _second = listening("127.0.0.1:4434");
    equal(listening_at(), ["127.0.0.1:4433", "127.0.0.1:4434"]);
}

fn wildcard_and_specific() {
    let _wildcard = listening("0.0.0.0:4433");
    let _specific = listening("127.0.0.1:4433");
    equal(listening_at(), ["0.0.0.0:4433", "127.0.0.1:4433"]);
}

fn v4_and_v6_wildcard() {
    let _v6 = listening("[::]:4433");
    let _v4 = listening("0.0.0.0:4433");
    equal(listening_at(), ["0.0.0.0:4433", ":::4433"]);
}

fn v4_and_mapped_at_one_address_is_eaddrinuse() {
    let _v4 = listening("127.0.0.1:4433");
    let mapped = bound(Family::V6, "[::ffff:127.0.0.1]:4433");
    mapped.listen(1).fails(libc::EADDRINUSE);
    let plain = bound(Family::V6, "127.0.0.1:4433");
    plain.listen(1).fails(libc::EADDRINUSE);
}

fn reuseport_group(family: Family) {
    let sockets = [(); 4].map(|()| with_option(family, libc::SO_REUSEPORT));
    for socket in &sockets {
        socket.listen(1).succeeds();
    }
    equal(listening_at().len(), 4);
}

fn reuseport_of_the_first_only_is_eaddrinuse(family: Family) {
    let first = with_option(family, libc::SO_REUSEPORT);
    first.listen(1).succeeds();
    at_loopback(family).listen(1).fails(libc::EADDRINUSE);
}

fn reuseport_of_the_second_only_is_eaddrinuse(family: Family) {
    let first = at_loopback(family);
    first.listen(1).succeeds();
    with_option(family, libc::SO_REUSEPORT)
        .listen(1)
        .fails(libc::EADDRINUSE);
}

fn reuseport_member_leaves_the_group(family: Family) {
    let [first, second, third] = [(); 3].map(|()| with_option(family, libc::SO_REUSEPORT));
    for socket in [&first, &second, &third] {
        socket.listen(1).succeeds();
    }
    first.listen(0).succeeds();
    drop(second);
    equal(listening_at().len(), 1);
    drop(third);
    no_endpoints_are_left();
    // A group that is gone does not keep others out.
    at_loopback(family).listen(1).succeeds();
}

fn reuseport_group_can_be_joined_after_stopping(family: Family) {
    let [first, second] = [(); 2].map(|()| with_option(family, libc::SO_REUSEPORT));
    for _ in 0..10 {
        first.listen(1).succeeds();
        second.listen(1).succeeds();
        equal(listening_at().len(), 2);
        first.listen(0).succeeds();
        second.listen(0).succeeds();
    }
}

fn reuseaddr_is_not_enough(family: Family) {
    let [first, second] = [(); 2].map(|()| with_option(family, libc::SO_REUSEADDR));
    first.listen(1).succeeds();
    second.listen(1).fails(libc::EADDRINUSE);
}

fn survives_a_duplicate_being_closed() {
    let socket = bound(Family::V4, "127.0.0.1:4433");
    drop(socket.try_clone().succeeds());
    socket.listen(1).succeeds();
    drop(socket.try_clone().succeeds());
    is_listening(&socket, true);
    equal(socket.name(), Ok(at("127.0.0.1:4433")));
    equal(listening_at(), ["127.0.0.1:4433"]);
}
