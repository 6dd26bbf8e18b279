//! One of the two processes between which messages move; or both sides, as threads of one process.

use std::ops::Range;
use std::{env, io, thread};

use nix::sys::prctl::set_pdeathsig;
use nix::sys::signal::Signal;
use nix::time::{ClockId, clock_gettime};
use ringproof_record::Exit;

use super::control::{Answer, Control, Exercise, Order, Reported, Task};
use super::mechanism::{Endpoint, Mechanism, Side, Terms};
use super::message::{Injected, Numbers, buffer};
use crate::counters::{SystemCalls, Usage};
use crate::cpus::{Gone, Seat, stands};

/// The argument by which a program knows that it was started to be such a process.
pub const ARGUMENT: &str = "ipc-worker";

/// What follows it if the process is to be both sides.
pub(super) const BOTH: &str = "both";

/// Does the work of such a process, if this program was started to be one, and gives the exit code.
/// A program that measures calls it before it looks at its arguments, with all mechanisms that it
/// measures.
pub fn divert(mechanisms: &[Mechanism]) -> Option<Exit> {
    if env::args().nth(1).as_deref() != Some(ARGUMENT) {
        return None;
    }
    Some(match serve(mechanisms) {
        Ok(()) => Exit::Passed,
        Err(error) => {
            eprintln!("error: {ARGUMENT}: {error}");
            Exit::Failed
        }
    })
}

/// Carries out the orders of one side, or of both.
fn serve(mechanisms: &[Mechanism]) -> io::Result<()> {
    // Whoever started this process may be gone before this; then there is no order to receive.
    set_pdeathsig(Signal::SIGKILL)?;
    let first = Control::inherited(io::stdin())?;
    if env::args().nth(2).as_deref() != Some(BOTH) {
        return obey(&first, mechanisms);
    }
    let second = Control::inherited(io::stdout())?;
    // In two new threads: which CPUs the process may use is asked of its main thread, which is not pinned.
    thread::scope(|scope| {
        let sides = [&first, &second].map(|side| scope.spawn(move || obey(side, mechanisms)));
        let panicked = |_| Err(io::Error::other("a side panicked"));
        sides
            .into_iter()
            .try_for_each(|side| side.join().unwrap_or_else(panicked))
    })
}

/// Carries out orders until there are no more.
fn obey(control: &Control, mechanisms: &[Mechanism]) -> io::Result<()> {
    let mut joined: Option<Joined> = None;
    while let Some((order, descriptors)) = control.receive()? {
        let answer = match order {
            Order::Join {
                mechanism,
                side,
                size,
                numbers,
                peer,
                seat,
            } => {
                let known = mechanisms.iter().find(|known| known.name == mechanism);
                let terms = Terms {
                    side,
                    size,
                    descriptors,
                    numbers,
                    peer,
                };
                match known.map(|known| Joined::new(known, terms, seat)) {
                    Some(Ok(endpoint)) => {
                        joined = Some(endpoint);
                        Answer::Done(Reported::default())
                    }
                    Some(Err(why)) => Answer::Refused(why),
                    None => Answer::Broken(format!("this program knows no `{mechanism}`")),
                }
            }
            Order::Move(task) => match &mut joined {
                Some(joined) => joined.perform(task),
                None => Answer::Broken("messages were to move before there was a way".to_owned()),
            },
        };
        control.send(&answer, &[])?;
    }
    Ok(())
}

/// An endpoint in use.
struct Joined {
    endpoint: Box<dyn Endpoint>,
    side: Side,
    /// Words in a message.
    words: usize,
    /// Messages that are handed over at once.
    batch: usize,
    out: Vec<u64>,
    into: Vec<u64>,
    seat: Option<Seat>,
}

/// What can go wrong in a task.
#[derive(Debug)]
enum Failure {
    /// The CPU of this process was taken away.
    Gone(Gone),
    /// A message was not right, or the mechanism failed.
    Broken(String),
}

impl Failure {
    /// What the mechanism said when `what` was done. It may have waited, and found its CPU gone.
    fn of(what: &str, error: io::Error) -> Self {
        match error.get_ref().and_then(|inner| inner.downcast_ref()) {
            Some(gone) => Failure::Gone(*gone),
            None => Failure::Broken(format!("{what}: {error}")),
        }
    }
}

impl From<Gone> for Failure {
    fn from(gone: Gone) -> Self {
        Failure::Gone(gone)
    }
}

impl Joined {
    fn new(mechanism: &Mechanism, terms: Terms, seat: Option<Seat>) -> Result<Self, String> {
        let (side, size, batch) = (terms.side, terms.size, mechanism.batch);
        if let Some(seat) = seat {
            seat.take().map_err(|gone| gone.to_string())?;
        }
        let endpoint = (mechanism.join)(terms).map_err(|refused| refused.to_string())?;
        Ok(Joined {
            endpoint,
            side,
            words: size / 8,
            batch,
            out: buffer(size, batch),
            into: buffer(size, batch),
            seat,
        })
    }

    fn perform(&mut self, task: Task) -> Answer {
        let reported = match task.exercise {
            Exercise::PingPong => self.ping_pong(task),
            Exercise::Stream => self.stream(task),
        };
        // What was measured on another CPU, or on one that was shared, is no figure.
        match reported
            .and_then(|reported| stands().map_or_else(|gone| Err(gone.into()), |()| Ok(reported)))
        {
            Ok(reported) => Answer::Done(reported),
            Err(Failure::Gone(gone)) => Answer::Refused(gone.to_string()),
            Err(Failure::Broken(why)) => Answer::Broken(why),
        }
    }

    fn ping_pong(&mut self, task: Task) -> Result<Reported, Failure> {
        // What goes wrong on purpose does so on the way there: one message that is wrong is enough.
        let there = task.numbers(self.side == Side::First);
        let mut observed = None;
        for place in 0..task.warm_up + task.count {
            if place == task.warm_up {
                observed = Some(self.observe(task)?);
            }
            match self.side {
                Side::First => {
                    self.send(there, place, 1)?;
                    self.receive(there, place, 1)?;
                }
                Side::Second => {
                    self.receive(there, place, 1)?;
                    self.send(there, place, 1)?;
                }
            }
        }
        Ok(observed.map(Observed::end).unwrap_or_default())
    }

    fn stream(&mut self, task: Task) -> Result<Reported, Failure> {
        let (there, back) = (task.numbers(true), task.numbers(false));
        let warm_up = self.whole_batches(task.warm_up);
        let all = warm_up + self.whole_batches(task.count);
        let (first, batch) = (self.side == Side::First, self.batch);
        let go_on = |this: &mut Self, places: Range<u64>| {
            let mut places = places.step_by(batch);
            places.try_for_each(|place| match first {
                true => this.send(there, place, batch),
                false => this.receive(there, place, batch),
            })
        };
        go_on(self, 0..warm_up)?;
        // The other side stands ready, and nothing is on its way.
        match first {
            true => self.receive(back, 0, 1)?,
            false => self.send(back, 0, 1)?,
        }
        let observed = self.observe(task)?;
        go_on(self, warm_up..all)?;
        Ok(observed.end())
    }

    /// Begins to observe, when both processes are known to run.
    fn observe(&self, task: Task) -> Result<Observed, Failure> {
        if let Some(seat) = &self.seat {
            seat.prefer()?;
        }
        Ok(Observed::begin(task.system_calls))
    }

    fn whole_batches(&self, count: u64) -> u64 {
        count.next_multiple_of(self.batch as u64)
    }

    fn send(&mut self, numbers: Numbers, place: u64, count: usize) -> Result<(), Failure> {
        let messages = &mut self.out[..self.words * count];
        numbers.write(messages, self.words, place);
        (self.endpoint.send(messages))
            .map_err(|error| Failure::of(&format!("message {place} cannot be sent"), error))
    }

    fn receive(&mut self, numbers: Numbers, place: u64, count: usize) -> Result<(), Failure> {
        let messages = &mut self.into[..self.words * count];
        (self.endpoint.receive(messages))
            .map_err(|error| Failure::of(&format!("message {place} cannot be received"), error))?;
        (numbers.check(messages, self.words, place))
            .map_err(|wrong| Failure::Broken(wrong.to_string()))
    }
}

impl Task {
    /// The numbers of the messages in one direction.
    fn numbers(self, with_faults: bool) -> Numbers {
        Numbers {
            first: self.first,
            injected: match with_faults {
                true => self.injected,
                false => Injected::Nothing,
            },
        }
    }

    /// How many messages are counted in the time, of both directions together.
    pub(crate) fn messages(self, batch: usize) -> u64 {
        match self.exercise {
            Exercise::PingPong => self.count * 2,
            Exercise::Stream => self.count.next_multiple_of(batch as u64),
        }
    }
}

/// Observes the calling thread, which does all that this side does, from `begin` to `end`.
struct Observed {
    before: Usage,
    calls: Option<Result<SystemCalls, String>>,
    start: u64,
}

impl Observed {
    fn begin(count: bool) -> Self {
        Observed {
            before: Usage::so_far(),
            calls: count.then(SystemCalls::begin),
            start: now(),
        }
    }

    fn end(self) -> Reported {
        let end = now();
        let counted = |counting: Result<SystemCalls, String>| counting.and_then(SystemCalls::end);
        let system_calls = self.calls.map(counted);
        let used = self.before.since();
        Reported {
            start: self.start,
            end,
            preemptions: used.preemptions,
            sleeps: used.sleeps,
            system_calls,
        }
    }
}

/// The clock that all processes share, in nanoseconds.
fn now() -> u64 {
    // It fails for no clock that there is always.
    clock_gettime(ClockId::CLOCK_MONOTONIC).map_or(0, |time| {
        u64::try_from(time.tv_sec()).unwrap_or(0) * 1_000_000_000
            + u64::try_from(time.tv_nsec()).unwrap_or(0)
    })
}
