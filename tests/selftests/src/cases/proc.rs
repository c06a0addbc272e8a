// SPDX-License-Identifier: MIT OR Apache-2.0

//! `/proc/net/quic`. Scripts read these files, so their text is an interface.

use super::{bind_soon, bound, idle, listening, set_alpn, Idle};
use crate::harness::case::cases;
use crate::harness::expect::{equal, note, Expect};
use crate::sys::address::{at, Family};
use crate::sys::proc::{endpoints, listening_at, no_endpoints_are_left, read, CONNS, EPS, SNMP};
use crate::sys::socket::Socket;
use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::Read;
use std::os::unix::fs::{FileExt, PermissionsExt};

cases! { "proc":
    directory_has_three_files,
    files_can_be_read_by_all,
    files_are_there_before_the_first_socket,
    eps_header,
    eps_is_empty_without_listeners,
    eps_does_not_show_bound_sockets,
    eps_v4_row,
    eps_v6_row,
    eps_v4_wildcard,
    eps_v6_wildcard,
    eps_v4_on_v6_socket,
    eps_v6_is_compressed,
    eps_row_shows_the_udp_socket_it_shares,
    eps_inode_is_that_of_the_socket,
    eps_sock_is_not_an_address,
    eps_of_several_listeners,
    eps_of_listeners_at_one_address,
    eps_row_goes_when_it_stops_listening,
    eps_row_goes_when_it_is_closed,
    eps_row_comes_back,
    eps_of_many_is_complete,
    eps_of_many_is_the_same_in_pieces,
    eps_can_be_read_from_any_offset,
    conns_header,
    conns_is_empty_without_connections,
    snmp_names,
    snmp_lines_are_in_columns,
    snmp_counts_nothing_yet,
}

fn directory_has_three_files() {
    let names: BTreeSet<_> = fs::read_dir("/proc/net/quic")
        .expect("no directory")
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    equal(
        names.iter().map(String::as_str).collect::<Vec<_>>(),
        ["conns", "eps", "snmp"],
    );
}

fn files_can_be_read_by_all() {
    for path in [EPS, CONNS, SNMP] {
        note(path);
        let mode = fs::metadata(path).expect("no file").permissions().mode();
        equal(format!("{:o}", mode & 0o7777), "444");
    }
}

/// In a network namespace that is new.
fn files_are_there_before_the_first_socket() {
    for path in [EPS, CONNS, SNMP] {
        assert!(!read(path).is_empty(), "{path} is empty");
    }
}

fn eps_header() {
    equal(
        read(EPS),
        "SOCK\tSTATE\tLOCAL_ADDRESS\tUDP_ADDRESS\tUID\tINODE\n",
    );
}

fn eps_is_empty_without_listeners() {
    let _sockets = [(); 3].map(|()| Socket::quic(Family::V4));
    equal(endpoints(), []);
}

fn eps_does_not_show_bound_sockets(family: Family) {
    let _bound = idle(family, Idle::Bound);
    let _stopped = idle(family, Idle::Stopped);
    equal(endpoints(), []);
}

/// The only row, with the state LISTEN and our user, has these addresses.
#[track_caller]
fn only_row_is(local: &str, udp: &str) {
    let rows = endpoints();
    equal(rows.len(), 1);
    equal((rows[0].state, rows[0].uid), (10, 0));
    equal((rows[0].local.as_str(), rows[0].udp.as_str()), (local, udp));
}

fn eps_v4_row() {
    let _socket = listening("127.0.0.1:4433");
    only_row_is("127.0.0.1:4433", "127.0.0.1:4433");
}

fn eps_v6_row() {
    let _socket = listening("[::1]:4433");
    only_row_is("::1:4433", "::1:4433");
}

fn eps_v4_wildcard() {
    let _socket = listening("0.0.0.0:65535");
    only_row_is("0.0.0.0:65535", "0.0.0.0:65535");
}

fn eps_v6_wildcard() {
    let _socket = listening("[::]:1");
    only_row_is(":::1", ":::1");
}

fn eps_v4_on_v6_socket() {
    let socket = bound(Family::V6, "[::ffff:127.0.0.1]:4433");
    socket.listen(1).succeeds();
    only_row_is("127.0.0.1:4433", "127.0.0.1:4433");
}

fn eps_v6_is_compressed() {
    crate::sys::netns::add_to_loopback("2001:db8::5:0:0:1".parse().unwrap(), 128).succeeds();
    let _socket = listening("[2001:db8::5:0:0:1]:4433");
    only_row_is("2001:db8::5:0:0:1:4433", "2001:db8::5:0:0:1:4433");
}

fn eps_row_shows_the_udp_socket_it_shares() {
    let _wildcard = bound(Family::V4, "0.0.0.0:4433");
    let _specific = listening("127.0.0.1:4433");
    only_row_is("127.0.0.1:4433", "0.0.0.0:4433");
}

fn eps_inode_is_that_of_the_socket(family: Family) {
    let socket = idle(family, Idle::Listening);
    equal(endpoints()[0].inode, socket.inode());
}

/// The kernel prints a hash; the address itself would help an attacker.
fn eps_sock_is_not_an_address() {
    let _socket = listening("127.0.0.1:4433");
    let sock = &endpoints()[0].sock;
    let is_hash = sock.len() == 16
        && sock.chars().all(|c| c.is_ascii_hexdigit())
        && !sock.starts_with("ffff");
    assert!(is_hash, "expected a hashed pointer, got {sock:?}");
}

fn eps_of_several_listeners() {
    let sockets = ["127.0.0.1:4433", "127.0.0.1:4434", "[::1]:4433"].map(listening);
    equal(
        listening_at(),
        ["127.0.0.1:4433", "127.0.0.1:4434", "::1:4433"],
    );
    let inodes: BTreeSet<_> = endpoints().into_iter().map(|row| row.inode).collect();
    equal(
        inodes,
        sockets.iter().map(Socket::inode).collect::<BTreeSet<_>>(),
    );
    let socks: BTreeSet<_> = endpoints().into_iter().map(|row| row.sock).collect();
    equal(socks.len(), 3);
}

fn eps_of_listeners_at_one_address() {
    let sockets = ["h3", "smb", "hq"].map(|list| {
        let socket = bound(Family::V4, "127.0.0.1:4433");
        set_alpn(&socket, list).succeeds();
        socket.listen(1).succeeds();
        socket
    });
    equal(listening_at(), vec!["127.0.0.1:4433"; 3]);
    let inodes: BTreeSet<_> = endpoints().into_iter().map(|row| row.inode).collect();
    equal(
        inodes,
        sockets.iter().map(Socket::inode).collect::<BTreeSet<_>>(),
    );
}

fn eps_row_goes_when_it_stops_listening(family: Family) {
    let socket = idle(family, Idle::Listening);
    equal(endpoints().len(), 1);
    socket.listen(0).succeeds();
    equal(endpoints().len(), 0);
}

fn eps_row_goes_when_it_is_closed(family: Family) {
    let socket = idle(family, Idle::Listening);
    equal(endpoints().len(), 1);
    drop(socket);
    no_endpoints_are_left();
}

fn eps_row_comes_back() {
    let socket = idle(Family::V4, Idle::Stopped);
    equal(endpoints().len(), 0);
    socket.listen(1).succeeds();
    equal(endpoints().len(), 1);
}

/// So many that the text does not fit one page.
#[track_caller]
fn many_listeners() -> Vec<Socket> {
    (0..300)
        .map(|number| {
            let socket = Socket::quic(Family::V4);
            bind_soon(&socket, &at(&format!("127.0.0.1:{}", 20000 + number))).succeeds();
            socket.listen(1).succeeds();
            socket
        })
        .collect()
}

fn eps_of_many_is_complete() {
    let sockets = many_listeners();
    let rows = endpoints();
    equal(rows.len(), sockets.len());
    let inodes: BTreeSet<_> = rows.iter().map(|row| row.inode).collect();
    equal(
        inodes,
        sockets.iter().map(Socket::inode).collect::<BTreeSet<_>>(),
    );
}

fn eps_of_many_is_the_same_in_pieces() {
    let _sockets = many_listeners();
    let whole = read(EPS);
    for piece in [7, 100, 1000] {
        note(format!("{piece} bytes at a time"));
        let (mut text, mut buffer) = (Vec::new(), vec![0; piece]);
        let mut file = File::open(EPS).expect("no file");
        loop {
            match file.read(&mut buffer).expect("cannot read") {
                0 => break,
                length => text.extend_from_slice(&buffer[..length]),
            }
        }
        assert!(whole.as_bytes() == text, "the text differs");
    }
}

fn eps_can_be_read_from_any_offset() {
    let _sockets = ["127.0.0.1:4433", "127.0.0.1:4434", "[::1]:4433"].map(listening);
    let whole = read(EPS);
    let file = File::open(EPS).expect("no file");
    for offset in [0, 1, 47, 60, whole.len() - 1, 20] {
        note(format!("offset {offset}"));
        let mut buffer = [0; 16];
        let length = file
            .read_at(&mut buffer, offset as u64)
            .expect("cannot read");
        assert!(length > 0, "nothing was read");
        equal(
            &buffer[..length],
            &whole.as_bytes()[offset..offset + length],
        );
    }
}

fn conns_header() {
    equal(
        read(CONNS),
        "SOCK\tSTATE\tLOCAL_ADDRESS\tREMOTE_ADDRESS\tUDP_ADDRESS\tWINDOW\tMSS\tIN_FLIGHT\tTX_QUEUE\t\
         RX_QUEUE\tSNDBUF\tRCVBUF\tUID\tINODE\n",
    );
}

fn conns_is_empty_without_connections(family: Family) {
    let _sockets = Idle::ALL.map(|state| idle(family, state));
    equal(read(CONNS).lines().count(), 1);
}

const COUNTERS: [&str; 19] = [
    "QuicConnCurrentEstabs",
    "QuicConnPassiveEstabs",
    "QuicConnActiveEstabs",
    "QuicPktRcvFastpaths",
    "QuicPktDecFastpaths",
    "QuicPktEncFastpaths",
    "QuicPktRcvBacklogs",
    "QuicPktDecBacklogs",
    "QuicPktEncBacklogs",
    "QuicPktInvHdrDrop",
    "QuicPktInvNumDrop",
    "QuicPktInvFrmDrop",
    "QuicPktRcvDrop",
    "QuicPktDecDrop",
    "QuicPktEncDrop",
    "QuicFrmRcvBufDrop",
    "QuicFrmRetrans",
    "QuicFrmOutCloses",
    "QuicFrmInCloses",
];

fn snmp_names() {
    let text = read(SNMP);
    let names: Vec<_> = text
        .lines()
        .filter_map(|line| line.split_whitespace().next())
        .collect();
    equal(names, COUNTERS);
}

fn snmp_lines_are_in_columns() {
    for line in read(SNMP).lines() {
        let (name, value) = line
            .split_once('\t')
            .unwrap_or_else(|| panic!("no tab in {line:?}"));
        equal(format!("{:<32}", name.trim_end()), name);
        assert!(
            value.parse::<u64>().is_ok(),
            "expected a number, got {value:?}"
        );
    }
}

fn snmp_counts_nothing_yet() {
    let _listener = listening("127.0.0.1:4433");
    for line in read(SNMP).lines() {
        note(line);
        equal(line.split('\t').nth(1), Some("0"));
    }
}
