//! Ends that move bytes, against ends that have a type.
#![cfg(target_os = "linux")]

mod common;

use std::os::fd::{AsFd, BorrowedFd};
use std::time::{Duration, Instant};

use common::Deadline;
use common::named::Named;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use ringproof::layout::Kind;
use ringproof::shape::{Description, Shape};
use ringproof::untyped::{Form, Payload, PayloadError, ReadChunk, Structure};
use ringproof::{
    PopError, PushError, Ring, RingOptions, SegmentError, SeqLatch, SeqLatchOptions, SeqLock,
    SeqLockOptions, Wait, WaitError,
};

/// Three bytes, so that no item lies where a word does.
type Item = [u8; 3];

fn payload_of<T: Shape>() -> Payload {
    Payload::new(Description::of::<T>().unwrap(), align_of::<T>() as u64).unwrap()
}

/// Items that differ from those at adjacent positions, also when they are torn.
fn items(start: u64, count: usize) -> Vec<Item> {
    let item = |position: u64| {
        let [a, b, ..] = position.to_le_bytes();
        [a, b, a ^ b ^ 0xa5]
    };
    (start..).take(count).map(item).collect()
}

/// Batches of every size, one after the other, in some order that is the same each time.
fn batches() -> impl Iterator<Item = usize> {
    (0..400_usize).map(|step| step * 7 % 6)
}

fn untyped_ring(name: &str) -> Structure {
    Structure::open_or_create(name, &Form::Ring(options()), &payload_of::<Item>()).unwrap()
}

/// It wraps all the time.
fn options() -> RingOptions {
    RingOptions::new(5).slots(8)
}

#[test]
fn a_typed_consumer_gets_what_bytes_were_pushed() {
    let name = Named::new("untyped-push");
    let untyped = untyped_ring(&name);
    let typed = Ring::<Item>::attach(&name).unwrap();
    let (mut producer, mut consumer) = (untyped.producer().unwrap(), typed.consumer().unwrap());
    for count in batches() {
        let items = items(producer.position(), count);
        assert_eq!(producer.push_slice(items.as_flattened()), Ok(count));
        {
            // Written, and not committed: a typed consumer sees none of it.
            let mut chunk = producer.reserve(5 - count).unwrap();
            let unseen = vec![0xee; chunk.len() * 3];
            chunk.copy_from_slice(0, &unseen).unwrap();
        }
        let mut taken = vec![[0; 3]; count];
        assert_eq!(consumer.pop_slice(&mut taken), Ok(count));
        assert_eq!(taken, items);
    }
    assert!(producer.position() > 100);
    producer.close();
    assert_eq!(consumer.pop(), Err(PopError::PeerClosed));
}

#[test]
fn bytes_are_popped_as_they_were_pushed_typed() {
    let name = Named::new("untyped-pop");
    let untyped = untyped_ring(&name);
    let typed = Ring::<Item>::attach(&name).unwrap();
    let (mut producer, mut consumer) = (typed.producer().unwrap(), untyped.consumer().unwrap());
    for count in batches() {
        let items = items(producer.position(), count);
        producer.push_slice(&items).unwrap();
        // Half of them in place, the others by copying.
        let mut taken = Vec::new();
        if count > 0 {
            let chunk = consumer.peek(count.div_ceil(2)).unwrap();
            for run in chunk.as_ptrs() {
                // SAFETY: the producer of this thread does not write meanwhile.
                taken.extend_from_slice(unsafe { &*run });
            }
            chunk.release_all();
            let mut rest = vec![0; (count / 2) * 3];
            assert_eq!(consumer.pop_slice(&mut rest), Ok(count / 2));
            taken.append(&mut rest);
        }
        assert_eq!(taken, items.as_flattened());
    }
    assert!(consumer.position() > 100);
    consumer.close();
    assert!(producer.is_peer_closed().unwrap());
}

#[test]
fn slots_are_written_in_place_on_both_sides_of_the_end_of_memory() {
    let ring = Structure::anonymous(&Form::Ring(options()), &payload_of::<Item>()).unwrap();
    let (mut producer, mut consumer) = (ring.producer().unwrap(), ring.consumer().unwrap());
    for skipped in 0..8 {
        let mut chunk = producer.reserve(5).unwrap();
        let mut bytes = items(chunk.position(), 5).concat();
        let [first, second] = chunk.as_mut_ptrs();
        assert_eq!(first.len() + second.len(), 15, "after {skipped}");
        for run in [first, second] {
            let rest = bytes.split_off(run.len());
            // SAFETY: reserved, and the consumer is in this thread.
            unsafe { (*run).copy_from_slice(&bytes) };
            bytes = rest;
        }
        chunk.commit(5).unwrap();
        let mut taken = [0; 15];
        let start = consumer.position();
        consumer
            .peek(5)
            .unwrap()
            .copy_to_slice(0, &mut taken)
            .unwrap();
        assert_eq!(taken[..], *items(start, 5).as_flattened());
        consumer.peek(5).unwrap().release(3).unwrap();
        consumer.pop_slice(&mut [0; 6]).unwrap();
    }
}

#[test]
fn a_chunk_keeps_its_bounds() {
    let ring = Structure::anonymous(&Form::Ring(options()), &payload_of::<Item>()).unwrap();
    let (mut producer, mut consumer) = (ring.producer().unwrap(), ring.consumer().unwrap());
    let mut chunk = producer.reserve(2).unwrap();
    assert!(chunk.copy_from_slice(0, &[1; 9]).is_err());
    assert!(chunk.copy_from_slice(usize::MAX, &[1; 3]).is_err());
    assert!(chunk.commit(3).is_err());
    assert_eq!(consumer.pop(&mut [0; 3]), Err(PopError::Empty));
    let mut chunk = producer.reserve(2).unwrap();
    chunk.copy_from_slice(1, &[2; 3]).unwrap();
    chunk.copy_from_slice(0, &[1; 3]).unwrap();
    chunk.commit(2).unwrap();
    let chunk = consumer.peek(2).unwrap();
    let mut item = [0; 3];
    for index in [1, 0] {
        chunk.copy_to_slice(index, &mut item).unwrap();
        assert_eq!(item, [index as u8 + 1; 3]);
    }
    chunk.release_all();
    producer.push_slice(&[3; 15]).unwrap();
    assert_eq!(producer.push(&[4; 3]), Err(PushError::Full));
    let chunk = consumer.peek(9).unwrap();
    assert_eq!(chunk.len(), 5);
    assert!(chunk.copy_to_slice(4, &mut [0; 6]).is_err());
    assert!(chunk.release(6).is_err());
    assert_eq!(consumer.occupancy(), Ok(5));
    // All or nothing: four of five slots, then two of one that is free; three of one that is left.
    let released = |chunk: ReadChunk<'_>| chunk.release_all();
    assert_eq!(consumer.peek_exact(4).map(released), Ok(()));
    assert_eq!(producer.reserve_exact(4).map(|chunk| chunk.len()), Ok(4));
    assert_eq!(producer.reserve_exact(5).err(), Some(PushError::Full));
    let never = Some(PushError::TooMany { asked: 6, most: 5 });
    assert_eq!(producer.reserve_exact(6).err(), never);
    assert_eq!(consumer.peek_exact(3).err(), Some(PopError::Empty));
    producer.close();
    let never = Some(PopError::TooMany { asked: 3, most: 1 });
    assert_eq!(consumer.peek_exact(3).err(), never);
    assert_eq!(consumer.peek_exact(1).map(released), Ok(()));
    assert_eq!(consumer.peek_exact(3).err(), Some(PopError::PeerClosed));
}

#[test]
#[should_panic(expected = "no whole number of items")]
fn half_an_item_panics() {
    let ring = Structure::anonymous(&Form::Ring(options()), &payload_of::<Item>()).unwrap();
    let _ = ring.producer().unwrap().push_slice(&[1; 4]);
}

type Value = [u64; 9];

fn bytes_of(value: &Value) -> Vec<u8> {
    value.iter().flat_map(|word| word.to_ne_bytes()).collect()
}

#[test]
fn a_seqlock_passes_between_types_and_bytes() {
    let name = Named::new("untyped-seqlock");
    let first = bytes_of(&[7; 9]);
    let form = Form::SeqLock(SeqLockOptions::default(), &first);
    let untyped = Structure::create(&name, &form, &payload_of::<Value>()).unwrap();
    let typed = SeqLock::<Value>::attach(&name).unwrap();
    let mut bytes = vec![0; 72];
    assert_eq!(typed.reader().unwrap().read(1), Ok([7; 9]));
    let value = [1, 2, 3, 4, 5, 6, 7, 8, 9];
    let mut writer = untyped.writer().unwrap();
    writer.write(&bytes_of(&value));
    assert_eq!((writer.version(), writer.needs_repair()), (1, false));
    assert!(matches!(typed.writer(), Err(SegmentError::Held { .. })));
    drop(writer);
    assert_eq!(typed.reader().unwrap().read(1), Ok(value));
    let reader = untyped.reader().unwrap();
    assert_eq!((reader.version(), reader.has_changed(1)), (1, false));
    typed.writer().unwrap().write(&[u64::MAX; 9]);
    assert_eq!((reader.version(), reader.has_changed(1)), (2, true));
    reader.read_into(&mut bytes, 1).unwrap();
    assert_eq!(bytes, [0xff; 72]);
}

#[test]
fn a_latch_passes_between_types_and_bytes() {
    let name = Named::new("untyped-latch");
    let options = SeqLatchOptions::default();
    let typed = SeqLatch::<Value>::create(&name, &[7; 9], &options).unwrap();
    let untyped = Structure::attach(&name, Kind::Latch, &payload_of::<Value>()).unwrap();
    let (typed_reader, reader) = (typed.reader().unwrap(), untyped.reader().unwrap());
    let mut bytes = vec![0; 72];
    reader.read_into(&mut bytes, 1).unwrap();
    assert_eq!(bytes, bytes_of(&[7; 9]));
    // Twice around its slots, in turns.
    for number in 1..9_u64 {
        let value = std::array::from_fn(|word| number << word);
        if number % 3 == 0 {
            typed.writer().unwrap().write(&value);
        } else {
            untyped.writer().unwrap().write(&bytes_of(&value));
        }
        assert_eq!(typed_reader.read(1), Ok(value));
        reader.try_read_into(&mut bytes).unwrap();
        assert_eq!(bytes, bytes_of(&value));
        assert_eq!(untyped.writer().unwrap().version(), number);
        assert_eq!((typed_reader.version(), reader.version()), (number, number));
        assert!(reader.has_changed(number - 1) && !reader.has_changed(number));
    }
}

#[test]
fn a_segment_is_the_same_however_it_was_made() {
    let payload = payload_of::<Value>();
    let untyped = |form: Form<'_>| {
        *Structure::anonymous(&form, &payload)
            .unwrap()
            .segment()
            .fixed()
    };
    let options = RingOptions::new(5);
    let ring = Ring::<Value>::anonymous(&options).unwrap();
    assert_eq!(untyped(Form::Ring(options)), *ring.segment().fixed());
    let options = SeqLockOptions::default();
    let lock = SeqLock::<Value>::anonymous(&[0; 9], &options).unwrap();
    assert_eq!(
        untyped(Form::SeqLock(options, &[])),
        *lock.segment().fixed()
    );
    let options = SeqLatchOptions::default().slots(8);
    let latch = SeqLatch::<Value>::anonymous(&[0; 9], &options).unwrap();
    assert_eq!(untyped(Form::Latch(options, &[])), *latch.segment().fixed());
}

#[test]
fn what_no_typed_payload_can_be_is_refused() {
    let described = |fields: &str| {
        let text = format!("ringproof-shape 1 little 16\n{fields}");
        Description::parse(text.as_bytes()).unwrap()
    };
    for (fields, from, to) in [
        ("a 1 u8x15\n", 0, 1),
        ("a 0 u32\nb 8 u64\n", 4, 8),
        ("a 0 u64\nb 8 u32\n", 12, 16),
    ] {
        let refused = Payload::new(described(fields), 4).unwrap_err();
        assert_eq!(refused, PayloadError::Padding { from, to });
    }
    let whole = || described("a 0 u64x2\n");
    for align in [0, 3, 32, 8192] {
        let refused = Payload::new(whole(), align).unwrap_err();
        assert_eq!(refused, PayloadError::Align { align, size: 16 });
    }
    for align in [1, 8, 16] {
        Payload::new(whole(), align).unwrap();
    }
    let refused = |form: &Form, payload: &Payload| {
        let refused = Structure::anonymous(form, payload).unwrap_err();
        assert!(matches!(refused, SegmentError::Size { .. }), "{refused:?}");
        refused.to_string()
    };
    let half = refused(
        &Form::SeqLock(SeqLockOptions::default(), &[0; 3]),
        &payload_of::<Item>(),
    );
    assert!(half.contains("a payload of 3 bytes"), "{half}");
    let short = refused(
        &Form::Latch(SeqLatchOptions::default(), &[0; 64]),
        &payload_of::<Value>(),
    );
    assert!(short.contains("64 bytes for a payload of 72"), "{short}");
}

#[test]
fn another_payload_or_kind_is_refused_with_what_differs() {
    let name = Named::new("untyped-refused");
    let _ring = Ring::<Item>::create(&name, &options()).unwrap();
    let other = Structure::attach(&name, Kind::Ring, &payload_of::<[u8; 4]>()).unwrap_err();
    assert_eq!(
        other.to_string(),
        format!(
            "segment `{}` holds another payload: field \"value\": offset 0, u8x4 here; \
             offset 0, u8x3 in the segment; size: 4 here; 3 in the segment",
            &*name
        )
    );
    let kind = Structure::attach(&name, Kind::Latch, &payload_of::<Value>()).unwrap_err();
    assert!(kind.to_string().contains("kind is 1 (ring)"), "{kind}");
    let ring = untyped_ring(&name);
    assert!(ring.writer().is_err() && ring.reader().is_err());
    let form = Form::Latch(SeqLatchOptions::default(), &[0; 72]);
    let latch = Structure::anonymous(&form, &payload_of::<Value>()).unwrap();
    assert!(latch.producer().is_err() && latch.consumer().is_err());
}

#[test]
fn ends_of_bytes_wait_as_typed_ones_do() {
    let name = Named::new("untyped-waits");
    let untyped = untyped_ring(&name);
    let typed = Ring::<Item>::attach(&name).unwrap();
    let soon = Duration::from_millis(2);
    let (mut producer, mut consumer) = (untyped.producer().unwrap(), untyped.consumer().unwrap());
    let mut item = [0; 3];
    for how in [Wait::Spin, Wait::Yield, Wait::Sleep, Wait::SleepAtOnce] {
        consumer.set_wait(how);
        assert_eq!(
            consumer.wait_for(soon).pop(&mut item),
            Err(WaitError::TimedOut)
        );
        let deadline = Instant::now() + soon;
        let late = consumer.wait_until(deadline).pop_slice(&mut item);
        assert_eq!(late, Err(WaitError::TimedOut));
    }
    let most = consumer.wait().peek_exact(6).map(drop).unwrap_err();
    assert_eq!(
        most,
        WaitError::Refused(PopError::TooMany { asked: 6, most: 5 })
    );
    producer.set_wait(Wait::SleepAtOnce);
    // A thread of each, over more than the ring holds.
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for position in 0..200 {
                let one = items(position, 1)[0];
                match position % 3 {
                    0 => producer.wait().push(&one).unwrap(),
                    1 => assert_eq!(producer.wait().push_slice(&one), Ok(1)),
                    _ => {
                        let mut chunk = producer.wait().reserve(1).unwrap();
                        chunk.copy_from_slice(0, &one).unwrap();
                        chunk.commit_all();
                    }
                }
            }
            producer.wait().reserve_exact(3).unwrap();
            producer.close();
        });
        for position in 0..200 {
            match position % 3 {
                0 => consumer.wait().pop(&mut item).unwrap(),
                1 => assert_eq!(consumer.wait().pop_slice(&mut item), Ok(1)),
                _ => {
                    let chunk = consumer.wait().peek(1).unwrap();
                    chunk.copy_to_slice(0, &mut item).unwrap();
                    chunk.release_all();
                }
            }
            assert_eq!(item, items(position, 1)[0]);
        }
        let end = consumer.wait().pop(&mut item);
        assert_eq!(end, Err(WaitError::Refused(PopError::PeerClosed)));
    });
    drop(producer);
    assert!(typed.producer().unwrap().is_closed());
}

#[test]
fn readers_of_bytes_wait_for_a_newer_version() {
    let forms = [
        Form::SeqLock(SeqLockOptions::default(), &[0; 72]),
        Form::Latch(SeqLatchOptions::default(), &[0; 72]),
    ];
    for form in forms {
        let untyped = Structure::anonymous(&form, &payload_of::<Value>()).unwrap();
        let (mut writer, mut reader) = (untyped.writer().unwrap(), untyped.reader().unwrap());
        reader.set_wait(Wait::SleepAtOnce);
        let late = reader.wait_for(Duration::from_millis(2)).newer(0);
        assert_eq!(late, Err(WaitError::TimedOut));
        let mut value = [0; 72];
        std::thread::scope(|scope| {
            scope.spawn(|| writer.write(&[5; 72]));
            assert_eq!(reader.wait().read_newer_into(&mut value, 0, 1000), Ok(1));
        });
        assert_eq!(value, [5; 72]);
        drop(writer);
        assert_eq!(reader.wait().newer(1), Err(WaitError::PeerGone));
    }
}

#[test]
fn a_producer_of_bytes_waits_until_all_is_taken() {
    let ring = Structure::anonymous(&Form::Ring(options()), &payload_of::<Item>()).unwrap();
    let (mut producer, mut consumer) = (ring.producer().unwrap(), ring.consumer().unwrap());
    let soon = Duration::from_millis(2);
    assert_eq!(producer.wait().drained(), Ok(()));
    producer.push(&[1; 3]).unwrap();
    producer.close();
    let late = producer.wait_for(soon).drained();
    assert_eq!(late, Err(WaitError::TimedOut));
    consumer.pop(&mut [0; 3]).unwrap();
    assert_eq!(producer.wait_for(soon).drained(), Ok(()));
}

fn polled(descriptor: BorrowedFd<'_>, timeout: PollTimeout) -> bool {
    let mut descriptors = [PollFd::new(descriptor, PollFlags::POLLIN)];
    poll(&mut descriptors, timeout).unwrap() == 1
}

fn is_readable(descriptor: &impl AsFd) -> bool {
    polled(descriptor.as_fd(), PollTimeout::ZERO)
}

#[track_caller]
fn becomes_readable(descriptor: &impl AsFd) {
    let timeout = PollTimeout::try_from(Deadline::length()).unwrap_or(PollTimeout::MAX);
    let readable = polled(descriptor.as_fd(), timeout);
    assert!(readable, "it never became readable");
}

#[test]
fn ends_of_bytes_leave_their_waits_to_a_descriptor() {
    let name = Named::new("untyped-armed");
    let untyped = untyped_ring(&name);
    let typed = Ring::<Item>::attach(&name).unwrap();
    let (mut producer, mut consumer) = (typed.producer().unwrap(), untyped.consumer().unwrap());
    let mut item = [0; 3];
    for round in 0..20 {
        assert_eq!(consumer.pop(&mut item), Err(PopError::Empty));
        // The same one each time, and a copy of it.
        let descriptor = consumer.arm().unwrap().try_clone_to_owned().unwrap();
        assert!(!is_readable(&descriptor));
        producer.push([round; 3]).unwrap();
        becomes_readable(&descriptor);
        assert_eq!(consumer.pop(&mut item), Ok(()));
        assert!(is_readable(&descriptor) && item == [round; 3]);
    }
    drop((producer, consumer));

    let (mut producer, mut consumer) = (untyped.producer().unwrap(), typed.consumer().unwrap());
    while producer.push(&item).is_ok() {}
    for _ in 0..20 {
        assert_eq!(producer.push(&item), Err(PushError::Full));
        let descriptor = producer.arm().unwrap().try_clone_to_owned().unwrap();
        assert!(!is_readable(&descriptor));
        assert_eq!(consumer.pop(), Ok(item));
        becomes_readable(&descriptor);
        assert_eq!(producer.push(&item), Ok(()));
    }
    // To drop it while it waits gives the role back.
    assert_eq!(producer.push(&item), Err(PushError::Full));
    producer.arm().unwrap();
    drop(producer);
    typed.producer().unwrap();

    for form in [
        Form::SeqLock(SeqLockOptions::default(), &[0; 72]),
        Form::Latch(SeqLatchOptions::default(), &[0; 72]),
    ] {
        let untyped = Structure::anonymous(&form, &payload_of::<Value>()).unwrap();
        let (mut writer, mut reader) = (untyped.writer().unwrap(), untyped.reader().unwrap());
        for version in 0..20 {
            let armed = reader.arm(version).unwrap();
            assert!(!is_readable(&armed));
            writer.write(&[5; 72]);
            becomes_readable(&armed);
            assert_eq!(reader.version(), version + 1);
        }
    }
}

#[test]
fn an_end_of_bytes_that_is_armed_learns_that_its_peer_closed_or_is_gone() {
    let ring = Structure::anonymous(&Form::Ring(options()), &payload_of::<Item>()).unwrap();
    let (producer, mut consumer) = (ring.producer().unwrap(), ring.consumer().unwrap());
    let mut item = [0; 3];
    assert_eq!(consumer.pop(&mut item), Err(PopError::Empty));
    let armed = consumer.arm().unwrap();
    drop(producer);
    becomes_readable(&armed);
    assert_eq!(consumer.pop(&mut item), Err(PopError::Empty));
    assert!(matches!(consumer.arm(), Err(WaitError::PeerGone)));
    // Once for each wait, so that one for a successor can follow.
    let mut successor = ring.producer().unwrap();
    let armed = consumer.arm().unwrap();
    assert!(!is_readable(&armed));
    successor.close();
    becomes_readable(&armed);
    assert_eq!(consumer.pop(&mut item), Err(PopError::PeerClosed));
}

#[test]
fn a_successor_goes_on_whichever_side_has_a_type() {
    let name = Named::new("untyped-successor");
    let untyped = untyped_ring(&name);
    let typed = Ring::<Item>::attach(&name).unwrap();
    untyped.producer().unwrap().push(&[1; 3]).unwrap();
    typed.producer().unwrap().push([2; 3]).unwrap();
    let mut producer = untyped.producer().unwrap();
    assert_eq!((producer.position(), producer.epoch()), (2, 3));
    assert!(!producer.peer_present().unwrap());
    producer.push(&[3; 3]).unwrap();
    let mut item = [0; 3];
    untyped.consumer().unwrap().pop(&mut item).unwrap();
    assert_eq!(item, [1; 3]);
    assert_eq!(typed.consumer().unwrap().pop(), Ok([2; 3]));
    untyped.consumer().unwrap().pop(&mut item).unwrap();
    assert_eq!(item, [3; 3]);
}
