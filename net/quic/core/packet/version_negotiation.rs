// SPDX-License-Identifier: GPL-2.0 OR MIT

//! [`VersionNegotiation`]: what a server answers to a version that it does not speak (RFC 9000 §17.2.1, RFC 8999 §6).

use super::long::{FIXED_BIT, LONG_HEADER};
use super::Discard;
use crate::bytes::{Full, Reader, Writer};
use crate::cid::ConnectionId;
use crate::version::Version;

/// A Version Negotiation packet. Its connection IDs have up to 255 bytes, as those of unknown
/// versions may.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub struct VersionNegotiation<'a> {
    /// Destination Connection ID: the client's Source Connection ID.
    pub dcid: &'a [u8],
    /// Source Connection ID: the client's Destination Connection ID.
    pub scid: &'a [u8],
    /// Supported Version fields.
    pub versions: Versions<'a>,
}

/// The versions of a Version Negotiation packet.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub struct Versions<'a>(&'a [u8]);

impl<'a> VersionNegotiation<'a> {
    /// Parses the packet that fills a whole datagram.
    pub(super) fn parse(bytes: &'a [u8]) -> Result<Self, Discard> {
        let mut reader = Reader::new(bytes);
        reader.skip(5)?;
        let (dcid, scid) = (reader.vec8()?, reader.vec8()?);
        let versions = reader.take_rest();
        // No version at all is as malformed as a part of one: there is nothing that a client could
        // do about it.
        if versions.is_empty() || versions.len() % 4 != 0 {
            return Err(Discard::Malformed);
        }
        Ok(Self {
            dcid,
            scid,
            versions: Versions(versions),
        })
    }

    /// Whether this answers what a client sent from `scid` to `dcid`; otherwise it is to be
    /// ignored.
    // RFC 8999 §6: An endpoint that receives a Version Negotiation packet MUST ignore it if the
    // connection ID fields do not match.
    pub fn answers(&self, scid: &ConnectionId, dcid: &ConnectionId) -> bool {
        self.dcid == scid.as_slice() && self.scid == dcid.as_slice()
    }

    /// Writes a packet that answers one from `scid` to `dcid`, listing `versions`. `random` makes
    /// the unused bits.
    ///
    /// A server sends it only for datagrams of at least 1200 bytes (RFC 9000 §6.1), one each.
    pub fn emit(
        writer: &mut Writer<'_>,
        scid: &[u8],
        dcid: &[u8],
        versions: impl IntoIterator<Item = Version>,
        random: u8,
    ) -> Result<(), Full> {
        writer.whole(|writer| {
            // RFC 9000 §17.2.1: servers SHOULD set the most significant bit of this field (0x40) to
            // 1 so that Version Negotiation packets appear to have the Fixed Bit field.
            writer.u8(LONG_HEADER | FIXED_BIT | random)?;
            // RFC 9000 §17.2.1: The Version field of a Version Negotiation packet MUST be set to
            // 0x00000000.
            writer.u32(Version::NEGOTIATION.get())?;
            // RFC 9000 §17.2.1: The server MUST include the value from the Source Connection ID
            // field of the packet it receives in the Destination Connection ID field.
            // The value for Source Connection ID MUST be copied from the Destination
            // Connection ID of the received packet.
            for cid in [scid, dcid] {
                writer.u8(u8::try_from(cid.len()).map_err(|_| Full)?)?;
                writer.bytes(cid)?;
            }
            versions
                .into_iter()
                .try_for_each(|version| writer.u32(version.get()))
        })
    }
}

impl Iterator for Versions<'_> {
    type Item = Version;

    fn next(&mut self) -> Option<Version> {
        let (&version, rest) = self.0.split_first_chunk::<4>()?;
        self.0 = rest;
        Some(Version::new(u32::from_be_bytes(version)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::packet::{Datagram, FixedBit, InvariantHeader, Packet};
    use crate::testing::hex;

    // [rfc9000-17.2.1-1] [rfc9000-17.2.1-2] [rfc9000-17.2.1-3] [rfc9000-17.2.1-4]
    // [rfc9000-17.2.1-5]
    #[test]
    fn answers_with_the_connection_ids_turned() {
        // The client tries a reserved version with connection IDs that are too long for version 1.
        let client = hex(&format!("c0 1a2a3a4a 15 {} 03 c1c2c3", "d0".repeat(21)));
        let Ok(InvariantHeader::Long { dcid, scid, .. }) = InvariantHeader::parse(&client) else {
            panic!()
        };
        let versions = [Version::V1, Version::reserved(7), Version::V2];
        let mut buffer = [0; 64];
        let mut writer = Writer::new(&mut buffer);
        VersionNegotiation::emit(&mut writer, scid, dcid, versions, 0x25).unwrap();
        let bytes = writer.into_written();
        assert_eq!(bytes[0], 0xe5);

        // The fixed bit does not matter.
        bytes[0] = 0x80;
        let mut datagram = Datagram::new(bytes, 8, FixedBit::Required);
        let Some(Ok(Packet::VersionNegotiation(packet))) = datagram.next() else {
            panic!()
        };
        assert_eq!(
            (packet.dcid, packet.scid),
            (&[0xc1, 0xc2, 0xc3][..], &[0xd0; 21][..])
        );
        assert_eq!(packet.versions.collect::<Vec<_>>(), versions);
        assert!(datagram.next().is_none());
    }

    #[test]
    fn belongs_to_the_packet_it_answers() {
        let bytes = hex("80 00000000 01 c1 01 d1 00000001");
        let packet = VersionNegotiation::parse(&bytes).unwrap();
        let (c1, d1) = (
            ConnectionId::new(&[0xc1]).unwrap(),
            ConnectionId::new(&[0xd1]).unwrap(),
        );
        assert!(packet.answers(&c1, &d1));
        assert!(!packet.answers(&d1, &c1));
        assert!(!packet.answers(&c1, &c1));
    }

    #[test]
    fn only_whole_versions() {
        let packet = hex("80 00000000 01 c1 01 d1 00000001 6b3343cf");
        for len in 0..=packet.len() {
            let expected = match len {
                0..=8 => Some(Discard::Truncated),
                13 | 17 => None,
                _ => Some(Discard::Malformed),
            };
            assert_eq!(
                VersionNegotiation::parse(&packet[..len]).err(),
                expected,
                "{len}"
            );
        }
    }

    #[test]
    fn what_does_not_fit_is_not_written() {
        let mut buffer = [0; 12];
        let mut writer = Writer::new(&mut buffer);
        assert_eq!(
            VersionNegotiation::emit(&mut writer, &[1], &[2], [Version::V1], 0),
            Err(Full)
        );
        assert_eq!(
            VersionNegotiation::emit(&mut writer, &[0; 256], &[], [], 0),
            Err(Full)
        );
        assert_eq!(writer.position(), 0);
    }
}
