//! Specimens: wrong algorithms that were published or shipped, and what must catch each.
//!
//! Every specimen is written anew from its description, small, with its mistake as a parameter.
//! So the *control* is the same code without the mistake, and must pass: a harness that alarms on
//! it is wrong, too. Each fault has a bound, the executions or cases within which it must be
//! caught.

mod property;
mod ring;
mod s01_textbook_seqlock;
mod s02_stamp_checked_once;
mod s03_unmatched_fence;
mod s04_relaxed_free;
mod s05_two_cells;
mod s06_seqlock_without_fences;
mod s07_plain_payload;
mod s08_lost_wakeup;
mod s09_unordered_record;
mod s10_fence_after_link;
mod s11_full_in_first_lap;
mod s12_counter_wraps;
mod s13_stale_end_mark;
mod s14_sequence_wraps;
mod s28_sleepers_counted;
mod seqlock;
mod trap01_own_index;

use std::fmt;
use std::sync::Arc;

pub use property::Checked;
use ringproof_record::Record;

use crate::change::Table;
use crate::diagram;
use crate::engine::loom::Loom;
use crate::engine::shuttle::Shuttle;
use crate::engine::{Engine, Extent, Limits};
use crate::exploration::{Explored, Failure, explore_once};
use crate::run::Run;

/// The name of this layer in the report.
pub const LAYER: &str = "specimens";

/// Executions of a control at most, and schedules that it is held against. All are far smaller.
const EXECUTIONS: u64 = 100_000;
/// Cases of a control.
const CASES: u32 = 10_000;

/// One specimen.
pub struct Specimen {
    /// How it is referred to: S1, S2, …; T1 for a trap, which deceives the harness itself.
    pub number: &'static str,
    /// What it is.
    pub name: &'static str,
    /// Where it was published or shipped.
    pub source: &'static str,
    /// The same code with each mistake.
    pub faults: Vec<Fault>,
    /// The same code without.
    pub controls: Vec<Control>,
    /// Models that pass without having explored anything: declared like controls, each must be
    /// refused as one.
    pub blind: Vec<ModelControl>,
}

/// A mistake, and what must catch it.
pub enum Fault {
    /// Of a program of several threads.
    Model {
        /// Which mistake.
        what: &'static str,
        /// The program.
        model: Model,
        /// Within how many executions loom must catch it.
        loom: u64,
        /// Within how many schedules shuttle must, where it can.
        shuttle: Option<u64>,
    },
    /// Of code of one thread.
    Property {
        /// Which mistake.
        what: &'static str,
        /// The test.
        property: Property,
        /// Within how many cases it must fail.
        cases: u32,
    },
}

/// What must pass.
pub enum Control {
    /// A program of several threads.
    Model(ModelControl),
    /// Code of one thread.
    Property {
        /// What it does right.
        what: &'static str,
        /// The test.
        property: Property,
    },
}

/// A program that passes, and what it must have shown to be believed.
pub struct ModelControl {
    /// What it does right.
    pub what: &'static str,
    /// The program.
    pub model: Model,
    /// How many executions loom must make at least.
    pub minimum: u64,
    /// What must be witnessed.
    pub witnesses: &'static [&'static str],
}

/// A small program.
trait Program: Copy + Send + Sync + 'static {
    fn run(self, run: &Arc<Run>);
}

/// The same, of any type.
pub type Model = Arc<dyn Fn(&Arc<Run>) + Send + Sync>;

/// A property, tried on so many cases.
pub type Property = fn(cases: u32) -> Checked;

fn model(program: impl Program) -> Model {
    Arc::new(move |run| program.run(run))
}

impl Specimen {
    /// One of which nothing is said yet.
    fn new(number: &'static str, name: &'static str, source: &'static str) -> Specimen {
        Specimen {
            number,
            name,
            source,
            faults: Vec::new(),
            controls: Vec::new(),
            blind: Vec::new(),
        }
    }

    /// A mistake that loom must catch within so many executions.
    fn fault(mut self, what: &'static str, program: impl Program, loom: u64) -> Specimen {
        self.faults.push(Fault::Model {
            what,
            model: model(program),
            loom,
            shuttle: None,
        });
        self
    }

    /// The mistake before this is no matter of weak memory: shuttle must catch it, too.
    fn also_by_shuttle(mut self, schedules: u64) -> Specimen {
        if let Some(Fault::Model { shuttle, .. }) = self.faults.last_mut() {
            *shuttle = Some(schedules);
        }
        self
    }

    /// A mistake in code of one thread, which must fail within so many cases.
    fn wrong(mut self, what: &'static str, cases: u32, property: Property) -> Specimen {
        self.faults.push(Fault::Property {
            what,
            property,
            cases,
        });
        self
    }

    fn control(
        mut self,
        what: &'static str,
        program: impl Program,
        minimum: u64,
        witnesses: &'static [&'static str],
    ) -> Specimen {
        let control = ModelControl::new(what, program, minimum, witnesses);
        self.controls.push(Control::Model(control));
        self
    }

    /// Code of one thread without the mistake.
    fn right(mut self, what: &'static str, property: Property) -> Specimen {
        self.controls.push(Control::Property { what, property });
        self
    }

    fn blind(mut self, model: ModelControl) -> Specimen {
        self.blind.push(model);
        self
    }
}

impl ModelControl {
    fn new(
        what: &'static str,
        program: impl Program,
        minimum: u64,
        witnesses: &'static [&'static str],
    ) -> ModelControl {
        ModelControl {
            what,
            model: model(program),
            minimum,
            witnesses,
        }
    }
}

/// Every specimen.
pub fn all() -> Vec<Specimen> {
    vec![
        s01_textbook_seqlock::specimen(),
        s02_stamp_checked_once::specimen(),
        s03_unmatched_fence::specimen(),
        s04_relaxed_free::specimen(),
        s05_two_cells::specimen(),
        s06_seqlock_without_fences::specimen(),
        s07_plain_payload::specimen(),
        s08_lost_wakeup::specimen(),
        s09_unordered_record::specimen(),
        s10_fence_after_link::specimen(),
        s11_full_in_first_lap::specimen(),
        s12_counter_wraps::specimen(),
        s13_stale_end_mark::specimen(),
        s14_sequence_wraps::specimen(),
        s28_sleepers_counted::specimen(),
        trap01_own_index::specimen(),
    ]
}

/// The rows of all specimens, or of the one with this number; `progress` is called with each as
/// it is there.
///
/// # Errors
/// There is no specimen of this number.
pub fn rows(only: Option<&str>, progress: &dyn Fn(&Record)) -> Result<Vec<Record>, String> {
    let mut specimens = all();
    if let Some(number) = only {
        let known: Vec<_> = specimens.iter().map(|specimen| specimen.number).collect();
        specimens.retain(|specimen| specimen.number == number);
        if specimens.is_empty() {
            return Err(format!(
                "no specimen `{number}`; there are: {}",
                known.join(", ")
            ));
        }
    }
    let mut rows = Vec::new();
    for specimen in &specimens {
        let judged = judge(specimen);
        judged.iter().for_each(progress);
        rows.extend(judged);
    }
    Ok(rows)
}

/// The rows of one specimen: each fault caught, each control passed, each blind model refused.
pub fn judge(specimen: &Specimen) -> Vec<Record> {
    let from = |row: Row| Row {
        outcome: (row.outcome).map(|finding| format!("from {}: {finding}", specimen.source)),
        ..row
    };
    let faults = specimen.faults.iter().flat_map(judge_fault).map(from);
    let controls = specimen.controls.iter().map(judge_control);
    let blind = specimen.blind.iter().map(judge_blind).map(from);
    let subject = format!("{} {}", specimen.number, specimen.name);
    let repeat = format!(
        "cargo run -p ringproof-models --features loom -- {LAYER} --only {}",
        specimen.number
    );
    (faults.chain(controls).chain(blind))
        .map(|row| row.record(&subject, &repeat))
        .collect()
}

/// A row, before it is said of what.
struct Row {
    check: String,
    count: u64,
    unit: &'static str,
    /// What was found, or how far it went; or why it failed.
    outcome: Result<String, String>,
    /// The execution that shows it.
    failure: Option<Failure>,
}

impl Row {
    fn record(self, subject: &str, repeat: &str) -> Record {
        let mut record = match self.outcome {
            Ok(reason) => Record::passed(LAYER, subject, self.check).reason(reason),
            Err(reason) => Record::failed(LAYER, subject, self.check, reason),
        };
        if let Some(failure) = &self.failure {
            record = record.trace(diagram::render(failure, repeat));
        }
        record.count(self.count, self.unit).repeat(repeat)
    }
}

fn judge_fault(fault: &Fault) -> Vec<Row> {
    match fault {
        Fault::Model {
            what,
            model,
            loom,
            shuttle,
        } => {
            let by_loom = judge_caught::<Loom>(what, model, *loom);
            let by_shuttle = shuttle.map(|bound| judge_caught::<Shuttle>(what, model, bound));
            [by_loom].into_iter().chain(by_shuttle).collect()
        }
        Fault::Property {
            what,
            property,
            cases,
        } => {
            let checked = property(*cases);
            vec![Row {
                check: format!("caught by property test: {what}"),
                count: checked.cases,
                unit: "cases",
                outcome: match checked.outcome {
                    Err(finding) => Ok(finding),
                    Ok(()) => Err(format!("not caught within {cases} cases")),
                },
                failure: None,
            }]
        }
    }
}

fn judge_caught<E: Engine>(what: &str, model: &Model, bound: u64) -> Row {
    let explored = explore::<E>(model, bound);
    let unit = E::UNIT;
    let (outcome, failure) = match explored.outcome {
        // shuttle goes on at random for as long again.
        Err(failure) if explored.executions <= bound => {
            (Ok(failure.finding.clone()), Some(failure))
        }
        Err(_) => (Err(format!("caught, but not within {bound} {unit}")), None),
        Ok(extent) => (
            Err(format!("not caught within {bound} {unit}: {extent}")),
            None,
        ),
    };
    Row {
        check: format!("caught by {}: {what}", E::NAME),
        count: explored.executions,
        unit,
        outcome,
        failure,
    }
}

fn judge_control(control: &Control) -> Row {
    match control {
        Control::Model(control) => {
            let examined = examine(control);
            let raised = examined.raised();
            Row {
                check: format!("control under loom: {}", control.what),
                count: examined.executions,
                unit: Loom::UNIT,
                outcome: match raised.is_empty() {
                    true => Ok(format!(
                        "{}, {} outcomes witnessed, all readings of shuttle's {} schedules found",
                        Extent::Exhausted,
                        control.witnesses.len(),
                        examined.schedules,
                    )),
                    false => Err(raised),
                },
                failure: examined
                    .objections
                    .into_iter()
                    .find_map(|objection| match objection {
                        Objection::Fails { failure, .. } => Some(failure),
                        _ => None,
                    }),
            }
        }
        Control::Property { what, property } => {
            let checked = property(CASES);
            Row {
                check: format!("control under property test: {what}"),
                count: checked.cases,
                unit: "cases",
                outcome: checked.outcome.map(|()| "held in all of them".to_owned()),
                failure: None,
            }
        }
    }
}

/// A model that loom passes: refused for every reason there is.
fn judge_blind(model: &ModelControl) -> Row {
    let examined = examine(model);
    let raised = examined.raised();
    let raises = |kind: fn(&Objection) -> bool| examined.objections.iter().any(kind);
    let every = raises(|o| matches!(o, Objection::TooFew { .. }))
        && raises(|o| matches!(o, Objection::NeverWitnessed(_)))
        && raises(|o| matches!(o, Objection::Blind { .. }));
    Row {
        check: format!("refused: {}", model.what),
        count: examined.executions,
        unit: Loom::UNIT,
        outcome: match every {
            true => Ok(raised),
            false => Err(format!(
                "too few executions, a witness that never came and readings that shuttle alone \
                 finds were to be objected to; it was: {raised}"
            )),
        },
        failure: None,
    }
}

/// What stands against taking a model's passing as evidence.
enum Objection {
    /// It does not even pass.
    Fails {
        engine: &'static str,
        failure: Failure,
    },
    /// An engine did not get to the end.
    Unfinished {
        engine: &'static str,
        extent: Extent,
    },
    /// loom made fewer executions than there were.
    TooFew { executions: u64, minimum: u64 },
    /// What must be seen was not.
    NeverWitnessed(&'static str),
    /// Actors can read what loom never lets them read.
    Blind { missing: usize, schedules: u64 },
}

impl fmt::Display for Objection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Objection::Fails { engine, failure } => write!(f, "{engine}: {}", failure.finding),
            Objection::Unfinished { engine, extent } => {
                write!(f, "{engine} did not exhaust it: {extent}")
            }
            Objection::TooFew {
                executions,
                minimum,
            } => {
                write!(
                    f,
                    "{executions} executions, at least {minimum} were expected"
                )
            }
            Objection::NeverWitnessed(outcome) => write!(f, "never witnessed: {outcome}"),
            Objection::Blind { missing, schedules } => write!(
                f,
                "{missing} different readings of shuttle's {schedules} schedules never occurred"
            ),
        }
    }
}

/// What both engines make of a control.
struct Examined {
    /// loom's.
    executions: u64,
    /// shuttle's.
    schedules: u64,
    objections: Vec<Objection>,
}

impl Examined {
    /// The objections as one sentence; empty if there are none.
    fn raised(&self) -> String {
        let each: Vec<_> = self.objections.iter().map(Objection::to_string).collect();
        each.join("; ")
    }
}

fn examine(control: &ModelControl) -> Examined {
    let loom = explore::<Loom>(&control.model, EXECUTIONS);
    let shuttle = explore::<Shuttle>(&control.model, EXECUTIONS);
    let mut objections = Vec::new();
    let endings = [(Loom::NAME, loom.outcome), (Shuttle::NAME, shuttle.outcome)];
    for (engine, ending) in endings {
        match ending {
            Ok(Extent::Exhausted) => {}
            Ok(extent) => objections.push(Objection::Unfinished { engine, extent }),
            Err(failure) => objections.push(Objection::Fails { engine, failure }),
        }
    }
    // Of what was cut short, nothing more can be asked.
    if objections.is_empty() {
        if loom.executions < control.minimum {
            objections.push(Objection::TooFew {
                executions: loom.executions,
                minimum: control.minimum,
            });
        }
        for &outcome in control.witnesses {
            if !loom.totals.witnessed.contains_key(outcome) {
                objections.push(Objection::NeverWitnessed(outcome));
            }
        }
        // Every sequentially consistent execution is one of weak memory, too.
        let (possible, found) = (&shuttle.totals.readings, &loom.totals.readings);
        match possible.difference(found).count() {
            0 => {}
            missing => objections.push(Objection::Blind {
                missing,
                schedules: shuttle.executions,
            }),
        }
    }
    Examined {
        executions: loom.executions,
        schedules: shuttle.executions,
        objections,
    }
}

/// Every execution, or so many at most.
fn explore<E: Engine>(model: &Model, executions: u64) -> Explored {
    let limits = Limits {
        preemptions: None,
        executions,
        seed: 1,
    };
    let run = Run::new(Table::default(), None);
    let model = Arc::clone(model);
    Explored {
        outcome: explore_once(E::explore, limits, &run, move |run| model(run)),
        executions: run.executions(),
        crash_points: None,
        totals: run.totals(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::{HISTORY, word};
    use crate::order::Order::Relaxed;

    /// Stores to one word more often than loom remembers.
    #[derive(Clone, Copy)]
    struct Long;

    impl Program for Long {
        fn run(self, run: &Arc<Run>) {
            let (word, actor) = (word(0), run.actor("actor"));
            for value in 0..HISTORY as u64 {
                actor.store("store", &word, value, Relaxed);
            }
        }
    }

    #[test]
    fn a_control_that_loom_did_not_exhaust_fails() {
        let row = judge_control(&Control::Model(ModelControl::new("long", Long, 1, &[])));
        let reason = row.outcome.expect_err("some values were forgotten");
        assert_eq!(reason, "loom did not exhaust it: EXHAUSTED (history 7)");
    }
}
