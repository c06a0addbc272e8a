// SPDX-License-Identifier: MIT OR Apache-2.0

//! `accept()` where nobody connects.

use super::{idle, in_each, Idle};
use crate::harness::case::cases;
use crate::harness::expect::{between, patient, Expect};
use crate::sys::address::Family;
use crate::sys::errno::Errno;
use crate::sys::signal;
use crate::sys::socket::Socket;
use std::thread;
use std::time::{Duration, Instant};

cases! { "accept":
    not_listening_is_einval,
    not_listening_and_nonblocking_is_einval,
    nonblocking_is_eagain,
    nonblocking_new_socket_does_not_change_the_wait,
    unknown_flag_is_einval,
    times_out,
    signal_is_eintr,
    signal_with_timeout_and_restart_is_eintr,
    signal_with_restart_goes_on_waiting,
    wakes_when_it_stops_listening,
    all_wake_when_it_stops_listening,
    waits_on_while_the_backlog_changes,
    waits_on_after_a_refused_shutdown,
}

/// Long enough for another thread to be asleep in the kernel.
const A_WHILE: Duration = Duration::from_millis(150);

/// The earliest end of a timeout. The kernel counts it in ticks, of which the first has begun
/// already, and on a busy host those of an emulated machine come late, several at once.
fn earliest(timeout: Duration) -> Duration {
    timeout / 2
}

fn listener() -> Socket {
    idle(Family::V4, Idle::Listening)
}

fn not_listening_is_einval(family: Family) {
    in_each(family, &Idle::CLOSED, |socket| {
        socket.accept(0).fails(libc::EINVAL)
    });
}

fn not_listening_and_nonblocking_is_einval(family: Family) {
    in_each(family, &Idle::CLOSED, |socket| {
        socket.set_nonblocking().succeeds();
        socket.accept(0).fails(libc::EINVAL);
    });
}

fn nonblocking_is_eagain(family: Family) {
    let socket = idle(family, Idle::Listening);
    socket.set_nonblocking().succeeds();
    socket.accept(0).fails(libc::EAGAIN);
    socket.accept(libc::SOCK_CLOEXEC).fails(libc::EAGAIN);
}

/// SOCK_NONBLOCK is for the new socket; whether the call waits is a matter of the listener.
fn nonblocking_new_socket_does_not_change_the_wait() {
    let socket = listener();
    socket.set_receive_timeout(A_WHILE).succeeds();
    let start = Instant::now();
    socket.accept(libc::SOCK_NONBLOCK).fails(libc::EAGAIN);
    assert!(
        start.elapsed() >= earliest(A_WHILE),
        "it did not wait: {:?}",
        start.elapsed()
    );
}

fn unknown_flag_is_einval() {
    listener().accept(1).fails(libc::EINVAL);
}

fn times_out(family: Family) {
    let socket = idle(family, Idle::Listening);
    for milliseconds in [100, 300] {
        let timeout = Duration::from_millis(milliseconds);
        socket.set_receive_timeout(timeout).succeeds();
        let start = Instant::now();
        socket.accept(0).fails(libc::EAGAIN);
        let latest = timeout + patient(Duration::from_secs(2));
        between(start.elapsed(), earliest(timeout), latest);
    }
}

fn signal_is_eintr() {
    let socket = listener();
    signal::interrupted(0, A_WHILE, 20, || socket.accept(0)).fails(libc::EINTR);
}

/// A call that was to wait for a certain time is not begun again, or the time would begin again.
fn signal_with_timeout_and_restart_is_eintr() {
    let socket = listener();
    socket
        .set_receive_timeout(patient(Duration::from_secs(5)))
        .succeeds();
    signal::interrupted(libc::SA_RESTART, A_WHILE, 20, || socket.accept(0)).fails(libc::EINTR);
}

fn signal_with_restart_goes_on_waiting() {
    let socket = listener();
    let start = Instant::now();
    thread::scope(|scope| {
        scope.spawn(|| {
            thread::sleep(A_WHILE * 5);
            socket.listen(0).succeeds();
        });
        signal::interrupted(libc::SA_RESTART, A_WHILE, 1, || socket.accept(0)).fails(libc::EINVAL);
    });
    assert!(signal::counted() == 1, "no signal came");
    assert!(start.elapsed() >= A_WHILE * 4, "the signal ended the call");
}

fn wakes_when_it_stops_listening(family: Family) {
    let socket = idle(family, Idle::Listening);
    thread::scope(|scope| {
        let accepting = scope.spawn(|| socket.accept(0));
        thread::sleep(A_WHILE);
        assert!(!accepting.is_finished(), "accept() did not wait");
        socket.listen(0).succeeds();
        accepting.join().unwrap().fails(libc::EINVAL);
    });
}

fn all_wake_when_it_stops_listening() {
    let socket = listener();
    thread::scope(|scope| {
        let accepting: Vec<_> = (0..8).map(|_| scope.spawn(|| socket.accept(0))).collect();
        thread::sleep(A_WHILE);
        socket.listen(0).succeeds();
        for thread in accepting {
            thread.join().unwrap().fails(libc::EINVAL);
        }
    });
}

/// `accept()` is still waiting after `disturb`, and ends when the socket stops listening.
fn waits_on_after(disturb: impl FnOnce(&Socket)) {
    let socket = listener();
    thread::scope(|scope| {
        let accepting = scope.spawn(|| -> Result<Socket, Errno> { socket.accept(0) });
        thread::sleep(A_WHILE);
        disturb(&socket);
        thread::sleep(A_WHILE);
        let waits = !accepting.is_finished();
        socket.listen(0).succeeds(); // or the thread would never be joined
        accepting.join().unwrap().fails(libc::EINVAL);
        assert!(waits, "accept() has ended");
    });
}

fn waits_on_while_the_backlog_changes() {
    waits_on_after(|socket| socket.listen(100).succeeds());
}

fn waits_on_after_a_refused_shutdown() {
    waits_on_after(|socket| socket.shutdown(libc::SHUT_RD).fails(libc::EOPNOTSUPP));
}
