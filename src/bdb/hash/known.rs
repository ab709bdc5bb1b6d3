//! What lookups in one file have found out so far, so that it is not looked at again.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU32, Ordering};

use crate::bdb::PageNo;
use crate::bdb::hash::digest::Digests;
use crate::bdb::meta::HashMeta;

/// What is known about a page of a file that does not change.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Mark {
    /// Nothing.
    Unknown = 0,
    /// All keys are on the page, in order and in their bucket: halving finds what is there.
    Sound = 1,
    /// The page is reserved for a bucket that is not in use, and holds nothing.
    Empty = 2,
    /// The page is the first of its bucket, and it and all behind it in the chain are sound, have
    /// a digest, and are linked as they must be. The bucket has keys.
    Listed = 3,
}

/// What is known about a file. All but the places is for files that do not change.
pub(super) struct Known {
    marks: Box<[AtomicU8]>,
    digests: Digests,
    /// How many keys were found by halving.
    halvings: AtomicU32,
    behind: OnceLock<Box<[PageNo]>>,
    places: AtomicBool,
}

/// When a key for so many pages was found by halving, digests are made of the pages on which keys are
/// found. To make one costs as much as a few lookups.
const PAGES_PER_HALVING: usize = 4;

impl Known {
    /// Nothing yet, about the file that `meta` belongs to, which can change or not.
    pub(super) fn new(meta: &HashMeta, is_live: bool) -> Known {
        let count = if is_live { 0 } else { meta.page_count };
        Known {
            marks: (0..count)
                .map(|_| AtomicU8::new(Mark::Unknown as u8))
                .collect(),
            digests: Digests::new(meta),
            halvings: AtomicU32::new(0),
            behind: OnceLock::new(),
            places: AtomicBool::new(false),
        }
    }

    // Marks guard nothing: a thread that does not see one yet finds out for itself, and so does
    // one that sees a mark before the digest.

    fn mark(&self, page: PageNo) -> u8 {
        let known = self.marks.get(page.0 as usize);
        known.map_or(Mark::Unknown as u8, |known| known.load(Ordering::Relaxed))
    }

    /// Whether the page has this very mark.
    #[inline]
    pub(super) fn is(&self, page: PageNo, mark: Mark) -> bool {
        self.mark(page) == mark as u8
    }

    /// Whether halving finds whatever is on the page.
    #[inline]
    pub(super) fn is_sound(&self, page: PageNo) -> bool {
        self.is(page, Mark::Sound) || self.is(page, Mark::Listed)
    }

    pub(super) fn set(&self, page: PageNo, mark: Mark) {
        if let Some(known) = self.marks.get(page.0 as usize) {
            known.store(mark as u8, Ordering::Relaxed);
        }
    }

    /// The digests of pages.
    #[inline]
    pub(super) fn digests(&self) -> &Digests {
        &self.digests
    }

    /// Notes that a key was found by halving. Whether the file is in such use that a digest of its
    /// page is worth making.
    pub(super) fn count_halving(&self) -> bool {
        let count = self.halvings.load(Ordering::Relaxed);
        // Threads may count one instead of two.
        self.halvings
            .store(count.saturating_add(1), Ordering::Relaxed);
        count as usize >= self.marks.len() / PAGES_PER_HALVING
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
