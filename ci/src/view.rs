//! What a report shows, whether on a terminal or as a page: tables whose columns say what they hold.
//! [`terminal`](crate::terminal) and [`html`](crate::html) draw them.

use std::borrow::Cow;
use std::collections::BTreeSet;

use ringproof_record::{Record, Verdict};

use crate::inventory::{Inventory, Model};
use crate::layers;
use crate::report::{Amount, Group, Report};
use crate::text::{amount, plural, thousands};

/// What a column holds, and so how it is drawn.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Form {
    /// What the row is about.
    Name,
    /// Names of things in the code.
    Code,
    /// Names of others, or the reason why there are none.
    Others,
    /// One or a few words.
    Short,
    /// As many words as there are.
    Words,
    /// How far something went.
    Extent,
    /// A number, which may have a unit.
    Number,
    /// A number with its unit, between words.
    Tried,
    /// Sentences, of each of which a terminal shows the beginning.
    Found,
    /// Why, and the command that repeats it.
    Reason,
}

pub(crate) enum Value<'a> {
    Text(Cow<'a, str>),
    Verdict(Verdict),
    /// How many rows ended so.
    Count(Verdict, usize),
    Seen(Vec<Seen<'a>>),
    /// The reason and the command of a row.
    Of(&'a Record),
}

impl<'a, T: Into<Cow<'a, str>>> From<T> for Value<'a> {
    fn from(text: T) -> Self {
        Value::Text(text.into())
    }
}

/// One thing that was witnessed of a model, so many times, or checked of it, with how much was tried.
pub(crate) struct Seen<'a> {
    /// Nothing where a witness is there, as it should be.
    pub(crate) verdict: Option<Verdict>,
    pub(crate) what: Cow<'a, str>,
    pub(crate) times: Option<String>,
    pub(crate) tried: Option<String>,
}

#[derive(Default)]
pub(crate) struct Row<'a> {
    /// The name of its place in the page, if anything leads there.
    pub(crate) id: Option<String>,
    pub(crate) cells: Vec<Value<'a>>,
    /// The execution that shows it.
    pub(crate) trace: Option<&'a str>,
}

pub(crate) struct Table<'a> {
    pub(crate) columns: Vec<(&'static str, Form)>,
    pub(crate) rows: Vec<Row<'a>>,
}

impl<'a> Table<'a> {
    fn new<const N: usize>(
        columns: [(&'static str, Form); N],
        rows: impl Iterator<Item = [Value<'a>; N]>,
    ) -> Self {
        let row = |cells: [Value<'a>; N]| Row {
            cells: cells.into(),
            ..Row::default()
        };
        Table {
            columns: columns.into(),
            rows: rows.map(row).collect(),
        }
    }
}

/// The models of a layer.
pub(crate) fn models<'a>(inventory: &Inventory<'a>) -> Table<'a> {
    let row = |model: &Model<'a>| {
        [
            model.name.into(),
            Value::Verdict(model.verdict()),
            model.extent().into(),
            tried(model.control),
            Value::Seen(seen(model)),
        ]
    };
    Table::new(
        [
            ("model", Form::Name),
            ("verdict", Form::Short),
            ("extent", Form::Extent),
            ("explored", Form::Number),
            ("witnessed, and what else was checked", Form::Found),
        ],
        inventory.models.iter().map(row),
    )
}

/// What a model witnessed, how often, and the verdicts of its other checks.
fn seen<'a>(model: &Model<'a>) -> Vec<Seen<'a>> {
    let witness = |row: &&'a Record| Seen {
        verdict: (row.verdict != Verdict::Passed).then_some(row.verdict),
        what: witness(row),
        times: Some(row.count.map(thousands).unwrap_or_default()),
        tried: None,
    };
    let check = |row: &&'a Record| Seen {
        verdict: Some(row.verdict),
        what: row.check.as_str().into(),
        times: None,
        tried: amount(row),
    };
    let witnesses = model.witnesses.iter().map(witness);
    witnesses.chain(model.checks.iter().map(check)).collect()
}

/// `reader retried` of `witness: reader retried`; what was not declared keeps an `also`.
fn witness(row: &Record) -> Cow<'_, str> {
    match row.check.split_once(": ") {
        Some(("witness", what)) => what.into(),
        Some((_, what)) => format!("also {what}").into(),
        None => row.check.as_str().into(),
    }
}

/// What became of each change of the code.
pub(crate) fn changes<'a>(inventory: &Inventory<'a>) -> Table<'a> {
    let row = |row: &&'a Record| {
        [
            row.subject.as_str().into(),
            row.check.as_str().into(),
            Value::Verdict(row.verdict),
            tried(row),
            found(row),
        ]
    };
    Table::new(
        [
            ("subject", Form::Name),
            ("check", Form::Words),
            ("verdict", Form::Short),
            ("explored", Form::Number),
            ("found", Form::Found),
        ],
        inventory.changes.iter().map(row),
    )
}

/// The checks that are about no site.
pub(crate) fn others(report: &Report) -> Table<'_> {
    fn row(group: Group<'_>) -> [Value<'_>; 8] {
        [
            group.layer.into(),
            group.kind.into(),
            subjects(&group).into(),
            Value::Count(Verdict::Passed, group.tally.passed),
            Value::Count(Verdict::Failed, group.tally.failed),
            Value::Count(Verdict::NotRun, group.tally.not_run),
            tried_in_all(&group).into(),
            how_far(&group).into(),
        ]
    }
    Table::new(
        [
            ("layer", Form::Name),
            ("check", Form::Words),
            ("of", Form::Code),
            ("passed", Form::Number),
            ("failed", Form::Number),
            ("not run", Form::Number),
            ("in all", Form::Short),
            ("how far", Form::Extent),
        ],
        report.other_rows().into_iter().map(row),
    )
}

/// The rows that say more than how they ended.
pub(crate) fn findings(report: &Report) -> Table<'_> {
    fn row(row: &Record) -> [Value<'_>; 5] {
        [
            row.layer.as_str().into(),
            row.subject.as_str().into(),
            row.check.as_str().into(),
            tried(row),
            found(row),
        ]
    }
    Table::new(
        [
            ("layer", Form::Name),
            ("subject", Form::Code),
            ("check", Form::Words),
            ("tried", Form::Tried),
            ("found", Form::Found),
        ],
        report.findings().into_iter().map(row),
    )
}

/// The table of sites.
pub(crate) fn sites(report: &Report) -> Table<'_> {
    let columns = vec![
        ("site", Form::Name),
        ("kind", Form::Short),
        ("ordering", Form::Short),
        ("partner", Form::Others),
        ("why", Form::Words),
    ];
    let rows = report.sites.iter().map(|site| {
        let texts = [
            &site.name,
            &site.kind,
            &site.ordering,
            &site.partner,
            &site.why,
        ];
        Row {
            id: Some(site_place(&site.name)),
            cells: texts.map(|text| text.as_str().into()).into(),
            trace: None,
        }
    });
    Table {
        columns,
        rows: rows.collect(),
    }
}

/// Every row of a layer. The first one of each site is where its cell in the matrix leads.
pub(crate) fn results<'a>(rows: &[&'a Record], sites: &BTreeSet<&str>) -> Table<'a> {
    let columns = vec![
        ("subject", Form::Name),
        ("check", Form::Short),
        ("verdict", Form::Short),
        ("tried", Form::Number),
        ("reason, and the command that repeats it", Form::Reason),
    ];
    let mut seen = BTreeSet::new();
    let rows = rows.iter().map(|row| Row {
        id: (sites.contains(row.subject.as_str()) && seen.insert(&row.subject))
            .then(|| result_place(&row.layer, &row.subject)),
        cells: vec![
            row.subject.as_str().into(),
            row.check.as_str().into(),
            Value::Verdict(row.verdict),
            tried(row),
            Value::Of(row),
        ],
        trace: row.trace.as_deref(),
    });
    let rows = rows.collect();
    Table { columns, rows }
}

/// The place of a site in the page.
pub(crate) fn site_place(site: &str) -> String {
    format!("site-{site}")
}

/// Where the results of one site begin in one layer.
pub(crate) fn result_place(layer: &str, site: &str) -> String {
    format!("result-{layer}-{site}")
}

fn tried(row: &Record) -> Value<'static> {
    amount(row).unwrap_or_default().into()
}

fn found(row: &Record) -> Value<'_> {
    row.reason.as_deref().unwrap_or_default().into()
}

/// What a group checked: up to three names, else how many.
fn subjects(group: &Group<'_>) -> String {
    match group.subjects.len() {
        0..=3 => Vec::from_iter(group.subjects.iter().copied()).join(", "),
        many => plural(many, "subject"),
    }
}

/// How much a group tried, by unit; of measurements, from where to where they go.
fn tried_in_all(group: &Group<'_>) -> String {
    let measures = layers::find(group.layer).is_some_and(|layer| layer.measures);
    let part = |(unit, amount): (&&str, &Amount)| {
        let Amount { sum, least, most } = *amount;
        match measures && least != most {
            true => format!("{} to {} {unit}", thousands(least), thousands(most)),
            // Of equal measurements, one; of counts, all together.
            false if measures => format!("{} {unit}", thousands(most)),
            false => format!("{} {unit}", thousands(sum)),
        }
    };
    let parts: Vec<String> = group.tried.iter().map(part).collect();
    parts.join(", ")
}

/// How far a group went, where that is a few short words such as `EXHAUSTED`.
fn how_far(group: &Group<'_>) -> String {
    const LONGEST: usize = 24;
    let long = |reason: &&str| reason.chars().count() > LONGEST;
    if group.reached.len() > 4 || group.reached.keys().any(long) {
        return String::new();
    }
    let parts: Vec<String> = group
        .reached
        .iter()
        .map(|(reason, count)| format!("{count} × {reason}"))
        .collect();
    parts.join(", ")
}
