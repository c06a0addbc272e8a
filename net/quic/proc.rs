// SPDX-License-Identifier: GPL-2.0

//! What `/proc/net/quic` shows of a network namespace. The formats are a part of the ABI.

use crate::{
    netns::QuicNet,
    socket::QuicSock,
    sys::{
        netns::{Net, NetData},
        proc::{Output, Show},
    },
};
use core::{fmt, net::SocketAddr};
use kernel::{prelude::*, sync::rcu};

/// An address as `a.b.c.d:port` or `v6:port`, without brackets.
struct Bare(SocketAddr);

impl fmt::Display for Bare {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.0.ip(), self.0.port())
    }
}

/// `eps`: the sockets that listen.
pub(crate) struct Endpoints;

impl Show for Endpoints {
    const NAME: &'static CStr = c"eps";

    fn show(net: &Net, out: &Output<'_>) {
        out.print(format_args!(
            "SOCK\tSTATE\tLOCAL_ADDRESS\tUDP_ADDRESS\tUID\tINODE\n"
        ));
        let tunnels = QuicNet::of(net).tunnels().lock();
        for tunnel in tunnels.iter() {
            let reading = rcu::read_lock();
            for listener in tunnel.listeners().iter(&reading) {
                if let Some(listener) = listener.hold() {
                    show_listener(&listener, out);
                }
            }
        }
    }
}

fn show_listener(sock: &QuicSock, out: &Output<'_>) {
    let Some(bound) = sock.shared().bound.as_ref() else {
        return;
    };
    out.print_hashed_pointer(sock);
    out.print(format_args!(
        "\t{}\t{}\t{}\t{}\t{}\n",
        sock.state() as u8,
        Bare(bound.local),
        Bare(bound.tunnel),
        out.uid_of(sock),
        sock.inode(),
    ));
}

/// `conns`: the connections.
pub(crate) struct Connections;

impl Show for Connections {
    const NAME: &'static CStr = c"conns";

    fn show(_net: &Net, out: &Output<'_>) {
        out.print(format_args!(
            "SOCK\tSTATE\tLOCAL_ADDRESS\tREMOTE_ADDRESS\tUDP_ADDRESS\tWINDOW\tMSS\tIN_FLIGHT\tTX_QUEUE\tRX_QUEUE\tSNDBUF\tRCVBUF\tUID\tINODE\n"
        ));
    }
}

/// `snmp`: the counters.
pub(crate) struct Counts;

impl Show for Counts {
    const NAME: &'static CStr = c"snmp";

    fn show(net: &Net, out: &Output<'_>) {
        for (name, value) in QuicNet::of(net).counters().iter() {
            out.print(format_args!("{name:<32}\t{value}\n"));
        }
    }
}
