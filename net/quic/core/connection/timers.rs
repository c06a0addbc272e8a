// SPDX-License-Identifier: GPL-2.0 OR MIT

//! [`Timers`]: when a connection has something to do although nothing happens.
//!
//! One timer of the caller serves all: it is set to the earliest. Loss detection and the
//! acknowledgment delay keep their own times and are asked for them.

use crate::time::Instant;

/// What is waited for.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
#[repr(u8)]
pub(super) enum Timer {
    /// The end of silence (RFC 9000 §10.1).
    Idle,
    /// A PING is due, so that the end of silence does not come.
    KeepAlive,
    /// The end of closing or draining (RFC 9000 §10.2).
    Close,
    /// The old keys can go, and the next ones come (RFC 9001 §6.5).
    KeyDiscard,
    /// The 0-RTT keys of a server can go (RFC 9001 §4.9.3).
    ZeroRttDiscard,
    /// A path challenge is to be repeated, or given up (RFC 9000 §8.2.4).
    PathValidation,
    /// The pacer lets something leave.
    Pacing,
    /// Memory is given back, if nothing happened for a while.
    Trim,
    /// There was no memory to send: it is tried again.
    Retry,
}

const COUNT: usize = 9;

/// The times of all timers.
#[derive(Debug)]
pub(super) struct Timers([Instant; COUNT]);

impl Timers {
    pub(super) const fn new() -> Self {
        Self([Instant::FAR_FUTURE; COUNT])
    }

    pub(super) fn set(&mut self, timer: Timer, at: Instant) {
        if let Some(slot) = self.0.get_mut(timer as usize) {
            *slot = at;
        }
    }

    pub(super) fn stop(&mut self, timer: Timer) {
        self.set(timer, Instant::FAR_FUTURE);
    }

    pub(super) fn is_set(&self, timer: Timer) -> bool {
        self.get(timer) != Instant::FAR_FUTURE
    }

    pub(super) fn stop_all(&mut self) {
        *self = Self::new();
    }

    pub(super) fn get(&self, timer: Timer) -> Instant {
        self.0
            .get(timer as usize)
            .copied()
            .unwrap_or(Instant::FAR_FUTURE)
    }

    /// Stops `timer` if its time has come, and says whether that was so.
    pub(super) fn expire(&mut self, timer: Timer, now: Instant) -> bool {
        let due = self.get(timer) <= now;
        if due {
            self.stop(timer);
        }
        due
    }

    /// The earliest time.
    pub(super) fn next(&self) -> Instant {
        self.0
            .iter()
            .copied()
            .fold(Instant::FAR_FUTURE, Instant::min)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_earliest_is_next() {
        let mut timers = Timers::new();
        assert_eq!(timers.next(), Instant::FAR_FUTURE);
        timers.set(Timer::Pacing, Instant::from_nanos(20));
        timers.set(Timer::Idle, Instant::from_nanos(10));
        assert_eq!(timers.next(), Instant::from_nanos(10));
        assert!(!timers.expire(Timer::Pacing, Instant::from_nanos(19)));
        assert!(timers.expire(Timer::Idle, Instant::from_nanos(10)));
        assert_eq!(timers.get(Timer::Idle), Instant::FAR_FUTURE);
        assert_eq!(timers.next(), Instant::from_nanos(20));
    }

    #[test]
    fn every_timer_has_a_place() {
        let mut timers = Timers::new();
        timers.set(Timer::Trim, Instant::from_nanos(1));
        assert_eq!(timers.get(Timer::Trim), Instant::from_nanos(1));
        timers.set(Timer::Retry, Instant::from_nanos(1));
        assert_eq!(timers.get(Timer::Retry), Instant::from_nanos(1));
    }
}
