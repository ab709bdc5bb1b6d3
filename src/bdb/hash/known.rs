//! What lookups in one file have found out so far, so that it is not looked at again.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};

use crate::bdb::PageNo;

/// What is known about a page of a file that does not change.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Mark {
    /// Nothing.
    Unknown = 0,
    /// All keys are on the page, in order and in their bucket: halving finds what is there.
    Sound = 1,
    /// The page is reserved for a bucket that is not in use, and holds nothing.
    Empty = 2,
}

/// What is known about a file. The marks and the list of pages are for files that do not change.
pub(super) struct Known {
    marks: Box<[AtomicU8]>,
    behind: OnceLock<Box<[PageNo]>>,
    places: AtomicBool,
}

impl Known {
    /// Nothing yet, about a file of `count` pages.
    pub(super) fn new(count: u32) -> Known {
        Known {
            marks: (0..count)
                .map(|_| AtomicU8::new(Mark::Unknown as u8))
                .collect(),
            behind: OnceLock::new(),
            places: AtomicBool::new(false),
        }
    }

    // Marks guard nothing: a thread that does not see one yet finds out for itself.

    #[inline]
    pub(super) fn is(&self, page: PageNo, mark: Mark) -> bool {
        let known = self.marks.get(page.0 as usize);
        known.is_some_and(|known| known.load(Ordering::Relaxed) == mark as u8)
    }

    pub(super) fn set(&self, page: PageNo, mark: Mark) {
        if let Some(known) = self.marks.get(page.0 as usize) {
            known.store(mark as u8, Ordering::Relaxed);
        }
    }

    /// Whether every key of the file was found in its place.
    pub(super) fn are_places_checked(&self) -> bool {
        self.places.load(Ordering::Relaxed)
    }

    pub(super) fn set_places_checked(&self) {
        self.places.store(true, Ordering::Relaxed);
    }

    /// The pages behind the end of the database that may hold keys, found out by `find` once.
    pub(super) fn behind(&self, find: impl FnOnce() -> Vec<PageNo>) -> &[PageNo] {
        self.behind.get_or_init(|| find().into())
    }
}
