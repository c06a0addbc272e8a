// SPDX-License-Identifier: MIT OR Apache-2.0

//! The cases, a file for each noun of the socket interface.
//!
//! A case calls what a program would call and says what must come back. It starts in a network
//! namespace with nothing in it but a loopback interface that is up, so it may take any port. A
//! function of an address family runs once for each.

mod accept;
mod bind;
mod bind_device;
mod bind_port;
mod bind_sharing;
mod connect;
mod create;
mod generic_options;
mod ioctl;
mod listen;
mod listen_alpn;
mod many;
mod module;
mod names;
mod netns;
mod option;
mod option_alpn;
mod option_config;
mod option_connection;
mod option_event;
mod option_handshake;
mod option_stream;
mod option_ticket;
mod option_token;
mod option_transport_param;
mod poll;
mod privilege;
mod proc;
mod recvmsg;
mod sendmsg;
mod shutdown;
mod sysctl;

use crate::harness::case::Case;
use crate::harness::expect::{self, Expect};
use crate::sys::address::{at, Address, Family};
use crate::sys::errno::Errno;
use crate::sys::socket::Socket;
use quic_uapi::{QUIC_SOCKOPT_ALPN, SOL_QUIC};
use std::time::{Duration, Instant};

/// The cases that must be the first to make a socket; their names begin with this.
pub(crate) const LOADS_THE_MODULE: &str = "module.is_loaded_on_demand";

/// Every case.
pub(crate) fn all() -> Vec<Case> {
    [
        module::cases(),
        many::cases(), // early, for they take long
        create::cases(),
        bind::cases(),
        bind_port::cases(),
        bind_sharing::cases(),
        bind_device::cases(),
        connect::cases(),
        listen::cases(),
        listen_alpn::cases(),
        accept::cases(),
        names::cases(),
        shutdown::cases(),
        sendmsg::cases(),
        recvmsg::cases(),
        poll::cases(),
        ioctl::cases(),
        generic_options::cases(),
        option::cases(),
        option_event::cases(),
        option_transport_param::cases(),
        option_config::cases(),
        option_alpn::cases(),
        option_connection::cases(),
        option_token::cases(),
        option_ticket::cases(),
        option_stream::cases(),
        option_handshake::cases(),
        proc::cases(),
        sysctl::cases(),
        netns::cases(),
        privilege::cases(),
    ]
    .into_iter()
    .flatten()
    .collect()
}

/// The port that a case takes if any will do.
const PORT: u16 = 4433;

/// The states a socket without a connection can be in.
#[derive(Clone, Copy, Debug)]
enum Idle {
    Fresh,
    Bound,
    Listening,
    /// Has listened and does no more.
    Stopped,
}

impl Idle {
    const ALL: [Self; 4] = [Self::Fresh, Self::Bound, Self::Listening, Self::Stopped];
    /// Those whose state is CLOSED.
    const CLOSED: [Self; 3] = [Self::Fresh, Self::Bound, Self::Stopped];
}

/// A socket in that state. Ports of different states differ.
#[track_caller]
fn idle(family: Family, state: Idle) -> Socket {
    let socket = Socket::quic(family);
    if !matches!(state, Idle::Fresh) {
        bind_soon(&socket, &family.loopback(PORT + state as u16)).succeeds();
    }
    if matches!(state, Idle::Listening | Idle::Stopped) {
        socket.listen(1).succeeds();
    }
    if matches!(state, Idle::Stopped) {
        socket.listen(0).succeeds();
    }
    socket
}

/// Calls `check` with a socket in each of `states`.
#[track_caller]
fn in_each(family: Family, states: &[Idle], check: impl Fn(&Socket)) {
    for state in states {
        expect::note(format!("a socket that is {state:?}"));
        check(&idle(family, *state));
    }
}

/// A socket of `family` bound to the address, which may be of the other family.
#[track_caller]
fn bound(family: Family, address: &str) -> Socket {
    let socket = Socket::quic(family);
    socket.bind(&at(address)).succeeds();
    socket
}

/// A socket of the family of the address that listens there.
#[track_caller]
fn listening(address: &str) -> Socket {
    let socket = bound(family_of(address), address);
    socket.listen(5).succeeds();
    socket
}

#[track_caller]
fn family_of(address: &str) -> Family {
    if at(address).parse().is_some_and(|address| address.is_ipv4()) {
        Family::V4
    } else {
        Family::V6
    }
}

fn set_alpn(socket: &Socket, list: &str) -> Result<(), Errno> {
    socket.set(SOL_QUIC, QUIC_SOCKOPT_ALPN, list.as_bytes())
}

/// Binds to an address that may have been given up a moment ago, and whose UDP socket is being
/// closed in the background: the kernel says EAGAIN while it is, or EADDRINUSE if another address
/// needs the port.
fn bind_soon(socket: &Socket, address: &Address) -> Result<(), Errno> {
    let start = Instant::now();
    loop {
        match socket.bind(address) {
            Err(Errno(libc::EAGAIN | libc::EADDRINUSE))
                if start.elapsed() < expect::patient(Duration::from_secs(3)) =>
            {
                std::thread::sleep(Duration::from_millis(5));
            }
            result => return result,
        }
    }
}
