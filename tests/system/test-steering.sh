#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# vm: no (two minutes of emulation for a client that does not know of cgroups)
#
# Steering what waits, retries, time limits, the environment and what map took from GNU parallel, through parctl.
# shellcheck source=tests/lib/system.sh
. "$(dirname "$0")/../lib/system.sh"
dir=$(mktemp -d)
chmod 777 "$dir"

daemon_start
pctl add-worker -q --force --memory 256M --slots 4 > /dev/null

# holding
held=$(pctl submit -q --hold -- true)
sleep 0.3
is "$(task_property "$held" State)" held "--hold holds"
like "$(pctl why "$held")" "held" "why says so"
pctl release -q "$held"
pctl wait -q "$held"
is $? 0 "release lets it go"
later=$(pctl submit -q --delay 1h -- true)
ok "what waits for a time" wait_task "$later" waiting
like "$(pctl why "$later")" "time" "why names the time"
is "$(pctl hold --json "$later" | jq .held)" 1 "hold counts"
is "$(task_property "$later" State)" held "and holds"
pctl cancel -q "$later"
start=${EPOCHREALTIME/[.,]/}
pctl submit -q --wait --begin +1s -- true
ok "--begin +1s waits" test $((${EPOCHREALTIME/[.,]/} - start)) -ge 1000000

# editing
task=$(pctl submit -q --hold -- sh -c 'echo old')
pctl edit -q "$task" --memory 64M -- sh -c 'echo new'
pctl priority -q 7 "$task"
is "$(task_property "$task" Priority)" 7 "priority changes the priority"
is "$(task_property "$task" MemoryMax)" $((64 << 20)) "edit changes the limit"
pctl release -q "$task"
pctl wait -q "$task"
is "$(pctl logs "$task")" new "and the command"

# retries
count=$dir/count
rm -f "$count"
task=$(pctl submit -q --retries 2 --backoff 10ms -- sh -c "echo x >> $count; test \$(wc -l < $count) = 3")
pctl wait -q "$task"
is "$? $(wc -l < "$count")" "0 3" "--retries tries again until it succeeds"
is "$(pctl show --json "$task" | jq '.[0].attempts | length')" 3 "every attempt is kept"
task=$(pctl submit -q --retries 5 --backoff 10ms --on exit=7:fail -- sh -c 'exit 7')
pctl wait -q "$task"
is "$? $(pctl show --json "$task" | jq '.[0].attempts | length')" "7 1" "--on exit=7:fail does not"
task=$(pctl submit -q --on exit=7:hold -- sh -c 'exit 7')
ok "--on exit=7:hold holds" wait_task "$task" held
pctl cancel -q "$task"
rm -f "$dir/good"
batch=$(pctl submit --json --array 0-3 -- sh -c "test -e $dir/good || test \$PAREXEC_ARRAY_INDEX = 1" | jq .batch)
pctl wait -q "batch:$batch"
touch "$dir/good"
is "$(pctl retry --json "batch:$batch" | jq .retried)" 3 "retry takes what failed of a batch"
pctl wait -q "batch:$batch"
is $? 0 "and it may succeed then"

# time
task=$(pctl submit -q --timeout 300ms --grace 1s -- sleep 60)
pctl wait -q "$task"
is $? 124 "--timeout ends it"
task=$(pctl submit -q --timeout 1s --warn USR1@800ms -- sh -c 'trap "echo warned; exit 5" USR1; while :; do sleep 0.05; done')
pctl wait -q "$task"
is "$? $(pctl logs "$task")" "5 warned" "--warn warns"
task=$(pctl submit -q --timeout 300ms --signal INT --grace 5s -- sh -c 'trap "echo int; exit 0" INT; while :; do sleep 0.05; done')
pctl wait -q "$task"
is "$(pctl logs "$task")" int "--signal is what it is told to stop with"

# queues, arrays, keys, limits of batches
ok "a queue is made" pctl queue add sims --parallel 1
nok "but once" pctl queue add sims
batch=$(pctl submit -q --queue sims --array 0-3 -- sh -c "echo b >> $dir/sims; sleep 0.1; echo e >> $dir/sims")
pctl wait -q "$batch"
is "$(paste -sd' ' "$dir/sims")" "b e b e b e b e" "one task of it at once"
is "$(pctl queue list --json | jq -c '.[0] | [.name, .parallel]')" '["sims",1]' "queues are listed"
ok "changed" pctl queue set sims --parallel 3
ok "and removed" pctl queue remove sims
nok "no task goes into a queue that is not there" pctl submit -q --queue sims -- true
batch=$(pctl submit -q --array 0-3%1 -- sh -c "echo b >> $dir/array; sleep 0.1; echo e >> $dir/array")
pctl wait -q "$batch"
is "$(paste -sd' ' "$dir/array")" "b e b e b e b e" "--array A-B%1"
one=$(pctl submit -q --key nightly -- true)
is "$(pctl submit -q --key nightly -- true)" "$one" "the same key is the same task"
pctl submit -q --wait --max-fails 1 --halt now --array 0-99%1 -- false
is "$(pctl tasks --json --batch "$(pctl tasks --json --limit 1 | jq '.[0].batch')" --all --state failed | jq length)" 1 \
    "--max-fails gives the rest up"

# environment
is "$(ODD=1 LC_TIME=C pctl run -- sh -c 'echo ${ODD-unset} ${LC_TIME-unset}')" "unset C" "selected variables are passed on"
is "$(ODD=1 pctl run --export ODD --export NEW=2 -- sh -c 'echo $ODD $NEW')" "1 2" "--export adds others"
is "$(ODD=1 pctl run --env all -- sh -c 'echo $ODD')" 1 "--env all"
is "$(ODD=1 HOME=/x pctl run --env none -- /bin/sh -c 'echo ${ODD-unset} $HOME')" "unset /root" "--env none: only what the user database says"
echo secret > "$dir/key"
chmod 644 "$dir/key"
is "$(pctl run --credential "token=$dir/key" -- sh -c 'cat "$CREDENTIALS_DIRECTORY/token"')" secret "--credential"

# output
task=$(pctl submit -q --merge -- sh -c 'echo a; echo b >&2; echo c')
pctl wait -q "$task"
is "$(pctl logs "$task")" $'a\nb\nc' "--merge"
task=$(pctl submit -q --output-max 64K -- sh -c 'echo first; head -c 10000000 /dev/zero | tr "\0" "x"; echo; echo last')
pctl wait -q "$task"
pctl logs "$task" > "$dir/capped"
is "$(head -n 1 "$dir/capped") $(tail -n 1 "$dir/capped")" "first last" "--output-max keeps the beginning and the end"
ok "and a line tells what is missing" grep -q '^\[parexec: .* dropped here\]$' "$dir/capped"
ok "there is little left" test "$(wc -c < "$dir/capped")" -lt 200000
task=$(pctl submit -q --retries 1 --backoff 300ms -- sh -c 'echo attempt $PAREXEC_ATTEMPT; exit 1')
is "$(pctl logs -f "$task" 2> "$dir/notes")" $'attempt 1\nattempt 2' "logs -f goes on over retries"
like "$(cat "$dir/notes")" "attempt 2" "and a line says so"
batch=$(pctl submit --json --array 0-1 -- sh -c 'echo $PAREXEC_ARRAY_INDEX' | jq .batch)
pctl wait -q "batch:$batch"
like "$(pctl logs --batch "$batch" | paste -sd' ')" '^\[[0-9]+\] 0 \[[0-9]+\] 1$' "logs --batch tags each line"
task=$(pctl submit -q -- sh -c 'echo "{\"a\": [1]}" > "$PAREXEC_RESULT"')
is "$(pctl wait --json "$task" | jq -c ".results[\"$task\"].a")" '[1]' "wait tells results"

# map
is "$(pctl map echo {2}-{1} ::: a b ::: 1 2 | paste -sd' ')" "1-a 2-a 1-b 2-b" "combinations of lists"
is "$(pctl map --tag-lines echo x ::: a | cat -A)" 'a^Ix a$' "--tag-lines"
pctl map -j 1 --halt now,fail=1 sh -c 'exit {}' ::: 0 1 0 0 > /dev/null 2>&1
is $? 1 "--halt now,fail=1"
pctl map -j 1 --halt now,success=1 sh -c 'exit {}' ::: 1 0 1 1 > /dev/null 2>&1
is $? 0 "--halt now,success=1"
pctl map --joblog "$dir/log" sh -c 'exit {}' ::: 0 3 0 > /dev/null 2>&1
is "$(sort -n "$dir/log" | cut -f 1,7 | tail -n 3 | paste -sd' ')" $'1\t0 2\t3 3\t0' "--joblog"
is "$(pctl map --joblog "$dir/log" --resume-failed echo ::: a b c)" b "--resume-failed runs what failed"
is "$(pctl map --joblog "$dir/log" --resume echo ::: a b c)" "" "--resume runs nothing again"
start=${EPOCHREALTIME/[.,]/}
pctl map --delay 300ms true ::: 1 2 3 4
ok "--delay keeps starts apart" test $((${EPOCHREALTIME/[.,]/} - start)) -ge 900000
rm -rf "$dir"
done_testing
