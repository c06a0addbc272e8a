// SPDX-License-Identifier: GPL-2.0 OR MIT

//! Moving to other paths (RFC 9000 §8, §9).
//!
//! Who moves decides how: a client tries a path first and moves when it is validated
//! ([`Connection::migrate`], and the preferred address of a server); a server follows its client at
//! once, sends little until the path is validated, and goes back if it never is.

use super::path::Path;
use super::timers::Timer;
use super::{Addresses, CloseReason, Connection, Context, Environment, Event};
use crate::loss::path::PathRecovery;
use crate::packet::PacketNumberSpace;
use crate::rtt::RttEstimator;
use crate::time::{Duration, Instant};
use core::net::SocketAddr;

/// Why the connection does not move.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub enum MigrateError {
    /// Only a client moves, after the handshake is confirmed, and not if the server forbids it.
    /// EINVAL.
    NotAllowed,
    /// The peer has given no connection ID to use there. EAGAIN.
    NoConnectionId,
    /// There is no memory. ENOMEM.
    NoMemory,
}

impl<E: Environment> Connection<E> {
    /// Moves to another local address, if the server can be reached from there.
    ///
    /// [`Event::PathChanged`] or [`Event::PathFailed`] says how it went.
    pub fn migrate(
        &mut self,
        cx: &mut Context<'_, E>,
        local: SocketAddr,
    ) -> Result<(), MigrateError> {
        // RFC 9000 §9: An endpoint MUST NOT initiate connection migration before the handshake is
        // confirmed […] If the peer sent the disable_active_migration transport parameter, an
        // endpoint also MUST NOT send packets (including probing packets; see Section 9.1) from a
        // different local address.
        // [rfc9000-18.2-2]
        if self.is_server() || !self.confirmed || self.peer.disable_active_migration {
            return Err(MigrateError::NotAllowed);
        }
        let remote = self
            .paths
            .active()
            .map(|path| path.addresses.remote)
            .ok_or(MigrateError::NotAllowed)?;
        let cid = self
            .body
            .remote_cids
            .reserve_unused()
            .ok_or(MigrateError::NoConnectionId)?;
        self.try_path(cx, Addresses { local, remote }, cid)
            .ok_or_else(|| {
                self.body.remote_cids.release(cid);
                MigrateError::NoMemory
            })
    }

    // RFC 9000 §9.6.1: Once the handshake is confirmed, the client SHOULD select one of the two
    // addresses provided by the server and initiate path validation. A client constructs packets
    // using any previously unused active connection ID, taken from either the preferred_address
    // transport parameter or a NEW_CONNECTION_ID frame.
    pub(super) fn move_to_preferred_address(&mut self, cx: &mut Context<'_, E>) {
        let Some(preferred) = self.peer.preferred_address.filter(|_| self.has_preferred) else {
            return;
        };
        let Some(addresses) = self.paths.active().map(|path| path.addresses) else {
            return;
        };
        let remote = match addresses.remote {
            SocketAddr::V4(_) => preferred.ipv4.map(SocketAddr::V4),
            SocketAddr::V6(_) => preferred.ipv6.map(SocketAddr::V6),
        };
        let Some(remote) = remote.filter(|remote| *remote != addresses.remote) else {
            return;
        };
        let Some(cid) = self.body.remote_cids.reserve_unused() else {
            return;
        };
        let local = addresses.local;
        if self
            .try_path(cx, Addresses { local, remote }, cid)
            .is_none()
        {
            self.body.remote_cids.release(cid);
        }
    }

    /// Tries a path, to use it when it is validated.
    // RFC 9000 §9.6.2: A client that migrates to a preferred address MUST validate the address it
    // chooses before migrating. RFC 9000 §21.5.3: A client MUST NOT send non-probing frames to a
    // preferred address prior to validating that address.
    fn try_path(&mut self, cx: &mut Context<'_, E>, addresses: Addresses, cid: u64) -> Option<()> {
        let recovery = self.new_path_recovery(cx, &addresses)?;
        let mut path = Path::new(addresses, recovery);
        path.cid = Some(cid);
        path.migrate = true;
        // The peer will hear from us there first.
        path.allow_probing();
        path.challenge(cx.now, self.validation_patience());
        let (_, evicted) = self.paths.add(path, cx.flags).ok()?;
        if let Some(evicted) = evicted {
            self.on_path_gone(&evicted);
        }
        self.set_path_timer();
        Some(())
    }

    /// The peer, a client, sends from elsewhere: the server follows.
    // RFC 9000 §9.3: Receiving a packet from a new peer address containing a non-probing frame
    // indicates that the peer has migrated to that address.
    // RFC 9000 §9.3: If the recipient permits the migration, it MUST send subsequent packets to the
    // new peer address. RFC 9000 §9.6.3: the server MUST protect against potential attacks as
    // described in Sections 9.3.1 and 9.3.2.
    pub(super) fn on_peer_migrated(&mut self, cx: &mut Context<'_, E>, to: u8) {
        let from = self.paths.active_id();
        let patience = self.validation_patience();
        let (rebound, moved) = match (self.paths.get(from), self.paths.get(to)) {
            (Some(old), Some(new)) => (
                new.addresses.differ_in_port_only(&old.addresses),
                new.addresses.local != old.addresses.local,
            ),
            _ => return,
        };
        if let Some(new) = self.paths.get_mut(to).filter(|new| moved && !new.validated) {
            // RFC 9000 §9.6.2: Once the server has completed its path validation and has received a
            // non-probing packet with a new largest packet number on its preferred address, the
            // server begins sending non-probing packets to the client exclusively from its preferred
            // IP address. A client can know no other address of ours.
            new.migrate = true;
            new.challenge(cx.now, patience);
            return self.set_path_timer();
        }
        if rebound {
            // RFC 9000 §9.4: Because port-only changes are commonly the result of NAT rebinding or
            // other middlebox activity, the endpoint MAY instead retain its congestion control
            // state and round-trip estimate in those cases.
            self.paths.exchange_addresses(from, to);
        } else {
            self.paths.set_active(to);
            self.recovery.set_active_path(to);
        }
        let (new, old) = match rebound {
            true => (from, to),
            false => (to, from),
        };
        self.activate_cid(new, old);
        // RFC 9000 §9.3.3: In response to an apparent migration, endpoints MUST validate the
        // previously active path using a PATH_CHALLENGE frame. An attacker may have been faster.
        if let Some(path) = self.paths.get_mut(old) {
            path.challenge(cx.now, patience);
        }
        if let Some(path) = self.paths.get_mut(new) {
            if !path.validated {
                path.challenge(cx.now, patience);
            }
            let addresses = path.addresses;
            cx.env.event(Event::PathChanged(addresses));
        }
        self.after_path_change(cx.now);
    }

    /// PATH_RESPONSE.
    pub(super) fn on_path_response(&mut self, cx: &mut Context<'_, E>, data: &[u8; 8]) {
        let patience = self.validation_patience();
        // RFC 9000 §8.2.2: This requirement MUST NOT be enforced by the endpoint that initiates
        // path validation. The answer may come on any path.
        let validated = self.paths.iter_mut().find_map(|path| {
            let answered = path.on_response(data, cx.now, patience);
            answered.then_some((path.id, path.migrate))
        });
        let Some((id, migrate)) = validated else {
            // RFC 9000 §19.18: the endpoint MAY generate a connection error of type
            // PROTOCOL_VIOLATION. This one ignores the frame.
            return;
        };
        if let Some(path) = self.paths.get_mut(id) {
            path.migrate = false;
        }
        if migrate {
            let old = self.paths.active_id();
            // RFC 9000 §9.6.3: If path validation of the server's preferred address succeeds, the
            // client MUST abandon validation of the original address and migrate to using the
            // server's preferred address.
            self.paths.set_active(id);
            self.recovery.set_active_path(id);
            self.activate_cid(id, old);
            if let Some(path) = self.paths.get(id) {
                cx.env.event(Event::PathChanged(path.addresses));
            }
            // RFC 9000 §9.2: An endpoint can migrate a connection to a new local address by sending
            // packets containing non-probing frames from that address. If there is nothing else to
            // send, the server would go on sending to where nobody listens any more.
            self.ping_due = true;
            // The old path stays until others need its place. RFC 9000 §9.3.2 makes a server go back
            // to it if it cannot validate the new one: from what it sends there it has to be heard
            // of here, so that the next packet brings it to the new path again.
        } else if id == self.paths.active_id() {
            // The old path is not needed to go back to.
            let others = self.paths.other_than(id);
            for other in others.into_iter().flatten() {
                if let Some(gone) = self.paths.remove_if_idle(other) {
                    self.on_path_gone(&gone);
                }
            }
        }
        self.after_path_change(cx.now);
    }

    /// Time has come for a challenge to be repeated, or a path to be given up.
    pub(super) fn on_path_timeout(&mut self, cx: &mut Context<'_, E>) {
        loop {
            let failed = self
                .paths
                .iter_mut()
                .find_map(|path| path.on_timeout(cx.now).then_some(path.id));
            let Some(id) = failed else { break };
            self.on_validation_failed(cx, id);
        }
        self.set_path_timer();
    }

    // RFC 9000 §9.3.2: To protect the connection from failing due to such a spurious migration, an
    // endpoint MUST revert to using the last validated peer address when validation of a new peer
    // address fails.
    fn on_validation_failed(&mut self, cx: &mut Context<'_, E>, id: u8) {
        let Some(addresses) = self.paths.get(id).map(|path| path.addresses) else {
            return;
        };
        if id == self.paths.active_id() {
            let back = self
                .paths
                .iter()
                .find(|path| path.id != id && path.validated)
                .map(|path| (path.id, path.addresses));
            match back {
                Some((other, addresses)) => {
                    self.paths.set_active(other);
                    self.recovery.set_active_path(other);
                    self.activate_cid(other, id);
                    cx.env.event(Event::PathChanged(addresses));
                }
                // It takes no datagrams of 1200 bytes, but there is no other.
                None if self.paths.get(id).is_some_and(|path| path.validated) => return,
                // RFC 9000 §9.3.2: If an endpoint has no state about the last validated peer
                // address, it MUST close the connection silently by discarding all connection
                // state.
                None => return self.abandon(cx, CloseReason::NoPath),
            }
        } else if self.paths.is_way_back(id) {
            return;
        }
        // RFC 9000 §9.6.1: If path validation fails, the client MUST continue sending all future
        // packets to the server's original IP address.
        if let Some(gone) = self.paths.remove(id) {
            self.on_path_gone(&gone);
        }
        cx.env.event(Event::PathFailed(addresses));
        self.after_path_change(cx.now);
    }

    /// ICMP says that a link on a path takes UDP payloads of `max_udp_payload` bytes at most.
    ///
    /// The caller has found the connection by the addresses in the packet that the message quotes.
    // RFC 9000 §14.2.1: An endpoint MUST ignore an ICMP message that claims the PMTU has decreased
    // below QUIC's smallest allowed maximum datagram size.
    pub fn on_packet_too_big(
        &mut self,
        cx: &Context<'_, E>,
        addresses: &Addresses,
        max_udp_payload: u16,
    ) {
        // RFC 9000 §14.2.1: ICMP message validation MUST include matching IP addresses and UDP
        // ports.
        let path = self.paths.find(addresses);
        if let Some(path) = path.and_then(|id| self.paths.get_mut(id)) {
            path.recovery.on_packet_too_big(max_udp_payload, cx.now);
        }
    }

    fn after_path_change(&mut self, now: Instant) {
        self.set_path_timer();
        self.update_amplification(now);
    }

    /// The path `new` is in use instead of `old`, and so is the connection ID that was reserved for
    /// it. The old one keeps its own, for as long as it is there.
    // RFC 9000 §9.5: an endpoint MUST NOT reuse a connection ID when sending to more than one
    // destination address.
    fn activate_cid(&mut self, new: u8, old: u8) {
        let reserved = self.paths.get_mut(new).and_then(|path| path.cid.take());
        let before = reserved.and_then(|sequence| self.body.remote_cids.activate(sequence));
        if let (Some(path), Some(before)) = (self.paths.get_mut(old), before) {
            path.cid = Some(before);
        }
    }

    /// As if the validated paths that are not in use had been displaced.
    #[cfg(test)]
    pub(super) fn forget_way_back(&mut self) {
        for other in self
            .paths
            .other_than(self.paths.active_id())
            .into_iter()
            .flatten()
        {
            let _ = self.paths.remove(other);
        }
    }

    /// A path is not there any more.
    pub(super) fn on_path_gone(&mut self, path: &Path) {
        if let Some(sequence) = path.cid {
            self.body.remote_cids.release(sequence);
        }
    }

    /// Some connection IDs that were reserved for paths have been retired by the peer.
    pub(super) fn forget_gone_cids(&mut self) {
        let cids = &mut self.body.remote_cids;
        for path in self.paths.iter_mut() {
            if path
                .cid
                .is_some_and(|sequence| cids.get(sequence).is_none())
            {
                path.cid = cids.reserve_unused();
            }
        }
    }

    /// The recovery state of a new path; `None` without memory.
    // RFC 9000 §9.4: On confirming a peer's ownership of its new address, an endpoint MUST
    // immediately reset the congestion controller and round-trip time estimator for the new path to
    // initial values. They have them from the start.
    pub(super) fn new_path_recovery(
        &mut self,
        cx: &mut Context<'_, E>,
        addresses: &Addresses,
    ) -> Option<PathRecovery> {
        let seed = self.random_u64(cx);
        let limit = self.config.max_udp_payload(addresses, &self.peer);
        self.config.path(cx, limit, seed).ok()
    }

    /// How long a path may take to be validated.
    // RFC 9000 §8.2.4: a value of three times the larger of the current PTO or the PTO for the new
    // path […] is RECOMMENDED.
    pub(super) fn validation_patience(&self) -> Duration {
        let new = RttEstimator::new(self.config.initial_rtt).pto_base();
        self.pto().max(new).times(3)
    }

    pub(super) fn set_path_timer(&mut self) {
        let at = self.paths.timeout().unwrap_or(Instant::FAR_FUTURE);
        self.timers.set(Timer::PathValidation, at);
    }

    /// What may be sent to an address that is not validated has changed.
    pub(super) fn update_amplification(&mut self, now: Instant) {
        let limited = self
            .paths
            .active()
            .is_some_and(|path| path.amplification_room() < u64::from(crate::pmtud::BASE));
        if core::mem::replace(&mut self.amplification_limited, limited) != limited {
            self.recovery.set_amplification_limited(limited);
            self.recovery.set_loss_detection_timer(now, &mut self.paths);
        }
    }

    /// Whether packets of paths that are not known are taken.
    // RFC 9000 §9: the endpoint MUST either drop the incoming packets on that path without
    // generating a Stateless Reset or proceed with path validation and allow the peer to migrate. A
    // server does the latter.
    pub(super) fn may_change_path(&self) -> bool {
        self.is_server() && self.complete
    }

    /// The period after which a probe is sent.
    pub(super) fn pto(&self) -> Duration {
        let base = match self.paths.active() {
            Some(path) => path.recovery.rtt.pto_base(),
            None => RttEstimator::new(self.config.initial_rtt).pto_base(),
        };
        base + self.peer_max_ack_delay()
    }

    /// Whether a space still has keys.
    pub(super) fn is_discarded(&self, space: PacketNumberSpace) -> bool {
        match space {
            PacketNumberSpace::Initial => self.initial_discarded,
            PacketNumberSpace::Handshake => self.handshake_discarded,
            PacketNumberSpace::ApplicationData => false,
        }
    }
}
