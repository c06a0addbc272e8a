// SPDX-License-Identifier: GPL-2.0

//! What a QUIC socket consists of, besides what the kernel keeps with every socket.

use crate::{
    alpn::SharedAlpn,
    bind::Binding,
    close::CloseInfo,
    config::Config,
    event::EventMask,
    family::Quic,
    sys::sock::{Held, Sock, SockGuard, State},
    ticket::Ticket,
    token::Token,
    transport_param::LocalParameters,
};
use core::net::SocketAddr;
use kernel::{prelude::*, sync::SetOnce};

/// A QUIC socket.
pub(crate) type QuicSock = Sock<Quic>;
/// A QUIC socket whose lock is held.
pub(crate) type QuicHeld<'a> = Held<'a, Quic>;
/// The lock of a QUIC socket.
pub(crate) type QuicGuard<'a> = SockGuard<'a, Quic>;

/// What may be looked at without the lock, by `/proc` and by other listeners.
#[pin_data]
pub(crate) struct Shared {
    /// The address that `bind` gave the socket, and that of its tunnel. Set once, before the
    /// socket is in any list.
    pub(crate) bound: SetOnce<Bound>,
    /// The application protocols.
    #[pin]
    pub(crate) alpn: SharedAlpn,
}

/// The addresses of a bound socket.
#[derive(Copy, Clone)]
pub(crate) struct Bound {
    /// The socket's own.
    pub(crate) local: SocketAddr,
    /// That of the UDP socket that carries it.
    pub(crate) tunnel: SocketAddr,
}

impl Shared {
    pub(crate) fn new() -> impl PinInit<Self, Error> {
        try_pin_init!(Self {
            bound: SetOnce::new(),
            alpn <- SharedAlpn::new(),
        }? Error)
    }
}

/// What the socket lock guards.
pub(crate) struct Locked {
    /// The share in a tunnel; from `bind` to `close`.
    pub(crate) binding: Option<Binding>,
    /// Which events the program wants.
    pub(crate) events: EventMask,
    /// The transport parameters that we shall announce.
    pub(crate) parameters: LocalParameters,
    /// What the program has set up, and what its TLS agent shall know.
    pub(crate) config: Config,
    /// Why the connection ends, or ended.
    pub(crate) close: CloseInfo,
    /// The address validation token of a client.
    pub(crate) token: Token,
    /// Session data of a client, ticket key of a server.
    pub(crate) ticket: Ticket,
    /// What tests look at.
    #[cfg(CONFIG_IP_QUIC_KUNIT_TEST)]
    pub(crate) seen: Seen,
}

/// How often packets and timeouts have come.
#[cfg(CONFIG_IP_QUIC_KUNIT_TEST)]
#[derive(Default)]
pub(crate) struct Seen {
    pub(crate) packets: u32,
    pub(crate) timeouts: u32,
}

impl Locked {
    pub(crate) fn new() -> Self {
        Self {
            binding: None,
            events: EventMask::default(),
            parameters: LocalParameters::default(),
            config: Config::default(),
            close: CloseInfo::default(),
            token: Token::default(),
            ticket: Ticket::default(),
            #[cfg(CONFIG_IP_QUIC_KUNIT_TEST)]
            seen: Seen::default(),
        }
    }
}

impl QuicSock {
    /// Whether this socket is a server's: one that listens, or that was accepted from such a one.
    pub(crate) fn is_server(&self) -> bool {
        self.max_backlog() != 0
    }

    /// Fails with `error` unless the socket is in one of `states`.
    pub(crate) fn require(&self, states: &[State], error: Error) -> Result {
        if states.contains(&self.state()) {
            Ok(())
        } else {
            Err(error)
        }
    }
}
