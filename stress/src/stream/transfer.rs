//! One transfer of a file through `ringproof send` and `ringproof recv`, both killed on the way.

use std::fs::{File, OpenOptions};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use super::data::{difference, generate};
use crate::process::patience;
use crate::program::Program;
use anyhow::{Context, Result, bail, ensure};

/// How long to sleep between two looks at how far the output is.
const PAUSE: Duration = Duration::from_micros(100);

/// A side of the transfer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Side {
    Send,
    Recv,
}

impl Side {
    pub(crate) const BOTH: [Side; 2] = [Side::Send, Side::Recv];

    const fn name(self) -> &'static str {
        match self {
            Side::Send => "send",
            Side::Recv => "recv",
        }
    }
}

/// When to kill whom.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Kill {
    pub(crate) side: Side,
    /// Once how many bytes have arrived.
    pub(crate) at: u64,
    /// And how long after that has been seen.
    pub(crate) delay: Duration,
}

/// Bytes that are live at once, at most. (Of a small file a sixteenth.)
const CAPACITY: u64 = 1 << 20;

/// Those of a file of this length: much less than it has, so that `send` cannot be done early.
fn capacity(len: u64) -> u64 {
    (len / 16).clamp(1, CAPACITY)
}

/// Whether a file of this length is more than may be under way at once: else no process is known
/// not to be about to end.
pub(crate) fn can_be_killed(len: u64) -> bool {
    len > capacity(len)
}

/// What to transfer, and how.
pub(crate) struct Transfer<'a> {
    /// The program.
    pub(crate) program: &'a Path,
    /// The ring.
    pub(crate) name: &'a str,
    /// How many bytes.
    pub(crate) len: u64,
    /// What they follow from.
    pub(crate) seed: u64,
    /// In the order in which they are due.
    pub(crate) kills: &'a [Kill],
    /// Inject a fault: change a byte that has arrived, between two processes.
    pub(crate) tamper: bool,
}

/// What came of a transfer.
pub(crate) struct Outcome {
    /// Who was found at work and killed.
    pub(crate) killed: Vec<Side>,
    /// How the output differs from the input, if it does.
    pub(crate) difference: Option<String>,
}

impl Transfer<'_> {
    /// Transfers a new file to a new file, in this directory. An error if a process does not do what it should.
    pub(crate) fn run(&self, directory: &Path) -> Result<Outcome> {
        let directory =
            tempfile::tempdir_in(directory).context("cannot make a temporary directory")?;
        let work = Work {
            transfer: self,
            directory: directory.path(),
            capacity: capacity(self.len),
        };
        generate(&work.input(), self.len, self.seed)?;
        let start = Instant::now();
        let killed = work.run()?;
        eprintln!(
            "stream: {} bytes in {:.2} s, {} kills",
            self.len,
            start.elapsed().as_secs_f64(),
            killed.len()
        );
        let difference = difference(&work.input(), &work.output())?;
        Ok(Outcome { killed, difference })
    }
}

/// A transfer under way.
struct Work<'a> {
    transfer: &'a Transfer<'a>,
    /// Where input, output and messages lie.
    directory: &'a Path,
    capacity: u64,
}

impl Work<'_> {
    fn input(&self) -> PathBuf {
        self.directory.join("input")
    }

    fn output(&self) -> PathBuf {
        self.directory.join("output")
    }

    fn messages(&self, side: Side) -> PathBuf {
        self.directory.join(format!("{}.messages", side.name()))
    }

    /// Says whom it found at work and killed.
    fn run(&self) -> Result<Vec<Side>> {
        File::create(self.output()).context("cannot create the output")?;
        let mut running = [Some(self.start(Side::Send)?), Some(self.start(Side::Recv)?)];
        let mut kills = self.transfer.kills.iter();
        let mut next = kills.next();
        let mut killed = Vec::new();
        let mut last = (0, Instant::now());
        while running.iter().any(Option::is_some) {
            let arrived = self.arrived()?;
            if arrived != last.0 {
                last = (arrived, Instant::now());
            }
            for (side, process) in Side::BOTH.into_iter().zip(&mut running) {
                if let Some(program) = process
                    && let Some(status) = program.look()?
                {
                    ensure!(
                        status.success(),
                        "{} ended with {status} instead of exit code 0{}",
                        side.name(),
                        last_words(&self.messages(side))
                    );
                    *process = None;
                    last.1 = Instant::now();
                }
            }
            if let Some(Kill { side, at, delay }) = next
                && arrived >= *at
            {
                next = kills.next();
                std::thread::sleep(*delay);
                let process = &mut running[*side as usize];
                if let Some(program) = process
                    && self.kill(program)?
                {
                    killed.push(*side);
                    if self.transfer.tamper {
                        self.flip_first_byte()?;
                    }
                    *process = Some(self.start(*side)?);
                    last.1 = Instant::now();
                }
                continue;
            }
            if last.1.elapsed() > patience() {
                let names = running.iter().flatten().map(|program| &*program.what);
                let said = Side::BOTH.map(|side| last_words(&self.messages(side)));
                bail!(
                    "waited {} s at byte {arrived} of {} for {}{}",
                    patience().as_secs(),
                    self.transfer.len,
                    names.collect::<Vec<_>>().join(" and "),
                    said.concat()
                );
            }
            std::thread::sleep(PAUSE);
        }
        Ok(killed)
    }

    /// Starts a side as a shell would: `send < input`, `recv >> output`.
    fn start(&self, side: Side) -> Result<Program> {
        let mut command = Command::new(self.transfer.program);
        (command.arg(side.name()).arg("--capacity"))
            .arg(self.capacity.to_string())
            .arg(self.transfer.name);
        let append = |path| OpenOptions::new().append(true).create(true).open(path);
        match side {
            Side::Send => {
                let input = File::open(self.input()).context("cannot open the input")?;
                command.stdin(input).stdout(Stdio::null());
            }
            Side::Recv => {
                let output = append(self.output()).context("cannot open the output")?;
                command.stdin(Stdio::null()).stdout(output);
            }
        }
        command.stderr(append(self.messages(side)).context("cannot keep messages")?);
        Program::start(command, side.name().to_owned())
    }

    /// Kills a side, unless it may be about to end by itself: false.
    ///
    /// A `send` that has closed the ring must not be started again once `recv` is done, nor a
    /// `recv` that has removed the ring. Only of one that stands still can be said that it has
    /// not come that far; so it is stopped first, wherever it is.
    fn kill(&self, program: &mut Program) -> Result<bool> {
        if !program.stop()? {
            return Ok(false);
        }
        // `send` is at most a ring ahead of what has arrived.
        if self.arrived()? + self.capacity >= self.transfer.len {
            program.resume()?;
            return Ok(false);
        }
        program.kill();
        Ok(true)
    }

    fn arrived(&self) -> Result<u64> {
        let meta = std::fs::metadata(self.output()).context("cannot look up the output")?;
        Ok(meta.len())
    }

    fn flip_first_byte(&self) -> Result<()> {
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .open(self.output())
            .context("cannot open the output")?;
        let mut byte = [0];
        (file.read_exact_at(&mut byte, 0)).context("cannot read the output")?;
        (file.write_all_at(&[byte[0] ^ 1], 0)).context("cannot write the output")
    }
}

fn last_words(messages: &Path) -> String {
    let text = std::fs::read_to_string(messages).unwrap_or_default();
    match text.trim() {
        "" => String::new(),
        said => format!("; it said: {}", said.replace('\n', " | ")),
    }
}
