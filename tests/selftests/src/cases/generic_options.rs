// SPDX-License-Identifier: MIT OR Apache-2.0

//! Options of the levels SOL_SOCKET, SOL_IP and SOL_IPV6, and of levels that QUIC does not have.

use super::{idle, in_each, Idle};
use crate::harness::case::cases;
use crate::harness::expect::{equal, note, Expect};
use crate::sys::address::Family;
use crate::sys::proc;
use crate::sys::socket::Socket;
use libc::{c_int, SOL_IP, SOL_IPV6, SOL_SOCKET};
use quic_uapi::{quic_transport_param, QUIC_SOCKOPT_TRANSPORT_PARAM};

cases! { "generic_options":
    error_is_none,
    identity_cannot_be_set,
    accept_state_cannot_be_set,
    send_buffer_is_the_system_default.in_init_net(),
    send_buffer_can_be_set,
    receive_buffer_is_four_times_max_data,
    receive_buffer_can_be_set,
    receive_buffer_follows_max_data,
    receive_buffer_follows_any_transport_parameter,
    receive_buffer_follows_the_largest_max_data,
    receive_buffer_of_a_listener_follows_max_data,
    timeouts,
    switches,
    mark,
    priority,
    pacing_rate,
    linger,
    device,
    unknown_device_is_enodev,
    cookie_is_unique,
    zerocopy_is_eopnotsupp,
    v4_options,
    v4_options_on_v6_socket,
    v4_path_mtu_discovery_is_wanted,
    v6_options,
    v6only_is_off,
    v6_options_on_v4_socket_are_unknown,
    unknown_level_is_enoprotoopt_to_set,
    unknown_level_is_eopnotsupp_to_get_v4,
    unknown_level_fails_to_get_v6,
    unknown_option_of_a_known_level_is_enoprotoopt,
}

/// `(2^16 - 1) * 32`, the default of `max_data`.
const MAX_DATA: c_int = 2_097_120;

#[track_caller]
fn socket_option(socket: &Socket, name: c_int) -> c_int {
    socket.get_int(SOL_SOCKET, name).succeeds()
}

/// What is set is what is got, in every state.
#[track_caller]
fn keeps(family: Family, level: c_int, name: c_int, values: &[c_int]) {
    for state in Idle::ALL {
        let socket = idle(family, state);
        for value in values {
            note(format!(
                "{state:?}, level {level}, option {name}, value {value}"
            ));
            socket.set_int(level, name, *value).succeeds();
            equal(socket.get_int(level, name), Ok(*value));
        }
    }
}

fn error_is_none(family: Family) {
    in_each(family, &Idle::ALL, |socket| {
        equal(socket_option(socket, libc::SO_ERROR), 0)
    });
}

fn identity_cannot_be_set(family: Family) {
    let socket = Socket::quic(family);
    for name in [
        libc::SO_TYPE,
        libc::SO_PROTOCOL,
        libc::SO_DOMAIN,
        libc::SO_ERROR,
    ] {
        note(format!("option {name}"));
        socket.set_int(SOL_SOCKET, name, 1).fails(libc::ENOPROTOOPT);
    }
}

fn accept_state_cannot_be_set(family: Family) {
    let socket = Socket::quic(family);
    socket
        .set_int(SOL_SOCKET, libc::SO_ACCEPTCONN, 1)
        .fails(libc::ENOPROTOOPT);
}

fn send_buffer_is_the_system_default(family: Family) {
    let default = proc::read("/proc/sys/net/core/wmem_default");
    let socket = Socket::quic(family);
    equal(
        socket_option(&socket, libc::SO_SNDBUF).to_string(),
        default.trim(),
    );
}

fn send_buffer_can_be_set(family: Family) {
    in_each(family, &Idle::ALL, |socket| {
        // The kernel doubles it, for its own overhead.
        socket
            .set_int(SOL_SOCKET, libc::SO_SNDBUF, 50_000)
            .succeeds();
        equal(socket_option(socket, libc::SO_SNDBUF), 100_000);
    });
}

fn receive_buffer_is_four_times_max_data(family: Family) {
    in_each(family, &Idle::ALL, |socket| {
        equal(socket_option(socket, libc::SO_RCVBUF), 4 * MAX_DATA);
    });
}

fn receive_buffer_can_be_set(family: Family) {
    in_each(family, &Idle::ALL, |socket| {
        socket
            .set_int(SOL_SOCKET, libc::SO_RCVBUF, 50_000)
            .succeeds();
        equal(socket_option(socket, libc::SO_RCVBUF), 100_000);
    });
}

#[track_caller]
fn set_max_data(socket: &Socket, max_data: u64) {
    let parameters = quic_transport_param {
        max_data,
        ..Default::default()
    };
    socket
        .set_quic(QUIC_SOCKOPT_TRANSPORT_PARAM, &parameters)
        .succeeds();
}

fn receive_buffer_follows_max_data(family: Family) {
    let socket = Socket::quic(family);
    for max_data in [1200, 1 << 20, 1 << 24] {
        note(format!("max_data = {max_data}"));
        socket
            .set_int(SOL_SOCKET, libc::SO_RCVBUF, 50_000)
            .succeeds();
        set_max_data(&socket, max_data);
        equal(socket_option(&socket, libc::SO_RCVBUF) as u64, 4 * max_data);
    }
}

fn receive_buffer_follows_any_transport_parameter() {
    let socket = Socket::quic(Family::V4);
    socket
        .set_int(SOL_SOCKET, libc::SO_RCVBUF, 50_000)
        .succeeds();
    let parameters = quic_transport_param {
        max_ack_delay: 1000,
        ..Default::default()
    };
    socket
        .set_quic(QUIC_SOCKOPT_TRANSPORT_PARAM, &parameters)
        .succeeds();
    equal(socket_option(&socket, libc::SO_RCVBUF), 4 * MAX_DATA);
}

/// Four times that is the largest multiple of four that fits the field.
fn receive_buffer_follows_the_largest_max_data() {
    let socket = Socket::quic(Family::V4);
    set_max_data(&socket, 536_870_911);
    equal(socket_option(&socket, libc::SO_RCVBUF), 2_147_483_644);
}

fn receive_buffer_of_a_listener_follows_max_data(family: Family) {
    let socket = idle(family, Idle::Listening);
    set_max_data(&socket, 1 << 20);
    equal(socket_option(&socket, libc::SO_RCVBUF), 4 << 20);
}

fn timeouts(family: Family) {
    // struct timeval
    let value = [2_u64.to_ne_bytes(), 500_000_u64.to_ne_bytes()].concat();
    in_each(family, &Idle::ALL, |socket| {
        for name in [libc::SO_RCVTIMEO, libc::SO_SNDTIMEO] {
            equal(
                socket.get(SOL_SOCKET, name, &[], 16).succeeds().bytes(),
                [0; 16].as_slice(),
            );
            socket.set(SOL_SOCKET, name, &value).succeeds();
            equal(
                socket.get(SOL_SOCKET, name, &[], 16).succeeds().bytes(),
                value.as_slice(),
            );
        }
    });
}

fn switches(family: Family) {
    for name in [
        libc::SO_REUSEADDR,
        libc::SO_REUSEPORT,
        libc::SO_KEEPALIVE,
        libc::SO_DONTROUTE,
    ] {
        equal(
            (name, Socket::quic(family).get_int(SOL_SOCKET, name)),
            (name, Ok(0)),
        );
        keeps(family, SOL_SOCKET, name, &[1, 0]);
    }
}

fn mark(family: Family) {
    keeps(family, SOL_SOCKET, libc::SO_MARK, &[7, 0]);
}

fn priority(family: Family) {
    keeps(family, SOL_SOCKET, libc::SO_PRIORITY, &[3, 0]);
}

fn pacing_rate(family: Family) {
    let socket = Socket::quic(family);
    // Without a limit until one is set; bytes a second.
    equal(socket_option(&socket, libc::SO_MAX_PACING_RATE), -1);
    keeps(family, SOL_SOCKET, libc::SO_MAX_PACING_RATE, &[1_000_000]);
}

fn linger(family: Family) {
    let on = [1_i32.to_ne_bytes(), 5_i32.to_ne_bytes()].concat();
    in_each(family, &Idle::ALL, |socket| {
        socket.set(SOL_SOCKET, libc::SO_LINGER, &on).succeeds();
        equal(
            socket
                .get(SOL_SOCKET, libc::SO_LINGER, &[], 8)
                .succeeds()
                .bytes(),
            on.as_slice(),
        );
    });
}

fn device(family: Family) {
    let socket = Socket::quic(family);
    socket
        .set(SOL_SOCKET, libc::SO_BINDTODEVICE, b"lo")
        .succeeds();
    equal(
        socket
            .get(SOL_SOCKET, libc::SO_BINDTODEVICE, &[], 16)
            .succeeds()
            .bytes(),
        b"lo\0".as_slice(),
    );
}

fn unknown_device_is_enodev(family: Family) {
    let socket = Socket::quic(family);
    socket
        .set(SOL_SOCKET, libc::SO_BINDTODEVICE, b"nonesuch")
        .fails(libc::ENODEV);
}

fn cookie_is_unique(family: Family) {
    let cookie = |socket: &Socket| socket.get(SOL_SOCKET, libc::SO_COOKIE, &[], 8).succeeds();
    let sockets = [(); 2].map(|()| Socket::quic(family));
    assert_ne!(cookie(&sockets[0]).bytes(), cookie(&sockets[1]).bytes());
}

fn zerocopy_is_eopnotsupp(family: Family) {
    in_each(family, &Idle::ALL, |socket| {
        socket
            .set_int(SOL_SOCKET, libc::SO_ZEROCOPY, 1)
            .fails(libc::EOPNOTSUPP);
        equal(socket_option(socket, libc::SO_ZEROCOPY), 0);
    });
}

fn v4_options() {
    keeps(Family::V4, SOL_IP, libc::IP_TOS, &[0xb8, 0x20, 0]);
    keeps(Family::V4, SOL_IP, libc::IP_TTL, &[1, 64, 255]);
    keeps(Family::V4, SOL_IP, libc::IP_MTU_DISCOVER, &[0, 1, 2, 3]);
    keeps(Family::V4, SOL_IP, libc::IP_RECVERR, &[1, 0]);
}

fn v4_options_on_v6_socket() {
    keeps(Family::V6, SOL_IP, libc::IP_TOS, &[0xb8, 0]);
    keeps(Family::V6, SOL_IP, libc::IP_MTU_DISCOVER, &[0, 2]);
}

fn v4_path_mtu_discovery_is_wanted(family: Family) {
    let socket = Socket::quic(family);
    equal(
        socket.get_int(SOL_IP, libc::IP_MTU_DISCOVER),
        Ok(libc::IP_PMTUDISC_WANT),
    );
}

fn v6_options() {
    equal(
        Socket::quic(Family::V6).get_int(SOL_IPV6, libc::IPV6_MTU_DISCOVER),
        Ok(1),
    );
    keeps(Family::V6, SOL_IPV6, libc::IPV6_TCLASS, &[0xb8, 0]);
    keeps(Family::V6, SOL_IPV6, libc::IPV6_UNICAST_HOPS, &[1, 64, 255]);
    keeps(Family::V6, SOL_IPV6, libc::IPV6_MTU_DISCOVER, &[0, 1, 2, 3]);
    keeps(Family::V6, SOL_IPV6, libc::IPV6_RECVERR, &[1, 0]);
}

fn v6only_is_off() {
    let socket = Socket::quic(Family::V6);
    equal(socket.get_int(SOL_IPV6, libc::IPV6_V6ONLY), Ok(0));
    socket.set_int(SOL_IPV6, libc::IPV6_V6ONLY, 1).succeeds();
    equal(socket.get_int(SOL_IPV6, libc::IPV6_V6ONLY), Ok(1));
    socket.set_int(SOL_IPV6, libc::IPV6_V6ONLY, 0).succeeds();
    equal(socket.get_int(SOL_IPV6, libc::IPV6_V6ONLY), Ok(0));
}

fn v6_options_on_v4_socket_are_unknown() {
    let socket = Socket::quic(Family::V4);
    socket
        .set_int(SOL_IPV6, libc::IPV6_TCLASS, 0)
        .fails(libc::ENOPROTOOPT);
    socket
        .get_int(SOL_IPV6, libc::IPV6_TCLASS)
        .fails(libc::EOPNOTSUPP);
}

/// Levels of other protocols, and of none.
const UNKNOWN: [c_int; 6] = [libc::SOL_TCP, libc::SOL_UDP, 132, 282, 287, 0x7fff_ffff];

fn unknown_level_is_enoprotoopt_to_set(family: Family) {
    in_each(family, &Idle::ALL, |socket| {
        for level in UNKNOWN {
            socket.set_int(level, 1, 1).fails(libc::ENOPROTOOPT);
        }
    });
}

fn unknown_level_is_eopnotsupp_to_get_v4() {
    in_each(Family::V4, &Idle::ALL, |socket| {
        for level in UNKNOWN {
            socket.get_int(level, 1).fails(libc::EOPNOTSUPP);
        }
    });
}

/// The kernel's own handlers of the two families differ here, and no program minds.
fn unknown_level_fails_to_get_v6() {
    in_each(Family::V6, &Idle::ALL, |socket| {
        for level in UNKNOWN {
            socket
                .get_int(level, 1)
                .fails_with_one_of(&[libc::EOPNOTSUPP, libc::ENOPROTOOPT]);
        }
    });
}

fn unknown_option_of_a_known_level_is_enoprotoopt(family: Family) {
    let socket = Socket::quic(family);
    let level = if family == Family::V4 {
        SOL_IP
    } else {
        SOL_IPV6
    };
    for level in [SOL_SOCKET, level] {
        note(format!("level {level}"));
        socket.set_int(level, 9999, 1).fails(libc::ENOPROTOOPT);
        socket.get_int(level, 9999).fails(libc::ENOPROTOOPT);
    }
}
