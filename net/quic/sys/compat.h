/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What differs between the supported kernel releases in the C interfaces;
 * compat.rs beside it is the same for Rust.
 */
#ifndef _NET_QUIC_SYS_COMPAT_H
#define _NET_QUIC_SYS_COMPAT_H

#include <linux/version.h>

/* 7.3 took `struct socket` out of the UDP tunnel interface. */
#if LINUX_VERSION_CODE >= KERNEL_VERSION(7, 3, 0)
#define quic_tunnel_handle(sock) ((sock)->sk)
#else
#define quic_tunnel_handle(sock) (sock)
#endif

#endif /* _NET_QUIC_SYS_COMPAT_H */
