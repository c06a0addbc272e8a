// SPDX-License-Identifier: GPL-2.0 OR MIT

//! [`Recovery`]: loss detection of a connection, RFC 9002 §6 and its Appendix A.
//!
//! The functions are those of the appendix, and so is their order. Three packet number spaces are
//! kept here; round-trip time and congestion belong to paths ([`path::PathRecovery`]), which the
//! connection owns and lends as [`Paths`]. What packets contained is the connection's too: it hears
//! of acknowledged and lost packets through [`Fates`].
//!
//! # How a connection uses this
//!
//! It owns a [`Recovery`], a [`Receiver`](crate::ack::Receiver) for each packet number space, and a
//! [`PathRecovery`] for each path.
//!
//! **To send**, in the space that a packet belongs to:
//!
//! 1. [`PathRecovery::send_allowance`] tells how many bytes may leave now, or when. Packets with
//!    only an ACK frame and PTO probes do not ask; packets of the handshake ask only
//!    [`PathRecovery::congestion_room`], since they are not paced.
//! 2. [`Recovery::reserve`] makes room for the packets of the batch. Without memory none is built.
//! 3. For each packet [`Recovery::next_packet_number`], encoded by [`Recovery::largest_acked`];
//!    then its frames. An ACK frame goes along if the receiver
//!    [has something new](crate::ack::Receiver::has_unacked), and is reported to it with
//!    [`on_ack_sent`](crate::ack::Receiver::on_ack_sent). The datagram takes the mark of
//!    [`PathRecovery::ecn`]. Last [`Recovery::on_packet_sent`].
//! 4. [`Recovery::on_batch_sent`] for each space that has sent, which sets the timer.
//! 5. [`PathRecovery::on_send_stopped`] with the reason, also when nothing was sent.
//!
//! A PMTU probe is sent when the handshake is confirmed and [`PathRecovery::mtu_probe`] gives a
//! size: one packet of that size with a PING frame and [`SentFlags::MTU_PROBE`].
//!
//! **On an ACK frame** [`Recovery::on_ack_received`], with [`AckInfo::new`] and the ranges of the
//! frame. Its error closes the connection. The [`Fates`] are told while it runs: of a packet with
//! [`SentFlags::HAS_ACK`] the receiver of the space hears too
//! ([`on_ack_acked`](crate::ack::Receiver::on_ack_acked),
//! [`on_ack_lost`](crate::ack::Receiver::on_ack_lost)). If [`Outcome::mtu_changed`], datagrams have
//! another size from now on. Afterwards there may be room to send.
//!
//! **On a timeout**, when [`Recovery::loss_detection_timer`] has passed,
//! [`Recovery::on_loss_detection_timeout`]. [`Timeout::Lost`] leaves content to send again, as told
//! to the [`Fates`]. [`Timeout::Probe`] asks for datagrams whatever the window says: new content of
//! the space, else that of its [`Recovery::outstanding`] packets, else a PING; with packets of
//! other spaces that [have some in flight](Recovery::has_ack_eliciting_in_flight) in the same
//! datagrams; no larger than [`Pmtud::for_probe`](crate::pmtud::Pmtud::for_probe) says. The time of
//! [`AckTiming::At`](crate::ack::AckTiming::At) and of
//! [`SendAllowance::Paced`](path::SendAllowance::Paced) are timers of the connection's own.
//!
//! **When keys are discarded** [`Recovery::on_space_discarded`]; the receiver of the space goes as
//! well. After a Retry packet [`Recovery::on_retry`] and a new path; when 0-RTT is rejected
//! [`Recovery::on_zero_rtt_rejected`]. What else moves the handshake is told by
//! [`Recovery::set_has_handshake_keys`], [`Recovery::set_handshake_confirmed`] and
//! [`Recovery::set_amplification_limited`], each followed by
//! [`Recovery::set_loss_detection_timer`]; the peer's transport parameters by
//! [`Recovery::set_max_ack_delay`] and [`PathRecovery::set_max_udp_payload`].
//!
//! **On another path** a new [`PathRecovery`] under an index that no outstanding packet has, counted
//! up and wrapped for instance; [`Recovery::set_active_path`] once packets go there, then
//! [`Recovery::set_loss_detection_timer`]. The active path must exist. Where RFC 9000 §9.4 permits
//! to keep the state, since only the port has changed, nothing is to be done. The old path stays
//! until its packets are settled, or goes at once: what is outstanding on a path that is no more is
//! lost at the next search, and counts nowhere.
//!
//! **When idle** [`Recovery::trim`] and [`PathRecovery::trim`] give memory back.

mod acked;
pub mod path;
pub mod reordering;
mod search;
mod skip;

use crate::ack::decode_ack_delay;
use crate::ecn::EcnFeedback;
use crate::error::{TransportError, TransportErrorCode};
use crate::frame::{Ack, AckRange, EcnCounts, FrameType};
use crate::packet::{PacketNumber, PacketNumberSpace};
use crate::role::Role;
use crate::sent::{NeverSent, Scanned, SentFlags, SentPacket, SentPackets, Tally};
use crate::time::{Duration, Instant};
use acked::{AckedRun, LateArrivals};
use kernel::alloc::{AllocError, Flags, KBox};
use path::PathRecovery;
use search::LossSearch;
use skip::SkippedNumbers;

/// RFC 9002 §6.2.1 backs off without a limit but the idle timeout. Here 2^8 periods, and never more
/// than a minute: a path that comes back is then noticed within a minute, also where the idle
/// timeout is long or off.
const MAX_PTO_SHIFT: u8 = 8;
const MAX_PTO: Duration = Duration::from_secs(60);

/// RFC 9002 §6.2.4: MAY send up to two full-sized datagrams … so that the loss of one does not
/// cost another PTO.
const PTO_DATAGRAMS: u8 = 2;

/// The paths of a connection.
pub trait Paths {
    /// The path that packets were sent on with this index; `None` if it is no more.
    fn path(&mut self, index: u8) -> Option<&mut PathRecovery>;

    /// Calls `visit` for every path.
    fn for_each(&mut self, visit: impl FnMut(u8, &mut PathRecovery));
}

/// A single path, with index 0.
impl Paths for PathRecovery {
    #[inline]
    fn path(&mut self, index: u8) -> Option<&mut PathRecovery> {
        Some(self).filter(|_| index == 0)
    }

    fn for_each(&mut self, mut visit: impl FnMut(u8, &mut PathRecovery)) {
        visit(0, self);
    }
}

/// What becomes of sent packets.
pub trait Fates<T> {
    /// The packet arrived; [`SentPacket::is_lost`] if it had been declared lost before.
    fn on_acked(&mut self, space: PacketNumberSpace, pn: PacketNumber, packet: &SentPacket<T>);

    /// What the contents of the packets that arrived last may go on with: of what, and from where.
    ///
    /// The packets of bulk data each continue the one before. They are not reported one by one, but
    /// once with [`Self::set_continued`], unless they carried an ACK frame.
    fn continued(&self) -> (u64, u64) {
        (0, 0)
    }

    /// Whether `content` goes on at `end` with what `id` stands for: `end` moves then, and nothing
    /// else needs to be known of its packet.
    fn continues(id: u64, end: &mut u64, content: &T) -> bool {
        let _ = (id, end, content);
        false
    }

    /// The packets that arrived go on to `end`.
    fn set_continued(&mut self, end: u64) {
        let _ = end;
    }

    /// The packet was declared lost. What it contained may have to be sent again (RFC 9000 §13.3).
    fn on_lost(&mut self, space: PacketNumberSpace, pn: PacketNumber, packet: &SentPacket<T>);
}

/// The fields of an ACK frame besides its ranges.
#[derive(Copy, Clone, PartialEq, Eq, Debug, Default)]
pub struct AckInfo {
    /// The delay, by [`crate::ack::decode_ack_delay`].
    pub ack_delay: Duration,
    /// The ECN counts, if present.
    pub ecn: Option<EcnCounts>,
}

impl AckInfo {
    /// Of a frame whose sender encodes delays with `peer_ack_delay_exponent`.
    #[inline]
    pub fn new(frame: &Ack<'_>, peer_ack_delay_exponent: u8) -> Self {
        Self {
            ack_delay: decode_ack_delay(frame.delay, peer_ack_delay_exponent),
            ecn: frame.ecn,
        }
    }

    // RFC 9000 §13.1: SHOULD treat receipt of an acknowledgment for a packet it did not send as a
    // connection error of type PROTOCOL_VIOLATION.
    #[cold]
    fn never_sent(&self) -> TransportError {
        let frame = match self.ecn {
            Some(_) => FrameType::ACK_ECN,
            None => FrameType::ACK,
        };
        TransportError::new(
            TransportErrorCode::PROTOCOL_VIOLATION,
            frame.get(),
            "acknowledged packet was never sent",
        )
    }
}

/// What an ACK frame or a timeout changed.
#[derive(Copy, Clone, PartialEq, Eq, Debug, Default)]
pub struct Outcome {
    /// Some packet was newly acknowledged.
    pub newly_acked: bool,
    /// Some packet was declared lost.
    pub lost: bool,
    /// The maximum datagram size of some path changed.
    pub mtu_changed: bool,
    /// RFC 9002 §7.6: persistent congestion was established.
    pub persistent_congestion: bool,
}

/// What to do after [`Recovery::on_loss_detection_timeout`].
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub enum Timeout {
    /// The timer is set to a later time by now.
    Early,
    /// Packets may have been declared lost.
    Lost(Outcome),
    /// RFC 9002 §6.2.4: send ack-eliciting packets, in this space and in others with data in
    /// flight, whatever the congestion window says: new data, else old data, else a PING.
    Probe {
        /// The space whose timer expired.
        space: PacketNumberSpace,
        /// How many datagrams.
        datagrams: u8,
    },
}

/// A packet number space, with the variables of RFC 9002 §A.3.
#[derive(Debug)]
struct Space<T> {
    sent: SentPackets<T>,
    largest_acked: Option<PacketNumber>,
    loss_time: Option<Instant>,
    time_of_last_ack_eliciting: Instant,
    ack_eliciting_in_flight: u64,
    /// When the newest acknowledged packet was sent.
    newest_acked_sent: Option<Instant>,
    /// The counts of the last ACK frame that raised `largest_acked`, and the packets sent with
    /// ECT(0).
    ecn: EcnCounts,
    sent_ect0: u64,
    skipped: SkippedNumbers,
}

impl<T: Copy + Default> Space<T> {
    const fn new() -> Self {
        Self {
            sent: SentPackets::new(),
            largest_acked: None,
            loss_time: None,
            time_of_last_ack_eliciting: Instant::from_nanos(0),
            ack_eliciting_in_flight: 0,
            newest_acked_sent: None,
            ecn: EcnCounts::ZERO,
            sent_ect0: 0,
            skipped: SkippedNumbers::new(),
        }
    }
}

/// Loss detection of a connection.
#[derive(Debug)]
pub struct Recovery<T> {
    /// Those of Initial and Handshake packets, from the first that is sent until they are
    /// discarded.
    early: [Option<KBox<Space<T>>>; 2],
    application: Space<T>,
    /// Of the early spaces that were discarded: when the newest packet was sent that was
    /// acknowledged.
    newest_acked_early: Option<Instant>,
    role: Role,
    active_path: u8,
    pto_count: u8,
    handshake_confirmed: bool,
    has_handshake_keys: bool,
    has_handshake_ack: bool,
    amplification_limited: bool,
    max_ack_delay: Duration,
    timer: Option<Instant>,
}

impl<T: Copy + Default> Recovery<T> {
    /// A connection that has sent nothing.
    pub const fn new(role: Role) -> Self {
        Self {
            early: [None, None],
            application: Space::new(),
            newest_acked_early: None,
            role,
            active_path: 0,
            pto_count: 0,
            handshake_confirmed: false,
            has_handshake_keys: false,
            has_handshake_ack: false,
            amplification_limited: false,
            max_ack_delay: Duration::ZERO,
            timer: None,
        }
    }

    /// The peer's max_ack_delay. While an ACK_FREQUENCY frame is in flight, the largest of all that
    /// may be in force (draft-ietf-quic-ack-frequency §7).
    pub fn set_max_ack_delay(&mut self, max_ack_delay: Duration) {
        self.max_ack_delay = max_ack_delay;
    }

    /// Handshake keys are available.
    pub fn set_has_handshake_keys(&mut self) {
        self.has_handshake_keys = true;
    }

    /// The handshake is confirmed (RFC 9001 §4.1.2).
    pub fn set_handshake_confirmed(&mut self) {
        self.handshake_confirmed = true;
    }

    /// RFC 9002 §6.2.2.1: whether the server may send nothing until it receives something. After it
    /// received something, call [`Self::set_loss_detection_timer`]; the time may have passed
    /// already (§A.6).
    pub fn set_amplification_limited(&mut self, limited: bool) {
        self.amplification_limited = limited;
    }

    /// The path that new packets take; its round-trip time sets the PTO.
    pub fn set_active_path(&mut self, index: u8) {
        self.active_path = index;
    }

    /// How many PTOs have passed without an acknowledgment.
    pub const fn pto_count(&self) -> u8 {
        self.pto_count
    }

    /// The largest packet number of the space that the peer has acknowledged; it decides how packet
    /// numbers are encoded.
    #[inline]
    pub fn largest_acked(&self, space: PacketNumberSpace) -> Option<PacketNumber> {
        self.space(space)?.largest_acked
    }

    /// Whether ack-eliciting packets of the space are in flight.
    #[inline]
    pub fn has_ack_eliciting_in_flight(&self, space: PacketNumberSpace) -> bool {
        self.space(space)
            .is_some_and(|space| space.ack_eliciting_in_flight > 0)
    }

    /// The outstanding packets of a space, oldest first: what a probe may send again.
    pub fn outstanding(
        &self,
        space: PacketNumberSpace,
    ) -> impl Iterator<Item = (PacketNumber, &SentPacket<T>)> {
        let space = self.space(space).into_iter();
        space.flat_map(|space| space.sent.outstanding())
    }

    /// Makes room for `packets` more packets, which may then be sent without fail.
    pub fn reserve(
        &mut self,
        space: PacketNumberSpace,
        packets: usize,
        flags: Flags,
    ) -> Result<(), AllocError> {
        let space = match space {
            PacketNumberSpace::ApplicationData => &mut self.application,
            PacketNumberSpace::Initial | PacketNumberSpace::Handshake => {
                let [initial, handshake] = &mut self.early;
                let early = match space {
                    PacketNumberSpace::Initial => initial,
                    _ => handshake,
                };
                match early {
                    Some(early) => early,
                    None => early.insert(KBox::new(Space::new(), flags)?),
                }
            }
        };
        // One more, in case a number is left out.
        space.sent.reserve(packets.saturating_add(1), flags)
    }

    /// Whether there is room for another packet, and for a number that is left out before it.
    #[inline(always)]
    pub fn has_room(&self, space: PacketNumberSpace) -> bool {
        self.space(space)
            .is_some_and(|space| space.sent.has_room_for_next())
    }

    /// The number of the next packet of the space. `random` is asked now and then, to choose a
    /// number to leave out.
    ///
    /// `None` after the last: RFC 9000 §12.3, the connection MUST then be closed without sending a
    /// CONNECTION_CLOSE frame or any further packets.
    // RFC 9000 §12.3: Subsequent packets sent in the same packet number space MUST increase the
    // packet number by at least one. A QUIC endpoint MUST NOT reuse a packet number within the same
    // packet number space in one connection. RFC 9000 §17.2.3: New packet numbers MUST be used for
    // any new packets that are sent.
    #[inline]
    pub fn next_packet_number(
        &mut self,
        space: PacketNumberSpace,
        random: impl FnOnce() -> u64,
    ) -> Option<PacketNumber> {
        let Some(space) = self.space_mut(space) else {
            // None was sent.
            return Some(PacketNumber::ZERO);
        };
        let next = space.sent.next()?;
        if !space.skipped.contains(next) {
            return Some(next);
        }
        let next = next.next()?;
        space.skipped.draw(next, random());
        Some(next)
    }

    /// Begins to leave out packet numbers in a space.
    pub fn skip_packet_numbers(&mut self, space: PacketNumberSpace, random: u64) {
        if let Some(space) = self.space_mut(space) {
            if let Some(next) = space.sent.next() {
                space.skipped.draw(next, random);
            }
        }
    }

    /// OnPacketSent(), §A.5. Fails, without effect, only if no room was reserved.
    #[inline(always)]
    pub fn on_packet_sent(
        &mut self,
        space: PacketNumberSpace,
        pn: PacketNumber,
        mut packet: SentPacket<T>,
        paths: &mut impl Paths,
        flags: Flags,
    ) -> Result<(), AllocError> {
        let space = self
            .space_mut(space)
            .filter(|space| space.sent.has_room(pn))
            .ok_or(AllocError)?;
        if packet.flags().has(SentFlags::ECT0) {
            // It counts packets, as the next one does: fewer than there are packet numbers.
            space.sent_ect0 = space.sent_ect0.wrapping_add(1);
        }
        if packet.is_in_flight() {
            if packet.is_ack_eliciting() {
                space.time_of_last_ack_eliciting = packet.time_sent;
                space.ack_eliciting_in_flight = space.ack_eliciting_in_flight.wrapping_add(1);
            }
            // RFC 9000 §9.4: Packets sent on the old path MUST NOT contribute to congestion control
            // or RTT estimation for the new path.
            if let Some(path) = paths.path(packet.path()) {
                path.on_packet_sent(&mut packet, flags);
            }
        }
        space.sent.store(pn, &packet);
        Ok(())
    }

    /// A batch is complete: charges the pacer, except for handshake packets, and sets the timer.
    pub fn on_batch_sent(
        &mut self,
        space: PacketNumberSpace,
        now: Instant,
        paths: &mut impl Paths,
    ) {
        let paced = space == PacketNumberSpace::ApplicationData;
        paths.for_each(|_, path| path.on_batch_sent(now, paced));
        self.set_loss_detection_timer(now, paths);
    }

    /// OnAckReceived(), §A.7. `ranges` are those of the frame, descending.
    ///
    /// Fails with PROTOCOL_VIOLATION if a packet is acknowledged that was never sent; the connection
    /// is then closed.
    pub fn on_ack_received(
        &mut self,
        space: PacketNumberSpace,
        ack: &AckInfo,
        ranges: impl IntoIterator<Item = AckRange>,
        now: Instant,
        paths: &mut impl Paths,
        fates: &mut impl Fates<T>,
    ) -> Result<Outcome, TransportError> {
        let mut outcome = Outcome::default();
        let newly = self
            .acknowledge(space, ranges, now, paths, fates)
            .map_err(|NeverSent| ack.never_sent())?;
        let Some(newly) = newly else {
            return Ok(outcome);
        };
        outcome.newly_acked = true;
        let sample = self.update_rtt(space, ack, &newly, now, paths);
        self.process_ecn(space, ack, &newly, now, paths);
        self.detect_and_remove_lost_packets(space, now, paths, fates, &mut outcome);
        paths.for_each(|index, path| {
            let sample = sample.filter(|_| index == newly.largest_path);
            outcome.mtu_changed |= path.settle_acked(sample, now).is_some();
        });
        if space == PacketNumberSpace::Handshake {
            self.has_handshake_ack = true;
        }
        // RFC 9002 §6.2.1: the backoff is reset, unless the client is unsure if the server has
        // validated its address.
        if self.peer_completed_address_validation() {
            self.pto_count = 0;
        }
        self.forget(space, now, paths);
        self.set_loss_detection_timer(now, paths);
        Ok(outcome)
    }

    /// DetectAndRemoveAckedPackets(); `None` if nothing is newly acknowledged.
    ///
    /// Packets that differ in nothing that matters are counted together and settled with their path
    /// once.
    fn acknowledge<P: Paths, F: Fates<T>>(
        &mut self,
        space: PacketNumberSpace,
        ranges: impl IntoIterator<Item = AckRange>,
        now: Instant,
        paths: &mut P,
        fates: &mut F,
    ) -> Result<Option<NewlyAcked>, NeverSent> {
        let Some(Space {
            sent,
            largest_acked,
            ack_eliciting_in_flight,
            newest_acked_sent,
            ..
        }) = self.space_mut(space)
        else {
            return Err(NeverSent);
        };
        let mut ranges = ranges.into_iter();
        let Some(first) = ranges.next() else {
            return Ok(None);
        };
        let largest = first.largest;
        let before = *largest_acked;
        let mut newly = NewlyAcked {
            raised: before.is_none_or(|before| largest > before),
            ..NewlyAcked::default()
        };
        let mut settle = |run: &AckedRun, paths: &mut P| {
            if run.packets == 0 {
                return;
            }
            newly.any = true;
            if run.key().flags().has(SentFlags::ACK_ELICITING) {
                newly.ack_eliciting = true;
                *ack_eliciting_in_flight = ack_eliciting_in_flight.saturating_sub(run.packets);
            }
            if run.last == largest {
                newly.largest_sent = Some(run.newest_sent);
                newly.largest_path = run.key().path();
            }
            *newest_acked_sent = (*newest_acked_sent).max(Some(run.newest_sent));
            if let Some(path) = paths.path(run.key().path()) {
                path.on_run_acked(run, now);
            }
        };
        let mut late = LateArrivals::default();
        for range in core::iter::once(first).chain(ranges) {
            sent.acknowledge(range, |packets| {
                let mut run = AckedRun::EMPTY;
                let mut groups = packets.groups();
                while let Some((pn, packet)) = groups.first() {
                    if packet.is_lost() {
                        late.on_acked(pn, packet, before.unwrap_or(PacketNumber::ZERO), now, paths);
                    } else {
                        if !run.includes(packet) {
                            settle(&run, paths);
                            run = AckedRun::like(packet, paths);
                        }
                        let (id, mut end) = fates.continued();
                        let tally = groups
                            .count(run.alike(), |content| F::continues(id, &mut end, content));
                        if tally.packets > 0 {
                            run.add(&tally);
                            fates.set_continued(end);
                            continue;
                        }
                        run.add(&Tally::one(pn, packet));
                    }
                    fates.on_acked(space, pn, packet);
                    groups.pass(1);
                }
                settle(&run, paths);
            })?;
        }
        if late.any {
            newly.any = true;
            newly.ack_eliciting |= late.ack_eliciting;
            if let Some((path, time_sent)) = late.newest.filter(|_| late.largest == Some(largest)) {
                newly.largest_path = path;
                newly.largest_sent = Some(time_sent);
            }
        }
        *largest_acked = before.max(Some(largest));
        Ok(Some(newly).filter(|newly| newly.any))
    }

    /// RFC 9002 §5.1: a sample if the largest acknowledged packet is newly acknowledged, and some
    /// ack-eliciting packet is.
    fn update_rtt(
        &self,
        space: PacketNumberSpace,
        ack: &AckInfo,
        newly: &NewlyAcked,
        now: Instant,
        paths: &mut impl Paths,
    ) -> Option<Duration> {
        // RFC 9002 §5.1: An RTT sample MUST NOT be generated on receiving an ACK frame that does
        // not newly acknowledge at least one ack-eliciting packet.
        let latest = now.since(newly.largest_sent.filter(|_| newly.ack_eliciting)?);
        let path = paths.path(newly.largest_path)?;
        // RFC 9002 §5.3: MAY ignore the acknowledgment delay for Initial packets […] MUST use the
        // lesser of the acknowledgment delay and the peer's max_ack_delay after the handshake is
        // confirmed.
        let ack_delay = if space == PacketNumberSpace::Initial {
            Duration::ZERO
        } else {
            ack.ack_delay
        };
        let max_ack_delay = Some(self.max_ack_delay).filter(|_| self.handshake_confirmed);
        path.rtt.update(latest, ack_delay, max_ack_delay, now);
        Some(latest)
    }

    /// ProcessECN(), §B.7, with the validation of RFC 9000 §13.4.2.
    fn process_ecn(
        &mut self,
        space: PacketNumberSpace,
        ack: &AckInfo,
        newly: &NewlyAcked,
        now: Instant,
        paths: &mut impl Paths,
    ) {
        // RFC 9000 §13.4.2.1: An endpoint MUST NOT fail ECN validation as a result of processing an
        // ACK frame that does not increase the largest acknowledged packet number.
        if !newly.raised {
            return;
        }
        let Some(space) = self.space_mut(space) else {
            return;
        };
        // The counts are those of all paths together, so they are judged by the marked packets of
        // all.
        let mut newly_acked_ect0 = 0_u64;
        paths.for_each(|_, path| {
            newly_acked_ect0 = newly_acked_ect0.saturating_add(path.pending_ect0());
        });
        let feedback = EcnFeedback {
            newly_acked_ect0,
            counts: ack.ecn,
            previous: space.ecn,
            sent_ect0: space.sent_ect0,
        };
        paths.for_each(|index, path| {
            if index == newly.largest_path || path.pending_ect0() > 0 {
                let congested = path.ecn.on_ack(&feedback);
                if congested {
                    path.on_ce(now);
                }
            }
        });
        if let Some(counts) = ack.ecn {
            space.ecn = counts;
        }
    }

    /// DetectAndRemoveLostPackets(), §A.10, OnPacketsLost(), §B.8.
    // RFC 9002 §7.4: Endpoints MUST NOT ignore the loss of packets that were sent after the
    // earliest acknowledged packet in a given packet number space.
    fn detect_and_remove_lost_packets(
        &mut self,
        space: PacketNumberSpace,
        now: Instant,
        paths: &mut impl Paths,
        fates: &mut impl Fates<T>,
        outcome: &mut Outcome,
    ) {
        let mut search =
            LossSearch::new(self.newest_acked_elsewhere(space), self.max_ack_delay, now);
        let Some(Space {
            sent,
            largest_acked,
            loss_time,
            ack_eliciting_in_flight,
            ..
        }) = self.space_mut(space)
        else {
            return;
        };
        *loss_time = None;
        let Some(largest_acked) = *largest_acked else {
            return;
        };
        let skipped = sent.last_skipped();
        let mut contiguous = false;
        let mut any = false;
        sent.detect_lost(largest_acked, |scanned| {
            let Scanned::Outstanding(pn, packet) = scanned else {
                search.on_acked_between();
                contiguous = false;
                return false;
            };
            search.use_path(packet.path(), paths);
            // RFC 9002 §A.10: "assumes that there were no sender-induced gaps"; one lies between at
            // most.
            let gap =
                u64::from(skipped.is_some_and(|skipped| skipped > pn && skipped < largest_acked));
            let threshold = u64::from(search.packet_threshold).saturating_add(gap);
            let due = packet.time_sent + search.loss_delay;
            if largest_acked.get() < pn.get().saturating_add(threshold) && due > now {
                *loss_time = Some(due);
                return false;
            }
            if packet.is_ack_eliciting() {
                *ack_eliciting_in_flight = ack_eliciting_in_flight.saturating_sub(1);
            }
            search.on_lost(packet);
            if let Some(path) = paths.path(packet.path()) {
                path.on_packet_lost(packet, contiguous, now);
            }
            contiguous = true;
            any = true;
            fates.on_lost(space, pn, packet);
            true
        });
        if !any {
            return;
        }
        outcome.lost = true;
        outcome.persistent_congestion = search.persistent.is_some();
        paths.for_each(|index, path| {
            let size = path.settle_lost(search.persistent == Some(index), now);
            outcome.mtu_changed |= size.is_some();
        });
    }

    /// RFC 9000 §13.3: lost packets are remembered for a PTO after they could have been
    /// acknowledged.
    fn forget(&mut self, space: PacketNumberSpace, now: Instant, paths: &mut impl Paths) {
        let Some(path) = paths.path(self.active_path) else {
            return;
        };
        let cutoff = now - path.rtt.pto_base().times(2);
        if let Some(space) = self.space_mut(space) {
            space.sent.forget(cutoff);
        }
    }

    /// Sets the timer: SetLossDetectionTimer(), §A.8.
    pub fn set_loss_detection_timer(&mut self, now: Instant, paths: &mut impl Paths) {
        self.timer = self.next_timeout(now, paths);
    }

    fn next_timeout(&self, now: Instant, paths: &mut impl Paths) -> Option<Instant> {
        // RFC 9002 §6.2.1: the PTO timer MUST NOT be set if a timer is set for time threshold loss
        // detection.
        if let Some((loss_time, _)) = self.loss_time_and_space() {
            return Some(loss_time);
        }
        // RFC 9002 §6.2.2.1: If no additional data can be sent, the server's PTO timer MUST NOT be
        // armed until datagrams have been received from the client.
        if self.amplification_limited {
            return None;
        }
        self.pto_time_and_space(now, paths).map(|(time, _)| time)
    }

    /// When [`Self::on_loss_detection_timeout`] is to be called; `None` if nothing is to be waited
    /// for.
    pub const fn loss_detection_timer(&self) -> Option<Instant> {
        self.timer
    }

    /// OnLossDetectionTimeout(), §A.9.
    pub fn on_loss_detection_timeout(
        &mut self,
        now: Instant,
        paths: &mut impl Paths,
        fates: &mut impl Fates<T>,
    ) -> Timeout {
        if self.timer.is_none_or(|timer| now < timer) {
            return Timeout::Early;
        }
        if let Some((_, space)) = self.loss_time_and_space() {
            let mut outcome = Outcome::default();
            self.detect_and_remove_lost_packets(space, now, paths, fates, &mut outcome);
            paths.for_each(|_, path| {
                path.settle_acked(None, now);
            });
            self.set_loss_detection_timer(now, paths);
            return Timeout::Lost(outcome);
        }
        let Some((_, space)) = self.pto_time_and_space(now, paths) else {
            self.timer = None;
            return Timeout::Early;
        };
        // RFC 9002 §6.2.1: When a PTO timer expires, the PTO backoff MUST be increased; §6.2: A PTO
        // timer expiration event does not indicate packet loss and MUST NOT cause prior
        // unacknowledged packets to be marked as lost.
        self.pto_count = self.pto_count.saturating_add(1);
        self.set_loss_detection_timer(now, paths);
        Timeout::Probe {
            space,
            datagrams: PTO_DATAGRAMS,
        }
    }

    /// GetLossTimeAndSpace().
    fn loss_time_and_space(&self) -> Option<(Instant, PacketNumberSpace)> {
        PacketNumberSpace::ALL
            .into_iter()
            .filter_map(|space| Some((self.space(space)?.loss_time?, space)))
            .min_by_key(|(time, _)| *time)
    }

    /// GetPtoTimeAndSpace(); `None` if no PTO is to be set.
    fn pto_time_and_space(
        &self,
        now: Instant,
        paths: &mut impl Paths,
    ) -> Option<(Instant, PacketNumberSpace)> {
        let base = paths.path(self.active_path)?.rtt.pto_base();
        // RFC 9002 §6.2.1: When ack-eliciting packets in multiple packet number spaces are in
        // flight, the timer MUST be set to the earlier value of the Initial and Handshake packet
        // number spaces.
        let armed = PacketNumberSpace::ALL
            .into_iter()
            // RFC 9002 §6.2.1: An endpoint MUST NOT set its PTO timer for the Application Data
            // packet number space until the handshake is confirmed.
            .filter(|space| {
                *space != PacketNumberSpace::ApplicationData || self.handshake_confirmed
            })
            .filter_map(|space| Some((space, self.space(space)?)))
            .filter(|(_, state)| state.ack_eliciting_in_flight > 0)
            .map(|(space, state)| {
                // RFC 9002 §6.2.1: max_ack_delay is 0 for Initial and Handshake.
                let period = match space {
                    PacketNumberSpace::ApplicationData => base + self.max_ack_delay,
                    PacketNumberSpace::Initial | PacketNumberSpace::Handshake => base,
                };
                (
                    state.time_of_last_ack_eliciting + self.backed_off(period),
                    space,
                )
            })
            .min_by_key(|(time, _)| *time);
        if armed.is_some() {
            return armed;
        }
        if self.peer_completed_address_validation() {
            // Lost data of the handshake may have no place in the congestion window beside packets
            // of application data, for which there is no timer before the handshake is confirmed:
            // nothing would ever happen again. The data is sent as a probe.
            let application = self.space(PacketNumberSpace::ApplicationData)?;
            let unfinished = self.has_handshake_keys && !self.handshake_confirmed;
            let stuck = unfinished && application.ack_eliciting_in_flight > 0;
            let time = application.time_of_last_ack_eliciting + self.backed_off(base);
            return stuck.then_some((time, PacketNumberSpace::Handshake));
        }
        // RFC 9002 §6.2.2.1: the client MUST set the PTO timer if the client has not received an
        // acknowledgment for any of its Handshake packets and the handshake is not confirmed […]
        // even if there are no packets in flight: the server may be blocked by its
        // anti-amplification limit. 0-RTT packets in flight unblock it no more than none.
        // RFC 9000 §8.1: To prevent this deadlock, clients MUST send a packet on a Probe Timeout
        // […] the client MUST send an Initial packet in a UDP datagram that contains at least 1200
        // bytes if it does not have Handshake keys, and otherwise send a Handshake packet. RFC 9002
        // §6.2.2.1: When the PTO fires, the client MUST send a Handshake packet if it has Handshake
        // keys.
        let space = if self.has_handshake_keys {
            PacketNumberSpace::Handshake
        } else {
            PacketNumberSpace::Initial
        };
        Some((now + self.backed_off(base), space))
    }

    /// The period times 2 to the power of pto_count, within limits.
    fn backed_off(&self, period: Duration) -> Duration {
        let backed_off = period.shl(u32::from(self.pto_count.min(MAX_PTO_SHIFT)));
        backed_off.min(MAX_PTO).max(period)
    }

    /// The PTO period of application data without backoff: RFC 9000 uses it for closing, path
    /// validation and keys.
    pub fn pto(&self, paths: &mut impl Paths) -> Duration {
        match paths.path(self.active_path) {
            Some(path) => path.rtt.pto_base() + self.max_ack_delay,
            None => MAX_PTO,
        }
    }

    /// PeerCompletedAddressValidation().
    const fn peer_completed_address_validation(&self) -> bool {
        // Clients validate the server's address implicitly. Servers complete it when a protected
        // packet is received.
        matches!(self.role, Role::Server) || self.has_handshake_ack || self.handshake_confirmed
    }

    /// OnPacketNumberSpaceDiscarded(), §A.11, when the keys of Initial or Handshake are discarded.
    // RFC 9002 §6.2.2: When Initial or Handshake keys are discarded, the PTO and loss detection
    // timers MUST be reset. RFC 9002 §6.4: The sender MUST discard all recovery state associated
    // with those packets and MUST remove them from the count of bytes in flight.
    pub fn on_space_discarded(
        &mut self,
        space: PacketNumberSpace,
        now: Instant,
        paths: &mut impl Paths,
    ) {
        self.discard(space, paths, |_, _| true);
        let newest = self.space(space).and_then(|space| space.newest_acked_sent);
        self.newest_acked_early = self.newest_acked_early.max(newest);
        let [initial, handshake] = &mut self.early;
        match space {
            PacketNumberSpace::Initial => *initial = None,
            PacketNumberSpace::Handshake => *handshake = None,
            PacketNumberSpace::ApplicationData => self.application.sent.trim(),
        }
        self.pto_count = 0;
        self.set_loss_detection_timer(now, paths);
    }

    /// RFC 9002 §6.3: a Retry resets loss recovery. Everything outstanding is reported as lost, to
    /// be sent again, without any sign of congestion. The connection replaces the path by a new
    /// one; packet numbers go on (RFC 9000 §17.2.5.3).
    // RFC 9000 §17.2.5.3: A client MUST use the same cryptographic handshake message it included in
    // this packet. […] A client MUST NOT reset the packet number for any packet number space after
    // processing a Retry packet.
    pub fn on_retry(&mut self, now: Instant, paths: &mut impl Paths, fates: &mut impl Fates<T>) {
        for space in PacketNumberSpace::ALL {
            self.discard(space, paths, |pn, packet| {
                fates.on_lost(space, pn, packet);
                true
            });
        }
        self.pto_count = 0;
        self.set_loss_detection_timer(now, paths);
    }

    /// RFC 9002 §6.4: when 0-RTT is rejected, recovery state for all in-flight 0-RTT packets is
    /// discarded. They are reported as lost, to be sent again in 1-RTT packets.
    pub fn on_zero_rtt_rejected(
        &mut self,
        now: Instant,
        paths: &mut impl Paths,
        fates: &mut impl Fates<T>,
    ) {
        let space = PacketNumberSpace::ApplicationData;
        self.discard(space, paths, |pn, packet| {
            let zero_rtt = packet.flags().has(SentFlags::ZERO_RTT);
            if zero_rtt {
                fates.on_lost(space, pn, packet);
            }
            zero_rtt
        });
        self.set_loss_detection_timer(now, paths);
    }

    /// Takes packets out of the books and out of bytes in flight.
    fn discard(
        &mut self,
        space: PacketNumberSpace,
        paths: &mut impl Paths,
        mut wanted: impl FnMut(PacketNumber, &SentPacket<T>) -> bool,
    ) {
        let Some(space) = self.space_mut(space) else {
            return;
        };
        let mut eliciting = 0_u64;
        space.sent.discard(|pn, packet| {
            if !wanted(pn, packet) {
                return false;
            }
            eliciting = eliciting.saturating_add(u64::from(packet.is_ack_eliciting()));
            if let Some(path) = paths.path(packet.path()) {
                path.on_packet_discarded(packet);
            }
            true
        });
        space.ack_eliciting_in_flight = space.ack_eliciting_in_flight.saturating_sub(eliciting);
        if space.ack_eliciting_in_flight == 0 {
            space.loss_time = None;
        }
    }

    /// Gives memory back. For a connection that has become idle.
    pub fn trim(&mut self) {
        for space in self.early.iter_mut().flatten() {
            space.sent.trim();
        }
        self.application.sent.trim();
    }

    /// When the newest packet was sent that was acknowledged in another space.
    fn newest_acked_elsewhere(&self, space: PacketNumberSpace) -> Option<Instant> {
        PacketNumberSpace::ALL
            .into_iter()
            .filter(|other| *other != space)
            .filter_map(|other| self.space(other)?.newest_acked_sent)
            .max()
            .max(self.newest_acked_early)
    }

    /// A space; `None` if nothing was sent in it, or it is no more.
    #[inline]
    fn space(&self, space: PacketNumberSpace) -> Option<&Space<T>> {
        let [initial, handshake] = &self.early;
        match space {
            PacketNumberSpace::Initial => initial.as_deref(),
            PacketNumberSpace::Handshake => handshake.as_deref(),
            PacketNumberSpace::ApplicationData => Some(&self.application),
        }
    }

    /// A space; `None` if nothing was sent in it, or it is no more.
    #[inline]
    fn space_mut(&mut self, space: PacketNumberSpace) -> Option<&mut Space<T>> {
        let [initial, handshake] = &mut self.early;
        match space {
            PacketNumberSpace::Initial => initial.as_deref_mut(),
            PacketNumberSpace::Handshake => handshake.as_deref_mut(),
            PacketNumberSpace::ApplicationData => Some(&mut self.application),
        }
    }
}

/// What an ACK frame newly acknowledged.
#[derive(Default)]
struct NewlyAcked {
    any: bool,
    /// The frame raised the largest acknowledged packet number.
    raised: bool,
    ack_eliciting: bool,
    /// When the largest acknowledged packet was sent, if that is newly acknowledged; and where.
    largest_sent: Option<Instant>,
    largest_path: u8,
}

#[cfg(test)]
mod tests;
