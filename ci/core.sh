#!/usr/bin/env bash
# Checks that the algorithms need nothing but `core`: `ringproof` without `std` builds, and so does
# ci/core.rs with it, a library with a panic handler of its own and without an allocator. The compiler refuses a
# second panic handler, which `std` would bring, and `alloc` without an allocator. That it does is checked, too:
# with the default features, and with a planted use of `alloc`.
# Does not check that it works on a machine without an operating system: everything is built for this one, because
# a target that has no `std` at all would have to be installed, and nothing is run.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

fail() {
    printf 'FAILED: %s\n' "$*" >&2
    exit 1
}

scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
# To unwind takes a function that `std` has.
export CARGO_PROFILE_DEV_PANIC=abort

# library [ARGUMENTS]: builds the library, and says where it is.
library() {
    "${CARGO:-cargo}" build --quiet --package ringproof --lib --message-format=json-render-diagnostics "$@" |
        sed -n '/"name":"ringproof"/s/.*"filenames":\["\([^"]*\.rlib\)".*/\1/p'
}

# compile LIBRARY [ARGUMENTS]: makes ci/core.rs of it; what the compiler says is in `log`.
compile() {
    local library=$1
    shift
    "${RUSTC:-rustc}" --edition 2024 --crate-type staticlib -C panic=abort --extern "ringproof=$library" \
        -L "dependency=$(dirname "$library")/deps" -L "dependency=$(dirname "$library")" \
        --out-dir "$scratch" "$@" ci/core.rs >"$scratch/log" 2>&1
}

# refused LIBRARY WORDS [ARGUMENTS]: the same must fail, with these words.
refused() {
    local library=$1 words=$2
    shift 2
    ! compile "$library" "$@" || fail "the compiler does not refuse what it must, $words: is this check still right?"
    grep -q -- "$words" "$scratch/log" || fail "it is refused for another reason than $words: $(cat "$scratch/log")"
}

core=$(library --no-default-features --features derive)
[ -f "$core" ] || fail 'cargo does not say where it put the library'
compile "$core" || fail "the algorithms need more than core: $(cat "$scratch/log")"
refused "$core" 'no global memory allocator' --cfg 'planted="alloc"'
refused "$(library)" 'duplicate lang item .panic_impl'
echo 'the algorithms need nothing but core'
