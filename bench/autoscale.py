# SPDX-License-Identifier: LGPL-2.1-or-later
"""How the number of workers follows what is asked of it: a script of five phases, and twice a second the target, the live
workers, the queue, the memory in use and the pressure. The series can be drawn (--svg FILE)."""

import json
import pathlib
import subprocess
import time

import facts

INTERVAL = 0.5
CONFIG = pathlib.Path('/etc/parexec/parexecd.conf.d/60-bench.conf')
MAX_WORKERS = 6
SETTINGS = """[Workers]
MemoryMax=128M
CPUQuota=25%
[AutoScale]
Enabled=yes
Min=1
Max={max}
ScaleUpBelow={up:.0f}%
ScaleDownAbove={down:.0f}%
IdleTimeout=4s
Interval=1s
[Pressure]
Enabled=no
"""
# name, seconds, what is done when it begins
PHASES = [
    ('nothing to do', 6, None),
    ('a long queue', 18, 'queue'),
    ('memory fills', 12, 'hog'),
    ('memory is free again', 14, 'free'),
    ('the queue is empty', 24, 'drop'),
]
HOG_SHARE = 0.20    # of the machine's memory
HOG = 'import sys, time; held = bytearray(int(sys.argv[1])); held[::4096] = b"x" * len(held[::4096]); time.sleep(600)'


def status():
    return json.loads(facts.output_of('parctl', 'status', '--json'))


class Load:
    """What the phases do."""

    def __init__(self, total):
        self.total = total
        self.hog_process = None

    def queue(self):
        facts.output_of('parctl', 'submit', '--quiet', '--array', '1-2000', '--', 'sleep', '0.5')

    def hog(self):
        self.hog_process = subprocess.Popen(['/usr/bin/python3', '-c', HOG, str(int(self.total * HOG_SHARE))])

    def free(self):
        self.hog_process.kill()
        self.hog_process.wait()

    def drop(self):
        facts.output_of('parctl', 'cancel', '--quiet', '--all', '--yes')


def sample(began):
    now = status()
    return {
        'seconds': time.monotonic() - began,
        'target': now['scale'].get('target', 0),
        'workers': sum(worker['state'] in ('starting', 'running') for worker in now['workers']),
        'queued': now['queue']['queued'] + now['queue']['running'],
        'memory': now['memory']['percent'],
        'pressure': max(0, now['memory']['pressure']),
        'reason': now['scale'].get('reason', ''),
    }


def configure():
    """The lines for memory are set around what this machine uses anyway."""
    used = status()['memory']['percent']
    lines = (used + 100 * HOG_SHARE * 0.3, used + 100 * HOG_SHARE * 0.55)
    CONFIG.parent.mkdir(parents=True, exist_ok=True)
    CONFIG.write_text(SETTINGS.format(max=MAX_WORKERS, up=lines[0], down=lines[1]), encoding='utf-8')
    subprocess.run(['systemctl', 'restart', 'parexecd.service'], check=True)
    return lines


def measure(options):
    lines = configure()
    load = Load(status()['memory']['total'])
    samples, phases = [], []
    began = time.monotonic()
    for name, seconds, act in PHASES:
        facts.say(f'{name} ({seconds} s)')
        phases.append({'name': name, 'begins': time.monotonic() - began})
        if act:
            getattr(load, act)()
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            samples.append(sample(began))
            time.sleep(INTERVAL)
    result = {'phases': phases, 'samples': samples, 'up_below': lines[0], 'down_above': lines[1], 'max': MAX_WORKERS}
    if options.svg:
        options.svg.write_text(draw(result), encoding='utf-8')
    return result


# ---------------------------------------------------------------- drawing

WIDTH, LEFT, RIGHT, PANEL, GAP, TOP = 860, 70, 20, 120, 34, 46
STYLE = ('text{font:12px sans-serif;fill:#333}.title{font-size:15px;font-weight:bold}.axis{stroke:#999}.phase{stroke:#ccc;stroke-dasharray:3 3}'
         '.line{stroke:#b35900;stroke-dasharray:6 4}path{fill:none;stroke-width:2}')


class Panel:
    """One diagram above the common axis of time."""

    def __init__(self, number, seconds, top_value, label):
        self.top = TOP + number * (PANEL + GAP)
        self.seconds, self.top_value, self.label = seconds, top_value, label
        self.parts = []

    def x(self, seconds):
        return LEFT + (WIDTH - LEFT - RIGHT) * seconds / self.seconds

    def y(self, value):
        return self.top + PANEL * (1 - min(value, self.top_value) / self.top_value)

    def series(self, points, colour, steps=False):
        path = ''
        for seconds, value in points:
            x, y = f'{self.x(seconds):.1f}', f'{self.y(value):.1f}'
            path += f'M{x} {y}' if not path else (f'H{x}V{y}' if steps else f'L{x} {y}')
        self.parts.append(f'<path d="{path}" stroke="{colour}"/>')

    def level(self, value, text):
        y = self.y(value)
        self.parts.append(f'<line class="line" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y:.1f}" y2="{y:.1f}"/>'
                          f'<text x="{WIDTH - RIGHT}" y="{y - 4:.1f}" text-anchor="end">{text}</text>')

    def svg(self):
        bottom = self.top + PANEL
        return ''.join([
            f'<line class="axis" x1="{LEFT}" x2="{LEFT}" y1="{self.top}" y2="{bottom}"/>',
            f'<line class="axis" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{bottom}" y2="{bottom}"/>',
            f'<text x="{LEFT}" y="{self.top - 8}">{self.label}</text>',
            f'<text x="{LEFT - 6}" y="{self.top + 10}" text-anchor="end">{self.top_value:g}</text>',
            f'<text x="{LEFT - 6}" y="{bottom}" text-anchor="end">0</text>', *self.parts])


def draw(result):
    samples = result['samples']
    seconds = samples[-1]['seconds']

    def points(key):
        return [(each['seconds'], each[key]) for each in samples]

    workers = Panel(0, seconds, result['max'] + 1, 'workers: target (blue), alive (green)')
    workers.series(points('workers'), '#2e8b57', steps=True)
    workers.series(points('target'), '#2060c0', steps=True)
    queue = Panel(1, seconds, max(1, max(each['queued'] for each in samples)), 'tasks that wait or run')
    queue.series(points('queued'), '#666')
    memory = Panel(2, seconds, 10 * (int(max(result['down_above'], *(each['memory'] for each in samples))) // 10 + 1),
                   'memory in use, percent (brown), and pressure, some avg10 (red)')
    memory.series(points('memory'), '#8b5a2b')
    memory.series(points('pressure'), '#c02020')
    memory.level(result['up_below'], 'up only below')
    memory.level(result['down_above'], 'down above')
    height = memory.top + PANEL + 40
    marks = ''.join(f'<line class="phase" x1="{workers.x(each["begins"]):.1f}" x2="{workers.x(each["begins"]):.1f}" y1="{TOP - 4}" y2="{height - 40}"/>'
                    f'<text x="{workers.x(each["begins"]) + 3:.1f}" y="{height - 22}">{each["name"]}</text>' for each in result['phases'])
    return (f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" height="{height}"><style>{STYLE}</style>'
            f'<rect width="100%" height="100%" fill="#fff"/><text class="title" x="{LEFT}" y="20">Auto-scaling through five phases, {seconds:.0f} s</text>'
            f'{marks}{workers.svg()}{queue.svg()}{memory.svg()}</svg>\n')


def describe(result):
    rows, samples = [], result['samples']
    for number, phase in enumerate(result['phases']):
        ends = result['phases'][number + 1]['begins'] if number + 1 < len(result['phases']) else float('inf')
        within = [each for each in samples if phase['begins'] <= each['seconds'] < ends]
        targets = [each['target'] for each in within]
        changes = sum(a != b for a, b in zip(targets, targets[1:]))
        rows.append([phase['name'], f'{targets[0]} → {targets[-1]}', str(changes), f'{within[-1]["workers"]}',
                     f'{within[-1]["memory"]:.0f} %', within[-1]['reason']])
    return facts.table(['phase', 'target', 'changes', 'workers then', 'memory then', 'why, lately'], rows)
