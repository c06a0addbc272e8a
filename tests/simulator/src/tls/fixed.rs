// SPDX-License-Identifier: MIT OR Apache-2.0

//! [`Fixed`]: messages and secrets that follow from a seed.
//!
//! ```text
//! client                                         server
//!   Initial    ClientHello           -->
//!   0-RTT      ...
//!                                    <--   Initial    ServerHello
//!                                          Handshake  EncryptedExtensions Certificate
//!                                                     CertificateVerify Finished
//!   Handshake  Finished              -->
//!                                    <--   1-RTT      NewSessionTicket
//! ```
//!
//! ClientHello and EncryptedExtensions are real; all else is opaque. Both ends know every byte of
//! it, so that an error in the reassembly of CRYPTO frames is an alert.

use super::hello::{self, Extensions};
use super::{Alert, Direction, Output, Tls};
use crate::credentials::SERVER_NAME;
use crate::random::Random;
use quic_core::crypto::CipherSuite;
use quic_core::packet::PacketType;
use quic_core::role::Role;
use std::collections::VecDeque;

/// What both ends agree on beforehand.
#[derive(Clone, Debug)]
pub struct FixedConfig {
    /// Decides secrets and opaque bytes.
    pub seed: u64,
    /// The cipher suite.
    pub suite: CipherSuite,
    /// The application protocols of each end.
    pub alpn: Vec<Vec<u8>>,
    /// How long the ClientHello is, in bytes: 300 without, 1800 with post-quantum keys.
    pub client_hello: usize,
    /// How long the ServerHello is: 90 without, 1200 with post-quantum keys.
    pub server_hello: usize,
    /// How long the certificates are: 500 to 6000.
    pub certificate: usize,
    /// How many tickets a server sends, of about 200 bytes each.
    pub tickets: usize,
    /// What becomes of early data.
    pub early: Early,
    /// What a client with early data remembers of the server's transport parameters.
    pub remembered: Vec<u8>,
}

/// What becomes of early data.
#[derive(Copy, Clone, PartialEq, Eq, Debug, Default)]
pub enum Early {
    /// The client does not offer any.
    #[default]
    None,
    /// The server accepts it.
    Accepted,
    /// The server rejects it.
    Rejected,
}

impl FixedConfig {
    /// Random lengths.
    pub fn random(seed: u64) -> Self {
        let mut random = Random::new(seed, "fixed TLS");
        Self {
            seed,
            suite: random.pick(&[
                CipherSuite::Aes128Gcm,
                CipherSuite::Aes256Gcm,
                CipherSuite::Aes128Ccm,
                CipherSuite::ChaCha20Poly1305,
            ]),
            alpn: vec![b"hq-interop".to_vec()],
            client_hello: random.within(300..=1_800) as usize,
            server_hello: random.pick(&[90, 122, 1_200]),
            certificate: random.within(500..=6_000) as usize,
            tickets: random.below(3) as usize,
            early: Early::None,
            remembered: Vec::new(),
        }
    }
}

/// A TLS connection without cryptography.
pub struct Fixed {
    role: Role,
    config: FixedConfig,
    parameters: Vec<u8>,
    /// What came in at Initial, Handshake and OneRtt and is not a whole message.
    incoming: [Vec<u8>; 3],
    /// The messages that are still expected before the end of the handshake, the last first.
    expected: Vec<u8>,
    outputs: VecDeque<Output>,
}

impl Fixed {
    /// A client.
    pub fn client(config: FixedConfig) -> Self {
        let expected = [
            hello::FINISHED,
            hello::CERTIFICATE_VERIFY,
            hello::CERTIFICATE,
            hello::ENCRYPTED_EXTENSIONS,
            hello::SERVER_HELLO,
        ];
        Self::new(Role::Client, config, &expected)
    }

    /// A server.
    pub fn server(config: FixedConfig) -> Self {
        let expected = [hello::FINISHED, hello::CLIENT_HELLO];
        Self::new(Role::Server, config, &expected)
    }

    fn new(role: Role, config: FixedConfig, expected: &[u8]) -> Self {
        Self {
            role,
            config,
            parameters: Vec::new(),
            incoming: Default::default(),
            expected: expected.to_vec(),
            outputs: VecDeque::new(),
        }
    }

    /// An opaque message, as `sender` sends it.
    fn opaque(&self, kind: u8, sender: Role) -> Vec<u8> {
        let len = match kind {
            hello::SERVER_HELLO => self.config.server_hello.saturating_sub(4),
            hello::CERTIFICATE => self.config.certificate,
            hello::CERTIFICATE_VERIFY => 68,
            hello::NEW_SESSION_TICKET => 200,
            _ => self.config.suite.hash().output_len(),
        };
        let mut random = Random::new(self.config.seed, &format!("{sender:?} {kind}"));
        hello::opaque(kind, len, &mut random)
    }

    fn send(&mut self, level: PacketType, kinds: &[u8]) {
        let messages = kinds.iter().map(|kind| self.opaque(*kind, self.role));
        let bytes = messages.collect::<Vec<_>>().concat();
        self.outputs.push_back(Output::Message { level, bytes });
    }

    fn secret(&mut self, level: PacketType, direction: Direction) {
        let sender = match direction {
            Direction::Send => self.role,
            Direction::Receive => self.role.peer(),
        };
        let mut random = Random::new(self.config.seed, &format!("{level:?} of {sender:?}"));
        let mut secret = vec![0; self.config.suite.hash().output_len()];
        random.fill(&mut secret);
        self.outputs.push_back(Output::Secret {
            level,
            direction,
            suite: self.config.suite,
            secret,
        });
    }

    fn secrets(&mut self, level: PacketType) {
        self.secret(level, Direction::Send);
        self.secret(level, Direction::Receive);
    }

    fn on_message(&mut self, level: PacketType, kind: u8, message: &[u8]) -> Result<(), Alert> {
        if kind == hello::NEW_SESSION_TICKET {
            let fits = self.role == Role::Client && level == PacketType::OneRtt;
            if !fits || !self.expected.is_empty() {
                return Err(Alert::UNEXPECTED_MESSAGE);
            }
            return self.check(kind, message);
        }
        let its_level = match kind {
            hello::CLIENT_HELLO | hello::SERVER_HELLO => PacketType::Initial,
            _ => PacketType::Handshake,
        };
        if self.expected.last() != Some(&kind) || level != its_level {
            return Err(Alert::UNEXPECTED_MESSAGE);
        }
        self.expected.pop();
        let body = &message[4..];
        match kind {
            hello::CLIENT_HELLO => {
                self.on_client_hello(hello::read_client_hello(body).ok_or(Alert::DECODE_ERROR)?)
            }
            hello::ENCRYPTED_EXTENSIONS => {
                let it = hello::read_encrypted_extensions(body).ok_or(Alert::DECODE_ERROR)?;
                if self.config.early != Early::None {
                    self.outputs.push_back(Output::EarlyData(it.early_data));
                }
                self.tell(it).map(|_| ())
            }
            _ => {
                self.check(kind, message)?;
                match (self.role, kind) {
                    (Role::Client, hello::SERVER_HELLO) => self.secrets(PacketType::Handshake),
                    (Role::Client, hello::FINISHED) => {
                        self.send(PacketType::Handshake, &[hello::FINISHED]);
                        self.secrets(PacketType::OneRtt);
                        self.outputs.push_back(Output::Done);
                    }
                    (Role::Server, hello::FINISHED) => {
                        self.secret(PacketType::OneRtt, Direction::Receive);
                        self.outputs.push_back(Output::Done);
                        for _ in 0..self.config.tickets {
                            self.send(PacketType::OneRtt, &[hello::NEW_SESSION_TICKET]);
                        }
                    }
                    _ => {}
                }
                Ok(())
            }
        }
    }

    fn on_client_hello(&mut self, offer: Extensions) -> Result<(), Alert> {
        let early_data = offer.early_data && self.config.early == Early::Accepted;
        let offered = offer.early_data;
        let alpn = self.tell(offer)?;
        if offered {
            self.outputs.push_back(Output::EarlyData(early_data));
            if early_data {
                self.secret(PacketType::ZeroRtt, Direction::Receive);
            }
        }
        self.send(PacketType::Initial, &[hello::SERVER_HELLO]);
        self.secrets(PacketType::Handshake);
        let bytes = hello::encrypted_extensions(&Extensions {
            alpn: vec![alpn],
            parameters: Some(self.parameters.clone()),
            early_data,
        });
        let level = PacketType::Handshake;
        self.outputs.push_back(Output::Message { level, bytes });
        self.send(
            level,
            &[
                hello::CERTIFICATE,
                hello::CERTIFICATE_VERIFY,
                hello::FINISHED,
            ],
        );
        self.secret(PacketType::OneRtt, Direction::Send);
        Ok(())
    }

    /// Tells what the peer says, and gives the application protocol.
    fn tell(&mut self, it: Extensions) -> Result<Vec<u8>, Alert> {
        let parameters = it.parameters.ok_or(Alert::MISSING_EXTENSION)?;
        let known = |name: &&Vec<u8>| it.alpn.contains(name);
        let alpn = self.config.alpn.iter().find(known).cloned();
        let alpn = alpn.ok_or(Alert::NO_APPLICATION_PROTOCOL)?;
        self.outputs.push_back(Output::PeerParameters(parameters));
        self.outputs.push_back(Output::Alpn(alpn.clone()));
        Ok(alpn)
    }

    fn check(&self, kind: u8, message: &[u8]) -> Result<(), Alert> {
        if message == self.opaque(kind, self.role.peer()) {
            Ok(())
        } else {
            Err(Alert::DECODE_ERROR)
        }
    }
}

impl Tls for Fixed {
    fn start(&mut self, parameters: &[u8]) -> Result<(), Alert> {
        self.parameters = parameters.to_vec();
        if self.role == Role::Server {
            return Ok(());
        }
        let early_data = self.config.early != Early::None;
        let it = Extensions {
            alpn: self.config.alpn.clone(),
            parameters: Some(parameters.to_vec()),
            early_data,
        };
        let mut random = Random::new(self.config.seed, "ClientHello");
        let bytes = hello::client_hello(&it, SERVER_NAME, self.config.client_hello, &mut random);
        let level = PacketType::Initial;
        self.outputs.push_back(Output::Message { level, bytes });
        if early_data {
            let remembered = self.config.remembered.clone();
            self.outputs
                .push_back(Output::RememberedParameters(remembered));
            self.secret(PacketType::ZeroRtt, Direction::Send);
        }
        Ok(())
    }

    fn feed(&mut self, level: PacketType, bytes: &[u8]) -> Result<(), Alert> {
        let buffer = match level {
            PacketType::Initial => 0,
            PacketType::Handshake => 1,
            PacketType::OneRtt => 2,
            PacketType::ZeroRtt => return Err(Alert::UNEXPECTED_MESSAGE),
        };
        self.incoming[buffer].extend_from_slice(bytes);
        while let [kind, a, b, c, ..] = self.incoming[buffer][..] {
            let len = 4 + u32::from_be_bytes([0, a, b, c]) as usize;
            if self.incoming[buffer].len() < len {
                break;
            }
            let message: Vec<u8> = self.incoming[buffer].drain(..len).collect();
            self.on_message(level, kind, &message)?;
        }
        Ok(())
    }

    fn poll(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }
}
