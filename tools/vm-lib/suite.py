# SPDX-License-Identifier: MIT OR Apache-2.0
"""Runs test programs in a VM and prints one TAP document about them.

Each program is a test point with its own points nested below. After the last
one comes `unload` (tools/vm-unload). A kernel that has complained is not trusted
with another program: the rest runs in a new VM.
"""

import os
import sys
import time
from dataclasses import dataclass

import kernel_log
from machine import Machine, VmDied
from tap import Tap

# What a program's environment holds, and nothing else.
ENVIRONMENT = {
    "HOME": "/root",
    "LANG": "C.UTF-8",
    "PATH": "/usr/sbin:/usr/bin:/sbin:/bin",
    "TERM": "dumb",
    "TMPDIR": "/tmp",
    "RUST_BACKTRACE": "1",
}
UNLOAD = "unload"


@dataclass
class Program:
    name: str
    command: list

    @classmethod
    def find(cls, top, name):
        """A test program by its name; None if there is none."""
        for path in (top / "tests/vm" / name, top / "build/userspace/release" / name):
            if path.is_file() and os.access(path, os.X_OK):
                return cls(name, [str(path)])
        return None


def environment(kernel):
    return {**ENVIRONMENT, "VM_KERNEL": "debug" if kernel.is_debug else "stock"}


class Lines:
    """Cuts a stream of bytes into lines and hands them on."""

    def __init__(self, to):
        self.to, self.rest = to, b""

    def __call__(self, data):
        *lines, self.rest = (self.rest + data).split(b"\n")
        for line in lines:
            self.to(line.decode(errors="replace"))

    def end(self):
        if self.rest:
            self(b"\n")


class Suite:
    def __init__(self, kernel, settings, log_directory, timeout, total_timeout):
        self.kernel, self.settings, self.logs = kernel, settings, log_directory
        self.timeout = timeout
        self.deadline = time.monotonic() + total_timeout
        self.machine = None
        self.lives = 0
        self.number = 0
        self.no_vm = None   # why no VM can be had any more
        self.failed = []    # (name, reasons, kernel log)
        self.points = {"passed": 0, "failed": 0, "skipped": 0}

    def run(self, programs):
        """Returns whether all is well."""
        start = time.monotonic()
        self._print("TAP version 13")
        self._print(f"1..{len(programs) + 1}")
        try:
            for program in programs:
                self._run(program)
            self._run(Program(UNLOAD, [str(self.kernel.top / "tools/vm-unload")]))
        finally:
            self._end_machine()
        self._summary(len(programs) + 1, time.monotonic() - start)
        return not self.failed

    # --- one program

    def _run(self, program):
        reasons, tap = [], Tap()
        log = self.logs / f"{program.name}.kernel.log"
        start = time.monotonic()
        self._print(f"# Subtest: {program.name}")
        try:
            self._ensure_machine()
            start = time.monotonic()
            code = self._execute(program, tap)
            if code != 0:
                reasons.append(f"exit code {code}" if code < 128 else f"killed by signal {code - 128}")
        except VmDied as death:
            reasons.append(str(death))
        text = self.machine.log() if self.machine else ""
        log.write_text(text)
        complaints = kernel_log.scan(text)
        reasons += tap.complaints()
        reasons = [f"kernel: {complaint.headline}" for complaint in complaints] + reasons
        self._verdict(program, tap, reasons, complaints, log, time.monotonic() - start)
        if complaints or (self.machine and self.machine.qemu.poll() is not None):
            self._end_machine()

    def _execute(self, program, tap):
        talk = open(self.logs / f"{program.name}.out", "w")

        def out(line):
            talk.write(line + "\n")
            self._print(f"    {line}" if tap.line(line) else f"    # {line}")

        def err(line):
            talk.write(line + "\n")
            self._print(f"    # {line}")

        out_lines, err_lines = Lines(out), Lines(err)
        remaining = max(1, min(self.timeout, self.deadline - time.monotonic()))
        try:
            return self.machine.run(
                program.name, program.command, environment(self.kernel), round(remaining), out_lines, err_lines
            )
        finally:
            out_lines.end()
            err_lines.end()
            talk.close()

    def _verdict(self, program, tap, reasons, complaints, log, seconds):
        self.number += 1
        self.points["passed"] += tap.passed
        self.points["failed"] += len(tap.failures)
        self.points["skipped"] += tap.skipped
        self._print_complaints(complaints)
        if reasons:
            self.failed.append((program.name, reasons, log))
            self._print(f"not ok {self.number} - {program.name} # {seconds:.1f} s")
            for reason in reasons[:20]:
                self._print(f"  # {reason}")
            self._print(f"  # kernel log: {log}")
        elif tap.skip_all is not None:
            self._print(f"ok {self.number} - {program.name} # SKIP {tap.skip_all}")
        else:
            self._print(f"ok {self.number} - {program.name} # {seconds:.1f} s")

    # --- the machine below

    def _ensure_machine(self):
        if time.monotonic() > self.deadline:
            raise VmDied("not run: the time for all tests is over")
        if self.machine:
            return
        if self.no_vm:
            raise VmDied(f"not run: {self.no_vm}")
        self.lives += 1
        start = time.monotonic()
        machine = Machine(self.kernel, self.settings, self.logs / f"console-{self.lives}.log")
        try:
            machine.boot()
        except VmDied as death:
            self.no_vm = f"the VM did not come up: {death}"
        text = machine.log()
        log = self.logs / "boot.kernel.log"
        log.write_text(text)
        complaints = kernel_log.scan(text)
        if complaints or self.no_vm:
            machine.kill()
            self.no_vm = self.no_vm or "the kernel complained while it booted"
            self._print_complaints(complaints)
            self.failed.append(("boot", [self.no_vm] + [c.headline for c in complaints], log))
            raise VmDied(f"not run: {self.no_vm}")
        self.machine = machine
        self._print(f"    # {self.kernel.release} was up after {time.monotonic() - start:.1f} s")

    def _end_machine(self):
        """What the kernel says from the last program on counts too."""
        if not self.machine:
            return
        self.machine.off()
        text, self.machine = self.machine.log(), None
        if complaints := kernel_log.scan(text):
            log = self.logs / "shutdown.kernel.log"
            log.write_text(text)
            self._print_complaints(complaints)
            self.failed.append(("shutdown", [f"kernel: {c.headline}" for c in complaints], log))

    # --- the report

    @staticmethod
    def _print(line):
        sys.stdout.write(line + "\n")
        sys.stdout.flush()

    def _print_complaints(self, complaints):
        for complaint in complaints:
            self._print(f"    # the kernel complained ({complaint.kind}):")
            for line in complaint.excerpt:
                self._print(f"    #   {line}")

    def _summary(self, programs, seconds):
        bad = len({name for name, *_ in self.failed} - {"boot", "shutdown"})
        counts = ", ".join(f"{count} {what}" for what, count in self.points.items() if count)
        self._print(f"# {self.kernel.name}: {programs - bad} of {programs} programs passed"
                    f" (test points: {counts or 'none'}), {seconds:.0f} s, {self.lives} VM(s)")
        for name, reasons, log in self.failed:
            self._print(f"# FAILED {name}: {reasons[0]}")
            self._print(f"#   kernel log: {log}")
