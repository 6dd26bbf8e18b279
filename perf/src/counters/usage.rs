//! What the kernel says to every thread of itself, without asking for a permission; and system calls, counted
//! where it allows that: at the tracepoint at which all of them enter.

use std::fs;

use nix::sys::resource::{UsageWho, getrusage};
use perf_event::{Builder, Counter};
use perf_event_open_sys::bindings::PERF_TYPE_TRACEPOINT;

/// How often something happened to the calling thread so far.
#[derive(Clone, Copy, Debug, Default)]
pub struct Usage {
    /// Another one took its CPU.
    pub preemptions: u64,
    /// It gave its CPU away, to sleep.
    pub sleeps: u64,
    /// The kernel had to help with an access, without input or output.
    pub page_faults: u64,
    /// The same, with input or output.
    pub major_faults: u64,
}

impl Usage {
    /// Until now.
    pub fn so_far() -> Self {
        let number = |count: i64| u64::try_from(count).unwrap_or(0);
        // The call fails for no argument that it is given here. If it does all the same nothing is
        // known to have happened, as on a kernel that does not count.
        getrusage(UsageWho::RUSAGE_THREAD).map_or_else(
            |_| Usage::default(),
            |usage| Usage {
                preemptions: number(usage.involuntary_context_switches()),
                sleeps: number(usage.voluntary_context_switches()),
                page_faults: number(usage.minor_page_faults()),
                major_faults: number(usage.major_page_faults()),
            },
        )
    }

    /// Does something, and says how often the calling thread was preempted meanwhile.
    ///
    /// # Errors
    /// Those of `work`.
    pub fn during<T, E>(work: impl FnOnce() -> Result<T, E>) -> Result<(T, u64), E> {
        let before = Usage::so_far();
        let done = work()?;
        Ok((done, before.since().preemptions))
    }

    /// From this look until now.
    pub fn since(self) -> Usage {
        let now = Usage::so_far();
        Usage {
            preemptions: now.preemptions.saturating_sub(self.preemptions),
            sleeps: now.sleeps.saturating_sub(self.sleeps),
            page_faults: now.page_faults.saturating_sub(self.page_faults),
            major_faults: now.major_faults.saturating_sub(self.major_faults),
        }
    }
}

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
