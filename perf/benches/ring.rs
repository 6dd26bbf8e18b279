//! `cargo bench -p ringproof-perf --bench ring`: our ring, two pinned threads, every item checked.
//!
//! Criterion follows each figure from run to run. It measures one thing after the other, though,
//! so no two of its figures should be divided: `ringproof-perf peers` measures in turn and shows
//! the ratios to other crates.

use std::time::Duration;

use criterion::{BenchmarkId, Criterion, Throughput};
use ringproof::{Ring, RingOptions};
use ringproof_perf::cpus::Pair;
use ringproof_perf::links::{BATCH, Ends, SIZES, Size, Way};
use ringproof_perf::stream::Link;

/// Fewer items than this are over before the two threads run evenly.
const FEWEST_ITEMS: u64 = 1 << 14;

fn main() {
    let pair = match Pair::choose(None) {
        Ok(pair) => pair,
        Err(unfit) => {
            eprintln!("not measured here, because {unfit}");
            return;
        }
    };
    let mut criterion = Criterion::default()
        .sample_size(10)
        .warm_up_time(Duration::from_millis(200))
        .measurement_time(Duration::from_millis(800))
        .configure_from_args();
    for size in SIZES {
        bench_size(&mut criterion, pair, size);
    }
    criterion.final_summary();
}

fn bench_size(criterion: &mut Criterion, pair: Pair, size: Size) {
    let mut options = RingOptions::new(size.capacity);
    if let Some(slots) = size.slots {
        options = options.slots(slots);
    }
    let ring = Ring::<u64>::anonymous(&options).expect("a ring without a name can be made");
    let slots = ring.segment().fixed().slots;
    let memory = format!("capacity {}, {} KiB", size.capacity, slots * 8 / 1024);
    for way in Way::ALL {
        let mut group = criterion.benchmark_group(way.name());
        group.throughput(Throughput::Elements(1));
        // The roles are free again when the last link of this ring is gone; its indices are where
        // it left them, and so is the number of the next item.
        let ends = ring
            .producer()
            .and_then(|producer| Ok((producer, ring.consumer()?)));
        let (producer, consumer) = ends.expect("the roles of this ring are free");
        let ends = Ends::ours(way, producer, consumer);
        let mut ours = ends.link(format!("ringproof, {}", way.name()), slots, 0);
        group.bench_function(BenchmarkId::new("ringproof", &memory), |bencher| {
            bencher.iter_custom(|items| stream(&mut ours, pair, items));
        });
        group.finish();
    }
}

/// The time that so many items take, at the pace of at least [`FEWEST_ITEMS`].
fn stream(link: &mut Link<'_>, pair: Pair, items: u64) -> Duration {
    let streamed = items.max(FEWEST_ITEMS).next_multiple_of(BATCH as u64);
    let run = (link.run(pair, streamed, false)).expect("every item arrives, in order");
    run.took.mul_f64(items as f64 / streamed as f64)
}
