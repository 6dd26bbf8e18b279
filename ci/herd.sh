#!/usr/bin/env bash
# Asks herd7 again for the verdicts that models/CALIBRATION.md holds the engines against: each
# litmus test under RC11 and under C11, whether the state asked about is observed and how many
# final states there are. Those found by hand are asked as well.
# Does not run the engines themselves (ci/models.sh does).
# Exit codes: 0 all agree, 1 one differs, 2 wrong usage, 3 herd7 is not installed.
set -euo pipefail

if [ $# -gt 1 ]; then
    printf 'usage: ci/herd.sh [DIRECTORY]   (with the tests, if they are written already)\n' >&2
    exit 2
fi
command -v herd7 >/dev/null || {
    printf 'not run: herd7 is not installed\n'
    exit 3
}

if [ $# -eq 1 ]; then
    tests=$1
else
    cd "$(dirname "${BASH_SOURCE[0]}")/.."
    tests=$(mktemp -d)
    trap 'rm -rf "$tests"' EXIT
    cargo run --quiet --package ringproof-models -- calibration --herd "$tests"
fi

asked=0
differ=0
# ask TEST MODEL VERDICT
ask() {
    local answer
    answer=$(herd7 -model "$2" "$tests/$1.litmus" |
        awk '$1 == "States" { states = $2 } $1 == "Observation" { verdict = $3 }
             END { print verdict " (" states ")" }') || answer='no answer'
    asked=$((asked + 1))
    [ "$answer" = "$3" ] && return
    printf 'DIFFERS: %s under %s: %s, not %s\n' "$1" "$2" "$answer" "$3"
    differ=$((differ + 1))
}

while read -r name rc11 rc11_states c11 c11_states; do
    ask "$name" rc11.cat "$rc11 $rc11_states"
    ask "$name" c11_partialSC.cat "$c11 $c11_states"
done <"$tests/verdicts"

[ "$asked" -gt 0 ] || {
    printf 'FAILED: there are no tests in %s\n' "$tests"
    exit 1
}
printf 'herd7 was asked %s times; %s answers differ\n' "$asked" "$differ"
[ "$differ" -eq 0 ]
