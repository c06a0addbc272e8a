// SPDX-License-Identifier: GPL-2.0 OR MIT

//! [`RemoteCids`]: the connection IDs that the peer issued.
//!
//! A peer that issues connection IDs and has them retired at once, without acknowledging the
//! RETIRE_CONNECTION_ID frames, would make us remember more and more of them (CVE-2024-22189). So
//! those that are being retired are counted, and so are the gaps in the sequence numbers.

use super::{CidError, CidInfo, MAX_CIDS, SEQUENCES};
use crate::array::{count, partition_point, remove_range, reserve, retain};
use crate::cid::{ConnectionId, StatelessResetToken};
use crate::error::{TransportError, TransportErrorCode};
use crate::frame::{Frame, FrameType, NewConnectionId};
use crate::range_set::RangeSet;
use crate::stream::FrameError;
use crate::transport_parameters::PreferredAddress;
use crate::varint::VarInt;
use kernel::alloc::{AllocError, Flags, KVec};

/// The most connection IDs that are being retired at a time.
// RFC 9000 §5.1.2: An endpoint SHOULD allow for sending and tracking a number of
// RETIRE_CONNECTION_ID frames of at least twice the value of the active_connection_id_limit
// transport parameter.
const MAX_RETIRING: usize = 4 * MAX_CIDS;

/// The most gaps in the sequence numbers that have arrived. The peer issues them without gaps, and
/// never more than we keep: it takes reordering of more frames than can be in flight to exceed
/// this.
const MAX_GAPS: usize = 2 * MAX_RETIRING;

/// The connection IDs that the peer issued.
pub struct RemoteCids {
    // INVARIANT: Sorted by sequence number. Exactly one is active, unless there is none at all.
    cids: KVec<RemoteCid>,
    // INVARIANT: There is capacity for all of `cids` as well: retiring does not allocate.
    retiring: KVec<Retiring>,
    /// The sequence numbers that have arrived.
    seen: RangeSet<u64>,
    retire_prior_to: u64,
    /// How many we keep: our active_connection_id_limit.
    limit: usize,
}

#[derive(Copy, Clone, Default)]
struct RemoteCid {
    sequence: u64,
    cid: ConnectionId,
    token: Option<StatelessResetToken>,
    /// What it is used for.
    usage: Usage,
}

#[derive(Copy, Clone, PartialEq, Eq, Default)]
enum Usage {
    #[default]
    Unused,
    /// For packets on a path that is being tried.
    Reserved,
    /// For packets on the path in use.
    Active,
}

/// A sequence number, and whether the frame that retires it is in flight, in the lowest bit: a
/// sequence number has 62.
#[derive(Copy, Clone, Default)]
struct Retiring(u64);

impl Retiring {
    fn new(sequence: u64) -> Self {
        Self(sequence.wrapping_shl(1))
    }

    fn sequence(self) -> u64 {
        self.0 >> 1
    }

    #[inline]
    fn in_flight(self) -> bool {
        self.0 & 1 != 0
    }

    fn set_in_flight(&mut self, in_flight: bool) {
        self.0 = (self.0 & !1) | u64::from(in_flight);
    }
}

/// What a NEW_CONNECTION_ID frame took away.
#[derive(Copy, Clone, PartialEq, Eq, Debug, Default)]
pub struct Displaced {
    /// The connection ID in use: another has taken its place.
    pub active: bool,
    /// One that was reserved for a path: that path needs another, or cannot be used.
    pub reserved: bool,
}

impl RemoteCids {
    /// The set with the connection ID that the first packets are sent to, which has sequence number
    /// 0. At most `limit` are kept: our active_connection_id_limit.
    pub fn new(initial: ConnectionId, limit: usize, flags: Flags) -> Result<Self, AllocError> {
        let limit = limit.min(MAX_CIDS);
        let mut this = Self {
            // As many as there may be, and no more.
            cids: KVec::with_capacity(limit.max(1), flags)?,
            retiring: KVec::with_capacity(limit.max(1), flags)?,
            seen: RangeSet::new(),
            retire_prior_to: 0,
            limit,
        };
        this.reserve(flags)?;
        let _ = this.seen.insert(0..1);
        let first = RemoteCid {
            sequence: 0,
            cid: initial,
            token: None,
            usage: Usage::Active,
        };
        this.cids
            .push_within_capacity(first)
            .map_err(|_| AllocError)?;
        Ok(this)
    }

    /// The peer has chosen `cid` for sequence number 0: a client learns it from the first packet of
    /// the server, and before that from a Retry (RFC 9000 §7.2).
    pub fn set_initial(&mut self, cid: ConnectionId) {
        if let Some(first) = self.cids.iter_mut().find(|entry| entry.sequence == 0) {
            first.cid = cid;
        }
    }

    /// The stateless_reset_token transport parameter, which belongs to sequence number 0.
    pub fn set_initial_token(&mut self, token: StatelessResetToken) {
        if let Some(first) = self.cids.iter_mut().find(|entry| entry.sequence == 0) {
            first.token = Some(token);
        }
    }

    /// The connection ID of the preferred_address transport parameter, which has sequence number 1.
    pub fn add_preferred(
        &mut self,
        preferred: &PreferredAddress,
        flags: Flags,
    ) -> Result<(), FrameError> {
        let as_issued = NewConnectionId {
            sequence: VarInt::from_u32(1),
            retire_prior_to: VarInt::ZERO,
            connection_id: preferred.connection_id,
            stateless_reset_token: preferred.stateless_reset_token,
        };
        self.on_new(&as_issued, flags).map(drop)
    }

    /// The connection ID to send to.
    #[inline]
    pub fn active(&self) -> Option<&ConnectionId> {
        self.cids
            .iter()
            .find(|entry| entry.usage == Usage::Active)
            .map(|entry| &entry.cid)
    }

    /// The connection ID with that sequence number, if it can be used.
    pub fn get(&self, sequence: u64) -> Option<&ConnectionId> {
        self.cids
            .iter()
            .find(|entry| entry.sequence == sequence)
            .map(|entry| &entry.cid)
    }

    /// NEW_CONNECTION_ID.
    pub fn on_new(
        &mut self,
        frame: &NewConnectionId,
        flags: Flags,
    ) -> Result<Displaced, FrameError> {
        let error = |code, reason| {
            FrameError::Transport(TransportError::new(
                code,
                FrameType::NEW_CONNECTION_ID.get(),
                reason,
            ))
        };
        // RFC 9000 §19.15: An endpoint that is sending packets with a zero-length Destination
        // Connection ID MUST treat receipt of a NEW_CONNECTION_ID frame as a connection error of
        // type PROTOCOL_VIOLATION.
        if self.active().is_some_and(ConnectionId::is_empty) {
            return Err(error(
                TransportErrorCode::PROTOCOL_VIOLATION,
                "connection IDs have no length",
            ));
        }
        let (sequence, cid) = (frame.sequence.get(), frame.connection_id);
        let token = frame.stateless_reset_token;
        // RFC 9000 §19.15: A receiver MUST ignore any Retire Prior To fields that do not increase
        // the largest received Retire Prior To value.
        let bound = frame.retire_prior_to.get().max(self.retire_prior_to);
        // RFC 9000 §19.15: Receipt of the same frame multiple times MUST NOT be treated as a
        // connection error. If it repeats a connection ID with a different token or sequence
        // number, or a sequence number is used for different connection IDs […] the endpoint MAY
        // treat that receipt as a connection error of type PROTOCOL_VIOLATION.
        let clash =
            self.cids.iter().any(
                |entry| match (entry.sequence == sequence, entry.cid == cid) {
                    (false, false) => false,
                    (true, true) => entry.token.is_some_and(|known| known != token),
                    _ => true,
                },
            );
        if clash {
            return Err(error(
                TransportErrorCode::PROTOCOL_VIOLATION,
                "connection ID issued twice",
            ));
        }
        let is_new = !self.seen.contains(sequence);
        let retired = partition_point(&self.cids, |entry| entry.sequence < bound);
        // RFC 9000 §19.15: An endpoint that receives a NEW_CONNECTION_ID frame with a sequence
        // number smaller than the Retire Prior To field of a previously received NEW_CONNECTION_ID
        // frame MUST send a corresponding RETIRE_CONNECTION_ID frame […] unless it has already done
        // so.
        let (kept, retired) = match (is_new, sequence < bound) {
            (true, true) => (false, retired.saturating_add(1)),
            (true, false) => (true, retired),
            (false, _) => (false, retired),
        };
        // RFC 9000 §5.1.2: it MAY choose to treat having connection IDs in need of retirement that
        // exceed this limit as a connection error of type CONNECTION_ID_LIMIT_ERROR.
        if self.retiring.len().saturating_add(retired) > MAX_RETIRING {
            let code = TransportErrorCode::CONNECTION_ID_LIMIT_ERROR;
            return Err(error(code, "too many connection IDs to retire"));
        }
        // RFC 9000 §5.1.1: After processing a NEW_CONNECTION_ID frame and adding and retiring
        // active connection IDs, if the number of active connection IDs exceeds the value
        // advertised in its active_connection_id_limit transport parameter, an endpoint MUST close
        // the connection with an error of type CONNECTION_ID_LIMIT_ERROR.
        let active = count(&self.cids, |entry| entry.sequence >= bound);
        if active.saturating_add(usize::from(kept)) > self.limit {
            let code = TransportErrorCode::CONNECTION_ID_LIMIT_ERROR;
            return Err(error(code, "more connection IDs than the limit"));
        }
        if is_new && self.seen.ranges() > MAX_GAPS {
            return Err(error(
                TransportErrorCode::PROTOCOL_VIOLATION,
                "gaps in the sequence numbers",
            ));
        }
        self.reserve(flags)?;

        // Nothing fails from here on.
        self.retire_prior_to = bound;
        let _ = self.seen.insert(sequence..sequence.saturating_add(1));
        // RFC 9000 §5.1.2: the peer MUST stop using the corresponding connection IDs and retire
        // them with RETIRE_CONNECTION_ID frames before adding the newly provided connection ID to
        // the set of active connection IDs. No packet is sent to them from here on:
        // [rfc9000-19.16-2].
        let displaced = self.retire_below(bound);
        if kept {
            let at = partition_point(&self.cids, |entry| entry.sequence < sequence);
            let new = RemoteCid {
                sequence,
                cid,
                token: Some(token),
                usage: Usage::Unused,
            };
            let _ = self.cids.insert_within_capacity(at, new);
        } else if is_new {
            let _ = self.retiring.push_within_capacity(Retiring::new(sequence));
        }
        self.ensure_active();
        Ok(displaced)
    }

    /// Makes room for another connection ID, and for retiring all of them.
    fn reserve(&mut self, flags: Flags) -> Result<(), AllocError> {
        reserve(&mut self.cids, 1, flags)?;
        let all = self.cids.len().saturating_add(1);
        reserve(&mut self.retiring, all, flags)?;
        self.seen.reserve(flags)
    }

    /// Retires all connection IDs below `bound`.
    fn retire_below(&mut self, bound: u64) -> Displaced {
        let mut displaced = Displaced::default();
        let mut gone = 0_usize;
        for entry in self.cids.iter().take_while(|entry| entry.sequence < bound) {
            displaced.active |= entry.usage == Usage::Active;
            displaced.reserved |= entry.usage == Usage::Reserved;
            let retiring = Retiring::new(entry.sequence);
            let _ = self.retiring.push_within_capacity(retiring);
            gone = gone.wrapping_add(1);
        }
        remove_range(&mut self.cids, 0..gone);
        displaced
    }

    /// Uses the lowest unused connection ID if the one in use is gone.
    fn ensure_active(&mut self) {
        if self.cids.iter().any(|entry| entry.usage == Usage::Active) {
            return;
        }
        let unused = |entry: &&mut RemoteCid| entry.usage == Usage::Unused;
        if let Some(entry) = self.cids.iter_mut().find(unused) {
            entry.usage = Usage::Active;
        } else if let Some(entry) = self.cids.first_mut() {
            // A path that is being tried has to do without.
            entry.usage = Usage::Active;
        }
    }

    /// A connection ID that was never used, for a path that is being tried: its sequence number.
    // RFC 9000 §9.5: An endpoint MUST NOT reuse a connection ID when sending from more than one
    // local address […] Similarly, an endpoint MUST NOT reuse a connection ID when sending to more
    // than one destination address.
    pub fn reserve_unused(&mut self) -> Option<u64> {
        let entry = self
            .cids
            .iter_mut()
            .find(|entry| entry.usage == Usage::Unused)?;
        entry.usage = Usage::Reserved;
        Some(entry.sequence)
    }

    /// The path that `sequence` was reserved for is in use from now on. Returns the connection ID
    /// that was, which is reserved for the old path now; `None`, and nothing changes, if
    /// `sequence` was not reserved.
    pub fn activate(&mut self, sequence: u64) -> Option<u64> {
        let is_reserved =
            |entry: &RemoteCid| entry.sequence == sequence && entry.usage == Usage::Reserved;
        if !self.cids.iter().any(is_reserved) {
            return None;
        }
        let mut old = None;
        for entry in self.cids.iter_mut() {
            entry.usage = match entry.usage {
                _ if entry.sequence == sequence => Usage::Active,
                Usage::Active => {
                    old = Some(entry.sequence);
                    Usage::Reserved
                }
                usage => usage,
            };
        }
        old
    }

    /// The path that `sequence` was reserved for is given up. The peer has seen the connection ID
    /// there, so it is retired.
    // RFC 9000 §5.1.2: Endpoints SHOULD retire connection IDs when they are no longer actively
    // using either the local or destination address for which the connection ID was used.
    pub fn release(&mut self, sequence: u64) {
        let mut reserved = self
            .cids
            .iter()
            .filter(|entry| entry.usage == Usage::Reserved);
        if reserved.any(|entry| entry.sequence == sequence) {
            self.retire(sequence);
        }
    }

    fn retire(&mut self, sequence: u64) {
        retain(&mut self.cids, |entry| entry.sequence != sequence);
        let _ = self.retiring.push_within_capacity(Retiring::new(sequence));
    }

    /// Whether [`Self::poll`] has a frame.
    #[inline]
    pub fn has_pending(&self) -> bool {
        self.retiring.iter().any(|entry| !entry.in_flight())
    }

    /// The next RETIRE_CONNECTION_ID frame, if it fits in `space` bytes. It counts as sent.
    pub fn poll(&mut self, space: usize) -> Option<Frame<'static>> {
        let entry = self.retiring.iter_mut().find(|entry| !entry.in_flight())?;
        let sequence = VarInt::saturating(entry.sequence());
        let frame = Frame::RetireConnectionId { sequence };
        if frame.size() > space {
            return None;
        }
        entry.set_in_flight(true);
        Some(frame)
    }

    /// The packet with RETIRE_CONNECTION_ID was acknowledged.
    pub fn on_acked(&mut self, sequence: VarInt) {
        retain(&mut self.retiring, |entry| {
            entry.sequence() != sequence.get()
        });
    }

    /// The packet with RETIRE_CONNECTION_ID was lost.
    pub fn on_lost(&mut self, sequence: VarInt) {
        if let Some(entry) = self
            .retiring
            .iter_mut()
            .find(|entry| entry.sequence() == sequence.get())
        {
            entry.set_in_flight(false);
        }
    }

    /// Whether `token` ends the connection: it belongs to a connection ID that packets are sent to.
    // RFC 9000 §10.3.1: An endpoint MUST NOT check for any stateless reset tokens associated with
    // connection IDs it has not used or for connection IDs that have been retired.
    pub fn is_reset_token(&self, token: &StatelessResetToken) -> bool {
        // All are compared, so that the time does not tell which one matched.
        self.cids
            .iter()
            .filter(|entry| entry.usage != Usage::Unused)
            .fold(false, |found, entry| {
                found | entry.token.as_ref().is_some_and(|known| known == token)
            })
    }

    /// What a program sees.
    pub fn info(&self) -> CidInfo {
        let active = self.cids.iter().find(|entry| entry.usage == Usage::Active);
        CidInfo {
            active: active.map_or(0, |entry| entry.sequence),
            prior_to: self.cids.first().map_or(0, |entry| entry.sequence),
        }
    }

    /// A program uses the connection ID `active` from now on, and retires those below `prior_to` at
    /// once; zero stands for no change.
    pub fn set(&mut self, active: u64, prior_to: u64) -> Result<(), CidError> {
        if self.cids.iter().any(|entry| entry.usage == Usage::Reserved) {
            return Err(CidError::InProgress);
        }
        let (first, last) = (self.cids.first(), self.cids.last());
        let (Some(first), Some(last)) = (first, last) else {
            return Err(CidError::Invalid);
        };
        let in_range = prior_to > first.sequence
            && prior_to <= last.sequence
            && prior_to.saturating_add(crate::offset::bytes(self.limit)) < SEQUENCES;
        if prior_to != 0 && !in_range {
            return Err(CidError::Invalid);
        }
        if active != 0 && (active <= self.info().active || self.get(active).is_none()) {
            return Err(CidError::Invalid);
        }
        let retired = partition_point(&self.cids, |entry| entry.sequence < prior_to);
        if self.retiring.len().saturating_add(retired) > MAX_RETIRING {
            return Err(CidError::InProgress);
        }
        if active != 0 {
            for entry in self.cids.iter_mut() {
                entry.usage = match entry.usage {
                    _ if entry.sequence == active => Usage::Active,
                    // It was seen on this path, but may still be used there.
                    Usage::Active => Usage::Unused,
                    usage => usage,
                };
            }
        }
        self.retire_below(prior_to);
        self.ensure_active();
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use kernel::alloc::flags::GFP_ATOMIC;
    use kernel::alloc::inject;

    const LIMIT: usize = 4;

    fn cid(n: u64) -> ConnectionId {
        ConnectionId::new(&n.to_be_bytes()).unwrap()
    }

    fn token(n: u64) -> StatelessResetToken {
        let mut bytes = [7; 16];
        bytes[..8].copy_from_slice(&n.to_be_bytes());
        StatelessResetToken::new(bytes)
    }

    fn set() -> RemoteCids {
        RemoteCids::new(cid(0), LIMIT, GFP_ATOMIC).unwrap()
    }

    fn frame(
        sequence: u64,
        prior_to: u64,
        connection_id: ConnectionId,
        stateless_reset_token: StatelessResetToken,
    ) -> NewConnectionId {
        NewConnectionId {
            sequence: VarInt::new(sequence).unwrap(),
            retire_prior_to: VarInt::new(prior_to).unwrap(),
            connection_id,
            stateless_reset_token,
        }
    }

    fn new(set: &mut RemoteCids, sequence: u64, prior_to: u64) -> Result<Displaced, FrameError> {
        let frame = frame(sequence, prior_to, cid(sequence), token(sequence));
        set.on_new(&frame, GFP_ATOMIC)
    }

    fn full() -> RemoteCids {
        let mut set = set();
        for sequence in 1..LIMIT as u64 {
            assert_eq!(new(&mut set, sequence, 0), Ok(Displaced::default()));
        }
        set
    }

    fn code(result: Result<Displaced, FrameError>) -> TransportErrorCode {
        match result {
            Err(FrameError::Transport(error)) => error.code,
            other => panic!("{other:?}"),
        }
    }

    fn retired(set: &mut RemoteCids) -> Vec<u64> {
        core::iter::from_fn(|| match set.poll(100)? {
            Frame::RetireConnectionId { sequence } => Some(sequence.get()),
            other => panic!("{other:?}"),
        })
        .collect()
    }

    fn held(set: &RemoteCids) -> Vec<u64> {
        set.cids.iter().map(|entry| entry.sequence).collect()
    }

    // [rfc9000-5.1.1-4] [rfc9000-19.15-4]
    #[test]
    fn more_than_the_limit() {
        let mut set = full();
        assert_eq!(
            code(new(&mut set, 4, 0)),
            TransportErrorCode::CONNECTION_ID_LIMIT_ERROR
        );
        assert_eq!(
            new(&mut set, 3, 0),
            Ok(Displaced::default()),
            "a repetition is not one more"
        );
        assert_eq!(
            new(&mut set, 4, 1),
            Ok(Displaced {
                active: true,
                reserved: false
            })
        );
        assert_eq!((held(&set), retired(&mut set)), (vec![1, 2, 3, 4], vec![0]));
        assert_eq!(set.active(), Some(&cid(1)));
    }

    // [rfc9000-19.15-3]
    #[test]
    fn frames_that_break_a_rule() {
        let mut set = full();
        let same_cid = set.on_new(&frame(4, 1, cid(3), token(4)), GFP_ATOMIC);
        let same_sequence = set.on_new(&frame(3, 0, cid(9), token(3)), GFP_ATOMIC);
        let other_token = set.on_new(&frame(3, 0, cid(3), token(9)), GFP_ATOMIC);
        for result in [same_cid, same_sequence, other_token] {
            assert_eq!(code(result), TransportErrorCode::PROTOCOL_VIOLATION);
        }
        let mut none = RemoteCids::new(ConnectionId::EMPTY, LIMIT, GFP_ATOMIC).unwrap();
        assert_eq!(
            code(new(&mut none, 1, 0)),
            TransportErrorCode::PROTOCOL_VIOLATION
        );
        assert_eq!(held(&set), [0, 1, 2, 3], "nothing was changed");
    }

    // [rfc9000-5.1.2-1] [rfc9000-19.15-7] [rfc9000-19.15-8]
    #[test]
    fn retirement_that_the_peer_asks_for() {
        let mut set = full();
        let reserved = set.reserve_unused().unwrap();
        assert_eq!(reserved, 1);
        assert_eq!(
            new(&mut set, 6, 3),
            Ok(Displaced {
                active: true,
                reserved: true
            })
        );
        assert_eq!((held(&set), retired(&mut set)), (vec![3, 6], vec![0, 1, 2]));
        assert_eq!(
            set.info(),
            CidInfo {
                active: 3,
                prior_to: 3
            }
        );
        // Late ones: 5 is still good, a lower bound is ignored; 2 was retired; 4 comes under a new
        // bound.
        assert_eq!(new(&mut set, 5, 1), Ok(Displaced::default()));
        assert_eq!(new(&mut set, 2, 0), Ok(Displaced::default()));
        assert_eq!(
            new(&mut set, 7, 6),
            Ok(Displaced {
                active: true,
                reserved: false
            })
        );
        assert_eq!((held(&set), retired(&mut set)), (vec![6, 7], vec![3, 5]));
        assert_eq!(new(&mut set, 4, 4), Ok(Displaced::default()));
        assert_eq!(new(&mut set, 4, 4), Ok(Displaced::default()));
        assert_eq!((held(&set), retired(&mut set)), (vec![6, 7], vec![4]));
        assert_eq!(set.activate(reserved), None, "it is gone");
    }

    // [rfc9000-5.1.2-2]
    #[test]
    fn retirement_is_told_until_acknowledged() {
        let mut set = full();
        new(&mut set, 4, 1).unwrap();
        assert!(set.has_pending());
        assert_eq!(set.poll(1), None);
        let sequence = VarInt::ZERO;
        assert_eq!(set.poll(2), Some(Frame::RetireConnectionId { sequence }));
        assert!(!set.has_pending());
        set.on_lost(VarInt::ZERO);
        assert_eq!(retired(&mut set), [0]);
        set.on_acked(VarInt::ZERO);
        set.on_lost(VarInt::ZERO);
        assert_eq!(retired(&mut set), [] as [u64; 0]);
    }

    #[test]
    fn a_retired_connection_id_does_not_come_back() {
        let mut set = full();
        let reserved = set.reserve_unused().unwrap();
        assert_eq!(set.activate(reserved), Some(0));
        set.release(0);
        assert_eq!((held(&set), retired(&mut set)), (vec![1, 2, 3], vec![0]));
        set.on_acked(VarInt::ZERO);
        // The frame that issued it was taken for lost and arrives again.
        let late = set.on_new(&frame(0, 0, cid(0), token(0)), GFP_ATOMIC);
        assert_eq!(late, Ok(Displaced::default()));
        assert_eq!((held(&set), retired(&mut set)), (vec![1, 2, 3], vec![]));
    }

    // [rfc9000-5.1.2-2]
    #[test]
    fn stuffing() {
        // CVE-2024-22189: each frame retires the one before, and no retirement is acknowledged.
        let mut set = set();
        let mut frames = 0;
        let error = loop {
            frames += 1;
            if let Err(error) = new(&mut set, frames, frames) {
                break error;
            }
            retired(&mut set);
        };
        assert_eq!(
            code(Err(error)),
            TransportErrorCode::CONNECTION_ID_LIMIT_ERROR
        );
        assert_eq!(
            (frames, set.retiring.len()),
            (MAX_RETIRING as u64 + 1, MAX_RETIRING)
        );
        assert!(set.retiring.capacity() <= 2 * MAX_RETIRING);
        // Acknowledged, it may go on for ever.
        let mut set = self::set();
        for sequence in 1..10_000 {
            new(&mut set, sequence, sequence).unwrap();
            for sequence in retired(&mut set) {
                set.on_acked(VarInt::new(sequence).unwrap());
            }
        }
        assert_eq!(set.seen.ranges(), 1);
    }

    #[test]
    fn gaps_are_bounded() {
        let mut set = set();
        let mut result = Ok(Displaced::default());
        for n in 1..1000 {
            result = new(&mut set, n * 3, n * 3);
            if result.is_err() {
                break;
            }
            for sequence in retired(&mut set) {
                set.on_acked(VarInt::new(sequence).unwrap());
            }
        }
        assert_eq!(code(result), TransportErrorCode::PROTOCOL_VIOLATION);
        assert!(set.seen.ranges() <= MAX_GAPS + 1);
    }

    // [rfc9000-9.5-1]
    #[test]
    fn paths_take_connection_ids_of_their_own() {
        let mut set = full();
        let (first, second) = (set.reserve_unused().unwrap(), set.reserve_unused().unwrap());
        assert_eq!(
            (first, second, set.reserve_unused(), set.reserve_unused()),
            (1, 2, Some(3), None)
        );
        assert_eq!(set.get(second), Some(&cid(2)));
        set.release(first);
        set.release(0);
        assert_eq!(
            set.active(),
            Some(&cid(0)),
            "the active one is not given up"
        );
        assert_eq!(set.activate(second), Some(0));
        assert_eq!(set.active(), Some(&cid(2)));
        assert_eq!(set.get(0), Some(&cid(0)), "the old path keeps its own");
        // Back again.
        assert_eq!(set.activate(0), Some(second));
        assert_eq!(set.active(), Some(&cid(0)));
        set.release(second);
        assert_eq!(retired(&mut set), [1, 2]);
    }

    // [rfc9000-10.3.1-2]
    #[test]
    fn tokens_of_connection_ids_in_use() {
        let mut set = full();
        assert!(!set.is_reset_token(&token(0)), "it was not given");
        set.set_initial_token(token(0));
        assert!(set.is_reset_token(&token(0)));
        assert!(!set.is_reset_token(&token(1)));
        let reserved = set.reserve_unused().unwrap();
        assert!(set.is_reset_token(&token(1)));
        set.activate(reserved);
        assert!(set.is_reset_token(&token(0)));
        set.release(0);
        assert!(!set.is_reset_token(&token(0)), "retired");
    }

    #[test]
    fn the_handshake_settles_the_first_ones() {
        let mut set = set();
        set.set_initial(cid(77));
        assert_eq!(set.active(), Some(&cid(77)));
        let preferred = PreferredAddress {
            ipv4: None,
            ipv6: None,
            connection_id: cid(1),
            stateless_reset_token: token(1),
        };
        set.add_preferred(&preferred, GFP_ATOMIC).unwrap();
        assert_eq!(new(&mut set, 1, 0), Ok(Displaced::default()));
        assert_eq!(held(&set), [0, 1]);
    }

    #[test]
    fn a_program_changes_and_retires() {
        let mut set = full();
        for (active, prior_to) in [(0, 4), (4, 0), (4, 2), (2, 4)] {
            assert_eq!(set.set(active, prior_to), Err(CidError::Invalid));
        }
        assert_eq!(set.set(2, 0), Ok(()));
        assert_eq!(
            set.info(),
            CidInfo {
                active: 2,
                prior_to: 0
            }
        );
        assert_eq!(set.set(1, 0), Err(CidError::Invalid), "only newer ones");
        assert_eq!(set.set(0, 3), Ok(()));
        assert_eq!(
            (set.info(), retired(&mut set)),
            (
                CidInfo {
                    active: 3,
                    prior_to: 3
                },
                vec![0, 1, 2]
            )
        );
        assert_eq!(set.set(0, 3), Err(CidError::Invalid));
        let mut set = full();
        let reserved = set.reserve_unused().unwrap();
        assert_eq!(set.set(2, 0), Err(CidError::InProgress));
        set.release(reserved);
        assert_eq!(set.set(2, 2), Ok(()));
    }

    #[test]
    fn a_failed_allocation_changes_nothing() {
        for n in 0.. {
            let (result, failed) =
                inject::fail_nth(n, || RemoteCids::new(cid(0), LIMIT, GFP_ATOMIC));
            assert_eq!(result.is_err(), failed);
            if !failed {
                assert_eq!(n, 3);
                break;
            }
        }
        for n in 0.. {
            let mut set = set();
            let (result, failed) = inject::fail_nth(n, || new(&mut set, 5, 2));
            assert_eq!(result.is_err(), failed);
            if !failed {
                // There has been room from the beginning.
                assert_eq!(n, 1);
                break;
            }
            assert_eq!(result, Err(FrameError::Refused));
            assert_eq!(
                (held(&set), set.has_pending(), set.retire_prior_to),
                (vec![0], false, 0)
            );
            assert!(!set.seen.contains(5));
            assert_eq!(
                new(&mut set, 5, 2),
                Ok(Displaced {
                    active: true,
                    reserved: false
                })
            );
        }
    }

    #[test]
    fn size() {
        assert_eq!(core::mem::size_of::<RemoteCids>(), 88);
        assert_eq!(core::mem::size_of::<RemoteCid>(), 48);
        assert_eq!(core::mem::size_of::<Retiring>(), 8);
    }
}
