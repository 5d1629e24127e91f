#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# Out of memory: a task dies whole and alone, whosever memory it was, and says so; and the other limits of single tasks.
# shellcheck source=tests/lib/system.sh
. "$(dirname "$0")/../lib/system.sh"

hog() { printf 'exec tail -c %s < <(exec cat /dev/zero) > /dev/null' "$1"; } # buffers so much
shown() { pctl show "$1"; }
ended() { [ -n "$(task_property "$1" Outcome)" ]; }

# SIZE MEMORY: submits a task that wants SIZE; its id
submit_hog() { pctl submit -q --memory "$2" -- bash -c "$(hog "$1")"; }

daemon_start
pctl add-worker -q --force --memory 256M --name big > /dev/null
pid=$(worker_property w1 Pid)

# ---------------------------------------------------------------- whose memory it was
task=$(submit_hog 500M 64M)
ok "a task over its own limit ends" eventually 60 ended "$task"
is "$(task_property "$task" Outcome)" oom "as out of memory"
like "$(shown "$task")" "out of memory: its limit of 64\.0M was reached; peak 6[0-9.]*M" "with limit and peak"

task=$(pctl submit -q -- bash -c "$(hog 900M)")
ok "one without a limit of its own ends" eventually 60 ended "$task"
is "$(task_property "$task" Outcome)" oom "as out of memory"
like "$(shown "$task")" "out of memory: the limit of its worker, 256\.0M, was reached; peak 2[0-9.]*M" "by the worker's limit"

task=$(pctl submit -q --memory 64M -- sh -c 'head -c 500M /dev/zero | tail -c 500M | wc -c; exit 0')
ok "a pipeline of which one command runs out of memory ends" eventually 60 ended "$task"
is "$(task_property "$task" Outcome)" oom "as out of memory, whatever its last command says"

task=$(pctl submit -q --memory 64M -- bash -c "setsid sleep 7791 & ($(hog 500M)); sleep 7792")
ok "one that would go on ends" eventually 30 ended "$task"
is "$(task_property "$task" Outcome)" oom "as out of memory"
nok "with its whole tree" pgrep -f 'sleep 779[12]'

task=$(pctl submit -q --memory 64M -- sh -c 'echo $$ > /tmp/pid; exec sleep 7793')
victim() { [ -s /tmp/pid ] && kill -9 "$(cat /tmp/pid)"; }
ok "a task is killed by somebody" eventually 20 victim
eventually 20 ended "$task"
is "$(task_property "$task" Outcome)" signalled "which is another outcome"
unlike "$(shown "$task")" "out of memory" "and not for want of memory"

# a limit above the worker's
systemctl set-property --runtime parexec.slice MemoryMax=120M
task=$(pctl submit -q -- bash -c "$(hog 900M)")
ok "a task that a limit above its worker's stops ends" eventually 60 ended "$task"
is "$(task_property "$task" Outcome)" oom "as out of memory"
like "$(shown "$task")" "out of memory: no limit of the task or its worker was reached" "by neither its own nor the worker's"
systemctl set-property --runtime parexec.slice MemoryMax=infinity

# ---------------------------------------------------------------- who lives
is "$(worker_property w1 State)" running "the worker lives"
is "$(worker_property w1 Pid)" "$pid" "in the same process"
ok "and protects itself ($(cat "/proc/$pid/oom_score_adj"))" test "$(cat "/proc/$pid/oom_score_adj")" -le 0
is "$(pctl run -- cat /proc/self/oom_score_adj)" 0 "but not its tasks"
if cgroup_is_v2; then
    is "$(cat "$(cgroup_of parexec-w1.scope memory)/runtime/memory.min")" $((4 << 20)) "its own memory is protected"
else
    skip "cgroup v1 has no protection of memory"
fi

pctl add-worker -q --force --memory 256M --slots 4 --name wide > /dev/null
pctl drain -q --wait w1
rm -f /tmp/go
beside=$(pctl submit -q -- sh -c 'while [ ! -e /tmp/go ]; do sleep 0.02; done; echo well')
wait_task "$beside" running 20
hogs=
for _ in $(seq 10); do hogs+=" $(pctl submit -q -- bash -c "$(hog 900M)")"; done
for task in $hogs; do eventually 60 ended "$task"; done
outcomes=$(for task in $hogs; do task_property "$task" Outcome; done | sort | uniq -c | tr -s ' ')
is "$outcomes" " 10 oom" "ten tasks that fight for the memory of one worker all end so"
is "$(task_property "$beside" State)" running "the one beside them runs on"
touch /tmp/go
ok "and ends well" wait_task "$beside" succeeded 20
is "$(worker_property w2 State)" running "as does the worker"

# ---------------------------------------------------------------- other limits
# CONTROLLER V1-FILE V2-FILE: a shell command that prints a file of its own cgroup
group_file() {
    if cgroup_is_v2; then
        printf "cat /sys/fs/cgroup\$(sed -n 's/^0:://p' /proc/self/cgroup)/%s" "$3"
    else
        printf "cat /sys/fs/cgroup/%s\$(sed -n 's/^[0-9]*:%s://p' /proc/self/cgroup)/%s" "$1" "$1" "$2"
    fi
}
limits="$(group_file memory memory.limit_in_bytes memory.max); $(group_file cpu cpu.cfs_quota_us cpu.max); \
$(group_file pids pids.max pids.max)"
quota=50000
! cgroup_is_v2 || quota="50000 100000"
is "$(pctl run --memory 64M --cpus 0.5 --tasks-max 20 -- sh -c "$limits" | tr '\n' ' ')" "$((64 << 20)) $quota 20 " \
    "the kernel holds the limits of a task"
unlike "$(pctl run -- sh -c "$limits" | tr '\n' ' ')" "^$((64 << 20)) | 50000| 20 $" "and not those of the task before"
task=$(pctl submit -q --tasks-max 5 -- sh -c 'for i in 1 2 3 4 5 6 7 8 9; do sleep 1 & done; wait')
ok "a task that has too many processes" wait_task "$task" failed 20
is "$(task_property "$task" Outcome)" exited "hears of it, and is not killed"
done_testing
