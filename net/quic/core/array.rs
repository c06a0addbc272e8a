// SPDX-License-Identifier: GPL-2.0 OR MIT

//! Operations on arrays that cannot panic.
//!
//! Those of `core` and of [`KVec`] with the same names check indices and sums on the way, and a
//! check that the compiler cannot prove to hold becomes a panic in the object.

use core::ops::Range;
use kernel::alloc::{AllocError, Flags, KVec};

/// How many values at the beginning of `sorted` satisfy `before`; it holds for none after them.
#[inline]
pub(crate) fn partition_point<T>(sorted: &[T], mut before: impl FnMut(&T) -> bool) -> usize {
    let (mut low, mut high) = (0_usize, sorted.len());
    while low < high {
        // Both are at most the length of a slice: no sum overflows.
        let middle = low.wrapping_add(high) / 2;
        match sorted.get(middle) {
            Some(value) if before(value) => low = middle.wrapping_add(1),
            _ => high = middle,
        }
    }
    low
}

/// How many values satisfy `holds`.
#[inline]
pub(crate) fn count<T>(array: &[T], mut holds: impl FnMut(&T) -> bool) -> usize {
    array.iter().fold(0, |sum: usize, value| {
        sum.wrapping_add(usize::from(holds(value)))
    })
}

/// Makes room for `additional` more values.
#[inline]
pub(crate) fn reserve<T>(
    array: &mut KVec<T>,
    additional: usize,
    flags: Flags,
) -> Result<(), AllocError> {
    if array.capacity().saturating_sub(array.len()) >= additional {
        return Ok(());
    }
    grow(array, additional, flags)
}

/// Makes room for one more value.
#[inline]
pub(crate) fn reserve_one<T>(array: &mut KVec<T>, flags: Flags) -> Result<(), AllocError> {
    reserve(array, 1, flags)
}

/// The only place where an array grows: the kernel's own code for that refers to panics, so that
/// the gate has to let this function pass.
#[cold]
#[inline(never)]
fn grow<T>(array: &mut KVec<T>, additional: usize, flags: Flags) -> Result<(), AllocError> {
    array.reserve(additional, flags)
}

/// Drops the values with the indices in `gone`; those behind move down.
pub(crate) fn remove_range<T: Default>(array: &mut KVec<T>, gone: Range<usize>) {
    let Some(count) = gone.end.checked_sub(gone.start).filter(|&count| count > 0) else {
        return;
    };
    let mut from = gone.end;
    while let Some(value) = array.get_mut(from).map(core::mem::take) {
        if let Some(place) = array.get_mut(from.wrapping_sub(count)) {
            *place = value;
        }
        from = from.wrapping_add(1);
    }
    array.truncate(array.len().saturating_sub(count));
}

/// Keeps the values for which `keep` holds, in their order.
pub(crate) fn retain<T: Default>(array: &mut KVec<T>, mut keep: impl FnMut(&T) -> bool) {
    let (mut from, mut to) = (0_usize, 0_usize);
    while let Some(value) = array.get_mut(from).map(core::mem::take) {
        if keep(&value) {
            if let Some(place) = array.get_mut(to) {
                *place = value;
            }
            to = to.wrapping_add(1);
        }
        from = from.wrapping_add(1);
    }
    array.truncate(to);
}

#[cfg(test)]
mod tests {
    use super::*;
    use kernel::alloc::flags::GFP_KERNEL;

    fn array(values: Range<u8>) -> KVec<u8> {
        let mut array = KVec::new();
        for value in values {
            array.push(value, GFP_KERNEL).unwrap();
        }
        array
    }

    #[test]
    fn partition_point_is_that_of_core() {
        for len in 0..20 {
            let sorted = array(0..len);
            for bound in 0..=len {
                assert_eq!(
                    partition_point(&sorted, |value| *value < bound),
                    sorted.as_slice().partition_point(|value| *value < bound)
                );
            }
        }
    }

    #[test]
    fn removal_keeps_the_order() {
        for (gone, left) in [(0..0, 5), (1..3, 3), (0..5, 0), (4..5, 4), (2..2, 5)] {
            let mut values = array(0..5);
            remove_range(&mut values, gone.clone());
            assert_eq!(values.len(), left);
            assert!(values
                .iter()
                .copied()
                .eq((0..5_u8).filter(|value| !gone.contains(&usize::from(*value)))));
        }
        let mut values = array(0..9);
        retain(&mut values, |value| value % 3 == 1);
        assert_eq!(values.as_slice(), [1, 4, 7]);
    }
}
