// SPDX-License-Identifier: GPL-2.0

//! Reads memory after freeing it, once, when it is loaded.

use kernel::prelude::*;

module! {
    type: UseAfterFree,
    name: "use_after_free",
    authors: ["The QUIC authors"],
    description: "Deliberate defect: use after free",
    license: "GPL",
}

struct UseAfterFree;

impl kernel::Module for UseAfterFree {
    fn init(_module: &'static ThisModule) -> Result<Self> {
        let pointer = KBox::into_raw(KBox::new([0x5au8; 64], GFP_KERNEL)?);
        // SAFETY: `pointer` comes from `KBox::into_raw` and is given back once.
        drop(unsafe { KBox::from_raw(pointer) });

        // SAFETY: None. The memory is freed; this is the defect. It is volatile
        // so that the compiler cannot leave it out.
        let byte = unsafe { pointer.cast::<u8>().read_volatile() };
        pr_info!("read {byte:#x} from freed memory\n");
        Ok(Self)
    }
}
