// SPDX-License-Identifier: GPL-2.0 OR MIT

//! [`Keys`]: the packet protection keys of a connection, from their installation to their end (RFC
//! 9001 §4.1.4, §4.9, §6).
//!
//! ```text
//!            rx                                  tx
//!  phase 0   current K0   spare K1 (next)        current K0   spare K1
//!  update    current K1   spare K0 (previous)    current K1   spare K2
//!  3 PTO on  current K1   spare K2 (next)
//! ```
//!
//! Each direction of 1-RTT has two keys, so that an update needs no memory: the spare one takes
//! over, and the old one is kept for what is still on its way, and then made that of the phase to
//! come ([`rekey`](crate::crypto::PacketKey::rekey)). A peer may not update again before that.

use super::tls::internal;
use crate::cid::ConnectionId;
use crate::crypto::{
    CipherSuite, CryptoError, CryptoProvider, InitialSecrets, KeyUse, PacketProtection,
    TrafficSecret,
};
use crate::error::{TransportError, TransportErrorCode};
use crate::packet::{
    Discard, OpenError, OpenedPacket, PacketNumber, PacketNumberSpace, PacketType, ProtectedPacket,
    UnprotectedHeader,
};
use crate::role::Role;
use crate::version::SupportedVersion;
use core::mem::{replace, swap};
use kernel::alloc::{AllocError, Flags, KBox};

/// What protects the packets of one direction at one level.
pub(super) struct Direction<P: CryptoProvider> {
    pub(super) header: P::HeaderKey,
    pub(super) packet: PacketProtection<P::PacketKey>,
}

/// Both directions of a level; each comes when TLS has its secret.
pub(super) struct Level<P: CryptoProvider> {
    pub(super) rx: Option<Direction<P>>,
    pub(super) tx: Option<Direction<P>>,
}

/// A direction of 1-RTT, in its key phase.
// RFC 9001 §6.3: endpoints MUST be able to retain two sets of packet protection keys for receiving
// packets: the current and the next. […] Endpoints responding to an apparent key update MUST NOT
// generate a timing side-channel signal that might indicate that the Key Phase bit was invalid. The
// keys are there before.
struct Phased<P: CryptoProvider> {
    header: P::HeaderKey,
    current: PacketProtection<P::PacketKey>,
    spare: PacketProtection<P::PacketKey>,
    /// Of the key phase after the current one.
    next: TrafficSecret,
}

/// Whose keys the spare ones of the receiving direction are.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
enum Spare {
    Next,
    Previous,
}

/// The keys of the handshake.
pub(super) struct EarlyKeys<P: CryptoProvider> {
    initial: Level<P>,
    handshake: Level<P>,
    /// A server that goes on in another version receives Initial packets of the version that the
    /// client began with, until the client has noticed.
    original: Option<Direction<P>>,
    /// A client sends with them, a server receives.
    zero_rtt: Option<Direction<P>>,
}

/// The keys of a connection.
pub(super) struct Keys<P: CryptoProvider> {
    /// Those before 1-RTT, until the last of them is discarded.
    early: Option<KBox<EarlyKeys<P>>>,
    rx: Option<Phased<P>>,
    tx: Option<Phased<P>>,
    suite: Option<CipherSuite>,
    phase: bool,
    spare: Spare,
    /// The first packet that was sent, and the lowest that was received, in this phase.
    first_sent: Option<PacketNumber>,
    first_received: Option<PacketNumber>,
    /// How many packets failed to authenticate, with all keys.
    failed: u64,
    /// Both endpoints sent disable_1rtt_encryption.
    pub(super) unencrypted: bool,
}

/// What an opened packet says about keys.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub(super) enum PhaseChange {
    /// Nothing.
    None,
    /// It is the first in its phase: the previous keys are needed for 3 PTO only.
    Begun,
}

impl<P: CryptoProvider> Level<P> {
    const NONE: Self = Self { rx: None, tx: None };
}

impl<P: CryptoProvider> Direction<P> {
    fn new(provider: &P, secret: &TrafficSecret, usage: KeyUse) -> Result<Self, CryptoError> {
        Ok(Self {
            header: secret.header_key(provider, usage)?,
            packet: secret.packet_protection(provider, usage)?,
        })
    }
}

impl<P: CryptoProvider> Phased<P> {
    fn new(provider: &P, secret: &TrafficSecret) -> Result<Self, CryptoError> {
        let next = secret.next(provider);
        Ok(Self {
            header: secret.header_key(provider, KeyUse::OneRtt)?,
            current: secret.packet_protection(provider, KeyUse::OneRtt)?,
            spare: next.packet_protection(provider, KeyUse::OneRtt)?,
            next,
        })
    }

    /// The spare keys, those of the next phase, take over.
    fn turn(&mut self, provider: &P) {
        swap(&mut self.current, &mut self.spare);
        self.next = self.next.next(provider);
    }

    /// The spare keys become those of the next phase.
    fn prepare(&mut self, provider: &P) -> Result<(), CryptoError> {
        self.next.rekey(provider, &mut self.spare)
    }
}

impl<P: CryptoProvider> Keys<P> {
    /// No keys.
    pub(super) fn new(flags: Flags) -> Result<Self, AllocError> {
        let early = EarlyKeys {
            initial: Level::NONE,
            handshake: Level::NONE,
            original: None,
            zero_rtt: None,
        };
        Ok(Self {
            early: Some(KBox::new(early, flags)?),
            rx: None,
            tx: None,
            suite: None,
            phase: false,
            spare: Spare::Next,
            first_sent: None,
            first_received: None,
            failed: 0,
            unencrypted: false,
        })
    }

    fn early(&self) -> Option<&EarlyKeys<P>> {
        self.early.as_deref()
    }

    fn early_mut(&mut self) -> Option<&mut EarlyKeys<P>> {
        self.early.as_deref_mut()
    }

    /// What packets of that type are sent with, which are not 1-RTT packets.
    pub(super) fn early_tx(&mut self, packet_type: PacketType) -> Option<&mut Direction<P>> {
        let early = self.early_mut()?;
        match packet_type {
            PacketType::Initial => early.initial.tx.as_mut(),
            PacketType::Handshake => early.handshake.tx.as_mut(),
            PacketType::ZeroRtt => early.zero_rtt.as_mut(),
            PacketType::OneRtt => None,
        }
    }

    /// Whether there are keys for 0-RTT packets.
    pub(super) fn has_zero_rtt(&self) -> bool {
        self.early().is_some_and(|early| early.zero_rtt.is_some())
    }

    /// The keys for 0-RTT packets are not needed any more.
    pub(super) fn discard_zero_rtt(&mut self) {
        if let Some(early) = self.early_mut() {
            early.zero_rtt = None;
        }
        self.settle_early();
    }

    /// Frees the early keys when there are none left.
    fn settle_early(&mut self) {
        let left = self.early().is_some_and(|early| {
            let levels = [&early.initial, &early.handshake];
            levels
                .iter()
                .any(|level| level.rx.is_some() || level.tx.is_some())
                || early.original.is_some()
                || early.zero_rtt.is_some()
        });
        if !left {
            self.early = None;
        }
    }

    /// The keys of Initial packets, for the Destination Connection ID of the client's first one.
    pub(super) fn set_initial(
        &mut self,
        provider: &P,
        role: Role,
        version: SupportedVersion,
        dcid: &ConnectionId,
    ) -> Result<(), CryptoError> {
        let InitialSecrets { client, server } = InitialSecrets::derive(provider, version, dcid);
        let (tx, rx) = match role {
            Role::Client => (client, server),
            Role::Server => (server, client),
        };
        let initial = Level {
            rx: Some(Direction::new(provider, &rx, KeyUse::Initial)?),
            tx: Some(Direction::new(provider, &tx, KeyUse::Initial)?),
        };
        self.early_mut().ok_or(CryptoError)?.initial = initial;
        Ok(())
    }

    /// Initial packets are of another version from now on. Returns the keys from before.
    // RFC 9369 §4.1: the server uses the original version to receive, and the negotiated version
    // to send; the client switches when it learns that version.
    pub(super) fn change_version(
        &mut self,
        provider: &P,
        role: Role,
        version: SupportedVersion,
        dcid: &ConnectionId,
    ) -> Result<Level<P>, CryptoError> {
        let early = self.early_mut().ok_or(CryptoError)?;
        let before = replace(&mut early.initial, Level::NONE);
        match self.set_initial(provider, role, version, dcid) {
            Ok(()) => Ok(before),
            Err(error) => {
                self.restore_version(before);
                Err(error)
            }
        }
    }

    /// The version stays as it was.
    pub(super) fn restore_version(&mut self, before: Level<P>) {
        if let Some(early) = self.early_mut() {
            early.initial = before;
        }
    }

    /// Keeps what is needed to receive Initial packets of the version before.
    pub(super) fn keep_original(&mut self, before: Level<P>) {
        if let Some(early) = self.early_mut() {
            early.original = before.rx;
        }
    }

    /// Opens an Initial packet of the version that the client began with.
    pub(super) fn open_original<'a>(
        &mut self,
        packet: ProtectedPacket<'a>,
        largest: Option<PacketNumber>,
    ) -> Result<(OpenedPacket<'a>, PhaseChange), OpenError> {
        let keys = self
            .early_mut()
            .and_then(|early| early.original.as_mut())
            .ok_or(Discard::CryptoFailed)?;
        let opened = packet
            .unprotect_header(&keys.header, largest)?
            .open(&mut keys.packet)?;
        Ok((opened, PhaseChange::None))
    }

    /// TLS has a secret for `packet_type`, with which we send, or else receive.
    pub(super) fn install(
        &mut self,
        provider: &P,
        packet_type: PacketType,
        sending: bool,
        secret: &TrafficSecret,
    ) -> Result<(), CryptoError> {
        match packet_type {
            PacketType::Initial => {}
            PacketType::Handshake => {
                let keys = Direction::new(provider, secret, KeyUse::Handshake)?;
                let early = self.early_mut().ok_or(CryptoError)?;
                match sending {
                    true => early.handshake.tx = Some(keys),
                    false => early.handshake.rx = Some(keys),
                }
            }
            PacketType::ZeroRtt => {
                let keys = Direction::new(provider, secret, KeyUse::ZeroRtt)?;
                self.early_mut().ok_or(CryptoError)?.zero_rtt = Some(keys);
            }
            PacketType::OneRtt => {
                let keys = Phased::new(provider, secret)?;
                self.suite = Some(secret.suite());
                match sending {
                    true => self.tx = Some(keys),
                    false => self.rx = Some(keys),
                }
            }
        }
        Ok(())
    }

    /// Whether there are keys to send packets of that type.
    pub(super) fn can_send(&self, packet_type: PacketType) -> bool {
        let early = match packet_type {
            PacketType::OneRtt => return self.tx.is_some(),
            _ => self.early(),
        };
        early.is_some_and(|early| match packet_type {
            PacketType::Initial => early.initial.tx.is_some(),
            PacketType::Handshake => early.handshake.tx.is_some(),
            // RFC 9000 §17.2.3: A client MUST NOT send 0-RTT packets once it starts processing
            // 1-RTT packets from the server. RFC 9001 §5.6: Once a client has installed 1-RTT keys,
            // it MUST NOT send any more 0-RTT packets.
            PacketType::ZeroRtt | PacketType::OneRtt => {
                early.zero_rtt.is_some() && self.tx.is_none()
            }
        })
    }

    /// Whether there are keys to open packets of that type.
    #[inline]
    pub(super) fn can_receive(&self, packet_type: PacketType) -> bool {
        let early = match packet_type {
            PacketType::OneRtt => return self.rx.is_some(),
            _ => self.early(),
        };
        early.is_some_and(|early| match packet_type {
            PacketType::Initial => early.initial.rx.is_some(),
            PacketType::Handshake => early.handshake.rx.is_some(),
            PacketType::ZeroRtt | PacketType::OneRtt => early.zero_rtt.is_some(),
        })
    }

    /// The keys of a space are not needed any more.
    pub(super) fn discard(&mut self, space: PacketNumberSpace) {
        match (space, self.early_mut()) {
            (PacketNumberSpace::Initial, Some(early)) => {
                early.initial = Level::NONE;
                early.original = None;
            }
            (PacketNumberSpace::Handshake, Some(early)) => early.handshake = Level::NONE,
            (PacketNumberSpace::Initial | PacketNumberSpace::Handshake, None) => {}
            (PacketNumberSpace::ApplicationData, _) => {
                self.discard_zero_rtt();
                self.rx = None;
                self.tx = None;
            }
        }
        self.settle_early();
    }

    /// The key phase that packets are sent in.
    pub(super) const fn phase(&self) -> bool {
        self.phase
    }

    /// What 1-RTT packets are sent with.
    #[inline]
    pub(super) fn one_rtt(
        &mut self,
    ) -> Option<(&P::HeaderKey, &mut PacketProtection<P::PacketKey>)> {
        let tx = self.tx.as_mut()?;
        Some((&tx.header, &mut tx.current))
    }

    /// A 1-RTT packet was sent.
    #[inline]
    pub(super) fn on_sent(&mut self, number: PacketNumber) {
        self.first_sent.get_or_insert(number);
    }

    /// How many packets were encrypted in this phase, and how many can be.
    fn usage(&self) -> (u64, u64) {
        let limit = self
            .suite
            .map_or(u32::MAX, CipherSuite::confidentiality_limit);
        let left = self.tx.as_ref().map_or(limit, |tx| tx.current.left());
        (limit.saturating_sub(left).into(), limit.into())
    }

    /// Opens `packet`; `largest` is the largest packet number received in its space.
    ///
    /// Without keys for it the packet is given back.
    pub(super) fn open<'a>(
        &mut self,
        provider: &P,
        packet: ProtectedPacket<'a>,
        largest: Option<PacketNumber>,
    ) -> Result<(OpenedPacket<'a>, PhaseChange), OpenError> {
        if packet.packet_type() == PacketType::OneRtt {
            return self.open_one_rtt(provider, packet, largest);
        }
        let early = self.early_mut().ok_or(Discard::CryptoFailed)?;
        let keys = match packet.packet_type() {
            PacketType::Initial => early.initial.rx.as_mut(),
            PacketType::Handshake => early.handshake.rx.as_mut(),
            PacketType::ZeroRtt | PacketType::OneRtt => early.zero_rtt.as_mut(),
        };
        let keys = keys.ok_or(Discard::CryptoFailed)?;
        let opened = packet
            .unprotect_header(&keys.header, largest)?
            .open(&mut keys.packet)?;
        Ok((opened, PhaseChange::None))
    }

    fn open_one_rtt<'a>(
        &mut self,
        provider: &P,
        packet: ProtectedPacket<'a>,
        largest: Option<PacketNumber>,
    ) -> Result<(OpenedPacket<'a>, PhaseChange), OpenError> {
        match self.unencrypted {
            true => Ok((packet.open_unencrypted(largest)?, PhaseChange::None)),
            false => self.open_encrypted(provider, packet, largest),
        }
    }

    /// Opens a 1-RTT packet that is encrypted.
    fn open_encrypted<'a>(
        &mut self,
        provider: &P,
        packet: ProtectedPacket<'a>,
        largest: Option<PacketNumber>,
    ) -> Result<(OpenedPacket<'a>, PhaseChange), OpenError> {
        let header = self.unprotect(packet, largest)?;
        match header.key_phase() == self.phase {
            true => self.open_same_phase(header),
            false => self.open_other_phase(provider, header, largest),
        }
    }

    /// Removes the header protection of a 1-RTT packet.
    #[inline(always)]
    pub(super) fn unprotect<'a>(
        &self,
        packet: ProtectedPacket<'a>,
        largest: Option<PacketNumber>,
    ) -> Result<UnprotectedHeader<'a>, OpenError> {
        let rx = self.rx.as_ref().ok_or(Discard::CryptoFailed)?;
        Ok(packet.unprotect_header(&rx.header, largest)?)
    }

    /// Opens a 1-RTT packet with the same key phase bit as those before.
    #[inline(always)]
    pub(super) fn open_same_phase<'a>(
        &mut self,
        header: UnprotectedHeader<'a>,
    ) -> Result<(OpenedPacket<'a>, PhaseChange), OpenError> {
        let rx = self.rx.as_mut().ok_or(Discard::CryptoFailed)?;
        let number = header.number();
        let opened = header.open(&mut rx.current)?;
        let begun = match self.first_received {
            None => PhaseChange::Begun,
            Some(_) => PhaseChange::None,
        };
        if self.first_received.is_none_or(|first| number < first) {
            self.first_received = Some(number);
        }
        Ok((opened, begun))
    }

    /// Opens a 1-RTT packet with another key phase bit than those before.
    pub(super) fn open_other_phase<'a>(
        &mut self,
        provider: &P,
        header: UnprotectedHeader<'a>,
        largest: Option<PacketNumber>,
    ) -> Result<(OpenedPacket<'a>, PhaseChange), OpenError> {
        let rx = self.rx.as_mut().ok_or(Discard::CryptoFailed)?;
        let number = header.number();
        // RFC 9001 §5.5: a packet that appears to trigger a key update but cannot be unprotected
        // successfully MUST be discarded […] it MUST discard all packets in the same packet number
        // space with higher packet numbers if they cannot be successfully unprotected with either
        // the same key, or […] a subsequent packet protection key.
        let opened = header.open(&mut rx.spare)?;
        match self.spare {
            Spare::Previous => {
                // RFC 9001 §6.4: An endpoint that successfully removes protection with old keys
                // when newer keys were used for packets with lower packet numbers MUST treat this
                // as a connection error of type KEY_UPDATE_ERROR.
                if self.first_received.is_some_and(|first| number > first) {
                    return Err(OpenError::Close(key_update_error("old keys used again")));
                }
                Ok((opened, PhaseChange::None))
            }
            Spare::Next => {
                // RFC 9001 §6.4: Packets with higher packet numbers MUST be protected with either
                // the same or newer packet protection keys than packets with lower packet numbers.
                if largest.is_some_and(|largest| number < largest) {
                    return Err(OpenError::Close(key_update_error(
                        "new keys used too early",
                    )));
                }
                // The peer goes on with these keys: to drop its packet would be to lose it for good.
                self.update(provider)
                    .map_err(|_| OpenError::Close(internal("keys could not be updated")))?;
                self.first_received = Some(number);
                Ok((opened, PhaseChange::Begun))
            }
        }
    }

    /// A packet failed to authenticate: whether the connection has to end for it.
    // RFC 9001 §6.6: MUST immediately close the connection with a connection error of type
    // AEAD_LIMIT_REACHED and not process any more packets.
    pub(super) fn on_unauthenticated(&mut self) -> Result<(), TransportError> {
        // RFC 9001 §6.6: endpoints MUST count the number of received packets that fail
        // authentication during the lifetime of a connection.
        self.failed = self.failed.saturating_add(1);
        let limit = self
            .suite
            .unwrap_or(CipherSuite::Aes128Gcm)
            .integrity_limit();
        match self.failed < limit {
            true => Ok(()),
            false => Err(limit_reached("too many packets failed to authenticate")),
        }
    }

    /// Whether keys should be updated before more is sent: after `packets` in this phase, and long before the limit of the cipher suite.
    // RFC 9001 §5.3: An endpoint MUST initiate a key update (Section 6) prior to exceeding any
    // limit set for the AEAD that is in use. RFC 9001 §6.6: Endpoints MUST initiate a key update
    // before sending more protected packets than the confidentiality limit for the selected AEAD
    // permits.
    pub(super) fn wants_update(&self, packets: u64) -> bool {
        let (sent, limit) = self.usage();
        // With a quarter to go an update that has to wait for an acknowledgment still comes.
        let soft = limit.saturating_sub(limit / 4).min(packets);
        !self.unencrypted && sent >= soft
    }

    /// Whether nothing but CONNECTION_CLOSE may be sent with these keys any more.
    // RFC 9001 §6.6: If a key update is not possible or integrity limits are reached, the endpoint
    // MUST stop using the connection and only send stateless resets in response to receiving
    // packets. It is RECOMMENDED that endpoints immediately close the connection with a connection
    // error of type AEAD_LIMIT_REACHED before reaching a state where key updates are not possible.
    pub(super) fn is_exhausted(&self) -> bool {
        /// A batch of datagrams that has been begun, and some answers in the closing state.
        const RESERVE: u64 = 256;
        let (sent, limit) = self.usage();
        !self.unencrypted && sent >= limit.saturating_sub(RESERVE)
    }

    /// Whether keys may be updated; `largest_acked` is what the peer has acknowledged of 1-RTT
    /// packets, after the handshake was confirmed.
    // RFC 9001 §6.1: An endpoint MUST NOT initiate a subsequent key update unless it has received
    // an acknowledgment for a packet that was sent protected with keys from the current key phase.
    pub(super) fn may_update(&self, largest_acked: Option<PacketNumber>) -> bool {
        let acked = match (self.first_sent, largest_acked) {
            (Some(first), Some(acked)) => acked >= first,
            _ => false,
        };
        acked && self.spare == Spare::Next && self.rx.is_some() && self.tx.is_some()
    }

    /// The next key phase begins, in both directions.
    // RFC 9001 §6.2: The endpoint MUST update its send keys to the corresponding key phase in
    // response […] Sending keys MUST be updated before sending an acknowledgment for the packet
    // that was received with updated keys.
    pub(super) fn update(&mut self, provider: &P) -> Result<(), CryptoError> {
        let (Some(rx), Some(tx)) = (&mut self.rx, &mut self.tx) else {
            return Err(CryptoError);
        };
        rx.turn(provider);
        tx.turn(provider);
        self.phase = !self.phase;
        self.spare = Spare::Previous;
        self.first_sent = None;
        self.first_received = None;
        // If the keys after these cannot be made, those in use are right all the same, and
        // CONNECTION_CLOSE can leave.
        tx.prepare(provider)
    }

    /// As if all but `left` packets of this phase had been sent.
    #[cfg(test)]
    pub(in crate::connection) fn use_up(&mut self, left: u32) {
        if let Some(tx) = &mut self.tx {
            tx.current.use_up(left);
        }
    }

    /// The keys of the previous phase go, and those of the next one take their place, unless the
    /// peer has not followed: then the time was that of an earlier phase.
    // RFC 9001 §6.1: An endpoint MUST retain old keys until it has successfully unprotected a
    // packet sent using the new keys.
    pub(super) fn discard_previous(&mut self, provider: &P) -> Result<(), CryptoError> {
        if self.first_received.is_none() {
            return Ok(());
        }
        if let (Some(rx), Spare::Previous) = (&mut self.rx, self.spare) {
            rx.prepare(provider)?;
            self.spare = Spare::Next;
        }
        Ok(())
    }
}

#[cfg(test)]
impl Keys<crate::crypto::rustcrypto::RustCrypto> {
    /// As if there were no memory for the key after the next one, which takes the place of this one.
    pub(in crate::connection) fn break_current(&mut self) {
        if let Some(tx) = &mut self.tx {
            tx.current.break_key();
        }
    }
}

fn key_update_error(reason: &'static str) -> TransportError {
    TransportError::new(TransportErrorCode::KEY_UPDATE_ERROR, 0, reason)
}

pub(super) fn limit_reached(reason: &'static str) -> TransportError {
    TransportError::new(TransportErrorCode::AEAD_LIMIT_REACHED, 0, reason)
}
