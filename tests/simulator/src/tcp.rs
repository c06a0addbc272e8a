// SPDX-License-Identifier: MIT OR Apache-2.0

//! [`Tcp`]: a TCP with CUBIC as cross traffic: windows in segments, no pacing, an acknowledgment every second segment.
//!
//! Sender and receiver are one object. Segments have the numbers of their transmission, which is
//! what selective acknowledgments and timestamps amount to.

use quic_core::time::{Duration, Instant};
use std::collections::BTreeMap;
use std::ops::RangeInclusive;

/// A full IP packet on Ethernet, in bytes.
pub const SEGMENT: u32 = 1500;
/// An acknowledgment with options, in bytes.
pub const ACK: u32 = 64;
/// What a segment carries: without IP and TCP headers and timestamps, in bytes.
const PAYLOAD: u64 = 1448;
/// How many ranges a receiver remembers; an acknowledgment has the four latest.
const MAX_RANGES: usize = 16;

/// An acknowledgment: ranges of segments, the latest first.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Ack(pub Vec<RangeInclusive<u64>>);

/// A bulk transfer.
#[derive(Debug)]
pub struct Tcp {
    start: Instant,
    // The sender.
    next: u64,
    outstanding: BTreeMap<u64, Instant>,
    cwnd: f64,
    ssthresh: f64,
    w_max: f64,
    cwnd_prior: f64,
    k: f64,
    w_est: f64,
    epoch: Option<Instant>,
    recovery_until: u64,
    srtt: f64,
    min_rtt: f64,
    round_end: u64,
    round_min: f64,
    samples: u32,
    last_progress: Instant,
    // The receiver.
    arrived: Vec<RangeInclusive<u64>>,
    unacked: u32,
    delivered: u64,
}

impl Tcp {
    /// A transfer without end that starts at `start`.
    pub fn new(start: Instant) -> Self {
        Self {
            start,
            next: 0,
            outstanding: BTreeMap::new(),
            cwnd: 10.0,
            ssthresh: f64::INFINITY,
            w_max: 0.0,
            cwnd_prior: 0.0,
            k: 0.0,
            w_est: 0.0,
            epoch: None,
            recovery_until: 0,
            srtt: 0.0,
            min_rtt: f64::INFINITY,
            round_end: 0,
            round_min: f64::INFINITY,
            samples: 0,
            last_progress: start,
            arrived: Vec::new(),
            unacked: 0,
            delivered: 0,
        }
    }

    /// How many bytes arrived.
    pub fn delivered(&self) -> u64 {
        self.delivered
    }

    /// The number of the next segment, if the window permits to send it.
    pub fn transmit(&mut self, now: Instant) -> Option<u64> {
        if now < self.start || self.outstanding.len() as f64 >= self.cwnd.floor() {
            return None;
        }
        let number = self.next;
        self.next += 1;
        if self.outstanding.is_empty() {
            self.last_progress = now;
        }
        self.outstanding.insert(number, now);
        Some(number)
    }

    /// The receiver gets a segment, and may answer.
    pub fn on_segment(&mut self, number: u64) -> Option<Ack> {
        let place = self.arrived.partition_point(|range| *range.end() < number);
        if self
            .arrived
            .get(place)
            .is_some_and(|range| range.contains(&number))
        {
            return None;
        }
        self.delivered += PAYLOAD;
        let joins = |range: &RangeInclusive<u64>| *range.end() + 1 == number;
        let last = place > 0 && joins(&self.arrived[place - 1]);
        if last {
            let start = *self.arrived[place - 1].start();
            self.arrived[place - 1] = start..=number;
        } else {
            self.arrived.insert(place, number..=number);
            if self.arrived.len() > MAX_RANGES {
                self.arrived.remove(0);
            }
        }
        self.unacked += 1;
        if (last || number == 0) && self.unacked < 2 {
            return None;
        }
        self.unacked = 0;
        Some(Ack(self.arrived.iter().rev().take(4).cloned().collect()))
    }

    /// The sender gets an acknowledgment.
    pub fn on_ack(&mut self, now: Instant, ack: &Ack) {
        let Some(largest) = ack.0.first().map(|range| *range.end()) else {
            return;
        };
        let mut acked = 0.0;
        for range in &ack.0 {
            let numbers = self.outstanding.range(range.clone());
            let numbers: Vec<u64> = numbers.map(|(number, _)| *number).collect();
            for number in numbers {
                if let Some(sent) = self.outstanding.remove(&number) {
                    acked += 1.0;
                    if number == largest {
                        self.on_rtt(seconds(now.since(sent)), number);
                    }
                }
            }
        }
        if acked == 0.0 {
            return;
        }
        self.last_progress = now;
        let lost = self.outstanding.range(..largest.saturating_sub(2));
        let lost: Vec<u64> = lost.map(|(number, _)| *number).collect();
        for number in lost {
            self.outstanding.remove(&number);
            self.on_loss(number);
        }
        if largest >= self.recovery_until {
            self.grow(acked, now);
        }
    }

    /// When [`Self::on_timeout`] wants to be called.
    pub fn timeout(&self) -> Option<Instant> {
        if self.next == 0 {
            return Some(self.start);
        }
        (!self.outstanding.is_empty()).then(|| self.retransmission_timeout())
    }

    /// The retransmission timeout, if it is that.
    pub fn on_timeout(&mut self, now: Instant) {
        if !self.outstanding.is_empty() && now >= self.retransmission_timeout() {
            self.outstanding.clear();
            self.on_loss(self.next);
            self.cwnd = 1.0;
            self.last_progress = now;
        }
    }

    fn retransmission_timeout(&self) -> Instant {
        let rto = if self.srtt == 0.0 {
            1.0
        } else {
            (2.0 * self.srtt).max(0.2)
        };
        self.last_progress + Duration::from_nanos((rto * 1e9) as u64)
    }

    fn on_rtt(&mut self, rtt: f64, number: u64) {
        self.srtt = if self.srtt == 0.0 {
            rtt
        } else {
            self.srtt * 0.875 + rtt * 0.125
        };
        self.min_rtt = self.min_rtt.min(rtt);
        // HyStart by delay, as in Linux.
        if number >= self.round_end {
            self.round_end = self.next;
            self.round_min = f64::INFINITY;
            self.samples = 0;
        }
        self.round_min = self.round_min.min(rtt);
        self.samples += 1;
        let threshold = (self.min_rtt / 8.0).clamp(0.004, 0.016);
        if self.cwnd < self.ssthresh
            && self.samples >= 8
            && self.round_min > self.min_rtt + threshold
        {
            self.ssthresh = self.cwnd;
        }
    }

    fn grow(&mut self, acked: f64, now: Instant) {
        if self.cwnd < self.ssthresh {
            self.cwnd += acked;
            return;
        }
        let epoch = *self.epoch.get_or_insert_with(|| {
            self.w_est = self.cwnd;
            self.k = ((self.w_max - self.cwnd).max(0.0) / 0.4).cbrt();
            self.w_max = self.w_max.max(self.cwnd);
            now
        });
        let t = seconds(now.since(epoch)) + self.srtt;
        let target = 0.4 * (t - self.k).powi(3) + self.w_max;
        let alpha = if self.w_est >= self.cwnd_prior {
            1.0
        } else {
            9.0 / 17.0
        };
        self.w_est += alpha * acked / self.cwnd;
        let target = target.max(self.w_est).clamp(self.cwnd, self.cwnd * 1.5);
        self.cwnd += (target - self.cwnd) / self.cwnd * acked;
    }

    fn on_loss(&mut self, number: u64) {
        if number < self.recovery_until {
            return;
        }
        self.recovery_until = self.next;
        self.w_max = if self.cwnd < self.w_max {
            self.cwnd * 0.85
        } else {
            self.cwnd
        };
        self.cwnd_prior = self.cwnd;
        self.cwnd = (self.cwnd * 0.7).max(2.0);
        self.ssthresh = self.cwnd;
        self.epoch = None;
    }
}

fn seconds(span: Duration) -> f64 {
    span.as_nanos() as f64 / 1e9
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::datagram::Ecn;
    use crate::link::{Fate, Link, LinkConfig, Queue};
    use crate::random::Random;
    use crate::schedule::Schedule;

    /// What arrives where.
    enum Arrives {
        Segment(usize, u64),
        Ack(usize, Ack),
    }

    /// The bytes that flows deliver that share a link of 10 Mbit/s and 30 ms.
    fn share(starts: &[u64], seconds: u64) -> Vec<u64> {
        let mut link = Link::new(
            LinkConfig {
                delay: Duration::from_millis(15),
                bandwidth: 10_000_000,
                queue: Queue::Packets(25),
                ..LinkConfig::default()
            },
            Random::new(0, "tcp"),
        );
        let start = |s: &u64| Tcp::new(Instant::default() + Duration::from_secs(*s));
        let mut flows: Vec<Tcp> = starts.iter().map(start).collect();
        let end = Instant::default() + Duration::from_secs(seconds);
        let mut schedule = Schedule::new();
        let mut now = Instant::default();
        while now < end {
            for (i, flow) in flows.iter_mut().enumerate() {
                flow.on_timeout(now);
                while let Some(number) = flow.transmit(now) {
                    if let Fate::Arrives(arrival) = link.carry(now, SEGMENT, Ecn::NotEct) {
                        schedule.add(arrival.at, Arrives::Segment(i, number));
                    }
                }
            }
            let timeouts = flows.iter().filter_map(Tcp::timeout);
            now = timeouts
                .filter(|at| *at > now)
                .chain(schedule.next_at())
                .min()
                .unwrap();
            match schedule.pop(now) {
                Some(Arrives::Segment(i, number)) => {
                    if let Some(ack) = flows[i].on_segment(number) {
                        schedule.add(now + Duration::from_millis(15), Arrives::Ack(i, ack));
                    }
                }
                Some(Arrives::Ack(i, ack)) => flows[i].on_ack(now, &ack),
                None => {}
            }
        }
        flows.iter().map(Tcp::delivered).collect()
    }

    #[test]
    fn one_flow_fills_the_link() {
        let bytes = share(&[0], 20)[0];
        // 10 Mbit/s less the headers, and some for the start.
        assert!(bytes * 8 / 20 > 9_300_000, "{bytes}");
    }

    #[test]
    fn two_flows_share_it() {
        let bytes = share(&[0, 1], 60);
        let [a, b] = [bytes[0] as f64, bytes[1] as f64];
        let jain = (a + b).powi(2) / (2.0 * (a * a + b * b));
        assert!(jain > 0.95, "{bytes:?}");
    }
}
