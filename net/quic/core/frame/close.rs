// SPDX-License-Identifier: GPL-2.0 OR MIT

//! [`ConnectionClose`]: the end of a connection and its reason (RFC 9000 §19.19).

use super::{FrameType, Malformed};
use crate::bytes::{Full, Reader, Writer};
use crate::error::{TransportError, TransportErrorCode};
use crate::varint::VarInt;

/// A CONNECTION_CLOSE frame.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub struct ConnectionClose<'a> {
    /// Who closes, and why.
    pub cause: CloseCause,
    /// Reason Phrase: UTF-8, but that is not checked, and empty if there is none.
    pub reason: &'a [u8],
}

/// Who closes a connection, and why.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub enum CloseCause {
    /// The transport: type 0x1c.
    Transport {
        /// Error Code.
        code: TransportErrorCode,
        /// Frame Type: the type of the frame that caused the error, 0 if none did or it is
        /// unknown.
        frame_type: VarInt,
    },
    /// The application: type 0x1d.
    Application {
        /// Error Code.
        code: VarInt,
    },
}

impl<'a> ConnectionClose<'a> {
    /// Parses what follows the type.
    pub(super) fn parse(reader: &mut Reader<'a>, application: bool) -> Result<Self, Malformed> {
        let code = reader.varint()?;
        let cause = match application {
            true => CloseCause::Application { code },
            false => CloseCause::Transport {
                code: TransportErrorCode::new(code),
                frame_type: reader.varint()?,
            },
        };
        let length = reader.varint()?;
        Ok(Self {
            cause,
            reason: reader.bytes_u64(length.get())?,
        })
    }

    pub(super) fn emit(&self, writer: &mut Writer<'_>) -> Result<(), Full> {
        match self.cause {
            CloseCause::Transport { code, frame_type } => {
                writer.varint(code.get())?;
                writer.varint(frame_type)?;
            }
            CloseCause::Application { code } => writer.varint(code)?,
        }
        writer.varint(VarInt::try_from(self.reason.len()).map_err(|_| Full)?)?;
        writer.bytes(self.reason)
    }

    /// The type of this frame.
    pub(super) fn frame_type(&self) -> FrameType {
        match self.cause {
            CloseCause::Transport { .. } => FrameType::CONNECTION_CLOSE,
            CloseCause::Application { .. } => FrameType::APPLICATION_CLOSE,
        }
    }

    /// The same frame with its reason cut so that the frame takes `room` bytes at most, if that is
    /// possible.
    // RFC 9000 §19.19: The reason phrase length is limited by the size of the packet, as frames
    // cannot span packets.
    pub fn cut_to(self, room: usize) -> Self {
        let bare = Self {
            reason: &[],
            ..self
        };
        // Of which one byte is the length.
        let len = super::capacity(room.saturating_sub(bare.size()).saturating_add(1)).unwrap_or(0);
        Self {
            reason: self.reason.get(..len).unwrap_or(self.reason),
            ..self
        }
    }

    /// The frame that says the same in an Initial or Handshake packet.
    // RFC 9000 §10.2.3: Sending a CONNECTION_CLOSE of type 0x1d in an Initial or Handshake packet
    // could expose application state or be used to alter application state. A CONNECTION_CLOSE
    // of type 0x1d MUST be replaced by a CONNECTION_CLOSE of type 0x1c […] endpoints MUST clear
    // the value of the Reason Phrase field and SHOULD use the APPLICATION_ERROR code.
    pub fn before_handshake(self) -> Self {
        match self.cause {
            CloseCause::Transport { .. } => self,
            CloseCause::Application { .. } => Self {
                cause: CloseCause::Transport {
                    code: TransportErrorCode::APPLICATION_ERROR,
                    frame_type: VarInt::ZERO,
                },
                reason: &[],
            },
        }
    }

    pub(super) fn size(&self) -> usize {
        let cause = match self.cause {
            CloseCause::Transport { code, frame_type } => {
                code.get().size().saturating_add(frame_type.size())
            }
            CloseCause::Application { code } => code.size(),
        };
        let length = VarInt::try_from(self.reason.len())
            .unwrap_or(VarInt::MAX)
            .size();
        cause
            .saturating_add(length)
            .saturating_add(self.reason.len())
            .saturating_add(1)
    }
}

impl From<TransportError> for ConnectionClose<'static> {
    fn from(error: TransportError) -> Self {
        Self {
            cause: CloseCause::Transport {
                code: error.code,
                frame_type: VarInt::saturating(error.frame),
            },
            reason: error.reason.as_bytes(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reason_is_cut_to_the_room() {
        let text = [b'x'; 100];
        let code = VarInt::from_u32(1000);
        let close = ConnectionClose {
            cause: CloseCause::Application { code },
            reason: &text,
        };
        assert_eq!(close.size(), 1 + 2 + 2 + 100);
        for room in 4..120 {
            let cut = close.cut_to(room);
            assert!(cut.size() <= room, "{room}");
            let longer = ConnectionClose {
                reason: &text[..(cut.reason.len() + 1).min(100)],
                ..close
            };
            assert!(cut.reason.len() == 100 || longer.size() > room, "{room}");
        }
        assert_eq!(close.cut_to(0).reason, &[]);
        assert_eq!(close.cut_to(usize::MAX), close);
    }

    // [rfc9000-10.2.3-2] [rfc9000-10.2.3-3] [rfc9000-12.5-1]
    #[test]
    fn application_hides_itself_before_the_handshake() {
        let application = ConnectionClose {
            cause: CloseCause::Application {
                code: VarInt::from_u32(7),
            },
            reason: b"secret",
        };
        let error = TransportError::new(TransportErrorCode::APPLICATION_ERROR, 0, "");
        assert_eq!(application.before_handshake(), error.into());
        let transport = ConnectionClose::from(TransportError::protocol_violation("reason"));
        assert_eq!(transport.before_handshake(), transport);
        assert_eq!(transport.reason, b"reason");
    }
}
