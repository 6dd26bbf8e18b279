//! Kernels that are not this one: a program that finds a system call answered otherwise, as a
//! container's profile or a larger machine answers it.

use std::io;
use std::mem::offset_of;
use std::os::unix::process::CommandExt;
use std::process::Command;

use nix::libc;

/// Lets `command` run where the kernel may have so many CPUs: it wants a mask with a bit for each, and
/// refuses a shorter one (`sched_getaffinity(2)`, EINVAL). Where seccomp is refused the command cannot
/// be started.
pub(crate) fn with_possible_cpus(command: &mut Command, cpus: u32) {
    let too_short = jump(libc::BPF_JGE, cpus / 8, 1, 0);
    let answer = [load(argument(1)), too_short, give(errno(libc::EINVAL))];
    filter(command, libc::SYS_sched_getaffinity, &answer);
}

/// Lets `command` run where this system call is refused (EPERM).
#[allow(dead_code, reason = "not every test that uses this file needs it")]
pub(crate) fn without(command: &mut Command, call: libc::c_long) {
    filter(command, call, &[give(errno(libc::EPERM))]);
}

/// For `call` the given steps, the last of which may be passed over; any other call is allowed.
fn filter(command: &mut Command, call: libc::c_long, steps: &[libc::sock_filter]) {
    let number = offset_of!(libc::seccomp_data, nr) as u32;
    // The numbers of system calls are small, and so is this.
    let others = jump(libc::BPF_JEQ, call as u32, 0, steps.len() as u8);
    let mut program = vec![load(number), others];
    program.extend(steps);
    program.push(give(libc::SECCOMP_RET_ALLOW));
    let install = move || {
        let program = libc::sock_fprog {
            len: program.len() as libc::c_ushort,
            filter: program.as_ptr().cast_mut(),
        };
        // SAFETY: these calls read their arguments, and the program, which lives until they return.
        let refused = unsafe {
            libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0
                || libc::prctl(
                    libc::PR_SET_SECCOMP,
                    libc::SECCOMP_MODE_FILTER,
                    &raw const program,
                ) != 0
        };
        match refused {
            true => Err(io::Error::last_os_error()),
            false => Ok(()),
        }
    };
    // SAFETY: between fork and exec nothing is called but two system calls, and nothing is allocated.
    unsafe { command.pre_exec(install) };
}

/// Where the lower half of an argument of the call lies.
fn argument(index: usize) -> u32 {
    let half = if cfg!(target_endian = "big") { 4 } else { 0 };
    (offset_of!(libc::seccomp_data, args) + index * 8 + half) as u32
}

fn errno(error: i32) -> u32 {
    libc::SECCOMP_RET_ERRNO | error.unsigned_abs()
}

fn load(offset: u32) -> libc::sock_filter {
    step(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS, offset, 0, 0)
}

fn jump(test: u32, value: u32, if_so: u8, if_not: u8) -> libc::sock_filter {
    step(libc::BPF_JMP | test | libc::BPF_K, value, if_so, if_not)
}

fn give(answer: u32) -> libc::sock_filter {
    step(libc::BPF_RET | libc::BPF_K, answer, 0, 0)
}

fn step(code: u32, k: u32, jt: u8, jf: u8) -> libc::sock_filter {
    libc::sock_filter {
        code: code as u16,
        jt,
        jf,
        k,
    }
}
