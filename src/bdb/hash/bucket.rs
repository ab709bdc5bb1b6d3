//! From a hash value to a bucket, and from a bucket to its page.
//!
//! Buckets are numbered from 0 to `max_bucket`. They come in groups that double: bucket 0, bucket
//! 1, buckets 2-3, 4-7, 8-15, ... The buckets of one group lie on consecutive pages, and the spare
//! table (`spares`) says for each group how far its pages lie behind its bucket numbers.

use crate::bdb::{BucketNo, PageNo};

/// How many groups the spare table of a file can hold.
pub const GROUP_COUNT: usize = 32;

/// The smallest `i` with `2^i >= n`; 0 for 0 and 1.
#[inline]
pub fn ceil_log2(n: u32) -> u32 {
    match n {
        0 | 1 => 0,
        n => 32 - (n - 1).leading_zeros(),
    }
}

/// The group of a bucket: 0 for bucket 0, else `i` for the buckets `2^(i-1)` to `2^i - 1`.
#[inline]
pub fn group(bucket: BucketNo) -> usize {
    32 - bucket.0.leading_zeros() as usize
}

/// The mask that covers all buckets up to the next power of two, for a table with this highest
/// bucket.
#[inline]
pub fn high_mask(max_bucket: u32) -> u32 {
    // A table has two buckets at least, so there is a bit.
    u32::MAX
        .checked_shr(max_bucket.leading_zeros())
        .unwrap_or(0)
}

/// Which buckets exist and where their pages are: `max_bucket`, the masks derived from it, and the
/// spare table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Addressing {
    /// The highest bucket in use.
    pub max_bucket: u32,
    /// `bucket_page(b) = b + spares[group(b)]`; 0 for a group that has no pages.
    pub spares: [u32; GROUP_COUNT],
}

impl Addressing {
    /// The mask that covers all buckets up to the next power of two (`high_mask`).
    #[inline]
    pub fn high_mask(&self) -> u32 {
        high_mask(self.max_bucket)
    }

    /// The mask for hash values that `high_mask` sends past `max_bucket` (`low_mask`).
    #[inline]
    pub fn low_mask(&self) -> u32 {
        self.high_mask() >> 1
    }

    /// The bucket that a key with this hash value would live in if all buckets up to the next power
    /// of two were in use.
    #[inline]
    pub fn unfolded(&self, hash: u32) -> BucketNo {
        BucketNo(hash & self.high_mask())
    }

    /// The bucket that a key with this hash value lives in.
    #[inline]
    pub fn bucket_of(&self, hash: u32) -> BucketNo {
        let BucketNo(bucket) = self.unfolded(hash);
        BucketNo(if bucket > self.max_bucket {
            bucket & self.low_mask()
        } else {
            bucket
        })
    }

    /// The first page of a bucket; `None` when its group has no pages.
    #[inline]
    pub fn page_of(&self, bucket: BucketNo) -> Option<PageNo> {
        match self.spares.get(group(bucket)) {
            None | Some(0) => None,
            Some(spare) => bucket.0.checked_add(*spare).map(PageNo),
        }
    }

    /// How many groups have pages: those of the buckets in use, and no others are counted.
    pub fn group_count(&self) -> usize {
        group(BucketNo(self.max_bucket)) + 1
    }

    /// The buckets of group `group`, first and last. Those above `max_bucket` have pages but no
    /// entries yet.
    pub fn buckets_of_group(group: usize) -> (BucketNo, BucketNo) {
        match group {
            0 => (BucketNo(0), BucketNo(0)),
            group => {
                let first = 1u32
                    .checked_shl(u32::try_from(group).unwrap_or(32) - 1)
                    .unwrap_or(0);
                (
                    BucketNo(first),
                    BucketNo(first.wrapping_mul(2).wrapping_sub(1)),
                )
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bdb::hash::function::HashFunction;

    fn addressing(max_bucket: u32) -> Addressing {
        let mut spares = [0; GROUP_COUNT];
        spares[..=group(BucketNo(max_bucket))].fill(1);
        Addressing { max_bucket, spares }
    }

    #[test]
    fn buckets_fall_into_doubling_groups() {
        for (bucket, expect) in [
            (0, 0),
            (1, 1),
            (2, 2),
            (3, 2),
            (4, 3),
            (7, 3),
            (8, 4),
            (64, 7),
            (u32::MAX, 32),
        ] {
            assert_eq!(group(BucketNo(bucket)), expect, "bucket {bucket}");
        }
        for g in 0..GROUP_COUNT {
            let (first, last) = Addressing::buckets_of_group(g);
            assert_eq!((group(first), group(last)), (g, g));
        }
    }

    #[test]
    fn masks_follow_from_the_highest_bucket() {
        for (max_bucket, high, low) in [
            (1, 1, 0),
            (2, 3, 1),
            (3, 3, 1),
            (4, 7, 3),
            (127, 127, 63),
            (128, 255, 127),
        ] {
            let addressing = addressing(max_bucket);
            assert_eq!(
                (addressing.high_mask(), addressing.low_mask()),
                (high, low),
                "max_bucket {max_bucket}"
            );
            assert_eq!(
                high,
                (1 << ceil_log2(max_bucket + 1)) - 1,
                "max_bucket {max_bucket}"
            );
        }
    }

    #[test]
    fn published_bucket_examples() {
        let addressing = addressing(127);
        for (key, bucket) in [(&b"key0\0"[..], 61), (b"key999\0", 24)] {
            assert_eq!(
                addressing.bucket_of(HashFunction::Func5.hash(key)),
                BucketNo(bucket)
            );
        }
    }

    #[test]
    fn a_hash_past_the_highest_bucket_folds_back() {
        let addressing = addressing(4);
        assert_eq!(addressing.bucket_of(4), BucketNo(4));
        assert_eq!(addressing.bucket_of(5), BucketNo(1));
        assert_eq!(addressing.bucket_of(7), BucketNo(3));
    }

    #[test]
    fn a_group_without_pages_has_no_page() {
        assert_eq!(addressing(3).page_of(BucketNo(3)), Some(PageNo(4)));
        assert_eq!(addressing(3).page_of(BucketNo(4)), None);
    }
}
