// SPDX-License-Identifier: MIT OR Apache-2.0

//! `recvmsg()` and its kin on sockets without a connection.

use super::{idle, in_each, Idle};
use crate::harness::case::cases;
use crate::harness::expect::{equal, note, Expect};
use crate::sys::address::Family;
use crate::sys::message::receive_many;
use crate::sys::process::pipe;
use crate::sys::signal;
use crate::sys::socket::{splice, Socket};
use libc::MSG_DONTWAIT;
use std::os::fd::AsFd;

cases! { "recvmsg":
    without_connection_is_enotconn,
    read_is_enotconn,
    message_is_enotconn,
    recvmmsg_is_enotconn,
    nonblocking_is_enotconn,
    does_not_wait,
    every_flag_is_enotconn,
    flags_of_a_former_call_are_enotconn,
    splice_is_enotconn,
    raises_no_signal,
}

fn without_connection_is_enotconn(family: Family) {
    in_each(family, &Idle::ALL, |socket| {
        socket.recv(&mut [0; 16], 0).fails(libc::ENOTCONN);
    });
}

fn read_is_enotconn(family: Family) {
    in_each(family, &Idle::ALL, |socket| {
        socket.read(&mut [0; 16]).fails(libc::ENOTCONN);
    });
}

fn message_is_enotconn(family: Family) {
    in_each(family, &Idle::ALL, |socket| {
        socket.receive_message(16, 0).fails(libc::ENOTCONN);
    });
}

fn recvmmsg_is_enotconn(family: Family) {
    in_each(family, &Idle::ALL, |socket| {
        receive_many(socket.as_fd(), 0).fails(libc::ENOTCONN);
    });
}

fn nonblocking_is_enotconn(family: Family) {
    in_each(family, &Idle::ALL, |socket| {
        socket
            .recv(&mut [0; 16], MSG_DONTWAIT)
            .fails(libc::ENOTCONN);
        socket.set_nonblocking().succeeds();
        socket.recv(&mut [0; 16], 0).fails(libc::ENOTCONN);
    });
}

fn does_not_wait(family: Family) {
    in_each(family, &Idle::ALL, |socket| {
        let long = std::time::Duration::from_secs(1000);
        socket.set_receive_timeout(long).succeeds();
        socket
            .recv(&mut [0; 16], libc::MSG_WAITALL)
            .fails(libc::ENOTCONN);
    });
}

/// Programs pass flags that a former call returned, so none may be refused. The highest two are the
/// core's.
fn every_flag_is_enotconn(family: Family) {
    let socket = Socket::quic(family);
    for bit in 0..30 {
        note(format!("flag {:#x}", 1 << bit));
        socket.recv(&mut [0; 16], 1 << bit).fails(libc::ENOTCONN);
        socket.receive_message(16, 1 << bit).fails(libc::ENOTCONN);
    }
}

fn flags_of_a_former_call_are_enotconn() {
    let socket = idle(Family::V4, Idle::Bound);
    for flags in [0x8080, 0x200, 0x1080, 0x80, 0x8] {
        note(format!("flags {flags:#x}"));
        socket.receive_message(16, flags).fails(libc::ENOTCONN);
        socket
            .receive_message(16, flags | MSG_DONTWAIT)
            .fails(libc::ENOTCONN);
    }
}

fn splice_is_enotconn(family: Family) {
    let (_reader, writer) = pipe().succeeds();
    in_each(family, &Idle::ALL, |socket| {
        splice(socket, &writer, 100).fails(libc::ENOTCONN);
    });
}

fn raises_no_signal() {
    signal::count(libc::SIGPIPE, 0).succeeds();
    Socket::quic(Family::V4)
        .recv(&mut [0; 16], 0)
        .fails(libc::ENOTCONN);
    equal(signal::counted(), 0);
}
