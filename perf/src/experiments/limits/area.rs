//! Memory of one kind of page.

use std::fs;
use std::sync::atomic::AtomicU64;

use memmap2::{Advice, MmapMut};

/// The size of the kernel's huge pages on most machines. Where they are larger none is granted for
/// an area of this alignment, and it says so.
const HUGE: usize = 2 << 20;

/// The smallest distance of an area from the ends of its mapping.
const MARGIN: usize = 4096;

/// What the kernel makes the memory of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Pages {
    /// The pages that everything gets that asks for nothing else.
    Ordinary,
    /// Transparent huge pages, by `madvise`.
    Huge,
}

impl Pages {
    /// What tables call them.
    pub(super) fn name(self) -> &'static str {
        match self {
            Pages::Ordinary => "ordinary pages",
            Pages::Huge => "huge pages",
        }
    }
}

/// The words of a cache line.
#[derive(Debug)]
#[repr(C, align(64))]
pub(super) struct Line(pub(super) [AtomicU64; 8]);

/// Memory of one kind of page, every byte of which was written to.
pub(super) struct Area {
    map: MmapMut,
    start: usize,
    bytes: usize,
}

impl Area {
    /// `bytes` bytes of such pages; they come from the memory near the CPU of the calling thread.
    ///
    /// # Errors
    /// Why there are none, as a clause that follows "because".
    pub(super) fn new(bytes: usize, pages: Pages) -> Result<Self, String> {
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
    pub(super) fn lines(&self) -> &[Line] {
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

#[cfg(test)]
mod tests {
    use super::*;

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
