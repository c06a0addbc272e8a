// SPDX-License-Identifier: GPL-2.0 OR MIT

//! What a peer must not do, and the error that each case ends the connection with: the transport
//! checks of public conformance tools, and more of their kind. The packets are authentic.

use super::pair::{cid, parameters, secret, Flying, Pair, Seen, SUITE};
use crate::bytes::Writer;
use crate::connection::State;
use crate::crypto::rustcrypto::RustCrypto;
use crate::crypto::{InitialSecrets, KeyUse, TrafficSecret};
use crate::ecn::EcnCodepoint;
use crate::error::TransportErrorCode as Code;
use crate::packet::{Header, LongPacketType, PacketNumber, PacketType, MIN_INITIAL_DATAGRAM};
use crate::role::Role;
use crate::testing::hex;
use crate::time::Duration;
use crate::transport_parameters::TransportParameters;
use crate::varint::VarInt;
use crate::version::SupportedVersion::V1;
use PacketType::{Handshake, Initial, OneRtt, ZeroRtt};
use Role::{Client, Server};

/// When a packet comes.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub(super) enum When {
    /// Both endpoints have Handshake keys, and no more.
    Handshake,
    /// The handshake is confirmed.
    Confirmed,
}
use When::Confirmed;

const FLOW_CONTROL_ERROR: Code = Code::FLOW_CONTROL_ERROR;
const STREAM_LIMIT_ERROR: Code = Code::STREAM_LIMIT_ERROR;
const STREAM_STATE_ERROR: Code = Code::STREAM_STATE_ERROR;
const FINAL_SIZE_ERROR: Code = Code::FINAL_SIZE_ERROR;
const FRAME_ENCODING_ERROR: Code = Code::FRAME_ENCODING_ERROR;
const CONNECTION_ID_LIMIT_ERROR: Code = Code::CONNECTION_ID_LIMIT_ERROR;
const PROTOCOL_VIOLATION: Code = Code::PROTOCOL_VIOLATION;
const CRYPTO_BUFFER_EXCEEDED: Code = Code::CRYPTO_BUFFER_EXCEEDED;

/// A pair at that moment.
pub(super) fn pair_at(when: When) -> Pair {
    let mut pair = Pair::of_version_1();
    match when {
        When::Handshake => pair.run_until(|pair| {
            let both = [Some(&pair.client), pair.server.as_ref()];
            both.into_iter()
                .all(|end| end.is_some_and(|end| end.connection.keys.can_receive(Handshake)))
        }),
        Confirmed => {
            pair.connect();
            pair.run_for(Duration::from_secs(1));
        }
    }
    pair
}

/// A packet of `from` with these frames; `bits` are set in its first byte.
pub(super) fn forge(
    pair: &mut Pair,
    from: Role,
    packet_type: PacketType,
    bits: u8,
    frames: &[u8],
) -> Vec<u8> {
    let (dcid, scid) = match from {
        Client => (cid(0x5e), cid(0xc1)),
        Server => (cid(0xc1), cid(0x5e)),
    };
    let traffic = match packet_type {
        Initial => {
            let original = *pair.client.connection.original_dcid();
            let secrets = InitialSecrets::derive(&RustCrypto, V1, &original);
            match from {
                Client => secrets.client,
                Server => secrets.server,
            }
        }
        _ => TrafficSecret::new(SUITE, V1, &secret(from, packet_type)).unwrap(),
    };
    let header = match packet_type {
        OneRtt => Header::Short {
            dcid,
            spin: false,
            key_phase: false,
        },
        _ => Header::Long {
            packet_type: match packet_type {
                Initial => LongPacketType::Initial { token: b"" },
                ZeroRtt => LongPacketType::ZeroRtt,
                Handshake | OneRtt => LongPacketType::Handshake,
            },
            version: V1,
            dcid,
            scid,
        },
    };
    let mut buffer = [0; 1500];
    let mut writer = Writer::new(&mut buffer);
    // In four bytes, so that even a packet without frames has its sample.
    let number = PacketNumber::new(1 << 25).unwrap();
    let packet = header.emit(&mut writer, number, None, true).unwrap();
    writer.written_mut(0)[0] |= bits;
    writer.bytes(frames).unwrap();
    let pad = match packet_type {
        Initial => MIN_INITIAL_DATAGRAM - 16 - writer.position(),
        // PADDING would be a frame.
        _ if frames.is_empty() => 0,
        _ => 40,
    };
    writer.fill(pad, 0).unwrap();
    let header_key = traffic.header_key(&RustCrypto, KeyUse::OneRtt).unwrap();
    let mut protection = traffic
        .packet_protection(&RustCrypto, KeyUse::OneRtt)
        .unwrap();
    let range = packet
        .seal(&mut writer, &header_key, &mut protection)
        .unwrap();
    writer.written()[range].to_vec()
}

/// Gives a datagram of `from` to the other endpoint, and tells how that ended its connection.
pub(super) fn answer(pair: &mut Pair, from: Role, bytes: Vec<u8>) -> Option<String> {
    let addresses = pair.client.connection.addresses().unwrap();
    let (from_address, to) = match from {
        Client => (addresses.local, addresses.remote),
        Server => (addresses.remote, addresses.local),
    };
    pair.network.clear();
    pair.network.push_back(Flying {
        at: pair.now,
        from: from_address,
        to,
        ecn: EcnCodepoint::NotEct,
        bytes,
    });
    pair.step();
    let victim = match from {
        Client => pair.server(),
        Server => &mut pair.client,
    };
    let ended = victim.connection.state() != State::Open;
    let reason = victim.world.events.iter().find_map(|event| match event {
        Seen::Closed(text) => Some(text.clone()),
        _ => None,
    });
    assert_eq!(ended, reason.is_some());
    reason
}

fn has_code(reason: &str, code: Code) -> bool {
    reason.contains(&format!("code: {code:?},"))
}

/// Who sends, when, in which packet, which frames, and the error.
///
/// Stream 0 is the client's first bidirectional stream, 1 the server's, 2 and 3 unidirectional.
const FRAMES: &[(Role, When, PacketType, &str, Code)] = &[
    // --- flow control and limits: 256 KiB a stream, 100 streams of each kind
    (
        Client,
        Confirmed,
        OneRtt,
        "0e 00 80040000 01 aa",
        FLOW_CONTROL_ERROR,
    ),
    (
        Client,
        Confirmed,
        OneRtt,
        "0e 02 ffffffff00000000 01 aa",
        FLOW_CONTROL_ERROR,
    ),
    (
        Client,
        Confirmed,
        OneRtt,
        "04 00 00 80040001",
        FLOW_CONTROL_ERROR,
    ),
    (Client, Confirmed, OneRtt, "08 4190", STREAM_LIMIT_ERROR),
    (Client, Confirmed, OneRtt, "08 4192", STREAM_LIMIT_ERROR),
    (Client, Confirmed, OneRtt, "05 4190 00", STREAM_LIMIT_ERROR),
    (Client, Confirmed, OneRtt, "15 4190 00", STREAM_LIMIT_ERROR),
    (Server, Confirmed, OneRtt, "08 4191", STREAM_LIMIT_ERROR),
    // --- streams: wrong direction, or not there
    (Client, Confirmed, OneRtt, "04 03 00 00", STREAM_STATE_ERROR),
    (Client, Confirmed, OneRtt, "05 01 00", STREAM_STATE_ERROR),
    (Client, Confirmed, OneRtt, "05 02 00", STREAM_STATE_ERROR),
    (Client, Confirmed, OneRtt, "08 01 aa", STREAM_STATE_ERROR),
    (Client, Confirmed, OneRtt, "08 03 aa", STREAM_STATE_ERROR),
    (Client, Confirmed, OneRtt, "11 01 00", STREAM_STATE_ERROR),
    (Client, Confirmed, OneRtt, "11 02 00", STREAM_STATE_ERROR),
    (Client, Confirmed, OneRtt, "15 03 00", STREAM_STATE_ERROR),
    (Server, Confirmed, OneRtt, "04 02 00 00", STREAM_STATE_ERROR),
    (Server, Confirmed, OneRtt, "08 00 aa", STREAM_STATE_ERROR),
    (Server, Confirmed, OneRtt, "08 02 aa", STREAM_STATE_ERROR),
    (Server, Confirmed, OneRtt, "11 03 00", STREAM_STATE_ERROR),
    // --- final sizes
    (
        Client,
        Confirmed,
        OneRtt,
        "0f 00 05 01 aa 0e 00 06 01 aa",
        FINAL_SIZE_ERROR,
    ),
    (
        Client,
        Confirmed,
        OneRtt,
        "0f 00 05 01 aa 0f 00 04 01 aa",
        FINAL_SIZE_ERROR,
    ),
    (
        Client,
        Confirmed,
        OneRtt,
        "0e 00 05 01 aa 04 00 00 05",
        FINAL_SIZE_ERROR,
    ),
    // --- frames that cannot be read
    (Client, Confirmed, OneRtt, "4141", FRAME_ENCODING_ERROR),
    (Client, Confirmed, OneRtt, "21", FRAME_ENCODING_ERROR),
    (
        Client,
        Confirmed,
        OneRtt,
        "12 d000000000000001",
        FRAME_ENCODING_ERROR,
    ),
    (
        Client,
        Confirmed,
        OneRtt,
        "13 d000000000000001",
        FRAME_ENCODING_ERROR,
    ),
    (
        Client,
        Confirmed,
        OneRtt,
        "16 d000000000000001",
        FRAME_ENCODING_ERROR,
    ),
    (
        Client,
        Confirmed,
        OneRtt,
        "17 d000000000000001",
        FRAME_ENCODING_ERROR,
    ),
    (
        Client,
        Confirmed,
        OneRtt,
        "18 01 02 08 0102030405060708 77777777777777777777777777777777",
        FRAME_ENCODING_ERROR,
    ),
    (
        Client,
        Confirmed,
        OneRtt,
        "18 01 00 00 77777777777777777777777777777777",
        FRAME_ENCODING_ERROR,
    ),
    (
        Client,
        Confirmed,
        OneRtt,
        "18 01 00 15 010203040506070809101112131415161718192021 77777777777777777777777777777777",
        FRAME_ENCODING_ERROR,
    ),
    (
        Client,
        Confirmed,
        OneRtt,
        "0e 02 ffffffffffffffff 01 aa",
        FRAME_ENCODING_ERROR,
    ),
    (Server, Confirmed, OneRtt, "07 00", FRAME_ENCODING_ERROR),
    // --- frames at a level where they do not belong, or from the wrong side
    (Client, When::Handshake, Handshake, "", PROTOCOL_VIOLATION),
    (Client, Confirmed, OneRtt, "", PROTOCOL_VIOLATION),
    (
        Client,
        When::Handshake,
        Handshake,
        "1a 0102030405060708",
        PROTOCOL_VIOLATION,
    ),
    (
        Server,
        When::Handshake,
        Handshake,
        "08 01 aa",
        PROTOCOL_VIOLATION,
    ),
    (Server, When::Handshake, Handshake, "1e", PROTOCOL_VIOLATION),
    (
        Server,
        When::Handshake,
        Handshake,
        "1d 00 00",
        PROTOCOL_VIOLATION,
    ),
    (Client, Confirmed, OneRtt, "07 01 aa", PROTOCOL_VIOLATION),
    (Client, Confirmed, OneRtt, "1e", PROTOCOL_VIOLATION),
    // --- connection IDs: 7 of ours are held, those of the peer are 8 bytes
    (
        Client,
        Confirmed,
        OneRtt,
        "18 3f 00 08 0102030405060708 77777777777777777777777777777777",
        CONNECTION_ID_LIMIT_ERROR,
    ),
    (Client, Confirmed, OneRtt, "19 3f", PROTOCOL_VIOLATION),
    (
        Client,
        Confirmed,
        OneRtt,
        "18 01 00 08 0102030405060708 77777777777777777777777777777777",
        PROTOCOL_VIOLATION,
    ),
    // --- TLS is at a higher level
    (
        Client,
        When::Handshake,
        Initial,
        "06 44ff 01 aa",
        PROTOCOL_VIOLATION,
    ),
    // --- acknowledgments of what was not sent, CRYPTO without an end
    (
        Client,
        Confirmed,
        OneRtt,
        "02 7fff 00 00 00",
        PROTOCOL_VIOLATION,
    ),
    (
        Client,
        Confirmed,
        OneRtt,
        "02 01 00 00 05",
        FRAME_ENCODING_ERROR,
    ),
    (
        Client,
        Confirmed,
        OneRtt,
        "06 80020000 01 aa",
        CRYPTO_BUFFER_EXCEEDED,
    ),
];

// [rfc9000-4.1-2] [rfc9000-12.4-1] [rfc9000-12.4-2] [rfc9000-12.5-1]
// [rfc9000-19.7-2] [rfc9000-19.20-2]
#[test]
fn each_wrong_frame_has_its_error() {
    for &(from, when, packet_type, frames, expected) in FRAMES {
        let mut pair = pair_at(when);
        let bytes = forge(&mut pair, from, packet_type, 0, &hex(frames));
        let name = format!("{frames:?} of the {from:?} in {packet_type:?}");
        let reason = answer(&mut pair, from, bytes).unwrap_or_else(|| panic!("{name}: nothing"));
        assert!(has_code(&reason, expected), "{name}: {reason}");
    }
}

// [rfc9000-17.2-3] [rfc9000-17.3.1-3]
#[test]
fn reserved_bits_are_zero() {
    for (when, packet_type, bits) in [
        (When::Handshake, Handshake, 0x0c),
        (When::Handshake, Initial, 0x08),
        (Confirmed, OneRtt, 0x18),
        (Confirmed, OneRtt, 0x08),
    ] {
        let mut pair = pair_at(when);
        let bytes = forge(&mut pair, Client, packet_type, bits, &[1]);
        let reason = answer(&mut pair, Client, bytes).unwrap();
        assert!(
            has_code(&reason, PROTOCOL_VIOLATION),
            "{packet_type:?}: {reason}"
        );
    }
}

// [rfc9000-12.5-1]
#[test]
fn crypto_does_not_come_in_early_data() {
    let mut pair = pair_at(When::Handshake);
    let now = pair.now;
    pair.server().with(now, |connection, cx| {
        let secret = secret(Client, ZeroRtt);
        connection
            .install_secret(cx, ZeroRtt, false, SUITE, &secret)
            .unwrap();
    });
    let bytes = forge(&mut pair, Client, ZeroRtt, 0, &hex("06 00 01 aa"));
    let reason = answer(&mut pair, Client, bytes).unwrap();
    assert!(has_code(&reason, PROTOCOL_VIOLATION), "{reason}");
}

/// A packet with nothing wrong is taken: the forger knows how.
#[test]
fn what_is_right_does_no_harm() {
    for (when, packet_type, frames) in [
        (When::Handshake, Handshake, "01"),
        (When::Handshake, Initial, "01"),
        (Confirmed, OneRtt, "0a 00 01 aa"),
        (Confirmed, OneRtt, "1a 0102030405060708"),
    ] {
        let mut pair = pair_at(when);
        let received = pair.server().connection.stats().packets_received;
        let bytes = forge(&mut pair, Client, packet_type, 0, &hex(frames));
        assert_eq!(answer(&mut pair, Client, bytes), None);
        assert_eq!(
            pair.server().connection.stats().packets_received,
            received + 1
        );
    }
}

/// What the transport parameters of `sender` are, if `change` is made to them as they are encoded.
fn refused(sender: Role, change: impl FnOnce(&mut TransportParameters), extra: &str) -> Code {
    let mut pair = Pair::new();
    if sender == Server {
        pair.run_until(|pair| pair.client.connection.keys.can_receive(Handshake));
    } else {
        pair.run_until(|pair| pair.server.is_some());
    }
    let now = pair.now;
    let mut declared = parameters();
    match sender {
        Client => declared.initial_source_connection_id = Some(cid(0xc1)),
        Server => {
            declared.initial_source_connection_id = Some(cid(0x5e));
            declared.original_destination_connection_id =
                Some(*pair.client.connection.original_dcid());
        }
    }
    change(&mut declared);
    let mut buffer = [0; 2048];
    let mut writer = Writer::new(&mut buffer);
    declared.emit(&mut writer, sender, None).unwrap();
    writer.bytes(&hex(extra)).unwrap();
    let victim = match sender {
        Client => pair.server(),
        Server => &mut pair.client,
    };
    let bytes = writer.written().to_vec();
    let error = victim.with(now, |connection, cx| {
        connection.set_peer_parameters(cx, &bytes)
    });
    assert_eq!(victim.connection.state(), State::Closing);
    error.unwrap_err().code
}

// [rfc9000-7.3-3] [rfc9000-7.3-4] [rfc9000-7.4-1] [rfc9000-18.2-4]
#[test]
fn each_wrong_parameter_has_its_error() {
    type Change = fn(&mut TransportParameters);
    let same: Change = |_| {};
    let cases: &[(Role, Change, &str)] = &[
        (Client, |p| p.initial_source_connection_id = None, ""),
        (Client, |p| p.initial_source_connection_id = Some(cid(9)), ""),
        (Client, same, "00 08 0102030405060708"),
        (Client, same, "02 10 77777777777777777777777777777777"),
        (Client, same, "0d 2a 000000000000 000000000000000000000000000000000000 01c1 77777777777777777777777777777777"),
        (Client, same, "10 08 0102030405060708"),
        (Client, |p| p.max_udp_payload_size = VarInt::from_u32(1199), ""),
        (Client, |p| p.ack_delay_exponent = 21, ""),
        (Client, same, "0b 04 80004000"),
        (Server, |p| p.initial_source_connection_id = None, ""),
        (Server, |p| p.initial_source_connection_id = Some(cid(9)), ""),
        (Server, |p| p.original_destination_connection_id = None, ""),
        (Server, |p| p.original_destination_connection_id = Some(cid(9)), ""),
        (Server, |p| p.retry_source_connection_id = Some(cid(9)), ""),
        (Server, |p| p.active_connection_id_limit = VarInt::from_u32(1), ""),
    ];
    for (number, (sender, change, extra)) in cases.iter().enumerate() {
        let code = refused(*sender, change, extra);
        assert_eq!(code, Code::TRANSPORT_PARAMETER_ERROR, "case {number}");
    }
}
