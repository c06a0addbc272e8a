// SPDX-License-Identifier: GPL-2.0 OR MIT

use super::*;
use crate::testing::pn;
use kernel::alloc::{flags::GFP_ATOMIC, inject};
use proptest::prelude::*;
use std::collections::BTreeMap;

/// What a connection would put there: a piece of a stream.
#[derive(Copy, Clone, Debug, Default, PartialEq)]
struct StreamPiece {
    offset: u64,
    stream: u64,
    len: u16,
    fin: bool,
}

const TRACKED: SentFlags = SentFlags::ACK_ELICITING.with(SentFlags::IN_FLIGHT);

fn packet(time: u64, flags: SentFlags) -> SentPacket<u64> {
    SentPacket::new(Instant::from_nanos(time), 1200, 0, flags, time)
}

/// Packets 0 to `count` excluded, packet n sent at n.
fn sent(count: u64) -> SentPackets<u64> {
    let mut sent = SentPackets::new();
    sent.reserve(count as usize, GFP_ATOMIC).unwrap();
    for n in 0..count {
        sent.record(pn(n), &packet(n, TRACKED)).unwrap();
    }
    sent
}

impl SentPackets<u64> {
    fn ack(&mut self, start: u64, end: u64) -> Vec<u64> {
        let mut newly = Vec::new();
        self.acknowledge(AckRange::new(start, end).unwrap(), |run| {
            for (pn, packet) in run {
                assert_eq!(packet.content, pn.get());
                newly.push(pn.get());
            }
        })
        .unwrap();
        newly
    }

    fn lost(&mut self, largest_acked: u64, threshold: u64) -> Vec<u64> {
        let mut lost = Vec::new();
        self.detect_lost(pn(largest_acked), |scanned| match scanned {
            Scanned::Outstanding(pn, _) if largest_acked >= pn.get() + threshold => {
                lost.push(pn.get());
                true
            }
            _ => false,
        });
        lost
    }
}

#[test]
fn a_record_is_forty_bytes() {
    assert_eq!(size_of::<StreamPiece>(), 24);
    assert_eq!(size_of::<Slot<StreamPiece>>(), 40);
    assert_eq!(size_of::<SentPackets<StreamPiece>>(), 88);
}

#[test]
fn an_acknowledgment_is_new_once() {
    let mut sent = sent(10);
    assert_eq!(sent.ack(2, 5), [2, 3, 4, 5]);
    assert_eq!(sent.ack(0, 7), [6, 7, 0, 1]);
    assert_eq!(sent.ack(0, 7), []);
    sent.forget(Instant::from_nanos(0));
    assert_eq!(sent.span(), 2);
    assert_eq!(sent.ack(0, 9), [8, 9]);
    sent.forget(Instant::from_nanos(0));
    assert!(sent.is_empty());
    assert_eq!(sent.ack(0, 9), []);
}

#[test]
fn what_was_never_sent_cannot_be_acknowledged() {
    let mut sent = sent(3);
    sent.reserve(5, GFP_ATOMIC).unwrap();
    let range = |start, end| AckRange::new(start, end).unwrap();
    assert_eq!(sent.acknowledge(range(0, 3), |_| ()), Err(NeverSent));
    assert_eq!(
        sent.acknowledge(range(0, (1 << 62) - 1), |_| ()),
        Err(NeverSent)
    );
    // Packet 3 is left out.
    sent.record(pn(4), &packet(4, TRACKED)).unwrap();
    assert_eq!(sent.last_skipped(), Some(pn(3)));
    assert_eq!(sent.acknowledge(range(3, 4), |_| ()), Err(NeverSent));
    assert_eq!(sent.ack(0, 2), [0, 1, 2]);
    // It stays a trap until its neighbour is acknowledged.
    let mut again = SentPackets::new();
    again.reserve(5, GFP_ATOMIC).unwrap();
    again.record(pn(0), &packet(0, TRACKED)).unwrap();
    again.record(pn(2), &packet(2, TRACKED)).unwrap();
    assert_eq!(again.ack(0, 0), [0]);
    again.forget(Instant::from_nanos(0));
    assert_eq!(again.acknowledge(range(0, 2), |_| ()), Err(NeverSent));
    let mut honest = SentPackets::new();
    honest.reserve(5, GFP_ATOMIC).unwrap();
    honest.record(pn(1), &packet(1, TRACKED)).unwrap();
    assert_eq!(honest.ack(1, 1), [1]);
    honest.forget(Instant::from_nanos(0));
    assert!(honest.is_empty());
}

#[test]
fn packets_that_elicit_nothing_leave_no_trace() {
    let mut sent = SentPackets::new();
    for n in 0..1000 {
        sent.reserve(2, GFP_ATOMIC).unwrap();
        sent.record(pn(n), &packet(n, SentFlags::HAS_ACK)).unwrap();
        assert!(sent.is_empty());
    }
    assert_eq!(sent.slots.chunks(), 2);
    sent.reserve(2, GFP_ATOMIC).unwrap();
    sent.record(pn(1000), &packet(1000, TRACKED)).unwrap();
    sent.record(pn(1001), &packet(1001, SentFlags::NONE))
        .unwrap();
    assert_eq!(sent.span(), 2);
    assert_eq!(sent.ack(999, 1001), [1000]);
}

#[test]
fn the_lost_are_remembered_for_a_while() {
    let mut sent = sent(10);
    assert_eq!(sent.ack(5, 5), [5]);
    assert_eq!(sent.lost(5, 3), [0, 1, 2]);
    assert_eq!(sent.lost(5, 3), []);
    assert_eq!(
        sent.outstanding()
            .map(|(pn, _)| pn.get())
            .collect::<Vec<_>>(),
        [3, 4, 6, 7, 8, 9]
    );
    sent.forget(Instant::from_nanos(1));
    let mut late = Vec::new();
    let range = AckRange::new(0, 2).unwrap();
    sent.acknowledge(range, |run| {
        late.extend(run.map(|(pn, packet)| (pn.get(), packet.is_lost())))
    })
    .unwrap();
    assert_eq!(late, [(1, true), (2, true)]);
}

#[test]
fn a_search_meets_acknowledged_packets_between() {
    let mut sent = sent(10);
    sent.ack(1, 2);
    sent.ack(9, 9);
    let mut seen = Vec::new();
    sent.detect_lost(pn(9), |scanned| {
        seen.push(match scanned {
            Scanned::Acked => None,
            Scanned::Outstanding(pn, _) => Some(pn.get()),
        });
        seen.last() != Some(&Some(4))
    });
    assert_eq!(seen, [Some(0), None, None, Some(3), Some(4)]);
}

#[test]
fn discarded_packets_are_neither_acknowledged_nor_lost() {
    let mut sent = sent(6);
    sent.discard(|pn, _| pn.get() != 3);
    assert_eq!(
        sent.outstanding()
            .map(|(pn, _)| pn.get())
            .collect::<Vec<_>>(),
        [3]
    );
    assert_eq!(sent.ack(0, 5), [3]);
    sent.discard(|_, _| true);
    sent.forget(Instant::from_nanos(0));
    assert!(sent.is_empty());
}

#[test]
fn growth_keeps_everything() {
    let mut sent = sent(16);
    sent.ack(0, 9);
    sent.forget(Instant::from_nanos(0));
    // Slots are now reused across the end of the ring.
    sent.reserve(10, GFP_ATOMIC).unwrap();
    for n in 16..26 {
        sent.record(pn(n), &packet(n, TRACKED)).unwrap();
    }
    sent.reserve(100, GFP_ATOMIC).unwrap();
    assert_eq!(sent.ack(0, 25), (10..26).collect::<Vec<_>>());
}

#[test]
fn without_memory_nothing_changes() {
    let mut sent = sent(25);
    let (result, failed) = inject::fail_nth(0, || sent.reserve(1, GFP_ATOMIC));
    assert!(failed && result.is_err());
    assert!(sent.record(pn(25), &packet(25, TRACKED)).is_err());
    assert!(sent
        .record(PacketNumber::MAX, &packet(25, TRACKED))
        .is_err());
    assert!(sent.reserve(usize::MAX, GFP_ATOMIC).is_err());
    assert_eq!((sent.next(), sent.last_skipped()), (Some(pn(25)), None));
    assert_eq!(sent.ack(0, 24).len(), 25);
}

#[test]
fn memory_returns_when_idle() {
    let mut sent = sent(1000);
    sent.ack(0, 999);
    sent.forget(Instant::from_nanos(0));
    assert_eq!(sent.slots.chunks(), 0);
    sent.reserve(1, GFP_ATOMIC).unwrap();
    sent.record(pn(1000), &packet(1000, TRACKED)).unwrap();
    sent.trim();
    assert_eq!(sent.slots.chunks(), 1);
    sent.ack(1000, 1000);
    sent.forget(Instant::from_nanos(0));
    assert_eq!(sent.slots.chunks(), 1);
    sent.trim();
    assert_eq!(sent.slots.chunks(), 0);
    // A lost packet is no reason to keep it.
    sent.reserve(4, GFP_ATOMIC).unwrap();
    for n in 1001..1005 {
        sent.record(pn(n), &packet(n, TRACKED)).unwrap();
    }
    sent.ack(1002, 1004);
    assert_eq!(sent.lost(1004, 3), [1001]);
    sent.trim();
    assert_eq!((sent.slots.chunks(), sent.lost), (0, 0));
    assert_eq!(sent.ack(1001, 1004), []);
}

/// A lost packet pins the old end; every ACK frame repeats all that came after it.
#[test]
fn repeated_ranges_are_stepped_over() {
    let mut sent = sent(10_000);
    let mut steps = 0;
    for end in (2..10_000).step_by(2) {
        let newly = sent.ack(1, end);
        assert_eq!(newly.len(), 2);
        // Walk as `acknowledge` would for the same range again.
        let mut at = end;
        while let Some(Slot::Acked { first }) = sent.slot(at) {
            steps += 1;
            at = first - 1;
        }
        assert_eq!(at, 0);
    }
    assert!(steps <= 5_000, "{steps} steps for 5000 frames");
}

#[derive(Copy, Clone, Debug)]
enum Step {
    Send { skip: bool, tracked: bool },
    Ack { start: u64, len: u64 },
    Forget { age: u64 },
    Discard { modulus: u64 },
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        8 => (0_u8..20, 0_u8..5).prop_map(|(skip, tracked)| Step::Send { skip: skip == 0, tracked: tracked > 0 }),
        4 => (0_u64..40, 0_u64..20).prop_map(|(start, len)| Step::Ack { start, len }),
        1 => (0_u64..40).prop_map(|age| Step::Forget { age }),
        1 => (20_u64..40).prop_map(|modulus| Step::Discard { modulus }),
    ]
}

#[derive(Copy, Clone, Debug, PartialEq)]
enum Fate {
    Outstanding,
    Acked,
    Lost,
    Skipped,
    Untracked,
}

proptest! {
    /// Against a map of all packets ever sent, searched from end to end.
    #[test]
    fn agrees_with_a_naive_model(steps in proptest::collection::vec(step(), 0..300)) {
        let mut sent = SentPackets::new();
        let mut model: BTreeMap<u64, Fate> = BTreeMap::new();
        let mut largest_acked = None;
        for (time, step) in steps.into_iter().enumerate() {
            let next = model.len() as u64;
            match step {
                Step::Send { skip, tracked } => {
                    sent.reserve(2, GFP_ATOMIC).unwrap();
                    let n = next + u64::from(skip);
                    if skip {
                        model.insert(next, Fate::Skipped);
                    }
                    model.insert(n, if tracked { Fate::Outstanding } else { Fate::Untracked });
                    let flags = if tracked { TRACKED } else { SentFlags::NONE };
                    let packet = SentPacket::new(Instant::from_nanos(time as u64), 1, 0, flags, n);
                    sent.record(pn(n), &packet).unwrap();
                }
                Step::Ack { start, len } => {
                    // Counted from the newest packet downwards, as ACK frames are.
                    let Some(end) = next.checked_sub(1 + start) else { continue };
                    let start = end.saturating_sub(len);
                    // An honest peer.
                    if (start..=end).any(|pn| model[&pn] == Fate::Skipped) {
                        continue;
                    }
                    let mut expected = Vec::new();
                    for pn in start..=end {
                        let fate = model.get_mut(&pn).unwrap();
                        if matches!(fate, Fate::Outstanding | Fate::Lost) {
                            expected.push((pn, *fate == Fate::Lost));
                            *fate = Fate::Acked;
                        }
                    }
                    let mut newly = Vec::new();
                    sent.acknowledge(AckRange::new(start, end).unwrap(), |run| {
                        for (pn, packet) in run {
                            assert_eq!(packet.content, pn.get());
                            newly.push((pn.get(), packet.is_lost()));
                        }
                    }).unwrap();
                    newly.sort_unstable();
                    prop_assert_eq!(newly, expected);
                    largest_acked = largest_acked.max(Some(end));
                    let largest = largest_acked.unwrap();
                    let mut expected = Vec::new();
                    for (pn, fate) in &mut model {
                        if *fate == Fate::Outstanding && pn + 3 <= largest {
                            expected.push(*pn);
                            *fate = Fate::Lost;
                        }
                    }
                    prop_assert_eq!(sent.lost(largest, 3), expected);
                }
                Step::Forget { age } => {
                    let cutoff = Instant::from_nanos((time as u64).saturating_sub(age));
                    let base = sent.base;
                    sent.forget(cutoff);
                    for pn in base..sent.base {
                        prop_assert_ne!(model[&pn], Fate::Outstanding);
                        // Forgotten for good: a later acknowledgment is not new.
                        model.insert(pn, Fate::Acked);
                    }
                }
                Step::Discard { modulus } => {
                    sent.discard(|pn, _| pn.get() % modulus == 0);
                    for (pn, fate) in &mut model {
                        if *fate == Fate::Outstanding && pn % modulus == 0 {
                            *fate = Fate::Untracked;
                        }
                    }
                }
            }
            let outstanding: Vec<u64> = sent.outstanding().map(|(pn, _)| pn.get()).collect();
            let expected: Vec<u64> =
                model.iter().filter(|(_, fate)| **fate == Fate::Outstanding).map(|(pn, _)| *pn).collect();
            prop_assert_eq!(outstanding, expected);
        }
    }
}

#[test]
fn ranges_with_other_ends_are_stepped_over() {
    let mut sent = sent(1000);
    // The first packet is missing, so that nothing is forgotten.
    for start in [1, 2] {
        for n in (start..1000).step_by(2) {
            sent.ack(n, n);
        }
    }
    let steps = |sent: &SentPackets<u64>, from: u64| {
        let mut at = from;
        let mut steps = 0;
        while let Some(Slot::Acked { first }) = sent.slot(at) {
            steps += 1;
            at = first - 1;
        }
        assert_eq!(at, 0);
        steps
    };
    assert_eq!(steps(&sent, 999), 500);
    assert_eq!(sent.ack(1, 999), []);
    for from in 1..1000 {
        assert!(steps(&sent, from) <= 2, "{from}");
    }
}
