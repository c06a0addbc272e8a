// SPDX-License-Identifier: GPL-2.0

//! `listen()` and `accept()`.
//!
//! Several sockets may listen on one address, as long as a client's list of application protocols
//! tells which of them it means: their lists have no protocol in common. Those that have the same
//! list can share it with `SO_REUSEPORT`.

use crate::{
    bind,
    socket::{QuicGuard, QuicHeld, QuicSock},
    sys::{errno::EADDRINUSE, sock::State},
};
use kernel::{prelude::*, sync::aref::ARef};

/// `listen()`: a backlog of 0 ends it. Errors: `EINVAL` in another state; `EADDRINUSE` beside
/// another listener; those of `bind`.
pub(crate) fn listen(sock: &QuicSock, backlog: u32) -> Result {
    let mut guard = sock.lock();
    match (sock.state(), backlog) {
        (State::Listening, 0) => stop(&mut guard.held()),
        (State::Listening, _) => guard.held().set_max_backlog(backlog),
        (State::Closed, 1..) => start(&mut guard.held(), backlog)?,
        _ => return Err(EINVAL),
    }
    Ok(())
}

fn start(held: &mut QuicHeld<'_>, backlog: u32) -> Result {
    if held.binding.is_none() {
        bind::autobind(held)?;
    }
    let sock = held.sock();
    let binding = held.binding.as_ref().ok_or(EINVAL)?;
    binding
        .tunnel()
        .listeners()
        .insert(sock, |other| may_coexist(sock, other))?;
    held.set_max_backlog(backlog);
    held.set_state(State::Listening);
    Ok(())
}

/// Whether a client's packet tells which of the two it is for, or it does not matter.
fn may_coexist(sock: &QuicSock, other: &QuicSock) -> Result {
    let local = |sock: &QuicSock| sock.shared().bound.as_ref().map(|bound| bound.local);
    if local(sock) != local(other) {
        return Ok(());
    }
    let (mine, its) = (sock.shared().alpn.get(), other.shared().alpn.get());
    let on_purpose = sock.reuseport() && other.reuseport() && sock.owner() == other.owner();
    if (mine == its && on_purpose) || !mine.overlaps(&its) {
        Ok(())
    } else {
        Err(EADDRINUSE.into())
    }
}

/// Stops listening; the address stays.
pub(crate) fn stop(held: &mut QuicHeld<'_>) {
    let sock = held.sock();
    if let Some(binding) = &held.binding {
        binding.tunnel().listeners().remove(sock);
    }
    held.set_state(State::Closed);
    held.set_max_backlog(0);
    // Whoever waits in accept() finds that there is nothing to wait for any more.
    sock.notify_state_change();
}

/// `accept()`: waits for a connection. Errors: `EINVAL` if the socket does not listen, or stops
/// while we wait; `EAGAIN`; `EINTR`.
pub(crate) fn accept(sock: &QuicSock, nonblocking: bool) -> Result<ARef<QuicSock>> {
    let mut guard: QuicGuard<'_> = sock.lock();
    let mut patience = guard.receive_patience(nonblocking);
    loop {
        sock.require(&[State::Listening], EINVAL)?;
        guard.wait_exclusive(&mut patience)?;
    }
}
