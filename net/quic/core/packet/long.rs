// SPDX-License-Identifier: GPL-2.0 OR MIT

//! The long header of the supported versions (RFC 9000 §17.2, RFC 9369 §3.2).

use super::{Discard, PacketType};
use crate::bytes::{Reader, Truncated};
use crate::cid::ConnectionId;
use crate::version::{SupportedVersion, Version};
use core::ops::Range;

/// Header Form: set in long headers.
pub(super) const LONG_HEADER: u8 = 0x80;
/// Fixed Bit: set in all packets of versions 1 and 2, unless greased (RFC 9287).
pub(super) const FIXED_BIT: u8 = 0x40;

/// The Long Packet Type.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub(super) enum LongType {
    /// A packet with a packet number.
    Numbered(PacketType),
    /// RFC 9000 §17.2.5.
    Retry,
}

impl LongType {
    /// The type that the first byte of a long header gives.
    const fn of(version: SupportedVersion, first: u8) -> Self {
        let bits = (first >> 4) & 0x03;
        match (version, bits) {
            (SupportedVersion::V1, 0) | (SupportedVersion::V2, 1) => {
                Self::Numbered(PacketType::Initial)
            }
            (SupportedVersion::V1, 1) | (SupportedVersion::V2, 2) => {
                Self::Numbered(PacketType::ZeroRtt)
            }
            (SupportedVersion::V1, 2) | (SupportedVersion::V2, 3) => {
                Self::Numbered(PacketType::Handshake)
            }
            (SupportedVersion::V1 | SupportedVersion::V2, _) => Self::Retry,
        }
    }

    /// The bits of the first byte for this type.
    pub(super) const fn bits(self, version: SupportedVersion) -> u8 {
        let v1 = match self {
            Self::Numbered(PacketType::Initial) => 0_u8,
            Self::Numbered(PacketType::ZeroRtt) => 1,
            // A 1-RTT packet has no long header; any value does.
            Self::Numbered(PacketType::Handshake | PacketType::OneRtt) => 2,
            Self::Retry => 3,
        };
        let bits = match version {
            SupportedVersion::V1 => v1,
            // RFC 9369 §3.2: Initial: 0b01, 0-RTT: 0b10, Handshake: 0b11, Retry: 0b00.
            SupportedVersion::V2 => v1.wrapping_add(1),
        };
        (bits & 0x03) << 4
    }
}

/// A long header whose every length has been checked.
#[derive(Debug)]
pub(super) enum LongHeader {
    /// Initial, 0-RTT or Handshake.
    Numbered(NumberedHeader),
    /// Retry: what follows the connection IDs is at `body`.
    Retry {
        version: SupportedVersion,
        dcid: ConnectionId,
        scid: ConnectionId,
        body: usize,
    },
    /// Version Negotiation.
    VersionNegotiation,
}

/// The long header of a packet with a packet number.
#[derive(Debug)]
pub(super) struct NumberedHeader {
    pub(super) packet_type: PacketType,
    pub(super) version: SupportedVersion,
    pub(super) dcid: ConnectionId,
    pub(super) scid: ConnectionId,
    /// Where the token of an Initial packet is, empty in others.
    pub(super) token: Range<usize>,
    /// Where the Packet Number field is.
    pub(super) number_at: usize,
    /// Where the packet ends.
    pub(super) end: usize,
}

impl From<Truncated> for Discard {
    fn from(_: Truncated) -> Self {
        Self::Truncated
    }
}

impl LongHeader {
    /// Parses the long header at the start of `bytes`, which may hold more packets behind this one.
    ///
    /// After an error the end of the packet is unknown.
    pub(super) fn parse(bytes: &[u8]) -> Result<Self, Discard> {
        let mut reader = Reader::new(bytes);
        let first = reader.u8()?;
        let version = Version::new(reader.u32()?);
        if version == Version::NEGOTIATION {
            return Ok(Self::VersionNegotiation);
        }
        let version = version
            .supported()
            .ok_or(Discard::UnsupportedVersion(version))?;

        // RFC 9000 §17.2: Endpoints that receive a version 1 long header with a value larger than
        // 20 MUST drop the packet.
        let dcid = ConnectionId::read(&mut reader)?.ok_or(Discard::ConnectionIdTooLong)?;
        let scid = ConnectionId::read(&mut reader)?.ok_or(Discard::ConnectionIdTooLong)?;
        let position = |reader: &Reader<'_>| bytes.len().saturating_sub(reader.remaining());

        let packet_type = match LongType::of(version, first) {
            LongType::Numbered(packet_type) => packet_type,
            LongType::Retry => {
                return Ok(Self::Retry {
                    version,
                    dcid,
                    scid,
                    body: position(&reader),
                })
            }
        };
        let token = match packet_type {
            PacketType::Initial => {
                let len = reader.varint()?.get();
                let start = position(&reader);
                reader.bytes_u64(len)?;
                start..position(&reader)
            }
            PacketType::ZeroRtt | PacketType::Handshake | PacketType::OneRtt => 0..0,
        };
        // RFC 9000 §17.2: This is the length of the remainder of the packet (that is, the Packet
        // Number and Payload fields) in bytes.
        let length = reader.varint()?.get();
        let number_at = position(&reader);
        reader.bytes_u64(length)?;
        Ok(Self::Numbered(NumberedHeader {
            packet_type,
            version,
            dcid,
            scid,
            token,
            number_at,
            end: position(&reader),
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::hex;
    use SupportedVersion::{V1, V2};

    #[test]
    fn type_bits_of_both_versions() {
        let initial = LongType::Numbered(PacketType::Initial);
        let zero_rtt = LongType::Numbered(PacketType::ZeroRtt);
        let handshake = LongType::Numbered(PacketType::Handshake);
        for (long_type, v1, v2) in [
            (initial, 0x00, 0x10),
            (zero_rtt, 0x10, 0x20),
            (handshake, 0x20, 0x30),
            (LongType::Retry, 0x30, 0x00),
        ] {
            assert_eq!((long_type.bits(V1), long_type.bits(V2)), (v1, v2));
            assert_eq!(LongType::of(V1, 0xcf | v1), long_type);
            assert_eq!(LongType::of(V2, 0xc0 | v2), long_type);
        }
    }

    #[test]
    fn initial_with_token() {
        let packet = hex("c0 00000001 02 d1d2 01 51 4003 aabbcc 05 0102030405 ff");
        let Ok(LongHeader::Numbered(header)) = LongHeader::parse(&packet) else {
            panic!()
        };
        assert_eq!(
            (header.packet_type, header.version),
            (PacketType::Initial, V1)
        );
        assert_eq!(
            (header.dcid.as_slice(), header.scid.as_slice()),
            (&[0xd1, 0xd2][..], &[0x51][..])
        );
        assert_eq!(packet[header.token], [0xaa, 0xbb, 0xcc]);
        assert_eq!(packet[header.number_at..header.end], [1, 2, 3, 4, 5]);
    }

    // [rfc9000-17.2-3] [rfc9000-17.2-5]
    #[test]
    fn lengths_beyond_the_datagram() {
        for (packet, expected) in [
            ("e0 00000001 00 00 01 00", Ok(())),
            ("e0 00000001 00 00 02 00", Err(Discard::Truncated)),
            (
                "e0 00000001 00 00 ffffffffffffffff 00",
                Err(Discard::Truncated),
            ),
            (
                "c0 00000001 00 00 ffffffffffffffff 01 00",
                Err(Discard::Truncated),
            ),
            ("c0 00000001 00 00 02 00", Err(Discard::Truncated)),
            (
                "e0 00000001 15 000000000000000000000000000000000000000000 00 01 00",
                Err(Discard::ConnectionIdTooLong),
            ),
            (
                "e0 00000001 00 15 000000000000000000000000000000000000000000 01 00",
                Err(Discard::ConnectionIdTooLong),
            ),
            (
                "e0 0000000f 00 00 01 00",
                Err(Discard::UnsupportedVersion(Version::new(15))),
            ),
        ] {
            assert_eq!(
                LongHeader::parse(&hex(packet)).map(|_| ()),
                expected,
                "{packet}"
            );
        }
    }
}
