//! Verdict, exit code, matrix and pages of made-up reports.

use std::{env, fs};

use ringproof_record::{Record, SiteRow, Verdict};
use ringproof_verify::layers::LAYERS;
use ringproof_verify::machine::Machine;
use ringproof_verify::report::{About, Outcome, REQUIRED_CELL, Ran, Report, Tally};
use ringproof_verify::{html, table};

fn site(name: &str, kind: &str, ordering: &str) -> SiteRow {
    SiteRow {
        name: name.to_owned(),
        kind: kind.to_owned(),
        ordering: ordering.to_owned(),
        partner: "RingObserve".to_owned(),
        why: "makes the slot's bytes visible before the index that announces them".to_owned(),
    }
}

fn sites() -> Vec<SiteRow> {
    vec![
        site("RingPublish", "store", "Release"),
        site("SeqEnter", "store", "Relaxed"),
        site("SeqFence", "fence", "Release"),
        site("RingSlotWrite", "slot write", "plain"),
    ]
}

/// Rows that fill every required cell, one list for each layer.
fn complete() -> Vec<Vec<Record>> {
    let mutant =
        |name: &str| Record::passed("loom", name, "mutant: Relaxed").count(12, "executions");
    let crash = |name: &str| Record::passed("crash", name, "crash before").count(3, "kills");
    vec![
        vec![
            mutant("RingPublish"),
            mutant("SeqFence"),
            Record::passed("loom", "RingSlotWrite", "race detection"),
            Record::passed("loom", "ring/wrap", "control")
                .count(15196, "executions")
                .reason("EXHAUSTED"),
        ],
        vec![Record::passed("shuttle", "ring/wrap", "control").count(5000, "schedules")],
        vec![
            crash("RingPublish"),
            crash("SeqEnter"),
            crash("SeqFence"),
            crash("RingSlotWrite"),
        ],
        vec![Record::passed("stream", "send and recv", "same SHA-256")],
        vec![Record::passed("asm", "push", "no call")],
        vec![Record::passed("perf", "false-sharing", "ran")],
    ]
}

fn about() -> About {
    About {
        commit: Some("0123456789abcdef0123456789abcdef01234567-dirty".to_owned()),
        machine: Machine {
            cpu: "Some CPU".to_owned(),
            cores: 2,
            kernel: "6.18.0".to_owned(),
            os: "Some Linux".to_owned(),
            rustc: "rustc 1.95.0".to_owned(),
        },
        seed: 7,
    }
}

fn ran(rows: Vec<Option<Vec<Record>>>) -> Vec<Ran> {
    LAYERS
        .iter()
        .zip(rows)
        .map(|(layer, rows)| Ran {
            name: layer.name.to_owned(),
            rows,
            seconds: 1.5,
        })
        .collect()
}

fn report(rows: Vec<Vec<Record>>, strict: bool) -> Report {
    Report::new(
        about(),
        sites(),
        ran(rows.into_iter().map(Some).collect()),
        strict,
    )
}

/// The report after `change`, and its exit code without and with `--strict`.
fn changed(change: impl Fn(&mut Vec<Vec<Record>>)) -> (Report, [u8; 2]) {
    let mut rows = complete();
    change(&mut rows);
    let codes = [false, true].map(|strict| report(rows.clone(), strict).verdict.exit_code());
    (report(rows, false), codes)
}

#[test]
fn a_complete_report_passes() {
    let (report, codes) = changed(|_| {});
    assert_eq!(codes, [0, 0]);
    assert_eq!(
        report.summary(),
        "PASSED: 12 checks, 0 failed, 0 not run, 9 s, seed 7"
    );
    assert!(
        report
            .layers
            .iter()
            .all(|layer| layer.verdict == Outcome::Passed)
    );
}

#[test]
fn one_failed_row_fails_the_whole() {
    let (report, codes) =
        changed(|rows| rows[4].push(Record::failed("asm", "pop", "no call", "a call")));
    assert_eq!(codes, [1, 1]);
    assert_eq!(report.verdict, Outcome::Failed);
    assert_eq!(report.layers[4].verdict, Outcome::Failed);
    assert_eq!(report.layers[3].verdict, Outcome::Passed);
    assert!(report.summary().starts_with("FAILED: 13 checks, 1 failed"));
}

#[test]
fn a_failure_outweighs_a_gap() {
    let (_, codes) = changed(|rows| {
        rows[2].remove(0);
        rows[4].push(Record::failed("asm", "pop", "no call", "a call"));
    });
    assert_eq!(codes, [1, 1]);
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
fn a_required_cell_that_says_it_did_not_run_is_a_gap() {
    let (_, codes) = changed(|rows| {
        rows[2][0] = Record::not_run("crash", "RingPublish", "crash before", "no memfd here");
    });
    assert_eq!(codes, [3, 3]);
}

#[test]
fn a_control_is_no_mutant() {
    let (_, codes) = changed(|rows| rows[0][0] = Record::passed("loom", "RingPublish", "control"));
    assert_eq!(codes, [3, 3]);
}

#[test]
fn an_ordering_unknown_here_is_required_too() {
    let mut sites = sites();
    sites[1].ordering = "Consume".to_owned();
    let report = Report::new(
        about(),
        sites,
        ran(complete().into_iter().map(Some).collect()),
        false,
    );
    assert_eq!(report.verdict.exit_code(), 3);
}

#[test]
fn a_row_that_did_not_run_counts_only_when_strict() {
    let (report, codes) = changed(|rows| {
        rows[5].push(Record::not_run(
            "perf",
            "counters",
            "cycles",
            "no PMU driver",
        ));
    });
    assert_eq!(codes, [0, 3]);
    assert_eq!(report.tally().not_run, 1);
}

#[test]
fn only_selected_layers_are_required() {
    let rows = complete()
        .into_iter()
        .enumerate()
        .map(|(index, rows)| (index == 4).then_some(rows));
    let report = Report::new(about(), sites(), ran(rows.collect()), true);
    assert_eq!(report.verdict.exit_code(), 0);
    assert_eq!(report.layers[0].verdict, Outcome::NotRun);
    assert!(
        report
            .empty_cells()
            .contains(&("loom", 4, "it was not selected"))
    );
}

#[test]
fn nothing_selected_has_not_passed() {
    let report = Report::new(about(), sites(), ran(vec![None; LAYERS.len()]), false);
    assert_eq!(report.verdict.exit_code(), 3);
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
    assert_eq!(symbols[0].1, ["✓ 1 – 1", "·", "✓ 1", "·", "·", "·"]);
    assert_eq!(symbols[1].1, ["·", "·", "✗ 1 ✓ 1", "·", "·", "·"]);
    // Each column with an empty cell is explained.
    let explained: Vec<&str> = report
        .empty_cells()
        .iter()
        .map(|(layer, _, _)| *layer)
        .collect();
    assert_eq!(explained, ["loom", "shuttle", "stream", "asm", "perf"]);
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
    assert_eq!(table::tried(control), "17,196 executions");
    assert_eq!(table::how_far(control), "1 × BOUNDED(2), 2 × EXHAUSTED");
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
        "schema", "commit", "machine", "seed", "verdict", "layers", "sites", "results",
    ];
    assert_eq!(keys.len(), contract.len());
    assert!(contract.iter().all(|key| keys.contains(key)), "{keys:?}");
    assert_eq!(json["verdict"], "passed");
    assert_eq!(json["layers"][0]["name"], "loom");
    assert_eq!(serde_json::from_value::<Report>(json).unwrap(), report);
}

#[test]
fn the_verdict_is_the_last_thing_that_failures_and_reasons_lead_to() {
    let (report, _) = changed(|rows| {
        rows[2].remove(0);
        rows[4].push(
            Record::failed("asm", "pop", "no call", "found\n  call memcpy").repeat("ci/asm.sh"),
        );
    });
    let text = table::render(&report);
    for part in [
        "FAILED   asm  pop  no call",
        "call memcpy",
        "repeat: ci/asm.sh",
        "NOT RUN  crash",
        "RingPublish",
    ] {
        assert!(text.contains(part), "{part} is missing in\n{text}");
    }
}

/// A report that shows everything at once. With `RINGPROOF_PAGE=file.html` the page is kept, to be
/// looked at.
#[test]
fn the_page_stands_alone_and_escapes_what_it_shows() {
    let mut rows = complete();
    rows[2].remove(1);
    rows[4].push(
        Record::failed(
            "asm",
            "<script>alert(1)</script>",
            "no call",
            "found\n  call \"a\" & <b>",
        )
        .repeat("ci/asm.sh --json"),
    );
    rows[5].push(Record::not_run(
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
    for shown in [
        "call &quot;a&quot; &amp; &lt;b&gt;",
        "0123456789abcdef",
        "rustc 1.95.0",
        "RingPublish",
    ] {
        assert!(page.contains(shown), "{shown} is missing");
    }
    if let Some(file) = env::var_os("RINGPROOF_PAGE") {
        fs::write(file, page).unwrap();
    }
}

/// A sum of nanoseconds would be a number that nobody measured.
#[test]
fn measurements_are_not_added_up() {
    let (report, _) = changed(|rows| {
        let perf = rows.last_mut().expect("the last layer is perf");
        for (subject, time) in [("seqlock/read", 2), ("latch/read", 30)] {
            perf.push(Record::passed("perf", subject, "32 bytes").count(time, "ns each"));
        }
    });
    let groups = report.other_rows();
    let times = groups.iter().find(|group| group.kind == "32 bytes");
    assert_eq!(table::tried(times.unwrap()), "2 to 30 ns each");
}
