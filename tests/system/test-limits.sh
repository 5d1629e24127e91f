#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# Workers and their limits: what was asked for is what systemd says, what the kernel holds, and what is read back; a task
# that needs more memory than its worker has dies alone.
# shellcheck source=tests/lib/system.sh
. "$(dirname "$0")/../lib/system.sh"

daemon_start
ok "a worker is added" pctl add-worker --memory 64M --cpus 0.5 --tasks-max 50 --name first
is "$(worker_property w1 State)" running "it runs"
is "$(worker_property w1 Unit)" parexec-w1.scope "it has a scope"
shown=$(systemctl show parexec-w1.scope \
    -p MemoryMax,CPUQuotaPerSecUSec,TasksMax,Slice,Delegate,CollectMode | sort | tr '\n' ' ')
is "$shown" "CPUQuotaPerSecUSec=500ms CollectMode=inactive-or-failed Delegate=yes MemoryMax=67108864 Slice=parexec-shared.slice TasksMax=50 " \
    "systemd knows the limits"
is "$(memory_limit_of parexec-w1.scope)" $((64 << 20)) "the kernel holds the memory limit"
is "$(cat "$(cgroup_of parexec-w1.scope pids)/pids.max")" 50 "the kernel holds the limit of processes"
is "$(worker_property w1 NotEnforced)" "[]" "nothing is reported as not enforced"
is "$(worker_property w1 MemoryMax)" $((64 << 20)) "the limit is a property"
usage=$(worker_property w1 MemoryCurrent)
ok "memory use is read from the kernel ($usage bytes)" test "$usage" -gt 10000 -a "$usage" -lt $((64 << 20))

# one task over the limit, one beside it that is not
hog='head -c 200M /dev/zero | tail -c 200M > /dev/null'
pctl submit -q -- sh -c "$hog" > /dev/null
ok "the greedy task ends" wait_task 1 failed 60
is "$(task_property 1 Outcome)" oom "as out of memory"
is "$(worker_property w1 State)" running "its worker lives"
pid=$(worker_property w1 Pid)
is "$(pctl run -- echo still here)" "still here" "and runs the next task"
is "$(worker_property w1 Pid)" "$pid" "in the same process"
# a task that is being killed is let past the limit (the kernel's try_charge_memcg()), by some MiB of the 200 it wanted
peak=$(task_property 1 MemoryPeak)
ok "its peak is on record ($peak bytes)" test "$peak" -gt $((50 << 20)) -a "$peak" -le $((80 << 20))
ok "a failed task's output is kept" pctl show 1

# the limit of a task's own
pctl add-worker -q --force --memory 512M > /dev/null
pctl drain -q --wait w1
pctl submit -q --memory 32M -- sh -c "$hog" > /dev/null
ok "a task over its own limit ends" wait_task 3 failed 60
is "$(task_property 3 Outcome)" oom "as out of memory"
ok "within the limit it succeeds" pctl run -- sh -c 'head -c 100M /dev/zero | tail -c 100M > /dev/null'

is "$(pctl run -- sh -c 'head -c 1M /dev/zero | wc -c')" 1048576 "a pipeline works as ever"
cpu=$(pctl submit -q -- sh -c 'i=0; while [ $i -lt 100000 ]; do i=$((i+1)); done')
ok "a task that computes ends" wait_task "$cpu" succeeded 60
ok "its CPU time is on record" test "$(task_property "$cpu" CPUUsageNSec)" -gt 10000000
done_testing
