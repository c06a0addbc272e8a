// SPDX-License-Identifier: GPL-2.0

//! Does what may sleep while it holds a spinlock, once, when it is loaded.

use kernel::{new_spinlock, prelude::*, sync::SpinLock, task::might_sleep};

module! {
    type: SleepInAtomic,
    name: "sleep_in_atomic",
    authors: ["The QUIC authors"],
    description: "Deliberate defect: sleeping with a spinlock held",
    license: "GPL",
}

struct SleepInAtomic {
    _lock: Pin<KBox<SpinLock<u32>>>,
}

impl kernel::Module for SleepInAtomic {
    fn init(_module: &'static ThisModule) -> Result<Self> {
        let lock: Pin<KBox<SpinLock<u32>>> = KBox::pin_init(new_spinlock!(0), GFP_KERNEL)?;
        {
            let mut count = lock.lock();
            *count += 1;
            // The defect. Every function that may sleep begins with this; what
            // it would do after that is of no interest here.
            might_sleep();
        }
        Ok(Self { _lock: lock })
    }
}
