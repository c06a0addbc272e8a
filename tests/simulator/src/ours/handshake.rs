// SPDX-License-Identifier: MIT OR Apache-2.0

//! [`Handshake`]: TLS beside a connection, and what they tell each other.

use super::world::World;
use crate::host::EarlyData;
use crate::tls::{client_parameters, Direction, Output, Tls};
use kernel::alloc::flags::GFP_KERNEL;
use quic_core::bytes::Writer;
use quic_core::connection::{Connection, Context, State};
use quic_core::packet::PacketType;
use quic_core::role::Role;
use quic_core::transport_parameters::TransportParameters;

/// TLS, and how far it is.
pub(super) struct Handshake {
    role: Role,
    tls: Box<dyn Tls>,
    /// A server starts when it has read the transport parameters of the client.
    started: bool,
    /// What a server has of the ClientHello until then.
    hello: Vec<u8>,
    early: EarlyData,
    /// What a client cannot pass on before it knows what became of early data.
    parameters: Option<Vec<u8>>,
    failed: bool,
    done: bool,
}

/// The levels at which TLS speaks.
const LEVELS: [PacketType; 3] = [
    PacketType::Initial,
    PacketType::Handshake,
    PacketType::OneRtt,
];

impl Handshake {
    pub(super) fn new(role: Role, tls: Box<dyn Tls>) -> Self {
        Self {
            role,
            tls,
            started: false,
            hello: Vec::new(),
            early: EarlyData::None,
            parameters: None,
            failed: false,
            done: false,
        }
    }

    pub(super) fn early_data(&self) -> EarlyData {
        self.early
    }

    /// Whether the handshake is complete, the first time.
    pub(super) fn take_done(&mut self) -> bool {
        std::mem::take(&mut self.done)
    }

    /// Says ClientHello, or gets ready for one.
    pub(super) fn start(
        &mut self,
        connection: &mut Connection<World>,
        cx: &mut Context<'_, World>,
    ) {
        let mut buffer = [0; TransportParameters::MAX_SIZE];
        let mut writer = Writer::new(&mut buffer);
        let mut grease = [0; 8];
        quic_core::connection::Environment::random(cx.env, &mut grease);
        connection
            .local_parameters()
            .unwrap()
            .emit(&mut writer, self.role, Some(u64::from_le_bytes(grease)))
            .expect("room for all parameters");
        self.started = true;
        if let Err(alert) = self.tls.start(writer.written()) {
            self.failed = true;
            connection.close_with_alert(cx, alert.0);
        }
        self.poll(connection, cx);
    }

    /// Feeds what has arrived to TLS; whether keys to receive with were installed.
    pub(super) fn drive(
        &mut self,
        connection: &mut Connection<World>,
        cx: &mut Context<'_, World>,
    ) -> bool {
        let mut keys = false;
        for level in LEVELS {
            let mut bytes = Vec::new();
            for chunk in connection.crypto(level.space()) {
                bytes.extend_from_slice(chunk.as_slice());
            }
            if bytes.is_empty() {
                continue;
            }
            connection.consume_crypto(level.space(), bytes.len());
            if self.failed || connection.state() != State::Open {
                continue;
            }
            if !self.started {
                self.hello.append(&mut bytes);
                let Some(parameters) = client_parameters(&self.hello) else {
                    continue;
                };
                if connection.set_peer_parameters(cx, &parameters).is_err() {
                    self.failed = true;
                    return keys;
                }
                self.start(connection, cx);
                bytes = std::mem::take(&mut self.hello);
            }
            let result = self.tls.feed(level, &bytes);
            keys |= self.poll(connection, cx);
            if let Err(alert) = result {
                self.failed = true;
                connection.close_with_alert(cx, alert.0);
            }
        }
        keys
    }

    /// Does what TLS says; whether keys to receive with were installed.
    fn poll(&mut self, connection: &mut Connection<World>, cx: &mut Context<'_, World>) -> bool {
        let mut keys = false;
        while let Some(output) = self.tls.poll() {
            if connection.state() != State::Open {
                break;
            }
            match output {
                Output::Message { level, bytes } => connection
                    .write_crypto(level.space(), bytes, GFP_KERNEL)
                    .expect("memory"),
                Output::Secret {
                    level,
                    direction,
                    suite,
                    secret,
                } => {
                    let sending = direction == Direction::Send;
                    let installed = connection.install_secret(cx, level, sending, suite, &secret);
                    installed.unwrap_or_else(|error| panic!("{level:?} {direction:?}: {error:?}"));
                    keys |= !sending;
                }
                Output::RememberedParameters(bytes) => {
                    let remembered = TransportParameters::parse(&bytes, Role::Server);
                    let remembered = remembered.expect("parsed before").remembered();
                    connection.set_remembered_parameters(&remembered);
                    self.early = EarlyData::Offered;
                }
                Output::PeerParameters(bytes) => self.on_parameters(bytes, connection, cx),
                Output::Alpn(_) => {}
                Output::EarlyData(accepted) => self.on_early_data(accepted, connection, cx),
                Output::Done => {
                    connection.handshake_complete(cx);
                    self.done = connection.state() == State::Open;
                }
            }
        }
        keys
    }

    fn on_parameters(
        &mut self,
        bytes: Vec<u8>,
        connection: &mut Connection<World>,
        cx: &mut Context<'_, World>,
    ) {
        match (self.role, self.early) {
            (Role::Server, _) => {}
            (Role::Client, EarlyData::Offered) => self.parameters = Some(bytes),
            (Role::Client, _) => {
                self.failed |= connection.set_peer_parameters(cx, &bytes).is_err();
            }
        }
    }

    fn on_early_data(
        &mut self,
        accepted: bool,
        connection: &mut Connection<World>,
        cx: &mut Context<'_, World>,
    ) {
        self.early = match (self.role, accepted) {
            (_, true) => EarlyData::Accepted,
            (Role::Client, false) => EarlyData::Repeated,
            (Role::Server, false) => EarlyData::None,
        };
        if self.role == Role::Server {
            return;
        }
        if accepted {
            connection.zero_rtt_accepted();
        }
        if let Some(bytes) = self.parameters.take() {
            self.failed |= connection.set_peer_parameters(cx, &bytes).is_err();
        }
        if !accepted {
            connection.zero_rtt_rejected(cx);
        }
    }
}
