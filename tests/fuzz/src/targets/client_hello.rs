// SPDX-License-Identifier: MIT OR Apache-2.0

//! The reader of a ClientHello, fed in pieces, against the parser of a whole one.

use crate::input::Input;
use kernel::alloc::flags::GFP_KERNEL;
use kernel::alloc::inject::fail_nth;
use quic_core::client_hello::{ClientHello, ClientHelloError, ClientHelloReader, MAX_LEN};
use quic_core::varint::VarInt;

pub(crate) fn run(data: &[u8]) {
    let mut input = Input::new(data);
    let (program, message) = (input.vec(), input.rest());
    let mut program = Input::new(program);
    let mut reader = ClientHelloReader::new();
    let mut received = vec![false; message.len()];
    while !program.is_empty() {
        let start = usize::from(program.u16());
        let len = usize::from(program.u8());
        let fails = program.u8() == 1;
        let piece = |len: usize| {
            let end = (start + len).min(message.len());
            message.get(start.min(end)..end).unwrap_or_default()
        };
        let piece = piece(len);
        let start_at = VarInt::from_u32(start as u32);
        let mut push = || reader.push(start_at, piece, GFP_KERNEL);
        let result = match fails {
            true => fail_nth(0, push).0,
            false => push(),
        };
        match result {
            Ok(()) => received[start.min(message.len())..][..piece.len()].fill(true),
            Err(ClientHelloError::NoMemory) => assert!(fails),
            Err(ClientHelloError::TooLarge) => {}
            Err(ClientHelloError::Malformed) => panic!("nothing was looked at"),
        }
        check(&reader, message, &received);
    }
    // Far beyond the end.
    let far = VarInt::saturating(MAX_LEN as u64);
    assert_eq!(
        reader.push(far, b"x", GFP_KERNEL),
        Err(ClientHelloError::TooLarge)
    );
    check(&reader, message, &received);
    check_names(message);
}

fn check(reader: &ClientHelloReader, message: &[u8], received: &[bool]) {
    let whole = received.iter().take_while(|received| **received).count();
    assert_eq!(reader.client_hello(), ClientHello::parse(&message[..whole]));
}

fn check_names(message: &[u8]) {
    let Ok(Some(hello)) = ClientHello::parse(message) else {
        return;
    };
    assert!(hello.legacy_session_id.len() <= 32);
    if let Some(name) = hello.server_name {
        assert!(!name.is_empty());
    }
    for name in hello.alpn.into_iter().flatten() {
        assert!(!name.is_empty() && name.len() < 256);
    }
    // What follows does not matter, and nothing is known of less.
    let more = [message, b"more"].concat();
    assert_eq!(ClientHello::parse(&more), Ok(Some(hello)));
}
