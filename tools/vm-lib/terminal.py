# SPDX-License-Identifier: MIT OR Apache-2.0
"""Our standard input and output as the terminal of the guest's shell."""

import contextlib
import os
import select
import subprocess

ESCAPE, END = b"\x1d", b"x"  # Ctrl-] x ends a VM that no longer answers
END_OF_INPUT = b"\x04"
# How often the end of our input is told again: a program that runs in the shell takes it for its
# own, and the shell is to hear of it too.
REMIND_SECONDS = 1


@contextlib.contextmanager
def _raw():
    """Every key is the guest's; afterwards the terminal is as it was."""
    if not os.isatty(0):
        yield
        return
    before = _stty("-g").strip()
    _stty("raw", "-echo")
    try:
        yield
    finally:
        _stty(before)


def _stty(*words):
    return subprocess.run(["stty", *words], check=True, stdout=subprocess.PIPE, text=True).stdout


class Keys:
    """What is typed, less the escape sequence."""

    def __init__(self):
        self.escaped = False

    def __call__(self, typed):
        """Returns what goes to the guest; None if the VM is to be ended."""
        passed = b""
        for key in (bytes([byte]) for byte in typed):
            if self.escaped:
                self.escaped = False
                if key == END:
                    return None
                passed += ESCAPE if key == ESCAPE else ESCAPE + key
            elif key == ESCAPE:
                self.escaped = True
            else:
                passed += key
        return passed


def relay(control, greeting):
    """Until the guest ends the conversation on the socket `control` (True) or the user does
    (False). `greeting` is what it has said already."""
    keys = Keys() if os.isatty(0) else lambda typed: typed
    to_guest, input_open = b"", True
    os.write(1, greeting)
    with _raw():
        while True:
            # Not more is taken than the guest takes.
            wanted = [control] + ([0] if input_open and not to_guest else [])
            readable, writable, _ = select.select(wanted, [control] if to_guest else [], [], REMIND_SECONDS)
            if control in readable:
                said = control.recv(65536)
                if not said:
                    return True
                os.write(1, said)
            if 0 in readable:
                typed = os.read(0, 4096)
                input_open = bool(typed)
                to_guest = keys(typed)
                if to_guest is None:
                    return False
            if writable:
                with contextlib.suppress(OSError):  # its end is seen above
                    to_guest = to_guest[control.send(to_guest) :]
            if not input_open and not to_guest and not readable:
                to_guest = END_OF_INPUT
