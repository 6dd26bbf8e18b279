//! What a call says when it is over: a status, and where it failed, the details.

use std::any::Any;
use std::borrow::Cow;
use std::ffi::{CStr, c_char, c_int};
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};

use ringproof::guard::GuardError;
use ringproof::shape::DescriptionError;
use ringproof::untyped::PayloadError;
use ringproof::{
    Busy, Corruption, OutOfChunk, PopError, PushError, ReadError, SegmentError, WaitError,
};

/// What became of a call.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(
    clippy::enum_variant_names,
    reason = "enumerators of C share one namespace"
)]
pub enum ringproof_lib_status {
    /// It did what it was asked to.
    RINGPROOF_LIB_OK = 0,
    /// `capacity` items are live: the consumer has to release some first.
    RINGPROOF_LIB_FULL = 1,
    /// Every committed item was released; more may come.
    RINGPROOF_LIB_EMPTY = 2,
    /// This side closed the ring, now or in an earlier life.
    RINGPROOF_LIB_CLOSED = 3,
    /// The other side closed the ring: the consumer takes no more items, or the producer sends no
    /// more and every item was released.
    RINGPROOF_LIB_PEER_CLOSED = 4,
    /// One attempt to read met a write.
    RINGPROOF_LIB_BUSY = 5,
    /// Every attempt to read met a write; the writer lives, or that is not known.
    RINGPROOF_LIB_WRITER_STALLED = 6,
    /// Every attempt to read met a write, and the writer's role is free.
    RINGPROOF_LIB_WRITER_DEAD = 7,
    /// A word of the peer's breaks the ring's invariant: it cannot be used any further.
    RINGPROOF_LIB_CORRUPT = 8,
    /// More items than were reserved or peeked at since the last call that changed the ring.
    RINGPROOF_LIB_OUT_OF_CHUNK = 9,
    /// A pointer is null or a number is none of those that mean something.
    RINGPROOF_LIB_ARGUMENT = 10,
    /// This describes no payload without padding.
    RINGPROOF_LIB_SHAPE = 11,
    /// This cannot be the name of a segment.
    RINGPROOF_LIB_NAME = 12,
    /// The sizes asked for cannot be had.
    RINGPROOF_LIB_SIZE = 13,
    /// There is no segment of this name.
    RINGPROOF_LIB_NOT_FOUND = 14,
    /// There is one already.
    RINGPROOF_LIB_EXISTS = 15,
    /// The file system has no room for it, or the machine no memory.
    RINGPROOF_LIB_NO_SPACE = 16,
    /// The file is no segment of this kind and version.
    RINGPROOF_LIB_MISMATCH = 17,
    /// Its payload has other fields: the message says which.
    RINGPROOF_LIB_PAYLOAD = 18,
    /// Somebody has the role.
    RINGPROOF_LIB_HELD = 19,
    /// Unlinked or retired since it was opened: detach it and open it anew.
    RINGPROOF_LIB_GONE = 20,
    /// Truncated by somebody; what it still held is lost. Only known where `ringproof_lib_guard_install` was
    /// called.
    RINGPROOF_LIB_LOST = 21,
    /// The system refused: `os_error` says why.
    RINGPROOF_LIB_SYSTEM = 22,
    /// A reason that has no status of its own: the message says it.
    RINGPROOF_LIB_OTHER = 23,
    /// A defect of this library. Give the handle back, and report the message.
    RINGPROOF_LIB_PANIC = 24,
    /// Attached by the process that this one was forked from: drop what was inherited, and attach
    /// anew.
    RINGPROOF_LIB_FORKED = 25,
    /// A wait ended without what was waited for: the time is over.
    RINGPROOF_LIB_TIMED_OUT = 26,
    /// The same: nobody holds the role of the other side, which somebody held before, and nothing is left
    /// to go on with. A successor may come: wait again to wait for it.
    RINGPROOF_LIB_PEER_GONE = 27,
    /// The same: a signal was handled while it slept. Wait again to go on.
    RINGPROOF_LIB_INTERRUPTED = 28,
}

use ringproof_lib_status::*;

/// The bytes of a message, with the zero that ends it.
pub const RINGPROOF_LIB_MESSAGE_SIZE: usize = 2048;

/// The details of a failure. A call that succeeds leaves it as it was.
#[repr(C)]
pub struct ringproof_lib_error {
    /// What the call returned.
    pub status: ringproof_lib_status,
    /// For `RINGPROOF_LIB_SYSTEM` an errno, otherwise 0.
    pub os_error: c_int,
    /// All of it in words, as far as there is room.
    pub message: [c_char; RINGPROOF_LIB_MESSAGE_SIZE],
}

/// Why a call failed.
pub(crate) struct Failure {
    status: ringproof_lib_status,
    os_error: c_int,
    message: Cow<'static, str>,
}

impl Failure {
    pub(crate) fn argument(message: String) -> Failure {
        Failure::new(RINGPROOF_LIB_ARGUMENT, message)
    }

    pub(crate) fn shape(message: impl ToString) -> Failure {
        Failure::new(RINGPROOF_LIB_SHAPE, message.to_string())
    }

    /// The system refused to do this.
    pub(crate) fn system(action: &str, error: &io::Error) -> Failure {
        Failure {
            os_error: error.raw_os_error().unwrap_or(0),
            ..Failure::new(RINGPROOF_LIB_SYSTEM, format!("cannot {action}: {error}"))
        }
    }

    fn new(status: ringproof_lib_status, message: impl Into<Cow<'static, str>>) -> Failure {
        Failure {
            status,
            os_error: 0,
            message: message.into(),
        }
    }

    /// One that happens in the ordinary course of things, and so costs no memory.
    fn usual(status: ringproof_lib_status) -> Failure {
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
        Failure::new(RINGPROOF_LIB_PANIC, message)
    }

    /// Writes the details where the caller wants them, if anywhere.
    unsafe fn report(&self, error: *mut ringproof_lib_error) {
        if error.is_null() {
            return;
        }
        // A character that would be cut in two is left out.
        let len = self
            .message
            .floor_char_boundary(RINGPROOF_LIB_MESSAGE_SIZE - 1);
        // SAFETY: not null, hence room for a `ringproof_lib_error`, of which nothing is read: it may hold
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
    error: *mut ringproof_lib_error,
    body: impl FnOnce() -> Result<(), Failure>,
) -> ringproof_lib_status {
    let failure = match catch_unwind(AssertUnwindSafe(body)) {
        Ok(Ok(())) => return RINGPROOF_LIB_OK,
        Ok(Err(failure)) => failure,
        Err(panic) => Failure::panic(&*panic),
    };
    // SAFETY: the caller's promises.
    unsafe { failure.report(error) };
    failure.status
}

/// The body of a function that C calls, run by [`call`]. What is unsafe in it relies on what every
/// caller of this library [promises](crate), and on nothing else.
macro_rules! promised {
    ($error:expr, $body:block) => {
        // SAFETY: the caller's promises.
        unsafe { crate::failure::call($error, || $body) }
    };
}

pub(crate) use promised;

impl From<SegmentError> for Failure {
    fn from(error: SegmentError) -> Failure {
        let status = match &error {
            SegmentError::Name { .. } => RINGPROOF_LIB_NAME,
            SegmentError::Size { .. } => RINGPROOF_LIB_SIZE,
            SegmentError::Mode { .. } => RINGPROOF_LIB_ARGUMENT,
            SegmentError::NotFound { .. } => RINGPROOF_LIB_NOT_FOUND,
            SegmentError::Exists { .. } => RINGPROOF_LIB_EXISTS,
            SegmentError::NoSpace { .. } => RINGPROOF_LIB_NO_SPACE,
            SegmentError::Mismatch { .. } => RINGPROOF_LIB_MISMATCH,
            SegmentError::Payload { .. } => RINGPROOF_LIB_PAYLOAD,
            SegmentError::Held { .. } => RINGPROOF_LIB_HELD,
            SegmentError::Gone { .. } => RINGPROOF_LIB_GONE,
            SegmentError::Lost { .. } => RINGPROOF_LIB_LOST,
            SegmentError::Forked { .. } => RINGPROOF_LIB_FORKED,
            SegmentError::System { .. } => RINGPROOF_LIB_SYSTEM,
            _ => RINGPROOF_LIB_OTHER,
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
            ..Failure::new(RINGPROOF_LIB_SYSTEM, error.to_string())
        }
    }
}

/// The errors of a ring's two ends, which differ in the one that is usual.
macro_rules! end_failures {
    ($($error:ident: $usual:ident is $status:ident),+) => {$(
        impl From<$error> for Failure {
            fn from(error: $error) -> Failure {
                match error {
                    $error::$usual => Failure::usual($status),
                    $error::Closed => Failure::usual(RINGPROOF_LIB_CLOSED),
                    $error::PeerClosed => Failure::usual(RINGPROOF_LIB_PEER_CLOSED),
                    $error::TooMany { .. } => Failure::argument(error.to_string()),
                    $error::Corrupt(corruption) => corruption.into(),
                    other => Failure::new(RINGPROOF_LIB_OTHER, other.to_string()),
                }
            }
        }
    )+};
}

end_failures!(PushError: Full is RINGPROOF_LIB_FULL, PopError: Empty is RINGPROOF_LIB_EMPTY);

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

failures!(Corruption: RINGPROOF_LIB_CORRUPT, OutOfChunk: RINGPROOF_LIB_OUT_OF_CHUNK);
failures!(DescriptionError: RINGPROOF_LIB_SHAPE, PayloadError: RINGPROOF_LIB_SHAPE);

impl From<Busy> for Failure {
    fn from(_: Busy) -> Failure {
        Failure::usual(RINGPROOF_LIB_BUSY)
    }
}

impl From<ReadError> for Failure {
    fn from(error: ReadError) -> Failure {
        let status = match error {
            ReadError::WriterStalled { .. } => RINGPROOF_LIB_WRITER_STALLED,
            ReadError::WriterDead { .. } => RINGPROOF_LIB_WRITER_DEAD,
            _ => RINGPROOF_LIB_OTHER,
        };
        Failure::new(status, error.to_string())
    }
}

impl<E: Into<Failure>> From<WaitError<E>> for Failure {
    fn from(error: WaitError<E>) -> Failure {
        match error {
            WaitError::TimedOut => Failure::usual(RINGPROOF_LIB_TIMED_OUT),
            WaitError::PeerGone => Failure::usual(RINGPROOF_LIB_PEER_GONE),
            WaitError::Interrupted => Failure::usual(RINGPROOF_LIB_INTERRUPTED),
            WaitError::Refused(error) => error.into(),
            _ => Failure::usual(RINGPROOF_LIB_OTHER),
        }
    }
}

/// Every status in a few words, in order.
const WORDS: [(ringproof_lib_status, &CStr); 29] = [
    (RINGPROOF_LIB_OK, c"done"),
    (RINGPROOF_LIB_FULL, c"the ring is full"),
    (RINGPROOF_LIB_EMPTY, c"the ring is empty"),
    (RINGPROOF_LIB_CLOSED, c"the ring was closed from this side"),
    (
        RINGPROOF_LIB_PEER_CLOSED,
        c"the ring was closed from the other side: no more items come, or no more are taken",
    ),
    (RINGPROOF_LIB_BUSY, c"a write was in progress"),
    (
        RINGPROOF_LIB_WRITER_STALLED,
        c"the writer is inside a write, or too fast",
    ),
    (RINGPROOF_LIB_WRITER_DEAD, c"the writer died inside a write"),
    (
        RINGPROOF_LIB_CORRUPT,
        c"corrupt ring: a word holds what no correct peer can have stored",
    ),
    (
        RINGPROOF_LIB_OUT_OF_CHUNK,
        c"more items than were reserved or peeked at",
    ),
    (
        RINGPROOF_LIB_ARGUMENT,
        c"an argument is null or means nothing",
    ),
    (
        RINGPROOF_LIB_SHAPE,
        c"this describes no payload without padding",
    ),
    (RINGPROOF_LIB_NAME, c"this cannot be the name of a segment"),
    (RINGPROOF_LIB_SIZE, c"the sizes asked for cannot be had"),
    (RINGPROOF_LIB_NOT_FOUND, c"there is no segment of this name"),
    (
        RINGPROOF_LIB_EXISTS,
        c"there is a segment of this name already",
    ),
    (
        RINGPROOF_LIB_NO_SPACE,
        c"there is no room or memory for the segment",
    ),
    (
        RINGPROOF_LIB_MISMATCH,
        c"the file is no segment of this kind and version",
    ),
    (
        RINGPROOF_LIB_PAYLOAD,
        c"the segment's payload has other fields",
    ),
    (
        RINGPROOF_LIB_HELD,
        c"another process or endpoint holds the role",
    ),
    (
        RINGPROOF_LIB_GONE,
        c"the segment was unlinked since it was opened; open it anew",
    ),
    (
        RINGPROOF_LIB_LOST,
        c"the segment was truncated, and what it held is lost",
    ),
    (RINGPROOF_LIB_SYSTEM, c"the system refused"),
    (RINGPROOF_LIB_OTHER, c"refused"),
    (RINGPROOF_LIB_PANIC, c"a defect of ringproof"),
    (
        RINGPROOF_LIB_FORKED,
        c"the segment is the parent's of this process; attach to it anew",
    ),
    (RINGPROOF_LIB_TIMED_OUT, c"timed out"),
    (
        RINGPROOF_LIB_PEER_GONE,
        c"the process at the other end is gone, and left nothing to go on with",
    ),
    (RINGPROOF_LIB_INTERRUPTED, c"interrupted by a signal"),
];

const _: () = {
    let mut number = 0;
    while number < WORDS.len() {
        assert!(WORDS[number].0 as usize == number);
        number += 1;
    }
    assert!(number == RINGPROOF_LIB_INTERRUPTED as usize + 1);
};

/// What a status means, in a few words; not null, whatever the number.
#[unsafe(no_mangle)]
pub extern "C" fn ringproof_lib_strerror(status: u32) -> *const c_char {
    let known = WORDS.get(status as usize);
    known
        .map_or(c"no status of ringproof", |(_, words)| words)
        .as_ptr()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What a caller hears of a failure, in a struct that held other things before.
    fn reported(
        body: impl FnOnce() -> Result<(), Failure>,
    ) -> (ringproof_lib_status, String, c_int) {
        let mut error = ringproof_lib_error {
            status: RINGPROOF_LIB_OK,
            os_error: -1,
            message: [0x55; RINGPROOF_LIB_MESSAGE_SIZE],
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
            assert_eq!((status, os_error), (RINGPROOF_LIB_PANIC, 0));
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
        assert_eq!(status, RINGPROOF_LIB_PANIC);
    }

    #[test]
    fn a_message_is_cut_between_two_characters() {
        // The last place but one is the second byte of a character.
        let long = "a".to_owned() + &"ä".repeat(2000);
        let (status, message, _) = reported(|| Err(Failure::argument(long.clone())));
        assert_eq!(status, RINGPROOF_LIB_ARGUMENT);
        assert_eq!(message.len(), RINGPROOF_LIB_MESSAGE_SIZE - 1);
        let (_, message, _) = reported(|| Err(Failure::argument(long[1..].to_owned())));
        assert_eq!(message.len(), RINGPROOF_LIB_MESSAGE_SIZE - 2);
    }

    #[test]
    fn the_system_s_reason_is_reported_with_its_number() {
        let refused = SegmentError::System {
            segment: "s".to_owned(),
            action: "open it",
            error: io::Error::from_raw_os_error(13),
        };
        let (status, message, os_error) = reported(|| Err(refused.into()));
        assert_eq!((status, os_error), (RINGPROOF_LIB_SYSTEM, 13));
        assert!(
            message.starts_with("segment `s`: cannot open it: "),
            "{message}"
        );
        assert_eq!(message.matches("(os error 13)").count(), 1, "{message}");
    }
}
