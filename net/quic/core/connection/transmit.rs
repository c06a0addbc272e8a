// SPDX-License-Identifier: GPL-2.0 OR MIT

//! Datagrams that go out: what is sent when, to where, and how much of it.
//!
//! ```text
//!  begin_batch() -> Batch: where to, which size, which mark
//!     fill() into memory of the caller, again and again: datagrams of that size, the last may be shorter
//!  end_batch()
//! ```
//!
//! A batch leaves with one call of the network stack (GSO), so its datagrams have one size. What is
//! decided once, is decided in [`Connection::begin_batch`]: the path, what congestion control, the
//! pacer and the anti-amplification limit permit, the ECN mark. [`Connection::fill`] builds a
//! datagram, of several packets during the handshake; [`build`](super::build) has the packets.

use super::close::State;
use super::timers::Timer;
use super::{Addresses, Connection, Context, Environment};
use crate::ack::AckTiming;
use crate::bytes::Writer;
use crate::ecn::EcnCodepoint;
use crate::loss::path::{SendAllowance, SendLimit};
use crate::packet::{PacketNumberSpace, PacketType, MIN_INITIAL_DATAGRAM};
use crate::role::Role;
use crate::stream::Tail;
use crate::time::Duration;

/// How many packets are remembered at a time: a batch of 64 KiB has up to 54 datagrams.
const RESERVED_PACKETS: usize = 64;

/// When to try again after there was no memory for a datagram.
const RETRY: Duration = Duration::from_millis(1);

/// The smallest room in a datagram that another packet is begun in.
const MIN_PACKET_ROOM: usize = 64;

/// A 1-RTT packet with a PATH_CHALLENGE and a PATH_RESPONSE frame, or CONNECTION_CLOSE without its
/// reason, has not more bytes than this.
const MIN_DATAGRAM: u64 = 64;

/// The packets of a datagram, in their order.
// RFC 9000 §12.2: Coalescing packets in order of increasing encryption levels […] makes it more
// likely that the receiver will be able to process all the packets in a single pass.
const ORDER: [PacketType; 4] = [
    PacketType::Initial,
    PacketType::ZeroRtt,
    PacketType::Handshake,
    PacketType::OneRtt,
];

/// Datagrams that leave together.
#[derive(Debug)]
pub struct Batch {
    /// Between which addresses.
    pub addresses: Addresses,
    /// With which mark.
    pub ecn: EcnCodepoint,
    /// How many bytes every datagram has, but the last one, which may have less.
    pub segment_size: usize,
    /// Whether the datagrams must not be fragmented nor split; always the case of QUIC, but that a
    /// search for larger datagrams sends some that may be too large for the interface.
    pub is_mtu_probe: bool,
    pub(super) kind: Kind,
    pub(super) path: u8,
    /// How many bytes more may be sent.
    pub(super) budget: u64,
    /// How many bytes more the peer may get before its address is validated.
    room: u64,
    /// How many datagrams more.
    left: usize,
    /// How many bytes were sent.
    sent: usize,
    /// The spaces of the packets.
    spaces: u8,
    limit: SendLimit,
}

/// What a batch is for.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub(super) enum Kind {
    /// Whatever there is.
    Data {
        /// Nothing but acknowledgments may be sent.
        ack_only: bool,
    },
    /// CONNECTION_CLOSE.
    Close,
    /// PATH_CHALLENGE and PATH_RESPONSE.
    Path,
    /// PADDING, to find out whether so much arrives.
    MtuProbe,
}

/// What a packet type has to send.
#[derive(Copy, Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) enum Want {
    /// Nothing.
    Nothing,
    /// An ACK frame.
    Ack,
    /// Anything else.
    Data,
}

impl<E: Environment> Connection<E> {
    /// The next datagrams to send, at most `max_datagrams`; `None` if there are none for now.
    ///
    /// To be called until there are none, or one is empty, after whatever may have changed that.
    pub fn begin_batch(&mut self, cx: &mut Context<'_, E>, max_datagrams: usize) -> Option<Batch> {
        match self.state {
            State::Open => {}
            State::Closing if self.closing.due => return self.close_batch(),
            // RFC 9000 §10.2.2: An endpoint MUST NOT send further packets.
            State::Closing | State::Draining | State::Closed => return None,
        }
        // RFC 9000 §8.2.2: An endpoint MUST NOT delay transmission of a packet containing a
        // PATH_RESPONSE frame unless constrained by congestion control.
        let probed = self
            .paths
            .iter()
            .find(|path| path.wants_to_probe() && path.amplification_room() >= MIN_DATAGRAM)
            .map(|path| path.id);
        if let Some(path) = probed.filter(|_| self.can_send(PacketType::OneRtt)) {
            return self.batch(Kind::Path, path, u64::MAX, 1);
        }
        self.prefer_fresh_keys(cx);
        self.data_batch(cx, max_datagrams)
    }

    /// CONNECTION_CLOSE, as far as the anti-amplification limit lets it pass.
    // RFC 9000 §10.2.1: An endpoint in the closing state MUST either discard packets received from
    // an unvalidated address or limit the cumulative size of packets it sends to an unvalidated
    // address to three times the size of packets it receives from that address.
    fn close_batch(&mut self) -> Option<Batch> {
        let room = self.paths.active()?.amplification_room();
        match room < MIN_DATAGRAM {
            true => None,
            false => self.batch(Kind::Close, self.paths.active_id(), u64::MAX, 1),
        }
    }

    fn data_batch(&mut self, cx: &mut Context<'_, E>, max_datagrams: usize) -> Option<Batch> {
        let path = self.paths.active_id();
        let wanted = ORDER
            .into_iter()
            .map(|packet_type| self.wants(packet_type, cx))
            .max()
            .unwrap_or(Want::Nothing);
        let probes = self.probes();
        let active = self.paths.active_mut()?;
        // A datagram must not be begun that cannot be finished.
        if active.amplification_room() < u64::from(crate::pmtud::BASE) {
            active.recovery.on_send_stopped(SendLimit::Other);
            return None;
        }
        let allowance = active.recovery.send_allowance(cx.now);
        if wanted != Want::Data {
            active.recovery.on_send_stopped(SendLimit::Application);
            return match wanted {
                Want::Ack => self.batch(Kind::Data { ack_only: true }, path, u64::MAX, 1),
                Want::Nothing | Want::Data => None,
            };
        }
        // RFC 9002 §7.5: Probe packets MUST NOT be blocked by the congestion controller.
        if probes > 0 {
            let budget =
                u64::from(active.recovery.max_datagram_size()).saturating_mul(u64::from(probes));
            return self.batch(
                Kind::Data { ack_only: false },
                path,
                budget,
                usize::from(probes).min(max_datagrams),
            );
        }
        let (budget, limit) = match allowance {
            SendAllowance::Bytes(bytes) => (bytes, SendLimit::Pacing),
            SendAllowance::Congested => (0, SendLimit::Congestion),
            SendAllowance::Paced(until) => {
                // RFC 9002 §7.7: packets containing only ACK frames SHOULD therefore not be paced
                // […] nor are those of the handshake, of which there are few.
                if self.confirmed {
                    self.timers.set(Timer::Pacing, until);
                    (0, SendLimit::Pacing)
                } else {
                    (active.recovery.congestion_room(), SendLimit::Congestion)
                }
            }
        };
        if budget == 0 {
            active.recovery.on_send_stopped(limit);
            return self
                .any_ack_due(cx)
                .then(|| self.batch(Kind::Data { ack_only: true }, path, u64::MAX, 1))
                .flatten();
        }
        if self.confirmed && active.validated {
            if let Some(size) = active.recovery.mtu_probe(cx.now) {
                let mut batch = self.batch(Kind::MtuProbe, path, u64::MAX, 1)?;
                batch.segment_size = usize::from(size);
                batch.is_mtu_probe = true;
                return Some(batch);
            }
        }
        let mut batch = self.batch(Kind::Data { ack_only: false }, path, budget, max_datagrams)?;
        batch.limit = limit;
        Some(batch)
    }

    fn batch(&mut self, kind: Kind, path: u8, budget: u64, datagrams: usize) -> Option<Batch> {
        let pto_count = self.recovery.pto_count();
        let path_state = self.paths.get_mut(path)?;
        let room = path_state.amplification_room();
        let size = match kind {
            Kind::Data { .. } | Kind::MtuProbe => path_state.recovery.mtu().for_probe(pto_count),
            Kind::Close | Kind::Path => crate::pmtud::BASE,
        };
        let room_size = usize::try_from(room).unwrap_or(usize::MAX);
        Some(Batch {
            addresses: path_state.addresses,
            ecn: path_state.recovery.ecn.codepoint(),
            segment_size: usize::from(size).min(room_size),
            is_mtu_probe: false,
            kind,
            path,
            budget: budget.min(room),
            room,
            left: datagrams,
            sent: 0,
            spaces: 0,
            limit: SendLimit::Other,
        })
    }

    /// Builds the next datagram of `batch` at the start of `out`, and returns how many bytes it
    /// has; `None` if the batch is complete. `out` has room for [`Batch::segment_size`] bytes.
    ///
    /// A datagram of less than the segment size is the last.
    pub fn fill(
        &mut self,
        cx: &mut Context<'_, E>,
        batch: &mut Batch,
        out: &mut [u8],
    ) -> Option<usize> {
        let room = out.get_mut(..batch.segment_size)?;
        let fits = batch.budget
            >= crate::offset::bytes(batch.segment_size.min(MIN_INITIAL_DATAGRAM))
            || batch.sent == 0;
        // RFC 9000 §8: an endpoint MUST limit the amount of data it sends to the unvalidated address
        // to three times the amount of data received from that address.
        let permitted = batch.room >= crate::offset::bytes(batch.segment_size);
        if batch.left == 0 || !fits || !permitted {
            return None;
        }
        let len = self.datagram(cx, batch, room);
        if len == 0 {
            if batch.kind != Kind::Close {
                batch.limit = SendLimit::Application;
            }
            batch.left = 0;
            return None;
        }
        batch.left = match len < batch.segment_size {
            true => 0,
            false => batch.left.saturating_sub(1),
        };
        batch.sent = batch.sent.saturating_add(len);
        batch.budget = batch.budget.saturating_sub(crate::offset::bytes(len));
        batch.room = batch.room.saturating_sub(crate::offset::bytes(len));
        self.stats.datagrams_sent = self.stats.datagrams_sent.saturating_add(1);
        self.stats.bytes_sent = self
            .stats
            .bytes_sent
            .saturating_add(crate::offset::bytes(len));
        Some(len)
    }

    /// The batch is complete, and leaves now. Returns whether there was anything in it: if not,
    /// what was to be sent waits for something, or there was no memory, and [`Self::timeout`] says
    /// when to try again.
    pub fn end_batch(&mut self, cx: &mut Context<'_, E>, batch: &Batch) -> bool {
        if batch.sent == 0 && self.is_starved(cx, batch.kind) {
            self.timers.set(Timer::Pacing, cx.now + RETRY);
        }
        self.settle_batch(cx, batch);
        batch.sent > 0
    }

    /// Whether an empty batch should not have been: data that waits for more, or for a limit, is
    /// not wanted any more once that has been noticed.
    fn is_starved(&self, cx: &Context<'_, E>, kind: Kind) -> bool {
        match kind {
            Kind::Close => false,
            Kind::Path | Kind::MtuProbe => true,
            Kind::Data { .. } => ORDER
                .into_iter()
                .any(|packet_type| self.wants(packet_type, cx) != Want::Nothing),
        }
    }

    fn settle_batch(&mut self, cx: &mut Context<'_, E>, batch: &Batch) {
        if let Some(path) = self.paths.get_mut(batch.path) {
            path.on_sent(batch.sent);
        }
        if batch.kind == Kind::Close {
            self.closing.due = false;
            return;
        }
        for space in [
            PacketNumberSpace::Initial,
            PacketNumberSpace::Handshake,
            PacketNumberSpace::ApplicationData,
        ] {
            if batch.spaces & space_bit(space) != 0 {
                self.recovery.on_batch_sent(space, cx.now, &mut self.paths);
            }
        }
        let used_handshake = batch.spaces & space_bit(PacketNumberSpace::Handshake) != 0;
        if used_handshake && self.role == Role::Client {
            // RFC 9001 §4.9.1: a client MUST discard Initial keys when it first sends a Handshake
            // packet.
            self.discard_keys(cx, PacketNumberSpace::Initial);
        }
        if matches!(batch.kind, Kind::Data { ack_only: false }) {
            let limit = match batch.limit {
                SendLimit::Pacing | SendLimit::Congestion if batch.left == 0 => SendLimit::Other,
                limit => limit,
            };
            if let Some(path) = self.paths.get_mut(batch.path) {
                path.recovery.on_send_stopped(limit);
            }
        }
        self.update_amplification(cx.now);
    }

    /// Builds a datagram in `out`; returns its length, 0 if there is nothing to send.
    fn datagram(&mut self, cx: &mut Context<'_, E>, batch: &mut Batch, out: &mut [u8]) -> usize {
        if self
            .body
            .contents
            .reserve(super::build::MAX_FRAMES, cx.flags)
            .is_err()
        {
            return 0;
        }
        let mut writer = Writer::new(out);
        let mut pad_to = match batch.kind {
            // RFC 9000 §8.2.1: An endpoint MUST expand datagrams that contain a PATH_CHALLENGE
            // frame to at least the smallest allowed maximum datagram size of 1200 bytes, unless
            // the anti-amplification limit for the path does not permit sending a datagram of this
            // size. §8.2.2: An endpoint MUST expand datagrams that contain a PATH_RESPONSE frame to
            // at least the smallest allowed maximum datagram size of 1200 bytes […] MUST NOT expand
            // the datagram containing the PATH_RESPONSE if the resulting data exceeds the
            // anti-amplification limit.
            Kind::Path if batch.budget >= crate::offset::bytes(MIN_INITIAL_DATAGRAM) => {
                MIN_INITIAL_DATAGRAM
            }
            Kind::MtuProbe => batch.segment_size,
            _ => 0,
        };
        let mut later = ORDER.as_slice();
        while let Some((&packet_type, rest)) = later.split_first() {
            later = rest;
            if self.wants_in(packet_type, cx, batch) == Want::Nothing {
                continue;
            }
            if writer.position() > 0 && writer.remaining() < MIN_PACKET_ROOM {
                break;
            }
            let space = packet_type.space();
            let reserve = match batch.sent == 0 {
                true => RESERVED_PACKETS,
                false => 1,
            };
            if self.recovery.reserve(space, reserve, cx.flags).is_err() {
                break;
            }
            // RFC 9000 §14.1: A client MUST expand the payload of all UDP datagrams carrying
            // Initial packets to at least the smallest allowed maximum datagram size of 1200 bytes
            // […] Similarly, a server MUST expand the payload of all UDP datagrams carrying
            // ack-eliciting Initial packets. An Initial packet that only acknowledges is expanded
            // as well, which does no harm.
            // CONNECTION_CLOSE elicits nothing, and goes without where there is no room.
            if packet_type == PacketType::Initial {
                // RFC 9000 §8.1: Clients MUST ensure that UDP datagrams containing Initial packets
                // have UDP payloads of at least 1200 bytes, adding PADDING frames as necessary. RFC
                // 9001 §9.3: First, the packet containing a ClientHello MUST be padded to a minimum
                // size.
                pad_to = MIN_INITIAL_DATAGRAM.min(batch.segment_size);
            }
            let is_last = later
                .iter()
                .all(|later| self.wants_in(*later, cx, batch) == Want::Nothing);
            let pad = match is_last {
                true => pad_to,
                false => 0,
            };
            if self.build(cx, &mut writer, packet_type, batch, pad) {
                batch.spaces |= space_bit(space);
            }
        }
        let len = writer.position();
        if len > 0 && len < pad_to {
            // What was to follow did not come about. A receiver drops what is no packet (RFC 9000
            // §12.2), and the datagram has its size.
            let _ = writer.fill(pad_to.saturating_sub(len), 0);
        }
        writer.position()
    }

    fn wants_in(&self, packet_type: PacketType, cx: &Context<'_, E>, batch: &Batch) -> Want {
        match batch.kind {
            Kind::Data { ack_only } => {
                let wanted = self.wants(packet_type, cx);
                match ack_only {
                    true => wanted.min(self.ack_wanted(packet_type, cx)),
                    false => wanted,
                }
            }
            Kind::Path | Kind::MtuProbe if packet_type == PacketType::OneRtt => Want::Data,
            Kind::Path | Kind::MtuProbe => Want::Nothing,
            // RFC 9000 §10.2.3: an endpoint SHOULD send a CONNECTION_CLOSE frame in both Handshake
            // and 1-RTT packets. A server SHOULD also send a CONNECTION_CLOSE frame in an Initial
            // packet. After the handshake is confirmed […] an endpoint MUST send any
            // CONNECTION_CLOSE frames in a 1-RTT packet. Then there are no other keys.
            Kind::Close if self.can_send(packet_type) => Want::Data,
            Kind::Close => Want::Nothing,
        }
    }

    /// Whether there are keys for packets of that type, or they need none.
    // RFC 9001 §4.9: Though an endpoint might retain older keys, new data MUST be sent at the
    // highest currently available encryption level. Keys of 0-RTT are not used beside those of
    // 1-RTT.
    pub(super) fn can_send(&self, packet_type: PacketType) -> bool {
        match packet_type {
            // RFC 9001 §5.6: A server MUST NOT use 0-RTT keys to protect packets. It has those to
            // receive.
            PacketType::ZeroRtt if self.role == Role::Server => false,
            PacketType::OneRtt if self.keys.unencrypted && self.complete => true,
            _ => self.keys.can_send(packet_type),
        }
    }

    /// What packets of that type have to carry.
    fn wants(&self, packet_type: PacketType, cx: &Context<'_, E>) -> Want {
        if !self.can_send(packet_type) {
            return Want::Nothing;
        }
        let space = self.body.space(packet_type.space());
        let data = match packet_type {
            PacketType::Initial | PacketType::Handshake => {
                space.crypto.has_data() || space.probes > 0
            }
            PacketType::ZeroRtt => self.has_application_data(),
            PacketType::OneRtt => {
                space.probes > 0
                    || space.crypto.has_data()
                    || self.body.handshake_done.is_due()
                    || self.body.new_token_delivery.is_due()
                    || self.body.ack_frequency.is_due()
                    || self.ping_due
                    || self.body.local_cids.has_pending()
                    || self.body.remote_cids.has_pending()
                    || self.has_application_data()
            }
        };
        match data {
            true => Want::Data,
            false => self.ack_wanted(packet_type, cx),
        }
    }

    fn has_application_data(&self) -> bool {
        self.body.streams.has_control()
            || self.body.streams.has_stream(self.tail())
            || !self.body.datagrams_out.is_empty()
    }

    /// Which data that does not fill a packet may be sent.
    pub(super) fn tail(&self) -> Tail {
        let in_flight = self
            .recovery
            .has_ack_eliciting_in_flight(PacketNumberSpace::ApplicationData);
        match self.config.nagle && in_flight {
            true => Tail::Held,
            false => Tail::Pushed,
        }
    }

    fn ack_wanted(&self, packet_type: PacketType, cx: &Context<'_, E>) -> Want {
        if packet_type == PacketType::ZeroRtt {
            return Want::Nothing;
        }
        match self.body.space(packet_type.space()).receiver.timing(cx.now) {
            AckTiming::Now => Want::Ack,
            AckTiming::None | AckTiming::At(_) => Want::Nothing,
        }
    }

    fn any_ack_due(&self, cx: &Context<'_, E>) -> bool {
        ORDER.into_iter().any(|packet_type| {
            self.can_send(packet_type) && self.ack_wanted(packet_type, cx) == Want::Ack
        })
    }

    /// How many probes are to be sent, whatever congestion control says.
    fn probes(&self) -> u8 {
        self.body
            .spaces
            .iter()
            .map(|space| space.probes)
            .fold(0, u8::saturating_add)
    }

    /// Begins a key update long before the limit of the cipher suite.
    fn prefer_fresh_keys(&mut self, cx: &mut Context<'_, E>) {
        if self.keys.wants_update(self.config.key_update_packets) {
            // If it is too early, it is tried again with the next batch.
            let _ = self.update_keys(cx);
        }
        if self.keys.is_exhausted() {
            self.close_with(
                cx,
                super::keys::limit_reached("no more packets with these keys"),
            );
        }
    }
}

const fn space_bit(space: PacketNumberSpace) -> u8 {
    match space {
        PacketNumberSpace::Initial => 1,
        PacketNumberSpace::Handshake => 2,
        PacketNumberSpace::ApplicationData => 4,
    }
}
