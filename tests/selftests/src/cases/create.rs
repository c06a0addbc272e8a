// SPDX-License-Identifier: MIT OR Apache-2.0

//! `socket()`.

use super::{in_each, Idle};
use crate::harness::case::cases;
use crate::harness::expect::{equal, Expect};
use crate::sys::address::Family;
use crate::sys::privilege;
use crate::sys::socket::{mmap, socketpair, Socket};
use libc::{SOCK_DGRAM, SOCK_STREAM, SOL_SOCKET};
use quic_uapi::IPPROTO_QUIC;

cases! { "create":
    stream,
    datagram,
    type_flags_are_descriptor_flags,
    seqpacket_is_refused.within(60),
    rdm_is_refused.within(60),
    dccp_type_is_refused.within(60),
    raw_takes_privilege,
    unix_family_is_eprotonosupport,
    pair_is_eopnotsupp,
    mmap_is_enodev,
    many_of_both_families_live_together,
}

#[track_caller]
fn has_identity(family: Family, kind: libc::c_int) {
    let socket = Socket::open(family.number(), kind, IPPROTO_QUIC).succeeds();
    equal(
        socket.get_int(SOL_SOCKET, libc::SO_DOMAIN),
        Ok(family.number()),
    );
    equal(socket.get_int(SOL_SOCKET, libc::SO_TYPE), Ok(kind));
    equal(socket.get_int(SOL_SOCKET, libc::SO_PROTOCOL), Ok(261));
    equal(socket.get_int(SOL_SOCKET, libc::SO_ACCEPTCONN), Ok(0));
    equal(socket.get_int(SOL_SOCKET, libc::SO_ERROR), Ok(0));
}

fn stream(family: Family) {
    has_identity(family, SOCK_STREAM);
}

fn datagram(family: Family) {
    has_identity(family, SOCK_DGRAM);
}

fn type_flags_are_descriptor_flags(family: Family) {
    // Socket::open() adds SOCK_CLOEXEC.
    let socket = Socket::open(
        family.number(),
        SOCK_STREAM | libc::SOCK_NONBLOCK,
        IPPROTO_QUIC,
    );
    let socket = socket.succeeds();
    equal(
        socket.descriptor_flags(libc::F_GETFL).succeeds() & libc::O_NONBLOCK,
        libc::O_NONBLOCK,
    );
    equal(
        socket.descriptor_flags(libc::F_GETFD).succeeds(),
        libc::FD_CLOEXEC,
    );
    let blocking = Socket::quic(family);
    equal(
        blocking.descriptor_flags(libc::F_GETFL).succeeds() & libc::O_NONBLOCK,
        0,
    );
}

/// The kernel looks for a module first, hence the time. Which of the two it is depends on what other
/// protocols of the type there are (SCTP).
const NO_SUCH_TYPE: [libc::c_int; 2] = [libc::ESOCKTNOSUPPORT, libc::EPROTONOSUPPORT];

fn seqpacket_is_refused(family: Family) {
    Socket::open(family.number(), libc::SOCK_SEQPACKET, IPPROTO_QUIC)
        .fails_with_one_of(&NO_SUCH_TYPE);
}

fn rdm_is_refused(family: Family) {
    Socket::open(family.number(), libc::SOCK_RDM, IPPROTO_QUIC).fails_with_one_of(&NO_SUCH_TYPE);
}

fn dccp_type_is_refused(family: Family) {
    Socket::open(family.number(), libc::SOCK_DCCP, IPPROTO_QUIC).fails_with_one_of(&NO_SUCH_TYPE);
}

/// A raw socket takes any protocol number, and a privilege.
fn raw_takes_privilege(family: Family) {
    privilege::drop_all().succeeds();
    Socket::open(family.number(), libc::SOCK_RAW, IPPROTO_QUIC).fails(libc::EPERM);
}

fn unix_family_is_eprotonosupport() {
    Socket::open(libc::AF_UNIX, SOCK_STREAM, IPPROTO_QUIC).fails(libc::EPROTONOSUPPORT);
}

fn pair_is_eopnotsupp(family: Family) {
    for kind in [SOCK_STREAM, SOCK_DGRAM] {
        socketpair(family.number(), kind, IPPROTO_QUIC).fails(libc::EOPNOTSUPP);
    }
}

fn mmap_is_enodev(family: Family) {
    in_each(family, &Idle::ALL, |socket| {
        mmap(socket).fails(libc::ENODEV)
    });
}

fn many_of_both_families_live_together() {
    let sockets: Vec<_> = (0..100)
        .map(|number| {
            Socket::quic(if number % 2 == 0 {
                Family::V4
            } else {
                Family::V6
            })
        })
        .collect();
    for (number, socket) in sockets.iter().enumerate() {
        let family = if number % 2 == 0 {
            libc::AF_INET
        } else {
            libc::AF_INET6
        };
        equal(socket.get_int(SOL_SOCKET, libc::SO_DOMAIN), Ok(family));
    }
}
