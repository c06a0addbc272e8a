// SPDX-License-Identifier: MIT OR Apache-2.0

//! The cases of the interop runner, with quic-core at one end or at both.

use quic_core::role::Role;
use quic_core::time::{Duration, Instant};
use quic_simulator::credentials::Credentials;
use quic_simulator::host::EarlyData;
use quic_simulator::plan::Plan;
use quic_simulator::scenario::Scenario;
use quic_simulator::settings::Settings;
use quic_simulator::simulation::{Report, Simulation};
use quic_simulator::trial::Choice::{self, Ours, Quinn};

const MIB: u64 = 1 << 20;

/// QUIC version 2 (RFC 9369).
const V2: u32 = 0x6b33_43cf;

/// Who can be at the two ends: the client first.
const PAIRINGS: [(Choice, Choice); 3] = [(Ours, Ours), (Ours, Quinn), (Quinn, Ours)];

/// Runs a plan in a network, with settings that `change` makes of the defaults.
fn run_with(
    (client, server): (Choice, Choice),
    name: &str,
    plan: Plan,
    credentials: &Credentials,
    change: impl Fn(&mut Settings, Role),
) -> Report {
    let scenario = Scenario::named(name).unwrap();
    let seed = plan.seed;
    let endpoint = |choice: Choice, role: Role| {
        let mut settings = Settings::new(2 * seed + role as u64);
        settings.idle_timeout = scenario.idle_timeout;
        change(&mut settings, role);
        choice.endpoint(role, settings, credentials, None)
    };
    let ends = (
        endpoint(client, Role::Client),
        endpoint(server, Role::Server),
    );
    Simulation::new(seed, scenario, plan, ends.0, ends.1)
        .run()
        .unwrap_or_else(|failure| panic!("{client} {server} {name}: {failure}"))
}

fn run(pairing: (Choice, Choice), name: &str, plan: Plan) -> Report {
    run_with(pairing, name, plan, &Credentials::new(), |_, _| {})
}

fn after(seconds: u64) -> Instant {
    Instant::default() + Duration::from_secs(seconds)
}

#[test]
fn outages_and_rebindings_are_survived() {
    for pairing in PAIRINGS {
        for name in ["blackhole", "rebind-port", "rebind-address", "mtu-change"] {
            let report = run(pairing, name, Plan::download(1, &[10 * MIB]));
            assert!(report.done > after(8), "{pairing:?} {name} did not happen");
            let hit = match name {
                "blackhole" => report.to_client.in_outage,
                "mtu-change" => report.to_client.too_big,
                _ => 1,
            };
            assert!(hit > 0, "{pairing:?} {name}");
            // Ten megabytes take 8.6 s, and each outage of two may cost another.
            assert!(
                report.done < after(25),
                "{pairing:?} {name}: {:?}",
                report.done
            );
        }
    }
}

#[test]
fn losses_and_corruption_do_not_stop_a_transfer() {
    for pairing in PAIRINGS {
        for name in ["loss", "transfer-loss", "transfer-corruption", "burst-loss"] {
            let report = run(pairing, name, Plan::download(2, &[2 * MIB]));
            let (lost, corrupt) = (report.to_client.lost, report.to_client.corrupted);
            assert!(lost + corrupt > 5, "{pairing:?} {name}");
            assert!(
                report.done < after(30),
                "{pairing:?} {name}: {:?}",
                report.done
            );
        }
    }
}

#[test]
fn a_satellite() {
    for pairing in PAIRINGS {
        let report = run(pairing, "long-rtt", Plan::download(1, &[MIB]));
        let connected = report.client.connected.unwrap();
        assert!((after(1)..after(2)).contains(&connected), "{pairing:?}");
        assert!(report.done < after(20), "{pairing:?}: {:?}", report.done);
    }
}

#[test]
fn thousands_of_streams() {
    for pairing in PAIRINGS {
        let plan = Plan::download(1, &[32; 1_999]);
        let report = run_with(
            pairing,
            "goodput",
            plan,
            &Credentials::new(),
            |settings, _| {
                settings.bidi_streams = 1_000;
            },
        );
        assert_eq!(report.client.received, 1_999 * 32);
        assert!(report.done < after(2), "{pairing:?}: {:?}", report.done);
    }
}

#[test]
fn the_amplification_limit_costs_time() {
    for client in [Ours, Quinn] {
        let connected = |name| {
            let plan = Plan::empty(1);
            let change = |settings: &mut Settings, _| settings.certificates = 9;
            let report = run_with((client, Ours), name, plan, &Credentials::new(), change);
            report.client.connected.unwrap()
        };
        let waited = connected("amplification-limit").since(connected("goodput"));
        assert!(waited > Duration::from_millis(200), "{client}: {waited:?}");
    }
}

#[test]
fn a_retry_takes_a_round_trip() {
    for pairing in PAIRINGS {
        let connected = |retry| {
            let plan = Plan::empty(1);
            let change = |settings: &mut Settings, _| settings.retry = retry;
            let report = run_with(pairing, "long-rtt", plan, &Credentials::new(), change);
            report.client.connected.unwrap()
        };
        let waited = connected(true).since(connected(false));
        let round_trip = Duration::from_millis(1_490)..Duration::from_millis(1_600);
        assert!(round_trip.contains(&waited), "{pairing:?}: {waited:?}");
    }
}

#[test]
fn early_data_saves_a_round_trip() {
    for pairing in PAIRINGS {
        for accepted in [true, false] {
            let credentials = Credentials::new();
            let connect = |seed, early_data: bool| {
                let plan = Plan::upload(seed, &[10_000, 2_000]);
                run_with(pairing, "long-rtt", plan, &credentials, |settings, role| {
                    settings.variant = 1;
                    settings.early_data = early_data || role == Role::Client;
                })
            };
            let first = connect(1, true);
            assert_eq!(first.client.early_data, Some(EarlyData::None));
            let second = connect(2, accepted);
            let early_data = second.client.early_data.unwrap();
            assert_eq!(
                early_data == EarlyData::Accepted,
                accepted,
                "{pairing:?} {early_data:?}"
            );
            assert_eq!(second.server.received, 12_000);
            // A round trip takes 1.5 s, of which probes make up for some.
            let saved = first.done.since(second.done);
            let much = saved > Duration::from_millis(700);
            assert_eq!(much, accepted, "{pairing:?} {saved:?}");
        }
    }
}

#[test]
fn keys_are_updated() {
    for pairing in PAIRINGS {
        for who in [Role::Client, Role::Server] {
            let mut plan = Plan::download(1, &[3 * MIB]);
            plan.key_updates = vec![(who, Duration::from_millis(500))];
            let change = |settings: &mut Settings, _| settings.key_updates = false;
            let report = run_with(pairing, "goodput", plan, &Credentials::new(), change);
            let updated = report.inside.iter().any(|it| it.contains("key phase true"));
            assert!(updated, "{pairing:?} {who:?}");
        }
    }
}

#[test]
fn both_go_to_version_two() {
    // The versions of an endpoint follow from its seed: with some of them both speak version 2.
    let reports = (0..20).map(|seed| {
        let change = |settings: &mut Settings, _| settings.version = V2;
        let plan = Plan::download(seed, &[10_000]);
        run_with((Ours, Ours), "lan", plan, &Credentials::new(), change)
    });
    let both = |report: &Report| report.inside.iter().all(|it| it.contains("V2, key phase"));
    assert!(reports.filter(both).count() > 3);
}

#[test]
fn marks_are_given_and_answered() {
    for pairing in PAIRINGS {
        let plan = Plan::download(5, &[3 * MIB]);
        let report = run(pairing, "ecn-marks", plan.clone());
        assert!(report.to_client.marked > 0, "{pairing:?}");
        // Three megabytes at 10 Mbit/s, and some: it does not slow down for long.
        assert!(report.done < after(4), "{pairing:?}: {:?}", report.done);
        let report = run(pairing, "ecn-bleached", plan);
        assert!(report.to_client.bleached > 0, "{pairing:?}");
    }
}
