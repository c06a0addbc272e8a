// SPDX-License-Identifier: GPL-2.0 OR MIT

//! [`Body`]: what packets carry from one endpoint to the other, and so what hears of their fates.
//!
//! It is apart from loss detection, paths and keys, so that those can report to it while they are
//! at work.

use super::contents::{Content, Contents};
use super::{Environment, Event};
use crate::ack::Receiver;
use crate::cid_set::{LocalCids, RemoteCids};
use crate::crypto_stream::CryptoStream;
use crate::datagram::{DatagramReceiver, DatagramSender};
use crate::loss::Fates;
use crate::packet::{PacketNumber, PacketNumberSpace};
use crate::sent::{SentFlags, SentPacket};
use crate::sent_frame::SentFrame;
use crate::stream::Streams;
use crate::varint::VarInt;
use kernel::alloc::{Flags, KVec};

/// A packet number space, without its keys.
// RFC 9001 §4: If QUIC needs to retransmit that data, it MUST use the same keys even if TLS has
// already updated to newer keys. RFC 9001 §4.9: frames that retransmit that data MUST be sent at
// the same encryption level.
pub(super) struct Space<E: Environment> {
    /// What was received, and when to acknowledge it.
    pub(super) receiver: Receiver,
    /// The messages of TLS.
    pub(super) crypto: CryptoStream<E::Tx, E::Rx>,
    /// How many packets are to be sent although the congestion window forbids it.
    pub(super) probes: u8,
}

/// How far a frame has come that is sent once in a connection.
#[derive(Copy, Clone, PartialEq, Eq, Debug, Default)]
pub(super) enum Delivery {
    /// Not to be sent.
    #[default]
    No,
    /// To be sent.
    Due,
    /// In flight.
    Sent,
    /// Acknowledged.
    Done,
}

impl Delivery {
    pub(super) fn is_due(self) -> bool {
        self == Self::Due
    }

    fn on_acked(&mut self) {
        *self = Self::Done;
    }

    // RFC 9000 §13.3: The HANDSHAKE_DONE frame MUST be retransmitted until it is acknowledged.
    fn on_lost(&mut self) {
        if *self == Self::Sent {
            *self = Self::Due;
        }
    }
}

/// What packets carry.
pub(super) struct Body<E: Environment> {
    pub(super) spaces: [Space<E>; 3],
    pub(super) streams: Streams<E::Tx, E::Rx>,
    pub(super) datagrams_out: DatagramSender<E::Tx>,
    pub(super) datagrams_in: DatagramReceiver<E::Rx>,
    pub(super) local_cids: LocalCids,
    pub(super) remote_cids: RemoteCids,
    pub(super) contents: Contents,
    pub(super) handshake_done: Delivery,
    /// The token for the client's next connection.
    pub(super) new_token: KVec<u8>,
    pub(super) new_token_delivery: Delivery,
    /// An ACK_FREQUENCY frame, of which only the last one counts.
    pub(super) ack_frequency: Delivery,
    pub(super) ack_frequency_sequence: VarInt,
}

impl<E: Environment> Body<E> {
    #[inline]
    pub(super) fn space(&self, space: PacketNumberSpace) -> &Space<E> {
        let [initial, handshake, application] = &self.spaces;
        match space {
            PacketNumberSpace::Initial => initial,
            PacketNumberSpace::Handshake => handshake,
            PacketNumberSpace::ApplicationData => application,
        }
    }

    #[inline]
    pub(super) fn space_mut(&mut self, space: PacketNumberSpace) -> &mut Space<E> {
        let [initial, handshake, application] = &mut self.spaces;
        match space {
            PacketNumberSpace::Initial => initial,
            PacketNumberSpace::Handshake => handshake,
            PacketNumberSpace::ApplicationData => application,
        }
    }

    #[inline]
    fn frame_acked(
        &mut self,
        space: PacketNumberSpace,
        frame: &SentFrame,
        flags: Flags,
        env: &mut E,
    ) {
        match *frame {
            SentFrame::Crypto { offset, len } => {
                self.space_mut(space).crypto.on_acked(offset, len, flags);
            }
            SentFrame::NewConnectionId { sequence } => self.local_cids.on_acked(sequence),
            SentFrame::RetireConnectionId { sequence } => self.remote_cids.on_acked(sequence),
            SentFrame::HandshakeDone => self.handshake_done.on_acked(),
            // Another token that has taken its place meanwhile is still to be sent.
            SentFrame::NewToken if self.new_token_delivery.is_due() => {}
            SentFrame::NewToken => {
                self.new_token_delivery.on_acked();
                self.new_token = KVec::new();
            }
            SentFrame::AckFrequency { sequence } => {
                if sequence == self.ack_frequency_sequence {
                    self.ack_frequency.on_acked();
                }
            }
            _ => self
                .streams
                .on_acked(frame, flags, &mut |event| env.event(Event::Stream(event))),
        }
    }

    pub(super) fn frame_lost(&mut self, space: PacketNumberSpace, frame: &SentFrame, flags: Flags) {
        match *frame {
            SentFrame::Crypto { offset, len } => {
                self.space_mut(space).crypto.on_lost(offset, len, flags);
            }
            SentFrame::NewConnectionId { sequence } => self.local_cids.on_lost(sequence),
            SentFrame::RetireConnectionId { sequence } => self.remote_cids.on_lost(sequence),
            SentFrame::HandshakeDone => self.handshake_done.on_lost(),
            SentFrame::NewToken => self.new_token_delivery.on_lost(),
            SentFrame::AckFrequency { sequence } => {
                if sequence == self.ack_frequency_sequence {
                    self.ack_frequency.on_lost();
                }
            }
            _ => self.streams.on_lost(frame, flags),
        }
    }

    /// Sends what a packet contained again, which may yet arrive: a probe is due, and there is
    /// nothing new to send.
    // RFC 9002 §6.2.4: Previously sent data MAY be sent if no new data can be sent.
    pub(super) fn send_again(&mut self, space: PacketNumberSpace, content: &Content, flags: Flags) {
        let mut rest = *content;
        while let Some(frame) = self.contents.next(&mut rest) {
            self.frame_lost(space, &frame, flags);
        }
    }
}

/// Reports what became of sent packets to a [`Body`].
pub(super) struct Reporter<'a, E: Environment> {
    pub(super) body: &'a mut Body<E>,
    pub(super) env: &'a mut E,
    pub(super) flags: Flags,
}

impl<E: Environment> Fates<Content> for Reporter<'_, E> {
    #[inline]
    fn on_acked(
        &mut self,
        space: PacketNumberSpace,
        pn: PacketNumber,
        packet: &SentPacket<Content>,
    ) {
        if packet.flags().has(SentFlags::HAS_ACK) {
            self.body.space_mut(space).receiver.on_ack_acked(pn);
        }
        if let Content::One(frame) = &packet.content {
            return self.body.frame_acked(space, frame, self.flags, self.env);
        }
        // The list of a packet that was declared lost is gone; what was in it has been sent again.
        if packet.is_lost() {
            return;
        }
        let mut content = packet.content;
        while let Some(frame) = self.body.contents.take(&mut content) {
            self.body.frame_acked(space, &frame, self.flags, self.env);
        }
    }

    fn on_lost(
        &mut self,
        space: PacketNumberSpace,
        pn: PacketNumber,
        packet: &SentPacket<Content>,
    ) {
        if packet.flags().has(SentFlags::HAS_ACK) {
            self.body.space_mut(space).receiver.on_ack_lost(pn);
        }
        let mut content = packet.content;
        while let Some(frame) = self.body.contents.take(&mut content) {
            self.body.frame_lost(space, &frame, self.flags);
        }
    }
}
