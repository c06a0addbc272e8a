// SPDX-License-Identifier: GPL-2.0 OR MIT

//! [`PathRecovery`]: what recovery knows of one path: round-trip time, congestion, pacing, ECN and
//! datagram size.
//!
//! RFC 9002 §7: the congestion controller is per path. Packets of all packet number spaces that
//! travel over the path count, and no others; a packet remembers its path. [`super::Recovery`]
//! reports them one by one while it goes through an ACK frame, then settles the frame with the path
//! in the order of RFC 9002 §A.7: round-trip time, ECN, losses, acknowledgments.

use super::acked::AckedRun;
use super::reordering::Reordering;
use crate::congestion::delivery::{Delivery, Newest, NO_BURST};
use crate::congestion::{
    Acked, Algorithm, Config, Congestion, CongestionEvent, Controller, Lost, Rtt,
};
use crate::ecn::{EcnState, EcnValidator};
use crate::pacing::{Allowance, Pacer};
use crate::packet::PacketNumber;
use crate::pmtud::Pmtud;
use crate::rate::Rate;
use crate::rtt::RttEstimator;
use crate::sent::{SentFlags, SentPacket};
use crate::time::{Duration, Instant};
use kernel::alloc::{AllocError, Flags};

/// What a path is created with.
#[derive(Copy, Clone, Debug)]
pub struct PathConfig {
    /// The congestion controller.
    pub algorithm: Algorithm,
    /// The largest congestion window, [`crate::congestion::MAX_WINDOW`] unless limited.
    pub max_window: u64,
    /// kInitialRtt.
    pub initial_rtt: Duration,
    /// The UDP payload that the interface carries.
    pub max_udp_payload: u16,
    /// Whether larger datagrams than 1200 bytes are searched for.
    pub pmtud: bool,
    /// Whether packets are marked with ECT(0).
    pub ecn: bool,
    /// A random number.
    pub seed: u64,
    /// The time of creation.
    pub now: Instant,
}

/// Why sending stopped, for RFC 9002 §7.8.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub enum SendLimit {
    /// There is no more data, or flow control forbids it.
    Application,
    /// The congestion window is full.
    Congestion,
    /// The pacer holds it back.
    Pacing,
    /// Anything else: anti-amplification, memory, the device queue.
    Other,
}

/// What [`PathRecovery::send_allowance`] permits.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub enum SendAllowance {
    /// So many bytes may be sent now.
    Bytes(u64),
    /// The congestion window is full.
    Congested,
    /// Not before this time.
    Paced(Instant),
}

/// How much of the window was used in the last round trip, as in TCP (RFC 7661 §4.1, RFC 9002
/// §7.8).
#[derive(Clone, Debug, Default)]
struct Usage {
    limited: bool,
    max_in_flight: u64,
    /// The round is over when so much is delivered.
    round_end: u64,
}

/// The packets whose loss caused the last congestion event.
#[derive(Clone, Debug, Default)]
struct Episode {
    lost: u32,
    arrived: u32,
}

/// What an ACK frame or a timeout says about the path; gathered packet by packet, then settled.
#[derive(Debug, Default)]
struct Pending {
    acked_bytes: u64,
    acked_outside_recovery: u64,
    newest: Option<Newest>,
    acked_ect0: u64,
    largest_acked_size: u16,
    mtu: Option<u16>,
    spurious: u32,
    lost_bytes: u64,
    newest_lost: Option<Instant>,
    lost_in_recovery: u32,
    lost_outside_recovery: u32,
    lost_ect0: u64,
    largest_lost_size: u16,
}

/// The recovery state of a path.
#[derive(Debug)]
pub struct PathRecovery {
    /// Round-trip time.
    pub rtt: RttEstimator,
    /// ECN validation.
    pub ecn: EcnValidator,
    pub(super) mtu: Pmtud,
    pacer: Pacer,
    congestion: Congestion,
    delivery: Delivery,
    bytes_in_flight: u64,
    /// congestion_recovery_start_time; `None` outside of recovery.
    recovery_start: Option<Instant>,
    /// Bytes sent since the pacer was charged.
    unpaced: u64,
    usage: Usage,
    episode: Episode,
    pub(super) reordering: Reordering,
    pending: Pending,
    has_pending: bool,
}

impl PathRecovery {
    /// A new path.
    pub fn new(config: &PathConfig, flags: Flags) -> Result<Self, AllocError> {
        let mtu = Pmtud::new(config.max_udp_payload, config.pmtud);
        let congestion = Config {
            max_datagram_size: mtu.current(),
            max_window: config.max_window,
            seed: config.seed,
            now: config.now,
        };
        Ok(Self {
            rtt: RttEstimator::new(config.initial_rtt),
            ecn: EcnValidator::new(config.ecn),
            mtu,
            pacer: Pacer::new(),
            congestion: Congestion::new(config.algorithm, &congestion, flags)?,
            delivery: Delivery::new(),
            bytes_in_flight: 0,
            recovery_start: None,
            unpaced: 0,
            usage: Usage::default(),
            episode: Episode::default(),
            reordering: Reordering::new(),
            pending: Pending::default(),
            has_pending: false,
        })
    }

    /// congestion_recovery_start_time.
    pub(super) const fn recovery_start(&self) -> Option<Instant> {
        self.recovery_start
    }

    /// Bytes in flight.
    pub const fn bytes_in_flight(&self) -> u64 {
        self.bytes_in_flight
    }

    /// congestion_window.
    pub fn congestion_window(&self) -> u64 {
        self.congestion.window()
    }

    /// How many packets out of order are taken for a loss; what an ACK_FREQUENCY frame may ask the
    /// peer to wait for.
    pub const fn packet_threshold(&self) -> u16 {
        self.reordering.packet_threshold()
    }

    /// The congestion controller, for reports.
    pub const fn congestion(&self) -> &Congestion {
        &self.congestion
    }

    /// The search for larger datagrams.
    pub const fn mtu(&self) -> &Pmtud {
        &self.mtu
    }

    /// The delivery state, for reports.
    pub const fn delivery(&self) -> &Delivery {
        &self.delivery
    }

    /// The maximum datagram size.
    pub const fn max_datagram_size(&self) -> u16 {
        self.mtu.current()
    }

    /// Replaces the congestion controller by a new one. Without memory the old one stays.
    pub fn set_algorithm(
        &mut self,
        algorithm: Algorithm,
        config: &PathConfig,
        flags: Flags,
    ) -> Result<(), AllocError> {
        let config = Config {
            max_datagram_size: self.max_datagram_size(),
            max_window: config.max_window,
            seed: config.seed,
            now: config.now,
        };
        self.congestion = Congestion::new(algorithm, &config, flags)?;
        self.recovery_start = None;
        Ok(())
    }

    /// `SO_MAX_PACING_RATE`.
    pub fn set_max_pacing_rate(&mut self, rate: Rate) {
        self.pacer.set_max_rate(rate);
    }

    /// The rate at which packets leave, `None` if nothing is known to pace by.
    pub fn pacing_rate(&self) -> Option<Rate> {
        self.congestion.pacing_rate(self.smoothed_rtt())
    }

    /// How much may be sent now, in packets that are paced. PTO probes, packets with only an ACK
    /// frame and, as to pacing, handshake packets do not ask.
    pub fn send_allowance(&self, now: Instant) -> SendAllowance {
        let room = self.congestion_room();
        // RFC 9002 §7: An endpoint MUST NOT send a packet if it would cause bytes_in_flight […] to
        // be larger than the congestion window.
        if room < u64::from(self.max_datagram_size()) {
            return SendAllowance::Congested;
        }
        match self
            .pacer
            .allowance(now, self.pacing_rate(), self.max_datagram_size())
        {
            Allowance::Send(bytes) => SendAllowance::Bytes(bytes.min(room)),
            Allowance::Wait(until) => SendAllowance::Paced(until),
        }
    }

    /// Bytes that fit into the congestion window.
    pub fn congestion_room(&self) -> u64 {
        self.congestion
            .window()
            .saturating_sub(self.bytes_in_flight)
    }

    /// Sending has stopped, for this reason. To be called at the end of each attempt to send.
    pub fn on_send_stopped(&mut self, limit: SendLimit) {
        let limited = match limit {
            SendLimit::Congestion => true,
            // RFC 9002 §7.8: A sender SHOULD NOT consider itself application limited if it would
            // have fully utilized the congestion window without pacing delay. A limit that the user
            // set is one of the application.
            SendLimit::Pacing => !self.pacer.is_capped(self.pacing_rate()),
            SendLimit::Application | SendLimit::Other => false,
        };
        let new_round = self.delivery.delivered() >= self.usage.round_end;
        let fuller = !self.usage.limited && self.bytes_in_flight > self.usage.max_in_flight;
        if new_round || limited || fuller {
            self.usage.limited = limited;
            self.usage.max_in_flight = self.bytes_in_flight;
            self.usage.round_end = self
                .delivery
                .delivered()
                .saturating_add(self.bytes_in_flight);
        }
        if limit == SendLimit::Application && self.congestion_room() > 0 {
            self.delivery.mark_app_limited(self.bytes_in_flight);
        }
    }

    /// Whether the window limited the flow in the last round trip; in slow start also if it was
    /// used by half, since it doubles.
    fn is_cwnd_limited(&self) -> bool {
        self.usage.limited
            || (self.congestion.in_slow_start()
                && self.congestion.window() / 2 < self.usage.max_in_flight.max(1))
    }

    /// A packet that counts leaves.
    #[inline(always)]
    pub(super) fn on_packet_sent<T>(&mut self, packet: &mut SentPacket<T>, flags: Flags) {
        if self.bytes_in_flight == 0 {
            self.congestion
                .on_restart(packet.time_sent, self.delivery.is_app_limited());
        }
        // RFC 9002 §7.5: A sender MUST however count these packets as being additionally in flight.
        // So are probes.
        // 2^62 packets of 2^16 bytes would not be in flight at a time.
        self.bytes_in_flight = self.bytes_in_flight.wrapping_add(u64::from(packet.size));
        self.unpaced = self.unpaced.wrapping_add(u64::from(packet.size));
        let burst = if self.congestion.wants_samples() {
            self.delivery
                .on_packet_sent(packet.time_sent, packet.size, self.bytes_in_flight, flags)
        } else {
            NO_BURST
        };
        packet.set_burst(burst);
        if packet.flags().has(SentFlags::ECT0) && self.ecn.state() == EcnState::Testing {
            self.ecn
                .on_packet_sent(packet.time_sent, self.rtt.pto_base());
        }
        if packet.flags().has(SentFlags::MTU_PROBE) {
            self.mtu.on_probe_sent(packet.size);
        }
    }

    /// The batch is complete. `paced` is false for handshake packets, which the pacer does not
    /// charge.
    pub(super) fn on_batch_sent(&mut self, now: Instant, paced: bool) {
        let bytes = core::mem::take(&mut self.unpaced);
        if paced && bytes > 0 {
            self.pacer
                .on_sent(now, bytes, self.pacing_rate(), self.max_datagram_size());
        }
    }

    /// Packets in flight were newly acknowledged.
    pub(super) fn on_run_acked(&mut self, run: &AckedRun, now: Instant) {
        self.has_pending = true;
        let pending = &mut self.pending;
        let newest = Newest {
            time_sent: run.newest_sent,
            burst: run.key().burst(),
        };
        if pending
            .newest
            .is_none_or(|other| newest.time_sent >= other.time_sent)
        {
            pending.newest = Some(newest);
        }
        if run.key().flags().has(SentFlags::ECT0) {
            pending.acked_ect0 = pending.acked_ect0.saturating_add(run.packets);
        }
        self.delivery
            .on_packets_acked(run.bytes, run.packets, run.key().burst(), now);
        if run.key().flags().has(SentFlags::MTU_PROBE) {
            pending.mtu = pending.mtu.max(Some(run.largest_size));
        } else {
            pending.largest_acked_size = pending.largest_acked_size.max(run.largest_size);
        }
        pending.acked_bytes = pending.acked_bytes.saturating_add(run.bytes);
        if run.outside_recovery() {
            pending.acked_outside_recovery =
                pending.acked_outside_recovery.saturating_add(run.bytes);
        }
        self.bytes_in_flight = self.bytes_in_flight.saturating_sub(run.bytes);
    }

    /// A packet that had been declared lost was acknowledged. `largest_acked` is from before.
    pub(super) fn on_lost_packet_acked<T>(
        &mut self,
        pn: PacketNumber,
        packet: &SentPacket<T>,
        largest_acked: PacketNumber,
        now: Instant,
    ) {
        self.has_pending = true;
        if packet.flags().has(SentFlags::ECT0) {
            self.pending.acked_ect0 = self.pending.acked_ect0.saturating_add(1);
        }
        // Its snapshot went with the loss.
        self.delivery
            .on_packets_acked(u64::from(packet.size), 1, NO_BURST, now);
        if packet.flags().has(SentFlags::MTU_PROBE) {
            self.pending.mtu = self.pending.mtu.max(Some(packet.size));
            return;
        }
        let distance = largest_acked.get().saturating_sub(pn.get());
        self.reordering
            .on_spurious_loss(distance, now.since(packet.time_sent), self.rtt.recent());
        if self
            .recovery_start
            .is_some_and(|start| packet.time_sent <= start)
        {
            self.pending.spurious = self.pending.spurious.saturating_add(1);
        }
    }

    /// A packet in flight was declared lost; `contiguous` if the one before it was too, in the same
    /// search.
    pub(super) fn on_packet_lost<T>(
        &mut self,
        packet: &SentPacket<T>,
        contiguous: bool,
        now: Instant,
    ) {
        let size = u64::from(packet.size);
        self.has_pending = true;
        self.bytes_in_flight = self.bytes_in_flight.saturating_sub(size);
        if packet.flags().has(SentFlags::ECT0) {
            self.pending.lost_ect0 = self.pending.lost_ect0.saturating_add(1);
        }
        if packet.flags().has(SentFlags::MTU_PROBE) {
            // RFC 9000 §14.4: not a reliable indication of congestion and SHOULD NOT trigger a
            // congestion control reaction.
            self.mtu.on_probe_lost(packet.size, now);
            self.delivery.on_packet_discarded(packet.key().burst());
            return;
        }
        let sample = self
            .delivery
            .on_packet_lost(packet.size, packet.key().burst());
        let lost = Lost {
            now,
            size: packet.size,
            contiguous,
            delivered: self.delivery.delivered(),
            sample,
        };
        self.congestion.on_packet_lost(&lost);
        let pending = &mut self.pending;
        pending.lost_bytes = pending.lost_bytes.saturating_add(size);
        pending.largest_lost_size = pending.largest_lost_size.max(packet.size);
        pending.newest_lost = pending.newest_lost.max(Some(packet.time_sent));
        let count = match self.recovery_start {
            Some(start) if packet.time_sent <= start => &mut pending.lost_in_recovery,
            _ => &mut pending.lost_outside_recovery,
        };
        *count = count.saturating_add(1);
    }

    /// A packet in flight was taken out of the books: RFC 9002 §6.4.
    pub(super) fn on_packet_discarded<T>(&mut self, packet: &SentPacket<T>) {
        self.bytes_in_flight = self.bytes_in_flight.saturating_sub(u64::from(packet.size));
        self.delivery.on_packet_discarded(packet.key().burst());
    }

    /// Packets with ECT(0) that the frame newly acknowledged on this path.
    pub(super) const fn pending_ect0(&self) -> u64 {
        self.pending.acked_ect0
    }

    /// Settles an increase of the CE count: RFC 9002 §B.7, with the newest packet that the frame
    /// acknowledges.
    pub(super) fn on_ce(&mut self, now: Instant) {
        if let Some(newest) = self.pending.newest {
            self.on_congestion_event(newest.time_sent, true, now);
        }
    }

    /// Settles the losses of a search, RFC 9002 §B.8. Returns the new maximum datagram size after a
    /// black hole.
    pub(super) fn settle_lost(&mut self, persistent: bool, now: Instant) -> Option<u16> {
        let in_recovery = core::mem::take(&mut self.pending.lost_in_recovery);
        let outside = core::mem::take(&mut self.pending.lost_outside_recovery);
        self.ecn
            .on_packets_lost(core::mem::take(&mut self.pending.lost_ect0));
        let newest_lost = self.pending.newest_lost.take()?;
        if outside > 0 {
            self.on_congestion_event(newest_lost, false, now);
            self.episode = Episode {
                lost: outside,
                arrived: 0,
            };
        } else {
            self.episode.lost = self.episode.lost.saturating_add(in_recovery);
        }
        if persistent {
            self.congestion.on_persistent_congestion();
            self.recovery_start = None;
            self.episode = Episode::default();
            self.rtt.on_persistent_congestion();
        }
        let largest = core::mem::take(&mut self.pending.largest_lost_size);
        let size = self.mtu.on_lost(largest, now);
        if let Some(size) = size {
            self.congestion.on_mtu_update(size);
        }
        size
    }

    /// Settles what a frame acknowledged. `rtt` is the sample it gave. Returns the new maximum
    /// datagram size after a probe.
    pub(super) fn settle_acked(&mut self, rtt: Option<Duration>, now: Instant) -> Option<u16> {
        if !self.has_pending {
            return None;
        }
        self.has_pending = false;
        let pending = core::mem::take(&mut self.pending);
        self.mtu.on_acked(pending.largest_acked_size);
        let size = pending
            .mtu
            .and_then(|size| self.mtu.on_probe_acked(size, now));
        self.settle_spurious(pending.spurious);
        if let Some(newest) = pending.newest {
            let sample = self.delivery.sample(Some(newest), self.rtt.min());
            let in_recovery = self
                .recovery_start
                .is_some_and(|start| newest.time_sent <= start);
            let acked = Acked {
                now,
                bytes: pending.acked_bytes,
                bytes_outside_recovery: pending.acked_outside_recovery,
                newest_sent: newest.time_sent,
                in_recovery,
                prior_in_flight: self
                    .bytes_in_flight
                    .saturating_add(pending.acked_bytes)
                    .saturating_add(pending.lost_bytes),
                in_flight: self.bytes_in_flight,
                cwnd_limited: self.is_cwnd_limited(),
                rtt: Rtt {
                    sample: rtt,
                    smoothed: self.smoothed_rtt(),
                },
                delivered: self.delivery.delivered(),
                sample,
            };
            self.congestion.on_ack(&acked);
            if self.congestion.limits_itself() {
                self.delivery.mark_app_limited(self.bytes_in_flight);
            }
        }
        if let Some(size) = size {
            self.congestion.on_mtu_update(size);
        }
        size
    }

    /// All packets whose loss began the recovery period have arrived: there was no congestion.
    fn settle_spurious(&mut self, arrived: u32) {
        if arrived == 0 || self.recovery_start.is_none() {
            return;
        }
        self.episode.arrived = self.episode.arrived.saturating_add(arrived);
        if self.episode.lost > 0 && self.episode.arrived >= self.episode.lost {
            self.congestion.on_spurious_loss();
            self.recovery_start = None;
            self.episode = Episode::default();
        }
    }

    /// OnCongestionEvent(), RFC 9002 §B.6.
    // RFC 9000 §13.3: Upon detecting losses, a sender MUST take appropriate congestion control
    // action.
    // RFC 9002 §7.3.1: The sender MUST exit slow start and enter a recovery period when a packet is
    // lost or when the ECN-CE count reported by its peer increases.
    fn on_congestion_event(&mut self, time_sent: Instant, ecn: bool, now: Instant) {
        // No reaction if already in a recovery period.
        if self.recovery_start.is_some_and(|start| time_sent <= start) {
            return;
        }
        self.recovery_start = Some(now);
        self.episode = Episode::default();
        self.reordering.on_congestion_event();
        // No window grows by an acknowledgment that tells of congestion.
        self.pending.acked_outside_recovery = 0;
        self.congestion.on_congestion_event(&CongestionEvent {
            now,
            ecn,
            prior_in_flight: self
                .bytes_in_flight
                .saturating_add(self.pending.acked_bytes)
                .saturating_add(self.pending.lost_bytes),
            delivered: self.delivery.delivered(),
        });
    }

    /// The size of the PMTU probe to send now, if one is due and the congestion window has room for
    /// it.
    pub fn mtu_probe(&mut self, now: Instant) -> Option<u16> {
        let room = self.congestion_room();
        self.mtu.probe(now).filter(|size| u64::from(*size) <= room)
    }

    /// Another limit of the interface, or the peer's max_udp_payload_size.
    pub fn set_max_udp_payload(&mut self, limit: u16) -> Option<u16> {
        let size = self.mtu.set_limit(limit)?;
        self.congestion.on_mtu_update(size);
        Some(size)
    }

    /// The MTU of the route, for a path that is not searched.
    pub fn set_max_datagram_size(&mut self, size: u16) -> Option<u16> {
        let size = self.mtu.set_current(size)?;
        self.congestion.on_mtu_update(size);
        Some(size)
    }

    /// A validated ICMP message that a packet was too big: [`Pmtud::on_packet_too_big`].
    pub fn on_packet_too_big(&mut self, size: u16, now: Instant) -> Option<u16> {
        let size = self.mtu.on_packet_too_big(size, now)?;
        self.congestion.on_mtu_update(size);
        Some(size)
    }

    /// Gives memory back. For a connection that has become idle.
    pub fn trim(&mut self) {
        self.delivery.trim();
    }

    /// smoothed_rtt, zero before the first sample.
    fn smoothed_rtt(&self) -> Duration {
        match self.rtt.first_sample() {
            Some(_) => self.rtt.smoothed(),
            None => Duration::ZERO,
        }
    }
}
