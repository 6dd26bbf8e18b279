//! The machine that was measured, as far as it says: what a reader must know to compare.
//!
//! Nothing here names the machine itself.

mod processors;

use std::fs;
use std::path::Path;

use ringproof_record::machine::{self, read};
use ringproof_record::quota::Quota;

use crate::cpus::allowed;
use crate::cpus::topology::cpu_list;
use processors::Processors;

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
        let unsaid = || not_known("the system does not say");
        let allowed = allowed().map_err(|error| error.to_string());
        let cpus = match &allowed {
            Ok(cpus) => cpus.iter().collect(),
            // Where it is not known which may be used, all are described.
            Err(_) => (read("/sys/devices/system/cpu/online").and_then(|list| cpu_list(&list)))
                .map_or(Vec::new(), |cpus| cpus.into_iter().collect()),
        };
        let processors = Processors::below(Path::new("/"), cpus);
        let [name, family, microcode] = processors.names();
        let (governor, slow) = processors.governors();
        let hypervisor = hypervisor();
        let quota = Quota::look();
        let smt = read("/sys/devices/system/cpu/smt/active").map(|active| match active.as_str() {
            "1" => "on".to_owned(),
            _ => "off".to_owned(),
        });
        let hugepages = read("/sys/kernel/mm/transparent_hugepage/enabled");
        let hugepages = hugepages.as_deref().and_then(chosen);
        let nodes = nodes().map(|nodes| nodes.to_string());
        let none = "no sign of one".to_owned();
        let warnings = [
            hypervisor.is_some().then(|| {
                "A virtual machine: its CPUs may move between cores, and its host may take them \
                 away. Trust ratios, not absolute figures."
                    .to_owned()
            }),
            slow,
            quota.cpus().map(|_| {
                format!(
                    "A CPU quota: this process gets the time of {quota}, and stands still when it has \
                     had it. Run without one (no --cpus, no CPU limit)."
                )
            }),
            cfg!(debug_assertions).then(|| {
                "Built with debug assertions: the figures are not those of a release build.".to_owned()
            }),
        ];
        let warnings = warnings.into_iter().flatten().collect();
        let allowed = match &allowed {
            Ok(cpus) => cpus.count().to_string(),
            Err(why) => not_known(&format!("sched_getaffinity: {why}")),
        };
        let clock = read("/sys/devices/system/clocksource/clocksource0/current_clocksource");
        let load = read("/proc/loadavg").and_then(|text| Some(text.split(' ').next()?.to_owned()));
        let stolen = said(ticks().and_then(|now| share(Ticks::default(), now)));
        let or_unsaid = |fact: Option<String>| fact.unwrap_or_else(unsaid);
        let facts = vec![
            name,
            family,
            microcode,
            ("CPUs allowed", allowed),
            ("strength of CPUs", processors.strengths()),
            ("CPU quota", quota.to_string()),
            ("memory nodes", or_unsaid(nodes)),
            ("caches", processors.caches()),
            ("hyperthreads", or_unsaid(smt)),
            ("governor", governor),
            ("hypervisor", hypervisor.unwrap_or(none)),
            ("kernel", or_unsaid(machine::kernel())),
            ("clock", or_unsaid(clock)),
            ("huge pages", or_unsaid(hugepages)),
            ("load before", or_unsaid(load)),
            ("stolen since boot", stolen),
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

/// What stands for a fact that is not to be had.
fn not_known(why: &str) -> String {
    format!("not known ({why})")
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
        let ticks = self.0.zip(ticks());
        said(ticks.and_then(|(before, after)| share(before, after)))
    }
}

fn said(share: Option<f64>) -> String {
    match share {
        Some(share) => format!("{:.1} % of the CPUs' time", share * 100.0),
        None => not_known("the kernel does not say"),
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
        assert_eq!((before.all, before.stolen), (100, 10));
        assert_eq!(share(before, after), Some(0.2));
        // A clock that stands still, or goes back, says nothing.
        assert_eq!(share(before, before), None);
        assert_eq!(share(after, before), None);
        assert_eq!(parse_ticks("cpu  1 2 3\n"), None);
    }

    #[cfg(target_arch = "x86_64")]
    #[test]
    fn hypervisors_are_called_as_people_call_them() {
        assert_eq!(known_as("KVMKVMKVM\0\0\0"), "KVM");
        assert_eq!(known_as("Microsoft Hv"), "Hyper-V");
        assert_eq!(known_as("SomethingNew"), "SomethingNew");
        assert_eq!(known_as(&"\0".repeat(12)), "one that does not name itself");
    }

    #[test]
    fn files_of_the_kernel_are_read() {
        assert_eq!(chosen("always [madvise] never").as_deref(), Some("madvise"));
        assert_eq!(chosen("none"), None);
    }

    #[test]
    fn every_fact_has_a_name_and_a_value() {
        let Environment { facts, warnings } = Environment::look();
        let said = |(name, value): &(&str, String)| !name.is_empty() && !value.is_empty();
        assert!(facts.iter().all(said), "{facts:?}");
        assert!(warnings.iter().any(|text| text.contains("debug")));
    }
}
