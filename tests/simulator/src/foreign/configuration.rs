// SPDX-License-Identifier: MIT OR Apache-2.0

//! quinn's configuration, of [`Settings`].

use crate::credentials::{Credentials, EPOCH};
use crate::random::Random;
use crate::settings::{Congestion, Settings};
use quinn_proto::congestion::{ControllerFactory, CubicConfig, NewRenoConfig};
use quinn_proto::crypto::rustls::{QuicClientConfig, QuicServerConfig};
use quinn_proto::{
    AckFrequencyConfig, ClientConfig, ConnectionId, ConnectionIdGenerator, EndpointConfig,
    IdleTimeout, MtuDiscoveryConfig, ServerConfig, TimeSource, TokenLog, TokenReuseError,
    TransportConfig, ValidationTokenConfig, VarInt,
};
use rustls::crypto::ring::cipher_suite::TLS13_AES_128_GCM_SHA256;
use rustls::quic::Suite;
use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// The longest UDP payload on Ethernet.
const MAX_MTU: u16 = 1_472;

pub(super) fn endpoint(settings: &Settings) -> EndpointConfig {
    let mut seed = [0; 32];
    Random::new(settings.seed, "quinn").fill(&mut seed);
    // Of all servers with the same credentials, so that one could reset what another began.
    let reset_key = ring::hmac::Key::new(ring::hmac::HMAC_SHA256, &[7; 64]);
    let ids = ConnectionIds::new(settings, settings.cid_len);
    let mut config = EndpointConfig::new(Arc::new(reset_key));
    config
        .rng_seed(Some(seed))
        .grease_quic_bit(settings.grease_quic_bit)
        .cid_generator(move || Box::new(ids.clone()));
    config
}

pub(super) fn client(settings: &Settings, credentials: &Credentials) -> ClientConfig {
    let tls = Arc::new(credentials.client(settings));
    let tls = QuicClientConfig::with_initial(tls, initial_suite()).expect("the suite of Initial");
    let mut config = ClientConfig::new(Arc::new(tls));
    let first = Mutex::new(ConnectionIds::new(settings, 20));
    config
        .transport_config(Arc::new(transport(settings)))
        .token_store(credentials.tokens())
        .version(settings.version)
        .initial_dst_cid_provider(Arc::new(move || match first.lock() {
            Ok(mut first) => first.generate_cid(),
            Err(_) => ConnectionId::new(&[0; 8]),
        }));
    config
}

pub(super) fn server(settings: &Settings, credentials: &Credentials) -> ServerConfig {
    let tls = Arc::new(credentials.server(settings));
    let tls = QuicServerConfig::with_initial(tls, initial_suite()).expect("the suite of Initial");
    let token_key = ring::hkdf::Salt::new(ring::hkdf::HKDF_SHA256, &[]).extract(&[7; 64]);
    let mut tokens = ValidationTokenConfig::default();
    tokens
        .sent(settings.tokens)
        .log(Arc::new(UsedTokens::default()));
    let mut config = ServerConfig::new(Arc::new(tls), Arc::new(token_key));
    config
        .transport_config(Arc::new(transport(settings)))
        .validation_token_config(tokens)
        .time_source(Arc::new(Clock));
    config
}

fn transport(settings: &Settings) -> TransportConfig {
    let millis = settings.idle_timeout.as_millis();
    let idle = VarInt::from_u64(millis).unwrap_or(VarInt::MAX);
    let keep_alive = settings
        .keep_alive
        .map(|it| Duration::from_nanos(it.as_nanos()));
    let window = |bytes| VarInt::from_u64(bytes).unwrap_or(VarInt::MAX);
    let congestion: Arc<dyn ControllerFactory + Send + Sync> = match settings.congestion {
        Congestion::NewReno => Arc::new(NewRenoConfig::default()),
        // quinn's BBR takes random numbers that nobody can seed.
        Congestion::Cubic | Congestion::Bbr => Arc::new(CubicConfig::default()),
    };
    let mut discovery = MtuDiscoveryConfig::default();
    discovery.upper_bound(MAX_MTU);
    let mut config = TransportConfig::default();
    config
        .max_idle_timeout((millis > 0).then(|| IdleTimeout::from(idle)))
        .keep_alive_interval(keep_alive)
        .receive_window(window(settings.window))
        .stream_receive_window(window(settings.stream_window))
        .send_window(settings.send_window)
        .max_concurrent_bidi_streams(settings.bidi_streams.into())
        .max_concurrent_uni_streams(settings.uni_streams.into())
        .datagram_receive_buffer_size(settings.datagrams.then_some(1 << 20))
        .initial_mtu(settings.initial_mtu)
        .mtu_discovery_config(settings.mtu_discovery.then_some(discovery))
        .ack_frequency_config(settings.ack_frequency.then(AckFrequencyConfig::default))
        .congestion_controller_factory(congestion);
    config
}

/// What Initial packets are protected with, whatever TLS agrees on.
fn initial_suite() -> Suite {
    let suite = TLS13_AES_128_GCM_SHA256
        .tls13()
        .and_then(|suite| suite.quic_suite());
    suite.expect("the suite of Initial")
}

/// Connection IDs of the seed.
#[derive(Clone)]
struct ConnectionIds {
    random: Random,
    len: usize,
}

impl ConnectionIds {
    fn new(settings: &Settings, len: usize) -> Self {
        let purpose = format!("connection IDs of {len}");
        Self {
            random: Random::new(settings.seed, &purpose),
            len,
        }
    }
}

impl ConnectionIdGenerator for ConnectionIds {
    fn generate_cid(&mut self) -> ConnectionId {
        let mut bytes = [0; 20];
        self.random.fill(&mut bytes);
        ConnectionId::new(&bytes[..self.len])
    }

    fn cid_len(&self) -> usize {
        self.len
    }

    fn cid_lifetime(&self) -> Option<Duration> {
        None
    }
}

/// Stands still.
struct Clock;

impl TimeSource for Clock {
    fn now(&self) -> SystemTime {
        UNIX_EPOCH + Duration::from_secs(EPOCH)
    }
}

/// Which tokens were used.
#[derive(Default)]
struct UsedTokens(Mutex<BTreeSet<u128>>);

impl TokenLog for UsedTokens {
    fn check_and_insert(
        &self,
        nonce: u128,
        _: SystemTime,
        _: Duration,
    ) -> Result<(), TokenReuseError> {
        let new = self.0.lock().is_ok_and(|mut used| used.insert(nonce));
        new.then_some(()).ok_or(TokenReuseError)
    }
}
