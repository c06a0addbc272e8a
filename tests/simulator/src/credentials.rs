// SPDX-License-Identifier: MIT OR Apache-2.0

//! [`Credentials`]: certificates and keys for both ends, and what they remember from one connection to the next.
//!
//! The certificates are in `pki/`: a server's for [`SERVER_NAME`], valid until 2126, and that of
//! its issuer, whose key is gone. They are Ed25519, because their signatures have all the same
//! length: with ECDSA the sizes of packets would differ from run to run.

use crate::settings::Settings;
use quic_core::crypto::CipherSuite;
use quinn_proto::{TokenMemoryCache, TokenStore};
use rustls::client::{ClientSessionMemoryCache, Resumption, WebPkiServerVerifier};
use rustls::crypto::ring::{cipher_suite, default_provider};
use rustls::crypto::CryptoProvider;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer, UnixTime};
use rustls::server::{ServerSessionMemoryCache, StoresServerSessions};
use rustls::time_provider::TimeProvider;
use rustls::{ClientConfig, RootCertStore, ServerConfig, SupportedCipherSuite};
use std::sync::Arc;
use std::time::Duration;

/// The name in the server's certificate.
pub const SERVER_NAME: &str = "server.test";

/// What the clock of certificates and tickets shows at the beginning: in the year 2027.
pub const EPOCH: u64 = 1_800_000_000;

const ISSUER: &[u8] = include_bytes!("../pki/ca.der");
const CERTIFICATE: &[u8] = include_bytes!("../pki/server.der");
const KEY: &[u8] = include_bytes!("../pki/server-key.der");

/// The identity of a server, the trust of a client, and what both remember. Endpoints that are to
/// resume a session get the same credentials.
#[derive(Clone, Debug)]
pub struct Credentials {
    verifier: Arc<WebPkiServerVerifier>,
    client_sessions: Arc<ClientSessionMemoryCache>,
    server_sessions: Arc<dyn StoresServerSessions>,
    tokens: Arc<Tokens>,
    resolver: Arc<dyn rustls::client::ResolvesClientCert>,
}

/// Address validation tokens that a client has.
#[derive(Default)]
struct Tokens(TokenMemoryCache);

impl std::fmt::Debug for Tokens {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Tokens")
    }
}

impl TokenStore for Tokens {
    fn insert(&self, server_name: &str, token: bytes::Bytes) {
        self.0.insert(server_name, token);
    }

    fn take(&self, server_name: &str) -> Option<bytes::Bytes> {
        self.0.take(server_name)
    }
}

/// Stands still: no connection takes long enough for a certificate or a ticket to expire.
#[derive(Debug)]
struct Clock;

impl TimeProvider for Clock {
    fn current_time(&self) -> Option<UnixTime> {
        Some(UnixTime::since_unix_epoch(Duration::from_secs(EPOCH)))
    }
}

#[derive(Debug)]
struct NoClientCertificate;

impl rustls::client::ResolvesClientCert for NoClientCertificate {
    fn resolve(
        &self,
        _: &[&[u8]],
        _: &[rustls::SignatureScheme],
    ) -> Option<Arc<rustls::sign::CertifiedKey>> {
        None
    }

    fn has_certs(&self) -> bool {
        false
    }
}

impl Credentials {
    /// Nothing is remembered.
    ///
    /// # Panics
    ///
    /// If the certificates of this crate are no longer valid.
    pub fn new() -> Self {
        let mut roots = RootCertStore::empty();
        roots
            .add(CertificateDer::from(ISSUER))
            .expect("the issuer's certificate");
        let provider = Arc::new(default_provider());
        let verifier = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider);
        Self {
            verifier: verifier.build().expect("a trust anchor"),
            client_sessions: Arc::new(ClientSessionMemoryCache::new(8)),
            // rustls accepts 0-RTT only from sessions that it stores itself.
            server_sessions: ServerSessionMemoryCache::new(64),
            tokens: Arc::default(),
            // Resumption needs the same object.
            resolver: Arc::new(NoClientCertificate),
        }
    }

    /// A TLS client.
    ///
    /// # Panics
    ///
    /// If the settings have no suite that rustls knows.
    pub fn client(&self, settings: &Settings) -> ClientConfig {
        let config = ClientConfig::builder_with_details(provider(settings), Arc::new(Clock))
            .with_protocol_versions(&[&rustls::version::TLS13])
            .expect("TLS 1.3");
        let mut config = config
            .dangerous()
            .with_custom_certificate_verifier(self.verifier.clone())
            .with_client_cert_resolver(self.resolver.clone());
        config.alpn_protocols = settings.alpn.clone();
        config.enable_early_data = settings.early_data;
        config.resumption = Resumption::store(self.client_sessions.clone());
        config
    }

    /// A TLS server.
    ///
    /// # Panics
    ///
    /// If the settings have no suite that rustls knows.
    pub fn server(&self, settings: &Settings) -> ServerConfig {
        let issuer = CertificateDer::from(ISSUER);
        let mut chain = vec![CertificateDer::from(CERTIFICATE)];
        chain.extend(vec![issuer; settings.certificates]);
        let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(KEY));
        let mut config = ServerConfig::builder_with_details(provider(settings), Arc::new(Clock))
            .with_protocol_versions(&[&rustls::version::TLS13])
            .expect("TLS 1.3")
            .with_no_client_auth()
            .with_single_cert(chain, key.clone_key())
            .expect("the server's certificate and its key");
        config.alpn_protocols = settings.alpn.clone();
        // RFC 9001 §4.6.1: a value of 0xffffffff.
        config.max_early_data_size = if settings.early_data { u32::MAX } else { 0 };
        config.session_storage = self.server_sessions.clone();
        config
    }

    /// Where a client keeps the tokens of NEW_TOKEN frames.
    pub fn tokens(&self) -> Arc<dyn TokenStore> {
        self.tokens.clone()
    }
}

impl Default for Credentials {
    fn default() -> Self {
        Self::new()
    }
}

fn provider(settings: &Settings) -> Arc<CryptoProvider> {
    let suites = settings
        .suites
        .iter()
        .filter_map(|suite| rustls_suite(*suite));
    Arc::new(CryptoProvider {
        cipher_suites: suites.collect(),
        ..default_provider()
    })
}

/// A suite as ring has it. It does not have CCM.
fn rustls_suite(suite: CipherSuite) -> Option<SupportedCipherSuite> {
    match suite {
        CipherSuite::Aes128Gcm => Some(cipher_suite::TLS13_AES_128_GCM_SHA256),
        CipherSuite::Aes256Gcm => Some(cipher_suite::TLS13_AES_256_GCM_SHA384),
        CipherSuite::ChaCha20Poly1305 => Some(cipher_suite::TLS13_CHACHA20_POLY1305_SHA256),
        CipherSuite::Aes128Ccm => None,
    }
}
