// SPDX-License-Identifier: GPL-2.0 OR MIT

//! [`CryptoStream`]: the bytes of the TLS handshake at one encryption level (RFC 9000 §7.5, §19.6).
//!
//! A CRYPTO stream is a stream without an ID, an end and flow control. It takes the same parts:
//! what is sent waits in a `SendBuffer` until it is acknowledged, what is received is put in
//! order by an `Assembler`. A connection has one for each of Initial, Handshake and 1-RTT, and
//! drops it with the keys of the level.

use crate::chunk::Chunk;
use crate::error::{TransportError, TransportErrorCode};
use crate::frame::{Crypto, CryptoHeader, FrameType};
use crate::offset::{bytes, length, Offset};
use crate::pool::Pool;
use crate::sent_frame::SentFrame;
use crate::stream::assembler::{Assembler, Inserted};
use crate::stream::frame::MAX_LEN;
use crate::stream::room::Room;
use crate::stream::send_buffer::{pieces, Cursor, SendBuffer};
use crate::stream::{FrameError, Piece};
use crate::varint::VarInt;
use kernel::alloc::{AllocError, Flags, KBox};

/// How far received data may be ahead of what TLS has read, in bytes.
// RFC 9000 §7.5: Implementations MUST support buffering at least 4096 bytes of data received in
// out-of-order CRYPTO frames. A chain of post-quantum certificates is several times as large, and
// may arrive in any order.
const CRYPTO_BUFFER: u64 = 64 * 1024;

/// The most memory that received data may hold, in bytes, overhead included: four times the data,
/// for packets that are a fourth full. Less is filled only by a peer that sends the handshake in
/// crumbs.
const CRYPTO_MEMORY: usize = 4 * 64 * 1024;

/// The CRYPTO stream of an encryption level. `Tx` is what TLS sends, `Rx` what is received for it.
///
/// Most of the time, TLS has nothing to say: then only two offsets are left of it.
pub struct CryptoStream<Tx, Rx> {
    // INVARIANT: Without `active`, everything before `sent` was acknowledged, everything before
    // `received` was read, and nothing else was written or received.
    sent: Offset,
    received: Offset,
    active: Option<KBox<Active<Tx, Rx>>>,
    /// Nothing new may come any more.
    sealed: bool,
}

/// What there is of a stream while something is written, in flight, or not read.
struct Active<Tx, Rx> {
    send: SendBuffer,
    recv: Assembler,
    tx: Pool<Tx>,
    rx: Pool<Rx>,
}

/// What a CRYPTO frame carries that is being sent.
#[derive(Debug)]
pub struct CryptoFrame {
    /// The offset of the first byte.
    pub offset: Offset,
    /// How many bytes.
    pub len: usize,
    at: Cursor,
}

impl CryptoFrame {
    /// What is written before the data.
    pub fn header(&self) -> CryptoHeader {
        CryptoHeader {
            offset: self.offset.varint(),
            length: VarInt::saturating(bytes(self.len)),
        }
    }

    /// Shortens the frame to its first `len` bytes: returns the record of the rest.
    pub(crate) fn split_off(&mut self, len: usize) -> SentFrame {
        let rest = Self {
            offset: self.offset + len,
            len: self.len.saturating_sub(len),
            at: self.at,
        };
        self.len = self.len.min(len);
        rest.record()
    }

    /// How many bytes of the packet the frame takes: header and data.
    pub fn size(&self) -> usize {
        self.header().size().saturating_add(self.len)
    }

    /// What to remember of it.
    pub fn record(&self) -> SentFrame {
        // No frame is longer than a UDP datagram.
        SentFrame::Crypto {
            offset: self.offset,
            len: u16::try_from(self.len).unwrap_or(u16::MAX),
        }
    }
}

impl<Tx: Chunk, Rx: Chunk> CryptoStream<Tx, Rx> {
    /// A stream on which nothing was sent or received.
    pub const fn new() -> Self {
        Self {
            sent: Offset::ZERO,
            received: Offset::ZERO,
            active: None,
            sealed: false,
        }
    }

    /// TLS goes on at a higher level: the peer may repeat what it has sent here, and no more.
    // RFC 9001 §4.1.3: When TLS provides keys for a higher encryption level, if there is data from
    // a previous encryption level that TLS has not consumed, this MUST be treated as a connection
    // error of type PROTOCOL_VIOLATION.
    pub fn seal(&mut self) -> Result<(), TransportError> {
        self.sealed = true;
        match self
            .active
            .as_ref()
            .is_some_and(|active| active.rx.held() > 0)
        {
            true => Err(beyond_level()),
            false => Ok(()),
        }
    }

    fn activate(&mut self, flags: Flags) -> Result<&mut Active<Tx, Rx>, AllocError> {
        let (sent, received) = (self.sent, self.received);
        match &mut self.active {
            Some(active) => Ok(active),
            none => Ok(none.insert(KBox::new(Active::new(sent, received), flags)?)),
        }
    }

    /// Gives memory back. For a connection that has become idle.
    pub(crate) fn trim(&mut self) {
        if let Some(active) = self.active.as_ref().filter(|active| active.is_idle()) {
            (self.sent, self.received) = (active.send.end(), active.recv.end());
            self.active = None;
        }
    }

    /// Appends what TLS sends.
    pub fn write(&mut self, data: Tx, flags: Flags) -> Result<(), AllocError> {
        let active = self.activate(flags)?;
        active.send.append(&mut active.tx, data, flags)
    }

    /// Whether there is anything to send.
    #[inline]
    pub fn has_data(&self) -> bool {
        self.active.as_ref().is_some_and(|active| active.has_data())
    }

    /// How many bytes were written, and have not been acknowledged.
    pub fn unacked(&self) -> u64 {
        self.active
            .as_ref()
            .map_or(0, |active| active.send.unacked())
    }

    /// The memory that data holds, in bytes, overhead included: received, and to send.
    pub fn held(&self) -> (usize, usize) {
        self.active
            .as_ref()
            .map_or((0, 0), |active| (active.rx.held(), active.tx.held()))
    }

    /// The next CRYPTO frame for the `space` bytes that are left in a packet. It counts as sent.
    ///
    /// The caller copies [`Self::pieces`] into the packet and stores [`CryptoFrame::record`] with
    /// it.
    pub fn poll(&mut self, space: usize, flags: Flags) -> Option<CryptoFrame> {
        self.active.as_mut()?.poll(space, flags)
    }

    /// The data of `frame`, which [`Self::poll`] has just returned.
    pub fn pieces<'a>(&'a self, frame: &CryptoFrame) -> impl Iterator<Item = Piece<'a, Tx>> {
        let (at, len) = (frame.at, frame.len);
        let active = self.active.iter();
        active.flat_map(move |active| pieces(&active.tx, at, len))
    }

    /// The packet with a CRYPTO frame was acknowledged.
    pub fn on_acked(&mut self, offset: Offset, len: u16, flags: Flags) {
        if let Some(active) = &mut self.active {
            let active = &mut **active;
            let range = offset..offset + usize::from(len);
            active.send.on_acked(&mut active.tx, range, flags);
        }
    }

    /// The packet with a CRYPTO frame was lost.
    pub fn on_lost(&mut self, offset: Offset, len: u16, flags: Flags) {
        if let Some(active) = &mut self.active {
            let range = offset..offset + usize::from(len);
            active.send.on_lost(range, flags);
        }
    }

    /// Everything is to be sent again: the packets were discarded, for a Retry or a change of
    /// version.
    pub fn rewind(&mut self) {
        if let Some(active) = &mut self.active {
            let active = &mut **active;
            active.send.rewind(&active.tx);
        }
    }

    /// CRYPTO, of which `data` is the data. Returns whether there is more to read than before.
    pub fn on_crypto(
        &mut self,
        frame: &Crypto<'_>,
        data: Rx,
        flags: Flags,
    ) -> Result<bool, FrameError> {
        let offset = Offset::from(frame.offset);
        let end = offset + data.len();
        let active = self.active.as_ref();
        // RFC 9001 §4.1.3: If the packet is from a previously installed encryption level, it MUST
        // NOT contain data that extends past the end of previously received data in that flow.
        // Implementations MUST treat any violations of this requirement as a connection error of
        // type PROTOCOL_VIOLATION.
        if self.sealed && end > active.map_or(self.received, |active| active.recv.end()) {
            return Err(beyond_level().into());
        }
        if active.is_none() && end <= self.received {
            return Ok(false);
        }
        self.activate(flags)?.on_crypto(offset, data, flags)
    }

    /// How many bytes can be read.
    pub fn readable(&self) -> u64 {
        self.active.as_ref().map_or(0, |active| active.readable())
    }

    /// The chunks that can be read. Nothing is consumed.
    pub fn peek(&self) -> impl Iterator<Item = &Rx> {
        let active = self.active.iter();
        active.flat_map(|active| active.rx.iter(active.recv.ready()))
    }

    /// TLS has read the next `len` bytes.
    pub fn consume(&mut self, len: usize) {
        if let Some(active) = &mut self.active {
            let active = &mut **active;
            active.recv.consume(&mut active.rx, bytes(len));
        }
    }
}

impl<Tx: Chunk, Rx: Chunk> Active<Tx, Rx> {
    fn new(sent: Offset, received: Offset) -> Self {
        Self {
            send: SendBuffer::from(sent),
            recv: Assembler::from(received),
            tx: Pool::new(),
            rx: Pool::new(),
        }
    }

    /// Whether everything was acknowledged, and read.
    fn is_idle(&self) -> bool {
        self.send.unacked() == 0 && self.tx.len() == 0 && self.rx.len() == 0
    }

    fn has_data(&self) -> bool {
        self.send.first_lost().is_some() || self.send.next() < self.send.end()
    }

    fn poll(&mut self, space: usize, flags: Flags) -> Option<CryptoFrame> {
        let lost = self.send.first_lost();
        let range = lost.clone().unwrap_or(self.send.next()..self.send.end());
        let offset = range.start;
        let room = CryptoHeader::capacity(offset.varint(), space)?.min(MAX_LEN);
        let len = length(range.end - offset).min(room);
        if len == 0 {
            return None;
        }
        let at = match lost {
            Some(_) => self.send.send_again(&self.tx, offset..offset + len, flags),
            None => self.send.send_new(&self.tx, len),
        };
        Some(CryptoFrame { offset, len, at })
    }

    fn on_crypto(&mut self, offset: Offset, data: Rx, flags: Flags) -> Result<bool, FrameError> {
        let end = offset + data.len();
        // RFC 9000 §7.5: If an endpoint does not expand its buffer, it MUST close the connection
        // with a CRYPTO_BUFFER_EXCEEDED error code.
        if end - self.recv.read() > CRYPTO_BUFFER {
            return Err(exceeded().into());
        }
        let idle = self.readable() == 0;
        let room = Room::new(CRYPTO_MEMORY, self.rx.held(), idle);
        let inserted = self.recv.insert(&mut self.rx, offset, data, room, flags)?;
        Ok(inserted == Inserted::InOrder)
    }

    fn readable(&self) -> u64 {
        self.recv.end() - self.recv.read()
    }
}

impl<Tx: Chunk, Rx: Chunk> Default for CryptoStream<Tx, Rx> {
    fn default() -> Self {
        Self::new()
    }
}

fn exceeded() -> TransportError {
    let code = TransportErrorCode::CRYPTO_BUFFER_EXCEEDED;
    TransportError::new(
        code,
        FrameType::CRYPTO.get(),
        "more handshake data than can be buffered",
    )
}

fn beyond_level() -> TransportError {
    let code = TransportErrorCode::PROTOCOL_VIOLATION;
    TransportError::new(
        code,
        FrameType::CRYPTO.get(),
        "handshake data below the encryption level of TLS",
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chunk::testing::{pattern, Bytes};
    use crate::frame::Payload;
    use kernel::alloc::flags::GFP_ATOMIC;
    use kernel::alloc::inject;
    use proptest::prelude::*;

    type Stream = CryptoStream<Bytes, Bytes>;

    fn receive(stream: &mut Stream, offset: u64, len: usize) -> Result<bool, FrameError> {
        let frame = Crypto {
            offset: VarInt::new(offset).unwrap(),
            data: Payload::EMPTY,
        };
        stream.on_crypto(&frame, Bytes::pattern(0, offset, len), GFP_ATOMIC)
    }

    fn code(result: Result<bool, FrameError>) -> TransportErrorCode {
        match result {
            Err(FrameError::Transport(error)) => error.code,
            other => panic!("{other:?}"),
        }
    }

    fn contents(stream: &Stream, frame: &CryptoFrame) -> Vec<u8> {
        stream
            .pieces(frame)
            .flat_map(|piece| piece.chunk.as_slice()[piece.range].to_vec())
            .collect()
    }

    // [rfc9001-4.1.3-2] [rfc9001-4.1.3-3]
    #[test]
    fn nothing_new_comes_below_the_level_of_tls() {
        let mut stream = Stream::new();
        receive(&mut stream, 0, 100).unwrap();
        stream.consume(100);
        stream.seal().unwrap();
        assert_eq!(receive(&mut stream, 50, 50), Ok(false));
        let late = code(receive(&mut stream, 50, 51));
        assert_eq!(late, TransportErrorCode::PROTOCOL_VIOLATION);

        for (offset, consumed) in [(0, 99), (1, 0)] {
            let mut stream = Stream::new();
            receive(&mut stream, offset, 100).unwrap();
            stream.consume(consumed);
            let unread = stream.seal().unwrap_err();
            assert_eq!(unread.code, TransportErrorCode::PROTOCOL_VIOLATION);
        }
    }

    // [rfc9000-7.5-1] [rfc9000-7.5-2] [rfc9000-19.6-1]
    #[test]
    fn buffer_is_64_kib_ahead_of_the_reader() {
        let mut stream = Stream::new();
        let ahead = CRYPTO_BUFFER;
        // Anything up to 4096 bytes out of order must be taken.
        for at in (100..4096).step_by(400) {
            assert_eq!(receive(&mut stream, at, 300), Ok(false));
        }
        assert_eq!(receive(&mut stream, ahead - 10, 10), Ok(false));
        assert_eq!(
            code(receive(&mut stream, ahead - 10, 11)),
            TransportErrorCode::CRYPTO_BUFFER_EXCEEDED
        );
        let last = receive(&mut stream, Offset::MAX.get() - 1, 1);
        assert_eq!(code(last), TransportErrorCode::CRYPTO_BUFFER_EXCEEDED);
        assert_eq!(receive(&mut stream, 0, 200), Ok(true));
        assert_eq!(stream.readable(), 400);
        stream.consume(400);
        assert_eq!(
            receive(&mut stream, ahead, 400),
            Ok(false),
            "reading makes room"
        );
        assert_eq!(
            code(receive(&mut stream, ahead, 401)),
            TransportErrorCode::CRYPTO_BUFFER_EXCEEDED
        );
    }

    #[test]
    fn crumbs_do_not_fill_the_memory() {
        let mut stream = Stream::new();
        let refused = (2..CRYPTO_BUFFER)
            .step_by(2)
            .filter(|at| receive(&mut stream, *at, 1).is_err())
            .count();
        assert!(refused > 30_000);
        assert!(stream.held().0 <= CRYPTO_MEMORY);
        assert_eq!(
            receive(&mut stream, 0, 2),
            Ok(true),
            "what is next is always taken"
        );
    }

    #[test]
    fn what_is_lost_is_sent_again() {
        let mut stream = Stream::new();
        stream
            .write(Bytes::pattern(0, 0, 1000), GFP_ATOMIC)
            .unwrap();
        stream
            .write(Bytes::pattern(0, 1000, 1000), GFP_ATOMIC)
            .unwrap();
        assert!(stream.poll(3, GFP_ATOMIC).is_none());
        let first = stream.poll(1200, GFP_ATOMIC).unwrap();
        assert_eq!((first.offset.get(), first.len), (0, 1200 - 1 - 1 - 2));
        assert_eq!(contents(&stream, &first), pattern(0, 0, first.len));
        let second = stream.poll(1200, GFP_ATOMIC).unwrap();
        assert_eq!((second.offset.get(), second.len), (1196, 804));
        assert!(!stream.has_data());
        stream.on_lost(first.offset, first.len as u16, GFP_ATOMIC);
        stream.on_acked(second.offset, second.len as u16, GFP_ATOMIC);
        assert_eq!(stream.unacked(), 2000);
        let again = stream.poll(600, GFP_ATOMIC).unwrap();
        assert_eq!((again.offset.get(), again.len), (0, 596));
        assert_eq!(contents(&stream, &again), pattern(0, 0, 596));
        stream.on_acked(Offset::ZERO, 1196, GFP_ATOMIC);
        assert_eq!(
            (stream.has_data(), stream.unacked(), stream.held()),
            (false, 0, (0, 0))
        );
    }

    // [rfc9000-17.2.5.3-1]
    #[test]
    fn a_retry_sends_all_of_it_again() {
        let mut stream = Stream::new();
        stream.write(Bytes::pattern(0, 0, 300), GFP_ATOMIC).unwrap();
        stream.poll(1200, GFP_ATOMIC).unwrap();
        stream.rewind();
        let again = stream.poll(1200, GFP_ATOMIC).unwrap();
        assert_eq!((again.offset.get(), again.len), (0, 300));
    }

    #[test]
    fn a_failed_allocation_changes_nothing() {
        let mut stream = Stream::new();
        let (result, _) = inject::fail_nth(0, || stream.write(Bytes::new(&[1; 10]), GFP_ATOMIC));
        assert!(result.is_err() && !stream.has_data());
        let (result, _) = inject::fail_nth(0, || receive(&mut stream, 0, 10));
        assert_eq!((result, stream.readable()), (Err(FrameError::Refused), 0));
        assert_eq!(receive(&mut stream, 0, 10), Ok(true));
    }

    #[test]
    fn size() {
        assert_eq!(core::mem::size_of::<Stream>(), 32);
    }

    proptest! {
        #[test]
        fn arrives_in_order(frames in proptest::collection::vec((0..3000_u64, 1..500_usize), 0..60)) {
            let mut stream = Stream::new();
            let mut read = 0;
            for (at, len) in frames.into_iter().chain([(0, 3500)]) {
                receive(&mut stream, at, len).unwrap();
                let data: Vec<u8> = stream.peek().flat_map(|chunk| chunk.as_slice().to_vec()).collect();
                prop_assert_eq!(&data, &pattern(0, read, data.len()));
                stream.consume(data.len() / 2);
                read += (data.len() / 2) as u64;
            }
            stream.consume(usize::MAX);
            prop_assert_eq!(stream.held(), (0, 0));
        }
    }
}
