// SPDX-License-Identifier: GPL-2.0 OR MIT

//! Sealing and opening: the sample packets of the RFCs, every suite, and what must go wrong.

use super::vectors::*;
use super::*;
use crate::bytes::{Full, Writer};
use crate::cid::{ConnectionId, StatelessResetToken};
use crate::crypto::rustcrypto::{Key, Mask, RustCrypto};
use crate::crypto::{
    CipherSuite, InitialSecrets, KeyUse, PacketProtection, Part, TrafficSecret, TAG_LEN,
};
use crate::error::TransportErrorCode;
use crate::testing::hex;
use crate::version::SupportedVersion;
use proptest::prelude::*;
use SupportedVersion::{V1, V2};

const DCID: &str = "8394c8f03e515708";
const SERVER_SCID: &str = "f067a5502a4262b5";

/// The keys of one direction.
struct Keys {
    header: Mask,
    packet: PacketProtection<Key>,
}

fn keys(secret: &TrafficSecret) -> Keys {
    Keys {
        header: secret.header_key(&RustCrypto, KeyUse::Initial).unwrap(),
        packet: secret
            .packet_protection(&RustCrypto, KeyUse::Initial)
            .unwrap(),
    }
}

fn cid(digits: &str) -> ConnectionId {
    ConnectionId::new(&hex(digits)).unwrap()
}

fn number(number: u64) -> PacketNumber {
    PacketNumber::new(number).unwrap()
}

/// The first packet of `datagram`, opened, in place.
fn open<'a>(
    datagram: &'a mut [u8],
    keys: &mut Keys,
    largest: Option<PacketNumber>,
) -> Result<OpenedPacket<'a>, OpenError> {
    match Datagram::new(datagram, 0, FixedBit::Required)
        .next()
        .unwrap()?
    {
        Packet::Protected(packet) => packet
            .unprotect_header(&keys.header, largest)?
            .open(&mut keys.packet),
        packet => panic!("{packet:?}"),
    }
}

/// Seals `frames` and returns the datagram.
fn seal(
    header: &Header<'_>,
    keys: &mut Keys,
    number: PacketNumber,
    acked: Option<PacketNumber>,
    frames: &[u8],
) -> Vec<u8> {
    let mut buffer = vec![0; 2000];
    let mut writer = Writer::new(&mut buffer);
    let packet = header.emit(&mut writer, number, acked, true).unwrap();
    writer.bytes(frames).unwrap();
    let range = packet
        .seal(&mut writer, &keys.header, &mut keys.packet)
        .unwrap();
    assert_eq!(range, 0..writer.position());
    writer.written().to_vec()
}

// [rfc9000-17.2-6] [rfc9001-5.2-1]
#[test]
fn client_initial_of_both_versions() {
    for (version, vector) in [(V1, V1_CLIENT_INITIAL), (V2, V2_CLIENT_INITIAL)] {
        let mut keys = keys(&InitialSecrets::derive(&RustCrypto, version, &cid(DCID)).client);
        let mut frames = hex(CLIENT_FRAMES);
        frames.resize(1162, 0);

        let mut datagram = hex(vector);
        let packet = open(&mut datagram, &mut keys, None).unwrap();
        assert_eq!(
            (packet.packet_type(), packet.version()),
            (PacketType::Initial, Some(version))
        );
        assert_eq!((packet.number, packet.payload), (number(2), &frames[..]));
        assert_eq!(
            (packet.dcid(), packet.scid(), packet.token()),
            (&hex(DCID)[..], &[][..], &[][..])
        );
        assert_eq!(packet.payload_offset, 22);

        // The sample has a number of four bytes; only the encoding of a shorter one would be ours.
        let header = Header::Long {
            packet_type: LongPacketType::Initial { token: &[] },
            version,
            dcid: cid(DCID),
            scid: ConnectionId::EMPTY,
        };
        let mut buffer = vec![0; 1200];
        let mut writer = Writer::new(&mut buffer);
        let packet = header
            .emit_with(&mut writer, number(2), number(2).truncate_to(3), true)
            .unwrap();
        assert_eq!(writer.remaining(), 1162);
        writer.bytes(&frames).unwrap();
        packet
            .seal(&mut writer, &keys.header, &mut keys.packet)
            .unwrap();
        assert_eq!(writer.written(), hex(vector));
    }
}

#[test]
fn server_initial_of_both_versions() {
    for (version, vector) in [(V1, V1_SERVER_INITIAL), (V2, V2_SERVER_INITIAL)] {
        let mut keys = keys(&InitialSecrets::derive(&RustCrypto, version, &cid(DCID)).server);
        let mut datagram = hex(vector);
        let packet = open(&mut datagram, &mut keys, None).unwrap();
        assert_eq!(
            (packet.number, packet.payload),
            (number(1), &hex(SERVER_FRAMES)[..])
        );
        assert_eq!(
            (packet.dcid(), packet.scid()),
            (&[][..], &hex(SERVER_SCID)[..])
        );

        let header = Header::Long {
            packet_type: LongPacketType::Initial { token: &[] },
            version,
            dcid: ConnectionId::EMPTY,
            scid: cid(SERVER_SCID),
        };
        let mut buffer = vec![0; 1200];
        let mut writer = Writer::new(&mut buffer);
        let packet = header
            .emit_with(&mut writer, number(1), number(1).truncate_to(1), true)
            .unwrap();
        writer.bytes(&hex(SERVER_FRAMES)).unwrap();
        packet
            .seal(&mut writer, &keys.header, &mut keys.packet)
            .unwrap();
        assert_eq!(writer.written(), hex(vector));
    }
}

// [rfc9000-17.3.1-2]
#[test]
fn chacha_short_header_of_rfc_9001_appendix_a_5() {
    let secret = hex("9ac312a7f877468ebe69422748ad00a15443f18203a07d6060f688f30f21632b");
    let mut keys = keys(&TrafficSecret::new(CipherSuite::ChaCha20Poly1305, V1, &secret).unwrap());
    let vector = hex("4cfe4189655e5cd55c41f69080575d7999c25a5bfb");

    let mut datagram = vector.clone();
    let packet = open(&mut datagram, &mut keys, Some(number(654_360_563))).unwrap();
    assert_eq!(
        (packet.number, packet.payload),
        (number(654_360_564), &[0x01][..])
    );
    assert!(!packet.key_phase() && !packet.spin());

    let header = Header::Short {
        dcid: ConnectionId::EMPTY,
        spin: false,
        key_phase: false,
    };
    let mut buffer = vec![0; 1200];
    let mut writer = Writer::new(&mut buffer);
    let sent = number(654_360_564);
    let packet = header
        .emit_with(&mut writer, sent, sent.truncate_to(2), true)
        .unwrap();
    assert_eq!(packet.missing(&writer), 1);
    writer.u8(0x01).unwrap();
    assert_eq!(packet.missing(&writer), 0);
    packet
        .seal(&mut writer, &keys.header, &mut keys.packet)
        .unwrap();
    assert_eq!(writer.written(), vector);
}

const SUITES: [CipherSuite; 4] = [
    CipherSuite::Aes128Gcm,
    CipherSuite::Aes256Gcm,
    CipherSuite::Aes128Ccm,
    CipherSuite::ChaCha20Poly1305,
];

fn one_rtt_keys(suite: CipherSuite) -> (TrafficSecret, Keys) {
    let secret = TrafficSecret::new(suite, V1, &[0x5e; 48][..suite.hash().output_len()]).unwrap();
    let keys = keys(&secret);
    (secret, keys)
}

fn short_header(dcid: ConnectionId) -> Header<'static> {
    Header::Short {
        dcid,
        spin: true,
        key_phase: true,
    }
}

#[test]
fn every_suite_opens_what_it_seals() {
    for suite in SUITES {
        let (_, mut keys) = one_rtt_keys(suite);
        let mut datagram = seal(
            &short_header(ConnectionId::EMPTY),
            &mut keys,
            number(1000),
            Some(number(990)),
            &[1; 50],
        );
        assert_eq!(datagram.len(), 1 + 1 + 50 + TAG_LEN);
        let packet = open(&mut datagram, &mut keys, Some(number(995))).unwrap();
        assert_eq!(
            (packet.number, packet.payload, packet.payload_offset),
            (number(1000), &[1; 50][..], 2)
        );
        assert!(packet.key_phase() && packet.spin());
        assert_eq!(
            (packet.packet_type(), packet.version()),
            (PacketType::OneRtt, None)
        );
    }
}

// [rfc9001-5.5-2]
#[test]
fn next_key_phase_needs_the_next_keys() {
    for suite in SUITES {
        let (secret, mut keys) = one_rtt_keys(suite);
        let next = secret.next(&RustCrypto);
        let mut sender = Keys {
            header: secret.header_key(&RustCrypto, KeyUse::OneRtt).unwrap(),
            packet: next.packet_protection(&RustCrypto, KeyUse::OneRtt).unwrap(),
        };
        let datagram = seal(
            &short_header(ConnectionId::EMPTY),
            &mut sender,
            number(0),
            None,
            &[1; 9],
        );
        let discard = open(&mut datagram.clone(), &mut keys, None).unwrap_err();
        assert_eq!(discard, OpenError::Discard(Discard::Unauthenticated));
        // The old keys become the next ones without new memory.
        next.rekey(&RustCrypto, &mut keys.packet).unwrap();
        assert_eq!(
            open(&mut datagram.clone(), &mut keys, None)
                .unwrap()
                .payload,
            &[1; 9]
        );
    }
}

#[test]
fn parts_give_the_same_packet() {
    let (_, mut keys) = one_rtt_keys(CipherSuite::Aes128Gcm);
    let chunk: Vec<u8> = (0..100).collect();
    let mut frames = vec![0xf0; 4];
    frames.extend(&chunk[10..60]);
    frames.extend([0xf1; 3]);
    frames.extend(&chunk[90..100]);
    let whole = seal(
        &short_header(ConnectionId::EMPTY),
        &mut keys,
        number(7),
        None,
        &frames,
    );

    let mut buffer = [0xaa; 200];
    let mut writer = Writer::new(&mut buffer);
    let packet = short_header(ConnectionId::EMPTY)
        .emit(&mut writer, number(7), None, true)
        .unwrap();
    assert_eq!(packet.payload_at(), 2);
    assert!(packet.is_empty(&writer));
    writer.bytes(&[0xf0; 4]).unwrap();
    writer.skip(50).unwrap();
    writer.bytes(&[0xf1; 3]).unwrap();
    writer.skip(10).unwrap();
    assert!(!packet.is_empty(&writer));
    let parts = [
        Part {
            at: 4,
            chunk: &chunk,
            start: 10,
            len: 50,
        },
        Part {
            at: 57,
            chunk: &chunk,
            start: 90,
            len: 10,
        },
    ];
    packet
        .seal_parts(&mut writer, &keys.header, &mut keys.packet, &parts)
        .unwrap();
    assert_eq!(writer.written(), whole);
}

// [rfc9000-12.2-1] [rfc9000-12.2-3]
#[test]
fn packets_coalesce() {
    let dcid = cid(DCID);
    let secrets = InitialSecrets::derive(&RustCrypto, V2, &dcid);
    let mut keys = keys(&secrets.client);
    let long = |packet_type| Header::Long {
        packet_type,
        version: V2,
        dcid,
        scid: cid(SERVER_SCID),
    };
    let headers = [
        (
            long(LongPacketType::Initial { token: b"token" }),
            PacketType::Initial,
        ),
        (long(LongPacketType::ZeroRtt), PacketType::ZeroRtt),
        (long(LongPacketType::Handshake), PacketType::Handshake),
        (short_header(dcid), PacketType::OneRtt),
    ];
    let mut buffer = [0; 1200];
    let mut writer = Writer::new(&mut buffer);
    let mut ranges = vec![];
    for (pn, (header, _)) in headers.iter().enumerate() {
        let room = writer.remaining();
        let packet = header
            .emit(&mut writer, number(pn as u64), None, true)
            .unwrap();
        writer.fill(20, pn as u8).unwrap();
        ranges.push(
            packet
                .seal(&mut writer, &keys.header, &mut keys.packet)
                .unwrap(),
        );
        // One byte of packet number where the overhead has four, and two bytes of length for four.
        let shorter = if pn == 3 { 3 } else { 5 };
        assert_eq!(room - writer.remaining(), header.overhead() - shorter + 20);
    }
    let mut packets = Datagram::new(writer.into_written(), dcid.len(), FixedBit::Required);
    for (pn, (_, packet_type)) in headers.iter().enumerate() {
        let Some(Ok(Packet::Protected(packet))) = packets.next() else {
            panic!()
        };
        assert_eq!(
            (packet.packet_type(), packet.range()),
            (*packet_type, ranges[pn].clone())
        );
        let opened = packet
            .unprotect_header(&keys.header, None)
            .unwrap()
            .open(&mut keys.packet)
            .unwrap();
        assert_eq!(
            (opened.number, opened.payload),
            (number(pn as u64), &[pn as u8; 20][..])
        );
        assert_eq!(opened.dcid(), dcid.as_slice());
        assert_eq!(opened.token(), if pn == 0 { &b"token"[..] } else { &[] });
        let scid = if pn == 3 { vec![] } else { hex(SERVER_SCID) };
        assert_eq!(opened.scid(), scid);
    }
    assert!(packets.next().is_none());
}

#[test]
fn large_datagrams_get_a_longer_length() {
    let mut keys = keys(&InitialSecrets::derive(&RustCrypto, V1, &cid(DCID)).client);
    let header = Header::Long {
        packet_type: LongPacketType::Handshake,
        version: V1,
        dcid: cid(DCID),
        scid: ConnectionId::EMPTY,
    };
    let mut buffer = vec![0; 65_507];
    let mut writer = Writer::new(&mut buffer);
    let packet = header.emit(&mut writer, number(0), None, true).unwrap();
    writer.fill(writer.remaining(), 1).unwrap();
    let range = packet
        .seal(&mut writer, &keys.header, &mut keys.packet)
        .unwrap();
    assert_eq!(range, 0..65_507);
    assert_eq!(
        open(&mut buffer, &mut keys, None).unwrap().payload.len(),
        65_507 - 20 - TAG_LEN
    );
}

// [rfc9000-17.2-7] [rfc9000-17.3.1-3]
#[test]
fn reserved_bits_close_the_connection_only_if_authentic() {
    let dcid = cid(DCID);
    let long = Header::Long {
        packet_type: LongPacketType::Handshake,
        version: V1,
        dcid,
        scid: ConnectionId::EMPTY,
    };
    for (header, bits) in [(long, [0x04, 0x08]), (short_header(dcid), [0x08, 0x10])] {
        for bit in bits {
            let (_, mut keys) = one_rtt_keys(CipherSuite::Aes128Gcm);
            let mut buffer = [0; 100];
            let mut writer = Writer::new(&mut buffer);
            let packet = header.emit(&mut writer, number(1), None, true).unwrap();
            writer.written_mut(0)[0] |= bit;
            writer.fill(20, 1).unwrap();
            packet
                .seal(&mut writer, &keys.header, &mut keys.packet)
                .unwrap();
            let sealed = writer.written().to_vec();
            let mut open = |datagram: &mut [u8]| {
                let Some(Ok(Packet::Protected(packet))) =
                    Datagram::new(datagram, 8, FixedBit::Required).next()
                else {
                    panic!()
                };
                packet
                    .unprotect_header(&keys.header, None)
                    .unwrap()
                    .open(&mut keys.packet)
                    .map(|_| ())
            };
            let Err(OpenError::Close(error)) = open(&mut sealed.clone()) else {
                panic!()
            };
            assert_eq!(error.code, TransportErrorCode::PROTOCOL_VIOLATION);
            let mut forged = sealed;
            *forged.last_mut().unwrap() ^= 1;
            assert_eq!(
                open(&mut forged),
                Err(OpenError::Discard(Discard::Unauthenticated))
            );
        }
    }
}

#[test]
fn any_changed_bit_is_discarded() {
    let mut keys = keys(&InitialSecrets::derive(&RustCrypto, V1, &cid(DCID)).server);
    let packet = hex(V1_SERVER_INITIAL);
    for bit in 0..packet.len() * 8 {
        let mut bytes = packet.clone();
        bytes[bit / 8] ^= 1 << (bit % 8);
        for packet in Datagram::new(&mut bytes, 0, FixedBit::Required) {
            if let Ok(Packet::Protected(packet)) = packet {
                let result = packet
                    .unprotect_header(&keys.header, None)
                    .map_err(OpenError::from)
                    .and_then(|header| header.open(&mut keys.packet).map(|_| ()));
                assert!(
                    matches!(result, Err(OpenError::Discard(_))),
                    "bit {bit}: {result:?}"
                );
            }
        }
    }
}

// [rfc9000-10.3-3] [rfc9001-5.4.2-1]
#[test]
fn any_cut_is_discarded() {
    let mut keys = keys(&InitialSecrets::derive(&RustCrypto, V1, &cid(DCID)).server);
    let vector = hex(V1_SERVER_INITIAL);
    for len in 1..vector.len() {
        assert!(
            matches!(
                open(&mut vector[..len].to_vec(), &mut keys, None),
                Err(OpenError::Discard(_))
            ),
            "{len}"
        );
    }
    let (_, mut keys) = one_rtt_keys(CipherSuite::ChaCha20Poly1305);
    let sealed = seal(
        &short_header(ConnectionId::EMPTY),
        &mut keys,
        number(0),
        None,
        &[1; 3],
    );
    for len in 1..sealed.len() {
        let discard = open(&mut sealed[..len].to_vec(), &mut keys, None).unwrap_err();
        assert_eq!(discard, OpenError::Discard(Discard::TooShort), "{len}");
    }
}

#[test]
fn failed_opening_leaves_a_stateless_reset_token() {
    let (_, mut keys) = one_rtt_keys(CipherSuite::Aes128Gcm);
    let token = StatelessResetToken::new([0x77; 16]);
    let mut datagram = [0x40; 64];
    stateless_reset::emit(&mut Writer::new(&mut datagram), &token, &[0x5a; 64]).unwrap();
    let discard = open(&mut datagram, &mut keys, None).unwrap_err();
    assert_eq!(discard, OpenError::Discard(Discard::Unauthenticated));
    assert_eq!(StatelessResetToken::at_end_of(&datagram), Some(token));
}

#[test]
fn cipher_failure_is_not_a_forgery() {
    let (_, mut keys) = one_rtt_keys(CipherSuite::Aes128Gcm);
    let sealed = seal(
        &short_header(ConnectionId::EMPTY),
        &mut keys,
        number(0),
        None,
        &[1; 3],
    );
    keys.packet.break_key();
    let discard = open(&mut sealed.clone(), &mut keys, None).unwrap_err();
    assert_eq!(discard, OpenError::Discard(Discard::CryptoFailed));

    let mut buffer = [0; 100];
    let mut writer = Writer::new(&mut buffer);
    writer.u8(0).unwrap();
    let packet = short_header(ConnectionId::EMPTY)
        .emit(&mut writer, number(0), None, true)
        .unwrap();
    writer.fill(10, 1).unwrap();
    assert_eq!(
        packet.seal(&mut writer, &keys.header, &mut keys.packet),
        Err(SealError::Crypto)
    );
    assert_eq!(
        (writer.position(), writer.remaining()),
        (1, 99),
        "the writer is as it was"
    );
}

#[test]
fn packet_number_beyond_the_last_is_discarded() {
    let (_, mut keys) = one_rtt_keys(CipherSuite::Aes128Gcm);
    let sealed = seal(
        &short_header(ConnectionId::EMPTY),
        &mut keys,
        number(0),
        None,
        &[1; 3],
    );
    let discard = open(&mut sealed.clone(), &mut keys, Some(PacketNumber::MAX)).unwrap_err();
    assert_eq!(discard, OpenError::Discard(Discard::PacketNumber));
}

#[test]
fn too_little_for_a_sample_is_not_sealed() {
    let (_, mut keys) = one_rtt_keys(CipherSuite::Aes128Gcm);
    for frames in 0..4 {
        let mut buffer = [0; 64];
        let mut writer = Writer::new(&mut buffer);
        let packet = short_header(cid(DCID))
            .emit(&mut writer, number(0), None, true)
            .unwrap();
        writer.fill(frames, 1).unwrap();
        assert_eq!(packet.missing(&writer), 3 - frames);
        let sealed = packet.seal(&mut writer, &keys.header, &mut keys.packet);
        assert_eq!(sealed.is_ok(), frames == 3);
        assert_eq!(writer.position(), if frames == 3 { 29 } else { 0 });
    }
}

#[test]
fn header_needs_room_for_the_tag() {
    let header = short_header(cid(DCID));
    let mut buffer = [0; 64];
    for len in 0..=10 + TAG_LEN {
        let mut writer = Writer::new(&mut buffer[..len]);
        match header.emit(&mut writer, number(0), None, true) {
            Ok(packet) => {
                assert_eq!((len, writer.remaining()), (10 + TAG_LEN, 0));
                assert_eq!(writer.u8(1), Err(Full));
                packet.abandon(&mut writer);
            }
            Err(Full) => assert!(len < 10 + TAG_LEN),
        }
        assert_eq!((writer.position(), writer.remaining()), (0, len));
    }
    let mut writer = Writer::new(&mut buffer);
    assert!(
        header
            .emit(&mut writer, PacketNumber::MAX, None, true)
            .is_err(),
        "no form of five bytes"
    );
    assert_eq!(writer.remaining(), 64);
}

#[test]
fn fixed_bit_can_be_cleared() {
    let (_, mut keys) = one_rtt_keys(CipherSuite::Aes128Gcm);
    let mut buffer = [0; 64];
    let mut writer = Writer::new(&mut buffer);
    let packet = short_header(ConnectionId::EMPTY)
        .emit(&mut writer, number(0), None, false)
        .unwrap();
    writer.fill(10, 1).unwrap();
    packet
        .seal(&mut writer, &keys.header, &mut keys.packet)
        .unwrap();
    let datagram = writer.into_written();
    assert_eq!(datagram[0] & 0xc0, 0);
    let Some(Ok(Packet::Protected(packet))) = Datagram::new(datagram, 0, FixedBit::Ignored).next()
    else {
        panic!()
    };
    assert!(packet
        .unprotect_header(&keys.header, None)
        .unwrap()
        .open(&mut keys.packet)
        .is_ok());
}

#[test]
fn unencrypted_packets_have_no_tag() {
    let mut buffer = [0; 64];
    let mut writer = Writer::new(&mut buffer);
    let packet = short_header(cid(DCID))
        .emit(&mut writer, number(0x1234), None, true)
        .unwrap();
    writer.u8(1).unwrap();
    assert_eq!(packet.finish_unencrypted(&mut writer), 0..12);
    assert_eq!(writer.remaining(), 52, "the room for the tag is back");
    let bytes = writer.written().to_vec();
    assert_eq!(bytes, hex("65 8394c8f03e515708 1234 01"));
    let open = |bytes: &mut [u8]| {
        let Some(Ok(Packet::Protected(packet))) =
            Datagram::new(bytes, 8, FixedBit::Required).next()
        else {
            panic!()
        };
        packet.open_unencrypted(None).map(|packet| {
            (
                packet.number,
                packet.payload.to_vec(),
                packet.payload_offset,
            )
        })
    };
    assert_eq!(open(&mut bytes.clone()), Ok((number(0x1234), vec![1], 11)));
    assert_eq!(
        open(&mut bytes[..10].to_vec()),
        Err(OpenError::Discard(Discard::Truncated))
    );
    let mut reserved = bytes;
    reserved[0] |= 0x08;
    assert!(matches!(open(&mut reserved), Err(OpenError::Close(_))));
}

proptest! {
    #[test]
    fn any_header_survives(
        version in prop_oneof![Just(V1), Just(V2)],
        packet_type in 0..4,
        dcid in proptest::collection::vec(any::<u8>(), 0..=20),
        scid in proptest::collection::vec(any::<u8>(), 0..=20),
        token in proptest::collection::vec(any::<u8>(), 0..100),
        sent in 0..1_u64 << 31,
        frames in proptest::collection::vec(any::<u8>(), 3..200),
        spin: bool,
        key_phase: bool,
    ) {
        let (_, mut keys) = one_rtt_keys(CipherSuite::Aes128Gcm);
        let (dcid, scid) = (ConnectionId::new(&dcid).unwrap(), ConnectionId::new(&scid).unwrap());
        let long = |packet_type| Header::Long { packet_type, version, dcid, scid };
        let header = match packet_type {
            0 => long(LongPacketType::Initial { token: &token }),
            1 => long(LongPacketType::ZeroRtt),
            2 => long(LongPacketType::Handshake),
            _ => Header::Short { dcid, spin, key_phase },
        };
        let mut bytes = seal(&header, &mut keys, number(sent), None, &frames);
        let Some(Ok(Packet::Protected(packet))) = Datagram::new(&mut bytes, dcid.len(), FixedBit::Required).next() else {
            panic!()
        };
        let opened = packet
            .unprotect_header(&keys.header, Some(number(sent.saturating_sub(1))))
            .unwrap()
            .open(&mut keys.packet)
            .unwrap();
        prop_assert_eq!((opened.number, opened.payload), (number(sent), &frames[..]));
        prop_assert_eq!(opened.dcid(), dcid.as_slice());
        match header {
            Header::Long { .. } => prop_assert_eq!((opened.version(), opened.scid()), (Some(version), scid.as_slice())),
            Header::Short { .. } => prop_assert_eq!((opened.spin(), opened.key_phase()), (spin, key_phase)),
        }
        prop_assert_eq!(opened.token(), if packet_type == 0 { &token[..] } else { &[] });
    }

    #[test]
    fn arbitrary_packets_are_discarded(
        first in any::<u8>(),
        bytes in proptest::collection::vec(any::<u8>(), 0..100),
        largest in 0..1_u64 << 62,
    ) {
        let (_, mut keys) = one_rtt_keys(CipherSuite::ChaCha20Poly1305);
        let mut datagram = [vec![first & 0x7f | 0x40], bytes].concat();
        prop_assert!(matches!(open(&mut datagram, &mut keys, Some(number(largest))), Err(OpenError::Discard(_))));
    }
}

// [rfc9000-13.2.6-3]
#[test]
fn zero_rtt_and_one_rtt_share_a_space() {
    assert_eq!(PacketType::Initial.space(), PacketNumberSpace::Initial);
    assert_eq!(PacketType::Handshake.space(), PacketNumberSpace::Handshake);
    assert_eq!(
        PacketType::ZeroRtt.space(),
        PacketNumberSpace::ApplicationData
    );
    assert_eq!(
        PacketType::OneRtt.space(),
        PacketNumberSpace::ApplicationData
    );
}
