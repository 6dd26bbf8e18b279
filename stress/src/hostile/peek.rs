//! A look at the items from outside while they are written over: one that was is reported as gone.

use std::time::Instant;

use anyhow::{Context, Result, bail, ensure};
use ringproof::inspect::Peeked;
use ringproof::layout::Kind;
use ringproof::{Inspection, Ring, RingOptions, SeqLatch, SeqLock};

use super::specimen;
use crate::desk::Setting;
use crate::ends::KINDS;
use crate::fault::Fault;
use crate::latest::{Latest, Writes};
use crate::process::{Child, patience};
use crate::shm::Name;

/// Copying it takes long enough for a peer to come between.
type Large = [u64; 1024];

/// How often a peer has to come between.
const OFTEN: u64 = 5;

pub(crate) fn overtaken(setting: &Setting<'_>) -> Result<()> {
    for kind in KINDS {
        setting.case(|| {
            let named = setting.name_of("peeked-at");
            let write: fn(&str) -> Result<()> = match kind {
                Kind::Ring => {
                    Ring::<Large>::create(&named, &RingOptions::new(2).slots(2))?;
                    push
                }
                Kind::SeqLock => {
                    <SeqLock<Large> as Latest<_>>::create(&named, &[0; 1024])?;
                    write::<SeqLock<_>>
                }
                Kind::Latch => {
                    <SeqLatch<Large> as Latest<_>>::create(&named, &[0; 1024])?;
                    write::<SeqLatch<_>>
                }
            };
            let who = "who writes all the time".to_owned();
            let _peer = Child::fork(who, setting.alone, |_| write(&named))?;
            watch(setting, kind, &named)
        })?;
    }
    Ok(())
}

/// Pushes all the time: each item says its position.
fn push(name: &str) -> Result<()> {
    let ring = Ring::<Large>::attach(name)?;
    let (mut producer, mut consumer) = (ring.producer()?, ring.consumer()?);
    for number in 0.. {
        producer.push([number; 1024])?;
        if number > 0 {
            consumer.pop()?;
        }
    }
    Ok(())
}

/// Writes all the time: each value says which one it is.
fn write<L: Latest<Large>>(name: &str) -> Result<()> {
    let shared = L::attach(name)?;
    let mut writer = shared.writer()?;
    for number in 1.. {
        writer.write(&[number; 1024]);
    }
    Ok(())
}

/// Peeks until items were there and, of a ring, some were gone. (A value is looked at again where
/// it was written meanwhile, until it is there.)
fn watch(setting: &Setting<'_>, kind: Kind, named: &Name) -> Result<()> {
    let start = Instant::now();
    let (mut there, mut gone) = (0, 0);
    while there < OFTEN || (gone < OFTEN && kind == Kind::Ring) {
        ensure!(
            start.elapsed() < patience(),
            "{there} items were there and {gone} gone, although they are written all the time"
        );
        let items = if setting.has(Fault::UncheckedPeek) {
            specimen::unchecked_peek(&named.path(), size_of::<Large>())?
        } else {
            Inspection::of(named)?.peek(2)?
        };
        for Peeked { position, bytes } in items {
            let Some(bytes) = bytes else {
                gone += 1;
                continue;
            };
            there += 1;
            let words = bytes.as_chunks().0.iter();
            let mut words = words.map(|word| u64::from_ne_bytes(*word));
            let expected = match kind {
                Kind::Ring => position,
                Kind::SeqLock | Kind::Latch => words.next().context("an item of no words")?,
            };
            if let Some(torn) = words.find(|word| *word != expected) {
                bail!("item {position} says {torn} where {expected} was expected");
            }
        }
    }
    Ok(())
}
