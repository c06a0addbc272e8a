// SPDX-License-Identifier: GPL-2.0 OR MIT

use super::path::{PathConfig, SendAllowance, SendLimit};
use super::*;
use crate::congestion::{Algorithm, Controller, MAX_WINDOW};
use crate::ecn::EcnState;
use crate::rtt::INITIAL_RTT;
use crate::testing::{ecn_counts, pn};
use kernel::alloc::{flags::GFP_ATOMIC, inject};
use proptest::prelude::*;
use PacketNumberSpace::{ApplicationData, Handshake, Initial};

const SIZE: u16 = 1200;
const TRACKED: SentFlags = SentFlags::ACK_ELICITING.with(SentFlags::IN_FLIGHT);

const fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

fn at(millis: u64) -> Instant {
    Instant::from_nanos(0) + ms(millis)
}

#[derive(Debug, Default)]
struct Seen {
    acked: Vec<(PacketNumberSpace, u64)>,
    lost: Vec<(PacketNumberSpace, u64)>,
    spurious: Vec<u64>,
}

impl Fates<u64> for Seen {
    fn on_acked(&mut self, space: PacketNumberSpace, pn: PacketNumber, packet: &SentPacket<u64>) {
        assert_eq!(packet.content, pn.get());
        if packet.is_lost() {
            self.spurious.push(pn.get());
        }
        self.acked.push((space, pn.get()));
    }

    fn on_lost(&mut self, space: PacketNumberSpace, pn: PacketNumber, packet: &SentPacket<u64>) {
        assert_eq!(packet.content, pn.get());
        self.lost.push((space, pn.get()));
    }
}

fn config() -> PathConfig {
    PathConfig {
        algorithm: Algorithm::NewReno,
        max_window: MAX_WINDOW,
        initial_rtt: INITIAL_RTT,
        max_udp_payload: 1472,
        pmtud: true,
        ecn: true,
        seed: 1,
        now: at(0),
    }
}

/// A connection with one path.
struct Connection {
    recovery: Recovery<u64>,
    path: PathRecovery,
    seen: Seen,
    /// Why each attempt to send stops.
    limit: SendLimit,
}

impl Connection {
    fn new(role: Role) -> Self {
        let path = PathRecovery::new(&config(), GFP_ATOMIC).unwrap();
        let limit = SendLimit::Congestion;
        Self {
            recovery: Recovery::new(role),
            path,
            seen: Seen::default(),
            limit,
        }
    }

    /// After a handshake, with an RTT of 100 ms and a peer that promises 25 ms.
    fn established() -> Self {
        let mut this = Self::new(Role::Client);
        this.recovery.set_max_ack_delay(ms(25));
        this.recovery.set_handshake_confirmed();
        this.path.rtt.update(ms(100), Duration::ZERO, None, at(0));
        this
    }

    fn send_with(
        &mut self,
        space: PacketNumberSpace,
        flags: SentFlags,
        size: u16,
        now: Instant,
    ) -> u64 {
        self.recovery.reserve(space, 1, GFP_ATOMIC).unwrap();
        let pn = self.recovery.next_packet_number(space, || 0).unwrap();
        let packet = SentPacket::new(now, size, 0, flags, pn.get());
        self.recovery
            .on_packet_sent(space, pn, packet, &mut self.path, GFP_ATOMIC)
            .unwrap();
        self.recovery.on_batch_sent(space, now, &mut self.path);
        self.path.on_send_stopped(self.limit);
        pn.get()
    }

    fn send(&mut self, space: PacketNumberSpace, now: Instant) -> u64 {
        self.send_with(space, TRACKED, SIZE, now)
    }

    fn ack_with(
        &mut self,
        space: PacketNumberSpace,
        info: AckInfo,
        ranges: &[(u64, u64)],
        now: Instant,
    ) -> Result<Outcome, TransportError> {
        let ranges = ranges
            .iter()
            .map(|(start, end)| AckRange::new(*start, *end).unwrap());
        self.recovery
            .on_ack_received(space, &info, ranges, now, &mut self.path, &mut self.seen)
    }

    fn ack(&mut self, space: PacketNumberSpace, ranges: &[(u64, u64)], now: Instant) -> Outcome {
        self.ack_with(space, AckInfo::default(), ranges, now)
            .unwrap()
    }

    fn timeout(&mut self, now: Instant) -> Timeout {
        self.recovery
            .on_loss_detection_timeout(now, &mut self.path, &mut self.seen)
    }

    fn timer(&self) -> Option<Instant> {
        self.recovery.loss_detection_timer()
    }

    fn lost(&mut self) -> Vec<u64> {
        std::mem::take(&mut self.seen.lost)
            .into_iter()
            .map(|(_, pn)| pn)
            .collect()
    }

    fn window(&self) -> u64 {
        self.path.congestion().window()
    }
}

#[test]
fn the_objects_are_small() {
    assert_eq!(size_of::<Recovery<[u64; 3]>>(), 264);
    assert_eq!(size_of::<PathRecovery>(), 576);
}

// RFC 9002 §6.1.1.
#[test]
fn three_packets_behind_is_lost() {
    let mut connection = Connection::established();
    for _ in 0..4 {
        connection.send(ApplicationData, at(10));
    }
    assert!(!connection.ack(ApplicationData, &[(2, 2)], at(20)).lost);
    assert!(connection.ack(ApplicationData, &[(2, 3)], at(20)).lost);
    assert_eq!(connection.lost(), [0]);
    assert_eq!(connection.path.bytes_in_flight(), u64::from(SIZE));
}

// RFC 9002 §6.1.1, with a number left out between.
// [rfc9000-12.3-1]
#[test]
fn a_number_left_out_is_no_distance() {
    let mut connection = Connection::established();
    connection.recovery.skip_packet_numbers(ApplicationData, 0);
    for expected in [0, 1, 2, 3, 4, 5, 6, 7, 9, 10] {
        assert_eq!(connection.send(ApplicationData, at(10)), expected);
    }
    connection.ack(ApplicationData, &[(10, 10)], at(20));
    // Packet 7 is three numbers but two packets behind.
    assert_eq!(connection.lost(), [0, 1, 2, 3, 4, 5, 6]);
    assert_eq!(
        connection.ack_with(ApplicationData, AckInfo::default(), &[(7, 10)], at(21)),
        Err(AckInfo::default().never_sent())
    );
}

// RFC 9002 §6.1.2.
// [rfc9002-6.2.1-5] [rfc9002-7.4-1]
#[test]
fn nine_eighths_of_the_round_trip_later_is_lost() {
    let mut connection = Connection::established();
    connection.send(ApplicationData, at(0));
    connection.send(ApplicationData, at(10));
    connection.ack(ApplicationData, &[(1, 1)], at(110));
    // max(smoothed, latest) = 100 ms.
    assert_eq!(connection.timer(), Some(Instant::from_nanos(112_500_000)));
    assert_eq!(connection.timeout(at(112)), Timeout::Early);
    let Timeout::Lost(outcome) = connection.timeout(at(113)) else {
        panic!()
    };
    assert!(outcome.lost && !outcome.persistent_congestion);
    assert_eq!(connection.lost(), [0]);
    assert_eq!(
        (connection.path.bytes_in_flight(), connection.timer()),
        (0, None)
    );
    // (12000 + 1200) / 2.
    assert_eq!(connection.window(), 6600);
}

// RFC 9002 §6.2.1.
// [rfc9002-6.2-1] [rfc9002-6.2.1-4]
#[test]
fn the_pto_is_smoothed_rtt_plus_variation_plus_delay() {
    let mut connection = Connection::established();
    connection.send(ApplicationData, at(0));
    // 100 + 4 * 50 + 25.
    assert_eq!(connection.timer(), Some(at(325)));
    assert_eq!(connection.timeout(at(324)), Timeout::Early);
    let probe = Timeout::Probe {
        space: ApplicationData,
        datagrams: 2,
    };
    assert_eq!(connection.timeout(at(325)), probe);
    assert!(
        connection.seen.lost.is_empty(),
        "§6.2: MUST NOT be marked as lost"
    );
    // Twice the whole period, the delay once.
    connection.send(ApplicationData, at(325));
    assert_eq!(connection.timer(), Some(at(325 + 650)));
    assert_eq!(connection.timeout(at(975)), probe);
    assert_eq!(connection.recovery.pto_count(), 2);
    connection.ack(ApplicationData, &[(1, 1)], at(980));
    assert_eq!(connection.recovery.pto_count(), 0);
}

#[test]
fn the_backoff_has_limits() {
    let mut connection = Connection::established();
    connection.send(ApplicationData, at(0));
    let mut now = at(0);
    for _ in 0..300 {
        now = connection.timer().unwrap();
        assert!(matches!(connection.timeout(now), Timeout::Probe { .. }));
        connection.send(ApplicationData, now);
    }
    assert_eq!(connection.timer().unwrap().since(now), MAX_PTO);
    assert_eq!(connection.recovery.pto_count(), u8::MAX);
}

// RFC 9002 §6.2.1: the earlier of Initial and Handshake; Application Data not before confirmation.
// [rfc9002-6.2.1-2] [rfc9002-6.2.1-3] [rfc9002-6.2.2-1] [rfc9002-6.4-1]
#[test]
fn spaces_share_the_timer() {
    let mut connection = Connection::new(Role::Server);
    connection.send(ApplicationData, at(0));
    assert_eq!(connection.timer(), None);
    connection.send(Handshake, at(10));
    connection.send(Initial, at(20));
    assert_eq!(connection.timer(), Some(at(10 + 999)));
    assert_eq!(
        connection.timeout(at(1009)),
        Timeout::Probe {
            space: Handshake,
            datagrams: 2
        }
    );
    connection
        .recovery
        .on_space_discarded(Handshake, at(1010), &mut connection.path);
    assert_eq!(connection.recovery.pto_count(), 0);
    assert_eq!(connection.timer(), Some(at(20 + 999)));
    assert_eq!(connection.path.bytes_in_flight(), 2 * u64::from(SIZE));
    connection
        .recovery
        .on_space_discarded(Initial, at(1010), &mut connection.path);
    assert_eq!(connection.timer(), None);
    connection.recovery.set_handshake_confirmed();
    connection
        .recovery
        .set_loss_detection_timer(at(1011), &mut connection.path);
    assert_eq!(connection.timer(), Some(at(999)));
}

// RFC 9002 §6.2.2.1: the client keeps the server going.
// [rfc9002-6.2.2.1-2] [rfc9002-6.2.2.1-3] [rfc9000-8.1-4] [rfc9000-8.1-5]
#[test]
fn the_client_breaks_the_deadlock() {
    let mut connection = Connection::new(Role::Client);
    connection.send(Initial, at(0));
    connection.ack(Initial, &[(0, 0)], at(50));
    assert_eq!(connection.path.bytes_in_flight(), 0);
    // smoothed_rtt 50, rttvar 25: from now on.
    assert_eq!(connection.timer(), Some(at(50 + 150)));
    assert_eq!(
        connection.timeout(at(200)),
        Timeout::Probe {
            space: Initial,
            datagrams: 2
        }
    );
    // RFC 9002 §6.2.1: a client does not reset the backoff on receiving acknowledgments in Initial
    // packets.
    connection.send(Initial, at(200));
    connection.ack(Initial, &[(1, 1)], at(250));
    assert_eq!(connection.recovery.pto_count(), 1);
    connection.recovery.set_has_handshake_keys();
    let timer = connection.timer().unwrap();
    assert_eq!(
        connection.timeout(timer),
        Timeout::Probe {
            space: Handshake,
            datagrams: 2
        }
    );
    connection.send(Handshake, at(600));
    connection.ack(Handshake, &[(0, 0)], at(650));
    assert_eq!(
        (connection.recovery.pto_count(), connection.timer()),
        (0, None)
    );
}

#[test]
fn zero_rtt_in_flight_does_not_hide_the_deadlock() {
    let mut connection = Connection::new(Role::Client);
    connection.send(Initial, at(0));
    connection.send_with(
        ApplicationData,
        TRACKED.with(SentFlags::ZERO_RTT),
        SIZE,
        at(0),
    );
    connection.ack(Initial, &[(0, 0)], at(50));
    assert_eq!(connection.timer(), Some(at(200)));
}

#[test]
fn application_data_in_flight_does_not_stop_the_handshake() {
    let probe = Timeout::Probe {
        space: Handshake,
        datagrams: 2,
    };
    let mut connection = Connection::new(Role::Client);
    connection.recovery.set_has_handshake_keys();
    connection.send(Handshake, at(0));
    connection.ack(Handshake, &[(0, 0)], at(50));
    assert_eq!(connection.timer(), None);
    connection.send(ApplicationData, at(60));
    assert_eq!(connection.timer(), Some(at(60 + 150)));
    assert_eq!(connection.timeout(at(210)), probe);
    assert_eq!(connection.timer(), Some(at(60 + 300)));
    // When it is confirmed, the timer is that of the data.
    connection.recovery.set_handshake_confirmed();
    connection
        .recovery
        .set_loss_detection_timer(at(211), &mut connection.path);
    assert_ne!(connection.timeout(at(1_000)), probe);
}

// RFC 9002 §6.2.2.1, §A.6.
// [rfc9002-6.2.2.1-1]
#[test]
fn a_blocked_server_waits_for_the_client() {
    let mut connection = Connection::new(Role::Server);
    connection.send(Initial, at(0));
    connection.recovery.set_amplification_limited(true);
    connection
        .recovery
        .set_loss_detection_timer(at(1), &mut connection.path);
    assert_eq!(connection.timer(), None);
    connection.recovery.set_amplification_limited(false);
    connection
        .recovery
        .set_loss_detection_timer(at(5000), &mut connection.path);
    // In the past: executed at once.
    assert_eq!(
        connection.timeout(at(5000)),
        Timeout::Probe {
            space: Initial,
            datagrams: 2
        }
    );
}

// RFC 9002 §6.3.
// [rfc9000-17.2.5.3-2]
#[test]
fn a_retry_starts_again() {
    let mut connection = Connection::new(Role::Client);
    connection.send(Initial, at(0));
    connection.send_with(
        ApplicationData,
        TRACKED.with(SentFlags::ZERO_RTT),
        SIZE,
        at(0),
    );
    connection.timeout(at(999));
    connection
        .recovery
        .on_retry(at(1000), &mut connection.path, &mut connection.seen);
    assert_eq!(connection.seen.lost, [(Initial, 0), (ApplicationData, 0)]);
    assert_eq!(
        (
            connection.path.bytes_in_flight(),
            connection.recovery.pto_count()
        ),
        (0, 0)
    );
    assert_eq!(connection.window(), 12_000);
    assert_eq!(connection.send(Initial, at(1001)), 1);
}

// RFC 9002 §6.4.
// [rfc9002-6.4-1]
#[test]
fn rejected_zero_rtt_is_taken_out() {
    let mut connection = Connection::new(Role::Client);
    for _ in 0..5 {
        connection.send_with(
            ApplicationData,
            TRACKED.with(SentFlags::ZERO_RTT),
            SIZE,
            at(0),
        );
    }
    connection.send(ApplicationData, at(1));
    connection
        .recovery
        .on_zero_rtt_rejected(at(2), &mut connection.path, &mut connection.seen);
    assert_eq!(connection.lost(), [0, 1, 2, 3, 4]);
    assert_eq!(connection.path.bytes_in_flight(), u64::from(SIZE));
    assert_eq!(connection.window(), 12_000);
}

// RFC 9002 §7.6.3, the example: a period of 2 s.
// [rfc9002-7.6.2-2]
#[test]
fn the_example_of_persistent_congestion() {
    let mut connection = Connection::established();
    // smoothed_rtt + max(4*rttvar, kGranularity) + max_ack_delay = 1.975 + 0.025 with a sample
    // before.
    connection.path = PathRecovery::new(&config(), GFP_ATOMIC).unwrap();
    connection.path.rtt.update(
        Duration::from_nanos(1_975_000_000 / 3),
        Duration::ZERO,
        None,
        at(0),
    );
    let start = 1000;
    for millis in [0, 1000] {
        connection.send(ApplicationData, at(start + millis));
    }
    connection.ack(ApplicationData, &[(0, 0)], at(start + 658));
    for millis in [2000, 3000, 4000, 5000, 6000, 8000, 12_000] {
        connection.send(ApplicationData, at(start + millis));
    }
    let outcome = connection.ack(ApplicationData, &[(8, 8)], at(start + 12_200));
    assert_eq!(connection.lost(), [1, 2, 3, 4, 5, 6, 7]);
    assert!(outcome.persistent_congestion);
    assert_eq!(connection.window(), 2400);
    assert!(connection.path.congestion().in_slow_start());
    // RFC 9002 §5.2: min_rtt starts again.
    assert_eq!(connection.path.rtt.min(), ms(200));
}

/// Packets sent at these times in milliseconds, then those of `acked` and one more acknowledged.
fn persistent(times: &[u64], acked: &[u64], flags: SentFlags) -> bool {
    let mut connection = Connection::established();
    for millis in times {
        connection.send_with(ApplicationData, flags, SIZE, at(*millis));
    }
    let last = connection.send(ApplicationData, at(9000));
    let mut ranges = vec![(last, last)];
    ranges.extend(acked.iter().rev().map(|pn| (*pn, *pn)));
    connection
        .ack(ApplicationData, &ranges, at(9100))
        .persistent_congestion
}

// RFC 9002 §7.6.2; the duration is 3 * (100 + 4 * 37.5 + 25) ms.
// [rfc9002-7.6.2-1]
#[test]
fn persistent_congestion_has_conditions() {
    assert!(persistent(&[1000, 1826], &[], TRACKED));
    assert!(
        !persistent(&[1000, 1825], &[], TRACKED),
        "the duration is not exceeded"
    );
    assert!(
        !persistent(&[1000, 1500, 1826], &[1], TRACKED),
        "one between is acknowledged"
    );
    assert!(persistent(&[1000, 1500, 1826], &[], TRACKED));
    assert!(
        !persistent(&[1000, 1826], &[], SentFlags::IN_FLIGHT),
        "they elicit nothing"
    );
    assert!(
        !persistent(&[1000, 1826], &[], TRACKED.with(SentFlags::MTU_PROBE)),
        "they are probes"
    );
    assert!(!persistent(&[0, 1], &[], TRACKED));
}

#[test]
fn without_an_rtt_sample_nothing_is_persistent() {
    let mut connection = Connection::new(Role::Server);
    connection.send(Initial, at(0));
    connection.send(Initial, at(50_000));
    connection.send(Initial, at(50_001));
    connection.send(Initial, at(50_002));
    let outcome = connection.ack(Initial, &[(3, 3)], at(50_100));
    assert!(outcome.lost && !outcome.persistent_congestion);
}

// RFC 9002 §7.6.2: across all packet number spaces.
#[test]
fn an_acknowledgment_in_another_space_breaks_persistent_congestion() {
    for acked in [false, true] {
        let mut connection = Connection::established();
        connection.send(ApplicationData, at(1000));
        connection.send(Handshake, at(1500));
        connection.send(ApplicationData, at(2500));
        connection.send(ApplicationData, at(9000));
        if acked {
            connection.ack(Handshake, &[(0, 0)], at(9050));
        }
        let outcome = connection.ack(ApplicationData, &[(2, 2)], at(9100));
        assert_eq!(outcome.persistent_congestion, !acked);
    }
}

// RFC 9002 §7.3.2: once a round trip.
// [rfc9000-13.3-4] [rfc9002-7.3.1-1]
#[test]
fn one_recovery_period_one_reduction() {
    let mut connection = Connection::established();
    for n in 0..10 {
        connection.send(ApplicationData, at(n));
    }
    connection.ack(ApplicationData, &[(3, 3)], at(110));
    assert_eq!(connection.window(), 6000);
    // More losses of the same window, and acknowledgments of it.
    connection.ack(ApplicationData, &[(7, 9), (3, 3)], at(112));
    assert_eq!(connection.lost(), [0, 1, 2, 4, 5, 6]);
    assert_eq!(connection.window(), 6000);
    // A packet sent in recovery ends it; then a loss counts.
    for n in 0..5 {
        connection.send(ApplicationData, at(120 + n));
    }
    connection.ack(ApplicationData, &[(10, 10)], at(230));
    assert_eq!(connection.window(), 6000);
    connection.ack(ApplicationData, &[(14, 14)], at(231));
    assert_eq!(connection.window(), 3000);
}

#[test]
fn a_spurious_loss_is_undone_and_remembered() {
    let mut connection = Connection::established();
    for n in 0..10 {
        connection.send(ApplicationData, at(n));
    }
    connection.ack(ApplicationData, &[(4, 4)], at(105));
    assert_eq!((connection.lost(), connection.window()), (vec![0, 1], 6000));
    connection.ack(ApplicationData, &[(4, 4), (1, 1)], at(106));
    assert_eq!(connection.window(), 6000);
    connection.ack(ApplicationData, &[(4, 4), (0, 1)], at(107));
    assert_eq!(connection.seen.spurious, [1, 0]);
    assert!(connection.window() >= 12_000, "{}", connection.window());
    // It would have taken a threshold of five.
    assert_eq!(connection.path.reordering.packet_threshold(), 5);
    assert_eq!(connection.path.bytes_in_flight(), 7 * u64::from(SIZE));
}

// RFC 9002 §7.8.
#[test]
fn an_unused_window_does_not_grow() {
    let mut connection = Connection::established();
    connection.limit = SendLimit::Application;
    for round in 0..20 {
        connection.send(ApplicationData, at(round * 100));
        connection.ack(ApplicationData, &[(round, round)], at(round * 100 + 100));
    }
    assert_eq!(connection.window(), 12_000);
}

// RFC 9000 §14.4.
#[test]
fn a_lost_probe_is_no_congestion() {
    let mut connection = Connection::established();
    let size = connection.path.mtu_probe(at(0)).unwrap();
    assert_eq!(size, 1472);
    connection.send_with(
        ApplicationData,
        TRACKED.with(SentFlags::MTU_PROBE),
        size,
        at(0),
    );
    assert_eq!(connection.path.mtu_probe(at(0)), None);
    for n in 1..5 {
        connection.send(ApplicationData, at(n));
    }
    let window = connection.window();
    connection.ack(ApplicationData, &[(1, 4)], at(101));
    assert_eq!(connection.lost(), [0]);
    assert!(connection.window() > window);
    assert_eq!(connection.path.bytes_in_flight(), 0);
    // The next one arrives.
    let size = connection.path.mtu_probe(at(200)).unwrap();
    let pn = connection.send_with(
        ApplicationData,
        TRACKED.with(SentFlags::MTU_PROBE),
        size,
        at(200),
    );
    assert!(
        connection
            .ack(ApplicationData, &[(pn, pn)], at(300))
            .mtu_changed
    );
    assert_eq!(connection.path.max_datagram_size(), 1472);
}

// [rfc9000-13.4.2.1-1] [rfc9000-13.4.2.2-2] [rfc9002-7.3.1-1]
#[test]
fn ecn_is_validated_and_ce_is_congestion() {
    let mut connection = Connection::established();
    let marked = TRACKED.with(SentFlags::ECT0);
    for n in 0..10 {
        connection.send_with(ApplicationData, marked, SIZE, at(n));
    }
    let with = |ect0, ce| AckInfo {
        ack_delay: Duration::ZERO,
        ecn: Some(ecn_counts(ect0, 0, ce)),
    };
    connection
        .ack_with(ApplicationData, with(4, 0), &[(0, 3)], at(100))
        .unwrap();
    assert_eq!(connection.path.ecn.state(), EcnState::Capable);
    let window = connection.window();
    connection
        .ack_with(ApplicationData, with(5, 1), &[(0, 5)], at(101))
        .unwrap();
    assert_eq!(connection.window(), window / 2);
    // A frame that is older than the last proves nothing.
    connection
        .ack_with(ApplicationData, AckInfo::default(), &[(0, 4)], at(102))
        .unwrap();
    assert_eq!(connection.path.ecn.state(), EcnState::Capable);
    connection
        .ack_with(ApplicationData, AckInfo::default(), &[(0, 6)], at(103))
        .unwrap();
    assert_eq!(connection.path.ecn.state(), EcnState::Failed);
}

// [rfc9002-5.1-1] [rfc9002-5.3-1]
#[test]
fn the_rtt_needs_the_largest_and_an_eliciting_packet() {
    let mut connection = Connection::established();
    for n in 0..4 {
        connection.send(ApplicationData, at(n * 10));
    }
    let padding = connection.send_with(ApplicationData, SentFlags::IN_FLIGHT, SIZE, at(40));
    connection.ack(ApplicationData, &[(1, 1)], at(150));
    assert_eq!(connection.path.rtt.latest(), ms(140));
    connection.ack(ApplicationData, &[(0, 1)], at(200));
    assert_eq!(
        connection.path.rtt.latest(),
        ms(140),
        "the largest is not new"
    );
    connection.ack(ApplicationData, &[(padding, padding), (0, 1)], at(210));
    assert_eq!(connection.path.rtt.latest(), ms(140), "nothing new elicits");
    // The delay is limited by the peer's promise of 25 ms: 990 - 25 is still above the minimum.
    let info = AckInfo {
        ack_delay: ms(900),
        ecn: None,
    };
    connection
        .ack_with(ApplicationData, info, &[(0, padding)], at(1030))
        .unwrap();
    assert_eq!(
        connection.path.rtt.latest(),
        ms(140),
        "packet 3 is not the largest"
    );
    let pn = connection.send(ApplicationData, at(1040));
    let before = connection.path.rtt.smoothed();
    connection
        .ack_with(ApplicationData, info, &[(0, pn)], at(2040))
        .unwrap();
    let expected = before.as_nanos() - before.as_nanos() / 8 + ms(975).as_nanos() / 8;
    assert_eq!(connection.path.rtt.smoothed().as_nanos(), expected);
}

// [rfc9002-7-2] [rfc9002-7.7-1]
#[test]
fn allowance_is_the_window_then_the_pace() {
    let mut connection = Connection::established();
    let path = &connection.path;
    // 12 kB a round trip of 100 ms, doubled in slow start: the whole window is a permitted burst.
    assert_eq!(path.send_allowance(at(5000)), SendAllowance::Bytes(12_000));
    for _ in 0..5 {
        connection.send(ApplicationData, at(5000));
    }
    assert_eq!(
        connection.path.send_allowance(at(5000)),
        SendAllowance::Bytes(4800)
    );
    for _ in 0..5 {
        connection.send(ApplicationData, at(5000));
    }
    assert_eq!(
        connection.path.send_allowance(at(5000)),
        SendAllowance::Congested
    );
    connection.ack(ApplicationData, &[(0, 9)], at(5001));
    let SendAllowance::Paced(until) = connection.path.send_allowance(at(5001)) else {
        panic!()
    };
    assert!(matches!(
        connection.path.send_allowance(until),
        SendAllowance::Bytes(2400)
    ));
}

#[test]
fn handshake_packets_are_not_charged() {
    let mut connection = Connection::established();
    for _ in 0..8 {
        connection.send(Handshake, at(5000));
    }
    connection.ack(Handshake, &[(0, 7)], at(5010));
    assert!(matches!(
        connection.path.send_allowance(at(5010)),
        SendAllowance::Bytes(12_000..)
    ));
}

/// Two paths: old packets do not touch the new path (RFC 9000 §9.4).
struct Two([PathRecovery; 2]);

impl Paths for Two {
    fn path(&mut self, index: u8) -> Option<&mut PathRecovery> {
        self.0.get_mut(usize::from(index))
    }

    fn for_each(&mut self, mut visit: impl FnMut(u8, &mut PathRecovery)) {
        for (index, path) in (0..).zip(&mut self.0) {
            visit(index, path);
        }
    }
}

// [rfc9000-9.4-1]
#[test]
fn packets_of_an_old_path_do_not_touch_the_new_one() {
    let new = || PathRecovery::new(&config(), GFP_ATOMIC).unwrap();
    let mut paths = Two([new(), new()]);
    let mut recovery = Recovery::new(Role::Client);
    let mut seen = Seen::default();
    recovery.set_handshake_confirmed();
    let send = |recovery: &mut Recovery<u64>, paths: &mut Two, path, millis| {
        recovery.reserve(ApplicationData, 1, GFP_ATOMIC).unwrap();
        let pn = recovery.next_packet_number(ApplicationData, || 0).unwrap();
        let packet = SentPacket::new(at(millis), SIZE, path, TRACKED, pn.get());
        recovery
            .on_packet_sent(ApplicationData, pn, packet, paths, GFP_ATOMIC)
            .unwrap();
        recovery.on_batch_sent(ApplicationData, at(millis), paths);
    };
    for n in 0..4 {
        send(&mut recovery, &mut paths, 0, n);
    }
    recovery.set_active_path(1);
    for n in 0..4 {
        send(&mut recovery, &mut paths, 1, 10 + n);
    }
    assert_eq!(paths.0[1].bytes_in_flight(), 4800);
    let range = AckRange::new(4, 7).unwrap();
    let info = AckInfo::default();
    recovery
        .on_ack_received(
            ApplicationData,
            &info,
            [range],
            at(60),
            &mut paths,
            &mut seen,
        )
        .unwrap();
    assert_eq!(seen.lost.len(), 4);
    assert_eq!(
        paths.0[0].bytes_in_flight() + paths.0[1].bytes_in_flight(),
        0
    );
    assert_eq!(paths.0[0].congestion().window(), 6000);
    assert_eq!(paths.0[1].congestion().window(), 12_000);
    assert_eq!(paths.0[0].rtt.first_sample(), None);
    assert_eq!(paths.0[1].rtt.latest(), ms(47));
}

#[test]
fn a_failed_allocation_changes_nothing() {
    let mut connection = Connection::established();
    let (result, failed) = inject::fail_nth(0, || {
        connection.recovery.reserve(ApplicationData, 1, GFP_ATOMIC)
    });
    assert!(failed && result.is_err());
    let packet = SentPacket::new(at(0), SIZE, 0, TRACKED, 0);
    let recovery = &mut connection.recovery;
    assert!(recovery
        .on_packet_sent(
            ApplicationData,
            pn(0),
            packet,
            &mut connection.path,
            GFP_ATOMIC
        )
        .is_err());
    assert_eq!(connection.path.bytes_in_flight(), 0);
    assert!(!connection
        .recovery
        .has_ack_eliciting_in_flight(ApplicationData));
    // BBR needs memory for itself; for its snapshots it can do without.
    let config = PathConfig {
        algorithm: Algorithm::Bbr,
        ..config()
    };
    assert!(
        inject::fail_nth(0, || PathRecovery::new(&config, GFP_ATOMIC))
            .0
            .is_err()
    );
    let path = &mut connection.path;
    assert!(inject::fail_nth(0, || path.set_algorithm(
        Algorithm::Bbr,
        &config,
        GFP_ATOMIC
    ))
    .0
    .is_err());
    assert_eq!(path.congestion().algorithm(), Algorithm::NewReno);
    path.set_algorithm(Algorithm::Bbr, &config, GFP_ATOMIC)
        .unwrap();
    connection
        .recovery
        .reserve(ApplicationData, 1, GFP_ATOMIC)
        .unwrap();
    let sent = inject::fail_nth(0, || connection.send(ApplicationData, at(1)));
    assert_eq!(sent, (0, true));
    connection.ack(ApplicationData, &[(0, 0)], at(101));
}

/// Loss detection told from scratch, over a list of all packets.
#[derive(Default)]
struct Model {
    packets: Vec<(Instant, char)>,
    largest: Option<u64>,
}

impl Model {
    fn lost(&mut self, now: Instant, delay: Duration, threshold: u64) -> Vec<u64> {
        let Some(largest) = self.largest else {
            return Vec::new();
        };
        let mut lost = Vec::new();
        for (pn, (time, fate)) in (0..).zip(&mut self.packets) {
            let late = *time + delay <= now || largest >= pn + threshold;
            if pn <= largest && *fate == 'o' && late {
                *fate = 'l';
                lost.push(pn);
            }
        }
        lost
    }
}

#[derive(Clone, Debug)]
enum Step {
    Wait(u64),
    Send,
    Ack(u64, u64),
    Timeout,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        2 => (0_u64..60).prop_map(Step::Wait),
        4 => Just(Step::Send),
        2 => (0_u64..12, 0_u64..6).prop_map(|(down, len)| Step::Ack(down, len)),
        1 => Just(Step::Timeout),
    ]
}

proptest! {
    #[test]
    fn agrees_with_a_naive_model(steps in proptest::collection::vec(step(), 0..200)) {
        let mut connection = Connection::established();
        let mut model = Model::default();
        let mut now = at(1);
        for step in steps {
            match step {
                Step::Wait(millis) => now = now + ms(millis),
                Step::Send => {
                    connection.send(ApplicationData, now);
                    model.packets.push((now, 'o'));
                }
                Step::Ack(down, len) => {
                    let Some(end) = (model.packets.len() as u64).checked_sub(1 + down) else { continue };
                    let start = end.saturating_sub(len);
                    let outstanding = (start..=end).any(|pn| model.packets[pn as usize].1 == 'o');
                    for pn in start..=end {
                        model.packets[pn as usize].1 = 'a';
                    }
                    let outcome = connection.ack(ApplicationData, &[(start, end)], now);
                    model.largest = model.largest.max(Some(end));
                    // A lost packet may have been forgotten, and is not new then.
                    prop_assert!(outcome.newly_acked || !outstanding);
                    if outcome.newly_acked {
                        let reordering = &connection.path.reordering;
                        let delay = reordering.loss_delay(connection.path.rtt.recent());
                        let lost = model.lost(now, delay, u64::from(reordering.packet_threshold()));
                        prop_assert_eq!(connection.lost(), lost);
                    }
                }
                Step::Timeout => {
                    let Some(timer) = connection.timer() else { continue };
                    now = now.max(timer);
                    if let Timeout::Lost(_) = connection.timeout(now) {
                        let reordering = &connection.path.reordering;
                        let delay = reordering.loss_delay(connection.path.rtt.recent());
                        let lost = model.lost(now, delay, u64::from(reordering.packet_threshold()));
                        prop_assert_eq!(connection.lost(), lost);
                    }
                }
            }
            let in_flight = model.packets.iter().filter(|(_, fate)| *fate == 'o').count() as u64;
            prop_assert_eq!(connection.path.bytes_in_flight(), in_flight * u64::from(SIZE));
            prop_assert_eq!(connection.recovery.has_ack_eliciting_in_flight(ApplicationData), in_flight > 0);
            prop_assert_eq!(connection.timer().is_some(), in_flight > 0);
        }
    }

    /// Whatever the peer says and the clock does: no overflow, no panic, and the books balance.
    #[test]
    fn extreme_frames(
        algorithm in prop_oneof![Just(Algorithm::NewReno), Just(Algorithm::Cubic), Just(Algorithm::Bbr)],
        steps in proptest::collection::vec((0_u8..6, any::<[u64; 4]>()), 0..80),
    ) {
        let mut connection = Connection::established();
        let config = PathConfig { algorithm, ..config() };
        connection.path.set_algorithm(algorithm, &config, GFP_ATOMIC).unwrap();
        for (step, numbers) in steps {
            let now = Instant::from_nanos(numbers[0]);
            let space = PacketNumberSpace::ALL[(numbers[1] % 3) as usize];
            match step {
                0 | 1 => {
                    let flags = TRACKED.with(SentFlags((numbers[2] & 0x3f) as u8));
                    connection.send_with(space, flags, numbers[3] as u16, now);
                }
                2 | 3 => {
                    let ecn = ecn_counts(numbers[2] >> 2, 0, numbers[3] >> 2);
                    let info = AckInfo { ack_delay: Duration::from_nanos(numbers[3]), ecn: Some(ecn) };
                    let next = connection.recovery.next_packet_number(space, || 0).unwrap().get();
                    let end = if step == 2 { numbers[2] >> 2 } else { numbers[2] % next.max(1) };
                    let _ = connection.ack_with(space, info, &[(numbers[3] % end.max(1), end)], now);
                }
                4 => { connection.timeout(now); }
                _ => { connection.path.send_allowance(now); connection.path.mtu_probe(now); }
            }
            connection.seen = Seen::default();
            let in_flight: u64 = PacketNumberSpace::ALL
                .iter()
                .flat_map(|space| connection.recovery.outstanding(*space))
                .map(|(_, packet)| u64::from(packet.size))
                .sum();
            prop_assert_eq!(connection.path.bytes_in_flight(), in_flight);
            prop_assert!(connection.window() >= 2400 && connection.window() <= MAX_WINDOW);
        }
    }
}
