//! A callable that has forgotten its type and lies in place if it is small: what C++ programs have
//! `std::function` and its like for.

use std::mem::MaybeUninit;

/// Room for small callables, as large and as aligned as that of the published table.
type Place = MaybeUninit<[u128; 2]>;

/// Any `Fn(u64) -> u64`: in place up to 32 bytes, else in a box.
pub(super) struct Callable {
    /// An `F`, or a box with one, that `table` was made for.
    place: Place,
    table: &'static Table,
}

/// What can be done with the place of a callable whose type is forgotten.
struct Table {
    /// The place must hold what the table was made for.
    call: unsafe fn(&Place, u64) -> u64,
    /// Likewise; it holds nothing afterwards.
    drop: unsafe fn(&mut Place),
}

const fn fits<F>() -> bool {
    size_of::<F>() <= size_of::<Place>() && align_of::<F>() <= align_of::<Place>()
}

impl Callable {
    /// Forgets the type of `function`. Threads may send and share the callable, so it must allow
    /// that, too.
    pub(super) fn new<F: Fn(u64) -> u64 + Send + Sync + 'static>(function: F) -> Self {
        if const { fits::<F>() } {
            // SAFETY: it fits.
            unsafe { Self::in_place(function) }
        } else {
            // SAFETY: a box is a pointer, which is smaller and less aligned than the place.
            unsafe { Self::in_place(Box::new(function)) }
        }
    }

    /// # Safety
    /// `F` fits.
    unsafe fn in_place<F: Fn(u64) -> u64 + Send + Sync + 'static>(function: F) -> Self {
        let mut place = Place::uninit();
        // SAFETY: the place is as large and as aligned as an `F` needs, which the caller promises,
        // and holds nothing yet.
        unsafe { place.as_mut_ptr().cast::<F>().write(function) };
        Callable {
            place,
            table: const {
                &Table {
                    call: call::<F>,
                    drop: drop::<F>,
                }
            },
        }
    }

    /// Calls it.
    #[inline]
    pub(super) fn call(&self, number: u64) -> u64 {
        // SAFETY: the place has held what the table was made for since both were set, together.
        unsafe { (self.table.call)(&self.place, number) }
    }
}

/// # Safety
/// The place holds an `F`.
unsafe fn call<F: Fn(u64) -> u64>(place: &Place, number: u64) -> u64 {
    // SAFETY: as the caller promises; the reference to it lives no longer than the one to the place.
    let function = unsafe { &*place.as_ptr().cast::<F>() };
    function(number)
}

/// # Safety
/// The place holds an `F`, which is not used any more.
unsafe fn drop<F>(place: &mut Place) {
    // SAFETY: as the caller promises.
    unsafe { place.as_mut_ptr().cast::<F>().drop_in_place() }
}

impl Drop for Callable {
    fn drop(&mut self) {
        // SAFETY: the place still holds what the table was made for, and this is its last use.
        unsafe { (self.table.drop)(&mut self.place) }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::thread;

    use super::*;

    /// A callable that answers with the address of what it has captured.
    fn captures<T: Send + Sync + 'static>(captured: T) -> Callable {
        Callable::new(move |_| core::ptr::from_ref(&captured).addr() as u64)
    }

    fn is_in_place(callable: &Callable) -> bool {
        let start = core::ptr::from_ref(callable).addr() as u64;
        (start..start + size_of::<Callable>() as u64).contains(&callable.call(0))
    }

    #[test]
    fn what_is_small_lies_in_place_and_what_is_not_in_a_box() {
        #[repr(align(64))]
        struct Line(#[expect(dead_code, reason = "only its place matters")] u8);

        assert!(is_in_place(&captures([0_u8; 1])));
        assert!(is_in_place(&captures([0_u64; 4])));
        assert!(!is_in_place(&captures([0_u64; 5])));
        let aligned = captures(Line(0));
        assert!(!is_in_place(&aligned));
        assert_eq!(aligned.call(0) % 64, 0);
    }

    #[test]
    fn it_answers_after_a_move_and_drops_what_it_captured_once() {
        let captured = Arc::new(7);
        let (small, large) = (
            Arc::clone(&captured),
            [(); 9].map(|()| Arc::clone(&captured)),
        );
        let callables = vec![
            Callable::new(|number| number),
            Callable::new(move |number| number + *small),
            Callable::new(move |number| number + *large[8]),
        ];
        assert_eq!(Arc::strong_count(&captured), 11);
        // In other memory, by another thread.
        let answers = thread::spawn(move || {
            let moved: Vec<Box<Callable>> = callables.into_iter().map(Box::new).collect();
            moved
                .iter()
                .map(|callable| callable.call(1))
                .collect::<Vec<u64>>()
        });
        assert_eq!(answers.join().unwrap(), [1, 8, 8]);
        assert_eq!(Arc::strong_count(&captured), 1);
    }
}
