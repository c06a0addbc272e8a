// SPDX-License-Identifier: GPL-2.0 OR MIT

//! Every frame: its bytes, what must be refused and with which error, and what any bytes at all do.

use super::*;
use crate::cid::{ConnectionId, StatelessResetToken};
use crate::error::TransportError;
use crate::packet::{PacketNumber, PacketType};
use crate::role::Role;
use crate::testing::hex;
use proptest::prelude::*;
use Directionality::{Bidirectional, Unidirectional};

/// Everything that can be accepted is.
const LENIENT: FrameRules = FrameRules {
    role: Role::Client,
    max_datagram_frame_size: VarInt::from_u32(65_535),
    min_ack_delay: Some(VarInt::from_u32(1000)),
    reset_stream_at: true,
};

/// An endpoint without extensions.
const PLAIN: FrameRules = FrameRules {
    role: Role::Client,
    max_datagram_frame_size: VarInt::ZERO,
    min_ack_delay: None,
    reset_stream_at: false,
};

fn varint(value: u64) -> VarInt {
    VarInt::new(value).unwrap()
}

fn id(value: u64) -> StreamId {
    StreamId::new(varint(value))
}

fn cid(bytes: &[u8]) -> ConnectionId {
    ConnectionId::new(bytes).unwrap()
}

fn data(offset: usize, bytes: &[u8]) -> Payload<'_> {
    Payload { bytes, offset }
}

fn parse<'a>(payload: &'a [u8], rules: &FrameRules) -> Result<Vec<Frame<'a>>, TransportError> {
    Frames::new(payload, PacketType::OneRtt, rules)?.collect()
}

/// Calls `check` with the encoding of every frame, in the shortest form and the one this crate
/// sends, and the frame.
fn each_frame(mut check: impl FnMut(&str, Frame<'_>)) {
    let token = StatelessResetToken::new([0x77; 16]);
    check("00", Frame::Padding { length: 1 });
    check("00 00 00", Frame::Padding { length: 3 });
    check("01", Frame::Ping);
    check("04 04 4100 80010000", {
        Frame::ResetStream(ResetStream {
            id: id(4),
            error: varint(0x100),
            final_size: varint(0x10000),
        })
    });
    check(
        "05 05 07",
        Frame::StopSending(StopSending {
            id: id(5),
            error: varint(7),
        }),
    );
    check(
        "06 00 03 616263",
        Frame::Crypto(Crypto {
            offset: varint(0),
            data: data(3, b"abc"),
        }),
    );
    check(
        "06 7fff 00",
        Frame::Crypto(Crypto {
            offset: varint(0x3fff),
            data: data(4, b""),
        }),
    );
    check("07 03 010203", Frame::NewToken { token: &[1, 2, 3] });
    let stream = |offset, fin, at, bytes| {
        Frame::Stream(Stream {
            id: id(8),
            offset: varint(offset),
            fin,
            data: data(at, bytes),
        })
    };
    check("0a 08 02 6869", stream(0, false, 3, b"hi"));
    check("0b 08 02 6869", stream(0, true, 3, b"hi"));
    check("0b 08 00", stream(0, true, 3, b""));
    check("0e 08 01 02 6869", stream(1, false, 4, b"hi"));
    check("0f 08 4040 02 6869", stream(0x40, true, 5, b"hi"));
    check(
        "10 bfffffff",
        Frame::MaxData {
            maximum: varint(0x3fff_ffff),
        },
    );
    check(
        "11 0c 00",
        Frame::MaxStreamData {
            id: id(12),
            maximum: varint(0),
        },
    );
    let most = varint(1 << 60);
    check(
        "12 d000000000000000",
        Frame::MaxStreams {
            directionality: Bidirectional,
            maximum: most,
        },
    );
    check(
        "13 05",
        Frame::MaxStreams {
            directionality: Unidirectional,
            maximum: varint(5),
        },
    );
    check(
        "14 ffffffffffffffff",
        Frame::DataBlocked {
            maximum: VarInt::MAX,
        },
    );
    check(
        "15 0c 09",
        Frame::StreamDataBlocked {
            id: id(12),
            maximum: varint(9),
        },
    );
    check(
        "16 05",
        Frame::StreamsBlocked {
            directionality: Bidirectional,
            maximum: varint(5),
        },
    );
    check(
        "17 d000000000000000",
        Frame::StreamsBlocked {
            directionality: Unidirectional,
            maximum: most,
        },
    );
    check("18 02 02 01 c1 77777777777777777777777777777777", {
        Frame::NewConnectionId(NewConnectionId {
            sequence: varint(2),
            retire_prior_to: varint(2),
            connection_id: cid(&[0xc1]),
            stateless_reset_token: token,
        })
    });
    check(
        "18 4040 00 14 c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0 77777777777777777777777777777777",
        {
            Frame::NewConnectionId(NewConnectionId {
                sequence: varint(0x40),
                retire_prior_to: varint(0),
                connection_id: cid(&[0xc0; 20]),
                stateless_reset_token: token,
            })
        },
    );
    check(
        "19 4040",
        Frame::RetireConnectionId {
            sequence: varint(0x40),
        },
    );
    check(
        "1a 0102030405060708",
        Frame::PathChallenge {
            data: [1, 2, 3, 4, 5, 6, 7, 8],
        },
    );
    check(
        "1b 0102030405060708",
        Frame::PathResponse {
            data: [1, 2, 3, 4, 5, 6, 7, 8],
        },
    );
    check("1c 4178 06 02 6869", {
        let cause = CloseCause::Transport {
            code: TransportErrorCode::crypto(120),
            frame_type: varint(6),
        };
        Frame::ConnectionClose(ConnectionClose {
            cause,
            reason: b"hi",
        })
    });
    check("1d 09 00", {
        let cause = CloseCause::Application { code: varint(9) };
        Frame::ConnectionClose(ConnectionClose { cause, reason: b"" })
    });
    check("1e", Frame::HandshakeDone);
    check("1f", Frame::ImmediateAck);
    let reset = ResetStream {
        id: id(4),
        error: varint(1),
        final_size: varint(9),
    };
    check(
        "24 04 01 09 09",
        Frame::ResetStreamAt(ResetStreamAt {
            reset,
            reliable_size: varint(9),
        }),
    );
    check(
        "31 02 6869",
        Frame::Datagram {
            data: data(2, b"hi"),
        },
    );
    check("31 00", Frame::Datagram { data: data(2, b"") });
    check("40af 01 0a 80f9ffff 03", {
        Frame::AckFrequency(AckFrequency {
            sequence: varint(1),
            ack_eliciting_threshold: varint(10),
            requested_max_ack_delay: varint(16_383_999),
            reordering_threshold: varint(3),
        })
    });
    for encoding in [
        "02 0a 05 00 0a",
        "02 4064 00 02 00 00 00 01 02",
        "03 0a 05 01 00 01 01 4100 00 05",
    ] {
        let bytes = hex(encoding);
        check(encoding, parse(&bytes, &LENIENT).unwrap().remove(0));
    }
}

// [rfc9000-12.4-5] [rfc9000-19.3-1]
#[test]
fn every_frame_is_parsed_and_emitted() {
    let mut types = std::collections::BTreeSet::new();
    each_frame(|encoding, frame| {
        let bytes = hex(encoding);
        assert_eq!(
            parse(&bytes, &LENIENT),
            Ok(vec![frame.clone()]),
            "{encoding}"
        );
        let mut buffer = [0xee; 64];
        let mut writer = Writer::new(&mut buffer);
        frame.emit(&mut writer).unwrap();
        assert_eq!(writer.written(), bytes);
        assert_eq!(frame.size(), bytes.len(), "{encoding}");
        assert_eq!(
            Reader::new(&bytes).varint(),
            Ok(varint(frame.frame_type().get()))
        );
        assert_eq!(
            frame.is_ack_eliciting(),
            frame.frame_type().is_ack_eliciting(),
            "{encoding}"
        );
        assert_eq!(
            frame.is_probing(),
            frame.frame_type().is_probing(),
            "{encoding}"
        );
        types.insert(frame.frame_type());
        // What does not fit is not written.
        for len in 0..bytes.len() {
            let mut writer = Writer::new(&mut buffer[..len]);
            assert_eq!(frame.emit(&mut writer), Err(Full), "{encoding} in {len}");
            assert_eq!(writer.position(), 0);
        }
    });
    // All that the table knows but STREAM and DATAGRAM to the end of the packet, which `emit` never
    // writes.
    let missing: Vec<_> = (0..0x100)
        .map(FrameType::new)
        .filter(|frame_type| frame_type.rule().is_some() && !types.contains(frame_type))
        .collect();
    let open_ended = [
        FrameType::STREAM,
        FrameType::STREAM_FIN,
        FrameType::STREAM_OFF,
        FrameType::STREAM_OFF_FIN,
        FrameType::DATAGRAM,
    ];
    assert_eq!(missing, open_ended);
}

#[test]
fn every_frame_cut_anywhere_is_an_error() {
    each_frame(|encoding, frame| {
        // Less padding is padding.
        if matches!(frame, Frame::Padding { .. }) {
            return;
        }
        let bytes = hex(encoding);
        for len in 1..bytes.len() {
            let error = parse(&bytes[..len], &LENIENT).unwrap_err();
            assert_eq!(
                error.code,
                TransportErrorCode::FRAME_ENCODING_ERROR,
                "{encoding} cut to {len}"
            );
            assert!(
                error.frame == frame.frame_type().get() || len == 1,
                "{encoding} cut to {len}"
            );
        }
    });
}

#[test]
fn data_without_length_goes_to_the_end() {
    let stream = |offset, fin, at| {
        Frame::Stream(Stream {
            id: id(4),
            offset: varint(offset),
            fin,
            data: data(at, b"to the end"),
        })
    };
    for (header, frame) in [
        ("08 04", stream(0, false, 2)),
        ("09 04", stream(0, true, 2)),
        ("0c 04 05", stream(5, false, 3)),
        ("0d 04 05", stream(5, true, 3)),
        (
            "30",
            Frame::Datagram {
                data: data(1, b"to the end"),
            },
        ),
    ] {
        let bytes = [&hex(header)[..], b"to the end"].concat();
        assert_eq!(parse(&bytes, &LENIENT), Ok(vec![frame]));
    }
    // The headers that write them.
    for (offset, fin, expected) in [
        (0, false, "08 04"),
        (0, true, "09 04"),
        (5, false, "0c 04 05"),
        (5, true, "0d 04 05"),
    ] {
        let header = StreamHeader {
            id: id(4),
            offset: varint(offset),
            fin,
            length: None,
        };
        let mut buffer = [0; 8];
        let mut writer = Writer::new(&mut buffer);
        header.emit(&mut writer).unwrap();
        assert_eq!(writer.written(), hex(expected));
        assert_eq!(header.size(), writer.position());
    }
    let mut buffer = [0; 1];
    DatagramHeader { length: None }
        .emit(&mut Writer::new(&mut buffer))
        .unwrap();
    assert_eq!(buffer, [0x30]);
}

#[test]
fn several_frames_keep_their_positions() {
    // PING, PADDING, CRYPTO, ACK, STREAM to the end.
    let bytes = hex("01 0000 06 05 02 c0c1 02 07 00 00 00 0c 04 02 d0d1d2");
    let frames = parse(&bytes, &PLAIN).unwrap();
    let offsets: Vec<_> = frames
        .iter()
        .filter_map(|frame| match frame {
            Frame::Crypto(frame) => Some(frame.data),
            Frame::Stream(frame) => Some(frame.data),
            _ => None,
        })
        .collect();
    assert_eq!(frames.len(), 5);
    assert_eq!(
        offsets,
        [data(6, &[0xc0, 0xc1]), data(16, &[0xd0, 0xd1, 0xd2])]
    );
    for payload in offsets {
        assert_eq!(
            bytes[payload.offset..][..payload.bytes.len()],
            *payload.bytes
        );
    }
}

// [rfc9000-4.6-1] [rfc9000-12.4-2] [rfc9000-12.4-4] [rfc9000-19.3.1-1] [rfc9000-19.6-1]
// [rfc9000-19.7-2] [rfc9000-19.7-4] [rfc9000-19.8-2] [rfc9000-19.11-1] [rfc9000-19.14-1]
// [rfc9000-19.15-1] [rfc9000-19.15-6] [rfc9000-19.20-2]
/// Frames that are to be refused: the payload, the rules, the error and its frame type.
#[test]
fn refused_frames() {
    const ENCODING: TransportErrorCode = TransportErrorCode::FRAME_ENCODING_ERROR;
    const VIOLATION: TransportErrorCode = TransportErrorCode::PROTOCOL_VIOLATION;
    let server = FrameRules {
        role: Role::Server,
        ..LENIENT
    };
    let small_datagrams = FrameRules {
        max_datagram_frame_size: varint(4),
        ..LENIENT
    };
    let token = "77777777777777777777777777777777";
    for (payload, rules, code, frame) in [
        // RFC 9000 §12.4
        ("", &LENIENT, VIOLATION, 0),
        ("20", &LENIENT, ENCODING, 0x20),
        ("3f", &LENIENT, ENCODING, 0x3f),
        ("4040", &LENIENT, ENCODING, 0x40),
        ("7e75 00", &LENIENT, ENCODING, 0x3e75),
        ("ffffffffffffffff", &LENIENT, ENCODING, (1 << 62) - 1),
        ("4001", &LENIENT, VIOLATION, 0x01),
        ("80000001", &LENIENT, VIOLATION, 0x01),
        ("c000000000000001", &LENIENT, VIOLATION, 0x01),
        ("4008 04", &LENIENT, VIOLATION, 0x08),
        ("800000af 01 0a 02 03", &LENIENT, VIOLATION, 0xaf),
        // RFC 9000 §19.3.1
        ("02 00 00 00 01", &LENIENT, ENCODING, 0x02),
        ("03 05 00 01 00 04 00 00 00 00", &LENIENT, ENCODING, 0x03),
        // RFC 9000 §19.6
        ("06 ffffffffffffffff 01 00", &LENIENT, ENCODING, 0x06),
        // RFC 9000 §19.7
        ("07 00", &LENIENT, ENCODING, 0x07),
        ("07 01 aa", &server, VIOLATION, 0x07),
        // RFC 9000 §19.8
        ("0e 04 ffffffffffffffff 01 00", &LENIENT, ENCODING, 0x0e),
        ("0c 04 ffffffffffffffff 00", &LENIENT, ENCODING, 0x0c),
        ("0a 04 ffffffffffffffff 00", &LENIENT, ENCODING, 0x0a),
        // RFC 9000 §19.11, §19.14
        ("12 d000000000000001", &LENIENT, ENCODING, 0x12),
        ("13 ffffffffffffffff", &LENIENT, ENCODING, 0x13),
        ("16 d000000000000001", &LENIENT, ENCODING, 0x16),
        ("17 d000000000000001", &LENIENT, ENCODING, 0x17),
        // RFC 9000 §19.15
        (&format!("18 01 02 01 c1 {token}"), &LENIENT, ENCODING, 0x18),
        (&format!("18 01 00 00 {token}"), &LENIENT, ENCODING, 0x18),
        (
            &format!("18 01 00 15 {} {token}", "c1".repeat(21)),
            &LENIENT,
            ENCODING,
            0x18,
        ),
        (
            &format!("18 01 00 ff {} {token}", "c1".repeat(255)),
            &LENIENT,
            ENCODING,
            0x18,
        ),
        // RFC 9000 §19.20
        ("1e", &server, VIOLATION, 0x1e),
        // draft-ietf-quic-reliable-stream-reset
        ("24 04 01 09 0a", &LENIENT, ENCODING, 0x24),
        ("24 04 01 09 09", &PLAIN, ENCODING, 0x24),
        // RFC 9221 §3
        ("30", &PLAIN, VIOLATION, 0x30),
        ("31 00", &PLAIN, VIOLATION, 0x31),
        ("30 00000000", &small_datagrams, VIOLATION, 0x30),
        ("31 03 000000", &small_datagrams, VIOLATION, 0x31),
        // draft-ietf-quic-ack-frequency
        ("1f", &PLAIN, ENCODING, 0x1f),
        ("40af 01 0a 4400 03", &PLAIN, ENCODING, 0xaf),
        ("40af 01 0a 43e7 03", &LENIENT, VIOLATION, 0xaf),
        ("40af 01 0a 80fa0000 03", &LENIENT, VIOLATION, 0xaf),
    ] {
        let error = parse(&hex(payload), rules).expect_err(payload);
        assert_eq!(
            (error.code, error.frame),
            (code, frame),
            "{payload}: {error}"
        );
        // A frame before it changes nothing, and nothing after it is looked at.
        if !payload.is_empty() {
            let payload = hex(&format!("01 {payload}"));
            let mut frames = Frames::new(&payload, PacketType::OneRtt, rules).unwrap();
            assert_eq!(frames.next(), Some(Ok(Frame::Ping)));
            assert_eq!(frames.next(), Some(Err(error)));
            assert_eq!(frames.next(), None);
        }
    }
    // Just within the bounds.
    for (payload, rules) in [
        ("30 000000", &small_datagrams),
        ("31 02 0000", &small_datagrams),
        ("40af 01 0a 43e8 03", &LENIENT),
        ("0e 04 fffffffffffffffe 01 00", &LENIENT),
        ("06 fffffffffffffffe 01 00", &LENIENT),
    ] {
        assert_eq!(
            parse(&hex(payload), rules).map(|frames| frames.len()),
            Ok(1),
            "{payload}"
        );
    }
}

// [rfc9000-12.4-3] [rfc9000-17.2.4-1] [rfc9001-8.3-2]
#[test]
fn every_frame_in_every_packet_type() {
    each_frame(|encoding, frame| {
        let bytes = hex(encoding);
        for packet_type in [
            PacketType::Initial,
            PacketType::ZeroRtt,
            PacketType::Handshake,
            PacketType::OneRtt,
        ] {
            let result: Result<Vec<_>, _> = Frames::new(&bytes, packet_type, &LENIENT)
                .unwrap()
                .collect();
            match result {
                Ok(_) => assert!(
                    frame.frame_type().is_permitted_in(packet_type),
                    "{encoding} in {packet_type:?}"
                ),
                Err(error) => {
                    assert!(
                        !frame.frame_type().is_permitted_in(packet_type),
                        "{encoding} in {packet_type:?}"
                    );
                    assert_eq!(error.code, TransportErrorCode::PROTOCOL_VIOLATION);
                }
            }
        }
    });
}

/// What the caller keeps between packets must not be large, and what is passed about must not grow
/// unnoticed.
#[test]
fn frames_are_small() {
    assert!(size_of::<Frame<'_>>() <= 88, "{}", size_of::<Frame<'_>>());
    assert!(size_of::<Stream<'_>>() <= 48);
}

/// Any frame that can be emitted.
fn any_frame() -> impl Strategy<Value = Vec<u8>> {
    let number = || (0..=VarInt::MAX.get()).prop_flat_map(|most| (0..=most).prop_map(varint));
    let count = || (0..=1_u64 << 60).prop_map(varint);
    let bytes = |len| proptest::collection::vec(any::<u8>(), len);
    let directionality = || prop_oneof![Just(Bidirectional), Just(Unidirectional)];
    fn emitted(frame: &Frame<'_>) -> Vec<u8> {
        let mut buffer = vec![0; frame.size()];
        frame.emit(&mut Writer::new(&mut buffer)).unwrap();
        buffer
    }
    let reset = (number(), number(), number()).prop_map(|(id, error, final_size)| ResetStream {
        id: StreamId::new(id),
        error,
        final_size,
    });
    prop_oneof![
        Just(emitted(&Frame::Ping)),
        reset
            .clone()
            .prop_map(|reset| emitted(&Frame::ResetStream(reset))),
        reset.prop_map(|reset| {
            let reliable_size = varint(reset.final_size.get() / 2);
            emitted(&Frame::ResetStreamAt(ResetStreamAt {
                reset,
                reliable_size,
            }))
        }),
        (number(), number()).prop_map(|(id, error)| emitted(&Frame::StopSending(StopSending {
            id: StreamId::new(id),
            error
        }))),
        (0..1_u64 << 61, bytes(0..90)).prop_map(|(offset, bytes)| {
            emitted(&Frame::Crypto(Crypto {
                offset: varint(offset),
                data: data(0, &bytes),
            }))
        }),
        bytes(1..90).prop_map(|token| emitted(&Frame::NewToken { token: &token })),
        (number(), 0..1_u64 << 61, any::<bool>(), bytes(0..90)).prop_map(
            |(id, offset, fin, bytes)| {
                let id = StreamId::new(id);
                emitted(&Frame::Stream(Stream {
                    id,
                    offset: varint(offset),
                    fin,
                    data: data(0, &bytes),
                }))
            }
        ),
        (number(), number(), 0..4).prop_map(|(id, maximum, which)| {
            let id = StreamId::new(id);
            emitted(&match which {
                0 => Frame::MaxData { maximum },
                1 => Frame::DataBlocked { maximum },
                2 => Frame::MaxStreamData { id, maximum },
                _ => Frame::StreamDataBlocked { id, maximum },
            })
        }),
        (directionality(), count(), any::<bool>()).prop_map(
            |(directionality, maximum, blocked)| {
                emitted(&match blocked {
                    true => Frame::StreamsBlocked {
                        directionality,
                        maximum,
                    },
                    false => Frame::MaxStreams {
                        directionality,
                        maximum,
                    },
                })
            }
        ),
        (number(), bytes(1..21), any::<[u8; 16]>()).prop_map(|(sequence, bytes, token)| {
            emitted(&Frame::NewConnectionId(NewConnectionId {
                sequence,
                retire_prior_to: varint(sequence.get() / 3),
                connection_id: cid(&bytes),
                stateless_reset_token: StatelessResetToken::new(token),
            }))
        }),
        any::<[u8; 8]>().prop_map(|data| emitted(&Frame::PathChallenge { data })),
        (number(), number(), bytes(0..90), any::<bool>()).prop_map(
            |(code, frame_type, reason, application)| {
                let cause = match application {
                    true => CloseCause::Application { code },
                    false => CloseCause::Transport {
                        code: TransportErrorCode::new(code),
                        frame_type,
                    },
                };
                emitted(&Frame::ConnectionClose(ConnectionClose {
                    cause,
                    reason: &reason,
                }))
            }
        ),
        bytes(0..90).prop_map(|bytes| emitted(&Frame::Datagram {
            data: data(0, &bytes)
        })),
        (
            number(),
            proptest::collection::vec((0..1000_u64, 0..1000_u64), 1..20)
        )
            .prop_map(|(delay, steps)| {
                // Downwards from a number that is large enough for all steps.
                let mut top = 100_000;
                let ranges: Vec<_> = steps
                    .iter()
                    .map(|(gap, length)| {
                        let range = AckRange::new(top - length, top).unwrap();
                        top -= length + gap + 2;
                        range
                    })
                    .collect();
                let mut buffer = [0; 200];
                let mut writer = Writer::new(&mut buffer);
                assert_eq!(
                    emit_ack(&mut writer, delay, None, ranges.iter().copied()),
                    Ok(ranges.len())
                );
                let written = writer.written().to_vec();
                let Ok(Frame::Ack(ack)) =
                    parse(&written, &LENIENT).map(|mut frames| frames.remove(0))
                else {
                    panic!()
                };
                assert_eq!(ack.ranges().collect::<Vec<_>>(), ranges);
                assert_eq!(
                    (ack.delay, ack.largest),
                    (delay, PacketNumber::new(100_000).unwrap())
                );
                written
            }),
    ]
}

proptest! {
    #[test]
    fn what_is_emitted_is_parsed(frames in proptest::collection::vec(any_frame(), 1..8)) {
        let payload = frames.concat();
        let parsed = parse(&payload, &LENIENT).unwrap();
        prop_assert_eq!(parsed.len(), frames.len());
        for (frame, encoding) in parsed.iter().zip(&frames) {
            let mut buffer = vec![0; frame.size()];
            frame.emit(&mut Writer::new(&mut buffer)).unwrap();
            prop_assert_eq!(&buffer, encoding);
        }
    }

    #[test]
    fn a_valid_payload_cut_anywhere_does_not_panic(frames in proptest::collection::vec(any_frame(), 1..4)) {
        let payload = frames.concat();
        for len in 1..payload.len() {
            let _ = parse(&payload[..len], &LENIENT);
        }
    }

    #[test]
    fn arbitrary_bytes_are_read_within_their_bounds(
        payload in proptest::collection::vec(prop_oneof![0..0x40_u8, any::<u8>()], 1..200),
        packet_type in prop_oneof![
            Just(PacketType::Initial),
            Just(PacketType::ZeroRtt),
            Just(PacketType::Handshake),
            Just(PacketType::OneRtt),
        ],
        lenient: bool,
    ) {
        let rules = if lenient { LENIENT } else { PLAIN };
        let mut frames = Frames::new(&payload, packet_type, &rules).unwrap();
        let mut left = payload.len();
        while let Some(Ok(frame)) = frames.next() {
            prop_assert!(frame.frame_type().is_permitted_in(packet_type));
            // Every frame takes at least one byte, so this ends.
            prop_assert!(frames.rest().len() < left);
            left = frames.rest().len();
            let inside = match &frame {
                Frame::Stream(Stream { data, .. }) | Frame::Crypto(Crypto { data, .. }) | Frame::Datagram { data } => *data,
                Frame::Ack(ack) => {
                    prop_assert!(ack.ranges().count() <= payload.len());
                    continue;
                }
                _ => continue,
            };
            prop_assert_eq!(&payload[inside.offset..][..inside.bytes.len()], inside.bytes);
        }
    }
}
