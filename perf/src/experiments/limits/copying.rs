//! How fast one thread copies memory that is its own, by the size of the block.

use std::hint::black_box;
use std::time::{Duration, Instant};

use super::{Outcome, alone_sampled, doubled, note};
use crate::comparison::{Comparison, Unit};
use crate::cpus::Pair;
use crate::report::{Report, Trouble};
use crate::rounds::Rounds;
use crate::run::{Settings, measure_each};
use crate::stats::Effect;
use crate::table::{figure, size};

/// The subject of its rows.
pub(super) const SUBJECT: &str = "machine/memcpy";

/// Bytes copied.
const BANDWIDTH: Unit = Unit {
    name: "GB/s",
    thousandth: "MB/s",
    is_rate: true,
};

/// The sizes of the blocks in bytes.
const SIZES: [usize; 9] = doubled(1 << 10, 2);

/// Measures every size.
pub(super) fn run(settings: &Settings, pair: Pair, report: &mut Report) -> Outcome {
    let sizes: &[usize] = settings.extent.pick(&[4 << 10, 1 << 20], &SIZES);
    let name = "memcpy";
    let rounds = measure_each(name, sizes.len(), Some(pair), settings, |case| {
        alone_sampled(pair, || {
            copy(sizes[case], settings.sample, <[u64]>::copy_from_slice)
        })
    })?;
    let latency = note(report, name, &rounds);
    add(report, &rounds, sizes);
    Ok(latency)
}

/// Copies a block again and again for about `sample`: gigabytes copied in a second.
fn copy(bytes: usize, sample: Duration, copy: impl Fn(&mut [u64], &[u64])) -> Result<f64, Trouble> {
    let count = bytes / size_of::<u64>();
    let source: Vec<u64> = (1..=count as u64).collect();
    // Written to, so that its pages are there, and not the same yet.
    let mut target = vec![u64::MAX; count];
    // At 16 bytes a nanosecond.
    let copies = (sample.as_nanos() as usize * 16 / bytes).max(1);
    let start = Instant::now();
    for _ in 0..copies {
        copy(black_box(&mut target), black_box(&source));
    }
    let took = start.elapsed();
    if source != target {
        let size = size(bytes);
        return Err(Trouble::Failed(format!("a copy of {size} is not the same")));
    }
    Ok((copies * bytes) as f64 / took.as_nanos() as f64)
}

/// Table, plot, conclusion and rows from the rounds.
fn add(report: &mut Report, rounds: &Rounds, sizes: &[usize]) {
    let all = Comparison::of_rounds(BANDWIDTH, 0, 1, sizes.iter().copied(), rounds);
    let table = (all.columns())
        .figure("block", |bytes| size(*bytes))
        .value("GB/s", 0);
    let heading = "memcpy in one thread: bytes copied, each of which is read once and written once";
    report.tables.push(table.table(heading));
    report
        .rows
        .extend(all.rows(0, SUBJECT, |bytes| size(*bytes)));
    let title = "memcpy: bandwidth by the size of the block";
    let axes = ["block, bytes", "GB/s"];
    let picture = all.curves(title, axes, &["one thread"], |bytes| *bytes as f64);
    report.plots.push(picture);
    let rates = all.lines.iter();
    let rates: Vec<_> = rates
        .filter_map(|line| Some((line, line.value(0).ok()?)))
        .collect();
    let best = (rates.iter()).max_by(|(_, one), (_, other)| one.median.total_cmp(&other.median));
    let (Some((best, most)), Some((largest, rate))) = (best, rates.last()) else {
        return;
    };
    let share = largest.against(best, 0);
    let (most, rate) = (figure(most.median), figure(rate.median));
    let begin = format!("memcpy copies {most} GB/s in blocks of {}", size(best.of));
    let blocks = format!("in blocks of {}", size(largest.of));
    let end = match share.map(|share| (share.effect, share.of.median * 100.0)) {
        Some((Effect::Below, share)) => format!(" and {rate} GB/s, {share:.0} % of that, {blocks}"),
        Some((Effect::TooFewRounds, _)) => "; too few rounds to say how it falls".to_owned(),
        _ => format!(" and not less {blocks}"),
    };
    report.conclusions.push(format!("{begin}{end}."));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_copy_that_is_not_the_same_is_noticed() {
        let sample = Duration::from_micros(10);
        let right = copy(4096, sample, <[u64]>::copy_from_slice);
        assert!(right.is_ok(), "{right:?}");
        let short = copy(4096, sample, |target, source| {
            target[..511].copy_from_slice(&source[..511]);
        });
        assert!(matches!(short, Err(Trouble::Failed(_))), "{short:?}");
    }

    fn recorded(small: [f64; 5], large: [f64; 5]) -> Report {
        let rounds = Rounds::recorded([small, large].map(Vec::from));
        Report::recorded(|report| add(report, &rounds, &[16 << 10, 64 << 20]))
    }

    #[test]
    fn a_bandwidth_that_falls_is_named_and_one_that_does_not_is_not() {
        let small = [40.0, 20.0, 41.0, 39.0, 40.0];
        let falls = recorded(small, small.map(|rate| rate / 4.0));
        falls.concludes([&["10.0 GB/s, 25 % of that, in blocks of 64 MiB"]]);
        let same = recorded(small, [39.0, 21.0, 40.0, 40.0, 40.5]);
        same.concludes([&["not less in blocks of 64 MiB"]]);
    }
}
