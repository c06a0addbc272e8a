# SPDX-License-Identifier: MIT OR Apache-2.0
"""Tests of what judges the tests: the kernel-log scanner and the TAP reader.
Prints TAP. Needs no VM."""

import sys

import kernel_log
from tap import Tap

# A log without a complaint, of lines that resemble one.
CLEAN = """\
[    0.000000] Linux version 7.3.4 (quic@debug) #1 SMP PREEMPT
[    0.000000] Kernel command line: console=ttyS0 oops=panic panic=-1
[    0.091000] rcu: RCU lockdep checking is enabled.
[    0.092000] Running RCU self tests
[    0.100000] Lock dependency validator: Copyright (c) 2006 Red Hat, Inc., Ingo Molnar
[    0.110000] kmemleak: Kernel memory leak detector initialized (mem pool available: 62183)
[    0.111000] ODEBUG: selftest passed
[    0.120000] mitigations: Enabled attack vectors: user_kernel, SMT mitigations: auto
[    1.300000] clocksource: Watchdog remote CPU 1 read timed out
[    2.100000] quic: loading out-of-tree module taints kernel.
[    2.200000] vm: begin BUG: a name that quotes WARNING: and Call Trace:
[    2.300000] quic: 3 connections, no WARNING for any
[    2.400000] traps: selftest[77] general protection fault ip:7f00 sp:7ffc error:0 in selftest[1000+1]
[    2.500000] vm: end BUG: a name that quotes WARNING: and Call Trace:
[    9.000000] reboot: Restarting system
"""

TRACE = """\
[    5.200001] CPU: 0 UID: 0 PID: 99 Comm: insmod Tainted: G           O        7.3.4 #1
[    5.200002] Call Trace:
[    5.200003]  <TASK>
[    5.200004]  dump_stack_lvl+0x5d/0x80
[    5.200005]  </TASK>
"""

# What must be found: kind -> reports, each as its kernel prints it.
REPORTS = {
    "kunit": [
        "    # rust_doctest_x: EXPECTATION FAILED at net/quic/sys.rs:12\n    not ok 1 rust_doctest_x",
        "not ok 3 quic_sock",
    ],
    "rust-panic": [
        "rust_kernel: panicked at net/quic/core/ack.rs:17:9:\nindex out of bounds\n"
        "------------[ cut here ]------------",
    ],
    "kasan-use-after-free": [
        "==================================================================\n"
        "BUG: KASAN: slab-use-after-free in quic_init+0x1f0/0x2a0 [quic]\n"
        "Read of size 1 at addr ffff888003a5c340 by task insmod/99",
        "BUG: KASAN: use-after-free in foo+0x1/0x2",
    ],
    "kasan-out-of-bounds": ["BUG: KASAN: slab-out-of-bounds in foo+0x1/0x2", "BUG: KASAN: stack-out-of-bounds in foo"],
    "kasan": ["BUG: KASAN: null-ptr-deref in foo+0x1/0x2", "BUG: KASAN: double-free in kfree+0x1/0x2"],
    "kfence": ["BUG: KFENCE: use-after-free read in foo+0x1/0x2"],
    "kcsan": ["BUG: KCSAN: data-race in foo / bar"],
    "ubsan": [
        "------------[ cut here ]------------\nUBSAN: array-index-out-of-bounds in net/core/dev.c:1:1",
        "UBSAN: shift-out-of-bounds in lib/x.c:2:3",
    ],
    "lockdep": [
        "============================================\nWARNING: possible recursive locking detected\n7.3.4 #1 Not tainted",
        "WARNING: possible circular locking dependency detected",
        "WARNING: possible irq lock inversion dependency detected",
        "WARNING: inconsistent lock state",
        "WARNING: SOFTIRQ-safe -> SOFTIRQ-unsafe lock order detected",
        "[ BUG: Invalid wait context ]",
        "WARNING: bad unlock balance detected!",
        "WARNING: lock held when returning to user space!",
        "WARNING: held lock freed!",
        "INFO: trying to register non-static key.",
        "DEBUG_LOCKS_WARN_ON(hlock_class(this)->name != lock->name)\nWARNING: kernel/locking/lockdep.c:1 at x",
        "BUG: spinlock bad magic on CPU#0, insmod/99",
        "BUG: workqueue leaked atomic, lock or RCU: kworker/0:1[9]",
    ],
    "suspicious-rcu": ["=============================\nWARNING: suspicious RCU usage\n7.3.4 #1 Not tainted"],
    "sleep-in-atomic": [
        "BUG: sleeping function called from invalid context at net/core/sock.c:3700\n"
        "in_atomic(): 1, irqs_disabled(): 0, non_block: 0, pid: 99, name: insmod",
        "BUG: scheduling while atomic: insmod/99/0x00000002",
    ],
    "rcu-stall": [
        "rcu: INFO: rcu_preempt detected stalls on CPUs/tasks:",
        "rcu: INFO: rcu_preempt self-detected stall on CPU",
        "rcu: INFO: rcu_preempt detected expedited stalls on CPUs/tasks: { 1-... }",
        "rcu: rcu_preempt kthread starved for 2500 jiffies!",
    ],
    "lockup": [
        "watchdog: BUG: soft lockup - CPU#1 stuck for 22s! [selftest:99]",
        "watchdog: CPU0: Watchdog detected hard LOCKUP on cpu 0",
        "BUG: workqueue lockup - pool cpus=0 node=0 flags=0x0 nice=0 stuck for 31s!",
    ],
    "hung-task": [
        "INFO: task selftest:99 blocked for more than 122 seconds.",
        "INFO: task selftest:99 blocked on a mutex likely owned by task x:1.",
    ],
    "refcount": ["refcount_t: underflow; use-after-free.\nWARNING: lib/refcount.c:28 at refcount_warn_saturate+0x1/0x2"],
    "odebug": ["ODEBUG: free active (active state 0) object: 0 object type: timer_list hint: x"],
    "kmemleak": [
        "kmemleak: 16 new suspected memory leaks (see /sys/kernel/debug/kmemleak)",
        "unreferenced object 0xffff888003a5c340 (size 192):",
    ],
    "slab": [
        "BUG kmalloc-192 (Tainted: G           O      ): Poison overwritten",
        "BUG quic_stream (Not tainted): Objects remaining on __kmem_cache_shutdown()",
        "kmem_cache_destroy quic_stream: Slab cache still has objects when called from quic_exit",
    ],
    "bad-page": ["BUG: Bad page state in process insmod  pfn:12345", "BUG: Bad rss-counter state mm:x type:y val:1"],
    "list-corruption": ["list_add corruption. next->prev should be prev (x), but was y. (next=z).",
                        "list_del corruption, x->next is LIST_POISON1 (dead000000000100)"],
    "leaked-reference": [
        "unregister_netdevice: waiting for veth0 to become free. Usage count = 2",
        "ref_tracker: netdev@ffff has 1/1 users at",
        "leaked reference.",
        "Attempt to release alive inet socket ffff888003a5c340",
    ],
    "oops": [
        "BUG: kernel NULL pointer dereference, address: 0000000000000008\nOops: Oops: 0002 [#1] SMP KASAN",
        "BUG: unable to handle page fault for address: ffffc90000000000",
        "Oops: general protection fault, probably for non-canonical address 0xdead: 0000 [#1] SMP",
        "kernel BUG at net/core/skbuff.c:100!\nOops: invalid opcode: 0000 [#1] SMP",
        "Oops: divide error: 0000 [#1] SMP",
    ],
    "panic": ["Kernel panic - not syncing: sysrq triggered crash"],
    "warning": ["------------[ cut here ]------------\nWARNING: net/core/stream.c:206 at sk_stream_kill_queues+0x1/0x2"],
    "bug": ["BUG: something nobody has thought of"],
    "checker-off": [
        "BUG: MAX_LOCKDEP_ENTRIES too low!",
        "turning off the locking correctness validator.",
        "kmemleak: Kernel memory leak detector disabled",
        "kmemleak: Memory pool empty, consider increasing CONFIG_DEBUG_KMEMLEAK_MEM_POOL_SIZE",
        "ODEBUG: Out of memory. ODEBUG disabled",
    ],
    "call-trace": [""],
}


def log_with(report):
    """The report in the middle of a clean log, with a call trace behind it."""
    head, tail = CLEAN.splitlines(), []
    head, tail = head[:9], head[9:]
    lines = [f"[    5.{number:06}] {line}" for number, line in enumerate(report.splitlines())]
    return "\n".join(head + lines + TRACE.splitlines() + ["[    6.000000] ---[ end trace 0000 ]---"] + tail) + "\n"


def kinds(log):
    return [complaint.kind for complaint in kernel_log.scan(log)]


def equal(found, wanted):
    if found != wanted:
        raise AssertionError(f"{found!r}, not {wanted!r}")


# --- the kernel log

def test_a_clean_log_is_clean():
    equal(kinds(CLEAN), [])


def test_every_report_is_found_as_what_it_is():
    for kind, reports in REPORTS.items():
        for report in reports:
            equal((report, kinds(log_with(report))), (report, [kind]))


def test_every_kind_has_a_sample():
    equal(sorted({kind for kind, _ in kernel_log.CHECKS}), sorted(REPORTS))


def test_every_pattern_is_needed_by_a_sample():
    everything = [line for reports in REPORTS.values() for report in reports for line in report.splitlines()] + ["Call Trace:"]
    for kind, pattern in kernel_log._checks:
        if not any(pattern.search(line) for line in everything):
            raise AssertionError(f"no sample of {kind} has {pattern.pattern}")


def test_without_timestamps_too():
    bare = "\n".join(line[15:] for line in log_with(REPORTS["refcount"][0]).splitlines())
    equal(kinds(bare), ["refcount"])


def test_with_the_thread_in_the_timestamp():
    log = log_with(REPORTS["warning"][0]).replace("] WARNING", "][   T99] WARNING")
    equal(kinds(log), ["warning"])


def test_two_reports_are_two():
    equal(kinds(log_with(REPORTS["warning"][0]) + log_with(REPORTS["hung-task"][0])), ["warning", "hung-task"])
    equal(kinds(log_with(REPORTS["warning"][0]) + log_with(REPORTS["warning"][0])), ["warning", "warning"])


def test_an_oops_and_its_panic():
    log = log_with(REPORTS["oops"][0]) + "[    7.000000] Kernel panic - not syncing: Fatal exception\n"
    equal(kinds(log), ["oops", "panic"])


def test_the_excerpt_is_the_report():
    excerpt = kernel_log.scan(log_with(REPORTS["warning"][0]))[0].excerpt
    equal(("cut here" in excerpt[0], "end trace" in excerpt[-1], len(excerpt)), (True, True, 8))


def test_an_injected_fault_is_no_complaint():
    equal(kinds(log_with("FAULT_INJECTION: forcing a failure.\nname failslab, interval 1")), [])


def test_a_complaint_right_after_an_injected_fault_is_one():
    log = log_with("FAULT_INJECTION: forcing a failure.\nname failslab, interval 1\n" + REPORTS["oops"][0])
    equal(kinds(log), ["oops"])
    equal(kinds(log_with("FAULT_INJECTION: forcing a failure.\n" + REPORTS["warning"][0])), ["warning"])


# --- TAP

def tap_of(text):
    tap = Tap()
    for line in text.splitlines():
        tap.line(line)
    return tap


def test_tap_that_passes():
    for text in (
        "TAP version 13\n1..2\nok 1 - a\nok 2 - b\n",
        "ok 1 a\nok 2 b\n1..2\n",
        "1..1\nok\n",
        "KTAP version 1\n1..2\nok 1 a # SKIP not here\nnot ok 2 b # TODO later\n",
        "1..1\n# Subtest: x\n    1..2\n    ok 1 - y\n    not ok 2 - z # TODO\nok 1 - x\n",
        "1..0 # SKIP no such device\n",
        "ok, let us go\nnothing to see\n",
        "",
    ):
        equal((text, tap_of(text).complaints()), (text, []))


def test_tap_that_fails():
    for text, reason in (
        ("1..2\nok 1 - a\nnot ok 2 - b\n", "not ok: b"),
        ("1..3\nok 1 - a\nok 2 - b\n", "3 tests planned, 2 run"),
        ("1..1\nok 1 - a\nok 2 - b\n", "1 tests planned, 2 run"),
        ("ok 1 - a\n", "1 tests and no plan (1..N)"),
        ("1..3\nok 1 - a\nok 3 - c\n", "test 3 came where 2 was due"),
        ("1..2\nok 1 - a\nok 1 - a\n", "test 1 came where 2 was due"),
        ("1..0\n", "not one test was run"),
        ("1..2\nok 1 - a\nBail out! no memory\n", "it bailed out: no memory"),
        ("1..1\n1..1\nok 1\n", "a second plan"),
    ):
        if reason not in (found := tap_of(text).complaints()):
            raise AssertionError(f"{text!r}: {found!r} lacks {reason!r}")


def test_tap_counts():
    tap = tap_of("1..4\nok 1 - a\nnot ok 2 - b\nok 3 - c # SKIP\nnot ok 4 - d # TODO\n")
    equal((tap.passed, len(tap.failures), tap.skipped), (2, 1, 1))


def main():
    tests = [(name, test) for name, test in globals().items() if name.startswith("test_")]
    print(f"TAP version 13\n1..{len(tests)}")
    failed = False
    for number, (name, test) in enumerate(tests, 1):
        try:
            test()
            verdict, reason = "ok", None
        except AssertionError as error:
            verdict, reason, failed = "not ok", error, True
        print(f"{verdict} {number} - {name.removeprefix('test_').replace('_', ' ')}")
        if reason:
            print(f"# {reason}")
    return failed


if __name__ == "__main__":
    sys.exit(main())
