// SPDX-License-Identifier: GPL-2.0 OR MIT

//! [`RecvPart`]: the receiving part of a stream (RFC 9000 §3.2).
//!
//! ```text
//!   Recv --FIN--> SizeKnown --all data--> DataRecvd --read--> DataRead
//!     |               |
//!     +- RESET_STREAM-+--> ResetRecvd
//! ```
//!
//! RESET_STREAM_AT keeps the part in `SizeKnown` until what it promises has arrived; that stays
//! readable. After STOP_SENDING nothing is kept, and the part is over when the final size is known
//! and the peer has STOP_SENDING.
//!
//! Every byte up to the final size gives its credit back to the connection exactly once: when it is
//! read, or when it is certain that it will not be (RFC 9000 §4.5).

use super::assembler::{Assembler, Inserted};
use super::room::{Refused, Room};
use super::state::RecvState;
use crate::chunk::Chunk;
use crate::error::TransportErrorCode;
use crate::flow::{ReceiveWindow, Tuning};
use crate::offset::Offset;
use crate::pool::Pool;
use crate::varint::VarInt;
use kernel::alloc::Flags;

/// The receiving part of a stream.
pub(crate) struct RecvPart {
    assembler: Assembler,
    window: ReceiveWindow,
    /// The end of the byte received with the largest offset, or the final size: what counts toward
    /// flow control.
    highest: Offset,
    /// How many bytes have given their credit back to the connection.
    credited: u64,
    reset: Option<Reset>,
    stop: Option<Stop>,
    /// `highest` is the final size.
    size_known: bool,
    /// The first STREAM frame has arrived.
    begun: bool,
    /// The application has been told of the end.
    end_read: bool,
}

struct Reset {
    code: VarInt,
    /// What is before this offset will arrive.
    reliable: Offset,
}

struct Stop {
    code: VarInt,
    acked: bool,
}

/// A frame that breaks a rule of the stream: the error code and the reason.
pub(crate) type Violation = (TransportErrorCode, &'static str);

/// What a frame changed.
#[derive(Copy, Clone, PartialEq, Eq, Debug, Default)]
pub(crate) struct Changes {
    /// It is the first STREAM frame.
    pub(crate) begun: bool,
    /// The final size became known.
    pub(crate) size_known: bool,
    /// There is more to read than before.
    pub(crate) readable: bool,
    /// The part is over.
    pub(crate) over: bool,
}

/// Why the application cannot ask the peer to stop sending.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub enum StopError {
    /// The stream is not open, or data cannot be received on it. EINVAL.
    NotOpen,
    /// It was open, and is closed. ENOSTR.
    Closed,
    /// Everything has arrived, or the peer has reset it. EINVAL.
    Finished,
    /// The peer has been asked. EAGAIN.
    InProgress,
    /// There is no memory. ENOMEM.
    NoMemory,
}

impl RecvPart {
    /// The part of a new stream with a window of `window` bytes.
    pub(crate) fn new(window: u64) -> Self {
        Self {
            assembler: Assembler::default(),
            window: ReceiveWindow::new(window),
            highest: Offset::ZERO,
            credited: 0,
            reset: None,
            stop: None,
            size_known: false,
            begun: false,
            end_read: false,
        }
    }

    pub(crate) fn state(&self) -> RecvState {
        match &self.reset {
            _ if !self.is_terminal() && !self.size_known => RecvState::Recv,
            _ if !self.is_terminal() => RecvState::SizeKnown,
            Some(_) => RecvState::ResetRecvd,
            None if self.end_read => RecvState::DataRead,
            None => RecvState::DataRecvd,
        }
    }

    /// Whether nothing will be received any more.
    #[inline]
    pub(crate) fn is_terminal(&self) -> bool {
        self.size_known
            && match (&self.reset, &self.stop) {
                (Some(reset), None) => self.assembler.end() >= reset.reliable,
                (Some(_), Some(_)) => true,
                (None, Some(stop)) => stop.acked,
                (None, None) => self.assembler.end() == self.highest,
            }
    }

    /// Whether the application still has to read something, be it only the end.
    #[inline]
    pub(crate) fn is_unread(&self) -> bool {
        self.assembler.read() < self.assembler.end() || self.end_is_due()
    }

    /// Whether the end is all that is left to read.
    fn end_is_due(&self) -> bool {
        !self.end_read && self.ends_at(self.assembler.read())
    }

    /// Whether the stream ends at `offset`, with data that is delivered in full.
    pub(crate) fn ends_at(&self, offset: Offset) -> bool {
        self.size_known && self.highest == offset && self.reset.is_none() && self.stop.is_none()
    }

    #[inline]
    pub(crate) fn assembler(&self) -> &Assembler {
        &self.assembler
    }

    pub(crate) fn highest(&self) -> Offset {
        self.highest
    }

    /// The code and the final size, if the peer has reset the stream.
    pub(crate) fn reset_code(&self) -> Option<(VarInt, Offset)> {
        self.reset.as_ref().map(|reset| (reset.code, self.highest))
    }

    /// Whether the application has asked the peer to stop.
    #[inline]
    pub(crate) fn is_stopped(&self) -> bool {
        self.stop.is_some()
    }

    pub(crate) fn window_mut(&mut self) -> &mut ReceiveWindow {
        &mut self.window
    }

    pub(crate) fn window(&self) -> &ReceiveWindow {
        &self.window
    }

    /// Whether the peer still needs credit for this stream.
    // RFC 9000 §13.3: An endpoint SHOULD stop sending MAX_STREAM_DATA frames when the receiving
    // part of the stream enters a "Size Known" or "Reset Recvd" state.
    pub(crate) fn wants_data(&self) -> bool {
        !self.size_known && self.stop.is_none()
    }

    /// Checks a STREAM frame that ends at `end`: returns by how much it raises what counts toward
    /// flow control.
    #[inline(always)]
    pub(crate) fn check(&self, end: Offset, fin: bool) -> Result<u64, Violation> {
        // RFC 9000 §4.5: A receiver SHOULD treat receipt of data at or beyond the final size as an
        // error of type FINAL_SIZE_ERROR.
        if self.size_known && end > self.highest {
            return Err((
                TransportErrorCode::FINAL_SIZE_ERROR,
                "data beyond the final size",
            ));
        }
        if fin && (end < self.highest || self.size_known && end != self.highest) {
            return Err((
                TransportErrorCode::FINAL_SIZE_ERROR,
                "the final size changed",
            ));
        }
        self.check_limit(end)
    }

    // RFC 9000 §4.1: A receiver MUST close the connection with an error of type FLOW_CONTROL_ERROR
    // if the sender violates the advertised connection or stream data limits.
    // RFC 9000 §19.10: An endpoint MUST terminate a connection with an error of type
    // FLOW_CONTROL_ERROR if it receives more data than the largest maximum stream data that it has
    // sent for the affected stream.
    #[inline]
    fn check_limit(&self, end: Offset) -> Result<u64, Violation> {
        if end.get() > self.window.limit() {
            return Err((
                TransportErrorCode::FLOW_CONTROL_ERROR,
                "more data than the limit of the stream",
            ));
        }
        Ok(end - self.highest)
    }

    /// Whether data at `offset` is what comes next, and changes nothing but that there is more to
    /// read: as most does.
    #[inline(always)]
    pub(crate) fn is_next(&self, offset: Offset, fin: bool) -> bool {
        self.assembler.is_next(offset)
            && self.begun
            && !self.size_known
            && !fin
            && self.reset.is_none()
            && self.stop.is_none()
    }

    /// Takes up what [`Self::is_next`], of which there is some, and which ends at `end`.
    #[inline(always)]
    pub(crate) fn append<C: Chunk>(
        &mut self,
        pool: &mut Pool<C>,
        end: Offset,
        chunk: C,
        flags: Flags,
    ) -> Result<(), Refused> {
        self.assembler.append(pool, end, chunk, flags)?;
        self.highest = self.highest.max(end);
        Ok(())
    }

    /// Takes up a STREAM frame that [`Self::check`] has let pass. A refusal leaves everything as it
    /// was.
    #[inline(never)]
    pub(crate) fn on_stream<C: Chunk>(
        &mut self,
        pool: &mut Pool<C>,
        offset: Offset,
        chunk: C,
        fin: bool,
        room: Room,
        flags: Flags,
    ) -> Result<Changes, Refused> {
        let end = offset + chunk.len();
        let was_terminal = self.is_terminal();
        if was_terminal {
            // RFC 9000 §3.2: After all data has been received, any STREAM or STREAM_DATA_BLOCKED
            // frames for the stream can be discarded.
            return Ok(Changes::default());
        }
        let readable = if self.stop.is_none() && !self.exceeds_promise(offset) {
            self.assembler.insert(pool, offset, chunk, room, flags)? == Inserted::InOrder
        } else {
            // RFC 9000 §3.5: STREAM frames received after sending a STOP_SENDING frame are still
            // counted toward connection and stream flow control, even though these frames can be
            // discarded upon receipt.
            false
        };
        self.trim_to_promise(pool);
        let mut changes = Changes {
            begun: !self.begun,
            readable,
            ..Changes::default()
        };
        self.begun = true;
        self.highest = self.highest.max(end);
        if fin && !self.size_known {
            self.size_known = true;
            changes.size_known = true;
        }
        changes.over = self.is_terminal();
        changes.readable |= changes.over && self.end_is_due();
        Ok(changes)
    }

    /// Whether the data from `offset` on was given up by RESET_STREAM_AT.
    #[inline]
    fn exceeds_promise(&self, offset: Offset) -> bool {
        self.reset
            .as_ref()
            .is_some_and(|reset| offset >= reset.reliable)
    }

    /// Drops what RESET_STREAM_AT does not promise.
    #[inline]
    fn trim_to_promise<C: Chunk>(&mut self, pool: &mut Pool<C>) {
        if let Some(reset) = &self.reset {
            self.assembler.truncate(pool, reset.reliable);
        }
    }

    /// Checks a RESET_STREAM or RESET_STREAM_AT frame: returns by how much it raises what counts
    /// toward flow control.
    pub(crate) fn check_reset(&self, code: VarInt, size: Offset) -> Result<u64, Violation> {
        // RFC 9000 §4.5: Once a final size for a stream is known, it cannot change.
        if size < self.highest || self.size_known && size != self.highest {
            return Err((
                TransportErrorCode::FINAL_SIZE_ERROR,
                "the final size changed",
            ));
        }
        // draft-ietf-quic-reliable-stream-reset §5.2: If the receiver detects a change in those
        // fields, it MUST close the connection with a connection error of type STREAM_STATE_ERROR
        // or FINAL_SIZE_ERROR, respectively.
        if self.reset.as_ref().is_some_and(|reset| reset.code != code) {
            return Err((
                TransportErrorCode::STREAM_STATE_ERROR,
                "the code of a reset changed",
            ));
        }
        self.check_limit(size)
    }

    /// Takes up a RESET_STREAM or RESET_STREAM_AT frame that [`Self::check_reset`] has let pass.
    pub(crate) fn on_reset<C: Chunk>(
        &mut self,
        pool: &mut Pool<C>,
        code: VarInt,
        size: Offset,
        reliable: Offset,
    ) -> Changes {
        // draft-ietf-quic-reliable-stream-reset §5.2: The receiver MUST ignore any RESET_STREAM_AT
        // frame that increases the Reliable Size.
        let lowered = self
            .reset
            .as_ref()
            .is_none_or(|reset| reliable < reset.reliable);
        if self.is_terminal() || !lowered {
            // RFC 9000 §3.2: If the RESET_STREAM is suppressed, the receiving part of the stream
            // remains in "Data Recvd".
            return Changes::default();
        }
        let size_known = !self.size_known;
        self.highest = size;
        self.size_known = true;
        self.reset = Some(Reset { code, reliable });
        self.trim_to_promise(pool);
        Changes {
            size_known,
            over: self.is_terminal(),
            ..Changes::default()
        }
    }

    /// The application does not want any more: whatever has not been read is dropped.
    pub(crate) fn stop<C: Chunk>(
        &mut self,
        pool: &mut Pool<C>,
        code: VarInt,
    ) -> Result<(), StopError> {
        if self.stop.is_some() {
            return Err(StopError::InProgress);
        }
        // RFC 9000 §3.5: If the stream is in the "Recv" or "Size Known" state, the transport SHOULD
        // signal this by sending a STOP_SENDING frame. STOP_SENDING SHOULD only be sent for a
        // stream that has not been reset by the peer.
        if self.is_terminal() || self.reset.is_some() {
            return Err(StopError::Finished);
        }
        self.assembler.truncate(pool, Offset::ZERO);
        self.stop = Some(Stop { code, acked: false });
        Ok(())
    }

    /// The code of the STOP_SENDING frame to send, if one is needed.
    // RFC 9000 §13.3: a request to cancel stream transmission is sent until the receiving part of
    // the stream enters either a "Data Recvd" or "Reset Recvd" state.
    pub(crate) fn stop_frame(&self) -> Option<VarInt> {
        self.stop
            .as_ref()
            .filter(|stop| !stop.acked && !self.is_terminal())
            .map(|stop| stop.code)
    }

    /// The packet with STOP_SENDING was acknowledged.
    pub(crate) fn on_stop_acked(&mut self) {
        if let Some(stop) = &mut self.stop {
            stop.acked = true;
        }
    }

    /// The application has read `len` bytes, or the end if there was nothing else.
    pub(crate) fn consume<C: Chunk>(&mut self, pool: &mut Pool<C>, len: u64) {
        self.assembler.consume(pool, len);
        if self.end_is_due() {
            self.end_read = true;
        }
    }

    /// Moves the window after reading: returns whether to send MAX_STREAM_DATA.
    pub(crate) fn grant(&mut self, tuning: &Tuning) -> bool {
        self.wants_data() && self.window.on_consumed(self.assembler.read().get(), tuning)
    }

    /// How many bytes give their credit back to the connection, that have not done so before.
    pub(crate) fn take_credit(&mut self) -> u64 {
        let read = self.assembler.read();
        let total = match (&self.stop, &self.reset) {
            (Some(_), _) => self.highest.get(),
            // What is promised will be read.
            (None, Some(reset)) => self.highest.get().saturating_sub(reset.reliable - read),
            (None, None) => read.get(),
        };
        let credit = total.saturating_sub(self.credited);
        self.credited = self.credited.max(total);
        credit
    }

    /// Drops all chunks.
    pub(crate) fn clear<C: Chunk>(&mut self, pool: &mut Pool<C>) {
        self.assembler.truncate(pool, Offset::ZERO);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chunk::testing::Bytes;
    use kernel::alloc::flags::GFP_ATOMIC;
    use proptest::prelude::*;
    use RecvState::*;

    const CODE: VarInt = VarInt::from_u32(42);
    const WINDOW: u64 = 1000;

    struct Fixture {
        pool: Pool<Bytes>,
        part: RecvPart,
        credit: u64,
    }

    impl Fixture {
        fn new() -> Self {
            Self {
                pool: Pool::new(),
                part: RecvPart::new(WINDOW),
                credit: 0,
            }
        }

        fn stream(&mut self, offset: u64, len: usize, fin: bool) -> Result<Changes, Violation> {
            let offset = Offset::saturating(offset);
            self.part.check(offset + len, fin)?;
            let room = Room::new(1 << 20, self.pool.held(), false);
            let chunk = Bytes::pattern(1, offset.get(), len);
            let changes = self
                .part
                .on_stream(&mut self.pool, offset, chunk, fin, room, GFP_ATOMIC)
                .unwrap();
            self.credit += self.part.take_credit();
            Ok(changes)
        }

        fn reset(&mut self, size: u64, reliable: u64) -> Result<Changes, Violation> {
            let (size, reliable) = (Offset::saturating(size), Offset::saturating(reliable));
            self.part.check_reset(CODE, size)?;
            let changes = self.part.on_reset(&mut self.pool, CODE, size, reliable);
            self.credit += self.part.take_credit();
            Ok(changes)
        }

        fn stop(&mut self) -> Result<(), StopError> {
            self.part.stop(&mut self.pool, CODE)?;
            self.credit += self.part.take_credit();
            Ok(())
        }

        fn read(&mut self, len: u64) {
            self.part.consume(&mut self.pool, len);
            self.credit += self.part.take_credit();
        }
    }

    /// A part in each of the states of RFC 9000 §3.2; the stream has 20 bytes, of which 10 have
    /// arrived while not all have.
    fn in_state(state: RecvState) -> Fixture {
        let mut fixture = Fixture::new();
        match state {
            Recv => {
                let _ = fixture.stream(0, 10, false);
            }
            SizeKnown => {
                let _ = (fixture.stream(10, 10, true), fixture.stream(0, 5, false));
            }
            DataRecvd => {
                let _ = fixture.stream(0, 20, true);
            }
            DataRead => {
                fixture.stream(0, 20, true).unwrap();
                fixture.read(20);
            }
            ResetRecvd | ResetRead => {
                let _ = (fixture.stream(0, 10, false), fixture.reset(20, 0));
            }
        }
        fixture
    }

    const STATES: [RecvState; 5] = [Recv, SizeKnown, DataRecvd, DataRead, ResetRecvd];

    // [rfc9000-4.4-1]
    #[test]
    fn transitions_of_rfc_9000_figure_3() {
        type Event = (&'static str, fn(&mut Fixture), [RecvState; 5]);
        let events: [Event; 9] = [
            // What happens in: Recv, SizeKnown, DataRecvd, DataRead, ResetRecvd.
            (
                "data",
                |f| {
                    let _ = f.stream(0, 5, false);
                },
                [Recv, SizeKnown, DataRecvd, DataRead, ResetRecvd],
            ),
            (
                "all data",
                |f| {
                    let _ = f.stream(0, 20, false);
                },
                [Recv, DataRecvd, DataRecvd, DataRead, ResetRecvd],
            ),
            (
                "FIN",
                |f| {
                    let _ = f.stream(20, 0, true);
                },
                [SizeKnown, SizeKnown, DataRecvd, DataRead, ResetRecvd],
            ),
            (
                "all and FIN",
                |f| {
                    let _ = f.stream(0, 20, true);
                },
                [DataRecvd, DataRecvd, DataRecvd, DataRead, ResetRecvd],
            ),
            (
                "RESET_STREAM",
                |f| {
                    let _ = f.reset(20, 0);
                },
                [ResetRecvd, ResetRecvd, DataRecvd, DataRead, ResetRecvd],
            ),
            (
                "RESET_STREAM_AT for what is there",
                |f| {
                    let _ = f.reset(20, 5);
                },
                [ResetRecvd, ResetRecvd, DataRecvd, DataRead, ResetRecvd],
            ),
            (
                "RESET_STREAM_AT for more",
                |f| {
                    let _ = f.reset(20, 15);
                },
                [SizeKnown, SizeKnown, DataRecvd, DataRead, ResetRecvd],
            ),
            (
                "read",
                |f| f.read(20),
                [Recv, SizeKnown, DataRead, DataRead, ResetRecvd],
            ),
            (
                "stop",
                |f| {
                    let _ = f.stop();
                },
                [Recv, SizeKnown, DataRecvd, DataRead, ResetRecvd],
            ),
        ];
        for (name, event, after) in events {
            for (before, after) in STATES.into_iter().zip(after) {
                let mut fixture = in_state(before);
                assert_eq!(fixture.part.state(), before);
                event(&mut fixture);
                assert_eq!(fixture.part.state(), after, "{name} in {before:?}");
                assert_eq!(
                    fixture.part.is_terminal(),
                    after.is_terminal(),
                    "{name} in {before:?}"
                );
            }
        }
    }

    #[test]
    fn states_have_the_numbers_of_the_interface() {
        assert_eq!(STATES.map(|state| state as u8), [6, 7, 8, 9, 10]);
        assert_eq!(ResetRead as u8, 11);
    }

    #[test]
    fn final_size_errors() {
        // RFC 9000 §4.5, in every state in which the final size is known.
        for state in [SizeKnown, DataRecvd, DataRead, ResetRecvd] {
            let mut fixture = in_state(state);
            for (result, name) in [
                (fixture.stream(20, 1, false), "data beyond"),
                (fixture.stream(0, 19, true), "less"),
                (fixture.stream(0, 21, true), "more"),
                (fixture.reset(19, 0), "reset with less"),
                (fixture.reset(21, 0), "reset with more"),
            ] {
                assert_eq!(
                    result.unwrap_err().0,
                    TransportErrorCode::FINAL_SIZE_ERROR,
                    "{name} in {state:?}"
                );
            }
            assert_eq!(fixture.part.state(), state);
        }
        let mut fixture = in_state(Recv);
        assert_eq!(
            fixture.stream(0, 9, true).unwrap_err().0,
            TransportErrorCode::FINAL_SIZE_ERROR
        );
        assert_eq!(
            fixture.reset(9, 0).unwrap_err().0,
            TransportErrorCode::FINAL_SIZE_ERROR
        );
    }

    // [rfc9000-4.1-2] [rfc9000-19.10-4]
    #[test]
    fn limit_of_the_stream() {
        let mut fixture = Fixture::new();
        assert!(fixture.stream(WINDOW - 1, 1, false).is_ok());
        for result in [
            fixture.stream(WINDOW, 1, false),
            fixture.stream(WINDOW + 1, 0, true),
            fixture.reset(WINDOW + 1, 0),
            fixture.stream(Offset::MAX.get(), 0, false),
        ] {
            assert_eq!(
                result.unwrap_err().0,
                TransportErrorCode::FLOW_CONTROL_ERROR
            );
        }
        assert!(fixture.stream(WINDOW, 0, true).is_ok(), "exactly the limit");
    }

    #[test]
    fn resets_agree_with_each_other() {
        let mut fixture = Fixture::new();
        fixture.reset(20, 15).unwrap();
        let other = fixture
            .part
            .check_reset(VarInt::from_u32(1), Offset::saturating(20));
        assert_eq!(other.unwrap_err().0, TransportErrorCode::STREAM_STATE_ERROR);
        // Reordered: a promise does not grow again.
        fixture.reset(20, 10).unwrap();
        fixture.reset(20, 15).unwrap();
        assert!(fixture.stream(0, 10, false).unwrap().over);
        assert_eq!(fixture.part.state(), ResetRecvd);
    }

    #[test]
    fn reset_at_leaves_what_it_promises_readable() {
        let mut fixture = Fixture::new();
        fixture.stream(0, 8, false).unwrap();
        fixture.stream(15, 10, false).unwrap();
        fixture.read(3);
        assert_eq!(
            fixture.reset(30, 12).unwrap(),
            Changes {
                size_known: true,
                ..Changes::default()
            }
        );
        assert_eq!(
            fixture.credit,
            3 + 30 - 12,
            "what will not be read gives its credit back at once"
        );
        assert_eq!(fixture.pool.len(), 1);
        // Data that crosses the bound is cut.
        let changes = fixture.stream(8, 10, false).unwrap();
        assert!(changes.readable && changes.over);
        assert_eq!(fixture.part.assembler().end().get(), 12);
        assert!(fixture.part.is_unread());
        fixture.read(100);
        assert!(!fixture.part.is_unread(), "no end of the data is reported");
        assert_eq!((fixture.credit, fixture.pool.len()), (30, 0));
    }

    #[test]
    fn the_end_is_read_once() {
        let mut fixture = Fixture::new();
        assert!(!fixture.part.is_unread());
        let changes = fixture.stream(0, 0, true).unwrap();
        assert_eq!(
            changes,
            Changes {
                begun: true,
                size_known: true,
                readable: true,
                over: true
            }
        );
        assert!(fixture.part.is_unread());
        fixture.read(0);
        assert!(!fixture.part.is_unread());
        assert_eq!(fixture.stream(0, 0, true).unwrap(), Changes::default());

        let mut fixture = Fixture::new();
        fixture.stream(0, 5, false).unwrap();
        fixture.read(5);
        assert!(!fixture.part.is_unread());
        assert!(fixture.stream(5, 0, true).unwrap().readable);
        fixture.read(0);
        assert_eq!(fixture.part.state(), DataRead);
    }

    #[test]
    fn after_stop_data_is_counted_and_not_kept() {
        let mut fixture = Fixture::new();
        fixture.stream(0, 10, false).unwrap();
        fixture.stream(20, 10, false).unwrap();
        fixture.read(5);
        fixture.stop().unwrap();
        assert_eq!((fixture.credit, fixture.pool.len()), (30, 0));
        assert_eq!(fixture.stop(), Err(StopError::InProgress));
        assert_eq!(fixture.part.stop_frame(), Some(CODE));
        assert!(!fixture.stream(10, 30, false).unwrap().readable);
        assert_eq!((fixture.credit, fixture.pool.len()), (40, 0));
        assert!(!fixture.part.wants_data());
        assert_eq!(
            fixture.stream(0, 1001, false).unwrap_err().0,
            TransportErrorCode::FLOW_CONTROL_ERROR
        );
        // The end is known, the peer does not yet know that nobody listens.
        assert!(!fixture.stream(50, 0, true).unwrap().over);
        assert_eq!((fixture.credit, fixture.part.state()), (50, SizeKnown));
        fixture.part.on_stop_acked();
        assert!(fixture.part.is_terminal());
        assert!(!fixture.part.is_unread());
        assert_eq!(fixture.part.stop_frame(), None);
    }

    #[test]
    fn stop_is_answered_by_reset() {
        let mut fixture = in_state(Recv);
        fixture.stop().unwrap();
        assert!(
            fixture.reset(700, 300).unwrap().over,
            "whatever it promises"
        );
        assert_eq!(fixture.credit, 700);
        assert_eq!(fixture.part.stop_frame(), None);
        for state in [DataRecvd, DataRead, ResetRecvd] {
            assert_eq!(in_state(state).stop(), Err(StopError::Finished));
        }
    }

    #[test]
    fn size() {
        assert_eq!(core::mem::size_of::<RecvPart>(), 152);
    }

    proptest! {
            /// However a stream goes, in the end its credit is its final size, and nothing is held.
            #[test]
            fn credit_adds_up(
                frames in proptest::collection::vec((0..90_u64, 1..20_usize), 0..20),
                events in proptest::collection::vec((0..6_u8, 0..100_u64), 0..8),
            ) {
                let mut fixture = Fixture::new();
                let size = frames.iter().map(|(at, len)| at + *len as u64).max().unwrap_or(0);
                let mut frames = frames.into_iter();
                for (event, n) in events {
                    for (at, len) in frames.by_ref().take(3) {
                        fixture.stream(at, len, false).unwrap();
                    }
                    match event {
                        0 | 1 => fixture.read(n),
                        2 => {
     let _ = fixture.reset(size, n.min(size));
    }
                        3 => {
     let _ = fixture.stop();
    }
                        4 => {
     let _ = fixture.stream(size, 0, true);
    }
                        _ => fixture.part.on_stop_acked(),
                    }
                    prop_assert!(fixture.credit <= fixture.part.highest().get());
                }
                fixture.stream(0, size as usize, true).unwrap();
                fixture.part.on_stop_acked();
                prop_assert!(fixture.part.is_terminal());
                fixture.read(1000);
                prop_assert_eq!((fixture.credit, fixture.pool.len()), (size, 0));
                prop_assert!(!fixture.part.is_unread());
            }
        }
}
