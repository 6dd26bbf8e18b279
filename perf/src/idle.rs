//! A `ringproof send` and a `ringproof recv` with a pipe each: what they use while nothing comes, and how fast the next
//! line is through.

use std::io::{self, ErrorKind, Read, Write};
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::process::{self, Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};
use std::{fs, hint, thread};

use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::time::{clock_getcpuclockid, clock_gettime};
use nix::unistd::Pid;
use ringproof_record::deadline;

/// Before it is observed, and before each line, a pair is left alone for so long: it sleeps then.
const REST: Duration = Duration::from_millis(10);
/// So many lines follow.
const LINES: usize = 20;

/// What was found.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Observed {
    /// Of `send` and of `recv`.
    pub(crate) processes: [Used; 2],
    /// From one pipe to the other: the median.
    pub(crate) line: Duration,
}

/// What a process used.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Used {
    /// For how much of the time it ran, in percent.
    pub(crate) busy: f64,
    /// How often its threads woke up, in a second.
    pub(crate) wakes: f64,
}

/// Starts a pair of this program, leaves it alone for so long, and then sends lines.
///
/// # Errors
/// If a process cannot be started or observed, if it ends early, or if a line does not come.
pub(crate) fn observe(program: &Path, time: Duration) -> io::Result<Observed> {
    let mut pair = Idle::start(program)?;
    // When it has come both are there.
    pair.line()?;
    thread::sleep(REST);
    let start = Instant::now();
    let before = pair.totals()?;
    thread::sleep(time);
    let after = pair.totals()?;
    let seconds = start.elapsed().as_secs_f64();
    let mut lines = Vec::with_capacity(LINES);
    for _ in 0..LINES {
        thread::sleep(REST);
        lines.push(pair.line()?);
    }
    pair.end()?;
    lines.sort_unstable();
    Ok(Observed {
        processes: [0, 1].map(|at| Used {
            busy: 100.0 * (after[at].ran.saturating_sub(before[at].ran)).as_secs_f64() / seconds,
            wakes: after[at].sleeps.saturating_sub(before[at].sleeps) as f64 / seconds,
        }),
        line: lines[LINES / 2],
    })
}

/// A `send` and a `recv` of one stream.
struct Idle {
    program: PathBuf,
    name: String,
    processes: [Child; 2],
    input: Option<ChildStdin>,
    output: ChildStdout,
    /// Whether they ended as they should, and left nothing.
    ended: bool,
}

impl Idle {
    fn start(program: &Path) -> io::Result<Self> {
        let name = format!("ringproof-perf-idle-{}", process::id());
        let start = |command: &str| {
            Command::new(program)
                .args([command, &name])
                .stdin(Stdio::piped())
                .stdout(Stdio::piped())
                .stderr(Stdio::null())
                .spawn()
        };
        let mut processes = [start("send")?, start("recv")?];
        let input = processes[0].stdin.take();
        let output = processes[1].stdout.take();
        let output = output.ok_or_else(|| io::Error::other("a process has no pipe"))?;
        fcntl(output.as_fd(), FcntlArg::F_SETFL(OFlag::O_NONBLOCK))?;
        Ok(Idle {
            program: program.into(),
            name,
            processes,
            input,
            output,
            ended: false,
        })
    }

    /// How long a line takes from one pipe to the other. This thread looks for it all the time.
    fn line(&mut self) -> io::Result<Duration> {
        let (start, line, mut came) = (Instant::now(), b"a line\n", Vec::new());
        if let Some(input) = &mut self.input {
            input.write_all(line)?;
        }
        while came.len() < line.len() {
            let mut some = [0; 16];
            match self.output.read(&mut some) {
                Ok(0) => return Err(ErrorKind::UnexpectedEof.into()),
                Ok(length) => came.extend_from_slice(&some[..length]),
                Err(error) if error.kind() == ErrorKind::WouldBlock => hint::spin_loop(),
                Err(error) => return Err(error),
            }
            in_time(start)?;
        }
        match came == line {
            true => Ok(start.elapsed()),
            false => Err(io::Error::other("another line came than was sent")),
        }
    }

    fn totals(&self) -> io::Result<[Totals; 2]> {
        let [send, recv] = &self.processes;
        Ok([Totals::of(send)?, Totals::of(recv)?])
    }

    /// Ends the stream, and with it both.
    fn end(mut self) -> io::Result<()> {
        drop(self.input.take());
        let start = Instant::now();
        for process in &mut self.processes {
            let status = loop {
                match process.try_wait()? {
                    Some(status) => break status,
                    None => thread::sleep(Duration::from_millis(1)),
                }
                in_time(start)?;
            };
            if !status.success() {
                return Err(io::Error::other(format!("one ended with {status}")));
            }
        }
        self.ended = true;
        Ok(())
    }
}

/// Nothing that is waited for takes a hundredth of it.
fn in_time(start: Instant) -> io::Result<()> {
    match start.elapsed() < deadline::seconds(60) {
        true => Ok(()),
        false => Err(ErrorKind::TimedOut.into()),
    }
}

impl Drop for Idle {
    fn drop(&mut self) {
        if self.ended {
            return;
        }
        for process in &mut self.processes {
            // It may have ended already: then there is nothing to kill.
            let _ = process.kill();
            let _ = process.wait();
        }
        let mut gc = Command::new(&self.program);
        gc.args(["gc", &self.name]);
        let _ = gc.stdout(Stdio::null()).stderr(Stdio::null()).status();
    }
}

/// What a process has used since its start.
#[derive(Clone, Copy, Debug)]
struct Totals {
    ran: Duration,
    /// How often its threads went to sleep: with each time they wake up once.
    sleeps: u64,
}

impl Totals {
    fn of(process: &Child) -> io::Result<Self> {
        let clock = clock_getcpuclockid(Pid::from_raw(process.id().cast_signed()))?;
        let ran = Duration::from(clock_gettime(clock)?);
        let mut sleeps = 0;
        for task in fs::read_dir(format!("/proc/{}/task", process.id()))? {
            let status = fs::read_to_string(task?.path().join("status"))?;
            let mut lines = status.lines();
            let count = lines.find_map(|line| line.strip_prefix("voluntary_ctxt_switches:"));
            let count = count.and_then(|count| count.trim().parse::<u64>().ok());
            sleeps += count.ok_or_else(|| io::Error::other("the kernel counts no sleeps"))?;
        }
        Ok(Totals { ran, sleeps })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_process_used_is_what_the_kernel_says_of_it() {
        let command = Command::new("sleep").arg("60").spawn();
        let mut process = command.unwrap();
        while Totals::of(&process).unwrap().sleeps == 0 {
            thread::sleep(Duration::from_millis(1));
        }
        let ran = Totals::of(&process).unwrap().ran;
        process.kill().unwrap();
        process.wait().unwrap();
        assert!(ran > Duration::ZERO && ran < Duration::from_secs(60));
    }

    #[test]
    fn a_program_that_moves_no_lines_is_an_error_and_no_hang() {
        assert!(observe(Path::new("/bin/true"), REST).is_err());
    }
}
