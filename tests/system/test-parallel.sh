#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# vm: no (the page is not in the image, and the client does not know of cgroups)
# alone: yes (it measures time)
#
# doc/parallel.md: every line that it has for parctl must print what stands below it. The lines of GNU parallel, which need
# not be installed, are passed over.
# shellcheck source=tests/lib/system.sh
. "$(dirname "$0")/../lib/system.sh"
# shellcheck source=tests/lib/page.sh
. "$(dirname "$0")/../lib/page.sh"
page=$(realpath "$(dirname "$0")/../../doc/parallel.md")
dir=$(mktemp -d)

daemon_start
pctl add-worker -q --force --count 2 --memory 256M --slots 4 > /dev/null

# the test is root, who needs none
sudo() { "$@"; }
page_passes() { [[ $1 =~ (^|\|\ )parallel\ |sem\ -j ]]; }

# What the table offers is tried below it.
# shellcheck disable=SC2016 # the backquotes are Markdown's
blocks() { sed -n '/^```console$/,/^```$/p' "$page" | grep '^\$ .*parctl'; }
offered() {
    sed -n '/^## At a glance/,/^## Items/s/^| .* | \(.*\) |$/\1/p' "$page" |
        grep -v '^none' | grep -oE '`[^`]+`' | grep -oE -- '--[a-z-]+' | sort -u
}
untried() {
    local option
    for option in $(offered); do
        blocks | grep -qE -- "$option( |\$)" || echo "$option"
    done
}

cd "$dir" || exit 1
page_run "$page"
ok "there were many" test "$tap_count" -gt 60
is "$(untried | paste -sd' ')" "--cpu-weight --memory" "the options of the table are all tried, but those of add-worker"
cd / && rm -rf "$dir"
done_testing
