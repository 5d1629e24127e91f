#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# shellcheck disable=SC2016 # what stands in single quotes is for the shells of the tasks
#
# Options of parctl that no other test is about, each by what it does.
# vm: no (minutes of emulation; what differs by the cgroup version is in test-limits and test-capacity)
# shellcheck source=tests/lib/system.sh
. "$(dirname "$0")/../lib/system.sh"
dir=$(mktemp -d)
chmod 755 "$dir"
cd "$dir" || exit 1

daemon_start

# ---------------------------------------------------------------- add-worker

pctl add-worker -q --force --memory 256M --slots 2 --allowed-cpus 0 --memory-high 128M > /dev/null 2>&1
is "$(systemctl show -P AllowedCPUs parexec-w1.scope)" 0 "--allowed-cpus reaches systemd"
is "$(systemctl show -P MemoryHigh parexec-w1.scope)" $((128 << 20)) "--memory-high, too"
if cgroup_is_v2; then
    is "$(cat "$(cgroup_of parexec-w1.scope cpuset)/cpuset.cpus")" 0 "and the kernel holds the CPUs"
    is "$(cat "$(cgroup_of parexec-w1.scope memory)/memory.high")" $((128 << 20)) "and the memory"
else
    like "$(worker_property w1 NotEnforced)" "MemoryHigh.*allowed CPUs" "that cgroup v1 has neither is told"
fi

# a program that grows with its first task, and says which process it is
cat > grows << 'END'
#!/bin/sh
while IFS= read -r line; do
    id=${line#*:} id=${id%%,*}
    big=${big:-$(head -c 60M /dev/zero | tr '\0' x)}
    printf '{"id":%s,"exit":0,"stdout":"%s\\n"}\n' "$id" $$
done
END
chmod 755 grows
# CLASS [OPTION...]: the processes that did two tasks
processes() {
    local class=$1 one two
    shift
    pctl add-worker -q --force --exec "$dir/grows" --worker-class "$class" --memory 512M "$@" > /dev/null
    one=$(pctl submit -q --worker-class "$class" -- a)
    two=$(pctl submit -q --worker-class "$class" --after "afterok:$one" -- b)
    wait_task "$two" succeeded 30 >&2
    pctl logs "$one" "$two" | sort -u | wc -l
}
is "$(processes stays)" 1 "without --recycle-memory a program does task after task"
is "$(processes leaves --recycle-memory 30M)" 2 "with it, not when it has grown over that"

# ---------------------------------------------------------------- tasks, logs, submit

as_user alice parctl submit -q -- true > /dev/null
mine=$(pctl submit -q -- true)
pctl wait -q "$mine"
is "$(pctl tasks --all --owner 1000 --json | jq -c '[.[].owner] | unique')" "[1000]" "tasks --owner: those of one user"
like "$(pctl tasks -q --all --owner 0)" "$mine" "and of another"

is "$(as_user alice parctl tasks --all --mine --json | jq -c '[.[].owner] | unique')" "[1000]" "tasks --mine: one's own"
task=$(pctl submit -q --retries 1 --backoff 0 --shell 'echo $PAREXEC_ATTEMPT; exit 1')
pctl wait -q "$task"
is "$(pctl logs --attempt 1 "$task"),$(pctl logs "$task")" "1,2" "logs --attempt: of an earlier one"
ok "status --watch: again and again" test "$(timeout 2.5 parctl status --watch 1 --json | grep -c workers)" -gt 1

batch=$(pctl submit --json --array 1-2 --shell 'echo $PAREXEC_ARRAY_INDEX' | jq .batch)
pctl wait -q "batch:$batch"
like "$(pctl logs --batch "$batch")" '^\[[0-9]+] 1' "logs of a batch: each line with its task"
is "$(pctl logs --no-tag --batch "$batch")" $'1\n2' "with --no-tag without"
task=$(pctl submit -q --shell 'echo begun; sleep 1; echo ended')
is "$(pctl logs --follow "$task")" $'begun\nended' "logs --follow: to the end of the task"
echo 'from a file' > input
task=$(pctl submit -q --stdin input -- cat)
pctl wait -q "$task"
is "$(pctl logs "$task")" "from a file" "submit --stdin: a file to read from"

# ---------------------------------------------------------------- progress

# on a terminal: is there a bar?
bar() { script -qec "parctl $1" /dev/null | grep -c '%'; }
if command -v script > /dev/null; then
    like "$(bar 'map sleep ::: 0.5')" '^[1-9]' "map shows its progress on a terminal"
    is "$(bar 'map --no-progress sleep ::: 0.5')" 0 "not with --no-progress"
    pctl submit -q -- sleep 1 > /dev/null
    like "$(bar 'wait last')" '^[1-9]' "wait, too"
    pctl submit -q -- sleep 1 > /dev/null
    is "$(bar 'wait --no-progress last')" 0 "and not with --no-progress"
else
    skip "there is no script(1) to make a terminal with" 4
fi

# ---------------------------------------------------------------- lines while tasks run

# The task goes on only when its first line has been read.
goes_on='echo first; n=0; until [ -e '$dir'/go ] || [ $n = 100 ]; do sleep 0.1; n=$((n + 1)); done; echo second $n; rm -f '$dir/go
answered() { # COMMAND...
    "$@" | {
        read -r line && touch "$dir/go"
        echo "$line"
        cat
    }
}
like "$(answered pctl map --line-buffer --shell "$goes_on" ::: x)" '^first.second [0-9]{1,2}$|first' "lines are printed"
unlike "$(answered pctl map --line-buffer --shell "$goes_on" ::: x)" 'second 100' "map --line-buffer: while the task runs"
like "$(answered pctl map --shell "$goes_on" ::: x)" 'second 100' "without it: when it has ended"
rm -f "$dir/go"
task=$(pctl submit -q --shell "$goes_on")
unlike "$(answered pctl wait --line-buffer "$task")" 'second 100' "wait --line-buffer: the same"
is "$(pctl map --line-buffer --tag-lines --shell 'printf {}; sleep 0.5; echo {}; printf half' ::: a b | sort)" \
    "$(printf '%s\n' $'a\taa' $'a\thalf' $'b\tbb' $'b\thalf')" "lines are whole, and tagged"
is "$(pctl map --line-buffer -k --shell 'echo {}; sleep {}; echo {}' ::: 1 0)" $'1\n1\n0\n0' "with -k in order"
# as they come: the second one ends first
is "$(pctl map --line-buffer --shell 'echo {}; sleep {}; echo {}' ::: 1.5 0.5 | tail -n 1)" 1.5 "without -k in none"
is "$(pctl map --line-buffer --unordered --shell 'echo {}; sleep {}; echo {}' ::: 1.5 0.5 | tail -n 1)" 1.5 \
    "which is what -u says, too"
pctl map --line-buffer --retries 1 --backoff 0 --shell 'echo $PAREXEC_ATTEMPT; sleep 0.5; exit 1' ::: x > attempts
is "$(cat attempts)" $'1\n2' "the attempts follow one another"
is "$(seq 200 | pctl map --line-buffer -k echo 2> /dev/null)" "$(seq 200)" "nothing is lost of tasks that are over at once"
is "$(pctl map --line-buffer --shell 'echo x; echo {} >&2' ::: y 2>&1 > /dev/null)" y "stderr is stderr"

# ---------------------------------------------------------------- what wait prints

id=$(pctl submit --json --array 1-2 --shell 'sleep $((2 - PAREXEC_ARRAY_INDEX)); echo $PAREXEC_ARRAY_INDEX' | jq .batch)
is "$(pctl wait "batch:$id")" "" "wait alone prints nothing"
is "$(pctl wait --keep-order "batch:$id")" $'1\n2' "wait --keep-order: what the tasks printed, in their order"
like "$(pctl wait --tag "batch:$id" | head -n 1)" '^\[[0-9]+] 1$' "wait --tag: behind their numbers"
id=$(pctl submit --json --array 1-2 --shell 'sleep $((2 - PAREXEC_ARRAY_INDEX)); echo $PAREXEC_ARRAY_INDEX' | jq .batch)
is "$(pctl wait --unordered "batch:$id")" $'2\n1' "wait --unordered: as they end"
task=$(pctl submit -q --shell 'echo out; echo err >&2; exit 3')
pctl wait -q -k "$task" > out 2> err
is "$? $(cat out) $(head -n 1 err)" "3 out err" "and still exits as the task did, with stderr apart"

# ---------------------------------------------------------------- map: slots, trying, delays

is "$(seq 8 | pctl map -j2 --shell 'sleep 0.1; : {}; echo {%}' | sort -u)" $'1\n2' "{%} is a slot of -j"
pctl map -j2 --shell "mkdir $dir/slot{%} && sleep 0.2 && rmdir $dir/slot{%} # {}" ::: 1 2 3 4 5 6
is $? 0 "which no two have at the same time"
before=$(pctl tasks -q --all)
is "$(pctl map --dry-run -j2 echo '{%}' {} ::: 'a b' c)" $'echo 1 \'a b\'\necho 2 c' "--dry-run prints the commands"
is "$(seq 2 | pctl map --dry-run --shell 'echo {} > {#}')" $'echo 1 > 1\necho 2 > 2' "those of --shell as the shell has them"
is "$(pctl tasks -q --all)" "$before" "and submits none"
printf 'a\nb\n' > letters
is "$(pctl map printf '%s-%s\n' :::: letters :::+ 1 2)" $'a-1\nb-2' ":::: reads a file, :::+ goes in step"
# the first two end at the same time: the two slots are free at once
pctl map -j4 --delay 0.5 --joblog log sleep ::: 1.5 1 0 0 > /dev/null
apart=$(sort -n log | awk 'NR > 2 && $3 - last < 0.45 { print $3 - last } NR > 1 { last = $3 }')
is "$(wc -l < log) $apart" "5 " "--delay keeps starts apart, even if they had to wait for a slot"

cd / && rm -rf "$dir"
done_testing
