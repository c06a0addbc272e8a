// SPDX-License-Identifier: GPL-2.0

//! [`Token`]: the address validation token that a client presents, `QUIC_SOCKOPT_TOKEN` (RFC 9000 §8.1).

use crate::{
    socket::QuicSock,
    sys::sockopt::{OptionIn, OptionOut},
};
use kernel::prelude::*;

/// The longest token that is kept, in bytes.
const MAX_LEN: usize = 120;

/// At most [`MAX_LEN`] opaque bytes; none at first.
#[derive(Default)]
pub(crate) struct Token(KVec<u8>);

/// `setsockopt()`: on a client, the token to present; on a server, send the peer a new one.
pub(crate) fn set(sock: &QuicSock, value: &OptionIn) -> Result {
    let mut guard = sock.lock();
    if sock.is_server() {
        // Only a server with a connection has a peer to send it to.
        return Err(EINVAL);
    }
    guard.token = Token(value.read_vec(1..=MAX_LEN)?);
    Ok(())
}

/// `getsockopt()`: fails on servers, which is how handshake agents tell the roles apart.
pub(crate) fn get(sock: &QuicSock, value: &OptionOut) -> Result {
    let guard = sock.lock();
    if sock.is_server() {
        return Err(EINVAL);
    }
    value.write_all(&guard.token.0)
}
