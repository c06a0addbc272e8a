// SPDX-License-Identifier: GPL-2.0

//! The application protocols of a socket, `QUIC_SOCKOPT_ALPN`: listeners on one port are told apart
//! by them.

use crate::{
    socket::QuicSock,
    sys::{
        sock::State,
        sockopt::{OptionIn, OptionOut},
    },
};
use kernel::{new_mutex, prelude::*, sync::Mutex};
use quic_core::alpn::{AlpnList, MAX_TEXT};

/// The list of a socket, for those who do not have its lock.
///
/// It is changed with the socket lock held too, and never while the socket listens.
#[pin_data]
pub(crate) struct SharedAlpn {
    #[pin]
    list: Mutex<AlpnList>,
}

impl SharedAlpn {
    pub(crate) fn new() -> impl PinInit<Self> {
        pin_init!(Self {
            list <- new_mutex!(AlpnList::new(), "SharedAlpn::list"),
        })
    }

    /// The list as it is now. May sleep.
    pub(crate) fn get(&self) -> AlpnList {
        *self.list.lock()
    }
}

/// `setsockopt()`: names separated by commas; not while the socket listens.
pub(crate) fn set(sock: &QuicSock, value: &OptionIn) -> Result {
    let mut text = [0; MAX_TEXT];
    let text = text.get_mut(..value.len()).ok_or(EINVAL)?;
    value.read_into(text)?;
    let list = AlpnList::parse(text).map_err(|_| EINVAL)?;

    let _guard = sock.lock();
    if sock.state() == State::Listening {
        return Err(EINVAL);
    }
    *sock.shared().alpn.list.lock() = list;
    Ok(())
}

/// `getsockopt()`: names separated by commas, without a NUL.
pub(crate) fn get(sock: &QuicSock, value: &OptionOut) -> Result {
    let list = sock.shared().alpn.get();
    // Programs that exist rely on room for the list as it is kept, which is a byte longer than its
    // text.
    if value.capacity() < list.as_bytes().len() {
        return Err(EINVAL);
    }
    let mut text = [0; MAX_TEXT];
    let len = list.write_text(&mut text);
    value.write_all(text.get(..len).unwrap_or_default())
}
