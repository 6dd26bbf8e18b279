//! The crash layer: a process is killed before and after every access that it makes, and stopped
//! before it.
//!
//! A *case* is an operation in one state of its structure. It is run once without a death,
//! which also tells the accesses that the victim makes, and then once for each access and each
//! fate: the structure is made anew, the victim is forked, attaches, takes its role and dies
//! there; the survivor, who lived through it, and a successor in the victim's role go on; and
//! what they find is held to what the victim's accesses say must be there. A victim that is
//! stopped keeps its role: nobody takes it, the survivor looks at what is there or writes
//! meanwhile, and then the victim goes on to its end.

mod latch;
mod page;
pub(crate) mod ring;
pub(crate) mod segment;
mod seqlock;
mod supervise;
pub(crate) mod trial;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::os::fd::OwnedFd;
use std::str::FromStr;

use anyhow::{Context, Result};
use ringproof::Segment;
use ringproof::site::Site;

use crate::dying::{Fate, Point};
use crate::process::{Ledger, Note, SingleThreaded, Violation};
use crate::shm::Prefix;

pub(crate) use supervise::{Options, run};
use trial::{Setting, Trial};

/// What one run does: it makes the structure, has a victim, and judges what that left behind.
type Scenario = Box<dyn Fn(&Trial<'_>) -> Result<()>>;

/// An operation in one state.
struct Case {
    subject: &'static str,
    state: &'static str,
    scenario: Scenario,
}

impl Case {
    fn new(
        subject: &'static str,
        state: &'static str,
        scenario: impl Fn(&Trial<'_>) -> Result<()> + 'static,
    ) -> Self {
        Case {
            subject,
            state,
            scenario: Box::new(scenario),
        }
    }
}

/// Every case, in the order of the report.
fn cases() -> Vec<Case> {
    let parts = [
        ring::cases(),
        seqlock::cases(),
        latch::cases(),
        segment::cases(),
    ];
    parts.into_iter().flatten().collect()
}

/// The operations, each once.
pub(crate) fn subjects() -> Vec<&'static str> {
    let mut subjects: Vec<_> = cases().iter().map(|case| case.subject).collect();
    subjects.dedup();
    subjects
}

/// A descriptor of the segment, as it would reach another process.
pub(crate) fn attach(segment: &Segment) -> Result<OwnedFd> {
    (segment.descriptor()).context("cannot have the segment's descriptor")
}

/// Which runs to make: `SUBJECT`, `SUBJECT:STATE` or `SUBJECT:STATE:ACCESS:FATE`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Address {
    subject: String,
    state: Option<String>,
    point: Option<(usize, Fate)>,
}

impl Address {
    fn of(case: &Case, point: Option<Point>) -> Self {
        Address {
            subject: case.subject.to_owned(),
            state: Some(case.state.to_owned()),
            point: point.map(|point| (point.number, point.fate)),
        }
    }

    fn covers(&self, case: &Case) -> bool {
        self.subject == case.subject && self.state.as_ref().is_none_or(|s| s == case.state)
    }
}

impl FromStr for Address {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let parts: Vec<_> = text.split(':').collect();
        let (subject, state, point) = match parts[..] {
            [subject] => (subject, None, None),
            [subject, state] => (subject, Some(state), None),
            [subject, state, number, fate] => {
                let number = (number.parse())
                    .map_err(|_| format!("`{number}` is not the number of an access"))?;
                let fate = (Fate::ALL.into_iter())
                    .find(|known| known.name() == fate)
                    .ok_or_else(|| format!("`{fate}` is none of `before`, `after` and `stop`"))?;
                (subject, Some(state), Some((number, fate)))
            }
            _ => return Err("expected SUBJECT[:STATE[:ACCESS:FATE]]".to_owned()),
        };
        let address = Address {
            subject: subject.to_owned(),
            state: state.map(str::to_owned),
            point,
        };
        let cases = cases();
        if cases.iter().any(|case| address.covers(case)) {
            return Ok(address);
        }
        let states: Vec<_> = (cases.iter())
            .filter(|case| case.subject == subject)
            .map(|case| case.state)
            .collect();
        Err(match (states.is_empty(), state) {
            (false, Some(state)) => format!(
                "{subject} is not tried in state `{state}`; its states: {}",
                states.join(", ")
            ),
            _ => format!(
                "there is no subject `{subject}`; the subjects: {}",
                subjects().join(", ")
            ),
        })
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.subject)?;
        if let Some(state) = &self.state {
            write!(f, ":{state}")?;
        }
        if let Some((number, fate)) = self.point {
            write!(f, ":{number}:{}", fate.name())?;
        }
        Ok(())
    }
}

/// The page on what a crash leaves behind. Each case is run once, without a death, for the
/// accesses that it makes.
pub(crate) fn page() -> Result<String> {
    let prefix = Prefix::new("crash");
    let setting = Setting {
        alone: SingleThreaded::check()?,
        seed: 1,
        fault: None,
        prefix: &prefix.to_string(),
    };
    let mut tried: BTreeMap<Site, BTreeMap<_, Vec<_>>> = BTreeMap::new();
    for case in cases() {
        let trial = Trial::new(&setting, None);
        (case.scenario)(&trial)
            .with_context(|| format!("{} in state `{}`", case.subject, case.state))?;
        let sites: BTreeSet<_> = trial.into_trace().into_iter().collect();
        for site in sites {
            let states = tried.entry(site).or_default().entry(case.subject);
            states.or_default().push(case.state);
        }
    }
    for (subject, states) in tried.values_mut().flatten() {
        let all = cases()
            .iter()
            .filter(|case| case.subject == *subject)
            .count();
        if states.len() == all && all > 1 {
            *states = vec!["every state"];
        }
    }
    Ok(page::markdown(&tried))
}

/// Runs the cases that `only` covers, each up to its first violation, and tells what came of
/// it. Whether a violation ends everything, `thorough` says.
fn work(
    setting: &Setting<'_>,
    cases: &[&Case],
    only: Option<&Address>,
    thorough: bool,
    ledger: &Ledger,
) {
    for case in cases {
        if let Err(violation) = work_case(setting, case, only, ledger) {
            ledger.note(&Note::Violation(violation));
            if !thorough {
                return;
            }
        }
    }
}

fn work_case(
    setting: &Setting<'_>,
    case: &Case,
    only: Option<&Address>,
    ledger: &Ledger,
) -> Result<(), Violation> {
    // One run, and the accesses of a victim that lived.
    let attempt = |death: Option<(Point, &[Site])>| {
        let point = death.map(|(point, _)| point);
        let address = Address::of(case, point);
        ledger.note(&Note::Trying(address.to_string()));
        let trial = Trial::new(setting, death);
        (case.scenario)(&trial).map_err(|error| {
            let (subject, state) = (case.subject, case.state);
            let death = match point {
                Some(point) => point.to_string(),
                None => "nobody killed".to_owned(),
            };
            Violation {
                address: address.to_string(),
                site: point.map(|point| point.site.to_string()),
                fate: point.map(|point| point.fate.name().to_owned()),
                what: format!("{subject} in state `{state}`, {death}: {error:#}"),
            }
        })?;
        ledger.note(&match point {
            Some(point) => Note::Befell {
                site: point.site.to_string(),
                fate: point.fate.name().to_owned(),
            },
            None => Note::Lived,
        });
        Ok(trial.into_trace())
    };

    let trace = attempt(None)?;
    let wanted = only.and_then(|address| address.point);
    for (number, site) in trace.iter().copied().enumerate() {
        for fate in Fate::ALL {
            if wanted.is_none_or(|wanted| wanted == (number, fate)) {
                let point = Point { number, fate, site };
                attempt(Some((point, &trace)))?;
            }
        }
    }
    match wanted {
        Some((number, _)) if number >= trace.len() => Err(Violation {
            address: Address::of(case, None).to_string(),
            site: None,
            fate: None,
            what: format!(
                "there is no access {number}: {} in state `{}` makes {}",
                case.subject,
                case.state,
                trace.len()
            ),
        }),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read_as_they_are_written() {
        for text in ["ring/push", "ring/push:full", "latch/write:wrap:12:after"] {
            assert_eq!(text.parse::<Address>().unwrap().to_string(), text);
        }
    }

    #[test]
    fn wrong_addresses_say_what_there_is() {
        for (text, hint) in [
            ("ring/shove", "ring/push_slice"),
            ("ring/push:fulll", "tiny-empty"),
            ("ring/push:full:x:after", "`x`"),
            ("ring/push:full:1:beside", "`beside`"),
            ("ring/push:full:1", "SUBJECT[:STATE[:ACCESS:FATE]]"),
        ] {
            let error = text.parse::<Address>().unwrap_err();
            assert!(error.contains(hint), "{text}: {error}");
        }
    }

    #[test]
    fn every_planted_fault_concerns_operations_that_exist() {
        use clap::ValueEnum;
        let subjects = subjects();
        for fault in crate::fault::Fault::value_variants() {
            for subject in fault.subjects() {
                assert!(subjects.contains(subject), "{fault:?}: {subject}");
            }
        }
    }
}
