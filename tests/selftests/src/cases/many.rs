// SPDX-License-Identifier: MIT OR Apache-2.0

//! Many sockets, and many threads.

use super::{bind_soon, bound, set_alpn};
use crate::harness::case::cases;
use crate::harness::expect::{equal, eventually, slowness, Expect};
use crate::sys::address::{at, Address, Family};
use crate::sys::errno::Errno;
use crate::sys::proc::{endpoints, listening_at, no_endpoints_are_left, udp_ports};
use crate::sys::process::allow_open_files;
use crate::sys::socket::Socket;
use quic_uapi::{quic_config, QUIC_SOCKOPT_CONFIG};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

cases! { "many":
    sockets_on_one_port.within(180),
    listeners_on_a_port_each.within(120),
    sockets_made_and_closed.within(60),
    threads_that_bind_and_listen.within(60),
    threads_that_stop_and_accept.within(60),
    threads_that_set_options.within(60),
    threads_that_read_eps.within(60),
}

const ADDRESS: &str = "127.0.0.1:4433";

/// Ten thousand sockets on one port, half of them at each family's address; a tenth of them listen,
/// each for an ALPN of its own. Each listener is compared to all others of its address, so there are
/// fewer on a slow kernel.
fn sockets_on_one_port() {
    const COUNT: usize = 10_000;
    let every = 10 * slowness() as usize;
    allow_open_files(COUNT as u64 + 100).succeeds();
    let sockets = [Family::V4, Family::V6].map(|family| {
        let bound = |_| {
            let socket = Socket::quic(family);
            socket.bind(&family.loopback(4433)).succeeds();
            socket
        };
        (0..COUNT / 2).map(bound).collect::<Vec<_>>()
    });
    let paths = ["/proc/net/udp", "/proc/net/udp6"];
    for (sockets, path) in sockets.iter().zip(paths) {
        equal(udp_ports(path), [4433]);
        for (number, socket) in sockets.iter().enumerate().step_by(every) {
            set_alpn(socket, &format!("proto-{number}")).succeeds();
            socket.listen(1).succeeds();
        }
        // In so large a crowd the one with the same list is found.
        set_alpn(&sockets[1], "proto-2500").succeeds();
        sockets[1].listen(1).fails(libc::EADDRINUSE);
    }
    let mut addresses = listening_at();
    equal(addresses.len(), COUNT / every);
    addresses.dedup();
    equal(addresses, [ADDRESS, "::1:4433"]);
    drop(sockets);
    no_endpoints_are_left();
    for path in paths {
        eventually("no UDP socket", || udp_ports(path).is_empty());
    }
    let again = Socket::quic(Family::V4);
    bind_soon(&again, &at(ADDRESS)).succeeds();
    again.listen(1).succeeds();
}

fn listeners_on_a_port_each() {
    const COUNT: usize = 1000;
    allow_open_files(COUNT as u64 + 100).succeeds();
    let sockets: Vec<_> = (0..COUNT).map(|_| Socket::quic(Family::V4)).collect();
    for socket in &sockets {
        socket.listen(1).succeeds();
    }
    let rows = endpoints();
    let ports: std::collections::BTreeSet<_> = rows.iter().map(|row| row.local.clone()).collect();
    equal((rows.len(), ports.len()), (COUNT, COUNT));
    drop(sockets);
    no_endpoints_are_left();
}

fn sockets_made_and_closed(family: Family) {
    for number in 0..1000 / slowness() {
        let socket = Socket::quic(family);
        if number % 4 == 0 {
            socket.listen(1).succeeds();
        }
    }
    no_endpoints_are_left();
}

/// Calls `work` in four threads, many times each; fewer on a slow kernel.
fn in_threads(times: usize, work: impl Fn(usize) + Sync) {
    let times = times / slowness() as usize;
    thread::scope(|scope| {
        for number in 0..4 {
            let work = &work;
            scope.spawn(move || (0..times).for_each(|_| work(number)));
        }
    });
}

/// All want the same address. One after the other gets it, and nobody gets anything else than it or
/// a refusal.
fn threads_that_bind_and_listen(family: Family) {
    in_threads(200, |number| {
        let socket = Socket::quic(family);
        // Three at the address itself, one at the wildcard.
        let address: Address = if number == 0 {
            family.wildcard(4433)
        } else {
            family.loopback(4433)
        };
        match socket.bind(&address) {
            Ok(()) => match socket.listen(1) {
                Ok(()) | Err(Errno(libc::EADDRINUSE)) => {}
                Err(errno) => panic!("listen: {errno}"),
            },
            Err(Errno(libc::EADDRINUSE | libc::EAGAIN)) => {}
            Err(errno) => panic!("bind: {errno}"),
        }
    });
    no_endpoints_are_left();
    let socket = Socket::quic(family);
    bind_soon(&socket, &family.loopback(4433)).succeeds();
    socket.listen(1).succeeds();
}

fn threads_that_stop_and_accept() {
    let socket = bound(Family::V4, ADDRESS);
    socket.set_nonblocking().succeeds();
    in_threads(2000, |number| match number {
        0 | 1 => match socket.listen(1 - number as i32) {
            Ok(()) | Err(Errno(libc::EINVAL)) => {}
            Err(errno) => panic!("listen: {errno}"),
        },
        2 => socket
            .accept(0)
            .fails_with_one_of(&[libc::EAGAIN, libc::EINVAL]),
        _ => {
            socket.poll(libc::POLLIN);
        }
    });
    let _ = socket.listen(0);
    equal(endpoints(), []);
}

fn threads_that_set_options() {
    let socket = bound(Family::V4, ADDRESS);
    in_threads(2000, |number| match number {
        0 => {
            let config = quic_config {
                stream_data_nodelay: 1,
                ..Default::default()
            };
            socket.set_quic(QUIC_SOCKOPT_CONFIG, &config).succeeds();
        }
        1 => {
            let config = socket
                .get_quic(QUIC_SOCKOPT_CONFIG, &quic_config::default())
                .succeeds();
            equal(config.initial_smoothed_rtt, 333_000);
        }
        2 => set_alpn(&socket, "h3,smb").succeeds(),
        _ => {
            let value = socket.get(quic_uapi::SOL_QUIC, quic_uapi::QUIC_SOCKOPT_ALPN, &[], 128);
            let value = value.succeeds();
            assert!(
                [b"".as_slice(), b"h3,smb"].contains(&value.bytes()),
                "{:?}",
                value.bytes()
            );
        }
    });
}

fn threads_that_read_eps() {
    let done = AtomicBool::new(false);
    let _lasting = super::listening("127.0.0.1:1111");
    thread::scope(|scope| {
        scope.spawn(|| {
            for _ in 0..100 {
                let sockets: Vec<_> = (0..10).map(|_| Socket::quic(Family::V6)).collect();
                sockets
                    .iter()
                    .for_each(|socket| socket.listen(1).succeeds());
            }
            done.store(true, Ordering::SeqCst);
        });
        // The one that stays must be seen each time, however the others come and go.
        while !done.load(Ordering::SeqCst) {
            let rows = endpoints();
            equal(
                rows.iter()
                    .filter(|row| row.local == "127.0.0.1:1111")
                    .count(),
                1,
            );
        }
    });
    equal(
        listening_at()
            .iter()
            .filter(|local| local.ends_with(":1111"))
            .count(),
        1,
    );
}
