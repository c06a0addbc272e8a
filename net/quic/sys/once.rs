// SPDX-License-Identifier: GPL-2.0

//! [`Once`]: lets one registration at a time use a `static` table.

use kernel::{
    prelude::*,
    sync::atomic::{Acquire, Atomic, Release},
};

/// Lies beside a `static` table.
pub(super) struct Once(Atomic<bool>);

/// The right to write the table; given back when it is dropped.
pub(super) struct Taken(&'static Once);

impl Once {
    /// Not taken.
    pub(super) const fn new() -> Self {
        Self(Atomic::new(false))
    }

    /// Takes the right. `EBUSY` if somebody has it.
    pub(super) fn take(&'static self) -> Result<Taken> {
        match self.0.cmpxchg(false, true, Acquire) {
            Ok(_) => Ok(Taken(self)),
            Err(_) => Err(EBUSY),
        }
    }
}

impl Drop for Taken {
    fn drop(&mut self) {
        self.0 .0.store(false, Release);
    }
}
