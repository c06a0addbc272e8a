// SPDX-License-Identifier: MIT OR Apache-2.0

//! A target under libFuzzer, which `FUZZ_TARGET` names. `tools/fuzz` builds and runs it.

#![no_main]

use std::sync::OnceLock;

fn target() -> &'static fuzz::Target {
    static TARGET: OnceLock<&fuzz::Target> = OnceLock::new();
    TARGET.get_or_init(|| {
        let name = std::env::var("FUZZ_TARGET").unwrap_or_default();
        let found = fuzz::TARGETS.iter().find(|target| target.name == name);
        found.unwrap_or_else(|| panic!("FUZZ_TARGET names no target: {name:?}"))
    })
}

libfuzzer_sys::fuzz_target!(|data: &[u8]| (target().run)(data));
