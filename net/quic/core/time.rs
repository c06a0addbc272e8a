// SPDX-License-Identifier: GPL-2.0 OR MIT

//! [`Instant`] and [`Duration`]: nanoseconds in 64 bits, with arithmetic that saturates.
//!
//! The caller supplies every instant; the crate has no clock. Inside the kernel the origin is that
//! of `CLOCK_MONOTONIC`.

use core::ops::{Add, AddAssign, Sub};

/// A point in time, in nanoseconds after an origin that the caller chose.
#[derive(Copy, Clone, PartialEq, Eq, PartialOrd, Ord, Debug, Default)]
pub struct Instant(u64);

/// A span of time, in nanoseconds.
#[derive(Copy, Clone, PartialEq, Eq, PartialOrd, Ord, Debug, Default)]
pub struct Duration(u64);

impl Instant {
    /// Later than any instant that is reached.
    pub const FAR_FUTURE: Self = Self(u64::MAX);

    /// The instant `nanos` nanoseconds after the origin.
    #[inline]
    pub const fn from_nanos(nanos: u64) -> Self {
        Self(nanos)
    }

    /// Nanoseconds since the origin.
    #[inline]
    pub const fn as_nanos(self) -> u64 {
        self.0
    }

    /// The time since `earlier`, zero if that is later.
    #[inline]
    pub const fn since(self, earlier: Self) -> Duration {
        Duration(self.0.saturating_sub(earlier.0))
    }
}

impl Duration {
    /// No time at all.
    pub const ZERO: Self = Self(0);
    /// The longest span.
    pub const MAX: Self = Self(u64::MAX);

    /// A span of whole nanoseconds.
    #[inline]
    pub const fn from_nanos(nanos: u64) -> Self {
        Self(nanos)
    }

    /// A span of whole microseconds.
    #[inline]
    pub const fn from_micros(micros: u64) -> Self {
        Self(micros.saturating_mul(1_000))
    }

    /// A span of whole milliseconds.
    #[inline]
    pub const fn from_millis(millis: u64) -> Self {
        Self(millis.saturating_mul(1_000_000))
    }

    /// A span of whole seconds.
    #[inline]
    pub const fn from_secs(secs: u64) -> Self {
        Self(secs.saturating_mul(1_000_000_000))
    }

    /// In nanoseconds.
    #[inline]
    pub const fn as_nanos(self) -> u64 {
        self.0
    }

    /// In whole microseconds, rounded down.
    #[inline]
    pub const fn as_micros(self) -> u64 {
        self.0 / 1_000
    }

    /// In whole milliseconds, rounded down.
    #[inline]
    pub const fn as_millis(self) -> u64 {
        self.0 / 1_000_000
    }

    /// `self * numerator / denominator`; a zero denominator gives [`Duration::MAX`].
    #[inline]
    pub const fn mul_div(self, numerator: u32, denominator: u32) -> Self {
        // A 64-bit division only: a module cannot link a 128-bit one. Above 2^32 ns the product is
        // taken after the division, which loses less than a part in 2^32 / `denominator`.
        let (n, d) = (numerator as u64, denominator as u64);
        let Some(quotient) = self.0.checked_div(d) else {
            return Self::MAX;
        };
        match self.0.checked_mul(n) {
            Some(product) => match product.checked_div(d) {
                Some(exact) => Self(exact),
                None => Self::MAX,
            },
            None => Self(quotient.saturating_mul(n)),
        }
    }

    /// `self * factor`.
    #[inline]
    pub const fn times(self, factor: u32) -> Self {
        Self(self.0.saturating_mul(factor as u64))
    }

    /// `self * 2^exponent`.
    #[inline]
    pub const fn shl(self, exponent: u32) -> Self {
        match 1_u64.checked_shl(exponent) {
            Some(factor) => Self(self.0.saturating_mul(factor)),
            None => Self::MAX,
        }
    }
}

impl Add<Duration> for Instant {
    type Output = Self;

    #[inline]
    fn add(self, span: Duration) -> Self {
        Self(self.0.saturating_add(span.0))
    }
}

impl Sub<Duration> for Instant {
    type Output = Self;

    #[inline]
    fn sub(self, span: Duration) -> Self {
        Self(self.0.saturating_sub(span.0))
    }
}

impl Add for Duration {
    type Output = Self;

    #[inline]
    fn add(self, other: Self) -> Self {
        Self(self.0.saturating_add(other.0))
    }
}

impl AddAssign for Duration {
    #[inline]
    fn add_assign(&mut self, other: Self) {
        self.0 = self.0.saturating_add(other.0);
    }
}

impl Sub for Duration {
    type Output = Self;

    #[inline]
    fn sub(self, other: Self) -> Self {
        Self(self.0.saturating_sub(other.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arithmetic_saturates() {
        assert_eq!(
            Instant::from_nanos(5) - Duration::from_nanos(9),
            Instant::from_nanos(0)
        );
        assert_eq!(
            Instant::FAR_FUTURE + Duration::from_secs(1),
            Instant::FAR_FUTURE
        );
        assert_eq!(
            Instant::from_nanos(5).since(Instant::from_nanos(9)),
            Duration::ZERO
        );
        assert_eq!(Duration::from_secs(u64::MAX), Duration::MAX);
        assert_eq!(Duration::from_nanos(3).shl(2), Duration::from_nanos(12));
        assert_eq!(Duration::from_nanos(3).shl(64), Duration::MAX);
    }

    #[test]
    fn mul_div_is_exact_below_overflow_and_close_above() {
        assert_eq!(
            Duration::from_nanos(8).mul_div(9, 8),
            Duration::from_nanos(9)
        );
        assert_eq!(
            Duration::from_nanos(7).mul_div(9, 8),
            Duration::from_nanos(7)
        );
        assert_eq!(Duration::from_nanos(1).mul_div(1, 0), Duration::MAX);
        assert_eq!(Duration::MAX.mul_div(1, 2).as_nanos(), u64::MAX / 2);
        assert_eq!(Duration::MAX.mul_div(4, 8).as_nanos(), (u64::MAX / 8) * 4);
    }
}
