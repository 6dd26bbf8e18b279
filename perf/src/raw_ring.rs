//! The fastest ring for whole cache lines: bare memory of one kind of page and two indices, no library. No ring that
//! moves lines can be faster by more than what this one's two loops cost.

use std::fs;
use std::sync::atomic::{AtomicU64, Ordering};

use memmap2::{Advice, MmapMut};

use crate::alone::Alone;
use crate::links::{BATCH, Ends};
use crate::stream::Link;

/// The size of the kernel's huge pages on most machines. Where they are larger none is granted for
/// an area of this alignment, and it says so.
const HUGE: usize = 2 << 20;

/// The smallest distance of an area from the ends of its mapping.
const MARGIN: usize = 4096;

/// What the kernel makes the memory of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Pages {
    /// The pages that everything gets that asks for nothing else.
    Ordinary,
    /// Transparent huge pages, by `madvise`.
    Huge,
}

impl Pages {
    /// What tables call them.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Pages::Ordinary => "ordinary pages",
            Pages::Huge => "huge pages",
        }
    }
}

/// The words of a cache line.
#[repr(C, align(64))]
struct Line([AtomicU64; 8]);

/// Memory of one kind of page, every byte of which was written to.
struct Area {
    map: MmapMut,
    start: usize,
    bytes: usize,
}

impl Area {
    /// `bytes` bytes of such pages; they come from the memory near the CPU of the calling thread.
    ///
    /// # Errors
    /// Why there are none, as a clause that follows "because".
    fn new(bytes: usize, pages: Pages) -> Result<Self, String> {
        let inside = bytes.next_multiple_of(HUGE);
        // What lies around the area is not advised: so the kernel keeps the area as a mapping of
        // its own and says of it alone what it is made of.
        let mut map = MmapMut::map_anon(inside + 2 * HUGE)
            .map_err(|error| format!("the system gives no memory: {error}"))?;
        let address = map.as_ptr().addr();
        let start = (address + MARGIN).next_multiple_of(HUGE) - address;
        let advice = match pages {
            Pages::Ordinary => Advice::NoHugePage,
            Pages::Huge => Advice::HugePage,
        };
        match map.advise_range(advice, start, inside) {
            // A kernel that knows no huge pages refuses this, too, and is right.
            Err(_) if pages == Pages::Ordinary => {}
            outcome => outcome.map_err(|error| {
                format!(
                    "madvise(MADV_HUGEPAGE) is refused ({error}): the kernel needs transparent \
                     huge pages"
                )
            })?,
        }
        let area = &mut map[start..start + inside];
        area.fill(1);
        if pages == Pages::Huge {
            let begin = area.as_ptr().addr();
            granted(&smaps()?, begin, inside)?;
        }
        Ok(Area { map, start, bytes })
    }

    /// The lines.
    fn lines(&self) -> &[Line] {
        let first = self.map.as_ptr().wrapping_add(self.start).cast::<Line>();
        // SAFETY: `new` saw to it that so many bytes from `start` on lie within the mapping, which
        // lives as long as `self`, that they begin at a multiple of HUGE and hold values. Any bytes
        // are a line's. Nothing else refers to the mapping after `new`, and lines may be written
        // through shared references, being atomic.
        unsafe { core::slice::from_raw_parts(first, self.bytes / size_of::<Line>()) }
    }
}

fn smaps() -> Result<String, String> {
    let file = "/proc/self/smaps";
    fs::read_to_string(file).map_err(|error| format!("`{file}` cannot be read: {error}"))
}

/// Whether the whole mapping from `begin` on is of huge pages; if not, why.
fn granted(smaps: &str, begin: usize, bytes: usize) -> Result<(), String> {
    let head = format!("{begin:x}-{:x} ", begin + bytes);
    let unsaid = || "`/proc/self/smaps` does not say what the mapping is made of".to_owned();
    // What is said of a mapping begins with capitals; the next mapping begins with its address.
    let mut said = smaps
        .lines()
        .skip_while(|line| !line.starts_with(&head))
        .skip(1)
        .take_while(|line| line.starts_with(|first: char| first.is_ascii_uppercase()));
    let huge = said
        .find_map(|line| line.strip_prefix("AnonHugePages:"))
        .and_then(|value| value.trim().strip_suffix("kB")?.trim().parse().ok());
    let huge: usize = huge.ok_or_else(unsaid)?;
    let wanted = bytes >> 10;
    if huge == wanted {
        return Ok(());
    }
    Err(format!(
        "the kernel made {huge} of {wanted} KiB huge pages: it needs `madvise` or `always` in \
         /sys/kernel/mm/transparent_hugepage/enabled, huge pages of {} MiB and as much free memory \
         in one piece",
        HUGE >> 20
    ))
}

/// Memory and two indices, which count lines.
pub(crate) struct RawRing {
    area: Area,
    written: Alone<AtomicU64>,
    read: Alone<AtomicU64>,
}

impl RawRing {
    /// A ring of so many bytes, a power of two, and at least a batch.
    ///
    /// # Errors
    /// Why there is no such memory, as a clause that follows "because".
    pub(crate) fn new(bytes: usize, pages: Pages) -> Result<Self, String> {
        Ok(RawRing {
            area: Area::new(bytes, pages)?,
            written: Alone::default(),
            read: Alone::default(),
        })
    }

    /// A link through it, for items that are numbered from `first_item` on.
    pub(crate) fn link(&mut self, name: String, first_item: u64) -> Link<'_> {
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
        (ends.sender)(100, batch).unwrap();
        assert!((ends.receiver)(101, batch).is_err());
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

    const SMAPS: &str = "\
7f0000000000-7f0000200000 rw-p 00000000 00:00 0
Rss:                2048 kB
AnonHugePages:         0 kB
7f0000200000-7f0000600000 rw-p 00000000 00:00 0
Rss:                4096 kB
AnonHugePages:      4096 kB
7f0000600000-7f0000a00000 rw-p 00000000 00:00 0
AnonHugePages:      2048 kB
7f0000a00000-7f0000e00000 rw-p 00000000 00:00 0
Rss:                4096 kB
7f0000e00000-7f0001200000 rw-p 00000000 00:00 0
AnonHugePages:      4096 kB
";

    #[test]
    fn huge_pages_that_were_not_granted_are_noticed() {
        let granted = |begin, bytes| granted(SMAPS, begin, bytes);
        assert_eq!(granted(0x7f00_0020_0000, 4 << 20), Ok(()));
        let none = granted(0x7f00_0000_0000, 2 << 20).unwrap_err();
        assert!(none.contains("made 0 of 2048 KiB"), "{none}");
        let half = granted(0x7f00_0060_0000, 4 << 20).unwrap_err();
        assert!(half.contains("made 2048 of 4096 KiB"), "{half}");
        // A mapping that went up in another one, and one of which nothing is said.
        for begin in [0x7f00_0030_0000, 0x7f00_00a0_0000] {
            let unsaid = granted(begin, 4 << 20).unwrap_err();
            assert!(unsaid.contains("does not say"), "{unsaid}");
        }
    }

    #[test]
    fn an_area_is_as_large_as_asked_and_of_pages_as_asked() {
        let area = Area::new(16 << 10, Pages::Ordinary).unwrap();
        assert_eq!(area.lines().len(), 256);
        let begin = area.lines().as_ptr().addr();
        assert_eq!(begin % HUGE, 0);
        let said = granted(&smaps().unwrap(), begin, HUGE);
        assert!(said.is_err(), "{said:?}");
    }
}
