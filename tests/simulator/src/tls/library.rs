// SPDX-License-Identifier: MIT OR Apache-2.0

//! [`Library`]: TLS by rustls, with the raw traffic secrets that its key log gives.
//!
//! rustls says with `KeyChange` *when* keys are to be used, and gives them to its `KeyLog` before
//! that, possibly far before: a server's 1-RTT secrets are logged with the ClientHello. So secrets
//! are kept until their time.

use super::{Alert, Direction, Output, Tls};
use crate::credentials::{Credentials, SERVER_NAME};
use crate::settings::Settings;
use quic_core::crypto::CipherSuite;
use quic_core::packet::PacketType;
use quic_core::role::Role;
use rustls::pki_types::ServerName;
use rustls::quic::{ClientConnection, Connection, KeyChange, ServerConnection, Version};
use rustls::{ClientConfig, KeyLog, ServerConfig};
use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

/// A TLS connection of rustls.
pub struct Library {
    role: Role,
    config: Config,
    connection: Option<Connection>,
    secrets: Arc<Secrets>,
    /// The level of what rustls writes.
    level: PacketType,
    outputs: VecDeque<Output>,
    told_parameters: bool,
    told_early: bool,
    done: bool,
}

enum Config {
    Client(ClientConfig),
    Server(ServerConfig),
}

/// What was logged: the labels of `SSLKEYLOGFILE` and the secrets.
#[derive(Debug, Default)]
struct Secrets(Mutex<Vec<(String, Vec<u8>)>>);

impl KeyLog for Secrets {
    fn log(&self, label: &str, _client_random: &[u8], secret: &[u8]) {
        if let Ok(mut secrets) = self.0.lock() {
            secrets.push((label.into(), secret.into()));
        }
    }
}

impl Secrets {
    /// The latest, as a second ClientHello has another early secret.
    fn get(&self, label: &str) -> Option<Vec<u8>> {
        let secrets = self.0.lock().ok()?;
        let found = secrets.iter().rev().find(|(known, _)| known == label);
        found.map(|(_, secret)| secret.clone())
    }
}

impl Library {
    /// A client.
    pub fn client(settings: &Settings, credentials: &Credentials) -> Self {
        Self::new(Role::Client, Config::Client(credentials.client(settings)))
    }

    /// A server.
    pub fn server(settings: &Settings, credentials: &Credentials) -> Self {
        Self::new(Role::Server, Config::Server(credentials.server(settings)))
    }

    fn new(role: Role, config: Config) -> Self {
        Self {
            role,
            config,
            connection: None,
            secrets: Arc::default(),
            level: PacketType::Initial,
            outputs: VecDeque::new(),
            told_parameters: false,
            told_early: false,
            done: false,
        }
    }

    /// Hands a secret out. If it was not logged, nothing uses it.
    fn secret(&mut self, level: PacketType, direction: Direction) {
        let sender = match direction {
            Direction::Send => self.role,
            Direction::Receive => self.role.peer(),
        };
        let label = match (level, sender) {
            (PacketType::ZeroRtt, _) => "CLIENT_EARLY_TRAFFIC_SECRET",
            (PacketType::Handshake, Role::Client) => "CLIENT_HANDSHAKE_TRAFFIC_SECRET",
            (PacketType::Handshake, Role::Server) => "SERVER_HANDSHAKE_TRAFFIC_SECRET",
            (_, Role::Client) => "CLIENT_TRAFFIC_SECRET_0",
            (_, Role::Server) => "SERVER_TRAFFIC_SECRET_0",
        };
        let suite = self.connection.as_ref().and_then(suite);
        if let (Some(secret), Some(suite)) = (self.secrets.get(label), suite) {
            self.outputs.push_back(Output::Secret {
                level,
                direction,
                suite,
                secret,
            });
        }
    }

    /// All that rustls has to say. It must be asked after every piece it was fed, else a client
    /// says Finished before it names the keys for it.
    fn drain(&mut self) {
        self.tell_peer();
        loop {
            let Some(connection) = &mut self.connection else {
                return;
            };
            let mut bytes = Vec::new();
            let change = connection.write_hs(&mut bytes);
            let idle = bytes.is_empty() && change.is_none();
            if !bytes.is_empty() {
                let level = self.level;
                self.outputs.push_back(Output::Message { level, bytes });
            }
            match change {
                None => {}
                Some(KeyChange::Handshake { .. }) => {
                    self.level = PacketType::Handshake;
                    self.secret(PacketType::Handshake, Direction::Send);
                    self.secret(PacketType::Handshake, Direction::Receive);
                }
                Some(KeyChange::OneRtt { .. }) => {
                    self.level = PacketType::OneRtt;
                    self.secret(PacketType::OneRtt, Direction::Send);
                    if self.role == Role::Client {
                        self.secret(PacketType::OneRtt, Direction::Receive);
                    }
                }
            }
            if idle {
                break;
            }
            self.tell_early_data();
        }
        self.tell_peer();
    }

    /// What is known about the peer.
    fn tell_peer(&mut self) {
        let Some(connection) = &self.connection else {
            return;
        };
        // Before EncryptedExtensions a client has remembered parameters, but no protocol.
        let peer = (
            connection.quic_transport_parameters(),
            connection.alpn_protocol(),
        );
        if let (Some(parameters), Some(alpn), false) = (peer.0, peer.1, self.told_parameters) {
            self.told_parameters = true;
            let parameters = Output::PeerParameters(parameters.to_vec());
            self.outputs
                .extend([parameters, Output::Alpn(alpn.to_vec())]);
        }
        if self.role == Role::Server {
            self.tell_early_data();
        }
        let complete = self
            .connection
            .as_ref()
            .is_some_and(|it| !it.is_handshaking());
        if complete && self.told_parameters && !self.done {
            self.tell_early_data();
            self.done = true;
            if self.role == Role::Server {
                self.secret(PacketType::OneRtt, Direction::Receive);
            }
            self.outputs.push_back(Output::Done);
        }
    }

    fn tell_early_data(&mut self) {
        if self.told_early {
            return;
        }
        match &self.connection {
            // The secret is logged for rejected early data as well; the keys are not made then.
            Some(Connection::Server(server)) => {
                if self.told_parameters && self.secrets.get("CLIENT_EARLY_TRAFFIC_SECRET").is_some()
                {
                    self.told_early = true;
                    let accepted = server.zero_rtt_keys().is_some();
                    self.outputs.push_back(Output::EarlyData(accepted));
                    if accepted {
                        self.secret(PacketType::ZeroRtt, Direction::Receive);
                    }
                }
            }
            // It stands in EncryptedExtensions, as the parameters do.
            Some(Connection::Client(client)) => {
                let offered = self.secrets.get("CLIENT_EARLY_TRAFFIC_SECRET").is_some();
                if offered && !client.is_handshaking() {
                    self.told_early = true;
                    let accepted = client.is_early_data_accepted();
                    self.outputs.push_back(Output::EarlyData(accepted));
                }
            }
            None => {}
        }
    }
}

impl Tls for Library {
    fn start(&mut self, parameters: &[u8]) -> Result<(), Alert> {
        // The secrets do not depend on the version of QUIC.
        let (version, parameters) = (Version::V1, parameters.to_vec());
        let connection = match &mut self.config {
            Config::Client(config) => {
                config.key_log = self.secrets.clone();
                let name = ServerName::try_from(SERVER_NAME).map_err(|_| Alert::INTERNAL_ERROR)?;
                let config = Arc::new(config.clone());
                ClientConnection::new(config, version, name, parameters).map(Connection::Client)
            }
            Config::Server(config) => {
                config.key_log = self.secrets.clone();
                let config = Arc::new(config.clone());
                ServerConnection::new(config, version, parameters).map(Connection::Server)
            }
        };
        self.connection = Some(connection.map_err(|_| Alert::INTERNAL_ERROR)?);
        self.drain();
        let remembered = self
            .connection
            .as_ref()
            .and_then(|it| it.quic_transport_parameters());
        let early = self.secrets.get("CLIENT_EARLY_TRAFFIC_SECRET").is_some();
        if let (Role::Client, true, Some(parameters)) = (self.role, early, remembered) {
            let parameters = Output::RememberedParameters(parameters.to_vec());
            self.outputs.push_back(parameters);
            self.secret(PacketType::ZeroRtt, Direction::Send);
        }
        Ok(())
    }

    fn feed(&mut self, _: PacketType, bytes: &[u8]) -> Result<(), Alert> {
        let connection = self.connection.as_mut().ok_or(Alert::INTERNAL_ERROR)?;
        let result = connection.read_hs(bytes);
        let alert = match result {
            Ok(()) => None,
            Err(_) => Some(
                connection
                    .alert()
                    .map_or(Alert::INTERNAL_ERROR, |it| Alert(it.into())),
            ),
        };
        self.drain();
        alert.map_or(Ok(()), Err)
    }

    fn poll(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }
}

fn suite(connection: &Connection) -> Option<CipherSuite> {
    match connection.negotiated_cipher_suite()?.suite() {
        rustls::CipherSuite::TLS13_AES_128_GCM_SHA256 => Some(CipherSuite::Aes128Gcm),
        rustls::CipherSuite::TLS13_AES_256_GCM_SHA384 => Some(CipherSuite::Aes256Gcm),
        rustls::CipherSuite::TLS13_CHACHA20_POLY1305_SHA256 => Some(CipherSuite::ChaCha20Poly1305),
        rustls::CipherSuite::TLS13_AES_128_CCM_SHA256 => Some(CipherSuite::Aes128Ccm),
        _ => None,
    }
}
