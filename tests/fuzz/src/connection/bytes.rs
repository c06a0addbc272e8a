// SPDX-License-Identifier: MIT OR Apache-2.0

//! [`Bytes`]: payload.

use quic_core::chunk::Chunk;

/// How much memory a part of a socket buffer holds beside its bytes.
const OVERHEAD: usize = 256;

/// Bytes, and which of them are left.
#[derive(Clone, Debug)]
pub(crate) struct Bytes {
    data: Vec<u8>,
    start: usize,
    end: usize,
}

impl Bytes {
    pub(crate) fn new(bytes: &[u8]) -> Self {
        Self {
            data: bytes.to_vec(),
            start: 0,
            end: bytes.len(),
        }
    }

    pub(crate) fn as_slice(&self) -> &[u8] {
        &self.data[self.start..self.end]
    }
}

impl Chunk for Bytes {
    fn len(&self) -> usize {
        self.end - self.start
    }

    fn truesize(&self) -> usize {
        self.data.len() + OVERHEAD
    }

    fn advance(&mut self, len: usize) {
        assert!(len <= self.len(), "the chunk has not so many bytes");
        self.start += len;
    }

    fn truncate(&mut self, len: usize) {
        self.end = self.end.min(self.start + len);
    }
}
