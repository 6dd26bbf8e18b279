//! A peer that makes the file shorter than what is mapped of it.

use std::fs::File;
use std::os::fd::AsFd;

use anyhow::{Context, Result, ensure};
use ringproof::{Ring, RingOptions};

use super::right::open_anew;
use super::{Check, Setting, Wrong};
use crate::crash::attach;
use crate::process::Child;
use crate::shm::Name;
use crate::specimen::s27_truncated::Unsealed;

pub(super) fn checks() -> Vec<Check> {
    vec![Check {
        subject: "truncation",
        what: "a peer that has the descriptor cannot make a segment without a name shorter",
        unit: "lengths",
        trial: |setting| truncated(setting, &Anonymous::new()?),
        wrong: vec![
            Wrong {
                what: "specimen: S27, a peer truncates the segment: SIGBUS",
                sign: "was killed by SIGBUS",
                trial: |setting| truncated(setting, &Unsealed::new()?),
            },
            Wrong {
                what: "specimen: S27, the same of a named segment without the SIGBUS guard",
                sign: "was killed by SIGBUS",
                trial: |setting| truncated(setting, &Named::new(setting)?),
            },
        ],
    }]
}

/// Shared memory, and the descriptor of it that a peer has.
pub(crate) trait Shared {
    fn descriptor(&self) -> Result<File>;

    /// Attaches, and uses all of it before and after `meanwhile`.
    fn use_it(&self, meanwhile: &mut dyn FnMut() -> Result<()>) -> Result<()>;
}

fn options() -> RingOptions {
    RingOptions::new(1024).slots(1024)
}

/// Every slot is written and read.
fn use_all(ring: &Ring<u64>) -> Result<()> {
    let (mut producer, mut consumer) = (ring.producer()?, ring.consumer()?);
    for item in 0..ring.fixed().slots {
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
        open_anew(self.0.as_fd())
    }

    fn use_it(&self, meanwhile: &mut dyn FnMut() -> Result<()>) -> Result<()> {
        let ring = Ring::attach_fd(attach(&self.0)?)?;
        use_all(&ring)?;
        meanwhile()?;
        use_all(&ring)
    }
}

/// Ours, as any process may open it that has the permission: it trusts them that far, unless the
/// guard is installed.
struct Named(Name);

impl Named {
    fn new(setting: &Setting<'_>) -> Result<Named> {
        let name = setting.name();
        Ring::<u64>::create(&name, &options())?;
        Ok(Named(name))
    }
}

impl Shared for Named {
    fn descriptor(&self) -> Result<File> {
        Ok(File::options().write(true).open(self.0.path())?)
    }

    fn use_it(&self, meanwhile: &mut dyn FnMut() -> Result<()>) -> Result<()> {
        let ring = Ring::attach(&self.0)?;
        use_all(&ring)?;
        meanwhile()?;
        use_all(&ring)
    }
}

/// While somebody uses it, a peer tries to leave less of it.
fn truncated(setting: &Setting<'_>, shared: &dyn Shared) -> Result<u64> {
    let len = shared.descriptor()?.metadata()?.len();
    let lengths = [0, 1, 4096, len / 2, len - 1];
    for left in lengths {
        let user = Child::fork("who uses it".to_owned(), setting.alone, |_| {
            shared.use_it(&mut || {
                let peer = Child::fork("the peer".to_owned(), setting.alone, |_| {
                    let file = shared.descriptor()?;
                    // To be refused is what it deserves.
                    let _ = file.set_len(left);
                    Ok(())
                })?;
                peer.finish(super::PATIENCE)?;
                Ok(())
            })
        })?;
        (user.finish(super::PATIENCE)).with_context(|| format!("made {left} bytes long"))?;
        let found = shared.descriptor()?.metadata()?.len();
        ensure!(found == len, "{len} bytes are {found} now");
    }
    Ok(lengths.len() as u64)
}
