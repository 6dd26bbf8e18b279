//! One line on standard error for what runs now, drawn only where that is a terminal.

use indicatif::{ProgressBar, ProgressStyle};

/// The line of one experiment.
#[derive(Debug)]
pub struct Progress(ProgressBar);

impl Progress {
    /// Begins a line for an experiment of so many rounds.
    pub fn start(name: &str, rounds: usize) -> Self {
        let bar = ProgressBar::new(rounds as u64).with_message(name.to_owned());
        // The template is ours and constant; the plain bar is no reason to stop.
        if let Ok(style) =
            ProgressStyle::with_template("{msg} {wide_bar} round {pos} of {len}  {elapsed}")
        {
            bar.set_style(style);
        }
        // Drawn between samples only: a thread that ticks would take a CPU from the experiment.
        bar.tick();
        Progress(bar)
    }

    /// Says how many rounds count so far.
    pub fn at(&self, rounds: usize) {
        self.0.set_position(rounds as u64);
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.0.finish_and_clear();
    }
}
