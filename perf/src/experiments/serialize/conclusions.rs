//! What follows from the figures. Nothing here measures anything.

use ringproof_record::Record;

use crate::comparison::{Comparison, Line, Series, Unit, by_effect, list, times_as_long};
use crate::cost::published;
use crate::report::{LAYER, Report};
use crate::stats::{Effect, summarize};
use crate::table::{figure, spread};

/// What a format is with one size of message.
pub(super) struct Facts {
    pub(super) format: &'static str,
    /// Bytes of the message in memory.
    pub(super) size: usize,
    /// Bytes of its encoding.
    pub(super) bytes: usize,
    /// Values that do not come back.
    pub(super) lost: Vec<&'static str>,
    /// Whether it looks at bytes before it trusts them.
    pub(super) validates: bool,
}

/// What is timed of a format, in nanoseconds for each message: all of it encoded, decoded, its last
/// field, and that field of bytes that were not validated.
const TIMED: [&str; 4] = ["encode", "decode", "z alone", "z alone, bytes trusted"];
const ENCODE: usize = 0;
const DECODE: usize = 1;
const FIELD: usize = 2;
const TRUSTING: usize = 3;

/// Why there is no cost of a field of bytes that were not validated.
pub(super) const NEVER_VALIDATED: &str = "there is no other way: the format checks its length at \
                                          most, or reads every byte on the way";

/// What a published table of serialization methods says of its 32-byte message: format, lowest
/// and highest nanoseconds to encode, and to decode.
pub(super) const TUTORIAL: [(&str, [f64; 2], [f64; 2]); 5] = [
    ("raw copy", [2.0, 5.0], [2.0, 5.0]),
    ("hand-written offsets", [5.0, 15.0], [5.0, 15.0]),
    ("FlatBuffers", [10.0, 30.0], [1.0, 5.0]),
    ("Protobuf (prost)", [50.0, 150.0], [50.0, 150.0]),
    ("JSON (serde_json)", [200.0, 800.0], [300.0, 1000.0]),
];

/// Bytes of the message that this table is about.
const TUTORIALS: usize = 32;

/// The published ranges to encode, and to decode.
fn tutorial(facts: &Facts) -> Option<[[f64; 2]; 2]> {
    let mut lines = TUTORIAL.iter();
    let (_, encode, decode) =
        lines.find(|(format, ..)| facts.size == TUTORIALS && *format == facts.format)?;
    Some([*encode, *decode])
}

/// Tables, plots, rows and conclusions of all formats, by size, and of the empty loop.
pub(super) fn add(report: &mut Report, empty: Series, sizes: &[Comparison<Facts>]) {
    let mut around = Comparison::new(Unit::TIME, 0);
    around.add((), vec![empty]);
    let around = &around.lines[0];
    let row = around.row(0, "serialize/empty loop", "around every operation");
    report.rows.push(row);
    let around = around.value(0).map_or_else(|_| "some".to_owned(), spread);
    for of_size in sizes {
        add_size(report, &around, of_size);
    }
    let lines = sizes.iter().flat_map(|of_size| &of_size.lines);
    let lines = lines.flat_map(|line| {
        let ranges = tutorial(&line.of).into_iter().flatten().enumerate();
        ranges.filter_map(|(at, range)| {
            let what = format!("{}, {}", line.of.format, TIMED[at]);
            Some((what, line.values(at).ok()?, range))
        })
    });
    report.conclusions.extend(published::that_hold(lines));
}

/// The formats of one size, of which the first is what the others are compared with.
fn add_size(report: &mut Report, around: &str, all: &Comparison<Facts>) {
    let [raw, others @ ..] = &all.lines[..] else {
        return;
    };
    let size = raw.of.size;
    let mut columns = (all.columns())
        .words("format", |facts| facts.format)
        .figure("bytes", |facts| facts.bytes);
    for (at, name) in [(ENCODE, "encode, ns"), (DECODE, "decode, ns")] {
        columns = columns.value(name, at);
        if size == TUTORIALS {
            columns = columns.cells("published, ns", move |line| {
                published::cell(tutorial(&line.of).map(|ranges| ranges[at]))
            });
        }
    }
    let table = columns
        .value("z alone, ns", FIELD)
        .value("z, bytes trusted, ns", TRUSTING)
        .words("does not carry", |facts| facts.lost.join(", "));
    report.tables.push(table.table(format!(
        "{size} bytes; the empty loop of {around} ns is part of every figure:"
    )));
    for line in &all.lines {
        let facts = &line.of;
        let subject = format!("serialize/{}", facts.format);
        let check = |action: &str| format!("{action}, {size} bytes");
        let bytes = Record::passed(LAYER, &subject, check("encoded"));
        report.rows.push(bytes.count(facts.bytes as u64, "bytes"));
        for (at, action) in TIMED.into_iter().enumerate() {
            if line.series[at].is_ok() {
                let row = line.row(at, &subject, check(action));
                report.rows.push(row);
            }
        }
    }
    let name = |facts: &Facts, at: usize| {
        (at != TRUSTING).then(|| format!("{}, {}", facts.format, TIMED[at]))
    };
    let title = format!("Encodings of {size} bytes");
    report
        .plots
        .push(all.bars(title, "ns for each message", name));
    report.conclusions.extend(beside_raw(raw, others));
    report.conclusions.extend(one_field(size, &all.lines));
    report.conclusions.extend(validation(size, &all.lines));
}

/// What the formats cost in units of the first.
fn beside_raw(raw: &Line<Facts>, others: &[Line<Facts>]) -> Option<String> {
    // To encode and to decode, round by round.
    let both = |line: &Line<Facts>| -> Vec<f64> {
        let pairs = line.values(ENCODE).ok().zip(line.values(DECODE).ok());
        let pairs = pairs
            .into_iter()
            .flat_map(|(encode, decode)| encode.iter().zip(decode));
        pairs.map(|(encode, decode)| encode + decode).collect()
    };
    let reference = both(raw);
    let others: Vec<_> = others
        .iter()
        .map(|line| (line.of.format, both(line)))
        .collect();
    let others = others
        .iter()
        .map(|(format, both)| (*format, both.as_slice()));
    let compared = times_as_long(&reference, others)?;
    let (size, cost) = (raw.of.size, figure(summarize(&reference)?.median));
    Some(format!(
        "To encode and decode {size} bytes takes {cost} ns with {}; {compared}.",
        raw.of.format,
    ))
}

/// Which formats reach one field without the rest, and which do not.
fn one_field(size: usize, of_size: &[Line<Facts>]) -> Option<String> {
    let found = of_size.iter().map(|line| {
        let ratio = line.ratio(FIELD, DECODE).ok()?;
        let (format, share) = (line.of.format, ratio.of.median * 100.0);
        Some(match ratio.effect {
            Effect::Below => (format!("{format} {share:.0} %"), Effect::Below),
            Effect::Above => (format.to_owned(), Effect::None),
            effect => (format.to_owned(), effect),
        })
    });
    let [sooner, not, _] = by_effect(found.collect::<Option<Vec<_>>>()?)?;
    let rest = list(&not).map(|names| format!("no sooner than all of it: {names}"));
    let Some(names) = list(&sooner) else {
        return Some(format!("One field of {size} bytes is reached {}.", rest?));
    };
    let rest = rest.map_or(String::new(), |rest| format!("; {rest}"));
    Some(format!(
        "One field of {size} bytes takes, of the time to decode them: {names}{rest}."
    ))
}

/// What validation makes of the time to reach a field.
fn validation(size: usize, of_size: &[Line<Facts>]) -> Option<String> {
    let said = of_size.iter().filter_map(|line| {
        let trusting = line.beside(TRUSTING, FIELD).ok()?;
        trusting.faster().then_some(())?;
        Some(format!(
            "{} in {} ns instead of {}",
            line.of.format,
            figure(trusting.value.median),
            figure(line.value(FIELD).ok()?.median)
        ))
    });
    let said = list(&said.collect::<Vec<_>>())?;
    Some(format!(
        "Whoever trusts the bytes reaches the field of {size} without validation: {said}."
    ))
}
