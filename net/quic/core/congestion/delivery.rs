// SPDX-License-Identifier: GPL-2.0 OR MIT

//! [`Delivery`]: how fast a path delivers, sampled at each acknowledgment (draft-ietf-ccwg-bbr
//! §4.1, Delivery Rate Samples).
//!
//! The draft stores a snapshot of the path with every packet and recommends one for each aggregate
//! instead. Here the packets that leave at one instant, a batch of up to 64 KiB, share a
//! [`Snapshot`]; a packet remembers its number in 16 bits. Snapshots are taken only for a
//! congestion controller that asks for samples.
//!
//! Names are the draft's: what it calls C.x is a field of [`Delivery`], P.x of [`Snapshot`], RS.x
//! of [`RateSample`].

use crate::rate::Rate;
use crate::time::{Duration, Instant};
use kernel::alloc::{Flags, KVec};

/// The number of a packet without a snapshot.
pub(crate) const NO_BURST: u16 = u16::MAX;

/// The most snapshots at a time: half the 16-bit numbers, so that old and new are never confused. A
/// packet for which there is no room shares the newest.
const LARGEST: usize = 1 << 14;

/// The first ring: 448 bytes.
const SMALLEST: usize = 8;

/// The state of the path when a burst left.
#[derive(Copy, Clone, Debug, Default)]
pub struct Snapshot {
    delivered: u64,
    delivered_time: Instant,
    first_send_time: Instant,
    send_time: Instant,
    lost: u64,
    tx_in_flight: u64,
    /// Packets whose fate is open; the snapshot is forgotten with the last.
    packets: u32,
    is_app_limited: bool,
}

/// What an acknowledgment says about the rate of delivery.
#[derive(Copy, Clone, Debug, Default)]
pub struct RateSample {
    /// RS.delivery_rate; zero if the sample is not reliable.
    pub delivery_rate: Rate,
    /// RS.delivered: bytes delivered between the transmission of the packet just acknowledged and
    /// now.
    pub delivered: u64,
    /// RS.prior_delivered: P.delivered of the newest packet acknowledged.
    pub prior_delivered: u64,
    /// RS.tx_in_flight: bytes in flight when it was sent, itself included.
    pub tx_in_flight: u64,
    /// RS.lost: bytes declared lost between its transmission and now.
    pub lost: u64,
    /// RS.is_app_limited.
    pub is_app_limited: bool,
}

/// A packet just declared lost, as its snapshot shows it.
#[derive(Copy, Clone, Debug, Default)]
pub struct LossSample {
    /// RS.tx_in_flight.
    pub tx_in_flight: u64,
    /// RS.lost, the packet included.
    pub lost: u64,
    /// RS.is_app_limited.
    pub is_app_limited: bool,
}

/// The newest packet that an ACK frame newly acknowledges.
#[derive(Copy, Clone, Debug)]
pub(crate) struct Newest {
    pub(crate) time_sent: Instant,
    pub(crate) burst: u16,
}

/// The delivery state of a path.
///
/// # Invariants
///
/// `bursts` has a power of two of elements or none. `live` is at most that. The snapshots with
/// numbers `first..first + live`, modulo 2^16, are in their slot modulo the number of elements.
#[derive(Debug, Default)]
pub struct Delivery {
    delivered: u64,
    delivered_time: Instant,
    first_send_time: Instant,
    lost: u64,
    /// C.app_limited: the path is limited by the application until so much is delivered; 0 if it
    /// is not.
    app_limited: u64,
    bursts: KVec<Snapshot>,
    first: u16,
    live: u16,
}

impl Delivery {
    /// A path over which nothing was sent.
    pub(crate) const fn new() -> Self {
        Self {
            delivered: 0,
            delivered_time: Instant::from_nanos(0),
            first_send_time: Instant::from_nanos(0),
            lost: 0,
            app_limited: 0,
            bursts: KVec::new(),
            first: 0,
            live: 0,
        }
    }

    /// C.delivered: bytes delivered so far.
    pub const fn delivered(&self) -> u64 {
        self.delivered
    }

    /// C.lost: bytes declared lost so far.
    pub const fn lost(&self) -> u64 {
        self.lost
    }

    /// Whether the path is limited by the application.
    pub const fn is_app_limited(&self) -> bool {
        self.app_limited != 0
    }

    /// MarkConnectionAppLimited().
    pub(crate) fn mark_app_limited(&mut self, in_flight: u64) {
        self.app_limited = self.delivered.saturating_add(in_flight).max(1);
    }

    /// OnPacketSent(): returns the number of the snapshot that the packet belongs to. `in_flight`
    /// includes the packet.
    pub(crate) fn on_packet_sent(
        &mut self,
        now: Instant,
        size: u16,
        in_flight: u64,
        flags: Flags,
    ) -> u16 {
        if in_flight <= u64::from(size) {
            self.first_send_time = now;
            self.delivered_time = now;
        }
        let newest = self.first.wrapping_add(self.live).wrapping_sub(1);
        if let Some(burst) = self.get_mut(newest).filter(|burst| burst.send_time == now) {
            burst.packets = burst.packets.saturating_add(1);
            burst.tx_in_flight = in_flight;
            return newest;
        }
        let number = self.open(now, flags).unwrap_or(newest);
        match self.get_mut(number) {
            Some(burst) => {
                burst.packets = burst.packets.saturating_add(1);
                burst.tx_in_flight = in_flight;
                number
            }
            None => NO_BURST,
        }
    }

    /// UpdateRateSample(), the part for each packet, for some of one burst.
    pub(crate) fn on_packets_acked(&mut self, bytes: u64, packets: u64, burst: u16, now: Instant) {
        self.delivered = self.delivered.saturating_add(bytes);
        self.delivered_time = now;
        self.settle(burst, packets);
    }

    /// A packet was declared lost. Its snapshot is not needed any more, even if it arrives after
    /// all.
    pub(crate) fn on_packet_lost(&mut self, size: u16, burst: u16) -> LossSample {
        self.lost = self.lost.saturating_add(u64::from(size));
        let sample = self
            .get(burst)
            .map_or_else(LossSample::default, |burst| LossSample {
                tx_in_flight: burst.tx_in_flight,
                lost: self.lost.saturating_sub(burst.lost),
                is_app_limited: burst.is_app_limited,
            });
        self.settle(burst, 1);
        sample
    }

    /// A packet was taken out of the books.
    pub(crate) fn on_packet_discarded(&mut self, burst: u16) {
        self.settle(burst, 1);
    }

    /// GenerateRateSample(), after [`Self::on_packets_acked`] for all packets of an ACK frame and
    /// the detection of losses.
    ///
    /// `min_rtt` rejects intervals that no round trip fits into.
    pub(crate) fn sample(&mut self, newest: Option<Newest>, min_rtt: Duration) -> RateSample {
        // Clear app-limited field if bubble is ACKed and gone.
        if self.delivered > self.app_limited {
            self.app_limited = 0;
        }
        let sample = newest.and_then(|newest| {
            let burst = *self.get(newest.burst)?;
            let send_elapsed = newest.time_sent.since(burst.first_send_time);
            let ack_elapsed = self.delivered_time.since(burst.delivered_time);
            self.first_send_time = self.first_send_time.max(newest.time_sent);
            // Use the longer of the send_elapsed and ack_elapsed.
            let interval = send_elapsed.max(ack_elapsed);
            let delivered = self.delivered.saturating_sub(burst.delivered);
            let reliable = interval >= min_rtt && interval > Duration::ZERO;
            Some(RateSample {
                delivery_rate: if reliable {
                    Rate::from_bytes_over(delivered, interval)
                } else {
                    Rate::ZERO
                },
                delivered,
                prior_delivered: burst.delivered,
                tx_in_flight: burst.tx_in_flight,
                lost: self.lost.saturating_sub(burst.lost),
                is_app_limited: burst.is_app_limited,
            })
        });
        self.forget();
        sample.unwrap_or_default()
    }

    /// Gives the memory back if no snapshot is needed. For a connection that has become idle.
    pub(crate) fn trim(&mut self) {
        self.forget();
        if self.live == 0 {
            self.bursts = KVec::new();
        }
    }

    /// Takes a new snapshot; `None` if there is no room for it.
    fn open(&mut self, now: Instant, flags: Flags) -> Option<u16> {
        self.forget();
        let live = usize::from(self.live);
        if live >= self.bursts.len() && !self.grow(flags) {
            return None;
        }
        let mut number = self.first.wrapping_add(self.live);
        if number == NO_BURST {
            // That number says that there is none. The snapshot that would have it stays empty.
            self.live = self.live.saturating_add(1);
            if let Some(unused) = self.slot_mut(number) {
                *unused = Snapshot::default();
            }
            if usize::from(self.live) >= self.bursts.len() && !self.grow(flags) {
                return None;
            }
            number = number.wrapping_add(1);
        }
        let snapshot = Snapshot {
            delivered: self.delivered,
            delivered_time: self.delivered_time,
            first_send_time: self.first_send_time,
            send_time: now,
            lost: self.lost,
            tx_in_flight: 0,
            packets: 0,
            is_app_limited: self.app_limited != 0,
        };
        *self.slot_mut(number)? = snapshot;
        self.live = self.live.saturating_add(1);
        Some(number)
    }

    fn grow(&mut self, flags: Flags) -> bool {
        let larger = self.bursts.len().saturating_mul(2).max(SMALLEST);
        if larger > LARGEST {
            return false;
        }
        let Ok(bursts) = KVec::from_elem(Snapshot::default(), larger, flags) else {
            return false;
        };
        let old = core::mem::replace(&mut self.bursts, bursts);
        let mask = old.len().wrapping_sub(1);
        for index in 0..self.live {
            let number = self.first.wrapping_add(index);
            if let (Some(from), Some(to)) =
                (old.get(usize::from(number) & mask), self.slot_mut(number))
            {
                *to = *from;
            }
        }
        true
    }

    /// Forgets the oldest snapshots that no packet needs.
    fn forget(&mut self) {
        while self.live > 0 && self.get(self.first).is_none_or(|burst| burst.packets == 0) {
            self.first = self.first.wrapping_add(1);
            self.live = self.live.saturating_sub(1);
        }
    }

    fn settle(&mut self, burst: u16, packets: u64) {
        if let Some(burst) = self.get_mut(burst) {
            burst.packets = burst
                .packets
                .saturating_sub(u32::try_from(packets).unwrap_or(u32::MAX));
        }
    }

    fn is_live(&self, number: u16) -> bool {
        number != NO_BURST && number.wrapping_sub(self.first) < self.live
    }

    fn get(&self, number: u16) -> Option<&Snapshot> {
        let mask = self.bursts.len().wrapping_sub(1);
        self.bursts
            .get(usize::from(number) & mask)
            .filter(|_| self.is_live(number))
    }

    fn get_mut(&mut self, number: u16) -> Option<&mut Snapshot> {
        if self.is_live(number) {
            self.slot_mut(number)
        } else {
            None
        }
    }

    fn slot_mut(&mut self, number: u16) -> Option<&mut Snapshot> {
        let mask = self.bursts.len().wrapping_sub(1);
        self.bursts.get_mut(usize::from(number) & mask)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use kernel::alloc::{flags::GFP_ATOMIC, inject};
    use proptest::prelude::*;

    fn at(micros: u64) -> Instant {
        Instant::from_nanos(micros * 1000)
    }

    const MIN_RTT: Duration = Duration::from_millis(10);

    /// One packet of 1000 bytes every millisecond over a path of 10 ms.
    #[test]
    fn a_steady_flow_is_measured() {
        let mut delivery = Delivery::new();
        let (mut sent, mut in_flight) = (Vec::new(), 0);
        for millis in 0..100_u64 {
            let now = at(millis * 1000);
            if millis >= 10 {
                let (time_sent, burst) = sent[millis as usize - 10];
                delivery.on_packets_acked(1000, 1, burst, now);
                in_flight -= 1000;
                let sample = delivery.sample(Some(Newest { time_sent, burst }), MIN_RTT);
                let rate = sample.delivery_rate.as_bytes_per_second();
                if millis >= 20 {
                    assert!((990_000..=1_000_000).contains(&rate), "{rate} at {millis}");
                    assert_eq!((sample.delivered, sample.tx_in_flight), (10_000, 10_000));
                }
            }
            in_flight += 1000;
            sent.push((
                now,
                delivery.on_packet_sent(now, 1000, in_flight, GFP_ATOMIC),
            ));
        }
        assert_eq!(delivery.delivered(), 90_000);
    }

    #[test]
    fn packets_of_one_instant_share_a_snapshot() {
        let mut delivery = Delivery::new();
        let bursts: Vec<u16> = (1..=3)
            .map(|n| delivery.on_packet_sent(at(1), 1000, n * 1000, GFP_ATOMIC))
            .collect();
        assert_eq!(bursts, [0, 0, 0]);
        assert_eq!(delivery.on_packet_sent(at(2), 1000, 4000, GFP_ATOMIC), 1);
        delivery.on_packets_acked(1000, 1, 0, at(20_000));
        let loss = delivery.on_packet_lost(1000, 0);
        assert_eq!((loss.lost, loss.tx_in_flight), (1000, 3000));
        assert_eq!(delivery.live, 2);
        delivery.on_packet_discarded(0);
        delivery.on_packets_acked(1000, 1, 1, at(20_000));
        let sample = delivery.sample(
            Some(Newest {
                time_sent: at(2),
                burst: 1,
            }),
            MIN_RTT,
        );
        assert_eq!(
            (sample.delivered, sample.lost, sample.tx_in_flight),
            (2000, 1000, 4000)
        );
        assert_eq!(delivery.live, 0);
        delivery.trim();
        assert_eq!(delivery.bursts.len(), 0);
    }

    #[test]
    fn an_interval_shorter_than_a_round_trip_is_no_sample() {
        let mut delivery = Delivery::new();
        let burst = delivery.on_packet_sent(at(1), 1000, 1000, GFP_ATOMIC);
        delivery.on_packets_acked(1000, 1, burst, at(9_000));
        let sample = delivery.sample(
            Some(Newest {
                time_sent: at(1),
                burst,
            }),
            MIN_RTT,
        );
        assert_eq!((sample.delivery_rate, sample.delivered), (Rate::ZERO, 1000));
    }

    #[test]
    fn the_application_limits_until_the_bubble_is_gone() {
        let mut delivery = Delivery::new();
        let first = delivery.on_packet_sent(at(1), 1000, 1000, GFP_ATOMIC);
        delivery.mark_app_limited(1000);
        let second = delivery.on_packet_sent(at(2), 1000, 2000, GFP_ATOMIC);
        delivery.on_packets_acked(1000, 1, first, at(20_000));
        assert!(
            !delivery
                .sample(
                    Some(Newest {
                        time_sent: at(1),
                        burst: first
                    }),
                    MIN_RTT
                )
                .is_app_limited
        );
        assert!(delivery.is_app_limited());
        delivery.on_packets_acked(1000, 1, second, at(20_001));
        assert!(
            delivery
                .sample(
                    Some(Newest {
                        time_sent: at(2),
                        burst: second
                    }),
                    MIN_RTT
                )
                .is_app_limited
        );
        assert!(!delivery.is_app_limited());
    }

    #[test]
    fn without_memory_a_packet_shares_the_newest_snapshot_or_has_none() {
        let mut delivery = Delivery::new();
        let none = inject::fail_nth(0, || delivery.on_packet_sent(at(1), 1000, 1000, GFP_ATOMIC)).0;
        assert_eq!(none, NO_BURST);
        delivery.on_packets_acked(1000, 1, none, at(2));
        assert_eq!(
            delivery
                .sample(
                    Some(Newest {
                        time_sent: at(1),
                        burst: none
                    }),
                    MIN_RTT
                )
                .delivered,
            0
        );
        for n in 0..SMALLEST as u64 {
            delivery.on_packet_sent(at(n), 1000, 1000, GFP_ATOMIC);
        }
        let newest = inject::fail_nth(0, || {
            delivery.on_packet_sent(at(99), 1000, 1000, GFP_ATOMIC)
        })
        .0;
        assert_eq!(usize::from(newest), SMALLEST - 1);
    }

    #[test]
    fn the_objects_are_small() {
        assert_eq!(size_of::<Snapshot>(), 56);
        assert_eq!(size_of::<Delivery>(), 72);
    }

    proptest! {
        /// Numbers wrap, the ring grows, and each packet finds the snapshot of its own instant.
        #[test]
        fn each_packet_finds_its_snapshot(first in any::<u16>(), steps in proptest::collection::vec(0_u8..4, 0..300)) {
            let mut delivery = Delivery { first, ..Delivery::new() };
            let mut open: Vec<(u64, u16)> = Vec::new();
            for (n, step) in steps.into_iter().enumerate() {
                match step {
                    0 | 1 => {
                        // Two packets an instant.
                        let time = n as u64 / 2;
                        let burst = delivery.on_packet_sent(at(time), 1, 2, GFP_ATOMIC);
                        prop_assert_ne!(burst, NO_BURST);
                        open.push((time, burst));
                    }
                    2 if !open.is_empty() => {
                        let (time, burst) = open.remove(n % open.len());
                        prop_assert_eq!(delivery.get(burst).unwrap().send_time, at(time));
                        delivery.on_packets_acked(1, 1, burst, at(n as u64));
                        delivery.sample(None, MIN_RTT);
                    }
                    3 if !open.is_empty() => {
                        let (time, burst) = open.remove(0);
                        prop_assert_eq!(delivery.get(burst).unwrap().send_time, at(time));
                        delivery.on_packet_lost(1, burst);
                    }
                    _ => {}
                }
                prop_assert!(usize::from(delivery.live) <= delivery.bursts.len());
            }
            for (time, burst) in &open {
                prop_assert_eq!(delivery.get(*burst).unwrap().send_time, at(*time));
            }
        }
    }
}
