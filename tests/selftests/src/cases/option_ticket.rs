// SPDX-License-Identifier: MIT OR Apache-2.0

//! The option SESSION_TICKET.

use super::{idle, in_each, Idle};
use crate::harness::case::cases;
use crate::harness::expect::{equal, note, Expect};
use crate::sys::address::Family;
use crate::sys::errno::Result;
use crate::sys::socket::Socket;
use quic_uapi::{QUIC_SOCKOPT_SESSION_TICKET, SOL_QUIC};

cases! { "option_ticket":
    none_has_length_zero,
    none_needs_no_buffer,
    is_kept,
    set_again_replaces,
    length_limits,
    refused_keeps_the_old_one,
    buffer_of_its_length_is_enough,
    shorter_buffer_is_einval,
    nothing_is_written_behind,
    listening_can_be_set,
    listening_is_epipe_to_get,
    listening_length_limits,
}

fn set(socket: &Socket, ticket: &[u8]) -> Result<()> {
    socket.set(SOL_QUIC, QUIC_SOCKOPT_SESSION_TICKET, ticket)
}

#[track_caller]
fn is(socket: &Socket, ticket: &[u8]) {
    equal(
        socket
            .get(SOL_QUIC, QUIC_SOCKOPT_SESSION_TICKET, &[], 8192)
            .succeeds()
            .bytes(),
        ticket,
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
            .get(SOL_QUIC, QUIC_SOCKOPT_SESSION_TICKET, &[], 0)
            .succeeds()
            .length,
        0,
    );
}

fn is_kept(family: Family) {
    let ticket: Vec<u8> = (0..=255).cycle().take(1000).collect();
    in_each(family, &[Idle::Fresh, Idle::Bound], |socket| {
        set(socket, &ticket).succeeds();
        is(socket, &ticket);
    });
}

fn set_again_replaces() {
    let socket = Socket::quic(Family::V4);
    for length in [4096, 64, 1000] {
        let ticket = vec![length as u8; length];
        set(&socket, &ticket).succeeds();
        is(&socket, &ticket);
    }
}

fn length_limits(family: Family) {
    let socket = Socket::quic(family);
    for length in [64, 4096] {
        note(format!("{length} bytes"));
        set(&socket, &vec![7; length]).succeeds();
        is(&socket, &vec![7; length]);
    }
    for length in [0, 1, 63, 4097] {
        note(format!("{length} bytes"));
        set(&socket, &vec![7; length]).fails(libc::EINVAL);
    }
}

fn refused_keeps_the_old_one() {
    let socket = Socket::quic(Family::V4);
    set(&socket, &[7; 64]).succeeds();
    set(&socket, &[8; 63]).fails(libc::EINVAL);
    set(&socket, &[8; 4097]).fails(libc::EINVAL);
    is(&socket, &[7; 64]);
}

fn buffer_of_its_length_is_enough() {
    let socket = Socket::quic(Family::V4);
    set(&socket, &[7; 100]).succeeds();
    let value = socket
        .get(SOL_QUIC, QUIC_SOCKOPT_SESSION_TICKET, &[], 100)
        .succeeds();
    equal(value.bytes(), [7; 100].as_slice());
}

fn shorter_buffer_is_einval() {
    let socket = Socket::quic(Family::V4);
    set(&socket, &[7; 100]).succeeds();
    for room in [0, 1, 64, 99] {
        note(format!("{room} bytes"));
        socket
            .get(SOL_QUIC, QUIC_SOCKOPT_SESSION_TICKET, &[], room)
            .fails(libc::EINVAL);
    }
}

fn nothing_is_written_behind() {
    let socket = Socket::quic(Family::V4);
    set(&socket, &[7; 64]).succeeds();
    let value = socket
        .get(SOL_QUIC, QUIC_SOCKOPT_SESSION_TICKET, &[], 4096)
        .succeeds();
    assert!(value.is_untouched_from(64), "more was written");
}

/// The key that protects the tickets of a server; the sockets it accepts have to be asked for it.
fn listening_can_be_set(family: Family) {
    set(&idle(family, Idle::Listening), &[7; 64]).succeeds();
}

fn listening_is_epipe_to_get(family: Family) {
    let socket = idle(family, Idle::Listening);
    let get = || socket.get(SOL_QUIC, QUIC_SOCKOPT_SESSION_TICKET, &[], 4096);
    get().fails(libc::EPIPE);
    set(&socket, &[7; 64]).succeeds();
    get().fails(libc::EPIPE);
}

fn listening_length_limits(family: Family) {
    let socket = idle(family, Idle::Listening);
    for length in [0, 63, 4097] {
        note(format!("{length} bytes"));
        set(&socket, &vec![7; length]).fails(libc::EINVAL);
    }
}
