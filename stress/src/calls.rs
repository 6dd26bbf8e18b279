//! Operations that are made of system calls rather than of accesses: a process is killed before
//! and after each call.
//!
//! The victim is traced. It stops where it enters a call and where it leaves it, and the n-th of
//! these stops is its last. What is not tried is a death inside the kernel: a call that SIGKILL
//! interrupts has been made or has not, as far as another process can tell.

use std::cell::RefCell;
use std::fmt;
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::str::FromStr;

use anyhow::{Context, Result, bail, ensure};
use clap::Args;
use nix::libc;
use nix::sys::ptrace;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use ringproof::{Ring, RingOptions, Role, SegmentError, unlink};
use ringproof_record::Record;

use crate::crash::trial::ensure_free;
use crate::process::{Child, SingleThreaded, set_alarm};
use crate::shm::{DIRECTORY, Prefix};

const LAYER: &str = "crash";
const CHECK: &str = "crash at every system call";
const PLANTED: &str = "planted fault: the file is made under its name";

/// Kill a process before and after every system call of create, attach, claim and unlink
///
/// These have few accesses to shared memory, or none: what they do they do in the kernel. After
/// each death the name is looked for: there is no segment, or a whole one; its roles are free; it
/// can be had, used and removed. It needs permission to trace its own children.
#[derive(Args, Default)]
#[command(after_long_help = "\
Examples:
  ringproof-stress calls
      everything, in a second
  ringproof-stress calls --only segment/create:12
      one kill: at stop 12 of a creation (stops count from 0: into the first call, out of it, …)
  ringproof-stress calls --plant
      with a creator that makes the file under its name: this one must fail")]
pub(crate) struct Options {
    /// Only this operation, or this kill
    #[arg(long, value_name = "SUBJECT[:STOP]")]
    only: Option<Address>,
    /// Create a segment in place, as many programs do
    #[arg(long)]
    plant: bool,
}

impl Options {
    /// Whether nothing in particular was asked for.
    fn is_everything(&self) -> bool {
        self.only.is_none() && !self.plant
    }
}

/// An operation, or one of its stops.
#[derive(Clone, Debug)]
struct Address {
    subject: String,
    stop: Option<usize>,
}

impl FromStr for Address {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (subject, stop) = match text.split_once(':') {
            None => (text, None),
            Some((subject, stop)) => {
                let number = stop.parse();
                let number = number.map_err(|_| format!("`{stop}` is not the number of a stop"))?;
                (subject, Some(number))
            }
        };
        if !OPERATIONS.iter().any(|operation| operation.0 == subject) {
            let known: Vec<_> = OPERATIONS.iter().map(|operation| operation.0).collect();
            return Err(format!(
                "there is no subject `{subject}`; the subjects: {}",
                known.join(", ")
            ));
        }
        Ok(Address {
            subject: subject.to_owned(),
            stop,
        })
    }
}

/// What one run does: it has a victim, and judges what that left behind.
type Scenario = fn(&Trial<'_>) -> Result<()>;

const CREATE: &str = "segment/create";

const OPERATIONS: [(&str, Scenario); 5] = [
    (CREATE, creator_dies),
    ("segment/open", opener_dies),
    ("segment/attach", attacher_dies),
    ("role/take-over", taker_dies),
    ("segment/unlink", unlinker_dies),
];

/// Runs every operation, or the one asked for.
pub(crate) fn run(options: &Options) -> Result<Vec<Record>> {
    let alone = SingleThreaded::check()?;
    let (prefix, planted) = (Prefix::new("calls"), Prefix::new("calls-planted"));
    let chosen = |subject: &str| match (&options.only, options.plant) {
        (Some(only), _) => only.subject == subject,
        (None, plant) => !plant || subject == CREATE,
    };
    let chosen = OPERATIONS.iter().filter(|(subject, _)| chosen(subject));
    if let Some(why) = cannot_trace(alone)? {
        let row = |subject, check| Record::not_run(LAYER, subject, check, &why);
        let mut rows: Vec<_> = chosen
            .map(|(subject, _)| row(*subject, CHECK).repeat(command(subject, None, options.plant)))
            .collect();
        if options.is_everything() {
            rows.push(row(CREATE, PLANTED).repeat(command(CREATE, None, true)));
        }
        return Ok(rows);
    }
    let only = options.only.as_ref().and_then(|only| only.stop);
    // What a planted fault leaves behind is no finding.
    let setting = |plant| Setting {
        alone,
        prefix: if plant { &planted } else { &prefix },
        planted: plant,
    };
    let mut rows = Vec::new();
    for (subject, scenario) in chosen {
        rows.push(match kills(&setting(options.plant), *scenario, only) {
            Ok(kills) => Record::passed(LAYER, *subject, CHECK)
                .count(kills, "kills")
                .repeat(command(subject, None, options.plant)),
            Err((stop, error)) => {
                Record::failed(LAYER, *subject, CHECK, format!("{subject}, {error:#}"))
                    .repeat(command(subject, stop, options.plant))
            }
        });
    }
    if options.is_everything() {
        let check = PLANTED;
        rows.push(match kills(&setting(true), creator_dies, None) {
            Ok(kills) => Record::failed(LAYER, CREATE, check, "the planted fault was not noticed")
                .count(kills, "kills")
                .repeat(command(CREATE, None, true)),
            Err((stop, _)) => {
                Record::passed(LAYER, CREATE, check).repeat(command(CREATE, stop, true))
            }
        });
    }
    rows.push(prefix.judge(LAYER)?);
    Ok(rows)
}

fn command(subject: &str, stop: Option<usize>, plant: bool) -> String {
    let stop = stop.map_or(String::new(), |stop| format!(":{stop}"));
    let plant = if plant { " --plant" } else { "" };
    format!("cargo run -p ringproof-stress -- calls --only {subject}{stop}{plant}")
}

/// One run without a death, and one for each stop of the victim, or the one asked for: how many
/// were killed. An error comes with the stop at which it was found.
fn kills(
    setting: &Setting<'_>,
    scenario: Scenario,
    only: Option<usize>,
) -> Result<u64, (Option<usize>, anyhow::Error)> {
    let attempt = |at: Option<usize>| {
        let trial = Trial {
            setting,
            at,
            stops: RefCell::default(),
        };
        let outcome = scenario(&trial);
        let stops = trial.stops.into_inner();
        let place = match at {
            None => "nobody killed".to_owned(),
            Some(number) => match stops.get(number) {
                Some(stop) => format!("killed at stop {number} ({stop})"),
                None => format!("to be killed at stop {number}"),
            },
        };
        match outcome {
            Ok(()) => Ok(stops),
            Err(error) => Err((at, error.context(place))),
        }
    };
    let stops = attempt(None)?.len();
    let numbers = match only {
        Some(number) => number..number + 1,
        None => 0..stops,
    };
    let mut kills = 0;
    for number in numbers {
        attempt(Some(number))?;
        kills += 1;
    }
    Ok(kills)
}

/// What all runs have in common.
struct Setting<'a> {
    alone: SingleThreaded,
    prefix: &'a Prefix,
    planted: bool,
}

/// Where a traced process stands.
#[derive(Clone, Copy)]
struct Stop {
    entry: bool,
    call: i64,
}

impl fmt::Display for Stop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let side = if self.entry { "before" } else { "after" };
        match CALLS.iter().find(|(number, _)| *number == self.call) {
            Some((_, name)) => write!(f, "{side} {name}"),
            None => write!(f, "{side} system call {}", self.call),
        }
    }
}

/// The calls that matter here, by name.
const CALLS: [(i64, &str); 12] = [
    (libc::SYS_openat, "openat"),
    (libc::SYS_close, "close"),
    (libc::SYS_mmap, "mmap"),
    (libc::SYS_munmap, "munmap"),
    (libc::SYS_madvise, "madvise"),
    (libc::SYS_fallocate, "fallocate"),
    (libc::SYS_fchmod, "fchmod"),
    (libc::SYS_pread64, "pread"),
    (libc::SYS_pwrite64, "pwrite"),
    (libc::SYS_fcntl, "fcntl"),
    (libc::SYS_linkat, "linkat"),
    (libc::SYS_unlink, "unlink"),
];

/// One run.
struct Trial<'a> {
    setting: &'a Setting<'a>,
    /// The stop at which the victim dies; it lives if there is none.
    at: Option<usize>,
    /// Those that it came to.
    stops: RefCell<Vec<Stop>>,
}

impl Trial<'_> {
    fn name(&self) -> String {
        format!("{}victim", self.setting.prefix)
    }

    /// Runs `body` in a traced process up to this run's stop, or to its end; whether it died.
    fn victim(&self, body: impl FnOnce() -> Result<()>) -> Result<bool> {
        let mut child = Child::fork("the victim".to_owned(), self.setting.alone, |_| {
            set_alarm();
            ptrace::traceme().context("cannot be traced")?;
            pause()?;
            body()?;
            pause()
        })?;
        let pid = child.pid();
        ensure!(
            child.await_stop()? == Some(Signal::SIGSTOP),
            "the victim does not wait for its tracer"
        );
        let options = ptrace::Options::PTRACE_O_TRACESYSGOOD | ptrace::Options::PTRACE_O_EXITKILL;
        ptrace::setoptions(pid, options).context("cannot set the tracer's options")?;
        let mut call = 0;
        let lived = loop {
            ptrace::syscall(pid, None).context("cannot let the victim go on")?;
            match child.await_stop()? {
                Some(Signal::SIGTRAP) => {}
                // It came to its end.
                Some(Signal::SIGSTOP) => break true,
                other => {
                    let told = child.hear()?.unwrap_or_default();
                    bail!("the victim came to no stop: {other:?}; it told {told:?}");
                }
            }
            let entered = entered(pid)?;
            let stop = Stop {
                entry: entered.is_some(),
                call: entered.unwrap_or(call),
            };
            call = stop.call;
            // The call by which it waits for us is not the operation's.
            if stop.call == libc::SYS_kill {
                continue;
            }
            self.stops.borrow_mut().push(stop);
            if self.at == Some(self.stops.borrow().len() - 1) {
                break false;
            }
        };
        // It is killed where it stands, and torn down before this returns.
        drop(child);
        match (self.at, lived) {
            (Some(number), true) => bail!(
                "there is no stop {number}: the victim came to {}",
                self.stops.borrow().len()
            ),
            (_, lived) => Ok(!lived),
        }
    }
}

/// Stops this process until its tracer lets it go on.
fn pause() -> Result<()> {
    kill(Pid::this(), Signal::SIGSTOP).context("cannot stop itself")
}

/// Which call a stopped child is about to make; `None` if it has just made one.
fn entered(pid: Pid) -> Result<Option<i64>> {
    let info = ptrace::syscall_info(pid).context("cannot look at the victim's system call")?;
    Ok((info.op == libc::PTRACE_SYSCALL_INFO_ENTRY).then(|| {
        // SAFETY: `op` says that this is the variant that the kernel filled.
        unsafe { info.u.entry.nr }.cast_signed()
    }))
}

/// Why no child can be traced here, if so.
fn cannot_trace(alone: SingleThreaded) -> Result<Option<String>> {
    let mut child = Child::fork("a process to be traced".to_owned(), alone, |_| {
        ptrace::traceme().context("ptrace is refused")?;
        pause()
    })?;
    Ok(match child.await_stop()? {
        Some(Signal::SIGSTOP) => None,
        _ => {
            let told = child.hear()?.unwrap_or_default();
            Some(format!(
                "a child cannot be traced here: {told:?}; it takes ptrace, which a seccomp filter \
                 or kernel.yama.ptrace_scope=3 forbids"
            ))
        }
    })
}

fn options() -> RingOptions {
    RingOptions::new(4).slots(4)
}

/// The name leads to no segment, or to a whole one, and then no role of it is held. Either way a
/// segment of that name can be had, used and removed.
fn ensure_usable(name: &str) -> Result<()> {
    match Ring::<u64>::attach(name) {
        Ok(ring) => {
            for role in [Role::Producer, Role::Consumer] {
                ensure_free(&ring, role)?;
            }
        }
        Err(SegmentError::NotFound { .. }) => {}
        Err(other) => return Err(other).context("a segment is there that is not whole"),
    }
    let (ring, claim) = Ring::<u64>::open_as(name, Role::Producer, &options())
        .context("a segment of that name cannot be had")?;
    let (mut producer, mut consumer) = (ring.producer_with(claim)?, ring.consumer()?);
    for value in 0..6 {
        producer.push(value)?;
        let found = consumer.pop()?;
        ensure!(found == value, "expected {value}, found {found}");
    }
    unlink(name).context("it cannot be removed")?;
    let path = Path::new(DIRECTORY).join(name);
    ensure!(!path.exists(), "it is there after it was removed");
    Ok(())
}

/// Somebody dies creating a segment.
fn creator_dies(trial: &Trial<'_>) -> Result<()> {
    let name = trial.name();
    let died = trial.victim(|| {
        if trial.setting.planted {
            return create_in_place(&name);
        }
        Ring::<u64>::create(&name, &options())?;
        Ok(())
    })?;
    let there = Path::new(DIRECTORY).join(&name).exists();
    ensure!(
        died || there,
        "a segment was created, and there is no such name"
    );
    ensure_usable(&name)
}

/// The planted fault: what another process finds under the name is at first an empty file, then
/// one of zeros.
fn create_in_place(name: &str) -> Result<()> {
    let ring = Ring::<u64>::anonymous(&options())?;
    let mut whole = vec![0; usize::try_from(ring.fixed().segment_len)?];
    File::from(ring.descriptor()?).read_exact_at(&mut whole, 0)?;
    let file = File::create_new(Path::new(DIRECTORY).join(name))?;
    file.set_len(ring.fixed().segment_len)?;
    file.write_all_at(&whole, 0)?;
    Ok(())
}

/// Somebody dies opening a segment that is not there, for a role.
fn opener_dies(trial: &Trial<'_>) -> Result<()> {
    let name = trial.name();
    trial.victim(|| {
        Ring::<u64>::open_as(&name, Role::Consumer, &options())?;
        Ok(())
    })?;
    ensure_usable(&name)
}

/// Somebody dies attaching to a segment that is in use.
fn attacher_dies(trial: &Trial<'_>) -> Result<()> {
    let name = trial.name();
    let ring = Ring::<u64>::create(&name, &options())?;
    let (mut producer, mut consumer) = (ring.producer()?, ring.consumer()?);
    producer.push(1)?;
    trial.victim(|| {
        Ring::<u64>::attach(&name)?;
        Ok(())
    })?;
    producer.push(2)?;
    for expected in 1..=2 {
        let found = consumer.pop()?;
        ensure!(found == expected, "expected {expected}, found {found}");
    }
    drop((producer, consumer));
    ensure_usable(&name)
}

/// Somebody dies taking a role over, and taking one item.
fn taker_dies(trial: &Trial<'_>) -> Result<()> {
    let name = trial.name();
    let ring = Ring::<u64>::create(&name, &options())?;
    let mut producer = ring.producer()?;
    for value in 1..=2 {
        producer.push(value)?;
    }
    trial.victim(|| {
        Ring::<u64>::attach(&name)?.consumer()?.pop()?;
        Ok(())
    })?;
    let mut successor = ring
        .consumer()
        .context("a successor cannot take the role")?;
    let left = successor.position()..2;
    for expected in left {
        let found = successor.pop()?;
        ensure!(
            found == expected + 1,
            "expected {}, found {found}",
            expected + 1
        );
    }
    drop((producer, successor));
    ensure_usable(&name)
}

/// Somebody dies removing a segment.
fn unlinker_dies(trial: &Trial<'_>) -> Result<()> {
    let name = trial.name();
    Ring::<u64>::create(&name, &options())?;
    let died = trial.victim(|| Ok(unlink(&name)?))?;
    let there = Path::new(DIRECTORY).join(&name).exists();
    ensure!(died || !there, "a segment that was removed is there");
    // A name that is still there may be a retired segment's: the next taker removes it.
    let _ = Ring::<u64>::open_as(&name, Role::Consumer, &options())?;
    ensure_usable(&name)
}
