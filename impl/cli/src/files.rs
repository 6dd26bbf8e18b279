//! Standard input, output and error: what they are, and reading and writing them.
//!
//! Nothing here goes through `std::io`'s own: those take a write that the system refuses with EBADF
//! for done.

use std::fs::{File, Metadata, OpenOptions};
use std::io::{self, ErrorKind, IsTerminal, Read, Seek, SeekFrom, Write};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::os::unix::fs::{FileExt, FileTypeExt, MetadataExt};
use std::path::Path;
use std::thread::sleep;
use std::time::{Duration, UNIX_EPOCH};

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::unistd::{close, dup2_stderr, fdatasync};
use ringproof::layout::MAGIC;

use crate::early;
use crate::exit::{Failure, Unwritten};
use crate::notes::FileId;
use crate::resume::{FileFacts, Refusal};
use crate::stream::CHECK;

/// How long this waits after a call that would block although `poll` said that it would not.
const PAUSE: Duration = Duration::from_millis(1);

/// Standard input, unbuffered.
pub(crate) struct Input {
    file: File,
    /// How long it was at most, as far as was seen, if it is a regular file.
    longest: Option<u64>,
}

impl Input {
    pub(crate) fn stdin() -> Result<Input, Failure> {
        let file = standard(io::stdin().as_fd(), "standard input", OFlag::O_WRONLY)?;
        let meta = file
            .metadata()
            .map_err(Failure::io("find out what the input is"))?;
        if meta.is_dir() {
            return Err(Failure::io("read the input")(Errno::EISDIR));
        }
        let longest = meta.is_file().then_some(meta.len());
        Ok(Input { file, longest })
    }

    /// What it is, if it is a regular file.
    pub(crate) fn facts(&mut self) -> Result<Option<FileFacts>, Failure> {
        facts(&mut self.file).map_err(Failure::io("find out what the input is"))
    }

    /// Whether it is the file of the segment of this name.
    pub(crate) fn is_segment(&self, name: &str) -> bool {
        let segment = std::fs::symlink_metadata(Path::new("/dev/shm").join(name));
        let segment = segment.ok().and_then(place);
        segment.is_some_and(|segment| self.file.metadata().ok().and_then(place) == Some(segment))
    }

    pub(crate) fn seek(&mut self, offset: u64) -> Result<(), Failure> {
        let sought = self.file.seek(SeekFrom::Start(offset));
        sought
            .map(drop)
            .map_err(Failure::io("seek in the input to where the stream stopped"))
    }

    /// Reads what there is, at least a byte unless the input is at its end. While nothing comes,
    /// `idle` is asked from time to time whether to wait on.
    pub(crate) fn read(
        &mut self,
        buffer: &mut [u8],
        mut idle: impl FnMut() -> Result<(), Failure>,
    ) -> Result<usize, Failure> {
        loop {
            // A regular file has what it has.
            if self.longest.is_none()
                && events(self.file.as_fd(), PollFlags::POLLIN, CHECK).is_empty()
            {
                idle()?;
                continue;
            }
            match self.file.read(buffer) {
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => sleep(PAUSE),
                outcome => {
                    let count = outcome.map_err(Failure::io("read the input"))?;
                    if let Some(longest) = self.longest {
                        self.longest = Some(longest.max(self.len()?));
                    }
                    return Ok(count);
                }
            }
        }
    }

    fn len(&self) -> Result<u64, Failure> {
        let meta = self.file.metadata();
        let meta = meta.map_err(Failure::io("find out how long the input is"))?;
        Ok(meta.len())
    }

    /// At its end: whether that comes before an end that it had earlier, because somebody cut it. (A
    /// file that still says that it is as long, as those of /sys do, is what it is.)
    pub(crate) fn cut(&mut self) -> Result<Option<Refusal>, Failure> {
        let Some(promised) = self.longest else {
            return Ok(None);
        };
        let read = self.file.stream_position();
        let read = read.map_err(Failure::io("find out how long the input is"))?;
        let len = self.len()?;
        let is_cut = read < promised && len < promised;
        Ok(is_cut.then_some(Refusal::InputCut { len, promised }))
    }
}

impl AsFd for Input {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.file.as_fd()
    }
}

/// Standard output, unbuffered.
pub(crate) struct Output(File);

impl Output {
    pub(crate) fn stdout() -> Result<Output, Failure> {
        let file = standard(io::stdout().as_fd(), "standard output", OFlag::O_RDONLY)?;
        if is_segment(file.as_fd()) {
            return Err(Failure::IntoSegment);
        }
        Ok(Output(file))
    }

    /// What it is, if it is a regular file.
    pub(crate) fn facts(&mut self) -> Result<Option<FileFacts>, Failure> {
        facts(&mut self.0).map_err(Failure::io("find out what the output is"))
    }

    /// Whether whoever read it is gone, as far as is known without writing.
    pub(crate) fn is_closed(&self) -> bool {
        let gone = PollFlags::POLLERR | PollFlags::POLLHUP;
        events(self.0.as_fd(), PollFlags::empty(), Duration::ZERO).intersects(gone)
    }

    /// Writes all of `bytes`.
    pub(crate) fn write(&mut self, bytes: &[u8]) -> Result<(), Unwritten> {
        let mut written = 0;
        let mut is_said_ready = false;
        while written < bytes.len() {
            match self.0.write(&bytes[written..]) {
                Ok(0) => return Err(Unwritten::Failed(ErrorKind::WriteZero.into())),
                Ok(count) => {
                    written += count;
                    is_said_ready = false;
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                // Whoever started this program may have left its end of a pipe non-blocking.
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    if is_said_ready {
                        sleep(PAUSE);
                    }
                    events(self.0.as_fd(), PollFlags::POLLOUT, CHECK);
                    is_said_ready = true;
                }
                Err(error) => return Err(self.unwritten(error)),
            }
        }
        Ok(())
    }

    /// Makes the file system say what it has not said yet: some take every write, and report that the
    /// disk is broken, full or out of quota when they have to get it there. What cannot be asked,
    /// as a pipe, has nothing to say.
    pub(crate) fn sync(&self) -> Result<(), Unwritten> {
        loop {
            match fdatasync(&self.0) {
                Ok(()) | Err(Errno::EINVAL | Errno::EROFS | Errno::ENOSYS | Errno::EOPNOTSUPP) => {
                    return Ok(());
                }
                Err(Errno::EINTR) => {}
                Err(error) => return Err(self.unwritten(error.into())),
            }
        }
    }

    /// Closes it. Network file systems say only here what they could not write. (It is a copy of
    /// the descriptor that is closed; each counts for them.)
    pub(crate) fn close(self) -> Result<(), Unwritten> {
        close(self.0).map_err(|error| kind_of(error.into()))
    }

    /// Writes a report, the whole of the output, and closes it.
    pub(crate) fn report(mut self, text: &str) -> Result<(), Failure> {
        let written = self.write(text.as_bytes()).and_then(|()| self.close());
        written.map_err(|unwritten| match unwritten {
            Unwritten::Closed(_) => Failure::ReportClosed,
            Unwritten::Full(source) => Failure::ReportFull(source),
            Unwritten::Failed(source) => Failure::io("write the report")(source),
        })
    }

    /// An error if it is known before anything is written that a report cannot be.
    pub(crate) fn check_for_report(&self) -> Result<(), Failure> {
        if self.is_closed() {
            return Err(Failure::ReportClosed);
        }
        // A device may refuse whatever it is given, as /dev/full does. For others it says nothing
        // to write nothing, or is something, as a message of no bytes.
        let meta = self.0.metadata();
        if meta.is_ok_and(|meta| meta.file_type().is_char_device()) {
            let refused = (&self.0).write(&[]).err().map(kind_of);
            if let Some(Unwritten::Full(source)) = refused {
                return Err(Failure::ReportFull(source));
            }
        }
        Ok(())
    }

    fn unwritten(&self, error: io::Error) -> Unwritten {
        match kind_of(error) {
            // A terminal that was hung up says EIO.
            Unwritten::Failed(error) if self.is_closed() => Unwritten::Closed(error),
            kind => kind,
        }
    }
}

fn kind_of(error: io::Error) -> Unwritten {
    match error.kind() {
        ErrorKind::BrokenPipe
        | ErrorKind::ConnectionReset
        | ErrorKind::ConnectionAborted
        | ErrorKind::NotConnected => Unwritten::Closed(error),
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded | ErrorKind::FileTooLarge => {
            Unwritten::Full(error)
        }
        _ => Unwritten::Failed(error),
    }
}

impl AsFd for Output {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

/// Sends messages nowhere if standard error is the file that `stream` is: among its bytes they would
/// be taken for some of them, and the length of the file would be wrong. The exit code remains.
pub(crate) fn keep_messages_out_of(stream: impl AsFd) -> Result<(), Failure> {
    if is_same_file(io::stderr().as_fd(), stream.as_fd()) {
        send_messages_nowhere()?;
    }
    Ok(())
}

/// The same if it is a segment, whoever uses it.
pub(crate) fn keep_messages_out_of_segments() -> Result<(), Failure> {
    if is_segment(io::stderr().as_fd()) {
        send_messages_nowhere()?;
    }
    Ok(())
}

fn send_messages_nowhere() -> Result<(), Failure> {
    let nowhere = OpenOptions::new().write(true).open("/dev/null");
    let nowhere = nowhere.map_err(Failure::io("open /dev/null"))?;
    dup2_stderr(nowhere).map_err(Failure::io("replace standard error"))
}

/// Whether both are one file or disk. (Messages go into a terminal or a pipe as the caller says.)
fn is_same_file(one: BorrowedFd<'_>, other: BorrowedFd<'_>) -> bool {
    let place_of = |fd| metadata(fd).ok().and_then(place);
    place_of(one).is_some_and(|one| place_of(other) == Some(one))
}

/// Which file or disk it is, if it is one.
fn place(meta: Metadata) -> Option<(u64, u64)> {
    let kind = meta.file_type();
    (kind.is_file() || kind.is_block_device()).then_some((meta.dev(), meta.ino()))
}

/// Whether this is a named segment, opened as if it were any file.
fn is_segment(fd: BorrowedFd<'_>) -> bool {
    let there = std::fs::metadata("/dev/shm").map(|meta| meta.dev());
    let is_there = metadata(fd)
        .is_ok_and(|meta| meta.is_file() && there.is_ok_and(|device| device == meta.dev()));
    // It may be open for writing only.
    is_there
        && File::open(format!("/proc/self/fd/{}", fd.as_raw_fd()))
            .and_then(|file| {
                let mut magic = [0; 8];
                file.read_exact_at(&mut magic, 0).map(|()| magic)
            })
            .is_ok_and(|magic| u64::from_ne_bytes(magic) == MAGIC)
}

/// Whether help may have colours: who reads it is at a terminal.
pub(crate) fn stdout_is_terminal() -> bool {
    io::stdout().is_terminal()
}

/// A copy of a standard descriptor that the caller opened, and not in the `wrong` way.
fn standard(fd: BorrowedFd<'_>, descriptor: &'static str, wrong: OFlag) -> Result<File, Failure> {
    let refuse = |problem| {
        Err(Failure::Descriptor {
            descriptor,
            problem,
        })
    };
    if early::was_closed(fd.as_raw_fd()) {
        return refuse("is closed");
    }
    let use_it = Failure::io::<io::Error>("use a standard descriptor");
    let flags = fcntl(fd, FcntlArg::F_GETFL).map_err(|error| use_it(error.into()))?;
    let flags = OFlag::from_bits_retain(flags);
    if flags.contains(OFlag::O_PATH) {
        return refuse("is only a place in the file system");
    }
    if flags & OFlag::O_ACCMODE == wrong {
        return refuse(if wrong == OFlag::O_RDONLY {
            "is not open for writing"
        } else {
            "is not open for reading"
        });
    }
    Ok(fd.try_clone_to_owned().map_err(use_it)?.into())
}

/// What has happened to a descriptor, or happens within this time: one of `wanted`, or what is
/// always reported. What cannot be asked is called ready.
fn events(fd: BorrowedFd<'_>, wanted: PollFlags, most: Duration) -> PollFlags {
    let mut asked = [PollFd::new(fd, wanted)];
    let most = PollTimeout::try_from(most).unwrap_or(PollTimeout::MAX);
    match poll(&mut asked, most) {
        Ok(0) | Err(Errno::EINTR) => PollFlags::empty(),
        Ok(_) => asked[0].revents().unwrap_or(wanted),
        Err(_) => wanted,
    }
}

fn metadata(fd: BorrowedFd<'_>) -> io::Result<Metadata> {
    File::from(fd.try_clone_to_owned()?).metadata()
}

fn facts(file: &mut File) -> io::Result<Option<FileFacts>> {
    let meta = file.metadata()?;
    if !meta.is_file() {
        return Ok(None);
    }
    let born = meta.created().ok();
    let born = born.and_then(|born| born.duration_since(UNIX_EPOCH).ok());
    let flags = OFlag::from_bits_retain(fcntl(file.as_fd(), FcntlArg::F_GETFL)?);
    Ok(Some(FileFacts {
        id: FileId {
            device: meta.dev(),
            inode: meta.ino(),
            // Nanoseconds since 1970 fit until the year 2554.
            born: born.map_or(0, |born| born.as_nanos() as u64),
        },
        len: meta.len(),
        links: meta.nlink(),
        offset: file.stream_position()?,
        append: flags.contains(OFlag::O_APPEND),
    }))
}
