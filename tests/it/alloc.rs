//! Measures how much memory a piece of code has at most.
//!
//! Counts for each thread apart, so that tests running at the same time do not disturb each other;
//! memory that another thread allocates on behalf of the measured code is not seen.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

thread_local! {
    /// Bytes this thread allocated and did not free. Negative when it frees what others allocated.
    static LIVE: Cell<isize> = const { Cell::new(0) };
    /// The most that `LIVE` was since the measurement began.
    static PEAK: Cell<isize> = const { Cell::new(0) };
    /// How often this thread asked for memory.
    static COUNT: Cell<usize> = const { Cell::new(0) };
}

struct Counting;

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// Runs `f`; the second half of the result is the most memory, in bytes, that it had at any moment
/// beyond what the thread had before.
pub(crate) fn peak_during<T>(f: impl FnOnce() -> T) -> (T, usize) {
    let before = LIVE.get();
    PEAK.set(before);
    let result = f();
    let peak = PEAK.get() - before;
    (result, usize::try_from(peak).unwrap_or(0))
}

/// Runs `f`; the second half of the result is how often it asked for memory.
pub(crate) fn count_during<T>(f: impl FnOnce() -> T) -> (T, usize) {
    let before = COUNT.get();
    let result = f();
    (result, COUNT.get() - before)
}

fn count(grown: usize, shrunk: usize) {
    let signed = |len: usize| isize::try_from(len).unwrap_or(isize::MAX);
    if grown > 0 {
        let _ = COUNT.try_with(|count| count.set(count.get() + 1));
    }
    // The thread-locals are gone while a thread ends; nobody measures then.
    let _ = LIVE.try_with(|live| {
        let most = live.get() + signed(grown);
        let _ = PEAK.try_with(|peak| peak.set(peak.get().max(most)));
        live.set(most - signed(shrunk));
    });
}

#[expect(unsafe_code, reason = "an allocator cannot be written without")]
// SAFETY: every call is handed on to the system's allocator as it is; counting allocates nothing.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(layout.size(), 0);
        // SAFETY: the caller keeps the contract of `alloc`, which is the same here.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        count(layout.size(), 0);
        // SAFETY: as above.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        count(0, layout.size());
        // SAFETY: as above.
        unsafe { System.dealloc(block, layout) }
    }

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, new_len: usize) -> *mut u8 {
        // Both blocks may exist for a moment.
        count(new_len, layout.size());
        // SAFETY: as above.
        unsafe { System.realloc(block, layout, new_len) }
    }
}

#[test]
fn the_peak_is_what_was_held_at_once() {
    let ((), peak) = peak_during(|| {
        drop(vec![0u8; 3 << 20]);
        drop(vec![0u8; 1 << 20]);
    });
    assert!((3 << 20..4 << 20).contains(&peak), "{peak}");
    let ((), count) = count_during(|| drop((vec![0u8; 10], vec![0u8; 10])));
    assert_eq!(count, 2);
}
