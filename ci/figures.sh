#!/usr/bin/env bash
# Writes the table of figures of README.md, between its markers, from the run that perf/RUN.md records.
# With --check it writes nothing and fails where the table is not what it would write.
# Does not measure anything, and does not judge the figures.
#
# usage: ci/figures.sh [--check] [README [RUN]]
set -euo pipefail

check=
if [ "${1-}" = --check ]; then
    check=yes
    shift
fi
if [ $# -gt 2 ] || [[ ${1-} == -* ]]; then
    printf 'usage: ci/figures.sh [--check] [README [RUN]]\n' >&2
    exit 2
fi
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
readme=${1:-$root/README.md}
run=${2:-$root/perf/RUN.md}

written=$(mktemp)
trap 'rm -f "$written"' EXIT

LC_ALL=C awk '
    function fail(what) { print "FAILED: " what > "/dev/stderr"; failed = 1; exit 1 }

    # Every character as one byte, so that bytes are columns: UTF-8 without its continuation bytes.
    function one_byte(text) { gsub(/[\200-\277]/, "", text); return text }

    # What stands in the column `name`, which reaches from where its name begins in the header to where
    # the next one does. Cells may be empty, so they cannot be counted.
    function in_column(text, header, name,    from, rest) {
        from = index(header "  ", "  " name "  ")
        if (!from) return ""
        from += 2
        rest = substr(header, from + length(name))
        match(rest, /^ */)
        text = substr(text, from, rest ~ /[^ ]/ ? length(name) + RLENGTH : length(text))
        gsub(/^ +| +$/, "", text)
        return text
    }
    # The median in a cell of the run. `experiment` is how the first line of the experiment begins,
    # `title` how that of the table does; the row is the one that has `row` in the column `key`, and
    # `size`, if it is given, in the column `bytes`.
    function figure(experiment, title, key, row, name, size,    i, header, part) {
        for (i = 1; i <= lines && index(line[i], experiment) != 1; i++) {}
        for (; i <= lines && index(line[i], title) != 1; i++) {}
        header = line[i + 2]
        for (i += 3; i <= lines && line[i] != ""; i++) {
            if (in_column(line[i], header, key) != row) continue
            if (size && in_column(line[i], header, "bytes") != size) continue
            split(in_column(line[i], header, name), part, " ")
            if (part[1] ~ /^[0-9.]+$/) return part[1]
        }
        fail(RUN " has no \"" name "\" of \"" row "\" in \"" title "\" of \"" experiment "\"")
    }
    function rate(row) {
        return figure("peers:", "Rings: million items/s, u64 items, capacity 1024", "crate", row, way)
    }
    function message(row,    experiment) {
        experiment = row ~ /iceoryx2/ ? "peers:" : "ipc: messages between two processes"
        return figure(experiment, "Messages of 64 B:", "mechanism", row, way)
    }
    function value(row) {
        return figure("peers:", "Latest value: ns for each", "structure", row, way, 64)
    }
    function three(what, ours, others) { print "| " what " | " ours " | " others " |" }

    function table() {
        if (!match(record, /^What `[^`]*` printed on .*no PMU\./)) fail(RUN " does not begin with what printed it, when and where")
        record = substr(record, 6, RLENGTH - 6)
        sub(/ printed on /, " on ", record)
        print "\nMedians of " record "\n([all that it printed, with the spread](perf/RUN.md)):\n"
        three("", "ringproof", "beside it")
        print "| --- | ---: | --- |"
        way = "one by one"
        three("numbers through a ring of 1,024, one by one, million/s", rate("ringproof"),
              "gil " rate("gil") ", rtrb " rate("rtrb"))
        way = "chunks of 64, in place"
        three("64 at a time, in place, million/s", rate("ringproof"), "gil " rate("gil") ", rtrb " rate("rtrb"))
        way = one_byte("one way, µs")
        three("64 bytes between two processes, one way, µs", message("ring, one by one"),
              "iceoryx2 " message("iceoryx2, publish and subscribe") ", pipe " message("pipe"))
        way = "thousand/s"
        three("64 bytes after another, thousand/s", message("ring, one by one"),
              "iceoryx2 " message("iceoryx2, publish and subscribe") ", pipe " message("pipe"))
        way = "read, writer idle"
        three("seqlock, 64 bytes read while nobody writes, ns", value("seqlock"),
              "triple_buffer " value("triple_buffer") ", RwLock " value("parking_lot RwLock"))
        way = "read, writer flat out"
        three("latch, 64 bytes read while its writer never pauses, ns", value("latch"),
              "triple_buffer " value("triple_buffer") ", RwLock " value("parking_lot RwLock"))
    }

    NR == FNR {
        line[++lines] = one_byte($0)
        if (/^What `/) within = 1
        if (/^$/ && record) within = 0
        if (within) record = record (record ? " " : "") $0
        next
    }
    /^<!-- end of figures -->$/ { if (skip) print ""; ended = begun; skip = 0 }
    !skip { print }
    /^<!-- figures: / { begun = skip = 1; table() }
    END { if (!failed && !ended) fail(README " has no markers to write between"); exit failed }
' RUN="$run" README="$readme" "$run" "$readme" >"$written"

if [ -z "$check" ]; then
    cat "$written" >"$readme"
elif ! diff -u "$readme" "$written" >&2; then
    printf 'FAILED: the figures of %s are not those of %s; ci/figures.sh writes them\n' "$readme" "$run" >&2
    exit 1
fi
