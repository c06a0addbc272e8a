// SPDX-License-Identifier: GPL-2.0 OR MIT

//! Every parameter, valid and not, and what both endpoints check.

use super::*;
use crate::bytes::{Full, Writer};
use crate::error::TransportErrorCode;
use crate::testing::hex;
use crate::version::{SupportedVersion, Version};
use core::net::{Ipv4Addr, Ipv6Addr, SocketAddrV4, SocketAddrV6};
use proptest::prelude::*;
use Role::{Client, Server};
use SupportedVersion::{V1, V2};

fn cid(bytes: &[u8]) -> ConnectionId {
    ConnectionId::new(bytes).unwrap()
}

fn varint(value: u64) -> VarInt {
    VarInt::new(value).unwrap()
}

const PREFERRED_ADDRESS: &str =
    "c0000201 01bb 20010db8000000000000000000000001 01bb 02 c1c2 77777777777777777777777777777777";

/// One parameter in hexadecimal, its identifier apart, and whether a client and a server may send
/// it.
const PARAMETERS: &[(u64, &str, bool, bool)] = &[
    // original_destination_connection_id
    (0x00, "", false, true),
    (0x00, "8394c8f03e515708", false, true),
    (0x00, "000000000000000000000000000000000000000000", false, false),
    // max_idle_timeout: any
    (0x01, "00", true, true),
    (0x01, "01", true, true),
    (0x01, "ffffffffffffffff", true, true),
    (0x01, "", false, false),
    (0x01, "4000", true, true),
    (0x01, "40", false, false),
    (0x01, "0000", false, false),
    // stateless_reset_token
    (0x02, "77777777777777777777777777777777", false, true),
    (0x02, "777777777777777777777777777777", false, false),
    (0x02, "7777777777777777777777777777777777", false, false),
    // max_udp_payload_size: from 1200, and without an upper bound
    (0x03, "44b0", true, true),
    (0x03, "44af", false, false),
    (0x03, "00", false, false),
    (0x03, "8000fff7", true, true),
    (0x03, "8000ffff", true, true),
    (0x03, "ffffffffffffffff", true, true),
    // initial_max_data and initial_max_stream_data: any
    (0x04, "ffffffffffffffff", true, true),
    (0x05, "00", true, true),
    (0x06, "bfffffff", true, true),
    (0x07, "01", true, true),
    (0x07, "0102", false, false),
    // initial_max_streams: up to 2^60
    (0x08, "d000000000000000", true, true),
    (0x08, "d000000000000001", false, false),
    (0x09, "d000000000000000", true, true),
    (0x09, "ffffffffffffffff", false, false),
    // ack_delay_exponent: up to 20
    (0x0a, "14", true, true),
    (0x0a, "15", false, false),
    (0x0a, "4103", false, false),
    // max_ack_delay: less than 2^14
    (0x0b, "00", true, true),
    (0x0b, "7fff", true, true),
    (0x0b, "80004000", false, false),
    (0x0b, "80010000", false, false),
    // disable_active_migration
    (0x0c, "", true, true),
    (0x0c, "00", false, false),
    // preferred_address
    (0x0d, PREFERRED_ADDRESS, false, true),
    (0x0d, "000000000000 000000000000000000000000000000000000 01c1 77777777777777777777777777777777", false, true),
    // … with no connection ID, with one that is too long, with a byte missing, with one too many
    (0x0d, "000000000000 000000000000000000000000000000000000 00 77777777777777777777777777777777", false, false),
    (
        0x0d,
        "000000000000 000000000000000000000000000000000000 15 c1c1c1c1c1c1c1c1c1c1c1c1c1c1c1c1c1c1c1c1c1 \
         77777777777777777777777777777777",
        false,
        false,
    ),
    (0x0d, "000000000000 000000000000000000000000000000000000 01c1 777777777777777777777777777777", false, false),
    (0x0d, "000000000000 000000000000000000000000000000000000 01c1 7777777777777777777777777777777777", false, false),
    // active_connection_id_limit: from 2, and without an upper bound
    (0x0e, "00", false, false),
    (0x0e, "01", false, false),
    (0x0e, "02", true, true),
    (0x0e, "09", true, true),
    (0x0e, "ffffffffffffffff", true, true),
    // initial_source_connection_id
    (0x0f, "", true, true),
    (0x0f, "c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0", true, true),
    (0x0f, "c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0", false, false),
    // retry_source_connection_id
    (0x10, "c0", false, true),
    // version_information: more in version/information.rs
    (0x11, "00000001 00000001", true, true),
    (0x11, "00000001", false, true),
    (0x11, "00000000 00000000", false, false),
    (0x11, "", false, false),
    // reset_stream_at
    (0x1d, "", true, true),
    (0x1d, "01", false, false),
    // max_datagram_frame_size: any
    (0x20, "00", true, true),
    (0x20, "01", true, true),
    (0x20, "44af", true, true),
    (0x20, "ffffffffffffffff", true, true),
    // grease_quic_bit
    (0x2ab2, "", true, true),
    (0x2ab2, "00", false, false),
    // disable_1rtt_encryption
    (0xbaad, "", true, true),
    (0xbaad, "00", false, false),
    // min_ack_delay: up to max_ack_delay, whose default is 25 ms
    (0xff04_de1b, "00", true, true),
    (0xff04_de1b, "800061a8", true, true),
    (0xff04_de1b, "800061a9", false, false),
    (0xff04_de1b, "", false, false),
    // Unknown, and reserved: whatever they hold.
    (0x12, "00", true, true),
    (0x3e, "ffff", true, true),
    (27, "", true, true),
    (31 * 1000 + 27, "00", true, true),
    ((1 << 62) - 1, "010203", true, true),
];

fn encode(id: u64, value: &[u8]) -> Vec<u8> {
    let mut buffer = vec![0; value.len() + 16];
    let mut writer = Writer::new(&mut buffer);
    writer.varint(varint(id)).unwrap();
    writer
        .varint(VarInt::try_from(value.len()).unwrap())
        .unwrap();
    writer.bytes(value).unwrap();
    writer.written().to_vec()
}

// [rfc9000-4.6-1] [rfc9000-7.4-1] [rfc9000-7.4.2-1] [rfc9000-18.2-4] [rfc9000-18.2-5]
// [rfc9000-18.2-7] [rfc9000-18.2-9]
#[test]
fn each_parameter_of_each_sender() {
    for &(id, value, client, server) in PARAMETERS {
        let bytes = encode(id, &hex(value));
        for (sender, valid) in [(Client, client), (Server, server)] {
            let result = TransportParameters::parse(&bytes, sender);
            assert_eq!(
                result.is_ok(),
                valid,
                "{id:#x} = {value} of {sender:?}: {result:?}"
            );
            if let Err(error) = result {
                assert_eq!(error.code, TransportErrorCode::TRANSPORT_PARAMETER_ERROR);
            }
        }
    }
}

#[test]
fn known_parameters_come_once() {
    for &(id, value, _, server) in PARAMETERS {
        let unknown = [0x12, 0x3e, 27, 31 * 1000 + 27, (1 << 62) - 1].contains(&id);
        let bytes = encode(id, &hex(value)).repeat(2);
        let result = TransportParameters::parse(&bytes, Server);
        assert_eq!(result.is_ok(), unknown, "{id:#x} = {value}");
        if server && !unknown {
            assert_eq!(result.unwrap_err().reason, "parameter is there twice");
        }
    }
}

#[test]
fn cut_anywhere_but_between_parameters_is_an_error() {
    for &(id, value, _, server) in PARAMETERS {
        let bytes = encode(id, &hex(value));
        for len in 1..bytes.len() {
            assert!(
                TransportParameters::parse(&bytes[..len], Server).is_err(),
                "{id:#x} = {value} cut to {len}"
            );
        }
        if server {
            assert!(TransportParameters::parse(&bytes, Server).is_ok());
        }
    }
    assert!(TransportParameters::parse(&hex("01 ffffffffffffffff 00"), Server).is_err());
}

// [rfc9000-7.4.1-3] [rfc9000-18.2-6]
#[test]
fn absent_parameters_have_their_defaults() {
    let parameters = TransportParameters::parse(&[], Client).unwrap();
    assert_eq!(parameters, TransportParameters::default());
    assert_eq!(parameters.max_udp_payload_size.get(), 65_527);
    assert_eq!(
        (parameters.ack_delay_exponent, parameters.max_ack_delay),
        (3, 25)
    );
    assert_eq!(parameters.active_connection_id_limit.get(), 2);
    let mut buffer = [0; 8];
    let mut writer = Writer::new(&mut buffer);
    parameters.emit(&mut writer, Server, None).unwrap();
    assert_eq!(writer.position(), 0);
}

#[test]
fn sample_of_rfc_9001_appendix_a_2() {
    let bytes = hex("0408ffffffffffffffff05048000ffff07048000ffff0801100104800075300901100f088394c8f03e51570806048000ffff");
    let expected = TransportParameters {
        initial_max_data: VarInt::MAX,
        initial_max_stream_data_bidi_local: varint(65_535),
        initial_max_stream_data_bidi_remote: varint(65_535),
        initial_max_stream_data_uni: varint(65_535),
        initial_max_streams_bidi: varint(16),
        initial_max_streams_uni: varint(16),
        max_idle_timeout: varint(30_000),
        initial_source_connection_id: Some(cid(&hex("8394c8f03e515708"))),
        ..TransportParameters::default()
    };
    assert_eq!(TransportParameters::parse(&bytes, Client), Ok(expected));
}

#[test]
fn preferred_address_of_one_family() {
    let parse = |value: &str| {
        TransportParameters::parse(&encode(0x0d, &hex(value)), Server)
            .unwrap()
            .preferred_address
            .unwrap()
    };
    let both = parse(PREFERRED_ADDRESS);
    assert_eq!(
        both.ipv4,
        Some(SocketAddrV4::new(Ipv4Addr::new(192, 0, 2, 1), 443))
    );
    let documentation = Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1);
    assert_eq!(both.ipv6, Some(SocketAddrV6::new(documentation, 443, 0, 0)));
    assert_eq!(both.connection_id, cid(&[0xc1, 0xc2]));
    let none = parse(
        "000000000000 000000000000000000000000000000000000 01c1 77777777777777777777777777777777",
    );
    assert_eq!((none.ipv4, none.ipv6), (None, None));
}

/// A server that sends all it has, with values as large as this implementation's limits.
fn full() -> TransportParameters {
    TransportParameters {
        original_destination_connection_id: Some(cid(&[0xd0; 20])),
        max_idle_timeout: varint(4_294_967),
        stateless_reset_token: Some(StatelessResetToken::new([0x77; 16])),
        max_udp_payload_size: varint(65_507),
        initial_max_data: varint(536_870_911),
        initial_max_stream_data_bidi_local: varint(268_435_455),
        initial_max_stream_data_bidi_remote: varint(268_435_455),
        initial_max_stream_data_uni: varint(268_435_455),
        initial_max_streams_bidi: varint(4096),
        initial_max_streams_uni: varint(4096),
        ack_delay_exponent: 20,
        max_ack_delay: 16_383,
        disable_active_migration: true,
        preferred_address: Some(PreferredAddress {
            ipv4: Some(SocketAddrV4::new(Ipv4Addr::new(192, 0, 2, 1), 443)),
            ipv6: None,
            connection_id: cid(&[0xc1; 8]),
            stateless_reset_token: StatelessResetToken::new([0x78; 16]),
        }),
        active_connection_id_limit: varint(8),
        initial_source_connection_id: Some(cid(&[0xc0; 8])),
        retry_source_connection_id: Some(cid(&[0xc2; 8])),
        version_information: Some(VersionInformation::new(Version::V2, &[V2, V1])),
        max_datagram_frame_size: varint(65_535),
        grease_quic_bit: true,
        reset_stream_at: true,
        min_ack_delay: Some(varint(1000)),
        disable_1rtt_encryption: true,
    }
}

#[test]
fn the_fullest_set_fits_the_buffer_of_tlshd() {
    let parameters = full();
    for grease in [None, Some(0), Some(u64::MAX), Some(0xe123_4567_89ab_cdef)] {
        let mut buffer = [0; TransportParameters::MAX_SIZE];
        let mut writer = Writer::new(&mut buffer);
        parameters.emit(&mut writer, Server, grease).unwrap();
        assert_eq!(
            TransportParameters::parse(writer.written(), Server),
            Ok(parameters)
        );
    }
}

// [rfc9000-7.4-2]
#[test]
fn order_of_the_parameters() {
    let mut buffer = [0; 300];
    let mut writer = Writer::new(&mut buffer);
    full()
        .emit(&mut writer, Server, Some((5 << 61) | 2))
        .unwrap();
    let mut reader = crate::bytes::Reader::new(writer.written());
    let mut ids = vec![];
    while !reader.is_empty() {
        ids.push(reader.varint().unwrap().get());
        let length = reader.varint().unwrap().get();
        reader.bytes_u64(length).unwrap();
    }
    let expected = [
        0x00,
        0x02,
        0x10,
        0x0d,
        0x0f,
        5,
        6,
        7,
        4,
        8,
        9,
        3,
        0x0a,
        0x0c,
        0xbaad,
        0x11,
        0x2ab2,
        0x0b,
        1,
        0x0e,
        0x20,
        0x1d,
        0xff04_de1b,
        31 * 2 + 27,
    ];
    assert_eq!(ids, expected);
}

// [rfc9000-18.2-1] [rfc9000-18.2-8]
#[test]
fn a_client_does_not_send_what_is_the_servers() {
    let mut buffer = [0; 300];
    let mut writer = Writer::new(&mut buffer);
    full().emit(&mut writer, Client, None).unwrap();
    let parsed = TransportParameters::parse(writer.written(), Client).unwrap();
    let expected = TransportParameters {
        original_destination_connection_id: None,
        stateless_reset_token: None,
        preferred_address: None,
        retry_source_connection_id: None,
        ..full()
    };
    assert_eq!(parsed, expected);
}

#[test]
fn what_does_not_fit_is_not_written_but_for_grease() {
    let mut buffer = [0; 300];
    let mut writer = Writer::new(&mut buffer);
    full().emit(&mut writer, Server, None).unwrap();
    let size = writer.position();
    for len in 0..size {
        let mut writer = Writer::new(&mut buffer[..len]);
        assert_eq!(full().emit(&mut writer, Server, None), Err(Full));
        assert_eq!(writer.position(), 0);
    }
    // The reserved version takes four bytes, and there is none for the reserved parameter.
    let mut writer = Writer::new(&mut buffer[..size + 4]);
    full().emit(&mut writer, Server, Some(u64::MAX)).unwrap();
    assert_eq!(writer.position(), size + 4);
}

// [rfc9000-7.3-2] [rfc9000-7.3-3] [rfc9000-7.3-4] [rfc9000-18.2-3] [rfc9000-18.2-5]
#[test]
fn connection_ids_are_authenticated() {
    let (odcid, scid, retry) = (cid(b"odcid"), cid(b"scid"), cid(b"retry"));
    let seen = |retry_source, peer_initial_source| HandshakeConnectionIds {
        original_destination: odcid,
        peer_initial_source,
        retry_source,
    };
    let sent = |original, initial, retry| TransportParameters {
        original_destination_connection_id: original,
        initial_source_connection_id: initial,
        retry_source_connection_id: retry,
        ..TransportParameters::default()
    };
    let some = Some;
    for (sender, parameters, retry_source, valid) in [
        (Client, sent(None, some(scid), None), None, true),
        // A server knows the Source Connection ID of its own Retry packet without being told.
        (Client, sent(None, some(scid), None), some(retry), true),
        (Client, sent(None, None, None), None, false),
        (Client, sent(None, some(odcid), None), None, false),
        (Server, sent(some(odcid), some(scid), None), None, true),
        (
            Server,
            sent(some(odcid), some(scid), some(retry)),
            some(retry),
            true,
        ),
        (Server, sent(None, some(scid), None), None, false),
        (Server, sent(some(scid), some(scid), None), None, false),
        (Server, sent(some(odcid), None, None), None, false),
        (Server, sent(some(odcid), some(odcid), None), None, false),
        (
            Server,
            sent(some(odcid), some(scid), some(retry)),
            None,
            false,
        ),
        (
            Server,
            sent(some(odcid), some(scid), None),
            some(retry),
            false,
        ),
        (
            Server,
            sent(some(odcid), some(scid), some(scid)),
            some(retry),
            false,
        ),
    ] {
        let result = parameters.authenticate(sender, &seen(retry_source, scid));
        assert_eq!(
            result.is_ok(),
            valid,
            "{sender:?} {parameters:?} {retry_source:?}"
        );
        if let Err(error) = result {
            assert_eq!(error.code, TransportErrorCode::TRANSPORT_PARAMETER_ERROR);
        }
    }

    let mut preferred = TransportParameters {
        initial_source_connection_id: some(ConnectionId::EMPTY),
        ..full()
    };
    preferred.original_destination_connection_id = some(odcid);
    let seen = seen(preferred.retry_source_connection_id, ConnectionId::EMPTY);
    assert!(preferred.authenticate(Server, &seen).is_err());
    preferred.preferred_address = None;
    assert_eq!(preferred.authenticate(Server, &seen), Ok(()));
}

// [rfc9000-7.4.1-2] [rfc9000-7.4.1-4]
#[test]
fn what_is_remembered_for_zero_rtt() {
    let remembered = full().remembered();
    let expected = TransportParameters {
        max_idle_timeout: full().max_idle_timeout,
        max_udp_payload_size: full().max_udp_payload_size,
        initial_max_data: full().initial_max_data,
        initial_max_stream_data_bidi_local: full().initial_max_stream_data_bidi_local,
        initial_max_stream_data_bidi_remote: full().initial_max_stream_data_bidi_remote,
        initial_max_stream_data_uni: full().initial_max_stream_data_uni,
        initial_max_streams_bidi: full().initial_max_streams_bidi,
        initial_max_streams_uni: full().initial_max_streams_uni,
        disable_active_migration: true,
        active_connection_id_limit: full().active_connection_id_limit,
        max_datagram_frame_size: full().max_datagram_frame_size,
        grease_quic_bit: true,
        reset_stream_at: true,
        disable_1rtt_encryption: true,
        ..TransportParameters::default()
    };
    assert_eq!(remembered, expected);
}

// [rfc9000-7.4.1-6]
#[test]
fn server_that_accepts_zero_rtt_keeps_its_limits() {
    let remembered = full().remembered();
    assert_eq!(full().check_zero_rtt(&remembered), Ok(()));
    type Field = fn(&mut TransportParameters) -> &mut VarInt;
    let fields: [Field; 8] = [
        |parameters| &mut parameters.active_connection_id_limit,
        |parameters| &mut parameters.initial_max_data,
        |parameters| &mut parameters.initial_max_stream_data_bidi_local,
        |parameters| &mut parameters.initial_max_stream_data_bidi_remote,
        |parameters| &mut parameters.initial_max_stream_data_uni,
        |parameters| &mut parameters.initial_max_streams_bidi,
        |parameters| &mut parameters.initial_max_streams_uni,
        |parameters| &mut parameters.max_datagram_frame_size,
    ];
    for field in fields {
        let mut new = full();
        let value = *field(&mut new);
        *field(&mut new) = varint(value.get() + 1);
        assert_eq!(new.check_zero_rtt(&remembered), Ok(()));
        *field(&mut new) = varint(value.get() - 1);
        let error = new.check_zero_rtt(&remembered).unwrap_err();
        assert_eq!(error.code, TransportErrorCode::PROTOCOL_VIOLATION);
    }
    let new = TransportParameters {
        reset_stream_at: false,
        ..full()
    };
    assert!(new.check_zero_rtt(&remembered).is_err());
    assert!(full()
        .check_zero_rtt(&TransportParameters {
            reset_stream_at: false,
            ..remembered
        })
        .is_ok());
}

#[test]
fn frame_rules_follow_what_was_sent() {
    let rules = full().frame_rules(Server);
    assert_eq!(rules.role, Server);
    assert_eq!(
        (rules.max_datagram_frame_size, rules.min_ack_delay),
        (varint(65_535), Some(varint(1000)))
    );
    assert!(rules.reset_stream_at);
    assert!(
        !TransportParameters::default()
            .frame_rules(Client)
            .reset_stream_at
    );
}

proptest! {
    #[test]
    fn what_is_emitted_is_parsed(
        numbers in proptest::array::uniform9(0..=VarInt::MAX.get()),
        (exponent, delay) in (0..=20_u8, 0..1_u16 << 14),
        flags in proptest::array::uniform5(any::<bool>()),
        bytes in proptest::collection::vec(any::<u8>(), 1..=20),
        version in prop_oneof![Just(V1), Just(V2)],
        server: bool,
        grease: Option<u64>,
    ) {
        let sender = if server { Server } else { Client };
        let of_server = server.then(|| cid(&bytes));
        let parameters = TransportParameters {
            original_destination_connection_id: of_server,
            max_idle_timeout: varint(numbers[0]),
            stateless_reset_token: of_server.map(|_| StatelessResetToken::new([bytes[0]; 16])),
            max_udp_payload_size: varint(numbers[1].max(1200)),
            initial_max_data: varint(numbers[2]),
            initial_max_stream_data_bidi_local: varint(numbers[3]),
            initial_max_stream_data_bidi_remote: varint(numbers[4]),
            initial_max_stream_data_uni: varint(numbers[5]),
            initial_max_streams_bidi: varint(numbers[6] >> 2),
            initial_max_streams_uni: varint(numbers[7] >> 2),
            ack_delay_exponent: exponent,
            max_ack_delay: delay,
            disable_active_migration: flags[0],
            preferred_address: of_server.map(|connection_id| PreferredAddress {
                ipv4: flags[1].then_some(SocketAddrV4::new(Ipv4Addr::LOCALHOST, delay)),
                ipv6: flags[2].then_some(SocketAddrV6::new(Ipv6Addr::LOCALHOST, delay, 0, 0)),
                connection_id,
                stateless_reset_token: StatelessResetToken::new([bytes[0]; 16]),
            }),
            active_connection_id_limit: varint(numbers[8].max(2)),
            initial_source_connection_id: Some(cid(&bytes)),
            retry_source_connection_id: of_server,
            version_information: flags[3].then(|| VersionInformation::new(version.into(), &[version])),
            max_datagram_frame_size: varint(numbers[0] / 2),
            grease_quic_bit: flags[1],
            reset_stream_at: flags[2],
            min_ack_delay: flags[4].then(|| varint(u64::from(delay) * 500)),
            disable_1rtt_encryption: flags[3],
        };
        let mut buffer = [0; 400];
        let mut writer = Writer::new(&mut buffer);
        parameters.emit(&mut writer, sender, grease).unwrap();
        prop_assert_eq!(TransportParameters::parse(writer.written(), sender), Ok(parameters));
    }

    #[test]
    fn arbitrary_bytes_do_not_panic(
        pairs in proptest::collection::vec((0..0x24_u64, proptest::collection::vec(any::<u8>(), 0..30)), 0..20),
        cut in 0..10_usize,
    ) {
        let mut bytes: Vec<u8> = pairs.iter().flat_map(|(id, value)| encode(*id, value)).collect();
        bytes.truncate(bytes.len().saturating_sub(cut));
        for sender in [Client, Server] {
            if let Err(error) = TransportParameters::parse(&bytes, sender) {
                prop_assert_eq!(error.code, TransportErrorCode::TRANSPORT_PARAMETER_ERROR);
            }
        }
    }
}
