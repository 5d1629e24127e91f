#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# vm: no (a hundred calls over the bus, of which none depends on the cgroup version)
#
# Bad input over the bus: each has a named error or a contained failure, and the service goes on.
# shellcheck source=tests/lib/system.sh
. "$(dirname "$0")/../lib/system.sh"

daemon_start
pctl add-worker -q --force --memory 128M > /dev/null

# refused ERROR NAME METHOD ARGUMENT...
refused() {
    local error=$1 name=$2 said
    shift 2
    # gdbus names the error, busctl only shows its sentence
    said=$(gdbus call --system -d org.parexec -o /org/parexec -m "org.parexec.Manager1.$1" -- "${@:2}" 2>&1)
    like "$said" "org\.parexec\.Error\.$error" "$name: $error"
    like "$said" "Error\.$error: .{12}" "$name: with a sentence"
}

worker="{'memory-max': <uint64 100000000>}"
refused UnknownOption "an unknown option of AddWorker" AddWorker "{'colour': <'red'>}"
refused InvalidArgument "a wrong type" AddWorker "{'memory-max': <'much'>}"
refused InvalidArgument "memory-max 0" AddWorker "{'memory-max': <uint64 0>}"
refused InvalidArgument "memory-max 1" AddWorker "{'memory-max': <uint64 1>}"
refused InvalidArgument "memory-max 2^64-2" AddWorker "{'memory-max': <uint64 18446744073709551614>}"
refused InvalidArgument "cpu-quota 0" AddWorker "{'cpu-quota': <uint64 0>}"
refused InvalidArgument "slots 0" AddWorker "{'slots': <uint32 0>}"
refused InvalidArgument "an unknown engine" AddWorker "{'engine': <'steam'>}"
refused InvalidArgument "a newline in the name" AddWorker "{'name': <'a\nb'>}"
refused InvalidArgument "nonsense as CPUs" AddWorker "{'allowed-cpus': <'0-'>}"
refused NoSuchUser "an unknown user" AddWorker "{'user': <'nobody-knows'>}"
refused InsufficientMemory "more memory than there is" AddWorker "{'memory-max': <uint64 4000000000000>}"
refused NoSuchWorker "a worker that does not exist" Drain w99
refused NoSuchWorker "an id that is none" Abort "w-1"
refused InvalidArgument "no argv" Submit "[{'cwd': <b'/'>}]" "{}"
refused InvalidArgument "an empty argv" Submit "[{'argv': <@aay []>}]" "{}"
refused InvalidArgument "an empty program" Submit "[{'argv': <[b'']>}]" "{}"
refused InvalidArgument "a relative directory" Submit "[{'argv': <[b'true']>, 'cwd': <b'tmp'>}]" "{}"
refused InvalidArgument "an environment without =" Submit "[{'argv': <[b'true']>, 'env': <[b'X']>}]" "{}"
refused InvalidArgument "a newline in a task's name" Submit "[{'argv': <[b'true']>, 'name': <'a\nb'>}]" "{}"
refused UnknownOption "an unknown key of a task" Submit "[{'argv': <[b'true']>, 'when': <'now'>}]" "{}"
refused UnknownOption "an unknown option of Submit" Submit "[{'argv': <[b'true']>}]" "{'soon': <true>}"
refused InvalidArgument "an array backwards" Submit "[{'argv': <[b'true']>, 'array': <(uint64 5, uint64 4)>}]" "{}"
refused InvalidArgument "nothing at all" Submit "@aa{sv} []" "{}"
refused NoSuchBatch "somebody else's batch" Submit "[{'argv': <[b'true']>}]" "{'batch': <uint64 77>}"
refused InvalidArgument "memory-max 1 of a task" Submit "[{'argv': <[b'true']>, 'memory-max': <uint64 1>}]" "{}"
refused InvalidArgument "an empty filter of Cancel" Cancel "@a{sv} {}"
refused NoSuchTask "cancelling what is not there" Cancel "{'ids': <[uint64 4711]>}"
refused InvalidArgument "a state that is none" ListTasks "{'states': <['asleep']>}"
refused InvalidArgument "a page of a million" ListTasks "{'limit': <uint32 1000000>}"
refused NoSuchTask "the output of what is not there" OpenOutput 4711 stdout "@a{sv} {}"
refused InvalidArgument "a stream that is none" OpenOutput 1 stdlog "@a{sv} {}"

gdbus call --system -d org.parexec -o /org/parexec -m org.freedesktop.DBus.Properties.Set org.parexec.Manager1 MaxWorkers \
    "<uint32 4000000000>" > /tmp/out 2>&1
like "$(cat /tmp/out)" "Error.InvalidArgument" "MaxWorkers has a bound"

# 10 MB of argv
python3 - > /tmp/out 2>&1 << 'PYTHON'
from gi.repository import Gio, GLib
bus = Gio.bus_get_sync(Gio.BusType.SYSTEM)
task = {"argv": GLib.Variant("aay", [b"true", b"x" * 10_000_000])}
try:
    bus.call_sync("org.parexec", "/org/parexec", "org.parexec.Manager1", "Submit",
                  GLib.Variant("(aa{sv}a{sv})", ([task], {})), None, 0, -1)
except GLib.Error as error:
    print(error.message)
PYTHON
like "$(cat /tmp/out)" "Error.TooLarge" "10 MB of argv"

# what is no error of the caller's, but fails when it runs
task=$(pctl submit -q -- /no/such/program)
ok "a command that does not exist fails" wait_task "$task" failed
is "$(task_property "$task" Outcome) $(task_property "$task" Errno)" "spawn-failed 2" "as spawn-failed with its errno"
like "$(pctl logs "$task" 2>&1)" "No such file" "and says so in its output"
like "$(pctl show "$task")" "ended +could not be started: cannot execute '/no/such/program': No such file" "and in its record"
unlike "$(as_user alice parctl show "$task" --json)" "such" "which nobody else is shown"
task=$(pctl submit -q -- /etc/passwd)
wait_task "$task" failed
is "$(task_property "$task" Outcome) $(task_property "$task" Errno)" "spawn-failed 13" "what is not executable likewise"
task=$(pctl submit -q --chdir /no/such/directory -- true)
ok "a directory that does not exist fails the task" wait_task "$task" failed
is "$(task_property "$task" Outcome)" spawn-failed "as spawn-failed"

# bytes that are no UTF-8 pass unharmed
is "$(pctl run -- printf '%s' $'\xff\xfe\n\x80' | od -An -tx1)" " ff fe 0a 80" "bytes that are no UTF-8 pass in argv"
is "$(X=$'\xc3\x28' pctl run --export X -- sh -c 'printf %s "$X"' | od -An -tx1)" " c3 28" "and in the environment"
ok "and are listed" pctl show last

: > /tmp/empty
pctl submit --each-line /tmp/empty -- true > /tmp/out 2>&1
isnt $? 0 "--each-line of an empty file is refused"
like "$(cat /tmp/out)" "[Nn]othing|no lines" "with a sentence"

ok "after all that it works" pctl run -- true
: "$worker"
done_testing
