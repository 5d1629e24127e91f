#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# vm: no (calls over the bus, and output; none of it depends on the cgroup version)
#
# Bad input to the queue: dependencies that cannot be, numbers out of bounds, job files of a gigabyte, floods of output with
# the reader gone. Each has a named error or a contained failure; nothing else is disturbed. What is not here: cycles,
# names and keys of job files in test-job-file.sh, results in test-results.sh, workers' programs in test-programs.sh.
# shellcheck source=tests/lib/system.sh
. "$(dirname "$0")/../lib/system.sh"

# USER ERROR NAME TASKS [OPTIONS]: Submit fails with that error; nothing is added, and a task submitted afterwards succeeds
refused() {
    local user=$1 error=$2 name=$3 said before
    before=$(tasks_known)
    said=$(as_user "$user" gdbus call --system -d org.parexec -o /org/parexec -m org.parexec.Manager1.Submit -- \
        "$4" "${5-@a{sv\} {\}}" 2>&1)
    like "$said" "org\.parexec\.Error\.$error: .{12}" "$name: $error, with a sentence"
    is "$(tasks_known)" "$before" "$name: nothing is added"
    as_user "$user" parctl submit -q --wait -- true > /dev/null
    is $? 0 "$name: the next task succeeds"
}
tasks_known() { manager_call Status | jq '[.data[0].queue.data | to_entries[] | select(.key != "throughput") | .value.data] | add'; }

# One task that waits for that: CONDITION TARGET OPTIONS
waiting() { echo "[{'argv': <[b'true']>, 'after': <[('$1', uint64 $2, @a{sv} {$3})]>}]"; }
with() { echo "[{'argv': <[b'true']>, $1}]"; }

# STATUS REGEX NAME COMMAND...: parctl refuses it
not_taken() {
    local said status
    said=$("${@:4}" 2>&1 < /dev/null)
    status=$?
    like "$status $said" "^$1 .*$2" "$3"
}

main_process() { systemctl show -P MainPID parexecd.service; }
resident_kib() { awk '/^VmHWM/ { print $2 }' "/proc/$(main_process)/status"; }

daemon_start
pctl add-worker -q --force --memory 1G --slots 4 > /dev/null
cd / || exit 1
process=$(main_process)

# ---------------------------------------------------------------- dependencies

hers=$(as_user alice parctl submit -q -- true)
as_user alice parctl wait -q "$hers"
her_batch=$(pctl tasks --json --all | jq "map(select(.id == $hers))[0].batch")
hers_waits=$(as_user alice parctl submit -q --hold -- true)
local="'local': <true>"

refused alice InvalidDependency "a dependency on itself" "$(waiting afterok 0 "$local")"
refused alice InvalidDependency "on a later task of the submission" \
    "[{'argv': <[b'true']>, 'after': <[('afterok', uint64 1, {'local': <true>})]>}, {'argv': <[b'true']>}]"
refused alice InvalidDependency "on a position that is not there" "$(waiting afterok 18446744073709551615 "$local")"
refused alice InvalidDependency "on a task that may come later" "$(waiting afterany 1000000)"
refused alice NoSuchTask "on task 2^64-1" "$(waiting afterany 18446744073709551615)"
refused alice "(NoSuchTask|InvalidArgument|InvalidDependency)" "on task 0" "$(waiting afterany 0)"
refused alice "(NoSuchBatch|NoSuchTask)" "on a batch that is not there" "$(waiting afterok 1000000 "'batch': <true>")"
refused bob InvalidDependency "on another user's task that has ended" "$(waiting afterok "$hers")"
refused bob InvalidDependency "on one that waits" "$(waiting afterany "$hers_waits")"
refused bob InvalidDependency "on another user's batch" "$(waiting afterok "$her_batch" "'batch': <true>")"
refused alice InvalidArgument "on elements of what is no array" "$(waiting aftercorr "$hers")"
refused alice InvalidArgument "on a condition that is none" "$(waiting afterall "$hers")"
refused alice InvalidArgument "on an exit status of 256" "$(waiting exit "$hers" "'status': <256>")"
refused alice InvalidArgument "on an exit status that is not said" "$(waiting exit "$hers")"
refused alice UnknownOption "with an unknown option" "$(waiting afterok "$hers" "'soon': <true>")"
refused alice InvalidArgument "one of the wrong type" "$(with "'after': <'afterok:1'>")"
as_user alice parctl submit -q --wait --after "afterok:$hers" -- true > /dev/null
is $? 0 "alice may wait for what was refused to bob"
as_user alice parctl cancel -q "$hers_waits"

# ---------------------------------------------------------------- numbers

refused alice InvalidArgument "retries of 2^32" "$(with "'retries': <uint64 4294967296>")"
refused alice InvalidArgument "retries of 2^32-1" "$(with "'retries': <uint32 4294967295>")"
refused alice InvalidArgument "a backoff factor of 0" "$(with "'backoff': <(uint64 1, uint64 2, 0.0)>")"
refused alice InvalidArgument "a factor that is no number" "$(with "'backoff': <(uint64 1, uint64 2, nan)>")"
refused alice InvalidArgument "an infinite factor" "$(with "'backoff': <(uint64 1, uint64 2, inf)>")"
refused alice InvalidArgument "a factor below 0" "$(with "'backoff': <(uint64 1, uint64 2, -1.0)>")"
refused alice InvalidArgument "a delay of 2^64-1" "$(with "'backoff': <(uint64 1, uint64 18446744073709551615, 2.0)>")"
refused alice InvalidArgument "a timeout of 0" "$(with "'timeout': <uint64 0>")"
refused alice InvalidArgument "a timeout of 2^32-1 percent" "$(with "'timeout-percent': <uint32 4294967295>")"
refused alice InvalidArgument "a signal that is none" "$(with "'stop-signal': <200>")"
refused alice InvalidArgument "a grace of 2^64-2" "$(with "'grace': <uint64 18446744073709551614>")"
refused alice InvalidArgument "a rule without a sense" "$(with "'on-failure': <[('exit=9-3', 'retry')]>")"
refused alice InvalidArgument "an output limit of 1 byte" "$(with "'output-max': <uint64 1>")"
refused alice NoSuchQueue "a queue that is not there" "$(with "'queue': <'nowhere'>")"
refused alice InvalidArgument "a percentage that is no number" "$(with "'priority': <1>")" "{'max-fails-percent': <nan>}"
refused alice InvalidArgument "a key of no byte" "$(with "'priority': <1>")" "{'key': <''>}"

not_taken 2 "retries" "--retries 4294967296" pctl submit --retries 4294967296 -- true
not_taken 2 "backoff" "--backoff with the factor 0" pctl submit --backoff 1s,5s,0 -- true
not_taken 2 "backoff" "--backoff with the factor nan" pctl submit --backoff 1s,5s,nan -- true
not_taken 2 "backoff" "--backoff with the factor 1e400" pctl submit --backoff 1s,5s,1e400 -- true
not_taken 2 "after" "--after with a word that is none" pctl submit --after "afterall:$hers" -- true
not_taken 2 "after" "--after with 100 000 parentheses" \
    pctl submit --after "$(head -c 100000 /dev/zero | tr '\0' '(')" -- true

# ---------------------------------------------------------------- job files

job=$(mktemp)
{ printf '[{"argv":["'; head -c 1G /dev/zero | tr '\0' x; printf '"]}]'; } > "$job"
not_taken 1 "256" "a string of 1 GB in a job file" pctl submit --from-json "$job"
{ printf '[{"argv":["'; head -c 2M /dev/zero | tr '\0' x; printf '"]}]'; } > "$job"
not_taken 1 "tasks\[0\]\.argv" "a string of 2 MB" pctl submit --from-json "$job"
head -c 10M /dev/zero | tr '\0' '[' > "$job"
not_taken 1 "64" "10 million levels" pctl submit --from-json "$job"
echo '[{"argv":["true"],"retries":"many"}]' > "$job"
not_taken 1 "tasks\[0\]\.retries" "a word for a number" pctl submit --from-json "$job"
echo '[{"argv":"true"}]' > "$job"
not_taken 1 "tasks\[0\]\.argv" "a string for an array" pctl submit --from-json "$job"
echo '[{"argv":["true"],"backoff":"1s,5s,nan"}]' > "$job"
not_taken 1 "tasks\[0\]\.backoff" "a factor that is no number in a job file" pctl submit --from-json "$job"
not_taken 1 "" "a folder for a file" pctl submit --from-json /etc
rm "$job"

# ---------------------------------------------------------------- floods

output=/var/lib/parexec/output
flood=$(as_user alice parctl submit -q --output-max 1M -- \
    sh -c 'timeout 3 cat /dev/zero >&2 & echo begin; timeout 3 cat /dev/urandom; wait; echo end')
ok "a task prints as fast as it can, to stdout and stderr" wait_task "$flood" running
as_user alice parctl logs -f "$flood" 2> /dev/null | head -c 100000 > /dev/null
ok "its reader goes away" test "${PIPESTATUS[1]}" = 0
as_user alice parctl logs -f "$flood" > /dev/null 2>&1 &
reader=$!
began=${EPOCHREALTIME/[.,]/}
pctl submit -q --wait -- true > /dev/null
is $? 0 "meanwhile another task succeeds"
ok "at once" test $((${EPOCHREALTIME/[.,]/} - began)) -lt 1000000
kill -KILL $reader
wait $reader 2> /dev/null
ok "the task that prints succeeds" wait_task "$flood" succeeded 20
kept=$(du -s --block-size=1 $output | cut -f1)
ok "what is kept of it is small ($kept bytes)" test "$kept" -lt $((4 << 20))
as_user alice parctl logs --stdout "$flood" > /tmp/out 2> /tmp/errors
is "$(head -c 5 /tmp/out) $(tail -c 4 /tmp/out)" "begin end" "the beginning and the end"
is "$(as_user alice parctl show --json "$flood" | jq '.[0].attempts[-1] | .["stdout-dropped"] > 1e6 and .["stderr-dropped"] > 1e6')" \
    true "and how much is missing"
pctl run -- cat /dev/zero 2> /dev/null | head -c 10000 > /dev/null
ok "run ends when nobody reads it" test "${PIPESTATUS[1]}" = 0
flood=$(as_user alice parctl submit -q --merge --output-max 64K -- sh -c 'timeout 1 tr "\0" "\n" < /dev/zero; exit 3')
ok "nothing but newlines, from one that fails" wait_task "$flood" failed 20
ok "it is shown" as_user alice parctl show "$flood"

alarms() { journalctl -q -o cat -u parexecd.service | grep "cannot be written to"; }
nok "what was refused is no fault of the disk" alarms
is "$(main_process)" "$process" "the daemon is the same process as in the beginning"
ok "and small ($(resident_kib) KiB at most)" test "$(resident_kib)" -lt 100000
as_user bob parctl submit -q --wait -- true > /dev/null
is $? 0 "after all that it works"
done_testing
