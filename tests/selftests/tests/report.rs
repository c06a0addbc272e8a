// SPDX-License-Identifier: MIT OR Apache-2.0

//! The report of cases that end in every way a case can end.

use std::process::{Command, Output};
use std::time::{Duration, Instant};

fn selftest(arguments: &[&str]) -> Output {
    let program = env!("CARGO_BIN_EXE_selftest");
    Command::new(program)
        .args(arguments)
        .output()
        .expect("cannot run selftest")
}

fn report(arguments: &[&str]) -> (i32, String) {
    let Output { status, stdout, .. } = selftest(arguments);
    (
        status.code().expect("killed"),
        String::from_utf8(stdout).expect("not text"),
    )
}

/// The comment lines behind the result of a case.
fn comments<'a>(report: &'a str, result: &str) -> Vec<&'a str> {
    let behind = report.lines().skip_while(|line| *line != result).skip(1);
    behind.take_while(|line| line.starts_with("# ")).collect()
}

#[test]
fn every_end_is_reported() {
    let start = Instant::now();
    let (status, report) = report(&["--self-check"]);
    assert!(
        start.elapsed() < Duration::from_secs(30),
        "something was waited for"
    );
    assert_eq!(status, 1);
    let results: Vec<_> = report
        .lines()
        .filter(|line| !line.starts_with('#'))
        .collect();
    assert_eq!(
        results,
        [
            "TAP version 13",
            "1..12",
            "ok 1 - self.passes",
            "not ok 2 - self.fails",
            "not ok 3 - self.fails_in_a_thread",
            "not ok 4 - self.names_the_entry_of_a_table",
            "ok 5 - self.skips # SKIP not here",
            "not ok 6 - self.hangs",
            "ok 7 - self.leaves_a_child_behind",
            "not ok 8 - self.is_killed",
            "not ok 9 - self.exits",
            "not ok 10 - self.exits_as_if_all_was_well",
            "ok 11 - self.prints",
            "ok 12 - self.still_runs",
        ],
        "{report}"
    );

    let failed = comments(&report, "not ok 2 - self.fails");
    assert_eq!(failed[0], "# expected EINVAL, got EBADF");
    assert!(
        failed[1].starts_with("# at tests/selftests/src/harness/self_check.rs:"),
        "{failed:?}"
    );
    let in_thread = comments(&report, "not ok 3 - self.fails_in_a_thread");
    assert_eq!(in_thread[0], "# expected 2, got 1");
    let table = comments(&report, "not ok 4 - self.names_the_entry_of_a_table");
    assert_eq!(table[..2], ["# with value = 3:", "# too large"]);
    let hung = comments(&report, "not ok 6 - self.hangs");
    assert_eq!(
        hung[..2],
        ["# about to hang", "# no end within 1 s, killed; it hung at"]
    );
    assert!(hung[2].starts_with("# thread "), "{hung:?}");
    let killed = comments(&report, "not ok 8 - self.is_killed");
    assert_eq!(killed.last(), Some(&"# the case was killed by signal 6"));
    let exited = comments(&report, "not ok 9 - self.exits");
    assert_eq!(exited, ["# the case called exit(3)"]);
    let printed = comments(&report, "ok 11 - self.prints");
    assert_eq!(printed, ["# to stdout", "# to stderr"]);
    let summary = comments(&report, "ok 12 - self.still_runs");
    assert!(
        summary[0].starts_with("# 4 passed, 7 failed, 1 skipped"),
        "{summary:?}"
    );
    assert_eq!(summary[1], "# failed: self.fails");
}

#[test]
fn filter_selects_cases() {
    let (status, report) = report(&["--self-check", "passes", "still"]);
    assert_eq!(status, 0);
    assert!(
        report.starts_with("TAP version 13\n1..2\nok 1 - self.passes\nok 2 - self.still_runs\n")
    );
}

#[test]
fn several_jobs_run_every_case_once() {
    let (status, report) = report(&["--self-check", "--jobs", "4"]);
    assert_eq!(status, 1);
    assert_eq!(
        report.lines().filter(|line| !line.starts_with('#')).count(),
        14
    );
}

#[test]
fn list_and_help_run_nothing() {
    let (status, list) = report(&["--list", "bind."]);
    assert_eq!(status, 0);
    assert!(list.lines().count() > 10 && list.lines().all(|name| name.contains("bind.")));
    let (status, help) = report(&["--help"]);
    assert_eq!(status, 0);
    assert!(help.starts_with("usage: selftest"));
}

#[test]
fn wrong_use_is_explained() {
    let Output { status, stderr, .. } = selftest(&["--frobnicate"]);
    assert_eq!(status.code(), Some(2));
    assert!(String::from_utf8_lossy(&stderr).contains("unknown option: --frobnicate"));
    assert_eq!(selftest(&["no such case"]).status.code(), Some(2));
}
