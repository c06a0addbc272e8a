// SPDX-License-Identifier: MIT OR Apache-2.0

//! Tests of the QUIC module through its socket interface, for a kernel that has it. They run as
//! root, best in a virtual machine, and report in the Test Anything Protocol.

mod cases;
mod harness;
mod sys;

use harness::case::Case;
use harness::tap::Tap;
use harness::{expect, runner, self_check};
use std::io::{self, IsTerminal, Write};
use std::num::NonZero;
use std::process::ExitCode;
use std::thread::available_parallelism;
use std::time::Instant;
use sys::privilege;
use sys::socket::Socket;

const USAGE: &str = "\
usage: selftest [OPTION...] [FILTER...]

Runs the cases whose name contains one of the filters, or all of them, against
the QUIC module of the running kernel, which is loaded on demand. Prints TAP 13.
Needs root. The cases run in child processes and, but for a few, in network
namespaces made for them.

  --list        print the names of the cases and run none
  --jobs N      run up to N cases at once [one for each processor]
  --slow N      multiply every time limit by N, for emulation or a debug kernel
                [1, but 5 if VM_KERNEL=debug]
  --self-check  run cases that fail on purpose, to see what the report looks like
  -h, --help    print this

Exit status: 0 no case failed, 1 a case failed, 2 the cases could not be run.
";

/// What the command line asks for.
#[derive(Debug, Default, Eq, PartialEq)]
struct Arguments {
    help: bool,
    list: bool,
    self_check: bool,
    jobs: usize,
    slow: u32,
    filters: Vec<String>,
}

fn parse(arguments: impl IntoIterator<Item = String>) -> Result<Arguments, String> {
    let mut parsed = Arguments {
        jobs: available_parallelism().map_or(1, NonZero::get),
        slow: usual_slowness(),
        ..Arguments::default()
    };
    let mut arguments = arguments.into_iter();
    while let Some(argument) = arguments.next() {
        let mut number = || {
            let value = arguments.next().and_then(|value| value.parse::<u32>().ok());
            let value = value.filter(|value| (1..=1000).contains(value));
            value.ok_or_else(|| format!("{argument} needs a number from 1 to 1000"))
        };
        match argument.as_str() {
            "-h" | "--help" => parsed.help = true,
            "--list" => parsed.list = true,
            "--self-check" => parsed.self_check = true,
            "--jobs" => parsed.jobs = number()? as usize,
            "--slow" => parsed.slow = number()?,
            option if option.starts_with('-') => return Err(format!("unknown option: {option}")),
            filter => parsed.filters.push(filter.to_owned()),
        }
    }
    Ok(parsed)
}

/// What tools/vm tells about the kernel it runs.
fn usual_slowness() -> u32 {
    match std::env::var("VM_KERNEL").as_deref() {
        Ok("debug") => 5,
        _ => 1,
    }
}

fn is_selected(case: &Case, filters: &[String]) -> bool {
    filters.is_empty()
        || filters
            .iter()
            .any(|filter| case.name.contains(filter.as_str()))
}

fn main() -> ExitCode {
    let arguments = match parse(std::env::args().skip(1)) {
        Ok(arguments) => arguments,
        Err(problem) => {
            eprint!("selftest: {problem}\n\n{USAGE}");
            return ExitCode::from(2);
        }
    };
    if arguments.help {
        print!("{USAGE}");
        return ExitCode::SUCCESS;
    }
    let all = if arguments.self_check {
        self_check::unprivileged_cases()
    } else {
        cases::all()
    };
    let selected: Vec<_> = all
        .iter()
        .filter(|case| is_selected(case, &arguments.filters))
        .collect();
    if selected.is_empty() {
        eprintln!("selftest: no case has a name like that; selftest --list prints them all");
        return ExitCode::from(2);
    }
    if arguments.list {
        // A reader that has seen enough is no failure.
        let _ = selected
            .iter()
            .try_for_each(|case| writeln!(io::stdout(), "{}", case.name));
        return ExitCode::SUCCESS;
    }
    match run(&arguments, &selected) {
        Ok(status) => status,
        Err(error) => {
            eprintln!("selftest: {error}");
            ExitCode::from(2)
        }
    }
}

fn run(arguments: &Arguments, selected: &[&Case]) -> io::Result<ExitCode> {
    expect::be_patient(arguments.slow);
    let start = Instant::now();
    let mut tap = Tap::begin(io::stdout(), selected.len())?;

    // The case that has the module loaded runs first, and what it does must not be done before it.
    let first = selected
        .iter()
        .take_while(|case| case.name == cases::LOADS_THE_MODULE)
        .count();
    let (first, rest) = selected.split_at(first);
    runner::run(&mut tap, first, 0, 1)?;
    if !arguments.self_check {
        if let Err(reason) = is_ready() {
            tap.bail_out(&reason)?;
            return Ok(ExitCode::from(2));
        }
    }
    runner::run(&mut tap, rest, first.len(), arguments.jobs)?;

    let (passed, skipped, failed) = (tap.passed, tap.skipped, tap.failed.len());
    let seconds = start.elapsed().as_secs();
    tap.comment(&format!(
        "{passed} passed, {failed} failed, {skipped} skipped in {seconds} s"
    ))?;
    for name in std::mem::take(&mut tap.failed) {
        tap.comment(&format!("failed: {name}"))?;
    }
    if io::stdout().is_terminal() && failed > 0 {
        eprintln!("run one of them alone by: selftest NAME");
    }
    Ok(ExitCode::from(u8::from(failed > 0)))
}

/// Whether the cases can be run at all; if not, what to do.
fn is_ready() -> Result<(), String> {
    if !privilege::is_root() {
        return Err("this needs root (it makes network namespaces): run it with sudo".into());
    }
    Socket::open(libc::AF_INET, libc::SOCK_STREAM, quic_uapi::IPPROTO_QUIC)
        .map(drop)
        .map_err(|errno| format!("no QUIC socket can be made ({errno}): load quic.ko first"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse_words(line: &str) -> Result<Arguments, String> {
        parse(line.split_whitespace().map(str::to_owned))
    }

    #[test]
    fn options_and_filters_are_parsed() {
        let parsed = parse_words("--slow 4 bind. --jobs 2 listen").unwrap();
        assert_eq!((parsed.slow, parsed.jobs), (4, 2));
        assert_eq!(parsed.filters, ["bind.", "listen"]);
        assert!(parse_words("--help").unwrap().help && parse_words("--list").unwrap().list);
    }

    #[test]
    fn wrong_options_are_refused() {
        for line in [
            "--jobs",
            "--jobs 0",
            "--jobs x",
            "--slow 1001",
            "--frobnicate",
            "-x",
        ] {
            assert!(parse_words(line).is_err(), "{line}");
        }
    }

    #[test]
    fn case_names_are_unique_and_well_formed() {
        let mut names: Vec<_> = cases::all().into_iter().map(|case| case.name).collect();
        for name in &names {
            let (noun, rest) = name.split_once('.').expect("no noun");
            let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
            assert!(noun.chars().all(plain) && rest.chars().all(plain), "{name}");
        }
        assert!(names[0].starts_with(cases::LOADS_THE_MODULE));
        let count = names.len();
        names.sort();
        names.dedup();
        assert_eq!(names.len(), count);
    }

    #[test]
    fn filter_selects_by_part_of_the_name() {
        let all = cases::all();
        let selected = |filter: &str| {
            all.iter()
                .filter(|case| is_selected(case, &[filter.to_owned()]))
                .count()
        };
        assert!(selected("bind.") > 10 && selected("bind.") < all.len());
        assert_eq!(selected("no such case"), 0);
    }
}
