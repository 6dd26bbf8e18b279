#!/usr/bin/env bash
# Shows that the optimised machine code of `push` and `pop` has nothing on its fast path that does
# not belong there, and that this script would notice: the same functions with one fault injected
# must all be reported. See ci/asm.awk for what the fast path is.
set -euo pipefail

usage() {
    cat <<'END'
Usage: ci/asm.sh [--json] [--program FILE]

Builds impl/examples/asm.rs as a release program, disassembles it, and checks the fast path of
`push` and `pop` of a u64:

  no call                 nor a jump to another function; the cold blocks call only the
                          functions that look at the other side's index, and the one that wakes it
  no division             the slot's number comes from a mask
  no lock prefix          nor an `xchg` with memory: a plain store publishes
  no fence
  no bounds-check branch  its two conditional jumps ask whether the ring is full or empty, and whether
                          the other side has asked to be woken
  one publish store       no shared word is stored but the side's own index, once, at the end

and `planted fault: …`: that each check fails where its fault was planted.

  --json           print one row for each check, as JSON, and nothing else on standard output
  --program FILE   read this program, in which the example was built, and build nothing

Exit codes:
  0  everything ran, and nothing failed
  1  something failed: a check, or the program itself
  2  wrong usage: an argument or a variable of the environment
  3  nothing failed, but something did not run; its row says why
END
}

json=
program=
while [ $# -gt 0 ]; do
    case "$1" in
        --json) json=yes ;;
        --program)
            [ $# -ge 2 ] || { usage >&2; exit 2; }
            program=$2
            shift
            ;;
        --help | -h) usage; exit 0 ;;
        *) usage >&2; exit 2 ;;
    esac
    shift
done
[ -z "$program" ] || program=$(realpath -- "$program")
cd "$(dirname "$0")/.."

# The checks: how ci/asm.awk calls each, and how the rows do.
checks='call:no call
division:no division
lock:no lock prefix
fence:no fence
bounds:no bounds-check branch
store:one publish store'

escape() { printf '%s' "$1" | sed 's/\\/\\\\/g; s/"/\\"/g; s/\t/ /g'; }

# row SUBJECT CHECK VERDICT REASON [INSTRUCTIONS]
row() {
    local count=
    [ -z "${5-}" ] || count=",\"count\":$5,\"unit\":\"instructions\""
    if [ -n "$json" ]; then
        printf '{"layer":"asm","subject":"%s","check":"%s","verdict":"%s"%s,"reason":"%s","repeat":"ci/asm.sh"}\n' \
            "$1" "$2" "$3" "$count" "$(escape "$4")"
    else
        printf '  %-7s %-10s %-28s %s\n' "$3" "$1" "$2" "$4"
    fi
}

# all VERDICT REASON: the same for every check of both operations.
all() {
    local subject check
    for subject in ring/push ring/pop; do
        while IFS=: read -r _ check; do row "$subject" "$check" "$1" "$2"; done <<<"$checks"
    done
}

not_run() {
    all not_run "$1"
    exit 3
}

failed() {
    all failed "$1"
    exit 1
}

command -v objdump >/dev/null || not_run 'there is no objdump; it comes with binutils'

# Compiled by pieces, as a variable of the environment may ask for, code is less than what ships.
export CARGO_INCREMENTAL=0
log=$(mktemp)
code=$(mktemp)
trap 'rm -f "$log" "$code"' EXIT
if [ -z "$program" ]; then
    "${CARGO:-cargo}" build --quiet --release --package ringproof --example asm \
        --message-format=json-render-diagnostics >"$log" || failed 'impl/examples/asm.rs cannot be built'
    # The one line of the example itself, among those of what it is made of.
    program=$(sed -n '/"name":"asm"/s/.*"executable":"\([^"]*\)".*/\1/p' "$log" | tail -n 1)
    [ -n "$program" ] || failed 'cargo does not say where it put the example'
fi
machine=$(objdump --file-headers "$program" | sed -n 's/^architecture: \([^,]*\),.*/\1/p')
[ "$machine" = i386:x86-64 ] || not_run "this script reads x86-64 machine code, not $machine"
"$program" >/dev/null || failed 'the functions that it reads do not do what they say'

objdump --disassemble --demangle --no-show-raw-insn --disassembler-options=intel "$program" |
    awk -f ci/asm.awk >"$code"

# found FUNCTION CHECK: `ok` or `bad`, and in `what` what was found; `missing` if it was not judged.
found() {
    local line
    line=$(awk -F '\t' -v name="$1" -v check="$2" \
        '$1 == "check" && $2 == name && $3 == check { print $4 "\t" $5; exit }' "$code")
    verdict=${line%%$'\t'*}
    what=${line#*$'\t'}
    [ -n "$verdict" ] || { verdict=missing; what="$1 is not in the program"; }
}

bad=0
for operation in push pop; do
    found "asm_ring_$operation" 'fast path'
    path=$verdict
    reason=$what
    length=${what%% *}
    if [ -z "$json" ]; then
        printf '\n%s of a u64; its fast path is marked\n\n' "$operation"
        awk -F '\t' -v name="asm_ring_$operation" \
            '$1 == "code" && $2 == name { print "  " $3 " " $4 }' "$code"
        echo
    fi
    while IFS=: read -r key check; do
        if [ "$path" != ok ]; then
            row "ring/$operation" "$check" failed "no fast path was found: $reason"
            bad=1
            continue
        fi
        found "asm_ring_$operation" "$key"
        if [ "$verdict" = ok ]; then
            row "ring/$operation" "$check" passed "${what:-none}" "$length"
        else
            row "ring/$operation" "$check" failed "${what:-none}" "$length"
            bad=1
        fi
    done <<<"$checks"
done

[ -n "$json" ] || printf '\nfaults planted in push, each to be reported by its check\n\n'
planted=$(awk -F '\t' '$1 == "code" && $2 ~ /^asm_planted_/ { print $2 }' "$code" | sort -u)
while IFS=: read -r key check; do
    functions=$(grep -E "^asm_planted_$key(__|$)" <<<"$planted" || true)
    if [ -z "$functions" ]; then
        row ring/push "planted fault: $key" failed 'no such fault is in the program'
        bad=1
        continue
    fi
    for function in $functions; do
        kind=${function#asm_planted_}
        found "$function" "$key"
        if [ "$verdict" = bad ]; then
            row ring/push "planted fault: ${kind/__/, }" passed "reported: $what"
        else
            row ring/push "planted fault: ${kind/__/, }" failed "\"$check\" did not report it"
            bad=1
        fi
    done
done <<<"$checks"
exit "$bad"
