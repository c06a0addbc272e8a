// SPDX-License-Identifier: MIT OR Apache-2.0

//! Runs cases, each in a child process, so that neither a panic, a hang nor a crash of one touches
//! another.

use super::case::{Case, Place};
use super::expect::{self, Skipped};
use super::tap::{Outcome, Tap};
use crate::sys::errno::Errno;
use crate::sys::netns::{self, Namespace};
use crate::sys::poll;
use crate::sys::process::{Child, Ended};
use std::collections::VecDeque;
use std::fs;
use std::io::{self, Write};
use std::os::fd::AsFd;
use std::panic::{self, AssertUnwindSafe};
use std::time::{Duration, Instant};

const EXIT_PASSED: i32 = 0;
const EXIT_FAILED: i32 = 1;
/// The usual status of a skipped test, as in Automake.
const EXIT_SKIPPED: i32 = 77;
/// Separates what a case printed from its reason to skip.
const SKIP_MARK: &str = "\0skip\0";

/// How long a killed child may take to be gone before the runner gives it up.
const GRACE: Duration = Duration::from_secs(10);

/// A case that is being run.
struct Running<'a> {
    number: usize,
    case: &'a Case,
    child: Child,
    /// Where it runs, if others may run there later.
    room: Option<Namespace>,
    said: Vec<u8>,
    deadline: Instant,
    /// Its time is over and it has been killed. What it was doing then.
    killed: Option<String>,
}

/// Runs `cases`, whose numbers start behind `offset`, up to `jobs` at once.
pub(crate) fn run<W: Write>(
    tap: &mut Tap<W>,
    cases: &[&Case],
    offset: usize,
    jobs: usize,
) -> io::Result<()> {
    let mut waiting: VecDeque<_> = cases.iter().enumerate().collect();
    let mut running: Vec<Running<'_>> = Vec::new();
    let mut rooms = Vec::new();
    loop {
        while let Some((index, case)) = waiting.front() {
            let alone = running.is_empty();
            let company = running
                .iter()
                .all(|other| other.case.place != Place::Initial)
                && case.place != Place::Initial
                && running.len() < jobs;
            if !alone && !company {
                break;
            }
            running.push(start(offset + index + 1, case, &mut rooms)?);
            waiting.pop_front();
        }
        if running.is_empty() {
            return Ok(());
        }

        wait_for_any(&running)?;
        let mut index = 0;
        while index < running.len() {
            match step(&mut running[index])? {
                None => index += 1,
                Some((outcome, said)) => {
                    let Running {
                        number, case, room, ..
                    } = running.swap_remove(index);
                    rooms.extend(
                        room.filter(|room| matches!(outcome, Outcome::Passed) && is_empty(room)),
                    );
                    tap.result(number, &case.name, &outcome, &said)?;
                }
            }
        }
    }
}

fn start<'a>(number: usize, case: &'a Case, rooms: &mut Vec<Namespace>) -> io::Result<Running<'a>> {
    let room = match (case.place, rooms.pop()) {
        (Place::Shared, Some(room)) => Some(room),
        (Place::Shared, None) => Some(Namespace::new()?),
        (Place::New | Place::Initial, kept) => {
            rooms.extend(kept);
            None
        }
    };
    let child = Child::fork(|| play(case, room.as_ref()))?;
    let deadline = Instant::now() + expect::patient(case.limit);
    Ok(Running {
        number,
        case,
        child,
        room,
        said: Vec::new(),
        deadline,
        killed: None,
    })
}

/// Sleeps until a child prints or ends, or the first deadline.
fn wait_for_any(running: &[Running<'_>]) -> io::Result<()> {
    let deadline = running
        .iter()
        .map(|running| running.deadline)
        .min()
        .expect("nothing runs");
    let mut watched = Vec::new();
    for Running { child, .. } in running {
        watched.push(poll::Watched::new(child.end.as_fd(), libc::POLLIN));
        if let Some(output) = &child.output {
            watched.push(poll::Watched::new(output.as_fd(), libc::POLLIN));
        }
    }
    match poll::poll(
        &mut watched,
        Some(deadline.saturating_duration_since(Instant::now())),
    ) {
        Ok(_) | Err(Errno(libc::EINTR)) => Ok(()),
        Err(errno) => Err(errno.into()),
    }
}

/// Takes what the child has printed and looks whether it has ended or must be ended.
fn step(running: &mut Running<'_>) -> io::Result<Option<(Outcome, String)>> {
    running.child.read_output(&mut running.said)?;
    if let Some(ended) = running.child.try_wait()? {
        running.child.read_output(&mut running.said)?; // it may have spoken in between
        running.child.kill_group();
        return Ok(Some(judge(running, &ended)));
    }
    if Instant::now() < running.deadline {
        return Ok(None);
    }
    if let Some(what) = &running.killed {
        let text = format!("it cannot be killed; it hung at\n{what}");
        return Ok(Some((Outcome::Failed, text)));
    }
    running.killed = Some(stacks(running.child.pid));
    running.child.kill_group();
    running.deadline = Instant::now() + expect::patient(GRACE);
    Ok(None)
}

fn judge(running: &Running<'_>, ended: &Ended) -> (Outcome, String) {
    let said = String::from_utf8_lossy(&running.said);
    let (said, reason) = said.split_once(SKIP_MARK).unwrap_or((&said, ""));
    let mut said = said.trim_end().to_owned();
    let mut add = |text: &str| {
        if !said.is_empty() {
            said.push('\n');
        }
        said.push_str(text);
    };
    let outcome = match ended {
        _ if running.killed.is_some() => {
            let limit = expect::patient(running.case.limit).as_secs();
            add(&format!("no end within {limit} s, killed; it hung at"));
            add(running.killed.as_deref().unwrap_or_default());
            Outcome::Failed
        }
        Ended::Exited(EXIT_PASSED) => Outcome::Passed,
        Ended::Exited(EXIT_SKIPPED) => Outcome::Skipped(reason.to_owned()),
        Ended::Exited(EXIT_FAILED) => Outcome::Failed,
        Ended::Exited(status) => {
            add(&format!("the case called exit({status})"));
            Outcome::Failed
        }
        Ended::Killed(signal) => {
            add(&format!("the case was killed by signal {signal}"));
            Outcome::Failed
        }
    };
    (outcome, said)
}

/// Where in the kernel each thread of a process is, as far as the kernel tells.
fn stacks(pid: libc::pid_t) -> String {
    let mut text = String::new();
    let tasks = fs::read_dir(format!("/proc/{pid}/task"))
        .into_iter()
        .flatten()
        .flatten();
    for task in tasks {
        let read = |name| fs::read_to_string(task.path().join(name)).unwrap_or_default();
        let (syscall, stack) = (read("syscall"), read("stack"));
        let thread = task.file_name();
        text.push_str(&format!(
            "thread {}, system call {syscall}",
            thread.to_string_lossy()
        ));
        text.push_str(&stack);
    }
    text.trim_end().to_owned()
}

/// Whether a case has left no socket in its network namespace.
fn is_empty(room: &Namespace) -> bool {
    room.inside(|| {
        ["quic/eps", "udp", "udp6"].iter().all(|table| {
            // The first line is the heading.
            let table = fs::read_to_string(format!("/proc/thread-self/net/{table}"));
            table.is_ok_and(|table| table.lines().count() <= 1)
        })
    })
}

/// The life of the child. Returns its exit status.
fn play(case: &Case, room: Option<&Namespace>) -> i32 {
    // What the runner shows of a panic: the message and the line of the case.
    panic::set_hook(Box::new(|info| {
        let message = info.payload_as_text();
        let note = expect::last_note();
        if !note.is_empty() {
            eprintln!("with {note}:");
        }
        eprintln!("{message}");
        if let Some(place) = info.location() {
            eprintln!("at {}:{}", place.file(), place.line());
        }
    }));
    let entered = match (case.place, room) {
        (Place::Initial, _) => Ok(()),
        (_, Some(room)) => room.enter(),
        (_, None) => netns::enter_new(),
    };
    if let Err(errno) = entered {
        eprintln!("cannot get a network namespace: {errno}");
        return EXIT_FAILED;
    }
    match panic::catch_unwind(AssertUnwindSafe(&case.body)) {
        Ok(()) => EXIT_PASSED,
        Err(payload) => match payload.downcast::<Skipped>() {
            Ok(skipped) => {
                eprint!("{SKIP_MARK}{}", skipped.0);
                EXIT_SKIPPED
            }
            Err(_) => EXIT_FAILED,
        },
    }
}

/// The message of a panic, whichever of its two usual types it has.
trait PayloadAsText {
    fn payload_as_text(&self) -> &str;
}

impl PayloadAsText for panic::PanicHookInfo<'_> {
    fn payload_as_text(&self) -> &str {
        let payload = self.payload();
        let text = payload.downcast_ref::<&str>().copied();
        text.or_else(|| payload.downcast_ref::<String>().map(String::as_str))
            .unwrap_or("a panic without a message")
    }
}
