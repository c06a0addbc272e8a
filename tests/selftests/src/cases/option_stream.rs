// SPDX-License-Identifier: MIT OR Apache-2.0

//! The options of a stream, STREAM_OPEN, STREAM_RESET and STREAM_STOP_SENDING, where there can be
//! none.

use super::{in_each, Idle};
use crate::harness::case::cases;
use crate::harness::expect::{equal, Expect};
use crate::sys::address::Family;
use crate::sys::message::{errinfo, stream_info};
use crate::sys::signal;
use libc::c_int;
use quic_uapi::*;

cases! { "option_stream":
    open_is_epipe,
    open_of_any_stream_is_epipe,
    open_of_a_short_structure_is_epipe,
    open_raises_no_signal,
    reset_is_einval,
    reset_of_any_stream_is_einval,
    reset_of_any_length_is_einval,
    stop_sending_is_einval,
    stop_sending_of_any_stream_is_einval,
    stop_sending_of_any_length_is_einval,
}

const IDS: [i64; 8] = [0, 1, 2, 3, -1, 400, (1 << 62) - 1, i64::MIN];

#[track_caller]
fn open_fails(family: Family, info: &[u8]) {
    in_each(family, &Idle::ALL, |socket| {
        let room = info.len() as u32;
        socket
            .get(SOL_QUIC, QUIC_SOCKOPT_STREAM_OPEN, info, room)
            .fails(libc::EPIPE);
    });
}

fn open_is_epipe(family: Family) {
    open_fails(family, &stream_info(-1, 0));
    open_fails(family, &stream_info(-1, MSG_QUIC_STREAM_UNI));
    open_fails(family, &stream_info(-1, MSG_QUIC_STREAM_DONTWAIT));
}

fn open_of_any_stream_is_epipe() {
    IDS.into_iter()
        .for_each(|id| open_fails(Family::V4, &stream_info(id, 0)));
}

/// Without its padding, as on i386.
fn open_of_a_short_structure_is_epipe() {
    open_fails(Family::V4, &stream_info(-1, 0)[..12]);
}

fn open_raises_no_signal() {
    signal::count(libc::SIGPIPE, 0).succeeds();
    open_fails(Family::V4, &stream_info(-1, 0));
    equal(signal::counted(), 0);
}

#[track_caller]
fn set_fails(family: Family, name: c_int, value: &[u8]) {
    in_each(family, &Idle::ALL, |socket| {
        socket.set(SOL_QUIC, name, value).fails(libc::EINVAL);
    });
}

fn reset_is_einval(family: Family) {
    set_fails(family, QUIC_SOCKOPT_STREAM_RESET, &errinfo(0, 1));
}

fn reset_of_any_stream_is_einval() {
    IDS.into_iter().for_each(|id| {
        set_fails(Family::V4, QUIC_SOCKOPT_STREAM_RESET, &errinfo(id, 1));
    });
}

fn reset_of_any_length_is_einval() {
    for length in [0, 1, 8, 12, 17, 100] {
        set_fails(Family::V4, QUIC_SOCKOPT_STREAM_RESET, &vec![0; length]);
    }
}

fn stop_sending_is_einval(family: Family) {
    set_fails(family, QUIC_SOCKOPT_STREAM_STOP_SENDING, &errinfo(0, 1));
}

fn stop_sending_of_any_stream_is_einval() {
    IDS.into_iter().for_each(|id| {
        set_fails(
            Family::V4,
            QUIC_SOCKOPT_STREAM_STOP_SENDING,
            &errinfo(id, 1),
        );
    });
}

fn stop_sending_of_any_length_is_einval() {
    for length in [0, 1, 8, 12, 17, 100] {
        set_fails(
            Family::V4,
            QUIC_SOCKOPT_STREAM_STOP_SENDING,
            &vec![0; length],
        );
    }
}
