//! What a truncation leaves of a segment: an empty file, or the beginning of one. Whoever finds it
//! under its name is refused, so it has to go, by `ringproof gc` as any other that is unused; but
//! only if it is named, because an empty file may be anybody's.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt, MetadataExt, OpenOptionsExt};
use std::path::Path;

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::libc;
use ringproof::layout::MAGIC;
use ringproof::{Inspection, Role, SegmentError};

/// Removes the file `name` if it is such a rest and no role of it is held; with `dry_run` only
/// finds that it would. False if it is anything else.
pub(crate) fn remove(name: &str, dry_run: bool) -> Result<bool, SegmentError> {
    // The library's own look first: it knows which names there can be, and what a segment is.
    match Inspection::of(name) {
        Err(SegmentError::Mismatch {
            field: "file length",
            ..
        }) => {}
        _ => return Ok(false),
    }
    let failed = |action| {
        move |error: io::Error| SegmentError::System {
            segment: name.to_owned(),
            action,
            error,
        }
    };
    let path = Path::new("/dev/shm").join(name);
    let file = OpenOptions::new()
        .read(true)
        .write(true)
        .custom_flags((OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK).bits())
        .open(&path)
        .map_err(failed("open it"))?;
    if !is_rest(&file).map_err(failed("read it"))? {
        return Ok(false);
    }
    // Whoever holds a role goes on with what is left to him. While this has all locks, no role is
    // taken, and the name is given to no other file.
    if let Some(role) = lock(&file).map_err(failed("lock it"))? {
        let segment = name.to_owned();
        return Err(SegmentError::Held { segment, role });
    }
    let own = file.metadata().map_err(failed("look up its inode"))?;
    let found = fs::symlink_metadata(&path).map_err(failed("look up its name"))?;
    if (own.dev(), own.ino()) != (found.dev(), found.ino()) {
        return Ok(false);
    }
    if !dry_run {
        fs::remove_file(&path).map_err(failed("unlink it"))?;
    }
    Ok(true)
}

fn is_rest(file: &File) -> io::Result<bool> {
    if file.metadata()?.len() == 0 {
        return Ok(true);
    }
    let mut magic = [0; 8];
    match file.read_exact_at(&mut magic, 0) {
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(false),
        outcome => outcome.map(|()| u64::from_ne_bytes(magic) == MAGIC),
    }
}

/// Locks the bytes of the roles and the one of a removal, until the file is closed; or says which
/// role is held.
fn lock(file: &File) -> io::Result<Option<Role>> {
    let mut all = libc::flock {
        l_type: libc::F_WRLCK as libc::c_short,
        l_whence: libc::SEEK_SET as libc::c_short,
        l_start: 0,
        l_len: 3,
        l_pid: 0,
    };
    match fcntl(file, FcntlArg::F_OFD_SETLK(&all)) {
        Ok(_) => return Ok(None),
        Err(Errno::EAGAIN | Errno::EACCES) => {}
        Err(error) => return Err(error.into()),
    }
    fcntl(file, FcntlArg::F_OFD_GETLK(&mut all))?;
    let consumer = libc::off_t::from(Role::Consumer.lock_byte());
    Ok(Some(if all.l_start == consumer {
        Role::Consumer
    } else {
        Role::Producer
    }))
}
