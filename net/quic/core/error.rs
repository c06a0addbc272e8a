// SPDX-License-Identifier: GPL-2.0 OR MIT

//! [`TransportError`]: why a connection has to be closed, as CONNECTION_CLOSE reports it.

use crate::varint::VarInt;
use core::fmt;

/// An error code of the transport (RFC 9000 §20.1). A peer may send any value.
#[derive(Copy, Clone, PartialEq, Eq, Hash)]
pub struct TransportErrorCode(VarInt);

/// A connection error: the code, the frame type and the reason of a CONNECTION_CLOSE frame of type
/// 0x1c.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub struct TransportError {
    /// What kind of error.
    pub code: TransportErrorCode,
    /// The type of the frame that caused it, 0 if none did or it is unknown (RFC 9000 §19.19).
    pub frame: u64,
    /// For humans: sent as the reason phrase.
    pub reason: &'static str,
}

macro_rules! codes {
    ($($(#[$doc:meta])* $name:ident = $value:literal;)*) => {
        impl TransportErrorCode {
            $($(#[$doc])* pub const $name: Self = Self(VarInt::from_u32($value));)*

            /// The name in the registry; `None` for CRYPTO_ERROR and for codes that are not registered.
            pub const fn name(self) -> Option<&'static str> {
                match self.0.get() {
                    $($value => Some(stringify!($name)),)*
                    _ => None,
                }
            }
        }
    };
}

codes! {
    /// The connection is closed without an error.
    NO_ERROR = 0x00;
    /// The implementation cannot continue.
    INTERNAL_ERROR = 0x01;
    /// The server refuses a new connection.
    CONNECTION_REFUSED = 0x02;
    /// More data than was permitted.
    FLOW_CONTROL_ERROR = 0x03;
    /// More streams than were permitted.
    STREAM_LIMIT_ERROR = 0x04;
    /// A frame for a stream that was not in a state that permitted it.
    STREAM_STATE_ERROR = 0x05;
    /// Data beyond the final size, or a final size that changed.
    FINAL_SIZE_ERROR = 0x06;
    /// A frame that is badly formatted.
    FRAME_ENCODING_ERROR = 0x07;
    /// Transport parameters that are badly formatted, invalid, missing or forbidden.
    TRANSPORT_PARAMETER_ERROR = 0x08;
    /// More connection IDs than the advertised limit.
    CONNECTION_ID_LIMIT_ERROR = 0x09;
    /// A violation that no other code describes.
    PROTOCOL_VIOLATION = 0x0a;
    /// A client Initial with a token that is invalid.
    INVALID_TOKEN = 0x0b;
    /// The application closed the connection; also stands for its error where that must not be shown.
    APPLICATION_ERROR = 0x0c;
    /// More CRYPTO data than can be buffered.
    CRYPTO_BUFFER_EXCEEDED = 0x0d;
    /// An error in a key update.
    KEY_UPDATE_ERROR = 0x0e;
    /// The confidentiality or integrity limit of the AEAD is reached.
    AEAD_LIMIT_REACHED = 0x0f;
    /// The path cannot carry QUIC.
    NO_VIABLE_PATH = 0x10;
    /// Version negotiation was tampered with or led nowhere (RFC 9368 §10.2).
    VERSION_NEGOTIATION_ERROR = 0x11;
}

impl TransportErrorCode {
    /// The code with that value.
    pub const fn new(value: VarInt) -> Self {
        Self(value)
    }

    /// CRYPTO_ERROR for a TLS alert.
    // RFC 9001 §4.8: The AlertDescription value is added to 0x0100 to produce a QUIC error code
    // from the range reserved for CRYPTO_ERROR.
    pub const fn crypto(alert: u8) -> Self {
        // `u32::from` is not const.
        #[allow(clippy::cast_lossless)]
        Self(VarInt::from_u32(0x100 | alert as u32))
    }

    /// The TLS alert, if this is a CRYPTO_ERROR.
    pub const fn alert(self) -> Option<u8> {
        match self.0.get() {
            // The cast cuts the 0x100 off.
            code @ 0x100..=0x1ff => Some(code as u8),
            _ => None,
        }
    }

    /// The value on the wire.
    pub const fn get(self) -> VarInt {
        self.0
    }
}

impl fmt::Debug for TransportErrorCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.name(), self.alert()) {
            (Some(name), _) => f.write_str(name),
            (None, Some(alert)) => write!(f, "CRYPTO_ERROR({alert})"),
            (None, None) => write!(f, "{:#x}", self.0.get()),
        }
    }
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

    /// PROTOCOL_VIOLATION that no frame caused.
    pub const fn protocol_violation(reason: &'static str) -> Self {
        Self::new(TransportErrorCode::PROTOCOL_VIOLATION, 0, reason)
    }

    /// TRANSPORT_PARAMETER_ERROR.
    pub const fn transport_parameter(reason: &'static str) -> Self {
        Self::new(TransportErrorCode::TRANSPORT_PARAMETER_ERROR, 0, reason)
    }

    /// VERSION_NEGOTIATION_ERROR.
    pub const fn version_negotiation(reason: &'static str) -> Self {
        Self::new(TransportErrorCode::VERSION_NEGOTIATION_ERROR, 0, reason)
    }
}

impl fmt::Display for TransportError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}: {}", self.code, self.reason)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // [rfc9001-4.8-1]
    #[test]
    fn alerts_map_both_ways() {
        let unexpected_message = TransportErrorCode::crypto(10);
        assert_eq!(unexpected_message.get().get(), 0x010a);
        assert_eq!(unexpected_message.alert(), Some(10));
        assert_eq!(TransportErrorCode::crypto(255).alert(), Some(255));
        assert_eq!(TransportErrorCode::PROTOCOL_VIOLATION.alert(), None);
        assert_eq!(
            TransportErrorCode::new(VarInt::from_u32(0x200)).alert(),
            None
        );
    }

    #[test]
    fn codes_have_names() {
        for code in 0..=0x11 {
            assert!(TransportErrorCode::new(VarInt::from_u32(code))
                .name()
                .is_some());
        }
        assert_eq!(
            format!("{:?}", TransportErrorCode::crypto(120)),
            "CRYPTO_ERROR(120)"
        );
        assert_eq!(
            format!("{:?}", TransportErrorCode::new(VarInt::from_u32(0x3e))),
            "0x3e"
        );
        let error = TransportError::protocol_violation("reserved bits");
        assert_eq!(format!("{error}"), "PROTOCOL_VIOLATION: reserved bits");
    }
}
