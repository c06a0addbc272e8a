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

use super::body::Body;
use super::build::MAX_PARTS;
use super::contents::Content;
use super::keys::Keys;
use super::transmit::{Batch, Kind};
use super::{Connection, Context, Environment};
use crate::bytes::Writer;
use crate::crypto::{CryptoProvider, PacketKey, Part};
use crate::ecn::EcnCodepoint;
use crate::packet::{PacketNumberSpace, UnsealedPacket};
use crate::sent::{SentFlags, SentPacket};
use crate::stream::StreamFrame;

const SPACE: PacketNumberSpace = PacketNumberSpace::ApplicationData;

impl<E: Environment> Connection<E> {
    /// Whether the packets of this batch have nothing to carry but data of streams, from now on.
    pub(super) fn only_streams(&self, batch: &Batch) -> bool {
        let space = &self.body.application;
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
        let frame = self.body.streams.poll_full(&mut writer)?;
        let content = Content::One(frame.record());
        // Where the data begins in the payload.
        let at = writer.position().saturating_sub(packet.payload_at());
        let sealed = match self.body.streams.only_piece(&frame) {
            Some(piece) => {
                let part = Part::new(at, piece.chunk, piece.range);
                seal(&mut self.keys, packet, out, core::slice::from_ref(&part))
            }
            None => seal_pieces(&mut self.keys, &self.body, packet, out, at, &frame),
        };
        if sealed.is_none() {
            self.on_not_sealed(cx, SPACE, content);
            return None;
        }
        let size = out.len();
        self.keys.on_sent(number);
        self.stats.packets_sent = self.stats.packets_sent.wrapping_add(1);
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
}

#[inline(always)]
fn seal<P: CryptoProvider<PacketKey: PacketKey>>(
    keys: &mut Keys<P>,
    packet: UnsealedPacket,
    out: &mut [u8],
    parts: &[Part<'_, <P::PacketKey as PacketKey>::Chunk>],
) -> Option<()> {
    let (header, protection) = keys.one_rtt()?;
    packet.seal_whole(out, header, protection, parts).ok()
}

/// Encrypts a packet whose data is not in one chunk. In two it is where a chunk ends; more are rare
/// here, as small writes are merged into large chunks.
#[inline(never)]
fn seal_pieces<E: Environment>(
    keys: &mut Keys<E::Crypto>,
    body: &Body<E>,
    packet: UnsealedPacket,
    out: &mut [u8],
    at: usize,
    frame: &StreamFrame,
) -> Option<()> {
    let mut pieces = body.streams.pieces(frame);
    let (first, second) = (pieces.next()?, pieces.next()?);
    let first = Part::new(at, first.chunk, first.range);
    let mut end = at.saturating_add(first.len);
    let second = Part::new(end, second.chunk, second.range);
    end = end.saturating_add(second.len);
    let Some(third) = pieces.next() else {
        return seal(keys, packet, out, &[first, second]);
    };
    let third = Part::new(end, third.chunk, third.range);
    end = end.saturating_add(third.len);
    let mut parts = [third; MAX_PARTS];
    let mut used = 3_usize;
    for (slot, part) in parts.iter_mut().zip([first, second, third]) {
        *slot = part;
    }
    for piece in pieces {
        let part = Part::new(end, piece.chunk, piece.range);
        end = end.saturating_add(part.len);
        // With more parts than there are places for, the packet is not sent.
        *parts.get_mut(used)? = part;
        used = used.saturating_add(1);
    }
    seal(keys, packet, out, parts.get(..used)?)
}
