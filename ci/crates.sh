#!/usr/bin/env bash
# Checks that the crates can be published: cargo packs ringproof-derive, ringproof and ringproof-cli; each has its
# README and both licences; and what was packed builds outside of this tree, and passes the tests that it has
# (those that need the rest of the tree are left out, as the packages' `exclude` says). In place of those of the
# three that crates.io does not have, it takes what was packed.
# With a toolchain, such as 1.88, what was packed is built and tested by that one; it is packed by the usual
# one in any case. `--oldest` takes the one that the packages promise, `rust-version`. Where it is not installed
# this ends with 3: nothing is fetched for it. `--pack` only packs, and looks at what is in it.
# Does not check that crates.io would take them: the names, what is asked of their owners.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

fail() {
    printf 'FAILED: %s\n' "$*" >&2
    exit 1
}

packages='ringproof-derive ringproof ringproof-cli'
# What one of their manifests promises, in the same words as the others.
oldest=$(sed -n 's/^rust-version = "\(.*\)"$/\1/p' impl/Cargo.toml impl/derive/Cargo.toml impl/cli/Cargo.toml | sort -u)
[[ $oldest =~ ^[0-9]+\.[0-9]+$ ]] || fail "the packages promise no Rust, or more than one: ${oldest:-none}"

toolchain=
case ${1-} in
    '' | --pack) ;;
    --oldest) toolchain=$oldest ;;
    -*)
        printf 'Usage: ci/crates.sh [TOOLCHAIN | --oldest | --pack]\n' >&2
        exit 2
        ;;
    *) toolchain=$1 ;;
esac
# The name of one is the beginning of its line, with a patch version or without: `1.88.0-x86_64-…`, `1.88-x86_64-…`.
if [ -n "$toolchain" ] && ! grep -q "^${toolchain//./\\.}[-.]" <<<"$(rustup toolchain list 2>/dev/null)"; then
    printf 'not run: the toolchain %s is not installed\n' "$toolchain"
    exit 3
fi

scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

# What Cargo.lock says is fetched here, if it has not been; nothing below asks a registry.
cargo fetch --locked --target "$(rustc --version --verbose | sed -n 's/^host: //p')"
export CARGO_NET_OFFLINE=true

# All three at once: each finds there those that crates.io does not have.
chosen=()
for package in $packages; do chosen+=(--package "$package"); done
cargo package --no-verify --allow-dirty --target-dir "$scratch/packed" "${chosen[@]}"

mkdir "$scratch/.cargo"
printf '[patch.crates-io]\n' >"$scratch/.cargo/config.toml"
for package in $packages; do
    crate=("$scratch/packed/package/$package"-[0-9]*.crate)
    [ -f "${crate[0]}" ] || fail "cargo has not packed $package"
    mkdir "$scratch/$package"
    tar -xzf "${crate[0]}" --strip-components 1 -C "$scratch/$package"
    for file in README.md LICENSE-MIT LICENSE-APACHE; do
        [ -s "$scratch/$package/$file" ] || fail "$package is packed without $file"
    done
    for field in description license readme keywords categories rust-version; do
        grep -q "^$field = " "$scratch/$package/Cargo.toml" || fail "$package is packed without \`$field\`"
    done
    printf '%s = { path = "%s" }\n' "$package" "$scratch/$package" >>"$scratch/.cargo/config.toml"
done

if [ "${1-}" = --pack ]; then
    echo 'the crates can be packed'
    exit
fi

# What it is made of is compiled once, and again only where it has changed.
target=$(cargo metadata --no-deps --format-version 1 | sed -n 's/.*"target_directory":"\([^"]*\)".*/\1/p')
export CARGO_TARGET_DIR=$target/crates${toolchain:+-$toolchain}
[ -z "$toolchain" ] || export RUSTUP_TOOLCHAIN=$toolchain
for package in $packages; do
    printf '\n-- %s, as it was packed\n' "$package"
    # Errors in a program that is built for a test name it; the status of `tee` is not cargo's.
    (cd "$scratch/$package" && cargo test --all-features) 2>&1 | tee "$scratch/log" || fail "$package does not pass its tests"
    passed=$(sed -n 's/^test result: ok\. \([0-9]*\) passed.*/\1/p' "$scratch/log" | awk '{ sum += $1 } END { print sum + 0 }')
    [ "$passed" -gt 0 ] || fail "$package has no test any more: is \`exclude\` still right?"
    printf '%s: %d tests passed, with %s\n' "$package" "$passed" "$(rustc --version)"
done
echo 'the crates can be packed, and what is packed passes its tests'
