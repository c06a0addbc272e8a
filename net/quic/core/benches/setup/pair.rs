// SPDX-License-Identifier: GPL-2.0 OR MIT

//! [`Pair`]: a client that sends and a server that receives, with a network between them that loses
//! nothing.

use super::chunk::Fragment;
use super::crypto::Null;
use super::endpoint::{Endpoint, Outbox, World};
use kernel::alloc::flags::GFP_ATOMIC;
use quic_core::cid::ConnectionId;
use quic_core::connection::{Accepted, Addresses, Config, Connection, Context};
use quic_core::packet::PacketNumberSpace::{Handshake, Initial};
use quic_core::packet::{InvariantHeader, PacketType};
use quic_core::stream_id::{Directionality, StreamId};
use quic_core::time::{Duration, Instant};
use quic_core::transport_parameters::TransportParameters;
use quic_core::varint::VarInt;
use quic_core::version::SupportedVersion;

/// How long a datagram is on its way.
const DELAY: Duration = Duration::from_millis(1);

/// How much the application has ready, in bytes: two batches.
const READY: u64 = 128 << 10;

/// Rounds until the congestion window is open, the datagrams have their full size, ECN is
/// validated, and memory has been taken.
const WARM_UP: u32 = 200;

/// Two endpoints.
pub struct Pair {
    pub now: Instant,
    pub client: Endpoint,
    pub server: Endpoint,
    pub outbox: Outbox,
    /// The stream that the client sends on.
    pub stream: StreamId,
}

/// The transport parameters that the kernel has by default, with windows for bulk data.
fn parameters() -> TransportParameters {
    let n = VarInt::from_u32;
    TransportParameters {
        max_idle_timeout: n(30_000),
        initial_max_data: n(8 << 20),
        initial_max_stream_data_bidi_local: n(4 << 20),
        initial_max_stream_data_bidi_remote: n(4 << 20),
        initial_max_stream_data_uni: n(4 << 20),
        initial_max_streams_bidi: n(100),
        initial_max_streams_uni: n(100),
        active_connection_id_limit: n(7),
        grease_quic_bit: true,
        ..TransportParameters::default()
    }
}

impl Pair {
    /// Two endpoints after the handshake, with a stream open.
    pub fn new(crypto: Null) -> Self {
        let now = Instant::from_nanos(1 << 40);
        let config = Config {
            // The client has the keys before the server could choose another version.
            versions: &[SupportedVersion::V1],
            ..Config::new(parameters())
        };
        let addresses = Addresses {
            local: "192.0.2.1:1111".parse().unwrap(),
            remote: "192.0.2.2:4433".parse().unwrap(),
        };
        let mut client = client(crypto, config, addresses, now);
        let mut outbox = Outbox::new();
        client.send_message(Initial, 300);
        client.transmit(now, 64, &mut outbox);
        let server = server(crypto, config, addresses, now, outbox.get(0));
        let mut pair = Self {
            now,
            client,
            server,
            outbox,
            stream: StreamId::new(VarInt::ZERO),
        };
        pair.handshake();
        pair.settle();
        assert!(pair.client.connection.is_confirmed() && pair.server.connection.is_confirmed());
        let streams = pair.client.connection.streams();
        pair.stream = streams.next(Directionality::Bidirectional).unwrap();
        streams.open(pair.stream, GFP_ATOMIC).unwrap();
        pair
    }

    /// From the client's first flight on its way to the keys of both.
    fn handshake(&mut self) {
        let now = self.now;
        self.server.receive(now, &mut self.outbox);
        self.server.take_message(Initial);
        let parameters = self.client.parameters();
        accept_parameters(&mut self.server, now, &parameters);
        self.server.send_message(Initial, 100);
        self.server.transmit(now, 64, &mut self.outbox);
        self.client.receive(now, &mut self.outbox);
        self.client.take_message(Initial);
        // Both know the secrets from here on.
        for endpoint in [&mut self.client, &mut self.server] {
            endpoint.install(now, PacketType::Handshake);
            endpoint.install(now, PacketType::OneRtt);
        }
        self.server.send_message(Handshake, 2000);
        self.server.transmit(now, 64, &mut self.outbox);
        self.client.receive(now, &mut self.outbox);
        self.client.take_message(Handshake);
        let parameters = self.server.parameters();
        accept_parameters(&mut self.client, now, &parameters);
        self.client.send_message(Handshake, 52);
        self.client
            .with(now, |connection, cx| connection.handshake_complete(cx));
        self.client.transmit(now, 64, &mut self.outbox);
        self.server.receive(now, &mut self.outbox);
        self.server.take_message(Handshake);
        self.server
            .with(now, |connection, cx| connection.handshake_complete(cx));
    }

    /// Lets both send and receive until neither has anything to say.
    pub fn settle(&mut self) {
        loop {
            self.now = self.now + DELAY;
            self.on_timeout();
            self.client.issue_cids();
            self.server.issue_cids();
            let sent = self.client_to_server() + self.server_to_client();
            let waits = |endpoint: &Endpoint| {
                // All but the end of silence.
                let at = endpoint.connection.timeout();
                at.is_some_and(|at| at < self.now + Duration::from_secs(10))
            };
            if sent == 0 && !waits(&self.client) && !waits(&self.server) {
                return;
            }
        }
    }

    fn on_timeout(&mut self) {
        self.client.on_timeout(self.now);
        self.server.on_timeout(self.now);
    }

    fn client_to_server(&mut self) -> usize {
        self.client.transmit(self.now, 64, &mut self.outbox);
        let sent = self.outbox.len();
        self.server.receive(self.now, &mut self.outbox);
        consume(&mut self.server, self.now);
        sent
    }

    /// What the server has to say arrives; returns how many datagrams that were.
    pub fn server_to_client(&mut self) -> usize {
        self.server.transmit(self.now, 64, &mut self.outbox);
        let sent = self.outbox.len();
        self.client.receive(self.now, &mut self.outbox);
        consume(&mut self.client, self.now);
        sent
    }

    /// Bulk data in full swing: `batch` datagrams in a round.
    pub fn warm_up(&mut self, batch: usize) {
        for _ in 0..WARM_UP {
            self.write();
            self.send(batch);
            self.server.receive(self.now, &mut self.outbox);
            consume(&mut self.server, self.now);
            self.server_to_client();
        }
    }

    /// The application of the client writes.
    pub fn write(&mut self) {
        self.now = self.now + DELAY;
        self.on_timeout();
        let streams = self.client.connection.streams();
        while streams.unsent() < READY {
            let page = Fragment::new(Fragment::PAGE);
            streams.write(self.stream, page, GFP_ATOMIC).unwrap();
            streams.push(self.stream);
        }
    }

    /// Both ends of the stream are finished, so that it closes.
    pub fn finish(&mut self) {
        for endpoint in [&mut self.client, &mut self.server] {
            let streams = endpoint.connection.streams();
            streams.finish(self.stream, GFP_ATOMIC).unwrap();
        }
    }

    /// The client sends one batch.
    fn send(&mut self, batch: usize) {
        let outbox = &mut self.outbox;
        self.client.with(self.now, |connection, cx| {
            super::endpoint::send_batch(connection, cx, batch, outbox)
        });
    }
}

fn client(crypto: Null, config: Config, addresses: Addresses, now: Instant) -> Endpoint {
    let mut world = World::new(crypto, 1);
    let cid = ConnectionId::new(&[0xc1; 8]).unwrap();
    let mut cx = context(&mut world, now);
    Endpoint {
        connection: Connection::connect(&mut cx, config, addresses, cid, &[]).unwrap(),
        world,
        addresses,
    }
}

/// The server that a client's first datagram finds.
fn server(
    crypto: Null,
    config: Config,
    addresses: Addresses,
    now: Instant,
    first: &[u8],
) -> Endpoint {
    let InvariantHeader::Long { dcid, scid, .. } = InvariantHeader::parse(first).unwrap() else {
        panic!("a client begins with a long header");
    };
    let dcid = ConnectionId::new(dcid).unwrap();
    let addresses = Addresses {
        local: addresses.remote,
        remote: addresses.local,
    };
    let accepted = Accepted {
        addresses,
        version: SupportedVersion::V1,
        dcid,
        scid: ConnectionId::new(scid).unwrap(),
        original_dcid: dcid,
        validated: false,
    };
    let mut world = World::new(crypto, 2);
    let cid = ConnectionId::new(&[0x5e; 8]).unwrap();
    let mut cx = context(&mut world, now);
    Endpoint {
        connection: Connection::accept(&mut cx, config, &accepted, cid).unwrap(),
        world,
        addresses,
    }
}

fn context(world: &mut World, now: Instant) -> Context<'_, World> {
    Context {
        now,
        flags: GFP_ATOMIC,
        env: world,
    }
}

fn accept_parameters(endpoint: &mut Endpoint, now: Instant, parameters: &[u8]) {
    endpoint.with(now, |connection, cx| {
        connection.set_peer_parameters(cx, parameters).unwrap();
    });
}

/// The application reads what there is.
pub fn consume(endpoint: &mut Endpoint, now: Instant) {
    while let Some(readable) = endpoint.connection.streams().next_readable() {
        endpoint.connection.consume(readable.id, readable.len, now);
    }
}
