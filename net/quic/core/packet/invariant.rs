// SPDX-License-Identifier: GPL-2.0 OR MIT

//! [`InvariantHeader`]: what is the same in all versions of QUIC (RFC 8999 §5), enough to find the connection.

use crate::bytes::{Reader, Truncated};
use crate::version::Version;

/// The version-independent part of the first packet of a datagram. Nothing in it is authenticated.
// RFC 9000 §17.2.1: Version-specific rules for the connection ID therefore MUST NOT influence a
// decision about whether to send a Version Negotiation packet.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub enum InvariantHeader<'a> {
    /// A long header.
    Long {
        /// The version, [`Version::NEGOTIATION`] in a Version Negotiation packet.
        version: Version,
        /// Destination Connection ID, 0 to 255 bytes.
        dcid: &'a [u8],
        /// Source Connection ID, 0 to 255 bytes.
        scid: &'a [u8],
    },
    /// A short header.
    Short {
        /// What follows the first byte: the Destination Connection ID, whose length is not on the
        /// wire, and the rest.
        rest: &'a [u8],
    },
}

impl<'a> InvariantHeader<'a> {
    /// Parses the header at the start of `packet`.
    #[inline]
    pub fn parse(packet: &'a [u8]) -> Result<Self, Truncated> {
        let mut reader = Reader::new(packet);
        if reader.u8()? & 0x80 == 0 {
            return Ok(Self::Short {
                rest: reader.take_rest(),
            });
        }
        Ok(Self::Long {
            version: Version::new(reader.u32()?),
            dcid: reader.vec8()?,
            scid: reader.vec8()?,
        })
    }

    /// The Destination Connection ID; that of a short header is taken to have `local_cid_len`
    /// bytes.
    #[inline]
    pub fn dcid(&self, local_cid_len: usize) -> Result<&'a [u8], Truncated> {
        match *self {
            Self::Long { dcid, .. } => Ok(dcid),
            Self::Short { rest } => rest.get(..local_cid_len).ok_or(Truncated),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::hex;

    #[test]
    fn long_header_of_an_unknown_version() {
        // Connection IDs may have up to 255 bytes in other versions.
        let mut packet = hex("8f 1a2a3a4a ff");
        packet.extend([0xdc; 255]);
        packet.extend(hex("02 5c1d"));
        let header = InvariantHeader::parse(&packet).unwrap();
        let version = Version::new(0x1a2a_3a4a);
        assert_eq!(
            header,
            InvariantHeader::Long {
                version,
                dcid: &[0xdc; 255],
                scid: &[0x5c, 0x1d]
            }
        );
        assert_eq!(header.dcid(8), Ok(&[0xdc; 255][..]));
        for len in 0..packet.len() {
            assert_eq!(InvariantHeader::parse(&packet[..len]), Err(Truncated));
        }
    }

    #[test]
    fn short_header_leaves_the_length_to_the_endpoint() {
        let packet = hex("00 0102030405");
        let header = InvariantHeader::parse(&packet).unwrap();
        assert_eq!(header.dcid(4), Ok(&[1, 2, 3, 4][..]));
        assert_eq!(header.dcid(0), Ok(&[][..]));
        assert_eq!(header.dcid(6), Err(Truncated));
        assert_eq!(InvariantHeader::parse(&[]), Err(Truncated));
    }
}
