// SPDX-License-Identifier: GPL-2.0 OR MIT

//! [`RustCrypto`]: real ciphers for tests, of this crate and of others (feature `rustcrypto`).

// It is never part of the kernel.
#![allow(
    clippy::arithmetic_side_effects,
    clippy::indexing_slicing,
    clippy::unwrap_used
)]

use super::{
    AeadError, CipherSuite, CryptoError, CryptoProvider, HashAlgorithm, HeaderKey, KeyUse, Nonce,
    PacketKey, Part, MAX_HASH_LEN, SAMPLE_LEN, TAG_LEN,
};
use aes::cipher::{BlockEncrypt, KeyIvInit, StreamCipher, StreamCipherSeek};
use aes_gcm::aead::generic_array::GenericArray;
use aes_gcm::{AeadInPlace, KeyInit};
use hmac::Mac;

type Aes128Ccm = ccm::Ccm<aes::Aes128, ccm::consts::U16, ccm::consts::U12>;

/// Makes keys of the crates `aes-gcm`, `ccm` and `chacha20poly1305`.
#[derive(Copy, Clone, Debug)]
pub struct RustCrypto;

/// An AEAD with its key.
pub struct Key(Aead);

/// A header protection key.
pub struct Mask(Block);

enum Aead {
    Aes128Gcm(Box<aes_gcm::Aes128Gcm>),
    Aes256Gcm(Box<aes_gcm::Aes256Gcm>),
    Aes128Ccm(Box<Aes128Ccm>),
    ChaCha20Poly1305(Box<chacha20poly1305::ChaCha20Poly1305>),
    #[cfg(test)]
    Unusable,
}

enum Block {
    Aes128(Box<aes::Aes128>),
    Aes256(Box<aes::Aes256>),
    ChaCha20([u8; 32]),
}

impl Key {
    /// A key that fails whatever it is asked.
    #[cfg(test)]
    pub(crate) fn unusable() -> Self {
        Self(Aead::Unusable)
    }

    fn new(suite: CipherSuite, key: &[u8]) -> Result<Self, CryptoError> {
        fn make<A: KeyInit>(key: &[u8]) -> Result<Box<A>, CryptoError> {
            A::new_from_slice(key)
                .map(Box::new)
                .map_err(|_| CryptoError)
        }
        Ok(Self(match suite {
            CipherSuite::Aes128Gcm => Aead::Aes128Gcm(make(key)?),
            CipherSuite::Aes256Gcm => Aead::Aes256Gcm(make(key)?),
            CipherSuite::Aes128Ccm => Aead::Aes128Ccm(make(key)?),
            CipherSuite::ChaCha20Poly1305 => Aead::ChaCha20Poly1305(make(key)?),
        }))
    }
}

impl PacketKey for Key {
    type Chunk = Vec<u8>;

    fn seal(
        &mut self,
        nonce: &Nonce,
        header: &[u8],
        payload: &mut [u8],
    ) -> Result<(), CryptoError> {
        let nonce = GenericArray::from_slice(nonce);
        let at = payload.len().checked_sub(TAG_LEN).ok_or(CryptoError)?;
        let (text, tag) = payload.split_at_mut(at);
        let sealed = match &self.0 {
            Aead::Aes128Gcm(key) => key.encrypt_in_place_detached(nonce, header, text),
            Aead::Aes256Gcm(key) => key.encrypt_in_place_detached(nonce, header, text),
            Aead::Aes128Ccm(key) => key.encrypt_in_place_detached(nonce, header, text),
            Aead::ChaCha20Poly1305(key) => key.encrypt_in_place_detached(nonce, header, text),
            #[cfg(test)]
            Aead::Unusable => return Err(CryptoError),
        };
        tag.copy_from_slice(&sealed.map_err(|_| CryptoError)?);
        Ok(())
    }

    fn seal_parts(
        &mut self,
        nonce: &Nonce,
        header: &[u8],
        payload: &mut [u8],
        parts: &[Part<'_, Vec<u8>>],
    ) -> Result<(), CryptoError> {
        for part in parts {
            payload[part.at..part.at + part.len]
                .copy_from_slice(&part.chunk[part.start..part.start + part.len]);
        }
        self.seal(nonce, header, payload)
    }

    fn open(&mut self, nonce: &Nonce, header: &[u8], payload: &mut [u8]) -> Result<(), AeadError> {
        let nonce = GenericArray::from_slice(nonce);
        let at = payload
            .len()
            .checked_sub(TAG_LEN)
            .ok_or(AeadError::Unauthenticated)?;
        let (text, tag) = payload.split_at_mut(at);
        let tag = GenericArray::from_slice(tag);
        match &self.0 {
            Aead::Aes128Gcm(key) => key.decrypt_in_place_detached(nonce, header, text, tag),
            Aead::Aes256Gcm(key) => key.decrypt_in_place_detached(nonce, header, text, tag),
            Aead::Aes128Ccm(key) => key.decrypt_in_place_detached(nonce, header, text, tag),
            Aead::ChaCha20Poly1305(key) => key.decrypt_in_place_detached(nonce, header, text, tag),
            #[cfg(test)]
            Aead::Unusable => return Err(AeadError::Failed),
        }
        .map_err(|_| AeadError::Unauthenticated)
    }

    fn rekey(&mut self, key: &[u8]) -> Result<(), CryptoError> {
        let suite = match &self.0 {
            Aead::Aes128Gcm(_) => CipherSuite::Aes128Gcm,
            Aead::Aes256Gcm(_) => CipherSuite::Aes256Gcm,
            Aead::Aes128Ccm(_) => CipherSuite::Aes128Ccm,
            Aead::ChaCha20Poly1305(_) => CipherSuite::ChaCha20Poly1305,
            #[cfg(test)]
            Aead::Unusable => return Err(CryptoError),
        };
        *self = Self::new(suite, key)?;
        Ok(())
    }
}

impl HeaderKey for Mask {
    fn mask(&self, sample: &[u8; SAMPLE_LEN]) -> [u8; 5] {
        let mut block = GenericArray::clone_from_slice(sample);
        match &self.0 {
            Block::Aes128(key) => key.encrypt_block(&mut block),
            Block::Aes256(key) => key.encrypt_block(&mut block),
            Block::ChaCha20(key) => {
                let counter = u32::from_le_bytes(sample[..4].try_into().unwrap());
                let mut cipher = chacha20::ChaCha20::new(key.into(), sample[4..].into());
                cipher.seek(u64::from(counter) * 64);
                block.fill(0);
                cipher.apply_keystream(&mut block);
            }
        }
        block[..5].try_into().unwrap()
    }
}

impl CryptoProvider for RustCrypto {
    type HeaderKey = Mask;
    type PacketKey = Key;

    fn hmac(
        &self,
        hash: HashAlgorithm,
        key: &[u8],
        data: &[&[u8]],
        output: &mut [u8; MAX_HASH_LEN],
    ) {
        fn run<M: Mac + KeyInit>(key: &[u8], data: &[&[u8]], output: &mut [u8]) {
            let mut mac = <M as Mac>::new_from_slice(key).unwrap();
            data.iter().for_each(|data| mac.update(data));
            output.copy_from_slice(&mac.finalize().into_bytes());
        }
        match hash {
            HashAlgorithm::Sha256 => run::<hmac::Hmac<sha2::Sha256>>(key, data, &mut output[..32]),
            HashAlgorithm::Sha384 => run::<hmac::Hmac<sha2::Sha384>>(key, data, &mut output[..48]),
        }
    }

    fn header_key(
        &self,
        suite: CipherSuite,
        key: &[u8],
        _usage: KeyUse,
    ) -> Result<Mask, CryptoError> {
        Ok(Mask(match suite {
            CipherSuite::Aes128Gcm | CipherSuite::Aes128Ccm => Block::Aes128(Box::new(
                KeyInit::new_from_slice(key).map_err(|_| CryptoError)?,
            )),
            CipherSuite::Aes256Gcm => Block::Aes256(Box::new(
                KeyInit::new_from_slice(key).map_err(|_| CryptoError)?,
            )),
            CipherSuite::ChaCha20Poly1305 => {
                Block::ChaCha20(key.try_into().map_err(|_| CryptoError)?)
            }
        }))
    }

    fn packet_key(
        &self,
        suite: CipherSuite,
        key: &[u8],
        _usage: KeyUse,
    ) -> Result<Key, CryptoError> {
        Key::new(suite, key)
    }

    fn retry_tag(
        &self,
        key: &[u8; 16],
        nonce: &Nonce,
        header: &[&[u8]],
    ) -> Result<[u8; TAG_LEN], CryptoError> {
        let mut tag = [0; TAG_LEN];
        Key::new(CipherSuite::Aes128Gcm, key)?.seal(nonce, &header.concat(), &mut tag)?;
        Ok(tag)
    }
}
