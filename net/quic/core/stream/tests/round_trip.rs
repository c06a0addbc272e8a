// SPDX-License-Identifier: GPL-2.0 OR MIT

//! Two ends and a network between them that loses, delays, reorders and repeats packets, and an
//! endpoint that takes late ones for lost: no byte is lost, doubled or out of order, and in the end
//! nothing is held.

use super::*;
use crate::bytes;
use crate::frame::{FrameRules, Frames};
use crate::packet::PacketType;
use kernel::alloc::inject;
use proptest::prelude::*;
use std::collections::BTreeMap;

struct Packet {
    payload: Vec<u8>,
    records: Vec<SentFrame>,
    /// The sender has given it up; it may arrive all the same.
    given_up: bool,
}

/// What a reader has seen of a stream.
#[derive(Default)]
struct Reader {
    read: u64,
    ended: bool,
}

/// What a writer has done to a stream.
#[derive(Default)]
struct Writer {
    written: u64,
    finished: bool,
    reset: bool,
}

struct Network {
    ends: [End; 2],
    /// On the way from each end.
    packets: [Vec<Packet>; 2],
    writers: [BTreeMap<u64, Writer>; 2],
    readers: [BTreeMap<u64, Reader>; 2],
    now: u64,
    seed: u64,
    /// Every n-th allocation fails.
    starve: Option<u64>,
}

impl Network {
    fn new(seed: u64, data: u64, stream_data: u64, streams: u64) -> Self {
        let limits = limits(data, stream_data, streams);
        Self {
            ends: [Role::Client, Role::Server].map(|role| End::new(role, limits, limits)),
            packets: [vec![], vec![]],
            writers: Default::default(),
            readers: Default::default(),
            now: 1,
            seed,
            starve: None,
        }
    }

    fn random(&mut self, below: u64) -> u64 {
        self.seed = self
            .seed
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.seed >> 33) % below
    }

    /// Runs `body` with a chance of an allocation failing in it.
    fn starved<R>(&mut self, body: impl FnOnce(&mut Self) -> R) -> R {
        match self.starve {
            Some(every) => {
                let n = self.random(every);
                inject::fail_nth(n, || body(self)).0
            }
            None => body(self),
        }
    }

    /// Puts what there is to send into packets.
    fn transmit(&mut self, side: usize, mtu: usize) {
        loop {
            let mut buffer = vec![0; mtu];
            let mut writer = bytes::Writer::new(&mut buffer);
            let mut records = vec![];
            let streams = &mut self.ends[side].streams;
            while let Some(frame) = streams.poll_control(writer.remaining()) {
                frame.emit(&mut writer).unwrap();
                records.push(sent(&frame));
            }
            while let Some(frame) = streams.poll_stream(writer.remaining(), Tail::All, GFP_KERNEL) {
                let before = writer.position();
                frame.header().emit(&mut writer).unwrap();
                for piece in streams.pieces(&frame) {
                    writer.bytes(&piece.chunk.as_slice()[piece.range]).unwrap();
                }
                assert_eq!(writer.position() - before, frame.size());
                records.push(frame.record());
            }
            if records.is_empty() {
                return;
            }
            let payload = writer.written().to_vec();
            self.packets[side].push(Packet {
                payload,
                records,
                given_up: false,
            });
        }
    }

    fn receive(&mut self, side: usize, frame: &Frame<'_>) -> Result<(), FrameError> {
        let End { streams, events } = &mut self.ends[side];
        let mut report = |event| events.push(event);
        let flags = GFP_KERNEL;
        match *frame {
            Frame::Stream(ref frame) => {
                let data = Bytes::new(frame.data.bytes);
                streams.on_stream(frame, data, flags, &mut report)?;
            }
            Frame::ResetStream(ref frame) => {
                streams.on_reset_stream(frame, flags, &mut report)?;
            }
            Frame::ResetStreamAt(ref frame) => {
                streams.on_reset_stream_at(frame, flags, &mut report)?;
            }
            Frame::StopSending(ref frame) => {
                streams.on_stop_sending(frame, flags, &mut report)?;
            }
            Frame::MaxData { maximum } => {
                streams.on_max_data(maximum);
            }
            Frame::MaxStreamData { id, maximum } => {
                streams.on_max_stream_data(id, maximum, flags, &mut report)?;
            }
            Frame::MaxStreams {
                directionality,
                maximum,
            } => streams.on_max_streams(directionality, maximum, &mut report),
            Frame::StreamDataBlocked { id, .. } => streams.on_stream_data_blocked(id, flags)?,
            Frame::DataBlocked { .. } | Frame::StreamsBlocked { .. } => {}
            _ => panic!("{frame:?}"),
        }
        Ok(())
    }

    /// A packet of `side` arrives: it is acknowledged if all of its frames are taken up.
    fn deliver(&mut self, side: usize, at: usize) {
        let packet = self.packets[side].remove(at);
        let rules = FrameRules {
            role: [Role::Server, Role::Client][side],
            max_datagram_frame_size: VarInt::ZERO,
            min_ack_delay: None,
            reset_stream_at: true,
        };
        let mut frames = Frames::new(&packet.payload, PacketType::OneRtt, &rules).unwrap();
        let taken = frames.all(|frame| {
            let frame = frame.unwrap();
            match self.starved(|network| network.receive(1 - side, &frame)) {
                Ok(()) => true,
                Err(FrameError::Refused) => false,
                Err(FrameError::Transport(error)) => panic!("{error:?}"),
            }
        });
        for record in &packet.records {
            if taken {
                self.starved(|network| network.ends[side].on_acked(record));
            } else if !packet.given_up {
                self.starved(|network| network.ends[side].on_lost(record));
            }
        }
    }

    fn lose(&mut self, side: usize, at: usize, for_good: bool) {
        let packet = &mut self.packets[side][at];
        let records = packet.records.clone();
        if !core::mem::replace(&mut packet.given_up, true) {
            for record in &records {
                self.starved(|network| network.ends[side].on_lost(record));
            }
        }
        if for_good {
            self.packets[side].remove(at);
        }
    }

    fn write(&mut self, side: usize) {
        let stream = self.random(12);
        let (ours, one_way) = (stream & 1 == side as u64, stream & 2 == 2);
        if one_way && !ours {
            return;
        }
        if ours {
            let _ = self.starved(|network| network.ends[side].open(stream));
        }
        let len = self.random(3000) as usize;
        let writer = self.writers[side].entry(stream).or_default();
        let data = Bytes::pattern((stream << 1) | side as u64, writer.written, len);
        let result = self.starved(|network| {
            network.ends[side]
                .streams
                .write(id(stream), data, GFP_KERNEL)
        });
        if result.is_ok() {
            self.writers[side].get_mut(&stream).unwrap().written += len as u64;
        }
        let what = self.random(12);
        if what < 2
            && self
                .starved(|network| network.ends[side].finish(stream))
                .is_ok()
        {
            self.writers[side].get_mut(&stream).unwrap().finished = true;
        }
        if what == 2 {
            let reliable = at(self.random(2000));
            let streams = &mut self.ends[side].streams;
            if streams
                .reset(id(stream), CODE, reliable, GFP_KERNEL)
                .is_ok()
            {
                self.writers[side].get_mut(&stream).unwrap().reset = true;
            }
        }
    }

    fn read(&mut self, side: usize, most: u64) -> bool {
        let End { streams, .. } = &mut self.ends[side];
        let Some(next) = streams.next_readable() else {
            return false;
        };
        let stream = next.id.get().get();
        let len = next.len.min(most);
        let available: Vec<u8> = streams
            .peek(next.id)
            .flat_map(|chunk| chunk.as_slice().to_vec())
            .take(len as usize)
            .collect();
        let reader = self.readers[side].entry(stream).or_default();
        assert!(!reader.ended);
        assert!(next.len > 0 || next.fin);
        let seed = (stream << 1) | (1 - side) as u64;
        assert_eq!(
            available,
            pattern(seed, reader.read, len as usize),
            "stream {stream}"
        );
        reader.read += len;
        reader.ended = next.fin && len == next.len;
        self.now += 1;
        let now = Instant::from_nanos(0) + Duration::from_millis(self.now);
        streams.consume(next.id, len, now, Duration::from_millis(5));
        true
    }

    /// Until nothing moves any more.
    fn settle(&mut self) {
        self.starve = None;
        let mut moved = true;
        while moved {
            moved = false;
            for side in 0..2 {
                self.transmit(side, 1200);
                while !self.packets[side].is_empty() {
                    self.deliver(side, 0);
                    moved = true;
                }
                while self.read(side, u64::MAX) {
                    moved = true;
                }
            }
        }
        for side in 0..2 {
            assert!(self.packets[side].is_empty());
            assert_eq!(self.ends[side].streams.unsent(), 0);
        }
    }

    fn check_end(&mut self) {
        for side in 0..2 {
            for (stream, writer) in &self.writers[side] {
                let reader = self.readers[1 - side].get(stream);
                let read = reader.map_or(0, |reader| reader.read);
                if !writer.reset {
                    assert_eq!(read, writer.written, "stream {stream}");
                    assert_eq!(reader.is_some_and(|reader| reader.ended), writer.finished);
                }
                assert!(read <= writer.written);
            }
            let (here, there) = (&self.ends[side].streams, &self.ends[1 - side].streams);
            assert_eq!(
                here.sent, there.received,
                "both agree on the credit that was used"
            );
            assert_eq!(there.received, there.consumed);
            assert_eq!((here.recv_held(), here.send_held()), (0, 0));
        }
    }
}

fn run(seed: u64, limits: (u64, u64, u64), steps: u32, starve: Option<u64>) {
    let mut network = Network::new(seed, limits.0, limits.1, limits.2);
    network.starve = starve;
    for _ in 0..steps {
        let side = network.random(2) as usize;
        let waiting = network.packets[side].len() as u64;
        match network.random(12) {
            0..=2 => network.write(side),
            3 | 4 => {
                let mtu = 60 + network.random(1400) as usize;
                network.starved(|network| network.transmit(side, mtu));
            }
            5..=7 if waiting > 0 => {
                let at = network.random(waiting) as usize;
                network.deliver(side, at);
            }
            8 if waiting > 0 => {
                let (at, for_good) = (network.random(waiting) as usize, network.random(2) == 0);
                network.lose(side, at, for_good);
            }
            9 | 10 => {
                let most = network.random(5000);
                network.read(side, most.max(1));
            }
            11 if network.random(20) == 0 => {
                let stream = network.random(12);
                if network.ends[side].stop(stream).is_ok() {
                    // From here on it may be cut short.
                    network.writers[1 - side].entry(stream).or_default().reset = true;
                }
            }
            _ => {}
        }
    }
    network.settle();
    network.check_end();
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn nothing_is_lost(seed in any::<u64>()) {
        run(seed, (1 << 20, 1 << 18, 8), 400, None);
    }

    #[test]
    fn nothing_is_lost_in_narrow_windows(seed in any::<u64>()) {
        run(seed, (3000, 1200, 2), 400, None);
    }

    #[test]
    fn nothing_is_lost_when_memory_is_short(seed in any::<u64>()) {
        run(seed, (1 << 20, 1 << 18, 8), 400, Some(4));
    }
}
