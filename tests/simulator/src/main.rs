// SPDX-License-Identifier: MIT OR Apache-2.0

//! `simulate`: runs simulations by seed, and says which fail.

use quic_simulator::trial::{Choice, Trial};
use std::io::Write;
use std::process::ExitCode;
use std::sync::Mutex;
use std::time::{Duration, Instant};

const USAGE: &str = "\
usage: simulate [--seed N] [--count M] [--jobs J]
                [--client IMPLEMENTATION] [--server IMPLEMENTATION] [--mix]
                [--scenario NAME] [--bytes N] [--resume] [--print]

  --seed N       the first seed [0]
  --count M      how many seeds [1]
  --jobs J       how many at a time [as many as there are processors]
  --client I     who the client is: ours, quinn [ours]
  --server I     who the server is: ours, quinn [ours]
  --peer I       both of them
  --mix          of each ten seeds eight have ours at both ends, one as the client, one as the server
  --scenario S   the network, instead of a random one; 'list' lists them
  --bytes N      how much the random streams carry about at most [1000000]
  --resume       a second connection follows each, with a session ticket and 0-RTT
  --print        a line for each datagram, on standard error
";

/// How often to say how far it is.
const PROGRESS: Duration = Duration::from_secs(2);

struct Options {
    trial: Trial,
    count: u64,
    jobs: usize,
    mix: bool,
    print: bool,
    /// The arguments that are the same for every seed.
    repeat: String,
}

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if arguments.iter().any(|it| it == "-h" || it == "--help") {
        print!("{USAGE}");
        return ExitCode::SUCCESS;
    }
    match parse(&arguments) {
        Ok(Some(options)) => run(options),
        Ok(None) => ExitCode::SUCCESS,
        Err(error) => {
            eprint!("simulate: {error}\n\n{USAGE}");
            ExitCode::from(2)
        }
    }
}

/// `None` if there is nothing to run.
fn parse(arguments: &[String]) -> Result<Option<Options>, String> {
    let mut options = Options {
        trial: Trial::default(),
        count: 1,
        jobs: std::thread::available_parallelism().map_or(1, Into::into),
        mix: false,
        print: false,
        repeat: String::new(),
    };
    let mut arguments = arguments.iter();
    while let Some(option) = arguments.next() {
        let mut value = || arguments.next().ok_or(format!("{option} needs a value"));
        let number = |text: &String| text.parse().map_err(|_| format!("not a number: {text}"));
        let trial = &mut options.trial;
        let repeated = match option.as_str() {
            "--seed" => {
                trial.seed = number(value()?)?;
                continue;
            }
            "--count" => {
                options.count = number(value()?)?;
                continue;
            }
            "--jobs" => {
                let jobs = value()?;
                options.jobs = jobs.parse().map_err(|_| format!("not a number: {jobs}"))?;
                continue;
            }
            "--mix" => {
                options.mix = true;
                continue;
            }
            "--print" => {
                options.print = true;
                continue;
            }
            "--resume" => {
                trial.resume = true;
                option.clone()
            }
            "--client" | "--server" | "--peer" => {
                let name = value()?;
                let choice: Choice = name.parse()?;
                if option != "--server" {
                    trial.client = choice;
                }
                if option != "--client" {
                    trial.server = choice;
                }
                format!("{option} {name}")
            }
            "--bytes" => {
                let bytes = value()?;
                trial.bytes = number(bytes)?;
                format!("{option} {bytes}")
            }
            "--scenario" => {
                let name = value()?;
                if name == "list" {
                    println!("{}", quic_simulator::scenario::Scenario::NAMES.join("\n"));
                    return Ok(None);
                }
                trial.scenario = Some(name.clone());
                trial.network()?;
                format!("{option} {name}")
            }
            _ => return Err(format!("unknown option: {option}")),
        };
        options.repeat.push(' ');
        options.repeat.push_str(&repeated);
    }
    Ok(Some(options))
}

/// The trial of the `n`-th seed, and what to call it with to repeat it.
fn nth(options: &Options, n: u64) -> (Trial, String) {
    let mut trial = options.trial.clone();
    trial.seed += n;
    let mut repeat = format!("simulate --seed {}{}", trial.seed, options.repeat);
    if options.mix {
        let (client, server) = match trial.seed % 10 {
            8 => (Choice::Ours, Choice::Quinn),
            9 => (Choice::Quinn, Choice::Ours),
            _ => (Choice::Ours, Choice::Ours),
        };
        (trial.client, trial.server) = (client, server);
        repeat.push_str(&format!(" --client {client} --server {server}"));
    }
    (trial, repeat)
}

/// How far it is.
struct State {
    begun: Instant,
    reported: Instant,
    /// How many seeds were taken, and how many are done.
    taken: u64,
    done: u64,
    failed: u64,
    excused: u64,
}

fn run(options: Options) -> ExitCode {
    let begun = Instant::now();
    let state = Mutex::new(State {
        begun,
        reported: begun,
        taken: 0,
        done: 0,
        failed: 0,
        excused: 0,
    });
    std::thread::scope(|scope| {
        for _ in 0..options.jobs.clamp(1, options.count.max(1) as usize) {
            scope.spawn(|| work(&options, &state));
        }
    });
    let state = state.into_inner().expect("no thread has panicked");
    let seconds = state.begun.elapsed().as_secs_f64();
    let (failed, excused) = (state.failed, state.excused);
    let passed = state.done - failed - excused;
    print!(
        "{passed} of {} seeds passed, {failed} failed",
        options.count
    );
    if excused > 0 {
        print!(", {excused} because of known defects of quinn");
    }
    println!(", {seconds:.1} s");
    match failed {
        0 => ExitCode::SUCCESS,
        _ => ExitCode::FAILURE,
    }
}

/// Runs one seed after the other until all are taken.
fn work(options: &Options, state: &Mutex<State>) {
    let lock = || state.lock().expect("no thread has panicked");
    loop {
        let n = {
            let mut state = lock();
            if state.taken == options.count {
                return;
            }
            state.taken += 1;
            state.taken - 1
        };
        let (trial, repeat) = nth(options, n);
        let result = trial.run(options.print);
        let mut state = lock();
        state.done += 1;
        match result {
            Ok(reports) if options.count == 1 => reports.iter().for_each(|it| println!("{it:#?}")),
            Ok(_) => {}
            Err(failure) => {
                let verdict = match failure.excuse {
                    Some(excuse) => {
                        state.excused += 1;
                        excuse
                    }
                    None => {
                        state.failed += 1;
                        "FAILED"
                    }
                };
                println!("{verdict}: {failure}\n    again: {repeat} --print");
            }
        }
        state.report(options.count);
    }
}

impl State {
    fn report(&mut self, count: u64) {
        if self.reported.elapsed() < PROGRESS {
            return;
        }
        self.reported = Instant::now();
        let (done, failed) = (self.done, self.failed);
        let rate = done as f64 / self.begun.elapsed().as_secs_f64();
        eprint!("\r{done} of {count} seeds, {failed} failed, {rate:.0} a second ");
        let _ = std::io::stderr().flush();
    }
}
