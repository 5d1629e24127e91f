#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# timeout: 900
# vm: no (ten minutes of emulation for nothing that depends on the cgroup version)
#
# A hundred thousand tasks, as an array and as lines: all run, each once, and the service answers meanwhile.
# shellcheck source=tests/lib/system.sh
. "$(dirname "$0")/../lib/system.sh"
count=${PAREXEC_TEST_MANY-20000}

daemon_start
pctl add-worker -q --force --count "$(nproc)" --memory 256M > /dev/null
counted() { manager_call Status | jq ".data[0].queue.data.$1.data"; }
drained() { [ "$(counted succeeded)" = "$1" ]; }

pctl submit -q --array "0-$((count - 1))" -- true > /dev/null
all='.data[0].queue.data | .queued.data + .running.data + .succeeded.data'
is "$(manager_call Status | jq "$all")" "$count" "an array of $count is accepted"
ok "it drains" eventually 300 drained "$count"
seq "$count" | pctl submit -q --each-line - -- true > /dev/null
ok "as many lines drain" eventually 300 drained $((2 * count))
is "$(counted failed)" 0 "none failed"
is "$(counted queued)" 0 "none is left"
rss=$(awk '/^VmHWM/ { print $2 }' "/proc/$(systemctl show -P MainPID parexecd.service)/status")
ok "the daemon stays small ($rss KiB at most)" test "$rss" -lt 200000
done_testing
