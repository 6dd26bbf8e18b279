//! Every mechanism between two real processes: messages arrive, what is injected is noticed, and
//! nothing is left behind, however it ends.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::signal::{self, SigHandler, Signal, kill};
use nix::unistd::Pid;
use ringproof_perf::ipc::{
    Delivers, Exercise, Injected, Mechanism, Moved, Place, Program, SIZES, Task, Trust, Two, all,
    worker,
};
use ringproof_perf::report::Trouble;
use ringproof_record::deadline;

/// System V queues have nothing that says whose they are: one test that makes some at a time.
fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::new(());
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

const PERF: &str = env!("CARGO_BIN_EXE_ringproof-perf");

/// Moves a few messages through a mechanism, between two processes that are not pinned.
fn send(
    mechanism: &Mechanism,
    size: usize,
    exercise: Exercise,
    injected: Injected,
) -> Result<Moved, Trouble> {
    send_at(Place::TwoProcesses, mechanism, size, exercise, injected)
}

/// The same between two processes, or between two threads of one.
fn send_at(
    place: Place,
    mechanism: &Mechanism,
    size: usize,
    exercise: Exercise,
    injected: Injected,
) -> Result<Moved, Trouble> {
    let mut two = Two::start(&Program::at(PERF), place, mechanism, size, None)?;
    two.run(Task {
        exercise,
        first: 1 << 40,
        warm_up: 4,
        count: 100,
        injected,
        system_calls: exercise == Exercise::PingPong,
    })
}

/// What a mechanism is for.
fn exercises(mechanism: &Mechanism) -> &'static [Exercise] {
    match mechanism.nature.delivers {
        Delivers::Every => &[Exercise::PingPong, Exercise::Stream],
        Delivers::Latest => &[Exercise::PingPong],
    }
}

fn each(sizes: &[usize], act: impl Fn(&Mechanism, usize, Exercise)) {
    let _alone = alone();
    for mechanism in all() {
        for &size in sizes {
            for exercise in exercises(mechanism) {
                act(mechanism, size, *exercise);
            }
        }
    }
}

#[test]
fn messages_arrive_by_every_mechanism_or_it_says_why_not() {
    each(&SIZES, |mechanism, size, exercise| {
        let name = mechanism.name;
        match send(mechanism, size, exercise, Injected::Nothing) {
            Ok(moved) => {
                let (fewest, most) = match exercise {
                    Exercise::PingPong => (200, 200),
                    Exercise::Stream => (100, 100 + mechanism.batch as u64),
                };
                let right = (fewest..=most).contains(&moved.messages);
                assert!(right && moved.took > Duration::ZERO, "{name}: {moved:?}");
            }
            Err(Trouble::NotRun(why)) => assert!(!why.is_empty(), "{name}"),
            Err(Trouble::Failed(why)) => panic!("{name}, {size} B, {exercise:?}: {why}"),
        }
    });
}

#[test]
fn a_message_lost_swapped_or_corrupted_is_noticed_by_every_mechanism() {
    each(&SIZES[..1], |mechanism, size, exercise| {
        let (another, name) = ("message 51 came in the place of message 50", mechanism.name);
        for (injected, noticed) in [
            (Injected::Lost(50), another),
            (Injected::Swapped(50), another),
            (Injected::Corrupted(50), "message 50 is corrupted"),
        ] {
            match send(mechanism, size, exercise, injected) {
                Ok(_) => panic!("{name}, {size} B, {exercise:?}: {injected:?} passed"),
                Err(Trouble::NotRun(_)) => {}
                Err(Trouble::Failed(why)) => {
                    let expected = format!("{name}: second process: {noticed}");
                    assert!(why.starts_with(&expected), "{size} B, {exercise:?}: {why}");
                }
            }
        }
    });
}

#[test]
fn rings_in_one_process_move_words_and_lines_and_notice_what_is_lost() {
    let _alone = alone();
    let rings = all().iter().filter(|one| one.name.starts_with("ring"));
    for mechanism in rings {
        for (size, place) in [
            (8, Place::TwoProcesses),
            (8, Place::OneProcess),
            (64, Place::OneProcess),
        ] {
            for exercise in [Exercise::PingPong, Exercise::Stream] {
                let what = format!("{}, {size} B, {place:?}, {exercise:?}", mechanism.name);
                let send = |injected| send_at(place, mechanism, size, exercise, injected);
                let moved = send(Injected::Nothing).unwrap_or_else(|why| panic!("{what}: {why:?}"));
                assert!(moved.messages >= 100, "{what}: {moved:?}");
                assert!(send(Injected::Lost(50)).is_err(), "{what}");
            }
        }
    }
}

#[test]
fn what_is_said_of_system_calls_by_design_is_what_the_kernel_counts() {
    let _alone = alone();
    for mechanism in all() {
        let Ok(moved) = send(mechanism, 64, Exercise::PingPong, Injected::Nothing) else {
            continue;
        };
        let Some(Ok(counted)) = moved.system_calls else {
            continue;
        };
        let counted = counted as f64 / moved.messages as f64;
        let (name, design) = (mechanism.name, f64::from(mechanism.nature.system_calls));
        // Who looks into memory needs more only to sleep and to wake. The standard library checks
        // descriptors as it closes them, in a build with debug assertions.
        let most = match mechanism.nature.trust {
            Trust::Kernel => design + 2.2,
            _ => f64::INFINITY,
        };
        let right = (design - 0.1..=most).contains(&counted);
        assert!(right, "{name}: {counted} instead of {design}");
    }
}

#[test]
fn names_differ() {
    let names: BTreeSet<_> = all().iter().map(|mechanism| mechanism.name).collect();
    assert_eq!(names.len(), all().len());
}

#[test]
fn a_process_that_ends_instead_of_answering_is_no_hang() {
    let other = Program::at("/bin/false");
    let trouble = Two::start(&other, Place::TwoProcesses, &all()[0], 64, None).unwrap_err();
    assert!(
        matches!(&trouble, Trouble::Failed(why) if why.contains("ended") || why.contains("reached")),
        "{trouble:?}"
    );
    let none = Program::at("/nonexistent");
    let trouble = Two::start(&none, Place::TwoProcesses, &all()[0], 64, None).unwrap_err();
    assert!(matches!(trouble, Trouble::NotRun(_)), "{trouble:?}");
}

/// What a program of ours might leave behind: processes, queues, and files where it makes them.
struct Traces {
    temporary: PathBuf,
    processes: Vec<i32>,
    queues: BTreeSet<String>,
}

impl Traces {
    /// Waits until none is left; says what is left at the deadline.
    fn gone(&self) {
        let deadline = Instant::now() + deadline::seconds(120);
        let processes = &self.processes;
        loop {
            let left: Vec<_> = processes.iter().filter(|pid| is_ours(**pid)).collect();
            // Those that were seen, and any other one with a message of these processes.
            let mut queues = queues();
            queues.retain(|(queue, user)| self.queues.contains(queue) || processes.contains(user));
            let folders = ["/dev/shm", "/dev/mqueue"].map(Path::new);
            let folders = folders.into_iter().chain([&*self.temporary]);
            let entries = folders.flat_map(fs::read_dir).flatten().flatten();
            let ours = |entry: &fs::DirEntry| {
                entry.path().starts_with(&self.temporary) || is_named(entry, processes)
            };
            let files: Vec<_> = entries.filter(ours).map(|entry| entry.path()).collect();
            if left.is_empty() && queues.is_empty() && files.is_empty() {
                break;
            }
            assert!(
                Instant::now() < deadline,
                "waited for processes {left:?}, queues {queues:?}, files {files:?} to go"
            );
            thread::sleep(Duration::from_millis(20));
        }
        fs::remove_dir(&self.temporary).unwrap();
    }
}

/// Whether it has a name that one of these processes gave.
fn is_named(entry: &fs::DirEntry, processes: &[i32]) -> bool {
    let name = entry.file_name();
    let name = name.to_string_lossy();
    let named = |pid: &i32| name.starts_with(&format!("ringproof-ipc-{pid}-"));
    processes.iter().any(named)
}

/// Whether a process of this number is one of this program.
fn is_ours(pid: i32) -> bool {
    fs::read_link(format!("/proc/{pid}/exe")).is_ok_and(|exe| exe == Path::new(PERF))
}

/// All System V message queues of this machine: the number, and who has sent the last message. There
/// is nothing else that says whose a queue is.
fn queues() -> Vec<(String, i32)> {
    let text = fs::read_to_string("/proc/sysvipc/msg").unwrap_or_default();
    let line = |line: &str| {
        let mut words = line.split_whitespace().skip(1);
        let number = words.next()?.to_owned();
        Some((number, words.nth(3)?.parse().ok()?))
    };
    text.lines().skip(1).filter_map(line).collect()
}

/// The program in the middle of measuring, and what it and its processes might leave behind.
fn in_the_middle() -> (Child, Traces) {
    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let mut program = Command::new(PERF)
        .args(["ipc", "--json", "--rounds", "9"])
        .current_dir(env!("CARGO_TARGET_TMPDIR"))
        .env("TMPDIR", folder.path())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut traces = Traces {
        temporary: folder.keep(),
        processes: Vec::new(),
        queues: BTreeSet::new(),
    };
    // Until it has queues to leave behind, or has ended because there is nothing to measure here.
    let deadline = Instant::now() + deadline::seconds(600);
    let this = program.id().cast_signed();
    while traces.queues.is_empty() && program.try_wait().unwrap().is_none() {
        assert!(
            Instant::now() < deadline,
            "waited for a System V queue of its"
        );
        thread::sleep(Duration::from_millis(1));
        traces.processes = children(this);
        traces.processes.push(this);
        let of_it = |(_, user): &(String, i32)| traces.processes.contains(user);
        let queues = queues().into_iter().filter(of_it);
        traces.queues = queues.map(|(queue, _)| queue).collect();
    }
    (program, traces)
}

fn children(parent: i32) -> Vec<i32> {
    let listed = fs::read_to_string(format!("/proc/{parent}/task/{parent}/children"));
    let listed = listed.unwrap_or_default();
    let numbers = listed.split_whitespace();
    numbers.filter_map(|pid| pid.parse().ok()).collect()
}

#[test]
fn nothing_is_left_behind_when_it_is_interrupted_or_killed() {
    let _alone = alone();
    // A shell that starts this in the background has it ignored, and what is started here would
    // inherit that.
    // SAFETY: no handler is installed, the signal's default action is.
    unsafe { signal::signal(Signal::SIGINT, SigHandler::SigDfl) }.unwrap();
    for signal in [Signal::SIGINT, Signal::SIGKILL] {
        let (mut program, traces) = in_the_middle();
        let _ = kill(Pid::from_raw(program.id().cast_signed()), signal);
        let status = program.wait().unwrap();
        if traces.queues.is_empty() {
            println!("not run: the program made no System V queue here before it ended: {status}");
        } else {
            assert_eq!(status.signal(), Some(signal as i32), "{status}");
        }
        traces.gone();
    }
}

#[test]
fn a_worker_without_orders_ends() {
    let status = Command::new(PERF)
        .arg(worker::ARGUMENT)
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .unwrap();
    assert_eq!(status.code(), Some(1));
}
