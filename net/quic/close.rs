// SPDX-License-Identifier: GPL-2.0

//! [`CloseInfo`]: why a connection ends or ended, `QUIC_SOCKOPT_CONNECTION_CLOSE`.

use crate::{
    socket::QuicSock,
    sys::sockopt::{OptionIn, OptionOut},
    uapi::ConnectionClose,
};
use kernel::prelude::*;

/// Error code, frame type and phrase; all zero at first.
#[derive(Copy, Clone, Default)]
pub(crate) struct CloseInfo(ConnectionClose);

/// `setsockopt()`: what the CONNECTION_CLOSE frame shall carry, in any state.
pub(crate) fn set(sock: &QuicSock, value: &OptionIn) -> Result {
    let wanted: ConnectionClose = value.read()?;
    let mut close = ConnectionClose {
        errcode: wanted.errcode,
        ..Default::default()
    };
    // The phrase ends at its first NUL, and at the latest one byte before the end.
    let last = close.phrase.len().saturating_sub(1);
    let phrase = wanted
        .phrase
        .iter()
        .take(last)
        .take_while(|byte| **byte != 0);
    for (place, byte) in close.phrase.iter_mut().zip(phrase) {
        *place = *byte;
    }
    sock.lock().close = CloseInfo(close);
    Ok(())
}

/// `getsockopt()`, in any state.
pub(crate) fn get(sock: &QuicSock, value: &OptionOut) -> Result {
    let close = sock.lock().close;
    value.write(&close.0)
}
