# SPDX-License-Identifier: MIT OR Apache-2.0
"""One life of a VM: start it, run jobs in it, read its kernel log, end it.

    boot("serve") --> serving --run()--> serving ... --off()--> ended
      |                   |
      +----- VmDied ------+   (panic, timeout, qemu's own end)

    boot("shell") --> a shell --shell()--> ended

The guest's side of the conversation is tools/vm-init.
"""

import os
import re
import selectors
import signal
import socket
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

import terminal
from kernel import hash_of, run

# A guest that is not up after this long will not come up. It takes seconds on an
# idle machine, minutes for a debug kernel that shares a core with other work.
BOOT_SECONDS = 600
# Without PM timer the kernel checks its APIC timer against the emulated interval
# timer. On a busy host that one loses ticks, and the guest is left with a clock of
# 4 ms, in which no timing test means anything. Then another boot may fare better.
BOOT_ATTEMPTS = 4
NO_TIMER = "APIC timer disabled due to verification failure"
# The same cause, noticed earlier: the kernel gives up.
NO_TICK = "IO-APIC + timer doesn't work"
# How often files that the guest writes are looked at.
POLL_SECONDS = 0.05


class VmDied(Exception):
    """The VM ended, or was ended, before it was asked to."""


class TimedOut(VmDied):
    """A job had no end, so the VM was given one."""


@dataclass
class Settings:
    """What the command line says about the machine."""

    memory: str
    cpus: int = 2
    icount: bool = False
    append: str = ""
    load_module: bool = True
    echo_console: bool = False


def quote(word):
    return "'" + word.replace("'", "'\\''") + "'"


def tsc_khz(top):
    source = top / "tools/vm-lib/tsc.c"
    program = top / f"build/vm/tsc-{hash_of(source)}"
    if not program.exists():
        partial = program.with_name(f".partial-{os.urandom(4).hex()}")
        run("gcc", "-O2", "-o", partial, source)
        partial.rename(program)
    return int(run(program))


class Tail:
    """Reads what has been added to a file since the last look."""

    def __init__(self, path):
        self.path, self.position = path, 0

    def read(self):
        try:
            with open(self.path, "rb") as file:
                file.seek(self.position)
                data = file.read()
        except FileNotFoundError:
            return b""
        self.position += len(data)
        return data


class Machine:
    def __init__(self, kernel, settings, console):
        """`console` is the file that gets the whole kernel log."""
        self.kernel, self.settings, self.console = kernel, settings, Path(console)
        self.share = Path("/tmp/vm") / os.urandom(4).hex()
        self.modules = self.share / "lib/modules" / kernel.release
        self.jobs = 0
        self.console_tail = Tail(self.console)
        self.unread_log = ""    # of the kernel log: not yet given out by log()
        self.control = None     # our end of the guest's ttyS1
        self.received = b""     # from there: less than a line
        self.qemu = None

    # --- the beginning

    def boot(self, mode="serve"):
        """Starts the VM and waits until it serves, or has a shell for shell()."""
        self._prepare(mode)
        for _ in range(BOOT_ATTEMPTS):
            try:
                self._start()
            except VmDied:
                self._echo()
                if NO_TICK not in self.unread_log:
                    raise
            else:
                if NO_TIMER not in self.unread_log:
                    return
            self.kill()
            self.console_tail, self.unread_log = Tail(self.console), ""
        raise VmDied(f"the guest had no APIC timer in {BOOT_ATTEMPTS} boots; this machine is too busy")

    def shell(self):
        """Gives the guest our terminal until its shell ends. Returns whether it did; else the user
        has ended the VM."""
        greeting, self.received = self.received, b""
        ended = terminal.relay(self.control, greeting)
        self.kill()
        return ended

    def _prepare(self, mode):
        """What the guest finds when it comes up."""
        (self.share / "share/job").mkdir(parents=True)
        try:
            columns, rows = os.get_terminal_size(0)
        except OSError:  # no terminal
            columns, rows = 0, 0
        load = self.settings.load_module and self.kernel.quic_module.exists()
        (self.share / "share/config").write_text(
            f"TOP={quote(str(self.kernel.top))}\nMODE={mode}\nHOST={quote('quic-' + self.kernel.name)}\n"
            f"LOAD={int(load)}\nROWS={rows or 24}\nCOLUMNS={columns or 80}\n"
        )
        self.kernel.module_tree(self.modules)
        self.console.parent.mkdir(parents=True, exist_ok=True)
        self.console.write_bytes(b"")

    def _start(self):
        self.control, theirs = socket.socketpair()
        self.control.setblocking(False)
        with theirs:  # ours must be the only other end, or qemu's death goes unnoticed
            self.qemu = subprocess.Popen(
                self._command(f"socket,id=control,fd={theirs.fileno()}"),
                pass_fds=[theirs.fileno()],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
            )
        line = self._line(time.monotonic() + BOOT_SECONDS)
        if line != "ready":
            self.kill()
            raise VmDied(f"the VM was not up after {BOOT_SECONDS} s" if line is None else line.removeprefix("fail "))
        self._log_until("vm: ready")

    def _command(self, control):
        settings, kernel = self.settings, self.kernel
        if settings.icount:
            # Guest time counts instructions: results repeat on any machine. One
            # CPU, because only then is there one order of instructions. Without
            # erms and fsrm, else every byte of a `rep movsb` counts as one.
            accelerator = ["-accel", "tcg,thread=single", "-icount", "shift=0,sleep=on"]
            without, cpus = ",-erms,-fsrm", 1
        else:
            accelerator = ["-accel", "tcg,thread=multi"]
            without, cpus = "", settings.cpus
        # Page tables of four levels: KASAN asks the features of the CPU how many
        # there are, and identify_cpu() clears them for a moment, in which an
        # interrupt would fill the log with complaints.
        cpu = "max,-la57" + without
        command = ["qemu-system-x86_64", "-name", f"quic-{kernel.name}", *accelerator]
        # A socket for each CPU: without ACPI the kernel learns of the CPUs from
        # the MP table, and there stands one for each socket.
        command += ["-machine", "pc", "-cpu", cpu, "-smp", f"{cpus},sockets={cpus}"]
        command += ["-m", settings.memory, "-nodefaults", "-no-user-config", "-no-reboot"]
        command += ["-display", "none"]
        command += ["-kernel", str(kernel.image()), "-initrd", str(kernel.initramfs())]
        command += ["-append", self._kernel_parameters()]
        command += ["-chardev", f"file,id=console,path={self.console}"]
        command += ["-chardev", control]
        command += ["-device", "isa-serial,chardev=console", "-device", "isa-serial,chardev=control"]
        exports = [
            ("root", "/srv/guest", "on"),
            ("checkout", kernel.top, "on"),
            ("modules", self.modules, "on"),
            ("share", self.share / "share", "off"),
        ]
        for tag, path, read_only in exports:
            command += ["-fsdev", f"local,id={tag},path={path},security_model=none,multidevs=remap,readonly={read_only}"]
            command += ["-device", f"virtio-9p-pci,fsdev={tag},mount_tag={tag}"]
        return command

    def _kernel_parameters(self):
        settings, config = self.settings, self.kernel.config
        parameters = [
            "console=ttyS0",
            # A sick kernel ends at once: the first oops panics, a panic restarts,
            # and -no-reboot makes a restart the end of qemu. `t` is the only way
            # to restart that needs no ACPI and no keyboard controller.
            "oops=panic panic=-1 reboot=t",
            # What programs write to /dev/kmsg marks where a test begins and ends.
            "printk.devkmsg=on",
            # On a busy host the guest may stand still for long; a real stall lasts.
            "rcupdate.rcu_cpu_stall_timeout=60 workqueue.watchdog_thresh=60",
            # For speed: the self-tests are a fifth of the boot.
            "cryptomgr.notests=1",
        ]
        # Without ACPI (see below) the guest has nothing dependable to measure its
        # TSC against, so it is told (see tsc.c), and that it needs no watching.
        # Under -icount the TSC counts nanoseconds of guest time.
        khz = 1_000_000 if settings.icount else tsc_khz(self.kernel.top)
        parameters.append(f"tsc=reliable tsc_early_khz={khz} lpj={khz * 1000 // self.kernel.ticks_per_second}")
        if "CONFIG_ACPI=y" in config:
            # Another fifth of the boot, of no consequence for a network protocol;
            # and a debug kernel interprets it so slowly that it gives up.
            parameters.append("acpi=off")
        if "CONFIG_X86_PM_TIMER=y" in config:
            parameters.append("pmtmr=0x608")  # where SeaBIOS puts it; see NO_TIMER
        if "CONFIG_SOFTLOCKUP_DETECTOR=y" in config:
            parameters.append("watchdog_thresh=30")
        if "CONFIG_DEBUG_KMEMLEAK=y" in config:
            # The allocator's sheaves keep pointers to what it has handed out, which
            # kmemleak takes for references: dozens of objects of a size can be lost
            # unseen. Any debugging of a slab cache does without sheaves; F (sanity
            # checks) is the cheapest. It would also have the kernel print pointers as
            # they are; the tests want them hashed, as users have them.
            parameters.append("slab_debug=F hash_pointers=always")
        if "CONFIG_KASAN=y" in config:
            parameters.append("kasan_multi_shot")  # report more than the first finding
            parameters.append("kunit.filter_glob=quic_*")  # not the suites of the kernel itself
        if settings.icount:
            parameters.append("mitigations=off")
        return " ".join([*parameters, settings.append]).strip()

    # --- the conversation

    def _line(self, deadline, meanwhile=lambda: None):
        """The next line of the guest's, or None at the deadline."""
        with selectors.DefaultSelector() as selector:
            selector.register(self.control, selectors.EVENT_READ)
            while b"\n" not in self.received:
                meanwhile()
                self._echo()
                if time.monotonic() > deadline:
                    return None
                if selector.select(POLL_SECONDS):
                    data = self.control.recv(65536)
                    self.received += data
                    if not data:
                        raise VmDied(self._epitaph())
        line, self.received = self.received.split(b"\n", 1)
        return line.decode(errors="replace").strip()

    def _epitaph(self):
        """qemu has ended; what it said, if it was not the guest's doing."""
        said = self.qemu.communicate()[0] or b""
        said = said.decode(errors="replace").strip()
        if self.qemu.returncode:
            return f"qemu ended with code {self.qemu.returncode}" + (f": {said}" if said else "")
        return "the VM ended by itself" + (f" ({said})" if said else "")

    def _say(self, line):
        try:
            self.control.sendall(line.encode() + b"\n")
        except OSError:
            raise VmDied(self._epitaph()) from None

    def run(self, name, command, environment, timeout, out, err):
        """Runs a command in the guest, in the checkout, as root. `out` and `err`
        get its output as it comes. Returns its exit code; raises VmDied.
        `name` is one word; it marks the kernel log."""
        number, self.jobs = self.jobs, self.jobs + 1
        job = self.share / f"share/job/{number}"
        job.mkdir()
        words = [f"{key}={value}" for key, value in environment.items()] + list(command)
        (job / "run").write_text(
            f"cd {quote(str(self.kernel.top))} && exec /usr/bin/env -i {' '.join(map(quote, words))}\n"
        )
        outputs = [(Tail(job / "out"), out), (Tail(job / "err"), err)]

        def pass_on():
            for tail, to in outputs:
                data = tail.read()
                if data:
                    to(data)

        try:
            self._say(f"run {number} {name}")
            line = self._line(time.monotonic() + timeout, pass_on)
            if line is None:
                self._say("stacks")
                self._log_until("vm: end of stacks", seconds=10)
                self.kill()
                raise TimedOut(f"no end after {timeout} s; the VM was stopped (stacks of its processes: end of the kernel log)")
            self._log_until(f"vm: end {name}")
        finally:
            pass_on()
        return int(line.removeprefix("exit "))

    # --- the kernel log

    def _echo(self):
        text = self.console_tail.read().decode(errors="replace").replace("\r", "")
        self.unread_log += text
        if self.settings.echo_console and text:
            os.write(2, text.encode())

    def _log_until(self, mark, seconds=20):
        """Waits for a line of ours to come out of the console, which is slower
        than the control port: with it, all that came before has been read."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline and self.qemu.poll() is None:
            self._echo()
            if re.search(rf"{re.escape(mark)}\n", self.unread_log):
                return
            time.sleep(POLL_SECONDS)

    def log(self):
        """The kernel log since the last call."""
        self._echo()
        text, self.unread_log = self.unread_log, ""
        return text

    # --- the end

    def off(self):
        """Ends a guest that serves, and waits for it."""
        if self.qemu and self.qemu.poll() is None:
            try:
                self._say("off")
                self.qemu.wait(20)
            except (VmDied, subprocess.TimeoutExpired):
                pass
        self.kill()

    def kill(self):
        if self.qemu and self.qemu.poll() is None:
            self.qemu.send_signal(signal.SIGKILL)
            self.qemu.wait()
        if self.control:
            self.control.close()
