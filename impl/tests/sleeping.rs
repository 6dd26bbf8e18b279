//! Sleeping and waking, as far as one process can show it: who sleeps is woken, what it costs, who makes a fence.
//!
//! All of it for each pair of a side that sleeps and a side that wakes it. That one has gone to sleep is seen by what it
//! asks for, or at the access with which it does; nothing is asserted about how long anything takes.
#![cfg(target_os = "linux")]
#![allow(
    clippy::disallowed_types,
    reason = "what the threads of these tests share is no segment's"
)]

mod common;

use core::cell::Cell;
use core::sync::atomic::{AtomicBool, AtomicI32, Ordering};
use std::collections::BTreeMap;
use std::os::unix::thread::JoinHandleExt;
use std::sync::Mutex;
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::Duration;

use common::Deadline;
use common::named::Named;
use nix::libc;
use nix::sys::signal::{SaFlags, SigAction, SigHandler, SigSet, Signal, sigaction};
use ringproof::harness::{Hooks, Interposed, PartsOfRing, PartsOfValue};
use ringproof::memory::{Memory, Native, Slept, Word};
use ringproof::site::{BarrierSite, FenceSite, LoadSite, Site, StoreSite, WaitSite, WakeSite};
use ringproof::sleep::{FENCE, NAP, SleepWords};
use ringproof::{
    Inspection, PopError, Ring, RingOptions, Segment, SeqLatch, SeqLatchOptions, SeqLock,
    SeqLockOptions, Wait, WaitError, latch, ring, seqlock,
};

/// Longer than any interval at whose end who sleeps looks for itself.
fn long() -> Duration {
    Deadline::length()
}

const SLEEPING: [Wait; 2] = [Wait::Sleep, Wait::SleepAtOnce];

// ---- pairs --------------------------------------------------------------------------------

/// A side that sleeps and the side that wakes it, over a structure of their own.
trait Pair: Sync + Sized {
    /// Which role wakes, by its place in an inspection.
    const WAKES: usize = 0;

    fn new() -> Self;

    fn segment(&self) -> &Segment;

    fn words(&self) -> SleepWords<'_, Native>;

    /// Waits once, for what is published from now on.
    fn sleep<M: Memory<Cells = Native>>(
        &self,
        memory: M,
        how: Wait,
        limit: Duration,
    ) -> Result<(), WaitError<()>>;

    /// What publishes once each time that it is called.
    fn waker<'a, M: Memory<Cells = Native> + 'a>(&'a self, memory: M) -> impl FnMut() + 'a;

    /// How often it woke somebody.
    fn wakes(&self) -> u64 {
        let seen = Inspection::of_segment(self.segment()).expect("an inspection");
        seen.roles[Self::WAKES].wakes
    }

    /// What is asked for, and what was answered last.
    fn counts(&self) -> (u64, u64) {
        let words = self.words();
        let asks = Native.load(words.asks, LoadSite::WakeLook);
        (asks, Native.load(words.answers, LoadSite::SleepMark))
    }

    /// Whether somebody asks to be woken, and was not yet.
    fn asks(&self) -> bool {
        let (asks, answers) = self.counts();
        asks & !FENCE > answers & !FENCE
    }
}

/// Why it was not, without what no waiting changes.
fn outcome<T, E>(waited: Result<T, WaitError<E>>) -> Result<(), WaitError<()>> {
    match waited {
        Ok(_) => Ok(()),
        Err(WaitError::TimedOut) => Err(WaitError::TimedOut),
        Err(WaitError::Interrupted) => Err(WaitError::Interrupted),
        Err(WaitError::PeerGone) => Err(WaitError::PeerGone),
        Err(_) => Err(WaitError::Refused(())),
    }
}

/// More than any of these tests publishes without a sleeper.
const CAPACITY: u64 = 64;

/// A consumer sleeps until there are items.
struct Items(Ring<u64>);

/// A producer sleeps until there is room.
struct Room(Ring<u64>);

fn new_ring() -> Ring<u64> {
    Ring::anonymous(&RingOptions::new(CAPACITY)).expect("an anonymous ring")
}

fn producer_of<M: Memory<Cells = Native>>(
    ring: &Ring<u64>,
    memory: M,
) -> ring::Producer<'_, u64, M> {
    // SAFETY: the words are stored to by ends alone, and no two of one side are used at one time.
    unsafe { ring::Producer::new(ring.parts().expect("the parts"), memory, ()) }
}

fn consumer_of<M: Memory<Cells = Native>>(
    ring: &Ring<u64>,
    memory: M,
) -> ring::Consumer<'_, u64, M> {
    // SAFETY: as for the producer.
    unsafe { ring::Consumer::new(ring.parts().expect("the parts"), memory, ()) }
}

impl Pair for Items {
    fn new() -> Self {
        Items(new_ring())
    }

    fn segment(&self) -> &Segment {
        self.0.segment()
    }

    fn words(&self) -> SleepWords<'_, Native> {
        // SAFETY: its words of a sleep announce no slots.
        unsafe { self.0.parts() }.expect("the parts").for_items
    }

    fn sleep<M: Memory<Cells = Native>>(
        &self,
        memory: M,
        how: Wait,
        limit: Duration,
    ) -> Result<(), WaitError<()>> {
        let mut consumer = consumer_of(&self.0, memory).with_wait(how);
        while consumer.pop().is_ok() {}
        outcome(consumer.wait_for(limit).pop())
    }

    fn waker<'a, M: Memory<Cells = Native> + 'a>(&'a self, memory: M) -> impl FnMut() + 'a {
        let mut producer = producer_of(&self.0, memory);
        move || producer.push(1).expect("room")
    }
}

impl Pair for Room {
    const WAKES: usize = 1;

    fn new() -> Self {
        let ring = new_ring();
        {
            let mut producer = producer_of(&ring, Native);
            while producer.push(0).is_ok() {}
        }
        Room(ring)
    }

    fn segment(&self) -> &Segment {
        self.0.segment()
    }

    fn words(&self) -> SleepWords<'_, Native> {
        // SAFETY: its words of a sleep announce no slots.
        unsafe { self.0.parts() }.expect("the parts").for_room
    }

    fn sleep<M: Memory<Cells = Native>>(
        &self,
        memory: M,
        how: Wait,
        limit: Duration,
    ) -> Result<(), WaitError<()>> {
        let mut producer = producer_of(&self.0, memory).with_wait(how);
        while producer.push(0).is_ok() {}
        outcome(producer.wait_for(limit).push(1))
    }

    fn waker<'a, M: Memory<Cells = Native> + 'a>(&'a self, memory: M) -> impl FnMut() + 'a {
        let mut consumer = consumer_of(&self.0, memory);
        move || {
            consumer.pop().expect("an item");
        }
    }
}

/// What seqlock and latch are alike in.
macro_rules! values {
    ($($pair:ident: $lock:ident, $options:ident, $module:ident::$writer:ident, $reader:ident;)*) => {$(
        /// Readers sleep until there is a newer value.
        struct $pair($lock<u64>);

        impl Pair for $pair {
            fn new() -> Self {
                $pair($lock::anonymous(&0, &$options::new()).expect("an anonymous one"))
            }

            fn segment(&self) -> &Segment {
                self.0.segment()
            }

            fn words(&self) -> SleepWords<'_, Native> {
                self.0.parts().expect("the parts").for_news
            }

            fn sleep<M: Memory<Cells = Native>>(
                &self,
                memory: M,
                how: Wait,
                limit: Duration,
            ) -> Result<(), WaitError<()>> {
                let parts = self.0.parts().expect("the parts");
                let reader = $module::$reader::<u64, _>::new(parts, memory, ());
                let reader = reader.expect("a reader").with_wait(how);
                outcome(reader.wait_for(limit).newer(reader.version()))
            }

            fn waker<'a, M: Memory<Cells = Native> + 'a>(&'a self, memory: M) -> impl FnMut() + 'a {
                let parts = self.0.parts().expect("the parts");
                let writer = $module::$writer::<u64, _>::new(parts, memory, ());
                let mut writer = writer.expect("a writer");
                move || writer.write(&1)
            }
        }
    )*};
}

values! {
    News: SeqLock, SeqLockOptions, seqlock::SeqWriter, SeqReader;
    LatchNews: SeqLatch, SeqLatchOptions, latch::LatchWriter, LatchReader;
}

/// Runs a test of a pair for each of them.
macro_rules! for_each_pair {
    ($test:ident) => {
        $test::<Items>();
        $test::<Room>();
        $test::<News>();
        $test::<LatchNews>();
    };
}

// ---- a memory that counts -----------------------------------------------------------------

/// Counts accesses by site, and is what a machine may be.
#[derive(Default)]
struct Counting {
    /// Where this says so, the barriers of others do not reach it.
    is_unreached: bool,
    /// Its own barriers are refused.
    refuses: AtomicBool,
    /// So are its sleeps.
    refuses_to_sleep: bool,
    counts: Mutex<BTreeMap<Site, u64>>,
    /// For how long it went to sleep at most.
    sleeps: Mutex<Vec<u64>>,
    /// It asks for the first time when the other end of this is dropped.
    gate: Mutex<Option<Receiver<()>>>,
}

impl Counting {
    fn count(&self, site: impl Into<Site>) -> u64 {
        let counts = self.counts.lock().expect("no panic");
        counts.get(&site.into()).copied().unwrap_or(0)
    }

    /// How often it has gone to sleep, or is about to.
    fn slept(&self) -> u64 {
        self.count(WaitSite::SleepWait)
    }

    fn sleeps(&self) -> Vec<u64> {
        std::mem::take(&mut self.sleeps.lock().expect("no panic"))
    }
}

impl Hooks<Native> for Counting {
    fn before(&self, _: &Native, site: Site, _: usize) -> bool {
        *(self.counts.lock().expect("no panic").entry(site)).or_default() += 1;
        if site == StoreSite::SleepAsk.into() {
            let gate = self.gate.lock().expect("no panic").take();
            gate.map(|gate| gate.recv());
        }
        true
    }

    fn barrier(&self, memory: &Native, site: BarrierSite) -> bool {
        // Where this machine itself makes none, a sleep is as long as its interval at worst.
        let _ = memory.barrier(site);
        !self.refuses.load(Ordering::Relaxed)
    }

    fn is_reached(&self, _: &Native) -> bool {
        !self.is_unreached
    }

    fn wait(&self, memory: &Native, word: &Word, value: u64, nanos: u64, site: WaitSite) -> Slept {
        self.sleeps.lock().expect("no panic").push(nanos);
        if self.refuses_to_sleep {
            return Slept::Refused;
        }
        memory.wait(word, value, nanos, site)
    }
}

fn counted(counting: &Counting) -> Interposed<Native, &Counting> {
    Interposed::new(Native, counting)
}

#[track_caller]
fn until(what: &'static str, is_so: impl Fn() -> bool) {
    let deadline = Deadline::to(what);
    while !is_so() {
        deadline.wait();
    }
}

/// Wakes one that sleeps, with the memory that counts, as soon as it has asked for it.
fn sleep_and_wake<P: Pair>(pair: &P, counting: &Counting, how: Wait, wake: impl FnOnce()) {
    let asked = || counting.count(StoreSite::SleepAsk);
    let before = asked();
    thread::scope(|scope| {
        let sleeper = scope.spawn(|| pair.sleep(counted(counting), how, long()));
        until("see it ask", || asked() > before);
        wake();
        assert_eq!(sleeper.join().expect("no panic"), Ok(()));
    });
}

// ---- who sleeps is woken ------------------------------------------------------------------

#[test]
fn who_sleeps_is_woken_by_one_call() {
    fn test<P: Pair>() {
        for how in SLEEPING {
            let (pair, sleeper) = (P::new(), Counting::default());
            let mut wake = pair.waker(Native);
            for round in 0..20 {
                assert_eq!((pair.wakes(), pair.asks()), (round, false));
                sleep_and_wake(&pair, &sleeper, how, &mut wake);
            }
            assert_eq!(pair.wakes(), 20);
            assert_eq!(sleeper.count(FenceSite::SleepFence), 0);
        }
    }
    for_each_pair!(test);
}

#[test]
fn an_inspection_shows_who_asks() {
    fn test<P: Pair>(asks: usize) {
        let pair = P::new();
        let shown = |pair: &P| {
            let seen = Inspection::of_segment(pair.segment()).expect("an inspection");
            seen.roles.iter().map(|role| role.asks).collect::<Vec<_>>()
        };
        assert_eq!(shown(&pair), [false, false]);
        let mut wake = pair.waker(Native);
        sleep_and_wake(&pair, &Counting::default(), Wait::Sleep, || {
            assert_eq!(shown(&pair), [asks == 0, asks == 1]);
            wake();
        });
        assert_eq!(shown(&pair), [false, false]);
    }
    test::<Items>(1);
    test::<Room>(0);
}

#[test]
fn where_nobody_sleeps_nobody_is_woken() {
    fn test<P: Pair>() {
        let (pair, counting) = (P::new(), Counting::default());
        let mut wake = pair.waker(counted(&counting));
        (0..20).for_each(|_| wake());
        for how in [Wait::Spin, Wait::Yield] {
            let late = pair.sleep(Native, how, Duration::from_millis(1));
            assert_eq!(late, Err(WaitError::TimedOut));
            assert_eq!(pair.counts(), (0, 0));
        }
        assert_eq!(pair.wakes(), 0);
        assert_eq!(counting.count(WakeSite::WakeCall), 0);
        // And after somebody did, once more nobody is.
        sleep_and_wake(&pair, &Counting::default(), Wait::Sleep, &mut wake);
        (0..20).for_each(|_| wake());
        assert_eq!((pair.wakes(), counting.count(WakeSite::WakeCall)), (1, 1));
    }
    for_each_pair!(test);
}

#[test]
fn one_call_wakes_all_who_sleep() {
    fn test<P: Pair>() {
        let (pair, counting) = (P::new(), Counting::default());
        let mut wake = pair.waker(Native);
        thread::scope(|scope| {
            let sleepers = [(); 3].map(|()| {
                scope.spawn(|| pair.sleep(counted(&counting), Wait::SleepAtOnce, long()))
            });
            until("see all of them sleep", || counting.slept() >= 3);
            wake();
            for sleeper in sleepers {
                assert_eq!(sleeper.join().expect("no panic"), Ok(()));
            }
        });
        assert_eq!(pair.wakes(), 1);
    }
    // A ring has one end of a kind.
    test::<News>();
    test::<LatchNews>();
}

#[test]
fn a_request_that_comes_late_hides_none_that_is_newer() {
    fn test<P: Pair>() {
        let (pair, (open, gate)) = (P::new(), channel::<()>());
        let (counting, late) = (Counting::default(), Counting::default());
        *late.gate.lock().expect("no panic") = Some(gate);
        let mut wake = pair.waker(Native);
        thread::scope(|scope| {
            let late_one = scope.spawn(|| pair.sleep(counted(&late), Wait::SleepAtOnce, long()));
            until("see it about to ask", || {
                late.count(StoreSite::SleepAsk) > 0
            });
            sleep_and_wake(&pair, &counting, Wait::SleepAtOnce, &mut wake);
            let before = counting.slept();
            let sleeper = scope.spawn(|| pair.sleep(counted(&counting), Wait::SleepAtOnce, long()));
            until("see it sleep", || counting.slept() > before);
            // What it asks for was answered long ago.
            drop(open);
            until("see it ask", || late.count(BarrierSite::SleepBarrier) > 0);
            wake();
            assert_eq!(pair.wakes(), 2);
            assert_eq!(sleeper.join().expect("no panic"), Ok(()));
            assert_eq!(late_one.join().expect("no panic"), Ok(()));
        });
    }
    // A ring has one end of a kind.
    test::<News>();
    test::<LatchNews>();
}

#[test]
fn a_close_wakes_who_sleeps() {
    let closing = |asks: usize, close: &dyn Fn(&Ring<u64>), wait: fn(&Ring<u64>)| {
        let ring = Ring::anonymous(&RingOptions::new(1)).expect("an anonymous ring");
        thread::scope(|scope| {
            let sleeper = scope.spawn(|| wait(&ring));
            until("see it ask", || {
                let seen = Inspection::of_segment(ring.segment()).expect("an inspection");
                seen.roles[asks].asks
            });
            close(&ring);
            sleeper.join().expect("no panic");
        });
        let seen = Inspection::of_segment(ring.segment()).expect("an inspection");
        assert_eq!(seen.roles[1 - asks].wakes, 1);
    };
    let end = |ring: &Ring<u64>| ring.producer().expect("the role").close();
    closing(1, &end, |ring| {
        let mut consumer = ring.consumer().expect("the role");
        let closed = Err(WaitError::Refused(PopError::PeerClosed));
        assert_eq!(consumer.wait_for(long()).pop(), closed);
    });
    let stop = |ring: &Ring<u64>| ring.consumer().expect("the role").close();
    closing(0, &stop, |ring| {
        let mut producer = ring.producer().expect("the role");
        producer.push(1).expect("room");
        let closed = outcome(producer.wait_for(long()).push(2));
        assert_eq!(closed, Err(WaitError::Refused(())));
    });
}

#[test]
fn two_attachments_of_one_segment_meet_wherever_they_map_it() {
    let name = Named::new("asleep");
    let here = Ring::<u64>::create(&name, &RingOptions::new(2)).expect("create a ring");
    let there = Ring::<u64>::attach(&name).expect("attach");
    let (mut producer, mut consumer) = (
        here.producer().expect("the role"),
        there.consumer().expect("the role"),
    );
    thread::scope(|scope| {
        let sleeper = scope.spawn(|| consumer.wait_for(long()).pop());
        until("see it ask", || {
            let seen = Inspection::of_segment(here.segment()).expect("an inspection");
            seen.roles[1].asks
        });
        producer.push(7).expect("room");
        assert_eq!(sleeper.join().expect("no panic"), Ok(7));
    });
    let seen = Inspection::of_segment(here.segment()).expect("an inspection");
    assert_eq!(seen.roles[0].wakes, 1);
}

#[test]
fn a_count_goes_over_its_low_half() {
    fn test<P: Pair>() {
        let low = u64::from(u32::MAX) - 1;
        for (start, end) in [(low, 1 << 32), (low | FENCE, 1 << 32 | FENCE)] {
            let pair = P::new();
            let words = pair.words();
            Native.store(words.asks, start, StoreSite::SleepAsk);
            Native.store(words.answers, start, StoreSite::WakeAnswer);
            let mut wake = pair.waker(Native);
            for _ in 0..2 {
                let counting = Counting::default();
                thread::scope(|scope| {
                    let sleeper =
                        scope.spawn(|| pair.sleep(counted(&counting), Wait::SleepAtOnce, long()));
                    until("see it sleep", || counting.slept() > 0);
                    wake();
                    assert_eq!(sleeper.join().expect("no panic"), Ok(()));
                });
            }
            assert_eq!(pair.counts().1, end);
        }
    }
    for_each_pair!(test);
}

// ---- who comes after ----------------------------------------------------------------------

#[test]
fn a_successor_of_who_wakes_wakes() {
    fn test<P: Pair>() {
        let pair = P::new();
        for round in 0..5 {
            // One that has nothing to publish, and is gone.
            drop(pair.waker(Native));
            sleep_and_wake(&pair, &Counting::default(), Wait::Sleep, || {
                let mut successor = pair.waker(Native);
                successor();
                successor();
            });
            assert_eq!(pair.wakes(), round + 1);
        }
    }
    for_each_pair!(test);
}

#[test]
fn one_that_is_gone_or_gave_up_costs_one_call_in_all() {
    fn test<P: Pair>() {
        let (pair, counting) = (P::new(), Counting::default());
        let mut wake = pair.waker(counted(&counting));
        for round in 1..=5 {
            for how in SLEEPING {
                let late = pair.sleep(Native, how, Duration::from_millis(1));
                assert_eq!(late, Err(WaitError::TimedOut));
            }
            assert!(pair.asks());
            (0..3).for_each(|_| wake());
            assert_eq!(pair.wakes(), round);
        }
        assert_eq!(counting.count(WakeSite::WakeCall), 5);
        // A successor of who wakes makes one in any case: it does not know whether the last one was made.
        let mut successor = pair.waker(Native);
        (0..3).for_each(|_| successor());
        assert_eq!(pair.wakes(), 6);
    }
    for_each_pair!(test);
}

// ---- fences -------------------------------------------------------------------------------

#[test]
fn who_is_reached_makes_no_fence_and_who_is_not_makes_one_after_each_publication() {
    fn test<P: Pair>() {
        for is_unreached in [false, true] {
            let pair = P::new();
            let counting = Counting {
                is_unreached,
                ..Counting::default()
            };
            let mut wake = pair.waker(counted(&counting));
            (0..10).for_each(|_| wake());
            sleep_and_wake(&pair, &Counting::default(), Wait::Sleep, &mut wake);
            (0..9).for_each(|_| wake());
            let whole = if is_unreached { 20 } else { 0 };
            assert_eq!(counting.count(FenceSite::WakeFence), whole);
            assert_eq!(counting.count(LoadSite::WakeLookAgain), whole);
            assert_eq!(counting.count(FenceSite::WakeLight), 20);
            assert_eq!(pair.wakes(), 1);
            // It is no affair of who sleeps.
            assert_eq!(pair.counts(), (1, 1));
        }
    }
    for_each_pair!(test);
}

#[test]
fn who_cannot_make_the_barrier_has_fences_made_and_sleeps_briefly_until_then() {
    fn test<P: Pair>() {
        for is_unreached in [false, true] {
            let pair = P::new();
            let counting = Counting {
                is_unreached,
                ..Counting::default()
            };
            let sleeper = Counting::default();
            sleeper.refuses.store(true, Ordering::Relaxed);
            let mut wake = pair.waker(counted(&counting));
            (0..10).for_each(|_| wake());
            sleep_and_wake(&pair, &sleeper, Wait::SleepAtOnce, || {
                // More than once, because such a sleep ends by itself.
                until("see it sleep", || sleeper.slept() > 3);
                assert_eq!(pair.counts(), (1 | FENCE, 0));
                wake();
            });
            assert_eq!(pair.counts(), (1 | FENCE, 1 | FENCE));
            assert!(sleeper.sleeps().iter().all(|nanos| *nanos <= NAP));
            assert!(sleeper.count(FenceSite::SleepFence) > 3);
            // It was refused once in this wait, and did not try again.
            assert_eq!(sleeper.count(BarrierSite::SleepBarrier), 1);
            (0..9).for_each(|_| wake());
            let whole = if is_unreached { 20 } else { 9 };
            assert_eq!(counting.count(FenceSite::WakeFence), whole);

            // From here on it is woken as others are.
            sleep_and_wake(&pair, &sleeper, Wait::SleepAtOnce, || {
                until("see it sleep", || {
                    !sleeper.sleeps.lock().expect("no panic").is_empty()
                });
                wake();
            });
            assert!(sleeper.sleeps()[0] > NAP);
            assert_eq!(pair.wakes(), 2);

            // And so is one that can make it. Whoever comes after who wakes goes on as it did, after a call in vain.
            let successor = Counting::default();
            let mut wake = pair.waker(counted(&successor));
            (0..3).for_each(|_| wake());
            sleep_and_wake(&pair, &Counting::default(), Wait::Sleep, &mut wake);
            assert_eq!(successor.count(FenceSite::WakeFence), 4);
            assert_eq!((pair.wakes(), pair.counts().1), (4, 4 | FENCE));
        }
    }
    for_each_pair!(test);
}

// ---- what a sleep is bounded by -----------------------------------------------------------

#[test]
fn no_sleep_is_longer_than_the_interval_or_the_limit() {
    fn test<P: Pair>() {
        let interval = Duration::from_millis(100).as_nanos() as u64;
        for how in SLEEPING {
            let (pair, counting) = (P::new(), Counting::default());
            let mut wake = pair.waker(Native);
            sleep_and_wake(&pair, &counting, how, || {
                until("see it sleep", || counting.slept() > 2);
                wake();
            });
            assert!(counting.sleeps().iter().all(|nanos| *nanos <= interval));
            let limit = Duration::from_millis(3);
            let late = pair.sleep(counted(&counting), how, limit);
            assert_eq!(late, Err(WaitError::TimedOut));
            let limit = limit.as_nanos() as u64;
            assert!(counting.sleeps().iter().all(|nanos| *nanos <= limit));
        }
    }
    for_each_pair!(test);
}

#[test]
fn without_a_system_that_lets_it_sleep_it_looks_now_and_then() {
    fn test<P: Pair>() {
        for how in SLEEPING {
            let pair = P::new();
            let counting = Counting {
                refuses_to_sleep: true,
                ..Counting::default()
            };
            let mut wake = pair.waker(Native);
            let late = pair.sleep(counted(&counting), how, Duration::from_millis(3));
            assert_eq!(late, Err(WaitError::TimedOut));
            // A millisecond each at least, whatever the machine does.
            assert!(counting.slept() <= 4, "{}", counting.slept());
            sleep_and_wake(&pair, &counting, how, &mut wake);
        }
    }
    for_each_pair!(test);
}

#[test]
fn one_that_is_never_woken_looks_for_itself() {
    fn test<P: Pair>() {
        for how in SLEEPING {
            let pair = P::new();
            let mut wake = pair.waker(Native);
            sleep_and_wake(&pair, &Counting::default(), how, || {
                // As a peer would that wants it to sleep on.
                Native.store(pair.words().asks, 0, StoreSite::SleepAsk);
                wake();
            });
        }
    }
    for_each_pair!(test);
}

#[test]
fn one_that_always_asks_costs_calls_and_nothing_else() {
    fn test<P: Pair>() {
        let pair = P::new();
        let mut wake = pair.waker(Native);
        for round in 1..=20 {
            let asks = 0x9e37_79b9_7f4a_7c15_u64.wrapping_mul(round) & !FENCE;
            Native.store(pair.words().asks, asks, StoreSite::SleepAsk);
            wake();
            assert_eq!(pair.wakes(), round);
        }
        sleep_and_wake(&pair, &Counting::default(), Wait::SleepAtOnce, &mut wake);
    }
    // What was asked may be more than was answered by now: then that somebody asks is not to be seen.
    fn no_handshake<P: Pair>() {
        let pair = P::new();
        Native.store(pair.words().asks, u64::MAX, StoreSite::SleepAsk);
        let mut wake = pair.waker(Native);
        wake();
        wake();
        let counting = Counting::default();
        thread::scope(|scope| {
            let sleeper = scope.spawn(|| pair.sleep(counted(&counting), Wait::SleepAtOnce, long()));
            until("see it sleep", || counting.slept() > 0);
            wake();
            assert_eq!(sleeper.join().expect("no panic"), Ok(()));
        });
    }
    for_each_pair!(test);
    for_each_pair!(no_handshake);
}

// ---- signals ------------------------------------------------------------------------------

/// How often the handler has run.
static HANDLED: AtomicI32 = AtomicI32::new(0);

extern "C" fn handler(_: libc::c_int) {
    HANDLED.fetch_add(1, Ordering::Relaxed);
}

#[test]
fn a_signal_that_is_handled_interrupts_a_sleep_and_leaves_it_as_it_was() {
    for flags in [SaFlags::empty(), SaFlags::SA_RESTART] {
        let action = SigAction::new(SigHandler::Handler(handler), flags, SigSet::empty());
        // SAFETY: the handler adds to an atomic, and does nothing else.
        unsafe { sigaction(Signal::SIGUSR1, &action) }.expect("handle it");
        for how in SLEEPING {
            let ring = new_ring();
            let (mut producer, consumer) = common::ends(&ring);
            let mut consumer = consumer.with_wait(how);
            let before = HANDLED.load(Ordering::Relaxed);
            let sleeper = thread::spawn(move || {
                let interrupted = consumer.wait_for(long()).pop();
                (interrupted, consumer)
            });
            let asks = || {
                let seen = Inspection::of_segment(ring.segment()).expect("an inspection");
                seen.roles[1].asks
            };
            until("see it ask", asks);
            // It may have asked, and not sleep yet. One at a time: in a storm of them it would not get on.
            let sent = Cell::new(before);
            until("see it interrupted", || {
                if HANDLED.load(Ordering::Relaxed) == sent.get() {
                    sent.set(sent.get() + 1);
                    // SAFETY: a thread that was not joined yet has its number.
                    let sent = unsafe { libc::pthread_kill(sleeper.as_pthread_t(), libc::SIGUSR1) };
                    assert_eq!(sent, 0);
                }
                sleeper.is_finished()
            });
            let (interrupted, mut consumer) = sleeper.join().expect("no panic");
            assert_eq!(interrupted, Err(WaitError::Interrupted));
            assert!(HANDLED.load(Ordering::Relaxed) > before);
            producer.push(1).expect("room");
            assert_eq!(consumer.wait_for(long()).pop(), Ok(1));
        }
    }
}

#[test]
fn a_signal_interrupts_nothing_that_was_published() {
    let ring = new_ring();
    let (mut producer, consumer) = common::ends(&ring);
    producer.push(1).expect("room");
    let mut consumer = consumer.with_wait(Wait::SleepAtOnce);
    // Interrupted, and there is an item: the item counts.
    struct Interrupting<'a>(&'a Mutex<dyn FnMut() + Send + 'a>);
    impl Hooks<Native> for Interrupting<'_> {
        fn wait(&self, _: &Native, _: &Word, _: u64, _: u64, _: WaitSite) -> Slept {
            (self.0.lock().expect("no panic"))();
            Slept::Interrupted
        }
    }
    assert_eq!(consumer.pop(), Ok(1));
    drop(consumer);
    let publish = Mutex::new(|| producer.push(2).expect("room"));
    let memory = Interposed::new(Native, Interrupting(&publish));
    let mut consumer = consumer_of(&ring, memory).with_wait(Wait::SleepAtOnce);
    assert_eq!(consumer.wait_for(long()).pop(), Ok(2));
}
