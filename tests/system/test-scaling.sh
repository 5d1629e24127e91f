#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# What counts of what is configured and what was wished for: profiles and auto-scaling over a reload; the limits that a profile
# gives to tasks; and what is said when workers do not come.
# vm: no (nothing of it depends on the cgroup version)
# shellcheck source=tests/lib/system.sh
. "$(dirname "$0")/../lib/system.sh"

# ACTIVE AUTOSCALE [PROFILE SECTIONS]
configure() {
    daemon_config "[Workers]
MaxWorkers=4
MemoryMax=48M
MemoryReserve=0
UseSMT=yes

[Tasks]
Timeout=1h

[AutoScale]
Enabled=$2
Min=1
Max=2

[Profile]
Active=$1

${3-$profiles}"
}
profiles='[Profile day]
Workers=1
MemoryMax=32M
Timeout=2s

[Profile night]
Workers=2
MemoryMax=40M'
reload() {
    configure "$@"
    manager_call Reload > /dev/null
}
property_is() { [ "$(manager_property "$1")" = "$2" ]; }
reason() { pctl status --json | jq -r .scale.reason; }
reason_is() { reason | grep -qE "$1"; }
one_runs() { pctl status --json | jq -e '[.workers[] | select(.state == "running")] | length == 1'; }

configure '' no
daemon_start
is "$(manager_property Profile)" '' "no profile is active"

# ---------------------------------------------------------------- profiles

configure day no
systemctl reload parexecd
ok "Active= counts when the configuration is read again" eventually 20 property_is Profile day
is "$(manager_property ScaleTarget)" 1 "with its number of workers"
ok "which come" eventually 30 one_runs
like "$(pctl workers)" "/ 32\.0M" "with its memory"
task=$(pctl submit -q -- sleep 600)
ok "its timeout goes before that of [Tasks]" wait_task "$task" failed 30
is "$(task_property "$task" Outcome)" timeout "and is kept"
pctl profile -q none
task=$(pctl submit -q -- sleep 600)
ok "without a profile a task runs" wait_task "$task" running
like "$(pctl show "$task")" "1h" "with the timeout of [Tasks]"
pctl cancel -q "$task"
is "$(manager_property ScaleTarget)" 1 "the number of workers stays"
reload day no
is "$(manager_property Profile)" '' "what was wished for counts while Active= is the same"
reload night no
is "$(manager_property Profile)" night "another Active= counts more"
is "$(manager_property ScaleTarget)" 2 "and so does its number"
pctl profile -q day
reload night no $'[Profile night]\nWorkers=2\nMemoryMax=40M'
is "$(manager_property Profile)" night "a profile that is not there any more is not active"
reload night no $'[Profile night]\nWorkers=2\nMemoryMax=40M'
journalctl --sync
is "$(journalctl -q -u parexecd -o cat | grep -c 'profile "day" was active and is not there')" 1 "which is told once"
pctl scale -q off
daemon_restart
eventually 20 manager_property Version > /dev/null
is "$(manager_property Profile)" night "a profile stays active without its number"
like "$(pctl scale)" "no target" "over a restart, too"
reload '' no

# ---------------------------------------------------------------- auto-scaling

reload '' yes
is "$(manager_property AutoScale)" true "Enabled= counts when the configuration is read again"
target=$(manager_property ScaleTarget)
pctl profile -q maximum
is "$(manager_property Profile)" maximum "a profile is made active"
is "$(manager_property ScaleTarget)" "$target" "and its number does not count while auto-scaling decides"
pctl scale -q 1
is "$(manager_property AutoScale)" false "a target ends it"
reload '' yes
is "$(manager_property AutoScale)" false "also while Enabled= says what it said before"
reload '' no
reload '' yes
is "$(manager_property AutoScale)" true "until it says something else"
reload '' no
is "$(manager_property AutoScale)" false "either way"
pctl profile -q none
pctl scale -q 0
pctl drain -q --all --yes --wait > /dev/null

# ---------------------------------------------------------------- workers that fail

printf '#!/bin/sh\nexit 3\n' > /usr/local/bin/fails
chmod 755 /usr/local/bin/fails
mkdir -p /run/systemd/system/parexecd.service.d
printf '[Service]\nEnvironment=PAREXEC_WORKER_PROGRAM=/usr/local/bin/fails\n' > /run/systemd/system/parexecd.service.d/fails.conf
systemctl daemon-reload
daemon_restart
eventually 20 manager_property Version > /dev/null
ok "two workers are kept, whose program fails" pctl scale 2
ok "the status says why there are none, and when the next one is tried" eventually 60 \
    reason_is '^0 of 2 workers: w[0-9]+ failed \([0-9]+ in a row\): .*3.*; the next attempt comes in [0-9]+s$'
like "$(pctl scale)" "w[0-9]+ failed" "and parctl scale as well ($(reason))"
rm /run/systemd/system/parexecd.service.d/fails.conf
systemctl daemon-reload
daemon_restart
eventually 20 manager_property Version > /dev/null
ok "with one that works they come" eventually 60 property_is ScaleTarget 2
ok "and nothing is said any more" eventually 60 reason_is '^$'
done_testing
