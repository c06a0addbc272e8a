// SPDX-License-Identifier: GPL-2.0 OR MIT

//! [`Config`]: what a connection is created with.

use super::{Addresses, Context};
use crate::congestion::{Algorithm, MAX_WINDOW};
use crate::loss::path::{PathConfig, PathRecovery};
use crate::rate::Rate;
use crate::rtt::INITIAL_RTT;
use crate::stream::{StreamConfig, StreamLimits};
use crate::time::Duration;
use crate::transport_parameters::TransportParameters;
use crate::version::SupportedVersion;
use core::net::SocketAddr;
use kernel::alloc::AllocError;

/// What the user decides about a connection.
#[derive(Copy, Clone, Debug)]
pub struct Config {
    /// What is declared to the peer. The connection fills in the connection IDs, the token for
    /// stateless resets and the version information.
    pub parameters: TransportParameters,
    /// The versions it may be in, the preferred first. A client begins with `version`.
    pub versions: &'static [SupportedVersion],
    /// The version that the client begins with, or began with.
    pub version: SupportedVersion,
    /// The largest flow control window of a stream and of the connection, in bytes.
    pub max_window: u64,
    /// The most memory that received data may hold, in bytes, overhead included.
    pub recv_limit: usize,
    /// The most memory that datagrams to send may hold, in bytes, overhead included.
    pub datagram_send_limit: usize,
    /// The congestion controller.
    pub congestion: Algorithm,
    /// The largest congestion window, in bytes.
    pub max_congestion_window: u64,
    /// `SO_MAX_PACING_RATE`.
    pub max_pacing_rate: Rate,
    /// kInitialRtt.
    pub initial_rtt: Duration,
    /// The MTU of the interface, IP header included, in bytes.
    pub interface_mtu: u16,
    /// Whether larger datagrams than 1200 bytes are searched for.
    pub pmtud: bool,
    /// Whether packets are marked with ECT(0).
    pub ecn: bool,
    /// Whether the fixed bit of packets is varied if the peer agrees (RFC 9287), and what else is
    /// reserved for greasing.
    pub grease: bool,
    /// Whether data that does not fill a packet waits as long as anything is in flight.
    pub nagle: bool,
    /// Whether the client answers a Version Negotiation packet with this connection.
    pub after_version_negotiation: bool,
    /// How long the connection may be quiet before a PING keeps it alive.
    pub keep_alive: Option<Duration>,
    /// After how many packets keys are updated; the limit of the cipher suite holds anyway.
    pub key_update_packets: Option<u64>,
}

impl Config {
    /// Defaults around `parameters`.
    pub fn new(parameters: TransportParameters) -> Self {
        Self {
            parameters,
            versions: &SupportedVersion::ALL,
            version: SupportedVersion::V1,
            max_window: 16 << 20,
            recv_limit: 32 << 20,
            datagram_send_limit: 1 << 20,
            congestion: Algorithm::Cubic,
            max_congestion_window: MAX_WINDOW,
            max_pacing_rate: Rate::MAX,
            initial_rtt: INITIAL_RTT,
            interface_mtu: 1500,
            pmtud: true,
            ecn: true,
            grease: true,
            nagle: false,
            after_version_negotiation: false,
            keep_alive: None,
            key_update_packets: None,
        }
    }

    /// What is known of a new path that carries UDP payloads of `max_udp_payload` bytes at most.
    pub(super) fn path<E>(
        &self,
        cx: &Context<'_, E>,
        max_udp_payload: u16,
        seed: u64,
    ) -> Result<PathRecovery, AllocError> {
        let config = PathConfig {
            algorithm: self.congestion,
            max_window: self.max_congestion_window,
            initial_rtt: self.initial_rtt,
            max_udp_payload,
            pmtud: self.pmtud,
            ecn: self.ecn,
            seed,
            now: cx.now,
        };
        let mut recovery = PathRecovery::new(&config, cx.flags)?;
        recovery.set_max_pacing_rate(self.max_pacing_rate);
        Ok(recovery)
    }

    /// The largest UDP payload that the interface and the peer take.
    pub(super) fn max_udp_payload(&self, path: &Addresses, peer: &TransportParameters) -> u16 {
        /// IP and UDP headers.
        const V4: u16 = 28;
        const V6: u16 = 48;
        let headers = match path.remote {
            SocketAddr::V4(_) => V4,
            SocketAddr::V6(_) => V6,
        };
        let peer = u16::try_from(peer.max_udp_payload_size.get()).unwrap_or(u16::MAX);
        self.interface_mtu.saturating_sub(headers).min(peer)
    }

    pub(super) fn streams(&self) -> StreamConfig {
        StreamConfig {
            local: StreamLimits::from(&self.parameters),
            max_window: self.max_window,
            recv_limit: self.recv_limit,
        }
    }
}
