// SPDX-License-Identifier: MIT OR Apache-2.0

//! `Reader` and `Writer`, against slices.

use crate::input::Input;
use quic_core::bytes::{Reader, Writer};
use quic_core::varint::VarInt;

pub(crate) fn run(data: &[u8]) {
    let mut input = Input::new(data);
    match input.bool() {
        true => read(input),
        false => write(input),
    }
}

fn read(mut input: Input<'_>) {
    let (program, all) = (input.vec(), input.rest());
    let mut reader = Reader::new(all);
    let mut at = 0;
    let mut program = Input::new(program);
    while !program.is_empty() {
        let rest = &all[at..];
        assert_eq!(reader.rest(), rest);
        assert_eq!(reader.remaining(), rest.len());
        assert_eq!(reader.is_empty(), rest.is_empty());
        let big_endian = |bytes: &[u8]| bytes.iter().fold(0, |n: u64, b| (n << 8) | u64::from(*b));
        let number = |len: usize| rest.get(..len).map(big_endian);
        let (expected, used) = match program.u8() % 9 {
            0 => (reader.u8().ok().map(u64::from) == number(1), 1),
            1 => (reader.u16().ok().map(u64::from) == number(2), 2),
            2 => (reader.u24().ok().map(u64::from) == number(3), 3),
            3 => (reader.u32().ok().map(u64::from) == number(4), 4),
            4 => (reader.u64().ok() == number(8), 8),
            5 => {
                let len = program.number();
                let expected = usize::try_from(len).ok().and_then(|len| rest.get(..len));
                let used = expected.map_or(usize::MAX, <[u8]>::len);
                (reader.bytes_u64(len).ok() == expected, used)
            }
            6 => {
                let expected = rest
                    .split_first()
                    .and_then(|(len, rest)| rest.get(..usize::from(*len)));
                let used = expected.map_or(usize::MAX, |bytes| bytes.len() + 1);
                let mut trial = reader.clone();
                let result = trial.vec8().ok() == expected;
                if expected.is_some() {
                    reader = trial;
                }
                (result, used)
            }
            7 => {
                let expected = rest.first().and_then(|first| {
                    let len = 1 << (first >> 6);
                    let mask = u64::MAX >> (64 - 8 * len + 2);
                    Some((number(len)? & mask, len))
                });
                let result = reader.varint().ok().map(VarInt::get);
                if let Some(value) = result {
                    check_varint(value);
                }
                let used = expected.map_or(usize::MAX, |(_, len)| len);
                (result == expected.map(|(value, _)| value), used)
            }
            _ => {
                let len = usize::from(program.u8());
                (reader.skip(len).is_ok() == (len <= rest.len()), len)
            }
        };
        assert!(expected, "at {at}");
        // What fails takes nothing.
        if used <= rest.len() {
            at += used;
        }
    }
}

fn check_varint(value: u64) {
    let value = VarInt::new(value).expect("it was read");
    let mut buffer = [0; 8];
    let mut writer = Writer::new(&mut buffer);
    writer.varint(value).expect("room");
    assert_eq!(writer.position(), value.size());
    let mut reader = Reader::new(writer.written());
    assert_eq!(reader.varint(), Ok(value));
    assert!(reader.is_empty());
}

fn write(mut input: Input<'_>) {
    let mut buffer = vec![0xee; usize::from(input.u8())];
    let size = buffer.len();
    let mut model: Vec<u8> = Vec::new();
    let mut held = 0;
    let mut writer = Writer::new(&mut buffer);
    while !input.is_empty() {
        let room = size - model.len() - held;
        assert_eq!(writer.written(), model);
        assert_eq!(writer.remaining(), room);
        let (result, wrote) = match input.u8() % 9 {
            0 => {
                let value = input.u8();
                (writer.u8(value), vec![value])
            }
            1 => {
                let value = input.u16();
                (writer.u16(value), value.to_be_bytes().to_vec())
            }
            2 => {
                let value = input.u64();
                (writer.u64(value), value.to_be_bytes().to_vec())
            }
            3 => {
                let bytes = input.vec();
                (writer.bytes(bytes), bytes.to_vec())
            }
            4 => {
                let (len, byte) = (input.u8().into(), input.u8());
                (writer.fill(len, byte), vec![byte; len])
            }
            5 => {
                let value = VarInt::saturating(input.number());
                let before = writer.position();
                let result = writer.varint(value);
                let wrote = match result {
                    Ok(()) => writer.written()[before..].to_vec(),
                    Err(_) => vec![0; value.size()],
                };
                assert_eq!(wrote.len(), value.size());
                (result, wrote)
            }
            6 => {
                let len = usize::from(input.u8());
                let result = writer.hold_back(len);
                assert_eq!(result.is_ok(), len <= room);
                held += if result.is_ok() { len } else { 0 };
                continue;
            }
            7 => {
                let len = held.min(input.u8().into());
                writer.release(len);
                held -= len;
                continue;
            }
            _ => {
                let (one, other) = (input.vec(), input.vec());
                let result = writer.whole(|writer| {
                    writer.bytes(one)?;
                    writer.bytes(other)
                });
                (result, [one, other].concat())
            }
        };
        assert_eq!(result.is_ok(), wrote.len() <= room);
        if result.is_ok() {
            model.extend(wrote);
        }
    }
    assert_eq!(writer.written(), model);
}
