//! Tables, conclusions and rows from what was measured.

use ringproof_record::Record;

use super::published::{Claim, GAIN, Lies, Range, Source, about_mechanism, short};
use super::runner::{Figure, Line, Measured};
use crate::plot::Plot;
use crate::report::{LAYER, Report, Trouble};
use crate::stats::{Effect, Ratio, Summary, summarize};
use crate::table::{self, Cell, Table, figure, spread};

/// One of the two things that are measured of a mechanism.
struct Quantity {
    /// What the rows' checks begin with.
    check: &'static str,
    /// The unit of the rows.
    unit: &'static str,
    /// The unit of tables, as a number of the rows' units, and its name.
    shown: (f64, &'static str),
    /// The figure of a line.
    of: fn(&Line) -> &Figure,
    /// What is said about it.
    claimed: fn(&Claim) -> Option<Range>,
}

/// The beginning of the check of a row with a latency, in nanoseconds.
pub(super) const LATENCY: &str = "one-way latency";
/// The beginning of the check of a row with a rate, in messages a second.
pub(super) const RATE: &str = "messages a second";
/// What the subjects of rows begin with.
pub(super) const SUBJECT: &str = "ipc/";

const QUANTITIES: [Quantity; 2] = [
    Quantity {
        check: LATENCY,
        unit: "ns",
        shown: (1e3, "µs"),
        of: |line| &line.latency,
        claimed: |claim| claim.latency,
    },
    Quantity {
        check: RATE,
        unit: "messages/s",
        shown: (1e3, "thousand messages/s"),
        of: |line| &line.rate,
        claimed: |claim| claim.rate,
    },
];

/// Tables, pictures, rows and conclusions of what was measured.
pub(super) fn add(report: &mut Report, measured: &[Measured]) {
    for measured in measured {
        let about = table::size(measured.size);
        report.add_conditions(&about, &format!("ipc, {about}"), &measured.rounds);
        report.tables.push(table(measured));
        for quantity in &QUANTITIES {
            report.plots.push(plot(measured, quantity));
            let rows = measured.lines.iter();
            report
                .rows
                .extend(rows.map(|line| row_of(line, quantity, measured.size)));
        }
        let lines = measured.lines.iter();
        for figure in lines.flat_map(|line| [&line.latency, &line.rate]) {
            if let Err(Trouble::Failed(why)) = figure {
                report.conclusions.push(format!("FAILED: {why}."));
            }
        }
    }
    report.notes.extend(how_calls_were_counted(measured));
    if let Some(small) = measured.first() {
        report.conclusions.extend(gain(small));
        report.conclusions.extend(waking(small));
        for quantity in &QUANTITIES {
            report.conclusions.extend(ranges_that_hold(small, quantity));
        }
    }
    report.notes.push(
        "latency is half a round trip; messages are made, copied and checked within the time; \
         sleeps are voluntary context switches for each message of 64 round trips; a sample of what \
         polls is also taken again if the CPUs moved around it; median [min–max]"
            .to_owned(),
    );
    let sources = Source::ALL.map(|source| format!("{}: {}", source.letter(), source.title()));
    report.notes.push(format!(
        "printed: what published tables say, for messages of a size that they do not name: {}; a single \
         figure (~) is taken for half to twice of it",
        sources.join("; ")
    ));
}

fn table(measured: &Measured) -> Table {
    let mut table = Table::new(
        format!("Messages of {}:", table::size(measured.size)),
        [
            "mechanism",
            "one way, µs",
            "printed",
            "thousand/s",
            "printed",
            "system calls a message",
            "printed",
            "sleeps",
        ],
    );
    for line in &measured.lines {
        let mut cells = vec![Cell::words(line.name)];
        for quantity in &QUANTITIES {
            let (unit, _) = quantity.shown;
            let summary = summary((quantity.of)(line));
            let printed = about_mechanism(line.name).filter_map(|claim| {
                let range = (quantity.claimed)(claim)?;
                let place = match &summary {
                    Ok(summary) => match range.place(summary.median) {
                        Lies::Within => ": within",
                        Lies::Below(_) => ": below",
                        Lies::Above(_) => ": above",
                    },
                    Err(_) => "",
                };
                Some(format!(
                    "{} {}{place}",
                    claim.source.letter(),
                    range.said(unit)
                ))
            });
            let printed = printed.collect::<Vec<_>>().join(", ");
            cells.push(match summary {
                Ok(summary) => Cell::figure(spread(summary.times(1.0 / unit))),
                Err(Trouble::NotRun(why) | Trouble::Failed(why)) => Cell::missing(why),
            });
            cells.push(Cell::words(printed));
        }
        cells.push(match &line.system_calls {
            Ok(counted) => Cell::figure(format!("{} counted", short(*counted))),
            Err(_) => Cell::figure(format!("{} by design", line.nature.system_calls)),
        });
        let printed = about_mechanism(line.name)
            .filter_map(|claim| Some(format!("{} {}", claim.source.letter(), claim.system_calls?)));
        cells.push(Cell::words(printed.collect::<Vec<_>>().join(", ")));
        cells.push(match line.sleeps {
            Some(sleeps) => Cell::figure(short(sleeps)),
            None => Cell::words(""),
        });
        table.add(cells);
    }
    table
}

/// How tables came by their system calls, unless all were counted.
fn how_calls_were_counted(measured: &[Measured]) -> Option<String> {
    let lines = || measured.iter().flat_map(|measured| &measured.lines);
    let mut ran = lines().filter(|line| line.latency.is_ok());
    let why = ran.find_map(|line| line.system_calls.as_ref().err());
    match why {
        Some(why) => Some(format!(
            "system calls \"by design\" are those that the code makes for a message when no side \
             has to sleep; they were not counted, because {why}"
        )),
        None => lines().any(|line| line.system_calls.is_ok()).then(|| {
            "system calls were counted by the kernel (raw_syscalls:sys_enter) over 64 round trips \
             of their own"
                .to_owned()
        }),
    }
}

fn summary(figure: &Figure) -> Result<Summary, Trouble> {
    let series = figure.as_ref().map_err(Clone::clone)?;
    summarize(series).ok_or_else(|| Trouble::NotRun("no round counts".to_owned()))
}

fn plot(measured: &Measured, quantity: &Quantity) -> Plot {
    let (unit, name) = quantity.shown;
    let bars = measured.lines.iter().filter_map(|line| {
        let summary = summary((quantity.of)(line)).ok()?;
        Some((line.name.to_owned(), summary.times(1.0 / unit)))
    });
    let title = format!("{}, {}", quantity.check, table::size(measured.size));
    Plot::bars(title, name, bars)
}

fn row_of(line: &Line, quantity: &Quantity, size: usize) -> Record {
    let subject = format!("{SUBJECT}{}", line.name);
    let check = format!("{}, {size} B", quantity.check);
    match summary((quantity.of)(line)) {
        Ok(summary) => Record::passed(LAYER, subject, check)
            .count(summary.median.round() as u64, quantity.unit)
            .reason(format!(
                "median; {:.0}–{:.0} {}",
                summary.min, summary.max, quantity.unit
            )),
        Err(Trouble::NotRun(why)) => Record::not_run(LAYER, subject, check, why),
        Err(Trouble::Failed(why)) => Record::failed(LAYER, subject, check, why),
    }
}

/// Whether messages go through the kernel: as counted, or else by design.
fn through_the_kernel(line: &Line) -> bool {
    line.system_calls
        .as_ref()
        .map_or(line.nature.system_calls > 0, |counted| *counted >= 0.5)
}

/// The line with the lowest latency among some, and its series.
fn fastest(measured: &Measured, among: impl Fn(&Line) -> bool) -> Option<(&Line, &[f64])> {
    let candidates = measured.lines.iter().filter(|line| among(line));
    let candidates = candidates.filter_map(|line| {
        let series = line.latency.as_ref().ok()?;
        Some((line, series, summarize(series)?.median))
    });
    let best = candidates.min_by(|one, other| one.2.total_cmp(&other.2));
    best.map(|(line, series, _)| (line, series.as_slice()))
}

/// How much what stays out of the kernel wins.
fn gain(measured: &Measured) -> Option<String> {
    let (without, fast) = fastest(measured, |line| !through_the_kernel(line))?;
    let (through, slow) = fastest(measured, through_the_kernel)?;
    let Ratio { of: ratio, effect } = Ratio::of(slow, fast)?;
    let Summary { median, min, max } = ratio;
    let shown = format!("{median:.1} times [{min:.1}–{max:.1}]");
    let (without, through) = (without.name, through.name);
    let size = table::size(measured.size);
    Some(match effect {
        Effect::Above => {
            let place = match GAIN.place(median) {
                Lies::Within => "within the",
                Lies::Below(_) => "less than the",
                Lies::Above(_) => "more than the",
            };
            format!(
                "At {size} the {without} is the fastest that stays out of the kernel: {shown} as \
                 fast one way as the {through}, the fastest that does not; {place} {} times that A \
                 prints.",
                GAIN.said(1.0)
            )
        }
        Effect::Below => format!(
            "At {size} staying out of the kernel LOSES: the {through} has {shown} the latency of \
             the {without}."
        ),
        Effect::None => format!(
            "At {size} staying out of the kernel gains nothing that stands out of the noise: \
             the {through} has {shown} the latency of the {without}."
        ),
        Effect::TooFewRounds => return None,
    })
}

/// A message that finds its receiver asleep costs the waking, whatever brought it.
fn waking(measured: &Measured) -> Option<String> {
    /// Within this factor of the fastest it is much the same.
    const ALIKE: f64 = 2.0;
    let asleep = |line: &Line| line.sleeps.is_some_and(|sleeps| sleeps >= 0.5);
    let latency = |line: &Line| Some(summarize(line.latency.as_ref().ok()?)?.median);
    let sleepers = measured.lines.iter().filter(|line| asleep(line));
    let latencies: Vec<f64> = sleepers.filter_map(latency).collect();
    let all = summarize(&latencies).filter(|_| latencies.len() >= 3)?;
    let near = |latency: &&f64| **latency <= ALIKE * all.min;
    let alike = latencies.iter().filter(near).count();
    let (count, size) = (latencies.len(), table::size(measured.size));
    let lowest = figure(all.min / 1e3);
    // Most: three of four.
    if alike * 4 < count * 3 {
        let highest = figure(all.max / 1e3);
        return Some(format!(
            "The {count} mechanisms whose receiver slept before each message differ at {size}, from \
             {lowest} to {highest} µs: more than the waking is between them."
        ));
    }
    let mut text = format!(
        "Of {count} mechanisms whose receiver slept before each message, {alike} lie within twice \
         of {lowest} µs at {size}: one pays for the waking there, hardly for the mechanism"
    );
    let awake = |line: &Line| through_the_kernel(line) && !asleep(line);
    if let Some((line, series)) = fastest(measured, awake)
        && let Some(polls) = summarize(series).filter(|polls| polls.median < all.min)
        && let Ok(system_calls) = line.system_calls
    {
        text += &format!(
            " (the {} polls, by {} system calls a message, and takes {} µs)",
            line.name,
            short(system_calls),
            figure(polls.median / 1e3)
        );
    }
    Some(text + ".")
}

/// How many of the ranges that are printed hold here, and which lies farthest off.
fn ranges_that_hold(measured: &Measured, quantity: &Quantity) -> Option<String> {
    let mut farthest = (1.0, String::new());
    let mut sources = Vec::new();
    for source in Source::ALL {
        let (mut all, mut hold) = (0, 0);
        for line in &measured.lines {
            let Ok(summary) = summary((quantity.of)(line)) else {
                continue;
            };
            let claims = about_mechanism(line.name).filter(|claim| claim.source == source);
            for range in claims.filter_map(quantity.claimed) {
                all += 1;
                let (by, side) = match range.place(summary.median) {
                    Lies::Within => {
                        hold += 1;
                        continue;
                    }
                    Lies::Below(by) => (by, "below"),
                    Lies::Above(by) => (by, "above"),
                };
                if by > farthest.0 {
                    let letter = source.letter();
                    let said = format!("{} lies {} times {side} {letter}", line.name, figure(by));
                    farthest = (by, said);
                }
            }
        }
        if all > 0 {
            sources.push(format!("{hold} of {all} of {}", source.letter()));
        }
    }
    if sources.is_empty() {
        return None;
    }
    let (check, size) = (quantity.check, table::size(measured.size));
    let mut text = format!(
        "Printed ranges of {check} that hold at {size}: {}",
        sources.join(", ")
    );
    if !farthest.1.is_empty() {
        text += &format!("; {}", farthest.1);
    }
    Some(text + ".")
}

#[cfg(test)]
mod tests;
