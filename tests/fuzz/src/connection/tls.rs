// SPDX-License-Identifier: MIT OR Apache-2.0

//! TLS beside the connection: as it should be, or in any order.

use super::peer::Peer;
use super::setup::{reset_token, Setup};
use super::world::World;
use super::Bytes;
use crate::cipher::{SECRET, SUITE};
use crate::input::Input;
use kernel::alloc::flags::GFP_ATOMIC;
use quic_core::bytes::Writer;
use quic_core::connection::{Connection, Context};
use quic_core::packet::{PacketNumberSpace, PacketType};
use quic_core::role::Role;
use quic_core::transport_parameters::TransportParameters;
use quic_core::version::VersionInformation;

type Cx<'a> = Context<'a, World>;

/// What TLS writes, in bytes.
const MESSAGE: usize = 2000;

fn install(connection: &mut Connection<World>, cx: &mut Cx<'_>, packet_type: PacketType) {
    for sending in [true, false] {
        let _ = connection.install_secret(cx, packet_type, sending, SUITE, &SECRET);
    }
}

fn write(connection: &mut Connection<World>, space: PacketNumberSpace, len: usize) {
    let message = Bytes::new(&vec![0xaa; len]);
    let _ = connection.write_crypto(space, message, GFP_ATOMIC);
}

/// The parameters that the peer of `connection` declares.
fn peer_parameters(setup: &Setup, peer: &Peer, connection: &Connection<World>) -> Vec<u8> {
    let mut parameters = setup.peer;
    let sender = setup.role.peer();
    parameters.initial_source_connection_id = Some(peer.cid);
    if sender == Role::Server {
        parameters.original_destination_connection_id = Some(*connection.original_dcid());
        parameters.retry_source_connection_id = peer.retry_cid;
        parameters.stateless_reset_token = Some(reset_token());
    }
    let chosen = match sender {
        Role::Server => connection.version(),
        Role::Client => peer.version,
    };
    parameters.version_information = Some(VersionInformation::new(
        chosen.wire(),
        setup.config.versions,
    ));
    let mut buffer = [0; 1024];
    let mut writer = Writer::new(&mut buffer);
    let written = parameters.emit(&mut writer, sender, None);
    written.expect("room for all parameters");
    writer.written().to_vec()
}

pub(super) fn set_parameters(
    setup: &Setup,
    peer: &mut Peer,
    connection: &mut Connection<World>,
    cx: &mut Cx<'_>,
) {
    let bytes = peer_parameters(setup, peer, connection);
    let _ = connection.set_peer_parameters(cx, &bytes);
    if setup.role == Role::Server {
        peer.version = connection.version();
    }
}

/// One of the steps of a handshake as it should be.
pub(super) fn step(
    number: u8,
    setup: &Setup,
    peer: &mut Peer,
    connection: &mut Connection<World>,
    cx: &mut Cx<'_>,
) {
    use PacketNumberSpace::{Handshake, Initial};
    match (setup.role, number) {
        (Role::Client, 0) => write(connection, Initial, 300),
        (Role::Client, 1) => install(connection, cx, PacketType::Handshake),
        (Role::Client, 2) => {
            set_parameters(setup, peer, connection, cx);
            install(connection, cx, PacketType::OneRtt);
            write(connection, Handshake, 50);
            connection.handshake_complete(cx);
        }
        (Role::Server, 0) => {
            set_parameters(setup, peer, connection, cx);
            write(connection, Initial, 100);
            install(connection, cx, PacketType::Handshake);
        }
        (Role::Server, 1) => {
            write(connection, Handshake, MESSAGE);
            install(connection, cx, PacketType::OneRtt);
        }
        (Role::Server, 2) => connection.handshake_complete(cx),
        _ => {}
    }
}

/// Something that TLS may do, whether it is time for it or not.
pub(super) fn anything(
    input: &mut Input<'_>,
    setup: &Setup,
    peer: &mut Peer,
    connection: &mut Connection<World>,
    cx: &mut Cx<'_>,
) {
    let space = |choice: u8| PacketNumberSpace::ALL[usize::from(choice) % 3];
    let choice = input.u8();
    match choice & 15 {
        0 => set_parameters(setup, peer, connection, cx),
        1 => {
            let _ = connection.set_peer_parameters(cx, input.vec());
        }
        2 => write(connection, space(choice >> 4), usize::from(input.u8()) * 8),
        3 => {
            let space = space(choice >> 4);
            let readable = connection.crypto_readable(space);
            let in_chunks: usize = connection.crypto(space).map(|it| it.as_slice().len()).sum();
            assert_eq!(in_chunks as u64, readable);
            let len = in_chunks.min(usize::from(input.u8()) * 16);
            connection.consume_crypto(space, len);
            assert_eq!(connection.crypto_readable(space), readable - len as u64);
        }
        4 => install(connection, cx, PacketType::Handshake),
        5 => install(connection, cx, PacketType::OneRtt),
        6 => install(connection, cx, PacketType::ZeroRtt),
        7 => {
            let packet_type = match (choice >> 4) & 3 {
                0 => PacketType::Initial,
                1 => PacketType::Handshake,
                2 => PacketType::ZeroRtt,
                _ => PacketType::OneRtt,
            };
            let secret = &[0; 64][..usize::from(input.u8() % 64)];
            let _ = connection.install_secret(cx, packet_type, choice & 64 != 0, SUITE, secret);
        }
        8 => connection.handshake_complete(cx),
        9 => connection.close_with_alert(cx, input.u8()),
        10 => connection.set_remembered_parameters(&TransportParameters {
            initial_source_connection_id: None,
            ..setup.peer.remembered()
        }),
        11 => connection.zero_rtt_accepted(),
        12 => connection.zero_rtt_rejected(cx),
        13 => {
            let _ = connection.send_new_token(input.vec(), GFP_ATOMIC);
        }
        _ => {
            let _ = connection.update_keys(cx);
        }
    }
}
