// SPDX-License-Identifier: GPL-2.0 OR MIT

//! [`Chunk`]: payload that belongs to the caller.
//!
//! The crate queues, orders, trims and frees payload, and never looks at it or copies it. What a
//! chunk is, the caller decides: to send, a reference to a page fragment; received, a reference to
//! a socket buffer with an offset and a length; in tests, bytes.

/// A reference to consecutive bytes of payload. Dropping it releases them.
///
/// No method may fail or allocate: the crate never needs two chunks where it was given one. An
/// overlap of received data is resolved by trimming the ends of the newer chunk and dropping older
/// ones that it covers, and what is retransmitted is read from the chunk it was sent from.
#[allow(clippy::len_without_is_empty)] // Nothing asks: an empty chunk is never kept.
pub trait Chunk: Sized {
    /// How many bytes it refers to.
    fn len(&self) -> usize;

    /// How much memory it keeps from being freed, in bytes: what the receive buffer and send buffer
    /// limits count.
    ///
    /// A chunk that shares a buffer with others counts its share, so that the shares add up to the
    /// buffer. The value may only change in [`Chunk::try_merge`].
    fn truesize(&self) -> usize;

    /// Gives up the first `len` bytes, all if there are fewer.
    fn advance(&mut self, len: usize);

    /// Gives up all but the first `len` bytes, none if there are fewer.
    fn truncate(&mut self, len: usize);

    /// Takes up `next`, if its bytes lie behind those of `self` in the same memory, or gives it
    /// back.
    ///
    /// This is what keeps many small writes from becoming as many chunks.
    fn try_merge(&mut self, next: Self) -> Result<(), Self> {
        Err(next)
    }
}

/// What a value in a [`Pool`](crate::pool::Pool) holds beside the place it takes there.
pub(crate) trait Weight {
    /// In bytes.
    fn weight(&self) -> usize;
}

impl<C: Chunk> Weight for C {
    #[inline]
    fn weight(&self) -> usize {
        self.truesize()
    }
}

/// For tests, which have time to move bytes.
#[cfg(any(test, feature = "rustcrypto"))]
impl Chunk for Vec<u8> {
    fn len(&self) -> usize {
        self.len()
    }

    fn truesize(&self) -> usize {
        self.capacity()
    }

    fn advance(&mut self, len: usize) {
        self.drain(..len.min(self.len()));
    }

    fn truncate(&mut self, len: usize) {
        self.truncate(len);
    }
}

#[cfg(test)]
pub(crate) mod testing {
    //! Chunks over plain bytes, and the contents that the tests expect at each position of a
    //! stream.

    use super::Chunk;
    use std::rc::Rc;

    /// What a test chunk adds to its bytes in [`Chunk::truesize`].
    pub(crate) const OVERHEAD: usize = 256;

    /// Bytes with the range that the chunk refers to.
    #[derive(Clone, PartialEq, Eq, Debug)]
    pub(crate) struct Bytes {
        data: Rc<[u8]>,
        start: usize,
        end: usize,
        truesize: usize,
    }

    impl Bytes {
        pub(crate) fn new(data: &[u8]) -> Self {
            Self {
                data: data.into(),
                start: 0,
                end: data.len(),
                truesize: data.len() + OVERHEAD,
            }
        }

        /// `len` bytes of the pattern of stream `seed` from position `offset` on.
        pub(crate) fn pattern(seed: u64, offset: u64, len: usize) -> Self {
            Self::new(&pattern(seed, offset, len))
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
            self.truesize
        }

        fn advance(&mut self, len: usize) {
            self.start = self.end.min(self.start + len);
        }

        fn truncate(&mut self, len: usize) {
            self.end = self.end.min(self.start + len);
        }
    }

    /// Bytes in which no two nearby positions, and no two streams, look alike.
    pub(crate) fn pattern(seed: u64, offset: u64, len: usize) -> Vec<u8> {
        (offset..offset + len as u64)
            .map(|at| {
                let mixed = (at ^ seed.wrapping_mul(0x9e37_79b9_7f4a_7c15))
                    .wrapping_mul(0xd6e8_feb8_6659_fd93);
                (mixed >> 32) as u8
            })
            .collect()
    }
}
