//! System calls, counted by the kernel where it lets us: the tracepoint at which all of them enter.

use std::fs;
use std::io;
use std::os::fd::{AsFd, FromRawFd, OwnedFd};

use nix::libc;
use nix::unistd::read;
use perf_event_open_sys::bindings::{PERF_TYPE_TRACEPOINT, perf_event_attr};
use perf_event_open_sys::perf_event_open;

/// Where the kernel tells the tracepoint's number.
const NUMBER: [&str; 2] = [
    "/sys/kernel/tracing/events/raw_syscalls/sys_enter/id",
    "/sys/kernel/debug/tracing/events/raw_syscalls/sys_enter/id",
];

/// Counts the system calls of the calling thread.
#[derive(Debug)]
pub(crate) struct Crossings {
    counter: OwnedFd,
    before: u64,
}

impl Crossings {
    /// Begins to count.
    ///
    /// # Errors
    /// Why it cannot, and what would allow it.
    pub(crate) fn begin() -> Result<Self, String> {
        let counter = open(number()?).map_err(|error| {
            format!(
                "the kernel does not count system calls for this process: {error}; CAP_PERFMON or \
                 perf_event_paranoid = -1 would allow it, in a container its seccomp profile must \
                 let perf_event_open through as well"
            )
        })?;
        let before = count(&counter)?;
        Ok(Crossings { counter, before })
    }

    /// What was counted.
    pub(crate) fn end(self) -> Result<u64, String> {
        // The call that reads the counter now is one of those that it counts.
        Ok(count(&self.counter)?.saturating_sub(self.before + 1))
    }
}

fn number() -> Result<u64, String> {
    let text = NUMBER.iter().find_map(|path| fs::read_to_string(path).ok());
    text.and_then(|text| text.trim().parse().ok()).ok_or_else(|| {
        "the number of the tracepoint raw_syscalls:sys_enter cannot be read: tracefs is not mounted \
         at /sys/kernel/tracing, or only root may read it"
            .to_owned()
    })
}

fn open(number: u64) -> io::Result<OwnedFd> {
    let mut attributes = perf_event_attr {
        type_: PERF_TYPE_TRACEPOINT,
        size: size_of::<perf_event_attr>() as u32,
        config: number,
        ..perf_event_attr::default()
    };
    // SAFETY: the kernel reads the structure, whose size is told in it and which lives until the
    // call returns.
    let fd = unsafe {
        perf_event_open(
            &mut attributes,
            0,
            -1,
            -1,
            libc::c_ulong::from(perf_event_open_sys::bindings::PERF_FLAG_FD_CLOEXEC),
        )
    };
    if fd < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the kernel has just made this descriptor, and nothing else knows of it.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

fn count(counter: &OwnedFd) -> Result<u64, String> {
    let mut bytes = [0; 8];
    match read(counter.as_fd(), &mut bytes) {
        Ok(8) => Ok(u64::from_ne_bytes(bytes)),
        Ok(_) => Err("the kernel gave less than a count".to_owned()),
        Err(error) => Err(format!("the count cannot be read: {error}")),
    }
}

#[cfg(test)]
mod tests {
    use nix::unistd::getppid;

    use super::*;

    #[test]
    fn as_many_calls_are_counted_as_were_made_or_it_says_why_none_are() {
        const CALLS: u64 = 10;
        match Crossings::begin() {
            Ok(counting) => {
                for _ in 0..CALLS {
                    getppid();
                }
                assert_eq!(counting.end(), Ok(CALLS));
            }
            Err(why) => assert!(
                why.contains("tracefs") || why.contains("CAP_PERFMON"),
                "{why}"
            ),
        }
    }
}
