#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Whether the tasks of a job file ran in the order that it asks for, and each ended once.

    check-order.py JOB_FILE SUBMITTED EVENTS [TASKS]

JOB_FILE   what was given to "parctl submit --from-json": an array, or an object with "tasks"; each task has an "id"
SUBMITTED  what "parctl submit --json" said: the ids of the local names
EVENTS     what "parctl events --json" printed, from before the submission until after the end
TASKS      what "parctl tasks --json --all" says after the end: must agree with the events

For each task, events tell one end, and it is the last that is told; no attempt of it started before what it waits for
had ended as "after" wants it; it was skipped if that could not be, and only then. Of "after" it knows afterok,
afternotok, afterany and exit=N with "," and "?", without parentheses.
Prints what is wrong, a line each, at most 20, else one line of figures; exits 1 if anything is wrong.
"""

import collections
import dataclasses
import datetime
import json
import re
import sys

ENDS = {'succeeded', 'failed', 'cancelled', 'skipped'}
CONDITION = re.compile(r'(afterok|afternotok|afterany|exit=(\d+)):(.+)')
SHOWN = 20


@dataclasses.dataclass
class Seen:
    """What is known of a task."""
    ends: int = 0
    state: str = ''                                         # the last that was told
    attempt: int = 0
    exit_status: int | None = None
    starts: list = dataclasses.field(default_factory=list)  # of the attempts that were told
    finished: datetime.datetime | None = None

    def holds(self, kind, status):
        """Whether a condition on it is fulfilled by how it ended."""
        if kind == 'afterok':
            return self.state == 'succeeded'
        if kind == 'afternotok':
            return self.state in ENDS - {'succeeded'}
        if kind == 'afterany':
            return self.state in ENDS
        return self.state in ENDS and self.exit_status == int(status)


def time_of(text):
    return datetime.datetime.fromisoformat(text.replace('Z', '+00:00'))


def take_times(seen, record):
    if 'started' in record:
        seen.starts.append(time_of(record['started']))
    if 'finished' in record and record['state'] in ENDS:
        seen.finished = time_of(record['finished'])


class Checker:
    def __init__(self, tasks, ids):
        self.tasks = tasks
        self.ids = ids
        self.seen = collections.defaultdict(Seen)
        self.wrong = []
        self.edges = 0

    def complain(self, name, text):
        self.wrong.append(f'{name} (task {self.ids[name]}): {text}')

    # ---- reading

    def read_events(self, path):
        """Each is about a task of the file, or is passed over."""
        names = {number: name for name, number in self.ids.items()}
        with open(path, encoding='utf-8') as file:
            for line in file:
                event = json.loads(line)
                if event['event'] == 'task' and event['task'] in names:
                    self.take(names[event['task']], event)

    def take(self, name, event):
        seen = self.seen[name]
        if seen.ends and event['state'] not in ENDS:
            self.complain(name, f'is {event["state"]} after its end')
        if event.get('attempt', 0) < seen.attempt and event['state'] != 'skipped':
            self.complain(name, f'attempt {event.get("attempt", 0)} after attempt {seen.attempt}')
        seen.state, seen.attempt = event['state'], event.get('attempt', 0)
        seen.ends += event['state'] in ENDS
        seen.exit_status = event.get('exit-status')
        take_times(seen, event)

    def read_listing(self, path):
        with open(path, encoding='utf-8') as file:
            rows = {row['id']: row for row in json.load(file)}
        for name, number in self.ids.items():
            row, seen = rows.get(number), self.seen[name]
            if row is None:
                self.complain(name, 'is not listed')
                continue
            if (row['state'], row.get('exit-status')) != (seen.state, seen.exit_status):
                self.complain(name, f'is {row["state"]} ({row.get("exit-status")}) in the list, '
                                    f'but {seen.state} ({seen.exit_status}) in the events')
            take_times(seen, row)

    # ---- judging

    def check(self):
        for task in self.tasks:
            self.check_end(task['id'])
            self.check_order(task)

    def check_end(self, name):
        seen = self.seen[name]
        if seen.ends != 1:
            self.complain(name, f'ended {seen.ends} times')
        elif seen.state not in ENDS:
            self.complain(name, f'is {seen.state} in the end')
        elif seen.state != 'skipped' and not (seen.starts and seen.finished):
            self.complain(name, 'no times are told')

    def check_order(self, task):
        name, seen = task['id'], self.seen[task['id']]
        clauses = [self.conditions(clause) for clause in clauses_of(task.get('after', []))]
        impossible = [clause for clause in clauses if not any(parent.holds(*how) for parent, how in clause)]
        if seen.state == 'skipped':
            if not impossible:
                self.complain(name, 'is skipped, though all that it waits for came')
            return
        if impossible:
            self.complain(name, f'is {seen.state}, though {len(impossible)} of its conditions did not hold')
            return
        for clause in clauses:
            self.check_clause(name, min(seen.starts, default=None), clause)

    def check_clause(self, name, started, clause):
        """The earliest of what fulfils it counts."""
        fulfilled = [parent.finished for parent, how in clause if parent.holds(*how) and parent.finished]
        if started and fulfilled and started < min(fulfilled):
            self.complain(name, f'started at {started.time()}, and what it waits for ended at {min(fulfilled).time()}')

    def conditions(self, clause):
        """[(what is looked at, (kind, status))]; several names behind one word must all hold, and come one by one."""
        self.edges += len(clause)
        return [(self.seen[name], (kind, status)) for kind, status, name in clause]


def clauses_of(after):
    """[[(kind, status, name)]]: all of the outer, one of each inner."""
    words = [word for text in ([after] if isinstance(after, str) else after) for word in text.split(',')]
    for word in words:
        alternatives = [CONDITION.fullmatch(part).groups() for part in word.split('?')]
        if len(alternatives) == 1:
            kind, status, names = alternatives[0]
            yield from ([(kind, status, name)] for name in names.split(':'))
        elif any(':' in names for _, _, names in alternatives):
            raise SystemExit(f'check-order: several names in an alternative: {word}')
        else:
            yield alternatives


def read_json(path):
    with open(path, encoding='utf-8') as file:
        return json.load(file)


def main(job_file, submitted, events, listing=None):
    tasks = read_json(job_file)
    checker = Checker(tasks['tasks'] if isinstance(tasks, dict) else tasks, read_json(submitted)['ids'])
    checker.read_events(events)
    if listing:
        checker.read_listing(listing)
    checker.check()
    if checker.wrong:
        print(*checker.wrong[:SHOWN], f'{len(checker.wrong)} complaints', sep='\n')
        sys.exit(1)
    attempts = sum(seen.attempt for seen in checker.seen.values())
    print(f'{len(checker.tasks)} tasks, {checker.edges} edges, {attempts} attempts: all in order')


if len(sys.argv) not in (4, 5):
    sys.exit(__doc__)
main(*sys.argv[1:])
