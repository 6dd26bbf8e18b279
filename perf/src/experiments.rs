//! The experiments: one question to the machine each.
//!
//! A new one is a file in this folder with an [`Experiment`] called `EXPERIMENT`: build.rs finds it, and the
//! command line, `all` and `smoke` follow. It is declared and listed here only if it has parts of its own,
//! or its place among the others matters.

pub mod c_header;
pub mod dispatch;
pub mod false_sharing;
pub mod ipc;
pub mod latest;
pub mod limits;
pub mod padding;
pub mod peers;
pub mod serialize;
pub mod waiting;

use crate::doctor;
use crate::report::{Report, Trouble};
use crate::run::Settings;

/// One question to the machine.
#[derive(Clone, Copy, Debug)]
pub struct Experiment {
    /// What the command line calls it.
    pub name: &'static str,
    /// The experiment with which it is run by the command line, if it is no command of its own.
    pub part_of: Option<&'static str>,
    /// What it asks, in one line.
    pub about: &'static str,
    /// The same at length; empty where the line says it all.
    pub details: &'static str,
    /// What it is called where it has no report of its own.
    pub title: &'static str,
    /// What its rows are about where there are none.
    pub subject: &'static str,
    /// Asks it.
    pub run: fn(&Settings) -> Result<Report, Trouble>,
}

// Modules that are not declared above, and the list of their experiments.
include!(concat!(env!("OUT_DIR"), "/experiments.rs"));

/// Those that are declared above, in the order in which a reader needs them.
const DECLARED: [Experiment; 11] = [
    limits::EXPERIMENT,
    false_sharing::EXPERIMENT,
    padding::EXPERIMENT,
    waiting::EXPERIMENT,
    peers::EXPERIMENT,
    c_header::EXPERIMENT,
    latest::EXPERIMENT,
    ipc::EXPERIMENT,
    peers::BETWEEN_PROCESSES,
    serialize::EXPERIMENT,
    dispatch::EXPERIMENT,
];

/// All of them.
pub fn all() -> impl Iterator<Item = &'static Experiment> + Clone {
    const { &DECLARED }.iter().chain(UNDECLARED)
}

/// Runs all of them, and says what this machine can measure: that can be said even if none could run.
pub fn run(settings: &Settings) -> Vec<Report> {
    let reports = all().map(|experiment| experiment.report(settings));
    reports.chain([doctor::examine(settings)]).collect()
}

impl Experiment {
    /// What most have in common.
    const MEASURES: Experiment = Experiment {
        name: "",
        part_of: None,
        about: "",
        details: "",
        title: "",
        subject: "",
        run: |_| Err(Trouble::NotRun("there is nothing to run".to_owned())),
    };

    /// Those that a command of this name runs.
    pub fn of_command(command: &str) -> impl Iterator<Item = &'static Experiment> {
        all().filter(move |one| one.command() == command)
    }

    /// The command that runs it.
    pub fn command(&self) -> &'static str {
        self.part_of.unwrap_or(self.name)
    }

    /// Asks it; an experiment that has no answer reports why. Rows that do not say how to repeat
    /// them are repeated by the whole experiment.
    pub fn report(&self, settings: &Settings) -> Report {
        let report = (self.run)(settings)
            .unwrap_or_else(|trouble| Report::of_trouble(self.title, self.subject, &trouble));
        report.repeated_by(self.command())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_differ_and_every_command_has_words() {
        let mut names: Vec<_> = all().map(|experiment| experiment.name).collect();
        names.sort_unstable();
        assert!(names.windows(2).all(|pair| pair[0] != pair[1]), "{names:?}");
        for one in all() {
            let commands = Experiment::of_command(one.command()).count();
            assert!(commands > 0 && !one.title.is_empty(), "{one:?}");
            assert!(one.part_of.is_some() || !one.about.is_empty(), "{one:?}");
        }
    }

    #[test]
    fn a_row_says_how_to_repeat_it_and_keeps_what_it_says() {
        let experiment = Experiment {
            name: "parts",
            run: |_| {
                let mut report = Report::new("parts");
                let row = ringproof_record::Record::passed("perf", "a", "b");
                report.rows = vec![row.clone(), row.repeat("as it says")];
                Ok(report)
            },
            ..Experiment::MEASURES
        };
        let report = experiment.report(&Settings::of(crate::run::Extent::Smoke));
        let repeat = |at: usize| report.rows[at].repeat.as_deref();
        let command = "cargo run --release -p ringproof-perf -- parts";
        assert_eq!([repeat(0), repeat(1)], [Some(command), Some("as it says")]);
    }
}
