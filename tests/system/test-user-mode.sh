#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# needs: systemd-logind.service
#
# parexecd --user: on the session bus, with the user's own systemd, no root anywhere.
# shellcheck source=tests/lib/system.sh
. "$(dirname "$0")/../lib/system.sh"

# the sandbox's unit path has no place for the units of users' managers
mkdir -p /etc/systemd/user
cp /usr/lib/systemd/user/parexec* /etc/systemd/user/
loginctl enable-linger alice || bail "no user manager"
manager_is_up() { [ -S /run/user/1000/systemd/private ] && [ -S /run/user/1000/bus ]; }
eventually 20 manager_is_up || bail "alice's systemd does not come up: $(systemctl status user@1000.service)"
alice() {
    as_user alice env XDG_RUNTIME_DIR=/run/user/1000 DBUS_SESSION_BUS_ADDRESS=unix:path=/run/user/1000/bus "$@"
}
ok "the user's service starts" alice systemctl --user start parexecd.service
ok "a worker is added" alice parctl --user add-worker --memory 64M
is "$(alice parctl --user workers -q)" w1 "it is listed"
is "$(alice systemctl --user show -P MemoryMax parexec-w1.scope)" $((64 << 20)) "it has a scope of the user's systemd"
is "$(alice parctl --user run -- id -un)" alice "a task runs"
like "$(alice parctl --user show w99 2>&1)" "To see the workers: parctl --user workers" "hints are for this service"
notes=$(alice parctl --user --json status | jq -r '.workers[0]["not-enforced"] | length')
if cgroup_is_v2; then
    is "$notes" 0 "its limits hold"
else
    isnt "$notes" 0 "on cgroup v1 the limits of a user's systemd do not hold, which is told"
fi
alice systemctl --user kill -s KILL parexecd.service
is "$(alice sh -c 'sleep 1; parctl --user run -- echo again')" again "it comes back"
as_user bob parctl --user status 2> /dev/null
is $? 5 "nobody else reaches it"
done_testing
