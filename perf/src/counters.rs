//! Hardware and kernel counters of one thread, each with its value or the reason why there is
//! none.
//!
//! What is counted is data ([`Event`]). Whoever counts is a [`Provider`]: the [`Kernel`], or, in
//! tests only, one that says what the test asks for. The arithmetic in between is the same for both,
//! so that it can be checked where there is nothing to count.

mod event;
#[cfg(test)]
pub(crate) mod fake;
mod kernel;
mod reading;
mod usage;

pub use event::{Event, Kind, Processor, Raw, groups};
pub use kernel::Kernel;
pub(crate) use kernel::paranoid;
pub use reading::{Count, Reading};
pub(crate) use usage::SystemCalls;
pub use usage::Usage;

/// Who counts.
pub trait Provider: Sync {
    /// What its figures are labelled with; nothing if they are of the machine.
    fn label(&self) -> Option<&'static str>;

    /// What there is to count, in groups. The members of a group are counted during the same time,
    /// so that their ratios mean something even if the group shares its counters with others.
    fn groups(&self) -> Vec<Vec<Event>>;

    /// Opens a group for the calling thread. It stands still.
    fn open(&self, events: &[Event]) -> Box<dyn Group>;
}

/// The counters of a group of events.
pub trait Group {
    /// Begins to count.
    fn start(&mut self) -> Result<(), String>;

    /// Stops counting.
    fn stop(&mut self) -> Result<(), String>;

    /// What each event has counted since it was opened, or why nothing: in the order of the events.
    fn read(&mut self) -> Vec<Result<Count, String>>;
}

/// The counters of the thread that opened them.
pub struct Counters {
    label: Option<&'static str>,
    groups: Vec<Open>,
}

/// An open group.
struct Open {
    events: Vec<Event>,
    group: Box<dyn Group>,
    /// What was read last.
    before: Vec<Result<Count, String>>,
    /// Why it could not be switched.
    fault: Option<String>,
}

impl Counters {
    /// Opens what the kernel lets this thread open. They stand still.
    pub fn open() -> Self {
        Counters::open_by(&Kernel)
    }

    /// Opens what `provider` has to count. They stand still.
    pub fn open_by(provider: &dyn Provider) -> Self {
        let open = |events: Vec<Event>| {
            let mut group = provider.open(&events);
            Open {
                before: group.read(),
                group,
                events,
                fault: None,
            }
        };
        Counters {
            label: provider.label(),
            groups: provider.groups().into_iter().map(open).collect(),
        }
    }

    /// Begins to count.
    pub fn start(&mut self) {
        for open in &mut self.groups {
            let started = open.group.start();
            open.fault = open.fault.take().or(started.err());
        }
    }

    /// Stops counting.
    pub fn stop(&mut self) {
        // The last one started is stopped first: what one counts beside the work is no more than
        // the switching of those after it.
        for open in self.groups.iter_mut().rev() {
            let stopped = open.group.stop();
            open.fault = open.fault.take().or(stopped.err());
        }
    }

    /// What was counted since the last reading.
    pub fn read(&mut self) -> Tally {
        let mut counts: Vec<_> = self.groups.iter_mut().flat_map(Open::read).collect();
        disbelieve_the_dead(&mut counts);
        Tally {
            counts,
            label: self.label,
            items: None,
        }
    }
}

impl Open {
    fn read(&mut self) -> Vec<(Event, Reading)> {
        let now = self.group.read();
        let before = std::mem::replace(&mut self.before, now.clone());
        let fault = &self.fault;
        (self.events.iter().zip(before).zip(now))
            .map(|((event, before), now)| {
                let reading = match (before, now, fault) {
                    (Err(why), ..) | (_, Err(why), _) => Reading::NotMeasured(why),
                    (Ok(_), Ok(_), Some(why)) => Reading::NotMeasured(why.clone()),
                    (Ok(before), Ok(now), None) => now.since(before).reading(),
                };
                (event.clone(), reading)
            })
            .collect()
    }
}

/// A thread that was counted has taken cycles and instructions. If it has not, the processor's
/// counters are there but nothing runs them, and what the others say is no count either.
fn disbelieve_the_dead(counts: &mut [(Event, Reading)]) {
    let dead = |(event, reading): &(Event, Reading)| {
        event.kind.is_never_zero() && *reading == Reading::Counted(0)
    };
    if !counts.iter().any(dead) {
        return;
    }
    for (event, reading) in counts {
        if event.kind.is_of_processor() && reading.value().is_some() {
            *reading = Reading::NotMeasured(
                "the processor's counters can be opened and stay at zero while the thread works: \
                 a hypervisor shows them and does not run them"
                    .to_owned(),
            );
        }
    }
}

/// What was counted, by one thread or several.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Each event with what was counted; the same events wherever one provider counted.
    pub counts: Vec<(Event, Reading)>,
    /// What the figures are labelled with; nothing if they are of the machine.
    pub label: Option<&'static str>,
    /// The number of items that it was counted over, if it was items.
    pub items: Option<u64>,
}

impl Tally {
    /// The sum of what two threads counted. What one of them did not count has none.
    #[must_use]
    pub fn and(self, other: Tally) -> Tally {
        let sum = |((event, one), (_, other)): ((Event, Reading), (Event, Reading))| {
            (event, one.and(other))
        };
        Tally {
            counts: (self.counts.into_iter())
                .zip(other.counts)
                .map(sum)
                .collect(),
            label: self.label.or(other.label),
            items: None,
        }
    }

    /// Says that it was counted over so many items.
    #[must_use]
    pub fn over(self, items: u64) -> Tally {
        Tally {
            items: Some(items),
            ..self
        }
    }
}

#[cfg(test)]
mod tests {
    use std::thread;
    use std::time::Duration;

    use super::fake::Fake;
    use super::*;

    /// What a provider's thread counts while it does `steps` of work.
    fn counted(fake: &Fake, steps: u64) -> Tally {
        let mut counters = Counters::open_by(fake);
        counters.start();
        fake.work(steps);
        counters.stop();
        counters.read()
    }

    fn reading<'a>(tally: &'a Tally, name: &str) -> &'a Reading {
        let of = |(event, _): &&(Event, Reading)| event.name == name;
        &tally.counts.iter().find(of).unwrap().1
    }

    #[test]
    fn what_is_counted_is_what_happened_between_start_and_stop() {
        let fake = Fake::default();
        let mut counters = Counters::open_by(&fake);
        fake.work(1000);
        counters.start();
        fake.work(10);
        counters.stop();
        fake.work(1000);
        let first = counters.read();
        // An event counts its number, from 1, for each step of work.
        assert_eq!(*reading(&first, "cycles"), Reading::Counted(10));
        assert_eq!(*reading(&first, "instructions"), Reading::Counted(20));
        // The next reading begins where the last one ended.
        counters.start();
        fake.work(3);
        counters.stop();
        let second = counters.read();
        assert_eq!(*reading(&second, "cycles"), Reading::Counted(3));
        assert_eq!(
            *reading(&counters.read(), "page faults"),
            Reading::Counted(0)
        );
    }

    #[test]
    fn a_group_that_ran_a_part_of_the_time_has_one_scale_for_all_its_events() {
        let fake = Fake::with(|fake| fake.share = 4);
        let tally = counted(&fake, 100);
        // The fake counts in each fourth step only; cycles and instructions are scaled alike, so
        // that their ratio is what it was.
        assert_eq!(*reading(&tally, "cycles"), Reading::Scaled(100, 25));
        assert_eq!(*reading(&tally, "instructions"), Reading::Scaled(200, 25));
    }

    #[test]
    fn what_two_threads_counted_is_added_event_by_event() {
        let fake = Fake::default();
        let tally = counted(&fake, 10).and(counted(&fake, 30)).over(40);
        assert_eq!(*reading(&tally, "cycles"), Reading::Counted(40));
        assert_eq!(*reading(&tally, "instructions"), Reading::Counted(80));
        assert_eq!((tally.label, tally.items), (Some("FAKE"), Some(40)));
    }

    #[test]
    fn an_event_that_is_refused_has_its_reason_and_the_others_have_their_counts() {
        let fake = Fake::with(|fake| fake.refused = Some("instructions"));
        let tally = counted(&fake, 10).and(counted(&Fake::default(), 10));
        let refused = Reading::NotMeasured("the fake refuses it".to_owned());
        assert_eq!(*reading(&tally, "instructions"), refused);
        assert_eq!(*reading(&tally, "cycles"), Reading::Counted(20));
    }

    #[test]
    fn what_cannot_be_switched_or_stays_at_zero_counted_nothing() {
        let mut fake = Fake::with(|fake| fake.stuck = true);
        let why = Reading::NotMeasured("the fake is stuck".to_owned());
        assert!(
            counted(&fake, 10)
                .counts
                .iter()
                .all(|(_, reading)| *reading == why)
        );
        (fake.stuck, fake.dead) = (false, true);
        let tally = counted(&fake, 10);
        for (event, reading) in &tally.counts {
            let believed = reading.value().is_some();
            assert_eq!(believed, !event.kind.is_of_processor(), "{event:?}");
        }
        let Reading::NotMeasured(why) = reading(&tally, "L1d read misses") else {
            panic!("{tally:?}");
        };
        assert!(why.contains("stay at zero"), "{why}");
    }

    #[test]
    fn what_the_kernel_counts_here_happened() {
        let mut counters = Counters::open();
        counters.start();
        // Larger than anything that an allocator keeps: its pages are new, and each is a fault
        // when it is first written to.
        let mut memory = vec![0_u8; 40 << 20];
        for page in memory.chunks_mut(1 << 20) {
            *std::hint::black_box(&mut page[0]) = 1;
        }
        thread::sleep(Duration::from_millis(1));
        counters.stop();
        let tally = counters.read();
        assert_eq!(tally.label, None);
        for name in ["page faults", "context switches"] {
            let value = reading(&tally, name).value();
            assert!(value >= Some(1), "{name}: {value:?}");
        }
    }
}
