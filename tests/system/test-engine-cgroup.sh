#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# The cgroup engine: the same worker without systemd's help, and with nothing but a process.
# shellcheck source=tests/lib/system.sh
. "$(dirname "$0")/../lib/system.sh"

# On cgroup v2 nothing may be made in a unit's cgroup unless systemd has delegated it; there is no such thing on v1.
mkdir -p /run/systemd/system/parexecd.service.d
printf '[Service]\nDelegate=yes\n' > /run/systemd/system/parexecd.service.d/50-delegate.conf
systemctl daemon-reload
daemon_start
ok "a worker in a plain cgroup" pctl add-worker --engine cgroup --memory 64M --cpus 0.5
is "$(worker_property w1 State)" running "it runs"
is "$(worker_property w1 Engine)" cgroup "by this engine"
is "$(worker_property w1 Unit)" "" "without a unit"
group=$(worker_property w1 ControlGroup)
isnt "$group" "" "in the cgroup $group"
is "$(worker_property w1 NotEnforced)" "[]" "all limits hold"
hog='head -c 200M /dev/zero | tail -c 200M > /dev/null'
pctl submit -q -- sh -c "$hog" > /dev/null
ok "a task over the limit ends" wait_task 1 failed 60
is "$(task_property 1 Outcome)" oom "as out of memory"
is "$(pctl run -- echo well)" well "the worker goes on"
task=$(pctl submit -q -- sh -c 'setsid sleep 7781 & sleep 7782')
ok "a task with a tree runs" eventually 10 pgrep -f 'sleep 7781'
ok "the worker is aborted" pctl abort --yes w1
no_process() { ! pgrep -f "$1" > /dev/null; }
ok "nothing is left" eventually 2 no_process 'sleep 778[12]'
group_gone() { [ -z "$(find /sys/fs/cgroup -type d -path "*$group")" ]; }
ok "nor of the cgroup" eventually 5 group_gone
pctl cancel -q --yes "$task"

# without any cgroup
printf '[Service]\nEnvironment=PAREXEC_NO_CGROUPS=1\n' > /run/systemd/system/parexecd.service.d/50-test.conf
systemctl daemon-reload
daemon_restart
pctl add-worker --engine cgroup --memory 64M --cpus 0.5 > /tmp/out 2>&1
is $? 0 "a worker that is only a process"
like "$(cat /tmp/out)" "memory.*not enforced" "which is told"
like "$(worker_property w2 NotEnforced)" "memory.*not enforced" "and shown"
is "$(pctl run -- echo well)" well "it runs tasks"
task=$(pctl submit -q -- sh -c 'setsid sh -c "sleep 7783 & sleep 7784" & sleep 7785')
ok "a task with a tree" eventually 10 pgrep -f 'sleep 7783'
ok "is cancelled" pctl cancel --yes "$task"
ok "with its whole tree" eventually 3 no_process 'sleep 778[345]'
task=$(pctl submit -q -- sh -c 'setsid sh -c "sleep 7783 & sleep 7784" & sleep 7785')
eventually 10 pgrep -f 'sleep 7783' > /dev/null
ok "the worker is aborted" pctl abort --yes w2
ok "with its whole tree" eventually 3 no_process 'sleep 778[345]'
done_testing
