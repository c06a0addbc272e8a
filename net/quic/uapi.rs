// SPDX-License-Identifier: GPL-2.0

//! The structures and numbers of the ABI, from
//! [`include/uapi/linux/quic.h`](srctree/include/uapi/linux/quic.h).

pub(crate) use crate::sys::bindings::{
    quic_config as Config, quic_connection_close as ConnectionClose,
    quic_event_option as EventOption, quic_transport_param as TransportParam,
};

/// The options of level `SOL_QUIC`.
pub(crate) mod option {
    pub(crate) use crate::sys::bindings::{
        QUIC_SOCKOPT_ALPN as ALPN, QUIC_SOCKOPT_CONFIG as CONFIG,
        QUIC_SOCKOPT_CONNECTION_CLOSE as CONNECTION_CLOSE,
        QUIC_SOCKOPT_CONNECTION_ID as CONNECTION_ID,
        QUIC_SOCKOPT_CONNECTION_MIGRATION as CONNECTION_MIGRATION,
        QUIC_SOCKOPT_CRYPTO_SECRET as CRYPTO_SECRET, QUIC_SOCKOPT_EVENT as EVENT,
        QUIC_SOCKOPT_KEY_UPDATE as KEY_UPDATE, QUIC_SOCKOPT_SESSION_TICKET as SESSION_TICKET,
        QUIC_SOCKOPT_STREAM_OPEN as STREAM_OPEN, QUIC_SOCKOPT_STREAM_RESET as STREAM_RESET,
        QUIC_SOCKOPT_STREAM_STOP_SENDING as STREAM_STOP_SENDING, QUIC_SOCKOPT_TOKEN as TOKEN,
        QUIC_SOCKOPT_TRANSPORT_PARAM as TRANSPORT_PARAM,
        QUIC_SOCKOPT_TRANSPORT_PARAM_EXT as TRANSPORT_PARAM_EXT,
    };
}

/// Options say "as it is" by zero: takes `wanted` unless it is that.
pub(crate) fn take<T: Default + PartialEq>(mine: &mut T, wanted: T) {
    if wanted != T::default() {
        *mine = wanted;
    }
}
