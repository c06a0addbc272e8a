// SPDX-License-Identifier: GPL-2.0 OR MIT

//! A TCP with CUBIC as its competitor: windows in segments, floats, no pacing, two segments an
//! acknowledgment.

use super::{Ack, Flow, Packet};
use crate::ecn::EcnCodepoint;
use crate::frame::AckRange;
use crate::testing::pn;
use crate::time::{Duration, Instant};
use std::collections::BTreeMap;

/// Ethernet payload without UDP and IP headers, which the link adds; so TCP's segments are as long
/// as ours.
const SIZE: u16 = 1472;

/// Sender and receiver.
pub(crate) struct Tcp {
    flow: usize,
    start: Instant,
    // The sender. Segments have the numbers of their transmission, as with SACK and timestamps.
    next: u64,
    outstanding: BTreeMap<u64, Instant>,
    largest_acked: Option<u64>,
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
    arrived: Vec<AckRange>,
    unacked: u32,
    delivered: u64,
}

impl Tcp {
    pub(crate) fn new(flow: usize, start: Instant) -> Self {
        Self {
            flow,
            start,
            next: 0,
            outstanding: BTreeMap::new(),
            largest_acked: None,
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

    fn retransmission_timeout(&self) -> Instant {
        let rto = if self.srtt == 0.0 {
            1.0
        } else {
            (2.0 * self.srtt).max(0.2)
        };
        self.last_progress + Duration::from_nanos((rto * 1e9) as u64)
    }

    fn on_rtt(&mut self, rtt: f64, pn: u64) {
        self.srtt = if self.srtt == 0.0 {
            rtt
        } else {
            self.srtt * 0.875 + rtt * 0.125
        };
        self.min_rtt = self.min_rtt.min(rtt);
        // HyStart by delay, as in Linux.
        if pn >= self.round_end {
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
            self.k = if self.cwnd < self.w_max {
                ((self.w_max - self.cwnd) / 0.4).cbrt()
            } else {
                0.0
            };
            self.w_max = self.w_max.max(self.cwnd);
            now
        });
        let t = now.since(epoch).as_nanos() as f64 / 1e9 + self.srtt;
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

    fn on_loss(&mut self, pn: u64) {
        if pn < self.recovery_until {
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

impl Flow for Tcp {
    fn transmit(&mut self, now: Instant) -> Vec<Packet> {
        let mut packets = Vec::new();
        while now >= self.start && (self.outstanding.len() as f64) < self.cwnd.floor() {
            let pn = self.next;
            self.next += 1;
            if self.outstanding.is_empty() {
                self.last_progress = now;
            }
            self.outstanding.insert(pn, now);
            packets.push(Packet {
                flow: self.flow,
                pn,
                piece: pn,
                size: SIZE,
                ecn: EcnCodepoint::NotEct,
            });
        }
        packets
    }

    fn on_packet(&mut self, packet: Packet, _now: Instant) -> Option<Ack> {
        self.delivered += u64::from(SIZE);
        let in_order = match self.arrived.last_mut() {
            Some(last) if last.largest.get() + 1 == packet.pn => {
                last.largest = pn(packet.pn);
                true
            }
            _ => {
                self.arrived.push(AckRange::one(pn(packet.pn)));
                packet.pn == 0
            }
        };
        self.unacked += 1;
        if in_order && self.unacked < 2 {
            return None;
        }
        self.unacked = 0;
        let ranges = self.arrived.iter().rev().take(4).copied().collect();
        Some(Ack {
            flow: self.flow,
            ranges,
            delay: Duration::ZERO,
            ecn: None,
        })
    }

    fn on_ack(&mut self, ack: Ack, now: Instant) {
        let mut acked = 0.0;
        let largest = ack.ranges[0].largest.get();
        for range in &ack.ranges {
            let pns: Vec<u64> = self
                .outstanding
                .range(range.smallest.get()..=range.largest.get())
                .map(|(pn, _)| *pn)
                .collect();
            for pn in pns {
                let sent = self.outstanding.remove(&pn).unwrap();
                acked += 1.0;
                if pn == largest {
                    self.on_rtt(now.since(sent).as_nanos() as f64 / 1e9, pn);
                }
            }
        }
        if acked == 0.0 {
            return;
        }
        self.last_progress = now;
        self.largest_acked = self.largest_acked.max(Some(largest));
        let lost: Vec<u64> = self
            .outstanding
            .range(..=largest.saturating_sub(3))
            .map(|(pn, _)| *pn)
            .collect();
        for pn in lost {
            self.outstanding.remove(&pn);
            self.on_loss(pn);
        }
        if largest >= self.recovery_until {
            self.grow(acked, now);
        }
    }

    fn timer(&self) -> Option<Instant> {
        if self.next == 0 {
            return Some(self.start);
        }
        (!self.outstanding.is_empty()).then(|| self.retransmission_timeout())
    }

    fn on_timer(&mut self, now: Instant) -> Option<Ack> {
        if self.next > 0 && now >= self.retransmission_timeout() {
            self.outstanding.clear();
            self.on_loss(self.next);
            self.cwnd = 1.0;
            self.last_progress = now;
        }
        None
    }

    fn delivered(&self) -> u64 {
        self.delivered
    }

    fn is_done(&self) -> bool {
        false
    }
}
