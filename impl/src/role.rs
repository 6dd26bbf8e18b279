//! Roles: the right to be a segment's producer, its consumer or its writer.
//!
//! A role is an open-file-description lock on one byte of the segment's file. The kernel frees
//! it when its holder dies, in whatever pid namespace, so no pid is ever trusted, and a stopped
//! process keeps it. All holders of one open file description share its locks; therefore whoever
//! attaches to a segment opens its file anew, for its locks alone, and that description is never
//! the one that was mapped (what looks at a dying process's memory keeps it alive) or passed to
//! another process. It holds all locks of that attachment, each of its own byte; another
//! attachment in the same process has another one, and is distinguished as a stranger is. A *forked*
//! child does share it: it keeps the role alive after its parent's death until it exits, drops
//! what it inherited, the segment and its ends, or executes another program (the descriptor is
//! close-on-exec).
//!
//! Beside the lock there is an *epoch* in shared memory, which counts how often the role was
//! taken. It decides nothing; it lets a peer see that there was a change.

#![allow(
    clippy::disallowed_types,
    reason = "what this process holds is its own affair, not the segment's"
)]

pub(crate) mod words;

use core::sync::atomic::{AtomicU8, Ordering};
use std::fmt;
use std::fs::{File, OpenOptions};
use std::io;
use std::os::fd::{AsFd, AsRawFd};
use std::os::unix::fs::MetadataExt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, fcntl};
use nix::libc;
use nix::sys::time::TimeSpec;
use nix::time::{ClockId, ClockNanosleepFlags, clock_nanosleep};

use crate::error::SegmentError;
use crate::fork::Process;
use crate::layout::Kind;

/// The right to act on one side of a segment. One holder at a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Role {
    /// A ring's sending side.
    Producer,
    /// A ring's receiving side.
    Consumer,
    /// The writing side of a seqlock or latch.
    Writer,
}

impl Role {
    /// Those of a segment of this kind.
    pub(crate) const fn of(kind: Option<Kind>) -> &'static [Role] {
        match kind {
            Some(Kind::Ring) => &[Role::Producer, Role::Consumer],
            _ => &[Role::Writer],
        }
    }

    /// The role's name, in lower case.
    pub const fn name(self) -> &'static str {
        match self {
            Role::Producer => "producer",
            Role::Consumer => "consumer",
            Role::Writer => "writer",
        }
    }

    /// The other end of a ring. A writer has none.
    pub(crate) const fn peer(self) -> Option<Role> {
        match self {
            Role::Producer => Some(Role::Consumer),
            Role::Consumer => Some(Role::Producer),
            Role::Writer => None,
        }
    }

    /// The byte of the file that its lock covers: part of the wire layout.
    pub const fn lock_byte(self) -> u8 {
        match self {
            Role::Producer | Role::Writer => 0,
            Role::Consumer => 1,
        }
    }
}

/// The byte whose lock is held while a segment's name is taken away.
const REMOVAL_BYTE: u8 = 2;

/// A lock on one byte of the file. Open-file-description locks want a pid of zero.
const fn byte_lock(byte: u8, kind: libc::c_int) -> libc::flock {
    libc::flock {
        l_type: kind as libc::c_short,
        l_whence: libc::SEEK_SET as libc::c_short,
        l_start: byte as libc::off_t,
        l_len: 1,
        l_pid: 0,
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Whether any open file description but `file`'s own holds the role.
pub(crate) fn is_held(file: &File, segment: &str, role: Role) -> Result<bool, SegmentError> {
    let mut lock = byte_lock(role.lock_byte(), libc::F_WRLCK);
    fcntl(file.as_fd(), FcntlArg::F_OFD_GETLK(&mut lock))
        .map_err(SegmentError::system(segment, "ask who holds a role"))?;
    Ok(lock.l_type != libc::F_UNLCK as libc::c_short)
}

/// Opens the file behind `file` anew: a description of its own. The process's own descriptor
/// directory reaches the very inode, also of a memfd and also when the name was taken by another
/// file meanwhile.
pub(crate) fn open_anew(file: &File) -> io::Result<File> {
    OpenOptions::new()
        .read(true)
        .write(true)
        .open(format!("/proc/self/fd/{}", file.as_raw_fd()))
}

/// The open file description by which one attachment to a segment holds its locks, and asks for
/// those of others.
#[derive(Debug)]
pub(crate) struct Locks {
    file: File,
    /// Why it is none of its own, if that could not be had: then it locks nothing.
    shared: Option<i32>,
    /// The bytes that it has locked, one bit each: for locks of one description the kernel knows
    /// no second holder.
    held: AtomicU8,
    /// The process that made it: a forked child must not give back what is not its own.
    owner: Process,
}

impl Locks {
    /// Opens `file` anew, and closes it. Where there is no `/proc`, or the file's mode is in the
    /// way, it goes on with `file`, which is enough for who takes no role.
    pub(crate) fn of(file: File, segment: &str) -> Result<Arc<Locks>, SegmentError> {
        let (file, shared) = match open_anew(&file) {
            Ok(own) => (own, None),
            Err(error) => match error.raw_os_error() {
                Some(reason @ (libc::ENOENT | libc::ENOTDIR | libc::EACCES | libc::EPERM)) => {
                    (file, Some(reason))
                }
                _ => return Err(cannot_open_anew(segment, error)),
            },
        };
        Ok(Arc::new(Locks {
            file,
            shared,
            held: AtomicU8::new(0),
            owner: Process::this(),
        }))
    }

    /// The file.
    pub(crate) fn file(&self) -> &File {
        &self.file
    }

    /// Whether this process has it from the one that forked it.
    fn is_inherited(&self) -> bool {
        self.owner != Process::this()
    }

    /// Whether anybody holds the role, through this description or another one.
    pub(crate) fn is_held(&self, segment: &str, role: Role) -> Result<bool, SegmentError> {
        if self.is_inherited() {
            // What the parent holds by it it has not told us, and the kernel counts as ours.
            let own = open_anew(&self.file).map_err(|error| cannot_open_anew(segment, error))?;
            return is_held(&own, segment, role);
        }
        // Acquire: as the lock would order it.
        let ours = self.held.load(Ordering::Acquire) & bit(role.lock_byte()) != 0;
        Ok(ours || is_held(&self.file, segment, role)?)
    }
}

fn cannot_open_anew(segment: &str, error: io::Error) -> SegmentError {
    SegmentError::system(
        segment,
        "open the segment anew through /proc/self/fd to lock it",
    )(error)
}

const fn bit(byte: u8) -> u8 {
    1 << byte
}

/// A locked byte of a segment, until this is dropped or the process dies.
#[derive(Debug)]
struct ByteLock {
    locks: Arc<Locks>,
    byte: u8,
}

impl ByteLock {
    /// Locks the byte, without waiting. `None` if somebody has it locked.
    fn take(locks: &Arc<Locks>, segment: &str, byte: u8) -> Result<Option<Self>, SegmentError> {
        if let Some(reason) = locks.shared {
            return Err(cannot_open_anew(
                segment,
                io::Error::from_raw_os_error(reason),
            ));
        }
        if locks.is_inherited() {
            return Err(SegmentError::forked(segment));
        }
        // Acquire: after all that the last holder of the same description did.
        if locks.held.fetch_or(bit(byte), Ordering::Acquire) & bit(byte) != 0 {
            return Ok(None);
        }
        let lock = byte_lock(byte, libc::F_WRLCK);
        let refused = match fcntl(locks.file.as_fd(), FcntlArg::F_OFD_SETLK(&lock)) {
            Ok(_) => {
                return Ok(Some(ByteLock {
                    locks: Arc::clone(locks),
                    byte,
                }));
            }
            Err(Errno::EAGAIN | Errno::EACCES) => Ok(None),
            Err(error) => Err(SegmentError::system(segment, "lock it")(error)),
        };
        locks.held.fetch_and(!bit(byte), Ordering::Relaxed);
        refused
    }
}

impl Drop for ByteLock {
    fn drop(&mut self) {
        // A child that drops what it inherited only closes its descriptor, with the last of what
        // shares it.
        if self.locks.is_inherited() {
            return;
        }
        // Explicitly, because a child that was forked meanwhile shares the description and
        // would keep the lock alive. It cannot fail on a lock that we hold, and if it did,
        // closing the file would free the lock all the same.
        let lock = byte_lock(self.byte, libc::F_UNLCK);
        let _ = fcntl(self.locks.file.as_fd(), FcntlArg::F_OFD_SETLK(&lock));
        // Release: after all that was done under it. And after the unlocking: who takes it next
        // would lose its own lock.
        self.locks
            .held
            .fetch_and(!bit(self.byte), Ordering::Release);
    }
}

/// The right to take a segment's name away. Whoever else removes the same segment waits for it,
/// so that nobody removes a name that was given to another segment in between. So does whoever
/// finds a role held: it may be held by a removal alone, which takes all of them.
#[derive(Debug)]
pub(crate) struct Removal {
    _lock: ByteLock,
}

impl Removal {
    /// How long another process may take between two system calls of its own removal.
    const PATIENCE: Duration = Duration::from_secs(2);
    /// Between two looks, unless a signal comes.
    const PAUSE: TimeSpec = TimeSpec::from_duration(Duration::from_millis(1));

    pub(crate) fn begin(locks: &Arc<Locks>, segment: &str) -> Result<Removal, SegmentError> {
        let start = Instant::now();
        loop {
            if let Some(lock) = ByteLock::take(locks, segment, REMOVAL_BYTE)? {
                return Ok(Removal { _lock: lock });
            }
            if start.elapsed() > Self::PATIENCE {
                return Err(SegmentError::system(
                    segment,
                    "remove it: another process began to and has not gone on for two seconds",
                )(Errno::ETIMEDOUT));
            }
            // One call, however it ends. `thread::sleep` goes on after a signal with what is left,
            // to which the kernel adds its slack each time: under a timer that is as fast as
            // that slack, tens of microseconds, it never returns.
            let _ = clock_nanosleep(
                ClockId::CLOCK_MONOTONIC,
                ClockNanosleepFlags::empty(),
                &Self::PAUSE,
            );
        }
    }
}

/// A role, held until this is dropped or the process dies. [`Send`] and [`Sync`]: it belongs to no thread.
#[derive(Debug)]
pub struct Claim {
    lock: ByteLock,
    segment: String,
    role: Role,
    epoch: u64,
}

impl Claim {
    /// Locks `role` of the segment that `locks` is of, without waiting.
    pub(crate) fn lock(
        locks: &Arc<Locks>,
        segment: &str,
        role: Role,
    ) -> Result<Claim, SegmentError> {
        match ByteLock::take(locks, segment, role.lock_byte())? {
            Some(lock) => Ok(Claim {
                lock,
                segment: segment.to_owned(),
                role,
                epoch: 0,
            }),
            None => Err(SegmentError::Held {
                segment: segment.to_owned(),
                role,
            }),
        }
    }

    /// Notes the epoch under which the role was taken.
    pub(crate) fn with_epoch(mut self, epoch: u64) -> Claim {
        self.epoch = epoch;
        self
    }

    /// The role held.
    pub fn role(&self) -> Role {
        self.role
    }

    /// How many times the role was taken, this time included.
    pub fn epoch(&self) -> u64 {
        self.epoch
    }

    /// Refuses a claim of another role or another segment than `file`, and one that is the
    /// parent's of this process: two would hold one role.
    pub(crate) fn check(&self, file: &File, segment: &str, role: Role) -> Result<(), SegmentError> {
        if self.lock.locks.is_inherited() {
            return Err(SegmentError::forked(&self.segment));
        }
        let of = |file: &File| {
            let meta = file.metadata().map_err(SegmentError::system(
                &self.segment,
                "look up the segment's inode",
            ))?;
            Ok::<_, SegmentError>((meta.dev(), meta.ino()))
        };
        if self.role == role && of(&self.lock.locks.file)? == of(file)? {
            Ok(())
        } else {
            Err(SegmentError::Unclaimed {
                needed: format!("{role} of segment `{segment}`"),
                found: format!("one of the {} of segment `{}`", self.role, self.segment),
            })
        }
    }
}
