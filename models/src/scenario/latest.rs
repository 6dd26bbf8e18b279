//! What the scenarios of the seqlock and of the latch share: one writer, and readers that get the last value
//! whole. Both words of a value hold its number, so a torn one shows.

use std::sync::Arc;

use ringproof::latch::{LatchReader, LatchWriter};
use ringproof::seqlock::{SeqReader, SeqWriter};
use ringproof::{Busy, Wait};

use super::read_some;
use crate::engine::{Thread, spawn};
use crate::instrumented::Instrumented;
use crate::owned::{Kept, OwnedWords};
use crate::run::Run;

/// What seqlocks and latches hold here: both words the number of the write, 0 before the first.
pub(super) type Value = [u64; 2];

/// A structure from which readers get the last value.
pub(super) trait Latest: 'static {
    type Writer: Send + 'static;
    type Reader: Send + 'static;
    fn writer(words: &Arc<OwnedWords>, memory: Instrumented) -> Self::Writer;
    fn reader(words: &Arc<OwnedWords>, memory: Instrumented) -> Self::Reader;
    fn write(writer: &mut Self::Writer, number: u64);
    fn try_read(reader: &Self::Reader) -> Result<Value, Busy>;
    /// One that sleeps as soon as it waits.
    fn sleepy(reader: Self::Reader) -> Self::Reader;
    /// The version, when it is another than this.
    fn newer(reader: &Self::Reader, since: u64) -> u64;
    /// Whether the writer before this one died inside a write. Of a latch it makes no difference.
    fn needs_repair(_: &Self::Writer) -> bool {
        false
    }
}

pub(super) struct Seqlock;
pub(super) struct Latch;

macro_rules! latest {
    ($name:ident: $writer:ident by $make_writer:ident, $reader:ident by $make_reader:ident $(, $repair:item)?) => {
        impl Latest for $name {
            type Writer = $writer<'static, Value, Instrumented, Kept<OwnedWords>>;
            type Reader = $reader<'static, Value, Instrumented, Kept<OwnedWords>>;

            fn writer(words: &Arc<OwnedWords>, memory: Instrumented) -> Self::Writer {
                words.$make_writer(memory)
            }

            fn reader(words: &Arc<OwnedWords>, memory: Instrumented) -> Self::Reader {
                words.$make_reader(memory)
            }

            fn write(writer: &mut Self::Writer, number: u64) {
                writer.write(&[number; 2]);
            }

            fn try_read(reader: &Self::Reader) -> Result<Value, Busy> {
                reader.try_read()
            }

            fn sleepy(reader: Self::Reader) -> Self::Reader {
                reader.with_wait(Wait::SleepAtOnce)
            }

            fn newer(reader: &Self::Reader, since: u64) -> u64 {
                reader.wait().newer(since).expect("a new value comes")
            }

            $($repair)?
        }
    };
}

latest!(Latch: LatchWriter by latch_writer, LatchReader by latch_reader);
latest!(
    Seqlock: SeqWriter by seq_writer, SeqReader by seq_reader,
    fn needs_repair(writer: &Self::Writer) -> bool {
        writer.needs_repair()
    }
);

/// A thread that writes the values up to `last`.
pub(super) fn write_up_to<L: Latest>(
    run: &Arc<Run>,
    words: &Arc<OwnedWords>,
    last: u64,
) -> Thread<()> {
    let mut writer = L::writer(words, run.memory("writer"));
    spawn(move || (1..=last).for_each(|number| L::write(&mut writer, number)))
}

/// A thread that reads so many times.
pub(super) fn read_elsewhere<L: Latest>(
    run: &Arc<Run>,
    words: &Arc<OwnedWords>,
    tries: usize,
) -> Thread<()> {
    let (reader, run) = (L::reader(words, run.memory("reader")), Arc::clone(run));
    spawn(move || read_some(&run, tries, || L::try_read(&reader)))
}

/// No value is torn, none is older than the one before it, and each is one that was written.
pub(super) fn one_reader<L: Latest, const WORDS: usize, const WRITES: u64, const READS: usize>(
    run: &Arc<Run>,
) {
    let words = OwnedWords::new(0, &[0; WORDS]);
    let writing = write_up_to::<L>(run, &words, WRITES);
    let reader = L::reader(&words, run.memory("reader"));
    read_some(run, READS, || L::try_read(&reader));
    writing.join();
    let last = L::try_read(&reader);
    assert_eq!(last, Ok([WRITES; 2]), "after the last write");
}

pub(super) fn two_readers<L: Latest, const WORDS: usize, const WRITES: u64>(run: &Arc<Run>) {
    let words = OwnedWords::new(0, &[0; WORDS]);
    let reading = read_elsewhere::<L>(run, &words, 1);
    let writing = write_up_to::<L>(run, &words, WRITES);
    let reader = L::reader(&words, run.memory("reader"));
    read_some(run, 1, || L::try_read(&reader));
    reading.join();
    writing.join();
}
