//! Ways for two processes to send each other messages, measured side by side.
//!
//! Two processes of this program, each on its CPU, with one mechanism between them: messages go to
//! and fro for the latency, and in one direction as fast as they go for the rate. Each message
//! carries its number and a sum over all of its words, and is checked on arrival, within the time.
//! For every round there are new processes and everything between them is made anew.
//!
//! What is measured is a list of [`Mechanism`]s. This program has its own ([`all`]); another program
//! measures others in the same way: it calls [`worker::divert`] before it looks at its arguments,
//! and [`report`] with its mechanisms.

pub mod advise;
mod conclusions;
mod control;
mod files;
mod gated;
mod locked;
pub mod matrix;
mod mechanism;
mod message;
mod one_process;
pub mod published;
mod queues;
mod runner;
mod segments;
mod shared;
mod sockets;
mod two;
pub mod worker;

pub use control::{Exercise, Task};
pub use mechanism::{
    Delivers, Endpoint, Ends, Kept, Lasting, MOST_DESCRIPTORS, Mechanism, Nature, Refused, SIZES,
    Side, Terms, Trust, Waiting,
};
pub use message::Injected;
pub use runner::{Figure, Line, Measured, measure};
pub use segments::Polls;
pub use two::{Moved, Place, Program, Two};

use crate::experiments::Experiment;
use crate::report::{Report, Trouble};
use crate::run::Settings;

/// The experiment.
pub(crate) const EXPERIMENT: Experiment = Experiment {
    name: "ipc",
    title: "between processes",
    subject: "ipc",
    about: "Every way for two processes to send each other messages, side by side",
    details: "Two processes, a CPU each: one-way latency and messages a second, for messages of 64 \
         B, 1 KiB and 64 KiB, with the system calls of a message and beside what is printed \
         about it elsewhere; and the ring between two processes beside the same in one. With \
         --advise it says which one to take, from the figures of this machine.",
    run,
    ..Experiment::MEASURES
};

/// The mechanisms that this program measures, in the order of its tables.
pub fn all() -> &'static [Mechanism] {
    &[
        segments::RING,
        segments::RING_THAT_SPINS,
        segments::RING_THAT_SLEEPS,
        segments::RING_IN_BATCHES,
        segments::LATEST,
        segments::MAPPED_FILE,
        gated::FUTEX,
        gated::SEMAPHORE,
        gated::EVENT_FD,
        gated::SIGNAL,
        locked::PLAIN,
        locked::ROBUST,
        sockets::PIPE,
        sockets::FIFO,
        sockets::UNIX,
        sockets::DATAGRAM,
        sockets::SEQUENCED,
        sockets::DESCRIPTORS,
        queues::POSIX,
        queues::SYSTEM_V,
        sockets::TCP,
        sockets::UDP,
        files::LOCKED_FILE,
    ]
}

/// Measures all of them, and the ring in one process as well.
fn run(settings: &Settings) -> Result<Report, Trouble> {
    let mut report = report(settings, all())?;
    let measure = |report: &mut Report| one_process::run(settings, report);
    report.add_part(one_process::SUBJECT, measure)?;
    Ok(report)
}

/// Measures `mechanisms`, which the processes of this program know, too.
pub fn report(settings: &Settings, mechanisms: &[Mechanism]) -> Result<Report, Trouble> {
    let pair = settings.pair()?;
    let measured = measure(settings, pair, &Program::this()?, mechanisms)?;
    let title = "ipc: messages between two processes, every one checked";
    let mut report = Report::on(title, pair);
    conclusions::add(&mut report, &measured);
    Ok(report)
}
