// SPDX-License-Identifier: GPL-2.0 OR MIT

//! [`Header`] and [`UnsealedPacket`]: writing a packet and putting its protection on.

use super::long::{LongType, FIXED_BIT, LONG_HEADER};
use super::{PacketNumber, PacketType, TruncatedPacketNumber};
use crate::bytes::{Full, Writer};
use crate::cid::ConnectionId;
use crate::crypto::{
    protect_header, CryptoError, HeaderKey, PacketKey, PacketProtection, Part, SAMPLE_LEN, TAG_LEN,
};
use crate::varint::VarInt;
use crate::version::SupportedVersion;
use core::ops::Range;

/// The header of a packet to be sent.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub enum Header<'a> {
    /// Initial, 0-RTT or Handshake packet.
    Long {
        /// Which of them.
        packet_type: LongPacketType<'a>,
        /// The version.
        version: SupportedVersion,
        /// Destination Connection ID.
        dcid: ConnectionId,
        /// Source Connection ID.
        scid: ConnectionId,
    },
    /// 1-RTT packet.
    Short {
        /// Destination Connection ID.
        dcid: ConnectionId,
        /// The latency spin bit (RFC 9000 §17.4).
        spin: bool,
        /// The key phase (RFC 9001 §6).
        key_phase: bool,
    },
}

/// The types of packets with a long header and a packet number.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub enum LongPacketType<'a> {
    /// Initial.
    Initial {
        /// What a Retry packet or a NEW_TOKEN frame brought; empty without, and always of a
        /// server.
        token: &'a [u8],
    },
    /// 0-RTT.
    ZeroRtt,
    /// Handshake.
    Handshake,
}

/// How many bytes the Length field takes.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
enum LengthField {
    /// There is none in a short header.
    None,
    /// For packets of less than 2^14 bytes.
    Two,
    /// For packets of less than 2^30 bytes.
    Four,
}

/// A packet whose header is written and whose frames are being written, to be [sealed](Self::seal).
///
/// Until then the writer keeps the room for the tag.
#[derive(Copy, Clone, Debug)]
#[must_use = "the packet has to be sealed or abandoned"]
pub struct UnsealedPacket {
    start: usize,
    length: LengthField,
    number: PacketNumber,
    number_at: usize,
    payload_at: usize,
}

/// Why a packet could not be sealed; it is gone from the writer.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub enum SealError {
    /// It has too few frames for a header protection sample: see [`UnsealedPacket::missing`].
    TooShort,
    /// It is too long for its Length field.
    TooLong,
    /// The cipher failed.
    Crypto,
}

impl From<CryptoError> for SealError {
    fn from(_: CryptoError) -> Self {
        Self::Crypto
    }
}

impl Header<'_> {
    /// Writes the header of the packet `number`, truncated for a peer that has acknowledged
    /// `largest_acked` at most.
    ///
    /// `fixed_bit` is true unless the peer sent grease_quic_bit and it is this packet's turn (RFC
    /// 9287 §3.1). [`Full`] if there is no room for the header and the tag, or no form of
    /// `number` that the peer could expand.
    #[inline(always)]
    pub fn emit(
        &self,
        writer: &mut Writer<'_>,
        number: PacketNumber,
        largest_acked: Option<PacketNumber>,
        fixed_bit: bool,
    ) -> Result<UnsealedPacket, Full> {
        let truncated = number.truncate(largest_acked).ok_or(Full)?;
        self.emit_with(writer, number, truncated, fixed_bit)
    }

    #[inline(always)]
    pub(super) fn emit_with(
        &self,
        writer: &mut Writer<'_>,
        number: PacketNumber,
        truncated: TruncatedPacketNumber,
        fixed_bit: bool,
    ) -> Result<UnsealedPacket, Full> {
        let start = writer.position();
        let length = self.length_field(writer.remaining());
        writer.hold_back(TAG_LEN)?;
        let fixed_bit = if fixed_bit { FIXED_BIT } else { 0 };
        let first = self.first_bits() | fixed_bit | truncated.len_bits();
        // No closure, which the compiler would not inline: this is done for every packet.
        let Ok(number_at) = self.try_emit(writer, first, length, truncated) else {
            writer.rewind(start);
            writer.release(TAG_LEN);
            return Err(Full);
        };
        Ok(UnsealedPacket {
            start,
            length,
            number,
            number_at,
            payload_at: writer.position(),
        })
    }

    /// Writes all fields, and returns where the packet number is.
    #[inline(always)]
    fn try_emit(
        &self,
        writer: &mut Writer<'_>,
        first: u8,
        length: LengthField,
        truncated: TruncatedPacketNumber,
    ) -> Result<usize, Full> {
        writer.u8(first)?;
        self.emit_fields(writer, length)?;
        let number_at = writer.position();
        truncated.write(writer)?;
        Ok(number_at)
    }

    /// How many bytes a packet of this header takes beyond its frames, at most: with a packet
    /// number of four bytes and a Length field of four.
    pub fn overhead(&self) -> usize {
        let fields = match self {
            Self::Short { dcid, .. } => dcid.len(),
            Self::Long {
                packet_type,
                dcid,
                scid,
                ..
            } => {
                let token = match packet_type {
                    LongPacketType::Initial { token } => VarInt::try_from(token.len())
                        .map_or(0, VarInt::size)
                        .saturating_add(token.len()),
                    LongPacketType::ZeroRtt | LongPacketType::Handshake => 0,
                };
                // The version, two lengths of connection IDs, and the Length field.
                10_usize
                    .saturating_add(dcid.len())
                    .saturating_add(scid.len())
                    .saturating_add(token)
            }
        };
        fields.saturating_add(5).saturating_add(TAG_LEN)
    }

    /// The bits of the first byte but for the fixed bit and the length of the packet number.
    // RFC 9000 §17.2, §17.3.1: The value included prior to protection MUST be set to 0. These are
    // the reserved bits.
    #[inline(always)]
    fn first_bits(&self) -> u8 {
        match *self {
            Self::Long {
                packet_type,
                version,
                ..
            } => {
                let packet_type = match packet_type {
                    LongPacketType::Initial { .. } => PacketType::Initial,
                    LongPacketType::ZeroRtt => PacketType::ZeroRtt,
                    LongPacketType::Handshake => PacketType::Handshake,
                };
                LONG_HEADER | LongType::Numbered(packet_type).bits(version)
            }
            Self::Short {
                spin, key_phase, ..
            } => (u8::from(spin) << 5) | (u8::from(key_phase) << 2),
        }
    }

    #[inline(always)]
    fn length_field(&self, room: usize) -> LengthField {
        match self {
            Self::Short { .. } => LengthField::None,
            Self::Long { .. } if room < 1 << 14 => LengthField::Two,
            Self::Long { .. } => LengthField::Four,
        }
    }

    /// Writes what is between the first byte and the packet number.
    #[inline(always)]
    fn emit_fields(&self, writer: &mut Writer<'_>, length: LengthField) -> Result<(), Full> {
        match self {
            Self::Short { dcid, .. } => dcid.write_bytes(writer),
            Self::Long {
                packet_type,
                version,
                dcid,
                scid,
            } => {
                writer.u32(version.wire().get())?;
                dcid.write(writer)?;
                scid.write(writer)?;
                match packet_type {
                    LongPacketType::Initial { token } => {
                        writer.varint(VarInt::try_from(token.len()).map_err(|_| Full)?)?;
                        writer.bytes(token)?;
                    }
                    LongPacketType::ZeroRtt | LongPacketType::Handshake => {}
                }
                length.emit(writer, 0).map_err(|_| Full)
            }
        }
    }
}

impl LengthField {
    #[inline]
    const fn size(self) -> usize {
        match self {
            Self::None => 0,
            Self::Two => 2,
            Self::Four => 4,
        }
    }

    /// Writes `length`, [`Full`] also if the field is too small for it.
    #[inline]
    fn emit(self, writer: &mut Writer<'_>, length: usize) -> Result<(), Full> {
        let length = VarInt::try_from(length).map_err(|_| Full)?;
        match self {
            Self::None => Ok(()),
            Self::Two => writer.varint2(length),
            Self::Four => writer.varint4(length),
        }
    }

    /// Writes the length of `packet` into the field, which lies in front of the packet number at
    /// `number_at`.
    #[inline(always)]
    fn patch(self, packet: &mut [u8], number_at: usize) -> Result<(), Full> {
        if self == Self::None {
            return Ok(());
        }
        let length = packet.len().saturating_sub(number_at);
        let field = number_at.saturating_sub(self.size())..number_at;
        self.emit(
            &mut Writer::new(packet.get_mut(field).unwrap_or_default()),
            length,
        )
    }
}

impl UnsealedPacket {
    /// Where the payload begins in the writer.
    #[inline]
    pub fn payload_at(&self) -> usize {
        self.payload_at
    }

    /// Whether no frame has been written yet.
    #[inline]
    pub fn is_empty(&self, writer: &Writer<'_>) -> bool {
        writer.position() <= self.payload_at
    }

    /// How many bytes of frames are missing before the packet can be sealed, to be filled with
    /// PADDING.
    // RFC 9001 §5.4.2: packets are padded so that the combined lengths of the encoded packet number
    // and protected payload is at least 4 bytes longer than the sample required for header
    // protection.
    #[inline]
    pub fn missing(&self, writer: &Writer<'_>) -> usize {
        let protected = writer
            .position()
            .saturating_sub(self.number_at)
            .saturating_add(TAG_LEN);
        (4 + SAMPLE_LEN).saturating_sub(protected)
    }

    /// Takes the packet back from the writer, as if it had never been begun.
    pub fn abandon(self, writer: &mut Writer<'_>) {
        writer.rewind(self.start);
        writer.release(TAG_LEN);
    }

    /// Encrypts what has been written after the header, and protects the header. Returns where the
    /// packet is.
    #[inline]
    pub fn seal<K: PacketKey>(
        self,
        writer: &mut Writer<'_>,
        header_key: &impl HeaderKey,
        protection: &mut PacketProtection<K>,
    ) -> Result<Range<usize>, SealError> {
        self.seal_parts(writer, header_key, protection, &[])
    }

    /// As [`Self::seal`], with some of the payload still in `parts`, whose positions count from the
    /// first byte of the payload; the writer has [skipped](Writer::skip) their places.
    #[inline(always)]
    pub fn seal_parts<K: PacketKey>(
        self,
        writer: &mut Writer<'_>,
        header_key: &impl HeaderKey,
        protection: &mut PacketProtection<K>,
        parts: &[Part<'_, K::Chunk>],
    ) -> Result<Range<usize>, SealError> {
        let start = self.start;
        writer.release(TAG_LEN);
        let sealed = self.try_seal(writer, header_key, protection, parts);
        if sealed.is_err() {
            writer.rewind(start);
        }
        sealed
    }

    /// Finishes a 1-RTT packet of a connection on which both endpoints sent
    /// disable_1rtt_encryption, with neither header protection nor a tag. Returns where the
    /// packet is.
    pub fn finish_unencrypted(self, writer: &mut Writer<'_>) -> Range<usize> {
        writer.release(TAG_LEN);
        self.start..writer.position()
    }

    /// As [`Self::seal_parts`] of a 1-RTT packet that takes up all of `buffer`, which the writer was
    /// made for: whatever the header leaves is payload, and the tag. What the writer counted is not
    /// asked for again.
    #[inline(always)]
    pub fn seal_whole<K: PacketKey>(
        self,
        buffer: &mut [u8],
        header_key: &impl HeaderKey,
        protection: &mut PacketProtection<K>,
        parts: &[Part<'_, K::Chunk>],
    ) -> Result<(), SealError> {
        if self.start != 0 || self.length != LengthField::None {
            return Err(SealError::TooLong);
        }
        let (header, payload) = buffer
            .split_at_mut_checked(self.payload_at)
            .ok_or(SealError::TooShort)?;
        protection.seal_parts(self.number, header, payload, parts)?;
        protect_header(header_key, buffer, self.number_at).map_err(|_| SealError::TooShort)
    }

    // RFC 9001 §9.5: construction and protection of packet payloads and packet numbers MUST be free
    // from side channels that would reveal the packet number or its encoded size.
    #[inline(always)]
    fn try_seal<K: PacketKey>(
        self,
        writer: &mut Writer<'_>,
        header_key: &impl HeaderKey,
        protection: &mut PacketProtection<K>,
        parts: &[Part<'_, K::Chunk>],
    ) -> Result<Range<usize>, SealError> {
        if self.missing(writer) > 0 {
            return Err(SealError::TooShort);
        }
        // The room was held back.
        writer.skip(TAG_LEN).map_err(|_| SealError::TooLong)?;
        let end = writer.position();

        let packet = writer.written_mut(self.start);
        let number_at = self.number_at.saturating_sub(self.start);
        self.length
            .patch(packet, number_at)
            .map_err(|_| SealError::TooLong)?;

        let header_len = self.payload_at.saturating_sub(self.start);
        let (header, payload) = packet
            .split_at_mut_checked(header_len)
            .ok_or(SealError::TooShort)?;
        // One instance of the commoner call, without the branch on the parts.
        if parts.is_empty() {
            protection.seal(self.number, header, payload)?;
        } else {
            protection.seal_parts(self.number, header, payload, parts)?;
        }
        protect_header(header_key, packet, number_at).map_err(|_| SealError::TooShort)?;
        Ok(self.start..end)
    }
}
