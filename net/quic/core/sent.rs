// SPDX-License-Identifier: GPL-2.0 OR MIT

//! [`SentPackets`]: the packets sent in one packet number space, from the oldest that still matters
//! to the newest.
//!
//! A ring with one slot a packet number, in memory that is reserved before a batch of packets
//! is built. The packet number gives the slot, so that an acknowledged range costs what it newly
//! acknowledges: acknowledged slots remember how far down their neighbours are acknowledged too,
//! and the ranges that every ACK frame repeats are stepped over.
//!
//! ```text
//!      base           first_outstanding                    next
//!        |                   |                              |
//!   ---- L A A A A A A L A A O A A A O O S O O O O O O O O O ----
//!          +---------------+     lost, remembered for a while: L    acknowledged: A    outstanding: O
//!                                a number left out on purpose: S
//! ```
//!
//! What a packet contained is the caller's: `T` is a compact handle, at most 24 bytes for a record
//! of 40. Most packets carry one piece of one stream, which fits; rarer contents go into a table of
//! the caller's and `T` is an index.

mod packet;
mod ring;

pub(crate) use packet::Key;
pub use packet::{SentFlags, SentPacket};

use crate::frame::AckRange;
use crate::packet::PacketNumber;
use crate::time::Instant;
use kernel::alloc::{AllocError, Flags};
use packet::State;
use ring::{Ring, Slots};

/// A ring with more chunks of 25 packets than this is given back when it runs empty; a smaller one,
/// of 8 kB, stays until [`SentPackets::trim`].
const KEPT_CHUNKS: usize = 8;

/// After so many steps down from the end of an acknowledged range they are made one. Else a peer
/// that acknowledges every second packet, then those between, then the same ranges with other ends,
/// some hundred in a packet, would have us walk over all that was ever in flight for each of them.
const MAX_STEPS: usize = 8;

#[derive(Copy, Clone, Debug)]
enum Slot<T> {
    Packet(SentPacket<T>),
    /// Acknowledged, as is everything from `first` up to here.
    Acked {
        first: u64,
    },
}

impl<T> Slot<T> {
    /// The packet, if its fate matters and it is not acknowledged.
    #[inline]
    fn tracked(&self) -> Option<&SentPacket<T>> {
        match self {
            Self::Packet(packet) if packet.state != State::Untracked => Some(packet),
            _ => None,
        }
    }

    fn is(&self, state: State) -> bool {
        matches!(self, Self::Packet(packet) if packet.state == state)
    }
}

/// Packets in a row that are newly acknowledged, ascending.
#[derive(Clone, Debug)]
pub struct Run<'a, T> {
    next: u64,
    slots: Slots<'a, Slot<T>>,
}

/// The packets of a [`Run`], to be counted many at a time.
pub(crate) struct Groups<'a, T> {
    next: u64,
    slots: Slots<'a, Slot<T>>,
    chunk: &'a [Slot<T>],
}

/// What packets have in common that are counted together.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub(crate) struct Alike {
    /// Path, flags and burst, by [`Key::for_path`].
    pub(crate) key: Key,
    /// They were sent at this time or later, or else all before.
    pub(crate) since: Instant,
    pub(crate) is_later: bool,
}

/// A count of packets.
#[derive(Copy, Clone, Debug)]
pub(crate) struct Tally {
    pub(crate) packets: u64,
    pub(crate) bytes: u64,
    pub(crate) largest_size: u16,
    /// The largest packet number, and when that packet was sent.
    pub(crate) last: PacketNumber,
    pub(crate) newest_sent: Instant,
}

impl Alike {
    #[inline]
    pub(crate) fn includes<T>(&self, packet: &SentPacket<T>) -> bool {
        self.key == packet.key().for_path() && self.is_later == (packet.time_sent >= self.since)
    }
}

impl<'a, T: Copy> Run<'a, T> {
    /// The same packets, to be counted.
    pub(crate) fn groups(&self) -> Groups<'a, T> {
        Groups {
            next: self.next,
            slots: self.slots.clone(),
            chunk: &[],
        }
    }
}

impl<'a, T: Copy> Groups<'a, T> {
    /// The next packet; it stays where it is.
    #[inline]
    pub(crate) fn first(&mut self) -> Option<(PacketNumber, &'a SentPacket<T>)> {
        loop {
            let Some(slot) = self.chunk.first() else {
                self.chunk = self.slots.next_slots()?.as_slice();
                continue;
            };
            if let Some(packet) = slot.tracked() {
                return Some((PacketNumber::counted(self.next), packet));
            }
            self.pass(1);
        }
    }

    /// Passes over `slots` packets.
    #[inline]
    pub(crate) fn pass(&mut self, slots: usize) {
        self.chunk = self.chunk.get(slots..).unwrap_or_default();
        self.next = self.next.wrapping_add(slots as u64);
    }

    /// Counts the packets from the next one on that are outstanding, `alike` and `wanted`, and have
    /// no other flags than the path knows of; as far as they are in one piece of memory. It passes
    /// over them.
    #[inline(always)]
    pub(crate) fn count(&mut self, alike: Alike, mut wanted: impl FnMut(&T) -> bool) -> Tally {
        // Packets are sent one after the other: those after a later one are later.
        match alike.is_later {
            true => self.count_if(alike.key, |packet| wanted(&packet.content)),
            false => self.count_if(alike.key, |packet| {
                packet.time_sent < alike.since && wanted(&packet.content)
            }),
        }
    }

    #[inline(always)]
    fn count_if(&mut self, key: Key, mut wanted: impl FnMut(&SentPacket<T>) -> bool) -> Tally {
        let mut slots = 0_usize;
        let mut bytes = 0_u64;
        let mut largest_size = 0_u32;
        for slot in self.chunk {
            let Slot::Packet(packet) = slot else { break };
            if packet.state != State::Outstanding || packet.key() != key || !wanted(packet) {
                break;
            }
            slots = slots.wrapping_add(1);
            bytes = bytes.wrapping_add(u64::from(packet.size));
            largest_size = largest_size.max(u32::from(packet.size));
        }
        let last = slots
            .checked_sub(1)
            .and_then(|last| self.chunk.get(last))
            .and_then(Slot::tracked);
        self.pass(slots);
        Tally {
            packets: slots as u64,
            bytes,
            // Nothing is cut off: all of them were 16 bits.
            largest_size: largest_size as u16,
            last: PacketNumber::counted(self.next.wrapping_sub(1)),
            newest_sent: last.map_or(Instant::from_nanos(0), |last| last.time_sent),
        }
    }
}

impl Tally {
    /// Of one packet.
    pub(crate) fn one<T>(pn: PacketNumber, packet: &SentPacket<T>) -> Self {
        Self {
            packets: 1,
            bytes: u64::from(packet.size),
            largest_size: packet.size,
            last: pn,
            newest_sent: packet.time_sent,
        }
    }
}

impl<'a, T: Copy> Iterator for Run<'a, T> {
    type Item = (PacketNumber, &'a SentPacket<T>);

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let slot = self.slots.next()?;
            let pn = self.next;
            self.next = pn.wrapping_add(1);
            if let Some(packet) = slot.tracked() {
                return Some((PacketNumber::counted(pn), packet));
            }
        }
    }

    #[inline]
    fn fold<B, F: FnMut(B, Self::Item) -> B>(self, init: B, mut f: F) -> B {
        let mut next = self.next;
        self.slots.fold(init, |result, slot| {
            let pn = next;
            next = pn.wrapping_add(1);
            match slot.tracked() {
                Some(packet) => f(result, (PacketNumber::counted(pn), packet)),
                None => result,
            }
        })
    }
}

/// A packet number was acknowledged that was never sent: PROTOCOL_VIOLATION (RFC 9000 §13.1,
/// §21.4).
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
/// `base <= next <= slots.end()`, and the packet numbers `base..next` have slots. No slot below
/// `first_outstanding` is outstanding, and none from `acked_end` on is acknowledged. `lost` slots
/// are remembered as lost.
#[derive(Debug)]
pub struct SentPackets<T> {
    slots: Ring<Slot<T>>,
    base: u64,
    next: u64,
    first_outstanding: u64,
    acked_end: u64,
    last_skipped: Option<PacketNumber>,
    lost: u64,
}

impl<T: Copy + Default> SentPackets<T> {
    /// Nothing sent yet.
    pub const fn new() -> Self {
        Self {
            slots: Ring::new(),
            base: 0,
            next: 0,
            first_outstanding: 0,
            acked_end: 0,
            last_skipped: None,
            lost: 0,
        }
    }

    /// The next packet number that [`Self::record`] takes, or any above; `None` after the last.
    #[inline]
    pub const fn next(&self) -> Option<PacketNumber> {
        PacketNumber::new(self.next)
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
        let end = self.next.saturating_add(additional as u64);
        self.slots
            .reserve(self.base, end, Slot::Packet(SentPacket::default()), flags)
    }

    /// Whether the packet with number `pn` can be the next to be recorded.
    #[inline]
    pub fn has_room(&self, pn: PacketNumber) -> bool {
        pn.get() >= self.next && pn.get() < self.slots.end()
    }

    /// Whether there is room for the next packet, and one number left out before it.
    #[inline]
    pub fn has_room_for_next(&self) -> bool {
        self.next.saturating_add(1) < self.slots.end()
    }

    /// Remembers the packet with number `pn`, above all before. Numbers in between are left out on
    /// purpose.
    ///
    /// Fails without effect if no room was reserved.
    #[inline(always)]
    pub fn record(&mut self, pn: PacketNumber, packet: &SentPacket<T>) -> Result<(), AllocError> {
        if !self.has_room(pn) {
            return Err(AllocError);
        }
        self.store(pn, packet);
        Ok(())
    }

    /// As [`Self::record`], after [`Self::has_room`].
    #[inline(always)]
    pub(crate) fn store(&mut self, pn: PacketNumber, packet: &SentPacket<T>) {
        let number = pn.get();
        if number > self.next {
            self.skip_to(number);
        }
        let tracked = packet.flags().has(SentFlags::IN_FLIGHT);
        if let Some(slot) = self.slots.get_mut(number) {
            let state = if tracked {
                State::Outstanding
            } else {
                State::Untracked
            };
            *slot = Slot::Packet(packet.with_state(state));
        }
        // A packet number is below 2^62.
        self.next = number.wrapping_add(1);
        if !tracked {
            self.forget_front(Instant::from_nanos(0));
        }
    }

    #[cold]
    fn skip_to(&mut self, number: u64) {
        self.last_skipped = number.checked_sub(1).map(PacketNumber::saturating);
        for skipped in self.next..number {
            if let Some(slot) = self.slots.get_mut(skipped) {
                *slot = Slot::Packet(SentPacket::default());
            }
        }
    }

    /// Acknowledges `range` of an ACK frame. `newly` sees the packets that were not acknowledged
    /// before, lost ones included, in runs between packets that already were.
    ///
    /// Costs the newly acknowledged packets and a few steps, if ACK frames arrive in order. After
    /// an error the connection is closed, and what was acknowledged is undefined.
    pub fn acknowledge(
        &mut self,
        range: AckRange,
        mut newly: impl FnMut(Run<'_, T>),
    ) -> Result<(), NeverSent> {
        let (smallest, largest) = (range.smallest.get(), range.largest.get());
        if largest >= self.next {
            return Err(NeverSent);
        }
        let lowest = smallest.max(self.base);
        if largest < lowest {
            return Ok(());
        }
        let mut first = largest.saturating_add(1);
        let mut steps = 0_usize;
        if largest >= self.acked_end {
            // Most frames: everything above what was acknowledged before is new.
            first = lowest.max(self.acked_end);
            self.acknowledge_run(first, largest, &mut newly)?;
            self.acked_end = largest.saturating_add(1);
        }
        while let Some(at) = first.checked_sub(1).filter(|below| *below >= lowest) {
            steps = steps.wrapping_add(1);
            first = match self.slot(at) {
                Some(Slot::Acked { first }) => *first,
                Some(Slot::Packet(_)) => {
                    let first = self.run_start(lowest, at);
                    self.acknowledge_run(first, at, &mut newly)?;
                    first
                }
                None => break,
            };
        }
        // Where the next ACK frame, which repeats this range with a higher end, steps over all of
        // it.
        if let Some(Slot::Acked { first: further }) =
            first.checked_sub(1).and_then(|below| self.slot(below))
        {
            first = *further;
        }
        if steps > MAX_STEPS {
            self.shorten(lowest, largest, first);
        }
        if let Some(slot) = self.slots.get_mut(largest) {
            *slot = Slot::Acked { first };
        }
        Ok(())
    }

    /// Everything from `first` to `largest` is acknowledged: whoever comes to one of the slots that
    /// lead down from there to `lowest` shall get to `first` at once.
    #[cold]
    fn shorten(&mut self, lowest: u64, largest: u64, first: u64) {
        let mut at = largest;
        while at >= lowest && at > first {
            let Some(Slot::Acked { first: step }) = self.slots.get_mut(at) else {
                return;
            };
            let Some(below) = core::mem::replace(step, first).checked_sub(1) else {
                return;
            };
            at = below;
        }
    }

    /// The lowest packet number, not below `lowest`, from which on nothing up to `at` is
    /// acknowledged.
    fn run_start(&self, lowest: u64, at: u64) -> u64 {
        let mut first = at;
        while let Some(below) = first.checked_sub(1).filter(|below| *below >= lowest) {
            match self.slot(below) {
                Some(Slot::Packet(_)) => first = below,
                Some(Slot::Acked { .. }) | None => break,
            }
        }
        first
    }

    /// Acknowledges the packets from `first` to `last`, none of which was.
    #[inline]
    fn acknowledge_run(
        &mut self,
        first: u64,
        last: u64,
        newly: &mut impl FnMut(Run<'_, T>),
    ) -> Result<(), NeverSent> {
        if (first..=last).contains(&self.first_outstanding) {
            self.first_outstanding = last.saturating_add(1);
        }
        let slots = self.slots.slots(first, last);
        if self.has_trap() && slots.clone().any(|slot| slot.is(State::Skipped)) {
            return Err(NeverSent);
        }
        if self.lost > 0 {
            for slot in slots.clone() {
                self.lost = self.lost.saturating_sub(u64::from(slot.is(State::Lost)));
            }
        }
        newly(Run { next: first, slots });
        self.slots.fill(first, last, Slot::Acked { first });
        Ok(())
    }

    /// Whether some number that was left out has not been forgotten.
    fn has_trap(&self) -> bool {
        self.last_skipped
            .is_some_and(|skipped| skipped.get() >= self.base)
    }

    /// Looks for lost packets up to `largest_acked`. `is_lost` sees what is outstanding, ascending,
    /// until it calls one not lost: with the thresholds of RFC 9002 §6.1 no later one is.
    pub fn detect_lost(
        &mut self,
        largest_acked: PacketNumber,
        mut is_lost: impl FnMut(Scanned<'_, T>) -> bool,
    ) {
        let mut at = self.first_outstanding.max(self.base);
        while at < self.next && at <= largest_acked.get() {
            match self.slots.get_mut(at) {
                Some(Slot::Packet(packet)) if packet.state == State::Outstanding => {
                    if !is_lost(Scanned::Outstanding(PacketNumber::saturating(at), packet)) {
                        break;
                    }
                    packet.state = State::Lost;
                    self.lost = self.lost.saturating_add(1);
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
            Some(Slot::Packet(packet)) if packet.state == State::Outstanding => {
                Some((PacketNumber::saturating(pn), packet))
            }
            _ => None,
        })
    }

    /// Forgets what is settled at the old end: acknowledged packets, and lost ones that were sent
    /// before `cutoff`.
    ///
    /// RFC 9000 §13.3: information about lost packets can be discarded after a time that adequately
    /// allows for reordering.
    pub fn forget(&mut self, cutoff: Instant) {
        // Below the first that is outstanding there may be lost packets, and numbers left out that
        // may still be a trap.
        if self.lost == 0 && !self.has_trap() {
            self.base = self.base.max(self.first_outstanding.min(self.next));
        }
        self.forget_front(cutoff);
        if self.is_empty() && self.slots.chunks() > KEPT_CHUNKS {
            self.slots = Ring::new();
        }
    }

    fn forget_front(&mut self, cutoff: Instant) {
        while self.base < self.next {
            let settled = match self.slot(self.base) {
                Some(Slot::Packet(packet)) => match packet.state {
                    State::Outstanding => false,
                    State::Lost if packet.time_sent < cutoff => {
                        self.lost = self.lost.saturating_sub(1);
                        true
                    }
                    State::Lost => false,
                    // Not before it could have been acknowledged together with its neighbours.
                    State::Skipped => self.base < self.acked_end,
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

    /// Takes the outstanding packets for which `wanted` says so out of the books. They are neither
    /// acknowledged nor lost.
    pub fn discard(&mut self, mut wanted: impl FnMut(PacketNumber, &SentPacket<T>) -> bool) {
        for pn in self.first_outstanding.max(self.base)..self.next {
            if let Some(Slot::Packet(packet)) = self.slots.get_mut(pn) {
                if packet.state == State::Outstanding
                    && wanted(PacketNumber::saturating(pn), packet)
                {
                    packet.state = State::Untracked;
                }
            }
        }
        self.forget_front(Instant::from_nanos(0));
    }

    /// Gives the memory back if nothing is outstanding; lost packets are forgotten then. For a
    /// connection that has become idle.
    pub fn trim(&mut self) {
        if self.outstanding().next().is_none() {
            self.base = self.next;
            self.lost = 0;
            self.slots = Ring::new();
        }
    }

    #[inline]
    fn slot(&self, pn: u64) -> Option<&Slot<T>> {
        if pn < self.base || pn >= self.next {
            return None;
        }
        self.slots.get(pn)
    }
}

impl<T: Copy + Default> Default for SentPackets<T> {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests;
