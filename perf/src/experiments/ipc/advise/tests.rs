use ringproof_record::Record;

use super::*;
use crate::ipc::all;
use crate::report::LAYER;

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
        rate: 1000.0,
        persistent: false,
        readers: 1,
        blocking: false,
        untrusted: false,
    }
}

fn best(question: Question) -> &'static str {
    let advice = advise(question, &machine());
    advice.fits.first().map_or("none", |fit| fit.name)
}

#[test]
fn each_need_changes_the_answer() {
    let plain = question();
    assert_eq!(best(plain), "ring, one by one");
    let blocking = Question {
        blocking: true,
        ..plain
    };
    // Alike in latency with the futex and the socket, and carries more than the socket; nobody must
    // be trusted.
    assert_eq!(best(blocking), "pipe");
    assert_eq!(
        best(Question {
            rate: 2_500_000.0,
            ..blocking
        }),
        "shm + futex"
    );
    assert_eq!(
        best(Question {
            rate: 2_500_000.0,
            untrusted: true,
            ..blocking
        }),
        "none"
    );
    assert_eq!(
        best(Question {
            untrusted: true,
            ..plain
        }),
        "ring, one by one"
    );
    let persistent = Question {
        persistent: true,
        ..plain
    };
    assert_eq!(best(persistent), "ring in a mapped file");
    assert_eq!(
        best(Question {
            readers: 10,
            rate: 3e6,
            ..plain
        }),
        "none"
    );
}

#[test]
fn every_mechanism_fits_or_is_ruled_out_for_a_reason() {
    let needs = Question {
        persistent: true,
        readers: 3,
        blocking: true,
        untrusted: true,
        ..question()
    };
    let advice = advise(needs, &machine());
    assert!(advice.fits.is_empty());
    assert_eq!(advice.ruled_out.len(), machine().len());
    let said = advice.to_string();
    assert!(said.contains("Nothing that was measured does"), "{said}");
    assert!(said.contains("pipe; ") || said.contains("; pipe"), "{said}");
    assert!(said.contains("the latest message only"), "{said}");
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
    assert_eq!(
        (fits(64), fits(1024), fits(2048), fits(100_000)),
        (1, 1, 0, 0)
    );
    let advice = advise(
        Question {
            size: 2048,
            ..question()
        },
        &known,
    );
    assert_eq!(advice.ruled_out[0].1, "of msgsize_max");
}

#[test]
fn between_sizes_there_is_a_power_law_and_beyond_them_the_cost_of_a_byte() {
    let points = [(64, Ok(100.0)), (1024, Ok(1600.0))];
    let at = |size, per_byte| value(&points, size, per_byte).unwrap().round();
    assert_eq!(
        (at(1, 1), at(64, 1), at(256, 1), at(1024, 1)),
        (100.0, 100.0, 400.0, 1600.0)
    );
    assert_eq!((at(2048, 1), at(2048, -1)), (3200.0, 800.0));
    assert!(value(&[], 64, 1).is_err());
}

#[test]
fn the_matrix_is_confirmed_or_contradicted() {
    let said = |question| advise(question, &machine()).to_string();
    let modest = said(question());
    assert!(modest.contains("a Unix domain socket"), "{modest}");
    assert!(modest.contains("with 100 times the latency"), "{modest}");
    let much = said(Question {
        rate: 1e6,
        ..question()
    });
    assert!(much.contains("the figures agree"), "{much}");
    let socket = said(Question {
        rate: 1e6,
        blocking: true,
        untrusted: true,
        ..question()
    });
    assert!(
        socket.contains("it does not do here (Unix stream: it carries less"),
        "{socket}"
    );
    let file = said(Question {
        persistent: true,
        ..question()
    });
    assert!(file.contains("files for"), "{file}");
    assert!(file.contains("that does, too, with 40.0 times"), "{file}");
}

#[test]
fn rows_of_other_experiments_and_unknown_mechanisms_say_nothing() {
    let mut others = rows("carrier pigeon", 1, 1);
    others.push(Record::passed(LAYER, "ring/push, pop", "one-way latency, 64 B").count(1, "ns"));
    assert!(known(&others, all()).is_empty());
}
