//! What `ci/asm.sh` reads the machine code of: `push` and `pop` of a `u64`, each in a function of
//! its own, and the same with one fault planted, each of which the script must report.
//!
//! They may unwind (`C-unwind`), as what a caller gets may: otherwise the compiler adds a call that
//! aborts, wherever it does not see that a slow path never panics.
//!
//! Run by itself it calls them all, so that they are code that works and not only code that is
//! read.

use std::num::NonZeroU64;

use ringproof::{Consumer, Producer, Ring, RingOptions};

/// `push`, as a caller gets it.
#[unsafe(no_mangle)]
#[inline(never)]
pub extern "C-unwind" fn asm_ring_push(producer: &mut Producer<u64>, value: u64) -> bool {
    producer.push(value).is_ok()
}

/// `pop`, as a caller gets it.
#[unsafe(no_mangle)]
#[inline(never)]
pub extern "C-unwind" fn asm_ring_pop(consumer: &mut Consumer<u64>, value: &mut u64) -> bool {
    match consumer.pop() {
        Ok(taken) => {
            *value = taken;
            true
        }
        Err(_) => false,
    }
}

/// The `push` above with one fault each. The name after `asm_planted_` says which check of
/// `ci/asm.sh` must fail, and anything after two underscores tells two of a kind apart.
mod planted {
    #![allow(
        clippy::disallowed_types,
        reason = "faults that the ring does not have, planted for ci/asm.sh to find"
    )]

    use std::hint::black_box;
    use std::sync::atomic::{AtomicU64, Ordering, fence};

    use super::{NonZeroU64, Producer};

    #[inline(never)]
    extern "C-unwind" fn elsewhere(value: u64) -> u64 {
        black_box(value)
    }

    /// A function called on the way.
    #[unsafe(no_mangle)]
    #[inline(never)]
    pub(super) extern "C-unwind" fn asm_planted_call(
        producer: &mut Producer<u64>,
        value: u64,
    ) -> bool {
        let value = elsewhere(value);
        producer.push(value).is_ok()
    }

    /// A function called at the very end, which is a jump in machine code.
    #[unsafe(no_mangle)]
    #[inline(never)]
    pub(super) extern "C-unwind" fn asm_planted_call__tail(
        producer: &mut Producer<u64>,
        value: u64,
    ) -> u64 {
        let pushed = producer.push(value).is_ok();
        elsewhere(u64::from(pushed))
    }

    /// `% slots` with a number that the compiler does not know.
    #[unsafe(no_mangle)]
    #[inline(never)]
    pub(super) extern "C-unwind" fn asm_planted_division(
        producer: &mut Producer<u64>,
        value: u64,
        slots: NonZeroU64,
    ) -> bool {
        producer.push(value % slots).is_ok()
    }

    /// A read-modify-write where a store would do.
    #[unsafe(no_mangle)]
    #[inline(never)]
    pub(super) extern "C-unwind" fn asm_planted_lock(
        producer: &mut Producer<u64>,
        value: u64,
        index: &AtomicU64,
    ) -> bool {
        index.fetch_add(1, Ordering::Release);
        producer.push(value).is_ok()
    }

    /// A sequentially consistent store: `xchg`, which locks without saying so.
    #[unsafe(no_mangle)]
    #[inline(never)]
    pub(super) extern "C-unwind" fn asm_planted_lock__implied(
        producer: &mut Producer<u64>,
        value: u64,
        index: &AtomicU64,
    ) -> bool {
        index.store(value, Ordering::SeqCst);
        producer.push(value).is_ok()
    }

    /// An unconditional sequentially consistent fence.
    #[unsafe(no_mangle)]
    #[inline(never)]
    pub(super) extern "C-unwind" fn asm_planted_fence(
        producer: &mut Producer<u64>,
        value: u64,
    ) -> bool {
        let pushed = producer.push(value).is_ok();
        fence(Ordering::SeqCst);
        pushed
    }

    /// A slice indexed with a number that the compiler does not know to be within.
    #[unsafe(no_mangle)]
    #[inline(never)]
    pub(super) extern "C-unwind" fn asm_planted_bounds(
        producer: &mut Producer<u64>,
        values: &[u64; 8],
        index: usize,
    ) -> bool {
        producer.push(values[index]).is_ok()
    }

    /// The same check, which here panics nowhere.
    #[unsafe(no_mangle)]
    #[inline(never)]
    pub(super) extern "C-unwind" fn asm_planted_bounds__quiet(
        producer: &mut Producer<u64>,
        values: &[u64; 8],
        index: usize,
    ) -> bool {
        match values.get(index) {
            Some(value) => producer.push(*value).is_ok(),
            None => false,
        }
    }

    /// A second shared word stored on every push.
    #[unsafe(no_mangle)]
    #[inline(never)]
    pub(super) extern "C-unwind" fn asm_planted_store(
        producer: &mut Producer<u64>,
        value: u64,
        count: &AtomicU64,
    ) -> bool {
        count.store(value, Ordering::Relaxed);
        producer.push(value).is_ok()
    }
}

fn main() -> Result<(), ringproof::SegmentError> {
    use std::sync::atomic::Ordering::Relaxed;

    use planted::*;
    #[allow(
        clippy::disallowed_types,
        reason = "what the planted faults work on; no part of a ring"
    )]
    let count = std::sync::atomic::AtomicU64::new(0);
    let slots = NonZeroU64::MIN.saturating_add(6);

    let ring = Ring::<u64>::anonymous(&RingOptions::new(16))?;
    let (mut producer, mut consumer) = (ring.producer()?, ring.consumer()?);
    assert!(asm_ring_push(&mut producer, 1));
    assert!(asm_planted_call(&mut producer, 2));
    assert_eq!(asm_planted_call__tail(&mut producer, 3), 1);
    assert!(asm_planted_division(&mut producer, 11, slots));
    assert!(asm_planted_lock(&mut producer, 5, &count));
    assert!(asm_planted_lock__implied(&mut producer, 6, &count));
    assert!(asm_planted_fence(&mut producer, 7));
    assert!(asm_planted_bounds(&mut producer, &[8; 8], 3));
    assert!(asm_planted_bounds__quiet(&mut producer, &[9; 8], 3));
    assert!(asm_planted_store(&mut producer, 10, &count));
    assert_eq!(count.load(Relaxed), 10);

    let mut value = 0;
    for expected in 1..=10 {
        assert!(asm_ring_pop(&mut consumer, &mut value));
        assert_eq!(value, expected);
    }
    assert!(!asm_ring_pop(&mut consumer, &mut value));
    println!("the functions that ci/asm.sh reads do what they say");
    Ok(())
}
