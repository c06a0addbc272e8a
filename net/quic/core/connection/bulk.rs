// SPDX-License-Identifier: GPL-2.0 OR MIT

//! A datagram full of new data of one stream: what a connection sends when it sends much.
//!
//! [`build`](super::build) asks, for each packet, after everything that it might carry. Within a
//! batch nothing arrives; so once a packet has shown that there is nothing but data of streams, the
//! packets after it need not ask again. They differ from that one in the packet number, the offset
//! of the data, and nothing else.
//!
//! ```text
//!   fill() --> build: whatever there is ----> only_streams()? ----> bulk, until a stream has
//!                        ^                                          no full datagram any more
//!                        +------------------------------------------------+
//! ```

use super::contents::Content;
use super::transmit::{Batch, Kind};
use super::{Connection, Context, Environment};
use crate::bytes::Writer;
use crate::crypto::Part;
use crate::ecn::EcnCodepoint;
use crate::packet::{PacketNumberSpace, UnsealedPacket};
use crate::sent::{SentFlags, SentPacket};
use crate::stream::StreamFrame;

const SPACE: PacketNumberSpace = PacketNumberSpace::ApplicationData;

impl<E: Environment> Connection<E> {
    /// Whether the packets of this batch have nothing to carry but data of streams, from now on.
    pub(super) fn only_streams(&self, batch: &Batch) -> bool {
        let space = self.body.space(SPACE);
        batch.kind == Kind::Data { ack_only: false }
            && self.confirmed
            && !self.keys.unencrypted
            && !self.ping_due
            && space.probes == 0
            && !space.receiver.has_unacked()
            && !space.crypto.has_data()
            && !self.body.has_connection_frames()
            && self.body.datagrams_out.is_empty()
    }

    /// Builds a datagram full of new data of the stream whose turn it is; `None`, with nothing
    /// changed, if that has not so much, or a control frame is due.
    #[inline(never)]
    pub(super) fn bulk_datagram(
        &mut self,
        cx: &mut Context<'_, E>,
        batch: &Batch,
        out: &mut [u8],
    ) -> Option<usize> {
        // The first packet of the batch has reserved room for the others.
        if self.body.streams.has_control() || !self.recovery.has_room(SPACE) {
            return None;
        }
        let mut writer = Writer::new(out);
        let (packet, number) = self.begin_short(cx, &mut writer, &batch.dcid)?;
        let frame = self.body.streams.poll_full(writer.remaining())?;
        let content = Content::One(frame.record());
        let Some(size) = self.seal_full(cx, writer, packet, frame) else {
            self.on_not_sealed(cx, SPACE, content);
            return None;
        };
        self.keys.on_sent(number);
        self.stats.packets_sent = self.stats.packets_sent.saturating_add(1);
        let mark = match batch.ecn {
            EcnCodepoint::Ect0 => SentFlags::ECT0,
            _ => SentFlags::NONE,
        };
        let flags = SentFlags::ACK_ELICITING
            .with(SentFlags::IN_FLIGHT)
            .with(mark);
        // No datagram is longer.
        let bytes = u16::try_from(size).unwrap_or(u16::MAX);
        let sent = SentPacket::new(cx.now, bytes, batch.path, flags, content);
        // Room was reserved before the packet was begun.
        let _ = self
            .recovery
            .on_packet_sent(SPACE, number, sent, &mut self.paths, cx.flags);
        self.on_eliciting_sent(cx.now);
        Some(size)
    }

    /// Writes the frame, which fits, and encrypts the packet.
    #[inline(always)]
    fn seal_full(
        &mut self,
        cx: &mut Context<'_, E>,
        mut writer: Writer<'_>,
        packet: UnsealedPacket,
        frame: StreamFrame,
    ) -> Option<usize> {
        frame.last_header().emit(&mut writer).ok()?;
        let at = self.leave_room(&mut writer, &packet, frame.len)?;
        let Some(piece) = self.body.streams.only_piece(&frame) else {
            return self.seal_stream_frame(cx, writer, packet, at, frame);
        };
        let part = Part::new(at, piece.chunk, piece.range);
        let (header, protection) = self.keys.one_rtt()?;
        let parts = core::slice::from_ref(&part);
        let range = packet.seal_parts(&mut writer, header, protection, parts);
        range.ok().map(|range| range.len())
    }
}
