// SPDX-License-Identifier: GPL-2.0 OR MIT

//! What several test modules need.

use crate::frame::EcnCounts;
use crate::packet::PacketNumber;
use crate::varint::VarInt;

/// These ECN counts.
pub(crate) fn ecn_counts(ect0: u64, ect1: u64, ce: u64) -> EcnCounts {
    let count = |count| VarInt::new(count).unwrap();
    EcnCounts {
        ect0: count(ect0),
        ect1: count(ect1),
        ce: count(ce),
    }
}

/// The packet number `number`.
pub(crate) fn pn(number: u64) -> PacketNumber {
    PacketNumber::new(number).unwrap()
}

/// The bytes of hexadecimal digits; white space is for the reader.
pub(crate) fn hex(digits: &str) -> Vec<u8> {
    let digits: Vec<u32> = digits
        .chars()
        .filter(|c| !c.is_whitespace())
        .map(|c| c.to_digit(16).unwrap())
        .collect();
    assert_eq!(digits.len() % 2, 0);
    digits
        .chunks(2)
        .map(|pair| (pair[0] * 16 + pair[1]) as u8)
        .collect()
}
