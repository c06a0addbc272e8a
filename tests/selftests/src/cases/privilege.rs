// SPDX-License-Identifier: MIT OR Apache-2.0

//! What a user without privileges may do: everything but take a low port.

use super::{idle, Idle};
use crate::harness::case::cases;
use crate::harness::expect::{equal, note, skip, Expect};
use crate::sys::address::Family;
use crate::sys::netns::set_loopback_up;
use crate::sys::privilege::{become_root_inside, drop_all, enter_own_namespaces, NOBODY};
use crate::sys::proc::{self, endpoints, CONNS, EPS, SNMP};
use crate::sys::socket::Socket;
use quic_uapi::{quic_config, QUIC_SOCKOPT_CONFIG};

cases! { "privilege":
    nobody_makes_sockets,
    nobody_listens,
    nobody_binds_any_port,
    nobody_listens_on_any_port,
    nobody_sets_options,
    nobody_reads_proc,
    nobody_writes_no_sysctl.in_init_net(),
    nobody_is_shown_in_eps,
    low_port_is_eacces,
    low_wildcard_port_is_eacces,
    low_port_of_v4_address_on_v6_socket_is_eacces,
    low_port_is_shared_once_it_is_open,
    first_free_port_is_honoured,
    root_takes_low_ports,
    root_of_a_user_namespace_takes_low_ports,
    socket_of_root_stays_usable,
}

fn nobody_makes_sockets(family: Family) {
    drop_all().succeeds();
    for kind in [libc::SOCK_STREAM, libc::SOCK_DGRAM] {
        Socket::open(family.number(), kind, quic_uapi::IPPROTO_QUIC).succeeds();
    }
}

fn nobody_listens(family: Family) {
    drop_all().succeeds();
    let socket = Socket::quic(family);
    socket.bind(&family.loopback(1024)).succeeds();
    socket.listen(1).succeeds();
}

/// Port 0 is no low port.
fn nobody_binds_any_port(family: Family) {
    drop_all().succeeds();
    let socket = Socket::quic(family);
    socket.bind(&family.loopback(0)).succeeds();
    assert!(socket.port() >= 1024, "got the low port {}", socket.port());
}

fn nobody_listens_on_any_port(family: Family) {
    drop_all().succeeds();
    let socket = Socket::quic(family);
    socket.listen(1).succeeds();
    assert!(socket.port() >= 1024, "got the low port {}", socket.port());
}

fn nobody_sets_options(family: Family) {
    drop_all().succeeds();
    let config = quic_config {
        validate_peer_address: 1,
        ..Default::default()
    };
    Socket::quic(family)
        .set_quic(QUIC_SOCKOPT_CONFIG, &config)
        .succeeds();
}

fn nobody_reads_proc() {
    drop_all().succeeds();
    for path in [EPS, CONNS, SNMP] {
        assert!(!proc::read(path).is_empty(), "{path} is empty");
    }
}

fn nobody_writes_no_sysctl() {
    drop_all().succeeds();
    for name in ["quic_mem", "quic_rmem", "quic_wmem"] {
        let opened = std::fs::OpenOptions::new()
            .write(true)
            .open(format!("/proc/sys/net/quic/{name}"));
        let error = opened.expect_err("expected EACCES, but it can be written");
        equal(error.raw_os_error(), Some(libc::EACCES));
    }
}

fn nobody_is_shown_in_eps() {
    drop_all().succeeds();
    let _socket = idle(Family::V4, Idle::Listening);
    equal(endpoints()[0].uid, NOBODY);
}

fn low_port_is_eacces(family: Family) {
    drop_all().succeeds();
    for port in [1, 443, 1023] {
        note(format!("port {port}"));
        Socket::quic(family)
            .bind(&family.loopback(port))
            .fails(libc::EACCES);
    }
    Socket::quic(family).bind(&family.loopback(1024)).succeeds();
}

fn low_wildcard_port_is_eacces(family: Family) {
    drop_all().succeeds();
    Socket::quic(family)
        .bind(&family.wildcard(443))
        .fails(libc::EACCES);
}

fn low_port_of_v4_address_on_v6_socket_is_eacces() {
    drop_all().succeeds();
    Socket::quic(Family::V6)
        .bind(&Family::V4.loopback(443))
        .fails(libc::EACCES);
}

/// A port that root has opened must not be open to everybody: whoever listens there speaks for the
/// machine.
fn low_port_is_shared_once_it_is_open(family: Family) {
    let root = Socket::quic(family);
    root.bind(&family.loopback(443)).succeeds();
    drop_all().succeeds();
    Socket::quic(family)
        .bind(&family.loopback(443))
        .fails(libc::EACCES);
}

fn first_free_port_is_honoured(family: Family) {
    proc::write("/proc/sys/net/ipv4/ip_unprivileged_port_start", "443");
    drop_all().succeeds();
    Socket::quic(family)
        .bind(&family.loopback(442))
        .fails(libc::EACCES);
    Socket::quic(family).bind(&family.loopback(443)).succeeds();
}

fn root_takes_low_ports(family: Family) {
    Socket::quic(family).bind(&family.loopback(443)).succeeds();
}

/// Over the ports of a network namespace rules who owns it.
fn root_of_a_user_namespace_takes_low_ports(family: Family) {
    drop_all().succeeds();
    if let Err(errno) = enter_own_namespaces() {
        skip(format!("only root may make a user namespace here: {errno}"));
    }
    become_root_inside().succeeds();
    set_loopback_up().succeeds();
    Socket::quic(family).bind(&family.loopback(443)).succeeds();
}

fn socket_of_root_stays_usable(family: Family) {
    let socket = idle(family, Idle::Bound);
    drop_all().succeeds();
    socket.listen(1).succeeds();
    equal(endpoints()[0].uid, 0);
}
