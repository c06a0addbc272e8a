// SPDX-License-Identifier: GPL-2.0 OR MIT

use super::*;
use crate::testing::{ecn_counts, pn};
use kernel::alloc::flags::GFP_ATOMIC;
use proptest::prelude::*;

const MAX_ACK_DELAY: Duration = Duration::from_millis(25);

fn at(millis: u64) -> Instant {
    Instant::from_nanos(0) + Duration::from_millis(millis)
}

fn receiver() -> Receiver {
    Receiver::new(PacketNumberSpace::ApplicationData, MAX_ACK_DELAY)
}

impl Receiver {
    fn eliciting(&mut self, n: u64, now: Instant) -> AckTiming {
        self.on_packet_received(pn(n), true, EcnCodepoint::NotEct, now, GFP_ATOMIC);
        self.timing(now)
    }

    fn marked(&mut self, n: u64, ecn: EcnCodepoint) -> AckTiming {
        self.on_packet_received(pn(n), true, ecn, at(1), GFP_ATOMIC);
        self.timing(at(1))
    }
}

// [rfc9000-13.2.1-1] [rfc9000-13.2.1-2] [rfc9000-13.2.1-3]
#[test]
fn every_second_packet_or_after_the_delay() {
    let mut received = receiver();
    assert_eq!(received.eliciting(0, at(1)), AckTiming::At(at(26)));
    assert_eq!(received.timing(at(26)), AckTiming::Now);
    assert_eq!(received.eliciting(1, at(2)), AckTiming::Now);
    received.on_ack_sent(pn(0), false);
    assert_eq!(received.timing(at(100)), AckTiming::None);
    assert!(!received.has_unacked());
    assert_eq!(received.eliciting(2, at(3)), AckTiming::At(at(28)));
}

// [rfc9000-13.2.1-3] [rfc9000-13.4.1-1]
#[test]
fn a_batch_is_acknowledged_once() {
    let mut received = receiver();
    for n in 0..64 {
        received.on_packet_received(pn(n), true, EcnCodepoint::Ect0, at(1), GFP_ATOMIC);
    }
    assert_eq!(received.timing(at(1)), AckTiming::Now);
    received.on_ack_sent(pn(0), false);
    assert_eq!(received.timing(at(1)), AckTiming::None);
    assert_eq!(received.ecn_counts(), Some(ecn_counts(64, 0, 0)));
}

// [rfc9000-13.2.1-2]
#[test]
fn handshake_packets_are_acknowledged_at_once() {
    for space in [PacketNumberSpace::Initial, PacketNumberSpace::Handshake] {
        let mut received = Receiver::new(space, MAX_ACK_DELAY);
        assert_eq!(received.eliciting(0, at(1)), AckTiming::Now);
    }
}

// [rfc9000-13.2.1-4] [rfc9000-13.4.1-1]
#[test]
fn packets_that_elicit_nothing_are_acknowledged_with_others() {
    let mut received = receiver();
    for n in [0, 1, 5, 4] {
        received.on_packet_received(pn(n), false, EcnCodepoint::Ce, at(1), GFP_ATOMIC);
        assert_eq!(received.timing(at(1000)), AckTiming::None);
    }
    assert_eq!(received.ranges().len(), 2);
    assert_eq!(received.ecn_counts(), Some(ecn_counts(0, 0, 4)));
}

#[test]
fn a_gap_and_its_filling_are_told_at_once() {
    let mut received = receiver();
    received.eliciting(0, at(1));
    assert_eq!(received.eliciting(2, at(1)), AckTiming::Now);
    received.on_ack_sent(pn(0), false);
    assert_eq!(received.eliciting(1, at(1)), AckTiming::Now);
    received.on_ack_sent(pn(1), false);
    // In order again: an old gap is not told again and again.
    received.eliciting(9, at(1));
    received.on_ack_sent(pn(2), false);
    assert_eq!(received.eliciting(10, at(1)), AckTiming::At(at(26)));
}

#[test]
fn missing_packets_that_came_without_eliciting_are_no_gap() {
    let mut received = receiver();
    received.eliciting(0, at(1));
    received.on_ack_sent(pn(0), false);
    received.on_packet_received(pn(1), false, EcnCodepoint::NotEct, at(1), GFP_ATOMIC);
    assert_eq!(received.eliciting(2, at(1)), AckTiming::At(at(26)));
}

#[test]
fn the_first_packet_may_have_any_number() {
    assert_eq!(receiver().eliciting(7, at(1)), AckTiming::At(at(26)));
}

#[test]
fn ce_is_told_at_once() {
    let mut received = receiver();
    received.marked(0, EcnCodepoint::Ect0);
    received.on_ack_sent(pn(0), false);
    for n in 1..4 {
        assert_eq!(received.marked(n, EcnCodepoint::Ce), AckTiming::Now);
        received.on_ack_sent(pn(n), false);
    }
}

fn frequency(sequence: u64, threshold: u64, reordering: u64) -> AckFrequency {
    let field = |value| VarInt::new(value).unwrap();
    AckFrequency {
        sequence: field(sequence),
        ack_eliciting_threshold: field(threshold),
        requested_max_ack_delay: field(MAX_ACK_DELAY.as_micros()),
        reordering_threshold: field(reordering),
    }
}

#[test]
fn with_a_large_threshold_only_the_first_ce_of_a_row() {
    let mut received = receiver();
    received.on_ack_frequency(&frequency(0, 10, 1));
    let mut timings = Vec::new();
    for (n, ce) in [false, true, true, false, true].into_iter().enumerate() {
        timings.push(received.marked(
            n as u64,
            if ce {
                EcnCodepoint::Ce
            } else {
                EcnCodepoint::Ect0
            },
        ));
        received.on_ack_sent(pn(n as u64), false);
    }
    assert_eq!(
        timings
            .iter()
            .map(|t| *t == AckTiming::Now)
            .collect::<Vec<_>>(),
        [false, true, false, false, true]
    );
}

#[test]
fn ack_frequency_sets_the_threshold_and_the_delay() {
    let mut received = receiver();
    let frame = AckFrequency {
        requested_max_ack_delay: VarInt::from_u32(5_000),
        ..frequency(3, 9, 0)
    };
    received.on_ack_frequency(&frame);
    for n in 0..9 {
        // Out of order on purpose: threshold 0 for reordering asks for no haste.
        assert_eq!(received.eliciting(90 - n * 10, at(1)), AckTiming::At(at(6)));
    }
    assert_eq!(received.eliciting(100, at(1)), AckTiming::Now);
    // An obsolete frame changes nothing, a newer one does.
    received.on_ack_sent(pn(0), false);
    received.on_ack_frequency(&frequency(3, 0, 1));
    assert_eq!(received.eliciting(101, at(1)), AckTiming::At(at(6)));
    received.on_ack_frequency(&frequency(4, 0, 1));
    assert_eq!(received.timing(at(1)), AckTiming::Now);
}

/// The tables of draft-ietf-quic-ack-frequency §6.2.1.
#[test]
fn the_examples_of_the_draft() {
    type Row = (u64, bool);
    let tables: [(u64, &[Row]); 2] = [
        (
            3,
            &[
                (0, false),
                (1, false),
                (3, false),
                (4, false),
                (5, true),
                (8, false),
                (9, true),
                (10, true),
            ],
        ),
        (
            5,
            &[
                (0, false),
                (1, false),
                (3, false),
                (5, false),
                (6, false),
                (7, true),
                (8, false),
                (9, true),
            ],
        ),
    ];
    for (reordering, rows) in tables {
        let mut received = receiver();
        received.on_ack_frequency(&frequency(0, 1000, reordering));
        for (n, expected) in rows {
            let now = received.eliciting(*n, at(1)) == AckTiming::Now;
            assert_eq!(now, *expected, "threshold {reordering}, packet {n}");
            if now {
                received.on_ack_sent(pn(*n), false);
            }
        }
    }
}

#[test]
fn a_packet_beyond_the_reordering_window_is_told_at_once() {
    let mut received = receiver();
    received.on_ack_frequency(&frequency(0, 1000, 3));
    for n in [0, 1, 2, 4, 5, 6, 7, 8] {
        received.eliciting(n, at(1));
    }
    received.on_ack_sent(pn(0), false);
    assert_eq!(received.eliciting(3, at(1)), AckTiming::Now);
}

#[test]
fn immediate_ack() {
    let mut received = receiver();
    received.on_immediate_ack();
    assert_eq!(received.eliciting(0, at(1)), AckTiming::Now);
}

// [rfc9000-12.3-4] [rfc9000-13.2.3-1]
#[test]
fn ranges_are_forgotten_when_the_peer_has_our_ack() {
    let mut received = receiver();
    for n in [0, 1, 5, 6] {
        received.eliciting(n, at(1));
    }
    received.on_ack_sent(pn(10), false);
    received.on_ack_sent(pn(11), true);
    received.eliciting(9, at(1));
    received.on_ack_sent(pn(12), true);
    received.on_ack_acked(pn(12));
    assert_eq!(
        received.ranges().len(),
        2,
        "what packet 11 carried, 12 carried too"
    );
    let mut received = receiver();
    for n in [0, 1, 5, 6] {
        received.eliciting(n, at(1));
    }
    received.on_ack_sent(pn(11), true);
    received.eliciting(9, at(1));
    received.on_ack_acked(pn(11));
    let ranges: Vec<_> = received.ranges().collect();
    assert_eq!(
        ranges,
        [AckRange::new(9, 9).unwrap(), AckRange::new(6, 6).unwrap()]
    );
    assert!(
        received.is_duplicate(pn(3))
            && received.is_duplicate(pn(6))
            && !received.is_duplicate(pn(7))
    );
}

#[test]
fn a_lost_ack_is_not_followed() {
    let mut received = receiver();
    received.eliciting(0, at(1));
    received.on_ack_sent(pn(3), true);
    received.on_ack_lost(pn(3));
    received.eliciting(5, at(1));
    received.on_ack_sent(pn(4), true);
    received.on_ack_acked(pn(4));
    assert_eq!(
        received.ranges().collect::<Vec<_>>(),
        [AckRange::new(5, 5).unwrap()]
    );
}

// [rfc9000-13.2.1-5]
#[test]
fn a_ping_now_and_then_for_whoever_only_acknowledges() {
    let mut received = receiver();
    let mut n = 0;
    while !received.wants_ping() {
        received.eliciting(n * 2, at(1));
        received.on_ack_sent(pn(n), false);
        n += 1;
        assert!(n < 100);
    }
    received.on_ack_sent(pn(n), true);
    assert!(!received.wants_ping());
    received.on_ack_acked(pn(n));
    assert_eq!(received.ranges().len(), 1);
}

// [rfc9000-13.2.5-1]
#[test]
fn the_delay_is_written_in_our_unit_and_read_in_the_peers() {
    let mut received = receiver();
    received.eliciting(0, at(1));
    received.eliciting(1, at(2));
    received.eliciting(0, at(3));
    // 8 ms after the largest came, exponent 3: units of 8 us.
    assert_eq!(received.ack_delay(at(10), 3).get(), 1000);
    assert_eq!(received.ack_delay(at(10), 20), VarInt::ZERO);
    assert_eq!(received.ack_delay(at(10), 255), VarInt::ZERO);
    assert_eq!(
        decode_ack_delay(VarInt::from_u32(1000), 3),
        Duration::from_millis(8)
    );
    assert_eq!(
        decode_ack_delay(VarInt::from_u32(1000), 0),
        Duration::from_millis(1)
    );
    assert_eq!(decode_ack_delay(VarInt::MAX, 20), Duration::MAX);
    assert_eq!(decode_ack_delay(VarInt::from_u32(0), 64), Duration::MAX);
}

#[test]
fn the_object_is_small() {
    assert_eq!(size_of::<Receiver>(), 248);
}

proptest! {
    /// Against the two rules of RFC 9000 §13.2.1, told from scratch for each packet.
    #[test]
    fn immediate_as_the_rfc_says(packets in proptest::collection::vec((0_u64..40, any::<bool>()), 1..60)) {
        let mut received = receiver();
        let (mut seen, mut eliciting) = (Vec::new(), Vec::new());
        for (n, elicits) in packets {
            if seen.contains(&n) {
                prop_assert!(received.is_duplicate(pn(n)));
                continue;
            }
            seen.push(n);
            received.on_packet_received(pn(n), elicits, EcnCodepoint::NotEct, at(1), GFP_ATOMIC);
            if !elicits {
                continue;
            }
            let highest = eliciting.iter().copied().max();
            let reordered = highest.is_some_and(|highest| n < highest);
            let gap = highest.is_some_and(|highest| (highest..n).any(|between| !seen.contains(&between)));
            eliciting.push(n);
            if reordered || gap {
                prop_assert_eq!(received.timing(at(1)), AckTiming::Now);
            } else if !received.immediate {
                // Two at most wait.
                prop_assert!(received.unacked <= 2);
            }
            if received.timing(at(1)) == AckTiming::Now {
                received.on_ack_sent(pn(n), false);
            }
        }
    }

    #[test]
    fn extreme_numbers(packets in proptest::collection::vec((0..1_u64 << 62, any::<u64>()), 0..100), reordering in 0..1_u64 << 62) {
        let mut received = receiver();
        received.on_ack_frequency(&frequency((1 << 62) - 1, (1 << 62) - 1, reordering));
        for (n, nanos) in packets {
            let now = Instant::from_nanos(nanos);
            received.on_packet_received(pn(n), true, EcnCodepoint::Ce, now, GFP_ATOMIC);
            received.timing(now);
            received.ack_delay(now, 0);
            received.on_ack_sent(pn(n), true);
            received.on_ack_acked(pn(n));
            prop_assert!(received.is_duplicate(pn(n)));
        }
    }
}
