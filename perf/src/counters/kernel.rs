//! The kernel counts, through `perf_event_open`; and what it says to every thread of itself, without
//! asking for a permission: where it does not let a thread count its own switches and faults, they are
//! here all the same. What cannot be counted says why, and what would allow it.

use std::fs;
use std::io;

use nix::errno::Errno;
use perf_event::events::{Hardware, Software};
use perf_event::{Builder, Counter};
use perf_event_open_sys::bindings::PERF_TYPE_RAW;

use super::event::{Event, Kind, Processor, groups};
use super::reading::Count;
use super::usage::Usage;
use super::{Group, Provider};

/// The kernel of this machine, and what it knows of the processor.
#[derive(Clone, Copy, Debug)]
pub struct Kernel;

impl Provider for Kernel {
    fn label(&self) -> Option<&'static str> {
        None
    }

    fn groups(&self) -> Vec<Vec<Event>> {
        groups(Processor::this().as_ref())
    }

    fn open(&self, events: &[Event]) -> Box<dyn Group> {
        Box::new(Opened::open(events))
    }
}

/// A group of the kernel's. Each counter is read by itself: those of a group run at the same times,
/// so that their scales are the same.
struct Opened {
    /// What switches all of its counters at once; none if even that was refused.
    switch: Option<perf_event::Group>,
    members: Vec<Result<Member, String>>,
}

/// What counts one event.
enum Member {
    Counter(Counter),
    Usage(Tallied),
}

impl Opened {
    fn open(events: &[Event]) -> Self {
        let mut switch = perf_event::Group::new();
        let members = events.iter().map(|event| member(&event.kind, &mut switch));
        Opened {
            members: members.collect(),
            switch: switch.ok(),
        }
    }

    fn usages(&mut self) -> impl Iterator<Item = &mut Tallied> {
        self.members.iter_mut().filter_map(|member| match member {
            Ok(Member::Usage(usage)) => Some(usage),
            _ => None,
        })
    }
}

/// Opens what counts an event, as a member of a group, or says why it cannot be counted.
fn member(kind: &Kind, group: &mut io::Result<perf_event::Group>) -> Result<Member, String> {
    let builder = match kind {
        Kind::Processor(event) => Builder::new().kind(event.clone()),
        Kind::Raw(raw) => {
            let mut builder = Builder::new();
            builder.attrs_mut().type_ = PERF_TYPE_RAW;
            builder.attrs_mut().config = raw.config();
            builder
        }
        Kind::Kernel(event) => {
            let mut builder = Builder::new().kind(*event);
            // A context switch happens in the kernel: without it the counter stays at zero.
            builder.include_kernel();
            builder
        }
        Kind::Nothing(why) => return Err(why.clone()),
    };
    match group {
        Ok(group) => match builder.group(group).build() {
            Ok(counter) => Ok(Member::Counter(counter)),
            Err(error) => instead(kind, &error),
        },
        Err(error) => instead(kind, error),
    }
}

/// What counts an event for which there is no counter, or why nothing does.
fn instead(kind: &Kind, error: &io::Error) -> Result<Member, String> {
    if let Kind::Kernel(event) = kind
        && let Some(usage) = Tallied::like(*event)
    {
        return Ok(Member::Usage(usage));
    }
    let cycles = || Builder::new().kind(Hardware::CPU_CYCLES).build();
    let around = Surroundings {
        paranoid: paranoid(),
        processor_counts: kind.is_of_processor() && cycles().is_ok(),
    };
    Err(explain(error, kind, around))
}

impl Group for Opened {
    fn start(&mut self) -> Result<(), String> {
        self.usages()
            .for_each(|usage| usage.started = Some(Usage::so_far()));
        (self.switch.as_mut())
            .map_or(Ok(()), perf_event::Group::enable)
            .map_err(unswitched)
    }

    fn stop(&mut self) -> Result<(), String> {
        (self.switch.as_mut())
            .map_or(Ok(()), perf_event::Group::disable)
            .map_err(unswitched)?;
        self.usages().for_each(Tallied::stop);
        Ok(())
    }

    fn read(&mut self) -> Vec<Result<Count, String>> {
        let read = |member: &mut Result<Member, String>| match member {
            Ok(Member::Counter(counter)) => counter
                .read_count_and_time()
                .map(|read| Count {
                    value: read.count,
                    enabled: read.time_enabled,
                    running: read.time_running,
                })
                .map_err(|error| format!("it could not be read: {error}")),
            // It is never scaled.
            Ok(Member::Usage(usage)) => Ok(Count {
                value: usage.total,
                ..Count::default()
            }),
            Err(why) => Err(why.clone()),
        };
        self.members.iter_mut().map(read).collect()
    }
}

fn unswitched(error: io::Error) -> String {
    format!("it could not be switched: {error}")
}

/// One figure of a thread's usage, counted between start and stop.
struct Tallied {
    figure: fn(&Usage) -> u64,
    total: u64,
    started: Option<Usage>,
}

impl Tallied {
    /// The figure that is the same as this event. None if there is no such figure.
    fn like(event: Software) -> Option<Self> {
        let figure: fn(&Usage) -> u64 = match event {
            Software::CONTEXT_SWITCHES => |usage| usage.sleeps + usage.preemptions,
            Software::PAGE_FAULTS => |usage| usage.page_faults + usage.major_faults,
            _ => return None,
        };
        Some(Tallied {
            figure,
            total: 0,
            started: None,
        })
    }

    fn stop(&mut self) {
        if let Some(started) = self.started.take() {
            self.total += (self.figure)(&started.since());
        }
    }
}

/// What a refusal is read by, beside its error.
#[derive(Clone, Copy, Debug, Default)]
struct Surroundings {
    /// `perf_event_paranoid`, if it can be read.
    paranoid: Option<i32>,
    /// Whether the processor counts anything at all: cycles, in user space.
    processor_counts: bool,
}

/// `perf_event_paranoid`, as the kernel shows it.
pub(crate) fn paranoid() -> Option<i32> {
    let text = fs::read_to_string("/proc/sys/kernel/perf_event_paranoid").ok()?;
    text.trim().parse().ok()
}

/// Why an event could not be opened, and what would allow it: a clause that follows "because".
fn explain(error: &io::Error, kind: &Kind, around: Surroundings) -> String {
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
    use std::cell::RefCell;
    use std::ffi::{c_int, c_uint, c_ulong};
    use std::fs::File;
    use std::os::fd::IntoRawFd;
    use std::rc::Rc;
    use std::thread;
    use std::time::Duration;

    use perf_event::hooks::{Hooks, clear_thread_hooks, set_thread_hooks};
    use perf_event_open_sys::bindings::{PERF_COUNT_SW_DUMMY, PERF_TYPE_SOFTWARE, perf_event_attr};

    use super::*;
    use crate::counters::Raw;

    /// Type and config of what a kernel was asked for, and whether its own part was left out.
    type Asked = Vec<(u32, u64, bool)>;

    /// A kernel that opens the leaders of groups and refuses everything else.
    struct Refusing {
        errno: Errno,
        asked: Rc<RefCell<Asked>>,
    }

    impl Hooks for Refusing {
        unsafe fn perf_event_open(
            &mut self,
            attrs: *mut perf_event_attr,
            _pid: c_int,
            _cpu: c_int,
            _group: c_int,
            _flags: c_ulong,
        ) -> c_int {
            // SAFETY: perf-event passes a pointer to its own structure, which outlives the call.
            let attrs = unsafe { &*attrs };
            let asked = (attrs.type_, attrs.config, attrs.exclude_kernel() != 0);
            if asked.0 == PERF_TYPE_SOFTWARE && asked.1 == u64::from(PERF_COUNT_SW_DUMMY) {
                return File::open("/dev/null").map_or(-1, IntoRawFd::into_raw_fd);
            }
            self.asked.borrow_mut().push(asked);
            self.errno.set();
            -1
        }

        unsafe fn ID(&mut self, _: c_int, _: *mut u64) -> c_int {
            0
        }

        unsafe fn ENABLE(&mut self, _: c_int, _: c_uint) -> c_int {
            0
        }

        unsafe fn DISABLE(&mut self, _: c_int, _: c_uint) -> c_int {
            0
        }
    }

    /// What a kernel that refuses with `errno` is asked for when `kinds` are opened, and what is
    /// counted all the same.
    fn refused(errno: Errno, kinds: [Kind; 2]) -> (Asked, Vec<Result<Count, String>>) {
        let events = kinds.map(|kind| Event {
            name: "",
            shows: "",
            kind,
        });
        let asked = Rc::default();
        let hooks = Refusing {
            errno,
            asked: Rc::clone(&asked),
        };
        // SAFETY: the hooks return no descriptor that they did not open, and write through no
        // pointer.
        unsafe { set_thread_hooks(Box::new(hooks)) };
        let mut group = Kernel.open(&events);
        let switched = group.start().and_then(|()| group.stop());
        let counts = group.read();
        // SAFETY: what is open was opened by the hooks, is a descriptor like any other, and is only
        // closed from here on.
        unsafe { clear_thread_hooks() };
        assert_eq!(switched, Ok(()));
        (asked.take(), counts)
    }

    #[test]
    fn a_code_is_asked_for_as_it_stands_in_the_table_and_in_user_space_only() {
        let raw = Raw {
            name: "MACHINE_CLEARS.MEMORY_ORDERING",
            event: 0xc3,
            mask: 0x02,
        };
        let none = Kind::Nothing("of a reason".to_owned());
        let (asked, counts) = refused(Errno::ENOENT, [Kind::Raw(raw), none]);
        // The second question is whether the processor counts at all.
        assert_eq!(asked, [(PERF_TYPE_RAW, 0x02c3, true), (0, 0, true)]);
        assert!(counts[0].as_ref().unwrap_err().starts_with("ENOENT: "));
        assert_eq!(counts[1], Err("of a reason".to_owned()));
    }

    #[test]
    fn switches_are_counted_where_the_kernel_lets_no_process_count_its_events() {
        let kinds = [Software::CONTEXT_SWITCHES, Software::CPU_MIGRATIONS].map(Kind::Kernel);
        for errno in [Errno::EACCES, Errno::EPERM, Errno::ENOSYS] {
            let (asked, counts) = refused(errno, kinds.clone());
            assert!(asked.iter().all(|(_, _, user_only)| !user_only));
            assert!(counts[0].is_ok(), "{counts:?}");
            assert!(counts[1].as_ref().unwrap_err().contains("would allow it"));
        }
    }

    #[test]
    fn a_thread_that_sleeps_is_switched() {
        let mut switches = Tallied::like(Software::CONTEXT_SWITCHES).unwrap();
        thread::sleep(Duration::from_millis(1));
        assert_eq!(switches.total, 0);
        switches.started = Some(Usage::so_far());
        thread::sleep(Duration::from_millis(1));
        switches.stop();
        let counted = switches.total;
        assert!(counted >= 1);
        thread::sleep(Duration::from_millis(1));
        switches.stop();
        assert_eq!(switches.total, counted);
    }

    #[test]
    fn what_the_kernel_does_not_say_is_not_made_up() {
        assert!(Tallied::like(Software::CPU_MIGRATIONS).is_none());
    }

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
        let (start, end) = (
            "ENOENT: the kernel has no driver",
            "(perf_event_paranoid = 2)",
        );
        assert!(
            no_pmu.starts_with(start) && no_pmu.ends_with(end),
            "{no_pmu}"
        );
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
