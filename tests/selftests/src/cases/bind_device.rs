// SPDX-License-Identifier: MIT OR Apache-2.0

//! `bind()` of sockets that are bound to an interface.

use super::set_alpn;
use crate::harness::case::cases;
use crate::harness::expect::{equal, Expect};
use crate::sys::address::{at, Family};
use crate::sys::netns::{add_dummy_interface, add_to_loopback, LOOPBACK_INDEX};
use crate::sys::proc::udp_ports;
use crate::sys::socket::Socket;

cases! { "bind_device":
    same_device_is_shared,
    with_and_without_device_is_eaddrinuse,
    two_devices_have_a_port_each,
    two_devices_have_a_listener_each,
    link_local_scope_is_a_device,
    foreign_udp_on_another_device,
}

/// A socket bound to an interface, or to none.
#[track_caller]
fn on(family: Family, device: &str) -> Socket {
    let socket = Socket::quic(family);
    socket
        .set(libc::SOL_SOCKET, libc::SO_BINDTODEVICE, device.as_bytes())
        .succeeds();
    socket
}

fn same_device_is_shared(family: Family) {
    let sockets = [(); 2].map(|()| on(family, "lo"));
    for socket in &sockets {
        socket.bind(&family.loopback(4433)).succeeds();
    }
}

/// The two would have to be different UDP sockets, and UDP does not allow them side by side.
fn with_and_without_device_is_eaddrinuse(family: Family) {
    let [with, without] = [on(family, "lo"), Socket::quic(family)];
    with.bind(&family.loopback(4433)).succeeds();
    without.bind(&family.loopback(4433)).fails(libc::EADDRINUSE);

    let [with, without] = [on(family, "lo"), Socket::quic(family)];
    without.bind(&family.loopback(4434)).succeeds();
    with.bind(&family.loopback(4434)).fails(libc::EADDRINUSE);
}

fn two_devices_have_a_port_each(family: Family) {
    add_dummy_interface("quic0", "192.0.2.1/24");
    for device in ["lo", "quic0"] {
        let socket = on(family, device);
        socket.bind(&family.wildcard(4433)).succeeds();
        std::mem::forget(socket); // until the case ends
    }
    let path = if family == Family::V4 {
        "/proc/net/udp"
    } else {
        "/proc/net/udp6"
    };
    equal(udp_ports(path), [4433, 4433]);
}

fn two_devices_have_a_listener_each(family: Family) {
    add_dummy_interface("quic0", "192.0.2.1/24");
    let sockets = ["lo", "quic0"].map(|device| on(family, device));
    for socket in &sockets {
        set_alpn(socket, "h3").succeeds();
        socket.bind(&family.wildcard(4433)).succeeds();
        socket.listen(1).succeeds();
    }
    let third = on(family, "lo");
    set_alpn(&third, "h3").succeeds();
    third.bind(&family.wildcard(4433)).succeeds();
    third.listen(1).fails(libc::EADDRINUSE);
}

/// An address with a scope can be reached through that interface only, so the UDP socket is bound
/// to it.
fn link_local_scope_is_a_device() {
    add_to_loopback("fe80::1".parse().unwrap(), 64).succeeds();
    let by_scope = Socket::quic(Family::V6);
    let by_option = on(Family::V6, "lo");
    let address = at(&format!("[fe80::1%{LOOPBACK_INDEX}]:4433"));
    by_scope.bind(&address).succeeds();
    by_option.bind(&address).succeeds();
    equal(udp_ports("/proc/net/udp6"), [4433]);
}

fn foreign_udp_on_another_device() {
    add_dummy_interface("quic0", "192.0.2.1/24");
    let foreign = Socket::open(libc::AF_INET, libc::SOCK_DGRAM, 0).succeeds();
    foreign
        .set(libc::SOL_SOCKET, libc::SO_BINDTODEVICE, b"quic0")
        .succeeds();
    foreign.bind(&at("0.0.0.0:4433")).succeeds();
    on(Family::V4, "lo").bind(&at("0.0.0.0:4433")).succeeds();
    on(Family::V4, "quic0")
        .bind(&at("0.0.0.0:4433"))
        .fails(libc::EADDRINUSE);
}
