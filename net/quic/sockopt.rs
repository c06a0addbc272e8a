// SPDX-License-Identifier: GPL-2.0

//! The socket options of level `SOL_QUIC`: which there are, and in which states.

use crate::{
    address::{self, Use},
    alpn, close, config, event,
    socket::QuicSock,
    sys::{
        addr,
        errno::{ENOPROTOOPT, EOPNOTSUPP},
        sock::State,
        sockopt::{OptionIn, OptionOut},
    },
    ticket, token, transport_param,
    uapi::option,
};
use kernel::prelude::*;

/// The longest value that any option takes, in bytes.
const MAX_LEN: usize = 4096;

/// `setsockopt()`. `ENOPROTOOPT` for what cannot be set.
pub(crate) fn set(sock: &QuicSock, name: u32, value: &OptionIn) -> Result {
    if value.len() > MAX_LEN {
        return Err(EINVAL);
    }
    match name {
        option::EVENT => event::set(sock, value),
        option::CONNECTION_CLOSE => close::set(sock, value),
        option::TRANSPORT_PARAM => transport_param::set(sock, value),
        option::CONFIG => config::set(sock, value),
        option::TOKEN => token::set(sock, value),
        option::ALPN => alpn::set(sock, value),
        option::SESSION_TICKET => ticket::set(sock, value),
        option::STREAM_RESET | option::STREAM_STOP_SENDING | option::CONNECTION_ID => {
            of_connection(sock, &[State::Established], EINVAL)
        }
        option::KEY_UPDATE => of_connection(sock, &[State::Established], EPIPE),
        option::CRYPTO_SECRET | option::TRANSPORT_PARAM_EXT => {
            of_connection(sock, &[State::Establishing], EINVAL)
        }
        option::CONNECTION_MIGRATION => {
            let mut bytes = [0; addr::MAX_LEN];
            let len = value.len().min(bytes.len());
            let bytes = bytes.get_mut(..len).unwrap_or_default();
            value.read_into(bytes)?;
            if address::check(sock, bytes, Use::Local)?.address.port() == 0 {
                return Err(EINVAL);
            }
            of_connection(sock, &[State::Establishing, State::Established], EPIPE)
        }
        _ => Err(ENOPROTOOPT.into()),
    }
}

/// `getsockopt()`. `ENOPROTOOPT` for what cannot be read.
pub(crate) fn get(sock: &QuicSock, name: u32, value: &OptionOut) -> Result {
    match name {
        option::EVENT => event::get(sock, value),
        option::CONNECTION_CLOSE => close::get(sock, value),
        option::TRANSPORT_PARAM => transport_param::get(sock, value),
        option::CONFIG => config::get(sock, value),
        option::TOKEN => token::get(sock, value),
        option::ALPN => alpn::get(sock, value),
        option::SESSION_TICKET => ticket::get(sock, value),
        option::STREAM_OPEN => {
            of_connection(sock, &[State::Establishing, State::Established], EPIPE)
        }
        option::CONNECTION_ID => of_connection(sock, &[State::Established], EINVAL),
        option::TRANSPORT_PARAM_EXT => of_connection(sock, &[State::Establishing], EINVAL),
        _ => Err(ENOPROTOOPT.into()),
    }
}

/// An option that has a meaning on a connection only: `error` in any state but `states`.
fn of_connection(sock: &QuicSock, states: &[State], error: Error) -> Result {
    let _guard = sock.lock();
    sock.require(states, error)?;
    Err(EOPNOTSUPP.into())
}
