// SPDX-License-Identifier: MIT OR Apache-2.0

//! The frames of a packet: what was read is written, and read again.

use crate::input::Input;
use quic_core::bytes::Writer;
use quic_core::frame::{Frame, FrameRules, Frames, Payload};
use quic_core::packet::PacketType;
use quic_core::role::Role;
use quic_core::varint::VarInt;

pub(crate) fn run(data: &[u8]) {
    let mut input = Input::new(data);
    let packet_type = input.pick(&[
        PacketType::OneRtt,
        PacketType::Initial,
        PacketType::Handshake,
        PacketType::ZeroRtt,
    ]);
    let choices = input.u8();
    let rules = FrameRules {
        role: match choices & 1 {
            0 => Role::Client,
            _ => Role::Server,
        },
        max_datagram_frame_size: match choices & 6 {
            0 => VarInt::from_u32(65_535),
            2 => VarInt::from_u32(20),
            _ => VarInt::ZERO,
        },
        min_ack_delay: (choices & 8 == 0).then_some(VarInt::from_u32(1000)),
        reset_stream_at: choices & 16 == 0,
    };
    let payload = input.rest();
    let Ok(mut frames) = Frames::new(payload, packet_type, &rules) else {
        assert!(payload.is_empty());
        return;
    };
    loop {
        let before = frames.rest();
        let Some(frame) = frames.next() else {
            assert!(before.is_empty());
            return;
        };
        let Ok(frame) = frame else {
            assert!(frames.next().is_none(), "an error is the last item");
            return;
        };
        assert!(frames.rest().len() < before.len());
        if let Some(data) = data_of(&frame) {
            assert_eq!(data.bytes, &payload[data.offset..][..data.bytes.len()]);
        }
        check_again(&frame, packet_type, &rules);
    }
}

fn check_again(frame: &Frame<'_>, packet_type: PacketType, rules: &FrameRules) {
    let mut buffer = vec![0; frame.size()];
    let mut writer = Writer::new(&mut buffer);
    frame.emit(&mut writer).expect("the size that was given");
    assert_eq!(writer.remaining(), 0, "{frame:?}");
    let bytes = writer.written();
    // One byte less is not enough, and leaves nothing behind.
    let mut short = vec![0; bytes.len() - 1];
    let mut writer = Writer::new(&mut short);
    assert!(frame.emit(&mut writer).is_err());
    assert_eq!(writer.position(), 0);

    // A frame without a length that was as long as permitted has no room for one.
    if matches!(frame, Frame::Datagram { .. })
        && bytes.len() as u64 > rules.max_datagram_frame_size.get()
    {
        return;
    }
    let mut again = Frames::new(bytes, packet_type, rules).expect("there is one");
    let second = again
        .next()
        .expect("there is one")
        .expect("it was read before");
    assert!(again.next().is_none());
    assert_eq!(second.frame_type(), frame.frame_type());
    match (&second, frame) {
        // They remember the fields as they were encoded.
        (Frame::Ack(second), Frame::Ack(first)) => {
            assert_eq!(second.largest, first.largest);
            assert_eq!((second.delay, second.ecn), (first.delay, first.ecn));
            assert!(second.ranges().eq(first.ranges()));
        }
        _ => assert_eq!(without_place(second), without_place(frame.clone())),
    }
}

fn data_of<'a>(frame: &Frame<'a>) -> Option<Payload<'a>> {
    match frame {
        Frame::Crypto(frame) => Some(frame.data),
        Frame::Stream(frame) => Some(frame.data),
        Frame::Datagram { data } => Some(*data),
        _ => None,
    }
}

/// The frame, wherever its data is in the packet.
fn without_place(frame: Frame<'_>) -> Frame<'_> {
    let moved = |data: Payload<'_>| data.bytes.len();
    match frame {
        Frame::Crypto(mut frame) => {
            frame.data.offset = moved(frame.data);
            Frame::Crypto(frame)
        }
        Frame::Stream(mut frame) => {
            frame.data.offset = moved(frame.data);
            Frame::Stream(frame)
        }
        Frame::Datagram { mut data } => {
            data.offset = moved(data);
            Frame::Datagram { data }
        }
        other => other,
    }
}
