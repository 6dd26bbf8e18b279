//! The machine that was measured, as far as it tells: what a reader must know to compare.
//!
//! Nothing here names the machine itself.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use ringproof_record::machine::{self, read, value};

use crate::counters::Processor;

/// What is known of the machine, by name, in the order in which it is shown.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Environment {
    /// Name and value.
    pub facts: Vec<(&'static str, String)>,
    /// What a reader should be warned of.
    pub warnings: Vec<String>,
}

/// The counters of the kernel's clock for all CPUs together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Ticks {
    all: u64,
    stolen: u64,
}

impl Environment {
    /// Looks at this machine.
    pub fn look() -> Self {
        let unsaid = || "the system does not say".to_owned();
        let cpu = read("/proc/cpuinfo").unwrap_or_default();
        let hypervisor = hypervisor();
        let quota = read("/sys/fs/cgroup/cpu.max").as_deref().and_then(quota);
        let governor = read("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor");
        let smt = read("/sys/devices/system/cpu/smt/active").map(|active| match active.as_str() {
            "1" => "on".to_owned(),
            _ => "off".to_owned(),
        });
        let hugepages = read("/sys/kernel/mm/transparent_hugepage/enabled");
        let mut warnings = Vec::new();
        if hypervisor.is_some() {
            warnings.push(
                "A virtual machine: its CPUs may move between cores, and its host may take them \
                 away. Trust ratios, not absolute figures."
                    .to_owned(),
            );
        }
        if let Some(governor) = governor.as_deref().filter(|name| *name != "performance") {
            warnings.push(format!(
                "The frequency governor is `{governor}`: short experiments may run before the \
                 clock is up. `performance` keeps it up."
            ));
        }
        if let Some(cpus) = quota {
            warnings.push(format!(
                "A CPU quota: this process gets the time of {cpus} CPUs and stands still when it \
                 has had it. Run without one (no --cpus, no CPU limit)."
            ));
        }
        if cfg!(debug_assertions) {
            warnings.push(
                "Built with debug assertions: the figures are not those of a release build."
                    .to_owned(),
            );
        }
        let facts = vec![
            ("processor", machine::cpu().unwrap_or_else(unsaid)),
            (
                "family",
                Processor::named_in(&cpu).map_or_else(unsaid, |processor| processor.to_string()),
            ),
            (
                "microcode",
                value(&cpu, "microcode", ':').unwrap_or_else(unsaid),
            ),
            ("CPUs allowed", machine::cores().to_string()),
            (
                "CPU quota",
                quota.map_or_else(|| "none".to_owned(), |cpus| format!("{cpus} CPUs")),
            ),
            (
                "memory nodes",
                nodes().map_or_else(unsaid, |nodes| nodes.to_string()),
            ),
            (
                "caches",
                caches(Path::new("/sys/devices/system/cpu/cpu0/cache")).unwrap_or_else(unsaid),
            ),
            ("hyperthreads", smt.unwrap_or_else(unsaid)),
            (
                "governor",
                governor.unwrap_or_else(|| {
                    "none: the clock is the hardware's, or the host's, affair".to_owned()
                }),
            ),
            (
                "hypervisor",
                hypervisor.unwrap_or_else(|| "no sign of one".to_owned()),
            ),
            ("kernel", machine::kernel().unwrap_or_else(unsaid)),
            (
                "clock",
                read("/sys/devices/system/clocksource/clocksource0/current_clocksource")
                    .unwrap_or_else(unsaid),
            ),
            (
                "huge pages",
                hugepages.as_deref().and_then(chosen).unwrap_or_else(unsaid),
            ),
            (
                "load before",
                read("/proc/loadavg")
                    .and_then(|text| text.split(' ').next().map(str::to_owned))
                    .unwrap_or_else(unsaid),
            ),
            (
                "stolen since boot",
                said(ticks().and_then(|now| share(Ticks::default(), now))),
            ),
        ];
        Environment { facts, warnings }
    }
}

/// The hypervisor that this runs under, if the processor says that there is one.
#[cfg(target_arch = "x86_64")]
fn hypervisor() -> Option<String> {
    use core::arch::x86_64::__cpuid;
    // Bit 31 of ECX says that there is one; its own leaves then begin with its name.
    if __cpuid(1).ecx >> 31 == 0 {
        return None;
    }
    let leaf = __cpuid(0x4000_0000);
    let words = [leaf.ebx, leaf.ecx, leaf.edx];
    let signature: Vec<u8> = words.into_iter().flat_map(u32::to_le_bytes).collect();
    Some(known_as(&String::from_utf8_lossy(&signature)))
}

/// The hypervisor that this runs under, if the kernel says that there is one.
#[cfg(not(target_arch = "x86_64"))]
fn hypervisor() -> Option<String> {
    let name =
        read("/sys/hypervisor/type").or_else(|| read("/proc/device-tree/hypervisor/compatible"))?;
    Some(name.trim_matches('\0').to_owned())
}

/// How people call the hypervisor with this signature.
#[cfg(target_arch = "x86_64")]
fn known_as(signature: &str) -> String {
    let signature = signature.trim_matches(['\0', ' ']);
    match signature {
        "KVMKVMKVM" => "KVM",
        "VMwareVMware" => "VMware",
        "Microsoft Hv" => "Hyper-V",
        "XenVMMXenVMM" => "Xen",
        "TCGTCGTCGTCG" => "QEMU without hardware's help",
        "bhyve bhyve" => "bhyve",
        "" => "one that does not name itself",
        other => other,
    }
    .to_owned()
}

/// How many CPUs' time a control group may have: the first number of `cpu.max` by the second. None
/// if it may have all.
fn quota(text: &str) -> Option<f64> {
    let (quota, period) = text.split_once(' ')?;
    let (quota, period): (f64, f64) = (quota.parse().ok()?, period.parse().ok()?);
    Some(quota / period)
}

/// How many memory nodes there are.
fn nodes() -> Option<usize> {
    let entries = fs::read_dir("/sys/devices/system/node").ok()?.flatten();
    let names = entries.map(|entry| entry.file_name().to_string_lossy().into_owned());
    let is_node = |name: &String| {
        let number = name.strip_prefix("node");
        number.is_some_and(|number| number.parse::<u32>().is_ok())
    };
    Some(names.filter(is_node).count())
}

/// How much of the machine's time its host kept for others, between two looks.
#[derive(Debug)]
pub struct Steal(Option<Ticks>);

impl Steal {
    /// Begins to look.
    pub fn begin() -> Self {
        Steal(ticks())
    }

    /// What was stolen since, in words.
    pub fn said(&self) -> String {
        let share = self
            .0
            .zip(ticks())
            .and_then(|(before, after)| share(before, after));
        said(share)
    }
}

fn said(share: Option<f64>) -> String {
    match share {
        Some(share) => format!("{:.1} % of the CPUs' time", share * 100.0),
        None => "the kernel does not say".to_owned(),
    }
}

fn share(before: Ticks, after: Ticks) -> Option<f64> {
    let all = after.all.checked_sub(before.all).filter(|all| *all > 0)?;
    let stolen = after.stolen.checked_sub(before.stolen)?;
    Some(stolen as f64 / all as f64)
}

fn ticks() -> Option<Ticks> {
    parse_ticks(&read("/proc/stat")?)
}

/// The first line of `/proc/stat`: user, nice, system, idle, iowait, irq, softirq, steal, and two
/// that are part of the first ones.
fn parse_ticks(text: &str) -> Option<Ticks> {
    let line = text.lines().find_map(|line| line.strip_prefix("cpu "))?;
    let numbers: Result<Vec<u64>, _> = line.split_whitespace().map(str::parse).collect();
    let numbers = numbers.ok()?;
    Some(Ticks {
        all: numbers.iter().take(8).sum(),
        stolen: *numbers.get(7)?,
    })
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

/// The word in brackets, of a file that shows a choice.
fn chosen(text: &str) -> Option<String> {
    let (_, rest) = text.split_once('[')?;
    rest.split_once(']').map(|(word, _)| word.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steal_is_a_share_of_all_time() {
        let at = |text: &str| parse_ticks(text).unwrap();
        let before = at("cpu  10 0 10 70 0 0 0 10 5 5\ncpu0 1 2 3 4 5 6 7 8 9 10\n");
        let after = at("cpu  20 0 20 130 0 0 0 30 9 9\n");
        assert_eq!(
            before,
            Ticks {
                all: 100,
                stolen: 10
            }
        );
        assert_eq!(share(before, after), Some(0.2));
        // A clock that stands still, or goes back, says nothing.
        assert_eq!(share(before, before), None);
        assert_eq!(share(after, before), None);
        assert_eq!(parse_ticks("cpu  1 2 3\n"), None);
    }

    #[test]
    fn a_quota_is_told_in_cpus() {
        assert_eq!(quota("150000 100000"), Some(1.5));
        assert_eq!(quota("max 100000"), None);
        assert_eq!(quota(""), None);
    }

    #[cfg(target_arch = "x86_64")]
    #[test]
    fn hypervisors_are_called_as_people_call_them() {
        assert_eq!(known_as("KVMKVMKVM\0\0\0"), "KVM");
        assert_eq!(known_as("Microsoft Hv"), "Hyper-V");
        assert_eq!(known_as("SomethingNew"), "SomethingNew");
        assert_eq!(
            known_as("\0\0\0\0\0\0\0\0\0\0\0\0"),
            "one that does not name itself"
        );
    }

    #[test]
    fn files_of_the_kernel_are_read() {
        assert_eq!(chosen("always [madvise] never").as_deref(), Some("madvise"));
        assert_eq!(chosen("none"), None);
    }

    #[test]
    fn caches_are_told_by_level_and_kind() {
        let folder = tempfile::tempdir().unwrap();
        for (index, level, kind, size) in [
            ("index0", "1", "Data", "32K"),
            ("index1", "1", "Instruction", "64K"),
            ("index3", "3", "Unified", "16384K"),
        ] {
            let index = folder.path().join(index);
            fs::create_dir(&index).unwrap();
            for (name, text) in [
                ("level", level),
                ("type", kind),
                ("size", size),
                ("coherency_line_size", "64"),
            ] {
                fs::write(index.join(name), format!("{text}\n")).unwrap();
            }
        }
        assert_eq!(
            caches(folder.path()).as_deref(),
            Some("L1d 32K, L1i 64K, L3 16384K; lines of 64 bytes")
        );
        assert_eq!(caches(&folder.path().join("none")), None);
    }

    #[test]
    fn every_fact_has_a_name_and_a_value() {
        let environment = Environment::look();
        assert!(
            environment
                .facts
                .iter()
                .all(|(name, value)| !name.is_empty() && !value.is_empty())
        );
        assert!(
            environment
                .warnings
                .iter()
                .any(|text| text.contains("debug"))
        );
    }
}
