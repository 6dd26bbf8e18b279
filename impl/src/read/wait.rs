//! The wait of a reader for a version that it has not seen.

use core::convert::Infallible;

use super::ReadError;
use crate::latch::LatchReader;
use crate::memory::{CellsOf, Memory};
use crate::payload::Payload;
use crate::seqlock::{SeqReader, Watch};
use crate::sleep::SleepWords;
use crate::wait::{Limit, Look, Pace, Wait, WaitError, Waits, wait, waits};

/// A reader that waits for a newer version, until a moment at the latest. Made by `wait`, `wait_for` or `wait_until` of
/// a [`SeqReader`] or a [`LatchReader`]. [`Send`] and [`Sync`] where that is [`Sync`].
#[derive(Debug)]
#[must_use = "it waits when an operation is called on it"]
pub struct WaitingReader<'e, E> {
    pub(crate) end: &'e E,
    pub(crate) limit: Limit,
}

/// A reader that waits for another version than this.
struct Past<'e, E>(&'e E, u64);

/// What seqlock and latch do alike.
macro_rules! newer {
    ($($reader:ident, $read:literal;)*) => {$(
        impl<T: Payload, M: Memory, K> $reader<'_, T, M, K> {
            /// This end with another way to [wait](crate::wait).
            pub fn with_wait(mut self, how: Wait) -> Self {
                self.wait = how;
                self
            }

            waits!(&Self, WaitingReader<'_, Self>, |end, limit| WaitingReader { end, limit });
        }

        impl<'a, T: Payload, M: Memory, K: Watch> Waits<'a> for Past<'_, $reader<'a, T, M, K>> {
            type Memory = M;
            type Refusal = Infallible;

            fn memory(&self) -> &M {
                &self.0.memory
            }

            fn strategy(&self) -> Wait {
                self.0.wait
            }

            fn words(&self) -> SleepWords<'a, CellsOf<M>> {
                self.0.sleep
            }

            fn look(&mut self) -> Result<Look, Infallible> {
                Ok(if self.0.has_changed(self.1) {
                    Look::Enough
                } else {
                    Look::NotYet(Pace::new())
                })
            }

            fn is_peer_gone(&self) -> bool {
                self.0.keep.is_gone()
            }
        }

        impl<'a, T: Payload, M: Memory, K: Watch> WaitingReader<'_, $reader<'a, T, M, K>> {
            #[doc = concat!("Waits until the [version](", stringify!($reader), "::version) is no longer `since`, and says what it is then.")]
            ///
            /// # Errors
            /// [`WaitError`], but no refusal; it is the writer that may be gone.
            pub fn newer(&self, since: u64) -> Result<u64, WaitError<ReadError>> {
                match wait(&mut Past(self.end, since), self.limit) {
                    Ok(()) => Ok(self.end.version()),
                    Err(WaitError::TimedOut) => Err(WaitError::TimedOut),
                    Err(WaitError::PeerGone) => Err(WaitError::PeerGone),
                    Err(WaitError::Interrupted) => Err(WaitError::Interrupted),
                    Err(WaitError::Refused(never)) => match never {},
                }
            }

            #[doc = concat!("Waits as [`newer`](Self::newer) and then [reads](", stringify!($reader), "::read) in at most `attempts` attempts.")]
            /// Gives a version and a value that is of this version or a later one: who gives the version back as
            /// `since` misses no value but those that were replaced meanwhile.
            ///
            /// # Errors
            /// As [`newer`](Self::newer), and [`WaitError::Refused`] with a [`ReadError`].
            ///
            /// ```
            #[doc = $read]
            /// let seen = reader.version();
            /// std::thread::spawn(move || writer.write(&11));
            /// assert_eq!(reader.wait().read_newer(seen, 100), Ok((1, 11)));
            /// # Ok::<(), Box<dyn std::error::Error>>(())
            /// ```
            pub fn read_newer(
                &self,
                since: u64,
                attempts: u32,
            ) -> Result<(u64, T), WaitError<ReadError>> {
                let version = self.newer(since)?;
                Ok((version, self.end.read(attempts)?))
            }
        }
    )*};
}

newer! {
    SeqReader, "let lock = ringproof::SeqLock::anonymous(&10_u64, &ringproof::SeqLockOptions::new())?;\nlet (mut writer, reader) = (lock.writer()?, lock.reader()?);";
    LatchReader, "let latch = ringproof::SeqLatch::anonymous(&10_u64, &ringproof::SeqLatchOptions::new())?;\nlet (mut writer, reader) = (latch.writer()?, latch.reader()?);";
}
