// SPDX-License-Identifier: GPL-2.0 OR MIT

//! What the bookkeeping of a packet costs. Two ways to run it:
//!
//! - `cargo bench -p quic-core --bench recovery` prints nanoseconds;
//! - `valgrind --tool=callgrind --toggle-collect='*::ack_of_32' BINARY 1000 cubic` counts
//!   instructions, divided by 1000; in place of `ack_of_32` also `send_32`, `lose_and_ack`,
//!   `receive_32`.

#![allow(missing_docs)]

use kernel::alloc::flags::GFP_ATOMIC;
use quic_core::ack::{AckTiming, Receiver};
use quic_core::congestion::{Algorithm, MAX_WINDOW};
use quic_core::ecn::EcnCodepoint;
use quic_core::frame::{AckRange, EcnCounts};
use quic_core::loss::path::{PathConfig, PathRecovery, SendLimit};
use quic_core::loss::{AckInfo, Fates, Recovery};
use quic_core::packet::PacketNumber;
use quic_core::packet::PacketNumberSpace::{self, ApplicationData};
use quic_core::role::Role;
use quic_core::sent::{SentFlags, SentPacket};
use quic_core::time::{Duration, Instant};
use quic_core::varint::VarInt;
use std::hint::black_box;

/// A piece of a stream, as a connection would remember it.
#[derive(Copy, Clone, Debug, Default)]
struct StreamPiece {
    stream: u64,
    offset: u64,
    len: u16,
    fin: bool,
}

#[derive(Default)]
struct Streams {
    acked: u64,
    lost: u64,
    /// Where the data ends that arrived last.
    end: u64,
}

impl Fates<StreamPiece> for Streams {
    fn on_acked(
        &mut self,
        _: PacketNumberSpace,
        _: PacketNumber,
        packet: &SentPacket<StreamPiece>,
    ) {
        let piece = &packet.content;
        self.acked +=
            u64::from(piece.len) + u64::from(piece.fin) + (piece.stream & piece.offset & 1);
        self.end = piece.offset + u64::from(piece.len);
    }

    fn continued(&self) -> (u64, u64) {
        (4, self.end)
    }

    fn continues(id: u64, end: &mut u64, piece: &StreamPiece) -> bool {
        let continues = piece.stream == id && piece.offset == *end && !piece.fin;
        if continues {
            *end += u64::from(piece.len);
        }
        continues
    }

    fn set_continued(&mut self, end: u64) {
        self.acked += end - self.end;
        self.end = end;
    }

    fn on_lost(&mut self, _: PacketNumberSpace, _: PacketNumber, packet: &SentPacket<StreamPiece>) {
        self.lost += u64::from(packet.content.len);
    }
}

struct Connection {
    recovery: Recovery<StreamPiece>,
    path: PathRecovery,
    streams: Streams,
    receiver: Receiver,
    now: Instant,
    next: u64,
}

impl Connection {
    fn new(algorithm: Algorithm) -> Self {
        let now = Instant::from_nanos(1 << 40);
        let config = PathConfig {
            algorithm,
            max_window: MAX_WINDOW,
            initial_rtt: Duration::from_millis(10),
            max_udp_payload: 1472,
            pmtud: false,
            ecn: true,
            seed: 1,
            now,
        };
        let mut recovery = Recovery::new(Role::Server);
        recovery.set_handshake_confirmed();
        recovery.set_max_ack_delay(Duration::from_millis(25));
        Self {
            recovery,
            path: PathRecovery::new(&config, GFP_ATOMIC).unwrap(),
            streams: Streams::default(),
            receiver: Receiver::new(ApplicationData, Duration::from_millis(25)),
            now,
            next: 0,
        }
    }
}

const FLAGS: SentFlags = SentFlags::ACK_ELICITING
    .with(SentFlags::IN_FLIGHT)
    .with(SentFlags::ECT0);

#[inline(never)]
fn send_32(c: &mut Connection) {
    c.recovery.reserve(ApplicationData, 32, GFP_ATOMIC).unwrap();
    black_box(c.path.send_allowance(c.now));
    for _ in 0..32 {
        let pn = c
            .recovery
            .next_packet_number(ApplicationData, || 0)
            .unwrap();
        let piece = StreamPiece {
            stream: 4,
            offset: pn.get() * 1400,
            len: 1400,
            fin: false,
        };
        let packet = SentPacket::new(c.now, 1452, 0, FLAGS, piece);
        c.recovery
            .on_packet_sent(ApplicationData, pn, packet, &mut c.path, GFP_ATOMIC)
            .unwrap();
    }
    c.recovery
        .on_batch_sent(ApplicationData, c.now, &mut c.path);
    c.path.on_send_stopped(SendLimit::Congestion);
}

/// One range, repeated and longer by 32.
#[inline(never)]
fn ack_of_32(c: &mut Connection, end: u64) {
    let ecn = EcnCounts {
        ect0: VarInt::saturating(end + 1),
        ..EcnCounts::ZERO
    };
    let info = AckInfo {
        ack_delay: Duration::from_micros(100),
        ecn: Some(ecn),
    };
    let ranges = [AckRange::new(end.saturating_sub(200), end).unwrap()];
    let (path, streams) = (&mut c.path, &mut c.streams);
    c.recovery
        .on_ack_received(ApplicationData, &info, ranges, c.now, path, streams)
        .unwrap();
}

/// The same with a hole of one packet, which is lost.
#[inline(never)]
fn lose_and_ack(c: &mut Connection, end: u64) {
    let info = AckInfo {
        ack_delay: Duration::from_micros(100),
        ecn: None,
    };
    let ranges = [
        AckRange::new(end - 15, end).unwrap(),
        AckRange::new(end - 31, end - 17).unwrap(),
    ];
    let (path, streams) = (&mut c.path, &mut c.streams);
    c.recovery
        .on_ack_received(ApplicationData, &info, ranges, c.now, path, streams)
        .unwrap();
}

#[inline(never)]
fn receive_32(c: &mut Connection) {
    for _ in 0..32 {
        let pn = PacketNumber::saturating(c.next);
        if !c.receiver.is_duplicate(pn) {
            c.receiver
                .on_packet_received(pn, true, EcnCodepoint::Ect0, c.now, GFP_ATOMIC);
        }
        c.next += 1;
    }
    if c.receiver.timing(c.now) == AckTiming::Now {
        black_box(c.receiver.ranges().len());
        black_box(c.receiver.ack_delay(c.now, 3));
        c.receiver
            .on_ack_sent(PacketNumber::saturating(c.next), false);
    }
}

fn main() {
    let mut arguments = std::env::args()
        .skip(1)
        .filter(|argument| !argument.starts_with('-'));
    let rounds: u64 = arguments
        .next()
        .and_then(|rounds| rounds.parse().ok())
        .unwrap_or(100_000);
    let algorithms = match arguments.next().as_deref() {
        Some("newreno") => vec![Algorithm::NewReno],
        Some("cubic") => vec![Algorithm::Cubic],
        Some("bbr") => vec![Algorithm::Bbr],
        _ => vec![Algorithm::NewReno, Algorithm::Cubic, Algorithm::Bbr],
    };
    for algorithm in algorithms {
        let mut c = Connection::new(algorithm);
        // Four batches are in flight.
        for _ in 0..4 {
            c.now = c.now + Duration::from_micros(2500);
            send_32(&mut c);
        }
        let mut end = 31;
        let mut spent = [0_u128; 4];
        let mut time =
            |slot: usize, start: std::time::Instant| spent[slot] += start.elapsed().as_nanos();
        for round in 0..rounds {
            c.now = c.now + Duration::from_micros(2500);
            let start = std::time::Instant::now();
            if round % 8 == 7 {
                lose_and_ack(&mut c, end);
                time(2, start);
            } else {
                ack_of_32(&mut c, end);
                time(1, start);
            }
            end += 32;
            let start = std::time::Instant::now();
            send_32(&mut c);
            time(0, start);
            let start = std::time::Instant::now();
            receive_32(&mut c);
            time(3, start);
        }
        let rounds = u128::from(rounds.max(1));
        println!(
            "{algorithm:?}: send {} ns a packet, ack of 32 {} ns, with a loss {} ns, receive {} ns a packet",
            spent[0] / rounds / 32,
            spent[1] * 8 / rounds / 7,
            spent[2] * 8 / rounds,
            spent[3] / rounds / 32,
        );
        black_box((c.streams.acked, c.streams.lost));
    }
}
