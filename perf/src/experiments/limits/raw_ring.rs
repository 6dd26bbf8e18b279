//! The fastest ring for whole cache lines: bare memory and two indices, no library. No ring that
//! moves lines can be faster by more than what this one's two loops cost.

use std::sync::atomic::{AtomicU64, Ordering};

use super::area::{Area, Line, Pages};
use crate::links::{BATCH, Ends};
use crate::stream::Link;

/// A word that has its cache line, and the next one, to itself.
#[derive(Default)]
#[repr(align(256))]
struct Alone(AtomicU64);

/// Memory and two indices, which count lines.
pub(super) struct RawRing {
    area: Area,
    written: Alone,
    read: Alone,
}

impl RawRing {
    /// A ring of so many bytes, a power of two, and at least a batch.
    ///
    /// # Errors
    /// Why there is no such memory, as a clause that follows "because".
    pub(super) fn new(bytes: usize, pages: Pages) -> Result<Self, String> {
        Ok(RawRing {
            area: Area::new(bytes, pages)?,
            written: Alone::default(),
            read: Alone::default(),
        })
    }

    /// A link through it, for items that are numbered from `first_item` on.
    pub(super) fn link(&mut self, name: String, first_item: u64) -> Link<'_> {
        let warm_up = self.area.lines().len() as u64;
        self.ends().link(name, warm_up, first_item)
    }

    /// The two ends of the empty ring. There are no others, because these borrow it exclusively.
    fn ends(&mut self) -> Ends<'_> {
        let lines = self.area.lines();
        let (written, read) = (&mut self.written.0, &mut self.read.0);
        *written.get_mut() = 0;
        *read.get_mut() = 0;
        let (written, read) = (&*written, &*read);

        let (mut position, mut seen_read) = (0_u64, 0);
        let send = move |first: u64| {
            if position + BATCH as u64 > seen_read + lines.len() as u64 {
                // Acquire: the receiver has read what these lines held before they are written.
                seen_read = read.load(Ordering::Acquire);
                if position + BATCH as u64 > seen_read + lines.len() as u64 {
                    return false;
                }
            }
            for (line, index) in batch(lines, position).iter().zip(0..) {
                // SAFETY: nothing else accesses this line until `written` is stored below: the one
                // receiver has read as far as `seen_read` says and goes no further than `written`,
                // and there is no other sender.
                unsafe { line.write(first.wrapping_add(index)) };
            }
            position += BATCH as u64;
            // Release: the lines hold the items before the index that announces them.
            written.store(position, Ordering::Release);
            true
        };

        let (mut position, mut seen_written) = (0_u64, 0);
        let receive = move |first: u64| {
            if position == seen_written {
                // Acquire: the lines hold the items once the index is seen.
                seen_written = written.load(Ordering::Acquire);
                if position == seen_written {
                    return None;
                }
            }
            let mut wrong = 0;
            for (line, index) in batch(lines, position).iter().zip(0..) {
                // SAFETY: nothing writes this line until `read` is stored below: the one sender has
                // written as far as `seen_written` says, whole batches, and waits for `read`
                // before it writes this line again.
                wrong |= unsafe { line.difference(first.wrapping_add(index)) };
            }
            position += BATCH as u64;
            // Release: the lines are read before the index that frees them.
            read.store(position, Ordering::Release);
            Some(wrong)
        };
        Ends::in_place(send, receive)
    }
}

/// The lines of the batch that begins at a position.
#[inline(always)]
fn batch(lines: &[Line], position: u64) -> &[Line] {
    // A ring has a power of two of lines, at least a batch, and positions are whole batches.
    let first = position as usize & (lines.len() - 1);
    &lines[first..first + BATCH]
}

/// The words of item `item`.
#[inline(always)]
fn words(item: u64) -> [u64; 8] {
    core::array::from_fn(|index| item ^ index as u64)
}

impl Line {
    /// Writes an item, by plain stores as wide as the processor has them.
    ///
    /// # Safety
    /// Nothing else accesses the line meanwhile.
    #[inline(always)]
    unsafe fn write(&self, item: u64) {
        let line = self.0.as_ptr().cast_mut().cast::<[u64; 8]>();
        // SAFETY: the pointer is to the eight words, which may be written through a shared
        // reference; that nothing else accesses them is the caller's promise.
        unsafe { line.write(words(item)) };
    }

    /// Zero if the line holds the item.
    ///
    /// # Safety
    /// Nothing writes the line meanwhile.
    #[inline(always)]
    unsafe fn difference(&self, item: u64) -> u64 {
        // SAFETY: the pointer is to the eight words; that nothing writes them is the caller's
        // promise.
        let held = unsafe { self.0.as_ptr().cast::<[u64; 8]>().read() };
        let both = held.into_iter().zip(words(item));
        both.fold(0, |wrong, (held, expected)| wrong | (held ^ expected))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cpus::Pair;

    #[test]
    fn what_is_sent_is_received_and_what_was_not_is_noticed() {
        let mut ring = RawRing::new(16 << 10, Pages::Ordinary).unwrap();
        let batch = BATCH as u64;
        for _ in 0..2 {
            let mut link = ring.link("ring".to_owned(), 7);
            // Around the ring more than once.
            link.run(Pair::anywhere(), 10 * batch, false).unwrap();
        }
        let mut ends = ring.ends();
        ends.sender.send(100, batch).unwrap();
        assert!(ends.receiver.receive(101, batch).is_err());
    }

    #[test]
    fn one_bit_in_the_last_word_makes_a_line_another() {
        let line = Line([const { AtomicU64::new(0) }; 8]);
        // SAFETY: nothing else knows this line.
        unsafe { line.write(5) };
        // SAFETY: likewise.
        assert_eq!(unsafe { line.difference(5) }, 0);
        line.0[7].fetch_xor(1, Ordering::Relaxed);
        // SAFETY: likewise.
        assert_eq!(unsafe { line.difference(5) }, 1);
    }
}
