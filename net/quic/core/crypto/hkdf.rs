// SPDX-License-Identifier: GPL-2.0 OR MIT

//! HKDF-Extract (RFC 5869 §2.2) and HKDF-Expand-Label (RFC 8446 §7.1) over the HMAC of the caller.

use super::{CryptoProvider, HashAlgorithm, Wiped, MAX_HASH_LEN};
use crate::bytes::copy;

/// A secret as long as its hash; wiped when dropped.
#[derive(Clone)]
pub(super) struct Secret {
    hash: HashAlgorithm,
    // Only the first `hash.output_len()` bytes count.
    bytes: Wiped<MAX_HASH_LEN>,
}

impl Secret {
    /// The secret of those bytes; `None` if they are not as many as `hash` has.
    pub(super) fn new(hash: HashAlgorithm, from: &[u8]) -> Option<Self> {
        if from.len() != hash.output_len() {
            return None;
        }
        let mut bytes = Wiped([0; MAX_HASH_LEN]);
        copy(&mut bytes.0, from);
        Some(Self { hash, bytes })
    }

    pub(super) fn as_slice(&self) -> &[u8] {
        self.bytes
            .0
            .get(..self.hash.output_len())
            .unwrap_or_default()
    }

    /// HKDF-Extract(salt, material).
    pub(super) fn extract<P: CryptoProvider>(
        provider: &P,
        hash: HashAlgorithm,
        salt: &[u8],
        material: &[u8],
    ) -> Self {
        let mut bytes = Wiped([0; MAX_HASH_LEN]);
        provider.hmac(hash, salt, &[material], &mut bytes.0);
        Self { hash, bytes }
    }

    /// HKDF-Expand-Label(self, label, "", output.len()), where `label` includes the "tls13 " that
    /// RFC 8446 puts before.
    ///
    /// `output` is at most as long as the hash: all that QUIC derives is, so one block suffices.
    pub(super) fn expand_label<P: CryptoProvider>(
        &self,
        provider: &P,
        label: &'static [u8],
        output: &mut [u8],
    ) {
        let mut block = Wiped([0; MAX_HASH_LEN]);
        // struct { uint16 length; opaque label<7..255>; opaque context<0..255>; } HkdfLabel, then
        // the number of the block (RFC 5869 §2.3). Labels and outputs of this crate are
        // shorter than 256 bytes.
        let length = [0, output.len() as u8, label.len() as u8];
        provider.hmac(
            self.hash,
            self.as_slice(),
            &[&length, label, &[0, 1]],
            &mut block.0,
        );
        copy(output, &block.0);
    }

    /// HKDF-Expand-Label(self, label, "", Hash.length).
    pub(super) fn derive<P: CryptoProvider>(&self, provider: &P, label: &'static [u8]) -> Self {
        let mut derived = Self {
            hash: self.hash,
            bytes: Wiped([0; MAX_HASH_LEN]),
        };
        self.expand_label(
            provider,
            label,
            derived
                .bytes
                .0
                .get_mut(..self.hash.output_len())
                .unwrap_or_default(),
        );
        derived
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crypto::rustcrypto::RustCrypto;
    use crate::testing::hex;

    #[test]
    fn extract_and_expand_label_of_rfc_9001_appendix_a_1() {
        let salt = hex("38762cf7f55934b34d179ae6a4c80cadccbb7f0a");
        let dcid = hex("8394c8f03e515708");
        let secret = Secret::extract(&RustCrypto, HashAlgorithm::Sha256, &salt, &dcid);
        assert_eq!(
            secret.as_slice(),
            hex("7db5df06e7a69e432496adedb00851923595221596ae2ae9fb8115c1e9ed0a44")
        );
        assert_eq!(
            secret.derive(&RustCrypto, b"tls13 client in").as_slice(),
            hex("c00cf151ca5be075ed0ebfb5c80323c42d6b7db67881289af4008f1f6c357aea")
        );
    }

    #[test]
    fn a_secret_is_as_long_as_its_hash() {
        assert!(Secret::new(HashAlgorithm::Sha256, &[0; 32]).is_some());
        assert!(Secret::new(HashAlgorithm::Sha384, &[0; 48]).is_some());
        assert!(Secret::new(HashAlgorithm::Sha256, &[0; 48]).is_none());
        assert!(Secret::new(HashAlgorithm::Sha384, &[0; 32]).is_none());
    }
}
