//! What can go wrong with a segment or a role, said so that the reader knows what to do.
//!
//! A circle with `role`: an error names the role that it is about, and taking a role ends in such an error. Both
//! are public types of one interface, and neither means anything without the other.

use std::io;

use crate::role::Role;
use crate::room::Room;

/// Why a segment could not be made, attached or used, or a role not be taken.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SegmentError {
    /// The name cannot be the name of a segment.
    #[error("segment name `{name}`: {problem}")]
    Name {
        /// The name.
        name: String,
        /// What is wrong with it.
        problem: &'static str,
    },
    /// The sizes asked for cannot be had.
    #[error("segment `{segment}`: {problem}")]
    Size {
        /// The segment.
        segment: String,
        /// What is wrong with them.
        problem: String,
    },
    /// The permissions asked for cannot be a segment's: see [`MODES`](crate::segment::MODES).
    #[error(
        "segment `{segment}`: a mode of {mode:o}; it must be from 600 to 777, in octal: \
         permissions and nothing else, and its owner may read and write"
    )]
    Mode {
        /// The segment.
        segment: String,
        /// What was asked for.
        mode: u32,
    },
    /// There is no segment of this name.
    #[error("segment `{segment}` does not exist")]
    NotFound {
        /// The segment.
        segment: String,
    },
    /// There is a file of this name, and this process may not open it.
    #[error(
        "segment `{segment}` has mode {mode:o} and belongs to user {user} and group {group}: \
         this process may not open it {purpose}; whoever makes a segment says who may \
         (mode 660: its group, too)"
    )]
    Denied {
        /// The segment.
        segment: String,
        /// What it was to be opened for.
        purpose: &'static str,
        /// The permission bits of its file.
        mode: u32,
        /// Whose file it is.
        user: u32,
        /// Its file's group.
        group: u32,
    },
    /// There is a segment, or some other file, of this name already.
    #[error("segment `{segment}` exists already; attach to it, or unlink it first")]
    Exists {
        /// The segment.
        segment: String,
    },
    /// The file system of the segment has no room for it: too few bytes or inodes, or a quota is
    /// used up. Or the machine has no memory for it.
    #[error("no room for segment `{segment}` of {bytes} bytes; {}", remedy(room))]
    NoSpace {
        /// The segment.
        segment: String,
        /// How much was asked for.
        bytes: u64,
        /// What there is of memory, if that is too little; otherwise it is the file system that
        /// has refused.
        room: Option<Room>,
    },
    /// What the file says of itself is not what is needed here.
    #[error("segment `{segment}`: {field} is {found}, expected {expected}")]
    Mismatch {
        /// The segment.
        segment: String,
        /// The field of its header, or property of its file.
        field: &'static str,
        /// What was found.
        found: String,
        /// What would do.
        expected: String,
    },
    /// Its items are made of other fields than this program's: see [`shape`](crate::shape).
    #[error("segment `{segment}` holds another payload: {}", first_of(differences))]
    Payload {
        /// The segment.
        segment: String,
        /// What differs, by field; what comes first in the item first. A message tells the first
        /// sixteen.
        differences: Vec<String>,
    },
    /// Somebody holds the role.
    #[error(
        "the {role} of segment `{segment}` is another process or endpoint; \
         end it first (a stopped process holds its role, too)"
    )]
    Held {
        /// The segment.
        segment: String,
        /// The role.
        role: Role,
    },
    /// The segment was unlinked or retired after it was opened: whoever opens the name now gets
    /// another one, or none.
    #[error("segment `{segment}` was unlinked since it was opened; open it anew")]
    Gone {
        /// The segment.
        segment: String,
    },
    /// The segment's memory is gone: see [`guard`](crate::guard).
    #[error(
        "segment `{segment}` was truncated by another process, or its memory failed; \
         what it still held is lost"
    )]
    Lost {
        /// The segment.
        segment: String,
    },
    /// The segment was attached by the process that this one was forked from: see
    /// [`fork`](crate::fork).
    #[error(
        "segment `{segment}` was attached by the process that this one was forked from, and a \
         forked child has no access to its memory; attach to it anew"
    )]
    Forked {
        /// The segment.
        segment: String,
    },
    /// The call needs a claim of a role of this segment, and there is none.
    #[error("this needs a claim of the {needed}, and there is {found}")]
    Unclaimed {
        /// The role and the segment, or which ones would do.
        needed: String,
        /// What there is instead.
        found: String,
    },
    /// The system refused. The message says why, with the system's number for it; so that nobody who
    /// prints a chain of errors reads it twice, it is no [`source`](core::error::Error::source).
    #[error("segment `{segment}`: cannot {action}: {error}")]
    System {
        /// The segment.
        segment: String,
        /// What was tried.
        action: &'static str,
        /// What the system said.
        error: io::Error,
    },
}

/// How many differences a message shows. The segment says how many there are, and whoever made it
/// may have made two thousand.
const SHOWN: usize = 16;

fn remedy(room: &Option<Room>) -> String {
    match room {
        Some(room) => format!(
            "{} bytes of memory can be had ({}); ask for fewer slots",
            room.available, room.limit
        ),
        None => "ask for fewer slots, or free or enlarge the file system that holds it (it may be \
                 out of bytes or inodes, or a quota used up)"
            .to_owned(),
    }
}

fn first_of(differences: &[String]) -> String {
    let shown = &differences[..differences.len().min(SHOWN)];
    match differences.len() - shown.len() {
        0 => shown.join("; "),
        more => format!("{}; and {more} more differences", shown.join("; ")),
    }
}

impl SegmentError {
    /// A system error with its context, for `map_err`.
    pub(crate) fn system<E: Into<io::Error>>(
        segment: &str,
        action: &'static str,
    ) -> impl Fn(E) -> SegmentError {
        move |error| SegmentError::System {
            segment: segment.to_owned(),
            action,
            error: error.into(),
        }
    }

    /// What cannot be had.
    pub(crate) fn size(segment: &str, problem: impl Into<String>) -> SegmentError {
        SegmentError::Size {
            segment: segment.to_owned(),
            problem: problem.into(),
        }
    }

    /// What a segment should be and is not.
    pub(crate) fn mismatch(
        segment: &str,
        field: &'static str,
        found: impl ToString,
        expected: impl ToString,
    ) -> SegmentError {
        SegmentError::Mismatch {
            segment: segment.to_owned(),
            field,
            found: found.to_string(),
            expected: expected.to_string(),
        }
    }

    pub(crate) fn gone(segment: &str) -> SegmentError {
        SegmentError::Gone {
            segment: segment.to_owned(),
        }
    }

    pub(crate) fn forked(segment: &str) -> SegmentError {
        SegmentError::Forked {
            segment: segment.to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Whoever prints a chain, as `anyhow` does, gets the same as who prints the error.
    #[test]
    fn a_system_error_has_its_number_and_once() {
        for (number, name) in [
            (2, "No such file"),
            (13, "Permission denied"),
            (110, "timed out"),
        ] {
            let error = SegmentError::system("s", "open it")(io::Error::from_raw_os_error(number));
            let said = error.to_string();
            assert!(said.starts_with("segment `s`: cannot open it: "), "{said}");
            assert!(said.contains(name), "{said}");
            assert_eq!(
                said.matches(&format!("(os error {number})")).count(),
                1,
                "{said}"
            );
            assert!(core::error::Error::source(&error).is_none());
        }
    }

    #[test]
    fn a_message_tells_the_first_differences_and_how_many_there_are_more() {
        let message = |count: u32| {
            let differences = (0..count).map(|number| format!("<{number}>")).collect();
            let segment = "s".to_owned();
            SegmentError::Payload {
                segment,
                differences,
            }
            .to_string()
        };
        assert!(message(2).ends_with("another payload: <0>; <1>"));
        assert!(message(16).ends_with("; <15>"));
        assert!(message(2049).ends_with("; <15>; and 2033 more differences"));
    }
}
