//! Forked processes: each reports what it does through a pipe, dies with its parent, and is
//! awaited under a deadline that says what was waited for.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{ErrorKind, Read, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::AtomicU32;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, bail, ensure};
use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::poll::{PollFd, PollFlags, ppoll};
use nix::sys::prctl::set_pdeathsig;
use nix::sys::resource::{Resource, setrlimit};
use nix::sys::signal::{SigSet, Signal, kill};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use nix::sys::time::TimeSpec;
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::{
    ForkResult, Gid, Pid, Uid, alarm, fork, getppid, pipe2, setgid, setgroups, setuid,
};
use ringproof_record::deadline;
use serde::{Deserialize, Serialize};

use crate::dying::kill_self;

/// How long anything may take that takes moments: whoever reaches this is taken to hang. It is far
/// more than a machine needs that does much else at the same time.
pub(crate) fn patience() -> Duration {
    deadline::seconds(60)
}

/// The same for one that is made to hang: it shows that the end of a patience is noticed.
pub(crate) fn short_patience() -> Duration {
    deadline::seconds(2)
}

/// How long a process may be traced. Each of thousands of steps may cost it its turn.
pub(crate) fn traced_patience() -> Duration {
    10 * patience()
}

/// Has the kernel send this process a signal after that time, also inside a system call: its tracer
/// waits for it without a deadline.
pub(crate) fn set_alarm() {
    alarm::set(u32::try_from(traced_patience().as_secs()).unwrap_or(u32::MAX));
}

/// What a child reports to its parent. What it reported before it was killed, the parent gets.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) enum Note {
    /// A victim's push returned: the items below this position are committed.
    Committed(u64),
    /// A victim took this item at this position.
    Took(u64, [u64; 4]),
    /// A traced process is about to stop, and then to call what begins at this address.
    Entry(u64),
    /// The sites of the accesses that a process made, all of them.
    Trace(Vec<String>),
    /// A trial makes this attempt, and covers this if it holds.
    Attempt {
        /// Its address.
        address: String,
        /// What its layer calls it.
        covered: Option<String>,
    },
    /// A trial is made to hang from here on.
    Hanging,
    /// What a child reports in a form that its parent knows.
    Report(String),
    /// The child is where its parent wants it, and waits.
    Ready,
    /// A trial was made so often, and each time what must hold held.
    Tried(u64),
    /// What the child was to do was refused to it, in these words.
    Refused(String),
    /// A trial cannot be made here, for this reason.
    NotRun(String),
    /// The child ran into an error.
    Failed(String),
    /// The child did all that it had to.
    Done,
}

impl Note {
    /// That this error ended what the child was to do.
    pub(crate) fn of(error: &anyhow::Error) -> Note {
        match error.downcast_ref::<NotHere>() {
            Some(NotHere(reason)) => Note::NotRun(reason.clone()),
            None => Note::Failed(format!("{error:#}")),
        }
    }

    /// The error that a child's last word stands for, if it does.
    fn error(&self, what: &str) -> Option<anyhow::Error> {
        match self {
            Note::Failed(why) => Some(anyhow!("{what}: {why}")),
            Note::NotRun(reason) => Some(NotHere(reason.clone()).into()),
            _ => None,
        }
    }
}

/// The reason why something cannot be tried here; an error that is no violation.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct NotHere(pub(crate) String);

/// A witness that this process has one thread.
///
/// *Invariant:* no code in this program starts a thread, so what was true at the check stays
/// true, also in forked children.
#[derive(Clone, Copy)]
pub(crate) struct SingleThreaded(());

impl SingleThreaded {
    pub(crate) fn check() -> Result<Self> {
        let threads = std::fs::read_dir("/proc/self/task")
            .context("cannot list the threads of this process in /proc/self/task")?
            .count();
        ensure!(
            threads == 1,
            "this process has {threads} threads; only one that has a single thread may fork"
        );
        Ok(SingleThreaded(()))
    }
}

/// The child's end of the pipe.
pub(crate) struct Ledger(File);

impl Ledger {
    /// One that is not read.
    pub(crate) fn nowhere() -> Result<Ledger> {
        let file = File::options().write(true).open("/dev/null");
        Ok(Ledger(file.context("cannot open /dev/null")?))
    }

    /// Reports to the parent.
    pub(crate) fn note(&self, note: &Note) {
        let mut line = serde_json::to_vec(note).unwrap_or_default();
        line.push(b'\n');
        if (&self.0).write_all(&line).is_err() {
            // There is no reader: the parent has died or given up, and so does this process.
            kill_self()
        }
    }
}

/// A forked process. Dropping it kills and reaps it.
pub(crate) struct Child {
    /// Who it is, for messages.
    what: String,
    pid: Pid,
    /// How long to wait for anything that it does.
    patience: Duration,
    /// How it ended, once that is known.
    status: Option<WaitStatus>,
    pipe: File,
    unread: Vec<u8>,
    /// Reported, and not yet asked for by [`next`](Child::next).
    reported: VecDeque<Note>,
}

impl Child {
    /// Starts a process that runs `body`, reports how that ended, and is killed.
    pub(crate) fn fork(
        what: impl Into<String>,
        _: SingleThreaded,
        body: impl FnOnce(&Ledger) -> Result<()>,
    ) -> Result<Child> {
        let what = what.into();
        let (ours, theirs) = pipe2(OFlag::O_CLOEXEC).context("cannot make a pipe")?;
        let parent = Pid::this();
        // SAFETY: forking is restricted to what is async-signal-safe only where other threads
        // may hold locks that the child never sees released, and `SingleThreaded` says that
        // there are none.
        match unsafe { fork() }.with_context(|| format!("cannot fork {what}"))? {
            ForkResult::Child => {
                drop(ours);
                run_child(parent, &Ledger(File::from(theirs)), body)
            }
            ForkResult::Parent { child } => {
                drop(theirs);
                let flags = FcntlArg::F_SETFL(OFlag::O_NONBLOCK | OFlag::O_RDONLY);
                fcntl(&ours, flags).context("cannot make a pipe non-blocking")?;
                Ok(Child {
                    what,
                    pid: child,
                    patience: patience(),
                    status: None,
                    pipe: File::from(ours),
                    unread: Vec::new(),
                    reported: VecDeque::new(),
                })
            }
        }
    }

    /// The same with another patience: for one that is made to hang.
    pub(crate) fn within(mut self, patience: Duration) -> Child {
        self.patience = patience;
        self
    }

    /// Its number, which is its own until it is reaped.
    pub(crate) fn pid(&self) -> Pid {
        self.pid
    }

    /// Waits until a child that is traced stops, and says by which signal; `None` if it died.
    pub(crate) fn await_stop(&mut self) -> Result<Option<Signal>> {
        match waitpid(self.pid, None).with_context(|| format!("cannot wait for {}", self.what))? {
            WaitStatus::Stopped(_, signal) => Ok(Some(signal)),
            // Where it enters or leaves a system call, if that was asked for.
            WaitStatus::PtraceSyscall(_) => Ok(Some(Signal::SIGTRAP)),
            ended @ (WaitStatus::Signaled(..) | WaitStatus::Exited(..)) => {
                self.status = Some(ended);
                Ok(None)
            }
            other => bail!("{} is neither stopped nor dead: {other:?}", self.what),
        }
    }

    /// What the child reported since the last call; `None` at the end, when the child is dead or
    /// as good as dead.
    pub(crate) fn hear(&mut self) -> Result<Option<Vec<Note>>> {
        // What was read before an error is kept.
        let ended = match self.pipe.read_to_end(&mut self.unread) {
            Ok(_) => true,
            Err(error) if error.kind() == ErrorKind::WouldBlock => false,
            Err(error) => return Err(error).with_context(|| format!("cannot hear {}", self.what)),
        };
        let whole = self.unread.iter().rposition(|byte| *byte == b'\n');
        let lines: Vec<u8> = self.unread.drain(..whole.map_or(0, |at| at + 1)).collect();
        let notes = serde_json::Deserializer::from_slice(&lines).into_iter();
        let notes = notes.collect::<Result<Vec<Note>, _>>();
        let notes = notes.with_context(|| format!("{} reports nonsense", self.what))?;
        // A line that the child was killed in says nothing.
        Ok((!ended || !notes.is_empty()).then_some(notes))
    }

    /// Takes in more of what the child reports; false at its end.
    fn hear_more(&mut self, deadline: Instant, waited_for: &str) -> Result<bool> {
        if !wait_readable(&[self.pipe.as_fd()], deadline)? {
            let seconds = self.patience.as_secs_f64();
            bail!(
                "waited {seconds} s for {waited_for} {}: it hangs",
                self.what
            );
        }
        let notes = self.hear()?;
        let more = notes.is_some();
        self.reported.extend(notes.into_iter().flatten());
        Ok(more)
    }

    /// The next thing that the child reports; `None` at its end.
    pub(crate) fn next(&mut self) -> Result<Option<Note>> {
        let deadline = self.deadline();
        while self.reported.is_empty() && self.hear_more(deadline, "a word of")? {}
        Ok(self.reported.pop_front())
    }

    /// Waits until the child says that it is ready.
    pub(crate) fn ready(&mut self) -> Result<()> {
        match self.next()? {
            Some(Note::Ready) => Ok(()),
            Some(other) => Err((other.error(&self.what))
                .unwrap_or_else(|| anyhow!("{} was to get ready, and says {other:?}", self.what))),
            None => {
                let status = self.status()?;
                bail!("{} {} before it was ready", self.what, ended(status))
            }
        }
    }

    /// An error if the child has come to its end, however that was.
    pub(crate) fn check(&mut self) -> Result<()> {
        match self.hear()? {
            None => {
                let status = self.status()?;
                bail!("{} {}", self.what, ended(status))
            }
            Some(notes) => {
                let failure = notes.iter().find_map(|note| note.error(&self.what));
                self.reported.extend(notes);
                failure.map_or(Ok(()), Err)
            }
        }
    }

    /// Waits until the child is dead, and says what it reported.
    pub(crate) fn wait(self) -> Result<Vec<Note>> {
        let what = self.what.clone();
        let (reported, status) = self.end()?;
        killed(&what, status)?;
        Ok(reported)
    }

    /// Waits until the child is dead, and says what it reported and how it ended.
    pub(crate) fn end(mut self) -> Result<(Vec<Note>, WaitStatus)> {
        let deadline = self.deadline();
        while self.hear_more(deadline, "the end of")? {}
        let status = self.status()?;
        Ok((std::mem::take(&mut self.reported).into(), status))
    }

    /// Waits for a child that is to come to its end by itself, and says what it reported before. An
    /// error if it failed, or somebody or something else ended it.
    pub(crate) fn finish(self) -> Result<Vec<Note>> {
        let what = self.what.clone();
        let (mut reported, status) = self.end()?;
        match reported.pop() {
            Some(Note::Done) => Ok(reported),
            last => Err((last.and_then(|last| last.error(&what)))
                .unwrap_or_else(|| anyhow!("{what} {}", ended(status)))),
        }
    }

    /// Kills the child, and waits for the kernel to have torn it down.
    pub(crate) fn kill(mut self) -> Result<()> {
        self.signal(Signal::SIGKILL)?;
        self.status()?;
        Ok(())
    }

    /// When to say of something that begins now that it hangs.
    fn deadline(&self) -> Instant {
        Instant::now() + self.patience
    }

    /// Who it is.
    pub(crate) fn name(&self) -> &str {
        &self.what
    }

    /// Sends it a signal, and does not wait for what comes of it.
    pub(crate) fn signal(&self, signal: Signal) -> Result<()> {
        if self.status.is_some() {
            // It is reaped, and its number may be another's.
            return Ok(());
        }
        kill(self.pid, signal).with_context(|| format!("cannot send {signal} to {}", self.what))
    }

    /// Waits for it to do what these flags say, or to end.
    fn wait_for(&mut self, flags: WaitPidFlag, to: &str) -> Result<WaitStatus> {
        let deadline = self.deadline();
        loop {
            match waitpid(self.pid, Some(flags | WaitPidFlag::WNOHANG))
                .with_context(|| format!("cannot wait for {}", self.what))?
            {
                WaitStatus::StillAlive if Instant::now() < deadline => std::thread::yield_now(),
                WaitStatus::StillAlive => bail!("waited for {} to {to}: it does not", self.what),
                status => return Ok(status),
            }
        }
    }

    /// Waits until a child that was sent SIGSTOP has stopped; false if it ended before.
    pub(crate) fn await_stopped(&mut self) -> Result<bool> {
        let status = self.wait_for(WaitPidFlag::WUNTRACED, "stop")?;
        let stopped = matches!(status, WaitStatus::Stopped(_, Signal::SIGSTOP));
        if !stopped {
            self.status = Some(status);
        }
        Ok(stopped)
    }

    /// Waits until the child has stopped, and says what it reported until then.
    pub(crate) fn wait_stopped(&mut self) -> Result<Vec<Note>> {
        let stopped = self.await_stopped()?;
        let reported = self.hear()?.unwrap_or_default();
        ensure!(
            stopped,
            "{} did not stop; the last it reported: {:?}",
            self.what,
            reported.last()
        );
        Ok(reported)
    }

    /// Waits until the child sleeps in the kernel, and has done before what `has_asked` looks for. What else it does
    /// must not sleep.
    pub(crate) fn await_asleep(&mut self, has_asked: impl Fn() -> bool) -> Result<()> {
        let deadline = self.deadline();
        while !has_asked() || !self.is_asleep()? {
            self.check()?;
            ensure!(
                Instant::now() < deadline,
                "waited for {} to sleep: it does not",
                self.what
            );
            std::thread::yield_now();
        }
        Ok(())
    }

    fn is_asleep(&self) -> Result<bool> {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.pid));
        let stat = stat.with_context(|| format!("cannot ask what {} does", self.what))?;
        // Behind its name, which may be anything.
        Ok(stat
            .rsplit(") ")
            .next()
            .is_some_and(|rest| rest.starts_with('S')))
    }

    /// Lets a stopped child go on.
    pub(crate) fn resume(&self) -> Result<()> {
        self.signal(Signal::SIGCONT)
    }

    /// Waits for the kernel to have torn down a child that was killed: only then are its locks
    /// free.
    pub(crate) fn reap(&mut self) -> Result<()> {
        let status = self.status()?;
        killed(&self.what, status)
    }

    /// Waits for the kernel to have torn down the child, and says how it ended.
    pub(crate) fn status(&mut self) -> Result<WaitStatus> {
        match self.status {
            Some(status) => Ok(status),
            None => {
                let status = self.wait_for(WaitPidFlag::empty(), "end")?;
                Ok(*self.status.insert(status))
            }
        }
    }
}

/// Every child of this program ends by SIGKILL, unless something else came before.
fn killed(what: &str, status: WaitStatus) -> Result<()> {
    match status {
        WaitStatus::Signaled(_, Signal::SIGKILL, _) => Ok(()),
        other => bail!("{what} was not killed, but: {other:?}"),
    }
}

/// How a process ended, as the end of a sentence.
fn ended(status: WaitStatus) -> String {
    match status {
        WaitStatus::Signaled(_, signal, _) => format!("was killed by {signal}"),
        other => format!("ended: {other:?}"),
    }
}

impl AsFd for Child {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.pipe.as_fd()
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        if self.status.is_none() {
            // It was not reaped, so the pid is still its own.
            let _ = kill(self.pid, Signal::SIGKILL);
            let _ = waitpid(self.pid, None);
        }
    }
}

/// The life of a child. It ends by SIGKILL in any case, so that nothing which it inherited is
/// flushed, dropped or unlocked a second time.
fn run_child(parent: Pid, ledger: &Ledger, body: impl FnOnce(&Ledger) -> Result<()>) -> ! {
    let outcome = catch_unwind(AssertUnwindSafe(|| {
        // Some are meant to die of a wrong access; an image of each is of no use.
        setrlimit(Resource::RLIMIT_CORE, 0, 0).context("cannot forbid core files")?;
        set_pdeathsig(Signal::SIGKILL).context("cannot ask to die with the parent")?;
        // The parent may have died before it was asked. (One in another pid namespace is 0.)
        let now = getppid();
        ensure!(
            now == parent || now == Pid::from_raw(0),
            "the parent is gone"
        );
        body(ledger)
    }));
    ledger.note(&match outcome {
        Ok(Ok(())) => Note::Done,
        Ok(Err(error)) => Note::of(&error),
        Err(panic) => Note::Failed(format!("panicked: {}", panic_message(&*panic))),
    });
    kill_self()
}

fn panic_message(panic: &(dyn std::any::Any + Send)) -> &str {
    (panic.downcast_ref::<&str>().copied())
        .or_else(|| panic.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("without a message")
}

/// A user who owns nothing.
const NOBODY: u32 = 65534;

/// Makes this process one of a user who has no rights but those of these groups.
pub(crate) fn become_nobody(groups: &[Gid]) -> Result<()> {
    setgroups(groups).context("cannot change groups")?;
    setgid(Gid::from_raw(NOBODY)).context("cannot become another group")?;
    setuid(Uid::from_raw(NOBODY)).context("cannot become another user")?;
    // The kernel forgets it where a process becomes somebody else's.
    set_pdeathsig(Signal::SIGKILL).context("cannot ask to die with the parent")
}

/// Waits until one of `files` can be read or has ended; false at the deadline.
pub(crate) fn wait_readable(files: &[BorrowedFd<'_>], deadline: Instant) -> Result<bool> {
    let mut polled: Vec<_> = (files.iter())
        .map(|file| PollFd::new(*file, PollFlags::POLLIN))
        .collect();
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        match ppoll(&mut polled, Some(TimeSpec::from(left)), None) {
            Ok(0) if Instant::now() >= deadline => return Ok(false),
            Ok(0) | Err(nix::errno::Errno::EINTR) => {}
            Ok(_) => return Ok(true),
            Err(error) => return Err(error).context("cannot poll"),
        }
    }
}

/// SIGINT and SIGTERM as something to look at, so that a program that is asked to stop tidies up
/// first. Forked children inherit that these signals are blocked.
pub(crate) struct Interrupts {
    file: SignalFd,
}

/// The signal that came, if one did: whatever this process begins afterwards, it is to end.
static CAME: AtomicU32 = AtomicU32::new(0);

impl Interrupts {
    pub(crate) fn catch() -> Result<Self> {
        let signals = SigSet::from_iter([Signal::SIGINT, Signal::SIGTERM]);
        signals.thread_block().context("cannot block signals")?;
        let flags = SfdFlags::SFD_NONBLOCK | SfdFlags::SFD_CLOEXEC;
        let file =
            SignalFd::with_flags(&signals, flags).context("cannot make a file of signals")?;
        Ok(Interrupts { file })
    }

    /// An error from the moment that one came.
    pub(crate) fn check(&self) -> Result<()> {
        if let Some(signal) = self.file.read_signal().context("cannot read signals")? {
            CAME.store(signal.ssi_signo, Relaxed);
        }
        match CAME.load(Relaxed) {
            0 => Ok(()),
            signal => bail!("interrupted by signal {signal}"),
        }
    }
}

impl AsFd for Interrupts {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.file.as_fd()
    }
}
