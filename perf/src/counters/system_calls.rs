//! System calls, counted by the kernel where it lets us: the tracepoint at which all of them enter.

use std::fs;

use perf_event::{Builder, Counter};
use perf_event_open_sys::bindings::PERF_TYPE_TRACEPOINT;

/// Where the kernel says the tracepoint's number.
const NUMBER: [&str; 2] = [
    "/sys/kernel/tracing/events/raw_syscalls/sys_enter/id",
    "/sys/kernel/debug/tracing/events/raw_syscalls/sys_enter/id",
];

/// Counts the system calls of the calling thread.
pub(crate) struct SystemCalls {
    counter: Counter,
    before: u64,
}

impl SystemCalls {
    /// Begins to count.
    pub(crate) fn begin() -> Result<Self, String> {
        let mut builder = Builder::new();
        builder.attrs_mut().type_ = PERF_TYPE_TRACEPOINT;
        builder.attrs_mut().config = number()?;
        builder.include_kernel().include_hv().enabled(true);
        let mut counter = builder.build().map_err(|error| {
            format!(
                "the kernel does not count system calls for this process: {error}; CAP_PERFMON or \
                 perf_event_paranoid = -1 would allow it, in a container its seccomp profile must \
                 let perf_event_open through as well"
            )
        })?;
        let before = count(&mut counter)?;
        Ok(SystemCalls { counter, before })
    }

    /// What was counted.
    pub(crate) fn end(mut self) -> Result<u64, String> {
        // The call that reads the counter now is one of those that it counts.
        Ok(count(&mut self.counter)?.saturating_sub(self.before + 1))
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

fn count(counter: &mut Counter) -> Result<u64, String> {
    let count = counter.read();
    count.map_err(|error| format!("the count cannot be read: {error}"))
}

#[cfg(test)]
mod tests {
    use nix::unistd::getppid;

    use super::*;

    #[test]
    fn as_many_calls_are_counted_as_were_made_or_it_says_why_none_are() {
        const CALLS: u64 = 10;
        match SystemCalls::begin() {
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
