// SPDX-License-Identifier: MIT OR Apache-2.0

//! The option ALPN.

use super::{idle, in_each, set_alpn, Idle};
use crate::harness::case::cases;
use crate::harness::expect::{equal, note, Expect};
use crate::sys::address::Family;
use crate::sys::socket::Socket;
use quic_uapi::{QUIC_SOCKOPT_ALPN, SOL_QUIC};

cases! { "option_alpn":
    none_has_length_zero,
    none_needs_no_buffer,
    one_name,
    several_names,
    leading_spaces_are_dropped,
    set_again_replaces,
    single_byte,
    empty_is_einval,
    more_than_128_bytes_is_einval,
    one_name_of_127_bytes,
    one_name_of_128_bytes,
    names_of_128_bytes_together,
    bytes_are_not_interpreted,
    listening_cannot_be_changed,
    listening_can_be_read,
    stopped_can_be_changed,
    buffer_of_one_byte_more_is_enough,
    buffer_without_that_byte_is_einval,
    no_nul_is_written,
    refused_keeps_the_old_one,
}

#[track_caller]
fn is(socket: &Socket, list: &str) {
    let value = socket.get(SOL_QUIC, QUIC_SOCKOPT_ALPN, &[], 256).succeeds();
    equal(String::from_utf8_lossy(value.bytes()), list);
}

#[track_caller]
fn becomes(given: &str, kept: &str) {
    note(format!("{given:?}"));
    let socket = Socket::quic(Family::V4);
    set_alpn(&socket, given).succeeds();
    is(&socket, kept);
}

fn none_has_length_zero(family: Family) {
    in_each(family, &Idle::ALL, |socket| is(socket, ""));
}

fn none_needs_no_buffer() {
    let value = Socket::quic(Family::V4)
        .get(SOL_QUIC, QUIC_SOCKOPT_ALPN, &[], 0)
        .succeeds();
    equal(value.length, 0);
}

fn one_name(family: Family) {
    in_each(family, &Idle::CLOSED, |socket| {
        set_alpn(socket, "h3").succeeds();
        is(socket, "h3");
    });
}

fn several_names() {
    becomes("smbd,h3,ksmbd", "smbd,h3,ksmbd");
    becomes("a,b,c,d,e,f,g,h", "a,b,c,d,e,f,g,h");
}

fn leading_spaces_are_dropped() {
    becomes("smbd, h3,  ksmbd", "smbd,h3,ksmbd");
    becomes(" h3", "h3");
}

fn set_again_replaces() {
    let socket = Socket::quic(Family::V4);
    for list in ["smbd,h3,ksmbd", "h3", "a,b,c,d"] {
        set_alpn(&socket, list).succeeds();
        is(&socket, list);
    }
}

fn single_byte() {
    becomes("x", "x");
}

fn empty_is_einval(family: Family) {
    in_each(family, &Idle::CLOSED, |socket| {
        set_alpn(socket, "").fails(libc::EINVAL)
    });
}

fn more_than_128_bytes_is_einval(family: Family) {
    in_each(family, &Idle::CLOSED, |socket| {
        set_alpn(socket, &"x".repeat(129)).fails(libc::EINVAL);
        set_alpn(socket, &"abc,".repeat(40)).fails(libc::EINVAL);
        is(socket, "");
    });
}

fn one_name_of_127_bytes() {
    becomes(&"x".repeat(127), &"x".repeat(127));
}

fn one_name_of_128_bytes() {
    becomes(&"x".repeat(128), &"x".repeat(128));
}

fn names_of_128_bytes_together() {
    let list = format!("{}xyz", "abcd,".repeat(25));
    equal(list.len(), 128);
    becomes(&list, &list);
}

fn bytes_are_not_interpreted() {
    let socket = Socket::quic(Family::V4);
    let list = [0xff, 0x00, 0x80, b',', b'x', b' ', b'y'];
    socket.set(SOL_QUIC, QUIC_SOCKOPT_ALPN, &list).succeeds();
    equal(
        socket
            .get(SOL_QUIC, QUIC_SOCKOPT_ALPN, &[], 128)
            .succeeds()
            .bytes(),
        list.as_slice(),
    );
}

/// The socket is in the table of listeners under its list.
fn listening_cannot_be_changed(family: Family) {
    let socket = idle(family, Idle::Bound);
    set_alpn(&socket, "h3").succeeds();
    socket.listen(1).succeeds();
    set_alpn(&socket, "smb").fails(libc::EINVAL);
    is(&socket, "h3");
    let without = idle(family, Idle::Listening);
    set_alpn(&without, "smb").fails(libc::EINVAL);
    is(&without, "");
}

fn listening_can_be_read(family: Family) {
    let socket = Socket::quic(family);
    set_alpn(&socket, "h3,smb").succeeds();
    socket.listen(1).succeeds();
    is(&socket, "h3,smb");
}

fn stopped_can_be_changed(family: Family) {
    let socket = idle(family, Idle::Stopped);
    set_alpn(&socket, "smb").succeeds();
    is(&socket, "smb");
}

/// The kernel keeps each name with its length, and needs as much room to give the list.
fn buffer_of_one_byte_more_is_enough() {
    let socket = Socket::quic(Family::V4);
    for list in ["h3", "smbd,h3,ksmbd"] {
        set_alpn(&socket, list).succeeds();
        let room = list.len() as u32 + 1;
        let value = socket
            .get(SOL_QUIC, QUIC_SOCKOPT_ALPN, &[], room)
            .succeeds();
        equal(value.bytes(), list.as_bytes());
    }
}

fn buffer_without_that_byte_is_einval() {
    let socket = Socket::quic(Family::V4);
    set_alpn(&socket, "smbd,h3").succeeds();
    for room in [0, 1, 4, 7] {
        note(format!("{room} bytes"));
        socket
            .get(SOL_QUIC, QUIC_SOCKOPT_ALPN, &[], room)
            .fails(libc::EINVAL);
    }
}

fn no_nul_is_written() {
    let socket = Socket::quic(Family::V4);
    set_alpn(&socket, "smbd,h3").succeeds();
    let value = socket.get(SOL_QUIC, QUIC_SOCKOPT_ALPN, &[], 128).succeeds();
    equal(value.length, 7);
    assert!(value.is_untouched_from(8), "more was written");
    assert!(
        value.is_untouched_from(7),
        "something was written behind the list"
    );
}

fn refused_keeps_the_old_one() {
    let socket = Socket::quic(Family::V4);
    set_alpn(&socket, "h3").succeeds();
    set_alpn(&socket, "").fails(libc::EINVAL);
    set_alpn(&socket, &"x".repeat(200)).fails(libc::EINVAL);
    is(&socket, "h3");
}
