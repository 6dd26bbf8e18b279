#!/usr/bin/env bash
# The night: everything of .ci/run, every test of the workspace under each model checker, every
# ordering weakened in the source, two gigabytes through killed processes, the C and C++ peers under
# sanitizers, one round of every benchmark and experiment, the models and the soak in their nightly sizes, then `cargo verify` with
# one seed after another until the hours are over. Reports of seeds that did not pass stay in target/verify
# as night-SEED.*, the report of the large models as models.*.
# Does not check longer than HOURS beyond the steps before the last (these run to their end), and makes
# no claim about speed: a benchmark is only run, not judged.
#
# Several machines can share the large models: each is given its SHARD, such as 2/3, and all the
# same SEED. Whoever has the reports, target/verify/shard-*.json, has the verdict on the models from
# `cargo verify --merge`.
#
# usage: ci/nightly.sh [HOURS [SHARD SEED]]     (HOURS is 1 by default; a fraction such as 0.5 is fine)
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

hours=${1:-1}
shard=${2-}
if ! [[ $hours =~ ^[0-9]+(\.[0-9]+)?$ && ( $# -lt 2 || $# -eq 3 ) ]]; then
    printf 'usage: ci/nightly.sh [HOURS [SHARD SEED]]\n' >&2
    exit 2
fi
models=(cargo verify --nightly --seed "${3:-$((RANDOM * 32768 + RANDOM))}")
if [ -n "$shard" ]; then
    models+=(--shard "$shard")
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

step 'the peers in C and C++, watched by sanitizers'
# Not by ThreadSanitizer, which sees no other process: what it would look for is proven by the models.
if printf 'int main(void) { return 0; }' | "${CC:-cc}" -fsanitize=address,undefined -x c - -o /dev/null 2>/dev/null; then
    cargo run --release --package ringproof-stress -- abi --sanitize address,undefined || [ $? -eq 3 ]
    RINGPROOF_SANITIZE=address,undefined cargo test --package ringproof --test c_peers
else
    echo 'skipped: the C compiler has no sanitizers'
fi

step 'one round of every benchmark, and the experiments'
cargo bench --package ringproof-perf --bench '*' -- --test
cargo run --release --package ringproof-perf -- doctor
cargo run --release --package ringproof-perf -- peers --build
cargo run --release --package ringproof-perf -- all
cargo run --release --package ringproof-perf -- ipc --advise --size 256 --rate 100000 --blocking

step 'the package of the peers, which no other build compiles'
cargo clippy --manifest-path perf/peers/Cargo.toml --target-dir target/peers --all-targets -- -D warnings
cargo test --release --manifest-path perf/peers/Cargo.toml --target-dir target/peers

step 'the fuzz targets, from their corpus'
if cargo fuzz --version >/dev/null 2>&1 && rustup toolchain list 2>/dev/null | grep -q '^nightly'; then
    for fuzzed in attach peer description; do
        mkdir -p "stress/fuzz/corpus/$fuzzed"
        (cd stress && cargo +nightly fuzz run "$fuzzed" "fuzz/corpus/$fuzzed" "corpus/$fuzzed" -- -max_total_time=300)
    done
else
    echo 'skipped: cargo-fuzz or a nightly compiler is not installed; the tests have replayed the corpus'
fi

target=$(cargo metadata --no-deps --format-version 1 | sed -n 's/.*"target_directory":"\([^"]*\)".*/\1/p')
bad=()

step "the models and the soak in their nightly sizes${shard:+, shard $shard}"
"${models[@]}" || bad+=("${models[*]}")
if [ -z "$shard" ]; then
    # The seeds below write their reports to the same files.
    for form in json html; do
        mv "$target/verify/report.$form" "$target/verify/models.$form" || true
    done
fi

step "verify, until $hours h are over"
seeds=0
# At least one seed, however short the night.
while [ "$seeds" -eq 0 ] || [ "$SECONDS" -lt "$seconds" ]; do
    seed=$((RANDOM * 32768 + RANDOM))
    seeds=$((seeds + 1))
    if ! ci/verify.sh --seed "$seed"; then
        bad+=("cargo verify --seed $seed")
        for form in json html; do
            cp "$target/verify/report.$form" "$target/verify/night-$seed.$form" || true
        done
    fi
done

step 'the end'
printf 'seeds run: %d; runs that did not pass, with the large models: %d\n' "$seeds" "${#bad[@]}"
for command in "${bad[@]}"; do
    printf 'repeat: %s\n' "$command"
done
echo 'not part of the night yet: sanitizers of the Rust side, judged benchmarks'
[ "${#bad[@]}" -eq 0 ]
