//! Where CPUs lie and what they are, as far as the kernel says.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use ringproof_record::machine::read;

/// How two CPUs lie to each other, as far as the kernel says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kinship {
    /// Different cores that share the last-level cache.
    Neighbours,
    /// Different cores that share no cache, or of which the kernel does not say.
    Cores,
    /// Two hyperthreads of one core: they share its caches, and lines do not travel.
    Hyperthreads,
    /// The kernel does not say.
    Unknown,
}

impl fmt::Display for Kinship {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Kinship::Neighbours => {
                "different cores that share the last-level cache, as far as the kernel knows"
            }
            Kinship::Cores => "different cores that share no cache, as far as the kernel knows",
            Kinship::Hyperthreads => "TWO HYPERTHREADS OF ONE CORE: lines do not travel",
            Kinship::Unknown => "of which the kernel does not say whether they are one core",
        })
    }
}

impl Kinship {
    /// Whether they are different cores, so that lines travel between them.
    pub fn is_apart(self) -> bool {
        matches!(self, Kinship::Neighbours | Kinship::Cores)
    }
}

/// Whether two CPUs are equally strong, as far as the kernel says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Likeness {
    /// The kernel says the same of both.
    Alike,
    /// They differ in this.
    Unlike(Difference),
    /// The kernel says nothing of them, or something of only one.
    Unknown,
}

/// What of two CPUs differs: the first one's, and the other one's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Difference {
    /// `cpu_capacity`, by which the scheduler goes: 1024 for the strongest.
    Capacity(u64, u64),
    /// The group of which the kernel has its counters, on hybrid processors of Intel.
    Kind(&'static str, &'static str),
    /// The register that names the core, on ARM.
    Model(u64, u64),
    /// The highest frequency, in kHz.
    Frequency(u64, u64),
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Difference::Capacity(one, other) => write!(f, "capacity {one} and {other}"),
            Difference::Kind(one, other) => write!(f, "{one} and {other}"),
            Difference::Model(one, other) => write!(f, "models {one:#x} and {other:#x}"),
            Difference::Frequency(one, other) => {
                write!(f, "at most {} and {} MHz", one / 1000, other / 1000)
            }
        }
    }
}

impl fmt::Display for Likeness {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Likeness::Alike => write!(f, "equally strong, as far as the kernel knows"),
            Likeness::Unlike(difference) => write!(
                f,
                "NOT EQUALLY STRONG ({difference}): what either side takes is not what the other would"
            ),
            Likeness::Unknown => write!(
                f,
                "whether equally strong is not known (of capacity, kind, model and highest frequency \
                 the kernel says none, or not of both)"
            ),
        }
    }
}

/// How two CPUs are related.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Relation {
    /// How they lie.
    pub kinship: Kinship,
    /// Whether they are equally strong.
    pub likeness: Likeness,
}

impl Relation {
    /// How little two such CPUs are what experiments want: 0 is best. Lines must travel; then neither
    /// side should be the stronger one; then they should share a cache.
    pub(super) fn distance(self) -> usize {
        let kinship = match self.kinship {
            Kinship::Neighbours => 0,
            Kinship::Cores => 1,
            Kinship::Unknown => 2,
            Kinship::Hyperthreads => return 6,
        };
        match self.likeness {
            Likeness::Unlike(_) => kinship + 3,
            Likeness::Alike | Likeness::Unknown => kinship,
        }
    }
}

/// What a kernel says of its CPUs, below `/sys`; of each it is asked once.
#[derive(Debug)]
pub struct Topology {
    sys: PathBuf,
    places: RefCell<BTreeMap<usize, Rc<Place>>>,
    kinds: Vec<(&'static str, BTreeSet<usize>)>,
}

/// The groups of which the kernel has counters, and what their CPUs are.
const KINDS: [(&str, &str); 3] = [
    ("cpu_core", "performance core"),
    ("cpu_atom", "efficient core"),
    ("cpu_lowpower", "low-power core"),
];

impl Topology {
    /// That of this machine.
    pub fn of_this_machine() -> Self {
        Topology::in_folder("/sys")
    }

    /// That of the machine whose `/sys` is in this folder.
    pub fn in_folder(sys: impl Into<PathBuf>) -> Self {
        let sys = sys.into();
        let kinds = KINDS.iter().filter_map(|(group, kind)| {
            let cpus = read(sys.join("devices").join(group).join("cpus"))?;
            Some((*kind, cpu_list(&cpus)?))
        });
        Topology {
            kinds: kinds.collect(),
            places: RefCell::default(),
            sys,
        }
    }

    /// How two CPUs are related.
    pub fn relation(&self, first: usize, second: usize) -> Relation {
        let (one, other) = (self.place(first), self.place(second));
        Relation {
            kinship: one.kinship(second),
            likeness: one.strength.likeness(&other.strength),
        }
    }

    /// How strong these CPUs are, by all that the kernel says of them: one clause, with what is
    /// not known.
    pub fn strengths(&self, cpus: impl IntoIterator<Item = usize>) -> Option<String> {
        grouped(
            cpus.into_iter()
                .map(|cpu| (cpu, self.place(cpu).strength.said())),
        )
    }

    fn place(&self, cpu: usize) -> Rc<Place> {
        let mut places = self.places.borrow_mut();
        let place = places.entry(cpu);
        Rc::clone(place.or_insert_with(|| Rc::new(Place::of(&self.sys, &self.kinds, cpu))))
    }
}

/// Where a CPU lies and what it is.
#[derive(Debug)]
struct Place {
    /// The hyperthreads of its core.
    core: Option<BTreeSet<usize>>,
    /// Those with which it shares the last-level cache.
    last_level: BTreeSet<usize>,
    strength: Strength,
}

/// What is known of a CPU's strength.
#[derive(Debug, Default, PartialEq, Eq)]
struct Strength {
    capacity: Option<u64>,
    kind: Option<&'static str>,
    model: Option<u64>,
    /// kHz.
    frequency: Option<u64>,
}

impl Place {
    fn of(sys: &Path, kinds: &[(&'static str, BTreeSet<usize>)], cpu: usize) -> Self {
        let folder = folder(sys, cpu);
        let read = |file: &str| read(folder.join(file));
        let caches = (0..).map_while(|index| {
            let level = read(&format!("cache/index{index}/level"))?;
            let shared = read(&format!("cache/index{index}/shared_cpu_list"))?;
            Some((level.parse::<u32>().ok()?, cpu_list(&shared)?))
        });
        let last = caches.max_by_key(|(level, _)| *level);
        // The same under its old name and its new one.
        let core =
            read("topology/thread_siblings_list").or_else(|| read("topology/core_cpus_list"));
        let number = |file: &str| read(file)?.parse().ok();
        let model = || {
            let text = read("regs/identification/midr_el1")?;
            u64::from_str_radix(text.strip_prefix("0x")?, 16).ok()
        };
        Place {
            core: core.and_then(|list| cpu_list(&list)),
            last_level: last.map(|(_, shared)| shared).unwrap_or_default(),
            strength: Strength {
                capacity: number("cpu_capacity"),
                kind: (kinds.iter())
                    .find(|(_, cpus)| cpus.contains(&cpu))
                    .map(|(kind, _)| *kind),
                model: model(),
                frequency: number("cpufreq/cpuinfo_max_freq"),
            },
        }
    }

    /// How another CPU lies to it.
    fn kinship(&self, other: usize) -> Kinship {
        match &self.core {
            Some(core) if core.contains(&other) => Kinship::Hyperthreads,
            Some(_) if self.last_level.contains(&other) => Kinship::Neighbours,
            Some(_) => Kinship::Cores,
            None => Kinship::Unknown,
        }
    }
}

impl Strength {
    /// Two CPUs are alike if all that is known of one of them is the other's, too. A kernel without a
    /// notion of capacity may say 1024 of all, so that a lower frequency says more; and one that says
    /// something of only one of them may do so because they differ.
    fn likeness(&self, other: &Strength) -> Likeness {
        let compared = [
            compared(self.capacity, other.capacity, Difference::Capacity),
            compared(self.kind, other.kind, Difference::Kind),
            compared(self.model, other.model, Difference::Model),
            compared(self.frequency, other.frequency, Difference::Frequency),
        ];
        let known = || compared.into_iter().flatten();
        let differs = |found: &Likeness| matches!(found, Likeness::Unlike(_));
        known()
            .find(differs)
            .or_else(|| known().find(|found| *found == Likeness::Unknown))
            .or_else(|| known().next())
            .unwrap_or(Likeness::Unknown)
    }

    /// All that is known, if anything is.
    fn said(&self) -> Option<String> {
        let said = [
            self.kind.map(str::to_owned),
            self.capacity.map(|capacity| format!("capacity {capacity}")),
            self.model.map(|model| format!("model {model:#x}")),
            self.frequency
                .map(|frequency| format!("at most {} MHz", frequency / 1000)),
        ];
        let said: Vec<String> = said.into_iter().flatten().collect();
        (!said.is_empty()).then(|| said.join(", "))
    }
}

/// What one thing that is known of CPUs says of two of them; nothing if it is known of neither.
fn compared<T: PartialEq>(
    one: Option<T>,
    other: Option<T>,
    difference: fn(T, T) -> Difference,
) -> Option<Likeness> {
    match (one, other) {
        (None, None) => None,
        (Some(one), Some(other)) if one == other => Some(Likeness::Alike),
        (Some(one), Some(other)) => Some(Likeness::Unlike(difference(one, other))),
        (Some(_), None) | (None, Some(_)) => Some(Likeness::Unknown),
    }
}

/// The folder of a CPU below `/sys`.
pub(crate) fn folder(sys: &Path, cpu: usize) -> PathBuf {
    sys.join("devices/system/cpu").join(format!("cpu{cpu}"))
}

/// What is so of which CPUs: the one value, where it is that of all, or each with its CPUs. What is
/// not known of some of them is said; `None` if it is not known of any.
pub(crate) fn grouped(values: impl IntoIterator<Item = (usize, Option<String>)>) -> Option<String> {
    let mut groups: Vec<(Option<String>, Vec<usize>)> = Vec::new();
    for (cpu, value) in values {
        match groups.iter_mut().find(|(known, _)| *known == value) {
            Some((_, cpus)) => cpus.push(cpu),
            None => groups.push((value, vec![cpu])),
        }
    }
    if let [(value, _)] = &groups[..] {
        return value.clone();
    }
    let said = groups.iter().map(|(value, cpus)| {
        let value = value.as_deref().unwrap_or("not known");
        format!("{}: {value}", cpu_ranges(cpus))
    });
    let said: Vec<String> = said.collect();
    (!said.is_empty()).then(|| said.join("; "))
}

/// Numbers as the kernel writes lists of them, after a word: `CPU 3`, `CPUs 0-1,4`.
pub(crate) fn cpu_ranges(cpus: &[usize]) -> String {
    if let [one] = cpus {
        return format!("CPU {one}");
    }
    let runs = cpus.chunk_by(|one, next| one + 1 == *next);
    let runs = runs.map(|run| match run {
        [first, .., last] => format!("{first}-{last}"),
        [one] => one.to_string(),
        [] => String::new(),
    });
    format!("CPUs {}", runs.collect::<Vec<_>>().join(","))
}

/// No list of CPUs is longer, and none of a machine that says nonsense takes up all memory.
const MOST: usize = 1 << 22;

/// Reads a list of CPUs as the kernel writes it: `0-1,4`.
pub(crate) fn cpu_list(list: &str) -> Option<BTreeSet<usize>> {
    let mut cpus = BTreeSet::new();
    for range in list.trim().split(',') {
        let (from, to) = range.split_once('-').unwrap_or((range, range));
        let to: usize = to.parse().ok().filter(|to| *to < MOST)?;
        cpus.extend(from.parse::<usize>().ok()?..=to);
    }
    Some(cpus)
}

#[cfg(test)]
mod tests;
