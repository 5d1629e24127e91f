#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# What tasks hand over: results, also hostile ones, as inputs of those that wait for them; and credentials, which nobody
# else gets to see.
# shellcheck source=tests/lib/system.sh
. "$(dirname "$0")/../lib/system.sh"

daemon_start
result_of() { task_property "$1" Result | jq -r 'implode'; }
note_of() {
    busctl --json=short get-property org.parexec "/org/parexec/task/$1" org.parexec.Task1 Attempts |
        jq -r '.data[-1].note.data'
}
submit() { as_user alice parctl submit -q "$@"; }
# what tasks have left in the folders there, or what is still to be removed of it
empty() { [ -z "$(find "$1" -mindepth 2 -print -quit)" ]; }

pctl add-worker -q --force --memory 512M > /dev/null
cd /home/alice || exit 1

# results
task=$(submit -- sh -c 'printf 42 > "$PAREXEC_RESULT"')
ok "a task with a result succeeds" wait_task "$task" succeeded
is "$(result_of "$task")" 42 "its result is on record"
task=$(submit -- sh -c 'echo partial > "$PAREXEC_RESULT"; exit 1')
ok "one fails" wait_task "$task" failed
is "$(result_of "$task")" partial "its result is on record, too"
task=$(submit -- true)
ok "one leaves nothing" wait_task "$task" succeeded
is "$(task_property "$task" Result)" "[]" "it has no result, and none of another's"
is "$(pctl run -- sh -c 'stat -c "%a %U" "${PAREXEC_RESULT%/*}"')" "700 root" "the folder is root's for root"
is "$(as_user alice parctl run -- sh -c 'stat -c "%a %U" "${PAREXEC_RESULT%/*}"')" "700 alice" "and alice's for alice"

# hostile ones
hostile() {
    local script=$1 note=$2 name=$3 hostile
    hostile=$(submit -- sh -c "$script")
    ok "$name: the task succeeds" wait_task "$hostile" succeeded
    is "$(task_property "$hostile" Result)" "[]" "$name: nothing is taken"
    is "$(note_of "$hostile")" "$note" "$name: and a note says so"
}
hostile 'truncate -s 1G "$PAREXEC_RESULT"' "its result has 1.0G, over 64.0K, and was dropped" "a file of 1 GB"
hostile 'ln -s /etc/shadow "$PAREXEC_RESULT"' "its result is a symbolic link and was dropped" "a link to /etc/shadow"
hostile 'mkfifo "$PAREXEC_RESULT"' "its result is not a regular file and was dropped" "a FIFO"
hostile 'mkdir "$PAREXEC_RESULT"; touch "$PAREXEC_RESULT/x"' "its result is not a regular file and was dropped" "a folder"
task=$(submit -- sh -c 'cd "${PAREXEC_RESULT%/*}"; i=0; while [ $i -lt 200 ]; do mkdir d; cd d; : > f; i=$((i+1)); done')
ok "a task leaves a deep tree" wait_task "$task" succeeded
ok "all of it goes" eventually 10 empty /var/lib/parexec/slots
task=$(submit -- sh -c 'ls -A "${PAREXEC_RESULT%/*}" | wc -l')
ok "the next runs" wait_task "$task" succeeded
is "$(as_user alice parctl logs "$task")" 0 "and finds nothing of it"

# inputs
one=$(submit --name one -- sh -c 'echo first > "$PAREXEC_RESULT"')
two=$(submit -- sh -c 'echo second > "$PAREXEC_RESULT"')
both=$(submit --after "afterok:$one,afterok:$two" -- \
    sh -c 'cd "$PAREXEC_INPUTS" && ls && cat * && stat -c "%a %U" * && ! echo x > one')
ok "a task that waited for two succeeds" wait_task "$both" succeeded
is "$(as_user alice parctl logs "$both" | tr '\n' ' ')" \
    "$(printf '%s\n' one "$two" | LC_ALL=C sort | tr '\n' ' ')$(
        printf '%s\n' one "$two" | LC_ALL=C sort | sed "s/one/first/; s/^$two\$/second/" | tr '\n' ' ')400 alice 400 alice " \
    "it finds their results, readable by it alone"
task=$(submit -- sh -c 'echo "${PAREXEC_INPUTS-none}"')
ok "a task that waited for none runs" wait_task "$task" succeeded
is "$(as_user alice parctl logs "$task")" none "it has no inputs"

# credentials
secret=hush-$RANDOM-$RANDOM-$RANDOM
echo "$secret" > /home/alice/token
chown alice /home/alice/token
chmod 400 /home/alice/token
echo "root's" > /home/alice/not-mine
chmod 400 /home/alice/not-mine
task=$(submit --credential token=/home/alice/token -- sh -c '
    cd "$CREDENTIALS_DIRECTORY" || exit 1
    pwd; cat token > /home/alice/seen; ls; ! echo x 2> /dev/null > token && ! echo x 2> /dev/null > new
    touch /home/alice/ready; until [ -e /home/alice/go ]; do sleep 0.05; done')
ok "a task with a credential runs" eventually 10 test -e /home/alice/ready
is "$(cat /home/alice/seen)" "$secret" "it has read it"
folder=$(as_user alice parctl logs "$task" | head -n 1)
like "$folder" "^/run/parexec/credentials/" "it lies in memory"
nok "bob cannot read it" as_user bob cat "$folder/token"
nok "bob cannot list it" as_user bob ls "$folder"
ok "alice can" as_user alice cat "$folder/token"
unlike "$(pctl show "$task"; pctl show --json "$task")" "$secret" "it is not shown"
touch /home/alice/go
ok "the task succeeds" wait_task "$task" succeeded
nok "the credential is gone" test -e "$folder"
nok "it is in no file of the daemon's" grep -rqF "$secret" /var/lib/parexec /run/parexec
task=$(submit --credential token=/home/alice/not-mine -- echo never)
ok "a task with a credential that its user may not read fails" wait_task "$task" failed
is "$(task_property "$task" Outcome)" spawn-failed "before it starts"
like "$(as_user alice parctl logs "$task" 2>&1)" \
    "cannot read credential 'token' from /home/alice/not-mine: Permission denied" "and says why"
ok "nothing is left of it" empty /run/parexec/credentials
task=$(submit -- sh -c 'echo "${CREDENTIALS_DIRECTORY-none}"')
ok "a task without any runs" wait_task "$task" succeeded
is "$(as_user alice parctl logs "$task")" none "it has none"
done_testing
