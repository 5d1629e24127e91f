# SPDX-License-Identifier: LGPL-2.1-or-later
"""Tasks per second through parexec, with scopes, leaf cgroups, accounting and the durable queue all on, beside others
that run commands in parallel and do none of this.

Slow ones run a share of the tasks; their rate is what counts. A round runs all contestants one after the other, so
that each round's ratios compare neighbours in time. The CPU time of a task is that of all processes which took part,
the task's own included: other load on the machine changes it least. Its ratio is what the ratio of the rates would be
if every core were busy all the time and nothing else ran.
"""

import dataclasses
import json
import os
import shlex
import statistics
import subprocess
import tempfile
import time
import typing

import facts

PAREXEC = 'parexec'
EVERYTHING = 'everything'
WORKER_MEMORY = '256M'
DISTURBED = 0.05
SETTLE_SECONDS = 0.3    # what the daemon still writes after a batch's end belongs to its tasks
TSP_MOST = 1000         # it holds no more


@dataclasses.dataclass
class Contestant:
    """run(tasks) runs that many and returns when all have ended; extra time for setting up is not measured."""
    name: str
    run: typing.Callable
    needs: list = dataclasses.field(default_factory=list)   # programs
    divisor: int = 1                                        # runs tasks / divisor
    most: int = 10**9
    seconds: list = dataclasses.field(default_factory=list)
    cpu_usec: list = dataclasses.field(default_factory=list)
    disturbance: list = dataclasses.field(default_factory=list)     # share of the CPUs that others took

    def share(self, tasks):
        return min(max(tasks // self.divisor, 1), self.most)


def run_quietly(*command, **keywords):
    subprocess.run(command, check=True, stdin=keywords.pop('stdin', subprocess.DEVNULL), stdout=subprocess.DEVNULL, **keywords)


def fed_with_lines(tasks, *command):
    with subprocess.Popen(['seq', str(tasks)], stdout=subprocess.PIPE) as lines:
        run_quietly(*command, stdin=lines.stdout)


class Field:
    """The contestants, all with the same command and as many at a time as there are cores."""

    def __init__(self, options):
        self.command = options.command
        self.jobs = str(os.cpu_count())
        self.floor = options.build / 'bench/spawn-floor'
        self.scratch = tempfile.mkdtemp()

    def contestants(self):
        return [
            Contestant(PAREXEC, self.parexec),
            Contestant('C spawner (the floor)', self.spawner),
            Contestant('xargs -P', self.xargs, ['xargs']),
            Contestant('make -j', self.make, ['make']),
            Contestant('GNU parallel', self.parallel, ['parallel'], divisor=10),
            Contestant('task-spooler', self.spooler, ['tsp'], divisor=10, most=TSP_MOST),
        ]

    def parexec(self, tasks):
        run_quietly('parctl', 'submit', '--quiet', '--array', f'0-{tasks - 1}', '--wait', '--', *self.command)

    def spawner(self, tasks):
        run_quietly(self.floor, str(tasks), self.jobs, *self.command)

    def xargs(self, tasks):
        fed_with_lines(tasks, 'xargs', '-P', self.jobs, '-I', '{line}', *self.command)

    def parallel(self, tasks):
        fed_with_lines(tasks, 'parallel', '--will-cite', '-j', self.jobs, '-N0', shlex.join(self.command))

    def make(self, tasks):
        path = f'{self.scratch}/Makefile'
        recipe = shlex.join(self.command).replace('$', '$$')
        with open(path, 'w', encoding='utf-8') as file:
            file.write(f'T := $(shell seq {tasks})\nall: $(T)\n.PHONY: all $(T)\n$(T): ; @{recipe}\n')
        run_quietly('make', '-j', self.jobs, '-f', path)

    def spooler(self, tasks):
        environment = {**os.environ, 'TS_SOCKET': f'{self.scratch}/tsp', 'TMPDIR': self.scratch}
        run_quietly('tsp', '-S', self.jobs, env=environment)
        run_quietly(self.floor, str(tasks), '1', 'tsp', *self.command, env=environment)
        for last in range(tasks - 1, max(tasks - 1 - int(self.jobs), -1), -1):
            run_quietly('tsp', '-w', str(last), env=environment)
        run_quietly('tsp', '-K', env=environment)


# ---------------------------------------------------------------- what it costs

class Service:
    """The processes that work for parexec: what they have used."""

    def __init__(self):
        self.daemon = facts.main_pid('parexecd.service')
        workers = json.loads(facts.output_of('parctl', '--json', 'status'))['workers']
        self.groups = {
            'parexecd': [self.daemon],
            'workers': [worker['pid'] for worker in workers],
            'dbus-daemon': [facts.main_pid('dbus.service')],
            'systemd': [1],
            'journald': [facts.main_pid('systemd-journald.service')],
        }

    def cpu(self):
        used = {name: sum(map(facts.cpu_usec, pids)) for name, pids in self.groups.items()}
        return {**used, EVERYTHING: facts.sandbox_cpu_usec()}

    def memory(self):
        return {'resident_bytes': facts.memory_bytes(self.daemon, 'VmRSS'),
                'resident_peak_bytes': facts.memory_bytes(self.daemon, 'VmHWM'),
                'workers_resident_bytes': sum(facts.memory_bytes(pid, 'VmRSS') for pid in self.groups['workers'])}


def add_workers(count):
    facts.output_of('parctl', '--quiet', 'add-worker', '--count', str(count), '--memory', WORKER_MEMORY, '--force')


def others_cpu_usec():
    """What runs outside of the sandbox."""
    return facts.machine_cpu_usec() - facts.sandbox_cpu_usec()


def run_once(contestant, tasks, service):
    before, others_before = service.cpu(), others_cpu_usec()
    contestant.seconds.append(facts.clocked(contestant.run, tasks))
    others = others_cpu_usec() - others_before
    time.sleep(SETTLE_SECONDS)
    after = service.cpu()
    contestant.cpu_usec.append({name: (after[name] - before[name]) / tasks for name in after})
    contestant.disturbance.append(max(others / (contestant.seconds[-1] * 1e6 * os.cpu_count()), 0))
    facts.say(f'  {contestant.name}: {tasks / contestant.seconds[-1]:.0f} tasks/s, '
              f'{contestant.cpu_usec[-1][EVERYTHING]:.0f} µs CPU each')


def cpu_medians(contestant):
    rounds = contestant.cpu_usec
    return {name: statistics.median(each[name] for each in rounds) for name in rounds[0]}


# ---------------------------------------------------------------- results

def measure(options):
    field = Field(options)
    everyone = field.contestants()
    entered = [each for each in everyone if not facts.missing(each.needs)]
    add_workers(os.cpu_count())
    service = Service()
    for number in range(options.rounds):
        facts.say(f'round {number + 1} of {options.rounds}')
        turn = number % len(entered)
        for contestant in entered[turn:] + entered[:turn]:
            run_once(contestant, contestant.share(options.tasks), service)
    return {
        'tasks': options.tasks, 'rounds': options.rounds, 'command': options.command, 'workers': os.cpu_count(),
        'contestants': [outcome(each, entered[0], options.tasks) for each in entered],
        'disturbance': statistics.mean(share for each in entered for share in each.disturbance),
        'not_installed': [each.name for each in everyone if each not in entered],
        'cpu_usec_per_task': cpu_medians(entered[0]),
        'memory': service.memory(),
    }


def outcome(contestant, parexec, tasks):
    share = contestant.share(tasks)
    rates = [share / seconds for seconds in contestant.seconds]
    ratios = [parexec.share(tasks) / mine / rate for mine, rate in zip(parexec.seconds, rates)]
    cpu_ratios = [theirs[EVERYTHING] / mine[EVERYTHING] for mine, theirs in zip(parexec.cpu_usec, contestant.cpu_usec)]
    return {'name': contestant.name, 'tasks': share, 'tasks_per_second': statistics.median(rates),
            'least': min(rates), 'most': max(rates), 'cpu_usec_per_task': cpu_medians(contestant)[EVERYTHING],
            'parexec_ratio': statistics.median(ratios), 'parexec_cpu_ratio': statistics.median(cpu_ratios)}


def ratio_texts(each):
    if each['name'] == PAREXEC:
        return ['', '']
    return [f'{each["parexec_ratio"]:.2f} ×', f'{each["parexec_cpu_ratio"]:.2f} ×']


def describe(result):
    rows = [[each['name'], str(each['tasks']), f'{each["tasks_per_second"]:.0f}', f'{each["least"]:.0f}', f'{each["most"]:.0f}',
             f'{each["cpu_usec_per_task"]:.0f} µs', *ratio_texts(each)] for each in result['contestants']]
    cpu = ', '.join(f'{name} {usec:.0f} µs' for name, usec in result['cpu_usec_per_task'].items() if name != EVERYTHING)
    memory = {name: size / 2**20 for name, size in result['memory'].items()}
    lines = [
        f'{shlex.join(result["command"])}, {result["workers"]} workers, median of {result["rounds"]} rounds',
        '',
        facts.table(['', 'tasks', 'tasks/s', 'least', 'most', 'CPU each', 'parexec is', 'by CPU'], rows),
        '',
        f'of it parexec\'s own, without the tasks\': {cpu}',
        f'parexecd: {memory["resident_bytes"]:.1f}M resident, at most {memory["resident_peak_bytes"]:.1f}M; '
        f'workers together {memory["workers_resident_bytes"]:.1f}M',
    ]
    if result['disturbance'] > DISTURBED:
        lines.append(f'NOT RELIABLE: other programs took {result["disturbance"]:.0%} of the CPUs meanwhile: the rates say little, '
                     '"CPU each" and its ratio "by CPU" more')
    if result['not_installed']:
        lines.append(f'not installed: {", ".join(result["not_installed"])} (tools/packages install bench)')
    return '\n'.join(lines)
