// SPDX-License-Identifier: GPL-2.0

//! `bind()`: how a socket gets its local address, and its share in a tunnel.

use crate::{
    address::{self, Checked, Use},
    netns::QuicNet,
    socket::{Bound, QuicHeld, QuicSock},
    sys::{
        errno::{EADDRINUSE, EADDRNOTAVAIL},
        random,
        rcu::RcuArc,
        sock::State,
    },
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
    bind_to(&mut guard, want)
}

/// Binds a socket that has no address yet, at the latest moment: to the wildcard, any port.
pub(crate) fn autobind(sock: &mut QuicHeld<'_>) -> Result {
    let want = Checked {
        address: address::wildcard(sock.sock()),
        device: sock.sock().bound_device(),
    };
    bind_to(sock, want)
}

fn bind_to(held: &mut QuicHeld<'_>, want: Checked) -> Result {
    let sock = held.sock();
    // The tunnel may be there already, made by another user: what binding a UDP socket would check
    // is checked here as well.
    if !sock.may_bind_port(want.address.port()) {
        return Err(EACCES);
    }
    if !sock.may_bind_address(want.address.ip(), want.device) {
        return Err(EADDRNOTAVAIL.into());
    }
    let (local, tunnel) = if want.address.port() == 0 {
        any_port(sock, want)?
    } else {
        let mut tunnels = sock.net_data().tunnels().lock();
        (want, tunnels.join(sock.net(), &want, sock.is_ipv6_only())?)
    };
    sock.shared().bound.populate(Bound {
        local: local.address,
        tunnel: tunnel.local(),
    });
    held.set_local(&local.address);
    held.binding = Some(Binding { tunnel });
    Ok(())
}

/// Tries the ports of the local range, beginning anywhere, until one is free.
fn any_port(sock: &QuicSock, mut want: Checked) -> Result<(Checked, RcuArc<Tunnel>)> {
    let (low, high) = sock.local_port_range();
    let start = low.saturating_add(random::below(
        u32::from(high.saturating_sub(low)).saturating_add(1),
    ) as u16);
    for port in Iterator::chain(start..=high, low..start) {
        if sock.net().is_port_reserved(port) {
            continue;
        }
        want.address.set_port(port);
        let opened =
            sock.net_data()
                .tunnels()
                .lock()
                .open_new(sock.net(), &want, sock.is_ipv6_only());
        match opened {
            Ok(tunnel) => return Ok((want, tunnel)),
            Err(error) if error == EADDRINUSE.into() => {}
            Err(error) => return Err(error),
        }
    }
    Err(EADDRINUSE.into())
}
