//! Exit codes, and the errors that lead to them.
//!
//! This is the one table of a program that is published by itself, for its users and their scripts. The programs
//! that prove and measure, which end with the verdict of their rows, have another in `ringproof-record`, which is
//! not published; 0, done, and 2, wrong usage, mean the same in both.

use std::io;

use ringproof::guard::GuardError;
use ringproof::{Corruption, SegmentError};

use crate::resume::Refusal;
use crate::shown;

/// What the program's exit code says. Each kind of failure has its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Exit {
    /// All was done.
    Done = 0,
    /// A failure without a code of its own.
    Other = 1,
    /// The command line, or a size asked for, makes no sense. (The parser's own code.)
    Usage = 2,
    /// There is no such segment, or there cannot be one of that name.
    NoSegment = 3,
    /// The segment holds something else, or was written over.
    NotAStream = 4,
    /// The role is another process's.
    Held = 5,
    /// No room or memory for the segment, or no room for the output.
    NoRoom = 6,
    /// Whoever read the output is gone.
    OutputClosed = 7,
    /// The restart does not fit the stream, or its input or output changed under it.
    Refused = 8,
    /// The receiver closed the ring, so what is left is not taken.
    ReceiverClosed = 9,
    /// The segment's memory is gone.
    Lost = 10,
}

/// The table of exit codes, as `--help` prints it.
pub(crate) const TABLE: &str = "\
Exit codes:
  0  done
  1  a failure not listed here; the message says which
  2  wrong usage, or a size that cannot be had
  3  no such segment, no segment of such a name, or it was removed while in use
  4  the segment is no stream of bytes, or somebody wrote over it
  5  the role is held: another send or recv is running on NAME
  6  no room for the segment in /dev/shm, or for the output: no bytes, no inodes, or a quota; or no
     memory to map the segment (ulimit -v)
  7  the output was closed by its reader
  8  refused, because bytes would be lost or repeated: a restart that does not fit, an input or
     output that somebody cut, an output that is the input; the message says why
  9  the receiver closed the stream: it takes no more bytes
 10  somebody truncated the segment while it was in use: what it still held is lost";

/// Why something was not written, or not taken in the end.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Unwritten {
    /// Whoever read it is gone.
    #[error(transparent)]
    Closed(io::Error),
    /// There is no room for it.
    #[error(transparent)]
    Full(io::Error),
    #[error(transparent)]
    Failed(io::Error),
}

/// Why the program failed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    #[error(transparent)]
    Segment(#[from] SegmentError),
    #[error(transparent)]
    Corrupt(#[from] Corruption),
    #[error(transparent)]
    Guard(#[from] GuardError),
    #[error(
        "segment `{segment}` was truncated by another process, or its memory failed: what it \
         still held is lost, and the stream cannot go on; `ringproof gc {}` gives it up",
        shown::argument(segment)
    )]
    Lost { segment: String },
    #[error(
        "segment `{segment}` holds {position} bytes and no record of the file that they belong \
         to: it was not begun by `ringproof {command}`, or its notes were written over"
    )]
    NoNotes {
        segment: String,
        position: u64,
        command: &'static str,
    },
    #[error("segment `{segment}`: refused")]
    Refused { segment: String, source: Refusal },
    #[error(
        "segment `{segment}` was removed while in use and nobody is on its other side: \
         what it still holds is lost{}",
        if *replaced {
            "; another one has its name now, which the same command joins"
        } else {
            ""
        }
    )]
    Removed { segment: String, replaced: bool },
    #[error(
        "the receiver closed segment `{segment}` and takes no more: {left} bytes in it were not \
         taken and will not be; `ringproof gc {}` gives them up",
        shown::argument(segment)
    )]
    ReceiverClosed { segment: String, left: u64 },
    #[error(
        "the output was closed by its reader; what it has not been given stays in segment \
         `{segment}` for the next `ringproof recv {}`",
        shown::argument(segment)
    )]
    OutputClosed { segment: String },
    #[error(
        "no room for the output; nothing is lost: make room, then restart \
         `ringproof recv {}` on the same file with >>",
        shown::argument(segment)
    )]
    OutputFull { segment: String, source: io::Error },
    #[error(
        "the output's file system took everything and then said: {late}; so it is not known what the \
         file has. {}", still_held(segment, *held_from, *end)
    )]
    OutputLate {
        segment: String,
        /// The first byte that the ring still holds.
        held_from: u64,
        end: u64,
        late: Unwritten,
    },
    #[error("the report's reader closed it")]
    ReportClosed,
    #[error("no room for the report")]
    ReportFull(#[source] io::Error),
    #[error("removed {removed}, but could not report it")]
    RemovedUnreported {
        removed: String,
        source: Box<Failure>,
    },
    #[error("{descriptor} {problem} (EBADF)")]
    Descriptor {
        descriptor: &'static str,
        problem: &'static str,
    },
    #[error("the output is a ringproof segment: it would be written over")]
    IntoSegment,
    #[error("cannot {action}")]
    Io {
        action: &'static str,
        source: io::Error,
    },
    #[error("{0}")]
    Unexpected(String),
}

impl Failure {
    /// An error of the system with what was tried, for `map_err`.
    pub(crate) fn io<E: Into<io::Error>>(action: &'static str) -> impl Fn(E) -> Failure {
        move |source| Failure::Io {
            action,
            source: source.into(),
        }
    }

    /// A refusal to go on with this segment, for `map_err`.
    pub(crate) fn refused(segment: &str) -> impl Fn(Refusal) -> Failure {
        move |source| Failure::Refused {
            segment: segment.to_owned(),
            source,
        }
    }

    /// The exit code for it.
    pub(crate) fn exit(&self) -> Exit {
        match self {
            Failure::Segment(error) => of_segment(error),
            Failure::Corrupt(_) | Failure::NoNotes { .. } => Exit::NotAStream,
            Failure::Refused { .. } => Exit::Refused,
            Failure::Removed { .. } => Exit::NoSegment,
            Failure::ReceiverClosed { .. } => Exit::ReceiverClosed,
            Failure::OutputClosed { .. } | Failure::ReportClosed => Exit::OutputClosed,
            Failure::OutputFull { .. } | Failure::ReportFull(_) => Exit::NoRoom,
            Failure::OutputLate { late, .. } => match late {
                Unwritten::Closed(_) => Exit::OutputClosed,
                Unwritten::Full(_) => Exit::NoRoom,
                Unwritten::Failed(_) => Exit::Other,
            },
            Failure::RemovedUnreported { source, .. } => source.exit(),
            Failure::IntoSegment => Exit::Refused,
            Failure::Lost { .. } => Exit::Lost,
            Failure::Guard(_)
            | Failure::Io { .. }
            | Failure::Descriptor { .. }
            | Failure::Unexpected(_) => Exit::Other,
        }
    }

    /// The message with everything that led to it, on one line.
    pub(crate) fn chain(&self) -> String {
        chain(self)
    }
}

/// The exit code for what the library says of a segment.
pub(crate) fn of_segment(error: &SegmentError) -> Exit {
    match error {
        SegmentError::Name { .. } | SegmentError::NotFound { .. } | SegmentError::Gone { .. } => {
            Exit::NoSegment
        }
        SegmentError::Size { .. } | SegmentError::Mode { .. } => Exit::Usage,
        SegmentError::NoSpace { .. } => Exit::NoRoom,
        SegmentError::System { error, .. } if error.kind() == io::ErrorKind::OutOfMemory => {
            Exit::NoRoom
        }
        SegmentError::Mismatch { .. } | SegmentError::Payload { .. } => Exit::NotAStream,
        SegmentError::Held { .. } => Exit::Held,
        SegmentError::Lost { .. } => Exit::Lost,
        _ => Exit::Other,
    }
}

/// What can be done after an error that came late.
fn still_held(segment: &str, from: u64, end: u64) -> String {
    let again = format!("`ringproof recv {}`", shown::argument(segment));
    let before = format!("compare what it has before byte {from} with the original");
    match from {
        0 => format!(
            "Segment `{segment}` still holds the whole stream: {again} into an empty file, when the \
             cause is removed, has all of it"
        ),
        _ if from == end => format!("Segment `{segment}` holds no more of the stream: {before}"),
        _ => format!(
            "Segment `{segment}` still holds the stream from byte {from} on, for {again} with >> on \
             the same file: {before}"
        ),
    }
}

/// An error's message with everything that led to it, on one line.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_is_in_the_table() {
        let listed: Vec<u8> = TABLE
            .lines()
            .skip(1)
            // The others go on with the line before them.
            .filter(|line| !line.starts_with("    "))
            .map(|line| line.split_whitespace().next().unwrap().parse().unwrap())
            .collect();
        // They are numbered one after the other.
        assert!(listed.into_iter().eq(Exit::Done as u8..=Exit::Lost as u8));
    }

    #[test]
    fn a_chain_names_the_cause() {
        let failure = Failure::io("read the input")(io::Error::other("the disk is on fire"));
        assert_eq!(
            failure.chain(),
            "cannot read the input: the disk is on fire"
        );
    }
}
