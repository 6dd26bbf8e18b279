//! The report: what was checked, the verdict on it, and the matrix of sites and layers.
//!
//! Everything here is a pure function of rows. The matrix, the groups and the lists are computed
//! when they are drawn; the report itself is what `report.json` holds.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::{self, Display, Formatter, Write as _};

use ringproof_record::machine::Machine;
use ringproof_record::{Exit, Record, SCHEMA, Shard, SiteRow, Verdict};
use serde::{Deserialize, Serialize};

use crate::layers::{self, Duty, Sharing};
use crate::text::mark;

/// The check under which a cell is listed that should have been filled and was not.
pub const REQUIRED_CELL: &str = "required cell";

/// The check of unchanged code.
pub const CONTROL: &str = "control";

/// What of a run a report is: everything, or the share of one machine.
///
/// A layer that explores models takes `--shard I/N` and prints the rows of its share: a model, or
/// one change of the code, belongs to one shard as a whole. A layer of random choices takes it, too,
/// and makes its own in each. Every other layer runs in the first shard. What a layer owes is judged when
/// the reports are merged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Part {
    /// Everything that was selected.
    Whole,
    /// One share of it.
    Shard(Shard),
    /// Everything, from the reports of so many shards.
    Merged(u32),
}

impl Part {
    /// The share, where it is one.
    pub fn shard(self) -> Option<Shard> {
        match self {
            Part::Shard(shard) => Some(shard),
            Part::Whole | Part::Merged(_) => None,
        }
    }
}

impl Display for Part {
    fn fmt(&self, out: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Part::Whole => write!(out, "whole"),
            Part::Shard(shard) => {
                write!(
                    out,
                    "shard {shard}: what is required is judged after the merge"
                )
            }
            Part::Merged(of) => write!(out, "merged from shards 1 to {of}"),
        }
    }
}

/// How a layer, or the whole, ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// Nothing failed and every required cell ran.
    Passed,
    /// Something failed.
    Failed,
    /// Nothing failed, but a required cell did not run.
    Incomplete,
    /// The layer was not selected.
    NotRun,
}

impl Outcome {
    /// How a run ends that came to this.
    pub fn exit(self) -> Exit {
        match self {
            Outcome::Passed => Exit::Passed,
            Outcome::Failed => Exit::Failed,
            Outcome::Incomplete | Outcome::NotRun => Exit::NotRun,
        }
    }

    /// For people.
    pub fn word(self) -> &'static str {
        match self {
            Outcome::Passed => "passed",
            Outcome::Failed => "failed",
            Outcome::Incomplete => "incomplete",
            Outcome::NotRun => "not run",
        }
    }
}

/// A program as it was run.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct ProgramFile {
    /// Where it is: below the workspace from there, else from the root of the file system.
    pub path: String,
    /// The SHA-256 of its bytes, in hexadecimal digits.
    pub sha256: String,
}

/// How one layer ended.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LayerResult {
    /// Its name.
    pub name: String,
    /// How it ended.
    pub verdict: Outcome,
    /// How long it ran, without building.
    pub seconds: f64,
    /// Its program, and those that it ran in turn; in a merged report those of every shard.
    #[serde(default)]
    pub programs: Vec<ProgramFile>,
}

/// What the driver knows when a layer has run, or was left out.
#[derive(Clone, Debug, Default)]
pub struct Ran {
    /// The layer's name.
    pub name: String,
    /// Its rows; nothing where it was not selected.
    pub rows: Option<Vec<Record>>,
    /// How long it ran.
    pub seconds: f64,
    /// Its program, and those that it ran in turn.
    pub programs: Vec<ProgramFile>,
}

impl Ran {
    /// A layer that was not selected.
    pub fn left_out(name: impl Into<String>) -> Self {
        Ran {
            name: name.into(),
            ..Ran::default()
        }
    }
}

/// What a run was: the tree, the machine, the sizes, the seed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct About {
    /// The commit, marked `-dirty` where the files differ; null where git does not know.
    pub commit: Option<String>,
    /// The machine; of a merged report, the first shard's.
    pub machine: Machine,
    /// The seed that every layer was given.
    pub seed: u64,
    /// Whether the layers that have a nightly size ran in it.
    pub nightly: bool,
    /// Whether this is everything, or a share of it.
    pub part: Part,
}

impl About {
    /// The command that repeats this run, whichever layers were selected; of a merged report, all of
    /// it at once.
    pub fn command(&self) -> String {
        let mut command = "cargo verify".to_owned();
        if self.nightly {
            command.push_str(" --nightly");
        }
        // Writing to a String cannot fail.
        let _ = write!(command, " --seed {}", self.seed);
        if let Part::Shard(shard) = self.part {
            let _ = write!(command, " --shard {shard}");
        }
        command
    }
}

/// The contract with whoever reads `report.json`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Report {
    /// The version of this contract.
    pub schema: u32,
    /// What the run was; its fields stand beside the others.
    #[serde(flatten)]
    pub about: About,
    /// The verdict on the whole.
    pub verdict: Outcome,
    /// Every layer, the ones that were not selected too.
    pub layers: Vec<LayerResult>,
    /// The table of access sites.
    pub sites: Vec<SiteRow>,
    /// Every row, and one for each required cell that stayed empty.
    pub results: Vec<Record>,
}

impl Report {
    /// The command that repeats this run, with the layers that were selected.
    pub fn command(&self) -> String {
        let mut command = self.about.command();
        let left_out = |layer: &&LayerResult| layer.verdict == Outcome::NotRun;
        if self.layers.iter().any(|layer| left_out(&layer)) {
            for layer in self.layers.iter().filter(|layer| !left_out(layer)) {
                // Writing to a String cannot fail.
                let _ = write!(command, " --layer {}", layer.name);
            }
        }
        command
    }

    /// Puts together what ran, and judges it. With `strict` every row that did not run counts as
    /// required. What a layer owes is judged on a whole run only: a share of it owes nothing.
    pub fn new(about: About, sites: Vec<SiteRow>, ran: Vec<Ran>, strict: bool) -> Self {
        let mut layers = Vec::new();
        let mut results = Vec::new();
        for layer in ran {
            let verdict = match layer.rows {
                None => Outcome::NotRun,
                Some(mut rows) => {
                    let gaps = match about.part {
                        Part::Shard(_) => Vec::new(),
                        Part::Whole | Part::Merged(_) => gaps(&layer.name, &sites, &rows),
                    };
                    let missing = !gaps.is_empty();
                    rows.extend(gaps);
                    let verdict = judge(&rows, missing, strict);
                    results.extend(rows);
                    verdict
                }
            };
            layers.push(LayerResult {
                name: layer.name,
                verdict,
                seconds: (layer.seconds * 1000.0).round() / 1000.0,
                programs: layer.programs,
            });
        }
        Report {
            schema: SCHEMA,
            about,
            verdict: worst(&layers),
            layers,
            sites,
            results,
        }
    }

    /// Counts every row.
    pub fn tally(&self) -> Tally {
        Tally::of(&self.results)
    }

    /// The time that the layers took, without building.
    pub fn seconds(&self) -> f64 {
        self.layers.iter().map(|layer| layer.seconds).sum()
    }

    /// The last line that a person reads.
    pub fn summary(&self) -> String {
        let tally = self.tally();
        let part = match self.about.part {
            Part::Whole => String::new(),
            part => format!(", {part}"),
        };
        format!(
            "{}: {} checks, {} failed, {} not run, {:.0} s, seed {}{part}",
            self.verdict.word().to_uppercase(),
            tally.total(),
            tally.failed,
            tally.not_run,
            self.seconds(),
            self.about.seed,
        )
    }

    /// For each layer that explores models and ran: its name, how much it explored, in what. Empty
    /// without the table of sites, which separates counts from their sums.
    pub fn totals(&self) -> Vec<(&'static str, u64, &'static str)> {
        let sites = site_names(&self.sites);
        let total = |layer: &LayerResult| {
            let layer = layers::find(&layer.name)?;
            let Sharing::Models(unit) = layer.sharing else {
                return None;
            };
            let counted = (self.results.iter())
                .filter(|row| row.layer == layer.name && row.unit.as_deref() == Some(unit))
                .filter(|row| !is_sum(row, &sites));
            let total = counted
                .filter_map(|row| row.count)
                .fold(0, u64::saturating_add);
            Some((layer.name, total, unit))
        };
        let ran = |layer: &&LayerResult| layer.verdict != Outcome::NotRun && !sites.is_empty();
        self.layers.iter().filter(ran).filter_map(total).collect()
    }

    /// Every program that was run, each once, with the layers that it was run for.
    pub fn programs(&self) -> BTreeMap<&ProgramFile, Vec<&str>> {
        let mut programs: BTreeMap<_, Vec<_>> = BTreeMap::new();
        for layer in &self.layers {
            for program in &layer.programs {
                programs
                    .entry(program)
                    .or_default()
                    .push(layer.name.as_str());
            }
        }
        programs
    }

    /// Whether only some layers were chosen. There is room then for each of their rows.
    pub fn is_selection(&self) -> bool {
        let shard = self.about.part.shard();
        self.layers.iter().any(|layer| {
            layer.verdict == Outcome::NotRun
                && layers::find(&layer.name).is_none_or(|known| known.runs_in(shard))
        })
    }

    /// Sites down, layers across.
    pub fn matrix(&self) -> Vec<(&SiteRow, Vec<Tally>)> {
        let mut cells: BTreeMap<(&str, &str), Tally> = BTreeMap::new();
        for row in &self.results {
            cells
                .entry((&row.subject, &row.layer))
                .or_default()
                .add(row.verdict);
        }
        let cell = |site: &SiteRow, layer: &LayerResult| {
            let key = (site.name.as_str(), layer.name.as_str());
            cells.get(&key).copied().unwrap_or_default()
        };
        let row = |site| self.layers.iter().map(|layer| cell(site, layer)).collect();
        self.sites.iter().map(|site| (site, row(site))).collect()
    }

    /// For each layer with an empty cell: its name, how many are empty, and why.
    pub fn empty_cells(&self) -> Vec<(&str, usize, &'static str)> {
        let matrix = self.matrix();
        let column = |(index, layer)| {
            let layer: &LayerResult = layer;
            let empty = |cells: &[Tally]| cells.get(index).is_none_or(Tally::is_empty);
            let count = matrix.iter().filter(|(_, cells)| empty(cells)).count();
            (
                layer.name.as_str(),
                count,
                why_empty(layer, self.about.part),
            )
        };
        let columns = self.layers.iter().enumerate().map(column);
        columns.filter(|(_, empty, _)| *empty > 0).collect()
    }

    /// The rows whose subject is no site, one group for each layer and kind of check, in the order
    /// in which they first came.
    pub fn other_rows(&self) -> Vec<Group<'_>> {
        let sites = site_names(&self.sites);
        let mut groups: Vec<Group<'_>> = Vec::new();
        let is_other = |row: &&Record| !sites.contains(row.subject.as_str());
        for row in self.results.iter().filter(is_other) {
            let kind = kind_of(&row.check);
            let same = |group: &&mut Group<'_>| (group.layer, group.kind) == (&*row.layer, kind);
            match groups.iter_mut().find(same) {
                Some(group) => group.add(row),
                None => groups.push(Group::of(row, kind)),
            }
        }
        groups
    }

    /// The rows that failed.
    pub fn failed(&self) -> impl Iterator<Item = &Record> {
        self.results
            .iter()
            .filter(|row| row.verdict == Verdict::Failed)
    }

    /// The rows that did not run, put together where layer, check and reason are the same: the
    /// first of them, and every subject.
    pub fn not_run(&self) -> Vec<(&Record, Vec<&str>)> {
        let mut lists: Vec<(&Record, Vec<&str>)> = Vec::new();
        let did_not_run = |row: &&Record| row.verdict == Verdict::NotRun;
        for row in self.results.iter().filter(did_not_run) {
            let same = |first: &Record| {
                (&first.layer, &first.check, &first.reason) == (&row.layer, &row.check, &row.reason)
            };
            match lists.iter_mut().find(|(first, _)| same(first)) {
                Some((_, subjects)) => subjects.push(&row.subject),
                None => lists.push((row, vec![&row.subject])),
            }
        }
        lists
    }
}

/// How many rows ended in which way.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Rows that passed.
    pub passed: usize,
    /// Rows that failed.
    pub failed: usize,
    /// Rows that did not run.
    pub not_run: usize,
}

impl Tally {
    fn of(rows: &[Record]) -> Self {
        let mut tally = Tally::default();
        rows.iter().for_each(|row| tally.add(row.verdict));
        tally
    }

    fn add(&mut self, verdict: Verdict) {
        match verdict {
            Verdict::Passed => self.passed += 1,
            Verdict::Failed => self.failed += 1,
            Verdict::NotRun => self.not_run += 1,
        }
    }

    /// All of them.
    pub fn total(&self) -> usize {
        self.passed + self.failed + self.not_run
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.total() == 0
    }

    /// The worst of them; nothing where there are none.
    pub fn worst(&self) -> Option<Verdict> {
        match (self.failed, self.not_run, self.passed) {
            (0, 0, 0) => None,
            (0, 0, _) => Some(Verdict::Passed),
            (0, _, _) => Some(Verdict::NotRun),
            _ => Some(Verdict::Failed),
        }
    }

    /// What stands in a cell of the matrix.
    pub fn symbol(&self) -> String {
        let parts = [
            (Verdict::Failed, self.failed),
            (Verdict::Passed, self.passed),
            (Verdict::NotRun, self.not_run),
        ];
        let shown: Vec<String> = parts
            .iter()
            .filter(|(_, count)| *count > 0)
            .map(|(verdict, count)| format!("{} {count}", mark(*verdict)))
            .collect();
        if shown.is_empty() {
            "·".to_owned()
        } else {
            shown.join(" ")
        }
    }
}

/// The counts of several rows, in one unit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Amount {
    /// All together: how much was tried.
    pub sum: u64,
    /// The least of them.
    pub least: u64,
    /// The most of them.
    pub most: u64,
}

impl Amount {
    const NONE: Amount = Amount {
        sum: 0,
        least: u64::MAX,
        most: 0,
    };
}

/// Rows of one layer that did the same kind of check.
#[derive(Clone, Debug, Default)]
pub struct Group<'a> {
    /// The layer.
    pub layer: &'a str,
    /// The kind: what stands before the colon of the check.
    pub kind: &'a str,
    /// How they ended.
    pub tally: Tally,
    /// What was checked, each once.
    pub subjects: BTreeSet<&'a str>,
    /// How much was tried, or what was measured, by unit.
    pub tried: BTreeMap<&'a str, Amount>,
    /// How far the passed ones went (`EXHAUSTED`, …), and how many of them.
    pub reached: BTreeMap<&'a str, usize>,
}

impl<'a> Group<'a> {
    fn of(row: &'a Record, kind: &'a str) -> Self {
        let mut group = Group {
            layer: &row.layer,
            kind,
            ..Group::default()
        };
        group.add(row);
        group
    }

    fn add(&mut self, row: &'a Record) {
        self.tally.add(row.verdict);
        self.subjects.insert(&row.subject);
        if let (Some(count), Some(unit)) = (row.count, &row.unit) {
            let amount = self.tried.entry(unit).or_insert(Amount::NONE);
            amount.sum = amount.sum.saturating_add(count);
            amount.least = amount.least.min(count);
            amount.most = amount.most.max(count);
        }
        if let (Verdict::Passed, Some(reason)) = (row.verdict, &row.reason) {
            *self.reached.entry(reason).or_default() += 1;
        }
    }
}

/// What stands before the colon: `witness` of `witness: reader retried`.
pub fn kind_of(check: &str) -> &str {
    check.split_once(':').map_or(check, |(kind, _)| kind).trim()
}

/// The names in the table of sites.
pub fn site_names(sites: &[SiteRow]) -> BTreeSet<&str> {
    sites.iter().map(|site| site.name.as_str()).collect()
}

/// Whether the row only adds up what others count: a site's `control` counts the executions of
/// every model that passed through the site.
pub fn is_sum(row: &Record, sites: &BTreeSet<&str>) -> bool {
    row.check == CONTROL && sites.contains(row.subject.as_str())
}

fn judge(rows: &[Record], missing: bool, strict: bool) -> Outcome {
    match Tally::of(rows) {
        tally if tally.failed > 0 => Outcome::Failed,
        tally if missing || (strict && tally.not_run > 0) => Outcome::Incomplete,
        _ => Outcome::Passed,
    }
}

/// The verdict on the whole. If nothing was selected, nothing has passed.
fn worst(layers: &[LayerResult]) -> Outcome {
    let any = |verdict| layers.iter().any(|layer| layer.verdict == verdict);
    if any(Outcome::Failed) {
        Outcome::Failed
    } else if any(Outcome::Incomplete) || !any(Outcome::Passed) {
        Outcome::Incomplete
    } else {
        Outcome::Passed
    }
}

/// A row for each cell that the layer owes and did not fill.
fn gaps(layer: &str, sites: &[SiteRow], rows: &[Record]) -> Vec<Record> {
    let Some(layer) = layers::find(layer) else {
        return Vec::new();
    };
    let gap = |site: &SiteRow| {
        let why = owed(layer.duty, site, rows)?;
        Some(Record::not_run(layer.name, &site.name, REQUIRED_CELL, why))
    };
    sites.iter().filter_map(gap).collect()
}

/// Why the cell of `site` is not what the duty asks for; nothing where it is.
fn owed(duty: Duty, site: &SiteRow, rows: &[Record]) -> Option<&'static str> {
    let mut ran = rows
        .iter()
        .filter(|row| row.subject == site.name && row.verdict != Verdict::NotRun);
    match duty {
        Duty::EveryOrdering
            if can_be_weakened(site) && !ran.any(|row| kind_of(&row.check) == "mutant") =>
        {
            Some("no `mutant: …` row that ran: nothing shows what this ordering or fence is for")
        }
        Duty::EveryOrdering if is_slot(site) && ran.next().is_none() => {
            Some("no row that ran: nobody looked for a race on this slot access")
        }
        Duty::EverySite if ran.next().is_none() => {
            Some("no row that ran: no process was killed at this site")
        }
        Duty::EveryLoad if is_read(site) && ran.next().is_none() => {
            Some("no row that ran: nobody answered this read as an adversary would")
        }
        _ => None,
    }
}

/// Whether the site has an ordering stronger than Relaxed, or is a fence. An ordering that is not
/// known here counts as strong: a new word in the table must not switch a requirement off.
fn can_be_weakened(site: &SiteRow) -> bool {
    let weakest = ["relaxed", "plain"]
        .iter()
        .any(|weak| site.ordering.eq_ignore_ascii_case(weak));
    site.kind.eq_ignore_ascii_case("fence") || !weakest
}

fn is_slot(site: &SiteRow) -> bool {
    site.kind.starts_with("slot")
}

fn is_read(site: &SiteRow) -> bool {
    ["load", "slot read"].contains(&site.kind.as_str())
}

fn why_empty(layer: &LayerResult, part: Part) -> &'static str {
    let known = layers::find(&layer.name);
    match (layer.verdict, known, part.shard()) {
        (Outcome::NotRun, Some(known), shard) if !known.runs_in(shard) => {
            "it is not divided: it runs in the first shard"
        }
        (Outcome::NotRun, ..) => "it was not selected",
        (_, None, _) => "it judges no site",
        (_, Some(known), Some(_)) if known.duty != Duty::NoSites => {
            "other shards may fill them; whether all that are required ran is judged after the merge"
        }
        (_, Some(known), _) => known.when_empty,
    }
}
