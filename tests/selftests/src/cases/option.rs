// SPDX-License-Identifier: MIT OR Apache-2.0

//! What all options of level SOL_QUIC have in common.

use super::{idle, in_each, Idle};
use crate::harness::case::cases;
use crate::harness::expect::{equal, note, Expect};
use crate::sys::address::Family;
use crate::sys::socket::{Socket, BAD_POINTER};
use libc::c_int;
use quic_uapi::*;

cases! { "option":
    unknown_is_enoprotoopt,
    read_only_is_enoprotoopt_to_set,
    write_only_is_enoprotoopt_to_get,
    more_than_4096_bytes_is_einval,
    more_than_4096_bytes_of_an_unknown_option_is_einval,
    more_than_4096_bytes_is_not_read,
    negative_length_to_set_is_einval,
    exactly_4096_bytes_are_taken,
    bad_pointer_to_set_is_efault,
    bad_pointer_to_get_is_efault,
    bad_length_pointer_to_get_is_efault,
    bad_pointer_changes_nothing,
    length_to_get_is_unsigned,
    short_and_long_structures_are_taken,
    short_and_long_structures_are_given,
    options_of_both_types_of_socket_are_the_same,
    options_of_two_sockets_are_apart,
}

/// Options that can be set at any time to a value of this length.
const FIXED: [(c_int, usize); 4] = [
    (QUIC_SOCKOPT_EVENT, size_of::<quic_event_option>()),
    (
        QUIC_SOCKOPT_CONNECTION_CLOSE,
        size_of::<quic_connection_close>(),
    ),
    (
        QUIC_SOCKOPT_TRANSPORT_PARAM,
        size_of::<quic_transport_param>(),
    ),
    (QUIC_SOCKOPT_CONFIG, size_of::<quic_config>()),
];

/// A value that each of [`FIXED`] takes and that changes nothing: zeros, but for the type of an
/// event.
fn harmless(name: c_int, length: usize) -> Vec<u8> {
    let mut value = vec![0; length];
    if name == QUIC_SOCKOPT_EVENT && length > 0 {
        value[0] = QUIC_EVENT_STREAM_UPDATE;
    }
    value
}

fn unknown_is_enoprotoopt(family: Family) {
    in_each(family, &Idle::ALL, |socket| {
        for name in [15, 16, 100, -1, c_int::MAX, c_int::MIN] {
            socket
                .set(SOL_QUIC, name, &[0; 64])
                .fails(libc::ENOPROTOOPT);
            socket
                .get(SOL_QUIC, name, &[0; 64], 64)
                .fails(libc::ENOPROTOOPT);
        }
    });
}

fn read_only_is_enoprotoopt_to_set(family: Family) {
    in_each(family, &Idle::ALL, |socket| {
        socket
            .set(SOL_QUIC, QUIC_SOCKOPT_STREAM_OPEN, &[0; 16])
            .fails(libc::ENOPROTOOPT);
    });
}

fn write_only_is_enoprotoopt_to_get(family: Family) {
    let names = [
        QUIC_SOCKOPT_STREAM_RESET,
        QUIC_SOCKOPT_STREAM_STOP_SENDING,
        QUIC_SOCKOPT_CONNECTION_MIGRATION,
        QUIC_SOCKOPT_KEY_UPDATE,
        QUIC_SOCKOPT_CRYPTO_SECRET,
    ];
    for state in Idle::ALL {
        let socket = idle(family, state);
        for name in names {
            note(format!("{state:?}, option {name}"));
            socket
                .get(SOL_QUIC, name, &[0; 128], 128)
                .fails(libc::ENOPROTOOPT);
        }
    }
}

fn more_than_4096_bytes_is_einval(family: Family) {
    let socket = Socket::quic(family);
    for (name, _) in FIXED {
        note(format!("option {name}"));
        let mut value = harmless(name, 4097);
        socket.set(SOL_QUIC, name, &value).fails(libc::EINVAL);
        value.resize(10_000, 0);
        socket.set(SOL_QUIC, name, &value).fails(libc::EINVAL);
    }
    socket
        .set(SOL_QUIC, QUIC_SOCKOPT_KEY_UPDATE, &[0; 4097])
        .fails(libc::EINVAL);
}

fn more_than_4096_bytes_of_an_unknown_option_is_einval() {
    let socket = Socket::quic(Family::V4);
    socket.set(SOL_QUIC, 99, &[0; 4097]).fails(libc::EINVAL);
    socket
        .set(SOL_QUIC, QUIC_SOCKOPT_STREAM_OPEN, &[0; 4097])
        .fails(libc::EINVAL);
}

fn more_than_4096_bytes_is_not_read() {
    let socket = Socket::quic(Family::V4);
    socket
        .set_at(SOL_QUIC, QUIC_SOCKOPT_CONFIG, BAD_POINTER, 4097)
        .fails(libc::EINVAL);
}

fn negative_length_to_set_is_einval() {
    let socket = Socket::quic(Family::V4);
    for length in [u32::MAX, 1 << 31] {
        socket
            .set_at(SOL_QUIC, QUIC_SOCKOPT_CONFIG, BAD_POINTER, length)
            .fails(libc::EINVAL);
    }
}

fn exactly_4096_bytes_are_taken(family: Family) {
    let socket = Socket::quic(family);
    for (name, _) in FIXED {
        note(format!("option {name}"));
        socket.set(SOL_QUIC, name, &harmless(name, 4096)).succeeds();
    }
    socket
        .set(SOL_QUIC, 99, &[0; 4096])
        .fails(libc::ENOPROTOOPT);
}

fn bad_pointer_to_set_is_efault(family: Family) {
    let socket = Socket::quic(family);
    let others = [
        (QUIC_SOCKOPT_TOKEN, 16),
        (QUIC_SOCKOPT_ALPN, 16),
        (QUIC_SOCKOPT_SESSION_TICKET, 64),
    ];
    for (name, length) in FIXED.into_iter().chain(others) {
        note(format!("option {name}"));
        socket
            .set_at(SOL_QUIC, name, BAD_POINTER, length as u32)
            .fails(libc::EFAULT);
        socket
            .set_at(SOL_QUIC, name, 0, length as u32)
            .fails(libc::EFAULT);
    }
}

/// A socket on which every option has a value to get.
#[track_caller]
fn filled(family: Family) -> Socket {
    let socket = Socket::quic(family);
    socket
        .set(SOL_QUIC, QUIC_SOCKOPT_TOKEN, b"token")
        .succeeds();
    socket.set(SOL_QUIC, QUIC_SOCKOPT_ALPN, b"h3").succeeds();
    socket
        .set(SOL_QUIC, QUIC_SOCKOPT_SESSION_TICKET, &[7; 64])
        .succeeds();
    socket
}

const READABLE: [c_int; 6] = [
    QUIC_SOCKOPT_CONNECTION_CLOSE,
    QUIC_SOCKOPT_TRANSPORT_PARAM,
    QUIC_SOCKOPT_CONFIG,
    QUIC_SOCKOPT_TOKEN,
    QUIC_SOCKOPT_ALPN,
    QUIC_SOCKOPT_SESSION_TICKET,
];

fn bad_pointer_to_get_is_efault(family: Family) {
    let socket = filled(family);
    for name in READABLE.into_iter().chain([QUIC_SOCKOPT_EVENT]) {
        note(format!("option {name}"));
        socket
            .get_at(SOL_QUIC, name, Some(BAD_POINTER), None)
            .fails(libc::EFAULT);
        socket
            .get_at(SOL_QUIC, name, Some(0), None)
            .fails(libc::EFAULT);
    }
}

fn bad_length_pointer_to_get_is_efault(family: Family) {
    let socket = filled(family);
    for name in READABLE {
        note(format!("option {name}"));
        socket.get_at(SOL_QUIC, name, None, None).succeeds();
        socket
            .get_at(SOL_QUIC, name, None, Some(BAD_POINTER))
            .fails(libc::EFAULT);
        socket
            .get_at(SOL_QUIC, name, None, Some(0))
            .fails(libc::EFAULT);
    }
}

fn bad_pointer_changes_nothing() {
    let socket = filled(Family::V4);
    for name in [
        QUIC_SOCKOPT_TOKEN,
        QUIC_SOCKOPT_ALPN,
        QUIC_SOCKOPT_SESSION_TICKET,
    ] {
        let before = socket.get(SOL_QUIC, name, &[], 4096).succeeds();
        socket
            .set_at(SOL_QUIC, name, BAD_POINTER, 100)
            .fails(libc::EFAULT);
        equal(socket.get(SOL_QUIC, name, &[], 4096), Ok(before));
    }
}

/// A length of 4 GiB is a long one, not a negative one.
fn length_to_get_is_unsigned(family: Family) {
    let socket = filled(family);
    for (name, length) in FIXED {
        note(format!("option {name}"));
        let input = harmless(name, length);
        for room in [u32::MAX, 1 << 31] {
            equal(
                socket.get(SOL_QUIC, name, &input, room).succeeds().length as usize,
                length,
            );
        }
    }
    equal(
        socket
            .get(SOL_QUIC, QUIC_SOCKOPT_ALPN, &[], u32::MAX)
            .succeeds()
            .bytes(),
        b"h3".as_slice(),
    );
}

fn short_and_long_structures_are_taken(family: Family) {
    in_each(family, &Idle::ALL, |socket| {
        for (name, size) in FIXED {
            // Without its first byte an event is of no type.
            let least = usize::from(name == QUIC_SOCKOPT_EVENT);
            for length in [least, 1, size - 1, size, size + 1, 2 * size, 4096] {
                let mut value = harmless(name, length);
                // What is behind the structure must not be looked at.
                value.iter_mut().skip(size).for_each(|byte| *byte = 0xff);
                socket.set(SOL_QUIC, name, &value).succeeds();
            }
        }
    });
}

fn short_and_long_structures_are_given(family: Family) {
    let socket = Socket::quic(family);
    for (name, size) in FIXED {
        let whole = socket
            .get(SOL_QUIC, name, &harmless(name, size), size as u32)
            .succeeds();
        equal(whole.length as usize, size);
        for room in [1, size / 2, size - 1, size, size + 1, 4096] {
            note(format!("option {name}, {room} bytes"));
            let length = room.min(size);
            let value = socket
                .get(SOL_QUIC, name, &harmless(name, length), room as u32)
                .succeeds();
            equal(value.length as usize, length);
            equal(value.bytes(), &whole.bytes()[..length]);
            assert!(value.is_untouched_from(length), "more was written");
        }
    }
}

fn options_of_both_types_of_socket_are_the_same() {
    let sockets = [libc::SOCK_STREAM, libc::SOCK_DGRAM]
        .map(|kind| Socket::open(libc::AF_INET, kind, IPPROTO_QUIC).succeeds());
    for (name, size) in FIXED {
        let values = sockets.each_ref().map(|socket| {
            socket
                .get(SOL_QUIC, name, &harmless(name, size), size as u32)
                .succeeds()
        });
        equal(&values[0], &values[1]);
    }
}

fn options_of_two_sockets_are_apart() {
    let [first, second] = [filled(Family::V4), Socket::quic(Family::V4)];
    let config = quic_config {
        version: QUIC_VERSION_V2,
        ..Default::default()
    };
    first.set_quic(QUIC_SOCKOPT_CONFIG, &config).succeeds();
    let version = |socket: &Socket| {
        socket
            .get_quic(QUIC_SOCKOPT_CONFIG, &quic_config::default())
            .succeeds()
            .version
    };
    equal((version(&first), version(&second)), (QUIC_VERSION_V2, 0));
    equal(
        second
            .get(SOL_QUIC, QUIC_SOCKOPT_ALPN, &[], 128)
            .succeeds()
            .length,
        0,
    );
}
