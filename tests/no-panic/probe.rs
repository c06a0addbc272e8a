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

use core::ops::Range;
use kernel::alloc::{AllocError, Flags};
use quic_core::ack::{decode_ack_delay, AckTiming, Receiver};
use quic_core::bytes::{Full, Reader, Writer};
use quic_core::chunk::Chunk;
use quic_core::cid::{ConnectionId, StatelessResetToken};
use quic_core::cid_set::{CidError, CidInfo, LocalCids, RemoteCids};
use quic_core::client_hello::{ClientHello, ClientHelloError, ClientHelloReader};
use quic_core::connection::{
    Accepted, Addresses, Arrival, Config, Connection, Context, Environment, Event, ReceiveBuffer,
};
use quic_core::crypto::{
    AeadError, CipherSuite, CryptoError, CryptoProvider, HashAlgorithm, HeaderKey, InitialSecrets,
    KeyUse, Nonce, PacketKey, PacketProtection, Part, TrafficSecret,
};
use quic_core::crypto_stream::{CryptoFrame, CryptoStream};
use quic_core::datagram::{DatagramError, DatagramReceiver, DatagramSender};
use quic_core::ecn::EcnCodepoint;
use quic_core::error::TransportError;
use quic_core::frame::{
    emit_ack, Ack, AckFrequency, AckRange, EcnCounts, Frame, FrameRules, Frames, NewConnectionId,
    StreamHeader,
};
use quic_core::loss::path::{PathConfig, PathRecovery, SendAllowance, SendLimit};
use quic_core::loss::{AckInfo, Fates, Outcome, Paths, Recovery, Timeout};
use quic_core::offset::Offset;
use quic_core::packet::{
    stateless_reset, Datagram, Discard, FixedBit, Header, InvariantHeader, OpenError, Packet,
    PacketNumber, PacketNumberSpace, PacketType, ProtectedPacket, Retry, SealError,
    VersionNegotiation,
};
use quic_core::rate::Rate;
use quic_core::received::ReceivedPackets;
use quic_core::role::Role;
use quic_core::sent::{SentFlags, SentPacket};
use quic_core::sent_frame::SentFrame;
use quic_core::stream::{
    self, Choice, FrameError, Readable, RecvState, ResetError, SendState, StopError, StreamConfig,
    StreamEvent, StreamLimits, Streams, Tail, WriteError,
};
use quic_core::stream_id::{Directionality, StreamId};
use quic_core::time::{Duration, Instant};
use quic_core::token::{Client, Lifetimes, TokenKey, Validation};
use quic_core::transport_parameters::{
    HandshakeConnectionIds, PreferredAddress, TransportParameters,
};
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
    type Chunk = Fragment;

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
        _parts: &[Part<'_, Fragment>],
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
    parts: &[Part<'_, Fragment>],
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
pub struct Teller(pub &'static mut Told);

impl Fates<Content> for Teller {
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
    streams: &mut Teller,
) -> Result<Outcome, TransportError> {
    let info = AckInfo::new(frame, exponent);
    recovery.on_ack_received(space, &info, frame.ranges(), now, paths, streams)
}

#[no_mangle]
pub fn probe_timeout(
    recovery: &mut Recovery<Content>,
    now: Instant,
    paths: &mut TwoPaths,
    streams: &mut Teller,
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
    streams: &mut Teller,
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

/// A chunk of which the compiler knows nothing.
pub struct Fragment {
    memory: &'static dyn Opaque,
    len: usize,
}

impl Chunk for Fragment {
    fn len(&self) -> usize {
        self.len
    }

    fn truesize(&self) -> usize {
        self.len.wrapping_mul(2)
    }

    fn advance(&mut self, len: usize) {
        self.memory.run(&[], &mut []);
        self.len = self.len.saturating_sub(len);
    }

    fn truncate(&mut self, len: usize) {
        self.memory.run(&[], &mut []);
        self.len = self.len.min(len);
    }

    fn try_merge(&mut self, next: Self) -> Result<(), Self> {
        match self.memory.run(&[], &mut []) {
            true => {
                self.len = self.len.wrapping_add(next.len);
                Ok(())
            }
            false => Err(next),
        }
    }
}

impl Drop for Fragment {
    fn drop(&mut self) {
        self.memory.run(&[], &mut []);
    }
}

pub type ProbedStreams = Streams<Fragment, Fragment>;
pub type Report<'a> = &'a mut dyn FnMut(StreamEvent);

#[no_mangle]
pub fn probe_streams_new(role: Role, config: StreamConfig) -> ProbedStreams {
    Streams::new(role, config)
}

#[no_mangle]
pub fn probe_streams_limits(
    streams: &mut ProbedStreams,
    parameters: &TransportParameters,
    rejected: bool,
    recv_limit: usize,
    max_window: u64,
) {
    let limits = StreamLimits::from(parameters);
    match rejected {
        true => streams.on_early_data_rejected(&limits),
        false => streams.set_peer_limits(&limits),
    }
    streams.set_recv_limits(recv_limit, max_window);
}

#[no_mangle]
pub fn probe_streams_open(
    streams: &mut ProbedStreams,
    choice: Choice,
    id: StreamId,
    flags: Flags,
) -> Result<StreamId, stream::OpenError> {
    streams.open(id, flags)?;
    streams.signal_streams_blocked(choice.directionality);
    streams.next(choice.directionality)?;
    streams.choose(choice, flags)
}

#[no_mangle]
pub fn probe_streams_write(
    streams: &mut ProbedStreams,
    id: StreamId,
    chunk: Fragment,
    urgency: u8,
    flags: Flags,
) -> Result<u64, WriteError> {
    streams.write(id, chunk, flags)?;
    streams.push(id);
    streams.signal_blocked(id);
    streams.set_priority(id, urgency, urgency > 3, flags)?;
    streams.finish(id, flags)?;
    streams.write_credit(id, flags)
}

#[no_mangle]
pub fn probe_streams_reset(
    streams: &mut ProbedStreams,
    id: StreamId,
    error: VarInt,
    reliable: Offset,
    flags: Flags,
) -> (Result<(), ResetError>, Result<(), StopError>) {
    (
        streams.reset(id, error, reliable, flags),
        streams.stop(id, error, flags),
    )
}

#[no_mangle]
pub fn probe_streams_read(
    streams: &mut ProbedStreams,
    now: Instant,
    rtt: Duration,
    visit: &mut dyn FnMut(&Fragment),
) -> Option<(Readable, u64, bool)> {
    let readable = streams.next_readable()?;
    streams.peek(readable.id).for_each(visit);
    streams.consume(readable.id, readable.len, now, rtt);
    let (len, fin) = streams.readable(readable.id);
    Some((readable, len, fin))
}

#[no_mangle]
pub fn probe_streams_state(
    streams: &ProbedStreams,
    id: StreamId,
) -> Option<(Option<SendState>, Option<RecvState>)> {
    let held = streams.recv_held().wrapping_add(streams.send_held());
    let bytes = streams.unsent().wrapping_add(streams.credit());
    streams
        .states(streams.active().unwrap_or(id))
        .filter(|_| held > 0 && bytes > 0)
}

#[no_mangle]
pub fn probe_streams_frame(
    streams: &mut ProbedStreams,
    frame: &Frame<'_>,
    data: Fragment,
    flags: Flags,
    mut events: Report<'_>,
) -> Result<(), FrameError> {
    let events = &mut events;
    match *frame {
        Frame::Stream(ref frame) => streams.on_stream(frame, data, flags, events)?,
        Frame::ResetStream(ref frame) => streams.on_reset_stream(frame, flags, events)?,
        Frame::ResetStreamAt(ref frame) => streams.on_reset_stream_at(frame, flags, events)?,
        Frame::StopSending(ref frame) => streams.on_stop_sending(frame, flags, events)?,
        Frame::MaxData { maximum } => {
            streams.on_max_data(maximum);
        }
        Frame::MaxStreamData { id, maximum } => {
            streams.on_max_stream_data(id, maximum, flags, events)?
        }
        Frame::MaxStreams {
            directionality,
            maximum,
        } => streams.on_max_streams(directionality, maximum, events),
        Frame::StreamDataBlocked { id, .. } => streams.on_stream_data_blocked(id, flags)?,
        _ => {}
    }
    Ok(())
}

#[no_mangle]
pub fn probe_streams_poll(
    streams: &mut ProbedStreams,
    writer: &mut Writer<'_>,
    tail: Tail,
    flags: Flags,
    visit: &mut dyn FnMut(&Fragment, core::ops::Range<usize>),
) -> Result<Option<SentFrame>, Full> {
    if streams.has_control() {
        if let Some(frame) = streams.poll_control(writer.remaining()) {
            frame.emit(writer)?;
            return Ok(SentFrame::of(&frame));
        }
    }
    if !streams.has_stream(tail) {
        return Ok(None);
    }
    let Some(frame) = streams.poll_stream(writer.remaining(), tail, flags) else {
        return Ok(None);
    };
    frame.header().emit(writer)?;
    streams
        .pieces(&frame)
        .for_each(|piece| visit(piece.chunk, piece.range));
    Ok((frame.size() > 0).then(|| frame.record()))
}

#[no_mangle]
pub fn probe_streams_fate(
    streams: &mut ProbedStreams,
    frame: &SentFrame,
    acked: bool,
    flags: Flags,
    mut events: Report<'_>,
) {
    match acked {
        true => streams.on_acked(frame, flags, &mut events),
        false => streams.on_lost(frame, flags),
    }
}

#[no_mangle]
pub fn probe_streams_drop(streams: ProbedStreams) {
    drop(streams);
}

#[no_mangle]
pub fn probe_crypto_stream_receive(
    stream: &mut CryptoStream<Fragment, Fragment>,
    frame: &Frame<'_>,
    data: Fragment,
    flags: Flags,
    visit: &mut dyn FnMut(&Fragment),
) -> Result<u64, FrameError> {
    if let Frame::Crypto(frame) = frame {
        stream.on_crypto(frame, data, flags)?;
    }
    stream.peek().for_each(visit);
    stream.consume(frame.size());
    Ok(stream.readable())
}

#[no_mangle]
pub fn probe_crypto_stream_send(
    stream: &mut CryptoStream<Fragment, Fragment>,
    data: Fragment,
    writer: &mut Writer<'_>,
    flags: Flags,
    visit: &mut dyn FnMut(&Fragment, core::ops::Range<usize>),
) -> Option<CryptoFrame> {
    stream.write(data, flags).ok()?;
    let frame = stream.poll(writer.remaining(), flags)?;
    frame.header().emit(writer).ok()?;
    stream
        .pieces(&frame)
        .for_each(|piece| visit(piece.chunk, piece.range));
    Some(frame)
}

#[no_mangle]
pub fn probe_crypto_stream_fate(
    stream: &mut CryptoStream<Fragment, Fragment>,
    frame: &SentFrame,
    acked: bool,
    flags: Flags,
) -> (u64, usize, bool) {
    if let SentFrame::Crypto { offset, len } = *frame {
        match acked {
            true => stream.on_acked(offset, len, flags),
            false => stream.on_lost(offset, len, flags),
        }
    }
    stream.rewind();
    (stream.unacked(), stream.held().0, stream.has_data())
}

#[no_mangle]
pub fn probe_datagram_send(
    sender: &mut DatagramSender<Fragment>,
    limit: VarInt,
    data: Fragment,
    space: usize,
    memory: usize,
    writer: &mut Writer<'_>,
    flags: Flags,
) -> Result<Option<Fragment>, DatagramError> {
    sender.set_peer_limit(limit);
    sender.push(data, space, memory, flags)?;
    let Some((header, data)) = sender.poll(writer.remaining(), sender.is_empty()) else {
        return Ok(None);
    };
    header.emit(writer).map_err(|Full| DatagramError::Size)?;
    Ok(Some(data).filter(|_| sender.held() > 0))
}

#[no_mangle]
pub fn probe_datagram_receive(
    receiver: &mut DatagramReceiver<Fragment>,
    streams: &mut ProbedStreams,
    data: Fragment,
    limit: usize,
    flags: Flags,
) -> (bool, Option<usize>, u64) {
    let readable = receiver.on_datagram(data, limit, flags, || streams.interject());
    let first = receiver.peek().map(|(data, _)| data.len());
    receiver.consume(receiver.held());
    (readable, first, receiver.dropped())
}

#[no_mangle]
pub fn probe_local_cids(
    cids: &mut LocalCids,
    cid: ConnectionId,
    token: &mut dyn FnMut(&ConnectionId) -> StatelessResetToken,
    writer: &mut Writer<'_>,
    frame: &SentFrame,
    used: u32,
    flags: Flags,
    visit: &mut dyn FnMut(u32, &ConnectionId),
) -> Result<Option<ConnectionId>, TransportError> {
    for _ in 0..cids.wanted() {
        let _ = cids.issue(cid, flags);
    }
    if cids.has_pending() {
        if let Some(frame) = cids.poll(writer.remaining(), token) {
            let _ = frame.emit(writer);
        }
    }
    cids.iter().for_each(|(sequence, cid)| visit(sequence, cid));
    match *frame {
        SentFrame::NewConnectionId { sequence } => {
            cids.on_acked(sequence);
            cids.on_lost(sequence);
            cids.on_retire(sequence, Some(used))
        }
        _ => Ok(None),
    }
}

#[no_mangle]
pub fn probe_local_cids_new(
    cid: ConnectionId,
    limit: VarInt,
    active: u32,
    flags: Flags,
) -> Option<(LocalCids, Result<CidInfo, CidError>, Option<u32>)> {
    let mut cids = LocalCids::new(cid, flags).ok()?;
    cids.issue_preferred(cid, flags).ok()?;
    cids.set_peer_limit(limit);
    let changed = cids.set(active, active).map(|()| cids.info());
    let found = cids.find(&cid);
    Some((cids, changed, found))
}

#[no_mangle]
pub fn probe_remote_cids(
    cids: &mut RemoteCids,
    frame: &NewConnectionId,
    sent: &SentFrame,
    sequence: u64,
    writer: &mut Writer<'_>,
    flags: Flags,
) -> Result<Option<ConnectionId>, FrameError> {
    cids.on_new(frame, flags)?;
    let reserved = cids.reserve_unused();
    if !reserved.is_some_and(|reserved| cids.activate(reserved)) {
        cids.release(sequence);
    }
    if cids.has_pending() {
        if let Some(frame) = cids.poll(writer.remaining()) {
            let _ = frame.emit(writer);
        }
    }
    if let SentFrame::RetireConnectionId { sequence } = *sent {
        cids.on_acked(sequence);
        cids.on_lost(sequence);
    }
    Ok(cids.active().or(cids.get(sequence)).copied())
}

#[no_mangle]
pub fn probe_remote_cids_new(
    cid: ConnectionId,
    limit: usize,
    preferred: &PreferredAddress,
    token: StatelessResetToken,
    active: u64,
    flags: Flags,
) -> Option<(RemoteCids, Result<CidInfo, CidError>, bool)> {
    let mut cids = RemoteCids::new(cid, limit, flags).ok()?;
    cids.set_initial(cid);
    cids.set_initial_token(token);
    cids.add_preferred(preferred, flags).ok()?;
    let changed = cids.set(active, active).map(|()| cids.info());
    let ends = cids.is_reset_token(&token);
    Some((cids, changed, ends))
}

#[no_mangle]
pub fn probe_directionality(id: StreamId) -> Option<StreamId> {
    let other = match id.directionality() {
        Directionality::Bidirectional => Directionality::Unidirectional,
        Directionality::Unidirectional => Directionality::Bidirectional,
    };
    StreamId::nth(id.initiator(), other, id.index())
}

/// What surrounds a connection.
pub struct Surroundings {
    pub opaque: &'static dyn Opaque,
    pub provider: Provider,
}

impl Environment for Surroundings {
    type Tx = Fragment;
    type Rx = Fragment;
    type Crypto = Provider;

    fn crypto(&self) -> &Provider {
        &self.provider
    }

    fn random(&mut self, bytes: &mut [u8]) {
        self.opaque.run(&[], bytes);
    }

    fn reset_token(&self, cid: &ConnectionId) -> StatelessResetToken {
        let mut token = [0; 16];
        self.opaque.run(cid.as_slice(), &mut token);
        StatelessResetToken::new(token)
    }

    fn copy(&self, _chunk: &Fragment, _start: usize, to: &mut [u8]) {
        self.opaque.run(&[], to);
    }

    fn event(&mut self, event: Event<'_>) {
        self.opaque
            .run(&[u8::from(matches!(event, Event::Confirmed))], &mut []);
    }
}

/// The memory of a datagram.
pub trait Memory {
    fn fragment(&mut self, range: Range<usize>) -> Result<Fragment, AllocError>;
}

pub struct Buffer(pub &'static mut dyn Memory);

impl ReceiveBuffer for Buffer {
    type Chunk = Fragment;

    fn chunk(&mut self, range: Range<usize>, _bytes: &[u8]) -> Result<Fragment, AllocError> {
        self.0.fragment(range)
    }

    fn defer(&mut self, range: Range<usize>, _packet_type: PacketType) {
        let _ = self.0.fragment(range);
    }
}

type Probed = Connection<Surroundings>;
type Moment<'a> = Context<'a, Surroundings>;

#[no_mangle]
pub fn probe_connect(
    cx: &mut Moment<'_>,
    config: Config,
    addresses: Addresses,
    cid: ConnectionId,
    token: &[u8],
) -> Result<Probed, AllocError> {
    Connection::connect(cx, config, addresses, cid, token)
}

#[no_mangle]
pub fn probe_accept(
    cx: &mut Moment<'_>,
    config: Config,
    accepted: &Accepted,
    cid: ConnectionId,
) -> Result<Probed, AllocError> {
    Connection::accept(cx, config, accepted, cid)
}

#[no_mangle]
pub fn probe_connection_receive(
    connection: &mut Probed,
    cx: &mut Moment<'_>,
    arrival: &Arrival,
    bytes: &mut [u8],
    buffer: &mut Buffer,
) -> Option<Instant> {
    connection.on_datagram(cx, arrival, bytes, buffer);
    connection.timeout()
}

#[no_mangle]
pub fn probe_connection_transmit(
    connection: &mut Probed,
    cx: &mut Moment<'_>,
    datagrams: usize,
    out: &mut [u8],
) -> usize {
    let Some(mut batch) = connection.begin_batch(cx, datagrams) else {
        return 0;
    };
    let mut sent = 0_usize;
    while let Some(len) = connection.fill(cx, &mut batch, out) {
        sent = sent.wrapping_add(len);
    }
    connection.end_batch(cx, &batch);
    sent
}

#[no_mangle]
pub fn probe_connection_timeout(connection: &mut Probed, cx: &mut Moment<'_>) -> Option<Instant> {
    connection.on_timeout(cx);
    connection.timeout()
}

#[no_mangle]
pub fn probe_connection_tls(
    connection: &mut Probed,
    cx: &mut Moment<'_>,
    packet_type: PacketType,
    bytes: &[u8],
    message: Fragment,
) -> bool {
    let installed = CipherSuite::from_tls_cipher(51)
        .map(|suite| connection.install_secret(cx, packet_type, true, suite, bytes));
    let written = connection.write_crypto(packet_type.space(), message, cx.flags);
    let accepted = connection.set_peer_parameters(cx, bytes);
    connection.handshake_complete(cx);
    connection.zero_rtt_rejected(cx);
    let token = connection.send_new_token(bytes, cx.flags);
    let updated = connection.update_keys(cx);
    written.is_ok()
        && accepted.is_ok()
        && token.is_ok()
        && updated.is_ok()
        && installed.is_some_and(|installed| installed.is_ok())
}

#[no_mangle]
pub fn probe_connection_user(
    connection: &mut Probed,
    cx: &mut Moment<'_>,
    addresses: &Addresses,
    data: Fragment,
    cid: ConnectionId,
    reason: &[u8],
) -> bool {
    let sent = connection.send_datagram(data, cx.flags).is_ok();
    let issued = connection.wanted_cids() > 0 && connection.issue_cid(cid, cx.flags).is_ok();
    let moved = connection.migrate(cx, addresses.local).is_ok();
    connection.close(cx, VarInt::ZERO, reason);
    connection.close_with_alert(cx, 40);
    sent && issued && moved
}

#[no_mangle]
pub fn probe_connection_drop(connection: Probed) {
    drop(connection);
}
