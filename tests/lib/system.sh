# shellcheck shell=bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# What every system test (tests/system/test-*.sh) sources first. It runs as root in a sandbox of its own:
# sourcing this copies the staged build over the sandbox's root, makes the users alice (1000) and bob
# (1001, in the group crew), and provides tap.sh and the helpers below. A test says what it needs in lines
# of its head:
#
#   # needs: polkit.service     units that the sandbox starts before the test
#   # vm: no                    does not run in the virtual machine, too (say why beside it)
#   # alone: yes                not beside another test (it measures time)
#   # timeout: 300              seconds, instead of 180
#
# A test ends with done_testing, without a plan: the end adds a test point of its own if a daemon was
# started, "the daemon did not crash". On failure the daemon's journal follows as diagnostics.
#
#   daemon_start | daemon_stop | daemon_restart | daemon_kill      parexecd.socket and parexecd.service
#   daemon_config TEXT            /etc/parexec/parexecd.conf.d/50-test.conf; give it before daemon_start
#   pctl ARGUMENT...              parctl as root
#   as_user NAME COMMAND...       COMMAND as that user, with its groups, and nothing of root's
#   manager_call METHOD [SIGNATURE ARGUMENT...]       of org.parexec.Manager1; the answer as JSON
#   manager_property NAME | worker_property ID NAME | task_property ID NAME
#   wait_worker ID STATE [SECONDS] | wait_task ID STATE [SECONDS]  default 10; diagnostics if it fails
#   cgroup_is_v2                  whether memory is a controller of the unified hierarchy
#   cgroup_of UNIT CONTROLLER     the folder of a unit's cgroup in the hierarchy of that controller
#   memory_limit_of UNIT          bytes, as the kernel has it, or "max"
#   processes_of UNIT             the PIDs in a unit's cgroup and below, one a line

here=$(dirname "${BASH_SOURCE[0]}")
# shellcheck source=tests/lib/tap.sh
. "$here/tap.sh"

# Never over a real root: this marker is set by tests/sandbox only.
[ -n "${PAREXEC_SANDBOX-}" ] || plan skip_all "not in a sandbox: run it with tests/run system"

system_daemon_started=

# ---------------------------------------------------------------- setting up

# tar, since cp would refuse a folder where the root has a symbolic link (/lib), and neither may change
# the owner and mode of folders that exist.
install_stage() {
    local dir units
    [ -d "${PAREXEC_STAGE-}" ] || bail "PAREXEC_STAGE names no folder"
    tar -C "$PAREXEC_STAGE" -cf - . |
        tar -C / -xf - --keep-directory-symlink --no-overwrite-dir --no-same-owner
    # the sandbox's systemd reads no unit of the machine's, so these have to be shown to it
    for dir in usr/lib lib; do
        units=$PAREXEC_STAGE/$dir/systemd/system
        [ ! -d "$units" ] || cp -RP "$units/." /run/systemd/system/
    done
    systemctl daemon-reload
    busctl -q call org.freedesktop.DBus /org/freedesktop/DBus org.freedesktop.DBus ReloadConfig
    systemctl try-restart polkit.service # it would notice the new actions, but later
}

make_user() {
    local name=$1 uid=$2 there
    shift 2
    # the machine may have its own user of that number
    there=$(getent passwd "$uid") && [ "${there%%:*}" != "$name" ] && userdel -f "${there%%:*}" 2>/dev/null
    there=$(getent group "$uid") && [ "${there%%:*}" != "$name" ] && groupdel -f "${there%%:*}" 2>/dev/null
    if ! id "$name" > /dev/null 2>&1; then
        groupadd -g "$uid" "$name" || bail "cannot make the group $name"
        useradd -M -d "/home/$name" -s /bin/bash -u "$uid" -g "$uid" "$@" "$name" ||
            bail "cannot make the user $name"
    fi
    install -d -o "$uid" -g "$uid" -m 700 "/home/$name"
}

set_up() {
    mkdir -p /run/systemd/system
    rm -rf /var/lib/parexec /etc/parexec # of the machine, whose queue is not to be done once more here
    install_stage
    getent group crew > /dev/null || groupadd -g 2000 crew
    make_user alice 1000
    make_user bob 1001 -G crew
    trap system_exit EXIT
}

# ---------------------------------------------------------------- the daemon

daemon_config() {
    mkdir -p /etc/parexec/parexecd.conf.d
    printf '%s\n' "$1" > /etc/parexec/parexecd.conf.d/50-test.conf
}

daemon_start() {
    system_daemon_started=1
    systemctl start parexecd.socket parexecd.service || bail "parexecd does not start"
}

daemon_stop() { systemctl stop parexecd.service parexecd.socket; }
daemon_restart() { systemctl restart parexecd.service; }
daemon_kill() { systemctl kill --kill-whom=main --signal=KILL parexecd.service; }

# Whether a signal ended the daemon that no test sends, or a sanitizer or an assertion spoke.
daemon_crashed() {
    local signs='status=(4/ILL|5/TRAP|6/ABRT|7/BUS|8/FPE|11/SEGV)'
    signs+='|Assertion .* failed|AddressSanitizer|LeakSanitizer|runtime error:'
    journalctl --sync
    journalctl -q -o cat -u parexecd.service | grep -E "$signs"
}

pctl() { parctl "$@"; }

as_user() {
    local user=$1
    shift
    setpriv --reuid "$user" --regid "$user" --init-groups --inh-caps=-all --reset-env -- "$@"
}

# ---------------------------------------------------------------- the bus

manager_call() { busctl --json=short call org.parexec /org/parexec org.parexec.Manager1 "$@"; }

# OBJECT INTERFACE NAME
bus_property() { busctl --json=short get-property org.parexec "$@" | jq -r .data; }

manager_property() { bus_property /org/parexec org.parexec.Manager1 "$1"; }
worker_property() { bus_property "/org/parexec/worker/$1" org.parexec.Worker1 "$2"; }
task_property() { bus_property "/org/parexec/task/$1" org.parexec.Task1 "$2"; }

# KIND ID STATE
has_state() { [ "$("$1_property" "$2" State)" = "$3" ]; }

# KIND ID STATE SECONDS
wait_state() {
    eventually "$4" has_state "$1" "$2" "$3" && return
    diag "$1 $2 did not become $3 within $4 s: $("$1_property" "$2" State 2>&1)"
    return 1
}

wait_worker() { wait_state worker "$1" "$2" "${3-10}"; }
wait_task() { wait_state task "$1" "$2" "${3-10}"; }

# ---------------------------------------------------------------- cgroups

cgroup_is_v2() { [ -e /sys/fs/cgroup/cgroup.controllers ]; }

cgroup_of() {
    local path base=/sys/fs/cgroup
    path=$(systemctl show -P ControlGroup "$1")
    [ -n "$path" ] || return 1
    cgroup_is_v2 || base+=/$2
    echo "$base${path%/}"
}

memory_limit_of() {
    local dir limit
    dir=$(cgroup_of "$1" memory) || return 1
    if cgroup_is_v2; then
        cat "$dir/memory.max"
    else
        limit=$(cat "$dir/memory.limit_in_bytes")
        # unlimited is the greatest number of pages on v1
        if [ "$limit" -gt $((1 << 62)) ]; then echo max; else echo "$limit"; fi
    fi
}

processes_of() {
    local dir
    dir=$(cgroup_of "$1" systemd) || return 1
    find "$dir" -name cgroup.procs -exec cat {} + 2>/dev/null
}

# ---------------------------------------------------------------- the end

system_exit() {
    local status=$?
    trap - EXIT
    if [ $status != 0 ] && [ -n "$system_daemon_started" ]; then
        diag "$(systemctl --no-pager --no-legend --all list-units 'parexec*')"
        diag "$(journalctl -q --no-pager -o short-monotonic -n 300 -u 'parexecd.*' -u 'parexec-*')"
    fi
    exit $status
}

eval "tap_$(declare -f done_testing)"
done_testing() {
    [ -z "$system_daemon_started" ] || nok "the daemon did not crash" daemon_crashed
    tap_done_testing
}

set_up
