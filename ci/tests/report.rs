//! Verdict, exit code, matrix and pages of made-up reports.

mod made_up;

use std::{env, fs};

use made_up::{about, complete, place, program, ran, report, sites};
use ringproof_record::{Record, Verdict};
use ringproof_verify::layers::LAYERS;
use ringproof_verify::report::{LayerResult, Outcome, REQUIRED_CELL, Report, Tally};
use ringproof_verify::{html, terminal};

#[track_caller]
fn assert_contains(text: &str, parts: &[&str]) {
    for part in parts {
        assert!(text.contains(part), "{part} is missing in\n{text}");
    }
}

/// The report after `change`, and its exit code without and with `--strict`.
fn changed(change: impl Fn(&mut Vec<Vec<Record>>)) -> (Report, [u8; 2]) {
    let mut rows = complete();
    change(&mut rows);
    let codes = [false, true].map(|strict| report(rows.clone(), strict).verdict.exit().code());
    (report(rows, false), codes)
}

#[test]
fn a_complete_report_passes() {
    let (report, codes) = changed(|_| {});
    assert_eq!(codes, [0, 0]);
    assert_eq!(
        report.summary(),
        "PASSED: 20 checks, 0 failed, 0 not run, 20 s, seed 7"
    );
    let passed = |layer: &LayerResult| layer.verdict == Outcome::Passed;
    assert!(report.layers.iter().all(passed));
}

#[test]
fn a_report_says_how_to_run_the_layers_that_ran_again() {
    let whole = report(complete(), false);
    assert_eq!(whole.command(), "cargo verify --seed 7");
    let mut rows: Vec<_> = complete().into_iter().map(|_| None).collect();
    for layer in ["stream", "asm"] {
        rows[place(layer)] = Some(complete()[place(layer)].clone());
    }
    let two = Report::new(about(), sites(), ran(rows), false);
    let command = "cargo verify --seed 7 --layer stream --layer asm";
    assert_eq!(two.command(), command);
    assert!(html::render(&two).contains(command));
}

#[test]
fn one_failed_row_fails_the_whole() {
    let (report, codes) =
        changed(|rows| rows[place("asm")].push(Record::failed("asm", "pop", "no call", "a call")));
    assert_eq!(codes, [1, 1]);
    assert_eq!(report.verdict, Outcome::Failed);
    assert_eq!(report.layers[place("asm")].verdict, Outcome::Failed);
    assert_eq!(report.layers[place("stream")].verdict, Outcome::Passed);
    assert!(report.summary().starts_with("FAILED: 21 checks, 1 failed"));
}

#[test]
fn each_required_cell_is_required() {
    // Layer and row whose loss leaves a cell empty, and the site of that cell.
    let required = [
        (0, 0, "RingPublish"),
        (0, 1, "SeqFence"),
        (0, 2, "RingSlotWrite"),
        (2, 0, "RingPublish"),
        (2, 1, "SeqEnter"),
        (2, 2, "SeqFence"),
        (2, 3, "RingSlotWrite"),
        (2, 4, "SeqResume"),
        (place("hostile"), 0, "SeqResume"),
    ];
    for (layer, row, site) in required {
        let (report, codes) = changed(|rows| {
            rows[layer].remove(row);
        });
        assert_eq!(codes, [3, 3], "{site} in {}", LAYERS[layer].name);
        assert_eq!(report.layers[layer].verdict, Outcome::Incomplete);
        let gap = report
            .results
            .iter()
            .find(|row| row.check == REQUIRED_CELL)
            .unwrap();
        assert_eq!((gap.subject.as_str(), gap.verdict), (site, Verdict::NotRun));
    }
}

#[test]
fn failures_outweigh_gaps_and_only_strict_counts_what_is_not_required() {
    type Change = fn(&mut Vec<Vec<Record>>);
    // What changes, and the exit codes without and with `--strict`.
    let changes: [(Change, _); 4] = [
        // A failure beside a gap.
        (
            |rows| {
                rows[2].remove(0);
                rows[place("asm")].push(Record::failed("asm", "pop", "no call", "a call"));
            },
            [1, 1],
        ),
        // A required cell that says that it did not run.
        (
            |rows| rows[2][0] = Record::not_run("crash", "RingPublish", "crash before", "no memfd"),
            [3, 3],
        ),
        // A control is no mutant.
        (
            |rows| rows[0][0] = Record::passed("loom", "RingPublish", "control"),
            [3, 3],
        ),
        (
            |rows| {
                rows[place("perf")].push(Record::not_run("perf", "counters", "cycles", "no PMU"))
            },
            [0, 3],
        ),
    ];
    for (change, expected) in changes {
        assert_eq!(changed(change).1, expected);
    }
    assert_eq!(changed(changes[3].0).0.tally().not_run, 1);
}

#[test]
fn an_ordering_unknown_here_is_required_too() {
    let mut sites = sites();
    sites[1].ordering = "Consume".to_owned();
    let rows = complete().into_iter().map(Some).collect();
    let report = Report::new(about(), sites, ran(rows), false);
    assert_eq!(report.verdict.exit().code(), 3);
}

#[test]
fn only_selected_layers_are_required() {
    let rows = complete()
        .into_iter()
        .enumerate()
        .map(|(index, rows)| (index == place("asm")).then_some(rows));
    let report = Report::new(about(), sites(), ran(rows.collect()), true);
    assert_eq!(report.verdict.exit().code(), 0);
    assert_eq!(report.layers[0].verdict, Outcome::NotRun);
    let empty = report.empty_cells();
    assert!(empty.contains(&("loom", 5, "it was not selected")));
}

#[test]
fn nothing_selected_has_not_passed() {
    let report = Report::new(about(), sites(), ran(vec![None; LAYERS.len()]), false);
    assert_eq!(report.verdict.exit().code(), 3);
}

#[test]
fn the_matrix_is_a_pivot_of_the_rows() {
    let (report, _) = changed(|rows| {
        rows[2].push(Record::failed("crash", "SeqEnter", "crash after", "torn"));
        rows[0].push(Record::not_run(
            "loom",
            "RingPublish",
            "mutant: Acquire",
            "a store has none",
        ));
    });
    let symbols: Vec<(String, Vec<String>)> = report
        .matrix()
        .into_iter()
        .map(|(site, cells)| (site.name.clone(), cells.iter().map(Tally::symbol).collect()))
        .collect();
    assert_eq!(symbols[0].0, "RingPublish");
    assert_eq!(symbols[0].1[..4], ["✓ 1 – 1", "·", "✓ 1", "·"]);
    assert_eq!(symbols[1].1[..4], ["·", "·", "✗ 1 ✓ 1", "·"]);
    // Each column with an empty cell is explained.
    let empty = report.empty_cells();
    let explained: Vec<_> = empty.iter().map(|(layer, _, _)| *layer).collect();
    // Every site has a row of crash.
    let others = LAYERS.iter().map(|layer| layer.name);
    let others: Vec<_> = others.filter(|layer| *layer != "crash").collect();
    assert_eq!(explained, others);
}

#[test]
fn what_rows_about_no_site_found_is_listed() {
    let found = "59 of 59 instructions, 4 distinct states";
    let (report, _) = changed(|rows| {
        rows[place("crash")].extend([
            Record::passed("crash", "ring/push", "every instruction: snapshots").reason(found),
            // Of a site, of a model, and nothing but a word.
            Record::passed("crash", "SeqFence", "crash after").reason("in two words"),
            Record::passed("loom", "ring/wrap", "witness: full").reason("in two words"),
            Record::passed("crash", "ring/pop", "every instruction: kills").reason("EXHAUSTED"),
        ]);
    });
    let listed: Vec<_> = (report.findings().iter())
        .map(|row| row.reason.as_deref())
        .collect();
    assert_eq!(listed, [Some(found)]);
    assert!(html::render(&report).contains(found));
}

#[test]
fn rows_that_are_about_no_site_are_grouped_by_layer_and_kind() {
    let (report, _) = changed(|rows| {
        for (model, reason) in [("ring/two", "EXHAUSTED"), ("ring/nine", "BOUNDED(2)")] {
            rows[0].push(
                Record::passed("loom", model, "control")
                    .count(1000, "executions")
                    .reason(reason),
            );
            rows[0].push(Record::passed("loom", model, "witness: saw full").count(3, "times"));
        }
    });
    let groups = report.other_rows();
    let control = groups.iter().find(|group| group.kind == "control").unwrap();
    assert_eq!(control.subjects.len(), 3);
    let text = terminal::render(&report);
    let parts = ["17,196 executions", "1 × BOUNDED(2), 2 × EXHAUSTED"];
    assert_contains(&text, &parts);
    assert_eq!(
        groups.iter().filter(|group| group.layer == "loom").count(),
        2
    );
}

#[test]
fn the_json_is_the_contract_and_reads_back() {
    let (report, _) = changed(|_| {});
    let json = serde_json::to_value(&report).unwrap();
    let keys: Vec<&str> = json
        .as_object()
        .unwrap()
        .keys()
        .map(String::as_str)
        .collect();
    let contract = [
        "schema", "commit", "machine", "seed", "nightly", "part", "verdict", "layers", "sites",
        "results",
    ];
    assert_eq!(keys.len(), contract.len());
    assert!(contract.iter().all(|key| keys.contains(key)), "{keys:?}");
    assert_eq!(json["verdict"], "passed");
    assert_eq!(json["layers"][0]["name"], "loom");
    let program = program("loom");
    let file = &json["layers"][0]["programs"][0];
    assert_eq!(file["path"], program.path);
    assert_eq!(file["sha256"], program.sha256);
    assert_eq!(serde_json::from_value::<Report>(json).unwrap(), report);
}

#[test]
fn every_program_is_named_with_its_hash() {
    let (mut report, _) = changed(|_| {});
    // Two layers may be one program.
    report.layers[place("stream")].programs = vec![program("crash")];
    let named = report.programs();
    assert_eq!(named[&program("crash")], ["crash", "stream"]);
    let [text, page] = [terminal::render(&report), html::render(&report)];
    for program in named.keys() {
        for shown in [&text, &page] {
            assert_contains(shown, &[&program.path, &program.sha256]);
        }
    }
    assert_contains(&text, &["target/debug/crash (crash, stream)"]);
}

#[test]
fn the_verdict_is_the_last_thing_that_failures_and_reasons_lead_to() {
    let (report, _) = changed(|rows| {
        rows[2].remove(0);
        rows[place("asm")].push(
            Record::failed("asm", "pop", "no call", "found\n  call memcpy").repeat("ci/asm.sh"),
        );
    });
    let text = terminal::render(&report);
    let parts = [
        "FAILED   asm  pop  no call",
        "call memcpy",
        "repeat: ci/asm.sh",
        "NOT RUN  crash",
        "RingPublish",
    ];
    assert_contains(&text, &parts);
}

/// A report that shows everything at once. With `RINGPROOF_PAGE=file.html` the page is kept, to be
/// looked at.
#[test]
fn the_page_stands_alone_and_escapes_what_it_shows() {
    let mut rows = complete();
    rows[2].remove(1);
    rows[place("asm")].push(
        Record::failed(
            "asm",
            "<script>alert(1)</script>",
            "no call",
            "found\n  call \"a\" & <b>",
        )
        .repeat("ci/asm.sh --json"),
    );
    rows[place("perf")].push(Record::not_run(
        "perf",
        "cycles",
        "counter",
        "no PMU driver: ENOENT",
    ));
    let page = html::render(&report(rows, false));
    assert!(page.starts_with("<!DOCTYPE html>"));
    assert!(!page.contains("<script") && !page.contains("<b>"));
    for outside in ["http://", "https://", "src=", "@import", "url("] {
        assert!(
            !page.contains(outside),
            "the page reaches outside: {outside}"
        );
    }
    let parts = [
        "call &quot;a&quot; &amp; &lt;b&gt;",
        "0123456789abcdef",
        "rustc 1.95.0",
        "RingPublish",
    ];
    assert_contains(&page, &parts);
    if let Some(file) = env::var_os("RINGPROOF_PAGE") {
        fs::write(file, page).unwrap();
    }
}

const TRACE: &str =
    "producer            │ consumer\n\n            RingFill │\n                    │ RingTake";

#[test]
fn an_execution_is_shown_as_it_is_where_a_check_failed() {
    let (report, _) = changed(|rows| {
        rows[0].push(Record::passed("loom", "SeqFence", "mutant: no fence").trace("quiet"));
        rows[0].push(Record::failed("loom", "ring/two", "control", "a race").trace(TRACE));
    });
    let text = terminal::render(&report);
    for line in TRACE.lines() {
        assert_contains(&text, &[&format!("         {line}\n")]);
    }
    assert!(!text.contains("quiet"));

    let page = html::render(&report);
    let card = format!("a race</p><pre>{TRACE}</pre>");
    let folded = "<details><summary>the execution</summary><pre>quiet</pre></details>";
    assert_contains(&page, &[&card, folded]);
}

/// Some rows of a layer with models; the report has room for them when it is the only one.
#[test]
fn tables_are_shown_as_they_were_printed() {
    let table = "limits: what there is\n\n  load <  0.3\n";
    let (with, _) = changed(|rows| {
        rows[0].push(Record::passed("perf", "machine/cost", "load").table(table));
    });
    let page = html::render(&with);
    assert_contains(
        &page,
        &["limits: what there is</summary>", "  load &lt;  0.3\n"],
    );
    let (without, _) = changed(|_| ());
    assert!(!html::render(&without).contains("<h2>Tables</h2>"));
}

fn models() -> Vec<Record> {
    vec![
        Record::passed("loom", "ring/two", "control")
            .count(15_196, "executions")
            .reason("EXHAUSTED"),
        Record::passed("loom", "ring/two", "witness: saw full").count(1234, "times"),
        Record::passed("loom", "ring/two", "also witnessed: saw empty").count(5, "times"),
        Record::passed("loom", "ring/two", "crash points").count(17, "sites"),
        Record::passed("loom", "ring/nine", "control")
            .count(100, "executions")
            .reason("BOUNDED(2)"),
        Record::failed("loom", "ring/nine", "witness: wrapped", "never witnessed")
            .count(0, "times"),
        Record::passed("loom", "RingPublish", "mutant: Relaxed")
            .count(12, "executions")
            .reason("killed in ring/two: a race"),
        Record::passed("loom", "RingPublish", "control")
            .count(15_296, "executions")
            .reason("Release in 2 models"),
        Record::passed("loom", "textbook ring", "specimen")
            .count(3, "executions")
            .reason("caught: full is never seen"),
    ]
}

#[test]
fn the_models_of_a_selected_layer_are_listed() {
    let rows = vec![Some(models()), None, None, None, None, None];
    let report = Report::new(about(), sites(), ran(rows), false);
    let text = terminal::render(&report);
    for line in [
        "ring/two  passed EXHAUSTED 15,196 executions saw full 1,234, also saw empty 5, ✓ crash points (17 sites)",
        "ring/nine failed BOUNDED(2) 100 executions ✗ wrapped 0",
        "RingPublish mutant: Relaxed passed 12 executions killed in ring/two: a race",
        "textbook ring specimen passed 3 executions caught: full is never seen",
        "loom: 15,311 executions",
    ] {
        let words = |line: &str| line.split_whitespace().collect::<Vec<_>>().join(" ");
        let expected = words(line);
        assert!(
            text.lines().any(|line| words(line) == expected),
            "`{line}` is missing in\n{text}"
        );
    }
    // A sum over models is no model, and nothing that was done to one.
    assert_eq!(text.matches("Release in 2 models").count(), 0);
}

#[test]
fn without_the_table_of_sites_nothing_is_added_up() {
    let rows = vec![Some(models()), None, None, None, None, None];
    let report = Report::new(about(), Vec::new(), ran(rows), false);
    assert!(report.totals().is_empty());
    assert!(!terminal::render(&report).contains("saw full 1,234"));
}

#[test]
fn a_whole_run_lists_its_models_on_the_page_only() {
    let (report, _) = changed(|rows| rows[0] = models());
    assert!(!terminal::render(&report).contains("saw full 1,234"));
    let page = html::render(&report);
    assert!(page.contains("Models: loom") && page.contains("saw full<span"));
    assert!(!page.contains("Models: asm"));
}

/// A sum of nanoseconds would be meaningless.
#[test]
fn measurements_are_not_added_up() {
    let (report, _) = changed(|rows| {
        let perf = rows.last_mut().expect("the last layer is perf");
        for (subject, time) in [("seqlock/read", 2), ("latch/read", 30)] {
            perf.push(Record::passed("perf", subject, "32 bytes").count(time, "ns each"));
        }
    });
    let text = terminal::render(&report);
    assert!(text.contains("2 to 30 ns each"), "{text}");
}
