// SPDX-License-Identifier: GPL-2.0 OR MIT

//! How a connection ends (RFC 9000 §10).
//!
//! ```text
//!         close, error               3 PTO
//!  Open ---------------> Closing ------------> Closed
//!   |  |                   | CONNECTION_CLOSE    ^
//!   |  |                   v                     |
//!   |  +-------------> Draining -----------------+
//!   |   CONNECTION_CLOSE, Stateless Reset        |
//!   +--------------------------------------------+
//!     idle timeout, no version in common
//! ```

use super::path::AMPLIFICATION;
use super::timers::Timer;
use super::{Arrival, CloseReason, Connection, Context, Environment, Event};
use crate::error::TransportErrorCode;
use crate::frame::{CloseCause, ConnectionClose};
use crate::packet::PacketNumberSpace;
use crate::time::{Duration, Instant};
use crate::varint::VarInt;
use kernel::alloc::KVec;

/// Where a connection is in its life.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub enum State {
    /// Packets are sent and received.
    Open,
    /// We have closed it: nothing is sent but CONNECTION_CLOSE, as an answer.
    Closing,
    /// The peer has closed it: nothing is sent.
    Draining,
    /// It is over.
    Closed,
}

/// What CONNECTION_CLOSE frames say, and when the next one is due.
#[derive(Default)]
pub(super) struct Closing {
    cause: Option<CloseCause>,
    /// The Reason Phrase, as much as there was memory for.
    reason: KVec<u8>,
    /// A frame is due.
    pub(super) due: bool,
    /// Datagrams that came since, and how many of them cause the next frame.
    received: u32,
    threshold: u32,
    /// How many bytes the answers to what came since may have, and the last one had.
    room: u32,
    size: u32,
}

impl Closing {
    /// A datagram came: an answer may be due, ever more rarely.
    // RFC 9000 §10.2.1: An endpoint SHOULD limit the rate at which it generates packets in the
    // closing state. For instance, an endpoint could wait for a progressively increasing number of
    // received packets or amount of time before responding to received packets.
    fn on_datagram(&mut self, len: usize) {
        // RFC 9000 §10.2.1: To avoid being used for an amplification attack, such endpoints MUST
        // limit the cumulative size of packets it sends to three times the cumulative size of the
        // packets that are received and attributed to the connection.
        let len = u32::try_from(len).unwrap_or(0);
        self.room = self.room.saturating_add(len.saturating_mul(AMPLIFICATION));
        self.received = self.received.saturating_add(1);
        if self.received >= self.threshold && self.room >= self.size {
            self.received = 0;
            self.threshold = self.threshold.saturating_mul(2);
            self.due = true;
        }
    }

    /// CONNECTION_CLOSE has left, in a datagram of `len` bytes.
    pub(super) fn on_sent(&mut self, len: usize) {
        self.due = false;
        let len = u32::try_from(len).unwrap_or(u32::MAX);
        // The first one answers nothing.
        if self.size != 0 {
            self.room = self.room.saturating_sub(len);
        }
        self.size = self.size.max(len);
    }
}

/// How long nothing happens before memory is given back: longer than a round trip on most paths, so
/// that a request and its answer do not each allocate anew.
const TRIM_AFTER: Duration = Duration::from_secs(1);

/// The most bytes of a reason phrase that are sent: it has to fit into a packet.
const MAX_REASON: usize = 256;

impl<E: Environment> Connection<E> {
    /// The application closes the connection with its `code` and a `reason` for humans.
    pub fn close(&mut self, cx: &mut Context<'_, E>, code: VarInt, reason: &[u8]) {
        if self.state != State::Open {
            return;
        }
        self.begin_closing(cx, CloseCause::Application { code }, reason);
        cx.env.event(Event::Closed(CloseReason::Local { code }));
    }

    /// TLS failed here with `alert`.
    // RFC 9001 §4.8: an error in TLS is a connection error of type CRYPTO_ERROR.
    // RFC 9001 §4.8: a QUIC endpoint MUST treat any alert from TLS as if it were at the "fatal"
    // level.
    pub fn close_with_alert(&mut self, cx: &mut Context<'_, E>, alert: u8) {
        let code = TransportErrorCode::crypto(alert);
        self.close_with(
            cx,
            crate::error::TransportError::new(code, 0, "TLS handshake failed"),
        );
    }

    // RFC 9000 §10.3: An endpoint that wishes to communicate a fatal connection error MUST use a
    // CONNECTION_CLOSE frame if it is able. RFC 9000 §11.1: Errors that result in the connection
    // being unusable […] MUST be signaled using a CONNECTION_CLOSE frame.
    pub(super) fn close_for(&mut self, cx: &mut Context<'_, E>, reason: CloseReason<'_>) {
        let CloseReason::Error(error) = reason else {
            return;
        };
        if self.state != State::Open {
            return;
        }
        let cause = CloseCause::Transport {
            code: error.code,
            frame_type: VarInt::saturating(error.frame),
        };
        self.begin_closing(cx, cause, error.reason.as_bytes());
        cx.env.event(Event::Closed(reason));
    }

    fn begin_closing(&mut self, cx: &mut Context<'_, E>, cause: CloseCause, reason: &[u8]) {
        let reason = reason.get(..MAX_REASON).unwrap_or(reason);
        let mut words = KVec::new();
        // Without memory it goes without words.
        let _ = words.extend_from_slice(reason, cx.flags);
        self.closing = Closing {
            cause: Some(cause),
            reason: words,
            due: true,
            threshold: 1,
            ..Closing::default()
        };
        self.state = State::Closing;
        self.begin_end(cx);
    }

    /// The peer has closed the connection.
    // RFC 9000 §10.2.2: While otherwise identical to the closing state, an endpoint in the draining
    // state MUST NOT send any packets.
    pub(super) fn drain(&mut self, cx: &mut Context<'_, E>, reason: CloseReason<'_>) {
        let was_open = self.state == State::Open;
        self.state = State::Draining;
        self.begin_end(cx);
        if was_open {
            cx.env.event(Event::Closed(reason));
        }
    }

    /// The connection ends without a word.
    pub(super) fn abandon(&mut self, cx: &mut Context<'_, E>, reason: CloseReason<'_>) {
        let was_open = self.state == State::Open;
        self.finish();
        if was_open {
            cx.env.event(Event::Closed(reason));
        }
    }

    /// From now on there is only one timer.
    // RFC 9000 §10.2: The closing and draining connection states […] SHOULD persist for at least
    // three times the current PTO interval.
    fn begin_end(&mut self, cx: &mut Context<'_, E>) {
        let pto = self.pto();
        self.timers.stop_all();
        self.timers.set(Timer::Close, cx.now + pto.times(3));
    }

    /// Everything is over.
    pub(super) fn finish(&mut self) {
        self.state = State::Closed;
        self.timers.stop_all();
        self.closing.due = false;
    }

    /// A datagram came after we had closed.
    pub(super) fn on_datagram_while_closing(&mut self, arrival: &Arrival, len: usize) {
        let path = self.paths.find(&arrival.addresses);
        if let Some(path) = path.and_then(|id| self.paths.get_mut(id)) {
            path.on_received(len);
        }
        self.closing.on_datagram(len);
    }

    /// The frame for a packet of `space`.
    pub(super) fn close_frame(&self, space: PacketNumberSpace) -> Option<ConnectionClose<'_>> {
        let frame = ConnectionClose {
            cause: self.closing.cause?,
            reason: self.closing.reason.as_slice(),
        };
        Some(match space {
            // RFC 9000 §12.5: CONNECTION_CLOSE frames signaling application errors (type 0x1d) MUST
            // only appear in the application data packet number space.
            PacketNumberSpace::ApplicationData => frame,
            PacketNumberSpace::Initial | PacketNumberSpace::Handshake => frame.before_handshake(),
        })
    }

    // RFC 9000 §10.1: each endpoint advertises a max_idle_timeout, but the effective value at an
    // endpoint is computed as the minimum of the two advertised values (or the sole advertised
    // value). To avoid excessively small idle timeout periods, endpoints MUST increase the idle
    // timeout period to be at least three times the current Probe Timeout (PTO).
    fn idle_timeout(&self) -> Option<Duration> {
        let local = self.config.max_idle_timeout.get();
        let remote = self.peer.max_idle_timeout.get();
        let timeout = match (local, remote) {
            (0, 0) => return None,
            (0, only) | (only, 0) => only,
            (local, remote) => local.min(remote),
        };
        Some(Duration::from_millis(timeout).max(self.pto().times(3)))
    }

    /// Gives the memory of busy times back, if nothing happened for a while.
    pub(super) fn trim_if_idle(&mut self, now: Instant) {
        let quiet = self.idle_since + TRIM_AFTER;
        let in_flight = PacketNumberSpace::ALL
            .into_iter()
            .any(|space| self.recovery.has_ack_eliciting_in_flight(space));
        if in_flight {
            // Nothing changes before the next probe, unless something comes.
            let next = self.recovery.loss_detection_timer();
            let at = next.map_or(Instant::FAR_FUTURE, |next| next.max(now) + TRIM_AFTER);
            return self.timers.set(Timer::Trim, at);
        }
        if quiet > now {
            return self.timers.set(Timer::Trim, quiet);
        }
        self.recovery.trim();
        for path in self.paths.iter_mut() {
            path.recovery.trim();
        }
        self.body.trim();
    }

    pub(super) fn restart_idle_timer(&mut self, now: Instant) {
        self.idle_since = now;
        if self.timers.get(Timer::Trim) == Instant::FAR_FUTURE {
            self.timers.set(Timer::Trim, now + TRIM_AFTER);
        }
        let timeout = self.idle_timeout();
        let at = timeout.map_or(Instant::FAR_FUTURE, |timeout| now + timeout);
        self.timers.set(Timer::Idle, at);
        let every = self.config.keep_alive;
        if every < Duration::MAX {
            // Early enough that the answer comes before the end.
            let every = timeout.map_or(every, |timeout| every.min(timeout.mul_div(1, 2)));
            self.timers.set(Timer::KeepAlive, now + every);
        }
    }
}
