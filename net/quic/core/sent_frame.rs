// SPDX-License-Identifier: GPL-2.0 OR MIT

//! [`SentFrame`]: what has to be remembered of a frame until its packet is acknowledged or lost.

use crate::offset::Offset;
use crate::stream_id::{Directionality, StreamId};
use crate::varint::VarInt;

/// A frame in a packet that is in flight.
///
/// RFC 9000 §13.3: it is not frames that are sent again, but the information in them, in new frames. So a record names
/// what was sent, not its contents. Limits are kept because only the loss of the latest one matters. Records are stored by the
/// thousand: 24 bytes each.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub enum SentFrame {
    /// STREAM.
    Stream {
        /// The stream.
        id: StreamId,
        /// The offset of the first byte.
        offset: Offset,
        /// How many bytes.
        len: u16,
        /// Whether the FIN bit was set.
        fin: bool,
    },
    /// CRYPTO; the packet number space of the packet tells which stream.
    Crypto {
        /// The offset of the first byte.
        offset: Offset,
        /// How many bytes.
        len: u16,
    },
    /// RESET_STREAM, or RESET_STREAM_AT if the reliable size is not zero.
    ResetStream {
        /// The stream.
        id: StreamId,
        /// The reliable size.
        reliable: Offset,
    },
    /// STOP_SENDING.
    StopSending {
        /// The stream.
        id: StreamId,
    },
    /// MAX_DATA.
    MaxData {
        /// The limit.
        limit: VarInt,
    },
    /// MAX_STREAM_DATA.
    MaxStreamData {
        /// The stream.
        id: StreamId,
        /// The limit.
        limit: VarInt,
    },
    /// MAX_STREAMS.
    MaxStreams {
        /// Of which streams.
        directionality: Directionality,
        /// The limit.
        limit: VarInt,
    },
    /// DATA_BLOCKED.
    DataBlocked {
        /// The limit.
        limit: VarInt,
    },
    /// STREAM_DATA_BLOCKED.
    StreamDataBlocked {
        /// The stream.
        id: StreamId,
        /// The limit.
        limit: VarInt,
    },
    /// STREAMS_BLOCKED.
    StreamsBlocked {
        /// Of which streams.
        directionality: Directionality,
        /// The limit.
        limit: VarInt,
    },
    /// NEW_CONNECTION_ID.
    NewConnectionId {
        /// The sequence number.
        sequence: u32,
    },
    /// RETIRE_CONNECTION_ID.
    RetireConnectionId {
        /// The sequence number.
        sequence: VarInt,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn size() {
        assert_eq!(core::mem::size_of::<SentFrame>(), 24);
        assert_eq!(core::mem::size_of::<Option<SentFrame>>(), 24);
    }
}
