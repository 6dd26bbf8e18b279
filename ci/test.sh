#!/usr/bin/env bash
# Checks every test that needs no model checker, and that the tests leave nothing behind in
# /dev/shm. Tests of C peers of 32 bits say `not run` where `cc -m32` makes no program: on Debian and
# Ubuntu, apt-get install gcc-multilib g++-multilib.
# Does not check the models (ci/models.sh) and measures nothing.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

segments() { find /dev/shm -mindepth 1 -maxdepth 1 -printf '%f\n' | sort; }

before=$(segments)
cargo test --workspace
left=$(comm -13 <(printf '%s\n' "$before") <(segments))
if [ -n "$left" ]; then
    printf 'FAILED: the tests left this in /dev/shm:\n%s\n' "$left" >&2
    exit 1
fi
echo 'nothing was left in /dev/shm'
