// SPDX-License-Identifier: GPL-2.0 OR MIT

//! [`Connection`]: one QUIC connection, client or server (RFC 9000).
//!
//! ```text
//!   socket             Connection                                     wire
//!   streams() -------> Streams ---+
//!   datagrams ------------------- +--> build --> Keys --> fill() ----> datagrams
//!   TLS: write_crypto() --------- +      |                              |
//!        install_secret() --> Keys       v                              |
//!                                     Recovery (what was sent)          |
//!                                        ^                              v
//!   Event <---------- frames <---------- acks ---- Keys <------- on_datagram()
//!                                 timeout(), on_timeout()
//! ```
//!
//! A connection does nothing by itself. Its owner, who holds its lock,
//!
//! 1. passes what arrives to [`Connection::on_datagram`], and the passage of time to
//!    [`Connection::on_timeout`];
//! 2. calls what the user wants: [`Connection::streams`], [`Connection::close`] and so on;
//! 3. after either, sends what [`Connection::begin_batch`] gives until it gives nothing, and sets
//!    its one timer to [`Connection::timeout`].
//!
//! Whatever the peer does, a connection holds a bounded amount of memory: the limits are in the
//! configuration, and constants where they are enforced. Memory that cannot be had is a packet
//! that is lost, on either side; nothing that was acknowledged or written is.
//!
//! A packet number space is not a path: [`Recovery`] has the three spaces, and each of the paths in
//! `path` has what is known of the network there.

mod body;
mod build;
mod bulk;
mod close;
mod config;
mod contents;
mod environment;
mod event;
mod frames;
mod keys;
mod migration;
mod one_rtt;
mod path;
mod receive;
mod timers;
mod tls;
mod transmit;

#[cfg(test)]
mod tests;

pub use close::State;
pub use config::Config;
pub use environment::{Addresses, Context, Environment, ReceiveBuffer};
pub use event::{CloseReason, Event};
pub use migration::MigrateError;
pub use receive::Arrival;
pub use tls::{NewTokenError, SecretError, UpdateError};
pub use transmit::Batch;

use crate::ack::{AckTiming, Receiver};
use crate::cid::ConnectionId;
use crate::cid_set::{LocalCids, RemoteCids};
use crate::crypto_stream::CryptoStream;
use crate::datagram::{DatagramError, DatagramReceiver, DatagramSender};
use crate::frame::{AckFrequency, FrameRules};
use crate::loss::path::PathRecovery;
use crate::loss::{Outcome, Recovery, Timeout};
use crate::packet::{PacketNumberSpace, PacketType};
use crate::role::Role;
use crate::stream::Streams;
use crate::time::{Duration, Instant};
use crate::transport_parameters::TransportParameters;
use crate::varint::VarInt;
use crate::version::{SupportedVersion, VersionInformation};
use body::{Body, Delivery, Reporter, Space};
use close::Closing;
use config::Settings;
use contents::{Content, Contents};
use kernel::alloc::{AllocError, Flags, KBox, KVec};
use keys::Keys;
use path::{Path, PathSet};
use timers::{Timer, Timers};

/// Counters of a connection. Those of what is rare stop at the end of their range.
#[derive(Copy, Clone, PartialEq, Eq, Debug, Default)]
pub struct Stats {
    /// Datagrams that came in.
    pub datagrams_received: u64,
    /// Bytes in them.
    pub bytes_received: u64,
    /// Packets whose frames took effect.
    pub packets_received: u64,
    /// Packets that had been received before.
    pub packets_duplicate: u32,
    /// Packets that were none of this connection, or could not be read.
    pub packets_discarded: u32,
    /// Packets that had to be dropped for want of memory.
    pub packets_refused: u32,
    /// Datagrams that went out.
    pub datagrams_sent: u64,
    /// Bytes in them.
    pub bytes_sent: u64,
    /// Packets in them.
    pub packets_sent: u64,
    /// ACK frames or timeouts that found packets to be lost.
    pub loss_events: u32,
    /// Probe timeouts.
    pub probe_timeouts: u32,
    /// Times of persistent congestion.
    pub persistent_congestion: u32,
}

impl Stats {
    #[inline]
    fn on_outcome(&mut self, outcome: &Outcome) {
        self.loss_events = self.loss_events.saturating_add(u32::from(outcome.lost));
        self.persistent_congestion = self
            .persistent_congestion
            .saturating_add(u32::from(outcome.persistent_congestion));
    }
}

/// What the first packets of a connection have shown a server.
#[derive(Copy, Clone, Debug)]
pub struct Accepted {
    /// Between which addresses.
    pub addresses: Addresses,
    /// The version of the client's packets.
    pub version: SupportedVersion,
    /// Destination Connection ID of the packet at hand.
    pub dcid: ConnectionId,
    /// Source Connection ID of the client.
    pub scid: ConnectionId,
    /// Destination Connection ID of the client's very first packet: another than `dcid` if that
    /// answers a Retry packet.
    pub original_dcid: ConnectionId,
    /// Whether a token has shown that the client is at its address.
    pub validated: bool,
}

/// What only the handshake needs.
struct Negotiation {
    /// Our transport parameters.
    parameters: TransportParameters,
    /// The versions that we speak, the preferred first.
    versions: &'static [SupportedVersion],
    /// The Source Connection ID of the peer's first packet.
    peer_cid: Option<ConnectionId>,
    retry_source: Option<ConnectionId>,
    /// What Initial packets of a client carry.
    token: KVec<u8>,
}

/// A connection.
pub struct Connection<E: Environment> {
    role: Role,
    state: State,
    version: SupportedVersion,
    config: Settings,
    /// What only the handshake needs, until it is confirmed.
    negotiation: Option<KBox<Negotiation>>,
    rules: FrameRules,
    /// The parameters of the peer, or those remembered of it, or the defaults.
    peer: TransportParameters,
    original_dcid: ConnectionId,
    local_cid: ConnectionId,
    keys: Keys<E::Crypto>,
    recovery: Recovery<Content>,
    paths: PathSet,
    body: Body<E>,
    timers: Timers,
    closing: Closing,
    stats: Stats,
    ack_frequency_request: Option<AckFrequency>,
    grease_bits: u64,
    /// Key phases that the peer has begun.
    updates: u32,
    has_peer_parameters: bool,
    has_preferred: bool,
    remembered: bool,
    zero_rtt_accepted: bool,
    /// The TLS handshake is complete.
    complete: bool,
    /// The handshake is confirmed.
    confirmed: bool,
    initial_discarded: bool,
    handshake_discarded: bool,
    amplification_limited: bool,
    /// There is no packet number for another packet.
    out_of_numbers: bool,
    /// A packet of the peer was processed.
    heard: bool,
    eliciting_since_heard: bool,
    /// When the idle timer was last set anew.
    idle_since: Instant,
    ping_due: bool,
    /// Whether the spin bit is used, and its value.
    spins: bool,
    spin: bool,
}

impl<E: Environment> Connection<E> {
    /// A client's connection from `addresses.local` to `addresses.remote`. Its packets will arrive
    /// with Destination Connection ID `local_cid`.
    ///
    /// `token` is what a NEW_TOKEN frame of the server brought earlier, or empty.
    pub fn connect(
        cx: &mut Context<'_, E>,
        config: Config,
        addresses: Addresses,
        local_cid: ConnectionId,
        token: &[u8],
    ) -> Result<Self, AllocError> {
        // RFC 9000 §7.2: the Destination Connection ID field is populated with an unpredictable
        // value. This Destination Connection ID MUST be at least 8 bytes in length.
        let mut random = [0; ConnectionId::MIN_INITIAL_LEN];
        cx.env.random(&mut random);
        // RFC 9000 §7.2: Until a packet is received from the server, the client MUST use the same
        // Destination Connection ID value on all packets in this connection.
        let dcid = ConnectionId::new(&random).ok_or(AllocError)?;
        let mut connection = Self::new(cx, Role::Client, config, addresses, local_cid, dcid, dcid)?;
        let negotiation = connection.negotiation.as_mut().ok_or(AllocError)?;
        negotiation.token.extend_from_slice(token, cx.flags)?;
        connection.fill_version_information();
        if let Some(path) = connection.paths.active_mut() {
            // The client chose the address.
            path.validated = true;
        }
        Ok(connection)
    }

    /// A server's connection with a client whose first packet is at hand; it is to be passed to
    /// [`Self::on_datagram`] next. Packets will arrive with Destination Connection ID `local_cid`,
    /// or until the client knows that, with the one of the first packet; and with the one of
    /// `config.parameters.preferred_address`, if that is given.
    pub fn accept(
        cx: &mut Context<'_, E>,
        config: Config,
        accepted: &Accepted,
        local_cid: ConnectionId,
    ) -> Result<Self, AllocError> {
        let config = Config {
            version: accepted.version,
            ..config
        };
        let mut connection = Self::new(
            cx,
            Role::Server,
            config,
            accepted.addresses,
            local_cid,
            accepted.dcid,
            accepted.scid,
        )?;
        // RFC 9000 §7.2: A server MUST set the Destination Connection ID it uses for sending
        // packets based on the first received Initial packet.
        connection.original_dcid = accepted.original_dcid;
        let negotiation = connection.negotiation.as_mut().ok_or(AllocError)?;
        let Negotiation {
            parameters,
            peer_cid,
            retry_source,
            ..
        } = &mut **negotiation;
        *peer_cid = Some(accepted.scid);
        // RFC 9000 §7.3: The values provided by a peer for these transport parameters MUST match
        // the values that an endpoint used in the Destination and Source Connection ID fields of
        // Initial packets that it sent.
        parameters.original_destination_connection_id = Some(accepted.original_dcid);
        if accepted.dcid != accepted.original_dcid {
            *retry_source = Some(accepted.dcid);
            parameters.retry_source_connection_id = Some(accepted.dcid);
        }
        parameters.stateless_reset_token = Some(cx.env.reset_token(&local_cid));
        if let Some(preferred) = &mut parameters.preferred_address {
            let cid = preferred.connection_id;
            preferred.stateless_reset_token = cx.env.reset_token(&cid);
            connection.body.local_cids.issue_preferred(cid, cx.flags)?;
        }
        connection.fill_version_information();
        if let Some(path) = connection.paths.active_mut() {
            path.validated = accepted.validated;
        }
        connection.update_amplification(cx.now);
        Ok(connection)
    }

    fn new(
        cx: &mut Context<'_, E>,
        role: Role,
        mut config: Config,
        addresses: Addresses,
        local_cid: ConnectionId,
        initial_dcid: ConnectionId,
        remote_cid: ConnectionId,
    ) -> Result<Self, AllocError> {
        // [rfc9000-7.3-1]
        config.parameters.initial_source_connection_id = Some(local_cid);
        let mut keys = Keys::new(cx.flags)?;
        keys.set_initial(cx.env.crypto(), role, config.version, &initial_dcid)
            .map_err(|_| AllocError)?;
        let mut random = [[0; 8]; 2];
        for bytes in &mut random {
            cx.env.random(bytes);
        }
        let [seed, bits] = random.map(u64::from_le_bytes);
        let settings = Settings::from(&config);
        let payload = settings.max_udp_payload(&addresses, &TransportParameters::default());
        let recovery = settings.path(cx, payload, seed)?;
        let limit = config.parameters.active_connection_id_limit.get();
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        let delay = Duration::from_millis(u64::from(config.parameters.max_ack_delay));
        let space = |space| Space {
            receiver: Receiver::new(space, delay),
            crypto: CryptoStream::new(),
            probes: 0,
        };
        let mut connection = Self {
            role,
            state: State::Open,
            version: config.version,
            rules: config.parameters.frame_rules(role),
            peer: TransportParameters::default(),
            original_dcid: initial_dcid,
            local_cid,
            keys,
            recovery: Recovery::new(role),
            paths: PathSet::new(Path::new(addresses, recovery), cx.flags)?,
            body: Body {
                early: Some(KBox::new(
                    [
                        space(PacketNumberSpace::Initial),
                        space(PacketNumberSpace::Handshake),
                    ],
                    cx.flags,
                )?),
                application: space(PacketNumberSpace::ApplicationData),
                streams: Streams::new(role, config.streams()),
                datagrams_out: DatagramSender::new(),
                datagrams_in: DatagramReceiver::new(),
                local_cids: LocalCids::new(local_cid, cx.flags)?,
                remote_cids: RemoteCids::new(remote_cid, limit, cx.flags)?,
                contents: Contents::new(),
                handshake_done: Delivery::No,
                new_token: KVec::new(),
                new_token_delivery: Delivery::No,
                ack_frequency: Delivery::No,
                ack_frequency_sequence: VarInt::ZERO,
            },
            timers: Timers::new(),
            closing: Closing::default(),
            stats: Stats::default(),
            ack_frequency_request: None,
            grease_bits: bits,
            updates: 0,
            has_peer_parameters: false,
            has_preferred: false,
            remembered: false,
            zero_rtt_accepted: false,
            complete: false,
            confirmed: false,
            initial_discarded: false,
            handshake_discarded: false,
            amplification_limited: false,
            out_of_numbers: false,
            heard: false,
            eliciting_since_heard: false,
            idle_since: Instant::from_nanos(0),
            ping_due: false,
            // RFC 9000 §17.4: endpoints MUST disable their use of the spin bit for a random
            // selection of at least one in every 16 network paths.
            spins: config.spin_bit && bits >> 60 != 0,
            spin: false,
            config: settings,
            negotiation: Some(KBox::new(
                Negotiation {
                    parameters: config.parameters,
                    versions: config.versions,
                    peer_cid: None,
                    retry_source: None,
                    token: KVec::new(),
                },
                cx.flags,
            )?),
        };
        connection
            .recovery
            .set_loss_detection_timer(cx.now, &mut connection.paths);
        connection.restart_idle_timer(cx.now);
        Ok(connection)
    }

    fn fill_version_information(&mut self) {
        // RFC 9368 §3: the client lists the versions that are compatible with the one it begins
        // with, the server all it speaks.
        if let Some(negotiation) = &mut self.negotiation {
            negotiation.parameters.version_information = Some(VersionInformation::new(
                self.version.wire(),
                negotiation.versions,
            ));
        }
    }

    /// The version that the client began with.
    fn original_version(&self) -> SupportedVersion {
        self.config.version
    }

    /// The Source Connection ID of the peer's first packet, as long as that matters.
    fn peer_cid(&self) -> Option<ConnectionId> {
        self.negotiation.as_ref()?.peer_cid
    }

    /// The Source Connection ID of the Retry packet, as long as that matters.
    fn retry_source(&self) -> Option<ConnectionId> {
        self.negotiation.as_ref()?.retry_source
    }

    /// The versions that we speak, as long as that matters.
    fn versions(&self) -> &'static [SupportedVersion] {
        self.negotiation
            .as_ref()
            .map_or(&[], |negotiation| negotiation.versions)
    }

    /// The connection ID from which the keys of Initial packets follow.
    fn initial_keys_dcid(&self) -> ConnectionId {
        self.retry_source().unwrap_or(self.original_dcid)
    }

    fn random_u64(&self, cx: &mut Context<'_, E>) -> u64 {
        let mut bytes = [0; 8];
        cx.env.random(&mut bytes);
        u64::from_le_bytes(bytes)
    }

    /// When [`Self::on_timeout`] is to be called, unless something else happens before.
    pub fn timeout(&self) -> Option<Instant> {
        let next = match self.state {
            State::Open => {
                let loss = self.recovery.loss_detection_timer();
                self.timers
                    .next()
                    .min(loss.unwrap_or(Instant::FAR_FUTURE))
                    .min(self.ack_deadline())
            }
            // What else a late call may have set does not count any more.
            State::Closing | State::Draining => self.timers.get(Timer::Close),
            State::Closed => Instant::FAR_FUTURE,
        };
        (next != Instant::FAR_FUTURE).then_some(next)
    }

    /// When an acknowledgment has to leave, if one can: not without keys, not beyond the
    /// anti-amplification limit, and not as long as there is no memory. What lifts these is an event
    /// of its own; a deadline that has passed would be one without end.
    fn ack_deadline(&self) -> Instant {
        if self.amplification_limited || self.timers.is_set(Timer::Retry) {
            return Instant::FAR_FUTURE;
        }
        [
            PacketType::Initial,
            PacketType::Handshake,
            PacketType::OneRtt,
        ]
        .into_iter()
        .filter(|packet_type| self.can_send(*packet_type))
        .filter_map(|packet_type| self.body.space(packet_type.space()))
        .map(|space| space.receiver.timing(Instant::from_nanos(0)))
        .map(|timing| match timing {
            AckTiming::At(at) => at,
            AckTiming::None | AckTiming::Now => Instant::FAR_FUTURE,
        })
        .fold(Instant::FAR_FUTURE, Instant::min)
    }

    /// Time has passed. Whatever is due at `cx.now` is done; an early call does no harm.
    pub fn on_timeout(&mut self, cx: &mut Context<'_, E>) {
        if self.timers.expire(Timer::Close, cx.now) {
            return self.finish();
        }
        if self.state != State::Open {
            return;
        }
        if self.timers.expire(Timer::Idle, cx.now) {
            return self.abandon(cx, CloseReason::IdleTimeout);
        }
        if self.timers.expire(Timer::KeepAlive, cx.now) {
            self.ping_due = true;
        }
        if self.timers.expire(Timer::KeyDiscard, cx.now) {
            self.on_key_discard(cx);
        }
        if self.timers.expire(Timer::ZeroRttDiscard, cx.now) {
            self.on_zero_rtt_discard();
        }
        if self.timers.expire(Timer::PathValidation, cx.now) {
            self.on_path_timeout(cx);
        }
        if self.timers.expire(Timer::Trim, cx.now) {
            self.trim_if_idle(cx.now);
        }
        // What the pacer lets leave is found out by begin_batch(), and so is whether there is memory.
        self.timers.expire(Timer::Pacing, cx.now);
        self.timers.expire(Timer::Retry, cx.now);
        self.on_loss_detection_timeout(cx);
    }

    fn on_loss_detection_timeout(&mut self, cx: &mut Context<'_, E>) {
        let mut reporter = Reporter::new(&mut self.body, &mut *cx.env, cx.flags);
        let timeout =
            self.recovery
                .on_loss_detection_timeout(cx.now, &mut self.paths, &mut reporter);
        match timeout {
            Timeout::Early => {}
            Timeout::Lost(outcome) => self.stats.on_outcome(&outcome),
            Timeout::Probe { space, datagrams } => {
                self.stats.probe_timeouts = self.stats.probe_timeouts.saturating_add(1);
                self.probe(cx, space, datagrams);
            }
        }
    }

    /// Sends ack-eliciting packets in `space`, and in other spaces in which some are in flight.
    // RFC 9002 §6.2.4: In addition to sending data in the packet number space for which the timer
    // expired, the sender SHOULD send ack-eliciting packets from other packet number spaces with
    // in-flight data, coalescing packets if possible.
    // RFC 9002 §6.2.4: When a PTO timer expires, a sender MUST send at least one ack-eliciting
    // packet in the packet number space as a probe.
    fn probe(&mut self, cx: &mut Context<'_, E>, space: PacketNumberSpace, datagrams: u8) {
        for other in [
            PacketNumberSpace::Initial,
            PacketNumberSpace::Handshake,
            PacketNumberSpace::ApplicationData,
        ] {
            let in_flight = self.recovery.has_ack_eliciting_in_flight(other);
            if self.is_discarded(other) || !(other == space || in_flight) {
                continue;
            }
            let probes = match other == space {
                true => datagrams,
                false => 1,
            };
            if let Some(state) = self.body.space_mut(other) {
                state.probes = state.probes.max(probes);
            }
            if !self.has_new_data(other) {
                self.send_oldest_again(cx, other, probes);
            }
        }
    }

    fn has_new_data(&self, space: PacketNumberSpace) -> bool {
        let application = space == PacketNumberSpace::ApplicationData
            && (self.body.streams.has_stream(self.tail())
                || self.body.streams.has_control()
                || !self.body.datagrams_out.is_empty());
        let crypto = |space: &Space<E>| space.crypto.has_data();
        application || self.body.space(space).is_some_and(crypto)
    }

    /// Queues what the oldest packets in flight contained once more.
    fn send_oldest_again(&mut self, cx: &Context<'_, E>, space: PacketNumberSpace, packets: u8) {
        let body = &mut self.body;
        let oldest = self
            .recovery
            .outstanding(space)
            .filter(|(_, packet)| packet.is_ack_eliciting());
        for ((_, packet), _) in oldest.zip(0..packets) {
            body.send_again(space, &packet.content, cx.flags);
        }
    }

    // --- what a user asks for

    /// The streams, to write, read, reset and so on.
    pub fn streams(&mut self) -> &mut Streams<E::Tx, E::Rx> {
        &mut self.body.streams
    }

    /// The application has read `len` bytes of stream `id`; see [`Streams::consume`].
    pub fn consume(&mut self, id: crate::stream_id::StreamId, len: u64, now: Instant) {
        let rtt = self.rtt();
        self.body.streams.consume(id, len, now, rtt);
    }

    /// Queues a datagram (RFC 9221).
    pub fn send_datagram(&mut self, data: E::Tx, flags: Flags) -> Result<(), DatagramError> {
        let space = self.max_frame_space();
        let limit = self.config.datagram_send_limit;
        self.body.datagrams_out.push(data, space, limit, flags)
    }

    /// The largest datagram that can be queued now; zero if the peer takes none.
    pub fn max_datagram_len(&self) -> usize {
        self.body.datagrams_out.max_len(self.max_frame_space())
    }

    /// How many bytes of frames a packet on the path in use can have.
    fn max_frame_space(&self) -> usize {
        /// The first byte, the packet number and the tag.
        const OVERHEAD: usize = 1 + 4 + crate::crypto::TAG_LEN;
        let size = self
            .paths
            .active()
            .map_or(0, |path| path.recovery.max_datagram_size());
        let cid = self.body.remote_cids.active().map_or(0, ConnectionId::len);
        usize::from(size).saturating_sub(OVERHEAD.saturating_add(cid))
    }

    /// The datagrams that can be read.
    pub fn datagrams(&mut self) -> &mut DatagramReceiver<E::Rx> {
        &mut self.body.datagrams_in
    }

    /// A PING is sent, so that the peer is heard of, or not.
    pub fn ping(&mut self) {
        self.ping_due = true;
    }

    /// How many connection IDs the peer would keep beyond those it has: so many the caller makes
    /// up and passes to [`Self::issue_cid`], when packets for them can arrive.
    pub fn wanted_cids(&self) -> usize {
        match self.complete && !self.local_cid.is_empty() {
            true => self.body.local_cids.wanted(),
            false => 0,
        }
    }

    /// Issues a connection ID, and returns its sequence number.
    pub fn issue_cid(&mut self, cid: ConnectionId, flags: Flags) -> Result<u32, AllocError> {
        self.body.local_cids.issue(cid, flags)
    }

    /// Our connection IDs.
    pub fn local_cids(&mut self) -> &mut LocalCids {
        &mut self.body.local_cids
    }

    /// The connection IDs of the peer.
    pub fn remote_cids(&mut self) -> &mut RemoteCids {
        &mut self.body.remote_cids
    }

    /// Asks the peer to acknowledge in another way (draft-ietf-quic-ack-frequency); false if it
    /// cannot be asked. The sequence number is filled in.
    pub fn request_ack_frequency(&mut self, request: AckFrequency) -> bool {
        let Some(min) = self.peer.min_ack_delay.filter(|_| self.confirmed) else {
            return false;
        };
        if !request.is_permitted(min) {
            return false;
        }
        if self.ack_frequency_request.is_some() {
            let next = self.body.ack_frequency_sequence.get().saturating_add(1);
            self.body.ack_frequency_sequence = VarInt::saturating(next);
        }
        self.ack_frequency_request = Some(request);
        self.body.ack_frequency = Delivery::Due;
        let asked = Duration::from_micros(request.requested_max_ack_delay.get());
        // Until it is acknowledged the old delay may be in force.
        self.recovery
            .set_max_ack_delay(self.peer_max_ack_delay().max(asked));
        true
    }

    // --- what there is to know

    /// Client or server.
    pub const fn role(&self) -> Role {
        self.role
    }

    /// Where the connection is in its life.
    pub const fn state(&self) -> State {
        self.state
    }

    /// The version in use.
    pub const fn version(&self) -> SupportedVersion {
        self.version
    }

    /// Whether the TLS handshake is complete.
    pub const fn is_complete(&self) -> bool {
        self.complete
    }

    /// Whether the handshake is confirmed.
    pub const fn is_confirmed(&self) -> bool {
        self.confirmed
    }

    /// What the peer has declared, once that is known.
    pub fn remote_parameters(&self) -> Option<&TransportParameters> {
        self.has_peer_parameters.then_some(&self.peer)
    }

    /// The Destination Connection ID of the client's first packet.
    pub const fn original_dcid(&self) -> &ConnectionId {
        &self.original_dcid
    }

    /// The addresses of the path in use.
    pub fn addresses(&self) -> Option<Addresses> {
        self.paths.active().map(|path| path.addresses)
    }

    /// Round-trip time, congestion window and so on of the path in use.
    pub fn path(&self) -> Option<&PathRecovery> {
        self.paths.active().map(|path| &path.recovery)
    }

    /// The smoothed round-trip time of the path in use.
    pub fn rtt(&self) -> Duration {
        self.path()
            .map_or(Duration::ZERO, |path| path.rtt.smoothed())
    }

    /// Counters.
    pub const fn stats(&self) -> &Stats {
        &self.stats
    }

    /// Whether data can be sent.
    pub fn can_send_data(&self) -> bool {
        self.can_send(PacketType::OneRtt) || self.can_send(PacketType::ZeroRtt)
    }

    /// The key phase bit of the packets that are sent.
    pub fn key_phase(&self) -> bool {
        self.keys.phase()
    }
}
