// SPDX-License-Identifier: GPL-2.0 OR MIT

//! [`StreamLimits`]: what one endpoint allows the other, as its transport parameters say (RFC 9000
//! §18.2).

use crate::role::Role;
use crate::stream_id::{Directionality, StreamId};
use crate::transport_parameters::TransportParameters;
use crate::varint::VarInt;

/// The limits in the transport parameters of an endpoint. All are zero until they are known.
#[derive(Copy, Clone, PartialEq, Eq, Debug, Default)]
pub struct StreamLimits {
    /// initial_max_data: bytes on all streams.
    pub max_data: VarInt,
    /// initial_max_stream_data_bidi_local: bytes on a bidirectional stream that the endpoint opens
    /// itself.
    pub max_stream_data_bidi_local: VarInt,
    /// initial_max_stream_data_bidi_remote: bytes on a bidirectional stream that the other one
    /// opens.
    pub max_stream_data_bidi_remote: VarInt,
    /// initial_max_stream_data_uni: bytes on a unidirectional stream that the other one opens.
    pub max_stream_data_uni: VarInt,
    /// initial_max_streams_bidi: how many bidirectional streams the other one may open, at most
    /// 2^60.
    pub max_streams_bidi: VarInt,
    /// initial_max_streams_uni: how many unidirectional streams the other one may open, at most
    /// 2^60.
    pub max_streams_uni: VarInt,
    /// reset_stream_at: the endpoint understands RESET_STREAM_AT.
    pub reset_stream_at: bool,
}

/// What is to be known of [`StreamLimits`] as long as streams are opened.
#[derive(Copy, Clone, Debug)]
pub(crate) struct StreamWindows {
    bidi_local: VarInt,
    bidi_remote: VarInt,
    uni: VarInt,
    pub(crate) reset_stream_at: bool,
}

impl StreamWindows {
    /// How many bytes the endpoint with `role` accepts on stream `id`, if it receives on it.
    pub(crate) fn stream_data(&self, role: Role, id: StreamId) -> u64 {
        match (id.directionality(), id.initiator() == role) {
            (Directionality::Bidirectional, true) => self.bidi_local,
            (Directionality::Bidirectional, false) => self.bidi_remote,
            (Directionality::Unidirectional, _) => self.uni,
        }
        .get()
    }
}

impl From<&TransportParameters> for StreamLimits {
    fn from(parameters: &TransportParameters) -> Self {
        Self {
            max_data: parameters.initial_max_data,
            max_stream_data_bidi_local: parameters.initial_max_stream_data_bidi_local,
            max_stream_data_bidi_remote: parameters.initial_max_stream_data_bidi_remote,
            max_stream_data_uni: parameters.initial_max_stream_data_uni,
            max_streams_bidi: parameters.initial_max_streams_bidi,
            max_streams_uni: parameters.initial_max_streams_uni,
            reset_stream_at: parameters.reset_stream_at,
        }
    }
}

impl StreamLimits {
    /// What of them a new stream needs.
    pub(crate) fn windows(&self) -> StreamWindows {
        StreamWindows {
            bidi_local: self.max_stream_data_bidi_local,
            bidi_remote: self.max_stream_data_bidi_remote,
            uni: self.max_stream_data_uni,
            reset_stream_at: self.reset_stream_at,
        }
    }

    /// How many streams the other one may open.
    pub(crate) fn streams(&self, directionality: Directionality) -> u64 {
        match directionality {
            Directionality::Bidirectional => self.max_streams_bidi,
            Directionality::Unidirectional => self.max_streams_uni,
        }
        .get()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn local_and_remote_are_seen_from_the_endpoint_that_sets_them() {
        let limits = StreamLimits {
            max_stream_data_bidi_local: VarInt::from_u32(1),
            max_stream_data_bidi_remote: VarInt::from_u32(2),
            max_stream_data_uni: VarInt::from_u32(3),
            ..StreamLimits::default()
        };
        let data = |role, id| {
            limits
                .windows()
                .stream_data(role, StreamId::new(VarInt::from_u32(id)))
        };
        assert_eq!([0, 1, 2, 3].map(|id| data(Role::Client, id)), [1, 2, 3, 3]);
        assert_eq!([0, 1, 2, 3].map(|id| data(Role::Server, id)), [2, 1, 3, 3]);
    }
}
