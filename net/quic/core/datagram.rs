// SPDX-License-Identifier: GPL-2.0 OR MIT

//! [`DatagramSender`] and [`DatagramReceiver`]: unreliable datagrams (RFC 9221).
//!
//! Datagrams are sent before stream data, once, and never again. Both queues are bounded by memory
//! and by number, and both drop the newest: the sender is told that the queue is full, the receiver
//! loses what comes while nobody reads, as with UDP. The packet is acknowledged all the same
//! (RFC 9221 §5.3), so that a slow reader does not look like a congested path.

use crate::chunk::{Chunk, Weight};
use crate::frame::DatagramHeader;
use crate::offset::{bytes, length};
use crate::pool::{List, Pool};
use crate::stream::Stamp;
use crate::varint::VarInt;
use kernel::alloc::{AllocError, Flags, KBox};

/// The most datagrams in a queue. Whoever is that far behind is not helped by more, and what comes
/// next is newer.
pub const MAX_DATAGRAMS: u32 = 4096;

/// Why a datagram cannot be sent.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub enum DatagramError {
    /// The peer does not accept datagrams. EINVAL.
    Unsupported,
    /// It is empty, or larger than the peer accepts or a packet holds. EMSGSIZE.
    Size,
    /// The queue is full. EAGAIN, or sleep.
    Full,
    /// There is no memory. ENOMEM.
    NoMemory,
}

/// Datagrams on their way to the peer.
pub struct DatagramSender<C> {
    queue: Queue<C>,
    /// What the peer accepts: max_datagram_frame_size.
    peer_limit: VarInt,
}

/// Datagrams on their way to the application.
pub struct DatagramReceiver<C> {
    queue: Queue<Received<C>>,
    dropped: u64,
}

struct Received<C> {
    data: C,
    stamp: Stamp,
}

impl<C: Chunk> Weight for Received<C> {
    fn weight(&self) -> usize {
        self.data.truesize()
    }
}

/// What is written before `len` bytes of data.
fn header(len: usize) -> DatagramHeader {
    DatagramHeader {
        length: Some(VarInt::saturating(bytes(len))),
    }
}

impl<C: Chunk> DatagramSender<C> {
    /// Gives memory back. For a connection that has become idle.
    pub(crate) fn trim(&mut self) {
        self.queue.trim();
    }

    /// A queue to a peer that does not accept datagrams, as far as is known.
    pub const fn new() -> Self {
        Self {
            queue: Queue::new(),
            peer_limit: VarInt::ZERO,
        }
    }

    /// The peer accepts DATAGRAM frames of that size: its max_datagram_frame_size, zero for none.
    // RFC 9221 §3: An endpoint MUST NOT send DATAGRAM frames until it has received the
    // max_datagram_frame_size transport parameter with a non-zero value during the handshake (or
    // during a previous handshake if 0-RTT is used).
    pub fn set_peer_limit(&mut self, limit: VarInt) {
        self.peer_limit = limit;
    }

    /// The largest datagram that the peer accepts and that fits in a packet with `space` bytes for
    /// frames.
    // RFC 9221 §3: An endpoint MUST NOT send DATAGRAM frames that are larger than the
    // max_datagram_frame_size value it has received from its peer.
    pub fn max_len(&self, space: usize) -> usize {
        let limit = length(self.peer_limit.get()).min(space);
        DatagramHeader::capacity(limit).unwrap_or(0)
    }

    /// Queues `data`, in a connection whose packets have `space` bytes for frames, as long as the
    /// queue holds no more than `limit` bytes of memory. One datagram is taken whatever the limit.
    pub fn push(
        &mut self,
        data: C,
        space: usize,
        limit: usize,
        flags: Flags,
    ) -> Result<(), DatagramError> {
        if self.peer_limit == VarInt::ZERO {
            return Err(DatagramError::Unsupported);
        }
        if data.len() == 0 || data.len() > self.max_len(space) {
            return Err(DatagramError::Size);
        }
        if self.queue.is_full(data.truesize(), limit) {
            return Err(DatagramError::Full);
        }
        self.queue
            .reserve(flags)
            .map_err(|_| DatagramError::NoMemory)?;
        self.queue.push(data).map_err(|_| DatagramError::NoMemory)
    }

    /// The memory that the datagrams hold, in bytes, overhead included.
    pub fn held(&self) -> usize {
        self.queue.held()
    }

    /// Whether there is no datagram to send.
    pub fn is_empty(&self) -> bool {
        self.queue.is_empty()
    }

    /// The next datagram with what is written before it, if both fit in the `space` bytes that are
    /// left in a packet.
    ///
    /// In an `empty` packet those that do not fit are dropped: the path carries less than when they
    /// were queued.
    // RFC 9221 §5: DATAGRAM frames cannot be fragmented.
    pub fn poll(&mut self, space: usize, empty: bool) -> Option<(DatagramHeader, C)> {
        loop {
            let len = self.queue.front()?.len();
            let header = header(len);
            let fits = header.size().saturating_add(len) <= space;
            if !fits && !empty {
                return None;
            }
            let data = self.queue.pop()?;
            if fits {
                return Some((header, data));
            }
        }
    }
}

impl<C: Chunk> DatagramReceiver<C> {
    /// Gives memory back. For a connection that has become idle.
    pub(crate) fn trim(&mut self) {
        self.queue.trim();
    }

    /// An empty queue. Which frames are permitted, the parser of frames knows.
    pub const fn new() -> Self {
        Self {
            queue: Queue::new(),
            dropped: 0,
        }
    }

    /// DATAGRAM with `data`. Returns whether there is more to read than before.
    ///
    /// The queue may hold `limit` bytes of memory; one datagram is taken whatever the limit.
    /// `stamp` tells when the datagram became readable.
    pub fn on_datagram(
        &mut self,
        data: C,
        limit: usize,
        flags: Flags,
        stamp: impl FnOnce() -> Stamp,
    ) -> bool {
        // To a reader, nothing would look like the end.
        if data.len() == 0 {
            return false;
        }
        // RFC 9221 §5.3: they MAY be dropped by the receiver if the receiver cannot process them.
        if self.queue.is_full(data.truesize(), limit) || self.queue.reserve(flags).is_err() {
            self.dropped = self.dropped.saturating_add(1);
            return false;
        }
        let received = Received {
            data,
            stamp: stamp(),
        };
        self.queue.push(received).is_ok()
    }

    /// The memory that the datagrams hold, in bytes, overhead included.
    pub fn held(&self) -> usize {
        self.queue.held()
    }

    /// How many datagrams were dropped.
    pub fn dropped(&self) -> u64 {
        self.dropped
    }

    /// The first datagram, or what is left of it, and when it became readable.
    pub fn peek(&self) -> Option<(&C, Stamp)> {
        self.queue.front().map(|first| (&first.data, first.stamp))
    }

    /// The application has read the next `len` bytes of the first datagram: returns whether that
    /// was all of it.
    pub fn consume(&mut self, len: usize) -> bool {
        let Some(first) = self.queue.front_mut() else {
            return true;
        };
        if len < first.data.len() {
            first.data.advance(len);
            return false;
        }
        self.queue.pop();
        true
    }
}

/// A queue that takes no memory until it is used: most connections have no datagrams.
struct Queue<T>(Option<KBox<(Pool<T>, List)>>);

impl<T: Weight> Queue<T> {
    const fn new() -> Self {
        Self(None)
    }

    fn trim(&mut self) {
        if self.is_empty() {
            self.0 = None;
        }
    }

    #[inline]
    fn is_empty(&self) -> bool {
        self.0.as_ref().is_none_or(|queue| queue.1.is_empty())
    }

    fn held(&self) -> usize {
        self.0.as_ref().map_or(0, |queue| queue.0.held())
    }

    fn len(&self) -> u32 {
        self.0.as_ref().map_or(0, |queue| queue.0.len())
    }

    /// Whether a value of `truesize` bytes exceeds what the queue may hold.
    fn is_full(&self, truesize: usize, limit: usize) -> bool {
        let held = self
            .held()
            .saturating_add(truesize)
            .saturating_add(Pool::<T>::OVERHEAD);
        self.len() >= MAX_DATAGRAMS || (held > limit && !self.is_empty())
    }

    /// Makes sure that the next [`Self::push`] does not fail.
    fn reserve(&mut self, flags: Flags) -> Result<(), AllocError> {
        let queue = match &mut self.0 {
            Some(queue) => queue,
            none => none.insert(KBox::new((Pool::new(), List::EMPTY), flags)?),
        };
        queue.0.reserve(1, flags)
    }

    fn push(&mut self, value: T) -> Result<(), T> {
        match self.0.as_deref_mut() {
            Some((pool, list)) => pool.push_back(list, value),
            None => Err(value),
        }
    }

    fn front(&self) -> Option<&T> {
        let (pool, list) = self.0.as_deref()?;
        pool.front(list)
    }

    fn front_mut(&mut self) -> Option<&mut T> {
        let (pool, list) = self.0.as_deref_mut()?;
        pool.get_mut(list.head())
    }

    fn pop(&mut self) -> Option<T> {
        let (pool, list) = self.0.as_deref_mut()?;
        pool.pop_front(list)
    }
}

impl<C: Chunk> Default for DatagramSender<C> {
    fn default() -> Self {
        Self::new()
    }
}

impl<C: Chunk> Default for DatagramReceiver<C> {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chunk::testing::{Bytes, OVERHEAD};
    use crate::role::Role;
    use crate::stream::{StreamConfig, StreamLimits, Streams};
    use kernel::alloc::flags::GFP_ATOMIC;
    use kernel::alloc::inject;

    const AMPLE: usize = 1 << 30;

    fn sender(peer_limit: u32) -> DatagramSender<Bytes> {
        let mut sender = DatagramSender::new();
        sender.set_peer_limit(VarInt::from_u32(peer_limit));
        sender
    }

    fn push(
        sender: &mut DatagramSender<Bytes>,
        len: usize,
        space: usize,
        limit: usize,
    ) -> Result<(), DatagramError> {
        sender.push(Bytes::pattern(0, 0, len), space, limit, GFP_ATOMIC)
    }

    struct Fixture {
        receiver: DatagramReceiver<Bytes>,
        streams: Streams<Bytes, Bytes>,
    }

    impl Fixture {
        fn new() -> Self {
            let local = StreamLimits::default();
            let config = StreamConfig {
                local,
                max_window: 0,
                recv_limit: 0,
            };
            Self {
                receiver: DatagramReceiver::new(),
                streams: Streams::new(Role::Client, config),
            }
        }

        fn receive(&mut self, len: usize, limit: usize) -> bool {
            let data = Bytes::pattern(0, 0, len);
            let stamp = || self.streams.interject();
            self.receiver.on_datagram(data, limit, GFP_ATOMIC, stamp)
        }
    }

    #[test]
    fn sizes_that_can_be_sent() {
        let mut sender = sender(0);
        assert_eq!(
            push(&mut sender, 10, 1200, AMPLE),
            Err(DatagramError::Unsupported)
        );
        sender.set_peer_limit(VarInt::from_u32(1400));
        // Type and a length of two bytes: with 1371 bytes for frames, 1368 of data.
        assert_eq!((sender.max_len(1443), sender.max_len(1371)), (1397, 1368));
        assert_eq!(
            (sender.max_len(0), sender.max_len(1), sender.max_len(3)),
            (0, 0, 1)
        );
        assert_eq!(push(&mut sender, 0, 1200, AMPLE), Err(DatagramError::Size));
        assert_eq!(
            push(&mut sender, 1198, 1200, AMPLE),
            Err(DatagramError::Size)
        );
        assert_eq!(push(&mut sender, 1197, 1200, AMPLE), Ok(()));
        assert!(sender.poll(1199, false).is_none());
        assert_eq!(
            sender.poll(1200, false).map(|(_, data)| data.len()),
            Some(1197)
        );
        assert!(sender.is_empty());
    }

    #[test]
    fn the_send_queue_is_bounded() {
        let mut sender = sender(65535);
        let limit = 10 * (100 + OVERHEAD + Pool::<Bytes>::OVERHEAD);
        for _ in 0..10 {
            assert_eq!(push(&mut sender, 100, 1200, limit), Ok(()));
        }
        assert_eq!(push(&mut sender, 1, 1200, limit), Err(DatagramError::Full));
        assert_eq!(sender.held(), limit);
        while sender.poll(1200, true).is_some() {}
        assert_eq!(
            push(&mut sender, 1000, 1200, 10),
            Ok(()),
            "one is taken whatever the limit"
        );
        for _ in 1..MAX_DATAGRAMS {
            push(&mut sender, 1, 1200, AMPLE).unwrap();
        }
        assert_eq!(push(&mut sender, 1, 1200, AMPLE), Err(DatagramError::Full));
    }

    #[test]
    fn a_path_that_shrinks_drops_what_it_cannot_carry() {
        let mut sender = sender(65535);
        for len in [1300, 1400, 100] {
            push(&mut sender, len, 1500, AMPLE).unwrap();
        }
        assert!(sender.poll(1200, false).is_none());
        assert_eq!(
            sender.poll(1200, true).map(|(_, data)| data.len()),
            Some(100)
        );
    }

    #[test]
    fn what_comes_while_nobody_reads_is_dropped() {
        let mut fixture = Fixture::new();
        let limit = 20 * (50 + OVERHEAD + Pool::<Received<Bytes>>::OVERHEAD);
        for n in 0..10_000 {
            assert_eq!(fixture.receive(50, limit), n < 20);
        }
        assert_eq!(
            (fixture.receiver.held(), fixture.receiver.dropped()),
            (limit, 9_980)
        );
        let mut fixture = Fixture::new();
        for n in 0..=MAX_DATAGRAMS {
            assert_eq!(fixture.receive(1, AMPLE), n < MAX_DATAGRAMS);
        }
        assert!(!fixture.receive(0, AMPLE), "nothing to deliver");
    }

    #[test]
    fn a_short_read_keeps_the_rest() {
        let mut fixture = Fixture::new();
        assert!(fixture.receive(50, AMPLE));
        assert!(fixture.receive(20, AMPLE));
        let first = fixture.receiver.peek().unwrap().1;
        assert!(!fixture.receiver.consume(30));
        let rest = fixture.receiver.peek().unwrap().0;
        assert_eq!(rest.as_slice(), Bytes::pattern(0, 30, 20).as_slice());
        assert!(fixture.receiver.consume(20));
        assert!(first.is_before(fixture.receiver.peek().unwrap().1));
        assert!(fixture.receiver.consume(100));
        assert!(fixture.receiver.peek().is_none());
        assert_eq!(fixture.receiver.held(), 0);
    }

    #[test]
    fn without_memory_nothing_is_queued() {
        let mut sender = sender(65535);
        let (result, _) = inject::fail_nth(0, || push(&mut sender, 10, 1200, AMPLE));
        assert_eq!(
            (result, sender.is_empty()),
            (Err(DatagramError::NoMemory), true)
        );
        let mut fixture = Fixture::new();
        let (result, _) = inject::fail_nth(0, || fixture.receive(10, AMPLE));
        assert_eq!((result, fixture.receiver.dropped()), (false, 1));
        assert!(fixture.receiver.peek().is_none());
    }

    #[test]
    fn size() {
        assert_eq!(core::mem::size_of::<DatagramSender<Bytes>>(), 16);
        assert_eq!(core::mem::size_of::<DatagramReceiver<Bytes>>(), 16);
    }
}
