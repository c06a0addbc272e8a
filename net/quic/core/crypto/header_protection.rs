// SPDX-License-Identifier: GPL-2.0 OR MIT

//! Header protection (RFC 9001 §5.4): hides the low bits of the first byte and the packet number.

use super::{HeaderKey, SAMPLE_LEN};
use crate::packet::number::TruncatedPacketNumber;

/// The packet has no complete sample.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub(crate) struct TooShort;

/// Where the sample lies after the start of the Packet Number field.
// RFC 9001 §5.4.2: the Packet Number field is assumed to be 4 bytes long (its maximum possible
// encoded length).
const SAMPLE_OFFSET: usize = 4;

/// Protects the header of `packet`, whose payload is encrypted and whose Packet Number field is at
/// `number_at`.
#[inline(always)]
pub(crate) fn protect_header(
    key: &impl HeaderKey,
    packet: &mut [u8],
    number_at: usize,
) -> Result<(), TooShort> {
    let len = *packet.first().ok_or(TooShort)? & 0x03;
    let [first_mask, number_mask @ ..] = mask(key, packet, number_at)?;
    apply_to_first(packet, first_mask)?;
    apply_to_number(packet, number_at, number_mask, len)?;
    Ok(())
}

/// Removes the protection of the header of `packet`, whose Packet Number field is at `number_at`.
///
/// Returns the first byte in the clear and the packet number as it was encoded.
#[inline(always)]
pub(crate) fn unprotect_header(
    key: &impl HeaderKey,
    packet: &mut [u8],
    number_at: usize,
) -> Result<(u8, TruncatedPacketNumber), TooShort> {
    let [first_mask, number_mask @ ..] = mask(key, packet, number_at)?;
    let first = apply_to_first(packet, first_mask)?;
    let number = apply_to_number(packet, number_at, number_mask, first & 0x03)?;
    Ok((first, number))
}

// RFC 9001 §5.4.2: An endpoint MUST discard packets that are not long enough to contain a complete
// sample.
#[inline(always)]
fn mask(key: &impl HeaderKey, packet: &[u8], number_at: usize) -> Result<[u8; 5], TooShort> {
    let sample_at = number_at.checked_add(SAMPLE_OFFSET).ok_or(TooShort)?;
    let sample = packet
        .get(sample_at..)
        .and_then(|rest| rest.first_chunk::<SAMPLE_LEN>());
    Ok(key.mask(sample.ok_or(TooShort)?))
}

// RFC 9001 §5.4.1: The four least significant bits of the first byte are protected for packets with
// long headers; the five least significant bits for packets with short headers.
#[inline(always)]
fn apply_to_first(packet: &mut [u8], mask: u8) -> Result<u8, TooShort> {
    let first = packet.first_mut().ok_or(TooShort)?;
    *first ^= mask & if *first & 0x80 == 0 { 0x1f } else { 0x0f };
    Ok(*first)
}

/// Masks the packet number, of `len` + 1 bytes, and returns what is there afterwards.
#[inline(always)]
fn apply_to_number(
    packet: &mut [u8],
    number_at: usize,
    mask: [u8; 4],
    len: u8,
) -> Result<TruncatedPacketNumber, TooShort> {
    // The sample begins four bytes after the number, so four bytes are there whatever its length.
    let field = packet
        .get_mut(number_at..)
        .and_then(|rest| rest.first_chunk_mut::<4>())
        .ok_or(TooShort)?;
    let behind = TruncatedPacketNumber::bits_behind(len);
    let word =
        u32::from_be_bytes(*field) ^ (u32::from_be_bytes(mask) & u32::MAX.wrapping_shl(behind));
    *field = word.to_be_bytes();
    Ok(TruncatedPacketNumber::from_field(word, len))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::hex;

    /// Answers a fixed mask, and checks the sample.
    struct Fixed(&'static str, &'static str);

    impl HeaderKey for Fixed {
        fn mask(&self, sample: &[u8; SAMPLE_LEN]) -> [u8; 5] {
            assert_eq!(&sample[..], hex(self.0));
            hex(self.1).try_into().unwrap()
        }
    }

    #[test]
    fn short_header_of_rfc_9001_appendix_a_5() {
        let key = Fixed("5e5cd55c41f69080575d7999c25a5bfb", "aefefe7d03");
        let mut packet = hex("4200bff4655e5cd55c41f69080575d7999c25a5bfb");
        protect_header(&key, &mut packet, 1).unwrap();
        assert_eq!(packet, hex("4cfe4189655e5cd55c41f69080575d7999c25a5bfb"));
        let (first, number) = unprotect_header(&key, &mut packet, 1).unwrap();
        assert_eq!((first, number.size(), number.value()), (0x42, 3, 49_140));
        assert_eq!(packet, hex("4200bff4655e5cd55c41f69080575d7999c25a5bfb"));
    }

    #[test]
    fn long_header_of_rfc_9001_appendix_a_3() {
        let key = Fixed("2cd0991cd25b0aac406a5816b6394100", "2ec0d8356a");
        let header = "c1000000010008f067a5502a4262b50040750001";
        let mut packet = hex(&format!("{header}5a482cd0991cd25b0aac406a5816b6394100"));
        protect_header(&key, &mut packet, 18).unwrap();
        assert_eq!(
            packet[..20],
            hex("cf000000010008f067a5502a4262b5004075c0d9")
        );
        let (first, number) = unprotect_header(&key, &mut packet, 18).unwrap();
        assert_eq!((first, number.size(), number.value()), (0xc1, 2, 1));
        assert_eq!(packet[..20], hex(header));
    }

    #[test]
    fn mask_covers_what_is_protected_and_nothing_else() {
        let key = Fixed("00000000000000000000000000000000", "ffffffffff");
        // Five bits of a short header, four of a long one, and a packet number of one to four
        // bytes.
        for (first, masked) in [(0x40, 0x5f), (0xc0, 0xcf)] {
            for len in 0..4_u8 {
                let mut packet = [0; 21];
                packet[0] = first | len;
                protect_header(&key, &mut packet, 1).unwrap();
                let mut expected = [0; 21];
                expected[0] = masked ^ len;
                expected[1..=usize::from(len) + 1].fill(0xff);
                assert_eq!(packet, expected);
                let (unmasked, number) = unprotect_header(&key, &mut packet, 1).unwrap();
                assert_eq!((unmasked, number.value()), (first | len, 0));
                assert_eq!(packet[1..], [0; 20]);
            }
        }
    }

    #[test]
    fn no_sample_no_change() {
        let key = Fixed("", "");
        let mut packet = hex("4cfe4189655e5cd55c41f69080575d7999c25a5b");
        let before = packet.clone();
        assert_eq!(unprotect_header(&key, &mut packet, 1), Err(TooShort));
        assert_eq!(protect_header(&key, &mut packet, 1), Err(TooShort));
        assert_eq!(
            unprotect_header(&key, &mut packet, usize::MAX),
            Err(TooShort)
        );
        assert_eq!(unprotect_header(&key, &mut [], 0), Err(TooShort));
        assert_eq!(packet, before);
    }
}
