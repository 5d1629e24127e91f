#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# vm: no (minutes of emulation for nothing that depends on the cgroup version)
# timeout: 300
#
# Graphs in the right order: a diamond, 1 → many → 1, a long chain; without failures, then with every tenth attempt failing
# at random and retries on. tests/lib/check-order.py judges by what "parctl events --json" told.
# shellcheck source=tests/lib/system.sh
. "$(dirname "$0")/../lib/system.sh"
check=$(dirname "$0")/../lib/check-order.py
dir=$(mktemp -d)
width=${PAREXEC_TEST_WIDTH-10000} length=${PAREXEC_TEST_LENGTH-1000}

# the tasks of a job file: {id, after}
diamond() {
    jq -nc '[{id: "bottom", after: "afterok:left,afterok:right"}, {id: "left", after: "afterok:top"},
        {id: "right", after: "afterok:top"}, {id: "top"}]'
}
fan() { # N; the end waits for all by their names
    jq -nc --argjson n "$1" '[{id: "end", after: "afterok:\([range($n) | "n\(.)"] | join(":"))"}, {id: "begin"}]
        + [range($n) | {id: "n\(.)", after: "afterok:begin"}]'
}
chain() { # N
    jq -nc --argjson n "$1" '[range($n) | {id: "n\(.)"} + if . > 0 then {after: "afterok:n\(. - 1)"} else {} end]'
}
# of N tasks every third fails, whatever is tried: those behind are skipped, or are there for that
forks() { # N
    jq -nc --argjson n "$1" '[range($n) | . as $i | [
        {id: "a\($i)", command: (if $i % 3 == 0 then "exit 3" else "exit 0" end)},
        {id: "good\($i)", after: "afterok:a\($i)"}, {id: "bad\($i)", after: "exit=3:a\($i)"},
        {id: "either\($i)", after: "afterok:good\($i)?afterok:bad\($i)"},
        {id: "both\($i)", after: "afterany:good\($i),afterany:bad\($i)"},
        {id: "behind\($i)", after: "afterok:good\($i)"}, {id: "never\($i)", after: "afternotok:both\($i)"}] | .[]]'
}

# NAME OPTIONS STATUS: runs the graph that is read from stdin, each task with the options (JSON) and its own. STATUS is what
# waiting for it is to say.
runs() {
    local name=$1 began=${EPOCHREALTIME/[.,]/} batch
    jq -c --argjson options "$2" 'map($options + .)' > "$dir/job.json"
    if ! pctl submit --json --from-json "$dir/job.json" > "$dir/submitted" 2> "$dir/errors"; then
        fail "$name: it is accepted"
        diag "$(cat "$dir/errors")"
        return
    fi
    batch=$(jq .batch "$dir/submitted")
    pctl wait -q "batch:$batch"
    is $? "$3" "$name: it runs"
    diag "$name: $(((${EPOCHREALTIME/[.,]/} - began) / 1000)) ms"
    ok "$name: its end is told" eventually 5 grep -q "\"batch-finished\",\"batch\":$batch," "$dir/events"
    pctl tasks --json --all --batch "$batch" > "$dir/tasks"
    ok "$name: all in order" "$check" "$dir/job.json" "$dir/submitted" "$dir/events" "$dir/tasks"
    diag "$("$check" "$dir/job.json" "$dir/submitted" "$dir/events" "$dir/tasks")"
}

# An event has come, of a task that is there for that.
watching() {
    pctl submit -q --wait -- true > /dev/null
    [ -s "$dir/events" ]
}

# Whether some tasks needed more than one attempt, but fewer than a third of them.
some_were_retried() {
    jq -e 'length as $n | (map(select(.attempt > 1)) | length) as $r | $r > $n / 50 and $r < $n / 3' "$dir/tasks"
}

daemon_start
pctl add-worker -q --force --count 2 --memory 128M --slots 4 > /dev/null
parctl events --json > "$dir/events" &
watcher=$!
ok "events are told" eventually 10 watching

succeeding='{"argv": ["/bin/true"]}'
runs "a diamond" "$succeeding" 0 < <(diamond)
runs "1 → $width → 1" "$succeeding" 0 < <(fan "$width")
runs "a chain of $length" "$succeeding" 0 < <(chain "$length")
runs "100 forks" '{"shell": true, "command": "exit 0"}' 3 < <(forks 100)

# bash, since that has a random number at hand
# shellcheck disable=SC2016 # expanded by the task
failing='{"argv": ["bash", "-c", "exit $((RANDOM % 10 == 0))"], "retries": 20, "backoff": "10ms,50ms"}'
for ((i = 0; i < 5; i++)); do runs "a diamond that may fail" "$failing" 0 < <(diamond); done
runs "1 → $((width / 4)) → 1 with failures" "$failing" 0 < <(fan $((width / 4)))
ok "some of it was tried again" some_were_retried
runs "a chain of $((length / 4)) with failures" "$failing" 0 < <(chain $((length / 4)))
ok "some of that was tried again" some_were_retried

kill $watcher
rm -rf "$dir"
done_testing
