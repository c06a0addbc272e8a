// SPDX-License-Identifier: GPL-2.0 OR MIT

//! BBR measures the round-trip time without a queue: draft-ietf-ccwg-bbr §5.3.4, and restarts from
//! idle: §5.4.

use super::{AckPhase, Bbr, State, UNIT};
use crate::congestion::Acked;
use crate::time::{Duration, Instant};

/// BBR.MinRTTFilterLen: min_rtt is the least of the last ten seconds, so that a longer route is
/// noticed.
const MIN_RTT_FILTER_LEN: Duration = Duration::from_secs(10);
/// BBR.ProbeRTTInterval: so long a flow may go without a low sample.
const PROBE_RTT_INTERVAL: Duration = Duration::from_secs(5);
/// BBR.ProbeRTTDuration: so long little is kept in flight, to overlap with other flows that do the
/// same.
const PROBE_RTT_DURATION: Duration = Duration::from_millis(200);

impl Bbr {
    /// UpdateMinRTT().
    pub(super) fn update_min_rtt(&mut self, acked: &Acked) {
        let now = acked.now;
        self.probe_rtt_expired = now > self.probe_rtt_min_stamp + PROBE_RTT_INTERVAL;
        if let Some(rtt) = acked.rtt.sample {
            if rtt < self.probe_rtt_min_delay || self.probe_rtt_expired {
                self.probe_rtt_min_delay = rtt;
                self.probe_rtt_min_stamp = now;
            }
        }
        let min_rtt_expired = now > self.min_rtt_stamp + MIN_RTT_FILTER_LEN;
        if self.probe_rtt_min_delay < self.min_rtt || min_rtt_expired {
            self.min_rtt = self.probe_rtt_min_delay;
            self.min_rtt_stamp = self.probe_rtt_min_stamp;
        }
    }

    /// CheckProbeRTT().
    pub(super) fn check_probe_rtt(&mut self, acked: &Acked) {
        if self.state != State::ProbeRtt && self.probe_rtt_expired && !self.idle_restart {
            // SaveCwnd() first: here the state tells whether the window is unmodulated.
            self.save_window();
            self.state = State::ProbeRtt;
            self.probe_rtt_done_stamp = None;
            self.set_ack_phase(AckPhase::ProbeStopping);
            self.start_round();
        }
        if self.state == State::ProbeRtt {
            self.handle_probe_rtt(acked);
        }
        if acked.sample.delivered > 0 {
            self.idle_restart = false;
        }
    }

    /// HandleProbeRTT().
    fn handle_probe_rtt(&mut self, acked: &Acked) {
        if self.probe_rtt_done_stamp.is_none() {
            if acked.in_flight <= self.probe_rtt_cwnd() {
                // Wait for at least ProbeRTTDuration, and for at least one round, to elapse.
                self.probe_rtt_done_stamp = Some(acked.now + PROBE_RTT_DURATION);
                self.probe_rtt_round_done = false;
                self.start_round();
            }
            return;
        }
        self.probe_rtt_round_done |= self.round_start;
        if self.probe_rtt_round_done {
            self.check_probe_rtt_done(acked.now);
        }
    }

    /// CheckProbeRTTDone().
    fn check_probe_rtt_done(&mut self, now: Instant) {
        if self.probe_rtt_done_stamp.is_some_and(|done| now > done) {
            // Schedule next ProbeRTT.
            self.probe_rtt_min_stamp = now;
            self.restore_window();
            self.exit_probe_rtt(now);
        }
    }

    /// ExitProbeRTT().
    fn exit_probe_rtt(&mut self, now: Instant) {
        self.reset_short_term_model();
        if self.full_bw_reached {
            self.start_probe_bw_down(now);
            self.start_probe_bw_cruise();
        } else {
            self.state = State::Startup;
        }
    }

    /// HandleRestartFromIdle(), when nothing is in flight.
    pub(super) fn handle_restart_from_idle(&mut self, now: Instant, app_limited: bool) {
        if !app_limited {
            return;
        }
        self.idle_restart = true;
        // The draft restarts the interval only. What was delivered before it has to go too, else
        // all of it counts as excess.
        self.restart_ack_aggregation(now);
        if self.state.is_probe_bw() {
            self.set_pacing_rate_with_gain(UNIT);
        } else if self.state == State::ProbeRtt {
            self.check_probe_rtt_done(now);
        }
    }
}
