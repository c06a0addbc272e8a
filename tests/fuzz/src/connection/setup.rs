// SPDX-License-Identifier: MIT OR Apache-2.0

//! [`Setup`]: how both endpoints are configured, by the first bytes of an input.

use crate::input::Input;
use quic_core::cid::{ConnectionId, StatelessResetToken};
use quic_core::congestion::Algorithm;
use quic_core::connection::{Addresses, Config};
use quic_core::role::Role;
use quic_core::time::Duration;
use quic_core::transport_parameters::TransportParameters;
use quic_core::varint::VarInt;
use quic_core::version::SupportedVersion;
use std::net::SocketAddr;

/// The token with which the peer resets the connection.
pub(super) const RESET_TOKEN: [u8; 16] = *b"peer-reset-token";

pub(super) struct Setup {
    pub(super) role: Role,
    pub(super) config: Config,
    /// What the peer declares, but for connection IDs.
    pub(super) peer: TransportParameters,
    pub(super) local_cid: ConnectionId,
    pub(super) peer_cid: ConnectionId,
    /// A server has accepted the client after a Retry packet, or with a token.
    pub(super) retried: bool,
    pub(super) validated: bool,
    /// What a client has from an earlier connection.
    pub(super) token: &'static [u8],
}

/// What both endpoints declare, where nothing else is chosen.
fn parameters() -> TransportParameters {
    let n = VarInt::from_u32;
    TransportParameters {
        max_idle_timeout: n(30_000),
        initial_max_data: n(20_000),
        initial_max_stream_data_bidi_local: n(8_000),
        initial_max_stream_data_bidi_remote: n(8_000),
        initial_max_stream_data_uni: n(8_000),
        initial_max_streams_bidi: n(20),
        initial_max_streams_uni: n(20),
        active_connection_id_limit: n(5),
        max_datagram_frame_size: n(65_535),
        grease_quic_bit: true,
        reset_stream_at: true,
        min_ack_delay: Some(n(1000)),
        ..TransportParameters::default()
    }
}

fn cid(byte: u8, len: usize) -> ConnectionId {
    ConnectionId::new(&[byte; ConnectionId::MAX_LEN][..len]).expect("not too long")
}

impl Setup {
    pub(super) fn read(input: &mut Input<'_>) -> Self {
        let (roles, choices, more, peer) = (input.u8(), input.u8(), input.u8(), input.u8());
        let role = match roles & 1 {
            0 => Role::Server,
            _ => Role::Client,
        };
        let both = choices & 0x80 != 0;
        let n = VarInt::from_u32;
        let local = TransportParameters {
            disable_1rtt_encryption: both,
            disable_active_migration: more & 1 != 0,
            max_datagram_frame_size: n([65_535, 0][usize::from((more >> 1) & 1)]),
            min_ack_delay: (more & 4 == 0).then_some(n(1000)),
            initial_max_streams_bidi: n([20, 2][usize::from((more >> 3) & 1)]),
            ..parameters()
        };
        let peer = TransportParameters {
            disable_1rtt_encryption: both,
            disable_active_migration: peer & 1 != 0,
            max_datagram_frame_size: n([65_535, 100][usize::from((peer >> 1) & 1)]),
            min_ack_delay: (peer & 4 == 0).then_some(n(1000)),
            reset_stream_at: peer & 8 == 0,
            grease_quic_bit: peer & 16 == 0,
            initial_max_data: n([20_000, 0][usize::from((peer >> 5) & 1)]),
            max_udp_payload_size: n([65_527, 1200][usize::from((peer >> 6) & 1)]),
            max_idle_timeout: n([30_000, 0][usize::from(peer >> 7)]),
            ..parameters()
        };
        let versions: &'static [SupportedVersion] = match (roles >> 1) & 3 {
            0 => &[SupportedVersion::V1],
            1 => &[SupportedVersion::V1, SupportedVersion::V2],
            2 => &SupportedVersion::ALL,
            _ => &[SupportedVersion::V2],
        };
        let config = Config {
            versions,
            version: versions[versions.len() - 1],
            recv_limit: [64 << 10, 4 << 10][usize::from((more >> 4) & 1)],
            max_window: 32 << 10,
            datagram_send_limit: 16 << 10,
            congestion: match choices & 3 {
                0 => Algorithm::Cubic,
                1 => Algorithm::NewReno,
                _ => Algorithm::Bbr,
            },
            pmtud: choices & 4 == 0,
            ecn: choices & 8 == 0,
            nagle: choices & 16 != 0,
            keep_alive: (choices & 32 != 0).then_some(Duration::from_secs(5)),
            key_update_packets: (choices & 64 != 0).then_some(8),
            grease: more & 32 == 0,
            after_version_negotiation: more & 64 != 0,
            ..Config::new(local)
        };
        Self {
            role,
            config,
            peer,
            local_cid: cid(0xc1, [8, 8, 0, 20][usize::from((roles >> 3) & 3)]),
            peer_cid: cid(0xee, [4, 4, 0, 20][usize::from((roles >> 5) & 3)]),
            retried: roles & 0x80 != 0,
            validated: more & 0x80 != 0,
            token: match more & 0x80 {
                0 => b"",
                _ => b"token of an earlier connection",
            },
        }
    }
}

/// [`RESET_TOKEN`], as the transport parameters have it.
pub(super) fn reset_token() -> StatelessResetToken {
    StatelessResetToken::new(RESET_TOKEN)
}

/// Addresses by number: that of the handshake, another port, another address, another local one.
pub(super) fn addresses(number: u8) -> Addresses {
    let local = match number & 4 {
        0 => [192, 0, 2, 1],
        _ => [192, 0, 2, 9],
    };
    let (remote, port) = match number & 3 {
        0 => ([192, 0, 2, 2], 1111),
        1 => ([192, 0, 2, 2], 2222),
        2 => ([192, 0, 2, 3], 1111),
        _ => ([192, 0, 2, 4], 4444),
    };
    Addresses {
        local: SocketAddr::from((local, 4433)),
        remote: SocketAddr::from((remote, port)),
    }
}
