// SPDX-License-Identifier: GPL-2.0 OR MIT

//! Instantiates the generic functions of `quic_core`, so that the object of this file shows whether
//! any can panic.
//!
//! `tests/no-panic/run` compiles it and looks at its symbols. Every function here is one entry into
//! the crate; what it is given comes from outside, so that the compiler can conclude nothing about
//! it.

// The functions are never called; their names are looked for in the object.
#![allow(clippy::no_mangle_with_rust_abi)]
#![no_std]
#![allow(missing_docs, clippy::too_many_arguments)]

use kernel::alloc::{AllocError, Flags};
use quic_core::ack::{decode_ack_delay, AckTiming, Receiver};
use quic_core::bytes::{Full, Reader, Writer};
use quic_core::cid::{ConnectionId, StatelessResetToken};
use quic_core::client_hello::{ClientHello, ClientHelloError, ClientHelloReader};
use quic_core::crypto::{
    AeadError, CipherSuite, CryptoError, CryptoProvider, HashAlgorithm, HeaderKey, InitialSecrets,
    KeyUse, Nonce, PacketKey, PacketProtection, Part, TrafficSecret,
};
use quic_core::ecn::EcnCodepoint;
use quic_core::error::TransportError;
use quic_core::frame::{
    emit_ack, Ack, AckFrequency, AckRange, EcnCounts, Frame, FrameRules, Frames, StreamHeader,
};
use quic_core::loss::path::{PathConfig, PathRecovery, SendAllowance, SendLimit};
use quic_core::loss::{AckInfo, Fates, Outcome, Paths, Recovery, Timeout};
use quic_core::packet::{
    stateless_reset, Datagram, Discard, FixedBit, Header, InvariantHeader, OpenError, Packet,
    PacketNumber, PacketNumberSpace, PacketType, ProtectedPacket, Retry, SealError,
    VersionNegotiation,
};
use quic_core::rate::Rate;
use quic_core::received::ReceivedPackets;
use quic_core::role::Role;
use quic_core::sent::{SentFlags, SentPacket};
use quic_core::time::{Duration, Instant};
use quic_core::token::{Client, Lifetimes, TokenKey, Validation};
use quic_core::transport_parameters::{HandshakeConnectionIds, TransportParameters};
use quic_core::varint::VarInt;
use quic_core::version::negotiation::{self, ClientNegotiation, NegotiationAnswer};
use quic_core::version::{SupportedVersion, Version, VersionInformation};

/// Ciphers of which the compiler knows nothing.
pub trait Opaque {
    fn run(&self, input: &[u8], output: &mut [u8]) -> bool;
}

pub struct Key(pub &'static dyn Opaque);

impl HeaderKey for Key {
    fn mask(&self, sample: &[u8; 16]) -> [u8; 5] {
        let mut mask = [0; 5];
        self.0.run(sample, &mut mask);
        mask
    }
}

impl PacketKey for Key {
    type Chunk = &'static [u8];

    fn seal(
        &mut self,
        nonce: &Nonce,
        _header: &[u8],
        payload: &mut [u8],
    ) -> Result<(), CryptoError> {
        self.0.run(nonce, payload).then_some(()).ok_or(CryptoError)
    }

    fn seal_parts(
        &mut self,
        nonce: &Nonce,
        _header: &[u8],
        payload: &mut [u8],
        _parts: &[Part<'_, &'static [u8]>],
    ) -> Result<(), CryptoError> {
        self.0.run(nonce, payload).then_some(()).ok_or(CryptoError)
    }

    fn open(&mut self, nonce: &Nonce, _header: &[u8], payload: &mut [u8]) -> Result<(), AeadError> {
        self.0
            .run(nonce, payload)
            .then_some(())
            .ok_or(AeadError::Unauthenticated)
    }

    fn rekey(&mut self, key: &[u8]) -> Result<(), CryptoError> {
        self.0.run(key, &mut []).then_some(()).ok_or(CryptoError)
    }
}

pub struct Provider(pub &'static dyn Opaque);

impl CryptoProvider for Provider {
    type HeaderKey = Key;
    type PacketKey = Key;

    fn hmac(&self, _hash: HashAlgorithm, key: &[u8], data: &[&[u8]], output: &mut [u8; 48]) {
        self.0.run(key, output);
        data.iter().for_each(|data| {
            self.0.run(data, output);
        });
    }

    fn header_key(
        &self,
        _suite: CipherSuite,
        _key: &[u8],
        _usage: KeyUse,
    ) -> Result<Key, CryptoError> {
        Ok(Key(self.0))
    }

    fn packet_key(
        &self,
        _suite: CipherSuite,
        _key: &[u8],
        _usage: KeyUse,
    ) -> Result<Key, CryptoError> {
        Ok(Key(self.0))
    }

    fn retry_tag(
        &self,
        key: &[u8; 16],
        _nonce: &Nonce,
        _header: &[&[u8]],
    ) -> Result<[u8; 16], CryptoError> {
        let mut tag = [0; 16];
        self.0.run(key, &mut tag).then_some(tag).ok_or(CryptoError)
    }
}

#[no_mangle]
pub fn probe_datagram(
    bytes: &mut [u8],
    local_cid_len: usize,
    fixed_bit: FixedBit,
    largest: Option<PacketNumber>,
    header: &Key,
    protection: &mut PacketProtection<Key>,
    rules: &FrameRules,
    visit: &mut dyn FnMut(Result<Frame<'_>, TransportError>),
    discard: &mut dyn FnMut(OpenError),
) {
    for packet in Datagram::new(bytes, local_cid_len, fixed_bit) {
        let opened = match packet {
            Ok(Packet::Protected(packet)) => packet
                .unprotect_header(header, largest)
                .map_err(OpenError::from)
                .and_then(|header| header.open(protection)),
            Ok(Packet::Retry(_)) | Ok(Packet::VersionNegotiation(_)) => continue,
            Err(error) => Err(OpenError::Discard(error)),
        };
        match opened {
            Ok(packet) => match Frames::new(packet.payload, packet.packet_type(), rules) {
                Ok(frames) => frames.for_each(&mut *visit),
                Err(error) => visit(Err(error)),
            },
            Err(error) => discard(error),
        }
    }
}

#[no_mangle]
pub fn probe_unencrypted(
    packet: ProtectedPacket<'_>,
    largest: Option<PacketNumber>,
) -> Result<usize, OpenError> {
    let token = packet.token().len().wrapping_add(packet.scid().len());
    let packet = packet.open_unencrypted(largest)?;
    Ok(packet
        .payload_offset
        .wrapping_add(packet.dcid().len())
        .wrapping_add(token))
}

#[no_mangle]
pub fn probe_ranges(frame: &Frame<'_>, visit: &mut dyn FnMut(AckRange)) {
    if let Frame::Ack(ack) = frame {
        ack.ranges().for_each(visit);
    }
}

#[no_mangle]
pub fn probe_frame_emit(frame: &Frame<'_>, writer: &mut Writer<'_>) -> Result<usize, Full> {
    frame.emit(writer)?;
    Ok(frame.size())
}

#[no_mangle]
pub fn probe_ack_emit(
    writer: &mut Writer<'_>,
    delay: VarInt,
    ecn: Option<EcnCounts>,
    ranges: &[AckRange],
) -> Result<usize, Full> {
    emit_ack(writer, delay, ecn, ranges.iter().copied())
}

#[no_mangle]
pub fn probe_stream_emit(
    header: &StreamHeader,
    writer: &mut Writer<'_>,
    data: &[u8],
) -> Result<(), Full> {
    header.emit(writer)?;
    writer.bytes(data)
}

#[no_mangle]
pub fn probe_seal(
    header: &Header<'_>,
    writer: &mut Writer<'_>,
    number: PacketNumber,
    acked: Option<PacketNumber>,
    key: &Key,
    protection: &mut PacketProtection<Key>,
    parts: &[Part<'_, &'static [u8]>],
) -> Result<core::ops::Range<usize>, SealError> {
    let packet = header
        .emit(writer, number, acked, true)
        .map_err(|_| SealError::TooLong)?;
    let missing = packet.missing(writer);
    let _ = writer.fill(missing, 0);
    packet.seal_parts(writer, key, protection, parts)
}

#[no_mangle]
pub fn probe_keys(
    provider: &Provider,
    dcid: &ConnectionId,
    version: SupportedVersion,
) -> Option<Key> {
    let secrets = InitialSecrets::derive(provider, version, dcid);
    let next = secrets.client.next(provider);
    let mut protection = next.packet_protection(provider, KeyUse::Initial).ok()?;
    secrets.server.rekey(provider, &mut protection).ok()?;
    secrets.server.header_key(provider, KeyUse::Initial).ok()
}

#[no_mangle]
pub fn probe_secret(suite: u32, version: SupportedVersion, secret: &[u8]) -> Option<TrafficSecret> {
    TrafficSecret::new(CipherSuite::from_tls_cipher(suite)?, version, secret)
}

#[no_mangle]
pub fn probe_retry(
    provider: &Provider,
    bytes: &mut [u8],
    version: SupportedVersion,
    scid: &ConnectionId,
    dcid: &ConnectionId,
    writer: &mut Writer<'_>,
) -> bool {
    let Some(Ok(Packet::Retry(retry))) = Datagram::new(bytes, 8, FixedBit::Required).next() else {
        return false;
    };
    match retry.verify(provider, version, scid, dcid) {
        Ok(Some(Retry { token, .. })) => Retry {
            version,
            dcid: *dcid,
            scid: *scid,
            token,
        }
        .emit(writer, provider, dcid, 0)
        .is_ok(),
        _ => false,
    }
}

#[no_mangle]
pub fn probe_version_negotiation(
    bytes: &mut [u8],
    writer: &mut Writer<'_>,
    preference: &[SupportedVersion],
    original: Version,
) -> Option<NegotiationAnswer> {
    if let Ok(InvariantHeader::Long { dcid, scid, .. }) = InvariantHeader::parse(bytes) {
        VersionNegotiation::emit(
            writer,
            scid,
            dcid,
            preference.iter().map(|version| version.wire()),
            0,
        )
        .ok()?;
    }
    match Datagram::new(bytes, 8, FixedBit::Required).next()? {
        Ok(Packet::VersionNegotiation(packet)) => Some(negotiation::answer_negotiation_packet(
            preference,
            original,
            packet.versions,
        )),
        Ok(_) | Err(Discard::Truncated) => None,
        Err(_) => None,
    }
}

#[no_mangle]
pub fn probe_check_server(
    negotiation: &ClientNegotiation<'_>,
    server: Option<&VersionInformation>,
    chosen: SupportedVersion,
) -> Result<SupportedVersion, TransportError> {
    negotiation.check_server(server)?;
    Ok(negotiation::select_compatible(
        negotiation.preference,
        chosen,
        server,
    ))
}

#[no_mangle]
pub fn probe_stateless_reset(
    provider: &Provider,
    writer: &mut Writer<'_>,
    cid: &ConnectionId,
    random: &[u8],
) -> Option<bool> {
    let token = StatelessResetToken::derive(provider, random, cid);
    let len = stateless_reset::answer_len(random.len())?;
    stateless_reset::emit(writer, &token, random.get(..len)?).ok()?;
    Some(StatelessResetToken::at_end_of(random) == Some(token))
}

#[no_mangle]
pub fn probe_parameters(
    bytes: &[u8],
    sender: Role,
    seen: &HandshakeConnectionIds,
    writer: &mut Writer<'_>,
    grease: Option<u64>,
) -> Result<(), TransportError> {
    let parameters = TransportParameters::parse(bytes, sender)?;
    parameters.authenticate(sender, seen)?;
    parameters.check_zero_rtt(&parameters.remembered())?;
    parameters
        .emit(writer, sender, grease)
        .map_err(|Full| TransportError::transport_parameter("no room"))
}

#[no_mangle]
pub fn probe_client_hello(
    reader: &mut ClientHelloReader,
    offset: VarInt,
    data: &[u8],
    flags: Flags,
    visit: &mut dyn FnMut(&[u8]),
) -> Result<bool, ClientHelloError> {
    reader.push(offset, data, flags)?;
    let hello: Option<ClientHello<'_>> = reader.client_hello()?;
    if let Some(names) = hello.and_then(|hello| hello.alpn) {
        names.for_each(visit);
    }
    Ok(hello.is_some())
}

#[no_mangle]
pub fn probe_token(
    provider: &Provider,
    secret: &[u8; 32],
    token: &[u8],
    now: Instant,
    client: &Client,
    cid: &ConnectionId,
    writer: &mut Writer<'_>,
) -> Result<Validation, CryptoError> {
    let mut key = TokenKey::derive(provider, secret, Lifetimes::default())?;
    let _ = key.seal_retry(writer, [0; 12], now, client, cid, cid);
    let _ = key.seal_new_token(writer, [1; 12], now, client);
    key.open(token, now, client, cid)
}

#[no_mangle]
pub fn probe_number(
    number: PacketNumber,
    acked: Option<PacketNumber>,
    largest: Option<PacketNumber>,
) -> Option<u64> {
    Some(number.truncate(acked)?.expand(largest)?.get())
}

#[no_mangle]
pub fn probe_reader(bytes: &[u8], packet_type: PacketType) -> usize {
    let mut reader = Reader::new(bytes);
    let _ = (
        reader.u24(),
        reader.vec8(),
        reader.varint(),
        reader.vec16(),
        reader.u64(),
        packet_type.space(),
    );
    reader.remaining()
}

/// What was in a packet: a piece of a stream, or an index.
pub type Content = [u64; 3];

pub struct TwoPaths(PathRecovery, PathRecovery);

impl Paths for TwoPaths {
    fn path(&mut self, index: u8) -> Option<&mut PathRecovery> {
        match index {
            0 => Some(&mut self.0),
            1 => Some(&mut self.1),
            _ => None,
        }
    }

    fn for_each(&mut self, mut visit: impl FnMut(u8, &mut PathRecovery)) {
        visit(0, &mut self.0);
        visit(1, &mut self.1);
    }
}

type Told = dyn FnMut(PacketNumberSpace, PacketNumber, &SentPacket<Content>, bool);

/// The streams, which hear what becomes of their packets.
pub struct Streams(pub &'static mut Told);

impl Fates<Content> for Streams {
    fn on_acked(
        &mut self,
        space: PacketNumberSpace,
        pn: PacketNumber,
        packet: &SentPacket<Content>,
    ) {
        (self.0)(space, pn, packet, packet.is_lost());
    }

    fn on_lost(
        &mut self,
        space: PacketNumberSpace,
        pn: PacketNumber,
        packet: &SentPacket<Content>,
    ) {
        (self.0)(space, pn, packet, packet.is_ack_eliciting());
    }
}

#[no_mangle]
pub fn probe_send(
    recovery: &mut Recovery<Content>,
    space: PacketNumberSpace,
    path: u8,
    flags: SentFlags,
    contents: &[(u16, Content)],
    random: u64,
    now: Instant,
    paths: &mut TwoPaths,
    alloc: Flags,
) -> Result<Option<PacketNumber>, AllocError> {
    recovery.reserve(space, contents.len(), alloc)?;
    for (size, content) in contents {
        let Some(pn) = recovery.next_packet_number(space, || random) else {
            return Ok(None);
        };
        let packet = SentPacket::new(now, *size, path, flags, *content);
        recovery.on_packet_sent(space, pn, packet, paths, alloc)?;
    }
    recovery.on_batch_sent(space, now, paths);
    Ok(recovery.largest_acked(space))
}

#[no_mangle]
pub fn probe_ack(
    recovery: &mut Recovery<Content>,
    frame: &Ack<'_>,
    exponent: u8,
    space: PacketNumberSpace,
    now: Instant,
    paths: &mut TwoPaths,
    streams: &mut Streams,
) -> Result<Outcome, TransportError> {
    let info = AckInfo::new(frame, exponent);
    recovery.on_ack_received(space, &info, frame.ranges(), now, paths, streams)
}

#[no_mangle]
pub fn probe_timeout(
    recovery: &mut Recovery<Content>,
    now: Instant,
    paths: &mut TwoPaths,
    streams: &mut Streams,
    visit: &mut dyn FnMut(PacketNumber, &SentPacket<Content>),
) -> Option<Instant> {
    if let Timeout::Probe { space, .. } = recovery.on_loss_detection_timeout(now, paths, streams) {
        if recovery.has_ack_eliciting_in_flight(space) {
            recovery
                .outstanding(space)
                .for_each(|(pn, packet)| visit(pn, packet));
        }
    }
    recovery.loss_detection_timer()
}

#[no_mangle]
pub fn probe_handshake(
    recovery: &mut Recovery<Content>,
    space: PacketNumberSpace,
    delay: Duration,
    index: u8,
    now: Instant,
    paths: &mut TwoPaths,
    streams: &mut Streams,
) -> Duration {
    recovery.skip_packet_numbers(space, delay.as_nanos());
    recovery.set_max_ack_delay(delay);
    recovery.set_has_handshake_keys();
    recovery.set_handshake_confirmed();
    recovery.set_amplification_limited(recovery.pto_count() > index);
    recovery.set_active_path(index);
    recovery.on_retry(now, paths, streams);
    recovery.on_zero_rtt_rejected(now, paths, streams);
    recovery.on_space_discarded(space, now, paths);
    recovery.set_loss_detection_timer(now, paths);
    recovery.trim();
    recovery.pto(paths)
}

#[no_mangle]
pub fn probe_new_recovery(role: Role) -> Recovery<Content> {
    Recovery::new(role)
}

#[no_mangle]
pub fn probe_path(
    path: &mut PathRecovery,
    config: &PathConfig,
    now: Instant,
    size: u16,
    rate: u64,
    limit: SendLimit,
    alloc: Flags,
) -> Result<SendAllowance, AllocError> {
    path.set_algorithm(config.algorithm, config, alloc)?;
    path.set_max_pacing_rate(Rate::from_bytes_per_second(rate));
    let _ = (
        path.mtu_probe(now),
        path.set_max_udp_payload(size),
        path.set_max_datagram_size(size),
        path.on_packet_too_big(size, now),
        path.pacing_rate().map(Rate::as_bytes_per_second),
    );
    path.on_send_stopped(limit);
    path.trim();
    Ok(path.send_allowance(now))
}

#[no_mangle]
pub fn probe_receiver(
    receiver: &mut Receiver,
    pn: PacketNumber,
    tos: u8,
    frequency: &AckFrequency,
    writer: &mut Writer<'_>,
    now: Instant,
    alloc: Flags,
) -> Result<Option<Duration>, Full> {
    if receiver.is_duplicate(pn) {
        receiver.on_ack_lost(pn);
        receiver.on_ack_acked(pn);
        return Ok(None);
    }
    receiver.on_ack_frequency(frequency);
    receiver.on_immediate_ack();
    receiver.on_packet_received(pn, tos > 4, EcnCodepoint::from_tos(tos), now, alloc);
    if receiver.timing(now) == AckTiming::Now {
        receiver.emit(writer, now, tos)?;
        receiver.on_ack_sent(pn, receiver.wants_ping());
    }
    Ok(Some(decode_ack_delay(receiver.ack_delay(now, tos), tos)))
}

#[no_mangle]
pub fn probe_received(
    received: &mut ReceivedPackets,
    from: PacketNumber,
    to: PacketNumber,
    alloc: Flags,
    visit: &mut dyn FnMut(AckRange),
) -> Option<PacketNumber> {
    received.insert(from, alloc);
    received.descending().for_each(visit);
    received.forget_below(to);
    received.first_missing(from, to)
}
