//! Waiting in an event loop: when the descriptor of a [`Waiter`] is readable, and what an attempt says then.
//!
//! That it becomes readable is waited for; that it is not is asked where nothing has happened that could have changed it.
#![cfg(target_os = "linux")]

mod common;

use std::fs::{self, OpenOptions};
use std::os::fd::{AsFd, BorrowedFd};
use std::thread;

use common::helper::{self, Helper};
use common::named::Named;
use common::{Deadline, Effort, ends, seqlock_and_latch};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout};
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use nix::sys::signal::Signal;
use ringproof::{
    Consumer, PopError, Producer, PushError, Ring, RingOptions, SegmentError, WaitError, Waiter,
    guard,
};

fn new_ring() -> Ring<u64> {
    Ring::anonymous(&RingOptions::new(2)).expect("an anonymous ring")
}

/// A waiter, and what is done with it.
fn waiter<E: ringproof::waiter::Waitable>(end: E) -> Waiter<E> {
    Waiter::new(end).expect("a waiter")
}

fn pop(consumer: &mut Waiter<Consumer<u64>>) -> Result<Option<u64>, WaitError<PopError>> {
    consumer.attempt(|consumer| consumer.pop())
}

fn push(
    producer: &mut Waiter<Producer<u64>>,
    item: u64,
) -> Result<Option<()>, WaitError<PushError>> {
    producer.attempt(|producer| producer.push(item))
}

fn polled(descriptor: BorrowedFd<'_>, timeout: PollTimeout) -> bool {
    let mut descriptors = [PollFd::new(descriptor, PollFlags::POLLIN)];
    poll(&mut descriptors, timeout).expect("poll") == 1
}

fn is_readable(waiter: &impl AsFd) -> bool {
    polled(waiter.as_fd(), PollTimeout::ZERO)
}

#[track_caller]
fn becomes_readable(waiter: &impl AsFd) {
    let timeout = PollTimeout::try_from(Deadline::length()).unwrap_or(PollTimeout::MAX);
    assert!(polled(waiter.as_fd(), timeout), "it never became readable");
}

// ---- level-triggered ----------------------------------------------------------------------

#[test]
fn a_consumer_is_readable_until_it_is_refused_and_from_the_next_item_on() {
    let (mut producer, consumer) = ends(&new_ring());
    let mut consumer = waiter(consumer);
    producer.push(1).expect("room");
    for _ in 0..3 {
        assert!(is_readable(&consumer));
    }
    assert_eq!(pop(&mut consumer), Ok(Some(1)));
    assert!(is_readable(&consumer));
    for item in 2..20 {
        // An attempt that nobody asked for changes nothing.
        for _ in 0..3 {
            assert_eq!(pop(&mut consumer), Ok(None));
            assert!(!is_readable(&consumer));
        }
        producer.push(item).expect("room");
        becomes_readable(&consumer);
        assert!(is_readable(&consumer));
        assert_eq!(pop(&mut consumer), Ok(Some(item)));
        assert!(is_readable(&consumer));
    }
}

#[test]
fn a_producer_is_readable_until_it_is_refused_and_from_the_next_free_slot_on() {
    let (producer, mut consumer) = ends(&new_ring());
    let mut producer = waiter(producer);
    for item in 0..2 {
        assert!(is_readable(&producer));
        assert_eq!(push(&mut producer, item), Ok(Some(())));
    }
    for item in 2..20 {
        for _ in 0..3 {
            assert_eq!(push(&mut producer, 99), Ok(None));
            assert!(!is_readable(&producer));
        }
        assert_eq!(consumer.pop(), Ok(item - 2));
        becomes_readable(&producer);
        assert!(is_readable(&producer));
        assert_eq!(push(&mut producer, item), Ok(Some(())));
    }
}

#[test]
fn who_waits_for_more_than_one_is_refused_again_and_becomes_readable_again() {
    let (mut producer, consumer) = ends(&new_ring());
    let mut consumer = waiter(consumer);
    let both = |consumer: &mut Consumer<u64>| {
        let chunk = consumer.peek_exact(2)?;
        let sum = chunk.iter().sum::<u64>();
        chunk.release_all();
        Ok(sum)
    };
    assert_eq!(consumer.attempt(both), Ok(None));
    producer.push(3).expect("room");
    becomes_readable(&consumer);
    assert_eq!(consumer.attempt(both), Ok(None));
    assert!(!is_readable(&consumer));
    producer.push(4).expect("room");
    becomes_readable(&consumer);
    assert_eq!(consumer.attempt(both), Ok(Some(7)));
}

#[test]
fn a_reader_is_readable_until_there_is_nothing_newer() {
    seqlock_and_latch!({
        let lock = Lock::anonymous(&10_u64, &LockOptions::default()).expect("an anonymous one");
        let mut writer = lock.writer().expect("the role");
        let mut reader = waiter(lock.reader().expect("a reader"));
        let mut other = waiter(lock.reader().expect("a reader"));
        assert!(is_readable(&reader), "{KIND}");
        for version in 0..10 {
            for reader in [&mut reader, &mut other] {
                assert_eq!(reader.newer(version), Ok(None), "{KIND}");
                assert!(!is_readable(reader), "{KIND}");
            }
            writer.write(&version);
            for reader in [&mut reader, &mut other] {
                becomes_readable(reader);
                assert_eq!(reader.newer(version), Ok(Some(version + 1)), "{KIND}");
                assert_eq!(reader.get().read(1), Ok(version), "{KIND}");
                assert!(is_readable(reader), "{KIND}");
            }
        }
    });
}

// ---- ends ---------------------------------------------------------------------------------

#[test]
fn a_close_from_the_other_side_ends_a_wait() {
    let (mut producer, consumer) = ends(&new_ring());
    let mut consumer = waiter(consumer);
    assert_eq!(pop(&mut consumer), Ok(None));
    producer.push(1).expect("room");
    producer.close();
    becomes_readable(&consumer);
    assert_eq!(pop(&mut consumer), Ok(Some(1)));
    let closed = Err(WaitError::Refused(PopError::PeerClosed));
    assert_eq!(pop(&mut consumer), closed);
    assert!(is_readable(&consumer));
    assert_eq!(pop(&mut consumer), closed);

    let (producer, mut consumer) = ends(&new_ring());
    let mut producer = waiter(producer);
    for item in 0..2 {
        assert_eq!(push(&mut producer, item), Ok(Some(())));
    }
    assert_eq!(push(&mut producer, 2), Ok(None));
    consumer.close();
    becomes_readable(&producer);
    let closed = Err(WaitError::Refused(PushError::PeerClosed));
    assert_eq!(push(&mut producer, 2), closed);
    assert!(is_readable(&producer));
}

#[test]
fn a_close_without_an_item_ends_it_as_well_and_so_does_one_of_its_own() {
    let (mut producer, consumer) = ends(&new_ring());
    let mut consumer = waiter(consumer);
    assert_eq!(pop(&mut consumer), Ok(None));
    producer.close();
    becomes_readable(&consumer);
    let closed = Err(WaitError::Refused(PopError::PeerClosed));
    assert_eq!(pop(&mut consumer), closed);

    let (_producer, consumer) = ends(&new_ring());
    let mut consumer = waiter(consumer);
    let stop = |consumer: &mut Consumer<u64>| {
        consumer.close();
        consumer.pop()
    };
    let closed = Err(WaitError::Refused(PopError::Closed));
    assert_eq!(consumer.attempt(stop), closed);
    assert!(is_readable(&consumer));
}

#[test]
fn a_peer_that_is_gone_ends_a_wait_after_what_it_left() {
    let ring = new_ring();
    let (mut producer, consumer) = ends(&ring);
    let mut consumer = waiter(consumer);
    assert_eq!(pop(&mut consumer), Ok(None));
    producer.push(1).expect("room");
    drop(producer);
    becomes_readable(&consumer);
    assert_eq!(pop(&mut consumer), Ok(Some(1)));
    // Once for each wait, so that one for a successor can follow.
    for _ in 0..2 {
        assert_eq!(pop(&mut consumer), Ok(None));
        becomes_readable(&consumer);
        assert_eq!(pop(&mut consumer), Err(WaitError::PeerGone));
        assert!(is_readable(&consumer));
    }
    assert_eq!(pop(&mut consumer), Ok(None));
    let mut successor = ring.producer().expect("the role");
    successor.push(2).expect("room");
    becomes_readable(&consumer);
    assert_eq!(pop(&mut consumer), Ok(Some(2)));

    let ring = new_ring();
    let (producer, consumer) = ends(&ring);
    let mut producer = waiter(producer);
    for item in 0..2 {
        assert_eq!(push(&mut producer, item), Ok(Some(())));
    }
    assert_eq!(push(&mut producer, 2), Ok(None));
    drop(consumer);
    becomes_readable(&producer);
    assert_eq!(push(&mut producer, 2), Err(WaitError::PeerGone));
    let successor = ring.consumer().expect("the role").pop();
    assert_eq!((successor, push(&mut producer, 2)), (Ok(0), Ok(Some(()))));
}

#[test]
fn a_peer_that_was_gone_is_forgotten_when_a_successor_has_stored_something() {
    let ring = new_ring();
    let (producer, consumer) = ends(&ring);
    let mut consumer = waiter(consumer);
    assert_eq!(pop(&mut consumer), Ok(None));
    drop(producer);
    becomes_readable(&consumer);
    let mut successor = ring.producer().expect("the role");
    successor.push(1).expect("room");
    assert_eq!(pop(&mut consumer), Ok(Some(1)));
    assert_eq!(pop(&mut consumer), Ok(None));
    assert!(!is_readable(&consumer));
}

#[test]
fn a_writer_that_is_gone_ends_the_wait_of_a_reader() {
    seqlock_and_latch!({
        let lock = Lock::anonymous(&10_u64, &LockOptions::default()).expect("an anonymous one");
        let mut reader = waiter(lock.reader().expect("a reader"));
        assert_eq!(reader.newer(0), Ok(None), "{KIND}");
        lock.writer().expect("the role").write(&11);
        becomes_readable(&reader);
        assert_eq!(reader.newer(0), Ok(Some(1)), "{KIND}");
        assert_eq!(reader.newer(1), Ok(None), "{KIND}");
        becomes_readable(&reader);
        assert_eq!(reader.newer(1), Err(WaitError::PeerGone), "{KIND}");
        assert!(is_readable(&reader), "{KIND}");
    });
}

#[test]
fn a_peer_that_is_killed_in_another_process_ends_a_wait() {
    let name = Named::new("killed");
    let ring = Ring::<u64>::create(&name, &RingOptions::new(2)).expect("create a ring");
    let mut consumer = waiter(ring.consumer().expect("the role"));
    assert_eq!(pop(&mut consumer), Ok(None));
    let helper = Helper::start(&name);
    becomes_readable(&consumer);
    assert_eq!(pop(&mut consumer), Ok(Some(7)));
    assert_eq!(helper.hear(), "pushed");
    assert_eq!(pop(&mut consumer), Ok(None));
    assert!(!is_readable(&consumer));
    // By SIGKILL.
    drop(helper);
    becomes_readable(&consumer);
    assert_eq!(pop(&mut consumer), Err(WaitError::PeerGone));
}

#[test]
#[ignore = "a process that other tests start"]
fn helper() {
    match helper::job().as_deref() {
        None => {}
        Some(NO_DESCRIPTOR) => without_a_descriptor(),
        Some(name) => {
            let ring = Ring::<u64>::attach(name).expect("attach");
            let mut producer = ring.producer().expect("the role");
            producer.push(7).expect("room");
            helper::say("pushed");
            loop {
                thread::park();
            }
        }
    }
}

// ---- where the segment is -----------------------------------------------------------------

#[test]
fn ends_of_two_attachments_by_name_or_descriptor_meet() {
    let name = Named::new("meet");
    let by_name = Ring::<u64>::create(&name, &RingOptions::new(2)).expect("create a ring");
    let anonymous = new_ring();
    let descriptor = anonymous.segment().descriptor().expect("its descriptor");
    let pairs = [
        (Ring::attach(&name).expect("attach"), by_name),
        (Ring::attach_fd(descriptor).expect("attach"), anonymous),
    ];
    for (there, here) in pairs {
        let mut producer = waiter(there.producer().expect("the role"));
        let mut consumer = waiter(here.consumer().expect("the role"));
        assert_eq!(pop(&mut consumer), Ok(None));
        for item in 0..2 {
            assert_eq!(push(&mut producer, item), Ok(Some(())));
        }
        assert_eq!(push(&mut producer, 2), Ok(None));
        becomes_readable(&consumer);
        assert_eq!(pop(&mut consumer), Ok(Some(0)));
        becomes_readable(&producer);
        assert_eq!(push(&mut producer, 2), Ok(Some(())));
    }
}

#[test]
fn a_segment_that_is_truncated_under_the_guard_ends_a_wait() {
    guard::install().expect("the guard");
    for pushed in [0, 1] {
        let name = Named::new("truncated");
        let ring = Ring::<u64>::create(&name, &RingOptions::new(2)).expect("create a ring");
        let (mut producer, consumer) = ends(&ring);
        let mut consumer = waiter(consumer);
        for item in 0..pushed {
            producer.push(item).expect("room");
            assert_eq!(pop(&mut consumer), Ok(Some(item)));
        }
        assert_eq!(pop(&mut consumer), Ok(None));
        let file = OpenOptions::new().write(true).open(name.path());
        let truncated = file.expect("open the file").set_len(0);
        truncated.expect("truncate it");
        becomes_readable(&consumer);
        let found = pop(&mut consumer);
        let corrupt = matches!(found, Err(WaitError::Refused(PopError::Corrupt(_))));
        assert!(corrupt, "{found:?}");
        assert!(ring.segment().is_lost());
    }
}

// ---- the end of a waiter ------------------------------------------------------------------

#[test]
fn it_ends_whatever_it_waits_for_and_gives_its_end_back() {
    let ring = new_ring();
    let (mut producer, mut consumer) = ends(&ring);
    for round in Effort::rounds(20, 500) {
        let mut waiter = waiter(consumer);
        // Not at all, since now, or for so long that the thread may be asleep.
        if !round.is_multiple_of(3) {
            assert_eq!(pop(&mut waiter), Ok(None));
        }
        if round % 3 == 2 {
            thread::yield_now();
        }
        consumer = waiter.into_inner();
        producer.push(round).expect("room");
        assert_eq!(consumer.pop(), Ok(round));
    }
}

#[test]
fn many_wait_at_once_and_each_for_its_own() {
    let rings: Vec<Ring<u64>> = (0..50).map(|_| new_ring()).collect();
    let (mut producers, mut consumers): (Vec<_>, Vec<_>) = (rings.iter().map(ends))
        .map(|(producer, consumer)| (producer, waiter(consumer)))
        .unzip();
    let epoll = Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC).expect("an epoll");
    for (number, consumer) in consumers.iter_mut().enumerate() {
        assert_eq!(pop(consumer), Ok(None));
        let event = EpollEvent::new(EpollFlags::EPOLLIN, number as u64);
        epoll.add(&*consumer, event).expect("add it");
    }
    let mut events = [EpollEvent::empty(); 4];
    // Backwards, so that it is not the order in which they were made.
    for number in (0..producers.len()).rev() {
        producers[number].push(number as u64).expect("room");
        let found = epoll.wait(&mut events, EpollTimeout::NONE).expect("wait");
        assert_eq!((found, events[0].data()), (1, number as u64));
        assert_eq!(pop(&mut consumers[number]), Ok(Some(number as u64)));
        assert_eq!(pop(&mut consumers[number]), Ok(None));
    }
    assert_eq!(epoll.wait(&mut events, EpollTimeout::ZERO), Ok(0));
}

#[test]
fn who_asks_for_edges_gets_one_for_each_wait() {
    let (mut producer, consumer) = ends(&new_ring());
    let mut consumer = waiter(consumer);
    let epoll = Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC).expect("an epoll");
    let event = EpollEvent::new(EpollFlags::EPOLLIN | EpollFlags::EPOLLET, 0);
    epoll.add(&consumer, event).expect("add it");
    let mut events = [EpollEvent::empty(); 4];
    assert_eq!(epoll.wait(&mut events, EpollTimeout::NONE), Ok(1));
    for item in 0..20 {
        assert_eq!(pop(&mut consumer), Ok(None));
        assert_eq!(epoll.wait(&mut events, EpollTimeout::ZERO), Ok(0));
        producer.push(item).expect("room");
        assert_eq!(epoll.wait(&mut events, EpollTimeout::NONE), Ok(1));
        assert_eq!(epoll.wait(&mut events, EpollTimeout::ZERO), Ok(0));
        assert_eq!(pop(&mut consumer), Ok(Some(item)));
    }
}

#[test]
fn two_event_loops_exchange_every_item_in_order() {
    let (effort, (producer, consumer)) = (Effort::of(200, 20_000), ends(&new_ring()));
    let (mut producer, mut consumer) = (waiter(producer), waiter(consumer));
    let sender = thread::spawn(move || {
        let mut sent = 0;
        while effort.goes_on(sent) {
            match push(&mut producer, sent).expect("a consumer") {
                Some(()) => sent += 1,
                None => becomes_readable(&producer),
            }
        }
        let closed = producer.attempt(|producer| {
            producer.close();
            Ok(())
        });
        assert_eq!(closed, Ok(Some(())));
        sent
    });
    let mut received = 0;
    loop {
        match pop(&mut consumer) {
            Ok(Some(item)) => {
                assert_eq!(item, received);
                received += 1;
            }
            Ok(None) => becomes_readable(&consumer),
            Err(error) => {
                assert_eq!(error, WaitError::Refused(PopError::PeerClosed));
                break;
            }
        }
    }
    assert_eq!(sender.join().expect("no panic"), received);
}

// ---- what it takes ------------------------------------------------------------------------

/// What threads of waiters are called.
const THREAD: &str = "ringproof-wait";

#[test]
fn its_thread_leaves_signals_to_others_but_not_those_of_its_own_accesses() {
    let (mut producer, consumer) = ends(&new_ring());
    let mut consumer = waiter(consumer);
    // After a wait it has begun, and has its name.
    assert_eq!(pop(&mut consumer), Ok(None));
    producer.push(1).expect("room");
    becomes_readable(&consumer);
    let mut found = 0;
    for task in fs::read_dir("/proc/self/task").expect("the threads") {
        let path = task.expect("a thread").path();
        // A thread of another test's may end meanwhile.
        let read = |file: &str| fs::read_to_string(path.join(file)).unwrap_or_default();
        let status = read("status");
        let blocked = status.lines().find_map(|line| line.strip_prefix("SigBlk:"));
        let (THREAD, Some(blocked)) = (read("comm").trim_end(), blocked) else {
            continue;
        };
        let blocked = u64::from_str_radix(blocked.trim(), 16).expect("a mask");
        let is_blocked = |signal: Signal| blocked & (1 << (signal as i32 - 1)) != 0;
        assert!(is_blocked(Signal::SIGUSR1) && is_blocked(Signal::SIGTERM));
        assert!(!is_blocked(Signal::SIGBUS) && !is_blocked(Signal::SIGSEGV));
        found += 1;
    }
    assert!(found > 0, "no thread is called {THREAD}");
    // Those of this thread are as they were.
    let blocked = nix::sys::signal::SigSet::thread_get_mask().expect("its mask");
    assert!(!blocked.contains(Signal::SIGUSR1));
}

const NO_DESCRIPTOR: &str = "no descriptor";

#[test]
fn without_a_descriptor_there_is_none() {
    assert!(Helper::start(NO_DESCRIPTOR).end().success());
}

/// In a process of its own, because the limit is that of all its threads.
fn without_a_descriptor() {
    let consumer = new_ring().consumer().expect("the role");
    let (_, hard) = getrlimit(Resource::RLIMIT_NOFILE).expect("the limit");
    setrlimit(Resource::RLIMIT_NOFILE, 0, hard).expect("set it");
    let error = Waiter::new(consumer).map(drop).expect_err("no descriptor");
    assert!(matches!(error, SegmentError::System { .. }), "{error:?}");
    let text = error.to_string();
    assert!(text.contains("make a descriptor to wait with"), "{text}");
}

// ---- tasks --------------------------------------------------------------------------------

/// What wakers may do, without an executor: those are in `stress/tests/executors.rs`.
#[cfg(feature = "async")]
mod tasks {
    use std::pin::pin;
    use std::sync::mpsc::{Receiver, Sender, channel};
    use std::sync::{Arc, Mutex};
    use std::task::{Context, Poll, Wake, Waker};

    use super::*;

    /// A task of which it is seen that it was woken, and where something happens then.
    struct Task {
        woken: Sender<()>,
        then: Mutex<Box<dyn FnMut() + Send>>,
    }

    impl Wake for Task {
        fn wake(self: Arc<Self>) {
            // The receiver may be gone.
            let _ = self.woken.send(());
            (self.then.lock().expect("no panic before"))();
        }
    }

    fn task(then: impl FnMut() + Send + 'static) -> (Waker, Receiver<()>) {
        let (woken, is_woken) = channel();
        let then = Mutex::new(Box::new(then) as Box<dyn FnMut() + Send>);
        (Waker::from(Arc::new(Task { woken, then })), is_woken)
    }

    #[track_caller]
    fn is_woken(woken: &Receiver<()>) {
        let length = Deadline::length();
        (woken.recv_timeout(length)).expect("the task was never woken");
    }

    fn poll_pop(consumer: &mut Waiter<Consumer<u64>>, waker: &Waker) -> Poll<Option<u64>> {
        let future = pin!(consumer.pop_async());
        future.poll(&mut Context::from_waker(waker)).map(Result::ok)
    }

    #[test]
    fn a_task_is_woken_once_for_each_wait_and_the_last_one_that_polled_is() {
        let (mut producer, consumer) = ends(&new_ring());
        let mut consumer = waiter(consumer);
        let ((first, first_woken), (second, second_woken)) = (task(|| ()), task(|| ()));
        for item in 0..20 {
            // Each poll is of a future of its own, which is dropped after it.
            for waker in [&first, &first, &second] {
                assert_eq!(poll_pop(&mut consumer, waker), Poll::Pending);
            }
            producer.push(item).expect("room");
            is_woken(&second_woken);
            assert_eq!(poll_pop(&mut consumer, &first), Poll::Ready(Some(item)));
            assert!(second_woken.try_recv().is_err());
        }
        assert!(first_woken.try_recv().is_err());
    }

    #[test]
    fn a_descriptor_and_a_task_go_together() {
        let (mut producer, consumer) = ends(&new_ring());
        let mut consumer = waiter(consumer);
        let (waker, woken) = task(|| ());
        assert_eq!(poll_pop(&mut consumer, &waker), Poll::Pending);
        assert_eq!(pop(&mut consumer), Ok(None));
        assert!(!is_readable(&consumer));
        producer.push(1).expect("room");
        becomes_readable(&consumer);
        is_woken(&woken);
        assert_eq!(pop(&mut consumer), Ok(Some(1)));
    }

    #[test]
    fn a_waker_may_poll_its_task_at_once() {
        let (mut producer, consumer) = ends(&new_ring());
        let consumer = Arc::new(Mutex::new(waiter(consumer)));
        let again = Arc::clone(&consumer);
        let (idle, _) = task(|| ());
        let (polls, polled) = channel();
        let (waker, _) = task(move || {
            let mut consumer = again.lock().expect("no panic before");
            for _ in 0..2 {
                let poll = poll_pop(&mut consumer, &idle);
                polls.send(poll).expect("the test waits for it");
            }
        });
        let first = poll_pop(&mut consumer.lock().expect("no panic"), &waker);
        assert_eq!(first, Poll::Pending);
        producer.push(1).expect("room");
        for poll in [Poll::Ready(Some(1)), Poll::Pending] {
            assert_eq!(polled.recv_timeout(Deadline::length()), Ok(poll));
        }
    }

    #[test]
    fn a_waker_may_drop_its_task_and_the_end_with_it() {
        let ring = new_ring();
        let (mut producer, consumer) = ends(&ring);
        let owner = Arc::new(Mutex::new(Some(waiter(consumer))));
        let drops = Arc::clone(&owner);
        let (dropped, is_dropped) = channel();
        let (waker, _) = task(move || {
            drop(drops.lock().expect("no panic before").take());
            dropped.send(()).expect("the test waits for it");
        });
        let polled = poll_pop(owner.lock().expect("no panic").as_mut().unwrap(), &waker);
        assert_eq!(polled, Poll::Pending);
        producer.push(1).expect("room");
        is_woken(&is_dropped);
        let mut consumer = ring.consumer().expect("the role");
        assert_eq!(consumer.pop(), Ok(1));
    }

    #[test]
    fn a_waker_that_panics_is_no_end_of_waiting() {
        let (mut producer, consumer) = ends(&new_ring());
        let mut consumer = waiter(consumer);
        let (panics, woken) = task(|| panic!("a waker that panics, as this test wants it to"));
        assert_eq!(poll_pop(&mut consumer, &panics), Poll::Pending);
        producer.push(1).expect("room");
        is_woken(&woken);
        let (waker, woken) = task(|| ());
        assert_eq!(poll_pop(&mut consumer, &waker), Poll::Ready(Some(1)));
        assert_eq!(poll_pop(&mut consumer, &waker), Poll::Pending);
        producer.push(2).expect("room");
        is_woken(&woken);
        assert_eq!(poll_pop(&mut consumer, &waker), Poll::Ready(Some(2)));
    }
}
