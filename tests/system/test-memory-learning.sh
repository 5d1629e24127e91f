#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# Tasks that need more memory than anybody said: after "oom" the next attempt gets more, and what tasks of a class took is
# what the later ones ask for.
# timeout: 240
# vm: no (minutes of emulation; who runs out of memory on cgroup v2 is told by test-oom)
# shellcheck source=tests/lib/system.sh
. "$(dirname "$0")/../lib/system.sh"

# Takes so many MiB at once and holds them for a moment. tail keeps its whole input in memory until it ends.
take() { printf 'head -c %dM /dev/zero | tail -c %dM | { sleep 0.1; wc -c; }' "$1" "$1"; }
attempts_of() { pctl show --json "$1" | jq '.[0].attempts | length'; }
limits_of() { pctl show --json "$1" | jq -r '[.[0].attempts[]."memory-max" / 1048576] | join(" ")'; }
outcomes_of() { pctl show --json "$1" | jq -r '[.[0].attempts[].outcome] | join(" ")'; }

daemon_config '[Tasks]
MemoryDefault=64M'
daemon_start
pctl add-worker -q --force --memory 512M > /dev/null

# a list, a factor, and what cannot grow any more
pctl submit -q --memory 32M --retry-memory 2x -- sh -c "$(take 100)" > /dev/null
ok "with more each time it succeeds" wait_task 1 succeeded 60
is "$(outcomes_of 1)" "oom oom exited" "at the third attempt"
is "$(limits_of 1)" "32 64 128" "with 32M, 64M, 128M"
like "$(pctl show 1)" "attempt 2 +ran out of memory.* with 64\.0M of memory" "show tells it"
pctl submit -q --memory 32M --retry-memory 40M,300M -- sh -c "$(take 100)" > /dev/null
ok "so it does by a list" wait_task 2 succeeded 60
is "$(outcomes_of 2)" "oom oom exited" "at the third, too"
is "$(limits_of 2)" "32 40 300" "with 32M, 40M, 300M"
pctl submit -q --memory 32M --retry-memory 4x -- sh -c "$(take 600)" > /dev/null
ok "more than a worker has is not to be had" wait_task 3 failed 60
is "$(outcomes_of 3)" "oom oom oom" "32M, 128M, 512M"
like "$(pctl show 3)" "no worker has more" "the record says why it was given up"
pctl submit -q --memory 32M --retry-memory 2x -- false > /dev/null
ok "other failures are not retried for it" wait_task 4 failed
is "$(attempts_of 4)" 1 "one attempt"

# one class: the first escalate, the later ones start right
for _ in 1 2; do
    pctl submit -q --name sim --memory auto --retry-memory 2x -- sh -c "$(take 150)" > /dev/null
done
ok "the first of the class succeeds" wait_task 5 succeeded 60
is "$(outcomes_of 5)" "oom oom exited" "after two that were too small"
is "$(limits_of 5)" "64 128 256" "from the default on"
ok "the second, too" wait_task 6 succeeded 60
pctl submit -q --name sim --memory auto --retry-memory 2x -- sh -c "$(take 150)" > /dev/null
ok "a later one" wait_task 7 succeeded 60
is "$(outcomes_of 7)" "exited" "starts right"
ok "with what was learned, and a margin ($(limits_of 7) MiB)" test "$(limits_of 7)" -gt 150 -a "$(limits_of 7)" -lt 260
is "$(pctl tasks --all --json | jq '.[] | select(.id == 7) | ."memory-max" / 1048576')" "$(limits_of 7)" "as the listing says"
row=$(pctl stats --json sim)
peak=$(jq '.[0]["memory-p95"]' <<< "$row")
ok "the table has the peak ($peak)" test "$peak" -gt $((145 << 20)) -a "$peak" -lt $((200 << 20))
next=$(jq '.[0]["next-memory"]' <<< "$row")
ok "and what is asked for next ($next)" test "$next" -gt "$peak" -a "$next" -lt $((260 << 20))
like "$(pctl stats)" "sim" "parctl stats shows the class"
like "$(pctl stats nosuch 2>&1)" "nothing is known of \"nosuch\"" "of another it says that it knows none"
as_user alice parctl submit -q --name sim --memory auto -- true > /dev/null
ok "another user's class of that name is another" wait_task 8 succeeded
is "$(as_user alice parctl stats --json | jq '[.[].owner] | unique | length')" 1 "and everybody sees their own"

# over a restart
daemon_stop
daemon_start
is "$(jq '.[0]["memory-p95"]' <<< "$(pctl stats --json sim)")" "$peak" "what was learned outlives the daemon"

# a task that fits no worker
pctl submit -q --memory 2G -- true > /dev/null
ok "too large for every worker: blocked" wait_task 9 blocked
like "$(pctl why 9)" "fits no worker.*2.0G" "why says so, with the numbers"
is "$(pctl run -- echo on)" on "others go on"
pctl add-worker -q --memory 3G --force > /dev/null
ok "it runs when a worker comes that it fits" wait_task 9 succeeded
done_testing
