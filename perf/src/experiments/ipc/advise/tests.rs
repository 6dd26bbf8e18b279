use ringproof_record::Record;

use super::*;
use crate::ipc::all;
use crate::report::{LAYER, says};

/// Rows of a mechanism that takes `latency` and carries `rate` at all sizes.
fn rows(name: &str, latency: u64, rate: u64) -> Vec<Record> {
    let row = |quantity: &str, size: usize, count: u64| {
        let subject = format!("{SUBJECT}{name}");
        Record::passed(LAYER, subject, format!("{quantity}, {size} B")).count(count, "")
    };
    let sizes = [64, 1024, 65_536].into_iter();
    sizes
        .flat_map(|size| [row(LATENCY, size, latency), row(RATE, size, rate)])
        .collect()
}

/// A machine on which each kind of mechanism is best at something.
fn machine() -> Vec<Known> {
    let rows: Vec<Record> = [
        rows("ring, one by one", 150, 20_000_000),
        rows("ring in a mapped file", 200, 15_000_000),
        rows("seqlock", 100, 1),
        rows("shm + futex", 16_000, 3_000_000),
        rows("Unix stream", 15_000, 700_000),
        rows("pipe", 14_500, 2_000_000),
        rows("file with OFD lock", 8_000, 50_000),
    ]
    .concat();
    known(&rows, all())
}

fn question() -> Question {
    Question {
        size: 64,
        rate: 1000,
        persistent: false,
        readers: 1,
        blocking: false,
        untrusted: false,
    }
}

type Change = fn(&mut Question);

/// A question that differs so from the usual one.
fn with(change: Change) -> Question {
    let mut question = question();
    change(&mut question);
    question
}

#[test]
fn each_need_changes_the_answer() {
    let needs: [(Change, &str); 7] = [
        (|_| (), "ring, one by one"),
        // Alike in latency with the futex and the socket, and carries more than the socket; no peer must
        // be trusted.
        (|needs| needs.blocking = true, "pipe"),
        (
            |needs| (needs.blocking, needs.rate) = (true, 2_500_000),
            "shm + futex",
        ),
        (
            |needs| (needs.blocking, needs.rate, needs.untrusted) = (true, 2_500_000, true),
            "none",
        ),
        (|needs| needs.untrusted = true, "ring, one by one"),
        (|needs| needs.persistent = true, "ring in a mapped file"),
        (
            |needs| (needs.readers, needs.rate) = (10, 3_000_000),
            "none",
        ),
    ];
    for (change, best) in needs {
        let advice = advise(with(change), &machine());
        assert_eq!(advice.fits.first().map_or("none", |fit| fit.name), best);
    }
}

#[test]
fn every_mechanism_fits_or_is_ruled_out_for_a_reason() {
    let needs = with(|needs| {
        (needs.persistent, needs.readers) = (true, 3);
        (needs.blocking, needs.untrusted) = (true, true);
    });
    let advice = advise(needs, &machine());
    assert!(advice.fits.is_empty());
    assert_eq!(advice.ruled_out.len(), machine().len());
    let said = advice.to_string();
    let nothing = "Nothing that was measured does";
    says(&said, &[nothing, "the latest message only"]);
    assert!(said.contains("pipe; ") || said.contains("; pipe"), "{said}");
}

#[test]
fn a_limit_that_was_met_rules_out_what_lies_beyond_what_was_measured() {
    let mut some = rows("POSIX message queue", 16_000, 900_000);
    some.retain(|row| !row.check.contains("65536"));
    for quantity in [LATENCY, RATE] {
        let subject = format!("{SUBJECT}POSIX message queue");
        let check = format!("{quantity}, 65536 B");
        some.push(Record::not_run(LAYER, subject, check, "of msgsize_max"));
    }
    let known = known(&some, all());
    let fits = |size| advise(Question { size, ..question() }, &known).fits.len();
    assert_eq!([64, 1024, 2048, 100_000].map(fits), [1, 1, 0, 0]);
    let advice = advise(with(|needs| needs.size = 2048), &known);
    assert_eq!(advice.ruled_out[0].1, "of msgsize_max");
}

#[test]
fn between_sizes_there_is_a_power_law_and_beyond_them_the_cost_of_a_byte() {
    let points = [(64, Ok(100.0)), (1024, Ok(1600.0))];
    let at = |size, per_byte| value(&points, size, per_byte).unwrap().round();
    assert_eq!(
        [1, 64, 256, 1024].map(|size| at(size, 1)),
        [100.0, 100.0, 400.0, 1600.0]
    );
    assert_eq!((at(2048, 1), at(2048, -1)), (3200.0, 800.0));
    assert!(value(&[], 64, 1).is_err());
}

#[test]
fn the_matrix_is_confirmed_or_contradicted() {
    let cases: [(Change, &[&str]); 4] = [
        (
            |_| (),
            &["a Unix domain socket", "with 100 times the latency"],
        ),
        (|needs| needs.rate = 1_000_000, &["the figures agree"]),
        (
            |needs| (needs.rate, needs.blocking, needs.untrusted) = (1_000_000, true, true),
            &["it does not do here (Unix stream: it carries less"],
        ),
        (
            |needs| needs.persistent = true,
            &["files for", "that does, too, with 40.0 times"],
        ),
    ];
    for (change, words) in cases {
        says(&advise(with(change), &machine()).to_string(), words);
    }
}

#[test]
fn rows_of_other_experiments_and_unknown_mechanisms_say_nothing() {
    let mut others = rows("carrier pigeon", 1, 1);
    others.push(Record::passed(LAYER, "ring/push, pop", "one-way latency, 64 B").count(1, "ns"));
    assert!(known(&others, all()).is_empty());
}
