//! What there is to run: the table of layers.

use std::time::Duration;

use ringproof_record::Shard;
use ringproof_record::cargo::Kind;

/// A program of the workspace, and how cargo builds it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Build {
    /// The package that has it.
    pub package: &'static str,
    /// What cargo calls it. Where cargo puts it is for cargo to say.
    pub program: &'static str,
    /// What of the package it is.
    pub kind: Kind,
    /// The features of the package that it needs.
    pub features: &'static [&'static str],
}

/// What a layer runs as.
#[derive(Clone, Copy, Debug)]
pub enum Program {
    /// A program of the workspace.
    Built(Build),
    /// A script below the workspace's root.
    Script(&'static str),
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
    /// What is run.
    pub program: Program,
    /// The programs that it runs in turn, each behind the option that gives its path.
    pub runs: &'static [(&'static str, Build)],
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
    /// What becomes of it in a night whose minutes are counted.
    pub limited: Limited,
}

/// A larger size in a limited time.
#[derive(Clone, Copy, Debug)]
pub enum Limited {
    /// It ends by itself: it is given so many percent of the minutes, as `--minutes M`, after these
    /// arguments.
    Share(f64, &'static [&'static str]),
    /// It has an end of its own, so it has this size only where there are so many minutes in all.
    From(f64),
}

impl Layer {
    /// What must be built for it: its own program first.
    pub fn builds(&self) -> impl Iterator<Item = Build> {
        let own = match self.program {
            Program::Built(build) => Some(build),
            Program::Script(_) => None,
        };
        own.into_iter()
            .chain(self.runs.iter().map(|(_, build)| *build))
    }

    /// Whether it has anything to do in that shard, or in a run that is not divided.
    pub fn runs_in(&self, shard: Option<Shard>) -> bool {
        self.sharing != Sharing::Whole || shard.is_none_or(|shard| shard.number == 1)
    }
}

const fn program(package: &'static str, program: &'static str) -> Build {
    Build {
        package,
        program,
        kind: Kind::Bin,
        features: &[],
    }
}

const MODELS: Build = Build {
    features: &["loom", "shuttle"],
    ..program("ringproof-models", "ringproof-models")
};
const STRESS: Build = program("ringproof-stress", "ringproof-stress");
const CLI: Build = program("ringproof-cli", "ringproof");
const PERF: Build = program("ringproof-perf", "ringproof-perf");
const ASM: Build = Build {
    kind: Kind::Example,
    ..program("ringproof", "asm")
};

const TEN_MINUTES: Duration = Duration::from_secs(600);
const HALF_AN_HOUR: Duration = Duration::from_secs(1800);

/// In how many minutes the sizes that have an end of their own find room.
const LONG_NIGHT: f64 = 90.0;

/// A night, and some of the morning.
const fn large_models(percent: f64) -> Option<Nightly> {
    Some(Nightly {
        args: &["--nightly"],
        deadline: Duration::from_secs(12 * 3600),
        limited: Limited::Share(percent, &["--nightly"]),
    })
}

/// What most layers have in common; the rest is empty.
const LAYER: Layer = Layer {
    name: "",
    judges: "",
    when_empty: "",
    duty: Duty::NoSites,
    program: Program::Script(""),
    runs: &[],
    args: &[],
    seeded: false,
    measures: false,
    deadline: TEN_MINUTES,
    nightly: None,
    sharing: Sharing::Whole,
};
const OF_MODELS: Layer = Layer {
    program: Program::Built(MODELS),
    ..LAYER
};
const OF_STRESS: Layer = Layer {
    program: Program::Built(STRESS),
    seeded: true,
    ..LAYER
};

/// Every layer, in the order in which they run: one after another, because `perf` measures and
/// the others use every CPU themselves.
pub const LAYERS: [Layer; 13] = [
    Layer {
        name: "loom",
        judges: "explores every execution of small models, and again with one ordering weakened or one access moved: each such mutant must be caught",
        when_empty: "a Relaxed access has no weaker ordering to try; the controls in the second table pass through it",
        duty: Duty::EveryOrdering,
        args: &["loom", "--json"],
        seeded: true,
        deadline: HALF_AN_HOUR,
        nightly: large_models(75.0),
        sharing: Sharing::Models("executions"),
        ..OF_MODELS
    },
    Layer {
        name: "shuttle",
        judges: "runs many more schedules of the same models, sequentially consistent: the protocol holds there, no ordering is judged",
        when_empty: "no row came for the site",
        args: &["shuttle", "--json"],
        seeded: true,
        deadline: HALF_AN_HOUR,
        nightly: large_models(10.0),
        sharing: Sharing::Models("schedules"),
        ..OF_MODELS
    },
    Layer {
        name: "crash",
        judges: "kills and stops a process at each site, and in the machine code wherever an instruction changed the shared memory, lets the survivor and a successor go on and looks at what they got",
        when_empty: "no row came for the site",
        duty: Duty::EverySite,
        args: &["crash", "--whole", "--json"],
        nightly: Some(Nightly {
            args: &["--every-instruction"],
            deadline: Duration::from_secs(2 * 3600),
            limited: Limited::From(LONG_NIGHT),
        }),
        ..OF_STRESS
    },
    Layer {
        name: "stream",
        judges: "moves a real file through two processes, killing either on the way, and compares checksums",
        when_empty: "it judges the whole path of a byte, not one access; its rows are in the second table",
        runs: &[("--cli", CLI)],
        args: &["stream", "--json"],
        ..OF_STRESS
    },
    Layer {
        name: "hostile",
        judges: "answers every read as an adversary would, and damages real segments: an error that names what is wrong, no panic, no hang, no access outside",
        when_empty: "a store or a fence has no answer that an adversary could choose",
        duty: Duty::EveryLoad,
        runs: &[("--cli", CLI)],
        args: &["hostile", "--json"],
        ..OF_STRESS
    },
    Layer {
        name: "faults",
        judges: "runs under the faults of the system: full tmpfs, limits, signals, races, namespaces, forks; and published bugs in attach and recovery, each of which must be caught",
        when_empty: "it judges what happens around the accesses; its rows are in the second table",
        args: &["faults", "--json"],
        ..OF_STRESS
    },
    Layer {
        name: "soak",
        judges: "kills, stops and restarts processes of all roles at random moments, and checks every item",
        when_empty: "its kills come at random, not at an access; its rows are in the second table",
        args: &["soak", "--json"],
        nightly: Some(Nightly {
            args: &["--minutes", "10"],
            deadline: HALF_AN_HOUR,
            limited: Limited::Share(15.0, &[]),
        }),
        sharing: Sharing::Repeated,
        ..OF_STRESS
    },
    Layer {
        name: "abi",
        judges: "lets programs in C, C++ and Rust, of 64 and 32 bits, exchange items over the same segments, and checks every one",
        when_empty: "it judges whole exchanges; its rows are in the second table",
        args: &["abi", "--json"],
        nightly: Some(Nightly {
            args: &["--items", "100000000"],
            deadline: Duration::from_secs(2 * 3600),
            limited: Limited::From(LONG_NIGHT),
        }),
        ..OF_STRESS
    },
    Layer {
        name: "asm",
        judges: "reads the optimised assembly of the hot operations",
        when_empty: "it judges whole operations, into which the accesses are inlined; its rows are in the second table",
        program: Program::Script("ci/asm.sh"),
        runs: &[("--program", ASM)],
        args: &["--json"],
        ..LAYER
    },
    Layer {
        name: "perf",
        judges: "runs every experiment once in small: that it runs, what it could measure, no claim about speed",
        when_empty: "it measures whole operations; its rows are in the second table",
        program: Program::Built(PERF),
        args: &["smoke", "--json"],
        seeded: true,
        measures: true,
        ..LAYER
    },
    Layer {
        name: "layouts",
        judges: "compiles one struct as several compilers and flags lay it out, and attaches to a segment of each: refused with the first field that differs, or the bytes mean the same",
        when_empty: "it judges what the bytes of an item mean, not how they are accessed; its rows are in the second table",
        program: Program::Built(STRESS),
        args: &["layouts", "--json"],
        ..LAYER
    },
    Layer {
        name: "axioms",
        judges: "enumerates what the axioms of C++20 allow in the smallest models, load buffering included, which loom does not see",
        when_empty: "no model that is small enough to enumerate passes through it",
        args: &["axioms", "--json"],
        ..OF_MODELS
    },
    Layer {
        name: "specimens",
        judges: "runs published bugs through the same detectors: each must be caught, and its repaired form must pass",
        when_empty: "a specimen has accesses of its own; its rows are in the second table",
        args: &["specimens", "--json"],
        ..OF_MODELS
    },
];

/// What the table of sites is called where it has to stand beside the layers.
pub const SITE_TABLE: &str = "sites";
/// The program that prints the table of sites.
pub const SITE_TABLE_PROGRAM: Build = MODELS;
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
    fn a_limited_night_is_divided_once() {
        let shares = LAYERS
            .iter()
            .filter_map(|layer| match layer.nightly?.limited {
                Limited::Share(percent, _) => Some(percent),
                Limited::From(_) => None,
            });
        assert!((shares.sum::<f64>() - 100.0).abs() < 1e-9);
    }

    #[test]
    fn every_column_says_what_it_judges_and_why_a_cell_may_be_empty() {
        for layer in LAYERS {
            assert!(!layer.judges.is_empty() && !layer.when_empty.is_empty());
        }
    }
}
