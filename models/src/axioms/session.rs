//! One program, run again and again with other values for its reads.
//!
//! The program is ordinary code. It finds the session that runs it in its thread, all of its
//! threads being calls on that one.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::mem;
use std::panic;
use std::thread;

use super::execution::{Next, Rules};
use super::trace::{Event, Kind, Trace};
use crate::engine::ASLEEP;
use crate::order::Order;
use crate::quiet;

/// The thread that the program begins in.
const ROOT: usize = 0;

/// What an enumeration went through.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Enumeration {
    /// How many candidates were run, those of all rounds.
    pub candidates: u64,
    /// How many different ones had a consistent execution.
    pub consistent: u64,
    /// How often all candidates were run, until no value was new.
    pub rounds: u64,
    /// The longest trace.
    pub events: usize,
    /// Why there may be others.
    pub truncated: Option<&'static str>,
}

/// A consistent execution that breaks an assertion, or races.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// What is wrong, and the execution.
    pub finding: String,
    /// What was gone through up to there.
    pub enumeration: Enumeration,
}

/// Runs `program` for each candidate: `begin` is called before each run, `commit` after the first
/// one of each candidate that turned out consistent. At most `limit` runs.
///
/// # Errors
/// [`Violation`]
pub fn enumerate(
    rules: Rules,
    limit: u64,
    program: &dyn Fn(),
    mut begin: impl FnMut(),
    mut commit: impl FnMut(),
) -> Result<Enumeration, Violation> {
    let _ended = EndSession;
    SESSION.set(Some(Session {
        rules,
        ..Session::default()
    }));
    let mut totals = Enumeration::default();
    let mut consistent = HashSet::new();
    loop {
        totals.rounds += 1;
        let mut grew = false;
        loop {
            if totals.candidates == limit {
                totals.truncated = Some("the first candidates, depth first");
                return Ok(totals);
            }
            totals.candidates += 1;
            with(Session::reset);
            begin();
            let outcome = quiet::catch(program);
            end(ROOT, outcome);
            let judged = with(|session| {
                totals.events = totals.events.max(session.trace.events().len());
                session.judge(&consistent)
            });
            match judged {
                Judged::Consistent => {
                    let (values, partial) = with(|session| {
                        grew |= session.learn();
                        (
                            session.values(),
                            session.partial || !session.asleep.is_empty(),
                        )
                    });
                    consistent.insert(values);
                    if with(|session| session.left) {
                        totals.truncated = Some("nothing after a sleep of limited time");
                    }
                    if !partial {
                        totals.consistent += 1;
                        commit();
                    }
                }
                Judged::Wrong(finding) => {
                    return Err(Violation {
                        finding,
                        enumeration: totals,
                    });
                }
                Judged::TooLong => totals.truncated = Some("no trace of more than 64 events"),
                Judged::Known | Judged::Inconsistent => {}
            }
            if !with(Session::advance) {
                break;
            }
        }
        if !grew {
            return Ok(totals);
        }
    }
}

/// Makes a location that holds `value`, and gives its number.
pub(super) fn location(value: u64) -> usize {
    if thread::panicking() {
        return ROOT;
    }
    perform(|session| session.location(value))
}

/// Reads a location, as the kind of event that `kind` makes of the value.
pub(super) fn read(location: usize, order: Order, kind: impl Fn(u64) -> Kind) -> u64 {
    if thread::panicking() {
        return 0;
    }
    perform(|session| session.choose(location, order, false, |value| Some(kind(value))))
}

/// Changes what a location holds to what `change` makes of it, in one step, and gives what it
/// was. `None`: it cannot be changed from this value.
pub(super) fn update(location: usize, order: Order, change: impl Fn(u64) -> Option<u64>) -> u64 {
    if thread::panicking() {
        return 0;
    }
    let kind = |read| change(read).map(|written| Kind::Rmw { read, written });
    perform(|session| session.choose(location, order, true, kind))
}

/// What a wake adds to the word that stands for a queue in the kernel; a wait adds one.
const WAKE: u64 = 1 << 32;

/// Sleeps until it is woken, if `is_asleep` says so of what a location holds; false if it did not fall asleep. Each
/// wait and wake is a step of the queue, so that the one sees what was stored before the other.
pub(super) fn wait(location: usize, is_asleep: impl Fn(u64) -> bool) -> bool {
    if thread::panicking() {
        return false;
    }
    let queue = perform(|session| session.queue(location));
    let step = |session: &mut Session| {
        let step = |read| {
            Some(Kind::Rmw {
                read,
                written: read + 1,
            })
        };
        let before = session.choose(queue, Order::AcqRel, true, step)?;
        Ok((before, session.trace.events().len() - 1))
    };
    let (before, here) = perform(step);
    let sleeps = is_asleep(read(location, Order::Relaxed, Kind::Load));
    if sleeps {
        perform(|session| session.sleep(queue, here, before / WAKE));
    }
    sleeps
}

/// Wakes all who sleep on a location.
pub(super) fn wake(location: usize) {
    if !thread::panicking() {
        let queue = perform(|session| session.queue(location));
        update(queue, Order::AcqRel, |steps| Some(steps + WAKE));
    }
}

/// The thread ends here: what it would do after a time of which nobody knows how long it is, it would do elsewhere,
/// too.
pub(super) fn leave() {
    if !thread::panicking() {
        perform(|session| {
            session.partial = true;
            session.left = true;
            Err::<(), _>(Halt::Thread)
        });
    }
}

/// Writes a location, or is a fence.
pub(super) fn write(location: usize, order: Order, kind: Kind) {
    if !thread::panicking() {
        perform(|session| session.push(location, order, kind));
    }
}

/// A thread that was started, and has therefore ended.
#[derive(Debug)]
pub(super) struct Ended<R> {
    thread: usize,
    /// `None` if it did not come to its end.
    result: Option<R>,
}

/// Starts a thread and runs it as far as it goes.
pub(super) fn spawn<R>(body: impl FnOnce() -> R) -> Ended<R> {
    let (parent, thread) = with(Session::start);
    let result = end(thread, quiet::catch(body));
    perform(|session| {
        session.current = parent;
        session.halt.map_or(Ok(()), Err)
    });
    Ended { thread, result }
}

/// Joins a thread. If it did not come to its end, neither does this one.
pub(super) fn join<R>(ended: Ended<R>) -> R {
    perform(|session| {
        session.join(ended.thread);
        ended.result.ok_or(Halt::Thread)
    })
}

fn end<R>(thread: usize, outcome: Result<R, String>) -> Option<R> {
    with(|session| {
        session.threads[thread].ended = true;
        match (&outcome, session.halt) {
            (Err(_), Some(Halt::Thread)) => session.halt = None,
            (Err(finding), None) => {
                session.finding.get_or_insert_with(|| finding.clone());
            }
            _ => {}
        }
    });
    outcome.ok()
}

thread_local! {
    static SESSION: RefCell<Option<Session>> = const { RefCell::new(None) };
}

/// Ends the session, however its enumeration ends.
struct EndSession;

impl Drop for EndSession {
    fn drop(&mut self) {
        SESSION.set(None);
    }
}

fn with<R>(action: impl FnOnce(&mut Session) -> R) -> R {
    SESSION.with_borrow_mut(|session| {
        action(
            session
                .as_mut()
                .expect("accesses are made inside of an exploration"),
        )
    })
}

/// Does something, or ends the thread. (Its destructors still run then. What they access is not
/// part of the program any more.)
fn perform<R>(action: impl FnOnce(&mut Session) -> Result<R, Halt>) -> R {
    let outcome = with(|session| {
        let outcome = action(session);
        session.halt = outcome.as_ref().err().copied();
        outcome
    });
    outcome.unwrap_or_else(|_| panic::resume_unwind(Box::new(())))
}

/// Why a thread, or the whole run, does not go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Halt {
    /// The thread joins one that has not come to its end, or is to end here.
    Thread,
    /// No value can be read here: this was no candidate.
    Candidate,
    /// The trace is full.
    Length,
}

enum Judged {
    /// It has a consistent execution.
    Consistent,
    /// So it has, and was judged before.
    Known,
    Inconsistent,
    TooLong,
    Wrong(String),
}

/// A place where the program reads, and what event that may be.
#[derive(Debug)]
struct Choice {
    location: usize,
    /// `None`: the thread ends here.
    events: Vec<Option<Kind>>,
    taken: usize,
}

impl Choice {
    fn event(&self) -> Option<Kind> {
        self.events[self.taken]
    }

    fn value(&self) -> Option<u64> {
        self.event()?.read()
    }
}

/// What is known of a thread of the run in progress.
#[derive(Clone, Copy, Debug, Default)]
struct Thread {
    ended: bool,
    joined_by: Option<usize>,
    /// How many threads and locations it has made.
    made: usize,
}

#[derive(Debug, Default)]
struct Session {
    rules: Rules,
    /// Numbers for threads and locations, by the thread that made them and how many it had made
    /// before: the same in every run, whatever other threads do.
    numbers: BTreeMap<(usize, usize), usize>,
    /// What consistent runs have stored: location, value and thread.
    stored: BTreeSet<(usize, u64, usize)>,
    /// The choices of the run in progress, those of the next run where they are the same.
    script: Vec<Choice>,
    /// How many of them this run has made.
    position: usize,
    trace: Trace,
    /// By number.
    threads: Vec<Thread>,
    current: usize,
    finding: Option<String>,
    /// Whether some thread was ended early, so that this is the beginning of a run.
    partial: bool,
    /// Whether some thread left.
    left: bool,
    /// Those that sleep and are woken no more: the queue, and the event by which they fell asleep.
    asleep: Vec<(usize, usize)>,
    halt: Option<Halt>,
}

impl Session {
    /// Before a run: nothing is known of it but what other runs have shown.
    fn reset(&mut self) {
        let before = mem::take(self);
        *self = Session {
            rules: before.rules,
            numbers: before.numbers,
            stored: before.stored,
            script: before.script,
            threads: vec![Thread::default()],
            ..Session::default()
        };
    }

    /// After a run: prepares the next one. False if there is none.
    fn advance(&mut self) -> bool {
        while let Some(last) = self.script.last_mut() {
            last.taken += 1;
            if last.taken < last.events.len() {
                return true;
            }
            self.script.pop();
        }
        false
    }

    /// A number for something that the current thread makes.
    fn number(&mut self) -> usize {
        let maker = &mut self.threads[self.current];
        let key = (self.current, maker.made);
        maker.made += 1;
        let next = self.numbers.len() + 1;
        *self.numbers.entry(key).or_insert(next)
    }

    fn location(&mut self, value: u64) -> Result<usize, Halt> {
        let number = self.number();
        self.push(number, Order::Relaxed, Kind::Initial(value))?;
        Ok(number)
    }

    /// The queue of those who sleep on a location: a location itself, of the same number in every run.
    fn queue(&mut self, location: usize) -> Result<usize, Halt> {
        const QUEUES: usize = 1 << 20;
        let queue = QUEUES + location;
        let known = |event: &Event| event.location == queue && event.is_initial();
        if !self.trace.events().iter().any(known) {
            self.push(queue, Order::Relaxed, Kind::Initial(0))?;
        }
        Ok(queue)
    }

    /// Sleeps since an event, before which there were so many wakes: until there is another one, or for ever.
    fn sleep(&mut self, queue: usize, since: usize, wakes: u64) -> Result<(), Halt> {
        let woken = |steps| (steps / WAKE > wakes).then_some(Kind::Load(steps));
        let ended = self.partial;
        let slept = self.choose_or(queue, Order::Acquire, true, woken);
        if slept == Err(Halt::Thread) {
            self.partial = ended;
            self.asleep.push((queue, since));
        }
        slept.map(|_| ())
    }

    fn push(&mut self, location: usize, order: Order, kind: Kind) -> Result<(), Halt> {
        if self.trace.is_full() {
            return Err(Halt::Length);
        }
        self.trace.push(self.current, location, kind, order);
        Ok(())
    }

    fn start(&mut self) -> (usize, usize) {
        let (parent, child) = (self.current, self.number());
        if self.threads.len() <= child {
            self.threads.resize(child + 1, Thread::default());
        }
        self.trace.start(parent, child);
        self.current = child;
        (parent, child)
    }

    fn join(&mut self, child: usize) {
        self.threads[child].joined_by = Some(self.current);
        self.trace.join(self.current, child);
    }

    /// Reads: as the event that `kind` makes of a value, where it makes one.
    ///
    /// Or ends the thread here, if the read `may_end` it. Two read-modify-writes cannot find the
    /// same write, so what another one stores that comes first can be learned only from a run in
    /// which this one does not come. (A mere load can find an older write there.)
    fn choose(
        &mut self,
        location: usize,
        order: Order,
        may_end: bool,
        kind: impl Fn(u64) -> Option<Kind>,
    ) -> Result<u64, Halt> {
        let may_end = may_end && !self.comes_before_the_rest(self.current);
        self.choose_or(location, order, may_end, kind)
    }

    /// The same, or nothing: then the thread ends here.
    fn choose_or(
        &mut self,
        location: usize,
        order: Order,
        may_end: bool,
        kind: impl Fn(u64) -> Option<Kind>,
    ) -> Result<u64, Halt> {
        if self.position == self.script.len() {
            let mut events = Vec::new();
            for event in self.readable(location).into_iter().filter_map(kind) {
                self.push(location, order, event)?;
                if self.trace.is_consistent(self.rules, self.open()) {
                    events.push(Some(event));
                }
                self.trace.pop();
            }
            if may_end {
                events.push(None);
            }
            if events.is_empty() {
                return Err(Halt::Candidate);
            }
            self.script.push(Choice {
                location,
                events,
                taken: 0,
            });
        }
        let choice = &self.script[self.position];
        assert_eq!(choice.location, location, "a program must be deterministic");
        let (event, value) = (choice.event(), choice.value());
        self.position += 1;
        match event {
            Some(event) => self.push(location, order, event)?,
            None => self.partial = true,
        }
        value.ok_or(Halt::Thread)
    }

    /// What a read may find: what is stored in this run so far, and what a thread that has not
    /// ended stores in some other run.
    fn readable(&self, location: usize) -> Vec<u64> {
        let here = self
            .trace
            .events()
            .iter()
            .filter(|event| event.location == location);
        let now = here.filter_map(|event| event.kind.written());
        let later = self
            .later(location)
            .filter(|_| !self.comes_before_the_rest(self.current))
            .filter(|&(_, by)| by != self.current)
            .map(|(value, _)| value);
        now.chain(later)
            .collect::<BTreeSet<_>>()
            .into_iter()
            .collect()
    }

    /// The values that threads which have not ended store in some run, and these threads.
    fn later(&self, location: usize) -> impl Iterator<Item = (u64, usize)> {
        (self.stored)
            .range((location, 0, 0)..(location + 1, 0, 0))
            .map(|&(_, value, by)| (value, by))
            .filter(|&(_, by)| !self.threads.get(by).is_some_and(|thread| thread.ended))
    }

    /// The reads in the trace whose write may be still to come.
    fn open(&self) -> u64 {
        let mut open = 0;
        for (number, event) in self.trace.events().iter().enumerate() {
            if let Some(read) = event.kind.read()
                && !self.comes_before_the_rest(event.thread)
                && (self.later(event.location))
                    .any(|(value, by)| value == read && by != event.thread)
            {
                open |= 1 << number;
            }
        }
        open
    }

    /// Whether all that this thread did so far happens before all that any thread is still going
    /// to do, which it therefore cannot have read: it is the root, for the others that have run
    /// have ended; or one that was joined by such.
    fn comes_before_the_rest(&self, thread: usize) -> bool {
        match self.threads[thread].joined_by {
            Some(by) => self.comes_before_the_rest(by),
            None => thread == ROOT,
        }
    }

    /// What the reads of this run found.
    fn values(&self) -> Vec<Option<u64>> {
        self.script.iter().map(Choice::value).collect()
    }

    /// Judges a run, unless it is among those known to be consistent.
    fn judge(&self, known: &HashSet<Vec<Option<u64>>>) -> Judged {
        match self.halt {
            Some(Halt::Candidate) => return Judged::Inconsistent,
            Some(Halt::Length) => return Judged::TooLong,
            Some(Halt::Thread) | None => {}
        }
        if known.contains(&self.values()) {
            return Judged::Known;
        }
        let is_plain = self.trace.events().iter().any(|event| event.is_plain());
        let (mut consistent, mut finding) = (false, None);
        self.trace.search(self.rules, 0, |execution| {
            consistent = true;
            let asleep = !self.partial && !self.asleep.is_empty();
            let found = match execution.race() {
                Some(race) => Some(format!("a data race: {race}")),
                None if asleep
                    && self
                        .asleep
                        .iter()
                        .all(|&(queue, since)| execution.is_last(queue, since)) =>
                {
                    Some(ASLEEP.to_owned())
                }
                None => self.finding.clone(),
            };
            match found {
                None if is_plain => Next::Reads,
                None => Next::Stop,
                Some(found) => {
                    finding = Some(format!("{found}; in the execution {execution}"));
                    Next::Stop
                }
            }
        });
        match (consistent, finding) {
            (_, Some(finding)) => Judged::Wrong(finding),
            (true, None) => Judged::Consistent,
            (false, None) => Judged::Inconsistent,
        }
    }

    /// Notes what this run has stored. True if some of it is new.
    fn learn(&mut self) -> bool {
        let before = self.stored.len();
        let events = self
            .trace
            .events()
            .iter()
            .filter(|event| !event.is_initial());
        let stored = events.filter_map(|event| {
            let value = event.kind.written()?;
            Some((event.location, value, event.thread))
        });
        self.stored.extend(stored);
        self.stored.len() > before
    }
}
