#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# The D-Bus API as others see it: activation, introspection equal to the published XML, a GDBus client.
# shellcheck source=tests/lib/system.sh
. "$(dirname "$0")/../lib/system.sh"
interfaces=/usr/share/dbus-1/interfaces

systemctl -q is-active parexecd.service && bail "the daemon runs already"
system_daemon_started=1
ok "the service is activated by a call" manager_property Version
is "$(systemctl show -P ActiveState parexecd.service)" active "as its unit"
ok "AddWorker without options works through busctl" busctl call org.parexec /org/parexec org.parexec.Manager1 AddWorker 'a{sv}' 0
wait_worker w1 running

ok "Manager1 is as published" "$here/introspection.py" system /org/parexec $interfaces/org.parexec.Manager1.xml
ok "Worker1 is as published" "$here/introspection.py" system /org/parexec/worker/w1 $interfaces/org.parexec.Worker1.xml
pctl submit -q --wait -- true > /dev/null
ok "Task1 is as published" "$here/introspection.py" system /org/parexec/task/_31 $interfaces/org.parexec.Task1.xml
ok "busctl shows it all" busctl introspect org.parexec /org/parexec
is "$(busctl tree --list org.parexec | grep -c /org/parexec/task/)" 0 "tasks are not enumerated"
ok "workers are" busctl introspect org.parexec /org/parexec/worker/w1
is "$(busctl get-property org.parexec /org/parexec/task/_3999 org.parexec.Task1 State 2>&1)" \
    "Failed to get property State on interface org.parexec.Task1: There is no task _3999." "a task that is not there"

"$here/watch-workers.py" > /tmp/seen 2>&1
for word in WorkerAdded WorkerStateChanged WorkerRemoved TasksChanged BatchFinished object-added object-removed \
    state:running state:draining state:dead succeeded:1 cached:running:indicator changed:State; do
    ok "a GDBus client sees $word" grep -qx "$word" /tmp/seen
done
[ $tap_failed = 0 ] || diag "$(cat /tmp/seen)"

manager_call Status > /tmp/status
is "$(jq -r '.data[0].workers.data[0].id.data' /tmp/status)" w1 "Status tells the workers"
is "$(jq -r '.data[0].queue.data.succeeded.data' /tmp/status)" 2 "and the queue"
ok "MaxWorkers is set" busctl set-property org.parexec /org/parexec org.parexec.Manager1 MaxWorkers u 1
manager_call AddWorker 'a{sv}' 0 > /tmp/out 2>&1
like "$(cat /tmp/out)" "1 of at most 1 workers" "and holds, also against force"
manager_call AddWorker 'a{sv}' 1 force b true > /tmp/out 2>&1
like "$(cat /tmp/out)" "1 of at most 1 workers" "also with force"
daemon_config '[Workers]
MaxWorkers=7
NoSuchKey=1'
ok "Reload reads the configuration" manager_call Reload
is "$(manager_property MaxWorkers)" 7 "again"
like "$(journalctl -q -o cat -u parexecd)" "50-test.conf:3: unknown key NoSuchKey=" "unknown keys are told with file and line"
done_testing
