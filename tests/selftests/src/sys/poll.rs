// SPDX-License-Identifier: MIT OR Apache-2.0

//! `poll()`, `epoll` and `select()`.

use super::errno::{check, Result};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::time::Duration;

/// Every event a program can ask `poll()` for.
pub(crate) const ALL: i16 = libc::POLLIN
    | libc::POLLPRI
    | libc::POLLOUT
    | libc::POLLRDNORM
    | libc::POLLRDBAND
    | libc::POLLWRNORM
    | libc::POLLWRBAND
    | libc::POLLRDHUP;

/// A descriptor, what is asked and what was answered.
#[repr(transparent)]
pub(crate) struct Watched<'fd> {
    entry: libc::pollfd,
    descriptor: std::marker::PhantomData<BorrowedFd<'fd>>,
}

impl<'fd> Watched<'fd> {
    pub(crate) fn new(descriptor: BorrowedFd<'fd>, events: i16) -> Self {
        let entry = libc::pollfd {
            fd: descriptor.as_raw_fd(),
            events,
            revents: 0,
        };
        Self {
            entry,
            descriptor: std::marker::PhantomData,
        }
    }

    pub(crate) fn answer(&self) -> i16 {
        self.entry.revents
    }
}

/// How many descriptors have an answer; `None` waits for ever.
pub(crate) fn poll(watched: &mut [Watched<'_>], timeout: Option<Duration>) -> Result<usize> {
    // Rounded up, so that the time is over when this returns 0.
    let milliseconds = match timeout {
        None => -1,
        Some(timeout) => i32::try_from(timeout.as_micros().div_ceil(1000)).unwrap_or(i32::MAX),
    };
    let count = watched.len() as libc::nfds_t;
    // SAFETY: `Watched` has the layout of `pollfd`, and there are `count` of them.
    let answers = check(unsafe { libc::poll(watched.as_mut_ptr().cast(), count, milliseconds) })?;
    Ok(answers as usize)
}

/// The answer for one descriptor, at once.
pub(crate) fn poll_now(descriptor: impl AsFd, events: i16) -> Result<i16> {
    let mut watched = [Watched::new(descriptor.as_fd(), events)];
    poll(&mut watched, Some(Duration::ZERO))?;
    Ok(watched[0].answer())
}

/// The answer of `epoll` for one descriptor, at once.
pub(crate) fn epoll_now(descriptor: impl AsFd, events: u32) -> Result<u32> {
    // SAFETY: The descriptor is new and ours.
    let epoll = unsafe { OwnedFd::from_raw_fd(check(libc::epoll_create1(libc::EPOLL_CLOEXEC))?) };
    let mut event = libc::epoll_event { events, u64: 0 };
    let watched = descriptor.as_fd().as_raw_fd();
    // SAFETY: `event` is a valid structure, with room for the one answer asked for.
    let answers = unsafe {
        check(libc::epoll_ctl(
            epoll.as_raw_fd(),
            libc::EPOLL_CTL_ADD,
            watched,
            &mut event,
        ))?;
        check(libc::epoll_wait(epoll.as_raw_fd(), &mut event, 1, 0))?
    };
    Ok(if answers == 1 { event.events } else { 0 })
}

/// Whether `select()` finds one descriptor readable, writable, exceptional, at once.
pub(crate) fn select_now(descriptor: impl AsFd) -> Result<(bool, bool, bool)> {
    let descriptor = descriptor.as_fd().as_raw_fd();
    assert!(
        (descriptor as usize) < libc::FD_SETSIZE,
        "select() cannot watch so many files"
    );
    // SAFETY: A set is a bitmap, for which zero is a value; the descriptor is within it, by the
    // check above.
    let is_set = unsafe {
        let mut sets: [libc::fd_set; 3] = std::mem::zeroed();
        sets.iter_mut()
            .for_each(|set| libc::FD_SET(descriptor, set));
        let mut timeout = libc::timeval {
            tv_sec: 0,
            tv_usec: 0,
        };
        let [read, write, except] = &mut sets;
        check(libc::select(
            descriptor + 1,
            read,
            write,
            except,
            &mut timeout,
        ))?;
        sets.map(|set| libc::FD_ISSET(descriptor, &set))
    };
    Ok(is_set.into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;
    use std::os::unix::net::UnixStream;

    #[test]
    fn all_three_see_the_same() {
        let (mut ours, theirs) = UnixStream::pair().unwrap();
        assert_eq!(
            poll_now(&theirs, libc::POLLIN | libc::POLLOUT).unwrap(),
            libc::POLLOUT
        );
        ours.write_all(b"x").unwrap();
        let both = libc::POLLIN | libc::POLLOUT;
        assert_eq!(poll_now(&theirs, both).unwrap(), both);
        assert_eq!(epoll_now(&theirs, both as u32).unwrap(), both as u32);
        assert_eq!(select_now(&theirs).unwrap(), (true, true, false));
    }

    #[test]
    fn poll_waits_for_the_whole_time() {
        let (ours, _theirs) = UnixStream::pair().unwrap();
        let start = std::time::Instant::now();
        let mut watched = [Watched::new(ours.as_fd(), libc::POLLIN)];
        assert_eq!(
            poll(&mut watched, Some(Duration::from_millis(20))).unwrap(),
            0
        );
        assert!(start.elapsed() >= Duration::from_millis(20));
    }
}
