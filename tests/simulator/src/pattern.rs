// SPDX-License-Identifier: MIT OR Apache-2.0

//! [`Pattern`]: bytes that follow from their position, so that one that is lost, doubled or moved is noticed.

use crate::random::{scramble, Random};
use std::sync::OnceLock;

/// How many bytes come from one place of the table.
const BLOCK: u64 = 4096;
/// The table is longer than a block, so that blocks begin at different places.
const TABLE: usize = 1 << 16;

/// An endless sequence of bytes, different for every key.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub struct Pattern(u64);

impl Pattern {
    /// The sequence of `key`.
    pub const fn new(key: u64) -> Self {
        Self(scramble(key))
    }

    /// Bytes of the sequence from `offset` on: at least one, as many as lie together.
    fn piece(self, offset: u64) -> &'static [u8] {
        static TABLE_BYTES: OnceLock<Vec<u8>> = OnceLock::new();
        let table = TABLE_BYTES.get_or_init(|| {
            let mut bytes = vec![0; TABLE];
            Random::new(0, "pattern").fill(&mut bytes);
            bytes
        });
        // At any place but a multiple of a block: else a shift by a block could go unnoticed.
        let place = scramble(self.0 ^ (offset / BLOCK)) % (TABLE as u64 - BLOCK);
        let begin = (place + offset % BLOCK) as usize;
        &table[begin..(place + BLOCK) as usize]
    }

    /// Appends `len` bytes of the sequence, from `offset` on.
    pub fn write(self, mut offset: u64, len: usize, into: &mut Vec<u8>) {
        let end = into.len() + len;
        while into.len() < end {
            let piece = self.piece(offset);
            let piece = &piece[..piece.len().min(end - into.len())];
            into.extend_from_slice(piece);
            offset += piece.len() as u64;
        }
    }

    /// Where `bytes` are not those of the sequence from `offset` on.
    pub fn check(self, mut offset: u64, mut bytes: &[u8]) -> Result<(), u64> {
        while !bytes.is_empty() {
            let piece = self.piece(offset);
            let (head, tail) = bytes.split_at(piece.len().min(bytes.len()));
            if *head != piece[..head.len()] {
                let same = head.iter().zip(piece).take_while(|(a, b)| a == b);
                return Err(offset + same.count() as u64);
            }
            bytes = tail;
            offset += head.len() as u64;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_checks_and_nothing_else() {
        let pattern = Pattern::new(5);
        let mut bytes = Vec::new();
        pattern.write(3_000, 10_000, &mut bytes);
        assert_eq!(pattern.check(3_000, &bytes), Ok(()));
        assert!(Pattern::new(6).check(3_000, &bytes).is_err());
        for shift in [1, 64, 4_096, 8_192, 65_536] {
            assert!(pattern.check(3_000 + shift, &bytes).is_err(), "{shift}");
        }
        bytes[7_777] ^= 1;
        assert_eq!(pattern.check(3_000, &bytes), Err(10_777));
    }
}
