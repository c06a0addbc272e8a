// SPDX-License-Identifier: GPL-2.0 OR MIT

//! What the controllers make of paths: goodput, fairness, losses. Only for tests.

use super::simulator::quic::{Quic, Setup};
use super::simulator::tcp::Tcp;
use super::simulator::{jain, Flow, Link, Simulator};
use super::Algorithm;
use crate::ecn::EcnState;
use crate::time::{Duration, Instant};

const ALL: [Algorithm; 3] = [Algorithm::NewReno, Algorithm::Cubic, Algorithm::Bbr];

const START: Instant = Instant::from_nanos(1_000_000_000);

const MEGABYTE: u64 = 1_000_000;

fn setup(algorithm: Algorithm, bytes: u64) -> Setup {
    Setup {
        algorithm,
        bytes,
        start: START,
        ecn: false,
        application_rate: 0,
        max_datagram_size: 1472,
    }
}

fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

struct Report {
    kbit: u64,
    dropped: u64,
    quic: Quic,
}

/// One flow over a link, until all its data has arrived. The round trip of the handshake counts.
fn transfer(link: Link, setup: Setup) -> Report {
    let mut sim = Simulator::new(link.clone());
    let (start, bytes, algorithm) = (setup.start, setup.bytes, setup.algorithm);
    let mut quic = Quic::new(0, setup);
    sim.run(&mut [&mut quic], start + secs(1000));
    let finished = quic.finished.expect("did not finish in 1000 s");
    let time = finished.since(start) + link.delay.times(2);
    let kbit = bytes * 8 * 1_000_000 / time.as_nanos();
    println!(
        "{algorithm:?}: {kbit} kbit/s, {} sent, {} dropped, {} declared lost, {} acks, queue up to {}",
        quic.sent,
        sim.dropped,
        quic.lost(),
        quic.acks,
        sim.longest
    );
    Report {
        kbit,
        dropped: sim.dropped,
        quic,
    }
}

#[test]
fn goodput_of_ten_megabytes_at_ten_megabit() {
    for algorithm in ALL {
        let report = transfer(Link::interop(), setup(algorithm, 10 * MEGABYTE));
        assert!(report.kbit >= 9150, "{algorithm:?}: {} kbit/s", report.kbit);
    }
}

/// Two flows share a link for so long; the bytes each delivered after the first `skip` seconds.
fn share(link: Link, flows: &mut [&mut dyn Flow], skip: u64, seconds: u64) -> Vec<u64> {
    let mut sim = Simulator::new(link);
    sim.run(flows, START + secs(skip));
    let before: Vec<u64> = flows.iter().map(|flow| flow.delivered()).collect();
    sim.run(flows, START + secs(seconds));
    let shares: Vec<u64> = flows
        .iter()
        .zip(before)
        .map(|(flow, before)| flow.delivered() - before)
        .collect();
    let kbit: Vec<u64> = shares
        .iter()
        .map(|bytes| bytes * 8 / (seconds - skip) / 1000)
        .collect();
    println!(
        "{kbit:?} kbit/s, Jain {:.3}, {} dropped",
        jain(&shares),
        sim.dropped
    );
    shares
}

// [rfc9002-7-1]
#[test]
fn cubic_shares_with_tcp_cubic() {
    for queue in [25, 50, 100] {
        for late in [0, 3] {
            let mut quic = Quic::new(
                0,
                Setup {
                    start: START + secs(late),
                    ..setup(Algorithm::Cubic, 1 << 40)
                },
            );
            let mut tcp = Tcp::new(1, START + secs(3 - late));
            let link = Link {
                queue,
                ..Link::interop()
            };
            let shares = share(link, &mut [&mut quic, &mut tcp], 10, 70);
            assert!(jain(&shares) >= 0.95, "queue {queue}: {shares:?}");
        }
    }
}

#[test]
fn two_flows_of_a_kind_share() {
    for algorithm in ALL {
        let mut one = Quic::new(0, setup(algorithm, 1 << 40));
        let mut two = Quic::new(
            1,
            Setup {
                start: START + secs(5),
                ..setup(algorithm, 1 << 40)
            },
        );
        print!("{algorithm:?}: ");
        let shares = share(
            Link {
                queue: 50,
                ..Link::interop()
            },
            &mut [&mut one, &mut two],
            10,
            90,
        );
        assert!(jain(&shares) >= 0.9, "{algorithm:?}: {shares:?}");
    }
}

#[test]
fn a_hundred_megabit_with_one_percent_loss() {
    let link = Link {
        rate: 100_000_000,
        queue: 200,
        loss: 10_000,
        ..Link::interop()
    };
    for (algorithm, least) in [
        (Algorithm::NewReno, 3200),
        (Algorithm::Cubic, 3500),
        (Algorithm::Bbr, 60_000),
    ] {
        let report = transfer(link.clone(), setup(algorithm, 10 * MEGABYTE));
        assert!(
            report.kbit >= least,
            "{algorithm:?}: {} kbit/s",
            report.kbit
        );
        // Nothing is sent again that was not lost.
        assert!(report.quic.lost() <= report.dropped + 2, "{algorithm:?}");
    }
}

#[test]
fn a_hundred_megabit_without_loss() {
    let link = Link {
        rate: 100_000_000,
        queue: 200,
        ..Link::interop()
    };
    for (algorithm, least) in [
        (Algorithm::NewReno, 85_000),
        (Algorithm::Cubic, 85_000),
        (Algorithm::Bbr, 85_000),
    ] {
        let report = transfer(link.clone(), setup(algorithm, 30 * MEGABYTE));
        assert!(
            report.kbit >= least,
            "{algorithm:?}: {} kbit/s",
            report.kbit
        );
    }
}

#[test]
fn a_gigabit_over_a_short_path() {
    let link = Link {
        rate: 1_000_000_000,
        delay: Duration::from_micros(100),
        queue: 1000,
        ..Link::interop()
    };
    for algorithm in ALL {
        let report = transfer(link.clone(), setup(algorithm, 30 * MEGABYTE));
        assert!(
            report.kbit >= 850_000,
            "{algorithm:?}: {} kbit/s",
            report.kbit
        );
    }
}

#[test]
fn a_long_fat_path() {
    let link = Link {
        rate: 1_000_000_000,
        delay: Duration::from_millis(50),
        queue: 4000,
        ..Link::interop()
    };
    for (algorithm, least) in [(Algorithm::Cubic, 250_000), (Algorithm::Bbr, 400_000)] {
        let report = transfer(link.clone(), setup(algorithm, 100 * MEGABYTE));
        assert!(
            report.kbit >= least,
            "{algorithm:?}: {} kbit/s",
            report.kbit
        );
    }
}

#[test]
fn a_deep_buffer_is_not_filled_by_bbr() {
    let link = Link {
        queue: 1000,
        ..Link::interop()
    };
    let report = transfer(link.clone(), setup(Algorithm::Bbr, 10 * MEGABYTE));
    assert!(report.kbit >= 9000, "{}", report.kbit);
    assert_eq!(report.dropped, 0);
    let report = transfer(link, setup(Algorithm::Cubic, 10 * MEGABYTE));
    assert!(report.kbit >= 9000, "{}", report.kbit);
}

#[test]
fn aggregation_does_not_stall() {
    let link = Link {
        aggregation: Duration::from_millis(10),
        queue: 100,
        ..Link::interop()
    };
    for algorithm in ALL {
        let report = transfer(link.clone(), setup(algorithm, 10 * MEGABYTE));
        assert!(report.kbit >= 8900, "{algorithm:?}: {} kbit/s", report.kbit);
    }
}

#[test]
fn reordering_is_learnt() {
    let link = Link {
        reordered: 20_000,
        queue: 60,
        ..Link::interop()
    };
    for algorithm in ALL {
        let report = transfer(link.clone(), setup(algorithm, 10 * MEGABYTE));
        assert!(report.kbit >= 8900, "{algorithm:?}: {} kbit/s", report.kbit);
        assert!(
            report.quic.lost() < report.dropped + 20,
            "{algorithm:?}: {}",
            report.quic.lost()
        );
    }
}

#[test]
fn marks_keep_the_queue_short_without_loss() {
    let link = Link {
        mark_above: 10,
        queue: 100,
        ..Link::interop()
    };
    for algorithm in ALL {
        let report = transfer(
            link.clone(),
            Setup {
                ecn: true,
                ..setup(algorithm, 10 * MEGABYTE)
            },
        );
        assert_eq!(report.quic.path.ecn.state(), EcnState::Capable);
        assert!(report.kbit >= 7000, "{algorithm:?}: {} kbit/s", report.kbit);
        assert_eq!(report.dropped, 0, "{algorithm:?}");
    }
}

#[test]
fn a_slow_application_does_not_inflate_the_window() {
    use super::Controller;
    let link = Link {
        rate: 100_000_000,
        queue: 200,
        ..Link::interop()
    };
    for algorithm in ALL {
        let slow = Setup {
            application_rate: 250_000,
            ..setup(algorithm, 2 * MEGABYTE)
        };
        let report = transfer(link.clone(), slow);
        let window = report.quic.path.congestion().window();
        println!("window {window}");
        // 7.5 kB a round trip.
        assert!(window <= 60_000, "{algorithm:?}: {window}");
    }
}

#[test]
fn a_slow_path_does_not_starve() {
    let link = Link {
        rate: 64_000,
        delay: Duration::from_millis(150),
        queue: 10,
        ..Link::interop()
    };
    for algorithm in ALL {
        let report = transfer(link.clone(), setup(algorithm, 100_000));
        assert!(report.kbit >= 45, "{algorithm:?}: {} kbit/s", report.kbit);
    }
}

#[test]
fn heavy_loss_is_survived() {
    let link = Link {
        loss: 300_000,
        ..Link::interop()
    };
    for algorithm in ALL {
        let report = transfer(link.clone(), setup(algorithm, 100_000));
        assert!(report.kbit >= 10, "{algorithm:?}: {} kbit/s", report.kbit);
    }
}

/// Two seconds of darkness in seven, as in the interoperability tests: what is lost is found by
/// probes, and the flow comes back.
#[test]
fn outages_are_survived() {
    let link = Link {
        outage: secs(2),
        period: secs(7),
        queue: 50,
        ..Link::interop()
    };
    for algorithm in ALL {
        let report = transfer(link.clone(), setup(algorithm, 10 * MEGABYTE));
        // Light is 5/7 of the time.
        assert!(report.kbit >= 4800, "{algorithm:?}: {} kbit/s", report.kbit);
        assert!(report.quic.lost() <= report.dropped + 4, "{algorithm:?}");
    }
}
