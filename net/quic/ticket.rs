// SPDX-License-Identifier: GPL-2.0

//! [`Ticket`]: what a handshake agent keeps with a socket to resume sessions, `QUIC_SOCKOPT_SESSION_TICKET`.

use crate::{
    socket::QuicSock,
    sys::{
        sock::State,
        sockopt::{self, OptionIn, OptionOut},
    },
};
use kernel::prelude::*;

/// The shortest: a server's ticket key.
const MIN_LEN: usize = 64;
/// The longest: a client's session data.
const MAX_LEN: usize = 4096;

/// At most [`MAX_LEN`] opaque bytes; none at first. They are wiped when they are not needed any
/// more.
#[derive(Default)]
pub(crate) struct Ticket(KVec<u8>);

impl Drop for Ticket {
    fn drop(&mut self) {
        sockopt::wipe(&mut self.0);
    }
}

/// `setsockopt()`, in any state.
pub(crate) fn set(sock: &QuicSock, value: &OptionIn) -> Result {
    let ticket = value.read_vec(MIN_LEN..=MAX_LEN)?;
    sock.lock().ticket = Ticket(ticket);
    Ok(())
}

/// `getsockopt()`: nothing for a listener, whose connections have keys of their own.
pub(crate) fn get(sock: &QuicSock, value: &OptionOut) -> Result {
    let guard = sock.lock();
    if sock.state() == State::Listening {
        return Err(EPIPE);
    }
    value.write_all(&guard.ticket.0)
}
