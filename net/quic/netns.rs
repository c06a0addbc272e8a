// SPDX-License-Identifier: GPL-2.0

//! [`QuicNet`]: what a network namespace has of QUIC.

use crate::{
    counters::Counters,
    proc::{Connections, Counts, Endpoints},
    sys::{
        netns::{Net, NetData, Slot},
        proc::Directory,
        sysctl::Files,
    },
    tunnel::Tunnels,
};
use kernel::{new_mutex, prelude::*, sync::Mutex};

/// What a network namespace has of QUIC.
#[pin_data]
pub(crate) struct QuicNet {
    // The files go first and come last: who reads them looks at the rest. Until they have come
    // they are `None`, which is all zeros, as the kernel hands us the memory.
    _proc: Option<Directory>,
    _sysctl: Option<Files>,
    #[pin]
    tunnels: Mutex<Tunnels>,
    counters: Counters,
}

impl QuicNet {
    /// The tunnels, to be changed in process context. The lock is taken inside the socket lock.
    pub(crate) fn tunnels(&self) -> &Mutex<Tunnels> {
        &self.tunnels
    }

    /// The counters.
    pub(crate) fn counters(&self) -> &Counters {
        &self.counters
    }
}

static SLOT: Slot<QuicNet> = Slot::new();

impl NetData for QuicNet {
    fn slot() -> &'static Slot<Self> {
        &SLOT
    }

    fn new(net: &Net) -> impl PinInit<Self, Error> {
        try_pin_init!(Self {
            tunnels <- new_mutex!(Tunnels::new(), "QuicNet::tunnels"),
            counters: Counters::new()?,
            _proc: {
                let directory = Directory::new(net, c"quic")?;
                directory.add::<Endpoints>()?;
                directory.add::<Connections>()?;
                directory.add::<Counts>()?;
                Some(directory)
            },
            _sysctl: if net.is_init() { Some(Files::new(net, c"net/quic")?) } else { None },
        }? Error)
    }
}
