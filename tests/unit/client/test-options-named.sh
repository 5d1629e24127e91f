#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# Every long option that "parctl VERB --help" offers is named by a test, or on a page that a test runs. $PARCTL names the
# program, $SOURCE the tree. Usage errors do not count: they show no effect.
tree=$SOURCE
# shellcheck source=tests/lib/tap.sh
. "$tree/tests/lib/tap.sh"

# VERB OPTION and why no test names it
exempt=''

help_of() { LC_ALL=C "$PARCTL" "$@" --help; }
verbs() { help_of | sed -n '/^Verbs:/,/^$/s/^  \([a-z][a-z-]*\).*/\1/p'; }
options() { help_of "$1" | sed -n '/^Options/,/^Examples/s/^ .*\(--[a-z-]*\).*/\1/p' | sort -u; }

tested=$(mktemp)
find "$tree/tests" -type f \( -name '*.sh' -o -name '*.c' -o -name '*.py' \) \
    ! -name test-parctl-usage.c ! -name "$(basename "$0")" -exec cat {} + > "$tested"
cat "$tree/doc/parallel.md" "$tree/doc/pipelines.md" >> "$tested"

count=0
for verb in $(verbs); do
    untested=''
    for option in $(options "$verb"); do
        count=$((count + 1))
        grep -qE -- "(^|[^a-z-])$option([^a-z-]|\$)" "$tested" || [[ $exempt == *"$verb $option"* ]] || untested+=" $option"
    done
    is "$untested" "" "the options of $verb are named by tests"
done
ok "there were many ($count)" test $count -gt 200
rm -f "$tested"
done_testing
