//! What the CPUs are that this process may use, each by itself: those of one machine may differ.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use ringproof_record::machine::{read, value};

use super::not_known;
use crate::counters::Processor;
use crate::cpus::Topology;
use crate::cpus::topology::{folder, grouped};

/// The CPUs of the machine whose `/proc` and `/sys` lie below a folder.
pub(super) struct Processors {
    sys: PathBuf,
    cpus: Vec<usize>,
    cpuinfo: String,
}

impl Processors {
    /// These ones.
    pub(super) fn below(root: &Path, cpus: Vec<usize>) -> Self {
        Processors {
            sys: root.join("sys"),
            cpus,
            cpuinfo: read(root.join("proc/cpuinfo")).unwrap_or_default(),
        }
    }

    /// What they are called, their families and their microcode.
    pub(super) fn names(&self) -> [(&'static str, String); 3] {
        let unsaid = || not_known("`/proc/cpuinfo` does not say");
        let named = |key| {
            self.described(|text| value(text, key, ':'))
                .unwrap_or_else(unsaid)
        };
        let family = self.described(|text| Some(Processor::named_in(text)?.to_string()));
        [
            ("processor", named("model name")),
            ("family", family.unwrap_or_else(unsaid)),
            ("microcode", named("microcode")),
        ]
    }

    /// How strong they are.
    pub(super) fn strengths(&self) -> String {
        let topology = Topology::in_folder(&self.sys);
        topology
            .strengths(self.cpus.iter().copied())
            .unwrap_or_else(|| {
                not_known("the kernel says neither capacity, kind, model nor highest frequency")
            })
    }

    /// Their caches.
    pub(super) fn caches(&self) -> String {
        self.each(|cpu| caches(&folder(&self.sys, cpu).join("cache")))
            .unwrap_or_else(|| not_known("the kernel does not say"))
    }

    /// Who decides about their clocks, and a warning if some clocks may not be up at once.
    pub(super) fn governors(&self) -> (String, Option<String>) {
        let governor = |cpu| read(folder(&self.sys, cpu).join("cpufreq/scaling_governor"));
        let said = self.each(governor).unwrap_or_else(|| {
            not_known("the kernel has none: the clock is the hardware's, or the host's, affair")
        });
        let mut all = self.cpus.iter().filter_map(|cpu| governor(*cpu));
        let slow = all.find(|governor| governor != "performance");
        let warning = slow.map(|governor| {
            format!(
                "The frequency governor is `{governor}`: short experiments may run before the clock is \
                 up. `performance` keeps it up."
            )
        });
        (said, warning)
    }

    /// What is so of which CPUs.
    fn each(&self, of: impl Fn(usize) -> Option<String>) -> Option<String> {
        grouped(self.cpus.iter().map(|cpu| (*cpu, of(*cpu))))
    }

    /// The same, from what `/proc/cpuinfo` says of each. In some containers it has other numbers: then
    /// what it says of all that it has.
    fn described(&self, of: impl Fn(&str) -> Option<String>) -> Option<String> {
        let sections: BTreeMap<usize, &str> = (self.cpuinfo.split("\n\n"))
            .filter_map(|text| Some((value(text, "processor", ':')?.parse().ok()?, text)))
            .collect();
        let of_cpu = |cpu: &usize| (*cpu, sections.get(cpu).and_then(|text| of(text)));
        if self.cpus.iter().any(|cpu| sections.contains_key(cpu)) {
            grouped(self.cpus.iter().map(of_cpu))
        } else {
            grouped(sections.keys().map(of_cpu))
        }
    }
}

/// The caches of a CPU: size and kind by level, and the length of a line.
fn caches(folder: &Path) -> Option<String> {
    let mut levels = BTreeMap::new();
    let mut line = None;
    for index in fs::read_dir(folder).ok()?.flatten() {
        let of = |name: &str| read(index.path().join(name));
        let (Some(level), Some(kind), Some(size)) = (of("level"), of("type"), of("size")) else {
            continue;
        };
        let short = match kind.as_str() {
            "Data" => "d",
            "Instruction" => "i",
            _ => "",
        };
        levels.insert(format!("L{level}{short}"), size);
        line = line.or(of("coherency_line_size"));
    }
    let sizes: Vec<_> = levels
        .iter()
        .map(|(name, size)| format!("{name} {size}"))
        .collect();
    (!sizes.is_empty()).then(|| {
        let line = line.map(|bytes| format!("; lines of {bytes} bytes"));
        sizes.join(", ") + &line.unwrap_or_default()
    })
}

#[cfg(test)]
mod tests {
    use tempfile::TempDir;

    use super::*;

    /// A machine with these files.
    fn machine(files: &[(impl AsRef<Path>, &str)]) -> TempDir {
        let root = TempDir::new().unwrap();
        for (name, text) in files {
            let file = root.path().join(name);
            fs::create_dir_all(file.parent().unwrap()).unwrap();
            fs::write(file, format!("{text}\n")).unwrap();
        }
        root
    }

    const CPU: &str = "sys/devices/system/cpu";

    fn of(root: &TempDir, cpus: &[usize]) -> Processors {
        Processors::below(root.path(), cpus.to_vec())
    }

    #[test]
    fn caches_are_listed_by_level_and_kind() {
        let mut files = Vec::new();
        for (index, level, kind, size) in [
            ("index0", "1", "Data", "32K"),
            ("index1", "1", "Instruction", "64K"),
            ("index3", "3", "Unified", "16384K"),
        ] {
            let file = |name: &str| format!("{CPU}/cpu0/cache/{index}/{name}");
            files.extend([
                (file("level"), level),
                (file("type"), kind),
                (file("size"), size),
            ]);
            files.push((file("coherency_line_size"), "64"));
        }
        let root = machine(&files);
        let said = "L1d 32K, L1i 64K, L3 16384K; lines of 64 bytes";
        assert_eq!(of(&root, &[0]).caches(), said);
        // Of the second CPU nothing is known, and nothing is made up.
        let both = format!("CPU 0: {said}; CPU 1: not known");
        assert_eq!(of(&root, &[0, 1]).caches(), both);
        assert!(of(&root, &[1]).caches().starts_with("not known ("));
    }

    #[test]
    fn what_differs_from_cpu_to_cpu_is_said_of_each_that_may_be_used() {
        let cache = |cpu, name| format!("{CPU}/cpu{cpu}/cache/index0/{name}");
        let governor = |cpu| format!("{CPU}/cpu{cpu}/cpufreq/scaling_governor");
        let capacity = |cpu| format!("{CPU}/cpu{cpu}/cpu_capacity");
        let cpuinfo = "processor\t: 0\nmodel name\t: Small\n\nprocessor\t: 1\nmodel name\t: Big\n";
        let root = machine(&[
            (cache(0, "level"), "1"),
            (cache(0, "type"), "Data"),
            (cache(0, "size"), "32K"),
            (cache(1, "level"), "1"),
            (cache(1, "type"), "Data"),
            (cache(1, "size"), "48K"),
            (governor(0), "schedutil"),
            (governor(1), "performance"),
            (capacity(0), "446"),
            (capacity(1), "1024"),
            ("proc/cpuinfo".to_owned(), cpuinfo),
        ]);
        let both = of(&root, &[0, 1]);
        assert_eq!(both.caches(), "CPU 0: L1d 32K; CPU 1: L1d 48K");
        assert_eq!(
            both.strengths(),
            "CPU 0: capacity 446; CPU 1: capacity 1024"
        );
        assert_eq!(both.names()[0].1, "CPU 0: Small; CPU 1: Big");
        let (said, warning) = both.governors();
        assert_eq!(said, "CPU 0: schedutil; CPU 1: performance");
        assert!(warning.unwrap().contains("`schedutil`"));
        // CPU 0 says nothing of a process that may not use it.
        let big = of(&root, &[1]);
        assert_eq!(big.caches(), "L1d 48K");
        assert_eq!(big.names()[0].1, "Big");
        assert_eq!(big.strengths(), "capacity 1024");
        assert_eq!(big.governors(), ("performance".to_owned(), None));
    }

    #[test]
    fn what_is_not_said_is_not_known() {
        let root = machine(&[] as &[(&str, &str)]);
        let nothing = of(&root, &[0, 1]);
        let mut said = vec![nothing.caches(), nothing.strengths(), nothing.governors().0];
        said.extend(nothing.names().map(|(_, fact)| fact));
        for fact in said {
            assert!(fact.starts_with("not known ("), "{fact}");
        }
        assert_eq!(nothing.governors().1, None);
    }

    #[test]
    fn a_list_with_other_numbers_is_taken_as_a_whole() {
        let root = machine(&[("proc/cpuinfo", "processor : 0\nmodel name : Some CPU\n")]);
        assert_eq!(of(&root, &[4, 5]).names()[0].1, "Some CPU");
    }
}
