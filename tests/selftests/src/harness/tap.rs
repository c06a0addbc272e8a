// SPDX-License-Identifier: MIT OR Apache-2.0

//! The Test Anything Protocol, version 13.

use std::io::{self, Write};

/// How a case ended.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Outcome {
    Passed,
    Failed,
    /// It could not be run; the reason.
    Skipped(String),
}

/// Writes the report and keeps count. Numbers are given in the order the plan has, results may come
/// in any order.
pub(crate) struct Tap<W> {
    out: W,
    pub(crate) passed: usize,
    pub(crate) skipped: usize,
    pub(crate) failed: Vec<String>,
}

impl<W: Write> Tap<W> {
    pub(crate) fn begin(mut out: W, planned: usize) -> io::Result<Self> {
        writeln!(out, "TAP version 13\n1..{planned}")?;
        out.flush()?;
        Ok(Self {
            out,
            passed: 0,
            skipped: 0,
            failed: Vec::new(),
        })
    }

    /// Reports case `number`, counted from 1. `said` is what it printed and why it failed.
    pub(crate) fn result(
        &mut self,
        number: usize,
        name: &str,
        outcome: &Outcome,
        said: &str,
    ) -> io::Result<()> {
        match outcome {
            Outcome::Passed => {
                self.passed += 1;
                writeln!(self.out, "ok {number} - {name}")?;
            }
            Outcome::Failed => {
                self.failed.push(name.to_owned());
                writeln!(self.out, "not ok {number} - {name}")?;
            }
            Outcome::Skipped(reason) => {
                self.skipped += 1;
                writeln!(self.out, "ok {number} - {name} # SKIP {}", one_line(reason))?;
            }
        }
        self.comment(said)
    }

    pub(crate) fn comment(&mut self, text: &str) -> io::Result<()> {
        for line in text.lines() {
            writeln!(self.out, "# {line}")?;
        }
        self.out.flush()
    }

    /// Nothing more can be run.
    pub(crate) fn bail_out(&mut self, reason: &str) -> io::Result<()> {
        writeln!(self.out, "Bail out! {}", one_line(reason))?;
        self.out.flush()
    }
}

fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn report_is_tap_13() {
        let mut out = Vec::new();
        let mut tap = Tap::begin(&mut out, 3).unwrap();
        tap.result(1, "a.works", &Outcome::Passed, "").unwrap();
        tap.result(
            3,
            "a.breaks",
            &Outcome::Failed,
            "expected 1, got 2\nat a.rs:5",
        )
        .unwrap();
        tap.result(2, "a.cannot", &Outcome::Skipped("no\nroot".into()), "")
            .unwrap();
        tap.bail_out("no module").unwrap();
        assert_eq!((tap.passed, tap.skipped, tap.failed.len()), (1, 1, 1));
        assert_eq!(
            String::from_utf8(out).unwrap(),
            "TAP version 13\n1..3\nok 1 - a.works\nnot ok 3 - a.breaks\n# expected 1, got 2\n\
             # at a.rs:5\nok 2 - a.cannot # SKIP no root\nBail out! no module\n"
        );
    }
}
