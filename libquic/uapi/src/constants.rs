// SPDX-License-Identifier: MIT OR Apache-2.0

//! Numbers, each of the type of the member or argument that takes it.

use core::ffi::c_int;

/// Protocol for `socket()`.
pub const IPPROTO_QUIC: c_int = 261;
/// `cmsg_level`, and level of the socket options.
pub const SOL_QUIC: c_int = 288;

/// QUIC version 1, RFC 9000.
pub const QUIC_VERSION_V1: u32 = 0x0000_0001;
/// QUIC version 2, RFC 9369.
pub const QUIC_VERSION_V2: u32 = 0x6b33_43cf;

/// Bit of a stream ID: the server opened the stream.
pub const QUIC_STREAM_TYPE_SERVER_MASK: i64 = 0x1;
/// Bit of a stream ID: the stream is unidirectional.
pub const QUIC_STREAM_TYPE_UNI_MASK: i64 = 0x2;
/// Both bits of a stream ID that say its kind.
pub const QUIC_STREAM_TYPE_MASK: i64 = 0x3;

// Stream flags have the type of `quic_stream_info::stream_flags`, their usual place.

/// Stream flag: these bytes are the last of the stream.
pub const MSG_QUIC_STREAM_FIN: u32 = 0x200;
/// Stream flag: open the stream first.
pub const MSG_QUIC_STREAM_NEW: u32 = 0x400;
/// Stream flag: the stream to open is unidirectional.
pub const MSG_QUIC_STREAM_UNI: u32 = 0x800;
/// Stream flag: tell the peer when its limits block us.
pub const MSG_QUIC_STREAM_SNDBLOCK: u32 = 0x2000;
/// Stream flag: do not wait for the peer to allow another stream.
pub const MSG_QUIC_STREAM_DONTWAIT: u32 = 0x1_0000;

// Message flags have the type of the flags of `sendmsg()` and `recvmsg()`, their only place.

/// Message flag: an unreliable datagram.
pub const MSG_QUIC_DATAGRAM: c_int = 0x1000;
/// Message flag of `recvmsg()`: an event.
pub const MSG_QUIC_NOTIFICATION: c_int = 0x8000;

/// Bytes of `quic_crypto_secret::secret`.
pub const QUIC_CRYPTO_SECRET_BUFFER_SIZE: usize = 48;
/// Bytes of `quic_connection_close::phrase`, with the terminating NUL.
pub const QUIC_CLOSE_PHRASE_BUFFER_SIZE: usize = 64;

/// `cmsg_type` of a `quic_stream_info`.
pub const QUIC_STREAM_INFO: c_int = 0;
/// `cmsg_type` of a `quic_handshake_info`.
pub const QUIC_HANDSHAKE_INFO: c_int = 1;

/// Level of 1-RTT packets.
pub const QUIC_CRYPTO_APP: u8 = 0;
/// Level of Initial packets.
pub const QUIC_CRYPTO_INITIAL: u8 = 1;
/// Level of Handshake packets.
pub const QUIC_CRYPTO_HANDSHAKE: u8 = 2;
/// Level of 0-RTT packets.
pub const QUIC_CRYPTO_EARLY: u8 = 3;
/// Number of levels.
pub const QUIC_CRYPTO_MAX: u8 = 4;

/// Option, get and set: [`quic_event_option`](crate::quic_event_option).
pub const QUIC_SOCKOPT_EVENT: c_int = 0;
/// Option, get: [`quic_stream_info`](crate::quic_stream_info), in and out.
pub const QUIC_SOCKOPT_STREAM_OPEN: c_int = 1;
/// Option, set: [`quic_errinfo`](crate::quic_errinfo).
pub const QUIC_SOCKOPT_STREAM_RESET: c_int = 2;
/// Option, set: [`quic_errinfo`](crate::quic_errinfo).
pub const QUIC_SOCKOPT_STREAM_STOP_SENDING: c_int = 3;
/// Option, get and set: [`quic_connection_id_info`](crate::quic_connection_id_info).
pub const QUIC_SOCKOPT_CONNECTION_ID: c_int = 4;
/// Option, get and set: [`quic_connection_close`](crate::quic_connection_close).
pub const QUIC_SOCKOPT_CONNECTION_CLOSE: c_int = 5;
/// Option, set: the socket address to move to, or the preferred one.
pub const QUIC_SOCKOPT_CONNECTION_MIGRATION: c_int = 6;
/// Option, set: no value needed.
pub const QUIC_SOCKOPT_KEY_UPDATE: c_int = 7;
/// Option, get and set: [`quic_transport_param`](crate::quic_transport_param).
pub const QUIC_SOCKOPT_TRANSPORT_PARAM: c_int = 8;
/// Option, get and set: [`quic_config`](crate::quic_config).
pub const QUIC_SOCKOPT_CONFIG: c_int = 9;
/// Option, get and set: address validation token, opaque bytes.
pub const QUIC_SOCKOPT_TOKEN: c_int = 10;
/// Option, get and set: protocol names separated by commas, no NUL.
pub const QUIC_SOCKOPT_ALPN: c_int = 11;
/// Option, get and set: session ticket or ticket key, opaque bytes.
pub const QUIC_SOCKOPT_SESSION_TICKET: c_int = 12;
/// Option, set: [`quic_crypto_secret`](crate::quic_crypto_secret).
pub const QUIC_SOCKOPT_CRYPTO_SECRET: c_int = 13;
/// Option, get and set: content of the TLS extension `quic_transport_parameters`.
pub const QUIC_SOCKOPT_TRANSPORT_PARAM_EXT: c_int = 14;

/// No event.
pub const QUIC_EVENT_NONE: u8 = 0;
/// Event: a stream entered a state; [`quic_stream_update`](crate::quic_stream_update).
pub const QUIC_EVENT_STREAM_UPDATE: u8 = 1;
/// Event: a stream may send more; [`quic_stream_max_data`](crate::quic_stream_max_data).
pub const QUIC_EVENT_STREAM_MAX_DATA: u8 = 2;
/// Event: more streams may be opened; the highest stream ID, `u64`.
pub const QUIC_EVENT_STREAM_MAX_STREAM: u8 = 3;
/// Event: connection IDs were retired; [`quic_connection_id_info`](crate::quic_connection_id_info).
pub const QUIC_EVENT_CONNECTION_ID: u8 = 4;
/// Event: the connection is closed; [`quic_connection_close`](crate::quic_connection_close).
pub const QUIC_EVENT_CONNECTION_CLOSE: u8 = 5;
/// Event: an address changed; `u8`, 1 if it was ours.
pub const QUIC_EVENT_CONNECTION_MIGRATION: u8 = 6;
/// Event: the peer updated its keys; `u8`, the key phase.
pub const QUIC_EVENT_KEY_UPDATE: u8 = 7;
/// Event: a token arrived; opaque bytes.
pub const QUIC_EVENT_NEW_TOKEN: u8 = 8;
/// Event: a session ticket arrived; a TLS NewSessionTicket message.
pub const QUIC_EVENT_NEW_SESSION_TICKET: u8 = 9;
/// One more than the last event.
pub const QUIC_EVENT_MAX: u8 = 10;

/// Sending part: open, nothing sent.
pub const QUIC_STREAM_SEND_STATE_READY: u8 = 0;
/// Sending part: data sent.
pub const QUIC_STREAM_SEND_STATE_SEND: u8 = 1;
/// Sending part: all sent, with FIN.
pub const QUIC_STREAM_SEND_STATE_SENT: u8 = 2;
/// Sending part: all acknowledged, with FIN.
pub const QUIC_STREAM_SEND_STATE_RECVD: u8 = 3;
/// Sending part: reset.
pub const QUIC_STREAM_SEND_STATE_RESET_SENT: u8 = 4;
/// Sending part: the reset is acknowledged.
pub const QUIC_STREAM_SEND_STATE_RESET_RECVD: u8 = 5;
/// Receiving part: data arriving.
pub const QUIC_STREAM_RECV_STATE_RECV: u8 = 6;
/// Receiving part: FIN has come, data is missing.
pub const QUIC_STREAM_RECV_STATE_SIZE_KNOWN: u8 = 7;
/// Receiving part: all data has come.
pub const QUIC_STREAM_RECV_STATE_RECVD: u8 = 8;
/// Receiving part: all data read.
pub const QUIC_STREAM_RECV_STATE_READ: u8 = 9;
/// Receiving part: the peer reset it.
pub const QUIC_STREAM_RECV_STATE_RESET_RECVD: u8 = 10;
/// Receiving part: the program knows of the reset.
pub const QUIC_STREAM_RECV_STATE_RESET_READ: u8 = 11;

/// NewReno, RFC 9002.
pub const QUIC_CONG_ALG_RENO: u8 = 0;
/// CUBIC, RFC 9438.
pub const QUIC_CONG_ALG_CUBIC: u8 = 1;
/// Number of congestion control algorithms.
pub const QUIC_CONG_ALG_MAX: u8 = 2;

/// Transport error: none.
pub const QUIC_TRANSPORT_ERROR_NONE: u32 = 0x00;
/// Transport error: `INTERNAL_ERROR`.
pub const QUIC_TRANSPORT_ERROR_INTERNAL: u32 = 0x01;
/// Transport error: `CONNECTION_REFUSED`.
pub const QUIC_TRANSPORT_ERROR_CONNECTION_REFUSED: u32 = 0x02;
/// Transport error: `FLOW_CONTROL_ERROR`.
pub const QUIC_TRANSPORT_ERROR_FLOW_CONTROL: u32 = 0x03;
/// Transport error: `STREAM_LIMIT_ERROR`.
pub const QUIC_TRANSPORT_ERROR_STREAM_LIMIT: u32 = 0x04;
/// Transport error: `STREAM_STATE_ERROR`.
pub const QUIC_TRANSPORT_ERROR_STREAM_STATE: u32 = 0x05;
/// Transport error: `FINAL_SIZE_ERROR`.
pub const QUIC_TRANSPORT_ERROR_FINAL_SIZE: u32 = 0x06;
/// Transport error: `FRAME_ENCODING_ERROR`.
pub const QUIC_TRANSPORT_ERROR_FRAME_ENCODING: u32 = 0x07;
/// Transport error: `TRANSPORT_PARAMETER_ERROR`.
pub const QUIC_TRANSPORT_ERROR_TRANSPORT_PARAM: u32 = 0x08;
/// Transport error: `CONNECTION_ID_LIMIT_ERROR`.
pub const QUIC_TRANSPORT_ERROR_CONNECTION_ID_LIMIT: u32 = 0x09;
/// Transport error: `PROTOCOL_VIOLATION`.
pub const QUIC_TRANSPORT_ERROR_PROTOCOL_VIOLATION: u32 = 0x0a;
/// Transport error: `INVALID_TOKEN`.
pub const QUIC_TRANSPORT_ERROR_INVALID_TOKEN: u32 = 0x0b;
/// Transport error: `APPLICATION_ERROR`.
pub const QUIC_TRANSPORT_ERROR_APPLICATION: u32 = 0x0c;
/// Transport error: `CRYPTO_BUFFER_EXCEEDED`.
pub const QUIC_TRANSPORT_ERROR_CRYPTO_BUF_EXCEEDED: u32 = 0x0d;
/// Transport error: `KEY_UPDATE_ERROR`.
pub const QUIC_TRANSPORT_ERROR_KEY_UPDATE: u32 = 0x0e;
/// Transport error: `AEAD_LIMIT_REACHED`.
pub const QUIC_TRANSPORT_ERROR_AEAD_LIMIT_REACHED: u32 = 0x0f;
/// Transport error: `NO_VIABLE_PATH`.
pub const QUIC_TRANSPORT_ERROR_NO_VIABLE_PATH: u32 = 0x10;
/// Transport error: `VERSION_NEGOTIATION_ERROR`, RFC 9368.
pub const QUIC_TRANSPORT_ERROR_VERSION_NEGOTIATION: u32 = 0x11;
/// One more than the last transport error with a fixed number.
pub const QUIC_TRANSPORT_ERROR_MAX: u32 = 0x12;
/// First of the errors that carry a TLS alert in their low 8 bits.
pub const QUIC_TRANSPORT_ERROR_CRYPTO: u32 = 0x100;
