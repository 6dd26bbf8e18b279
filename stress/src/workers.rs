//! Worker processes: each has a job of a layer, tells how it gets on, and is given up when it has
//! said nothing for too long.

use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use anyhow::Result;
use nix::sys::signal::Signal;
use nix::sys::wait::WaitStatus;
use ringproof_record::machine;

use crate::process::{Child, Interrupts, Note, Violation, wait_readable};

/// The jobs of a layer, by number.
pub(crate) trait Jobs {
    /// What comes of one.
    type Outcome: Default;

    /// How many there are.
    fn count(&self) -> usize;

    /// What to say that a worker tries before it says so itself, and to pass to `--only`.
    fn address(&self, job: usize) -> String;

    /// Starts the worker.
    fn start(&self, job: usize) -> Result<Child>;

    /// How long it may say nothing now.
    fn patience(&self, job: usize, so_far: &Self::Outcome) -> Duration;

    /// Takes in what it told, other than its end.
    ///
    /// # Errors
    /// It is nothing for a worker of this layer to tell.
    fn take_in(&self, outcome: &mut Self::Outcome, note: Note) -> Result<()>;

    /// Takes in that it did not come to its end.
    fn give_up(&self, outcome: &mut Self::Outcome, violation: Violation);

    /// Hears that the job is over.
    fn over(&self, job: usize, outcome: &Self::Outcome) -> Result<()>;
}

/// Runs all jobs, as many at a time as there are processors, and says what came of each.
///
/// # Errors
/// An interruption, and whatever keeps this process from going on.
pub(crate) fn run<J: Jobs>(jobs: &J, interrupts: &Interrupts) -> Result<Vec<J::Outcome>> {
    let width = machine::parallelism();
    let mut outcomes: Vec<_> = (0..jobs.count()).map(|_| J::Outcome::default()).collect();
    let mut waiting = 0..jobs.count();
    let mut running: Vec<Worker> = Vec::new();
    loop {
        while running.len() < width
            && let Some(job) = waiting.next()
        {
            running.push(Worker {
                job,
                child: jobs.start(job)?,
                trying: jobs.address(job),
                heard: Instant::now(),
            });
        }
        if running.is_empty() {
            return Ok(outcomes);
        }
        let patience = |worker: &Worker| jobs.patience(worker.job, &outcomes[worker.job]);
        let deadlines = running.iter().map(|worker| worker.heard + patience(worker));
        let deadline = deadlines.min().unwrap_or_else(Instant::now);
        let mut files = vec![interrupts.as_fd()];
        files.extend(running.iter().map(|worker| worker.child.as_fd()));
        wait_readable(&files, deadline)?;
        interrupts.check()?;

        let mut still = Vec::new();
        for mut worker in running {
            let outcome = &mut outcomes[worker.job];
            if worker.listen(jobs, outcome)? {
                still.push(worker);
            } else {
                let job = worker.job;
                // Should it still live, it does not any more when the job is over.
                drop(worker);
                jobs.over(job, outcome)?;
            }
        }
        running = still;
    }
}

/// A job that is under way.
struct Worker {
    job: usize,
    child: Child,
    /// What it told last that it tries.
    trying: String,
    heard: Instant,
}

impl Worker {
    /// Takes in what the worker told; false when it is over.
    fn listen<J: Jobs>(&mut self, jobs: &J, outcome: &mut J::Outcome) -> Result<bool> {
        let patience = jobs.patience(self.job, outcome);
        let Some(notes) = self.child.hear()? else {
            // It ended without saying so.
            let why = match self.child.status()? {
                WaitStatus::Signaled(_, Signal::SIGKILL, _) => "its process died".to_owned(),
                WaitStatus::Signaled(_, signal, _) => format!("its process died of {signal}"),
                other => format!("its process ended: {other:?}"),
            };
            return self.give_up(jobs, outcome, &why);
        };
        if !notes.is_empty() {
            self.heard = Instant::now();
        } else if self.heard.elapsed() >= patience {
            let why = format!("no sign of life for {} s: it hangs", patience.as_secs_f64());
            return self.give_up(jobs, outcome, &why);
        }
        for note in notes {
            match note {
                Note::Failed(error) => return self.give_up(jobs, outcome, &error),
                Note::Done => {
                    self.child.reap()?;
                    return Ok(false);
                }
                note => {
                    if let Note::Trying(address) = &note {
                        self.trying.clone_from(address);
                    }
                    jobs.take_in(outcome, note)?;
                }
            }
        }
        Ok(true)
    }

    /// The end of a worker that did not come to its own.
    fn give_up<J: Jobs>(&self, jobs: &J, outcome: &mut J::Outcome, why: &str) -> Result<bool> {
        let violation = Violation {
            what: format!("{}: {why}", self.trying),
            address: self.trying.clone(),
            site: None,
            fate: None,
        };
        jobs.give_up(outcome, violation);
        Ok(false)
    }
}
