// SPDX-License-Identifier: MIT OR Apache-2.0

//! [`Streams`]: who waits for what, and what an application may ask for that core does not keep.

use crate::host::Event;
use quic_core::role::Role;
use quic_core::stream::{RecvState, SendState, StreamEvent};
use quic_core::stream_id::{Directionality, StreamId};
use std::collections::{BTreeMap, BTreeSet, VecDeque};

pub(super) struct Streams {
    role: Role,
    /// How many streams of each type the peer has opened, and how many of them were accepted.
    opened: [u64; 2],
    accepted: [u64; 2],
    /// Those on which a read or a write blocked.
    pub(super) reading: BTreeSet<StreamId>,
    pub(super) writing: BTreeSet<StreamId>,
    /// With which code the peer reset or stopped them.
    pub(super) resets: BTreeMap<StreamId, u64>,
    pub(super) stops: BTreeMap<StreamId, u64>,
    /// A datagram did not find room.
    pub(super) datagrams_blocked: bool,
}

pub(super) fn index(directionality: Directionality) -> usize {
    match directionality {
        Directionality::Bidirectional => 0,
        Directionality::Unidirectional => 1,
    }
}

impl Streams {
    pub(super) fn new(role: Role) -> Self {
        Self {
            role,
            opened: [0; 2],
            accepted: [0; 2],
            reading: BTreeSet::new(),
            writing: BTreeSet::new(),
            resets: BTreeMap::new(),
            stops: BTreeMap::new(),
            datagrams_blocked: false,
        }
    }

    /// The next stream that the peer opened.
    pub(super) fn accept(&mut self, directionality: Directionality) -> Option<StreamId> {
        let kind = index(directionality);
        if self.accepted[kind] == self.opened[kind] {
            return None;
        }
        let id = StreamId::nth(self.role.peer(), directionality, self.accepted[kind]);
        self.accepted[kind] += 1;
        id
    }

    pub(super) fn on_event(&mut self, event: StreamEvent, events: &mut VecDeque<Event>) {
        match event {
            StreamEvent::Send {
                id,
                state,
                error_code,
                ..
            } => {
                self.seen(id, events);
                match state {
                    SendState::DataRecvd => events.push_back(Event::Finished(id)),
                    SendState::ResetSent => {
                        self.stops.insert(id, error_code.get());
                        events.push_back(Event::Stopped(id, error_code.get()));
                    }
                    _ => {}
                }
            }
            StreamEvent::Recv {
                id,
                state,
                error_code,
                ..
            } => {
                self.seen(id, events);
                if state == RecvState::ResetRecvd {
                    self.resets.insert(id, error_code.get());
                }
            }
            StreamEvent::MaxStreamData { id, .. } => self.seen(id, events),
            StreamEvent::MaxStreams { highest } => {
                events.push_back(Event::Available(highest.directionality()));
            }
        }
    }

    /// The peer has opened `id` and all below it, if it is one of its own.
    // RFC 9000 §3.2: Before a stream is created, all streams of the same type with lower-numbered
    // stream IDs MUST be created.
    fn seen(&mut self, id: StreamId, events: &mut VecDeque<Event>) {
        let opened = &mut self.opened[index(id.directionality())];
        if id.initiator() != self.role && id.index() >= *opened {
            *opened = id.index() + 1;
            events.push_back(Event::Opened(id.directionality()));
        }
    }
}
