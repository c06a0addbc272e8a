/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What Rust cannot call or write itself: static inlines and macros, per-CPU
 * variables, lock classes, and short sequences of C calls that belong together.
 * Nothing in here knows the protocol.
 */
#ifndef _NET_QUIC_HELPERS_H
#define _NET_QUIC_HELPERS_H

#include <linux/sockptr.h>
#include <linux/types.h>
#include <linux/wait.h>

struct ctl_table;
struct in6_addr;
struct net;
struct percpu_counter;
struct poll_table_struct;
struct proc_dir_entry;
struct proto;
struct seq_file;
struct sk_buff;
struct sock;
struct socket;

/*
 * Sizes and offsets as the compiler of the kernel has them. bindgen relies on
 * libclang, and the two must agree: sys/layout.rs compares.
 */
enum quic_helper_layout {
	QUIC_LAYOUT_SOCK,
	QUIC_LAYOUT_INET_SOCK,
	QUIC_LAYOUT_IPV6_PINFO,
	QUIC_LAYOUT_PROTO,
	QUIC_LAYOUT_PROTO_OPS,
	QUIC_LAYOUT_PROTOSW,
	QUIC_LAYOUT_PERNET_OPERATIONS,
	QUIC_LAYOUT_CTL_TABLE,
	QUIC_LAYOUT_TIMER_LIST,
	QUIC_LAYOUT_SK_RCVBUF,
	QUIC_LAYOUT_SK_MAX_ACK_BACKLOG,
	QUIC_LAYOUT_SK_DESTRUCT,
	QUIC_LAYOUT_PROTO_OWNER,
	QUIC_LAYOUT_MAX
};
size_t quic_helper_layout(enum quic_helper_layout which);

/* The lock and the lifetime of a socket. */
void quic_helper_lock_sock(struct sock *sk);
void quic_helper_bh_lock_sock(struct sock *sk);
void quic_helper_bh_unlock_sock(struct sock *sk);
bool quic_helper_sock_owned_by_user(struct sock *sk);
bool quic_helper_sk_add_backlog(struct sock *sk, struct sk_buff *skb,
				unsigned int limit);
void quic_helper_sock_hold(struct sock *sk);
void quic_helper_sock_put(struct sock *sk);
bool quic_helper_sock_hold_unless_zero(struct sock *sk);
long quic_helper_sk_wait_exclusive(struct sock *sk, long timeout);
void quic_helper_sock_lock_class(struct sock *sk);
long quic_helper_sock_rcvtimeo(struct sock *sk, bool nonblock);
int quic_helper_sock_intr_errno(long timeout);
bool quic_helper_signal_pending(void);

/* Fields that C keeps in bitfields, flags or behind accessors. */
void quic_helper_sock_set_rcu_free(struct sock *sk);
bool quic_helper_sk_reuseport(const struct sock *sk);
bool quic_helper_sk_ipv6only(const struct sock *sk);
struct net *quic_helper_sock_net(const struct sock *sk);
u32 quic_helper_sock_uid(struct seq_file *seq, struct sock *sk);
u64 quic_helper_sock_ino(struct sock *sk);
u32 quic_helper_sk_uid(struct sock *sk);
void quic_helper_sk_account_open(struct sock *sk);
void quic_helper_sk_account_close(struct sock *sk);
__poll_t quic_helper_poll_wait(struct file *file, struct socket *sock,
			       struct poll_table_struct *wait);
void quic_helper_sk_state_change(struct sock *sk);

/* Timers. */
void quic_helper_timer_setup(struct timer_list *timer,
			     void (*function)(struct timer_list *));
unsigned long quic_helper_jiffies_in(u64 nanoseconds);

/* Lists of sockets, read under RCU. */
void quic_helper_sk_add_node_rcu(struct sock *sk, struct hlist_head *list);
bool quic_helper_sk_del_node_init_rcu(struct sock *sk);
bool quic_helper_sk_hashed(struct sock *sk);
struct sock *quic_helper_sk_of_node(struct hlist_node *node);

/* Memory and socket accounting that `struct proto` points to. */
void quic_helper_proto_init(struct proto *prot);
int quic_helper_accounting_init(void);
void quic_helper_accounting_exit(void);
void quic_helper_accounting_limits(long mem[3], int wmem[3], int rmem[3]);

/* Network namespaces. */
void *quic_helper_net_generic(const struct net *net, unsigned int id);
bool quic_helper_net_is_init(const struct net *net);
bool quic_helper_dev_exists(struct net *net, int ifindex);

/* Addresses. */
bool quic_helper_may_bind_port(struct sock *sk, u16 port);
bool quic_helper_may_bind_v4(struct sock *sk, __be32 address);
bool quic_helper_may_bind_v6(struct sock *sk, const u8 address[16], int ifindex);
void quic_helper_set_local_v4(struct sock *sk, __be32 address, u16 port);
void quic_helper_set_local_v6(struct sock *sk, const u8 address[16], u16 port);

/* procfs and sysctl. */
struct proc_dir_entry *quic_helper_proc_mkdir(struct net *net, const char *name);
struct proc_dir_entry *quic_helper_proc_single(const char *name,
					       struct proc_dir_entry *parent,
					       int (*show)(struct seq_file *, void *));
struct net *quic_helper_seq_net(struct seq_file *seq);
void quic_helper_seq_pointer(struct seq_file *seq, const void *pointer);
void *quic_helper_sysctl_register(struct net *net, const char *path,
				  struct ctl_table *table, size_t size);

/* Counters, one set a CPU. */
unsigned long __percpu *quic_helper_counters_alloc(unsigned int n);
void quic_helper_counters_inc(unsigned long __percpu *counters, unsigned int i);
unsigned long quic_helper_counters_sum(unsigned long __percpu *counters,
				       unsigned int i);

/* User memory. */
int quic_helper_copy_from_sockptr(void *to, sockptr_t from, size_t len);
int quic_helper_copy_to_sockptr(sockptr_t to, const void *from, size_t len);
void quic_helper_memzero_explicit(void *at, size_t len);

/* UDP sockets that carry us. */
typedef int (*quic_helper_encap_rcv_t)(struct sock *sk, struct sk_buff *skb);
int quic_helper_udp_bind(struct sock *like, const void *address, int len,
			 int ifindex, bool ipv6_only, struct socket **sockp);
__be16 quic_helper_udp_port(struct socket *sock);
void quic_helper_udp_attach(struct net *net, struct socket *sock, void *owner,
			    quic_helper_encap_rcv_t receive);
void quic_helper_udp_release(struct socket *sock);
void *quic_helper_sk_user_data(struct sock *sk);

/* Packets. */
void quic_helper_kfree_skb(struct sk_buff *skb);

#ifdef CONFIG_IP_QUIC_KUNIT_TEST
/* For tests: to play a softirq. */
void quic_helper_local_bh_disable(void);
void quic_helper_local_bh_enable(void);
struct sk_buff *quic_helper_alloc_skb(unsigned int size);
u32 quic_helper_sock_refcnt(struct sock *sk);
#endif

/* Deferred freeing. */
void quic_helper_rcu_barrier(void);

#endif /* _NET_QUIC_HELPERS_H */
