//! Segments: shared memory with a header, made whole or not at all, checked before use.
//!
//! A segment is either *named*, a file in the shared-memory directory that any process may
//! attach to which knows the name and has the permission, or *anonymous*, a memory file that
//! reaches other processes as a descriptor.
//!
//! A named segment is created as an unnamed file, given its memory (so that a full file system
//! is an error here and not a signal later), initialised, and only then linked under its name:
//! nobody ever sees half of one. An anonymous one is sealed against changes of its size.
//!
//! Any process that may write a *named* segment can also truncate it, and a later access then
//! raises SIGBUS. Give write permission only to processes that you trust that far, or install the
//! [guard](crate::guard), which turns the signal into errors.

use std::ffi::OsString;
use std::fmt::Write;
use std::fs::{self, File, OpenOptions};
use std::io;
use std::ops::RangeInclusive;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::fs::{FileExt, FileTypeExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use memmap2::MmapOptions;
use nix::errno::Errno;
use nix::fcntl::{AT_FDCWD, AtFlags, FallocateFlags, FcntlArg, SealFlag, fallocate, fcntl};
use nix::libc;
use nix::sys::memfd::{MFdFlags, memfd_create};
use nix::sys::resource::{Resource, getrlimit};
use nix::unistd::linkat;

use crate::error::SegmentError;
use crate::fork::{Mapping, Process};
use crate::guard::Registration;
use crate::layout::{Expected, Fixed, Header, Kind, Layout, NOTES, RoleWords, lost_index, offset};
use crate::memory::{Memory, Native};
use crate::role::{self, Claim, Locks, Removal, Role, words};
use crate::room::{self, Room};
use crate::site::{LoadSite, StoreSite};

/// Where named segments live: the directory behind POSIX `shm_open`.
const DIRECTORY: &str = "/dev/shm";

/// How often a name that comes and goes is tried again before that is called an error.
const ROUNDS: usize = 64;

/// The permission bits of a new segment unless others are asked for: its owner's alone.
pub const DEFAULT_MODE: u32 = 0o600;

/// The permission bits that a segment can have: no others, and its owner's to read and to write, without
/// which not even its owner could attach to it.
pub const MODES: RangeInclusive<u32> = 0o600..=0o777;

/// How errors call a segment without a name.
pub(crate) const ANONYMOUS: &str = "(anonymous)";

/// Shared memory with a header, mapped into this process.
///
/// It keeps one descriptor of the process, which its ends share, however many there are. It is [`Send`]
/// and [`Sync`]. A forked child has no access to the memory: see [`fork`](crate::fork).
#[derive(Debug)]
pub struct Segment {
    label: String,
    /// `None` for an anonymous segment.
    path: Option<PathBuf>,
    /// The only descriptor that an attachment keeps: a description that is neither mapped nor ever
    /// passed to anybody.
    locks: Arc<Locks>,
    /// Before `map`, so that it is given back before the memory is. `None` if there was no room.
    registration: Option<Registration>,
    map: Mapping,
    /// As it was checked at creation or attach; the mapped copy is never consulted.
    fixed: Fixed,
}

/// What a segment's name leads to, for somebody who is attached to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NameStatus {
    /// To this segment. Or it never had a name, and needs none.
    Current,
    /// To nothing.
    Unlinked,
    /// To something else: the segment was unlinked, and the name given to another file.
    Replaced,
}

/// A segment's name that came as bytes, from another language or a command line. Names are UTF-8 in all
/// of them, and this is the error in all of them; what else a name must be, whoever uses it says.
///
/// # Errors
/// [`SegmentError::Name`], in which each byte that is no character's stands as `\xff`.
///
/// ```
/// use ringproof::segment::name_of;
///
/// assert_eq!(name_of("café".as_bytes())?, "café");
/// let refused = name_of(b"caf\xe9").unwrap_err();
/// assert_eq!(refused.to_string(), r"segment name `caf\xe9`: it is not UTF-8");
/// # Ok::<(), ringproof::SegmentError>(())
/// ```
pub fn name_of(bytes: &[u8]) -> Result<&str, SegmentError> {
    str::from_utf8(bytes).map_err(|_| SegmentError::Name {
        name: shown(bytes),
        problem: "it is not UTF-8",
    })
}

/// A text with `\xff` in the place of each byte that is no character's.
pub(crate) fn shown(bytes: &[u8]) -> String {
    let mut text = String::new();
    for chunk in bytes.utf8_chunks() {
        text.push_str(chunk.valid());
        for byte in chunk.invalid() {
            // Nothing fails that writes to a string.
            let _ = write!(text, "\\x{byte:02x}");
        }
    }
    text
}

/// The path of a named segment.
pub(crate) fn path_of(name: &str) -> Result<PathBuf, SegmentError> {
    let refuse = |problem| SegmentError::Name {
        name: name.to_owned(),
        problem,
    };
    if name.is_empty() {
        return Err(refuse("it is empty"));
    }
    if name.len() > 255 {
        return Err(refuse("it is longer than 255 bytes"));
    }
    if name.contains(['/', '\0']) {
        return Err(refuse("it contains a slash or a zero byte"));
    }
    if name.starts_with('.') {
        return Err(refuse("it starts with a dot"));
    }
    Ok(Path::new(DIRECTORY).join(name))
}

/// Opens an existing file of this name, and nothing that is no regular file.
pub(crate) fn open_existing(name: &str, writable: bool) -> Result<(File, u64), SegmentError> {
    let path = path_of(name)?;
    let file = OpenOptions::new()
        .read(true)
        .write(writable)
        // Neither follow a link that somebody planted nor wait for a FIFO's other end.
        .custom_flags(libc::O_NOFOLLOW | libc::O_NONBLOCK | libc::O_CLOEXEC)
        .open(&path)
        .map_err(|error| match error.raw_os_error() {
            Some(libc::EACCES) => denied(name, &path, writable, error),
            Some(libc::ENOENT) => SegmentError::NotFound {
                segment: name.to_owned(),
            },
            Some(libc::ELOOP) => wrong_type(name, "a symbolic link"),
            Some(libc::EISDIR) => wrong_type(name, "a directory"),
            Some(libc::ENXIO) => wrong_type(name, "a socket or device"),
            _ => SegmentError::system(name, "open it")(error),
        })?;
    let len = check_regular(&file, name)?;
    Ok((file, len))
}

/// Why a file may not be opened: whose it is, as far as that can be told.
fn denied(name: &str, path: &Path, writable: bool, error: io::Error) -> SegmentError {
    match fs::symlink_metadata(path) {
        Ok(meta) => SegmentError::Denied {
            segment: name.to_owned(),
            purpose: if writable {
                "to read and write"
            } else {
                "to read"
            },
            mode: meta.mode() & 0o7777,
            user: meta.uid(),
            group: meta.gid(),
        },
        Err(_) => SegmentError::system(name, "open it")(error),
    }
}

fn check_regular(file: &File, label: &str) -> Result<u64, SegmentError> {
    let meta = file
        .metadata()
        .map_err(SegmentError::system(label, "look up its properties"))?;
    let found = match meta.file_type() {
        kind if kind.is_file() => return Ok(meta.len()),
        kind if kind.is_dir() => "a directory",
        kind if kind.is_fifo() => "a FIFO",
        kind if kind.is_socket() => "a socket",
        _ => "a device, or something stranger",
    };
    Err(wrong_type(label, found))
}

fn wrong_type(label: &str, found: &str) -> SegmentError {
    SegmentError::mismatch(label, "file type", found, "a regular file")
}

/// Reads the header's constant part through the file: a copy that no peer can change between
/// its check, which it has passed, and its use.
pub(crate) fn read_fixed(file: &File, label: &str, len: u64) -> Result<Fixed, SegmentError> {
    let mut fixed: Fixed = bytemuck::Zeroable::zeroed();
    if len < size_of::<Fixed>() as u64 {
        let expected = "at least the length of a header, 4096 (it is no ringproof segment)";
        return Err(SegmentError::mismatch(label, "file length", len, expected));
    }
    file.read_exact_at(bytemuck::bytes_of_mut(&mut fixed), 0)
        .map_err(SegmentError::system(label, "read its header"))?;
    fixed.check(label, len)?;
    Ok(fixed)
}

/// Reads the text that describes the payload, where a header that was checked says it lies.
pub(crate) fn read_description(
    file: &File,
    label: &str,
    fixed: &Fixed,
) -> Result<Vec<u8>, SegmentError> {
    let mut text = vec![0; fixed.description_len as usize];
    file.read_exact_at(&mut text, fixed.description_offset)
        .map_err(SegmentError::system(label, "read its description"))?;
    Ok(text)
}

/// Reads the header of a segment that is what is expected.
fn read_expected(
    file: &File,
    label: &str,
    len: u64,
    expected: &Expected,
) -> Result<Fixed, SegmentError> {
    let fixed = read_fixed(file, label, len)?;
    let description = read_description(file, label, &fixed)?;
    expected.check(label, &fixed, &description)?;
    Ok(fixed)
}

/// Reads words that lie one after the other, through the file.
pub(crate) fn read_words<const N: usize>(
    file: &File,
    label: &str,
    at: u64,
) -> Result<[u64; N], SegmentError> {
    let mut words = [0; N];
    file.read_exact_at(bytemuck::cast_slice_mut(&mut words), at)
        .map_err(SegmentError::system(label, "read its words"))?;
    Ok(words)
}

impl Segment {
    /// Makes a named segment; `data` is what its first slots hold, the rest is zero.
    pub(crate) fn create(
        name: &str,
        layout: &Layout,
        data: &[u8],
        mode: u32,
    ) -> Result<Arc<Segment>, SegmentError> {
        let path = path_of(name)?;
        if !MODES.contains(&mode) {
            return Err(SegmentError::Mode {
                segment: name.to_owned(),
                mode,
            });
        }
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .mode(mode)
            .custom_flags(libc::O_TMPFILE | libc::O_CLOEXEC)
            .open(DIRECTORY)
            .map_err(making(name, layout, "create an unnamed file in /dev/shm"))?;
        // The mode asked for, whatever the umask: it is an argument, not a default.
        file.set_permissions(fs::Permissions::from_mode(mode))
            .map_err(SegmentError::system(name, "set its mode"))?;
        initialise(&file, name, layout, data)?;
        // Mapped before it is linked: a creator that fails leaves nothing behind.
        let segment = Segment::map(name.to_owned(), Some(path.clone()), file, layout.fixed)?;
        linkat(
            AT_FDCWD,
            Path::new(&format!("/proc/self/fd/{}", segment.file().as_raw_fd())),
            AT_FDCWD,
            &path,
            AtFlags::AT_SYMLINK_FOLLOW,
        )
        .map_err(|error| match error {
            Errno::EEXIST => SegmentError::Exists {
                segment: name.to_owned(),
            },
            _ => making(name, layout, "link it under its name through /proc/self/fd")(error),
        })?;
        Ok(segment)
    }

    /// Makes an anonymous segment; `data` is what its first slots hold, the rest is zero.
    pub(crate) fn anonymous(layout: &Layout, data: &[u8]) -> Result<Arc<Segment>, SegmentError> {
        let label = ANONYMOUS;
        let file: File = memfd_create(
            "ringproof",
            MFdFlags::MFD_CLOEXEC | MFdFlags::MFD_ALLOW_SEALING,
        )
        .map_err(SegmentError::system(label, "create a memory file"))?
        .into();
        initialise(&file, label, layout, data)?;
        let seals = SealFlag::F_SEAL_SHRINK | SealFlag::F_SEAL_GROW | SealFlag::F_SEAL_SEAL;
        fcntl(&file, FcntlArg::F_ADD_SEALS(seals))
            .map_err(SegmentError::system(label, "seal its size"))?;
        Segment::map(label.to_owned(), None, file, layout.fixed)
    }

    /// Attaches to a named segment that is what is expected.
    pub(crate) fn attach(name: &str, expected: &Expected) -> Result<Arc<Segment>, SegmentError> {
        let (file, len) = open_existing(name, true)?;
        let fixed = read_expected(&file, name, len, expected)?;
        Segment::map(name.to_owned(), Some(path_of(name)?), file, fixed)
    }

    /// Attaches to a named segment whatever it holds, and however that is described.
    fn attach_any(name: &str) -> Result<Arc<Segment>, SegmentError> {
        let (file, len) = open_existing(name, true)?;
        let fixed = read_fixed(&file, name, len)?;
        Segment::map(name.to_owned(), Some(path_of(name)?), file, fixed)
    }

    /// Attaches to an anonymous segment by its descriptor.
    pub(crate) fn attach_fd(
        fd: OwnedFd,
        expected: &Expected,
    ) -> Result<Arc<Segment>, SegmentError> {
        let label = format!("(descriptor {})", fd.as_raw_fd());
        let file = File::from(fd);
        let len = check_regular(&file, &label)?;
        let seals = match fcntl(&file, FcntlArg::F_GET_SEALS) {
            Ok(seals) => seals,
            // A file of a kind that knows no seals has none.
            Err(Errno::EINVAL) => 0,
            Err(error) => return Err(SegmentError::system(&label, "read its seals")(error)),
        };
        if !SealFlag::from_bits_truncate(seals).contains(SealFlag::F_SEAL_SHRINK) {
            let found = "without a seal against shrinking";
            let expected = "a memory file sealed with F_SEAL_SHRINK";
            return Err(SegmentError::mismatch(&label, "seals", found, expected));
        }
        let fixed = read_expected(&file, &label, len, expected)?;
        Segment::map(label, None, file, fixed)
    }

    /// Attaches to the named segment, or makes it if there is none; also while others create
    /// and unlink it.
    pub(crate) fn open_or_create(
        name: &str,
        expected: &Expected,
        mut create: impl FnMut() -> Result<Arc<Segment>, SegmentError>,
    ) -> Result<Arc<Segment>, SegmentError> {
        for _ in 0..ROUNDS {
            match Segment::attach(name, expected) {
                Err(SegmentError::NotFound { .. }) => {}
                outcome => return outcome,
            }
            match create() {
                Err(SegmentError::Exists { .. }) => {}
                outcome => return outcome,
            }
        }
        Err(unsteady(name))
    }

    fn map(
        label: String,
        path: Option<PathBuf>,
        file: File,
        fixed: Fixed,
    ) -> Result<Arc<Segment>, SegmentError> {
        let len = usize::try_from(fixed.segment_len).map_err(|_| {
            let len = fixed.segment_len;
            let problem = format!("{len} bytes are more than this machine can address");
            SegmentError::size(&label, problem)
        })?;
        // `Fixed::check` has found a known kind, or the layout made one.
        let kind = Kind::from_number(fixed.kind).unwrap_or(Kind::Ring);
        let [read_word] = read_words(&file, &label, offset::READ_INDEX)?;
        let lost_index = lost_index(kind, read_word);
        let map = MmapOptions::new()
            .len(len)
            .map_raw(&file)
            .map_err(SegmentError::system(&label, "map it"))?;
        // A forked child gets no access: it could only corrupt the stream.
        let map = Mapping::new(map)
            .map_err(SegmentError::system(&label, "keep it from forked children"))?;
        Ok(Arc::new(Segment {
            locks: Locks::of(file, &label)?,
            label,
            path,
            registration: Registration::new(map.as_mut_ptr(), len, lost_index),
            map,
            fixed,
        }))
    }

    /// The name, or what else tells which segment this is.
    pub fn label(&self) -> &str {
        &self.label
    }

    /// What the creator said of it.
    pub fn fixed(&self) -> &Fixed {
        &self.fixed
    }

    /// Whether this mapping's memory was found gone, because somebody truncated the file, and the
    /// [guard](crate::guard) put private memory in its place. Never without a guard. It stays so:
    /// drop the segment and its ends, and attach to another one or to none.
    ///
    /// What was taken from the segment counts if this is false *after* it was taken.
    pub fn is_lost(&self) -> bool {
        self.registration
            .as_ref()
            .is_some_and(Registration::is_lost)
    }

    /// Whether the [guard](crate::guard) knows this mapping. It does, unless there were
    /// [`MAPPINGS`](crate::guard::MAPPINGS) others already.
    pub fn is_guarded(&self) -> bool {
        self.registration.is_some()
    }

    /// Whether this process was forked from the one that attached the segment: then it has no
    /// access to the memory, and an operation of an end dies of SIGSEGV; see [`fork`](crate::fork).
    /// Drop the segment and what is made of it, and attach anew. One load, and so cheap enough to be
    /// asked before every operation. (It does not see a bare `clone`.)
    pub fn is_inherited(&self) -> bool {
        self.map.process().has_forked_this()
    }

    /// Refuses what would touch memory that only the parent of this process has.
    pub(crate) fn unless_inherited(&self) -> Result<(), SegmentError> {
        if self.map.process() == Process::this() {
            return Ok(());
        }
        Err(SegmentError::forked(&self.label))
    }

    /// A descriptor of the segment, to be passed to another process, as one without a name is. It
    /// is opened anew, so no lock goes with it, and this segment keeps one descriptor less where
    /// nobody asks.
    ///
    /// # Errors
    /// [`SegmentError::System`] if it cannot be had.
    ///
    /// ```
    /// use ringproof::{Ring, RingOptions};
    ///
    /// let ring = Ring::<u64>::anonymous(&RingOptions::new(8))?;
    /// ring.producer()?.push(7)?;
    ///
    /// // Sent to another process, over a Unix socket or as an inherited descriptor:
    /// let other = Ring::<u64>::attach_fd(ring.segment().descriptor()?)?;
    /// assert_eq!(other.consumer()?.pop()?, 7);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn descriptor(&self) -> Result<OwnedFd, SegmentError> {
        let opened = role::open_anew(self.file()).map_err(SegmentError::system(
            &self.label,
            "open it anew through /proc/self/fd to pass it on",
        ))?;
        Ok(opened.into())
    }

    /// Refuses what may come from lost memory.
    pub(crate) fn unless_lost<T>(&self, value: T) -> Result<T, SegmentError> {
        if self.is_lost() {
            return Err(SegmentError::Lost {
                segment: self.label.clone(),
            });
        }
        Ok(value)
    }

    /// Takes `role`, to be held until the claim is dropped or the process dies.
    ///
    /// # Errors
    /// [`SegmentError::Held`] if somebody has it; [`SegmentError::Gone`] if the segment was
    /// unlinked or retired since it was opened: open it anew; [`SegmentError::Lost`] if its memory
    /// is gone; [`SegmentError::Forked`] if the parent of this process attached it.
    pub fn claim(&self, role: Role) -> Result<Claim, SegmentError> {
        self.claim_through(&Native, role)
    }

    /// [`claim`](Self::claim) through another memory.
    pub(crate) fn claim_through<M: Memory<Cells = Native>>(
        &self,
        memory: &M,
        role: Role,
    ) -> Result<Claim, SegmentError> {
        let kind = Kind::from_number(self.fixed.kind);
        if (role == Role::Writer) == (kind == Some(Kind::Ring)) {
            let (found, expected) = (
                kind.map_or("unknown", Kind::name),
                format!("one that has a {role}"),
            );
            return Err(SegmentError::mismatch(&self.label, "kind", found, expected));
        }
        self.unless_inherited()?;
        let header = self.header();
        let claim = match self.lock(role) {
            // Its holder goes on with what has no name any more: to end it would not help.
            Err(SegmentError::Held { .. }) if !self.has_a_name()? => {
                return Err(SegmentError::gone(&self.label));
            }
            outcome => outcome?,
        };
        // Only under the lock do these answers last.
        let mut retired = words::is_retired(memory, &header.retired);
        if retired {
            // Whoever retired it may have died before it took the name away. Or it may not take
            // it away, and then takes back the mark.
            self.remove(memory, true)?;
            retired = words::is_retired(memory, &header.retired);
        }
        if retired || !self.has_a_name()? {
            return Err(SegmentError::gone(&self.label));
        }
        let epoch = words::enter(memory, &self.words(role).epoch);
        self.unless_lost(claim.with_epoch(epoch))
    }

    /// Locks `role`, unless somebody has it.
    fn lock(&self, role: Role) -> Result<Claim, SegmentError> {
        let lock = || Claim::lock(&self.locks, &self.label, role);
        let held = match lock() {
            Err(held @ SegmentError::Held { .. }) if self.path.is_some() => held,
            outcome => return outcome,
        };
        // Perhaps by a removal of a free segment, which is over in a moment. During another one
        // there is none, and what is held now is held by somebody who uses it.
        match Removal::begin(&self.locks, &self.label) {
            Ok(_removal) => lock(),
            Err(_) => Err(held),
        }
    }

    /// Whether anybody, this process included, holds `role`.
    ///
    /// # Errors
    /// [`SegmentError::System`] if the kernel cannot tell.
    pub fn is_held(&self, role: Role) -> Result<bool, SegmentError> {
        self.locks.is_held(&self.label, role)
    }

    /// Takes the name away, so that whoever opens it later gets another segment or none, and
    /// nobody takes a role of this one any more. Whoever holds one may go on. Nothing happens
    /// if the name belongs to another segment already, or there never was one.
    ///
    /// # Errors
    /// [`SegmentError::Forked`] if the parent of this process attached it (its name can be
    /// [unlinked](unlink) all the same), or [`SegmentError::System`].
    pub fn unlink(&self) -> Result<(), SegmentError> {
        self.remove(&Native, false)
    }

    /// [Unlinks](Self::unlink) the segment if nobody holds a role of it, and nobody takes one
    /// meanwhile: whoever comes to do so waits for the end of this, and is told
    /// [`SegmentError::Gone`]. Readers of a seqlock or latch hold no role: they are not seen, and
    /// go on with the memory that they have. Nothing happens if there never was a name.
    ///
    /// # Errors
    /// [`SegmentError::Held`] if somebody holds a role; [`SegmentError::Gone`] if the name was
    /// taken away before; or another [`SegmentError`].
    pub fn unlink_free(&self) -> Result<(), SegmentError> {
        let Some(path) = &self.path else {
            return Ok(());
        };
        self.unless_inherited()?;
        let _removal = Removal::begin(&self.locks, &self.label)?;
        if self.name_status()? != NameStatus::Current {
            return Err(SegmentError::gone(&self.label));
        }
        // All at once, until it is done, and within the removal, whose lock was taken before and is
        // dropped after: else a comer could find a role held and no removal under way.
        let roles = Role::of(Kind::from_number(self.fixed.kind));
        let lock = |role: &Role| Claim::lock(&self.locks, &self.label, *role);
        let _claims = roles.iter().map(lock).collect::<Result<Vec<_>, _>>()?;
        let marked = words::is_retired(&Native, &self.header().retired);
        self.take_name_away(&Native, path, marked)
    }

    /// What has become of the segment's name since it was opened. Somebody who waits for a peer
    /// and learns here that the name is gone or another segment's knows where the peer will not
    /// come: who holds a role may go on with what has no name, but nobody joins it. And a reader, which
    /// would see the last value for good, learns that there is a newer seqlock or latch to attach to.
    /// Two system calls: ask in a wait that has become long, not at each item.
    ///
    /// # Errors
    /// [`SegmentError::System`].
    ///
    /// ```
    /// use ringproof::{NameStatus, Ring, RingOptions};
    ///
    /// let name = format!("replaced-{}", std::process::id());
    /// let old = Ring::<u64>::create(&name, &RingOptions::new(8))?;
    /// assert_eq!(old.segment().name_status()?, NameStatus::Current);
    /// ringproof::unlink(&name)?;
    /// assert_eq!(old.segment().name_status()?, NameStatus::Unlinked);
    /// let new = Ring::<u64>::create(&name, &RingOptions::new(8))?;
    /// assert_eq!(old.segment().name_status()?, NameStatus::Replaced);
    /// new.segment().unlink()?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn name_status(&self) -> Result<NameStatus, SegmentError> {
        let Some(path) = &self.path else {
            return Ok(NameStatus::Current);
        };
        let ours = self
            .file()
            .metadata()
            .map_err(SegmentError::system(&self.label, "look up its inode"))?;
        match fs::symlink_metadata(path) {
            Ok(found) if (found.dev(), found.ino()) == (ours.dev(), ours.ino()) => {
                Ok(NameStatus::Current)
            }
            Ok(_) => Ok(NameStatus::Replaced),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(NameStatus::Unlinked),
            Err(error) => Err(SegmentError::system(&self.label, "look up its name")(error)),
        }
    }

    /// Takes the name away; with `finish` only if somebody began to.
    pub(crate) fn remove<M: Memory<Cells = Native>>(
        &self,
        memory: &M,
        finish: bool,
    ) -> Result<(), SegmentError> {
        let Some(path) = &self.path else {
            return Ok(());
        };
        self.unless_inherited()?;
        // Until it is dropped, nobody else takes this segment's name away, and no other segment
        // can be given it: what the look finds is what is removed.
        let _removal = Removal::begin(&self.locks, &self.label)?;
        let marked = words::is_retired(memory, &self.header().retired);
        if finish && !marked {
            return Ok(());
        }
        match self.name_status()? {
            NameStatus::Current => self.take_name_away(memory, path, marked),
            NameStatus::Unlinked | NameStatus::Replaced => Ok(()),
        }
    }

    /// Unlinks `path`, which is this segment's, under the lock of the removal. `marked`: somebody
    /// began to before.
    fn take_name_away<M: Memory<Cells = Native>>(
        &self,
        memory: &M,
        path: &Path,
        marked: bool,
    ) -> Result<(), SegmentError> {
        let mark = &self.header().retired;
        // First retired, then unlinked: whoever dies between the two leaves a name that the
        // next taker of a role finds retired, and removes.
        words::retire(memory, mark);
        match fs::remove_file(path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                // Not permitted, as where the directory is sticky and the segment another
                // user's: it has its name, so it stays in use.
                if !marked {
                    words::reinstate(memory, mark);
                }
                Err(SegmentError::system(&self.label, "unlink it")(error))
            }
            _ => Ok(()),
        }
    }

    /// One of the words that an application keeps beside the structure in the notes of `role`;
    /// `None` from [`NOTES`] on, or if the segment is [lost](Self::is_lost) or
    /// [inherited](Self::is_inherited). New notes are zero.
    pub fn note(&self, role: Role, index: usize) -> Option<u64> {
        self.note_through(&Native, role, index)
    }

    /// [`note`](Self::note) through another memory.
    pub(crate) fn note_through<M: Memory<Cells = Native>>(
        &self,
        memory: &M,
        role: Role,
        index: usize,
    ) -> Option<u64> {
        self.unless_inherited().ok()?;
        let note = self.words(role).notes.get(index)?;
        // Relaxed: what orders notes is the application's affair, through an index or a role.
        let value = memory.load(note, LoadSite::NoteRead);
        (!self.is_lost()).then_some(value)
    }

    /// Writes a word of the notes of `role`. Only the holder of the role should. What is
    /// written before a commit, the consumer sees once it has seen the commit; what is written
    /// before a death, a successor sees.
    ///
    /// # Errors
    /// [`SegmentError::Size`] from [`NOTES`] on; [`SegmentError::Lost`] if the memory is gone;
    /// [`SegmentError::Forked`] if it is the parent's of this process.
    pub fn set_note(&self, role: Role, index: usize, value: u64) -> Result<(), SegmentError> {
        self.set_note_through(&Native, role, index, value)
    }

    /// [`set_note`](Self::set_note) through another memory.
    pub(crate) fn set_note_through<M: Memory<Cells = Native>>(
        &self,
        memory: &M,
        role: Role,
        index: usize,
        value: u64,
    ) -> Result<(), SegmentError> {
        self.unless_inherited()?;
        let Some(note) = self.words(role).notes.get(index) else {
            let problem = format!("there is no note {index}, only {NOTES} of each role");
            return Err(SegmentError::size(&self.label, problem));
        };
        // Relaxed: as above.
        memory.store(note, value, StoreSite::NoteWrite);
        self.unless_lost(())
    }

    /// Refuses a claim of another role or segment.
    pub(crate) fn check_claim(&self, claim: &Claim, role: Role) -> Result<(), SegmentError> {
        claim.check(self.file(), &self.label, role)
    }

    /// Its file.
    pub(crate) fn file(&self) -> &File {
        self.locks.file()
    }

    /// The mapped header.
    pub(crate) fn header(&self) -> &Header {
        // Straight from the mapping's pointer: a detour over a reference to its first word would
        // leave a pointer that may reach that word and no further.
        // SAFETY: the mapping is page-aligned, at least `HEADER_LEN` long (`Fixed::check`) and
        // lives as long as `self`. A header is made of atomic words alone, for which any bit
        // pattern is a value and concurrent stores by anybody are no race.
        unsafe { &*self.map.as_ptr().cast::<Header>() }
    }

    /// The words of `role`.
    pub(crate) fn words(&self, role: Role) -> &RoleWords {
        match role {
            Role::Producer | Role::Writer => &self.header().producer,
            Role::Consumer => &self.header().consumer,
        }
    }

    /// Whether nobody holds `role` now. A kernel that cannot tell leaves the question open: then it is not so.
    pub(crate) fn is_without(&self, role: Role) -> bool {
        matches!(self.is_held(role), Ok(false))
    }

    /// Whether `role` was taken before, and nobody holds it now; or this mapping is [lost](Self::is_lost), so that nobody
    /// comes to it any more.
    pub(crate) fn was_left(&self, role: Role) -> bool {
        // Relaxed: the answer of the kernel, not a partner site, orders it after a holder that is gone.
        let was_taken = || Native.load(&self.words(role).epoch, LoadSite::RoleEpoch) > 0;
        self.is_lost() || (self.is_without(role) && was_taken())
    }

    /// The data as an array of `count` cells.
    ///
    /// # Safety
    /// `C` is made for concurrent access by untrusted peers (a word, or a slot) and valid for
    /// any bit pattern.
    ///
    /// `None` if the data has no room for as many, or is not aligned for them.
    pub(crate) unsafe fn data<C>(&self, count: u64) -> Option<&[C]> {
        let offset = usize::try_from(self.fixed.data_offset).ok()?;
        let count = usize::try_from(count).ok()?;
        let bytes = count.checked_mul(size_of::<C>())?;
        let room = self.map.len().checked_sub(offset)?;
        // SAFETY: `offset` is within the mapping, by the subtraction above.
        let start = unsafe { self.map.as_ptr().add(offset) }.cast::<C>();
        if bytes > room || !start.is_aligned() {
            return None;
        }
        // SAFETY: aligned and within the mapping, which lives as long as `self`; the caller
        // vouches for the type.
        Some(unsafe { core::slice::from_raw_parts(start, count) })
    }

    /// Whether a named segment still has a name. An anonymous one needs none.
    fn has_a_name(&self) -> Result<bool, SegmentError> {
        if self.path.is_none() {
            return Ok(true);
        }
        let meta = self
            .file()
            .metadata()
            .map_err(SegmentError::system(&self.label, "look up its inode"))?;
        Ok(meta.nlink() > 0)
    }
}

/// Opens a segment by `open` and claims `role` of it; again, a bounded number of times, where
/// it was unlinked between the two.
pub(crate) fn open_or_create_as(
    name: &str,
    role: Role,
    mut open: impl FnMut() -> Result<Arc<Segment>, SegmentError>,
) -> Result<(Arc<Segment>, Claim), SegmentError> {
    for _ in 0..ROUNDS {
        let opened = open()?;
        match opened.claim(role) {
            Ok(claim) => return Ok((opened, claim)),
            Err(SegmentError::Gone { .. }) => {}
            Err(error) => return Err(error),
        }
    }
    Err(unsteady(name))
}

/// Removes the named segment, whatever it holds and whoever uses it: they go on with the memory
/// that they have, and the name is free. A file that is no segment is left alone.
///
/// # Errors
/// [`SegmentError`] if there is none of this name, or it cannot be removed.
pub fn unlink(name: &str) -> Result<(), SegmentError> {
    Segment::attach_any(name)?.unlink()
}

/// [Removes](Segment::unlink_free) the named segment if nobody holds a role of it. A file that is no
/// segment is left alone.
///
/// # Errors
/// As [`Segment::unlink_free`]; or [`SegmentError`] if there is none of this name, or this process
/// may not write it.
pub fn unlink_free(name: &str) -> Result<(), SegmentError> {
    Segment::attach_any(name)?.unlink_free()
}

/// Every name in the directory of segments, whatever has it; sorted.
pub(crate) fn names() -> Result<Vec<OsString>, SegmentError> {
    let unreadable = |error| SegmentError::system(DIRECTORY, "list the files there")(error);
    let mut names = Vec::new();
    for entry in fs::read_dir(DIRECTORY).map_err(unreadable)? {
        names.push(entry.map_err(unreadable)?.file_name());
    }
    names.sort();
    Ok(names)
}

fn unsteady(name: &str) -> SegmentError {
    SegmentError::system(
        name,
        "get hold of it: others create and unlink it all the time",
    )(Errno::ETIMEDOUT)
}

fn no_space(label: &str, layout: &Layout, room: Option<Room>) -> SegmentError {
    SegmentError::NoSpace {
        segment: label.to_owned(),
        bytes: layout.fixed.segment_len,
        room,
    }
}

/// A system error in the making of a segment, for `map_err`. At every step the file system may be
/// out of what it needs: an inode for the file, memory for its bytes or for its name, or what a
/// quota leaves of them.
fn making<E: Into<io::Error>>(
    label: &str,
    layout: &Layout,
    action: &'static str,
) -> impl Fn(E) -> SegmentError {
    move |error| {
        let error = error.into();
        match error.raw_os_error() {
            Some(libc::ENOSPC | libc::EDQUOT | libc::EFBIG | libc::ENOMEM) => {
                no_space(label, layout, None)
            }
            _ => SegmentError::system(label, action)(error),
        }
    }
}

/// Gives a new file its memory and its first contents. Nobody else can see it yet.
fn initialise(file: &File, label: &str, layout: &Layout, data: &[u8]) -> Result<(), SegmentError> {
    let fixed = &layout.fixed;
    let len =
        libc::off_t::try_from(fixed.segment_len).map_err(|_| no_space(label, layout, None))?;
    // A memory file has no limit of its own: the system would go on giving it memory until it has
    // to kill somebody for it.
    if let Some(room) = room::shortage(fixed.segment_len) {
        return Err(no_space(label, layout, Some(room)));
    }
    // Asked for more than this, the system would not only refuse but also send SIGXFSZ, of which
    // a process dies that has not made its peace with it.
    let (limit, _) = getrlimit(Resource::RLIMIT_FSIZE)
        .map_err(SegmentError::system(label, "ask how long its file may be"))?;
    if fixed.segment_len > limit {
        let problem = format!(
            "its {} bytes are more than a file of this process may have: RLIMIT_FSIZE is \
             {limit} (in a shell, ulimit -f)",
            fixed.segment_len
        );
        return Err(SegmentError::size(label, problem));
    }
    loop {
        match fallocate(file, FallocateFlags::empty(), 0, len) {
            Ok(()) => break,
            Err(Errno::EINTR) => {}
            Err(error) => return Err(making(label, layout, "give it memory")(error)),
        }
    }
    let write = |bytes: &[u8], offset| {
        file.write_all_at(bytes, offset)
            .map_err(making(label, layout, "initialise it"))
    };
    write(layout.description.as_bytes(), fixed.description_offset)?;
    write(data, fixed.data_offset)?;
    write(bytemuck::bytes_of(fixed), 0)
}
