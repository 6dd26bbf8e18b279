#!/usr/bin/env bash
# Checks that programs find ringproof for C and C++ where impl/ffi/install.sh has put it (with CMake, with
# pkg-config and from Python), and that gcc and clang take its headers, strict as they can be. What is
# `not run` for want of a tool elsewhere fails here. Needs cmake, pkg-config, python3, g++ and clang++.
# Does not check what the library does: ci/test.sh and ci/verify.sh do.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

fail() {
    printf 'FAILED: %s\n' "$*" >&2
    exit 1
}

for tool in cmake pkg-config python3 g++ clang++; do
    command -v "$tool" >/dev/null || fail "$tool is not installed"
done

scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

cargo test --package ringproof-ffi -- --nocapture 2>&1 | tee "$scratch/log"
if grep -a 'not run' "$scratch/log" >&2; then
    fail 'the lines above name what did not run'
fi

# As impl/ffi/README.md says, in the profile that ships.
impl/ffi/install.sh --prefix "$scratch/prefix"
export PKG_CONFIG_PATH=$scratch/prefix/lib/pkgconfig LD_LIBRARY_PATH=$scratch/prefix/lib
read -ra flags <<<"$(pkg-config --cflags --libs ringproof-lib)"
cc -std=c11 impl/ffi/tests/consumers/library.c -o "$scratch/program" "${flags[@]}"
"$scratch/program" || fail 'a program with the installed library'
echo 'programs find what is installed, and run'
