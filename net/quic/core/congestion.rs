// SPDX-License-Identifier: GPL-2.0 OR MIT

//! [`Congestion`]: how much may be in flight on a path, RFC 9002 §7.
//!
//! A [`Controller`] hears what was sent, acknowledged and lost, and answers with a window and a
//! pacing rate. It does not count bytes in flight and knows no packets; when a recovery period
//! begins and ends is decided by the caller (the recovery of the path), the same for all
//! controllers.
//!
//! | controller | signal | for |
//! |---|---|---|
//! | [`new_reno`] | loss, CE | the reference, RFC 9002 §7 |
//! | [`cubic`] | loss, CE, delay in slow start | the default, RFC 9438 with HyStart++ |
//! | [`bbr`] | delivery rate, RTT, loss | lossy or deeply buffered paths, draft-ietf-ccwg-bbr |

pub mod bbr;
pub mod cubic;
pub mod delivery;
mod hystart;
pub mod new_reno;
#[cfg(test)]
mod scenarios;
#[cfg(test)]
mod simulator;
mod windowed_max;

use crate::rate::Rate;
use crate::time::{Duration, Instant};
use bbr::Bbr;
use cubic::Cubic;
use delivery::{LossSample, RateSample};
use kernel::alloc::{AllocError, Flags, KBox};
use new_reno::NewReno;

/// RFC 9002 §7.2: the initial window is ten datagrams …
const INITIAL_DATAGRAMS: u64 = 10;
/// … but at most this many bytes …
const INITIAL_LIMIT: u64 = 14_720;
/// … or two datagrams, which is also kMinimumWindow.
const MINIMUM_DATAGRAMS: u64 = 2;

/// The default upper limit of a window: no path needs more (100 Gbit/s for 85 ms), and what is
/// computed from it stays small.
pub const MAX_WINDOW: u64 = 1 << 30;

/// Which controller.
#[derive(Copy, Clone, PartialEq, Eq, Debug, Default)]
pub enum Algorithm {
    /// RFC 9002 §7.
    NewReno,
    /// RFC 9438.
    #[default]
    Cubic,
    /// draft-ietf-ccwg-bbr.
    Bbr,
}

/// What a controller is created with.
#[derive(Copy, Clone, Debug)]
pub struct Config {
    /// max_datagram_size of the path.
    pub max_datagram_size: u16,
    /// The largest window.
    pub max_window: u64,
    /// Where randomness starts; only BBR uses it, to probe at other times than its neighbours.
    pub seed: u64,
    /// When the path was created.
    pub now: Instant,
}

/// RFC 9002 §7.2: kInitialWindow.
pub const fn initial_window(max_datagram_size: u16) -> u64 {
    // `u64::from` is not const.
    #[allow(clippy::cast_lossless)]
    let size = max_datagram_size as u64;
    let limit = size.saturating_mul(MINIMUM_DATAGRAMS);
    let limit = if limit > INITIAL_LIMIT {
        limit
    } else {
        INITIAL_LIMIT
    };
    let window = size.saturating_mul(INITIAL_DATAGRAMS);
    if window < limit {
        window
    } else {
        limit
    }
}

/// RFC 9002 §7.2: kMinimumWindow.
pub const fn minimum_window(max_datagram_size: u16) -> u64 {
    #[allow(clippy::cast_lossless)]
    (max_datagram_size as u64).saturating_mul(MINIMUM_DATAGRAMS)
}

/// The round-trip time as controllers use it.
#[derive(Copy, Clone, Debug, Default)]
pub struct Rtt {
    /// The sample of this acknowledgment, if it gave one.
    pub sample: Option<Duration>,
    /// smoothed_rtt, zero before the first sample.
    pub smoothed: Duration,
}

/// What an ACK frame newly acknowledged on the path, after its losses were found.
#[derive(Copy, Clone, Debug)]
pub struct Acked {
    /// When it came.
    pub now: Instant,
    /// Bytes acknowledged that were in flight.
    pub bytes: u64,
    /// Of these, bytes of packets sent after the last recovery period began; a window grows by no
    /// others.
    pub bytes_outside_recovery: u64,
    /// When the newest of the packets was sent.
    pub newest_sent: Instant,
    /// Whether the newest of the packets was sent in a recovery period that is not over (RFC 9002
    /// §7.3.2).
    pub in_recovery: bool,
    /// Bytes in flight before the frame.
    pub prior_in_flight: u64,
    /// Bytes in flight after it.
    pub in_flight: u64,
    /// RFC 9002 §7.8: whether the window limited sending in the last round trip, or pacing did.
    pub cwnd_limited: bool,
    /// Round-trip time.
    pub rtt: Rtt,
    /// Bytes delivered over the path since its beginning.
    pub delivered: u64,
    /// The rate sample, if [`Controller::wants_samples`].
    pub sample: RateSample,
}

/// A packet declared lost; PMTU probes are not reported.
#[derive(Copy, Clone, Debug)]
pub struct Lost {
    /// When its loss was noticed.
    pub now: Instant,
    /// Its size.
    pub size: u16,
    /// Whether the packet before it was lost too, in the same search.
    pub contiguous: bool,
    /// Bytes delivered over the path since its beginning.
    pub delivered: u64,
    /// Its delivery snapshot, if [`Controller::wants_samples`].
    pub sample: LossSample,
}

/// RFC 9002 §7.3.2: a recovery period begins.
#[derive(Copy, Clone, Debug)]
pub struct CongestionEvent {
    /// When it was noticed.
    pub now: Instant,
    /// Whether an increase of the CE count is the reason, and not a loss.
    pub ecn: bool,
    /// Bytes in flight before.
    pub prior_in_flight: u64,
    /// Bytes delivered over the path since its beginning.
    pub delivered: u64,
}

/// What the controllers have in common.
// RFC 9002 §7: the chosen controller MUST conform to the congestion control guidelines specified in
// Section 3.1 of [RFC8085].
pub trait Controller {
    /// congestion_window, in bytes.
    fn window(&self) -> u64;

    /// The rate at which to send, `None` before anything is known. `smoothed_rtt` is zero before
    /// the first sample.
    fn pacing_rate(&self, smoothed_rtt: Duration) -> Option<Rate>;

    /// Whether the window doubles every round trip.
    fn in_slow_start(&self) -> bool;

    /// A packet is about to leave a path on which nothing is in flight.
    fn on_restart(&mut self, _now: Instant, _app_limited: bool) {}

    /// A packet was lost.
    fn on_packet_lost(&mut self, _lost: &Lost) {}

    /// A recovery period begins.
    fn on_congestion_event(&mut self, event: &CongestionEvent);

    /// Packets were acknowledged.
    fn on_ack(&mut self, acked: &Acked);

    /// RFC 9002 §7.6: persistent congestion was established.
    fn on_persistent_congestion(&mut self);

    /// All packets whose loss caused the last congestion event have arrived after all.
    fn on_spurious_loss(&mut self);

    /// RFC 9002 §7.2: max_datagram_size changed.
    fn on_mtu_update(&mut self, max_datagram_size: u16);

    /// Whether [`Acked::sample`] and [`Lost::sample`] are to be filled.
    fn wants_samples(&self) -> bool {
        false
    }

    /// Whether the controller limits the flow by itself for now, so that rate samples say nothing.
    fn limits_itself(&self) -> bool {
        false
    }
}

/// A controller of one of the known kinds.
#[derive(Debug)]
pub enum Congestion {
    /// RFC 9002 §7.
    NewReno(NewReno),
    /// RFC 9438.
    Cubic(Cubic),
    /// draft-ietf-ccwg-bbr; boxed, since its model is several times the size of the others.
    Bbr(KBox<Bbr>),
}

impl Congestion {
    /// Creates a controller.
    pub fn new(algorithm: Algorithm, config: &Config, flags: Flags) -> Result<Self, AllocError> {
        Ok(match algorithm {
            Algorithm::NewReno => Self::NewReno(NewReno::new(config)),
            Algorithm::Cubic => Self::Cubic(Cubic::new(config)),
            Algorithm::Bbr => Self::Bbr(KBox::new(Bbr::new(config), flags)?),
        })
    }

    /// Which one it is.
    pub const fn algorithm(&self) -> Algorithm {
        match self {
            Self::NewReno(_) => Algorithm::NewReno,
            Self::Cubic(_) => Algorithm::Cubic,
            Self::Bbr(_) => Algorithm::Bbr,
        }
    }
}

/// Calls a method of the controller inside.
macro_rules! each {
    ($self:ident, $controller:ident => $call:expr) => {
        match $self {
            Self::NewReno($controller) => $call,
            Self::Cubic($controller) => $call,
            Self::Bbr($controller) => $call,
        }
    };
}

impl Controller for Congestion {
    fn window(&self) -> u64 {
        each!(self, inner => inner.window())
    }

    fn pacing_rate(&self, smoothed_rtt: Duration) -> Option<Rate> {
        each!(self, inner => inner.pacing_rate(smoothed_rtt))
    }

    fn in_slow_start(&self) -> bool {
        each!(self, inner => inner.in_slow_start())
    }

    fn on_restart(&mut self, now: Instant, app_limited: bool) {
        each!(self, inner => inner.on_restart(now, app_limited));
    }

    fn on_packet_lost(&mut self, lost: &Lost) {
        each!(self, inner => inner.on_packet_lost(lost));
    }

    fn on_congestion_event(&mut self, event: &CongestionEvent) {
        each!(self, inner => inner.on_congestion_event(event));
    }

    fn on_ack(&mut self, acked: &Acked) {
        each!(self, inner => inner.on_ack(acked));
    }

    fn on_persistent_congestion(&mut self) {
        each!(self, inner => inner.on_persistent_congestion());
    }

    fn on_spurious_loss(&mut self) {
        each!(self, inner => inner.on_spurious_loss());
    }

    fn on_mtu_update(&mut self, max_datagram_size: u16) {
        each!(self, inner => inner.on_mtu_update(max_datagram_size));
    }

    fn wants_samples(&self) -> bool {
        each!(self, inner => inner.wants_samples())
    }

    fn limits_itself(&self) -> bool {
        each!(self, inner => inner.limits_itself())
    }
}

/// RFC 9002 §7.7: rate = N * congestion_window / smoothed_rtt, for the controllers that have only a
/// window. N is 5/4, small but enough to use the window when the RTT varies, and 2 while the window
/// doubles every round trip.
fn window_rate(window: u64, smoothed_rtt: Duration, in_slow_start: bool) -> Option<Rate> {
    if smoothed_rtt == Duration::ZERO {
        return None;
    }
    let quarters = if in_slow_start { 8 } else { 5 };
    Some(Rate::from_bytes_over(
        window.saturating_mul(quarters),
        smoothed_rtt.times(4),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    pub(super) fn config(max_datagram_size: u16) -> Config {
        Config {
            max_datagram_size,
            max_window: MAX_WINDOW,
            seed: 1,
            now: Instant::from_nanos(0),
        }
    }

    /// So many bytes acknowledged of a flow that uses its window.
    pub(super) fn acked(bytes: u64) -> Acked {
        Acked {
            now: Instant::from_nanos(1),
            bytes,
            bytes_outside_recovery: bytes,
            newest_sent: Instant::from_nanos(0),
            in_recovery: false,
            prior_in_flight: bytes,
            in_flight: 0,
            cwnd_limited: true,
            rtt: Rtt::default(),
            delivered: bytes,
            sample: RateSample::default(),
        }
    }

    pub(super) fn event() -> CongestionEvent {
        CongestionEvent {
            now: Instant::from_nanos(1),
            ecn: false,
            prior_in_flight: 0,
            delivered: 0,
        }
    }

    #[test]
    fn the_initial_window_is_ten_datagrams_within_limits() {
        for (size, window) in [
            (1200, 12_000),
            (1472, 14_720),
            (1500, 14_720),
            (9000, 18_000),
            (65_507, 131_014),
        ] {
            assert_eq!(initial_window(size), window);
            assert_eq!(minimum_window(size), 2 * u64::from(size));
        }
    }

    #[test]
    fn without_an_rtt_there_is_no_rate() {
        assert_eq!(window_rate(12_000, Duration::ZERO, true), None);
        let rate = |slow| window_rate(12_000, Duration::from_millis(100), slow).unwrap();
        assert!((239_990..=240_000).contains(&rate(true).as_bytes_per_second()));
        assert!((149_990..=150_000).contains(&rate(false).as_bytes_per_second()));
    }

    #[test]
    fn the_object_is_small() {
        assert_eq!(size_of::<Congestion>(), 216);
    }
}
