// SPDX-License-Identifier: GPL-2.0
/*
 * What Rust cannot call or write itself; see helpers.h.
 */
#include <linux/module.h>
#include <linux/netdevice.h>
#include <linux/percpu.h>
#include <linux/poll.h>
#include <linux/proc_fs.h>
#include <linux/seq_file.h>
#include <linux/swap.h>
#include <linux/sysctl.h>
#include <linux/uaccess.h>
#include <net/addrconf.h>
#include <net/inet_sock.h>
#include <net/ip.h>
#include <net/ipv6.h>
#include <net/l3mdev.h>
#include <net/net_namespace.h>
#include <net/netns/generic.h>
#include <net/protocol.h>
#include <net/route.h>
#include <net/sock.h>
#include <net/udp_tunnel.h>

#include "helpers.h"

/* Loaded before us, if they are there: best driver first. */
MODULE_SOFTDEP("pre: aesni_intel gcm aes ccm chacha20poly1305");

/* --- layouts ------------------------------------------------------------- */

size_t quic_helper_layout(enum quic_helper_layout which)
{
	static const size_t layouts[QUIC_LAYOUT_MAX] = {
		[QUIC_LAYOUT_SOCK] = sizeof(struct sock),
		[QUIC_LAYOUT_INET_SOCK] = sizeof(struct inet_sock),
		[QUIC_LAYOUT_IPV6_PINFO] = sizeof(struct ipv6_pinfo),
		[QUIC_LAYOUT_PROTO] = sizeof(struct proto),
		[QUIC_LAYOUT_PROTO_OPS] = sizeof(struct proto_ops),
		[QUIC_LAYOUT_PROTOSW] = sizeof(struct inet_protosw),
		[QUIC_LAYOUT_PERNET_OPERATIONS] = sizeof(struct pernet_operations),
		[QUIC_LAYOUT_CTL_TABLE] = sizeof(struct ctl_table),
		[QUIC_LAYOUT_TIMER_LIST] = sizeof(struct timer_list),
		[QUIC_LAYOUT_SK_RCVBUF] = offsetof(struct sock, sk_rcvbuf),
		[QUIC_LAYOUT_SK_MAX_ACK_BACKLOG] = offsetof(struct sock, sk_max_ack_backlog),
		[QUIC_LAYOUT_SK_DESTRUCT] = offsetof(struct sock, sk_destruct),
		[QUIC_LAYOUT_PROTO_OWNER] = offsetof(struct proto, owner),
	};

	return which < QUIC_LAYOUT_MAX ? layouts[which] : 0;
}

/* --- the lock and the lifetime of a socket ------------------------------- */

void quic_helper_lock_sock(struct sock *sk)
{
	lock_sock(sk);
}

void quic_helper_bh_lock_sock(struct sock *sk)
{
	bh_lock_sock(sk);
}

void quic_helper_bh_unlock_sock(struct sock *sk)
{
	bh_unlock_sock(sk);
}

bool quic_helper_sock_owned_by_user(struct sock *sk)
{
	return sock_owned_by_user(sk);
}

bool quic_helper_sk_add_backlog(struct sock *sk, struct sk_buff *skb,
				unsigned int limit)
{
	return !sk_add_backlog(sk, skb, limit);
}

void quic_helper_sock_hold(struct sock *sk)
{
	sock_hold(sk);
}

void quic_helper_sock_put(struct sock *sk)
{
	sock_put(sk);
}

bool quic_helper_sock_hold_unless_zero(struct sock *sk)
{
	return refcount_inc_not_zero(&sk->sk_refcnt);
}

/*
 * Give the lock up, sleep until woken, a signal or the timeout, take the lock
 * again. On the wait queue before the lock is given up: a wake-up that comes
 * between the caller's look and the sleep is not lost.
 */
long quic_helper_sk_wait_exclusive(struct sock *sk, long timeout)
{
	DEFINE_WAIT(wait);

	prepare_to_wait_exclusive(sk_sleep(sk), &wait, TASK_INTERRUPTIBLE);
	release_sock(sk);
	timeout = schedule_timeout(timeout);
	lock_sock(sk);
	finish_wait(sk_sleep(sk), &wait);
	return timeout;
}

/*
 * A class of our own: `bind` takes the lock of a UDP socket of the kernel inside
 * ours, which, if ours is one of the kernel as well, would be of the same class.
 */
void quic_helper_sock_lock_class(struct sock *sk)
{
	static struct lock_class_key slock_keys[2], lock_keys[2];
	bool kern = sk->sk_kern_sock;

	if (kern)
		sock_lock_init_class_and_name(sk, "k-slock-QUIC", &slock_keys[1],
					      "k-sk_lock-QUIC", &lock_keys[1]);
	else
		sock_lock_init_class_and_name(sk, "slock-QUIC", &slock_keys[0],
					      "sk_lock-QUIC", &lock_keys[0]);
}

long quic_helper_sock_rcvtimeo(struct sock *sk, bool nonblock)
{
	return sock_rcvtimeo(sk, nonblock);
}

int quic_helper_sock_intr_errno(long timeout)
{
	return sock_intr_errno(timeout);
}

bool quic_helper_signal_pending(void)
{
	return signal_pending(current);
}

/* --- fields -------------------------------------------------------------- */

void quic_helper_sock_set_rcu_free(struct sock *sk)
{
	sock_set_flag(sk, SOCK_RCU_FREE);
}

bool quic_helper_sk_reuseport(const struct sock *sk)
{
	return sk->sk_reuseport;
}

bool quic_helper_sk_ipv6only(const struct sock *sk)
{
	return ipv6_only_sock(sk);
}

struct net *quic_helper_sock_net(const struct sock *sk)
{
	return sock_net(sk);
}

u32 quic_helper_sock_uid(struct seq_file *seq, struct sock *sk)
{
	return from_kuid_munged(seq_user_ns(seq), sk_uid(sk));
}

u64 quic_helper_sock_ino(struct sock *sk)
{
	return sock_i_ino(sk);
}

u32 quic_helper_sk_uid(struct sock *sk)
{
	return __kuid_val(sk_uid(sk));
}

void quic_helper_sk_account_open(struct sock *sk)
{
	local_bh_disable();
	sk_sockets_allocated_inc(sk);
	sock_prot_inuse_add(sock_net(sk), sk->sk_prot, 1);
	local_bh_enable();
}

void quic_helper_sk_account_close(struct sock *sk)
{
	local_bh_disable();
	sk_sockets_allocated_dec(sk);
	sock_prot_inuse_add(sock_net(sk), sk->sk_prot, -1);
	local_bh_enable();
}

__poll_t quic_helper_poll_wait(struct file *file, struct socket *sock,
			       struct poll_table_struct *wait)
{
	sock_poll_wait(file, sock, wait);
	return 0;
}

void quic_helper_sk_state_change(struct sock *sk)
{
	sk->sk_state_change(sk);
}

/* --- timers -------------------------------------------------------------- */

void quic_helper_timer_setup(struct timer_list *timer,
			     void (*function)(struct timer_list *))
{
	timer_setup(timer, function, 0);
}

unsigned long quic_helper_jiffies_in(u64 nanoseconds)
{
	return jiffies + nsecs_to_jiffies(nanoseconds + TICK_NSEC - 1);
}

/* --- lists --------------------------------------------------------------- */

void quic_helper_sk_add_node_rcu(struct sock *sk, struct hlist_head *list)
{
	sk_add_node_rcu(sk, list);
}

bool quic_helper_sk_del_node_init_rcu(struct sock *sk)
{
	return sk_del_node_init_rcu(sk);
}

bool quic_helper_sk_hashed(struct sock *sk)
{
	return sk_hashed(sk);
}

struct sock *quic_helper_sk_of_node(struct hlist_node *node)
{
	return hlist_entry(node, struct sock, sk_node);
}

/* --- accounting ---------------------------------------------------------- */

static atomic_long_t quic_memory_allocated;
static DEFINE_PER_CPU(int, quic_memory_per_cpu_fw_alloc);
static struct percpu_counter quic_sockets_allocated;
static unsigned long quic_memory_pressure;

static void quic_enter_memory_pressure(struct sock *sk)
{
	WRITE_ONCE(quic_memory_pressure, 1);
}

void quic_helper_proto_init(struct proto *prot)
{
	prot->memory_allocated = &quic_memory_allocated;
	prot->per_cpu_fw_alloc = &quic_memory_per_cpu_fw_alloc;
	prot->sockets_allocated = &quic_sockets_allocated;
	prot->memory_pressure = &quic_memory_pressure;
	prot->enter_memory_pressure = quic_enter_memory_pressure;
}

int quic_helper_accounting_init(void)
{
	return percpu_counter_init(&quic_sockets_allocated, 0, GFP_KERNEL);
}

void quic_helper_accounting_exit(void)
{
	percpu_counter_destroy(&quic_sockets_allocated);
}

/* Defaults from the memory that the machine has, as TCP takes them. */
void quic_helper_accounting_limits(long mem[3], int wmem[3], int rmem[3])
{
	unsigned long limit = max(nr_free_buffer_pages() / 8, 128UL);
	int share = min(4UL << 20, limit << (PAGE_SHIFT - 7));

	mem[0] = limit / 4 * 3;
	mem[1] = limit;
	mem[2] = mem[0] * 2;
	wmem[0] = PAGE_SIZE;
	wmem[1] = 16 << 10;
	wmem[2] = max(64 << 10, share);
	rmem[0] = PAGE_SIZE;
	rmem[1] = 1 << 20;
	rmem[2] = max(1 << 20, share);
}

/* --- network namespaces -------------------------------------------------- */

void *quic_helper_net_generic(const struct net *net, unsigned int id)
{
	return net_generic(net, id);
}

bool quic_helper_net_is_init(const struct net *net)
{
	return net_eq(net, &init_net);
}

bool quic_helper_dev_exists(struct net *net, int ifindex)
{
	bool exists;

	rcu_read_lock();
	exists = dev_get_by_index_rcu(net, ifindex);
	rcu_read_unlock();
	return exists;
}

/* --- addresses ----------------------------------------------------------- */

bool quic_helper_may_bind_port(struct sock *sk, u16 port)
{
	struct net *net = sock_net(sk);

	return !port || !inet_port_requires_bind_service(net, port) ||
	       ns_capable(net->user_ns, CAP_NET_BIND_SERVICE);
}

bool quic_helper_may_bind_v4(struct sock *sk, __be32 address)
{
	struct net *net = sock_net(sk);
	u32 table = l3mdev_fib_table_by_index(net, sk->sk_bound_dev_if);

	return inet_addr_valid_or_nonlocal(net, inet_sk(sk), address,
					   inet_addr_type_table(net, address,
								table ?: RT_TABLE_LOCAL));
}

bool quic_helper_may_bind_v6(struct sock *sk, const u8 address[16], int ifindex)
{
	struct net *net = sock_net(sk);
	struct net_device *dev;
	struct in6_addr in6;
	bool may;

	memcpy(&in6, address, sizeof(in6));
	if (ipv6_addr_any(&in6) || ipv6_can_nonlocal_bind(net, inet_sk(sk)))
		return true;
	rcu_read_lock();
	dev = ifindex ? dev_get_by_index_rcu(net, ifindex) : NULL;
	may = ipv6_chk_addr(net, &in6, dev, 0);
	rcu_read_unlock();
	return may;
}

static void quic_set_local_port(struct sock *sk, u16 port)
{
	inet_sk(sk)->inet_num = port;
	inet_sk(sk)->inet_sport = htons(port);
}

void quic_helper_set_local_v4(struct sock *sk, __be32 address, u16 port)
{
	inet_sk(sk)->inet_rcv_saddr = address;
	inet_sk(sk)->inet_saddr = address;
	if (sk->sk_family == AF_INET6) {
		ipv6_addr_set_v4mapped(address, &sk->sk_v6_rcv_saddr);
		ipv6_addr_set_v4mapped(address, &inet6_sk(sk)->saddr);
	}
	quic_set_local_port(sk, port);
}

void quic_helper_set_local_v6(struct sock *sk, const u8 address[16], u16 port)
{
	memcpy(&sk->sk_v6_rcv_saddr, address, sizeof(struct in6_addr));
	memcpy(&inet6_sk(sk)->saddr, address, sizeof(struct in6_addr));
	quic_set_local_port(sk, port);
}

/* --- procfs and sysctl --------------------------------------------------- */

struct proc_dir_entry *quic_helper_proc_mkdir(struct net *net, const char *name)
{
	return proc_net_mkdir(net, name, net->proc_net);
}

struct proc_dir_entry *quic_helper_proc_single(const char *name,
					       struct proc_dir_entry *parent,
					       int (*show)(struct seq_file *, void *))
{
	return proc_create_net_single(name, 0444, parent, show, NULL);
}

struct net *quic_helper_seq_net(struct seq_file *seq)
{
	return seq_file_single_net(seq);
}

void quic_helper_seq_pointer(struct seq_file *seq, const void *pointer)
{
	seq_printf(seq, "%p", pointer);
}

void *quic_helper_sysctl_register(struct net *net, const char *path,
				  struct ctl_table *table, size_t size)
{
	return register_net_sysctl_sz(net, path, table, size);
}

/* --- counters ------------------------------------------------------------ */

unsigned long __percpu *quic_helper_counters_alloc(unsigned int n)
{
	return __alloc_percpu(array_size(n, sizeof(unsigned long)),
			      __alignof__(unsigned long));
}

void quic_helper_counters_inc(unsigned long __percpu *counters, unsigned int i)
{
	this_cpu_inc(counters[i]);
}

unsigned long quic_helper_counters_sum(unsigned long __percpu *counters,
				       unsigned int i)
{
	unsigned long sum = 0;
	int cpu;

	for_each_possible_cpu(cpu)
		sum += READ_ONCE(per_cpu_ptr(counters, cpu)[i]);
	return sum;
}

/* --- user memory --------------------------------------------------------- */

int quic_helper_copy_from_sockptr(void *to, sockptr_t from, size_t len)
{
	return copy_from_sockptr(to, from, len) ? -EFAULT : 0;
}

int quic_helper_copy_to_sockptr(sockptr_t to, const void *from, size_t len)
{
	return copy_to_sockptr(to, from, len) ? -EFAULT : 0;
}

void quic_helper_memzero_explicit(void *at, size_t len)
{
	memzero_explicit(at, len);
}

/* --- UDP ----------------------------------------------------------------- */

/*
 * A UDP socket of the kernel with the options of @like that decide what it can
 * be bound to: those of foreign addresses, and the range of automatic ports.
 */
int quic_helper_udp_bind(struct sock *like, const void *address, int len,
			 int ifindex, bool ipv6_only, struct socket **sockp)
{
	struct sockaddr_storage storage = {};
	struct socket *sock;
	int err;

	memcpy(&storage, address, min_t(size_t, len, sizeof(storage)));
	err = sock_create_kern(sock_net(like), storage.ss_family, SOCK_DGRAM,
			       IPPROTO_UDP, &sock);
	if (err < 0)
		return err;
	inet_assign_bit(FREEBIND, sock->sk, inet_test_bit(FREEBIND, like));
	inet_assign_bit(TRANSPARENT, sock->sk, inet_test_bit(TRANSPARENT, like));
	WRITE_ONCE(inet_sk(sock->sk)->local_port_range,
		   READ_ONCE(inet_sk(like)->local_port_range));
	if (ifindex)
		err = sock_bindtoindex(sock->sk, ifindex, true);
	if (err >= 0 && storage.ss_family == AF_INET6) {
		lock_sock(sock->sk);
		sock->sk->sk_ipv6only = ipv6_only;
		release_sock(sock->sk);
	}
	if (err >= 0)
		err = kernel_bind(sock, (struct sockaddr_unsized *)&storage, len);
	if (err < 0) {
		sock_release(sock);
		return err;
	}
	*sockp = sock;
	return 0;
}

__be16 quic_helper_udp_port(struct socket *sock)
{
	return inet_sk(sock->sk)->inet_sport;
}

void quic_helper_udp_attach(struct net *net, struct socket *sock, void *owner,
			    quic_helper_encap_rcv_t receive)
{
	struct udp_tunnel_sock_cfg config = {
		.sk_user_data = owner,
		.encap_type = 1,
		.encap_rcv = receive,
	};

	setup_udp_tunnel_sock(net, sock->sk, &config);
}

void quic_helper_udp_release(struct socket *sock)
{
	udp_tunnel_sock_release(sock->sk);
}

void *quic_helper_sk_user_data(struct sock *sk)
{
	return rcu_dereference_sk_user_data(sk);
}

/* --- packets ------------------------------------------------------------- */

void quic_helper_kfree_skb(struct sk_buff *skb)
{
	kfree_skb(skb);
}

/* --- for tests ----------------------------------------------------------- */

#ifdef CONFIG_IP_QUIC_KUNIT_TEST
void quic_helper_local_bh_disable(void)
{
	local_bh_disable();
}

void quic_helper_local_bh_enable(void)
{
	local_bh_enable();
}

struct sk_buff *quic_helper_alloc_skb(unsigned int size)
{
	return alloc_skb(size, GFP_KERNEL);
}

u32 quic_helper_sock_refcnt(struct sock *sk)
{
	return refcount_read(&sk->sk_refcnt);
}
#endif

/* --- deferred freeing ---------------------------------------------------- */

void quic_helper_rcu_barrier(void)
{
	rcu_barrier();
}
