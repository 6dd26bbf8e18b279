//! What this process may do that experiments profit from, found by trying.

use std::fs;

use nix::sys::resource::{RLIM_INFINITY, Resource, getrlimit};
use nix::sys::statvfs::statvfs;
use ringproof_record::Record;

use crate::counters::paranoid;
use crate::cpus::Pair;
use crate::report::{LAYER, Report, Trouble};
use crate::table::{Cell, Table, size};

/// Capabilities that experiments profit from, by their bits in `/proc/self/status`.
const CAPABILITIES: [(u32, &str); 4] = [
    (38, "CAP_PERFMON"),
    (21, "CAP_SYS_ADMIN"),
    (23, "CAP_SYS_NICE"),
    (14, "CAP_IPC_LOCK"),
];

/// One thing that was tried: what it is, what came of it (or why nothing did: a clause that follows
/// "because"), what it is needed for, and what allows it.
type Trial = (
    &'static str,
    Result<String, String>,
    &'static str,
    &'static str,
);

/// What decides about the counters, as far as it can be read.
pub(super) fn evidence() -> Vec<String> {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let level = paranoid().map_or("not to be read".to_owned(), |level| level.to_string());
    let devices = fs::read_dir("/sys/bus/event_source/devices");
    let sources = devices.into_iter().flatten().flatten();
    let sources = sources.map(|entry| entry.file_name().to_string_lossy().into_owned());
    let mut sources: Vec<String> = sources.collect();
    sources.sort_unstable();
    vec![
        format!(
            "perf_event_paranoid: {level}; {}; seccomp: {}",
            capabilities(&status),
            seccomp(&status)
        ),
        format!("the kernel has events of: {}", listed(&sources)),
    ]
}

/// Adds a table and rows for what was tried. `pair` says what became of pinning.
pub(super) fn add(report: &mut Report, pair: Result<Pair, Trouble>) {
    let mut table = Table::new(
        "What this process may do:",
        ["what", "here", "needed for", "allowed by"],
    );
    for (what, here, needed_for, allowed_by) in trials(pair) {
        let subject = format!("may/{what}");
        report.rows.push(match &here {
            Ok(_) => Record::passed(LAYER, subject, "tried"),
            Err(why) => Record::not_run(LAYER, subject, "tried", why),
        });
        table.add([
            Cell::words(what),
            here.map_or_else(Cell::missing, Cell::figure),
            Cell::words(needed_for),
            Cell::words(allowed_by),
        ]);
    }
    report.tables.push(table);
}

fn trials(pair: Result<Pair, Trouble>) -> [Trial; 4] {
    let (pinned, preferred) = match pair {
        Ok(pair) => {
            let cpus = format!("CPUs {} and {}", pair.first, pair.second);
            let refused = |call: &str| format!("the system refuses {call}");
            let pinned = pair.pinned.then_some(cpus);
            let preferred = pair.preferred.then(|| "yes".to_owned());
            (
                pinned.ok_or_else(|| refused("sched_setaffinity")),
                preferred.ok_or_else(|| refused("SCHED_RR")),
            )
        }
        Err(Trouble::NotRun(why) | Trouble::Failed(why)) => (Err(why.clone()), Err(why)),
    };
    [
        (
            "pin two threads",
            pinned,
            "every experiment between two threads",
            "a cpuset of two cores (--cpuset-cpus)",
        ),
        (
            "run before other programs",
            preferred,
            "samples that nothing interrupts",
            "CAP_SYS_NICE, or --ulimit rtprio=1",
        ),
        (
            "share memory",
            shared(),
            "rings between processes",
            "--shm-size",
        ),
        (
            "lock memory",
            locked(),
            "pages that must stay; no ring needs them",
            "CAP_IPC_LOCK, or --ulimit memlock=-1",
        ),
    ]
}

fn shared() -> Result<String, String> {
    let folder =
        statvfs("/dev/shm").map_err(|error| format!("/dev/shm cannot be looked at: {error}"))?;
    let free = folder.blocks_available() * folder.fragment_size();
    if free == 0 {
        return Err("/dev/shm is full".to_owned());
    }
    Ok(size(usize::try_from(free).unwrap_or(usize::MAX)))
}

fn locked() -> Result<String, String> {
    let (limit, _) = getrlimit(Resource::RLIMIT_MEMLOCK)
        .map_err(|error| format!("the limit cannot be read: {error}"))?;
    match limit {
        0 => Err("the limit (RLIMIT_MEMLOCK) is zero".to_owned()),
        RLIM_INFINITY => Ok("all of it".to_owned()),
        bytes => Ok(size(usize::try_from(bytes).unwrap_or(usize::MAX))),
    }
}

/// Which of the capabilities this process has.
fn capabilities(status: &str) -> String {
    let effective = field(status, "CapEff").and_then(|text| u64::from_str_radix(text, 16).ok());
    let Some(effective) = effective else {
        return "capabilities: not to be read".to_owned();
    };
    let held = CAPABILITIES
        .iter()
        .filter(|(bit, _)| effective >> bit & 1 == 1);
    let names: Vec<_> = held.map(|(_, name)| (*name).to_owned()).collect();
    format!("capabilities: {}", listed(&names))
}

/// What stands between this process and the kernel.
fn seccomp(status: &str) -> &'static str {
    match field(status, "Seccomp") {
        Some("0") => "off",
        Some("1" | "2") => "on, it may hide perf_event_open",
        _ => "not to be read",
    }
}

/// A field of `/proc/self/status`.
fn field<'a>(status: &'a str, name: &str) -> Option<&'a str> {
    let mut lines = status.lines().filter_map(|line| line.split_once(':'));
    let (_, value) = lines.find(|(key, _)| *key == name)?;
    Some(value.trim())
}

fn listed(names: &[String]) -> String {
    if names.is_empty() {
        return "none of those that matter here".to_owned();
    }
    names.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn capabilities_are_read_by_their_bits() {
        // Bits 38, 23 and 0.
        let status = "Name:\tperf\nCapEff:\t0000004000800001\nSeccomp:\t2\n";
        let held = capabilities(status);
        assert_eq!(held, "capabilities: CAP_PERFMON, CAP_SYS_NICE");
        assert!(seccomp(status).starts_with("on"));
        let nothing = "CapEff:\t0000000000000000\nSeccomp:\t0\n";
        assert!(capabilities(nothing).contains("none"));
        assert_eq!(seccomp(nothing), "off");
        assert!(capabilities("").contains("not to be read"));
    }

    #[test]
    fn what_was_refused_has_its_reason_in_its_row_and_its_cell() {
        let mut report = Report::new("tried");
        let why = "there is one CPU";
        add(&mut report, Err(Trouble::NotRun(why.to_owned())));
        assert_eq!(report.rows[0].reason.as_deref(), Some(why));
        assert_eq!(report.tables[0].rows()[0][1], Cell::missing(why));
    }
}
