// SPDX-License-Identifier: GPL-2.0 OR MIT

//! [`Event`]: what the owner of a connection has to know, and [`CloseReason`]: why it ended.

use super::Addresses;
use crate::cid::ConnectionId;
use crate::error::{TransportError, TransportErrorCode};
use crate::packet::PacketNumberSpace;
use crate::stream::StreamEvent;
use crate::varint::VarInt;
use crate::version::SupportedVersion;

/// Something that happened in a connection, told at the moment it happens; nothing is queued.
#[derive(Clone, Debug)]
pub enum Event<'a> {
    /// Something happened to a stream.
    Stream(StreamEvent),
    /// There is more of TLS to read than before.
    Crypto {
        /// In which space.
        space: PacketNumberSpace,
    },
    /// There is a datagram to read, and was none before.
    Datagram,
    /// The peer allows more data on all streams together.
    MaxData {
        /// The limit, in bytes.
        limit: VarInt,
    },
    /// The handshake is confirmed (RFC 9001 §4.1.2).
    Confirmed,
    /// The server answered with a Retry packet, and the client sent its Initial packets again.
    Retried,
    /// The peers agreed on another version than the client began with. Keys made of TLS secrets
    /// are for it from now on.
    VersionChanged(SupportedVersion),
    /// The server gave a token for a later connection.
    NewToken(&'a [u8]),
    /// A key update is complete in both directions; the new key phase.
    KeyUpdated {
        /// The key phase bit.
        phase: bool,
    },
    /// The path in use is another.
    PathChanged(Addresses),
    /// A path could not be validated, and is given up.
    PathFailed(Addresses),
    /// The peer has retired a connection ID of ours: no packet arrives for it any more. Another
    /// may be wanted.
    CidRetired(ConnectionId),
    /// The peer issued a connection ID.
    CidReceived {
        /// The highest sequence number so far.
        sequence: u64,
    },
    /// The connection has ended: nothing can be sent or received any more. Closing and draining
    /// go on in the background.
    Closed(CloseReason<'a>),
}

/// Why a connection ended.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub enum CloseReason<'a> {
    /// The application closed it here.
    Local {
        /// Its code.
        code: VarInt,
    },
    /// The peer broke a rule, or TLS failed here.
    Error(TransportError),
    /// The application of the peer closed it.
    PeerApplication {
        /// Its code.
        code: VarInt,
        /// Its words.
        reason: &'a [u8],
    },
    /// The peer closed it because of an error.
    PeerTransport {
        /// The code.
        code: TransportErrorCode,
        /// The type of the frame that the peer did not like, or zero.
        frame_type: VarInt,
        /// Its words.
        reason: &'a [u8],
    },
    /// The peer has lost its state (RFC 9000 §10.3).
    StatelessReset,
    /// Nothing was heard of the peer for too long (RFC 9000 §10.1).
    IdleTimeout,
    /// The peer moved to an address that could not be validated, and there is no other any more
    /// (RFC 9000 §9.3.2).
    NoPath,
    /// The server does not speak the version; it speaks this one, in which the client may start
    /// again, or none that the client speaks.
    VersionNegotiation(Option<SupportedVersion>),
}
