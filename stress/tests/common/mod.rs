//! Running the program, and what its rows owe.
#![allow(dead_code, reason = "no test uses all of it")]

use std::io::Read;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use nix::sys::ptrace;
use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use ringproof_record::{Record, Verdict, deadline};

/// The program.
pub(crate) const PROGRAM: &str = env!("CARGO_BIN_EXE_ringproof-stress");

/// What came of running it.
pub(crate) struct Ran {
    /// Its exit code.
    pub(crate) code: Option<i32>,
    /// Its standard output, which is rows and nothing else.
    pub(crate) rows: Vec<Record>,
    /// Its standard error.
    pub(crate) errors: String,
}

/// Runs the program, which must leave nothing in /dev/shm.
pub(crate) fn run(args: &[&str]) -> Ran {
    run_program(PROGRAM.as_ref(), args)
}

/// Runs a copy of it.
pub(crate) fn run_program(program: &std::path::Path, args: &[&str]) -> Ran {
    let child = Command::new(program)
        .args(args)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("it starts");
    let pid = child.id();
    let Output {
        status,
        stdout,
        stderr,
    } = child.wait_with_output().expect("it ends");
    assert_eq!(left_behind(pid), Vec::<String>::new());
    Ran {
        code: status.code(),
        rows: rows_of(&stdout),
        errors: String::from_utf8_lossy(&stderr).into_owned(),
    }
}

/// The rows that it printed.
pub(crate) fn rows_of(stdout: &[u8]) -> Vec<Record> {
    let text = str::from_utf8(stdout).expect("text");
    let row = |line| Record::from_line(line).unwrap_or_else(|error| panic!("{line}: {error}"));
    text.lines().map(row).collect()
}

/// What a run by the process of this number has left in /dev/shm.
pub(crate) fn left_behind(pid: u32) -> Vec<String> {
    let ours =
        |name: &String| name.starts_with("ringproof-stress-") && name.contains(&format!("-{pid}-"));
    std::fs::read_dir("/dev/shm")
        .expect("/dev/shm can be listed")
        .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
        .filter(ours)
        .collect()
}

/// Waits for something. Who waits so long waits for something that hangs.
pub(crate) fn await_that(what: &str, mut happened: impl FnMut() -> bool) {
    let deadline = Instant::now() + deadline::seconds(120);
    while !happened() {
        assert!(Instant::now() < deadline, "waited for: {what}");
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// Starts the program with something to do that takes it minutes, in a group of its own.
pub(crate) fn start(args: &[&str]) -> (Child, Pid) {
    let child = Command::new(PROGRAM)
        .args(args)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .process_group(0)
        .spawn()
        .expect("it starts");
    let pid = Pid::from_raw(child.id().cast_signed());
    (child, pid)
}

/// Waits until it says for the first time how far it is.
pub(crate) fn await_word(child: &mut Child) {
    let errors = child.stderr.as_mut().expect("it is piped");
    let mut byte = [0];
    errors.read_exact(&mut byte).expect("a word");
}

/// Waits until no process of its group is left: they get their signal when it is dead.
pub(crate) fn await_end_of(group: Pid) {
    await_that("all its processes to die", || {
        killpg(group, None::<Signal>).is_err()
    });
}

/// The row of this subject and check.
pub(crate) fn row<'a>(rows: &'a [Record], subject: &str, check: &str) -> &'a Record {
    let mut found = rows.iter().filter(|row| row.subject == subject);
    let row = found.find(|row| row.check == check);
    row.unwrap_or_else(|| panic!("no row {subject}, {check} in {rows:#?}"))
}

/// Why a row says what it says.
pub(crate) fn reason(row: &Record) -> &str {
    row.reason
        .as_deref()
        .unwrap_or_else(|| panic!("no reason in {row:#?}"))
}

/// The first row that has failed.
pub(crate) fn failed(ran: &Ran) -> &Record {
    let mut rows = ran.rows.iter();
    let row = rows.find(|row| row.verdict == Verdict::Failed);
    row.unwrap_or_else(|| panic!("none has failed: {}", ran.errors))
}

/// No row has failed.
pub(crate) fn ensure_none_failed(Ran { rows, errors, .. }: &Ran) {
    let failed = rows.iter().filter(|row| row.verdict == Verdict::Failed);
    assert_eq!(
        failed.collect::<Vec<_>>(),
        Vec::<&Record>::new(),
        "{errors}"
    );
}

/// Some of the operations in which processes die: those that a death at an access and at an instruction makes
/// sense in.
pub(crate) const OPERATIONS: [&str; 14] = [
    "ring/push",
    "ring/push_slice",
    "ring/chunk",
    "ring/close",
    "ring/pop",
    "ring/pop_slice",
    "ring/peek",
    "ring/stop",
    "seqlock/write",
    "seqlock/read",
    "latch/write",
    "latch/read",
    "role/take-over",
    "segment/notes",
];

/// All rows are of `layer`, and passed.
pub(crate) fn ensure_passed(Ran { code, rows, errors }: &Ran, layer: &str) {
    let failed: Vec<_> = (rows.iter())
        .filter(|row| row.verdict != Verdict::Passed)
        .collect();
    assert!(failed.is_empty(), "{failed:#?}\n{errors}");
    assert_eq!(*code, Some(0));
    assert!(rows.iter().all(|row| row.layer == layer));
}

pub(crate) fn injected(rows: &[Record]) -> impl Iterator<Item = &Record> {
    (rows.iter()).filter(|row| row.check.starts_with("injected fault: "))
}

/// Runs the command that a row says repeats it.
pub(crate) fn repeat(row: &Record, more: &[&str]) -> Ran {
    let command = row.repeat.as_deref().expect("a command that repeats it");
    let (_, args) = command.split_once(" -- ").expect("arguments");
    run(&[args.split(' ').collect(), vec!["--json"], more.to_vec()].concat())
}

/// Each injected fault, of which there are so many, fails by the command that its row says, and is
/// caught there in the same place.
pub(crate) fn ensure_injected(rows: &[Record], count: usize, more: &[&str]) {
    assert_eq!(injected(rows).count(), count);
    for row in injected(rows) {
        let again = repeat(row, more);
        assert_eq!(again.code, Some(1), "{}\n{}", row.check, again.errors);
        let broken = (again.rows.iter()).find(|row| row.verdict == Verdict::Failed);
        let broken = broken.expect("a failed row");
        assert_eq!(broken.repeat, row.repeat, "{}", row.check);
        let reason = row.reason.as_deref().unwrap_or_default();
        // On a machine that is too slow for the control of a soak, it says so.
        let slow = row.verdict == Verdict::NotRun && reason.starts_with("caught, but the control");
        assert!(reason.starts_with("caught: ") || slow, "{row:#?}");
    }
}

/// Whether a process may be traced here, asked without the program. A seccomp filter may forbid it, as a
/// container's does, and so may kernel.yama.ptrace_scope. Says so where not.
pub(crate) fn is_traceable() -> bool {
    let mut command = Command::new(PROGRAM);
    command.arg("--version").stdout(Stdio::null());
    // SAFETY: between fork and exec it makes one system call, and allocates nothing.
    unsafe { command.pre_exec(|| Ok(ptrace::traceme()?)) };
    match command.spawn() {
        Ok(mut traced) => {
            // It has stopped before its first instruction.
            traced.kill().expect("kill it");
            traced.wait().expect("wait for it");
            true
        }
        Err(error) => {
            eprintln!("not run: no process can be traced here: {error}");
            false
        }
    }
}

/// Where no process can be traced, no row claims anything, and each says why.
pub(crate) fn ensure_untraced(Ran { code, rows, errors }: &Ran) {
    let claims: Vec<_> = (rows.iter())
        .filter(|row| row.subject != "/dev/shm")
        .filter(|row| {
            let reason = row.reason.as_deref().unwrap_or_default();
            row.verdict != Verdict::NotRun || !reason.contains("traced")
        })
        .collect();
    assert!(claims.is_empty(), "{claims:#?}\n{errors}");
    assert!(!rows.is_empty());
    assert_eq!(*code, Some(3));
}
