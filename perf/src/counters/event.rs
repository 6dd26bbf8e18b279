//! What is counted, and as what: raw events mean something on the processor that documents them.

use std::fmt;
use std::fs;

use perf_event::events::{Cache, CacheOp, CacheResult, Hardware, Software, WhichCache};
use ringproof_record::machine::value;

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
    /// Nothing here, and why: a clause that follows "because".
    Nothing(String),
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

    /// Who counts it, in words, or why nothing does.
    pub fn counted_by(&self) -> Result<String, String> {
        match self {
            Kind::Processor(_) => Ok("the processor".to_owned()),
            Kind::Raw(raw) => Ok(format!("the processor, by its code {:#06x}", raw.config())),
            Kind::Kernel(_) => Ok("the kernel".to_owned()),
            Kind::Nothing(why) => Err(why.clone()),
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
    let codes = codes(processor);
    let event = |name, shows, kind| Event { name, shows, kind };
    let by_kernel = |name, shows, of| event(name, shows, Kind::Kernel(of));
    let by_code = |name, shows, code: Code| match code {
        Ok((raw, shows)) => event(name, shows, Kind::Raw(raw)),
        Err(why) => event(name, shows, Kind::Nothing(why)),
    };
    let of_core = |of: Hardware| Kind::Processor(of.into());
    let (by_memory, shows) = match codes.memory {
        Some((raw, shows)) => (Kind::Raw(raw), shows),
        None => (
            read_misses(WhichCache::LL),
            "loads that no cache could serve",
        ),
    };
    const L1: &str = "loads that the first-level cache could not serve";
    const NEAR: &str = "lines that came from another core's cache";
    const FAR: &str = "lines that came from another socket's or cluster's cache";
    const SWITCHES: &str = "times that the thread left its CPU";
    const FAULTS: &str = "accesses that the kernel had to help with";
    const MOVES: &str = "times that the thread changed its CPU";
    let clock = of_core(Hardware::CPU_CYCLES);
    let retired = of_core(Hardware::INSTRUCTIONS);
    vec![
        vec![
            event("cycles", "the clock of the core", clock),
            event("instructions", "instructions that retired", retired),
            event("L1d read misses", L1, read_misses(WhichCache::L1D)),
            event("last-level read misses", shows, by_memory),
        ],
        vec![
            by_code("lines of another core", NEAR, codes.near),
            by_code("lines from farther away", FAR, codes.far),
            by_code("memory-ordering clears", CLEARS, codes.clears),
        ],
        vec![
            by_kernel("context switches", SWITCHES, Software::CONTEXT_SWITCHES),
            by_kernel("page faults", FAULTS, Software::PAGE_FAULTS),
            by_kernel("migrations", MOVES, Software::CPU_MIGRATIONS),
        ],
    ]
}

fn read_misses(which: WhichCache) -> Kind {
    let misses = Cache {
        which,
        operation: CacheOp::READ,
        result: CacheResult::MISS,
    };
    Kind::Processor(misses.into())
}

/// A processor as `/proc/cpuinfo` names it on x86.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Processor {
    /// `GenuineIntel`, `AuthenticAMD`.
    pub vendor: String,
    /// The family, extended one included.
    pub family: u32,
    /// The model, extended one included.
    pub model: u32,
}

impl Processor {
    /// The one that this runs on; none if the kernel names it otherwise, as on Arm.
    pub fn this() -> Option<Self> {
        Processor::named_in(&fs::read_to_string("/proc/cpuinfo").ok()?)
    }

    /// The first one of a text in the form of `/proc/cpuinfo`.
    pub fn named_in(cpuinfo: &str) -> Option<Self> {
        let number = |key| value(cpuinfo, key, ':')?.parse().ok();
        Some(Processor {
            vendor: value(cpuinfo, "vendor_id", ':')?,
            family: number("cpu family")?,
            model: number("model")?,
        })
    }
}

impl fmt::Display for Processor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Processor {
            vendor,
            family,
            model,
        } = self;
        write!(f, "{vendor}, family {family}, model {model} ({model:#x})")
    }
}

/// A code and what it shows, or why there is none.
type Code = Result<(Raw, &'static str), String>;

/// The codes by which one processor counts what happens between its cores.
///
/// A code is here if two public tables give it for the same processor. They were read in:
///
/// - *Linux*: the event tables of perf, `tools/perf/pmu-events/arch/x86` of the kernel, with its
///   `mapfile.csv` for the models (6.1 and later);
/// - *perfmon*: Intel's own tables, `github.com/intel/perfmon`;
/// - *PCM*: the table of events in the tests of `github.com/intel/pcm`;
/// - *SDM*: Intel 64 and IA-32 Architectures Software Developer's Manual, volume 3B, chapter 19,
///   the tables of Skylake and Kaby Lake, in the editions that still have them;
/// - *NetBSD*: the events of `tprof` for Skylake;
/// - *libpfm4*: `lib/events` of perfmon2's library, which takes AMD's from the *Processor
///   Programming References* of the families;
/// - *LIKWID*: `src/includes/perfmon_*_events.txt`.
///
/// None of them was measured by us. The doctor hands a line to and fro and shows what they count.
#[derive(Debug, PartialEq, Eq)]
struct Codes {
    /// Lines from another core nearby.
    near: Code,
    /// Lines from another socket or cluster.
    far: Code,
    /// Work thrown away to keep the order of memory.
    clears: Code,
    /// Lines from memory, where the kernel's own name for misses of the last cache means nothing.
    memory: Option<(Raw, &'static str)>,
}

/// The codes of a processor.
fn codes(processor: Option<&Processor>) -> Codes {
    let Some(processor) = processor else {
        return none(
            "codes are looked up by vendor, family and model, and the kernel does not name this \
             processor by them",
        );
    };
    let Processor { family, model, .. } = *processor;
    let known = match processor.vendor.as_str() {
        "GenuineIntel" if family == 6 => intel(model),
        "AuthenticAMD" => amd(family, model),
        _ => None,
    };
    known.unwrap_or_else(|| {
        none(&format!(
            "no code is known for this processor ({processor}) that two public tables agree on"
        ))
    })
}

fn none(why: &str) -> Codes {
    Codes {
        near: Err(why.to_owned()),
        far: Err(why.to_owned()),
        clears: Err(why.to_owned()),
        memory: None,
    }
}

/// What memory-ordering clears show.
const CLEARS: &str =
    "times that the core threw its work away because a line was taken from under it";

/// Intel, family 6: cores from Skylake on. There are errata about these events on the older ones
/// (HSD29, BDM100), and hybrid ones have two kinds of cores with different codes.
fn intel(model: u32) -> Option<Codes> {
    /// Where there is no other socket that a line could come from.
    const ONE_SOCKET: &str = "desktop and mobile processors have one socket";
    const DISAGREE: &str =
        "two public tables that agree on a code for this processor were not found";
    let code = |name, event, mask, shows| Ok((Raw { name, event, mask }, shows));
    const NEAR: &str =
        "loads that another core of the socket answered, out of a line that it had modified";
    const FAR: &str = "loads that another socket answered, out of a line that it had modified";
    // Up to Ice Lake, and from there on: also a clean line that the other core forwarded.
    let hitm = || code("MEM_LOAD_L3_HIT_RETIRED.XSNP_HITM", 0xd2, 0x04, NEAR);
    let fwd = || code("MEM_LOAD_L3_HIT_RETIRED.XSNP_FWD", 0xd2, 0x04, NEAR);
    let far = || code("MEM_LOAD_L3_MISS_RETIRED.REMOTE_HITM", 0xd3, 0x04, FAR);
    let clears = || code("MACHINE_CLEARS.MEMORY_ORDERING", 0xc3, 0x02, CLEARS);
    let (near, far, clears) = match model {
        // Skylake, Kaby Lake, and Coffee Lake and Comet Lake, which Linux and perfmon call the same:
        // Linux, NetBSD; clears also SDM.
        0x4e | 0x5e | 0x8e | 0x9e | 0xa5 | 0xa6 => (hitm(), Err(ONE_SOCKET.to_owned()), clears()),
        // Skylake-SP, Cascade Lake, Cooper Lake: Linux, perfmon.
        0x55 => (hitm(), far(), clears()),
        // Ice Lake-SP and -D: Linux, PCM.
        0x6a | 0x6c => (fwd(), far(), clears()),
        // Sapphire Rapids, Emerald Rapids: Linux; perfmon for the latter. The clears have the code
        // that the SDM gives for the cores before: Linux for the former, perfmon for the latter.
        0x8f | 0xcf => (fwd(), far(), clears()),
        // Granite Rapids: Linux, perfmon. Its clears were found in one of them only.
        0xad | 0xae => (fwd(), far(), Err(DISAGREE.to_owned())),
        _ => return None,
    };
    Some(Codes {
        near,
        far,
        clears,
        memory: None,
    })
}

/// AMD, families 17h, 19h and 1Ah: demand fills of the data cache (PMCx043) by where they came
/// from. They count stores, too, and do not distinguish a modified line from a clean one.
fn amd(family: u32, model: u32) -> Option<Codes> {
    const NEAR: &str =
        "lines for loads and stores that came from the L3 or another core of the cluster (CCX)";
    const FAR: &str = "lines for loads and stores that came from the caches of another cluster";
    const MEMORY: &str = "lines for loads and stores that came from memory or devices";
    const ON_DIE: &str =
        "lines for loads and stores that came from the L3 or another core of the die";
    const OFF_DIE: &str = "lines for loads and stores that came from the caches of another die";
    let fills = match (family, model) {
        // Zen 2: Linux, libpfm4. Its clusters on the same die count as near.
        (0x17, 0x30..) => [
            ("ls_refills_from_sys.ls_mabresp_lcl_cache", 0x02, ON_DIE),
            ("ls_refills_from_sys.ls_mabresp_rmt_cache", 0x10, OFF_DIE),
            (
                "ls_refills_from_sys.ls_mabresp_lcl_dram + rmt_dram",
                0x48,
                MEMORY,
            ),
        ],
        // Zen 3: Linux, libpfm4.
        (0x19, 0x00..=0x0f | 0x20..=0x2f | 0x40..=0x5f) => [
            ("ls_dmnd_fills_from_sys.int_cache", 0x02, NEAR),
            (
                "ls_dmnd_fills_from_sys.ext_cache_local + ext_cache_remote",
                0x14,
                FAR,
            ),
            (
                "ls_dmnd_fills_from_sys.mem_io_local + mem_io_remote",
                0x48,
                MEMORY,
            ),
        ],
        // Zen 4: Linux, libpfm4. Zen 5: Linux, LIKWID.
        (0x19, 0x10..=0x1f | 0x60..=0x7f | 0xa0..=0xaf)
        | (0x1a, 0x00..=0x2f | 0x40..=0x4f | 0x60..=0x7f) => [
            ("ls_dmnd_fills_from_sys.local_ccx", 0x02, NEAR),
            ("ls_dmnd_fills_from_sys.near_cache + far_cache", 0x14, FAR),
            (
                "ls_dmnd_fills_from_sys.dram_io_near + dram_io_far",
                0x48,
                MEMORY,
            ),
        ],
        _ => return None,
    };
    let event = 0x43;
    let [near, far, memory] = fills.map(|(name, mask, shows)| (Raw { name, event, mask }, shows));
    Some(Codes {
        near: Ok(near),
        far: Ok(far),
        clears: Err("AMD documents no event of its own for it".to_owned()),
        memory: Some(memory),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_processor_has_the_same_events_by_name() {
        let xeon = processor("GenuineIntel", 6, 0x8f);
        let names = |processor| -> Vec<_> {
            let groups = groups(processor);
            groups.iter().flatten().map(|event| event.name).collect()
        };
        assert_eq!(names(xeon.as_ref()), names(None));
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
        assert!(!read_misses(WhichCache::L1D).is_never_zero());
        assert!(!Kind::Kernel(Software::PAGE_FAULTS).is_never_zero());
    }

    #[test]
    fn the_first_processor_is_read_as_the_kernel_writes_it() {
        let cpuinfo = "processor\t: 0\nvendor_id\t: GenuineIntel\ncpu family\t: 6\n\
                       model\t\t: 143\nmodel name\t: Some Xeon\n\nprocessor\t: 1\nmodel\t\t: 9\n";
        let processor = Processor::named_in(cpuinfo).unwrap();
        assert_eq!(
            processor.to_string(),
            "GenuineIntel, family 6, model 143 (0x8f)"
        );
    }

    #[test]
    fn a_processor_of_another_kind_has_no_such_name() {
        let arm = "processor\t: 0\nCPU implementer\t: 0x41\nCPU part\t: 0xd4f\n";
        assert_eq!(Processor::named_in(arm), None);
        assert_eq!(Processor::named_in(""), None);
    }

    fn processor(vendor: &str, family: u32, model: u32) -> Option<Processor> {
        let cpuinfo =
            format!("vendor_id\t: {vendor}\ncpu family\t: {family}\nmodel\t\t: {model}\n");
        Processor::named_in(&cpuinfo)
    }

    #[test]
    fn a_processor_has_the_codes_of_its_tables_or_says_why_not() {
        let far = [Ok(0x04d2), Ok(0x04d3), Ok(0x02c3)];
        let intel = |model, codes| ("GenuineIntel", 6, model, codes, None);
        let amd = |family, model, far| {
            let codes = [Ok(0x0243), Ok(far), Err("AMD documents no event")];
            ("AuthenticAMD", family, model, codes, Some(0x4843))
        };
        // Sapphire Rapids; a desktop, which has no other socket; one of which a table alone gives a code.
        // Then a Milan, a Genoa, a Turin, and a Rome, whose clusters on other dies are the far ones.
        let cases = [
            intel(143, far),
            intel(0x9e, [far[0], Err("one socket"), far[2]]),
            intel(0xad, [far[0], far[1], Err("two public tables")]),
            amd(25, 1, 0x1443),
            amd(25, 17, 0x1443),
            amd(26, 2, 0x1443),
            amd(23, 49, 0x1043),
        ];
        for (vendor, family, model, expected, memory) in cases {
            let codes = codes(processor(vendor, family, model).as_ref());
            let found = [codes.near, codes.far, codes.clears];
            for (found, expected) in found.into_iter().zip(expected) {
                match (found, expected) {
                    (Ok((raw, _)), Ok(config)) => assert_eq!(raw.config(), config, "{raw:?}"),
                    (Err(why), Err(said)) => assert!(why.contains(said), "{why}"),
                    other => panic!("{vendor} {family}/{model}: {other:?}"),
                }
            }
            assert_eq!(codes.memory.map(|(raw, _)| raw.config()), memory);
        }
    }

    #[test]
    fn an_unknown_processor_has_a_reason_that_names_it() {
        // The first Zen, a hybrid, an old Intel, another vendor, and one that has no name.
        for (vendor, family, model) in [
            ("AuthenticAMD", 23, 1),
            ("AuthenticAMD", 26, 0x50),
            ("GenuineIntel", 6, 0x97),
            ("GenuineIntel", 6, 0x3f),
            ("GenuineIntel", 15, 0x55),
            ("CentaurHauls", 7, 0x3b),
        ] {
            let codes = codes(processor(vendor, family, model).as_ref());
            for code in [&codes.near, &codes.far, &codes.clears] {
                let why = code.as_ref().unwrap_err();
                assert!(why.contains(vendor), "{why}");
            }
            assert_eq!(codes.memory, None);
        }
        assert!(codes(None).near.unwrap_err().contains("does not name"));
    }
}
