// SPDX-License-Identifier: GPL-2.0 OR MIT

//! [`AckFrequency`]: how often the peer would like acknowledgments (draft-ietf-quic-ack-frequency §4).

use super::{FrameRules, Malformed};
use crate::bytes::{Full, Reader, Writer};
use crate::varint::VarInt;

/// An ACK_FREQUENCY frame.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub struct AckFrequency {
    /// Sequence Number: the frame counts only if it is the greatest so far.
    pub sequence: VarInt,
    /// Ack-Eliciting Threshold, in packets.
    pub ack_eliciting_threshold: VarInt,
    /// Requested Max Ack Delay, in microseconds.
    pub requested_max_ack_delay: VarInt,
    /// Reordering Threshold, in packets.
    pub reordering_threshold: VarInt,
}

/// 2^14 milliseconds, the first value that is too large for a max_ack_delay, in microseconds.
const MAX_ACK_DELAY_LIMIT: VarInt = VarInt::from_u32(16_384_000);

impl AckFrequency {
    /// Whether it may be sent to a peer with that min_ack_delay, in microseconds.
    // draft-ietf-quic-ack-frequency §4: values of 2^14 milliseconds or greater are invalid for
    // max_ack_delay […] A value smaller than the min_ack_delay advertised by the peer is also
    // invalid.
    pub(crate) fn is_permitted(&self, min_ack_delay: VarInt) -> bool {
        (min_ack_delay..MAX_ACK_DELAY_LIMIT).contains(&self.requested_max_ack_delay)
    }

    pub(super) fn parse(reader: &mut Reader<'_>, rules: &FrameRules) -> Result<Self, Malformed> {
        let frame = Self {
            sequence: reader.varint()?,
            ack_eliciting_threshold: reader.varint()?,
            requested_max_ack_delay: reader.varint()?,
            reordering_threshold: reader.varint()?,
        };
        // draft-ietf-quic-ack-frequency §4: Receipt of an invalid value MUST be treated as a
        // connection error of type PROTOCOL_VIOLATION.
        if !frame.is_permitted(rules.min_ack_delay.unwrap_or_default()) {
            return Err(Malformed::violation("requested ack delay out of range"));
        }
        Ok(frame)
    }

    pub(super) fn emit(&self, writer: &mut Writer<'_>) -> Result<(), Full> {
        writer.varint(self.sequence)?;
        writer.varint(self.ack_eliciting_threshold)?;
        writer.varint(self.requested_max_ack_delay)?;
        writer.varint(self.reordering_threshold)
    }
}
