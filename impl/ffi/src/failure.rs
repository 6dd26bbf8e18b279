//! What a call says when it is over: a status, and where it failed, the details.

use std::any::Any;
use std::borrow::Cow;
use std::ffi::{CStr, c_char, c_int};
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};

use ringproof::guard::GuardError;
use ringproof::shape::DescriptionError;
use ringproof::untyped::PayloadError;
use ringproof::{Busy, Corruption, OutOfChunk, PopError, PushError, ReadError, SegmentError};

/// What became of a call.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(
    clippy::enum_variant_names,
    reason = "enumerators of C share one namespace"
)]
pub enum rp_status {
    /// It did what it was asked to.
    RP_OK = 0,
    /// `capacity` items are live: the consumer has to release some first.
    RP_FULL = 1,
    /// Every committed item was released; more may come.
    RP_EMPTY = 2,
    /// Every item was released and the producer closed the ring: none will come.
    RP_ENDED = 3,
    /// This side closed the ring, now or in an earlier life.
    RP_CLOSED = 4,
    /// The consumer closed the ring: it takes no more items.
    RP_STOPPED = 5,
    /// One attempt to read met a write.
    RP_BUSY = 6,
    /// Every attempt to read met a write; the writer lives, or that is not known.
    RP_WRITER_STALLED = 7,
    /// Every attempt to read met a write, and the writer's role is free.
    RP_WRITER_DEAD = 8,
    /// A word of the peer's breaks the ring's invariant: it cannot be used any further.
    RP_CORRUPT = 9,
    /// More items than were reserved or peeked at since the last call that changed the ring.
    RP_OUT_OF_CHUNK = 10,
    /// A pointer is null or a number is none of those that mean something.
    RP_ARGUMENT = 11,
    /// This describes no payload without padding.
    RP_SHAPE = 12,
    /// This cannot be the name of a segment.
    RP_NAME = 13,
    /// The sizes asked for cannot be had.
    RP_SIZE = 14,
    /// There is no segment of this name.
    RP_NOT_FOUND = 15,
    /// There is one already.
    RP_EXISTS = 16,
    /// The file system has no room for it, or the machine no memory.
    RP_NO_SPACE = 17,
    /// The file is no segment of this kind and version.
    RP_MISMATCH = 18,
    /// Its payload has other fields: the message says which.
    RP_PAYLOAD = 19,
    /// Somebody has the role.
    RP_HELD = 20,
    /// Unlinked or retired since it was opened: detach it and open it anew.
    RP_GONE = 21,
    /// Truncated by somebody; what it still held is lost. Only known where `rp_guard_install` was
    /// called.
    RP_LOST = 22,
    /// The system refused: `os_error` says why.
    RP_SYSTEM = 23,
    /// A reason that has no status of its own: the message says it.
    RP_OTHER = 24,
    /// A defect of this library. Give the handle back, and report the message.
    RP_PANIC = 25,
    /// Attached by the process that this one was forked from: drop what was inherited, and attach
    /// anew.
    RP_FORKED = 26,
}

use rp_status::*;

/// The bytes of a message, with the zero that ends it.
pub const RP_MESSAGE_SIZE: usize = 2048;

/// The details of a failure. A call that succeeds leaves it as it was.
#[repr(C)]
pub struct rp_error {
    /// What the call returned.
    pub status: rp_status,
    /// For `RP_SYSTEM` an errno, otherwise 0.
    pub os_error: c_int,
    /// All of it in words, as far as there is room.
    pub message: [c_char; RP_MESSAGE_SIZE],
}

/// Why a call failed.
pub(crate) struct Failure {
    status: rp_status,
    os_error: c_int,
    message: Cow<'static, str>,
}

impl Failure {
    pub(crate) fn argument(message: String) -> Failure {
        Failure::new(RP_ARGUMENT, message)
    }

    pub(crate) fn shape(message: impl ToString) -> Failure {
        Failure::new(RP_SHAPE, message.to_string())
    }

    /// The system refused to do this.
    pub(crate) fn system(action: &str, error: &io::Error) -> Failure {
        Failure {
            os_error: error.raw_os_error().unwrap_or(0),
            ..Failure::new(RP_SYSTEM, format!("cannot {action}: {error}"))
        }
    }

    fn new(status: rp_status, message: impl Into<Cow<'static, str>>) -> Failure {
        Failure {
            status,
            os_error: 0,
            message: message.into(),
        }
    }

    /// One that happens in the ordinary course of things, and so costs no memory.
    fn usual(status: rp_status) -> Failure {
        Failure::new(
            status,
            WORDS[status as usize].1.to_str().unwrap_or_default(),
        )
    }

    fn panic(panic: &(dyn Any + Send)) -> Failure {
        let said = panic
            .downcast_ref::<&str>()
            .copied()
            .or_else(|| panic.downcast_ref::<String>().map(String::as_str));
        let message = format!("a defect of ringproof: {}", said.unwrap_or("a panic"));
        Failure::new(RP_PANIC, message)
    }

    /// Writes the details where the caller wants them, if anywhere.
    unsafe fn report(&self, error: *mut rp_error) {
        if error.is_null() {
            return;
        }
        // A character that would be cut in two is left out.
        let len = self.message.floor_char_boundary(RP_MESSAGE_SIZE - 1);
        // SAFETY: not null, hence room for an `rp_error`, of which nothing is read: it may hold
        // anything before. The message and its end fit.
        unsafe {
            (&raw mut (*error).status).write(self.status);
            (&raw mut (*error).os_error).write(self.os_error);
            let to = (&raw mut (*error).message).cast::<u8>();
            to.copy_from_nonoverlapping(self.message.as_ptr(), len);
            to.add(len).write(0);
        }
    }
}

/// Runs the body of a function, from which no panic gets out, and says what became of it. What a
/// panic left half done is handles' own state, which safe code may look at and which C is asked to
/// give back.
pub(crate) unsafe fn call(
    error: *mut rp_error,
    body: impl FnOnce() -> Result<(), Failure>,
) -> rp_status {
    let failure = match catch_unwind(AssertUnwindSafe(body)) {
        Ok(Ok(())) => return RP_OK,
        Ok(Err(failure)) => failure,
        Err(panic) => Failure::panic(&*panic),
    };
    // SAFETY: the caller's promises.
    unsafe { failure.report(error) };
    failure.status
}

impl From<SegmentError> for Failure {
    fn from(error: SegmentError) -> Failure {
        let status = match &error {
            SegmentError::Name { .. } => RP_NAME,
            SegmentError::Size { .. } => RP_SIZE,
            SegmentError::Mode { .. } => RP_ARGUMENT,
            SegmentError::NotFound { .. } => RP_NOT_FOUND,
            SegmentError::Exists { .. } => RP_EXISTS,
            SegmentError::NoSpace { .. } => RP_NO_SPACE,
            SegmentError::Mismatch { .. } => RP_MISMATCH,
            SegmentError::Payload { .. } => RP_PAYLOAD,
            SegmentError::Held { .. } => RP_HELD,
            SegmentError::Gone { .. } => RP_GONE,
            SegmentError::Lost { .. } => RP_LOST,
            SegmentError::Forked { .. } => RP_FORKED,
            SegmentError::System { .. } => RP_SYSTEM,
            _ => RP_OTHER,
        };
        let os_error = match &error {
            SegmentError::System { error, .. } => error.raw_os_error(),
            _ => None,
        };
        Failure {
            os_error: os_error.unwrap_or(0),
            ..Failure::new(status, error.to_string())
        }
    }
}

impl From<GuardError> for Failure {
    fn from(error: GuardError) -> Failure {
        Failure {
            os_error: error.raw_os_error().unwrap_or(0),
            ..Failure::new(RP_SYSTEM, error.to_string())
        }
    }
}

impl From<PushError> for Failure {
    fn from(error: PushError) -> Failure {
        match error {
            PushError::Full => Failure::usual(RP_FULL),
            PushError::Closed => Failure::usual(RP_CLOSED),
            PushError::Stopped => Failure::usual(RP_STOPPED),
            PushError::Corrupt(corruption) => corruption.into(),
        }
    }
}

impl From<PopError> for Failure {
    fn from(error: PopError) -> Failure {
        match error {
            PopError::Empty => Failure::usual(RP_EMPTY),
            PopError::Ended => Failure::usual(RP_ENDED),
            PopError::Closed => Failure::usual(RP_CLOSED),
            PopError::Corrupt(corruption) => corruption.into(),
        }
    }
}

/// Errors that have a status, and their own words.
macro_rules! failures {
    ($($error:ident: $status:ident),+) => {$(
        impl From<$error> for Failure {
            fn from(error: $error) -> Failure {
                Failure::new($status, error.to_string())
            }
        }
    )+};
}

failures!(Corruption: RP_CORRUPT, OutOfChunk: RP_OUT_OF_CHUNK);
failures!(DescriptionError: RP_SHAPE, PayloadError: RP_SHAPE);

impl From<Busy> for Failure {
    fn from(_: Busy) -> Failure {
        Failure::usual(RP_BUSY)
    }
}

impl From<ReadError> for Failure {
    fn from(error: ReadError) -> Failure {
        let status = match error {
            ReadError::WriterStalled { .. } => RP_WRITER_STALLED,
            ReadError::WriterDead { .. } => RP_WRITER_DEAD,
        };
        Failure::new(status, error.to_string())
    }
}

/// Every status in a few words, in order.
const WORDS: [(rp_status, &CStr); 27] = [
    (RP_OK, c"done"),
    (RP_FULL, c"the ring is full"),
    (RP_EMPTY, c"the ring is empty"),
    (RP_ENDED, c"the ring was closed, and every item was taken"),
    (RP_CLOSED, c"the ring was closed from this side"),
    (
        RP_STOPPED,
        c"the ring was closed by its consumer, which takes no more items",
    ),
    (RP_BUSY, c"a write was in progress"),
    (
        RP_WRITER_STALLED,
        c"the writer is inside a write, or too fast",
    ),
    (RP_WRITER_DEAD, c"the writer died inside a write"),
    (
        RP_CORRUPT,
        c"corrupt ring: a word holds what no correct peer can have stored",
    ),
    (
        RP_OUT_OF_CHUNK,
        c"more items than were reserved or peeked at",
    ),
    (RP_ARGUMENT, c"an argument is null or means nothing"),
    (RP_SHAPE, c"this describes no payload without padding"),
    (RP_NAME, c"this cannot be the name of a segment"),
    (RP_SIZE, c"the sizes asked for cannot be had"),
    (RP_NOT_FOUND, c"there is no segment of this name"),
    (RP_EXISTS, c"there is a segment of this name already"),
    (RP_NO_SPACE, c"there is no room or memory for the segment"),
    (
        RP_MISMATCH,
        c"the file is no segment of this kind and version",
    ),
    (RP_PAYLOAD, c"the segment's payload has other fields"),
    (RP_HELD, c"another process or endpoint holds the role"),
    (
        RP_GONE,
        c"the segment was unlinked since it was opened; open it anew",
    ),
    (
        RP_LOST,
        c"the segment was truncated, and what it held is lost",
    ),
    (RP_SYSTEM, c"the system refused"),
    (RP_OTHER, c"refused"),
    (RP_PANIC, c"a defect of ringproof"),
    (
        RP_FORKED,
        c"the segment is the parent's of this process; attach to it anew",
    ),
];

const _: () = {
    let mut number = 0;
    while number < WORDS.len() {
        assert!(WORDS[number].0 as usize == number);
        number += 1;
    }
    assert!(number == RP_FORKED as usize + 1);
};

/// What a status means, in a few words; not null, whatever the number.
#[unsafe(no_mangle)]
pub extern "C" fn rp_strerror(status: u32) -> *const c_char {
    let known = WORDS.get(status as usize);
    known
        .map_or(c"no status of ringproof", |(_, words)| words)
        .as_ptr()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What a caller hears of a failure, in a struct that held other things before.
    fn reported(body: impl FnOnce() -> Result<(), Failure>) -> (rp_status, String, c_int) {
        let mut error = rp_error {
            status: RP_OK,
            os_error: -1,
            message: [0x55; RP_MESSAGE_SIZE],
        };
        // SAFETY: the error is one, and its message ends after the call: there was a failure.
        let message = unsafe {
            let status = call(&raw mut error, body);
            assert_eq!(status, error.status);
            CStr::from_ptr(error.message.as_ptr())
        };
        let message = message.to_str().expect("UTF-8").to_owned();
        (error.status, message, error.os_error)
    }

    #[test]
    fn a_panic_is_reported_and_goes_no_further() {
        for panic in [
            || panic!("in words"),
            || {
                let number = std::hint::black_box(5);
                panic!("in words: {number}")
            },
        ] {
            let (status, message, os_error) = reported(panic);
            assert_eq!((status, os_error), (RP_PANIC, 0));
            assert!(
                message.starts_with("a defect of ringproof: in words"),
                "{message}"
            );
        }
        let (_, message, _) = reported(|| std::panic::panic_any(7));
        assert_eq!(message, "a defect of ringproof: a panic");
        // Without details, too.
        // SAFETY: there is no error to be filled.
        let status = unsafe { call(std::ptr::null_mut(), || panic!("unheard")) };
        assert_eq!(status, RP_PANIC);
    }

    #[test]
    fn a_message_is_cut_between_two_characters() {
        // The last place but one is the second byte of a character.
        let long = "a".to_owned() + &"ä".repeat(2000);
        let (status, message, _) = reported(|| Err(Failure::argument(long.clone())));
        assert_eq!(status, RP_ARGUMENT);
        assert_eq!(message.len(), RP_MESSAGE_SIZE - 1);
        let (_, message, _) = reported(|| Err(Failure::argument(long[1..].to_owned())));
        assert_eq!(message.len(), RP_MESSAGE_SIZE - 2);
    }

    #[test]
    fn the_system_s_reason_is_reported_with_its_number() {
        let refused = SegmentError::System {
            segment: "s".to_owned(),
            action: "open it",
            error: io::Error::from_raw_os_error(13),
        };
        let (status, message, os_error) = reported(|| Err(refused.into()));
        assert_eq!((status, os_error), (RP_SYSTEM, 13));
        assert!(
            message.starts_with("segment `s`: cannot open it: "),
            "{message}"
        );
        assert_eq!(message.matches("(os error 13)").count(), 1, "{message}");
    }
}
