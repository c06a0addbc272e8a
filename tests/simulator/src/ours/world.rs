// SPDX-License-Identifier: MIT OR Apache-2.0

//! [`World`]: what surrounds a connection, and what it has told.

use super::bytes::Bytes;
use crate::host::Cause;
use crate::random::Random;
use kernel::alloc::flags::GFP_ATOMIC;
use quic_core::cid::{ConnectionId, StatelessResetToken};
use quic_core::connection::{CloseReason, Context, Environment, Event};
use quic_core::crypto::rustcrypto::RustCrypto;
use quic_core::stream::StreamEvent;
use quic_core::time::Instant;
use quic_core::version::SupportedVersion;

/// Of all servers, so that one could reset what another began.
const RESET_KEY: &[u8] = b"stateless reset";

/// Random numbers of a seed, and the events of a connection.
pub struct World {
    random: Random,
    pub(super) happened: Vec<Happened>,
}

/// What the endpoint has to act upon.
#[derive(Clone, Debug)]
pub(super) enum Happened {
    Stream(StreamEvent),
    Datagram,
    Confirmed,
    CidRetired(ConnectionId),
    /// The server does not speak the version, but this one, or none.
    Version(Option<SupportedVersion>),
    Closed(Cause),
}

impl World {
    pub(super) fn new(seed: u64) -> Self {
        Self {
            random: Random::new(seed, "ours"),
            happened: Vec::new(),
        }
    }

    pub(super) fn cx(&mut self, now: Instant) -> Context<'_, Self> {
        Context {
            now,
            flags: GFP_ATOMIC,
            env: self,
        }
    }

    /// A new connection ID of `len` bytes.
    pub(super) fn cid(&mut self, len: usize) -> ConnectionId {
        let mut bytes = [0; ConnectionId::MAX_LEN];
        self.random.fill(&mut bytes);
        ConnectionId::new(&bytes[..len]).expect("at most 20 bytes")
    }
}

impl Environment for World {
    type Tx = Vec<u8>;
    type Rx = Bytes;
    type Crypto = RustCrypto;

    fn crypto(&self) -> &RustCrypto {
        &RustCrypto
    }

    fn random(&mut self, bytes: &mut [u8]) {
        self.random.fill(bytes);
    }

    fn reset_token(&self, cid: &ConnectionId) -> StatelessResetToken {
        StatelessResetToken::derive(&RustCrypto, RESET_KEY, cid)
    }

    fn copy(&self, chunk: &Vec<u8>, start: usize, to: &mut [u8]) {
        to.copy_from_slice(&chunk[start..start + to.len()]);
    }

    fn event(&mut self, event: Event<'_>) {
        let happened = match event {
            Event::Stream(event) => Happened::Stream(event),
            Event::Datagram => Happened::Datagram,
            Event::Confirmed => Happened::Confirmed,
            Event::CidRetired(cid) => Happened::CidRetired(cid),
            Event::Closed(CloseReason::VersionNegotiation(version)) => Happened::Version(version),
            Event::Closed(reason) => match cause(reason) {
                Some(cause) => Happened::Closed(cause),
                None => return,
            },
            Event::Crypto { .. }
            | Event::MaxData { .. }
            | Event::Retried
            | Event::VersionChanged(_)
            | Event::NewToken(_)
            | Event::KeyUpdated { .. }
            | Event::PathChanged(_)
            | Event::PathFailed(_)
            | Event::CidReceived { .. } => return,
        };
        self.happened.push(happened);
    }
}

/// Why the connection is over; `None` if the application closed it.
fn cause(reason: CloseReason<'_>) -> Option<Cause> {
    Some(match reason {
        CloseReason::Local { .. } => return None,
        CloseReason::Error(error) => Cause::Error {
            code: error.code.get().get(),
            reason: format!("{} (frame {:#x})", error.reason, error.frame),
        },
        CloseReason::PeerApplication { code, reason } => Cause::Application {
            code: code.get(),
            reason: reason.to_vec(),
        },
        CloseReason::PeerTransport { code, reason, .. } => Cause::Peer {
            code: code.get().get(),
            reason: reason.to_vec(),
        },
        CloseReason::StatelessReset => Cause::Reset,
        CloseReason::IdleTimeout | CloseReason::NoPath => Cause::TimedOut,
        CloseReason::VersionNegotiation(_) => Cause::VersionMismatch,
    })
}
