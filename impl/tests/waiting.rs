//! The forms that wait: what ends a wait, what each says then, and what it leaves.
//!
//! What happens while an end waits happens just before one of its looks, in the same thread: so nothing here depends on
//! who is faster. Where two threads wait for each other, only their order is asserted. No wait of a sound library takes
//! as long as [`long`].
#![cfg(target_os = "linux")]

mod common;

use std::cell::{Cell, RefCell};
use std::fmt::Debug;
use std::io::{self, ErrorKind, Read, Write};
use std::thread;
use std::time::{Duration, Instant};

use common::dying::Dying;
use common::interrupted::Interrupted;
use common::{Deadline, Effort, check, ends, seqlock_and_latch};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;
use ringproof::harness::{Interposed, PartsOfRing, PartsOfValue};
use ringproof::memory::{Memory, Native};
use ringproof::seqlock::{SeqWriter, Watch};
use ringproof::site::{LoadSite, StoreSite};
use ringproof::wait::Waiting;
use ringproof::{
    Consumer, Corruption, Payload, PopError, PushError, ReadError, Ring, RingOptions, Role,
    SeqLock, SeqLockOptions, Wait, WaitError, ring,
};

const STRATEGIES: [Wait; 4] = [Wait::Spin, Wait::Yield, Wait::Sleep, Wait::SleepAtOnce];

/// Longer than any wait here takes.
fn long() -> Duration {
    Deadline::length()
}

/// A time that is over soon. Where it never is, the test program dies of SIGALRM.
fn soon(millis: u64) -> Duration {
    let hangs = 2 * long().as_secs();
    nix::unistd::alarm::set(u32::try_from(hangs).unwrap_or(u32::MAX));
    Duration::from_millis(millis)
}

/// A form of a consumer that waits.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Pop {
    One,
    Slice,
    Peek,
    PeekExact,
    Items,
}

impl Pop {
    const ALL: [Pop; 5] = [Pop::One, Pop::Slice, Pop::Peek, Pop::PeekExact, Pop::Items];

    /// Takes `count` items, or fewer where the form may give fewer.
    fn take<T: Payload, M: Memory, K: Watch>(
        self,
        waiting: Waiting<'_, ring::Consumer<'_, T, M, K>>,
        count: usize,
    ) -> Result<Vec<T>, WaitError<PopError>> {
        let chunk = match self {
            Pop::One => return waiting.pop().map(|item| vec![item]),
            Pop::Slice => {
                let mut items = vec![T::zeroed(); count];
                let taken = waiting.pop_slice(&mut items)?;
                items.truncate(taken);
                return Ok(items);
            }
            Pop::Items => {
                let consumer = waiting.items(count)?;
                return Ok((0..count)
                    .map(|_| consumer.pop().expect("as many are there"))
                    .collect());
            }
            Pop::Peek => waiting.peek(count)?,
            Pop::PeekExact => waiting.peek_exact(count)?,
        };
        let items = chunk.iter().collect();
        chunk.release_all();
        Ok(items)
    }
}

/// A form of a producer that waits.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Push {
    One,
    Slice,
    Reserve,
    ReserveExact,
    FreeSlots,
}

impl Push {
    const ALL: [Push; 5] = [
        Push::One,
        Push::Slice,
        Push::Reserve,
        Push::ReserveExact,
        Push::FreeSlots,
    ];

    /// Gives `items`, or some from their front where the form may take fewer, and says how many.
    fn give<T: Payload, M: Memory, K: Watch>(
        self,
        waiting: Waiting<'_, ring::Producer<'_, T, M, K>>,
        items: &[T],
    ) -> Result<usize, WaitError<PushError>> {
        let mut chunk = match self {
            Push::One => return waiting.push(items[0]).map(|()| 1),
            Push::Slice => return waiting.push_slice(items),
            Push::FreeSlots => {
                let producer = waiting.free_slots(items.len())?;
                let pushed = items.iter().map(|item| producer.push(*item));
                return Ok(pushed.map(|push| push.expect("there is room")).count());
            }
            Push::Reserve => waiting.reserve(items.len())?,
            Push::ReserveExact => waiting.reserve_exact(items.len())?,
        };
        let count = chunk.len();
        let copied = chunk.copy_from_slice(0, &items[..count]);
        copied.expect("as many as were reserved");
        chunk.commit_all();
        Ok(count)
    }
}

fn new_ring<T: Payload>() -> Ring<T> {
    Ring::anonymous(&RingOptions::new(4)).expect("an anonymous ring")
}

/// What is said of a word of an untouched or full one of them.
fn corruption(word: &'static str, found: u64) -> Corruption {
    Corruption {
        word,
        found,
        lowest: 0,
        highest: 4,
    }
}

/// What an end keeps that asks a test whether its peer is gone.
struct Asking<F>(RefCell<F>);

fn asking<F: FnMut() -> bool>(is_gone: F) -> Asking<F> {
    Asking(RefCell::new(is_gone))
}

impl<F: FnMut() -> bool> Watch for Asking<F> {
    fn watch(&self) -> Option<impl FnOnce() -> bool> {
        Some(|| (self.0.borrow_mut())())
    }
}

type Interruption<F> = Interposed<Native, Interrupted<F>>;

/// A consumer that is interrupted, where there is no other.
fn consumer_of<T: Payload, F: FnMut(), K>(
    ring: &Ring<T>,
    memory: Interruption<F>,
    keep: K,
) -> ring::Consumer<'_, T, Interruption<F>, K> {
    // SAFETY: the parts go to this consumer alone.
    let parts = unsafe { ring.parts() }.expect("the parts");
    // SAFETY: the ring has no other consumer, and its producer is in this thread.
    unsafe { ring::Consumer::new(parts, memory, keep) }
}

/// A producer that is interrupted, where there is no other.
fn producer_of<T: Payload, F: FnMut(), K>(
    ring: &Ring<T>,
    memory: Interruption<F>,
    keep: K,
) -> ring::Producer<'_, T, Interruption<F>, K> {
    // SAFETY: the parts go to this producer alone.
    let parts = unsafe { ring.parts() }.expect("the parts");
    // SAFETY: the ring has no other producer, and its consumer is in this thread.
    unsafe { ring::Producer::new(parts, memory, keep) }
}

/// How an end waits, and just before which look something happens: at once, or when it has long let others run, or
/// has slept. (What happens here happens in the thread that waits, and so wakes nobody.)
fn cases() -> impl Iterator<Item = (Wait, usize)> {
    STRATEGIES.into_iter().flat_map(|how| {
        let late = match how {
            Wait::Sleep | Wait::SleepAtOnce => 5,
            _ => 300,
        };
        [(how, 1), (how, late)]
    })
}

/// The memory of a consumer to whose wait something happens.
fn at_look<F: FnMut()>(number: usize, event: F) -> Interruption<F> {
    Interrupted::once(LoadSite::RingObserve, number, event)
}

/// And of a producer.
fn at_full_look<F: FnMut()>(number: usize, event: F) -> Interruption<F> {
    Interrupted::once(LoadSite::RingReclaim, number, event)
}

#[test]
fn every_form_goes_on_with_what_comes_while_it_waits() {
    for (how, look) in cases() {
        for form in Pop::ALL {
            let ring = new_ring::<u64>();
            let mut producer = ring.producer().expect("the role");
            let memory = at_look(look, || assert_eq!(producer.push_slice(&[1, 2, 3]), Ok(3)));
            let mut consumer = consumer_of(&ring, memory, ()).with_wait(how);
            let taken = form.take(consumer.wait_for(long()), 3);
            let expected: &[u64] = if form == Pop::One { &[1] } else { &[1, 2, 3] };
            assert_eq!(taken.as_deref(), Ok(expected), "{form:?}, {how:?}");
        }
        for form in Push::ALL {
            let ring = new_ring::<u64>();
            let (mut producer, mut consumer) = ends(&ring);
            assert_eq!(producer.push_slice(&[1, 2, 3, 4]), Ok(4));
            drop(producer);
            let memory = at_full_look(look, || assert_eq!(consumer.pop_slice(&mut [0; 3]), Ok(3)));
            let mut producer = producer_of(&ring, memory, ()).with_wait(how);
            let given = form.give(producer.wait_for(long()), &[5, 6, 7]);
            let expected = if form == Push::One { 1 } else { 3 };
            assert_eq!(given, Ok(expected), "{form:?}, {how:?}");
            assert_eq!(producer.occupancy(), Ok(1 + expected as u64));
        }
    }
}

#[test]
fn what_may_be_less_is_not_waited_for_and_what_is_exact_is() {
    for how in STRATEGIES {
        // One item at a time, of which each look sees one more.
        for (form, expected) in [
            (Pop::Slice, 1),
            (Pop::Peek, 1),
            (Pop::PeekExact, 3),
            (Pop::Items, 3),
        ] {
            let ring = new_ring::<u64>();
            let mut producer = ring.producer().expect("the role");
            let push = || producer.push(7).expect("room");
            let memory = Interrupted::each(LoadSite::RingObserve, 2, 2, push);
            let mut consumer = consumer_of(&ring, memory, ()).with_wait(how);
            let taken = form.take(consumer.wait_for(long()), 3);
            assert_eq!(taken, Ok(vec![7; expected]), "{form:?}, {how:?}");
        }
        for (form, expected) in [
            (Push::Slice, 1),
            (Push::Reserve, 1),
            (Push::ReserveExact, 3),
            (Push::FreeSlots, 3),
        ] {
            let ring = new_ring::<u64>();
            let (mut producer, mut consumer) = ends(&ring);
            assert_eq!(producer.push_slice(&[1; 4]), Ok(4));
            drop(producer);
            let pop = || assert_eq!(consumer.pop(), Ok(1));
            let memory = Interrupted::each(LoadSite::RingReclaim, 2, 2, pop);
            let mut producer = producer_of(&ring, memory, ()).with_wait(how);
            let given = form.give(producer.wait_for(long()), &[7; 3]);
            assert_eq!(given, Ok(expected), "{form:?}, {how:?}");
        }
    }
    // Nothing at all is there at once, also of a ring that is empty or full.
    let ring = Ring::<u64>::anonymous(&RingOptions::new(1)).expect("a ring");
    let (mut producer, mut consumer) = ends(&ring);
    for form in [Pop::Slice, Pop::Peek, Pop::PeekExact, Pop::Items] {
        assert_eq!(
            form.take(consumer.wait_for(long()), 0),
            Ok(vec![]),
            "{form:?}"
        );
    }
    assert_eq!(producer.push(1), Ok(()));
    for form in [
        Push::Slice,
        Push::Reserve,
        Push::ReserveExact,
        Push::FreeSlots,
    ] {
        assert_eq!(form.give(producer.wait_for(long()), &[]), Ok(0), "{form:?}");
    }
}

/// What is done in a wait that is given no time at all, in three ways.
macro_rules! without_time {
    ($end:expr, |$waiting:ident| $attempt:expr) => {{
        let past = Instant::now();
        let first = {
            let $waiting = $end.wait_for(soon(0));
            $attempt
        };
        let second = {
            let $waiting = $end.wait_until(past);
            $attempt
        };
        let $waiting = $end.wait_until(Instant::now());
        [first, second, $attempt]
    }};
}

#[test]
fn without_time_a_wait_is_one_look() {
    let looks = Cell::new(0);
    let look = || looks.set(looks.get() + 1);
    for how in STRATEGIES {
        let ring = new_ring::<u64>();
        let mut producer = ring.producer().expect("the role");
        let memory = Interrupted::each(LoadSite::RingObserve, 0, 1, look);
        let mut consumer = consumer_of(&ring, memory, ()).with_wait(how);
        for form in Pop::ALL {
            let late = without_time!(consumer, |waiting| form.take(waiting, 1));
            assert_eq!(
                late,
                [const { Err(WaitError::TimedOut) }; 3],
                "{form:?}, {how:?}"
            );
            assert_eq!(looks.take(), 3, "{form:?}, {how:?}");
        }
        // What is there is had.
        assert_eq!(producer.push_slice(&[1, 2, 3]), Ok(3));
        let there = without_time!(consumer, |waiting| Pop::One.take(waiting, 1));
        assert_eq!(there, [1, 2, 3].map(|item| Ok(vec![item])));
        // All three were seen in one look.
        assert_eq!(looks.take(), 1);

        let ring = new_ring::<u64>();
        let mut consumer = ring.consumer().expect("the role");
        let memory = Interrupted::each(LoadSite::RingReclaim, 0, 1, look);
        let mut producer = producer_of(&ring, memory, ()).with_wait(how);
        let there = without_time!(producer, |waiting| Push::One.give(waiting, &[1]));
        assert_eq!((there, looks.take()), ([Ok(1); 3], 1));
        assert_eq!(producer.push(4), Ok(()));
        for form in Push::ALL {
            let late = without_time!(producer, |waiting| form.give(waiting, &[5]));
            assert_eq!(late, [Err(WaitError::TimedOut); 3], "{form:?}, {how:?}");
            assert_eq!(looks.take(), 3, "{form:?}, {how:?}");
        }
        assert_eq!(consumer.occupancy(), Ok(4));
        assert_eq!(consumer.pop(), Ok(1));
    }
}

#[test]
fn a_time_too_long_for_a_clock_is_no_limit() {
    for (how, look) in cases() {
        let ring = new_ring::<u64>();
        let mut producer = ring.producer().expect("the role");
        let memory = at_look(look, || producer.push(1).expect("room"));
        let mut consumer = consumer_of(&ring, memory, ()).with_wait(how);
        assert_eq!(consumer.wait_for(Duration::MAX).pop(), Ok(1), "{how:?}");

        let ring = new_ring::<u64>();
        let (mut producer, mut consumer) = ends(&ring);
        assert_eq!(producer.push_slice(&[2; 4]), Ok(4));
        drop(producer);
        let memory = at_full_look(look, || assert_eq!(consumer.pop(), Ok(2)));
        let mut producer = producer_of(&ring, memory, ()).with_wait(how);
        assert_eq!(producer.wait_for(Duration::MAX).push(3), Ok(()), "{how:?}");
    }
}

#[test]
fn a_wait_that_is_over_has_done_nothing_and_was_not_over_before() {
    let timeout = soon(2);
    for how in STRATEGIES {
        let ring = new_ring::<u64>();
        let (producer, consumer) = ends(&ring);
        let (mut producer, mut consumer) = (producer.with_wait(how), consumer.with_wait(how));
        let start = Instant::now();
        assert_eq!(consumer.wait_for(timeout).pop(), Err(WaitError::TimedOut));
        assert!(start.elapsed() >= timeout);
        // Two are there, and four are asked for: the two stay.
        assert_eq!(producer.push_slice(&[1, 2]), Ok(2));
        let mut deadline = Instant::now() + timeout;
        let late = consumer.wait_until(deadline).peek_exact(4);
        assert_eq!(late.err(), Some(WaitError::TimedOut));
        assert!(Instant::now() >= deadline);
        assert_eq!((consumer.position(), consumer.occupancy()), (0, Ok(2)));
        deadline = Instant::now() + timeout;
        let late = producer.wait_until(deadline).reserve_exact(3);
        assert_eq!(late.err(), Some(WaitError::TimedOut));
        assert!(Instant::now() >= deadline);
        assert_eq!((producer.position(), producer.occupancy()), (2, Ok(2)));
        assert_eq!(consumer.wait_for(long()).pop(), Ok(1));
    }
}

#[test]
fn a_close_by_the_peer_ends_a_wait() {
    let closed = Err(WaitError::Refused(PopError::PeerClosed));
    for (how, look) in cases() {
        for form in Pop::ALL {
            let ring = new_ring::<u64>();
            let mut producer = ring.producer().expect("the role");
            let memory = at_look(look, || producer.close());
            let mut consumer = consumer_of(&ring, memory, ()).with_wait(how);
            let end = form.take(consumer.wait_for(long()), 3);
            assert_eq!(end, closed, "{form:?}, {how:?}");
            // It is no news.
            assert_eq!(form.take(consumer.wait(), 3), closed, "{form:?}, {how:?}");
        }
        for form in Push::ALL {
            let ring = new_ring::<u64>();
            let (mut producer, mut consumer) = ends(&ring);
            assert_eq!(producer.push_slice(&[1; 4]), Ok(4));
            drop(producer);
            let memory = at_full_look(look, || {
                // The room that it makes is not used any more.
                assert_eq!(consumer.pop(), Ok(1));
                consumer.close();
            });
            let mut producer = producer_of(&ring, memory, ()).with_wait(how);
            let closed = Err(WaitError::Refused(PushError::PeerClosed));
            let end = form.give(producer.wait_for(long()), &[5, 6, 7]);
            assert_eq!(end, closed, "{form:?}, {how:?}");
            let end = form.give(producer.wait(), &[5, 6, 7]);
            assert_eq!(end, closed, "{form:?}, {how:?}");
        }
        // What comes with the close is taken first, by a form that takes less than all.
        let ring = new_ring::<u64>();
        let mut producer = ring.producer().expect("the role");
        let memory = at_look(look, || {
            assert_eq!(producer.push_slice(&[1, 2]), Ok(2));
            producer.close();
        });
        let mut consumer = consumer_of(&ring, memory, ()).with_wait(how);
        let never = PopError::TooMany { asked: 3, most: 2 };
        let three = consumer.wait_for(long()).peek_exact(3);
        assert_eq!(three.err(), Some(WaitError::Refused(never)));
        assert_eq!(consumer.wait_for(long()).pop_slice(&mut [0; 3]), Ok(2));
        assert_eq!(Pop::One.take(consumer.wait(), 1), closed);
    }
}

#[test]
fn a_ring_that_this_side_closed_is_waited_for_by_nobody() {
    for how in STRATEGIES {
        let ring = new_ring::<u64>();
        let (producer, consumer) = ends(&ring);
        let (mut producer, mut consumer) = (producer.with_wait(how), consumer.with_wait(how));
        producer.close();
        let refused = producer.wait_for(long()).push(1);
        assert_eq!(refused, Err(WaitError::Refused(PushError::Closed)));
        consumer.close();
        let refused = consumer.wait_for(long()).pop();
        assert_eq!(refused, Err(WaitError::Refused(PopError::Closed)));
    }
}

/// Both wait for more than the two items, or slots, that there are; one of them for the other's close, which it makes
/// when it has waited in vain.
#[test]
fn a_close_wakes_whichever_side_waits_in_another_thread() {
    for how in STRATEGIES {
        for producer_closes in [true, false] {
            let ring = new_ring::<u64>();
            let (producer, consumer) = ends(&ring);
            let (mut producer, mut consumer) = (producer.with_wait(how), consumer.with_wait(how));
            assert_eq!(producer.push_slice(&[1, 2]), Ok(2));
            thread::scope(|scope| {
                let pushing = scope.spawn(move || {
                    let timeout = if producer_closes { soon(1) } else { long() };
                    let refused = producer.wait_for(timeout).reserve_exact(3).err();
                    if producer_closes {
                        producer.close();
                    }
                    refused
                });
                let timeout = if producer_closes { long() } else { soon(1) };
                let refused = consumer.wait_for(timeout).peek_exact(3).err();
                if !producer_closes {
                    consumer.close();
                }
                let rest = PopError::TooMany { asked: 3, most: 2 };
                let (of_push, of_pop) = if producer_closes {
                    (WaitError::TimedOut, WaitError::Refused(rest))
                } else {
                    (
                        WaitError::Refused(PushError::PeerClosed),
                        WaitError::TimedOut,
                    )
                };
                assert_eq!(refused, Some(of_pop), "{how:?}");
                let refused = pushing.join().expect("the producer's thread");
                assert_eq!(refused, Some(of_push), "{how:?}");
            });
        }
    }
}

#[test]
fn a_producer_waits_until_all_is_taken_or_never_will_be() {
    let refused = |error| Err(WaitError::Refused(error));
    for (how, look) in cases() {
        // Once it has closed the ring, and without that.
        for closed in [false, true] {
            let drained = |event: &mut dyn FnMut(&Ring<u64>, &mut Consumer<u64>)| {
                let ring = new_ring::<u64>();
                let (mut producer, mut consumer) = ends(&ring);
                assert_eq!(producer.push_slice(&[1, 2, 3]), Ok(3));
                drop(producer);
                let memory = at_full_look(look, || event(&ring, &mut consumer));
                let mut producer = producer_of(&ring, memory, ()).with_wait(how);
                if closed {
                    producer.close();
                }
                producer.wait_for(long()).drained()
            };
            let take = |consumer: &mut Consumer<u64>, count| {
                assert_eq!(consumer.pop_slice(&mut [0; 4][..count]), Ok(count));
            };
            assert_eq!(drained(&mut |_, consumer| take(consumer, 3)), Ok(()));
            // A close after the last item takes nothing back, one before it does.
            let all = drained(&mut |_, consumer| {
                take(consumer, 3);
                consumer.close();
            });
            assert_eq!(all, Ok(()));
            let some = drained(&mut |_, consumer| {
                take(consumer, 2);
                consumer.close();
            });
            assert_eq!(some, refused(PushError::PeerClosed));
            let corrupt = drained(&mut |ring, _| {
                // SAFETY: one thread; what is stored to the word is what this is about.
                let parts = unsafe { ring.parts() }.expect("the parts");
                Native.store(parts.read_index, 9, StoreSite::RingFree);
            });
            let found = match corrupt {
                Err(WaitError::Refused(PushError::Corrupt(corruption))) => corruption.found,
                other => panic!("{other:?}"),
            };
            assert_eq!(found, 9);
        }
    }
    let ring = new_ring::<u64>();
    let (mut producer, _consumer) = ends(&ring);
    assert_eq!(producer.wait().drained(), Ok(()), "it is empty");
    assert_eq!(producer.push(1), Ok(()));
    assert_eq!(
        producer.wait_for(soon(2)).drained(),
        Err(WaitError::TimedOut)
    );
}

#[test]
fn more_than_there_can_be_is_refused_at_once() {
    for how in STRATEGIES {
        let ring = new_ring::<u64>();
        let (producer, consumer) = ends(&ring);
        let (mut producer, mut consumer) = (producer.with_wait(how), consumer.with_wait(how));
        for form in [Pop::PeekExact, Pop::Items] {
            let never = PopError::TooMany { asked: 5, most: 4 };
            let refused = form.take(consumer.wait_for(long()), 5);
            assert_eq!(refused, Err(WaitError::Refused(never)), "{form:?}");
        }
        for form in [Push::ReserveExact, Push::FreeSlots] {
            let never = PushError::TooMany { asked: 5, most: 4 };
            let refused = form.give(producer.wait_for(long()), &[0; 5]);
            assert_eq!(refused, Err(WaitError::Refused(never)), "{form:?}");
        }
        // Who can do with less has no such error.
        assert_eq!(producer.wait_for(long()).push_slice(&[0; 9]), Ok(4));
        assert_eq!(consumer.wait_for(long()).pop_slice(&mut [0; 9]), Ok(4));
    }
}

#[test]
fn an_index_that_cannot_be_ends_a_wait() {
    for (how, look) in cases() {
        let ring = new_ring::<u64>();
        // SAFETY: one thread; what is stored to the words is what this is about.
        let parts = unsafe { ring.parts() }.expect("the parts");
        let memory = at_look(look, || {
            Native.store(parts.write_index, 9, StoreSite::RingPublish)
        });
        let mut consumer = consumer_of(&ring, memory, ()).with_wait(how);
        let corrupt = WaitError::Refused(PopError::Corrupt(corruption("write_index", 9)));
        assert_eq!(consumer.wait_for(long()).pop(), Err(corrupt), "{how:?}");

        let ring = new_ring::<u64>();
        let mut producer = ring.producer().expect("the role");
        assert_eq!(producer.push_slice(&[1; 4]), Ok(4));
        drop(producer);
        // SAFETY: as above.
        let parts = unsafe { ring.parts() }.expect("the parts");
        let memory = at_full_look(look, || {
            Native.store(parts.read_index, 9, StoreSite::RingFree)
        });
        let mut producer = producer_of(&ring, memory, ()).with_wait(how);
        let corrupt = WaitError::Refused(PushError::Corrupt(corruption("read_index", 9)));
        assert_eq!(producer.wait_for(long()).push(1), Err(corrupt), "{how:?}");
    }
}

/// Whether nobody holds `role` of `ring` now.
fn is_free(ring: &Ring<u64>, role: Role) -> bool {
    matches!(ring.segment().is_held(role), Ok(false))
}

#[test]
fn a_peer_that_goes_while_it_is_waited_for_is_gone_when_all_is_taken() {
    for (how, look) in cases() {
        let ring = new_ring::<u64>();
        let mut producer = ring.producer().ok();
        let memory = at_look(look, || {
            let mut producer = producer.take().expect("it is there");
            assert_eq!(producer.push_slice(&[1, 2]), Ok(2));
        });
        let watch = asking(|| is_free(&ring, Role::Producer));
        let mut consumer = consumer_of(&ring, memory, watch).with_wait(how);
        let mut pop = || consumer.wait_for(long()).pop();
        let popped = [pop(), pop(), pop()];
        assert_eq!(popped, [Ok(1), Ok(2), Err(WaitError::PeerGone)], "{how:?}");

        let ring = new_ring::<u64>();
        let mut producer = ring.producer().expect("the role");
        assert_eq!(producer.push_slice(&[3; 4]), Ok(4));
        drop(producer);
        let mut consumer = ring.consumer().ok();
        let memory = at_full_look(look, || {
            let mut consumer = consumer.take().expect("it is there");
            assert_eq!(consumer.pop(), Ok(3));
        });
        let watch = asking(|| is_free(&ring, Role::Consumer));
        let mut producer = producer_of(&ring, memory, watch).with_wait(how);
        let mut push = || producer.wait_for(long()).push(4);
        let pushed = [push(), push()];
        assert_eq!(pushed, [Ok(()), Err(WaitError::PeerGone)], "{how:?}");
        assert_eq!(producer.occupancy(), Ok(4));
    }
}

#[test]
fn a_peer_is_asked_after_again_and_again_and_its_last_deed_counts() {
    for how in STRATEGIES {
        for last in ["an item", "a close", "nothing"] {
            let ring = new_ring::<u64>();
            let (mut producer, mut asked) = (ring.producer().ok(), 0);
            // It is there twice. Between the third question and the answer it goes.
            let watch = asking(|| {
                asked += 1;
                if asked < 3 {
                    return false;
                }
                let mut producer = producer.take().expect("it is asked no more");
                match last {
                    "an item" => assert_eq!(producer.push(7), Ok(())),
                    "a close" => producer.close(),
                    _ => {}
                }
                true
            });
            let memory = at_look(usize::MAX, || {});
            let mut consumer = consumer_of(&ring, memory, watch).with_wait(how);
            let expected = match last {
                "an item" => Ok(7),
                "a close" => Err(WaitError::Refused(PopError::PeerClosed)),
                _ => Err(WaitError::PeerGone),
            };
            assert_eq!(consumer.wait_for(long()).pop(), expected, "{how:?}, {last}");
        }
    }
}

#[test]
fn after_a_peer_that_is_gone_another_one_may_come() {
    for how in STRATEGIES {
        let ring = new_ring::<u64>();
        let (mut producer, mut consumer) = ends(&ring);
        consumer = consumer.with_wait(how);
        assert_eq!(producer.push_slice(&[1, 2]), Ok(2));
        let waiting = thread::spawn(move || {
            let popped = [(); 4].map(|()| consumer.wait_for(long()).pop());
            (consumer, popped)
        });
        drop(producer);
        let (mut consumer, popped) = waiting.join().expect("the consumer's thread");
        let gone = Err(WaitError::PeerGone);
        assert_eq!(popped, [Ok(1), Ok(2), gone, gone], "{how:?}");

        // A wait that has begun, or begins, when the next one is there is for that one.
        let mut producer = ring.producer().expect("the role").with_wait(how);
        let waiting = thread::spawn(move || consumer.wait_for(long()).pop());
        assert_eq!(producer.wait_for(long()).push(3), Ok(()));
        // With this thread's end the consumer went.
        let popped = waiting.join().expect("the consumer's thread");
        assert_eq!(popped, Ok(3), "{how:?}");
        let pushed = [(); 5].map(|()| producer.wait_for(long()).push(4));
        let gone = Err(WaitError::PeerGone);
        assert_eq!(pushed, [Ok(()), Ok(()), Ok(()), Ok(()), gone], "{how:?}");
        let mut consumer = ring.consumer().expect("the role");
        assert_eq!(consumer.pop(), Ok(4));
        assert_eq!(producer.wait_for(long()).push(5), Ok(()));
    }
}

/// Milliseconds, enough for several questions after the peer, which are asked 80 ms apart. Where a machine is too busy for
/// that, the test sees less, and finds nothing wrong.
const SOME_QUESTIONS: u64 = 200;

#[test]
fn a_peer_that_never_came_is_not_gone() {
    for how in STRATEGIES {
        let ring = new_ring::<u64>();
        let mut consumer = ring.consumer().expect("the role").with_wait(how);
        let late = consumer.wait_for(soon(SOME_QUESTIONS)).pop();
        assert_eq!(late, Err(WaitError::TimedOut), "{how:?}");
        drop(consumer);

        let ring = new_ring::<u64>();
        let mut producer = ring.producer().expect("the role").with_wait(how);
        assert_eq!(producer.push_slice(&[1; 4]), Ok(4));
        let late = producer.wait_for(soon(SOME_QUESTIONS)).push(2);
        assert_eq!(late, Err(WaitError::TimedOut), "{how:?}");

        seqlock_and_latch!({
            let lock = Lock::anonymous(&1_u64, &LockOptions::default()).expect("an anonymous one");
            let reader = lock.reader().expect("a reader").with_wait(how);
            let late = reader.wait_for(soon(SOME_QUESTIONS)).newer(0);
            assert_eq!(late, Err(WaitError::TimedOut), "{KIND}, {how:?}");
        });
    }
}

#[test]
fn a_reader_waits_for_a_version_that_it_has_not_seen() {
    for (how, look) in cases() {
        seqlock_and_latch!({
            let lock = Lock::anonymous(&10_u64, &LockOptions::default()).expect("an anonymous one");
            let writer = RefCell::new(lock.writer().expect("the role"));
            let write = |value| writer.borrow_mut().write(&value);
            let reader = |first_write| {
                let memory = Interrupted::once(OBSERVE, look, move || write(first_write));
                let parts = lock.parts().expect("the parts");
                let reader = LockReader::<u64, _>::new(parts, memory, ()).expect("a reader");
                reader.with_wait(how)
            };
            let first = reader(11);
            assert_eq!(first.wait_for(long()).newer(0), Ok(1), "{KIND}, {how:?}");
            let second = reader(12);
            let found = second.wait_for(Duration::MAX).read_newer(1, 1);
            assert_eq!(found, Ok((2, 12)), "{KIND}, {how:?}");

            // To any other version than that the wait is over.
            assert_eq!(first.wait_for(long()).newer(0), Ok(2), "{KIND}");
            assert_eq!(first.wait_for(long()).newer(3), Ok(2), "{KIND}");
            let late = without_time!(first, |waiting| waiting.newer(2));
            assert_eq!(late, [Err(WaitError::TimedOut); 3], "{KIND}, {how:?}");
            let late = first.wait_for(soon(1)).read_newer(2, 1);
            assert_eq!(late, Err(WaitError::TimedOut), "{KIND}, {how:?}");
        });
    }
}

#[test]
fn a_writer_that_is_gone_ends_the_wait_of_readers_until_another_one_writes() {
    for how in STRATEGIES {
        seqlock_and_latch!({
            let lock = Lock::anonymous(&10_u64, &LockOptions::default()).expect("an anonymous one");
            let reader = lock.reader().expect("a reader").with_wait(how);
            let mut writer = lock.writer().expect("the role");
            writer.write(&11);
            assert_eq!(
                reader.wait_for(long()).read_newer(0, 1),
                Ok((1, 11)),
                "{KIND}"
            );
            drop(writer);
            let gone = Err(WaitError::PeerGone);
            assert_eq!(reader.wait_for(long()).newer(1), gone, "{KIND}, {how:?}");
            let mut writer = lock.writer().expect("the role");
            writer.write(&12);
            let found = reader.wait_for(long()).read_newer(1, 1);
            assert_eq!(found, Ok((2, 12)), "{KIND}, {how:?}");

            // One that writes once more, and goes before the question is answered.
            let mut writer = Some(writer);
            let watch = asking(|| {
                writer.take().expect("it is asked once").write(&13);
                true
            });
            let parts = lock.parts().expect("the parts");
            let reader = LockReader::<u64, _, _>::new(parts, Native, watch).expect("a reader");
            let found = reader.with_wait(how).wait_for(long()).newer(2);
            assert_eq!(found, Ok(3), "{KIND}, {how:?}");
        });
    }
}

#[test]
fn a_write_that_nobody_ends_is_no_version_and_one_after_it_no_value() {
    for how in STRATEGIES {
        let lock = SeqLock::anonymous(&10_u64, &SeqLockOptions::new()).expect("an anonymous one");
        let reader = lock.reader().expect("a reader").with_wait(how);
        drop(lock.writer().expect("the role"));
        let parts = lock.parts().expect("the parts");
        let mut dying = SeqWriter::<u64, _>::new(parts, Dying::after(1), ()).expect("a writer");
        dying.write(&11);
        let newer = reader.wait_for(long()).newer(0);
        assert_eq!(newer, Err(WaitError::PeerGone), "{how:?}");
        // As if the write had ended, and the writer had died in the next one.
        Native.store(parts.seq, 3, StoreSite::SeqOdd);
        assert_eq!(reader.wait_for(long()).newer(0), Ok(1), "{how:?}");
        let attempts = 2;
        let dead = ReadError::WriterDead { attempts };
        let found = reader.wait_for(long()).read_newer(0, attempts);
        assert_eq!(found, Err(WaitError::Refused(dead)), "{how:?}");
    }
}

#[test]
fn a_pipe_that_waits_gives_what_comes_and_takes_what_fits() {
    for (how, look) in cases() {
        let ring = new_ring::<u8>();
        let mut producer = ring.producer().expect("the role");
        let memory = at_look(look, || assert_eq!(producer.push_slice(b"abc"), Ok(3)));
        let mut consumer = consumer_of(&ring, memory, ()).with_wait(how);
        let mut bytes = *b"......";
        // Nothing is had without a wait.
        assert_eq!(consumer.wait_for(long()).read(&mut []).expect("no wait"), 0);
        let read = consumer.wait_for(long()).read(&mut bytes);
        assert_eq!((read.expect("bytes"), &bytes), (3, b"abc..."), "{how:?}");

        let ring = new_ring::<u8>();
        let (mut producer, mut consumer) = ends(&ring);
        assert_eq!(producer.push_slice(b"defg"), Ok(4));
        drop(producer);
        let memory = at_full_look(look, || {
            assert_eq!(consumer.pop_slice(&mut bytes[..2]), Ok(2))
        });
        let mut producer = producer_of(&ring, memory, ()).with_wait(how);
        assert_eq!(producer.wait_for(long()).write(b"").expect("no wait"), 0);
        let written = producer.wait_for(long()).write(b"hij");
        assert_eq!(written.expect("room for two"), 2, "{how:?}");
        producer.wait().flush().expect("nothing to do");
    }
}

/// The kind of an error, and what is in it.
fn kind_and<E: std::error::Error + Clone + 'static>(error: io::Error) -> (ErrorKind, E) {
    let inner = error.get_ref().and_then(|inner| inner.downcast_ref::<E>());
    (error.kind(), inner.expect("an error of a ring").clone())
}

#[test]
fn a_pipe_that_waits_in_vain_says_why_as_a_pipe_does() {
    for how in STRATEGIES {
        let ring = new_ring::<u8>();
        let (producer, consumer) = ends(&ring);
        let (mut producer, mut consumer) = (producer.with_wait(how), consumer.with_wait(how));
        let mut byte = [7];
        let late = consumer.wait_for(soon(0)).read(&mut byte);
        let expected = (ErrorKind::TimedOut, WaitError::<PopError>::TimedOut);
        assert_eq!(late.map_err(kind_and), Err(expected), "{how:?}");
        let late = producer.wait_for(soon(0)).write_all(b"abcde");
        let expected = (ErrorKind::TimedOut, WaitError::<PushError>::TimedOut);
        assert_eq!(late.map_err(kind_and), Err(expected), "{how:?}");

        // What nobody took is no end, and neither is a producer that did not close.
        drop(producer);
        let mut bytes = Vec::new();
        let gone = consumer.wait_for(long()).read_to_end(&mut bytes);
        let expected = (ErrorKind::BrokenPipe, WaitError::<PopError>::PeerGone);
        assert_eq!(gone.map_err(kind_and), Err(expected), "{how:?}");
        assert_eq!(bytes, b"abcd");
        let mut producer = ring.producer().expect("the role").with_wait(how);
        producer.wait_for(long()).write_all(b"fg").expect("room");
        producer.close();
        let rest = consumer.wait_for(long()).read_to_end(&mut bytes);
        assert_eq!((rest.expect("the end"), &*bytes), (2, b"abcdfg".as_slice()));
        assert_eq!(consumer.wait().read(&mut byte).expect("the end"), 0);
        let closed = producer.wait().write(b"h").map_err(kind_and);
        assert_eq!(closed, Err((ErrorKind::BrokenPipe, PushError::Closed)));
        consumer.close();
        let closed = consumer.wait().read(&mut byte).map_err(kind_and);
        assert_eq!(closed, Err((ErrorKind::BrokenPipe, PopError::Closed)));

        let ring = new_ring::<u8>();
        let (producer, mut consumer) = ends(&ring);
        let mut producer = producer.with_wait(how);
        producer.wait_for(long()).write_all(b"abcd").expect("room");
        consumer.close();
        let closed = producer.wait_for(long()).write(b"e").map_err(kind_and);
        assert_eq!(closed, Err((ErrorKind::BrokenPipe, PushError::PeerClosed)));

        let ring = new_ring::<u8>();
        let mut consumer = ring.consumer().expect("the role").with_wait(how);
        // SAFETY: one thread; what is stored to the word is what this is about.
        let parts = unsafe { ring.parts() }.expect("the parts");
        Native.store(parts.write_index, 9, StoreSite::RingPublish);
        let corrupt = consumer.wait_for(long()).read(&mut byte);
        let expected = PopError::Corrupt(corruption("write_index", 9));
        assert_eq!(
            corrupt.map_err(kind_and),
            Err((ErrorKind::InvalidData, expected))
        );
    }
}

#[test]
fn a_stream_is_copied_through_a_small_pipe_that_waits() {
    let bytes: Vec<u8> = (0..2000_u32)
        .map(|n| (n.wrapping_mul(0x9e37_79b9) >> 24) as u8)
        .collect();
    for how in STRATEGIES {
        let ring = Ring::<u8>::anonymous(&RingOptions::new(61)).expect("an anonymous ring");
        let (producer, consumer) = ends(&ring);
        let (mut producer, mut consumer) = (producer.with_wait(how), consumer.with_wait(how));
        let sent = bytes.clone();
        let sender = thread::spawn(move || {
            let copied = io::copy(&mut &*sent, &mut producer.wait_for(long()));
            producer.close();
            copied.expect("a copy")
        });
        let mut received = Vec::new();
        let copied = consumer.wait_for(long()).read_to_end(&mut received);
        let sent = sender.join().expect("no panic");
        assert_eq!(
            (copied.expect("the end"), sent),
            (bytes.len(), bytes.len() as u64)
        );
        assert!(
            received == bytes,
            "other bytes came than were sent, {how:?}"
        );
    }
}

/// How one side of a stream goes on: by these forms and counts, again and again.
type Plan<F> = (Wait, Vec<(F, usize)>);

fn plan<F: Copy + Debug>(forms: &'static [F]) -> impl Strategy<Value = Plan<F>> {
    (select(&STRATEGIES), vec((select(forms), 1..20_usize), 1..8))
}

/// The forms and counts of a plan. Two sides that both insist on more than half of a ring can wait for each other.
fn steps<F: Copy>(plan: &[(F, usize)], capacity: u64) -> impl Iterator<Item = (F, usize)> {
    let most = capacity.div_ceil(2) as usize;
    plan.iter()
        .cycle()
        .map(move |&(form, count)| (form, count.min(most)))
}

/// Sends the numbers below `items` from one thread to another.
fn stream(capacity: u64, items: u64, pushes: Plan<Push>, pops: Plan<Pop>) -> Vec<u64> {
    let options = RingOptions::new(capacity);
    let ring = Ring::<u64>::anonymous(&options).expect("an anonymous ring");
    let (producer, consumer) = ends(&ring);
    let ((push_wait, pushes), (pop_wait, pops)) = (pushes, pops);
    let mut producer = producer.with_wait(push_wait);
    let mut consumer = consumer.with_wait(pop_wait);
    thread::scope(|scope| {
        scope.spawn(move || {
            for (form, count) in steps(&pushes, capacity) {
                let batch = producer.position()..items.min(producer.position() + count as u64);
                if batch.is_empty() {
                    return producer.close();
                }
                let batch: Vec<u64> = batch.collect();
                let given = form.give(producer.wait_for(long()), &batch);
                given.expect("room, sooner or later");
            }
        });
        let mut received = Vec::new();
        for (form, count) in steps(&pops, capacity) {
            match form.take(consumer.wait_for(long()), count) {
                Ok(items) => received.extend(items),
                // The end of what was sent.
                Err(WaitError::Refused(PopError::TooMany { most, .. })) => {
                    let rest = Pop::PeekExact.take(consumer.wait_for(long()), most as usize);
                    received.extend(rest.expect("what there is"));
                }
                Err(WaitError::Refused(PopError::PeerClosed)) => break,
                Err(error) => panic!("{error}"),
            }
        }
        received
    })
}

#[test]
fn a_stream_through_waiting_ends_brings_every_item_once_and_in_order() {
    let rounds = RefCell::new(Effort::rounds(20, 200));
    let cases = (1..64_u64, 0..400_u64, plan(&Push::ALL), plan(&Pop::ALL));
    check(200, cases, |(capacity, items, pushes, pops)| {
        if rounds.borrow_mut().next().is_some() {
            let received = stream(capacity, items, pushes, pops);
            prop_assert!(received.into_iter().eq(0..items));
        }
        Ok(())
    });
}
