//! `cargo bench -p ringproof-perf --bench latest`: seqlock and latch with payloads of 32 to 1,024
//! bytes.
//!
//! A read of the seqlock against a writer that never pauses has no time of its own: the reader
//! starves. It stands only in the table at the end, which says so.

use std::thread;
use std::time::Duration;

use criterion::{BenchmarkId, Criterion};
use ringproof::{SeqLatch, SeqLock};
use ringproof_perf::cpus::Pair;
use ringproof_perf::latest::{self, Latest, Value, time_busy_reads, time_reads, time_writes};
use ringproof_perf::run::{Extent, Settings};

fn main() {
    let pair = match Pair::choose(None) {
        Ok(pair) => pair,
        Err(unfit) => {
            eprintln!("not measured here, because {unfit}");
            return;
        }
    };
    // In a thread of its own: what is measured below must not find this one's CPUs narrowed.
    let benches = thread::spawn(move || {
        let seat = pair.single().take();
        seat.expect("the first CPU is still to be had");
        let mut criterion = Criterion::default()
            .sample_size(10)
            .warm_up_time(Duration::from_millis(200))
            .measurement_time(Duration::from_millis(500))
            .configure_from_args();
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

fn bench_size<const N: usize>(criterion: &mut Criterion, pair: Pair) {
    bench_alone::<N, SeqLock<Value<N>>>(criterion);
    bench_alone::<N, SeqLatch<Value<N>>>(criterion);

    let mut latch = <SeqLatch<Value<N>> as Latest<N>>::make().expect("a latch can be made");
    let mut group = criterion.benchmark_group("latch");
    let bytes = size_of::<Value<N>>();
    group.bench_function(
        BenchmarkId::new("read, writer flat out", bytes),
        |bencher| {
            bencher.iter_custom(|reads| {
                let (write, read) = latch.ends().expect("the writer's role is free");
                let timed = time_busy_reads(pair, write, read, Duration::from_millis(5))
                    .expect("no value is torn");
                assert!(timed.count > 0, "a latch always has a value");
                timed.took.mul_f64(reads as f64 / timed.count as f64)
            });
        },
    );
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
