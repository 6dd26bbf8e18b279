#!/usr/bin/env bash
# Runs every test program of the workspace N times under load, in shuffled order, and lists what failed
# with the command that repeats it. Several programs run at once and are each other's load: four for each
# CPU, and where fewer are left, busy processes take their place. What a program leaves behind (a file in
# its temporary directory, a segment in /dev/shm, a process) is a failure as well, and so is one that hangs.
# Segments are looked for where each program can have a /dev/shm of its own: as root.
# Does not run the tests in documentation, which have no program, nor the models under a model checker
# unless asked.
set -euo pipefail

usage() {
    cat <<'END'
Usage: ci/flaky.sh [OPTIONS] [ROUNDS]

  ROUNDS             how often each program runs; 1 by default
  --seed N           the order; printed, and from the clock by default
  --only NAME        only the test programs of this name, such as `stream`; may be given several times
  --features LIST    build with these features, such as `loom`: only the models have any
  --deadline SECONDS after which a program hangs; 1800 by default, times RINGPROOF_TIME_FACTOR
  --minutes M        start no program after so many minutes; what is left has not run
  --help             print this

Logs of failures stay in target/flaky.

Exit codes: 0 nothing failed, 1 something did, 2 wrong usage, 3 nothing failed, but not all was run.
END
}

rounds=1
seed=
features=()
only=()
deadline=1800
minutes=
wrong() {
    printf 'flaky.sh: %s\n' "$1" >&2
    usage >&2
    exit 2
}
number() { [[ $1 =~ ^[0-9]{1,9}$ ]]; }
while [ $# -gt 0 ]; do
    case $1 in
        --help | -h) usage; exit 0 ;;
        --seed | --deadline | --minutes | --only | --features)
            [ $# -ge 2 ] || wrong "$1 needs a value"
            case $1 in
                --seed) number "$2" || wrong 'the seed is a number'; seed=$2 ;;
                --deadline) number "$2" || wrong 'the deadline is a number of seconds'; deadline=$2 ;;
                --minutes) number "$2" || wrong 'the minutes are a number'; minutes=$2 ;;
                --only) only+=("$2") ;;
                --features) features=(--features "$2") ;;
            esac
            shift
            ;;
        -*) wrong "there is no option $1" ;;
        *)
            if ! number "$1" || [ "$((10#$1))" -eq 0 ]; then wrong 'the rounds are a number from 1'; fi
            rounds=$((10#$1))
            ;;
    esac
    shift
done
factor=${RINGPROOF_TIME_FACTOR:-1}
deadline=$(awk -v deadline="$deadline" -v factor="$factor" 'BEGIN {
    if (factor !~ /^[0-9]+(\.[0-9]+)?$/ || factor < 1 || factor > 1000) exit 1
    printf "%d", deadline * factor }') ||
    wrong "RINGPROOF_TIME_FACTOR is $factor; expected a number from 1 to 1000"

cd "$(dirname "${BASH_SOURCE[0]}")/.."
logs=$PWD/target/flaky
base=$(mktemp -d "${TMPDIR:-/tmp}/ringproof-flaky.XXXXXX")
[ -n "$seed" ] || seed=$((RANDOM * 32768 + RANDOM))

# Each program, and whatever it starts, has its number in its environment.
processes() {
    { grep -lzsxE "RINGPROOF_FLAKY=$base/$1" /proc/[0-9]*/environ || true; } | cut -d / -f 3
}

declare -A number_of=()
busy=()
# Lets so many processes be busy.
keep_busy() {
    while [ "${#busy[@]}" -lt "$1" ]; do
        sh -c 'while :; do :; done' &
        busy+=($!)
    done
    while [ "${#busy[@]}" -gt "$1" ]; do
        kill "${busy[-1]}" 2>/dev/null || true
        wait "${busy[-1]}" 2>/dev/null || true
        unset 'busy[-1]'
    done
}

# shellcheck disable=SC2317  # the trap below calls it
on_exit() {
    local code=$? pid pids
    trap '' INT TERM
    keep_busy 0
    # First who runs the programs: he would go on, and write, when his is ended.
    for pid in "${!number_of[@]}"; do kill -KILL -- "-$pid" 2>/dev/null || true; done
    pids=$(processes '[0-9]*')
    # shellcheck disable=SC2086  # numbers
    [ -z "$pids" ] || kill -KILL $pids 2>/dev/null || true
    wait 2>/dev/null
    rm -rf -- "$base"
    exit "$code"
}
trap on_exit EXIT
trap 'exit 143' TERM
trap 'exit 130' INT

printf 'building the test programs\n'
messages=$base/messages
cargo test --workspace "${features[@]}" --no-run --message-format=json >"$messages"

# The programs, each with its package and that package's directory: `directory, package, name, program`.
programs=()
while IFS=$'\t' read -r manifest package name program; do
    if [ "${#only[@]}" -gt 0 ] && ! grep -qxF -- "$name" <<<"$(printf '%s\n' "${only[@]}")"; then continue; fi
    programs+=("$(dirname "$manifest")"$'\t'"$package"$'\t'"$name"$'\t'"$program")
done < <(sed -nE '/"reason":"compiler-artifact"/ {
    /"profile":\{[^}]*"test":true/ s/.*"package_id":"([^"]*)".*"manifest_path":"([^"]*)".*"target":\{"kind":\["([^"]*)"\].*"name":"([^"]*)".*"executable":"([^"]*)".*/\2\t\1 \3\t\4\t\5/p
}' "$messages")
[ "${#programs[@]}" -gt 0 ] || {
    echo 'not run: cargo named no such test program'
    exit 3
}

# As cargo has it: `test NAME` for one in tests/, the library or the program else.
repeat_of() {
    local package=${1% *} kind=${1##* } name=$2
    package=${package##*/}
    case $package in
        *'#'*@*) package=${package#*#}; package=${package%@*} ;;
        *) package=${package%#*} ;;
    esac
    case $kind in
        test) kind="--test $name" ;;
        bin) kind="--bin $name" ;;
        example) kind="--example $name" ;;
        bench) kind="--bench $name" ;;
        *) kind=--lib ;;
    esac
    printf 'cargo test --package %s%s %s' "$package" "${features:+ ${features[*]}}" "$kind"
}

order=()
for ((round = 0; round < rounds; round++)); do
    for ((program = 0; program < ${#programs[@]}; program++)); do order+=("$program"); done
done
RANDOM=$((seed % 32768))
for ((last = ${#order[@]} - 1; last > 0; last--)); do
    other=$(((RANDOM * 32768 + RANDOM) % (last + 1)))
    swap=${order[last]}
    order[last]=${order[other]}
    order[other]=$swap
done

cpus=$(nproc)
jobs=$((4 * cpus))
cargo=$(command -v cargo)
# Where the library is that a test of a procedural macro is linked with.
libdir=$(rustc --print target-libdir)
# A /dev/shm of its own shows what a program has left there, whatever else runs on the machine.
shm=shared
size=$(($(df --output=size -k /dev/shm | tail -n 1)))
if [ "$(id -u)" -eq 0 ] && unshare --mount --propagation private mount -t tmpfs ringproof-flaky /dev/shm 2>/dev/null; then
    shm=own
fi

# Runs in a session of its own: one program, then a look at what it left.
one() {
    local number=$1 directory=$2 program=$3 code=0 left
    export RINGPROOF_FLAKY=$base/$number TMPDIR=$base/$number.tmp
    mkdir "$TMPDIR"
    exec >"$base/$number.log" 2>&1
    if [ "$shm" = own ]; then mount -t tmpfs -o "size=${size}k,mode=1777" ringproof-flaky /dev/shm; fi
    cd "$directory"
    timeout --kill-after=10 "$deadline" env CARGO="$cargo" CARGO_MANIFEST_DIR="$directory" \
        CARGO_MANIFEST_PATH="$directory/Cargo.toml" \
        LD_LIBRARY_PATH="$(dirname "$(dirname "$program")"):$(dirname "$program"):$libdir${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}" \
        "$program" </dev/null || code=$?
    if [ "$code" -eq 124 ] || [ "$code" -eq 137 ]; then
        printf 'flaky.sh: it hung: it was ended after %s s\n' "$deadline"
    fi
    left=$(find "$TMPDIR" -mindepth 1 -maxdepth 1)
    if [ "$shm" = own ]; then left+=$(find /dev/shm -mindepth 1 -maxdepth 1 -printf '\n%p'); fi
    if [ -n "$left" ]; then
        printf 'flaky.sh: it left behind:%s\n' "${left//$'\n'/ }"
        [ "$code" -ne 0 ] || code=1
    fi
    echo "$code" >"$base/$number.code"
}
export -f one
export base shm size deadline cargo libdir

printf '%d test programs, %d times, %d at once, seed %d\n' "${#programs[@]}" "$rounds" "$jobs" "$seed"
next=0
failures=0
runs=0
repeats=()

# Brings forward the next one of which no other run is under way: in one checkout a test program is never run
# twice at once, and some write files there.
choose() {
    local at number swap under_way=' '
    for number in "${number_of[@]}"; do under_way+="${order[number]} "; done
    for ((at = next; at < ${#order[@]}; at++)); do
        if [[ $under_way != *" ${order[at]} "* ]]; then
            swap=${order[at]}
            order[at]=${order[next]}
            order[next]=$swap
            return
        fi
    done
    return 1
}

# Starts it.
start() {
    local directory program
    IFS=$'\t' read -r directory _ _ program <<<"${programs[${order[next]}]}"
    local session=(setsid)
    if [ "$shm" = own ]; then session+=(unshare --mount --propagation private); fi
    # shellcheck disable=SC2016  # for the other shell
    "${session[@]}" bash -c 'set -euo pipefail; one "$@"' one "$next" "$directory" "$program" &
    number_of[$!]=$next
    next=$((next + 1))
}

# Judges the one with this number.
finish() {
    local number=$1 directory package name program code pids command failed
    IFS=$'\t' read -r directory package name program <<<"${programs[${order[number]}]}"
    code=$(cat "$base/$number.code" 2>/dev/null || echo 'it was not run to its end')
    pids=$(processes "$number")
    if [ -n "$pids" ]; then
        printf 'flaky.sh: it left processes behind: %s\n' \
            "$(while read -r pid; do cat "/proc/$pid/comm" 2>/dev/null || true; done <<<"$pids" | xargs)" >>"$base/$number.log"
        # shellcheck disable=SC2086  # numbers
        kill -KILL $pids 2>/dev/null || true
        [ "$code" != 0 ] || code=1
    fi
    runs=$((runs + 1))
    rm -rf "$base/$number.tmp" "$base/$number.code"
    if [ "$code" = 0 ]; then
        rm -f "$base/$number.log"
        return
    fi
    failures=$((failures + 1))
    mkdir -p "$logs"
    cp "$base/$number.log" "$logs/$seed-$number.log"
    command=$(repeat_of "$package" "$name")
    failed=$(sed -nE 's/^test (.*) \.\.\. FAILED$/\1/p' "$base/$number.log" | sed 's/ - should panic$//' | sort -u | xargs)
    [ -z "$failed" ] || command+=" -- --exact $failed"
    printf '\nFAILED (%s): %s, log in target/flaky/%s\n' "$code" "$name" "$seed-$number.log"
    grep -aE 'panicked at|^flaky.sh:|assertion' -A 2 "$base/$number.log" | head -n 12 | sed 's/^/    /' || true
    repeats+=("$name: $command")
}

is_over() { [ -n "$minutes" ] && [ "$SECONDS" -ge $((minutes * 60)) ]; }

while [ "$next" -lt "${#order[@]}" ] || [ "${#number_of[@]}" -gt 0 ]; do
    while [ "${#number_of[@]}" -lt "$jobs" ] && ! is_over && choose; do start; done
    [ "${#number_of[@]}" -gt 0 ] || break
    keep_busy $((jobs - ${#number_of[@]}))
    ended=
    wait -n -p ended "${!number_of[@]}" || true
    [ -n "$ended" ] || break
    number=${number_of[$ended]}
    unset "number_of[$ended]"
    finish "$number"
    if [ $((runs % ${#programs[@]})) -eq 0 ]; then
        printf '%d of %d runs, %d failed, %d s\n' "$runs" "${#order[@]}" "$failures" "$SECONDS"
    fi
done
keep_busy 0

printf '\n%d test programs, %d runs, %d failed, %d s, seed %d\n' \
    "${#programs[@]}" "$runs" "$failures" "$SECONDS" "$seed"
[ "${#repeats[@]}" -eq 0 ] || printf '%s\n' "${repeats[@]}" | sort | uniq -c | sort -rn |
    while read -r times line; do printf '  %s times: %s\n' "$times" "$line"; done
[ "$failures" -eq 0 ] || {
    only_these=
    for name in "${only[@]}"; do only_these+=" --only $name"; done
    printf 'all of it again: ci/flaky.sh --seed %d%s%s %d\n' "$seed" "$only_these" "${features:+ ${features[*]}}" "$rounds"
    exit 1
}
if [ "$runs" -lt "${#order[@]}" ]; then
    printf 'TRUNCATED: %d of %d runs were not made (the time was over)\n' $((${#order[@]} - runs)) "${#order[@]}"
    exit 3
fi
if [ "$shm" = shared ]; then
    # What others on this machine make and remove there meanwhile could not be distinguished from it.
    echo 'not run: what is left in /dev/shm: a /dev/shm for each program needs root and the right to mount'
    exit 3
fi
