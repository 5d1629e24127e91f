# shellcheck shell=bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# How tools/try tells what it does: a heading per step, indented lines, the time it took. Expects $top, the source
# tree. For sourcing.

if [ -t 1 ] && [ -z "${NO_COLOR-}" ]; then
    bold=$'\e[1m' dim=$'\e[2m' plain=$'\e[0m'
else
    bold='' dim='' plain=''
fi

now() { echo "${EPOCHREALTIME/[.,]/}"; } # µs

seconds_since() {
    local usec=$(($(now) - $1))
    printf '%d.%d' $((usec / 1000000)) $((usec % 1000000 / 100000))
}

step() {
    step_began=$(now)
    printf '\n%s%s%s\n' "$bold" "$1" "$plain"
}

say() { printf '  %s\n' "$*"; }

took() { printf '  %s%s s%s\n' "$dim" "$(seconds_since "$step_began")" "$plain"; }

# A path as one would type it from the source tree.
below() { echo "${1#"$top/"}"; }

# A name is not to play with the terminal.
printable() { if [[ $1 =~ ^[[:print:]]*$ ]]; then printf '%s' "$1"; else printf '%q' "$1"; fi; }

die() {
    printf "try: %s\n" "$(printable "$*")" >&2
    exit 1
}

fail_with_log() {
    tail -n 40 "$2" >&2
    die "$1 (all of the log: $2)"
}
