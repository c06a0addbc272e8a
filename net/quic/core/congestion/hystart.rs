// SPDX-License-Identifier: GPL-2.0 OR MIT

//! [`HyStart`]: leaves slow start when the round-trip time rises, before packets are lost
//! (HyStart++, RFC 9406).
//!
//! ```text
//!               RTT rises                  five rounds later
//!   SLOW START ------------> CONSERVATIVE -----------------> DONE: congestion avoidance
//!        ^                   SLOW START |                      ^
//!        +-------- RTT falls -----------+                      |
//!        +---------------- loss or CE in either ---------------+
//! ```

use crate::time::{Duration, Instant};

/// MIN_RTT_THRESH: a rise by less is noise …
const MIN_RTT_THRESH: Duration = Duration::from_millis(4);
/// … and one by MAX_RTT_THRESH is a queue on any path.
const MAX_RTT_THRESH: Duration = Duration::from_millis(16);
/// MIN_RTT_DIVISOR: in between, an eighth of the last round's RTT counts.
const MIN_RTT_DIVISOR: u64 = 8;
/// N_RTT_SAMPLE: samples of a round before it is judged.
const N_RTT_SAMPLE: u8 = 8;
/// CSS_GROWTH_DIVISOR: conservative slow start grows by a quarter of slow start.
pub(super) const CSS_GROWTH_DIVISOR: u64 = 4;
/// CSS_ROUNDS: it lasts so many rounds.
const CSS_ROUNDS: u8 = 5;

/// How the window grows with an acknowledgment.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub(super) enum Growth {
    /// By the bytes acknowledged. L is infinite, since packets are paced.
    SlowStart,
    /// By a part of them.
    Conservative,
    /// Slow start is over.
    Done,
}

#[derive(Copy, Clone, PartialEq, Eq, Debug)]
enum Phase {
    SlowStart,
    Conservative,
    /// The first slow start is over. Later ones are plain.
    Plain,
}

/// The state of the first slow start of a path.
#[derive(Clone, Debug)]
pub(super) struct HyStart {
    phase: Phase,
    /// When the round began: it ends with the acknowledgment of a packet sent then or later.
    round_start: Instant,
    last_round_min_rtt: Duration,
    current_round_min_rtt: Duration,
    css_baseline_min_rtt: Duration,
    rtt_sample_count: u8,
    css_rounds: u8,
}

impl HyStart {
    pub(super) const fn new(now: Instant) -> Self {
        Self {
            phase: Phase::SlowStart,
            round_start: now,
            last_round_min_rtt: Duration::MAX,
            current_round_min_rtt: Duration::MAX,
            css_baseline_min_rtt: Duration::MAX,
            rtt_sample_count: 0,
            css_rounds: 0,
        }
    }

    /// The first slow start ended by other means.
    pub(super) fn end(&mut self) {
        self.phase = Phase::Plain;
    }

    /// An acknowledgment in slow start whose newest packet was sent at `newest_sent`.
    pub(super) fn on_ack(
        &mut self,
        now: Instant,
        newest_sent: Instant,
        rtt: Option<Duration>,
    ) -> Growth {
        if self.phase == Phase::Plain {
            return Growth::SlowStart;
        }
        if newest_sent >= self.round_start {
            self.start_round(now);
        }
        if let Some(rtt) = rtt {
            self.current_round_min_rtt = self.current_round_min_rtt.min(rtt);
            self.rtt_sample_count = self.rtt_sample_count.saturating_add(1);
        }
        match self.phase {
            Phase::Plain => Growth::SlowStart,
            Phase::SlowStart => {
                if self.has_risen() {
                    self.css_baseline_min_rtt = self.current_round_min_rtt;
                    self.css_rounds = 0;
                    self.phase = Phase::Conservative;
                }
                Growth::SlowStart
            }
            Phase::Conservative => self.on_ack_conservative(),
        }
    }

    fn on_ack_conservative(&mut self) -> Growth {
        if self.rtt_sample_count >= N_RTT_SAMPLE
            && self.current_round_min_rtt < self.css_baseline_min_rtt
        {
            self.css_baseline_min_rtt = Duration::MAX;
            self.phase = Phase::SlowStart;
            return Growth::Conservative;
        }
        if self.css_rounds >= CSS_ROUNDS {
            self.phase = Phase::Plain;
            return Growth::Done;
        }
        Growth::Conservative
    }

    fn start_round(&mut self, now: Instant) {
        self.round_start = now;
        self.last_round_min_rtt = self.current_round_min_rtt;
        self.current_round_min_rtt = Duration::MAX;
        self.rtt_sample_count = 0;
        if self.phase == Phase::Conservative {
            self.css_rounds = self.css_rounds.saturating_add(1);
        }
    }

    fn has_risen(&self) -> bool {
        if self.rtt_sample_count < N_RTT_SAMPLE
            || self.last_round_min_rtt == Duration::MAX
            || self.current_round_min_rtt == Duration::MAX
        {
            return false;
        }
        let eighth = Duration::from_nanos(self.last_round_min_rtt.as_nanos() / MIN_RTT_DIVISOR);
        let threshold = eighth.clamp(MIN_RTT_THRESH, MAX_RTT_THRESH);
        self.current_round_min_rtt >= self.last_round_min_rtt + threshold
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn ms(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    fn at(millis: u64) -> Instant {
        Instant::from_nanos(0) + ms(millis)
    }

    /// Rounds of ten acknowledgments with these RTTs; how the window grew with the last of each.
    fn rounds(hystart: &mut HyStart, rtts: &[u64]) -> Vec<Growth> {
        let mut now = 0;
        rtts.iter()
            .map(|rtt| {
                let sent = now;
                now += rtt;
                // The first acknowledges a packet of this round, the others packets sent before it.
                let mut growth = hystart.on_ack(at(now), at(sent), Some(ms(*rtt)));
                for _ in 0..9 {
                    if growth != Growth::Done {
                        growth = hystart.on_ack(at(now), at(sent).min(at(now - 1)), Some(ms(*rtt)));
                    }
                }
                growth
            })
            .collect()
    }

    #[test]
    fn a_steady_rtt_keeps_slow_start() {
        let mut hystart = HyStart::new(at(0));
        assert_eq!(rounds(&mut hystart, &[100; 10]), [Growth::SlowStart; 10]);
    }

    #[test]
    fn a_rise_leads_through_five_conservative_rounds() {
        let mut hystart = HyStart::new(at(0));
        let growth = rounds(&mut hystart, &[100, 100, 113, 113, 113, 113, 113, 113]);
        use Growth::*;
        assert_eq!(
            growth,
            [
                SlowStart,
                SlowStart,
                Conservative,
                Conservative,
                Conservative,
                Conservative,
                Conservative,
                Done
            ]
        );
        assert_eq!(hystart.on_ack(at(9999), at(0), None), SlowStart);
    }

    #[test]
    fn a_false_alarm_returns_to_slow_start() {
        let mut hystart = HyStart::new(at(0));
        let growth = rounds(&mut hystart, &[100, 100, 113, 100, 100]);
        assert_eq!(growth.last(), Some(&Growth::SlowStart));
        assert_eq!(hystart.phase, Phase::SlowStart);
    }

    #[test]
    fn the_threshold_has_limits() {
        for (before, after, risen) in [
            (8, 11, false),
            (8, 12, true),
            (800, 815, false),
            (800, 816, true),
        ] {
            let mut hystart = HyStart::new(at(0));
            rounds(&mut hystart, &[before, after]);
            assert_eq!(
                hystart.phase == Phase::Conservative,
                risen,
                "{before} to {after}"
            );
        }
    }

    #[test]
    fn few_samples_prove_nothing() {
        let mut hystart = HyStart::new(at(0));
        hystart.on_ack(at(100), at(0), Some(ms(100)));
        for _ in 0..6 {
            hystart.on_ack(at(300), at(100), Some(ms(200)));
        }
        assert_eq!(hystart.phase, Phase::SlowStart);
    }
}
