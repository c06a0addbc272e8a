// SPDX-License-Identifier: GPL-2.0 OR MIT

//! Encryption levels: what belongs to which, and which limits hold there.

use super::conformance::{answer, forge};
use super::pair::{config, parameters, End, Pair, Seen, World, SUITE};
use crate::bytes::Writer;
use crate::connection::{Accepted, Config, Connection, NewTokenError, SecretError, State};
use crate::packet::{PacketNumberSpace, PacketType};
use crate::role::Role;
use crate::stream_id::Directionality::{Bidirectional, Unidirectional};
use crate::time::Duration;
use crate::transport_parameters::TransportParameters;
use crate::varint::VarInt;
use crate::version::SupportedVersion;
use kernel::alloc::flags::GFP_KERNEL;

// [rfc9001-4.1.3-3]
#[test]
fn handshake_data_that_tls_has_not_read_is_a_violation() {
    let mut pair = Pair::of_version_1();
    pair.transmit();
    // What comes before it is missing.
    let bytes = forge(
        &mut pair,
        Role::Server,
        PacketType::Initial,
        0,
        &[6, 5, 1, 0xaa],
    );
    assert_eq!(answer(&mut pair, Role::Server, bytes), None);
    let now = pair.now;
    let installed = pair.client.with(now, |connection, cx| {
        connection.install_secret(cx, PacketType::Handshake, false, SUITE, &[1; 32])
    });
    assert_eq!(installed, Err(SecretError::Unread));
    assert_eq!(pair.client.connection.state(), State::Closing);
}

// [rfc9000-7.4.1-8]
#[test]
fn early_data_keeps_to_what_was_remembered() {
    let mut pair = Pair::new();
    let mut world = World::new(9);
    let now = pair.now;
    let client = &mut pair.client.connection;
    let mut remembered = parameters();
    remembered.initial_max_streams_bidi = VarInt::from_u32(1);
    client.set_remembered_parameters(&remembered);
    let mut cx = End::cx(&mut world, now);
    client
        .install_secret(&mut cx, PacketType::ZeroRtt, true, SUITE, &[3; 32])
        .unwrap();
    let limit = |client: &mut crate::connection::Connection<World>| {
        let mut opened = 0;
        while let Ok(id) = client.streams().next(Bidirectional) {
            if client.streams().open(id, GFP_KERNEL).is_err() {
                break;
            }
            opened += 1;
        }
        opened
    };
    assert_eq!(limit(client), 1);
    client.negotiation.as_mut().unwrap().peer_cid = Some(super::pair::cid(0x5e));
    let mut declared = parameters();
    declared.original_destination_connection_id = Some(*client.original_dcid());
    declared.initial_source_connection_id = Some(super::pair::cid(0x5e));
    let mut buffer = [0; TransportParameters::MAX_SIZE];
    let mut writer = Writer::new(&mut buffer);
    declared.emit(&mut writer, Role::Server, None).unwrap();
    client.zero_rtt_accepted();
    client
        .set_peer_parameters(&mut cx, writer.written())
        .unwrap();
    assert_eq!(limit(client), 0, "0-RTT packets");
    client
        .install_secret(&mut cx, PacketType::OneRtt, true, SUITE, &[4; 32])
        .unwrap();
    assert_eq!(limit(client), 99, "1-RTT packets");
}

#[test]
fn a_server_forgets_the_keys_of_early_data_without_encryption_too() {
    let mut parameters = parameters();
    parameters.disable_1rtt_encryption = true;
    let config = Config {
        parameters,
        ..config()
    };
    let mut pair = Pair::with(config, config);
    pair.run_until(|pair| pair.server.is_some());
    let now = pair.now;
    pair.server().with(now, |connection, cx| {
        let installed = connection.install_secret(cx, PacketType::ZeroRtt, false, SUITE, &[3; 32]);
        assert_eq!(installed, Ok(()));
    });
    pair.connect();
    assert!(pair.server().connection.keys.has_zero_rtt());
    let id = pair.client.open(Unidirectional);
    let now = pair.now;
    pair.client.write(now, id, b"data", true);
    pair.run_until(|pair| pair.server().all_read(id).1);
    pair.run_for(Duration::from_secs(5));
    assert!(!pair.server().connection.keys.has_zero_rtt());
}

// [rfc9000-17.4-2]
#[test]
fn the_spin_bit_can_be_switched_off() {
    let config = Config {
        spin_bit: false,
        ..config()
    };
    let mut pair = Pair::with(config, config);
    pair.connect();
    let id = pair.client.open(Unidirectional);
    for _ in 0..20 {
        let now = pair.now;
        pair.client.write(now, id, b"data", false);
        pair.run_for(Duration::from_millis(30));
        assert!(!pair.client.connection.spin && !pair.server().connection.spin);
    }
}

// [rfc9000-19.7-1]
#[test]
fn tokens_are_of_servers_and_not_empty() {
    let mut pair = Pair::new();
    pair.connect();
    let invalid = Err(NewTokenError::Invalid);
    assert_eq!(
        pair.client.connection.send_new_token(b"x", GFP_KERNEL),
        invalid
    );
    let server = &mut pair.server().connection;
    assert_eq!(server.send_new_token(b"", GFP_KERNEL), invalid);
    assert_eq!(server.send_new_token(&[1; 513], GFP_KERNEL), invalid);
    assert_eq!(server.send_new_token(b"x", GFP_KERNEL), Ok(()));
    pair.run_for(Duration::from_millis(100));
    assert!(pair
        .client
        .world
        .events
        .contains(&Seen::NewToken(b"x".to_vec())));
}

/// A program that passes the parameters on when it is too late for a change of version.
#[test]
fn discarded_keys_do_not_come_back_in_another_version() {
    let mut pair = Pair::new();
    pair.run_until(|pair| pair.server.is_some());
    let now = pair.now;
    let mut bytes = [0; TransportParameters::MAX_SIZE];
    let mut writer = Writer::new(&mut bytes);
    let client = pair.client.connection.local_parameters().unwrap();
    client.emit(&mut writer, Role::Client, None).unwrap();
    let parameters = writer.written().to_vec();
    let accepted = Accepted {
        addresses: pair.server().connection.addresses().unwrap(),
        version: SupportedVersion::V1,
        dcid: *pair.client.connection.original_dcid(),
        scid: super::pair::cid(0xc1),
        original_dcid: *pair.client.connection.original_dcid(),
        validated: true,
    };
    let mut world = World::new(3);
    let mut cx = End::cx(&mut world, now);
    let mut server =
        Connection::accept(&mut cx, config(), &accepted, super::pair::cid(0x5f)).unwrap();
    server.discard_keys(&mut cx, PacketNumberSpace::Initial);
    server.set_peer_parameters(&mut cx, &parameters).unwrap();
    assert_eq!(server.version(), SupportedVersion::V1);
    assert!(!server.can_send(PacketType::Initial));
}
