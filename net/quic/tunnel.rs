// SPDX-License-Identifier: GPL-2.0

//! [`Tunnel`]: the UDP socket that carries QUIC, shared by all QUIC sockets of a port.
//!
//! A QUIC packet is a UDP payload, so behind every bound QUIC socket there is a UDP socket of the
//! kernel. Two QUIC sockets on the same port share it: a server's listener and all its connections,
//! or listeners for different applications. A tunnel whose address is the wildcard also carries
//! sockets that are bound to one address of the host.
//!
//! ```text
//!   QUIC sockets     listener        connection       connection        bound to 127.0.0.1:443
//!                        └───────────────┴───────┬────────┴──────────────────────┘
//!   Tunnel                                0.0.0.0:443
//!   UDP socket                            0.0.0.0:443     one lookup, one place where packets arrive
//! ```
//!
//! A tunnel is made by the first socket that needs it and closed by the last one that lets go of it
//! ([`Tunnels`] counts). What it consists of is freed a grace period later, because packets may be
//! on their way through it in softirq context.

use crate::{
    address::Checked,
    counters::Counter,
    family::Quic,
    netns::QuicNet,
    socket::QuicSock,
    sys::{
        errno::{EADDRINUSE, ENOBUFS},
        netns::{Net, NetData},
        rcu::RcuArc,
        skb::Skb,
        socklist::SockList,
        udp::{BoundSocket, Receiver, UdpSocket},
    },
};
use core::net::SocketAddr;
use kernel::{ffi::c_int, prelude::*, sync::rcu};

/// How much may wait for a process that owns a listener, beyond its receive buffer, in bytes: two
/// batches of 64 KiB.
const BACKLOG_SLACK: u32 = 2 << 16;

/// Where the packets of one UDP socket arrive.
#[pin_data]
pub(crate) struct Tunnel {
    /// The address of the UDP socket.
    local: SocketAddr,
    /// The device that it is bound to, 0 if none.
    device: c_int,
    /// Whether a wildcard is one for IPv6 alone.
    ipv6_only: bool,
    /// Whose it is: as with TCP and UDP, sockets of different users do not share a port.
    owner: u32,
    /// The sockets that listen here.
    #[pin]
    listeners: SockList<Quic>,
}

impl Tunnel {
    /// The address of the UDP socket.
    pub(crate) fn local(&self) -> SocketAddr {
        self.local
    }

    /// The sockets that listen here.
    pub(crate) fn listeners(&self) -> &SockList<Quic> {
        &self.listeners
    }

    /// Whether packets to `want` arrive here.
    fn covers(&self, want: &Checked) -> bool {
        if self.local.port() != want.address.port() || self.device != want.device {
            return false;
        }
        match (self.local, want.address) {
            (SocketAddr::V4(mine), SocketAddr::V4(its)) => {
                mine.ip().is_unspecified() || mine.ip() == its.ip()
            }
            (SocketAddr::V6(mine), SocketAddr::V6(its)) => {
                // A wildcard for both families is more than one for IPv6.
                let too_narrow = self.ipv6_only && its.ip().is_unspecified() && !want.ipv6_only;
                (mine.ip().is_unspecified() || mine.ip() == its.ip()) && !too_narrow
            }
            (SocketAddr::V6(mine), SocketAddr::V4(_)) => {
                mine.ip().is_unspecified() && !self.ipv6_only
            }
            (SocketAddr::V4(_), SocketAddr::V6(_)) => false,
        }
    }
}

impl Receiver for Tunnel {
    fn receive(&self, net: &Net, skb: Skb) {
        let reading = rcu::read_lock();
        let listener = self
            .listeners
            .iter(&reading)
            .find_map(|listener| listener.hold());
        let taken = listener.is_some_and(|listener| listener.deliver(skb, BACKLOG_SLACK));
        if !taken {
            QuicNet::of(net)
                .counters()
                .count(Counter::PacketReceiveDrop);
        }
    }
}

/// One tunnel and how many sockets use it.
struct Entry {
    tunnel: RcuArc<Tunnel>,
    users: usize,
    // Goes with the entry, in process context.
    _udp: UdpSocket<Tunnel>,
}

/// Ports are spread over so many buckets.
const BUCKETS: usize = 64;

/// The tunnels of a network namespace.
pub(crate) struct Tunnels {
    buckets: [KVVec<Entry>; BUCKETS],
}

impl Tunnels {
    pub(crate) const fn new() -> Self {
        Self {
            buckets: [const { KVVec::new() }; BUCKETS],
        }
    }

    fn bucket(&mut self, port: u16) -> Result<&mut KVVec<Entry>> {
        self.buckets
            .get_mut(usize::from(port) % BUCKETS)
            .ok_or(EINVAL)
    }

    /// A share in the tunnel that carries `want`, which is made if there is none yet; always made
    /// if any port will do. May sleep.
    ///
    /// Errors: `EADDRINUSE` if it is another user's; those of binding a UDP socket; `ENOMEM`.
    pub(crate) fn join(&mut self, sock: &QuicSock, want: &Checked) -> Result<RcuArc<Tunnel>> {
        if want.address.port() == 0 {
            return self.open(sock, want);
        }
        let bucket = self.bucket(want.address.port())?;
        let Some(entry) = bucket.iter_mut().find(|entry| entry.tunnel.covers(want)) else {
            return self.open(sock, want);
        };
        if entry.tunnel.owner != sock.owner() {
            return Err(EADDRINUSE.into());
        }
        entry.users = entry.users.checked_add(1).ok_or(ENOBUFS)?;
        Ok(entry.tunnel.clone())
    }

    fn open(&mut self, sock: &QuicSock, want: &Checked) -> Result<RcuArc<Tunnel>> {
        let udp = BoundSocket::bind(sock, &want.address, want.device, want.ipv6_only)?;
        let mut local = want.address;
        local.set_port(udp.port());
        let tunnel = RcuArc::pin_init(
            pin_init!(Tunnel {
                local,
                device: want.device,
                ipv6_only: want.ipv6_only,
                owner: sock.owner(),
                listeners <- SockList::new(),
            }),
            GFP_KERNEL_ACCOUNT,
        )?;
        let bucket = self.bucket(local.port())?;
        bucket.reserve(1, GFP_KERNEL_ACCOUNT)?;
        let entry = Entry {
            tunnel: tunnel.clone(),
            users: 1,
            _udp: udp.attach(sock.net(), tunnel.clone()),
        };
        bucket.push_within_capacity(entry).map_err(|_| ENOMEM)?;
        Ok(tunnel)
    }

    /// Gives a share back; the last one closes the UDP socket. May sleep.
    pub(crate) fn leave(&mut self, tunnel: &RcuArc<Tunnel>) {
        let Ok(bucket) = self.bucket(tunnel.local.port()) else {
            return;
        };
        bucket.retain(|entry| {
            if core::ptr::eq(entry.tunnel.as_ptr(), tunnel.as_ptr()) {
                entry.users = entry.users.saturating_sub(1);
            }
            entry.users != 0
        });
    }

    /// All tunnels.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &Tunnel> {
        self.buckets.iter().flatten().map(|entry| &*entry.tunnel)
    }
}
