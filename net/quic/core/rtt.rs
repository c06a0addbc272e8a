// SPDX-License-Identifier: GPL-2.0 OR MIT

//! [`RttEstimator`]: the round-trip time of a path, RFC 9002 §5.

use crate::time::{Duration, Instant};

/// RFC 9002 §6.2.2: 333 ms, so that a handshake starts with a PTO of one second.
pub const INITIAL_RTT: Duration = Duration::from_millis(333);

/// RFC 9002 §6.1.2: kGranularity, the shortest time the timers are trusted with.
pub const GRANULARITY: Duration = Duration::from_millis(1);

/// What is known of the round-trip time of one path.
#[derive(Clone, Debug)]
pub struct RttEstimator {
    latest: Duration,
    smoothed: Duration,
    rttvar: Duration,
    min: Duration,
    first_sample: Option<Instant>,
}

impl RttEstimator {
    /// An estimator without samples; `initial` is kInitialRtt, [`INITIAL_RTT`] unless the user
    /// knows better.
    pub const fn new(initial: Duration) -> Self {
        // RFC 9002 §5.3: smoothed_rtt = kInitialRtt, rttvar = kInitialRtt / 2.
        Self {
            latest: Duration::ZERO,
            smoothed: initial,
            rttvar: Duration::from_nanos(initial.as_nanos() / 2),
            min: Duration::ZERO,
            first_sample: None,
        }
    }

    /// Takes the sample `latest`, which the peer says it held back for `ack_delay`.
    ///
    /// The caller sees to RFC 9002 §5.1: the largest acknowledged packet is newly acknowledged, and
    /// some newly acknowledged packet is ack-eliciting. `max_ack_delay` is the peer's promise
    /// once the handshake is confirmed, `None` before.
    pub fn update(
        &mut self,
        latest: Duration,
        ack_delay: Duration,
        max_ack_delay: Option<Duration>,
        now: Instant,
    ) {
        self.latest = latest;
        if self.first_sample.is_none() {
            // RFC 9002 §5.2: min_rtt MUST be set to the latest_rtt on the first RTT sample.
            self.min = latest;
            self.smoothed = latest;
            self.rttvar = Duration::from_nanos(latest.as_nanos() / 2);
            self.first_sample = Some(now);
            return;
        }
        // RFC 9002 §5.2: min_rtt ignores the acknowledgment delay.
        // RFC 9002 §5.2: min_rtt MUST be set to the lesser of min_rtt and latest_rtt (Section 5.1)
        // on all other samples.
        self.min = self.min.min(latest);
        // RFC 9002 §5.3: after the handshake is confirmed, the lesser of the delay and the peer's
        // max_ack_delay.
        let ack_delay = max_ack_delay.map_or(ack_delay, |limit| ack_delay.min(limit));
        // RFC 9002 §5.3: MUST NOT subtract the acknowledgment delay from the RTT sample if the
        // resulting value is smaller than the min_rtt.
        let adjusted = if latest >= self.min + ack_delay {
            latest - ack_delay
        } else {
            latest
        };
        // RFC 9002 §A.7: rttvar from the old smoothed_rtt, as in RFC 6298 §2.
        let deviation = if self.smoothed > adjusted {
            self.smoothed - adjusted
        } else {
            adjusted - self.smoothed
        };
        self.rttvar = weighted(self.rttvar, deviation, 2);
        self.smoothed = weighted(self.smoothed, adjusted, 3);
    }

    /// RFC 9002 §5.2: after persistent congestion the path may be another one, so min_rtt starts
    /// again from the newest sample.
    pub fn on_persistent_congestion(&mut self) {
        self.min = self.latest;
    }

    /// RFC 9002 §6.2.2: a delay that was measured by other means (Retry, path validation) in place
    /// of the initial RTT. It is not a sample; without effect once there is one.
    pub fn set_initial(&mut self, initial: Duration) {
        if self.first_sample.is_none() {
            *self = Self::new(initial);
        }
    }

    /// latest_rtt: the newest sample, zero before the first.
    pub const fn latest(&self) -> Duration {
        self.latest
    }

    /// smoothed_rtt, kInitialRtt before the first sample.
    pub const fn smoothed(&self) -> Duration {
        self.smoothed
    }

    /// The mean deviation of the samples.
    pub const fn rttvar(&self) -> Duration {
        self.rttvar
    }

    /// min_rtt, zero before the first sample.
    pub const fn min(&self) -> Duration {
        self.min
    }

    /// When the first sample was taken.
    pub const fn first_sample(&self) -> Option<Instant> {
        self.first_sample
    }

    /// RFC 9002 §6.2.1: the PTO period without the acknowledgment delay and the backoff.
    // RFC 9002 §6.2.1: The PTO period MUST be at least kGranularity to avoid the timer expiring
    // immediately.
    #[inline]
    pub fn pto_base(&self) -> Duration {
        self.smoothed + self.rttvar.times(4).max(GRANULARITY)
    }

    /// The longer of the two estimates, which loss detection uses: RFC 9002 §6.1.2.
    pub fn recent(&self) -> Duration {
        self.smoothed.max(self.latest)
    }
}

/// `(1 - 2^-shift) * old + 2^-shift * new` without overflow.
fn weighted(old: Duration, new: Duration, shift: u32) -> Duration {
    let part = |span: Duration| span.as_nanos().wrapping_shr(shift);
    Duration::from_nanos(
        old.as_nanos()
            .saturating_sub(part(old))
            .saturating_add(part(new)),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const fn ms(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    fn sampled(samples: &[(u64, u64)], max_ack_delay: Option<Duration>) -> RttEstimator {
        let mut rtt = RttEstimator::new(INITIAL_RTT);
        for (at, (latest, delay)) in samples.iter().enumerate() {
            let now = Instant::from_nanos(at as u64 + 1);
            rtt.update(ms(*latest), ms(*delay), max_ack_delay, now);
        }
        rtt
    }

    #[test]
    fn before_any_sample_the_pto_is_a_second() {
        let rtt = RttEstimator::new(INITIAL_RTT);
        assert_eq!(rtt.smoothed(), ms(333));
        assert_eq!(rtt.pto_base(), ms(333 * 3));
        assert_eq!(rtt.first_sample(), None);
    }

    // [rfc9002-5.2-1]
    #[test]
    fn the_first_sample_starts_afresh_and_ignores_the_delay() {
        let rtt = sampled(&[(100, 20)], None);
        assert_eq!(
            (rtt.smoothed(), rtt.rttvar(), rtt.min()),
            (ms(100), ms(50), ms(100))
        );
        assert_eq!(rtt.first_sample(), Some(Instant::from_nanos(1)));
    }

    #[test]
    fn later_samples_follow_the_formula() {
        let rtt = sampled(&[(100, 0), (180, 0)], None);
        // rttvar = 3/4 * 50 + 1/4 * |100 - 180|, smoothed = 7/8 * 100 + 1/8 * 180.
        assert_eq!(rtt.rttvar(), Duration::from_micros(57_500));
        assert_eq!(rtt.smoothed(), ms(110));
        assert_eq!(rtt.min(), ms(100));
    }

    // [rfc9002-5.3-2]
    #[test]
    fn the_delay_is_subtracted_if_plausible() {
        assert_eq!(sampled(&[(100, 0), (180, 80)], None).smoothed(), ms(100));
        // 180 - 81 would be below min_rtt.
        assert_eq!(sampled(&[(100, 0), (180, 81)], None).smoothed(), ms(110));
    }

    // [rfc9002-5.3-1]
    #[test]
    fn the_promise_limits_the_delay_after_confirmation() {
        assert_eq!(
            sampled(&[(100, 0), (180, 80)], Some(ms(40))).smoothed(),
            Duration::from_micros(105_000)
        );
    }

    // [rfc9002-5.2-2]
    #[test]
    fn min_rtt_only_falls_until_persistent_congestion() {
        let mut rtt = sampled(&[(100, 0), (80, 0), (200, 0)], None);
        assert_eq!(rtt.min(), ms(80));
        rtt.on_persistent_congestion();
        assert_eq!(rtt.min(), ms(200));
    }

    // [rfc9002-6.2.1-1]
    #[test]
    fn the_variation_counts_at_least_the_granularity() {
        let mut rtt = RttEstimator::new(Duration::ZERO);
        assert_eq!(rtt.pto_base(), GRANULARITY);
        rtt.set_initial(ms(10));
        assert_eq!(rtt.smoothed(), ms(10));
        rtt.update(ms(5), Duration::ZERO, None, Instant::from_nanos(1));
        rtt.set_initial(ms(10));
        assert_eq!(rtt.smoothed(), ms(5));
    }

    proptest! {
        #[test]
        fn estimates_stay_between_the_samples(samples in proptest::collection::vec(any::<(u64, u64)>(), 1..20)) {
            let mut rtt = RttEstimator::new(INITIAL_RTT);
            for (latest, delay) in &samples {
                let (latest, delay) = (Duration::from_nanos(*latest), Duration::from_nanos(*delay));
                rtt.update(latest, delay, None, Instant::from_nanos(1));
            }
            let least = samples.iter().map(|sample| sample.0).min();
            prop_assert_eq!(Some(rtt.min().as_nanos()), least);
            // Rounding loses at most 8 ns a step, and not repeatedly.
            prop_assert!(rtt.smoothed() + Duration::from_nanos(8) >= rtt.min());
        }
    }
}
