// SPDX-License-Identifier: MIT OR Apache-2.0

//! A whole connection, whose peer, network, application and TLS an input plays.
//!
//! ```text
//!            input: a program of operations
//!              |
//!              v             datagrams
//!           Program --> Peer ----------> Connection
//!              |         ^                 |    ^
//!              |         +-- Observer <----+    |
//!              +--------------------------------+ time, TLS, streams, failing allocations
//! ```
//!
//! The peer may say whatever it likes, in packets that authenticate, and the application may call
//! whatever it likes in any order. After each operation everything is sent that can be, and the
//! [`Observer`](observer::Observer) looks at it.

mod bytes;
mod observer;
mod peer;
mod program;
mod setup;
mod streams;
mod tls;
mod world;

pub(crate) use bytes::Bytes;

use crate::input::Input;
use program::Program;

/// From the first packet on.
pub(crate) fn run_handshake(data: &[u8]) {
    run(data, false);
}

/// After a handshake as it should be.
pub(crate) fn run_established(data: &[u8]) {
    run(data, true);
}

fn run(data: &[u8], established: bool) {
    let mut program = Program::new(Input::new(data));
    if established {
        program.establish();
    }
    program.run();
}
