// SPDX-License-Identifier: MIT OR Apache-2.0

//! Runs cases in child processes, so that neither a panic, a hang nor a crash of one touches
//! another.
//!
//! A child plays a series of cases, for on a debug kernel a process costs more than most cases. It
//! says so when one has passed, and goes on only if that one has left nothing behind. A case that
//! does not pass is the last of its child: how the child ends says how the case did. The rest of
//! the series goes to another child.

use super::case::{Case, Place};
use super::expect::{self, Skipped};
use super::tap::{Outcome, Tap};
use crate::sys::errno::Errno;
use crate::sys::netns::{self, Namespace};
use crate::sys::poll;
use crate::sys::process::{self, Child, Ended};
use std::collections::{BTreeMap, VecDeque};
use std::fs;
use std::io::{self, Write};
use std::os::fd::AsFd;
use std::panic::{self, AssertUnwindSafe};
use std::time::{Duration, Instant};

const EXIT_PASSED: i32 = 0;
const EXIT_FAILED: i32 = 1;
/// The case has passed and left something behind, so the next one is not for this child.
const EXIT_UNTIDY: i32 = 2;
/// The usual status of a skipped test, as in Automake.
const EXIT_SKIPPED: i32 = 77;
/// Separates what a case printed from its reason to skip.
const SKIP_MARK: &str = "\0skip\0";
/// Follows what a case printed that has passed.
const PASS_MARK: &str = "\0passed\0";

/// How many cases a child plays at most: few enough that the children are done at about the same
/// time.
const SERIES: usize = 16;

/// How long a killed child may take to be gone before the runner gives it up.
const GRACE: Duration = Duration::from_secs(10);

/// A series of cases that is being run.
struct Running<'a> {
    place: Place,
    /// Those that have not ended, with their place among all cases. The first one is at work.
    series: VecDeque<(usize, &'a Case)>,
    child: Child,
    /// Where it runs, if others may run there later.
    room: Option<Namespace>,
    /// What the child has said since the last case ended.
    said: Vec<u8>,
    /// Of the case at work.
    deadline: Instant,
    /// Whether one of the series has passed.
    has_passed: bool,
    /// The case whose time was over, so that the child has been killed. What it was doing then.
    killed: Option<(usize, String)>,
}

/// Runs `cases`, whose numbers start behind `offset`, in up to `jobs` children at once. They end as
/// they like and are reported in order.
pub(crate) fn run<W: Write>(
    tap: &mut Tap<W>,
    cases: &[&Case],
    offset: usize,
    jobs: usize,
) -> io::Result<()> {
    let mut waiting: VecDeque<_> = cases.iter().copied().enumerate().collect();
    let mut running: Vec<Running<'_>> = Vec::new();
    let mut rooms = Vec::new();
    let mut ended = BTreeMap::new();
    let mut due = 0;
    loop {
        while let Some((_, case)) = waiting.front() {
            let company = running.len() < jobs
                && case.place != Place::Initial
                && running.iter().all(|other| other.place != Place::Initial);
            if !running.is_empty() && !company {
                break;
            }
            running.push(start(&mut waiting, &mut rooms)?);
        }
        if running.is_empty() {
            return Ok(());
        }

        wait_for_any(&running)?;
        let mut index = 0;
        while index < running.len() {
            let is_over = step(&mut running[index], |case, result| {
                ended.insert(case, result);
            })?;
            if !is_over {
                index += 1;
                continue;
            }
            let Running { series, room, .. } = running.swap_remove(index);
            series
                .into_iter()
                .rev()
                .for_each(|case| waiting.push_front(case));
            rooms.extend(room.filter(|room| room.inside(is_empty)));
        }
        while let Some((outcome, said)) = ended.remove(&due) {
            let case = cases[due];
            due += 1;
            tap.result(offset + due, &case.name, &outcome, &said)?;
        }
    }
}

/// Takes the next series off `waiting`, which is not empty.
fn start<'a>(
    waiting: &mut VecDeque<(usize, &'a Case)>,
    rooms: &mut Vec<Namespace>,
) -> io::Result<Running<'a>> {
    let place = waiting[0].1.place;
    let length = match place {
        Place::New => 1,
        Place::Shared | Place::Initial => waiting
            .iter()
            .take(SERIES)
            .take_while(|(_, case)| case.place == place)
            .count(),
    };
    let series: VecDeque<_> = waiting.drain(..length).collect();
    let room = match place {
        Place::Shared => Some(rooms.pop().map_or_else(Namespace::new, Ok)?),
        Place::New | Place::Initial => None,
    };
    let child = Child::fork(|| play_all(place, &series, room.as_ref()))?;
    Ok(Running {
        place,
        deadline: deadline_of(&series),
        series,
        child,
        room,
        said: Vec::new(),
        has_passed: false,
        killed: None,
    })
}

/// Until when the first of a series may take if it starts now.
fn deadline_of(series: &VecDeque<(usize, &Case)>) -> Instant {
    let limit = series.front().map_or(GRACE, |(_, case)| case.limit);
    Instant::now() + expect::patient(limit)
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

/// Takes what the child has printed, tells `report` of each case that has ended, and returns
/// whether the child has.
fn step(
    running: &mut Running<'_>,
    mut report: impl FnMut(usize, (Outcome, String)),
) -> io::Result<bool> {
    let ended = running.child.try_wait()?; // before its last words are read
    running.child.read_output(&mut running.said)?;
    while let Some((said, rest)) = split(&running.said, PASS_MARK.as_bytes()) {
        let said = String::from_utf8_lossy(said).trim_end().to_owned();
        running.said = rest.to_vec();
        if let Some((case, _)) = running.series.pop_front() {
            report(case, (Outcome::Passed, said));
        }
        running.has_passed = true;
        running.deadline = deadline_of(&running.series);
    }
    if let Some(ended) = ended {
        running.child.kill_group();
        let between_two = match &running.killed {
            // It may have passed at the last moment.
            Some((late, _)) => running.series.front().is_none_or(|(case, _)| case != late),
            None => running.has_passed && matches!(ended, Ended::Exited(EXIT_UNTIDY)),
        };
        if !between_two {
            if let Some((case, of)) = running.series.pop_front() {
                report(case, judge(running, of.limit, &ended));
            }
        }
        return Ok(true);
    }
    if Instant::now() < running.deadline {
        return Ok(false);
    }
    let Some((case, _)) = running.series.front() else {
        running.child.kill_group(); // all have passed, but it does not end
        return Ok(true);
    };
    if let Some((_, what)) = &running.killed {
        let text = format!("it cannot be killed; it hung at\n{what}");
        report(*case, (Outcome::Failed, text));
        running.series.pop_front();
        return Ok(true);
    }
    running.killed = Some((*case, stacks(running.child.pid)));
    running.child.kill_group();
    running.deadline = Instant::now() + expect::patient(GRACE);
    Ok(false)
}

/// What is before the first `mark` and what is behind it.
fn split<'a>(text: &'a [u8], mark: &[u8]) -> Option<(&'a [u8], &'a [u8])> {
    let at = text.windows(mark.len()).position(|part| part == mark)?;
    Some((&text[..at], &text[at + mark.len()..]))
}

/// How a case did that has not passed, by the end of its child.
fn judge(running: &Running<'_>, limit: Duration, ended: &Ended) -> (Outcome, String) {
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
            let limit = expect::patient(limit).as_secs();
            add(&format!("no end within {limit} s, killed; it hung at"));
            add(running.killed.as_ref().map_or("", |(_, what)| what));
            Outcome::Failed
        }
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

/// Whether no socket is left in the network namespace of this thread.
fn is_empty() -> bool {
    ["quic/eps", "udp", "udp6"].iter().all(|table| {
        // The first line is the heading.
        let table = fs::read_to_string(format!("/proc/thread-self/net/{table}"));
        table.is_ok_and(|table| table.lines().count() <= 1)
    })
}

/// The life of the child. Returns its exit status.
fn play_all(place: Place, series: &VecDeque<(usize, &Case)>, room: Option<&Namespace>) -> i32 {
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
    let entered = match (place, room) {
        (Place::Initial, _) => Ok(()),
        (_, Some(room)) => room.enter(),
        (_, None) => netns::enter_new(),
    };
    if let Err(errno) = entered {
        eprintln!("cannot get a network namespace: {errno}");
        return EXIT_FAILED;
    }
    let before = process::belongings();
    for (_, case) in series {
        expect::note("");
        let status = play(case);
        if status != EXIT_PASSED {
            return status;
        }
        print!("{PASS_MARK}");
        if io::stdout().flush().is_err() {
            return EXIT_FAILED;
        }
        let tidy = before.is_some() && process::belongings() == before;
        if !tidy || (place == Place::Shared && !is_empty()) {
            return EXIT_UNTIDY;
        }
    }
    EXIT_PASSED
}

fn play(case: &Case) -> i32 {
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
