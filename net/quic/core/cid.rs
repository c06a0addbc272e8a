// SPDX-License-Identifier: GPL-2.0 OR MIT

//! [`ConnectionId`] and [`StatelessResetToken`]: what names a connection, and what ends it when all else is forgotten.

use crate::bytes::{copy, Full, Reader, Truncated, Writer};
use crate::crypto::constant_time_eq;
use core::fmt;

/// A connection ID of a supported version, 0 to 20 bytes (RFC 9000 §17.2).
#[derive(Copy, Clone, PartialEq, Eq, Hash, Default)]
pub struct ConnectionId {
    // INVARIANT: At most `Self::MAX_LEN`; the bytes after it are zero, so that the derived
    // comparisons hold.
    len: u8,
    bytes: [u8; Self::MAX_LEN],
}

impl ConnectionId {
    /// The most bytes of a connection ID.
    // RFC 9000 §17.2: In QUIC version 1, this value MUST NOT exceed 20 bytes.
    pub const MAX_LEN: usize = 20;

    /// The least bytes of the Destination Connection ID that a client makes up for its first
    /// Initial packet.
    // RFC 9000 §7.2: This Destination Connection ID MUST be at least 8 bytes in length.
    pub const MIN_INITIAL_LEN: usize = 8;

    /// The connection ID of no bytes.
    pub const EMPTY: Self = Self {
        len: 0,
        bytes: [0; Self::MAX_LEN],
    };

    /// The connection ID of those bytes, `None` if there are more than [`Self::MAX_LEN`].
    #[inline]
    pub fn new(from: &[u8]) -> Option<Self> {
        let len = u8::try_from(from.len())
            .ok()
            .filter(|&len| usize::from(len) <= Self::MAX_LEN)?;
        let mut bytes = [0; Self::MAX_LEN];
        copy(&mut bytes, from);
        Some(Self { len, bytes })
    }

    /// The bytes.
    #[inline]
    pub fn as_slice(&self) -> &[u8] {
        self.bytes.get(..self.len()).unwrap_or_default()
    }

    /// How many bytes there are.
    #[inline]
    pub const fn len(&self) -> usize {
        // `usize::from` is not const.
        #[allow(clippy::cast_lossless)]
        let len = self.len as usize;
        len
    }

    /// Whether there are none.
    #[inline]
    pub const fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Writes the bytes.
    #[inline(always)]
    pub(crate) fn write_bytes(&self, writer: &mut Writer<'_>) -> Result<(), Full> {
        let start = writer.position();
        // Every packet has one, so if there is room, copy without looking at the length, and take
        // back the zeros.
        if writer.array(self.bytes).is_err() {
            return writer.bytes(self.as_slice());
        }
        writer.rewind(start.saturating_add(self.len()));
        Ok(())
    }

    /// Reads the length in 8 bits and the bytes: `Ok(None)` if there are more than
    /// [`Self::MAX_LEN`].
    #[inline]
    pub(crate) fn read(reader: &mut Reader<'_>) -> Result<Option<Self>, Truncated> {
        reader.vec8().map(Self::new)
    }

    /// Writes the length in 8 bits and the bytes.
    #[inline]
    pub(crate) fn write(&self, writer: &mut Writer<'_>) -> Result<(), Full> {
        writer.u8(self.len)?;
        self.write_bytes(writer)
    }
}

impl fmt::Debug for ConnectionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.as_slice()
            .iter()
            .try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// The secret that ends a connection when its state is lost (RFC 9000 §10.3).
///
/// Comparing two takes the same time whatever they hold, and no formatting shows the value.
#[derive(Copy, Clone)]
pub struct StatelessResetToken([u8; Self::LEN]);

impl StatelessResetToken {
    /// How many bytes a token has.
    pub const LEN: usize = 16;

    /// The token of those bytes.
    pub const fn new(bytes: [u8; Self::LEN]) -> Self {
        Self(bytes)
    }

    /// The bytes.
    pub const fn as_bytes(&self) -> &[u8; Self::LEN] {
        &self.0
    }
}

impl PartialEq for StatelessResetToken {
    // RFC 9000 §10.3.1: When comparing a datagram to stateless reset token values, endpoints MUST
    // perform the comparison without leaking information about the value of the token.
    fn eq(&self, other: &Self) -> bool {
        constant_time_eq(&self.0, &other.0)
    }
}

impl Eq for StatelessResetToken {}

impl fmt::Debug for StatelessResetToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("StatelessResetToken")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    // [rfc9000-17.2-2] [rfc9000-17.2-4]
    #[test]
    fn holds_up_to_twenty_bytes() {
        let bytes = [7; 21];
        for len in 0..=20 {
            let cid = ConnectionId::new(&bytes[..len]).unwrap();
            assert_eq!(cid.as_slice(), &bytes[..len]);
            assert_eq!((cid.len(), cid.is_empty()), (len, len == 0));
        }
        assert_eq!(ConnectionId::new(&bytes), None);
        assert_eq!(
            ConnectionId::new(&[0; 257]),
            None,
            "a length that is small in eight bits"
        );
        assert_eq!(ConnectionId::EMPTY, ConnectionId::default());
        assert_ne!(ConnectionId::new(&[0]), ConnectionId::new(&[0, 0]));
        assert_eq!(
            format!("{:?}", ConnectionId::new(&[0x0a, 0xff]).unwrap()),
            "0aff"
        );
        assert_eq!(core::mem::size_of::<ConnectionId>(), 21);
    }

    #[test]
    fn token_does_not_show_itself() {
        let token = StatelessResetToken::new([0x41; 16]);
        assert_eq!(format!("{token:?}"), "StatelessResetToken");
        assert_eq!(token, StatelessResetToken::new(*token.as_bytes()));
        let mut other = [0x41; 16];
        for position in 0..16 {
            other[position] ^= 0x80;
            assert_ne!(token, StatelessResetToken::new(other));
            other[position] ^= 0x80;
        }
    }

    proptest! {
        #[test]
        fn reads_what_it_writes(bytes in proptest::collection::vec(any::<u8>(), 0..=20)) {
            let cid = ConnectionId::new(&bytes).unwrap();
            let mut buffer = [0; 21];
            let mut writer = Writer::new(&mut buffer);
            cid.write(&mut writer).unwrap();
            prop_assert_eq!(ConnectionId::read(&mut Reader::new(writer.written())), Ok(Some(cid)));
            for cut in 0..writer.position() {
                prop_assert_eq!(ConnectionId::read(&mut Reader::new(&writer.written()[..cut])), Err(Truncated));
            }
        }
    }
}
