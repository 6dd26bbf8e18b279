//! What was done, counted and shown: drawn on a terminal, else a line every ten seconds.
//!
//! Whoever waits for the supervisors shows it; a bar that draws itself would be a second thread.

use std::io::{IsTerminal, stderr};
use std::ops::AddAssign;
use std::time::{Duration, Instant};

use indicatif::{HumanCount, HumanDuration, ProgressBar, ProgressStyle};
use serde::{Deserialize, Serialize};

/// What happened in a round, or in many.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Tally {
    pub(crate) rounds: u64,
    pub(crate) kills: u64,
    /// Those of them that came at an access, and not at a moment.
    pub(crate) at_accesses: u64,
    /// Processes stopped, to go on later or to be killed then.
    pub(crate) stops: u64,
    /// Roles taken over from a process that was killed.
    pub(crate) recoveries: u64,
    /// Items that the consumers processed, or values that the writers wrote.
    pub(crate) items: u64,
    /// Items that a consumer got a second time, and left out.
    pub(crate) repeated: u64,
    /// Processes that died inside an operation: by their own word, or as what they left shows.
    pub(crate) inside: u64,
    /// Values that the readers checked.
    pub(crate) reads: u64,
    /// Segments unlinked and created anew.
    pub(crate) renewals: u64,
    /// How long it took, the times of all supervisors together.
    pub(crate) time: Duration,
}

impl Tally {
    /// In numbers and rates, for people; `things` is what went through the structures.
    pub(crate) fn describe(&self, things: &str) -> String {
        let seconds = self.time.as_secs_f64().max(1e-6);
        let each = [
            (self.kills, "kills"),
            (self.at_accesses, "of them at an access"),
            (self.stops, "stops"),
            (self.recoveries, "recoveries"),
            (self.inside, "deaths inside an operation"),
            (self.items, things),
            (self.repeated, "items met again and left out"),
            (self.reads, "reads"),
        ];
        let reported: Vec<_> = (each.iter())
            .filter(|(count, _)| *count > 0)
            .map(|(count, what)| format!("{count} {what} ({:.0}/s)", *count as f64 / seconds))
            .collect();
        format!(
            "{} rounds; {}; the rates are those of one processor",
            self.rounds,
            reported.join(", ")
        )
    }
}

impl AddAssign for Tally {
    fn add_assign(&mut self, more: Tally) {
        self.rounds += more.rounds;
        self.kills += more.kills;
        self.at_accesses += more.at_accesses;
        self.stops += more.stops;
        self.recoveries += more.recoveries;
        self.items += more.items;
        self.repeated += more.repeated;
        self.inside += more.inside;
        self.reads += more.reads;
        self.renewals += more.renewals;
        self.time += more.time;
    }
}

/// What was found wrong.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Failure {
    pub(crate) what: String,
    /// Whether it is that somebody did not get on.
    pub(crate) hang: bool,
}

/// What a supervisor reports of a round.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct RoundReport {
    /// Its number.
    pub(crate) round: u64,
    pub(crate) tally: Tally,
    pub(crate) failure: Option<Failure>,
}

/// How long to show nothing where there is no terminal.
const PAUSE: Duration = Duration::from_secs(10);

/// The state of the display.
pub(crate) struct Progress {
    bar: Option<ProgressBar>,
    start: Instant,
    last: Instant,
}

impl Progress {
    pub(crate) fn start() -> Self {
        let style = ProgressStyle::with_template("{spinner} soak {msg}");
        let bar = stderr().is_terminal().then(|| {
            ProgressBar::new_spinner()
                .with_style(style.unwrap_or_else(|_| ProgressStyle::default_spinner()))
        });
        let now = Instant::now();
        Progress {
            bar,
            start: now,
            last: now,
        }
    }

    /// Shows what was done until now, of a soak that ends then.
    pub(crate) fn show(&mut self, done: &Tally, end: Instant) {
        let now = Instant::now();
        let seconds = (now - self.start).as_secs_f64().max(1e-3);
        let text = || {
            let each = |what: &str, count: u64| {
                let rate = HumanCount((count as f64 / seconds) as u64);
                format!("{} {what} ({rate}/s)", HumanCount(count))
            };
            format!(
                "{}, {}, {}, {} left",
                each("kills", done.kills),
                each("items", done.items),
                each("recoveries", done.recoveries),
                HumanDuration(end.saturating_duration_since(now))
            )
        };
        match &self.bar {
            Some(bar) => {
                bar.set_message(text());
                bar.tick();
            }
            None if now - self.last >= PAUSE => {
                self.last = now;
                eprintln!("soak: {}", text());
            }
            None => {}
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}
