// SPDX-License-Identifier: GPL-2.0 OR MIT

//! [`Environment`]: what a connection needs from the world around it.

use super::Event;
use crate::chunk::Chunk;
use crate::cid::{ConnectionId, StatelessResetToken};
use crate::crypto::{CryptoProvider, PacketKey};
use crate::packet::PacketType;
use crate::time::Instant;
use core::net::SocketAddr;
use core::ops::Range;
use kernel::alloc::{AllocError, Flags};

/// Supplies chunks, cryptography and randomness, and hears of events.
///
/// The methods are called under the lock of the connection, in softirq context too, and must not
/// sleep, but for what [`CryptoProvider`] says.
pub trait Environment {
    /// What the application and TLS send.
    type Tx: Chunk;
    /// What is received for them.
    type Rx: Chunk;
    /// The primitives of packet protection.
    type Crypto: CryptoProvider<PacketKey: PacketKey<Chunk = Self::Tx>>;

    /// The primitives.
    fn crypto(&self) -> &Self::Crypto;

    /// Fills `bytes` with what nobody can predict.
    fn random(&mut self, bytes: &mut [u8]);

    /// The token for a connection ID of ours, which is the same each time (RFC 9000 §10.3.2).
    fn reset_token(&self, cid: &ConnectionId) -> StatelessResetToken;

    /// Copies the bytes of `chunk` from `start` on into `to`, for packets that are not encrypted.
    fn copy(&self, chunk: &Self::Tx, start: usize, to: &mut [u8]);

    /// Something happened. The connection is in the middle of its work: what is to be done about
    /// it has to wait until the call that reports it has returned.
    fn event(&mut self, event: Event<'_>);
}

/// A moment in which a connection is called, and from where.
pub struct Context<'e, E> {
    /// The time.
    pub now: Instant,
    /// How memory may be allocated: whether the caller may sleep.
    pub flags: Flags,
    /// What surrounds the connection.
    pub env: &'e mut E,
}

/// The memory in which a datagram was received.
pub trait ReceiveBuffer {
    /// What refers to a part of it.
    type Chunk;

    /// A reference to `range` of the datagram, which has been decrypted: `bytes` are there now.
    fn chunk(&mut self, range: Range<usize>, bytes: &[u8]) -> Result<Self::Chunk, AllocError>;

    /// `range` of the datagram is a packet for which the keys are missing yet. It can be passed to
    /// [`Connection::on_deferred`](super::Connection::on_deferred) when they are there; how many are
    /// kept is for the caller to limit (RFC 9001 §5.7).
    fn defer(&mut self, range: Range<usize>, packet_type: PacketType);
}

/// The two ends of a path.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub struct Addresses {
    /// Here.
    pub local: SocketAddr,
    /// The peer.
    pub remote: SocketAddr,
}

impl Addresses {
    /// Whether both are the same, without a look at more than there is of IPv4.
    #[inline]
    pub(super) fn is(&self, other: &Self) -> bool {
        match (&self.local, &self.remote, &other.local, &other.remote) {
            (
                SocketAddr::V4(local),
                SocketAddr::V4(remote),
                SocketAddr::V4(other_local),
                SocketAddr::V4(other_remote),
            ) => local == other_local && remote == other_remote,
            _ => self == other,
        }
    }

    /// Whether nothing but the remote port differs, as after a NAT has forgotten us.
    pub(super) fn differ_in_port_only(&self, other: &Self) -> bool {
        self.local == other.local && self.remote.ip() == other.remote.ip()
    }
}
