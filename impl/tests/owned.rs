//! Ends that borrow nothing: they keep what they need, go where they like, and give it back when they are
//! dropped, whatever became of the structure that they are the ends of.

mod common;

use std::mem;
use std::{fs, thread};

use common::ends;
use common::named::Named;
use common::{Deadline, seqlock_and_latch};
use ringproof::{Consumer, PopError, Producer, PushError, Ring, RingOptions, Role, SegmentError};

const ITEMS: u64 = 1_000;

/// Attached to, not made: the mapping of who makes it is of a file that has no name yet.
fn named(name: &Named) -> Ring<u64> {
    drop(Ring::<u64>::create(name, &RingOptions::new(4)).expect("create a ring"));
    Ring::attach(name).expect("attach")
}

fn anonymous() -> Ring<u64> {
    Ring::anonymous(&RingOptions::new(4)).expect("a ring")
}

/// How many mappings of the file `name` this process has.
fn mappings(name: &Named) -> usize {
    let maps = fs::read_to_string("/proc/self/maps").expect("the mappings");
    let is_its = |line: &&str| line.split('/').any(|part| part == &**name);
    maps.lines().filter(is_its).count()
}

fn push(producer: &mut Producer<u64>, item: u64) {
    let deadline = Deadline::to("push");
    loop {
        match producer.push(item) {
            Ok(()) => return,
            Err(PushError::Full) => deadline.wait(),
            Err(error) => panic!("{error}"),
        }
    }
}

fn pop(consumer: &mut Consumer<u64>) -> u64 {
    let deadline = Deadline::to("pop");
    loop {
        match consumer.pop() {
            Ok(item) => return item,
            Err(PopError::Empty) => deadline.wait(),
            Err(error) => panic!("{error}"),
        }
    }
}

/// The ends of two rings.
struct Peer {
    out: Producer<u64>,
    into: Consumer<u64>,
}

#[test]
fn a_struct_with_ends_of_two_rings_moves_into_a_thread() {
    let (there, back) = (anonymous(), anonymous());
    let mut server = Peer {
        out: back.producer().expect("the role"),
        into: there.consumer().expect("the role"),
    };
    let mut client = Peer {
        out: there.producer().expect("the role"),
        into: back.consumer().expect("the role"),
    };
    // Nothing but the ends keeps either.
    drop((there, back));
    let server = thread::spawn(move || {
        for _ in 0..ITEMS {
            let item = pop(&mut server.into);
            push(&mut server.out, item * item);
        }
        server
    });
    for item in 0..ITEMS {
        push(&mut client.out, item);
        assert_eq!(pop(&mut client.into), item * item);
    }
    let server = server.join().expect("no panic");
    assert_eq!(server.out.position(), ITEMS);
    assert_eq!(client.into.occupancy(), Ok(0));
}

#[test]
fn an_end_keeps_the_memory_and_its_role_until_it_is_dropped() {
    let name = Named::new("owned");
    let ring = named(&name);
    let (mut producer, mut consumer) = ends(&ring);
    drop(ring);
    assert_eq!(mappings(&name), 1);
    push(&mut producer, 7);

    let again = Ring::<u64>::attach(&name).expect("attach");
    let refused = again.producer().expect_err("the role is held");
    assert!(matches!(refused, SegmentError::Held { .. }), "{refused}");
    drop(producer);
    // The memory is still the consumer's, the role is free.
    assert_eq!(mappings(&name), 2);
    assert_eq!(again.producer().expect("the role").position(), 1);
    assert!(!consumer.peer_present().expect("an answer"));
    drop(again);

    assert_eq!(mappings(&name), 1);
    assert_eq!(pop(&mut consumer), 7);
    consumer.segment().unlink().expect("unlink");
    drop(consumer);
    assert_eq!(mappings(&name), 0);
}

#[test]
fn readers_keep_the_memory_as_well() {
    seqlock_and_latch!({
        let name = Named::new("owned-value");
        drop(Lock::create(&name, &1_u64, &LockOptions::default()).expect("create"));
        let lock = Lock::<u64>::attach(&name).expect("attach");
        let (mut writer, reader) = (
            lock.writer().expect("the role"),
            lock.reader().expect("one"),
        );
        writer.write(&2);
        drop((lock, writer));
        assert_eq!(mappings(&name), 1);
        // The last of what keeps it, in another thread.
        let value = thread::spawn(move || reader.read(1));
        assert_eq!(value.join().expect("no panic"), Ok(2));
        assert_eq!(mappings(&name), 0);
    });
}

#[test]
fn each_end_keeps_its_own_segment_where_two_change_places() {
    let (one, other) = (Named::new("owned-one"), Named::new("owned-other"));
    let [ring, second] = [named(&one), named(&other)];
    let mut first = ring.producer().expect("the role");
    let mut last = second.producer().expect("the role");
    drop((ring, second));
    mem::swap(&mut first, &mut last);
    assert_eq!(first.segment().label(), &*other);
    drop(first);
    assert_eq!((mappings(&one), mappings(&other)), (1, 0));
    push(&mut last, 5);
    assert!(last.segment().is_held(Role::Producer).expect("an answer"));
    drop(last);
    assert_eq!((mappings(&one), mappings(&other)), (0, 0));
}
