//! A seqlock and a latch as one: what holds the latest value. Whatever is done to both is written once.

use std::os::fd::OwnedFd;

use ringproof::harness::PartsOfValue;
use ringproof::layout::Kind;
use ringproof::memory::{Memory, Native, Word};
use ringproof::payload::WholeWords;
use ringproof::read::{Busy, ReadError};
use ringproof::seqlock::Watch;
use ringproof::site::StoreSite;
use ringproof::sleep::SleepWords;
use ringproof::{
    Claim, Segment, SegmentError, SeqLatch, SeqLatchOptions, SeqLock, SeqLockOptions, Wait,
    WaitError,
};
use ringproof::{latch, seqlock};

/// How many slots a latch has unless others are asked for.
pub(crate) const SLOTS: u64 = 4;

/// The words that it is made of.
#[derive(Clone, Copy)]
pub(crate) struct Parts<'a> {
    /// The sequence or version.
    pub(crate) number: &'a Word,
    /// The value, or the slots.
    pub(crate) payload: &'a [Word],
    /// By which readers sleep.
    pub(crate) sleep: SleepWords<'a, Native>,
}

/// A seqlock or a latch of `T`.
pub(crate) trait Latest<T: WholeWords>: Sized + 'static {
    const KIND: Kind;
    /// The store with which a write begins, if it has one: then there is no value until it has ended.
    const BEGUN: Option<StoreSite>;
    /// Those of the value, and the one with which it ends.
    const COPIED: StoreSite;
    const PUBLISHED: StoreSite;
    /// By how much a write moves the number: its stores of it.
    const STEPS: u64 = 1 + Self::BEGUN.is_some() as u64;

    fn segment(&self) -> &Segment;

    /// Without a name; the number of slots is for a latch.
    fn anonymous(first: &T, slots: u64) -> Result<Self, SegmentError>;
    fn create(name: &str, first: &T) -> Result<Self, SegmentError>;
    fn open_or_create(name: &str, first: &T) -> Result<Self, SegmentError>;
    fn attach(name: &str) -> Result<Self, SegmentError>;
    fn attach_fd(fd: OwnedFd) -> Result<Self, SegmentError>;
    fn writer(&self) -> Result<impl Writes<T>, SegmentError>;
    fn reader(&self) -> Result<impl Reads<T>, SegmentError>;
    fn parts(&self) -> Result<Parts<'_>, SegmentError>;

    /// An end of such words over any memory; none where there is no room for a `T`.
    fn writer_over<M: Memory<Cells = Native>>(
        parts: Parts<'_>,
        memory: M,
        claim: Option<Claim>,
    ) -> Option<impl Writes<T>>;

    /// The same; to it a writer that is dead is one that stands still. It sleeps as soon as it waits.
    fn reader_over<M: Memory<Cells = Native>>(parts: Parts<'_>, memory: M)
    -> Option<impl Reads<T>>;
}

/// A writing end.
pub(crate) trait Writes<T> {
    fn write(&mut self, value: &T);
    fn version(&self) -> u64;
    fn needs_repair(&self) -> bool;
}

/// A reading end.
pub(crate) trait Reads<T> {
    fn version(&self) -> u64;
    /// Waits for another version than this.
    fn newer(&self, since: u64) -> Result<u64, WaitError<ReadError>>;
    fn try_read(&self) -> Result<T, Busy>;
    fn read(&self, attempts: u32) -> Result<T, ReadError>;
}

macro_rules! latest {
    (
        $what:ident: $kind:ident, $options:expr,
        $module:ident::$parts:ident { $number:ident, $payload:ident },
        $writer:ident, $repair:expr, $reader:ident,
        $begun:expr, $copied:ident, $published:ident
    ) => {
        impl<T: WholeWords> Latest<T> for $what<T> {
            const KIND: Kind = Kind::$kind;
            const BEGUN: Option<StoreSite> = $begun;
            const COPIED: StoreSite = StoreSite::$copied;
            const PUBLISHED: StoreSite = StoreSite::$published;

            fn segment(&self) -> &Segment {
                $what::segment(self)
            }

            fn anonymous(first: &T, slots: u64) -> Result<Self, SegmentError> {
                $what::anonymous(first, &$options(slots))
            }

            fn create(name: &str, first: &T) -> Result<Self, SegmentError> {
                $what::create(name, first, &Default::default())
            }

            fn open_or_create(name: &str, first: &T) -> Result<Self, SegmentError> {
                $what::open_or_create(name, first, &Default::default())
            }

            fn attach(name: &str) -> Result<Self, SegmentError> {
                $what::attach(name)
            }

            fn attach_fd(fd: OwnedFd) -> Result<Self, SegmentError> {
                $what::attach_fd(fd)
            }

            fn writer(&self) -> Result<impl Writes<T>, SegmentError> {
                $what::writer(self)
            }

            fn reader(&self) -> Result<impl Reads<T>, SegmentError> {
                $what::reader(self)
            }

            fn parts(&self) -> Result<Parts<'_>, SegmentError> {
                let parts = PartsOfValue::parts(self)?;
                Ok(Parts {
                    number: parts.$number,
                    payload: parts.$payload,
                    sleep: parts.for_news,
                })
            }

            fn writer_over<M: Memory<Cells = Native>>(
                parts: Parts<'_>,
                memory: M,
                claim: Option<Claim>,
            ) -> Option<impl Writes<T>> {
                let parts = $module::$parts {
                    $number: parts.number,
                    $payload: parts.payload,
                    for_news: parts.sleep,
                };
                $module::$writer::new(parts, memory, claim)
            }

            fn reader_over<M: Memory<Cells = Native>>(
                parts: Parts<'_>,
                memory: M,
            ) -> Option<impl Reads<T>> {
                let parts = $module::$parts {
                    $number: parts.number,
                    $payload: parts.payload,
                    for_news: parts.sleep,
                };
                let reader = $module::$reader::new(parts, memory, ())?;
                Some(reader.with_wait(Wait::SleepAtOnce))
            }
        }

        impl<T: WholeWords, M: Memory, K> Writes<T> for $module::$writer<'_, T, M, K> {
            fn write(&mut self, value: &T) {
                self.write(value);
            }

            fn version(&self) -> u64 {
                self.version()
            }

            fn needs_repair(&self) -> bool {
                $repair(self)
            }
        }

        impl<T: WholeWords, M: Memory, K: Watch> Reads<T> for $module::$reader<'_, T, M, K> {
            fn version(&self) -> u64 {
                self.version()
            }

            fn newer(&self, since: u64) -> Result<u64, WaitError<ReadError>> {
                self.wait().newer(since)
            }

            fn try_read(&self) -> Result<T, Busy> {
                self.try_read()
            }

            fn read(&self, attempts: u32) -> Result<T, ReadError> {
                self.read(attempts)
            }
        }
    };
}

latest! {
    SeqLock: SeqLock, |_| SeqLockOptions::default(),
    seqlock::SeqParts { seq, payload },
    SeqWriter, |writer: &seqlock::SeqWriter<'_, T, M, K>| writer.needs_repair(), SeqReader,
    Some(StoreSite::SeqOdd), SeqCopyIn, SeqEven
}

latest! {
    SeqLatch: Latch, |slots| SeqLatchOptions::default().slots(slots),
    latch::LatchParts { version, slots },
    LatchWriter, |_| false, LatchReader,
    None, LatchCopyIn, LatchPublish
}
