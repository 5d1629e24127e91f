# SPDX-License-Identifier: LGPL-2.1-or-later
"""What the lint scripts share: the tree's files, C without comments and strings, and the TAP they print.

Each script checks the tree given as its argument (default: its own) and prints one test point per rule.
"""

import pathlib
import re
import subprocess
import sys

_C_NOISE = re.compile(r'//[^\n]*|/\*.*?\*/|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])+\'', re.DOTALL)


class Tree:
    """The files under version control and those that could be: git's list and what is new and not ignored."""

    def __init__(self, top):
        self.top = top
        listed = subprocess.run(['git', '-C', top, 'ls-files', '-z', '--cached', '--others', '--exclude-standard'],
                                check=True, capture_output=True, text=True).stdout
        self.files = sorted(name for name in set(listed.split('\0')) if name and (top / name).is_file())
        self._texts = {}

    def text(self, name):
        if name not in self._texts:
            self._texts[name] = (self.top / name).read_text(errors='replace')
        return self._texts[name]

    def named(self, *endings, under=''):
        return [name for name in self.files if name.endswith(endings) and name.startswith(under)]

    def sources(self, under=''):
        """The C files."""
        return self.named('.c', '.h', under=under)

    def is_script(self, name):
        with (self.top / name).open('rb') as file:
            return file.read(2) == b'#!'


def bare_c(text, keep_strings=False):
    """C with comments (and strings) blanked out; every line stays where it was."""
    def blank(match):
        found = match[0]
        if found[0] in '"\'':
            return found if keep_strings else found[0] * 2
        return ' ' + '\n' * found.count('\n')
    return _C_NOISE.sub(blank, text)


def numbered(text):
    return enumerate(text.splitlines(), 1)


class Report:
    """TAP: a point per rule, its breaches as diagnostics. Use it as a context: it ends the program."""

    def __init__(self):
        self.points = self.failed = 0

    def rule(self, name, breaches):
        self.points += 1
        breaches = list(breaches)
        self.failed += bool(breaches)
        print(f'{"not ok" if breaches else "ok"} {self.points} - {name}')
        for breach in breaches:
            print(f'# {breach}')

    def note(self, text):
        print(f'# {text}')

    def skip(self, name, reason):
        self.points += 1
        print(f'ok {self.points} - {name} # SKIP {reason}')

    def finish(self):
        print(f'1..{self.points}')
        sys.exit(1 if self.failed else 0)


def begin():
    """The tree to check and an empty report."""
    own = pathlib.Path(__file__).resolve().parents[2]
    return Tree(pathlib.Path(sys.argv[1]) if len(sys.argv) > 1 else own), Report()
