// SPDX-License-Identifier: GPL-2.0 OR MIT

//! Datagrams that come in: finding the keys of each packet, and what follows from its header.

use super::close::State;
use super::keys::PhaseChange;
use super::path::Path;
use super::timers::Timer;
use super::{Addresses, CloseReason, Connection, Context, Environment, Event, ReceiveBuffer};
use crate::cid::{ConnectionId, StatelessResetToken};
use crate::ecn::EcnCodepoint;
use crate::error::TransportError;
use crate::frame::{Frame, Frames};
use crate::packet::{
    Datagram, Discard, FixedBit, OpenError, OpenedPacket, Packet, PacketNumber, PacketNumberSpace,
    PacketType, ProtectedPacket, UnverifiedRetry, VersionNegotiation, MIN_INITIAL_DATAGRAM,
};
use crate::role::Role;
use crate::stream::FrameError;
use crate::version::negotiation::{answer_negotiation_packet, NegotiationAnswer};
use core::ops::Range;
use kernel::alloc::KVec;

/// How a datagram arrived.
#[derive(Copy, Clone, Debug)]
pub struct Arrival {
    /// Between which addresses.
    pub addresses: Addresses,
    /// With which mark.
    pub ecn: EcnCodepoint,
}

/// What there is to know about a packet while its frames are processed.
#[derive(Clone)]
pub(super) struct PacketContext<'a> {
    pub(super) packet_type: PacketType,
    /// The path it came on.
    pub(super) path: u8,
    /// Where its payload begins in the datagram.
    pub(super) payload_at: usize,
    /// Its header, and where in that the Destination Connection ID is.
    header: &'a [u8],
    dcid: Range<usize>,
}

impl<'a> PacketContext<'a> {
    /// What there is to know about `packet`, which came on `path`.
    #[inline]
    pub(super) fn new(packet: &OpenedPacket<'a>, path: u8) -> Self {
        Self {
            packet_type: packet.packet_type(),
            path,
            payload_at: packet.payload_offset,
            header: packet.header(),
            dcid: packet.dcid_range(),
        }
    }

    /// Destination Connection ID.
    pub(super) fn dcid(&self) -> &'a [u8] {
        self.header.get(self.dcid.clone()).unwrap_or_default()
    }
}

/// How the datagram of a packet came.
#[derive(Copy, Clone)]
struct Came<'a> {
    arrival: &'a Arrival,
    /// The path, if it is known.
    known: Option<u8>,
    datagram_len: usize,
}

/// What became of a packet.
pub(super) enum Fate {
    /// Its frames took effect.
    Processed,
    /// It is authentic, but had been received before, or there was no memory for it.
    Dropped,
    /// It could not be opened, or is none of this connection.
    Unopened,
}

/// How far the frames of a packet have been processed, and what they were.
#[derive(Copy, Clone)]
pub(super) struct Progress {
    /// How many bytes of the payload.
    len: usize,
    eliciting: bool,
    probing: bool,
    immediate: bool,
    /// There are DATAGRAM frames, whose turn comes last.
    datagrams: bool,
}

impl Default for Progress {
    fn default() -> Self {
        Self {
            len: 0,
            eliciting: false,
            probing: true,
            immediate: false,
            datagrams: false,
        }
    }
}

impl Progress {
    /// A STREAM frame of `len` bytes was processed.
    #[inline]
    pub(super) fn after_stream(len: usize) -> Self {
        Self {
            len,
            eliciting: true,
            probing: false,
            immediate: false,
            datagrams: false,
        }
    }
}

/// What is left to do when the frames of a packet are processed.
#[derive(Copy, Clone)]
pub(super) struct Processed {
    packet_type: PacketType,
    number: PacketNumber,
    spin: bool,
    path: u8,
    /// The largest packet number before.
    largest: Option<PacketNumber>,
    ecn: EcnCodepoint,
}

impl Processed {
    #[inline]
    pub(super) fn new(
        packet: &OpenedPacket<'_>,
        path: u8,
        largest: Option<PacketNumber>,
        ecn: EcnCodepoint,
    ) -> Self {
        Self {
            packet_type: packet.packet_type(),
            number: packet.number,
            spin: packet.spin(),
            path,
            largest,
            ecn,
        }
    }
}

impl<E: Environment> Connection<E> {
    /// Takes a datagram, which is decrypted in place.
    ///
    /// Afterwards, or after the last of several that came together, the caller sends what
    /// [`Self::begin_batch`] gives and sets its timer to [`Self::timeout`].
    pub fn on_datagram(
        &mut self,
        cx: &mut Context<'_, E>,
        arrival: &Arrival,
        bytes: &mut [u8],
        buffer: &mut impl ReceiveBuffer<Chunk = E::Rx>,
    ) {
        let stats = &mut self.stats;
        stats.datagrams_received = stats.datagrams_received.wrapping_add(1);
        stats.bytes_received = stats
            .bytes_received
            .wrapping_add(crate::offset::bytes(bytes.len()));
        match self.state {
            State::Open => {}
            State::Closing => return self.on_datagram_while_closing(arrival, bytes.len()),
            State::Draining | State::Closed => return,
        }
        if let Some(path) = self.paths.find_mut(&arrival.addresses) {
            // RFC 9000 §8.1: servers MUST count all of the payload bytes received in datagrams that
            // are uniquely attributed to a single connection.
            path.on_received(bytes.len());
            let path = path.id;
            if self.is_short_datagram(bytes) {
                return self.on_short_datagram(cx, arrival, path, bytes, buffer);
            }
        }
        self.on_packets(cx, arrival, bytes, buffer);
    }

    /// Takes a packet once more that [`ReceiveBuffer::defer`] was given, after keys were installed.
    // Its bytes have been counted: RFC 9000 §8.1 lets a server send three times what it received.
    pub fn on_deferred(
        &mut self,
        cx: &mut Context<'_, E>,
        arrival: &Arrival,
        bytes: &mut [u8],
        buffer: &mut impl ReceiveBuffer<Chunk = E::Rx>,
    ) {
        if self.state == State::Open {
            self.on_packets(cx, arrival, bytes, buffer);
        }
    }

    fn on_packets(
        &mut self,
        cx: &mut Context<'_, E>,
        arrival: &Arrival,
        bytes: &mut [u8],
        buffer: &mut impl ReceiveBuffer<Chunk = E::Rx>,
    ) {
        let known = self.paths.find(&arrival.addresses);
        // RFC 9000 §9: If a client receives packets from an unknown server address, the client MUST
        // discard these packets.
        if known.is_none() && !self.may_change_path() {
            // RFC 9000 §9: If the peer sent the disable_active_migration transport parameter […]
            // An endpoint that has sent it drops packets of other paths in the handshake; a client
            // never moves because the server does (§9.6.3).
            return;
        }
        let len = bytes.len();
        let fixed_bit = self.fixed_bit_rule();
        let mut heard = false;
        let mut opened = false;
        // RFC 9000 §12.2: The receiver of coalesced QUIC packets MUST individually process each
        // QUIC packet and separately acknowledge them.
        for packet in Datagram::new(bytes, self.local_cid.len(), fixed_bit) {
            let result = match packet {
                Ok(Packet::Protected(packet)) => {
                    self.on_packet(cx, arrival, known, packet, len, buffer)
                }
                Ok(Packet::Retry(packet)) => self.on_retry(cx, &packet),
                Ok(Packet::VersionNegotiation(packet)) => {
                    self.on_version_negotiation(cx, &packet);
                    Ok(Fate::Unopened)
                }
                Err(discard) => Err(discard.into()),
            };
            match result {
                Ok(Fate::Processed) => (heard, opened) = (true, true),
                Ok(Fate::Dropped) => opened = true,
                Ok(Fate::Unopened) => {}
                Err(OpenError::Discard(discard)) => self.on_discard(cx, discard),
                Err(OpenError::Close(error)) => self.close_with(cx, error),
            }
            if !matches!(self.state, State::Open) {
                return;
            }
        }
        if heard {
            self.on_heard(cx);
        } else if !opened {
            // RFC 9000 §10.3.1: the comparison MUST be performed when the first packet in an
            // incoming datagram either cannot be associated with a connection or cannot be
            // decrypted.
            self.check_stateless_reset(cx, bytes);
        }
        // RFC 9002 §A.6: the timer may have been stopped because nothing could be sent, and
        // whatever came counts.
        self.update_amplification(cx.now);
    }

    // RFC 9287 §3: an endpoint that advertises the grease_quic_bit transport parameter MUST accept
    // packets with the QUIC Bit set to a value of 0.
    #[inline]
    pub(super) fn fixed_bit_rule(&self) -> FixedBit {
        match self.config.grease_quic_bit {
            true => FixedBit::Ignored,
            false => FixedBit::Required,
        }
    }

    /// A packet was dropped.
    pub(super) fn on_discard(&mut self, cx: &mut Context<'_, E>, discard: Discard) {
        self.stats.packets_discarded = self.stats.packets_discarded.saturating_add(1);
        if discard == Discard::Unauthenticated {
            if let Err(error) = self.keys.on_unauthenticated() {
                self.close_with(cx, error);
            }
        }
    }

    // RFC 9000 §10.3.1: The endpoint identifies a received datagram as a Stateless Reset by
    // comparing the last 16 bytes of the datagram with all stateless reset tokens associated with
    // the remote address on which the datagram was received. If the last 16 bytes of the datagram
    // are identical in value to a stateless reset token, the endpoint MUST enter the draining
    // period and not send any further packets on this connection.
    pub(super) fn check_stateless_reset(&mut self, cx: &mut Context<'_, E>, bytes: &[u8]) {
        let is_reset = StatelessResetToken::at_end_of(bytes)
            .is_some_and(|token| self.body.remote_cids.is_reset_token(&token));
        if is_reset {
            self.drain(cx, CloseReason::StatelessReset);
        }
    }

    /// Something of the peer was processed.
    // RFC 9000 §10.1: An endpoint restarts its idle timer when a packet from its peer is received
    // and processed successfully.
    #[inline]
    pub(super) fn on_heard(&mut self, cx: &mut Context<'_, E>) {
        self.heard = true;
        self.eliciting_since_heard = false;
        // Many datagrams arrive at a time.
        let first = self.idle_since != cx.now;
        if first {
            self.restart_idle_timer(cx.now);
        }
        // RFC 9002 §A.6: the timer may have been stopped because nothing could be sent. What is
        // received can only lift the limit.
        if first || self.amplification_limited {
            self.update_amplification(cx.now);
        }
    }

    #[inline(never)]
    fn on_packet(
        &mut self,
        cx: &mut Context<'_, E>,
        arrival: &Arrival,
        known: Option<u8>,
        packet: ProtectedPacket<'_>,
        datagram_len: usize,
        buffer: &mut impl ReceiveBuffer<Chunk = E::Rx>,
    ) -> Result<Fate, OpenError> {
        let packet_type = packet.packet_type();
        if !self.is_expected(&packet, datagram_len) {
            return Ok(Fate::Unopened);
        }
        if !self.can_open(packet_type) {
            if self.may_come(packet_type) {
                buffer.defer(packet.range(), packet_type);
            }
            return Ok(Fate::Unopened);
        }
        let space = packet_type.space();
        let Some(state) = self.body.space(space) else {
            return Ok(Fate::Dropped);
        };
        let largest = state.receiver.largest_received();
        let (opened, phase) = self.open(cx, packet, largest)?;
        // RFC 9000 §12.3: Duplicate suppression MUST happen after removing packet protection.
        let state = self.body.space(space);
        if state.is_some_and(|space| space.receiver.is_duplicate(opened.number)) {
            self.stats.packets_duplicate = self.stats.packets_duplicate.saturating_add(1);
            return Ok(Fate::Dropped);
        }
        if phase == PhaseChange::Begun {
            self.on_key_phase(cx);
        }
        self.on_authenticated(cx, known, &opened)?;
        let came = Came {
            arrival,
            known,
            datagram_len,
        };
        self.process(cx, &came, largest, &opened, buffer)
    }

    /// Opens a packet with the keys of its version.
    fn open<'a>(
        &mut self,
        cx: &mut Context<'_, E>,
        packet: ProtectedPacket<'a>,
        largest: Option<PacketNumber>,
    ) -> Result<(OpenedPacket<'a>, PhaseChange), OpenError> {
        match packet.version() {
            Some(version) if version != self.version => self.open_in(cx, version, packet, largest),
            _ => self.keys.open(cx.env.crypto(), packet, largest),
        }
    }

    /// Whether a packet can be one of this connection, by its header.
    fn is_expected(&self, packet: &ProtectedPacket<'_>, datagram_len: usize) -> bool {
        match (packet.packet_type(), self.role) {
            (PacketType::Initial, Role::Server) => {
                // RFC 9000 §14.1: A server MUST discard an Initial packet that is carried in a UDP
                // datagram with a payload that is smaller than the smallest allowed maximum
                // datagram size of 1200 bytes.
                datagram_len >= MIN_INITIAL_DATAGRAM && self.is_from_peer(packet)
            }
            // RFC 9000 §17.2.2: Clients that receive an Initial packet with a non-zero Token
            // Length field MUST either discard the packet or generate a connection error.
            (PacketType::Initial, Role::Client) => {
                packet.token().is_empty() && self.is_from_peer(packet)
            }
            (PacketType::Handshake, _) => self.is_from_peer(packet),
            // A server does not send 0-RTT packets.
            // RFC 9001 §5.6: A client MUST NOT attempt to decrypt 0-RTT packets it receives and
            // instead MUST discard them.
            (PacketType::ZeroRtt, role) => role == Role::Server && self.is_from_peer(packet),
            (PacketType::OneRtt, _) => true,
        }
    }

    // RFC 9000 §7.2: Once a client has received a valid Initial packet from the server, it MUST
    // discard any subsequent packet it receives on that connection with a different Source
    // Connection ID […] if subsequent Initial packets include a different Source Connection ID,
    // they MUST be discarded.
    fn is_from_peer(&self, packet: &ProtectedPacket<'_>) -> bool {
        self.peer_cid()
            .is_none_or(|cid| cid.as_slice() == packet.scid())
    }

    /// Whether packets of that type can be opened, and may be.
    fn can_open(&self, packet_type: PacketType) -> bool {
        // RFC 9001 §5.7: A server MUST NOT process incoming 1-RTT protected packets before the TLS
        // handshake is complete. A client has no 1-RTT keys to receive with before that.
        // RFC 9001 §5.7: Endpoints in either role MUST NOT decrypt 1-RTT packets from their peer
        // prior to completing the handshake. Even if it has 1-RTT secrets, a client MUST NOT
        // process incoming 1-RTT protected packets before the TLS handshake is complete.
        // RFC 9001 §4.6.2: When rejecting 0-RTT, a server MUST NOT process any 0-RTT packets, even
        // if it could. TLS gives no keys then.
        let complete = packet_type != PacketType::OneRtt || self.complete;
        let unencrypted = packet_type == PacketType::OneRtt && self.keys.unencrypted;
        complete && (unencrypted || self.keys.can_receive(packet_type))
    }

    /// Whether the keys to open packets of that type may come.
    fn may_come(&self, packet_type: PacketType) -> bool {
        match packet_type {
            PacketType::Initial => false,
            PacketType::Handshake => !self.handshake_discarded,
            PacketType::ZeroRtt | PacketType::OneRtt => !self.complete,
        }
    }

    /// What follows from the mere arrival of an authentic packet.
    fn on_authenticated(
        &mut self,
        cx: &mut Context<'_, E>,
        known: Option<u8>,
        packet: &OpenedPacket<'_>,
    ) -> Result<(), OpenError> {
        if let Some(negotiation) = self
            .negotiation
            .as_mut()
            .filter(|negotiation| negotiation.peer_cid.is_none())
        {
            // RFC 9000 §7.2: Upon first receiving an Initial or Retry packet from the server, the
            // client uses the Source Connection ID supplied by the server as the Destination
            // Connection ID for subsequent packets.
            // RFC 9000 §7.2: A client MUST change the Destination Connection ID it uses for sending
            // packets in response to only the first received Initial or Retry packet.
            let cid = ConnectionId::new(packet.scid()).ok_or(Discard::ConnectionIdTooLong)?;
            negotiation.peer_cid = Some(cid);
            self.body.remote_cids.set_initial(cid);
        }
        if packet.packet_type() == PacketType::Handshake {
            if self.role == Role::Server {
                // RFC 9000 §8.1: Once an endpoint has successfully processed a Handshake packet
                // from the peer, it can consider the peer address to have been validated.
                if let Some(path) = known.and_then(|id| self.paths.get_mut(id)) {
                    path.validated = true;
                }
                // RFC 9001 §4.9.1: a server MUST discard Initial keys when it first successfully
                // processes a Handshake packet.
                self.discard_keys(cx, PacketNumberSpace::Initial);
            }
        }
        Ok(())
    }

    /// Processes the frames of `packet`.
    fn process(
        &mut self,
        cx: &mut Context<'_, E>,
        came: &Came<'_>,
        largest: Option<PacketNumber>,
        packet: &OpenedPacket<'_>,
        buffer: &mut impl ReceiveBuffer<Chunk = E::Rx>,
    ) -> Result<Fate, OpenError> {
        let Came {
            arrival,
            known,
            datagram_len,
        } = *came;
        let known = known.or_else(|| self.paths.find(&arrival.addresses));
        let Some(path) = known.or_else(|| self.new_path(cx, arrival, datagram_len)) else {
            return Ok(Fate::Dropped);
        };
        let processed = Processed::new(packet, path, largest, arrival.ecn);
        self.process_frames(cx, &processed, packet, Progress::default(), buffer)
    }

    /// Processes the frames of `packet` from `progress` on.
    pub(super) fn process_frames(
        &mut self,
        cx: &mut Context<'_, E>,
        processed: &Processed,
        packet: &OpenedPacket<'_>,
        mut progress: Progress,
        buffer: &mut impl ReceiveBuffer<Chunk = E::Rx>,
    ) -> Result<Fate, OpenError> {
        let context = PacketContext::new(packet, processed.path);
        let rules = self.rules;
        let mut frames =
            Frames::new(packet.payload, context.packet_type, &rules).map_err(OpenError::Close)?;
        frames.pass_over(progress.len);
        for frame in frames {
            let frame = frame.map_err(OpenError::Close)?;
            progress.eliciting |= frame.is_ack_eliciting();
            progress.probing &= frame.is_probing();
            progress.immediate |= matches!(frame, Frame::ImmediateAck);
            progress.datagrams |= matches!(frame, Frame::Datagram { .. });
            match self.on_frame(cx, frame, &context, buffer) {
                Ok(()) => {}
                Err(error) => return self.on_frame_error(error),
            }
            if !matches!(self.state, State::Open) {
                return Ok(Fate::Processed);
            }
        }
        if progress.datagrams {
            self.on_datagram_frames(cx, packet.payload, &context, buffer);
        }
        self.on_processed(cx, processed, &progress);
        Ok(Fate::Processed)
    }

    /// A frame was not taken up.
    #[cold]
    pub(super) fn on_frame_error(&mut self, error: FrameError) -> Result<Fate, OpenError> {
        match error {
            // It is as if the packet had been lost.
            FrameError::Refused => {
                self.stats.packets_refused = self.stats.packets_refused.saturating_add(1);
                Ok(Fate::Dropped)
            }
            // RFC 9000 §5.2: An endpoint MUST generate a connection error if processing the
            // contents of these packets prior to discovering an error.
            FrameError::Transport(error) => Err(OpenError::Close(error)),
        }
    }

    /// All frames of a packet were processed.
    #[inline(always)]
    pub(super) fn on_processed(
        &mut self,
        cx: &mut Context<'_, E>,
        packet: &Processed,
        progress: &Progress,
    ) {
        // RFC 9000 §13.1: A packet MUST NOT be acknowledged until packet protection has been
        // successfully removed and all frames contained in the packet have been processed.
        let Some(space) = self.body.space_mut(packet.packet_type.space()) else {
            return;
        };
        let receiver = &mut space.receiver;
        receiver.on_packet_received(
            packet.number,
            progress.eliciting,
            packet.ecn,
            cx.now,
            cx.flags,
        );
        if progress.immediate {
            receiver.on_immediate_ack();
        }
        self.stats.packets_received = self.stats.packets_received.wrapping_add(1);
        if packet.packet_type == PacketType::OneRtt {
            self.on_one_rtt_packet(cx, packet, progress.probing);
        }
    }

    /// A 1-RTT packet was processed.
    #[inline(always)]
    fn on_one_rtt_packet(&mut self, cx: &mut Context<'_, E>, packet: &Processed, probing: bool) {
        // RFC 9001 §4.9.3: After receiving a 1-RTT packet, servers MUST discard 0-RTT keys within a
        // short time; the RECOMMENDED time period is three times the Probe Timeout.
        if self.keys.has_zero_rtt() && !self.timers.is_set(Timer::ZeroRttDiscard) {
            let at = cx.now + self.pto().times(3);
            self.timers.set(Timer::ZeroRttDiscard, at);
        }
        let newest = packet.largest.is_none_or(|largest| packet.number > largest);
        if !newest {
            return;
        }
        // RFC 9000 §17.4: when a packet is received that increments the highest packet number seen
        // by the endpoint, a client sets the spin value to the inverse of the spin bit in it, a
        // server to the same.
        // RFC 9000 §17.4: When the spin bit is disabled, endpoints MAY set the spin bit to any
        // value and MUST ignore any incoming value.
        self.spin = self.spins && (packet.spin != (self.role == Role::Client));
        // RFC 9000 §9.3: An endpoint only changes the address to which it sends packets in response
        // to the highest-numbered non-probing packet.
        if !probing && packet.path != self.paths.active_id() && self.role == Role::Server {
            self.on_peer_migrated(cx, packet.path);
        }
    }

    /// A path that the peer has come up with.
    fn new_path(
        &mut self,
        cx: &mut Context<'_, E>,
        arrival: &Arrival,
        datagram_len: usize,
    ) -> Option<u8> {
        let recovery = self.new_path_recovery(cx, &arrival.addresses)?;
        let mut path = Path::new(arrival.addresses, recovery);
        path.on_received(datagram_len);
        // RFC 9000 §9.5: an endpoint MUST NOT reuse a connection ID when sending to more than one
        // destination address. Unless the peer gave no other.
        let cid = self.body.remote_cids.reserve_unused();
        path.cid = cid;
        // RFC 9000 §9: An endpoint MUST perform path validation (Section 8.2) if it detects any
        // change to a peer's address, unless it has previously validated that address. RFC 9000
        // §9.6.2: The server MUST probe on the path toward the client from its preferred address.
        path.challenge(cx.now, self.validation_patience());
        let Ok((id, evicted)) = self.paths.add(path, cx.flags) else {
            if let Some(sequence) = cid {
                self.body.remote_cids.release(sequence);
            }
            return None;
        };
        if let Some(evicted) = evicted {
            self.on_path_gone(&evicted);
        }
        self.set_path_timer();
        Some(id)
    }

    fn on_retry(
        &mut self,
        cx: &mut Context<'_, E>,
        packet: &UnverifiedRetry<'_>,
    ) -> Result<Fate, OpenError> {
        // RFC 9000 §17.2.5.2: A client MUST accept and process at most one Retry packet for each
        // connection attempt. After the client has received and processed an Initial or Retry
        // packet from the server, it MUST discard any subsequent Retry packets that it receives.
        let first = self.role == Role::Client && self.peer_cid().is_none();
        // Keys of Initial packets that have been discarded do not come back.
        let late = self.initial_discarded || self.negotiation.is_none();
        if !first || self.retry_source().is_some() || late {
            return Ok(Fate::Unopened);
        }
        let retry = packet
            .verify(
                cx.env.crypto(),
                self.version,
                &self.local_cid,
                &self.original_dcid,
            )
            .map_err(|_| Discard::CryptoFailed)?;
        let Some(retry) = retry else {
            return Ok(Fate::Unopened);
        };
        let mut token = KVec::new();
        if token.extend_from_slice(retry.token, cx.flags).is_err() {
            return Ok(Fate::Dropped);
        }
        // RFC 9001 §5.2: the client uses the Source Connection ID of the Retry packet to derive the
        // keys of later Initial packets.
        self.keys
            .set_initial(cx.env.crypto(), self.role, self.version, &retry.scid)
            .map_err(|_| Discard::CryptoFailed)?;
        // RFC 9000 §8.1.3: a token obtained in a Retry packet MUST be used immediately during the
        // connection attempt.
        // RFC 9000 §17.2.5.1: The client MUST use the value from the Source Connection ID field of
        // the Retry packet in the Destination Connection ID field of subsequent packets that it
        // sends. RFC 9000 §17.2.5.2: The client MUST NOT change the Source Connection ID.
        if let Some(negotiation) = &mut self.negotiation {
            negotiation.token = token;
            negotiation.retry_source = Some(retry.scid);
        }
        self.body.remote_cids.set_initial(retry.scid);
        self.restart_after_retry(cx);
        cx.env.event(Event::Retried);
        Ok(Fate::Processed)
    }

    fn on_version_negotiation(&mut self, cx: &mut Context<'_, E>, packet: &VersionNegotiation<'_>) {
        // RFC 9000 §6.2: A client MUST discard any Version Negotiation packet if it has received
        // and successfully processed any other packet.
        let first = self.role == Role::Client
            && self.peer_cid().is_none()
            && self.retry_source().is_none()
            && !self.heard;
        if !first || !packet.answers(&self.local_cid, &self.original_dcid) {
            return;
        }
        let answer =
            answer_negotiation_packet(self.versions(), self.config.version.wire(), packet.versions);
        // RFC 9000 §6.2: A client that supports only this version of QUIC MUST abandon the current
        // connection attempt if it receives a Version Negotiation packet. One of several may begin
        // another.
        match answer {
            NegotiationAnswer::Ignore => {}
            NegotiationAnswer::Abort => self.abandon(cx, CloseReason::VersionNegotiation(None)),
            NegotiationAnswer::Retry(version) => {
                self.abandon(cx, CloseReason::VersionNegotiation(Some(version)));
            }
        }
    }

    /// The first packet of a key phase arrived: what is on its way with the keys of the one before
    /// arrives within 3 PTO.
    #[cold]
    pub(super) fn on_key_phase(&mut self, cx: &mut Context<'_, E>) {
        let pto = self.pto();
        self.timers.set(Timer::KeyDiscard, cx.now + pto.times(3));
        if self.updates > 0 {
            cx.env.event(Event::KeyUpdated {
                phase: self.keys.phase(),
            });
        }
        self.updates = self.updates.saturating_add(1);
    }

    /// A rule was broken: the connection is closed and the peer told.
    pub(super) fn close_with(&mut self, cx: &mut Context<'_, E>, error: TransportError) {
        self.close_for(cx, CloseReason::Error(error));
    }
}
