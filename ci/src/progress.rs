//! One line of progress on standard error for what runs now; one line that stays for what is done.

use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};

use crate::collect::Seen;
use crate::text::plural;

/// The line of one layer or build. It draws nothing where standard error is no terminal.
#[derive(Debug)]
pub struct Progress {
    bar: ProgressBar,
    rows: usize,
    prose: String,
}

impl Progress {
    /// Begins a line.
    pub fn start(name: &str) -> Self {
        let bar = ProgressBar::new_spinner().with_prefix(name.to_owned());
        // The template is ours and constant; the plain spinner is no reason to stop.
        if let Ok(style) =
            ProgressStyle::with_template("{spinner} {prefix:<8} {elapsed:>4}  {wide_msg}")
        {
            bar.set_style(style);
        }
        bar.enable_steady_tick(Duration::from_millis(120));
        Progress {
            bar,
            rows: 0,
            prose: String::new(),
        }
    }

    /// Shows what a layer did.
    pub fn see(&mut self, seen: Seen<'_>) {
        match seen {
            Seen::Row => {
                self.rows += 1;
                self.show();
            }
            Seen::Prose(line) => self.prose(line),
        }
    }

    /// Shows the latest line of prose.
    pub fn prose(&mut self, line: &str) {
        line.trim().clone_into(&mut self.prose);
        self.show();
    }

    fn show(&self) {
        let counted = match self.rows {
            0 => String::new(),
            rows => format!("{}  ", plural(rows, "check")),
        };
        self.bar.set_message(counted + &self.prose);
    }

    /// Ends the line and leaves `text` in its place.
    pub fn finish(self, text: &str) {
        self.bar.finish_and_clear();
        eprintln!("{text}");
    }
}
