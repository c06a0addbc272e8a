// SPDX-License-Identifier: GPL-2.0 OR MIT

//! [`EcnValidator`]: whether a path carries Explicit Congestion Notification faithfully (RFC 9000
//! §13.4).
//!
//! ```text
//!             ten packets or three PTOs sent
//!   TESTING ------------------------------> UNKNOWN        TESTING and CAPABLE send ECT(0),
//!     |  \                                   /  |          UNKNOWN and FAILED do not.
//!     |   \     counts confirm a mark       /   |
//!     |    +-----------> CAPABLE <---------+    |
//!     |                     |                   |
//!     +------- counts are missing or wrong, ----+
//!              all marked packets lost or CE
//!                           v
//!                         FAILED
//! ```

use crate::frame::EcnCounts;
use crate::time::{Duration, Instant};
use crate::varint::VarInt;

/// The ECN field of an IP header (RFC 3168 §5), by its value.
#[derive(Copy, Clone, PartialEq, Eq, Debug, Default)]
pub enum EcnCodepoint {
    /// The sender does not take part.
    #[default]
    NotEct = 0b00,
    /// Takes part; used by L4S, and never by us.
    Ect1 = 0b01,
    /// Takes part.
    Ect0 = 0b10,
    /// Congestion experienced.
    Ce = 0b11,
}

impl EcnCodepoint {
    /// From the low two bits of the TOS or traffic class byte.
    pub const fn from_tos(tos: u8) -> Self {
        match tos & 0b11 {
            0b01 => Self::Ect1,
            0b10 => Self::Ect0,
            0b11 => Self::Ce,
            _ => Self::NotEct,
        }
    }
}

impl EcnCounts {
    /// Counts one packet.
    #[inline]
    pub fn add(&mut self, codepoint: EcnCodepoint) {
        let count = match codepoint {
            EcnCodepoint::NotEct => return,
            EcnCodepoint::Ect0 => &mut self.ect0,
            EcnCodepoint::Ect1 => &mut self.ect1,
            EcnCodepoint::Ce => &mut self.ce,
        };
        *count = VarInt::saturating(count.get().saturating_add(1));
    }

    /// Whether any mark was ever counted.
    pub const fn any(&self) -> bool {
        self.ect0.get() | self.ect1.get() | self.ce.get() != 0
    }

    /// The growth since `earlier`; `None` if a count has fallen.
    pub fn since(&self, earlier: &Self) -> Option<Self> {
        Some(Self {
            ect0: self.ect0.checked_sub(earlier.ect0.get())?,
            ect1: self.ect1.checked_sub(earlier.ect1.get())?,
            ce: self.ce.checked_sub(earlier.ce.get())?,
        })
    }
}

/// The state of a path, RFC 9000 §A.4.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub enum EcnState {
    /// The first packets are marked.
    Testing,
    /// Waiting for what becomes of them.
    Unknown,
    /// The path does not support ECN, or lies.
    Failed,
    /// Packets are marked, and CE is believed.
    Capable,
}

/// RFC 9000 §13.4.2: "for only the first ten outgoing packets on a path".
const TESTING_PACKETS: u8 = 10;

/// RFC 9000 §13.4.2: "or for a period of three PTOs".
const TESTING_PTOS: u32 = 3;

/// What an ACK frame that raised the largest acknowledged packet number says about marked packets.
#[derive(Copy, Clone, Debug)]
pub struct EcnFeedback {
    /// Packets newly acknowledged that were sent with ECT(0) on this path.
    pub newly_acked_ect0: u64,
    /// The counts of the frame, if it had any.
    pub counts: Option<EcnCounts>,
    /// The counts of the last frame that raised the largest acknowledged packet number of the
    /// space.
    pub previous: EcnCounts,
    /// Packets sent with ECT(0) in the space so far, over all paths.
    pub sent_ect0: u64,
}

/// Validates ECN on one path.
#[derive(Clone, Debug)]
pub struct EcnValidator {
    state: EcnState,
    /// Until when packets are marked in state `Testing`; set by the first.
    testing_until: Instant,
    /// Marked packets of the test: sent, found lost, reported as CE.
    sent: u8,
    lost: u8,
    ce: u8,
}

impl EcnValidator {
    /// Starts testing a new path; with `enabled` false the path is never marked.
    pub const fn new(enabled: bool) -> Self {
        Self {
            state: if enabled {
                EcnState::Testing
            } else {
                EcnState::Failed
            },
            testing_until: Instant::FAR_FUTURE,
            sent: 0,
            lost: 0,
            ce: 0,
        }
    }

    /// The state, for reports.
    pub const fn state(&self) -> EcnState {
        self.state
    }

    /// What to put into the IP header of an ack-eliciting packet. Packets that are not acknowledged
    /// carry no mark.
    pub const fn codepoint(&self) -> EcnCodepoint {
        match self.state {
            EcnState::Testing | EcnState::Capable => EcnCodepoint::Ect0,
            // RFC 9000 §13.4.2.2: If validation fails, then the endpoint MUST disable ECN. […] an
            // endpoint MUST disable ECN if validation later fails.
            EcnState::Unknown | EcnState::Failed => EcnCodepoint::NotEct,
        }
    }

    /// A packet left with the mark of [`Self::codepoint`].
    pub fn on_packet_sent(&mut self, now: Instant, pto: Duration) {
        if self.state != EcnState::Testing {
            return;
        }
        if self.sent == 0 {
            self.testing_until = now + pto.times(TESTING_PTOS);
        }
        self.sent = self.sent.saturating_add(1);
        // RFC 9000 §A.4: the testing period runs for a number of packets or a limited time.
        if self.sent >= TESTING_PACKETS || now >= self.testing_until {
            self.state = EcnState::Unknown;
        }
    }

    /// Marked packets were declared lost.
    pub fn on_packets_lost(&mut self, count: u64) {
        if !matches!(self.state, EcnState::Testing | EcnState::Unknown) {
            return;
        }
        self.lost = self
            .lost
            .saturating_add(u8::try_from(count).unwrap_or(u8::MAX));
        // RFC 9000 §13.4.2: if all packets marked with non-zero ECN codepoints are subsequently
        // lost, marking can be disabled on the assumption that the marking caused the loss.
        if self.state == EcnState::Unknown && self.lost >= self.sent {
            self.state = EcnState::Failed;
        }
    }

    /// Takes the feedback of an ACK frame and returns whether it reports new congestion.
    ///
    /// RFC 9000 §13.4.2.1: An endpoint MUST NOT fail ECN validation as a result of processing an
    /// ACK frame that does not increase the largest acknowledged packet number … so the caller
    /// passes no such frame.
    pub fn on_ack(&mut self, feedback: &EcnFeedback) -> bool {
        if self.state == EcnState::Failed {
            return false;
        }
        let Some(counts) = feedback.counts else {
            // RFC 9000 §13.4.2.1: validation fails if a marked packet is newly acknowledged and the
            // counts are not present.
            if feedback.newly_acked_ect0 > 0 {
                self.state = EcnState::Failed;
            }
            return false;
        };
        let Some(increase) = validate(feedback, &counts) else {
            self.state = EcnState::Failed;
            return false;
        };
        if feedback.newly_acked_ect0 > 0 && self.state != EcnState::Capable {
            self.ce = self
                .ce
                .saturating_add(u8::try_from(increase.ce.get()).unwrap_or(u8::MAX));
            if increase.ect0 > VarInt::ZERO {
                self.state = EcnState::Capable;
            } else if self.ce >= TESTING_PACKETS {
                // RFC 9000 §A.4: an endpoint can also mark the path as failed if all marked packets
                // are ECN-CE marked.
                self.state = EcnState::Failed;
                return false;
            }
        }
        // RFC 9002 §7.1: an increase of the CE count is a signal of congestion.
        increase.ce > VarInt::ZERO
    }
}

/// RFC 9000 §13.4.2.1: the growth of the counts, if it agrees with what was sent.
fn validate(feedback: &EcnFeedback, counts: &EcnCounts) -> Option<EcnCounts> {
    let increase = counts.since(&feedback.previous)?;
    // The sum of the increase in ECT(0) and ECN-CE counts is not less than the newly acknowledged
    // marked packets: else the network cleared marks.
    let marked = increase.ect0.get().saturating_add(increase.ce.get());
    if marked < feedback.newly_acked_ect0 {
        return None;
    }
    // A non-zero count for a codepoint that was never applied: the network changed marks.
    if counts.ect1 > VarInt::ZERO {
        return None;
    }
    // The total exceeds what was sent with that codepoint.
    if counts.ect0.get().saturating_add(counts.ce.get()) > feedback.sent_ect0 {
        return None;
    }
    Some(increase)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::ecn_counts;
    use proptest::prelude::*;

    const PTO: Duration = Duration::from_millis(100);

    fn counts(ect0: u64, ce: u64) -> EcnCounts {
        ecn_counts(ect0, 0, ce)
    }

    fn feedback(
        newly: u64,
        counts: Option<EcnCounts>,
        previous: EcnCounts,
        sent: u64,
    ) -> EcnFeedback {
        EcnFeedback {
            newly_acked_ect0: newly,
            counts,
            previous,
            sent_ect0: sent,
        }
    }

    /// A validator that has sent `packets` marked packets at once.
    fn sent(packets: u8) -> EcnValidator {
        let mut ecn = EcnValidator::new(true);
        for _ in 0..packets {
            assert_eq!(ecn.codepoint(), EcnCodepoint::Ect0);
            ecn.on_packet_sent(Instant::from_nanos(1), PTO);
        }
        ecn
    }

    #[test]
    fn ten_packets_are_marked_then_none_until_validated() {
        let mut ecn = sent(10);
        assert_eq!(
            (ecn.state(), ecn.codepoint()),
            (EcnState::Unknown, EcnCodepoint::NotEct)
        );
        assert!(!ecn.on_ack(&feedback(2, Some(counts(2, 0)), counts(0, 0), 10)));
        assert_eq!(
            (ecn.state(), ecn.codepoint()),
            (EcnState::Capable, EcnCodepoint::Ect0)
        );
    }

    #[test]
    fn three_ptos_end_the_test_too() {
        let mut ecn = sent(2);
        ecn.on_packet_sent(Instant::from_nanos(1) + PTO.times(3), PTO);
        assert_eq!(ecn.state(), EcnState::Unknown);
    }

    #[test]
    fn a_peer_that_never_reports_switches_it_off() {
        let mut ecn = sent(10);
        ecn.on_ack(&feedback(0, None, counts(0, 0), 10));
        assert_eq!(ecn.state(), EcnState::Unknown);
        ecn.on_ack(&feedback(1, None, counts(0, 0), 10));
        assert_eq!(ecn.state(), EcnState::Failed);
    }

    // [rfc9000-13.4.2.2-1] [rfc9000-13.4.2.2-2]
    #[test]
    fn wrong_counts_switch_it_off_at_any_time() {
        let wrong = [
            // The network clears marks.
            feedback(3, Some(counts(7, 0)), counts(5, 0), 20),
            // A count falls.
            feedback(1, Some(counts(4, 5)), counts(5, 0), 20),
            // ECT(0) becomes ECT(1).
            feedback(1, Some(ecn_counts(6, 1, 0)), counts(5, 0), 20),
            // More marks than packets.
            feedback(1, Some(counts(21, 0)), counts(5, 0), 20),
            feedback(1, Some(counts(11, 10)), counts(5, 0), 20),
        ];
        for wrong in wrong {
            let mut ecn = sent(10);
            ecn.on_ack(&feedback(5, Some(counts(5, 0)), counts(0, 0), 10));
            assert_eq!(ecn.state(), EcnState::Capable);
            assert!(!ecn.on_ack(&wrong));
            assert_eq!(ecn.state(), EcnState::Failed, "{wrong:?}");
            assert!(!ecn.on_ack(&feedback(1, Some(counts(6, 1)), counts(5, 0), 20)));
        }
    }

    #[test]
    fn new_ce_is_congestion() {
        let mut ecn = sent(10);
        assert!(ecn.on_ack(&feedback(3, Some(counts(2, 1)), counts(0, 0), 10)));
        assert!(!ecn.on_ack(&feedback(1, Some(counts(3, 1)), counts(2, 1), 10)));
        // A missed ACK frame: the counts may grow by more than is newly acknowledged.
        assert!(ecn.on_ack(&feedback(1, Some(counts(3, 4)), counts(3, 1), 10)));
        assert_eq!(ecn.state(), EcnState::Capable);
    }

    #[test]
    fn a_path_that_marks_everything_fails() {
        let mut ecn = sent(10);
        assert!(ecn.on_ack(&feedback(9, Some(counts(0, 9)), counts(0, 0), 10)));
        assert!(!ecn.on_ack(&feedback(1, Some(counts(0, 10)), counts(0, 9), 10)));
        assert_eq!(ecn.state(), EcnState::Failed);
    }

    #[test]
    fn a_path_that_drops_every_mark_fails() {
        let mut ecn = sent(10);
        ecn.on_packets_lost(9);
        assert_eq!(ecn.state(), EcnState::Unknown);
        ecn.on_packets_lost(1);
        assert_eq!(ecn.state(), EcnState::Failed);
        let mut short = sent(1);
        short.on_packets_lost(1);
        assert_eq!(short.state(), EcnState::Testing);
    }

    #[test]
    fn disabled_means_never_marked() {
        let mut ecn = EcnValidator::new(false);
        ecn.on_packet_sent(Instant::from_nanos(1), PTO);
        assert_eq!(ecn.codepoint(), EcnCodepoint::NotEct);
    }

    #[test]
    fn the_field_is_the_low_two_bits() {
        for (tos, expected) in [
            (0xb8, EcnCodepoint::NotEct),
            (0x01, EcnCodepoint::Ect1),
            (0x02, EcnCodepoint::Ect0),
            (0xff, EcnCodepoint::Ce),
        ] {
            assert_eq!(EcnCodepoint::from_tos(tos), expected);
            assert_eq!(expected as u8, tos & 3);
        }
    }

    proptest! {
        #[test]
        fn extreme_counts(newly in any::<u64>(), c in proptest::array::uniform6(0..1_u64 << 62), sent_ect0 in any::<u64>()) {
            let mut ecn = sent(10);
            let counts = ecn_counts(c[0], c[1], c[2]);
            let previous = ecn_counts(c[3], c[4], c[5]);
            let feedback = EcnFeedback { newly_acked_ect0: newly, counts: Some(counts), previous, sent_ect0 };
            let congested = ecn.on_ack(&feedback);
            prop_assert!(!congested || c[2] > c[5]);
        }
    }
}
