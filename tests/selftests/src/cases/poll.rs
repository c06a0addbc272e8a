// SPDX-License-Identifier: MIT OR Apache-2.0

//! `poll()`, `epoll` and `select()` of sockets without a connection.

use super::{idle, in_each, Idle};
use crate::harness::case::cases;
use crate::harness::expect::{equal, patient, Expect};
use crate::sys::address::Family;
use crate::sys::poll::{epoll_now, poll, select_now, Watched, ALL};
use crate::sys::socket::Socket;
use libc::{POLLERR, POLLHUP, POLLIN, POLLNVAL, POLLOUT, POLLRDHUP, POLLRDNORM, POLLWRNORM};
use std::os::fd::AsFd;
use std::time::{Duration, Instant};

cases! { "poll":
    closed_has_hung_up,
    closed_is_told_without_being_asked,
    closed_answers_only_what_is_asked,
    listening_is_silent,
    listening_stays_silent_while_waited_for,
    stop_listening_wakes,
    several_at_once,
    epoll_of_closed,
    epoll_of_listening,
    epoll_edge_triggered_of_closed,
    select_of_closed,
    select_of_listening,
}

const CLOSED: i16 = POLLHUP | POLLERR | POLLIN | POLLRDNORM | POLLRDHUP | POLLOUT | POLLWRNORM;

/// So that a program which waits for a connection that is gone does not sleep for ever.
fn closed_has_hung_up(family: Family) {
    in_each(family, &Idle::CLOSED, |socket| {
        equal(socket.poll(ALL), CLOSED)
    });
}

fn closed_is_told_without_being_asked(family: Family) {
    in_each(family, &Idle::CLOSED, |socket| {
        equal(socket.poll(0), POLLHUP | POLLERR)
    });
}

fn closed_answers_only_what_is_asked(family: Family) {
    in_each(family, &Idle::CLOSED, |socket| {
        equal(socket.poll(POLLIN), POLLHUP | POLLERR | POLLIN);
        equal(socket.poll(POLLOUT), POLLHUP | POLLERR | POLLOUT);
        equal(socket.poll(POLLRDHUP), POLLHUP | POLLERR | POLLRDHUP);
        equal(socket.poll(libc::POLLPRI), POLLHUP | POLLERR);
    });
}

fn listening_is_silent(family: Family) {
    equal(idle(family, Idle::Listening).poll(ALL), 0);
}

fn listening_stays_silent_while_waited_for() {
    let socket = idle(Family::V4, Idle::Listening);
    let mut watched = [Watched::new(socket.as_fd(), ALL)];
    equal(poll(&mut watched, Some(Duration::from_millis(100))), Ok(0));
}

/// A server that polls must learn that nobody will come any more.
fn stop_listening_wakes() {
    let socket = idle(Family::V4, Idle::Listening);
    let long = patient(Duration::from_secs(5));
    let start = Instant::now();
    std::thread::scope(|scope| {
        let polling = scope.spawn(|| {
            let mut watched = [Watched::new(socket.as_fd(), POLLIN)];
            poll(&mut watched, Some(long)).map(|_| watched[0].answer())
        });
        std::thread::sleep(Duration::from_millis(150));
        socket.listen(0).succeeds();
        equal(polling.join().unwrap(), Ok(POLLHUP | POLLERR | POLLIN));
    });
    assert!(start.elapsed() < long, "it slept until its timeout");
}

fn several_at_once(family: Family) {
    let sockets = Idle::ALL.map(|state| idle(family, state));
    let mut watched: Vec<_> = sockets
        .iter()
        .map(|socket| Watched::new(socket.as_fd(), ALL))
        .collect();
    equal(poll(&mut watched, Some(Duration::ZERO)), Ok(3));
    let answers: Vec<_> = watched.iter().map(Watched::answer).collect();
    equal(answers, vec![CLOSED, CLOSED, 0, CLOSED]);
    equal(CLOSED & POLLNVAL, 0);
}

const EVERYTHING: u32 = 0x7ff;

fn epoll_of_closed(family: Family) {
    in_each(family, &Idle::CLOSED, |socket| {
        equal(
            epoll_now(socket, EVERYTHING | libc::EPOLLRDHUP as u32),
            Ok(CLOSED as u32),
        );
    });
}

fn epoll_of_listening(family: Family) {
    let socket = idle(family, Idle::Listening);
    equal(
        epoll_now(&socket, EVERYTHING | libc::EPOLLRDHUP as u32),
        Ok(0),
    );
}

fn epoll_edge_triggered_of_closed() {
    let socket = Socket::quic(Family::V4);
    let edge = libc::EPOLLET as u32 | libc::EPOLLIN as u32;
    equal(
        epoll_now(&socket, edge),
        Ok((POLLHUP | POLLERR | POLLIN) as u32),
    );
}

fn select_of_closed(family: Family) {
    in_each(family, &Idle::CLOSED, |socket| {
        equal(select_now(socket), Ok((true, true, false)))
    });
}

fn select_of_listening(family: Family) {
    equal(
        select_now(idle(family, Idle::Listening)),
        Ok((false, false, false)),
    );
}
