//! The models of a layer, one by one: what held, how far it went, what was witnessed, and what
//! became of each change to the code. A pivot of rows, like the matrix.

use std::collections::BTreeSet;

use ringproof_record::{Record, Verdict};

use crate::report::{CONTROL, Report, is_sum, kind_of, site_names};

/// One layer that explores models.
#[derive(Debug)]
pub struct Inventory<'a> {
    /// The layer's name.
    pub layer: &'a str,
    /// Its models, by name.
    pub models: Vec<Model<'a>>,
    /// Its other rows but the sums, by kind and subject: mutants, injected faults, specimens.
    pub changes: Vec<&'a Record>,
}

/// A subject that is no site and has a control.
#[derive(Debug)]
pub struct Model<'a> {
    /// Its name.
    pub name: &'a str,
    /// Its unchanged run.
    pub control: &'a Record,
    /// What it had to witness, and what it witnessed beside that.
    pub witnesses: Vec<&'a Record>,
    /// What else was checked of it.
    pub checks: Vec<&'a Record>,
}

impl<'a> Model<'a> {
    fn new(control: &'a Record) -> Self {
        Model {
            name: &control.subject,
            control,
            witnesses: Vec::new(),
            checks: Vec::new(),
        }
    }

    /// The worst verdict of its rows.
    pub fn verdict(&self) -> Verdict {
        let rows = self.witnesses.iter().chain(&self.checks);
        let verdicts = rows.map(|row| row.verdict);
        verdicts.fold(self.control.verdict, Verdict::max)
    }

    /// How far the control went: what a passed one gives as its reason.
    pub fn extent(&self) -> &'a str {
        match (self.control.verdict, &self.control.reason) {
            (Verdict::Passed, Some(extent)) => extent,
            _ => "",
        }
    }
}

/// The layers that have models. None without the table of sites, which separates models from sites.
pub fn inventories(report: &Report) -> Vec<Inventory<'_>> {
    let sites = site_names(&report.sites);
    (report.layers.iter())
        .map(|layer| inventory(&layer.name, report, &sites))
        .filter(|inventory| !inventory.models.is_empty() && !sites.is_empty())
        .collect()
}

impl Report {
    /// Rows about no site that passed and say more than a word of what they found, such as how many
    /// of how many instructions. Not those of models, which have tables of their own.
    pub fn findings(&self) -> Vec<&Record> {
        let sites = site_names(&self.sites);
        let inventories = inventories(self);
        let in_groups = |row: &&Record| {
            !sites.contains(row.subject.as_str())
                && (inventories.iter()).all(|inventory| inventory.layer != row.layer)
        };
        let has_words = |row: &&Record| {
            let reason = row.reason.as_deref().unwrap_or_default();
            row.verdict == Verdict::Passed && reason.contains(' ')
        };
        let rows = self.results.iter().filter(in_groups).filter(has_words);
        rows.collect()
    }
}

fn inventory<'a>(layer: &'a str, report: &'a Report, sites: &BTreeSet<&str>) -> Inventory<'a> {
    let own = || report.results.iter().filter(|row| row.layer == layer);
    let is_model = |row: &&Record| row.check == CONTROL && !is_sum(row, sites);
    let mut inventory = Inventory {
        layer,
        models: own().filter(is_model).map(Model::new).collect(),
        changes: Vec::new(),
    };
    for row in own().filter(|row| row.check != CONTROL) {
        let model = (inventory.models.iter_mut()).find(|model| model.name == row.subject);
        match (model, kind_of(&row.check)) {
            (Some(model), "witness" | "also witnessed") => model.witnesses.push(row),
            (Some(model), _) => model.checks.push(row),
            (None, _) => inventory.changes.push(row),
        }
    }
    // Rows come in the order in which they were ready, which differs from run to run.
    inventory.models.sort_by_key(|model| model.name);
    (inventory.changes).sort_by_key(|row| (kind_of(&row.check), &row.subject, &row.check));
    inventory
}
