# shellcheck shell=bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# Runs the examples of a page in Markdown, word by word, in the order of the page and in the current folder. Needs tap.sh.
#
#   page_run FILE         the blocks ```console: after "$ " a command, below it what it must print (stdout and stderr), each
#                         a test point; and the blocks ```LANGUAGE NAME, which become the executable file NAME
#   page_passes COMMAND   redefine it for commands that are to be passed over
#
# All commands run in one shell, the test's own, so that variables last.

page_passes() { false; }

page_command='' page_wanted='' page_at=0

page_try() {
    local output
    if [ -n "$page_command" ] && ! page_passes "$page_command"; then
        output=$(mktemp)
        eval "$page_command" > "$output" 2>&1 3<&-
        is "$(cat "$output")" "${page_wanted%$'\n'}" "line $page_at: $page_command"
        rm -f "$output"
    fi
    page_command='' page_wanted=''
}

# A line within the block $1: "console", or the name of a file.
page_line() {
    case $1 in
        console)
            if [[ $2 == '$ '* ]]; then
                page_try
                page_command=${2#\$ } page_at=$3
            else
                page_wanted+=$2$'\n'
            fi
            ;;
        *) printf '%s\n' "$2" >> "$1" ;;
    esac
}

page_run() {
    local line number=0 block=''
    while IFS= read -r line <&3; do
        number=$((number + 1))
        case $line in
            '```')
                page_try
                block=''
                ;;
            '```'*)
                block=${line##*[ \`]}
                if [ "$block" != console ]; then
                    : > "$block"
                    chmod +x "$block"
                fi
                ;;
            *) [ -z "$block" ] || page_line "$block" "$line" $number ;;
        esac
    done 3< "$1"
}
