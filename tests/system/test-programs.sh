#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# Programs as workers: a long-lived program does the tasks of its class, as its user and in its limits, and a bad one
# harms nothing but the task at hand. Then output: what a task prints is kept within its limit, and small outputs are
# packed.
# timeout: 240
# shellcheck source=tests/lib/system.sh
. "$(dirname "$0")/../lib/system.sh"

programs=/opt/programs
mkdir -p $programs
examples=/usr/share/doc/parexec/examples

# NAME CODE: a program that runs that shell code for each task, whose number is in $id
write_program() {
    # shellcheck disable=SC2016 # that is for the program's shell
    printf '#!/bin/sh\nwhile IFS= read -r line; do id=${line#*:}; id=${id%%%%,*}\n%s\ndone\n' "$2" > "$programs/$1"
    chmod 755 "$programs/$1"
}

# NAME CLASS [OPTION...]
add_program() {
    local program=$1 class=$2
    shift 2
    pctl add-worker -q --force --exec "$program" --worker-class "$class" --user-only alice --memory 256M "$@"
}

submit_as_alice() { as_user alice parctl submit -q "$@"; }

# CLASS STATE
does() {
    local id
    id=$(submit_as_alice --worker-class "$1" -- a task)
    wait_task "$id" "$2" 20
}

worker_is_gone() { [ -z "$(worker_property "$1" State 2> /dev/null)" ]; }

daemon_start

# ---------------------------------------------------------------- a good one

ok "a worker with a program is added" add_program "/usr/bin/python3 $examples/example-program.py" words
printf 'one two three\n' > /home/alice/text
chown alice: /home/alice/text
task=$(cd / && submit_as_alice --worker-class words -- /home/alice/text)
ok "it does a task" wait_task "$task" succeeded 20
is "$(pctl logs "$task")" "3 /home/alice/text" "what it answered is the task's output"
like "$(as_user alice parctl show "$task" --json)" '\\?"/home/alice/text\\?": ?3' "its result is on record"
task=$(cd / && submit_as_alice --worker-class words -- /nonexistent)
ok "a task fails that is not to be done" wait_task "$task" failed 20
like "$(pctl logs --stderr "$task" 2>&1)" FileNotFoundError "and says why"
first=$(worker_property w1 Pid)
task=$(submit_as_alice -- true)
sleep 0.5
is "$(task_property "$task" State)" queued "it does no commands"
pctl cancel -q "$task"

write_program who "printf '{\"id\":%s,\"exit\":0,\"stdout\":\"%s %s\"}\\n' \$id \$(id -un) \$\$"
ok "one of the shell is added" add_program $programs/who who --recycle 3
ids=()
for i in 1 2 3 4; do ids+=("$(submit_as_alice --worker-class who -- $i)"); done
ok "four tasks are done" wait_task "${ids[3]}" succeeded 20
for i in 0 1 2 3; do said[i]=$(pctl logs "${ids[i]}"); done
like "${said[0]}" '^alice [0-9]+$' "as its user"
is "${said[1]}" "${said[0]}" "by the same process"
is "${said[2]}" "${said[0]}" "again"
isnt "${said[3]}" "${said[0]}" "and by another after --recycle 3"

# shellcheck disable=SC2016 # that is for the program's shell
write_program pressure 'w=${MEMORY_PRESSURE_WATCH-none}; [ ! -w "$w" ] || w="${w##*/} $MEMORY_PRESSURE_WRITE"
printf "{\"id\":%s,\"exit\":0,\"stdout\":\"%s\"}\\n" "$id" "$w"'
ok "one is added that looks for memory pressure" add_program $programs/pressure pressure
task=$(submit_as_alice --worker-class pressure -- look)
ok "it does its task" wait_task "$task" succeeded 20
expected=none
if cgroup_is_v2 && [ -r /proc/pressure/memory ]; then expected='memory.pressure c29tZSAyMDAwMDAgMjAwMDAwMA=='; fi
is "$(pctl logs "$task")" "$expected" "it may ask for notice of it, where that is per cgroup"

# ---------------------------------------------------------------- bad ones

write_program noise "exec tr '\\0' x < /dev/zero"
ok "one is added that never ends its line" add_program $programs/noise noise
ok "its task fails" does noise failed
ok "the next one, too" does noise failed
write_program nonsense 'echo nonsense; sleep 100'
ok "one is added that knows no JSON" add_program $programs/nonsense nonsense
ok "its task fails" does nonsense failed
write_program mute 'sleep 100'
ok "one is added that never answers" add_program $programs/mute mute
task=$(submit_as_alice --worker-class mute --timeout 1s -- x)
ok "the time limit ends its task" wait_task "$task" failed 20
is "$(task_property "$task" Outcome)" timeout "as it does a command's"
write_program killer "kill -9 \$\$"
ok "one is added that kills itself" add_program $programs/killer killer
ok "its task fails" does killer failed
ok "the good one has not noticed" does who succeeded
is "$(worker_property w1 Pid)" "$first" "nor has its worker"
for id in w1 w2 w3 w4 w5 w6; do pctl drain -q "$id"; done
for id in w1 w2 w3 w4 w5 w6; do eventually 20 worker_is_gone "$id" || diag "$id stays"; done
nok "nothing of them is left" pgrep -u alice -f $programs

# ---------------------------------------------------------------- output

pctl add-worker -q --force --memory 512M
output=/var/lib/parexec/output
task=$(pctl submit -q --output-max 1M -- sh -c 'echo begin; timeout 2 cat /dev/zero; echo end')
ok "a task that prints for two seconds ends" wait_task "$task" succeeded 30
kept=$(du -s --block-size=1 $output | cut -f1)
ok "what it printed is cut ($kept bytes are kept)" test "$kept" -lt $((2 << 20))
is "$(pctl logs "$task" 2>/dev/null | head -c 5)" begin "the beginning is there"
is "$(pctl logs "$task" 2>/dev/null | tail -c 4)" end "and the end"
pctl submit -q --array 0-199 -- echo small > /dev/null
ok "200 small tasks end" pctl wait last
ok "their output is in packs" test "$(find $output -name '*.out' | wc -l)" -le 2
done_testing
