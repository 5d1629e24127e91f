#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# vm: no (two minutes of emulation for a client that does not know of cgroups)
#
# Job files and dependencies against the real service: order, conditions, refusals, size.
# shellcheck source=tests/lib/system.sh
. "$(dirname "$0")/../lib/system.sh"
dir=$(mktemp -d)
tasks=2000 edges=6000

daemon_start
pctl add-worker -q --force --count 2 --memory 256M > /dev/null
pctl add-worker -q --force --memory 256M --slots 2 > /dev/null

# two researchers, an analyser after both, a writer if it succeeds, else a reporter
pipeline() {
    jq -n --arg dir "$dir" --argjson status "$1" '
        {defaults: {cwd: $dir, tags: ["pipeline"]},
         tasks: [
            {id: "writer", argv: ["sh", "-c", "echo written > text"], after: "afterok:analyser"},
            {id: "reporter", argv: ["sh", "-c", "echo failed > report"], after: "afternotok:analyser"},
            {id: "north", argv: ["sh", "-c", "echo n > north"]},
            {id: "south", argv: ["sh", "-c", "echo s > south"]},
            {id: "analyser", shell: true, command: "cat north south > sum; exit \($status)",
             after: ["afterok:north", "afterok:south"]}]}'
}

said=$(pipeline 0 | pctl submit --json --from-json -)
like "$said" '"ids"' "submit tells the ids of the local names"
id() { jq -r ".ids.$1" <<< "$said"; }
pctl wait -q "$(id writer)" "$(id reporter)"
is "$(cat "$dir/sum")" $'n\ns' "the analyser ran after both researchers"
is "$(cat "$dir/text")" written "the writer ran after it"
is "$(task_property "$(id reporter)" State)" skipped "and the reporter was skipped"
like "$(pctl show "$(id writer)")" "afterok:$(id analyser)" "show tells what it waited for"
is "$(task_property "$(id north)" Name)" north "a local name is the task's name"

rm -f "$dir"/*
said=$(pipeline 3 | pctl submit --json --from-json -)
pctl wait -q "$(id writer)" "$(id reporter)"
is "$(cat "$dir/report")" failed "the reporter runs if the analyser fails"
is "$(task_property "$(id writer)" State)" skipped "and the writer is skipped"

# nothing is submitted if anything is wrong
before=$(pctl tasks --json --all | jq length)
refused() { # TEXT REGEX NAME
    local said status
    said=$(pctl submit --from-json - <<< "$1" 2>&1)
    status=$?
    like "$status $said" "^1 .*$2" "$3"
}
refused '[{"id":"a","argv":["x"],"after":"afterok:a"}]' 'tasks\[0\].after:.* a → a' "a dependency on itself"
refused '[{"argv":["true"]},{"argv":["x"],"after":"afterok:zz"}]' 'tasks\[1\].after:.*"zz"' "an unknown name"
refused '[{"id":"a","argv":["x"]},{"id":"a","argv":["x"]}]' 'tasks\[1\].id' "a name that is there twice"
refused '[{"argv":["x"],"argvv":1}]' 'tasks\[0\].argvv' "an unknown key"
refused '[{"argv":["x"],"argv":["y"]}]' 'tasks\[0\].argv.*twice' "a key that is there twice"
refused '[{"argv":["x"],"retries":4294967296}]' 'tasks\[0\].retries' "retries of 2^32"
refused '[{"argv":["true"]},{"argv":["x"],"after":"afterok:999999999"}]' '999999999' "an id that does not exist"
refused "$(jq -cn '[range(10000) | {id: "n\(.)", argv: ["true"]}]
    | .[17].after = "afterok:n9000" | .[9000].after = "afterok:n5000" | .[5000].after = "afterok:n17"')" \
    'n17 → ' "a cycle of 3 among 10 000"
is "$(pctl tasks --json --all | jq length)" "$before" "nothing of all that was submitted"
is "$(pipeline 0 | pctl submit --from-json - --dry-run | awk 'NR > 1 { print $1 }' | paste -sd' ')" \
    "north south analyser writer reporter" "--dry-run shows the order"
like "$(pipeline 0 | pctl submit --from-json - --dry-run --dot)" '"analyser" -> "writer" \[label="afterok"\]' \
    "--dot draws the graph"

# --after
first=$(pctl submit -q -- sh -c 'exit 3')
pctl wait -q "$first"
pctl submit -q --wait --after "exit=3:$first" -- true
is $? 0 "a dependency on a task that ended long ago is decided at once"
skipped=$(pctl submit -q --after "afterok:$first" -- true)
ok "what can no longer be satisfied is skipped" wait_task "$skipped" skipped
blocked=$(pctl submit -q --after "afterok:$first" --keep-unsatisfied -- true)
sleep 0.5
is "$(task_property "$blocked" State)" blocked "or stays blocked with --keep-unsatisfied"
pctl cancel -q "$blocked"
pctl submit -q -- true > /dev/null
pctl submit -q --wait --after afterok:last -- true
is $? 0 "--after last"
array=$(pctl submit -q --array 0-3 -- sh -c 'exit 0')
pctl submit -q --wait --array 0-3 --after "aftercorr:${array%-*}" -- true
is $? 0 "aftercorr between arrays"

# many
jq -cn --argjson n $tasks --argjson e $((edges / tasks)) '
    [range($n) | . as $i | {id: "t\($i)", argv: ["true"]}
     + (if $i >= $e then {after: [range(1; $e + 1) | "afterok:t\(($i * 7919 * .) % $i)"]} else {} end)]' > "$dir/many.json"
ok "$tasks tasks with $edges edges" pctl submit -q --wait --from-json "$dir/many.json"
rm -rf "$dir"
done_testing
