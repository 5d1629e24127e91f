# SPDX-License-Identifier: LGPL-2.1-or-later
# bash completion for parctl. Verbs and options are read from its own help, so they are never out of date.
# shellcheck shell=bash

__parctl() { LC_ALL=C command parctl --no-ask ${__parctl_user:+--user} "$@" 2> /dev/null; }

__parctl_verbs() { __parctl --help | sed -n '/^Verbs:/,/^$/s/^  \([a-z][a-z-]*\).*/\1/p'; }

# The long options of a verb ("": of parctl itself); with a second argument only those that take a value.
__parctl_options() {
    __parctl ${1:+"$1"} --help | sed -n "/^Options/,/^Examples/s/^ .*\\(--[a-z-]*\\)${2:+ [A-Z].*}.*/\\1/p"
}

__parctl_tasks() {
    __parctl tasks -q --limit 100
    printf '%s\n' last mine batch:
}

__parctl_value() { # VERB OPTION CURRENT
    case $2 in
        --state | -s) compgen -W 'held blocked queued running waiting succeeded failed cancelled skipped unfinished finished' -- "$3" ;;
        --engine) compgen -W 'systemd cgroup' -- "$3" ;;
        --color) compgen -W 'auto always never' -- "$3" ;;
        --chdir | -C) compgen -d -- "$3" ;;
        --user-only) compgen -u -- "$3" ;;
        --env) compgen -W 'none selected all' -- "$3" ;;
        --count) compgen -W 'all' -- "$3" ;;
        --numa | --memory) compgen -W 'auto' -- "$3" ;;
        --export | -e) compgen -e -- "$3" ;;
        --stdin | --stdout | --stderr | --each-line | --from-json | --joblog | -i | -o | -E | -l | -f) compgen -f -- "$3" ;;
    esac
}

__parctl_arguments() { # VERB CURRENT
    case $1 in
        drain | abort) compgen -W "$(__parctl workers -q)" -- "$2" ;;
        show | freeze | thaw) compgen -W "$(__parctl workers -q) $(__parctl_tasks)" -- "$2" ;;
        set) compgen -W "memory= memory-high= cpu= cpu-weight= io-weight= tasks-max= $(__parctl workers -q) $(__parctl_tasks)" -- "$2" ;;
        scale) compgen -W 'off auto' -- "$2" ;;
        profile) compgen -W "none $(__parctl profile -q)" -- "$2" ;;
        stats) compgen -W "$(__parctl stats -q)" -- "$2" ;;
        logs | wait | cancel | hold | release | retry | priority | edit | why) compgen -W "$(__parctl_tasks)" -- "$2" ;;
        queue) compgen -W 'list add set remove' -- "$2" ;;
        help) compgen -W "$(__parctl_verbs)" -- "$2" ;;
    esac
}

# Does this word take the next one as its value?
__parctl_takes_value() { # VERB OPTION
    local letter=${2#-}
    case $2 in
        --*=*) return 1 ;;
        --*) [[ " $(__parctl_options "$1" value | tr '\n' ' ') " == *" $2 "* ]] ;;
        -?) __parctl ${1:+"$1"} --help | grep -q "^  -$letter, --[a-z-]* [A-Z]" ;;
        *) return 1 ;;
    esac
}

_parctl() {
    local cur=${COMP_WORDS[COMP_CWORD]} verb='' word skip='' __parctl_user='' i
    # "--option=value" comes as three words
    [ "$cur" = = ] && cur=
    for ((i = 1; i < COMP_CWORD; i++)); do
        word=${COMP_WORDS[i]}
        if [ -n "$skip" ]; then
            [ "$word" = = ] || skip=
            continue
        fi
        [ "$word" = --user ] && __parctl_user=1
        if [[ $word == -* && $word != -- ]]; then
            __parctl_takes_value "$verb" "$word" && skip=$word
        elif [ -z "$verb" ]; then
            verb=$word
        elif [[ $verb == submit || $verb == run || $verb == map ]]; then
            [ "$word" = -- ] && ((i++))
            if declare -F _comp_command_offset > /dev/null; then
                _comp_command_offset "$i"
            elif declare -F _command_offset > /dev/null; then
                _command_offset "$i"
            fi
            return
        fi
    done

    if [ -n "$skip" ]; then
        mapfile -t COMPREPLY < <(__parctl_value "$verb" "$skip" "$cur")
    elif [[ $cur == -* ]]; then
        mapfile -t COMPREPLY < <(compgen -W "$(__parctl_options "$verb")" -- "$cur")
    elif [ -z "$verb" ]; then
        mapfile -t COMPREPLY < <(compgen -W "$(__parctl_verbs) help" -- "$cur")
    elif [[ $verb == submit || $verb == run || $verb == map ]]; then
        mapfile -t COMPREPLY < <(compgen -c -- "$cur")
    else
        mapfile -t COMPREPLY < <(__parctl_arguments "$verb" "$cur")
    fi
}

complete -F _parctl parctl
