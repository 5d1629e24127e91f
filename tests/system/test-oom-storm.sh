#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# Ten workers, and in each a task that takes memory without bound, again and again: each dies alone and at once, what runs
# beside them hardly notices, and nothing outside the tasks' own cgroups dies.
#
#   PAREXEC_STORM_ROUNDS   how often (default: 3)
#   PAREXEC_STORM_STRICT   1: how fast they die, and how much goes on beside them, are judged, too; on a machine that has
#                          nothing else to do (otherwise both are only told)
# alone: yes
# timeout: 900
# shellcheck source=tests/lib/system.sh
. "$(dirname "$0")/../lib/system.sh"

rounds=${PAREXEC_STORM_ROUNDS-3}
workers=10 size=512 limit=64
# takes memory without bound; writes down when it has come to the limit
hog="import time
held = []
while True:
    held.append(bytearray(4 << 20))
    if len(held) * 4 == $limit - 12:
        open('/tmp/near.%s' % __import__('os').environ['PAREXEC_TASK_ID'], 'w').write(repr(time.time()))"
# counts as fast as it can, a figure every tenth of a second
counter='import time, sys
n, then = 0, time.monotonic()
while True:
    for _ in range(20000): n += 1
    now = time.monotonic()
    if now - then >= 0.1:
        print(now, n, flush=True); n, then = 0, now'

daemon_config '[Pressure]
Enabled=no'
daemon_start

refused=0
for _ in $(seq $workers); do
    pctl add-worker -q --memory "${size}M" --slots 1 > /dev/null 2> /tmp/refusal || refused=$((refused + 1))
done
ok "of $workers workers those are refused that do not fit ($refused)" test "$refused" -gt 0
like "$(cat /tmp/refusal)" "needs .*[0-9]" "with numbers"
is "$(pctl add-worker --memory "${size}M" > /dev/null 2>&1 || echo $?)" 3 "and exit status 3"
for _ in $(seq "$refused"); do
    pctl add-worker -q --memory "${size}M" --force > /dev/null
done
is "$(pctl status --json | jq '[.workers[] | select(.state == "running")] | length')" $workers "forced, all run"
ok "the status names the forced ones" test "$(pctl status --json | jq '[.workers[] | select(.forced)] | length')" -gt 0

# Beside them somebody who has a worker of her own, and a greater share. (With equal weights the kernel gives a group that
# has one thread two thirds of a CPU, if the other group has threads on every CPU.)
pctl add-worker -q --memory 64M --user-only alice --force > /dev/null
ok "her slice takes a weight" systemctl set-property --runtime parexec-u1000.slice CPUWeight=1000
pids_before=$(pgrep -x parexec-worker | sort | tr '\n' ' ')
daemon=$(systemctl show -P MainPID parexecd.service)
install -o alice /dev/null /tmp/counts
beside=$(as_user alice parctl submit -q -- sh -c 'exec /usr/bin/python3 -c "$1" > /tmp/counts' sh "$counter")
sleep 3
calm=$(awk '{ n += $2 } END { print n / NR }' /tmp/counts)
start=$(wc -l < /tmp/counts)

late=0 wrong=0 seen=0
for _ in $(seq "$rounds"); do
    batch=$(pctl submit --json --memory "${limit}M" --array "1-$workers" -- /usr/bin/python3 -c "$hog" | jq .batch)
    pctl wait -q "batch:$batch" > /dev/null 2>&1
    while read -r task outcome finished; do
        seen=$((seen + 1))
        if [ "$outcome" != oom ]; then
            wrong=$((wrong + 1))
            diag "task $task: $(pctl show "$task" --json | jq -c '.[0] | {outcome, state, "exit-status", signal, errno, note, reason, "memory-peak"}')"
        fi
        near=$(cat "/tmp/near.$task" 2> /dev/null || echo 0)
        awk -v a="$near" -v b="$finished" 'BEGIN { exit !(a == 0 || b - a > 1) }' && late=$((late + 1))
    done < <(pctl tasks --json --all --batch "$batch" |
        jq -r '.[] | "\(.id) \(.outcome) \((.finished[0:19] + "Z" | fromdate) + (.finished[20:23] | tonumber) / 1000)"')
done
storm=$(tail -n "+$((start + 1))" /tmp/counts | awk '{ n += $2 } END { print n / NR }')
is "$seen" $((rounds * workers)) "every task has a row"
is "$wrong" 0 "every one of $((rounds * workers)) tasks ended as oom"
share=$(awk -v a="$storm" -v b="$calm" 'BEGIN { printf "%d", 100 * a / b }')
diag "$late of $seen took more than a second from near the limit to their end; beside them $share % of the work went on"
if [ "${PAREXEC_STORM_STRICT-}" = 1 ]; then
    is "$late" 0 "within a second of coming near its limit"
    ok "beside them $share % of the work goes on" test "$share" -ge 90
fi
is "$(pgrep -x parexec-worker | sort | tr '\n' ' ')" "$pids_before" "every worker lives, in the same process"
is "$(systemctl show -P MainPID parexecd.service)" "$daemon" "and so does the daemon"
is "$(task_property "$beside" State)" running "what runs beside lives"
is "$(pctl run -- echo fine)" fine "and tasks run as ever"
pctl cancel -q "$beside"
done_testing
