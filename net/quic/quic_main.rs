// SPDX-License-Identifier: GPL-2.0

//! `quic.ko`: the QUIC transport protocol as a socket family.
//!
//! `socket(AF_INET, SOCK_STREAM, IPPROTO_QUIC)` makes a socket of the [`family::Quic`] family. The
//! protocol itself is in the crate `quic_core`; what touches the kernel's memory is in [`sys`]; the
//! rest of this crate joins the two, one noun a file:
//!
//! - [`socket`]: what a socket consists of;
//! - [`tunnel`]: the UDP sockets that carry it, shared by all sockets of a port;
//! - [`bind`], [`listener`]: how a socket gets its address, and listens there;
//! - [`sockopt`] with [`event`], [`transport_param`], [`config`], [`close`], [`alpn`], [`token`],
//!   [`ticket`]: the options;
//! - [`netns`], [`proc`], [`counters`]: what a network namespace has, and what it shows.

#![deny(
    clippy::arithmetic_side_effects,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used
)]

use kernel::prelude::*;

mod address;
mod alpn;
mod bind;
mod close;
mod config;
mod counters;
mod event;
mod family;
#[cfg(CONFIG_IP_QUIC_KUNIT_TEST)]
mod kunit;
mod listener;
mod netns;
mod proc;
mod socket;
mod sockopt;
mod sys;
mod ticket;
mod token;
mod transport_param;
mod tunnel;
mod uapi;

module! {
    type: Module,
    name: "quic",
    authors: ["The in-kernel QUIC project"],
    description: "QUIC: a UDP-based multiplexed and secure transport",
    license: "GPL",
    alias: ["net-pf-2-proto-261", "net-pf-10-proto-261"],
}

/// The loaded module. Its parts go in the order in which they stand here: first nobody can make a
/// socket any more.
struct Module {
    _family: sys::proto::Registration<family::Quic>,
    _netns: sys::netns::Registration<netns::QuicNet>,
    _accounting: sys::sysctl::Accounting,
    _deferred: Deferred,
}

impl kernel::Module for Module {
    fn init(module: &'static ThisModule) -> Result<Self> {
        sys::layout::check()?;
        let _deferred = Deferred;
        let _accounting = sys::sysctl::Accounting::new()?;
        let _netns = sys::netns::Registration::new()?;
        let _family = sys::proto::Registration::new(module)?;
        pr_info!("init\n");
        Ok(Self {
            _family,
            _netns,
            _accounting,
            _deferred,
        })
    }
}

impl Drop for Module {
    fn drop(&mut self) {
        pr_info!("exit\n");
    }
}

/// Goes last: waits for what is still to be freed by code of this module.
struct Deferred;

impl Drop for Deferred {
    fn drop(&mut self) {
        sys::rcu::barrier();
    }
}
