// SPDX-License-Identifier: MIT OR Apache-2.0

//! The configuration of quic-core, of [`Settings`].

use crate::random::{Chance, Random};
use crate::settings::{Congestion, Settings};
use quic_core::congestion::Algorithm;
use quic_core::connection::Config;
use quic_core::frame::AckFrequency;
use quic_core::transport_parameters::TransportParameters;
use quic_core::varint::VarInt;
use quic_core::version::{SupportedVersion, Version};

const V1: &[SupportedVersion] = &[SupportedVersion::V1];
const V1_FIRST: &[SupportedVersion] = &[SupportedVersion::V1, SupportedVersion::V2];

/// What draft-ietf-quic-ack-frequency §3 calls min_ack_delay, in microseconds.
const MIN_ACK_DELAY: u32 = 1_000;

pub(super) fn config(settings: &Settings) -> Config {
    let n = VarInt::saturating;
    let mut random = Random::new(settings.variant, "configuration");
    let parameters = TransportParameters {
        max_idle_timeout: n(settings.idle_timeout.as_millis()),
        initial_max_data: n(settings.window),
        initial_max_stream_data_bidi_local: n(settings.stream_window),
        initial_max_stream_data_bidi_remote: n(settings.stream_window),
        initial_max_stream_data_uni: n(settings.stream_window),
        initial_max_streams_bidi: settings.bidi_streams.into(),
        initial_max_streams_uni: settings.uni_streams.into(),
        ack_delay_exponent: random.pick(&[3, 3, 0, 10, 20]),
        max_ack_delay: random.pick(&[25, 25, 5, 100]),
        active_connection_id_limit: n(random.within(2..=8)),
        max_datagram_frame_size: n(if settings.datagrams { 65_535 } else { 0 }),
        grease_quic_bit: settings.grease_quic_bit,
        reset_stream_at: random.below(2) == 0,
        min_ack_delay: Some(VarInt::from_u32(MIN_ACK_DELAY)),
        ..TransportParameters::default()
    };
    let version = Version::new(settings.version).supported();
    let version = version.unwrap_or(SupportedVersion::V1);
    let versions = random.pick::<&[SupportedVersion]>(&[&SupportedVersion::ALL, V1, V1_FIRST]);
    Config {
        versions: match versions.contains(&version) {
            true => versions,
            false => &SupportedVersion::ALL,
        },
        version,
        congestion: match settings.congestion {
            Congestion::NewReno => Algorithm::NewReno,
            Congestion::Cubic => Algorithm::Cubic,
            Congestion::Bbr => Algorithm::Bbr,
        },
        pmtud: settings.mtu_discovery,
        ecn: !random.happens(Chance::percent(10)),
        nagle: random.happens(Chance::percent(20)),
        keep_alive: settings.keep_alive,
        recv_limit: settings.memory,
        key_update_packets: random
            .happens(Chance::percent(10))
            .then(|| random.magnitude(10..=1_000))
            .filter(|_| settings.key_updates),
        ..Config::new(parameters)
    }
}

/// What is asked of the peer once the handshake is confirmed.
pub(super) fn ack_frequency(settings: &Settings) -> Option<AckFrequency> {
    settings.ack_frequency.then_some(AckFrequency {
        sequence: VarInt::ZERO,
        ack_eliciting_threshold: VarInt::from_u32(9),
        requested_max_ack_delay: VarInt::from_u32(20_000),
        reordering_threshold: VarInt::from_u32(3),
    })
}
