// SPDX-License-Identifier: GPL-2.0 OR MIT

//! [`Rate`]: how many bytes leave in a span of time.
//!
//! The unit is bytes per 2^30 ns (1.07 s), not per second: then bytes in a span is a 64×64→128-bit
//! multiplication and a shift. A division by 10^9 would be a 128-bit one, which a kernel module
//! cannot link. One unit is 0.93 byte/s, so that 64 kbit/s is known to a part in 8000; the largest
//! rate is far above any link.

use crate::time::Duration;

/// The length of the unit of time, as a power of two of nanoseconds.
const UNIT_SHIFT: u32 = 30;

/// Bytes per 2^30 nanoseconds. Conversions round down and saturate.
#[derive(Copy, Clone, PartialEq, Eq, PartialOrd, Ord, Debug, Default)]
pub struct Rate(u64);

impl Rate {
    /// Nothing ever leaves.
    pub const ZERO: Self = Self(0);
    /// No limit.
    pub const MAX: Self = Self(u64::MAX);

    /// `bytes` in `span`. No time at all gives [`Rate::MAX`].
    #[inline]
    pub const fn from_bytes_over(bytes: u64, span: Duration) -> Self {
        match shifted_div(bytes, span.as_nanos()) {
            Some(rate) => Self(rate),
            None => Self::MAX,
        }
    }

    /// `bytes` a second, the unit of `SO_MAX_PACING_RATE`; all ones is no limit, as there.
    #[inline]
    pub const fn from_bytes_per_second(bytes: u64) -> Self {
        if bytes == u64::MAX {
            return Self::MAX;
        }
        Self::from_bytes_over(bytes, Duration::from_secs(1))
    }

    /// In bytes a second, for reports.
    #[inline]
    pub const fn as_bytes_per_second(self) -> u64 {
        if self.0 == u64::MAX {
            return u64::MAX;
        }
        self.bytes_in(Duration::from_secs(1))
    }

    /// How many bytes leave in `span`.
    #[inline]
    pub const fn bytes_in(self, span: Duration) -> u64 {
        let product = (self.0 as u128).wrapping_mul(span.as_nanos() as u128) >> UNIT_SHIFT;
        saturate(product)
    }

    /// How long `bytes` take to leave; [`Duration::MAX`] at rate zero.
    #[inline]
    pub const fn time_for(self, bytes: u64) -> Duration {
        match shifted_div(bytes, self.0) {
            Some(nanos) => Duration::from_nanos(nanos),
            None => Duration::MAX,
        }
    }

    /// `self * numerator / 2^shift`, for gains written as binary fractions.
    #[inline]
    pub const fn scaled(self, numerator: u32, shift: u32) -> Self {
        if shift >= u128::BITS {
            return Self::ZERO;
        }
        let product = (self.0 as u128).wrapping_mul(numerator as u128) >> shift;
        Self(saturate(product))
    }
}

/// `numerator * 2^UNIT_SHIFT / denominator` in 64 bits: exact while the product fits, else the
/// shift that does not fit before the division is done after it. `None` for a zero denominator.
#[inline]
const fn shifted_div(numerator: u64, denominator: u64) -> Option<u64> {
    let room = numerator.leading_zeros();
    let before = if room < UNIT_SHIFT { room } else { UNIT_SHIFT };
    let after = UNIT_SHIFT.saturating_sub(before);
    let Some(quotient) = numerator.wrapping_shl(before).checked_div(denominator) else {
        return None;
    };
    if quotient.leading_zeros() < after {
        return Some(u64::MAX);
    }
    Some(quotient.wrapping_shl(after))
}

/// The low 64 bits, or all ones if there are more.
#[inline]
const fn saturate(value: u128) -> u64 {
    if value > u64::MAX as u128 {
        u64::MAX
    } else {
        value as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn bytes_a_second_survive_the_unit() {
        for rate in [
            1_000,
            8_000,
            1_250_000,
            125_000_000,
            12_500_000_000,
            1_000_000_000_000,
        ] {
            let back = Rate::from_bytes_per_second(rate).as_bytes_per_second();
            assert!(
                back <= rate && back + 1 >= rate,
                "{rate} came back as {back}"
            );
        }
        assert_eq!(Rate::from_bytes_per_second(u64::MAX), Rate::MAX);
        assert_eq!(Rate::MAX.as_bytes_per_second(), u64::MAX);
    }

    #[test]
    fn ten_megabit_carry_1250_bytes_a_millisecond() {
        let rate = Rate::from_bytes_per_second(1_250_000);
        assert_eq!(rate.bytes_in(Duration::from_millis(10)), 12_499);
        assert_eq!(rate.time_for(1_250).as_micros(), 1_000);
    }

    #[test]
    fn the_ends_of_the_scale() {
        assert_eq!(Rate::ZERO.time_for(1), Duration::MAX);
        assert_eq!(Rate::ZERO.bytes_in(Duration::MAX), 0);
        assert_eq!(Rate::from_bytes_over(1, Duration::ZERO), Rate::MAX);
        assert_eq!(Rate::MAX.bytes_in(Duration::MAX), u64::MAX);
        assert_eq!(Rate::MAX.time_for(u64::MAX).as_nanos(), 1 << 30);
        assert_eq!(Rate::MAX.scaled(u32::MAX, 0), Rate::MAX);
        assert_eq!(Rate::MAX.scaled(u32::MAX, 200), Rate::ZERO);
    }

    proptest! {
        #[test]
        fn close_to_the_exact_quotient(bytes in any::<u64>(), nanos in 1_u64..) {
            let exact = (u128::from(bytes) << UNIT_SHIFT) / u128::from(nanos);
            let rate = u128::from(Rate::from_bytes_over(bytes, Duration::from_nanos(nanos)).0);
            prop_assert!(rate <= exact);
            // Nothing is lost below 2^34 bytes; above, less than 2^30 units.
            let slack = if bytes < 1 << 34 { 0 } else { 1 << UNIT_SHIFT };
            prop_assert!(exact.min(u128::from(u64::MAX)) - rate <= slack);
        }

        #[test]
        fn time_and_bytes_are_inverse(bytes in 1_u64..1 << 30, rate in 1_u64..1 << 40) {
            let rate = Rate(rate);
            prop_assert!(rate.bytes_in(rate.time_for(bytes)) <= bytes);
            prop_assert!(rate.bytes_in(rate.time_for(bytes) + Duration::from_nanos(1)) >= bytes
                || rate.0 > 1 << UNIT_SHIFT);
        }
    }
}
