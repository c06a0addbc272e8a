// SPDX-License-Identifier: GPL-2.0 OR MIT

//! [`Cubic`]: the congestion controller of RFC 9438, with HyStart++ (RFC 9406) for its first slow
//! start.
//!
//! ```text
//!   window
//!     |                                 convex: looks for more
//!  W_max - - - - - - - - - - - - ______----/
//!     |      /|            ___---
//!     |     / |        _--   concave: back to where it was
//!     |    /  |     _-
//!     |   /   |   /
//!     |  /    |  / <- 0.7 * W_max
//!     +-------+--------------------+----------> t
//!            loss               loss + K
//! ```
//!
//! Windows are in bytes. Time is in ticks of 2^-20 s (0.95 µs), fine enough for a round trip inside
//! a machine; 2^32 of them are 68 minutes. The cube of that, times the datagram size (16 bits) and
//! C (9 bits), fits in 128 bits.

use super::hystart::{Growth, HyStart, CSS_GROWTH_DIVISOR};
use super::{
    initial_window, minimum_window, window_rate, Acked, Config, CongestionEvent, Controller,
};
use crate::rate::Rate;
use crate::time::{Duration, Instant};

/// RFC 9438 §4.6: β_cubic is 0.7.
const BETA: (u64, u64) = (7, 10);

/// RFC 9438 §4.7: fast convergence remembers (1 + β_cubic) / 2 of the window.
const FAST_CONVERGENCE: (u64, u64) = (17, 20);

/// RFC 9438 §4.3: α_cubic = 3 * (1 - β_cubic) / (1 + β_cubic) = 9/17.
const ALPHA: u64 = 9;
const ALPHA_UNIT: u64 = 17;

/// RFC 9438 §5: C is 0.4; 410/1024.
const C: u64 = 410;
const C_SHIFT: u32 = 10;

/// Ticks a second, as a power of two.
const TICK_SHIFT: u32 = 20;

/// Ticks a nanosecond times 2^32: 2^20 / 10^9 * 2^32.
const TICKS_PER_NANO: u64 = 4_503_600;

/// The longest time that is told apart.
const MAX_TICKS: u64 = 1 << 32;

/// The state of the controller.
#[derive(Clone, Debug)]
pub struct Cubic {
    window: u64,
    ssthresh: u64,
    /// W_max, cwnd_prior, K, t_epoch, W_est.
    curve: Curve,
    /// What is acknowledged but has not yet enlarged W_est, in bytes times `ALPHA_UNIT`.
    est_credit: u64,
    /// What is acknowledged but has not yet enlarged the window, in bytes times bytes.
    credit: u64,
    /// Since when the window is not used, so that this time can be left out of t.
    limited_since: Option<Instant>,
    hystart: HyStart,
    max_window: u64,
    max_datagram_size: u16,
    undo: Option<Undo>,
}

/// Where on the curve the window is.
#[derive(Copy, Clone, Debug)]
struct Curve {
    w_max: u64,
    cwnd_prior: u64,
    w_est: u64,
    /// In ticks.
    k: u64,
    /// `None` until the first acknowledgment in congestion avoidance.
    epoch: Option<Instant>,
}

/// RFC 9438 §4.9.2: what is restored after a spurious loss.
#[derive(Copy, Clone, Debug)]
struct Undo {
    window: u64,
    ssthresh: u64,
    curve: Curve,
}

impl Cubic {
    /// In slow start, with the initial window.
    pub fn new(config: &Config) -> Self {
        Self {
            window: initial_window(config.max_datagram_size).min(config.max_window),
            ssthresh: u64::MAX,
            curve: Curve {
                w_max: 0,
                cwnd_prior: 0,
                w_est: 0,
                k: 0,
                epoch: None,
            },
            est_credit: 0,
            credit: 0,
            limited_since: None,
            hystart: HyStart::new(config.now),
            max_window: config.max_window,
            max_datagram_size: config.max_datagram_size,
            undo: None,
        }
    }

    fn slow_start(&mut self, acked: &Acked) {
        let growth = self
            .hystart
            .on_ack(acked.now, acked.newest_sent, acked.rtt.sample);
        let bytes = match growth {
            Growth::SlowStart => acked.bytes_outside_recovery,
            Growth::Conservative => acked.bytes_outside_recovery / CSS_GROWTH_DIVISOR,
            Growth::Done => {
                // RFC 9438 §4.10: slow start ended without loss, so W_max is undefined: cwnd_prior
                // = cwnd, K = 0.
                self.ssthresh = self.window;
                self.curve.cwnd_prior = self.window;
                self.curve.w_max = 0;
                return;
            }
        };
        self.window = self.window.saturating_add(bytes).min(self.max_window);
    }

    fn congestion_avoidance(&mut self, acked: &Acked) {
        let bytes = acked.bytes_outside_recovery;
        let epoch = match self.curve.epoch {
            Some(epoch) => epoch,
            None => self.start_epoch(acked.now),
        };
        let now = ticks(acked.now.since(epoch));
        // RFC 9438 §4.3: W_est, the window that Reno would have.
        let alpha = if self.curve.w_est >= self.curve.cwnd_prior {
            ALPHA_UNIT
        } else {
            ALPHA
        };
        self.est_credit = self.est_credit.saturating_add(bytes.saturating_mul(alpha));
        let unit = self.window.saturating_mul(ALPHA_UNIT);
        let steps = self.est_credit.checked_div(unit).unwrap_or(0);
        self.est_credit = self.est_credit.saturating_sub(steps.saturating_mul(unit));
        let est = steps.saturating_mul(u64::from(self.max_datagram_size));
        self.curve.w_est = self.curve.w_est.saturating_add(est).min(self.max_window);
        if self.w_cubic(now) < self.curve.w_est {
            // RFC 9438 §4.3: in the Reno-friendly region cwnd SHOULD be set to W_est.
            self.window = self.window.max(self.curve.w_est);
            return;
        }
        // RFC 9438 §4.2: the target is W_cubic(t + RTT), between cwnd and 1.5 * cwnd.
        let ahead = now.saturating_add(ticks(acked.rtt.smoothed));
        let highest = self.window.saturating_add(self.window / 2);
        let target = self.w_cubic(ahead).max(self.window).min(highest);
        // RFC 9438 §4.4, §4.5: cwnd MUST be incremented by (target - cwnd) / cwnd for each segment
        // acknowledged. What the division leaves over is kept, since with large windows a
        // single acknowledgment gives less than a byte.
        let growth = target.saturating_sub(self.window).saturating_mul(bytes);
        self.credit = self.credit.saturating_add(growth);
        let step = self.credit.checked_div(self.window).unwrap_or(0);
        self.credit = self.credit.saturating_sub(step.saturating_mul(self.window));
        self.window = self.window.saturating_add(step).min(self.max_window);
    }

    /// The first acknowledgment of a congestion avoidance stage.
    fn start_epoch(&mut self, now: Instant) -> Instant {
        self.curve.epoch = Some(now);
        self.curve.w_est = self.window;
        self.est_credit = 0;
        self.credit = 0;
        if self.window < self.curve.w_max {
            let below = self.curve.w_max.saturating_sub(self.window);
            self.curve.k = k(below, self.max_datagram_size);
        } else {
            // RFC 9438 §4.8, §4.10: after a timeout, and after a slow start without loss.
            self.curve.k = 0;
            self.curve.w_max = self.window;
        }
        now
    }

    /// RFC 9438 §4.2: W_cubic(t) = C * (t - K)^3 + W_max.
    fn w_cubic(&self, t: u64) -> u64 {
        let distance = u128::from(t.abs_diff(self.curve.k).min(MAX_TICKS));
        let cube = distance.saturating_mul(distance).saturating_mul(distance);
        let scaled = cube.saturating_mul(u128::from(
            C.saturating_mul(u64::from(self.max_datagram_size)),
        ));
        let bytes = u64::try_from(scaled >> (C_SHIFT + 3 * TICK_SHIFT)).unwrap_or(u64::MAX);
        if t >= self.curve.k {
            self.curve.w_max.saturating_add(bytes)
        } else {
            self.curve.w_max.saturating_sub(bytes)
        }
    }
}

impl Controller for Cubic {
    fn window(&self) -> u64 {
        self.window
    }

    fn pacing_rate(&self, smoothed_rtt: Duration) -> Option<Rate> {
        window_rate(self.window, smoothed_rtt, self.in_slow_start())
    }

    fn in_slow_start(&self) -> bool {
        self.window < self.ssthresh
    }

    fn on_congestion_event(&mut self, _event: &CongestionEvent) {
        self.undo = Some(Undo {
            window: self.window,
            ssthresh: self.ssthresh,
            curve: self.curve,
        });
        // RFC 9438 §4.7: W_max is reduced further if the saturation point falls.
        self.curve.w_max = if self.window < self.curve.w_max {
            fraction(self.window, FAST_CONVERGENCE)
        } else {
            self.window
        };
        // RFC 9438 §4.6. It permits cwnd in place of flight_size, as it does not grow while it is
        // not used.
        self.curve.cwnd_prior = self.window;
        self.ssthresh = fraction(self.window, BETA).max(minimum_window(self.max_datagram_size));
        self.window = self.ssthresh;
        self.curve.epoch = None;
        self.hystart.end();
    }

    fn on_ack(&mut self, acked: &Acked) {
        if !acked.cwnd_limited {
            // RFC 9438 §5.8: does not increase its window if the flow is application-limited.
            if self.limited_since.is_none() {
                self.limited_since = Some(acked.now);
            }
            return;
        }
        if let Some(since) = self.limited_since.take() {
            // RFC 9438 §4.2: t MUST NOT include periods during which cwnd has not been updated.
            if let Some(epoch) = &mut self.curve.epoch {
                *epoch = *epoch + acked.now.since(since);
            }
        }
        if acked.bytes_outside_recovery == 0 {
            return;
        }
        if self.in_slow_start() {
            self.slow_start(acked);
        } else {
            self.congestion_avoidance(acked);
        }
    }

    fn on_persistent_congestion(&mut self) {
        // RFC 9002 §7.6.2: the sender's congestion window MUST be reduced to the minimum congestion
        // window. RFC 9438 §4.8: ssthresh stays as the loss set it; K and W_max start anew with the
        // next congestion avoidance stage.
        self.window = minimum_window(self.max_datagram_size);
        self.curve.w_max = 0;
        self.curve.epoch = None;
        self.hystart.end();
        self.undo = None;
    }

    fn on_spurious_loss(&mut self) {
        let Some(undo) = self.undo.take() else {
            return;
        };
        // RFC 9438 §4.9.2: restored if the current cwnd is lower than cwnd_prior.
        if self.window < self.curve.cwnd_prior {
            self.window = undo.window;
            self.ssthresh = undo.ssthresh;
            self.curve = undo.curve;
            self.credit = 0;
            self.est_credit = 0;
        }
    }

    fn on_mtu_update(&mut self, max_datagram_size: u16) {
        // RFC 9002 §7.2, as in NewReno.
        if self.window == initial_window(self.max_datagram_size) && self.ssthresh == u64::MAX {
            self.window = initial_window(max_datagram_size).min(self.max_window);
        }
        self.max_datagram_size = max_datagram_size;
        self.window = self.window.max(minimum_window(max_datagram_size));
    }
}

/// `value * numerator / denominator`.
fn fraction(value: u64, (numerator, denominator): (u64, u64)) -> u64 {
    value
        .saturating_mul(numerator)
        .checked_div(denominator)
        .unwrap_or(0)
}

fn ticks(span: Duration) -> u64 {
    let product = u128::from(span.as_nanos()).saturating_mul(u128::from(TICKS_PER_NANO));
    u64::try_from(product >> 32)
        .unwrap_or(u64::MAX)
        .min(MAX_TICKS)
}

/// RFC 9438 §4.2: K, the cube root of (W_max - cwnd_epoch) / C, in ticks, where the difference is
/// `below` bytes.
fn k(below: u64, max_datagram_size: u16) -> u64 {
    // Segments per C with 24 - 10 bits after the point: 2^14 * below / (0.4 * size). `below` has 30
    // bits, the quotient 37 and a relative error under 2^-15. The cube of a tick has 60 bits,
    // so 46 are to come.
    let divisor = C.saturating_mul(u64::from(max_datagram_size));
    let numerator = below.min(1 << 38) << (C_SHIFT + 14);
    let ratio = numerator.checked_div(divisor).unwrap_or(u64::MAX);
    cube_root(u128::from(ratio) << (3 * TICK_SHIFT - 14))
}

/// The largest integer whose cube is at most `value`, bit by bit: 43 steps, once a congestion
/// event.
fn cube_root(value: u128) -> u64 {
    let mut root = 0_u64;
    for bit in (0..43).rev() {
        let candidate = root | (1 << bit);
        let wide = u128::from(candidate);
        // Below 2^129 / 2: the candidate has 43 bits.
        let fits = match wide.saturating_mul(wide).checked_mul(wide) {
            Some(cube) => cube <= value,
            None => false,
        };
        if fits {
            root = candidate;
        }
    }
    root
}

#[cfg(test)]
mod tests;
