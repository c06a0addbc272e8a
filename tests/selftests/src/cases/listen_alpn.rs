// SPDX-License-Identifier: MIT OR Apache-2.0

//! `listen()` of several sockets at one address, told apart by their ALPN lists.

use super::{bound, listening, set_alpn};
use crate::harness::case::cases;
use crate::harness::expect::{equal, note, Expect};
use crate::sys::address::Family;
use crate::sys::errno::Result;
use crate::sys::proc::listening_at;
use crate::sys::socket::Socket;

cases! { "listen_alpn":
    disjoint_lists,
    many_disjoint_lists,
    with_and_without_a_list,
    equal_lists_are_eaddrinuse,
    equal_but_for_spaces_is_eaddrinuse,
    lists_that_overlap_are_eaddrinuse,
    overlap_anywhere_is_eaddrinuse,
    lists_in_another_order_are_eaddrinuse,
    part_of_a_name_is_no_overlap,
    case_of_letters_matters,
    overlap_with_any_of_several_is_eaddrinuse,
    equal_lists_with_reuseport,
    lists_that_overlap_with_reuseport_are_eaddrinuse,
    equal_lists_with_reuseport_of_one_are_eaddrinuse,
    equal_lists_at_other_addresses,
    equal_lists_on_other_ports,
    list_may_change_before_listening,
    list_may_change_after_stopping,
}

/// A socket with this list, or with none, that is about to listen.
#[track_caller]
fn ready(list: &str) -> Socket {
    let socket = bound(Family::V4, "127.0.0.1:4433");
    if !list.is_empty() {
        set_alpn(&socket, list).succeeds();
    }
    socket
}

#[track_caller]
fn ready_with_reuseport(list: &str) -> Socket {
    let socket = ready(list);
    socket
        .set_int(libc::SOL_SOCKET, libc::SO_REUSEPORT, 1)
        .succeeds();
    socket
}

/// What the second of two sockets with these lists gets. Both orders must give the same.
#[track_caller]
fn second_of(lists: [&str; 2]) -> Result<()> {
    let try_both = |lists: [&str; 2]| {
        let [first, second] = lists.map(ready);
        first.listen(1).succeeds();
        second.listen(1)
    };
    note(format!("{lists:?}"));
    let result = try_both(lists);
    equal(try_both([lists[1], lists[0]]), result);
    result
}

fn disjoint_lists() {
    second_of(["h3", "smb"]).succeeds();
    second_of(["h3,hq-interop", "smb,ksmbd"]).succeeds();
}

fn many_disjoint_lists() {
    let sockets: Vec<_> = (0..100)
        .map(|number| ready(&format!("proto-{number},alt-{number}")))
        .collect();
    for socket in &sockets {
        socket.listen(1).succeeds();
    }
    equal(listening_at().len(), 100);
}

fn with_and_without_a_list() {
    second_of(["h3", ""]).succeeds();
}

fn equal_lists_are_eaddrinuse() {
    second_of(["h3", "h3"]).fails(libc::EADDRINUSE);
    second_of(["h3,smb", "h3,smb"]).fails(libc::EADDRINUSE);
}

fn equal_but_for_spaces_is_eaddrinuse() {
    second_of(["h3,smb", "h3, smb"]).fails(libc::EADDRINUSE);
}

fn lists_that_overlap_are_eaddrinuse() {
    second_of(["h3,smb", "smb,ksmbd"]).fails(libc::EADDRINUSE);
    second_of(["h3,smb", "smb"]).fails(libc::EADDRINUSE);
}

fn overlap_anywhere_is_eaddrinuse() {
    for list in ["x,b,c", "a,x,c", "a,b,x", "x"] {
        second_of(["1,x,2", list]).fails(libc::EADDRINUSE);
    }
}

fn lists_in_another_order_are_eaddrinuse() {
    second_of(["h3,smb", "smb,h3"]).fails(libc::EADDRINUSE);
}

fn part_of_a_name_is_no_overlap() {
    second_of(["h3", "h3-29"]).succeeds();
    second_of(["smb", "ksmb"]).succeeds();
    second_of(["ab", "a,b"]).succeeds();
}

fn case_of_letters_matters() {
    second_of(["h3", "H3"]).succeeds();
}

fn overlap_with_any_of_several_is_eaddrinuse() {
    let listeners = ["a", "b", "c"].map(ready);
    for listener in &listeners {
        listener.listen(1).succeeds();
    }
    for list in ["a,x", "b,x", "c,x"] {
        note(list);
        ready(list).listen(1).fails(libc::EADDRINUSE);
    }
    ready("x").listen(1).succeeds();
}

fn equal_lists_with_reuseport() {
    let sockets = ["h3,smb"; 3].map(ready_with_reuseport);
    for socket in &sockets {
        socket.listen(1).succeeds();
    }
    equal(listening_at().len(), 3);
}

fn lists_that_overlap_with_reuseport_are_eaddrinuse() {
    let [first, second] = ["h3,smb", "smb"].map(ready_with_reuseport);
    first.listen(1).succeeds();
    second.listen(1).fails(libc::EADDRINUSE);
}

fn equal_lists_with_reuseport_of_one_are_eaddrinuse() {
    let [first, second] = [ready_with_reuseport("h3"), ready("h3")];
    first.listen(1).succeeds();
    second.listen(1).fails(libc::EADDRINUSE);
}

fn equal_lists_at_other_addresses() {
    let sockets = [(); 2].map(|()| Socket::quic(Family::V4));
    for (socket, address) in sockets.iter().zip(["0.0.0.0:4433", "127.0.0.1:4433"]) {
        set_alpn(socket, "h3").succeeds();
        socket.bind(&crate::sys::address::at(address)).succeeds();
        socket.listen(1).succeeds();
    }
}

fn equal_lists_on_other_ports() {
    let first = ready("h3");
    first.listen(1).succeeds();
    let second = bound(Family::V4, "127.0.0.1:4434");
    set_alpn(&second, "h3").succeeds();
    second.listen(1).succeeds();
}

fn list_may_change_before_listening() {
    let first = ready("h3");
    first.listen(1).succeeds();
    let second = ready("h3");
    second.listen(1).fails(libc::EADDRINUSE);
    set_alpn(&second, "smb").succeeds();
    second.listen(1).succeeds();
}

fn list_may_change_after_stopping() {
    let first = listening("127.0.0.1:4433");
    first.listen(0).succeeds();
    set_alpn(&first, "h3").succeeds();
    first.listen(1).succeeds();
    ready("h3").listen(1).fails(libc::EADDRINUSE);
    ready("").listen(1).succeeds();
}
