// SPDX-License-Identifier: GPL-2.0 OR MIT

//! [`StreamId`]: the number of a stream, which tells who opened it and in which directions it carries data.
//!
//! RFC 9000 §2.1: the least significant bit is 0 for streams of the client and 1 for those of the server, the second
//! least significant bit is 0 for bidirectional streams and 1 for unidirectional ones.

use crate::role::Role;
use crate::varint::VarInt;
use core::fmt;

/// A stream ID, at most 2^62 − 1.
#[derive(Copy, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StreamId(VarInt);

/// In which directions a stream carries data.
#[derive(Copy, Clone, PartialEq, Eq, Hash, Debug)]
pub enum Directionality {
    /// Both endpoints send.
    Bidirectional,
    /// Only the endpoint that opened the stream sends.
    Unidirectional,
}

/// How many streams of a type there can be, 2^60: more would need a stream ID above 2^62 − 1 (RFC 9000 §4.6).
pub const MAX_STREAMS: VarInt = match VarInt::new(1 << 60) {
    Some(limit) => limit,
    None => VarInt::MAX,
};

impl StreamId {
    /// The stream with that ID.
    #[inline]
    pub const fn new(id: VarInt) -> Self {
        Self(id)
    }

    /// The stream number `index`, from 0, of those that `initiator` opens; `None` from 2^60 on.
    pub fn nth(initiator: Role, directionality: Directionality, index: u64) -> Option<Self> {
        let server = match initiator {
            Role::Client => 0,
            Role::Server => 1,
        };
        let unidirectional = match directionality {
            Directionality::Bidirectional => 0,
            Directionality::Unidirectional => 2,
        };
        VarInt::new(index.checked_mul(4)? | unidirectional | server).map(Self)
    }

    /// Who opens this stream.
    #[inline]
    pub const fn initiator(self) -> Role {
        match self.0.get() & 1 {
            0 => Role::Client,
            _ => Role::Server,
        }
    }

    /// In which directions it carries data.
    #[inline]
    pub const fn directionality(self) -> Directionality {
        match self.0.get() & 2 {
            0 => Directionality::Bidirectional,
            _ => Directionality::Unidirectional,
        }
    }

    /// Which stream of its type it is, from 0.
    #[inline]
    pub const fn index(self) -> u64 {
        self.0.get() >> 2
    }

    /// The ID on the wire.
    #[inline]
    pub const fn get(self) -> VarInt {
        self.0
    }
}

impl fmt::Debug for StreamId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.get().fmt(f)
    }
}

impl fmt::Display for StreamId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.get().fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use Directionality::{Bidirectional, Unidirectional};

    #[test]
    fn types_of_rfc_9000_table_1() {
        for (id, initiator, directionality) in [
            (0, Role::Client, Bidirectional),
            (1, Role::Server, Bidirectional),
            (2, Role::Client, Unidirectional),
            (3, Role::Server, Unidirectional),
        ] {
            for index in [0, 1, (1 << 60) - 1] {
                let stream = StreamId::nth(initiator, directionality, index).unwrap();
                assert_eq!(stream.get().get(), index * 4 + id);
                assert_eq!(stream.initiator(), initiator);
                assert_eq!(stream.directionality(), directionality);
                assert_eq!(stream.index(), index);
            }
            assert_eq!(StreamId::nth(initiator, directionality, 1 << 60), None);
        }
        assert_eq!(MAX_STREAMS.get(), 1 << 60);
        assert_eq!(
            format!(
                "{} {:?}",
                StreamId::new(VarInt::from_u32(4)),
                StreamId::new(VarInt::MAX)
            ),
            "4 4611686018427387903"
        );
    }
}
