// SPDX-License-Identifier: GPL-2.0 OR MIT

//! [`Pair`]: a client and a server with a network without loss between them, unless a test
//! interferes, and a TLS that knows all secrets beforehand.

use crate::bytes::Writer;
use crate::chunk::testing::Bytes;
use crate::cid::{ConnectionId, StatelessResetToken};
use crate::connection::*;
use crate::crypto::rustcrypto::RustCrypto;
use crate::crypto::CipherSuite;
use crate::ecn::EcnCodepoint;
use crate::packet::{InvariantHeader, PacketNumberSpace, PacketType};
use crate::role::Role;
use crate::stream::StreamEvent;
use crate::stream_id::{Directionality, StreamId};
use crate::time::{Duration, Instant};
use crate::transport_parameters::TransportParameters;
use crate::varint::VarInt;
use kernel::alloc::flags::GFP_KERNEL;
use kernel::alloc::AllocError;
use std::collections::VecDeque;
use std::net::SocketAddr;
use std::ops::Range;

/// An event with what it borrows copied.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Seen {
    Stream(StreamEvent),
    Crypto(PacketNumberSpace),
    Datagram,
    MaxData(u64),
    Confirmed,
    Retried,
    VersionChanged,
    NewToken(Vec<u8>),
    KeyUpdated(bool),
    PathChanged(Addresses),
    PathFailed(Addresses),
    CidRetired(ConnectionId),
    CidReceived(u64),
    Closed(String),
}

pub(super) struct World {
    pub(super) events: Vec<Seen>,
    random: u64,
}

impl World {
    pub(super) fn new(seed: u64) -> Self {
        Self {
            events: Vec::new(),
            random: seed,
        }
    }

    pub(super) fn next_random(&mut self) -> u64 {
        self.random = self.random.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.random ^ (self.random >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed ^ (mixed >> 31)
    }
}

impl Environment for World {
    type Tx = Vec<u8>;
    type Rx = Bytes;
    type Crypto = RustCrypto;

    fn crypto(&self) -> &RustCrypto {
        &RustCrypto
    }

    fn random(&mut self, bytes: &mut [u8]) {
        for chunk in bytes.chunks_mut(8) {
            let random = self.next_random().to_le_bytes();
            chunk.copy_from_slice(&random[..chunk.len()]);
        }
    }

    fn reset_token(&self, cid: &ConnectionId) -> StatelessResetToken {
        StatelessResetToken::derive(&RustCrypto, b"static key", cid)
    }

    fn copy(&self, chunk: &Vec<u8>, start: usize, to: &mut [u8]) {
        to.copy_from_slice(&chunk[start..start + to.len()]);
    }

    fn event(&mut self, event: Event<'_>) {
        self.events.push(match event {
            Event::Stream(event) => Seen::Stream(event),
            Event::Crypto { space } => Seen::Crypto(space),
            Event::Datagram => Seen::Datagram,
            Event::MaxData { limit } => Seen::MaxData(limit.get()),
            Event::Confirmed => Seen::Confirmed,
            Event::Retried => Seen::Retried,
            Event::VersionChanged(_) => Seen::VersionChanged,
            Event::NewToken(token) => Seen::NewToken(token.to_vec()),
            Event::KeyUpdated { phase } => Seen::KeyUpdated(phase),
            Event::PathChanged(addresses) => Seen::PathChanged(addresses),
            Event::PathFailed(addresses) => Seen::PathFailed(addresses),
            Event::CidRetired(cid) => Seen::CidRetired(cid),
            Event::CidReceived { sequence } => Seen::CidReceived(sequence),
            Event::Closed(reason) => Seen::Closed(format!("{reason:?}")),
        });
    }
}

/// A datagram on its way.
#[derive(Clone, Debug)]
pub(super) struct Flying {
    pub(super) at: Instant,
    pub(super) from: SocketAddr,
    pub(super) to: SocketAddr,
    pub(super) ecn: EcnCodepoint,
    pub(super) bytes: Vec<u8>,
}

#[derive(Default)]
struct Received {
    deferred: Vec<Range<usize>>,
}

impl ReceiveBuffer for Received {
    type Chunk = Bytes;

    fn chunk(&mut self, _range: Range<usize>, bytes: &[u8]) -> Result<Bytes, AllocError> {
        Ok(Bytes::new(bytes))
    }

    fn defer(&mut self, range: Range<usize>, _packet_type: PacketType) {
        self.deferred.push(range);
    }
}

/// An endpoint: a connection with its TLS.
pub(super) struct End {
    pub(super) connection: Connection<World>,
    pub(super) world: World,
    pub(super) address: SocketAddr,
    tls: Tls,
    deferred: Vec<Flying>,
    /// What is read from streams.
    pub(super) read: Vec<(StreamId, Vec<u8>, bool)>,
}

/// How far the handshake has come.
#[derive(Default)]
struct Tls {
    step: u32,
    message: Vec<u8>,
}

/// Whether a datagram of an endpoint is lost.
type Drops = dyn FnMut(Role, &Flying) -> bool;

pub(super) struct Pair {
    pub(super) now: Instant,
    pub(super) client: End,
    pub(super) server: Option<End>,
    pub(super) network: VecDeque<Flying>,
    pub(super) delay: Duration,
    pub(super) server_config: Config,
    /// Which datagrams are lost: told the sender and the datagram.
    pub(super) drops: Box<Drops>,
    pub(super) sent: usize,
}

const CLIENT: &str = "192.0.2.1:1111";
const SERVER: &str = "192.0.2.2:4433";

pub(super) const SUITE: CipherSuite = CipherSuite::Aes128Gcm;

/// The secret of a direction, which both sides know.
fn secret(from: Role, packet_type: PacketType) -> [u8; 32] {
    [match from {
        Role::Client => 0x10,
        Role::Server => 0x20,
    } | packet_type as u8; 32]
}

pub(super) fn parameters() -> TransportParameters {
    let n = VarInt::from_u32;
    TransportParameters {
        max_idle_timeout: n(30_000),
        initial_max_data: n(1 << 20),
        initial_max_stream_data_bidi_local: n(256 << 10),
        initial_max_stream_data_bidi_remote: n(256 << 10),
        initial_max_stream_data_uni: n(256 << 10),
        initial_max_streams_bidi: n(100),
        initial_max_streams_uni: n(100),
        active_connection_id_limit: n(7),
        max_datagram_frame_size: n(65_535),
        grease_quic_bit: true,
        reset_stream_at: true,
        min_ack_delay: Some(n(1000)),
        ..TransportParameters::default()
    }
}

pub(super) fn config() -> Config {
    Config::new(parameters())
}

pub(super) fn cid(byte: u8) -> ConnectionId {
    ConnectionId::new(&[byte; 8]).unwrap()
}

impl End {
    pub(super) fn cx(world: &mut World, now: Instant) -> Context<'_, World> {
        Context {
            now,
            flags: GFP_KERNEL,
            env: world,
        }
    }

    pub(super) fn with<T>(
        &mut self,
        now: Instant,
        body: impl FnOnce(&mut Connection<World>, &mut Context<'_, World>) -> T,
    ) -> T {
        body(&mut self.connection, &mut Self::cx(&mut self.world, now))
    }

    pub(super) fn receive(&mut self, now: Instant, flying: &Flying) {
        let mut bytes = flying.bytes.clone();
        let arrival = Arrival {
            addresses: Addresses {
                local: flying.to,
                remote: flying.from,
            },
            ecn: flying.ecn,
        };
        let mut buffer = Received::default();
        self.with(now, |connection, cx| {
            connection.on_datagram(cx, &arrival, &mut bytes, &mut buffer);
        });
        for range in buffer.deferred {
            let mut again = flying.clone();
            again.bytes = flying.bytes[range].to_vec();
            self.deferred.push(again);
        }
        if self.handshake(now) {
            for again in std::mem::take(&mut self.deferred) {
                self.receive(now, &again);
            }
        }
        self.issue_cids();
        self.read(now);
    }

    fn issue_cids(&mut self) {
        for _ in 0..self.connection.wanted_cids() {
            let mut bytes = [0; 8];
            self.world.random(&mut bytes);
            let cid = ConnectionId::new(&bytes).unwrap();
            self.connection.issue_cid(cid, GFP_KERNEL).unwrap();
        }
    }

    /// Reads everything that can be read.
    pub(super) fn read(&mut self, now: Instant) {
        while let Some(readable) = self.connection.streams().next_readable() {
            let mut bytes = Vec::new();
            for chunk in self.connection.streams().peek(readable.id) {
                bytes.extend_from_slice(chunk.as_slice());
            }
            bytes.truncate(readable.len as usize);
            self.connection.consume(readable.id, readable.len, now);
            self.read.push((readable.id, bytes, readable.fin));
        }
    }

    /// All bytes read of a stream, and whether it has ended.
    pub(super) fn all_read(&self, id: StreamId) -> (Vec<u8>, bool) {
        let of = || self.read.iter().filter(|(read, _, _)| *read == id);
        let bytes = of().flat_map(|(_, bytes, _)| bytes.clone()).collect();
        (bytes, of().any(|(_, _, fin)| *fin))
    }

    pub(super) fn write(&mut self, now: Instant, id: StreamId, bytes: &[u8], fin: bool) {
        let _ = now;
        let streams = self.connection.streams();
        streams.write(id, bytes.to_vec(), GFP_KERNEL).unwrap();
        streams.push(id);
        if fin {
            streams.finish(id, GFP_KERNEL).unwrap();
        }
    }

    pub(super) fn open(&mut self, directionality: Directionality) -> StreamId {
        let streams = self.connection.streams();
        let id = streams.next(directionality).unwrap();
        streams.open(id, GFP_KERNEL).unwrap();
        id
    }

    /// A message of TLS with our transport parameters.
    fn message(&mut self, filler: usize) -> Vec<u8> {
        let role = self.connection.role();
        let mut buffer = [0; TransportParameters::MAX_SIZE];
        let mut writer = Writer::new(&mut buffer);
        self.connection
            .local_parameters()
            .emit(&mut writer, role, None)
            .unwrap();
        let parameters = writer.written();
        let mut message = vec![(parameters.len() >> 8) as u8, parameters.len() as u8];
        message.extend_from_slice(parameters);
        message.extend(std::iter::repeat(0xaa).take(filler));
        message.extend_from_slice(b"END");
        message
    }

    /// Reads the next message of `space`, once it is whole.
    fn read_message(&mut self, space: PacketNumberSpace) -> Option<Vec<u8>> {
        for chunk in self.connection.crypto(space) {
            self.tls.message.extend_from_slice(chunk.as_slice());
        }
        let len = self.connection.crypto_readable(space) as usize;
        self.connection.consume_crypto(space, len);
        match self.tls.message.ends_with(b"END") {
            true => Some(std::mem::take(&mut self.tls.message)),
            false => None,
        }
    }

    fn install(&mut self, now: Instant, packet_type: PacketType) {
        let role = self.connection.role();
        self.with(now, |connection, cx| {
            for (sending, from) in [(true, role), (false, role.peer())] {
                let secret = secret(from, packet_type);
                connection
                    .install_secret(cx, packet_type, sending, SUITE, &secret)
                    .unwrap();
            }
        });
    }

    fn accept_parameters(&mut self, now: Instant, message: &[u8]) -> bool {
        let len = usize::from(u16::from_be_bytes([message[0], message[1]]));
        self.with(now, |connection, cx| {
            connection
                .set_peer_parameters(cx, &message[2..2 + len])
                .is_ok()
        })
    }

    fn send(&mut self, space: PacketNumberSpace, message: Vec<u8>) {
        self.connection
            .write_crypto(space, message, GFP_KERNEL)
            .unwrap();
    }

    /// Takes the handshake as far as it goes; whether keys were installed.
    pub(super) fn handshake(&mut self, now: Instant) -> bool {
        use PacketNumberSpace::{Handshake, Initial};
        let before = self.tls.step;
        if self.connection.state() != State::Open {
            return false;
        }
        match (self.connection.role(), self.tls.step) {
            (Role::Client, 0) => {
                let hello = self.message(300);
                self.send(Initial, hello);
                self.tls.step = 1;
            }
            (Role::Client, 1) => {
                if self.read_message(Initial).is_some() {
                    self.install(now, PacketType::Handshake);
                    self.tls.step = 2;
                }
            }
            (Role::Client, 2) => {
                if let Some(message) = self.read_message(Handshake) {
                    if !self.accept_parameters(now, &message) {
                        return false;
                    }
                    self.install(now, PacketType::OneRtt);
                    self.send(Handshake, b"client finished END".to_vec());
                    self.with(now, |connection, cx| connection.handshake_complete(cx));
                    self.tls.step = 3;
                }
            }
            (Role::Server, 0) => {
                if let Some(message) = self.read_message(Initial) {
                    if !self.accept_parameters(now, &message) {
                        return false;
                    }
                    self.send(Initial, b"server hello END".to_vec());
                    self.install(now, PacketType::Handshake);
                    let message = self.message(3000);
                    self.send(Handshake, message);
                    self.install(now, PacketType::OneRtt);
                    self.tls.step = 1;
                }
            }
            (Role::Server, 1) => {
                if self.read_message(Handshake).is_some() {
                    self.with(now, |connection, cx| connection.handshake_complete(cx));
                    self.tls.step = 2;
                }
            }
            _ => {}
        }
        let moved = self.tls.step != before;
        if moved {
            self.handshake(now);
        }
        moved
    }
}

impl Pair {
    pub(super) fn new() -> Self {
        Self::with(config(), config())
    }

    pub(super) fn with(client_config: Config, server_config: Config) -> Self {
        let now = Instant::from_nanos(1_000_000_000);
        let addresses = Addresses {
            local: CLIENT.parse().unwrap(),
            remote: SERVER.parse().unwrap(),
        };
        let mut world = World::new(1);
        let connection = Connection::connect(
            &mut End::cx(&mut world, now),
            client_config,
            addresses,
            cid(0xc1),
            &[],
        )
        .unwrap();
        let mut client = End {
            connection,
            world,
            address: addresses.local,
            tls: Tls::default(),
            deferred: Vec::new(),
            read: Vec::new(),
        };
        client.handshake(now);
        Self {
            now,
            client,
            server: None,
            network: VecDeque::new(),
            delay: Duration::from_millis(10),
            server_config,
            drops: Box::new(|_, _| false),
            sent: 0,
        }
    }

    pub(super) fn server(&mut self) -> &mut End {
        self.server.as_mut().unwrap()
    }

    /// Sends whatever there is to send.
    pub(super) fn transmit(&mut self) {
        for role in [Role::Client, Role::Server] {
            let now = self.now;
            let end = match role {
                Role::Client => &mut self.client,
                Role::Server => match &mut self.server {
                    Some(server) => server,
                    None => continue,
                },
            };
            let mut out = vec![0; 65_536];
            loop {
                let batch = end.with(now, |connection, cx| {
                    let mut batch = connection.begin_batch(cx, 10)?;
                    let mut datagrams = Vec::new();
                    while let Some(len) = connection.fill(cx, &mut batch, &mut out) {
                        datagrams.push(out[..len].to_vec());
                    }
                    connection.end_batch(cx, &batch);
                    Some((batch.addresses, batch.ecn, datagrams))
                });
                let Some((addresses, ecn, datagrams)) = batch else {
                    break;
                };
                assert!(
                    !datagrams.is_empty() || end.connection.state() != State::Open,
                    "empty batch"
                );
                for bytes in datagrams {
                    let flying = Flying {
                        at: now + self.delay,
                        from: addresses.local,
                        to: addresses.remote,
                        ecn,
                        bytes,
                    };
                    self.sent += 1;
                    if !(self.drops)(role, &flying) {
                        self.network.push_back(flying);
                    }
                }
            }
        }
    }

    fn deliver(&mut self, flying: &Flying) {
        if flying.to == self.client.address {
            return self.client.receive(self.now, flying);
        }
        if self.server.is_none() {
            let header = InvariantHeader::parse(&flying.bytes).unwrap();
            let InvariantHeader::Long {
                version,
                dcid,
                scid,
            } = header
            else {
                return;
            };
            let dcid = ConnectionId::new(dcid).unwrap();
            let accepted = Accepted {
                addresses: Addresses {
                    local: flying.to,
                    remote: flying.from,
                },
                version: version.supported().unwrap(),
                dcid,
                scid: ConnectionId::new(scid).unwrap(),
                original_dcid: dcid,
                validated: false,
            };
            let mut world = World::new(2);
            let connection = Connection::accept(
                &mut End::cx(&mut world, self.now),
                self.server_config,
                &accepted,
                cid(0x5e),
            )
            .unwrap();
            self.server = Some(End {
                connection,
                world,
                address: flying.to,
                tls: Tls::default(),
                deferred: Vec::new(),
                read: Vec::new(),
            });
        }
        let now = self.now;
        self.server().receive(now, flying);
    }

    /// The next moment at which something happens; false if nothing ever does.
    pub(super) fn step(&mut self) -> bool {
        self.step_before(Instant::FAR_FUTURE)
    }

    fn step_before(&mut self, end: Instant) -> bool {
        self.transmit();
        let timeouts = [
            self.client.connection.timeout(),
            self.server
                .as_ref()
                .and_then(|end| end.connection.timeout()),
            self.network.iter().map(|flying| flying.at).min(),
        ];
        let Some(next) = timeouts.into_iter().flatten().min() else {
            return false;
        };
        if next > end {
            return false;
        }
        self.now = self.now.max(next);
        while let Some(at) = self.network.iter().position(|flying| flying.at <= self.now) {
            let flying = self.network.remove(at).unwrap();
            self.deliver(&flying);
        }
        let now = self.now;
        for end in std::iter::once(&mut self.client).chain(self.server.as_mut()) {
            end.with(now, |connection, cx| connection.on_timeout(cx));
            end.read(now);
        }
        true
    }

    /// Steps until `done`, or fails after a virtual minute.
    pub(super) fn run_until(&mut self, mut done: impl FnMut(&mut Self) -> bool) {
        let end = self.now + Duration::from_secs(60);
        for _ in 0..1_000_000 {
            if done(self) {
                return;
            }
            let events = || {
                let server = self.server.as_ref().map(|end| &end.world.events);
                format!("client {:?}\nserver {server:?}", self.client.world.events)
            };
            assert!(self.now < end, "a minute has passed\n{}", events());
            let ended = format!("nothing happens any more\n{}", events());
            assert!(self.step(), "{ended}");
        }
        panic!("no progress");
    }

    pub(super) fn run_for(&mut self, time: Duration) {
        let end = self.now + time;
        while self.step_before(end) {}
        self.now = self.now.max(end);
    }

    /// Steps until both sides know that the handshake is done.
    pub(super) fn connect(&mut self) {
        self.run_until(|pair| {
            pair.client.connection.is_confirmed()
                && pair
                    .server
                    .as_ref()
                    .is_some_and(|server| server.connection.is_confirmed())
        });
    }
}
