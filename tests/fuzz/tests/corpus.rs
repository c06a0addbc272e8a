// SPDX-License-Identifier: MIT OR Apache-2.0

//! Gives the inputs that were kept to their targets: none may fail again.

use std::fs;
use std::path::{Path, PathBuf};

fn inputs(directory: &Path) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(directory) else {
        return Vec::new();
    };
    let mut inputs: Vec<PathBuf> = entries.map(|entry| entry.expect("entry").path()).collect();
    inputs.sort();
    inputs
}

fn replay(name: &str) {
    let target = fuzz::TARGETS.iter().find(|target| target.name == name);
    let target = target.unwrap_or_else(|| panic!("no target {name}"));
    (target.run)(&[]);
    let top = Path::new(env!("CARGO_MANIFEST_DIR"));
    for kind in ["corpus", "findings"] {
        for path in inputs(&top.join(kind).join(name)) {
            // Shown if the target fails.
            println!("{}", path.display());
            (target.run)(&fs::read(&path).expect("readable"));
        }
    }
}

macro_rules! targets {
    ($($name:ident)*) => {
        $(#[test]
        fn $name() {
            replay(stringify!($name));
        })*

        #[test]
        fn every_target_is_here() {
            let names: Vec<&str> = fuzz::TARGETS.iter().map(|target| target.name).collect();
            assert_eq!(names, [$(stringify!($name)),*]);
        }
    };
}

targets! {
    varint
    packet
    frames
    transport_parameters
    client_hello
    alpn
    acks
    tokens
    connection_handshake
    connection_established
}
