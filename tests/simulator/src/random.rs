// SPDX-License-Identifier: MIT OR Apache-2.0

//! [`Random`]: numbers that follow from a seed, the same on every machine; [`Chance`]: a probability.

use quic_core::time::Duration;
use std::ops::RangeInclusive;

/// xoshiro256++ of Blackman and Vigna.
#[derive(Clone, Debug)]
pub struct Random([u64; 4]);

/// A probability, in parts per million.
#[derive(Copy, Clone, PartialEq, Eq, PartialOrd, Ord, Debug, Default)]
pub struct Chance(u32);

impl Chance {
    /// It does not happen.
    pub const NEVER: Self = Self(0);

    /// So many times in a million.
    pub const fn per_million(n: u32) -> Self {
        Self(n)
    }

    /// So many times in a thousand.
    pub const fn per_mille(n: u32) -> Self {
        Self(n * 1_000)
    }

    /// So many times in a hundred.
    pub const fn percent(n: u32) -> Self {
        Self(n * 10_000)
    }

    /// In parts per million.
    pub const fn get(self) -> u32 {
        self.0
    }
}

/// A step of SplitMix64: a number without visible relation to `x`.
pub(crate) const fn scramble(x: u64) -> u64 {
    let mut z = x.wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

impl Random {
    /// The numbers of `seed` for one `purpose`: what is drawn for one does not shift the others.
    pub fn new(seed: u64, purpose: &str) -> Self {
        let mut state = purpose.bytes().fold(scramble(seed), |hash, byte| {
            scramble(hash ^ u64::from(byte))
        });
        Self([(); 4].map(|()| {
            state = scramble(state);
            state
        }))
    }

    /// The next 64 random bits.
    // The name of every generator; it is no iterator, as it has no end.
    #[allow(clippy::should_implement_trait)]
    pub fn next(&mut self) -> u64 {
        let s = &mut self.0;
        let result = s[0].wrapping_add(s[3]).rotate_left(23).wrapping_add(s[0]);
        let t = s[1] << 17;
        s[2] ^= s[0];
        s[3] ^= s[1];
        s[1] ^= s[2];
        s[0] ^= s[3];
        s[2] ^= t;
        s[3] = s[3].rotate_left(45);
        result
    }

    /// A number below `bound`, which is not 0.
    pub fn below(&mut self, bound: u64) -> u64 {
        // The high half of the product: even enough for bounds far below 2^64.
        ((u128::from(self.next()) * u128::from(bound)) >> 64) as u64
    }

    /// A number of `range`.
    pub fn within(&mut self, range: RangeInclusive<u64>) -> u64 {
        range.start() + self.below(range.end() - range.start() + 1)
    }

    /// A number of `range`, each order of magnitude as likely as the others.
    pub fn magnitude(&mut self, range: RangeInclusive<u64>) -> u64 {
        let bits = |x: u64| u64::from(64 - x.leading_zeros());
        let width = self.within(bits(*range.start())..=bits(*range.end()));
        let top = if width == 0 {
            0
        } else {
            u64::MAX >> (64 - width)
        };
        let low = (top / 2 + u64::from(width > 0)).max(*range.start());
        self.within(low..=top.min(*range.end()).max(low))
    }

    /// A time of `range`.
    pub fn duration(&mut self, range: RangeInclusive<Duration>) -> Duration {
        Duration::from_nanos(self.within(range.start().as_nanos()..=range.end().as_nanos()))
    }

    /// Whether it happens.
    pub fn happens(&mut self, chance: Chance) -> bool {
        // Nothing is drawn for what cannot happen.
        chance != Chance::NEVER && self.below(1_000_000) < u64::from(chance.0)
    }

    /// One of `choices`.
    pub fn pick<T: Clone>(&mut self, choices: &[T]) -> T {
        choices[self.below(choices.len() as u64) as usize].clone()
    }

    /// Fills `bytes`.
    pub fn fill(&mut self, bytes: &mut [u8]) {
        for part in bytes.chunks_mut(8) {
            let random = self.next().to_le_bytes();
            part.copy_from_slice(&random[..part.len()]);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_seed_and_the_purpose_decide() {
        let draw = |seed, purpose| Random::new(seed, purpose).next();
        assert_eq!(draw(1, "a"), draw(1, "a"));
        assert_ne!(draw(1, "a"), draw(2, "a"));
        assert_ne!(draw(1, "a"), draw(1, "b"));
    }

    #[test]
    fn chances_are_kept() {
        let mut random = Random::new(7, "chances");
        let hits = (0..100_000)
            .filter(|_| random.happens(Chance::percent(3)))
            .count();
        assert!((2_800..3_200).contains(&hits), "{hits}");
        assert!(!random.happens(Chance::NEVER));
        assert!(random.happens(Chance::percent(100)));
    }

    #[test]
    fn numbers_stay_within_their_range() {
        let mut random = Random::new(7, "ranges");
        for _ in 0..10_000 {
            assert!((5..=9).contains(&random.within(5..=9)));
            assert!((0..=100).contains(&random.magnitude(0..=100)));
            assert!((1_000..=70_000).contains(&random.magnitude(1_000..=70_000)));
        }
        assert_eq!(random.magnitude(0..=0), 0);
    }
}
