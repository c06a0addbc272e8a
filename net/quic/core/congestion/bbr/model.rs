// SPDX-License-Identifier: GPL-2.0 OR MIT

//! What BBR knows of the path: draft-ietf-ccwg-bbr §5.5.

use super::{fraction, AckPhase, Bbr, State, BETA, LOSS_THRESH};
use crate::congestion::{Acked, CongestionEvent, Lost};
use crate::rate::Rate;
use crate::time::Instant;

/// BBR.ExtraAckedFilterLen: rounds for which aggregation is remembered once the pipe is full; one
/// before.
const EXTRA_ACKED_FILTER_LEN: u32 = 10;

impl Bbr {
    /// UpdateLatestDeliverySignals(): near the start of ACK processing.
    pub(super) fn update_latest_delivery_signals(&mut self, acked: &Acked) {
        let sample = &acked.sample;
        self.loss_round_start = false;
        self.bw_latest = self.bw_latest.max(sample.delivery_rate);
        self.inflight_latest = self.inflight_latest.max(sample.delivered);
        if sample.prior_delivered >= self.loss_round_delivered {
            self.loss_round_delivered = self.delivered;
            self.loss_round_start = true;
        }
    }

    /// AdvanceLatestDeliverySignals(): near its end.
    pub(super) fn advance_latest_delivery_signals(&mut self, acked: &Acked) {
        if self.loss_round_start {
            self.bw_latest = acked.sample.delivery_rate;
            self.inflight_latest = acked.sample.delivered;
            self.loss_events_in_round = 0;
        }
    }

    /// ResetCongestionSignals().
    pub(super) fn reset_congestion_signals(&mut self) {
        self.is_loss_in_round = false;
        self.bw_latest = Rate::ZERO;
        self.inflight_latest = 0;
    }

    /// UpdateCongestionSignals().
    pub(super) fn update_congestion_signals(&mut self, acked: &Acked) {
        self.update_max_bw(acked);
        if !self.loss_round_start {
            return;
        }
        self.adapt_lower_bounds_from_congestion();
        self.is_loss_in_round = false;
    }

    /// AdaptLowerBoundsFromCongestion(), InitLowerBounds(), LossLowerBounds(): once a round.
    fn adapt_lower_bounds_from_congestion(&mut self) {
        if self.state.is_probing() || !self.is_loss_in_round {
            return;
        }
        if self.bw_shortterm == Rate::MAX {
            self.bw_shortterm = self.max_bw();
        }
        if self.inflight_shortterm == u64::MAX {
            self.inflight_shortterm = self.window;
        }
        // 0.7 in units of 2^-16.
        let beta = fraction(1 << 16, BETA);
        let reduced = self
            .bw_shortterm
            .scaled(u32::try_from(beta).unwrap_or(0), 16);
        self.bw_shortterm = self.bw_latest.max(reduced);
        self.inflight_shortterm = self
            .inflight_latest
            .max(fraction(self.inflight_shortterm, BETA));
    }

    /// ResetShortTermModel().
    pub(super) fn reset_short_term_model(&mut self) {
        self.bw_shortterm = Rate::MAX;
        self.inflight_shortterm = u64::MAX;
    }

    /// UpdateMaxBw().
    fn update_max_bw(&mut self, acked: &Acked) {
        self.update_round(acked);
        let sample = &acked.sample;
        if sample.delivery_rate > Rate::ZERO
            && (sample.delivery_rate >= self.max_bw() || !sample.is_app_limited)
        {
            let [this, _] = &mut self.max_bw_filter;
            *this = (*this).max(sample.delivery_rate);
        }
    }

    /// AdvanceMaxBwFilter(): what was this cycle is now the one before.
    pub(super) fn advance_max_bw_filter(&mut self) {
        let [this, _] = self.max_bw_filter;
        self.max_bw_filter = [Rate::ZERO, this];
    }

    /// UpdateRound().
    fn update_round(&mut self, acked: &Acked) {
        self.round_start =
            acked.sample.prior_delivered >= self.next_round_delivered && acked.bytes > 0;
        if self.round_start {
            self.start_round();
            self.round_count = self.round_count.wrapping_add(1);
            self.rounds_since_probe_up = self.rounds_since_probe_up.saturating_add(1);
        }
    }

    /// StartRound().
    pub(super) fn start_round(&mut self) {
        self.next_round_delivered = self.delivered;
    }

    /// UpdateACKAggregation().
    pub(super) fn update_ack_aggregation(&mut self, acked: &Acked) {
        // Find excess ACKed beyond expected amount over this interval.
        let interval = acked.now.since(self.extra_acked_interval_start);
        let mut expected_delivered = self.bw.bytes_in(interval);
        // Reset interval if ACK rate is below expected rate.
        if self.extra_acked_delivered <= expected_delivered {
            self.restart_ack_aggregation(acked.now);
            expected_delivered = 0;
        }
        self.extra_acked_delivered = self.extra_acked_delivered.saturating_add(acked.bytes);
        let extra = self
            .extra_acked_delivered
            .saturating_sub(expected_delivered)
            .min(self.window);
        let filter_len = if self.full_bw_reached {
            EXTRA_ACKED_FILTER_LEN
        } else {
            1
        };
        self.extra_acked_filter
            .update(filter_len, self.round_count, extra);
    }

    pub(super) fn restart_ack_aggregation(&mut self, now: Instant) {
        self.extra_acked_delivered = 0;
        self.extra_acked_interval_start = now;
    }

    /// NoteLoss().
    fn note_loss(&mut self) {
        if !self.is_loss_in_round {
            self.loss_round_delivered = self.delivered;
            self.save_state_upon_loss();
        }
        self.is_loss_in_round = true;
    }

    /// HandleLostPacket().
    pub(super) fn handle_lost_packet(&mut self, lost: &Lost) {
        self.note_loss();
        if !lost.contiguous {
            self.loss_events_in_round = self.loss_events_in_round.saturating_add(1);
        }
        if !self.is_bw_probe_sample {
            return; // not a packet sent while probing bandwidth
        }
        let sample = &lost.sample;
        if is_inflight_too_high(sample.lost, sample.tx_in_flight) {
            let at_loss = inflight_at_loss(u64::from(lost.size), sample.tx_in_flight, sample.lost);
            self.handle_inflight_too_high(at_loss, sample.is_app_limited, lost.now);
        }
    }

    /// A CE mark, the first of a round trip: congestion, as the draft's section on ECN demands.
    pub(super) fn handle_ce_mark(&mut self, event: &CongestionEvent) {
        self.note_loss();
        if self.state == State::Startup {
            self.handle_queue_too_high_in_startup();
        } else if self.is_bw_probe_sample {
            self.handle_inflight_too_high(event.prior_in_flight, false, event.now);
        }
    }

    /// HandleInflightTooHigh().
    fn handle_inflight_too_high(&mut self, tx_in_flight: u64, is_app_limited: bool, now: Instant) {
        self.prev_probe_too_high = true;
        self.is_bw_probe_sample = false; // only react once per bw probe
        if !is_app_limited {
            self.inflight_longterm = tx_in_flight.max(fraction(self.target_inflight(), BETA));
        }
        if self.state == State::ProbeBwUp {
            self.undo_state = Some(State::ProbeBwUp);
            self.start_probe_bw_down(now);
        }
    }

    /// TargetInflight(): our estimated BDP, unless congestion cut the window.
    pub(super) fn target_inflight(&self) -> u64 {
        self.bdp().min(self.window)
    }

    /// SaveStateUponLoss().
    pub(super) fn save_state_upon_loss(&mut self) {
        self.save_window();
        self.undo_state = None;
        self.undo_bw_shortterm = self.bw_shortterm;
        self.undo_inflight_shortterm = self.inflight_shortterm;
        self.undo_inflight_longterm = self.inflight_longterm;
    }

    /// HandleSpuriousLossDetection().
    pub(super) fn handle_spurious_loss_detection(&mut self) {
        self.restore_window();
        self.is_loss_in_round = false;
        self.reset_full_bw();
        self.bw_shortterm = self.bw_shortterm.max(self.undo_bw_shortterm);
        self.inflight_shortterm = self.inflight_shortterm.max(self.undo_inflight_shortterm);
        self.inflight_longterm = self.inflight_longterm.max(self.undo_inflight_longterm);
        // If flow was probing bandwidth, return to that state.
        match self.undo_state.take() {
            Some(State::Startup) if self.state != State::Startup => {
                self.full_bw_reached = false;
                if self.state != State::ProbeRtt {
                    self.state = State::Startup;
                }
            }
            Some(State::ProbeBwUp)
                if self.state != State::ProbeBwUp && self.state != State::ProbeRtt =>
            {
                self.start_probe_bw_refill();
            }
            _ => {}
        }
    }

    /// Whether feedback from probing for bandwidth may come in.
    pub(super) fn set_ack_phase(&mut self, phase: AckPhase) {
        self.ack_phase = phase;
    }
}

/// IsInflightTooHigh(): do loss signals suggest that too much was in flight?
pub(super) fn is_inflight_too_high(lost: u64, tx_in_flight: u64) -> bool {
    lost > fraction(tx_in_flight, LOSS_THRESH)
}

/// InflightAtLoss(): at what volume in flight did losses exceed the threshold?
fn inflight_at_loss(size: u64, tx_in_flight: u64, lost: u64) -> u64 {
    // What was in flight, and what was lost, before this packet?
    let inflight_prev = tx_in_flight.saturating_sub(size);
    let lost_prev = lost.saturating_sub(size);
    // (LossThresh * inflight_prev - lost_prev) / (1 - LossThresh).
    let budget = fraction(inflight_prev, LOSS_THRESH).saturating_sub(lost_prev);
    let (lost_parts, parts) = LOSS_THRESH;
    let lost_prefix = fraction(budget, (parts, parts.saturating_sub(lost_parts)));
    inflight_prev.saturating_add(lost_prefix)
}
