// SPDX-License-Identifier: MIT OR Apache-2.0

//! The two sides of acknowledgment: the ring of sent packets against a map, and the set of received
//! ones against a set.

use crate::input::Input;
use kernel::alloc::flags::GFP_KERNEL;
use kernel::alloc::inject::fail_nth;
use quic_core::ack::Receiver;
use quic_core::bytes::Writer;
use quic_core::ecn::EcnCodepoint;
use quic_core::frame::{Ack, AckFrequency, AckRange, Frame, FrameRules, Frames};
use quic_core::packet::{PacketNumber, PacketNumberSpace, PacketType};
use quic_core::role::Role;
use quic_core::sent::{NeverSent, Scanned, SentFlags, SentPacket, SentPackets};
use quic_core::time::{Duration, Instant};
use quic_core::varint::VarInt;
use std::collections::{BTreeMap, BTreeSet};

pub(crate) fn run(data: &[u8]) {
    let mut input = Input::new(data);
    match input.bool() {
        true => {
            let mut sender = Sender::default();
            while !input.is_empty() && sender.step(&mut input).is_ok() {}
        }
        false => receive(input),
    }
}

fn pn(number: u64) -> PacketNumber {
    PacketNumber::saturating(number)
}

/// The frame in `payload`, if it is an ACK frame.
fn parse<T>(payload: &[u8], look: impl FnOnce(Ack<'_>) -> T) -> Option<T> {
    let rules = FrameRules {
        role: Role::Server,
        max_datagram_frame_size: VarInt::ZERO,
        min_ack_delay: None,
        reset_stream_at: false,
    };
    let first = Frames::new(payload, PacketType::OneRtt, &rules)
        .ok()?
        .next();
    match first {
        Some(Ok(Frame::Ack(frame))) => Some(look(frame)),
        _ => None,
    }
}

#[derive(Copy, Clone, PartialEq, Eq, Debug)]
enum Fate {
    Outstanding,
    Lost(Instant),
    Acked,
    /// Not in flight, or discarded.
    Untracked,
}

#[derive(Default)]
struct Sender {
    packets: SentPackets<u64>,
    /// All that were sent.
    model: BTreeMap<u64, Fate>,
    now: u64,
    /// Lost packets sent before may have been forgotten.
    cutoff: Instant,
}

impl Sender {
    fn step(&mut self, input: &mut Input<'_>) -> Result<(), NeverSent> {
        match input.u8() % 8 {
            0 | 1 => self.send(input),
            2 => self.acknowledge_frame(input.vec())?,
            3 => {
                let next = self.packets.next().map_or(0, PacketNumber::get);
                let largest = next.saturating_sub(input.u8().into());
                let smallest = largest.saturating_sub(input.u8().into());
                self.acknowledge([AckRange::new(smallest, largest)].into_iter().flatten())?;
            }
            4 => self.detect_lost(input),
            5 => {
                self.cutoff = self
                    .cutoff
                    .max(Instant::from_nanos(input.number().min(self.now)));
                self.packets.forget(self.cutoff);
            }
            6 => {
                let modulus = u64::from(input.u8()).max(1);
                self.packets
                    .discard(|number, _| number.get() % modulus == 0);
                for (number, fate) in &mut self.model {
                    if *fate == Fate::Outstanding && number % modulus == 0 {
                        *fate = Fate::Untracked;
                    }
                }
            }
            _ => {
                self.packets.trim();
                if !self.model.values().any(|fate| *fate == Fate::Outstanding) {
                    self.cutoff = Instant::FAR_FUTURE;
                }
            }
        }
        let outstanding = |(number, fate): (&u64, &Fate)| match fate {
            Fate::Outstanding => Some(*number),
            _ => None,
        };
        let modelled = self.model.iter().filter_map(outstanding);
        let actual = self.packets.outstanding().map(|(number, packet)| {
            assert_eq!(packet.content, number.get());
            number.get()
        });
        assert!(actual.eq(modelled));
        Ok(())
    }

    fn send(&mut self, input: &mut Input<'_>) {
        let count = u64::from(input.u8() % 32);
        let skip = u64::from(input.u8());
        let skip = if skip < 0xc0 { 0 } else { skip - 0xbf };
        let flags = match input.u8() % 4 {
            0 => SentFlags::NONE,
            1 => SentFlags::IN_FLIGHT,
            _ => SentFlags::IN_FLIGHT.with(SentFlags::ACK_ELICITING),
        };
        let room = usize::try_from(count + skip).expect("few");
        let fails = input.u8() == 1;
        let mut reserve = || self.packets.reserve(room, GFP_KERNEL);
        let (reserved, failed) = match fails {
            true => fail_nth(0, reserve),
            false => (reserve(), false),
        };
        if reserved.is_err() {
            assert!(failed);
            return;
        }
        let first = self.packets.next().expect("no end is reached").get() + skip;
        for number in first..first + count {
            self.now += 1;
            let now = Instant::from_nanos(self.now);
            let packet = SentPacket::new(now, 1200, 0, flags, number);
            assert!(self.packets.has_room(pn(number)));
            self.packets
                .record(pn(number), &packet)
                .expect("room was reserved");
            let fate = match flags.has(SentFlags::IN_FLIGHT) {
                true => Fate::Outstanding,
                false => Fate::Untracked,
            };
            self.model.insert(number, fate);
        }
    }

    fn acknowledge_frame(&mut self, payload: &[u8]) -> Result<(), NeverSent> {
        parse(payload, |frame| self.acknowledge(frame.ranges())).unwrap_or(Ok(()))
    }

    fn acknowledge(&mut self, ranges: impl Iterator<Item = AckRange>) -> Result<(), NeverSent> {
        for range in ranges {
            let mut newly = Vec::new();
            let result = self.packets.acknowledge(range, |run| {
                newly.extend(run.map(|(number, packet)| (number.get(), packet.content)));
            });
            let numbers = range.smallest.get()..=range.largest.get();
            if result.is_err() {
                let sent = self.model.range(numbers.clone()).count() as u64;
                assert!(
                    sent <= range.largest.get() - range.smallest.get(),
                    "{numbers:?}"
                );
                return result;
            }
            assert!(self.packets.next().is_none_or(|next| range.largest < next));
            for (number, content) in newly {
                assert_eq!(number, content);
                assert!(numbers.contains(&number));
                let fate = self.model.get_mut(&number).expect("it was sent");
                assert!(
                    matches!(fate, Fate::Outstanding | Fate::Lost(_)),
                    "{fate:?}"
                );
                *fate = Fate::Acked;
            }
            for (number, fate) in self.model.range(numbers) {
                match fate {
                    Fate::Outstanding => panic!("{number} was passed over"),
                    Fate::Lost(sent) => assert!(*sent < self.cutoff, "{number} was passed over"),
                    Fate::Acked | Fate::Untracked => {}
                }
            }
        }
        Ok(())
    }

    fn detect_lost(&mut self, input: &mut Input<'_>) {
        let largest = input.number();
        let mut budget = input.u8();
        let mut lost = Vec::new();
        self.packets
            .detect_lost(pn(largest), |scanned| match scanned {
                Scanned::Acked => true,
                Scanned::Outstanding(number, packet) => {
                    assert!(number.get() <= largest);
                    let is_lost = budget > 0;
                    budget = budget.saturating_sub(1);
                    if is_lost {
                        lost.push((number.get(), packet.time_sent));
                    }
                    is_lost
                }
            });
        for (number, sent) in lost {
            let fate = self.model.insert(number, Fate::Lost(sent));
            assert_eq!(fate, Some(Fate::Outstanding));
        }
    }
}

fn receive(mut input: Input<'_>) {
    let space = input.pick(&PacketNumberSpace::ALL);
    let mut receiver = Receiver::new(space, Duration::from_millis(25));
    let mut received = BTreeSet::new();
    let mut now = Instant::from_nanos(1 << 30);
    let mut sent = 0;
    while !input.is_empty() {
        match input.u8() % 7 {
            0 | 1 => {
                let last = received.last().copied().unwrap_or(0_u64);
                let number = match input.u8() {
                    255 => input.number(),
                    delta @ 128.. => last.saturating_sub(u64::from(delta) - 128),
                    delta => last.saturating_add(delta.into()),
                };
                let number = pn(number);
                let ecn = EcnCodepoint::from_tos(input.u8());
                let eliciting = ecn != EcnCodepoint::Ect1;
                if !receiver.is_duplicate(number) {
                    assert!(
                        received.insert(number.get()),
                        "{number:?} was not recognized"
                    );
                    receiver.on_packet_received(number, eliciting, ecn, now, GFP_KERNEL);
                } else if received.is_empty() {
                    panic!("a duplicate of nothing");
                }
            }
            2 => now = now + Duration::from_micros(input.number()),
            3 => {
                emit(&receiver, now, &received, usize::from(input.u8()) * 4);
                receiver.on_ack_sent(pn(sent), input.bool());
                sent += 1;
            }
            4 => receiver.on_ack_acked(pn(input.number().min(sent))),
            5 => receiver.on_ack_lost(pn(input.number().min(sent))),
            _ => receiver.on_ack_frequency(&AckFrequency {
                sequence: VarInt::saturating(input.number()),
                ack_eliciting_threshold: VarInt::saturating(input.number()),
                requested_max_ack_delay: VarInt::from_u32(input.u16().into()),
                reordering_threshold: VarInt::saturating(input.number()),
            }),
        }
        let _ = (
            receiver.timing(now),
            receiver.wants_ping(),
            receiver.has_unacked(),
        );
        assert_eq!(
            receiver.largest_received().map(PacketNumber::get),
            received.last().copied()
        );
    }
}

/// What is acknowledged was received.
fn emit(receiver: &Receiver, now: Instant, received: &BTreeSet<u64>, room: usize) {
    let mut buffer = vec![0; room];
    let mut writer = Writer::new(&mut buffer);
    if receiver.emit(&mut writer, now, 3).is_err() {
        assert_eq!(writer.position(), 0);
        return;
    }
    let parsed = parse(writer.written(), |frame| {
        assert_eq!(Some(frame.largest.get()), received.last().copied());
        let mut below = u64::MAX;
        for range in frame.ranges() {
            let (smallest, largest) = (range.smallest.get(), range.largest.get());
            assert!(largest < below);
            below = smallest;
            let count = received.range(smallest..=largest).count() as u64;
            assert_eq!(count, largest - smallest + 1);
        }
    });
    assert!(parsed.is_some(), "it is an ACK frame");
}
