#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# The sandbox itself: what the other system tests rely on is really there, and nothing leaks out of it.
# (What it would leak into is seen from a second sandbox inside this one.)
# shellcheck source=tests/lib/system.sh
. "$(dirname "$0")/../lib/system.sh"
sandbox=$(realpath "$here/../sandbox")

is "$(cat /proc/1/comm)" systemd "PID 1 is systemd"
is "$(systemctl is-system-running --wait)" running "systemd has come up without a failed unit"
ok "D-Bus answers" busctl call org.freedesktop.DBus / org.freedesktop.DBus GetId
ok "systemd answers on D-Bus" busctl call org.freedesktop.systemd1 /org/freedesktop/systemd1 \
    org.freedesktop.DBus.Peer Ping
ok "polkit is activated when asked" busctl call org.freedesktop.PolicyKit1 \
    /org/freedesktop/PolicyKit1/Authority org.freedesktop.DBus.Peer Ping
is "$(systemctl is-active polkit.service)" active "polkit runs"

is "$(as_user alice id -un)" alice "alice is a user"
is "$(as_user alice id -u)" 1000 "alice's number"
is "$(as_user bob id -Gn)" "bob crew" "bob's groups"
ok "alice reaches the system bus" as_user alice busctl call org.freedesktop.DBus / org.freedesktop.DBus GetId
nok "alice may not start a unit" as_user alice systemctl --no-ask-password start polkit.service

# a transient scope's limits are in the kernel, and the kernel holds them
systemd-run -q --scope --unit=limits -p MemoryMax=32M -p TasksMax=20 -p CPUQuota=50% -p Delegate=yes \
    sleep 60 &
eventually 10 systemctl -q is-active limits.scope
is "$(memory_limit_of limits.scope)" $((32 * 1024 * 1024)) "the memory limit is set"
is "$(cat "$(cgroup_of limits.scope pids)/pids.max")" 20 "the limit of tasks is set"
if cgroup_is_v2; then
    is "$(cat "$(cgroup_of limits.scope cpu)/cpu.max")" "50000 100000" "the CPU quota is set"
else
    is "$(cat "$(cgroup_of limits.scope cpu)/cpu.cfs_quota_us")" 50000 "the CPU quota is set"
fi
is "$(processes_of limits.scope | xargs ps -o comm= -p)" sleep "the process is in the scope's cgroup"
systemctl stop limits.scope
wait

hog='head -c 200M /dev/zero | tail -c 200M > /dev/null'
systemd-run -q --scope -p MemoryMax=32M -p MemorySwapMax=0 -p Delegate=yes sh -c "$hog" 2> /dev/null
is $? 137 "what needs more memory than its limit is killed"
ok "with a limit that suffices it is not" \
    systemd-run -q --scope -p MemoryMax=400M -p Delegate=yes sh -c "$hog"

# a sandbox inside: statuses and streams pass, and afterwards nothing is left
no_sandbox_cgroups() { [ -z "$(find /sys/fs/cgroup -type d -name 'parexec-sandbox.[0-9]*[0-9]')" ]; }
leaky='cat; echo error >&2; echo x | tee /etc/leak /tmp/leak /run/leak; exit 7'
inner=$(echo input | "$sandbox" -- bash -c "$leaky" 2>&1)
is $? 7 "the command's exit status is the sandbox's"
is "$inner" $'input\nerror\nx' "standard input, output and error pass"
nok "nothing it wrote is seen outside" ls /etc/leak /tmp/leak /run/leak
ok "its cgroups are gone" eventually 5 no_sandbox_cgroups
ok "its folders are gone" eventually 5 sh -c '! ls -d /tmp/parexec-sandbox.*'

# SIGNAL SECONDS: a sandbox that is sent the signal while its command runs leaves nothing
end_of_a_sandbox() {
    "$sandbox" -- sleep "$2" &
    ok "a sandbox runs a command" eventually 10 pgrep -fx "[^ ]*sleep $2"
    kill -"$1" $!
    ok "after SIG$1 its processes are gone" eventually 5 sh -c "! pgrep -fx '[^ ]*sleep $2'"
    ok "after SIG$1 its folders are gone" eventually 5 sh -c '! ls -d /tmp/parexec-sandbox.*'
    ok "after SIG$1 its cgroups are gone" eventually 5 no_sandbox_cgroups
    wait $! 2> /dev/null
}

end_of_a_sandbox TERM 77
end_of_a_sandbox KILL 78

"$sandbox" --no-such-option -- true 2> /dev/null
is $? 125 "a sandbox that cannot be made exits with 125"
done_testing
