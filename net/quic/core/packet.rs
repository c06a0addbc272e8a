// SPDX-License-Identifier: GPL-2.0 OR MIT

//! Packets: their headers, and how their protection is put on and taken off.
//!
//! ```text
//! received  Datagram --next()--> Packet --+-- Protected: unprotect_header() -> UnprotectedHeader: open() -> OpenedPacket
//!                                         +-- Retry
//!                                         +-- VersionNegotiation
//! sent      Header: emit() -> UnsealedPacket, then frames, then seal()
//! ```
//!
//! Received packets stay where they are: a datagram is one `&mut [u8]`, its packets are slices of
//! it, and the payload is decrypted in place. A packet that cannot be used is a [`Discard`], which
//! is nobody's fault; only what was authenticated can be a reason to close the connection.

mod datagram;
mod header;
mod invariant;
mod long;
pub mod number;
mod protected;
pub mod retry;
pub mod stateless_reset;
#[cfg(test)]
mod tests;
#[cfg(test)]
pub(crate) mod vectors;
pub mod version_negotiation;

pub use datagram::{Datagram, FixedBit, Packet};
pub use header::{Header, LongPacketType, SealError, UnsealedPacket};
pub use invariant::InvariantHeader;
pub use number::{PacketNumber, TruncatedPacketNumber};
pub use protected::{OpenError, OpenedPacket, ProtectedPacket, UnprotectedHeader};
pub(crate) use protected::{ShortHeader, ShortPacket};
pub use retry::{Retry, UnverifiedRetry};
pub use version_negotiation::VersionNegotiation;

use crate::version::Version;

/// The least UDP payload of a datagram with an Initial packet of a client, or an ack-eliciting one
/// of a server.
// RFC 9000 §14.1: A server MUST discard an Initial packet that is carried in a UDP datagram with a
// payload that is smaller than the smallest allowed maximum datagram size of 1200 bytes.
pub const MIN_INITIAL_DATAGRAM: usize = 1200;

/// A packet that carries frames. Each has a bit, so that a set of them is a mask.
#[derive(Copy, Clone, PartialEq, Eq, Hash, Debug)]
#[repr(u8)]
pub enum PacketType {
    /// RFC 9000 §17.2.2.
    Initial = 0x01,
    /// RFC 9000 §17.2.4.
    Handshake = 0x02,
    /// RFC 9000 §17.2.3.
    ZeroRtt = 0x04,
    /// RFC 9000 §17.3.1.
    OneRtt = 0x08,
}

/// Packets that are numbered and acknowledged together (RFC 9000 §12.3).
#[derive(Copy, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum PacketNumberSpace {
    /// All Initial packets.
    Initial,
    /// All Handshake packets.
    Handshake,
    /// All 0-RTT and 1-RTT packets.
    ApplicationData,
}

impl PacketNumberSpace {
    /// All, in the order in which a connection uses them.
    pub const ALL: [Self; 3] = [Self::Initial, Self::Handshake, Self::ApplicationData];
}

impl PacketType {
    /// The bit of this type.
    #[inline]
    pub(crate) const fn bit(self) -> u8 {
        self as u8
    }

    /// Which packets it is numbered with.
    #[inline]
    pub const fn space(self) -> PacketNumberSpace {
        match self {
            Self::Initial => PacketNumberSpace::Initial,
            Self::Handshake => PacketNumberSpace::Handshake,
            Self::ZeroRtt | Self::OneRtt => PacketNumberSpace::ApplicationData,
        }
    }
}

/// Why a packet is dropped without a word.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub enum Discard {
    /// It ends before its header or the length that the header gives.
    Truncated,
    /// It is too short for a header protection sample (RFC 9001 §5.4.2).
    TooShort,
    /// The fixed bit is zero (RFC 9000 §17.2, §17.3.1).
    FixedBit,
    /// A long header of a version that this crate does not speak.
    UnsupportedVersion(Version),
    /// A connection ID of more than 20 bytes (RFC 9000 §17.2).
    ConnectionIdTooLong,
    /// Another Destination Connection ID than that of the first packet in the datagram (RFC 9000
    /// §12.2).
    ConnectionIdMismatch,
    /// A Retry packet without a token (RFC 9000 §17.2.5.2), or a Version Negotiation packet that
    /// is not a whole number of versions.
    Malformed,
    /// The packet number would be larger than 2^62 − 1.
    PacketNumber,
    /// The tag is wrong. These count towards
    /// [`integrity_limit`](crate::crypto::CipherSuite::integrity_limit).
    Unauthenticated,
    /// The cipher itself failed.
    CryptoFailed,
}
