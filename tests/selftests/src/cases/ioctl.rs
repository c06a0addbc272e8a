// SPDX-License-Identifier: MIT OR Apache-2.0

//! `ioctl()`.

use super::{idle, in_each, Idle};
use crate::harness::case::cases;
use crate::harness::expect::{equal, note, Expect};
use crate::sys::address::Family;
use crate::sys::socket::{Socket, BAD_POINTER};
use libc::Ioctl;

cases! { "ioctl":
    queues_are_empty,
    queues_of_a_listener_are_einval,
    bad_pointer_is_efault,
    unknown_is_enotty,
    terminal_is_enotty,
    at_mark_is_enotty,
    interface_address,
    interface_properties,
    unknown_interface_is_enodev.within(60),
    nonblocking,
}

const SIOCINQ: Ioctl = 0x541b;
const SIOCOUTQ: Ioctl = 0x5411;
const SIOCOUTQNSD: Ioctl = 0x894b;
const SIOCATMARK: Ioctl = 0x8905;
const SIOCGIFFLAGS: Ioctl = 0x8913;
const SIOCGIFADDR: Ioctl = 0x8915;
const SIOCGIFMTU: Ioctl = 0x8921;
const SIOCGIFINDEX: Ioctl = 0x8933;
const TCGETS: Ioctl = 0x5401;
const FIONBIO: Ioctl = 0x5421;

const QUEUES: [Ioctl; 3] = [SIOCINQ, SIOCOUTQ, SIOCOUTQNSD];

fn queues_are_empty(family: Family) {
    in_each(family, &Idle::CLOSED, |socket| {
        for request in QUEUES {
            equal((request, socket.ioctl_int(request)), (request, Ok(0)));
        }
    });
}

fn queues_of_a_listener_are_einval(family: Family) {
    let socket = idle(family, Idle::Listening);
    for request in QUEUES {
        note(format!("request {request:#x}"));
        socket.ioctl_int(request).fails(libc::EINVAL);
    }
}

fn bad_pointer_is_efault(family: Family) {
    let socket = Socket::quic(family);
    for request in QUEUES {
        note(format!("request {request:#x}"));
        socket.ioctl_at(request, BAD_POINTER).fails(libc::EFAULT);
    }
}

fn unknown_is_enotty(family: Family) {
    in_each(family, &Idle::CLOSED, |socket| {
        for request in [0, 1, 0x1234, 0x54ff, 0x8999, 0xdead_beef] {
            socket.ioctl_int(request).fails(libc::ENOTTY);
        }
    });
}

fn terminal_is_enotty(family: Family) {
    in_each(family, &Idle::CLOSED, |socket| {
        socket.ioctl_int(TCGETS).fails(libc::ENOTTY);
    });
}

fn at_mark_is_enotty(family: Family) {
    in_each(family, &Idle::CLOSED, |socket| {
        socket.ioctl_int(SIOCATMARK).fails(libc::ENOTTY);
    });
}

fn interface_address() {
    let value = Socket::quic(Family::V4)
        .ioctl_interface(SIOCGIFADDR, "lo")
        .succeeds();
    // struct sockaddr_in: the address is behind family and port.
    equal(&value[4..8], [127, 0, 0, 1].as_slice());
}

fn interface_properties(family: Family) {
    in_each(family, &Idle::CLOSED, |socket| {
        let number = |request| {
            let value = socket.ioctl_interface(request, "lo").succeeds();
            i32::from_ne_bytes(value[..4].try_into().unwrap())
        };
        equal(number(SIOCGIFINDEX), 1);
        equal(number(SIOCGIFMTU), 65536);
        let flags = number(SIOCGIFFLAGS) & 0xffff;
        equal(
            flags & (libc::IFF_UP | libc::IFF_LOOPBACK),
            libc::IFF_UP | libc::IFF_LOOPBACK,
        );
    });
}

/// The kernel looks for a module of that name first, hence the time.
fn unknown_interface_is_enodev(family: Family) {
    let socket = Socket::quic(family);
    socket
        .ioctl_interface(SIOCGIFMTU, "nonesuch")
        .fails(libc::ENODEV);
}

fn nonblocking(family: Family) {
    let socket = idle(family, Idle::Listening);
    let on = 1_i32;
    // The value is read, not written, so its address may be that of a constant.
    socket.ioctl_at(FIONBIO, &raw const on as usize).succeeds();
    socket.accept(0).fails(libc::EAGAIN);
}
