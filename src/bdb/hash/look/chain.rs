//! The pages of a bucket.

use crate::bdb::hash::bucket::Addressing;
use crate::bdb::page::{Page, Pages};
use crate::bdb::{BucketNo, PageNo};
use crate::error::{Error, Result};

/// The pages of a bucket, from the first to the last.
pub(in crate::bdb::hash) struct Chain {
    pub(super) bucket: BucketNo,
    next: PageNo,
    pub(super) prev: PageNo,
    /// How many pages were visited, so that a loop ends.
    visited: u32,
}

impl Chain {
    #[inline]
    pub(in crate::bdb::hash) fn new(addressing: &Addressing, bucket: BucketNo) -> Result<Chain> {
        match addressing.page_of(bucket) {
            Some(next) => Ok(Chain {
                bucket,
                next,
                prev: PageNo::NONE,
                visited: 0,
            }),
            None => Err(Error::corrupt_page(
                0,
                format!("bucket {} has no page", bucket.0),
            )),
        }
    }

    /// The next page, checked but for its link back; `None` at the end.
    #[inline]
    pub(super) fn next_page<'a>(&mut self, pages: &Pages<'a>) -> Result<Option<Page<'a>>> {
        if self.next == PageNo::NONE {
            return Ok(None);
        }
        let page = if self.prev == PageNo::NONE {
            match pages.page_or_blank(self.next)? {
                Some(page) => page,
                None => {
                    // Reserved and never written: an empty bucket.
                    self.next = PageNo::NONE;
                    return Ok(None);
                }
            }
        } else {
            pages.page(self.next)?
        };
        if !page.kind().is_hash() || page.level() != 0 {
            let what = format!("bucket page has type {}", page.kind().byte());
            return Err(Error::corrupt_page(page.number().0, what));
        }
        self.visited += 1;
        if self.visited > pages.count() {
            return Err(Error::corrupt_page(
                page.number().0,
                "chain of the bucket loops",
            ));
        }
        self.prev = self.next;
        self.next = page.next()?;
        Ok(Some(page))
    }
}
