//! `ringproof inspect`: a segment from outside.

use std::io::{self, ErrorKind, Write};

use ringproof::Inspection;
use ringproof::layout::{Kind, NOTES};
use serde::Serialize;

use crate::args::InspectArgs;
use crate::exit::Failure;

/// What `--json` prints.
#[derive(Serialize)]
struct Report<'a> {
    name: &'a str,
    kind: &'static str,
    version: u32,
    payload_size: u64,
    payload_align: u64,
    slots: u64,
    capacity: u64,
    segment_len: u64,
    retired: bool,
    roles: Vec<RoleReport>,
    #[serde(flatten)]
    positions: Positions,
}

#[derive(Serialize)]
struct RoleReport {
    role: &'static str,
    held: bool,
    epoch: u64,
    notes: [u64; NOTES],
}

#[derive(Serialize)]
#[serde(untagged)]
enum Positions {
    Ring {
        write_index: u64,
        read_index: u64,
        occupancy: u64,
        end_index: Option<u64>,
        stop_index: Option<u64>,
    },
    SeqLock {
        seq: u64,
    },
    Latch {
        latest: u64,
    },
}

pub(crate) fn run(args: &InspectArgs) -> Result<(), Failure> {
    let seen = Inspection::of(&args.name)?;
    let report = report(&seen);
    let text = if args.json {
        let json = serde_json::to_string_pretty(&report);
        json.map_err(|error| Failure::Unexpected(format!("cannot make JSON of it: {error}")))?
            + "\n"
    } else {
        text(&report)
    };
    let mut out = io::stdout().lock();
    let written = out.write_all(text.as_bytes()).and_then(|()| out.flush());
    written.map_err(|source| match source.kind() {
        ErrorKind::BrokenPipe => Failure::ReportClosed,
        _ => Failure::io("write the report")(source),
    })
}

fn report(seen: &Inspection) -> Report<'_> {
    Report {
        name: &seen.name,
        kind: seen.kind.name(),
        version: seen.fixed.version,
        payload_size: seen.fixed.payload_size,
        payload_align: seen.fixed.payload_align,
        slots: seen.fixed.slots,
        capacity: seen.fixed.capacity,
        segment_len: seen.fixed.segment_len,
        retired: seen.retired,
        roles: seen
            .roles
            .iter()
            .map(|state| RoleReport {
                role: state.role.name(),
                held: state.held,
                epoch: state.epoch,
                notes: state.notes,
            })
            .collect(),
        positions: match seen.kind {
            Kind::Ring => Positions::Ring {
                write_index: seen.write_index,
                read_index: seen.read_index,
                occupancy: seen.occupancy(),
                end_index: seen.end_index,
                stop_index: seen.stop_index,
            },
            Kind::SeqLock => Positions::SeqLock {
                seq: seen.write_index,
            },
            Kind::Latch => Positions::Latch {
                latest: seen.write_index,
            },
        },
    }
}

fn text(report: &Report<'_>) -> String {
    let mut lines = vec![
        ("name", report.name.to_owned()),
        (
            "kind",
            format!("{}, layout version {}", report.kind, report.version),
        ),
        (
            "items",
            format!(
                "{} bytes each, aligned to {}",
                report.payload_size, report.payload_align
            ),
        ),
        (
            "memory",
            format!(
                "{} slots, {} bytes with the header",
                report.slots, report.segment_len
            ),
        ),
    ];
    for state in &report.roles {
        let held = if state.held { "held" } else { "free" };
        let times = if state.epoch == 1 { "time" } else { "times" };
        lines.push((state.role, format!("{held}, taken {} {times}", state.epoch)));
        // Most segments have none, and the last words of most notes are zero.
        if let Some(last) = state.notes.iter().rposition(|&note| note != 0) {
            let notes = state.notes[..=last].iter().map(|note| format!("{note:#x}"));
            lines.push(("  notes", notes.collect::<Vec<_>>().join(" ")));
        }
    }
    match report.positions {
        Positions::Ring {
            write_index,
            read_index,
            occupancy,
            end_index,
            stop_index,
        } => {
            let capacity = report.capacity;
            lines.push(("written", format!("{write_index} items")));
            lines.push(("read", format!("{read_index} items")));
            lines.push((
                "occupancy",
                if occupancy <= capacity {
                    let percent = u128::from(occupancy) * 100 / u128::from(capacity.max(1));
                    format!("{occupancy} of {capacity} items ({percent} %)")
                } else {
                    format!(
                        "{occupancy} of {capacity} items: it moved during the look, or somebody \
                         wrote over it"
                    )
                },
            ));
            lines.push((
                "end",
                match end_index {
                    None => "open".to_owned(),
                    Some(end) if end == read_index => format!("at {end}, all of it read"),
                    Some(end) => format!("at {end}"),
                },
            ));
            lines.push((
                "stop",
                match stop_index {
                    None => "open".to_owned(),
                    Some(stop) => format!("at {stop}, no more is read"),
                },
            ));
        }
        Positions::SeqLock { seq } => {
            let state = if seq % 2 == 1 {
                ", in a write (or its writer died in one)"
            } else {
                ""
            };
            lines.push(("seq", format!("{seq}{state}")));
        }
        Positions::Latch { latest } => lines.push(("latest", latest.to_string())),
    }
    if report.retired {
        lines.push(("retired", "yes: no role may be taken any more".to_owned()));
    }
    let width = lines.iter().map(|(key, _)| key.len()).max().unwrap_or(0);
    lines
        .iter()
        .map(|(key, value)| format!("{key:width$}  {value}\n"))
        .collect()
}
