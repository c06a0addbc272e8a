// SPDX-License-Identifier: GPL-2.0 OR MIT

//! [`CipherSuite`]: the AEADs of QUIC, their key lengths and how long a key may be used.

/// A cipher suite of TLS 1.3 that QUIC can use (RFC 9001 §5.3).
// RFC 9001 §5.3: A cipher suite MUST NOT be negotiated unless a header protection scheme is defined
// for the cipher suite.
#[derive(Copy, Clone, PartialEq, Eq, Hash, Debug)]
pub enum CipherSuite {
    /// TLS_AES_128_GCM_SHA256.
    Aes128Gcm,
    /// TLS_AES_256_GCM_SHA384.
    Aes256Gcm,
    /// TLS_AES_128_CCM_SHA256.
    Aes128Ccm,
    /// TLS_CHACHA20_POLY1305_SHA256.
    ChaCha20Poly1305,
}

/// A hash function.
#[derive(Copy, Clone, PartialEq, Eq, Hash, Debug)]
pub enum HashAlgorithm {
    /// SHA-256.
    Sha256,
    /// SHA-384.
    Sha384,
}

impl CipherSuite {
    /// The suite with that `TLS_CIPHER_*` number of `linux/tls.h`, as the CRYPTO_SECRET socket
    /// option has it.
    pub const fn from_tls_cipher(number: u32) -> Option<Self> {
        match number {
            51 => Some(Self::Aes128Gcm),
            52 => Some(Self::Aes256Gcm),
            53 => Some(Self::Aes128Ccm),
            54 => Some(Self::ChaCha20Poly1305),
            _ => None,
        }
    }

    /// The `TLS_CIPHER_*` number of `linux/tls.h`.
    pub const fn tls_cipher(self) -> u32 {
        match self {
            Self::Aes128Gcm => 51,
            Self::Aes256Gcm => 52,
            Self::Aes128Ccm => 53,
            Self::ChaCha20Poly1305 => 54,
        }
    }

    /// The hash function of its key schedule.
    pub const fn hash(self) -> HashAlgorithm {
        match self {
            Self::Aes128Gcm | Self::Aes128Ccm | Self::ChaCha20Poly1305 => HashAlgorithm::Sha256,
            Self::Aes256Gcm => HashAlgorithm::Sha384,
        }
    }

    /// How many bytes the AEAD key takes, and the header protection key too.
    pub const fn key_len(self) -> usize {
        match self {
            Self::Aes128Gcm | Self::Aes128Ccm => 16,
            Self::Aes256Gcm | Self::ChaCha20Poly1305 => 32,
        }
    }

    /// How many packets may be encrypted with one key.
    // RFC 9001 §6.6: Endpoints MUST initiate a key update before sending more protected packets
    // than the confidentiality limit for the selected AEAD permits.
    pub const fn confidentiality_limit(self) -> u32 {
        match self {
            Self::Aes128Gcm | Self::Aes256Gcm => 1 << 23,
            // 2^21.5, rounded down.
            Self::Aes128Ccm => 2_965_820,
            // RFC 9001 §6.6: greater than the number of possible packets (2^62) and so can be
            // disregarded. All the same, a key is replaced when no more packets can be counted.
            Self::ChaCha20Poly1305 => u32::MAX,
        }
    }

    /// How many packets of a connection may fail authentication, over all of its keys.
    // RFC 9001 §6.6: If the total number of received packets that fail authentication within the
    // connection, across all keys, exceeds the integrity limit for the selected AEAD, the
    // endpoint MUST immediately close the connection with a connection error of type
    // AEAD_LIMIT_REACHED.
    pub const fn integrity_limit(self) -> u64 {
        match self {
            Self::Aes128Gcm | Self::Aes256Gcm => 1 << 52,
            // 2^21.5, rounded down.
            Self::Aes128Ccm => 2_965_820,
            Self::ChaCha20Poly1305 => 1 << 36,
        }
    }
}

impl HashAlgorithm {
    /// How many bytes the hash takes, and so a secret.
    pub const fn output_len(self) -> usize {
        match self {
            Self::Sha256 => 32,
            Self::Sha384 => 48,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tls_cipher_numbers_of_the_abi() {
        // The number, the key and the secret, as `linux/tls.h` and the socket option have them.
        for (number, key, secret) in [(51, 16, 32), (52, 32, 48), (53, 16, 32), (54, 32, 32)] {
            let suite = CipherSuite::from_tls_cipher(number).unwrap();
            assert_eq!(suite.tls_cipher(), number);
            assert_eq!(suite.key_len(), key);
            assert_eq!(suite.hash().output_len(), secret);
        }
        assert_eq!(CipherSuite::from_tls_cipher(50), None);
        assert_eq!(CipherSuite::from_tls_cipher(55), None);
    }

    // [rfc9001-6.6-3] [rfc9001-6.6-6]
    #[test]
    fn limits_of_rfc_9001_section_6_6() {
        assert_eq!(CipherSuite::Aes128Gcm.confidentiality_limit(), 8_388_608);
        assert_eq!(CipherSuite::Aes256Gcm.integrity_limit(), 1 << 52);
        assert_eq!(CipherSuite::ChaCha20Poly1305.integrity_limit(), 1 << 36);
        assert_eq!(
            CipherSuite::ChaCha20Poly1305.confidentiality_limit(),
            u32::MAX
        );
        let ccm = u64::from(CipherSuite::Aes128Ccm.confidentiality_limit());
        assert_eq!(ccm, CipherSuite::Aes128Ccm.integrity_limit());
        // 2^21.5 squared is 2^43.
        assert!(ccm * ccm <= 1 << 43 && (ccm + 1) * (ccm + 1) > 1 << 43);
    }
}
