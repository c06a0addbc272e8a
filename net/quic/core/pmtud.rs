// SPDX-License-Identifier: GPL-2.0 OR MIT

//! [`Pmtud`]: finds the largest datagram that a path carries (DPLPMTUD, RFC 8899 with RFC 9000
//! §14.3).
//!
//! ```text
//!   BASE ----> SEARCHING ----------------------> SEARCH_COMPLETE
//!    ^  start       |    largest found,                 |  |
//!    |              |    or no smaller step is worth it |  |
//!    |              +<----------------------------------+  |
//!    |                      600 s later                    |
//!    +----------- black hole: nothing large arrives -------+
//! ```
//!
//! The first probe has the size of the interface, which most paths carry: Ethernet and loopback are
//! done after one round trip. If it is lost, the search is binary between what is known to pass and
//! what is known not to. The probe timer of RFC 8899 is QUIC's loss detection, which tells a
//! probe's fate sooner, and needs no timer while the connection is idle.
//!
//! Sizes are UDP payloads. BASE_PLPMTU and MIN_PLPMTU are 1200 bytes, below which QUIC does not
//! work; so there is no ERROR state.

use crate::time::{Duration, Instant};

/// RFC 9000 §14.3: BASE_PLPMTU is the smallest allowed maximum datagram size.
pub const BASE: u16 = 1200;

/// RFC 8899 §5.1.2: MAX_PROBES, losses of one size before it is given up; loss of one proves
/// nothing.
const MAX_PROBES: u8 = 3;

/// RFC 8899 §5.1.1: PMTU_RAISE_TIMER, after which a larger size is tried again.
const RAISE_INTERVAL: Duration = Duration::from_secs(600);

/// RFC 8899 §5.3.2, the minimum useful gain: the search ends when less is left, or less than 1/128
/// of the size.
const MIN_GAIN: u16 = 16;

/// So many separate losses of datagrams above BASE, with none of them arriving in between, are a
/// black hole. One is a full queue.
const BLACK_HOLE_LOSSES: u8 = 3;

#[derive(Copy, Clone, PartialEq, Eq, Debug)]
enum State {
    /// Probes are sent, at most one at a time.
    Searching,
    /// A probe of this size is on its way.
    Probing(u16),
    /// Nothing to do before this time.
    Complete(Instant),
}

/// The state of the search on one path.
///
/// # Invariants
///
/// `BASE <= current`. Unless the interface is smaller, `current <= highest <= limit`.
#[derive(Clone, Debug)]
pub struct Pmtud {
    state: State,
    enabled: bool,
    /// PLPMTU: what datagrams are built to.
    current: u16,
    /// No larger size is worth a probe in this search.
    highest: u16,
    /// MAX_PLPMTU: of the interface and the peer.
    limit: u16,
    /// The next size to probe.
    next: u16,
    /// PROBE_COUNT: losses of that size.
    lost: u8,
    /// Searches for losses that found a large datagram, since one arrived.
    large_losses: u8,
}

impl Pmtud {
    /// Starts at [`BASE`]. `limit` is the MTU of the interface without IP and UDP headers;
    /// `enabled` false keeps the size, until [`Self::set_current`].
    pub fn new(limit: u16, enabled: bool) -> Self {
        let limit = limit.max(BASE);
        Self {
            state: State::Searching,
            enabled,
            current: BASE,
            highest: limit,
            limit,
            next: limit,
            lost: 0,
            large_losses: 0,
        }
    }

    /// The maximum datagram size of the path.
    pub const fn current(&self) -> u16 {
        self.current
    }

    /// The size for a PTO probe: after two PTOs in a row the path may not carry large datagrams any
    /// more, and only a small one finds out.
    pub const fn for_probe(&self, pto_count: u8) -> u16 {
        if pto_count > 2 {
            BASE
        } else {
            self.current
        }
    }

    /// The interface or the peer's max_udp_payload_size permits another size. Returns the new
    /// maximum datagram size if it changes.
    pub fn set_limit(&mut self, limit: u16) -> Option<u16> {
        let limit = limit.max(BASE);
        if limit == self.limit {
            return None;
        }
        self.limit = limit;
        if limit < self.current {
            return self.fall_to(limit, Instant::FAR_FUTURE);
        }
        self.restart();
        None
    }

    /// Takes a size on trust, for a path on which the search is off: the MTU of the route.
    pub fn set_current(&mut self, size: u16) -> Option<u16> {
        let size = size.max(BASE).min(self.limit);
        if size == self.current {
            return None;
        }
        self.current = size;
        Some(size)
    }

    /// The size of the PMTU probe to send now, if one is due. The handshake is confirmed and there
    /// is data to send, else it need not be asked (RFC 9000 §14.3.1, RFC 8899 §5.1.1).
    pub fn probe(&mut self, now: Instant) -> Option<u16> {
        if !self.enabled {
            return None;
        }
        match self.state {
            State::Probing(_) => return None,
            State::Complete(until) if now < until => return None,
            State::Complete(_) => self.restart(),
            State::Searching => {}
        }
        if self.next <= self.current {
            self.state = State::Complete(now + RAISE_INTERVAL);
            return None;
        }
        Some(self.next)
    }

    /// The probe has left.
    pub fn on_probe_sent(&mut self, size: u16) {
        self.state = State::Probing(size);
    }

    /// A probe arrived. Returns the new maximum datagram size.
    pub fn on_probe_acked(&mut self, size: u16, now: Instant) -> Option<u16> {
        self.large_losses = 0;
        // A late one of an earlier search proves its size all the same.
        if size <= self.current || size > self.limit {
            return None;
        }
        self.current = size;
        self.highest = self.highest.max(size);
        self.step(now);
        Some(size)
    }

    /// A probe was lost. RFC 9000 §14.4: not a reliable indication of congestion and SHOULD NOT
    /// trigger a congestion control reaction.
    pub fn on_probe_lost(&mut self, size: u16, now: Instant) {
        if self.state != State::Probing(size) {
            return;
        }
        self.state = State::Searching;
        self.lost = self.lost.saturating_add(1);
        if self.lost >= MAX_PROBES {
            self.highest = size.saturating_sub(1);
            self.step(now);
        }
    }

    /// Ordinary packets were acknowledged, the largest of them with `size`.
    #[inline]
    pub fn on_acked(&mut self, size: u16) {
        if size > BASE {
            self.large_losses = 0;
        }
    }

    /// Ordinary packets were lost in one search, the largest of them with `size`. Returns the new
    /// maximum datagram size if this is a black hole.
    pub fn on_lost(&mut self, size: u16, now: Instant) -> Option<u16> {
        if size <= BASE || self.current <= BASE || !self.enabled {
            return None;
        }
        self.large_losses = self.large_losses.saturating_add(1);
        if self.large_losses < BLACK_HOLE_LOSSES {
            return None;
        }
        // RFC 8899 §5.2: back to BASE, and searching from there. The next probe is well below what
        // has stopped to pass.
        let failed = self.current;
        self.current = BASE;
        self.highest = failed.saturating_sub(1);
        self.large_losses = 0;
        self.step(now);
        Some(BASE)
    }

    /// An ICMP message says that the path carries no more than `size` bytes. The caller has
    /// validated it by the quoted packet: addresses, ports and connection ID (RFC 9000
    /// §14.2.1). Returns the new maximum datagram size.
    pub fn on_packet_too_big(&mut self, size: u16, now: Instant) -> Option<u16> {
        // RFC 9000 §14.2.1: An endpoint MUST ignore an ICMP message that claims the PMTU has
        // decreased below QUIC's smallest allowed maximum datagram size […] An endpoint MUST NOT
        // increase the PMTU based on ICMP messages.
        if size < BASE || size >= self.limit {
            return None;
        }
        if size < self.current {
            return self.fall_to(size, now);
        }
        // RFC 8899 §4.6.2: PLPMTU < PL_PTB_SIZE < PROBED_SIZE: this is the size to probe next.
        if matches!(self.state, State::Probing(probed) if size < probed) {
            self.highest = size;
            self.next = size;
            self.lost = 0;
            self.state = State::Searching;
        }
        None
    }

    fn fall_to(&mut self, size: u16, now: Instant) -> Option<u16> {
        self.current = size;
        self.highest = size;
        self.lost = 0;
        self.state = State::Complete(now + RAISE_INTERVAL);
        Some(size)
    }

    /// Begins a search with the largest size.
    fn restart(&mut self) {
        self.state = State::Searching;
        self.highest = self.limit;
        self.next = self.limit;
        self.lost = 0;
    }

    /// Picks the next size between `current`, which passes, and `highest`, above which nothing
    /// does.
    fn step(&mut self, now: Instant) {
        self.lost = 0;
        let left = self.highest.saturating_sub(self.current);
        if left < MIN_GAIN.max(self.current / 128) {
            self.state = State::Complete(now + RAISE_INTERVAL);
            return;
        }
        self.state = State::Searching;
        // Rounded up: `highest` itself is reached in the end.
        self.next = self.current.saturating_add(left.div_ceil(2));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn at(seconds: u64) -> Instant {
        Instant::from_nanos(0) + Duration::from_secs(seconds)
    }

    /// Searches on a path that carries `path` bytes; returns the sizes probed.
    fn search(mtu: &mut Pmtud, path: u16, now: Instant) -> Vec<u16> {
        let mut probes = Vec::new();
        while let Some(size) = mtu.probe(now) {
            assert!(size > mtu.current() && size <= mtu.limit);
            mtu.on_probe_sent(size);
            assert_eq!(mtu.probe(now), None, "one at a time");
            probes.push(size);
            if size <= path {
                assert_eq!(mtu.on_probe_acked(size, now), Some(size));
            } else {
                mtu.on_probe_lost(size, now);
            }
            assert!(probes.len() < 100);
        }
        probes
    }

    #[test]
    fn ethernet_and_loopback_take_one_probe() {
        for limit in [1472, 1452, 8972, 65_507] {
            let mut mtu = Pmtud::new(limit, true);
            assert_eq!(search(&mut mtu, limit, at(1)), [limit]);
            assert_eq!(mtu.current(), limit);
            assert_eq!(mtu.probe(at(600)), None);
        }
    }

    #[test]
    fn a_tunnel_is_found_by_halves() {
        let mut mtu = Pmtud::new(1472, true);
        let probes = search(&mut mtu, 1392, at(1));
        assert!(
            mtu.current() <= 1392 && mtu.current() > 1392 - 2 * MIN_GAIN,
            "{}",
            mtu.current()
        );
        assert!(probes.len() <= 16, "{probes:?}");
        // Ten minutes later once more.
        assert_eq!(mtu.probe(at(600)), None);
        assert_eq!(mtu.probe(at(602)), Some(1472));
    }

    #[test]
    fn one_lost_probe_proves_nothing() {
        let mut mtu = Pmtud::new(1472, true);
        for _ in 0..2 {
            let size = mtu.probe(at(1)).unwrap();
            mtu.on_probe_sent(size);
            mtu.on_probe_lost(size, at(1));
        }
        assert_eq!(search(&mut mtu, 1472, at(1)), [1472]);
    }

    #[test]
    fn too_big_shortens_the_search() {
        let mut mtu = Pmtud::new(1472, true);
        mtu.on_probe_sent(1472);
        assert_eq!(mtu.on_packet_too_big(1392, at(1)), None);
        assert_eq!(mtu.probe(at(1)), Some(1392));
        mtu.on_probe_sent(1392);
        mtu.on_probe_lost(1472, at(1));
        assert_eq!(mtu.on_probe_acked(1392, at(1)), Some(1392));
        assert_eq!(mtu.probe(at(1)), None);
    }

    // [rfc9000-14.2.1-1] [rfc9000-14.2.1-3]
    #[test]
    fn too_big_lowers_but_neither_raises_nor_goes_below_the_minimum() {
        let mut mtu = Pmtud::new(1472, true);
        search(&mut mtu, 1472, at(1));
        for size in [0, 68, 1199, 1472, 1473, u16::MAX] {
            assert_eq!(mtu.on_packet_too_big(size, at(1)), None);
            assert_eq!(mtu.current(), 1472);
        }
        assert_eq!(mtu.on_packet_too_big(1300, at(1)), Some(1300));
        assert_eq!(mtu.probe(at(600)), None);
        assert_eq!(mtu.probe(at(601)), Some(1472));
    }

    #[test]
    fn a_black_hole_is_noticed() {
        let mut mtu = Pmtud::new(1472, true);
        search(&mut mtu, 1472, at(1));
        // Losses of a full queue: others of the size arrive.
        for _ in 0..10 {
            assert_eq!(mtu.on_lost(1472, at(2)), None);
            assert_eq!(mtu.on_lost(1472, at(2)), None);
            mtu.on_acked(1472);
        }
        // Only small ones arrive.
        let fell: Vec<_> = (0..3)
            .map(|_| {
                mtu.on_acked(1200);
                mtu.on_lost(1472, at(2))
            })
            .collect();
        assert_eq!(fell, [None, None, Some(1200)]);
        search(&mut mtu, 1300, at(3));
        assert!((1268..=1300).contains(&mtu.current()), "{}", mtu.current());
        assert_eq!((mtu.for_probe(2), mtu.for_probe(3)), (mtu.current(), 1200));
    }

    #[test]
    fn the_limit_may_change() {
        let mut mtu = Pmtud::new(65_507, true);
        assert_eq!(mtu.set_limit(1472), None);
        assert_eq!(search(&mut mtu, 65_507, at(1)), [1472]);
        assert_eq!(mtu.set_limit(1400), Some(1400));
        assert_eq!(mtu.set_limit(9000), None);
        assert_eq!(mtu.probe(at(1)), Some(9000));
        assert_eq!(mtu.set_limit(0), Some(1200));
    }

    #[test]
    fn without_the_search_the_size_is_taken_on_trust() {
        let mut mtu = Pmtud::new(1472, false);
        assert_eq!(mtu.probe(at(1)), None);
        assert_eq!(mtu.set_current(1452), Some(1452));
        assert_eq!(mtu.set_current(9000), Some(1472));
        assert_eq!(mtu.set_current(100), Some(1200));
        assert_eq!(mtu.on_lost(1472, at(1)), None);
    }

    proptest! {
        #[test]
        fn the_search_ends_close_to_the_path(limit in 1200_u16.., path in 1200_u16..) {
            let mut mtu = Pmtud::new(limit, true);
            search(&mut mtu, path, at(1));
            let best = limit.min(path);
            prop_assert!(mtu.current() <= best);
            prop_assert!(best - mtu.current() < 2 * MIN_GAIN.max(best / 128) , "{} of {best}", mtu.current());
        }

        #[test]
        fn sizes_stay_in_their_limits(limit in any::<u16>(), steps in proptest::collection::vec((0_u8..7, any::<u16>()), 0..60)) {
            let mut mtu = Pmtud::new(limit, true);
            for (step, size) in steps {
                match step {
                    0 => { mtu.on_packet_too_big(size, at(1)); }
                    1 => { mtu.on_lost(size, at(1)); }
                    2 => { mtu.set_limit(size); }
                    3 => { mtu.on_probe_acked(size, at(1)); }
                    4 => mtu.on_probe_lost(size, at(1)),
                    _ => if let Some(size) = mtu.probe(at(u64::from(size))) { mtu.on_probe_sent(size) },
                }
                prop_assert!(mtu.current() >= BASE && mtu.current() <= mtu.limit);
            }
        }
    }
}
