//! How far the soak is: drawn on a terminal, else a line every ten seconds.
//!
//! Whoever waits for the supervisors calls it; a bar that draws itself would be a second thread.

use std::io::{IsTerminal, stderr};
use std::time::{Duration, Instant};

use indicatif::{HumanCount, HumanDuration, ProgressBar, ProgressStyle};

use super::tally::Tally;

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
