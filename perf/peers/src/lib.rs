//! ringproof beside the crates that its users would pick instead.
//!
//! What `ringproof-perf peers` asks for: a package of its own, because nothing else needs so many
//! crates.

mod dbus;
mod grpc;
mod iceoryx;
mod queues;
mod rings;
mod standing;
mod values;

use ringproof_perf::cpus::Pair;
use ringproof_perf::ipc::{self as processes, Mechanism};
use ringproof_perf::report::{Report, Trouble};
use ringproof_perf::run::Settings;

/// All that this program measures between processes, for the processes that do it.
pub fn mechanisms() -> Vec<Mechanism> {
    let mut all = in_shared_memory();
    all.extend(over_sockets());
    all
}

/// Our ring and its peers that work between processes.
fn in_shared_memory() -> Vec<Mechanism> {
    let mut mechanisms = our_rings();
    mechanisms.push(iceoryx::PUBLISH_SUBSCRIBE);
    mechanisms
}

/// What needs crates that only this program has.
fn over_sockets() -> [Mechanism; 2] {
    [dbus::SIGNALS, grpc::CALL]
}

fn our_rings() -> Vec<Mechanism> {
    let all = processes::all().iter().copied();
    all.filter(|mechanism| mechanism.name.starts_with("ring,"))
        .collect()
}

/// Rings and latest values within this process, and messages through shared memory between two.
pub fn peers(settings: &Settings) -> Report {
    type Part = fn(&Settings, Pair) -> Result<Report, Trouble>;
    let parts: [(&str, Part); 3] = [
        ("ring/peers", rings::report),
        ("latest value/peers", values::report),
        ("ring/peers between processes", |settings, _| {
            processes::report(settings, &in_shared_memory())
        }),
    ];
    let title = "peers: ring, seqlock and latch beside other crates";
    let pair = match settings.pair() {
        Ok(pair) => pair,
        Err(trouble) => return Report::of_trouble(title, "ring/peers", &trouble),
    };
    let mut whole = Report::on(title, pair);
    let parts = parts.map(|(subject, part)| {
        part(settings, pair)
            .unwrap_or_else(|trouble| Report::of_trouble(subject, subject, &trouble))
    });
    join(&mut whole, parts);
    whole
}

/// D-Bus and gRPC, and our ring in the same rounds.
pub fn ipc(settings: &Settings) -> Report {
    let title = "ipc: D-Bus and gRPC between two processes";
    let mut mechanisms = our_rings();
    mechanisms.extend(over_sockets());
    let report = processes::report(settings, &mechanisms);
    let mut report =
        report.unwrap_or_else(|trouble| Report::of_trouble(title, "D-Bus, gRPC", &trouble));
    title.clone_into(&mut report.title);
    report.note(
        "D-Bus: a signal for each message, without a bus; gRPC: one call in which both sides \
         stream, over HTTP/2, with a thread of tokio on the CPU of either process: taking turns \
         with it counts as a preemption, and its system calls are not among those counted",
    );
    report
}

/// Adds the contents of `parts`: one that has no result says why, and keeps nothing of the others
/// away.
fn join(whole: &mut Report, parts: impl IntoIterator<Item = Report>) {
    for part in parts {
        for note in part.notes {
            // Each part says on which CPUs it ran.
            if !whole.notes.contains(&note) {
                whole.notes.push(note);
            }
        }
        whole.tables.extend(part.tables);
        whole.plots.extend(part.plots);
        whole.conclusions.extend(part.conclusions);
        whole.rows.extend(part.rows);
    }
}

#[cfg(test)]
mod tests {
    use ringproof_record::Verdict;

    use super::*;

    #[test]
    fn a_part_without_result_says_why_beside_the_others() {
        let mut whole = Report::new("peers");
        whole.note("CPUs 0 and 1");
        let mut good = Report::new("rings");
        good.note("CPUs 0 and 1");
        good.conclusions.push("as fast".to_owned());
        let why = Trouble::NotRun("the CPUs moved".to_owned());
        let bad = Report::of_trouble("values", "values", &why);
        join(&mut whole, [good, bad]);
        assert!(whole.has(Verdict::NotRun));
        assert_eq!(whole.notes.len(), 1);
        let said = whole.render();
        let both = said.contains("as fast") && said.contains("the CPUs moved");
        assert!(both, "{said}");
    }

    #[test]
    fn mechanisms_differ_and_our_ring_is_among_those_in_memory() {
        let mut names: Vec<_> = mechanisms().iter().map(|known| known.name).collect();
        names.sort_unstable();
        assert!(names.windows(2).all(|two| two[0] != two[1]), "{names:?}");
        assert!(!our_rings().is_empty());
    }
}
