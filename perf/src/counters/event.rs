//! What is counted.

use perf_event::events::{Cache, CacheOp, CacheResult, Hardware, Software, WhichCache};

use super::processor::Processor;
use super::raw;

/// Something that can be counted, or could be on another processor.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// How tables and rows call it, the same on every machine.
    pub name: &'static str,
    /// What it shows.
    pub shows: &'static str,
    /// Who counts it, and as what.
    pub kind: Kind,
}

/// Who counts an event, and as what.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kind {
    /// The processor, by a name that the kernel translates for it; in user space only.
    Processor(perf_event::events::Event),
    /// The processor, by the code in its manual; in user space only.
    Raw(Raw),
    /// The kernel, in user space and its own.
    Kernel(Software),
    /// Nobody here, and why: a clause that follows "because".
    Nobody(String),
}

/// An event by the code in its processor's manual.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Raw {
    /// What the manual calls it.
    pub name: &'static str,
    /// The event select.
    pub event: u8,
    /// The unit mask.
    pub mask: u8,
}

impl Raw {
    /// As the kernel wants it on Intel's and AMD's processors: the event in bits 0 to 7, the mask
    /// in bits 8 to 15. So it says itself in `/sys/bus/event_source/devices/cpu/format`.
    pub fn config(self) -> u64 {
        u64::from(self.event) | u64::from(self.mask) << 8
    }
}

impl Kind {
    /// Whether it is the processor that counts.
    pub fn is_of_processor(&self) -> bool {
        matches!(self, Kind::Processor(_) | Kind::Raw(_))
    }

    /// Whether a thread that ran cannot have had none of it.
    pub fn is_never_zero(&self) -> bool {
        let ever = [Hardware::CPU_CYCLES, Hardware::INSTRUCTIONS];
        ever.iter()
            .any(|event| *self == Kind::Processor((*event).into()))
    }

    /// Who counts it, in words, or why nobody does.
    ///
    /// # Errors
    /// Why nobody does.
    pub fn counted_by(&self) -> Result<String, String> {
        match self {
            Kind::Processor(_) => Ok("the processor".to_owned()),
            Kind::Raw(raw) => Ok(format!("the processor, by its code {:#06x}", raw.config())),
            Kind::Kernel(_) => Ok("the kernel".to_owned()),
            Kind::Nobody(why) => Err(why.clone()),
        }
    }
}

impl Event {
    /// Its name, with the manual's where it has one.
    pub fn label(&self) -> String {
        match &self.kind {
            Kind::Raw(raw) => format!("{} ({})", self.name, raw.name),
            _ => self.name.to_owned(),
        }
    }
}

/// What is counted on a processor, in groups, in the order in which it is shown.
///
/// Four events of the processor at most make a group: so many counters each hyperthread has on the
/// processors that we know codes of.
pub fn groups(processor: Option<&Processor>) -> Vec<Vec<Event>> {
    let codes = raw::codes(processor);
    let by_code = |name, shows, code: raw::Code| Event {
        name,
        shows: code.as_ref().map_or(shows, |(_, shows)| shows),
        kind: match code {
            Ok((raw, _)) => Kind::Raw(raw),
            Err(why) => Kind::Nobody(why),
        },
    };
    let of_processor = |name, shows, event: perf_event::events::Event| Event {
        name,
        shows,
        kind: Kind::Processor(event),
    };
    let of_kernel = |name, shows, event| Event {
        name,
        shows,
        kind: Kind::Kernel(event),
    };
    vec![
        vec![
            of_processor(
                "cycles",
                "the clock of the core",
                Hardware::CPU_CYCLES.into(),
            ),
            of_processor(
                "instructions",
                "instructions that retired",
                Hardware::INSTRUCTIONS.into(),
            ),
            of_processor(
                "L1d read misses",
                "loads that the first-level cache could not serve",
                read_misses(WhichCache::L1D),
            ),
            match codes.memory {
                Some((raw, shows)) => Event {
                    name: "last-level read misses",
                    shows,
                    kind: Kind::Raw(raw),
                },
                None => of_processor(
                    "last-level read misses",
                    "loads that no cache could serve",
                    read_misses(WhichCache::LL),
                ),
            },
        ],
        vec![
            by_code(
                "lines of another core",
                "lines that came from another core's cache",
                codes.near,
            ),
            by_code(
                "lines from farther away",
                "lines that came from another socket's or cluster's cache",
                codes.far,
            ),
            by_code(
                "memory-ordering clears",
                "times that the core threw its work away because a line was taken from under it",
                codes.clears,
            ),
        ],
        vec![
            of_kernel(
                "context switches",
                "times that the thread left its CPU",
                Software::CONTEXT_SWITCHES,
            ),
            of_kernel(
                "page faults",
                "accesses that the kernel had to help with",
                Software::PAGE_FAULTS,
            ),
            of_kernel(
                "migrations",
                "times that the thread changed its CPU",
                Software::CPU_MIGRATIONS,
            ),
        ],
    ]
}

fn read_misses(which: WhichCache) -> perf_event::events::Event {
    let misses = Cache {
        which,
        operation: CacheOp::READ,
        result: CacheResult::MISS,
    };
    misses.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_processor_has_the_same_events_by_name() {
        let xeon = Processor {
            vendor: "GenuineIntel".to_owned(),
            family: 6,
            model: 0x8f,
        };
        let names = |processor| -> Vec<_> {
            let groups = groups(processor);
            groups.iter().flatten().map(|event| event.name).collect()
        };
        assert_eq!(names(Some(&xeon)), names(None));
        assert_eq!(names(None).len(), 10);
    }

    #[test]
    fn a_code_is_put_where_the_kernel_looks_for_it() {
        let raw = Raw {
            name: "X.Y",
            event: 0xd2,
            mask: 0x04,
        };
        assert_eq!(raw.config(), 0x04d2);
    }

    #[test]
    fn cycles_are_never_zero_and_misses_may_be() {
        assert!(Kind::Processor(Hardware::CPU_CYCLES.into()).is_never_zero());
        assert!(!Kind::Processor(read_misses(WhichCache::L1D)).is_never_zero());
        assert!(!Kind::Kernel(Software::PAGE_FAULTS).is_never_zero());
    }
}
