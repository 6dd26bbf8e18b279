//! The two ends of a ring behind one table of functions, whether they are C's or Rust's.
//!
//! Both are called through pointers, by the same code, which makes and checks the items: what
//! differs is what stands behind the pointers.

use std::marker::PhantomData;
use std::slice;
use std::sync::Arc;

use ringproof::{Consumer, Producer, Ring, SegmentError};

use crate::alone::Alone;
use crate::links::{self, BATCH, Way, difference, number};

pub(super) use with_c::{compiler, ends};

/// `struct ends` of ends.c, or [`InRust`].
#[repr(C)]
pub(super) struct Raw {
    _private: [u8; 0],
}

type Fill = unsafe extern "C" fn(*mut u64, usize, u64);
type Check = unsafe extern "C" fn(*const u64, usize, u64) -> u64;

/// `struct calls` of ends.c. Each function takes ends that are open; those that send touch the
/// producer only and those that receive the consumer only, and pointers lead to as many items as
/// is said.
#[repr(C)]
#[derive(Clone, Copy)]
pub(super) struct Calls {
    push: unsafe extern "C" fn(*mut Raw, u64) -> bool,
    pop: unsafe extern "C" fn(*mut Raw, *mut u64) -> bool,
    push_slice: unsafe extern "C" fn(*mut Raw, *const u64, usize) -> usize,
    pop_slice: unsafe extern "C" fn(*mut Raw, *mut u64, usize) -> usize,
    write_in_place: unsafe extern "C" fn(*mut Raw, usize, u64, Fill) -> bool,
    read_in_place: unsafe extern "C" fn(*mut Raw, usize, u64, Check, *mut u64) -> bool,
    close: unsafe extern "C" fn(*mut Raw),
}

unsafe extern "C" fn fill(items: *mut u64, len: usize, first: u64) {
    if len > 0 {
        // SAFETY: of a chunk that is the caller's alone, by the contract of `Calls`.
        number(unsafe { slice::from_raw_parts_mut(items, len) }, first);
    }
}

unsafe extern "C" fn check(items: *const u64, len: usize, first: u64) -> u64 {
    if len == 0 {
        return 0;
    }
    // SAFETY: of a chunk that is not written to meanwhile, by the contract of `Calls`.
    difference(unsafe { slice::from_raw_parts(items, len) }, first)
}

/// Open ends, closed when this is dropped.
pub(super) struct Ends<'r> {
    raw: *mut Raw,
    calls: Calls,
    /// The ring outlives them.
    _ring: PhantomData<&'r ()>,
}

// SAFETY: what the pointer leads to is no thread's own, and may be closed by any.
unsafe impl Send for Ends<'_> {}
// SAFETY: only what `used` gives does anything with it: see there.
unsafe impl Sync for Ends<'_> {}

impl Drop for Ends<'_> {
    fn drop(&mut self) {
        // SAFETY: open until here, and closed once.
        unsafe { (self.calls.close)(self.raw) }
    }
}

/// The two ends of one ring, as Rust has them.
struct InRust {
    /// Each belongs to a thread of its own.
    producer: Alone<Producer<u64>>,
    consumer: Alone<Consumer<u64>>,
}

impl<'r> Ends<'r> {
    /// Of ends that were opened and are closed by this alone.
    ///
    /// # Safety
    /// They are open, are ends of a ring of `u64`, and are what `calls` are for; they need nothing
    /// that ends before `'r`.
    pub(super) unsafe fn new(raw: *mut Raw, calls: Calls) -> Self {
        Ends {
            raw,
            calls,
            _ring: PhantomData,
        }
    }

    /// Rust's ends of a ring.
    pub(super) fn in_rust(ring: &'r Ring<u64>) -> Result<Self, SegmentError> {
        let ends = Box::new(InRust {
            producer: Alone(ring.producer()?),
            consumer: Alone(ring.consumer()?),
        });
        // SAFETY: just opened, and closed by `in_rust::close`, which takes the box back.
        Ok(unsafe { Ends::new(Box::into_raw(ends).cast(), in_rust::CALLS) })
    }

    /// Both ends, used in that way; the ring is closed with the last of them.
    pub(super) fn used(self, way: Way) -> links::Ends<'r> {
        let Calls {
            push,
            pop,
            push_slice,
            pop_slice,
            write_in_place,
            read_in_place,
            ..
        } = self.calls;
        // One for each thread: the producer is used by one, and the consumer by the other.
        let (sending, receiving) = {
            let ends = Arc::new(self);
            (ends.clone(), ends)
        };
        match way {
            Way::OneByOne => links::Ends::one_by_one(
                // SAFETY: the ends are open, and nothing else uses the producer.
                move |item| unsafe { push(sending.raw, item) },
                move || {
                    let mut item = 0;
                    // SAFETY: the ends are open, and nothing else uses the consumer.
                    unsafe { pop(receiving.raw, &mut item) }.then_some(item)
                },
            ),
            Way::Slices | Way::Chunks => links::Ends::slices(
                // SAFETY: as above; the slice is as long as it says.
                move |items: &[u64]| unsafe {
                    push_slice(sending.raw, items.as_ptr(), items.len())
                },
                // SAFETY: as above.
                move |items: &mut [u64]| unsafe {
                    pop_slice(receiving.raw, items.as_mut_ptr(), items.len())
                },
            ),
            Way::InPlace => links::Ends::in_place(
                // SAFETY: as above.
                move |first| unsafe { write_in_place(sending.raw, BATCH, first, fill) },
                move |first| {
                    let (raw, mut wrong) = (receiving.raw, 0);
                    // SAFETY: as above.
                    unsafe { read_in_place(raw, BATCH, first, check, &mut wrong) }.then_some(wrong)
                },
            ),
        }
    }
}

/// Rust's side of the table.
mod in_rust {
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

    unsafe extern "C" fn write_in_place(
        ends: *mut Raw,
        len: usize,
        first: u64,
        fill: Fill,
    ) -> bool {
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
                    *wrong = check(one.as_ptr(), one.len(), first)
                        | check(two.as_ptr(), two.len(), second);
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
}

/// Which compiler made the C ends and how; or why none did.
const COMPILED: &str = env!("RINGPROOF_C");

#[cfg(with_c)]
mod with_c {
    use std::ffi::{CStr, CString, c_char};

    use super::{COMPILED, Calls, Ends, Raw};

    unsafe extern "C" {
        // SAFETY: a constant of ends.c, of the type that `Calls` mirrors.
        #[link_name = "ringproof_perf_calls"]
        safe static CALLS: Calls;
        #[link_name = "ringproof_perf_ends_open"]
        fn open(name: *const c_char, why: *mut c_char, room: usize) -> *mut Raw;
    }

    /// Which compiler made the C ends, and how.
    pub(in super::super) fn compiler() -> Result<&'static str, String> {
        Ok(COMPILED)
    }

    /// Both ends of the ring of this name, as C has them; or why not.
    pub(in super::super) fn ends(name: &str) -> Result<Ends<'static>, String> {
        let name = CString::new(name).map_err(|_| "a name with a zero in it".to_owned())?;
        let mut why = [0_u8; 512];
        // SAFETY: a string of C, and room for as many bytes as is said.
        let raw = unsafe { open(name.as_ptr(), why.as_mut_ptr().cast(), why.len()) };
        if raw.is_null() {
            let why = CStr::from_bytes_until_nul(&why).unwrap_or_default();
            return Err(format!("C: {}", why.to_string_lossy()));
        }
        // SAFETY: just opened, of `u64` by its shape, with a mapping of its own.
        Ok(unsafe { Ends::new(raw, CALLS) })
    }
}

#[cfg(not(with_c))]
mod with_c {
    use super::{COMPILED, Ends};

    /// Why there are no C ends: the build script found no compiler for them.
    pub(in super::super) fn compiler() -> Result<&'static str, String> {
        Err(format!(
            "this program was built without C ({COMPILED}); have a C compiler, or name one in CC, and \
             build again"
        ))
    }

    /// There are none.
    pub(in super::super) fn ends(_: &str) -> Result<Ends<'static>, String> {
        Err(COMPILED.to_owned())
    }
}
