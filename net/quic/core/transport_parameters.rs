// SPDX-License-Identifier: GPL-2.0 OR MIT

//! [`TransportParameters`]: what each endpoint declares about itself in the handshake (RFC 9000 §7.4, §18).
//!
//! [`parse`](TransportParameters::parse) enforces all that each declaration must fulfil by itself;
//! every value that the RFCs permit is accepted, and what is unknown is ignored.
//! [`authenticate`](TransportParameters::authenticate) compares the connection IDs in it with those
//! on the wire, and [`check_zero_rtt`](TransportParameters::check_zero_rtt) the limits with those
//! of an earlier connection.

mod emit;
mod parse;
mod preferred_address;
#[cfg(test)]
mod tests;

pub use preferred_address::PreferredAddress;

use crate::cid::{ConnectionId, StatelessResetToken};
use crate::error::TransportError;
use crate::frame::FrameRules;
use crate::role::Role;
use crate::varint::VarInt;
use crate::version::VersionInformation;

/// The transport parameters of an endpoint. Those that were not sent have their default values.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub struct TransportParameters {
    /// Only of a server: the Destination Connection ID of the first Initial packet of the client.
    pub original_destination_connection_id: Option<ConnectionId>,
    /// In milliseconds, 0 for none.
    pub max_idle_timeout: VarInt,
    /// Only of a server: for the connection ID that it chose in the handshake.
    pub stateless_reset_token: Option<StatelessResetToken>,
    /// The longest UDP payload that the endpoint is willing to receive, in bytes, at least 1200.
    pub max_udp_payload_size: VarInt,
    /// Flow control limit of the connection, in bytes.
    pub initial_max_data: VarInt,
    /// Flow control limit of bidirectional streams that the endpoint opens, in bytes.
    pub initial_max_stream_data_bidi_local: VarInt,
    /// Flow control limit of bidirectional streams that the peer opens, in bytes.
    pub initial_max_stream_data_bidi_remote: VarInt,
    /// Flow control limit of unidirectional streams, in bytes.
    pub initial_max_stream_data_uni: VarInt,
    /// How many bidirectional streams the peer may open, at most 2^60.
    pub initial_max_streams_bidi: VarInt,
    /// How many unidirectional streams the peer may open, at most 2^60.
    pub initial_max_streams_uni: VarInt,
    /// How the endpoint encodes ACK Delay: in units of 2^this microseconds, at most 20.
    pub ack_delay_exponent: u8,
    /// How long the endpoint delays acknowledgments at most, in milliseconds, less than 2^14.
    pub max_ack_delay: u16,
    /// The peer must not migrate.
    pub disable_active_migration: bool,
    /// Only of a server: where it would like to be reached after the handshake.
    pub preferred_address: Option<PreferredAddress>,
    /// How many connection IDs of the peer the endpoint is willing to store, at least 2.
    pub active_connection_id_limit: VarInt,
    /// The Source Connection ID of the first Initial packet that the endpoint sent.
    pub initial_source_connection_id: Option<ConnectionId>,
    /// Only of a server: the Source Connection ID of its Retry packet, if it sent one.
    pub retry_source_connection_id: Option<ConnectionId>,
    /// RFC 9368 §3.
    pub version_information: Option<VersionInformation>,
    /// The largest DATAGRAM frame that the endpoint accepts, in bytes, 0 for none (RFC 9221 §3).
    pub max_datagram_frame_size: VarInt,
    /// The endpoint ignores the fixed bit of packets (RFC 9287 §3).
    pub grease_quic_bit: bool,
    /// The endpoint accepts RESET_STREAM_AT frames (draft-ietf-quic-reliable-stream-reset §3).
    pub reset_stream_at: bool,
    /// The endpoint accepts ACK_FREQUENCY frames, and can be asked for delays of at least so many
    /// microseconds (draft-ietf-quic-ack-frequency §3).
    pub min_ack_delay: Option<VarInt>,
    /// The endpoint is ready to leave 1-RTT packets unencrypted, if both are
    /// (draft-banks-quic-disable-encryption).
    pub disable_1rtt_encryption: bool,
}

/// The connection IDs of a handshake, as an endpoint saw them on the wire.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub struct HandshakeConnectionIds {
    /// Destination Connection ID of the first Initial packet of the client.
    pub original_destination: ConnectionId,
    /// Source Connection ID of the first Initial packet of the peer.
    pub peer_initial_source: ConnectionId,
    /// Source Connection ID of the Retry packet, if there was one.
    pub retry_source: Option<ConnectionId>,
}

/// max_udp_payload_size without the parameter: the largest UDP payload there is.
const DEFAULT_MAX_UDP_PAYLOAD_SIZE: VarInt = VarInt::from_u32(65_527);
/// ack_delay_exponent without the parameter.
const DEFAULT_ACK_DELAY_EXPONENT: u8 = 3;
/// max_ack_delay without the parameter, in milliseconds.
const DEFAULT_MAX_ACK_DELAY: u16 = 25;
/// active_connection_id_limit without the parameter, and the least value with it.
// RFC 9000 §18.2: The value of the active_connection_id_limit parameter MUST be at least 2.
const MIN_ACTIVE_CONNECTION_ID_LIMIT: VarInt = VarInt::from_u32(2);

/// Transport Parameter IDs.
mod id {
    pub(super) const ORIGINAL_DESTINATION_CONNECTION_ID: u64 = 0x00;
    pub(super) const MAX_IDLE_TIMEOUT: u64 = 0x01;
    pub(super) const STATELESS_RESET_TOKEN: u64 = 0x02;
    pub(super) const MAX_UDP_PAYLOAD_SIZE: u64 = 0x03;
    pub(super) const INITIAL_MAX_DATA: u64 = 0x04;
    pub(super) const INITIAL_MAX_STREAM_DATA_BIDI_LOCAL: u64 = 0x05;
    pub(super) const INITIAL_MAX_STREAM_DATA_BIDI_REMOTE: u64 = 0x06;
    pub(super) const INITIAL_MAX_STREAM_DATA_UNI: u64 = 0x07;
    pub(super) const INITIAL_MAX_STREAMS_BIDI: u64 = 0x08;
    pub(super) const INITIAL_MAX_STREAMS_UNI: u64 = 0x09;
    pub(super) const ACK_DELAY_EXPONENT: u64 = 0x0a;
    pub(super) const MAX_ACK_DELAY: u64 = 0x0b;
    pub(super) const DISABLE_ACTIVE_MIGRATION: u64 = 0x0c;
    pub(super) const PREFERRED_ADDRESS: u64 = 0x0d;
    pub(super) const ACTIVE_CONNECTION_ID_LIMIT: u64 = 0x0e;
    pub(super) const INITIAL_SOURCE_CONNECTION_ID: u64 = 0x0f;
    pub(super) const RETRY_SOURCE_CONNECTION_ID: u64 = 0x10;
    pub(super) const VERSION_INFORMATION: u64 = 0x11;
    pub(super) const RESET_STREAM_AT: u64 = 0x1d;
    pub(super) const MAX_DATAGRAM_FRAME_SIZE: u64 = 0x20;
    pub(super) const GREASE_QUIC_BIT: u64 = 0x2ab2;
    pub(super) const DISABLE_1RTT_ENCRYPTION: u64 = 0xbaad;
    pub(super) const MIN_ACK_DELAY: u64 = 0xff04_de1b;
}

impl Default for TransportParameters {
    fn default() -> Self {
        Self {
            original_destination_connection_id: None,
            max_idle_timeout: VarInt::ZERO,
            stateless_reset_token: None,
            max_udp_payload_size: DEFAULT_MAX_UDP_PAYLOAD_SIZE,
            initial_max_data: VarInt::ZERO,
            initial_max_stream_data_bidi_local: VarInt::ZERO,
            initial_max_stream_data_bidi_remote: VarInt::ZERO,
            initial_max_stream_data_uni: VarInt::ZERO,
            initial_max_streams_bidi: VarInt::ZERO,
            initial_max_streams_uni: VarInt::ZERO,
            ack_delay_exponent: DEFAULT_ACK_DELAY_EXPONENT,
            max_ack_delay: DEFAULT_MAX_ACK_DELAY,
            disable_active_migration: false,
            preferred_address: None,
            active_connection_id_limit: MIN_ACTIVE_CONNECTION_ID_LIMIT,
            initial_source_connection_id: None,
            retry_source_connection_id: None,
            version_information: None,
            max_datagram_frame_size: VarInt::ZERO,
            grease_quic_bit: false,
            reset_stream_at: false,
            min_ack_delay: None,
            disable_1rtt_encryption: false,
        }
    }
}

impl TransportParameters {
    /// What an endpoint of `role` that sends these parameters accepts.
    pub fn frame_rules(&self, role: Role) -> FrameRules {
        FrameRules {
            role,
            max_datagram_frame_size: self.max_datagram_frame_size,
            min_ack_delay: self.min_ack_delay,
            reset_stream_at: self.reset_stream_at,
        }
    }

    /// Checks the connection IDs in the parameters of `sender` against those on the wire.
    ///
    /// Fails with TRANSPORT_PARAMETER_ERROR.
    // RFC 9000 §7.3: Endpoints MUST validate that received transport parameters match received
    // connection ID values.
    pub fn authenticate(
        &self,
        sender: Role,
        seen: &HandshakeConnectionIds,
    ) -> Result<(), TransportError> {
        let error = |reason| Err(TransportError::transport_parameter(reason));

        // RFC 9000 §7.3: An endpoint MUST treat the absence of the initial_source_connection_id
        // transport parameter from either endpoint or the absence of the
        // original_destination_connection_id transport parameter from the server
        // as a connection error of type TRANSPORT_PARAMETER_ERROR.
        match self.initial_source_connection_id {
            Some(cid) if cid == seen.peer_initial_source => {}
            Some(_) => return error("initial_source_connection_id does not match"),
            None => return error("initial_source_connection_id is missing"),
        }
        match sender {
            Role::Client => return Ok(()),
            Role::Server => {}
        }
        match self.original_destination_connection_id {
            Some(cid) if cid == seen.original_destination => {}
            Some(_) => return error("original_destination_connection_id does not match"),
            None => return error("original_destination_connection_id is missing"),
        }

        // RFC 9000 §7.3: absence of the retry_source_connection_id transport parameter from the
        // server after receiving a Retry packet, presence of the retry_source_connection_id
        // transport parameter when no Retry packet was received, or a mismatch.
        if self.retry_source_connection_id != seen.retry_source {
            return error("retry_source_connection_id does not match");
        }

        // RFC 9000 §18.2: A server that chooses a zero-length connection ID MUST NOT provide a
        // preferred address […] A client MUST treat a violation of these requirements as a
        // connection error of type TRANSPORT_PARAMETER_ERROR.
        if self.preferred_address.is_some() && seen.peer_initial_source.is_empty() {
            return error("preferred_address with a zero-length connection ID");
        }
        Ok(())
    }

    /// The parameters of a server as far as a client may use them again for 0-RTT on a later
    /// connection.
    // RFC 9000 §7.4.1: A client MUST NOT use remembered values for the following parameters:
    // ack_delay_exponent, max_ack_delay, initial_source_connection_id,
    // original_destination_connection_id, preferred_address, retry_source_connection_id, and
    // stateless_reset_token. draft-ietf-quic-ack-frequency §3: Endpoints MUST NOT remember the
    // value of the min_ack_delay transport parameter.
    // RFC 9000 §7.4.1: A client that attempts to send 0-RTT data MUST remember all other transport
    // parameters used by the server that it is able to process.
    pub fn remembered(&self) -> Self {
        Self {
            ack_delay_exponent: DEFAULT_ACK_DELAY_EXPONENT,
            max_ack_delay: DEFAULT_MAX_ACK_DELAY,
            initial_source_connection_id: None,
            original_destination_connection_id: None,
            preferred_address: None,
            retry_source_connection_id: None,
            stateless_reset_token: None,
            min_ack_delay: None,
            // It belongs to its connection (RFC 9368 §3).
            version_information: None,
            ..*self
        }
    }

    /// Checks the parameters of a server that accepted 0-RTT against those that the client had
    /// [remembered].
    ///
    /// Fails with PROTOCOL_VIOLATION.
    ///
    /// [remembered]: Self::remembered
    // RFC 9000 §7.4.1: a server that accepts 0-RTT data MUST NOT set values for the following
    // parameters that are smaller than the remembered values of the parameters.
    // RFC 9221 §3: they MUST validate that the new value of the max_datagram_frame_size transport
    // parameter sent by the server in the handshake is greater than or equal to the stored
    // value; if not, the client MUST terminate the connection with error PROTOCOL_VIOLATION.
    // draft-ietf-quic-reliable-stream-reset §3: the server MUST NOT disable this extension on the
    // resumed connection.
    pub fn check_zero_rtt(&self, remembered: &Self) -> Result<(), TransportError> {
        let limits = |parameters: &Self| {
            [
                parameters.active_connection_id_limit,
                parameters.initial_max_data,
                parameters.initial_max_stream_data_bidi_local,
                parameters.initial_max_stream_data_bidi_remote,
                parameters.initial_max_stream_data_uni,
                parameters.initial_max_streams_bidi,
                parameters.initial_max_streams_uni,
                parameters.max_datagram_frame_size,
                VarInt::from(u8::from(parameters.reset_stream_at)),
            ]
        };
        if limits(self)
            .iter()
            .zip(&limits(remembered))
            .any(|(now, before)| now < before)
        {
            return Err(TransportError::protocol_violation(
                "limit reduced although 0-RTT was accepted",
            ));
        }
        Ok(())
    }
}
