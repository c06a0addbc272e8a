// SPDX-License-Identifier: GPL-2.0 OR MIT

//! BBR looks for the bandwidth of a path, and empties the queue it made: draft-ietf-ccwg-bbr
//! §5.3.1, §5.3.2.

use super::model::is_inflight_too_high;
use super::{Bbr, State, UNIT};
use crate::congestion::Acked;
use crate::rate::Rate;

/// BBRStartupFullLossCnt: so many separate losses in a round are no noise.
const STARTUP_FULL_LOSS_COUNT: u8 = 6;

/// Rounds in which the rate has to grow by a quarter; after three without, the pipe is full. It
/// gives the peer time to enlarge its receive window.
const FULL_BW_ROUNDS: u8 = 3;

/// Rounds after which Drain ends in any case, since the bandwidth may be overestimated.
const DRAIN_ROUNDS: u32 = 3;

impl Bbr {
    /// ResetFullBW().
    pub(super) fn reset_full_bw(&mut self) {
        self.full_bw = Rate::ZERO;
        self.full_bw_count = 0;
        self.full_bw_now = false;
    }

    /// CheckFullBWReached().
    pub(super) fn check_full_bw_reached(&mut self, acked: &Acked) {
        let sample = &acked.sample;
        if self.full_bw_now || !self.round_start || sample.is_app_limited {
            return; // no need to check for a full pipe now
        }
        if sample.delivery_rate
            >= self
                .full_bw
                .scaled(UNIT.saturating_add(UNIT / 4), super::GAIN_SHIFT)
        {
            self.reset_full_bw(); // bw is still growing, so reset
            self.full_bw = sample.delivery_rate; // record new baseline bw
            return;
        }
        self.full_bw_count = self.full_bw_count.saturating_add(1); // another round w/o much growth
        self.full_bw_now = self.full_bw_count >= FULL_BW_ROUNDS;
        if self.full_bw_now {
            self.full_bw_reached = true;
        }
    }

    /// CheckStartupDone().
    pub(super) fn check_startup_done(&mut self, acked: &Acked) {
        if self.state != State::Startup {
            return;
        }
        self.check_startup_high_loss(acked);
        if self.full_bw_reached {
            self.enter_drain();
        }
    }

    /// CheckStartupHighLoss(), §5.3.1.3: in recovery for a full round, more than 2% lost in it, in
    /// six separate places.
    fn check_startup_high_loss(&mut self, acked: &Acked) {
        if self.loss_round_start
            && self.in_recovery
            && self.loss_events_in_round >= STARTUP_FULL_LOSS_COUNT
            && is_inflight_too_high(acked.sample.lost, acked.sample.tx_in_flight)
        {
            self.handle_queue_too_high_in_startup();
        }
    }

    /// What §5.3.1.3 does then.
    pub(super) fn handle_queue_too_high_in_startup(&mut self) {
        self.undo_state = Some(State::Startup);
        self.full_bw_reached = true;
        self.inflight_longterm = self.bdp().max(self.inflight_latest);
    }

    /// EnterDrain().
    fn enter_drain(&mut self) {
        self.state = State::Drain;
        self.drain_start_round = self.round_count;
    }

    /// CheckDrainDone().
    pub(super) fn check_drain_done(&mut self, acked: &Acked) {
        if self.state != State::Drain {
            return;
        }
        let rounds = self.round_count.wrapping_sub(self.drain_start_round);
        if acked.in_flight <= self.inflight(self.bw, UNIT) || rounds > DRAIN_ROUNDS {
            // EnterProbeBW().
            self.start_probe_bw_down(acked.now);
        }
    }
}
