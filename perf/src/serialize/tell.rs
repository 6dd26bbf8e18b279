//! What follows from the figures. Nothing here measures anything.

use ringproof_record::Record;

use super::REPEAT;
use crate::cost::tell::{beside, beside_tutorial, cell, list, printed, row};
use crate::plot::Plot;
use crate::report::{LAYER, Report};
use crate::stats::{Effect, effect, ratios, summarize};
use crate::table::{Cell, Table, figure, spread};

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

/// What it costs: nanoseconds for each message, round by round.
pub(super) struct Costs {
    pub(super) facts: Facts,
    pub(super) encode: Vec<f64>,
    pub(super) decode: Vec<f64>,
    pub(super) field: Vec<f64>,
    /// The field of bytes that nobody validated; `None` where nobody ever does.
    pub(super) trusting: Option<Vec<f64>>,
}

impl Costs {
    /// Takes what belongs to a format from the series, in the order of its works.
    pub(super) fn take(facts: Facts, series: &mut impl Iterator<Item = Vec<f64>>) -> Self {
        let mut next = || series.next().unwrap_or_default();
        Costs {
            encode: next(),
            decode: next(),
            field: next(),
            trusting: facts.validates.then(next),
            facts,
        }
    }

    fn both(&self) -> Vec<f64> {
        let pairs = self.encode.iter().zip(&self.decode);
        pairs.map(|(encode, decode)| encode + decode).collect()
    }
}

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

fn tutorial(facts: &Facts) -> Option<([f64; 2], [f64; 2])> {
    let mut lines = TUTORIAL.iter();
    let (_, encode, decode) =
        lines.find(|(format, ..)| facts.size == TUTORIALS && *format == facts.format)?;
    Some((*encode, *decode))
}

/// Tables, plots, conclusions and rows of all formats, of which the first of each size is what the
/// others are compared with.
pub(super) fn tell(report: &mut Report, empty: &[f64], all: &[Costs]) {
    let Some(around) = summarize(empty) else {
        return;
    };
    let loops = row("serialize/empty loop", "around every operation", empty);
    report.rows.push(loops.repeat(REPEAT));
    for of_size in all.chunk_by(|one, next| one.facts.size == next.facts.size) {
        let Some(first) = of_size.first() else {
            continue;
        };
        let size = first.facts.size;
        report.tables.push(table(
            format!(
                "{size} bytes; the empty loop of {} ns is part of every figure:",
                spread(around)
            ),
            of_size,
        ));
        report.plots.push(plot(size, of_size));
        report.rows.extend(of_size.iter().flat_map(rows));
        report.conclusions.extend(beside_raw(first, of_size));
        report.conclusions.extend(one_field(size, of_size));
        report.conclusions.extend(validation(size, of_size));
    }
    let lines = all.iter().filter_map(|costs| {
        let (encode, decode) = tutorial(&costs.facts)?;
        let named = |action| format!("{}, {action}", costs.facts.format);
        Some([
            (named("encode"), costs.encode.as_slice(), encode),
            (named("decode"), costs.decode.as_slice(), decode),
        ])
    });
    report.conclusions.extend(beside_tutorial(lines.flatten()));
}

fn table(heading: String, of_size: &[Costs]) -> Table {
    let ranges = of_size.iter().any(|costs| tutorial(&costs.facts).is_some());
    let mut columns = vec!["format", "bytes", "encode, ns"];
    let with_range = |columns: &mut Vec<_>| columns.extend(ranges.then_some("published, ns"));
    with_range(&mut columns);
    columns.push("decode, ns");
    with_range(&mut columns);
    columns.extend(["z alone, ns", "z, bytes trusted, ns", "does not carry"]);
    let mut table = Table::new(heading, columns);
    for costs in of_size {
        let facts = &costs.facts;
        let range = tutorial(facts);
        let range_cell = |range: Option<[f64; 2]>| {
            let cell = range.map(|range| Cell::figure(printed(range)));
            ranges.then(|| cell.unwrap_or_else(|| Cell::words("no figure")))
        };
        let mut cells = vec![
            Cell::words(facts.format),
            Cell::figure(facts.bytes.to_string()),
            cell(&costs.encode),
        ];
        cells.extend(range_cell(range.map(|(encode, _)| encode)));
        cells.push(cell(&costs.decode));
        cells.extend(range_cell(range.map(|(_, decode)| decode)));
        cells.push(cell(&costs.field));
        cells.push(match &costs.trusting {
            Some(series) => cell(series),
            None => Cell::missing(
                "there is no other way: the format checks its length at most, or reads every byte \
                 on the way",
            ),
        });
        cells.push(Cell::words(facts.lost.join(", ")));
        table.add(cells);
    }
    table
}

fn plot(size: usize, of_size: &[Costs]) -> Plot {
    let bars = of_size.iter().flat_map(|costs| {
        let named = |action: &str, series: &[f64]| {
            summarize(series).map(|summary| (format!("{}, {action}", costs.facts.format), summary))
        };
        [
            named("encode", &costs.encode),
            named("decode", &costs.decode),
            named("z alone", &costs.field),
        ]
    });
    Plot::Bars {
        title: format!("Encodings of {size} bytes"),
        x: "ns for each message".to_owned(),
        bars: bars.flatten().collect(),
    }
}

fn rows(costs: &Costs) -> Vec<Record> {
    let facts = &costs.facts;
    let subject = format!("serialize/{}", facts.format);
    let check = |action: &str| format!("{action}, {} bytes", facts.size);
    let mut rows = vec![
        Record::passed(LAYER, &subject, check("encoded")).count(facts.bytes as u64, "bytes"),
        row(&subject, check("encode"), &costs.encode),
        row(&subject, check("decode"), &costs.decode),
        row(&subject, check("z alone"), &costs.field),
    ];
    let trusting = costs.trusting.iter();
    rows.extend(trusting.map(|series| row(&subject, check("z alone, bytes trusted"), series)));
    rows.into_iter().map(|row| row.repeat(REPEAT)).collect()
}

/// What the formats cost in units of the first.
fn beside_raw(raw: &Costs, of_size: &[Costs]) -> Option<String> {
    let reference = raw.both();
    let both: Vec<_> = of_size.iter().skip(1).map(Costs::both).collect();
    let others = of_size.iter().skip(1).zip(&both);
    let others = others.map(|(costs, both)| (costs.facts.format, both.as_slice()));
    let compared = beside(&reference, others)?;
    let (size, unit) = (raw.facts.size, raw.facts.format);
    Some(format!(
        "To encode and decode {size} bytes takes {} ns with {unit}; {compared}.",
        figure(summarize(&reference)?.median),
    ))
}

/// Who reaches one field without the rest, and who does not.
fn one_field(size: usize, of_size: &[Costs]) -> Option<String> {
    let (mut sooner, mut not) = (Vec::new(), Vec::new());
    for costs in of_size {
        let by_round = ratios(&costs.field, &costs.decode);
        match effect(&by_round) {
            Effect::Below => {
                let share = summarize(&by_round)?.median * 100.0;
                sooner.push(format!("{} {share:.0} %", costs.facts.format));
            }
            Effect::None | Effect::Above => not.push(costs.facts.format.to_owned()),
            Effect::TooFewRounds => return None,
        }
    }
    let rest = list(&not).map(|names| format!("no sooner than all of it: {names}"));
    Some(match (list(&sooner), rest) {
        (Some(names), Some(rest)) => {
            format!("One field of {size} bytes takes, of the time to decode them: {names}; {rest}.")
        }
        (Some(names), None) => {
            format!("One field of {size} bytes takes, of the time to decode them: {names}.")
        }
        (None, rest) => format!("One field of {size} bytes is reached {}.", rest?),
    })
}

/// What validation makes of the time to reach a field.
fn validation(size: usize, of_size: &[Costs]) -> Option<String> {
    let said = of_size.iter().filter_map(|costs| {
        let trusting = costs.trusting.as_ref()?;
        (effect(&ratios(trusting, &costs.field)) == Effect::Below).then_some(())?;
        let (with, without) = (summarize(&costs.field)?, summarize(trusting)?);
        Some(format!(
            "{} in {} ns instead of {}",
            costs.facts.format,
            figure(without.median),
            figure(with.median)
        ))
    });
    let said = list(&said.collect::<Vec<_>>())?;
    Some(format!(
        "Whoever trusts the bytes reaches the field of {size} without validation: {said}."
    ))
}
