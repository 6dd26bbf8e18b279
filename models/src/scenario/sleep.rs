//! Scenarios of sleeping. Who waits here does not look twice before it sleeps, and sleeps without limit: an execution
//! in which it is not woken, though it could go on, ends with nobody left to run, and every engine calls that a lost
//! wake-up. And no call to the kernel is made that nobody asked for.
//!
//! What time does is left out: that a sleep ends after an interval, which saves who sleeps from a peer that died
//! between publishing and waking and has no successor.

use std::sync::Arc;

use ringproof::site::{StoreSite, WaitSite, WakeSite};
use ringproof::{PopError, PushError, Wait, WaitError};

use super::latest::{Latch, Latest, Seqlock};
use super::{NIGHT, Scenario};
use crate::engine::{Thread, spawn};
use crate::instrumented::Instrumented;
use crate::owned::{OwnedRing, OwnedWords, RingConsumer, RingProducer};
use crate::run::{Run, mortal};

pub(super) fn inventory() -> Vec<Scenario> {
    let alive = scenarios! {
        "sleep/for an item", item::<1, true, true>, 440, Exhausted, SLEPT;
        "sleep/for two items", item::<2, true, true>, 330, Bounded(2), SLEPT;
        "sleep/for an item, not reached", item::<1, false, true>, 540, Exhausted, SLEPT;
        "sleep/for an item, refused", item::<1, true, false>, 240, Exhausted, SLEPT;
        "sleep/for an item, neither", item::<1, false, false>, 310, Exhausted, SLEPT;
        "sleep/for the next item", next_item::<false>, 440, Exhausted, SLEPT;
        "sleep/for the next item, refused", next_item::<true>, 1_290, Exhausted, SLEPT;
        "sleep/for room", room, 440, Exhausted, SLEPT;
        "sleep/for items and room", both, 19_000, Bounded(3), SLEPT;
        "sleep/until the end", until_the_end, 440, Exhausted, SLEPT;
        "sleep/until the stop", until_the_stop, 440, Exhausted, SLEPT;
        "sleep/waker succeeded", waker_succeeded, 440, Bounded(2), SLEPT;
        "sleep/for a new seqlock", news::<Seqlock, 2>, 1_900, Exhausted, SLEPT;
        "sleep/for a new latch", news::<Latch, 4>, 440, Exhausted, SLEPT;
        "sleep/2 readers of a seqlock", two_readers::<Seqlock, 2>, 4_100, Bounded(2), SLEPT;
        "sleep/2 readers of a latch", two_readers::<Latch, 4>, 2_080, Bounded(2), SLEPT;
        "sleep/2 readers of a latch, one late", late_reader, 28_000, Bounded(2), SLEPT;
    };
    let mortal = scenarios! {
        "sleep/sleeper dies, two items", sleeper_dies::<2, true, true>, 7_300, Bounded(2), DIED;
        "sleep/sleeper dies, not reached", sleeper_dies::<1, false, true>, 18_000, Exhausted, DIED;
        "sleep/sleeper dies, refused", sleeper_dies::<1, true, false>, 17_000, Exhausted, DIED;
        "sleep/waker dies", waker_dies::<true>, 2_500, Bounded(3), DIED;
        "sleep/waker dies, not reached", waker_dies::<false>, 4_400, Bounded(3), DIED;
    };
    let mortal = mortal.into_iter().map(Scenario::crashes);
    alive.into_iter().chain(mortal).collect()
}

const SLEPT: &[&str] = &["slept", "stayed awake"];
const DIED: &[&str] = &["slept", "stayed awake", "died", "lived"];

pub(super) fn night() -> Vec<Scenario> {
    let alive = scenarios! {
        "sleep/for two items, all", item::<2, true, true>, NIGHT, Exhausted, SLEPT;
        "sleep/for items and room, all", both, NIGHT, Exhausted, SLEPT;
        "sleep/waker succeeded, bound 3", waker_succeeded, NIGHT, Bounded(3), SLEPT;
        "sleep/2 readers of a seqlock, bound 3", two_readers::<Seqlock, 2>, NIGHT, Bounded(3), SLEPT;
        "sleep/2 readers of a latch, bound 3", two_readers::<Latch, 4>, NIGHT, Bounded(3), SLEPT;
        "sleep/2 readers of a latch, one late, bound 3", late_reader, NIGHT, Bounded(3), SLEPT;
    };
    let mortal = scenarios! {
        "sleep/sleeper dies, two items, bound 3", sleeper_dies::<2, true, true>, NIGHT, Bounded(3), DIED;
        "sleep/sleeper dies, two items, not reached", sleeper_dies::<2, false, true>, NIGHT, Bounded(3), DIED;
        "sleep/sleeper dies, two items, refused", sleeper_dies::<2, true, false>, NIGHT, Bounded(3), DIED;
        "sleep/waker dies, all", waker_dies::<true>, NIGHT, Exhausted, DIED;
        "sleep/waker dies, not reached, all", waker_dies::<false>, NIGHT, Exhausted, DIED;
    };
    let mortal = mortal.into_iter().map(Scenario::crashes);
    alive.into_iter().chain(mortal).collect()
}

/// A memory of one who wakes.
fn waker<const REACHED: bool>(memory: Instrumented) -> Instrumented {
    if REACHED { memory } else { memory.unreached() }
}

/// A memory of one who sleeps.
fn sleeper<const PERMITTED: bool>(memory: Instrumented) -> Instrumented {
    if PERMITTED { memory } else { memory.refused() }
}

/// A consumer that sleeps.
fn sleepy(ring: &Arc<OwnedRing>, memory: Instrumented) -> RingConsumer {
    ring.consumer(memory).with_wait(Wait::SleepAtOnce)
}

fn take_next(consumer: &mut RingConsumer) {
    let item = consumer.wait().pop().expect("an item comes");
    assert_eq!(item, consumer.position(), "not the next item");
}

fn put_next(producer: &mut RingProducer) {
    let next = producer.position() + 1;
    producer.wait().push(next).expect("room comes");
}

/// Pushes so many items into a ring that has room for them, in a thread.
fn push_items(mut producer: RingProducer, items: u64) -> Thread<()> {
    spawn(move || {
        for item in 1..=items {
            assert_eq!(producer.push(item), Ok(()));
        }
    })
}

/// At the end: whether somebody slept, and that nobody called the kernel more often than he was asked, but for so many
/// calls.
fn judge(run: &Run, spare: usize) {
    run.saw(match run.count(WaitSite::SleepWait) {
        0 => "stayed awake",
        _ => "slept",
    });
    let (calls, asked) = (
        run.count(WakeSite::WakeCall),
        run.count(StoreSite::SleepAsk),
    );
    assert!(
        calls <= asked + spare,
        "{calls} calls, and {asked} times somebody asked"
    );
}

/// A consumer that sleeps until there are items.
fn item<const ITEMS: u64, const REACHED: bool, const PERMITTED: bool>(run: &Arc<Run>) {
    let ring = OwnedRing::new(2, 2);
    let producing = push_items(
        ring.producer(waker::<REACHED>(run.memory("producer"))),
        ITEMS,
    );
    let mut consumer = sleepy(&ring, sleeper::<PERMITTED>(run.memory("consumer")));
    for _ in 0..ITEMS {
        take_next(&mut consumer);
    }
    producing.join();
    judge(run, 0);
}

/// A consumer that sleeps for the second item, when the first one is over. Or one that can make no barrier, after one that
/// could not either and was answered: who wakes knows it from the start.
fn next_item<const REFUSED: bool>(run: &Arc<Run>) {
    let ring = OwnedRing::new(2, 2);
    let mut producer = ring.producer(run.memory("producer"));
    let mut memory = run.memory("consumer");
    if REFUSED {
        ring.ask_for_fences(&run.memory("predecessor"));
        memory = memory.refused();
    }
    assert_eq!(producer.push(1), Ok(()));
    let mut consumer = sleepy(&ring, memory);
    take_next(&mut consumer);
    let producing = spawn(move || assert_eq!(producer.push(2), Ok(())));
    take_next(&mut consumer);
    producing.join();
    judge(run, 0);
}

/// A producer that sleeps until there is room.
fn room(run: &Arc<Run>) {
    let ring = OwnedRing::new(1, 1);
    let mut producer = ring.producer(run.memory("producer"));
    assert_eq!(producer.push(1), Ok(()));
    let consuming = ring.consume(run, |consumer, _| assert_eq!(consumer.pop(), Ok(1)));
    let mut producer = producer.with_wait(Wait::SleepAtOnce);
    put_next(&mut producer);
    consuming.join();
    judge(run, 0);
}

/// Each side sleeps for the other.
fn both(run: &Arc<Run>) {
    let ring = OwnedRing::new(1, 1);
    let mut producer = (ring.producer(run.memory("producer"))).with_wait(Wait::SleepAtOnce);
    let producing = spawn(move || (0..2).for_each(|_| put_next(&mut producer)));
    let mut consumer = sleepy(&ring, run.memory("consumer"));
    (0..2).for_each(|_| take_next(&mut consumer));
    producing.join();
    judge(run, 0);
}

/// A close wakes, too.
fn until_the_end(run: &Arc<Run>) {
    let ring = OwnedRing::new(1, 1);
    let closing = ring.produce(run, |producer, _| producer.close());
    let mut consumer = sleepy(&ring, run.memory("consumer"));
    let end = Err(WaitError::Refused(PopError::PeerClosed));
    assert_eq!(consumer.wait().pop(), end);
    closing.join();
    judge(run, 0);
}

fn until_the_stop(run: &Arc<Run>) {
    let ring = OwnedRing::new(1, 1);
    let mut producer = ring.producer(run.memory("producer"));
    assert_eq!(producer.push(1), Ok(()));
    let closing = ring.consume(run, |consumer, _| consumer.close());
    let mut producer = producer.with_wait(Wait::SleepAtOnce);
    let stop = Err(WaitError::Refused(PushError::PeerClosed));
    assert_eq!(producer.wait().push(2), stop);
    closing.join();
    judge(run, 0);
}

/// Who wakes ends, and its successor wakes who asks it. One that goes on counting cannot know what was handled.
fn waker_succeeded(run: &Arc<Run>) {
    let ring = OwnedRing::new(2, 2);
    let memories = ["producer", "successor"].map(|name| run.memory(name));
    // One after the other anyway, so one thread.
    let producing = spawn({
        let ring = Arc::clone(&ring);
        move || {
            for (item, memory) in (1..).zip(memories) {
                assert_eq!(ring.producer(memory).push(item), Ok(()));
            }
        }
    });
    let mut consumer = sleepy(&ring, run.memory("consumer"));
    (0..2).for_each(|_| take_next(&mut consumer));
    producing.join();
    judge(run, 1);
}

/// A reader that sleeps until there is another value.
fn news<L: Latest, const WORDS: usize>(run: &Arc<Run>) {
    let words = OwnedWords::new(0, &[0; WORDS]);
    let writing = super::latest::write_up_to::<L>(run, &words, 1);
    let reader = L::sleepy(L::reader(&words, run.memory("reader")));
    assert_eq!(L::newer(&reader, 0), 1);
    writing.join();
    judge(run, 0);
}

/// Two readers share the word by which they ask: who stores there last takes nothing from the other one.
fn two_readers<L: Latest, const WORDS: usize>(run: &Arc<Run>) {
    let words = OwnedWords::new(0, &[0; WORDS]);
    let reader = || L::sleepy(L::reader(&words, run.memory("reader")));
    let (here, there) = (reader(), reader());
    let writing = super::latest::write_up_to::<L>(run, &words, 1);
    let reading = spawn(move || L::newer(&there, 0));
    assert_eq!((L::newer(&here, 0), reading.join()), (1, 1));
    writing.join();
    judge(run, 0);
}

/// A reader that is content with the first value may ask for it when it was published long ago, and the other one asks
/// for the second: it must not take that back.
fn late_reader(run: &Arc<Run>) {
    let words = OwnedWords::new(0, &[0; 4]);
    let reader = || Latch::sleepy(Latch::reader(&words, run.memory("reader")));
    let (here, there) = (reader(), reader());
    let writing = super::latest::write_up_to::<Latch>(run, &words, 2);
    let reading = spawn(move || Latch::newer(&there, 0));
    let mut version = 0;
    while version < 2 {
        version = Latch::newer(&here, version);
    }
    assert!((1..=2).contains(&reading.join()), "no version");
    writing.join();
    judge(run, 0);
}

/// One life, which may end early, and its successor's: one after the other anyway, so they are one thread.
fn live(run: &Run, life: impl FnOnce()) {
    run.saw(match mortal(life) {
        Some(()) => "lived",
        None => "died",
    });
}

/// A sleeper that dies leaves what it asked: that costs a call, and its successor sleeps and is woken.
fn sleeper_dies<const ITEMS: u64, const REACHED: bool, const PERMITTED: bool>(run: &Arc<Run>) {
    let ring = OwnedRing::new(2, 2);
    let producing = push_items(
        ring.producer(waker::<REACHED>(run.memory("producer"))),
        ITEMS,
    );
    let memory = sleeper::<PERMITTED>(run.dying_memory("consumer"));
    live(run, || take_next(&mut sleepy(&ring, memory)));
    let mut successor = sleepy(&ring, run.memory("successor"));
    while successor.position() < ITEMS {
        take_next(&mut successor);
    }
    producing.join();
    judge(run, 0);
}

/// Whoever sleeps when who wakes dies, at whichever access, is woken by the first publication of the successor.
fn waker_dies<const REACHED: bool>(run: &Arc<Run>) {
    let ring = OwnedRing::new(2, 2);
    let memory = waker::<REACHED>(run.dying_memory("producer"));
    let successor = run.memory("successor");
    let producing = spawn({
        let (ring, run) = (Arc::clone(&ring), Arc::clone(run));
        move || {
            live(&run, || assert_eq!(ring.producer(memory).push(1), Ok(())));
            let mut successor = ring.producer(successor);
            let next = successor.position() + 1;
            assert_eq!(successor.push(next), Ok(()));
        }
    });
    take_next(&mut sleepy(&ring, run.memory("consumer")));
    producing.join();
    judge(run, 1);
}
