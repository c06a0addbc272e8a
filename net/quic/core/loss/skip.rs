// SPDX-License-Identifier: GPL-2.0 OR MIT

//! [`SkippedNumbers`]: which packet numbers to leave out, so that a peer that acknowledges what it
//! has not received is caught.
//!
//! RFC 9000 §21.4: An endpoint MAY skip packet numbers when sending packets to detect this behavior
//! … optimistic acknowledgments. The distance is random and grows with the length of the flow: a
//! peer that acknowledges ahead is caught within a few windows, and a long flow loses one number in
//! many thousands. Two numbers left out are never less than [`MIN_DISTANCE`] apart, which loss
//! detection relies on.

use crate::packet::PacketNumber;

/// The first number is left out in the first so many, as a power of two …
const FIRST_SHIFT: u32 = 7;
/// … and the distance doubles up to this.
const LAST_SHIFT: u32 = 14;
/// More than the packet threshold of loss detection is by default.
const MIN_DISTANCE: u64 = 8;

/// When to leave out the next number.
#[derive(Clone, Debug)]
pub(super) struct SkippedNumbers {
    next: PacketNumber,
    shift: u32,
}

impl SkippedNumbers {
    /// No number is left out before [`Self::draw`].
    pub(super) const fn new() -> Self {
        Self {
            next: PacketNumber::MAX,
            shift: FIRST_SHIFT,
        }
    }

    /// Chooses the next number to leave out, after `from`.
    pub(super) fn draw(&mut self, from: PacketNumber, random: u64) {
        let distance = random & 1_u64.checked_shl(self.shift).unwrap_or(0).saturating_sub(1);
        let next = from.get().saturating_add(MIN_DISTANCE);
        self.next = PacketNumber::saturating(next.saturating_add(distance));
        self.shift = self.shift.saturating_add(1).min(LAST_SHIFT);
    }

    /// Whether `pn` is to be left out. Then [`Self::draw`] chooses another.
    #[inline]
    pub(super) const fn contains(&self, pn: PacketNumber) -> bool {
        pn.get() == self.next.get()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::pn;

    #[test]
    fn distances_grow_within_limits() {
        let mut skipped = SkippedNumbers::new();
        assert!(!(0..1000).any(|n| skipped.contains(pn(n))));
        let mut from = PacketNumber::ZERO;
        for shift in (FIRST_SHIFT..=LAST_SHIFT).chain([LAST_SHIFT]) {
            skipped.draw(from, u64::MAX);
            assert_eq!(
                skipped.next.get() - from.get(),
                (1 << shift) - 1 + MIN_DISTANCE
            );
            from = skipped.next;
        }
        skipped.draw(from, 0);
        assert_eq!(skipped.next.get() - from.get(), MIN_DISTANCE);
        skipped.draw(PacketNumber::MAX, u64::MAX);
    }
}
