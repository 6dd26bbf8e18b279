//! Two threads, each on its own CPU: one sends numbered items, the other checks every one.

use std::time::{Duration, Instant};

use crate::counters::{Counters, Kernel, Provider, Tally, Usage};
use crate::cpus::Pair;
use crate::together::{Fault, both};

/// An end of whatever is measured. Given the number of the first item and how many there are, it sends
/// them, or takes as many and checks that they are these.
pub type End<'a> = Box<dyn FnMut(u64, u64) -> Result<(), Fault> + Send + 'a>;

/// One thing to measure.
pub struct Link<'a> {
    /// How tables call it.
    pub name: String,
    /// Its sending end.
    pub sender: End<'a>,
    /// Its receiving end.
    pub receiver: End<'a>,
    /// Items to stream before the clock starts: once around the memory.
    pub warm_up: u64,
    /// The number of the next item.
    pub next: u64,
}

/// How one run through a link went.
#[derive(Clone, Debug)]
pub struct Run {
    /// From the first item's push to the last one's arrival.
    pub took: Duration,
    /// Items that were streamed in this time.
    pub items: u64,
    /// How often the two threads were preempted meanwhile.
    pub preemptions: u64,
    /// The sums of both threads' counters; empty unless asked for.
    pub counted: Tally,
}

impl Run {
    /// Million items a second.
    pub fn rate(&self) -> f64 {
        self.items as f64 / self.took.as_secs_f64() / 1e6
    }
}

impl Link<'_> {
    /// Streams `items` items between the two CPUs, after a warm-up. The clock runs from when both
    /// threads stand ready at an empty ring until the last item has arrived.
    pub fn run(&mut self, pair: Pair, items: u64, count: bool) -> Result<Run, Fault> {
        self.run_counted_by(pair, items, count.then_some(&Kernel))
    }

    /// The same, and what counts, if anything does.
    pub fn run_counted_by(
        &mut self,
        pair: Pair,
        items: u64,
        provider: Option<&dyn Provider>,
    ) -> Result<Run, Fault> {
        let Link {
            sender, receiver, ..
        } = self;
        let (warm, first) = (self.next, self.next.wrapping_add(self.warm_up));
        self.next = first.wrapping_add(items);
        let warm_up = self.warm_up;
        let (sent, received) = both(
            pair,
            |meeting| {
                sender(warm, warm_up)?;
                let mut observed = Observed::begin(provider);
                meeting.meet()?;
                let start = Instant::now();
                observed.start();
                sender(first, items)?;
                Ok((start, observed.end()))
            },
            |meeting| {
                receiver(warm, warm_up)?;
                let mut observed = Observed::begin(provider);
                meeting.meet()?;
                observed.start();
                receiver(first, items)?;
                Ok((Instant::now(), observed.end()))
            },
        )?;
        let ((start, (preempted, counted)), (end, (also_preempted, also_counted))) =
            (sent, received);
        Ok(Run {
            took: end.saturating_duration_since(start),
            items,
            preemptions: preempted + also_preempted,
            counted: counted.and(also_counted).over(items),
        })
    }
}

/// Counts what happens to the thread between `start` and `end`.
struct Observed {
    counters: Option<Counters>,
    before: Usage,
}

impl Observed {
    fn begin(provider: Option<&dyn Provider>) -> Self {
        Observed {
            counters: provider.map(Counters::open_by),
            before: Usage::so_far(),
        }
    }

    fn start(&mut self) {
        if let Some(counters) = &mut self.counters {
            counters.start();
        }
    }

    /// How often the thread was preempted, and what was counted.
    fn end(mut self) -> (u64, Tally) {
        let counted = self.counters.as_mut().map(|counters| {
            counters.stop();
            counters.read()
        });
        (self.before.since().preemptions, counted.unwrap_or_default())
    }
}
