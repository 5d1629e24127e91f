#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Runs the test programs of the levels named and counts. Called by tests/run, which builds first.

Every level yields jobs: a command that prints TAP (tap.py judges), or, for the level vm, one command whose
output carries the results of many programs. Output goes to files in the log folder, LEVEL-NAME.out and .err.
"""

import argparse
import concurrent.futures
import dataclasses
import json
import os
import pathlib
import re
import shlex
import signal
import subprocess
import sys
import threading
import time

import tap

TOP = pathlib.Path(__file__).resolve().parents[2]
TIMEOUT_PROGRAM = 60
TIMEOUT_SYSTEM = 180
TIMEOUT_LINT = 120
SHOWN_LINES = 200       # of the output of a failing program; all of it is in the log


@dataclasses.dataclass
class Job:
    """One test program to run."""
    level: str
    name: str
    command: list
    timeout: float
    env: dict = dataclasses.field(default_factory=dict)
    workdir: pathlib.Path = TOP
    alone: bool = False         # not beside another
    carries: list = dataclasses.field(default_factory=list)  # programs whose framed results it prints


# ---------------------------------------------------------------- jobs of a level

def meson_jobs(level, options):
    """The programs that the build registers in the suite of that name."""
    listing = json.loads((options.build / 'meson-info/intro-tests.json').read_text())
    factor = 10 if options.wrap else 3 if options.sanitize else 1
    for test in listing:
        if level not in [suite.split(':')[-1] for suite in test['suite']]:
            continue
        limit = TIMEOUT_PROGRAM if test['timeout'] in (0, 30) else test['timeout']  # 30 is meson's default
        yield Job(level, test['name'], options.wrap + test['cmd'], limit * factor, test['env'],
                  pathlib.Path(test['workdir'] or options.build), not test['is_parallel'])


def marks(path):
    """The "# word: value" lines of a system test: what it needs and where it may run."""
    found = {}
    for word, value in re.findall(r'^# (needs|vm|alone|timeout): *(\S.*)$', path.read_text(), re.MULTILINE):
        found.setdefault(word, []).extend(value.split())
    return found


def system_tests():
    return sorted((TOP / 'tests/system').glob('test-*.sh'))


def system_jobs(level, options):
    """One sandbox for each test file."""
    for path in system_tests():
        mark = marks(path)
        command = [str(TOP / 'tests/sandbox'), '--bind', str(TOP), '--bind', str(options.build),
                   '--journal', str(options.logs / f'{level}-{path.stem}.journal')]
        for unit in mark.get('needs', []):
            command += ['--with', unit]
        limit = float(mark.get('timeout', [TIMEOUT_SYSTEM])[0])
        yield Job(level, path.stem, command + ['--', 'bash', str(path)], limit,
                  {'PAREXEC_STAGE': str(options.build / 'stage')}, alone='alone' in mark)


def lint_jobs(level, options):
    for path in sorted((TOP / 'tests/lint').iterdir()):
        if path.is_file() and os.access(path, os.X_OK):
            yield Job(level, path.name, [str(path)], TIMEOUT_LINT)


def vm_jobs(level, options):
    """All system tests that do not opt out go to the machine in one boot."""
    names = [path.stem for path in system_tests()
             if 'no' not in marks(path).get('vm', []) and chosen(path.stem, options)]
    if names:
        yield Job(level, 'vm', [str(TOP / 'tests/vm/run'), '--stage', str(options.build / 'stage'),
                                '--limit', str(options.vm_limit), *names],
                  options.vm_limit + 600, carries=names)  # 600: the image may have to be built


LEVELS = {'lint': lint_jobs, 'unit': meson_jobs, 'bus': meson_jobs, 'system': system_jobs, 'vm': vm_jobs}


def chosen(name, options):
    return not options.filter or any(word in name for word in options.filter)


# ---------------------------------------------------------------- running

class Runner:
    """Runs jobs, a few at a time, and reports each as it ends."""

    def __init__(self, options):
        self.options = options
        self.lock = threading.RLock()
        self.running = set()
        self.passed = self.failed = self.skipped = 0

    def run(self, jobs):
        together = [job for job in jobs if not job.alone]
        with concurrent.futures.ThreadPoolExecutor(self.options.jobs) as pool:
            for _ in pool.map(self.run_job, together):
                pass
        for job in jobs:
            if job.alone:
                self.run_job(job)

    def run_job(self, job):
        started = time.monotonic()
        log = self.options.logs / f'{job.level}-{re.sub("[^A-Za-z0-9_.-]+", "-", job.name)}'
        out, err = log.with_name(log.name + '.out'), log.with_name(log.name + '.err')
        status, timed_out = self.run_process(job, out, err)
        seconds = time.monotonic() - started
        if job.carries:
            self.report_many(job, out, err, status, timed_out)
            return
        reader = tap.Reader()
        for line in out.read_text(errors='replace').splitlines():
            reader.feed(line)
        self.report(job.level, job.name, reader.finish(status, timed_out), seconds, err)

    def run_process(self, job, out, err):
        """Exit status, and the limit if it was reached. What the program leaves behind is killed."""
        env = {**os.environ, 'LC_ALL': 'C.UTF-8', **job.env}
        with out.open('w') as stdout, err.open('w') as stderr:
            process = subprocess.Popen(job.command, stdin=subprocess.DEVNULL, stdout=stdout, stderr=stderr,
                                       env=env, cwd=job.workdir, start_new_session=True)
            with self.lock:
                self.running.add(process)
            timed_out = None
            try:
                process.wait(job.timeout)
            except subprocess.TimeoutExpired:
                timed_out = job.timeout
                self.end(process)
            kill_group(process.pid, signal.SIGKILL)
            with self.lock:
                self.running.discard(process)
        return process.returncode, timed_out

    @staticmethod
    def end(process):
        """TERM, so that a sandbox can tidy up; KILL if that does not help."""
        process.terminate()
        try:
            process.wait(15)
        except subprocess.TimeoutExpired:
            kill_group(process.pid, signal.SIGKILL)
            process.wait()

    def interrupted(self, number, _frame):
        """A signal handler: ends what runs, so that sandboxes and the machine tidy up."""
        with self.lock:
            for process in self.running:
                process.terminate()
        sys.exit(128 + number)

    # ------------------------------------------------------------ reporting

    def report(self, level, name, verdict, seconds, err=None):
        counts = [f'{count} {word}' for count, word in
                  ((verdict.passed, 'passed'), (verdict.failed, 'failed'), (verdict.skipped, 'skipped')) if count]
        word = 'FAIL' if verdict.failed else 'ok' if verdict.passed else 'skip'
        lines = [f'{word:4}  {level:6}  {name:32}  {", ".join(counts):36} {seconds:7.2f} s']
        lines += [f'      skip: {": ".join(part for part in skip if part)}' for skip in verdict.skips]
        if verdict.failed:
            lines += [f'      {trouble}' for trouble in verdict.troubles]
            lines += [f'      {line}' for line in shortened(verdict.output)]
            if err and (text := err.read_text(errors='replace').splitlines()):
                lines += ['      stderr:'] + [f'        {line}' for line in shortened(text)]
        with self.lock:
            self.passed += verdict.passed
            self.failed += verdict.failed
            self.skipped += verdict.skipped
            print('\n'.join(lines), flush=True)

    def report_skipped(self, level, names, reason):
        """Programs of a level that cannot run here at all: each counts as one skip."""
        for name in names:
            self.report(level, name, tap.Verdict(skips=[('', reason)]), 0)

    def report_many(self, job, out, err, status, timed_out):
        """Takes apart the output: for each program "@@begin NAME", its lines, "@@end NAME STATUS SECONDS"."""
        missing, reader = list(job.carries), None
        for line in out.read_text(errors='replace').splitlines():
            if line.startswith('@@begin '):
                reader = tap.Reader()
            elif line.startswith('@@end ') and reader:
                _, name, code, seconds = line.split()
                limit = float(seconds) if code == '124' else None
                missing.remove(name)
                self.report(job.level, name, reader.finish(int(code), limit), float(seconds))
                reader = None
            elif reader:
                reader.feed(line)
        if status == 125:
            reason = (err.read_text(errors='replace').strip().splitlines() or ['no reason given'])[-1]
            self.report_skipped(job.level, missing, reason)
        elif missing or status:
            why = f'over the limit of {timed_out:.0f} s' if timed_out else tap.describe_status(status)
            verdict = tap.Verdict(failures=missing, troubles=[f'the machine: {why}',
                                                              f'without a result: {" ".join(missing) or "none"}'])
            self.report(job.level, job.name, verdict, job.timeout if timed_out else 0, err)


def shortened(lines):
    if len(lines) <= SHOWN_LINES:
        return lines
    half = SHOWN_LINES // 2
    return lines[:half] + [f'[{len(lines) - 2 * half} lines left out, see the log]'] + lines[-half:]


def kill_group(pid, number):
    try:
        os.killpg(pid, number)
    except ProcessLookupError:
        pass


def parse_arguments():
    parser = argparse.ArgumentParser()
    parser.add_argument('levels', nargs='*', choices=list(LEVELS))
    parser.add_argument('--build', type=pathlib.Path, required=True)
    parser.add_argument('--logs', type=pathlib.Path, required=True)
    parser.add_argument('--jobs', type=int, default=min(2, os.cpu_count() or 1))
    parser.add_argument('--filter', action='append', default=[])
    parser.add_argument('--skip', action='append', default=[], metavar='LEVEL=REASON')
    parser.add_argument('--wrap', type=shlex.split, default=[])
    parser.add_argument('--sanitize', action='store_true')
    parser.add_argument('--vm-limit', type=int, default=900)
    return parser.parse_args()


def main():
    options = parse_arguments()
    options.logs.mkdir(parents=True, exist_ok=True)
    refused = dict(word.split('=', 1) for word in options.skip)
    runner = Runner(options)
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, runner.interrupted)
    signal.signal(signal.SIGQUIT, signal.SIG_DFL)  # a shell ignores it for what it starts in the background
    for level in options.levels:
        jobs = [job for job in LEVELS[level](level, options) if job.carries or chosen(job.name, options)]
        if level in refused:
            names = [name for job in jobs for name in job.carries or [job.name]]
            runner.report_skipped(level, names, refused[level])
        else:
            runner.run(jobs)
    if runner.passed + runner.failed == 0:
        print('nothing ran')
    print(f'{runner.passed} passed, {runner.failed} failed, {runner.skipped} skipped')
    sys.exit(0 if runner.passed and not runner.failed else 1)


main()
