// SPDX-License-Identifier: GPL-2.0 OR MIT

//! [`Null`]: cryptography that puts the payload in its place, and does nothing else.
//!
//! Its keys have the sizes of those of the kernel: a packet key is a pointer to the transform and its
//! request, a header key is a pointer to AES round keys or a ChaCha20 key. What is behind the
//! pointers is not counted, for it belongs to the cipher.

use super::chunk::Fragment;
use kernel::alloc::flags::GFP_KERNEL;
use kernel::alloc::KBox;
use quic_core::crypto::{
    AeadError, CipherSuite, CryptoError, CryptoProvider, HashAlgorithm, HeaderKey, KeyUse, Nonce,
    PacketKey, Part, MAX_HASH_LEN, SAMPLE_LEN, TAG_LEN,
};
use std::hint::black_box;

/// A provider of nothing.
#[derive(Copy, Clone, Debug)]
pub struct Null {
    /// Whether payload is copied. Without, a packet has the right length and anything in it: what is
    /// counted is the protocol alone.
    pub copies: bool,
}

/// A packet protection key: one pointer.
pub struct NullPacketKey(KBox<Null>);

/// A header protection key: which of two algorithms, and a pointer to its key.
pub struct NullHeaderKey(u64, Option<KBox<Null>>);

impl HeaderKey for NullHeaderKey {
    #[inline(never)]
    fn mask(&self, sample: &[u8; SAMPLE_LEN]) -> [u8; 5] {
        black_box((sample, self.0, &self.1));
        black_box([0; 5])
    }
}

impl PacketKey for NullPacketKey {
    type Chunk = Fragment;

    fn seal(&mut self, _: &Nonce, _: &[u8], _: &mut [u8]) -> Result<(), CryptoError> {
        Ok(())
    }

    #[inline(never)]
    fn seal_parts(
        &mut self,
        nonce: &Nonce,
        header: &[u8],
        payload: &mut [u8],
        parts: &[Part<'_, Fragment>],
    ) -> Result<(), CryptoError> {
        // As a cipher does, it looks at everything.
        black_box((nonce, header, &*payload, parts));
        if self.0.copies {
            copy_parts(payload, parts);
        }
        black_box(Ok(()))
    }

    #[inline(never)]
    fn open(&mut self, nonce: &Nonce, header: &[u8], text: &mut [u8]) -> Result<(), AeadError> {
        black_box((nonce, header, text));
        black_box(Ok(()))
    }

    fn rekey(&mut self, _: &[u8]) -> Result<(), CryptoError> {
        Ok(())
    }
}

#[inline(never)]
fn copy_parts(payload: &mut [u8], parts: &[Part<'_, Fragment>]) {
    for part in parts {
        payload[part.at..][..part.len].copy_from_slice(part.chunk.bytes(part.start, part.len));
    }
}

impl CryptoProvider for Null {
    type HeaderKey = NullHeaderKey;
    type PacketKey = NullPacketKey;

    fn hmac(&self, _: HashAlgorithm, _: &[u8], _: &[&[u8]], output: &mut [u8; MAX_HASH_LEN]) {
        *output = [0; MAX_HASH_LEN];
    }

    fn header_key(
        &self,
        _: CipherSuite,
        _: &[u8],
        _: KeyUse,
    ) -> Result<NullHeaderKey, CryptoError> {
        Ok(NullHeaderKey(0, None))
    }

    fn packet_key(
        &self,
        _: CipherSuite,
        _: &[u8],
        _: KeyUse,
    ) -> Result<NullPacketKey, CryptoError> {
        let key = KBox::new(*self, GFP_KERNEL).map_err(|_| CryptoError)?;
        Ok(NullPacketKey(key))
    }

    fn retry_tag(
        &self,
        _: &[u8; 16],
        _: &Nonce,
        _: &[&[u8]],
    ) -> Result<[u8; TAG_LEN], CryptoError> {
        Ok([0; TAG_LEN])
    }
}
