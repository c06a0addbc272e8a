// SPDX-License-Identifier: GPL-2.0 OR MIT

//! [`TransportError`]: why a connection has to be closed, as CONNECTION_CLOSE reports it.

use crate::varint::VarInt;

/// An error code of the transport (RFC 9000 §20.1). A peer may send any value.
#[derive(Copy, Clone, PartialEq, Eq, Hash, Debug)]
pub struct TransportErrorCode(VarInt);

/// A connection error: the code, the frame type and the reason of a CONNECTION_CLOSE frame of type 0x1c.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub struct TransportError {
    /// What kind of error.
    pub code: TransportErrorCode,
    /// The type of the frame that caused it, 0 if none did or it is unknown (RFC 9000 §19.19).
    pub frame: u64,
    /// For humans: sent as the reason phrase.
    pub reason: &'static str,
}

impl TransportErrorCode {
    /// More data than was permitted.
    pub const FLOW_CONTROL_ERROR: Self = Self(VarInt::from_u32(0x03));
    /// More streams than were permitted.
    pub const STREAM_LIMIT_ERROR: Self = Self(VarInt::from_u32(0x04));
    /// A frame for a stream that was not in a state that permitted it.
    pub const STREAM_STATE_ERROR: Self = Self(VarInt::from_u32(0x05));
    /// Data beyond the final size, or a final size that changed.
    pub const FINAL_SIZE_ERROR: Self = Self(VarInt::from_u32(0x06));
    /// A frame that is badly formatted.
    pub const FRAME_ENCODING_ERROR: Self = Self(VarInt::from_u32(0x07));
    /// More connection IDs than the advertised limit.
    pub const CONNECTION_ID_LIMIT_ERROR: Self = Self(VarInt::from_u32(0x09));
    /// A violation that no other code describes.
    pub const PROTOCOL_VIOLATION: Self = Self(VarInt::from_u32(0x0a));
    /// More CRYPTO data than can be buffered.
    pub const CRYPTO_BUFFER_EXCEEDED: Self = Self(VarInt::from_u32(0x0d));
}

impl TransportError {
    /// An error caused by a frame of type `frame`, 0 for none.
    pub const fn new(code: TransportErrorCode, frame: u64, reason: &'static str) -> Self {
        Self {
            code,
            frame,
            reason,
        }
    }
}
