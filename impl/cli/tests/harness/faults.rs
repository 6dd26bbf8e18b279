//! Faults of the system, injected into a process before it becomes `ringproof`: standard descriptors
//! that are closed, and system calls that fail as they do where a disk is full or broken. (The kernel
//! refuses them to a process that has asked it to, whoever its user is: seccomp.)

use std::ffi::{c_int, c_long};
use std::fs::File;
use std::io;
use std::os::fd::RawFd;
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};
use std::sync::OnceLock;

use nix::errno::Errno;
use nix::libc;
use nix::sys::resource::{Resource, setrlimit};

/// Starts the program without this descriptor.
pub(crate) fn close(command: &mut Command, fd: RawFd) {
    // SAFETY: the closure makes one system call, which is async-signal-safe; the descriptor is the
    // child's own, and nothing in it uses that before it executes the program.
    unsafe {
        command.pre_exec(move || {
            libc::close(fd);
            Ok(())
        });
    }
}

/// A system call that fails.
#[derive(Clone, Copy)]
pub(crate) struct Fault {
    pub(crate) call: c_long,
    pub(crate) when: When,
    pub(crate) error: Errno,
}

/// Which calls fail.
#[derive(Clone, Copy)]
pub(crate) enum When {
    Always,
    /// Those whose argument of this number has one of these bits.
    Has(u32, c_int),
    /// Those whose argument of this number is larger than this.
    Above(u32, c_int),
}

/// Makes these calls fail for the program. False, and said why, where that cannot be done.
pub(crate) fn inject(command: &mut Command, faults: &[Fault]) -> bool {
    static WORKS: OnceLock<Result<(), String>> = OnceLock::new();
    let probe = || {
        let mut probe = Command::new("true");
        install(&mut probe, &[]);
        let probe = probe.stdin(Stdio::null()).status();
        probe.map(drop).map_err(|error| error.to_string())
    };
    match WORKS.get_or_init(probe) {
        Ok(()) => install(command, faults),
        Err(error) => {
            eprintln!("not run: no system call can be made to fail here: {error}");
            return false;
        }
    }
    true
}

const fn statement(code: u32, k: u32) -> libc::sock_filter {
    let (jt, jf, code) = (0, 0, code as u16);
    libc::sock_filter { code, jt, jf, k }
}

/// A jump over so many statements unless `code` holds.
const fn unless(code: u32, k: u32, jf: u8) -> libc::sock_filter {
    let code = (libc::BPF_JMP | libc::BPF_K | code) as u16;
    let jt = 0;
    libc::sock_filter { code, jt, jf, k }
}

fn install(command: &mut Command, faults: &[Fault]) {
    const LOAD: u32 = libc::BPF_LD | libc::BPF_W | libc::BPF_ABS;
    const RETURN: u32 = libc::BPF_RET | libc::BPF_K;
    // Where the low half of an argument lies in what a filter sees.
    let low = if cfg!(target_endian = "big") { 4 } else { 0 };
    let argument = |number| statement(LOAD, 16 + 8 * number + low);
    let mut filter = Vec::new();
    for fault in faults {
        let condition = match fault.when {
            When::Always => vec![],
            When::Has(number, bits) => {
                vec![argument(number), unless(libc::BPF_JSET, bits as u32, 1)]
            }
            When::Above(number, bound) => {
                vec![argument(number), unless(libc::BPF_JGT, bound as u32, 1)]
            }
        };
        // The number of the call.
        filter.push(statement(LOAD, 0));
        let skipped = condition.len() as u8 + 1;
        filter.push(unless(libc::BPF_JEQ, fault.call as u32, skipped));
        filter.extend(condition);
        filter.push(statement(
            RETURN,
            libc::SECCOMP_RET_ERRNO | fault.error as u32,
        ));
    }
    filter.push(statement(RETURN, libc::SECCOMP_RET_ALLOW));
    let asks = move || {
        let program = libc::sock_fprog {
            len: filter.len() as u16,
            filter: filter.as_ptr().cast_mut(),
        };
        // SAFETY: the kernel copies the filter, which lives in this closure.
        let outcome = unsafe {
            match libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) {
                0 => libc::prctl(
                    libc::PR_SET_SECCOMP,
                    libc::SECCOMP_MODE_FILTER,
                    &raw const program,
                ),
                failed => failed,
            }
        };
        if outcome == 0 {
            Ok(())
        } else {
            Err(io::Error::last_os_error())
        }
    };
    // SAFETY: the closure makes two system calls, prctl, which is async-signal-safe, and uses memory
    // that was allocated before.
    unsafe { command.pre_exec(asks) };
}

/// A file of the length that a write may give it at most.
pub(crate) fn limit_file_size(command: &mut Command, bytes: u64) {
    limit(command, Resource::RLIMIT_FSIZE, bytes);
}

/// What the program may have at most.
pub(crate) fn limit(command: &mut Command, resource: Resource, most: u64) {
    // SAFETY: the closure makes one system call, which is async-signal-safe.
    unsafe {
        command.pre_exec(move || setrlimit(resource, most, most).map_err(io::Error::from));
    }
}

/// `/dev/full`, as whoever writes to it opens it.
pub(crate) fn full() -> File {
    let opened = File::options().read(true).write(true).open("/dev/full");
    opened.expect("cannot open /dev/full")
}
