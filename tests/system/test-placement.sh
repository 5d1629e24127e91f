#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# Where workers are, as the kernel has it: slices of users and what is limited there, CPUs and memory nodes, GPUs' device nodes,
# notice of memory pressure; and what is said of parts that the machine has not.
# needs: polkit.service
# shellcheck source=tests/lib/system.sh
. "$(dirname "$0")/../lib/system.sh"

# Two GPUs whose driver is not there: who may open them is told that there is no such device, who may not is not even told that.
mknod /dev/nvidia0 c 195 0
mknod /dev/nvidia1 c 195 1
mkdir -p /run/systemd/system/parexecd.service.d
printf '[Service]\nEnvironment=HWLOC_XMLFILE=/nonexistent.xml\n' > /run/systemd/system/parexecd.service.d/50-test.conf
systemctl daemon-reload
daemon_config '[Workers]
MaxUserWorkers=2
MemoryReserve=0
UseSMT=yes
AllowedCPUs=0,777
AllowedMemoryNodes=0,99'
daemon_start

# How often the daemon has said it, a regular expression.
n_said() {
    journalctl --sync
    journalctl -q -o cat -u parexecd.service | grep -cE "$1"
}
last_worker() { pctl status --json | jq -r '.workers[-1].id'; }
drain_all() { pctl drain -q --all --yes --wait > /dev/null; }
unit_group() { systemctl show -P ControlGroup "$1"; }

# ---------------------------------------------------------------- what the machine has not

is "$(n_said 'AllowedCPUs=0,777: this machine has CPUs .*, using 0\.$')" 1 "CPUs of the configuration that are not there are told once"
is "$(n_said 'AllowedMemoryNodes=0,99: this machine has memory node.*, using 0\.$')" 1 "and memory nodes"
is "$(n_said 'HWLOC_XMLFILE=/nonexistent\.xml describes no machine')" 1 "a description that hwloc cannot read is told"
ok "the configuration is read again" systemctl reload parexecd.service
said_twice() { [ "$(n_said 'AllowedCPUs=0,777: this machine')" = 2 ]; }
ok "which tells it once more" eventually 10 said_twice
pctl add-worker --memory 32M --allowed-cpus 777-778 > /tmp/said 2>&1
is $? 3 "a worker for CPUs that are not there is refused"
like "$(cat /tmp/said)" "there is none of the CPUs 777-778; there are 0" "with the numbers"
like "$(manager_call AddWorker 'a{sv}' 3 memory-max t 33554432 allowed-cpus s 777 force b true 2>&1)" "none of the CPUs 777" \
    "by force, too"
daemon_config '[Workers]
MaxUserWorkers=2
MaxUserMemory=200M
MemoryReserve=0
UseSMT=yes'
# as the cgroup engine needs it on cgroup v2
printf '[Service]\nDelegate=yes\n' > /run/systemd/system/parexecd.service.d/50-test.conf
systemctl daemon-reload
daemon_restart
eventually 20 manager_property Version > /dev/null

# ---------------------------------------------------------------- slices, and how many each user may have

ok "a shared worker" pctl add-worker -q --force --memory 32M --cpus 0.1
shared=$(last_worker)
is "$(unit_group "parexec-$shared.scope")" "/parexec.slice/parexec-shared.slice/parexec-$shared.scope" "is in the shared slice"
ok "one of alice's" pctl add-worker -q --force --memory 32M --cpus 0.1 --user-only alice
private=$(last_worker)
is "$(unit_group "parexec-$private.scope")" "/parexec.slice/parexec-u1000.slice/parexec-$private.scope" "is in hers"
is "$(processes_of parexec-u1000.slice)" "$(worker_property "$private" Pid)" "where its process is"
ok "a second one" pctl add-worker -q --force --memory 32M --cpus 0.1 --user-only alice
pctl add-worker --force --memory 32M --cpus 0.1 --user-only alice > /tmp/said 2>&1
is $? 3 "a third is more than MaxUserWorkers="
like "$(cat /tmp/said)" "2 of at most 2 private workers of this user run already" "which is said with the numbers"
pctl set "$private" memory=180M --force > /tmp/said 2>&1
is $? 3 "nor may they have more than MaxUserMemory= together"
like "$(cat /tmp/said)" "the private workers of this user may have 200\.0M in all, and 64\.0M of it is promised" "which is said"
ok "bob may have one" pctl add-worker -q --force --memory 32M --cpus 0.1 --user-only bob
is "$(unit_group "parexec-$(last_worker).scope")" "/parexec.slice/parexec-u1001.slice/parexec-$(last_worker).scope" "in a slice of his"

# the weight of a slice, as the kernel has it
weight_of() {
    if cgroup_is_v2; then cat "$(cgroup_of "$1" cpu)/cpu.weight"; else cat "$(cgroup_of "$1" cpu)/cpu.shares"; fi
}
if cgroup_is_v2; then weight=250; else weight=2560; fi
ok "alice's share is changed" systemctl set-property --runtime parexec-u1000.slice CPUWeight=250
is "$(weight_of parexec-u1000.slice)" $weight "which the kernel has"
isnt "$(weight_of parexec-u1001.slice)" $weight "for her alone"
drain_all

# ---------------------------------------------------------------- limits of a slice count

systemctl set-property --runtime parexec-shared.slice MemoryMax=64M
pctl add-worker --memory 128M --cpus 0.1 > /tmp/said 2>&1
is $? 3 "a shared worker of more than its slice may have is refused"
like "$(cat /tmp/said)" "needs 128\.0M; 6[0-4]\.[0-9]M free below the limits of the cgroups above the workers, of it 0B still due" \
    "with the numbers"
ok "a private one is not" pctl add-worker -q --memory 128M --cpus 0.1 --user-only alice
ok "nor is a shared one with less" pctl add-worker -q --memory 40M --cpus 0.1
pctl add-worker --memory 40M --cpus 0.1 > /tmp/said 2>&1
is $? 3 "of which there is one only"
like "$(cat /tmp/said)" "needs 40\.0M; .* free below .*, of it [1-4][0-9]\.[0-9]M still due" "since it may still take what it was promised"
is "$(pctl status --json | jq -r .limits.reason)" cgroup-memory "the status says what binds"
systemctl set-property --runtime parexec-shared.slice MemoryMax=infinity CPUQuota=50%
pctl add-worker --memory 32M --cpus 0.5 > /tmp/said 2>&1
is $? 3 "nor does a slice carry more than its CPU time"
like "$(cat /tmp/said)" "needs 0\.5 cores; of the 0\.5 that the cgroups above the workers allow, 0\.1 taken" "which is said with the numbers"
ok "alice's still does" pctl add-worker -q --memory 32M --cpus 0.5 --user-only alice
systemctl set-property --runtime parexec-shared.slice CPUQuota=
ok "and the shared one does again" pctl add-worker -q --memory 32M --cpus 0.2
drain_all

# the cgroup engine has one group for all its workers
ok "a worker of the cgroup engine" pctl add-worker -q --engine cgroup --memory 24M --cpus 0.1
if cgroup_is_v2; then limit=memory.max; else limit=memory.limit_in_bytes; fi
echo 64M > "$(cgroup_of parexecd.service memory)/parexec/$limit"
pctl add-worker --engine cgroup --memory 128M --cpus 0.1 > /tmp/said 2>&1
is $? 3 "one with more than the engine's group may have is refused"
like "$(cat /tmp/said)" "needs 128\.0M; [56][0-9]\.[0-9]M free below the limits of the cgroups above the workers" "with the numbers"
ok "one of systemd's is not" pctl add-worker -q --memory 128M --cpus 0.1
ok "nor is one with less" pctl add-worker -q --engine cgroup --memory 24M --cpus 0.1
drain_all

# ---------------------------------------------------------------- CPUs and memory nodes

# WORKER FILE: of its scope, in the kernel
cpuset_of() { cat "$(cgroup_of "parexec-$1.scope" cpuset)/cpuset.$2.effective"; }
last_cpu=$(pctl topology --json | jq -r '.cores[-1].cpus' | sed 's/.*[-,]//')
if cgroup_is_v2 && grep -qw cpuset /sys/fs/cgroup/cgroup.controllers; then
    ok "a worker for one CPU" pctl add-worker -q --memory 64M --allowed-cpus "$last_cpu"
    is "$(cpuset_of "$(last_worker)" cpus)" "$last_cpu" "has that one in the kernel"
    is "$(pctl run -- sed -n 's/^Cpus_allowed_list:[[:space:]]*//p' /proc/self/status)" "$last_cpu" "and so have its tasks"
    is "$(worker_property "$(last_worker)" NotEnforced)" "[]" "nothing is said to be missing"
    drain_all
    ok "a worker with a core of its own" pctl add-worker -q --memory 64M --pin
    pinned=$(last_worker)
    is "$(cpuset_of "$pinned" cpus)" "$(worker_property "$pinned" AllowedCPUs)" "has it in the kernel"
    if [ "$(pctl topology --json | jq '.cores | length')" -gt 1 ]; then
        ok "a worker beside it" pctl add-worker -q --force --memory 64M --cpus 0.1
        other=$(last_worker)
        unlike ",$(cpuset_of "$other" cpus)," "[,-]$(cpuset_of "$pinned" cpus)[,-]" "keeps off that core"
        pctl drain -q --wait "$pinned"
        has_all() { [ "$(cpuset_of "$other" cpus)" = "$(cat /sys/fs/cgroup/cpuset.cpus.effective)" ]; }
        ok "and has all of them when that one has ended" eventually 20 has_all
    else
        skip "this machine has one core only" 3
    fi
    drain_all
    if [ "$(pctl topology --json | jq '.nodes | length')" -gt 0 ]; then
        node=$(pctl topology --json | jq '.nodes[0].node')
        ok "a worker on a NUMA node" pctl add-worker -q --memory 64M --numa "$node"
        is "$(cpuset_of "$(last_worker)" mems)" "$node" "has its memory in the kernel"
        is "$(cpuset_of "$(last_worker)" cpus)" "$(worker_property "$(last_worker)" AllowedCPUs)" "and its CPUs"
        drain_all
    else
        skip "this machine tells of no NUMA nodes" 3
    fi
else
    skip "systemd sets CPUs and memory nodes by the controller cpuset of cgroup v2 only" 12
fi

# ---------------------------------------------------------------- notice of memory pressure

ok "a worker" pctl add-worker -q --memory 64M
as_user alice sh -c 'cd && parctl run -- sh -c "sed -n s/^0:://p /proc/self/cgroup; echo \"\$MEMORY_PRESSURE_WATCH\"
    test -w \"\$MEMORY_PRESSURE_WATCH\" && echo writable; head -n 1 \"\$MEMORY_PRESSURE_WATCH\""' > /tmp/watch 2> /dev/null
mapfile -t watch < /tmp/watch
if cgroup_is_v2 && [ -e /proc/pressure/memory ]; then
    is "${watch[1]}" "/sys/fs/cgroup${watch[0]}/memory.pressure" "a task is told of the file of its own cgroup"
    is "${watch[2]}" writable "to which its user may write"
    like "${watch[3]}" "^some avg10=" "and which is there"
else
    is "${watch[1]-}" "" "a task is told of no file where its cgroup has none"
    skip "memory is no controller of cgroup v2 here, or the kernel measures no pressure" 2
fi
drain_all

# ---------------------------------------------------------------- GPUs

# what a task hears that opens the device nodes
opening() { pctl run -- sh -c 'for gpu in 0 1; do head -c 1 /dev/nvidia$gpu 2>&1; done' 2>&1; }
is "$(pctl topology --json | jq -c '[.gpus[] | [.vendor, .index]]')" '[["nvidia",0],["nvidia",1]]' "there are two GPUs"
ok "a worker with one" pctl add-worker -q --memory 64M --gpus 1
is "$(worker_property "$(last_worker)" GPUs)" 0 "has the first"
like "$(worker_property "$(last_worker)" NotEnforced)" "^\[\]$|device nodes are not hidden" "the other is hidden, or it is said"
if [ "$(worker_property "$(last_worker)" NotEnforced)" = "[]" ]; then
    like "$(opening)" "/dev/nvidia0.*No such device or address" "its tasks may open their own"
    like "$(opening)" "/dev/nvidia1.*Operation not permitted" "and not the other"
else
    skip "this kernel takes no device filter" 2
fi
drain_all
pctl add-worker -q --memory 64M --gpus 3 > /tmp/said 2>&1
is $? 3 "three are not to be had"
like "$(cat /tmp/said)" "needs 3 GPUs; of 2, 0 taken by other workers" "which is said with the numbers"
done_testing
