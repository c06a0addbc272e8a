// SPDX-License-Identifier: MIT OR Apache-2.0

//! [`World`]: what surrounds the connection.

use super::Bytes;
use crate::cipher::Plain;
use kernel::alloc::flags::GFP_ATOMIC;
use kernel::alloc::AllocError;
use quic_core::cid::{ConnectionId, StatelessResetToken};
use quic_core::connection::{Context, Environment, Event, ReceiveBuffer};
use quic_core::packet::PacketType;
use quic_core::time::Instant;
use std::ops::Range;

#[derive(Default)]
pub(super) struct World {
    random: u64,
    closed: u32,
    confirmed: u32,
}

impl World {
    pub(super) fn cx(&mut self, now: Instant) -> Context<'_, Self> {
        Context {
            now,
            flags: GFP_ATOMIC,
            env: self,
        }
    }
}

impl Environment for World {
    type Tx = Bytes;
    type Rx = Bytes;
    type Crypto = Plain;

    fn crypto(&self) -> &Plain {
        &Plain
    }

    fn random(&mut self, bytes: &mut [u8]) {
        for chunk in bytes.chunks_mut(8) {
            self.random = self.random.wrapping_add(0x9e37_79b9_7f4a_7c15);
            let mixed = (self.random ^ (self.random >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            chunk.copy_from_slice(&(mixed ^ (mixed >> 31)).to_le_bytes()[..chunk.len()]);
        }
    }

    fn reset_token(&self, cid: &ConnectionId) -> StatelessResetToken {
        StatelessResetToken::new(std::array::from_fn(|at| {
            cid.as_slice().get(at).copied().unwrap_or(0xee)
        }))
    }

    fn copy(&self, chunk: &Bytes, start: usize, to: &mut [u8]) {
        to.copy_from_slice(&chunk.as_slice()[start..start + to.len()]);
    }

    fn event(&mut self, event: Event<'_>) {
        trace!("    event {event:?}");
        match event {
            Event::Closed(_) => {
                self.closed += 1;
                assert_eq!(self.closed, 1, "a connection ends once");
            }
            Event::Confirmed => {
                self.confirmed += 1;
                assert_eq!(self.confirmed, 1, "a handshake is confirmed once");
            }
            Event::Stream(_)
            | Event::Crypto { .. }
            | Event::Datagram
            | Event::MaxData { .. }
            | Event::Retried
            | Event::VersionChanged(_)
            | Event::NewToken(_)
            | Event::KeyUpdated { .. }
            | Event::PathChanged(_)
            | Event::PathFailed(_)
            | Event::CidRetired(_)
            | Event::CidReceived { .. } => {}
        }
    }
}

/// The memory in which a datagram came.
#[derive(Default)]
pub(super) struct Buffer {
    pub(super) deferred: Vec<Range<usize>>,
    /// There is no memory to refer to it.
    pub(super) fails: bool,
}

impl ReceiveBuffer for Buffer {
    type Chunk = Bytes;

    fn chunk(&mut self, _: Range<usize>, bytes: &[u8]) -> Result<Bytes, AllocError> {
        match self.fails {
            true => Err(AllocError),
            false => Ok(Bytes::new(bytes)),
        }
    }

    fn defer(&mut self, range: Range<usize>, _: PacketType) {
        self.deferred.push(range);
    }
}
