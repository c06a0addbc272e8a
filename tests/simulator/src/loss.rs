// SPDX-License-Identifier: MIT OR Apache-2.0

//! [`Loss`]: how a link loses packets at random.

use crate::random::{Chance, Random};
use quic_core::time::{Duration, Instant};

/// The bad state lasts at most so long when no packets come: else a sender that sends ever less
/// would never come away from it.
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

/// A model of loss.
#[derive(Clone, Debug, Default)]
pub enum Loss {
    /// None but by congestion.
    #[default]
    None,
    /// Each packet by itself.
    Random {
        /// How likely.
        rate: Chance,
        /// After so many losses in a row the next packet passes; 0 for any number. The
        /// interop runner has 3.
        longest_burst: u32,
    },
    /// Gilbert and Elliott: a chain of two states, in which losses have different rates.
    Bursts {
        /// From the good state into the bad one, per packet.
        begin: Chance,
        /// From the bad state into the good one, per packet: the reciprocal of the mean length.
        end: Chance,
        /// Loss in the good state.
        good: Chance,
        /// Loss in the bad state.
        bad: Chance,
    },
}

/// Where the model stands.
#[derive(Clone, Debug, Default)]
pub(crate) struct LossState {
    in_bad_state: bool,
    lost_in_a_row: u32,
    /// When the last packet came.
    last: Instant,
}

impl LossState {
    /// Whether the next packet is lost.
    pub(crate) fn next(&mut self, now: Instant, model: &Loss, random: &mut Random) -> bool {
        self.in_bad_state &= now.since(self.last) < LONGEST_PAUSE;
        self.last = now;
        let lost = match *model {
            Loss::None => false,
            Loss::Random {
                rate,
                longest_burst,
            } => random.happens(rate) && (longest_burst == 0 || self.lost_in_a_row < longest_burst),
            Loss::Bursts {
                begin,
                end,
                good,
                bad,
            } => {
                let leave = if self.in_bad_state { end } else { begin };
                self.in_bad_state ^= random.happens(leave);
                random.happens(if self.in_bad_state { bad } else { good })
            }
        };
        self.lost_in_a_row = if lost { self.lost_in_a_row + 1 } else { 0 };
        lost
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn losses(model: &Loss) -> Vec<bool> {
        let mut random = Random::new(3, "loss");
        let mut state = LossState::default();
        (0..200_000)
            .map(|_| state.next(Instant::default(), model, &mut random))
            .collect()
    }

    fn longest(losses: &[bool]) -> usize {
        losses.split(|lost| !lost).map(<[bool]>::len).max().unwrap()
    }

    #[test]
    fn bursts_are_capped() {
        let capped = losses(&Loss::Random {
            rate: Chance::percent(30),
            longest_burst: 3,
        });
        assert_eq!(longest(&capped), 3);
        let free = losses(&Loss::Random {
            rate: Chance::percent(30),
            longest_burst: 0,
        });
        assert!(longest(&free) > 5);
    }

    #[test]
    fn the_bad_state_does_not_wait() {
        let model = Loss::Bursts {
            begin: Chance::percent(100),
            end: Chance::NEVER,
            good: Chance::NEVER,
            bad: Chance::percent(100),
        };
        let mut random = Random::new(3, "loss");
        let mut state = LossState::default();
        let at = |seconds| Instant::default() + Duration::from_secs(seconds);
        assert!(state.next(at(0), &model, &mut random));
        assert!(state.next(at(0), &model, &mut random));
        let calm = Loss::Bursts {
            begin: Chance::NEVER,
            end: Chance::NEVER,
            good: Chance::NEVER,
            bad: Chance::percent(100),
        };
        assert!(!state.next(at(2), &calm, &mut random));
    }

    #[test]
    fn gilbert_and_elliott_lose_in_bursts() {
        let losses = losses(&Loss::Bursts {
            begin: Chance::percent(1),
            end: Chance::percent(20),
            good: Chance::NEVER,
            bad: Chance::percent(100),
        });
        // The bad state takes 1 / (1 + 20) of the time, and lasts 5 packets.
        let lost = losses.iter().filter(|lost| **lost).count();
        let bursts = losses.split(|lost| !lost).filter(|b| !b.is_empty()).count();
        assert!((8_500..10_500).contains(&lost), "{lost}");
        assert!((4..=6).contains(&(lost / bursts)), "{lost} in {bursts}");
    }
}
