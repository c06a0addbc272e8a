# SPDX-License-Identifier: MIT OR Apache-2.0
"""usage: tools/vm [OPTION...]                       a shell in the VM
       tools/vm [OPTION...] -- COMMAND [ARG...]   one command in the VM
       tools/vm [OPTION...] --tests [NAME...]     test programs in the VM, as TAP
       tools/vm [OPTION...] --list                the names of the test programs

Boots a kernel in QEMU on the trixie root, with the checkout at its own path and
quic.ko loaded, as root. What the guest writes outside of it is gone afterwards.
Needs root and `make setup`.

  --kernel K          stock (default), other, debug, or a directory like theirs
  --no-module         boot without quic.ko (else it must be built, and load)
  --memory SIZE       memory of the VM [2G; debug 1G, which kmemleak scans faster]
  --cpus N            processors of the VM [2]
  --append WORDS      more kernel parameters
  --icount            benchmark mode: one CPU, guest time counts instructions
  --console           show the kernel log on stderr while it comes
  --timeout S         for the command, or for each test program [300; debug 900]
  --total-timeout S   for all test programs together [3600; debug 7200]
  --log FILE          keep the kernel log of the command or the shell here
  --log-dir DIR       keep the logs of the tests here [build/log/<kernel>]
  --leaks             after the command: unload quic.ko, look for leaked memory
  --expect KIND       succeed only if the kernel complains, and of this kind
                      (`clean`: if it does not); with a command

A command's exit code is passed on, and so is what it prints; but
  1    the kernel complained (with --expect: not as expected)
  124  the command was not done after --timeout seconds
  125  there was no VM: it did not boot, or it died
In the shell, Ctrl-] x ends a VM that no longer answers. Tests are described in
docs/testing.md.
"""

import argparse
import fcntl
import os
import sys
from pathlib import Path

import kernel_log
from kernel import Kernel, Problem
from machine import Machine, Settings, TimedOut, VmDied
from suite import Program, Suite, environment

TOP = Path(__file__).resolve().parents[2]
EXIT_COMPLAINT, EXIT_TIMEOUT, EXIT_NO_VM = 1, 124, 125


class Parser(argparse.ArgumentParser):
    def error(self, message):
        raise Problem(message, "see tools/vm --help")


def arguments(words):
    command = None
    if "--" in words:
        cut = words.index("--")
        words, command = words[:cut], words[cut + 1 :]
    parser = Parser(add_help=False, allow_abbrev=False)
    parser.add_argument("--kernel", default="stock")
    parser.add_argument("--shell", action="store_true")
    parser.add_argument("--tests", nargs="*", metavar="NAME")
    parser.add_argument("--list", action="store_true")
    parser.add_argument("--no-module", action="store_true")
    parser.add_argument("--memory")
    parser.add_argument("--cpus", type=int, default=2)
    parser.add_argument("--append", default="")
    parser.add_argument("--icount", action="store_true")
    parser.add_argument("--console", action="store_true")
    parser.add_argument("--timeout", type=float)
    parser.add_argument("--total-timeout", type=float)
    parser.add_argument("--log", type=Path)
    parser.add_argument("--log-dir", type=Path)
    parser.add_argument("--leaks", action="store_true")
    parser.add_argument("--expect")
    options = parser.parse_args(words)
    options.command = command
    kinds = {"clean", *(kind for kind, _ in kernel_log.CHECKS)}
    if command == []:
        raise Problem("there is no command after --", "tools/vm -- COMMAND")
    if options.tests is not None and (command or options.log or options.expect or options.leaks):
        raise Problem("--tests goes with neither a command nor --log, --expect, --leaks", "see tools/vm --help")
    if (options.expect or options.leaks) and not command:
        raise Problem("--expect and --leaks need a command", "tools/vm --expect KIND -- COMMAND")
    for path in filter(None, (options.log, options.log_dir)):
        if TOP not in path.absolute().parents:  # elsewhere is another file system, which ends with us
            raise Problem(f"{path} is outside of the checkout", f"choose a path below {TOP}")
    if options.expect and options.expect not in kinds:
        raise Problem(f"there is no kind of complaint {options.expect}", "one of: " + " ".join(sorted(kinds)))
    return options


def log_directory(directory, name):
    """build/log/<name>, or <name>.2 and so on while another run writes there.
    The lock on it lasts as long as this process."""
    for number in range(1, 100):
        path = directory or TOP / "build/log" / (name if number == 1 else f"{name}.{number}")
        path.mkdir(parents=True, exist_ok=True)
        lock = os.open(path, os.O_RDONLY)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(lock)
            if directory:
                break
            continue
        for pattern in ("*.log", "*.out"):  # of the run before
            for old in path.glob(pattern):
                old.unlink()
        return path
    raise Problem(f"another run keeps its logs in {path}", "give a different --log-dir")


def print_complaints(complaints, log):
    for complaint in complaints:
        print(f"\nthe kernel complained ({complaint.kind}):", file=sys.stderr)
        for line in complaint.excerpt:
            print(f"  {line}", file=sys.stderr)
    if complaints:
        print(f"kernel log: {log}", file=sys.stderr)


# --- the three forms

def shell(kernel, settings, log):
    machine = Machine(kernel, settings, log)
    print(f"booting {kernel.release}; the kernel log goes to {log}; exit or Ctrl-D ends the VM, Ctrl-] x kills it")
    sys.stdout.flush()
    code = 0
    try:
        machine.boot("shell")
        if not machine.shell():
            print("the VM was ended")
    except VmDied as death:
        print(f"error: {death}\nkernel log: {log}", file=sys.stderr)
        code = EXIT_NO_VM
    complaints = kernel_log.scan(machine.log())
    print_complaints(complaints, log)
    return code or (EXIT_COMPLAINT if complaints else 0)


def one_command(kernel, settings, log, options):
    machine = Machine(kernel, settings, log)

    def run(name, command, out):
        def to(descriptor):
            return lambda data: os.write(descriptor, data)

        return machine.run(name, command, environment(kernel), options.timeout, to(out), to(2))

    text, code = "", 0
    try:
        machine.boot()
        code = run("command", options.command, out=1)
        if options.leaks:
            # Its output is not the command's.
            code = run("unload", [str(TOP / "tools/vm-unload")], out=2) or code
    except TimedOut as late:
        print(f"error: {late}", file=sys.stderr)
        code = EXIT_TIMEOUT
    except VmDied as death:
        print(f"error: {death}", file=sys.stderr)
        code = EXIT_NO_VM
    finally:
        machine.off()
        text = machine.log()
    complaints = kernel_log.scan(text)
    if options.expect:
        return as_expected(options.expect, complaints, code, log)
    print_complaints(complaints, log)
    if code in (EXIT_TIMEOUT, EXIT_NO_VM):
        print(f"kernel log: {log}", file=sys.stderr)
    return code or (EXIT_COMPLAINT if complaints else 0)


def as_expected(expected, complaints, code, log):
    """The first complaint is what happened; a panic after it is its consequence."""
    kinds = [complaint.kind for complaint in complaints]
    found = "clean" if not kinds else kinds[0]
    others = [kind for kind in kinds[1:] if kind not in (found, "panic")]
    if found == expected and not others and (code == 0 or found != "clean"):
        headline = f": {complaints[0].headline}" if complaints else ""
        print(f"as expected: {found}{headline}")
        return 0
    print(f"expected {expected}; the kernel's complaints: {', '.join(kinds) or 'none'}; exit code {code}", file=sys.stderr)
    print_complaints(complaints, log)
    return EXIT_COMPLAINT


def test_names():
    """All test programs: the scripts in tests/vm, then the selftest binary."""
    scripts = sorted(path.name for path in (TOP / "tests/vm").glob("*") if path.is_file() and os.access(path, os.X_OK))
    return [*scripts, "selftest"]


def tests(kernel, settings, options):
    programs = []
    for name in options.tests or test_names():
        program = Program.find(TOP, name)
        if program is None:
            raise Problem(f"there is no test program {name}: neither tests/vm/{name} nor build/userspace/release/{name}",
                          "make, or tools/vm --list")
        programs.append(program)
    logs = log_directory(options.log_dir, kernel.name)
    suite = Suite(kernel, settings, logs, options.timeout, options.total_timeout)
    return 0 if suite.run(programs) else 1


def main(words):
    options = arguments(words)
    if options.list:
        print("\n".join(test_names()))
        return 0
    if os.environ.get("QUIC_IN_ROOT") != "1":
        raise Problem("this runs inside the trixie root", "start it as tools/vm")
    kernel = Kernel(TOP, options.kernel)
    if not options.no_module and not kernel.quic_module.exists():
        raise Problem(f"{kernel.quic_module} is not built", "make, or boot without it: --no-module")
    settings = Settings(
        memory=options.memory or ("1G" if kernel.is_debug else "2G"),
        cpus=options.cpus,
        icount=options.icount,
        append=options.append,
        load_module=not options.no_module,
        echo_console=options.console,
    )
    slow = kernel.is_debug
    options.timeout = options.timeout or (900 if slow else 300)
    options.total_timeout = options.total_timeout or (7200 if slow else 3600)
    if options.tests is not None:
        return tests(kernel, settings, options)
    form = "command" if options.command else "shell"
    log = options.log or log_directory(None, f"{kernel.name}-{form}") / "kernel.log"
    if options.command:
        return one_command(kernel, settings, log.absolute(), options)
    return shell(kernel, settings, log.absolute())


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except Problem as problem:
        print(f"error: {problem}", file=sys.stderr)
        if problem.fix:
            print(f"  fix: {problem.fix}", file=sys.stderr)
        sys.exit(EXIT_NO_VM)
    except KeyboardInterrupt:
        sys.exit(130)
