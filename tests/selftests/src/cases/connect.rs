// SPDX-License-Identifier: MIT OR Apache-2.0

//! `connect()`: which calls are refused before anything happens.

use super::{idle, in_each, Idle, PORT};
use crate::harness::case::cases;
use crate::harness::expect::{equal, note, Expect};
use crate::sys::address::{at, Address, Family, LENGTH_MAX, LENGTH_V4, LENGTH_V6};
use crate::sys::netns::add_to_loopback;
use crate::sys::socket::{Socket, BAD_POINTER};

cases! { "connect":
    shorter_than_the_family_is_einval,
    shorter_than_the_address_is_einval,
    longer_than_any_address_is_einval,
    bad_pointer_is_efault,
    listening_is_einval,
    unspecified_family_is_einval,
    unix_family_is_einval,
    v6_address_on_v4_socket_is_einval,
    wildcard_is_einval,
    v4_wildcard_on_v6_socket_is_einval,
    mapped_wildcard_is_einval,
    v4_multicast_is_einval,
    v6_multicast_is_einval,
    v4_multicast_on_v6_socket_is_einval,
    mapped_multicast_is_einval,
    v4_address_on_v6only_socket_is_einval,
    mapped_address_on_v6only_socket_is_einval,
    v4_address_on_v6_socket_shorter_is_einval,
    link_local_without_scope_is_einval.in_new_net(),
    link_local_with_unknown_scope_is_einval.in_new_net(),
    refused_leaves_the_socket_as_it_was,
    refused_is_not_remembered_as_an_error,
    refused_socket_can_still_listen,
}

/// Every state in which the address is looked at.
#[track_caller]
fn refuses(family: Family, address: &Address) {
    in_each(family, &Idle::CLOSED, |socket| {
        socket.connect(address).fails(libc::EINVAL)
    });
}

fn shorter_than_the_family_is_einval(family: Family) {
    for length in [0, 1] {
        refuses(family, &family.loopback(PORT).of_length(length));
    }
}

fn shorter_than_the_address_is_einval(family: Family) {
    for length in [2, 8, LENGTH_V4 - 1, 24, LENGTH_V6 - 1] {
        if length < family.address_length() {
            refuses(family, &family.loopback(PORT).of_length(length));
        }
    }
}

fn longer_than_any_address_is_einval(family: Family) {
    refuses(family, &family.loopback(PORT).of_length(LENGTH_MAX + 1));
    refuses(family, &family.loopback(PORT).of_length(u32::MAX));
}

fn bad_pointer_is_efault(family: Family) {
    in_each(family, &Idle::ALL, |socket| {
        socket
            .connect_at(BAD_POINTER, family.address_length())
            .fails(libc::EFAULT);
    });
}

fn listening_is_einval(family: Family) {
    let socket = idle(family, Idle::Listening);
    socket.connect(&family.loopback(PORT)).fails(libc::EINVAL);
    equal(socket.get_int(libc::SOL_SOCKET, libc::SO_ACCEPTCONN), Ok(1));
}

/// There is no way to dissolve a connection but to close the socket.
fn unspecified_family_is_einval(family: Family) {
    let address = family.loopback(PORT).of_family(libc::AF_UNSPEC);
    refuses(family, &address);
    refuses(family, &address.of_length(2));
    idle(family, Idle::Listening)
        .connect(&address)
        .fails(libc::EINVAL);
}

fn unix_family_is_einval(family: Family) {
    refuses(family, &family.loopback(PORT).of_family(libc::AF_UNIX));
}

fn v6_address_on_v4_socket_is_einval() {
    refuses(Family::V4, &at("[::1]:4433"));
    refuses(Family::V4, &at("[::ffff:127.0.0.1]:4433"));
}

fn wildcard_is_einval(family: Family) {
    refuses(family, &family.wildcard(PORT));
}

fn v4_wildcard_on_v6_socket_is_einval() {
    refuses(Family::V6, &at("0.0.0.0:4433"));
}

fn mapped_wildcard_is_einval() {
    refuses(Family::V6, &at("[::ffff:0.0.0.0]:4433"));
}

fn v4_multicast_is_einval() {
    refuses(Family::V4, &at("224.0.0.1:4433"));
    refuses(Family::V4, &at("239.255.255.255:4433"));
}

fn v6_multicast_is_einval() {
    refuses(Family::V6, &at("[ff02::1%1]:4433"));
    refuses(Family::V6, &at("[ff0e::1]:4433"));
}

fn v4_multicast_on_v6_socket_is_einval() {
    refuses(Family::V6, &at("224.0.0.1:4433"));
}

fn mapped_multicast_is_einval() {
    refuses(Family::V6, &at("[::ffff:224.0.0.1]:4433"));
}

#[track_caller]
fn v6only() -> Socket {
    let socket = Socket::quic(Family::V6);
    socket
        .set_int(libc::SOL_IPV6, libc::IPV6_V6ONLY, 1)
        .succeeds();
    socket
}

fn v4_address_on_v6only_socket_is_einval() {
    v6only().connect(&at("127.0.0.1:4433")).fails(libc::EINVAL);
}

fn mapped_address_on_v6only_socket_is_einval() {
    v6only()
        .connect(&at("[::ffff:127.0.0.1]:4433"))
        .fails(libc::EINVAL);
}

fn v4_address_on_v6_socket_shorter_is_einval() {
    for length in [2, 8, LENGTH_V4 - 1] {
        refuses(Family::V6, &at("127.0.0.1:4433").of_length(length));
    }
}

fn link_local_without_scope_is_einval() {
    add_to_loopback("fe80::1".parse().unwrap(), 64).succeeds();
    Socket::quic(Family::V6)
        .connect(&at("[fe80::1]:4433"))
        .fails(libc::EINVAL);
}

fn link_local_with_unknown_scope_is_einval() {
    add_to_loopback("fe80::1".parse().unwrap(), 64).succeeds();
    Socket::quic(Family::V6)
        .connect(&at("[fe80::1%777]:4433"))
        .fails(libc::EINVAL);
}

fn refused_leaves_the_socket_as_it_was(family: Family) {
    in_each(family, &Idle::ALL, |socket| {
        let name = socket.name();
        socket.connect(&family.wildcard(PORT)).fails(libc::EINVAL);
        equal(socket.name(), name);
        socket.peer().fails(libc::ENOTCONN);
    });
}

fn refused_is_not_remembered_as_an_error(family: Family) {
    let socket = Socket::quic(family);
    socket.connect(&family.wildcard(PORT)).fails(libc::EINVAL);
    equal(socket.get_int(libc::SOL_SOCKET, libc::SO_ERROR), Ok(0));
}

fn refused_socket_can_still_listen(family: Family) {
    for address in [
        family.wildcard(PORT),
        family.loopback(PORT).of_family(libc::AF_UNSPEC),
    ] {
        note(format!("{address:?}"));
        let socket = Socket::quic(family);
        socket.connect(&address).fails(libc::EINVAL);
        socket.listen(1).succeeds();
    }
}
