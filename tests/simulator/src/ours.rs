// SPDX-License-Identifier: MIT OR Apache-2.0

//! [`Ours`]: an endpoint made of quic-core, with TLS by whoever is given.
//!
//! ```text
//!            Listener: version negotiation, Retry, tokens
//!               |  accept
//!               v
//!  host --> Connection <--> Handshake <--> Tls
//!               |  events
//!               v
//!          application: Streams that wait
//! ```
//!
//! All random numbers come from the seed.

mod application;
mod bytes;
mod configuration;
mod handshake;
mod host;
mod listener;
mod streams;
mod world;

use crate::datagram::{address, Datagram};
use crate::host::{Cause, Event};
use crate::settings::Settings;
use crate::tls::Tls;
use handshake::Handshake;
use host::Deferred;
use kernel::alloc::flags::GFP_KERNEL;
use kernel::alloc::inject::Failures;
use listener::Listener;
use quic_core::connection::{Addresses, Config, Connection, Context};
use quic_core::role::Role;
use quic_core::time::Instant;
use quic_core::version::SupportedVersion;
use std::collections::{BTreeSet, VecDeque};
use std::net::SocketAddr;
use streams::Streams;
use world::{Happened, World};

/// Makes the TLS of a connection.
pub type MakeTls = Box<dyn Fn() -> Box<dyn Tls>>;

/// A client or a server made of quic-core.
pub struct Ours {
    role: Role,
    settings: Settings,
    config: Config,
    world: World,
    listener: Listener,
    make_tls: MakeTls,
    connection: Option<Connection<World>>,
    handshake: Handshake,
    /// The connection IDs for which packets arrive.
    cids: BTreeSet<Vec<u8>>,
    deferred: Vec<Deferred>,
    /// What is answered without the connection.
    responses: Vec<Datagram>,
    events: VecDeque<Event>,
    streams: Streams,
    /// Where the client is to go as soon as it can.
    migration: Option<SocketAddr>,
    /// Something may have changed since the application was told all.
    stirred: bool,
    failures: Failures,
}

impl Ours {
    /// An endpoint; a client begins to connect at once.
    ///
    /// # Panics
    ///
    /// If there is no memory.
    pub fn new(role: Role, settings: Settings, make_tls: MakeTls) -> Self {
        let mut it = Self {
            role,
            config: configuration::config(&settings),
            world: World::new(settings.seed),
            listener: Listener::new(&settings),
            handshake: Handshake::new(role, make_tls()),
            make_tls,
            connection: None,
            cids: BTreeSet::new(),
            deferred: Vec::new(),
            responses: Vec::new(),
            events: VecDeque::new(),
            streams: Streams::new(role),
            migration: None,
            stirred: true,
            failures: Failures::new(settings.seed, settings.failures),
            settings,
        };
        if role == Role::Client {
            it.connect(Instant::default());
        }
        it
    }

    /// Of the connection: for tests that look at more than bytes.
    pub fn connection(&self) -> Option<&Connection<World>> {
        self.connection.as_ref()
    }

    fn connect(&mut self, now: Instant) {
        let cid = self.world.cid(self.settings.cid_len);
        self.cids = BTreeSet::from([cid.as_slice().to_vec()]);
        let addresses = Addresses {
            local: address(Role::Client),
            remote: address(Role::Server),
        };
        let config = self.config;
        let mut cx = self.world.cx(now);
        let connection = Connection::connect(&mut cx, config, addresses, cid, &[]);
        self.connection = Some(connection.expect("memory"));
        self.with(now, Handshake::start);
    }

    /// Begins anew in a version that the server speaks.
    fn connect_in(&mut self, now: Instant, version: SupportedVersion) {
        self.config.version = version;
        self.config.after_version_negotiation = true;
        self.handshake = Handshake::new(self.role, (self.make_tls)());
        self.deferred.clear();
        self.connect(now);
    }

    /// Calls `body` with the parts that a handshake needs, if there is a connection.
    fn with<T>(
        &mut self,
        now: Instant,
        body: impl FnOnce(&mut Handshake, &mut Connection<World>, &mut Context<'_, World>) -> T,
    ) -> Option<T> {
        let connection = self.connection.as_mut()?;
        let mut cx = self.world.cx(now);
        Some(body(&mut self.handshake, connection, &mut cx))
    }

    /// After every call of the connection: lets TLS and the connection tell each other what they
    /// have to, feeds what was deferred, issues connection IDs, and hears what happened.
    fn exchange(&mut self, now: Instant) {
        self.stirred = true;
        while self.with(now, Handshake::drive) == Some(true) {
            for deferred in std::mem::take(&mut self.deferred) {
                self.feed_deferred(now, deferred);
            }
        }
        if self.handshake.take_done() {
            self.events.push_back(Event::Connected);
            self.give_tokens(now);
        }
        self.issue_cids();
        for happened in std::mem::take(&mut self.world.happened) {
            self.on_happened(now, happened);
        }
        if let Some(local) = self.migration.take() {
            self.try_to_migrate(now, local);
        }
    }

    fn issue_cids(&mut self) {
        let len = self.settings.cid_len;
        let Some(connection) = &mut self.connection else {
            return;
        };
        for _ in 0..connection.wanted_cids() {
            let cid = self.world.cid(len);
            if connection.issue_cid(cid, GFP_KERNEL).is_ok() {
                self.cids.insert(cid.as_slice().to_vec());
            }
        }
    }

    fn give_tokens(&mut self, now: Instant) {
        let Some(connection) = &mut self.connection else {
            return;
        };
        if self.role == Role::Client || self.settings.tokens == 0 {
            return;
        }
        let remote = connection.addresses().map(|it| it.remote);
        if let Some(remote) = remote {
            let token = self
                .listener
                .new_token(now, &mut self.world, remote, connection.version());
            connection
                .send_new_token(&token, GFP_KERNEL)
                .expect("memory");
        }
    }

    fn on_happened(&mut self, now: Instant, happened: Happened) {
        match happened {
            Happened::Stream(event) => self.streams.on_event(event, &mut self.events),
            Happened::Datagram => self.events.push_back(Event::DatagramReceived),
            Happened::Confirmed => self.on_confirmed(),
            Happened::CidRetired(cid) => {
                self.cids.remove(cid.as_slice());
            }
            Happened::Version(Some(version)) => self.connect_in(now, version),
            Happened::Version(None) => self.events.push_back(Event::Closed(Cause::VersionMismatch)),
            Happened::Closed(cause) => self.events.push_back(Event::Closed(cause)),
        }
    }

    fn on_confirmed(&mut self) {
        let request = configuration::ack_frequency(&self.settings);
        if let (Some(request), Some(connection)) = (request, &mut self.connection) {
            connection.request_ack_frequency(request);
        }
    }

    fn try_to_migrate(&mut self, now: Instant, local: SocketAddr) {
        use quic_core::connection::MigrateError;
        let result = self.with(now, |_, connection, cx| connection.migrate(cx, local));
        // It is tried again when the peer has issued more.
        if let Some(Err(MigrateError::NoConnectionId)) = result {
            self.migration = Some(local);
        }
    }
}
