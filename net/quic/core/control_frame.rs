// SPDX-License-Identifier: GPL-2.0 OR MIT

//! [`ControlFrame`]: a frame about streams that carries no data, ready to be written.

use crate::offset::Offset;
use crate::sent_frame::SentFrame;
use crate::stream_id::{Directionality, StreamId};
use crate::varint::VarInt;

/// The types of frames about streams (RFC 9000 §19, draft-ietf-quic-reliable-stream-reset §4).
pub(crate) mod frame_type {
    pub(crate) const RESET_STREAM: u64 = 0x04;
    pub(crate) const STOP_SENDING: u64 = 0x05;
    pub(crate) const CRYPTO: u64 = 0x06;
    pub(crate) const STREAM: u64 = 0x08;
    pub(crate) const MAX_STREAM_DATA: u64 = 0x11;
    pub(crate) const MAX_STREAMS_BIDI: u64 = 0x12;
    pub(crate) const MAX_STREAMS_UNI: u64 = 0x13;
    pub(crate) const STREAM_DATA_BLOCKED: u64 = 0x15;
    pub(crate) const STREAMS_BLOCKED_BIDI: u64 = 0x16;
    pub(crate) const STREAMS_BLOCKED_UNI: u64 = 0x17;
    pub(crate) const NEW_CONNECTION_ID: u64 = 0x18;
    pub(crate) const RETIRE_CONNECTION_ID: u64 = 0x19;
    pub(crate) const RESET_STREAM_AT: u64 = 0x24;
    pub(crate) const DATAGRAM: u64 = 0x30;
}

/// A frame to write into a packet. Every limit is the one that holds when the frame is taken.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
#[allow(missing_docs)] // The fields are those of RFC 9000 §19, and have their names.
pub enum ControlFrame {
    ResetStream {
        id: StreamId,
        error_code: VarInt,
        final_size: Offset,
    },
    ResetStreamAt {
        id: StreamId,
        error_code: VarInt,
        final_size: Offset,
        reliable_size: Offset,
    },
    StopSending {
        id: StreamId,
        error_code: VarInt,
    },
    MaxData {
        limit: VarInt,
    },
    MaxStreamData {
        id: StreamId,
        limit: VarInt,
    },
    MaxStreams {
        directionality: Directionality,
        limit: VarInt,
    },
    DataBlocked {
        limit: VarInt,
    },
    StreamDataBlocked {
        id: StreamId,
        limit: VarInt,
    },
    StreamsBlocked {
        directionality: Directionality,
        limit: VarInt,
    },
}

impl ControlFrame {
    /// How many bytes of a packet it takes.
    pub fn size(&self) -> usize {
        let fields = match *self {
            Self::ResetStream {
                id,
                error_code,
                final_size,
            } => [id.get(), error_code, final_size.varint()].map(VarInt::size),
            Self::ResetStreamAt {
                id,
                error_code,
                final_size,
                reliable_size,
            } => {
                let [id, code, size] =
                    [id.get(), error_code, final_size.varint()].map(VarInt::size);
                [id, code, size.saturating_add(reliable_size.varint().size())]
            }
            Self::StopSending {
                id,
                error_code: value,
            }
            | Self::MaxStreamData { id, limit: value }
            | Self::StreamDataBlocked { id, limit: value } => [id.get().size(), value.size(), 0],
            Self::MaxData { limit }
            | Self::MaxStreams { limit, .. }
            | Self::DataBlocked { limit }
            | Self::StreamsBlocked { limit, .. } => [limit.size(), 0, 0],
        };
        // One byte is the type.
        fields
            .iter()
            .fold(1, |sum: usize, field| sum.saturating_add(*field))
    }

    /// What to remember of it.
    pub fn record(&self) -> SentFrame {
        match *self {
            Self::ResetStream { id, .. } => SentFrame::ResetStream {
                id,
                reliable: Offset::ZERO,
            },
            Self::ResetStreamAt {
                id, reliable_size, ..
            } => SentFrame::ResetStream {
                id,
                reliable: reliable_size,
            },
            Self::StopSending { id, .. } => SentFrame::StopSending { id },
            Self::MaxData { limit } => SentFrame::MaxData { limit },
            Self::MaxStreamData { id, limit } => SentFrame::MaxStreamData { id, limit },
            Self::MaxStreams {
                directionality,
                limit,
            } => SentFrame::MaxStreams {
                directionality,
                limit,
            },
            Self::DataBlocked { limit } => SentFrame::DataBlocked { limit },
            Self::StreamDataBlocked { id, limit } => SentFrame::StreamDataBlocked { id, limit },
            Self::StreamsBlocked {
                directionality,
                limit,
            } => SentFrame::StreamsBlocked {
                directionality,
                limit,
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_of_rfc_9000_section_19() {
        let (id, big) = (StreamId::new(VarInt::from_u32(64)), VarInt::MAX);
        let one = VarInt::from_u32(1);
        let offset = Offset::from(VarInt::from_u32(20_000));
        for (frame, size) in [
            (
                ControlFrame::ResetStream {
                    id,
                    error_code: one,
                    final_size: offset,
                },
                1 + 2 + 1 + 4,
            ),
            (
                ControlFrame::ResetStreamAt {
                    id,
                    error_code: one,
                    final_size: offset,
                    reliable_size: offset,
                },
                1 + 2 + 1 + 4 + 4,
            ),
            (
                ControlFrame::StopSending {
                    id,
                    error_code: big,
                },
                1 + 2 + 8,
            ),
            (ControlFrame::MaxStreamData { id, limit: big }, 1 + 2 + 8),
            (
                ControlFrame::StreamDataBlocked { id, limit: one },
                1 + 2 + 1,
            ),
            (ControlFrame::MaxData { limit: big }, 1 + 8),
            (ControlFrame::DataBlocked { limit: one }, 1 + 1),
            (
                ControlFrame::MaxStreams {
                    directionality: Directionality::Bidirectional,
                    limit: one,
                },
                1 + 1,
            ),
            (
                ControlFrame::StreamsBlocked {
                    directionality: Directionality::Unidirectional,
                    limit: big,
                },
                1 + 8,
            ),
        ] {
            assert_eq!(frame.size(), size, "{frame:?}");
        }
    }
}
