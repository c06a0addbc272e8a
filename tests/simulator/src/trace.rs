// SPDX-License-Identifier: MIT OR Apache-2.0

//! [`Trace`]: a fingerprint of all that happened, and on request a line for each of it.

use quic_core::time::Instant;
use std::fmt;

/// The order, times, addresses, lengths and fates of all datagrams.
///
/// Not their bytes: those of rustls come from the random numbers of the operating system.
#[derive(Clone, Debug)]
pub struct Trace {
    hash: u64,
    print: bool,
}

impl Trace {
    /// Nothing happened. `print` says whether to write everything to standard error.
    pub fn new(print: bool) -> Self {
        Self {
            // FNV-1a, with words for bytes.
            hash: 0xcbf2_9ce4_8422_2325,
            print,
        }
    }

    /// The fingerprint.
    pub fn hash(&self) -> u64 {
        self.hash
    }

    /// Something happened, which is told apart by `words`.
    pub fn note(&mut self, now: Instant, words: &[u64], line: impl FnOnce() -> String) {
        for word in words.iter().chain([&now.as_nanos()]) {
            self.hash = (self.hash ^ word)
                .wrapping_mul(0x0000_0100_0000_01b3)
                .rotate_left(23);
        }
        if self.print {
            eprintln!("{} {}", Seconds(now), line());
        }
    }
}

/// An instant for humans: in seconds, to the microsecond.
pub(crate) struct Seconds(pub(crate) Instant);

impl fmt::Display for Seconds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let micros = self.0.as_nanos() / 1_000;
        write!(f, "{:4}.{:06}", micros / 1_000_000, micros % 1_000_000)
    }
}
