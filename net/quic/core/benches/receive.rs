// SPDX-License-Identifier: GPL-2.0 OR MIT

//! What it costs to receive a 1-RTT datagram full of stream data in order, until the application has
//! read it.
//!
//! `tools/bench-core` counts the instructions of [`measured`]. Arguments: `copy` to have the
//! application copy what it reads, as `recvmsg` does.

#![allow(missing_docs)]

mod setup;

use quic_core::connection::{Addresses, Connection, Context};
use setup::crypto::Null;
use setup::endpoint::{receive_all, send_batch, Outbox, World};
use setup::pair::Pair;

/// Datagrams that arrive together: those of a GRO batch.
const BATCH: usize = 44;

/// Batches that are counted.
const ROUNDS: usize = 100;

#[inline(never)]
fn measured(
    connection: &mut Connection<World>,
    cx: &mut Context<'_, World>,
    addresses: Addresses,
    outbox: &mut Outbox,
    mut user: Option<&mut [u8]>,
) {
    receive_all(connection, cx, addresses, outbox);
    while let Some(readable) = connection.streams().next_readable() {
        if let Some(user) = user.as_deref_mut() {
            copy(connection, readable.id, outbox, user);
        }
        connection.consume(readable.id, readable.len, cx.now);
    }
}

#[inline(never)]
fn copy(
    connection: &mut Connection<World>,
    id: quic_core::stream_id::StreamId,
    outbox: &Outbox,
    user: &mut [u8],
) {
    for chunk in connection.streams().peek(id) {
        let bytes = &outbox.get(chunk.datagram())[chunk.range()];
        user[..bytes.len()].copy_from_slice(bytes);
    }
}

fn main() {
    let copies = setup::arguments().any(|argument| argument == "copy");
    let mut user = vec![0; 1 << 16];
    let mut pair = Pair::new(Null { copies: false });
    pair.warm_up(BATCH);
    let mut datagrams = 0;
    for _ in 0..ROUNDS {
        pair.write();
        let (now, outbox) = (pair.now, &mut pair.outbox);
        pair.client.with(now, |connection, cx| {
            send_batch(connection, cx, BATCH, outbox)
        });
        let addresses = pair.server.addresses;
        let user = copies.then_some(user.as_mut_slice());
        datagrams += outbox.len();
        pair.server.with(now, |connection, cx| {
            measured(connection, cx, addresses, outbox, user)
        });
        pair.outbox.clear();
        pair.server_to_client();
    }
    assert_eq!(datagrams, ROUNDS * BATCH, "the batches are not full");
    println!("{datagrams}");
}
