// SPDX-License-Identifier: GPL-2.0 OR MIT

//! [`LocalCids`]: the connection IDs that we issued.

use super::{CidError, CidInfo, MAX_CIDS, SEQUENCES};
use crate::array::{count, partition_point, reserve_one};
use crate::cid::{ConnectionId, StatelessResetToken};
use crate::error::{TransportError, TransportErrorCode};
use crate::frame::{Frame, FrameType, NewConnectionId};
use crate::varint::VarInt;
use kernel::alloc::{AllocError, Flags, KVec};

/// The most connection IDs that are held, those included that the peer was asked to retire and has
/// not: it may keep using them meanwhile (RFC 9000 §5.1.2).
const MAX_HELD: usize = 2 * MAX_CIDS;

/// The connection IDs that we issued and the peer has not retired.
pub struct LocalCids {
    // INVARIANT: Sorted by sequence number.
    cids: KVec<LocalCid>,
    next: u32,
    /// Below this, the peer is asked to retire.
    retire_prior_to: u32,
    active: u32,
    /// How many the peer keeps: its active_connection_id_limit.
    peer_limit: usize,
}

struct LocalCid {
    sequence: u32,
    cid: ConnectionId,
    announced: Announced,
}

#[derive(Copy, Clone, PartialEq, Eq)]
enum Announced {
    /// The peer is to be told.
    No,
    InFlight,
    /// The peer is to be told again, though it may know.
    Lost,
    Yes,
}

impl Announced {
    const fn is_due(self) -> bool {
        matches!(self, Self::No | Self::Lost)
    }
}

impl LocalCids {
    /// The set with the connection ID of our first packet, which has sequence number 0.
    pub fn new(initial: ConnectionId, flags: Flags) -> Result<Self, AllocError> {
        let mut this = Self {
            cids: KVec::new(),
            next: 0,
            retire_prior_to: 0,
            active: 0,
            peer_limit: 0,
        };
        this.add(initial, Announced::Yes, flags)?;
        Ok(this)
    }

    /// The peer keeps `limit` connection IDs: its active_connection_id_limit.
    pub fn set_peer_limit(&mut self, limit: VarInt) {
        self.peer_limit = usize::try_from(limit.get())
            .unwrap_or(MAX_CIDS)
            .min(MAX_CIDS);
    }

    /// How many connection IDs to issue now.
    // RFC 9000 §5.1.1: An endpoint SHOULD ensure that its peer has a sufficient number of available
    // and unused connection IDs. An endpoint MUST NOT provide more connection IDs than the peer's
    // limit. An endpoint MAY send connection IDs that temporarily exceed a peer's limit if the
    // NEW_CONNECTION_ID frame also requires the retirement of any excess.
    pub fn wanted(&self) -> usize {
        // RFC 9000 §5.1.1: An endpoint that selects a zero-length connection ID during the
        // handshake cannot issue a new connection ID.
        // RFC 9000 §19.15: An endpoint MUST NOT send this frame if it currently requires that its
        // peer send packets with a zero-length Destination Connection ID.
        if self.is_zero_length() || u64::from(self.next) >= SEQUENCES - 1 {
            return 0;
        }
        let active = count(&self.cids, |cid| cid.sequence >= self.retire_prior_to);
        self.peer_limit
            .saturating_sub(active)
            .min(MAX_HELD.saturating_sub(self.cids.len()))
    }

    fn is_zero_length(&self) -> bool {
        self.cids.iter().any(|cid| cid.cid.is_empty())
    }

    /// Issues `cid`: returns its sequence number. The peer is told with [`Self::poll`].
    // RFC 9000 §5.1.1: The sequence number on each newly issued connection ID MUST increase by 1.
    pub fn issue(&mut self, cid: ConnectionId, flags: Flags) -> Result<u32, AllocError> {
        self.add(cid, Announced::No, flags)
    }

    /// Issues `cid` for the preferred_address transport parameter, which tells the peer.
    // RFC 9000 §5.1.1: If the preferred_address transport parameter is sent, the sequence number of
    // the supplied connection ID is 1.
    pub fn issue_preferred(&mut self, cid: ConnectionId, flags: Flags) -> Result<u32, AllocError> {
        self.add(cid, Announced::Yes, flags)
    }

    fn add(
        &mut self,
        cid: ConnectionId,
        announced: Announced,
        flags: Flags,
    ) -> Result<u32, AllocError> {
        let sequence = self.next;
        let next = sequence.checked_add(1).ok_or(AllocError)?;
        reserve_one(&mut self.cids, flags)?;
        let entry = LocalCid {
            sequence,
            cid,
            announced,
        };
        self.cids
            .push_within_capacity(entry)
            .map_err(|_| AllocError)?;
        self.next = next;
        Ok(sequence)
    }

    /// The sequence number of `cid`, if it was issued and not retired.
    // RFC 9000 §5.1.1: When an endpoint issues a connection ID, it MUST accept packets that carry
    // this connection ID for the duration of the connection or until its peer invalidates the
    // connection ID via a RETIRE_CONNECTION_ID frame.
    pub fn find(&self, cid: &ConnectionId) -> Option<u32> {
        self.cids
            .iter()
            .find(|entry| entry.cid == *cid)
            .map(|entry| entry.sequence)
    }

    /// All connection IDs that the peer may use, with their sequence numbers.
    pub fn iter(&self) -> impl Iterator<Item = (u32, &ConnectionId)> {
        self.cids.iter().map(|entry| (entry.sequence, &entry.cid))
    }

    /// Whether [`Self::poll`] has a frame.
    pub fn has_pending(&self) -> bool {
        self.cids.iter().any(|entry| entry.announced.is_due())
    }

    /// The next NEW_CONNECTION_ID frame, if it fits in `space` bytes. It counts as sent.
    ///
    /// `token` gives the stateless reset token, which follows from the connection ID (RFC 9000
    /// §10.3.2): it is not stored.
    pub fn poll(
        &mut self,
        space: usize,
        token: impl FnOnce(&ConnectionId) -> StatelessResetToken,
    ) -> Option<Frame<'static>> {
        let retire_prior_to = self.retire_prior_to;
        let entry = self
            .cids
            .iter_mut()
            .find(|entry| entry.announced.is_due())?;
        let frame = Frame::NewConnectionId(NewConnectionId {
            sequence: VarInt::from_u32(entry.sequence),
            // RFC 9000 §19.15: The value in the Retire Prior To field MUST be less than or equal to
            // the value in the Sequence Number field. An older frame that is sent again says less.
            retire_prior_to: VarInt::from_u32(retire_prior_to.min(entry.sequence)),
            connection_id: entry.cid,
            stateless_reset_token: token(&entry.cid),
        });
        if frame.size() > space {
            return None;
        }
        entry.announced = Announced::InFlight;
        Some(frame)
    }

    /// The packet with NEW_CONNECTION_ID was acknowledged.
    pub fn on_acked(&mut self, sequence: VarInt) {
        self.set_announced(sequence, Announced::Yes);
    }

    /// The packet with NEW_CONNECTION_ID was lost.
    pub fn on_lost(&mut self, sequence: VarInt) {
        self.set_announced(sequence, Announced::Lost);
    }

    fn set_announced(&mut self, sequence: VarInt, announced: Announced) {
        let in_flight = self
            .cids
            .iter_mut()
            .find(|e| u64::from(e.sequence) == sequence.get())
            .filter(|e| e.announced == Announced::InFlight);
        if let Some(entry) = in_flight {
            entry.announced = announced;
        }
    }

    /// RETIRE_CONNECTION_ID, in a packet to the connection ID with sequence number `used`, unless
    /// that is retired as well by now: returns the connection ID that no packet arrives for any
    /// more.
    pub fn on_retire(
        &mut self,
        sequence: VarInt,
        used: Option<u32>,
    ) -> Result<Option<ConnectionId>, TransportError> {
        let violation = |reason| {
            let code = TransportErrorCode::PROTOCOL_VIOLATION;
            Err(TransportError::new(
                code,
                FrameType::RETIRE_CONNECTION_ID.get(),
                reason,
            ))
        };
        // RFC 9000 §19.16: An endpoint that provides a zero-length connection ID MUST treat receipt
        // of a RETIRE_CONNECTION_ID frame as a connection error of type PROTOCOL_VIOLATION.
        if self.is_zero_length() {
            return violation("retires a connection ID of length zero");
        }
        // RFC 9000 §19.16: Receipt of a RETIRE_CONNECTION_ID frame containing a sequence number
        // greater than any previously sent to the peer MUST be treated as a connection error of
        // type PROTOCOL_VIOLATION.
        let Ok(sequence) = u32::try_from(sequence.get()) else {
            return violation("retires a connection ID that was not issued");
        };
        let index = partition_point(&self.cids, |entry| entry.sequence < sequence);
        let entry = self
            .cids
            .get(index)
            .filter(|entry| entry.sequence == sequence);
        if sequence >= self.next || entry.is_some_and(|entry| entry.announced == Announced::No) {
            return violation("retires a connection ID that was not issued");
        }
        // RFC 9000 §19.16: The sequence number specified in a RETIRE_CONNECTION_ID frame MUST NOT
        // refer to the Destination Connection ID field of the packet in which the frame is
        // contained.
        if used == Some(sequence) {
            return violation("retires the connection ID it was sent to");
        }
        if entry.is_none() {
            return Ok(None);
        }
        let retired = self.cids.remove(index).ok().map(|entry| entry.cid);
        if self.active == sequence {
            self.active = self.cids.first().map_or(self.next, |first| first.sequence);
        }
        Ok(retired)
    }

    /// What a program sees.
    pub fn info(&self) -> CidInfo {
        let first = self.cids.first().map_or(self.next, |first| first.sequence);
        CidInfo {
            active: self.active.into(),
            prior_to: first.into(),
        }
    }

    /// A program counts the connection ID `active` as the one in use, and has those below
    /// `prior_to` retired; zero stands for no change. Connection IDs have to be issued then, see
    /// [`Self::wanted`].
    pub fn set(&mut self, active: u32, prior_to: u32) -> Result<(), CidError> {
        let (first, last) = (self.cids.first(), self.cids.last());
        let (Some(first), Some(last)) = (first, last) else {
            return Err(CidError::Invalid);
        };
        let most = u32::try_from(self.peer_limit).unwrap_or(u32::MAX);
        let valid = prior_to > first.sequence
            && prior_to <= last.sequence
            && prior_to.checked_add(most).is_some();
        if prior_to != 0 && !valid {
            return Err(CidError::Invalid);
        }
        let exists = self.cids.iter().any(|entry| entry.sequence == active);
        if active != 0 && (active <= self.active || !exists) {
            return Err(CidError::Invalid);
        }
        self.active = self.active.max(active);
        self.retire_prior_to = self.retire_prior_to.max(prior_to);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use kernel::alloc::flags::GFP_KERNEL;
    use kernel::alloc::inject;

    fn cid(n: u8) -> ConnectionId {
        ConnectionId::new(&[n; 8]).unwrap()
    }

    /// A set of the first `count` connection IDs, all of which the peer has.
    fn set(count: u8) -> LocalCids {
        let mut set = LocalCids::new(cid(0), GFP_KERNEL).unwrap();
        set.set_peer_limit(VarInt::from_u32(count.into()));
        for n in 1..count {
            assert_eq!(set.issue(cid(n), GFP_KERNEL), Ok(n.into()));
        }
        assert_eq!(set.wanted(), 0);
        while let Some(frame) = poll(&mut set, 100) {
            set.on_acked(frame.sequence);
        }
        set
    }

    fn poll(set: &mut LocalCids, space: usize) -> Option<NewConnectionId> {
        match set.poll(space, |cid| token(*cid))? {
            Frame::NewConnectionId(frame) => Some(frame),
            other => panic!("{other:?}"),
        }
    }

    fn token(cid: ConnectionId) -> StatelessResetToken {
        StatelessResetToken::new([cid.as_slice()[0]; 16])
    }

    fn retire(
        set: &mut LocalCids,
        sequence: u64,
        used: u32,
    ) -> Result<Option<ConnectionId>, TransportError> {
        set.on_retire(VarInt::new(sequence).unwrap(), Some(used))
    }

    // [rfc9000-5.1.1-3] [rfc9000-19.15-2]
    #[test]
    fn as_many_as_the_peer_keeps() {
        let mut set = LocalCids::new(cid(0), GFP_KERNEL).unwrap();
        assert_eq!(set.wanted(), 0, "the limit is not known");
        for (limit, wanted) in [(2, 1), (7, 6), (8, 7), (1 << 40, 7)] {
            set.set_peer_limit(VarInt::new(limit).unwrap());
            assert_eq!(set.wanted(), wanted);
        }
        let mut nothing = LocalCids::new(ConnectionId::default(), GFP_KERNEL).unwrap();
        nothing.set_peer_limit(VarInt::from_u32(8));
        assert_eq!(nothing.wanted(), 0);
    }

    // [rfc9000-5.1.1-1]
    #[test]
    fn frames_are_sent_until_acknowledged() {
        let mut set = set(3);
        retire(&mut set, 1, 0).unwrap();
        assert_eq!(set.wanted(), 1);
        set.issue(cid(9), GFP_KERNEL).unwrap();
        assert!(set.has_pending());
        assert_eq!(poll(&mut set, 27), None);
        let frame = poll(&mut set, 28).unwrap();
        assert_eq!(
            frame,
            NewConnectionId {
                sequence: VarInt::from_u32(3),
                retire_prior_to: VarInt::ZERO,
                connection_id: cid(9),
                stateless_reset_token: token(cid(9)),
            }
        );
        assert_eq!(Frame::NewConnectionId(frame).size(), 28);
        assert_eq!(poll(&mut set, 100), None);
        set.on_lost(VarInt::from_u32(3));
        assert_eq!(poll(&mut set, 100), Some(frame));
        set.on_acked(VarInt::from_u32(3));
        set.on_lost(VarInt::from_u32(3));
        assert_eq!(poll(&mut set, 100), None);
        assert_eq!(
            (set.find(&cid(9)), set.find(&cid(1)), set.iter().count()),
            (Some(3), None, 3)
        );
    }

    // [rfc9000-5.1.1-2] [rfc9000-19.16-1] [rfc9000-19.16-2] [rfc9000-19.16-3]
    #[test]
    fn retirement_by_the_peer() {
        let mut set = set(3);
        assert_eq!(retire(&mut set, 0, 1), Ok(Some(cid(0))));
        assert_eq!(retire(&mut set, 0, 1), Ok(None), "repeated");
        let late = set.on_retire(VarInt::ZERO, None);
        assert_eq!(
            late,
            Ok(None),
            "in a packet that was overtaken by the next retirement"
        );
        assert_eq!(
            set.info(),
            CidInfo {
                active: 1,
                prior_to: 1
            }
        );
        set.issue(cid(9), GFP_KERNEL).unwrap();
        for (sequence, used) in [(3, 1), (4, 1), (1 << 40, 1), (2, 2)] {
            let error = retire(&mut set, sequence, used).unwrap_err();
            assert_eq!(
                error.code,
                TransportErrorCode::PROTOCOL_VIOLATION,
                "{sequence}"
            );
        }
        poll(&mut set, 100);
        set.on_lost(VarInt::from_u32(3));
        assert_eq!(
            retire(&mut set, 3, 1),
            Ok(Some(cid(9))),
            "not lost after all"
        );
        assert!(!set.has_pending());
        let mut nothing = LocalCids::new(ConnectionId::default(), GFP_KERNEL).unwrap();
        assert!(retire(&mut nothing, 0, 1).is_err());
    }

    #[test]
    fn retirement_by_us() {
        let mut set = set(7);
        assert_eq!(
            set.info(),
            CidInfo {
                active: 0,
                prior_to: 0
            }
        );
        for (active, prior_to) in [(0, 7), (7, 0), (7, 3), (3, 7)] {
            assert_eq!(set.set(active, prior_to), Err(CidError::Invalid));
        }
        assert_eq!(set.set(0, 3), Ok(()));
        assert_eq!(
            set.info(),
            CidInfo {
                active: 0,
                prior_to: 0
            },
            "until the peer has done it"
        );
        assert_eq!(set.wanted(), 3);
        for n in 7..10 {
            set.issue(cid(n), GFP_KERNEL).unwrap();
        }
        assert_eq!(poll(&mut set, 100).unwrap().retire_prior_to.get(), 3);
        for sequence in 0..3 {
            assert!(retire(&mut set, sequence, 3).unwrap().is_some());
        }
        assert_eq!(
            set.info(),
            CidInfo {
                active: 3,
                prior_to: 3
            }
        );
        assert_eq!(set.wanted(), 0);
        assert_eq!(set.set(5, 0), Ok(()));
        assert_eq!(set.set(5, 0), Err(CidError::Invalid));
        assert_eq!(
            set.info(),
            CidInfo {
                active: 5,
                prior_to: 3
            }
        );
    }

    // [rfc9000-19.15-5]
    #[test]
    fn an_old_frame_does_not_ask_to_retire_itself() {
        let mut set = set(4);
        retire(&mut set, 1, 0).unwrap();
        set.issue(cid(8), GFP_KERNEL).unwrap();
        assert_eq!(poll(&mut set, 100).unwrap().sequence.get(), 4);
        retire(&mut set, 2, 0).unwrap();
        set.issue(cid(9), GFP_KERNEL).unwrap();
        poll(&mut set, 100);
        set.set(0, 5).unwrap();
        set.on_lost(VarInt::from_u32(4));
        assert_eq!(poll(&mut set, 100).unwrap().retire_prior_to.get(), 4);
    }

    #[test]
    fn a_peer_that_retires_nothing_is_held_to_twice_the_number() {
        let mut set = set(8);
        for n in 1..100 {
            let last = set.cids.last().unwrap().sequence;
            set.set(0, last).unwrap();
            for _ in 0..set.wanted() {
                set.issue(cid(n), GFP_KERNEL).unwrap();
            }
        }
        assert_eq!(set.cids.len(), MAX_HELD);
    }

    #[test]
    fn a_failed_allocation_changes_nothing() {
        assert!(inject::fail_nth(0, || LocalCids::new(cid(0), GFP_KERNEL))
            .0
            .is_err());
        let mut set = set(4);
        let (result, failed) = inject::fail_nth(0, || set.issue(cid(9), GFP_KERNEL));
        assert_eq!((result, failed), (Err(AllocError), true));
        assert_eq!(set.issue(cid(9), GFP_KERNEL), Ok(4));
    }

    #[test]
    fn size() {
        assert_eq!(core::mem::size_of::<LocalCids>(), 48);
        assert_eq!(core::mem::size_of::<LocalCid>(), 28);
    }
}
