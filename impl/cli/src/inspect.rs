//! `ringproof inspect`: a segment from outside.

use ringproof::inspect::Peeked;
use ringproof::layout::Kind;
use ringproof::shape::{Description, Value};
use ringproof::{Inspection, Role};
use serde::Serialize;

use crate::args::InspectArgs;
use crate::exit::Failure;
use crate::files::Output;
use crate::shown;

/// What `--json` prints.
#[derive(Serialize)]
struct Report<'a> {
    #[serde(flatten)]
    seen: &'a Inspection,
    /// Only with `--peek`.
    #[serde(skip_serializing_if = "Option::is_none")]
    items: Option<Vec<ItemReport<'a>>>,
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

pub(crate) fn run(args: &InspectArgs) -> Result<(), Failure> {
    let output = Output::stdout()?;
    let seen = Inspection::of(&args.name)?;
    let peeked = args.peek.map(|count| seen.peek(count)).transpose()?;
    let decoded = |item: &Peeked| decode(&seen.description, item);
    let items = peeked.map(|items| items.iter().map(decoded).collect());
    let report = Report { seen: &seen, items };
    output.report(&if args.json {
        crate::to_json(&report)?
    } else {
        text(&report)
    })
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
    let (seen, fixed) = (report.seen, &report.seen.fixed);
    let mut lines = vec![
        ("name", shown::name(&seen.name).into_owned()),
        (
            "kind",
            format!("{}, layout version {}", seen.kind.name(), fixed.version),
        ),
        (
            "items",
            format!(
                "{} bytes each, aligned to {}",
                fixed.payload_size, fixed.payload_align
            ),
        ),
        (
            "memory",
            format!(
                "{} slots, {} bytes with the header",
                fixed.slots, fixed.segment_len
            ),
        ),
    ];
    for state in &seen.roles {
        let held = if state.held { "held" } else { "free" };
        let asks = if state.asks { ", asks to be woken" } else { "" };
        lines.push((
            state.role.name(),
            format!("{held}, taken {}{asks}", times(state.epoch)),
        ));
        if state.wakes > 0 {
            let sleeper = match state.role {
                Role::Producer => "the consumer",
                Role::Consumer => "the producer",
                Role::Writer => "its readers",
            };
            lines.push(("  woke", format!("{sleeper} {}", times(state.wakes))));
        }
        // Most segments have none, and the last words of most notes are zero.
        if let Some(last) = state.notes.iter().rposition(|&note| note != 0) {
            let notes = state.notes[..=last].iter().map(|note| format!("{note:#x}"));
            lines.push(("  notes", notes.collect::<Vec<_>>().join(" ")));
        }
    }
    match seen.kind {
        Kind::Ring => {
            let (capacity, occupancy) = (fixed.capacity, seen.occupancy());
            lines.push(("written", format!("{} items", seen.write_index)));
            lines.push(("read", format!("{} items", seen.read_index)));
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
                match seen.end_index {
                    None => "open".to_owned(),
                    Some(end) if end == seen.read_index => format!("at {end}, all of it read"),
                    Some(end) => format!("at {end}"),
                },
            ));
            lines.push((
                "stop",
                match seen.stop_index {
                    None => "open".to_owned(),
                    Some(stop) => format!("at {stop}, no more is read"),
                },
            ));
        }
        Kind::SeqLock => {
            let seq = seen.write_index;
            let state = if seq % 2 == 1 {
                ", in a write (or its writer died in one)"
            } else {
                ""
            };
            lines.push(("seq", format!("{seq}{state}")));
        }
        Kind::Latch => lines.push(("latest", seen.write_index.to_string())),
    }
    for (number, field) in seen.description.fields().iter().enumerate() {
        let key = if number == 0 { "fields" } else { "" };
        let (name, leaf, offset) = (&field.name, field.leaf, field.offset);
        lines.push((key, format!("{name}: {leaf} at {offset}")));
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
    if seen.retired {
        lines.push(("retired", "yes: no role may be taken any more".to_owned()));
    }
    let width = lines.iter().map(|(key, _)| key.len()).max().unwrap_or(0);
    lines
        .iter()
        .map(|(key, value)| format!("{key:width$}  {}\n", shown::line(value)))
        .collect()
}

fn times(count: u64) -> String {
    format!("{count} {}", if count == 1 { "time" } else { "times" })
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
