// SPDX-License-Identifier: GPL-2.0

//! [`Quic`], the socket family: which function answers which call.

use crate::{
    address::{self, Use},
    bind,
    counters::Counter,
    listener,
    netns::QuicNet,
    socket::{Locked, QuicGuard, QuicHeld, QuicSock, Shared},
    sockopt,
    sys::{
        bindings,
        errno::{ENOTCONN, EOPNOTSUPP},
        proto::{Family, Message, Tables},
        skb::Skb,
        sock::State,
        sockopt::{OptionIn, OptionOut},
    },
    transport_param,
};
use core::net::SocketAddr;
use kernel::{ffi::c_int, prelude::*, sync::aref::ARef};

/// The socket family.
pub(crate) struct Quic;

static TABLES: Tables<Quic> = Tables::new();

/// The `MSG_*` flags that `sendmsg` knows; any other is an error.
const SEND_FLAGS: u32 = bindings::MSG_QUIC_STREAM_FIN
    | bindings::MSG_QUIC_STREAM_NEW
    | bindings::MSG_QUIC_STREAM_UNI
    | bindings::MSG_QUIC_STREAM_SNDBLOCK
    | bindings::MSG_QUIC_STREAM_DONTWAIT
    | bindings::MSG_QUIC_DATAGRAM
    | bindings::MSG_MORE
    | bindings::MSG_DONTWAIT
    | bindings::MSG_NOSIGNAL
    | bindings::MSG_WAITALL
    | bindings::MSG_BATCH
    // The socket core adds these for sendfile(), splice() and 32-bit callers.
    | bindings::MSG_SPLICE_PAGES
    | bindings::MSG_CMSG_COMPAT;

/// What `poll` shows on a socket that is not connected: nothing will ever block.
const POLL_CLOSED: u32 = bindings::POLLHUP
    | bindings::POLLERR
    | bindings::POLLIN
    | bindings::POLLRDNORM
    | bindings::POLLRDHUP
    | bindings::POLLOUT
    | bindings::POLLWRNORM;

impl Family for Quic {
    type Shared = Shared;
    type Locked = Locked;
    type Net = QuicNet;

    const PROTOCOL: u16 = bindings::IPPROTO_QUIC as u16;
    const LEVEL: c_int = bindings::SOL_QUIC as c_int;
    const NAMES: (&'static CStr, &'static CStr) = (c"QUIC", c"QUICv6");

    fn tables() -> &'static Tables<Self> {
        &TABLES
    }

    fn shared() -> impl PinInit<Shared, Error> {
        Shared::new()
    }

    fn locked() -> Result<Locked> {
        Ok(Locked::new())
    }

    fn opened(sock: &mut QuicHeld<'_>) {
        transport_param::apply(sock);
    }

    fn close(sock: &QuicSock) {
        let mut guard: QuicGuard<'_> = sock.lock();
        if sock.state() == State::Listening {
            listener::stop(&mut guard.held());
        }
        guard.held().set_state(State::Closed);
        let binding = guard.binding.take();
        drop(guard);
        if let Some(binding) = binding {
            binding.release(sock.net_data());
        }
    }

    fn bind(sock: &QuicSock, address: &[u8]) -> Result {
        bind::bind(sock, address)
    }

    fn connect(sock: &QuicSock, address: &[u8]) -> Result {
        let _guard = sock.lock();
        sock.require(&[State::Closed], EINVAL)?;
        address::check(sock, address, Use::Peer)?;
        Err(EOPNOTSUPP.into())
    }

    fn listen(sock: &QuicSock, backlog: u32) -> Result {
        listener::listen(sock, backlog)
    }

    fn accept(sock: &QuicSock, nonblocking: bool) -> Result<ARef<QuicSock>> {
        listener::accept(sock, nonblocking)
    }

    fn name(sock: &QuicSock, peer: bool) -> Result<SocketAddr> {
        if peer {
            return Err(ENOTCONN.into());
        }
        let bound = sock.shared().bound.as_ref();
        Ok(bound.map_or_else(|| address::wildcard(sock).address, |bound| bound.local))
    }

    fn poll(sock: &QuicSock) -> u32 {
        match sock.state() {
            State::Listening => 0,
            _ => POLL_CLOSED,
        }
    }

    fn ioctl(sock: &QuicSock, command: u32) -> Result<c_int> {
        match command {
            bindings::FIONREAD | bindings::TIOCOUTQ | bindings::SIOCOUTQNSD => {
                sock.require(&[State::Closed], EINVAL)?;
                Ok(0)
            }
            _ => Err(ENOIOCTLCMD),
        }
    }

    fn shutdown(_sock: &mut QuicHeld<'_>, _how: u32) {}

    fn set_option(sock: &QuicSock, name: u32, value: &OptionIn) -> Result {
        sockopt::set(sock, name, value)
    }

    fn get_option(sock: &QuicSock, name: u32, value: &OptionOut) -> Result {
        sockopt::get(sock, name, value)
    }

    fn send(sock: &QuicSock, message: &mut Message, _len: usize) -> Result<usize> {
        if message.flags & !SEND_FLAGS != 0 {
            return Err(EINVAL);
        }
        Err(sock.broken_pipe(message.flags))
    }

    fn receive_message(_sock: &QuicSock, _message: &mut Message, _len: usize) -> Result<usize> {
        Err(ENOTCONN.into())
    }

    fn receive(sock: &mut QuicHeld<'_>, skb: Skb) {
        #[cfg(CONFIG_IP_QUIC_KUNIT_TEST)]
        {
            sock.seen.packets = sock.seen.packets.wrapping_add(1);
        }
        let counters = sock.sock().net_data().counters();
        counters.count(Counter::PacketReceiveDrop);
        drop(skb);
    }

    fn timeout(_sock: &mut QuicHeld<'_>) {
        #[cfg(CONFIG_IP_QUIC_KUNIT_TEST)]
        {
            _sock.seen.timeouts = _sock.seen.timeouts.wrapping_add(1);
        }
    }
}
