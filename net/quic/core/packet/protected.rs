// SPDX-License-Identifier: GPL-2.0 OR MIT

//! [`ProtectedPacket`], [`UnprotectedHeader`], [`OpenedPacket`]: taking the protection off a received packet
//! (RFC 9001 §5).

use super::long::{NumberedHeader, FIXED_BIT, LONG_HEADER};
use super::{Discard, FixedBit, PacketNumber, PacketType, TruncatedPacketNumber};
use crate::bytes::{Reader, Truncated};
use crate::crypto::{unprotect_header, AeadError, HeaderKey, PacketKey, PacketProtection, TAG_LEN};
use crate::error::TransportError;
use crate::version::SupportedVersion;
use core::ops::Range;

/// A packet whose lengths are checked, and nothing else.
///
/// Without keys yet, keep the [`range`](Self::range) of the datagram: it is a datagram of its own.
#[derive(Debug)]
pub struct ProtectedPacket<'a> {
    bytes: &'a mut [u8],
    /// Where the packet begins in the datagram.
    offset: usize,
    layout: Layout,
}

/// Where the fields of a header are.
#[derive(Copy, Clone, Debug)]
pub(super) struct Layout {
    packet_type: PacketType,
    version: Option<SupportedVersion>,
    dcid_at: usize,
    dcid_len: usize,
    scid_at: usize,
    scid_len: usize,
    token_at: usize,
    token_len: usize,
    number_at: usize,
}

/// A packet without header protection: its number is known, but not yet to be believed.
#[derive(Debug)]
#[must_use = "the packet is still encrypted"]
pub struct UnprotectedHeader<'a> {
    packet: ProtectedPacket<'a>,
    first: u8,
    number: PacketNumber,
    number_len: usize,
}

/// A packet that the peer has sent, ready to be read.
#[derive(Copy, Clone, Debug)]
pub struct OpenedPacket<'a> {
    /// The packet number.
    pub number: PacketNumber,
    /// The frames.
    pub payload: &'a [u8],
    /// Where `payload` begins in the datagram.
    pub payload_offset: usize,
    header: &'a [u8],
    first: u8,
    layout: Layout,
}

/// Why a packet did not open.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub enum OpenError {
    /// The packet is to be dropped.
    Discard(Discard),
    /// The peer itself sent what it must not: the connection is to be closed.
    Close(TransportError),
}

/// What an [`UnprotectedHeader`] is made of whose 1-RTT packet came alone in its datagram. It is
/// less to move.
#[derive(Debug)]
pub(crate) struct ShortHeader<'a> {
    bytes: &'a mut [u8],
    first: u8,
    number: PacketNumber,
    number_len: usize,
}

/// The same of an [`OpenedPacket`].
#[derive(Debug)]
pub(crate) struct ShortPacket<'a> {
    header: &'a [u8],
    payload: &'a [u8],
    first: u8,
    number: PacketNumber,
}

impl From<Discard> for OpenError {
    fn from(discard: Discard) -> Self {
        Self::Discard(discard)
    }
}

impl From<Truncated> for OpenError {
    fn from(truncated: Truncated) -> Self {
        Self::Discard(truncated.into())
    }
}

impl Layout {
    /// A short header with a Destination Connection ID of `dcid_len` bytes.
    #[inline]
    pub(super) const fn short(dcid_len: usize) -> Self {
        Self {
            packet_type: PacketType::OneRtt,
            version: None,
            dcid_at: 1,
            dcid_len,
            scid_at: 0,
            scid_len: 0,
            token_at: 0,
            token_len: 0,
            number_at: dcid_len.saturating_add(1),
        }
    }

    /// A long header.
    pub(super) fn long(header: &NumberedHeader) -> Self {
        // The first byte, the version and the length of the connection ID come before it.
        let dcid_at = 6_usize;
        Self {
            packet_type: header.packet_type,
            version: Some(header.version),
            dcid_at,
            dcid_len: header.dcid.len(),
            scid_at: dcid_at.saturating_add(header.dcid.len()).saturating_add(1),
            scid_len: header.scid.len(),
            token_at: header.token.start,
            token_len: header.token.len(),
            number_at: header.number_at,
        }
    }

    fn dcid<'a>(&self, header: &'a [u8]) -> &'a [u8] {
        field(header, self.dcid_at, self.dcid_len)
    }

    fn scid<'a>(&self, header: &'a [u8]) -> &'a [u8] {
        field(header, self.scid_at, self.scid_len)
    }

    fn token<'a>(&self, header: &'a [u8]) -> &'a [u8] {
        field(header, self.token_at, self.token_len)
    }
}

fn field(bytes: &[u8], at: usize, len: usize) -> &[u8] {
    bytes
        .get(at..)
        .and_then(|bytes| bytes.get(..len))
        .unwrap_or_default()
}

impl<'a> ProtectedPacket<'a> {
    /// Whether a datagram begins with a short header.
    #[inline]
    pub fn is_short(datagram: &[u8]) -> bool {
        datagram
            .first()
            .is_some_and(|first| first & LONG_HEADER == 0)
    }

    /// The packet of a datagram that [begins with a short header](Self::is_short), to a connection
    /// ID of `cid_len` bytes.
    #[inline(always)]
    pub fn short(
        datagram: &'a mut [u8],
        cid_len: usize,
        fixed_bit: FixedBit,
    ) -> Result<Self, Discard> {
        let first = *datagram.first().ok_or(Discard::Truncated)?;
        // RFC 9000 §17.3.1: Packets containing a zero value for this bit are not valid packets in
        // this version and MUST be discarded.
        if fixed_bit == FixedBit::Required && first & FIXED_BIT == 0 {
            return Err(Discard::FixedBit);
        }
        let layout = Layout::short(cid_len);
        if datagram.len() < layout.number_at {
            return Err(Discard::Truncated);
        }
        Ok(Self::new(datagram, 0, layout))
    }

    #[inline(always)]
    pub(super) fn new(bytes: &'a mut [u8], offset: usize, layout: Layout) -> Self {
        Self {
            bytes,
            offset,
            layout,
        }
    }

    /// The type of the packet, which tells the keys that it needs.
    #[inline]
    pub fn packet_type(&self) -> PacketType {
        self.layout.packet_type
    }

    /// The version in a long header.
    #[inline]
    pub fn version(&self) -> Option<SupportedVersion> {
        self.layout.version
    }

    /// Destination Connection ID.
    pub fn dcid(&self) -> &[u8] {
        self.layout.dcid(self.bytes)
    }

    /// Source Connection ID, empty in a short header.
    pub fn scid(&self) -> &[u8] {
        self.layout.scid(self.bytes)
    }

    /// The token of an Initial packet, empty if there is none.
    pub fn token(&self) -> &[u8] {
        self.layout.token(self.bytes)
    }

    /// The whole packet.
    pub fn bytes(&self) -> &[u8] {
        self.bytes
    }

    /// Where the packet is in the datagram.
    pub fn range(&self) -> Range<usize> {
        self.offset..self.offset.saturating_add(self.bytes.len())
    }

    /// Removes header protection. `largest` is the largest packet number that was opened in this
    /// packet's space.
    #[inline(always)]
    pub fn unprotect_header(
        self,
        key: &impl HeaderKey,
        largest: Option<PacketNumber>,
    ) -> Result<UnprotectedHeader<'a>, Discard> {
        // RFC 9000 §10.3: Endpoints MUST discard packets that are too small to be valid QUIC
        // packets.
        let (first, truncated) = unprotect_header(key, self.bytes, self.layout.number_at)
            .map_err(|_| Discard::TooShort)?;
        let number = truncated.expand(largest).ok_or(Discard::PacketNumber)?;
        Ok(UnprotectedHeader {
            packet: self,
            first,
            number,
            number_len: truncated.size(),
        })
    }

    /// Reads a 1-RTT packet of a connection on which both endpoints sent disable_1rtt_encryption:
    /// there is neither header protection nor a tag.
    pub fn open_unencrypted(
        self,
        largest: Option<PacketNumber>,
    ) -> Result<OpenedPacket<'a>, OpenError> {
        let Self {
            bytes,
            offset,
            layout,
        } = self;
        let bytes: &'a [u8] = bytes;
        let first = *bytes.first().ok_or(Discard::Truncated)?;
        let mut reader = Reader::new(bytes);
        reader.skip(layout.number_at)?;
        let truncated = TruncatedPacketNumber::read(&mut reader, first)?;
        let number = truncated.expand(largest).ok_or(Discard::PacketNumber)?;
        let header_len = layout.number_at.saturating_add(truncated.size());
        let (header, payload) = bytes
            .split_at_checked(header_len)
            .ok_or(Discard::Truncated)?;
        OpenedPacket {
            number,
            payload,
            payload_offset: offset.saturating_add(header_len),
            header,
            first,
            layout,
        }
        .checked()
    }
}

impl<'a> UnprotectedHeader<'a> {
    /// Takes it apart, which has a short header.
    #[inline(always)]
    pub(crate) fn into_parts(self) -> ShortHeader<'a> {
        ShortHeader {
            bytes: self.packet.bytes,
            first: self.first,
            number: self.number,
            number_len: self.number_len,
        }
    }

    /// Puts it together again; its connection ID has `cid_len` bytes.
    pub(crate) fn from_parts(parts: ShortHeader<'a>, cid_len: usize) -> Self {
        Self {
            packet: ProtectedPacket::new(parts.bytes, 0, Layout::short(cid_len)),
            first: parts.first,
            number: parts.number,
            number_len: parts.number_len,
        }
    }

    /// The packet number.
    #[inline]
    pub fn number(&self) -> PacketNumber {
        self.number
    }

    /// The key phase of a 1-RTT packet, which tells the keys that it needs (RFC 9001 §6).
    #[inline]
    pub fn key_phase(&self) -> bool {
        key_phase(self.first)
    }

    /// Decrypts the payload.
    ///
    /// There is no second try: the wrong key leaves the packet undefined but for its last
    /// [`TAG_LEN`] bytes, in which a stateless reset token may be.
    // RFC 9001 §9.5: the entire process of header protection removal, packet number recovery, and
    // packet protection removal MUST be applied together without timing and other side channels.
    #[inline(always)]
    pub fn open<K: PacketKey>(
        self,
        protection: &mut PacketProtection<K>,
    ) -> Result<OpenedPacket<'a>, OpenError> {
        let ProtectedPacket {
            bytes,
            offset,
            layout,
        } = self.packet;
        let header_len = layout.number_at.saturating_add(self.number_len);
        let (header, payload) = bytes
            .split_at_mut_checked(header_len)
            .ok_or(Discard::TooShort)?;
        protection
            .open(self.number, header, payload)
            .map_err(|error| match error {
                AeadError::Unauthenticated => Discard::Unauthenticated,
                AeadError::Failed => Discard::CryptoFailed,
            })?;
        let text = payload
            .len()
            .checked_sub(TAG_LEN)
            .ok_or(Discard::TooShort)?;
        OpenedPacket {
            number: self.number,
            payload: payload.get(..text).ok_or(Discard::TooShort)?,
            payload_offset: offset.saturating_add(header_len),
            header,
            first: self.first,
            layout,
        }
        .checked()
    }
}

impl<'a> OpenedPacket<'a> {
    /// Takes it apart, which has a short header.
    #[inline(always)]
    pub(crate) fn into_parts(self) -> ShortPacket<'a> {
        ShortPacket {
            header: self.header,
            payload: self.payload,
            first: self.first,
            number: self.number,
        }
    }

    /// Puts it together again; its connection ID has `cid_len` bytes.
    pub(crate) fn from_parts(parts: ShortPacket<'a>, cid_len: usize) -> Self {
        Self {
            number: parts.number,
            payload: parts.payload,
            payload_offset: parts.header.len(),
            header: parts.header,
            first: parts.first,
            layout: Layout::short(cid_len),
        }
    }

    /// The type of the packet.
    #[inline]
    pub fn packet_type(&self) -> PacketType {
        self.layout.packet_type
    }

    /// The version in a long header.
    #[inline]
    pub fn version(&self) -> Option<SupportedVersion> {
        self.layout.version
    }

    /// Destination Connection ID.
    #[inline]
    pub fn dcid(&self) -> &'a [u8] {
        self.layout.dcid(self.header)
    }

    /// The header.
    #[inline]
    pub(crate) fn header(&self) -> &'a [u8] {
        self.header
    }

    /// Where in the header the Destination Connection ID is.
    #[inline]
    pub(crate) fn dcid_range(&self) -> Range<usize> {
        let start = self.layout.dcid_at;
        start..start.saturating_add(self.layout.dcid_len)
    }

    /// Source Connection ID, empty in a short header.
    pub fn scid(&self) -> &'a [u8] {
        self.layout.scid(self.header)
    }

    /// The token of an Initial packet, empty if there is none.
    pub fn token(&self) -> &'a [u8] {
        self.layout.token(self.header)
    }

    /// The key phase of a 1-RTT packet.
    #[inline]
    pub fn key_phase(&self) -> bool {
        key_phase(self.first)
    }

    /// The spin bit of a 1-RTT packet (RFC 9000 §17.4).
    #[inline]
    pub fn spin(&self) -> bool {
        self.first & 0x20 != 0
    }

    // RFC 9000 §17.2, §17.3.1: An endpoint MUST treat receipt of a packet that has a non-zero value
    // for these bits, after removing both packet and header protection, as a connection error
    // of type PROTOCOL_VIOLATION. Discarding such a packet after only removing header
    // protection can expose the endpoint to attacks.
    #[inline(always)]
    fn checked(self) -> Result<Self, OpenError> {
        let reserved = match self.layout.packet_type {
            PacketType::OneRtt => 0x18,
            PacketType::Initial | PacketType::ZeroRtt | PacketType::Handshake => 0x0c,
        };
        if self.first & reserved != 0 {
            return Err(OpenError::Close(TransportError::protocol_violation(
                "reserved bits are set",
            )));
        }
        Ok(self)
    }
}

#[inline]
const fn key_phase(first: u8) -> bool {
    first & 0x04 != 0
}
