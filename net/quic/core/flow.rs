// SPDX-License-Identifier: GPL-2.0 OR MIT

//! Flow control (RFC 9000 §4): `ReceiveWindow` is what we let the peer send, `SendWindow` what
//! it lets us send.
//!
//! Both serve a stream and the connection as a whole. A limit is a total since the beginning, not a
//! rate:
//!
//! ```text
//!   0 ............ consumed ............. received ............ limit
//!                  |<------------------- size ----------------->|
//! ```
//!
//! The limit moves when the application has consumed a quarter of the window. A window starts small
//! and doubles as long as the application empties it faster than twice in the time a new limit
//! takes to have an effect, so that a window never is what limits the rate for long, and never is
//! larger than was needed.

use crate::time::{Duration, Instant};
use crate::varint::VarInt;

/// The limit moves once the application has consumed this part of the window. A quarter lets three
/// more grants be lost or late before the sender stalls, at four small frames a window. The C
/// implementation grants sixteen times a window, and pays a packet each.
const GRANT_DIVISOR: u64 = 4;

/// The window doubles if it is consumed in less than this many round trips. At one round trip the
/// sender is just not held up; two leave room for a rate that still grows, as slow start doubles it
/// once a round trip.
const TUNE_ROUND_TRIPS: u64 = 2;

/// No limit: limits have 62 bits.
const NEVER: u64 = u64::MAX;

/// How fast a window may be consumed, and how large it may become.
#[derive(Copy, Clone, Debug)]
pub struct Tuning {
    /// The time now.
    pub now: Instant,
    /// The smoothed round-trip time; zero while it is unknown.
    pub rtt: Duration,
    /// The largest window, in bytes.
    pub max_window: u64,
}

/// What the peer may send.
#[derive(Debug)]
pub(crate) struct ReceiveWindow {
    /// The total that the peer may send, in bytes.
    limit: u64,
    /// The limit in the frame sent last: only the loss of that frame matters.
    signalled: u64,
    /// How far the limit is ahead of what is consumed after a grant, in bytes.
    size: u64,
    /// When the measurement of the rate of consumption began, and the total that was consumed
    /// then.
    epoch: Instant,
    epoch_consumed: u64,
}

/// What we may send.
#[derive(Debug)]
pub(crate) struct SendWindow {
    limit: u64,
    /// The limit at which the peer was told that we are blocked, [`NEVER`] if it was not.
    signalled: u64,
}

impl ReceiveWindow {
    /// A window of `size` bytes, as the transport parameters say.
    pub(crate) const fn new(size: u64) -> Self {
        Self {
            limit: size,
            signalled: size,
            size,
            epoch: Instant::from_nanos(0),
            epoch_consumed: 0,
        }
    }

    /// The total that the peer may send.
    #[inline]
    pub(crate) fn limit(&self) -> u64 {
        self.limit
    }

    /// The size of the window.
    pub(crate) fn size(&self) -> u64 {
        self.size
    }

    /// Makes the window at least `size` bytes large from the next grant on.
    pub(crate) fn widen(&mut self, size: u64) {
        self.size = self.size.max(size);
    }

    /// The application has consumed `consumed` bytes in total: returns whether the peer is to be
    /// told a new limit.
    // RFC 9000 §4.2: a receiver MUST NOT wait for a STREAM_DATA_BLOCKED or DATA_BLOCKED frame
    // before sending a MAX_STREAM_DATA or MAX_DATA frame.
    pub(crate) fn on_consumed(&mut self, consumed: u64, tuning: &Tuning) -> bool {
        let ahead = self.limit.saturating_sub(consumed);
        if self.size.saturating_sub(ahead) < (self.size / GRANT_DIVISOR).max(1) {
            return false;
        }
        self.tune(consumed, tuning);
        let limit = VarInt::saturating(consumed.saturating_add(self.size)).get();
        let raised = limit > self.limit;
        self.limit = self.limit.max(limit);
        raised
    }

    fn tune(&mut self, consumed: u64, tuning: &Tuning) {
        let elapsed = tuning.now.since(self.epoch).as_micros();
        let rtt = tuning.rtt.as_micros();
        if rtt == 0 || elapsed < rtt {
            return;
        }
        let in_epoch = consumed.saturating_sub(self.epoch_consumed);
        // The first epoch has no beginning, and a window that fills while nobody reads is not too
        // small: then `elapsed` is large, and so is the bar.
        let needed = self.size.saturating_mul(elapsed);
        if in_epoch
            .saturating_mul(TUNE_ROUND_TRIPS)
            .saturating_mul(rtt)
            >= needed
        {
            self.size = self
                .size
                .saturating_mul(2)
                .min(tuning.max_window)
                .max(self.size);
        }
        self.epoch = tuning.now;
        self.epoch_consumed = consumed;
    }

    /// The limit for the frame that is being written.
    pub(crate) fn signal(&mut self) -> VarInt {
        self.signalled = self.limit;
        VarInt::saturating(self.limit)
    }

    /// A frame with `limit` was lost: returns whether to send another, with the limit of then.
    // RFC 9000 §13.3: An updated value is sent if the packet containing the most recently sent
    // frame is declared lost.
    pub(crate) fn on_lost(&self, limit: VarInt) -> bool {
        limit.get() == self.signalled
    }
}

impl SendWindow {
    /// A limit of `limit` bytes, as the transport parameters say.
    pub(crate) const fn new(limit: u64) -> Self {
        Self {
            limit,
            signalled: NEVER,
        }
    }

    /// The total that may be sent.
    #[inline]
    pub(crate) fn limit(&self) -> u64 {
        self.limit
    }

    /// How much may be sent after `used`.
    #[inline]
    pub(crate) fn available(&self, used: u64) -> u64 {
        self.limit.saturating_sub(used)
    }

    /// The peer allows `limit` in total: returns whether that is more than before.
    // RFC 9000 §4.1: A sender MUST ignore any MAX_STREAM_DATA or MAX_DATA frames that do not
    // increase flow control limits.
    // RFC 9000 §13.3: A receiver MUST accept packets containing an outdated frame.
    pub(crate) fn raise(&mut self, limit: u64) -> bool {
        let raised = limit > self.limit;
        self.limit = self.limit.max(limit);
        raised
    }

    /// Sending stops at the limit: returns whether the peer is to be told, which is once for each
    /// limit.
    pub(crate) fn block(&mut self) -> bool {
        let new = self.signalled != self.limit;
        self.signalled = self.limit;
        new
    }

    /// A frame that told the peer of being blocked at `limit` was lost: returns whether to tell it
    /// again.
    // RFC 9000 §13.3: A new frame is sent if a packet containing the most recent frame for a scope
    // is lost, but only while the endpoint is blocked on the corresponding limit.
    pub(crate) fn on_lost(&self, limit: VarInt, used: u64) -> bool {
        limit.get() == self.limit && used >= self.limit
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RTT: Duration = Duration::from_millis(10);

    fn at(millis: u64) -> Tuning {
        let now = Instant::from_nanos(0) + Duration::from_secs(9) + Duration::from_millis(millis);
        Tuning {
            now,
            rtt: RTT,
            max_window: 1 << 20,
        }
    }

    // [rfc9000-4.2-1]
    #[test]
    fn grants_in_quarters_and_the_frame_has_the_new_limit() {
        let mut window = ReceiveWindow::new(1000);
        assert!(!window.on_consumed(249, &at(0)));
        assert_eq!(window.limit(), 1000);
        assert!(window.on_consumed(250, &at(0)));
        assert_eq!(window.limit(), 1250);
        assert_eq!(window.signal().get(), 1250);
        assert!(!window.on_consumed(499, &at(0)));
        // All of it at once.
        assert!(window.on_consumed(1250, &at(0)));
        assert_eq!(window.signal().get(), 2250);
    }

    #[test]
    fn tiny_and_closed_windows_work() {
        let mut window = ReceiveWindow::new(1);
        assert!(!window.on_consumed(0, &at(0)));
        assert!(window.on_consumed(1, &at(0)));
        assert_eq!(window.limit(), 2);
        let mut window = ReceiveWindow::new(0);
        assert!(!window.on_consumed(0, &at(0)));
        assert_eq!(window.limit(), 0);
    }

    #[test]
    fn limit_never_falls_and_fits_in_62_bits() {
        let mut window = ReceiveWindow::new(VarInt::MAX.get());
        assert!(!window.on_consumed(VarInt::MAX.get(), &at(0)));
        assert_eq!(window.limit(), VarInt::MAX.get());
    }

    #[test]
    fn only_the_loss_of_the_last_frame_matters() {
        let mut window = ReceiveWindow::new(1000);
        window.on_consumed(500, &at(0));
        let first = window.signal();
        window.on_consumed(1000, &at(0));
        assert!(
            window.on_lost(first),
            "the newer limit has not been sent yet"
        );
        let second = window.signal();
        assert!(!window.on_lost(first));
        assert!(window.on_lost(second));
    }

    /// Consumes `per_rtt` bytes a round trip for `round_trips`, in `steps` reads a round trip;
    /// returns the window.
    fn run(window: &mut ReceiveWindow, per_rtt: u64, round_trips: u64, steps: u64) -> u64 {
        let mut consumed = 0;
        for round_trip in 0..round_trips {
            for step in 0..steps {
                consumed += per_rtt / steps;
                window.on_consumed(consumed, &at(round_trip * 10 + step * 10 / steps));
            }
        }
        window.size()
    }

    #[test]
    fn window_grows_to_twice_the_rate_and_no_further() {
        let size = run(&mut ReceiveWindow::new(10_000), 100_000, 100, 10);
        assert!((160_000..=640_000).contains(&size), "{size}");
        assert_eq!(
            run(&mut ReceiveWindow::new(400_000), 100_000, 100, 10),
            400_000
        );
        assert_eq!(
            run(&mut ReceiveWindow::new(10_000), 10_000_000, 100, 10),
            1 << 20,
            "the largest allowed"
        );
    }

    #[test]
    fn window_does_not_grow_for_a_slow_reader_with_large_reads() {
        let mut window = ReceiveWindow::new(100_000);
        let mut consumed = 0;
        for second in 0..50 {
            // A whole window in one millisecond, once a second: a hundred round trips for a window.
            for step in 0..10 {
                consumed += 10_000;
                window.on_consumed(consumed, &at(second * 1000 + step / 5));
            }
        }
        assert_eq!(window.size(), 100_000);
    }

    #[test]
    fn window_does_not_shrink_when_the_largest_allowed_does() {
        let mut window = ReceiveWindow::new(4 << 20);
        run(&mut window, 100 << 20, 10, 10);
        assert_eq!(window.size(), 4 << 20);
        window.widen(8 << 20);
        window.widen(1);
        assert_eq!(window.size(), 8 << 20);
    }

    #[test]
    fn unknown_round_trip_time_tunes_nothing() {
        let mut window = ReceiveWindow::new(1000);
        let tuning = Tuning {
            rtt: Duration::ZERO,
            ..at(0)
        };
        for consumed in (0..100_000).step_by(100) {
            window.on_consumed(consumed, &tuning);
        }
        assert_eq!(window.size(), 1000);
    }

    #[test]
    fn blocked_is_told_once_for_each_limit() {
        let mut window = SendWindow::new(100);
        assert_eq!(window.available(40), 60);
        assert_eq!(window.available(140), 0);
        assert!(window.block());
        assert!(!window.block());
        assert!(window.on_lost(VarInt::from_u32(100), 100));
        assert!(
            !window.on_lost(VarInt::from_u32(100), 99),
            "not blocked any more"
        );
        assert!(!window.raise(100));
        assert!(!window.raise(50));
        assert_eq!(window.limit(), 100);
        assert!(window.raise(101));
        assert!(
            !window.on_lost(VarInt::from_u32(100), 101),
            "that limit is gone"
        );
        assert!(window.block());
        assert!(SendWindow::new(0).block(), "also at zero");
    }
}
