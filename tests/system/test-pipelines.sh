#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# vm: no (the page is not in the image, and the client does not know of cgroups)
#
# doc/pipelines.md: the programs and job files of the page are made as they stand there, and every command must print what
# stands below it.
# shellcheck source=tests/lib/system.sh
. "$(dirname "$0")/../lib/system.sh"
# shellcheck source=tests/lib/page.sh
. "$(dirname "$0")/../lib/page.sh"
page=$(realpath "$(dirname "$0")/../../doc/pipelines.md")
dir=$(mktemp -d)

daemon_start
pctl add-worker -q --force --count 2 --memory 256M > /dev/null

cd "$dir" || exit 1
page_run "$page"
ok "there were many" test "$tap_count" -gt 20
cd / && rm -rf "$dir"
done_testing
