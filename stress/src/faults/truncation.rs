//! A peer that makes the file shorter than what is mapped of it.

use std::fs::File;

use anyhow::{Context, Result, ensure};
use ringproof::guard::{self, GuardError};
use ringproof::{Ring, RingOptions};

use crate::desk::{Check, Setting};
use crate::specimen::Shared;
use crate::specimen::s27_truncated::Unsealed;

checks! { setting:
    "truncation",
        "a peer that has the descriptor cannot make a segment without a name shorter", "lengths" =>
        truncated(setting, &Anonymous::new()?),
    wrong "specimen: S27, a peer truncates the segment: SIGBUS", "was killed by SIGBUS" =>
        truncated(setting, &Unsealed::new()?);

    "guarded-truncation",
        "a named segment that a peer made shorter is an error under the guard", "lengths" =>
        shortened(setting, guard::install),
    wrong "specimen: S27, the same of a named segment without the SIGBUS guard",
        "was killed by SIGBUS" => shortened(setting, || Ok(()));
}

const PAGE: u64 = 4096;
/// The length of a segment of these: a header, a description and the slots.
const LEN: u64 = 2 * PAGE + 1024 * 8;

fn options() -> RingOptions {
    RingOptions::new(1024).slots(1024)
}

/// Every slot is written through one mapping and read through the other.
fn use_all(one: &Ring<u64>, other: &Ring<u64>) -> Result<()> {
    let (mut producer, mut consumer) = (one.producer()?, other.consumer()?);
    for item in 0..one.segment().fixed().slots {
        producer.push(item)?;
        ensure!(consumer.pop()? == item, "an item is not what it was");
    }
    Ok(())
}

/// Ours, as it reaches others by its descriptor.
struct Anonymous(Ring<u64>);

impl Anonymous {
    fn new() -> Result<Anonymous> {
        Ok(Anonymous(Ring::anonymous(&options())?))
    }
}

impl Shared for Anonymous {
    fn descriptor(&self) -> Result<File> {
        Ok(self.0.segment().descriptor()?.into())
    }

    fn use_it(&self, meanwhile: &mut dyn FnMut() -> Result<()>) -> Result<()> {
        // Twice: who was forked cannot use what it inherited.
        let attached = || anyhow::Ok(Ring::attach_fd(self.0.segment().descriptor()?)?);
        let (one, other) = (attached()?, attached()?);
        use_all(&one, &other)?;
        meanwhile()?;
        use_all(&one, &other)
    }
}

/// While somebody uses it, a peer tries to leave less of it.
fn truncated(setting: &Setting<'_>, shared: &dyn Shared) -> Result<u64> {
    let len = shared.descriptor()?.metadata()?.len();
    let lengths = [0, 1, 4096, len / 2, len - 1];
    for left in lengths {
        let used = setting.apart("who uses it", |_| {
            shared.use_it(&mut || {
                let peer = setting.apart("the peer", |_| {
                    let file = shared.descriptor()?;
                    // To be refused is what it deserves.
                    let _ = file.set_len(left);
                    Ok(())
                });
                peer.map(drop)
            })
        });
        used.with_context(|| format!("made {left} bytes long"))?;
        let found = shared.descriptor()?.metadata()?.len();
        ensure!(found == len, "{len} bytes are {found} now");
    }
    Ok(lengths.len() as u64)
}

/// While somebody uses a segment that has a name, a peer leaves less of it. What is taken of it
/// then is right, or is known to be lost.
fn shortened(setting: &Setting<'_>, prepare: fn() -> Result<(), GuardError>) -> Result<u64> {
    let lengths = [0, 1, PAGE, 2 * PAGE + PAGE / 2, LEN - 1];
    for left in lengths {
        let name = setting.name();
        Ring::<u64>::create(&name, &options())?;
        let used = setting.apart("who uses it", |_| {
            prepare()?;
            // (Two ends over one mapping would share what the guard puts in its place.)
            let rings = [Ring::<u64>::attach(&name)?, Ring::attach(&name)?];
            let [one, other] = &rings;
            ensure!(one.segment().fixed().segment_len == LEN, "another length");
            use_all(one, other)?;
            setting.apart("the peer", |_| name.set_len(left))?;
            let outcome = use_all(one, other);
            // What is left of the last page is zeros, without a signal; a header of zeros is that of
            // a ring that has ended.
            let (pages, header) = (left.div_ceil(PAGE), left > 1);
            let gone = pages < LEN / PAGE;
            ensure!(
                outcome.is_err() || !gone,
                "memory that is gone was used without an error"
            );
            ensure!(
                rings.iter().any(|ring| ring.segment().is_lost())
                    || !gone
                    || (pages > 0 && !header),
                "the segment is not known to be lost"
            );
            Ok(())
        });
        used.with_context(|| format!("made {left} bytes long"))?;
    }
    Ok(lengths.len() as u64)
}
