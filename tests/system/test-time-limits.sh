#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# How tasks are told to stop: by their timeout and by cancel, with a warning before, the signal, the grace, and the kill of
# everything that belongs to them.
# shellcheck source=tests/lib/system.sh
. "$(dirname "$0")/../lib/system.sh"

daemon_start
no_process() { ! pgrep -f "$1" > /dev/null; }
# seconds that the latest attempt of a task took, in tenths
tenths() { echo $((($(task_property "$1" FinishTimestamp) - $(task_property "$1" StartTimestamp)) / 100000)); }
said() { pctl logs "$1" 2> /dev/null | grep -qx "$2"; }

pctl add-worker -q --force --memory 256M --slots 4 > /dev/null

# the timeout
task=$(pctl submit -q --timeout 1s -- sleep 6661)
ok "a task over its timeout fails" wait_task "$task" failed
is "$(task_property "$task" Outcome)" timeout "as a timeout"
is "$(task_property "$task" Signal)" 15 "TERM was enough"
ok "after the timeout, not before or long after ($(tenths "$task") tenths)" \
    test "$(tenths "$task")" -ge 10 -a "$(tenths "$task")" -lt 50
task=$(pctl submit -q --timeout 20s -- sh -c 'exit 3')
ok "a task within its timeout ends as ever" wait_task "$task" failed
is "$(task_property "$task" Outcome)" exited "by itself"
task=$(pctl submit -q --timeout 500ms --signal INT --grace 20s -- \
    sh -c 'trap "echo interrupted; exit 0" INT; while :; do sleep 0.05; done')
ok "a task that ends well, but too late, fails" wait_task "$task" failed
is "$(task_property "$task" Outcome)" timeout "as a timeout"
ok "it was told by the signal asked for" said "$task" interrupted

# the grace
task=$(pctl submit -q --timeout 500ms --grace 1s -- sh -c 'trap "" TERM; sleep 6662; sleep 6662')
ok "a task that ignores TERM dies" wait_task "$task" failed
is "$(task_property "$task" Outcome)" timeout "as a timeout"
is "$(task_property "$task" Signal)" 9 "killed"
ok "when the grace is over ($(tenths "$task") tenths)" test "$(tenths "$task")" -ge 15 -a "$(tenths "$task")" -lt 60
ok "nothing of it is left" no_process 'sleep 6662'

# what hides
hider='trap "" TERM HUP; setsid sh -c "trap \"\" TERM HUP; (sleep 6663 &) ; sleep 6664" & setsid sleep 6665 & sleep 6666; sleep 6667'
task=$(pctl submit -q --timeout 1s --grace 300ms -- sh -c "$hider")
ok "a task with descendants in sessions of their own runs" eventually 10 pgrep -f 'sleep 6664'
ok "it dies" wait_task "$task" failed
ok "with all of them" no_process 'sleep 666[34567]'
task=$(pctl submit -q --timeout 500ms --grace 1min -- sh -c 'kill -STOP $$; sleep 6668')
ok "a stopped task takes its signal, too" wait_task "$task" failed

# the warning
task=$(pctl submit -q --timeout 1min --warn USR1@59s -- \
    sh -c 'trap "echo warned; exit 0" USR1; while :; do sleep 0.05; done')
ok "a task that takes a warning ends in time" wait_task "$task" succeeded
ok "it was warned" said "$task" warned
task=$(pctl submit -q --timeout 1min --warn USR1@59500ms -- sleep 2)
ok "one that does not know the signal lives" wait_task "$task" succeeded

# cancel
task=$(pctl submit -q -- sh -c 'trap "echo goodbye; exit 0" TERM; echo hello; while :; do sleep 0.05; done')
ok "a task runs" eventually 10 said "$task" hello
ok "cancel is accepted" pctl cancel --yes "$task"
ok "it is cancelled" wait_task "$task" cancelled
ok "it could say goodbye" eventually 5 said "$task" goodbye
task=$(pctl submit -q --grace 1s -- sh -c 'trap "" TERM; echo hello; sleep 6669; sleep 6669')
ok "one that does not listen runs" eventually 10 said "$task" hello
pctl cancel -q --yes "$task"
ok "it is left alone for the grace" pgrep -f 'sleep 6669'
ok "then it is gone" eventually 5 no_process 'sleep 6669'
task=$(pctl submit -q --grace 0 -- sh -c 'trap "echo never" TERM; echo hello; while :; do sleep 0.05; done')
ok "one without grace runs" eventually 10 said "$task" hello
pctl cancel -q --yes "$task"
ok "it is killed" wait_task "$task" cancelled
nok "without a word" said "$task" never

# timeouts are the worker's: they pass while there is no daemon
task=$(pctl submit -q --timeout 2s --grace 500ms -- sh -c 'trap "" TERM; sleep 6670; sleep 6670')
ok "a task with a timeout runs" eventually 10 pgrep -f 'sleep 6670'
daemon_stop
ok "it is over in time without the daemon" eventually 10 no_process 'sleep 6670'
systemctl start parexecd.socket parexecd.service
ok "and the next daemon hears of it" wait_task "$task" failed
is "$(task_property "$task" Outcome)" timeout "as a timeout"

# one worker after all this
is "$(worker_property w1 State)" running "the worker lives"
done_testing
