#!/usr/bin/env bash
# The night: everything of .ci/run, every test many times under load, the README's commands in every
# environment of ci/bare.sh, every test under each model checker, every ordering weakened in the source, two
# gigabytes through killed processes, the C and C++ peers under sanitizers, one round of every benchmark and
# experiment, what is published as it is packed, `cargo verify` with one seed after another, and the models
# and the soak in their nightly sizes, which have all the time that is left.
# It ends within HOURS and ten minutes whatever is in it. Each step has a share of the time; one that exceeds
# it is ended and has not passed. Where the night is too short for a step it is not run, and says so. Reports of seeds
# that did not pass stay in target/verify as night-SEED.*, the report of the large models as models.*.
# It makes no claim about speed: a benchmark is only run, not judged.
set -euo pipefail

usage() {
    cat <<'END'
Usage: ci/nightly.sh [HOURS [SHARD SEED]]
       ci/nightly.sh --step NAME [MINUTES [SHARD SEED]]

  HOURS   1 by default; a fraction such as 0.5 is fine
  SHARD   of the large models, such as 2/3, where several machines share them; all have the same SEED.
          Whoever has the reports, target/verify/shard-*.json, has the verdict on the models from
          `cargo verify --merge`
  --step  only this step, as the night runs it, in so many minutes (60 by default)
  --list  the steps, with the minutes that each needs at least
  --help  print this

Exit codes: 0 all passed, 1 a step failed, 2 wrong usage, 3 a step did not run or was cut short.
END
}

# In the order in which they run: the minutes that a step needs at least on two cores, its share of what is
# left when each has these, and which goes first where there is too little time for all.
steps='checks     40 10  1
flaky       6 10  2
bare       15 25  4
whole       8  5  5
weaken     15  5  6
stream      4  2  7
sanitizers  5  2  8
benches    10  5  9
peers       8  3 10
crates     10  3 13
fuzz        3  3 11
seeds       8 10 12
models     14 20  3'
minute=60
# How long a step may take to end in order, in seconds.
grace=120

# ---- the steps, each in a process of its own: `minutes`, `shard` and `seed` are set

step_checks() { .ci/run; }

step_flaky() { ci/flaky.sh --minutes "$(spare 2)" 10; }

step_bare() { ci/bare.sh --grouped --share target; }

step_whole() { ci/models.sh --whole; }

step_weaken() { ci/weaken.sh; }

step_stream() {
    cargo build --release --package ringproof-cli
    cargo run --release --package ringproof-stress -- stream --bytes 2G --kills 10
}

step_sanitizers() {
    # Not by ThreadSanitizer, which sees no other process: what it would look for is proven by the models.
    local compiler code=0
    read -r -a compiler <<<"${CC:-cc}"
    "${compiler[@]}" -fsanitize=address,undefined -x c - -o /dev/null 2>/dev/null <<<'int main(void) { return 0; }' || {
        echo 'not run: the C compiler has no sanitizers'
        return 3
    }
    RINGPROOF_SANITIZE=address,undefined cargo test --package ringproof --test c_peers || return 1
    cargo run --release --package ringproof-stress -- abi --sanitize address,undefined || code=$?
    return "$code"
}

step_benches() {
    local command code worst=0
    cargo bench --package ringproof-perf --bench '*' -- --test || return 1
    # What this machine has no counters for did not run, and is said; the next ones run all the same.
    for command in doctor 'peers --build' all 'ipc --advise --size 256 --rate 100000 --blocking'; do
        code=0
        # shellcheck disable=SC2086  # words, on purpose
        cargo run --release --package ringproof-perf -- $command || code=$?
        [ "$code" -eq 0 ] || [ "$code" -eq 3 ] || return "$code"
        [ "$code" -eq 0 ] || worst=3
    done
    return "$worst"
}

# The package that no other build compiles.
step_peers() {
    cargo clippy --manifest-path perf/peers/Cargo.toml --target-dir target/peers --all-targets -- -D warnings
    cargo test --release --manifest-path perf/peers/Cargo.toml --target-dir target/peers
}

step_crates() { ci/crates.sh; }

step_fuzz() {
    if ! cargo fuzz --version >/dev/null 2>&1 || ! grep -q '^nightly' <<<"$(rustup toolchain list 2>/dev/null)"; then
        echo 'not run: cargo-fuzz or a nightly compiler is not installed; the tests have replayed the corpus'
        return 3
    fi
    local fuzzed
    for fuzzed in attach peer description; do
        mkdir -p "stress/fuzz/corpus/$fuzzed"
        (cd stress && cargo +nightly fuzz run "$fuzzed" "fuzz/corpus/$fuzzed" "corpus/$fuzzed" -- \
            -max_total_time=$((minutes * minute / 4)))
    done
}

# The directory of the reports.
reports() {
    printf '%s/verify' "$(cargo metadata --no-deps --format-version 1 | sed -n 's/.*"target_directory":"\([^"]*\)".*/\1/p')"
}

step_seeds() {
    local one seconds begun longest=0 worst=0 code tried=0
    seconds=$((minutes * minute))
    # At least one, and another as long as it would end in time.
    while [ "$tried" -eq 0 ] || [ $((SECONDS + longest * 5 / 4)) -lt "$seconds" ]; do
        one=$((RANDOM * 32768 + RANDOM))
        tried=$((tried + 1))
        begun=$SECONDS
        code=0
        ci/verify.sh --seed "$one" || code=$?
        if [ "$code" -ne 0 ]; then
            [ "$worst" -eq 1 ] || worst=$code
            printf 'repeat: cargo verify --seed %s\n' "$one"
            for form in json html; do cp "$(reports)/report.$form" "$(reports)/night-$one.$form" || true; done
        fi
        [ $((SECONDS - begun)) -le "$longest" ] || longest=$((SECONDS - begun))
    done
    printf '%d seeds\n' "$tried"
    return "$worst"
}

step_models() {
    local command code=0 form
    # The layers as they are by day, and the build, take the rest.
    command=(cargo verify --nightly --minutes "$(spare 12)" --seed "$seed")
    [ -z "$shard" ] || command+=(--shard "$shard")
    "${command[@]}" || code=$?
    [ "$code" -eq 0 ] || printf 'repeat: %s\n' "${command[*]}"
    if [ -z "$shard" ]; then
        for form in json html; do mv "$(reports)/report.$form" "$(reports)/models.$form" || true; done
    fi
    return "$code"
}

# The minutes without so many; one at least.
spare() { echo $((minutes > $1 ? minutes - $1 : 1)); }

# ---- the night

wrong() {
    usage >&2
    exit 2
}
only=
case ${1-} in
    --help | -h) usage; exit 0 ;;
    --list) printf '%s\n' "$steps" | awk '{ print $1, $2 }'; exit 0 ;;
    --step)
        only=${2-}
        awk -v name="$only" '$1 == name { found = 1 } END { exit !found }' <<<"$steps" || wrong
        shift 2
        minutes=${1:-60}
        [[ $minutes =~ ^[0-9]+$ ]] || wrong
        ;;
    *)
        hours=${1:-1}
        [[ $hours =~ ^[0-9]+(\.[0-9]+)?$ ]] || wrong
        total=$(awk -v hours="$hours" -v minute="$minute" 'BEGIN { printf "%d", hours * 60 * minute }')
        ;;
esac
case $# in
    0 | 1) shard='' seed=$((RANDOM * 32768 + RANDOM)) ;;
    3) shard=$2 seed=$3 ;;
    *) wrong ;;
esac
self=$(realpath -- "${BASH_SOURCE[0]}")
cd "$(dirname "$self")/.."
if [ -n "$only" ]; then
    "step_$only"
    exit
fi

# Every process below has this in its environment, but for those that ci/bare.sh makes and ends itself.
export RINGPROOF_NIGHT=$$.$RANDOM
below() { { grep -lzsxF "RINGPROOF_NIGHT=$RINGPROOF_NIGHT" /proc/[0-9]*/environ || true; } | cut -d / -f 3; }

running=
# Asks the step that runs to end, and ends it.
end_step() {
    local until=$((SECONDS + grace))
    [ -n "$running" ] || return 0
    kill -TERM -- "-$running" 2>/dev/null || true
    while kill -0 -- "-$running" 2>/dev/null && [ "$SECONDS" -lt "$until" ]; do sleep 0.2; done
    kill -KILL -- "-$running" 2>/dev/null || true
    running=
    end_rest
}
end_rest() {
    local pids
    # Not this script itself, which was started without the variable.
    pids=$(below)
    # shellcheck disable=SC2086  # numbers
    [ -z "$pids" ] || kill -KILL $pids 2>/dev/null || true
}

summary=()
failed=0
missed=0
# shellcheck disable=SC2317  # the trap below calls it
on_exit() {
    local code=$? name
    trap '' INT TERM PIPE
    if [ -n "$running" ]; then
        end_step
        summary+=("$(printf '✗ %-10s not run (interrupted)' "$present")")
    fi
    while read -r name _; do
        # No pipe into `grep -q`: it ends at the first match, and the writer's error would count.
        if ! grep -q "^[^ ]* $name " <<<"$(printf '%s\n' "${summary[@]}")"; then
            summary+=("$(printf '– %-10s not run (interrupted)' "$name")")
        fi
    done <<<"$steps"
    printf '\n==== the night: %d of %d minutes, seed %s%s\n' $((SECONDS / minute)) $((total / minute)) "$seed" "${shard:+, shard $shard}"
    printf '%s\n' "${summary[@]}"
    echo 'not part of the night yet: sanitizers of the Rust side, judged benchmarks'
    if [ "$code" -eq 0 ]; then
        if [ "$failed" -gt 0 ]; then code=1; elif [ "$missed" -gt 0 ]; then code=3; fi
    fi
    exit "$code"
}
trap on_exit EXIT
trap 'exit 143' TERM
trap 'exit 130' INT

# The steps for which there is time at least, by their rank.
planned=' '
left=$((total / minute))
while read -r name needs _ _; do
    if [ "$needs" -le "$left" ]; then
        planned+="$name "
        left=$((left - needs))
    fi
done < <(sort -n -k 4 <<<"$steps")

# run NAME SECONDS
run() {
    local begun=$SECONDS code=0 over='' timer verdict repeat
    printf '\n== %s (%d min into the night, %d min for it)\n' "$1" $((SECONDS / minute)) $(($2 / minute))
    setsid bash "$self" --step "$1" $(($2 / minute)) "$shard" "$seed" </dev/null &
    running=$!
    sleep "$2" &
    timer=$!
    wait -n "$running" "$timer" || true
    if kill -0 "$running" 2>/dev/null; then over=yes; fi
    { kill "$timer" && wait "$timer"; } 2>/dev/null || true
    repeat="; repeat: ci/nightly.sh --step $1"
    if [ -n "$over" ]; then
        end_step
        missed=$((missed + 1))
        verdict="– %-10s TRUNCATED: not run to its end (its time was over)"
    else
        wait "$running" || code=$?
        running=
        end_rest
        case $code in
            0) verdict='✓ %-10s passed' repeat= ;;
            3)
                missed=$((missed + 1))
                verdict='– %-10s not run (some of it, as it said)'
                ;;
            *)
                failed=$((failed + 1))
                verdict="✗ %-10s FAILED (exit code $code)"
                ;;
        esac
    fi
    # shellcheck disable=SC2059  # the verdict is the format
    summary+=("$(printf "$verdict" "$1"), $(((SECONDS - begun + minute / 2) / minute)) min$repeat")
}

while read -r present needs share _ <&3; do
    # What those that are to come, and this one, have at least; the rest is divided by their shares.
    read -r at_least shares < <(awk -v planned="$planned" -v present="$present" '
        $1 == present { on = 1 }
        on && index(planned, " " $1 " ") { at_least += $2; shares += $3 }
        END { print at_least + 0, shares + 0 }' <<<"$steps")
    surplus=$((total - SECONDS - at_least * minute))
    if [[ $planned == *" $present "* ]]; then
        seconds=$((needs * minute + surplus * share / shares))
        # Those before may have taken longer to end.
        [ "$seconds" -le $((total - SECONDS)) ] || seconds=$((total - SECONDS))
    else
        # The models have what is left, not this one.
        seconds=$((surplus > needs * minute ? needs * minute : surplus))
    fi
    if [ "$seconds" -lt $((needs * minute * 3 / 4)) ]; then
        missed=$((missed + 1))
        summary+=("$(printf '– %-10s not run (needs %d min, had %d)' "$present" "$needs" $((seconds > 0 ? seconds / minute : 0))); repeat: ci/nightly.sh --step $present")
        continue
    fi
    run "$present" "$seconds"
done 3<<<"$steps"
