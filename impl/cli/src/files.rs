//! Standard input and output: what they are, and reading and writing them.

use std::fs::File;
use std::io::{self, ErrorKind, Read, Seek, SeekFrom, Write};
use std::os::fd::AsFd;
use std::os::unix::fs::MetadataExt;
use std::time::UNIX_EPOCH;

use nix::fcntl::{FcntlArg, OFlag, fcntl};

use crate::exit::Failure;
use crate::notes::FileId;
use crate::resume::FileFacts;
use crate::wait::Wait;

/// Standard input, unbuffered.
pub(crate) struct Input(File);

impl Input {
    pub(crate) fn stdin() -> Result<Input, Failure> {
        let own = io::stdin().as_fd().try_clone_to_owned();
        Ok(Input(
            own.map_err(Failure::io("use standard input"))?.into(),
        ))
    }

    /// What it is, if it is a regular file.
    pub(crate) fn facts(&mut self) -> Result<Option<FileFacts>, Failure> {
        facts(&mut self.0).map_err(Failure::io("find out what the input is"))
    }

    pub(crate) fn seek(&mut self, offset: u64) -> Result<(), Failure> {
        let sought = self.0.seek(SeekFrom::Start(offset));
        sought
            .map(drop)
            .map_err(Failure::io("seek in the input to where the stream stopped"))
    }

    /// Reads what there is, at least a byte unless the input is at its end.
    pub(crate) fn read(&mut self, buffer: &mut [u8]) -> Result<usize, Failure> {
        let mut wait = Wait::new();
        loop {
            match self.0.read(buffer) {
                Err(error) if goes_on(&error, &mut wait) => {}
                outcome => return outcome.map_err(Failure::io("read the input")),
            }
        }
    }
}

/// Standard output, unbuffered.
pub(crate) struct Output(File);

impl Output {
    pub(crate) fn stdout() -> Result<Output, Failure> {
        let own = io::stdout().as_fd().try_clone_to_owned();
        Ok(Output(
            own.map_err(Failure::io("use standard output"))?.into(),
        ))
    }

    /// What it is, if it is a regular file.
    pub(crate) fn facts(&mut self) -> Result<Option<FileFacts>, Failure> {
        facts(&mut self.0).map_err(Failure::io("find out what the output is"))
    }

    /// Writes all of `bytes`.
    pub(crate) fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        let mut wait = Wait::new();
        let mut written = 0;
        while written < bytes.len() {
            match self.0.write(&bytes[written..]) {
                Ok(0) => return Err(ErrorKind::WriteZero.into()),
                Ok(count) => {
                    written += count;
                    wait = Wait::new();
                }
                Err(error) if goes_on(&error, &mut wait) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}

/// Whether a call failed only for now; then this has waited.
fn goes_on(error: &io::Error, wait: &mut Wait) -> bool {
    match error.kind() {
        ErrorKind::Interrupted => true,
        // Whoever started this program may have left its end of a pipe non-blocking.
        ErrorKind::WouldBlock => {
            wait.pause();
            true
        }
        _ => false,
    }
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
        offset: file.stream_position()?,
        append: flags.contains(OFlag::O_APPEND),
    }))
}
