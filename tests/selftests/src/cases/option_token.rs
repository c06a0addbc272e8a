// SPDX-License-Identifier: MIT OR Apache-2.0

//! The option TOKEN. That it can be read is how libquic knows that a socket is a client's.

use super::{idle, in_each, Idle};
use crate::harness::case::cases;
use crate::harness::expect::{equal, note, Expect};
use crate::sys::address::Family;
use crate::sys::errno::Result;
use crate::sys::socket::Socket;
use quic_uapi::{QUIC_SOCKOPT_TOKEN, SOL_QUIC};

cases! { "option_token":
    none_has_length_zero,
    none_needs_no_buffer,
    is_kept,
    set_again_replaces,
    length_limits,
    refused_keeps_the_old_one,
    buffer_of_its_length_is_enough,
    shorter_buffer_is_einval,
    nothing_is_written_behind,
    listening_is_einval_to_set,
    listening_is_einval_to_get,
}

fn set(socket: &Socket, token: &[u8]) -> Result<()> {
    socket.set(SOL_QUIC, QUIC_SOCKOPT_TOKEN, token)
}

#[track_caller]
fn is(socket: &Socket, token: &[u8]) {
    equal(
        socket
            .get(SOL_QUIC, QUIC_SOCKOPT_TOKEN, &[], 256)
            .succeeds()
            .bytes(),
        token,
    );
}

fn none_has_length_zero(family: Family) {
    in_each(family, &[Idle::Fresh, Idle::Bound], |socket| {
        is(socket, b"")
    });
}

fn none_needs_no_buffer() {
    let socket = Socket::quic(Family::V4);
    equal(
        socket
            .get(SOL_QUIC, QUIC_SOCKOPT_TOKEN, &[], 0)
            .succeeds()
            .length,
        0,
    );
}

fn is_kept(family: Family) {
    in_each(family, &[Idle::Fresh, Idle::Bound], |socket| {
        set(socket, b"\0a token\xff").succeeds();
        is(socket, b"\0a token\xff");
    });
}

fn set_again_replaces() {
    let socket = Socket::quic(Family::V4);
    set(&socket, &[7; 100]).succeeds();
    set(&socket, b"short").succeeds();
    is(&socket, b"short");
    set(&socket, &[8; 100]).succeeds();
    is(&socket, &[8; 100]);
}

fn length_limits(family: Family) {
    let socket = Socket::quic(family);
    for length in [1, 120] {
        note(format!("{length} bytes"));
        let token = vec![length as u8; length];
        set(&socket, &token).succeeds();
        is(&socket, &token);
    }
    for length in [0, 121, 4096] {
        note(format!("{length} bytes"));
        set(&socket, &vec![7; length]).fails(libc::EINVAL);
    }
}

fn refused_keeps_the_old_one() {
    let socket = Socket::quic(Family::V4);
    set(&socket, b"token").succeeds();
    set(&socket, b"").fails(libc::EINVAL);
    set(&socket, &[7; 121]).fails(libc::EINVAL);
    is(&socket, b"token");
}

fn buffer_of_its_length_is_enough() {
    let socket = Socket::quic(Family::V4);
    set(&socket, b"token").succeeds();
    equal(
        socket
            .get(SOL_QUIC, QUIC_SOCKOPT_TOKEN, &[], 5)
            .succeeds()
            .bytes(),
        b"token".as_slice(),
    );
}

fn shorter_buffer_is_einval() {
    let socket = Socket::quic(Family::V4);
    set(&socket, b"token").succeeds();
    for room in [0, 1, 4] {
        note(format!("{room} bytes"));
        socket
            .get(SOL_QUIC, QUIC_SOCKOPT_TOKEN, &[], room)
            .fails(libc::EINVAL);
    }
}

fn nothing_is_written_behind() {
    let socket = Socket::quic(Family::V4);
    set(&socket, b"token").succeeds();
    let value = socket
        .get(SOL_QUIC, QUIC_SOCKOPT_TOKEN, &[], 256)
        .succeeds();
    assert!(value.is_untouched_from(5), "more was written");
}

/// A server issues tokens, on a connection.
fn listening_is_einval_to_set(family: Family) {
    let socket = idle(family, Idle::Listening);
    set(&socket, b"token").fails(libc::EINVAL);
    set(&socket, b"").fails(libc::EINVAL);
}

fn listening_is_einval_to_get(family: Family) {
    let socket = idle(family, Idle::Listening);
    socket
        .get(SOL_QUIC, QUIC_SOCKOPT_TOKEN, &[], 256)
        .fails(libc::EINVAL);
}
