// SPDX-License-Identifier: MIT OR Apache-2.0

//! [`Simulation`]: two endpoints, their programs and the network, until both endpoints are gone.
//!
//! ```text
//!   Program  <-->  Endpoint  -- Datagram -->  Nat, Link  -- Arrival -->  Schedule  -->  the other Endpoint
//! ```
//!
//! Virtual time jumps from one thing that happens to the next.

use crate::conduct::{spoils_retry, Amplification, Silence};
use crate::datagram::address;
use crate::datagram::Datagram;
use crate::host::{Endpoint, Memory, Status};
use crate::link::{Arrival, Counters, Fate, Link};
use crate::nat::Nat;
use crate::plan::Plan;
use crate::program::{Program, Results};
use crate::random::Random;
use crate::scenario::Scenario;
use crate::schedule::Schedule;
use crate::tcp::{self, Tcp};
use crate::trace::{Seconds, Trace};
use quic_core::role::Role;
use quic_core::time::{Duration, Instant};
use std::fmt;
use std::panic::{catch_unwind, AssertUnwindSafe};
use std::rc::Rc;

/// How often an endpoint may want to be called at one instant: more is a timer that does not move.
const MAX_ROUNDS: u32 = 10_000;

/// A connection in a network.
pub struct Simulation {
    seed: u64,
    now: Instant,
    deadline: Instant,
    ends: [End; 2],
    /// Towards the client, and towards the server.
    links: [Link; 2],
    nat: Nat,
    schedule: Schedule<Arriving>,
    cross_traffic: Vec<(Role, Tcp)>,
    amplification: Amplification,
    random: Random,
    trace: Trace,
    closing: bool,
    rounds: u32,
}

/// One side.
struct End {
    role: Role,
    endpoint: Box<dyn Endpoint>,
    program: Program,
    silence: Silence,
    /// Something happened to it since it was asked what it wants.
    touched: bool,
}

/// What comes out of the network.
enum Arriving {
    Datagram {
        to: Role,
        datagram: Datagram,
        sent_at: Instant,
        /// The payload as it was sent, if it arrives with wrong bits.
        original: Option<Vec<u8>>,
    },
    TooBig {
        to: Role,
        datagram: Datagram,
        mtu: u32,
    },
    Segment(usize, u64),
    Ack(usize, tcp::Ack),
}

/// How a simulation went.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Report {
    /// The fingerprint of all that happened.
    pub trace: u64,
    /// When both endpoints were gone.
    pub ended: Instant,
    /// When both programs were done.
    pub done: Instant,
    /// What the client's program saw.
    pub client: Results,
    /// What the server's program saw.
    pub server: Results,
    /// What happened on the link to the server.
    pub to_server: Counters,
    /// What happened on the link to the client.
    pub to_client: Counters,
    /// How many bytes each flow of the cross traffic had delivered when the programs were done.
    pub cross_traffic: Vec<u64>,
    /// What there is to know of the client and of the server at the end, for a human.
    pub inside: [String; 2],
}

/// A simulation went wrong.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Failure {
    /// The seed of the simulation.
    pub seed: u64,
    /// When it was noticed.
    pub at: Instant,
    /// What is wrong.
    pub what: String,
    /// The foreign implementation got stuck, in a way that is known and cannot be mended here.
    pub excuse: Option<&'static str>,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { seed, at, what, .. } = self;
        let at = Seconds(*at).to_string();
        write!(f, "seed {seed}, at {} s: {what}", at.trim_start())
    }
}

impl std::error::Error for Failure {}

impl Report {
    /// Bytes of streams that arrived at either end, in bits a second, from the beginning on.
    pub fn goodput(&self) -> u64 {
        let bits = u128::from(self.client.received + self.server.received) * 8;
        let nanos = u128::from(self.done.as_nanos().max(1));
        (bits * 1_000_000_000 / nanos) as u64
    }
}

impl Simulation {
    /// `client` and `server` must be at their [`address`].
    pub fn new(
        seed: u64,
        scenario: Scenario,
        plan: Plan,
        client: Box<dyn Endpoint>,
        server: Box<dyn Endpoint>,
    ) -> Self {
        let plan = Rc::new(plan);
        let end = |role: Role, endpoint| End {
            role,
            endpoint,
            program: Program::new(role, Rc::clone(&plan), address(role)),
            silence: Silence::default(),
            touched: true,
        };
        let cross_traffic = scenario.cross_traffic.iter();
        let amplification = Amplification::new(server.tolerance());
        Self {
            seed,
            now: Instant::default(),
            deadline: Instant::default() + scenario.deadline,
            ends: [end(Role::Client, client), end(Role::Server, server)],
            links: [
                Link::new(scenario.to_client, Random::new(seed, "link to client")),
                Link::new(scenario.to_server, Random::new(seed, "link to server")),
            ],
            nat: Nat::new(scenario.rebindings, scenario.nat_forgets),
            schedule: Schedule::new(),
            cross_traffic: cross_traffic
                .map(|(role, at)| (*role, Tcp::new(*at)))
                .collect(),
            amplification,
            random: Random::new(seed, "corruption"),
            trace: Trace::new(false),
            closing: false,
            rounds: 0,
        }
    }

    /// Writes a line to standard error for each datagram.
    pub fn print(mut self) -> Self {
        self.trace = Trace::new(true);
        self
    }

    /// Gives the server another plan than the client has, so that they disagree: for tests of what
    /// the programs notice.
    pub fn with_server_plan(mut self, plan: Plan) -> Self {
        let role = Role::Server;
        self.ends[role as usize].program = Program::new(role, Rc::new(plan), address(role));
        self
    }

    /// Runs it to its end. A panic is a failure.
    pub fn run(mut self) -> Result<Report, Failure> {
        let result = catch_unwind(AssertUnwindSafe(|| self.run_to_end()));
        let result = result.unwrap_or_else(|_| Err("a panic, see above".into()));
        result.map_err(|what| Failure {
            seed: self.seed,
            at: self.now,
            excuse: self.excuse(&what),
            what: format!("{what}{}", self.describe()),
        })
    }

    /// A defect of a foreign implementation, if the failure is that nothing happened any more.
    fn excuse(&self, what: &str) -> Option<&'static str> {
        let stuck = what.ends_with("TimedOut");
        let mut defects = self.ends.iter().filter_map(|end| end.endpoint.defect());
        defects.next().filter(|_| stuck)
    }

    /// How it stands, for a human.
    fn describe(&self) -> String {
        let ends = self.ends.iter().map(|end| {
            let (status, unfinished) = (end.endpoint.status(), end.program.unfinished());
            let inside = end.endpoint.describe();
            format!("\n  {status:?}, {unfinished}{inside}")
        });
        ends.collect()
    }

    fn run_to_end(&mut self) -> Result<Report, String> {
        let mut done = None;
        loop {
            self.settle()?;
            if done.is_none()
                && self
                    .ends
                    .iter()
                    .all(|end| end.program.results().done.is_some())
            {
                done = Some((self.now, self.delivered()));
                self.close()?;
            }
            let over = |end: &End| end.endpoint.status() == Status::Drained;
            if self.ends.iter().all(over) {
                if let Some((done, cross_traffic)) = done.take() {
                    return self.after_the_end(done, cross_traffic);
                }
            }
            self.advance()?;
        }
    }

    /// What is still in the network arrives, and must not raise the dead.
    fn after_the_end(&mut self, done: Instant, cross_traffic: Vec<u64>) -> Result<Report, String> {
        let ended = self.now;
        self.cross_traffic.clear();
        while let Some(at) = self.schedule.next_at() {
            self.now = self.now.max(at);
            self.deliver()?;
            self.settle()?;
        }
        let [client, server] = &self.ends;
        let [to_client, to_server] = &self.links;
        Ok(Report {
            trace: self.trace.hash(),
            ended,
            done,
            client: client.program.results().clone(),
            server: server.program.results().clone(),
            to_server: *to_server.counters(),
            to_client: *to_client.counters(),
            cross_traffic,
            inside: [client, server].map(|end| end.endpoint.describe()),
        })
    }

    /// Lets everybody act who was touched, until nobody has anything to do at this instant.
    fn settle(&mut self) -> Result<(), String> {
        for role in [Role::Client, Role::Server] {
            let end = &mut self.ends[role as usize];
            if !std::mem::take(&mut end.touched) {
                continue;
            }
            let said = |what| format!("{role:?}: {what}");
            end.program
                .run(self.now, end.endpoint.application())
                .map_err(said)?;
            self.transmit(role)?;
            for Memory { held, limit } in self.ends[role as usize].endpoint.memory() {
                if held > limit {
                    return Err(format!("{role:?}: {held} bytes are held, of {limit}"));
                }
            }
        }
        let confirmed = |end: &End| end.endpoint.status() == Status::Confirmed;
        if self.ends.iter().all(confirmed) {
            self.nat.start(self.now);
        }
        for flow in 0..self.cross_traffic.len() {
            self.transmit_segments(flow);
        }
        Ok(())
    }

    fn transmit(&mut self, role: Role) -> Result<(), String> {
        let end = &mut self.ends[role as usize];
        let mut datagrams = Vec::new();
        end.endpoint.transmit(self.now, &mut datagrams);
        let status = end.endpoint.status();
        let said = |what| format!("{role:?}: {what}");
        let tolerance = end.endpoint.tolerance();
        let silence = end.silence.sent(status, datagrams.len(), tolerance);
        silence.map_err(said)?;
        for datagram in datagrams {
            self.send(role, datagram)?;
        }
        Ok(())
    }

    fn send(&mut self, role: Role, mut datagram: Datagram) -> Result<(), String> {
        if datagram.payload.is_empty() {
            return Err(format!("{role:?}: an empty datagram"));
        }
        match role {
            Role::Client => datagram.from = self.nat.outbound(self.now, datagram.from),
            Role::Server => self
                .amplification
                .sent(datagram.to, datagram.payload.len())?,
        }
        let to = role.peer();
        let link = &mut self.links[to as usize];
        let fate = link.carry(self.now, datagram.ip_size(), datagram.ecn);
        self.trace.note(
            self.now,
            &[
                role as u64,
                datagram.payload.len() as u64,
                datagram.ecn as u64,
                mix(&fate),
            ],
            || {
                let Datagram {
                    from,
                    to,
                    ecn,
                    payload,
                } = &datagram;
                let arrow = if role == Role::Client { "-->" } else { "<--" };
                let len = payload.len();
                format!("{arrow} {from} to {to}, {len} bytes, {ecn:?}: {fate:?}")
            },
        );
        match fate {
            Fate::Arrives(arrival) => self.arrive(to, arrival, datagram),
            Fate::Twice(first, second) => {
                self.arrive(to, first, datagram.clone());
                self.arrive(to, second, datagram);
            }
            Fate::TooBig(mtu) if link.sends_icmp() => {
                let to = role;
                let arriving = Arriving::TooBig { to, datagram, mtu };
                // From a router near by.
                self.schedule
                    .add(self.now + Duration::from_millis(1), arriving);
            }
            Fate::TooBig(_) | Fate::Lost | Fate::Overflow | Fate::Outage => {}
        }
        Ok(())
    }

    fn arrive(&mut self, to: Role, arrival: Arrival, mut datagram: Datagram) {
        datagram.ecn = arrival.ecn;
        let original = arrival.corrupt.then(|| datagram.payload.clone());
        if arrival.corrupt {
            for _ in 0..self.random.within(1..=3) {
                let place = self.random.below(datagram.payload.len() as u64) as usize;
                datagram.payload[place] ^= 1 << self.random.below(8);
            }
            let sent = original.as_deref().unwrap_or_default();
            let mut ends = self.ends.iter();
            let fragile = ends.any(|end| end.endpoint.tolerance().corrupt_retry);
            if fragile && spoils_retry(sent, &datagram.payload) {
                return;
            }
        }
        let arriving = Arriving::Datagram {
            to,
            datagram,
            sent_at: self.now,
            original,
        };
        self.schedule.add(arrival.at, arriving);
    }

    /// Goes to the next instant at which something happens, and does it.
    fn advance(&mut self) -> Result<(), String> {
        let timeouts = self.ends.iter_mut().flat_map(|end| {
            let program = end.program.timeout();
            [end.endpoint.timeout(), program]
        });
        let flows = self.cross_traffic.iter().map(|(_, flow)| flow.timeout());
        let next = timeouts
            .chain(flows)
            .flatten()
            .chain(self.schedule.next_at())
            .min();
        let Some(next) = next else {
            return Err("nothing will ever happen again".into());
        };
        if next > self.now {
            self.now = next;
            self.rounds = 0;
        }
        self.rounds += 1;
        if self.rounds > MAX_ROUNDS {
            return Err("time stands still: a timer is set to the past again and again".into());
        }
        if self.now > self.deadline {
            return Err("not done at the deadline".into());
        }
        self.deliver()?;
        for end in &mut self.ends {
            if end.endpoint.timeout().is_some_and(|at| at <= self.now) {
                end.endpoint.on_timeout(self.now);
                end.touched = true;
            }
            end.touched |= end.program.timeout().is_some_and(|at| at <= self.now);
        }
        for (_, flow) in &mut self.cross_traffic {
            flow.on_timeout(self.now);
        }
        Ok(())
    }

    fn deliver(&mut self) -> Result<(), String> {
        while let Some(arriving) = self.schedule.pop(self.now) {
            match arriving {
                Arriving::Datagram {
                    to,
                    datagram,
                    sent_at,
                    original,
                } => self.receive(to, datagram, sent_at, original.as_deref()),
                Arriving::TooBig { to, datagram, mtu } => {
                    let end = &mut self.ends[to as usize];
                    end.endpoint.packet_too_big(self.now, &datagram, mtu);
                    end.touched = true;
                }
                Arriving::Segment(flow, number) => {
                    let Some((sender, tcp)) = self.cross_traffic.get_mut(flow) else {
                        continue;
                    };
                    if let Some(ack) = tcp.on_segment(number) {
                        let link = &mut self.links[*sender as usize];
                        let fate = link.carry(self.now, tcp::ACK, Default::default());
                        if let Some(at) = arrival(fate) {
                            self.schedule.add(at, Arriving::Ack(flow, ack));
                        }
                    }
                }
                Arriving::Ack(flow, ack) => {
                    if let Some((_, tcp)) = self.cross_traffic.get_mut(flow) {
                        tcp.on_ack(self.now, &ack);
                    }
                }
            }
        }
        Ok(())
    }

    fn receive(
        &mut self,
        to: Role,
        mut datagram: Datagram,
        sent_at: Instant,
        original: Option<&[u8]>,
    ) {
        match to {
            Role::Server => {
                let arrived = &datagram.payload[..];
                let sent = original.unwrap_or(arrived);
                self.amplification
                    .received(datagram.from, sent, arrived, sent_at);
            }
            Role::Client => {
                let outside = datagram.to;
                let Some(inside) = self.nat.inbound(outside) else {
                    self.trace
                        .note(self.now, &[9], || format!("    nobody is {outside}"));
                    return;
                };
                self.amplification.reached(self.now, outside);
                datagram.to = inside;
            }
        }
        let end = &mut self.ends[to as usize];
        end.silence.received();
        end.endpoint.receive(self.now, datagram);
        end.touched = true;
    }

    fn transmit_segments(&mut self, flow: usize) {
        let Some((sender, tcp)) = self.cross_traffic.get_mut(flow) else {
            return;
        };
        while let Some(number) = tcp.transmit(self.now) {
            let link = &mut self.links[sender.peer() as usize];
            let fate = link.carry(self.now, tcp::SEGMENT, Default::default());
            if let Some(at) = arrival(fate) {
                self.schedule.add(at, Arriving::Segment(flow, number));
            }
        }
    }

    fn close(&mut self) -> Result<(), String> {
        self.closing = true;
        for role in [Role::Client, Role::Server] {
            let end = &mut self.ends[role as usize];
            end.program.close(self.now, end.endpoint.application());
            self.transmit(role)?;
        }
        Ok(())
    }

    fn delivered(&self) -> Vec<u64> {
        self.cross_traffic
            .iter()
            .map(|(_, flow)| flow.delivered())
            .collect()
    }
}

/// When a packet of the cross traffic arrives intact. A copy of it is ignored, as TCP would.
fn arrival(fate: Fate) -> Option<Instant> {
    match fate {
        Fate::Arrives(first) | Fate::Twice(first, _) if !first.corrupt => Some(first.at),
        _ => None,
    }
}

/// A number for what becomes of a packet.
fn mix(fate: &Fate) -> u64 {
    let arrival = |it: &Arrival| it.at.as_nanos() * 8 + it.ecn as u64 * 2 + u64::from(it.corrupt);
    match fate {
        Fate::Arrives(it) => arrival(it),
        Fate::Twice(first, second) => arrival(first) ^ arrival(second).rotate_left(32),
        Fate::Lost => 1,
        Fate::Overflow => 2,
        Fate::Outage => 3,
        Fate::TooBig(mtu) => 4 + u64::from(*mtu),
    }
}

impl fmt::Debug for End {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.role)
    }
}
