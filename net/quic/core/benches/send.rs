// SPDX-License-Identifier: GPL-2.0 OR MIT

//! What it costs to build a 1-RTT datagram full of stream data, in a batch of many.
//!
//! `tools/bench-core` counts the instructions of [`measured`]. Arguments: `copy` to have the
//! payload copied into the packets.

#![allow(missing_docs)]

mod setup;

use quic_core::connection::{Connection, Context};
use setup::crypto::Null;
use setup::endpoint::{send_batch, Outbox, World};
use setup::pair::{consume, Pair};

/// Datagrams of a batch: as many of 1472 bytes as the 64 KiB of a GSO batch hold.
const BATCH: usize = 44;

/// Batches that are counted.
const ROUNDS: usize = 100;

#[inline(never)]
fn measured(
    connection: &mut Connection<World>,
    cx: &mut Context<'_, World>,
    outbox: &mut Outbox,
) -> bool {
    send_batch(connection, cx, BATCH, outbox)
}

fn main() {
    let copies = setup::arguments().any(|argument| argument == "copy");
    let mut pair = Pair::new(Null { copies });
    pair.warm_up(BATCH);
    let mut datagrams = 0;
    for _ in 0..ROUNDS {
        pair.write();
        let (now, outbox) = (pair.now, &mut pair.outbox);
        pair.client
            .with(now, |connection, cx| measured(connection, cx, outbox));
        datagrams += pair.outbox.len();
        pair.server.receive(now, &mut pair.outbox);
        consume(&mut pair.server, now);
        pair.server_to_client();
    }
    assert_eq!(datagrams, ROUNDS * BATCH, "the batches are not full");
    println!("{datagrams}");
}
