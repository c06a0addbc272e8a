// SPDX-License-Identifier: MIT OR Apache-2.0

//! [`Listener`]: what a server does with a datagram for which there is no connection.

use super::world::World;
use crate::datagram::{Datagram, Ecn};
use crate::settings::Settings;
use quic_core::bytes::Writer;
use quic_core::cid::ConnectionId;
use quic_core::connection::{Accepted, Addresses, Environment};
use quic_core::crypto::rustcrypto::{Key, RustCrypto};
use quic_core::packet::{
    stateless_reset, FixedBit, InvariantHeader, Packet, PacketType, Retry, VersionNegotiation,
    MIN_INITIAL_DATAGRAM,
};
use quic_core::time::Instant;
use quic_core::token::{Client, Lifetimes, TokenKey, Validation};
use quic_core::version::{SupportedVersion, Version};
use std::net::SocketAddr;

/// Of all servers, so that one takes the tokens of another.
const TOKEN_KEY: [u8; 32] = [7; 32];

/// Longer than any answer.
const MAX_ANSWER: usize = 256;

pub(super) struct Listener {
    key: TokenKey<Key>,
    retry: bool,
    cid_len: usize,
}

/// What becomes of the datagram.
pub(super) enum Answer {
    Nothing,
    Send(Datagram),
    Accept(Accepted),
}

impl Listener {
    pub(super) fn new(settings: &Settings) -> Self {
        let key = TokenKey::derive(&RustCrypto, &TOKEN_KEY, Lifetimes::default());
        Self {
            key: key.expect("a key of the right length"),
            retry: settings.retry,
            cid_len: settings.cid_len,
        }
    }

    /// The connection that `datagram` was for is gone, or there never was one.
    // RFC 9000 §10.3: An endpoint that receives packets that it cannot process because it does not
    // have connection state.
    pub(super) fn reset(&self, world: &mut World, datagram: &Datagram) -> Option<Datagram> {
        let header = InvariantHeader::parse(&datagram.payload).ok()?;
        if let InvariantHeader::Long { .. } = header {
            return None;
        }
        let cid = ConnectionId::new(header.dcid(self.cid_len).ok()?)?;
        let len = stateless_reset::answer_len(datagram.payload.len())?;
        let mut random = vec![0; len];
        world.random(&mut random);
        let token = world.reset_token(&cid);
        answer(datagram, |writer| {
            stateless_reset::emit(writer, &token, &random).is_ok()
        })
    }

    /// There was no connection yet.
    pub(super) fn answer(
        &mut self,
        now: Instant,
        world: &mut World,
        versions: &[SupportedVersion],
        datagram: &Datagram,
    ) -> Answer {
        let Ok(header) = InvariantHeader::parse(&datagram.payload) else {
            return Answer::Nothing;
        };
        let InvariantHeader::Long {
            version,
            dcid,
            scid,
        } = header
        else {
            return self
                .reset(world, datagram)
                .map_or(Answer::Nothing, Answer::Send);
        };
        // RFC 9000 §5.2.2, §14.1: smaller datagrams are not answered.
        if datagram.payload.len() < MIN_INITIAL_DATAGRAM || version == Version::NEGOTIATION {
            return Answer::Nothing;
        }
        let supported = version.supported().filter(|it| versions.contains(it));
        if supported.is_none() {
            let list = versions.iter().map(|it| it.wire());
            let packet = answer(datagram, |writer| {
                VersionNegotiation::emit(writer, dcid, scid, list, 0).is_ok()
            });
            return packet.map_or(Answer::Nothing, Answer::Send);
        }
        self.on_initial(now, world, datagram)
            .unwrap_or(Answer::Nothing)
    }

    fn on_initial(
        &mut self,
        now: Instant,
        world: &mut World,
        datagram: &Datagram,
    ) -> Option<Answer> {
        let mut bytes = datagram.payload.clone();
        let mut packets =
            quic_core::packet::Datagram::new(&mut bytes, self.cid_len, FixedBit::Ignored);
        let Some(Ok(Packet::Protected(packet))) = packets.next() else {
            return None;
        };
        let version = packet.version()?;
        let dcid = ConnectionId::new(packet.dcid())?;
        let scid = ConnectionId::new(packet.scid())?;
        if packet.packet_type() != PacketType::Initial {
            return None;
        }
        let client = Client {
            address: datagram.from,
            version,
        };
        let validation = self.key.open(packet.token(), now, &client, &dcid).ok()?;
        let (original_dcid, validated) = match validation {
            Validation::Retry {
                original_destination,
            } => (original_destination, true),
            Validation::NewToken { .. } => (dcid, true),
            Validation::Nothing => (dcid, false),
            // It may be that the network has changed it.
            Validation::InvalidRetry => return None,
        };
        // RFC 9000 §7.2: at least 8 bytes, until the client knows one of ours.
        if original_dcid.len() < ConnectionId::MIN_INITIAL_LEN {
            return None;
        }
        if self.retry && !validated {
            let retry_source = world.cid(self.cid_len);
            return self.retry(now, world, datagram, &client, (dcid, scid), retry_source);
        }
        Some(Answer::Accept(Accepted {
            addresses: Addresses {
                local: datagram.to,
                remote: datagram.from,
            },
            version,
            dcid,
            scid,
            original_dcid,
            validated,
        }))
    }

    fn retry(
        &mut self,
        now: Instant,
        world: &mut World,
        datagram: &Datagram,
        client: &Client,
        (dcid, scid): (ConnectionId, ConnectionId),
        retry_source: ConnectionId,
    ) -> Option<Answer> {
        let mut nonce = [0; 12];
        world.random(&mut nonce);
        let mut buffer = [0; quic_core::token::MAX_LEN];
        let mut token = Writer::new(&mut buffer);
        self.key
            .seal_retry(&mut token, nonce, now, client, &dcid, &retry_source)
            .ok()?;
        let retry = Retry {
            version: client.version,
            dcid: scid,
            scid: retry_source,
            token: token.written(),
        };
        let packet = answer(datagram, |writer| {
            retry.emit(writer, &RustCrypto, &dcid, nonce[0]).is_ok()
        });
        packet.map(Answer::Send)
    }

    /// A token for the client's next connection.
    pub(super) fn new_token(
        &mut self,
        now: Instant,
        world: &mut World,
        remote: SocketAddr,
        version: SupportedVersion,
    ) -> Vec<u8> {
        let client = Client {
            address: remote,
            version,
        };
        let mut nonce = [0; 12];
        world.random(&mut nonce);
        let mut buffer = [0; quic_core::token::MAX_LEN];
        let mut token = Writer::new(&mut buffer);
        self.key
            .seal_new_token(&mut token, nonce, now, &client)
            .expect("room for a token");
        token.written().to_vec()
    }
}

/// A datagram that goes back to where `to` came from.
fn answer(to: &Datagram, write: impl FnOnce(&mut Writer<'_>) -> bool) -> Option<Datagram> {
    let mut buffer = [0; MAX_ANSWER];
    let mut writer = Writer::new(&mut buffer);
    write(&mut writer).then(|| Datagram {
        from: to.to,
        to: to.from,
        ecn: Ecn::NotEct,
        payload: writer.written().to_vec(),
    })
}
