// SPDX-License-Identifier: GPL-2.0 OR MIT

//! [`Endpoint`]: a connection with what surrounds it, and a TLS whose messages are the transport
//! parameters.

use super::chunk::{Fragment, Received};
use super::crypto::Null;
use kernel::alloc::flags::GFP_ATOMIC;
use kernel::alloc::AllocError;
use quic_core::bytes::Writer;
use quic_core::cid::{ConnectionId, StatelessResetToken};
use quic_core::connection::{
    Addresses, Arrival, Connection, Context, Environment, Event, ReceiveBuffer,
};
use quic_core::crypto::CipherSuite;
use quic_core::ecn::EcnCodepoint;
use quic_core::packet::{PacketNumberSpace, PacketType};
use quic_core::time::Instant;
use quic_core::transport_parameters::TransportParameters;
use std::ops::Range;

/// What surrounds a connection.
pub struct World {
    crypto: Null,
    random: u64,
}

impl World {
    pub fn new(crypto: Null, seed: u64) -> Self {
        Self {
            crypto,
            random: seed,
        }
    }
}

impl Environment for World {
    type Tx = Fragment;
    type Rx = Received;
    type Crypto = Null;

    fn crypto(&self) -> &Null {
        &self.crypto
    }

    fn random(&mut self, bytes: &mut [u8]) {
        for chunk in bytes.chunks_mut(8) {
            self.random = self.random.wrapping_add(0x9e37_79b9_7f4a_7c15);
            let mixed = (self.random ^ (self.random >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            chunk.copy_from_slice(&(mixed ^ (mixed >> 31)).to_le_bytes()[..chunk.len()]);
        }
    }

    fn reset_token(&self, _: &ConnectionId) -> StatelessResetToken {
        StatelessResetToken::new([0; 16])
    }

    fn copy(&self, chunk: &Fragment, start: usize, to: &mut [u8]) {
        to.copy_from_slice(chunk.bytes(start, to.len()));
    }

    #[inline(never)]
    fn event(&mut self, _: Event<'_>) {}
}

/// The memory of one datagram.
pub struct Buffer(pub usize);

impl ReceiveBuffer for Buffer {
    type Chunk = Received;

    #[inline(never)]
    fn chunk(&mut self, range: Range<usize>, _: &[u8]) -> Result<Received, AllocError> {
        Ok(Received::new(self.0, range.start, range.len()))
    }

    fn defer(&mut self, _: Range<usize>, _: PacketType) {
        panic!("the keys of every packet are there");
    }
}

/// A datagram on its way.
struct Datagram {
    bytes: [u8; Outbox::SIZE],
    len: usize,
    ecn: EcnCodepoint,
}

/// Datagrams on their way.
pub struct Outbox {
    datagrams: Box<[Datagram]>,
    used: usize,
}

impl Outbox {
    /// The most datagrams, and bytes in each.
    const DATAGRAMS: usize = 1024;
    const SIZE: usize = 2048;

    pub fn new() -> Self {
        let datagrams = (0..Self::DATAGRAMS).map(|_| Datagram {
            bytes: [0; Self::SIZE],
            len: 0,
            ecn: EcnCodepoint::NotEct,
        });
        Self {
            datagrams: datagrams.collect(),
            used: 0,
        }
    }

    pub fn len(&self) -> usize {
        self.used
    }

    pub fn clear(&mut self) {
        self.used = 0;
    }

    /// The bytes of datagram `number`.
    pub fn get(&self, number: usize) -> &[u8] {
        let datagram = &self.datagrams[number];
        &datagram.bytes[..datagram.len]
    }
}

/// A connection, and what surrounds it.
pub struct Endpoint {
    pub connection: Connection<World>,
    pub world: World,
    pub addresses: Addresses,
}

impl Endpoint {
    /// Calls the connection at `now`.
    pub fn with<T>(
        &mut self,
        now: Instant,
        body: impl FnOnce(&mut Connection<World>, &mut Context<'_, World>) -> T,
    ) -> T {
        let mut cx = Context {
            now,
            flags: GFP_ATOMIC,
            env: &mut self.world,
        };
        body(&mut self.connection, &mut cx)
    }

    /// All that is to be sent, in batches of at most `batch` datagrams.
    pub fn transmit(&mut self, now: Instant, batch: usize, outbox: &mut Outbox) {
        self.with(
            now,
            |connection, cx| {
                while send_batch(connection, cx, batch, outbox) {}
            },
        );
    }

    /// Takes all datagrams of `outbox`.
    pub fn receive(&mut self, now: Instant, outbox: &mut Outbox) {
        let addresses = self.addresses;
        self.with(now, |connection, cx| {
            receive_all(connection, cx, addresses, outbox);
        });
        outbox.clear();
    }

    /// Time has come to `now`.
    pub fn on_timeout(&mut self, now: Instant) {
        self.with(now, |connection, cx| connection.on_timeout(cx));
    }

    /// Issues as many connection IDs as the peer keeps.
    pub fn issue_cids(&mut self) {
        for _ in 0..self.connection.wanted_cids() {
            let mut bytes = [0; 8];
            self.world.random(&mut bytes);
            let cid = ConnectionId::new(&bytes).unwrap();
            self.connection.issue_cid(cid, GFP_ATOMIC).unwrap();
        }
    }

    /// What the transport parameters look like in a message of TLS.
    pub fn parameters(&self) -> Vec<u8> {
        let mut buffer = [0; TransportParameters::MAX_SIZE];
        let mut writer = Writer::new(&mut buffer);
        let parameters = self.connection.local_parameters().unwrap();
        parameters
            .emit(&mut writer, self.connection.role(), None)
            .unwrap();
        writer.written().to_vec()
    }

    /// TLS sends a message of `len` bytes.
    pub fn send_message(&mut self, space: PacketNumberSpace, len: usize) {
        self.connection
            .write_crypto(space, Fragment::new(len), GFP_ATOMIC)
            .unwrap();
    }

    /// TLS reads what there is.
    #[track_caller]
    pub fn take_message(&mut self, space: PacketNumberSpace) {
        let len = self.connection.crypto_readable(space) as usize;
        assert!(len > 0, "the message has not arrived");
        self.connection.consume_crypto(space, len);
    }

    /// TLS has the secrets of both directions.
    pub fn install(&mut self, now: Instant, packet_type: PacketType) {
        self.with(now, |connection, cx| {
            for sending in [true, false] {
                connection
                    .install_secret(cx, packet_type, sending, CipherSuite::Aes128Gcm, &[0; 32])
                    .unwrap();
            }
        });
    }
}

/// Sends the next batch; false if there is none.
#[inline]
pub fn send_batch(
    connection: &mut Connection<World>,
    cx: &mut Context<'_, World>,
    max_datagrams: usize,
    outbox: &mut Outbox,
) -> bool {
    let Some(mut batch) = connection.begin_batch(cx, max_datagrams) else {
        return false;
    };
    for datagram in &mut outbox.datagrams[outbox.used..] {
        let Some(len) = connection.fill(cx, &mut batch, &mut datagram.bytes) else {
            break;
        };
        (datagram.len, datagram.ecn) = (len, batch.ecn);
        outbox.used += 1;
    }
    connection.end_batch(cx, &batch);
    true
}

/// Receives what is in `outbox`.
#[inline]
pub fn receive_all(
    connection: &mut Connection<World>,
    cx: &mut Context<'_, World>,
    addresses: Addresses,
    outbox: &mut Outbox,
) {
    let mut arrival = Arrival {
        addresses,
        ecn: EcnCodepoint::NotEct,
    };
    for (number, datagram) in outbox.datagrams[..outbox.used].iter_mut().enumerate() {
        arrival.ecn = datagram.ecn;
        let bytes = &mut datagram.bytes[..datagram.len];
        connection.on_datagram(cx, &arrival, bytes, &mut Buffer(number));
    }
}
