// SPDX-License-Identifier: GPL-2.0 OR MIT

//! [`Path`]: a way to the peer, and [`PathSet`]: those of a connection, one of which is in use.
//!
//! ```text
//!             bytes received        PATH_RESPONSE
//!  unvalidated ------ x3 ------> sending is limited ------> validated
//!       |  PATH_CHALLENGE, repeated               |
//!       +----------- 3 PTO without an answer ---> given up
//! ```
//!
//! A path is known by the two addresses. It gets a number that is not used again soon, since sent
//! packets remember theirs. At most [`MAX_PATHS`] exist: when a peer probes more, the oldest that is
//! neither in use nor validated makes room.

use super::Addresses;
use crate::array::reserve_one;
use crate::loss::path::PathRecovery;
use crate::loss::Paths;
use crate::time::{Duration, Instant};
use core::mem::swap;
use kernel::alloc::{AllocError, Flags, KVec};

/// How many paths there are at a time: the one in use, the one before it, and two that are tried.
pub(super) const MAX_PATHS: usize = 4;

/// How many challenges are remembered; an answer to any of them validates the path.
const CHALLENGES: usize = 3;

/// RFC 9000 §8: before validation, at most three times as many bytes are sent as were received.
pub(super) const AMPLIFICATION: u32 = 3;

/// How many challenges of the peer are remembered until they are answered, which is at once: of
/// more that come before the next datagram leaves, the oldest go unanswered. A peer sends one in a
/// probe timeout (RFC 9000 §8.2.1).
const MAX_RESPONSES: usize = 2;

/// What PATH_RESPONSE frames are to carry.
#[derive(Debug, Default)]
pub(super) struct Responses {
    data: [[u8; 8]; MAX_RESPONSES],
    len: u8,
}

impl Responses {
    /// PATH_CHALLENGE.
    pub(super) fn push(&mut self, data: [u8; 8]) {
        if usize::from(self.len) >= MAX_RESPONSES {
            let _ = self.next();
        }
        if let Some(slot) = self.data.get_mut(usize::from(self.len)) {
            *slot = data;
            self.len = self.len.saturating_add(1);
        }
    }

    /// Takes out the oldest.
    // RFC 9000 §8.2.2: An endpoint MUST NOT send more than one PATH_RESPONSE frame in response to
    // one PATH_CHALLENGE frame.
    pub(super) fn next(&mut self) -> Option<[u8; 8]> {
        self.len = self.len.checked_sub(1)?;
        let [first, ..] = self.data;
        self.data.rotate_left(1);
        Some(first)
    }

    fn is_empty(&self) -> bool {
        self.len == 0
    }
}

/// A challenge that was sent.
#[derive(Copy, Clone, Debug)]
struct Challenge {
    data: [u8; 8],
    /// In a datagram of 1200 bytes at least.
    expanded: bool,
}

/// The challenges that were sent on a path.
#[derive(Debug, Default)]
pub(super) struct Challenges {
    open: [Option<Challenge>; CHALLENGES],
    /// How many were sent.
    sent: u8,
    /// One is due.
    pub(super) due: bool,
    /// When the next one is due.
    again: Instant,
    /// When the path is given up.
    deadline: Instant,
}

/// A way to the peer.
pub(super) struct Path {
    pub(super) id: u8,
    pub(super) addresses: Addresses,
    /// Round-trip time, congestion, pacing, ECN, datagram size.
    pub(super) recovery: PathRecovery,
    /// The sequence number of the peer's connection ID that is reserved for it; without one it has
    /// that of the path in use.
    pub(super) cid: Option<u64>,
    /// The peer is known to be at the remote address.
    pub(super) validated: bool,
    /// Bytes received and sent, as long as it is not validated.
    received: u64,
    sent: u64,
    /// A challenge is open.
    pub(super) challenges: Option<Challenges>,
    /// Which challenges of the peer are to be answered.
    pub(super) responses: Responses,
    /// We move here when it is validated.
    pub(super) migrate: bool,
}

impl Path {
    pub(super) fn new(addresses: Addresses, recovery: PathRecovery) -> Self {
        Self {
            id: 0,
            addresses,
            recovery,
            cid: None,
            validated: false,
            received: 0,
            sent: 0,
            challenges: None,
            responses: Responses::default(),
            migrate: false,
        }
    }

    /// How many bytes may be sent to the remote address.
    // RFC 9000 §8.1: Prior to validating the client address, servers MUST NOT send more than three
    // times as many bytes as the number of bytes they have received. RFC 9000 §14.1: The server
    // MUST also limit the number of bytes it sends before validating the address of the client. RFC
    // 9000 §9.3: An endpoint MAY send data to an unvalidated peer address, but it MUST protect
    // against potential attacks.
    pub(super) fn amplification_room(&self) -> u64 {
        match self.validated {
            true => u64::MAX,
            false => self
                .received
                .saturating_mul(u64::from(AMPLIFICATION))
                .saturating_sub(self.sent),
        }
    }

    #[inline]
    pub(super) fn on_received(&mut self, bytes: usize) {
        self.received = self.received.saturating_add(crate::offset::bytes(bytes));
    }

    pub(super) fn on_sent(&mut self, bytes: usize) {
        self.sent = self.sent.saturating_add(crate::offset::bytes(bytes));
    }

    /// A client tries this path: the peer, whose address is known, is not attacked by that.
    pub(super) fn allow_probing(&mut self) {
        self.received = u64::MAX;
    }

    /// Whether a PATH_CHALLENGE is due.
    pub(super) fn challenge_due(&self) -> bool {
        self.challenges.as_ref().is_some_and(|open| open.due)
    }

    /// Whether a PATH_CHALLENGE or a PATH_RESPONSE is due.
    pub(super) fn wants_to_probe(&self) -> bool {
        !self.responses.is_empty() || self.challenge_due()
    }

    /// Begins to find out whether the peer is there; given up after `patience`.
    pub(super) fn challenge(&mut self, now: Instant, patience: Duration) {
        if self.challenges.is_none() {
            self.challenges = Some(Challenges {
                due: true,
                again: now,
                deadline: now + patience,
                ..Challenges::default()
            });
        }
    }

    /// A challenge with `data` leaves; `expanded` if its datagram has 1200 bytes at least.
    // RFC 9000 §9.4: This timer SHOULD be set as described in Section 6.2.1 of [QUIC-RECOVERY] and
    // MUST NOT be more aggressive.
    pub(super) fn on_challenge_sent(
        &mut self,
        data: [u8; 8],
        expanded: bool,
        now: Instant,
        max_ack_delay: Duration,
    ) {
        // RFC 9000 §8.2.1: An endpoint SHOULD NOT probe a new path with packets containing a
        // PATH_CHALLENGE frame more frequently than it would send an Initial packet.
        let wait = self.recovery.rtt.pto_base() + max_ack_delay;
        if let Some(open) = &mut self.challenges {
            open.due = false;
            let at = usize::from(open.sent) % CHALLENGES;
            if let Some(slot) = open.open.get_mut(at) {
                *slot = Some(Challenge { data, expanded });
            }
            open.again = now + wait.shl(u32::from(open.sent.min(8)));
            open.sent = open.sent.saturating_add(1);
        }
    }

    /// When [`Self::on_timeout`] has something to do.
    pub(super) fn timeout(&self) -> Option<Instant> {
        let open = self.challenges.as_ref()?;
        Some(match open.due {
            true => open.deadline,
            false => open.again.min(open.deadline),
        })
    }

    /// Repeats the challenge, or returns true if the path is to be given up.
    pub(super) fn on_timeout(&mut self, now: Instant) -> bool {
        let Some(open) = &mut self.challenges else {
            return false;
        };
        if now >= open.deadline {
            self.challenges = None;
            return true;
        }
        if now >= open.again {
            open.due = true;
        }
        false
    }

    /// PATH_RESPONSE: whether it answers a challenge of this path, which is validated by that.
    /// Whether datagrams of 1200 bytes arrive may have to be found out by another challenge, within
    /// `patience`.
    // RFC 9000 §8.2.3: Path validation succeeds when a PATH_RESPONSE frame is received that
    // contains the data that was sent in a previous PATH_CHALLENGE frame. A PATH_RESPONSE frame
    // received on any network path validates the path on which the PATH_CHALLENGE was sent.
    // RFC 9000 §8.2.3: If an endpoint sends a PATH_CHALLENGE frame in a datagram that is not
    // expanded to at least 1200 bytes and if the response to it validates the peer address, the path
    // is validated but not the path MTU. […] the endpoint MUST initiate another path validation with
    // an expanded datagram to verify that the path supports the required MTU.
    pub(super) fn on_response(&mut self, data: &[u8; 8], now: Instant, patience: Duration) -> bool {
        let sent = self
            .challenges
            .as_ref()
            .and_then(|open| open.open.iter().flatten().find(|sent| sent.data == *data));
        let Some(Challenge { expanded, .. }) = sent.copied() else {
            return false;
        };
        self.challenges = None;
        self.validated = true;
        if !expanded {
            self.challenge(now, patience);
        }
        true
    }
}

/// The paths of a connection.
pub(super) struct PathSet {
    // INVARIANT: Not empty, and one of them has the number `active`; no two have the same.
    paths: KVec<Path>,
    active: u8,
    next_id: u8,
}

impl PathSet {
    /// The set with the path that a connection begins with.
    pub(super) fn new(first: Path, flags: Flags) -> Result<Self, AllocError> {
        let mut paths = KVec::new();
        reserve_one(&mut paths, flags)?;
        paths.push_within_capacity(first).map_err(|_| AllocError)?;
        Ok(Self {
            paths,
            active: 0,
            next_id: 1,
        })
    }

    /// The number of the path in use.
    pub(super) const fn active_id(&self) -> u8 {
        self.active
    }

    /// The path in use.
    #[inline]
    pub(super) fn active(&self) -> Option<&Path> {
        self.get(self.active)
    }

    /// The path in use.
    #[inline]
    pub(super) fn active_mut(&mut self) -> Option<&mut Path> {
        self.get_mut(self.active)
    }

    /// Another path is in use from now on.
    pub(super) fn set_active(&mut self, id: u8) {
        if self.get(id).is_some() {
            self.active = id;
        }
    }

    #[inline]
    pub(super) fn get(&self, id: u8) -> Option<&Path> {
        self.paths.iter().find(|path| path.id == id)
    }

    #[inline]
    pub(super) fn get_mut(&mut self, id: u8) -> Option<&mut Path> {
        self.paths.iter_mut().find(|path| path.id == id)
    }

    /// The path between these addresses.
    #[inline]
    pub(super) fn find(&self, addresses: &Addresses) -> Option<u8> {
        self.paths
            .iter()
            .find(|path| path.addresses == *addresses)
            .map(|path| path.id)
    }

    /// The path between these addresses.
    #[inline]
    pub(super) fn find_mut(&mut self, addresses: &Addresses) -> Option<&mut Path> {
        self.paths
            .iter_mut()
            .find(|path| path.addresses.is(addresses))
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Path> {
        self.paths.iter()
    }

    pub(super) fn iter_mut(&mut self) -> impl Iterator<Item = &mut Path> {
        self.paths.iter_mut()
    }

    /// Adds a path and returns its number; and the path that had to go for it.
    pub(super) fn add(
        &mut self,
        mut path: Path,
        flags: Flags,
    ) -> Result<(u8, Option<Path>), AllocError> {
        // Without memory nothing changes.
        reserve_one(&mut self.paths, flags)?;
        let evicted = match self.paths.len() < MAX_PATHS {
            true => None,
            false => {
                let active = self.active;
                let dispensable = |wanted: bool| {
                    self.paths
                        .iter()
                        .find(|path| path.id != active && path.validated == wanted)
                        .map(|path| path.id)
                };
                let id = dispensable(false)
                    .or_else(|| dispensable(true))
                    .ok_or(AllocError)?;
                self.remove(id)
            }
        };
        // The numbers have come round to one of a long life.
        while self.get(self.next_id).is_some() {
            self.next_id = self.next_id.wrapping_add(1);
        }
        path.id = self.next_id;
        let id = path.id;
        self.paths
            .push_within_capacity(path)
            .map_err(|_| AllocError)?;
        self.next_id = self.next_id.wrapping_add(1);
        Ok((id, evicted))
    }

    /// Takes a path out that is not in use.
    pub(super) fn remove(&mut self, id: u8) -> Option<Path> {
        if id == self.active {
            return None;
        }
        let at = self.paths.iter().position(|path| path.id == id)?;
        self.paths.remove(at).ok()
    }

    /// The paths `a` and `b` keep what they know of the network, and exchange everything else.
    pub(super) fn exchange_addresses(&mut self, a: u8, b: u8) {
        let find = |id| self.paths.iter().position(|path| path.id == id);
        let (Some(a), Some(b)) = (find(a), find(b)) else {
            return;
        };
        if a == b {
            return;
        }
        let (low, high) = (a.min(b), a.max(b));
        let Some((head, tail)) = self.paths.as_mut_slice().split_at_mut_checked(high) else {
            return;
        };
        if let (Some(one), Some(other)) = (head.get_mut(low), tail.first_mut()) {
            swap(one, other);
            swap(&mut one.id, &mut other.id);
            swap(&mut one.recovery, &mut other.recovery);
        }
    }

    /// The numbers of all paths but one.
    pub(super) fn other_than(&self, id: u8) -> [Option<u8>; MAX_PATHS] {
        let mut others = [None; MAX_PATHS];
        let all = self.paths.iter().filter(|path| path.id != id);
        for (slot, path) in others.iter_mut().zip(all) {
            *slot = Some(path.id);
        }
        others
    }

    /// Whether `id` is the only validated path, to which the connection goes back if the one in use
    /// cannot be validated.
    pub(super) fn is_way_back(&self, id: u8) -> bool {
        self.paths
            .iter()
            .all(|path| path.validated == (path.id == id))
    }

    /// Takes a path out that is not in use and on which no answer is waited for.
    pub(super) fn remove_if_idle(&mut self, id: u8) -> Option<Path> {
        let path = self.get(id)?;
        match path.challenges.is_none() && path.responses.is_empty() {
            true => self.remove(id),
            false => None,
        }
    }

    /// Replaces what is known of the path in use.
    pub(super) fn reset_active(&mut self, recovery: PathRecovery) {
        if let Some(path) = self.active_mut() {
            path.recovery = recovery;
        }
    }

    /// The earliest time at which a path has something to do.
    pub(super) fn timeout(&self) -> Option<Instant> {
        self.paths.iter().filter_map(Path::timeout).min()
    }
}

impl Paths for PathSet {
    #[inline]
    fn path(&mut self, index: u8) -> Option<&mut PathRecovery> {
        self.get_mut(index).map(|path| &mut path.recovery)
    }

    #[inline]
    fn for_each(&mut self, mut visit: impl FnMut(u8, &mut PathRecovery)) {
        for path in self.paths.iter_mut() {
            visit(path.id, &mut path.recovery);
        }
    }
}
