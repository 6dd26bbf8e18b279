//! A death: who dies and with what, what is known of it, and with what that is judged.

use std::fs::File;
use std::hint::black_box;
use std::os::fd::{FromRawFd, OwnedFd};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use nix::fcntl::{FcntlArg, fcntl};
use ringproof::harness::Through;
use ringproof::memory::{Memory, Native, Word};
use ringproof::site::{Site, StoreSite};
use ringproof::{Claim, Role, Segment, SegmentError};

use crate::desk::Setting;
use crate::dying::{Ending, Fate, Plan, Point, dying};
use crate::fault::{Fault, Faulty, Party, faulty};
use crate::item::{Author, Item};
use crate::process::{Child, Ledger, Note, patience};

/// Who acts.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Who {
    /// The one who is killed.
    Victim,
    /// Who takes up the role of a victim that came this far, and is killed, too.
    Successor(u64),
}

impl Who {
    pub(crate) const fn author(self) -> Author {
        match self {
            Who::Victim => Author::Victim,
            Who::Successor(_) => Author::Successor,
        }
    }

    const fn party(self) -> Party {
        match self {
            Who::Victim => Party::Victim,
            Who::Successor(_) => Party::Successor,
        }
    }

    /// The mistake that a trial makes, if it is for this one to make.
    pub(crate) fn mistake(self, setting: &Setting<'_>) -> Option<Fault> {
        (setting.fault).filter(|fault| fault.party() == self.party())
    }
}

/// A memory whose words and slots are the machine's.
pub(crate) trait Machine: Memory<Cells = Native> {}

impl<M: Memory<Cells = Native>> Machine for M {}

/// What an actor's accesses go through.
pub(crate) trait Memories: Copy {
    type Memory<'m>: Machine
    where
        Self: 'm;

    /// For an endpoint that stores `index`, if it stores one.
    fn memory<'m>(&'m self, index: Option<&'m Word>) -> Self::Memory<'m>;
}

/// The machine's memory, as it ships.
impl Memories for Native {
    type Memory<'m> = Native;

    fn memory<'m>(&'m self, _: Option<&'m Word>) -> Native {
        Native
    }
}

/// The same with a mistake.
impl Memories for Fault {
    type Memory<'m> = Faulty<'m, Native>;

    fn memory<'m>(&'m self, index: Option<&'m Word>) -> Faulty<'m, Native> {
        wrong(Native, Some(*self), index)
    }
}

/// One that counts accesses and dies at one of them, perhaps with a mistake.
#[derive(Clone, Copy)]
pub(crate) struct Counted<'p> {
    plan: &'p Plan,
    fault: Option<Fault>,
}

impl Memories for Counted<'_> {
    type Memory<'m>
        = Faulty<'m>
    where
        Self: 'm;

    fn memory<'m>(&'m self, index: Option<&'m Word>) -> Faulty<'m> {
        wrong(dying(self.plan), self.fault, index)
    }
}

fn wrong<'m, M>(memory: M, fault: Option<Fault>, index: Option<&'m Word>) -> Faulty<'m, M> {
    let memory = faulty(memory, fault);
    match index {
        Some(index) => memory.map(|faults| faults.with_index(index)),
        None => memory,
    }
}

/// What an actor calls: a function compiled on its own, as a C program would call it. It answers
/// how many items it moved, or 1 for what is done and 0 for what is refused.
pub(crate) type Entry<A, B> = extern "C" fn(&mut A, &mut B) -> u64;

/// The answer of an entry that found what must not be there.
pub(crate) const CORRUPT: u64 = u64::MAX;

/// A process that is about to die, seen from inside.
#[derive(Clone, Copy)]
pub(crate) struct Actor<'a, S> {
    pub(crate) who: Who,
    pub(crate) seed: u64,
    /// Whether it makes one call of what it otherwise repeats: its instructions are counted.
    pub(crate) once: bool,
    pub(crate) memories: S,
    pub(crate) fault: Option<Fault>,
    pub(crate) ledger: &'a Ledger,
    /// What it attaches to; none if it has a name for that.
    pub(crate) segment: Option<&'a File>,
    /// What it does before each call.
    pub(crate) announce: &'a dyn Fn(*const ()),
}

impl<'a, S> Actor<'a, S> {
    /// The same over other memory.
    pub(crate) fn with<T>(self, memories: T) -> Actor<'a, T> {
        Actor {
            who: self.who,
            seed: self.seed,
            once: self.once,
            memories,
            fault: self.fault,
            ledger: self.ledger,
            segment: self.segment,
            announce: self.announce,
        }
    }

    /// A descriptor of the segment, as it would reach another process. Its number has three digits,
    /// whatever else is open: the taking of a role writes it into a path, digit by digit.
    pub(crate) fn segment(&self) -> Result<OwnedFd> {
        let segment = self.segment.context("there is no segment yet")?;
        let number = fcntl(segment, FcntlArg::F_DUPFD_CLOEXEC(100)).context("a descriptor")?;
        // SAFETY: it was made just now, and has no other owner.
        Ok(unsafe { OwnedFd::from_raw_fd(number) })
    }

    /// By this actor.
    pub(crate) fn item(&self, sequence: u64) -> Item {
        Item::of(self.seed, self.who.author(), sequence)
    }

    /// How often it calls what may be repeated `times` times.
    pub(crate) fn repeats(&self, times: u64) -> u64 {
        if self.once { times.min(1) } else { times }
    }

    /// Calls `entry`, and says what it answered.
    pub(crate) fn call<A, B>(&self, entry: Entry<A, B>, on: &mut A, with: &mut B) -> Result<u64> {
        let entry = black_box(entry);
        (self.announce)(entry as *const ());
        let answer = entry(on, with);
        ensure!(
            answer != CORRUPT,
            "who dies finds what must not be there, or is refused for no reason that it has"
        );
        Ok(answer)
    }

    /// A push returned, and the position is this now.
    pub(crate) fn committed(&self, position: u64) {
        self.ledger.note(&Note::Committed(position));
    }
}

impl<S: Memories> Actor<'_, S> {
    pub(crate) fn memory<'m>(&'m self, index: Option<&'m Word>) -> S::Memory<'m> {
        self.memories.memory(index)
    }

    /// Takes a role, through that memory: as an endpoint keeps it.
    pub(crate) fn claim(&self, segment: &Segment, role: Role) -> Result<Option<Claim>> {
        let claim = segment.claim_through(&self.memory(None), role)?;
        Ok(Some(claim).filter(|_| self.fault != Some(Fault::RoleLost)))
    }
}

/// This item was delivered at this position.
pub(crate) fn took(ledger: &Ledger, position: u64, item: Item) {
    ledger.note(&Note::Took(position, item.words()));
}

/// What a successor that is killed, too, makes its endpoint of, in the call in which it dies.
pub(crate) struct Succession<'r, R, M> {
    pub(crate) of: &'r R,
    /// Memory and role are handed over.
    pub(crate) heritage: Option<(M, Option<Claim>)>,
}

/// What is known of somebody after its death, or while it is stopped.
pub(crate) struct Death {
    /// Whether it was killed, rather than having come to its end, or being about to.
    pub(crate) killed: bool,
    /// The accesses that it made and what it reported, where anybody was there to see them.
    seen: Option<(Vec<Site>, Vec<Note>)>,
}

impl Death {
    /// One of which nothing is known but what it left.
    pub(crate) const fn unseen(killed: bool) -> Death {
        Death { killed, seen: None }
    }

    /// How many accesses at this site it had made.
    pub(crate) fn count(&self, site: impl Into<Site>) -> Option<u64> {
        let (made, site) = (&self.seen.as_ref()?.0, site.into());
        Some(made.iter().filter(|made| **made == site).count() as u64)
    }

    /// Whether of its accesses at two sites the last one was at the first of them.
    pub(crate) fn last_is(&self, one: impl Into<Site>, other: impl Into<Site>) -> Option<bool> {
        let (made, one, other) = (&self.seen.as_ref()?.0, one.into(), other.into());
        let last = made.iter().rev().find(|made| [one, other].contains(made));
        Some(last == Some(&one))
    }

    /// The position below which its pushes had returned.
    pub(crate) fn committed(&self) -> Option<u64> {
        let (_, notes) = self.seen.as_ref()?;
        notes.iter().rev().find_map(|note| match note {
            Note::Committed(position) => Some(*position),
            _ => None,
        })
    }

    /// What it had delivered, in order.
    pub(crate) fn taken(&self) -> Option<Vec<(u64, Item)>> {
        let (_, notes) = self.seen.as_ref()?;
        let taken = notes.iter().filter_map(|note| match note {
            Note::Took(position, words) => Some((*position, Item::from_words(*words))),
            _ => None,
        });
        Some(taken.collect())
    }
}

/// What others do while the one who is to die is stopped on the way.
pub(crate) type Meanwhile<'m> = dyn FnMut(&Death) -> Result<()> + 'm;

/// Makes the death happen.
type Die<'a> = dyn FnMut(&mut Meanwhile<'_>) -> Result<Death> + 'a;

/// What a death is judged with.
pub(crate) struct Judgement<'a> {
    pub(crate) setting: &'a Setting<'a>,
    /// Whose.
    pub(crate) who: Who,
    pub(crate) once: bool,
    pub(crate) segment: &'a File,
    pub(crate) die: &'a mut Die<'a>,
}

impl Judgement<'_> {
    pub(crate) fn segment(&self) -> Result<OwnedFd> {
        Ok(self.segment.try_clone().context("a descriptor")?.into())
    }

    /// Takes the role after the death: it must be free, and every taking counted. `before` says
    /// how many there were before the victim's.
    pub(crate) fn succeed(
        &self,
        death: &Death,
        segment: &Segment,
        role: Role,
        before: u64,
    ) -> Result<Claim> {
        let _kept = (self.setting.has(Fault::RoleKept))
            .then(|| segment.claim(role))
            .transpose()?;
        ensure_free(segment, role)?;
        let claim = (segment.claim(role)).context("a successor cannot take the role")?;
        if let Some(taken) = death.count(StoreSite::RoleEpochNext) {
            let (takings, reported) = (before + taken + 1, claim.epoch());
            ensure!(
                reported == takings,
                "by its successor's claim the {role}'s role was taken {reported} times, it was {takings}"
            );
        }
        Ok(claim)
    }

    /// A memory for who goes on instead of the dead one, and stores `index`.
    pub(crate) fn successor_memory<'m>(&self, index: &'m Word) -> Faulty<'m, Native> {
        let fault = (self.setting.fault).filter(|f| f.party() == Party::Successor && !self.once);
        wrong(Native, fault, Some(index))
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

/// A stopped holder keeps its role: no other process gets it.
pub(crate) fn ensure_kept(segment: &Segment, role: Role) -> Result<()> {
    match segment.claim(role) {
        Err(SegmentError::Held { .. }) => Ok(()),
        Err(other) => Err(other).context("a claim of a stopped process's role"),
        Ok(_) => bail!("the {role}'s role was taken from a stopped process"),
    }
}

/// One run: it has a victim, and judges what that left behind.
pub(crate) struct Trial<'a> {
    pub(crate) setting: &'a Setting<'a>,
    pub(crate) kill: &'a dyn Kill,
}

/// What a victim does, over memory that counts.
pub(crate) type Body<'b> = dyn Fn(Actor<'_, Counted<'_>>) -> Result<()> + 'b;

/// How a victim comes to its end, in a process of its own.
pub(crate) trait Kill {
    /// Runs `body` until it dies at this run's point, or to its end if it does not.
    fn victim(&self, body: &Body<'_>, meanwhile: &mut Meanwhile<'_>) -> Result<Death>;
}

impl Trial<'_> {
    /// Has the victim, and says what became of it.
    pub(crate) fn victim(&self, body: &Body<'_>, meanwhile: &mut Meanwhile<'_>) -> Result<Death> {
        self.kill.victim(body, meanwhile)
    }

    /// The same while nothing else happens.
    pub(crate) fn victim_alone(&self, body: &Body<'_>) -> Result<Death> {
        self.victim(body, &mut |_| Ok(()))
    }

    /// Runs `body` in a process of its own until it dies at `point`, before the run proper:
    /// to have a structure that somebody left in the middle of something.
    pub(crate) fn earlier(&self, point: Point, body: &Body<'_>) -> Result<()> {
        let process = Process {
            point: Some(point),
            ending: Ending::Kill,
            patience: patience(),
            fault: None,
        };
        let (_, trace) = process.run(self.setting, body, &mut |_| Ok(()))?;
        ensure!(
            trace.is_none(),
            "an earlier victim was to be {point}, but went on to its end"
        );
        Ok(())
    }
}

/// A process that counts its accesses, and to which something happens at one of them.
pub(crate) struct Process {
    pub(crate) point: Option<Point>,
    pub(crate) ending: Ending,
    pub(crate) patience: Duration,
    pub(crate) fault: Option<Fault>,
}

impl Process {
    /// What it reported, and the accesses that it made if it came to its end.
    pub(crate) fn run(
        &self,
        setting: &Setting<'_>,
        body: &Body<'_>,
        meanwhile: &mut dyn FnMut(Vec<Note>) -> Result<()>,
    ) -> Result<(Vec<Note>, Option<Vec<Site>>)> {
        let point = self.point;
        let what = match point {
            Some(point) => format!("the victim that is to be {point}"),
            None => "the victim that is to live".to_owned(),
        };
        let child = Child::fork(what, setting.alone, |ledger| {
            let plan = Plan::new(point, self.ending);
            body(victim_with(&plan, setting.seed, ledger, self.fault))?;
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
        let mut child = child.within(self.patience);
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
            bail!("a victim that lived reports no trace");
        };
        let trace = names.iter().map(|name| {
            Site::named(name).with_context(|| format!("the victim passed an unknown site {name}"))
        });
        Ok((notes, Some(trace.collect::<Result<_>>()?)))
    }
}

impl Death {
    /// One of a process whose accesses were counted.
    pub(crate) const fn counted(killed: bool, made: Vec<Site>, notes: Vec<Note>) -> Death {
        Death {
            killed,
            seen: Some((made, notes)),
        }
    }
}

/// A victim that has such a plan.
pub(crate) fn victim_with<'a>(
    plan: &'a Plan,
    seed: u64,
    ledger: &'a Ledger,
    fault: Option<Fault>,
) -> Actor<'a, Counted<'a>> {
    Actor {
        who: Who::Victim,
        seed,
        once: false,
        memories: Counted { plan, fault },
        fault,
        ledger,
        segment: None,
        announce: &|_| {},
    }
}
