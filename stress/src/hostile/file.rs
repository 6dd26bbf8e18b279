//! Files that are no segment, or not for this process, or another one than a moment ago.

use std::fs::{File, OpenOptions};
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::fs::{FileTypeExt, OpenOptionsExt, PermissionsExt, symlink};
use std::os::unix::net::UnixListener;
use std::time::Instant;

use anyhow::{Context, Result, bail, ensure};
use clap::ValueEnum;
use nix::libc::O_PATH;
use nix::sys::prctl::set_dumpable;
use nix::sys::stat::{Mode, SFlag, makedev, mknod};
use nix::unistd::{Uid, mkfifo};
use ringproof::layout::{HEADER_LEN, Kind};
use ringproof::{Inspection, Ring, Role, SegmentError, unlink};

use super::fixture::{DATA, SLOTS, image_of, ring_options};
use super::well_behaved::{Place, exercise, receive, send};
use crate::desk::{Setting, same};
use crate::ends::ensure_gone;
use crate::fault::Fault;
use crate::process::{Child, become_nobody, patience};
use crate::shm::Name;
use crate::words::{memory_file, sealed_file, set_word};

/// What bears a segment's name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Thing {
    Fifo,
    Directory,
    Link,
    DanglingLink,
    Socket,
    Null,
    Empty,
    Zeros,
    /// A segment in a file of a tebibyte.
    Huge,
    /// A segment of a tebibyte, of which hardly a page is there.
    HugeSegment,
}

const TEBIBYTE: u64 = 1 << 40;

/// Where a header has its number of slots and its segment's length.
const SLOTS_AT: usize = 40;
const LEN_AT: usize = 64;

impl Thing {
    /// Makes one of this name; false if this process may not.
    fn make(self, named: &Name, target: &Name) -> Result<bool> {
        let path = &named.path();
        let made = match self {
            Thing::Fifo => mkfifo(path, Mode::S_IRWXU).map_err(Into::into),
            Thing::Directory => std::fs::create_dir(path),
            Thing::Link => symlink(target.path(), path),
            Thing::DanglingLink => symlink(format!("{}-nowhere", &**target), path),
            Thing::Socket => UnixListener::bind(path).map(drop),
            Thing::Null => {
                match mknod(path, SFlag::S_IFCHR, Mode::S_IRWXU, makedev(1, 3)) {
                    // In a container, or for another user than root.
                    Err(nix::errno::Errno::EPERM) => return Ok(false),
                    made => made.map_err(Into::into),
                }
            }
            Thing::Empty => std::fs::write(path, b""),
            Thing::Zeros => std::fs::write(path, [0; 2 * HEADER_LEN as usize]),
            Thing::Huge | Thing::HugeSegment => {
                let mut bytes = image_of(Kind::Ring)?;
                let len = DATA + TEBIBYTE;
                if self == Thing::HugeSegment {
                    set_word(&mut bytes, SLOTS_AT, TEBIBYTE / 8);
                    set_word(&mut bytes, LEN_AT, len);
                }
                named.fill(&bytes)?;
                named.set_len(len)?;
                Ok(())
            }
        };
        made.with_context(|| format!("cannot make a {self:?}"))?;
        Ok(true)
    }

    /// Whether it is still there.
    fn is_at(self, named: &Name) -> Result<bool> {
        let kind = (std::fs::symlink_metadata(named.path()))
            .context("what bore the name is gone")?
            .file_type();
        Ok(match self {
            Thing::Fifo => kind.is_fifo(),
            Thing::Directory => kind.is_dir(),
            Thing::Link | Thing::DanglingLink => kind.is_symlink(),
            Thing::Socket => kind.is_socket(),
            Thing::Null => kind.is_char_device(),
            Thing::Empty | Thing::Zeros | Thing::Huge | Thing::HugeSegment => kind.is_file(),
        })
    }
}

/// None of these is waited for, followed, changed or removed.
pub(crate) fn of_any_type(setting: &Setting<'_>) -> Result<()> {
    let target = setting.name_of("target").holding(&image_of(Kind::Ring)?)?;
    for thing in Thing::value_variants().iter().copied() {
        setting.case(|| {
            let named = setting.name_of("thing");
            if !thing.make(&named, &target)? {
                setting.skip("a device", "this process may not make one in /dev/shm");
                return Ok(());
            }
            let kinds = if setting.has(Fault::BlockingOpen) {
                setting.hangs();
                usize::from(File::open(named.path()).is_err())
            } else if setting.has(Fault::FollowLink) && thing == Thing::Link {
                exercise(Place::Named(&target))?
            } else {
                exercise(Place::Named(&named))?
            };
            let segment = matches!(thing, Thing::Huge | Thing::HugeSegment);
            let fits = kinds == usize::from(segment);
            ensure!(fits, "a {thing:?} is attached to as {kinds} kinds");
            if !segment {
                ensure!(unlink(&named).is_err(), "a {thing:?} is unlinked");
                let opened = Ring::<u64>::open_or_create(&named, &ring_options());
                ensure!(opened.is_err(), "a {thing:?} is opened");
            }
            ensure!(thing.is_at(&named)?, "a {thing:?} was replaced");
            Ok(())
        })?;
    }
    Ok(())
}

/// Descriptors that are of no sealed memory file.
pub(crate) fn descriptors(setting: &Setting<'_>) -> Result<()> {
    let image = image_of(Kind::Ring)?;
    let named = setting.name_of("file").holding(&image)?;
    let sealed = sealed_file(&image)?;
    let again = format!("/proc/self/fd/{}", sealed.as_raw_fd());
    let open = |options: &mut OpenOptions, path: &str| options.open(path).map(OwnedFd::from);
    let read = |path: &str| open(OpenOptions::new().read(true), path);
    let both = |path: &str| open(OpenOptions::new().read(true).write(true), path);
    let path_only = |path: &str| open(OpenOptions::new().read(true).custom_flags(O_PATH), path);
    let (reads, writes) = std::io::pipe().context("cannot make a pipe")?;
    let unsealed = match setting.has(Fault::AnyDescriptor) {
        true => sealed.try_clone(),
        false => Ok(memory_file(&image)?),
    };
    let made = [
        ("a pipe", Ok(reads.into())),
        ("the writing end of a pipe", Ok(writes.into())),
        ("a directory", read("/dev/shm")),
        ("a device", both("/dev/null")),
        ("a named segment", both(&named.path().to_string_lossy())),
        ("an unsealed memory file", unsealed.map(Into::into)),
        ("a memory file that may only be read", read(&again)),
        ("a path only", path_only(&again)),
    ];
    for (what, descriptor) in made {
        let descriptor = descriptor.with_context(|| format!("cannot make {what}"))?;
        setting.case(|| {
            let kinds = exercise(Place::Memory(&File::from(descriptor)))?;
            ensure!(kinds == 0, "{what} is attached to");
            Ok(())
        })?;
    }
    Ok(())
}

/// Segments of another user, or of one's own, with each mode: what the mode forbids is an error.
pub(crate) fn permissions(setting: &Setting<'_>) -> Result<()> {
    let other = Uid::effective().is_root();
    if !other {
        setting.skip("another user", "only root can become one");
    }
    for mode in [0o000, 0o600, 0o444, 0o644, 0o222, 0o666] {
        setting.case(|| {
            let named = setting.name_of("mode").holding(&image_of(Kind::Ring)?)?;
            let granted = if setting.has(Fault::KeepRights) {
                0o666
            } else {
                mode
            };
            (std::fs::set_permissions(named.path(), PermissionsExt::from_mode(granted)))
                .context("cannot set a mode")?;
            // The bits that count for who does not own it, or does.
            let bits = if other { mode & 0o7 } else { mode >> 6 & 0o7 };
            let who = format!("who has mode {mode:o}");
            setting.apart(who, |_| {
                if other {
                    become_nobody(&[])?;
                    // Else its own descriptors in /proc would be another user's.
                    set_dumpable(true).context("cannot have its own /proc")?;
                }
                use_with_mode(&named, bits)
            })?;
            // The directory is sticky: who may write the file may not take its name away.
            if bits == 0o6 && other {
                ensure!(named.path().exists(), "another user has unlinked it");
                let ring = Ring::<u64>::attach(&named)?;
                (ring.segment().claim(Role::Producer)).context("it is not in use any more")?;
            }
            Ok(())
        })?;
    }
    Ok(())
}

/// Uses a segment of which `bits` are the permissions.
fn use_with_mode(name: &str, bits: u32) -> Result<()> {
    let attached = Ring::<u64>::attach(name).map(drop);
    let seen = Inspection::of(name).map(drop);
    for (what, needs, outcome) in [("attached to", 0o6, attached), ("looked at", 0o4, seen)] {
        match (bits & needs == needs, outcome) {
            (true, Ok(())) | (false, Err(SegmentError::Denied { .. })) => {}
            (_, Ok(())) => bail!("with permissions {bits:o} it is {what}"),
            (_, Err(error)) => bail!("with permissions {bits:o} it is not {what}: {error}"),
        }
    }
    exercise(Place::Named(name))?;
    // Whether it may is for the caller to see.
    let _ = unlink(name);
    Ok(())
}

/// What comes in the place of a segment that is in use.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Newcomer {
    Nothing,
    Segment,
    Garbage,
    Directory,
}

/// A name that belongs to another file than the one that is mapped: no role is taken of what
/// is not found any more, and the newcomer is left alone.
pub(crate) fn replaced(setting: &Setting<'_>) -> Result<()> {
    for newcomer in Newcomer::value_variants().iter().copied() {
        setting.case(|| {
            let named = setting
                .name_of("replaced")
                .holding(&image_of(Kind::Ring)?)?;
            let ring = Ring::<u64>::attach(&named)?;
            let (mut producer, mut consumer) = (ring.producer()?, ring.consumer()?);
            if !setting.has(Fault::NotReplaced) {
                named.clear();
                match newcomer {
                    Newcomer::Nothing => {}
                    Newcomer::Segment => named.fill(&image_of(Kind::Ring)?)?,
                    Newcomer::Garbage => named.fill(b"garbage")?,
                    Newcomer::Directory => {
                        std::fs::create_dir(named.path()).context("cannot make a directory")?;
                    }
                }
            }
            // Who is at work goes on; when it has ended, none follows.
            let mut met = send(&mut producer)?;
            met += receive(&mut consumer)?;
            ensure!(
                met.worked > 0 && met.corrupt == 0,
                "in a replaced segment: {met:?}"
            );
            drop((producer, consumer));
            ensure_gone(ring.segment().claim(Role::Producer))
                .with_context(|| format!("of a segment that lost its name to {newcomer:?}"))?;
            ring.segment().unlink()?;
            let there = std::fs::symlink_metadata(named.path()).is_ok();
            ensure!(
                there == (newcomer != Newcomer::Nothing),
                "{newcomer:?}, and the name is {}",
                if there { "taken" } else { "free" }
            );
            if newcomer == Newcomer::Segment {
                let (_, claim) =
                    Ring::<u64>::open_or_create_as(&named, Role::Producer, &ring_options())?;
                ensure!(claim.epoch() > 0, "a role that was never taken");
            }
            Ok(())
        })?;
    }
    setting.case(|| replaced_all_the_time(setting))
}

/// How often a name is opened that belongs to something else each time.
const OPENINGS: u64 = 200;

fn replaced_all_the_time(setting: &Setting<'_>) -> Result<()> {
    let named = setting.name_of("unsteady");
    let next = setting.name_of("unsteady-next");
    let image = image_of(Kind::Ring)?;
    let replacer = Child::fork("who replaces a segment", setting.alone, |_| {
        for round in 0_usize.. {
            let bytes = if round % 3 == 2 { &image[..9] } else { &image };
            next.fill(bytes)?;
            std::fs::rename(next.path(), named.path()).context("cannot rename a file")?;
        }
        Ok(())
    })?;
    let start = Instant::now();
    let (mut taken, mut refused) = (0, 0);
    while taken + refused < OPENINGS || taken == 0 || refused == 0 {
        ensure!(
            start.elapsed() < patience(),
            "opened {taken} times and refused {refused} times, although it is replaced all the time"
        );
        match Ring::<u64>::open_or_create_as(&named, Role::Producer, &ring_options()) {
            Ok((ring, claim)) => {
                same("slots", ring.segment().fixed().slots, SLOTS)?;
                send(&mut ring.producer_with(claim)?)?;
                taken += 1;
            }
            // Mostly one of nine bytes.
            Err(SegmentError::Mismatch { .. } | SegmentError::System { .. }) => refused += 1,
            Err(other) => return Err(other).context("of a name that is replaced all the time"),
        }
    }
    drop(replacer);
    Ok(())
}
