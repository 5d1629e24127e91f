#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# The disk that holds the queue is full: submissions are refused with a sentence, what runs goes on, and nothing is lost.
# shellcheck source=tests/lib/system.sh
. "$(dirname "$0")/../lib/system.sh"

mkdir -p /var/lib/parexec
mount -t tmpfs -o size=4M,mode=700 small /var/lib/parexec
daemon_start
pctl add-worker -q --force --memory 128M --slots 2 > /dev/null
running=$(pctl submit -q -- sh -c 'until [ -e /tmp/go ]; do sleep 0.1; done; exit 5')
wait_task "$running" running
next=$(pctl submit -q --after "afternotok:$running" -- true)
last=$(pctl submit -q --after "afterok:$next" -- true)
never=$(pctl submit -q --after "afterok:$running" -- true)
dd if=/dev/zero of=/var/lib/parexec/filler bs=4k 2> /dev/null
until ! echo x >> /var/lib/parexec/filler; do :; done 2> /dev/null

refused() {
    for i in $(seq 200); do
        gdbus call --system -d org.parexec -o /org/parexec -m org.parexec.Manager1.Submit \
            "[{'argv': <[b'true', b'$(printf 'x%.0s' $(seq 2000))']>}]" '@a{sv} {}' > /tmp/out 2>&1 || return 0
    done
    return 1
}
ok "a submission is refused" refused
like "$(cat /tmp/out)" "Error.StorageFull: .*full" "as StorageFull, with a sentence"
is "$(task_property "$running" State)" running "what runs goes on"
touch /tmp/go
sleep 1
ok "the daemon answers" pctl status
is "$(task_property "$next" State)" blocked "who waits for what cannot be written down waits on"
rm /var/lib/parexec/filler
ok "when there is room again the result is recorded" wait_task "$running" failed 20
is "$(task_property "$running" ExitStatus)" 5 "with its status"
is "$(task_property "$running" Attempt)" 1 "of its one attempt"
ok "who waited for it goes on" wait_task "$last" succeeded 20
is "$(task_property "$next" State)" succeeded "in order"
is "$(task_property "$never" State)" skipped "and who waited for another end is skipped"
ok "submissions are taken again" pctl run -- true
done_testing
