//! Namespaces of a trial's own: what is mounted there is seen by it alone, and gone with the
//! trial.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, unshare};
use nix::unistd::{Gid, Uid, pause};

use crate::desk::Setting;
use crate::process::{Child, Ledger, NotHere, Note};
use crate::shm::DIRECTORY;

/// Puts this process into a new user namespace, as which it may do the rest, and the namespaces
/// of `others`.
pub(super) fn enter(others: CloneFlags) -> Result<()> {
    let (uid, gid) = (Uid::current(), Gid::current());
    let refused = |error| NotHere(format!("cannot have namespaces of its own: {error}"));
    unshare(CloneFlags::CLONE_NEWUSER | others).map_err(refused)?;
    let write = |file: &str, text: String| {
        let path = format!("/proc/self/{file}");
        fs::write(&path, text).map_err(|error| NotHere(format!("cannot write {path}: {error}")))
    };
    write("setgroups", "deny".to_owned())?;
    write("uid_map", format!("0 {uid} 1"))?;
    write("gid_map", format!("0 {gid} 1"))?;
    if others.contains(CloneFlags::CLONE_NEWNS) {
        let private = MsFlags::MS_REC | MsFlags::MS_PRIVATE;
        mount(None::<&str>, "/", None::<&str>, private, None::<&str>)
            .map_err(|error| NotHere(format!("cannot have mounts of its own: {error}")))?;
    }
    Ok(())
}

/// Puts an empty file system of so many pages in the place of /dev/shm.
pub(super) fn small_shm(pages: u64) -> Result<()> {
    let options = format!("size={}", pages * page());
    over(Path::new(DIRECTORY), MsFlags::empty(), Some(&options))
}

/// Mounts an empty file system over a directory.
pub(super) fn over(directory: &Path, flags: MsFlags, options: Option<&str>) -> Result<()> {
    mount(Some("none"), directory, Some("tmpfs"), flags, options).map_err(|error| {
        NotHere(format!(
            "cannot mount over {}: {error}",
            directory.display()
        ))
    })?;
    Ok(())
}

/// Makes what is mounted there read-only.
pub(super) fn read_only(directory: &Path) -> Result<()> {
    let flags = MsFlags::MS_REMOUNT | MsFlags::MS_RDONLY;
    mount(None::<&str>, directory, None::<&str>, flags, None::<&str>)
        .with_context(|| format!("cannot make {} read-only", directory.display()))
}

/// The bytes of a page.
pub(super) fn page() -> u64 {
    // A page is 4096 bytes where this program runs, and a header is one.
    ringproof::layout::HEADER_LEN
}

/// A process that is the first of a pid namespace of its own. It waits to be killed after `body`,
/// because the kernel spares such a one when it kills itself.
pub(super) fn first_process(
    setting: &Setting<'_>,
    body: impl FnOnce(&Ledger) -> Result<()>,
) -> Result<Child> {
    enter(CloneFlags::CLONE_NEWPID)?;
    let what = "the process in another pid namespace";
    Child::fork(what, setting.alone, |ledger| {
        if let Err(error) = body(ledger) {
            ledger.note(&Note::of(&error));
        }
        loop {
            pause();
        }
    })
}
