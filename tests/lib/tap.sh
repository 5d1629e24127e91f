# shellcheck shell=bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# A small TAP library for tests in bash. Source it, then:
#
#   plan N | plan skip_all REASON     (or no plan, and done_testing at the end)
#   ok NAME COMMAND...                passes if COMMAND succeeds; its output is shown if it does not
#   nok NAME COMMAND...               passes if COMMAND fails
#   is GOT WANTED NAME                passes if the strings are equal
#   isnt GOT UNWANTED NAME
#   like GOT REGEX NAME               passes if the extended regular expression matches
#   unlike GOT REGEX NAME
#   pass NAME | fail NAME             for what was decided by other means
#   skip REASON [COUNT]               COUNT test points that cannot be run here
#   diag TEXT...                      a diagnostic line
#   bail TEXT...                      nothing can go on
#   eventually SECONDS COMMAND...     repeats COMMAND until it succeeds; fails after SECONDS
#   done_testing                      prints the plan, exits 1 if a point failed
#
# Test points are numbered here, so not in a subshell or a pipe. A test that ends before done_testing has
# no plan and so counts as failed.

tap_count=0
tap_failed=0
tap_planned=

plan() {
    if [ "$1" = skip_all ]; then
        shift
        echo "1..0 # SKIP $*"
        exit 0
    fi
    tap_planned=$1
    echo "1..$1"
}

diag() { printf '%s\n' "$*" | sed 's/^/# /'; }

bail() {
    echo "Bail out! $*"
    exit 1
}

pass() {
    tap_count=$((tap_count + 1))
    echo "ok $tap_count - $*"
}

fail() {
    tap_count=$((tap_count + 1)) tap_failed=$((tap_failed + 1))
    echo "not ok $tap_count - $*"
    diag "at ${BASH_SOURCE[-1]##*/} line ${BASH_LINENO[-2]}"
    return 0
}

ok() {
    local name=$1 output
    shift
    if output=$("$@" 2>&1); then
        pass "$name"
    else
        fail "$name"
        diag "failed: $*"
        [ -z "$output" ] || diag "$output"
    fi
}

nok() {
    local name=$1 output
    shift
    if output=$("$@" 2>&1); then
        fail "$name"
        diag "should have failed: $*"
        [ -z "$output" ] || diag "$output"
    else
        pass "$name"
    fi
}

# The verdict of a comparison: STATUS NAME GOT RELATION WANTED.
tap_verdict() {
    if [ "$1" = 0 ]; then
        pass "$2"
    else
        fail "$2"
        diag "   got: '$3'"
        diag "wanted: $4'$5'"
    fi
}

is() {
    [ "$1" = "$2" ]
    tap_verdict $? "$3" "$1" '' "$2"
}

isnt() {
    [ "$1" != "$2" ]
    tap_verdict $? "$3" "$1" 'anything but ' "$2"
}

like() {
    [[ $1 =~ $2 ]]
    tap_verdict $? "$3" "$1" 'a match of ' "$2"
}

unlike() {
    ! [[ $1 =~ $2 ]]
    tap_verdict $? "$3" "$1" 'no match of ' "$2"
}

skip() {
    local i
    for ((i = 0; i < ${2-1}; i++)); do
        tap_count=$((tap_count + 1))
        echo "ok $tap_count # SKIP $1"
    done
}

# Polls every 50 ms. PAREXEC_TEST_SLOWNESS (the virtual machine sets it) multiplies how long it may take.
eventually() {
    local deadline=$((${EPOCHREALTIME/[.,]/} + $1 * 1000000 * ${PAREXEC_TEST_SLOWNESS-1}))
    shift
    until "$@" > /dev/null 2>&1; do
        [ "${EPOCHREALTIME/[.,]/}" -lt $deadline ] || return 1
        sleep 0.05
    done
}

done_testing() {
    [ -n "$tap_planned" ] || echo "1..$tap_count"
    [ $tap_failed = 0 ] || exit 1
    exit 0
}
