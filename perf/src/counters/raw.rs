//! The codes by which processors count what happens between their cores.
//!
//! A code is here if two public tables give it for the same processor. They were read in:
//!
//! - *Linux*: the event tables of perf, `tools/perf/pmu-events/arch/x86` of the kernel, with its
//!   `mapfile.csv` for the models (6.1 and later);
//! - *perfmon*: Intel's own tables, `github.com/intel/perfmon`;
//! - *PCM*: the table of events in the tests of `github.com/intel/pcm`;
//! - *SDM*: Intel 64 and IA-32 Architectures Software Developer's Manual, volume 3B, chapter 19,
//!   the tables of Skylake and Kaby Lake, in the editions that still have them;
//! - *NetBSD*: the events of `tprof` for Skylake;
//! - *libpfm4*: `lib/events` of perfmon2's library, which takes AMD's from the *Processor
//!   Programming References* of the families;
//! - *LIKWID*: `src/includes/perfmon_*_events.txt`.
//!
//! None of them was measured by us. The doctor hands a line to and fro and shows what they count.

use super::event::Raw;
use super::processor::Processor;

/// A code and what it shows, or why there is none.
pub(super) type Code = Result<(Raw, &'static str), String>;

/// What is known of one processor.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Codes {
    /// Lines from another core nearby.
    pub(super) near: Code,
    /// Lines from another socket or cluster.
    pub(super) far: Code,
    /// Work thrown away to keep the order of memory.
    pub(super) clears: Code,
    /// Lines from memory, where the kernel's own name for misses of the last cache means nothing.
    pub(super) memory: Option<(Raw, &'static str)>,
}

/// The codes of a processor.
pub(super) fn codes(processor: Option<&Processor>) -> Codes {
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

/// Intel, family 6: cores from Skylake on. There are errata about these events on the older ones
/// (HSD29, BDM100), and hybrid ones have two kinds of cores with different codes.
fn intel(model: u32) -> Option<Codes> {
    /// What the event was called up to Ice Lake, and from there on: also a clean line that the
    /// other core forwarded.
    const HITM: &str = "MEM_LOAD_L3_HIT_RETIRED.XSNP_HITM";
    const FWD: &str = "MEM_LOAD_L3_HIT_RETIRED.XSNP_FWD";
    let code = |name, event, mask, shows| Ok((Raw { name, event, mask }, shows));
    let near = |name| {
        code(
            name,
            0xd2,
            0x04,
            "loads that another core of the socket answered, out of a line that it had modified",
        )
    };
    let far = || {
        code(
            "MEM_LOAD_L3_MISS_RETIRED.REMOTE_HITM",
            0xd3,
            0x04,
            "loads that another socket answered, out of a line that it had modified",
        )
    };
    let clears = || {
        code(
            "MACHINE_CLEARS.MEMORY_ORDERING",
            0xc3,
            0x02,
            "times that the core threw its work away because a line was taken from under it",
        )
    };
    let (near, far, clears) = match model {
        // Skylake, Kaby Lake, and Coffee Lake and Comet Lake, which Linux and perfmon call the same:
        // Linux, NetBSD; clears also SDM.
        0x4e | 0x5e | 0x8e | 0x9e | 0xa5 | 0xa6 => (
            near(HITM),
            Err("desktop and mobile processors have one socket".to_owned()),
            clears(),
        ),
        // Skylake-SP, Cascade Lake, Cooper Lake: Linux, perfmon.
        0x55 => (near(HITM), far(), clears()),
        // Ice Lake-SP and -D: Linux, PCM.
        0x6a | 0x6c => (near(FWD), far(), clears()),
        // Sapphire Rapids, Emerald Rapids: Linux; perfmon for the latter. The clears have the code
        // that the SDM gives for the cores before: Linux for the former, perfmon for the latter.
        0x8f | 0xcf => (near(FWD), far(), clears()),
        // Granite Rapids: Linux, perfmon. Its clears were found in one of them only.
        0xad | 0xae => (
            near(FWD),
            far(),
            Err(
                "two public tables that agree on a code for this processor were not found"
                    .to_owned(),
            ),
        ),
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
/// from. They count stores, too, and do not tell a modified line from a clean one.
fn amd(family: u32, model: u32) -> Option<Codes> {
    let fill = |name, mask, shows| {
        let event = 0x43;
        (Raw { name, event, mask }, shows)
    };
    const NEAR: &str =
        "lines for loads and stores that came from the L3 or another core of the cluster (CCX)";
    const FAR: &str = "lines for loads and stores that came from the caches of another cluster";
    const MEMORY: &str = "lines for loads and stores that came from memory or devices";
    let (near, far, memory) = match (family, model) {
        // Zen 2: Linux, libpfm4. Its clusters on the same die count as near.
        (0x17, 0x30..) => (
            fill(
                "ls_refills_from_sys.ls_mabresp_lcl_cache",
                0x02,
                "lines for loads and stores that came from the L3 or another core of the die",
            ),
            fill(
                "ls_refills_from_sys.ls_mabresp_rmt_cache",
                0x10,
                "lines for loads and stores that came from the caches of another die",
            ),
            fill(
                "ls_refills_from_sys.ls_mabresp_lcl_dram + rmt_dram",
                0x48,
                MEMORY,
            ),
        ),
        // Zen 3: Linux, libpfm4.
        (0x19, 0x00..=0x0f | 0x20..=0x2f | 0x40..=0x5f) => (
            fill("ls_dmnd_fills_from_sys.int_cache", 0x02, NEAR),
            fill(
                "ls_dmnd_fills_from_sys.ext_cache_local + ext_cache_remote",
                0x14,
                FAR,
            ),
            fill(
                "ls_dmnd_fills_from_sys.mem_io_local + mem_io_remote",
                0x48,
                MEMORY,
            ),
        ),
        // Zen 4: Linux, libpfm4. Zen 5: Linux, LIKWID.
        (0x19, 0x10..=0x1f | 0x60..=0x7f | 0xa0..=0xaf)
        | (0x1a, 0x00..=0x2f | 0x40..=0x4f | 0x60..=0x7f) => (
            fill("ls_dmnd_fills_from_sys.local_ccx", 0x02, NEAR),
            fill("ls_dmnd_fills_from_sys.near_cache + far_cache", 0x14, FAR),
            fill(
                "ls_dmnd_fills_from_sys.dram_io_near + dram_io_far",
                0x48,
                MEMORY,
            ),
        ),
        _ => return None,
    };
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

    fn of(vendor: &str, family: u32, model: u32) -> Codes {
        let cpuinfo =
            format!("vendor_id\t: {vendor}\ncpu family\t: {family}\nmodel\t\t: {model}\n");
        codes(Processor::named_in(&cpuinfo).as_ref())
    }

    /// The config of a code that there must be.
    fn config(code: &Code) -> u64 {
        code.as_ref().expect("a code").0.config()
    }

    #[test]
    fn a_sapphire_rapids_has_all_three_and_misses_by_the_kernels_name() {
        let codes = of("GenuineIntel", 6, 143);
        assert_eq!(config(&codes.near), 0x04d2);
        assert_eq!(config(&codes.far), 0x04d3);
        assert_eq!(config(&codes.clears), 0x02c3);
        assert_eq!(codes.memory, None);
    }

    #[test]
    fn a_desktop_processor_has_no_other_socket() {
        let codes = of("GenuineIntel", 6, 0x9e);
        assert!(codes.near.is_ok() && codes.clears.is_ok());
        assert!(codes.far.unwrap_err().contains("one socket"));
    }

    #[test]
    fn what_one_table_gives_alone_is_not_used() {
        let codes = of("GenuineIntel", 6, 0xad);
        assert!(codes.near.is_ok() && codes.far.is_ok());
        assert!(codes.clears.unwrap_err().contains("two public tables"));
    }

    #[test]
    fn zen_has_fills_by_source_and_no_clears() {
        // A Milan, a Genoa, a Turin.
        for (family, model) in [(25, 1), (25, 17), (26, 2)] {
            let codes = of("AuthenticAMD", family, model);
            assert_eq!(config(&codes.near), 0x0243, "{family}/{model}");
            assert_eq!(config(&codes.far), 0x1443, "{family}/{model}");
            assert_eq!(codes.memory.unwrap().0.config(), 0x4843);
            assert!(codes.clears.unwrap_err().contains("AMD documents no event"));
        }
        // A Rome, whose clusters on other dies are the far ones.
        assert_eq!(config(&of("AuthenticAMD", 23, 49).far), 0x1043);
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
            let codes = of(vendor, family, model);
            for code in [&codes.near, &codes.far, &codes.clears] {
                let why = code.as_ref().unwrap_err();
                assert!(why.contains(vendor), "{why}");
            }
            assert_eq!(codes.memory, None);
        }
        assert!(codes(None).near.unwrap_err().contains("does not name"));
    }
}
