//! Running the program.

use std::process::{Command, Output, Stdio};

use ringproof_record::Record;

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
    let text = String::from_utf8(stdout).expect("text");
    let row = |line| Record::from_line(line).unwrap_or_else(|error| panic!("{line}: {error}"));
    Ran {
        code: status.code(),
        rows: text.lines().map(row).collect(),
        errors: String::from_utf8_lossy(&stderr).into_owned(),
    }
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
