// SPDX-License-Identifier: MIT OR Apache-2.0

//! `/proc/sys/net/quic`, which steers memory accounting and is in the initial network namespace
//! only.

use crate::harness::case::cases;
use crate::harness::expect::{between, equal, note};
use crate::sys::proc;
use crate::sys::process::page_size;
use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

cases! { "sysctl":
    directory_has_three_files.in_init_net(),
    files_can_be_written_by_root.in_init_net(),
    not_in_other_namespaces,
    mem_has_three_limits_in_proportion.in_init_net(),
    rmem_defaults.in_init_net(),
    wmem_defaults.in_init_net(),
    mem_can_be_set.in_init_net(),
    rmem_can_be_set.in_init_net(),
    wmem_can_be_set.in_init_net(),
    rmem_of_one_is_the_least.in_init_net(),
    wmem_of_one_is_the_least.in_init_net(),
    rmem_below_one_is_einval.in_init_net(),
    wmem_below_one_is_einval.in_init_net(),
    words_are_einval.in_init_net(),
}

const DIRECTORY: &str = "/proc/sys/net/quic";
const MEM: &str = "/proc/sys/net/quic/quic_mem";
const RMEM: &str = "/proc/sys/net/quic/quic_rmem";
const WMEM: &str = "/proc/sys/net/quic/quic_wmem";

/// The three numbers of a file.
#[track_caller]
fn three(path: &str) -> [u64; 3] {
    let text = proc::read(path);
    let numbers: Vec<u64> = text
        .split_whitespace()
        .map(|word| {
            word.parse()
                .unwrap_or_else(|_| panic!("not a number in {text:?}"))
        })
        .collect();
    numbers
        .try_into()
        .unwrap_or_else(|_| panic!("expected three numbers, got {text:?}"))
}

/// Keeps the values of a file and puts them back, however the case ends.
struct Restored(&'static str, String);

impl Restored {
    #[track_caller]
    fn new(path: &'static str) -> Self {
        Self(path, proc::read(path))
    }
}

impl Drop for Restored {
    fn drop(&mut self) {
        let _ = fs::write(self.0, &self.1);
    }
}

fn directory_has_three_files() {
    let mut names: Vec<_> = fs::read_dir(DIRECTORY)
        .expect("no directory")
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    equal(names, ["quic_mem", "quic_rmem", "quic_wmem"]);
}

fn files_can_be_written_by_root() {
    for path in [MEM, RMEM, WMEM] {
        note(path);
        let mode = fs::metadata(path).expect("no file").permissions().mode();
        equal(format!("{:o}", mode & 0o7777), "644");
    }
}

fn not_in_other_namespaces() {
    assert!(!Path::new(DIRECTORY).exists(), "{DIRECTORY} exists");
}

/// In pages; the middle one is an eighth of the memory for buffers, the others are 3/4 and 3/2 of
/// it.
fn mem_has_three_limits_in_proportion() {
    let [low, middle, high] = three(MEM);
    assert!(middle >= 128, "expected at least 128 pages, got {middle}");
    between(low, middle / 4 * 3, middle * 3 / 4);
    equal(high, 2 * low);
}

/// What a socket may have at most, in bytes, by the memory there is.
fn share() -> u64 {
    (three(MEM)[1] * page_size() / 128).min(4 << 20)
}

fn rmem_defaults() {
    equal(three(RMEM), [page_size(), 1 << 20, share().max(1 << 20)]);
}

fn wmem_defaults() {
    equal(three(WMEM), [page_size(), 16 << 10, share().max(64 << 10)]);
}

#[track_caller]
fn can_be_set(path: &'static str, values: [u64; 3]) {
    let _restored = Restored::new(path);
    proc::write(path, &values.map(|value| value.to_string()).join(" "));
    equal(three(path), values);
}

fn mem_can_be_set() {
    can_be_set(MEM, [100_000, 200_000, 300_000]);
}

fn rmem_can_be_set() {
    can_be_set(RMEM, [8192, 100_000, 2_000_000]);
}

fn wmem_can_be_set() {
    can_be_set(WMEM, [8192, 100_000, 2_000_000]);
}

fn rmem_of_one_is_the_least() {
    can_be_set(RMEM, [1, 1, 1]);
}

fn wmem_of_one_is_the_least() {
    can_be_set(WMEM, [1, 1, 1]);
}

#[track_caller]
fn is_refused(path: &'static str, text: &str) {
    note(format!("{text:?}"));
    let _restored = Restored::new(path);
    let error = fs::write(path, text).expect_err("expected EINVAL, but it was taken");
    equal(error.kind(), io::ErrorKind::InvalidInput);
}

/// None of the three may be.
#[track_caller]
fn below_one_is_refused(path: &'static str) {
    for text in ["0 1000 1000", "1000 0 1000", "1000 1000 0", "-1 1000 1000"] {
        is_refused(path, text);
    }
}

fn rmem_below_one_is_einval() {
    below_one_is_refused(RMEM);
}

fn wmem_below_one_is_einval() {
    below_one_is_refused(WMEM);
}

fn words_are_einval() {
    for path in [MEM, RMEM, WMEM] {
        is_refused(path, "many");
    }
}
