// SPDX-License-Identifier: GPL-2.0 OR MIT

//! [`TrafficSecret`]: from a secret of TLS to the keys that protect packets, and on to the next key phase
//! (RFC 9001 §5.1, §5.2, §6.1).

use super::hkdf::Secret;
use super::{
    CipherSuite, CryptoError, CryptoProvider, HashAlgorithm, KeyUse, PacketKey, PacketProtection,
    Wiped,
};
use crate::cid::ConnectionId;
use crate::version::SupportedVersion;

/// The secret of one direction at one encryption level.
#[derive(Clone)]
pub struct TrafficSecret {
    suite: CipherSuite,
    version: SupportedVersion,
    secret: Secret,
}

/// The secrets of Initial packets.
pub struct InitialSecrets {
    /// Protects what the client sends.
    pub client: TrafficSecret,
    /// Protects what the server sends.
    pub server: TrafficSecret,
}

/// The labels of HKDF-Expand-Label, with the "tls13 " that RFC 8446 §7.1 puts before them.
struct Labels {
    key: &'static [u8],
    iv: &'static [u8],
    hp: &'static [u8],
    ku: &'static [u8],
}

const fn labels(version: SupportedVersion) -> Labels {
    match version {
        SupportedVersion::V1 => Labels {
            key: b"tls13 quic key",
            iv: b"tls13 quic iv",
            hp: b"tls13 quic hp",
            ku: b"tls13 quic ku",
        },
        // RFC 9369 §3.3.2: from "quic key" to "quicv2 key", from "quic iv" to "quicv2 iv", from
        // "quic hp" to "quicv2 hp", and from "quic ku" to "quicv2 ku".
        SupportedVersion::V2 => Labels {
            key: b"tls13 quicv2 key",
            iv: b"tls13 quicv2 iv",
            hp: b"tls13 quicv2 hp",
            ku: b"tls13 quicv2 ku",
        },
    }
}

/// The salt of RFC 9001 §5.2 and RFC 9369 §3.3.1.
const fn initial_salt(version: SupportedVersion) -> [u8; 20] {
    match version {
        SupportedVersion::V1 => [
            0x38, 0x76, 0x2c, 0xf7, 0xf5, 0x59, 0x34, 0xb3, 0x4d, 0x17, 0x9a, 0xe6, 0xa4, 0xc8,
            0x0c, 0xad, 0xcc, 0xbb, 0x7f, 0x0a,
        ],
        SupportedVersion::V2 => [
            0x0d, 0xed, 0xe3, 0xde, 0xf7, 0x00, 0xa6, 0xdb, 0x81, 0x93, 0x81, 0xbe, 0x6e, 0x26,
            0x9d, 0xcb, 0xf9, 0xbd, 0x2e, 0xd9,
        ],
    }
}

impl TrafficSecret {
    /// A secret that TLS made; `None` if it has not as many bytes as the hash of the suite.
    pub fn new(suite: CipherSuite, version: SupportedVersion, secret: &[u8]) -> Option<Self> {
        Some(Self {
            suite,
            version,
            secret: Secret::new(suite.hash(), secret)?,
        })
    }

    /// The suite it is for.
    pub fn suite(&self) -> CipherSuite {
        self.suite
    }

    /// Makes the header protection key, which is that of all key phases.
    // RFC 9001 §6.1: The header protection key is not updated.
    pub fn header_key<P: CryptoProvider>(
        &self,
        provider: &P,
        usage: KeyUse,
    ) -> Result<P::HeaderKey, CryptoError> {
        let key = self.expand_key(provider, labels(self.version).hp);
        provider.header_key(self.suite, self.trim(&key), usage)
    }

    /// Makes the packet protection key and IV.
    pub fn packet_protection<P: CryptoProvider>(
        &self,
        provider: &P,
        usage: KeyUse,
    ) -> Result<PacketProtection<P::PacketKey>, CryptoError> {
        let key = self.expand_key(provider, labels(self.version).key);
        let key = provider.packet_key(self.suite, self.trim(&key), usage)?;
        Ok(PacketProtection {
            key,
            iv: self.expand_iv(provider),
            left: self.suite.confidentiality_limit(),
        })
    }

    /// Makes `protection`, of another key phase of this direction, that of this secret, without
    /// allocating.
    ///
    /// After an error it is unusable.
    pub fn rekey<P: CryptoProvider>(
        &self,
        provider: &P,
        protection: &mut PacketProtection<P::PacketKey>,
    ) -> Result<(), CryptoError> {
        let key = self.expand_key(provider, labels(self.version).key);
        protection.iv = self.expand_iv(provider);
        protection.left = self.suite.confidentiality_limit();
        protection.key.rekey(self.trim(&key))
    }

    /// The secret of the next key phase.
    // RFC 9001 §6.1: secret_<n+1> = HKDF-Expand-Label(secret_<n>, "quic ku", "", Hash.length)
    pub fn next<P: CryptoProvider>(&self, provider: &P) -> Self {
        Self {
            secret: self.secret.derive(provider, labels(self.version).ku),
            ..*self
        }
    }

    fn expand_key<P: CryptoProvider>(&self, provider: &P, label: &'static [u8]) -> Wiped<32> {
        let mut key = Wiped([0; 32]);
        let len = self.suite.key_len();
        self.secret
            .expand_label(provider, label, key.0.get_mut(..len).unwrap_or_default());
        key
    }

    fn expand_iv<P: CryptoProvider>(&self, provider: &P) -> Wiped<12> {
        let mut iv = Wiped([0; 12]);
        self.secret
            .expand_label(provider, labels(self.version).iv, &mut iv.0);
        iv
    }

    fn trim<'a>(&self, key: &'a Wiped<32>) -> &'a [u8] {
        key.0.get(..self.suite.key_len()).unwrap_or_default()
    }
}

impl InitialSecrets {
    /// Derives the secrets for a connection whose client's first Initial packet, or the first after
    /// a Retry packet, went to the Destination Connection ID `dcid`.
    // RFC 9001 §5.2: The hash function for HKDF when deriving initial secrets and keys is SHA-256.
    // RFC 9001 §5.2: The HKDF-Expand-Label function defined in TLS 1.3 MUST be used for Initial
    // packets.
    pub fn derive<P: CryptoProvider>(
        provider: &P,
        version: SupportedVersion,
        dcid: &ConnectionId,
    ) -> Self {
        let initial = Secret::extract(
            provider,
            HashAlgorithm::Sha256,
            &initial_salt(version),
            dcid.as_slice(),
        );
        let side = |label| TrafficSecret {
            suite: CipherSuite::Aes128Gcm,
            version,
            secret: initial.derive(provider, label),
        };
        Self {
            client: side(b"tls13 client in"),
            server: side(b"tls13 server in"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crypto::rustcrypto::RustCrypto;
    use crate::testing::hex;
    use SupportedVersion::{V1, V2};

    /// Compares what `secret` expands to with hexadecimal key, IV and header protection key.
    fn assert_expands(secret: &TrafficSecret, key: &str, iv: &str, hp: &str) {
        let labels = labels(secret.version);
        let expand = |label| secret.trim(&secret.expand_key(&RustCrypto, label)).to_vec();
        assert_eq!(expand(labels.key), hex(key));
        assert_eq!(&secret.expand_iv(&RustCrypto).0[..], hex(iv));
        assert_eq!(expand(labels.hp), hex(hp));
    }

    #[test]
    fn initial_keys_of_rfc_9001_appendix_a_1() {
        let dcid = ConnectionId::new(&hex("8394c8f03e515708")).unwrap();
        let secrets = InitialSecrets::derive(&RustCrypto, V1, &dcid);
        assert_eq!(
            secrets.server.secret.as_slice(),
            hex("3c199828fd139efd216c155ad844cc81fb82fa8d7446fa7d78be803acdda951b")
        );
        assert_expands(
            &secrets.client,
            "1f369613dd76d5467730efcbe3b1a22d",
            "fa044b2f42a3fd3b46fb255c",
            "9f50449e04a0e810283a1e9933adedd2",
        );
        assert_expands(
            &secrets.server,
            "cf3a5331653c364c88f0f379b6067e37",
            "0ac1493ca1905853b0bba03e",
            "c206b8d9b9f0f37644430b490eeaa314",
        );
    }

    #[test]
    fn initial_keys_of_rfc_9369_appendix_a_1() {
        let dcid = ConnectionId::new(&hex("8394c8f03e515708")).unwrap();
        let secrets = InitialSecrets::derive(&RustCrypto, V2, &dcid);
        assert_eq!(
            secrets.client.secret.as_slice(),
            hex("14ec9d6eb9fd7af83bf5a668bc17a7e283766aade7ecd0891f70f9ff7f4bf47b")
        );
        assert_expands(
            &secrets.client,
            "8b1a0bc121284290a29e0971b5cd045d",
            "91f73e2351d8fa91660e909f",
            "45b95e15235d6f45a6b19cbcb0294ba9",
        );
        assert_expands(
            &secrets.server,
            "82db637861d55e1d011f19ea71d5d2a7",
            "dd13c276499c0249d3310652",
            "edf6d05c83121201b436e16877593c3a",
        );
    }

    #[test]
    fn chacha_keys_and_update_of_rfc_9001_appendix_a_5() {
        let secret = hex("9ac312a7f877468ebe69422748ad00a15443f18203a07d6060f688f30f21632b");
        let secret = TrafficSecret::new(CipherSuite::ChaCha20Poly1305, V1, &secret).unwrap();
        assert_expands(
            &secret,
            "c6d98ff3441c3fe1b2182094f69caa2ed4b716b65488960a7a984979fb23e1c8",
            "e0459b3474bdd0e44a41c144",
            "25a282b9e82f06f21f488917a4fc8f1b73573685608597d0efcb076b0ab7a7a4",
        );
        assert_eq!(
            secret.next(&RustCrypto).secret.as_slice(),
            hex("1223504755036d556342ee9361d253421a826c9ecdf3c7148684b36b714881f9")
        );
    }

    #[test]
    fn labels_of_rfc_9369_section_3_3_2() {
        // There is no sample of a key update in version 2, so HKDF-Expand-Label by hand.
        let secret = [0x5e; 32];
        let traffic = TrafficSecret::new(CipherSuite::Aes128Gcm, V2, &secret).unwrap();
        let mut next = [0; 48];
        let label = b"\x00\x20\x0ftls13 quicv2 ku\x00\x01";
        RustCrypto.hmac(HashAlgorithm::Sha256, &secret, &[label], &mut next);
        assert_eq!(traffic.next(&RustCrypto).secret.as_slice(), &next[..32]);
        let v1 = TrafficSecret::new(CipherSuite::Aes128Gcm, V1, &secret).unwrap();
        assert_ne!(v1.next(&RustCrypto).secret.as_slice(), &next[..32]);
    }

    #[test]
    fn every_suite_takes_a_secret_of_its_hash() {
        for suite in [
            CipherSuite::Aes128Gcm,
            CipherSuite::Aes256Gcm,
            CipherSuite::Aes128Ccm,
            CipherSuite::ChaCha20Poly1305,
        ] {
            let secret = [7; 48];
            let len = suite.hash().output_len();
            let traffic = TrafficSecret::new(suite, V2, &secret[..len]).unwrap();
            assert_eq!(traffic.next(&RustCrypto).secret.as_slice().len(), len);
            assert_eq!(traffic.suite(), suite);
            assert!(TrafficSecret::new(suite, V1, &secret[..len - 1]).is_none());
        }
    }
}
