// SPDX-License-Identifier: GPL-2.0 OR MIT

//! Reading transport parameters.

use super::{id, PreferredAddress, TransportParameters, MIN_ACTIVE_CONNECTION_ID_LIMIT};
use crate::bytes::{Reader, Truncated};
use crate::cid::{ConnectionId, StatelessResetToken};
use crate::error::TransportError;
use crate::role::Role;
use crate::stream_id::MAX_STREAMS;
use crate::varint::VarInt;
use crate::version::VersionInformation;

/// Which parameters have been read, a bit each.
#[derive(Default)]
struct Seen(u32);

impl Seen {
    // RFC 9000 §7.4: An endpoint SHOULD treat receipt of duplicate transport parameters as a
    // connection error of type TRANSPORT_PARAMETER_ERROR.
    fn insert(&mut self, bit: u32) -> Result<(), TransportError> {
        let mask = 1_u32.wrapping_shl(bit);
        if self.0 & mask != 0 {
            return Err(TransportError::transport_parameter(
                "parameter is there twice",
            ));
        }
        self.0 |= mask;
        Ok(())
    }
}

impl TransportParameters {
    /// Parses the parameters that `sender` sent.
    ///
    /// Fails with TRANSPORT_PARAMETER_ERROR. Parameters that are not known are ignored, also if
    /// there are two of one.
    pub fn parse(bytes: &[u8], sender: Role) -> Result<Self, TransportError> {
        let mut reader = Reader::new(bytes);
        let mut parameters = Self::default();
        let mut seen = Seen::default();
        while !reader.is_empty() {
            let (id, value) = read_parameter(&mut reader)
                .map_err(|_| TransportError::transport_parameter("parameter is cut off"))?;
            parameters.set(id, value, sender, &mut seen)?;
        }

        // draft-ietf-quic-ack-frequency §3: Endpoints that support this extension MUST treat
        // receipt of a min_ack_delay that is greater than the max_ack_delay as a connection
        // error of type TRANSPORT_PARAMETER_ERROR. The one is in microseconds, the other in
        // milliseconds.
        let max_ack_delay = u64::from(parameters.max_ack_delay).saturating_mul(1000);
        if parameters
            .min_ack_delay
            .is_some_and(|min| min.get() > max_ack_delay)
        {
            return Err(TransportError::transport_parameter(
                "min_ack_delay is greater than max_ack_delay",
            ));
        }
        Ok(parameters)
    }

    // RFC 9000 §7.4: An endpoint MUST treat receipt of a transport parameter with an invalid value
    // as a connection error of type TRANSPORT_PARAMETER_ERROR.
    fn set(
        &mut self,
        id: u64,
        value: &[u8],
        sender: Role,
        seen: &mut Seen,
    ) -> Result<(), TransportError> {
        match id {
            id::ORIGINAL_DESTINATION_CONNECTION_ID => {
                seen.insert(0)?;
                server_only(sender)?;
                self.original_destination_connection_id = Some(connection_id(value)?);
            }
            id::MAX_IDLE_TIMEOUT => {
                seen.insert(1)?;
                self.max_idle_timeout = integer(value)?;
            }
            id::STATELESS_RESET_TOKEN => {
                seen.insert(2)?;
                server_only(sender)?;
                let token = value.try_into().map_err(|_| {
                    TransportError::transport_parameter(
                        "stateless_reset_token is not 16 bytes long",
                    )
                })?;
                self.stateless_reset_token = Some(StatelessResetToken::new(token));
            }
            id::MAX_UDP_PAYLOAD_SIZE => {
                seen.insert(3)?;
                // RFC 9000 §18.2: Values below 1200 are invalid. Those above 65527 are not.
                self.max_udp_payload_size =
                    at_least(value, 1200, "max_udp_payload_size is below 1200")?;
            }
            id::INITIAL_MAX_DATA => {
                seen.insert(4)?;
                self.initial_max_data = integer(value)?;
            }
            id::INITIAL_MAX_STREAM_DATA_BIDI_LOCAL => {
                seen.insert(5)?;
                self.initial_max_stream_data_bidi_local = integer(value)?;
            }
            id::INITIAL_MAX_STREAM_DATA_BIDI_REMOTE => {
                seen.insert(6)?;
                self.initial_max_stream_data_bidi_remote = integer(value)?;
            }
            id::INITIAL_MAX_STREAM_DATA_UNI => {
                seen.insert(7)?;
                self.initial_max_stream_data_uni = integer(value)?;
            }
            id::INITIAL_MAX_STREAMS_BIDI => {
                seen.insert(8)?;
                self.initial_max_streams_bidi = stream_count(value)?;
            }
            id::INITIAL_MAX_STREAMS_UNI => {
                seen.insert(9)?;
                self.initial_max_streams_uni = stream_count(value)?;
            }
            id::ACK_DELAY_EXPONENT => {
                seen.insert(10)?;
                // RFC 9000 §18.2: Values above 20 are invalid.
                self.ack_delay_exponent = u8::try_from(integer(value)?.get())
                    .ok()
                    .filter(|&exponent| exponent <= 20)
                    .ok_or(TransportError::transport_parameter(
                        "ack_delay_exponent is above 20",
                    ))?;
            }
            id::MAX_ACK_DELAY => {
                seen.insert(11)?;
                // RFC 9000 §18.2: Values of 2^14 or greater are invalid.
                self.max_ack_delay = u16::try_from(integer(value)?.get())
                    .ok()
                    .filter(|&delay| delay < 1 << 14)
                    .ok_or(TransportError::transport_parameter(
                        "max_ack_delay is 2^14 or greater",
                    ))?;
            }
            id::DISABLE_ACTIVE_MIGRATION => {
                seen.insert(12)?;
                self.disable_active_migration = flag(value)?;
            }
            id::PREFERRED_ADDRESS => {
                seen.insert(13)?;
                server_only(sender)?;
                self.preferred_address = Some(PreferredAddress::parse(value)?);
            }
            id::ACTIVE_CONNECTION_ID_LIMIT => {
                seen.insert(14)?;
                // RFC 9000 §18.2: An endpoint that receives a value less than 2 MUST close the
                // connection with an error of type TRANSPORT_PARAMETER_ERROR.
                let least = MIN_ACTIVE_CONNECTION_ID_LIMIT.get();
                self.active_connection_id_limit =
                    at_least(value, least, "active_connection_id_limit is below 2")?;
            }
            id::INITIAL_SOURCE_CONNECTION_ID => {
                seen.insert(15)?;
                self.initial_source_connection_id = Some(connection_id(value)?);
            }
            id::RETRY_SOURCE_CONNECTION_ID => {
                seen.insert(16)?;
                server_only(sender)?;
                self.retry_source_connection_id = Some(connection_id(value)?);
            }
            id::VERSION_INFORMATION => {
                seen.insert(17)?;
                self.version_information = Some(VersionInformation::parse(value, sender)?);
            }
            id::MAX_DATAGRAM_FRAME_SIZE => {
                seen.insert(18)?;
                self.max_datagram_frame_size = integer(value)?;
            }
            id::GREASE_QUIC_BIT => {
                seen.insert(19)?;
                self.grease_quic_bit = flag(value)?;
            }
            id::RESET_STREAM_AT => {
                seen.insert(20)?;
                self.reset_stream_at = flag(value)?;
            }
            id::MIN_ACK_DELAY => {
                seen.insert(21)?;
                self.min_ack_delay = Some(integer(value)?);
            }
            id::DISABLE_1RTT_ENCRYPTION => {
                seen.insert(22)?;
                self.disable_1rtt_encryption = flag(value)?;
            }
            // RFC 9000 §7.4.2: An endpoint MUST ignore transport parameters that it does not
            // support.
            _ => {}
        }
        Ok(())
    }
}

/// The identifier and the value of the next parameter.
fn read_parameter<'a>(reader: &mut Reader<'a>) -> Result<(u64, &'a [u8]), Truncated> {
    let id = reader.varint()?.get();
    let length = reader.varint()?.get();
    Ok((id, reader.bytes_u64(length)?))
}

// RFC 9000 §18.2: A server MUST treat receipt of any of these transport parameters as a connection
// error of type TRANSPORT_PARAMETER_ERROR.
fn server_only(sender: Role) -> Result<(), TransportError> {
    match sender {
        Role::Server => Ok(()),
        Role::Client => Err(TransportError::transport_parameter(
            "parameter is only for servers",
        )),
    }
}

/// A value that is one variable-length integer and nothing else.
fn integer(value: &[u8]) -> Result<VarInt, TransportError> {
    let mut reader = Reader::new(value);
    match reader.varint() {
        Ok(integer) if reader.is_empty() => Ok(integer),
        _ => Err(TransportError::transport_parameter(
            "value is not one integer",
        )),
    }
}

fn at_least(value: &[u8], least: u64, reason: &'static str) -> Result<VarInt, TransportError> {
    match integer(value)? {
        integer if integer.get() >= least => Ok(integer),
        _ => Err(TransportError::transport_parameter(reason)),
    }
}

// RFC 9000 §4.6: If a max_streams transport parameter or a MAX_STREAMS frame is received with a
// value greater than 2^60 […] the connection MUST be closed immediately with a connection error of
// type TRANSPORT_PARAMETER_ERROR if the offending value was received in a transport parameter.
fn stream_count(value: &[u8]) -> Result<VarInt, TransportError> {
    match integer(value)? {
        count if count <= MAX_STREAMS => Ok(count),
        _ => Err(TransportError::transport_parameter(
            "more than 2^60 streams",
        )),
    }
}

/// A value that says all by being there.
fn flag(value: &[u8]) -> Result<bool, TransportError> {
    match value.is_empty() {
        true => Ok(true),
        false => Err(TransportError::transport_parameter("value is not empty")),
    }
}

fn connection_id(value: &[u8]) -> Result<ConnectionId, TransportError> {
    ConnectionId::new(value).ok_or(TransportError::transport_parameter(
        "connection ID of more than 20 bytes",
    ))
}
