// SPDX-License-Identifier: GPL-2.0 OR MIT

//! Stateless Reset: ending a connection whose state is lost (RFC 9000 §10.3).
//!
//! It looks like a packet with a short header and ends in the token that the peer remembers for the
//! connection ID.

use super::long::FIXED_BIT;
use crate::bytes::{Full, Writer};
use crate::cid::{ConnectionId, StatelessResetToken};
use crate::crypto::{CryptoProvider, HashAlgorithm, MAX_HASH_LEN};

/// The shortest Stateless Reset: 5 bytes with the fixed bits, and the token.
pub const MIN_LEN: usize = 21;
/// No Stateless Reset needs to be longer: like this, it is not told from another packet by its
/// length (RFC 9000 §10.3.3: smaller than 41 bytes might be identifiable).
const MAX_LEN: usize = 64;

impl StatelessResetToken {
    /// The token for `cid`, as long as `static_key` is the same (RFC 9000 §10.3.2).
    // RFC 9000 §10.3.2: The stateless reset token MUST be difficult to guess […] The same stateless
    // reset token MUST NOT be used for multiple connection IDs.
    pub fn derive<P: CryptoProvider>(provider: &P, static_key: &[u8], cid: &ConnectionId) -> Self {
        let mut hash = [0; MAX_HASH_LEN];
        provider.hmac(
            HashAlgorithm::Sha256,
            static_key,
            &[cid.as_slice()],
            &mut hash,
        );
        // There are more than 16 bytes.
        Self::new(hash.first_chunk().copied().unwrap_or_default())
    }

    /// The token in which `datagram` ends, should it be a Stateless Reset; `None` if it is too
    /// short for one.
    ///
    /// To be compared with the tokens of the connection IDs in use towards the address the datagram
    /// came from.
    // RFC 9000 §10.3.1: An endpoint detects a potential Stateless Reset using the trailing 16 bytes
    // of the UDP datagram.
    pub fn at_end_of(datagram: &[u8]) -> Option<Self> {
        match datagram.len() {
            0..MIN_LEN => None,
            _ => datagram.last_chunk().copied().map(Self::new),
        }
    }
}

/// How many bytes a Stateless Reset has that answers a datagram of `received` bytes; `None` if
/// there must be none.
// RFC 9000 §10.3.3: An endpoint MUST ensure that every Stateless Reset that it sends is smaller
// than the packet that triggered it, unless it maintains state sufficient to prevent looping.
// RFC 9000 §10.3: An endpoint that sends a Stateless Reset in response to a packet that is 43 bytes
// or shorter SHOULD send a Stateless Reset that is one byte shorter than the packet it responds to.
// RFC 9000 §10.3: An endpoint MUST NOT send a Stateless Reset that is three times or more larger
// than the packet it receives.
pub fn answer_len(received: usize) -> Option<usize> {
    received
        .checked_sub(1)
        .filter(|&len| len >= MIN_LEN)
        .map(|len| len.min(MAX_LEN))
}

/// Writes a Stateless Reset of as many bytes as `random` has, of which those before the token are
/// sent.
///
/// [`Full`] also if these are less than [`MIN_LEN`].
// RFC 9000 §10.3: Endpoints MUST send Stateless Resets formatted as a packet with a short header.
pub fn emit(
    writer: &mut Writer<'_>,
    token: &StatelessResetToken,
    random: &[u8],
) -> Result<(), Full> {
    let unpredictable = random
        .len()
        .checked_sub(StatelessResetToken::LEN)
        .filter(|&len| len >= 5)
        .ok_or(Full)?;
    let [first, rest @ ..] = random.get(..unpredictable).ok_or(Full)? else {
        return Err(Full);
    };
    writer.whole(|writer| {
        writer.u8(first & 0x3f | FIXED_BIT)?;
        writer.bytes(rest)?;
        writer.array(*token.as_bytes())
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crypto::rustcrypto::RustCrypto;

    // [rfc9000-10.3-4]
    #[test]
    fn looks_like_a_short_header_and_ends_in_the_token() {
        let token = StatelessResetToken::new([0x77; 16]);
        for len in MIN_LEN..100 {
            let mut buffer = [0; 100];
            let mut writer = Writer::new(&mut buffer);
            emit(&mut writer, &token, &vec![0xff; len]).unwrap();
            assert_eq!(writer.position(), len);
            assert_eq!(writer.written()[0], 0x7f);
            assert_eq!(
                StatelessResetToken::at_end_of(writer.written()),
                Some(token)
            );
            assert_eq!(
                emit(&mut Writer::new(&mut [0; 20]), &token, &vec![0; len]),
                Err(Full)
            );
        }
        assert_eq!(
            emit(&mut Writer::new(&mut [0; 64]), &token, &[0; 20]),
            Err(Full)
        );
        assert_eq!(emit(&mut Writer::new(&mut [0; 64]), &token, &[]), Err(Full));
        assert_eq!(StatelessResetToken::at_end_of(&[0x77; 20]), None);
    }

    #[test]
    fn only_six_bits_of_the_first_byte_are_random() {
        for (random, first) in [(0x00, 0x40), (0xff, 0x7f), (0xa5, 0x65)] {
            let mut buffer = [0; MIN_LEN];
            emit(
                &mut Writer::new(&mut buffer),
                &StatelessResetToken::new([0; 16]),
                &[random; MIN_LEN],
            )
            .unwrap();
            assert_eq!(buffer[..5], [first, random, random, random, random]);
        }
    }

    // [rfc9000-10.3-2] [rfc9000-10.3.3-1]
    #[test]
    fn every_answer_is_shorter_so_no_loop_lasts() {
        for received in 0..2000 {
            match answer_len(received) {
                Some(len) => assert!((MIN_LEN..received).contains(&len) && len <= 64),
                None => assert!(received <= MIN_LEN),
            }
        }
        assert_eq!(answer_len(43), Some(42));
        assert_eq!(answer_len(1200), Some(64));
    }

    // [rfc9000-10.3.2-1] [rfc9000-10.3.2-5]
    #[test]
    fn tokens_depend_on_key_and_connection_id() {
        let derive = |key: &[u8], cid| {
            StatelessResetToken::derive(&RustCrypto, key, &ConnectionId::new(cid).unwrap())
        };
        let token = derive(&[1; 32], &[1, 2, 3]);
        assert_eq!(token, derive(&[1; 32], &[1, 2, 3]));
        assert_ne!(token, derive(&[2; 32], &[1, 2, 3]));
        assert_ne!(token, derive(&[1; 32], &[1, 2, 4]));
        // HMAC-SHA-256, cut off.
        let mut hash = [0; 48];
        RustCrypto.hmac(HashAlgorithm::Sha256, &[1; 32], &[&[1, 2, 3]], &mut hash);
        assert_eq!(token.as_bytes()[..], hash[..16]);
    }
}
