// SPDX-License-Identifier: MIT OR Apache-2.0

//! Endpoints that do what they must not: each check of the simulator has to speak.

use kernel::alloc::inject;
use quic_core::role::Role;
use quic_core::stream_id::{Directionality, StreamId};
use quic_core::time::{Duration, Instant};
use quic_simulator::credentials::Credentials;
use quic_simulator::datagram::{address, Datagram, Ecn};
use quic_simulator::host::{
    Application, ClosedStream, EarlyData, Endpoint, Event, Host, Memory, Progress, ReadError,
    Status, WriteError,
};
use quic_simulator::plan::Plan;
use quic_simulator::scenario::Scenario;
use quic_simulator::settings::Settings;
use quic_simulator::simulation::{Failure, Report, Simulation};
use quic_simulator::trial::Choice;
use std::net::SocketAddr;

/// What the endpoint does wrong.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
enum Sabotage {
    Nothing,
    LoseByte,
    DoubleByte,
    SwapBytes,
    DoubleDatagram,
    Flood,
    TalkWhileClosing,
    TalkWhileDraining,
    EmptyDatagram,
    OldTimer,
    ForgetEvents,
    Hoard,
    Panic,
}

/// An endpoint that does one thing wrong.
struct Saboteur {
    inner: Box<dyn Endpoint>,
    role: Role,
    what: Sabotage,
    datagram: Option<Vec<u8>>,
    now: Instant,
}

impl Saboteur {
    fn does(&self, what: Sabotage) -> bool {
        self.what == what
    }

    fn spoil(&mut self, bytes: &mut Vec<u8>, from: usize) {
        if bytes.len() < from + 100 {
            return;
        }
        let (first, second) = (from + 50, from + 51);
        match self.what {
            Sabotage::LoseByte => drop(bytes.remove(first)),
            Sabotage::DoubleByte => bytes.insert(first, bytes[first]),
            Sabotage::SwapBytes => bytes.swap(first, second),
            _ => return,
        }
        self.what = Sabotage::Nothing;
    }
}

impl Host for Saboteur {
    fn receive(&mut self, now: Instant, datagram: Datagram) {
        assert!(!self.does(Sabotage::Panic), "on purpose");
        self.inner.receive(now, datagram);
    }

    fn transmit(&mut self, now: Instant, out: &mut Vec<Datagram>) {
        self.now = now;
        self.inner.transmit(now, out);
        let status = self.inner.status();
        let (talks, count) = match self.what {
            Sabotage::Flood => (!out.is_empty(), 3),
            Sabotage::EmptyDatagram => (true, 1),
            Sabotage::TalkWhileClosing => (status == Status::Closing, 1),
            Sabotage::TalkWhileDraining => (status == Status::Draining, 1),
            _ => (false, 0),
        };
        let len = match self.what {
            Sabotage::EmptyDatagram => 0,
            _ => 1_200,
        };
        let datagram = Datagram {
            from: address(self.role),
            to: address(self.role.peer()),
            ecn: Ecn::NotEct,
            payload: vec![0x40; len],
        };
        if talks {
            out.extend(vec![datagram; count]);
        }
    }

    fn timeout(&mut self) -> Option<Instant> {
        match self.what {
            Sabotage::OldTimer => Some(Instant::default()),
            Sabotage::TalkWhileClosing if self.status() == Status::Closing => {
                Some(self.now + Duration::from_millis(1))
            }
            _ => self.inner.timeout(),
        }
    }

    fn on_timeout(&mut self, now: Instant) {
        self.inner.on_timeout(now);
    }

    fn memory(&mut self) -> [Memory; 2] {
        let mut memory = self.inner.memory();
        if self.does(Sabotage::Hoard) {
            memory[1].held = memory[1].limit + 1;
        }
        memory
    }
}

impl Application for Saboteur {
    fn status(&self) -> Status {
        self.inner.status()
    }

    fn next_event(&mut self) -> Option<Event> {
        loop {
            let event = self.inner.next_event()?;
            let readable = matches!(event, Event::Readable(_));
            if !(readable && self.does(Sabotage::ForgetEvents)) {
                return Some(event);
            }
        }
    }

    fn early_data(&self) -> EarlyData {
        self.inner.early_data()
    }

    fn open(&mut self, now: Instant, directionality: Directionality) -> Option<StreamId> {
        self.inner.open(now, directionality)
    }

    fn accept(&mut self, now: Instant, directionality: Directionality) -> Option<StreamId> {
        self.inner.accept(now, directionality)
    }

    fn write(&mut self, now: Instant, stream: StreamId, data: &[u8]) -> Result<usize, WriteError> {
        self.inner.write(now, stream, data)
    }

    fn finish(&mut self, now: Instant, stream: StreamId) -> Result<(), WriteError> {
        self.inner.finish(now, stream)
    }

    fn reset(&mut self, now: Instant, stream: StreamId, code: u64) -> Result<(), ClosedStream> {
        self.inner.reset(now, stream, code)
    }

    fn stop(&mut self, now: Instant, stream: StreamId, code: u64) -> Result<(), ClosedStream> {
        self.inner.stop(now, stream, code)
    }

    fn read(
        &mut self,
        now: Instant,
        stream: StreamId,
        max: usize,
        into: &mut Vec<u8>,
    ) -> Result<Progress, ReadError> {
        let before = into.len();
        let progress = self.inner.read(now, stream, max, into);
        self.spoil(into, before);
        progress
    }

    fn max_datagram(&mut self) -> usize {
        self.inner.max_datagram()
    }

    fn send_datagram(&mut self, now: Instant, data: &[u8]) -> bool {
        self.inner.send_datagram(now, data)
    }

    fn receive_datagram(&mut self, now: Instant) -> Option<Vec<u8>> {
        if let Some(datagram) = self.datagram.take() {
            return Some(datagram);
        }
        let datagram = self.inner.receive_datagram(now);
        if self.does(Sabotage::DoubleDatagram) {
            self.datagram.clone_from(&datagram);
        }
        datagram
    }

    fn close(&mut self, now: Instant, code: u64, reason: &[u8]) {
        self.inner.close(now, code, reason);
    }

    fn update_keys(&mut self, now: Instant) {
        self.inner.update_keys(now);
    }

    fn migrate(&mut self, now: Instant, local: SocketAddr) {
        self.inner.migrate(now, local);
    }
}

/// The client uploads and then closes the connection; the server, or the client, is a saboteur.
fn run(saboteur: Role, what: Sabotage, failures: u64) -> Result<Report, Failure> {
    let credentials = Credentials::new();
    let mut plan = Plan::upload(1, &[20_000, 30_000]);
    plan.datagrams = [vec![100; 3], vec![100; 3]];
    let endpoint = |role: Role| -> Box<dyn Endpoint> {
        let mut settings = Settings::new(1 + role as u64);
        settings.idle_timeout = Duration::from_secs(10);
        settings.failures = failures;
        let inner = Choice::Ours.endpoint(role, settings, &credentials, None);
        let what = match role == saboteur {
            true => what,
            false => Sabotage::Nothing,
        };
        Box::new(Saboteur {
            inner,
            role,
            what,
            datagram: None,
            now: Instant::default(),
        })
    };
    let (client, server) = (endpoint(Role::Client), endpoint(Role::Server));
    let scenario = Scenario::named("goodput").unwrap();
    Simulation::new(1, scenario, plan, client, server).run()
}

#[test]
fn each_check_speaks() {
    run(Role::Server, Sabotage::Nothing, 0).unwrap();
    for (role, what, expected) in [
        (Role::Server, Sabotage::LoseByte, "is wrong"),
        (Role::Server, Sabotage::DoubleByte, "is wrong"),
        (Role::Server, Sabotage::SwapBytes, "is wrong"),
        (Role::Server, Sabotage::DoubleDatagram, "arrived twice"),
        (Role::Server, Sabotage::Flood, "which is not validated"),
        (Role::Client, Sabotage::TalkWhileClosing, "after the close"),
        (Role::Server, Sabotage::TalkWhileDraining, "draining state"),
        (Role::Client, Sabotage::EmptyDatagram, "an empty datagram"),
        (Role::Client, Sabotage::OldTimer, "time stands still"),
        (Role::Server, Sabotage::ForgetEvents, "TimedOut"),
        (Role::Client, Sabotage::Hoard, "bytes are held"),
        (Role::Client, Sabotage::Panic, "a panic"),
    ] {
        let failure = run(role, what, 0).expect_err(expected);
        assert!(failure.what.contains(expected), "{what:?}: {failure}");
        assert_eq!(failure.excuse, None);
    }
}

#[test]
fn allocations_fail_and_are_survived() {
    let before = inject::failed();
    run(Role::Server, Sabotage::Nothing, 5).unwrap();
    assert!(inject::failed() > before + 3);
    // When all of them fail, nothing comes about, and that is noticed.
    run(Role::Server, Sabotage::Nothing, 1).unwrap_err();
}
