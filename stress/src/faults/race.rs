//! Two processes that do their parts at the same moment, thousands of times.

use std::any::Any;
use std::hint::spin_loop;
use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::{Acquire, Release};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use nix::sched::sched_yield;
use nix::time::{ClockId, clock_gettime};
use ringproof_record::affinity::{self, Cpus};

use crate::desk::Setting;
use crate::item::mix;
use crate::process::{Child, NotHere, patience};
use crate::words::Words;

/// How long one keeps its processor while it waits to be let go. Who gives it up at once meets
/// no peer: the last to come would go on alone.
const STUBBORN: Duration = Duration::from_micros(200);

/// How often one looks before it asks for the time.
const SPINS: u32 = 64;

/// After how long a race has been run often enough, however few rounds that were.
pub(super) fn enough() -> Duration {
    patience()
}

/// How long a party may dawdle before its part, in doublings of a spin: from not at all to about as
/// long as what they do.
const JITTER: u64 = 11;

/// What a party did in a round.
pub(super) struct Act {
    /// What the judge gets of it.
    pub(super) reported: [u64; 2],
    /// What it keeps until the round is judged.
    pub(super) kept: Box<dyn Any>,
}

impl Act {
    pub(super) fn new(reported: [u64; 2], kept: impl Any) -> Act {
        Act {
            reported,
            kept: Box::new(kept),
        }
    }
}

/// How many rounds, if of these both outcomes came.
pub(super) fn both_came(rounds: u64, outcomes: [u64; 2], [no, yes]: [&str; 2]) -> Result<u64> {
    let [refused, done] = outcomes;
    if refused > 0 && done > 0 {
        return Ok(rounds);
    }
    let why = format!("{done} {yes} and {refused} {no} in {rounds} rounds of a race");
    Err(NotHere(why).into())
}

/// What one party says to the other.
const ON: [u8; 1] = *b"x";
const END: [u8; 1] = *b".";

/// Runs `rounds`, or as many as there is time for, and says how many: when this process has done `prepare`, it does `ours` and another one `theirs`,
/// both let go at once and each delayed a little by chance. While both still keep what they got,
/// `judge` looks at what the two report, ours first.
pub(super) fn race(
    setting: &Setting<'_>,
    rounds: u64,
    mut prepare: impl FnMut(u64) -> Result<()>,
    mut ours: impl FnMut(u64) -> Result<Act>,
    mut theirs: impl FnMut(u64) -> Result<Act>,
    mut judge: impl FnMut(u64, [[u64; 2]; 2]) -> Result<()>,
) -> Result<u64> {
    let come = Words::new(1)?;
    let (to_other, to_us) = UnixStream::pair().context("cannot make a socket")?;
    for end in [&to_other, &to_us] {
        end.set_read_timeout(Some(patience()))
            .context("cannot set a deadline")?;
    }
    let mut to_us = Some(to_us);
    let places = two_processors();
    let mut other = Child::fork("the other process", setting.alone, |_| {
        stay_on(places[1]);
        let to_us = to_us.take().context("a socket")?;
        for round in 0..rounds {
            if hear(&to_us)? == END {
                break;
            }
            start(&come[0], round)?;
            dawdle(setting.seed, round, 1);
            let act = theirs(round)?;
            say(&to_us, &bytemuck::cast::<_, [u8; 16]>(act.reported))?;
            hear::<1>(&to_us)?;
            drop(act.kept);
            say(&to_us, &ON)?;
        }
        Ok(())
    })?;
    drop(to_us);
    stay_on(places[0]);
    let begin = Instant::now();
    let mut made = 0;
    for round in 0..rounds {
        // Where others want the processors each round waits for its turn several times.
        if begin.elapsed() > enough() {
            say(&to_other, &END)?;
            break;
        }
        let mut run = || {
            prepare(round)?;
            say(&to_other, &ON)?;
            start(&come[0], round)?;
            dawdle(setting.seed, round, 0);
            let act = ours(round)?;
            let reported = bytemuck::cast::<[u8; 16], _>(hear(&to_other)?);
            judge(round, [act.reported, reported])?;
            drop(act.kept);
            say(&to_other, &ON)?;
            hear::<1>(&to_other)
        };
        if let Err(error) = run() {
            // The other one may have the better reason.
            other.check().with_context(|| format!("in round {round}"))?;
            return Err(error.context(format!("in round {round}")));
        }
        made += 1;
    }
    other.finish()?;
    Ok(made)
}

fn say(mut to: &UnixStream, what: &[u8]) -> Result<()> {
    to.write_all(what)
        .context("cannot write to the other process")
}

fn hear<const N: usize>(mut from: &UnixStream) -> Result<[u8; N]> {
    let mut heard = [0; N];
    (from.read_exact(&mut heard)).context("nothing is heard of the other process")?;
    Ok(heard)
}

/// Waits until both are here, awake.
fn start(come: &AtomicU64, round: u64) -> Result<()> {
    come.fetch_add(1, Release);
    let begin = Instant::now();
    let mut yielded = begin;
    loop {
        for _ in 0..SPINS {
            if come.load(Acquire) >= 2 * (round + 1) {
                return Ok(());
            }
            spin_loop();
        }
        if yielded.elapsed() >= STUBBORN {
            // There may be more processes than processors.
            let _ = sched_yield();
            yielded = Instant::now();
            ensure!(
                begin.elapsed() < patience(),
                "the other process does not start"
            );
        }
    }
}

/// Nanoseconds of a clock that all processors share.
pub(super) fn now() -> Result<u64> {
    let now = clock_gettime(ClockId::CLOCK_MONOTONIC).context("cannot read the clock")?;
    Ok(Duration::from(now).as_nanos() as u64)
}

/// Two processors that this process may use, or nothing if there is only one.
fn two_processors() -> [Option<usize>; 2] {
    let Ok(allowed) = affinity::allowed(0) else {
        return [None; 2];
    };
    let mut found = allowed.iter();
    match [found.next(), found.next()] {
        [Some(first), Some(second)] => [Some(first), Some(second)],
        _ => [None; 2],
    }
}

/// Keeps this process on one processor: two that share one never do anything at once. It is no
/// harm where that is refused.
fn stay_on(processor: Option<usize>) {
    if let Some(processor) = processor {
        let _ = affinity::restrict(0, &Cpus::one(processor));
    }
}

/// Lets a little time pass, by chance.
fn dawdle(seed: u64, round: u64, party: u64) {
    let random = mix(seed ^ mix(round * 2 + party));
    // Short ones as often as long ones: some windows are narrow.
    for _ in 0..mix(random) % (1 << (random % JITTER)) {
        spin_loop();
    }
}
