// SPDX-License-Identifier: MIT OR Apache-2.0

//! The option EVENT.

use super::{idle, in_each, Idle};
use crate::harness::case::cases;
use crate::harness::expect::{equal, note, Expect};
use crate::sys::address::Family;
use crate::sys::errno::Result;
use crate::sys::socket::Socket;
use quic_uapi::*;
use std::ops::Range;

cases! { "option_event":
    all_are_off,
    each_can_be_switched,
    each_is_apart_from_the_others,
    any_value_but_zero_is_on,
    none_is_einval,
    beyond_the_last_is_einval,
    none_is_einval_to_get,
    beyond_the_last_is_einval_to_get,
    without_value_is_off,
    empty_is_einval,
    type_alone_is_given_back,
    survives_listening,
}

const EVENTS: Range<u8> = QUIC_EVENT_STREAM_UPDATE..QUIC_EVENT_MAX;

fn switch(socket: &Socket, event: u8, on: u8) -> Result<()> {
    socket.set_quic(QUIC_SOCKOPT_EVENT, &quic_event_option { r#type: event, on })
}

fn get(socket: &Socket, event: u8) -> Result<quic_event_option> {
    socket.get_quic(
        QUIC_SOCKOPT_EVENT,
        &quic_event_option {
            r#type: event,
            on: 77,
        },
    )
}

#[track_caller]
fn is(socket: &Socket, event: u8, on: u8) {
    equal(
        get(socket, event),
        Ok(quic_event_option { r#type: event, on }),
    );
}

fn all_are_off(family: Family) {
    in_each(family, &Idle::ALL, |socket| {
        EVENTS.for_each(|event| is(socket, event, 0))
    });
}

fn each_can_be_switched(family: Family) {
    in_each(family, &Idle::ALL, |socket| {
        for event in EVENTS {
            for on in [1, 1, 0, 0, 1] {
                switch(socket, event, on).succeeds();
                is(socket, event, on);
            }
        }
    });
}

fn each_is_apart_from_the_others(family: Family) {
    for chosen in EVENTS {
        note(format!("event {chosen}"));
        let socket = Socket::quic(family);
        switch(&socket, chosen, 1).succeeds();
        EVENTS.for_each(|event| is(&socket, event, u8::from(event == chosen)));
    }
}

fn any_value_but_zero_is_on() {
    let socket = Socket::quic(Family::V4);
    for on in [2, 128, 255] {
        switch(&socket, QUIC_EVENT_KEY_UPDATE, 0).succeeds();
        switch(&socket, QUIC_EVENT_KEY_UPDATE, on).succeeds();
        is(&socket, QUIC_EVENT_KEY_UPDATE, 1);
    }
}

fn none_is_einval(family: Family) {
    in_each(family, &Idle::ALL, |socket| {
        switch(socket, QUIC_EVENT_NONE, 0).fails(libc::EINVAL);
        switch(socket, QUIC_EVENT_NONE, 1).fails(libc::EINVAL);
    });
}

fn beyond_the_last_is_einval(family: Family) {
    in_each(family, &Idle::ALL, |socket| {
        switch(socket, QUIC_EVENT_MAX - 1, 1).succeeds();
        for event in [QUIC_EVENT_MAX, QUIC_EVENT_MAX + 1, 63, 64, 65, 255] {
            switch(socket, event, 1).fails(libc::EINVAL);
        }
    });
}

fn none_is_einval_to_get(family: Family) {
    in_each(family, &Idle::ALL, |socket| {
        get(socket, QUIC_EVENT_NONE).fails(libc::EINVAL)
    });
}

fn beyond_the_last_is_einval_to_get(family: Family) {
    in_each(family, &Idle::ALL, |socket| {
        for event in [QUIC_EVENT_MAX, 64, 255] {
            get(socket, event).fails(libc::EINVAL);
        }
    });
}

/// A missing byte is zero.
fn without_value_is_off() {
    let socket = Socket::quic(Family::V4);
    switch(&socket, QUIC_EVENT_NEW_TOKEN, 1).succeeds();
    socket
        .set(SOL_QUIC, QUIC_SOCKOPT_EVENT, &[QUIC_EVENT_NEW_TOKEN])
        .succeeds();
    is(&socket, QUIC_EVENT_NEW_TOKEN, 0);
}

/// The type is zero then.
fn empty_is_einval() {
    let socket = Socket::quic(Family::V4);
    socket
        .set(SOL_QUIC, QUIC_SOCKOPT_EVENT, &[])
        .fails(libc::EINVAL);
    socket
        .get(SOL_QUIC, QUIC_SOCKOPT_EVENT, &[1, 1], 0)
        .fails(libc::EINVAL);
}

fn type_alone_is_given_back() {
    let socket = Socket::quic(Family::V4);
    let value = socket
        .get(SOL_QUIC, QUIC_SOCKOPT_EVENT, &[QUIC_EVENT_KEY_UPDATE], 1)
        .succeeds();
    equal(value.bytes(), [QUIC_EVENT_KEY_UPDATE].as_slice());
    assert!(value.is_untouched_from(1), "more was written");
}

fn survives_listening() {
    let socket = idle(Family::V4, Idle::Bound);
    switch(&socket, QUIC_EVENT_CONNECTION_CLOSE, 1).succeeds();
    socket.listen(1).succeeds();
    is(&socket, QUIC_EVENT_CONNECTION_CLOSE, 1);
    socket.listen(0).succeeds();
    is(&socket, QUIC_EVENT_CONNECTION_CLOSE, 1);
}
