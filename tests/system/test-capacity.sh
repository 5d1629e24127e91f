#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# How many workers the machine carries, what is theirs, and how many are kept: refusals with names and numbers, --force,
# limits that change while things run, what stands still, scaling and profiles.
# shellcheck source=tests/lib/system.sh
. "$(dirname "$0")/../lib/system.sh"

daemon_config '[Workers]
MaxWorkers=64
MemoryReserve=0

[Resources]
licence=2'
daemon_start
cores=$(pctl topology --json | jq '.cores | length')

drain_all() { pctl drain -q --all --yes --wait > /dev/null; }
live_workers() { pctl status --json | jq '[.workers[] | select(.state == "running")] | length'; }
has_workers() { [ "$(live_workers)" = "$1" ]; }
worker_runs() { [ "$(live_workers)" -ge 1 ]; }
worker_of() { pctl status --json | jq -c ".workers[] | select(.id == \"$1\")"; }
last_worker() { pctl status --json | jq -r '.workers[-1].id'; }

# ---------------------------------------------------------------- admission

filled=$(pctl add-worker --count all --memory 32M --io-weight 200 2> /tmp/said | grep -c '^w')
is "$filled" "$cores" "--count all adds a worker for each core"
like "$(cat /tmp/said)" "$cores workers? added, and no more: needs 1 core; of $cores physical cores?, $cores taken" "and says what binds"
is "$(pctl status --json | jq -c '[.limits.can_add, .limits.reason, .limits.active]')" "[false,\"cores\",$cores]" \
    "the status says it, too"
like "$(pctl status)" "cannot add a worker \(cores bind: $cores of $cores are taken\)" "in words"

pctl add-worker --memory 32M < /dev/null > /tmp/said 2>&1
is $? 3 "one more is refused, with exit status 3"
like "$(cat /tmp/said)" "needs 1 core; of $cores physical cores?, $cores taken" "with the numbers"
like "$(cat /tmp/said)" "--force" "and what to do about it"
unlike "$(cat /tmp/said)" "speed" "nobody is asked, so the risks are not told"
like "$(manager_call AddWorker 'a{sv}' 1 memory-max t 33554432 2>&1)" "Call failed: No worker was added.*" "a program is told as well"
ok "--force starts it" pctl add-worker -q --force --memory 32M
forced=$(last_worker)
is "$(worker_of "$forced" | jq .forced)" true "and it is marked"
is "$(worker_property "$forced" Forced)" true "also as a property"
like "$(pctl show "$forced")" "forced  yes" "show tells it"
like "$(pctl status)" "started by force: $forced" "for people, too"
is "$(worker_of w1 | jq .forced)" false "others are not"
# ANSWER: what happens on a terminal to one that is refused
asked() { (sleep 1; echo "$1"; sleep 1) | timeout 20 script -qec "parctl add-worker --memory 32M" /dev/null; }
said=$(asked n)
like "$said" "needs 1 core.*If it is started all the same.*  - The workers may use $((cores + 2)) cores at once.*\[y/N\]" \
    "on a terminal the risks are told, and it asks"
is "$(live_workers)" $((cores + 1)) "no: nothing is started"
like "$(asked y)" "running" "yes: it starts"
is "$(live_workers)" $((cores + 2)) "and is there"
drain_all

pctl add-worker --memory 4000G > /tmp/said 2>&1
is $? 3 "more memory than there is: exit status 3"
like "$(cat /tmp/said)" "needs 3\.9T; .* free, of it 0B kept for the system" "with the numbers"
pctl add-worker --memory 32M --gpus 99 > /tmp/said 2>&1
is $? 3 "more GPUs than there are: exit status 3"
like "$(cat /tmp/said)" "needs 99 GPUs" "with the numbers"
ok "--gpus N? does with fewer" pctl add-worker -q --memory 32M --gpus '99?'
pctl add-worker --memory 32M --numa 99 > /tmp/said 2>&1
is $? 1 "there is no such NUMA node"
like "$(cat /tmp/said)" "NUMA node 99" "which is said"
ok "a worker takes two licences" pctl add-worker -q --force --memory 32M --resource licence=2
pctl add-worker --force --memory 32M --resource licence > /tmp/said 2>&1
is $? 3 "a third is not to be had, by force neither"
like "$(cat /tmp/said)" "licence.* 2 taken" "and who asks is told"
is "$(pctl topology --json | jq -c '.resources')" '[{"name":"licence","count":2,"taken":2}]' "topology counts them"
drain_all
ok "a worker is given a core of its own" pctl add-worker -q --memory 32M --pin
pinned=$(last_worker)
is "$(pctl topology --json | jq "[.cores[] | select(.worker == \"$pinned\")] | length")" 1 "topology shows it"
is "$(worker_of "$pinned" | jq -r .pinned)" "$(worker_property "$pinned" AllowedCPUs)" "and so does the worker"
drain_all

# ---------------------------------------------------------------- limits that change

ok "a worker is there" pctl add-worker -q --memory 64M --cpus 0.5
worker=$(last_worker)
is "$(memory_limit_of "parexec-$worker.scope")" $((64 << 20)) "with its limit in the kernel"
ok "its limits are changed" pctl set "$worker" memory=96M cpu=25%
is "$(memory_limit_of "parexec-$worker.scope")" $((96 << 20)) "the kernel has the new one"
is "$(worker_property "$worker" MemoryMax)" $((96 << 20)) "and so has the bus"
is "$(worker_property "$worker" CPUQuota)" 250000 "the CPU quota as well"
pctl set "$worker" memory=4000G > /tmp/said 2>&1
is $? 3 "more than the machine can carry is refused"
unlike "$(cat /tmp/said)" "--memory" "without the advice of add-worker"
is "$(memory_limit_of "parexec-$worker.scope")" $((96 << 20)) "and changes nothing"
ok "but not by force" pctl set "$worker" memory=4000G --force
is "$(worker_of "$worker" | jq .forced)" true "it counts as forced then"
pctl set "$worker" memory=4001G > /dev/null 2>&1
is $? 3 "and is asked again the next time"
ok "less is always to be had" pctl set "$worker" memory=96M
pctl set w9999 memory=1G > /tmp/said 2>&1
is $? 1 "there is no such worker"

# the cgroup of a task's process, in the hierarchy of memory
memory_of_task() {
    local pid path
    pid=$(cat "$1") || return 1
    if cgroup_is_v2; then
        path=$(sed -n 's/^0:://p' "/proc/$pid/cgroup")
        cat "/sys/fs/cgroup$path/memory.max"
    else
        path=$(sed -n 's/^[0-9]*:[^:]*memory[^:]*://p' "/proc/$pid/cgroup")
        cat "/sys/fs/cgroup/memory$path/memory.limit_in_bytes"
    fi
}
task=$(pctl submit -q --memory 32M -- sh -c 'echo $$ > /tmp/limited; exec sleep 7801')
ok "a task with a limit runs" wait_task "$task" running
ok "and says who it is" eventually 10 test -s /tmp/limited
is "$(memory_of_task /tmp/limited)" $((32 << 20)) "its cgroup has the limit"
is "$(worker_of "$worker" | jq '."memory-reserved"')" $((32 << 20)) "which is what it has reserved of its worker"
like "$(pctl set "$task" memory=48M)" "limits of 1 task changed" "its limit is changed"
has_limit() { [ "$(memory_of_task /tmp/limited)" = $((48 << 20)) ]; }
ok "the kernel has the new one" eventually 10 has_limit
is "$(task_property "$task" MemoryMax)" $((48 << 20)) "and so has the bus"
like "$(pctl show "$task")" "memory limit +48\.0M" "parctl show tells it"
pctl cancel -q "$task"

# below what it has in use: cgroup v1 does not set that, v2 takes it back or kills
task=$(pctl submit -q --memory 48M -- python3 -c '
import time
held = bytearray(40 << 20)
open("/tmp/grown", "w").write("x")
time.sleep(7802)')
ok "one that takes memory runs" eventually 20 test -s /tmp/grown
pctl set "$task" memory=16M > /tmp/said 2>&1
status=$?
if cgroup_is_v2; then
    is "$status" 0 "less than it takes is set"
    ok "and it is killed for it" wait_task "$task" failed
else
    is "$status" 1 "less than it takes is not set"
    like "$(cat /tmp/said)" "task $task keeps the limits that it has: memory limit: not enforced \(more is in use\)" "and it is told why"
    is "$(worker_of "$worker" | jq '."memory-reserved"')" $((48 << 20)) "its worker keeps the room for it"
    like "$(pctl set "$task" memory=infinity)" "limits of 1 task changed" "no limit is set"
    is "$(worker_of "$worker" | jq '."memory-reserved"')" 0 "then it has none reserved"
    pctl cancel -q "$task"
fi

# ---------------------------------------------------------------- what fits no worker

timeout 60 parctl events --json > /tmp/events &
watcher=$!
ok "somebody watches" eventually 10 test -e /tmp/events
sleep 0.5
large=$(pctl submit -q --memory 1G -- true)
demanding=$(pctl submit -q --gpus 1 --io-weight 200 --resource tape --memory 64M --retry-memory 2x -- true)
ok "a task that fits no worker is blocked" wait_task "$large" blocked
like "$(pctl why "$large")" "fits no worker: needs 1\.0G of memory; the worker has 96\.0M" "why tells the numbers"
like "$(pctl why "$demanding")" "fits no worker: needs 1 GPU" "of GPUs, too"
like "$(pctl show "$demanding")" "takes .*2 times the memory.*1 GPU, tape=1" "show tells what it takes"
is "$(pctl tasks --json | jq -c ".[] | select(.id == $demanding) | [.gpus, .resources]")" '[1,"tape=1"]' "and so does the listing"
told() { grep -q "\"event\":\"task-unplaceable\",\"task\":$large," /tmp/events; }
ok "and a signal is sent" eventually 10 told
kill $watcher
pctl set "$large" memory=64M > /dev/null
ok "with less it runs" wait_task "$large" succeeded
pctl cancel -q "$demanding"

# ---------------------------------------------------------------- standing still

cpu_of() { awk '{ print $14 + $15 }' "/proc/$1/stat"; }
# PID: does it compute?
computes() {
    local before
    before=$(cpu_of "$1")
    sleep 0.6
    [ "$(cpu_of "$1")" -gt "$before" ]
}
task=$(pctl submit -q -- sh -c 'echo $$ > /tmp/busy; while :; do :; done')
ok "a busy task runs" eventually 10 test -s /tmp/busy
busy=$(cat /tmp/busy)
ok "and computes" computes "$busy"
like "$(pctl freeze "$task")" "1 task stands still" "it is frozen"
like "$(pctl tasks)" " $task +[0-9]+ +running, frozen" "parctl tasks says so"
like "$(pctl show "$task")" "state  running, frozen" "show, too"
like "$(pctl status)" "1 running \(1 frozen\)" "and status counts it"
nok "it computes no more" computes "$busy"
is "$(task_property "$task" State)" running "though it counts as running"
daemon_restart
ok "its worker is back" wait_worker "$worker" running
nok "it stands still when the service has been restarted" computes "$busy"
like "$(pctl why "$task")" "parctl thaw $task" "why says so"
like "$(pctl thaw "$task")" "1 task goes on" "it is thawed"
ok "and goes on" eventually 10 computes "$busy"
ok "its worker is frozen" pctl freeze "$worker" --reclaim
is "$(worker_property "$worker" Frozen)" true "which is a property"
nok "its task stands still" computes "$busy"
like "$(pctl workers)" "$worker .*frozen" "parctl workers says so"
daemon_kill
daemon_start
ok "the worker is back when the service was killed" eventually 10 test "$(worker_property "$worker" State)" = running
is "$(worker_property "$worker" Frozen)" true "and is frozen"
nok "its task still stands still" computes "$busy"
waiting=$(pctl submit -q -- true)
sleep 0.5
is "$(task_property "$waiting" State)" queued "it takes nothing new"
like "$(pctl thaw "$task" 2>&1)" "worker stands still with all its tasks" "no task of it is thawed alone"
nok "it still stands still" computes "$busy"
like "$(pctl why "$task")" "stands still, since worker $worker does" "why says so"
ok "it is thawed" pctl thaw "$worker"
ok "its task goes on" eventually 10 computes "$busy"
pctl cancel -q "$task"
ok "what waited is done" wait_task "$waiting" succeeded
drain_all

# ---------------------------------------------------------------- scaling

daemon_config '[Workers]
MaxWorkers=4
MemoryMax=32M
MemoryReserve=0
UseSMT=yes'
daemon_restart
eventually 20 manager_property Version > /dev/null
like "$(pctl scale)" "no target; 0 workers" "no number of workers is kept"
pctl scale 5 > /tmp/said 2>&1
is $? 3 "more than MaxWorkers is refused"
like "$(cat /tmp/said)" "5 workers are more than there may be: MaxWorkers is 4" "with the numbers"
ok "one is kept from now on" pctl scale 1
ok "it comes" eventually 20 has_workers 1
is "$(manager_property ScaleTarget)" 1 "the target is a property"
pid=$(worker_property "$(last_worker)" Pid)
kill -9 "$pid"
replaced() { has_workers 1 && [ "$(worker_property "$(last_worker)" Pid)" != "$pid" ]; }
ok "killed, it is replaced" eventually 30 replaced
daemon_restart
eventually 20 manager_property Version > /dev/null
is "$(manager_property ScaleTarget)" 1 "the target is remembered over a restart"
ok "none is kept from now on" pctl scale 0
ok "it goes" eventually 20 has_workers 0
ok "the load decides" pctl scale auto
is "$(manager_property AutoScale)" true "which is a property"
ok "nothing decides" pctl scale off
is "$(manager_property AutoScale)" false "which is one, too"
like "$(pctl scale)" "no target" "and there is no target"

# ---------------------------------------------------------------- profiles

is "$(pctl profile -q | head -4 | tr '\n' ' ')" "conservative balanced performance maximum " "four profiles are built in"
ok "one is made active" pctl profile conservative
is "$(pctl profile --json | jq -r '.[] | select(.active) | .name')" conservative "it is the active one"
is "$(manager_property ScaleTarget)" 2 "its number of workers is kept"
ok "one comes" eventually 20 worker_runs
is "$(worker_property "$(last_worker)" MemoryMax)" $((256 << 20)) "with the memory that it says"
pctl profile reckless > /tmp/said 2>&1
is $? 1 "there is no such profile"
like "$(cat /tmp/said)" "no profile \"reckless\"" "which is said"
ok "none is active" pctl profile none
is "$(pctl profile --json | jq '[.[] | select(.active)] | length')" 0 "and none is shown as such"

# ---------------------------------------------------------------- what was learned

pctl run --name learned -- true
like "$(pctl stats learned)" "learned +0 +1 " "what a task took is remembered by its name"
is "$(pctl stats --json learned | jq '.[0].count')" 1 "with --json as well"
pctl run --name slow -- sleep 1
pctl submit -q --array 1-50 --name slow -- sleep 1 > /dev/null
last=$(pctl tasks --json -n slow | jq 'map(.batch) | max')
like "$(pctl show "batch:$last")" "about [0-9]+s left, by what such tasks took before" "from that the time left is told"
like "$(pctl why "batch:$last")" "about [0-9]+s left" "by why, too"
task=$(pctl submit -q --memory auto --priority 9 --name slow -- sh -c 'sleep 5')
ok "a task whose memory is learned runs" wait_task "$task" running
is "$(task_property "$task" MemoryMax)" $((16 << 20)) "with what its like took"
like "$(as_user alice parctl stats 2>&1)" "nothing is known" "another user has a memory of its own"
done_testing
