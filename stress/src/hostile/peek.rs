//! A look at the items from outside while they are written over: one that was is reported as gone.

use std::time::Instant;

use anyhow::{Context, Result, bail, ensure};
use ringproof::inspect::Peeked;
use ringproof::{
    Inspection, Ring, RingOptions, SeqLatch, SeqLatchOptions, SeqLock, SeqLockOptions,
};

use super::fixture::{Named, Shape};
use super::specimen;
use crate::desk::Setting;
use crate::fault::Fault;
use crate::process::{Child, patience};

/// Copying it takes long enough for a peer to come between.
type Large = [u64; 1024];

/// How often a peer has to come between.
const OFTEN: u64 = 5;

pub(crate) fn overtaken(setting: &Setting<'_>) -> Result<()> {
    for (number, shape) in (0..).zip(Shape::ALL) {
        setting.case(number, || {
            let named = Named::new(setting.prefix, "peeked-at");
            let name = &named.name;
            make(shape, name)?;
            let who = "who writes all the time".to_owned();
            let _peer = Child::fork(who, setting.alone, |_| write(shape, name))?;
            watch(setting, shape, &named)
        })?;
    }
    Ok(())
}

/// Makes a segment, for others to open.
fn make(shape: Shape, name: &str) -> Result<()> {
    let first: &Large = &[0; 1024];
    match shape {
        Shape::Ring => drop(Ring::<Large>::create(name, &RingOptions::new(2).slots(2))?),
        Shape::SeqLock => drop(SeqLock::create(name, first, &SeqLockOptions::default())?),
        Shape::Latch => drop(SeqLatch::create(name, first, &SeqLatchOptions::default())?),
    }
    Ok(())
}

/// Writes all the time: each item says its position, each value which one it is.
fn write(shape: Shape, name: &str) -> Result<()> {
    match shape {
        Shape::Ring => {
            let ring = Ring::<Large>::attach(name)?;
            let (mut producer, mut consumer) = (ring.producer()?, ring.consumer()?);
            for number in 0.. {
                producer.push([number; 1024])?;
                if number > 0 {
                    consumer.pop()?;
                }
            }
        }
        Shape::SeqLock => {
            let lock = SeqLock::<Large>::attach(name)?;
            let mut writer = lock.writer()?;
            for number in 1.. {
                writer.write(&[number; 1024]);
            }
        }
        Shape::Latch => {
            let latch = SeqLatch::<Large>::attach(name)?;
            let mut writer = latch.writer()?;
            for number in 1.. {
                writer.write(&[number; 1024]);
            }
        }
    }
    Ok(())
}

/// Peeks until items were there and, of a ring, some were gone. (A value is looked at again where
/// it was written meanwhile, until it is there.)
fn watch(setting: &Setting<'_>, shape: Shape, named: &Named) -> Result<()> {
    let start = Instant::now();
    let (mut there, mut gone) = (0, 0);
    while there < OFTEN || (gone < OFTEN && shape == Shape::Ring) {
        ensure!(
            start.elapsed() < patience(),
            "{there} items were there and {gone} gone, although they are written all the time"
        );
        let items = if setting.has(Fault::UncheckedPeek) {
            specimen::unchecked_peek(&named.path, size_of::<Large>())?
        } else {
            Inspection::of(&named.name)?.peek(2)?
        };
        for Peeked { position, bytes } in items {
            let Some(bytes) = bytes else {
                gone += 1;
                continue;
            };
            there += 1;
            let words = bytes.as_chunks().0.iter();
            let mut words = words.map(|word| u64::from_ne_bytes(*word));
            let expected = match shape {
                Shape::Ring => position,
                Shape::SeqLock | Shape::Latch => words.next().context("an item of no words")?,
            };
            if let Some(torn) = words.find(|word| *word != expected) {
                bail!("item {position} says {torn} where {expected} was expected");
            }
        }
    }
    Ok(())
}
