// SPDX-License-Identifier: MIT OR Apache-2.0

//! The option CONFIG.

use super::{idle, in_each, Idle};
use crate::harness::case::cases;
use crate::harness::expect::{equal, note, Expect};
use crate::sys::address::Family;
use crate::sys::errno::Result;
use crate::sys::socket::Socket;
use quic_uapi::*;

cases! { "option_config":
    defaults,
    zeros_change_nothing,
    every_setting_is_kept,
    each_setting_is_apart_from_the_others,
    version_is_not_looked_at,
    plpmtud_probe_interval_limits,
    initial_smoothed_rtt_limits,
    payload_cipher_type_limits,
    congestion_control_algo_limits,
    keepalive_probe_interval_limits,
    receive_session_ticket_is_kept,
    certificate_request_is_kept,
    switches_are_one_or_zero,
    reserved_bytes_are_ignored,
    refused_changes_nothing,
    listening_can_be_changed,
    structure_of_24_bytes_is_taken,
    structure_of_24_bytes_is_given,
    empty_value_changes_nothing,
    empty_buffer_gets_nothing,
}

const DEFAULTS: quic_config = quic_config {
    version: 0,
    plpmtud_probe_interval: 0,
    initial_smoothed_rtt: 333_000,
    payload_cipher_type: 0,
    congestion_control_algo: QUIC_CONG_ALG_RENO,
    validate_peer_address: 0,
    stream_data_nodelay: 0,
    receive_session_ticket: 0,
    certificate_request: 0,
    reserved: [0; 3],
    keepalive_probe_interval: 0,
};

const OTHERS: quic_config = quic_config {
    version: QUIC_VERSION_V2,
    plpmtud_probe_interval: 10_000_000,
    initial_smoothed_rtt: 100_000,
    payload_cipher_type: 52,
    congestion_control_algo: QUIC_CONG_ALG_CUBIC,
    validate_peer_address: 1,
    stream_data_nodelay: 1,
    receive_session_ticket: 10,
    certificate_request: 2,
    reserved: [0; 3],
    keepalive_probe_interval: 2_000_000,
};

fn nothing() -> quic_config {
    quic_config::default()
}

fn set(socket: &Socket, config: &quic_config) -> Result<()> {
    socket.set_quic(QUIC_SOCKOPT_CONFIG, config)
}

#[track_caller]
fn get(socket: &Socket) -> quic_config {
    socket.get_quic(QUIC_SOCKOPT_CONFIG, &nothing()).succeeds()
}

/// Which values of a setting are taken, on a fresh socket for each.
#[track_caller]
fn limits<T: Copy + std::fmt::Debug>(
    member: impl Fn(&mut quic_config) -> &mut T,
    taken: &[T],
    refused: &[T],
) {
    for value in taken {
        note(format!("value {value:?}, which is within the limits"));
        let socket = Socket::quic(Family::V4);
        let mut config = nothing();
        *member(&mut config) = *value;
        set(&socket, &config).succeeds();
        let mut expected = DEFAULTS;
        *member(&mut expected) = *value;
        equal(get(&socket), expected);
    }
    for value in refused {
        note(format!("value {value:?}, which is beyond the limits"));
        let socket = Socket::quic(Family::V4);
        let mut config = nothing();
        *member(&mut config) = *value;
        set(&socket, &config).fails(libc::EINVAL);
        equal(get(&socket), DEFAULTS);
    }
}

fn defaults(family: Family) {
    in_each(family, &Idle::ALL, |socket| equal(get(socket), DEFAULTS));
}

fn zeros_change_nothing(family: Family) {
    in_each(family, &Idle::ALL, |socket| {
        set(socket, &nothing()).succeeds();
        equal(get(socket), DEFAULTS);
        set(socket, &OTHERS).succeeds();
        set(socket, &nothing()).succeeds();
        equal(get(socket), OTHERS);
    });
}

fn every_setting_is_kept(family: Family) {
    in_each(family, &Idle::ALL, |socket| {
        set(socket, &OTHERS).succeeds();
        equal(get(socket), OTHERS);
    });
}

fn each_setting_is_apart_from_the_others() {
    let socket = Socket::quic(Family::V4);
    let mut expected = DEFAULTS;
    macro_rules! one_by_one {
        ($($member:ident)*) => {$(
            note(stringify!($member));
            set(&socket, &quic_config { $member: OTHERS.$member, ..nothing() }).succeeds();
            expected.$member = OTHERS.$member;
            equal(get(&socket), expected);
        )*};
    }
    one_by_one! {
        version plpmtud_probe_interval initial_smoothed_rtt payload_cipher_type
        congestion_control_algo validate_peer_address stream_data_nodelay
        receive_session_ticket certificate_request keepalive_probe_interval
    }
    equal(expected, OTHERS);
}

/// A version that nobody knows is how a program provokes Version Negotiation.
fn version_is_not_looked_at() {
    limits(
        |c| &mut c.version,
        &[QUIC_VERSION_V1, QUIC_VERSION_V2, 123, 0x0a0a_0a0a, u32::MAX],
        &[],
    );
}

fn plpmtud_probe_interval_limits() {
    let refused = [1, 4_999_999, 143_165_577, u32::MAX];
    limits(
        |c| &mut c.plpmtud_probe_interval,
        &[5_000_000, 143_165_576],
        &refused,
    );
}

fn initial_smoothed_rtt_limits() {
    limits(
        |c| &mut c.initial_smoothed_rtt,
        &[1000, 6_000_000],
        &[1, 999, 6_000_001, u32::MAX],
    );
}

fn payload_cipher_type_limits() {
    limits(
        |c| &mut c.payload_cipher_type,
        &[51, 52, 53, 54],
        &[1, 50, 55, u32::MAX],
    );
}

fn congestion_control_algo_limits() {
    limits(
        |c| &mut c.congestion_control_algo,
        &[QUIC_CONG_ALG_CUBIC],
        &[QUIC_CONG_ALG_MAX, 3, 255],
    );
}

fn keepalive_probe_interval_limits() {
    limits(
        |c| &mut c.keepalive_probe_interval,
        &[1_500_000, u32::MAX],
        &[1, 1_499_999],
    );
}

fn receive_session_ticket_is_kept() {
    limits(|c| &mut c.receive_session_ticket, &[1, 10, 255], &[]);
}

/// It is the TLS agent's to understand; tlshd knows a value 3.
fn certificate_request_is_kept() {
    limits(|c| &mut c.certificate_request, &[1, 2, 3], &[]);
}

fn switches_are_one_or_zero(family: Family) {
    let socket = Socket::quic(family);
    let on = quic_config {
        validate_peer_address: 255,
        stream_data_nodelay: 2,
        ..nothing()
    };
    set(&socket, &on).succeeds();
    let expected = quic_config {
        validate_peer_address: 1,
        stream_data_nodelay: 1,
        ..DEFAULTS
    };
    equal(get(&socket), expected);
}

fn reserved_bytes_are_ignored() {
    let socket = Socket::quic(Family::V4);
    set(
        &socket,
        &quic_config {
            reserved: [1, 2, 255],
            ..OTHERS
        },
    )
    .succeeds();
    equal(get(&socket), OTHERS);
}

fn refused_changes_nothing(family: Family) {
    let wrong = [
        quic_config {
            keepalive_probe_interval: 1,
            ..OTHERS
        },
        quic_config {
            plpmtud_probe_interval: 1,
            ..OTHERS
        },
        quic_config {
            initial_smoothed_rtt: 1,
            ..OTHERS
        },
        quic_config {
            payload_cipher_type: 1,
            ..OTHERS
        },
        quic_config {
            congestion_control_algo: 2,
            ..OTHERS
        },
    ];
    in_each(family, &Idle::ALL, |socket| {
        for config in &wrong {
            set(socket, config).fails(libc::EINVAL);
            equal(get(socket), DEFAULTS);
        }
    });
}

/// For the connections that will be accepted.
fn listening_can_be_changed(family: Family) {
    let socket = idle(family, Idle::Listening);
    set(&socket, &OTHERS).succeeds();
    equal(get(&socket), OTHERS);
    equal(socket.get_int(libc::SOL_SOCKET, libc::SO_ACCEPTCONN), Ok(1));
}

/// tlshd was built with a header that ended before the keepalive.
fn structure_of_24_bytes_is_taken() {
    let socket = Socket::quic(Family::V4);
    set(
        &socket,
        &quic_config {
            keepalive_probe_interval: 3_000_000,
            ..nothing()
        },
    )
    .succeeds();
    socket
        .set(SOL_QUIC, QUIC_SOCKOPT_CONFIG, &OTHERS.as_bytes()[..24])
        .succeeds();
    equal(
        get(&socket),
        quic_config {
            keepalive_probe_interval: 3_000_000,
            ..OTHERS
        },
    );
}

fn structure_of_24_bytes_is_given() {
    let socket = Socket::quic(Family::V4);
    set(&socket, &OTHERS).succeeds();
    let value = socket
        .get(SOL_QUIC, QUIC_SOCKOPT_CONFIG, &[], 24)
        .succeeds();
    equal(value.bytes(), &OTHERS.as_bytes()[..24]);
    assert!(value.is_untouched_from(24), "more was written");
}

fn empty_value_changes_nothing() {
    let socket = Socket::quic(Family::V4);
    socket.set(SOL_QUIC, QUIC_SOCKOPT_CONFIG, &[]).succeeds();
    equal(get(&socket), DEFAULTS);
}

fn empty_buffer_gets_nothing() {
    let value = Socket::quic(Family::V4)
        .get(SOL_QUIC, QUIC_SOCKOPT_CONFIG, &[], 0)
        .succeeds();
    equal(value.length, 0);
    assert!(value.is_untouched_from(0), "something was written");
}
