//! Why a counter could not be opened, and what would allow it.

use std::fs;
use std::io;

use nix::errno::Errno;

use super::event::Kind;

/// What a refusal is read by, beside its error.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Surroundings {
    /// `perf_event_paranoid`, if it can be read.
    pub(super) paranoid: Option<i32>,
    /// Whether the processor counts anything at all: cycles, in user space.
    pub(super) processor_counts: bool,
}

/// `perf_event_paranoid`, as the kernel shows it.
pub(crate) fn paranoid() -> Option<i32> {
    let text = fs::read_to_string("/proc/sys/kernel/perf_event_paranoid").ok()?;
    text.trim().parse().ok()
}

/// Why an event could not be opened, and what would allow it: a clause that follows "because".
pub(super) fn explain(error: &io::Error, kind: &Kind, around: Surroundings) -> String {
    let errno = Errno::from_raw(error.raw_os_error().unwrap_or(0));
    let level = around.paranoid.map_or_else(
        || "perf_event_paranoid cannot be read".to_owned(),
        |level| format!("perf_event_paranoid = {level}"),
    );
    let why = match errno {
        Errno::ENOENT | Errno::EOPNOTSUPP if kind.is_of_processor() && around.processor_counts => {
            "the kernel knows no event of this processor by that name"
        }
        Errno::ENOENT | Errno::EOPNOTSUPP if kind.is_of_processor() => {
            "the kernel has no driver for this processor's performance counters, as in a virtual \
             machine to which its host passes none; a host that passes them (QEMU: -cpu \
             host,pmu=on), or bare metal, would allow it"
        }
        Errno::ENOENT | Errno::EOPNOTSUPP => "this kernel does not know the event",
        Errno::EACCES | Errno::EPERM => {
            "this process may not; CAP_PERFMON, or a lower perf_event_paranoid (2 allows a \
             program its own hardware counters, 1 also the kernel's events), would allow it; in a \
             container its seccomp profile must let perf_event_open through as well"
        }
        Errno::ENOSYS => {
            "there is no perf_event_open: the kernel was built without it, or a seccomp profile \
             hides it; one that lets it through would allow it"
        }
        Errno::EINVAL if kind.is_of_processor() => {
            "the processor cannot count it, or not together with the rest of its group: a \
             processor, or a virtual one, with more counters would allow it"
        }
        Errno::EMFILE | Errno::ENFILE => {
            "no file descriptor is left; a higher limit (ulimit -n) would allow it"
        }
        Errno::EBUSY | Errno::ENOSPC => {
            "another program has taken the processor's counters; when it ends they are free"
        }
        _ => "the kernel refused it",
    };
    // nix prints `ENOENT: No such file or directory`, whose second half misleads here.
    format!("{errno:?}: {why} ({level})")
}

#[cfg(test)]
mod tests {
    use perf_event::events::{Hardware, Software};

    use super::*;

    const CYCLES: Kind = Kind::Processor(perf_event::events::Event::Hardware(Hardware::CPU_CYCLES));
    const FAULTS: Kind = Kind::Kernel(Software::PAGE_FAULTS);

    fn why(errno: Errno, kind: &Kind, processor_counts: bool) -> String {
        let error = io::Error::from_raw_os_error(errno as i32);
        let around = Surroundings {
            paranoid: Some(2),
            processor_counts,
        };
        explain(&error, kind, around)
    }

    #[test]
    fn a_refusal_names_the_error_its_meaning_and_the_setting() {
        let no_pmu = why(Errno::ENOENT, &CYCLES, false);
        assert!(
            no_pmu.starts_with("ENOENT: the kernel has no driver"),
            "{no_pmu}"
        );
        assert!(no_pmu.ends_with("(perf_event_paranoid = 2)"), "{no_pmu}");
        assert!(why(Errno::ENOENT, &CYCLES, true).contains("by that name"));
        assert!(why(Errno::ENOENT, &FAULTS, false).contains("does not know"));
        let error = io::Error::other("strange");
        assert!(explain(&error, &CYCLES, Surroundings::default()).contains("cannot be read"));
    }

    #[test]
    fn a_refusal_that_something_could_lift_says_what() {
        for (errno, what) in [
            (Errno::ENOENT, "bare metal"),
            (Errno::EACCES, "CAP_PERFMON"),
            (Errno::EPERM, "seccomp"),
            (Errno::ENOSYS, "seccomp"),
            (Errno::EINVAL, "more counters"),
            (Errno::EMFILE, "ulimit"),
            (Errno::EBUSY, "when it ends"),
        ] {
            let said = why(errno, &CYCLES, false);
            assert!(said.contains(what), "{said}");
        }
    }
}
