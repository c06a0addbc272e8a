// SPDX-License-Identifier: MIT OR Apache-2.0

//! The options of a connection, CONNECTION_CLOSE, CONNECTION_ID, CONNECTION_MIGRATION and
//! KEY_UPDATE, before there is one.

use super::{idle, in_each, Idle, PORT};
use crate::harness::case::cases;
use crate::harness::expect::{equal, note, Expect};
use crate::sys::address::{at, Address, Family};
use crate::sys::errno::Result;
use crate::sys::socket::Socket;
use quic_uapi::*;

cases! { "option_connection":
    close_is_empty,
    close_keeps_code_and_phrase,
    close_code_has_32_bits,
    close_phrase_of_63_bytes,
    close_phrase_of_64_bytes_is_cut,
    close_frame_is_always_zero,
    close_set_again_replaces,
    close_short_value_has_an_empty_phrase,
    close_value_may_end_within_the_phrase,
    close_empty_value_clears,
    close_can_be_cut_to_the_code,
    close_survives_listening,
    id_is_einval_to_set,
    id_is_einval_to_get,
    migration_is_epipe,
    migration_to_an_unparsable_address_is_einval,
    migration_to_port_zero_is_einval,
    migration_of_a_v4_socket_to_v6_is_einval,
    migration_to_v4_of_a_v6_socket_is_epipe,
    migration_without_address_is_einval,
    key_update_is_epipe,
    key_update_with_a_value_is_epipe,
}

fn close(errcode: u32, text: &[u8]) -> quic_connection_close {
    let mut close = quic_connection_close {
        errcode,
        ..Default::default()
    };
    close.phrase[..text.len()].copy_from_slice(text);
    close
}

fn set_close(socket: &Socket, close: &quic_connection_close) -> Result<()> {
    socket.set_quic(QUIC_SOCKOPT_CONNECTION_CLOSE, close)
}

#[track_caller]
fn get_close(socket: &Socket) -> quic_connection_close {
    socket
        .get_quic(QUIC_SOCKOPT_CONNECTION_CLOSE, &Default::default())
        .succeeds()
}

fn close_is_empty(family: Family) {
    in_each(family, &Idle::ALL, |socket| {
        equal(get_close(socket), close(0, b""))
    });
}

fn close_keeps_code_and_phrase(family: Family) {
    in_each(family, &Idle::ALL, |socket| {
        set_close(socket, &close(7, b"good bye")).succeeds();
        equal(get_close(socket), close(7, b"good bye"));
    });
}

fn close_code_has_32_bits() {
    let socket = Socket::quic(Family::V4);
    set_close(&socket, &close(u32::MAX, b"")).succeeds();
    equal(get_close(&socket), close(u32::MAX, b""));
}

fn close_phrase_of_63_bytes() {
    let socket = Socket::quic(Family::V4);
    set_close(&socket, &close(1, &[b'x'; 63])).succeeds();
    equal(get_close(&socket), close(1, &[b'x'; 63]));
}

/// So that it ends with NUL.
fn close_phrase_of_64_bytes_is_cut() {
    let socket = Socket::quic(Family::V4);
    set_close(&socket, &close(1, &[b'x'; 64])).succeeds();
    equal(get_close(&socket), close(1, &[b'x'; 63]));
}

/// It is for errors of the transport; Samba passes what it has there.
fn close_frame_is_always_zero(family: Family) {
    in_each(family, &Idle::ALL, |socket| {
        set_close(
            socket,
            &quic_connection_close {
                frame: 0x1d,
                ..close(7, b"x")
            },
        )
        .succeeds();
        equal(get_close(socket), close(7, b"x"));
    });
}

fn close_set_again_replaces() {
    let socket = Socket::quic(Family::V4);
    set_close(&socket, &close(7, b"a long phrase")).succeeds();
    set_close(&socket, &close(8, b"short")).succeeds();
    equal(get_close(&socket), close(8, b"short"));
}

fn close_short_value_has_an_empty_phrase() {
    let socket = Socket::quic(Family::V4);
    set_close(&socket, &close(7, b"a phrase")).succeeds();
    let value = close(9, b"");
    socket
        .set(
            SOL_QUIC,
            QUIC_SOCKOPT_CONNECTION_CLOSE,
            &value.as_bytes()[..4],
        )
        .succeeds();
    equal(get_close(&socket), close(9, b""));
}

fn close_value_may_end_within_the_phrase() {
    let socket = Socket::quic(Family::V4);
    let value = close(9, b"abcdef");
    socket
        .set(
            SOL_QUIC,
            QUIC_SOCKOPT_CONNECTION_CLOSE,
            &value.as_bytes()[..11],
        )
        .succeeds();
    equal(get_close(&socket), close(9, b"abc"));
}

fn close_empty_value_clears() {
    let socket = Socket::quic(Family::V4);
    set_close(&socket, &close(7, b"a phrase")).succeeds();
    socket
        .set(SOL_QUIC, QUIC_SOCKOPT_CONNECTION_CLOSE, &[])
        .succeeds();
    equal(get_close(&socket), close(0, b""));
}

fn close_can_be_cut_to_the_code() {
    let socket = Socket::quic(Family::V4);
    set_close(&socket, &close(0x0102_0304, b"a phrase")).succeeds();
    let value = socket
        .get(SOL_QUIC, QUIC_SOCKOPT_CONNECTION_CLOSE, &[], 4)
        .succeeds();
    equal(value.bytes(), 0x0102_0304_u32.to_ne_bytes().as_slice());
    assert!(value.is_untouched_from(4), "more was written");
}

fn close_survives_listening() {
    let socket = idle(Family::V4, Idle::Bound);
    set_close(&socket, &close(7, b"x")).succeeds();
    socket.listen(1).succeeds();
    equal(get_close(&socket), close(7, b"x"));
    socket.listen(0).succeeds();
    equal(get_close(&socket), close(7, b"x"));
}

/// Values that a connection might take, and one that none would.
fn ids() -> [quic_connection_id_info; 4] {
    let id = |dest, active, prior_to| quic_connection_id_info {
        dest,
        active,
        prior_to,
        ..Default::default()
    };
    [
        id(0, 0, 0),
        id(1, 0, 0),
        id(0, 1, 1),
        id(1, u32::MAX, u32::MAX),
    ]
}

fn id_is_einval_to_set(family: Family) {
    in_each(family, &Idle::ALL, |socket| {
        for id in ids() {
            socket
                .set_quic(QUIC_SOCKOPT_CONNECTION_ID, &id)
                .fails(libc::EINVAL);
        }
        socket
            .set(SOL_QUIC, QUIC_SOCKOPT_CONNECTION_ID, &[])
            .fails(libc::EINVAL);
    });
}

fn id_is_einval_to_get(family: Family) {
    in_each(family, &Idle::ALL, |socket| {
        for id in ids() {
            socket
                .get_quic(QUIC_SOCKOPT_CONNECTION_ID, &id)
                .fails(libc::EINVAL);
        }
        socket
            .get(SOL_QUIC, QUIC_SOCKOPT_CONNECTION_ID, &[], 1)
            .fails(libc::EINVAL);
    });
}

fn migrate(socket: &Socket, address: &Address) -> Result<()> {
    let value = &address.bytes()[..address.length() as usize];
    socket.set(SOL_QUIC, QUIC_SOCKOPT_CONNECTION_MIGRATION, value)
}

fn migration_is_epipe(family: Family) {
    in_each(family, &Idle::ALL, |socket| {
        migrate(socket, &family.loopback(PORT)).fails(libc::EPIPE);
    });
}

#[track_caller]
fn migration_is_einval(family: Family, address: &Address) {
    in_each(family, &Idle::ALL, |socket| {
        migrate(socket, address).fails(libc::EINVAL)
    });
}

/// The address is looked at before the state.
fn migration_to_an_unparsable_address_is_einval(family: Family) {
    migration_is_einval(family, &family.loopback(PORT).of_family(libc::AF_UNSPEC));
    migration_is_einval(family, &family.loopback(PORT).of_family(libc::AF_UNIX));
    for length in [1, 2, 8, family.address_length() - 1] {
        note(format!("{length} bytes"));
        migration_is_einval(family, &family.loopback(PORT).of_length(length));
    }
}

fn migration_to_port_zero_is_einval(family: Family) {
    migration_is_einval(family, &family.loopback(0));
}

fn migration_of_a_v4_socket_to_v6_is_einval() {
    migration_is_einval(Family::V4, &at("[::1]:4433"));
}

fn migration_to_v4_of_a_v6_socket_is_epipe() {
    in_each(Family::V6, &Idle::ALL, |socket| {
        migrate(socket, &at("127.0.0.1:4433")).fails(libc::EPIPE);
    });
}

fn migration_without_address_is_einval(family: Family) {
    in_each(family, &Idle::ALL, |socket| {
        socket
            .set_at(SOL_QUIC, QUIC_SOCKOPT_CONNECTION_MIGRATION, 0, 0)
            .fails(libc::EINVAL);
    });
}

/// No value is the usual one.
fn key_update_is_epipe(family: Family) {
    in_each(family, &Idle::ALL, |socket| {
        socket
            .set_at(SOL_QUIC, QUIC_SOCKOPT_KEY_UPDATE, 0, 0)
            .fails(libc::EPIPE);
    });
}

fn key_update_with_a_value_is_epipe(family: Family) {
    in_each(family, &Idle::ALL, |socket| {
        for length in [1, 4, 100, 4096] {
            let value = vec![0xff; length];
            socket
                .set(SOL_QUIC, QUIC_SOCKOPT_KEY_UPDATE, &value)
                .fails(libc::EPIPE);
        }
    });
}
