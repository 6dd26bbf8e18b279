//! Judging changes: each must be noticed by some scenario that holds without it.

use std::fmt;
use std::marker::PhantomData;

use ringproof::site::Site;
use ringproof_record::Record;

use crate::change::Change;
use crate::diagram;
use crate::engine::{Engine, Extent};
use crate::exploration::{Effort, Explored, Failure, explain, explore, in_parallel, repeat};
use crate::oracle;
use crate::scenario::Scenario;

/// Executions per exploration that are tried first, in every scenario, before any is tried for
/// longer: most changes are noticed in a handful by one that suits them.
pub const FIRST: u64 = 1_000;

/// Scenarios with fewer executions are searched for one that shows a change in fewer steps.
const SMALL: u64 = 400;

/// Executions per exploration, at most, before a change is said to have survived.
const LAST: u64 = 100_000;

/// Changes that break nothing, and why. One that is noticed all the same fails.
pub const EQUIVALENT: &[(Change, &str)] = &[];

/// What became of a change under one engine.
#[derive(Clone, Debug)]
pub enum Verdict {
    /// Noticed.
    Killed(Kill),
    /// Not noticed, and rightly so: the argument.
    Equivalent(&'static str),
    /// Not noticed, without an argument that it is equivalent.
    Survived(Tried),
    /// Noticed, though somebody argued that it breaks nothing.
    Refuted(Kill, &'static str),
    /// The engine is sequentially consistent and cannot judge it.
    Blind,
}

/// Where a change was noticed.
#[derive(Clone, Debug)]
pub struct Kill {
    /// The scenario.
    pub scenario: &'static str,
    /// After how many executions of it.
    pub executions: u64,
    /// Of how many at most.
    pub effort: Effort,
    /// What broke.
    pub finding: String,
    /// The execution in which it did; `None` where all of them together lack an outcome.
    pub failure: Option<Failure>,
}

/// Where it was not.
#[derive(Clone, Debug, Default)]
pub struct Tried {
    /// The scenarios, with how far each went.
    pub scenarios: Vec<(&'static str, Extent)>,
    /// How many executions there were, over all of them.
    pub executions: u64,
}

impl Tried {
    /// Whether any of them was explored as far as it was to be: otherwise an argument that the
    /// change breaks nothing stands alone.
    fn to_the_end(&self) -> bool {
        let mut extents = self.scenarios.iter().map(|(_, extent)| extent);
        extents.any(|extent| !matches!(extent, Extent::Truncated(_)))
    }
}

/// A change and what became of it.
#[derive(Clone, Debug)]
pub struct Judgement {
    /// The change.
    pub change: Change,
    /// What became of it.
    pub verdict: Verdict,
}

/// Judges changes by the scenarios that hold without them.
#[derive(Debug)]
pub struct Judge<'a, E> {
    candidates: Vec<Candidate<'a>>,
    equivalent: &'a [(Change, &'static str)],
    effort: Effort,
    engine: PhantomData<fn() -> E>,
}

#[derive(Debug)]
struct Candidate<'a> {
    scenario: &'a Scenario,
    /// What it accesses.
    sites: Vec<Site>,
    /// How many executions it made in the first try.
    executions: u64,
}

impl<'a, E: Engine> Judge<'a, E> {
    /// Looks at the scenarios: one that fails unchanged would notice anything, and is left out.
    pub fn new(
        scenarios: &'a [Scenario],
        equivalent: &'a [(Change, &'static str)],
        effort: Effort,
    ) -> Self {
        let first = at_most(FIRST, effort);
        let controls = in_parallel(E::at_once(), scenarios, |scenario| {
            explore::<E>(scenario, None, first)
        });
        let mut candidates: Vec<_> = (scenarios.iter().zip(controls))
            .filter(|(_, control)| control.outcome.is_ok())
            .map(|(scenario, control)| Candidate {
                scenario,
                sites: control.totals.sites,
                executions: control.executions,
            })
            .collect();
        candidates.sort_by_key(|candidate| candidate.executions);
        Judge {
            candidates,
            equivalent,
            effort,
            engine: PhantomData,
        }
    }

    /// Tries the scenarios that access the changed site, the smallest first, until one notices.
    pub fn judge(&self, change: Change) -> Judgement {
        if change.is_of_order() && !E::WEAK {
            let verdict = Verdict::Blind;
            return Judgement { change, verdict };
        }
        let verdict = match (self.kill(change), self.argument(change)) {
            (Ok(kill), None) => Verdict::Killed(kill),
            (Ok(kill), Some(argument)) => Verdict::Refuted(kill, argument),
            (Err(tried), Some(argument)) if tried.to_the_end() => Verdict::Equivalent(argument),
            (Err(tried), _) => Verdict::Survived(tried),
        };
        Judgement { change, verdict }
    }

    /// Judges each of them, in parallel, in order; `progress` is called as each is judged.
    pub fn judge_all(
        &self,
        changes: &[Change],
        progress: &(dyn Fn(&Judgement) + Sync),
    ) -> Vec<Judgement> {
        in_parallel(E::at_once(), changes, |&change| {
            let judgement = self.judge(change);
            progress(&judgement);
            judgement
        })
    }

    fn argument(&self, change: Change) -> Option<&'static str> {
        let of = |(equivalent, _): &&(Change, _)| *equivalent == change;
        self.equivalent
            .iter()
            .find(of)
            .map(|&(_, argument)| argument)
    }

    fn kill(&self, change: Change) -> Result<Kill, Tried> {
        let accesses = |candidate: &&Candidate<'_>, site| candidate.sites.contains(&site);
        let mut rest: Vec<_> = (self.candidates.iter())
            .filter(|candidate| accesses(candidate, change.site()))
            .filter(|candidate| change.past().is_none_or(|past| accesses(candidate, past)))
            .map(|candidate| candidate.scenario)
            .collect();
        let mut tried = Tried::default();
        let last = at_most(LAST, self.effort);
        for effort in [at_most(FIRST, self.effort), last] {
            let mut unfinished = Vec::new();
            for scenario in rest {
                let explored = explore::<E>(scenario, Some(change), effort);
                let extent = match noticed::<E>(scenario, change, explored, effort) {
                    Ok(kill) => return Ok(self.easier_to_read(scenario, kill, change)),
                    Err((extent, executions)) => {
                        tried.executions += executions;
                        extent
                    }
                };
                match extent {
                    Extent::Truncated(_) if effort.executions < last.executions => {
                        unfinished.push(scenario);
                    }
                    _ => tried.scenarios.push((scenario.name, extent)),
                }
            }
            rest = unfinished;
        }
        Err(tried)
    }

    /// The kill, or that by another small scenario whose execution is shorter.
    fn easier_to_read(&self, scenario: &'a Scenario, kill: Kill, change: Change) -> Kill {
        let Some(failure) = kill.failure.clone() else {
            return kill;
        };
        let others = (self.candidates.iter())
            .filter(|other| other.executions < SMALL && other.sites.contains(&change.site()))
            .map(|other| other.scenario)
            .filter(|other| !other.crashes);
        let effort = at_most(FIRST, self.effort);
        let (easier, _) = explain::<E>((scenario, failure), others, Some(change), effort);
        if easier.name == scenario.name {
            return kill;
        }
        let explored = explore::<E>(easier, Some(change), effort);
        noticed::<E>(easier, change, explored, effort).unwrap_or(kill)
    }
}

/// Judges a change by one scenario alone, whatever the engine can judge: not noticed is survived.
pub fn judge_in<E: Engine>(scenario: &Scenario, change: Change, effort: Effort) -> Judgement {
    let explored = explore::<E>(scenario, Some(change), effort);
    let verdict = match noticed::<E>(scenario, change, explored, effort) {
        Ok(kill) => Verdict::Killed(kill),
        Err((extent, executions)) => Verdict::Survived(Tried {
            scenarios: vec![(scenario.name, extent)],
            executions,
        }),
    };
    Judgement { change, verdict }
}

fn at_most(executions: u64, effort: Effort) -> Effort {
    Effort {
        executions: effort.executions.min(executions),
        ..effort
    }
}

/// Whether an exploration noticed a change: something broke, or an outcome that is declared was
/// never witnessed, though every execution was tried. If not: how far it went.
///
/// An engine that tried less than it says has not tried every execution: what it missed, it
/// cannot have noticed.
fn noticed<E: Engine>(
    scenario: &Scenario,
    change: Change,
    explored: Explored,
    effort: Effort,
) -> Result<Kill, (Extent, u64)> {
    let compared = oracle::compare::<E>(scenario, Some(change), &explored, effort.seed);
    let kill = |finding, failure| Kill {
        scenario: scenario.name,
        executions: explored.executions,
        effort,
        finding,
        failure,
    };
    let extent = match (
        explored.outcome,
        compared.and_then(|compared| compared.missed),
    ) {
        (Err(failure), _) => return Ok(kill(failure.finding.clone(), Some(failure))),
        (Ok(_), Some(missed)) => Extent::Truncated(missed),
        (Ok(extent), None) => extent,
    };
    let missing = (scenario.witnesses.iter())
        .find(|&witness| !explored.totals.witnessed.contains_key(witness));
    match (missing, &extent) {
        (Some(witness), Extent::Exhausted | Extent::ExhaustedHistory | Extent::Bounded(_)) => {
            Ok(kill(format!("never witnessed: {witness}"), None))
        }
        _ => Err((extent, explored.executions)),
    }
}

impl Judgement {
    /// The row of the report; `None` where the engine cannot judge it.
    pub fn row<E: Engine>(&self) -> Option<Record> {
        let change = self.change;
        let subject = change.site().to_string();
        let check = format!("{}: {}", change.kind().name(), change.to());
        let at = |row: Record, kill: &Kill| {
            let repeat = repeat::<E>(kill.scenario, Some(change), kill.effort);
            let row = match &kill.failure {
                Some(failure) => row.trace(diagram::render(failure, &repeat)),
                None => row,
            };
            row.count(kill.executions, E::UNIT).repeat(repeat)
        };
        Some(match &self.verdict {
            Verdict::Killed(kill) => {
                let how = format!("killed in {}: {}", kill.scenario, kill.finding);
                at(Record::passed(E::NAME, subject, check).reason(how), kill)
            }
            Verdict::Equivalent(argument) => {
                Record::passed(E::NAME, subject, check).reason(format!("equivalent: {argument}"))
            }
            Verdict::Survived(tried) => Record::failed(E::NAME, subject, check, tried.to_string())
                .count(tried.executions, E::UNIT),
            Verdict::Refuted(kill, argument) => {
                let how = format!(
                    "killed in {}: {}; yet it was argued that {argument}",
                    kill.scenario, kill.finding
                );
                at(Record::failed(E::NAME, subject, check, how), kill)
            }
            Verdict::Blind => return None,
        })
    }
}

impl fmt::Display for Tried {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.scenarios.is_empty() {
            return write!(f, "survived: no scenario that holds accesses it");
        }
        let scenarios: Vec<_> = (self.scenarios.iter())
            .map(|(name, extent)| format!("{name} {extent}"))
            .collect();
        write!(f, "survived in {}", scenarios.join(", "))
    }
}

/// How many of an engine's judgements came out which way.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Noticed, as they should be.
    pub killed: usize,
    /// Not noticed, with an argument.
    pub equivalent: usize,
    /// Not noticed without one, or noticed against one.
    pub wrong: usize,
    /// Those that the engine cannot judge.
    pub blind: usize,
    /// Half of those noticed took no more executions than this.
    pub median: u64,
    /// None took more.
    pub most: u64,
}

impl Tally {
    /// Counts.
    pub fn of(judgements: &[Judgement]) -> Tally {
        let mut tally = Tally::default();
        let mut executions = Vec::new();
        for judgement in judgements {
            match &judgement.verdict {
                Verdict::Killed(kill) => {
                    tally.killed += 1;
                    executions.push(kill.executions);
                }
                Verdict::Equivalent(_) => tally.equivalent += 1,
                Verdict::Survived(_) | Verdict::Refuted(..) => tally.wrong += 1,
                Verdict::Blind => tally.blind += 1,
            }
        }
        executions.sort_unstable();
        if let Some(&most) = executions.last() {
            tally.median = executions[(executions.len() - 1) / 2];
            tally.most = most;
        }
        tally
    }

    /// The row of the report: it fails if a change was judged wrong, if none of those that the
    /// engine can tell was killed, or if kills take so many executions that a survivor would say little.
    pub fn row<E: Engine>(&self) -> Record {
        let judged = self.killed + self.equivalent + self.wrong;
        let reason = format!(
            "killed {} of {judged}, equivalent {}, neither {}; {} to kill: median {}, at most {}",
            self.killed,
            self.equivalent,
            self.wrong,
            E::UNIT,
            self.median,
            self.most
        );
        let some = self.killed > 0 || judged == 0;
        let holds = self.wrong == 0 && some && self.median < FIRST;
        let row = match holds {
            true => Record::passed(E::NAME, "every change", "noticed").reason(reason),
            false => Record::failed(E::NAME, "every change", "noticed", reason),
        };
        row.count(self.killed as u64, "changes")
    }
}
