//! A side that waits sleeps until it is woken: it costs next to nothing, and what comes is not found by looking.

mod harness;

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use harness::{
    Name, OnTerminal, Place, Process, inspected, on, read_some, reading, ringproof, start, until,
    until_full, until_received, until_seen,
};
use nix::unistd::{SysconfVar, gettid, sysconf};
use ringproof::Ring;
use serde_json::{Value, json};

/// Whoever waits may wake up so often in a second, to see whether what it waits for can still come.
const WAKES: f64 = 20.0;
/// And use so much of a processor.
const SHARE: f64 = 0.01;
/// A count may be out by as many at each end of what is observed.
const EDGE: f64 = 2.0;

/// What a process or a thread has used since its start.
struct Used {
    /// How often it went to sleep: with each time it wakes up once.
    wakes: u64,
    /// Processor time, in ticks of the kernel's.
    ticks: u64,
}

impl Used {
    /// Of the threads that are there now in `/proc/…/task`.
    fn by(tasks: &[PathBuf]) -> Used {
        let mut used = Used { wakes: 0, ticks: 0 };
        for task in tasks {
            let status = std::fs::read_to_string(task.join("status")).expect("it is there");
            let mut lines = status.lines();
            let wakes = lines.find_map(|line| line.strip_prefix("voluntary_ctxt_switches:"));
            used.wakes += number(wakes.expect("it is counted"));
            let stat = std::fs::read_to_string(task.join("stat")).expect("it is there");
            // The name, in parentheses, may have spaces. The state is the third field; the two times are the 14th and the
            // 15th.
            let (_, fields) = stat.rsplit_once(") ").expect("a name");
            used.ticks += fields.split(' ').skip(11).take(2).map(number).sum::<u64>();
        }
        used
    }
}

fn number(text: &str) -> u64 {
    text.trim().parse().expect("a number")
}

/// Somebody who is observed.
struct Observed {
    what: &'static str,
    tasks: Vec<PathBuf>,
    since: Instant,
    before: Used,
}

impl Observed {
    fn process(what: &'static str, process: &Process) -> Observed {
        let tasks = format!("/proc/{}/task", process.id());
        let tasks = std::fs::read_dir(tasks).expect("it is there");
        Observed::tasks(what, tasks.map(|task| task.unwrap().path()).collect())
    }

    fn tasks(what: &'static str, tasks: Vec<PathBuf>) -> Observed {
        // Before and after the counts are taken: the time is never less than the one in which it was counted, so that a slow
        // machine makes nobody look busy.
        let since = Instant::now();
        Observed {
            what,
            since,
            before: Used::by(&tasks),
            tasks,
        }
    }

    /// What it used since then, if it is more than one who waits may use.
    fn unrest(&self) -> Option<String> {
        let now = Used::by(&self.tasks);
        let seconds = self.since.elapsed().as_secs_f64();
        let wakes = (now.wakes - self.before.wakes) as f64;
        let ticks = (now.ticks - self.before.ticks) as f64;
        let per_second = sysconf(SysconfVar::CLK_TCK).unwrap().unwrap() as f64;
        let too_often = wakes > WAKES * seconds + EDGE;
        let too_much = ticks > SHARE * per_second * seconds + EDGE;
        (too_often || too_much).then(|| {
            format!(
                "{}: {wakes} wake-ups and {ticks} of {per_second} ticks a second in {seconds:.2} s",
                self.what
            )
        })
    }
}

/// A `send` and a `recv`, both between pipes.
fn pair(name: &Name) -> (Process, Process) {
    let sender = start(ringproof(["send", name]).stdin(Stdio::piped()));
    let receiver = start(ringproof(["recv", name]).stdout(Stdio::piped()));
    (sender, receiver)
}

fn send(name: &Name, input: &Path, options: &[&str]) -> Process {
    start(on("send", name, options).stdin(reading(input)))
}

#[test]
fn whoever_waits_is_at_rest() {
    let place = Place::with(&[7; 5000]);
    let names = ["room", "drain", "alone", "left", "screen", "pair"];
    let names = names.map(|name| Name::new(&format!("rest-{name}")));
    let [room, drain, alone, left, screen, both] = &names;

    let mut for_room = send(room, &place.input, &["--capacity", "1000"]);
    until_full(room);
    let mut for_drain = send(drain, &place.input, &["--wait"]);
    until_seen(drain, "the end of a stream", |seen| {
        seen.end_index.is_some()
    });
    let mut for_sender = start(&mut ringproof(["recv", alone]));
    let (sender, mut for_successor) = pair(left);
    until_seen(left, "both sides", |seen| {
        seen.roles.iter().all(|role| role.held)
    });
    assert!(sender.kill().0);
    let mut shown = OnTerminal::start(&mut ringproof(["recv", screen]));
    shown.until_shown("waiting for send");
    let (mut for_input, mut for_data) = pair(both);
    let mut to = for_input.stdin();
    to.write_all(b"one").unwrap();
    let (_, from) = read_some(for_data.stdout(), 3);

    let mut waiting = [
        ("send, for room", &mut for_room),
        ("send, for the end", &mut for_drain),
        ("recv, for a send", &mut for_sender),
        ("recv, for another send", &mut for_successor),
        ("recv on a terminal", &mut shown.process),
        ("send, for input", &mut for_input),
        ("recv, for data", &mut for_data),
    ];
    for (_, process) in &mut waiting {
        process.until_waiting_long();
    }
    let observed = waiting
        .each_ref()
        .map(|(what, process)| Observed::process(what, process));
    std::thread::sleep(Duration::from_secs(4));
    let unrest: Vec<_> = observed.iter().filter_map(Observed::unrest).collect();
    assert_eq!(unrest, [""; 0]);
    for (what, process) in &mut waiting {
        assert!(!process.has_ended(), "{what}");
    }
    drop((to, from));
}

/// What is measured above is not what anybody has who waits: as `send` and `recv` did it before the library could, and as
/// most do who wait for a ring.
#[test]
fn who_looks_again_and_again_is_not_at_rest() {
    let ways: [(_, fn()); 2] = [
        ("sleeps between looks", || {
            std::thread::sleep(Duration::from_millis(1))
        }),
        ("looks all the time", std::hint::spin_loop),
    ];
    for (what, pause) in ways {
        let (said, hear) = std::sync::mpsc::channel();
        let (stop, stopped) = std::sync::mpsc::channel::<()>();
        let poller = std::thread::spawn(move || {
            said.send(gettid()).unwrap();
            while stopped.try_recv() == Err(std::sync::mpsc::TryRecvError::Empty) {
                pause();
            }
        });
        let task = format!("/proc/self/task/{}", hear.recv().unwrap());
        let observed = Observed::tasks(what, vec![task.into()]);
        until("who polls to be found out", || observed.unrest().is_some());
        drop(stop);
        poller.join().unwrap();
    }
}

#[test]
fn a_line_wakes_who_sleeps() {
    let name = Name::new("woken");
    let (mut sender, mut receiver) = pair(&name);
    until_received(&name);
    let (mut to, mut from) = (sender.stdin(), receiver.stdout());
    for round in 1..=5 {
        until_seen(&name, "recv to ask to be woken", |seen| seen.roles[1].asks);
        if round == 3 {
            // Who is stopped and goes on waits on.
            for process in [&sender, &receiver] {
                process.stop();
                process.go_on();
            }
        }
        to.write_all(b"a line\n").unwrap();
        let line;
        (line, from) = read_some(from, 7);
        assert_eq!(line, b"a line\n");
        until_seen(&name, "send to have woken recv", |seen| {
            seen.roles[0].wakes >= round
        });
    }
    // An operator sees it, too.
    until_seen(&name, "recv to ask to be woken", |seen| seen.roles[1].asks);
    let wakes = name.inspect().expect("it is there").roles[0].wakes;
    let text = inspected(&name, &[]);
    for line in [
        "producer   held, taken 1 time\n".to_owned(),
        format!("  woke     the consumer {wakes} times\n"),
        "consumer   held, taken 1 time, asks to be woken\n".to_owned(),
    ] {
        assert!(text.contains(&line), "{line:?} is not in:\n{text}");
    }
    let json: Value = serde_json::from_str(&inspected(&name, &["--json"])).unwrap();
    let of = |role: &Value| (role["wakes"].clone(), role["asks"].clone());
    assert_eq!(of(&json["roles"][0]), (json!(wakes), json!(false)));
    assert_eq!(of(&json["roles"][1]), (json!(0), json!(true)));
    drop(to);
    sender.finish().expect_silence();
    receiver.finish().expect_silence();
}

#[test]
fn room_wakes_who_sleeps() {
    let place = Place::with(&[7; 3000]);
    let name = Name::new("roomy");
    let sender = send(&name, &place.input, &["--capacity", "1000", "--wait"]);
    until_full(&name);
    let ring = Ring::<u8>::attach(&name).unwrap();
    let mut consumer = ring.consumer().unwrap();
    // Twice it waits for room, and then for the end.
    for round in 1..=3 {
        until_seen(&name, "send to ask to be woken", |seen| seen.roles[0].asks);
        consumer.peek_exact(1000).unwrap().release_all();
        until_seen(&name, "send to have been woken", |seen| {
            seen.roles[1].wakes >= round
        });
    }
    sender.finish().expect_silence();
}
