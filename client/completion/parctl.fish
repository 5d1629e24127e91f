# SPDX-License-Identifier: LGPL-2.1-or-later
# fish completion for parctl. Verbs and options are read from its own help, so they are never out of date.

function __parctl
    set -l user
    contains -- --user (commandline -opc); and set user --user
    env LC_ALL=C parctl --no-ask $user $argv 2>/dev/null
end

# The verb on the command line, if there is one already.
function __parctl_verb
    set -l verbs (__parctl --help | string match -rg '^  ([a-z][a-z-]*)  ') help
    for word in (commandline -opc)[2..-1]
        if contains -- $word $verbs
            echo $word
            return 0
        end
    end
    return 1
end

function __parctl_has_verb
    set -l verb (__parctl_verb)
    and contains -- $verb $argv
end

function __parctl_verbs
    __parctl --help | string match -rg '^  ([a-z][a-z-]*)  +(.*)' | while read -l verb
        read -l text
        printf '%s\t%s\n' $verb $text
    end
    printf 'help\tShow the help of a verb.\n'
end

# "  -j, --jobs N   text" → "--jobs<tab>text"
function __parctl_options
    __parctl (__parctl_verb) --help | string replace -rf '^ +(?:-[a-zA-Z], )?(--[a-z-]+)(?: [A-Z]\S*)? *(.*)$' '$1\t$2'
end

function __parctl_tasks
    __parctl tasks -q --limit 100
    printf '%s\n' last mine
end

# The words of the command of submit, run or map: those behind the verb from the first on that is no option, nor the value
# of one.
function __parctl_command_words
    set -l verb (__parctl_verb)
    or return 1
    contains -- $verb submit run map
    or return 1
    set -l valued (__parctl $verb --help | string match -rg '^ +(?:(-[a-zA-Z]), )?(--[a-z-]+) [A-Z]')
    set -l words (commandline -opc)[2..-1]
    set -l behind 0
    set -l skip 0
    while test (count $words) -gt 0
        set -l word $words[1]
        if test $behind = 0
            test $word = $verb; and set behind 1
        else if test $skip = 1
            set skip 0
        else if test $word = --
            set -e words[1]
            string join \n -- $words
            return 0
        else if contains -- $word $valued
            set skip 1
        else if not string match -q -- '-*' $word
            printf '%s\n' $words
            return 0
        end
        set -e words[1]
    end
    return 1
end

function __parctl_has_command
    __parctl_command_words >/dev/null
end

function __parctl_complete_command
    complete -C (string join ' ' -- (string escape -- (__parctl_command_words)) (commandline -ct))
end

function __parctl_wants_option
    string match -q -- '-*' (commandline -ct); and not __parctl_has_command
end

function __parctl_wants_command
    __parctl_has_command; and return 0
    __parctl_has_verb submit run map; and not string match -q -- '-*' (commandline -ct)
end

set -l states held blocked queued running waiting succeeded failed cancelled skipped unfinished finished

complete -c parctl -f
complete -c parctl -n 'not __parctl_verb' -a '(__parctl_verbs)'
complete -c parctl -n __parctl_wants_option -a '(__parctl_options)'
complete -c parctl -n '__parctl_has_verb drain abort show set freeze thaw' -a '(__parctl workers -q)' -d worker
complete -c parctl -n '__parctl_has_verb show logs wait cancel hold release retry priority edit why set freeze thaw' -a '(__parctl_tasks)' -d task
complete -c parctl -n '__parctl_has_verb set' -a 'memory= memory-high= cpu= cpu-weight= io-weight= tasks-max='
complete -c parctl -n '__parctl_has_verb scale' -a 'off auto'
complete -c parctl -n '__parctl_has_verb profile' -a 'none (__parctl profile -q)'
complete -c parctl -n '__parctl_has_verb stats' -a '(__parctl stats -q)'
complete -c parctl -n '__parctl_has_verb help' -a '(__parctl_verbs)'
complete -c parctl -n '__parctl_has_verb tasks' -s s -l state -x -a "$states"
complete -c parctl -n '__parctl_has_verb add-worker' -l engine -x -a 'systemd cgroup'
complete -c parctl -n '__parctl_has_verb add-worker' -s n -l count -x -a all
complete -c parctl -n '__parctl_has_verb add-worker' -l numa -x -a auto
complete -c parctl -n '__parctl_has_verb submit run map' -s m -l memory -x -a auto
complete -c parctl -n '__parctl_has_verb add-worker' -l user-only -x -a '(__fish_complete_users)'
complete -c parctl -n '__parctl_has_verb submit run map' -s C -l chdir -x -a '(__fish_complete_directories)'
complete -c parctl -n '__parctl_has_verb submit' -s i -l stdin -r -F
complete -c parctl -n '__parctl_has_verb submit' -s o -l stdout -r -F
complete -c parctl -n '__parctl_has_verb submit' -s E -l stderr -r -F
complete -c parctl -n '__parctl_has_verb submit' -s l -l each-line -r -F
complete -c parctl -n '__parctl_has_verb submit' -s f -l from-json -r -F
complete -c parctl -n '__parctl_has_verb submit map wait' -l joblog -r -F
complete -c parctl -n '__parctl_has_verb submit run map' -l env -x -a 'none selected all'
complete -c parctl -n '__parctl_has_verb queue' -a 'list add set remove'
complete -c parctl -l color -x -a 'auto always never'
complete -c parctl -n __parctl_wants_command -x -a '(__parctl_complete_command)'
