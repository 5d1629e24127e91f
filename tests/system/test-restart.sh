#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# The daemon goes and comes back, killed or restarted, while tasks run: every one ends well, started once.
# shellcheck source=tests/lib/system.sh
. "$(dirname "$0")/../lib/system.sh"

# attempts of all tasks, as "starts ends"
marks() { sort /tmp/marks | uniq -c | awk '{print $1}' | sort -u; }

daemon_start
pctl add-worker -q --force --count 4 --memory 64M --slots 5 > /dev/null
# shellcheck disable=SC2016
batch=$(pctl submit -q --array 1-20 -- sh -c 'echo $PAREXEC_ARRAY_INDEX >> /tmp/marks; sleep 5')
twenty() { [ "$(manager_property RunningTasks)" = 20 ]; }
ok "twenty tasks run over four workers" eventually 10 twenty
pids=$(for w in 1 2 3 4; do worker_property w$w Pid; done)
before=$(systemctl show -P MainPID parexecd.service)
daemon_kill
back() { now=$(systemctl show -P MainPID parexecd.service); [ "$now" != 0 ] && [ "$now" != "$before" ] && manager_property Version; }
ok "the daemon is back" eventually 10 back
is "$(for w in 1 2 3 4; do worker_property w$w Pid; done)" "$pids" "the workers are the same processes"
ok "all tasks end" pctl wait -q $(echo "$batch")
is "$(wc -l < /tmp/marks)" 20 "each was started"
is "$(marks)" 1 "once"
is "$(pctl tasks --json --all --state succeeded | jq length)" 20 "all succeeded"
is "$(for i in $(seq 1 20); do task_property "$i" Attempt; done | sort -u)" 1 "in the first attempt"

# what finishes while there is no daemon is not lost
task=$(pctl submit -q -- sh -c 'sleep 2; echo done > /tmp/finished; exit 3')
wait_task "$task" running
systemctl stop parexecd.service parexecd.socket
ok "a task ends while no daemon runs" eventually 10 test -e /tmp/finished
systemctl start parexecd.socket parexecd.service
ok "the next daemon learns of it" wait_task "$task" failed
is "$(task_property "$task" ExitStatus)" 3 "with its status"
is "$(task_property "$task" Attempt)" 1 "of its one attempt"

# a worker that dies while there is no daemon
task=$(pctl submit -q -- sleep 30)
wait_task "$task" running
worker=$(task_property "$task" Worker)
victim=$(worker_property "$worker" Pid)
systemctl stop parexecd.service parexecd.socket
kill -KILL "$victim"
systemctl start parexecd.socket parexecd.service
ok "a worker that died meanwhile has failed" wait_worker "$worker" failed
ok "its task runs elsewhere" wait_task "$task" running
isnt "$(task_property "$task" Worker)" "$worker" "on another worker"
ok "the daemon can be restarted under it" daemon_restart
ok "and knows it" wait_task "$task" running
ok "cancel works across the restart" pctl cancel --yes "$task"
ok "it is cancelled" wait_task "$task" cancelled

# ids go on, settings last
pctl disable
daemon_restart
is "$(manager_property Enabled)" false "disabled lasts over a restart"
queued=$(pctl submit -q -- true 2> /dev/null)
is "$(task_property "$queued" State)" queued "nothing is handed out"
pctl enable
ok "until it is enabled" wait_task "$queued" succeeded
ok "the daemon ends cleanly" daemon_stop
is "$(systemctl show -P Result parexecd.service)" success "with success"
ok "the workers go on without it" pgrep -x parexec-worker
done_testing
