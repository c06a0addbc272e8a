// SPDX-License-Identifier: MIT OR Apache-2.0

//! Network namespaces.

use super::address::Family;
use super::errno::{check, Result};
use super::socket::Socket;
use crate::harness::expect::{eventually, skip};
use std::fs::File;
use std::net::Ipv6Addr;
use std::os::fd::AsRawFd;
use std::process::Command;

/// Index of the loopback interface of every network namespace.
pub(crate) const LOOPBACK_INDEX: u32 = 1;

/// A network namespace that lives as long as this does.
#[derive(Debug)]
pub(crate) struct Namespace(File);

impl Namespace {
    /// That of this thread.
    pub(crate) fn current() -> Result<Self> {
        Ok(Self(File::open("/proc/thread-self/ns/net")?))
    }

    /// A new one, with the loopback interface up. This thread stays where it is.
    pub(crate) fn new() -> Result<Self> {
        let home = Self::current()?;
        enter_new()?;
        let new = Self::current()?;
        home.enter()?;
        Ok(new)
    }

    pub(crate) fn enter(&self) -> Result<()> {
        // SAFETY: Takes numbers only.
        check(unsafe { libc::setns(self.0.as_raw_fd(), libc::CLONE_NEWNET) }).map(drop)
    }

    /// Calls `visit` in this namespace and comes back.
    #[track_caller]
    pub(crate) fn inside<T>(&self, visit: impl FnOnce() -> T) -> T {
        let home = Self::current().expect("cannot open the namespace");
        self.enter().expect("cannot enter the namespace");
        let result = visit();
        home.enter().expect("cannot leave the namespace");
        result
    }
}

/// Moves this thread to a new network namespace and sets the loopback interface up.
pub(crate) fn enter_new() -> Result<()> {
    // SAFETY: Takes numbers only.
    check(unsafe { libc::unshare(libc::CLONE_NEWNET) })?;
    set_loopback_up()
}

/// Sets the loopback interface up, which gives it its addresses.
pub(crate) fn set_loopback_up() -> Result<()> {
    let control = Socket::open(libc::AF_INET, libc::SOCK_DGRAM, 0)?;
    let mut request = interface_request("lo");
    request.ifr_ifru.ifru_flags = (libc::IFF_UP | libc::IFF_RUNNING) as libc::c_short;
    let set_flags = libc::SIOCSIFFLAGS as libc::Ioctl;
    // SAFETY: The structure is the one the request takes.
    check(unsafe { libc::ioctl(control.as_raw_fd(), set_flags, &request) }).map(drop)
}

/// Gives the loopback interface one more IPv6 address.
pub(crate) fn add_to_loopback(address: Ipv6Addr, prefix_length: u32) -> Result<()> {
    let control = Socket::open(Family::V6.number(), libc::SOCK_DGRAM, 0)?;
    let request = libc::in6_ifreq {
        ifr6_addr: libc::in6_addr {
            s6_addr: address.octets(),
        },
        ifr6_prefixlen: prefix_length,
        ifr6_ifindex: LOOPBACK_INDEX as libc::c_int,
    };
    let set_address = libc::SIOCSIFADDR as libc::Ioctl;
    // SAFETY: The structure is the one the request takes on an IPv6 socket.
    check(unsafe { libc::ioctl(control.as_raw_fd(), set_address, &request) })?;
    eventually("an address that can be used", || !is_tentative(address));
    Ok(())
}

/// Whether the kernel still has to find out that nobody else has the address. Even on the loopback
/// interface that is done in the background.
fn is_tentative(address: Ipv6Addr) -> bool {
    const IFA_F_TENTATIVE: u8 = 0x40;
    let digits = format!("{:032x}", u128::from(address));
    let table = std::fs::read_to_string("/proc/net/if_inet6").unwrap_or_default();
    let mut fields = table
        .lines()
        .map(|line| line.split_whitespace().collect::<Vec<_>>());
    // Address, interface, length of the prefix, scope, flags, name.
    let flags = fields.find(|fields| fields.first() == Some(&digits.as_str()));
    let flags = flags.and_then(|fields| u8::from_str_radix(fields.get(4)?, 16).ok());
    flags.is_none_or(|flags| flags & IFA_F_TENTATIVE != 0)
}

fn interface_request(name: &str) -> libc::ifreq {
    // SAFETY: A zeroed structure is valid.
    let mut request: libc::ifreq = unsafe { std::mem::zeroed() };
    for (to, from) in request.ifr_name.iter_mut().zip(name.bytes()) {
        *to = from as libc::c_char;
    }
    request
}

/// A second interface, which is up and has this IPv4 address. Skips the case if the kernel has none
/// to offer.
pub(crate) fn add_dummy_interface(name: &str, address: &str) {
    let ip = |arguments: &[&str]| {
        let output = match Command::new("ip").args(arguments).output() {
            Ok(output) => output,
            Err(error) => skip(format!("cannot run ip (install iproute2): {error}")),
        };
        output.status.success()
    };
    if !ip(&["link", "add", name, "type", "dummy"]) {
        skip("cannot make a dummy interface: the kernel has no module for it");
    }
    assert!(
        ip(&["addr", "add", address, "dev", name]),
        "cannot add {address} to {name}"
    );
    assert!(ip(&["link", "set", name, "up"]), "cannot set {name} up");
}
