//! What there is to run: the table of layers.

use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::shard::Shard;

/// The arguments of one `cargo build`, without the word `build`.
pub type Build = &'static [&'static str];

/// Where a layer's program is found.
#[derive(Clone, Copy, Debug)]
pub enum Program {
    /// A binary below the target directory, for example `debug/ringproof-models`.
    Built(&'static str),
    /// A script below the workspace's root.
    Script(&'static str),
}

impl Program {
    /// The path to start.
    pub fn path(self, root: &Path, target: &Path) -> PathBuf {
        match self {
            Program::Built(below) => target.join(below),
            Program::Script(below) => root.join(below),
        }
    }
}

/// Which cells of its column a layer must fill.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Duty {
    /// None: it judges something other than sites.
    NoSites,
    /// A passed `mutant: …` row for each ordering that could be weaker and each fence, and a row
    /// for each slot access.
    EveryOrdering,
    /// A row for each site.
    EverySite,
    /// A row for each load and each read of a slot: what a peer can lie about.
    EveryLoad,
}

/// One column of the matrix and how to fill it.
#[derive(Clone, Copy, Debug)]
pub struct Layer {
    /// What `--layer` and the rows call it.
    pub name: &'static str,
    /// One sentence: what it judges.
    pub judges: &'static str,
    /// One sentence: why a cell of its column may be empty.
    pub when_empty: &'static str,
    /// The cells that it owes.
    pub duty: Duty,
    /// What must be built first.
    pub builds: &'static [Build],
    /// What is run.
    pub program: Program,
    /// Its arguments; `--seed N` follows where [`Layer::seeded`] says so.
    pub args: &'static [&'static str],
    /// Whether it takes `--seed N`.
    pub seeded: bool,
    /// Whether its rows hold measurements, of which a sum would mean nothing.
    pub measures: bool,
    /// How long it may take before it counts as hanging; far above what it needs.
    pub deadline: Duration,
    /// Its larger size, for the night; nothing where it has one size.
    pub nightly: Option<Nightly>,
    /// What machines that share a run do of it.
    pub sharing: Sharing,
}

/// How a layer is divided among the shards of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sharing {
    /// Not at all: it runs whole in the first shard.
    Whole,
    /// Each shard takes its share of the models, by `--shard I/N`; what is explored is counted
    /// in this unit.
    Models(&'static str),
    /// Each shard does all of it, with random choices that `--shard I/N` makes its own; what they
    /// count is added up.
    Repeated,
}

/// The larger size of a layer.
#[derive(Clone, Copy, Debug)]
pub struct Nightly {
    /// The arguments that ask for it, beside the others.
    pub args: &'static [&'static str],
    /// How long it may take then.
    pub deadline: Duration,
}

impl Layer {
    /// Whether it has anything to do in that shard, or in a run that is not divided.
    pub fn runs_in(&self, shard: Option<Shard>) -> bool {
        self.sharing != Sharing::Whole || shard.is_none_or(|shard| shard.number == 1)
    }
}

const MODELS: Build = &[
    "--package",
    "ringproof-models",
    "--features",
    "loom,shuttle",
];
// What is killed at each instruction is the machine code that ships.
const STRESS: Build = &["--package", "ringproof-stress", "--release"];
const CLI: Build = &["--package", "ringproof-cli", "--release"];
const PERF: Build = &["--package", "ringproof-perf", "--release"];

const TEN_MINUTES: Duration = Duration::from_secs(600);
const HALF_AN_HOUR: Duration = Duration::from_secs(1800);

/// A night, and some of the morning.
const LARGE_MODELS: Option<Nightly> = Some(Nightly {
    args: &["--nightly"],
    deadline: Duration::from_secs(12 * 3600),
});

/// Every layer, in the order in which they run: one after another, because `perf` measures and
/// the others use every CPU themselves.
pub const LAYERS: [Layer; 13] = [
    Layer {
        name: "loom",
        judges: "explores every execution of small models, and again with one ordering weakened or one access moved: each such mutant must be caught",
        when_empty: "a Relaxed access has no weaker ordering to try; the controls in the second table pass through it",
        duty: Duty::EveryOrdering,
        builds: &[MODELS],
        program: Program::Built("debug/ringproof-models"),
        args: &["loom", "--json"],
        seeded: true,
        measures: false,
        deadline: HALF_AN_HOUR,
        nightly: LARGE_MODELS,
        sharing: Sharing::Models("executions"),
    },
    Layer {
        name: "shuttle",
        judges: "runs many more schedules of the same models, sequentially consistent: the protocol holds there, no ordering is judged",
        when_empty: "no row came for the site",
        duty: Duty::NoSites,
        builds: &[MODELS],
        program: Program::Built("debug/ringproof-models"),
        args: &["shuttle", "--json"],
        seeded: true,
        measures: false,
        deadline: HALF_AN_HOUR,
        nightly: LARGE_MODELS,
        sharing: Sharing::Models("schedules"),
    },
    Layer {
        name: "crash",
        judges: "kills and stops a process at each site, and in the machine code wherever an instruction changed the shared memory, lets the survivor and a successor go on and looks at what they got",
        when_empty: "no row came for the site",
        duty: Duty::EverySite,
        builds: &[STRESS],
        program: Program::Built("release/ringproof-stress"),
        args: &["crash", "--whole", "--json"],
        seeded: true,
        measures: false,
        deadline: TEN_MINUTES,
        nightly: Some(Nightly {
            args: &["--every-instruction"],
            deadline: Duration::from_secs(2 * 3600),
        }),
        sharing: Sharing::Whole,
    },
    Layer {
        name: "stream",
        judges: "moves a real file through two processes, killing either on the way, and compares checksums",
        when_empty: "it judges the whole path of a byte, not one access; its rows are in the second table",
        duty: Duty::NoSites,
        builds: &[STRESS, CLI],
        program: Program::Built("release/ringproof-stress"),
        args: &["stream", "--json"],
        seeded: true,
        measures: false,
        deadline: TEN_MINUTES,
        nightly: None,
        sharing: Sharing::Whole,
    },
    Layer {
        name: "hostile",
        judges: "answers every read as an adversary would, and damages real segments: an error that names what is wrong, no panic, no hang, no access outside",
        when_empty: "a store or a fence has no answer that an adversary could choose",
        duty: Duty::EveryLoad,
        builds: &[STRESS, CLI],
        program: Program::Built("release/ringproof-stress"),
        args: &["hostile", "--json"],
        seeded: true,
        measures: false,
        deadline: TEN_MINUTES,
        nightly: None,
        sharing: Sharing::Whole,
    },
    Layer {
        name: "faults",
        judges: "runs under the faults of the system: full tmpfs, limits, signals, races, namespaces, forks; and published bugs in attach and recovery, each of which must be caught",
        when_empty: "it judges what happens around the accesses; its rows are in the second table",
        duty: Duty::NoSites,
        builds: &[STRESS],
        program: Program::Built("release/ringproof-stress"),
        args: &["faults", "--json"],
        seeded: true,
        measures: false,
        deadline: TEN_MINUTES,
        nightly: None,
        sharing: Sharing::Whole,
    },
    Layer {
        name: "soak",
        judges: "kills, stops and restarts processes of all roles at random moments, and checks every item",
        when_empty: "its kills come at random, not at an access; its rows are in the second table",
        duty: Duty::NoSites,
        builds: &[STRESS],
        program: Program::Built("release/ringproof-stress"),
        args: &["soak", "--json"],
        seeded: true,
        measures: false,
        deadline: TEN_MINUTES,
        nightly: Some(Nightly {
            args: &["--minutes", "10"],
            deadline: HALF_AN_HOUR,
        }),
        sharing: Sharing::Repeated,
    },
    Layer {
        name: "abi",
        judges: "lets programs in C, C++ and Rust, of 64 and 32 bits, exchange items over the same segments, and checks every one",
        when_empty: "it judges whole exchanges; its rows are in the second table",
        duty: Duty::NoSites,
        builds: &[STRESS],
        program: Program::Built("release/ringproof-stress"),
        args: &["abi", "--json"],
        seeded: true,
        measures: false,
        deadline: TEN_MINUTES,
        nightly: Some(Nightly {
            args: &["--items", "100000000"],
            deadline: Duration::from_secs(2 * 3600),
        }),
        sharing: Sharing::Whole,
    },
    Layer {
        name: "asm",
        judges: "reads the optimised assembly of the hot operations",
        when_empty: "it judges whole operations, into which the accesses are inlined; its rows are in the second table",
        duty: Duty::NoSites,
        builds: &[],
        program: Program::Script("ci/asm.sh"),
        args: &["--json"],
        seeded: false,
        measures: false,
        deadline: TEN_MINUTES,
        nightly: None,
        sharing: Sharing::Whole,
    },
    Layer {
        name: "perf",
        judges: "runs every experiment once in small: that it runs, what it could measure, no claim about speed",
        when_empty: "it measures whole operations; its rows are in the second table",
        duty: Duty::NoSites,
        builds: &[PERF],
        program: Program::Built("release/ringproof-perf"),
        args: &["smoke", "--json"],
        seeded: true,
        measures: true,
        deadline: TEN_MINUTES,
        nightly: None,
        sharing: Sharing::Whole,
    },
    Layer {
        name: "trap",
        judges: "compiles one struct as several compilers and flags lay it out, and attaches to a segment of each: refused with the first field that differs, or the bytes mean the same",
        when_empty: "it judges what the bytes of an item mean, not how they are accessed; its rows are in the second table",
        duty: Duty::NoSites,
        builds: &[PERF],
        program: Program::Built("release/ringproof-perf"),
        args: &["abi", "--json"],
        seeded: false,
        measures: false,
        deadline: TEN_MINUTES,
        nightly: None,
        sharing: Sharing::Whole,
    },
    Layer {
        name: "axioms",
        judges: "enumerates what the axioms of C++20 allow in the smallest models, load buffering included, which loom does not see",
        when_empty: "no model that is small enough to enumerate passes through it",
        duty: Duty::NoSites,
        builds: &[MODELS],
        program: Program::Built("debug/ringproof-models"),
        args: &["axioms", "--json"],
        seeded: false,
        measures: false,
        deadline: TEN_MINUTES,
        nightly: None,
        sharing: Sharing::Whole,
    },
    Layer {
        name: "specimens",
        judges: "runs published bugs through the same detectors: each must be caught, and its repaired form must pass",
        when_empty: "a specimen has accesses of its own; its rows are in the second table",
        duty: Duty::NoSites,
        builds: &[MODELS],
        program: Program::Built("debug/ringproof-models"),
        args: &["specimens", "--json"],
        seeded: false,
        measures: false,
        deadline: TEN_MINUTES,
        nightly: None,
        sharing: Sharing::Whole,
    },
];

/// What the table of sites is called where it has to stand beside the layers.
pub const SITE_TABLE: &str = "sites";
/// What must be built for the table of sites.
pub const SITE_TABLE_BUILD: Build = MODELS;
/// The program that prints the table of sites.
pub const SITE_TABLE_PROGRAM: Program = Program::Built("debug/ringproof-models");
/// Its arguments.
pub const SITE_TABLE_ARGS: &[&str] = &["sites", "--json"];
/// How long it may take; it only prints constants.
pub const SITE_TABLE_DEADLINE: Duration = Duration::from_secs(60);

/// The layer of that name.
pub fn find(name: &str) -> Option<&'static Layer> {
    LAYERS.iter().find(|layer| layer.name == name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_unique_and_found() {
        for (index, layer) in LAYERS.iter().enumerate() {
            assert_eq!(find(layer.name).map(|found| found.name), Some(layer.name));
            assert!(LAYERS[..index].iter().all(|other| other.name != layer.name));
            assert_ne!(layer.name, SITE_TABLE);
        }
        assert!(find("nonsense").is_none());
    }

    #[test]
    fn every_column_says_what_it_judges_and_why_a_cell_may_be_empty() {
        for layer in LAYERS {
            assert!(!layer.judges.is_empty() && !layer.when_empty.is_empty());
        }
    }
}
