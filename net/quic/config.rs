// SPDX-License-Identifier: GPL-2.0

//! [`Config`]: what a program sets up before the handshake, `QUIC_SOCKOPT_CONFIG`.
//!
//! A part of it the module follows itself; the cipher, the wait for a ticket and the demand for a
//! certificate are kept for the agent that does the handshake.

use crate::{
    socket::QuicSock,
    sys::{
        bindings,
        sock::State,
        sockopt::{OptionIn, OptionOut},
    },
    uapi::{self, take},
};
use core::ops::RangeInclusive;
use kernel::prelude::*;

/// The assumed round trip before the first sample (RFC 9002 §6.2.2), in microseconds.
const INITIAL_RTT: u32 = 333_000;
/// What may be assumed instead.
const INITIAL_RTT_RANGE: RangeInclusive<u32> = 1_000..=6_000_000;
/// Between two probes of the path MTU, in microseconds; the upper end times 30, the raise timer's
/// factor, still fits into 32 bits.
const PLPMTUD_PROBE_RANGE: RangeInclusive<u32> = 5_000_000..=143_165_576;
/// The shortest silence after which a PING may be asked for, in microseconds.
const KEEPALIVE_MIN: u32 = 1_500_000;
/// The `TLS_CIPHER_*` that there are.
const CIPHER_RANGE: RangeInclusive<u32> =
    bindings::TLS_CIPHER_AES_GCM_128..=bindings::TLS_CIPHER_CHACHA20_POLY1305;

/// # Invariants
///
/// Every member is zero, or passes `check`.
#[derive(Copy, Clone)]
pub(crate) struct Config(uapi::Config);

impl Default for Config {
    fn default() -> Self {
        Self(uapi::Config {
            initial_smoothed_rtt: INITIAL_RTT,
            ..Default::default()
        })
    }
}

/// Zero means "as it is", so it is always allowed.
fn check(wanted: &uapi::Config) -> Result {
    let zero_or = |value: u32, range: RangeInclusive<u32>| value == 0 || range.contains(&value);
    if zero_or(wanted.payload_cipher_type, CIPHER_RANGE)
        && zero_or(wanted.initial_smoothed_rtt, INITIAL_RTT_RANGE)
        && zero_or(wanted.plpmtud_probe_interval, PLPMTUD_PROBE_RANGE)
        && zero_or(wanted.keepalive_probe_interval, KEEPALIVE_MIN..=u32::MAX)
        && u32::from(wanted.congestion_control_algo)
            < bindings::quic_congestion_algo_QUIC_CONG_ALG_MAX
    {
        Ok(())
    } else {
        Err(EINVAL)
    }
}

impl Config {
    fn update(&mut self, wanted: &uapi::Config) {
        let mine = &mut self.0;
        take(&mut mine.version, wanted.version);
        take(
            &mut mine.plpmtud_probe_interval,
            wanted.plpmtud_probe_interval,
        );
        take(&mut mine.initial_smoothed_rtt, wanted.initial_smoothed_rtt);
        take(&mut mine.payload_cipher_type, wanted.payload_cipher_type);
        take(
            &mut mine.congestion_control_algo,
            wanted.congestion_control_algo,
        );
        take(
            &mut mine.validate_peer_address,
            u8::from(wanted.validate_peer_address != 0),
        );
        take(
            &mut mine.stream_data_nodelay,
            u8::from(wanted.stream_data_nodelay != 0),
        );
        take(
            &mut mine.receive_session_ticket,
            wanted.receive_session_ticket,
        );
        take(&mut mine.certificate_request, wanted.certificate_request);
        take(
            &mut mine.keepalive_probe_interval,
            wanted.keepalive_probe_interval,
        );
    }
}

/// `setsockopt()`: takes all members or none; not on a connection.
pub(crate) fn set(sock: &QuicSock, value: &OptionIn) -> Result {
    let wanted: uapi::Config = value.read()?;
    let mut guard = sock.lock();
    if sock.state() == State::Established {
        return Err(EINVAL);
    }
    check(&wanted)?;
    guard.config.update(&wanted);
    Ok(())
}

/// `getsockopt()`, in any state.
pub(crate) fn get(sock: &QuicSock, value: &OptionOut) -> Result {
    let config = sock.lock().config;
    value.write(&config.0)
}
