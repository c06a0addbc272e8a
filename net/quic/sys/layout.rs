// SPDX-License-Identifier: GPL-2.0

//! Compares what bindgen made of the kernel's structures with what the kernel's compiler makes of
//! them.
//!
//! bindgen asks libclang, whatever compiler has built the kernel. A difference would be memory
//! corruption, so the module does not load then.

use super::bindings::{self, *};
use core::mem::{offset_of, size_of};
use kernel::{
    error::{code::EINVAL, Result},
    pr_err,
};

/// `EINVAL` if a structure that Rust looks into is not what C takes it for.
pub(crate) fn check() -> Result {
    let ours = [
        (quic_helper_layout_QUIC_LAYOUT_SOCK, size_of::<sock>()),
        (
            quic_helper_layout_QUIC_LAYOUT_INET_SOCK,
            size_of::<inet_sock>(),
        ),
        (
            quic_helper_layout_QUIC_LAYOUT_IPV6_PINFO,
            size_of::<ipv6_pinfo>(),
        ),
        (quic_helper_layout_QUIC_LAYOUT_PROTO, size_of::<proto>()),
        (
            quic_helper_layout_QUIC_LAYOUT_PROTO_OPS,
            size_of::<proto_ops>(),
        ),
        (
            quic_helper_layout_QUIC_LAYOUT_PROTOSW,
            size_of::<inet_protosw>(),
        ),
        (
            quic_helper_layout_QUIC_LAYOUT_PERNET_OPERATIONS,
            size_of::<pernet_operations>(),
        ),
        (
            quic_helper_layout_QUIC_LAYOUT_CTL_TABLE,
            size_of::<ctl_table>(),
        ),
        (
            quic_helper_layout_QUIC_LAYOUT_TIMER_LIST,
            size_of::<timer_list>(),
        ),
        (
            quic_helper_layout_QUIC_LAYOUT_SK_RCVBUF,
            offset_of!(sock, sk_rcvbuf),
        ),
        (
            quic_helper_layout_QUIC_LAYOUT_SK_MAX_ACK_BACKLOG,
            offset_of!(sock, sk_max_ack_backlog),
        ),
        (
            quic_helper_layout_QUIC_LAYOUT_SK_DESTRUCT,
            offset_of!(sock, sk_destruct),
        ),
        (
            quic_helper_layout_QUIC_LAYOUT_PROTO_OWNER,
            offset_of!(proto, owner),
        ),
    ];
    const _: () = assert!(quic_helper_layout_QUIC_LAYOUT_MAX == 13);
    let mut agree = true;
    for (which, ours) in ours {
        // SAFETY: No conditions.
        let theirs = unsafe { bindings::quic_helper_layout(which) };
        if ours != theirs {
            pr_err!("layout {which}: {ours} for bindgen, {theirs} for the compiler\n");
            agree = false;
        }
    }
    if agree {
        Ok(())
    } else {
        Err(EINVAL)
    }
}
