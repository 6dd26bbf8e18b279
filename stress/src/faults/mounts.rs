//! Directories that are not as they should be: /dev/shm read-only, /proc missing.

use std::fs;
use std::os::fd::OwnedFd;
use std::path::Path;

use anyhow::{Context, Result, bail, ensure};
use nix::mount::MsFlags;
use nix::sched::CloneFlags;
use ringproof::{Inspection, Ring, RingOptions, Role, unlink};

use super::inheritance::{of_attached, of_description};
use super::namespace;
use crate::desk::{Check, Setting};
use crate::shm::{DIRECTORY, Name};
use crate::specimen::Take;

checks! { setting:
    "read-only-directory",
        "what would write is an error that says so; who looks may look", "calls" =>
        read_only(setting, create),
    wrong "injected fault: goes to another directory instead", "created it was, although" =>
        read_only(setting, |name| {
            create(name).or_else(|_| {
                Ring::<u64>::anonymous(&options())?;
                Ok(())
            })
        });

    "no-proc", "what needs /proc is an error that says so, and no role has two holders", "calls" =>
        no_proc(setting, of_attached),
    wrong "injected fault: locks the descriptor that it has, where it can open no other",
        "two hold it" => no_proc(setting, of_description);
}

fn options() -> RingOptions {
    RingOptions::new(4).slots(4)
}

fn create(name: &Name) -> Result<()> {
    Ring::<u64>::create(name, &options())?;
    Ok(())
}

/// An error in these words, among others.
fn refused<T>(
    what: &str,
    outcome: Result<T, impl Into<anyhow::Error>>,
    words: &[&str],
) -> Result<()> {
    let Err(error) = outcome else {
        bail!("{what} it was, although that cannot be");
    };
    let said = format!("{:#}", error.into());
    for word in words {
        ensure!(said.contains(word), "{what}: `{word}` is not in `{said}`");
    }
    Ok(())
}

fn read_only(setting: &Setting<'_>, create: impl Fn(&Name) -> Result<()>) -> Result<u64> {
    namespace::enter(CloneFlags::CLONE_NEWNS)?;
    namespace::small_shm(8)?;
    let (old, new) = (setting.name_of("old"), setting.name_of("new"));
    {
        // (Who has it mapped keeps the kernel from making the directory read-only.)
        let ring = Ring::<u64>::create(&old, &options())?;
        ring.producer()?.push(7)?;
    }
    namespace::read_only(Path::new(DIRECTORY))?;
    let says = "Read-only file system";
    refused("created", create(&new), &[&new, "/dev/shm", says])?;
    refused("attached", Ring::<u64>::attach(&old), &[&old, says])?;
    refused(
        "opened",
        Ring::<u64>::open_or_create(&new, &options()),
        &[&new, says],
    )?;
    refused("unlinked", unlink(&old), &[&old, says])?;
    let seen = Inspection::of(&old).context("it can be read, and so looked at")?;
    ensure!(seen.write_index == 1, "one item was sent: {seen:?}");
    // What has no name needs no directory.
    let ring = Ring::<u64>::anonymous(&options())?;
    ring.producer()?.push(7)?;
    Ok(6)
}

fn no_proc(_: &Setting<'_>, attach: fn(OwnedFd) -> Result<Box<Take<'static>>>) -> Result<u64> {
    namespace::enter(CloneFlags::CLONE_NEWNS)?;
    namespace::small_shm(8)?;
    let name = Name::new("no-proc".to_owned());
    // Made in better days.
    let named = Name::new("old".to_owned());
    let old = Ring::<u64>::create(&named, &options())?;
    let ring = Ring::<u64>::anonymous(&options())?;
    let fd = ring.segment().descriptor()?;
    namespace::over(Path::new("/proc"), MsFlags::empty(), None)?;
    ensure!(!fs::exists("/proc/self")?, "/proc is still there");

    refused("created", create(&name), &[&name, "/proc/self/fd"])?;
    ensure!(!name.path().exists(), "half of a creation is left");
    // Whoever has attached before needs it no more.
    old.producer()?.push(7)?;
    // To attach and to look takes nothing of it.
    let late = Ring::<u64>::attach(&named)?;
    let role = attach(fd)?;
    refused(
        "claimed",
        late.segment().claim(Role::Producer),
        &[&named, "/proc/self/fd"],
    )?;
    refused(
        "unlinked",
        late.segment().unlink(),
        &[&named, "/proc/self/fd"],
    )?;
    ensure!(
        named.path().exists(),
        "an unlink that was refused took the name away"
    );
    ensure!(
        !Inspection::of(&named)?.retired,
        "an unlink that was refused retired it"
    );
    match [role(), role()] {
        [Ok(Some(_)), Ok(Some(_))] => bail!("two hold it"),
        [first, second] => {
            refused("claimed", first.map(drop), &["/proc/self/fd"])?;
            refused("claimed", second.map(drop), &["/proc/self/fd"])?;
        }
    }
    Ok(7)
}
