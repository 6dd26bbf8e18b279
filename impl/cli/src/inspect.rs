//! `ringproof inspect`: a segment from outside.

use ringproof::Inspection;
use ringproof::inspect::Peeked;
use ringproof::layout::{Kind, NOTES};
use ringproof::shape::{Description, Value};
use serde::Serialize;

use crate::args::InspectArgs;
use crate::exit::Failure;
use crate::files::Output;
use crate::shown;

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
    byte_order: &'static str,
    fields: Vec<FieldReport<'a>>,
    /// Only with `--peek`.
    #[serde(skip_serializing_if = "Option::is_none")]
    items: Option<Vec<ItemReport<'a>>>,
}

#[derive(Serialize)]
struct FieldReport<'a> {
    name: &'a str,
    offset: u64,
    #[serde(rename = "type")]
    kind: String,
}

#[derive(Serialize)]
struct ItemReport<'a> {
    position: u64,
    /// By field, in the order of the fields; `null` if it was gone before it was copied.
    values: Option<Vec<ValueReport<'a>>>,
}

#[derive(Serialize)]
struct ValueReport<'a> {
    name: &'a str,
    /// A number, or its text where JSON has no such number; an array where the field is one.
    value: serde_json::Value,
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
    let output = Output::stdout()?;
    let seen = Inspection::of(&args.name)?;
    let mut report = report(&seen);
    if let Some(count) = args.peek {
        let items = seen.peek(count)?;
        report.items = Some(
            items
                .iter()
                .map(|item| decode(&seen.description, item))
                .collect(),
        );
    }
    output.report(&if args.json {
        crate::to_json(&report)?
    } else {
        text(&report)
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
        byte_order: seen.description.order().name(),
        fields: seen
            .description
            .fields()
            .iter()
            .map(|field| FieldReport {
                name: &field.name,
                offset: field.offset,
                kind: field.leaf.to_string(),
            })
            .collect(),
        items: None,
    }
}

fn decode<'a>(description: &'a Description, item: &Peeked) -> ItemReport<'a> {
    let values = |bytes: &Vec<u8>| {
        let fields = description.fields().iter();
        let values = fields.map(|field| {
            let mut values = description.values(field, bytes).map(json);
            let value = if field.leaf.count == 1 {
                values.next().unwrap_or_default()
            } else {
                values.collect()
            };
            ValueReport {
                name: &field.name,
                value,
            }
        });
        values.collect()
    };
    ItemReport {
        position: item.position,
        values: item.bytes.as_ref().map(values),
    }
}

/// A number where there is one in JSON: it has no 128-bit integers, no infinity and no NaN.
fn json(value: Value) -> serde_json::Value {
    let text = value.to_string();
    let number = match value {
        Value::Unsigned(number) => u64::try_from(number).ok().map(Into::into),
        Value::Signed(number) => i64::try_from(number).ok().map(Into::into),
        // Of its own digits: as a double it has some that were not written.
        Value::Single(_) => text.parse().ok().and_then(serde_json::Number::from_f64),
        Value::Double(number) => serde_json::Number::from_f64(number),
    };
    number.map_or(text.into(), serde_json::Value::Number)
}

fn text(report: &Report<'_>) -> String {
    let mut lines = vec![
        ("name", shown::name(report.name).into_owned()),
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
    for (number, field) in report.fields.iter().enumerate() {
        let key = if number == 0 { "fields" } else { "" };
        let FieldReport { name, offset, kind } = field;
        lines.push((key, format!("{name}: {kind} at {offset}")));
    }
    for (number, item) in report.items.iter().flatten().enumerate() {
        let key = if number == 0 { "items" } else { "" };
        let values = match &item.values {
            None => "gone, or written, before it was copied".to_owned(),
            Some(values) => {
                let values = values.iter().map(|report| show(report.name, &report.value));
                values.collect::<Vec<_>>().join(", ")
            }
        };
        lines.push((key, format!("{}: {values}", item.position)));
    }
    if report.items.as_ref().is_some_and(Vec::is_empty) {
        lines.push(("items", "none".to_owned()));
    }
    if report.retired {
        lines.push(("retired", "yes: no role may be taken any more".to_owned()));
    }
    let width = lines.iter().map(|(key, _)| key.len()).max().unwrap_or(0);
    lines
        .iter()
        .map(|(key, value)| format!("{key:width$}  {}\n", shown::line(value)))
        .collect()
}

/// How many elements of an array a line of text shows.
const SHOWN: usize = 16;

fn show(name: &str, value: &serde_json::Value) -> String {
    let plain = |value: &serde_json::Value| match value {
        serde_json::Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    match value {
        serde_json::Value::Array(elements) => {
            let mut shown: Vec<_> = elements.iter().take(SHOWN).map(plain).collect();
            if elements.len() > SHOWN {
                shown.push(format!("… {} in all", elements.len()));
            }
            format!("{name} = [{}]", shown.join(", "))
        }
        one => format!("{name} = {}", plain(one)),
    }
}
