//! What needs to trace a process, where that is forbidden.

use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};

use nix::sys::ptrace;
use ringproof_record::Verdict;

use crate::common::{PROGRAM, Ran};

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
