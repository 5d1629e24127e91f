#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# What happens when the machine comes under pressure: nothing new starts, workers are throttled, the youngest task of the
# lowest priority stands still; all of it is undone when the pressure ends. Real pressure: on cgroup v2 by a worker that is
# held at memory.high, elsewhere by more work than there are CPUs.
# alone: yes
# timeout: 300
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

if cgroup_is_v2; then # six of them want three times of memory.high, one of them alone less than it
    lines='Memory=10%' high='--memory-high 48M' load='import time
held = []
while True:
    held.append(bytearray(1 << 20)); time.sleep(0.05)
    if len(held) == 24: held.clear()'
else
    lines=$'Memory=100%\nCPU=60%' high='' load='while True: pass'
fi
daemon_config "[Pressure]
$lines
Step=2s
Recover=2s
RecoverFactor=0.9
Actions=throttle freeze"
daemon_start
# shellcheck disable=SC2086 # it is two words, or none
pctl add-worker -q --memory 400M $high --slots 8 --force > /dev/null
busctl --json=short --match="type='signal',interface='org.parexec.Manager1',member='PressureChanged'" monitor org.parexec \
    > /tmp/signals 2> /dev/null &
monitor=$!
ok "at first all is calm" eventually 60 rung_is calm

pctl disable -q # so that they start together
for number in 1 2 3 4 5 6; do
    pctl submit -q --priority "$number" -- /usr/bin/python3 -c "$load # load $number" > /dev/null
done
pctl enable -q
ok "pressure closes the queue" eventually 60 rung_is closed throttle freeze
pctl submit -q --priority 100 -- true > /dev/null
like "$(pctl why 7)" "under pressure" "a new task waits, and why says for what"
is "$(task_property 7 State)" queued "it is not handed out"
ok "the ladder goes on to freezing" eventually 60 rung_is freeze
frozen=$(pctl tasks --json --state running | jq -r '.[] | select(.frozen) | .id' | tr '\n' ' ')
like "$frozen" "^1 " "the task of the lowest priority stands still first ($frozen)"
before=$(cpu_of 'load 1$')
sleep 1
is "$(cpu_of 'load 1$')" "$before" "really: it gets no CPU time"
is "$(task_property 1 State)" running "its state is still running"

pctl cancel -q 2 3 4 5 6 2> /dev/null
ok "when the pressure ends all is calm again" eventually 90 rung_is calm
ok "the task that stood still goes on" eventually 20 bash -c \
    "b=\$(awk '{ print \$14 + \$15 }' /proc/\$(pgrep -f 'load 1\$' | head -n 1)/stat); sleep 1
     [ \$(awk '{ print \$14 + \$15 }' /proc/\$(pgrep -f 'load 1\$' | head -n 1)/stat) -gt \$b ]"
ok "what waited has run" wait_task 7 succeeded 30
pctl cancel -q 1
ok "the last one ends" wait_task 1 cancelled 30
kill "$monitor"
wait "$monitor" 2> /dev/null
seen=$(grep -o '"data":\["[a-z]*"' /tmp/signals | cut -d'"' -f4 | uniq | tr '\n' ' ')
like "$seen" "closed throttle freeze .*calm" "each step was signalled ($seen)"
like "$(journalctl -q -u parexecd -o cat)" "Pressure: freeze; in the last 10 s" "and logged, with the figures"
done_testing
