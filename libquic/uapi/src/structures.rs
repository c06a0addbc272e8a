// SPDX-License-Identifier: MIT OR Apache-2.0

//! Structures that cross the boundary to the kernel, with the layout C gives them on this
//! architecture.

use crate::constants::{QUIC_CLOSE_PHRASE_BUFFER_SIZE, QUIC_CRYPTO_SECRET_BUFFER_SIZE};

/// A structure that the kernel may fill with any bytes.
///
/// # Safety
///
/// Every bit pattern must be a valid value of the type.
pub unsafe trait Plain: Copy + 'static {
    /// A value with every byte zero, padding included.
    fn zeroed() -> Self {
        // SAFETY: Every bit pattern is valid, by the contract of the trait, so zero bytes are.
        unsafe { core::mem::MaybeUninit::zeroed().assume_init() }
    }

    /// The value that `bytes` begin with. Missing bytes are zero, surplus ones are ignored, as on
    /// the kernel's side.
    fn from_bytes(bytes: &[u8]) -> Self {
        let mut value = Self::zeroed();
        let length = bytes.len().min(size_of::<Self>());
        // SAFETY: Both sides have at least `length` bytes and do not overlap, since `value` is
        // ours; any bytes make a valid value, by the contract of the trait.
        unsafe { core::ptr::copy_nonoverlapping(bytes.as_ptr(), (&raw mut value).cast(), length) };
        value
    }
}

/// A structure that may be passed as bytes.
///
/// # Safety
///
/// The type must have no padding.
pub unsafe trait Dense: Plain {
    /// The bytes of the value.
    fn as_bytes(&self) -> &[u8] {
        let start = (&raw const *self).cast();
        // SAFETY: The type has no padding, by the contract of the trait, so all its bytes are
        // initialised; they live and stay as they are as long as `self` is borrowed.
        unsafe { core::slice::from_raw_parts(start, size_of::<Self>()) }
    }
}

/// Control message `QUIC_HANDSHAKE_INFO`.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct quic_handshake_info {
    /// Level of the TLS message.
    pub crypto_level: u8,
}

/// Control message `QUIC_STREAM_INFO` and option `QUIC_SOCKOPT_STREAM_OPEN`.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct quic_stream_info {
    /// Stream ID, or -1.
    pub stream_id: i64,
    /// `MSG_QUIC_STREAM_*` bits.
    pub stream_flags: u32,
}

/// Option `QUIC_SOCKOPT_TRANSPORT_PARAM`; times in microseconds, sizes in bytes.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct quic_transport_param {
    /// 1 selects the peer's parameters.
    pub remote: u8,
    /// The peer must keep its address.
    pub disable_active_migration: u8,
    /// The fixed bit may be cleared.
    pub grease_quic_bit: u8,
    /// Include a stateless reset token.
    pub stateless_reset: u8,
    /// 1-RTT packets in the clear if both sides want it.
    pub disable_1rtt_encryption: u8,
    /// Leave out `version_information`.
    pub disable_compatible_version: u8,
    /// Connection IDs of the peer to hold.
    pub active_connection_id_limit: u8,
    /// ACK Delay is in units of 2^this microseconds.
    pub ack_delay_exponent: u8,
    /// Largest DATAGRAM frame accepted; 0 is none.
    pub max_datagram_frame_size: u16,
    /// Largest UDP payload accepted.
    pub max_udp_payload_size: u16,
    /// Silence that ends the connection.
    pub max_idle_timeout: u32,
    /// Longest wait before an acknowledgement.
    pub max_ack_delay: u32,
    /// Bidirectional streams the peer may open at first.
    pub max_streams_bidi: u16,
    /// Unidirectional streams the peer may open at first.
    pub max_streams_uni: u16,
    /// Receive window of the connection.
    pub max_data: u64,
    /// Receive window of a bidirectional stream opened by the owner of the parameters.
    pub max_stream_data_bidi_local: u64,
    /// Receive window of a bidirectional stream opened by the other side.
    pub max_stream_data_bidi_remote: u64,
    /// Receive window of a unidirectional stream.
    pub max_stream_data_uni: u64,
}

/// Option `QUIC_SOCKOPT_CONFIG`; times in microseconds.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct quic_config {
    /// `QUIC_VERSION_*` to start with.
    pub version: u32,
    /// Between path MTU probes; 0 is no probing.
    pub plpmtud_probe_interval: u32,
    /// Round-trip time assumed before the first sample.
    pub initial_smoothed_rtt: u32,
    /// `TLS_CIPHER_*` to negotiate; 0 is any.
    pub payload_cipher_type: u32,
    /// `QUIC_CONG_ALG_*`.
    pub congestion_control_algo: u8,
    /// Answer clients without a token by Retry.
    pub validate_peer_address: u8,
    /// Send a partly filled packet at once.
    pub stream_data_nodelay: u8,
    /// Seconds that the TLS agent may wait for a ticket.
    pub receive_session_ticket: u8,
    /// Certificate of the client: 0 not asked for, 1 asked for, 2 required.
    pub certificate_request: u8,
    /// Pass zero.
    pub reserved: [u8; 3],
    /// Silence before a PING; 0 is never.
    pub keepalive_probe_interval: u32,
}

/// Option `QUIC_SOCKOPT_CRYPTO_SECRET`.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct quic_crypto_secret {
    /// Nonzero: for sending.
    pub send: u8,
    /// `QUIC_CRYPTO_*`.
    pub level: u8,
    /// Pass zero.
    pub reserved: u16,
    /// `TLS_CIPHER_*`.
    pub r#type: u32,
    /// TLS traffic secret.
    pub secret: [u8; QUIC_CRYPTO_SECRET_BUFFER_SIZE],
}

/// Options `QUIC_SOCKOPT_STREAM_RESET` and `QUIC_SOCKOPT_STREAM_STOP_SENDING`.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct quic_errinfo {
    /// Stream ID.
    pub stream_id: i64,
    /// Application protocol error code.
    pub errcode: u32,
}

/// Option `QUIC_SOCKOPT_CONNECTION_ID` and event `QUIC_EVENT_CONNECTION_ID`.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct quic_connection_id_info {
    /// 1 selects the IDs issued by the peer.
    pub dest: u8,
    /// Pass zero.
    pub reserved: [u8; 3],
    /// Sequence number in use.
    pub active: u32,
    /// Lowest sequence number held.
    pub prior_to: u32,
}

/// Option `QUIC_SOCKOPT_EVENT`.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct quic_event_option {
    /// `QUIC_EVENT_*`.
    pub r#type: u8,
    /// 1 if the event is delivered.
    pub on: u8,
}

/// Event `QUIC_EVENT_STREAM_UPDATE`.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct quic_stream_update {
    /// Stream ID.
    pub id: i64,
    /// `QUIC_STREAM_SEND_STATE_*` or `QUIC_STREAM_RECV_STATE_*`.
    pub state: u8,
    /// Zero.
    pub reserved: [u8; 3],
    /// Application protocol error code of a RESET state.
    pub errcode: u32,
    /// Final size of the stream, in bytes.
    pub finalsz: u64,
}

/// Event `QUIC_EVENT_STREAM_MAX_DATA`.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct quic_stream_max_data {
    /// Stream ID.
    pub id: i64,
    /// Bytes that may be sent in all.
    pub max_data: u64,
}

/// Option `QUIC_SOCKOPT_CONNECTION_CLOSE` and event `QUIC_EVENT_CONNECTION_CLOSE`.
#[repr(C)]
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct quic_connection_close {
    /// Application or transport error code.
    pub errcode: u32,
    /// Type of the frame that a transport error is about.
    pub frame: u8,
    /// Pass zero.
    pub reserved: [u8; 3],
    /// Reason, ends with NUL.
    pub phrase: [u8; QUIC_CLOSE_PHRASE_BUFFER_SIZE],
}

/// What follows the type byte of an event.
#[repr(C)]
#[derive(Clone, Copy)]
pub union quic_event {
    /// `QUIC_EVENT_STREAM_UPDATE`.
    pub update: quic_stream_update,
    /// `QUIC_EVENT_STREAM_MAX_DATA`.
    pub max_data: quic_stream_max_data,
    /// `QUIC_EVENT_CONNECTION_CLOSE`.
    pub close: quic_connection_close,
    /// `QUIC_EVENT_CONNECTION_ID`.
    pub info: quic_connection_id_info,
    /// `QUIC_EVENT_STREAM_MAX_STREAM`.
    pub max_stream: u64,
    /// `QUIC_EVENT_CONNECTION_MIGRATION`.
    pub local_migration: u8,
    /// `QUIC_EVENT_KEY_UPDATE`.
    pub key_update_phase: u8,
}

/// Declares structures of integers to be [`Plain`] and checks their sizes.
///
/// The second size is that of i386, which aligns 64-bit members to 4 bytes.
macro_rules! plain {
    ($($name:ident: $size:literal, $size_on_i386:literal;)*) => {$(
        // SAFETY: The structure consists of integers and arrays of integers.
        unsafe impl Plain for $name {}

        const _: () = assert!(
            size_of::<$name>() == if cfg!(target_arch = "x86") { $size_on_i386 } else { $size }
        );
    )*};
}

plain! {
    quic_handshake_info: 1, 1;
    quic_stream_info: 16, 12;
    quic_transport_param: 56, 56;
    quic_config: 28, 28;
    quic_crypto_secret: 56, 56;
    quic_errinfo: 16, 12;
    quic_connection_id_info: 12, 12;
    quic_event_option: 2, 2;
    quic_stream_update: 24, 24;
    quic_stream_max_data: 16, 16;
    quic_connection_close: 72, 72;
    quic_event: 72, 72;
}

/// Declares structures without padding to be [`Dense`]. A test adds up the sizes of their members.
macro_rules! dense {
    ($($name:ident)*) => {$(
        // SAFETY: The sizes of the members add up to the size of the structure.
        unsafe impl Dense for $name {}
    )*};
}

dense! {
    quic_handshake_info quic_transport_param quic_config quic_crypto_secret quic_connection_id_info
    quic_event_option quic_stream_update quic_stream_max_data quic_connection_close
}

impl Default for quic_connection_close {
    fn default() -> Self {
        Self::zeroed()
    }
}

impl Default for quic_crypto_secret {
    fn default() -> Self {
        Self::zeroed()
    }
}

// A secret does not belong in a log, so there is no derived `Debug`.
impl core::fmt::Debug for quic_crypto_secret {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("quic_crypto_secret")
            .field("send", &self.send)
            .field("level", &self.level)
            .field("type", &self.r#type)
            .finish_non_exhaustive()
    }
}
