// SPDX-License-Identifier: GPL-2.0

//! Which addresses a socket may be bound to, and connected to.

use crate::{socket::QuicSock, sys::addr};
use core::net::{Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6};
use kernel::{ffi::c_int, prelude::*};

/// What an address is for.
#[derive(Copy, Clone, PartialEq, Eq)]
pub(crate) enum Use {
    /// `bind()`: the unspecified address is the wildcard.
    Local,
    /// `connect()`: the unspecified address is nowhere.
    Peer,
}

/// An address and the device that it implies.
#[derive(Copy, Clone)]
pub(crate) struct Checked {
    /// A v4-mapped address has become IPv4.
    pub(crate) address: SocketAddr,
    /// Of `SO_BINDTODEVICE`, or the scope of a link-local address; 0 if neither.
    pub(crate) device: c_int,
    /// Whether an IPv6 wildcard shall not stand for IPv4 as well.
    pub(crate) ipv6_only: bool,
}

/// Reads an address and applies the rules of the socket's family. `EINVAL` if it breaks one.
pub(crate) fn check(sock: &QuicSock, bytes: &[u8], purpose: Use) -> Result<Checked> {
    let device = sock.bound_device();
    match addr::parse(bytes)? {
        // A PF_INET6 socket takes a plain IPv4 address too, unless it is told to be IPv6 only.
        SocketAddr::V4(v4) => check_v4(sock, v4, device, purpose),
        SocketAddr::V6(_) if !sock.is_ipv6() => Err(EINVAL),
        SocketAddr::V6(v6) => match v6.ip().to_ipv4_mapped() {
            Some(mapped) => check_v4(sock, SocketAddrV4::new(mapped, v6.port()), device, purpose),
            None => check_v6(sock, v6, device, purpose),
        },
    }
}

fn check_v4(sock: &QuicSock, v4: SocketAddrV4, device: c_int, purpose: Use) -> Result<Checked> {
    let nowhere = purpose == Use::Peer && v4.ip().is_unspecified();
    if sock.is_ipv6_only() || v4.ip().is_multicast() || nowhere {
        return Err(EINVAL);
    }
    Ok(Checked {
        address: v4.into(),
        device,
        ipv6_only: false,
    })
}

fn check_v6(sock: &QuicSock, v6: SocketAddrV6, device: c_int, purpose: Use) -> Result<Checked> {
    let nowhere = purpose == Use::Peer && v6.ip().is_unspecified();
    if v6.ip().is_multicast() || nowhere {
        return Err(EINVAL);
    }
    if !v6.ip().is_unicast_link_local() {
        return Ok(Checked {
            // A scope has no meaning here; a flow label belongs to packets.
            address: SocketAddrV6::new(*v6.ip(), v6.port(), 0, 0).into(),
            device,
            ipv6_only: sock.is_ipv6_only(),
        });
    }
    // A link-local address means something on its link only.
    let scope = match c_int::try_from(v6.scope_id()) {
        Ok(0) => device,
        Ok(scope) => scope,
        Err(_) => return Err(EINVAL), // no device has such an index
    };
    if scope == 0 || (device != 0 && device != scope) || !sock.net().has_device(scope) {
        return Err(EINVAL);
    }
    Ok(Checked {
        address: SocketAddrV6::new(*v6.ip(), v6.port(), 0, scope as u32).into(),
        device: scope,
        ipv6_only: true,
    })
}

/// The wildcard of the socket's family, port 0.
pub(crate) fn wildcard(sock: &QuicSock) -> Checked {
    let address = if sock.is_ipv6() {
        (Ipv6Addr::UNSPECIFIED, 0).into()
    } else {
        (Ipv4Addr::UNSPECIFIED, 0).into()
    };
    Checked {
        address,
        device: sock.bound_device(),
        ipv6_only: sock.is_ipv6_only(),
    }
}
