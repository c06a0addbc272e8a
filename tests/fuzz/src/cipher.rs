// SPDX-License-Identifier: MIT OR Apache-2.0

//! [`Plain`]: stands in for the ciphers.
//!
//! A text is encrypted as itself, and every tag is [`TAG`]. All secrets are zeros, so that a nonce
//! is the packet number. What was sealed can be asked for, with [`take_sealed`]: a packet as it was
//! before it got its protection, whatever the lengths of connection IDs.

use crate::connection::Bytes;
use quic_core::crypto::{
    AeadError, CipherSuite, CryptoError, CryptoProvider, HashAlgorithm, HeaderKey, KeyUse, Nonce,
    PacketKey, PacketProtection, Part, TrafficSecret, MAX_HASH_LEN, SAMPLE_LEN, TAG_LEN,
};
use quic_core::version::SupportedVersion;
use std::cell::RefCell;

/// What authenticates.
pub(crate) const TAG: [u8; TAG_LEN] = *b"authentic-packet";

/// A packet as it was given to the cipher.
#[derive(Clone, Debug)]
pub(crate) struct Sealed {
    pub(crate) number: u64,
    pub(crate) header: Vec<u8>,
    pub(crate) payload: Vec<u8>,
}

thread_local! {
    static SEALED: RefCell<Vec<Sealed>> = const { RefCell::new(Vec::new()) };
}

/// The packets that were sealed since.
pub(crate) fn take_sealed() -> Vec<Sealed> {
    SEALED.take()
}

#[derive(Copy, Clone, Debug)]
pub(crate) struct Plain;

fn last_eight(nonce: &Nonce) -> u64 {
    let [.., a, b, c, d, e, f, g, h] = *nonce;
    u64::from_be_bytes([a, b, c, d, e, f, g, h])
}

impl HeaderKey for Plain {
    fn mask(&self, _: &[u8; SAMPLE_LEN]) -> [u8; 5] {
        [0; 5]
    }
}

impl PacketKey for Plain {
    type Chunk = Bytes;

    fn seal(
        &mut self,
        nonce: &Nonce,
        header: &[u8],
        payload: &mut [u8],
    ) -> Result<(), CryptoError> {
        self.seal_parts(nonce, header, payload, &[])
    }

    fn seal_parts(
        &mut self,
        nonce: &Nonce,
        header: &[u8],
        payload: &mut [u8],
        parts: &[Part<'_, Bytes>],
    ) -> Result<(), CryptoError> {
        let at = payload.len().checked_sub(TAG_LEN).ok_or(CryptoError)?;
        let (text, tag) = payload.split_at_mut(at);
        let mut end = 0;
        for part in parts {
            assert!(part.at >= end, "parts in ascending order");
            end = part.at + part.len;
            text[part.at..end]
                .copy_from_slice(&part.chunk.as_slice()[part.start..part.start + part.len]);
        }
        tag.copy_from_slice(&TAG);
        let sealed = Sealed {
            number: last_eight(nonce),
            header: header.to_vec(),
            payload: text.to_vec(),
        };
        SEALED.with_borrow_mut(|all| all.push(sealed));
        Ok(())
    }

    fn open(&mut self, _: &Nonce, _: &[u8], payload: &mut [u8]) -> Result<(), AeadError> {
        match payload.ends_with(&TAG) {
            true => Ok(()),
            false => Err(AeadError::Unauthenticated),
        }
    }

    fn rekey(&mut self, _: &[u8]) -> Result<(), CryptoError> {
        Ok(())
    }
}

impl CryptoProvider for Plain {
    type HeaderKey = Self;
    type PacketKey = Self;

    fn hmac(&self, _: HashAlgorithm, _: &[u8], _: &[&[u8]], output: &mut [u8; MAX_HASH_LEN]) {
        *output = [0; MAX_HASH_LEN];
    }

    fn header_key(&self, _: CipherSuite, _: &[u8], _: KeyUse) -> Result<Self, CryptoError> {
        Ok(Self)
    }

    fn packet_key(&self, _: CipherSuite, _: &[u8], _: KeyUse) -> Result<Self, CryptoError> {
        Ok(Self)
    }

    fn retry_tag(
        &self,
        _: &[u8; 16],
        _: &Nonce,
        _: &[&[u8]],
    ) -> Result<[u8; TAG_LEN], CryptoError> {
        Ok(TAG)
    }
}

pub(crate) const SUITE: CipherSuite = CipherSuite::Aes128Gcm;
pub(crate) const SECRET: [u8; 32] = [0; 32];

/// The protection of any packet.
pub(crate) fn protection() -> PacketProtection<Plain> {
    TrafficSecret::new(SUITE, SupportedVersion::V1, &SECRET)
        .and_then(|secret| secret.packet_protection(&Plain, KeyUse::OneRtt).ok())
        .expect("it cannot fail")
}
