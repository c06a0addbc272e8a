// SPDX-License-Identifier: MIT OR Apache-2.0

//! [`Host`] for quic-core.

use super::bytes::Bytes;
use super::listener::Answer;
use super::world::World;
use super::Ours;
use crate::datagram::{Datagram, Ecn};
use crate::host::{Host, Memory};
use kernel::alloc::inject::{self, next_fails};
use kernel::alloc::AllocError;
use quic_core::connection::{
    Accepted, Addresses, Arrival, Connection, Context, ReceiveBuffer, State,
};
use quic_core::ecn::EcnCodepoint;
use quic_core::packet::{InvariantHeader, PacketType};
use quic_core::role::Role;
use quic_core::time::Instant;
use std::ops::Range;

/// How many datagrams may leave at once.
const BATCH: usize = 40;

/// How many packets are kept until the keys for them are there: two flights of ten.
// RFC 9001 §5.7: packets protected with 1-RTT keys MAY be stored and later decrypted […] as long as
// that is bounded.
const MAX_DEFERRED: usize = 20;

/// IP and UDP headers.
const HEADERS: u32 = 28;

/// The largest UDP payload, with what a buffer has in addition.
const LARGEST: usize = (64 << 10) + 1_024;

/// A packet that waits for its keys.
pub(super) struct Deferred {
    arrival: Arrival,
    bytes: Vec<u8>,
}

/// The memory of a datagram.
#[derive(Default)]
struct Buffer {
    deferred: Vec<Range<usize>>,
}

impl ReceiveBuffer for Buffer {
    type Chunk = Bytes;

    fn chunk(&mut self, _: Range<usize>, bytes: &[u8]) -> Result<Bytes, AllocError> {
        match next_fails() {
            true => Err(AllocError),
            false => Ok(Bytes::new(bytes)),
        }
    }

    fn defer(&mut self, range: Range<usize>, _: PacketType) {
        self.deferred.push(range);
    }
}

impl Ours {
    fn feed(&mut self, now: Instant, arrival: Arrival, mut bytes: Vec<u8>, again: bool) {
        let Some(connection) = &mut self.connection else {
            return;
        };
        let mut buffer = Buffer::default();
        let mut cx = self.world.cx(now);
        self.failures.during(|| match again {
            false => connection.on_datagram(&mut cx, &arrival, &mut bytes, &mut buffer),
            true => connection.on_deferred(&mut cx, &arrival, &mut bytes, &mut buffer),
        });
        for range in buffer.deferred {
            if self.deferred.len() < MAX_DEFERRED {
                let bytes = bytes[range].to_vec();
                self.deferred.push(Deferred { arrival, bytes });
            }
        }
    }

    pub(super) fn feed_deferred(&mut self, now: Instant, deferred: Deferred) {
        self.feed(now, deferred.arrival, deferred.bytes, true);
    }

    /// Whether the connection is to have a datagram.
    fn is_for_connection(&self, payload: &[u8]) -> bool {
        let dcid =
            InvariantHeader::parse(payload).and_then(|header| header.dcid(self.settings.cid_len));
        dcid.is_ok_and(|dcid| self.cids.contains(dcid))
    }

    fn is_gone(&self) -> bool {
        self.connection
            .as_ref()
            .is_some_and(|it| it.state() == State::Closed)
    }

    fn accept(&mut self, now: Instant, accepted: &Accepted, arrival: Arrival, bytes: Vec<u8>) {
        // After a Retry the client uses the connection ID that it got there: it stays.
        let local = self.world.cid(self.settings.cid_len);
        let mut cx = self.world.cx(now);
        let connection = Connection::accept(&mut cx, self.config, accepted, local);
        self.connection = Some(connection.expect("memory"));
        self.feed(now, arrival, bytes, false);
        let processed = self
            .connection
            .as_ref()
            .map_or(0, |it| it.stats().packets_received);
        // Anybody could have made the packet up, and the network may have changed it.
        if processed == 0 {
            self.connection = None;
            self.deferred.clear();
            self.world.happened.clear();
            return;
        }
        self.cids = [local, accepted.dcid]
            .map(|cid| cid.as_slice().to_vec())
            .into();
    }

    fn listen(&mut self, now: Instant, datagram: &Datagram, arrival: Arrival) {
        let versions = self.config.versions;
        let answer = self
            .listener
            .answer(now, &mut self.world, versions, datagram);
        match answer {
            Answer::Nothing => {}
            Answer::Send(datagram) => self.responses.push(datagram),
            Answer::Accept(accepted) => {
                self.accept(now, &accepted, arrival, datagram.payload.clone());
            }
        }
    }
}

/// Sends one batch. `None` if there was none, else whether there was anything in it.
fn transmit_batch(
    connection: &mut Connection<World>,
    cx: &mut Context<'_, World>,
    buffer: &mut [u8],
    out: &mut Vec<Datagram>,
) -> Option<bool> {
    let mut batch = connection.begin_batch(cx, BATCH)?;
    let before = out.len();
    while let Some(len) = connection.fill(cx, &mut batch, buffer) {
        let full = |last: &Datagram| last.payload.len() == batch.segment_size;
        let all_full = out[before..].iter().all(full);
        assert!(all_full && len <= batch.segment_size, "not one GSO packet");
        out.push(Datagram {
            from: batch.addresses.local,
            to: batch.addresses.remote,
            ecn: match batch.ecn {
                EcnCodepoint::NotEct => Ecn::NotEct,
                EcnCodepoint::Ect0 => Ecn::Ect0,
                EcnCodepoint::Ect1 => Ecn::Ect1,
                EcnCodepoint::Ce => Ecn::Ce,
            },
            payload: buffer[..len].to_vec(),
        });
    }
    Some(connection.end_batch(cx, &batch))
}

impl Host for Ours {
    fn receive(&mut self, now: Instant, datagram: Datagram) {
        let arrival = Arrival {
            addresses: Addresses {
                local: datagram.to,
                remote: datagram.from,
            },
            ecn: EcnCodepoint::from_tos(datagram.ecn as u8),
        };
        match (&self.connection, self.role) {
            (None, Role::Server) => self.listen(now, &datagram, arrival),
            (Some(_), Role::Server) if self.is_gone() => {
                let reset = self.listener.reset(&mut self.world, &datagram);
                self.responses.extend(reset);
            }
            // A stateless reset has a connection ID of its own.
            (Some(_), Role::Client) => self.feed(now, arrival, datagram.payload, false),
            (Some(_), Role::Server) if self.is_for_connection(&datagram.payload) => {
                self.feed(now, arrival, datagram.payload, false);
            }
            _ => {}
        }
        self.exchange(now);
    }

    fn transmit(&mut self, now: Instant, out: &mut Vec<Datagram>) {
        // Calls of the application have consequences as well.
        self.exchange(now);
        out.append(&mut self.responses);
        let Some(connection) = &mut self.connection else {
            return;
        };
        let mut cx = self.world.cx(now);
        let mut buffer = vec![0; usize::from(u16::MAX)];
        loop {
            let failed = inject::failed();
            let sent = self
                .failures
                .during(|| transmit_batch(connection, &mut cx, &mut buffer, out));
            match sent {
                None => break,
                Some(true) => {}
                Some(false) => {
                    // Either there was no memory, or there is nothing to send after all.
                    let starved = inject::failed() > failed;
                    let idle = connection.begin_batch(&mut cx, BATCH).is_none();
                    assert!(starved || idle, "a batch is empty, but the next one is not");
                    break;
                }
            }
        }
    }

    fn timeout(&mut self) -> Option<Instant> {
        self.connection.as_ref()?.timeout()
    }

    fn on_timeout(&mut self, now: Instant) {
        if let Some(connection) = &mut self.connection {
            let mut cx = self.world.cx(now);
            self.failures.during(|| connection.on_timeout(&mut cx));
        }
        self.exchange(now);
    }

    fn packet_too_big(&mut self, now: Instant, datagram: &Datagram, mtu: u32) {
        let payload = u16::try_from(mtu - HEADERS).unwrap_or(u16::MAX);
        self.with(now, |_, connection, cx| {
            let Some(active) = connection.addresses() else {
                return;
            };
            // What a client sent has the address that the NAT gave it.
            let local = match connection.role() {
                Role::Client => active.local,
                Role::Server => datagram.from,
            };
            let remote = datagram.to;
            connection.on_packet_too_big(cx, &Addresses { local, remote }, payload);
        });
        self.exchange(now);
    }

    fn memory(&mut self) -> [Memory; 2] {
        let Some(connection) = &mut self.connection else {
            return [Memory::default(); 2];
        };
        let datagrams = connection.datagrams().held();
        let streams = connection.streams();
        // A datagram is taken in whatever the limit if there is nothing else to read.
        let received = Memory {
            held: streams.recv_held() + datagrams,
            limit: self.settings.memory + LARGEST,
        };
        // Chunks have an overhead, and the application writes as few bytes as it likes at once.
        let sent = Memory {
            held: streams.send_held(),
            limit: self.settings.send_window as usize + LARGEST,
        };
        [received, sent]
    }

    fn describe(&self) -> String {
        let Some(connection) = &self.connection else {
            return String::new();
        };
        let (settings, stats) = (&self.settings, connection.stats());
        let (rtt, timeout) = (connection.rtt(), connection.timeout());
        let (version, phase) = (connection.version(), connection.key_phase());
        let state = format!("{version:?}, key phase {phase}, rtt {rtt:?}, timeout {timeout:?}");
        format!("\n    {settings:?}\n    {stats:?}\n    {state}")
    }
}
