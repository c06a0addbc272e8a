// SPDX-License-Identifier: GPL-2.0 OR MIT

//! [`Retry`]: the packet with which a server asks a client to prove its address (RFC 9000 §17.2.5, RFC 9001 §5.8).
//!
//! A client receives an [`UnverifiedRetry`], which becomes a [`Retry`] by its Retry Integrity Tag.

use super::long::{LongType, FIXED_BIT, LONG_HEADER};
use super::Discard;
use crate::bytes::{Full, Writer};
use crate::cid::ConnectionId;
use crate::crypto::{constant_time_eq, CryptoError, CryptoProvider, Nonce, TAG_LEN};
use crate::version::SupportedVersion;
use core::ops::Range;

/// A Retry packet.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub struct Retry<'a> {
    /// The version, which is that of the Initial packet it answers (RFC 9369 §4.1).
    pub version: SupportedVersion,
    /// Destination Connection ID: the client's Source Connection ID.
    pub dcid: ConnectionId,
    /// Source Connection ID: where the client is to send from now on; not where it has sent
    /// before.
    pub scid: ConnectionId,
    /// Retry Token, which the client is to send back; never empty.
    pub token: &'a [u8],
}

/// A Retry packet as it was received: anybody may have sent it.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub struct UnverifiedRetry<'a> {
    retry: Retry<'a>,
    /// The packet without its tag.
    covered: &'a [u8],
    tag: [u8; TAG_LEN],
}

/// Why a Retry packet could not be written.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub enum EmitError {
    /// There is no room.
    Full,
    /// The tag could not be computed.
    Crypto,
}

impl From<Full> for EmitError {
    fn from(_: Full) -> Self {
        Self::Full
    }
}

impl From<CryptoError> for EmitError {
    fn from(_: CryptoError) -> Self {
        Self::Crypto
    }
}

/// The key and the nonce of the Retry Integrity Tag, which are no secret (RFC 9001 §5.8, RFC 9369
/// §3.3.3).
const fn key_and_nonce(version: SupportedVersion) -> ([u8; 16], Nonce) {
    match version {
        SupportedVersion::V1 => (
            0xbe0c_690b_9f66_575a_1d76_6b54_e368_c84e_u128.to_be_bytes(),
            [
                0x46, 0x15, 0x99, 0xd3, 0x5d, 0x63, 0x2b, 0xf2, 0x23, 0x98, 0x25, 0xbb,
            ],
        ),
        SupportedVersion::V2 => (
            0x8fb4_b01b_56ac_48e2_60fb_cbce_ad7c_cc92_u128.to_be_bytes(),
            [
                0xd8, 0x69, 0x69, 0xbc, 0x2d, 0x7c, 0x6d, 0x99, 0x90, 0xef, 0xb0, 0x4a,
            ],
        ),
    }
}

impl<'a> UnverifiedRetry<'a> {
    /// The packet `bytes`, whose token begins at `body`.
    pub(super) fn new(
        bytes: &'a [u8],
        version: SupportedVersion,
        dcid: ConnectionId,
        scid: ConnectionId,
        body: usize,
    ) -> Result<Self, Discard> {
        let (covered, &tag) = bytes
            .split_last_chunk::<TAG_LEN>()
            .ok_or(Discard::Truncated)?;
        let token = covered.get(body..).ok_or(Discard::Truncated)?;
        // RFC 9000 §17.2.5.2: A client MUST discard a Retry packet with a zero-length Retry Token
        // field.
        if token.is_empty() {
            return Err(Discard::Malformed);
        }
        Ok(Self {
            retry: Retry {
                version,
                dcid,
                scid,
                token,
            },
            covered,
            tag,
        })
    }

    /// The packet, if it answers the Initial packet of `version` that a client sent from `scid` to
    /// `original_dcid`.
    ///
    /// That no other packet came from the server before is for the caller to know.
    // RFC 9000 §17.2.5: a client MUST ignore these bits. They are the four lowest of the first
    // byte.
    pub fn verify<P: CryptoProvider>(
        &self,
        provider: &P,
        version: SupportedVersion,
        scid: &ConnectionId,
        original_dcid: &ConnectionId,
    ) -> Result<Option<Retry<'a>>, CryptoError> {
        let retry = self.retry;
        // RFC 9369 §4.1: If the server sends a Retry packet, it MUST use the original version. The
        // client ignores Retry packets using other versions.
        // RFC 9000 §17.2.5.1: A client MUST discard a Retry packet that contains a Source
        // Connection ID field that is identical to the Destination Connection ID field of
        // its Initial packet.
        if retry.version != version || retry.dcid != *scid || retry.scid == *original_dcid {
            return Ok(None);
        }
        // RFC 9000 §17.2.5.2: Clients MUST discard Retry packets that have a Retry Integrity Tag
        // that cannot be validated.
        let tag = integrity_tag(provider, version, original_dcid, self.covered)?;
        Ok(constant_time_eq(&tag, &self.tag).then_some(retry))
    }
}

impl Retry<'_> {
    /// Writes the packet that answers an Initial packet to `original_dcid`, and returns where it
    /// is.
    ///
    /// Four bits of `random` are sent.
    pub fn emit<P: CryptoProvider>(
        &self,
        writer: &mut Writer<'_>,
        provider: &P,
        original_dcid: &ConnectionId,
        random: u8,
    ) -> Result<Range<usize>, EmitError> {
        let start = writer.position();
        writer.whole(|writer| {
            // RFC 9000 §17.2.5: The value in the Unused field is set to an arbitrary value by the
            // server.
            writer
                .u8(LONG_HEADER | FIXED_BIT | LongType::Retry.bits(self.version) | random & 0x0f)?;
            writer.u32(self.version.wire().get())?;
            self.dcid.write(writer)?;
            self.scid.write(writer)?;
            writer.bytes(self.token)
        })?;
        let tag = integrity_tag(
            provider,
            self.version,
            original_dcid,
            writer.written_mut(start),
        );
        match tag
            .map_err(EmitError::from)
            .and_then(|tag| Ok(writer.array(tag)?))
        {
            Ok(()) => Ok(start..writer.position()),
            Err(error) => {
                writer.rewind(start);
                Err(error)
            }
        }
    }
}

/// The Retry Integrity Tag over `covered`, the packet without its tag.
// RFC 9001 §5.8: The Retry Pseudo-Packet is computed by taking the transmitted Retry packet,
// removing the Retry Integrity Tag, and prepending ODCID Length and Original Destination Connection
// ID.
fn integrity_tag<P: CryptoProvider>(
    provider: &P,
    version: SupportedVersion,
    original_dcid: &ConnectionId,
    covered: &[u8],
) -> Result<[u8; TAG_LEN], CryptoError> {
    let (key, nonce) = key_and_nonce(version);
    // At most 20.
    let odcid_length = [original_dcid.len() as u8];
    provider.retry_tag(
        &key,
        &nonce,
        &[&odcid_length, original_dcid.as_slice(), covered],
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crypto::rustcrypto::RustCrypto;
    use crate::packet::{Datagram, FixedBit, Packet};
    use crate::testing::hex;
    use SupportedVersion::{V1, V2};

    /// RFC 9001 A.4 and RFC 9369 A.4.
    const VECTORS: [(SupportedVersion, &str); 2] = [
        (
            V1,
            "ff000000010008f067a5502a4262b5746f6b656e04a265ba2eff4d829058fb3f0f2496ba",
        ),
        (
            V2,
            "cf6b3343cf0008f067a5502a4262b5746f6b656ec8646ce8bfe33952d955543665dcc7b6",
        ),
    ];

    fn cid(digits: &str) -> ConnectionId {
        ConnectionId::new(&hex(digits)).unwrap()
    }

    /// The Retry packet in `bytes`.
    fn receive(bytes: &mut [u8]) -> Result<UnverifiedRetry<'_>, Discard> {
        match Datagram::new(bytes, 0, FixedBit::Required)
            .next()
            .unwrap()?
        {
            Packet::Retry(retry) => Ok(retry),
            packet => panic!("{packet:?}"),
        }
    }

    #[test]
    fn vectors_verify_and_are_emitted() {
        let original_dcid = cid("8394c8f03e515708");
        for (version, vector) in VECTORS {
            let mut bytes = hex(vector);
            let received = receive(&mut bytes).unwrap();
            let verify = |version, scid: &ConnectionId, dcid: &ConnectionId| {
                received.verify(&RustCrypto, version, scid, dcid).unwrap()
            };

            let retry = verify(version, &ConnectionId::EMPTY, &original_dcid).unwrap();
            assert_eq!((retry.version, retry.token), (version, &b"token"[..]));
            assert_eq!(verify(version, &cid("01"), &original_dcid), None);
            assert_eq!(
                verify(version, &ConnectionId::EMPTY, &cid("8394c8f03e515709")),
                None
            );
            assert_eq!(verify(version, &ConnectionId::EMPTY, &retry.scid), None);
            for other in SupportedVersion::ALL
                .into_iter()
                .filter(|other| *other != version)
            {
                assert_eq!(verify(other, &ConnectionId::EMPTY, &original_dcid), None);
            }

            let mut buffer = [0; 64];
            let mut writer = Writer::new(&mut buffer);
            writer.u8(0).unwrap();
            assert_eq!(
                retry.emit(&mut writer, &RustCrypto, &original_dcid, 0xff),
                Ok(1..37)
            );
            assert_eq!(writer.written()[1..], hex(vector));
        }
    }

    // [rfc9000-17.2.5.1-2]
    #[test]
    fn own_connection_id_is_refused_even_with_a_valid_tag() {
        let original_dcid = cid("8394c8f03e515708");
        let retry = Retry {
            version: V1,
            dcid: ConnectionId::EMPTY,
            scid: original_dcid,
            token: b"token",
        };
        let mut buffer = [0; 64];
        let mut writer = Writer::new(&mut buffer);
        retry
            .emit(&mut writer, &RustCrypto, &original_dcid, 0)
            .unwrap();
        let received = receive(writer.into_written()).unwrap();
        assert_eq!(
            received.verify(&RustCrypto, V1, &ConnectionId::EMPTY, &original_dcid),
            Ok(None)
        );
    }

    // [rfc9000-17.2.5.2-3]
    #[test]
    fn any_changed_bit_is_noticed() {
        for (version, vector) in VECTORS {
            let original_dcid = cid("8394c8f03e515708");
            let packet = hex(vector);
            for bit in 0..packet.len() * 8 {
                let mut bytes = packet.clone();
                bytes[bit / 8] ^= 1 << (bit % 8);
                let result = Datagram::new(&mut bytes, 0, FixedBit::Ignored)
                    .next()
                    .unwrap();
                if let Ok(Packet::Retry(retry)) = result {
                    let verified =
                        retry.verify(&RustCrypto, version, &ConnectionId::EMPTY, &original_dcid);
                    assert_eq!(verified, Ok(None), "bit {bit}");
                }
            }
        }
    }

    // [rfc9000-17.2.5.2-4]
    #[test]
    fn token_must_not_be_empty() {
        // A token of five bytes, of one and of none, and a tag that is cut.
        let packet = hex(VECTORS[0].1);
        for (len, expected) in [
            (36, None),
            (32, None),
            (31, Some(Discard::Malformed)),
            (30, Some(Discard::Truncated)),
        ] {
            assert_eq!(
                receive(&mut packet[..len].to_vec()).err(),
                expected,
                "{len}"
            );
        }
    }

    #[test]
    fn what_does_not_fit_is_not_written() {
        let retry = Retry {
            version: V2,
            dcid: ConnectionId::EMPTY,
            scid: cid("f067a5502a4262b5"),
            token: b"token",
        };
        let mut buffer = [0; 35];
        for len in 0..buffer.len() {
            let mut writer = Writer::new(&mut buffer[..len]);
            assert_eq!(
                retry.emit(&mut writer, &RustCrypto, &retry.scid, 0),
                Err(EmitError::Full)
            );
            assert_eq!(writer.position(), 0);
        }
    }
}
