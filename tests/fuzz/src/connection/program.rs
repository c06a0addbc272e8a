// SPDX-License-Identifier: MIT OR Apache-2.0

//! [`Program`]: a connection and the operations of an input.

use super::observer::Observer;
use super::peer::Peer;
use super::setup::{addresses, Setup, RESET_TOKEN};
use super::world::{Buffer, World};
use super::{streams, tls, Bytes};
use crate::cipher::take_sealed;
use crate::input::Input;
use crate::memory;
use kernel::alloc::flags::GFP_ATOMIC;
use kernel::alloc::inject::fail_nth;
use quic_core::bytes::Writer;
use quic_core::cid::ConnectionId;
use quic_core::connection::{Accepted, Arrival, Connection, State};
use quic_core::ecn::EcnCodepoint;
use quic_core::frame::{emit_ack, AckFrequency, AckRange, EcnCounts};
use quic_core::packet::{PacketNumberSpace, PacketType};
use quic_core::role::Role;
use quic_core::time::{Duration, Instant};
use quic_core::varint::VarInt;
use std::collections::BTreeSet;

/// How many packets are kept until there are keys for them (RFC 9001 §5.7).
const MAX_DEFERRED: usize = 20;
/// How many datagrams may leave at once, and how many in all while no time passes.
const BATCH: usize = 10;
const MAX_DATAGRAMS: usize = 2000;
/// How often in a row a timer may be due without time passing.
const MAX_EXPIRIES: usize = 8;
/// How many timers may expire until a connection of which nobody hears is over.
const MAX_SILENT_EXPIRIES: usize = 2000;
/// What a connection holds at most, beside what the application has written: the limits of what is
/// received, and the books.
const MAX_MEMORY: isize = 1 << 20;

/// Operations whose number has this bit are followed by others before anything is sent.
const MORE: u8 = 0x80;

pub(super) struct Program<'a> {
    input: Input<'a>,
    setup: Setup,
    connection: Connection<World>,
    world: World,
    peer: Peer,
    observer: Observer,
    now: Instant,
    /// The number of the addresses of the next datagrams.
    address: u8,
    ecn: EcnCodepoint,
    deferred: Vec<(Arrival, Vec<u8>)>,
    steps: u8,
    cids: u8,
    out: Vec<u8>,
    /// What the thread held before there was a connection.
    held: isize,
    written: usize,
    /// There is no memory for what is received.
    full: bool,
}

impl<'a> Program<'a> {
    pub(super) fn new(mut input: Input<'a>) -> Self {
        take_sealed();
        let setup = Setup::read(&mut input);
        let out = vec![0; 65_536];
        let held = memory::held();
        let mut world = World::default();
        let now = Instant::from_nanos(1 << 30);
        let cx = &mut world.cx(now);
        let first = addresses(0);
        let original_dcid = ConnectionId::new(&[0xd0; 8]).expect("not too long");
        let connection = match setup.role {
            Role::Client => {
                Connection::connect(cx, setup.config, first, setup.local_cid, setup.token)
            }
            Role::Server => {
                let retry = ConnectionId::new(&[0xd1; 8]).expect("not too long");
                let accepted = Accepted {
                    addresses: first,
                    version: setup.config.version,
                    dcid: if setup.retried { retry } else { original_dcid },
                    scid: setup.peer_cid,
                    original_dcid,
                    validated: setup.validated,
                };
                Connection::accept(cx, setup.config, &accepted, setup.local_cid)
            }
        };
        Self {
            input,
            connection: connection.expect("memory"),
            peer: Peer::new(&setup, setup.local_cid),
            observer: Observer::new(setup.role, first, setup.validated),
            setup,
            world,
            now,
            address: 0,
            ecn: EcnCodepoint::NotEct,
            deferred: Vec::new(),
            steps: 0,
            cids: 0,
            out,
            held,
            written: 0,
            full: false,
        }
    }

    /// Takes the handshake to its end.
    pub(super) fn establish(&mut self) {
        const PING: [u8; 4] = [1, 0, 0, 0];
        const HANDSHAKE_DONE: [u8; 1] = [0x1e];
        match self.setup.role {
            Role::Client => {
                self.step();
                self.transmit();
                self.deliver_plain(PacketType::Initial, &PING);
                self.step();
                self.step();
                self.transmit();
                self.deliver_plain(PacketType::OneRtt, &HANDSHAKE_DONE);
            }
            Role::Server => {
                self.deliver_plain(PacketType::Initial, &PING);
                self.step();
                self.step();
                self.transmit();
                self.deliver_plain(PacketType::Handshake, &PING);
                self.step();
            }
        }
        self.settle();
    }

    fn step(&mut self) {
        let cx = &mut self.world.cx(self.now);
        tls::step(
            self.steps,
            &self.setup,
            &mut self.peer,
            &mut self.connection,
            cx,
        );
        if self.connection.is_complete() {
            self.observer.on_complete();
        }
        self.steps = self.steps.saturating_add(1);
    }

    fn deliver_plain(&mut self, packet_type: PacketType, payload: &[u8]) {
        self.peer.plain(packet_type, payload);
        self.deliver();
    }

    pub(super) fn run(&mut self) {
        while !self.input.is_empty() {
            let operation = self.input.u8();
            self.operate(operation);
            self.check();
            if operation & MORE == 0 {
                self.settle();
            }
        }
        self.end();
    }

    fn operate(&mut self, operation: u8) {
        trace!("{:?} operation {operation:#04x}", self.now);
        match operation & !MORE {
            0..=0x0f => {
                if self.peer.packet(&mut self.input, None) {
                    self.deliver();
                }
            }
            0x10..=0x13 => self.acknowledge(),
            0x14..=0x17 => {
                self.written += streams::anything(&mut self.input, &mut self.connection, self.now);
            }
            0x18 => self.tls(),
            0x19 => self.step(),
            0x1a => self.raw(),
            0x1b => {
                self.peer.repeat();
                self.deliver();
            }
            0x1c => self.expire(),
            0x1d => self.wait(Duration::from_millis(1)),
            0x1e => self.wait(Duration::from_secs(1)),
            0x1f => self.respond(),
            0x20 => self.address = self.input.u8(),
            0x21 => self.ecn = EcnCodepoint::from_tos(self.input.u8()),
            0x22 => self.fail(),
            0x23 => self.migrate(),
            0x24 => self.close(),
            0x25 => self.issue_cids(),
            0x26 => self.datagram(),
            0x27 => self.deferred(),
            0x28 => self.rare(),
            0x29 => self.stateless(),
            0x2a => self.full = self.input.bool(),
            _ => {}
        }
    }

    fn raw(&mut self) {
        let bytes = self.input.vec();
        self.peer.raw(bytes);
        self.deliver();
    }

    fn tls(&mut self) {
        let cx = &mut self.world.cx(self.now);
        tls::anything(
            &mut self.input,
            &self.setup,
            &mut self.peer,
            &mut self.connection,
            cx,
        );
        if self.connection.is_complete() {
            self.observer.on_complete();
        }
    }

    /// The next operation does not get all the memory that it wants.
    fn fail(&mut self) {
        let (n, operation) = (self.input.u8(), self.input.u8());
        // Of two such operations only the second counts.
        if operation & !MORE == 0x22 {
            return;
        }
        fail_nth(n.into(), || {
            self.operate(operation);
            self.transmit();
        });
    }

    fn close(&mut self) {
        let (code, reason) = (VarInt::from(self.input.u8()), self.input.vec());
        self.connection
            .close(&mut self.world.cx(self.now), code, reason);
    }

    fn migrate(&mut self) {
        let local = addresses(self.input.u8()).local;
        let _ = self.connection.migrate(&mut self.world.cx(self.now), local);
    }

    fn issue_cids(&mut self) {
        let len = self.setup.local_cid.len();
        for _ in 0..self.connection.wanted_cids() {
            self.cids = self.cids.wrapping_add(1);
            let cid = ConnectionId::new(&[self.cids; ConnectionId::MAX_LEN][..len]);
            let cid = cid.expect("not too long");
            if self.connection.issue_cid(cid, GFP_ATOMIC).is_ok() {
                self.peer.dcids.push(cid);
            }
        }
    }

    fn datagram(&mut self) {
        let len = usize::from(self.input.u8()) * 6;
        match len {
            0 => {
                let len = self
                    .connection
                    .datagrams()
                    .peek()
                    .map(|it| it.0.as_slice().len());
                self.connection.datagrams().consume(len.unwrap_or(1));
            }
            _ => {
                let most = self.connection.max_datagram_len();
                let data = Bytes::new(&vec![0xdd; len]);
                let queued = self.connection.send_datagram(data, GFP_ATOMIC);
                assert!(queued.is_err() || len <= most);
            }
        }
    }

    fn rare(&mut self) {
        let choice = self.input.u8();
        match choice % 6 {
            0 => self.connection.ping(),
            1 => {
                let request = AckFrequency {
                    sequence: VarInt::ZERO,
                    ack_eliciting_threshold: VarInt::saturating(self.input.number()),
                    requested_max_ack_delay: VarInt::saturating(self.input.number() << 4),
                    reordering_threshold: VarInt::saturating(self.input.number()),
                };
                self.connection.request_ack_frequency(request);
            }
            2 => {
                let (active, prior_to) = (self.input.u8().into(), self.input.u8().into());
                let _ = self.connection.local_cids().set(active, prior_to);
            }
            3 => {
                let (active, prior_to) = (self.input.u8().into(), self.input.u8().into());
                let _ = self.connection.remote_cids().set(active, prior_to);
            }
            4 => {
                let (addresses, mtu) = (addresses(self.address), self.input.u16());
                let cx = self.world.cx(self.now);
                self.connection.on_packet_too_big(&cx, &addresses, mtu);
            }
            _ => {
                let _ = self.connection.update_keys(&mut self.world.cx(self.now));
            }
        }
    }

    /// What somebody says who has no connection.
    fn stateless(&mut self) {
        let original_dcid = *self.connection.original_dcid();
        match self.input.u8() % 3 {
            0 => self.peer.retry(&mut self.input, &original_dcid),
            1 => self
                .peer
                .version_negotiation(&mut self.input, &original_dcid),
            _ => {
                let bytes = self.input.vec();
                self.peer.raw(bytes);
                self.peer.raw(&RESET_TOKEN);
            }
        }
        self.deliver();
    }

    /// Acknowledges what was sent, or some of it.
    fn acknowledge(&mut self) {
        let choices = self.input.u8();
        let (space, space_type) = match choices & 3 {
            1 => (PacketNumberSpace::Initial, 1),
            2 => (PacketNumberSpace::Handshake, 2),
            _ => (PacketNumberSpace::ApplicationData, 0),
        };
        let (skip, count) = match choices & 4 {
            0 => (0, usize::MAX),
            _ => (self.input.u8().into(), self.input.u8().into()),
        };
        let seen = &self.observer.seen[space as usize];
        let ecn = (choices & 8 != 0).then(|| EcnCounts {
            ect0: VarInt::from_u32(seen.len() as u32),
            ect1: VarInt::ZERO,
            ce: VarInt::from(choices >> 4),
        });
        let ranges = ranges(seen, skip, count);
        let mut buffer = [0; 1000];
        let mut writer = Writer::new(&mut buffer);
        let delay = VarInt::from(choices >> 4);
        if emit_ack(&mut writer, delay, ecn, ranges.into_iter()).is_err() {
            return;
        }
        let complete = self
            .peer
            .packet(&mut Input::new(&[space_type]), Some(writer.written()));
        assert!(complete);
        self.deliver();
    }

    /// Answers a challenge.
    fn respond(&mut self) {
        let challenges = &self.observer.challenges;
        let back = usize::from(self.input.u8());
        let Some(data) = challenges.iter().rev().nth(back % challenges.len().max(1)) else {
            return;
        };
        let payload = [&[0x1b], &data[..]].concat();
        self.deliver_plain(PacketType::OneRtt, &payload);
    }

    /// Gives the datagram to the connection.
    fn deliver(&mut self) {
        let mut bytes = self.peer.take();
        let arrival = Arrival {
            addresses: addresses(self.address),
            ecn: self.ecn,
        };
        let payload = std::mem::take(&mut self.peer.payload);
        let proved = std::mem::take(&mut self.peer.proved);
        self.observer
            .on_received(arrival.addresses, bytes.len(), proved, &payload);
        let mut buffer = Buffer {
            fails: self.full,
            ..Buffer::default()
        };
        let original = bytes.clone();
        let cx = &mut self.world.cx(self.now);
        self.connection
            .on_datagram(cx, &arrival, &mut bytes, &mut buffer);
        for range in buffer.deferred {
            if self.deferred.len() < MAX_DEFERRED {
                self.deferred.push((arrival, original[range].to_vec()));
            }
        }
        self.observer.on_state(self.connection.state());
    }

    fn deferred(&mut self) {
        for (arrival, mut bytes) in std::mem::take(&mut self.deferred) {
            // It may prove where the peer is as late as now.
            self.observer
                .on_received(arrival.addresses, 0, true, &bytes);
            let mut buffer = Buffer::default();
            let cx = &mut self.world.cx(self.now);
            self.connection
                .on_deferred(cx, &arrival, &mut bytes, &mut buffer);
        }
    }

    /// Lets some time pass, in `unit`.
    fn wait(&mut self, unit: Duration) {
        let time = unit.times(self.input.u8().into());
        // Whoever owns a connection does not miss its timer.
        let end = self.now + time;
        let mut expiries = 0;
        while self.connection.timeout().is_some_and(|at| at <= end) && expiries < 100 {
            expiries += 1;
            self.expire();
            self.settle();
        }
        self.now = self.now.max(end);
    }

    /// Lets the time come for which the connection waits.
    fn expire(&mut self) {
        if let Some(at) = self.connection.timeout() {
            self.now = self.now.max(at);
        }
        trace!("{:?} timeout", self.now);
        self.connection.on_timeout(&mut self.world.cx(self.now));
    }

    /// Sends what there is, and does what is due.
    fn settle(&mut self) {
        self.transmit();
        let mut expiries = 0;
        while self.connection.timeout().is_some_and(|at| at <= self.now) {
            expiries += 1;
            assert!(expiries <= MAX_EXPIRIES, "a timer expires again and again");
            self.expire();
            self.transmit();
        }
        self.check();
    }

    fn transmit(&mut self) {
        self.observer.on_state(self.connection.state());
        let mut sent = 0;
        let mut out = std::mem::take(&mut self.out);
        self.peer.unencrypted = self.setup.config.parameters.disable_1rtt_encryption
            && self
                .connection
                .remote_parameters()
                .is_some_and(|it| it.disable_1rtt_encryption);
        loop {
            let cx = &mut self.world.cx(self.now);
            let Some(mut batch) = self.connection.begin_batch(cx, BATCH) else {
                break;
            };
            // An error may have closed it just now.
            self.observer.on_state(self.connection.state());
            let mut last = batch.segment_size;
            let before = sent;
            while let Some(len) = self.connection.fill(cx, &mut batch, &mut out) {
                assert!(len > 0 && len <= batch.segment_size, "{len} in {batch:?}");
                assert_eq!(last, batch.segment_size, "a shorter one is the last");
                last = len;
                sent += 1;
                trace!("    {len} bytes to {:?}", batch.addresses.remote);
                self.observer
                    .on_sent(batch.addresses, &out[..len], &take_sealed());
            }
            assert!(sent - before <= BATCH);
            let any = self.connection.end_batch(cx, &batch);
            assert_eq!(any, sent > before);
            assert!(sent < MAX_DATAGRAMS, "it sends and sends");
            if !any {
                break;
            }
        }
        // Of what was sealed and did not leave.
        take_sealed();
        self.out = out;
        self.observer.on_state(self.connection.state());
    }

    fn check(&mut self) {
        self.observer.on_state(self.connection.state());
        let held = memory::held() - self.held;
        let most = MAX_MEMORY + 4 * isize::try_from(self.written).unwrap_or(isize::MAX);
        assert!(held < most, "{held} bytes are held");
    }

    /// Nobody says anything any more: the connection has to end, and its memory to be free.
    fn end(&mut self) {
        self.settle();
        let mut expiries = 0;
        while self.connection.state() != State::Closed {
            assert!(self.connection.timeout().is_some(), "it waits for nothing");
            expiries += 1;
            assert!(expiries < MAX_SILENT_EXPIRIES, "it goes on and on");
            self.expire();
            self.settle();
        }
        assert_eq!(self.connection.timeout(), None);
    }
}

/// `count` of the numbers in `seen` as ranges, from the highest down, but for the `skip` highest.
fn ranges(seen: &BTreeSet<u64>, skip: usize, count: usize) -> Vec<AckRange> {
    let mut ranges: Vec<(u64, u64)> = Vec::new();
    for &number in seen.iter().rev().skip(skip).take(count) {
        match ranges.last_mut() {
            Some((smallest, _)) if number + 1 == *smallest => *smallest = number,
            _ => ranges.push((number, number)),
        }
    }
    ranges
        .into_iter()
        .filter_map(|(smallest, largest)| AckRange::new(smallest, largest))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn handshakes_are_confirmed() {
        for role in [0, 1] {
            for choices in [0, 0x80] {
                let input = [role, choices];
                let mut program = Program::new(Input::new(&input));
                program.establish();
                assert!(program.connection.is_confirmed());
                assert_eq!(program.connection.state(), State::Open);
            }
        }
    }
}
