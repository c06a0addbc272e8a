// SPDX-License-Identifier: GPL-2.0 OR MIT

//! [`FrameType`]: the type of a frame, and what follows from it alone (RFC 9000 §12.4, Table 3).

use crate::bytes::{Full, Writer};
use crate::packet::PacketType;
use crate::varint::VarInt;
use core::fmt;

/// The value of a Frame Type field.
#[derive(Copy, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FrameType(u64);

/// What Table 3 says of a frame type, one bit each.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub(super) struct Rule(u8);

impl Rule {
    /// No such frame type.
    const UNKNOWN: Self = Self(0);

    /// What every STREAM frame follows.
    pub(super) const STREAM: Self = FrameType::STREAM.find_rule();

    const I: u8 = PacketType::Initial.bit();
    const H: u8 = PacketType::Handshake.bit();
    const ZERO: u8 = PacketType::ZeroRtt.bit();
    const ONE: u8 = PacketType::OneRtt.bit();
    /// Packets containing only frames with this marking are not ack-eliciting.
    const N: u8 = 0x10;
    /// Packets containing only frames with this marking do not count toward bytes in flight.
    const C: u8 = 0x20;
    /// Packets containing only frames with this marking can be used to probe new network paths.
    const P: u8 = 0x40;
    /// Only a server sends it. Not a column of the table.
    const SERVER: u8 = 0x80;

    const fn new(bits: u8) -> Self {
        Self(bits)
    }

    /// Whether the frame may be in a packet of type `packet_type`.
    #[inline]
    pub(super) const fn permits(self, packet_type: PacketType) -> bool {
        self.0 & packet_type.bit() != 0
    }

    /// Whether only a server sends the frame.
    #[inline]
    pub(super) const fn server_only(self) -> bool {
        self.0 & Self::SERVER != 0
    }
}

macro_rules! frame_types {
    ($($(#[$doc:meta])* $name:ident = $value:literal: $($bit:ident)|+;)*) => {
        impl FrameType {
            $($(#[$doc])* pub const $name: Self = Self($value);)*

            const fn find_rule(self) -> Rule {
                match self.0 {
                    $($value => Rule::new($(Rule::$bit)|+),)*
                    _ => Rule::UNKNOWN,
                }
            }

            /// The name in the registry; `None` for a type that this crate does not know.
            pub const fn name(self) -> Option<&'static str> {
                match self.0 {
                    $($value => Some(stringify!($name)),)*
                    _ => None,
                }
            }
        }
    };
}

// RFC 9000 §12.5: it is not possible to send the following frames in 0-RTT packets: ACK, CRYPTO,
// HANDSHAKE_DONE, NEW_TOKEN, PATH_RESPONSE, and RETIRE_CONNECTION_ID. A server MAY treat receipt of
// these frames in 0-RTT packets as a connection error of type PROTOCOL_VIOLATION.
// RFC 9000 §17.2.4: Endpoints MUST treat receipt of Handshake packets with other frames as a
// connection error of type PROTOCOL_VIOLATION. RFC 9001 §8.3: A server MUST treat receipt of a
// CRYPTO frame in a 0-RTT packet as a connection error of type PROTOCOL_VIOLATION. RFC 9000 §19.21:
// Extension frames MUST be congestion controlled and MUST cause an ACK frame to be sent.
frame_types! {
    /// RFC 9000 §19.1.
    PADDING = 0x00: I | H | ZERO | ONE | N | P;
    /// RFC 9000 §19.2.
    PING = 0x01: I | H | ZERO | ONE;
    /// RFC 9000 §19.3, without ECN counts.
    ACK = 0x02: I | H | ONE | N | C;
    /// RFC 9000 §19.3, with ECN counts.
    ACK_ECN = 0x03: I | H | ONE | N | C;
    /// RFC 9000 §19.4.
    RESET_STREAM = 0x04: ZERO | ONE;
    /// RFC 9000 §19.5.
    STOP_SENDING = 0x05: ZERO | ONE;
    /// RFC 9000 §19.6.
    CRYPTO = 0x06: I | H | ONE;
    /// RFC 9000 §19.7.
    NEW_TOKEN = 0x07: ONE | SERVER;
    /// RFC 9000 §19.8, the first of the eight.
    STREAM = 0x08: ZERO | ONE;
    /// STREAM with FIN.
    STREAM_FIN = 0x09: ZERO | ONE;
    /// STREAM with LEN.
    STREAM_LEN = 0x0a: ZERO | ONE;
    /// STREAM with LEN and FIN.
    STREAM_LEN_FIN = 0x0b: ZERO | ONE;
    /// STREAM with OFF.
    STREAM_OFF = 0x0c: ZERO | ONE;
    /// STREAM with OFF and FIN.
    STREAM_OFF_FIN = 0x0d: ZERO | ONE;
    /// STREAM with OFF and LEN.
    STREAM_OFF_LEN = 0x0e: ZERO | ONE;
    /// STREAM with OFF, LEN and FIN.
    STREAM_OFF_LEN_FIN = 0x0f: ZERO | ONE;
    /// RFC 9000 §19.9.
    MAX_DATA = 0x10: ZERO | ONE;
    /// RFC 9000 §19.10.
    MAX_STREAM_DATA = 0x11: ZERO | ONE;
    /// RFC 9000 §19.11, bidirectional.
    MAX_STREAMS_BIDI = 0x12: ZERO | ONE;
    /// RFC 9000 §19.11, unidirectional.
    MAX_STREAMS_UNI = 0x13: ZERO | ONE;
    /// RFC 9000 §19.12.
    DATA_BLOCKED = 0x14: ZERO | ONE;
    /// RFC 9000 §19.13.
    STREAM_DATA_BLOCKED = 0x15: ZERO | ONE;
    /// RFC 9000 §19.14, bidirectional.
    STREAMS_BLOCKED_BIDI = 0x16: ZERO | ONE;
    /// RFC 9000 §19.14, unidirectional.
    STREAMS_BLOCKED_UNI = 0x17: ZERO | ONE;
    /// RFC 9000 §19.15.
    NEW_CONNECTION_ID = 0x18: ZERO | ONE | P;
    /// RFC 9000 §19.16.
    RETIRE_CONNECTION_ID = 0x19: ONE;
    /// RFC 9000 §19.17.
    PATH_CHALLENGE = 0x1a: ZERO | ONE | P;
    /// RFC 9000 §19.18.
    PATH_RESPONSE = 0x1b: ONE | P;
    /// RFC 9000 §19.19, of the transport.
    CONNECTION_CLOSE = 0x1c: I | H | ZERO | ONE | N;
    /// RFC 9000 §19.19, of the application.
    APPLICATION_CLOSE = 0x1d: ZERO | ONE | N;
    /// RFC 9000 §19.20.
    HANDSHAKE_DONE = 0x1e: ONE | SERVER;
    /// draft-ietf-quic-ack-frequency §5.
    IMMEDIATE_ACK = 0x1f: ONE;
    /// draft-ietf-quic-reliable-stream-reset §4.
    RESET_STREAM_AT = 0x24: ZERO | ONE;
    /// RFC 9221 §4, to the end of the packet.
    DATAGRAM = 0x30: ZERO | ONE;
    /// RFC 9221 §4, with LEN.
    DATAGRAM_LEN = 0x31: ZERO | ONE;
    /// draft-ietf-quic-ack-frequency §4.
    ACK_FREQUENCY = 0xaf: ONE;
}

/// The rules of the types that one byte encodes.
const RULES: [Rule; 64] = {
    let mut rules = [Rule::UNKNOWN; 64];
    let mut rest: &mut [Rule] = &mut rules;
    let mut frame_type = 0;
    while let Some((rule, tail)) = rest.split_first_mut() {
        *rule = FrameType(frame_type).find_rule();
        frame_type = frame_type.wrapping_add(1);
        rest = tail;
    }
    rules
};

impl FrameType {
    /// The frame type with that value.
    #[inline]
    pub const fn new(value: u64) -> Self {
        Self(value)
    }

    /// The value on the wire.
    #[inline]
    pub const fn get(self) -> u64 {
        self.0
    }

    /// Writes the Frame Type field.
    // RFC 9000 §12.4: a frame type MUST use the shortest possible encoding.
    #[inline]
    pub(super) fn emit(self, writer: &mut Writer<'_>) -> Result<(), Full> {
        writer.varint(VarInt::saturating(self.0))
    }

    /// What the table says of it; `None` of a type that this crate does not know.
    #[inline]
    pub(super) fn rule(self) -> Option<Rule> {
        let rule = match usize::try_from(self.0)
            .ok()
            .and_then(|index| RULES.get(index))
        {
            Some(rule) => *rule,
            None => self.find_rule(),
        };
        (rule != Rule::UNKNOWN).then_some(rule)
    }

    /// Whether a packet with such a frame must be acknowledged (RFC 9000 §13.2).
    #[inline]
    pub fn is_ack_eliciting(self) -> bool {
        self.rule().is_some_and(|rule| rule.0 & Rule::N == 0)
    }

    /// Whether a packet with such a frame counts toward bytes in flight (RFC 9002 §2).
    #[inline]
    pub fn is_in_flight(self) -> bool {
        self.rule().is_some_and(|rule| rule.0 & Rule::C == 0)
    }

    /// Whether a packet of such frames alone only probes a path (RFC 9000 §9.1).
    #[inline]
    pub fn is_probing(self) -> bool {
        self.rule().is_some_and(|rule| rule.0 & Rule::P != 0)
    }

    /// Whether such a frame may be in a packet of type `packet_type`.
    pub fn is_permitted_in(self, packet_type: PacketType) -> bool {
        self.rule().is_some_and(|rule| rule.permits(packet_type))
    }
}

impl fmt::Debug for FrameType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.name() {
            Some(name) => f.write_str(name),
            None => write!(f, "{:#x}", self.0),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 9000 Table 3 with its two columns, and in the same form the frames of the extensions.
    const TABLE_3: &str = "
        0x00       PADDING               IH01  NP
        0x01       PING                  IH01
        0x02-0x03  ACK                   IH_1  NC
        0x04       RESET_STREAM          __01
        0x05       STOP_SENDING          __01
        0x06       CRYPTO                IH_1
        0x07       NEW_TOKEN             ___1
        0x08-0x0f  STREAM                __01  F
        0x10       MAX_DATA              __01
        0x11       MAX_STREAM_DATA       __01
        0x12-0x13  MAX_STREAMS           __01
        0x14       DATA_BLOCKED          __01
        0x15       STREAM_DATA_BLOCKED   __01
        0x16-0x17  STREAMS_BLOCKED       __01
        0x18       NEW_CONNECTION_ID     __01  P
        0x19       RETIRE_CONNECTION_ID  __01
        0x1a       PATH_CHALLENGE        __01  P
        0x1b       PATH_RESPONSE         ___1  P
        0x1c-0x1d  CONNECTION_CLOSE      ih01  N
        0x1e       HANDSHAKE_DONE        ___1
        0x1f       IMMEDIATE_ACK         ___1
        0x24       RESET_STREAM_AT       __01
        0x30-0x31  DATAGRAM              __01
        0xaf       ACK_FREQUENCY         ___1";

    // [rfc9000-12.4-3] [rfc9000-17.2.4-1] [rfc9000-19.21-2] [rfc9001-8.3-2]
    #[test]
    fn table_3() {
        let number =
            |digits: &str| u64::from_str_radix(digits.trim_start_matches("0x"), 16).unwrap();
        let mut known = vec![];
        for line in TABLE_3.lines().skip(1) {
            let mut columns = line.split_whitespace();
            let types = columns.next().unwrap();
            let (first, last) = types.split_once('-').unwrap_or((types, types));
            let (_, packets, spec) = (
                columns.next(),
                columns.next().unwrap(),
                columns.next().unwrap_or(""),
            );
            for value in number(first)..=number(last) {
                let frame_type = FrameType::new(value);
                // Only the first of the two types of CONNECTION_CLOSE may be in Initial and
                // Handshake packets, and RETIRE_CONNECTION_ID is among those that
                // §12.5 permits to refuse in 0-RTT packets.
                let early_close =
                    packets.starts_with("ih") && frame_type == FrameType::CONNECTION_CLOSE;
                let refused = frame_type == FrameType::RETIRE_CONNECTION_ID;
                for (packet_type, permitted) in [
                    (PacketType::Initial, packets.starts_with('I') || early_close),
                    (
                        PacketType::Handshake,
                        packets.starts_with("IH") || early_close,
                    ),
                    (PacketType::ZeroRtt, packets.contains('0') && !refused),
                    (PacketType::OneRtt, packets.contains('1')),
                ] {
                    let found = frame_type.is_permitted_in(packet_type);
                    assert_eq!(found, permitted, "{frame_type:?} in {packet_type:?}");
                }
                assert_eq!(
                    frame_type.is_ack_eliciting(),
                    !spec.contains('N'),
                    "{frame_type:?}"
                );
                assert_eq!(
                    frame_type.is_in_flight(),
                    !spec.contains('C'),
                    "{frame_type:?}"
                );
                assert_eq!(
                    frame_type.is_probing(),
                    spec.contains('P'),
                    "{frame_type:?}"
                );
                known.push(value);
            }
        }
        for value in (0..0x200).chain([1 << 20, u64::MAX]) {
            assert_eq!(
                FrameType::new(value).rule().is_some(),
                known.contains(&value),
                "{value:#x}"
            );
        }
    }

    #[test]
    fn types_have_names() {
        assert_eq!(
            format!("{:?} {:?}", FrameType::STREAM, FrameType::new(0x40)),
            "STREAM 0x40"
        );
        assert_eq!(FrameType::new(0xaf).name(), Some("ACK_FREQUENCY"));
        let unknown = FrameType::new(0x21);
        assert!(!unknown.is_ack_eliciting() && !unknown.is_in_flight() && !unknown.is_probing());
    }
}
