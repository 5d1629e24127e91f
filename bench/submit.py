# SPDX-License-Identifier: LGPL-2.1-or-later
"""How fast tasks are taken into the queue. There is no worker: nothing but the submitting is measured. What was
submitted stays, so each round meets a longer queue than the one before."""

import os
import statistics
import subprocess
import tempfile

import facts
from manager import Manager

ONE_BY_ONE = 300        # a process, or a call, for each task


def parctl_submit(*arguments):
    subprocess.run(['parctl', 'submit', '--quiet', *arguments, '--', '/bin/true'], check=True, stdout=subprocess.DEVNULL)


class Ways:
    """The ways to submit: each takes a number of tasks."""

    def __init__(self, options):
        self.floor = options.build / 'bench/spawn-floor'
        self.scratch = tempfile.mkdtemp()
        self.manager = Manager()

    def array(self, tasks):
        parctl_submit('--array', f'0-{tasks - 1}')

    def each_line(self, tasks):
        parctl_submit('--each-line', self.lines(tasks))

    def lines(self, tasks):
        path = f'{self.scratch}/lines-{tasks}'
        if not os.path.exists(path):
            with open(path, 'w', encoding='utf-8') as file:
                file.writelines(f'{number}\n' for number in range(tasks))
        return path

    def calls(self, tasks):
        for _ in range(tasks):
            self.manager.submit(['/bin/true'])

    def processes(self, tasks):
        subprocess.run([self.floor, str(tasks), '1', 'parctl', 'submit', '--quiet', '--', '/bin/true'],
                       check=True, stdout=subprocess.DEVNULL)

    def parallel_processes(self, tasks):
        subprocess.run([self.floor, str(tasks), '8', 'parctl', 'submit', '--quiet', '--', '/bin/true'],
                       check=True, stdout=subprocess.DEVNULL)

    def spooler(self, tasks):
        """Behind a task that does not end: nothing runs here, either."""
        environment = {**os.environ, 'TS_SOCKET': f'{self.scratch}/tsp', 'TMPDIR': self.scratch}
        subprocess.run([self.floor, str(tasks), '1', 'tsp', 'sleep', '1000'], env=environment, check=True, stdout=subprocess.DEVNULL)

    def spooler_end(self):
        environment = {**os.environ, 'TS_SOCKET': f'{self.scratch}/tsp'}
        if os.path.exists(environment['TS_SOCKET']):
            subprocess.run(['tsp', '-K'], env=environment, check=True)


def measure(options):
    ways = Ways(options)
    ways.lines(options.tasks)
    plan = [
        ('parctl submit --array', ways.array, options.tasks),
        ('parctl submit --each-line', ways.each_line, options.tasks),
        ('Submit, call by call', ways.calls, ONE_BY_ONE),
        ('parctl submit, one by one', ways.processes, ONE_BY_ONE),
        ('parctl submit, 8 at a time', ways.parallel_processes, ONE_BY_ONE),
    ]
    if not facts.missing(['tsp']):
        plan.append(('tsp, one by one', ways.spooler, ONE_BY_ONE))
    seconds, cpu_usec = ({name: [] for name, _, _ in plan} for _ in range(2))
    for number in range(options.rounds):
        facts.say(f'round {number + 1} of {options.rounds}')
        for name, submit, tasks in plan:
            before = facts.sandbox_cpu_usec()
            seconds[name].append(facts.clocked(submit, tasks))
            cpu_usec[name].append((facts.sandbox_cpu_usec() - before) / tasks)
            facts.say(f'  {name}: {facts.time_text(seconds[name][-1] * 1e6)} for {tasks}')
        ways.spooler_end()
    return {'rounds': options.rounds, 'queued': ways.manager.queue_length(),
            'ways': [{'name': name, 'tasks': tasks, 'seconds': statistics.median(seconds[name]),
                      'tasks_per_second': tasks / statistics.median(seconds[name]),
                      'cpu_usec_per_task': statistics.median(cpu_usec[name])} for name, _, tasks in plan],
            'parexecd_resident_bytes': facts.memory_bytes(facts.main_pid('parexecd.service'), 'VmRSS')}


def describe(result):
    rows = [[way['name'], str(way['tasks']), facts.time_text(way['seconds'] * 1e6), f'{way["tasks_per_second"]:.0f}',
             facts.time_text(way['seconds'] * 1e6 / way['tasks']), facts.time_text(way['cpu_usec_per_task'])] for way in result['ways']]
    return '\n'.join([
        f'submitting, median of {result["rounds"]} rounds; each returns when its tasks are on disk',
        '',
        facts.table(['', 'tasks', 'returns after', 'tasks/s', 'each', 'CPU each'], rows),
        '',
        f'in the end {result["queued"]} tasks wait, and parexecd has {result["parexecd_resident_bytes"] / 2**20:.1f}M resident',
    ])
