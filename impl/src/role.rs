//! Roles: the right to be a segment's producer, its consumer or its writer.
//!
//! A role is an open-file-description lock on one byte of the segment's file. The kernel frees
//! it when its holder dies, in whatever pid namespace, so no pid is ever trusted, and a stopped
//! process keeps it. All holders of one open file description share its locks; therefore every
//! claim opens the file anew, and its description is never the one that was mapped or passed to
//! another process. A *forked* child does share it: it keeps the role alive until it exits,
//! closes the descriptor or executes another program (the descriptor is close-on-exec).
//!
//! Beside the lock there is an *epoch* in shared memory, which counts how often the role was
//! taken. It decides nothing; it lets a peer see that there was a change.

use std::fmt;
use std::fs::{File, OpenOptions};
use std::os::fd::{AsFd, AsRawFd};
use std::os::unix::fs::MetadataExt;

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, fcntl};
use nix::libc;

use crate::error::SegmentError;
use crate::memory::{Memory, WordOf};
use crate::site::{LoadSite, StoreSite};

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
    /// The role's name, in lower case.
    pub const fn name(self) -> &'static str {
        match self {
            Role::Producer => "producer",
            Role::Consumer => "consumer",
            Role::Writer => "writer",
        }
    }

    /// The byte of the file that its lock covers: part of the wire layout.
    const fn lock_byte(self) -> libc::off_t {
        match self {
            Role::Producer | Role::Writer => 0,
            Role::Consumer => 1,
        }
    }

    /// The lock itself. Open-file-description locks want a pid of zero.
    const fn lock(self, kind: libc::c_int) -> libc::flock {
        libc::flock {
            l_type: kind as libc::c_short,
            l_whence: libc::SEEK_SET as libc::c_short,
            l_start: self.lock_byte(),
            l_len: 1,
            l_pid: 0,
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Whether any open file description but `file`'s own holds the role.
pub(crate) fn is_held(file: &File, segment: &str, role: Role) -> Result<bool, SegmentError> {
    let mut lock = role.lock(libc::F_WRLCK);
    fcntl(file.as_fd(), FcntlArg::F_OFD_GETLK(&mut lock))
        .map_err(SegmentError::system(segment, "ask who holds a role"))?;
    Ok(lock.l_type != libc::F_UNLCK as libc::c_short)
}

/// Counts a taking of a role, and says how many there were with this one.
pub fn enter<M: Memory>(memory: &M, epoch: &WordOf<M>) -> u64 {
    // Relaxed, both: only the holder of the role lock does this, and the lock orders holders.
    let next = memory.load(epoch, LoadSite::RoleEpoch).wrapping_add(1);
    memory.store(epoch, next, StoreSite::RoleEpochNext);
    next
}

/// Marks a segment as retired: nobody takes a role of it any more.
pub fn retire<M: Memory>(memory: &M, retired: &WordOf<M>) {
    // Relaxed: see RetiredCheck.
    memory.store(retired, 1, StoreSite::Retire);
}

/// Whether a segment is retired.
pub fn is_retired<M: Memory>(memory: &M, retired: &WordOf<M>) -> bool {
    // Relaxed: asked under the role lock, which orders it.
    memory.load(retired, LoadSite::RetiredCheck) != 0
}

/// A role, held until this is dropped or the process dies.
#[derive(Debug)]
pub struct Claim {
    // An open file description of its own, which nobody else shares: it owns the lock.
    file: File,
    segment: String,
    role: Role,
    epoch: u64,
}

impl Claim {
    /// Opens the file behind `file` anew and locks `role` on it, without waiting.
    pub(crate) fn lock(file: &File, segment: &str, role: Role) -> Result<Claim, SegmentError> {
        // The process's own descriptor directory reaches the very inode, also of a memfd and
        // also when the name was taken by another file meanwhile.
        let own = OpenOptions::new()
            .read(true)
            .write(true)
            .open(format!("/proc/self/fd/{}", file.as_raw_fd()))
            .map_err(SegmentError::system(
                segment,
                "open the segment anew through /proc/self/fd to lock a role",
            ))?;
        match fcntl(
            own.as_fd(),
            FcntlArg::F_OFD_SETLK(&role.lock(libc::F_WRLCK)),
        ) {
            Ok(_) => Ok(Claim {
                file: own,
                segment: segment.to_owned(),
                role,
                epoch: 0,
            }),
            Err(Errno::EAGAIN | Errno::EACCES) => Err(SegmentError::Held {
                segment: segment.to_owned(),
                role,
            }),
            Err(error) => Err(SegmentError::system(segment, "lock a role")(error)),
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

    /// Whether somebody else holds `role` of the same segment.
    pub(crate) fn is_held(&self, role: Role) -> Result<bool, SegmentError> {
        is_held(&self.file, &self.segment, role)
    }

    /// Refuses a claim of another role or another segment than `file`.
    pub(crate) fn check(&self, file: &File, role: Role) -> Result<(), SegmentError> {
        let of = |file: &File| {
            let meta = file.metadata().map_err(SegmentError::system(
                &self.segment,
                "look up the segment's inode",
            ))?;
            Ok::<_, SegmentError>((meta.dev(), meta.ino()))
        };
        if self.role == role && of(&self.file)? == of(file)? {
            Ok(())
        } else {
            Err(SegmentError::Unclaimed {
                needed: role.name(),
            })
        }
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        // Explicitly, because a child that was forked meanwhile shares the description and
        // would keep the role alive. It cannot fail on a lock that we hold, and if it did,
        // closing the file below would free the lock all the same.
        let _ = fcntl(
            self.file.as_fd(),
            FcntlArg::F_OFD_SETLK(&self.role.lock(libc::F_UNLCK)),
        );
    }
}

/// The claim of an endpoint that needs one for what it was asked.
pub(crate) fn claimed(claim: &Option<Claim>) -> Result<&Claim, SegmentError> {
    claim.as_ref().ok_or(SegmentError::Unclaimed {
        needed: "producer or consumer",
    })
}

/// A look at whether a segment has a writer, for readers, who hold no role themselves.
#[derive(Debug)]
pub struct Watch {
    file: File,
    segment: String,
}

impl Watch {
    pub(crate) fn new(file: &File, segment: &str) -> Result<Watch, SegmentError> {
        Ok(Watch {
            file: file
                .try_clone()
                .map_err(SegmentError::system(segment, "duplicate its descriptor"))?,
            segment: segment.to_owned(),
        })
    }

    /// Whether a writer holds its role now.
    ///
    /// # Errors
    /// [`SegmentError::System`] if the kernel cannot tell.
    pub fn writer_present(&self) -> Result<bool, SegmentError> {
        is_held(&self.file, &self.segment, Role::Writer)
    }
}
