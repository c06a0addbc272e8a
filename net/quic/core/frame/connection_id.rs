// SPDX-License-Identifier: GPL-2.0 OR MIT

//! [`NewConnectionId`]: another name for the connection (RFC 9000 §19.15).

use super::Malformed;
use crate::bytes::{Full, Reader, Writer};
use crate::cid::{ConnectionId, StatelessResetToken};
use crate::varint::VarInt;

/// A NEW_CONNECTION_ID frame.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub struct NewConnectionId {
    /// Sequence Number.
    pub sequence: VarInt,
    /// Retire Prior To, not greater than the Sequence Number.
    pub retire_prior_to: VarInt,
    /// Connection ID, of at least one byte.
    pub connection_id: ConnectionId,
    /// Stateless Reset Token.
    pub stateless_reset_token: StatelessResetToken,
}

impl NewConnectionId {
    pub(super) fn parse(reader: &mut Reader<'_>) -> Result<Self, Malformed> {
        let (sequence, retire_prior_to) = (reader.varint()?, reader.varint()?);
        let connection_id = ConnectionId::read(reader)?.filter(|cid| !cid.is_empty());
        let stateless_reset_token = StatelessResetToken::new(reader.array()?);
        // RFC 9000 §19.15: Receiving a value in the Retire Prior To field that is greater than that
        // in the Sequence Number field MUST be treated as a connection error of type
        // FRAME_ENCODING_ERROR.
        if retire_prior_to > sequence {
            return Err(Malformed::encoding("connection ID retires itself"));
        }
        // RFC 9000 §19.15: Values less than 1 and greater than 20 are invalid and MUST be treated
        // as a connection error of type FRAME_ENCODING_ERROR.
        let connection_id = connection_id.ok_or(Malformed::encoding(
            "connection ID of 0 or more than 20 bytes",
        ))?;
        Ok(Self {
            sequence,
            retire_prior_to,
            connection_id,
            stateless_reset_token,
        })
    }

    pub(super) fn emit(&self, writer: &mut Writer<'_>) -> Result<(), Full> {
        writer.varint(self.sequence)?;
        writer.varint(self.retire_prior_to)?;
        self.connection_id.write(writer)?;
        writer.array(*self.stateless_reset_token.as_bytes())
    }
}
