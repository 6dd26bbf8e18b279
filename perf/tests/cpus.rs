//! The CPUs of machines that are not this one: more of them, fewer of them from a certain moment on,
//! and only a share of their time.

#[path = "common/groups.rs"]
mod groups;
#[path = "common/seccomp.rs"]
mod seccomp;

use std::fs;
use std::io;
use std::process::{Child, Command, Output, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use groups::Group;
use nix::libc;
use ringproof_record::affinity::{self, Cpus};
use ringproof_record::{Exit, Record, Verdict, deadline};

/// One at a time: two experiments at once measure each other.
fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::new(());
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

fn perf(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_ringproof-perf"));
    command
        .args(args)
        .current_dir(env!("CARGO_TARGET_TMPDIR"))
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command
}

/// An experiment in the middle of which one of its two CPUs can be taken away.
fn measuring(experiment: &str, one: usize, other: usize) -> Command {
    let cpus = format!("{one},{other}");
    perf(&[
        experiment, "--json", "--quick", "--rounds", ROUNDS, "--cpus", &cpus,
    ])
}

fn not_run(why: impl std::fmt::Display) {
    eprintln!("not run: {why}");
}

/// The first two CPUs of this process, if it has two and may keep a thread to one.
fn two_cpus() -> Option<[usize; 2]> {
    let allowed = affinity::allowed(0).expect("the CPUs of this thread");
    let mut cpus = allowed.iter();
    let Some((one, other)) = cpus.next().zip(cpus.next()) else {
        not_run("two CPUs are needed, and this process has one");
        return None;
    };
    // In a thread of its own, so that this one keeps both.
    let pinned = thread::spawn(move || affinity::restrict(0, &Cpus::one(one)));
    if let Err(error) = pinned.join().expect("it pins itself") {
        not_run(format!("no thread can be pinned: {error}"));
        return None;
    }
    Some([one, other])
}

/// The rows of a run, which ended as they say.
fn rows(output: &Output) -> Vec<Record> {
    let text = String::from_utf8_lossy(&output.stdout);
    let row = |line| Record::from_line(line).unwrap_or_else(|error| panic!("{line}: {error}"));
    let rows: Vec<Record> = text.lines().map(row).collect();
    let expected = Exit::of(&rows).code().into();
    assert_eq!(output.status.code(), Some(expected), "{output:?}");
    rows
}

/// What a row says.
#[track_caller]
fn reason<'r>(rows: &'r [Record], subject: &str) -> &'r str {
    let row = rows.iter().find(|row| row.subject == subject);
    let reason = row.and_then(|row| row.reason.as_deref());
    reason.unwrap_or_else(|| panic!("no word about {subject} in {rows:#?}"))
}

#[test]
fn a_kernel_that_may_have_thousands_of_cpus_is_asked_for_those_that_there_are() {
    let _alone = alone();
    let count = affinity::allowed(0).expect("this thread's CPUs").count();
    // As many as a mask of the usual length has room for, and more.
    for possible in [1024, 2048, 4096, 65_536] {
        let mut command = perf(&["doctor", "--json"]);
        seccomp::with_possible_cpus(&mut command, possible);
        let output = match command.output() {
            Ok(output) => output,
            Err(error) => return not_run(format!("seccomp is refused: {error}")),
        };
        let rows = rows(&output);
        let machine = reason(&rows, "machine");
        let allowed = format!("CPUs allowed: {count};");
        assert!(machine.contains(&allowed), "{possible}: {machine}");
        let pin = rows.iter().find(|row| row.subject == "may/pin two threads");
        let pin = pin.expect("a row");
        // With one CPU the answer is that there is one.
        let expected = [Verdict::Passed, Verdict::NotRun][usize::from(count < 2)];
        assert_eq!(pin.verdict, expected, "{possible}: {pin:?}");
    }
}

#[test]
fn a_system_that_does_not_name_its_cpus_has_none_that_are_known() {
    let _alone = alone();
    let mut command = perf(&["doctor", "--json"]);
    seccomp::without(&mut command, libc::SYS_sched_getaffinity);
    let output = match command.output() {
        Ok(output) => output,
        Err(error) => return not_run(format!("seccomp is refused: {error}")),
    };
    let rows = rows(&output);
    let machine = reason(&rows, "machine");
    let unknown = "CPUs allowed: not known (sched_getaffinity: ";
    assert!(machine.contains(unknown), "{machine}");
    let pin = reason(&rows, "may/pin two threads");
    assert!(pin.contains("is not known (sched_getaffinity: "), "{pin}");
}

#[test]
fn a_quota_on_any_level_is_reported() {
    let _alone = alone();
    for (level, above) in [
        ("own", "its own control group"),
        ("parent", "the control group above"),
    ] {
        let said = quota_said(level == "parent");
        match said {
            Ok(said) => {
                let expected = format!("CPU quota: 0.5 CPUs, by {above}");
                assert!(said.contains(&expected), "{level}: {said}");
            }
            Err(why) => return not_run(why),
        }
    }
}

/// What is said of the machine by a process whose own group, or the one above it, has half a CPU.
fn quota_said(by_parent: bool) -> Result<String, String> {
    let outer = Group::make("cpu", "quota")?;
    let inner = outer.within("cpu")?;
    let limited = if by_parent { &outer } else { &inner };
    match limited.first_version {
        true => limited.set("cpu.cfs_quota_us", "50000")?,
        false => limited.set("cpu.max", "50000 100000")?,
    }
    let mut command = perf(&["doctor", "--json"]);
    inner.holds(&mut command);
    let output = command.output();
    let output = output.map_err(|error| format!("nothing runs in a control group: {error}"))?;
    let rows = rows(&output);
    Ok(reason(&rows, "machine").to_owned())
}

/// The program while it measures; it is killed when this is dropped.
struct Running(Child);

impl Running {
    fn start(command: &mut Command) -> io::Result<Self> {
        command.spawn().map(Running)
    }

    fn process(&self) -> i32 {
        self.0.id().cast_signed()
    }

    /// The threads of the program, and those of the processes that it has started.
    fn threads(&self) -> Vec<i32> {
        let this = self.process();
        let numbers = |text: String| {
            let numbers = text.split_whitespace().map(|number| number.parse().ok());
            numbers.flatten().collect::<Vec<i32>>()
        };
        let tasks = |process: i32| {
            let folder = fs::read_dir(format!("/proc/{process}/task"));
            let names = folder.into_iter().flatten().flatten();
            names.filter_map(|entry| entry.file_name().to_str()?.parse().ok())
        };
        let mut threads: Vec<i32> = tasks(this).collect();
        for thread in threads.clone() {
            let children = fs::read_to_string(format!("/proc/{this}/task/{thread}/children"));
            for child in numbers(children.unwrap_or_default()) {
                threads.extend(tasks(child));
            }
        }
        threads
    }

    /// Waits for something that the threads show; false if the program has ended before.
    fn await_threads(&mut self, what: &str, mut shown: impl FnMut(&[i32]) -> bool) -> bool {
        let deadline = Instant::now() + deadline::seconds(300);
        loop {
            if self.0.try_wait().expect("a child of ours").is_some() {
                return false;
            }
            if shown(&self.threads()) {
                return true;
            }
            assert!(Instant::now() < deadline, "waited for {what}");
            thread::sleep(Duration::from_millis(1));
        }
    }

    /// Waits until a thread measures on this CPU and on no other.
    fn await_seat(&mut self, cpu: usize) -> bool {
        self.await_threads(&format!("a thread on CPU {cpu}"), |threads| {
            threads.iter().any(|thread| is_on(*thread, cpu))
        })
    }

    /// Leaves the program one CPU, as `taskset -a -p` does.
    ///
    /// # Errors
    /// Why that may not be done here.
    fn leave(&mut self, cpu: usize) -> Result<(), String> {
        // First the one that all others are started by.
        affinity::restrict(self.process(), &Cpus::one(cpu))
            .map_err(|error| format!("the threads of a child cannot be moved: {error}"))?;
        self.await_threads("all threads to be moved", |threads| {
            let elsewhere = threads.iter().filter(|thread| !is_on(**thread, cpu));
            // It may have ended meanwhile.
            let moved = elsewhere.map(|thread| affinity::restrict(*thread, &Cpus::one(cpu)));
            moved.count() == 0
        });
        Ok(())
    }

    /// Waits for its end, which is said to come soon.
    fn end(mut self) -> Output {
        self.await_threads("the program to end", |_| false);
        let Running(child) = &mut self;
        let mut output = Output {
            status: child.wait().expect("a child of ours"),
            stdout: Vec::new(),
            stderr: Vec::new(),
        };
        // It has ended, and what it said fits into a pipe.
        let said = child.stdout.take().zip(child.stderr.take());
        let (mut out, mut errors) = said.expect("both are piped");
        io::Read::read_to_end(&mut out, &mut output.stdout).expect("its output");
        io::Read::read_to_end(&mut errors, &mut output.stderr).expect("its errors");
        output
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Whether a thread is pinned to this CPU.
fn is_on(thread: i32, cpu: usize) -> bool {
    affinity::allowed(thread).is_ok_and(|cpus| cpus == Cpus::one(cpu))
}

/// All rows say that nothing was measured, and one of them that this CPU was taken away.
#[track_caller]
fn nothing_but(said: &str, output: &Output) {
    assert_eq!(output.status.code(), Some(3), "{output:?}");
    let rows = rows(output);
    for row in &rows {
        assert_eq!(row.verdict, Verdict::NotRun, "{row:?}");
        assert_eq!(row.count, None, "{row:?}");
    }
    let why = |row: &Record| (row.reason.as_deref()).is_some_and(|why| why.starts_with(said));
    assert!(rows.iter().any(why), "no word that {said}: {rows:#?}");
}

/// Far more than can be done before the CPU is gone.
const ROUNDS: &str = "60000";

/// Starts an experiment, takes one of its two CPUs away in the middle of it, and sees how it ends.
fn taken_away(experiment: &str, first: bool) {
    let Some([one, other]) = two_cpus() else {
        return;
    };
    let (taken, left) = if first { (one, other) } else { (other, one) };
    let running = Running::start(&mut measuring(experiment, one, other));
    let mut running = running.expect("the program starts");
    if !running.await_seat(taken) {
        let output = running.end();
        let rows = rows(&output);
        let none = rows.iter().all(|row| row.verdict == Verdict::NotRun);
        assert!(none, "{rows:#?}");
        return not_run(format!("{experiment} measures nothing here: {rows:?}"));
    }
    if let Err(why) = running.leave(left) {
        return not_run(why);
    }
    let output = running.end();
    nothing_but(&format!("CPU {taken} was taken away"), &output);
}

/// The first CPU is taken away, or the second, or either.
#[test]
fn every_experiment_ends_when_a_cpu_is_taken_away() {
    let _alone = alone();
    for (experiment, firsts) in [
        ("limits", &[true][..]),
        ("false-sharing", &[false, true]),
        ("padding", &[false]),
        ("c-header", &[false]),
        ("latest", &[false]),
        ("ipc", &[false, true]),
        ("serialize", &[true]),
        ("dispatch", &[true]),
    ] {
        for first in firsts {
            taken_away(experiment, *first);
        }
    }
}

#[test]
fn threads_that_cannot_be_pinned_end_when_one_cpu_is_left() {
    let _alone = alone();
    let Some([one, other]) = two_cpus() else {
        return;
    };
    let mut command = measuring("padding", one, other);
    // Of the program alone: this one may move its threads.
    seccomp::without(&mut command, libc::SYS_sched_setaffinity);
    let mut running = match Running::start(&mut command) {
        Ok(running) => running,
        Err(error) => return not_run(format!("seccomp is refused: {error}")),
    };
    // The main thread, and two that measure.
    assert!(running.await_threads("two threads that measure", |threads| threads.len() > 2));
    if let Err(why) = running.leave(one) {
        return not_run(why);
    }
    nothing_but("all CPUs but one were taken away", &running.end());
}

#[test]
fn the_text_says_that_a_cpu_was_taken_away() {
    let _alone = alone();
    let Some([one, other]) = two_cpus() else {
        return;
    };
    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a folder");
    let out = folder.path().to_str().expect("a folder's name");
    let cpus = format!("{one},{other}");
    let args = ["latest", "--rounds", ROUNDS, "--cpus", &cpus, "--out", out];
    let mut running = Running::start(&mut perf(&args)).expect("the program starts");
    assert!(running.await_seat(other), "it ended by itself");
    if let Err(why) = running.leave(one) {
        return not_run(why);
    }
    let output = running.end();
    assert_eq!(output.status.code(), Some(3), "{output:?}");
    let said = String::from_utf8_lossy(&output.stdout);
    let why = format!("Not measured here, because CPU {other} was taken away");
    assert!(said.contains(&why), "{said}");
}

#[test]
fn a_cpuset_that_shrinks_takes_a_cpu_away() {
    let _alone = alone();
    let Some([one, other]) = two_cpus() else {
        return;
    };
    if let Err(why) = shrunk(one, other) {
        not_run(why);
    }
}

/// Leaves a program in a cpuset of two CPUs the first one.
fn shrunk(one: usize, other: usize) -> Result<(), String> {
    let group = Group::make("cpuset", "shrinks")?;
    if group.first_version {
        group.set("cpuset.mems", group.inherited("cpuset.mems")?.trim())?;
    }
    group.set("cpuset.cpus", &format!("{one},{other}"))?;
    let mut command = measuring("padding", one, other);
    group.holds(&mut command);
    let running = Running::start(&mut command);
    let mut running = running.map_err(|error| format!("nothing runs in a cpuset: {error}"))?;
    assert!(running.await_seat(other), "it ended by itself");
    group.set("cpuset.cpus", &one.to_string())?;
    nothing_but(&format!("CPU {other} was taken away"), &running.end());
    Ok(())
}
