// SPDX-License-Identifier: GPL-2.0 OR MIT

//! [`Bbr`]: the congestion controller BBRv3 of draft-ietf-ccwg-bbr.
//!
//! It models the path by the bandwidth it delivers and by its round-trip time without a queue,
//! sends at that rate, and keeps about one product of the two in flight. Now and then it sends
//! faster to see whether more bandwidth is there, and less to see the round-trip time.
//!
//! ```text
//!   Startup --> Drain --> ProbeBW_DOWN --> CRUISE --> REFILL --> UP --+
//!                            ^                                        |
//!                            +----------------------------------------+
//!   ProbeRTT: from any state every 5 s without a low RTT, back to where the pipe is full or not
//! ```
//!
//! | file | sections of the draft |
//! |---|---|
//! | this | 5.2 organization, 5.6 control parameters |
//! | `model.rs` | 5.5 path model: rounds, bandwidth, aggregation, losses |
//! | `startup.rs` | 5.3.1, 5.3.2 |
//! | `probe_bw.rs` | 5.3.3 |
//! | `probe_rtt.rs` | 5.3.4, 5.4 |
//!
//! Names are the draft's. "Infinity" is [`u64::MAX`], [`Rate::MAX`] or [`Duration::MAX`]. Gains are
//! in units of 1/256. Its experimental parts on ECN leave the response open ("MUST treat any CE
//! marks as congestion"): a CE mark counts as a lost packet of no size, and one that comes while
//! probing says that too much is in flight.

mod model;
mod probe_bw;
mod probe_rtt;
mod startup;

use super::windowed_max::WindowedMax;
use super::{initial_window, minimum_window, Acked, Config, CongestionEvent, Controller, Lost};
use crate::rate::Rate;
use crate::time::{Duration, Instant};

/// A gain of one.
const UNIT: u32 = 1 << GAIN_SHIFT;
const GAIN_SHIFT: u32 = 8;

/// BBR.StartupPacingGain: 4 ln 2 = 2.77, the least with which the rate doubles every round.
const STARTUP_PACING_GAIN: u32 = 709;
/// BBR.DrainPacingGain: 0.5 empties the queue of Startup in a round.
const DRAIN_PACING_GAIN: u32 = UNIT / 2;
/// 0.90: the least that converges with an UP gain of 1.25.
const DOWN_PACING_GAIN: u32 = 230;
/// 1.25.
const UP_PACING_GAIN: u32 = UNIT + UNIT / 4;
/// BBR.DefaultCwndGain: 2, so that the rate may double every round.
const DEFAULT_CWND_GAIN: u32 = 2 * UNIT;
/// 2.25: so that UP can send faster even if the window was the limit.
const UP_CWND_GAIN: u32 = 2 * UNIT + UNIT / 4;
/// BBR.ProbeRTTCwndGain: half the bandwidth-delay product leaves no queue.
const PROBE_RTT_CWND_GAIN: u32 = UNIT / 2;

/// BBR.PacingMarginPercent: 1% below the bandwidth, so that queues shrink.
const PACING_MARGIN: (u64, u64) = (99, 100);
/// BBR.LossThresh: 2% of a round trip may be lost while probing.
const LOSS_THRESH: (u64, u64) = (2, 100);
/// BBR.Beta: the decrease for a round with losses, CUBIC's.
const BETA: (u64, u64) = (7, 10);
/// BBR.MinPipeCwnd, in datagrams: two in each direction, for a peer that acknowledges every other.
const MIN_PIPE_DATAGRAMS: u64 = 4;
/// The largest send quantum, one GSO batch …
const MAX_QUANTUM: u64 = 64 * 1024;
/// … the smallest, in datagrams …
const MIN_QUANTUM_DATAGRAMS: u64 = 2;
/// … and between them what leaves in this time.
const QUANTUM_TIME: Duration = Duration::from_millis(1);

/// BBR.state.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub enum State {
    /// Doubles the rate every round to find the bandwidth.
    Startup,
    /// Empties the queue that Startup left.
    Drain,
    /// Sends less than the bandwidth.
    ProbeBwDown,
    /// Sends at the bandwidth.
    ProbeBwCruise,
    /// Fills the pipe for one round.
    ProbeBwRefill,
    /// Sends more than the bandwidth.
    ProbeBwUp,
    /// Keeps little in flight to measure the round-trip time.
    ProbeRtt,
}

impl State {
    /// IsInAProbeBWState().
    const fn is_probe_bw(self) -> bool {
        matches!(
            self,
            Self::ProbeBwDown | Self::ProbeBwCruise | Self::ProbeBwRefill | Self::ProbeBwUp
        )
    }

    /// IsProbingBW().
    const fn is_probing(self) -> bool {
        matches!(self, Self::Startup | Self::ProbeBwRefill | Self::ProbeBwUp)
    }

    /// BBR.pacing_gain, by the table of §5.6.1.
    const fn pacing_gain(self) -> u32 {
        match self {
            Self::Startup => STARTUP_PACING_GAIN,
            Self::Drain => DRAIN_PACING_GAIN,
            Self::ProbeBwDown => DOWN_PACING_GAIN,
            Self::ProbeBwUp => UP_PACING_GAIN,
            Self::ProbeBwCruise | Self::ProbeBwRefill | Self::ProbeRtt => UNIT,
        }
    }

    /// BBR.cwnd_gain, by the same table.
    const fn cwnd_gain(self) -> u32 {
        match self {
            Self::ProbeBwUp => UP_CWND_GAIN,
            Self::ProbeRtt => PROBE_RTT_CWND_GAIN,
            _ => DEFAULT_CWND_GAIN,
        }
    }
}

/// BBR.ack_phase: what acknowledgments say about the probing for bandwidth.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
enum AckPhase {
    /// Not probing; not getting probe feedback.
    Init,
    /// Sending at the estimated bandwidth to fill the pipe.
    Refilling,
    /// In flight rises to probe.
    ProbeStarting,
    /// Feedback from probing comes in.
    ProbeFeedback,
    /// Stopped; still getting feedback.
    ProbeStopping,
}

/// The state of the controller.
#[derive(Debug)]
pub struct Bbr {
    // Output and configuration.
    window: u64,
    pacing_rate: Rate,
    initial_window: u64,
    max_window: u64,
    max_datagram_size: u16,
    random: u64,

    // The state machine.
    state: State,
    ack_phase: AckPhase,
    has_seen_rtt: bool,
    in_recovery: bool,
    idle_restart: bool,
    cwnd_limited: bool,

    // Rounds: §5.5.1.
    delivered: u64,
    next_round_delivered: u64,
    round_count: u32,
    round_start: bool,
    rounds_since_probe_up: u32,
    drain_start_round: u32,

    // Bandwidth: §5.5.2 to §5.5.6. The filter has two slots, of this cycle and of the one before.
    max_bw_filter: [Rate; 2],
    bw: Rate,
    bw_shortterm: Rate,
    bw_latest: Rate,

    // In flight.
    inflight_longterm: u64,
    inflight_shortterm: u64,
    inflight_latest: u64,
    loss_round_delivered: u64,
    loss_round_start: bool,
    is_loss_in_round: bool,
    loss_events_in_round: u8,

    // Startup: §5.3.1.2.
    full_bw: Rate,
    full_bw_count: u8,
    full_bw_now: bool,
    full_bw_reached: bool,

    // ProbeBW: §5.3.3.
    is_bw_probe_sample: bool,
    prev_probe_too_high: bool,
    prev_probe_precautionary: bool,
    bw_probe_up_rounds: u8,
    bw_probe_up_acked: u64,
    probe_up_acked_per_inc: u64,
    bw_probe_wait: Duration,
    cycle_stamp: Instant,

    // Aggregation: §5.5.9.
    extra_acked_filter: WindowedMax,
    extra_acked_interval_start: Instant,
    extra_acked_delivered: u64,

    // ProbeRTT: §5.3.4.
    min_rtt: Duration,
    min_rtt_stamp: Instant,
    probe_rtt_min_delay: Duration,
    probe_rtt_min_stamp: Instant,
    probe_rtt_done_stamp: Option<Instant>,
    probe_rtt_expired: bool,
    probe_rtt_round_done: bool,
    prior_window: u64,

    // Undo: §5.5.11.
    undo_state: Option<State>,
    undo_bw_shortterm: Rate,
    undo_inflight_shortterm: u64,
    undo_inflight_longterm: u64,
}

impl Bbr {
    /// OnInit().
    pub fn new(config: &Config) -> Self {
        let window = initial_window(config.max_datagram_size).min(config.max_window);
        Self {
            window,
            pacing_rate: Rate::ZERO,
            initial_window: window,
            max_window: config.max_window,
            max_datagram_size: config.max_datagram_size,
            // Zero is where the generator would stay.
            random: config.seed | 1,
            state: State::Startup,
            ack_phase: AckPhase::Init,
            has_seen_rtt: false,
            in_recovery: false,
            idle_restart: false,
            cwnd_limited: false,
            delivered: 0,
            next_round_delivered: 0,
            round_count: 0,
            round_start: false,
            rounds_since_probe_up: 0,
            drain_start_round: 0,
            max_bw_filter: [Rate::ZERO; 2],
            bw: Rate::ZERO,
            bw_shortterm: Rate::MAX,
            bw_latest: Rate::ZERO,
            inflight_longterm: u64::MAX,
            inflight_shortterm: u64::MAX,
            inflight_latest: 0,
            loss_round_delivered: 0,
            loss_round_start: false,
            is_loss_in_round: false,
            loss_events_in_round: 0,
            full_bw: Rate::ZERO,
            full_bw_count: 0,
            full_bw_now: false,
            full_bw_reached: false,
            is_bw_probe_sample: false,
            prev_probe_too_high: false,
            prev_probe_precautionary: false,
            bw_probe_up_rounds: 0,
            bw_probe_up_acked: 0,
            probe_up_acked_per_inc: u64::MAX,
            bw_probe_wait: Duration::ZERO,
            cycle_stamp: config.now,
            extra_acked_filter: WindowedMax::default(),
            extra_acked_interval_start: config.now,
            extra_acked_delivered: 0,
            min_rtt: Duration::MAX,
            min_rtt_stamp: config.now,
            probe_rtt_min_delay: Duration::MAX,
            probe_rtt_min_stamp: config.now,
            probe_rtt_done_stamp: None,
            probe_rtt_expired: false,
            probe_rtt_round_done: false,
            prior_window: 0,
            undo_state: None,
            undo_bw_shortterm: Rate::ZERO,
            undo_inflight_shortterm: 0,
            undo_inflight_longterm: 0,
        }
    }

    /// The state, for reports.
    pub const fn state(&self) -> State {
        self.state
    }

    /// BBR.max_bw.
    pub fn max_bw(&self) -> Rate {
        let [this, before] = self.max_bw_filter;
        this.max(before)
    }

    /// BBR.min_rtt; [`Duration::MAX`] before the first sample.
    pub const fn min_rtt(&self) -> Duration {
        self.min_rtt
    }

    fn datagrams(&self, count: u64) -> u64 {
        count.saturating_mul(u64::from(self.max_datagram_size))
    }

    fn min_pipe_cwnd(&self) -> u64 {
        self.datagrams(MIN_PIPE_DATAGRAMS)
    }

    /// InitPacingRate(), once the round-trip time is known; before, nothing is paced.
    fn init_pacing_rate(&mut self, rtt: Duration) {
        let rtt = rtt.max(Duration::from_micros(1));
        let nominal_bandwidth = Rate::from_bytes_over(self.initial_window, rtt);
        self.pacing_rate = nominal_bandwidth.scaled(STARTUP_PACING_GAIN, GAIN_SHIFT);
        self.has_seen_rtt = true;
    }

    /// SetPacingRateWithGain().
    fn set_pacing_rate_with_gain(&mut self, gain: u32) {
        // 99/100 in units of 2^-16.
        let (numerator, denominator) = PACING_MARGIN;
        let margin = numerator
            .saturating_mul(1 << 16)
            .checked_div(denominator)
            .unwrap_or(0);
        let rate = self
            .bw
            .scaled(gain, GAIN_SHIFT)
            .scaled(u32::try_from(margin).unwrap_or(0), 16);
        if self.full_bw_reached || rate > self.pacing_rate {
            self.pacing_rate = rate;
        }
    }

    /// C.send_quantum, which SetSendQuantum() would store.
    fn send_quantum(&self) -> u64 {
        let quantum = self.pacing_rate.bytes_in(QUANTUM_TIME).min(MAX_QUANTUM);
        quantum.max(self.datagrams(MIN_QUANTUM_DATAGRAMS))
    }

    /// BDPMultiple(), for a bandwidth.
    fn bdp_multiple(&self, bw: Rate, gain: u32) -> u64 {
        if self.min_rtt == Duration::MAX {
            return self.initial_window;
        }
        bw.scaled(gain, GAIN_SHIFT).bytes_in(self.min_rtt)
    }

    /// BBR.bdp.
    fn bdp(&self) -> u64 {
        self.bdp_multiple(self.bw, UNIT)
    }

    /// QuantizationBudget(). The offload budget is one send quantum.
    fn quantization_budget(&self, inflight_cap: u64) -> u64 {
        let inflight_cap = inflight_cap
            .max(self.send_quantum())
            .max(self.min_pipe_cwnd());
        if self.state == State::ProbeBwUp {
            return inflight_cap.saturating_add(self.datagrams(2));
        }
        inflight_cap
    }

    /// Inflight(), for a bandwidth.
    fn inflight(&self, bw: Rate, gain: u32) -> u64 {
        self.quantization_budget(self.bdp_multiple(bw, gain))
    }

    /// UpdateMaxInflight().
    fn max_inflight(&self) -> u64 {
        let inflight_cap = self.bdp_multiple(self.bw, self.state.cwnd_gain());
        self.quantization_budget(inflight_cap.saturating_add(self.extra_acked_filter.get()))
    }

    /// ProbeRTTCwnd().
    fn probe_rtt_cwnd(&self) -> u64 {
        self.bdp_multiple(self.bw, PROBE_RTT_CWND_GAIN)
            .max(self.min_pipe_cwnd())
    }

    /// InflightWithHeadroom(): leaves BBR.Headroom, 15% of inflight_longterm, to others.
    fn inflight_with_headroom(&self) -> u64 {
        if self.inflight_longterm == u64::MAX {
            return u64::MAX;
        }
        let headroom = fraction(self.inflight_longterm, (15, 100)).max(self.datagrams(1));
        self.inflight_longterm
            .saturating_sub(headroom)
            .max(self.min_pipe_cwnd())
    }

    /// SetCwnd().
    fn set_window(&mut self, newly_acked: u64) {
        let max_inflight = self.max_inflight();
        let grown = self.window.saturating_add(newly_acked);
        if self.full_bw_reached {
            self.window = grown.min(max_inflight);
        } else if self.window < max_inflight || self.delivered < self.initial_window {
            self.window = grown;
        }
        self.window = self.window.max(self.min_pipe_cwnd());
        // BoundCwndForProbeRTT().
        if self.state == State::ProbeRtt {
            self.window = self.window.min(self.probe_rtt_cwnd());
        }
        self.bound_window_for_model();
    }

    /// BoundCwndForModel().
    fn bound_window_for_model(&mut self) {
        let cap = match self.state {
            State::ProbeBwDown | State::ProbeBwRefill | State::ProbeBwUp => self.inflight_longterm,
            State::ProbeRtt | State::ProbeBwCruise => self.inflight_with_headroom(),
            State::Startup | State::Drain => u64::MAX,
        };
        let cap = cap.min(self.inflight_shortterm).max(self.min_pipe_cwnd());
        self.window = self.window.min(cap).min(self.max_window);
    }

    /// SaveCwnd().
    fn save_window(&mut self) {
        self.prior_window = if !self.in_recovery && self.state != State::ProbeRtt {
            self.window
        } else {
            self.prior_window.max(self.window)
        };
    }

    /// RestoreCwnd().
    fn restore_window(&mut self) {
        self.window = self.window.max(self.prior_window);
    }

    /// A number below 2^32: xorshift64*, which is enough to keep flows from probing in step.
    fn random(&mut self) -> u32 {
        self.random ^= self.random.wrapping_shr(12);
        self.random ^= self.random.wrapping_shl(25);
        self.random ^= self.random.wrapping_shr(27);
        (self.random.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 32) as u32
    }
}

impl Controller for Bbr {
    fn window(&self) -> u64 {
        self.window
    }

    fn pacing_rate(&self, _smoothed_rtt: Duration) -> Option<Rate> {
        Some(self.pacing_rate).filter(|_| self.has_seen_rtt)
    }

    fn in_slow_start(&self) -> bool {
        self.state == State::Startup
    }

    fn on_restart(&mut self, now: Instant, app_limited: bool) {
        self.handle_restart_from_idle(now, app_limited);
    }

    fn on_packet_lost(&mut self, lost: &Lost) {
        self.delivered = lost.delivered;
        self.handle_lost_packet(lost);
    }

    /// OnEnterFastRecovery(); the state for an undo was saved with the first loss.
    fn on_congestion_event(&mut self, event: &CongestionEvent) {
        self.delivered = event.delivered;
        self.save_window();
        self.in_recovery = true;
        if event.ecn {
            self.handle_ce_mark(event);
        }
    }

    /// UpdateOnACK(): UpdateModelAndState(), UpdateControlParameters().
    fn on_ack(&mut self, acked: &Acked) {
        self.delivered = acked.delivered;
        self.cwnd_limited = acked.cwnd_limited;
        if let (false, Some(rtt)) = (self.has_seen_rtt, acked.rtt.sample) {
            self.init_pacing_rate(rtt);
        }
        if self.in_recovery && !acked.in_recovery {
            self.in_recovery = false;
            self.restore_window();
        }
        self.update_latest_delivery_signals(acked);
        self.update_congestion_signals(acked);
        self.update_ack_aggregation(acked);
        self.check_full_bw_reached(acked);
        self.check_startup_done(acked);
        self.check_drain_done(acked);
        self.update_probe_bw_cycle_phase(acked);
        self.update_min_rtt(acked);
        self.check_probe_rtt(acked);
        self.advance_latest_delivery_signals(acked);
        // BoundBWForModel().
        self.bw = self.max_bw().min(self.bw_shortterm);
        self.set_pacing_rate_with_gain(self.state.pacing_gain());
        self.set_window(acked.bytes);
    }

    fn on_persistent_congestion(&mut self) {
        self.save_state_upon_loss();
        // RFC 9002 §7.6.2: the sender's congestion window MUST be reduced to the minimum congestion
        // window. The draft has room for one packet there. It grows again by what is acknowledged,
        // so the window before is not restored.
        self.window = minimum_window(self.max_datagram_size);
        self.prior_window = 0;
        self.in_recovery = false;
    }

    fn on_spurious_loss(&mut self) {
        self.handle_spurious_loss_detection();
    }

    fn on_mtu_update(&mut self, max_datagram_size: u16) {
        if self.delivered == 0 && self.window == self.initial_window {
            self.window = initial_window(max_datagram_size).min(self.max_window);
        }
        self.initial_window = initial_window(max_datagram_size).min(self.max_window);
        self.max_datagram_size = max_datagram_size;
        self.window = self
            .window
            .max(minimum_window(max_datagram_size))
            .min(self.max_window);
    }

    fn wants_samples(&self) -> bool {
        true
    }

    /// HandleProbeRTT(): ignore low rate samples during ProbeRTT.
    fn limits_itself(&self) -> bool {
        self.state == State::ProbeRtt
    }
}

/// `value * numerator / denominator`.
fn fraction(value: u64, (numerator, denominator): (u64, u64)) -> u64 {
    match value.checked_mul(numerator) {
        Some(product) => product.checked_div(denominator).unwrap_or(0),
        None => value
            .checked_div(denominator)
            .unwrap_or(0)
            .saturating_mul(numerator),
    }
}

#[cfg(test)]
mod tests;
