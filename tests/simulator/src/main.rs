// SPDX-License-Identifier: MIT OR Apache-2.0

//! `simulate`: runs simulations by seed, and says which fail.

use quic_simulator::trial::{Choice, Trial};
use std::io::Write;
use std::process::ExitCode;
use std::time::{Duration, Instant};

const USAGE: &str = "\
usage: simulate [--seed N] [--count M] [--client IMPLEMENTATION] [--server IMPLEMENTATION]
                [--scenario NAME] [--bytes N] [--resume] [--print]

  --seed N       the first seed [0]
  --count M      how many seeds, one after the other [1]
  --client I     who the client is: ours, quinn [quinn]
  --server I     who the server is: ours, quinn [quinn]
  --peer I       both of them
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

fn run(options: Options) -> ExitCode {
    let Options {
        mut trial,
        count,
        print,
        repeat,
    } = options;
    let begun = Instant::now();
    let mut reported = begun;
    let first = trial.seed;
    let mut failed = 0;
    for n in 0..count {
        trial.seed = first + n;
        match trial.run(print) {
            Ok(reports) if count == 1 => reports.iter().for_each(|it| println!("{it:#?}")),
            Ok(_) => {}
            Err(failure) => {
                failed += 1;
                println!("FAILED {failure}");
                println!("    again: simulate --seed {}{repeat} --print", trial.seed);
            }
        }
        if reported.elapsed() > PROGRESS {
            reported = Instant::now();
            let rate = (n + 1) as f64 / begun.elapsed().as_secs_f64();
            eprint!(
                "\r{} of {count} seeds, {failed} failed, {rate:.1} a second ",
                n + 1
            );
            let _ = std::io::stderr().flush();
        }
    }
    let seconds = begun.elapsed().as_secs_f64();
    println!("{} of {count} seeds passed, {seconds:.1} s", count - failed);
    if failed == 0 {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}
