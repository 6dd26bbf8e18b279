//! A process is killed before and after each access to shared memory, and stopped before it.

use std::cell::OnceCell;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use ringproof::site::Site;

use crate::crash::case::{By, Case, Points};
use crate::crash::operations::{cases_at, subjects_at, with_injected};
use crate::crash::trial::{Body, Death, Kill, Meanwhile, Process, Who};
use crate::desk::{Check, Covered, Setting};
use crate::dying::{Ending, Fate, Point};
use crate::fault::Fault;
use crate::process::{patience, short_patience};

/// What each operation must bear, and what must be noticed in it.
pub(crate) fn checks() -> Vec<Check> {
    let kills = &[Fate::KilledBefore, Fate::KilledAfter];
    let checks = subjects_at(Points::Accesses).flat_map(|subject| {
        [
            (By::Life, LIVE, "runs", &[][..]),
            (By::Crash, CRASH, "kills", kills),
            (By::Stop, STOP, "stops", &[Fate::Stopped]),
        ]
        .map(|(by, what, unit, fates)| {
            let check = Check::new(subject, what, unit, |setting| every(setting, fates));
            with_injected(check, by)
        })
    });
    checks.collect()
}

const LIVE: &str = "no crash";
const CRASH: &str = "crash at every access";
const STOP: &str = "stop before every access";

/// Each state of the operation without a death, and then with each fate at each access: how often
/// that was the outcome, or, where none is asked for, how many states there are.
fn every(setting: &Setting<'_>, fates: &[Fate]) -> Result<u64> {
    let mut made = 0;
    for case in cases_at(Points::Accesses).filter(|case| case.subject == setting.subject) {
        let run = |address: &str, death: Option<(Point, &[Site])>| {
            let point = death.map(|(point, _)| point);
            let covered =
                point.map(|point| Covered::key(point.site.info().name, point.fate.check()));
            setting.attempt(address, covered, || run(setting, &case, death))
        };
        let address = case.address();
        let Some(trace) = run(&address, None)? else {
            continue;
        };
        made += u64::from(fates.is_empty());
        for (number, site) in trace.iter().copied().enumerate() {
            for fate in fates.iter().copied() {
                let point = Point { number, fate, site };
                let address = format!("{address}:{number}:{}", fate.name());
                let outcome = run(&address, Some((point, &trace)))?;
                made += u64::from(outcome.is_some());
            }
        }
    }
    Ok(made)
}

/// One run; the accesses of a victim that lived.
pub(crate) fn run(
    setting: &Setting<'_>,
    case: &Case,
    death: Option<(Point, &[Site])>,
) -> Result<Vec<Site>> {
    let kill = AtAccess {
        setting,
        death,
        trace: OnceCell::new(),
    };
    let place = || death.map_or("without a kill".to_owned(), |(point, _)| point.to_string());
    case.run(setting, &kill).with_context(place)?;
    Ok(kill.trace.into_inner().unwrap_or_default())
}

/// A victim that dies or is stopped at one access, or lives.
struct AtAccess<'a> {
    setting: &'a Setting<'a>,
    /// Where it ends and how, and the accesses it makes when it lives. `None`: it lives.
    death: Option<(Point, &'a [Site])>,
    trace: OnceCell<Vec<Site>>,
}

impl Kill for AtAccess<'_> {
    fn victim(&self, body: &Body<'_>, meanwhile: &mut Meanwhile<'_>) -> Result<Death> {
        let setting = self.setting;
        let point = self.death.map(|(point, _)| point);
        let stopped = point.is_some_and(|point| point.fate == Fate::Stopped);
        let (ending, patience) = match setting.fault {
            Some(Fault::VictimHangs) if point.is_some() => (Ending::Hang, short_patience()),
            Some(Fault::VictimSurvives) => (Ending::Survive, patience()),
            _ => (Ending::Kill, patience()),
        };
        let process = Process {
            point,
            ending,
            patience,
            fault: Who::Victim.mistake(setting),
        };
        let (notes, trace) = process.run(setting, body, &mut |notes| match self.death {
            Some((point, trace)) => {
                let so_far = Death::counted(false, point.made(trace).to_vec(), notes);
                meanwhile(&so_far).context("while the victim is stopped")
            }
            None => Ok(()),
        })?;
        if setting.has(Fault::SurvivorHangs) && point.is_some() {
            setting.hangs();
            loop {
                std::thread::sleep(Duration::from_secs(1));
            }
        }
        let made = match (self.death, trace) {
            (None, Some(trace)) => {
                let made = trace.clone();
                ensure!(self.trace.set(trace).is_ok(), "two victims in one run");
                made
            }
            (None, None) => bail!("the victim died, although it had nothing to die of"),
            (Some(_), Some(trace)) if stopped => trace,
            (Some(_), None) if stopped => bail!("the victim died, although it was only stopped"),
            (Some((point, _)), Some(_)) => {
                bail!("the victim was to be {point}, but went on to its end")
            }
            (Some((point, trace)), None) => point.made(trace).to_vec(),
        };
        Ok(Death::counted(point.is_some() && !stopped, made, notes))
    }
}

/// Each fate must befall somebody at every site.
pub(crate) fn covered() -> Vec<Covered> {
    let fates = |site: Site| {
        Fate::ALL.map(|fate| Covered {
            subject: site.info().name,
            what: fate.check(),
            unit: fate.unit(),
        })
    };
    Site::all().flat_map(fates).collect()
}
