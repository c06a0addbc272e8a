// SPDX-License-Identifier: GPL-2.0 OR MIT

//! What it costs to take an ACK frame that newly acknowledges 32 packets of bulk data, in a datagram
//! of its own.
//!
//! `tools/bench-core` counts the instructions of [`measured`], from the datagram to the last of what
//! it sets free.

#![allow(missing_docs)]

mod setup;

use quic_core::connection::{Addresses, Connection, Context};
use setup::crypto::Null;
use setup::endpoint::{receive_all, send_batch, Outbox, World};
use setup::pair::{consume, Pair};

/// Packets that a frame acknowledges.
const BATCH: usize = 32;

/// Frames that are counted.
const ROUNDS: usize = 100;

#[inline(never)]
fn measured(
    connection: &mut Connection<World>,
    cx: &mut Context<'_, World>,
    addresses: Addresses,
    outbox: &mut Outbox,
) {
    receive_all(connection, cx, addresses, outbox);
}

fn main() {
    let mut pair = Pair::new(Null { copies: false });
    pair.warm_up(BATCH);
    let mut frames = 0;
    for _ in 0..ROUNDS {
        pair.write();
        let (now, outbox) = (pair.now, &mut pair.outbox);
        pair.client.with(now, |connection, cx| {
            send_batch(connection, cx, BATCH, outbox)
        });
        assert_eq!(pair.outbox.len(), BATCH, "the batch is not full");
        pair.server.receive(now, &mut pair.outbox);
        consume(&mut pair.server, now);
        pair.server.transmit(now, BATCH, &mut pair.outbox);
        frames += pair.outbox.len();
        let addresses = pair.client.addresses;
        let outbox = &mut pair.outbox;
        pair.client.with(now, |connection, cx| {
            measured(connection, cx, addresses, outbox)
        });
        pair.outbox.clear();
    }
    assert_eq!(
        frames, ROUNDS,
        "not every batch was acknowledged by one frame"
    );
    println!("{frames}");
}
