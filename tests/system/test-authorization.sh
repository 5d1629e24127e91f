#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# needs: polkit.service
#
# Who may do what, decided by the real polkit; and that a task is its submitter.
# shellcheck source=tests/lib/system.sh
. "$(dirname "$0")/../lib/system.sh"

daemon_start
pctl add-worker -q --force --memory 128M > /dev/null

as_user alice parctl --no-ask add-worker --memory 64M > /tmp/out 2>&1
is $? 4 "an ordinary user may not add a worker (exit status 4)"
like "$(cat /tmp/out)" "org.parexec.manage-workers" "and is told what it takes"
as_user alice parctl --no-ask drain w1 2> /dev/null
is $? 4 "nor drain one"
as_user alice parctl --no-ask abort --yes w1 2> /dev/null
is $? 4 "nor abort one"
as_user alice parctl --no-ask disable 2> /dev/null
is $? 4 "nor change a setting"
is "$(manager_property Enabled)" true "which stays"
ok "but sees the status" as_user alice parctl status

mkdir -p /etc/polkit-1/rules.d
cat > /etc/polkit-1/rules.d/50-parexec.rules << 'RULE'
polkit.addRule(function(action, subject) {
    if (action.id == "org.parexec.manage-workers" && subject.isInGroup("crew"))
        return polkit.Result.YES;
});
RULE
systemctl restart polkit.service
ok "after a polkit rule for the group crew bob may add a worker" as_user bob parctl --no-ask add-worker -q --force --memory 64M
as_user alice parctl --no-ask add-worker --memory 64M > /dev/null 2>&1
is $? 4 "alice, who is not in the group, may not"

# the task is its submitter
is "$(as_user alice sh -c 'cd && parctl run -- id -u')" 1000 "a task of uid 1000 runs as uid 1000"
is "$(as_user alice sh -c 'cd && parctl run -- id -Gn')" alice "with its groups"
is "$(as_user bob sh -c 'cd && parctl run -- id -Gn')" "bob crew" "and supplementary groups"
is "$(as_user alice sh -c 'cd && parctl run -- pwd')" /home/alice "in the directory it was submitted in"
echo secret > /root/secret
chmod 600 /root/secret
as_user alice sh -c 'cd && parctl run -- cat /root/secret' > /tmp/out 2> /dev/null
is $? 1 "it cannot read root's files"
is "$(cat /tmp/out)" "" "and gets nothing of them"
is "$(as_user alice sh -c 'cd && parctl run -- cat /proc/self/oom_score_adj')" 0 "oom_score_adj is reset"
is "$(as_user alice sh -c 'cd && parctl run -- grep -c "^CapEff:.*0000000000000000" /proc/self/status')" 1 \
    "it has no capabilities"
is "$(as_user alice sh -c 'cd && parctl run -- readlink /proc/self/ns/mnt')" "$(readlink /proc/self/ns/mnt)" \
    "it is in the machine's mount namespace"
is "$(as_user alice sh -c 'cd && parctl run -- grep NoNewPrivs /proc/self/status' | tr -d '[:space:]')" NoNewPrivs:0 \
    "it may gain privileges as any process may"
ok "it cannot enter a directory that only root can" bash -c \
    '! setpriv --reuid alice --regid alice --init-groups --inh-caps=-all --reset-env -- parctl submit --wait --chdir /root -- true'

# others' tasks
task=$(as_user alice sh -c 'cd && parctl submit -q -- sh -c "echo mine; sleep 1000"')
wait_task "$task" running
as_user bob parctl --no-ask cancel --yes "$task" 2> /dev/null
is $? 4 "bob may not cancel alice's task"
as_user bob parctl --no-ask logs "$task" > /tmp/out 2> /dev/null
is $? 4 "nor read its output"
is "$(cat /tmp/out)" "" "of which bob sees nothing"
unlike "$(as_user bob busctl call org.parexec /org/parexec org.parexec.Manager1 ListTasks 'a{sv}' 1 ids at 1 "$task")" argv \
    "nor its argv"
is "$(as_user bob busctl get-property org.parexec "/org/parexec/task/$task" org.parexec.Task1 Environment)" "aay 0" \
    "nor its environment"
is "$(as_user alice parctl logs "$task")" mine "alice reads it"
ok "and may cancel it" as_user alice parctl cancel --yes "$task"
ok "it is cancelled" wait_task "$task" cancelled

# a worker of one user's
pctl abort -q --yes --all
ok "a worker for one user" pctl add-worker -q --force --memory 64M --user-only bob
task=$(as_user alice sh -c 'cd && parctl submit -q -- true' 2> /dev/null)
is "$(as_user bob sh -c 'cd && parctl run -- id -u')" 1001 "runs that user's tasks"
is "$(task_property "$task" State)" queued "and nobody else's"
done_testing
