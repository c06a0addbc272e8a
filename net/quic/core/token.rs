// SPDX-License-Identifier: GPL-2.0 OR MIT

//! [`TokenKey`]: address validation tokens, in which a server puts what it would have to remember otherwise
//! (RFC 9000 §8.1).
//!
//! ```text
//! Token {
//!   Format (8) = 0x10 for Retry, 0x11 for NEW_TOKEN,
//!   Nonce (96),
//!   Issued (64),                                   # encrypted: nanoseconds of the server's clock
//!   [Original Destination Connection ID (8..168)], # encrypted: of a Retry token, its length before it
//!   Tag (128),
//! }
//! ```
//!
//! What the client shows again anyhow is not in the token but in the associated data: the QUIC
//! version, the address and, for Retry, the port and the connection ID to which the client was
//! sent. So a token that does not belong to its bearer does not authenticate, in a time that tells
//! nothing about why.

use crate::bytes::{Full, Reader, Truncated, Writer};
use crate::cid::ConnectionId;
use crate::crypto::{
    AeadError, CipherSuite, CryptoError, CryptoProvider, HashAlgorithm, KeyUse, Nonce, PacketKey,
    Wiped, MAX_HASH_LEN, TAG_LEN,
};
use crate::time::{Duration, Instant};
use crate::version::SupportedVersion;
use core::net::{IpAddr, SocketAddr};

/// The first byte of a token from a Retry packet.
// RFC 9000 §8.1.1: A token sent in a NEW_TOKEN frame or a Retry packet MUST be constructed in a way
// that allows the server to identify how it was provided to a client.
const RETRY: u8 = 0x10;
/// The first byte of a token from a NEW_TOKEN frame.
const NEW_TOKEN: u8 = 0x11;

/// The longest token, in bytes: short of the 120 that clients are known to keep.
pub const MAX_LEN: usize = 1 + 12 + MAX_TEXT + TAG_LEN;

/// Issued, and Original Destination Connection ID with its length.
const MAX_TEXT: usize = 8 + 1 + ConnectionId::MAX_LEN;
/// The format, the version, the address, the port, and the connection ID with its length.
const MAX_HEADER: usize = 1 + 4 + 16 + 2 + 1 + ConnectionId::MAX_LEN;

/// Seals and opens the tokens of a server.
pub struct TokenKey<K> {
    key: K,
    /// How long tokens are good.
    pub lifetimes: Lifetimes,
}

/// How long tokens are good after they were issued.
// RFC 9000 §8.1.4: servers MUST ensure that replay of tokens is prevented or limited.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub struct Lifetimes {
    /// From Retry packets.
    pub retry: Duration,
    /// From NEW_TOKEN frames.
    pub new_token: Duration,
}

/// Who wants to connect, as the Initial packet that carries or is to be answered by a token shows
/// it.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub struct Client {
    /// Where the packet comes from.
    pub address: SocketAddr,
    /// The version of its header.
    pub version: SupportedVersion,
}

/// What a token proves.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub enum Validation {
    /// The client answers our Retry packet: its address is validated.
    Retry {
        /// For the original_destination_connection_id transport parameter; the Destination
        /// Connection ID of the packet is the retry_source_connection_id.
        original_destination: ConnectionId,
    },
    /// The client was here before: its address is validated.
    NewToken {
        /// No two tokens of a key have the same, so whoever wants each to be used once can
        /// remember it.
        id: Nonce,
    },
    /// Nothing: the client is treated as if it had sent no token.
    // RFC 9000 §8.1.3: If the token is invalid, then the server SHOULD proceed as if the client
    // did not have a validated address, including potentially sending a Retry packet.
    Nothing,
    /// It is from a Retry packet, but not for this client or not any more.
    // RFC 9000 §8.1.2: Instead, the server SHOULD immediately close the connection with an
    // INVALID_TOKEN error.
    InvalidRetry,
}

/// Why a token could not be sealed; nothing was written.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub enum SealError {
    /// There is no room.
    Full,
    /// The cipher failed.
    Crypto,
}

impl From<Full> for SealError {
    fn from(_: Full) -> Self {
        Self::Full
    }
}

impl From<CryptoError> for SealError {
    fn from(_: CryptoError) -> Self {
        Self::Crypto
    }
}

impl Default for Lifetimes {
    fn default() -> Self {
        Self {
            // The client answers at once, but its answers may get lost: with an RTT of a second
            // this is time for three probe timeouts.
            retry: Duration::from_secs(10),
            // A client that comes back within ten minutes saves a round trip.
            new_token: Duration::from_secs(600),
        }
    }
}

impl<K: PacketKey> TokenKey<K> {
    /// A key made of `secret`, which may serve for other purposes too.
    pub fn derive<P: CryptoProvider<PacketKey = K>>(
        provider: &P,
        secret: &[u8; 32],
        lifetimes: Lifetimes,
    ) -> Result<Self, CryptoError> {
        let mut hash = Wiped([0; MAX_HASH_LEN]);
        provider.hmac(
            HashAlgorithm::Sha256,
            secret,
            &[b"quic address validation token"],
            &mut hash.0,
        );
        let suite = CipherSuite::Aes128Gcm;
        let key = hash.0.get(..suite.key_len()).unwrap_or_default();
        Ok(Self {
            key: provider.packet_key(suite, key, KeyUse::Token)?,
            lifetimes,
        })
    }

    /// Writes a token for the Retry packet that answers an Initial packet of `client` sent to
    /// `original_destination`, and sends the client to `retry_source`.
    ///
    /// `nonce` is never used twice with a key: a counter, or random for at most 2^32 tokens.
    pub fn seal_retry(
        &mut self,
        writer: &mut Writer<'_>,
        nonce: Nonce,
        now: Instant,
        client: &Client,
        original_destination: &ConnectionId,
        retry_source: &ConnectionId,
    ) -> Result<(), SealError> {
        let bearer = Bearer {
            format: RETRY,
            client,
            retry_source,
        };
        self.seal(writer, nonce, &bearer, |text| {
            text.u64(now.as_nanos())?;
            original_destination.write(text)
        })
    }

    /// Writes a token for a NEW_TOKEN frame on a connection with `client`, whose version is the
    /// negotiated one.
    ///
    /// `nonce` as in [`Self::seal_retry`].
    // RFC 9000 §8.1.3: A token issued with NEW_TOKEN MUST NOT include information that would allow
    // values to be linked by an observer to the connection on which it was issued. The nonce is all
    // that is not encrypted.
    // RFC 9000 §8.1.3: A server MUST ensure that every NEW_TOKEN frame it sends is unique across
    // all clients. RFC 9000 §8.1.4: Tokens sent in NEW_TOKEN frames MUST include information that
    // allows the server to verify that the client IP address has not changed from when the token
    // was issued.
    pub fn seal_new_token(
        &mut self,
        writer: &mut Writer<'_>,
        nonce: Nonce,
        now: Instant,
        client: &Client,
    ) -> Result<(), SealError> {
        let bearer = Bearer {
            format: NEW_TOKEN,
            client,
            retry_source: &ConnectionId::EMPTY,
        };
        self.seal(writer, nonce, &bearer, |text| text.u64(now.as_nanos()))
    }

    /// What `token` proves in an Initial packet that `client` sent to `destination`.
    ///
    /// An error is not the fault of the client.
    // RFC 9000 §8.1.3: When a server receives an Initial packet with an address validation token,
    // it MUST attempt to validate the token. RFC 9000 §8.1.4: If the client IP address has changed,
    // the server MUST adhere to the anti-amplification limit.
    pub fn open(
        &mut self,
        token: &[u8],
        now: Instant,
        client: &Client,
        destination: &ConnectionId,
    ) -> Result<Validation, CryptoError> {
        let (retry_source, lifetime, invalid) = match token.first() {
            Some(&RETRY) => (destination, self.lifetimes.retry, Validation::InvalidRetry),
            Some(&NEW_TOKEN) => (
                &ConnectionId::EMPTY,
                self.lifetimes.new_token,
                Validation::Nothing,
            ),
            _ => return Ok(Validation::Nothing),
        };
        let mut reader = Reader::new(token);
        let (Ok(format), Ok(nonce)) = (reader.u8(), reader.array()) else {
            return Ok(Validation::Nothing);
        };

        let mut buffer = [0; MAX_HEADER + MAX_TEXT + TAG_LEN];
        let mut writer = Writer::new(&mut buffer);
        let bearer = Bearer {
            format,
            client,
            retry_source,
        };
        // A token that is too long is none of ours.
        if bearer.emit(&mut writer).is_err() {
            return Ok(Validation::Nothing);
        }
        let header_len = writer.position();
        if writer.bytes(reader.rest()).is_err() {
            return Ok(Validation::Nothing);
        }
        let Some((header, payload)) = writer.into_written().split_at_mut_checked(header_len) else {
            return Ok(Validation::Nothing);
        };
        match self.key.open(&nonce, header, payload) {
            Ok(()) => {}
            Err(AeadError::Unauthenticated) => return Ok(invalid),
            Err(AeadError::Failed) => return Err(CryptoError),
        }

        let text = payload
            .len()
            .checked_sub(TAG_LEN)
            .and_then(|len| payload.get(..len));
        let Ok((issued, original_destination)) = read_text(format, text.unwrap_or_default()) else {
            return Ok(invalid);
        };
        // A token from the future is from another clock.
        if issued > now || now.since(issued) > lifetime {
            return Ok(invalid);
        }
        Ok(match original_destination {
            Some(original_destination) => Validation::Retry {
                original_destination,
            },
            None => Validation::NewToken { id: nonce },
        })
    }

    // RFC 9000 §8.1.4: An address validation token MUST be difficult to guess […] the token MUST be
    // covered by integrity protection against modification or falsification by clients.
    fn seal(
        &mut self,
        writer: &mut Writer<'_>,
        nonce: Nonce,
        bearer: &Bearer<'_>,
        emit_text: impl FnOnce(&mut Writer<'_>) -> Result<(), Full>,
    ) -> Result<(), SealError> {
        let mut buffer = [0; MAX_HEADER + MAX_TEXT + TAG_LEN];
        let mut plain = Writer::new(&mut buffer);
        bearer.emit(&mut plain)?;
        let header_len = plain.position();
        emit_text(&mut plain)?;
        plain.fill(TAG_LEN, 0)?;
        let (header, payload) = plain
            .into_written()
            .split_at_mut_checked(header_len)
            .ok_or(SealError::Full)?;
        self.key.seal(&nonce, header, payload)?;
        writer.whole(|writer| {
            writer.u8(bearer.format)?;
            writer.array(nonce)?;
            writer.bytes(payload)
        })?;
        Ok(())
    }
}

/// Issued, and Original Destination Connection ID of a Retry token.
fn read_text(format: u8, text: &[u8]) -> Result<(Instant, Option<ConnectionId>), Truncated> {
    let mut reader = Reader::new(text);
    let issued = Instant::from_nanos(reader.u64()?);
    let original_destination = match format {
        RETRY => Some(ConnectionId::read(&mut reader)?.ok_or(Truncated)?),
        _ => None,
    };
    Ok((issued, original_destination))
}

/// Whom a token is for: its associated data.
struct Bearer<'a> {
    format: u8,
    client: &'a Client,
    retry_source: &'a ConnectionId,
}

impl Bearer<'_> {
    fn emit(&self, writer: &mut Writer<'_>) -> Result<(), Full> {
        writer.u8(self.format)?;
        // RFC 9369 §5: Servers MUST validate the originating version of any session ticket or token
        // and not accept one issued from a different version.
        writer.u32(self.client.version.wire().get())?;
        // The same host, whether its address came as IPv4 or mapped to IPv6.
        writer.array(match self.client.address.ip() {
            IpAddr::V4(ip) => ip.to_ipv6_mapped().octets(),
            IpAddr::V6(ip) => ip.octets(),
        })?;
        // RFC 9000 §8.1.4: Tokens sent in Retry packets SHOULD include information that allows the
        // server to verify that the source IP address and port in client packets remain
        // constant. RFC 9000 §8.1.3: It is unlikely that the client port number is the same
        // on two different connections; validating the port is therefore unlikely to be
        // successful.
        writer.u16(if self.format == RETRY {
            self.client.address.port()
        } else {
            0
        })?;
        self.retry_source.write(writer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crypto::rustcrypto::{Key, RustCrypto};
    use core::net::Ipv4Addr;
    use proptest::prelude::*;
    use SupportedVersion::{V1, V2};

    const NONCE: Nonce = [0x4e; 12];
    const NOW: Instant = Instant::from_nanos(1_000_000_000_000);

    fn key(secret: u8) -> TokenKey<Key> {
        TokenKey::derive(&RustCrypto, &[secret; 32], Lifetimes::default()).unwrap()
    }

    fn client(address: &str, version: SupportedVersion) -> Client {
        Client {
            address: address.parse().unwrap(),
            version,
        }
    }

    fn cid(bytes: &[u8]) -> ConnectionId {
        ConnectionId::new(bytes).unwrap()
    }

    fn retry_token(client: &Client, odcid: &ConnectionId, scid: &ConnectionId) -> Vec<u8> {
        let mut buffer = [0; MAX_LEN];
        let mut writer = Writer::new(&mut buffer);
        key(1)
            .seal_retry(&mut writer, NONCE, NOW, client, odcid, scid)
            .unwrap();
        writer.written().to_vec()
    }

    fn new_token(client: &Client) -> Vec<u8> {
        let mut buffer = [0; MAX_LEN];
        let mut writer = Writer::new(&mut buffer);
        key(1)
            .seal_new_token(&mut writer, NONCE, NOW, client)
            .unwrap();
        writer.written().to_vec()
    }

    // [rfc9000-8.1.1-1]
    #[test]
    fn retry_token_is_for_one_client_on_its_way() {
        let home = client("192.0.2.1:4433", V1);
        let (odcid, scid) = (cid(b"original"), cid(b"retry"));
        let token = retry_token(&home, &odcid, &scid);
        let valid = Validation::Retry {
            original_destination: odcid,
        };
        let at = |seconds| NOW + Duration::from_secs(seconds);
        for (client, destination, now, expected) in [
            (home, scid, NOW, valid),
            (home, scid, at(10), valid),
            (client("[::ffff:192.0.2.1]:4433", V1), scid, at(1), valid),
            (home, scid, at(11), Validation::InvalidRetry),
            (
                home,
                scid,
                NOW - Duration::from_nanos(1),
                Validation::InvalidRetry,
            ),
            (home, odcid, NOW, Validation::InvalidRetry),
            (
                client("192.0.2.1:4434", V1),
                scid,
                NOW,
                Validation::InvalidRetry,
            ),
            (
                client("192.0.2.2:4433", V1),
                scid,
                NOW,
                Validation::InvalidRetry,
            ),
            (
                client("[2001:db8::1]:4433", V1),
                scid,
                NOW,
                Validation::InvalidRetry,
            ),
            (
                client("192.0.2.1:4433", V2),
                scid,
                NOW,
                Validation::InvalidRetry,
            ),
        ] {
            assert_eq!(
                key(1).open(&token, now, &client, &destination),
                Ok(expected),
                "{client:?} at {now:?}"
            );
        }
        assert_eq!(
            key(2).open(&token, NOW, &home, &scid),
            Ok(Validation::InvalidRetry)
        );
    }

    // [rfc9000-8.1.1-1] [rfc9000-8.1.3-7] [rfc9000-8.1.4-3] [rfc9000-8.1.4-4] [rfc9000-8.1.4-5]
    #[test]
    fn new_token_is_for_an_address_whatever_the_port() {
        let home = client("192.0.2.1:4433", V2);
        let token = new_token(&home);
        let valid = Validation::NewToken { id: NONCE };
        let at = |seconds| NOW + Duration::from_secs(seconds);
        for (client, now, expected) in [
            (home, NOW, valid),
            (client("192.0.2.1:1", V2), at(600), valid),
            (client("[::ffff:192.0.2.1]:9", V2), at(1), valid),
            (home, at(601), Validation::Nothing),
            (home, NOW - Duration::from_nanos(1), Validation::Nothing),
            (client("192.0.2.2:4433", V2), NOW, Validation::Nothing),
            (client("192.0.2.1:4433", V1), NOW, Validation::Nothing),
        ] {
            let destination = cid(b"whatever");
            assert_eq!(
                key(1).open(&token, now, &client, &destination),
                Ok(expected),
                "{client:?} at {now:?}"
            );
        }
        assert_eq!(
            key(2).open(&token, NOW, &home, &ConnectionId::EMPTY),
            Ok(Validation::Nothing)
        );
    }

    // [rfc9000-8.1.4-1] [rfc9000-8.1.4-2]
    #[test]
    fn any_changed_bit_is_noticed() {
        let home = client("[2001:db8::1]:4433", V1);
        let (odcid, scid) = (cid(&[0xd0; 20]), cid(&[0x5c; 8]));
        for (token, valid) in [
            (
                retry_token(&home, &odcid, &scid),
                Validation::Retry {
                    original_destination: odcid,
                },
            ),
            (new_token(&home), Validation::NewToken { id: NONCE }),
        ] {
            assert!(token.len() <= MAX_LEN && token.len() <= 120);
            assert_eq!(key(1).open(&token, NOW, &home, &scid), Ok(valid));
            for bit in 0..token.len() * 8 {
                let mut token = token.clone();
                token[bit / 8] ^= 1 << (bit % 8);
                let opened = key(1).open(&token, NOW, &home, &scid).unwrap();
                assert!(
                    matches!(opened, Validation::Nothing | Validation::InvalidRetry),
                    "bit {bit}"
                );
            }
            for len in 0..token.len() {
                let opened = key(1).open(&token[..len], NOW, &home, &scid).unwrap();
                assert!(
                    matches!(opened, Validation::Nothing | Validation::InvalidRetry),
                    "{len} bytes"
                );
            }
        }
    }

    // [rfc9000-8.1.3-7]
    #[test]
    fn a_foreign_token_is_no_token() {
        let home = client("192.0.2.1:4433", V1);
        for token in [
            &[][..],
            &[0],
            &[0xff; 40],
            &[RETRY; 13 + MAX_TEXT + MAX_HEADER + 17],
            &[RETRY; 5],
        ] {
            assert_eq!(
                key(1).open(token, NOW, &home, &ConnectionId::EMPTY),
                Ok(Validation::Nothing)
            );
        }
    }

    #[test]
    fn server_does_not_blame_the_client_for_its_cipher() {
        let home = client("192.0.2.1:4433", V1);
        let token = new_token(&home);
        let mut broken = TokenKey {
            key: Key::unusable(),
            lifetimes: Lifetimes::default(),
        };
        assert_eq!(
            broken.open(&token, NOW, &home, &ConnectionId::EMPTY),
            Err(CryptoError)
        );
        let mut buffer = [0; MAX_LEN];
        let mut writer = Writer::new(&mut buffer);
        assert_eq!(
            broken.seal_new_token(&mut writer, NONCE, NOW, &home),
            Err(SealError::Crypto)
        );
        for len in 0..token.len() {
            let mut writer = Writer::new(&mut buffer[..len]);
            assert_eq!(
                key(1).seal_new_token(&mut writer, NONCE, NOW, &home),
                Err(SealError::Full)
            );
            assert_eq!(writer.position(), 0);
        }
    }

    proptest! {
        #[test]
        fn arbitrary_tokens_prove_nothing(
            first in prop_oneof![Just(RETRY), Just(NEW_TOKEN), any::<u8>()],
            rest in proptest::collection::vec(any::<u8>(), 0..150),
            ip in any::<[u8; 4]>(),
        ) {
            let token = [&[first][..], &rest].concat();
            let address = SocketAddr::new(Ipv4Addr::from(ip).into(), 1);
            let opened = key(1).open(&token, NOW, &Client { address, version: V1 }, &ConnectionId::EMPTY).unwrap();
            prop_assert!(matches!(opened, Validation::Nothing | Validation::InvalidRetry));
        }
    }
}
