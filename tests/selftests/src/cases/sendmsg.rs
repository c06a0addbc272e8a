// SPDX-License-Identifier: MIT OR Apache-2.0

//! `sendmsg()` and its kin on sockets without a connection. Flags are looked at first, then the
//! state, then the rest of the message.

use super::{idle, in_each, Idle};
use crate::harness::case::cases;
use crate::harness::expect::{equal, note, skip, Expect};
use crate::sys::address::{at, Family};
use crate::sys::message::{stream_info, Message};
use crate::sys::process::{file_with, pipe};
use crate::sys::socket::{sendfile, splice, Socket, BAD_POINTER};
use crate::sys::{compat, signal};
use libc::{MSG_DONTWAIT, MSG_NOSIGNAL, SIGPIPE};
use quic_uapi::*;
use std::os::fd::AsFd;

cases! { "sendmsg":
    without_connection_is_epipe,
    nothing_to_send_is_epipe,
    every_allowed_flag_is_epipe,
    flags_the_core_takes_away_are_epipe,
    every_other_flag_is_einval,
    forbidden_flag_with_an_allowed_one_is_einval,
    forbidden_flag_comes_before_the_state,
    sigpipe_comes_with_epipe,
    sigpipe_comes_with_epipe_of_a_datagram,
    sigpipe_is_held_back_by_nosignal,
    sigpipe_does_not_come_with_einval,
    sendto_ignores_the_address,
    write_is_epipe,
    sendmmsg_is_epipe,
    nonblocking_is_epipe,
    bad_pointer_is_epipe,
    stream_info_is_not_looked_at,
    handshake_info_is_not_looked_at,
    malformed_control_message_is_not_looked_at,
    control_message_of_another_level_is_not_looked_at,
    datagram_is_epipe,
    sendfile_is_epipe,
    splice_is_epipe,
    call_of_a_32_bit_program_is_epipe,
    refused_message_leaves_the_socket_as_it_was,
}

/// The flags that a message may have: 0x5ff40.
const ALLOWED: [libc::c_int; 12] = [
    MSG_DONTWAIT,
    libc::MSG_WAITALL,
    libc::MSG_FIN,      // MSG_QUIC_STREAM_FIN
    libc::MSG_SYN,      // MSG_QUIC_STREAM_NEW
    libc::MSG_CONFIRM,  // MSG_QUIC_STREAM_UNI
    libc::MSG_RST,      // MSG_QUIC_DATAGRAM
    libc::MSG_ERRQUEUE, // MSG_QUIC_STREAM_SNDBLOCK
    MSG_NOSIGNAL,
    libc::MSG_MORE,
    libc::MSG_WAITFORONE, // MSG_QUIC_STREAM_DONTWAIT, though the core takes it away
    MSG_BATCH,
    0,
];

/// Set by the kernel for all but the last message of sendmmsg(), but any program may set it.
const MSG_BATCH: libc::c_int = 0x40000;

/// Flags that the kernel uses for itself and removes from those of a program.
const TAKEN_AWAY: [libc::c_int; 4] = [0x10000, 0x80000, 0x100000, 0x800_0000];

const STATES: [Idle; 4] = Idle::ALL;

fn without_connection_is_epipe(family: Family) {
    in_each(family, &STATES, |socket| {
        socket.send(b"x", MSG_NOSIGNAL).fails(libc::EPIPE)
    });
}

fn nothing_to_send_is_epipe(family: Family) {
    in_each(family, &STATES, |socket| {
        socket.send(b"", MSG_NOSIGNAL).fails(libc::EPIPE);
        socket
            .send(b"", MSG_NOSIGNAL | libc::MSG_FIN)
            .fails(libc::EPIPE);
    });
}

fn every_allowed_flag_is_epipe(family: Family) {
    let socket = Socket::quic(family);
    for flag in ALLOWED {
        note(format!("flag {flag:#x}"));
        socket.send(b"x", flag | MSG_NOSIGNAL).fails(libc::EPIPE);
    }
    let all = ALLOWED.iter().fold(0, |all, flag| all | flag);
    equal(all, 0x5ff40);
    note("all flags");
    socket.send(b"x", all).fails(libc::EPIPE);
}

fn flags_the_core_takes_away_are_epipe(family: Family) {
    let socket = Socket::quic(family);
    for flag in TAKEN_AWAY {
        note(format!("flag {flag:#x}"));
        socket.send(b"x", flag | MSG_NOSIGNAL).fails(libc::EPIPE);
        socket
            .send_message(&Message::new(b"x"), flag | MSG_NOSIGNAL)
            .fails(libc::EPIPE);
    }
}

/// MSG_OOB, MSG_EOR, MSG_DONTROUTE, MSG_ZEROCOPY, MSG_FASTOPEN and those that nobody knows.
fn every_other_flag_is_einval(family: Family) {
    let socket = Socket::quic(family);
    for bit in 0..32 {
        let flag = (1_u32 << bit) as libc::c_int;
        if ALLOWED.contains(&flag) || TAKEN_AWAY.contains(&flag) {
            continue;
        }
        note(format!("flag {flag:#x}"));
        let sent = socket.send_message(&Message::new(b"x"), flag | MSG_NOSIGNAL);
        sent.fails(libc::EINVAL);
    }
}

fn forbidden_flag_with_an_allowed_one_is_einval() {
    let socket = Socket::quic(Family::V4);
    socket
        .send(b"x", libc::MSG_OOB | libc::MSG_SYN | MSG_NOSIGNAL)
        .fails(libc::EINVAL);
    socket
        .send(b"x", libc::MSG_EOR | libc::MSG_RST | MSG_NOSIGNAL)
        .fails(libc::EINVAL);
}

fn forbidden_flag_comes_before_the_state(family: Family) {
    in_each(family, &STATES, |socket| {
        socket.send(b"x", libc::MSG_OOB).fails(libc::EINVAL);
        socket.send(b"", libc::MSG_EOR).fails(libc::EINVAL);
    });
}

fn sigpipe_comes_with_epipe(family: Family) {
    for state in STATES {
        note(format!("{state:?}"));
        let socket = idle(family, state);
        signal::count(SIGPIPE, 0).succeeds();
        socket.send(b"x", 0).fails(libc::EPIPE);
        equal(signal::counted(), 1);
    }
}

/// Even there, since what a message is to be is not known yet.
fn sigpipe_comes_with_epipe_of_a_datagram() {
    let socket = Socket::quic(Family::V4);
    signal::count(SIGPIPE, 0).succeeds();
    socket.send(b"x", MSG_QUIC_DATAGRAM).fails(libc::EPIPE);
    equal(signal::counted(), 1);
}

fn sigpipe_is_held_back_by_nosignal(family: Family) {
    signal::count(SIGPIPE, 0).succeeds();
    in_each(family, &STATES, |socket| {
        socket.send(b"x", MSG_NOSIGNAL).fails(libc::EPIPE);
        socket
            .send(b"x", MSG_NOSIGNAL | MSG_QUIC_DATAGRAM)
            .fails(libc::EPIPE);
    });
    equal(signal::counted(), 0);
}

fn sigpipe_does_not_come_with_einval(family: Family) {
    signal::count(SIGPIPE, 0).succeeds();
    in_each(family, &STATES, |socket| {
        socket.send(b"x", libc::MSG_OOB).fails(libc::EINVAL)
    });
    equal(signal::counted(), 0);
}

fn sendto_ignores_the_address() {
    let socket = Socket::quic(Family::V4);
    for address in [
        at("127.0.0.1:4433"),
        at("[::1]:1"),
        at("0.0.0.0:0").of_family(77),
    ] {
        let message = Message::new(b"x").to(address);
        socket
            .send_message(&message, MSG_NOSIGNAL)
            .fails(libc::EPIPE);
    }
}

fn write_is_epipe(family: Family) {
    signal::count(SIGPIPE, 0).succeeds();
    Socket::quic(family).write(b"x").fails(libc::EPIPE);
    equal(signal::counted(), 1);
}

fn sendmmsg_is_epipe(family: Family) {
    let socket = Socket::quic(family);
    Message::new(b"x")
        .send_many(socket.as_fd(), 3, MSG_NOSIGNAL)
        .fails(libc::EPIPE);
}

fn nonblocking_is_epipe(family: Family) {
    in_each(family, &STATES, |socket| {
        socket.set_nonblocking().succeeds();
        socket.send(b"x", MSG_NOSIGNAL).fails(libc::EPIPE);
        socket
            .send(b"x", MSG_NOSIGNAL | MSG_DONTWAIT)
            .fails(libc::EPIPE);
    });
}

fn bad_pointer_is_epipe() {
    let socket = Socket::quic(Family::V4);
    socket
        .send_at(BAD_POINTER, 100, MSG_NOSIGNAL)
        .fails(libc::EPIPE);
}

/// The message has this control message, in every state.
#[track_caller]
fn is_epipe_with(message: &Message<'_>) {
    in_each(Family::V4, &STATES, |socket| {
        socket
            .send_message(message, MSG_NOSIGNAL)
            .fails(libc::EPIPE);
    });
}

fn stream_info_is_not_looked_at() {
    for (id, flags) in [
        (-1, MSG_QUIC_STREAM_NEW),
        (0, MSG_QUIC_STREAM_NEW),
        (0, u32::MAX),
        (-2, 0),
    ] {
        let info = stream_info(id, flags);
        is_epipe_with(&Message::new(b"x").with(SOL_QUIC, QUIC_STREAM_INFO, &info));
        // As i386 has it.
        is_epipe_with(&Message::new(b"x").with(SOL_QUIC, QUIC_STREAM_INFO, &info[..12]));
    }
}

fn handshake_info_is_not_looked_at() {
    for level in [QUIC_CRYPTO_INITIAL, QUIC_CRYPTO_EARLY, 200] {
        is_epipe_with(&Message::new(b"x").with(SOL_QUIC, QUIC_HANDSHAKE_INFO, &[level]));
    }
}

fn malformed_control_message_is_not_looked_at() {
    for length in [0, 8, 15, 17, 1000] {
        let message = Message::new(b"x").with_length(SOL_QUIC, QUIC_STREAM_INFO, &[0; 16], length);
        is_epipe_with(&message);
    }
    is_epipe_with(&Message::new(b"x").with(SOL_QUIC, 77, &[0; 16]));
}

fn control_message_of_another_level_is_not_looked_at() {
    is_epipe_with(&Message::new(b"x").with(libc::SOL_IP, libc::IP_TOS, &[0; 4]));
    is_epipe_with(&Message::new(b"x").with(libc::SOL_SOCKET, libc::SCM_RIGHTS, &[0; 4]));
}

fn datagram_is_epipe(family: Family) {
    in_each(family, &STATES, |socket| {
        socket
            .send(b"x", MSG_QUIC_DATAGRAM | MSG_NOSIGNAL)
            .fails(libc::EPIPE);
    });
}

/// Not EINVAL: the pages of a file are as good as those of a buffer.
fn sendfile_is_epipe(family: Family) {
    signal::count(SIGPIPE, 0).succeeds();
    let file = file_with(&[0; 5000]).succeeds();
    sendfile(&Socket::quic(family), &file, 5000).fails(libc::EPIPE);
}

fn splice_is_epipe(family: Family) {
    signal::count(SIGPIPE, 0).succeeds();
    let file = file_with(&[0; 5000]).succeeds();
    let (reader, writer) = pipe().succeeds();
    equal(splice(&file, &writer, 4096), Ok(4096));
    splice(&reader, &Socket::quic(family), 4096).fails(libc::EPIPE);
}

/// Not EINVAL: the flag by which the kernel marks such a call is none of the program's.
fn call_of_a_32_bit_program_is_epipe() {
    if !compat::is_available() {
        skip("this kernel runs no 32-bit programs");
    }
    let info = stream_info(-1, MSG_QUIC_STREAM_NEW);
    in_each(Family::V4, &STATES, |socket| {
        let control = (SOL_QUIC, QUIC_STREAM_INFO, &info[..12]);
        compat::sendmsg(socket, b"x", control, MSG_NOSIGNAL).fails(libc::EPIPE);
    });
}

fn refused_message_leaves_the_socket_as_it_was(family: Family) {
    in_each(family, &STATES, |socket| {
        let name = socket.name();
        socket.send(b"x", MSG_NOSIGNAL).fails(libc::EPIPE);
        equal(socket.name(), name);
        equal(socket.get_int(libc::SOL_SOCKET, libc::SO_ERROR), Ok(0));
    });
}
