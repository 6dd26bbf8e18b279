//! The two processes, as whoever measures has them.

use std::io;
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use ringproof_record::deadline;

use super::control::{Answer, Control, Exercise, Order, Reported, Task, readable};
use super::mechanism::{Ends, Mechanism, Side};
use super::worker::ARGUMENT;
use crate::cpus::Pair;
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
    pub fn this() -> io::Result<Self> {
        std::env::current_exe().map(Program)
    }

    /// Another one.
    pub fn at(path: impl Into<PathBuf>) -> Self {
        Program(path.into())
    }

    fn start(&self) -> io::Result<Worker> {
        let (control, theirs) = Control::pair()?;
        let process = Command::new(&self.0)
            .arg(ARGUMENT)
            .stdin(Stdio::from(theirs))
            .stdout(Stdio::null())
            .spawn()?;
        Ok(Worker { control, process })
    }
}

/// One of the two. It dies with this program, and when it is dropped.
#[derive(Debug)]
struct Worker {
    control: Control,
    process: Child,
}

impl Worker {
    fn order(&self, mechanism: &str, order: &Order, fds: &[OwnedFd]) -> Result<(), Trouble> {
        let why = |error| format!("a process cannot be reached: {error}");
        let sent = self.control.send(order, fds);
        sent.map_err(|error| failed(mechanism, why(error)))
    }

    /// How it ended, which it is about to do: nothing is to be heard of it any more.
    fn end(&mut self, deadline: Instant) -> String {
        loop {
            match self.process.try_wait() {
                Ok(Some(how)) => return how.to_string(),
                Ok(None) if Instant::now() < deadline => thread::sleep(Duration::from_millis(1)),
                Ok(None) => return "it hangs, and says nothing more".to_owned(),
                Err(error) => return error.to_string(),
            }
        }
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        // It may be dead already; then there is nothing to kill.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Two processes with a mechanism between them.
#[derive(Debug)]
pub struct Two {
    mechanism: &'static str,
    batch: usize,
    workers: [Worker; 2],
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
    /// Starts two processes of `program`, on the CPUs of `pair` if it is given, and lets them make
    /// their endpoints for messages of `size` bytes.
    ///
    /// # Errors
    /// [`Trouble::NotRun`] if the mechanism cannot be used here, [`Trouble::Failed`] if it broke.
    pub fn start(
        program: &Program,
        mechanism: &Mechanism,
        size: usize,
        pair: Option<Pair>,
    ) -> Result<Self, Trouble> {
        let name = mechanism.name;
        let mut ends = ((mechanism.prepare)(size)).map_err(|why| Trouble::NotRun(why.0))?;
        let start = || {
            let (started, path) = (program.start(), program.0.display());
            let why = |error| format!("a process of `{path}` cannot be started: {error}");
            started.map_err(|error| Trouble::NotRun(why(error)))
        };
        let workers = [start()?, start()?];
        let sides = [Side::First, Side::Second];
        for (index, side) in sides.into_iter().enumerate() {
            let order = Order::Join {
                mechanism: name.to_owned(),
                side,
                size,
                numbers: ends.numbers.clone(),
                peer: workers[1 - index].process.id().cast_signed(),
                seat: pair.map(|pair| pair.seat_of_process(side == Side::Second)),
            };
            // Only the two processes keep them: when one dies, the other notices.
            let fds = std::mem::take([&mut ends.first, &mut ends.second][index]);
            workers[index].order(name, &order, &fds)?;
        }
        let mut two = Two {
            mechanism: name,
            batch: mechanism.batch,
            workers,
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
        for worker in &self.workers {
            worker.order(self.mechanism, &Order::Move(task), &[])?;
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
            let controls = [&self.workers[0].control, &self.workers[1].control];
            let ready = readable(controls, deadline)
                .map_err(|error| failed(name, format!("the processes cannot be heard: {error}")))?;
            let Some(ready) = ready else {
                let (seconds, what) = (patience().as_secs(), format!("for its processes {what}"));
                return Err(failed(name, format!("waited {seconds} s {what}")));
            };
            let side = ["first", "second"][ready];
            match controls[ready].receive() {
                Ok(Some((Answer::Done(answer), _))) => reported[ready] = Some(answer),
                Ok(Some((Answer::Refused(why), _))) => return Err(Trouble::NotRun(why)),
                Ok(Some((Answer::Broken(why), _))) => {
                    return Err(failed(name, format!("{side} process: {why}")));
                }
                Ok(None) => {
                    let ended = self.workers[ready].end(deadline);
                    return Err(failed(name, format!("the {side} process ended: {ended}")));
                }
                Err(error) => return Err(failed(name, format!("{side} process: {error}"))),
            }
        }
        let [first, second] = reported.map(Option::unwrap_or_default);
        Ok([first, second])
    }
}

fn failed(mechanism: &str, why: String) -> Trouble {
    Trouble::Failed(format!("{mechanism}: {why}"))
}
