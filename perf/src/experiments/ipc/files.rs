//! A file that both processes read, write and lock (open-file-description locks).

use std::fs::{File, OpenOptions};
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::fs::FileExt;

use nix::fcntl::{FcntlArg, fcntl};
use nix::libc;
use ringproof::bytemuck::{bytes_of_mut, cast_slice, cast_slice_mut};

use super::mechanism::{Endpoint, Ends, Lasting, Mechanism, Nature, Refused, Terms};
use super::segments::Polls;
use super::shared::{self, Counts, file_on_disk};

/// A file for each direction: how many messages were sent, how many were received, and slots.
pub(super) const LOCKED_FILE: Mechanism = Mechanism::new(
    "file with OFD lock",
    Nature {
        // Each side looks, locks, looks again, moves the message, counts it, unlocks.
        system_calls: 12,
        lasting: Lasting::File,
        ..Nature::MAPPED
    },
    prepare,
    join,
);

fn prepare(size: usize) -> Result<Ends, Refused> {
    let mut ends = Ends::default();
    for _ in 0..2 {
        let file = file_on_disk()?;
        let length = shared::part(size) as u64;
        let again = file
            .set_len(length)
            .and_then(|()| open_again(&file))
            .map_err(Refused::of("no file can be had"))?;
        ends.first.push(file.into());
        ends.second.push(again);
    }
    Ok(ends)
}

fn join(terms: Terms) -> Result<Box<dyn Endpoint>, Refused> {
    let size = terms.size;
    let [out, into] = terms.out_and_into()?.map(File::from);
    Ok(Box::new(Files { out, into, size }))
}

/// A description of its own: processes that share one share its locks.
fn open_again(file: &File) -> io::Result<OwnedFd> {
    let path = format!("/proc/self/fd/{}", file.as_raw_fd());
    Ok(OpenOptions::new().read(true).write(true).open(path)?.into())
}

/// A file in each direction.
struct Files {
    out: File,
    into: File,
    size: usize,
}

impl Files {
    fn offset(&self, number: u64) -> u64 {
        let slots = shared::slots(self.size) as u64;
        shared::HEAD as u64 + number % slots * self.size as u64
    }
}

impl Counts {
    fn read(file: &File) -> io::Result<Self> {
        let mut words = [0_u64; 2];
        file.read_exact_at(bytes_of_mut(&mut words), 0)?;
        let [sent, received] = words;
        Ok(Counts { sent, received })
    }
}

/// The lock on all of a file, until this is dropped.
struct Lock<'a>(&'a File);

impl<'a> Lock<'a> {
    fn take(file: &'a File) -> io::Result<Self> {
        set_lock(file, libc::F_WRLCK)?;
        Ok(Lock(file))
    }
}

impl Drop for Lock<'_> {
    fn drop(&mut self) {
        // It fails for no lock that is held.
        let _ = set_lock(self.0, libc::F_UNLCK);
    }
}

fn set_lock(file: &File, kind: libc::c_int) -> io::Result<()> {
    let all = libc::flock {
        l_type: kind as libc::c_short,
        l_whence: libc::SEEK_SET as libc::c_short,
        l_start: 0,
        l_len: 0,
        l_pid: 0,
    };
    Ok(fcntl(file, FcntlArg::F_OFD_SETLKW(&all)).map(drop)?)
}

/// Takes the lock when `ready` says so of the counts. It looks without the lock until then: who asks
/// for the lock again and again keeps it from the other side.
fn lock_when(file: &File, ready: impl Fn(Counts) -> bool) -> io::Result<(Lock<'_>, Counts)> {
    let mut polls = Polls::default();
    loop {
        if ready(Counts::read(file)?) {
            let lock = Lock::take(file)?;
            let counts = Counts::read(file)?;
            if ready(counts) {
                return Ok((lock, counts));
            }
        }
        polls.wait()?;
    }
}

impl Endpoint for Files {
    fn send(&mut self, messages: &[u64]) -> io::Result<()> {
        let room = shared::slots(self.size);
        let (_lock, counts) = lock_when(&self.out, |counts| counts.live() < room)?;
        let bytes = cast_slice(messages);
        self.out.write_all_at(bytes, self.offset(counts.sent))?;
        self.out.write_all_at(&(counts.sent + 1).to_ne_bytes(), 0)
    }

    fn receive(&mut self, messages: &mut [u64]) -> io::Result<()> {
        let (_lock, counts) = lock_when(&self.into, |counts| counts.live() > 0)?;
        let bytes = cast_slice_mut(messages);
        self.into
            .read_exact_at(bytes, self.offset(counts.received))?;
        self.into
            .write_all_at(&(counts.received + 1).to_ne_bytes(), 8)
    }
}
