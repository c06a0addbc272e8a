# SPDX-License-Identifier: MIT OR Apache-2.0
"""Finds in a kernel log what the kernel complained about.

Each line is held against CHECKS, the first that matches names the complaint.
A complaint is a report of many lines; those that only belong to it (its call
trace, a second headline of the same kind) do not count again. Lines that ALLOWED
matches are known noise, each with its reason.
"""

import re
from dataclasses import dataclass

# (kind, pattern), the particular before the general. A kind is what
# `tools/vm --expect` and a report call it.
CHECKS = [
    # A checker that has switched itself off finds nothing more, and must not
    # pass for one that is content.
    ("checker-off", r"turning off the locking correctness validator|BUG: MAX_"),
    ("checker-off", r"Kernel memory leak detector disabled|kmemleak: (Memory pool empty|Cannot allocate a kmemleak_object)"),
    ("checker-off", r"ODEBUG: Out of memory|Stack depot reached limit|ref_tracker: memory allocation failure"),
    ("kunit", r"^ *not ok \d+|(EXPECTATION|ASSERTION) FAILED at"),
    ("rust-panic", r"rust_kernel: panicked at|panicked at .*\.rs:\d+"),
    ("kasan-use-after-free", r"BUG: KASAN: (slab-)?use-after-free"),
    ("kasan-out-of-bounds", r"BUG: KASAN: \S*out-of-bounds"),
    ("kasan", r"BUG: KASAN:"),
    ("kfence", r"BUG: KFENCE:"),
    ("kcsan", r"BUG: KCSAN:"),
    ("ubsan", r"UBSAN:"),
    # lockdep: order of locks, locks in interrupts, locks held where none may be.
    ("lockdep", r"possible recursive locking detected"),
    ("lockdep", r"possible circular locking dependency detected"),
    ("lockdep", r"possible irq lock inversion dependency detected"),
    ("lockdep", r"inconsistent lock state"),
    ("lockdep", r"(HARD|SOFT)IRQ-safe -> (HARD|SOFT)IRQ-unsafe lock order detected"),
    ("lockdep", r"Invalid wait context"),
    ("lockdep", r"bad unlock balance detected|bad contention detected"),
    ("lockdep", r"lock held when returning to user space"),
    ("lockdep", r"still has locks held|held lock freed|workqueue leaked"),
    ("lockdep", r"INFO: trying to register non-static key|nested lock was not taken"),
    ("lockdep", r"DEBUG_LOCKS_WARN_ON|BUG: (spinlock|rwlock|mutex)"),
    ("suspicious-rcu", r"suspicious RCU usage|Illegal context switch in RCU"),
    ("sleep-in-atomic", r"sleeping function called from invalid context"),
    ("sleep-in-atomic", r"scheduling while atomic"),
    ("rcu-stall", r"rcu.*(detected stall|self-detected stall|kthread starved|detected expedited stalls)"),
    ("lockup", r"soft lockup - CPU|hard LOCKUP|BUG: workqueue lockup"),
    ("hung-task", r"INFO: task .* blocked (for more than|on)"),
    ("refcount", r"refcount_t:"),
    ("odebug", r"ODEBUG:"),
    ("kmemleak", r"kmemleak: \d+ new suspected memory leaks|unreferenced object 0x"),
    # Slab and page allocator.
    ("slab", r"BUG \S+ \((Not tainted|Tainted)|BUG kmalloc"),
    ("slab", r"Objects remaining (in|on)|Slab cache still has objects|Poison overwritten|Redzone overwritten"),
    ("slab", r"Object already free|Invalid object pointer|(double|invalid)[ -]free"),
    ("bad-page", r"BUG: Bad (page|rss-counter|swap)"),
    ("list-corruption", r"list_(add|del) corruption|(list_add|list_del) .*should be"),
    # The network stack's own book-keeping.
    ("leaked-reference", r"unregister_netdevice: waiting for|leaked reference|ref_tracker: .* users at"),
    ("leaked-reference", r"ref_tracker: reference already released|Attempt to release .* socket"),
    # Everything that takes the kernel down.
    ("oops", r"Oops:|general protection fault(?! ip:)|kernel BUG at|invalid opcode:|double fault"),
    ("oops", r"BUG: (unable to handle|kernel NULL pointer|stack guard page)|divide error:|int3:"),
    ("panic", r"Kernel panic"),
    ("warning", r"WARNING:"),
    ("bug", r"BUG:"),
    # Only if nothing above explains it.
    ("call-trace", r"Call Trace:"),
]

# (pattern, why such a line is no complaint)
ALLOWED = [
    (r"ODEBUG: (selftest passed|\d+ of \d+ active objects replaced)", "what it says at boot when all is well"),
]

# Kinds that only say that there is something. Inside the report of another they
# are part of it: a refcount_t complaint is printed by a WARN, and so on.
GENERAL = {"warning", "bug", "call-trace"}
# A report without an end mark is taken to be this long.
REPORT_LINES = 80
# What precedes a call trace that somebody asked for.
ASKED_FOR = r"FAULT_INJECTION: forcing a failure|sysrq: Show"
EXCERPT_LINES = 45

_timestamp = re.compile(r"^\[ *\d+\.\d+\](\[ *[CT]\d+\])? ?")
_checks = [(kind, re.compile(pattern)) for kind, pattern in CHECKS]
_allowed = [re.compile(pattern) for pattern, _ in ALLOWED]
_asked_for = re.compile(ASKED_FOR)
_begin = re.compile(r"cut here|={20}|-{20}")
_end = re.compile(r"---\[ end |^vm: end ")


@dataclass
class Complaint:
    kind: str
    headline: str
    excerpt: list  # lines of the log, with their timestamps


def scan(log):
    """The complaints in a kernel log, in their order."""
    lines = log.splitlines()
    messages = [_timestamp.sub("", line) for line in lines]
    complaints = []
    kind, report_end = None, -1  # the report that the line may belong to
    for number, message in enumerate(messages):
        if _end.search(message):
            report_end = number
        elif message.startswith("vm: "):  # ours; a test's name may quote a complaint
            pass
        elif any(pattern.search(message) for pattern in _allowed):
            pass
        elif _asked_for.search(message):
            kind, report_end = None, number + REPORT_LINES
        elif found := _kind(message):
            part_of_it = {"call-trace"} if kind is None else {kind, *GENERAL}
            if number <= report_end and found in part_of_it:
                continue
            kind, report_end = found, number + REPORT_LINES
            complaints.append(Complaint(kind, message, _excerpt(lines, messages, number)))
    return complaints


def _kind(message):
    return next((kind for kind, pattern in _checks if pattern.search(message)), None)


def _excerpt(lines, messages, headline):
    """The report around a headline: from the ruler above it to its end mark."""
    start = headline
    for above in range(max(headline - 3, 0), headline):
        if _begin.search(messages[above]):
            start = above
            break
    end = min(len(lines), start + EXCERPT_LINES)
    for below in range(headline + 1, end):
        if _end.search(messages[below]):
            end = below + 1
            break
    return lines[start:end]
