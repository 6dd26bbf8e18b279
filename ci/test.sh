#!/usr/bin/env bash
# Checks every test that needs no model checker, and that the tests leave nothing behind in
# /dev/shm. Tests of C peers of 32 bits say `not run` where `cc -m32` makes no program: on Debian and
# Ubuntu, apt-get install gcc-multilib g++-multilib. What is left in /dev/shm is looked for where the tests
# can have one of their own, as root; elsewhere this ends with 3, if nothing failed.
# Does not check the models (ci/models.sh) and measures nothing.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

# What others on this machine make and remove there meanwhile could not be distinguished from what the tests leave.
if [ "$(id -u)" -ne 0 ] ||
    ! unshare --mount --propagation private mount -t tmpfs ringproof-test /dev/shm 2>/dev/null; then
    cargo test --workspace
    echo 'not run: what the tests leave in /dev/shm: one of their own needs root and the right to mount'
    exit 3
fi

in_its_own() {
    mount -t tmpfs -o "size=${size}k,mode=1777" ringproof-test /dev/shm
    cargo test --workspace
    local left
    left=$(find /dev/shm -mindepth 1 -maxdepth 1 -printf '%f\n')
    if [ -n "$left" ]; then
        printf 'FAILED: the tests left this in /dev/shm:\n%s\n' "$left" >&2
        exit 1
    fi
    echo 'nothing was left in /dev/shm'
}
export -f in_its_own
size=$(($(df --output=size -k /dev/shm | tail -n 1)))
export size
unshare --mount --propagation private bash -euo pipefail -c in_its_own
