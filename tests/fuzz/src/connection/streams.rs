// SPDX-License-Identifier: MIT OR Apache-2.0

//! What an application may do with streams, whether they exist or not.

use super::world::World;
use super::Bytes;
use crate::input::Input;
use kernel::alloc::flags::GFP_ATOMIC;
use quic_core::connection::Connection;
use quic_core::offset::Offset;
use quic_core::role::Role;
use quic_core::stream::Choice;
use quic_core::stream_id::{Directionality, StreamId};
use quic_core::time::Instant;
use quic_core::varint::VarInt;

/// So many bytes an application leaves unsent at most.
const MAX_UNSENT: u64 = 64 << 10;

fn directionality(choice: u8) -> Directionality {
    match choice & 1 {
        0 => Directionality::Bidirectional,
        _ => Directionality::Unidirectional,
    }
}

fn id(choice: u8) -> StreamId {
    let initiator = match choice & 2 {
        0 => Role::Client,
        _ => Role::Server,
    };
    StreamId::nth(initiator, directionality(choice), u64::from(choice >> 2)).expect("a small one")
}

/// Returns how many bytes were written.
pub(super) fn anything(
    input: &mut Input<'_>,
    connection: &mut Connection<World>,
    now: Instant,
) -> usize {
    let rtt = connection.rtt();
    let streams = connection.streams();
    match input.u8() % 13 {
        0 => {
            if let Ok(id) = streams.next(directionality(input.u8())) {
                let _ = streams.open(id, GFP_ATOMIC);
            }
        }
        1 | 2 => {
            let (id, len, more) = (id(input.u8()), 1 + usize::from(input.u8()) * 8, input.u8());
            if streams.unsent() > MAX_UNSENT {
                return 0;
            }
            let _ = streams.write_credit(id, GFP_ATOMIC);
            let written = streams.write(id, Bytes::new(&vec![more; len]), GFP_ATOMIC);
            if more & 1 == 0 {
                streams.push(id);
            }
            if more & 2 != 0 {
                let _ = streams.finish(id, GFP_ATOMIC);
            }
            return if written.is_ok() { len } else { 0 };
        }
        3 => streams.push(id(input.u8())),
        4 => {
            let _ = streams.finish(id(input.u8()), GFP_ATOMIC);
        }
        5 => {
            let (id, code) = (id(input.u8()), VarInt::from(input.u8()));
            let reliable = Offset::saturating(input.number());
            let _ = streams.reset(id, code, reliable, GFP_ATOMIC);
        }
        6 => {
            let (id, code) = (id(input.u8()), VarInt::from(input.u8()));
            let _ = streams.stop(id, code, GFP_ATOMIC);
        }
        7 | 8 => read_all(connection, now),
        9 => {
            let (id, most) = (id(input.u8()), input.number());
            let (readable, _) = streams.readable(id);
            let in_chunks: usize = streams.peek(id).map(|it| it.as_slice().len()).sum();
            assert!(in_chunks as u64 >= readable, "{in_chunks} < {readable}");
            streams.consume(id, readable.min(most), now, rtt);
        }
        10 => {
            let (id, urgency) = (id(input.u8()), input.u8());
            let _ = streams.set_priority(id, urgency & 7, urgency & 8 != 0, GFP_ATOMIC);
        }
        11 => {
            let id = id(input.u8());
            streams.signal_blocked(id);
            streams.signal_streams_blocked(id.directionality());
            streams.set_recv_limits(usize::from(input.u8()) << 8, u64::from(input.u8()) << 8);
        }
        _ => {
            let choice = input.u8();
            let _ = streams.choose(
                Choice {
                    id: (choice & 1 != 0).then(|| id(choice >> 3)),
                    new: choice & 2 != 0,
                    directionality: directionality(choice >> 2),
                },
                GFP_ATOMIC,
            );
        }
    }
    0
}

/// Reads whatever can be read.
fn read_all(connection: &mut Connection<World>, now: Instant) {
    let mut rounds = 0;
    while let Some(readable) = connection.streams().next_readable() {
        rounds += 1;
        assert!(
            rounds < 10_000,
            "the same can be read for ever: {readable:?}"
        );
        let chunks = connection.streams().peek(readable.id);
        let in_chunks: usize = chunks.map(|it| it.as_slice().len()).sum();
        assert!(in_chunks as u64 >= readable.len);
        connection.consume(readable.id, readable.len, now);
    }
}
