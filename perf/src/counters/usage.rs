//! What the kernel tells every thread of itself, without asking for a permission: where it does not
//! let a thread count its own switches and faults, they are here all the same.

use nix::sys::resource::{Usage, UsageWho, getrusage};
use perf_event::events::Software;

use super::reading::Count;

/// One figure of a thread's usage, counted between start and stop.
pub(super) struct Tallied {
    figure: fn(&Usage) -> i64,
    total: u64,
    started: Option<u64>,
}

impl Tallied {
    /// The figure that is the same as this event. None if there is no such figure.
    pub(super) fn like(event: Software) -> Option<Self> {
        let figure: fn(&Usage) -> i64 = match event {
            Software::CONTEXT_SWITCHES => {
                |usage| usage.voluntary_context_switches() + usage.involuntary_context_switches()
            }
            Software::PAGE_FAULTS => |usage| usage.minor_page_faults() + usage.major_page_faults(),
            _ => return None,
        };
        Some(Tallied {
            figure,
            total: 0,
            started: None,
        })
    }

    pub(super) fn start(&mut self) -> Result<(), String> {
        self.started = Some(self.now()?);
        Ok(())
    }

    pub(super) fn stop(&mut self) -> Result<(), String> {
        if let Some(started) = self.started.take() {
            self.total += self.now()?.saturating_sub(started);
        }
        Ok(())
    }

    /// It is never scaled.
    pub(super) fn read(&self) -> Count {
        Count {
            value: self.total,
            ..Count::default()
        }
    }

    fn now(&self) -> Result<u64, String> {
        let usage = getrusage(UsageWho::RUSAGE_THREAD)
            .map_err(|error| format!("getrusage failed: {error}"))?;
        Ok(u64::try_from((self.figure)(&usage)).unwrap_or(0))
    }
}

#[cfg(test)]
mod tests {
    use std::thread;
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_thread_that_sleeps_is_switched() {
        let mut switches = Tallied::like(Software::CONTEXT_SWITCHES).unwrap();
        thread::sleep(Duration::from_millis(1));
        assert_eq!(switches.read().value, 0);
        switches.start().unwrap();
        thread::sleep(Duration::from_millis(1));
        switches.stop().unwrap();
        let counted = switches.read().value;
        assert!(counted >= 1);
        thread::sleep(Duration::from_millis(1));
        switches.stop().unwrap();
        assert_eq!(switches.read().value, counted);
    }

    #[test]
    fn what_the_kernel_does_not_tell_is_not_made_up() {
        assert!(Tallied::like(Software::CPU_MIGRATIONS).is_none());
    }
}
