// SPDX-License-Identifier: GPL-2.0

//! Allocates memory and forgets it, when it is loaded.

use kernel::prelude::*;

module! {
    type: Leak,
    name: "leak",
    authors: ["The QUIC authors"],
    description: "Deliberate defect: memory leak",
    license: "GPL",
}

struct Leak;

/// How many boxes are lost. More than one: kmemleak takes a stale pointer on some
/// stack for a reference, and would miss a box that one happens to point to.
const BOXES: u8 = 16;

impl kernel::Module for Leak {
    fn init(_module: &'static ThisModule) -> Result<Self> {
        for number in 0..BOXES {
            // The defect: nobody keeps the pointer.
            let _ = KBox::into_raw(KBox::new([number; 192], GFP_KERNEL)?);
        }
        Ok(Self)
    }
}
