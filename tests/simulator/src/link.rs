// SPDX-License-Identifier: MIT OR Apache-2.0

//! [`Link`]: one direction of a path, which delays, drops, marks and garbles packets.
//!
//! ```text
//! carry() --> larger than the MTU? --> queue full? --> CE mark --> serialised at the bandwidth
//!         --> outage or loss? --> delay, jitter --> reordered, duplicated, corrupted? --> Arrival
//! ```
//!
//! The link keeps no packets: when one enters, all that will happen to it is decided.

use crate::datagram::Ecn;
use crate::loss::{Loss, LossState};
use crate::random::{Chance, Random};
use quic_core::time::{Duration, Instant};
use std::collections::VecDeque;
use std::ops::RangeInclusive;

/// What a link does. The default is a perfect one: no delay, no limit.
#[derive(Clone, Debug, Default)]
pub struct LinkConfig {
    /// How long a packet travels.
    pub delay: Duration,
    /// How much longer at most; keeps the order.
    pub jitter: Duration,
    /// Packets are delivered at multiples of this: as a receiver sees them that takes interrupts
    /// together. Zero for at once.
    pub coalesce: Duration,
    /// In bits a second, counting IP headers; 0 for unlimited.
    pub bandwidth: u64,
    /// What waits for the bandwidth at most.
    pub queue: Queue,
    /// Random loss.
    pub loss: Loss,
    /// Packets that are lost, by their number on the link, from 0.
    pub drop: Vec<RangeInclusive<u64>>,
    /// Times when nothing passes.
    pub outages: Vec<Outage>,
    /// How many packets overtake or are overtaken.
    pub reorder: Chance,
    /// By how much at most.
    pub reorder_by: Duration,
    /// How many packets arrive twice.
    pub duplicate: Chance,
    /// How many packets arrive with wrong bits.
    pub corrupt: Chance,
    /// How many ECN-capable packets are marked.
    pub mark: Chance,
    /// ECN-capable packets are marked when so many packets wait; 0 for never.
    pub mark_above: u32,
    /// The ECN field is cleared.
    pub bleach: bool,
    /// The largest IP packet in bytes, from which instant on; sorted. Empty for unlimited.
    pub mtu: Vec<(Instant, u32)>,
    /// The sender is told when a packet was too large.
    pub icmp: bool,
}

/// What waits at most when a link is busy. More is dropped at the tail.
#[derive(Copy, Clone, Debug, Default)]
pub enum Queue {
    /// Anything.
    #[default]
    Unlimited,
    /// So many packets.
    Packets(u32),
    /// So many bytes.
    Bytes(u64),
}

/// A link passes nothing for a while.
#[derive(Copy, Clone, Debug)]
pub struct Outage {
    /// When it begins.
    pub begin: Instant,
    /// How long it lasts.
    pub length: Duration,
    /// From a begin to the next one; zero if it is the only one.
    pub period: Duration,
}

/// A packet comes out of a link.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub struct Arrival {
    /// When.
    pub at: Instant,
    /// The ECN field as it arrives.
    pub ecn: Ecn,
    /// Bits of it are wrong.
    pub corrupt: bool,
}

/// What becomes of a packet.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub enum Fate {
    /// It arrives.
    Arrives(Arrival),
    /// It arrives twice.
    Twice(Arrival, Arrival),
    /// It is lost at random, or was to be dropped.
    Lost,
    /// The queue is full.
    Overflow,
    /// There is an outage.
    Outage,
    /// It is larger than the MTU, which is given.
    TooBig(u32),
}

/// What happened on a link.
#[derive(Copy, Clone, PartialEq, Eq, Debug, Default)]
#[allow(missing_docs)] // The names are those of `Fate` and `LinkConfig`.
pub struct Counters {
    pub packets: u64,
    pub bytes: u64,
    pub delivered: u64,
    pub lost: u64,
    pub overflowed: u64,
    pub in_outage: u64,
    pub too_big: u64,
    pub reordered: u64,
    pub duplicated: u64,
    pub corrupted: u64,
    pub marked: u64,
    pub bleached: u64,
    /// The most packets that waited at once.
    pub longest_queue: u32,
}

/// One direction of a path.
#[derive(Debug)]
pub struct Link {
    config: LinkConfig,
    random: Random,
    loss: LossState,
    /// When the packets that wait are through, and their sizes.
    waiting: VecDeque<(Instant, u32)>,
    waiting_bytes: u64,
    last_arrival: Instant,
    counters: Counters,
}

impl Outage {
    /// Whether it is there at `now`.
    pub fn covers(&self, now: Instant) -> bool {
        if now < self.begin {
            return false;
        }
        let elapsed = now.since(self.begin).as_nanos();
        let within = match self.period.as_nanos() {
            0 => elapsed,
            period => elapsed % period,
        };
        within < self.length.as_nanos()
    }
}

impl Link {
    /// A link whose chances are drawn from `random`.
    pub fn new(config: LinkConfig, random: Random) -> Self {
        Self {
            config,
            random,
            loss: LossState::default(),
            waiting: VecDeque::new(),
            waiting_bytes: 0,
            last_arrival: Instant::default(),
            counters: Counters::default(),
        }
    }

    /// What happened so far.
    pub fn counters(&self) -> &Counters {
        &self.counters
    }

    /// Whether senders are told that a packet is too large.
    pub fn sends_icmp(&self) -> bool {
        self.config.icmp
    }

    /// Takes an IP packet of `size` bytes in, and says what becomes of it.
    pub fn carry(&mut self, now: Instant, size: u32, ecn: Ecn) -> Fate {
        let number = self.counters.packets;
        self.counters.packets += 1;
        self.counters.bytes += u64::from(size);
        if let Some(mtu) = self.mtu(now).filter(|mtu| size > *mtu) {
            self.counters.too_big += 1;
            return Fate::TooBig(mtu);
        }
        let Some((through, ecn)) = self.queue(now, size, ecn) else {
            self.counters.overflowed += 1;
            return Fate::Overflow;
        };
        let lost = self.loss.next(now, &self.config.loss, &mut self.random)
            || self.config.drop.iter().any(|range| range.contains(&number));
        if self.config.outages.iter().any(|o| o.covers(through)) {
            self.counters.in_outage += 1;
            return Fate::Outage;
        }
        if lost {
            self.counters.lost += 1;
            return Fate::Lost;
        }
        let first = self.travel(through, ecn);
        if !self.random.happens(self.config.duplicate) {
            return Fate::Arrives(first);
        }
        self.counters.duplicated += 1;
        Fate::Twice(first, self.travel(through, ecn))
    }

    fn mtu(&self, now: Instant) -> Option<u32> {
        let changes = self.config.mtu.iter();
        changes
            .rev()
            .find(|(from, _)| *from <= now)
            .map(|(_, mtu)| *mtu)
    }

    /// When the packet has left the queue, and what it is marked with; `None` if it does not fit.
    fn queue(&mut self, now: Instant, size: u32, ecn: Ecn) -> Option<(Instant, Ecn)> {
        while let Some((_, gone)) = self.waiting.front().filter(|(at, _)| *at <= now) {
            self.waiting_bytes -= u64::from(*gone);
            self.waiting.pop_front();
        }
        let length = self.waiting.len() as u32;
        let fits = match self.config.queue {
            Queue::Unlimited => true,
            Queue::Packets(limit) => length < limit,
            // An empty queue takes any packet, else a large one would never pass.
            Queue::Bytes(limit) => length == 0 || self.waiting_bytes + u64::from(size) <= limit,
        };
        if !fits {
            return None;
        }
        let ecn = self.treat_ecn(ecn, length);
        if self.config.bandwidth == 0 {
            return Some((now, ecn));
        }
        let begin = self.waiting.back().map_or(now, |(at, _)| *at);
        let nanos = u128::from(size) * 8 * 1_000_000_000 / u128::from(self.config.bandwidth);
        let through = begin + Duration::from_nanos(nanos as u64);
        self.waiting.push_back((through, size));
        self.waiting_bytes += u64::from(size);
        self.counters.longest_queue = self.counters.longest_queue.max(length + 1);
        Some((through, ecn))
    }

    fn treat_ecn(&mut self, ecn: Ecn, queue_length: u32) -> Ecn {
        if ecn == Ecn::NotEct {
            return ecn;
        }
        if self.config.bleach {
            self.counters.bleached += 1;
            return Ecn::NotEct;
        }
        let above = self.config.mark_above;
        if above > 0 && queue_length >= above || self.random.happens(self.config.mark) {
            self.counters.marked += 1;
            return Ecn::Ce;
        }
        ecn
    }

    fn travel(&mut self, through: Instant, ecn: Ecn) -> Arrival {
        let mut at = through + self.config.delay;
        if self.config.jitter != Duration::ZERO {
            at = at + self.random.duration(Duration::ZERO..=self.config.jitter);
        }
        if self.random.happens(self.config.reorder) {
            // Later than it should: others overtake it.
            at = at
                + self
                    .random
                    .duration(Duration::ZERO..=self.config.reorder_by);
            self.counters.reordered += 1;
        } else {
            at = at.max(self.last_arrival);
            self.last_arrival = at;
        }
        if let Some(past) = at.as_nanos().checked_rem(self.config.coalesce.as_nanos()) {
            if past > 0 {
                at = at + (self.config.coalesce - Duration::from_nanos(past));
            }
        }
        let corrupt = self.random.happens(self.config.corrupt);
        self.counters.corrupted += u64::from(corrupt);
        self.counters.delivered += 1;
        Arrival { at, ecn, corrupt }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn ms(n: u64) -> Duration {
        Duration::from_millis(n)
    }

    fn at(n: u64) -> Instant {
        Instant::default() + ms(n)
    }

    fn link(config: LinkConfig) -> Link {
        Link::new(config, Random::new(1, "link"))
    }

    fn arrives(fate: Fate) -> Instant {
        match fate {
            Fate::Arrives(arrival) => arrival.at,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn packets_wait_for_the_bandwidth_and_the_queue_overflows() {
        // 1250 bytes take a millisecond.
        let mut link = link(LinkConfig {
            delay: ms(15),
            bandwidth: 10_000_000,
            queue: Queue::Packets(2),
            ..LinkConfig::default()
        });
        assert_eq!(arrives(link.carry(at(0), 1250, Ecn::NotEct)), at(16));
        assert_eq!(arrives(link.carry(at(0), 1250, Ecn::NotEct)), at(17));
        assert_eq!(link.carry(at(0), 1250, Ecn::NotEct), Fate::Overflow);
        assert_eq!(arrives(link.carry(at(1), 1250, Ecn::NotEct)), at(18));
        assert_eq!(arrives(link.carry(at(9), 1250, Ecn::NotEct)), at(25));
        assert_eq!(link.counters().overflowed, 1);
        assert_eq!(link.counters().longest_queue, 2);
    }

    #[test]
    fn a_queue_in_bytes() {
        let mut link = link(LinkConfig {
            bandwidth: 10_000_000,
            queue: Queue::Bytes(1_500),
            ..LinkConfig::default()
        });
        assert_eq!(arrives(link.carry(at(0), 1250, Ecn::NotEct)), at(1));
        assert_eq!(link.carry(at(0), 251, Ecn::NotEct), Fate::Overflow);
        arrives(link.carry(at(0), 250, Ecn::NotEct));
    }

    #[test]
    fn the_mtu_changes_on_the_way() {
        let mut link = link(LinkConfig {
            mtu: vec![(at(0), 1500), (at(10), 1300)],
            ..LinkConfig::default()
        });
        arrives(link.carry(at(9), 1500, Ecn::NotEct));
        assert_eq!(link.carry(at(10), 1301, Ecn::NotEct), Fate::TooBig(1300));
        arrives(link.carry(at(10), 1300, Ecn::NotEct));
    }

    #[test]
    fn only_capable_packets_are_marked_and_bleaching_comes_first() {
        let config = LinkConfig {
            mark: Chance::percent(100),
            ..LinkConfig::default()
        };
        let ecn = |config: &LinkConfig, ecn| match link(config.clone()).carry(at(0), 100, ecn) {
            Fate::Arrives(arrival) => arrival.ecn,
            other => panic!("{other:?}"),
        };
        assert_eq!(ecn(&config, Ecn::NotEct), Ecn::NotEct);
        assert_eq!(ecn(&config, Ecn::Ect0), Ecn::Ce);
        let bleaching = LinkConfig {
            bleach: true,
            ..config
        };
        assert_eq!(ecn(&bleaching, Ecn::Ect0), Ecn::NotEct);
    }

    #[test]
    fn outages_come_again() {
        let outage = Outage {
            begin: at(5_000),
            length: ms(2_000),
            period: ms(7_000),
        };
        let mut link = link(LinkConfig {
            outages: vec![outage],
            drop: vec![1..=2],
            ..LinkConfig::default()
        });
        let fates = [4_999, 4_999, 5_000, 6_999, 7_000, 12_000, 14_000]
            .map(|t| link.carry(at(t), 100, Ecn::NotEct));
        let passed = fates.map(|fate| matches!(fate, Fate::Arrives(_)));
        assert_eq!(passed, [true, false, false, false, true, false, true]);
        assert_eq!(fates[1], Fate::Lost);
        assert_eq!(fates[2], Fate::Outage);
    }

    #[test]
    fn jitter_keeps_the_order_and_reordering_does_not() {
        let inversions = |config: LinkConfig| {
            let mut link = link(config);
            let times: Vec<_> = (0..1_000)
                .map(|n| arrives(link.carry(at(n), 100, Ecn::NotEct)))
                .collect();
            times.windows(2).filter(|pair| pair[0] > pair[1]).count()
        };
        let jitter = LinkConfig {
            jitter: ms(20),
            ..LinkConfig::default()
        };
        assert_eq!(inversions(jitter), 0);
        let reorder = LinkConfig {
            reorder: Chance::percent(10),
            reorder_by: ms(20),
            ..LinkConfig::default()
        };
        assert!((50..150).contains(&inversions(reorder)));
    }

    #[test]
    fn coalescing_delivers_together() {
        let mut link = link(LinkConfig {
            coalesce: ms(10),
            ..LinkConfig::default()
        });
        let times = [0, 1, 9, 10, 11].map(|t| arrives(link.carry(at(t), 100, Ecn::NotEct)));
        assert_eq!(times, [at(0), at(10), at(10), at(10), at(20)]);
    }
}
