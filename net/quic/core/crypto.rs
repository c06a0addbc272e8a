// SPDX-License-Identifier: GPL-2.0 OR MIT

//! Packet protection (RFC 9001 §5, §6), on primitives that the caller supplies.
//!
//! ```text
//! TLS secret --> TrafficSecret --+-- header_key() --------> HeaderKey         one for the connection
//!  (suite, version)     |        +-- packet_protection() -> PacketProtection  one a key phase
//!                       next()
//!                       v
//!                 TrafficSecret of the next key phase
//! ```
//!
//! The crate holds secrets and decides what is encrypted with which nonce; [`CryptoProvider`]
//! supplies HMAC and makes keys, [`HeaderKey`] and [`PacketKey`] use them. Making a key may need
//! memory and may sleep, so it can fail and it is bound to a context: [`KeyUse`] says which. Using
//! a key does neither. A connection prepares the keys of the next phase before it needs them;
//! [`PacketKey::rekey`] lets it do so without making any.

mod header_protection;
mod hkdf;
mod packet_protection;
#[cfg(any(test, feature = "rustcrypto"))]
pub mod rustcrypto;
mod schedule;
mod suite;

pub(crate) use header_protection::{protect_header, unprotect_header};
pub use packet_protection::PacketProtection;
pub use schedule::{InitialSecrets, TrafficSecret};
pub use suite::{CipherSuite, HashAlgorithm};

/// How many bytes the authentication tag of every suite takes (RFC 9001 §5.3).
pub const TAG_LEN: usize = 16;
/// How many bytes of ciphertext header protection samples (RFC 9001 §5.4.2).
pub const SAMPLE_LEN: usize = 16;
/// The most bytes of a hash, and so of a secret: those of SHA-384.
pub const MAX_HASH_LEN: usize = 48;

/// The nonce of an AEAD (RFC 9001 §5.3).
pub type Nonce = [u8; 12];

/// A primitive did not do its work, for want of memory or for a reason of its own.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub struct CryptoError;

/// Why an AEAD did not open.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub enum AeadError {
    /// The tag is not that of this text, header, nonce and key.
    Unauthenticated,
    /// The primitive failed, whatever the text.
    Failed,
}

/// What a key is for, and so in which context it is made.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub enum KeyUse {
    /// Initial packets: a few packets. Made in any context, softirq too, and must not sleep.
    Initial,
    /// 0-RTT packets. Made where a secret is installed: process context, may sleep.
    ZeroRtt,
    /// Handshake packets: a few packets. Made in process context, may sleep.
    Handshake,
    /// 1-RTT packets: all the bulk. Made in process context, may sleep.
    OneRtt,
    /// Address validation tokens: one small text at a time. Made in process context, may sleep.
    Token,
}

/// Plaintext that is not in the packet yet: `len` bytes of `chunk` from `start` on belong at `at`
/// of the payload.
#[derive(Debug)]
pub struct Part<'a, C> {
    /// Where in the payload the bytes belong.
    pub at: usize,
    /// What holds them: a page fragment in the kernel, bytes in tests.
    pub chunk: &'a C,
    /// The first of them in `chunk`.
    pub start: usize,
    /// How many they are.
    pub len: usize,
}

impl<'a, C> Part<'a, C> {
    /// The bytes `range` of `chunk`, which belong at `at`.
    #[inline]
    pub fn new(at: usize, chunk: &'a C, range: core::ops::Range<usize>) -> Self {
        Self {
            at,
            chunk,
            start: range.start,
            len: range.len(),
        }
    }
}

impl<C> Clone for Part<'_, C> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<C> Copy for Part<'_, C> {}

/// An AEAD with its key, for packet protection (RFC 9001 §5.3).
///
/// Everywhere, `payload` is the text followed by [`TAG_LEN`] bytes for the tag, and lies in memory
/// directly behind `header`, the associated data. The methods are called under the lock of the
/// connection, in softirq context too, and do not sleep.
pub trait PacketKey {
    /// What holds stream data until it is sent.
    type Chunk;

    /// Encrypts the text in place and writes the tag.
    fn seal(&mut self, nonce: &Nonce, header: &[u8], payload: &mut [u8])
        -> Result<(), CryptoError>;

    /// As [`Self::seal`], where some of the text is still in `parts`.
    ///
    /// The parts do not overlap and come in ascending order; what they do not cover is in `payload`
    /// already. So the encryption can be the copy.
    fn seal_parts(
        &mut self,
        nonce: &Nonce,
        header: &[u8],
        payload: &mut [u8],
        parts: &[Part<'_, Self::Chunk>],
    ) -> Result<(), CryptoError>;

    /// Decrypts the text in place if the tag is right.
    ///
    /// The tag stays as it was: it may be a stateless reset token. After an error the text is
    /// undefined.
    fn open(&mut self, nonce: &Nonce, header: &[u8], payload: &mut [u8]) -> Result<(), AeadError>;

    /// Puts another key, of the same length, in the place of the present one, without sleeping.
    ///
    /// After an error the key is unusable.
    fn rekey(&mut self, key: &[u8]) -> Result<(), CryptoError>;
}

/// A header protection algorithm with its key (RFC 9001 §5.4).
pub trait HeaderKey {
    /// The mask for a sample of ciphertext: AES-ECB of RFC 9001 §5.4.3 or ChaCha20 of §5.4.4.
    fn mask(&self, sample: &[u8; SAMPLE_LEN]) -> [u8; 5];
}

/// Supplies the primitives.
pub trait CryptoProvider {
    /// Header protection keys.
    type HeaderKey: HeaderKey;
    /// Packet protection keys.
    type PacketKey: PacketKey;

    /// HMAC of the concatenation of `data`, into the first [`HashAlgorithm::output_len`] bytes of
    /// `output`. Does not sleep.
    fn hmac(
        &self,
        hash: HashAlgorithm,
        key: &[u8],
        data: &[&[u8]],
        output: &mut [u8; MAX_HASH_LEN],
    );

    /// Makes a header protection key of the [`CipherSuite::key_len`] bytes `key`.
    fn header_key(
        &self,
        suite: CipherSuite,
        key: &[u8],
        usage: KeyUse,
    ) -> Result<Self::HeaderKey, CryptoError>;

    /// Makes a packet protection key of the [`CipherSuite::key_len`] bytes `key`.
    fn packet_key(
        &self,
        suite: CipherSuite,
        key: &[u8],
        usage: KeyUse,
    ) -> Result<Self::PacketKey, CryptoError>;

    /// The AES-128-GCM tag of no text and the concatenation of `header` as associated data: the
    /// Retry Integrity Tag of RFC 9001 §5.8. Does not sleep.
    fn retry_tag(
        &self,
        key: &[u8; 16],
        nonce: &Nonce,
        header: &[&[u8]],
    ) -> Result<[u8; TAG_LEN], CryptoError>;
}

/// Whether `a` and `b` are equal, found out in a time that depends on their lengths alone.
pub fn constant_time_eq(a: &[u8], b: &[u8]) -> bool {
    if a.len() != b.len() {
        return false;
    }
    let difference = a
        .iter()
        .zip(b)
        .fold(0, |difference, (a, b)| difference | (a ^ b));
    // The compiler has to deliver the whole disjunction here, so it cannot stop at the first
    // difference.
    core::hint::black_box(difference) == 0
}

/// Bytes that are overwritten when they are dropped.
#[derive(Clone)]
pub(crate) struct Wiped<const N: usize>(pub(crate) [u8; N]);

impl<const N: usize> Drop for Wiped<N> {
    fn drop(&mut self) {
        self.0.fill(0);
        // The compiler has to assume that somebody reads the zeros.
        core::hint::black_box(&self.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn constant_time_comparison_compares() {
        assert!(constant_time_eq(&[], &[]));
        assert!(constant_time_eq(&[1, 2, 3], &[1, 2, 3]));
        assert!(!constant_time_eq(&[1, 2, 3], &[1, 2, 2]));
        assert!(!constant_time_eq(&[0, 2, 3], &[1, 2, 3]));
        assert!(!constant_time_eq(&[1, 2, 3], &[1, 2]));
    }
}
