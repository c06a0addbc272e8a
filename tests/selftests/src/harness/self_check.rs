// SPDX-License-Identifier: MIT OR Apache-2.0

//! Cases that end in every way a case can end. `selftest --self-check` runs them, and the tests of
//! this crate look at the report. They need neither the module nor root.

use super::case::{cases, Case, Place};
use super::expect::{equal, note, skip, Expect};
use crate::sys::errno::Errno;
use std::time::Duration;

cases! { "self":
    passes,
    fails,
    fails_in_a_thread,
    names_the_entry_of_a_table,
    skips,
    hangs.within(1),
    leaves_a_child_behind,
    is_killed,
    exits,
    exits_as_if_all_was_well,
    prints,
    still_runs,
}

/// The same, without a network namespace, which takes root.
pub(crate) fn unprivileged_cases() -> Vec<Case> {
    let anywhere = |case| Case {
        place: Place::Initial,
        ..case
    };
    cases().into_iter().map(anywhere).collect()
}

fn passes() {}

fn fails() {
    Err::<(), _>(Errno(libc::EBADF)).fails(libc::EINVAL);
}

fn fails_in_a_thread() {
    std::thread::scope(|scope| {
        scope.spawn(|| equal(1, 2));
    });
}

fn names_the_entry_of_a_table() {
    for value in 1..4 {
        note(format!("value = {value}"));
        assert!(value < 3, "too large");
    }
}

fn skips() {
    skip("not here");
}

fn hangs() {
    println!("about to hang");
    loop {
        std::thread::sleep(Duration::from_secs(60));
    }
}

/// The grandchild keeps the pipe open; the runner must not wait for it.
#[allow(clippy::zombie_processes, reason = "that is the point")]
fn leaves_a_child_behind() {
    std::process::Command::new("sleep")
        .arg("60")
        .spawn()
        .expect("cannot run sleep");
}

fn is_killed() {
    std::process::abort();
}

fn exits() {
    std::process::exit(3);
}

fn exits_as_if_all_was_well() {
    std::process::exit(0);
}

fn prints() {
    println!("to stdout");
    eprintln!("to stderr");
}

fn still_runs() {}
