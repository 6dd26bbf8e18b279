//! What can be measured on this machine, found by trying, and what would allow more.

mod permissions;

use ringproof::{Ring, RingOptions};
use ringproof_record::Record;

use crate::counters::{Counters, Kernel, Provider, Tally};
use crate::cpus::Pair;
use crate::environment::Environment;
use crate::links::{Ends, Way};
use crate::report::{LAYER, Report, Trouble};
use crate::run::Settings;
use crate::table::{Cell, Table, figure};

/// Items that are handed over while the counters run.
const ITEMS: u64 = 1 << 14;

/// The counters that show how lines go between cores; one of them moves wherever cores share.
const LINES: [&str; 2] = ["lines of another core", "lines from farther away"];

/// Tries what the experiments need.
pub fn examine(settings: &Settings) -> Report {
    let mut report = Report::new("what this machine can measure");
    report.notes.extend(permissions::evidence());
    report.rows.push(machine_row(&Environment::look()));
    let pair = settings.pair();
    let handed = (pair.clone()).and_then(|pair| hand_over(pair, settings, &Kernel));
    match handed {
        Ok(tally) => {
            let over = format!("{ITEMS} items handed over one at a time, in both threads");
            add(&mut report, tally, &over, pair.as_ref().ok());
        }
        Err(Trouble::NotRun(why)) => {
            report.note(format!(
                "nothing could be handed from one thread to another, because {why}"
            ));
            let over = "no items, in a thread that did nothing";
            add(&mut report, idle(&Kernel), over, None);
        }
        Err(Trouble::Failed(why)) => {
            report.conclusions.push(format!("FAILED: {why}."));
            let row = Record::failed(LAYER, "ring/handed over", "every item arrives", why);
            report.rows.push(row);
        }
    }
    permissions::add(&mut report, pair);
    report.repeated_by("doctor")
}

/// The machine as a table, for where no page shows it.
pub fn machine(environment: &Environment) -> Table {
    let mut table = Table::new("The machine:", ["what", "here"]);
    for (name, fact) in &environment.facts {
        table.add([Cell::words(*name), Cell::words(fact)]);
    }
    table
}

/// The machine as a row, so that rows alone say where they come from.
fn machine_row(environment: &Environment) -> Record {
    let facts = environment.facts.iter();
    let said: Vec<_> = facts
        .map(|(name, fact)| format!("{name}: {fact}"))
        .collect();
    Record::passed(LAYER, "machine", "described").reason(said.join("; "))
}

/// Hands items over through a ring that has room for one, so that for each of them at least two
/// lines go from one thread to the other.
fn hand_over(pair: Pair, settings: &Settings, provider: &dyn Provider) -> Result<Tally, Trouble> {
    let ring = Ring::<u64>::anonymous(&RingOptions::new(1).slots(1));
    let both = ring.and_then(|ring| Ok((ring.producer()?, ring.consumer()?)));
    let (producer, consumer) = both.map_err(Trouble::of("no ring could be made"))?;
    let ends = Ends::ours(Way::OneByOne, producer, consumer);
    let mut link = ends.link("a ring for one item".to_owned(), 256, settings.first_item());
    link.run_counted_by(pair, ITEMS, Some(provider))
        .map(|run| run.counted)
        .map_err(|fault| fault.of(&link.name))
}

fn idle(provider: &dyn Provider) -> Tally {
    let mut counters = Counters::open_by(provider);
    counters.start();
    counters.stop();
    counters.read()
}

/// Tables, conclusions and rows from what was counted.
fn add(report: &mut Report, tally: Tally, over: &str, pair: Option<&Pair>) {
    let mut kinds = Table::new("What the counters are:", ["counter", "counted by", "shows"]);
    for (event, _) in &tally.counts {
        let counted_by = event.kind.counted_by();
        kinds.add([
            Cell::words(event.name),
            counted_by.map_or_else(Cell::missing, Cell::words),
            Cell::words(event.shows),
        ]);
    }
    report.conclusions.push(extent(&tally));
    report.conclusions.extend(lines(&tally, pair));
    report.add_counters(&[("here".to_owned(), tally)], over);
    report.tables.push(kinds);
}

/// How many of the counters count.
fn extent(tally: &Tally) -> String {
    let all = tally.counts.len();
    let counting: Vec<_> = (tally.counts.iter())
        .filter(|(_, reading)| reading.value().is_some())
        .map(|(event, _)| event.name)
        .collect();
    match counting.len() {
        0 => format!("None of {all} counters counts here; the table says why."),
        some if some == all => format!("All {all} counters count here."),
        some => format!(
            "{some} of {all} counters count here ({}); the table says why the others do not.",
            counting.join(", ")
        ),
    }
}

/// Whether lines that go between cores can be seen; nothing where none had to go.
fn lines(tally: &Tally, pair: Option<&Pair>) -> Option<String> {
    let counted: Vec<_> = (tally.counts.iter())
        .filter(|(event, _)| LINES.contains(&event.name))
        .filter_map(|(_, reading)| reading.value())
        .collect();
    if counted.is_empty() {
        return Some(
            "Lines that go from core to core cannot be counted here: what false sharing does shows \
             in times only."
                .to_owned(),
        );
    }
    let items = tally.items.filter(|items| *items > 0)?;
    let apart = pair.is_some_and(|pair| pair.pinned && pair.relation.kinship.is_apart());
    match counted.iter().sum::<u64>() {
        0 if apart => Some(
            "The counters of lines stayed at zero while every item went from core to core: they \
             count nothing here, or the two CPUs are hyperthreads of one core whatever the kernel \
             says. Do not trust them."
                .to_owned(),
        ),
        0 => None,
        sum => Some(format!(
            "The counters of lines moved by {} for each item that was handed over: what false \
             sharing does can be counted here.",
            figure(sum as f64 / items as f64)
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::counters::Reading;
    use crate::counters::fake::Fake;
    use crate::cpus::{Kinship, Likeness, Relation};
    use crate::report::{omits, says};
    use crate::run::Extent;

    const APART: Pair = Pair {
        first: 0,
        second: 1,
        relation: Relation {
            kinship: Kinship::Cores,
            likeness: Likeness::Alike,
        },
        pinned: true,
        preferred: false,
    };

    /// What a provider of tests counts over ten items, with the counts of lines that are given.
    fn counted(lines: Option<u64>) -> Tally {
        let fake = Fake::default();
        let mut counters = Counters::open_by(&fake);
        counters.start();
        fake.work(10);
        counters.stop();
        let mut tally = counters.read().over(10);
        for (event, reading) in &mut tally.counts {
            if LINES.contains(&event.name) {
                *reading = lines.map_or_else(
                    || Reading::NotMeasured("of a reason".to_owned()),
                    Reading::Counted,
                );
            }
        }
        tally
    }

    fn reported(lines: Option<u64>, pair: Option<&Pair>) -> Report {
        Report::recorded(|report| add(report, counted(lines), "10 items", pair))
    }

    #[test]
    fn counters_that_see_no_line_go_between_cores_are_not_to_be_trusted() {
        let report = reported(Some(0), Some(&APART));
        says(&report.render(), &["Do not trust them"]);
    }

    #[test]
    fn no_line_has_to_go_between_hyperthreads_or_within_one_thread() {
        let together = Pair {
            relation: Relation {
                kinship: Kinship::Hyperthreads,
                ..APART.relation
            },
            ..APART
        };
        for pair in [Some(&together), None] {
            let said = reported(Some(0), pair).conclusions;
            assert_eq!(said, ["All 10 counters count here."]);
        }
    }

    #[test]
    fn lines_that_are_counted_are_reported_for_each_item() {
        let said = reported(Some(12), Some(&APART)).render();
        // Twelve near and twelve far, over ten items.
        says(&said, &["moved by 2.40 for each item", "here, FAKE"]);
        omits(&said, &["trust"]);
    }

    #[test]
    fn what_cannot_be_counted_is_said_and_the_others_are_named() {
        let report = reported(None, Some(&APART));
        assert!(report.conclusions[0].starts_with("8 of 10 counters count here (cycles, "));
        assert!(report.conclusions[1].contains("in times only"));
        assert!(report.render().contains("because of a reason"));
    }

    #[test]
    fn items_that_are_handed_over_are_counted_in_both_threads() {
        let Ok(pair) = Pair::choose(None) else {
            return;
        };
        let settings = Settings::of(Extent::Smoke);
        // Of whatever is counted ten happen in each thread.
        let fake = Fake::with(|fake| fake.meanwhile = 10);
        let tally = hand_over(pair, &settings, &fake).unwrap();
        assert_eq!(tally.items, Some(ITEMS));
        let mut report = Report::new("handed over");
        add(&mut report, tally, "items", Some(&pair));
        // The columns are filled, and cannot be taken for the machine's.
        assert_eq!(report.tables[0].columns()[1], "here, FAKE");
        assert!(report.tables[0].reasons().is_empty(), "{}", report.render());
        assert_eq!(report.tables[0].rows()[0][1], Cell::figure("20"));
        let by_the_fake = |row: &&Record| row.reason.as_deref() == Some("FAKE");
        assert_eq!(report.rows.iter().filter(by_the_fake).count(), 10);
        assert_eq!(report.rows.len(), 10);
    }
}
