#!/usr/bin/env bash
# Checks that `cargo verify` proves what it proves (its exit code says so), and that both reports
# are there and the JSON has the keys of its contract. Arguments are handed on.
# Does not check what the layers print; the driver does that, and its own tests check the driver.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

code=0
"${CARGO:-cargo}" verify "$@" || code=$?

target=$("${CARGO:-cargo}" metadata --no-deps --format-version 1 | sed -n 's/.*"target_directory":"\([^"]*\)".*/\1/p')
json=$target/verify/report.json
for file in "$json" "$target/verify/report.html"; do
    if [ ! -s "$file" ]; then
        printf 'FAILED: no %s was written\n' "$file" >&2
        exit 1
    fi
done

keys='schema commit machine seed nightly part verdict layers sites results'
if command -v python3 >/dev/null; then
    python3 - "$json" "$keys" <<'PYTHON'
import json, sys

report = json.load(open(sys.argv[1], encoding="utf-8"))
missing = [key for key in sys.argv[2].split() if key not in report]
rows = {"layers": "name verdict seconds programs", "sites": "name kind ordering partner why",
        "results": "layer subject check verdict"}
for part, names in rows.items():
    for row in report.get(part, []):
        missing += [f"{part}[].{name}" for name in names.split() if name not in row]
if missing:
    sys.exit("FAILED: report.json lacks " + ", ".join(sorted(set(missing))))
print(f"report.json: {len(report['sites'])} sites, {len(report['results'])} results")
PYTHON
elif command -v jq >/dev/null; then
    jq --exit-status --arg keys "$keys" '. as $report | ($keys / " ") | all(. as $key | $report | has($key))' \
        "$json" >/dev/null || {
        printf 'FAILED: report.json lacks one of: %s\n' "$keys" >&2
        exit 1
    }
else
    echo 'skipped: neither python3 nor jq is installed, so the keys of report.json were not looked at'
fi
exit "$code"
