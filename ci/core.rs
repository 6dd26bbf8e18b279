//! A library without `std` and without an allocator that uses the ring, the seqlock and the latch, in memory of its
//! own. It is never run: see core.sh.

#![no_std]

use core::panic::PanicInfo;

use ringproof::Payload;
use ringproof::latch::{LatchParts, LatchReader, LatchWriter};
use ringproof::memory::{Cells, Native};
use ringproof::ring::{Consumer, Producer, RingParts};
use ringproof::seqlock::{SeqParts, SeqReader, SeqWriter};
use ringproof::slots::Slots;

#[cfg(planted = "alloc")]
extern crate alloc;

#[panic_handler]
fn panic(_: &PanicInfo<'_>) -> ! {
    loop {}
}

#[derive(Clone, Copy, Payload)]
#[repr(C)]
struct Item {
    number: u64,
    other: [u32; 2],
}

fn through_ring(item: Item) -> Option<Item> {
    let (write_index, read_index) = (Native::word(0), Native::word(0));
    let cells = [item; 4].map(Native::slot);
    let parts = RingParts::<Native, Item> {
        write_index: &write_index,
        read_index: &read_index,
        slots: Slots::new(&cells)?,
        capacity: 3,
    };
    // SAFETY: one producer and one consumer of words and slots that nothing else accesses.
    let (mut producer, mut consumer) =
        unsafe { (Producer::new(parts, Native, ()), Consumer::new(parts, Native, ())) };
    producer.push(item).ok()?;
    producer.push_slice(&[item; 2]).ok()?;
    producer.close();
    let chunk = consumer.peek_exact(1).ok()?;
    chunk.iter().next()?;
    chunk.release(1).ok()?;
    consumer.drain().ok()?.next()
}

fn through_seqlock(item: Item) -> Option<Item> {
    let (seq, payload) = (Native::word(0), [0; 2].map(Native::word));
    let parts = SeqParts::<Native> {
        seq: &seq,
        payload: &payload,
    };
    SeqWriter::new(parts, Native, ())?.write(&item);
    let reader = SeqReader::new(parts, Native, ())?;
    reader.has_changed(0).then(|| reader.read(1).ok())?
}

fn through_latch(item: Item) -> Option<Item> {
    let (version, slots) = (Native::word(0), [0; 8].map(Native::word));
    let parts = LatchParts::<Native> {
        version: &version,
        slots: &slots,
    };
    LatchWriter::new(parts, Native, ())?.write(&item);
    LatchReader::new(parts, Native, ())?.read(1).ok()
}

/// The number, if it comes through all three.
#[unsafe(no_mangle)]
pub extern "C" fn exchange(number: u64) -> u64 {
    #[cfg(planted = "alloc")]
    let number = *alloc::boxed::Box::new(number);
    let item = Item {
        number,
        other: [1, 2],
    };
    let came = through_ring(item)
        .and_then(through_seqlock)
        .and_then(through_latch);
    came.map_or(0, |item| item.number)
}
