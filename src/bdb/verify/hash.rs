//! Hash files: the rest of the meta page, buckets, their chains.

use std::borrow::Cow;
use std::collections::HashSet;

use crate::bdb::hash::bucket::{Addressing, GROUP_COUNT, ceil_log2, high_mask};
use crate::bdb::hash::function::HashFunction;
use crate::bdb::meta::{
    CHARKEY_OFFSET, ELEMENT_COUNT_MAX, ELEMENT_COUNT_OFFSET, HIGH_MASK_OFFSET, LOW_MASK_OFFSET,
    MAX_BUCKET_OFFSET, RawMeta, SPARES_OFFSET,
};
use crate::bdb::page::{Page, PageKind};
use crate::bdb::verify::Invariant;
use crate::bdb::verify::walk::{Owner, Walk, in_words};
use crate::bdb::{BucketNo, PageNo};
use crate::defect::Place;
use crate::error::Result;

/// What the meta page says of buckets, as far as it can be believed.
struct Buckets {
    addressing: Addressing,
    function: Option<HashFunction>,
    /// For each group that has pages: its number.
    groups: Vec<usize>,
}

/// Walks all buckets.
pub(super) fn walk(walk: &mut Walk<'_>, raw: &RawMeta<'_>) -> Result<()> {
    let buckets = walk.check_hash_meta(raw);
    walk.statistics.buckets = buckets.addressing.max_bucket.saturating_add(1);
    // First pages before any chain, so that a chain that strays is what gets the blame.
    let mut taken = HashSet::new();
    for bucket in buckets.all() {
        let Some(number) = buckets.addressing.page_of(bucket) else {
            continue;
        };
        let owner = if bucket.0 <= buckets.addressing.max_bucket {
            Owner::Bucket
        } else {
            Owner::UnusedBucket
        };
        if let Err(other) = walk.claim(number, owner) {
            let what = format!(
                "page is that of bucket {}, but {}",
                bucket.0,
                in_words(other)
            );
            walk.defects.page(Invariant::F5, number.0, what);
            taken.insert(bucket);
        }
    }
    for bucket in buckets.all() {
        let Some(number) = buckets.addressing.page_of(bucket) else {
            continue;
        };
        if taken.contains(&bucket) {
            continue;
        }
        if bucket.0 <= buckets.addressing.max_bucket {
            walk.bucket(&buckets, bucket, number)?;
        } else {
            walk.unused_bucket(bucket, number)?;
        }
    }
    Ok(())
}

impl Buckets {
    /// The buckets whose pages lie in the file, in use or not.
    fn all(&self) -> impl Iterator<Item = BucketNo> {
        self.groups.iter().flat_map(|&group| {
            let (first, last) = Addressing::buckets_of_group(group);
            (first.0..=last.0).map(BucketNo)
        })
    }
}

impl<'a> Walk<'a> {
    fn check_hash_meta(&mut self, raw: &RawMeta<'_>) -> Buckets {
        let page_count = self.pages.count();
        let mut defect = |rule, what: String| self.defects.page(rule, 0_u32, what);
        let max_bucket = raw.method_field(MAX_BUCKET_OFFSET);
        if max_bucket == 0 || max_bucket >= page_count {
            let what = format!("highest bucket is {max_bucket}, in a file of {page_count} pages");
            defect(Invariant::H2, what);
        }
        let masks = (high_mask(max_bucket), high_mask(max_bucket) >> 1);
        for (rule, name, offset, expected) in [
            (Invariant::H3, "high", HIGH_MASK_OFFSET, masks.0),
            (Invariant::H4, "low", LOW_MASK_OFFSET, masks.1),
        ] {
            let mask = raw.method_field(offset);
            if mask != expected {
                let what = format!("{name} mask is {mask:#x}, not {expected:#x}");
                defect(rule, what);
            }
        }
        let element_count = raw.method_field(ELEMENT_COUNT_OFFSET);
        if element_count > ELEMENT_COUNT_MAX {
            let what = format!("element counter is {element_count}");
            defect(Invariant::H14, what);
        }
        let charkey = raw.method_field(CHARKEY_OFFSET);
        let function = HashFunction::from_charkey(charkey);
        if function.is_none() {
            let what = format!("hash function that turns the test key into {charkey:#x}");
            defect(Invariant::H1, what);
        }
        let mut addressing = Addressing {
            max_bucket: max_bucket.min(page_count - 1),
            spares: [0; GROUP_COUNT],
        };
        let needed = ceil_log2(addressing.max_bucket + 1) as usize;
        let mut groups = Vec::new();
        for (group, spare) in addressing.spares.iter_mut().enumerate() {
            *spare = raw.method_field(SPARES_OFFSET + 4 * group);
            let last = u64::from(*spare) + u64::from(Addressing::buckets_of_group(group).1.0);
            if *spare != 0 && last < u64::from(page_count) {
                groups.push(group);
            } else if *spare != 0 {
                let what = format!("last page of bucket group {group} is said to be {last}");
                defect(Invariant::H5, what);
            } else if group <= needed {
                let what = format!("bucket group {group} has no pages");
                defect(Invariant::H5, what);
            }
        }
        Buckets {
            addressing,
            function,
            groups,
        }
    }

    /// Walks the chain of a bucket in use.
    fn bucket(&mut self, buckets: &Buckets, bucket: BucketNo, first: PageNo) -> Result<()> {
        let mut keys: HashSet<Cow<'a, [u8]>> = HashSet::new();
        let (mut number, mut prev) = (first, PageNo::NONE);
        let mut len = 0;
        loop {
            let is_first = prev == PageNo::NONE;
            len += 1;
            let Some(page) = self.owned_page(number, is_first)? else {
                break;
            };
            if !page.kind().is_hash() || page.level() != 0 {
                let (kind, level) = (page.kind().byte(), page.level());
                let what = format!("bucket page has type {kind} and level {level}");
                self.defects.page(Invariant::H6, number.0, what);
                if !page.kind().is_hash() {
                    break;
                }
            }
            if page.prev()? != prev {
                let what = format!("page links back to {}, not {prev}", page.prev()?);
                self.defects.page(Invariant::H7, number.0, what);
            }
            if !is_first && page.entry_count()? == 0 {
                let what = "page of a chain is empty";
                let place = Place::Page(number.0.into());
                self.defects.warn(Invariant::H9, place, what);
            }
            self.statistics.room_bytes += self.format().room() as u64;
            self.bucket_page(buckets, bucket, &page, len, &mut keys)?;
            let next = page.next()?;
            if next == PageNo::NONE || !self.go_on(number, next) {
                break;
            }
            prev = number;
            number = next;
        }
        *self.statistics.chain_lengths.entry(len).or_default() += 1;
        self.longest_lookup(u64::from(len));
        Ok(())
    }

    /// Whether the chain can be followed from page `from` to `next`.
    fn go_on(&mut self, from: PageNo, next: PageNo) -> bool {
        if !self.is_page(next) {
            let what = format!("chain goes on to page {next}, which does not exist");
            self.defects.page(Invariant::H7, from.0, what);
            return false;
        }
        if let Err(owner) = self.claim(next, Owner::Chain) {
            let rule = match owner {
                Owner::Bucket | Owner::Chain => Invariant::H8,
                _ => Invariant::F5,
            };
            let what = format!(
                "chain comes here from page {from}, but the page {}",
                in_words(owner)
            );
            self.defects.page(rule, next.0, what);
            return false;
        }
        true
    }

    fn bucket_page(
        &mut self,
        buckets: &Buckets,
        bucket: BucketNo,
        page: &Page<'a>,
        position: u32,
        keys: &mut HashSet<Cow<'a, [u8]>>,
    ) -> Result<()> {
        let number = page.number().0;
        for key in self.hash_page(page)? {
            self.longest_lookup(u64::from(position) + key.extra_pages);
            let Some(bytes) = key.bytes else { continue };
            if let Some(function) = buckets.function {
                let home = buckets.addressing.bucket_of(function.hash(&bytes));
                if home != bucket {
                    let what = format!("key of bucket {} lies in bucket {}", home.0, bucket.0);
                    self.defects.slot(Invariant::H10, number, key.slot, what);
                }
            }
            if !keys.insert(bytes) {
                let what = "bucket holds this key already";
                self.defects.slot(Invariant::H13, number, key.slot, what);
            }
        }
        Ok(())
    }

    fn longest_lookup(&mut self, pages: u64) {
        self.statistics.longest_lookup = self.statistics.longest_lookup.max(pages);
    }

    /// Checks the page reserved for a bucket above the highest.
    fn unused_bucket(&mut self, bucket: BucketNo, number: PageNo) -> Result<()> {
        let Some(page) = self.owned_page(number, true)? else {
            return Ok(());
        };
        let kind = page.kind();
        let entry_count = page.entry_count()?;
        let is_empty = kind.is_hash() && entry_count == 0;
        if kind != PageKind::Free && !is_empty {
            let what = format!(
                "page of bucket {}, which is not in use, has type {} and {entry_count} entries",
                bucket.0,
                kind.byte()
            );
            self.defects.page(Invariant::H12, number.0, what);
        }
        Ok(())
    }
}
