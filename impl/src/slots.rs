//! The slots of a ring, found by position without a division or a bounds check.

use crate::memory::Cells;
use crate::payload::Payload;

/// A power of two of slots, cycled through by ever-growing positions.
pub struct Slots<'a, C: Cells, T: Payload> {
    // Invariant: the length is a power of two, so `mask()` is below it.
    cells: &'a [C::Slot<T>],
}

/// Slots that lie one after the other.
pub(crate) type Run<'a, C, T> = &'a [<C as Cells>::Slot<T>];

impl<C: Cells, T: Payload> Clone for Slots<'_, C, T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<C: Cells, T: Payload> Copy for Slots<'_, C, T> {}

impl<'a, C: Cells, T: Payload> Slots<'a, C, T> {
    /// Takes `cells` as slots; `None` unless their number is a power of two.
    pub fn new(cells: &'a [C::Slot<T>]) -> Option<Self> {
        cells.len().is_power_of_two().then_some(Slots { cells })
    }

    /// How many there are.
    #[inline(always)]
    pub fn count(&self) -> u64 {
        self.cells.len() as u64
    }

    /// The number of the slot that holds `position`.
    #[inline(always)]
    fn number(&self, position: u64) -> usize {
        // Truncation keeps the low bits, the only ones under the mask.
        position as usize & (self.cells.len() - 1)
    }

    /// The slot that holds `position`, as a slice of one.
    #[inline(always)]
    pub(crate) fn at(&self, position: u64) -> Run<'a, C, T> {
        let number = self.number(position);
        // SAFETY: `number` is at most `len - 1`, because the length is a power of two (the
        // invariant above) and therefore not zero.
        core::slice::from_ref(unsafe { self.cells.get_unchecked(number) })
    }

    /// The slots that hold the `count` positions from `start`, as the two runs before and after
    /// the end of memory. A count above the number of slots is cut to it.
    #[inline]
    pub(crate) fn runs(&self, start: u64, count: usize) -> (Run<'a, C, T>, Run<'a, C, T>) {
        // SAFETY: `number` is at most `len - 1`, as in `at`.
        let (wrapped, first) = unsafe { self.cells.split_at_unchecked(self.number(start)) };
        match first.get(..count) {
            Some(whole) => (whole, &[]),
            None => {
                let rest = (count - first.len()).min(wrapped.len());
                (first, &wrapped[..rest])
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::memory::Native;

    #[test]
    fn only_a_power_of_two_is_taken() {
        for (count, good) in [(0, false), (1, true), (2, true), (3, false), (8, true)] {
            let cells: Vec<_> = (0..count).map(|i: u64| Native::slot(i)).collect();
            assert_eq!(
                Slots::<Native, u64>::new(&cells).is_some(),
                good,
                "{count} slots"
            );
        }
    }

    #[test]
    fn runs_cover_consecutive_slots_and_wrap_once() {
        let cells: Vec<_> = (0..8).map(|i: u64| Native::slot(i)).collect();
        let slots = Slots::<Native, u64>::new(&cells).unwrap();
        let address = |slot: &crate::memory::Slot<u64>| core::ptr::from_ref(slot);
        for start in [0, 5, 7, u64::MAX - 2, u64::MAX] {
            for count in 0..=8usize {
                let (first, second) = slots.runs(start, count);
                let found: Vec<_> = first.iter().chain(second).map(address).collect();
                let wanted: Vec<_> = (0..count as u64)
                    .map(|i| address(&slots.at(start.wrapping_add(i))[0]))
                    .collect();
                assert_eq!(found, wanted, "start {start}, count {count}");
            }
        }
    }
}
