// SPDX-License-Identifier: GPL-2.0 OR MIT

//! [`SendPart`]: the sending part of a stream (RFC 9000 §3.1).
//!
//! ```text
//!   Ready --> Send --FIN--> DataSent --all acknowledged--> DataRecvd
//!     |        |               |
//!     +--------+--- reset -----+--> ResetSent --acknowledged--> ResetRecvd
//! ```
//!
//! The state is not stored: it follows from what was sent and what was acknowledged. A reset may
//! promise to deliver the beginning of the stream (RESET_STREAM_AT); then RESET_STREAM_AT is sent
//! after that beginning, so that its final size needs no credit of its own, and the part stays in
//! `ResetSent` until both are acknowledged.

use super::frame::{capacity, StreamFrame, MAX_LEN, MIN_SPLIT};
use super::send_buffer::SendBuffer;
use super::state::SendState;
use crate::bytes::Writer;
use crate::chunk::Chunk;
use crate::flow::SendWindow;
use crate::frame::StreamHeader;
use crate::offset::{length, Offset};
use crate::pool::Pool;
use crate::stream_id::StreamId;
use crate::varint::VarInt;
use core::ops::Range;
use kernel::alloc::{AllocError, Flags};

/// Which data that does not fill a packet may be sent.
#[derive(Copy, Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Tail {
    /// None: it is held as long as anything is in flight (Nagle).
    Held,
    /// What was pushed: it was written without MSG_MORE.
    Pushed,
    /// All.
    All,
}

/// The sending part of a stream.
pub(crate) struct SendPart {
    buffer: SendBuffer,
    window: SendWindow,
    /// What is before this offset shall not wait for more.
    push: Offset,
    reset: Option<Reset>,
    fin: Fin,
    /// A frame has been sent.
    used: bool,
}

/// A reset that the peer has not acknowledged.
struct Reset {
    code: VarInt,
    /// What is before this offset arrives all the same.
    reliable: Offset,
    /// It is in flight.
    sent: bool,
    acked: bool,
}

#[derive(Copy, Clone, PartialEq, Eq, Debug)]
enum Fin {
    No,
    Queued,
    InFlight,
    Lost,
    Acked,
}

/// What a stream has for a packet.
pub(crate) enum Turn {
    /// This frame, of which `new` bytes count toward the limit of the connection.
    Frame { frame: StreamFrame, new: u64 },
    /// Nothing.
    Nothing,
    /// New data, which the limit of the stream holds back.
    Blocked,
    /// New data, which the limit of the connection holds back.
    ConnectionBlocked,
    /// New data that does not fill a packet.
    Held,
    /// Something, for which this packet has no space.
    NoSpace,
}

/// Why the application cannot write to a stream.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub enum WriteError {
    /// The stream is not open, or data cannot be sent on it. EINVAL.
    NotOpen,
    /// It was open, and is closed. ENOSTR if it was opened here, else EINVAL.
    Closed,
    /// It was finished, reset, or stopped by the peer. EINVAL.
    Finished,
    /// There is no memory. ENOMEM.
    NoMemory,
}

/// Why the application cannot reset a stream.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub enum ResetError {
    /// The stream is not open, or data cannot be sent on it. EINVAL.
    NotOpen,
    /// It was open, and is closed. ENOSTR.
    Closed,
    /// It was reset, or stopped by the peer, or everything has been acknowledged. EINVAL.
    Finished,
    /// There is no memory. ENOMEM.
    NoMemory,
}

impl SendPart {
    /// The part of a new stream on which the peer allows `limit` bytes.
    pub(crate) const fn new(limit: u64) -> Self {
        Self {
            buffer: SendBuffer::new(),
            window: SendWindow::new(limit),
            push: Offset::ZERO,
            reset: None,
            fin: Fin::No,
            used: false,
        }
    }

    pub(crate) fn state(&self) -> SendState {
        match &self.reset {
            Some(reset) if reset.acked && self.buffer.all_acked() => SendState::ResetRecvd,
            Some(_) => SendState::ResetSent,
            None if self.fin == Fin::Acked && self.buffer.all_acked() => SendState::DataRecvd,
            None if matches!(self.fin, Fin::InFlight | Fin::Lost | Fin::Acked) => {
                SendState::DataSent
            }
            None if self.used => SendState::Send,
            None => SendState::Ready,
        }
    }

    /// Whether nothing will be sent any more.
    #[inline]
    pub(crate) fn is_terminal(&self) -> bool {
        // Most of the time neither is set.
        (self.fin == Fin::Acked || self.reset.is_some()) && self.state().is_terminal()
    }

    /// Whether the application has neither written nor finished: the stream may still count as new.
    pub(crate) fn is_untouched(&self) -> bool {
        self.fin == Fin::No && self.reset.is_none() && self.buffer.end() == Offset::ZERO
    }

    /// How much has been written.
    #[cfg(test)]
    pub(crate) fn written(&self) -> Offset {
        self.buffer.end()
    }

    /// How much has been sent at least once.
    #[cfg(test)]
    pub(crate) fn sent(&self) -> Offset {
        self.buffer.next()
    }

    pub(crate) fn window(&self) -> &SendWindow {
        &self.window
    }

    /// How much the application may still write without exceeding the limit of the stream.
    pub(crate) fn credit(&self) -> u64 {
        self.window.available(self.buffer.end().get())
    }

    // RFC 9000 §4.5: An endpoint MUST NOT send data on a stream at or beyond the final size.
    pub(crate) fn check_writable(&self) -> Result<(), WriteError> {
        if self.fin != Fin::No || self.reset.is_some() {
            return Err(WriteError::Finished);
        }
        Ok(())
    }

    /// Takes up `chunk`. It may wait for more until [`Self::push`].
    pub(crate) fn append<C: Chunk>(
        &mut self,
        pool: &mut Pool<C>,
        chunk: C,
        flags: Flags,
    ) -> Result<(), WriteError> {
        self.check_writable()?;
        self.buffer
            .append(pool, chunk, flags)
            .map_err(|AllocError| WriteError::NoMemory)
    }

    /// What has been written shall not wait for more.
    pub(crate) fn push(&mut self) {
        self.push = self.buffer.end();
    }

    /// The stream ends with what has been written.
    pub(crate) fn finish(&mut self) -> Result<(), WriteError> {
        self.check_writable()?;
        self.fin = Fin::Queued;
        Ok(())
    }

    #[inline]
    fn fin_is_due(&self) -> bool {
        matches!(self.fin, Fin::Queued | Fin::Lost) && self.reset.is_none()
    }

    /// Whether anything is to be sent again.
    #[inline]
    pub(crate) fn has_lost(&self) -> bool {
        self.buffer.first_lost().is_some()
    }

    /// Whether there is anything to send, limits aside.
    #[inline]
    pub(crate) fn has_data(&self) -> bool {
        self.has_lost() || self.buffer.next() < self.buffer.end() || self.fin_is_due()
    }

    /// Puts what is most urgent into a frame for the `space` bytes that are left in a packet: first
    /// what was lost, then new data, of which the connection allows `credit` bytes.
    #[inline]
    pub(crate) fn next_frame<C: Chunk>(
        &mut self,
        pool: &Pool<C>,
        id: StreamId,
        space: usize,
        credit: u64,
        tail: Tail,
        flags: Flags,
    ) -> Turn {
        if let Some(lost) = self.buffer.first_lost() {
            return self.send_again(pool, id, space, lost, flags);
        }
        let offset = self.buffer.next();
        let unsent = self.buffer.end() - offset;
        let Some(room) = capacity(space, id, offset) else {
            return Turn::NoSpace;
        };
        let fin = self.fin_is_due();
        if unsent == 0 && !fin {
            return Turn::Nothing;
        }
        let mut len = 0;
        if unsent > 0 {
            // RFC 9000 §4.1: Senders MUST NOT send data in excess of either limit.
            // RFC 9000 §19.10: The data sent on a stream MUST NOT exceed the largest maximum stream
            // data value advertised by the receiver.
            let stream = self.window.available(offset.get());
            if stream == 0 {
                return Turn::Blocked;
            }
            if credit == 0 {
                return Turn::ConnectionBlocked;
            }
            let wanted = length(unsent.min(stream).min(credit));
            len = wanted.min(room);
            if len < wanted && len < MIN_SPLIT {
                return Turn::NoSpace;
            }
            let whole = crate::offset::bytes(len) == unsent;
            if whole && len < room && !fin && self.holds(offset, tail) {
                return Turn::Held;
            }
        }
        let fin = fin && crate::offset::bytes(len) == unsent;
        let at = self.buffer.send_new(pool, len);
        if fin {
            self.fin = Fin::InFlight;
        }
        self.used = true;
        Turn::Frame {
            frame: StreamFrame {
                id,
                offset,
                len,
                fin,
                at,
            },
            new: crate::offset::bytes(len),
        }
    }

    /// A frame of new data, without a Length field, that fills what remains of the packet, with more
    /// to follow; its header is written. `None`, with nothing changed here, if there is no such
    /// frame or something is more urgent.
    #[inline(always)]
    pub(crate) fn next_full_frame<C: Chunk>(
        &mut self,
        pool: &Pool<C>,
        id: StreamId,
        credit: u64,
        writer: &mut Writer<'_>,
    ) -> Option<StreamFrame> {
        if self.has_lost() || self.reset.is_some() {
            return None;
        }
        let offset = self.buffer.next();
        let header = StreamHeader {
            id,
            offset: offset.varint(),
            fin: false,
            length: None,
        };
        header.emit(writer).ok()?;
        let len = writer.remaining();
        let unsent = self.buffer.end() - offset;
        let stream = self.window.available(offset.get());
        let most = unsent.min(stream).min(credit);
        if most <= crate::offset::bytes(len) || !(MIN_SPLIT..=MAX_LEN).contains(&len) {
            return None;
        }
        let at = self.buffer.send_some(pool, len);
        self.used = true;
        Some(StreamFrame {
            id,
            offset,
            len,
            fin: false,
            at,
        })
    }

    /// Whether the last data, which starts at `offset`, waits for more.
    fn holds(&self, offset: Offset, tail: Tail) -> bool {
        match tail {
            Tail::Held => true,
            Tail::Pushed => self.push <= offset,
            Tail::All => false,
        }
    }

    #[cold]
    fn send_again<C: Chunk>(
        &mut self,
        pool: &Pool<C>,
        id: StreamId,
        space: usize,
        lost: Range<Offset>,
        flags: Flags,
    ) -> Turn {
        let offset = lost.start;
        let wanted = length(lost.end - offset);
        let Some(room) = capacity(space, id, offset) else {
            return Turn::NoSpace;
        };
        let len = wanted.min(room);
        if len < wanted && len < MIN_SPLIT {
            return Turn::NoSpace;
        }
        let end = offset + len;
        let at = self.buffer.send_again(pool, offset..end, flags);
        let fin = end == self.buffer.end() && self.buffer.next() == end && self.fin_is_due();
        if fin {
            self.fin = Fin::InFlight;
        }
        Turn::Frame {
            frame: StreamFrame {
                id,
                offset,
                len,
                fin,
                at,
            },
            new: 0,
        }
    }

    /// The limit of the stream holds new data back: returns whether to send STREAM_DATA_BLOCKED.
    pub(crate) fn block(&mut self) -> bool {
        self.is_blocked() && self.window.block()
    }

    /// Whether the limit of the stream holds back what was written, or would hold back what comes
    /// next.
    // RFC 9000 §3.1: In the "Data Sent" state, the endpoint does not need to send
    // STREAM_DATA_BLOCKED frames. §3.3: A sender MUST NOT send a STREAM or STREAM_DATA_BLOCKED
    // frame for a stream in the "Reset Sent" state or any terminal state.
    pub(crate) fn is_blocked(&self) -> bool {
        let has_more = self.buffer.next() < self.buffer.end() || self.check_writable().is_ok();
        has_more && self.credit() == 0
    }

    /// STREAM_DATA_BLOCKED was sent.
    pub(crate) fn on_blocked_sent(&mut self) {
        self.used = true;
    }

    /// STREAM_DATA_BLOCKED with `limit` was lost: returns whether to send another.
    pub(crate) fn on_blocked_lost(&self, limit: VarInt) -> bool {
        self.is_blocked() && self.window.on_lost(limit, self.buffer.end().get())
    }

    /// The peer allows `limit` bytes: returns whether that is more than before.
    pub(crate) fn on_max_stream_data(&mut self, limit: u64) -> bool {
        self.window.raise(limit)
    }

    /// The packet with this frame was acknowledged.
    #[inline]
    pub(crate) fn on_acked<C: Chunk>(
        &mut self,
        pool: &mut Pool<C>,
        range: Range<Offset>,
        fin: bool,
        flags: Flags,
    ) {
        self.buffer.on_acked(pool, range, flags);
        if fin {
            self.fin = Fin::Acked;
        }
    }

    /// The packet with this frame was lost.
    // RFC 9000 §13.3: Application data sent in STREAM frames is retransmitted in new STREAM frames
    // unless the endpoint has sent a RESET_STREAM for that stream.
    pub(crate) fn on_lost(&mut self, range: Range<Offset>, fin: bool, flags: Flags) {
        self.buffer.on_lost(range, flags);
        if fin && self.fin == Fin::InFlight {
            self.fin = Fin::Lost;
        }
    }

    /// Abandons the stream with `code`, except for what is before `reliable`: returns how many
    /// bytes that were written will never be sent.
    ///
    /// It may be called again with the same code to lower `reliable`.
    // draft-ietf-quic-reliable-stream-reset §5.2: the initiator MUST NOT increase the Reliable Size
    // [and] MUST NOT change the Application Error Code or the Final Size.
    pub(crate) fn reset<C: Chunk>(
        &mut self,
        pool: &mut Pool<C>,
        code: VarInt,
        reliable: Offset,
    ) -> Result<u64, ResetError> {
        let reliable = reliable.min(self.buffer.end());
        match &self.reset {
            Some(old) if old.code != code || old.reliable <= reliable => {
                return Err(ResetError::Finished)
            }
            _ if self.is_terminal() => return Err(ResetError::Finished),
            _ => {
                self.reset = Some(Reset {
                    code,
                    reliable,
                    sent: false,
                    acked: false,
                })
            }
        }
        // RFC 9000 §4.5: the final size is one higher than the offset of the byte with the largest
        // offset sent.
        Ok(self.buffer.cut(pool, reliable))
    }

    /// The peer asks to stop: returns how many bytes that were written will never be sent, or
    /// `None` if there is nothing to stop.
    // RFC 9000 §3.5: An endpoint that receives a STOP_SENDING frame MUST send a RESET_STREAM frame
    // if the stream is in the "Ready" or "Send" state. An endpoint SHOULD copy the error code from
    // the STOP_SENDING frame.
    pub(crate) fn on_stop_sending<C: Chunk>(
        &mut self,
        pool: &mut Pool<C>,
        code: VarInt,
    ) -> Option<u64> {
        let code = self.reset.as_ref().map_or(code, |reset| reset.code);
        self.reset(pool, code, Offset::ZERO).ok()
    }

    /// Whether a reset is to be sent: one that is not in flight, and promises nothing that was not
    /// sent.
    #[inline]
    pub(crate) fn reset_is_due(&self) -> bool {
        self.reset.as_ref().is_some_and(|reset| {
            !reset.sent && !reset.acked && reset.reliable <= self.buffer.next()
        })
    }

    /// The code, final size and reliable size of the RESET_STREAM or RESET_STREAM_AT frame to send.
    // RFC 9000 §13.3: The content of a RESET_STREAM frame MUST NOT change when it is sent again.
    // Nothing is appended to a stream that was reset.
    pub(crate) fn reset_frame(&self) -> Option<(VarInt, Offset, Offset)> {
        let reset = self.reset.as_ref().filter(|_| self.reset_is_due())?;
        Some((reset.code, self.buffer.end(), reset.reliable))
    }

    /// The frame was sent.
    pub(crate) fn on_reset_sent(&mut self) {
        if let Some(reset) = &mut self.reset {
            reset.sent = true;
        }
    }

    /// The packet with a reset of that reliable size was acknowledged.
    // draft-ietf-quic-reliable-stream-reset §5.2: the sender MUST retransmit the RESET_STREAM_AT
    // frame carrying the smallest Reliable Size as well as stream data up to that size, until all
    // acknowledgements are received.
    pub(crate) fn on_reset_acked(&mut self, reliable: Offset) {
        if let Some(reset) = self
            .reset
            .as_mut()
            .filter(|reset| reset.reliable == reliable)
        {
            reset.acked = true;
        }
    }

    /// The packet with a reset of that reliable size was lost: returns whether to send it again.
    pub(crate) fn on_reset_lost(&mut self, reliable: Offset) -> bool {
        match self
            .reset
            .as_mut()
            .filter(|reset| reset.reliable == reliable && !reset.acked)
        {
            Some(reset) => {
                reset.sent = false;
                true
            }
            None => false,
        }
    }

    /// The code and the final size, if the stream was reset.
    pub(crate) fn reset_code(&self) -> Option<(VarInt, Offset)> {
        self.reset
            .as_ref()
            .map(|reset| (reset.code, self.buffer.end()))
    }

    /// The peer has discarded everything that was sent to it (0-RTT was rejected), and allows
    /// `limit` bytes: returns how many bytes that were written will never be sent.
    ///
    /// A reset promises nothing any more if the peer does not understand RESET_STREAM_AT.
    pub(crate) fn rewind<C: Chunk>(
        &mut self,
        pool: &mut Pool<C>,
        limit: u64,
        reset_stream_at: bool,
    ) -> u64 {
        self.buffer.rewind(pool);
        self.window = SendWindow::new(limit);
        if self.fin != Fin::No {
            self.fin = Fin::Queued;
        }
        self.used = false;
        let Some(reset) = &mut self.reset else {
            return 0;
        };
        if !reset_stream_at {
            reset.reliable = Offset::ZERO;
        }
        (reset.sent, reset.acked) = (false, false);
        // What was sent beyond the promise does not count any more.
        self.buffer.cut(pool, reset.reliable)
    }

    /// Drops all chunks.
    pub(crate) fn clear<C: Chunk>(&mut self, pool: &mut Pool<C>) {
        self.buffer.clear(pool);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chunk::testing::Bytes;
    use kernel::alloc::flags::GFP_ATOMIC;
    use SendState::*;

    const CODE: VarInt = VarInt::from_u32(42);
    const MTU: usize = 100;

    struct Fixture {
        pool: Pool<Bytes>,
        part: SendPart,
    }

    impl Fixture {
        fn new() -> Self {
            Self {
                pool: Pool::new(),
                part: SendPart::new(1 << 20),
            }
        }

        fn write(&mut self, len: usize) -> Result<(), WriteError> {
            self.part
                .append(&mut self.pool, Bytes::new(&vec![0; len]), GFP_ATOMIC)
        }

        fn turn(&mut self, space: usize, credit: u64, tail: Tail) -> Turn {
            let id = StreamId::new(VarInt::ZERO);
            self.part
                .next_frame(&self.pool, id, space, credit, tail, GFP_ATOMIC)
        }

        /// The next frame as (offset, length, FIN).
        fn send(&mut self) -> Option<(u64, usize, bool)> {
            match self.turn(MTU, u64::MAX, Tail::All) {
                Turn::Frame { frame, .. } => {
                    assert!(frame.size() <= MTU);
                    Some((frame.offset.get(), frame.len, frame.fin))
                }
                _ => None,
            }
        }

        fn send_all(&mut self) -> Vec<(u64, usize, bool)> {
            core::iter::from_fn(|| self.send()).collect()
        }

        fn ack(&mut self, (offset, len, fin): (u64, usize, bool)) {
            let start = Offset::saturating(offset);
            self.part
                .on_acked(&mut self.pool, start..start + len, fin, GFP_ATOMIC);
        }

        fn lose(&mut self, (offset, len, fin): (u64, usize, bool)) {
            let start = Offset::saturating(offset);
            self.part.on_lost(start..start + len, fin, GFP_ATOMIC);
        }

        fn reset(&mut self, reliable: u64) -> Result<u64, ResetError> {
            self.part
                .reset(&mut self.pool, CODE, Offset::saturating(reliable))
        }
    }

    /// A part in each of the states of RFC 9000 §3.1, with 10 bytes written unless nothing was.
    fn in_state(state: SendState) -> Fixture {
        let mut fixture = Fixture::new();
        if state == Ready {
            return fixture;
        }
        fixture.write(10).unwrap();
        let first = fixture.send().unwrap();
        if state == Send {
            return fixture;
        }
        if matches!(state, ResetSent | ResetRecvd) {
            fixture.reset(0).unwrap();
            if state == ResetRecvd {
                fixture.part.on_reset_acked(Offset::ZERO);
            }
            return fixture;
        }
        fixture.part.finish().unwrap();
        let fin = fixture.send().unwrap();
        if state == DataRecvd {
            fixture.ack(fin);
            fixture.ack(first);
        }
        fixture
    }

    const STATES: [SendState; 6] = [Ready, Send, DataSent, DataRecvd, ResetSent, ResetRecvd];

    // [rfc9000-3.5-1]
    #[test]
    fn transitions_of_rfc_9000_figure_2() {
        type Event = (&'static str, fn(&mut Fixture), [SendState; 6]);
        let events: [Event; 11] = [
            // What happens in: Ready, Send, DataSent, DataRecvd, ResetSent, ResetRecvd.
            (
                "write",
                |f| {
                    let _ = f.write(5);
                },
                [Ready, Send, DataSent, DataRecvd, ResetSent, ResetRecvd],
            ),
            (
                "write, send",
                |f| {
                    let _ = (f.write(5), f.send());
                },
                [Send, Send, DataSent, DataRecvd, ResetSent, ResetRecvd],
            ),
            (
                "finish, send",
                |f| {
                    let _ = (f.part.finish(), f.send());
                },
                [
                    DataSent, DataSent, DataSent, DataRecvd, ResetSent, ResetRecvd,
                ],
            ),
            (
                "finish, all acknowledged",
                |f| {
                    let _ = f.part.finish();
                    f.send_all();
                    f.ack((0, 10, true));
                },
                [
                    DataRecvd, DataRecvd, DataRecvd, DataRecvd, ResetSent, ResetRecvd,
                ],
            ),
            (
                "data acknowledged",
                |f| f.ack((0, 10, false)),
                [Ready, Send, DataSent, DataRecvd, ResetSent, ResetRecvd],
            ),
            (
                "data lost",
                |f| f.lose((0, 10, false)),
                [Ready, Send, DataSent, DataRecvd, ResetSent, ResetRecvd],
            ),
            (
                "reset",
                |f| {
                    let _ = f.reset(0);
                },
                [
                    ResetSent, ResetSent, ResetSent, DataRecvd, ResetSent, ResetRecvd,
                ],
            ),
            (
                "reset, acknowledged",
                |f| {
                    let _ = f.reset(0);
                    f.part.on_reset_acked(Offset::ZERO);
                },
                [
                    ResetRecvd, ResetRecvd, ResetRecvd, DataRecvd, ResetRecvd, ResetRecvd,
                ],
            ),
            (
                "STOP_SENDING",
                |f| {
                    let _ = f.part.on_stop_sending(&mut f.pool, CODE);
                },
                [
                    ResetSent, ResetSent, ResetSent, DataRecvd, ResetSent, ResetRecvd,
                ],
            ),
            (
                "MAX_STREAM_DATA",
                |f| {
                    let _ = f.part.on_max_stream_data(1 << 30);
                },
                [Ready, Send, DataSent, DataRecvd, ResetSent, ResetRecvd],
            ),
            (
                "STREAM_DATA_BLOCKED sent",
                |f| {
                    f.part.block();
                    f.part.on_blocked_sent();
                },
                [Send, Send, DataSent, DataRecvd, ResetSent, ResetRecvd],
            ),
        ];
        for (name, event, after) in events {
            for (before, after) in STATES.into_iter().zip(after) {
                let mut fixture = in_state(before);
                assert_eq!(fixture.part.state(), before);
                event(&mut fixture);
                assert_eq!(fixture.part.state(), after, "{name} in {before:?}");
                assert_eq!(fixture.part.is_terminal(), after.is_terminal());
            }
        }
    }

    #[test]
    fn states_have_the_numbers_of_the_interface() {
        assert_eq!(STATES.map(|state| state as u8), [0, 1, 2, 3, 4, 5]);
    }

    // [rfc9000-3.3-1] [rfc9000-3.3-2] [rfc9000-4.5-2]
    #[test]
    fn nothing_is_sent_after_the_end() {
        for state in [DataSent, DataRecvd, ResetSent, ResetRecvd] {
            let mut fixture = in_state(state);
            assert_eq!(fixture.write(5), Err(WriteError::Finished));
            assert_eq!(fixture.part.finish(), Err(WriteError::Finished));
            assert_eq!(fixture.send(), None, "{state:?}");
        }
        // RFC 9000 §3.3: A sender MUST NOT send a STREAM or STREAM_DATA_BLOCKED frame for a stream
        // in the "Reset Sent" state.
        let mut fixture = in_state(ResetSent);
        fixture.lose((0, 10, false));
        assert_eq!(fixture.send(), None);
        assert_eq!(fixture.pool.len(), 0, "and its memory is free at once");
        assert!(fixture.part.reset_frame().is_some());
        // Nor anything from a terminal state.
        for state in [DataRecvd, ResetRecvd] {
            assert!(in_state(state).part.reset_frame().is_none());
        }
    }

    #[test]
    fn fin_goes_with_the_last_byte_and_again_when_lost() {
        let mut fixture = Fixture::new();
        fixture.write(150).unwrap();
        fixture.part.finish().unwrap();
        let sent = fixture.send_all();
        assert_eq!(sent, [(0, 96, false), (96, 54, true)]);
        fixture.lose(sent[1]);
        fixture.lose(sent[0]);
        assert_eq!(fixture.send_all(), [(0, 96, false), (96, 54, true)]);
        fixture.ack((0, 96, false));
        fixture.ack((96, 54, false));
        assert_eq!(fixture.part.state(), DataSent, "the FIN is still missing");
        fixture.lose((96, 54, true));
        assert_eq!(fixture.send_all(), [(150, 0, true)]);
        fixture.ack((150, 0, true));
        assert_eq!(fixture.part.state(), DataRecvd);
    }

    #[test]
    fn fin_alone_needs_no_credit() {
        let mut fixture = Fixture::new();
        fixture.part = SendPart::new(0);
        fixture.part.finish().unwrap();
        assert!(matches!(fixture.turn(2, 0, Tail::Held), Turn::NoSpace));
        assert!(matches!(
            fixture.turn(3, 0, Tail::Held),
            Turn::Frame {
                frame: StreamFrame { fin: true, .. },
                new: 0
            }
        ));
    }

    // [rfc9000-4.1-1] [rfc9000-19.10-3] [rfc9000-4.1-3]
    #[test]
    fn both_limits_hold_new_data_back_and_neither_a_retransmission() {
        let mut fixture = Fixture::new();
        fixture.part = SendPart::new(20);
        fixture.write(30).unwrap();
        assert!(matches!(
            fixture.turn(MTU, 0, Tail::All),
            Turn::ConnectionBlocked
        ));
        assert!(matches!(
            fixture.turn(MTU, 15, Tail::Held),
            Turn::Frame {
                frame: StreamFrame { len: 15, .. },
                new: 15
            }
        ));
        assert_eq!(fixture.send(), Some((15, 5, false)));
        assert!(matches!(fixture.turn(MTU, 9, Tail::All), Turn::Blocked));
        fixture.lose((0, 20, false));
        assert!(matches!(
            fixture.turn(MTU, 0, Tail::Held),
            Turn::Frame {
                frame: StreamFrame { len: 20, .. },
                new: 0
            }
        ));
        assert!(fixture.part.block());
        assert!(!fixture.part.block());
        assert!(fixture.part.on_blocked_lost(VarInt::from_u32(20)));
        assert!(!fixture.part.on_max_stream_data(20));
        assert!(fixture.part.on_max_stream_data(25));
        assert!(!fixture.part.on_blocked_lost(VarInt::from_u32(20)));
        assert_eq!(fixture.send(), Some((20, 5, false)));
    }

    #[test]
    fn a_tail_waits_as_long_as_it_may() {
        let mut fixture = Fixture::new();
        fixture.write(150).unwrap();
        // A full packet never waits.
        assert!(matches!(
            fixture.turn(MTU, u64::MAX, Tail::Held),
            Turn::Frame {
                frame: StreamFrame { len: 97, .. },
                ..
            } | Turn::Frame {
                frame: StreamFrame { len: 96, .. },
                ..
            }
        ));
        assert!(matches!(
            fixture.turn(MTU, u64::MAX, Tail::Held),
            Turn::Held
        ));
        assert!(
            matches!(fixture.turn(MTU, u64::MAX, Tail::Pushed), Turn::Held),
            "written with MSG_MORE"
        );
        fixture.part.push();
        assert!(
            matches!(fixture.turn(MTU, u64::MAX, Tail::Held), Turn::Held),
            "something is in flight"
        );
        fixture.write(3).unwrap();
        assert!(matches!(
            fixture.turn(MTU, u64::MAX, Tail::Pushed),
            Turn::Frame { .. }
        ));
        assert_eq!(
            fixture.part.sent(),
            fixture.part.written(),
            "and takes along what was not pushed"
        );
        // The end never waits.
        fixture.write(3).unwrap();
        fixture.part.finish().unwrap();
        assert!(matches!(
            fixture.turn(MTU, u64::MAX, Tail::Held),
            Turn::Frame { .. }
        ));
    }

    #[test]
    fn a_tail_that_fills_the_rest_of_a_packet_does_not_wait() {
        let mut fixture = Fixture::new();
        fixture.write(10).unwrap();
        assert!(matches!(fixture.turn(14, u64::MAX, Tail::Held), Turn::Held));
        assert!(matches!(
            fixture.turn(13, u64::MAX, Tail::Held),
            Turn::Frame {
                frame: StreamFrame { len: 10, .. },
                ..
            }
        ));
    }

    #[test]
    fn data_is_not_split_into_crumbs() {
        let mut fixture = Fixture::new();
        fixture.write(200).unwrap();
        assert!(matches!(
            fixture.turn(MIN_SPLIT + 2, u64::MAX, Tail::All),
            Turn::NoSpace
        ));
        assert!(matches!(
            fixture.turn(MIN_SPLIT + 3, u64::MAX, Tail::All),
            Turn::Frame { .. }
        ));
        fixture.lose((0, 32, false));
        assert!(matches!(
            fixture.turn(20, u64::MAX, Tail::All),
            Turn::NoSpace
        ));
    }

    // [rfc9000-13.3-1]
    #[test]
    fn reset_has_the_size_of_what_was_sent() {
        let mut fixture = Fixture::new();
        fixture.write(200).unwrap();
        fixture.send();
        assert_eq!(fixture.reset(0), Ok(104));
        assert_eq!(
            fixture.part.reset_frame(),
            Some((CODE, Offset::saturating(96), Offset::ZERO))
        );
        assert_eq!(fixture.reset(0), Err(ResetError::Finished));
        assert!(fixture.part.on_reset_lost(Offset::ZERO));
        fixture.part.on_reset_acked(Offset::ZERO);
        assert!(!fixture.part.on_reset_lost(Offset::ZERO));
    }

    #[test]
    fn reset_at_delivers_the_beginning() {
        let mut fixture = Fixture::new();
        fixture.write(300).unwrap();
        let first = fixture.send().unwrap();
        assert_eq!(fixture.reset(120), Ok(180));
        assert_eq!(fixture.part.reset_frame(), None, "first what is promised");
        let second = fixture.send().unwrap();
        assert_eq!((second, fixture.send()), ((96, 24, false), None));
        let frame = Some((CODE, Offset::saturating(120), Offset::saturating(120)));
        assert_eq!(fixture.part.reset_frame(), frame);
        fixture.lose(first);
        fixture.part.on_reset_acked(Offset::saturating(120));
        fixture.ack(second);
        assert_eq!(fixture.part.state(), ResetSent, "the beginning is missing");
        let again = fixture.send().unwrap();
        assert_eq!(again.0, 0);
        fixture.ack((0, 96, false));
        assert_eq!(fixture.part.state(), ResetRecvd);
        assert_eq!(fixture.pool.len(), 0);
    }

    #[test]
    fn reset_at_can_promise_less_and_never_more() {
        let mut fixture = Fixture::new();
        fixture.write(300).unwrap();
        fixture.send_all();
        assert_eq!(fixture.reset(200), Ok(0));
        assert_eq!(fixture.reset(201), Err(ResetError::Finished));
        let other = fixture
            .part
            .reset(&mut fixture.pool, VarInt::from_u32(1), Offset::ZERO);
        assert_eq!(other, Err(ResetError::Finished), "the code is settled");
        assert_eq!(fixture.reset(100), Ok(0));
        let frame = Some((CODE, Offset::saturating(300), Offset::saturating(100)));
        assert_eq!(fixture.part.reset_frame(), frame);
        // The acknowledgement of the older frame does not count.
        fixture.part.on_reset_acked(Offset::saturating(200));
        fixture.ack((0, 100, false));
        assert_eq!(fixture.part.state(), ResetSent);
        assert!(!fixture.part.on_reset_lost(Offset::saturating(200)));
        // STOP_SENDING takes back the promise, not the code.
        assert_eq!(
            fixture
                .part
                .on_stop_sending(&mut fixture.pool, VarInt::from_u32(7)),
            Some(0)
        );
        assert_eq!(
            fixture.part.reset_frame(),
            Some((CODE, Offset::saturating(300), Offset::ZERO))
        );
    }

    #[test]
    fn after_rejected_early_data_everything_is_sent_again() {
        let mut fixture = Fixture::new();
        fixture.write(50).unwrap();
        fixture.part.finish().unwrap();
        let sent = fixture.send_all();
        fixture.part.rewind(&mut fixture.pool, 40, true);
        for frame in sent {
            fixture.lose(frame);
        }
        assert_eq!(fixture.send_all(), [(0, 40, false)]);
        fixture.part.on_max_stream_data(50);
        assert_eq!(fixture.send_all(), [(40, 10, true)]);
    }

    #[test]
    fn size() {
        assert_eq!(core::mem::size_of::<SendPart>(), 192);
    }
}
