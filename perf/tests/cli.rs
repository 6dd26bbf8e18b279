//! The program as a person and as the driver see it.

use std::collections::BTreeSet;
use std::fs;
use std::process::{Command, Output};
use std::sync::{Mutex, PoisonError};
use std::thread;

use ringproof_record::affinity::{self, Cpus};
use ringproof_record::{EXIT_CODES, Exit, Record, Verdict, deadline};

/// One at a time: two experiments at once measure each other.
static ALONE: Mutex<()> = Mutex::new(());

fn perf(args: &[&str]) -> Output {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    Command::new(env!("CARGO_BIN_EXE_ringproof-perf"))
        .args(args)
        // Where it writes its pages, by default.
        .current_dir(env!("CARGO_TARGET_TMPDIR"))
        .output()
        .expect("the program starts")
}

/// The same, allowed one CPU only.
fn perf_on_one_cpu(args: &'static [&'static str]) -> Output {
    // A thread of its own: what it starts inherits its affinity, and nothing else does.
    let thread = thread::spawn(|| {
        let allowed = affinity::allowed(0).expect("this thread's CPUs");
        let first = allowed.iter().next().expect("at least one CPU");
        affinity::restrict(0, &Cpus::one(first)).expect("a smaller set is always allowed");
        (perf(args), first)
    });
    let (output, cpu) = thread.join().expect("the program ran");
    let said = text(&output);
    assert!(said.contains(&format!("only CPU {cpu}")), "{said}");
    output
}

fn text(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// The rows that a run printed, each of which must be one, and nothing else; it ends as they say.
fn rows(output: &Output) -> Vec<Record> {
    let rows: Vec<Record> = text(output)
        .lines()
        .map(|line| Record::from_line(line).unwrap_or_else(|error| panic!("{line}: {error}")))
        .collect();
    let expected = Exit::of(&rows).code().into();
    assert_eq!(output.status.code(), Some(expected), "{output:?}");
    for row in &rows {
        assert_eq!(row.layer, "perf", "{row:?}");
        assert_ne!(row.verdict, Verdict::Failed, "{row:?}");
        let reason = row.reason.as_deref().unwrap_or_default();
        let explained = !reason.is_empty() && row.count.is_none();
        assert!(row.verdict == Verdict::Passed || explained, "{row:?}");
        assert!(row.repeat.is_some(), "{row:?}");
    }
    rows
}

#[test]
fn help_says_what_there_is_and_what_the_exit_codes_mean() {
    let output = perf(&["--help"]);
    assert!(output.status.success());
    let said = text(&output);
    let all = "all limits false-sharing padding waiting peers latest ipc serialize dispatch smoke c-header";
    let commands = || all.split(' ');
    for word in commands().chain(["doctor", EXIT_CODES, "Examples"]) {
        assert!(said.contains(word), "{word} is missing in:\n{said}");
    }
    for experiment in commands() {
        let output = perf(&[experiment, "--help"]);
        assert!(output.status.success());
        assert!(text(&output).contains("--cpus"));
    }
}

#[test]
fn wrong_usage_has_its_own_exit_code() {
    for args in [
        &["nonsense"][..],
        &["peers", "--cpus", "0,0"],
        &["smoke", "--rounds", "0"],
        &[],
    ] {
        assert_eq!(perf(args).status.code(), Some(2), "{args:?}");
    }
}

#[test]
fn a_wrong_time_factor_is_wrong_usage() {
    let output = Command::new(env!("CARGO_BIN_EXE_ringproof-perf"))
        .arg("doctor")
        .env(deadline::VARIABLE, "0")
        .output()
        .expect("the program starts");
    assert_eq!(output.status.code(), Some(2), "{output:?}");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.contains(deadline::VARIABLE), "{said}");
}

#[test]
fn smoke_prints_a_row_for_everything() {
    let output = perf(&["smoke", "--json", "--seed", "7"]);
    assert!(output.stderr.is_empty(), "{output:?}");
    let rows = rows(&output);
    let about = |subject: &str| rows.iter().any(|row| row.subject.contains(subject));
    // Wherever two CPUs are to be had and stay where they are there is a row for each case and a
    // table for each experiment; where not, one row of the experiment that says why.
    let refused = |subject: &str| {
        let of = |row: &&Record| row.check == "ran" && row.subject.starts_with(subject);
        rows.iter().filter(of).count()
    };
    for subject in "ring/ words/ counter/ latch serialize dispatch ipc waiting/".split(' ') {
        let said = about(subject) || (subject == "words/" && refused("ring/index") > 0);
        assert!(said, "{subject} is missing in {rows:#?}");
    }
    let counters: BTreeSet<_> = (rows.iter().map(|row| row.subject.as_str()))
        .filter(|subject| subject.starts_with("counter/"))
        .collect();
    let tables = rows.iter().filter_map(|row| row.table.as_deref());
    let limits = tables.clone().filter(|table| table.starts_with("limits: "));
    assert!(limits.count() + refused("machine") > 0, "{rows:#?}");
    assert!(tables.count() + refused("") > 3, "{rows:#?}");
    assert_eq!(counters.len(), 10, "{counters:?}");
}

#[test]
fn on_one_cpu_it_says_so_and_does_not_fail() {
    let output = perf_on_one_cpu(&["smoke", "--json"]);
    assert_eq!(output.status.code(), Some(3), "{output:?}");
    let rows = rows(&output);
    let missing = rows.iter().filter(|row| row.verdict == Verdict::NotRun);
    assert!(missing.count() >= 3, "{rows:#?}");

    let output = perf_on_one_cpu(&["false-sharing", "--rounds", "1"]);
    assert_eq!(output.status.code(), Some(3), "{output:?}");
    assert!(text(&output).contains("Not measured here, because"));
}

#[test]
fn the_doctor_has_an_answer_wherever_it_runs() {
    let output = perf(&["doctor"]);
    // 3 where something cannot be measured; it never fails.
    assert!(matches!(output.status.code(), Some(0 | 3)), "{output:?}");
    let said = text(&output);
    // The machine, what was counted, what the counters are, and what this process may do.
    assert_eq!(said.matches("─\n").count(), 4, "{said}");
    for word in ["hypervisor", "cycles", "migrations", "pin two threads", "→"] {
        assert!(said.contains(word), "{word} is missing in:\n{said}");
    }
    for output in [
        perf(&["doctor", "--json"]),
        perf_on_one_cpu(&["doctor", "--json"]),
    ] {
        let rows = rows(&output);
        let about = |start: &str| {
            let those = rows.iter().filter(|row| row.subject.starts_with(start));
            those.count()
        };
        let about = ["counter/", "may/", "machine"].map(about);
        assert_eq!(about, [10, 4, 1]);
    }
}

#[test]
fn advice_comes_from_the_figures_that_are_there() {
    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a folder");
    let row = |name: &str, check: &str, count| {
        let row = Record::passed("perf", format!("ipc/{name}"), format!("{check}, 64 B"));
        row.count(count, "").to_line() + "\n"
    };
    let rows = [
        row("ring, one by one", "one-way latency", 150),
        row("ring, one by one", "messages a second", 20_000_000),
        row("pipe", "one-way latency", 15_000),
        row("pipe", "messages a second", 1_000_000),
    ];
    fs::write(folder.path().join("ipc.json"), rows.concat()).expect("rows");
    let out = folder.path().to_str().expect("a folder's name");
    let advice = |needs: &[&str]| {
        let output = perf(&[&["ipc", "--advise", "--out", out], needs].concat());
        assert!(output.status.success(), "{output:?}");
        text(&output)
    };
    assert!(advice(&[]).contains("→ ring, one by one: 0.15 µs"));
    let sleeping = advice(&["--rate", "5000", "--blocking"]);
    assert!(sleeping.contains("→ pipe: 15.0 µs"), "{sleeping}");
    let polls = "ring, one by one: its receiver polls";
    assert!(sleeping.contains(polls), "{sleeping}");
    assert_eq!(perf(&["ipc", "--size", "64"]).status.code(), Some(2));
}

#[test]
fn a_cpu_that_may_not_be_used_is_named() {
    let output = perf(&["latest", "--rounds", "1", "--cpus", "0,100000"]);
    assert_eq!(output.status.code(), Some(3), "{output:?}");
    assert!(text(&output).contains("CPU"), "{output:?}");
}

#[test]
fn an_experiment_prints_a_table_or_why_there_is_none() {
    for (experiment, words) in [
        ("false-sharing", ["256 B", "fetch_add", "cycles", "CPUs"]),
        (
            "padding",
            ["256 B", "SharedHeader", "on lines of its own", "CPUs"],
        ),
    ] {
        let output = perf(&[experiment, "--rounds", "1"]);
        let said = text(&output);
        // A counter that the machine lacks is no reason to show no table.
        assert!(matches!(output.status.code(), Some(0 | 3)), "{output:?}");
        if !said.contains("Not measured here, because") {
            for word in words {
                assert!(said.contains(word), "{word} is missing in:\n{said}");
            }
        }
    }
}
