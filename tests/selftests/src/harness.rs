// SPDX-License-Identifier: MIT OR Apache-2.0

//! What runs the cases: each one in a process of its own, with a time limit, reported as TAP.
//!
//! ```text
//!  runner ──fork──► child: new process group, new network namespace
//!    ▲                       case() ── panics, hangs, is killed … or returns
//!    │ pipe (what it prints)   │
//!    └── pidfd (its end) ◄─────┘ exit status
//! ```

pub(crate) mod case;
pub(crate) mod expect;
pub(crate) mod runner;
pub(crate) mod self_check;
pub(crate) mod tap;
