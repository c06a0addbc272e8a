// SPDX-License-Identifier: GPL-2.0 OR MIT

//! A bottleneck with virtual time, to see what the controllers make of a path. Only for tests.
//!
//! ```text
//!   flows --> queue (drops when full) --> link (rate) --> delay --> receivers
//!     ^                                                               |
//!     +------------------------- delay <------ acknowledgments -------+
//! ```
//!
//! [`quic`] is a flow with all that this crate does for one: loss detection, pacing,
//! acknowledgments. [`tcp`] is a simple TCP with CUBIC, written in floats and independently.
//! Everything is deterministic.

pub(super) mod quic;
pub(super) mod tcp;

use crate::ecn::EcnCodepoint;
use crate::frame::{AckRange, EcnCounts};
use crate::time::{Duration, Instant};
use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};

/// IPv4 and UDP headers, which the link carries too.
const HEADERS: u64 = 28;

/// A packet on its way to the receiver of its flow.
#[derive(Clone, Debug)]
pub(super) struct Packet {
    pub(super) flow: usize,
    pub(super) pn: u64,
    /// Which part of the data it carries.
    pub(super) piece: u64,
    /// Without headers.
    pub(super) size: u16,
    pub(super) ecn: EcnCodepoint,
}

/// An acknowledgment on its way back.
#[derive(Clone, Debug)]
pub(super) struct Ack {
    pub(super) flow: usize,
    pub(super) ranges: Vec<AckRange>,
    pub(super) delay: Duration,
    pub(super) ecn: Option<EcnCounts>,
}

/// Both ends of a flow.
pub(super) trait Flow {
    /// What to send now. Called whenever something happened.
    fn transmit(&mut self, now: Instant) -> Vec<Packet>;
    /// A packet arrived at the receiver, which may acknowledge.
    fn on_packet(&mut self, packet: Packet, now: Instant) -> Option<Ack>;
    /// An acknowledgment arrived at the sender.
    fn on_ack(&mut self, ack: Ack, now: Instant);
    /// When to call `on_timer` at the latest.
    fn timer(&self) -> Option<Instant>;
    /// The time has come; the receiver may acknowledge.
    fn on_timer(&mut self, now: Instant) -> Option<Ack>;
    /// Bytes of data that arrived, each counted once.
    fn delivered(&self) -> u64;
    /// Whether all data arrived.
    fn is_done(&self) -> bool;
}

/// The path.
#[derive(Clone, Debug)]
pub(super) struct Link {
    /// Bits a second.
    pub(super) rate: u64,
    /// One way.
    pub(super) delay: Duration,
    /// Packets that fit into the queue.
    pub(super) queue: usize,
    /// Packets lost at random, in a million.
    pub(super) loss: u64,
    /// Nothing gets through in the last so much …
    pub(super) outage: Duration,
    /// … of every such period.
    pub(super) period: Duration,
    /// Packets held back by 4 ms at random, in a million.
    pub(super) reordered: u64,
    /// CE is set above so many queued packets.
    pub(super) mark_above: usize,
    /// Acknowledgments are late by a random time up to this, in order. Without it, who arrives at
    /// a full queue just after a packet left it wins every time (phase effects, Floyd and
    /// Jacobson 1992).
    pub(super) jitter: Duration,
    /// Arrivals at the receiver wait for the next multiple of this, and so do acknowledgments.
    pub(super) aggregation: Duration,
}

impl Link {
    /// The link of the interoperability tests: 10 Mbit/s, 30 ms, queue of 25.
    pub(super) fn interop() -> Self {
        Self {
            rate: 10_000_000,
            delay: Duration::from_millis(15),
            queue: 25,
            loss: 0,
            outage: Duration::ZERO,
            period: Duration::from_secs(1),
            reordered: 0,
            mark_above: usize::MAX,
            jitter: Duration::from_micros(1200),
            aggregation: Duration::ZERO,
        }
    }
}

#[derive(Clone, Debug)]
enum Event {
    /// The first packet of the queue has left the link.
    Departed,
    Arrived(Packet),
    Acked(Ack),
}

/// An event in a heap: the earliest first, and of those the first made.
struct Entry(Reverse<(Instant, u64)>, Event);

impl PartialEq for Entry {
    fn eq(&self, other: &Self) -> bool {
        self.0 == other.0
    }
}

impl Eq for Entry {}

impl PartialOrd for Entry {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Entry {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.0.cmp(&other.0)
    }
}

/// The bottleneck and all that uses it.
pub(super) struct Simulator {
    pub(super) link: Link,
    pub(super) now: Instant,
    pub(super) dropped: u64,
    pub(super) carried: u64,
    /// The longest the queue has been.
    pub(super) longest: usize,
    queue: VecDeque<Packet>,
    events: BinaryHeap<Entry>,
    last_ack: Vec<(usize, Instant)>,
    sequence: u64,
    random: u64,
}

impl Simulator {
    pub(super) fn new(link: Link) -> Self {
        Self {
            link,
            // Not zero: that would be before anything.
            now: Instant::from_nanos(1_000_000_000),
            dropped: 0,
            carried: 0,
            longest: 0,
            queue: VecDeque::new(),
            events: BinaryHeap::new(),
            last_ack: Vec::new(),
            sequence: 0,
            random: 0x9e37_79b9_7f4a_7c15,
        }
    }

    /// Runs until `until`, or until all flows are done.
    pub(super) fn run(&mut self, flows: &mut [&mut dyn Flow], until: Instant) {
        while !flows.iter().all(|flow| flow.is_done()) {
            for flow in flows.iter_mut() {
                for packet in flow.transmit(self.now) {
                    self.enqueue(packet);
                }
            }
            let event = self.events.peek().map(|entry| entry.0 .0 .0);
            let timer = flows.iter().filter_map(|flow| flow.timer()).min();
            let Some(next) = event.into_iter().chain(timer).min() else {
                panic!("nothing will happen any more at {:?}", self.now);
            };
            if next > until {
                self.now = until;
                return;
            }
            self.now = self.now.max(next);
            while self
                .events
                .peek()
                .is_some_and(|entry| entry.0 .0 .0 <= self.now)
            {
                let event = self.events.pop().unwrap().1;
                self.handle(event, flows);
            }
            for flow in flows.iter_mut() {
                while flow.timer().is_some_and(|timer| timer <= self.now) {
                    if let Some(ack) = flow.on_timer(self.now) {
                        self.send_ack(ack);
                    } else {
                        break;
                    }
                }
            }
        }
    }

    fn handle(&mut self, event: Event, flows: &mut [&mut dyn Flow]) {
        match event {
            Event::Departed => {
                let packet = self.queue.pop_front().unwrap();
                self.carried += u64::from(packet.size) + HEADERS;
                if let Some(next) = self.queue.front() {
                    let time = self.transmission_time(next.size);
                    self.push(self.now + time, Event::Departed);
                }
                if self.is_out() || self.chance(self.link.loss) {
                    self.dropped += 1;
                    return;
                }
                let mut arrival = self.now + self.link.delay;
                if self.chance(self.link.reordered) {
                    arrival = arrival + Duration::from_millis(4);
                }
                arrival = self.aggregated(arrival);
                self.push(arrival, Event::Arrived(packet));
            }
            Event::Arrived(packet) => {
                if let Some(ack) = flows[packet.flow].on_packet(packet, self.now) {
                    self.send_ack(ack);
                }
            }
            Event::Acked(ack) => flows[ack.flow].on_ack(ack, self.now),
        }
    }

    fn is_out(&self) -> bool {
        let period = self.link.period.as_nanos();
        self.now.as_nanos() % period >= period - self.link.outage.as_nanos()
    }

    fn enqueue(&mut self, mut packet: Packet) {
        // The first packet of the queue is on the link.
        if self.queue.len() > self.link.queue {
            self.dropped += 1;
            return;
        }
        if self.queue.len() > self.link.mark_above && packet.ecn == EcnCodepoint::Ect0 {
            packet.ecn = EcnCodepoint::Ce;
        }
        if self.queue.is_empty() {
            let time = self.transmission_time(packet.size);
            self.push(self.now + time, Event::Departed);
        }
        self.queue.push_back(packet);
        self.longest = self.longest.max(self.queue.len());
    }

    fn send_ack(&mut self, ack: Ack) {
        let late = self.random() % (self.link.jitter.as_nanos() + 1);
        let time = self.now + self.link.delay + Duration::from_nanos(late);
        let time = match self.last_ack.iter_mut().find(|(flow, _)| *flow == ack.flow) {
            Some((_, last)) => {
                *last = time.max(*last);
                *last
            }
            None => {
                self.last_ack.push((ack.flow, time));
                time
            }
        };
        self.push(time, Event::Acked(ack));
    }

    fn aggregated(&self, time: Instant) -> Instant {
        match self.link.aggregation.as_nanos() {
            0 => time,
            slot => Instant::from_nanos(time.as_nanos().div_ceil(slot) * slot),
        }
    }

    fn transmission_time(&self, size: u16) -> Duration {
        Duration::from_nanos((u64::from(size) + HEADERS) * 8 * 1_000_000_000 / self.link.rate)
    }

    fn push(&mut self, time: Instant, event: Event) {
        self.sequence += 1;
        self.events
            .push(Entry(Reverse((time, self.sequence)), event));
    }

    fn chance(&mut self, in_a_million: u64) -> bool {
        self.random() % 1_000_000 < in_a_million
    }

    fn random(&mut self) -> u64 {
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        self.random
    }
}

/// Jain's fairness index.
pub(super) fn jain(shares: &[u64]) -> f64 {
    let sum: f64 = shares.iter().map(|share| *share as f64).sum();
    let squares: f64 = shares.iter().map(|share| (*share as f64).powi(2)).sum();
    sum * sum / (shares.len() as f64 * squares)
}
