//! Seqlock and latch against the last value that was written whole.
//!
//! Random sequences of writes, reads, writers that die at any of their stores and successors,
//! in one thread, at any sequence number; then a writer and a reader in two threads.

mod common;

use std::fmt::Debug;

use common::dying::Dying;
use common::interrupted::Interrupted;
use common::{Deadline, check};
use proptest::collection::vec;
use proptest::prelude::*;
use ringproof::harness::PartsOfValue;
use ringproof::latch::{LatchParts, LatchReader, LatchWriter};
use ringproof::memory::{Cells, Memory, Native, Word};
use ringproof::seqlock::{SeqParts, SeqReader, SeqWriter};
use ringproof::site::{LoadSite, StoreSite};
use ringproof::sleep::OwnedSleepWords;
use ringproof::{
    Busy, Payload, ReadError, SegmentError, SeqLatch, SeqLatchOptions, SeqLock, SeqLockOptions,
};

/// A value of which every word says which one it is, so that half of it is known as such.
trait Value: Payload + PartialEq + Debug {
    fn nth(n: u64) -> Self {
        let words = size_of::<Self>() as u64 / 8;
        let bytes: Vec<u8> = (0..words).flat_map(|i| word(n, i).to_ne_bytes()).collect();
        bytemuck::pod_read_unaligned(&bytes)
    }

    /// Which one it is, `None` if it is made of several.
    fn number(&self) -> Option<u64> {
        let first = bytemuck::bytes_of(self).first_chunk().expect("a word");
        let n = u64::from_ne_bytes(*first);
        (*self == Self::nth(n)).then_some(n)
    }
}

fn word(n: u64, index: u64) -> u64 {
    n ^ index.wrapping_mul(0x9e37_79b9_7f4a_7c15)
}

impl Value for u64 {}
// Not aligned to a word.
impl Value for [u8; 16] {}
impl Value for [u64; 3] {}
impl Value for Big {}

/// No power of two of words, and many lines.
#[derive(Clone, Copy, Debug, PartialEq, Payload)]
#[repr(C)]
struct Big {
    most: [u64; 128],
    last: u64,
}

const _: () = assert!(size_of::<Big>() == 1032);

/// How many words a `T` fills.
const fn words<T>() -> usize {
    size_of::<T>() / 8
}

/// The words of a structure in this process's own memory.
struct Boxed {
    counter: Word,
    sleep: OwnedSleepWords<Native>,
    payload: Vec<Word>,
}

impl Boxed {
    /// `initial` in the first of `slots` slots that `counter` names.
    fn new<T: Value>(initial: T, counter: u64, slots: usize) -> Boxed {
        let payload = (0..words::<T>() * slots)
            .map(|_| Native::word(0xbad))
            .collect();
        let boxed = Boxed {
            counter: Native::word(counter),
            sleep: OwnedSleepWords::default(),
            payload,
        };
        let first = (counter % slots as u64) as usize * words::<T>();
        let bytes = bytemuck::bytes_of(&initial).as_chunks().0;
        Native.store_words(&boxed.payload[first..], bytes, StoreSite::SeqCopyIn);
        boxed
    }

    fn seq(&self) -> SeqParts<'_, Native> {
        SeqParts {
            seq: &self.counter,
            for_news: self.sleep.words(),
            payload: &self.payload,
        }
    }

    fn latch(&self) -> LatchParts<'_, Native> {
        LatchParts {
            version: &self.counter,
            for_news: self.sleep.words(),
            slots: &self.payload,
        }
    }

    fn counter(&self) -> u64 {
        Native.load(&self.counter, LoadSite::SeqObserve)
    }
}

#[derive(Clone, Copy, Debug)]
enum Op {
    Write,
    Retake,
    /// A writer that dies before its n-th store, and is not replaced yet.
    Die(usize),
    Read(u32),
}

/// Sequences for a payload of `words` words: a write makes that many stores and at most two
/// more.
fn ops(words: usize) -> impl Strategy<Value = Vec<Op>> {
    let op = prop_oneof![
        4 => Just(Op::Write),
        1 => Just(Op::Retake),
        2 => (0..words + 3).prop_map(Op::Die),
        1 => Just(Op::Die(0)),
        1 => Just(Op::Die(1)),
        3 => (0..5u32).prop_map(Op::Read),
    ];
    vec(op, 1..40)
}

/// Sequence numbers and versions to start at: even or odd, at the beginning, the top, anywhere.
fn starts() -> impl Strategy<Value = u64> {
    prop_oneof![
        0..10u64,
        (0..20u64).prop_map(|n| u64::MAX - n),
        any::<u64>()
    ]
}

fn seqlock<T: Value>() {
    let cases = (starts(), ops(words::<T>()));
    check(300, cases, |(start, ops)| {
        let home = Boxed::new(T::nth(0), start, 1);
        let writer = || SeqWriter::<T>::new(home.seq(), Native, ()).expect("a writer");
        let reader = SeqReader::<T>::new(home.seq(), Native, ()).expect("a reader");
        // The oracle: the value that may be read, none after a death inside a write; and `seq`.
        let mut value = (start % 2 == 0).then(|| T::nth(0));
        let mut seq = start;
        let mut seen = seq / 2;
        let mut current = writer();
        for (n, op) in (1..).zip(ops) {
            match op {
                Op::Write => {
                    current.write(&T::nth(n));
                    value = Some(T::nth(n));
                    // An odd number that was ever left behind is never made even.
                    seq = seq.wrapping_add(if seq % 2 == 0 { 2 } else { 3 });
                }
                Op::Retake => current = writer(),
                Op::Die(stores) => {
                    let mut dying = SeqWriter::<T, _>::new(home.seq(), Dying::after(stores), ())
                        .expect("a writer");
                    dying.write(&T::nth(n));
                    if stores >= words::<T>() + 2 {
                        value = Some(T::nth(n));
                        seq = seq.wrapping_add(if seq % 2 == 0 { 2 } else { 3 });
                    } else if stores > 0 {
                        value = None;
                        seq = seq.wrapping_add(if seq % 2 == 0 { 1 } else { 2 });
                    }
                    current = writer();
                }
                Op::Read(attempts) => {
                    let expected = value.ok_or(ReadError::WriterStalled {
                        attempts: attempts.max(1),
                    });
                    prop_assert_eq!(reader.read(attempts), expected);
                }
            }
            prop_assert_eq!(reader.try_read(), value.ok_or(Busy));
            prop_assert_eq!(home.counter(), seq);
            prop_assert_eq!(current.needs_repair(), seq % 2 == 1);
            prop_assert_eq!(current.version(), seq / 2 + seq % 2);
            // A write that is under way, or that nobody ends, is not yet one.
            prop_assert_eq!(reader.version(), seq / 2);
            prop_assert_eq!(reader.has_changed(seen), seen != seq / 2);
            seen = seq / 2;
        }
        Ok(())
    });
}

fn latch<T: Value>() {
    let slots = prop_oneof![Just(2usize), Just(4), Just(8)];
    let cases = (slots, starts(), ops(words::<T>()));
    check(300, cases, |(slots, start, ops)| {
        let home = Boxed::new(T::nth(0), start, slots);
        let writer = || LatchWriter::<T>::new(home.latch(), Native, ()).expect("a writer");
        let reader = LatchReader::<T>::new(home.latch(), Native, ()).expect("a reader");
        let mut value = T::nth(0);
        let mut version = start;
        let mut seen = version;
        let mut current = writer();
        for (n, op) in (1..).zip(ops) {
            match op {
                Op::Write => {
                    current.write(&T::nth(n));
                    value = T::nth(n);
                    version = version.wrapping_add(1);
                }
                Op::Retake => current = writer(),
                Op::Die(stores) => {
                    let memory = Dying::after(stores);
                    let mut dying =
                        LatchWriter::<T, _>::new(home.latch(), memory, ()).expect("a writer");
                    dying.write(&T::nth(n));
                    if stores > words::<T>() {
                        value = T::nth(n);
                        version = version.wrapping_add(1);
                    }
                    current = writer();
                }
                Op::Read(attempts) => prop_assert_eq!(reader.read(attempts), Ok(value)),
            }
            // Whatever happened, the last committed value is there at once.
            prop_assert_eq!(reader.try_read(), Ok(value));
            prop_assert_eq!(home.counter(), version);
            prop_assert_eq!(current.version(), version);
            prop_assert_eq!(reader.version(), version);
            prop_assert_eq!(reader.has_changed(seen), seen != version);
            seen = version;
        }
        Ok(())
    });
}

macro_rules! values {
    ($($values:ident: $value:ty),+) => {
        mod a_seqlock_holds_the_last_value {
            $(#[test] fn $values() { super::seqlock::<$value>(); })+
        }

        mod a_latch_holds_the_last_value {
            $(#[test] fn $values() { super::latch::<$value>(); })+
        }
    };
}

values!(of_a_word: u64, of_bytes: [u8; 16], of_three_words: [u64; 3], of_1032_bytes: super::Big);

#[test]
fn a_seqlock_reader_keeps_no_copy_that_a_write_came_into() {
    for start in [0, 6, u64::MAX - 1] {
        for writes in 0..4 {
            let home = Boxed::new(<[u64; 3]>::nth(7), start, 1);
            let write = || {
                let mut writer = SeqWriter::new(home.seq(), Native, ()).expect("a writer");
                writer.write(&<[u64; 3]>::nth(8));
            };
            let writes_meanwhile = || (0..writes).for_each(|_| write());
            let memory = Interrupted::once(LoadSite::SeqCopyOut, 1, writes_meanwhile);
            let reader = SeqReader::<[u64; 3], _>::new(home.seq(), memory, ()).expect("a reader");
            let expected = (writes == 0).then(|| Value::nth(7)).ok_or(Busy);
            let found = reader.try_read();
            assert_eq!(found, expected, "start {start}, {writes} writes");
        }
    }
}

#[test]
fn a_latch_reader_keeps_its_copy_until_the_writer_may_have_come_round_to_it() {
    for start in [0, 5, u64::MAX - 1, u64::MAX] {
        for slots in [2, 4, 8] {
            for writes in 0..10 {
                let home = Boxed::new(<[u64; 3]>::nth(7), start, slots);
                let write = || {
                    let mut writer = LatchWriter::new(home.latch(), Native, ()).expect("one");
                    writer.write(&<[u64; 3]>::nth(8));
                };
                let writes_meanwhile = || (0..writes).for_each(|_| write());
                let memory = Interrupted::once(LoadSite::LatchCopyOut, 1, writes_meanwhile);
                let reader =
                    LatchReader::<[u64; 3], _>::new(home.latch(), memory, ()).expect("a reader");
                // One write further, the next one may already be filling the slot.
                let expected = (writes <= slots - 2).then(|| Value::nth(7)).ok_or(Busy);
                let found = reader.try_read();
                assert_eq!(found, expected, "{start}, {slots} slots, {writes} writes");
            }
        }
    }
}

#[test]
fn a_read_makes_as_many_attempts_as_it_was_given() {
    use std::cell::Cell;

    let home = Boxed::new(<[u64; 3]>::nth(8), 0, 1);
    let left = Cell::new(0);
    let write = || {
        if left.get() > 0 {
            left.set(left.get() - 1);
            let mut writer = SeqWriter::new(home.seq(), Native, ()).expect("a writer");
            writer.write(&<[u64; 3]>::nth(8));
        }
    };
    // Inside each copy of three words.
    let memory = Interrupted::each(LoadSite::SeqCopyOut, 1, 3, write);
    let reader = SeqReader::<[u64; 3], _>::new(home.seq(), memory, ()).expect("a reader");
    for attempts in 1..6 {
        left.set(attempts - 1);
        assert_eq!(reader.read(attempts), Ok(Value::nth(8)), "{attempts}");
        left.set(u32::MAX);
        let stalled = reader.read(attempts);
        assert_eq!(stalled, Err(ReadError::WriterStalled { attempts }));
        assert_eq!(left.get(), u32::MAX - attempts);
    }
    // None at all is not what anybody can mean: it is one.
    left.set(0);
    assert_eq!(reader.read(0), Ok(Value::nth(8)));
}

#[test]
fn parts_of_a_wrong_size_make_no_end() {
    fn parts(count: usize) -> Boxed {
        Boxed {
            counter: Native::word(0),
            sleep: OwnedSleepWords::default(),
            payload: (0..count).map(|_| Native::word(0)).collect(),
        }
    }
    for count in 0..=24 {
        let home = parts(count);
        let writer = SeqWriter::<[u64; 3]>::new(home.seq(), Native, ());
        let reader = SeqReader::<[u64; 3]>::new(home.seq(), Native, ());
        let found = [writer.is_some(), reader.is_some()];
        assert_eq!(found, [count >= 3; 2], "seqlock, {count} words");
        // Slots of three words: 2, 4 or 8 of them, and not a part of one.
        let writer = LatchWriter::<[u64; 3]>::new(home.latch(), Native, ());
        let reader = LatchReader::<[u64; 3]>::new(home.latch(), Native, ());
        let found = [writer.is_some(), reader.is_some()];
        let good = [6, 12, 24].contains(&count);
        assert_eq!(found, [good; 2], "latch, {count} words");
    }
}

/// The question whether there is a writer falls between two writes, each of which is under way when
/// it is looked at.
#[test]
fn a_death_is_said_of_one_write_only() {
    let home = Boxed::new(u64::nth(0), 0, 1);
    let begin_write = || {
        let dying = SeqWriter::<u64, _>::new(home.seq(), Dying::after(1), ());
        dying.expect("a writer").write(&u64::nth(1));
    };
    let reader = SeqReader::<u64>::new(home.seq(), Native, ()).expect("a reader");
    begin_write();
    let stalled = Err(ReadError::WriterStalled { attempts: 2 });
    assert_eq!(reader.read_unless(2, || false), stalled);
    assert_eq!(reader.read(2), stalled, "it has no watch");
    let dead = Err(ReadError::WriterDead { attempts: 2 });
    assert_eq!(reader.read_unless(2, || true), dead);
    let another = || {
        begin_write();
        true
    };
    assert_eq!(reader.read_unless(2, another), stalled);
    // Nothing is asked of a value at rest.
    let mut successor = SeqWriter::<u64>::new(home.seq(), Native, ()).expect("a writer");
    successor.write(&u64::nth(2));
    let found = reader.read_unless(2, || panic!("there is a value"));
    assert_eq!(found, Ok(u64::nth(2)));
}

#[test]
fn a_seqlock_in_a_segment_tells_a_dead_writer_from_a_stalled_one() {
    let lock = SeqLock::anonymous(&<[u64; 3]>::nth(1), &SeqLockOptions::default()).expect("one");
    let reader = lock.reader().expect("a reader");
    assert_eq!(reader.read(1), Ok(Value::nth(1)));

    // What a writer leaves that dies inside its first write.
    let parts = lock.parts().expect("the parts");
    let mut dying = SeqWriter::<[u64; 3], _>::new(parts, Dying::after(2), ()).expect("a writer");
    dying.write(&Value::nth(2));
    assert_eq!(reader.try_read(), Err(Busy));
    assert_eq!(reader.read(3), Err(ReadError::WriterDead { attempts: 3 }));

    // Somebody holds the role, though it has not written yet.
    let mut writer = lock.writer().expect("the role");
    assert!(writer.needs_repair());
    for (asked, attempts) in [(3, 3), (0, 1)] {
        let stalled = Err(ReadError::WriterStalled { attempts });
        assert_eq!(reader.read(asked), stalled);
    }
    writer.write(&Value::nth(3));
    assert!(!writer.needs_repair());
    assert_eq!(reader.read(1), Ok(Value::nth(3)));

    // At rest, it does not matter whether there is a writer.
    drop(writer);
    assert_eq!(reader.read(1), Ok(Value::nth(3)));
}

#[test]
fn a_latch_in_a_segment_holds_its_value_over_a_death_and_a_successor() {
    for slots in [2, 4, 8] {
        let options = SeqLatchOptions::default().slots(slots);
        let latch = SeqLatch::anonymous(&<[u64; 3]>::nth(0), &options).expect("a latch");
        let reader = latch.reader().expect("a reader");
        assert_eq!(reader.read(1), Ok(Value::nth(0)), "{slots} slots");
        let mut epoch = 0;
        for n in (1..40).step_by(2) {
            let mut writer = latch.writer().expect("the role");
            epoch += 1;
            assert_eq!(writer.epoch(), epoch);
            assert_eq!(writer.version(), epoch - 1);
            writer.write(&Value::nth(n));
            assert_eq!(reader.read(1), Ok(Value::nth(n)), "{slots} slots");
            drop(writer);

            let parts = latch.parts().expect("the parts");
            let memory = Dying::after(2);
            let mut dying = LatchWriter::<[u64; 3], _>::new(parts, memory, ()).expect("one");
            dying.write(&Value::nth(n + 1));
            assert_eq!(reader.read(1), Ok(Value::nth(n)), "{slots} slots");
        }
    }
    for slots in [0, 1, 3, 5] {
        let options = SeqLatchOptions::default().slots(slots);
        let refused = SeqLatch::anonymous(&0u64, &options).expect_err("a wrong number of slots");
        assert!(matches!(refused, SegmentError::Size { .. }), "{refused}");
        let said = format!("(anonymous)`: {slots} slots");
        assert!(refused.to_string().contains(&said), "{refused}");
    }
}
/// Values that the writer of a two-thread test writes.
const WRITES: u64 = 100_000;

/// Reads until the last value: whole ones, in the order in which they were written, and none older than
/// the version before or newer than the one after.
fn read_to_the_end<T: Value>(attempt: impl Fn() -> Result<T, Busy>, version: impl Fn() -> u64) {
    let deadline = Deadline::to("read the last value");
    let mut last = 0;
    while last < WRITES {
        let before = version();
        match attempt() {
            Ok(value) => {
                let number = value.number();
                let number = number.unwrap_or_else(|| panic!("torn after {last}: {value:?}"));
                assert!(last <= number, "{number} after {last}");
                assert!(number <= WRITES, "{number} was never written");
                let after = version();
                let between = before <= number && number <= after;
                assert!(between, "{number} between versions {before} and {after}");
                last = number;
            }
            Err(Busy) => deadline.wait(),
        }
    }
}

fn stream_through_a_seqlock<T: Value>() {
    let home = Boxed::new(T::nth(0), 0, 1);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let mut writer = SeqWriter::<T>::new(home.seq(), Native, ()).expect("a writer");
            for n in 1..=WRITES {
                writer.write(&T::nth(n));
            }
        });
        let reader = SeqReader::<T>::new(home.seq(), Native, ()).expect("a reader");
        read_to_the_end(|| reader.try_read(), || reader.version());
    });
}

fn stream_through_a_latch<T: Value>(slots: usize) {
    let home = Boxed::new(T::nth(0), 0, slots);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let mut writer = LatchWriter::<T>::new(home.latch(), Native, ()).expect("a writer");
            for n in 1..=WRITES {
                writer.write(&T::nth(n));
            }
        });
        let reader = LatchReader::<T>::new(home.latch(), Native, ()).expect("a reader");
        read_to_the_end(|| reader.try_read(), || reader.version());
    });
}

#[test]
fn a_seqlock_reader_in_another_thread_sees_whole_values_in_order() {
    stream_through_a_seqlock::<u64>();
    stream_through_a_seqlock::<[u64; 3]>();
    stream_through_a_seqlock::<Big>();
}

#[test]
fn a_latch_reader_in_another_thread_sees_whole_values_in_order() {
    for slots in [2, 4, 8] {
        stream_through_a_latch::<u64>(slots);
        stream_through_a_latch::<[u64; 3]>(slots);
        stream_through_a_latch::<Big>(slots);
    }
}
