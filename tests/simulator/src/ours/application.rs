// SPDX-License-Identifier: MIT OR Apache-2.0

//! [`Application`] for quic-core.

use super::world::World;
use super::Ours;
use crate::host::{
    Application, ClosedStream, EarlyData, Event, Progress, ReadError, Status, WriteError,
};
use kernel::alloc::flags::GFP_KERNEL;
use quic_core::connection::{Connection, State};
use quic_core::datagram::DatagramError;
use quic_core::offset::Offset;
use quic_core::stream::{OpenError, ResetError, StopError};
use quic_core::stream_id::{Directionality, StreamId};
use quic_core::time::Instant;
use quic_core::varint::VarInt;
use std::net::SocketAddr;

impl Ours {
    /// How many bytes may be written to a stream now.
    fn room(&mut self, id: StreamId) -> Result<usize, WriteError> {
        let stopped = self.streams.stops.get(&id).copied();
        let closed = stopped.map_or(WriteError::Closed, WriteError::Stopped);
        let connection = self.connection.as_mut().ok_or(WriteError::Closed)?;
        let streams = connection.streams();
        let credit = streams.write_credit(id, GFP_KERNEL).map_err(|_| closed)?;
        let buffer = self.settings.send_window;
        let room = buffer.saturating_sub(streams.send_held() as u64);
        Ok(room.min(credit) as usize)
    }

    /// Tells those who wait that they need not any more.
    fn wake(&mut self) {
        if !std::mem::take(&mut self.stirred) {
            return;
        }
        let Some(connection) = &mut self.connection else {
            return;
        };
        let resets = &self.streams.resets;
        let events = &mut self.events;
        self.streams.reading.retain(|id| {
            let (len, fin) = connection.streams().readable(*id);
            let ready = len > 0 || fin || resets.contains_key(id);
            if ready {
                events.push_back(Event::Readable(*id));
            }
            !ready
        });
        for id in std::mem::take(&mut self.streams.writing) {
            if self.room(id) == Ok(0) {
                self.streams.writing.insert(id);
            } else {
                self.events.push_back(Event::Writable(id));
            }
        }
        if std::mem::take(&mut self.streams.datagrams_blocked) {
            self.events.push_back(Event::DatagramsWritable);
        }
    }

    fn early(&self) -> EarlyData {
        self.handshake.early_data()
    }
}

/// Copies at most `max` bytes that can be read.
fn copy(connection: &mut Connection<World>, id: StreamId, max: usize, into: &mut Vec<u8>) -> usize {
    let before = into.len();
    for chunk in connection.streams().peek(id) {
        let left = max - (into.len() - before);
        let bytes = chunk.as_slice();
        into.extend_from_slice(&bytes[..bytes.len().min(left)]);
        if into.len() - before == max {
            break;
        }
    }
    into.len() - before
}

impl Application for Ours {
    fn status(&self) -> Status {
        let Some(connection) = &self.connection else {
            return Status::Idle;
        };
        match connection.state() {
            State::Closed => Status::Drained,
            State::Draining => Status::Draining,
            State::Closing => Status::Closing,
            State::Open if connection.is_confirmed() => Status::Confirmed,
            State::Open if connection.is_complete() => Status::Established,
            State::Open => Status::Handshaking,
        }
    }

    fn next_event(&mut self) -> Option<Event> {
        if self.events.is_empty() {
            self.wake();
        }
        self.events.pop_front()
    }

    fn early_data(&self) -> EarlyData {
        self.early()
    }

    fn open(&mut self, _: Instant, directionality: Directionality) -> Option<StreamId> {
        let streams = self.connection.as_mut()?.streams();
        let id = streams.next(directionality).ok()?;
        match streams.open(id, GFP_KERNEL) {
            Ok(()) => Some(id),
            Err(OpenError::Limit(_)) => {
                streams.signal_streams_blocked(directionality);
                None
            }
            Err(error) => panic!("stream {id} cannot be opened: {error:?}"),
        }
    }

    fn accept(&mut self, _: Instant, directionality: Directionality) -> Option<StreamId> {
        self.streams.accept(directionality)
    }

    fn write(&mut self, _: Instant, stream: StreamId, data: &[u8]) -> Result<usize, WriteError> {
        let len = self.room(stream)?.min(data.len());
        let connection = self.connection.as_mut().ok_or(WriteError::Closed)?;
        let streams = connection.streams();
        if len == 0 {
            streams.signal_blocked(stream);
            self.streams.writing.insert(stream);
            return Err(WriteError::Blocked);
        }
        let written = streams.write(stream, data[..len].to_vec(), GFP_KERNEL);
        written.unwrap_or_else(|error| panic!("stream {stream}: {error:?}"));
        streams.push(stream);
        Ok(len)
    }

    fn finish(&mut self, _: Instant, stream: StreamId) -> Result<(), WriteError> {
        let stopped = self.streams.stops.get(&stream).copied();
        let closed = stopped.map_or(WriteError::Closed, WriteError::Stopped);
        let connection = self.connection.as_mut().ok_or(WriteError::Closed)?;
        let finished = connection.streams().finish(stream, GFP_KERNEL);
        finished.map_err(|_| closed)
    }

    fn reset(&mut self, _: Instant, stream: StreamId, code: u64) -> Result<(), ClosedStream> {
        let connection = self.connection.as_mut().ok_or(ClosedStream)?;
        let code = VarInt::saturating(code);
        let streams = connection.streams();
        match streams.reset(stream, code, Offset::ZERO, GFP_KERNEL) {
            Ok(()) => Ok(()),
            // The peer has stopped it: the answer was a reset, without the application.
            Err(ResetError::Finished | ResetError::Closed)
                if self.streams.stops.contains_key(&stream) =>
            {
                Ok(())
            }
            Err(_) => Err(ClosedStream),
        }
    }

    fn stop(&mut self, now: Instant, stream: StreamId, code: u64) -> Result<(), ClosedStream> {
        self.streams.reading.remove(&stream);
        let connection = self.connection.as_mut().ok_or(ClosedStream)?;
        let code = VarInt::saturating(code);
        match connection.streams().stop(stream, code, GFP_KERNEL) {
            Ok(()) => Ok(()),
            // Everything has arrived, so nothing is to be stopped: what is unread is thrown away.
            Err(StopError::Finished | StopError::Closed) => {
                let (len, _) = connection.streams().readable(stream);
                connection.consume(stream, len, now);
                Ok(())
            }
            Err(_) => Err(ClosedStream),
        }
    }

    fn read(
        &mut self,
        now: Instant,
        stream: StreamId,
        max: usize,
        into: &mut Vec<u8>,
    ) -> Result<Progress, ReadError> {
        self.streams.reading.remove(&stream);
        let connection = self.connection.as_mut().ok_or(ReadError::Closed)?;
        let (len, fin) = connection.streams().readable(stream);
        if let (0, false) = (len, fin) {
            if let Some(code) = self.streams.resets.get(&stream) {
                return Err(ReadError::Reset(*code));
            }
            self.streams.reading.insert(stream);
            return Ok(Progress::Blocked);
        }
        let read = copy(connection, stream, max, into) as u64;
        assert_eq!(read, len.min(max as u64), "bytes that can be read");
        connection.consume(stream, read, now);
        Ok(match read == len && fin {
            true => Progress::End,
            false => Progress::More,
        })
    }

    fn max_datagram(&mut self) -> usize {
        let connection = self.connection.as_ref();
        connection.map_or(0, Connection::max_datagram_len)
    }

    fn send_datagram(&mut self, _: Instant, data: &[u8]) -> bool {
        let Some(connection) = &mut self.connection else {
            return false;
        };
        match connection.send_datagram(data.to_vec(), GFP_KERNEL) {
            Ok(()) => true,
            Err(DatagramError::Full) => {
                self.streams.datagrams_blocked = true;
                false
            }
            Err(error) => panic!("a datagram of {} bytes: {error:?}", data.len()),
        }
    }

    fn receive_datagram(&mut self, _: Instant) -> Option<Vec<u8>> {
        let datagrams = self.connection.as_mut()?.datagrams();
        let data = datagrams.peek()?.0.as_slice().to_vec();
        datagrams.consume(data.len());
        Some(data)
    }

    fn close(&mut self, now: Instant, code: u64, reason: &[u8]) {
        let code = VarInt::saturating(code);
        self.with(now, |_, connection, cx| connection.close(cx, code, reason));
    }

    fn update_keys(&mut self, now: Instant) {
        // If the last update is not over, this one is none.
        let _ = self.with(now, |_, connection, cx| connection.update_keys(cx));
    }

    fn migrate(&mut self, _: Instant, local: SocketAddr) {
        self.migration = Some(local);
    }
}
