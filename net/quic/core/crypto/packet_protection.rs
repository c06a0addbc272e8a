// SPDX-License-Identifier: GPL-2.0 OR MIT

//! [`PacketProtection`]: an AEAD key and its IV, for the packets of one direction and key phase (RFC 9001 §5.3).

use super::{AeadError, CryptoError, Nonce, PacketKey, Part, Wiped};
use crate::packet::number::PacketNumber;

/// What protects the payload of packets. Made by
/// [`TrafficSecret::packet_protection`](super::TrafficSecret).
pub struct PacketProtection<K> {
    pub(super) key: K,
    pub(super) iv: Wiped<12>,
}

impl<K: PacketKey> PacketProtection<K> {
    /// Encrypts the text in front of the [`TAG_LEN`](super::TAG_LEN) last bytes of `payload` and
    /// writes the tag there.
    #[inline]
    pub fn seal(
        &mut self,
        number: PacketNumber,
        header: &[u8],
        payload: &mut [u8],
    ) -> Result<(), CryptoError> {
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
    use crate::testing::hex;

    #[test]
    fn nonce_of_rfc_9001_appendix_a_5() {
        let iv = hex("e0459b3474bdd0e44a41c144").try_into().unwrap();
        let protection = PacketProtection {
            key: crate::crypto::rustcrypto::Key::unusable(),
            iv: Wiped(iv),
        };
        let number = PacketNumber::new(654_360_564).unwrap();
        assert_eq!(
            &protection.nonce(number)[..],
            hex("e0459b3474bdd0e46d417eb0")
        );
        assert_eq!(protection.nonce(PacketNumber::ZERO), iv);
    }
}
