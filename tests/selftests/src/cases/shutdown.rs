// SPDX-License-Identifier: MIT OR Apache-2.0

//! `shutdown()` and `close()` of sockets without a connection.

use super::{bind_soon, idle, in_each, listening, Idle, PORT};
use crate::harness::case::cases;
use crate::harness::expect::{equal, Expect};
use crate::sys::address::Family;
use crate::sys::proc::{listening_at, no_endpoints_are_left};
use crate::sys::socket::Socket;
use libc::{SHUT_RD, SHUT_RDWR, SHUT_WR};

cases! { "shutdown":
    closed_is_enotconn,
    unknown_how_is_einval,
    closed_can_still_be_used,
    writing_of_a_listener_has_no_effect,
    reading_of_a_listener_is_eopnotsupp,
    close_gives_the_port_back,
    close_ends_listening,
    close_of_a_duplicate_has_no_effect,
    close_with_linger_does_not_wait,
}

fn closed_is_enotconn(family: Family) {
    in_each(family, &Idle::CLOSED, |socket| {
        for how in [SHUT_RD, SHUT_WR, SHUT_RDWR] {
            socket.shutdown(how).fails(libc::ENOTCONN);
        }
    });
}

fn unknown_how_is_einval(family: Family) {
    in_each(family, &Idle::ALL, |socket| {
        for how in [-1, 3, 100, i32::MAX] {
            socket.shutdown(how).fails(libc::EINVAL);
        }
    });
}

fn closed_can_still_be_used(family: Family) {
    let socket = Socket::quic(family);
    socket.shutdown(SHUT_RDWR).fails(libc::ENOTCONN);
    socket.bind(&family.loopback(PORT)).succeeds();
    socket.shutdown(SHUT_RDWR).fails(libc::ENOTCONN);
    socket.listen(1).succeeds();
    socket.set_nonblocking().succeeds();
    socket.accept(0).fails(libc::EAGAIN);
}

#[track_caller]
fn still_listens(socket: &Socket) {
    equal(socket.get_int(libc::SOL_SOCKET, libc::SO_ACCEPTCONN), Ok(1));
    equal(listening_at().len(), 1);
    socket.set_nonblocking().succeeds();
    socket.accept(0).fails(libc::EAGAIN);
}

fn writing_of_a_listener_has_no_effect(family: Family) {
    let socket = idle(family, Idle::Listening);
    socket.shutdown(SHUT_WR).succeeds();
    still_listens(&socket);
}

fn reading_of_a_listener_is_eopnotsupp(family: Family) {
    let socket = idle(family, Idle::Listening);
    socket.shutdown(SHUT_RD).fails(libc::EOPNOTSUPP);
    still_listens(&socket);
    socket.shutdown(SHUT_RDWR).fails(libc::EOPNOTSUPP);
    still_listens(&socket);
}

fn close_gives_the_port_back(family: Family) {
    for _ in 0..5 {
        let socket = Socket::quic(family);
        bind_soon(&socket, &family.loopback(PORT)).succeeds();
        socket.listen(1).succeeds();
    }
}

/// Scripts wait for the address to disappear from the list.
fn close_ends_listening(family: Family) {
    let socket = idle(family, Idle::Listening);
    equal(listening_at().len(), 1);
    drop(socket);
    no_endpoints_are_left();
}

fn close_of_a_duplicate_has_no_effect() {
    let socket = listening("127.0.0.1:4433");
    let duplicate = socket.try_clone().succeeds();
    drop(socket);
    still_listens(&duplicate);
    drop(duplicate);
    no_endpoints_are_left();
}

fn close_with_linger_does_not_wait(family: Family) {
    let socket = idle(family, Idle::Listening);
    // struct linger: on, for 60 seconds.
    let linger = [1_i32.to_ne_bytes(), 60_i32.to_ne_bytes()].concat();
    socket
        .set(libc::SOL_SOCKET, libc::SO_LINGER, &linger)
        .succeeds();
    let start = std::time::Instant::now();
    drop(socket);
    assert!(start.elapsed().as_secs() < 30, "close() waited");
}
