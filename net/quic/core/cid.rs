// SPDX-License-Identifier: GPL-2.0 OR MIT

//! [`ConnectionId`] and [`StatelessResetToken`]: what names a connection, and what ends it when all else is forgotten.

/// A connection ID of a supported version, 0 to 20 bytes (RFC 9000 §17.2).
#[derive(Copy, Clone, PartialEq, Eq, Hash, Default, Debug)]
pub struct ConnectionId {
    // INVARIANT: At most `Self::MAX_LEN`; the bytes after it are zero, so that the derived comparisons hold.
    len: u8,
    bytes: [u8; Self::MAX_LEN],
}

impl ConnectionId {
    /// The most bytes of a connection ID.
    // RFC 9000 §17.2: In QUIC version 1, this value MUST NOT exceed 20 bytes.
    pub const MAX_LEN: usize = 20;

    /// The connection ID of those bytes, `None` if there are more than [`Self::MAX_LEN`].
    pub fn new(from: &[u8]) -> Option<Self> {
        let len = u8::try_from(from.len())
            .ok()
            .filter(|&len| usize::from(len) <= Self::MAX_LEN)?;
        let mut bytes = [0; Self::MAX_LEN];
        for (to, from) in bytes.iter_mut().zip(from) {
            *to = *from;
        }
        Some(Self { len, bytes })
    }

    /// Whether there are none.
    pub const fn is_empty(&self) -> bool {
        self.len == 0
    }
}

/// The secret that ends a connection when its state is lost (RFC 9000 §10.3).
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub struct StatelessResetToken([u8; Self::LEN]);

impl StatelessResetToken {
    /// How many bytes a token has.
    pub const LEN: usize = 16;

    /// The token of those bytes.
    pub const fn new(bytes: [u8; Self::LEN]) -> Self {
        Self(bytes)
    }
}
