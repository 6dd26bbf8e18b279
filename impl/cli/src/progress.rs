//! Progress on a terminal.
//!
//! It looks at the segment from outside, as `ringproof inspect` does, in a thread of its own: the
//! copying loop neither counts nor draws anything for it. It looks ten times a second, and twice a
//! second while nothing moves: who waits for hours should not be busy drawing that.

use std::io::{self, IsTerminal};
use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use indicatif::{HumanBytes, HumanDuration, ProgressBar, ProgressStyle};
use ringproof::{Inspection, Role};

use crate::{report, shown};

const TICK: Duration = Duration::from_millis(100);
const IDLE_TICK: Duration = Duration::from_millis(500);

/// Draws until it is dropped. Nothing at all unless standard error is a terminal.
pub(crate) struct Progress(Option<Running>);

struct Running {
    role: Role,
    since: Instant,
    first: u64,
    stop: Option<Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Progress {
    /// Shows how `role` advances from position `first`, to `total` if that is known.
    pub(crate) fn start(name: &str, role: Role, first: u64, total: Option<u64>) -> Progress {
        if !io::stderr().is_terminal() {
            return Progress(None);
        }
        let (stop, stopped) = mpsc::channel::<()>();
        let name = name.to_owned();
        let draw = move || {
            let bar = bar(role, &name, first, total);
            let (mut tick, mut before) = (TICK, None);
            while stopped.recv_timeout(tick) == Err(RecvTimeoutError::Timeout) {
                // What cannot be looked at is shown as it was.
                let seen = Inspection::of(&name).ok();
                let now = seen.map(|seen| describe(role, &seen)).or(before.clone());
                tick = if now == before { IDLE_TICK } else { TICK };
                if let Some((position, state)) = now.clone() {
                    bar.set_position(position.max(first));
                    bar.set_message(state);
                }
                before = now;
                bar.tick();
            }
            bar.finish_and_clear();
        };
        // A process that may not have a second thread can still do its work.
        let thread = std::thread::Builder::new()
            .name("progress".to_owned())
            .spawn(draw);
        Progress(thread.ok().map(|thread| Running {
            role,
            since: Instant::now(),
            first,
            stop: Some(stop),
            thread: Some(thread),
        }))
    }

    /// Replaces the progress by a summary.
    pub(crate) fn finish(mut self, position: u64) {
        let Some(running) = self.0.take() else {
            return;
        };
        let (role, since, first) = (running.role, running.since, running.first);
        drop(running);
        let moved = position.saturating_sub(first);
        let elapsed = since.elapsed();
        let rate = moved as f64 / elapsed.as_secs_f64().max(1e-6);
        report(&format!(
            "{} {} in {} ({}/s)",
            if role == Role::Consumer {
                "received"
            } else {
                "sent"
            },
            HumanBytes(moved),
            if elapsed < Duration::from_secs(10) {
                format!("{:.2} s", elapsed.as_secs_f64())
            } else {
                HumanDuration(elapsed).to_string()
            },
            HumanBytes(rate as u64)
        ));
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            // It cannot have panicked in a way that matters here.
            let _ = thread.join();
        }
    }
}

fn bar(role: Role, name: &str, first: u64, total: Option<u64>) -> ProgressBar {
    let name = shown::name(name);
    let (bar, template) = match total {
        Some(total) => (
            ProgressBar::new(total),
            "{prefix} {wide_bar} {binary_bytes}/{binary_total_bytes} {binary_bytes_per_sec} {msg}",
        ),
        None => (
            ProgressBar::new_spinner(),
            "{spinner} {prefix} {binary_bytes} {binary_bytes_per_sec} {msg}",
        ),
    };
    let style = ProgressStyle::with_template(template);
    let bar = bar
        .with_style(style.unwrap_or_else(|_| ProgressStyle::default_spinner()))
        .with_prefix(match role {
            Role::Consumer => format!("recv {name}"),
            Role::Producer | Role::Writer => format!("send {name}"),
        })
        .with_position(first);
    // The rate is that of this process, not of those before it.
    bar.reset_eta();
    bar
}

/// The position of `role`, and what goes on beyond it.
fn describe(role: Role, seen: &Inspection) -> (u64, String) {
    let capacity = seen.fixed.capacity.max(1);
    let live = seen.occupancy().min(capacity);
    let present = |role| {
        let mut states = seen.roles.iter();
        states.any(|state| state.role == role && state.held)
    };
    let (position, waiting) = match role {
        Role::Producer | Role::Writer if live == capacity => (
            seen.write_index,
            if present(Role::Consumer) {
                ", waiting for room"
            } else {
                ", waiting for recv"
            },
        ),
        Role::Producer | Role::Writer if live == 0 && seen.end_index.is_none() => {
            (seen.write_index, ", waiting for input")
        }
        Role::Producer | Role::Writer => (seen.write_index, ""),
        Role::Consumer if live == 0 && seen.end_index.is_none() => (
            seen.read_index,
            if present(Role::Producer) {
                ", waiting for data"
            } else {
                ", waiting for send"
            },
        ),
        Role::Consumer => (seen.read_index, ""),
    };
    let percent = u128::from(live) * 100 / u128::from(capacity);
    (position, format!("ring {percent} % full{waiting}"))
}
