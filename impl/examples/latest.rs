//! The latest value: a vehicle writes where it is, and whoever wants to know reads the newest whole position,
//! without waiting for anybody. The vehicle may be killed in the middle of a write: the last one that it had
//! committed stays.
//!
//! ```console
//! cargo run --example latest -- watch vehicle &
//! cargo run --example latest -- drive vehicle
//! ```

use std::error::Error;
use std::{env, thread};

use ringproof::{Payload, SeqLatch, SeqLatchOptions};

/// Where it is after so many steps.
#[derive(Clone, Copy, Default, Payload)]
#[repr(C)]
struct Position {
    step: u64,
    x: f64,
    y: f64,
}

const STEPS: u64 = 100_000;

/// How often a reader tries. It has to again only where four values were written while it copied one.
const ATTEMPTS: u32 = 1_000;

fn open(name: &str) -> Result<SeqLatch<Position>, Box<dyn Error>> {
    let (start, options) = (Position::default(), SeqLatchOptions::default());
    Ok(SeqLatch::open_or_create(name, &start, &options)?)
}

fn drive(name: &str) -> Result<(), Box<dyn Error>> {
    let latch = open(name)?;
    let mut writer = latch.writer()?;
    // After a restart it goes on from where it was.
    let mut position = latch.reader()?.read(ATTEMPTS)?;
    while position.step < STEPS {
        position.step += 1;
        position.x += 0.5;
        position.y -= 0.25;
        writer.write(&position);
    }
    Ok(())
}

fn watch(name: &str) -> Result<(), Box<dyn Error>> {
    let latch = open(name)?;
    let reader = latch.reader()?;
    let mut last = None;
    while last != Some(STEPS) {
        // This one fails where the writer is always faster, which says nothing about the next one.
        let Ok(Position { step, x, y }) = reader.read(ATTEMPTS) else {
            continue;
        };
        if last != Some(step) {
            println!("{step}: {x} {y}");
            last = Some(step);
        }
        thread::yield_now();
    }
    Ok(latch.segment().unlink()?)
}

pub(crate) fn main() -> Result<(), Box<dyn Error>> {
    let words: Vec<String> = env::args().skip(1).collect();
    match (words.first().map(String::as_str), words.get(1)) {
        (Some("drive"), Some(name)) => drive(name),
        (Some("watch"), Some(name)) => watch(name),
        _ => Err("usage: latest drive|watch NAME".into()),
    }
}
