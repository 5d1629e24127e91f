#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""A program that does tasks, see parexec-program(7): it counts the words of the files it is given.

    parctl add-worker --exec '/usr/bin/python3 /usr/share/doc/parexec/examples/example-program.py' --worker-class words
    parctl submit --worker-class words -- /etc/services /etc/hosts
"""

import json
import os
import sys
import traceback


def count(path):
    with open(path, encoding='utf-8', errors='replace') as file:
        return len(file.read().split())


def do(task):
    """The members of the answer beside its id. What is to be loaded once is best loaded before the first task."""
    os.chdir(task['cwd'])
    counts = {path: count(path) for path in task['argv']}
    lines = [f'{n} {path}\n' for path, n in counts.items()]
    return {'exit': 0, 'stdout': ''.join(lines), 'result': counts}


def main():
    # The answers go to a descriptor of their own; whatever else prints, prints to stderr.
    answers = os.fdopen(os.dup(1), 'w', encoding='utf-8')
    os.dup2(2, 1)
    for line in sys.stdin:
        task = json.loads(line)
        try:
            answer = do(task)
        except Exception:
            answer = {'exit': 1, 'stderr': traceback.format_exc()}
        answer['id'] = task['id']
        print(json.dumps(answer), file=answers, flush=True)


main()
