// SPDX-License-Identifier: MIT OR Apache-2.0

//! quinn at both ends: what is under test is the simulator.

use quic_core::role::Role;
use quic_core::time::{Duration, Instant};
use quic_simulator::credentials::Credentials;
use quic_simulator::foreign::Foreign;
use quic_simulator::host::EarlyData;
use quic_simulator::link::LinkConfig;
use quic_simulator::loss::Loss;
use quic_simulator::plan::Plan;
use quic_simulator::random::Chance;
use quic_simulator::scenario::Scenario;
use quic_simulator::settings::Settings;
use quic_simulator::simulation::{Failure, Report, Simulation};
use quic_simulator::trial::{Choice, Trial};

const MIB: u64 = 1 << 20;

fn run_with(
    credentials: &Credentials,
    scenario: Scenario,
    plan: Plan,
    change: impl Fn(&mut Settings),
) -> Result<Report, Failure> {
    let seed = plan.seed;
    let settings = |n| {
        let mut settings = Settings::new(2 * seed + n);
        settings.idle_timeout = scenario.idle_timeout;
        change(&mut settings);
        settings
    };
    let client = Foreign::client(settings(0), credentials);
    let server = Foreign::server(settings(1), credentials);
    Simulation::new(seed, scenario, plan, Box::new(client), Box::new(server)).run()
}

fn run(name: &str, plan: Plan) -> Report {
    let scenario = Scenario::named(name).unwrap();
    run_with(&Credentials::new(), scenario, plan, |_| {}).unwrap()
}

#[test]
fn goodput() {
    let report = run("goodput", Plan::download(1, &[10 * MIB]));
    assert!(report.goodput() > 9_150_000, "{}", report.goodput());
}

#[test]
fn a_hundred_megabytes_over_a_lossy_link() {
    let link = LinkConfig {
        delay: Duration::from_millis(5),
        bandwidth: 1_000_000_000,
        loss: Loss::Random {
            rate: Chance::per_mille(2),
            longest_burst: 0,
        },
        mtu: vec![(Instant::default(), 1_500)],
        ..LinkConfig::default()
    };
    let scenario = Scenario::symmetric("lossy", link);
    let plan = Plan::download(1, &[100_000_000]);
    let report = run_with(&Credentials::new(), scenario, plan, |_| {}).unwrap();
    assert_eq!(report.client.received, 100_000_000);
    assert!(report.to_client.lost > 50);
}

#[test]
fn cross_traffic_takes_its_share() {
    let report = run("cross-traffic", Plan::download(1, &[10 * MIB]));
    let (ours, tcp) = (
        report.client.received as f64,
        report.cross_traffic[0] as f64,
    );
    let jain = (ours + tcp).powi(2) / (2.0 * (ours * ours + tcp * tcp));
    assert!(jain > 0.8, "{ours} {tcp}");
}

#[test]
fn every_named_scenario() {
    for name in Scenario::NAMES {
        let report = run(name, Plan::download(3, &[500_000, 500_000, 500_000]));
        assert_eq!(report.client.received, 1_500_000, "{name}");
    }
}

#[test]
fn rebinding_and_mtu_change_take_place() {
    for name in ["rebind-port", "rebind-address", "mtu-change", "blackhole"] {
        let report = run(name, Plan::download(1, &[8 * MIB]));
        assert!(
            report.done > Instant::default() + Duration::from_secs(6),
            "{name}"
        );
        let hit = match name {
            "mtu-change" => report.to_client.too_big,
            "blackhole" => report.to_client.in_outage,
            _ => 1,
        };
        assert!(hit > 0, "{name}");
    }
}

#[test]
fn fifty_handshakes_with_loss_and_with_corruption() {
    for name in ["handshake-loss", "handshake-corruption"] {
        for seed in 0..50 {
            run(name, Plan::download(seed, &[1_000]));
        }
    }
}

#[test]
fn many_small_files() {
    let report = run("goodput", Plan::download(1, &[32; 1_999]));
    assert_eq!(report.client.received, 1_999 * 32);
}

#[test]
fn the_amplification_limit_costs_time_when_packets_are_lost() {
    let handshake = |name| {
        let scenario = Scenario::named(name).unwrap();
        let report = run_with(&Credentials::new(), scenario, Plan::empty(1), |settings| {
            settings.certificates = 9;
        });
        report.unwrap().client.connected.unwrap()
    };
    let slow = handshake("amplification-limit");
    assert!(slow.since(handshake("goodput")) > Duration::from_millis(500));
}

#[test]
fn a_session_is_resumed_with_early_data() {
    for accepted in [true, false] {
        let credentials = Credentials::new();
        let scenario = Scenario::named("long-rtt").unwrap();
        let connect = |seed, early_data: bool| {
            let plan = Plan::upload(seed, &[10_000, 2_000]);
            run_with(&credentials, scenario.clone(), plan, |settings| {
                settings.early_data = early_data || settings.seed % 2 == 0;
            })
        };
        let first = connect(1, true).unwrap();
        assert_eq!(first.client.early_data, Some(EarlyData::None));
        let second = connect(2, accepted).unwrap();
        let expected = if accepted {
            EarlyData::Accepted
        } else {
            EarlyData::Rejected
        };
        assert_eq!(second.client.early_data, Some(expected));
        // A round trip of 1.5 s less.
        let saved = first.done.since(second.done) > Duration::from_secs(1);
        assert_eq!(saved, accepted);
    }
}

#[test]
fn settings_make_a_difference() {
    let lan = || Scenario::named("long-rtt").unwrap();
    let connected = |change: fn(&mut Settings)| {
        let report = run_with(&Credentials::new(), lan(), Plan::empty(1), change);
        report.unwrap().client.connected.unwrap()
    };
    let plain = connected(|_| {});
    let retried = connected(|settings| settings.retry = true);
    assert!(retried.since(plain) >= Duration::from_millis(1_400));
}

#[test]
fn random_mixtures() {
    let mut passed = 0;
    for seed in 0..100 {
        let trial = Trial {
            seed,
            client: Choice::Quinn,
            server: Choice::Quinn,
            bytes: 300_000,
            ..Trial::default()
        };
        match trial.run(false) {
            Ok(_) => passed += 1,
            Err(failure) => assert!(failure.excuse.is_some(), "{failure}"),
        }
    }
    assert!(passed >= 95, "{passed}");
}

#[test]
fn a_seed_gives_the_same_trace() {
    let traces = |seed| {
        let trial = Trial {
            seed,
            client: Choice::Quinn,
            server: Choice::Quinn,
            resume: true,
            ..Trial::default()
        };
        let reports = trial.run(false).unwrap();
        reports
            .iter()
            .map(|report| report.trace)
            .collect::<Vec<_>>()
    };
    for seed in 0..10 {
        assert_eq!(traces(seed), traces(seed), "{seed}");
    }
    assert_ne!(traces(0), traces(1));
}

#[test]
fn what_is_impossible_fails() {
    // Nothing passes: the programs are not done, and say what they wait for.
    let mut scenario = Scenario::named("goodput").unwrap();
    scenario.to_client.drop = vec![0..=u64::MAX];
    let failure = run_with(&Credentials::new(), scenario, Plan::empty(1), |_| {}).unwrap_err();
    assert!(failure.what.contains("TimedOut"), "{failure}");

    // What arrives is not what the plan of the receiver has.
    let disagree = |change: fn(&mut Plan)| {
        let plan = Plan::upload(1, &[1_000]);
        let mut other = plan.clone();
        change(&mut other);
        let credentials = Credentials::new();
        let client = Foreign::client(Settings::new(1), &credentials);
        let server = Foreign::server(Settings::new(2), &credentials);
        let scenario = Scenario::named("goodput").unwrap();
        let simulation = Simulation::new(1, scenario, plan, Box::new(client), Box::new(server));
        simulation.with_server_plan(other).run().unwrap_err().what
    };
    for (change, expected) in [
        (
            (|plan| plan.seed = 2) as fn(&mut Plan),
            "the byte at 0 is wrong",
        ),
        (
            |plan| plan.streams[0].request.size = 999,
            "more bytes than were sent",
        ),
        (
            |plan| plan.streams[0].request.size = 1_001,
            "ended too early",
        ),
        (
            |plan| plan.streams[0].request.reset = Some(1),
            "ended with None",
        ),
        (
            |plan| plan.streams[0].opener = Role::Server,
            "nobody opened",
        ),
    ] {
        let what = disagree(change);
        assert!(what.contains(expected), "{what}");
    }
}
