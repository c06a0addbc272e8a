// SPDX-License-Identifier: GPL-2.0

//! `bind()`: how a socket gets its local address, and its share in a tunnel.

use crate::{
    address::{self, Checked, Use},
    netns::QuicNet,
    socket::{Bound, QuicHeld, QuicSock},
    sys::{errno::EADDRNOTAVAIL, rcu::RcuArc, sock::State},
    tunnel::Tunnel,
};
use kernel::prelude::*;

/// A socket's share in a tunnel, to be given back by [`Binding::release`].
pub(crate) struct Binding {
    tunnel: RcuArc<Tunnel>,
}

impl Binding {
    /// Where the packets arrive.
    pub(crate) fn tunnel(&self) -> &Tunnel {
        &self.tunnel
    }

    /// Gives the share back. May sleep.
    pub(crate) fn release(self, net: &QuicNet) {
        net.tunnels().lock().leave(&self.tunnel);
    }
}

/// `bind()`. Errors: `EINVAL` for the address or for a socket that has one; else those of a UDP
/// socket.
pub(crate) fn bind(sock: &QuicSock, bytes: &[u8]) -> Result {
    let mut guard = sock.lock();
    if sock.state() != State::Closed || guard.binding.is_some() {
        return Err(EINVAL);
    }
    let want = address::check(sock, bytes, Use::Local)?;
    bind_to(&mut guard.held(), want)
}

/// Binds a socket that has no address yet, at the latest moment: to the wildcard, any port.
pub(crate) fn autobind(held: &mut QuicHeld<'_>) -> Result {
    let want = address::wildcard(held.sock());
    bind_to(held, want)
}

fn bind_to(held: &mut QuicHeld<'_>, want: Checked) -> Result {
    let sock = held.sock();
    // The tunnel may be there already: what binding a UDP socket would check is checked here as
    // well.
    if !sock.may_bind_port(want.address.port()) {
        return Err(EACCES);
    }
    if !sock.may_bind_address(want.address.ip(), want.device) {
        return Err(EADDRNOTAVAIL.into());
    }
    let tunnel = sock.net_data().tunnels().lock().join(sock, &want)?;
    let mut local = want.address;
    local.set_port(tunnel.local().port());
    sock.shared().bound.populate(Bound {
        local,
        tunnel: tunnel.local(),
    });
    held.set_local(&local);
    held.binding = Some(Binding { tunnel });
    Ok(())
}
