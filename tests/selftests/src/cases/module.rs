// SPDX-License-Identifier: MIT OR Apache-2.0

//! The module itself.

use crate::harness::case::cases;
use crate::harness::expect::{equal, eventually, skip, Expect};
use crate::sys::address::Family;
use crate::sys::proc;
use crate::sys::process::unload_module;
use crate::sys::socket::Socket;
use quic_uapi::IPPROTO_QUIC;
use std::path::Path;
use std::process::Command;

cases! { "module":
    is_loaded_on_demand.in_init_net().within(60),
    has_no_parameters,
    is_held_by_its_sockets.in_init_net(),
    registers_both_protocols,
}

const SYSFS: &str = "/sys/module/quic";

/// The aliases `net-pf-2-proto-261` and `net-pf-10-proto-261`. A module that is loaded already is
/// unloaded first, which it must allow while it has no sockets.
fn is_loaded_on_demand(family: Family) {
    if Path::new(SYSFS).exists() {
        let alias = format!("net-pf-{}-proto-{IPPROTO_QUIC}", family.number());
        if !can_be_loaded(&alias) {
            skip(format!(
                "quic.ko is loaded, and modprobe would not find it again by {alias}"
            ));
        }
        eventually("a module that can be unloaded", || {
            unload_module(c"quic").is_ok()
        });
    }
    assert!(!Path::new(SYSFS).exists(), "the module is still there");
    Socket::open(family.number(), libc::SOCK_STREAM, IPPROTO_QUIC).succeeds();
    if !Path::new(SYSFS).exists() {
        skip("QUIC is built into this kernel");
    }
}

/// Whether modprobe knows a module by this name.
fn can_be_loaded(alias: &str) -> bool {
    let modprobe = Command::new("modprobe")
        .args(["--dry-run", "--quiet", alias])
        .status();
    modprobe.is_ok_and(|status| status.success())
}

fn has_no_parameters() {
    if !Path::new(SYSFS).exists() {
        skip("QUIC is built into this kernel");
    }
    assert!(
        !Path::new(SYSFS).join("parameters").exists(),
        "there are parameters"
    );
}

fn is_held_by_its_sockets() {
    let references = || -> Option<i64> {
        std::fs::read_to_string(format!("{SYSFS}/refcnt"))
            .ok()?
            .trim()
            .parse()
            .ok()
    };
    let Some(before) = references() else {
        skip("QUIC is built into this kernel");
    };
    let sockets = [(); 3].map(|()| Socket::quic(Family::V4));
    let with_sockets = references().expect("the module is gone");
    assert!(
        with_sockets >= before + 3,
        "{before} references before, {with_sockets} after"
    );
    drop(sockets);
    eventually("references given back", || references() == Some(before));
}

fn registers_both_protocols() {
    let table = proc::read("/proc/net/protocols");
    for name in ["QUIC", "QUICv6"] {
        let lines = table
            .lines()
            .filter(|line| line.split_whitespace().next() == Some(name));
        equal(lines.count(), 1);
    }
}
