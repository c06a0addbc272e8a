// SPDX-License-Identifier: GPL-2.0 OR MIT

//! What an idle connection holds: after bulk data, when all of it is acknowledged and read, and
//! nothing has happened for as long as it takes until memory is given back.

use super::crypto::Null;
use super::endpoint::Endpoint;
use super::pair::Pair;
use kernel::alloc::counting::held;

/// What an idle connection may take, in bytes: a page of memory.
pub const LIMIT: usize = 4096;

/// An idle connection.
#[derive(Clone, Debug)]
pub struct Idle {
    /// Which one, in one word.
    pub name: &'static str,
    /// All of its memory, in bytes as they were asked for.
    pub bytes: usize,
}

/// The memory of idle connections. The program must count with
/// [`Counting`](kernel::alloc::counting::Counting).
pub fn measure() -> Vec<Idle> {
    let mut pair = Pair::new(Null { copies: false });
    pair.warm_up(44);
    pair.finish();
    pair.settle();
    measure_pair(pair)
}

/// The same in the middle of bulk data.
pub fn measure_busy() -> Vec<Idle> {
    let mut pair = Pair::new(Null { copies: false });
    pair.warm_up(44);
    measure_pair(pair)
}

fn measure_pair(pair: Pair) -> Vec<Idle> {
    let Pair { client, server, .. } = pair;
    vec![
        Idle {
            name: "client",
            bytes: memory(client),
        },
        Idle {
            name: "server",
            bytes: memory(server),
        },
    ]
}

fn memory(endpoint: Endpoint) -> usize {
    let connection = std::mem::size_of_val(&endpoint.connection);
    let before = held().asked;
    drop(endpoint);
    connection + (before - held().asked) as usize
}
