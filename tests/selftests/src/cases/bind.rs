// SPDX-License-Identifier: MIT OR Apache-2.0

//! `bind()`: which addresses are taken.

use super::{bound, idle, Idle, PORT};
use crate::harness::case::cases;
use crate::harness::expect::{equal, note, Expect};
use crate::sys::address::{at, Address, Family, LENGTH_MAX, LENGTH_V4, LENGTH_V6};
use crate::sys::netns::{add_to_loopback, LOOPBACK_INDEX};
use crate::sys::proc::udp_ports;
use crate::sys::socket::{Socket, BAD_POINTER};
use std::net::SocketAddrV6;

cases! { "bind":
    loopback,
    wildcard,
    datagram_type_is_no_different,
    every_loopback_address_of_v4,
    shorter_than_the_address_is_einval,
    longer_than_the_address,
    longer_than_any_address_is_einval,
    bad_pointer_is_efault,
    twice_is_einval,
    listening_is_einval,
    stopped_is_einval,
    failed_bind_leaves_the_socket_unbound,
    unspecified_family_is_einval,
    unix_family_is_einval,
    v6_address_on_v4_socket_is_einval,
    v4_multicast_is_einval,
    v4_foreign_address_is_eaddrnotavail,
    v6_multicast_is_einval,
    v6_foreign_address_is_eaddrnotavail,
    v6_flow_label_is_cleared,
    v6_scope_of_a_global_address_is_cleared,
    v4_address_on_v6_socket,
    v4_wildcard_on_v6_socket,
    v4_address_on_v6_socket_may_be_16_bytes,
    v4_address_on_v6_socket_shorter_is_einval,
    v4_multicast_on_v6_socket_is_einval,
    mapped_address_becomes_v4,
    mapped_wildcard_becomes_v4,
    mapped_multicast_is_einval,
    mapped_foreign_address_is_eaddrnotavail,
    v4_address_on_v6only_socket_is_einval,
    mapped_address_on_v6only_socket_is_einval,
    v6_address_on_v6only_socket,
    link_local.in_new_net(),
    link_local_without_scope_is_einval.in_new_net(),
    link_local_with_unknown_scope_is_einval.in_new_net(),
    link_local_of_nobody_is_eaddrnotavail,
    udp_port_is_taken,
    udp_port_of_v4_address_on_v6_socket_is_taken,
    udp_port_is_given_back,
}

fn loopback(family: Family) {
    let socket = Socket::quic(family);
    socket.bind(&family.loopback(PORT)).succeeds();
    equal(socket.name(), Ok(family.loopback(PORT)));
}

fn wildcard(family: Family) {
    let socket = Socket::quic(family);
    socket.bind(&family.wildcard(PORT)).succeeds();
    equal(socket.name(), Ok(family.wildcard(PORT)));
}

fn datagram_type_is_no_different(family: Family) {
    let socket =
        Socket::open(family.number(), libc::SOCK_DGRAM, quic_uapi::IPPROTO_QUIC).succeeds();
    socket.bind(&family.loopback(PORT)).succeeds();
    equal(socket.name(), Ok(family.loopback(PORT)));
}

fn every_loopback_address_of_v4() {
    for address in ["127.0.0.1:4433", "127.0.0.2:4433", "127.255.255.254:4433"] {
        note(address);
        bound(Family::V4, address);
    }
}

fn shorter_than_the_address_is_einval(family: Family) {
    // 24 bytes was the length of sockaddr_in6 before it had a scope.
    for length in [0, 1, 2, 8, LENGTH_V4 - 1, 24, LENGTH_V6 - 1] {
        if length < family.address_length() {
            note(format!("{length} bytes"));
            let socket = Socket::quic(family);
            socket
                .bind(&family.loopback(PORT).of_length(length))
                .fails(libc::EINVAL);
        }
    }
}

fn longer_than_the_address(family: Family) {
    for length in [family.address_length() + 1, LENGTH_MAX] {
        note(format!("{length} bytes"));
        let socket = Socket::quic(family);
        socket
            .bind(&family.loopback(0).of_length(length))
            .succeeds();
    }
}

fn longer_than_any_address_is_einval(family: Family) {
    for length in [LENGTH_MAX + 1, u32::MAX] {
        note(format!("{length} bytes"));
        let socket = Socket::quic(family);
        socket
            .bind(&family.loopback(PORT).of_length(length))
            .fails(libc::EINVAL);
    }
}

fn bad_pointer_is_efault(family: Family) {
    Socket::quic(family)
        .bind_at(BAD_POINTER, family.address_length())
        .fails(libc::EFAULT);
}

fn twice_is_einval(family: Family) {
    let socket = idle(family, Idle::Bound);
    let name = socket.name();
    socket.bind(&family.loopback(5000)).fails(libc::EINVAL);
    socket.bind(&family.loopback(0)).fails(libc::EINVAL);
    socket
        .bind(&family.wildcard(socket.port()))
        .fails(libc::EINVAL);
    equal(socket.name(), name);
}

fn listening_is_einval(family: Family) {
    let socket = Socket::quic(family);
    socket.listen(1).succeeds(); // which binds
    socket.bind(&family.loopback(PORT)).fails(libc::EINVAL);
}

fn stopped_is_einval(family: Family) {
    idle(family, Idle::Stopped)
        .bind(&family.loopback(5000))
        .fails(libc::EINVAL);
}

fn failed_bind_leaves_the_socket_unbound(family: Family) {
    let socket = Socket::quic(family);
    let foreign = match family {
        Family::V4 => at("192.0.2.1:4433"),
        Family::V6 => at("[2001:db8::1]:4433"),
    };
    socket.bind(&foreign).fails(libc::EADDRNOTAVAIL);
    equal(socket.name(), Ok(family.wildcard(0)));
    socket.bind(&family.loopback(PORT)).succeeds();
}

/// TCP takes it for AF_INET if the address is the wildcard.
fn unspecified_family_is_einval(family: Family) {
    for address in [family.loopback(PORT), family.wildcard(PORT)] {
        let socket = Socket::quic(family);
        socket
            .bind(&address.of_family(libc::AF_UNSPEC))
            .fails(libc::EINVAL);
    }
}

fn unix_family_is_einval(family: Family) {
    let address = family.loopback(PORT).of_family(libc::AF_UNIX);
    Socket::quic(family).bind(&address).fails(libc::EINVAL);
}

fn v6_address_on_v4_socket_is_einval() {
    for address in ["[::1]:4433", "[::]:4433", "[::ffff:127.0.0.1]:4433"] {
        note(address);
        Socket::quic(Family::V4)
            .bind(&at(address))
            .fails(libc::EINVAL);
    }
}

const V4_MULTICAST: [&str; 3] = ["224.0.0.1:4433", "232.1.2.3:4433", "239.255.255.255:4433"];

fn v4_multicast_is_einval() {
    for address in V4_MULTICAST {
        note(address);
        Socket::quic(Family::V4)
            .bind(&at(address))
            .fails(libc::EINVAL);
    }
}

fn v4_foreign_address_is_eaddrnotavail() {
    Socket::quic(Family::V4)
        .bind(&at("192.0.2.1:4433"))
        .fails(libc::EADDRNOTAVAIL);
}

fn v6_multicast_is_einval() {
    for address in [
        "[ff02::1]:4433",
        "[ff02::1%1]:4433",
        "[ff05::2]:4433",
        "[ff0e::1]:4433",
    ] {
        note(address);
        Socket::quic(Family::V6)
            .bind(&at(address))
            .fails(libc::EINVAL);
    }
}

fn v6_foreign_address_is_eaddrnotavail() {
    Socket::quic(Family::V6)
        .bind(&at("[2001:db8::1]:4433"))
        .fails(libc::EADDRNOTAVAIL);
}

fn v6_flow_label_is_cleared() {
    let socket = Socket::quic(Family::V6);
    let address = SocketAddrV6::new("::1".parse().unwrap(), PORT, 0x12345, 0);
    socket
        .bind(&Address::from(std::net::SocketAddr::from(address)))
        .succeeds();
    equal(socket.name(), Ok(at("[::1]:4433")));
}

fn v6_scope_of_a_global_address_is_cleared() {
    let socket = bound(Family::V6, "[::1%1]:4433");
    equal(socket.name(), Ok(at("[::1]:4433")));
    // Not even looked at, so it need not exist.
    bound(Family::V6, "[::%777]:4434");
}

/// Samba does this.
fn v4_address_on_v6_socket() {
    let socket = bound(Family::V6, "127.0.0.1:4433");
    equal(socket.name(), Ok(at("127.0.0.1:4433")));
}

fn v4_wildcard_on_v6_socket() {
    let socket = bound(Family::V6, "0.0.0.0:4433");
    equal(socket.name(), Ok(at("0.0.0.0:4433")));
}

fn v4_address_on_v6_socket_may_be_16_bytes() {
    let socket = Socket::quic(Family::V6);
    socket
        .bind(&at("127.0.0.1:4433").of_length(LENGTH_V4))
        .succeeds();
    let socket = Socket::quic(Family::V6);
    socket
        .bind(&at("127.0.0.1:4433").of_length(LENGTH_V6))
        .succeeds();
}

fn v4_address_on_v6_socket_shorter_is_einval() {
    for length in [2, 8, LENGTH_V4 - 1] {
        note(format!("{length} bytes"));
        let socket = Socket::quic(Family::V6);
        socket
            .bind(&at("127.0.0.1:4433").of_length(length))
            .fails(libc::EINVAL);
    }
}

fn v4_multicast_on_v6_socket_is_einval() {
    for address in V4_MULTICAST {
        note(address);
        Socket::quic(Family::V6)
            .bind(&at(address))
            .fails(libc::EINVAL);
    }
}

fn mapped_address_becomes_v4() {
    let socket = bound(Family::V6, "[::ffff:127.0.0.1]:4433");
    equal(socket.name(), Ok(at("127.0.0.1:4433")));
}

fn mapped_wildcard_becomes_v4() {
    let socket = bound(Family::V6, "[::ffff:0.0.0.0]:4433");
    equal(socket.name(), Ok(at("0.0.0.0:4433")));
}

fn mapped_multicast_is_einval() {
    for address in ["[::ffff:224.0.0.1]:4433", "[::ffff:239.255.255.255]:4433"] {
        note(address);
        Socket::quic(Family::V6)
            .bind(&at(address))
            .fails(libc::EINVAL);
    }
}

fn mapped_foreign_address_is_eaddrnotavail() {
    let socket = Socket::quic(Family::V6);
    socket
        .bind(&at("[::ffff:192.0.2.1]:4433"))
        .fails(libc::EADDRNOTAVAIL);
}

fn v6only() -> Socket {
    let socket = Socket::quic(Family::V6);
    socket
        .set_int(libc::SOL_IPV6, libc::IPV6_V6ONLY, 1)
        .succeeds();
    socket
}

fn v4_address_on_v6only_socket_is_einval() {
    v6only().bind(&at("127.0.0.1:4433")).fails(libc::EINVAL);
    v6only().bind(&at("0.0.0.0:4433")).fails(libc::EINVAL);
}

fn mapped_address_on_v6only_socket_is_einval() {
    v6only()
        .bind(&at("[::ffff:127.0.0.1]:4433"))
        .fails(libc::EINVAL);
    v6only()
        .bind(&at("[::ffff:0.0.0.0]:4433"))
        .fails(libc::EINVAL);
}

fn v6_address_on_v6only_socket() {
    let socket = v6only();
    socket.bind(&at("[::1]:4433")).succeeds();
    equal(socket.name(), Ok(at("[::1]:4433")));
}

fn link_local() {
    add_to_loopback("fe80::1".parse().unwrap(), 64).succeeds();
    let socket = bound(Family::V6, &format!("[fe80::1%{LOOPBACK_INDEX}]:4433"));
    equal(
        socket.name(),
        Ok(at(&format!("[fe80::1%{LOOPBACK_INDEX}]:4433"))),
    );
}

fn link_local_without_scope_is_einval() {
    add_to_loopback("fe80::1".parse().unwrap(), 64).succeeds();
    Socket::quic(Family::V6)
        .bind(&at("[fe80::1]:4433"))
        .fails(libc::EINVAL);
}

fn link_local_with_unknown_scope_is_einval() {
    add_to_loopback("fe80::1".parse().unwrap(), 64).succeeds();
    Socket::quic(Family::V6)
        .bind(&at("[fe80::1%777]:4433"))
        .fails(libc::EINVAL);
}

fn link_local_of_nobody_is_eaddrnotavail() {
    let address = at(&format!("[fe80::2%{LOOPBACK_INDEX}]:4433"));
    Socket::quic(Family::V6)
        .bind(&address)
        .fails(libc::EADDRNOTAVAIL);
}

/// The path is a UDP socket of the kernel's own.
fn udp_port_is_taken(family: Family) {
    let path = match family {
        Family::V4 => "/proc/net/udp",
        Family::V6 => "/proc/net/udp6",
    };
    equal(udp_ports(path), []);
    let _socket = idle(family, Idle::Bound);
    equal(udp_ports(path), [PORT + Idle::Bound as u16]);
}

fn udp_port_of_v4_address_on_v6_socket_is_taken() {
    let _socket = bound(Family::V6, "127.0.0.1:4433");
    equal(udp_ports("/proc/net/udp"), [4433]);
    equal(udp_ports("/proc/net/udp6"), []);
}

fn udp_port_is_given_back() {
    drop(bound(Family::V4, "127.0.0.1:4433"));
    crate::harness::expect::eventually("no UDP socket", || udp_ports("/proc/net/udp").is_empty());
    let free = std::net::UdpSocket::bind("127.0.0.1:4433");
    assert!(free.is_ok(), "the port is still taken: {free:?}");
}
