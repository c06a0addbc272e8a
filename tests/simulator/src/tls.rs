// SPDX-License-Identifier: MIT OR Apache-2.0

//! [`Tls`]: the TLS of an endpoint that does not bring its own, as an opaque exchange of messages.
//!
//! [`Library`] is the real one, by rustls. [`Fixed`] looks alike on the wire and needs no
//! cryptography: for simulations that are to repeat bit by bit.
//!
//! ```text
//!                     start(parameters)   feed(level, bytes)
//!                             |                  |
//!                             v                  v
//!                           +----------------------+
//!                           |         Tls          | --> poll(): Output, one after the other
//!                           +----------------------+
//! ```
//!
//! Outputs are in the order in which a transport must take them: early keys after the ClientHello,
//! sending keys of a level before its messages, keys for receiving 1-RTT packets of a server only
//! after the client's Finished. [`poll`](Tls::poll) until `None` after every other call.

mod fixed;
mod hello;
mod library;

pub use fixed::{Early, Fixed, FixedConfig};
pub(crate) use hello::client_parameters;
pub use library::Library;

use quic_core::crypto::CipherSuite;
use quic_core::packet::PacketType;
use std::fmt;

/// A TLS connection, of a client or a server.
pub trait Tls {
    /// Begins, with the own transport parameters as the extension carries them. A client says
    /// ClientHello then. Called once, before anything else.
    fn start(&mut self, parameters: &[u8]) -> Result<(), Alert>;

    /// Bytes of CRYPTO frames of a level (`Initial`, `Handshake` or `OneRtt`), in order, in pieces
    /// of any length. After an alert it is not called again.
    fn feed(&mut self, level: PacketType, bytes: &[u8]) -> Result<(), Alert>;

    /// What comes of it.
    fn poll(&mut self) -> Option<Output>;
}

/// What TLS has to say.
#[derive(Clone, PartialEq, Eq)]
pub enum Output {
    /// Bytes for CRYPTO frames of a level.
    Message {
        /// `Initial`, `Handshake` or `OneRtt`.
        level: PacketType,
        /// One or more messages, whole.
        bytes: Vec<u8>,
    },
    /// A traffic secret.
    Secret {
        /// `ZeroRtt`, `Handshake` or `OneRtt`.
        level: PacketType,
        /// What it is for.
        direction: Direction,
        /// The cipher suite.
        suite: CipherSuite,
        /// As long as the hash of the suite.
        secret: Vec<u8>,
    },
    /// The transport parameters of the server in the connection whose session a client resumes:
    /// the limits for early data. Before the secret for it.
    RememberedParameters(Vec<u8>),
    /// The transport parameters of the peer. Only [`Self::Done`] authenticates them.
    PeerParameters(Vec<u8>),
    /// The application protocol.
    Alpn(Vec<u8>),
    /// Whether the server accepts the early data that the client has offered; at both ends.
    EarlyData(bool),
    /// The handshake is complete (RFC 9001 §4.1.1).
    Done,
}

/// What a secret protects.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub enum Direction {
    /// What this endpoint sends.
    Send,
    /// What it receives.
    Receive,
}

/// A fatal alert, by its number: the connection is closed with CRYPTO_ERROR.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub struct Alert(pub u8);

impl Alert {
    /// A message at a level where it must not be.
    pub const UNEXPECTED_MESSAGE: Self = Self(10);
    /// A message that cannot be read.
    pub const DECODE_ERROR: Self = Self(50);
    /// An error of the implementation.
    pub const INTERNAL_ERROR: Self = Self(80);
    /// No transport parameters.
    pub const MISSING_EXTENSION: Self = Self(109);
    /// No application protocol in common.
    pub const NO_APPLICATION_PROTOCOL: Self = Self(120);
}

// Lengths instead of bytes.
impl fmt::Debug for Output {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Message { level, bytes } => write!(f, "Message({level:?}, {})", bytes.len()),
            Self::Secret {
                level, direction, ..
            } => write!(f, "Secret({level:?}, {direction:?})"),
            Self::RememberedParameters(it) => write!(f, "RememberedParameters({})", it.len()),
            Self::PeerParameters(bytes) => write!(f, "PeerParameters({})", bytes.len()),
            Self::Alpn(alpn) => write!(f, "Alpn({})", String::from_utf8_lossy(alpn)),
            Self::EarlyData(accepted) => write!(f, "EarlyData({accepted})"),
            Self::Done => f.write_str("Done"),
        }
    }
}
