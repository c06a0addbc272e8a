// SPDX-License-Identifier: MIT OR Apache-2.0

//! The list of protocols that a program writes.

use quic_core::alpn::{AlpnList, MAX_TEXT};

pub(crate) fn run(data: &[u8]) {
    let Ok(list) = AlpnList::parse(data) else {
        return;
    };
    let mut text = [0; MAX_TEXT];
    let len = list.write_text(&mut text);
    assert!(len <= data.len());
    let again = AlpnList::parse(&text[..len]).expect("what was written can be read");
    assert_eq!(list, again);
    assert!(list.overlaps(&again));
    for name in list.names() {
        assert!(!name.is_empty() && list.contains(name));
    }
}
