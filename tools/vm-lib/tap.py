# SPDX-License-Identifier: MIT OR Apache-2.0
"""Reads what a test program prints: TAP (version 12 to 14, or the kernel's KTAP),
or anything else, in which case its exit code alone decides.

Only the outermost level counts. A plan is required as soon as there is a test
point: without one nobody can tell that a program stopped half-way.
"""

import re
from dataclasses import dataclass, field

# After "ok" a number, a dash or nothing: "ok, next" is talk.
POINT = re.compile(r"(?P<not>not )?ok(?= *$| +\d| +-| +#)(?: +(?P<number>\d+))?(?: *-? *(?P<name>[^#]*?))? *(?:# *(?P<directive>.*))?$")
PLAN = re.compile(r"1\.\.(?P<count>\d+) *(?:# *(?P<directive>.*))?$")
BAIL = re.compile(r"Bail out!\s*(?P<reason>.*)$")


def _is(directive, word):
    return directive is not None and directive.upper().startswith(word)


@dataclass
class Tap:
    planned: int = None
    passed: int = 0
    skipped: int = 0
    failures: list = field(default_factory=list)   # names of the points that are not ok
    disorder: list = field(default_factory=list)   # what is wrong with the TAP itself
    skip_all: str = None                           # 1..0 # SKIP reason
    points: int = 0

    def line(self, line):
        """Takes one line. Returns whether it is TAP (else it is mere talk)."""
        line = line.rstrip()
        if match := PLAN.match(line):
            if self.planned is not None:
                self.disorder.append("a second plan")
            self.planned = int(match["count"])
            if self.planned == 0 and _is(match["directive"], "SKIP"):
                self.skip_all = match["directive"][4:].strip() or "no reason given"
        elif match := BAIL.match(line):
            self.disorder.append(f"it bailed out: {match['reason']}".rstrip(": "))
        elif match := POINT.match(line):
            self._point(match)
        elif not re.match(r"K?TAP version \d+$|# Subtest:", line) and not line.startswith(("#", "    ", "  ---")):
            return False
        return True

    def _point(self, match):
        self.points += 1
        number = int(match["number"] or self.points)
        name = (match["name"] or "").strip() or f"test {number}"
        if number != self.points:
            self.disorder.append(f"test {number} came where {self.points} was due")
            self.points = number
        if _is(match["directive"], "SKIP"):
            self.skipped += 1
        elif match["not"] and not _is(match["directive"], "TODO"):
            self.failures.append(name)
        else:
            self.passed += 1

    @property
    def is_tap(self):
        return self.points > 0 or self.planned is not None or bool(self.disorder)

    def complaints(self):
        """Why the program failed, as far as its TAP tells; none if it did not."""
        reasons = [f"not ok: {name}" for name in self.failures] + self.disorder
        if not self.is_tap:
            return reasons
        if self.planned is None:
            reasons.append(f"{self.points} tests and no plan (1..N)")
        elif self.planned != self.points:
            reasons.append(f"{self.planned} tests planned, {self.points} run")
        elif self.planned == 0 and self.skip_all is None:
            reasons.append("not one test was run")
        return reasons
