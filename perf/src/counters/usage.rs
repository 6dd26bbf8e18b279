//! What the kernel says to every thread of itself, without asking for a permission.

use nix::sys::resource::{UsageWho, getrusage};

/// How often something happened to the calling thread so far.
#[derive(Clone, Copy, Debug, Default)]
pub struct Usage {
    /// Another one took its CPU.
    pub preemptions: u64,
    /// It gave its CPU away, to sleep.
    pub sleeps: u64,
    /// The kernel had to help with an access, without input or output.
    pub page_faults: u64,
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
        }
    }
}
