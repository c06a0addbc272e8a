// SPDX-License-Identifier: MIT OR Apache-2.0

//! [`Foreign`]: an endpoint that nobody here wrote: quinn-proto, with TLS by rustls.
//!
//! All of its random numbers that influence lengths or times come from the seed: connection IDs and
//! the generator of its endpoint. Keys come from the operating system.

mod application;
mod configuration;
mod host;

use crate::credentials::{Credentials, SERVER_NAME};
use crate::datagram::{address, Datagram};
use crate::host::{Cause, Event};
use crate::settings::Settings;
use quic_core::role::Role;
use quic_core::stream_id::StreamId;
use quic_core::time::Duration;
use quinn_proto::{Connection, ConnectionError, ConnectionHandle, Endpoint, StreamEvent};
use std::collections::{BTreeSet, VecDeque};
use std::net::SocketAddr;
use std::sync::Arc;

/// A client or a server made of quinn.
pub struct Foreign {
    role: Role,
    settings: Settings,
    /// The instant of quinn's clock when the simulation began.
    epoch: std::time::Instant,
    endpoint: Endpoint,
    connection: Option<(ConnectionHandle, Connection)>,
    /// Where it is.
    local: SocketAddr,
    /// What the endpoint answers without the connection.
    responses: Vec<Datagram>,
    events: VecDeque<Event>,
    /// The client began with 0-RTT.
    early: bool,
    /// The connection was closed by the peer, or died.
    over: bool,
    /// Streams that are written to their end, which the peer has not acknowledged.
    finishing: BTreeSet<StreamId>,
    /// How long its timer was when it last sent what it could.
    rest: Duration,
}

impl Foreign {
    /// A client, which begins to connect at once.
    ///
    /// # Panics
    ///
    /// If quinn does not accept the settings.
    pub fn client(settings: Settings, credentials: &Credentials) -> Self {
        let endpoint = configuration::endpoint(&settings);
        let config = configuration::client(&settings, credentials);
        let mut it = Self::new(
            Role::Client,
            settings,
            Endpoint::new(Arc::new(endpoint), None, true, None),
        );
        let server = address(Role::Server);
        let connection = it.endpoint.connect(it.epoch, config, server, SERVER_NAME);
        let (handle, connection) = connection.expect("valid settings");
        it.early = connection.has_0rtt();
        it.connection = Some((handle, connection));
        it
    }

    /// A server, which accepts one connection.
    ///
    /// # Panics
    ///
    /// If quinn does not accept the settings.
    pub fn server(settings: Settings, credentials: &Credentials) -> Self {
        let endpoint = Arc::new(configuration::endpoint(&settings));
        let config = Arc::new(configuration::server(&settings, credentials));
        let endpoint = Endpoint::new(endpoint, Some(config), true, None);
        Self::new(Role::Server, settings, endpoint)
    }

    fn new(role: Role, settings: Settings, endpoint: Endpoint) -> Self {
        Self {
            role,
            settings,
            epoch: std::time::Instant::now(),
            endpoint,
            connection: None,
            local: address(role),
            responses: Vec::new(),
            events: VecDeque::new(),
            early: false,
            over: false,
            finishing: BTreeSet::new(),
            rest: Duration::ZERO,
        }
    }

    /// Of the connection: for tests that look at more than bytes.
    pub fn connection(&self) -> Option<&Connection> {
        self.connection.as_ref().map(|(_, connection)| connection)
    }

    /// Lets the endpoint and the connection tell each other what they have to, and collects events.
    fn exchange(&mut self) {
        let Some((handle, connection)) = &mut self.connection else {
            return;
        };
        while let Some(event) = connection.poll_endpoint_events() {
            if let Some(event) = self.endpoint.handle_event(*handle, event) {
                connection.handle_event(event);
            }
        }
        while let Some(event) = connection.poll() {
            let event = match event {
                quinn_proto::Event::HandshakeDataReady => continue,
                quinn_proto::Event::Connected => Event::Connected,
                quinn_proto::Event::ConnectionLost { reason } => {
                    let Some(cause) = cause(reason) else { continue };
                    // A stateless reset that comes after CONNECTION_CLOSE is reported as well.
                    if std::mem::replace(&mut self.over, true) {
                        continue;
                    }
                    Event::Closed(cause)
                }
                quinn_proto::Event::Stream(event) => stream_event(event),
                quinn_proto::Event::DatagramReceived => Event::DatagramReceived,
                quinn_proto::Event::DatagramsUnblocked => Event::DatagramsWritable,
            };
            if let Event::Finished(id) | Event::Stopped(id, _) = event {
                self.finishing.remove(&id);
            }
            self.events.push_back(event);
        }
    }
}

fn stream_event(event: StreamEvent) -> Event {
    use application::{directionality, ours};
    match event {
        StreamEvent::Opened { dir } => Event::Opened(directionality(dir)),
        StreamEvent::Available { dir } => Event::Available(directionality(dir)),
        StreamEvent::Readable { id } => Event::Readable(ours(id)),
        StreamEvent::Writable { id } => Event::Writable(ours(id)),
        StreamEvent::Finished { id } => Event::Finished(ours(id)),
        StreamEvent::Stopped { id, error_code } => {
            Event::Stopped(ours(id), error_code.into_inner())
        }
    }
}

/// Why the connection is over; `None` if the application closed it.
fn cause(reason: ConnectionError) -> Option<Cause> {
    Some(match reason {
        ConnectionError::LocallyClosed => return None,
        ConnectionError::ApplicationClosed(close) => Cause::Application {
            code: close.error_code.into_inner(),
            reason: close.reason.to_vec(),
        },
        ConnectionError::ConnectionClosed(close) => Cause::Peer {
            code: close.error_code.into(),
            reason: close.reason.to_vec(),
        },
        ConnectionError::TransportError(error) => Cause::Error {
            code: error.code.into(),
            reason: error.reason,
        },
        ConnectionError::TimedOut => Cause::TimedOut,
        ConnectionError::Reset => Cause::Reset,
        ConnectionError::VersionMismatch => Cause::VersionMismatch,
        ConnectionError::CidsExhausted => Cause::Error {
            code: 1,
            reason: "no connection IDs left".into(),
        },
    })
}
