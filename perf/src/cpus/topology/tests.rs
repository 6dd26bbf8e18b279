//! Other machines' CPUs, as files.

use std::fs;
use std::ops::RangeInclusive;

use tempfile::TempDir;

use super::*;

/// A `/sys` that says nothing yet.
struct Machine(TempDir);

impl Machine {
    fn new() -> Self {
        Machine(TempDir::new().unwrap())
    }

    /// With this text in a file.
    fn with(self, file: &str, text: impl AsRef<str>) -> Self {
        let path = self.0.path().join(file);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, format!("{}\n", text.as_ref())).unwrap();
        self
    }

    /// With the same in a file of each of these CPUs.
    fn each(mut self, cpus: RangeInclusive<usize>, file: &str, text: &str) -> Self {
        for cpu in cpus {
            self = self.with(&format!("devices/system/cpu/cpu{cpu}/{file}"), text);
        }
        self
    }

    /// With cores of so many hyperthreads, next to each other.
    fn cores(mut self, cpus: RangeInclusive<usize>, threads: usize) -> Self {
        for cpu in cpus {
            let first = cpu / threads * threads;
            let core = cpu_ranges(&(first..first + threads).collect::<Vec<_>>());
            let core = core.split_once(' ').unwrap().1.to_owned();
            self = self.each(cpu..=cpu, "topology/thread_siblings_list", &core);
        }
        self
    }

    /// With a cache that these CPUs share.
    fn cache(self, cpus: RangeInclusive<usize>, index: usize, level: usize) -> Self {
        let list = format!("{}-{}", cpus.start(), cpus.end());
        let file = |name: &str| format!("cache/index{index}/{name}");
        (self.each(cpus.clone(), &file("level"), &level.to_string())).each(
            cpus,
            &file("shared_cpu_list"),
            &list,
        )
    }

    fn topology(&self) -> Topology {
        Topology::in_folder(self.0.path())
    }

    fn relation(&self, first: usize, second: usize) -> (Kinship, Likeness) {
        let Relation { kinship, likeness } = self.topology().relation(first, second);
        (kinship, likeness)
    }

    fn likeness(&self, first: usize, second: usize) -> Likeness {
        self.relation(first, second).1
    }
}

/// Four performance cores of two hyperthreads (CPUs 0 to 7) and eight efficient ones (8 to 15), all at
/// one cache, and two low-power ones (16 and 17) at another.
fn intel() -> Machine {
    (Machine::new().cores(0..=7, 2).cores(8..=17, 1))
        .cache(0..=15, 1, 3)
        .cache(16..=17, 1, 2)
        .each(0..=17, "cache/index0/level", "1")
        .each(0..=17, "cache/index0/shared_cpu_list", "0")
        .with("devices/cpu_core/cpus", "0-7")
        .with("devices/cpu_atom/cpus", "8-15")
        .with("devices/cpu_lowpower/cpus", "16-17")
}

/// Four small cores and two big ones, each kind with a cache of its own.
fn big_little() -> Machine {
    (Machine::new().cores(0..=5, 1))
        .cache(0..=3, 0, 2)
        .cache(4..=5, 0, 2)
        .each(0..=3, "cpu_capacity", "446")
        .each(4..=5, "cpu_capacity", "1024")
}

const PERFORMANCE: &str = "performance core";
const EFFICIENT: &str = "efficient core";

#[test]
fn a_hybrid_of_intel_has_cores_of_several_kinds() {
    let machine = intel();
    for (first, second, kinship) in [
        (0, 1, Kinship::Hyperthreads),
        (0, 2, Kinship::Neighbours),
        (8, 9, Kinship::Neighbours),
    ] {
        assert_eq!(machine.relation(first, second), (kinship, Likeness::Alike));
    }
    let kinds = Difference::Kind(PERFORMANCE, EFFICIENT);
    let unlike = (Kinship::Neighbours, Likeness::Unlike(kinds));
    assert_eq!(machine.relation(0, 8), unlike);
    let (kinship, likeness) = machine.relation(8, 16);
    assert_eq!(kinship, Kinship::Cores);
    assert!(matches!(likeness, Likeness::Unlike(_)), "{likeness:?}");
    let said = machine.topology().strengths(0..18).unwrap();
    assert_eq!(
        said,
        "CPUs 0-7: performance core; CPUs 8-15: efficient core; CPUs 16-17: low-power core"
    );
}

#[test]
fn big_and_little_cores_differ_in_capacity() {
    let machine = big_little();
    for (first, second) in [(0, 3), (4, 5)] {
        let near = (Kinship::Neighbours, Likeness::Alike);
        assert_eq!(machine.relation(first, second), near);
    }
    let capacity = Likeness::Unlike(Difference::Capacity(446, 1024));
    assert_eq!(machine.relation(3, 4), (Kinship::Cores, capacity));
    let said = machine.topology().strengths([2, 3, 4]).unwrap();
    assert_eq!(said, "CPUs 2-3: capacity 446; CPU 4: capacity 1024");
    // Three kinds: no two of different ones are alike.
    let three = (big_little().each(6..=6, "cpu_capacity", "871")).cores(6..=6, 1);
    assert!(matches!(three.likeness(5, 6), Likeness::Unlike(_)));
    assert!(matches!(three.likeness(0, 6), Likeness::Unlike(_)));
}

#[test]
fn where_nothing_else_distinguishes_cores_their_names_or_frequencies_do() {
    let highest = "cpufreq/cpuinfo_max_freq";
    let frequency = |first: &str, second: &str| {
        (Machine::new().each(0..=0, highest, first)).each(1..=1, highest, second)
    };
    let same = frequency("5000000", "5000000");
    assert_eq!(same.likeness(0, 1), Likeness::Alike);
    let unlike = Likeness::Unlike(Difference::Frequency(5_000_000, 3_700_000));
    assert_eq!(frequency("5000000", "3700000").likeness(0, 1), unlike);
    // A kernel that gives all of them the same capacity knows no better.
    let same = frequency("5000000", "3700000").each(0..=1, "cpu_capacity", "1024");
    assert_eq!(same.likeness(0, 1), unlike);
    let said = unlike.to_string();
    assert!(said.contains("at most 5000 and 3700 MHz"), "{said}");

    let model = "regs/identification/midr_el1";
    let arm = (Machine::new().each(0..=1, model, "0x00000000410fd034")).each(
        2..=2,
        model,
        "0x00000000410fd0b1",
    );
    assert_eq!(arm.likeness(0, 1), Likeness::Alike);
    let unlike = Likeness::Unlike(Difference::Model(0x410f_d034, 0x410f_d0b1));
    assert_eq!(arm.likeness(1, 2), unlike);
}

#[test]
fn a_kernel_that_says_nothing_leaves_it_unknown() {
    let machine = Machine::new();
    let unknown = (Kinship::Unknown, Likeness::Unknown);
    assert_eq!(machine.relation(0, 1), unknown);
    assert_eq!(machine.topology().strengths([0, 1]), None);
    // What is known of one of them says nothing of the two, whatever it is.
    let half = (Machine::new().each(0..=0, "cpu_capacity", "1024"))
        .each(1..=1, "cpufreq/cpuinfo_max_freq", "3700000")
        .cores(0..=1, 1);
    assert_eq!(half.relation(0, 1), (Kinship::Cores, Likeness::Unknown));
    // Nor are two alike of which one has a name that the other lacks.
    for listed in ["0", "1"] {
        let one = (Machine::new().each(0..=1, "cpu_capacity", "1024"))
            .with("devices/cpu_core/cpus", listed);
        assert_eq!(one.likeness(0, 1), Likeness::Unknown, "{listed}");
        let both = one.each(1..=1, "cpu_capacity", "871");
        let unlike = Likeness::Unlike(Difference::Capacity(1024, 871));
        assert_eq!(both.likeness(0, 1), unlike, "{listed}");
    }
    let said = Likeness::Unknown.to_string();
    assert!(said.contains("is not known ("), "{said}");
    let said = half.topology().strengths([0, 1, 2]).unwrap();
    assert_eq!(
        said,
        "CPU 0: capacity 1024; CPU 1: at most 3700 MHz; CPU 2: not known"
    );
    // Nor does nonsense.
    let nonsense = (Machine::new().each(0..=1, "cpu_capacity", "many"))
        .each(0..=1, "topology/thread_siblings_list", "0-99999999999")
        .with("devices/cpu_core/cpus", "none");
    assert_eq!(nonsense.relation(0, 1), unknown);
}

#[test]
fn four_thousand_cpus_are_as_any() {
    // Two hyperthreads in each core, sixteen CPUs at each cache.
    let (thread, level, shared) = (
        "topology/core_cpus_list",
        "cache/index0/level",
        "cache/index0/shared_cpu_list",
    );
    let near = |first: usize, machine: Machine| {
        let core = first..=first + 1;
        (machine.each(core.clone(), thread, &format!("{first}-{}", first + 1)))
            .each(core.clone(), level, "3")
            .each(core, shared, "4080-4095")
    };
    let machine = near(4094, near(4092, Machine::new()));
    assert_eq!(machine.relation(4094, 4095).0, Kinship::Hyperthreads);
    assert_eq!(machine.relation(4093, 4095).0, Kinship::Neighbours);
    assert_eq!(machine.relation(4092, 1024).0, Kinship::Cores);
}

#[test]
fn the_kernels_lists_are_read_and_written() {
    let set = |cpus: &[usize]| Some(cpus.iter().copied().collect());
    assert_eq!(cpu_list("0\n"), set(&[0]));
    assert_eq!(cpu_list("0-1,4\n"), set(&[0, 1, 4]));
    assert_eq!(cpu_list("1023-1025,4095"), set(&[1023, 1024, 1025, 4095]));
    for nonsense in ["\n", "a", "1-", "0-18446744073709551615"] {
        assert_eq!(cpu_list(nonsense), None, "{nonsense}");
    }
    assert_eq!(cpu_ranges(&[3]), "CPU 3");
    assert_eq!(cpu_ranges(&[0, 1, 2, 5, 4095]), "CPUs 0-2,5,4095");
}

#[test]
fn what_is_the_same_of_all_is_said_once() {
    let of = |values: &[(usize, Option<&str>)]| {
        let values = values.iter();
        grouped(values.map(|(cpu, value)| (*cpu, value.map(str::to_owned))))
    };
    assert_eq!(of(&[(0, Some("a")), (1, Some("a"))]).unwrap(), "a");
    let said = of(&[(0, Some("a")), (1, Some("b")), (2, Some("a")), (3, None)]).unwrap();
    assert_eq!(said, "CPUs 0,2: a; CPU 1: b; CPU 3: not known");
    assert_eq!(of(&[(0, None), (1, None)]), None);
    assert_eq!(of(&[]), None);
}
