// SPDX-License-Identifier: MIT OR Apache-2.0

//! [`Trial`]: a simulation that follows from a seed and a few choices; what `simulate` and the tests run.

use crate::credentials::Credentials;
use crate::foreign::Foreign;
use crate::host::Endpoint;
use crate::plan::Plan;
use crate::random::{scramble, Random};
use crate::scenario::Scenario;
use crate::settings::Settings;
use crate::simulation::{Failure, Report, Simulation};
use quic_core::role::Role;
use quic_core::time::Instant;
use std::panic::{catch_unwind, AssertUnwindSafe};
use std::str::FromStr;

/// Who implements an endpoint.
#[derive(Copy, Clone, PartialEq, Eq, Debug, Default)]
pub enum Choice {
    /// quinn-proto.
    #[default]
    Quinn,
}

/// What is to be simulated.
#[derive(Clone, Debug)]
pub struct Trial {
    /// Decides all that is not chosen.
    pub seed: u64,
    /// Who the client is.
    pub client: Choice,
    /// Who the server is.
    pub server: Choice,
    /// The name of the network; a random one without.
    pub scenario: Option<String>,
    /// How many bytes the streams carry, about, at most.
    pub bytes: u64,
    /// A second connection follows, which resumes the session of the first.
    pub resume: bool,
}

impl Default for Trial {
    fn default() -> Self {
        Self {
            seed: 0,
            client: Choice::default(),
            server: Choice::default(),
            scenario: None,
            bytes: 1_000_000,
            resume: false,
        }
    }
}

impl FromStr for Choice {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        match name {
            "quinn" => Ok(Self::Quinn),
            _ => Err(format!("unknown implementation: {name}; there is: quinn")),
        }
    }
}

impl Choice {
    /// Makes an endpoint.
    pub fn endpoint(
        self,
        role: Role,
        settings: Settings,
        credentials: &Credentials,
    ) -> Box<dyn Endpoint> {
        match (self, role) {
            (Self::Quinn, Role::Client) => Box::new(Foreign::client(settings, credentials)),
            (Self::Quinn, Role::Server) => Box::new(Foreign::server(settings, credentials)),
        }
    }
}

impl Trial {
    /// The network.
    pub fn network(&self) -> Result<Scenario, String> {
        match &self.scenario {
            None => Ok(Scenario::random(self.seed)),
            Some(name) => Scenario::named(name).ok_or(format!("unknown scenario: {name}")),
        }
    }

    /// Runs one connection, or two. A panic is a failure.
    pub fn run(&self, print: bool) -> Result<Vec<Report>, Failure> {
        let run = AssertUnwindSafe(|| self.run_unguarded(print));
        catch_unwind(run).unwrap_or_else(|_| {
            Err(Failure {
                seed: self.seed,
                at: Instant::default(),
                what: "a panic, see above".into(),
            })
        })
    }

    fn run_unguarded(&self, print: bool) -> Result<Vec<Report>, Failure> {
        let credentials = Credentials::new();
        let mut reports = vec![self.connection(self.seed, &credentials, print)?];
        if self.resume {
            // Another plan, so that early data does something else.
            let next = scramble(self.seed);
            reports.push(self.connection(next, &credentials, print)?);
        }
        Ok(reports)
    }

    fn connection(
        &self,
        seed: u64,
        credentials: &Credentials,
        print: bool,
    ) -> Result<Report, Failure> {
        let scenario = self.network().map_err(|what| Failure {
            seed: self.seed,
            at: Instant::default(),
            what,
        })?;
        // RFC 9000 §7.4.1: a server that accepts 0-RTT must not lower limits. So both connections
        // have the same settings.
        let settings = |role| Settings {
            seed: Random::new(seed, "endpoints").next() ^ role as u64,
            idle_timeout: scenario.idle_timeout,
            ..Settings::random(self.seed, role)
        };
        let client = self
            .client
            .endpoint(Role::Client, settings(Role::Client), credentials);
        let server = self
            .server
            .endpoint(Role::Server, settings(Role::Server), credentials);
        let plan = Plan::random(seed, self.bytes);
        let mut simulation = Simulation::new(seed, scenario, plan, client, server);
        if print {
            simulation = simulation.print();
        }
        simulation.run().map_err(|failure| Failure {
            seed: self.seed,
            ..failure
        })
    }
}
