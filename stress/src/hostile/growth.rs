//! What it takes to read a description and to compare two, as it grows with their size: a ratio of
//! times, which is the same on every machine. (Stepping would count exactly, and take minutes: a
//! field takes three thousand instructions.)

use std::hint::black_box;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use nix::time::{ClockId, clock_gettime};
use ringproof::shape::Description;

use super::bench::Bench;
use super::plant::Plant;
use super::specimen;
use super::text::{of_fields, of_len};

/// How many times as long as half as much the largest may take, in percent: twice, with a little
/// for the names, which are sorted. What compares each with each takes four times as long.
const GROWTH: u32 = 270;

/// How often each is done at least, and how often at most until it was not disturbed.
const LEAST: u32 = 20;
const MOST: u32 = 50;

/// The largest descriptions that there may be, and such as are half as large.
pub(crate) fn counted(bench: &Bench<'_>) -> Result<()> {
    let nothing = |len| vec![b'\n'; len];
    let texts = [
        ("short names", [of_fields(512), of_fields(1024)]),
        ("long names", [of_len(32_768), of_len(65_536)]),
        ("lines of nothing", [nothing(32_768), nothing(65_536)]),
    ];
    for (number, (what, texts)) in (0..).zip(texts) {
        bench.case(2 * number, || {
            let read = |text: &Vec<u8>| {
                let _ = black_box(Description::parse(black_box(text)));
                if bench.has(Plant::NameByName) {
                    black_box(specimen::name_by_name(black_box(text)));
                }
            };
            judge(&texts, read).with_context(|| format!("{what}, read"))
        })?;
        bench.case(2 * number + 1, || {
            let pairs = texts.each_ref().map(|text| {
                // With every field of another kind.
                let other = String::from_utf8_lossy(text).replace(" u8\n", " i8\n");
                let read = |text: &[u8]| Description::parse(text).ok();
                read(text).zip(read(other.as_bytes()))
            });
            let compare = |pair: &Option<(Description, Description)>| {
                if let Some((one, other)) = pair {
                    black_box(one.diff(black_box(other)));
                }
            };
            judge(&pairs, compare).with_context(|| format!("{what}, compared"))
        })?;
    }
    Ok(())
}

/// The shortest times count, one after the other: what disturbs makes a time longer, never shorter.
fn judge<T>([half, whole]: &[T; 2], work: impl Fn(&T)) -> Result<()> {
    let time = |of: &T| -> Result<Duration> {
        let start = now()?;
        work(of);
        Ok(now()? - start)
    };
    let (mut least, mut most) = (Duration::MAX, Duration::MAX);
    for round in 1..=MOST {
        least = least.min(time(half)?);
        most = most.min(time(whole)?);
        if round >= LEAST && most * 100 <= least * GROWTH {
            return Ok(());
        }
    }
    ensure!(
        most * 100 <= least * GROWTH,
        "{most:?} for what is twice as large as what takes {least:?}"
    );
    Ok(())
}

/// The time that this thread was on a processor.
fn now() -> Result<Duration> {
    let now = clock_gettime(ClockId::CLOCK_THREAD_CPUTIME_ID).context("no clock")?;
    Ok(now.into())
}
