// SPDX-License-Identifier: GPL-2.0 OR MIT

//! Building a packet: its frames, its protection, and the record of it.
//!
//! Payload of the application is not copied here. The packet gets the header of the frame and a gap,
//! and a list says which bytes of which chunk belong there; whoever encrypts reads them from where
//! they are.

use super::body::{Body, Delivery};
use super::contents::Content;
use super::keys::Keys;
use super::transmit::{Batch, Kind};
use super::{Connection, Context, Environment};
use crate::bytes::Writer;
use crate::chunk::Chunk;
use crate::cid::ConnectionId;
use crate::crypto::{Part, TAG_LEN};
use crate::crypto_stream::CryptoFrame;
use crate::ecn::EcnCodepoint;
use crate::frame::{AckFrequency, Frame};
use crate::packet::{
    Header, LongPacketType, PacketNumber, PacketNumberSpace, PacketType, UnsealedPacket,
    MIN_INITIAL_DATAGRAM,
};
use crate::sent::{SentFlags, SentPacket};
use crate::sent_frame::SentFrame;
use crate::stream::{Piece, StreamFrame};
use crate::time::Instant;

/// The most frames of a packet that are remembered.
pub(super) const MAX_FRAMES: u32 = 32;

/// The most frames of a packet that carry payload.
const MAX_PAYLOADS: usize = 8;

/// The most pieces of payload that a packet is put together from. A stream that is written a few
/// bytes at a time has such; what does not find a place is sent with the next packet.
pub(super) const MAX_PARTS: usize = 24;

/// Payload that belongs into a packet.
enum Payload<Tx> {
    Crypto(CryptoFrame),
    Stream(StreamFrame),
    Datagram(Tx),
}

/// The payload of a packet, each with its place, counted from the first byte of the payload. Most
/// packets carry one, which costs no look at the others.
enum Payloads<Tx> {
    None,
    One(usize, Payload<Tx>),
    Several([Option<(usize, Payload<Tx>)>; MAX_PAYLOADS]),
}

/// A packet that is being built.
struct Draft<Tx> {
    packet: UnsealedPacket,
    number: PacketNumber,
    space: PacketNumberSpace,
    content: Content,
    frames: u32,
    eliciting: bool,
    /// Whether it has PADDING, and so counts as in flight.
    padded: bool,
    has_ack: bool,
    payloads: Payloads<Tx>,
    used: usize,
    /// How many parts the payloads have so far.
    parts: usize,
}

impl<Tx> Payloads<Tx> {
    #[inline]
    fn add(&mut self, number: usize, at: usize, payload: Payload<Tx>) {
        match self {
            Self::None => *self = Self::One(at, payload),
            _ => self.add_another(number, at, payload),
        }
    }

    #[inline(never)]
    fn add_another(&mut self, number: usize, at: usize, payload: Payload<Tx>) {
        if let Self::One(..) = self {
            let several = Self::Several([const { None }; MAX_PAYLOADS]);
            let first = core::mem::replace(self, several);
            if let (Self::One(at, payload), Self::Several(all)) = (first, &mut *self) {
                if let Some(slot) = all.first_mut() {
                    *slot = Some((at, payload));
                }
            }
        }
        if let Self::Several(all) = self {
            if let Some(slot) = all.get_mut(number) {
                *slot = Some((at, payload));
            }
        }
    }
}

impl<Tx> Draft<Tx> {
    #[inline]
    fn has_room(&self) -> bool {
        self.used < MAX_PAYLOADS && self.parts < MAX_PARTS && self.frames < MAX_FRAMES
    }

    #[inline]
    fn add(&mut self, at: usize, payload: Payload<Tx>, parts: usize) {
        self.payloads.add(self.used, at, payload);
        self.used = self.used.saturating_add(1);
        self.parts = self.parts.saturating_add(parts);
        self.eliciting = true;
    }
}

impl<E: Environment> Connection<E> {
    /// Writes a packet of that type behind what is in `writer`, and makes the datagram `pad` bytes
    /// long with it. Returns false, with nothing written, if there is nothing to send after all.
    #[inline]
    pub(super) fn build(
        &mut self,
        cx: &mut Context<'_, E>,
        writer: &mut Writer<'_>,
        packet_type: PacketType,
        batch: &Batch,
        pad: usize,
    ) -> bool {
        let Some((packet, number)) = self.begin_packet(cx, writer, packet_type, &batch.dcid) else {
            return false;
        };
        // It has some hundred bytes, and is built where it stays.
        let mut draft = Draft {
            packet,
            number,
            space: packet_type.space(),
            content: Content::Nothing,
            frames: 0,
            eliciting: false,
            padded: false,
            has_ack: false,
            payloads: Payloads::None,
            used: 0,
            parts: 0,
        };
        match batch.kind {
            Kind::Data { ack_only } => {
                self.write_data(cx, writer, &mut draft, packet_type, ack_only)
            }
            Kind::Close => self.write_close(writer, &mut draft),
            Kind::Path => {
                let expanded = pad >= MIN_INITIAL_DATAGRAM;
                self.write_path_frames(cx, writer, &mut draft, batch.path, expanded);
            }
            Kind::MtuProbe => {
                let _ = self.write_frame(writer, &mut draft, &Frame::Ping);
            }
        }
        // RFC 9000 §12.4: The payload of a packet that contains frames MUST contain at least one
        // frame.
        if draft.packet.is_empty(writer) {
            draft.packet.abandon(writer);
            return false;
        }
        let tag = match packet_type == PacketType::OneRtt && self.keys.unencrypted {
            true => 0,
            false => TAG_LEN,
        };
        write_padding(writer, &mut draft, pad, tag);
        self.seal(cx, writer, &draft, packet_type, batch)
    }

    /// Writes the header.
    fn begin_packet(
        &mut self,
        cx: &mut Context<'_, E>,
        writer: &mut Writer<'_>,
        packet_type: PacketType,
        dcid: &ConnectionId,
    ) -> Option<(UnsealedPacket, PacketNumber)> {
        if packet_type == PacketType::OneRtt {
            return self.begin_short(cx, writer, dcid);
        }
        let space = packet_type.space();
        let number = self.next_packet_number(cx, space)?;
        let long = match packet_type {
            PacketType::Initial => LongPacketType::Initial {
                // [rfc9000-8.1.2-1] [rfc9000-8.1.3-1] [rfc9000-17.2.2-1]: a server has none.
                token: self
                    .negotiation
                    .as_ref()
                    .map_or(&[], |negotiation| negotiation.token.as_slice()),
            },
            PacketType::ZeroRtt => LongPacketType::ZeroRtt,
            PacketType::Handshake | PacketType::OneRtt => LongPacketType::Handshake,
        };
        let header = Header::Long {
            packet_type: long,
            version: match packet_type {
                PacketType::ZeroRtt => self.config.version,
                _ => self.version,
            },
            dcid: *dcid,
            scid: self.local_cid,
        };
        self.emit_header(writer, &header, space, number)
    }

    /// Writes the header of a 1-RTT packet.
    #[inline(always)]
    pub(super) fn begin_short(
        &mut self,
        cx: &mut Context<'_, E>,
        writer: &mut Writer<'_>,
        dcid: &ConnectionId,
    ) -> Option<(UnsealedPacket, PacketNumber)> {
        let space = PacketNumberSpace::ApplicationData;
        let number = self.next_packet_number(cx, space)?;
        let header = Header::Short {
            dcid: *dcid,
            spin: self.spin,
            key_phase: self.keys.phase(),
        };
        self.emit_header(writer, &header, space, number)
    }

    /// The number of the next packet; without one, the connection is over.
    #[inline(always)]
    fn next_packet_number(
        &mut self,
        cx: &mut Context<'_, E>,
        space: PacketNumberSpace,
    ) -> Option<PacketNumber> {
        let env = &mut *cx.env;
        let number = self.recovery.next_packet_number(space, || random_u64(env));
        self.out_of_numbers |= number.is_none();
        number
    }

    #[inline(always)]
    fn emit_header(
        &self,
        writer: &mut Writer<'_>,
        header: &Header<'_>,
        space: PacketNumberSpace,
        number: PacketNumber,
    ) -> Option<(UnsealedPacket, PacketNumber)> {
        let largest_acked = self.recovery.largest_acked(space);
        let packet = header
            .emit(writer, number, largest_acked, self.fixed_bit(number))
            .ok()?;
        Some((packet, number))
    }

    // RFC 9287 §3.1: an endpoint that receives the grease_quic_bit transport parameter SHOULD set
    // the QUIC Bit to an unpredictable value.
    #[inline]
    fn fixed_bit(&self, number: PacketNumber) -> bool {
        if !(self.config.grease && self.has_peer_parameters && self.peer.grease_quic_bit) {
            return true;
        }
        // A bit of a random number that is the same for the whole connection.
        self.grease_bits.rotate_right((number.get() & 0x3f) as u32) & 1 == 0
    }

    /// The connection ID that packets of a path go to.
    // RFC 9000 §12.2: Senders MUST NOT coalesce QUIC packets with different connection IDs into a
    // single UDP datagram. All of a datagram are of one path.
    pub(super) fn dcid(&self, path: u8) -> Option<&ConnectionId> {
        let reserved = match path == self.paths.active_id() {
            true => None,
            false => self.paths.get(path).and_then(|path| path.cid),
        };
        let cids = &self.body.remote_cids;
        reserved
            .and_then(|sequence| cids.get(sequence))
            .or_else(|| cids.active())
    }

    /// Writes `frame`, if there is room for it.
    fn write_frame(
        &mut self,
        writer: &mut Writer<'_>,
        draft: &mut Draft<E::Tx>,
        frame: &Frame<'_>,
    ) -> bool {
        let written = frame.emit(writer).is_ok();
        draft.eliciting |= written && frame.is_ack_eliciting();
        written
    }

    /// Writes a frame that was polled for the room there is, and remembers it. Should it not fit
    /// after all, it is sent again.
    fn write_noted(
        &mut self,
        cx: &Context<'_, E>,
        writer: &mut Writer<'_>,
        draft: &mut Draft<E::Tx>,
        frame: &Frame<'_>,
    ) {
        let Some(record) = SentFrame::of(frame) else {
            return;
        };
        match self.write_frame(writer, draft, frame) {
            true => self.note(draft, record),
            false => self.body.frame_lost(draft.space, &record, cx.flags),
        }
    }

    /// Remembers that `frame` is in the packet.
    #[inline]
    fn note(&mut self, draft: &mut Draft<E::Tx>, frame: SentFrame) {
        draft.frames = draft.frames.saturating_add(1);
        // There is room for MAX_FRAMES, and no more are written.
        let _ = self.body.contents.add(&mut draft.content, frame);
    }

    #[inline]
    fn write_data(
        &mut self,
        cx: &mut Context<'_, E>,
        writer: &mut Writer<'_>,
        draft: &mut Draft<E::Tx>,
        packet_type: PacketType,
        ack_only: bool,
    ) {
        if packet_type != PacketType::ZeroRtt {
            self.write_ack(cx, writer, draft);
        }
        if !ack_only {
            let space = self.body.space(draft.space);
            let has_crypto = space.is_some_and(|space| space.crypto.has_data());
            if has_crypto && packet_type != PacketType::ZeroRtt {
                self.write_crypto_frames(cx, writer, draft);
            }
            // RFC 9000 §12.5: All other frame types MUST only be sent in the application data
            // packet number space.
            match packet_type {
                PacketType::OneRtt => {
                    if self.body.has_connection_frames() {
                        self.write_connection_frames(cx, writer, draft);
                    }
                    self.write_application_frames(cx, writer, draft);
                }
                PacketType::ZeroRtt => self.write_application_frames(cx, writer, draft),
                PacketType::Initial | PacketType::Handshake => {}
            }
        }
        let Some(space) = self.body.space_mut(draft.space) else {
            return;
        };
        let probe = space.probes > 0 && !ack_only;
        if probe {
            space.probes = space.probes.saturating_sub(1);
        }
        // RFC 9002 §6.2.4: When there is no data to send, send a PING frame instead.
        let ping = probe || (self.ping_due && packet_type == PacketType::OneRtt && !ack_only);
        // RFC 9000 §13.2.4: a receiver that is sending only non-ack-eliciting packets might
        // occasionally add a PING.
        let tired = draft.has_ack && space.receiver.wants_ping();
        // RFC 9002 §6.2.4: All probe packets sent on a PTO MUST be ack-eliciting.
        if !draft.eliciting && (ping || tired) {
            self.write_frame(writer, draft, &Frame::Ping);
        }
        if draft.eliciting && packet_type == PacketType::OneRtt {
            self.ping_due = false;
        }
    }

    #[inline]
    fn write_ack(
        &mut self,
        cx: &mut Context<'_, E>,
        writer: &mut Writer<'_>,
        draft: &mut Draft<E::Tx>,
    ) {
        // RFC 9000 §13.2.6: ACK frames MUST only be carried in a packet that has the same packet
        // number space as the packet being acknowledged […] packets that are protected with 1-RTT
        // keys MUST be acknowledged in packets that are also protected with 1-RTT keys. […] Packets
        // that a client sends with 0-RTT packet protection MUST be acknowledged by the server in
        // packets protected by 1-RTT keys. RFC 9000 §17.2.3: An acknowledgment for a 1-RTT packet
        // MUST be carried in a 1-RTT packet.
        let Some(space) = self.body.space(draft.space) else {
            return;
        };
        if !space.receiver.has_unacked() {
            return;
        }
        let exponent = self.config.ack_delay_exponent;
        draft.has_ack = space.receiver.emit(writer, cx.now, exponent).is_ok();
    }

    fn write_crypto_frames(
        &mut self,
        cx: &mut Context<'_, E>,
        writer: &mut Writer<'_>,
        draft: &mut Draft<E::Tx>,
    ) {
        while draft.has_room() {
            let Some(space) = self.body.space_mut(draft.space) else {
                return;
            };
            let crypto = &mut space.crypto;
            let Some(mut frame) = crypto.poll(writer.remaining(), cx.flags) else {
                return;
            };
            // TLS may have written it a few bytes at a time.
            let most = MAX_PARTS.saturating_sub(draft.parts);
            let (parts, len) = first_parts(crypto.pieces(&frame), most);
            if len < frame.len {
                let rest = frame.split_off(len);
                self.body.frame_lost(draft.space, &rest, cx.flags);
            }
            let header = frame.header();
            let record = frame.record();
            let at = header
                .emit(writer)
                .ok()
                .and_then(|()| self.leave_room(writer, &draft.packet, frame.len));
            let Some(at) = at else {
                // It was polled for this room; should it not fit, it is sent again.
                self.body.frame_lost(draft.space, &record, cx.flags);
                return;
            };
            draft.add(at, Payload::Crypto(frame), parts);
            self.note(draft, record);
        }
    }

    /// Leaves a gap of `len` bytes, and returns where in the payload it is.
    #[inline]
    fn leave_room(
        &self,
        writer: &mut Writer<'_>,
        packet: &UnsealedPacket,
        len: usize,
    ) -> Option<usize> {
        let at = writer.position().checked_sub(packet.payload_at())?;
        writer.skip(len).ok()?;
        Some(at)
    }

    /// Frames that are about the connection itself.
    fn write_connection_frames(
        &mut self,
        cx: &mut Context<'_, E>,
        writer: &mut Writer<'_>,
        draft: &mut Draft<E::Tx>,
    ) {
        if self.body.handshake_done.is_due()
            && self.write_frame(writer, draft, &Frame::HandshakeDone)
        {
            self.body.handshake_done = Delivery::Sent;
            self.note(draft, SentFrame::HandshakeDone);
        }
        while draft.frames < MAX_FRAMES / 2 {
            let (room, env) = (writer.remaining(), &*cx.env);
            let Some(frame) = self.body.local_cids.poll(room, |cid| env.reset_token(cid)) else {
                break;
            };
            self.write_noted(cx, writer, draft, &frame);
        }
        while draft.frames < MAX_FRAMES / 2 {
            let Some(frame) = self.body.remote_cids.poll(writer.remaining()) else {
                break;
            };
            self.write_noted(cx, writer, draft, &frame);
        }
        if self.body.new_token_delivery.is_due() {
            let token = core::mem::take(&mut self.body.new_token);
            let frame = Frame::NewToken {
                token: token.as_slice(),
            };
            if self.write_frame(writer, draft, &frame) {
                self.body.new_token_delivery = Delivery::Sent;
                self.note(draft, SentFrame::NewToken);
            }
            self.body.new_token = token;
        }
        if self.body.ack_frequency.is_due() {
            if let Some(frame) = self.ack_frequency_frame() {
                if self.write_frame(writer, draft, &Frame::AckFrequency(frame)) {
                    self.body.ack_frequency = Delivery::Sent;
                    let sequence = self.body.ack_frequency_sequence;
                    self.note(draft, SentFrame::AckFrequency { sequence });
                }
            }
        }
    }

    fn ack_frequency_frame(&self) -> Option<AckFrequency> {
        let request = self.ack_frequency_request?;
        Some(AckFrequency {
            sequence: self.body.ack_frequency_sequence,
            ..request
        })
    }

    /// Frames of the application: about streams, then datagrams, then data of streams.
    #[inline]
    fn write_application_frames(
        &mut self,
        cx: &mut Context<'_, E>,
        writer: &mut Writer<'_>,
        draft: &mut Draft<E::Tx>,
    ) {
        self.write_stream_control(cx, writer, draft);
        while draft.has_room() {
            let empty = draft.packet.is_empty(writer);
            let polled = self.body.datagrams_out.poll(writer.remaining(), empty);
            let Some((header, data)) = polled else {
                break;
            };
            let len = data.len();
            // It fits, for it was polled for this room. A datagram may be lost (RFC 9221 §5).
            let at = header
                .emit(writer)
                .ok()
                .and_then(|()| self.leave_room(writer, &draft.packet, len));
            if let Some(at) = at {
                draft.add(at, Payload::Datagram(data), 1);
            }
        }
        let tail = self.tail();
        while draft.has_room() {
            let Some(mut frame) = self
                .body
                .streams
                .poll_stream(writer.remaining(), tail, cx.flags)
            else {
                break;
            };
            let parts = self.limit_parts(cx, &mut frame, MAX_PARTS.saturating_sub(draft.parts));
            let header = frame.header();
            let record = frame.record();
            let at = header
                .emit(writer)
                .ok()
                .and_then(|()| self.leave_room(writer, &draft.packet, frame.len));
            let Some(at) = at else {
                self.body.streams.on_lost(&record, cx.flags);
                break;
            };
            draft.add(at, Payload::Stream(frame), parts);
            self.note(draft, record);
        }
        // A limit may have shown that blocks.
        self.write_stream_control(cx, writer, draft);
    }

    #[inline]
    fn write_stream_control(
        &mut self,
        cx: &mut Context<'_, E>,
        writer: &mut Writer<'_>,
        draft: &mut Draft<E::Tx>,
    ) {
        while self.body.streams.has_control() && draft.frames < MAX_FRAMES / 2 {
            let Some(frame) = self.body.streams.poll_control(writer.remaining()) else {
                break;
            };
            self.write_noted(cx, writer, draft, &frame);
        }
    }

    /// Shortens `frame` to what `most` parts hold; the rest is sent again. Returns how many parts
    /// there are.
    #[inline]
    fn limit_parts(&mut self, cx: &Context<'_, E>, frame: &mut StreamFrame, most: usize) -> usize {
        if self.body.streams.only_piece(frame).is_some() {
            return 1;
        }
        let (parts, len) = first_parts(self.body.streams.pieces(frame), most);
        if len < frame.len {
            let rest = frame.split_off(len);
            self.body.streams.on_lost(&rest, cx.flags);
        }
        parts
    }

    /// The packet could not be encrypted: what it contained is sent again.
    #[cold]
    pub(super) fn on_not_sealed(
        &mut self,
        cx: &Context<'_, E>,
        space: PacketNumberSpace,
        content: Content,
    ) {
        let mut content = content;
        while let Some(frame) = self.body.contents.take(&mut content) {
            self.body.frame_lost(space, &frame, cx.flags);
        }
    }

    fn write_close(&mut self, writer: &mut Writer<'_>, draft: &mut Draft<E::Tx>) {
        let room = writer.remaining();
        if let Some(frame) = self.close_frame(draft.space) {
            let _ = Frame::ConnectionClose(frame.cut_to(room)).emit(writer);
        }
    }

    fn write_path_frames(
        &mut self,
        cx: &mut Context<'_, E>,
        writer: &mut Writer<'_>,
        draft: &mut Draft<E::Tx>,
        path: u8,
        expanded: bool,
    ) {
        let mut data = [0; 8];
        // RFC 9000 §8.2.1: The endpoint MUST use unpredictable data in every PATH_CHALLENGE frame.
        cx.env.random(&mut data);
        let max_ack_delay = self.peer_max_ack_delay();
        let Some(path) = self.paths.get_mut(path) else {
            return;
        };
        while let Some(data) = path.responses.next() {
            draft.eliciting |= Frame::PathResponse { data }.emit(writer).is_ok();
        }
        if path.challenge_due() && (Frame::PathChallenge { data }).emit(writer).is_ok() {
            draft.eliciting = true;
            path.on_challenge_sent(data, expanded, cx.now, max_ack_delay);
        }
        self.set_path_timer();
    }

    /// Encrypts the packet, and remembers it.
    #[inline]
    fn seal(
        &mut self,
        cx: &mut Context<'_, E>,
        writer: &mut Writer<'_>,
        draft: &Draft<E::Tx>,
        packet_type: PacketType,
        batch: &Batch,
    ) -> bool {
        let Draft {
            packet,
            number,
            space,
            content,
            eliciting,
            padded,
            has_ack,
            payloads,
            ..
        } = draft;
        let (number, space, content) = (*number, *space, *content);
        let (eliciting, padded, has_ack) = (*eliciting, *padded, *has_ack);
        let only = match payloads {
            Payloads::One(at, Payload::Stream(frame)) => self
                .body
                .streams
                .only_piece(frame)
                .map(|piece| Part::new(*at, piece.chunk, piece.range)),
            _ => None,
        };
        let sealed = match (&only, payloads) {
            (Some(part), _) => {
                let parts = core::slice::from_ref(part);
                protect(&mut self.keys, cx, writer, packet, packet_type, parts)
            }
            (None, Payloads::None) => protect(&mut self.keys, cx, writer, packet, packet_type, &[]),
            (None, payloads) => {
                let (keys, body) = (&mut self.keys, &self.body);
                protect_several(keys, cx, writer, packet, packet_type, body, space, payloads)
            }
        };
        let Some(size) = sealed else {
            self.on_not_sealed(cx, space, content);
            return false;
        };
        if packet_type == PacketType::OneRtt {
            self.keys.on_sent(number);
        }
        self.stats.packets_sent = self.stats.packets_sent.saturating_add(1);
        let size = u16::try_from(size).unwrap_or(u16::MAX);
        let flag = |set: bool, flag: SentFlags| match set {
            true => flag,
            false => SentFlags::NONE,
        };
        let flags = match batch.kind {
            // Nobody waits for an acknowledgment. But the number is used up: RFC 9000 §10.2.1 lets
            // the same packet be sent again, and the next one may be another, in its padding for
            // instance, which RFC 9001 §5.3 forbids to encrypt with the same nonce.
            Kind::Close => SentFlags::NONE,
            _ => flag(eliciting, SentFlags::ACK_ELICITING)
                .with(flag(eliciting || padded, SentFlags::IN_FLIGHT))
                .with(flag(batch.ecn == EcnCodepoint::Ect0, SentFlags::ECT0))
                .with(flag(batch.kind == Kind::MtuProbe, SentFlags::MTU_PROBE))
                .with(flag(has_ack, SentFlags::HAS_ACK))
                .with(flag(
                    packet_type == PacketType::ZeroRtt,
                    SentFlags::ZERO_RTT,
                )),
        };
        let sent = SentPacket::new(cx.now, size, batch.path, flags, content);
        // Room was reserved before the packet was begun.
        let _ = self
            .recovery
            .on_packet_sent(space, number, sent, &mut self.paths, cx.flags);
        if batch.kind == Kind::Close {
            return true;
        }
        if has_ack {
            if let Some(space) = self.body.space_mut(space) {
                space.receiver.on_ack_sent(number, eliciting);
            }
        }
        if eliciting {
            self.on_eliciting_sent(cx.now);
        }
        true
    }

    /// An ack-eliciting packet was sent.
    // RFC 9000 §10.1: An endpoint also restarts its idle timer when sending an ack-eliciting packet
    // if no other ack-eliciting packets have been sent since last receiving and processing a
    // packet.
    #[inline]
    pub(super) fn on_eliciting_sent(&mut self, now: Instant) {
        if !core::mem::replace(&mut self.eliciting_since_heard, true) {
            self.restart_idle_timer(now);
        }
    }
}

/// Parts for a packet, in their order. What is in the places that are not used does not matter.
struct Parts<'a, C> {
    parts: Option<[Part<'a, C>; MAX_PARTS]>,
    used: usize,
}

impl<'a, C> Parts<'a, C> {
    /// Adds the pieces of a payload that begins at `at`.
    fn add(&mut self, mut at: usize, pieces: impl Iterator<Item = Piece<'a, C>>) {
        for piece in pieces {
            let part = Part::new(at, piece.chunk, piece.range);
            at = at.saturating_add(part.len);
            let parts = self.parts.get_or_insert([part; MAX_PARTS]);
            if let Some(slot) = parts.get_mut(self.used) {
                *slot = part;
                self.used = self.used.saturating_add(1);
            }
        }
    }

    fn add_payload<E: Environment<Tx = C>>(
        &mut self,
        body: &'a Body<E>,
        space: PacketNumberSpace,
        at: usize,
        payload: &'a Payload<C>,
    ) where
        C: Chunk,
    {
        match payload {
            Payload::Stream(frame) => self.add(at, body.streams.pieces(frame)),
            Payload::Crypto(frame) => {
                let space = body.space(space).into_iter();
                self.add(at, space.flat_map(|space| space.crypto.pieces(frame)));
            }
            Payload::Datagram(chunk) => {
                let range = 0..chunk.len();
                self.add(at, core::iter::once(Piece { chunk, range }));
            }
        }
    }
}

/// [`protect`] of a packet whose payload is not one piece of one stream.
#[inline(never)]
#[allow(clippy::too_many_arguments)] // parts of the connection, which the caller borrows apart
fn protect_several<E: Environment>(
    keys: &mut Keys<E::Crypto>,
    cx: &mut Context<'_, E>,
    writer: &mut Writer<'_>,
    packet: &UnsealedPacket,
    packet_type: PacketType,
    body: &Body<E>,
    space: PacketNumberSpace,
    payloads: &Payloads<E::Tx>,
) -> Option<usize> {
    let mut parts = Parts {
        parts: None,
        used: 0,
    };
    match payloads {
        Payloads::None => {}
        Payloads::One(at, payload) => parts.add_payload(body, space, *at, payload),
        Payloads::Several(all) => {
            for (at, payload) in all.iter().flatten() {
                parts.add_payload(body, space, *at, payload);
            }
        }
    }
    let used = parts.used;
    let parts = parts.parts.as_ref().and_then(|parts| parts.get(..used));
    protect(
        keys,
        cx,
        writer,
        packet,
        packet_type,
        parts.unwrap_or_default(),
    )
}

/// Puts the protection of its type on a packet; returns how many bytes it has.
#[inline]
fn protect<E: Environment>(
    keys: &mut Keys<E::Crypto>,
    cx: &mut Context<'_, E>,
    writer: &mut Writer<'_>,
    packet: &UnsealedPacket,
    packet_type: PacketType,
    parts: &[Part<'_, E::Tx>],
) -> Option<usize> {
    let direction = match packet_type {
        PacketType::Initial | PacketType::Handshake | PacketType::ZeroRtt => {
            keys.early_tx(packet_type)
        }
        PacketType::OneRtt if keys.unencrypted => {
            let payload = writer.written_mut(packet.payload_at());
            for part in parts {
                let end = part.at.saturating_add(part.len);
                if let Some(to) = payload.get_mut(part.at..end) {
                    cx.env.copy(part.chunk, part.start, to);
                }
            }
            return Some(packet.finish_unencrypted(writer).len());
        }
        PacketType::OneRtt => {
            let Some((header, protection)) = keys.one_rtt() else {
                packet.abandon(writer);
                return None;
            };
            let sealed = packet.seal_parts(writer, header, protection, parts);
            return sealed.ok().map(|range| range.len());
        }
    };
    let Some(direction) = direction else {
        packet.abandon(writer);
        return None;
    };
    let sealed = packet.seal_parts(writer, &direction.header, &mut direction.packet, parts);
    sealed.ok().map(|range| range.len())
}

#[cold]
fn random_u64<E: Environment>(env: &mut E) -> u64 {
    let mut bytes = [0; 8];
    env.random(&mut bytes);
    u64::from_le_bytes(bytes)
}

/// Adds PADDING until header protection has its sample, and the datagram `pad` bytes.
fn write_padding<Tx>(writer: &mut Writer<'_>, draft: &mut Draft<Tx>, pad: usize, tag: usize) {
    let missing = draft.packet.missing(writer);
    let short = pad.saturating_sub(writer.position().saturating_add(tag));
    let padding = missing.max(short);
    if padding > 0 && writer.fill(padding, 0).is_ok() {
        draft.padded = true;
    }
}

/// How many pieces there are, but `most` at most, and how many bytes are in those.
#[inline]
fn first_parts<'a, Tx: 'a>(
    pieces: impl Iterator<Item = Piece<'a, Tx>>,
    most: usize,
) -> (usize, usize) {
    let (mut parts, mut len) = (0_usize, 0_usize);
    for piece in pieces {
        if parts >= most {
            break;
        }
        parts = parts.saturating_add(1);
        len = len.saturating_add(piece.range.len());
    }
    (parts, len)
}
