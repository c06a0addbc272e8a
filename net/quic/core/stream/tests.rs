// SPDX-License-Identifier: GPL-2.0 OR MIT

//! Tests of [`Streams`](super::Streams) as a whole.

mod attack;
mod events;
mod memory;
mod model;
mod opening;
mod round_trip;
mod rules;
mod sending;

use super::*;
use crate::chunk::testing::{pattern, Bytes};
use crate::error::TransportErrorCode;
use crate::frame::{self, Frame, Payload, ResetStream, ResetStreamAt, StopSending};
use crate::offset::Offset;
use crate::role::Role;
use crate::sent_frame::SentFrame;
use crate::stream_id::{Directionality, StreamId};
use crate::time::{Duration, Instant};
use crate::varint::VarInt;
use kernel::alloc::flags::GFP_KERNEL;
use std::vec::Vec;
use Directionality::{Bidirectional, Unidirectional};

pub(super) const CODE: VarInt = VarInt::from_u32(42);

pub(super) fn id(id: u64) -> StreamId {
    StreamId::new(VarInt::new(id).unwrap())
}

pub(super) fn at(offset: u64) -> Offset {
    Offset::saturating(offset)
}

pub(super) fn v(value: u64) -> VarInt {
    VarInt::new(value).unwrap()
}

/// A STREAM frame whose data is beside it.
pub(super) fn stream_frame(id: StreamId, offset: VarInt, fin: bool) -> frame::Stream<'static> {
    frame::Stream {
        id,
        offset,
        fin,
        data: Payload::EMPTY,
    }
}

/// What is remembered of a control frame.
pub(super) fn sent(frame: &Frame<'_>) -> SentFrame {
    SentFrame::of(frame).unwrap()
}

/// A RESET_STREAM frame.
pub(super) fn reset_frame(id: StreamId, size: u64) -> ResetStream {
    ResetStream {
        id,
        error: CODE,
        final_size: v(size),
    }
}

/// A RESET_STREAM_AT frame.
pub(super) fn reset_at_frame(id: StreamId, size: u64, reliable: u64) -> ResetStreamAt {
    ResetStreamAt {
        reset: reset_frame(id, size),
        reliable_size: v(reliable),
    }
}

/// Every limit of the same kind with the same value.
pub(super) fn limits(data: u64, stream_data: u64, streams: u64) -> StreamLimits {
    StreamLimits {
        max_data: v(data),
        max_stream_data_bidi_local: v(stream_data),
        max_stream_data_bidi_remote: v(stream_data),
        max_stream_data_uni: v(stream_data),
        max_streams_bidi: v(streams),
        max_streams_uni: v(streams),
        reset_stream_at: true,
    }
}

pub(super) fn config(local: StreamLimits) -> StreamConfig {
    StreamConfig {
        local,
        max_window: 1 << 20,
        recv_limit: 8 << 20,
    }
}

/// A connection's streams, and the events they reported.
pub(super) struct End {
    pub(super) streams: Streams<Bytes, Bytes>,
    pub(super) events: Vec<StreamEvent>,
}

impl End {
    pub(super) fn new(role: Role, local: StreamLimits, peer: StreamLimits) -> Self {
        let mut streams = Streams::new(role, config(local));
        streams.set_peer_limits(&peer);
        Self {
            streams,
            events: vec![],
        }
    }

    /// A server with limits that do not matter.
    pub(super) fn server() -> Self {
        Self::new(
            Role::Server,
            limits(1 << 20, 1 << 20, 100),
            limits(1 << 20, 1 << 20, 100),
        )
    }

    /// A client with limits that do not matter.
    pub(super) fn client() -> Self {
        Self::new(
            Role::Client,
            limits(1 << 20, 1 << 20, 100),
            limits(1 << 20, 1 << 20, 100),
        )
    }

    pub(super) fn open(&mut self, stream: u64) -> Result<(), OpenError> {
        self.streams.open(id(stream), GFP_KERNEL)
    }

    pub(super) fn write(&mut self, stream: u64, len: usize) -> Result<(), WriteError> {
        self.streams
            .write(id(stream), Bytes::pattern(stream, 0, len), GFP_KERNEL)?;
        self.streams.push(id(stream));
        Ok(())
    }

    pub(super) fn finish(&mut self, stream: u64) -> Result<(), WriteError> {
        self.streams.finish(id(stream), GFP_KERNEL)
    }

    pub(super) fn reset(&mut self, stream: u64) -> Result<(), ResetError> {
        self.streams
            .reset(id(stream), CODE, Offset::ZERO, GFP_KERNEL)
    }

    pub(super) fn stop(&mut self, stream: u64) -> Result<(), StopError> {
        self.streams.stop(id(stream), CODE, GFP_KERNEL)
    }

    pub(super) fn on_stream(
        &mut self,
        stream: u64,
        offset: u64,
        len: usize,
        fin: bool,
    ) -> Result<(), FrameError> {
        let data = Bytes::pattern(stream, offset, len);
        let frame = stream_frame(id(stream), v(offset), fin);
        let events = &mut self.events;
        self.streams
            .on_stream(&frame, data, GFP_KERNEL, &mut |event| events.push(event))
    }

    pub(super) fn on_reset(&mut self, stream: u64, size: u64) -> Result<(), FrameError> {
        let events = &mut self.events;
        self.streams
            .on_reset_stream(&reset_frame(id(stream), size), GFP_KERNEL, &mut |event| {
                events.push(event)
            })
    }

    pub(super) fn on_stop_sending(&mut self, stream: u64) -> Result<(), FrameError> {
        let frame = StopSending {
            id: id(stream),
            error: CODE,
        };
        let events = &mut self.events;
        self.streams
            .on_stop_sending(&frame, GFP_KERNEL, &mut |event| events.push(event))
    }

    pub(super) fn on_max_stream_data(&mut self, stream: u64, limit: u64) -> Result<(), FrameError> {
        let events = &mut self.events;
        self.streams
            .on_max_stream_data(id(stream), v(limit), GFP_KERNEL, &mut |event| {
                events.push(event)
            })
    }

    pub(super) fn on_max_streams(&mut self, directionality: Directionality, maximum: u64) {
        let events = &mut self.events;
        self.streams
            .on_max_streams(directionality, v(maximum), &mut |event| events.push(event));
    }

    pub(super) fn on_acked(&mut self, frame: &SentFrame) {
        let events = &mut self.events;
        self.streams
            .on_acked(frame, GFP_KERNEL, &mut |event| events.push(event));
    }

    pub(super) fn on_lost(&mut self, frame: &SentFrame) {
        self.streams.on_lost(frame, GFP_KERNEL);
    }

    pub(super) fn control(&mut self) -> Vec<Frame<'static>> {
        core::iter::from_fn(|| self.streams.poll_control(1200)).collect()
    }

    pub(super) fn frames(&mut self, space: usize, tail: Tail) -> Vec<StreamFrame> {
        core::iter::from_fn(|| self.streams.poll_stream(space, tail, GFP_KERNEL)).collect()
    }

    /// Sends everything and returns the records of it.
    pub(super) fn send_all(&mut self) -> Vec<SentFrame> {
        let mut records: Vec<_> = self
            .frames(1200, Tail::All)
            .iter()
            .map(StreamFrame::record)
            .collect();
        records.extend(self.control().iter().filter_map(SentFrame::of));
        records
    }

    /// Sends everything, and all of it arrives.
    pub(super) fn send_and_ack(&mut self) {
        for record in self.send_all() {
            self.on_acked(&record);
        }
    }

    /// Reads what came first, checks its contents if it is the whole stream, and returns (stream,
    /// length, FIN).
    pub(super) fn read(&mut self) -> Option<(u64, usize, bool)> {
        let next = self.streams.next_readable()?;
        let available: Vec<u8> = self
            .streams
            .peek(next.id)
            .flat_map(|chunk: &Bytes| chunk.as_slice().to_vec())
            .collect();
        assert!(available.len() as u64 >= next.len);
        self.streams
            .consume(next.id, next.len, Instant::from_nanos(0), Duration::ZERO);
        Some((next.id.get().get(), next.len as usize, next.fin))
    }

    pub(super) fn take_events(&mut self) -> Vec<StreamEvent> {
        core::mem::take(&mut self.events)
    }
}

/// The code of a transport error.
#[track_caller]
pub(super) fn code(result: Result<(), FrameError>) -> TransportErrorCode {
    match result {
        Err(FrameError::Transport(error)) => error.code,
        other => panic!("{other:?}"),
    }
}
