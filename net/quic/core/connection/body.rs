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
use crate::offset::Offset;
use crate::packet::{PacketNumber, PacketNumberSpace};
use crate::sent::{SentFlags, SentPacket};
use crate::sent_frame::SentFrame;
use crate::stream::Streams;
use crate::stream_id::StreamId;
use crate::varint::VarInt;
use kernel::alloc::{Flags, KBox, KVec};

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
    #[inline]
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
    /// Those of the handshake, Initial and Handshake, until both are discarded: they are a third of
    /// a connection.
    pub(super) early: Option<KBox<[Space<E>; 2]>>,
    pub(super) application: Space<E>,
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
    /// A space; `None` if it is no more.
    #[inline]
    pub(super) fn space(&self, space: PacketNumberSpace) -> Option<&Space<E>> {
        let early = match space {
            PacketNumberSpace::ApplicationData => return Some(&self.application),
            PacketNumberSpace::Initial | PacketNumberSpace::Handshake => self.early.as_ref(),
        };
        early.map(|early| {
            let [initial, handshake] = &**early;
            match space {
                PacketNumberSpace::Initial => initial,
                _ => handshake,
            }
        })
    }

    /// A space; `None` if it is no more.
    #[inline]
    pub(super) fn space_mut(&mut self, space: PacketNumberSpace) -> Option<&mut Space<E>> {
        let early = match space {
            PacketNumberSpace::ApplicationData => return Some(&mut self.application),
            PacketNumberSpace::Initial | PacketNumberSpace::Handshake => self.early.as_mut(),
        };
        early.map(|early| {
            let [initial, handshake] = &mut **early;
            match space {
                PacketNumberSpace::Initial => initial,
                _ => handshake,
            }
        })
    }

    /// How many packets are to be sent although the congestion window forbids it.
    pub(super) fn probes(&self) -> u8 {
        let early = self.early.iter().flat_map(|early| early.iter());
        early.fold(self.application.probes, |probes, space| {
            probes.saturating_add(space.probes)
        })
    }

    /// Gives memory back. For a connection that has become idle.
    pub(super) fn trim(&mut self) {
        self.application.crypto.trim();
        self.streams.trim();
        self.datagrams_out.trim();
        self.datagrams_in.trim();
        self.contents.trim();
    }

    /// Whether a frame is due that is about the connection itself.
    #[inline]
    pub(super) fn has_connection_frames(&self) -> bool {
        self.handshake_done.is_due()
            || self.new_token_delivery.is_due()
            || self.ack_frequency.is_due()
            || self.local_cids.has_pending()
            || self.remote_cids.has_pending()
    }

    fn frame_acked(
        &mut self,
        space: PacketNumberSpace,
        frame: &SentFrame,
        flags: Flags,
        env: &mut E,
    ) {
        match *frame {
            SentFrame::Crypto { offset, len } => {
                if let Some(space) = self.space_mut(space) {
                    space.crypto.on_acked(offset, len, flags);
                }
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
                if let Some(space) = self.space_mut(space) {
                    space.crypto.on_lost(offset, len, flags);
                }
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
    acked: AckedData,
}

/// Data of a stream that arrived: of many packets, which are mostly acknowledged in the order in
/// which they were sent, so that the stream is told once.
#[derive(Copy, Clone)]
struct AckedData {
    id: StreamId,
    start: u64,
    /// Where it ends; the start if there is none.
    end: u64,
}

impl AckedData {
    const NONE: Self = Self {
        id: StreamId::new(VarInt::ZERO),
        start: u64::MAX,
        end: u64::MAX,
    };
}

impl<'a, E: Environment> Reporter<'a, E> {
    pub(super) fn new(body: &'a mut Body<E>, env: &'a mut E, flags: Flags) -> Self {
        Self {
            body,
            env,
            flags,
            acked: AckedData::NONE,
        }
    }

    /// Reports what is left to be reported.
    pub(super) fn finish(&mut self) {
        let acked = core::mem::replace(&mut self.acked, AckedData::NONE);
        self.report(acked);
    }

    fn report(&mut self, acked: AckedData) {
        if acked.start < acked.end {
            let range = Offset::saturating(acked.start)..Offset::saturating(acked.end);
            let env = &mut *self.env;
            self.body
                .streams
                .on_data_acked(acked.id, range, false, self.flags, &mut |event| {
                    env.event(Event::Stream(event));
                });
        }
    }

    /// A packet arrived whose content does not continue `before`, which is reported: returns what is
    /// to be reported of this one.
    #[inline(never)]
    fn on_other_acked(
        &mut self,
        space: PacketNumberSpace,
        packet: &SentPacket<Content>,
        before: AckedData,
    ) -> AckedData {
        self.report(before);
        match &packet.content {
            Content::One(SentFrame::Stream {
                id,
                offset,
                len,
                fin: false,
            }) => {
                return AckedData {
                    id: *id,
                    start: offset.get(),
                    end: offset.get().wrapping_add(u64::from(*len)),
                }
            }
            Content::One(frame) => {
                self.body.frame_acked(space, frame, self.flags, self.env);
            }
            // The list of a packet that was declared lost is gone; what was in it has been sent
            // again.
            _ if packet.is_lost() => {}
            content => {
                let mut content = *content;
                while let Some(frame) = self.body.contents.take(&mut content) {
                    self.body.frame_acked(space, &frame, self.flags, self.env);
                }
            }
        }
        AckedData::NONE
    }
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
            if let Some(space) = self.body.space_mut(space) {
                space.receiver.on_ack_acked(pn);
            }
        }
        self.acked = self.on_other_acked(space, packet, self.acked);
    }

    #[inline]
    fn continued(&self) -> (u64, u64) {
        (self.acked.id.get().get(), self.acked.end)
    }

    #[inline]
    fn continues(id: u64, end: &mut u64, content: &Content) -> bool {
        match content {
            Content::One(SentFrame::Stream {
                id: same,
                offset,
                len,
                fin: false,
            }) if same.get().get() == id && offset.get() == *end => {
                *end = end.wrapping_add(u64::from(*len));
                true
            }
            _ => false,
        }
    }

    #[inline]
    fn set_continued(&mut self, end: u64) {
        self.acked.end = end;
    }

    fn on_lost(
        &mut self,
        space: PacketNumberSpace,
        pn: PacketNumber,
        packet: &SentPacket<Content>,
    ) {
        self.finish();
        if packet.flags().has(SentFlags::HAS_ACK) {
            if let Some(space) = self.body.space_mut(space) {
                space.receiver.on_ack_lost(pn);
            }
        }
        let mut content = packet.content;
        while let Some(frame) = self.body.contents.take(&mut content) {
            self.body.frame_lost(space, &frame, self.flags);
        }
    }
}
