//! `cargo bench -p ringproof-perf`: our ring between two pinned threads, every item checked, then seqlock
//! and latch with payloads of 32 to 1,024 bytes.
//!
//! Criterion follows each figure from run to run. It measures one thing after the other, though,
//! so no two of its figures should be divided: `ringproof-perf peers` measures in turn and shows
//! the ratios to other crates. A read of the seqlock against a writer that never pauses has no time of its
//! own: the reader starves. It stands only in the table at the end, which says so.

use std::thread;
use std::time::Duration;

use criterion::{BenchmarkId, Criterion, Throughput};
use ringproof::{Ring, SeqLatch, SeqLock};
use ringproof_perf::cpus::Pair;
use ringproof_perf::experiments::latest;
use ringproof_perf::links::{BATCH, Ends, SIZES, Size, Way};
use ringproof_perf::run::{Extent, Settings};
use ringproof_perf::stream::Link;
use ringproof_perf::values::{Latest, Value, time_busy_reads, time_reads, time_writes};

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
    let mut criterion = criterion(800);
    for size in SIZES {
        bench_ring(&mut criterion, pair, size);
    }
    // In a thread of its own: what is measured below must not find this one's CPUs narrowed.
    let benches = thread::spawn(move || {
        let seat = pair.single().take();
        seat.expect("the first CPU is still to be had");
        let mut criterion = self::criterion(500);
        bench_size::<4>(&mut criterion, pair);
        bench_size::<8>(&mut criterion, pair);
        bench_size::<32>(&mut criterion, pair);
        bench_size::<128>(&mut criterion, pair);
        criterion.final_summary();
    });
    benches.join().expect("the benches ran to their end");

    // Only where figures are wanted, not under --test or --list.
    let asked = |word: &str| std::env::args().any(|arg| arg == word);
    if asked("--bench") && !asked("--test") && !asked("--list") {
        let settings = Settings::of(Extent::Quick);
        match latest::run(&settings) {
            Ok(report) => println!("\n{}", report.render()),
            Err(trouble) => println!("\nno table: {trouble:?}"),
        }
    }
}

/// As the command line wants it, with so many milliseconds for each figure.
fn criterion(time: u64) -> Criterion {
    Criterion::default()
        .sample_size(10)
        .warm_up_time(Duration::from_millis(200))
        .measurement_time(Duration::from_millis(time))
        .configure_from_args()
}

fn bench_ring(criterion: &mut Criterion, pair: Pair, size: Size) {
    let ring = Ring::<u64>::anonymous(&size.options()).expect("a ring without a name can be made");
    let slots = ring.segment().fixed().slots;
    let memory = format!("capacity {}, {} KiB", size.capacity, slots * 8 / 1024);
    for way in Way::ALL {
        let mut group = criterion.benchmark_group(way.name());
        group.throughput(Throughput::Elements(1));
        // The roles are free again when the last link of this ring is gone; its indices are where
        // it left them, and so is the number of the next item.
        let producer = ring.producer().expect("the producer's role is free");
        let consumer = ring.consumer().expect("the consumer's role is free");
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

fn bench_size<const N: usize>(criterion: &mut Criterion, pair: Pair) {
    bench_alone::<N, SeqLock<Value<N>>>(criterion);
    bench_alone::<N, SeqLatch<Value<N>>>(criterion);

    let mut latch = <SeqLatch<Value<N>> as Latest<N>>::make().expect("a latch can be made");
    let mut group = criterion.benchmark_group("latch");
    let id = BenchmarkId::new("read, writer flat out", size_of::<Value<N>>());
    group.bench_function(id, |bencher| {
        bencher.iter_custom(|reads| {
            let (write, read) = latch.ends().expect("the writer's role is free");
            let timed = time_busy_reads(pair, write, read, Duration::from_millis(5));
            let timed = timed.expect("no value is torn");
            assert!(timed.count > 0, "a latch always has a value");
            timed.took.mul_f64(reads as f64 / timed.count as f64)
        });
    });
    group.finish();
}

fn bench_alone<const N: usize, S: Latest<N>>(criterion: &mut Criterion) {
    let mut structure = S::make().expect("a structure without a name can be made");
    let (mut write, mut read) = structure.ends().expect("the writer's role is free");
    let bytes = size_of::<Value<N>>();
    let mut group = criterion.benchmark_group(S::NAME);
    group.bench_function(BenchmarkId::new("write", bytes), |bencher| {
        bencher.iter_custom(|writes| time_writes(&mut write, writes).took);
    });
    group.bench_function(BenchmarkId::new("read, writer idle", bytes), |bencher| {
        bencher.iter_custom(|reads| {
            let timed = time_reads(&mut read, reads);
            timed.expect("the value is there and whole").took
        });
    });
    group.finish();
}
