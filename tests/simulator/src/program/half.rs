// SPDX-License-Identifier: MIT OR Apache-2.0

//! [`Outgoing`] and [`Incoming`]: the two directions of a stream, as a program follows them.
//!
//! ```text
//! Outgoing  Sending -- finish() --> Finishing -- Finished --> Done
//!              |                        |                       ^
//!              +---- reset(), Stopped --+-----------------------+
//!
//! Incoming  Open -- end, reset by the peer, stop() --> Done
//! ```

use crate::host::{Application, Progress, ReadError, WriteError};
use crate::pattern::Pattern;
use crate::plan::{HalfPlan, Reply};
use quic_core::stream_id::StreamId;
use quic_core::time::{Duration, Instant};
use std::fmt;

/// What is sent on a stream.
pub(super) struct Outgoing {
    id: StreamId,
    plan: HalfPlan,
    pattern: Pattern,
    reply: Reply,
    /// The code with which the peer may stop it.
    stop: Option<u64>,
    /// How much of it may be sent now.
    ready: u64,
    /// The end may be sent.
    may_end: bool,
    sent: u64,
    state: SendState,
}

#[derive(Copy, Clone, PartialEq, Eq, Debug)]
enum SendState {
    Sending,
    Finishing,
    Done,
}

/// What is received on a stream.
pub(super) struct Incoming {
    id: StreamId,
    plan: HalfPlan,
    pattern: Pattern,
    received: u64,
    /// No read before.
    not_before: Instant,
    /// Reading was interrupted by the pause.
    paused: bool,
    done: bool,
}

impl Outgoing {
    pub(super) fn new(
        id: StreamId,
        plan: HalfPlan,
        pattern: Pattern,
        reply: Reply,
        stop: Option<u64>,
    ) -> Self {
        let at_once = reply == Reply::AtOnce;
        Self {
            id,
            ready: if at_once { plan.size } else { 0 },
            may_end: at_once,
            plan,
            pattern,
            reply,
            stop,
            sent: 0,
            state: SendState::Sending,
        }
    }

    pub(super) fn is_done(&self) -> bool {
        self.state == SendState::Done
    }

    /// So much of the request came, or all that will come.
    pub(super) fn on_request(&mut self, received: u64, done: bool) {
        match self.reply {
            Reply::AtOnce => {}
            Reply::Echo => {
                self.ready = received;
                self.may_end = done;
            }
            Reply::After => {
                self.may_end = done;
                self.ready = if done { self.plan.size } else { 0 };
            }
        }
    }

    /// Writes what it can; whether this was the end.
    pub(super) fn write(
        &mut self,
        now: Instant,
        app: &mut dyn Application,
        scratch: &mut Vec<u8>,
    ) -> Result<bool, String> {
        while self.state == SendState::Sending && self.sent < self.ready {
            let len = (self.ready - self.sent).min(self.plan.write as u64) as usize;
            scratch.clear();
            self.pattern.write(self.sent, len, scratch);
            match app.write(now, self.id, scratch) {
                Ok(written) if (1..=len).contains(&written) => self.sent += written as u64,
                Ok(written) => return Err(format!("{self}: wrote {written} of {len} bytes")),
                Err(WriteError::Blocked) => return Ok(false),
                Err(WriteError::Stopped(code)) => return self.on_stopped(now, app, code),
                Err(WriteError::Closed) => return Err(format!("{self}: cannot be written to")),
            }
        }
        if self.state != SendState::Sending || !self.may_end {
            return Ok(false);
        }
        if let Some(code) = self.plan.reset {
            self.state = SendState::Done;
            let failed = |_| format!("{self}: cannot be reset");
            return app.reset(now, self.id, code).map_err(failed).map(|()| true);
        }
        match app.finish(now, self.id) {
            Ok(()) => {
                self.state = SendState::Finishing;
                Ok(false)
            }
            Err(WriteError::Stopped(code)) => self.on_stopped(now, app, code),
            Err(error) => Err(format!("{self}: cannot be finished: {error:?}")),
        }
    }

    /// The peer has all of it; whether this was the end.
    pub(super) fn on_finished(&mut self) -> Result<bool, String> {
        match self.state {
            SendState::Sending => Err(format!("{self}: finished without finish()")),
            SendState::Finishing => {
                self.state = SendState::Done;
                Ok(true)
            }
            SendState::Done => Ok(false),
        }
    }

    /// The peer wants no more of it; whether this was the end.
    pub(super) fn on_stopped(
        &mut self,
        now: Instant,
        app: &mut dyn Application,
        code: u64,
    ) -> Result<bool, String> {
        if self.stop != Some(code) {
            return Err(format!("{self}: stopped with {code}, not {:?}", self.stop));
        }
        if self.is_done() {
            return Ok(false);
        }
        self.state = SendState::Done;
        // Endpoints may have done it by themselves (RFC 9000 §3.5).
        let _ = app.reset(now, self.id, code);
        Ok(true)
    }
}

impl Incoming {
    pub(super) fn new(id: StreamId, plan: HalfPlan, pattern: Pattern) -> Self {
        Self {
            id,
            plan,
            pattern,
            received: 0,
            not_before: Instant::default(),
            paused: false,
            done: false,
        }
    }

    pub(super) fn is_done(&self) -> bool {
        self.done
    }

    pub(super) fn received(&self) -> u64 {
        self.received
    }

    /// When to read again, if reading was interrupted.
    pub(super) fn resume(&mut self) -> Option<Instant> {
        std::mem::take(&mut self.paused).then_some(self.not_before)
    }

    /// Reads what there is; whether this was the end.
    pub(super) fn read(
        &mut self,
        now: Instant,
        app: &mut dyn Application,
        scratch: &mut Vec<u8>,
    ) -> Result<bool, String> {
        loop {
            if self.done {
                return Ok(false);
            }
            if let Some((_, code)) = self.plan.stop.filter(|(at, _)| self.received >= *at) {
                self.done = true;
                let failed = |_| format!("{self}: cannot be stopped");
                return app.stop(now, self.id, code).map_err(failed).map(|()| true);
            }
            if now < self.not_before {
                // The timer of the pause is set.
                return Ok(false);
            }
            scratch.clear();
            let result = app.read(now, self.id, self.plan.read, scratch);
            self.take(scratch)?;
            match result {
                Ok(Progress::Blocked) => return Ok(false),
                Ok(Progress::More) if scratch.is_empty() => {
                    return Err(format!("{self}: more to read, but nothing read"));
                }
                Ok(Progress::More) => {}
                Ok(Progress::End) => return self.end(None),
                Err(ReadError::Reset(code)) => return self.end(Some(code)),
                Err(ReadError::Closed) => return Err(format!("{self}: cannot be read")),
            }
            if self.plan.pause != Duration::ZERO {
                self.not_before = now + self.plan.pause;
                self.paused = true;
                return Ok(false);
            }
        }
    }

    fn take(&mut self, bytes: &[u8]) -> Result<(), String> {
        if bytes.len() > self.plan.read {
            return Err(format!("{self}: read {} bytes, too many", bytes.len()));
        }
        let wrong = |at| format!("{self}: the byte at {at} is wrong");
        self.pattern.check(self.received, bytes).map_err(wrong)?;
        self.received += bytes.len() as u64;
        if self.received > self.plan.size {
            return Err(format!("{self}: more bytes than were sent"));
        }
        Ok(())
    }

    fn end(&mut self, reset: Option<u64>) -> Result<bool, String> {
        if reset != self.plan.reset {
            return Err(format!("{self}: ended with {reset:?}"));
        }
        if reset.is_none() && self.received != self.plan.size {
            return Err(format!("{self}: ended too early"));
        }
        self.done = true;
        Ok(true)
    }
}

impl fmt::Display for Outgoing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            id,
            sent,
            plan,
            state,
            ..
        } = self;
        write!(
            f,
            "stream {id}, {sent} of {} bytes sent, {state:?}",
            plan.size
        )
    }
}

impl fmt::Display for Incoming {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            id, received, plan, ..
        } = self;
        write!(f, "stream {id}, {received} of {} bytes received", plan.size)
    }
}
