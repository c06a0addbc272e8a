// SPDX-License-Identifier: MIT OR Apache-2.0

//! `getsockname()` and `getpeername()`.

use super::{bound, idle, in_each, Idle, PORT};
use crate::harness::case::cases;
use crate::harness::expect::{equal, note, Expect};
use crate::sys::address::{at, Family, LENGTH_V4, LENGTH_V6};
use crate::sys::socket::{Socket, BAD_POINTER, UNTOUCHED};

cases! { "names":
    fresh_is_the_wildcard_and_port_zero,
    bound_is_what_was_bound,
    stopped_is_what_was_bound,
    v4_padding_is_zero,
    nothing_is_written_behind_the_address,
    cut_to_the_buffer,
    no_room_gives_the_length_only,
    negative_room_is_einval,
    bad_pointer_is_efault,
    v4_on_v6_socket_is_16_bytes,
    v4_on_v6_socket_is_cut_to_the_buffer,
    v4_on_v6_socket_stays_so_when_listening,
    peer_is_enotconn,
    peer_of_v4_on_v6_socket_is_enotconn,
}

fn fresh_is_the_wildcard_and_port_zero(family: Family) {
    let name = Socket::quic(family).name().succeeds();
    equal(name, family.wildcard(0));
    equal(name.length(), family.address_length());
}

fn bound_is_what_was_bound(family: Family) {
    equal(
        idle(family, Idle::Bound).name(),
        Ok(family.loopback(PORT + Idle::Bound as u16)),
    );
}

fn stopped_is_what_was_bound(family: Family) {
    equal(
        idle(family, Idle::Stopped).name(),
        Ok(family.loopback(PORT + Idle::Stopped as u16)),
    );
}

fn v4_padding_is_zero() {
    let name = bound(Family::V4, "127.0.0.1:4433").name().succeeds();
    equal(&name.bytes()[8..16], [0; 8].as_slice());
    let name = bound(Family::V6, "127.0.0.1:4434").name().succeeds();
    equal(&name.bytes()[8..16], [0; 8].as_slice());
}

fn nothing_is_written_behind_the_address(family: Family) {
    let name = idle(family, Idle::Bound).name().succeeds();
    let behind = &name.bytes()[family.address_length() as usize..];
    assert!(behind.iter().all(|byte| *byte == UNTOUCHED), "{behind:?}");
}

fn cut_to_the_buffer(family: Family) {
    let socket = idle(family, Idle::Bound);
    let whole = socket.name().succeeds();
    for room in [1, 4, 8, family.address_length() - 1] {
        note(format!("{room} bytes"));
        let cut = socket.name_into(room).succeeds();
        equal(cut.length(), family.address_length());
        equal(
            &cut.bytes()[..room as usize],
            &whole.bytes()[..room as usize],
        );
        equal(cut.bytes()[room as usize], UNTOUCHED);
    }
}

fn no_room_gives_the_length_only(family: Family) {
    let name = idle(family, Idle::Bound).name_into(0).succeeds();
    equal(name.length(), family.address_length());
    equal(name.bytes()[0], UNTOUCHED);
}

fn negative_room_is_einval(family: Family) {
    idle(family, Idle::Bound)
        .name_into(u32::MAX)
        .fails(libc::EINVAL);
}

fn bad_pointer_is_efault(family: Family) {
    idle(family, Idle::Bound)
        .name_at(BAD_POINTER)
        .fails(libc::EFAULT);
}

fn v4_on_v6_socket_is_16_bytes() {
    for address in ["127.0.0.1:4433", "[::ffff:127.0.0.1]:4433"] {
        note(address);
        let name = bound(Family::V6, address).name().succeeds();
        equal(name.length(), LENGTH_V4);
        equal(name, at("127.0.0.1:4433"));
        let behind = &name.bytes()[LENGTH_V4 as usize..LENGTH_V6 as usize];
        equal(behind, [UNTOUCHED; 12].as_slice());
    }
}

fn v4_on_v6_socket_is_cut_to_the_buffer() {
    let name = bound(Family::V6, "127.0.0.1:4433").name_into(8).succeeds();
    equal(name.length(), LENGTH_V4);
    equal(&name.bytes()[4..9], [127, 0, 0, 1, UNTOUCHED].as_slice());
}

fn v4_on_v6_socket_stays_so_when_listening() {
    let socket = bound(Family::V6, "127.0.0.1:4433");
    socket.listen(1).succeeds();
    equal(socket.name(), Ok(at("127.0.0.1:4433")));
    socket.listen(0).succeeds();
    equal(socket.name(), Ok(at("127.0.0.1:4433")));
}

fn peer_is_enotconn(family: Family) {
    in_each(family, &Idle::ALL, |socket| {
        socket.peer().fails(libc::ENOTCONN)
    });
}

fn peer_of_v4_on_v6_socket_is_enotconn() {
    bound(Family::V6, "127.0.0.1:4433")
        .peer()
        .fails(libc::ENOTCONN);
}
