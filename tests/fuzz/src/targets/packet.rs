// SPDX-License-Identifier: MIT OR Apache-2.0

//! The packets of a datagram, and packets that are written and read again.

use crate::cipher::{protection, take_sealed, Plain, TAG};
use crate::input::Input;
use quic_core::bytes::Writer;
use quic_core::cid::ConnectionId;
use quic_core::crypto::TAG_LEN;
use quic_core::packet::{
    Datagram, FixedBit, Header, InvariantHeader, LongPacketType, OpenError, Packet, PacketNumber,
    PacketType, ProtectedPacket,
};
use quic_core::version::SupportedVersion;

pub(crate) fn run(data: &[u8]) {
    let mut input = Input::new(data);
    match input.bool() {
        true => split(input),
        false => write_and_read(input),
    }
    take_sealed();
}

fn split(mut input: Input<'_>) {
    let cid_len = usize::from(input.u8()) % (ConnectionId::MAX_LEN + 1);
    let fixed_bit = input.pick(&[FixedBit::Required, FixedBit::Ignored]);
    let largest = input
        .bool()
        .then(|| PacketNumber::saturating(input.number()));
    let encrypted = input.bool();
    let original = input.rest();
    if let Ok(header) = InvariantHeader::parse(original) {
        if let Ok(dcid) = header.dcid(cid_len) {
            assert!(dcid.len() < original.len());
        }
    }
    let mut bytes = original.to_vec();
    let mut end = 0;
    let mut packets = 0;
    for packet in Datagram::new(&mut bytes, cid_len, fixed_bit) {
        packets += 1;
        assert!(packets <= original.len(), "it ends");
        let Ok(Packet::Protected(packet)) = packet else {
            continue;
        };
        let range = packet.range();
        assert!(range.start >= end && range.end <= original.len() && !range.is_empty());
        end = range.end;
        assert_eq!(packet.bytes(), &original[range.clone()]);
        if packet.packet_type() == PacketType::OneRtt {
            assert_eq!(packet.dcid().len(), cid_len);
            assert_eq!(range.end, original.len(), "the last one");
        }
        match encrypted {
            true => open(packet, largest, original),
            false => {
                let _ = packet.open_unencrypted(largest);
            }
        }
    }
}

fn open(packet: ProtectedPacket<'_>, largest: Option<PacketNumber>, original: &[u8]) {
    let authentic = packet.bytes().ends_with(&TAG);
    let (range, phase) = (packet.range(), packet.bytes()[0] & 4 != 0);
    let Ok(header) = packet.unprotect_header(&Plain, largest) else {
        return;
    };
    assert_eq!(header.key_phase(), phase);
    match header.open(&mut protection()) {
        Ok(opened) => {
            assert!(authentic);
            let payload = &original[opened.payload_offset..];
            assert_eq!(opened.payload, &payload[..opened.payload.len()]);
            assert_eq!(
                opened.payload_offset + opened.payload.len() + TAG_LEN,
                range.end
            );
        }
        Err(OpenError::Discard(_)) => assert!(!authentic),
        Err(OpenError::Close(_)) => assert!(authentic, "nobody but the peer can close"),
    }
}

fn write_and_read(mut input: Input<'_>) {
    let choices = input.u8();
    let cid = |bytes: &[u8]| ConnectionId::new(bytes).expect("not too long");
    let (dcid_len, scid_len) = (input.u8() % 21, input.u8() % 21);
    let dcid = cid(input.bytes(dcid_len.into()));
    let scid = cid(input.bytes(scid_len.into()));
    let token = input.vec();
    let version = match choices & 1 {
        0 => SupportedVersion::V1,
        _ => SupportedVersion::V2,
    };
    let long = |packet_type| Header::Long {
        packet_type,
        version,
        dcid,
        scid,
    };
    let (header, packet_type) = match choices & 6 {
        0 => (
            Header::Short {
                dcid,
                spin: choices & 8 != 0,
                key_phase: choices & 16 != 0,
            },
            PacketType::OneRtt,
        ),
        2 => (long(LongPacketType::Initial { token }), PacketType::Initial),
        4 => (long(LongPacketType::ZeroRtt), PacketType::ZeroRtt),
        _ => (long(LongPacketType::Handshake), PacketType::Handshake),
    };
    let number = PacketNumber::saturating(input.number());
    let behind = input.number();
    let acked = number.get().checked_sub(behind).and_then(PacketNumber::new);
    let largest = number.get().checked_sub(input.number().min(behind));
    let fixed = choices & 32 == 0;
    let size = 1500 - usize::from(input.u8());
    let mut buffer = vec![0; size];
    let payload = input.rest();

    let mut writer = Writer::new(&mut buffer);
    let Ok(packet) = header.emit(&mut writer, number, acked, fixed) else {
        assert_eq!(writer.position(), 0);
        return;
    };
    if writer.bytes(payload).is_err() {
        packet.abandon(&mut writer);
        assert_eq!((writer.position(), writer.remaining()), (0, size));
        return;
    }
    let padding = packet.missing(&writer);
    if writer.fill(padding, 0).is_err() {
        packet.abandon(&mut writer);
        return;
    }
    let range = packet
        .seal(&mut writer, &Plain, &mut protection())
        .expect("it is long enough");
    assert!(range.len() <= header.overhead() + payload.len() + padding);
    let mut bytes = writer.written().to_vec();
    assert_eq!(range, 0..bytes.len());

    let fixed_bit = match fixed {
        true => FixedBit::Required,
        false => FixedBit::Ignored,
    };
    let mut packets = Datagram::new(&mut bytes, dcid.len(), fixed_bit);
    let Some(Ok(Packet::Protected(packet))) = packets.next() else {
        panic!("it cannot be read");
    };
    assert_eq!(packet.packet_type(), packet_type);
    // The peer expects at least what was acknowledged, and at most what was sent.
    let largest = largest.filter(|largest| acked.is_some_and(|acked| *largest >= acked.get()));
    let largest = largest.and_then(PacketNumber::new).or(acked);
    let opened = packet
        .unprotect_header(&Plain, largest)
        .expect("it is long enough")
        .open(&mut protection())
        .expect("it is authentic");
    assert_eq!(opened.number, number);
    assert_eq!(opened.dcid(), dcid.as_slice());
    assert_eq!(&opened.payload[..payload.len()], payload);
    if packet_type == PacketType::OneRtt {
        assert_eq!(opened.spin(), choices & 8 != 0);
        assert_eq!(opened.key_phase(), choices & 16 != 0);
    } else {
        assert_eq!(opened.version(), Some(version));
        assert_eq!(opened.scid(), scid.as_slice());
    }
    if packet_type == PacketType::Initial {
        assert_eq!(opened.token(), token);
    }
    assert!(packets.next().is_none());
}
