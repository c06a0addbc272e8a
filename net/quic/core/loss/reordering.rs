// SPDX-License-Identifier: GPL-2.0 OR MIT

//! [`Reordering`]: how much later than its successors a packet may arrive before it is lost (RFC
//! 9002 §6.1).
//!
//! The thresholds begin at the recommended values and rise when a packet declared lost arrives
//! after all, by as much as would have been enough, within limits (RFC 9002 §6.1.1: "increase the
//! packet or time reordering threshold to reduce future spurious retransmissions"). After a number
//! of recovery periods without such an arrival they return.

use crate::rtt::GRANULARITY;
use crate::time::Duration;

/// RFC 9002 §6.1.1: kPacketThreshold.
pub const PACKET_THRESHOLD: u16 = 3;

/// The highest packet threshold: what TCP permits (tcp_max_reordering).
const MAX_PACKET_THRESHOLD: u16 = 300;

/// RFC 9002 §6.1.2: kTimeThreshold is 9/8 of the round-trip time.
const TIME_THRESHOLD_EIGHTHS: u8 = 9;

/// The highest: two round-trip times, so that a peer that acknowledges late cannot stop loss
/// detection.
const MAX_TIME_THRESHOLD_EIGHTHS: u8 = 16;

/// Recovery periods without a spurious loss after which the thresholds return (RFC 8985 §7.1 has
/// the same number).
const CALM_PERIODS: u8 = 16;

/// The thresholds of a path.
#[derive(Clone, Debug)]
pub struct Reordering {
    packets: u16,
    eighths: u8,
    calm: u8,
}

impl Reordering {
    /// The recommended thresholds.
    pub const fn new() -> Self {
        Self {
            packets: PACKET_THRESHOLD,
            eighths: TIME_THRESHOLD_EIGHTHS,
            calm: 0,
        }
    }

    /// The packet threshold, which ACK_FREQUENCY may tell the peer.
    pub const fn packet_threshold(&self) -> u16 {
        self.packets
    }

    /// RFC 9002 §6.1.2: max(kTimeThreshold * max(smoothed_rtt, latest_rtt), kGranularity).
    // RFC 9002 §6.1.2: this time threshold MUST be set to at least the local timer granularity.
    pub fn loss_delay(&self, recent_rtt: Duration) -> Duration {
        recent_rtt
            .mul_div(u32::from(self.eighths), 8)
            .max(GRANULARITY)
    }

    /// A packet declared lost arrived, `distance` packet numbers behind the largest and so long
    /// after it was sent.
    pub(super) fn on_spurious_loss(
        &mut self,
        distance: u64,
        elapsed: Duration,
        recent_rtt: Duration,
    ) {
        self.calm = 0;
        let packets = u16::try_from(distance.saturating_add(1)).unwrap_or(u16::MAX);
        self.packets = self.packets.max(packets.min(MAX_PACKET_THRESHOLD));
        let rtt = recent_rtt.as_nanos().max(1);
        let eighths = elapsed
            .times(8)
            .as_nanos()
            .checked_div(rtt)
            .unwrap_or(0)
            .saturating_add(1);
        let eighths = u8::try_from(eighths).unwrap_or(u8::MAX);
        self.eighths = self.eighths.max(eighths.min(MAX_TIME_THRESHOLD_EIGHTHS));
    }

    /// A recovery period begins.
    pub(super) fn on_congestion_event(&mut self) {
        self.calm = self.calm.saturating_add(1);
        if self.calm > CALM_PERIODS {
            *self = Self::new();
        }
    }
}

impl Default for Reordering {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RTT: Duration = Duration::from_millis(80);

    // [rfc9002-6.1.2-1]
    #[test]
    fn the_recommended_thresholds() {
        let reordering = Reordering::new();
        assert_eq!(reordering.packet_threshold(), 3);
        assert_eq!(reordering.loss_delay(RTT), Duration::from_millis(90));
        assert_eq!(reordering.loss_delay(Duration::ZERO), GRANULARITY);
    }

    #[test]
    fn they_rise_as_far_as_needed_and_return() {
        let mut reordering = Reordering::new();
        reordering.on_spurious_loss(6, Duration::from_millis(100), RTT);
        assert_eq!(reordering.packet_threshold(), 7);
        assert!(reordering.loss_delay(RTT) >= Duration::from_millis(100));
        for _ in 0..CALM_PERIODS {
            reordering.on_congestion_event();
            assert_eq!(reordering.packet_threshold(), 7);
        }
        reordering.on_congestion_event();
        assert_eq!(reordering.packet_threshold(), 3);
    }

    #[test]
    fn they_have_limits() {
        let mut reordering = Reordering::new();
        reordering.on_spurious_loss(u64::MAX, Duration::MAX, Duration::ZERO);
        assert_eq!(reordering.packet_threshold(), 300);
        assert_eq!(reordering.loss_delay(RTT), Duration::from_millis(160));
        assert_eq!(reordering.loss_delay(Duration::MAX), Duration::MAX);
    }
}
