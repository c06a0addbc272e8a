// SPDX-License-Identifier: MIT OR Apache-2.0

//! [`Trial`]: a simulation that follows from a seed and a few choices; what `simulate` and the tests run.

use crate::credentials::Credentials;
use crate::foreign::Foreign;
use crate::host::Endpoint;
use crate::ours::{MakeTls, Ours};
use crate::plan::Plan;
use crate::random::{scramble, Random};
use crate::scenario::Scenario;
use crate::settings::Settings;
use crate::simulation::{Failure, Report, Simulation};
use crate::tls::{Fixed, FixedConfig, Library};
use quic_core::role::Role;
use quic_core::time::Instant;
use std::fmt;
use std::panic::{catch_unwind, AssertUnwindSafe};
use std::str::FromStr;

/// Who implements an endpoint.
#[derive(Copy, Clone, PartialEq, Eq, Debug, Default)]
pub enum Choice {
    /// quinn-proto.
    Quinn,
    /// quic-core.
    #[default]
    Ours,
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

impl fmt::Display for Choice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Quinn => "quinn",
            Self::Ours => "ours",
        })
    }
}

impl FromStr for Choice {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        match name {
            "quinn" => Ok(Self::Quinn),
            "ours" => Ok(Self::Ours),
            _ => Err(format!(
                "unknown implementation: {name}; there are: ours, quinn"
            )),
        }
    }
}

impl Choice {
    /// Makes an endpoint, which has the TLS of the library unless a `fixed` one is given.
    ///
    /// # Panics
    ///
    /// If quinn is to have a fixed TLS.
    pub fn endpoint(
        self,
        role: Role,
        settings: Settings,
        credentials: &Credentials,
        fixed: Option<&FixedConfig>,
    ) -> Box<dyn Endpoint> {
        let foreign = || assert!(fixed.is_none(), "quinn has its own TLS");
        match (self, role) {
            (Self::Ours, _) => {
                let tls = make_tls(role, &settings, credentials, fixed);
                Box::new(Ours::new(role, settings, tls))
            }
            (Self::Quinn, Role::Client) => {
                foreign();
                Box::new(Foreign::client(settings, credentials))
            }
            (Self::Quinn, Role::Server) => {
                foreign();
                Box::new(Foreign::server(settings, credentials))
            }
        }
    }
}

/// What makes TLS connections.
pub fn make_tls(
    role: Role,
    settings: &Settings,
    credentials: &Credentials,
    fixed: Option<&FixedConfig>,
) -> MakeTls {
    let (settings, credentials) = (settings.clone(), credentials.clone());
    match (fixed.cloned(), role) {
        (Some(fixed), Role::Client) => Box::new(move || Box::new(Fixed::client(fixed.clone()))),
        (Some(fixed), Role::Server) => Box::new(move || Box::new(Fixed::server(fixed.clone()))),
        (None, Role::Client) => {
            Box::new(move || Box::new(Library::client(&settings, &credentials)))
        }
        (None, Role::Server) => {
            Box::new(move || Box::new(Library::server(&settings, &credentials)))
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

    /// Runs one connection, or two. A panic while they are set up is a failure as well.
    pub fn run(&self, print: bool) -> Result<Vec<Report>, Failure> {
        let run = AssertUnwindSafe(|| self.run_unguarded(print));
        catch_unwind(run).unwrap_or_else(|_| {
            Err(Failure {
                seed: self.seed,
                at: Instant::default(),
                what: "a panic, see above".into(),
                excuse: None,
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

    /// Leaves out what quinn cannot do right; whether it is to update keys.
    ///
    /// Its `force_key_update()` does not wait until a packet of the current phase is acknowledged,
    /// as RFC 9001 §6.1 demands. So if it is the first to update keys, nobody does after that.
    fn spare_quinn(&self, plan: &mut Plan) -> bool {
        let is_quinn = |role: &Role| match role {
            Role::Client => self.client == Choice::Quinn,
            Role::Server => self.server == Choice::Quinn,
        };
        let updates = &mut plan.key_updates;
        let first = updates.first().is_some_and(|(role, _)| is_quinn(role));
        match first {
            true => updates.truncate(1),
            false => updates.retain(|(role, _)| !is_quinn(role)),
        }
        first
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
            excuse: None,
        })?;
        // RFC 9000 §7.4.1: a server that accepts 0-RTT must not lower limits. So both connections
        // have the same settings.
        let mut plan = Plan::random(seed, self.bytes);
        let foreign_update = self.spare_quinn(&mut plan);
        // quinn's client sends the end of an empty stream once only, if it is early data and a Retry
        // packet comes.
        let spare = self.resume && self.client == Choice::Quinn;
        let settings = |role| Settings {
            key_updates: !foreign_update,
            retry: Settings::random(self.seed, role).retry && !spare,
            seed: Random::new(seed, "endpoints").next() ^ role as u64,
            idle_timeout: scenario.idle_timeout,
            ..Settings::random(self.seed, role)
        };
        // The fixed one has no sessions to resume.
        let both = self.client == Choice::Ours && self.server == Choice::Ours;
        let fixed = (both && !self.resume && seed % 2 == 1).then(|| FixedConfig::random(seed));
        let endpoint = |choice: Choice, role| {
            choice.endpoint(role, settings(role), credentials, fixed.as_ref())
        };
        let client = endpoint(self.client, Role::Client);
        let server = endpoint(self.server, Role::Server);
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
