// SPDX-License-Identifier: GPL-2.0 OR MIT

//! BBR cycles through sending less, as much, and more than the bandwidth: draft-ietf-ccwg-bbr
//! §5.3.3.

use super::model::is_inflight_too_high;
use super::{AckPhase, Bbr, State, UNIT};
use crate::congestion::Acked;
use crate::time::{Duration, Instant};

/// §5.3.3.5: T_bbr is between two and three seconds …
const PROBE_WAIT_BASE: Duration = Duration::from_secs(2);
/// … at random, in parts of 2^32 …
const PROBE_WAIT_RANDOM: Duration = Duration::from_secs(1);
/// … but at most so many rounds, so that Reno and CUBIC flows get their share.
const MAX_RENO_ROUNDS: u64 = 63;

/// The exponent up to which the growth of inflight_longterm doubles every round.
const MAX_UP_ROUNDS: u8 = 30;

impl Bbr {
    /// StartProbeBW_DOWN().
    pub(super) fn start_probe_bw_down(&mut self, now: Instant) {
        self.reset_congestion_signals();
        self.probe_up_acked_per_inc = u64::MAX; // not growing inflight_longterm
        self.pick_probe_wait();
        self.cycle_stamp = now; // start wall clock
        self.set_ack_phase(AckPhase::ProbeStopping);
        self.start_round();
        self.state = State::ProbeBwDown;
    }

    /// StartProbeBW_CRUISE().
    pub(super) fn start_probe_bw_cruise(&mut self) {
        self.state = State::ProbeBwCruise;
    }

    /// StartProbeBW_REFILL().
    pub(super) fn start_probe_bw_refill(&mut self) {
        self.reset_short_term_model();
        self.bw_probe_up_rounds = 0;
        self.bw_probe_up_acked = 0;
        self.prev_probe_precautionary = false;
        self.set_ack_phase(AckPhase::Refilling);
        self.start_round();
        self.state = State::ProbeBwRefill;
    }

    /// StartProbeBW_UP().
    fn start_probe_bw_up(&mut self, acked: &Acked) {
        self.set_ack_phase(AckPhase::ProbeStarting);
        self.start_round();
        self.reset_full_bw();
        self.full_bw = acked.sample.delivery_rate;
        self.state = State::ProbeBwUp;
        self.raise_inflight_longterm_slope();
    }

    /// UpdateProbeBWCyclePhase().
    pub(super) fn update_probe_bw_cycle_phase(&mut self, acked: &Acked) {
        if !self.full_bw_reached {
            return; // only handling steady-state behavior here
        }
        if self.adapt_long_term_model(acked) {
            return; // already decided state transition
        }
        match self.state {
            State::ProbeBwDown => {
                if !self.is_time_to_probe_bw(acked.now) && self.is_time_to_cruise(acked) {
                    self.start_probe_bw_cruise();
                }
            }
            State::ProbeBwCruise => {
                self.is_time_to_probe_bw(acked.now);
            }
            State::ProbeBwRefill => {
                // After one round of REFILL, start UP.
                if self.round_start {
                    self.is_bw_probe_sample = true;
                    self.start_probe_bw_up(acked);
                }
            }
            State::ProbeBwUp => {
                if self.is_time_to_go_down(acked) {
                    self.prev_probe_too_high = false; // no high loss (yet)
                    self.start_probe_bw_down(acked.now);
                }
            }
            State::Startup | State::Drain | State::ProbeRtt => {}
        }
    }

    /// IsTimeToCruise().
    fn is_time_to_cruise(&self, acked: &Acked) -> bool {
        acked.in_flight <= self.inflight_with_headroom()
            && acked.in_flight <= self.inflight(self.max_bw(), UNIT)
    }

    /// IsTimeToGoDown().
    fn is_time_to_go_down(&mut self, acked: &Acked) -> bool {
        // Precautionary Bandwidth Probing: Deceleration.
        if self.prev_probe_too_high && acked.in_flight >= self.inflight_longterm {
            self.prev_probe_precautionary = true;
            return true;
        }
        if self.cwnd_limited && self.window >= self.inflight_longterm {
            self.reset_full_bw(); // bw is limited by inflight_longterm
            self.full_bw = acked.sample.delivery_rate;
            return false;
        }
        self.full_bw_now // we estimate we've fully used path bw
    }

    /// IsTimeToProbeBW().
    fn is_time_to_probe_bw(&mut self, now: Instant) -> bool {
        // HasElapsedInPhase().
        let elapsed = now > self.cycle_stamp + self.bw_probe_wait;
        if elapsed || self.is_reno_coexistence_probe_time() {
            self.start_probe_bw_refill();
            return true;
        }
        false
    }

    /// PickProbeWait().
    fn pick_probe_wait(&mut self) {
        self.rounds_since_probe_up = self.random() & 1;
        let random = u64::from(self.random());
        let part = random.saturating_mul(PROBE_WAIT_RANDOM.as_nanos()) >> 32;
        self.bw_probe_wait = PROBE_WAIT_BASE + Duration::from_nanos(part);
    }

    /// IsRenoCoexistenceProbeTime(): a Reno flow regains half a window of n datagrams in as many
    /// rounds.
    fn is_reno_coexistence_probe_time(&self) -> bool {
        let datagram = u64::from(self.max_datagram_size.max(1));
        let reno_rounds = self.target_inflight().checked_div(datagram).unwrap_or(0);
        u64::from(self.rounds_since_probe_up) >= reno_rounds.min(MAX_RENO_ROUNDS)
    }

    /// RaiseInflightLongtermSlope().
    fn raise_inflight_longterm_slope(&mut self) {
        let growth_this_round = self
            .window
            .checked_shr(u32::from(self.bw_probe_up_rounds))
            .unwrap_or(0);
        self.bw_probe_up_rounds = self.bw_probe_up_rounds.saturating_add(1).min(MAX_UP_ROUNDS);
        self.probe_up_acked_per_inc = growth_this_round.max(self.datagrams(1)).max(1);
    }

    /// ProbeInflightLongtermUpward().
    fn probe_inflight_longterm_upward(&mut self, acked: &Acked) {
        if !self.cwnd_limited || self.window < self.inflight_longterm {
            return; // not fully using inflight_longterm, so don't grow it
        }
        self.bw_probe_up_acked = self.bw_probe_up_acked.saturating_add(acked.bytes);
        let delta = self
            .bw_probe_up_acked
            .checked_div(self.probe_up_acked_per_inc)
            .unwrap_or(0);
        let used = delta.saturating_mul(self.probe_up_acked_per_inc);
        self.bw_probe_up_acked = self.bw_probe_up_acked.saturating_sub(used);
        self.inflight_longterm = self.inflight_longterm.saturating_add(self.datagrams(delta));
        if self.round_start {
            self.raise_inflight_longterm_slope();
        }
    }

    /// AdaptLongTermModel(): returns whether it decided a state transition.
    fn adapt_long_term_model(&mut self, acked: &Acked) -> bool {
        if self.ack_phase == AckPhase::ProbeStarting && self.round_start {
            // Starting to get bw probing samples.
            self.set_ack_phase(AckPhase::ProbeFeedback);
        }
        if self.ack_phase == AckPhase::ProbeStopping && self.round_start {
            // End of samples from bw probing phase.
            self.is_bw_probe_sample = false;
            self.set_ack_phase(AckPhase::Init);
            if self.state.is_probe_bw() && !acked.sample.is_app_limited {
                self.advance_max_bw_filter();
            }
            // Precautionary Bandwidth Probing: Acceleration.
            if self.state.is_probe_bw()
                && self.prev_probe_precautionary
                && !self.prev_probe_too_high
            {
                self.start_probe_bw_refill();
                return true;
            }
        }
        let sample = &acked.sample;
        if !is_inflight_too_high(sample.lost, sample.tx_in_flight) {
            // Loss rate is safe. Adjust upper bounds upward.
            if self.inflight_longterm == u64::MAX {
                return false; // no upper bounds to raise
            }
            self.inflight_longterm = self.inflight_longterm.max(sample.tx_in_flight);
            if self.state == State::ProbeBwUp {
                self.probe_inflight_longterm_upward(acked);
            }
        }
        false
    }
}
