// SPDX-License-Identifier: MIT OR Apache-2.0

//! `trace!`: says what an input does, for who looks into a finding.

use std::sync::OnceLock;

/// Whether `FUZZ_TRACE` is set.
pub(crate) fn traces() -> bool {
    static TRACES: OnceLock<bool> = OnceLock::new();
    *TRACES.get_or_init(|| std::env::var_os("FUZZ_TRACE").is_some())
}

macro_rules! trace {
    ($($argument:tt)*) => {
        if $crate::check::traces() {
            eprintln!($($argument)*);
        }
    };
}
