#!/usr/bin/env bash
# Checks what can be seen without running the code: its form, clippy with and without features,
# documentation without a warning, that the library depends on no model checker and its algorithms on no `std`,
# that what is published can be packed, that CPUs are asked for in one place, that no file names a path of one machine, and, where
# the tools are installed, the scripts (shellcheck) and the licences and advisories of every dependency
# (cargo-deny).
# Does not check what the code does.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

step() { printf '\n-- %s\n' "$*"; }
skip() { printf 'skipped: %s\n' "$*"; }
fail() {
    printf 'FAILED: %s\n' "$*" >&2
    exit 1
}

step 'form'
if cargo fmt --version >/dev/null 2>&1; then
    cargo fmt --all --check
    rustfmt --edition 2024 --check perf/src/experiments/*.rs # also those that perf/build.rs finds
else
    skip 'rustfmt is not installed'
fi

step 'clippy, without features'
cargo clippy --workspace --all-targets -- -D warnings
step 'clippy, all features'
cargo clippy --workspace --all-targets --all-features -- -D warnings

step 'documentation'
RUSTDOCFLAGS='-D warnings' cargo doc --workspace --no-deps --all-features

step 'no model checker in what ships'
checkers='^(loom|shuttle) '
tree() { cargo tree --edges normal,build --prefix none --format '{p}' "$@"; }
if tree --package ringproof --all-features | grep -E "$checkers"; then
    fail 'the library depends on a model checker'
fi
# The same question where the answer must be yes, so that a pattern that matches nothing is noticed.
found=$(tree --package ringproof-models --features loom,shuttle | grep -E "$checkers" | sort -u | wc -l)
[ "$found" -eq 2 ] || fail "the models depend on $found of the two model checkers: is this check still right?"

step 'the algorithms need nothing but core'
cargo clippy --package ringproof --lib --no-default-features -- -D warnings
ci/core.sh

step 'what is published can be packed'
# Whether it also builds on its own, and passes its tests: ci/crates.sh without this argument.
ci/crates.sh --pack

step 'CPUs are asked for in one place'
# What these know ends at 1,024 CPUs, or takes all of the machine where there are more; and a quota is
# in one file only on one level of one version of control groups.
cpus='available_parallelis[m]|\bCpuSe[t]\b|cpu_set_[t]|core_affinit[y]|num_cpu[s]|cgroup/cpu[.]ma[x]'
if git grep --untracked -nE "$cpus" -- '*.rs' '*.toml' ':!ci/record/src'; then
    fail 'the files above ask for CPUs themselves, not ringproof_record::affinity or ::machine'
fi
# The same where it must be found, so that a pattern that matches nothing is noticed.
git grep -qE "$cpus" -- ci/record/src || fail 'no source asks for CPUs any more: is this check still right?'

step 'no path of one machine'
# Only where a path begins; a directory of that name inside the tree is fine. The brackets keep
# this line from finding itself.
paths='(^|[^A-Za-z0-9_.~-])/(hom[e]|roo[t]|User[s]|wor[k]|far[m])/'
if git grep --untracked -nIE "$paths" -- . ':!Cargo.lock'; then
    fail 'the files above name a path of one machine'
fi

step 'scripts'
if command -v shellcheck >/dev/null; then
    shellcheck ci/*.sh .ci/run impl/ffi/install.sh
else
    skip 'shellcheck is not installed'
fi

step 'licences and advisories'
if cargo deny --version >/dev/null 2>&1; then
    cargo deny check
else
    skip 'cargo-deny is not installed'
fi
