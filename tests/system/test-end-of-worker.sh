#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# How workers end: drained, aborted, hanging, killed from outside. Whatever a task has started goes with it.
# shellcheck source=tests/lib/system.sh
. "$(dirname "$0")/../lib/system.sh"

daemon_start
gone() { ! systemctl -q is-active "$1"; }
removed() { [ -z "$(worker_property "$1" State 2> /dev/null)" ]; }
no_process() { ! pgrep -f "$1" > /dev/null; }

# drain
pctl add-worker -q --force --memory 128M > /dev/null
task=$(pctl submit -q -- sleep 2)
ok "a task runs" wait_task "$task" running
ok "drain is accepted" pctl drain w1
is "$(worker_property w1 State)" draining "the worker drains"
late=$(pctl submit -q -- true)
ok "the task is let finish" wait_task "$task" succeeded 10
ok "then the worker goes" eventually 5 removed w1
ok "and its scope" eventually 5 gone parexec-w1.scope
is "$(task_property "$late" State)" queued "what came later waits"

# abort, with a task that hides: double fork, new session, ignores TERM
pctl add-worker -q --force --memory 128M > /dev/null
ok "the waiting task runs on the next worker" wait_task "$late" succeeded
hider='trap "" TERM HUP; setsid sh -c "trap \"\" TERM HUP; sleep 7771 & sleep 7772" & sleep 7773'
task=$(pctl submit -q -- sh -c "$hider")
ok "it runs" eventually 10 pgrep -f 'sleep 7772'
ok "abort is accepted" pctl abort --yes w2
ok "nothing of the tree is left after 2 s" eventually 2 no_process 'sleep 777[123]'
ok "the scope is gone" eventually 2 gone parexec-w2.scope
ok "the task waits again" wait_task "$task" queued
pctl cancel -q --yes "$task"
is "$(task_property "$task" State)" cancelled "until it is cancelled"

# cancel of the same running
pctl add-worker -q --force --memory 128M > /dev/null
task=$(pctl submit -q --grace 500ms -- sh -c "$hider")
ok "it runs again" eventually 10 pgrep -f 'sleep 7772'
ok "cancel is accepted" pctl cancel --yes "$task"
ok "nothing of the tree is left" eventually 2 no_process 'sleep 777[123]'
ok "it is cancelled" wait_task "$task" cancelled
is "$(worker_property w3 State)" running "the worker lives"

# left-overs of a task that ends by itself
pctl run -- sh -c 'setsid sleep 7774 & setsid sleep 7775 > /dev/null 2>&1 < /dev/null & exit 0'
ok "what a task leaves behind is killed when it ends" eventually 2 no_process 'sleep 777[45]'

# a worker that hangs
pid=$(worker_property w3 Pid)
kill -STOP "$pid"
ok "a hanging worker can be aborted" pctl abort --yes w3
ok "its scope is gone within 2 s" eventually 2 gone parexec-w3.scope
ok "it is removed" eventually 2 removed w3

# a worker that dies
pctl add-worker -q --force --memory 128M > /dev/null
task=$(pctl submit -q -- sh -c 'sleep 7776')
ok "a task runs" eventually 10 pgrep -f 'sleep 7776'
kill -KILL "$(worker_property w4 Pid)"
ok "a worker that dies has failed" wait_worker w4 failed
like "$(worker_property w4 Reason)" "killed by signal" "the reason is kept"
ok "its tasks died with it" eventually 2 no_process 'sleep 7776'
ok "the task waits again" wait_task "$task" queued
is "$(busctl --json=short get-property org.parexec "/org/parexec/task/$task" org.parexec.Task1 Attempts |
    jq -r '.data[0].outcome.data')" lost "its attempt was lost"
pctl add-worker -q --force --memory 128M > /dev/null
ok "another worker takes it" wait_task "$task" running
pctl cancel -q --yes "$task"

# ids are not used again
ok "all workers are aborted" pctl abort --all --yes
is "$(pctl add-worker -q --force --memory 128M)" w6 "the next one has a new number"
like "$(journalctl -q -o cat -u parexecd PAREXEC_WORKER=w4)" "running -> failed" "the journal has records by worker"
ok "with an id of the message" test -n "$(journalctl -q -o json -u parexecd PAREXEC_WORKER=w4 | jq -r .MESSAGE_ID | tail -n 1)"
done_testing
