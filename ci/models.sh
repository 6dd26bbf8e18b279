#!/usr/bin/env bash
# Checks the models: with loom, which brings shuttle (every change of a site, specimens, calibration,
# the engines held against each other), and with shuttle alone.
# The features are the models' own and change no other crate, so only the models' tests run here;
# with --whole every test of the workspace runs under each, as in `cargo test --features loom`.
# Does not check the crash protocol in real processes (ci/test.sh and ci/verify.sh do).
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

case "${1-}" in
    '') selection=(--package ringproof-models) ;;
    --whole) selection=() ;;
    *)
        printf 'usage: ci/models.sh [--whole]\n' >&2
        exit 2
        ;;
esac

for features in '--features loom' '--features shuttle'; do
    printf '\n-- cargo test %s\n' "$features"
    # shellcheck disable=SC2086  # two words, on purpose
    cargo test "${selection[@]}" $features
done
