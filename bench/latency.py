# SPDX-License-Identifier: LGPL-2.1-or-later
"""How long one waits: for a worker, for the status, for one task from its command line to its exit."""

import os
import time

from gi.repository import GLib

import facts
from manager import Manager

WORKERS = 20
WORKER_BYTES = 64 << 20
IDLE_SECONDS = 0.1      # after it nothing is warm: a write to cgroup.procs waits for a grace period, for one
STATUS_CALLS = 1000
STATUS_PAUSE = 0.01
RUNS = 100
SLOW_RUNS = 20
SILENT = [(os.POSIX_SPAWN_OPEN, 1, '/dev/null', os.O_WRONLY, 0)]


def repeated(count, function, *arguments, pause=0.0):
    times = []
    for _ in range(count):
        time.sleep(pause)
        times.append(facts.clocked(function, *arguments))
    return times


def spawn_and_wait(*argv):
    """fork and exec, as little as a program can do to run another."""
    pid = os.posix_spawnp(argv[0], argv, os.environ, file_actions=SILENT)
    _, status = os.waitpid(pid, 0)
    if status != 0:
        raise RuntimeError(f'{" ".join(argv)} failed')


def add_worker_times(manager, pause):
    ids = []
    times = repeated(WORKERS, lambda: ids.append(manager.add_worker(WORKER_BYTES)), pause=pause)
    manager.remove_workers(ids)
    return times


def status_times_while_draining(manager, tasks, seconds):
    """Asked at intervals until the queue is empty or the time is up; and how many tasks ended in that time."""
    array = GLib.Variant('(tt)', (0, tasks - 1))
    batch = manager.submit(['/bin/true'], array=array)
    times, waiting, end = [], [tasks], time.monotonic() + seconds
    while time.monotonic() < end and waiting[-1] > 0:
        times += repeated(1, lambda: waiting.append(manager.queue_length()), pause=STATUS_PAUSE)
    if waiting[-1]:
        manager.cancel(batch)
    return times, tasks - waiting[-1]


def measure_run(results):
    run = ('parctl', 'run', '--quiet', '--', '/bin/true')
    results['spawn and wait, no parexec'] = repeated(RUNS, spawn_and_wait, '/bin/true')
    results['parctl --version (a process and its libraries)'] = repeated(RUNS, spawn_and_wait, 'parctl', '--version')
    results['parctl run -- true'] = repeated(RUNS, spawn_and_wait, *run)
    results['parctl run -- true, after 100 ms'] = repeated(SLOW_RUNS, spawn_and_wait, *run, pause=IDLE_SECONDS)
    results['systemd-run --scope true'] = repeated(SLOW_RUNS, spawn_and_wait, 'systemd-run', '--quiet', '--scope', '/bin/true')
    results['systemd-run --wait true'] = repeated(SLOW_RUNS, spawn_and_wait, 'systemd-run', '--quiet', '--wait', '/bin/true')


def measure(options):
    manager, results = Manager(), {}
    facts.say('workers')
    results['AddWorker, back to back'] = add_worker_times(manager, 0)
    results['AddWorker, after 100 ms'] = add_worker_times(manager, IDLE_SECONDS)
    for _ in range(os.cpu_count()):
        manager.add_worker(WORKER_BYTES * 4)
    facts.say('one task')
    measure_run(results)
    facts.say('status')
    results['Ping (the bus alone)'] = repeated(STATUS_CALLS, manager.ping)
    results['Status, queue empty'] = repeated(STATUS_CALLS, manager.status)
    draining, ended = status_times_while_draining(manager, options.tasks, options.seconds)
    results['Status, while tasks drain'] = draining
    return {'tasks': options.tasks, 'ended_meanwhile': ended,
            'latencies': [{'name': name, **facts.distribution(times)} for name, times in results.items()]}


def describe(result):
    rows = [[each['name'], str(each['count']), *(facts.time_text(each[f'{name}_usec']) for name in ('p50', 'p90', 'p99', 'max'))]
            for each in result['latencies']]
    return '\n'.join([
        facts.table(['', 'times', 'p50', 'p90', 'p99', 'most'], rows),
        '',
        f'draining: {result["tasks"]} tasks of true, of which {result["ended_meanwhile"]} ended while it was asked',
    ])
