// SPDX-License-Identifier: GPL-2.0 OR MIT

//! [`SentPackets`]: the packets sent in one packet number space, from the oldest that still matters to the newest.
//!
//! A ring with one slot a packet number, in memory that is reserved before a batch of packets is built. The packet number gives the
//! slot, so that an acknowledged range costs what it newly acknowledges: acknowledged slots remember how far down their neighbours are
//! acknowledged too, and the ranges that every ACK frame repeats are stepped over.
//!
//! ```text
//!      base           first_outstanding                    next
//!        |                   |                              |
//!   ---- L A A A A A A L A A O A A A O O S O O O O O O O O O ----
//!          +---------------+     lost, remembered for a while: L    acknowledged: A    outstanding: O
//!                                a number left out on purpose: S
//! ```
//!
//! What a packet contained is the caller's: `T` is a compact handle, at most 24 bytes for a record of 40. Most
//! packets carry one piece of one stream, which fits; rarer contents go into a table of the caller's and `T` is an index.

use crate::ranges::PnRange;
use crate::space::PacketNumber;
use crate::time::Instant;
use kernel::alloc::{AllocError, Flags, KVec};

/// The first ring of a space: an ordinary request, and 640 bytes.
const SMALLEST: usize = 16;

/// The most packets a ring can span: 1.5 GB of 1500-byte packets, 40 MiB of records. Beyond, sending waits.
const LARGEST: usize = 1 << 20;

/// A ring above this is given back when it runs empty; a smaller one stays until [`SentPackets::trim`].
const KEPT: usize = 256;

/// Properties of a sent packet.
#[derive(Copy, Clone, PartialEq, Eq, Debug, Default)]
pub struct SentFlags(pub(crate) u8);

impl SentFlags {
    /// Nothing special.
    pub const NONE: Self = Self(0);
    /// RFC 9002 §2: contains a frame other than ACK, PADDING and CONNECTION_CLOSE.
    pub const ACK_ELICITING: Self = Self(1);
    /// RFC 9002 §2: ack-eliciting or with PADDING; counts towards bytes in flight.
    pub const IN_FLIGHT: Self = Self(2);
    /// Its datagram was marked ECT(0).
    pub const ECT0: Self = Self(4);
    /// A PMTU probe: RFC 9000 §14.4, its loss is no sign of congestion.
    pub const MTU_PROBE: Self = Self(8);
    /// Carried an ACK frame; see [`crate::ack::Receiver::on_ack_acked`].
    pub const HAS_ACK: Self = Self(16);
    /// A 0-RTT packet, discarded if the server rejects them.
    pub const ZERO_RTT: Self = Self(32);

    /// Both.
    pub const fn with(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Whether all of `other` are set.
    pub const fn has(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }
}

#[derive(Copy, Clone, PartialEq, Eq, Debug, Default)]
enum State {
    /// Sent, and its fate unknown.
    Outstanding,
    /// Declared lost, remembered in case it was not.
    Lost,
    /// Never sent: an acknowledgment of it is a lie.
    #[default]
    Skipped,
    /// Sent, but neither acknowledged nor lost in a way that matters.
    Untracked,
}

/// What is remembered of a sent packet.
#[derive(Copy, Clone, Debug, Default)]
pub struct SentPacket<T> {
    /// When it was sent.
    pub time_sent: Instant,
    /// What was in it.
    pub content: T,
    /// In bytes, with QUIC's overhead and without that of UDP and IP.
    pub size: u16,
    /// The delivery snapshot it belongs to, which only its path knows.
    pub(crate) burst: u16,
    /// On which path it was sent.
    pub path: u8,
    /// Its properties.
    pub flags: SentFlags,
    state: State,
}

impl<T> SentPacket<T> {
    /// A packet of `size` bytes that leaves now.
    pub const fn new(
        time_sent: Instant,
        size: u16,
        path: u8,
        flags: SentFlags,
        content: T,
    ) -> Self {
        Self { time_sent, content, size, burst: 0, path, flags, state: State::Outstanding }
    }

    /// Whether it was declared lost before it was acknowledged.
    pub const fn is_lost(&self) -> bool {
        matches!(self.state, State::Lost)
    }

    /// Whether it elicits an acknowledgment.
    pub const fn is_ack_eliciting(&self) -> bool {
        self.flags.has(SentFlags::ACK_ELICITING)
    }

    /// Whether it counts, or counted, towards bytes in flight.
    pub const fn is_in_flight(&self) -> bool {
        self.flags.has(SentFlags::IN_FLIGHT)
    }
}

#[derive(Copy, Clone, Debug)]
enum Slot<T> {
    Packet(SentPacket<T>),
    /// Acknowledged, as is everything from `first` up to here.
    Acked {
        first: PacketNumber,
    },
}

/// A packet number was acknowledged that was never sent: PROTOCOL_VIOLATION (RFC 9000 §13.1, §21.4).
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub struct NeverSent;

/// What a search for lost packets comes across, in the order of packet numbers.
#[derive(Debug)]
pub enum Scanned<'a, T> {
    /// One or more acknowledged packets.
    Acked,
    /// An outstanding packet.
    Outstanding(PacketNumber, &'a SentPacket<T>),
}

/// The sent packets of a packet number space.
///
/// # Invariants
///
/// `slots` has a power of two of elements or none, all initialised. `base <= next`, and `next - base` is at most the number
/// of slots. Packet number `pn` in `base..next` is in slot `pn` modulo that number. No slot below `first_outstanding` is outstanding.
#[derive(Debug)]
pub struct SentPackets<T> {
    slots: KVec<Slot<T>>,
    base: PacketNumber,
    next: PacketNumber,
    first_outstanding: PacketNumber,
    last_skipped: Option<PacketNumber>,
}

impl<T: Copy + Default> SentPackets<T> {
    /// Nothing sent yet.
    pub const fn new() -> Self {
        Self { slots: KVec::new(), base: 0, next: 0, first_outstanding: 0, last_skipped: None }
    }

    /// The next packet number that [`Self::record`] takes, or any above.
    pub const fn next(&self) -> PacketNumber {
        self.next
    }

    /// Whether nothing is remembered.
    pub const fn is_empty(&self) -> bool {
        self.base == self.next
    }

    /// How many packet numbers the ring spans.
    pub const fn span(&self) -> u64 {
        self.next.saturating_sub(self.base)
    }

    /// The largest packet number that was left out.
    pub const fn last_skipped(&self) -> Option<PacketNumber> {
        self.last_skipped
    }

    /// Makes room for `additional` packet numbers. To be called before packets are built.
    pub fn reserve(&mut self, additional: usize, flags: Flags) -> Result<(), AllocError> {
        let span = usize::try_from(self.span()).map_err(|_| AllocError)?;
        let needed = span.checked_add(additional).ok_or(AllocError)?;
        if needed <= self.slots.len() {
            return Ok(());
        }
        if needed > LARGEST {
            return Err(AllocError);
        }
        let capacity = needed.max(SMALLEST).checked_next_power_of_two().ok_or(AllocError)?;
        let mut slots = KVec::from_elem(Slot::Packet(SentPacket::default()), capacity, flags)?;
        for pn in self.base..self.next {
            if let (Some(from), Some(to)) = (self.slot(pn), slot_mut(&mut slots, pn)) {
                *to = *from;
            }
        }
        self.slots = slots;
        Ok(())
    }

    /// Whether the packet with number `pn` can be the next to be recorded.
    pub fn has_room(&self, pn: PacketNumber) -> bool {
        let Some(span) = pn.checked_add(1).and_then(|after| after.checked_sub(self.base)) else {
            return false;
        };
        pn >= self.next && usize::try_from(span).is_ok_and(|span| span <= self.slots.len())
    }

    /// Remembers the packet with number `pn`, above all before. Numbers in between are left out on purpose.
    ///
    /// Fails without effect if no room was reserved.
    pub fn record(&mut self, pn: PacketNumber, packet: SentPacket<T>) -> Result<(), AllocError> {
        if !self.has_room(pn) {
            return Err(AllocError);
        }
        if pn > self.next {
            self.last_skipped = pn.checked_sub(1);
            for skipped in self.next..pn {
                if let Some(slot) = slot_mut(&mut self.slots, skipped) {
                    *slot = Slot::Packet(SentPacket::default());
                }
            }
        }
        let tracked = packet.flags.has(SentFlags::IN_FLIGHT);
        if let Some(slot) = slot_mut(&mut self.slots, pn) {
            let state = if tracked { State::Outstanding } else { State::Untracked };
            *slot = Slot::Packet(SentPacket { state, ..packet });
        }
        self.next = pn.saturating_add(1);
        if !tracked {
            self.forget_front(Instant::from_nanos(0), 0);
        }
        Ok(())
    }

    /// Acknowledges `range` of an ACK frame. `newly` sees each packet that was not acknowledged before, lost ones included, ascending
    /// between packets that already were.
    ///
    /// Costs the newly acknowledged packets and a few steps, if ACK frames arrive in order.
    pub fn acknowledge(
        &mut self,
        range: PnRange,
        mut newly: impl FnMut(PacketNumber, &SentPacket<T>),
    ) -> Result<(), NeverSent> {
        if range.end >= self.next {
            return Err(NeverSent);
        }
        let lowest = range.start.max(self.base);
        if range.end < lowest {
            return Ok(());
        }
        let mut first = range.end;
        let mut at = range.end;
        loop {
            first = match self.slot(at) {
                Some(Slot::Acked { first }) => *first,
                Some(Slot::Packet(_)) => self.acknowledge_down(lowest, at, &mut newly)?,
                None => break,
            };
            at = match first.checked_sub(1) {
                Some(below) if below >= lowest => below,
                _ => break,
            };
        }
        // Where the next ACK frame, which repeats this range with a higher end, steps over all of it.
        if let Some(Slot::Acked { first: further }) =
            first.checked_sub(1).and_then(|below| self.slot(below))
        {
            first = *further;
        }
        if let Some(slot) = slot_mut(&mut self.slots, range.end) {
            *slot = Slot::Acked { first };
        }
        Ok(())
    }

    /// Acknowledges the unacknowledged packets from `at` down to `lowest` or to one that is acknowledged; returns the lowest.
    #[inline]
    fn acknowledge_down(
        &mut self,
        lowest: PacketNumber,
        at: PacketNumber,
        newly: &mut impl FnMut(PacketNumber, &SentPacket<T>),
    ) -> Result<PacketNumber, NeverSent> {
        let mut first = at;
        loop {
            match self.slot(first) {
                Some(Slot::Packet(packet)) if packet.state == State::Skipped => {
                    return Err(NeverSent)
                }
                Some(Slot::Packet(_)) if first > lowest => first = first.saturating_sub(1),
                Some(Slot::Packet(_)) => break,
                Some(Slot::Acked { .. }) | None => {
                    first = first.saturating_add(1);
                    break;
                }
            }
        }
        for pn in first..=at {
            let Some(slot) = slot_mut(&mut self.slots, pn) else {
                break;
            };
            if let Slot::Packet(packet) = slot {
                if packet.state != State::Untracked {
                    newly(pn, packet);
                }
            }
            *slot = Slot::Acked { first };
        }
        Ok(first)
    }

    /// Looks for lost packets up to `largest_acked`. `is_lost` sees what is outstanding, ascending, until it calls one not
    /// lost: with the thresholds of RFC 9002 §6.1 no later one is.
    pub fn detect_lost(
        &mut self,
        largest_acked: PacketNumber,
        mut is_lost: impl FnMut(Scanned<'_, T>) -> bool,
    ) {
        let mut at = self.first_outstanding.max(self.base);
        while at < self.next && at <= largest_acked {
            match slot_mut(&mut self.slots, at) {
                Some(Slot::Packet(packet)) if packet.state == State::Outstanding => {
                    if !is_lost(Scanned::Outstanding(at, packet)) {
                        break;
                    }
                    packet.state = State::Lost;
                }
                Some(Slot::Acked { .. }) => {
                    is_lost(Scanned::Acked);
                }
                Some(Slot::Packet(_)) => {}
                None => break,
            }
            at = at.saturating_add(1);
        }
        self.first_outstanding = at;
    }

    /// The outstanding packets, oldest first: what a probe may send again.
    pub fn outstanding(&self) -> impl Iterator<Item = (PacketNumber, &SentPacket<T>)> {
        (self.first_outstanding.max(self.base)..self.next).filter_map(|pn| match self.slot(pn) {
            Some(Slot::Packet(packet)) if packet.state == State::Outstanding => Some((pn, packet)),
            _ => None,
        })
    }

    /// Forgets what is settled at the old end: acknowledged packets, and lost ones that were sent before `cutoff`.
    ///
    /// RFC 9000 §13.3: information about lost packets can be discarded after a time that adequately allows for reordering.
    pub fn forget(&mut self, cutoff: Instant, largest_acked: PacketNumber) {
        self.forget_front(cutoff, largest_acked);
        if self.is_empty() && self.slots.len() > KEPT {
            self.slots = KVec::new();
        }
    }

    fn forget_front(&mut self, cutoff: Instant, largest_acked: PacketNumber) {
        while self.base < self.next {
            let settled = match self.slot(self.base) {
                Some(Slot::Packet(packet)) => match packet.state {
                    State::Outstanding => false,
                    State::Lost => packet.time_sent < cutoff,
                    // Not before it could have been acknowledged together with its neighbours.
                    State::Skipped => self.base < largest_acked,
                    State::Untracked => true,
                },
                Some(Slot::Acked { .. }) | None => true,
            };
            if !settled {
                break;
            }
            self.base = self.base.saturating_add(1);
        }
    }

    /// Takes the outstanding packets for which `wanted` says so out of the books. They are neither acknowledged nor lost.
    pub fn discard(&mut self, mut wanted: impl FnMut(PacketNumber, &SentPacket<T>) -> bool) {
        for pn in self.first_outstanding.max(self.base)..self.next {
            if let Some(Slot::Packet(packet)) = slot_mut(&mut self.slots, pn) {
                if packet.state == State::Outstanding && wanted(pn, packet) {
                    packet.state = State::Untracked;
                }
            }
        }
        self.forget_front(Instant::from_nanos(0), 0);
    }

    /// Gives the memory back if nothing is remembered. For a connection that has become idle.
    pub fn trim(&mut self) {
        if self.is_empty() {
            self.slots = KVec::new();
        }
    }

    #[inline]
    fn slot(&self, pn: PacketNumber) -> Option<&Slot<T>> {
        if pn < self.base || pn >= self.next {
            return None;
        }
        let mask = self.slots.len().wrapping_sub(1);
        // Truncation does not matter: the mask is smaller still.
        self.slots.get(pn as usize & mask)
    }
}

impl<T: Copy + Default> Default for SentPackets<T> {
    fn default() -> Self {
        Self::new()
    }
}

#[inline]
fn slot_mut<T>(slots: &mut [Slot<T>], pn: PacketNumber) -> Option<&mut Slot<T>> {
    let mask = slots.len().wrapping_sub(1);
    slots.get_mut(pn as usize & mask)
}

#[cfg(test)]
#[path = "sent/tests.rs"]
mod tests;
