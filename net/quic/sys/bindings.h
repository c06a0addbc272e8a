/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What bindgen reads: see sys/bindgen_parameters for what it makes of it.
 */
#include <asm/ioctls.h>
#include <linux/net.h>
#include <linux/netdevice.h>
#include <linux/percpu.h>
#include <linux/poll.h>
#include <linux/proc_fs.h>
#include <linux/rcupdate.h>
#include <linux/seq_file.h>
#include <linux/sockios.h>
#include <linux/sysctl.h>
#include <linux/timer.h>
#include <linux/tls.h>
#include <net/inet_common.h>
#include <net/ip.h>
#include <net/ipv6.h>
#include <net/net_namespace.h>
#include <net/protocol.h>
#include <net/sock.h>
#include <net/udp_tunnel.h>
#include <linux/quic.h>

#include "../helpers.h"

/* For the one structure that bindgen gets wrong: see bindings.rs. */
enum {
	QUIC_SOCKET_LOCK_SIZE = sizeof(socket_lock_t),
};
