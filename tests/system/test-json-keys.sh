#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# vm: no (what is printed is the same there)
#
# Every key that --json prints stands in parctl(1), under the verb that prints it.
# shellcheck source=tests/lib/system.sh
. "$(dirname "$0")/../lib/system.sh"

# ITEM...: the words of these items of the section JSON
words_of() {
    awk -v items="$*" '
        BEGIN { n = split(items, wanted, " ") }
        /^\.Sh/ { json = $2 == "JSON"; item = 0 }
        json && /^\.It/ { item = 0; for (i = 1; i <= n; i++) item = item || index($0 " ", " " wanted[i] " ") > 0 }
        json && item && /^\./ { for (i = 2; i <= NF; i++) print $i }' "$here/../../doc/parctl.1" | sort -u
}
# ITEMS COMMAND...: the keys in what it prints are among the words of these items
keys_are_named() {
    local items=$1 keys
    shift
    keys=$("$@" | jq -s -r '[.[] | del(.results?) | .. | objects | keys[]] | unique[]' | sort -u)
    # shellcheck disable=SC2086
    is "$(comm -23 <(echo "$keys") <(words_of $items))" "" "$items: $(wc -w <<< "$keys") keys, all of them named"
    isnt "$keys" "" "and there are some"
}

daemon_config '[Resources]
tape=2
[Profile small]
Workers=1
MemoryMax=32M'
daemon_start
timeout 120 parctl events --json > /tmp/events &
watcher=$!
keys_are_named "add-worker show" pctl add-worker --json --memory 256M --resource tape --pin --force
keys_are_named submit pctl submit --json --name named -t tag --array 0-1 -- sh -c 'echo 1 > "$PAREXEC_RESULT"; sleep 0.2'
keys_are_named wait pctl wait --json last
pctl submit -q --wait --retries 1 --backoff 1ms --credential a=/etc/hostname --output-max 64K -- \
    sh -c 'head -c 300K /dev/zero; echo x >&2; exit 3' > /dev/null 2>&1
pctl submit -q --wait -- /no/such/program > /dev/null 2>&1
pctl submit -q --wait --memory 32M -- python3 -c 'x = bytearray(90 << 20)' > /dev/null 2>&1
pctl submit -q --wait -- sh -c 'kill $$' > /dev/null 2>&1
frozen=$(pctl submit -q --memory auto --cpus 0.5 --resource tape -- sleep 100)
pctl submit -q --memory 1G -- true > /dev/null
pctl submit -q --begin +1h --worker-class none -- true > /dev/null
pctl queue add --parallel 1 narrow > /dev/null
pctl submit -q --queue narrow --priority 3 -- sleep 100 > /dev/null
wait_task "$frozen" running
keys_are_named freeze pctl freeze --json "$frozen"
pctl tasks --all --json > /tmp/tasks
is "$(jq -r '[.[] | select(has("oom-cause"), has("frozen"), has("errno"), has("signal"))] | length > 3' /tmp/tasks)" true \
    "tasks of all kinds are there"
keys_are_named tasks cat /tmp/tasks
keys_are_named "show tasks" pctl show --json 1-8
keys_are_named show pctl show --json w1
keys_are_named "status workers scale" pctl status --json
keys_are_named workers pctl workers --json
keys_are_named why pctl why --json mine
keys_are_named queue pctl queue --json
keys_are_named stats pctl stats --json
keys_are_named topology pctl topology --json
keys_are_named profile pctl profile --json
keys_are_named scale pctl scale --json
keys_are_named set pctl set --json "$frozen" io-weight=200
keys_are_named thaw pctl thaw --json "$frozen"
for verb in hold release "priority 1" cancel retry; do
    # shellcheck disable=SC2086
    keys_are_named "${verb% *}" pctl $verb --json mine
done
pctl abort -q --all --yes
told() { grep -q worker-removed /tmp/events && grep -q task-unplaceable /tmp/events; }
ok "events came" eventually 10 told
kill $watcher
keys_are_named events cat /tmp/events
done_testing
