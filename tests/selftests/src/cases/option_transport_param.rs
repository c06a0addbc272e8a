// SPDX-License-Identifier: MIT OR Apache-2.0

//! The option TRANSPORT_PARAM: the local parameters, and those of a peer that is not there yet.

use super::{idle, in_each, Idle};
use crate::harness::case::cases;
use crate::harness::expect::{equal, note, Expect};
use crate::sys::address::Family;
use crate::sys::errno::Result;
use crate::sys::socket::Socket;
use quic_uapi::*;

cases! { "option_transport_param":
    defaults,
    remote_defaults_are_zero,
    remote_cannot_be_set,
    zeros_change_nothing,
    every_parameter_is_kept,
    each_parameter_is_apart_from_the_others,
    max_udp_payload_size_limits,
    ack_delay_exponent_limits,
    max_ack_delay_limits,
    active_connection_id_limit_limits,
    max_idle_timeout_limits,
    max_datagram_frame_size_limits,
    max_data_limits,
    max_stream_data_bidi_local_limits,
    max_stream_data_bidi_remote_limits,
    max_stream_data_uni_limits,
    max_streams_bidi_limits,
    max_streams_uni_limits,
    switches_are_one_or_zero,
    refused_changes_nothing,
    listening_can_be_changed,
    structure_of_64_bytes_is_taken,
    structure_of_64_bytes_is_given_56,
    first_byte_selects_the_side,
    empty_value_changes_nothing,
    empty_buffer_gets_nothing,
}

/// What a new socket has.
const DEFAULTS: quic_transport_param = quic_transport_param {
    remote: 0,
    disable_active_migration: 0,
    grease_quic_bit: 0,
    stateless_reset: 0,
    disable_1rtt_encryption: 0,
    disable_compatible_version: 0,
    active_connection_id_limit: 7,
    ack_delay_exponent: 3,
    max_datagram_frame_size: 0,
    max_udp_payload_size: 65527,
    max_idle_timeout: 30_000_000,
    max_ack_delay: 25_000,
    max_streams_bidi: 100,
    max_streams_uni: 100,
    max_data: 65535 * 32,
    max_stream_data_bidi_local: 65535 * 16,
    max_stream_data_bidi_remote: 65535 * 16,
    max_stream_data_uni: 65535 * 16,
};

/// Another value for each.
const OTHERS: quic_transport_param = quic_transport_param {
    remote: 0,
    disable_active_migration: 1,
    grease_quic_bit: 1,
    stateless_reset: 1,
    disable_1rtt_encryption: 1,
    disable_compatible_version: 1,
    active_connection_id_limit: 5,
    ack_delay_exponent: 10,
    max_datagram_frame_size: 1400,
    max_udp_payload_size: 1452,
    max_idle_timeout: 5_000_000,
    max_ack_delay: 1_000,
    max_streams_bidi: 17,
    max_streams_uni: 18,
    max_data: 1 << 20,
    max_stream_data_bidi_local: 1 << 17,
    max_stream_data_bidi_remote: 1 << 18,
    max_stream_data_uni: 1 << 19,
};

/// All zero: what to start from to set a single parameter.
fn nothing() -> quic_transport_param {
    quic_transport_param::default()
}

fn set(socket: &Socket, parameters: &quic_transport_param) -> Result<()> {
    socket.set_quic(QUIC_SOCKOPT_TRANSPORT_PARAM, parameters)
}

#[track_caller]
fn get(socket: &Socket) -> quic_transport_param {
    socket
        .get_quic(QUIC_SOCKOPT_TRANSPORT_PARAM, &nothing())
        .succeeds()
}

/// Which values of a parameter are taken, on a fresh socket for each. What is taken is given back,
/// and nothing else has changed.
#[track_caller]
fn limits<T: Copy + std::fmt::Debug>(
    member: impl Fn(&mut quic_transport_param) -> &mut T,
    taken: &[T],
    refused: &[T],
) {
    for value in taken {
        note(format!("value {value:?}, which is within the limits"));
        let socket = Socket::quic(Family::V4);
        let mut parameters = nothing();
        *member(&mut parameters) = *value;
        set(&socket, &parameters).succeeds();
        let mut expected = DEFAULTS;
        *member(&mut expected) = *value;
        equal(get(&socket), expected);
    }
    for value in refused {
        note(format!("value {value:?}, which is beyond the limits"));
        let socket = Socket::quic(Family::V4);
        let mut parameters = nothing();
        *member(&mut parameters) = *value;
        set(&socket, &parameters).fails(libc::EINVAL);
        equal(get(&socket), DEFAULTS);
    }
}

fn defaults(family: Family) {
    in_each(family, &Idle::ALL, |socket| equal(get(socket), DEFAULTS));
}

fn remote_defaults_are_zero(family: Family) {
    in_each(family, &Idle::ALL, |socket| {
        let input = quic_transport_param {
            remote: 1,
            ..nothing()
        };
        let parameters = socket
            .get_quic(QUIC_SOCKOPT_TRANSPORT_PARAM, &input)
            .succeeds();
        equal(
            quic_transport_param {
                remote: 0,
                ..parameters
            },
            nothing(),
        );
    });
}

/// There is no peer before connect().
fn remote_cannot_be_set(family: Family) {
    in_each(family, &Idle::ALL, |socket| {
        set(
            socket,
            &quic_transport_param {
                remote: 1,
                ..nothing()
            },
        )
        .fails(libc::EINVAL);
        set(
            socket,
            &quic_transport_param {
                remote: 1,
                ..OTHERS
            },
        )
        .fails(libc::EINVAL);
        equal(get(socket), DEFAULTS);
    });
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

fn every_parameter_is_kept(family: Family) {
    in_each(family, &Idle::ALL, |socket| {
        set(socket, &OTHERS).succeeds();
        equal(get(socket), OTHERS);
    });
}

/// Sets one parameter after the other; each time it alone changes.
fn each_parameter_is_apart_from_the_others() {
    let socket = Socket::quic(Family::V4);
    let mut expected = DEFAULTS;
    macro_rules! one_by_one {
        ($($member:ident)*) => {$(
            note(stringify!($member));
            set(&socket, &quic_transport_param { $member: OTHERS.$member, ..nothing() }).succeeds();
            expected.$member = OTHERS.$member;
            equal(get(&socket), expected);
        )*};
    }
    one_by_one! {
        disable_active_migration grease_quic_bit stateless_reset disable_1rtt_encryption
        disable_compatible_version active_connection_id_limit ack_delay_exponent
        max_datagram_frame_size max_udp_payload_size max_idle_timeout max_ack_delay
        max_streams_bidi max_streams_uni max_data max_stream_data_bidi_local
        max_stream_data_bidi_remote max_stream_data_uni
    }
    equal(expected, OTHERS);
}

fn max_udp_payload_size_limits() {
    limits(
        |p| &mut p.max_udp_payload_size,
        &[1200, 65527],
        &[1, 1199, 65528, 65535],
    );
}

fn ack_delay_exponent_limits() {
    limits(|p| &mut p.ack_delay_exponent, &[1, 20], &[21, 255]);
}

fn max_ack_delay_limits() {
    limits(
        |p| &mut p.max_ack_delay,
        &[1, 16_383_999],
        &[16_384_000, u32::MAX],
    );
}

fn active_connection_id_limit_limits() {
    limits(|p| &mut p.active_connection_id_limit, &[2, 8], &[1, 9, 255]);
}

fn max_idle_timeout_limits() {
    limits(
        |p| &mut p.max_idle_timeout,
        &[1_000_000, u32::MAX],
        &[1, 999_999],
    );
}

fn max_datagram_frame_size_limits() {
    limits(
        |p| &mut p.max_datagram_frame_size,
        &[1200, 65535],
        &[1, 1199],
    );
}

fn max_data_limits() {
    limits(
        |p| &mut p.max_data,
        &[1200, 536_870_911],
        &[1, 1199, 536_870_912, u64::MAX],
    );
}

const STREAM_WINDOWS: [u64; 2] = [1200, 268_435_455];
const NO_STREAM_WINDOWS: [u64; 4] = [1, 1199, 268_435_456, u64::MAX];

fn max_stream_data_bidi_local_limits() {
    limits(
        |p| &mut p.max_stream_data_bidi_local,
        &STREAM_WINDOWS,
        &NO_STREAM_WINDOWS,
    );
}

fn max_stream_data_bidi_remote_limits() {
    limits(
        |p| &mut p.max_stream_data_bidi_remote,
        &STREAM_WINDOWS,
        &NO_STREAM_WINDOWS,
    );
}

fn max_stream_data_uni_limits() {
    limits(
        |p| &mut p.max_stream_data_uni,
        &STREAM_WINDOWS,
        &NO_STREAM_WINDOWS,
    );
}

fn max_streams_bidi_limits() {
    limits(|p| &mut p.max_streams_bidi, &[1, 4096], &[4097, 65535]);
}

fn max_streams_uni_limits() {
    limits(|p| &mut p.max_streams_uni, &[1, 4096], &[4097, 65535]);
}

fn switches_are_one_or_zero(family: Family) {
    let socket = Socket::quic(family);
    let on = quic_transport_param {
        disable_active_migration: 255,
        grease_quic_bit: 2,
        stateless_reset: 128,
        disable_1rtt_encryption: 3,
        disable_compatible_version: 77,
        ..nothing()
    };
    set(&socket, &on).succeeds();
    let expected = quic_transport_param {
        disable_active_migration: 1,
        grease_quic_bit: 1,
        stateless_reset: 1,
        disable_1rtt_encryption: 1,
        disable_compatible_version: 1,
        ..DEFAULTS
    };
    equal(get(&socket), expected);
}

/// The parameters before the one that is wrong are not taken either.
fn refused_changes_nothing(family: Family) {
    let wrong = [
        quic_transport_param {
            max_stream_data_uni: 1,
            ..OTHERS
        },
        quic_transport_param {
            max_streams_uni: 5000,
            ..OTHERS
        },
        quic_transport_param {
            max_ack_delay: u32::MAX,
            ..OTHERS
        },
        quic_transport_param {
            active_connection_id_limit: 1,
            ..OTHERS
        },
        quic_transport_param {
            max_data: 1,
            ..OTHERS
        },
    ];
    in_each(family, &Idle::ALL, |socket| {
        for parameters in &wrong {
            set(socket, parameters).fails(libc::EINVAL);
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

/// tlshd was built with a header that had 8 more bytes.
fn structure_of_64_bytes_is_taken() {
    let socket = Socket::quic(Family::V4);
    let value = [OTHERS.as_bytes(), &[0; 8]].concat();
    socket
        .set(SOL_QUIC, QUIC_SOCKOPT_TRANSPORT_PARAM, &value)
        .succeeds();
    equal(get(&socket), OTHERS);
}

fn structure_of_64_bytes_is_given_56() {
    let socket = Socket::quic(Family::V4);
    let value = socket
        .get(SOL_QUIC, QUIC_SOCKOPT_TRANSPORT_PARAM, &[0; 64], 64)
        .succeeds();
    equal(value.length, 56);
    equal(value.structure::<quic_transport_param>(), DEFAULTS);
}

fn first_byte_selects_the_side() {
    let socket = Socket::quic(Family::V4);
    let value = socket
        .get(SOL_QUIC, QUIC_SOCKOPT_TRANSPORT_PARAM, &[1], 8)
        .succeeds();
    equal(&value.bytes()[1..], [0; 7].as_slice());
    let value = socket
        .get(SOL_QUIC, QUIC_SOCKOPT_TRANSPORT_PARAM, &[0], 8)
        .succeeds();
    equal(value.bytes(), [0, 0, 0, 0, 0, 0, 7, 3].as_slice());
}

fn empty_value_changes_nothing() {
    let socket = Socket::quic(Family::V4);
    socket
        .set(SOL_QUIC, QUIC_SOCKOPT_TRANSPORT_PARAM, &[])
        .succeeds();
    equal(get(&socket), DEFAULTS);
}

fn empty_buffer_gets_nothing() {
    let socket = Socket::quic(Family::V4);
    let value = socket
        .get(SOL_QUIC, QUIC_SOCKOPT_TRANSPORT_PARAM, &[], 0)
        .succeeds();
    equal(value.length, 0);
    assert!(value.is_untouched_from(0), "something was written");
}
