// SPDX-License-Identifier: GPL-2.0 OR MIT

//! Writing transport parameters.
//!
//! The order is fixed, so that captures of two connections can be compared:
//!
//! 1. of a server: 0x00, 0x02, 0x10, 0x0d;
//! 2. 0x0f, 0x05, 0x06, 0x07, 0x04, 0x08, 0x09, 0x03, 0x0a, 0x0c, 0xbaad, 0x11, 0x2ab2, 0x0b, 0x01,
//!    0x0e, 0x20;
//! 3. what is still a draft: 0x1d, 0xff04de1b;
//! 4. a reserved parameter, if there is room.
//!
//! A parameter with its default value is left out.

use super::{id, TransportParameters};
use crate::bytes::{Full, Writer};
use crate::cid::ConnectionId;
use crate::role::Role;
use crate::varint::VarInt;
use crate::version::Version;

impl TransportParameters {
    /// As many bytes as the parameters of this implementation may take: tlshd asks for them with
    /// such a buffer.
    pub const MAX_SIZE: usize = 256;

    /// Writes the parameters of an endpoint whose role is `sender`.
    ///
    /// `grease` is 64 random bits, the same for every call on a connection, from which a reserved
    /// parameter and a reserved version are made; without it there are none.
    // RFC 9000 §7.4: An endpoint MUST NOT send a parameter more than once in a given transport
    // parameters extension.
    pub fn emit(
        &self,
        writer: &mut Writer<'_>,
        sender: Role,
        grease: Option<u64>,
    ) -> Result<(), Full> {
        let defaults = Self::default();
        writer.whole(|writer| {
            match sender {
                Role::Server => self.emit_of_server(writer)?,
                Role::Client => {}
            }
            emit_cid(
                writer,
                id::INITIAL_SOURCE_CONNECTION_ID,
                &self.initial_source_connection_id,
            )?;
            for (id, value, default) in [
                (
                    id::INITIAL_MAX_STREAM_DATA_BIDI_LOCAL,
                    self.initial_max_stream_data_bidi_local,
                    defaults.initial_max_stream_data_bidi_local,
                ),
                (
                    id::INITIAL_MAX_STREAM_DATA_BIDI_REMOTE,
                    self.initial_max_stream_data_bidi_remote,
                    defaults.initial_max_stream_data_bidi_remote,
                ),
                (
                    id::INITIAL_MAX_STREAM_DATA_UNI,
                    self.initial_max_stream_data_uni,
                    defaults.initial_max_stream_data_uni,
                ),
                (
                    id::INITIAL_MAX_DATA,
                    self.initial_max_data,
                    defaults.initial_max_data,
                ),
                (
                    id::INITIAL_MAX_STREAMS_BIDI,
                    self.initial_max_streams_bidi,
                    defaults.initial_max_streams_bidi,
                ),
                (
                    id::INITIAL_MAX_STREAMS_UNI,
                    self.initial_max_streams_uni,
                    defaults.initial_max_streams_uni,
                ),
                (
                    id::MAX_UDP_PAYLOAD_SIZE,
                    self.max_udp_payload_size,
                    defaults.max_udp_payload_size,
                ),
                (
                    id::ACK_DELAY_EXPONENT,
                    self.ack_delay_exponent.into(),
                    defaults.ack_delay_exponent.into(),
                ),
            ] {
                emit_integer(writer, id, value, default)?;
            }
            emit_flag(
                writer,
                id::DISABLE_ACTIVE_MIGRATION,
                self.disable_active_migration,
            )?;
            emit_flag(
                writer,
                id::DISABLE_1RTT_ENCRYPTION,
                self.disable_1rtt_encryption,
            )?;
            if let Some(information) = &self.version_information {
                // The cast takes half of the random bits.
                let grease = grease.map(|random| Version::reserved(random as u32));
                emit_header(writer, id::VERSION_INFORMATION, information.size(grease))?;
                information.emit(writer, grease)?;
            }
            emit_flag(writer, id::GREASE_QUIC_BIT, self.grease_quic_bit)?;
            for (id, value, default) in [
                (
                    id::MAX_ACK_DELAY,
                    self.max_ack_delay.into(),
                    defaults.max_ack_delay.into(),
                ),
                (
                    id::MAX_IDLE_TIMEOUT,
                    self.max_idle_timeout,
                    defaults.max_idle_timeout,
                ),
                (
                    id::ACTIVE_CONNECTION_ID_LIMIT,
                    self.active_connection_id_limit,
                    defaults.active_connection_id_limit,
                ),
                (
                    id::MAX_DATAGRAM_FRAME_SIZE,
                    self.max_datagram_frame_size,
                    defaults.max_datagram_frame_size,
                ),
            ] {
                emit_integer(writer, id, value, default)?;
            }
            emit_flag(writer, id::RESET_STREAM_AT, self.reset_stream_at)?;
            if let Some(min_ack_delay) = self.min_ack_delay {
                emit_header(writer, id::MIN_ACK_DELAY, min_ack_delay.size())?;
                writer.varint(min_ack_delay)?;
            }
            Ok(())
        })?;
        if let Some(random) = grease {
            // Nobody misses it.
            let _ = emit_reserved(writer, random);
        }
        Ok(())
    }

    // RFC 9000 §18.2: A client MUST NOT include any server-only transport parameter […]
    // stateless_reset_token. […] This transport parameter MUST NOT be sent by a client but MAY be
    // sent by a server.
    fn emit_of_server(&self, writer: &mut Writer<'_>) -> Result<(), Full> {
        emit_cid(
            writer,
            id::ORIGINAL_DESTINATION_CONNECTION_ID,
            &self.original_destination_connection_id,
        )?;
        if let Some(token) = &self.stateless_reset_token {
            emit_header(writer, id::STATELESS_RESET_TOKEN, token.as_bytes().len())?;
            writer.array(*token.as_bytes())?;
        }
        emit_cid(
            writer,
            id::RETRY_SOURCE_CONNECTION_ID,
            &self.retry_source_connection_id,
        )?;
        if let Some(address) = &self.preferred_address {
            emit_header(writer, id::PREFERRED_ADDRESS, address.size())?;
            address.emit(writer)?;
        }
        Ok(())
    }
}

/// Writes Transport Parameter ID and Transport Parameter Length.
fn emit_header(writer: &mut Writer<'_>, id: u64, length: usize) -> Result<(), Full> {
    writer.varint(VarInt::saturating(id))?;
    writer.varint(VarInt::try_from(length).map_err(|_| Full)?)
}

fn emit_integer(
    writer: &mut Writer<'_>,
    id: u64,
    value: VarInt,
    default: VarInt,
) -> Result<(), Full> {
    if value == default {
        return Ok(());
    }
    emit_header(writer, id, value.size())?;
    writer.varint(value)
}

fn emit_flag(writer: &mut Writer<'_>, id: u64, flag: bool) -> Result<(), Full> {
    match flag {
        true => emit_header(writer, id, 0),
        false => Ok(()),
    }
}

fn emit_cid(writer: &mut Writer<'_>, id: u64, cid: &Option<ConnectionId>) -> Result<(), Full> {
    let Some(cid) = cid else { return Ok(()) };
    emit_header(writer, id, cid.len())?;
    writer.bytes(cid.as_slice())
}

/// Writes a parameter that means nothing, made of `random`.
// RFC 9000 §18.1: Transport parameters with an identifier of the form "31 * N + 27" for integer
// values of N are reserved to exercise the requirement that unknown transport parameters be
// ignored. These transport parameters have no semantics and can carry arbitrary values.
fn emit_reserved(writer: &mut Writer<'_>, random: u64) -> Result<(), Full> {
    // Small enough for an identifier of four bytes.
    let id = (random & 0x00ff_ffff).wrapping_mul(31).wrapping_add(27);
    let value = (random >> 24).to_be_bytes();
    // Up to seven bytes.
    let length = usize::from((random >> 61) as u8);
    writer.whole(|writer| {
        emit_header(writer, id, length)?;
        writer.bytes(value.get(..length).unwrap_or_default())
    })
}
