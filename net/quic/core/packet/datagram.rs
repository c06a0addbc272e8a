// SPDX-License-Identifier: GPL-2.0 OR MIT

//! [`Datagram`]: the packets of a UDP datagram, one after the other (RFC 9000 §12.2).

use super::long::{LongHeader, FIXED_BIT, LONG_HEADER};
use super::protected::Layout;
use super::{Discard, ProtectedPacket, UnverifiedRetry, VersionNegotiation};
use crate::cid::ConnectionId;

/// What a zero in the fixed bit of a received packet means.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub enum FixedBit {
    /// The packet is discarded.
    Required,
    /// Nothing: this endpoint advertised grease_quic_bit (RFC 9287 §3).
    Ignored,
}

/// A packet as it was received.
#[derive(Debug)]
pub enum Packet<'a> {
    /// A packet that carries frames.
    Protected(ProtectedPacket<'a>),
    /// A Retry packet.
    Retry(UnverifiedRetry<'a>),
    /// A Version Negotiation packet.
    VersionNegotiation(VersionNegotiation<'a>),
}

/// Iterates over the packets of a datagram.
///
/// A packet that is to be discarded is an error, after which the next packet follows if it can be
/// found.
// RFC 9000 §12.2: Receivers MUST be able to process coalesced packets.
#[derive(Debug)]
pub struct Datagram<'a> {
    rest: &'a mut [u8],
    /// Where `rest` begins in the datagram.
    offset: usize,
    local_cid_len: usize,
    fixed_bit: FixedBit,
    /// The Destination Connection ID of the first packet, once there was one.
    dcid: Option<ConnectionId>,
}

impl<'a> Datagram<'a> {
    /// The packets in `bytes`; those with short headers have a Destination Connection ID of
    /// `local_cid_len` bytes.
    #[inline]
    pub fn new(bytes: &'a mut [u8], local_cid_len: usize, fixed_bit: FixedBit) -> Self {
        Self {
            rest: bytes,
            offset: 0,
            local_cid_len,
            fixed_bit,
            dcid: None,
        }
    }

    #[inline]
    fn short(&mut self, bytes: &'a mut [u8], first: u8) -> Result<Packet<'a>, Discard> {
        self.check_fixed_bit(first)?;
        let dcid = bytes
            .get(1..)
            .and_then(|rest| rest.get(..self.local_cid_len))
            .ok_or(Discard::Truncated)?;
        if self.dcid.is_some_and(|first| first.as_slice() != dcid) {
            return Err(Discard::ConnectionIdMismatch);
        }
        let layout = Layout::short(dcid.len());
        Ok(Packet::Protected(ProtectedPacket::new(
            bytes,
            self.offset,
            layout,
        )))
    }

    fn long(&mut self, bytes: &'a mut [u8], first: u8) -> Result<Packet<'a>, Discard> {
        match LongHeader::parse(bytes)? {
            LongHeader::Numbered(header) => {
                // RFC 9000 §12.2: the receiver MAY either discard or buffer the packet for later
                // processing and MUST attempt to process the remaining packets.
                let offset = self.offset;
                let (packet, rest) = bytes
                    .split_at_mut_checked(header.end)
                    .ok_or(Discard::Truncated)?;
                self.offset = offset.saturating_add(header.end);
                self.rest = rest;
                self.check_fixed_bit(first)?;
                self.check_dcid(header.dcid)?;
                Ok(Packet::Protected(ProtectedPacket::new(
                    packet,
                    offset,
                    Layout::long(&header),
                )))
            }
            LongHeader::Retry {
                version,
                dcid,
                scid,
                body,
            } => {
                self.check_fixed_bit(first)?;
                self.check_dcid(dcid)?;
                UnverifiedRetry::new(bytes, version, dcid, scid, body).map(Packet::Retry)
            }
            // RFC 9000 §17.2.1: Clients MUST ignore the value of this field. The fixed bit would be
            // in it.
            LongHeader::VersionNegotiation => {
                VersionNegotiation::parse(bytes).map(Packet::VersionNegotiation)
            }
        }
    }

    // RFC 9000 §17.2, §17.3.1: Packets containing a zero value for this bit are not valid packets
    // in this version and MUST be discarded.
    #[inline]
    fn check_fixed_bit(&self, first: u8) -> Result<(), Discard> {
        match self.fixed_bit {
            FixedBit::Required if first & FIXED_BIT == 0 => Err(Discard::FixedBit),
            FixedBit::Required | FixedBit::Ignored => Ok(()),
        }
    }

    // RFC 9000 §12.2: Receivers SHOULD ignore any subsequent packets with a different Destination
    // Connection ID than the first packet in the datagram.
    fn check_dcid(&mut self, dcid: ConnectionId) -> Result<(), Discard> {
        match *self.dcid.get_or_insert(dcid) == dcid {
            true => Ok(()),
            false => Err(Discard::ConnectionIdMismatch),
        }
    }
}

impl<'a> Iterator for Datagram<'a> {
    type Item = Result<Packet<'a>, Discard>;

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        let bytes = core::mem::take(&mut self.rest);
        let first = *bytes.first()?;
        Some(match first & LONG_HEADER {
            0 => self.short(bytes, first),
            _ => self.long(bytes, first),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::packet::PacketType;
    use crate::testing::hex;
    use crate::version::{SupportedVersion, Version};
    use proptest::prelude::*;

    const INITIAL: &str = "c0 00000001 02 d1d2 01 51 00 03 010203";
    const HANDSHAKE: &str = "e0 00000001 02 d1d2 01 51 02 0405";
    const SHORT: &str = "40 d1d2 06";

    /// The type and the range of every packet, or why it was discarded.
    fn packets(
        datagram: &str,
        fixed_bit: FixedBit,
    ) -> Vec<Result<(PacketType, usize, usize), Discard>> {
        let mut bytes = hex(datagram);
        Datagram::new(&mut bytes, 2, fixed_bit)
            .map(|packet| {
                packet.map(|packet| match packet {
                    Packet::Protected(packet) => (
                        packet.packet_type(),
                        packet.range().start,
                        packet.range().end,
                    ),
                    Packet::Retry(_) | Packet::VersionNegotiation(_) => panic!(),
                })
            })
            .collect()
    }

    // [rfc9000-12.2-1]
    #[test]
    fn coalesced_packets_come_one_by_one() {
        assert_eq!(
            packets(&[INITIAL, HANDSHAKE, SHORT].concat(), FixedBit::Required),
            [
                Ok((PacketType::Initial, 0, 15)),
                Ok((PacketType::Handshake, 15, 28)),
                Ok((PacketType::OneRtt, 28, 32)),
            ]
        );
        assert_eq!(packets("", FixedBit::Required), []);
    }

    // [rfc9000-12.2-4] [rfc9000-17.2-1] [rfc9000-17.3.1-1]
    #[test]
    fn a_discarded_packet_does_not_hide_the_next() {
        let greased = INITIAL.replacen("c0", "80", 1);
        let other_dcid = HANDSHAKE.replacen("d1d2", "d1d3", 1);
        let other_version = HANDSHAKE.replacen("00000001", "1a2a3a4a", 1);
        let version = Version::new(0x1a2a_3a4a);
        for (datagram, expected) in [
            (
                [&greased, HANDSHAKE, ""],
                vec![Err(Discard::FixedBit), Ok((PacketType::Handshake, 15, 28))],
            ),
            (
                [INITIAL, &other_dcid, SHORT],
                vec![
                    Ok((PacketType::Initial, 0, 15)),
                    Err(Discard::ConnectionIdMismatch),
                    Ok((PacketType::OneRtt, 28, 32)),
                ],
            ),
            // Behind a header that cannot be read, no packet can be found.
            (
                [INITIAL, &other_version, SHORT],
                vec![
                    Ok((PacketType::Initial, 0, 15)),
                    Err(Discard::UnsupportedVersion(version)),
                ],
            ),
            (
                [INITIAL, "e0 00000001 02", ""],
                vec![Ok((PacketType::Initial, 0, 15)), Err(Discard::Truncated)],
            ),
            (
                [INITIAL, "40 d1d3 06", ""],
                vec![
                    Ok((PacketType::Initial, 0, 15)),
                    Err(Discard::ConnectionIdMismatch),
                ],
            ),
            (
                [INITIAL, "00 d1d2 06", ""],
                vec![Ok((PacketType::Initial, 0, 15)), Err(Discard::FixedBit)],
            ),
            (["40 d1", "", ""], vec![Err(Discard::Truncated)]),
        ] {
            assert_eq!(
                packets(&datagram.concat(), FixedBit::Required),
                expected,
                "{datagram:?}"
            );
        }
    }

    #[test]
    fn fixed_bit_can_be_greased() {
        let greased = [&INITIAL.replacen("c0", "80", 1), "00 d1d2 06"].concat();
        assert_eq!(
            packets(&greased, FixedBit::Ignored),
            [
                Ok((PacketType::Initial, 0, 15)),
                Ok((PacketType::OneRtt, 15, 19))
            ]
        );
    }

    #[test]
    fn parts_of_an_initial_packet() {
        let mut bytes = hex("d0 6b3343cf 02 d1d2 01 51 02 7071 03 010203 4002");
        let mut datagram = Datagram::new(&mut bytes, 2, FixedBit::Required);
        let Some(Ok(Packet::Protected(packet))) = datagram.next() else {
            panic!()
        };
        assert_eq!(
            (packet.packet_type(), packet.version()),
            (PacketType::Initial, Some(SupportedVersion::V2))
        );
        assert_eq!(
            (packet.dcid(), packet.scid()),
            (&[0xd1, 0xd2][..], &[0x51][..])
        );
        assert_eq!(
            (packet.token(), packet.bytes().len()),
            (&[0x70, 0x71][..], 17)
        );
    }

    proptest! {
        #[test]
        fn arbitrary_bytes_end_without_panic(
            mut bytes in proptest::collection::vec(any::<u8>(), 0..200),
            first in prop_oneof![Just(vec![]), Just(hex("c0 00000001")), Just(hex("f0 6b3343cf")), Just(hex("80 00000000"))],
            local_cid_len in 0..=20_usize,
        ) {
            bytes.splice(0..0, first);
            let len = bytes.len();
            let mut reached = 0;
            for packet in Datagram::new(&mut bytes, local_cid_len, FixedBit::Ignored) {
                if let Ok(Packet::Protected(packet)) = packet {
                    let range = packet.range();
                    prop_assert!(range.start >= reached && range.end <= len && range.start < range.end);
                    reached = range.end;
                }
            }
        }
    }
}
