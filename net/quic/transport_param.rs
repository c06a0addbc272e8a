// SPDX-License-Identifier: GPL-2.0

//! [`LocalParameters`]: the transport parameters that a socket announces, `QUIC_SOCKOPT_TRANSPORT_PARAM` (RFC 9000 §18).

use crate::{
    socket::{QuicHeld, QuicSock},
    sys::{
        errno::EOPNOTSUPP,
        sock::State,
        sockopt::{OptionIn, OptionOut},
    },
    uapi::{take, TransportParam},
};
use core::ops::RangeInclusive;
use kernel::{ffi::c_int, prelude::*};

/// A UDP payload that every path carries (RFC 9000 §14): no window, no datagram limit below it
/// makes sense.
const MIN_PAYLOAD: u16 = 1200;
/// What fits into an IPv6 packet behind a UDP header.
const MAX_PAYLOAD: u16 = 65527;
/// RFC 9000 §18.2.
const MAX_ACK_DELAY_EXPONENT: u8 = 20;
/// RFC 9000 §18.2: below 2^14 ms; in microseconds.
const MAX_ACK_DELAY: u32 = 16_384_000 - 1;
/// How many connection IDs of the peer we can be asked to hold.
const CONNECTION_ID_LIMIT: RangeInclusive<u8> = 2..=8;
/// The shortest idle timeout, in microseconds.
const MIN_IDLE_TIMEOUT: u32 = 1_000_000;
/// Streams of a kind that may be open at once at first.
const MAX_STREAMS: u16 = 4096;
/// The largest windows, of a connection and of a stream: what `sk_rcvbuf`, four times as large, can
/// hold.
const MAX_WINDOW: u64 = 536_870_911;
const MAX_STREAM_WINDOW: u64 = 268_435_455;
/// The window of a stream unless the program says otherwise.
const STREAM_WINDOW: u64 = 65_535 * 16;
/// The receive buffer, in windows: data out of order, and what the kernel needs besides the
/// payload, also have to fit.
const BUFFER_PER_WINDOW: u64 = 4;

/// The transport parameters that a socket announces.
///
/// # Invariants
///
/// Every parameter passes `check`.
#[derive(Copy, Clone)]
pub(crate) struct LocalParameters(TransportParam);

impl Default for LocalParameters {
    fn default() -> Self {
        Self(TransportParam {
            max_udp_payload_size: MAX_PAYLOAD,
            ack_delay_exponent: 3,
            max_ack_delay: 25_000,
            active_connection_id_limit: 7,
            max_idle_timeout: 30_000_000,
            max_data: STREAM_WINDOW * 2,
            max_stream_data_bidi_local: STREAM_WINDOW,
            max_stream_data_bidi_remote: STREAM_WINDOW,
            max_stream_data_uni: STREAM_WINDOW,
            max_streams_bidi: 100,
            max_streams_uni: 100,
            ..Default::default()
        })
    }
}

/// Zero means "as it is", so it is always allowed.
fn check(wanted: &TransportParam) -> Result {
    fn zero_or<T: Default + PartialOrd>(value: T, range: RangeInclusive<T>) -> bool {
        value == T::default() || range.contains(&value)
    }
    let window = |value, max| zero_or(value, u64::from(MIN_PAYLOAD)..=max);
    if zero_or(wanted.max_udp_payload_size, MIN_PAYLOAD..=MAX_PAYLOAD)
        && wanted.ack_delay_exponent <= MAX_ACK_DELAY_EXPONENT
        && wanted.max_ack_delay <= MAX_ACK_DELAY
        && zero_or(wanted.active_connection_id_limit, CONNECTION_ID_LIMIT)
        && zero_or(wanted.max_idle_timeout, MIN_IDLE_TIMEOUT..=u32::MAX)
        && zero_or(wanted.max_datagram_frame_size, MIN_PAYLOAD..=u16::MAX)
        && window(wanted.max_data, MAX_WINDOW)
        && window(wanted.max_stream_data_bidi_local, MAX_STREAM_WINDOW)
        && window(wanted.max_stream_data_bidi_remote, MAX_STREAM_WINDOW)
        && window(wanted.max_stream_data_uni, MAX_STREAM_WINDOW)
        && wanted.max_streams_bidi <= MAX_STREAMS
        && wanted.max_streams_uni <= MAX_STREAMS
    {
        Ok(())
    } else {
        Err(EINVAL)
    }
}

impl LocalParameters {
    fn update(&mut self, wanted: &TransportParam) {
        fn switch(mine: &mut u8, wanted: u8) {
            take(mine, u8::from(wanted != 0));
        }
        let mine = &mut self.0;
        switch(
            &mut mine.disable_active_migration,
            wanted.disable_active_migration,
        );
        switch(&mut mine.grease_quic_bit, wanted.grease_quic_bit);
        switch(&mut mine.stateless_reset, wanted.stateless_reset);
        switch(
            &mut mine.disable_1rtt_encryption,
            wanted.disable_1rtt_encryption,
        );
        switch(
            &mut mine.disable_compatible_version,
            wanted.disable_compatible_version,
        );
        take(
            &mut mine.active_connection_id_limit,
            wanted.active_connection_id_limit,
        );
        take(&mut mine.ack_delay_exponent, wanted.ack_delay_exponent);
        take(
            &mut mine.max_datagram_frame_size,
            wanted.max_datagram_frame_size,
        );
        take(&mut mine.max_udp_payload_size, wanted.max_udp_payload_size);
        take(&mut mine.max_idle_timeout, wanted.max_idle_timeout);
        take(&mut mine.max_ack_delay, wanted.max_ack_delay);
        take(&mut mine.max_streams_bidi, wanted.max_streams_bidi);
        take(&mut mine.max_streams_uni, wanted.max_streams_uni);
        take(&mut mine.max_data, wanted.max_data);
        take(
            &mut mine.max_stream_data_bidi_local,
            wanted.max_stream_data_bidi_local,
        );
        take(
            &mut mine.max_stream_data_bidi_remote,
            wanted.max_stream_data_bidi_remote,
        );
        take(&mut mine.max_stream_data_uni, wanted.max_stream_data_uni);
    }
}

/// Makes the receive buffer follow the connection's window.
pub(crate) fn apply(sock: &mut QuicHeld<'_>) {
    let buffer = sock.parameters.0.max_data.saturating_mul(BUFFER_PER_WINDOW);
    sock.set_receive_buffer(c_int::try_from(buffer).unwrap_or(c_int::MAX));
}

/// `setsockopt()`: takes all members or none.
pub(crate) fn set(sock: &QuicSock, value: &OptionIn) -> Result {
    let wanted: TransportParam = value.read()?;
    let mut guard = sock.lock();
    if wanted.remote != 0 {
        // Those of the peer, from an earlier connection: only between connect() and the handshake.
        sock.require(&[State::Establishing], EINVAL)?;
        return Err(EOPNOTSUPP.into());
    }
    if sock.state() == State::Established {
        return Err(EINVAL);
    }
    check(&wanted)?;
    guard.parameters.update(&wanted);
    apply(&mut guard.held());
    Ok(())
}

/// `getsockopt()`: `remote` comes in and says whose are wanted. Those of the peer are all zero
/// before the handshake.
pub(crate) fn get(sock: &QuicSock, value: &OptionOut) -> Result {
    let wanted: TransportParam = value.read()?;
    if wanted.remote != 0 {
        return value.write(&TransportParam {
            remote: 1,
            ..Default::default()
        });
    }
    let parameters = sock.lock().parameters;
    value.write(&parameters.0)
}
