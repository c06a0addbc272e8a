// SPDX-License-Identifier: GPL-2.0 OR MIT

//! [`Receiver`]: what was received in one packet number space, and when to acknowledge it (RFC 9000
//! §13.2).
//!
//! [`Receiver::on_packet_received`] takes every processed packet; [`Receiver::timing`] is asked
//! once after a batch of datagrams, so that 64 datagrams that arrive together cause one ACK frame.
//! Whoever then builds a packet takes the contents of the frame from [`Receiver::ranges`],
//! [`Receiver::ack_delay`] and [`Receiver::ecn_counts`], and says so with
//! [`Receiver::on_ack_sent`].
//!
//! An ACK frame repeats ranges until the peer has acknowledged one of our packets that carried
//! them. Following one such packet at a time is enough: it forgets what is older than a round trip
//! (RFC 9000 §13.2.4).

use crate::bytes::{Full, Writer};
use crate::ecn::EcnCodepoint;
use crate::frame::{emit_ack, AckFrequency, AckRange, EcnCounts};
use crate::packet::{PacketNumber, PacketNumberSpace};
use crate::received::ReceivedPackets;
use crate::time::{Duration, Instant};
use crate::varint::VarInt;
use kernel::alloc::Flags;

/// RFC 9000 §13.2.2: an ACK frame after at least two ack-eliciting packets, as TCP does; so one may
/// wait.
const DEFAULT_THRESHOLD: u64 = 1;

/// RFC 9000 §13.2.1: every packet out of order is acknowledged at once.
const DEFAULT_REORDERING: u64 = 1;

/// After so many ACK frames in packets that elicit no acknowledgment, one should carry a PING (RFC
/// 9000 §13.2.4).
const PING_INTERVAL: u8 = 32;

/// When an ACK frame is due.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub enum AckTiming {
    /// Nothing that needs one has arrived.
    None,
    /// At this time, unless a packet leaves before.
    At(Instant),
    /// Now.
    Now,
}

/// The receiving side of a packet number space.
#[derive(Debug)]
pub struct Receiver {
    received: ReceivedPackets,
    ecn: EcnCounts,
    /// The largest packet number received, and when.
    largest: Option<PacketNumber>,
    largest_time: Instant,
    /// draft-ietf-quic-ack-frequency §6.2, Largest Unacked: the largest of the ack-eliciting
    /// packets.
    largest_eliciting: Option<PacketNumber>,
    /// Largest Acked: of the last ACK frame sent.
    largest_acked: Option<PacketNumber>,
    /// A packet of ours that carried an ACK frame, and the largest packet number in that.
    followed: Option<(PacketNumber, PacketNumber)>,
    /// Ack-eliciting packets since the last ACK frame, and when the first of them came.
    unacked: u64,
    unacked_since: Instant,
    threshold: u64,
    reordering: u64,
    max_ack_delay: Duration,
    /// The next sequence number of an ACK_FREQUENCY frame that counts.
    frequency_sequence: u64,
    immediate: bool,
    last_was_ce: bool,
    /// ACK frames sent since the peer last acknowledged one.
    unanswered: u8,
}

impl Receiver {
    /// Nothing received yet. `max_ack_delay` is the promise of our transport parameter; it counts
    /// for application data only.
    pub const fn new(space: PacketNumberSpace, max_ack_delay: Duration) -> Self {
        // RFC 9000 §13.2.1: an endpoint MUST acknowledge all ack-eliciting Initial and Handshake
        // packets immediately.
        let (threshold, max_ack_delay) = match space {
            PacketNumberSpace::ApplicationData => (DEFAULT_THRESHOLD, max_ack_delay),
            PacketNumberSpace::Initial | PacketNumberSpace::Handshake => (0, Duration::ZERO),
        };
        Self {
            received: ReceivedPackets::new(),
            ecn: EcnCounts::ZERO,
            largest: None,
            largest_time: Instant::from_nanos(0),
            largest_eliciting: None,
            largest_acked: None,
            followed: None,
            unacked: 0,
            unacked_since: Instant::from_nanos(0),
            threshold,
            reordering: DEFAULT_REORDERING,
            max_ack_delay,
            frequency_sequence: 0,
            immediate: false,
            last_was_ce: false,
            unanswered: 0,
        }
    }

    /// Whether the packet was processed before, or is too old to know. Such a packet is dropped
    /// unseen.
    // RFC 9000 §12.3: A receiver MUST discard a newly unprotected packet unless it is certain that
    // it has not processed another packet with the same packet number from the same packet number
    // space.
    #[inline]
    pub fn is_duplicate(&self, pn: PacketNumber) -> bool {
        self.largest.is_some_and(|largest| pn <= largest) && self.received.contains(pn)
    }

    /// A packet was authenticated, is no duplicate, and all its frames were processed.
    #[inline(always)]
    pub fn on_packet_received(
        &mut self,
        pn: PacketNumber,
        ack_eliciting: bool,
        ecn: EcnCodepoint,
        now: Instant,
        flags: Flags,
    ) {
        if !self.received.insert(pn, flags) {
            return;
        }
        // RFC 9000 §13.4.1: Even if an endpoint does not set an ECT field in packets it sends, the
        // endpoint MUST provide feedback about ECN markings it receives.
        self.ecn.add(ecn);
        if self.largest.is_none_or(|largest| pn > largest) {
            self.largest = Some(pn);
            self.largest_time = now;
        }
        let newly_ce = ecn == EcnCodepoint::Ce && !(self.last_was_ce && self.threshold > 1);
        self.last_was_ce = ecn == EcnCodepoint::Ce;
        // RFC 9000 §13.2.1: MUST NOT send a non-ack-eliciting packet in response to a
        // non-ack-eliciting packet.
        if !ack_eliciting {
            return;
        }
        if self.unacked == 0 {
            self.unacked_since = now;
        }
        // It counts packets, of which there are at most 2^62.
        self.unacked = self.unacked.wrapping_add(1);
        let out_of_order = match self.largest_eliciting {
            // Most are the next one.
            Some(largest) if pn.get().wrapping_sub(largest.get()) == 1 => {
                self.reordering > DEFAULT_REORDERING && self.is_out_of_order(pn)
            }
            _ => self.is_out_of_order(pn),
        };
        self.largest_eliciting = self.largest_eliciting.max(Some(pn));
        // RFC 9000 §13.2.1: packets marked with the ECN Congestion Experienced (CE) codepoint in
        // the IP header SHOULD be acknowledged immediately; draft-ietf-quic-ack-frequency §6.3:
        // with a larger threshold the first of a row of them.
        self.immediate |= out_of_order || newly_ce;
    }

    /// Whether `pn`, ack-eliciting and just inserted, is so far out of order that the sender should
    /// know at once.
    #[cold]
    fn is_out_of_order(&self, pn: PacketNumber) -> bool {
        let Some(largest_eliciting) = self.largest_eliciting else {
            return false;
        };
        match self.reordering {
            0 => false,
            // RFC 9000 §13.2.1: a packet number less than another ack-eliciting packet that has
            // been received, or larger with missing packets between.
            DEFAULT_REORDERING => {
                pn < largest_eliciting
                    || (pn.get().wrapping_sub(largest_eliciting.get()) > 1
                        && self.received.first_missing(largest_eliciting, pn).is_some())
            }
            _ => self.is_outside_reordering_window(pn, largest_eliciting.max(pn)),
        }
    }

    /// draft-ietf-quic-ack-frequency §6.2, with the terms defined there.
    fn is_outside_reordering_window(
        &self,
        pn: PacketNumber,
        largest_unacked: PacketNumber,
    ) -> bool {
        let reported = match self.largest_acked {
            Some(largest_acked) => largest_acked.get().checked_sub(self.reordering),
            // Nothing is missing before the first packet that came.
            None => self
                .received
                .descending()
                .next_back()
                .and_then(|oldest| oldest.smallest.get().checked_sub(1)),
        };
        // The received packet number is less than or equal to `Largest Acked - Reordering
        // Threshold`.
        if self.largest_acked.is_some() && reported.is_some_and(|reported| pn.get() <= reported) {
            return true;
        }
        // The difference between the smallest Unreported Missing packet and the Largest Unacked is
        // at least the threshold.
        let unreported = reported.map_or(0, |reported| reported.saturating_add(1));
        let unreported = PacketNumber::saturating(unreported);
        match self.received.first_missing(unreported, largest_unacked) {
            Some(missing) => largest_unacked.get().saturating_sub(missing.get()) >= self.reordering,
            None => false,
        }
    }

    /// The peer sent an IMMEDIATE_ACK frame in a packet that was reported with
    /// [`Self::on_packet_received`].
    pub fn on_immediate_ack(&mut self) {
        self.immediate = true;
    }

    /// The peer sent an ACK_FREQUENCY frame, whose values were found valid when it was parsed.
    pub fn on_ack_frequency(&mut self, frame: &AckFrequency) {
        // draft-ietf-quic-ack-frequency §4: MUST ignore a frame unless its sequence number is
        // greater than the largest processed.
        if frame.sequence.get() < self.frequency_sequence {
            return;
        }
        self.frequency_sequence = frame.sequence.get().saturating_add(1);
        self.threshold = frame.ack_eliciting_threshold.get();
        self.max_ack_delay = Duration::from_micros(frame.requested_max_ack_delay.get());
        self.reordering = frame.reordering_threshold.get();
    }

    /// When to send an ACK frame. To be asked at the end of a received batch and when the time
    /// returned has come.
    pub fn timing(&self, now: Instant) -> AckTiming {
        if self.unacked == 0 {
            return AckTiming::None;
        }
        // RFC 9000 §13.2.1: ack-eliciting packets MUST be acknowledged at least once within the
        // maximum delay an endpoint communicated using the max_ack_delay transport parameter.
        let deadline = self.unacked_since + self.max_ack_delay;
        if self.immediate || self.unacked > self.threshold || now >= deadline {
            return AckTiming::Now;
        }
        AckTiming::At(deadline)
    }

    /// Whether a packet that leaves for another reason should carry an ACK frame.
    ///
    /// RFC 9000 §13.2.1: SHOULD send an ACK frame with other frames when there are new
    /// ack-eliciting packets to acknowledge.
    #[inline]
    pub const fn has_unacked(&self) -> bool {
        self.unacked > 0
    }

    /// The ranges of an ACK frame, from the highest down. Where room is short the last may be left
    /// out.
    pub fn ranges(
        &self,
    ) -> impl DoubleEndedIterator<Item = AckRange> + ExactSizeIterator + Clone + '_ {
        self.received.descending()
    }

    /// The ACK Delay field at `now`, in the unit of our own ack_delay_exponent.
    pub fn ack_delay(&self, now: Instant, own_ack_delay_exponent: u8) -> VarInt {
        // RFC 9000 §13.2.5: from the receipt of the largest packet number to now, also if above
        // max_ack_delay.
        // RFC 9000 §13.2.5: An endpoint MUST NOT include delays that it does not control when
        // populating the ACK Delay field in an ACK frame.
        let micros = now.since(self.largest_time).as_micros();
        let field = micros.checked_shr(u32::from(own_ack_delay_exponent));
        VarInt::saturating(field.unwrap_or(0))
    }

    /// The ECN counts of an ACK frame, if any mark has ever come.
    pub fn ecn_counts(&self) -> Option<EcnCounts> {
        Some(self.ecn).filter(EcnCounts::any)
    }

    /// Writes an ACK frame that leaves at `now`, with as many ranges as there is room for. Then call
    /// [`Self::on_ack_sent`].
    ///
    /// Fails without a word written if nothing has been received or there is no room for the first
    /// range.
    pub fn emit(
        &self,
        writer: &mut Writer<'_>,
        now: Instant,
        own_ack_delay_exponent: u8,
    ) -> Result<(), Full> {
        let delay = self.ack_delay(now, own_ack_delay_exponent);
        emit_ack(writer, delay, self.ecn_counts(), self.ranges()).map(|_| ())
    }

    /// An ACK frame left in packet `pn`, with the ranges from the highest down.
    pub fn on_ack_sent(&mut self, pn: PacketNumber, ack_eliciting: bool) {
        let Some(largest) = self.received.largest() else {
            return;
        };
        self.largest_acked = Some(largest);
        // RFC 9000 §13.2.1: an endpoint MUST NOT send more than one such packet in response to
        // receiving an ack-eliciting packet.
        self.unacked = 0;
        self.immediate = false;
        self.unanswered = self.unanswered.saturating_add(1);
        // The peer acknowledges only packets that elicit it.
        if ack_eliciting && self.followed.is_none() {
            self.followed = Some((pn, largest));
        }
    }

    /// The peer acknowledged our packet `pn`, which carried an ACK frame.
    pub fn on_ack_acked(&mut self, pn: PacketNumber) {
        self.unanswered = 0;
        // A later packet carried everything that the followed one did.
        if let Some((_, largest)) = self.followed.filter(|followed| followed.0 <= pn) {
            // RFC 9000 §13.2.4: stop acknowledging packets less than or equal to the Largest
            // Acknowledged of the sent frame, but RFC 9000 §13.2.3: SHOULD include an ACK Range
            // containing the largest received packet number in every ACK frame.
            self.received.forget_below(largest);
            self.followed = None;
        }
    }

    /// Our packet `pn` with an ACK frame was declared lost.
    pub fn on_ack_lost(&mut self, pn: PacketNumber) {
        if self.followed.is_some_and(|followed| followed.0 == pn) {
            self.followed = None;
        }
    }

    /// Whether the next ACK frame should have company that elicits an acknowledgment: nothing of
    /// ours has been acknowledged for long, and the ranges pile up.
    ///
    /// RFC 9000 §13.2.4: a receiver could send a PING occasionally; §13.2.1: an endpoint MUST NOT
    /// send an ack-eliciting frame in all packets that would otherwise be non-ack-eliciting.
    pub const fn wants_ping(&self) -> bool {
        self.unanswered >= PING_INTERVAL && self.followed.is_none() && self.received.len() > 1
    }

    /// The largest packet number received, from which later ones are decoded.
    // RFC 9000 §13.2.3: they MUST retain the largest packet number that has been successfully
    // processed.
    #[inline]
    pub const fn largest_received(&self) -> Option<PacketNumber> {
        self.largest
    }
}

/// The time that the ACK Delay field of the peer stands for.
#[inline]
pub fn decode_ack_delay(field: VarInt, peer_ack_delay_exponent: u8) -> Duration {
    // RFC 9000 §19.3: multiply by 2 to the power of the ack_delay_exponent sent by the sender of
    // the ACK frame.
    match 1_u64.checked_shl(u32::from(peer_ack_delay_exponent)) {
        Some(factor) => Duration::from_micros(field.get().saturating_mul(factor)),
        None => Duration::MAX,
    }
}

#[cfg(test)]
mod tests;
