// SPDX-License-Identifier: MIT OR Apache-2.0

//! `/proc/net/quic` and other files of `/proc`.

use crate::harness::expect::eventually;
use std::fs;

/// The listeners.
pub(crate) const EPS: &str = "/proc/net/quic/eps";
/// The connections.
pub(crate) const CONNS: &str = "/proc/net/quic/conns";
/// The counters.
pub(crate) const SNMP: &str = "/proc/net/quic/snmp";

/// A line of [`EPS`].
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Endpoint {
    /// A number that stands for the address of the kernel's object.
    pub(crate) sock: String,
    pub(crate) state: u8,
    pub(crate) local: String,
    pub(crate) udp: String,
    pub(crate) uid: u32,
    pub(crate) inode: u64,
}

/// The content of a file that must be there.
#[track_caller]
pub(crate) fn read(path: &str) -> String {
    match fs::read_to_string(path) {
        Ok(content) => content,
        Err(error) => panic!("cannot read {path}: {error}"),
    }
}

/// Writes a sysctl that must be there and take the value.
#[track_caller]
pub(crate) fn write(path: &str, value: &str) {
    if let Err(error) = fs::write(path, value) {
        panic!("cannot write {value:?} to {path}: {error}");
    }
}

/// The listeners of this network namespace.
#[track_caller]
pub(crate) fn endpoints() -> Vec<Endpoint> {
    parse_endpoints(&read(EPS))
}

#[track_caller]
fn parse_endpoints(table: &str) -> Vec<Endpoint> {
    table.lines().skip(1).map(parse_endpoint).collect()
}

#[track_caller]
fn parse_endpoint(line: &str) -> Endpoint {
    let fields: Vec<_> = line.split('\t').collect();
    let [sock, state, local, udp, uid, inode] = fields[..] else {
        panic!("expected six fields with tabs in between, got {line:?}");
    };
    let number = |text: &str| match text.parse::<u64>() {
        Ok(number) => number,
        Err(_) => panic!("expected a number, got {text:?} in {line:?}"),
    };
    Endpoint {
        sock: sock.to_owned(),
        state: u8::try_from(number(state)).expect("the state is not a small number"),
        local: local.to_owned(),
        udp: udp.to_owned(),
        uid: u32::try_from(number(uid)).expect("the user ID has more than 32 bits"),
        inode: number(inode),
    }
}

/// The local addresses of the listeners of this network namespace, sorted.
#[track_caller]
pub(crate) fn listening_at() -> Vec<String> {
    let mut addresses: Vec<_> = endpoints()
        .into_iter()
        .map(|endpoint| endpoint.local)
        .collect();
    addresses.sort();
    addresses
}

/// Waits until nothing listens in this network namespace.
#[track_caller]
pub(crate) fn no_endpoints_are_left() {
    eventually("an empty list of listeners", || endpoints().is_empty());
}

/// The local ports of the UDP sockets of this network namespace, from `/proc/net/udp` or
/// `/proc/net/udp6`.
#[track_caller]
pub(crate) fn udp_ports(path: &str) -> Vec<u16> {
    parse_udp_ports(&read(path))
}

fn parse_udp_ports(table: &str) -> Vec<u16> {
    let local_port = |line: &str| {
        let address = line.split_whitespace().nth(1)?;
        u16::from_str_radix(address.rsplit(':').next()?, 16).ok()
    };
    table.lines().skip(1).filter_map(local_port).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn endpoint_is_parsed() {
        let table = "HEADER\n00000000f6a7c3b1\t10\t::1:4433\t:::4433\t1000\t17\n";
        let expected = Endpoint {
            sock: "00000000f6a7c3b1".into(),
            state: 10,
            local: "::1:4433".into(),
            udp: ":::4433".into(),
            uid: 1000,
            inode: 17,
        };
        assert_eq!(parse_endpoints(table), [expected]);
    }

    #[test]
    #[should_panic(expected = "six fields")]
    fn endpoint_without_tabs_is_refused() {
        parse_endpoints("HEADER\n1 10 ::1:1 ::1:1 0 17\n");
    }

    #[test]
    fn udp_ports_are_parsed() {
        let table = "   sl  local_address rem_address   st\n\
                     \x20 12: 0100007F:1151 00000000:0000 07 00000000:00000000\n\
                     \x20 13: 00000000000000000000000001000000:0035 00000000:0000 07\n";
        assert_eq!(parse_udp_ports(table), [4433, 53]);
    }
}
