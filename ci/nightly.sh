#!/usr/bin/env bash
# The night: everything of .ci/run, every test of the workspace under each model checker, every
# ordering weakened in the source, two gigabytes through killed processes, one round of every
# benchmark and experiment, then `cargo verify` with one seed after another until the hours are
# over. Reports of seeds that did not pass stay in target/verify as night-SEED.*.
# Does not check longer than HOURS beyond the steps before the last (these run to their end), and makes
# no claim about speed: a benchmark is only run, not judged.
#
# usage: ci/nightly.sh [HOURS]     (default 1; a fraction such as 0.5 is fine)
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

hours=${1:-1}
if ! [[ $hours =~ ^[0-9]+(\.[0-9]+)?$ ]]; then
    printf 'usage: ci/nightly.sh [HOURS]\n' >&2
    exit 2
fi
seconds=$(awk -v hours="$hours" 'BEGIN { printf "%d", hours * 3600 }')

step() { printf '\n== %s (%d min into the night)\n' "$*" $((SECONDS / 60)); }

step 'the checks of every change'
.ci/run

step 'every test under each model checker'
ci/models.sh --whole

step 'each ordering weakened by hand in the source'
ci/weaken.sh

step 'two gigabytes through processes that are killed'
RINGPROOF_STREAM_BYTES=2000000000 cargo test --release --package ringproof-cli --test stream kill -- --test-threads 1

step 'one round of every benchmark, and the experiments'
cargo bench --package ringproof-perf --bench '*' -- --test
cargo run --release --package ringproof-perf -- peers
cargo run --release --package ringproof-perf -- false-sharing

step "verify, until $hours h are over"
target=$(cargo metadata --no-deps --format-version 1 | sed -n 's/.*"target_directory":"\([^"]*\)".*/\1/p')
seeds=0
bad=()
# At least one seed, however short the night.
while [ "$seeds" -eq 0 ] || [ "$SECONDS" -lt "$seconds" ]; do
    seed=$((RANDOM * 32768 + RANDOM))
    seeds=$((seeds + 1))
    if ! ci/verify.sh --seed "$seed"; then
        bad+=("$seed")
        for form in json html; do
            cp "$target/verify/report.$form" "$target/verify/night-$seed.$form" || true
        done
    fi
done

step 'the end'
printf 'seeds run: %d, of which did not pass: %d\n' "$seeds" "${#bad[@]}"
for seed in "${bad[@]}"; do
    printf 'repeat: cargo verify --seed %s\n' "$seed"
done
echo 'not part of the night yet: larger models, sanitizers, fuzzing, a soak, judged benchmarks'
[ "${#bad[@]}" -eq 0 ]
