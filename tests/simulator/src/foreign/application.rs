// SPDX-License-Identifier: MIT OR Apache-2.0

//! [`Application`] for quinn.

use super::Foreign;
use crate::host::{
    Application, ClosedStream, EarlyData, Event, Progress, ReadError, Status, WriteError,
};
use bytes::Bytes;
use quic_core::role::Role;
use quic_core::stream_id::{Directionality, StreamId};
use quic_core::time::Instant;
use quinn_proto::{Connection, Dir, FinishError, ReadableError, VarInt};
use std::net::SocketAddr;

pub(super) fn directionality(dir: Dir) -> Directionality {
    match dir {
        Dir::Bi => Directionality::Bidirectional,
        Dir::Uni => Directionality::Unidirectional,
    }
}

pub(super) fn ours(id: quinn_proto::StreamId) -> StreamId {
    StreamId::new(quic_core::varint::VarInt::saturating(u64::from(id)))
}

fn quinns(id: StreamId) -> quinn_proto::StreamId {
    quinn_proto::StreamId::from(varint(id.get().get()))
}

fn dir(directionality: Directionality) -> Dir {
    match directionality {
        Directionality::Bidirectional => Dir::Bi,
        Directionality::Unidirectional => Dir::Uni,
    }
}

fn varint(value: u64) -> VarInt {
    VarInt::from_u64(value).unwrap_or(VarInt::MAX)
}

impl Foreign {
    fn established(&mut self) -> Option<&mut Connection> {
        self.connection.as_mut().map(|(_, connection)| connection)
    }
}

impl Application for Foreign {
    fn status(&self) -> Status {
        match &self.connection {
            None => Status::Idle,
            Some((_, it)) if it.is_drained() => Status::Drained,
            // After an error of its own it is closing, but quinn does not tell.
            Some((_, it)) if it.is_closed() && self.over => Status::Draining,
            Some((_, it)) if it.is_closed() => Status::Closing,
            Some((_, it)) if it.is_handshaking() => Status::Handshaking,
            Some((_, it))
                if self.role == Role::Client && it.stats().frame_rx.handshake_done == 0 =>
            {
                Status::Established
            }
            Some(_) => Status::Confirmed,
        }
    }

    fn next_event(&mut self) -> Option<Event> {
        // Calls of the application have consequences as well.
        self.exchange();
        self.events.pop_front()
    }

    fn early_data(&self) -> EarlyData {
        match &self.connection {
            Some((_, it)) if self.early && it.is_handshaking() => EarlyData::Offered,
            Some((_, it)) if self.early && it.accepted_0rtt() => EarlyData::Accepted,
            Some(_) if self.early => EarlyData::Rejected,
            Some((_, it)) if self.role == Role::Server && it.accepted_0rtt() => EarlyData::Accepted,
            _ => EarlyData::None,
        }
    }

    fn open(&mut self, _: Instant, directionality: Directionality) -> Option<StreamId> {
        self.established()?
            .streams()
            .open(dir(directionality))
            .map(ours)
    }

    fn accept(&mut self, _: Instant, directionality: Directionality) -> Option<StreamId> {
        self.established()?
            .streams()
            .accept(dir(directionality))
            .map(ours)
    }

    fn write(&mut self, _: Instant, stream: StreamId, data: &[u8]) -> Result<usize, WriteError> {
        let connection = self.established().ok_or(WriteError::Closed)?;
        connection
            .send_stream(quinns(stream))
            .write(data)
            .map_err(|error| match error {
                quinn_proto::WriteError::Blocked => WriteError::Blocked,
                quinn_proto::WriteError::Stopped(code) => WriteError::Stopped(code.into_inner()),
                quinn_proto::WriteError::ClosedStream => WriteError::Closed,
            })
    }

    fn finish(&mut self, _: Instant, stream: StreamId) -> Result<(), WriteError> {
        let connection = self.established().ok_or(WriteError::Closed)?;
        let finished = connection.send_stream(quinns(stream)).finish();
        finished.map_err(|error| match error {
            FinishError::Stopped(code) => WriteError::Stopped(code.into_inner()),
            FinishError::ClosedStream => WriteError::Closed,
        })?;
        self.finishing.insert(stream);
        Ok(())
    }

    fn reset(&mut self, _: Instant, stream: StreamId, code: u64) -> Result<(), ClosedStream> {
        self.finishing.remove(&stream);
        let connection = self.established().ok_or(ClosedStream)?;
        let mut stream = connection.send_stream(quinns(stream));
        stream.reset(varint(code)).map_err(|_| ClosedStream)
    }

    fn stop(&mut self, _: Instant, stream: StreamId, code: u64) -> Result<(), ClosedStream> {
        let connection = self.established().ok_or(ClosedStream)?;
        let mut stream = connection.recv_stream(quinns(stream));
        stream.stop(varint(code)).map_err(|_| ClosedStream)
    }

    fn read(
        &mut self,
        _: Instant,
        stream: StreamId,
        max: usize,
        into: &mut Vec<u8>,
    ) -> Result<Progress, ReadError> {
        let connection = self.established().ok_or(ReadError::Closed)?;
        let mut stream = connection.recv_stream(quinns(stream));
        let mut chunks = stream.read(true).map_err(|error| match error {
            ReadableError::ClosedStream | ReadableError::IllegalOrderedRead => ReadError::Closed,
        })?;
        let end = into.len() + max;
        let result = loop {
            if into.len() == end {
                break Ok(Progress::More);
            }
            match chunks.next(end - into.len()) {
                Ok(Some(chunk)) => into.extend_from_slice(&chunk.bytes),
                Ok(None) => break Ok(Progress::End),
                Err(quinn_proto::ReadError::Blocked) => break Ok(Progress::Blocked),
                Err(quinn_proto::ReadError::Reset(code)) => {
                    break Err(ReadError::Reset(code.into_inner()));
                }
            }
        };
        // Transmitting follows in any case.
        let _ = chunks.finalize();
        result
    }

    fn max_datagram(&mut self) -> usize {
        let connection = self.established();
        connection
            .and_then(|it| it.datagrams().max_size())
            .unwrap_or(0)
    }

    fn send_datagram(&mut self, _: Instant, data: &[u8]) -> bool {
        let Some(connection) = self.established() else {
            return false;
        };
        let data = Bytes::copy_from_slice(data);
        connection.datagrams().send(data, false).is_ok()
    }

    fn receive_datagram(&mut self, _: Instant) -> Option<Vec<u8>> {
        let data = self.established()?.datagrams().recv()?;
        Some(data.to_vec())
    }

    fn close(&mut self, now: Instant, code: u64, reason: &[u8]) {
        let now = self.clock(now);
        if let Some(connection) = self.established() {
            connection.close(now, varint(code), Bytes::copy_from_slice(reason));
        }
    }

    fn update_keys(&mut self, _: Instant) {
        if let Some(connection) = self.established() {
            connection.force_key_update();
        }
    }

    fn migrate(&mut self, _: Instant, local: SocketAddr) {
        self.local = local;
        if let Some(connection) = self.established() {
            connection.local_address_changed();
        }
    }
}
