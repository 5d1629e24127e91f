# SPDX-License-Identifier: LGPL-2.1-or-later
"""What dependencies cost: a job file in which each task waits for three random earlier ones, beside the same file without
that. Each round submits both, in turns; nothing runs while a file is submitted, and then all of it drains. The ratio "by
CPU" counts all processes that took part, the tasks' own included: other load on the machine changes it least."""

import json
import pathlib
import random
import statistics
import subprocess
import tempfile

import facts

PLAIN = 'without edges'
GRAPH = 'with edges'
EDGES_PER_TASK = 3
WORKERS = 2
SLOTS = 4
WORKER_MEMORY = '256M'
SEED = 1    # the same graph each time


def earlier(generator, number):
    """Up to three tasks before that one."""
    return sorted({generator.randrange(number) for _ in range(EDGES_PER_TASK)}) if number else []


def write_job_files(folder, tasks, command):
    """{name: path}, and the number of edges."""
    generator = random.Random(SEED)
    plain = [{'id': f't{number}', 'argv': command} for number in range(tasks)]
    parents = [earlier(generator, number) for number in range(tasks)]
    graph = [{**task, **({'after': 'afterok:' + ':'.join(f't{number}' for number in before)} if before else {})}
             for task, before in zip(plain, parents)]
    paths = {}
    for name, content in ((PLAIN, plain), (GRAPH, graph)):
        paths[name] = pathlib.Path(folder, f'{name.replace(" ", "-")}.json')
        paths[name].write_text(json.dumps(content), encoding='utf-8')
    return paths, sum(map(len, parents))


def parctl(*arguments):
    return facts.output_of('parctl', *arguments)


def drain(batch):
    parctl('enable', '--quiet')
    # its exit status is that of the tasks
    subprocess.run(['parctl', 'wait', '--quiet', f'batch:{batch}'], check=True, stdout=subprocess.DEVNULL)


class Round:
    """One file, submitted and drained."""

    def __init__(self, daemon, path, tasks):
        parctl('disable', '--quiet')
        cpu = [facts.cpu_usec(daemon)]
        said = []
        self.submit_seconds = facts.clocked(lambda: said.append(parctl('submit', '--json', '--from-json', str(path))))
        cpu.append(facts.cpu_usec(daemon))
        self.submitted_bytes = facts.memory_bytes(daemon, 'VmRSS')
        everything = facts.sandbox_cpu_usec()
        self.drain_seconds = facts.clocked(drain, json.loads(said[0])['batch'])
        self.everything_cpu_usec = (facts.sandbox_cpu_usec() - everything) / tasks
        cpu.append(facts.cpu_usec(daemon))
        self.submit_cpu_usec = (cpu[1] - cpu[0]) / tasks
        self.drain_cpu_usec = (cpu[2] - cpu[1]) / tasks


def measure(options):
    daemon = facts.main_pid('parexecd.service')
    parctl('--quiet', 'add-worker', '--count', str(WORKERS), '--slots', str(SLOTS), '--memory', WORKER_MEMORY, '--force')
    rounds = {PLAIN: [], GRAPH: []}
    with tempfile.TemporaryDirectory() as folder:
        paths, edges = write_job_files(folder, options.tasks, options.command)
        for number in range(options.rounds):
            facts.say(f'round {number + 1} of {options.rounds}')
            for name in sorted(rounds, reverse=number % 2 == 0):
                rounds[name].append(Round(daemon, paths[name], options.tasks))
                facts.say(f'  {name}: submitted in {rounds[name][-1].submit_seconds:.2f} s, '
                          f'drained in {rounds[name][-1].drain_seconds:.1f} s')
    return {
        'tasks': options.tasks, 'edges': edges, 'rounds': options.rounds, 'workers': WORKERS, 'slots': SLOTS,
        'files': [{'name': name, **medians(rounds[name])} for name in (PLAIN, GRAPH)],
        'drain_ratio': median_ratio(rounds, 'drain_seconds'),
        'drain_cpu_ratio': median_ratio(rounds, 'everything_cpu_usec'),
        'parexecd_resident_bytes': facts.memory_bytes(daemon, 'VmRSS'),
        'parexecd_resident_peak_bytes': facts.memory_bytes(daemon, 'VmHWM'),
    }


def medians(rounds):
    return {key: statistics.median(getattr(each, key) for each in rounds) for key in vars(rounds[0])}


def median_ratio(rounds, key):
    return statistics.median(getattr(graph, key) / getattr(plain, key) for graph, plain in zip(rounds[GRAPH], rounds[PLAIN]))


def describe(result):
    rows = [[each['name'], f'{each["submit_seconds"]:.2f} s', f'{result["tasks"] / each["drain_seconds"]:.0f}',
             f'{each["drain_seconds"]:.1f} s',
             facts.time_text(each['submit_cpu_usec']), facts.time_text(each['drain_cpu_usec']),
             facts.time_text(each['everything_cpu_usec']), f'{each["submitted_bytes"] / 2**20:.0f}M'] for each in result['files']]
    return '\n'.join([
        f'a job file of {result["tasks"]} tasks, {result["workers"]} workers of {result["slots"]} slots, '
        f'median of {result["rounds"]} rounds',
        '',
        facts.table(['', 'accepted in', 'tasks/s', 'drained in', 'parexecd CPU each, to accept', 'to drain', 'all CPU each', 'resident then'], rows),
        '',
        f'{result["edges"]} edges make draining {result["drain_ratio"]:.2f} × as long, {result["drain_cpu_ratio"]:.2f} × by CPU',
        f'parexecd: {result["parexecd_resident_bytes"] / 2**20:.1f}M resident in the end, '
        f'at most {result["parexecd_resident_peak_bytes"] / 2**20:.1f}M',
    ])
