// SPDX-License-Identifier: GPL-2.0 OR MIT

//! [`WindowedMax`]: the largest of the recent samples, in constant memory (the filter of Kathleen
//! Nichols).
//!
//! It keeps the best sample of the window, the best after that one, and the best after the second.
//! When the best grows too old, the next takes its place. In the first part of a window, where a
//! later one would be too close, the runners-up are replaced by newer samples, so that they spread
//! over the window.

/// A value and when it was seen, in whatever unit the window has.
#[derive(Copy, Clone, Debug, Default)]
struct Sample {
    time: u32,
    value: u64,
}

/// The maximum over a sliding window.
#[derive(Copy, Clone, Debug, Default)]
pub(super) struct WindowedMax {
    best: Sample,
    second: Sample,
    third: Sample,
}

impl WindowedMax {
    /// Takes a sample and forgets those more than `window` older; returns the maximum. Times may
    /// wrap.
    pub(super) fn update(&mut self, window: u32, time: u32, value: u64) -> u64 {
        let new = Sample { time, value };
        if value >= self.best.value || age(new, self.third) > window {
            // A new maximum, or nothing recent.
            *self = Self {
                best: new,
                second: new,
                third: new,
            };
            return value;
        }
        if value >= self.second.value {
            self.second = new;
            self.third = new;
        } else if value >= self.third.value {
            self.third = new;
        }
        let passed = age(new, self.best);
        if passed > window {
            self.promote(new);
            if age(new, self.best) > window {
                self.promote(new);
            }
        } else if self.second.time == self.best.time && passed > window / 4 {
            self.second = new;
            self.third = new;
        } else if self.third.time == self.second.time && passed > window / 2 {
            self.third = new;
        }
        self.best.value
    }

    /// The maximum as of the last sample.
    pub(super) const fn get(&self) -> u64 {
        self.best.value
    }

    fn promote(&mut self, new: Sample) {
        self.best = self.second;
        self.second = self.third;
        self.third = new;
    }
}

fn age(new: Sample, old: Sample) -> u32 {
    new.time.wrapping_sub(old.time)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_maximum_lasts_one_window() {
        let mut filter = WindowedMax::default();
        assert_eq!(filter.update(10, 100, 50), 50);
        for time in 101..=110 {
            assert_eq!(filter.update(10, time, 7), 50);
        }
        assert_eq!(filter.update(10, 111, 7), 7);
        assert_eq!(filter.get(), 7);
    }

    #[test]
    fn times_wrap() {
        let mut filter = WindowedMax::default();
        filter.update(10, u32::MAX, 50);
        assert_eq!(filter.update(10, 8, 7), 50);
        assert_eq!(filter.update(10, 10, 7), 7);
    }

    proptest! {
        #[test]
        fn between_the_newest_and_the_true_maximum(
            start in any::<u32>(),
            window in 1_u32..20,
            samples in proptest::collection::vec((0_u32..4, any::<u64>()), 1..200),
        ) {
            let mut filter = WindowedMax::default();
            let mut history: Vec<(u64, u64)> = Vec::new();
            let mut time = u64::from(start);
            for (step, value) in samples {
                time += u64::from(step);
                history.push((time, value));
                let got = filter.update(window, time as u32, value);
                let exact = history.iter().filter(|s| time - s.0 <= u64::from(window)).map(|s| s.1).max();
                prop_assert!(got >= value);
                prop_assert!(Some(got) <= exact);
            }
        }
    }
}
