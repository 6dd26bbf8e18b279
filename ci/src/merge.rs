//! The reports of all shards of a run become one.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use anyhow::{Context, Result, bail, ensure};
use ringproof_record::{Record, SCHEMA, Shard, SiteRow, Verdict};
use serde_json::Value;

use crate::layers::{self, LAYERS, Sharing};
use crate::report::{About, Outcome, Part, ProgramFile, Ran, Report, is_sum, site_names};
use crate::text::plain_row;

/// How many missing shards are named.
const NAMED: usize = 9;

/// Reads one shard's report.
///
/// # Errors
/// The file cannot be read, or holds no report of this version.
pub fn read(file: &Path) -> Result<Report> {
    let name = file.display();
    let text = fs::read_to_string(file).with_context(|| format!("{name} cannot be read"))?;
    let json: Value = serde_json::from_str(&text).with_context(|| format!("{name} is not JSON"))?;
    let schema = json.get("schema").and_then(Value::as_u64);
    ensure!(
        schema == Some(u64::from(SCHEMA)),
        "{name} is no report of schema {SCHEMA}: {}",
        schema.map_or("it names none".to_owned(), |schema| format!(
            "its schema is {schema}"
        ))
    );
    serde_json::from_value(json)
        .with_context(|| format!("{name} is not the report it claims to be"))
}

/// Makes one report of the reports of all shards, each with the name by which an error calls it.
///
/// A row that several shards have stands once: the worst verdict wins, and reasons that differ are
/// joined. A site's `control` is a sum over the models of all shards, so its counts are added, and
/// so are those of a layer that every shard repeats.
///
/// # Errors
/// The reports are not the shards of one run, each once: the error says which is not, and why.
pub fn merge(shards: Vec<(String, Report)>, strict: bool) -> Result<Report> {
    let (about, of) = belong_together(&shards)?;
    let sites = table_of_sites(&shards).to_vec();
    let site_names = site_names(&sites);

    let mut rows = Rows::default();
    let mut names: Vec<String> = Vec::new();
    let mut seconds: BTreeMap<String, f64> = BTreeMap::new();
    let mut programs: BTreeMap<String, BTreeSet<ProgramFile>> = BTreeMap::new();
    for (_, shard) in &shards {
        rows.add(&shard.results, &site_names);
        for layer in &shard.layers {
            if !names.contains(&layer.name) {
                names.push(layer.name.clone());
            }
            // A layer that ran nowhere gets no entry.
            if layer.verdict != Outcome::NotRun {
                *seconds.entry(layer.name.clone()).or_default() += layer.seconds;
            }
            let own = programs.entry(layer.name.clone()).or_default();
            own.extend(layer.programs.iter().cloned());
        }
    }
    let mut rows = rows.rows;
    let ran = names.into_iter().map(|name| {
        let seconds = seconds.get(&name).copied();
        let own = rows.extract_if(.., |row| row.layer == name).collect();
        Ran {
            rows: seconds.is_some().then_some(own),
            seconds: seconds.unwrap_or_default(),
            // Two machines may build one source to different bytes.
            programs: (programs.remove(&name).unwrap_or_default().into_iter()).collect(),
            name,
        }
    });
    let about = About {
        part: Part::Merged(of),
        ..about
    };
    let ran = ran.collect();
    if let Some(row) = rows.first() {
        bail!(
            "a row is of layer {}, but no shard lists that layer",
            row.layer
        );
    }
    Ok(Report::new(about, sites, ran, strict))
}

/// What the run was, and in how many shards.
fn belong_together(shards: &[(String, Report)]) -> Result<(About, u32)> {
    let sites = table_of_sites(shards);
    let mut seen: BTreeMap<u32, &str> = BTreeMap::new();
    let mut run: Option<(&str, &Report, u32)> = None;
    for (name, report) in shards {
        let Part::Shard(Shard { number, of }) = report.about.part else {
            bail!(
                "{name} is not the report of one shard: it is {}",
                report.about.part
            );
        };
        let (first_name, first, first_of) = *run.get_or_insert((name, report, of));
        for ((what, its), (_, firsts)) in identity(report, of)
            .into_iter()
            .zip(identity(first, first_of))
        {
            ensure!(
                its == firsts,
                "{name} has another {what} than {first_name}: {its}, not {firsts}"
            );
        }
        // A shard that could not read the table says so in a failed row.
        ensure!(
            report.sites.is_empty() || report.sites == sites,
            "{name} has another table of sites than the others"
        );
        for layer in LAYERS
            .iter()
            .filter(|layer| layer.sharing != Sharing::Whole)
        {
            ensure!(
                ran(report, layer.name) == ran(first, layer.name),
                "the layer {} ran in one of {name} and {first_name}, but not in the other",
                layer.name
            );
        }
        ensure!(
            (1..=of).contains(&number),
            "{name} is shard {number}/{of}, which cannot be"
        );
        if let Some(other) = seen.insert(number, name) {
            bail!("shard {number}/{of} is there twice: {other} and {name}");
        }
    }
    let (_, first, of) = run.context("no report to merge")?;
    let missing: Vec<_> = (1..=of)
        .filter(|number| !seen.contains_key(number))
        .take(NAMED)
        .map(|number| format!("{number}/{of}"))
        .collect();
    ensure!(missing.is_empty(), "missing: shard {}", missing.join(", "));
    Ok((first.about.clone(), of))
}

/// What the shards of one run have in common, as text, by the name by which an error calls it.
fn identity(report: &Report, of: u32) -> [(&'static str, String); 6] {
    let about = &report.about;
    let commit = about.commit.clone();
    [
        ("schema", report.schema.to_string()),
        (
            "commit",
            commit.unwrap_or_else(|| "none known to git".to_owned()),
        ),
        ("compiler", about.machine.rustc.clone()),
        ("number of shards", of.to_string()),
        ("value of --nightly", about.nightly.to_string()),
        ("seed", about.seed.to_string()),
    ]
}

/// The first table that a shard could read.
fn table_of_sites(shards: &[(String, Report)]) -> &[SiteRow] {
    let mut tables = shards.iter().map(|(_, report)| report.sites.as_slice());
    tables.find(|sites| !sites.is_empty()).unwrap_or_default()
}

fn ran(report: &Report, layer: &str) -> bool {
    (report.layers.iter()).any(|it| it.name == layer && it.verdict != Outcome::NotRun)
}

/// The rows of several shards. A layer may say one thing several times, so rows are the same when
/// they are the same layer's, subject's and check's, for the same time in their shard.
#[derive(Default)]
struct Rows {
    rows: Vec<Record>,
    index: BTreeMap<(String, String, String, usize), usize>,
}

impl Rows {
    fn add(&mut self, shard: &[Record], sites: &BTreeSet<&str>) {
        let mut times: BTreeMap<[&str; 3], usize> = BTreeMap::new();
        for row in shard {
            let time = times
                .entry([&row.layer, &row.subject, &row.check])
                .or_default();
            *time += 1;
            let key = (
                row.layer.clone(),
                row.subject.clone(),
                row.check.clone(),
                *time,
            );
            let at = *self.index.entry(key).or_insert(self.rows.len());
            let row = plain_row(row.clone());
            match self.rows.get_mut(at) {
                Some(known) if is_sum(&row, sites) || is_repeated(&row) => add_up(known, row),
                Some(known) => keep_the_worse(known, row),
                None => self.rows.push(row),
            }
        }
    }
}

/// Whether every shard makes its own of such a row.
fn is_repeated(row: &Record) -> bool {
    layers::find(&row.layer).is_some_and(|layer| layer.sharing == Sharing::Repeated)
}

/// The sum of two parts. A part that did not run takes nothing from one that did.
fn add_up(sum: &mut Record, part: Record) {
    let count = match (sum.count, part.count) {
        (Some(one), Some(other)) => Some(one.saturating_add(other)),
        (one, other) => one.or(other),
    };
    let unit = sum.unit.clone().or_else(|| part.unit.clone());
    match (sum.verdict, part.verdict) {
        (Verdict::NotRun, Verdict::Passed) => *sum = part,
        (Verdict::Passed, Verdict::NotRun) => {}
        _ => keep_the_worse(sum, part),
    }
    (sum.count, sum.unit) = (count, unit);
}

/// The one with the worse verdict; of two that ended alike the first, with the reasons of both.
fn keep_the_worse(known: &mut Record, other: Record) {
    if other.verdict > known.verdict {
        *known = other;
    } else if other.verdict == known.verdict
        && let Some(why) = other.reason
    {
        match &mut known.reason {
            Some(reasons) if *reasons == why || reasons.split("; ").any(|one| one == why) => {}
            Some(reasons) => {
                reasons.push_str("; ");
                reasons.push_str(&why);
            }
            none => *none = Some(why),
        }
    }
}
