//! The two processes, or the one, as whoever measures has them.

use std::io;
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use ringproof_record::deadline;

use super::control::{Answer, Control, Exercise, Order, Reported, Task, readable};
use super::mechanism::{Ends, Mechanism, Side};
use super::worker::{ARGUMENT, BOTH};
use crate::cpus::{Pair, Seat};
use crate::report::Trouble;

/// Nothing that one order asks for takes a tenth of it.
fn patience() -> Duration {
    deadline::seconds(120)
}

/// The program whose processes move the messages: it calls [`divert`](super::worker::divert).
#[derive(Clone, Debug)]
pub struct Program(PathBuf);

impl Program {
    /// This one.
    ///
    /// # Errors
    /// [`Trouble::NotRun`] if the system does not say which program this is.
    pub fn this() -> Result<Self, Trouble> {
        let unknown = "the system does not say which program this is";
        let path = std::env::current_exe().map_err(Trouble::of(unknown))?;
        Ok(Program(path))
    }

    /// Another one.
    pub fn at(path: impl Into<PathBuf>) -> Self {
        Program(path.into())
    }

    fn start(&self, place: Place) -> io::Result<([Control; 2], Vec<Process>)> {
        let ((first, its), (second, its_own)) = (Control::pair()?, Control::pair()?);
        let command = |control: OwnedFd| {
            let mut command = Command::new(&self.0);
            command.arg(ARGUMENT).stdin(Stdio::from(control));
            command.stdout(Stdio::null());
            command
        };
        let start = |mut command: Command| command.spawn().map(Process);
        let processes = match place {
            Place::TwoProcesses => vec![start(command(its))?, start(command(its_own))?],
            Place::OneProcess => {
                let mut both = command(its);
                both.arg(BOTH).stdout(Stdio::from(its_own));
                vec![start(both)?]
            }
        };
        Ok(([first, second], processes))
    }
}

/// Where the two sides run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// In a process each.
    TwoProcesses,
    /// In a thread each of one process.
    OneProcess,
}

/// One of the processes. It dies with this program, and when it is dropped.
#[derive(Debug)]
struct Process(Child);

impl Process {
    fn number(&self) -> i32 {
        self.0.id().cast_signed()
    }

    /// How it ended, which it is about to do: nothing is to be heard of it any more.
    fn end(&mut self, deadline: Instant) -> String {
        loop {
            match self.0.try_wait() {
                Ok(Some(how)) => return how.to_string(),
                Ok(None) if Instant::now() < deadline => thread::sleep(Duration::from_millis(1)),
                Ok(None) => return "it hangs, and says nothing more".to_owned(),
                Err(error) => return error.to_string(),
            }
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may be dead already; then there is nothing to kill.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Two processes, or threads, with a mechanism between them.
#[derive(Debug)]
pub struct Two {
    mechanism: &'static str,
    batch: usize,
    /// One, or one for each side.
    processes: Vec<Process>,
    controls: [Control; 2],
    /// Dropped after the processes.
    _ends: Ends,
}

/// How a task went.
#[derive(Clone, Debug, PartialEq)]
pub struct Moved {
    /// From the first message's departure to the last one's arrival.
    pub took: Duration,
    /// Messages that moved in this time, both directions together.
    pub messages: u64,
    /// How often one of the processes was preempted meanwhile.
    pub preemptions: u64,
    /// How often one of them slept.
    pub sleeps: u64,
    /// How often both together called the kernel, if it was to be counted, or why it could not be.
    pub system_calls: Option<Result<u64, String>>,
}

impl Moved {
    /// Nanoseconds for each message.
    pub fn each(&self) -> f64 {
        self.took.as_nanos() as f64 / self.messages as f64
    }
}

impl Two {
    /// Starts two processes of `program`, or one, on the CPUs of `pair` if it is given, and lets the two sides
    /// make their endpoints for messages of `size` bytes.
    ///
    /// # Errors
    /// [`Trouble::NotRun`] if the mechanism cannot be used here, [`Trouble::Failed`] if it broke.
    pub fn start(
        program: &Program,
        place: Place,
        mechanism: &Mechanism,
        size: usize,
        pair: Option<Pair>,
    ) -> Result<Self, Trouble> {
        let name = mechanism.name;
        let mut ends = ((mechanism.prepare)(size)).map_err(|why| Trouble::NotRun(why.0))?;
        let path = program.0.display();
        let (controls, processes) = (program.start(place)).map_err(Trouble::of(&format!(
            "a process of `{path}` cannot be started"
        )))?;
        let seat: fn(&Pair, bool) -> Seat = match place {
            Place::TwoProcesses => Pair::seat_of_process,
            Place::OneProcess => Pair::seat,
        };
        for (index, side) in [Side::First, Side::Second].into_iter().enumerate() {
            let peer = processes.get(1 - index).unwrap_or(&processes[0]);
            let order = Order::Join {
                mechanism: name.to_owned(),
                side,
                size,
                numbers: ends.numbers.clone(),
                peer: peer.number(),
                seat: pair.map(|pair| seat(&pair, side == Side::Second)),
            };
            // Only the two sides keep them: when one process dies, the other notices.
            let fds = std::mem::take([&mut ends.first, &mut ends.second][index]);
            send(&controls[index], name, &order, &fds)?;
        }
        let mut two = Two {
            mechanism: name,
            batch: mechanism.batch,
            processes,
            controls,
            _ends: ends,
        };
        two.answers("to make their endpoints")?;
        Ok(two)
    }

    /// Moves messages.
    ///
    /// # Errors
    /// [`Trouble::Failed`] if one was not right, or nothing went on; [`Trouble::NotRun`] if a CPU was
    /// taken away.
    pub fn run(&mut self, task: Task) -> Result<Moved, Trouble> {
        for control in &self.controls {
            send(control, self.mechanism, &Order::Move(task), &[])?;
        }
        let [first, second] = self.answers("to move messages")?;
        // The last message arrives at the first side in a ping-pong, at the second in a stream.
        let end = match task.exercise {
            Exercise::PingPong => first.end,
            Exercise::Stream => second.end,
        };
        Ok(Moved {
            took: Duration::from_nanos(end.saturating_sub(first.start)),
            messages: task.messages(self.batch),
            preemptions: first.preemptions + second.preemptions,
            sleeps: first.sleeps + second.sleeps,
            system_calls: (first.system_calls.zip(second.system_calls))
                .map(|(one, two)| Ok(one? + two?)),
        })
    }

    /// What both say. The first complaint ends it: the other process may wait for ever then.
    fn answers(&mut self, what: &str) -> Result<[Reported; 2], Trouble> {
        let name = self.mechanism;
        let deadline = Instant::now() + patience();
        let mut reported = [None, None];
        while reported.iter().any(Option::is_none) {
            let ready = readable(self.controls.each_ref(), deadline)
                .map_err(|error| failed(name, format!("the processes cannot be heard: {error}")))?;
            let Some(ready) = ready else {
                let (seconds, what) = (patience().as_secs(), format!("for its processes {what}"));
                return Err(failed(name, format!("waited {seconds} s {what}")));
            };
            let side = ["first", "second"][ready];
            match self.controls[ready].receive() {
                Ok(Some((Answer::Done(answer), _))) => reported[ready] = Some(answer),
                Ok(Some((Answer::Refused(why), _))) => return Err(Trouble::NotRun(why)),
                Ok(Some((Answer::Broken(why), _))) => {
                    return Err(failed(name, format!("{side} process: {why}")));
                }
                Ok(None) => {
                    let at = ready.min(self.processes.len() - 1);
                    let ended = self.processes[at].end(deadline);
                    return Err(failed(name, format!("the {side} process ended: {ended}")));
                }
                Err(error) => return Err(failed(name, format!("{side} process: {error}"))),
            }
        }
        let [first, second] = reported.map(Option::unwrap_or_default);
        Ok([first, second])
    }
}

fn send(control: &Control, mechanism: &str, order: &Order, fds: &[OwnedFd]) -> Result<(), Trouble> {
    let why = |error| failed(mechanism, format!("a process cannot be reached: {error}"));
    control.send(order, fds).map_err(why)
}

fn failed(mechanism: &str, why: String) -> Trouble {
    Trouble::Failed(format!("{mechanism}: {why}"))
}
