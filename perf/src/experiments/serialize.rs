//! What encodings cost: a small message and one of 1 KiB, encoded, decoded, and one field of them.

mod conclusions;
mod fixed;
mod flat;
mod format;
mod json;
mod protobuf;
#[cfg(test)]
mod tests;
mod work;

use conclusions::{Facts, NEVER_VALIDATED};
use fixed::{Offsets, Raw, Rkyv, View};
use flat::Flat;
use format::{FIELDS, Format, PAYLOAD};
use json::Json;
use protobuf::Protobuf;
use work::{Pool, lost, works};

use crate::comparison::{Comparison, Series, Unit};
use crate::cost::{Nothing, Works, measure};
use crate::experiments::Experiment;
use crate::report::{Report, Trouble};
use crate::run::Settings;

/// The experiment.
pub(crate) const EXPERIMENT: Experiment = Experiment {
    name: "serialize",
    title: "serialize",
    subject: "serialize",
    about: "Encodings of a message of 32 bytes and one of 1 KiB",
    details: "Raw copy, offsets by hand, a zero-copy view (zerocopy), rkyv, FlatBuffers, Protobuf \
         (prost) and JSON (serde_json): nanoseconds to encode, to decode and to reach one \
         field, and bytes, beside published ranges. One thread on the first CPU.",
    run,
    ..Experiment::MEASURES
};

/// One format with one size of message.
struct Entry {
    facts: fn(u64) -> Result<Facts, String>,
    works: fn(u64) -> Result<Works, String>,
}

const fn entry<F: Format<N>, const N: usize>() -> Entry {
    Entry {
        facts: facts::<F, N>,
        works: works::<F, N>,
    }
}

fn facts<F: Format<N>, const N: usize>(first: u64) -> Result<Facts, String> {
    Ok(Facts {
        format: F::NAME,
        size: FIELDS + N,
        bytes: Pool::<F, N>::new(first)?.bytes(),
        lost: lost::<F, N>(),
        validates: F::TRUSTING.is_some(),
    })
}

/// What is measured, in the order of the tables; the first of each size is what the others are
/// compared with.
const ENTRIES: [Entry; 14] = [
    entry::<Raw, 0>(),
    entry::<Offsets, 0>(),
    entry::<View, 0>(),
    entry::<Rkyv, 0>(),
    entry::<Flat, 0>(),
    entry::<Protobuf, 0>(),
    entry::<Json, 0>(),
    entry::<Raw, PAYLOAD>(),
    entry::<Offsets, PAYLOAD>(),
    entry::<View, PAYLOAD>(),
    entry::<Rkyv, PAYLOAD>(),
    entry::<Flat, PAYLOAD>(),
    entry::<Protobuf, PAYLOAD>(),
    entry::<Json, PAYLOAD>(),
];

/// Measures every format with both sizes.
///
/// # Errors
/// [`Trouble`]; a message that does not come back as it was has failed.
pub fn run(settings: &Settings) -> Result<Report, Trouble> {
    let pair = settings.pair()?;
    let first = settings.first_item();
    let facts = ENTRIES.iter().map(|entry| (entry.facts)(first));
    let facts: Vec<Facts> = facts.collect::<Result<_, _>>().map_err(Trouble::Failed)?;
    let rounds = measure("serialize", pair, settings, || {
        let mut all: Works = vec![Box::new(Nothing)];
        for entry in &ENTRIES {
            all.extend((entry.works)(first).map_err(Trouble::Failed)?);
        }
        Ok(all)
    })?;

    let large = FIELDS + PAYLOAD;
    let title = format!("serialize: a message of {FIELDS} bytes and one of {large}, ns for each");
    let mut report = Report::of_one_thread(title, pair);
    report.add_conditions("", "serialize", &rounds);
    report.notes.extend(NOTES.map(str::to_owned));
    let mut series = rounds.series.into_iter();
    let mut next = || Ok(series.next().unwrap_or_default());
    let empty = next();
    let mut sizes: Vec<Comparison<Facts>> = Vec::new();
    for facts in facts {
        let mut series: Vec<Series> = (0..3).map(|_| next()).collect();
        series.push(match facts.validates {
            true => next(),
            false => Err(NEVER_VALIDATED.to_owned()),
        });
        match sizes.last_mut() {
            Some(of_size) if of_size.lines[0].of.size == facts.size => of_size.add(facts, series),
            _ => {
                let mut of_size = Comparison::new(Unit::TIME, 0);
                of_size.add(facts, series);
                sizes.push(of_size);
            }
        }
    }
    conclusions::add(&mut report, empty, &sizes);
    Ok(report)
}

const NOTES: [&str; 3] = [
    "median [min–max]; ratios are taken round by round. Each message is decoded and compared to \
     the last bit before the clock starts; within the time the length and the last bytes of each \
     encoding, the time stamp of each decoded message and each field are compared.",
    "Eight messages in turn, in the first-level cache and aligned to a line; encoders write into \
     a buffer that they keep. Decoding makes the struct that the format's user has; Protobuf's \
     allocates its payload, and the JSON payload is base64. To reach z alone Protobuf and JSON \
     decode into a struct that has no other field.",
    "\"Trusted\" leaves out the validation without which bytes from a stranger are undefined \
     behaviour. Published: from the table of serialization methods in the course that has \
     \"Practical measurements on a typical Linux x86-64 system\" (A of `ipc`), for its 32-byte \
     message, without a machine; its JSON is made by sprintf.",
];
