// SPDX-License-Identifier: GPL-2.0 OR MIT

//! [`LossSearch`]: the thresholds of a search for lost packets, and its hunt for persistent
//! congestion (RFC 9002 §6.1, §7.6).

use super::Paths;
use crate::sent::{SentFlags, SentPacket};
use crate::time::{Duration, Instant};

/// RFC 9002 §7.6.1: kPersistentCongestionThreshold.
const PERSISTENT_CONGESTION_THRESHOLD: u32 = 3;

/// The thresholds of the path of the packets that a search comes across, and its hunt for
/// persistent congestion.
pub(super) struct LossSearch {
    path: Option<u8>,
    pub(super) packet_threshold: u16,
    pub(super) loss_delay: Duration,
    /// RFC 9002 §7.6.1: the duration; `None` without an RTT sample.
    persistent_duration: Option<Duration>,
    /// Packets sent up to then do not count: before the first RTT sample, or before a packet that
    /// was acknowledged in another space.
    after: Instant,
    acked_elsewhere: Option<Instant>,
    max_ack_delay: Duration,
    /// When the first ack-eliciting packet was sent of those lost without an acknowledged one
    /// between.
    run_start: Option<Instant>,
    /// The path on which persistent congestion was established.
    pub(super) persistent: Option<u8>,
    now: Instant,
}

impl LossSearch {
    pub(super) const fn new(
        acked_elsewhere: Option<Instant>,
        max_ack_delay: Duration,
        now: Instant,
    ) -> Self {
        Self {
            path: None,
            packet_threshold: 0,
            loss_delay: Duration::ZERO,
            persistent_duration: None,
            after: now,
            acked_elsewhere,
            max_ack_delay,
            run_start: None,
            persistent: None,
            now,
        }
    }

    /// Looks up the path, if it is another one than that of the packet before.
    pub(super) fn use_path(&mut self, index: u8, paths: &mut impl Paths) {
        if self.path == Some(index) {
            return;
        }
        self.path = Some(index);
        self.run_start = None;
        let Some(path) = paths.path(index) else {
            // The path is no more: nothing sent on it will be acknowledged.
            self.packet_threshold = 0;
            self.loss_delay = Duration::ZERO;
            self.persistent_duration = None;
            return;
        };
        self.packet_threshold = path.reordering.packet_threshold();
        self.loss_delay = path.reordering.loss_delay(path.rtt.recent());
        // RFC 9002 §7.6.1: includes max_ack_delay irrespective of the space.
        let period = path.rtt.pto_base() + self.max_ack_delay;
        self.persistent_duration = path
            .rtt
            .first_sample()
            .map(|_| period.times(PERSISTENT_CONGESTION_THRESHOLD));
        self.after = path
            .rtt
            .first_sample()
            .max(self.acked_elsewhere)
            .unwrap_or(self.now);
    }

    pub(super) fn on_acked_between(&mut self) {
        self.run_start = None;
    }

    /// RFC 9002 §7.6.2: two ack-eliciting packets are lost, none between them is acknowledged, the
    /// time between them exceeds the duration, and there was an RTT sample before.
    pub(super) fn on_lost<T>(&mut self, packet: &SentPacket<T>) {
        let Some(duration) = self.persistent_duration else {
            return;
        };
        // RFC 9002 §7.6.2: These two packets MUST be ack-eliciting.
        let counts = packet.is_ack_eliciting() && !packet.flags().has(SentFlags::MTU_PROBE);
        if !counts || packet.time_sent <= self.after {
            return;
        }
        let start = *self.run_start.get_or_insert(packet.time_sent);
        if packet.time_sent.since(start) > duration {
            self.persistent = self.path;
        }
    }
}
