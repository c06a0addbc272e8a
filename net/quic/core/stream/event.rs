// SPDX-License-Identifier: GPL-2.0 OR MIT

//! [`StreamEvent`]: what the application may want to know about streams.

use super::state::{RecvState, SendState};
use crate::offset::Offset;
use crate::stream_id::StreamId;
use crate::varint::VarInt;

/// Something that happened to a stream, handed to the caller at the moment it happens: nothing is
/// queued here, and whether anybody listens is not known here.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub enum StreamEvent {
    /// Everything including the end was acknowledged, or the reset was: the state is
    /// [`SendState::DataRecvd`] or [`SendState::ResetRecvd`]. Or the peer stopped the stream:
    /// [`SendState::ResetSent`].
    Send {
        /// The stream.
        id: StreamId,
        /// The new state.
        state: SendState,
        /// The code of the reset, or zero.
        error_code: VarInt,
        /// The final size if the stream was reset, or zero.
        final_size: Offset,
    },
    /// Something arrived: the first frame ([`RecvState::Recv`]), the end before all data
    /// ([`RecvState::SizeKnown`]), the last of the data ([`RecvState::DataRecvd`]), or a reset
    /// ([`RecvState::ResetRecvd`]).
    Recv {
        /// The stream.
        id: StreamId,
        /// The new state.
        state: RecvState,
        /// The code of the reset, or zero.
        error_code: VarInt,
        /// The final size, or zero if it is not known.
        final_size: Offset,
    },
    /// The peer allows more data on a stream.
    MaxStreamData {
        /// The stream.
        id: StreamId,
        /// The limit.
        limit: VarInt,
    },
    /// The peer allows more streams.
    MaxStreams {
        /// The highest stream that may be opened.
        highest: StreamId,
    },
}
