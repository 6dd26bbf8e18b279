//! One run of a scenario: a victim that dies or is stopped at one point, or lives, and what it
//! left behind.

use std::cell::OnceCell;
use std::os::fd::OwnedFd;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use ringproof::memory::Word;
use ringproof::site::{Site, StoreSite};
use ringproof::{Claim, Role, Segment, SegmentError};

use crate::desk::Setting;
use crate::dying::{Ending, Fate, Plan, Point, dying};
use crate::fault::{Fault, Faulty, Party, faulty};
use crate::item::{Author, Item};
use crate::process::{Child, Ledger, Note, patience, short_patience};
use crate::shm::Name;

/// What one run does: it makes the structure, has a victim, and judges what that left behind.
type Scenario = Box<dyn Fn(&Trial<'_>) -> Result<()>>;

/// An operation in one state.
pub(crate) struct Case {
    pub(crate) subject: &'static str,
    pub(crate) state: &'static str,
    pub(crate) scenario: Scenario,
}

impl Case {
    pub(crate) fn new(
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

/// A descriptor of the segment, as it would reach another process.
pub(crate) fn attach(segment: &Segment) -> Result<OwnedFd> {
    (segment.descriptor()).context("cannot have the segment's descriptor")
}

/// One run of a scenario.
pub(crate) struct Trial<'a> {
    setting: &'a Setting<'a>,
    /// What befalls the victim, and the accesses it makes when it lives. `None`: it lives.
    death: Option<(Point, &'a [Site])>,
    trace: OnceCell<Vec<Site>>,
    immortal: Plan,
}

impl<'a> Trial<'a> {
    pub(crate) fn new(setting: &'a Setting<'a>, death: Option<(Point, &'a [Site])>) -> Self {
        Trial {
            setting,
            death,
            trace: OnceCell::new(),
            immortal: Plan::immortal(),
        }
    }

    /// The accesses of a victim that lived.
    pub(crate) fn into_trace(self) -> Vec<Site> {
        self.trace.into_inner().unwrap_or_default()
    }

    pub(crate) fn seed(&self) -> u64 {
        self.setting.seed
    }

    pub(crate) fn item(&self, author: Author, sequence: u64) -> Item {
        Item::of(self.setting.seed, author, sequence)
    }

    pub(crate) fn has(&self, fault: Fault) -> bool {
        self.setting.has(fault)
    }

    /// A name for a segment that nobody else uses, gone with the run.
    pub(crate) fn name(&self) -> Name {
        self.setting.name()
    }

    /// Runs `body` in a process of its own until it dies at this run's point, or to its end if
    /// it does not. If it is stopped on the way, `meanwhile` is what the others do then.
    pub(crate) fn victim(
        &self,
        body: impl FnOnce(&Victim<'_>) -> Result<()>,
        meanwhile: impl FnOnce(&Death) -> Result<()>,
    ) -> Result<Death> {
        let point = self.death.map(|(point, _)| point);
        let stopped = point.is_some_and(|point| point.fate == Fate::Stopped);
        let (ending, patience) = match self.setting.fault {
            Some(Fault::VictimHangs) if point.is_some() => (Ending::Hang, short_patience()),
            Some(Fault::VictimSurvives) => (Ending::Survive, patience()),
            _ => (Ending::Kill, patience()),
        };
        let fault = self.setting.fault.filter(|f| f.party() == Party::Victim);
        let told_until_then = |notes: Vec<Note>| match self.death {
            Some((point, trace)) => meanwhile(&Death {
                killed: false,
                made: point.made(trace).to_vec(),
                notes,
            })
            .context("while the victim is stopped"),
            None => Ok(()),
        };
        let (notes, trace) = self.process(point, ending, patience, fault, body, told_until_then)?;
        if self.has(Fault::SurvivorHangs) && point.is_some() {
            self.setting.hangs();
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
        Ok(Death {
            killed: point.is_some() && !stopped,
            made,
            notes,
        })
    }

    /// Runs `body` in a process of its own until it dies at `point`, before the run proper:
    /// to have a structure that somebody left in the middle of something.
    pub(crate) fn earlier(
        &self,
        point: Point,
        body: impl FnOnce(&Victim<'_>) -> Result<()>,
    ) -> Result<()> {
        let nothing = |_| Ok(());
        let (_, trace) =
            self.process(Some(point), Ending::Kill, patience(), None, body, nothing)?;
        ensure!(
            trace.is_none(),
            "an earlier victim was to be {point}, but went on to its end"
        );
        Ok(())
    }

    /// What a process told, and its trace if it came to its end.
    fn process(
        &self,
        point: Option<Point>,
        ending: Ending,
        patience: Duration,
        fault: Option<Fault>,
        body: impl FnOnce(&Victim<'_>) -> Result<()>,
        meanwhile: impl FnOnce(Vec<Note>) -> Result<()>,
    ) -> Result<(Vec<Note>, Option<Vec<Site>>)> {
        let what = match point {
            Some(point) => format!("the victim that is to be {point}"),
            None => "the victim that is to live".to_owned(),
        };
        let child = Child::fork(what, self.setting.alone, |ledger| {
            let plan = Plan::new(point, ending);
            let victim = Victim {
                plan: &plan,
                ledger,
                fault,
                seed: self.setting.seed,
            };
            body(&victim)?;
            if let (Some(point), Some(site)) = (point, plan.astray()) {
                bail!(
                    "access {} is at {site} in this run and was at {} in the first",
                    point.number,
                    point.site
                );
            }
            let names = plan.trace().iter().map(Site::to_string).collect();
            ledger.note(&Note::Trace(names));
            Ok(())
        })?;
        let mut child = child.within(patience);
        let mut notes = Vec::new();
        if point.is_some_and(|point| point.fate == Fate::Stopped) {
            notes = child.wait_stopped()?;
            meanwhile(notes.clone())?;
            child.resume()?;
        }
        notes.extend(child.wait()?);
        if let Some(Note::Failed(error)) = notes.last() {
            bail!("the victim failed: {error}");
        }
        if notes.last() != Some(&Note::Done) {
            return Ok((notes, None));
        }
        notes.pop();
        let Some(Note::Trace(names)) = notes.pop() else {
            bail!("a victim that lived told no trace");
        };
        let trace = names.iter().map(|name| {
            Site::named(name).with_context(|| format!("the victim passed an unknown site {name}"))
        });
        Ok((notes, Some(trace.collect::<Result<_>>()?)))
    }

    /// Takes the victim's role after its death: it must be free, and every taking counted.
    /// `before` says how many there were before the victim's.
    pub(crate) fn succeed(
        &self,
        death: &Death,
        segment: &Segment,
        role: Role,
        before: u64,
    ) -> Result<Claim> {
        let _kept = (self.has(Fault::RoleKept))
            .then(|| segment.claim(role))
            .transpose()?;
        ensure_free(segment, role)?;
        let claim = (segment.claim(role)).context("a successor cannot take the role")?;
        let takings = before + death.count(StoreSite::RoleEpochNext) as u64 + 1;
        ensure!(
            claim.epoch() == takings,
            "the successor is told that the {role}'s role was taken {} times, it was {takings}",
            claim.epoch()
        );
        Ok(claim)
    }

    /// A memory for the successor, who stores `index`.
    pub(crate) fn successor_memory<'m>(&'m self, index: &'m Word) -> Faulty<'m> {
        let fault = (self.setting.fault).filter(|f| f.party() == Party::Successor);
        faulty(dying(&self.immortal), fault).map(|faults| faults.with_index(index))
    }
}

/// The kernel has freed the role of whoever died.
pub(crate) fn ensure_free(segment: &Segment, role: Role) -> Result<()> {
    ensure!(
        !segment.is_held(role)?,
        "the {role}'s role is still held after its holder's death"
    );
    Ok(())
}

/// A stopped holder keeps its role: nobody else gets it.
pub(crate) fn ensure_kept(segment: &Segment, role: Role) -> Result<()> {
    match segment.claim(role) {
        Err(SegmentError::Held { .. }) => Ok(()),
        Err(other) => Err(other).context("a claim of a stopped process's role"),
        Ok(_) => bail!("the {role}'s role was taken from a stopped process"),
    }
}

/// A process that is about to die, seen from inside.
pub(crate) struct Victim<'v> {
    plan: &'v Plan,
    ledger: &'v Ledger,
    fault: Option<Fault>,
    seed: u64,
}

impl Victim<'_> {
    /// A memory that counts accesses, with all others that the victim has, and dies at one of
    /// them.
    pub(crate) fn memory(&self) -> Faulty<'_> {
        faulty(dying(self.plan), self.fault)
    }

    pub(crate) fn item(&self, sequence: u64) -> Item {
        Item::of(self.seed, Author::Victim, sequence)
    }

    /// The claim as an endpoint keeps it.
    pub(crate) fn keep(&self, claim: Claim) -> Option<Claim> {
        Some(claim).filter(|_| self.fault != Some(Fault::RoleLost))
    }

    /// A push returned, and the position is this now.
    pub(crate) fn committed(&self, position: u64) {
        self.ledger.note(&Note::Committed(position));
    }

    /// This item was delivered at this position.
    pub(crate) fn took(&self, position: u64, item: Item) {
        self.ledger.note(&Note::Took(position, item.words()));
    }
}

/// What is known of a victim after its death, or while it is stopped.
pub(crate) struct Death {
    /// Whether it was killed, rather than having come to its end, or being about to.
    pub(crate) killed: bool,
    made: Vec<Site>,
    notes: Vec<Note>,
}

impl Death {
    /// How many accesses at this site it had made.
    pub(crate) fn count(&self, site: impl Into<Site>) -> usize {
        let site = site.into();
        self.made.iter().filter(|made| **made == site).count()
    }

    /// The last access that it had made at one of these sites.
    pub(crate) fn last_of(&self, sites: &[Site]) -> Option<Site> {
        self.made.iter().rev().find(|m| sites.contains(m)).copied()
    }

    /// The position below which it had been told that everything is committed.
    pub(crate) fn committed(&self) -> Option<u64> {
        self.notes.iter().rev().find_map(|note| match note {
            Note::Committed(position) => Some(*position),
            _ => None,
        })
    }

    /// What it had delivered, in order.
    pub(crate) fn taken(&self) -> Vec<(u64, Item)> {
        (self.notes.iter())
            .filter_map(|note| match note {
                Note::Took(position, words) => Some((*position, Item::from_words(*words))),
                _ => None,
            })
            .collect()
    }
}
