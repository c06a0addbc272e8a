// SPDX-License-Identifier: MIT OR Apache-2.0

//! What is said without a connection: Retry, Version Negotiation, Stateless Reset, and tokens.

use super::transport_parameters::is_whole;
use crate::cipher::{take_sealed, Plain};
use crate::input::Input;
use quic_core::bytes::Writer;
use quic_core::cid::{ConnectionId, StatelessResetToken};
use quic_core::packet::{stateless_reset, Datagram, FixedBit, Packet, Retry, VersionNegotiation};
use quic_core::role::Role;
use quic_core::time::{Duration, Instant};
use quic_core::token::{self, Client, TokenKey, Validation};
use quic_core::version::negotiation::{
    answer_negotiation_packet, check_client, select_compatible, ClientNegotiation,
    NegotiationAnswer,
};
use quic_core::version::{SupportedVersion, Version, VersionInformation};

pub(crate) fn run(data: &[u8]) {
    let mut input = Input::new(data);
    match input.u8() % 6 {
        0 => read(input),
        1 => retry(input),
        2 => version_negotiation(input),
        3 => reset(input),
        4 => open_token(input),
        _ => seal_token(input),
    }
    take_sealed();
}

fn version(input: &mut Input<'_>) -> SupportedVersion {
    input.pick(&SupportedVersion::ALL)
}

fn cid(input: &mut Input<'_>) -> ConnectionId {
    let len = usize::from(input.u8()) % (ConnectionId::MAX_LEN + 1);
    ConnectionId::new(input.bytes(len)).expect("not too long")
}

/// A datagram of anybody.
fn read(mut input: Input<'_>) {
    let version = version(&mut input);
    let (scid, dcid) = (cid(&mut input), cid(&mut input));
    let mut bytes = input.rest().to_vec();
    for packet in Datagram::new(&mut bytes, scid.len(), FixedBit::Ignored) {
        match packet {
            Ok(Packet::Retry(packet)) => {
                let verified = packet.verify(&Plain, version, &scid, &dcid);
                if let Some(retry) = verified.expect("the cipher does not fail") {
                    assert!(!retry.token.is_empty());
                    assert_eq!((retry.version, retry.dcid), (version, scid));
                    assert_ne!(retry.scid, dcid);
                }
            }
            Ok(Packet::VersionNegotiation(packet)) => {
                assert!(packet.versions.clone().next().is_some());
                packet.answers(&scid, &dcid);
                let answer = answer_negotiation_packet(
                    &SupportedVersion::ALL,
                    version.wire(),
                    packet.versions,
                );
                let offers = |version: SupportedVersion| {
                    packet.versions.clone().any(|it| it == version.wire())
                };
                match answer {
                    NegotiationAnswer::Ignore => assert!(offers(version)),
                    NegotiationAnswer::Abort => {
                        assert!(!SupportedVersion::ALL.into_iter().any(offers));
                    }
                    NegotiationAnswer::Retry(other) => assert!(offers(other) && other != version),
                }
            }
            Ok(Packet::Protected(_)) | Err(_) => {}
        }
    }
}

fn retry(mut input: Input<'_>) {
    let retry = Retry {
        version: version(&mut input),
        dcid: cid(&mut input),
        scid: cid(&mut input),
        token: &[],
    };
    let original = cid(&mut input);
    let random = input.u8();
    let room = usize::from(input.u16()) % 1500;
    let token = input.rest();
    let retry = Retry { token, ..retry };
    let mut buffer = vec![0; room];
    let mut writer = Writer::new(&mut buffer);
    let Ok(range) = retry.emit(&mut writer, &Plain, &original, random) else {
        assert_eq!(writer.position(), 0);
        return;
    };
    let mut bytes = writer.written().to_vec();
    assert_eq!(range, 0..bytes.len());
    let mut packets = Datagram::new(&mut bytes, retry.dcid.len(), FixedBit::Required);
    match packets.next() {
        Some(Ok(Packet::Retry(packet))) => {
            let verified = packet.verify(&Plain, retry.version, &retry.dcid, &original);
            let expected = (retry.scid != original).then_some(retry);
            assert_eq!(verified, Ok(expected));
        }
        other => assert!(token.is_empty(), "{other:?}"),
    }
}

fn version_negotiation(mut input: Input<'_>) {
    let random = input.u8();
    let (scid, dcid) = (input.vec(), input.vec());
    let versions: Vec<Version> = input
        .vec()
        .chunks_exact(4)
        .map(|it| Version::new(u32::from_le_bytes([it[0], it[1], it[2], it[3]])))
        .collect();
    let mut buffer = vec![0; usize::from(input.u16()) % 1500];
    let mut writer = Writer::new(&mut buffer);
    let written =
        VersionNegotiation::emit(&mut writer, scid, dcid, versions.iter().copied(), random);
    if written.is_ok() {
        let mut bytes = writer.written().to_vec();
        match Datagram::new(&mut bytes, 0, FixedBit::Required).next() {
            Some(Ok(Packet::VersionNegotiation(packet))) => {
                assert_eq!((packet.dcid, packet.scid), (scid, dcid));
                assert!(packet.versions.eq(versions.iter().copied()));
            }
            _ => assert!(versions.is_empty()),
        }
    } else {
        assert_eq!(writer.position(), 0);
    }
    version_information(input);
}

fn version_information(mut input: Input<'_>) {
    let sender = input.pick(&[Role::Client, Role::Server]);
    let in_use = version(&mut input);
    let preference = input.pick(&[
        &SupportedVersion::ALL[..],
        &SupportedVersion::ALL[..1],
        &SupportedVersion::ALL[1..],
    ]);
    let after_negotiation_packet = input.bool();
    let Ok(information) = VersionInformation::parse(input.rest(), sender) else {
        return;
    };
    let chosen = select_compatible(preference, in_use, Some(&information));
    assert!(chosen == in_use || information.offers(chosen));
    let _ = check_client(&information, in_use);
    let sent = VersionInformation::new(in_use.wire(), preference);
    let _ = ClientNegotiation {
        preference,
        sent: Some(&sent),
        negotiated: in_use,
        after_negotiation_packet,
    }
    .check_server(Some(&information));
    if !is_whole(&information) {
        return;
    }
    let mut buffer = vec![0; information.size(None)];
    let mut writer = Writer::new(&mut buffer);
    information
        .emit(&mut writer, None)
        .expect("the size that was given");
    let again = VersionInformation::parse(writer.written(), sender);
    assert_eq!(again, Ok(information));
}

fn reset(mut input: Input<'_>) {
    let token: [u8; 16] = std::array::from_fn(|_| input.u8());
    let token = StatelessResetToken::new(token);
    let received = usize::from(input.u16());
    let random = input.rest();
    let mut buffer = vec![0; random.len() + 8];
    let mut writer = Writer::new(&mut buffer);
    if stateless_reset::emit(&mut writer, &token, random).is_ok() {
        let bytes = writer.written();
        assert_eq!(bytes.len(), random.len());
        assert!(StatelessResetToken::at_end_of(bytes) == Some(token));
        assert_eq!(bytes[0] & 0xc0, 0x40);
    } else {
        assert!(random.len() < stateless_reset::MIN_LEN);
    }
    if let Some(len) = stateless_reset::answer_len(received) {
        assert!(len < received && len >= stateless_reset::MIN_LEN);
    }
}

fn client(input: &mut Input<'_>) -> Client {
    let port = input.u16();
    let address = match input.bool() {
        true => ([192, 0, 2, input.u8()], port).into(),
        false => ([0x2001, 0xdb8, 0, 0, 0, 0, 0, input.u16()], port).into(),
    };
    Client {
        address,
        version: version(input),
    }
}

fn key() -> TokenKey<Plain> {
    let lifetimes = token::Lifetimes::default();
    TokenKey::derive(&Plain, &[0; 32], lifetimes).expect("the cipher does not fail")
}

fn open_token(mut input: Input<'_>) {
    let client = client(&mut input);
    let destination = cid(&mut input);
    let now = Instant::from_nanos(input.u64());
    let token = input.rest();
    let result = key().open(token, now, &client, &destination);
    assert!(result.is_ok(), "the cipher does not fail");
    if token.len() > token::MAX_LEN {
        let proves_nothing = matches!(result, Ok(Validation::Nothing | Validation::InvalidRetry));
        assert!(proves_nothing, "{result:?}");
    }
}

fn seal_token(mut input: Input<'_>) {
    let client = client(&mut input);
    let (original, source) = (cid(&mut input), cid(&mut input));
    let issued = Instant::from_nanos(input.u64());
    let age = Duration::from_nanos(input.number().saturating_mul(1 << 30));
    let nonce = std::array::from_fn(|_| input.u8());
    let room = usize::from(input.u8());
    let mut buffer = vec![0; room];
    let mut writer = Writer::new(&mut buffer);
    let mut key = key();
    let is_retry = input.bool();
    let sealed = match is_retry {
        true => key.seal_retry(&mut writer, nonce, issued, &client, &original, &source),
        false => key.seal_new_token(&mut writer, nonce, issued, &client),
    };
    if sealed.is_err() {
        assert_eq!(writer.position(), 0);
        assert!(room < token::MAX_LEN);
        return;
    }
    let now = issued + age;
    let lifetime = match is_retry {
        true => key.lifetimes.retry,
        false => key.lifetimes.new_token,
    };
    let expected = match (is_retry, now.since(issued) > lifetime) {
        (true, false) => Validation::Retry {
            original_destination: original,
        },
        (true, true) => Validation::InvalidRetry,
        (false, false) => Validation::NewToken { id: nonce },
        (false, true) => Validation::Nothing,
    };
    let opened = key.open(writer.written(), now, &client, &source);
    assert_eq!(opened, Ok(expected));
}
