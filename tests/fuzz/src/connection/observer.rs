// SPDX-License-Identifier: MIT OR Apache-2.0

//! [`Observer`]: looks at what a connection sends.

use crate::cipher::Sealed;
use quic_core::connection::{Addresses, State};
use quic_core::frame::{Frame, FrameRules, Frames};
use quic_core::packet::PacketType;
use quic_core::role::Role;
use quic_core::varint::VarInt;
use std::collections::BTreeSet;

/// Before the address of a client is validated, it gets so many times the bytes that came from it.
const AMPLIFICATION: usize = 3;

/// What has gone between two addresses, until they count as validated.
struct Traffic {
    addresses: Addresses,
    received: usize,
    sent: usize,
    validated: bool,
    /// The challenges that were sent there.
    challenges: Vec<[u8; 8]>,
}

pub(super) struct Observer {
    role: Role,
    state: State,
    /// The numbers of packets by space.
    pub(super) seen: [BTreeSet<u64>; 3],
    traffic: Vec<Traffic>,
    /// The last challenges.
    pub(super) challenges: Vec<[u8; 8]>,
}

impl Observer {
    pub(super) fn new(role: Role, first: Addresses, validated: bool) -> Self {
        let mut it = Self {
            role,
            state: State::Open,
            seen: Default::default(),
            traffic: Vec::new(),
            challenges: Vec::new(),
        };
        it.traffic(first).validated = validated;
        it
    }

    fn traffic(&mut self, addresses: Addresses) -> &mut Traffic {
        let known = self.traffic.iter().position(|it| it.addresses == addresses);
        let at = known.unwrap_or_else(|| {
            self.traffic.push(Traffic {
                addresses,
                received: 0,
                sent: 0,
                validated: false,
                challenges: Vec::new(),
            });
            self.traffic.len() - 1
        });
        &mut self.traffic[at]
    }

    /// A datagram was given to the connection; `payload` are the frames in it.
    pub(super) fn on_received(
        &mut self,
        addresses: Addresses,
        bytes: usize,
        proved: bool,
        payload: &[u8],
    ) {
        let first = self.traffic.first().map(|it| it.addresses);
        let traffic = self.traffic(addresses);
        traffic.received += bytes;
        traffic.validated |= proved && first == Some(addresses);
        for traffic in &mut self.traffic {
            let contains = |data: &[u8; 8]| payload.windows(8).any(|at| at == data);
            traffic.validated |= traffic.challenges.iter().any(contains);
        }
    }

    /// The address of the handshake is validated by its completion.
    pub(super) fn on_complete(&mut self) {
        if let Some(first) = self.traffic.first_mut() {
            first.validated = true;
        }
    }

    /// A connection only goes on in its life.
    pub(super) fn on_state(&mut self, state: State) {
        let order = |state| match state {
            State::Open => 0,
            State::Closing => 1,
            State::Draining => 2,
            State::Closed => 3,
        };
        assert!(
            order(state) >= order(self.state),
            "{:?} to {state:?}",
            self.state
        );
        self.state = state;
    }

    /// A datagram leaves.
    pub(super) fn on_sent(&mut self, addresses: Addresses, bytes: &[u8], packets: &[Sealed]) {
        assert!(
            matches!(self.state, State::Open | State::Closing),
            "sent while {:?}",
            self.state
        );
        let role = self.role;
        let traffic = self.traffic(addresses);
        traffic.sent += bytes.len();
        assert!(
            role == Role::Client
                || traffic.validated
                || traffic.sent <= AMPLIFICATION * traffic.received,
            "{} bytes sent for {}",
            traffic.sent,
            traffic.received
        );
        let mut has_initial = false;
        for packet in packets {
            let packet_type = packet_type(&packet.header);
            has_initial |= packet_type == PacketType::Initial;
            self.on_packet(addresses, packet_type, packet);
        }
        // RFC 9000 §14.1; what the limit does not permit is not sent.
        if has_initial && self.role == Role::Client {
            assert!(
                bytes.len() >= 1200,
                "{} bytes with an Initial packet",
                bytes.len()
            );
        }
    }

    fn on_packet(&mut self, addresses: Addresses, packet_type: PacketType, packet: &Sealed) {
        let seen = &mut self.seen[packet_type.space() as usize];
        let last = seen.last().copied();
        let number = packet.number;
        assert!(
            last.is_none_or(|last| number > last),
            "{packet_type:?} {number} after {last:?}"
        );
        seen.insert(packet.number);
        // Whatever the peer may have declared.
        let rules = FrameRules {
            role: self.role.peer(),
            max_datagram_frame_size: VarInt::MAX,
            min_ack_delay: Some(VarInt::ZERO),
            reset_stream_at: true,
        };
        let frames = Frames::new(&packet.payload, packet_type, &rules).expect("it has frames");
        for frame in frames {
            let frame = frame.unwrap_or_else(|error| panic!("{error:?} in {packet:02x?}"));
            trace!("    sent {packet_type:?} {}: {frame:?}", packet.number);
            match (&frame, self.state) {
                (Frame::ConnectionClose(_) | Frame::Padding { .. }, State::Closing) => {}
                (Frame::ConnectionClose(_), _) | (_, State::Closing) => {
                    panic!("{frame:?} while {:?}", self.state)
                }
                _ => {}
            }
            if let Frame::PathChallenge { data } = frame {
                self.traffic(addresses).challenges.push(data);
                self.challenges.push(data);
            }
        }
    }
}

fn packet_type(header: &[u8]) -> PacketType {
    let first = header[0];
    if first & 0x80 == 0 {
        return PacketType::OneRtt;
    }
    let number = (first >> 4) & 3;
    match (header[1..5] == [0, 0, 0, 1], number) {
        (true, 0) | (false, 1) => PacketType::Initial,
        (true, 1) | (false, 2) => PacketType::ZeroRtt,
        _ => PacketType::Handshake,
    }
}
