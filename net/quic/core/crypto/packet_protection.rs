// SPDX-License-Identifier: GPL-2.0 OR MIT

//! [`PacketProtection`]: an AEAD key and its IV, for the packets of one direction and key phase (RFC 9001 §5.3).

use super::{AeadError, CryptoError, Nonce, PacketKey, Part, Wiped};
use crate::packet::number::PacketNumber;

/// What protects the payload of packets. Made by
/// [`TrafficSecret::packet_protection`](super::TrafficSecret).
pub struct PacketProtection<K> {
    pub(super) key: K,
    pub(super) iv: Wiped<12>,
    /// How many packets more may be encrypted.
    pub(super) left: u32,
}

impl<K: PacketKey> PacketProtection<K> {
    /// How many packets more can be encrypted, of the confidentiality limit of the cipher suite.
    #[inline]
    pub const fn left(&self) -> u32 {
        self.left
    }

    /// As if all but `left` packets had been encrypted.
    #[cfg(test)]
    pub(crate) fn use_up(&mut self, left: u32) {
        self.left = left;
    }

    // RFC 9001 §6.6: Endpoints MUST count the number of encrypted packets for each set of keys. If
    // the total number of encrypted packets with the same key exceeds the confidentiality limit for
    // the selected AEAD, the endpoint MUST stop using those keys.
    #[inline]
    fn count(&mut self) -> Result<(), CryptoError> {
        self.left = self.left.checked_sub(1).ok_or(CryptoError)?;
        Ok(())
    }

    /// Encrypts the text in front of the [`TAG_LEN`](super::TAG_LEN) last bytes of `payload` and
    /// writes the tag there.
    #[inline]
    pub fn seal(
        &mut self,
        number: PacketNumber,
        header: &[u8],
        payload: &mut [u8],
    ) -> Result<(), CryptoError> {
        self.count()?;
        self.key.seal(&self.nonce(number), header, payload)
    }

    /// As [`Self::seal`], with some of the text still in `parts`.
    #[inline]
    pub fn seal_parts(
        &mut self,
        number: PacketNumber,
        header: &[u8],
        payload: &mut [u8],
        parts: &[Part<'_, K::Chunk>],
    ) -> Result<(), CryptoError> {
        self.count()?;
        self.key
            .seal_parts(&self.nonce(number), header, payload, parts)
    }

    /// Decrypts the text in front of the [`TAG_LEN`](super::TAG_LEN) last bytes of `payload`.
    #[inline]
    pub fn open(
        &mut self,
        number: PacketNumber,
        header: &[u8],
        payload: &mut [u8],
    ) -> Result<(), AeadError> {
        self.key.open(&self.nonce(number), header, payload)
    }

    // RFC 9001 §5.3: The 62 bits of the reconstructed QUIC packet number in network byte order are
    // left-padded with zeros to the size of the IV. The exclusive OR of the padded packet
    // number and the IV forms the AEAD nonce.
    #[inline]
    fn nonce(&self, number: PacketNumber) -> Nonce {
        let mut nonce = self.iv.0;
        if let Some(low) = nonce.last_chunk_mut::<8>() {
            *low = (u64::from_be_bytes(*low) ^ number.get()).to_be_bytes();
        }
        nonce
    }
}

#[cfg(test)]
impl PacketProtection<super::rustcrypto::Key> {
    /// Makes every use of the key fail.
    pub(crate) fn break_key(&mut self) {
        self.key = super::rustcrypto::Key::unusable();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crypto::rustcrypto::RustCrypto;
    use crate::crypto::{CipherSuite, KeyUse, TrafficSecret};
    use crate::testing::hex;
    use crate::version::SupportedVersion;

    #[test]
    fn nonce_of_rfc_9001_appendix_a_5() {
        let iv = hex("e0459b3474bdd0e44a41c144").try_into().unwrap();
        let protection = PacketProtection {
            key: crate::crypto::rustcrypto::Key::unusable(),
            iv: Wiped(iv),
            left: 0,
        };
        let number = PacketNumber::new(654_360_564).unwrap();
        assert_eq!(
            &protection.nonce(number)[..],
            hex("e0459b3474bdd0e46d417eb0")
        );
        assert_eq!(protection.nonce(PacketNumber::ZERO), iv);
    }

    // [rfc9001-6.6-1] [rfc9001-6.6-2]
    #[test]
    fn a_key_encrypts_as_many_packets_as_its_suite_permits() {
        let suite = CipherSuite::Aes128Ccm;
        let secret = TrafficSecret::new(suite, SupportedVersion::V1, &[1; 32]).unwrap();
        let mut protection = secret
            .packet_protection(&RustCrypto, KeyUse::OneRtt)
            .unwrap();
        assert_eq!(protection.left(), suite.confidentiality_limit());
        protection.left = 2;
        let mut seal = || protection.seal(PacketNumber::ZERO, b"", &mut [0; 20]);
        assert_eq!(seal(), Ok(()));
        assert_eq!(seal(), Ok(()));
        assert_eq!(seal(), Err(CryptoError));
        secret.rekey(&RustCrypto, &mut protection).unwrap();
        assert_eq!(protection.left(), suite.confidentiality_limit());
    }
}
