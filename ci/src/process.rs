//! Runs one program to its end, or to the end of its time.

use std::io::{self, BufRead, BufReader, Read};
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{self, RecvTimeoutError, SyncSender};
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::prctl::set_pdeathsig;
use nix::sys::signal::{Signal, killpg};
use nix::sys::wait::{Id, WaitPidFlag, waitid};
use nix::unistd::{Pid, getpid, getppid};
use ringproof_record::deadline;

/// How long a program's descendants may hold its output open after it ended and its last line came.
const GRACE: Duration = Duration::from_secs(2);

/// One line that a program printed, without the line break.
#[derive(Debug)]
pub enum Line {
    /// On standard output.
    Out(String),
    /// On standard error.
    Err(String),
}

/// How a program ended.
#[derive(Debug)]
pub enum Ending {
    /// By itself, or by a signal of somebody else's.
    Exited(ExitStatus),
    /// By itself, but a descendant kept its output open.
    LeftBehind(ExitStatus),
    /// Its time was up; its whole process group was killed.
    TimedOut,
    /// It could not be started, or not be waited for.
    Lost(io::Error),
}

enum Event {
    Line(Line),
    EndOfOutput,
    Ended,
}

/// Runs `command` in a process group of its own and hands over each line as it comes.
///
/// When the time is up the whole group is killed. The program dies with this driver
/// (`PR_SET_PDEATHSIG`), and whatever is left of its group dies with the program. It reads
/// nothing: its standard input is empty.
pub fn supervise(mut command: Command, limit: Duration, mut line: impl FnMut(Line)) -> Ending {
    let mut child = match start(&mut command) {
        Ok(child) => child,
        Err(error) => return Ending::Lost(error),
    };
    let Ok(group) = i32::try_from(child.id()).map(Pid::from_raw) else {
        return Ending::Lost(io::Error::other("its process id does not fit pid_t"));
    };

    // Bounded: a program that prints faster than it is read waits, as it would on a pipe.
    let (sender, events) = mpsc::sync_channel(1024);
    let mut open = 0;
    if let Some(out) = child.stdout.take() {
        open += 1;
        forward(out, Line::Out, sender.clone());
    }
    if let Some(err) = child.stderr.take() {
        open += 1;
        forward(err, Line::Err, sender.clone());
    }
    thread::spawn(move || {
        // WNOWAIT leaves the zombie, so that the number still names this group when it is killed.
        let flags = WaitPidFlag::WEXITED | WaitPidFlag::WNOWAIT;
        while waitid(Id::Pid(group), flags) == Err(nix::errno::Errno::EINTR) {}
        let _ = sender.send(Event::Ended);
    });

    let end = Instant::now() + limit;
    let mut until = end;
    let mut ended = false;
    let complete = loop {
        if ended && open == 0 {
            break true;
        }
        // Asked before each event, so that a program that never stops printing is stopped too.
        let left = until.saturating_duration_since(Instant::now());
        if left.is_zero() {
            break false;
        }
        match events.recv_timeout(left) {
            Ok(Event::Line(text)) => line(text),
            Ok(Event::EndOfOutput) => open -= 1,
            Ok(Event::Ended) => ended = true,
            Err(RecvTimeoutError::Timeout) => break false,
            Err(RecvTimeoutError::Disconnected) => break true,
        }
        if ended {
            until = end.min(Instant::now() + deadline::scaled(GRACE));
        }
    };

    // An empty group is no error here: everybody is gone, which is what is wanted.
    let _ = killpg(group, Signal::SIGKILL);
    match child.wait() {
        Err(error) => Ending::Lost(error),
        Ok(_) if !ended => Ending::TimedOut,
        Ok(status) if complete => Ending::Exited(status),
        Ok(status) => Ending::LeftBehind(status),
    }
}

/// Starts `command` so that it dies with the thread that called this.
fn start(command: &mut Command) -> io::Result<Child> {
    let driver = getpid();
    command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .process_group(0);
    // SAFETY: between fork and exec the closure makes two system calls and allocates nothing.
    unsafe {
        command.pre_exec(move || {
            set_pdeathsig(Signal::SIGKILL)?;
            // The driver may have died before the call above, and then no signal comes.
            if getppid() != driver {
                return Err(io::ErrorKind::BrokenPipe.into());
            }
            Ok(())
        });
    }
    command.spawn()
}

/// Reads lines on a thread of its own until the output ends or the receiver is gone.
fn forward(
    output: impl Read + Send + 'static,
    kind: fn(String) -> Line,
    sender: SyncSender<Event>,
) {
    thread::spawn(move || {
        let mut output = BufReader::new(output);
        let mut bytes = Vec::new();
        loop {
            bytes.clear();
            match output.read_until(b'\n', &mut bytes) {
                Ok(0) | Err(_) => break,
                Ok(_) => {
                    let text = String::from_utf8_lossy(&bytes);
                    let text = text.strip_suffix('\n').unwrap_or(&text).to_owned();
                    if sender.send(Event::Line(kind(text))).is_err() {
                        return;
                    }
                }
            }
        }
        let _ = sender.send(Event::EndOfOutput);
    });
}
