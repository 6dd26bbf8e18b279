//! An allocator whose large blocks begin on a page, as our segments do.
//!
//! A ring on the heap lies where the allocator puts it, and mostly that is 16 bytes into a cache
//! line: then a batch of whole lines touches one line more, and streams up to a third slower in
//! one run than in the next. Here the peer's memory begins on a page: the peer at its best, and
//! the same in every run.

use std::alloc::{GlobalAlloc, Layout, System};

/// Blocks from this size on are aligned to it.
const PAGE: usize = 4096;

/// The system's allocator with large blocks on pages.
struct OnPages;

#[global_allocator]
static ALLOCATOR: OnPages = OnPages;

fn on_a_page(layout: Layout) -> Layout {
    if layout.size() < PAGE {
        return layout;
    }
    // It fails only for a size near isize::MAX, which the system refuses by itself.
    layout.align_to(PAGE).unwrap_or(layout)
}

// SAFETY: every block comes from the system's allocator and goes back to it under the same layout,
// since `on_a_page` depends on nothing but the layout that the caller must repeat; a larger
// alignment than asked for keeps the contract. `realloc` and `alloc_zeroed` are the provided ones,
// made of these two.
unsafe impl GlobalAlloc for OnPages {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller's promises, for a layout of the same size.
        unsafe { System.alloc(on_a_page(layout)) }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        // SAFETY: `alloc` made the block under the layout that this one maps to.
        unsafe { System.dealloc(block, on_a_page(layout)) }
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn a_large_block_begins_on_a_page_and_keeps_its_content_when_it_grows() {
        let mut numbers: Vec<u64> = (0..1024).collect();
        assert_eq!(numbers.as_ptr().addr() % super::PAGE, 0);
        numbers.extend(1024..100_000);
        assert_eq!(numbers.as_ptr().addr() % super::PAGE, 0);
        assert!(numbers.iter().copied().eq(0..100_000));
    }
}
