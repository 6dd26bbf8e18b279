//! A small run that never was: its sites, its rows, its machine.

use ringproof_record::machine::Machine;
use ringproof_record::{Record, SiteRow};
use ringproof_verify::layers::LAYERS;
use ringproof_verify::report::{About, Part, ProgramFile, Ran, Report};

fn site(name: &str, kind: &str, ordering: &str) -> SiteRow {
    SiteRow {
        name: name.to_owned(),
        kind: kind.to_owned(),
        ordering: ordering.to_owned(),
        partner: "RingObserve".to_owned(),
        why: "makes the slot's bytes visible before the index that announces them".to_owned(),
    }
}

pub(crate) fn sites() -> Vec<SiteRow> {
    vec![
        site("RingPublish", "store", "Release"),
        site("SeqEnter", "store", "Relaxed"),
        site("SeqFence", "fence", "Release"),
        site("SeqResume", "load", "Relaxed"),
        site("RingSlotWrite", "slot write", "plain"),
    ]
}

/// Rows that fill every required cell, one list for each layer.
pub(crate) fn complete() -> Vec<Vec<Record>> {
    let mutant =
        |name: &str| Record::passed("loom", name, "mutant: Relaxed").count(12, "executions");
    let crash = |name: &str| Record::passed("crash", name, "crash before").count(3, "kills");
    vec![
        vec![
            mutant("RingPublish"),
            mutant("SeqFence"),
            Record::passed("loom", "RingSlotWrite", "race detection"),
            Record::passed("loom", "ring/wrap", "control")
                .count(15196, "executions")
                .reason("EXHAUSTED"),
        ],
        vec![Record::passed("shuttle", "ring/wrap", "control").count(5000, "schedules")],
        vec![
            crash("RingPublish"),
            crash("SeqEnter"),
            crash("SeqFence"),
            crash("RingSlotWrite"),
            crash("SeqResume"),
        ],
        vec![Record::passed("stream", "send and recv", "same SHA-256")],
        vec![Record::passed("hostile", "SeqResume", "adversary").count(90, "inputs")],
        vec![Record::passed("faults", "two takers", "one holder")],
        vec![Record::passed("soak", "ring", "kills").count(1000, "kills")],
        vec![Record::passed("abi", "c-to-rust", "ring").count(7, "items")],
        vec![Record::passed("asm", "push", "no call")],
        vec![Record::passed("perf", "false-sharing", "ran")],
        vec![Record::passed("layouts", "gcc -m32", "as it stands")],
        vec![Record::passed("axioms", "ring/small", "control").count(9, "candidates")],
        vec![Record::passed("specimens", "S1", "caught by loom").count(14, "executions")],
    ]
}

/// The place of a layer among the others.
pub(crate) fn place(layer: &str) -> usize {
    (LAYERS.iter())
        .position(|known| known.name == layer)
        .expect("there is such a layer")
}

/// The program of a layer.
pub(crate) fn program(layer: &str) -> ProgramFile {
    ProgramFile {
        path: format!("target/debug/{layer}"),
        sha256: "0123456789abcdef".repeat(4),
    }
}

pub(crate) fn about() -> About {
    About {
        commit: Some("0123456789abcdef0123456789abcdef01234567-dirty".to_owned()),
        machine: Machine {
            cpu: "Some CPU".to_owned(),
            cores: Some(2),
            kernel: "6.18.0".to_owned(),
            os: "Some Linux".to_owned(),
            rustc: "rustc 1.95.0".to_owned(),
        },
        seed: 7,
        nightly: false,
        part: Part::Whole,
    }
}

/// The report of a whole run in which every layer printed these rows.
pub(crate) fn report(rows: Vec<Vec<Record>>, strict: bool) -> Report {
    let rows = rows.into_iter().map(Some).collect();
    Report::new(about(), sites(), ran(rows), strict)
}

pub(crate) fn ran(rows: Vec<Option<Vec<Record>>>) -> Vec<Ran> {
    LAYERS
        .iter()
        .zip(rows)
        .map(|(layer, rows)| match rows {
            None => Ran::left_out(layer.name),
            rows => Ran {
                name: layer.name.to_owned(),
                rows,
                seconds: 1.5,
                programs: vec![program(layer.name)],
            },
        })
        .collect()
}
