#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# What happens when the machine comes under pressure: nothing new starts, workers are throttled, the youngest task of the
# lowest priority stands still, goes back to the queue, is killed; what can be undone is undone when the pressure ends. Real
# pressure: on cgroup v2 by a worker that is held at memory.high, elsewhere by more work than there are CPUs.
# alone: yes
# timeout: 600
# shellcheck source=tests/lib/system.sh
. "$(dirname "$0")/../lib/system.sh"

[ -r /proc/pressure/memory ] || plan skip_all "this kernel has no pressure stall information"

rung() { pctl status --json | jq -r .pressure.rung; }
rung_is() { [[ " $* " == *" $(rung) "* ]]; }
cpu_of() { # microseconds, of a task's cgroup, as far as it can be seen
    local pid
    pid=$(pgrep -f "$1" | head -n 1)
    awk '{ print $14 + $15 }' "/proc/$pid/stat"
}
high_of() { # bytes, or "infinity": the kernel's on cgroup v2; v1 has none, so what systemd was told
    local high
    if cgroup_is_v2; then
        high=$(cat "$(cgroup_of "$1" memory)/memory.high")
        echo "${high/max/infinity}"
    else
        systemctl show -P MemoryHigh "$1"
    fi
}
high_is() { [ "$(high_of "$1")" = "$2" ]; }
is_told() { journalctl -q -u parexecd -o cat | grep -q "$1"; }

if cgroup_is_v2; then # six of them want three times of memory.high, one of them alone less than it
    lines='Memory=10%' high='--memory-high 48M' load='import time
held = []
while True:
    held.append(bytearray(1 << 20)); time.sleep(0.05)
    if len(held) == 24: held.clear()'
else
    lines=$'Memory=100%\nCPU=60%' high='' load='while True: pass'
fi
no_lines=$'Memory=100%\nCPU=100%'
configure() { # LINES ACTIONS [RECOVER]
    daemon_config "[Pressure]
$1
Step=2s
Recover=${3-2s}
RecoverFactor=0.9
Actions=$2"
}
loads=()
submit_loads() { # into the array loads
    local number
    loads=()
    pctl disable -q # so that they start together
    for number in 1 2 3 4 5 6; do
        loads+=("$(pctl submit -q --priority "$number" -- /usr/bin/python3 -c "$load # load $number")")
    done
    pctl enable -q
}
run_loads() { # ACTIONS
    configure "$no_lines" "$1"
    manager_call Reload > /dev/null
    eventually 60 rung_is calm
    submit_loads
}
all_run() { [ "$(pctl tasks --json --state running | jq length)" = 6 ]; }
none_runs() { [ "$(pctl tasks --json --state running | jq length)" = 0 ]; }
is_gone() { ! pgrep -f "$1"; }
press() { # ACTIONS RECOVER: from now on the lines count
    configure "$lines" "$1" "$2"
    manager_call Reload > /dev/null
}
end_loads() { # ACTIONS
    configure "$no_lines" "$1"
    manager_call Reload > /dev/null
    pctl cancel -q "${loads[@]}" 2> /dev/null
    eventually 60 rung_is calm && eventually 60 none_runs
}

configure "$no_lines" "throttle freeze"
daemon_start
# shellcheck disable=SC2086 # it is two words, or none
pctl add-worker -q --memory 400M $high --slots 8 --force > /dev/null
pctl add-worker -q --memory 100M --user-only alice --force > /dev/null # idle: takes less than it is throttled to
busctl --json=short --match="type='signal',interface='org.parexec.Manager1',member='PressureChanged'" monitor org.parexec \
    > /tmp/signals 2> /dev/null &
monitor=$!
ok "at first all is calm" eventually 60 rung_is calm
ok "no worker is throttled" high_is parexec-w2.scope infinity
submit_loads
ok "without lines no pressure counts: six tasks run" eventually 60 all_run
press "throttle freeze" 10min # nothing is taken back while it is looked at
ok "pressure closes the queue" eventually 60 rung_is closed throttle freeze
pctl submit -q --priority 100 -- true > /dev/null
like "$(pctl why 7)" "under pressure" "a new task waits, and why says for what"
is "$(task_property 7 State)" queued "it is not handed out"
ok "the ladder goes on to freezing" eventually 60 rung_is freeze
ok "by then workers are throttled: one that takes little to 64 MiB" eventually 30 high_is parexec-w2.scope $((64 << 20))
frozen=$(pctl tasks --json --state running | jq -r '.[] | select(.frozen) | .id' | tr '\n' ' ')
like "$frozen" "^1 " "the task of the lowest priority stands still first ($frozen)"
before=$(cpu_of 'load 1$')
sleep 1
is "$(cpu_of 'load 1$')" "$before" "really: it gets no CPU time"
is "$(task_property 1 State)" running "its state is still running"

press "throttle freeze" 2s
pctl cancel -q 2 3 4 5 6 2> /dev/null
ok "when the pressure ends all is calm again" eventually 180 rung_is calm
ok "no worker is throttled any more" eventually 30 high_is parexec-w2.scope infinity
ok "the task that stood still goes on" eventually 20 bash -c \
    "b=\$(awk '{ print \$14 + \$15 }' /proc/\$(pgrep -f 'load 1\$' | head -n 1)/stat); sleep 1
     [ \$(awk '{ print \$14 + \$15 }' /proc/\$(pgrep -f 'load 1\$' | head -n 1)/stat) -gt \$b ]"
ok "what waited has run" wait_task 7 succeeded 30
pctl cancel -q 1
ok "the last one ends" wait_task 1 cancelled 30

# ---------------------------------------------------------------- what cannot be undone

run_loads requeue
ok "six tasks run" eventually 60 all_run
first=${loads[0]}
press requeue 10min
ok "the ladder goes on to the queue" eventually 60 rung_is requeue
ok "the task of the lowest priority goes back there" wait_task "$first" queued 60
ok "nothing is left of it" eventually 30 is_gone 'load 1$'
journalctl --sync
is "$(journalctl -q -u parexecd -o cat | grep -m 1 'go back to the queue')" \
    "Pressure: task $first of w1 is to go back to the queue" "it is the first one, and is named"
like "$(pctl why "$first")" "under pressure" "why says what it waits for"
ok "without pressure all is calm" end_loads requeue

run_loads kill
ok "six tasks run again" eventually 60 all_run
first=${loads[0]}
press kill 10min
ok "the ladder goes on to killing" eventually 60 rung_is kill
ok "the task of the lowest priority fails" wait_task "$first" failed 60
like "$(pctl show "$first")" "killed, since the machine was under pressure" "it says why"
ok "nothing is left of it" eventually 30 is_gone 'load 1$'
ok "and all is calm" end_loads kill
is "$(task_property "$first" State)" failed "it is not tried again"

# ---------------------------------------------------------------- what is told

kill "$monitor"
wait "$monitor" 2> /dev/null
seen=$(grep -o '"data":\["[a-z]*"' /tmp/signals | cut -d'"' -f4 | uniq | tr '\n' ' ')
like "$seen" "closed throttle freeze .*calm .*requeue .*calm .*kill .*calm" "each step was signalled ($seen)"
journalctl --sync
like "$(journalctl -q -u parexecd -o cat)" "Pressure: freeze; in the last 10 s" "and logged, with the figures"
ok "the worker that was throttled is named" is_told "Pressure: w2 is to keep to 64.0M of memory"
ok "and that it is not any more" is_told "Pressure: w2 is throttled no more"
ok "the task that stood still is named" is_told "Pressure: task 1 of w1 is to stand still"
ok "and that it went on" is_told "Pressure: task 1 of w1 may go on"
ok "and the one that was killed" is_told "Pressure: task $first of w1 is to be killed"
done_testing
