// SPDX-License-Identifier: MIT OR Apache-2.0

//! quinn at both ends: the simulator itself is under test.

use quic_simulator::credentials::Credentials;
use quic_simulator::foreign::Foreign;
use quic_simulator::plan::Plan;
use quic_simulator::scenario::Scenario;
use quic_simulator::settings::Settings;
use quic_simulator::simulation::{Failure, Report, Simulation};

fn run(scenario: Scenario, plan: Plan, change: impl Fn(&mut Settings)) -> Result<Report, Failure> {
    let seed = plan.seed;
    let credentials = Credentials::new();
    let settings = |n| {
        let mut settings = Settings::new(2 * seed + n);
        settings.idle_timeout = scenario.idle_timeout;
        change(&mut settings);
        settings
    };
    let client = Foreign::client(settings(0), &credentials);
    let server = Foreign::server(settings(1), &credentials);
    Simulation::new(seed, scenario, plan, Box::new(client), Box::new(server)).run()
}

#[test]
fn goodput() {
    let scenario = Scenario::named("goodput").unwrap();
    let report = run(scenario, Plan::download(1, &[10 << 20]), |_| {}).unwrap();
    println!("{report:#?} {}", report.goodput());
    assert!(report.goodput() > 9_000_000);
}
