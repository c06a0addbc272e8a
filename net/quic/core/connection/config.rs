// SPDX-License-Identifier: GPL-2.0 OR MIT

//! [`Config`]: what a connection is created with.

use crate::congestion::{Algorithm, MAX_WINDOW};
use crate::loss::path::PathConfig;
use crate::rate::Rate;
use crate::rtt::INITIAL_RTT;
use crate::stream::{StreamConfig, StreamLimits};
use crate::time::{Duration, Instant};
use crate::transport_parameters::TransportParameters;
use crate::version::SupportedVersion;

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
    /// Whether larger datagrams than 1200 bytes are searched for.
    pub pmtud: bool,
    /// Whether packets are marked with ECT(0).
    pub ecn: bool,
    /// Whether the fixed bit of packets is varied if the peer agrees (RFC 9287), and what else is
    /// reserved for greasing.
    pub grease: bool,
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
            pmtud: true,
            ecn: true,
            grease: true,
            keep_alive: None,
            key_update_packets: None,
        }
    }

    /// A path over an interface that carries UDP payloads of `max_udp_payload` bytes.
    pub(super) fn path(&self, max_udp_payload: u16, seed: u64, now: Instant) -> PathConfig {
        PathConfig {
            algorithm: self.congestion,
            max_window: self.max_congestion_window,
            initial_rtt: self.initial_rtt,
            max_udp_payload,
            pmtud: self.pmtud,
            ecn: self.ecn,
            seed,
            now,
        }
    }

    pub(super) fn streams(&self) -> StreamConfig {
        StreamConfig {
            local: limits(&self.parameters),
            max_window: self.max_window,
            recv_limit: self.recv_limit,
        }
    }
}

/// What an endpoint with these parameters allows on its streams.
pub(super) fn limits(parameters: &TransportParameters) -> StreamLimits {
    StreamLimits {
        max_data: parameters.initial_max_data,
        max_stream_data_bidi_local: parameters.initial_max_stream_data_bidi_local,
        max_stream_data_bidi_remote: parameters.initial_max_stream_data_bidi_remote,
        max_stream_data_uni: parameters.initial_max_stream_data_uni,
        max_streams_bidi: parameters.initial_max_streams_bidi,
        max_streams_uni: parameters.initial_max_streams_uni,
    }
}
