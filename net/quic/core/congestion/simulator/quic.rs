// SPDX-License-Identifier: GPL-2.0 OR MIT

//! A flow as a connection would run it: all of this crate's recovery at both ends.

use super::{Ack, Flow, Packet};
use crate::ack::{AckTiming, Receiver};
use crate::congestion::{Algorithm, MAX_WINDOW};
use crate::ecn::EcnCodepoint;
use crate::loss::path::{PathConfig, PathRecovery, SendAllowance, SendLimit};
use crate::loss::{AckInfo, Fates, Recovery, Timeout};
use crate::packet::{PacketNumber, PacketNumberSpace, PacketNumberSpace::ApplicationData};
use crate::role::Role;
use crate::rtt::INITIAL_RTT;
use crate::sent::{SentFlags, SentPacket};
use crate::testing::pn;
use crate::time::{Duration, Instant};
use kernel::alloc::flags::GFP_ATOMIC;
use std::collections::VecDeque;

/// Header, tag and frame header of a packet.
const OVERHEAD: u64 = 1 + 8 + 2 + 16 + 8;

/// How late timers fire.
const LATENESS: Duration = Duration::from_micros(50);

const TRACKED: SentFlags = SentFlags::ACK_ELICITING.with(SentFlags::IN_FLIGHT);

/// A set of pieces.
#[derive(Debug, Default)]
struct Pieces {
    bits: Vec<u64>,
    count: u64,
}

impl Pieces {
    fn contains(&self, piece: u64) -> bool {
        self.bits
            .get(piece as usize / 64)
            .is_some_and(|word| (word >> (piece % 64)) & 1 == 1)
    }

    fn insert(&mut self, piece: u64) {
        if !self.contains(piece) {
            let word = piece as usize / 64;
            self.bits.resize(self.bits.len().max(word + 1), 0);
            self.bits[word] |= 1 << (piece % 64);
            self.count += 1;
        }
    }
}

/// The data of the flow: pieces, one a packet.
#[derive(Debug, Default)]
struct Data {
    next: u64,
    end: u64,
    again: VecDeque<u64>,
    acked: Pieces,
    lost: u64,
}

impl Fates<u64> for Data {
    fn on_acked(&mut self, _: PacketNumberSpace, _: PacketNumber, packet: &SentPacket<u64>) {
        self.acked.insert(packet.content);
    }

    fn on_lost(&mut self, _: PacketNumberSpace, _: PacketNumber, packet: &SentPacket<u64>) {
        if packet.flags().has(SentFlags::MTU_PROBE) {
            return;
        }
        self.lost += 1;
        self.again.push_back(packet.content);
    }
}

impl Data {
    fn take(&mut self) -> Option<u64> {
        while let Some(piece) = self.again.pop_front() {
            if !self.acked.contains(piece) {
                return Some(piece);
            }
        }
        (self.next < self.end).then(|| {
            self.next += 1;
            self.next - 1
        })
    }
}

/// How a flow is set up.
#[derive(Clone, Debug)]
pub(crate) struct Setup {
    pub(crate) algorithm: Algorithm,
    /// Bytes to send.
    pub(crate) bytes: u64,
    /// When to begin.
    pub(crate) start: Instant,
    pub(crate) ecn: bool,
    /// The application has so many bytes a second; 0 for all at once.
    pub(crate) application_rate: u64,
    pub(crate) max_datagram_size: u16,
}

/// Both ends of a flow.
pub(crate) struct Quic {
    flow: usize,
    setup: Setup,
    pub(crate) recovery: Recovery<u64>,
    pub(crate) path: PathRecovery,
    data: Data,
    probes: u8,
    wake: Option<Instant>,
    pub(crate) sent: u64,
    // The receiver.
    receiver: Receiver,
    arrived: Pieces,
    ack_number: u64,
    pub(crate) acks: u64,
    pub(crate) finished: Option<Instant>,
}

impl Quic {
    pub(crate) fn new(flow: usize, setup: Setup) -> Self {
        let config = PathConfig {
            algorithm: setup.algorithm,
            max_window: MAX_WINDOW,
            initial_rtt: INITIAL_RTT,
            max_udp_payload: setup.max_datagram_size,
            pmtud: false,
            ecn: setup.ecn,
            seed: 7 + flow as u64,
            now: setup.start,
        };
        let mut path = PathRecovery::new(&config, GFP_ATOMIC).unwrap();
        path.set_max_datagram_size(setup.max_datagram_size);
        let mut recovery = Recovery::new(Role::Server);
        recovery.set_handshake_confirmed();
        recovery.set_max_ack_delay(Duration::from_millis(25));
        let payload = u64::from(setup.max_datagram_size) - OVERHEAD;
        let end = setup.bytes.div_ceil(payload);
        Self {
            flow,
            recovery,
            path,
            data: Data {
                end,
                ..Data::default()
            },
            probes: 0,
            wake: Some(setup.start),
            sent: 0,
            receiver: Receiver::new(ApplicationData, Duration::from_millis(25)),
            arrived: Pieces::default(),
            ack_number: 0,
            acks: 0,
            finished: None,
            setup,
        }
    }

    fn payload(&self) -> u64 {
        u64::from(self.setup.max_datagram_size) - OVERHEAD
    }

    /// Bytes sent more than once, per byte.
    pub(crate) fn lost(&self) -> u64 {
        self.data.lost
    }

    /// Pieces that the application has produced by now.
    fn available(&self, now: Instant) -> u64 {
        match self.setup.application_rate {
            0 => u64::MAX,
            rate => now.since(self.setup.start).as_micros() * rate / 1_000_000 / self.payload(),
        }
    }

    fn packet(&mut self, piece: u64, now: Instant) -> Packet {
        let ecn = self.path.ecn.codepoint();
        let flags = if ecn == EcnCodepoint::Ect0 {
            TRACKED.with(SentFlags::ECT0)
        } else {
            TRACKED
        };
        let size = self.setup.max_datagram_size;
        let pn = self
            .recovery
            .next_packet_number(ApplicationData, || 0)
            .unwrap();
        let sent = SentPacket::new(now, size, 0, flags, piece);
        self.recovery
            .on_packet_sent(ApplicationData, pn, sent, &mut self.path, GFP_ATOMIC)
            .unwrap();
        self.sent += 1;
        Packet {
            flow: self.flow,
            pn: pn.get(),
            piece,
            size,
            ecn,
        }
    }

    fn acknowledge(&mut self, now: Instant) -> Option<Ack> {
        if self.receiver.timing(now) != AckTiming::Now {
            return None;
        }
        let ack = Ack {
            flow: self.flow,
            ranges: self.receiver.ranges().collect(),
            delay: crate::ack::decode_ack_delay(self.receiver.ack_delay(now, 3), 3),
            ecn: self.receiver.ecn_counts(),
        };
        // Now and then one elicits an acknowledgment, which is taken to arrive.
        let eliciting = self.ack_number % 8 == 0;
        self.receiver.on_ack_sent(pn(self.ack_number), eliciting);
        if eliciting && self.ack_number >= 64 {
            self.receiver.on_ack_acked(pn(self.ack_number - 64));
        }
        self.ack_number += 1;
        self.acks += 1;
        Some(ack)
    }
}

impl Flow for Quic {
    fn transmit(&mut self, now: Instant) -> Vec<Packet> {
        let mut packets = Vec::new();
        if now < self.setup.start {
            return packets;
        }
        let available = self.available(now);
        self.recovery
            .reserve(ApplicationData, 100, GFP_ATOMIC)
            .unwrap();
        while self.probes > 0 {
            self.probes -= 1;
            let oldest = self
                .recovery
                .outstanding(ApplicationData)
                .next()
                .map(|(_, packet)| packet.content);
            let Some(piece) = self.data.take().or(oldest) else {
                break;
            };
            packets.push(self.packet(piece, now));
        }
        self.wake = None;
        let limit = loop {
            if self.data.again.is_empty() && self.data.next >= available {
                let next = Duration::from_nanos(
                    self.payload() * 1_000_000_000 / self.setup.application_rate,
                );
                self.wake = Some(now + next);
                break SendLimit::Application;
            }
            if packets.len() >= 90 {
                self.wake = Some(now);
                break SendLimit::Other;
            }
            match self.path.send_allowance(now) {
                SendAllowance::Bytes(bytes) => {
                    let count = (bytes / u64::from(self.setup.max_datagram_size)).clamp(1, 44);
                    let before = packets.len();
                    for _ in 0..count {
                        let Some(piece) = self.data.take() else { break };
                        packets.push(self.packet(piece, now));
                    }
                    self.recovery
                        .on_batch_sent(ApplicationData, now, &mut self.path);
                    if packets.len() == before {
                        break SendLimit::Application;
                    }
                }
                SendAllowance::Congested => break SendLimit::Congestion,
                SendAllowance::Paced(until) => {
                    self.wake = Some(until + LATENESS);
                    break SendLimit::Pacing;
                }
            }
        };
        self.recovery
            .on_batch_sent(ApplicationData, now, &mut self.path);
        self.path.on_send_stopped(limit);
        packets
    }

    fn on_packet(&mut self, packet: Packet, now: Instant) -> Option<Ack> {
        self.arrived.insert(packet.piece);
        if self.arrived.count == self.data.end && self.finished.is_none() {
            self.finished = Some(now);
        }
        self.receiver
            .on_packet_received(pn(packet.pn), true, packet.ecn, now, GFP_ATOMIC);
        self.acknowledge(now)
    }

    fn on_ack(&mut self, ack: Ack, now: Instant) {
        let info = AckInfo {
            ack_delay: ack.delay,
            ecn: ack.ecn,
        };
        let (path, data) = (&mut self.path, &mut self.data);
        self.recovery
            .on_ack_received(ApplicationData, &info, ack.ranges, now, path, data)
            .unwrap();
    }

    fn timer(&self) -> Option<Instant> {
        let ack = match self.receiver.timing(Instant::from_nanos(0)) {
            AckTiming::At(time) => Some(time + LATENESS),
            _ => None,
        };
        let loss = self
            .recovery
            .loss_detection_timer()
            .map(|timer| timer + LATENESS);
        [self.wake, loss, ack].into_iter().flatten().min()
    }

    fn on_timer(&mut self, now: Instant) -> Option<Ack> {
        if self.wake.is_some_and(|wake| wake <= now) {
            self.wake = None;
        }
        let timeout = self
            .recovery
            .on_loss_detection_timeout(now, &mut self.path, &mut self.data);
        if let Timeout::Probe { datagrams, .. } = timeout {
            self.probes = datagrams;
        }
        self.acknowledge(now)
    }

    fn delivered(&self) -> u64 {
        self.arrived.count * self.payload()
    }

    fn is_done(&self) -> bool {
        self.finished.is_some()
    }
}
