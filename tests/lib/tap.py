# SPDX-License-Identifier: LGPL-2.1-or-later
"""The TAP reader: what a test program printed and how it ended, judged.

Used for every level of the tests, so that one piece of code decides what counts:

* "ok" passes, "not ok" fails, either with "# SKIP reason" is skipped;
* "not ok # TODO" (GLib's g_test_incomplete) is skipped, "ok # TODO" passes;
* "1..0 # SKIP reason" skips the program;
* indented lines are subtests or diagnostics: their parent's test point counts, they do not;
* trouble is what no test point says: a crash, a time-out, no plan or a plan that does not match, "Bail out!",
  a non-zero exit without a failed point. It counts as a failure unless a failed point already does.
"""

import dataclasses
import re
import signal

POINT = re.compile(r'(not )?ok\b(?: +(\d+))?(?: *- *| +|$)(.*)')
PLAN = re.compile(r'1\.\.(\d+)\s*(?:#\s*(?:SKIP\S*)\s*(.*))?$', re.IGNORECASE)
DIRECTIVE = re.compile(r'^(.*?)(?:^|\s)#\s*(SKIP|TODO)\S*\s*(.*)$', re.IGNORECASE)


@dataclasses.dataclass
class Verdict:
    """The judgement on one test program."""
    passed: int = 0
    failures: list = dataclasses.field(default_factory=list)   # names of failed points
    skips: list = dataclasses.field(default_factory=list)      # (name, reason)
    troubles: list = dataclasses.field(default_factory=list)   # sentences
    output: list = dataclasses.field(default_factory=list)     # lines worth reading when it failed

    @property
    def failed(self):
        return len(self.failures) or (1 if self.troubles else 0)

    @property
    def skipped(self):
        return len(self.skips)


def describe_status(status):
    """In words how a process ended; status is that of subprocess or of a shell (128 + signal)."""
    number = -status if status < 0 else status - 128
    if status < 0 or status > 128:
        try:
            return f'killed by {signal.Signals(number).name}'
        except ValueError:
            pass
    return f'exit status {status}'


class Reader:
    """Fed line by line; `finish` gives the verdict."""

    def __init__(self):
        self.verdict = Verdict()
        self.plan = None
        self.points = 0
        self.bailed = False

    def feed(self, line):
        line = line.rstrip('\r\n')
        if not self._take(line):
            self.verdict.output.append(line)

    def _take(self, line):
        """Whether the line is routine, that is, not worth showing on failure."""
        if match := POINT.match(line):
            return self._point(*match.groups())
        if match := PLAN.match(line):
            return self._planned(int(match[1]), match[2])
        if line.startswith('Bail out!'):
            self.bailed = True
            self.verdict.troubles.append(line)
            return True
        return line.startswith('TAP version')

    def _planned(self, count, reason):
        if self.plan is not None:
            self.verdict.troubles.append('more than one plan')
        self.plan = count
        if count == 0:
            self.verdict.skips.append(('', reason or 'no reason given'))
        return True

    def _point(self, negated, number, text):
        self.points += 1
        if number and int(number) != self.points:
            self.verdict.troubles.append(f'test point {number} where {self.points} was due')
            self.points = int(number)
        name, kind, reason = text, '', ''
        if match := DIRECTIVE.match(text):
            name, kind, reason = match[1].strip(' -'), match[2].upper(), match[3]
        if kind == 'SKIP' or (kind == 'TODO' and negated):
            self.verdict.skips.append((name, reason or 'no reason given'))
        elif negated:
            self.verdict.failures.append(name or f'number {self.points}')
            return False
        else:
            self.verdict.passed += 1
        return True

    def finish(self, status, timed_out=None):
        """The verdict, given the exit status; timed_out is the limit in seconds if it was reached."""
        verdict = self.verdict
        if timed_out is not None:
            verdict.troubles.append(f'not finished after {timed_out:.0f} s')
        elif status < 0 or status > 128:
            verdict.troubles.append(describe_status(status))
        elif status != 0 and not verdict.failures and not self.bailed:
            verdict.troubles.append(f'{describe_status(status)}, though no test point failed')
        if timed_out is None and not self.bailed:
            self._check_plan()
        return verdict

    def _check_plan(self):
        if self.plan is None:
            self.verdict.troubles.append(f'ended without a plan after {self.points} test points')
        elif self.plan != self.points:
            self.verdict.troubles.append(f'{self.plan} test points planned, {self.points} run')
