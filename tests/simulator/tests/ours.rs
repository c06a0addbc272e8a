// SPDX-License-Identifier: MIT OR Apache-2.0

//! quic-core at one end or at both.

use quic_core::role::Role;
use quic_core::time::{Duration, Instant};
use quic_simulator::credentials::Credentials;
use quic_simulator::link::LinkConfig;
use quic_simulator::loss::Loss;
use quic_simulator::plan::Plan;
use quic_simulator::random::Chance;
use quic_simulator::scenario::Scenario;
use quic_simulator::settings::Settings;
use quic_simulator::simulation::{Failure, Report, Simulation};
use quic_simulator::trial::Choice::{self, Ours, Quinn};
use quic_simulator::trial::Trial;

const MIB: u64 = 1 << 20;

/// Who can be at the two ends.
const PAIRINGS: [(Choice, Choice); 3] = [(Ours, Ours), (Ours, Quinn), (Quinn, Ours)];

fn run_with(
    (client, server): (Choice, Choice),
    scenario: Scenario,
    plan: Plan,
) -> Result<Report, Failure> {
    let credentials = Credentials::new();
    let seed = plan.seed;
    let endpoint = |choice: Choice, role: Role| {
        let settings = Settings {
            idle_timeout: scenario.idle_timeout,
            ..Settings::new(2 * seed + role as u64)
        };
        choice.endpoint(role, settings, &credentials, None)
    };
    let client = endpoint(client, Role::Client);
    let server = endpoint(server, Role::Server);
    Simulation::new(seed, scenario, plan, client, server).run()
}

fn run(pairing: (Choice, Choice), name: &str, plan: Plan) -> Report {
    let scenario = Scenario::named(name).unwrap();
    run_with(pairing, scenario, plan).unwrap_or_else(|error| panic!("{pairing:?} {name}: {error}"))
}

fn random_mixtures(client: Choice, server: Choice, count: u64) {
    let mut passed = 0;
    for seed in 0..count {
        let trial = Trial {
            seed,
            client,
            server,
            bytes: 100_000,
            ..Trial::default()
        };
        match trial.run(false) {
            Ok(_) => passed += 1,
            Err(failure) => assert!(failure.excuse.is_some(), "{failure}"),
        }
    }
    assert!(passed + count / 50 >= count, "{passed}");
}

#[test]
fn random_mixtures_ours() {
    random_mixtures(Ours, Ours, 200);
}

// [rfc9000-7.2-2] [rfc9000-7.3-1] [rfc9000-8.1-3] [rfc9000-8.1.2-1] [rfc9000-14.1-1]
// [rfc9000-17.2.5.1-3]
#[test]
fn random_mixtures_of_a_client() {
    random_mixtures(Ours, Quinn, 100);
}

#[test]
fn random_mixtures_of_a_server() {
    random_mixtures(Quinn, Ours, 100);
}

#[test]
fn goodput() {
    for pairing in [(Ours, Ours), (Quinn, Ours)] {
        let report = run(pairing, "goodput", Plan::download(1, &[10 * MIB]));
        assert!(
            report.goodput() >= 9_150_000,
            "{pairing:?} {}",
            report.goodput()
        );
    }
}

#[test]
fn beside_a_cubic_flow_the_share_is_fair() {
    let report = run(
        (Ours, Ours),
        "cross-traffic",
        Plan::download(1, &[10 * MIB]),
    );
    let ours = report.client.received as f64;
    let tcp = report.cross_traffic[0] as f64;
    let jain = (ours + tcp).powi(2) / (2.0 * (ours * ours + tcp * tcp));
    assert!(jain >= 0.95, "{ours} {tcp} {jain}");
}

// [rfc9000-8.2.2-1] [rfc9000-9-4] [rfc9000-9.3-1] [rfc9000-9.3-2] [rfc9000-19.17-1]
#[test]
fn every_named_scenario() {
    for pairing in PAIRINGS {
        for name in Scenario::NAMES {
            let report = run(
                pairing,
                name,
                Plan::download(3, &[500_000, 500_000, 500_000]),
            );
            assert_eq!(report.client.received, 1_500_000, "{pairing:?} {name}");
        }
    }
}

#[test]
fn handshakes_with_loss_and_with_corruption() {
    for pairing in PAIRINGS {
        for name in ["handshake-loss", "handshake-corruption"] {
            for seed in 0..20 {
                run(pairing, name, Plan::download(seed, &[1_000]));
            }
        }
    }
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
    for pairing in PAIRINGS {
        let scenario = Scenario::symmetric("lossy", link.clone());
        let plan = Plan::download(1, &[100_000_000]);
        let report = run_with(pairing, scenario, plan).unwrap();
        assert_eq!(report.client.received, 100_000_000);
        assert!(report.to_client.lost > 50);
    }
}

#[test]
fn a_seed_gives_the_same_trace() {
    for seed in 0..10 {
        let trace = || {
            let trial = Trial {
                seed,
                client: Ours,
                server: Ours,
                ..Trial::default()
            };
            trial.run(false).unwrap()[0].trace
        };
        assert_eq!(trace(), trace(), "{seed}");
    }
}
