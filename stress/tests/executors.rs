//! Operations of ends as futures, under executors that know nothing of them: tokio's two, and that of smol.
//!
//! Rings are as small as they can be, so that ends wait for each other nearly always.

use std::future::{Future, poll_fn};
use std::io::{self, ErrorKind};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::task::{Context, Poll};
use std::thread;

use async_executor::Executor;
use futures_lite::future::{self, block_on, poll_once, yield_now};
use futures_lite::stream::StreamExt;
use ringproof::waiter::Waitable;
use ringproof::{
    Consumer, PopError, Producer, Ring, RingOptions, SeqLatch, SeqLatchOptions, SeqLock,
    SeqLockOptions, WaitError, Waiter,
};
use ringproof_record::deadline;
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;
use tokio::runtime::{Builder, Runtime};

const ITEMS: u64 = 1000;

type Task = Pin<Box<dyn Future<Output = ()> + Send>>;

/// Runs tasks to their ends, several at a time.
type Run = fn(Vec<Task>);

fn runtime(mut builder: Builder) -> Runtime {
    builder.enable_io().build().expect("a runtime")
}

fn one_thread() -> Runtime {
    runtime(Builder::new_current_thread())
}

fn two_threads() -> Runtime {
    let mut builder = Builder::new_multi_thread();
    builder.worker_threads(2);
    runtime(builder)
}

fn run_in(runtime: &Runtime, tasks: Vec<Task>) {
    let handles: Vec<_> = tasks.into_iter().map(|task| runtime.spawn(task)).collect();
    runtime.block_on(async {
        for handle in handles {
            handle.await.expect("no panic");
        }
    });
}

fn run_in_smol(tasks: Vec<Task>) {
    let executor = Arc::new(Executor::new());
    let tasks: Vec<_> = (tasks.into_iter())
        .map(|task| executor.spawn(task))
        .collect();
    let other = Arc::clone(&executor);
    // As long as there is somebody to help.
    let helps = thread::spawn(move || {
        while Arc::strong_count(&other) > 1 {
            if !other.try_tick() {
                thread::yield_now();
            }
        }
    });
    block_on(executor.run(async {
        for task in tasks {
            task.await;
        }
    }));
    drop(executor);
    helps.join().expect("no panic");
}

const EXECUTORS: [(&str, Run); 3] = [
    ("tokio, one thread", |tasks| run_in(&one_thread(), tasks)),
    ("tokio, two threads", |tasks| run_in(&two_threads(), tasks)),
    ("async-executor", run_in_smol),
];

/// Does it, unless it hangs.
fn within(what: &str, work: impl FnOnce() + Send + 'static) {
    let (done, is_done) = channel::<()>();
    let thread = thread::spawn(move || {
        work();
        drop(done);
    });
    match is_done.recv_timeout(deadline::seconds(300)) {
        Err(RecvTimeoutError::Timeout) => panic!("{what} hangs"),
        _ => thread
            .join()
            .unwrap_or_else(|_| panic!("{what} has panicked")),
    }
}

fn under_each(tasks: fn() -> Vec<Task>) {
    for (name, run) in EXECUTORS {
        within(name, move || run(tasks()));
    }
}

fn new_ring() -> Ring<u64> {
    Ring::anonymous(&RingOptions::new(1)).expect("an anonymous ring")
}

fn producer_of(ring: &Ring<u64>) -> Waiter<Producer<u64>> {
    Waiter::new(ring.producer().expect("the role")).expect("a waiter")
}

fn consumer_of(ring: &Ring<u64>) -> Waiter<Consumer<u64>> {
    Waiter::new(ring.consumer().expect("the role")).expect("a waiter")
}

async fn close(producer: &mut Waiter<Producer<u64>>) {
    let closed = producer.attempt_async(|producer| {
        producer.close();
        Ok(())
    });
    closed.await.expect("nothing is in the way");
}

async fn send(mut producer: Waiter<Producer<u64>>) {
    for item in 0..ITEMS {
        producer.push_async(item).await.expect("a consumer");
    }
    close(&mut producer).await;
}

/// What comes after the last item.
const END: Result<u64, WaitError<PopError>> = Err(WaitError::Refused(PopError::PeerClosed));

async fn receive(mut consumer: Waiter<Consumer<u64>>) {
    for item in 0..ITEMS {
        assert_eq!(consumer.pop_async().await, Ok(item));
    }
    assert_eq!(consumer.pop_async().await, END);
}

#[test]
fn what_is_pushed_is_popped() {
    under_each(|| {
        let ring = new_ring();
        let (producer, consumer) = (producer_of(&ring), consumer_of(&ring));
        vec![Box::pin(send(producer)), Box::pin(receive(consumer))]
    });
}

#[test]
fn a_stream_has_every_item_and_ends_when_the_ring_is_closed() {
    under_each(|| {
        let ring = new_ring();
        let (producer, consumer) = (producer_of(&ring), consumer_of(&ring));
        let collect = async {
            let mut items = consumer.into_stream();
            let (mut next, mut count) = (items.next().await, 0);
            while let Some(item) = next {
                assert_eq!(item, Ok(count));
                count += 1;
                next = items.next().await;
            }
            assert_eq!((count, items.next().await), (ITEMS, None));
            let mut consumer = items.into_inner();
            assert_eq!(consumer.pop(), Err(PopError::PeerClosed));
        };
        vec![Box::pin(send(producer)), Box::pin(collect)]
    });
}

#[test]
fn a_peer_that_is_gone_ends_a_wait_after_what_it_left() {
    under_each(|| {
        let ring = new_ring();
        let (mut producer, mut consumer) = (producer_of(&ring), consumer_of(&ring));
        let leave = async move { producer.push_async(7).await.expect("room") };
        let remain = async move {
            assert_eq!(consumer.pop_async().await, Ok(7));
            assert_eq!(consumer.pop_async().await, Err(WaitError::PeerGone));
            let mut items = consumer.into_stream();
            assert_eq!(items.next().await, Some(Err(WaitError::PeerGone)));
            assert_eq!(items.next().await, None);
            let mut producer = producer_of(&ring);
            producer.push_async(8).await.expect("room");
            assert_eq!(items.into_inner().pop(), Ok(8));
            assert_eq!(producer.push_async(9).await, Ok(()));
            assert_eq!(producer.push_async(10).await, Err(WaitError::PeerGone));
        };
        vec![Box::pin(leave), Box::pin(remain)]
    });
}

/// Readers of a latest value: of each they say that they have it, and get the next one then.
macro_rules! newer {
    ($($test:ident: $lock:ident, $options:ident;)*) => {$(
        #[test]
        fn $test() {
            under_each(|| {
                let lock = $lock::anonymous(&0_u64, &$options::new()).expect("an anonymous one");
                let mut writer = lock.writer().expect("the role");
                let mut reader = Waiter::new(lock.reader().expect("a reader")).expect("a waiter");
                let ring = new_ring();
                let (mut had, mut has) = (consumer_of(&ring), producer_of(&ring));
                let write = async move {
                    for value in 1..ITEMS {
                        writer.write(&value);
                        assert_eq!(had.pop_async().await, Ok(value));
                    }
                };
                let read = async move {
                    for value in 1..ITEMS {
                        assert_eq!(reader.newer_async(value - 1).await, Ok(value));
                        assert_eq!(reader.get().read(1), Ok(value));
                        has.push_async(value).await.expect("room");
                    }
                    assert_eq!(reader.newer_async(ITEMS - 1).await, Err(WaitError::PeerGone));
                };
                vec![Box::pin(write), Box::pin(read)]
            });
        }
    )*};
}

newer! {
    a_reader_of_a_seqlock_waits_for_each_version: SeqLock, SeqLockOptions;
    a_reader_of_a_latch_waits_for_each_version: SeqLatch, SeqLatchOptions;
}

#[test]
fn futures_that_are_dropped_after_each_poll_lose_nothing() {
    under_each(|| {
        let ring = new_ring();
        let (mut producer, mut consumer) = (producer_of(&ring), consumer_of(&ring));
        let send = async move {
            for item in 0..ITEMS {
                let pushed = poll_fn(|context| pin!(producer.push_async(item)).poll(context));
                pushed.await.expect("a consumer");
            }
            close(&mut producer).await;
        };
        let receive = async move {
            for item in 0..ITEMS {
                let popped = poll_fn(|context| pin!(consumer.pop_async()).poll(context));
                assert_eq!(popped.await, Ok(item));
            }
            assert_eq!(consumer.pop_async().await, END);
        };
        vec![Box::pin(send), Box::pin(receive)]
    });
}

#[test]
fn futures_that_lose_against_another_one_lose_nothing() {
    under_each(|| {
        let ring = new_ring();
        let (mut producer, mut consumer) = (producer_of(&ring), consumer_of(&ring));
        let send = async move {
            for item in 0..ITEMS {
                // After some polls that nothing has asked for.
                let mut is_pushed = false;
                while !is_pushed {
                    let push = async { producer.push_async(item).await.is_ok() };
                    is_pushed = future::or(push, false_after(item)).await;
                }
            }
            close(&mut producer).await;
        };
        let receive = async move {
            for item in 0..ITEMS {
                let mut popped = None;
                while popped.is_none() {
                    let pop = async { Some(consumer.pop_async().await) };
                    let other = async {
                        false_after(item + 1).await;
                        None
                    };
                    popped = future::or(pop, other).await;
                }
                assert_eq!(popped, Some(Ok(item)));
            }
            assert_eq!(consumer.pop_async().await, END);
        };
        vec![Box::pin(send), Box::pin(receive)]
    });
}

/// Never at once: the other task may be of the same thread.
async fn false_after(number: u64) -> bool {
    for _ in 0..=number % 3 {
        yield_now().await;
    }
    false
}

/// Polls a future more often than it asks for, and wakes its task for nothing.
async fn restless<R>(future: impl Future<Output = R>) -> R {
    let (mut future, mut polls) = (pin!(future), 0);
    let poll = |context: &mut Context<'_>| {
        for _ in 0..2 {
            if let Poll::Ready(result) = future.as_mut().poll(context) {
                return Poll::Ready(result);
            }
        }
        polls += 1;
        if polls < 5 {
            context.waker().wake_by_ref();
        }
        Poll::Pending
    };
    poll_fn(poll).await
}

#[test]
fn polls_that_nobody_asked_for_change_nothing() {
    under_each(|| {
        let ring = new_ring();
        let (mut producer, mut consumer) = (producer_of(&ring), consumer_of(&ring));
        let send = async move {
            for item in 0..ITEMS {
                let pushed = restless(producer.push_async(item)).await;
                pushed.expect("a consumer");
            }
            close(&mut producer).await;
        };
        let receive = async move {
            for item in 0..ITEMS {
                assert_eq!(restless(consumer.pop_async()).await, Ok(item));
            }
            assert_eq!(restless(consumer.pop_async()).await, END);
        };
        vec![Box::pin(send), Box::pin(receive)]
    });
}

#[test]
fn an_end_goes_from_a_task_that_waited_to_another_one() {
    under_each(|| {
        let ring = new_ring();
        let (mut producer, mut consumer) = (producer_of(&ring), consumer_of(&ring));
        let (hand_over, handed_over) = channel();
        let first = async move {
            assert_eq!(poll_once(consumer.pop_async()).await, None);
            let _ = hand_over.send(consumer);
        };
        let second = async move {
            let mut consumer = loop {
                match handed_over.try_recv() {
                    Ok(consumer) => break consumer,
                    Err(_) => yield_now().await,
                }
            };
            assert_eq!(poll_once(consumer.pop_async()).await, None);
            let pop = async { assert_eq!(consumer.pop_async().await, Ok(7)) };
            let push = async { producer.push_async(7).await.expect("room") };
            future::zip(pop, push).await;
        };
        vec![Box::pin(first), Box::pin(second)]
    });
}

#[test]
fn a_runtime_that_is_dropped_drops_who_waits() {
    for (name, runtime) in [
        ("one thread", one_thread as fn() -> _),
        ("two threads", two_threads),
    ] {
        within(name, move || {
            let (ring, runtime) = (new_ring(), runtime());
            let _producer = producer_of(&ring);
            let mut consumer = consumer_of(&ring);
            let (polled, is_polled) = channel();
            let task = runtime.spawn(async move {
                assert_eq!(poll_once(consumer.pop_async()).await, None);
                let _ = polled.send(());
                consumer.pop_async().await
            });
            runtime.block_on(async {
                while is_polled.try_recv().is_err() {
                    yield_now().await;
                }
            });
            drop((task, runtime));
            consumer_of(&ring);
        });
    }
}

/// An attempt as tokio takes it: what is refused for now would block.
fn or_would_block<R, E>(attempt: Result<Option<R>, E>) -> io::Result<Result<R, E>> {
    let done = attempt.transpose();
    done.ok_or_else(|| io::Error::from(ErrorKind::WouldBlock))
}

#[test]
fn the_descriptor_of_a_waiter_goes_into_tokio() {
    fn registered<E: Waitable>(waiter: Waiter<E>) -> AsyncFd<Waiter<E>> {
        // SAFETY: a waiter has one descriptor, and closes it when it is dropped.
        let registered = unsafe { AsyncFd::register_with_interest(waiter, Interest::READABLE) };
        registered.expect("a descriptor for a runtime")
    }
    async fn send(producer: Waiter<Producer<u64>>) {
        let mut producer = registered(producer);
        let mut sent = 0;
        while sent < ITEMS {
            let mut ready = producer.readable_mut().await.expect("a runtime");
            let push = |producer: &mut Producer<u64>| producer.push(sent);
            let pushed = ready.try_io(|fd| or_would_block(fd.get_mut().attempt(push)));
            if let Ok(pushed) = pushed {
                pushed.expect("an attempt").expect("a consumer");
                sent += 1;
            }
        }
        close(producer.get_mut()).await;
    }
    async fn receive(consumer: Waiter<Consumer<u64>>) {
        let mut consumer = registered(consumer);
        let mut received = 0;
        loop {
            let mut ready = consumer.readable_mut().await.expect("a runtime");
            let pop = |consumer: &mut Consumer<u64>| consumer.pop();
            let Ok(popped) = ready.try_io(|fd| or_would_block(fd.get_mut().attempt(pop))) else {
                continue;
            };
            match popped.expect("an attempt") {
                Ok(item) => assert_eq!(item, received),
                end => {
                    assert_eq!((end, received), (END, ITEMS));
                    return;
                }
            }
            received += 1;
        }
    }
    for (name, run) in &EXECUTORS[..2] {
        within(name, move || {
            let ring = new_ring();
            let (producer, consumer) = (producer_of(&ring), consumer_of(&ring));
            run(vec![Box::pin(send(producer)), Box::pin(receive(consumer))]);
        });
    }
}
