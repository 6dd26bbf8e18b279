//! Hardware and kernel counters of one thread, each with its value or the reason why there is
//! none.

use std::fmt;
use std::fs;
use std::io;

use nix::errno::Errno;
use perf_event::events::{Event, Hardware, Software};
use perf_event::{Builder, Counter};

/// What is counted, and by whom.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Name {
    /// How tables and rows call it.
    pub name: &'static str,
    /// Whether the processor counts it, in user space only; if not, the kernel does, everywhere.
    pub hardware: bool,
}

/// The counters that are tried, in the order in which they are shown.
pub const NAMES: [Name; 6] = [
    hardware("cycles"),
    hardware("instructions"),
    hardware("cache misses"),
    software("context switches"),
    software("page faults"),
    software("migrations"),
];

const fn hardware(name: &'static str) -> Name {
    Name {
        name,
        hardware: true,
    }
}

const fn software(name: &'static str) -> Name {
    Name {
        name,
        hardware: false,
    }
}

fn event(index: usize) -> Event {
    [
        Event::from(Hardware::CPU_CYCLES),
        Hardware::INSTRUCTIONS.into(),
        Hardware::CACHE_MISSES.into(),
        Software::CONTEXT_SWITCHES.into(),
        Software::PAGE_FAULTS.into(),
        Software::CPU_MIGRATIONS.into(),
    ][index]
        .clone()
}

/// What a counter said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reading {
    /// It counted so many, all the time.
    Counted(u64),
    /// It shared its hardware with other counters: extrapolated from the part of the time,
    /// in percent, in which it ran.
    Scaled(u64, u64),
    /// Nothing was counted, and why.
    NotMeasured(String),
}

impl Reading {
    /// The sum of what two threads counted. If one counted nothing, there is no sum.
    pub fn and(self, other: Reading) -> Reading {
        use Reading::{Counted, NotMeasured, Scaled};
        match (self, other) {
            (NotMeasured(why), _) | (_, NotMeasured(why)) => NotMeasured(why),
            (Counted(one), Counted(two)) => Counted(one + two),
            (Scaled(one, part), Counted(two)) | (Counted(one), Scaled(two, part)) => {
                Scaled(one + two, part)
            }
            (Scaled(one, part), Scaled(two, other)) => Scaled(one + two, part.min(other)),
        }
    }
}

impl fmt::Display for Reading {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Reading::Counted(value) => write!(f, "{value}"),
            Reading::Scaled(value, percent) => {
                write!(f, "{value} (scaled, counted {percent} % of the time)")
            }
            Reading::NotMeasured(why) => write!(f, "not measured here, because {why}"),
        }
    }
}

/// The counters of the thread that opened them.
pub struct Counters(Vec<Result<Counter, String>>);

impl Counters {
    /// Opens, each by itself, what the kernel lets this thread open. They stand still.
    pub fn open() -> Self {
        let paranoid = paranoid();
        let open = |(index, name): (usize, &Name)| {
            let mut builder = Builder::new().kind(event(index));
            if !name.hardware {
                // A context switch happens in the kernel: without it the counter stays at zero.
                builder.include_kernel();
            }
            builder
                .build()
                .map_err(|error| explain(&error, *name, paranoid))
        };
        Counters(NAMES.iter().enumerate().map(open).collect())
    }

    /// Begins to count.
    pub fn start(&mut self) {
        self.each(Counter::enable);
    }

    /// Stops counting.
    pub fn stop(&mut self) {
        self.each(Counter::disable);
    }

    /// What was counted, in the order of [`NAMES`].
    pub fn read(self) -> Vec<Reading> {
        let read = |counter: Result<Counter, String>| match counter {
            Ok(mut counter) => match counter.read_count_and_time() {
                Ok(read) => scale(read.count, read.time_enabled, read.time_running),
                Err(error) => Reading::NotMeasured(format!("it could not be read: {error}")),
            },
            Err(why) => Reading::NotMeasured(why),
        };
        self.0.into_iter().map(read).collect()
    }

    fn each(&mut self, act: impl Fn(&mut Counter) -> io::Result<()>) {
        for slot in &mut self.0 {
            if let Ok(counter) = slot
                && let Err(error) = act(counter)
            {
                *slot = Err(format!("it could not be switched: {error}"));
            }
        }
    }
}

/// Extrapolates a count to the whole time.
fn scale(count: u64, enabled: u64, running: u64) -> Reading {
    match (enabled, running) {
        (_, 0) => Reading::NotMeasured(
            "the kernel never gave it a place among the processor's counters".to_owned(),
        ),
        (enabled, running) if running >= enabled => Reading::Counted(count),
        (enabled, running) => {
            let whole = u128::from(count) * u128::from(enabled) / u128::from(running);
            let percent = u128::from(running) * 100 / u128::from(enabled);
            Reading::Scaled(
                u64::try_from(whole).unwrap_or(u64::MAX),
                u64::try_from(percent).unwrap_or(100),
            )
        }
    }
}

/// `perf_event_paranoid`, as the kernel shows it.
fn paranoid() -> Option<i32> {
    let text = fs::read_to_string("/proc/sys/kernel/perf_event_paranoid").ok()?;
    text.trim().parse().ok()
}

/// Why a counter could not be opened, and what would allow it.
fn explain(error: &io::Error, name: Name, paranoid: Option<i32>) -> String {
    let errno = Errno::from_raw(error.raw_os_error().unwrap_or(0));
    let level = paranoid.map_or_else(
        || "perf_event_paranoid cannot be read".to_owned(),
        |level| format!("perf_event_paranoid = {level}"),
    );
    let why = match errno {
        Errno::ENOENT | Errno::EOPNOTSUPP if name.hardware => {
            "the kernel has no driver for this processor's performance counters, as in a virtual \
             machine to which its host passes none"
        }
        Errno::ENOENT | Errno::EOPNOTSUPP => "this kernel does not know the event",
        Errno::EACCES | Errno::EPERM => {
            "this process may not; CAP_PERFMON, or a lower perf_event_paranoid (2 allows a \
             program its own hardware counters, 1 also the kernel's events), would allow it; in a \
             container its seccomp profile must let perf_event_open through as well"
        }
        Errno::ENOSYS => {
            "there is no perf_event_open: the kernel was built without it, or a seccomp profile \
             hides it"
        }
        Errno::EMFILE | Errno::ENFILE => "no file descriptor is left",
        Errno::EBUSY | Errno::ENOSPC => "another program has taken the processor's counters",
        _ => "the kernel refused it",
    };
    // nix prints `ENOENT: No such file or directory`, whose second half misleads here.
    format!("{errno:?}: {why} ({level})")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_names_the_error_its_meaning_and_the_setting() {
        let why = |errno: Errno, name| {
            let error = io::Error::from_raw_os_error(errno as i32);
            explain(&error, name, Some(2))
        };
        let no_pmu = why(Errno::ENOENT, NAMES[0]);
        assert!(
            no_pmu.starts_with("ENOENT: the kernel has no driver"),
            "{no_pmu}"
        );
        assert!(no_pmu.ends_with("(perf_event_paranoid = 2)"), "{no_pmu}");
        assert!(why(Errno::ENOENT, NAMES[3]).contains("does not know"));
        assert!(why(Errno::EACCES, NAMES[3]).contains("CAP_PERFMON"));
        let error = io::Error::other("strange");
        assert!(explain(&error, NAMES[0], None).contains("cannot be read"));
    }

    #[test]
    fn a_shared_counter_is_scaled_and_says_so() {
        assert_eq!(scale(100, 50, 50), Reading::Counted(100));
        assert_eq!(scale(100, 50, 25), Reading::Scaled(200, 50));
        assert!(matches!(scale(0, 50, 0), Reading::NotMeasured(_)));
    }

    #[test]
    fn a_sum_is_no_better_than_its_parts() {
        let none = || Reading::NotMeasured("of a reason".to_owned());
        assert_eq!(
            Reading::Counted(1).and(Reading::Counted(2)),
            Reading::Counted(3)
        );
        assert_eq!(Reading::Counted(1).and(none()), none());
        assert_eq!(
            Reading::Scaled(1, 40).and(Reading::Scaled(2, 30)),
            Reading::Scaled(3, 30)
        );
    }

    #[test]
    fn each_counter_has_a_value_or_a_reason() {
        let mut counters = Counters::open();
        counters.start();
        counters.stop();
        let readings = counters.read();
        assert_eq!(readings.len(), NAMES.len());
        for reading in readings {
            if let Reading::NotMeasured(why) = reading {
                assert!(why.contains(": "), "{why}");
            }
        }
    }
}
