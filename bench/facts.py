# SPDX-License-Identifier: LGPL-2.1-or-later
"""What the benchmarks read off the machine, and how they print: surroundings, processes, percentiles, tables."""

import os
import pathlib
import platform
import shutil
import statistics
import subprocess
import sys
import time

TICK_USEC = 1e6 / os.sysconf('SC_CLK_TCK')
SYNCS = 50


def say(text):
    """Progress; results alone go to stdout."""
    print(text, file=sys.stderr, flush=True)


def output_of(*command):
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


def clocked(function, *arguments):
    """Seconds that a call takes."""
    began = time.monotonic()
    function(*arguments)
    return time.monotonic() - began


def missing(programs):
    return [name for name in programs if not shutil.which(name)]


# ---------------------------------------------------------------- surroundings

def sync_usec(folder):
    """What an fdatasync of 4 KiB, appended, costs in that folder: it bounds how fast something can be durable."""
    path = folder / 'sync-probe'
    times = []
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    try:
        for _ in range(SYNCS):
            os.write(fd, bytes(4096))
            times.append(clocked(os.fdatasync, fd))
    finally:
        os.close(fd)
        path.unlink()
    return statistics.median(times) * 1e6


def surroundings(bench_state):
    """The machine before anything is measured; bench_state is the folder that will hold the queue."""
    return {
        'cores': os.cpu_count(),
        'kernel': platform.release(),
        'load_before': os.getloadavg()[0],
        'queue': {
            'filesystem': output_of('findmnt', '-n', '-o', 'FSTYPE', '-T', bench_state),
            'source': output_of('findmnt', '-n', '-o', 'SOURCE', '-T', bench_state).split('[')[0],
            'sync_usec': sync_usec(bench_state),
        },
    }


def describe(result):
    queue = result['queue']
    return (f'queue on {queue["filesystem"]} ({queue["source"]}), where an fdatasync of 4 KiB takes {queue["sync_usec"]:.0f} µs; '
            f'{result["cores"]} cores, Linux {result["kernel"]}, load before: {result["load_before"]:.1f}')


# ---------------------------------------------------------------- processes

def cpu_usec(pid):
    """CPU time of a process and its threads, its children's not counted."""
    fields = pathlib.Path(f'/proc/{pid}/stat').read_text().rpartition(')')[2].split()
    return (int(fields[11]) + int(fields[12])) * TICK_USEC


def sandbox_cpu_usec():
    """CPU time of everything in the sandbox since it began: its cgroups' root, v1 or v2."""
    try:
        return int(pathlib.Path('/sys/fs/cgroup/cpuacct/cpuacct.usage').read_text()) / 1000
    except FileNotFoundError:
        lines = pathlib.Path('/sys/fs/cgroup/cpu.stat').read_text().splitlines()
        return int(dict(line.split() for line in lines)['usage_usec'])


def machine_cpu_usec():
    """CPU time that the whole machine has used since it began; idling and waiting for disks left out."""
    with open('/proc/stat', encoding='ascii') as file:
        user, nice, system, _, _, irq, softirq, steal = map(int, file.readline().split()[1:9])
    return (user + nice + system + irq + softirq + steal) * TICK_USEC


def memory_bytes(pid, field):
    """A field of /proc/PID/status that is a size, such as VmRSS."""
    for line in pathlib.Path(f'/proc/{pid}/status').read_text().splitlines():
        name, _, value = line.partition(':')
        if name == field:
            return int(value.split()[0]) * 1024
    raise KeyError(field)


def main_pid(unit):
    return int(output_of('systemctl', 'show', '-P', 'MainPID', unit))


# ---------------------------------------------------------------- numbers

def percentile(values, percent):
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, len(ordered) * percent // 100)]


def distribution(seconds):
    """Percentiles in µs."""
    return {'count': len(seconds), **{f'p{percent}_usec': percentile(seconds, percent) * 1e6 for percent in (50, 90, 99)},
            'max_usec': max(seconds) * 1e6}


def time_text(usec):
    if usec < 1000:
        return f'{usec:.0f} µs'
    return f'{usec / 1e3:.1f} ms' if usec < 1e6 else f'{usec / 1e6:.2f} s'


def table(head, rows):
    """Lines of columns, the first to the left, the others to the right."""
    cells = [head, *rows]
    widths = [max(len(row[column]) for row in cells) for column in range(len(head))]
    return '\n'.join(
        '  '.join(cell.ljust(width) if column == 0 else cell.rjust(width)
                  for column, (cell, width) in enumerate(zip(row, widths))).rstrip()
        for row in cells)
