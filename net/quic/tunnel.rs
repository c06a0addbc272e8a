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

/// What a socket that owns its lock may leave in the backlog beyond its receive buffer, in bytes:
/// two batches of 64 KiB.
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
                mine.ip().is_unspecified() || mine.ip() == its.ip()
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
            .find_map(QuicSock::hold_unless_released);
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
    buckets: [KVec<Entry>; BUCKETS],
}

impl Tunnels {
    pub(crate) const fn new() -> Self {
        Self {
            buckets: [const { KVec::new() }; BUCKETS],
        }
    }

    fn bucket(&mut self, port: u16) -> Result<&mut KVec<Entry>> {
        self.buckets
            .get_mut(usize::from(port) % BUCKETS)
            .ok_or(EINVAL)
    }

    /// A share in the tunnel that carries `want`, which is made if there is none yet. May sleep.
    ///
    /// Errors: those of binding a UDP socket, and `ENOMEM`.
    pub(crate) fn join(
        &mut self,
        net: &Net,
        want: &Checked,
        ipv6_only: bool,
    ) -> Result<RcuArc<Tunnel>> {
        let bucket = self.bucket(want.address.port())?;
        if let Some(entry) = bucket.iter_mut().find(|entry| entry.tunnel.covers(want)) {
            entry.users = entry.users.checked_add(1).ok_or(ENOBUFS)?;
            return Ok(entry.tunnel.clone());
        }
        Self::open(bucket, net, want, ipv6_only)
    }

    /// A tunnel of one's own. `EADDRINUSE` if the port is taken, by a tunnel or by another UDP
    /// socket. May sleep.
    pub(crate) fn open_new(
        &mut self,
        net: &Net,
        want: &Checked,
        ipv6_only: bool,
    ) -> Result<RcuArc<Tunnel>> {
        let bucket = self.bucket(want.address.port())?;
        if bucket.iter().any(|entry| entry.tunnel.covers(want)) {
            return Err(EADDRINUSE.into());
        }
        Self::open(bucket, net, want, ipv6_only)
    }

    fn open(
        bucket: &mut KVec<Entry>,
        net: &Net,
        want: &Checked,
        ipv6_only: bool,
    ) -> Result<RcuArc<Tunnel>> {
        bucket.reserve(1, GFP_KERNEL)?;
        let udp = BoundSocket::bind(net, &want.address, want.device, ipv6_only)?;
        let tunnel = RcuArc::pin_init(
            pin_init!(Tunnel {
                local: want.address,
                device: want.device,
                ipv6_only,
                listeners <- SockList::new(),
            }),
            GFP_KERNEL,
        )?;
        let entry = Entry {
            tunnel: tunnel.clone(),
            users: 1,
            _udp: udp.attach(net, tunnel.clone()),
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
