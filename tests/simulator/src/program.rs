// SPDX-License-Identifier: MIT OR Apache-2.0

//! [`Program`]: the application at one end, which carries out its part of a [`Plan`] and checks the peer's.

mod half;

use crate::host::{Application, Cause, EarlyData, Event, Status};
use crate::plan::{Plan, Reply, StreamPlan};
use crate::schedule::Schedule;
use half::{Incoming, Outgoing};
use quic_core::role::Role;
use quic_core::stream_id::{Directionality, StreamId};
use quic_core::time::{Duration, Instant};
use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::rc::Rc;

const BOTH: [Directionality; 2] = [
    Directionality::Bidirectional,
    Directionality::Unidirectional,
];

/// The error code with which the connection is closed when all is done.
pub const CLOSE_CODE: u64 = 0x600d;
/// And the reason.
pub const CLOSE_REASON: &[u8] = b"done";

/// How many bytes of the pattern a datagram has for itself.
const DATAGRAM_SPACING: u64 = 2_048;

/// The application at one end.
pub struct Program {
    role: Role,
    plan: Rc<Plan>,
    local: SocketAddr,
    timers: Schedule<Timer>,
    /// When the first stream could be opened.
    begun: Option<Instant>,
    outgoing: BTreeMap<StreamId, Outgoing>,
    incoming: BTreeMap<StreamId, Incoming>,
    /// How many streams were opened and accepted, of each type.
    opened: [usize; 2],
    accepted: [usize; 2],
    /// Halves of streams that are not at their end.
    unfinished: usize,
    datagrams_sent: usize,
    datagrams_seen: BTreeSet<u32>,
    /// Key updates, migrations and datagrams to come.
    chores: usize,
    confirmed: bool,
    closing: bool,
    results: Results,
    scratch: Vec<u8>,
}

/// What a program saw.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Results {
    /// When the handshake was complete.
    pub connected: Option<Instant>,
    /// When all was done.
    pub done: Option<Instant>,
    /// Bytes of streams that arrived.
    pub received: u64,
    /// Datagrams that arrived.
    pub datagrams: usize,
    /// What became of 0-RTT.
    pub early_data: Option<EarlyData>,
    /// How the peer's close arrived.
    pub closed: Option<Cause>,
}

#[derive(Debug)]
enum Timer {
    Open(Directionality),
    Read(StreamId),
    Datagram,
    KeyUpdate,
    Migration,
}

fn index(directionality: Directionality) -> usize {
    match directionality {
        Directionality::Bidirectional => 0,
        Directionality::Unidirectional => 1,
    }
}

impl Program {
    /// The program of `role`, at the address `local`.
    pub fn new(role: Role, plan: Rc<Plan>, local: SocketAddr) -> Self {
        Self {
            role,
            plan,
            local,
            timers: Schedule::new(),
            begun: None,
            outgoing: BTreeMap::new(),
            incoming: BTreeMap::new(),
            opened: [0; 2],
            accepted: [0; 2],
            unfinished: 0,
            datagrams_sent: 0,
            datagrams_seen: BTreeSet::new(),
            chores: 0,
            confirmed: false,
            closing: false,
            results: Results::default(),
            scratch: Vec::new(),
        }
    }

    /// What it saw.
    pub fn results(&self) -> &Results {
        &self.results
    }

    /// When [`Self::run`] wants to be called, without any event.
    pub fn timeout(&self) -> Option<Instant> {
        self.timers.next_at()
    }

    /// Does what can be done; an error is an error of an endpoint.
    pub fn run(&mut self, now: Instant, app: &mut dyn Application) -> Result<(), String> {
        if self.begun.is_none() && app.early_data() == EarlyData::Offered {
            self.begin(now, app)?;
        }
        while let Some(event) = app.next_event() {
            self.on_event(now, app, event)?;
        }
        if !self.confirmed && self.results.connected.is_some() && app.status() == Status::Confirmed
        {
            self.on_confirmed(now);
        }
        while let Some(timer) = self.timers.pop(now) {
            self.on_timer(now, app, timer)?;
        }
        if self.results.done.is_none() && self.is_done() {
            self.results.done = Some(now);
        }
        Ok(())
    }

    /// Both programs are done, and the connection is closed: by this one, or soon by the peer.
    pub fn close(&mut self, now: Instant, app: &mut dyn Application) {
        self.closing = true;
        if self.plan.closer == self.role {
            app.close(now, CLOSE_CODE, CLOSE_REASON);
        }
    }

    /// What it still waits for, for a human.
    pub fn unfinished(&self) -> String {
        let outgoing = self.outgoing.iter().filter(|(_, half)| !half.is_done());
        let outgoing: Vec<_> = outgoing.map(|(id, half)| format!("{id}: {half}")).collect();
        let incoming = self.incoming.iter().filter(|(_, half)| !half.is_done());
        let incoming: Vec<_> = incoming.map(|(id, half)| format!("{id}: {half}")).collect();
        format!(
            "{:?}: connected {}, opened {:?} of {:?}, accepted {:?} of {:?}, {} chores to come, sends [{}], receives [{}]",
            self.role,
            self.results.connected.is_some(),
            self.opened,
            BOTH.map(|d| self.plan.opened_by(self.role, d).count()),
            self.accepted,
            BOTH.map(|d| self.plan.opened_by(self.role.peer(), d).count()),
            self.chores,
            outgoing.join(", "),
            incoming.join(", "),
        )
    }

    fn is_done(&self) -> bool {
        let all = |role, numbers: &[usize; 2]| {
            BOTH.iter()
                .all(|d| self.plan.opened_by(role, *d).count() == numbers[index(*d)])
        };
        self.results.connected.is_some()
            && self.unfinished == 0
            && self.chores == 0
            && all(self.role, &self.opened)
            && all(self.role.peer(), &self.accepted)
    }

    fn on_event(
        &mut self,
        now: Instant,
        app: &mut dyn Application,
        event: Event,
    ) -> Result<(), String> {
        if let Event::Closed(cause) = event {
            return self.on_closed(cause);
        }
        if self.closing {
            return Ok(());
        }
        match event {
            Event::Connected => self.on_connected(now, app),
            Event::Opened(directionality) => self.accept(now, app, directionality),
            Event::Available(directionality) => self.open(now, app, directionality),
            Event::Readable(id) => self.read(now, app, id),
            Event::Writable(id) => self.write(now, app, id),
            Event::Finished(id) => {
                let half = self.outgoing.get_mut(&id);
                let ended = half
                    .ok_or(format!("stream {id} finished, unknown"))?
                    .on_finished()?;
                self.unfinished -= usize::from(ended);
                Ok(())
            }
            Event::Stopped(id, code) => {
                let half = self.outgoing.get_mut(&id);
                let half = half.ok_or(format!("stream {id} stopped, unknown"))?;
                let ended = half.on_stopped(now, app, code)?;
                self.unfinished -= usize::from(ended);
                Ok(())
            }
            Event::DatagramReceived => self.receive_datagrams(now, app),
            Event::DatagramsWritable => self.send_datagrams(now, app),
            Event::Closed(_) => Ok(()),
        }
    }

    fn on_timer(
        &mut self,
        now: Instant,
        app: &mut dyn Application,
        timer: Timer,
    ) -> Result<(), String> {
        if self.closing {
            return Ok(());
        }
        match timer {
            Timer::Open(directionality) => self.open(now, app, directionality),
            Timer::Read(id) => self.read(now, app, id),
            Timer::Datagram => self.send_datagrams(now, app),
            Timer::KeyUpdate => {
                app.update_keys(now);
                self.chores -= 1;
                Ok(())
            }
            Timer::Migration => {
                self.local.set_port(self.local.port() + 1);
                app.migrate(now, self.local);
                self.chores -= 1;
                Ok(())
            }
        }
    }

    fn on_connected(&mut self, now: Instant, app: &mut dyn Application) -> Result<(), String> {
        if self.results.connected.replace(now).is_some() {
            return Err("connected twice".into());
        }
        self.results.early_data = Some(app.early_data());
        if app.early_data() == EarlyData::Rejected {
            self.forget_early_streams();
        }
        if app.max_datagram() > 0 {
            self.chores += self.plan.datagrams[self.role as usize].len();
            self.send_datagrams(now, app)?;
        }
        self.chores += self.chores_when_confirmed().count();
        self.begin(now, app)
    }

    fn on_confirmed(&mut self, now: Instant) {
        self.confirmed = true;
        let chores: Vec<_> = self.chores_when_confirmed().collect();
        for (after, timer) in chores {
            self.timers.add(now + after, timer);
        }
    }

    fn chores_when_confirmed(&self) -> impl Iterator<Item = (Duration, Timer)> + '_ {
        let updates = self.plan.key_updates.iter();
        let updates = updates.filter(|(who, _)| *who == self.role);
        let client = self.role == Role::Client;
        let migrations = self.plan.migrations.iter().filter(move |_| client);
        let updates = updates.map(|(_, after)| (*after, Timer::KeyUpdate));
        updates.chain(migrations.map(|after| (*after, Timer::Migration)))
    }

    fn forget_early_streams(&mut self) {
        let role = self.role;
        self.outgoing.retain(|id, _| id.initiator() != role);
        self.incoming.retain(|id, _| id.initiator() != role);
        let sending = self
            .outgoing
            .values()
            .filter(|half| !half.is_done())
            .count();
        let receiving = self
            .incoming
            .values()
            .filter(|half| !half.is_done())
            .count();
        self.unfinished = sending + receiving;
        self.opened = [0; 2];
        self.begun = None;
    }

    fn begin(&mut self, now: Instant, app: &mut dyn Application) -> Result<(), String> {
        self.begun.get_or_insert(now);
        BOTH.into_iter().try_for_each(|d| self.open(now, app, d))
    }

    fn open(
        &mut self,
        now: Instant,
        app: &mut dyn Application,
        directionality: Directionality,
    ) -> Result<(), String> {
        let Some(begun) = self.begun else {
            return Ok(());
        };
        let plan = Rc::clone(&self.plan);
        let number = self.opened[index(directionality)];
        for stream in plan.opened_by(self.role, directionality).skip(number) {
            let start = begun + stream.start;
            if start > now {
                self.timers.add(start, Timer::Open(directionality));
                return Ok(());
            }
            let Some(id) = app.open(now, directionality) else {
                return Ok(());
            };
            let number = &mut self.opened[index(directionality)];
            expect_id(id, self.role, directionality, *number)?;
            *number += 1;
            self.add(now, app, id, stream)?;
        }
        Ok(())
    }

    fn accept(
        &mut self,
        now: Instant,
        app: &mut dyn Application,
        directionality: Directionality,
    ) -> Result<(), String> {
        let plan = Rc::clone(&self.plan);
        while let Some(id) = app.accept(now, directionality) {
            let peer = self.role.peer();
            let number = &mut self.accepted[index(directionality)];
            expect_id(id, peer, directionality, *number)?;
            let stream = plan.opened_by(peer, directionality).nth(*number);
            *number += 1;
            let stream = stream.ok_or(format!("stream {id}, which nobody opened"))?;
            self.add(now, app, id, stream)?;
        }
        Ok(())
    }

    fn add(
        &mut self,
        now: Instant,
        app: &mut dyn Application,
        id: StreamId,
        stream: &StreamPlan,
    ) -> Result<(), String> {
        let (us, peer) = (self.role, self.role.peer());
        if let Some(half) = stream.half(us) {
            let reply = match &stream.response {
                Some((reply, _)) if stream.opener != us => *reply,
                _ => Reply::AtOnce,
            };
            let stop = half.stop.map(|(_, code)| code);
            let pattern = self.plan.pattern(id, us, stream.echoes());
            let half = Outgoing::new(id, half.clone(), pattern, reply, stop);
            self.outgoing.insert(id, half);
            self.unfinished += 1;
        }
        if let Some(half) = stream.half(peer) {
            let pattern = self.plan.pattern(id, peer, stream.echoes());
            self.incoming
                .insert(id, Incoming::new(id, half.clone(), pattern));
            self.unfinished += 1;
        }
        self.write(now, app, id)?;
        self.read(now, app, id)
    }

    fn write(
        &mut self,
        now: Instant,
        app: &mut dyn Application,
        id: StreamId,
    ) -> Result<(), String> {
        let Some(half) = self.outgoing.get_mut(&id) else {
            return Ok(());
        };
        let ended = half.write(now, app, &mut self.scratch)?;
        self.unfinished -= usize::from(ended);
        Ok(())
    }

    fn read(
        &mut self,
        now: Instant,
        app: &mut dyn Application,
        id: StreamId,
    ) -> Result<(), String> {
        let Some(half) = self.incoming.get_mut(&id) else {
            return Ok(());
        };
        let before = half.received();
        let ended = half.read(now, app, &mut self.scratch)?;
        self.results.received += half.received() - before;
        self.unfinished -= usize::from(ended);
        if let Some(resume) = half.resume() {
            self.timers.add(resume, Timer::Read(id));
        }
        // A response may wait for this.
        let (received, done) = (half.received(), half.is_done());
        if let Some(response) = self.outgoing.get_mut(&id) {
            response.on_request(received, done);
            self.write(now, app, id)?;
        }
        Ok(())
    }

    fn send_datagrams(&mut self, now: Instant, app: &mut dyn Application) -> Result<(), String> {
        let plan = Rc::clone(&self.plan);
        let lengths = &plan.datagrams[self.role as usize];
        while let Some(length) = lengths.get(self.datagrams_sent) {
            let max = app.max_datagram();
            if max < 4 {
                return Err(format!("datagrams of at most {max} bytes"));
            }
            let number = self.datagrams_sent as u32;
            let length = *length.clamp(&4, &max);
            self.scratch.clear();
            self.scratch.extend_from_slice(&number.to_le_bytes());
            let pattern = plan.datagram_pattern(self.role);
            let place = u64::from(number) * DATAGRAM_SPACING;
            pattern.write(place, length - 4, &mut self.scratch);
            if !app.send_datagram(now, &self.scratch) {
                return Ok(());
            }
            self.datagrams_sent += 1;
            self.chores -= 1;
            if plan.datagram_interval != Duration::ZERO {
                self.timers
                    .add(now + plan.datagram_interval, Timer::Datagram);
                return Ok(());
            }
        }
        Ok(())
    }

    fn receive_datagrams(&mut self, now: Instant, app: &mut dyn Application) -> Result<(), String> {
        let peer = self.role.peer();
        while let Some(data) = app.receive_datagram(now) {
            let Some((number, bytes)) = data.split_first_chunk() else {
                return Err(format!("a datagram of {} bytes", data.len()));
            };
            let number = u32::from_le_bytes(*number);
            let longest = self.plan.datagrams[peer as usize].get(number as usize);
            let pattern = self.plan.datagram_pattern(peer);
            let place = u64::from(number) * DATAGRAM_SPACING;
            if longest.is_none_or(|longest| data.len() > *longest)
                || pattern.check(place, bytes).is_err()
            {
                return Err(format!("datagram {number} is not what was sent"));
            }
            if !self.datagrams_seen.insert(number) {
                return Err(format!("datagram {number} arrived twice"));
            }
            self.results.datagrams += 1;
        }
        Ok(())
    }

    fn on_closed(&mut self, cause: Cause) -> Result<(), String> {
        let expected = match &cause {
            Cause::Application { code, reason } => {
                *code == CLOSE_CODE && (reason.is_empty() || reason == CLOSE_REASON)
            }
            // The CONNECTION_CLOSE frame was lost, with all its successors.
            Cause::TimedOut | Cause::Reset => true,
            _ => false,
        };
        if !self.closing || self.plan.closer == self.role || !expected {
            return Err(format!("the connection was closed: {cause:?}"));
        }
        if self.results.closed.replace(cause).is_some() {
            return Err("the connection was closed twice".into());
        }
        Ok(())
    }
}

fn expect_id(
    id: StreamId,
    opener: Role,
    directionality: Directionality,
    number: usize,
) -> Result<(), String> {
    let expected = StreamId::nth(opener, directionality, number as u64);
    if Some(id) != expected {
        return Err(format!("stream {id} instead of {expected:?}"));
    }
    Ok(())
}
