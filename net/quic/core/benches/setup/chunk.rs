// SPDX-License-Identifier: GPL-2.0 OR MIT

//! Payload as the kernel holds it, without the memory management: a part of a page to send, a part
//! of a datagram received.

use quic_core::chunk::Chunk;

/// Bytes to send: a page, and where in it. As large as the kernel's `struct bio_vec`.
#[derive(Debug)]
pub struct Fragment {
    page: &'static [u8; Fragment::PAGE],
    start: u32,
    len: u32,
}

impl Fragment {
    /// The size of what `skb_page_frag_refill` gives out, in bytes.
    pub const PAGE: usize = 32 << 10;

    /// `len` bytes, at most a page.
    pub fn new(len: usize) -> Self {
        static PAGE: [u8; Fragment::PAGE] = [0xda; Fragment::PAGE];
        Self {
            page: &PAGE,
            start: 0,
            len: len.min(Self::PAGE) as u32,
        }
    }

    /// `len` bytes from `start` on.
    #[inline]
    pub fn bytes(&self, start: usize, len: usize) -> &[u8] {
        &self.page[self.start as usize + start..][..len]
    }
}

impl Chunk for Fragment {
    fn len(&self) -> usize {
        self.len as usize
    }

    fn truesize(&self) -> usize {
        self.len as usize
    }

    fn advance(&mut self, len: usize) {
        let len = self.len.min(len as u32);
        self.start += len;
        self.len -= len;
    }

    fn truncate(&mut self, len: usize) {
        self.len = self.len.min(len as u32);
    }
}

/// Bytes received: which datagram, and where in it. As large as an skb reference with an offset and
/// a length.
#[derive(Debug)]
pub struct Received {
    datagram: usize,
    start: u32,
    len: u32,
}

impl Received {
    /// What a datagram of Ethernet size keeps from being freed, in bytes.
    const TRUESIZE: usize = 2304;

    /// A part of the datagram with number `datagram`.
    #[inline]
    pub fn new(datagram: usize, start: usize, len: usize) -> Self {
        Self {
            datagram,
            start: start as u32,
            len: len as u32,
        }
    }

    /// Which datagram.
    #[inline]
    pub fn datagram(&self) -> usize {
        self.datagram
    }

    /// Where in it.
    #[inline]
    pub fn range(&self) -> std::ops::Range<usize> {
        self.start as usize..self.start as usize + self.len as usize
    }
}

impl Chunk for Received {
    fn len(&self) -> usize {
        self.len as usize
    }

    fn truesize(&self) -> usize {
        Self::TRUESIZE
    }

    fn advance(&mut self, len: usize) {
        let len = self.len.min(len as u32);
        self.start += len;
        self.len -= len;
    }

    fn truncate(&mut self, len: usize) {
        self.len = self.len.min(len as u32);
    }
}

/// As `put_page` and `kfree_skb` are: a call, of which the compiler knows nothing.
#[inline(never)]
fn put<T>(what: &mut T) {
    std::hint::black_box(what);
}

impl Drop for Fragment {
    fn drop(&mut self) {
        put(self);
    }
}

impl Drop for Received {
    fn drop(&mut self) {
        put(self);
    }
}
