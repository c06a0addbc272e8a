// SPDX-License-Identifier: GPL-2.0 OR MIT

//! [`Pacer`]: when how much may leave, RFC 9002 §7.7, in batches.
//!
//! A leaky bucket, kept as a point in time: `released` is when everything sent so far will have
//! left at the pacing rate. The time that has passed since is credit, and the rate turns it into
//! bytes only when asked. So nothing is lost to rounding however often that is, and a change of the
//! rate needs no bookkeeping.
//!
//! ```text
//!     released                              now
//!   -----|----------- credit ----------------|------> t       credit * rate >= quantum: a batch may leave
//!        |<- quantum ->|<-- next wake-up would have been here
//! ```
//!
//! Credit is released in quanta, not packet by packet: what leaves in a millisecond, at most one
//! GSO batch of 64 KiB, at least two packets. At 10 Mbit/s that is two packets every 2.4 ms; above
//! 500 Mbit/s full batches. When the timer is late the credit has grown, and more than one batch
//! leaves. Unused credit is kept up to the initial window, so that a flow that was quiet may
//! send that much at once, as RFC 9002 §7.7 permits.
//!
//! Handshake packets and packets with only an ACK frame are not paced and not charged. PTO probes
//! are not paced, but charged.

use crate::congestion::initial_window;
use crate::rate::Rate;
use crate::time::{Duration, Instant};

/// The largest batch: what one GSO super-packet carries.
const MAX_BATCH: u64 = 64 * 1024;

/// The smallest: two packets, for which the peer sends one acknowledgment.
const MIN_BATCH_DATAGRAMS: u64 = 2;

/// A batch is what leaves in this time, so that a timer fires at most a thousand times a second.
const BATCH_TIME: Duration = Duration::from_millis(1);

/// How late an hrtimer may be (50 µs of slack), four times over: so much credit is kept beyond a
/// batch, which above 2.6 Gbit/s is another batch. Less, and a late timer would limit the rate.
const LATENESS: Duration = Duration::from_micros(200);

/// The most that a flow can owe, after probes that were not paced: then it waits so long and starts
/// anew.
const MAX_DEBT: Duration = Duration::from_secs(1);

/// What the pacer permits.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub enum Allowance {
    /// So many bytes may leave now; [`u64::MAX`] if nothing is known to pace by.
    Send(u64),
    /// Nothing before this time.
    Wait(Instant),
}

/// The pacer of a path.
// RFC 9002 §7.7: Senders MUST either use pacing or limit such bursts.
#[derive(Clone, Debug)]
pub struct Pacer {
    released: Instant,
    max_rate: Rate,
}

impl Pacer {
    /// Full credit, and no limit but the congestion controller's.
    pub const fn new() -> Self {
        Self {
            released: Instant::from_nanos(0),
            max_rate: Rate::MAX,
        }
    }

    /// `SO_MAX_PACING_RATE`.
    pub fn set_max_rate(&mut self, max_rate: Rate) {
        self.max_rate = max_rate;
    }

    /// Whether it is the user's limit that counts, and not the congestion controller's `rate`.
    pub fn is_capped(&self, rate: Option<Rate>) -> bool {
        self.max_rate < rate.unwrap_or(Rate::MAX)
    }

    /// How much may leave at `now`. `rate` is the controller's, `None` before the round-trip time
    /// is known: then the initial window is the limit, which is no larger than a burst may be.
    pub fn allowance(&self, now: Instant, rate: Option<Rate>, max_datagram_size: u16) -> Allowance {
        let Some(rate) = self.effective(rate, max_datagram_size) else {
            return Allowance::Send(u64::MAX);
        };
        let quantum = quantum(rate, max_datagram_size);
        let credit = rate.bytes_in(now.since(self.released));
        if credit >= quantum {
            // Whole quanta; what is left over stays credit, and is no batch of its own.
            let credit = credit.min(capacity(rate, max_datagram_size));
            let odd = credit.checked_rem(quantum).unwrap_or(0);
            return Allowance::Send(credit.saturating_sub(odd));
        }
        // Rounded up, so that the credit suffices when the time has come.
        Allowance::Wait(self.released + rate.time_for(quantum) + Duration::from_nanos(2))
    }

    /// `bytes` have left, paced or not.
    pub fn on_sent(
        &mut self,
        now: Instant,
        bytes: u64,
        rate: Option<Rate>,
        max_datagram_size: u16,
    ) {
        let Some(rate) = self.effective(rate, max_datagram_size) else {
            return;
        };
        // Credit beyond the capacity is gone.
        let oldest = now - rate.time_for(capacity(rate, max_datagram_size));
        self.released = (self.released.max(oldest) + rate.time_for(bytes)).min(now + MAX_DEBT);
    }

    /// The rate to pace at: the lower of the two, but at least a datagram a second, so that nothing
    /// stops for good.
    fn effective(&self, rate: Option<Rate>, max_datagram_size: u16) -> Option<Rate> {
        let rate = rate.unwrap_or(Rate::MAX).min(self.max_rate);
        if rate == Rate::MAX {
            return None;
        }
        Some(rate.max(Rate::from_bytes_over(
            u64::from(max_datagram_size),
            Duration::from_secs(1),
        )))
    }
}

impl Default for Pacer {
    fn default() -> Self {
        Self::new()
    }
}

/// The least that is worth a batch.
fn quantum(rate: Rate, max_datagram_size: u16) -> u64 {
    let two = u64::from(max_datagram_size).saturating_mul(MIN_BATCH_DATAGRAMS);
    rate.bytes_in(BATCH_TIME).max(two).min(MAX_BATCH)
}

/// The most credit that is kept.
fn capacity(rate: Rate, max_datagram_size: u16) -> u64 {
    // RFC 9002 §7.7: SHOULD limit bursts to the initial congestion window.
    let burst = initial_window(max_datagram_size);
    quantum(rate, max_datagram_size)
        .saturating_add(rate.bytes_in(LATENESS))
        .max(burst)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const SIZE: u16 = 1200;

    fn rate(bytes_per_second: u64) -> Option<Rate> {
        Some(Rate::from_bytes_per_second(bytes_per_second))
    }

    /// Sends as much as permitted for a while, with a timer that is late by `lateness`; returns
    /// bytes and batches.
    fn greedy(rate: Option<Rate>, seconds: u64, lateness: Duration) -> (u64, u64) {
        let mut pacer = Pacer::new();
        let start = Instant::from_nanos(1_000_000_000_000);
        let (mut now, mut bytes, mut batches) = (start, 0, 0);
        while now < start + Duration::from_secs(seconds) {
            match pacer.allowance(now, rate, SIZE) {
                Allowance::Send(credit) => {
                    // Whole packets only.
                    let sent = credit / u64::from(SIZE) * u64::from(SIZE);
                    pacer.on_sent(now, sent, rate, SIZE);
                    bytes += sent;
                    batches += sent.div_ceil(MAX_BATCH);
                }
                Allowance::Wait(until) => now = until + lateness,
            }
        }
        (bytes, batches)
    }

    // [rfc9002-7.7-1]
    #[test]
    fn the_rate_is_met_at_any_speed_in_spite_of_a_late_timer() {
        for speed in [
            3_000,
            12_500,
            1_250_000,
            125_000_000,
            1_250_000_000,
            12_500_000_000,
        ] {
            let seconds = if speed < 100_000 { 100 } else { 1 };
            let (bytes, _) = greedy(rate(speed), seconds, Duration::from_micros(50));
            let (expected, burst) = (speed * seconds, capacity(rate(speed).unwrap(), SIZE));
            assert!(bytes <= expected + burst, "{speed}: {bytes}");
            assert!(bytes + burst >= expected * 99 / 100, "{speed}: {bytes}");
        }
    }

    #[test]
    fn batches_are_large_where_the_rate_is() {
        let average = |speed| {
            let (bytes, batches) = greedy(rate(speed), 1, Duration::from_micros(50));
            bytes / batches
        };
        assert_eq!(average(1_250_000) / 1200, 2);
        assert!((10..=14).contains(&(average(12_500_000) / 1200)));
        assert!(average(125_000_000) > 60_000);
    }

    #[test]
    fn asking_often_loses_nothing() {
        let mut pacer = Pacer::new();
        let rate = rate(10_000);
        let mut sent = 0;
        for micro in 0..2_000_000_u64 {
            let now = Instant::from_nanos(1_000_000_000 + micro * 1000);
            if let Allowance::Send(_) = pacer.allowance(now, rate, SIZE) {
                pacer.on_sent(now, 2400, rate, SIZE);
                sent += 2400;
            }
        }
        // Two seconds, and the credit of the first.
        assert!((27_000..=33_000).contains(&sent), "{sent}");
    }

    #[test]
    fn a_quiet_flow_may_send_the_initial_window_at_once() {
        let mut pacer = Pacer::new();
        let now = Instant::from_nanos(1 << 50);
        assert_eq!(
            pacer.allowance(now, rate(100_000), SIZE),
            Allowance::Send(12_000)
        );
        pacer.on_sent(now, 12_000, rate(100_000), SIZE);
        let Allowance::Wait(until) = pacer.allowance(now, rate(100_000), SIZE) else {
            panic!()
        };
        assert_eq!(until.since(now).as_millis(), 24);
        assert!(matches!(
            pacer.allowance(until, rate(100_000), SIZE),
            Allowance::Send(_)
        ));
    }

    #[test]
    fn without_an_rtt_nothing_is_paced_but_the_users_limit_counts() {
        let mut pacer = Pacer::new();
        let now = Instant::from_nanos(1 << 50);
        pacer.on_sent(now, 1 << 40, None, SIZE);
        assert_eq!(pacer.allowance(now, None, SIZE), Allowance::Send(u64::MAX));
        pacer.set_max_rate(Rate::from_bytes_per_second(100_000));
        assert_eq!(pacer.allowance(now, None, SIZE), Allowance::Send(12_000));
        assert!(
            pacer.is_capped(None)
                && pacer.is_capped(rate(100_001))
                && !pacer.is_capped(rate(99_999))
        );
    }

    #[test]
    fn a_debt_and_a_rate_of_nothing_end() {
        let mut pacer = Pacer::new();
        let now = Instant::from_nanos(1 << 50);
        pacer.on_sent(now, u64::MAX, Some(Rate::ZERO), SIZE);
        let Allowance::Wait(until) = pacer.allowance(now, Some(Rate::ZERO), SIZE) else {
            panic!()
        };
        assert!(until.since(now) <= Duration::from_secs(4));
        assert!(matches!(
            pacer.allowance(until, Some(Rate::ZERO), SIZE),
            Allowance::Send(_)
        ));
    }

    proptest! {
        /// A wait never ends before the credit suffices, and credit is bounded.
        #[test]
        fn waits_are_exact(now in 1_u64 << 40..1 << 62, speed in any::<u64>(), sent in any::<u64>(), size in 1200_u16..) {
            let mut pacer = Pacer::new();
            let (now, rate) = (Instant::from_nanos(now), Some(Rate::from_bytes_per_second(speed)));
            pacer.on_sent(now, sent, rate, size);
            match pacer.allowance(now, rate, size) {
                Allowance::Send(bytes) => prop_assert!(rate == Some(Rate::MAX) || bytes <= capacity(rate.unwrap(), size)),
                Allowance::Wait(until) => {
                    let then = pacer.allowance(until, rate, size);
                    prop_assert!(matches!(then, Allowance::Send(_)), "{:?}", then);
                }
            }
        }
    }
}
