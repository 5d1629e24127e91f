#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# vm: no (two minutes of emulation for a client that does not know of cgroups)
#
# parctl against the real service: streams, exit statuses, order, output, waiting.
# shellcheck source=tests/lib/system.sh
. "$(dirname "$0")/../lib/system.sh"
lines=1000 size=100M

daemon_start
parctl run -q -- true &
waiting=$!
sleep 0.5
said=$(pctl submit -- true 2>&1 > /dev/null)
like "$said" "parctl add-worker" "with no worker, submit names the command to type"
pctl add-worker -q --count 2 --memory 128M --cpus 0.75 > /dev/null
wait $waiting
is $? 0 "run waited for a worker"

seq $lines | pctl map -- sh -c 'echo $(( {} * 2 ))' > /tmp/out 2> /tmp/err
is $? 0 "map over $lines lines"
is "$(cat /tmp/out)" "$(seq 2 2 $((2 * lines)))" "prints the results in order"
is "$(cat /tmp/err)" "" "and nothing else"
is "$(pctl map echo {.}-{/}-{#} ::: /a/b.c d.e)" $'/a/b-b.c-1\nd-d.e-2' "replacement strings as in GNU parallel"
pctl map sh -c 'exit {}' ::: 0 1 0 2 > /dev/null 2>&1
is $? 2 "its exit status is the number of failures"
is "$(pctl map --workers 2 --memory 64M --cpus 0.25 echo ::: a b)" $'a\nb' "map with workers of its own"
two_workers() { [ "$(pctl workers -q | wc -l)" = 2 ]; }
ok "which are gone afterwards" eventually 5 two_workers

head -c $size /dev/urandom > /tmp/big
pctl run -- cat < /tmp/big > /tmp/copy
ok "$size pass through run unharmed" cmp /tmp/big /tmp/copy
is "$(pctl run -- sh -c 'echo out; echo err >&2' 2> /dev/null)" out "stdout is stdout"
is "$(pctl run -- sh -c 'echo out; echo err >&2' 2>&1 > /dev/null)" err "stderr is stderr"
pctl run -- sh -c 'exit 42'
is $? 42 "run exits as the task did"
pctl run -- sh -c 'kill -TERM $$'
is $? 143 "also when a signal ended it"
pctl run -- /no/such/program 2> /tmp/err
is $? 127 "127 for a program that does not exist"
like "$(cat /tmp/err)" "could not be started: .*/no/such/program" "which is named"
pctl map /no/such/thing ::: a b 2> /tmp/err > /dev/null
is "$(grep -c 'could not be started: .*/no/such/thing' /tmp/err)" 1 "map names it, once"
pctl submit --wait /no/such/job 2> /tmp/err > /dev/null
like "$(cat /tmp/err)" "could not be started: .*/no/such/job" "submit --wait names it"
is "$(printf 'a\nb\n' | pctl run -- sh -c 'read -r x; echo "$x"; cat')" $'a\nb' "stdin is passed"
is "$(pctl run -- printf '<%s>' 'a b' '$HOME' '*' "it's" '')" "<a b><\$HOME><*><it's><>" "nothing is parsed again"
parctl run -- sleep 100 &
running() { [ "$(manager_property RunningTasks)" -gt 0 ]; }
eventually 10 running
kill -TERM $! # bash starts what runs in the background with SIGINT ignored
wait $!
isnt $? 0 "SIGTERM cancels a run"
idle() { [ "$(manager_property RunningTasks)" = 0 ]; }
ok "and its task" eventually 5 idle

# output
task=$(pctl submit -q -- sh -c 'for i in 1 2 3; do echo line $i; sleep 0.3; done; echo oops >&2; exit 9')
is "$(pctl logs -f "$task" 2> /dev/null)" $'line 1\nline 2\nline 3' "logs -f follows from before the start to the end"
is "$(pctl logs --stderr "$task" 2>&1)" oops "stderr is kept apart"
pctl wait -q "$task"
is $? 9 "wait exits as the task did"
like "$(pctl show "$task")" "exited.*9|9.*exited" "show tells how it ended"
is "$(pctl submit -q --wait -- sh -c 'exit 3' > /dev/null; echo $?)" 3 "submit --wait exits as the task did"

pctl submit -q --array 0-20 -- sleep 0.1 > /dev/null
sleep 0.3
ok "wait, when some have ended and some have not" pctl wait last

# arrays and lines
batch=$(pctl submit -q --array 5-8 -- sh -c 'echo $PAREXEC_ARRAY_INDEX')
ok "an array" pctl wait -q "$batch"
is "$(pctl logs "$batch")" "$(seq 5 8)" "each element has its index"
printf '%s\n' 'a b' "it's" '$x' > /tmp/lines
batch=$(pctl submit -q --each-line /tmp/lines -- echo 'got {}')
pctl wait -q "$batch"
is "$(pctl logs "$batch")" $'got a b\ngot it\'s\ngot $x' "lines pass unharmed"

# priority
pctl disable
low=$(pctl submit -q --priority -5 -- sh -c 'date +%s%N' 2> /dev/null)
high=$(pctl submit -q --priority 5 -- sh -c 'date +%s%N' 2> /dev/null)
pctl drain -q --wait w2
pctl enable
pctl wait -q "$low" "$high"
ok "the higher priority goes first" test "$(pctl logs "$high")" -lt "$(pctl logs "$low")"

# selection and listing
ok "the status is a JSON object" sh -c 'parctl status --json | jq -e ".workers[0].state == \"running\" and .limits.active == 1 and .queue.queued == 0"'
is "$(pctl tasks --json --all --state cancelled | jq length)" 1 "tasks can be selected by state"
ok "events are told" sh -c 'timeout 5 parctl events --json > /tmp/events & sleep 1; parctl run -- true; sleep 1; jq -es "length > 0" /tmp/events'
pctl nonsense > /dev/null 2>&1
is $? 2 "an unknown verb is a usage error"
daemon_stop
DBUS_SYSTEM_BUS_ADDRESS=unix:path=/nonexistent pctl status > /dev/null 2>&1
is $? 5 "no bus: exit status 5"
done_testing
