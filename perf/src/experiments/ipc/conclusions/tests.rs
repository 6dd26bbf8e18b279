use super::super::mechanism::Nature;
use super::*;
use crate::report::{Report, omits, says};
use crate::rounds::Rounds;

const NATURE: Nature = Nature::THROUGH_THE_KERNEL;

/// A line with five rounds about `ns` and `rate`, with so many calls and sleeps a message.
fn line(name: &'static str, ns: f64, rate: f64, system_calls: f64, sleeps: f64) -> Line {
    let around = |value: f64| {
        [0.98, 1.0, 1.01, 0.99, 1.02]
            .map(|share| share * value)
            .to_vec()
    };
    Line {
        name,
        nature: NATURE,
        latency: Ok(around(ns)),
        rate: Ok(around(rate)),
        system_calls: Ok(system_calls),
        sleeps: Some(sleeps),
    }
}

fn reported(lines: Vec<Line>) -> Report {
    let rounds = Rounds {
        latency: Some(100.0),
        ..Rounds::default()
    };
    let measured = Measured {
        size: 64,
        lines,
        rounds,
    };
    Report::recorded(|report| add(report, &[measured]))
}

fn conclusion<'a>(report: &'a Report, about: &str) -> &'a str {
    let all = &report.conclusions;
    let found = all.iter().find(|text| text.contains(about));
    found.unwrap_or_else(|| panic!("`{about}` is in none of {all:#?}"))
}

#[test]
fn what_staying_out_of_the_kernel_gains_is_named_and_judged() {
    for (pipe, words) in [
        (10_000.0, &["100.0 times", "within the 10–1000 times"][..]),
        (300.0, &["less than the 10–1000 times"]),
        (101.0, &["gains nothing that stands out of the noise"]),
        (50.0, &["LOSES"]),
    ] {
        let ring = line("ring, one by one", 100.0, 2e7, 0.0, 0.0);
        let report = reported(vec![ring, line("pipe", pipe, 1e6, 2.0, 1.0)]);
        let said = conclusion(&report, "out of the kernel");
        says(said, words);
    }
}

#[test]
fn nothing_is_said_of_the_kernel_where_nothing_goes_through_it() {
    let report = reported(vec![line("ring, one by one", 100.0, 2e7, 0.0, 0.0)]);
    omits(&report.render(), &["out of the kernel", "waking"]);
}

#[test]
fn a_waking_that_outweighs_the_mechanism_is_named() {
    let sleepers = |latencies: [f64; 4]| {
        let mut lines = vec![line("file with OFD lock", 8_000.0, 4e4, 24.0, 0.0)];
        let names = ["pipe", "FIFO", "Unix stream", "TCP loopback"];
        let named = names.iter().zip(latencies);
        lines.extend(named.map(|(name, ns)| line(name, ns, 1e6, 2.0, 1.0)));
        reported(lines)
    };
    let report = sleepers([15_000.0, 16_000.0, 20_000.0, 45_000.0]);
    let polls = "polls, by 24 system calls a message";
    says(
        conclusion(&report, "waking"),
        &["3 lie within twice of 15.0 µs", polls],
    );

    let report = sleepers([5_000.0, 16_000.0, 20_000.0, 45_000.0]);
    conclusion(&report, "more than the waking is between them");
}

#[test]
fn ranges_hold_or_not_and_the_farthest_is_named() {
    let report = reported(vec![
        line("pipe", 5_000.0, 1e6, 2.0, 1.0),
        line("POSIX message queue", 30_000.0, 3e5, 2.0, 1.0),
    ]);
    // The pipe within 2–8 µs, not about 27.3; the queue neither within 1–5 µs nor, just, about 14.7.
    let (hold, farthest) = (
        "1 of 2 of A, 0 of 2 of C",
        "POSIX message queue lies 6.00 times above A",
    );
    let said = conclusion(&report, "ranges of one-way latency");
    says(said, &[hold, farthest]);
    // 1 million a second is above both; 300,000 within A.
    says(conclusion(&report, "ranges of messages a second"), &[hold]);
    let table = report.tables[0].to_string();
    says(&table, &["A 2–8: within", "A 100–500: above"]);

    let report = reported(vec![line("something new", 5_000.0, 1e6, 2.0, 1.0)]);
    omits(&report.render(), &["ranges of"]);
}

#[test]
fn what_is_missing_says_why_and_what_broke_has_failed() {
    let mut refused = line("POSIX message queue", 0.0, 0.0, 0.0, 0.0);
    refused.latency = Err(Trouble::NotRun("of a limit".to_owned()));
    refused.rate = refused.latency.clone();
    let mut broken = line("pipe", 0.0, 0.0, 0.0, 0.0);
    broken.latency = Err(Trouble::Failed("message 3 is corrupted".to_owned()));
    broken.rate = broken.latency.clone();
    let mut uncounted = line("FIFO", 9_000.0, 1e5, 0.0, 1.0);
    uncounted.system_calls = Err("the kernel does not count".to_owned());
    let report = reported(vec![refused, broken, uncounted]);
    let words = [
        "not measured here, because of a limit",
        "FAILED: message 3 is corrupted",
        "2 by design",
        "not counted, because the kernel does not count",
    ];
    says(&report.render(), &words);
    use ringproof_record::Verdict::{Failed, NotRun, Passed};
    let rows = || report.rows.iter();
    let count = |verdict| rows().filter(|row| row.verdict == verdict).count();
    // One passed row more reports the conditions.
    assert_eq!((count(NotRun), count(Failed), count(Passed)), (2, 2, 3));
}

#[test]
fn rows_carry_the_median() {
    let report = reported(vec![line("pipe", 5_000.0, 1e6, 2.0, 1.0)]);
    let row = |check: &str| report.rows.iter().find(|row| row.check == check).unwrap();
    assert_eq!(row("one-way latency, 64 B").count, Some(5_000));
    assert_eq!(row("messages a second, 64 B").count, Some(1_000_000));
    assert_eq!(row("one-way latency, 64 B").subject, "ipc/pipe");
}
