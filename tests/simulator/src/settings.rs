// SPDX-License-Identifier: MIT OR Apache-2.0

//! [`Settings`]: how an endpoint is configured, whoever implements it.

use crate::random::{Chance, Random};
use quic_core::crypto::CipherSuite;
use quic_core::role::Role;
use quic_core::time::Duration;

/// The configuration of an endpoint.
///
/// An implementation that lacks something ignores its setting, except where that would make the
/// two ends disagree.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Decides all random numbers of the endpoint.
    pub seed: u64,
    /// Decides what is not set here: the same for connections of which one resumes the session of
    /// the other.
    pub variant: u64,
    /// Application protocols, the preferred first.
    pub alpn: Vec<Vec<u8>>,
    /// The cipher suites, the preferred first; at least one in common.
    pub suites: Vec<CipherSuite>,
    /// How many intermediate certificates a server sends in addition: 350 bytes each.
    pub certificates: usize,
    /// After so much silence the connection is given up.
    pub idle_timeout: Duration,
    /// PING frames after so much silence.
    pub keep_alive: Option<Duration>,
    /// Flow control: the window of the connection in bytes.
    pub window: u64,
    /// The window of a stream in bytes.
    pub stream_window: u64,
    /// How many bytes are buffered for sending.
    pub send_window: u64,
    /// How many bidirectional streams the peer may have open.
    pub bidi_streams: u32,
    /// How many unidirectional streams the peer may have open: not 0 if there are any.
    pub uni_streams: u32,
    /// Datagrams (RFC 9221) are accepted.
    pub datagrams: bool,
    /// A server validates addresses by Retry.
    pub retry: bool,
    /// A server sends so many NEW_TOKEN frames.
    pub tokens: u32,
    /// The UDP payload with which a connection begins.
    pub initial_mtu: u16,
    /// Looks for a larger MTU than the initial one.
    pub mtu_discovery: bool,
    /// Asks the peer for fewer acknowledgments.
    pub ack_frequency: bool,
    /// The congestion controller.
    pub congestion: Congestion,
    /// The length of the own connection IDs.
    pub cid_len: usize,
    /// The fixed bit may be anything (RFC 9287).
    pub grease_quic_bit: bool,
    /// The version with which a client begins, and that a server prefers.
    pub version: u32,
    /// A server accepts 0-RTT.
    pub early_data: bool,
    /// How much memory received data may take.
    pub memory: usize,
    /// Keys may be updated after a number of packets.
    pub key_updates: bool,
    /// One in so many allocations of a connection fails, if not 0: those that arriving packets,
    /// timers and sending cause. What the application asks for has memory.
    pub failures: u64,
}

/// A congestion controller.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
#[allow(missing_docs)]
pub enum Congestion {
    NewReno,
    Cubic,
    Bbr,
}

impl Settings {
    /// What a program would use that sets nothing.
    pub fn new(seed: u64) -> Self {
        Self {
            seed,
            variant: seed,
            alpn: vec![b"hq-interop".to_vec()],
            suites: vec![
                CipherSuite::Aes128Gcm,
                CipherSuite::Aes256Gcm,
                CipherSuite::ChaCha20Poly1305,
            ],
            certificates: 0,
            idle_timeout: Duration::from_secs(30),
            keep_alive: None,
            window: 16 << 20,
            stream_window: 4 << 20,
            send_window: 16 << 20,
            bidi_streams: 100,
            uni_streams: 100,
            datagrams: true,
            retry: false,
            tokens: 2,
            initial_mtu: 1_200,
            mtu_discovery: true,
            ack_frequency: false,
            congestion: Congestion::Cubic,
            cid_len: 8,
            grease_quic_bit: true,
            version: 1,
            early_data: true,
            memory: 32 << 20,
            key_updates: true,
            failures: 0,
        }
    }

    /// A random mixture that works with every other of the same seed.
    pub fn random(seed: u64, role: Role) -> Self {
        let purpose = match role {
            Role::Client => "settings of the client",
            Role::Server => "settings of the server",
        };
        let mut random = Random::new(seed, purpose);
        let some = Chance::percent(20);
        let mut it = Self::new(random.next());
        // One for both, so that there is one in common.
        let common = Random::new(seed, "suite").below(3) as usize;
        it.suites.swap(0, common);
        if random.happens(some) {
            it.suites.truncate(1);
        }
        if role == Role::Server {
            it.certificates = random.below(13) as usize;
            it.retry = random.happens(some);
        }
        it.window = random.magnitude(2_000..=16 << 20);
        it.stream_window = random.magnitude(1_000..=4 << 20).min(it.window);
        it.send_window = random.magnitude(2_000..=16 << 20);
        it.bidi_streams = random.magnitude(1..=200) as u32;
        it.uni_streams = random.magnitude(1..=200) as u32;
        it.mtu_discovery = !random.happens(some);
        it.ack_frequency = random.happens(some);
        it.congestion = random.pick(&[Congestion::Cubic, Congestion::NewReno, Congestion::Bbr]);
        it.cid_len = random.pick(&[8, 8, 4, 20]);
        it.grease_quic_bit = random.below(2) == 0;
        if random.happens(some) {
            it.failures = random.magnitude(20..=1_000);
        }
        if random.happens(some) {
            it.memory = random.magnitude(128 << 10..=32 << 20) as usize;
        }
        it
    }
}
