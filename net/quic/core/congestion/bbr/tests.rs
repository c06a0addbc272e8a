// SPDX-License-Identifier: GPL-2.0 OR MIT

//! Most of these are the example test cases of the draft's appendix.

use super::super::simulator::quic::{Quic, Setup};
use super::super::simulator::{Link, Simulator};
use super::super::tests::{acked, config};
use super::super::Algorithm;
use super::super::{Congestion, LossSample, RateSample, Rtt};
use super::*;

const START: Instant = Instant::from_nanos(1_000_000_000);

const STEP: Duration = Duration::from_millis(5);

/// A flow over a link that can be looked at every few milliseconds.
struct Watched {
    sim: Simulator,
    flow: Quic,
    elapsed: Duration,
}

impl Watched {
    fn new(link: Link, application_rate: u64) -> Self {
        let setup = Setup {
            algorithm: Algorithm::Bbr,
            bytes: 1 << 40,
            start: START,
            ecn: false,
            application_rate,
            max_datagram_size: 1472,
        };
        Self {
            sim: Simulator::new(link),
            flow: Quic::new(0, setup),
            elapsed: Duration::ZERO,
        }
    }

    fn bbr(&self) -> &Bbr {
        match self.flow.path.congestion() {
            Congestion::Bbr(bbr) => bbr,
            _ => unreachable!(),
        }
    }

    fn step(&mut self) {
        self.elapsed += STEP;
        self.sim.run(&mut [&mut self.flow], START + self.elapsed);
    }

    /// Runs until the flow is in `state`; returns how long that took.
    fn until(&mut self, state: State, limit: Duration) -> Duration {
        self.until_one_of(&[state], limit)
    }

    fn until_one_of(&mut self, states: &[State], limit: Duration) -> Duration {
        let before = self.elapsed;
        while !states.contains(&self.bbr().state()) {
            self.step();
            assert!(
                self.elapsed - before < limit,
                "no {states:?} but {:?}",
                self.bbr().state()
            );
        }
        self.elapsed - before
    }

    fn run(&mut self, time: Duration) {
        let end = self.elapsed + time;
        while self.elapsed < end {
            self.step();
        }
    }

    /// The bandwidth that BBR sees, in percent of the link's.
    fn bandwidth_percent(&self) -> u64 {
        // The link carries 28 bytes more a packet than BBR counts.
        self.bbr().max_bw().as_bytes_per_second() * 8 * 100 * 1500 / 1472 / self.sim.link.rate
    }
}

fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

#[test]
fn startup_ends_on_a_plateau_and_drain_on_in_flight() {
    let mut watched = Watched::new(
        Link {
            queue: 100,
            ..Link::interop()
        },
        0,
    );
    watched.until(State::Drain, secs(1));
    assert!(watched.bbr().full_bw_reached && watched.bbr().full_bw_now);
    assert!(
        (98..=102).contains(&watched.bandwidth_percent()),
        "{}",
        watched.bandwidth_percent()
    );
    // What is in flight may be so little by then that DOWN is over at once.
    watched.until_one_of(&[State::ProbeBwDown, State::ProbeBwCruise], secs(1));
    let bbr = watched.bbr();
    let slack = bbr.datagrams(10);
    assert!(watched.flow.path.bytes_in_flight() <= bbr.inflight(bbr.bw, UNIT) + slack);
    watched.until(State::ProbeBwCruise, secs(1));
    watched.until(State::ProbeBwRefill, secs(4));
    watched.until(State::ProbeBwUp, secs(1));
    watched.until(State::ProbeBwDown, secs(1));
}

#[test]
fn an_application_limited_flow_stays_in_startup() {
    let mut watched = Watched::new(
        Link {
            rate: 100_000_000,
            queue: 200,
            ..Link::interop()
        },
        200_000,
    );
    watched.run(secs(4));
    assert_eq!(watched.bbr().state(), State::Startup);
    assert!(!watched.bbr().full_bw_reached);
}

#[test]
fn loss_ends_startup_even_of_an_application_limited_flow() {
    let link = Link {
        rate: 100_000_000,
        queue: 200,
        loss: 100_000,
        ..Link::interop()
    };
    let mut watched = Watched::new(link, 4_000_000);
    watched.until(State::Drain, secs(3));
    assert!(watched.bbr().inflight_longterm < u64::MAX);
}

#[test]
fn probe_rtt_comes_every_five_seconds_and_lasts_200_milliseconds() {
    let mut watched = Watched::new(
        Link {
            queue: 100,
            ..Link::interop()
        },
        0,
    );
    // A queue that stays, so that no low sample comes by itself: a second flow would make it.
    let first = watched.until(State::ProbeRtt, secs(20));
    assert!(first >= secs(5));
    let cwnd = watched.bbr().probe_rtt_cwnd();
    watched.run(STEP.times(2));
    assert!(
        watched.bbr().window() <= cwnd,
        "{} {cwnd}",
        watched.bbr().window()
    );
    let lasted = watched.until(State::ProbeBwCruise, secs(1));
    assert!(lasted >= Duration::from_millis(180), "{lasted:?}");
    // min_rtt is the path's, without a queue.
    assert!(
        watched.bbr().min_rtt() < Duration::from_millis(34),
        "{:?}",
        watched.bbr().min_rtt()
    );
}

#[test]
fn idleness_is_as_good_as_probe_rtt() {
    let mut bbr = Bbr::new(&config(1200));
    bbr.state = State::ProbeBwCruise;
    bbr.full_bw_reached = true;
    bbr.bw_probe_wait = secs(100);
    bbr.rounds_since_probe_up = 0;
    let rtt = |millis| Rtt {
        sample: Some(Duration::from_millis(millis)),
        smoothed: Duration::from_millis(millis),
    };
    let now = START;
    bbr.on_ack(&Acked {
        now,
        rtt: rtt(30),
        ..acked(1200)
    });
    bbr.on_restart(now + secs(6), true);
    assert!(bbr.idle_restart);
    bbr.on_ack(&Acked {
        now: now + secs(6),
        rtt: rtt(40),
        ..acked(1200)
    });
    assert_ne!(bbr.state, State::ProbeRtt);
    bbr.idle_restart = false;
    bbr.on_ack(&Acked {
        now: now + secs(12),
        rtt: rtt(50),
        ..acked(1200)
    });
    assert_eq!(bbr.state, State::ProbeRtt);
}

#[test]
fn probe_rtt_during_startup_leads_back_to_startup() {
    let mut bbr = Bbr::new(&config(1200));
    bbr.state = State::ProbeRtt;
    bbr.probe_rtt_done_stamp = Some(START);
    bbr.on_restart(START + secs(1), true);
    assert_eq!(bbr.state, State::Startup);
}

#[test]
fn a_path_of_less_than_a_packet_keeps_four_in_flight() {
    let link = Link {
        rate: 100_000,
        delay: Duration::from_millis(2),
        queue: 20,
        ..Link::interop()
    };
    let mut watched = Watched::new(link, 0);
    watched.run(secs(20));
    assert!(watched.bbr().window() >= 4 * 1472);
    assert!(
        watched.bandwidth_percent() >= 95,
        "{}",
        watched.bandwidth_percent()
    );
}

#[test]
fn ten_times_the_bandwidth_is_found() {
    let mut watched = Watched::new(
        Link {
            queue: 100,
            ..Link::interop()
        },
        0,
    );
    watched.run(secs(4));
    watched.sim.link.rate = 100_000_000;
    watched.run(secs(12));
    assert!(
        watched.bandwidth_percent() >= 90,
        "{}",
        watched.bandwidth_percent()
    );
}

#[test]
fn a_tenth_of_the_bandwidth_is_adapted_to() {
    let mut watched = Watched::new(
        Link {
            rate: 100_000_000,
            queue: 100,
            ..Link::interop()
        },
        0,
    );
    watched.run(secs(4));
    watched.sim.link.rate = 10_000_000;
    watched.run(secs(1));
    assert!(
        watched.bbr().bw < watched.bbr().max_bw(),
        "the short-term model answers first"
    );
    watched.run(secs(9));
    assert!(
        (95..=110).contains(&watched.bandwidth_percent()),
        "{}",
        watched.bandwidth_percent()
    );
}

/// In ProbeBW_UP, with a model of 1 MB/s and 100 ms.
fn probing() -> Bbr {
    let mut bbr = Bbr::new(&config(1000));
    bbr.full_bw_reached = true;
    bbr.min_rtt = Duration::from_millis(100);
    bbr.bw = Rate::from_bytes_per_second(1_000_000);
    bbr.max_bw_filter = [bbr.bw; 2];
    bbr.window = 200_000;
    bbr.state = State::ProbeBwUp;
    bbr.is_bw_probe_sample = true;
    bbr
}

fn lost(lost: u64, tx_in_flight: u64) -> Lost {
    let sample = LossSample {
        lost,
        tx_in_flight,
        is_app_limited: false,
    };
    Lost {
        now: START,
        size: 1000,
        contiguous: false,
        delivered: 1_000_000,
        sample,
    }
}

#[test]
fn high_loss_ends_probing_and_sets_the_limit() {
    let mut bbr = probing();
    bbr.on_packet_lost(&lost(2000, 120_000));
    assert_eq!(
        (bbr.state, bbr.inflight_longterm),
        (State::ProbeBwUp, u64::MAX),
        "less than 2%"
    );
    bbr.on_packet_lost(&lost(3000, 120_000));
    assert_eq!(bbr.state, State::ProbeBwDown);
    // 119000 before the packet, of which 2% are 2380; 2000 were lost, so 380 / 0.98 of it could
    // have been.
    assert_eq!(bbr.inflight_longterm, 119_000 + 387);
    assert!(bbr.prev_probe_too_high);
    // Only once a probe.
    bbr.on_packet_lost(&lost(50_000, 120_000));
    assert_eq!(bbr.inflight_longterm, 119_387);
}

#[test]
fn the_limit_falls_no_further_than_beta() {
    let mut bbr = probing();
    bbr.on_packet_lost(&lost(20_000, 21_000));
    // 0.7 times the bandwidth-delay product.
    assert!(
        (69_000..=70_000).contains(&bbr.inflight_longterm),
        "{}",
        bbr.inflight_longterm
    );
}

#[test]
fn a_spurious_loss_returns_to_probing() {
    let mut bbr = probing();
    bbr.on_packet_lost(&lost(9000, 120_000));
    assert_eq!(bbr.undo_state, Some(State::ProbeBwUp));
    bbr.on_spurious_loss();
    assert_eq!(
        (bbr.state, bbr.inflight_longterm),
        (State::ProbeBwRefill, u64::MAX)
    );
    assert_eq!(bbr.window, 200_000);
    let mut bbr = probing();
    bbr.state = State::Startup;
    bbr.full_bw_reached = false;
    bbr.note_loss_and_leave_startup();
    assert_eq!(bbr.state, State::Drain);
    bbr.on_spurious_loss();
    assert_eq!((bbr.state, bbr.full_bw_reached), (State::Startup, false));
}

impl Bbr {
    fn note_loss_and_leave_startup(&mut self) {
        for _ in 0..6 {
            self.on_packet_lost(&lost(10_000, 100_000));
        }
        self.in_recovery = true;
        let sample = RateSample {
            lost: 10_000,
            tx_in_flight: 100_000,
            prior_delivered: u64::MAX,
            ..RateSample::default()
        };
        self.on_ack(&Acked {
            sample,
            in_recovery: true,
            in_flight: 1 << 30,
            ..acked(1000)
        });
    }
}

#[test]
fn losses_outside_of_probing_lower_the_short_term_model_once_a_round() {
    let mut bbr = probing();
    bbr.state = State::ProbeBwCruise;
    bbr.is_bw_probe_sample = false;
    bbr.bw_probe_wait = secs(100);
    bbr.cycle_stamp = START;
    bbr.probe_rtt_min_stamp = START;
    bbr.on_packet_lost(&lost(1000, 100_000));
    let sample = RateSample {
        delivery_rate: Rate::from_bytes_per_second(900_000),
        delivered: 90_000,
        prior_delivered: 1_000_000,
        ..RateSample::default()
    };
    let now = START + Duration::from_millis(1);
    bbr.on_ack(&Acked {
        now,
        sample,
        delivered: 1_090_000,
        ..acked(1000)
    });
    assert_eq!(bbr.bw_shortterm, sample.delivery_rate);
    // The window of 200 kB times 0.7.
    assert_eq!(bbr.inflight_shortterm, 140_000);
    assert_eq!(bbr.bw, sample.delivery_rate);
}

// [rfc9002-7.6.2-2]
#[test]
fn persistent_congestion_leaves_the_minimum() {
    let mut bbr = probing();
    bbr.on_persistent_congestion();
    assert_eq!(bbr.window(), 2000);
    bbr.on_ack(&acked(1000));
    assert_eq!(bbr.window(), 4000);
}

#[test]
fn a_mark_counts_as_congestion() {
    let mut bbr = probing();
    let event = CongestionEvent {
        now: START,
        ecn: true,
        prior_in_flight: 150_000,
        delivered: 1_000_000,
    };
    bbr.on_congestion_event(&event);
    assert_eq!(
        (bbr.state, bbr.inflight_longterm),
        (State::ProbeBwDown, 150_000)
    );
    let mut bbr = Bbr::new(&config(1200));
    bbr.on_congestion_event(&event);
    assert!(bbr.full_bw_reached);
}

#[test]
fn random_waits_are_between_two_and_three_seconds() {
    let mut bbr = probing();
    let mut waits = Vec::new();
    for _ in 0..100 {
        bbr.start_probe_bw_down(START);
        assert!(bbr.bw_probe_wait >= secs(2) && bbr.bw_probe_wait < secs(3));
        waits.push(bbr.bw_probe_wait);
    }
    waits.sort_unstable();
    assert!(waits[10] < Duration::from_millis(2300) && waits[90] > Duration::from_millis(2700));
}

#[test]
fn the_object_is_boxed() {
    assert_eq!(size_of::<Bbr>(), 352);
}
