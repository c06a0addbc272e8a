// SPDX-License-Identifier: GPL-2.0 OR MIT

//! What TLS and a connection do for each other (RFC 9001 §4).
//!
//! TLS is outside. It reads and writes the CRYPTO streams, and hands over secrets, the transport
//! parameters of the peer, and the news that it is done.
//!
//! ```text
//!  client                            server
//!  write_crypto(Initial) ----------> accept(); set_peer_parameters(): the version is settled
//!                                    write_crypto(Initial, Handshake), install_secret()
//!  set_peer_parameters() <---------- packets of both levels
//!  install_secret(), write_crypto(Handshake), handshake_complete()
//!     packets of both levels ------> handshake_complete(): confirmed
//!  confirmed <---------------------- HANDSHAKE_DONE
//! ```

use super::body::{Delivery, Reporter};
use super::timers::Timer;
use super::{Connection, Context, Environment, Event};
use crate::crypto::{CipherSuite, TrafficSecret};
use crate::error::{TransportError, TransportErrorCode};
use crate::packet::{
    OpenError, OpenedPacket, PacketNumber, PacketNumberSpace, PacketType, ProtectedPacket,
};
use crate::role::Role;
use crate::stream::StreamLimits;
use crate::time::Duration;
use crate::transport_parameters::{HandshakeConnectionIds, TransportParameters};
use crate::version::negotiation::{check_client, select_compatible, ClientNegotiation};
use crate::version::SupportedVersion;
use kernel::alloc::{AllocError, Flags, KVec};

use super::keys::PhaseChange;

/// Why a secret was not installed.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub enum SecretError {
    /// It has not the length that the cipher suite needs, or the level has no secrets, or this is
    /// not the direction of 0-RTT packets. EINVAL.
    Invalid,
    /// There are keys for this already, or were. EINVAL.
    Present,
    /// Keys could not be made of it. ENOMEM.
    Failed,
    /// The peer has sent more at the level below than TLS has read: the connection is closed.
    /// EPROTO.
    Unread,
}

/// Why no token was sent.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub enum NewTokenError {
    /// Only a server sends tokens, and none that is empty or does not fit into every packet. EINVAL.
    Invalid,
    /// There is no memory. ENOMEM.
    NoMemory,
}

/// Why a key update was not begun.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub enum UpdateError {
    /// The handshake is not confirmed. EINVAL.
    NotConfirmed,
    /// The last one is not over. EAGAIN.
    InProgress,
}

/// The longest token in a NEW_TOKEN frame, in bytes: it fits into a datagram of 1200 bytes beside
/// other frames.
const MAX_NEW_TOKEN: usize = 512;

impl<E: Environment> Connection<E> {
    /// The messages for TLS in `space` that can be read; nothing is consumed.
    pub fn crypto(&self, space: PacketNumberSpace) -> impl Iterator<Item = &E::Rx> {
        let space = self.body.space(space).into_iter();
        space.flat_map(|space| space.crypto.peek())
    }

    /// How many bytes there are for TLS in `space`.
    pub fn crypto_readable(&self, space: PacketNumberSpace) -> u64 {
        let space = self.body.space(space);
        space.map_or(0, |space| space.crypto.readable())
    }

    /// TLS has read `len` bytes.
    pub fn consume_crypto(&mut self, space: PacketNumberSpace, len: usize) {
        if let Some(space) = self.body.space_mut(space) {
            space.crypto.consume(len);
        }
    }

    /// TLS sends `message`.
    pub fn write_crypto(
        &mut self,
        space: PacketNumberSpace,
        message: E::Tx,
        flags: Flags,
    ) -> Result<(), AllocError> {
        match self.body.space_mut(space) {
            Some(space) => space.crypto.write(message, flags),
            // There are no keys any more that it could be sent with.
            None => Ok(()),
        }
    }

    /// TLS has a secret for packets of that type that are sent, or else received.
    pub fn install_secret(
        &mut self,
        cx: &mut Context<'_, E>,
        packet_type: PacketType,
        sending: bool,
        suite: CipherSuite,
        secret: &[u8],
    ) -> Result<(), SecretError> {
        let direction = match packet_type {
            PacketType::Initial => return Err(SecretError::Invalid),
            PacketType::ZeroRtt => sending == (self.role == Role::Client),
            PacketType::Handshake | PacketType::OneRtt => true,
        };
        if !direction {
            return Err(SecretError::Invalid);
        }
        let gone = match packet_type {
            PacketType::Handshake => self.handshake_discarded,
            PacketType::ZeroRtt => self.complete,
            PacketType::Initial | PacketType::OneRtt => false,
        };
        let present = match sending {
            true => self.keys.can_send(packet_type),
            false => self.keys.can_receive(packet_type),
        };
        if gone || present {
            return Err(SecretError::Present);
        }
        // RFC 9369 §4.1: 0-RTT packets are of the version that the client began with.
        let version = match packet_type {
            PacketType::ZeroRtt => self.original_version(),
            _ => self.version,
        };
        let secret = TrafficSecret::new(suite, version, secret).ok_or(SecretError::Invalid)?;
        self.keys
            .install(cx.env.crypto(), packet_type, sending, &secret)
            .map_err(|_| SecretError::Failed)?;
        if packet_type == PacketType::Handshake && !sending {
            self.seal_crypto(cx, PacketNumberSpace::Initial)
                .map_err(|_| SecretError::Unread)?;
        }
        if packet_type == PacketType::Handshake && sending {
            self.recovery.set_has_handshake_keys();
            self.recovery
                .set_loss_detection_timer(cx.now, &mut self.paths);
        }
        if packet_type == PacketType::OneRtt && sending && self.role == Role::Client {
            // RFC 9001 §4.9.3: a client SHOULD discard 0-RTT keys as soon as it installs 1-RTT
            // keys, as they have no use after that moment.
            self.keys.discard_zero_rtt();
            if self.has_peer_parameters {
                self.apply_limits();
            }
        }
        Ok(())
    }

    /// TLS has read all that belongs to `space`. An error has closed the connection.
    fn seal_crypto(
        &mut self,
        cx: &mut Context<'_, E>,
        space: PacketNumberSpace,
    ) -> Result<(), TransportError> {
        let Some(state) = self.body.space_mut(space) else {
            return Ok(());
        };
        let sealed = state.crypto.seal();
        if let Err(error) = sealed {
            self.close_with(cx, error);
        }
        sealed
    }

    /// The parameters to declare to the peer: those of the configuration, with what the connection
    /// knows. A server asks after it has those of the client, which settle the version. `None` once
    /// the handshake is confirmed: they are of no use then, and a part of the memory.
    pub fn local_parameters(&self) -> Option<&TransportParameters> {
        let negotiation = self.negotiation.as_ref()?;
        Some(&negotiation.parameters)
    }

    /// What a client remembers of an earlier connection, for 0-RTT.
    // RFC 9000 §7.4.1: When sending frames in 0-RTT packets, a client MUST only use remembered
    // transport parameters.
    pub fn set_remembered_parameters(&mut self, remembered: &TransportParameters) {
        self.remembered = true;
        self.peer = *remembered;
        self.apply_limits();
    }

    /// What the peer has declared in the TLS handshake. An error has closed the connection.
    pub fn set_peer_parameters(
        &mut self,
        cx: &mut Context<'_, E>,
        bytes: &[u8],
    ) -> Result<(), TransportError> {
        let result = TransportParameters::parse(bytes, self.role.peer())
            .and_then(|parameters| self.accept_parameters(cx, &parameters));
        if let Err(error) = result {
            self.close_with(cx, error);
        }
        result
    }

    fn accept_parameters(
        &mut self,
        cx: &mut Context<'_, E>,
        parameters: &TransportParameters,
    ) -> Result<(), TransportError> {
        let Some(peer_cid) = self.peer_cid() else {
            return Err(TransportError::transport_parameter(
                "parameters before any packet",
            ));
        };
        parameters.authenticate(
            self.role.peer(),
            &HandshakeConnectionIds {
                original_destination: self.original_dcid,
                peer_initial_source: peer_cid,
                retry_source: self.retry_source(),
            },
        )?;
        match self.role {
            Role::Client => self.check_server_version(parameters)?,
            Role::Server => self.choose_version(cx, parameters)?,
        }
        if self.remembered && self.zero_rtt_accepted {
            parameters.check_zero_rtt(&self.peer)?;
        }
        // RFC 9000 §7.4.1: The client MUST use the server's new values in the handshake instead.
        self.peer = *parameters;
        self.has_peer_parameters = true;
        // RFC 9000 §7.4.1: The new values apply to 1-RTT packets: as long as there are none, those
        // that were remembered hold.
        if !self.can_send(PacketType::ZeroRtt) {
            self.apply_limits();
        }
        if let Some(token) = parameters.stateless_reset_token {
            self.body.remote_cids.set_initial_token(token);
        }
        if let Some(preferred) = &parameters.preferred_address {
            let added = self.body.remote_cids.add_preferred(preferred, cx.flags);
            // Without memory there is no moving.
            self.has_preferred = added.is_ok();
        }
        self.recovery.set_max_ack_delay(self.peer_max_ack_delay());
        for path in self.paths.iter_mut() {
            let limit = self.config.max_udp_payload(&path.addresses, parameters);
            path.recovery.set_max_udp_payload(limit);
        }
        let local = self.local_parameters();
        self.keys.unencrypted = parameters.disable_1rtt_encryption
            && local.is_some_and(|local| local.disable_1rtt_encryption);
        self.restart_idle_timer(cx.now);
        Ok(())
    }

    fn check_server_version(&self, parameters: &TransportParameters) -> Result<(), TransportError> {
        ClientNegotiation {
            preference: self.versions(),
            sent: self
                .local_parameters()
                .and_then(|local| local.version_information.as_ref()),
            negotiated: self.version,
            after_negotiation_packet: self.config.after_version_negotiation,
        }
        .check_server(parameters.version_information.as_ref())
    }

    /// A server goes on in the version that it prefers, of those that the client offers.
    fn choose_version(
        &mut self,
        cx: &mut Context<'_, E>,
        parameters: &TransportParameters,
    ) -> Result<(), TransportError> {
        let information = parameters.version_information;
        if let Some(information) = &information {
            check_client(information, self.version)?;
        }
        let version = select_compatible(self.versions(), self.version, information.as_ref());
        // RFC 9001 §4.9.1: Endpoints MUST NOT send Initial packets after this point. Keys that have
        // been discarded do not come back in another version.
        if version != self.version && !self.initial_discarded {
            let dcid = self.initial_keys_dcid();
            let before = self
                .keys
                .change_version(cx.env.crypto(), self.role, version, &dcid)
                .map_err(|_| internal("no keys for the negotiated version"))?;
            self.keys.keep_original(before);
            self.version = version;
            cx.env.event(Event::VersionChanged(version));
        }
        self.fill_version_information();
        Ok(())
    }

    /// Opens a packet with a long header of another version than the present one.
    // RFC 9369 §4.1: the client learns the negotiated version by observing the first long header
    // Version field that differs from the original version; the server accepts both until the
    // client has learnt it.
    pub(super) fn open_in<'a>(
        &mut self,
        cx: &mut Context<'_, E>,
        version: SupportedVersion,
        packet: ProtectedPacket<'a>,
        largest: Option<PacketNumber>,
    ) -> Result<(OpenedPacket<'a>, PhaseChange), OpenError> {
        use crate::packet::Discard;
        let unsupported = Discard::UnsupportedVersion(version.wire());
        match self.role {
            Role::Server => match packet.packet_type() {
                PacketType::ZeroRtt if version == self.original_version() => {
                    self.keys.open(cx.env.crypto(), packet, largest)
                }
                PacketType::Initial if version == self.original_version() => {
                    self.keys.open_original(packet, largest)
                }
                _ => Err(unsupported.into()),
            },
            Role::Client => {
                // A server that has not all of the ClientHello acknowledges what it has in the
                // version that the client began with.
                // RFC 9000 §5.2.1: If a client receives a packet that uses a different version than
                // it initially selected, it MUST discard that packet. RFC 9368 §2 permits one
                // change.
                let may_change = packet.packet_type() == PacketType::Initial
                    && self.version == self.original_version()
                    && !self.keys.can_receive(PacketType::Handshake)
                    && self.versions().contains(&version);
                if !may_change {
                    return Err(unsupported.into());
                }
                let dcid = self.initial_keys_dcid();
                let (crypto, role) = (cx.env.crypto(), self.role);
                let before = self
                    .keys
                    .change_version(crypto, role, version, &dcid)
                    .map_err(|_| Discard::CryptoFailed)?;
                let opened = self.keys.open(crypto, packet, largest);
                match opened {
                    Ok(_) => {
                        self.version = version;
                        cx.env.event(Event::VersionChanged(version));
                    }
                    // Anybody could have made that packet up.
                    Err(_) => self.keys.restore_version(before),
                }
                opened
            }
        }
    }

    /// What the peer allows has become known.
    fn apply_limits(&mut self) {
        self.body
            .streams
            .set_peer_limits(&StreamLimits::from(&self.peer));
        self.body
            .datagrams_out
            .set_peer_limit(self.peer.max_datagram_frame_size);
        self.body
            .local_cids
            .set_peer_limit(self.peer.active_connection_id_limit);
    }

    /// The server has accepted 0-RTT: called before [`Self::set_peer_parameters`].
    pub fn zero_rtt_accepted(&mut self) {
        self.zero_rtt_accepted = true;
    }

    /// The server has rejected 0-RTT: what was sent is sent again in 1-RTT packets, under the
    /// limits that it has declared by now.
    pub fn zero_rtt_rejected(&mut self, cx: &mut Context<'_, E>) {
        self.keys.discard_zero_rtt();
        let mut reporter = Reporter::new(&mut self.body, &mut *cx.env, cx.flags);
        self.recovery
            .on_zero_rtt_rejected(cx.now, &mut self.paths, &mut reporter);
        self.body
            .streams
            .on_early_data_rejected(&StreamLimits::from(&self.peer));
        if self.has_peer_parameters {
            self.apply_limits();
        }
    }

    /// TLS is done: it has sent its Finished message, and has verified that of the peer.
    pub fn handshake_complete(&mut self, cx: &mut Context<'_, E>) {
        if self.complete || self.state() != super::State::Open {
            return;
        }
        if !self.has_peer_parameters {
            // RFC 9001 §8.2: Endpoints MUST send the quic_transport_parameters extension; endpoints
            // that receive ClientHello or EncryptedExtensions messages without the
            // quic_transport_parameters extension MUST close the connection with an error of type
            // 0x016d […] missing_extension.
            const MISSING_EXTENSION: u8 = 109;
            return self.close_with_alert(cx, MISSING_EXTENSION);
        }
        // The keys to receive 1-RTT packets are there earlier, in a server: it needs them in order to
        // send.
        if self.seal_crypto(cx, PacketNumberSpace::Handshake).is_err() {
            return;
        }
        self.complete = true;
        if self.role == Role::Server {
            // RFC 9001 §4.1.2: the TLS handshake is considered confirmed at the server when the
            // handshake completes. The server MUST send a HANDSHAKE_DONE frame as soon as the
            // handshake is complete.
            // RFC 9000 §19.20: Servers MUST NOT send a HANDSHAKE_DONE frame before completing the
            // handshake.
            self.body.handshake_done = Delivery::Due;
            self.confirm(cx);
        }
    }

    /// The handshake is confirmed.
    pub(super) fn confirm(&mut self, cx: &mut Context<'_, E>) {
        if self.confirmed {
            return;
        }
        self.confirmed = true;
        self.negotiation = None;
        self.recovery.set_handshake_confirmed();
        // RFC 9001 §4.9.2: An endpoint MUST discard its Handshake keys when the TLS handshake is
        // confirmed.
        self.discard_keys(cx, PacketNumberSpace::Initial);
        self.discard_keys(cx, PacketNumberSpace::Handshake);
        if let Some(path) = self.paths.active_mut() {
            path.validated = true;
        }
        let random = self.random_u64(cx);
        self.recovery
            .skip_packet_numbers(PacketNumberSpace::ApplicationData, random);
        cx.env.event(Event::Confirmed);
        self.move_to_preferred_address(cx);
        self.update_amplification(cx.now);
    }

    /// The keys of a space are gone, and with them all that was to be sent there.
    pub(super) fn discard_keys(&mut self, cx: &mut Context<'_, E>, space: PacketNumberSpace) {
        let gone = match space {
            PacketNumberSpace::Initial => &mut self.initial_discarded,
            PacketNumberSpace::Handshake => &mut self.handshake_discarded,
            PacketNumberSpace::ApplicationData => return,
        };
        if core::mem::replace(gone, true) {
            return;
        }
        // RFC 9001 §4.9.1: Endpoints MUST NOT send Initial packets after this point.
        self.keys.discard(space);
        let body = &mut self.body;
        for (_, packet) in self.recovery.outstanding(space) {
            let mut content = packet.content;
            while body.contents.take(&mut content).is_some() {}
        }
        if let Some(state) = body.space_mut(space) {
            state.crypto = crate::crypto_stream::CryptoStream::new();
            // What was not acknowledged never will be: no timer is to wait for it.
            state.receiver = crate::ack::Receiver::new(space, Duration::ZERO);
            state.probes = 0;
        }
        if self.initial_discarded && self.handshake_discarded {
            body.early = None;
        }
        self.recovery
            .on_space_discarded(space, cx.now, &mut self.paths);
        if space == PacketNumberSpace::Initial {
            if let Some(negotiation) = &mut self.negotiation {
                negotiation.token = KVec::new();
            }
        }
    }

    /// A Retry packet was accepted: everything is sent again, with its token.
    pub(super) fn restart_after_retry(&mut self, cx: &mut Context<'_, E>) {
        let mut reporter = Reporter::new(&mut self.body, &mut *cx.env, cx.flags);
        self.recovery
            .on_retry(cx.now, &mut self.paths, &mut reporter);
        let addresses = self.paths.active().map(|path| path.addresses);
        let recovery = addresses.and_then(|addresses| self.new_path_recovery(cx, &addresses));
        if let Some(recovery) = recovery {
            self.paths.reset_active(recovery);
        }
        self.recovery
            .set_loss_detection_timer(cx.now, &mut self.paths);
    }

    /// Begins a key update (RFC 9001 §6.1).
    pub fn update_keys(&mut self, cx: &mut Context<'_, E>) -> Result<(), UpdateError> {
        // RFC 9001 §6.1: An endpoint MUST NOT initiate a key update prior to having confirmed the
        // handshake.
        if !self.confirmed || self.keys.unencrypted {
            return Err(UpdateError::NotConfirmed);
        }
        let acked = self
            .recovery
            .largest_acked(PacketNumberSpace::ApplicationData);
        if !self.keys.may_update(acked) {
            return Err(UpdateError::InProgress);
        }
        if self.keys.update(cx.env.crypto()).is_err() {
            self.close_with(cx, internal("keys could not be updated"));
        }
        Ok(())
    }

    /// The previous keys are not needed any more.
    pub(super) fn on_key_discard(&mut self, cx: &mut Context<'_, E>) {
        if self.keys.discard_previous(cx.env.crypto()).is_err() {
            self.close_with(cx, internal("keys could not be prepared"));
        }
    }

    pub(super) fn on_zero_rtt_discard(&mut self) {
        self.keys.discard_zero_rtt();
        self.timers.stop(Timer::ZeroRttDiscard);
    }

    /// Gives the client a token for a later connection. It replaces one that has not been sent.
    // RFC 9000 §19.7: The token MUST NOT be empty. […] Clients MUST NOT send NEW_TOKEN frames.
    pub fn send_new_token(&mut self, token: &[u8], flags: Flags) -> Result<(), NewTokenError> {
        if !self.is_server() || token.is_empty() || token.len() > MAX_NEW_TOKEN {
            return Err(NewTokenError::Invalid);
        }
        let mut copy = KVec::new();
        copy.extend_from_slice(token, flags)
            .map_err(|_| NewTokenError::NoMemory)?;
        self.body.new_token = copy;
        self.body.new_token_delivery = Delivery::Due;
        Ok(())
    }
}

pub(super) fn internal(reason: &'static str) -> TransportError {
    TransportError::new(TransportErrorCode::INTERNAL_ERROR, 0, reason)
}
