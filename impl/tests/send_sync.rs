//! What may go to another thread and what may be shared with one: all that is public and holds a piece of a
//! segment or of a ring. Its documentation says the same. It is all decided by the compiler, and nothing by
//! the one test, which shows that what it is decided by can say no.
#![cfg(target_os = "linux")]

use std::cell::Cell;
use std::marker::PhantomData;
use std::rc::Rc;
use std::sync::MutexGuard;

use ringproof::harness::{Hooks, Interposed};
use ringproof::memory::{Native, Slot, Word};
use ringproof::read::WaitingReader;
use ringproof::shared::Held;
use ringproof::site::Site;
use ringproof::wait::Waiting;
use ringproof::{
    Claim, Consumer, Inspection, LatchReader, LatchWriter, Payload, PopError, Producer, PushError,
    ReadChunk, ReadError, Ring, RingOptions, Segment, SegmentError, SeqLatch, SeqLatchOptions,
    SeqLock, SeqLockOptions, SeqReader, SeqWriter, Survey, Wait, WaitError, WriteChunk, latch,
    ring, seqlock, untyped,
};

/// May go to another thread, be shared with one, and stay there for good.
const fn goes_anywhere<T: Send + Sync + 'static>() {}

/// The same but for the last: it borrows its end.
const fn goes_as_far_as_its_end<T: Send + Sync>() {}

const _: () = {
    const fn for_every_payload<T: Payload>() {
        goes_anywhere::<Ring<T>>();
        goes_anywhere::<SeqLock<T>>();
        goes_anywhere::<SeqLatch<T>>();
        goes_anywhere::<Producer<T>>();
        goes_anywhere::<Consumer<T>>();
        goes_anywhere::<SeqWriter<T>>();
        goes_anywhere::<SeqReader<T>>();
        goes_anywhere::<LatchWriter<T>>();
        goes_anywhere::<LatchReader<T>>();
        goes_anywhere::<Slot<T>>();
        goes_as_far_as_its_end::<WriteChunk<'_, T>>();
        goes_as_far_as_its_end::<ReadChunk<'_, T>>();
        goes_as_far_as_its_end::<ring::Iter<'_, '_, '_, T, Native, Held>>();
        goes_as_far_as_its_end::<ring::Drain<'_, '_, T, Native, Held>>();
        goes_as_far_as_its_end::<Waiting<'_, Producer<T>>>();
        goes_as_far_as_its_end::<Waiting<'_, Consumer<T>>>();
        goes_as_far_as_its_end::<WaitingReader<'_, SeqReader<T>>>();
        goes_as_far_as_its_end::<WaitingReader<'_, LatchReader<T>>>();
        goes_as_far_as_its_end::<ring::RingParts<'_, Native, T>>();
    }
    for_every_payload::<[u8; 3]>();
    goes_anywhere::<untyped::Structure>();
    goes_anywhere::<untyped::Payload>();
    goes_anywhere::<untyped::Producer>();
    goes_anywhere::<untyped::Consumer>();
    goes_anywhere::<untyped::Writer>();
    goes_anywhere::<untyped::Reader>();
    goes_as_far_as_its_end::<untyped::WriteChunk<'_>>();
    goes_as_far_as_its_end::<untyped::ReadChunk<'_>>();
    goes_as_far_as_its_end::<seqlock::SeqParts<'_, Native>>();
    goes_as_far_as_its_end::<latch::LatchParts<'_, Native>>();
    goes_anywhere::<Segment>();
    goes_anywhere::<Claim>();
    goes_anywhere::<Held>();
    goes_anywhere::<Word>();
    goes_anywhere::<Inspection>();
    goes_anywhere::<Survey>();
    goes_anywhere::<SegmentError>();
    goes_anywhere::<RingOptions>();
    goes_anywhere::<SeqLockOptions>();
    goes_anywhere::<SeqLatchOptions>();
    goes_anywhere::<Wait>();
    goes_anywhere::<WaitError<PushError>>();
    goes_anywhere::<WaitError<PopError>>();
    goes_anywhere::<WaitError<ReadError>>();
};

/// Whether a type is `Send`, and whether it is `Sync`. What is said of all types counts only where what is
/// said of some is not said of this one.
macro_rules! send_and_sync {
    ($type:ty) => {
        (<Of<$type>>::SEND, <Of<$type>>::SYNC)
    };
}

trait OfAll {
    const SEND: bool = false;
    const SYNC: bool = false;
}

impl<T> OfAll for T {}

struct Of<T>(PhantomData<T>);

impl<T: Send> Of<T> {
    const SEND: bool = true;
}

impl<T: Sync> Of<T> {
    const SYNC: bool = true;
}

/// May go to another thread, but not be shared with one.
struct Counting(#[allow(dead_code, reason = "its type is all that counts")] Cell<u64>);

impl Hooks<Native> for Counting {
    fn before(&self, _: &Native, _: Site, _: usize) -> bool {
        true
    }
}

#[test]
fn an_end_is_what_its_memory_and_what_it_keeps_are() {
    // The whole ring of one kind of memory and one thing that is kept.
    macro_rules! ends {
        ($memory:ty, $keep:ty) => {
            [
                send_and_sync!(ring::Producer<'static, u64, $memory, $keep>),
                send_and_sync!(ring::Consumer<'static, u64, $memory, $keep>),
                send_and_sync!(ring::WriteChunk<'static, 'static, u64, $memory, $keep>),
                send_and_sync!(ring::ReadChunk<'static, 'static, u64, $memory, $keep>),
                send_and_sync!(ring::Drain<'static, 'static, u64, $memory, $keep>),
                send_and_sync!(Waiting<'static, ring::Producer<'static, u64, $memory, $keep>>),
                send_and_sync!(Waiting<'static, ring::Consumer<'static, u64, $memory, $keep>>),
                send_and_sync!(seqlock::SeqWriter<'static, u64, $memory, $keep>),
                send_and_sync!(seqlock::SeqReader<'static, u64, $memory, $keep>),
                send_and_sync!(latch::LatchWriter<'static, u64, $memory, $keep>),
                send_and_sync!(latch::LatchReader<'static, u64, $memory, $keep>),
            ]
        };
    }
    assert_eq!(ends!(Native, ()), [(true, true); 11]);
    assert_eq!(ends!(Native, Rc<()>), [(false, false); 11]);
    assert_eq!(ends!(Native, Cell<u8>), [(true, false); 11]);
    assert_eq!(ends!(Native, MutexGuard<'static, ()>), [(false, true); 11]);
    assert_eq!(
        ends!(Interposed<Native, Counting>, Held),
        [(true, false); 11]
    );
    // These share a chunk or an end, and so may go where that may be shared.
    macro_rules! sharing {
        ($keep:ty) => {
            [
                send_and_sync!(ring::Iter<'static, 'static, 'static, u64, Native, $keep>),
                send_and_sync!(
                    WaitingReader<'static, seqlock::SeqReader<'static, u64, Native, $keep>>
                ),
                send_and_sync!(
                    WaitingReader<'static, latch::LatchReader<'static, u64, Native, $keep>>
                ),
            ]
        };
    }
    assert_eq!(sharing!(()), [(true, true); 3]);
    assert_eq!(sharing!(Cell<u8>), [(false, false); 3]);
    assert_eq!(sharing!(MutexGuard<'static, ()>), [(true, true); 3]);
}
