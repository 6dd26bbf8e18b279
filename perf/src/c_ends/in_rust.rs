//! Rust's side of the table.

use super::*;

pub(super) const CALLS: Calls = Calls {
    push,
    pop,
    push_slice,
    pop_slice,
    write_in_place,
    read_in_place,
    close,
};

/// The producer of ends that [`Ends::in_rust`] opened.
///
/// # Safety
/// The ends are open, and nothing else uses their producer as long as this is in use.
unsafe fn producer<'a>(ends: *mut Raw) -> &'a mut Producer<u64> {
    // SAFETY: the caller's word. No reference to the whole is made: the consumer is in use.
    unsafe { &mut (*ends.cast::<InRust>()).producer.0 }
}

/// The consumer of ends that [`Ends::in_rust`] opened.
///
/// # Safety
/// As for [`producer`].
unsafe fn consumer<'a>(ends: *mut Raw) -> &'a mut Consumer<u64> {
    // SAFETY: as in `producer`.
    unsafe { &mut (*ends.cast::<InRust>()).consumer.0 }
}

unsafe extern "C" fn push(ends: *mut Raw, item: u64) -> bool {
    // SAFETY: by the contract of `Calls`; so below.
    unsafe { producer(ends) }.push(item).is_ok()
}

unsafe extern "C" fn pop(ends: *mut Raw, item: *mut u64) -> bool {
    // SAFETY: as above.
    match unsafe { consumer(ends) }.pop() {
        Ok(popped) => {
            // SAFETY: as above: it leads to one item.
            unsafe { *item = popped };
            true
        }
        Err(_) => false,
    }
}

unsafe extern "C" fn push_slice(ends: *mut Raw, items: *const u64, len: usize) -> usize {
    // SAFETY: as above.
    let (producer, items) = unsafe { (producer(ends), slice::from_raw_parts(items, len)) };
    producer.push_slice(items).unwrap_or(0)
}

unsafe extern "C" fn pop_slice(ends: *mut Raw, items: *mut u64, len: usize) -> usize {
    // SAFETY: as above.
    let (consumer, items) = unsafe { (consumer(ends), slice::from_raw_parts_mut(items, len)) };
    consumer.pop_slice(items).unwrap_or(0)
}

unsafe extern "C" fn write_in_place(ends: *mut Raw, len: usize, first: u64, fill: Fill) -> bool {
    // SAFETY: as above.
    match unsafe { producer(ends) }.reserve(len) {
        Ok(mut chunk) if chunk.len() == len => {
            // SAFETY: both ends of this ring are in this process and keep to its protocol.
            let (one, two) = unsafe { chunk.as_mut_slices() };
            let second = first.wrapping_add(one.len() as u64);
            // SAFETY: two slices, as long as they say.
            unsafe {
                fill(one.as_mut_ptr(), one.len(), first);
                fill(two.as_mut_ptr(), two.len(), second);
            }
            chunk.commit(len).is_ok()
        }
        _ => false,
    }
}

unsafe extern "C" fn read_in_place(
    ends: *mut Raw,
    len: usize,
    first: u64,
    check: Check,
    wrong: *mut u64,
) -> bool {
    // SAFETY: as above.
    match unsafe { consumer(ends) }.peek(len) {
        Ok(chunk) if chunk.len() == len => {
            // SAFETY: both ends of this ring are in this process and keep to its protocol.
            let (one, two) = unsafe { chunk.as_slices() };
            let second = first.wrapping_add(one.len() as u64);
            // SAFETY: two slices, as long as they say, and one word.
            unsafe {
                *wrong =
                    check(one.as_ptr(), one.len(), first) | check(two.as_ptr(), two.len(), second);
            }
            chunk.release(len).is_ok()
        }
        _ => false,
    }
}

unsafe extern "C" fn close(ends: *mut Raw) {
    // SAFETY: it was a box in `Ends::in_rust`, and it is not used any more.
    drop(unsafe { Box::from_raw(ends.cast::<InRust>()) });
}
