#!/usr/bin/env bash
# Weakens each ordering of the site table by hand, one at a time, in a copy of the sources, and
# requires that `cargo test --features loom` fails there and names the site. That is what a
# person does who doubts the models; the suite's own mutants change the table at run time and
# need no build. It does not show why an ordering is enough, only that none is unneeded.
set -euo pipefail
cd "$(dirname "$0")/.."

copy=$(mktemp -d)
trap 'rm -rf "$copy"' EXIT
git ls-files -z | xargs -0 cp --parents -t "$copy"
table=impl/src/site.rs
cp "$table" "$copy/site.rs.good"

failed=0
tried=0
# Rows of the table: `Name, Acquire, "word", …`. A fence cannot be relaxed: it becomes the other kind, or, of those
# that are both, one of them. (What has one ordering only, as a barrier, the suite's own mutants leave out.)
while read -r name ordering; do
    case $name,$ordering in
        *,SeqCst | *,Light) weaker=Release ;;
        *Fence,Acquire) weaker=Release ;;
        *Fence,Release) weaker=Acquire ;;
        *) weaker=Relaxed ;;
    esac
    cp "$copy/site.rs.good" "$copy/$table"
    sed -i "s/^    $name, $ordering,/    $name, $weaker,/" "$copy/$table"
    tried=$((tried + 1))
    if output=$(cd "$copy" && CARGO_TARGET_DIR="$copy/target" cargo test --package ringproof-models --features loom --test loom 2>&1); then
        echo "SURVIVED: $name $ordering -> $weaker: the models pass"
        failed=1
    elif ! grep -q "site $name is $weaker in the table" <<<"$output"; then
        echo "UNNAMED: $name $ordering -> $weaker: the models fail without naming the site"
        tail -n 30 <<<"$output"
        failed=1
    else
        echo "killed and named: $name $ordering -> $weaker"
    fi
done < <(sed -nE 's/^    ([A-Za-z]+), (Acquire|Release|SeqCst|Light), .*/\1 \2/p' "$table")

[ "$tried" -gt 0 ] || { echo "found no ordering to weaken in $table"; exit 1; }
[ "$failed" = 0 ] && echo "all $tried orderings are needed, and each is named when it is missing"
exit "$failed"
