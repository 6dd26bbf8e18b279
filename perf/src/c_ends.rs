//! The two ends of a ring behind one table of functions, whether they are C's or Rust's.
//!
//! Both are called through pointers, by the same code, which makes and checks the items: what
//! differs is what stands behind the pointers.

mod in_rust;

use std::marker::PhantomData;
use std::slice;
use std::sync::Arc;

use ringproof::{Consumer, Producer, Ring, SegmentError};

use crate::alone::Alone;
use crate::links::{self, BATCH, Size, Way, difference, number};
use crate::report::Trouble;

/// `struct ends` of ends.c, or [`InRust`].
#[repr(C)]
struct Raw {
    _private: [u8; 0],
}

type Fill = unsafe extern "C" fn(*mut u64, usize, u64);
type Check = unsafe extern "C" fn(*const u64, usize, u64) -> u64;

/// `struct calls` of ends.c. Each function takes ends that are open; those that send touch the
/// producer only and those that receive the consumer only, and pointers lead to as many items as
/// is said.
#[repr(C)]
#[derive(Clone, Copy)]
struct Calls {
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
pub(crate) struct Ends<'r> {
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
    unsafe fn new(raw: *mut Raw, calls: Calls) -> Self {
        Ends {
            raw,
            calls,
            _ring: PhantomData,
        }
    }

    /// Rust's ends of a ring.
    fn in_rust(ring: &'r Ring<u64>) -> Result<Self, SegmentError> {
        let ends = Box::new(InRust {
            producer: Alone(ring.producer()?),
            consumer: Alone(ring.consumer()?),
        });
        // SAFETY: just opened, and closed by `in_rust::close`, which takes the box back.
        Ok(unsafe { Ends::new(Box::into_raw(ends).cast(), in_rust::CALLS) })
    }

    /// Both ends, used in that way; the ring is closed with the last of them.
    pub(crate) fn used(self, way: Way) -> links::Ends<'r> {
        let calls = self.calls;
        // One for each thread: the producer is used by one, and the consumer by the other.
        let (sending, receiving) = {
            let ends = Arc::new(self);
            (ends.clone(), ends)
        };
        match way {
            Way::OneByOne => links::Ends::one_by_one(
                // SAFETY: the ends are open, and nothing else uses the producer.
                move |item| unsafe { (calls.push)(sending.raw, item) },
                move || {
                    let mut item = 0;
                    // SAFETY: the ends are open, and nothing else uses the consumer.
                    unsafe { (calls.pop)(receiving.raw, &mut item) }.then_some(item)
                },
            ),
            Way::Slices | Way::Chunks => links::Ends::slices(
                // SAFETY: as above; the slice is as long as it says.
                move |items: &[u64]| unsafe {
                    (calls.push_slice)(sending.raw, items.as_ptr(), items.len())
                },
                // SAFETY: as above.
                move |items: &mut [u64]| unsafe {
                    (calls.pop_slice)(receiving.raw, items.as_mut_ptr(), items.len())
                },
            ),
            Way::InPlace => links::Ends::in_place(
                // SAFETY: as above.
                move |first| unsafe { (calls.write_in_place)(sending.raw, BATCH, first, fill) },
                move |first| {
                    let (raw, mut wrong) = (receiving.raw, 0);
                    // SAFETY: as above.
                    unsafe { (calls.read_in_place)(raw, BATCH, first, check, &mut wrong) }
                        .then_some(wrong)
                },
            ),
        }
    }
}

/// A ring of a name, by which C can attach to it; gone with this.
pub(crate) struct Named {
    name: String,
    ring: Ring<u64>,
}

/// What is said where there can be none.
const NO_RING: &str = "no ring could be made";

impl Named {
    /// Makes one; names that differ in `number` differ.
    pub(crate) fn create(number: usize, size: Size) -> Result<Self, Trouble> {
        let name = format!("ringproof-perf-{}-{number}", std::process::id());
        let ring = Ring::create(&name, &size.options()).map_err(Trouble::of(NO_RING))?;
        Ok(Named { name, ring })
    }

    /// How many slots it has.
    pub(crate) fn slots(&self) -> u64 {
        self.ring.segment().fixed().slots
    }

    /// Its ends, as C has them, or as Rust does.
    pub(crate) fn ends(&self, in_c: bool) -> Result<Ends<'_>, Trouble> {
        match in_c {
            true => ends(&self.name).map_err(Trouble::Failed),
            false => Ends::in_rust(&self.ring).map_err(Trouble::of(NO_RING)),
        }
    }
}

impl Drop for Named {
    fn drop(&mut self) {
        // If it fails there is nothing else to do.
        let _ = self.ring.segment().unlink();
    }
}

/// Which compiler made the C ends and how; or why none did.
const COMPILED: &str = env!("RINGPROOF_C");

/// Which compiler made the C ends, and how; or why there are none.
pub(crate) fn compiler() -> Result<&'static str, String> {
    if cfg!(with_c) {
        return Ok(COMPILED);
    }
    Err(format!(
        "this program was built without C ({COMPILED}); have a C compiler, or name one in CC, and \
         build again"
    ))
}

/// Both ends of the ring of this name, as C has them; or why not.
#[cfg(with_c)]
fn ends(name: &str) -> Result<Ends<'static>, String> {
    use std::ffi::{CStr, CString, c_char};

    unsafe extern "C" {
        // SAFETY: a constant of ends.c, of the type that `Calls` mirrors.
        #[link_name = "ringproof_perf_calls"]
        safe static CALLS: Calls;
        #[link_name = "ringproof_perf_ends_open"]
        fn open(name: *const c_char, why: *mut c_char, room: usize) -> *mut Raw;
    }

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

/// There are none: the build script found no compiler for them.
#[cfg(not(with_c))]
fn ends(_: &str) -> Result<Ends<'static>, String> {
    Err(COMPILED.to_owned())
}
