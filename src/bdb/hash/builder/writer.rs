//! Writes the pages of a new hash file: buckets, their chains, long items, and the meta page last.

use std::ops::Range;

use super::{FUNCTION, HashBuilder, PairSizes, Plan, Sortable};
use crate::bdb::hash::bucket::{Addressing, GROUP_COUNT, group};
use crate::bdb::item::{HASH_ON_PAGE, OffPage, hash_off_page};
use crate::bdb::meta::{
    CHARKEY_OFFSET, ELEMENT_COUNT_OFFSET, HASH_MAGIC, HASH_META_TYPE, HASH_VERSION,
    HIGH_MASK_OFFSET, LOW_MASK_OFFSET, MAX_BUCKET_OFFSET, SPARES_OFFSET, UID_LEN,
};
use crate::bdb::page::PageFormat;
use crate::bdb::page_buf::{HashPageBuf, Links};
use crate::bdb::writer::{NewMeta, PageNumbers, Region, content_uid};
use crate::bdb::{BucketNo, PageNo};
use crate::entries::Entries;
use crate::error::Result;
use crate::file::WriteAt;

/// The entries of so many buckets are fetched into the processor's cache at a time.
const FETCHED_TOGETHER: u32 = 8;

pub(super) struct FileWriter<'o> {
    out: &'o mut dyn WriteAt,
    format: PageFormat,
    bucket_count: u32,
    buckets: Region,
    behind: Region,
    /// The numbers of the pages behind the buckets.
    numbers: PageNumbers,
}

/// A key or value that goes to overflow pages, and the first of them.
struct Postponed<'e> {
    first: u32,
    bytes: &'e [u8],
}

impl<'o> FileWriter<'o> {
    pub(super) fn new(
        out: &'o mut dyn WriteAt,
        format: PageFormat,
        bucket_count: u32,
    ) -> Result<FileWriter<'o>> {
        let size = format.size.bytes() as u64;
        Ok(FileWriter {
            out,
            format,
            bucket_count,
            buckets: Region::new(size),
            behind: Region::new(size * (1 + u64::from(bucket_count))),
            numbers: PageNumbers::from(bucket_count + 1, format),
        })
    }

    /// Writes `buckets`, the next ones, to which all `entries` belong.
    pub(super) fn write_buckets(&mut self, entries: &Entries, buckets: Range<u32>) -> Result<()> {
        let sizes = PairSizes::new(self.format);
        let plan = Plan::new(entries, self.bucket_count, buckets.clone());
        let mut sortable = Vec::new();
        let mut bucket_entries = Vec::new();
        for bucket in buckets {
            if bucket.is_multiple_of(FETCHED_TOGETHER) {
                entries.fetch(plan.buckets(bucket..bucket.saturating_add(FETCHED_TOGETHER)));
            }
            sortable.clear();
            for &number in plan.buckets(bucket..bucket + 1) {
                if let Some((key, value)) = entries.entry(number) {
                    sortable.push(Sortable::new(key, value, sizes));
                }
            }
            sortable.sort_unstable_by(Sortable::compare);
            bucket_entries.clear();
            bucket_entries.extend(sortable.iter().map(|entry| (entry.key, entry.value)));
            self.write_bucket(BucketNo(bucket), &bucket_entries, sizes)?;
        }
        Ok(())
    }

    /// Writes a bucket whose `entries` are in order.
    fn write_bucket(
        &mut self,
        bucket: BucketNo,
        entries: &[(&[u8], &[u8])],
        sizes: PairSizes,
    ) -> Result<()> {
        let cuts = cut_into_pages(entries, sizes);
        // Chain pages are numbered before the overflow pages of the bucket's items.
        let chain_start = self.numbers.take(cuts.len() as u64 - 1)?;
        let mut postponed = Vec::new();
        let mut number = PageNo(bucket.0 + 1);
        let mut prev = PageNo::NONE;
        let mut rest = entries;
        for (at, &count) in cuts.iter().enumerate() {
            let (on_page, behind) = rest.split_at_checked(count).unwrap_or((rest, &[]));
            rest = behind;
            let next = if at + 1 < cuts.len() {
                PageNo(chain_start + u32::try_from(at).unwrap_or(u32::MAX))
            } else {
                PageNo::NONE
            };
            self.write_page(Links { number, prev, next }, on_page, sizes, &mut postponed)?;
            (prev, number) = (number, next);
        }
        for item in postponed {
            self.behind
                .write_chain(item.first, item.bytes, self.format, self.out)?;
        }
        Ok(())
    }

    fn write_page<'e>(
        &mut self,
        links: Links,
        entries: &[(&'e [u8], &'e [u8])],
        sizes: PairSizes,
        postponed: &mut Vec<Postponed<'e>>,
    ) -> Result<()> {
        // Overflow pages get their numbers in the order of the items.
        let mut references = Vec::new();
        for bytes in entries.iter().flat_map(|(key, value)| [*key, *value]) {
            if sizes.is_off_page(bytes.len()) {
                let first = self
                    .numbers
                    .take(bytes.len().div_ceil(self.format.room()) as u64)?;
                postponed.push(Postponed { first, bytes });
                references.push(first);
            }
        }
        let mut references = references.into_iter();
        let region = if links.prev == PageNo::NONE {
            &mut self.buckets
        } else {
            &mut self.behind
        };
        let bytes = region.page(self.format.size.bytes(), self.out)?;
        let mut page = HashPageBuf::new(bytes, self.format);
        for bytes in entries.iter().flat_map(|(key, value)| [*key, *value]) {
            if !sizes.is_off_page(bytes.len()) {
                page.push_on_page(HASH_ON_PAGE, bytes);
            } else if let Some(first) = references.next() {
                let len = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
                let item = OffPage {
                    first: PageNo(first),
                    len,
                };
                page.push_item(&hash_off_page(item, self.format.order));
            }
        }
        page.finish(links);
        Ok(())
    }

    pub(super) fn finish(mut self, builder: &HashBuilder, entry_count: usize) -> Result<u64> {
        self.buckets.flush(self.out)?;
        self.behind.flush(self.out)?;
        let uid = builder
            .uid
            .unwrap_or_else(|| content_uid([&self.buckets, &self.behind]));
        let page_count = self.numbers.next();
        let meta = meta_page(self.format, self.bucket_count, page_count, entry_count, uid);
        self.out.write_at(0, &meta)?;
        Ok(u64::from(page_count) * self.format.size.bytes() as u64)
    }
}

/// How many pairs go on each page of a bucket. Off-page keys do not share a page with on-page
/// keys. There is always a first page.
pub(super) fn cut_into_pages(entries: &[(&[u8], &[u8])], sizes: PairSizes) -> Vec<usize> {
    let mut cuts = Vec::with_capacity(1);
    let (mut count, mut used, mut off_page_keys) = (0, 0, false);
    for (key, value) in entries {
        let len = sizes.pair_len(key.len(), value.len());
        let off_page_key = sizes.is_off_page(key.len());
        if count > 0 && (used + len > sizes.room || off_page_key != off_page_keys) {
            cuts.push(count);
            (count, used) = (0, 0);
        }
        off_page_keys = off_page_key;
        count += 1;
        used += len;
    }
    cuts.push(count);
    cuts
}

fn meta_page(
    format: PageFormat,
    bucket_count: u32,
    page_count: u32,
    entry_count: usize,
    uid: [u8; UID_LEN],
) -> Vec<u8> {
    let max_bucket = bucket_count - 1;
    let mut spares = [0; GROUP_COUNT];
    for spare in spares.iter_mut().take(group(BucketNo(max_bucket)) + 1) {
        *spare = 1;
    }
    let addressing = Addressing { max_bucket, spares };
    // The counter has a limit, and nothing depends on it.
    let element_count = u32::try_from(entry_count).unwrap_or(u32::MAX).min(1 << 31);
    let fields = [
        (MAX_BUCKET_OFFSET, max_bucket),
        (HIGH_MASK_OFFSET, addressing.high_mask()),
        (LOW_MASK_OFFSET, addressing.low_mask()),
        (ELEMENT_COUNT_OFFSET, element_count),
        (CHARKEY_OFFSET, FUNCTION.charkey()),
    ];
    let spares = spares
        .iter()
        .enumerate()
        .map(|(group, &spare)| (SPARES_OFFSET + 4 * group, spare));
    NewMeta {
        magic: HASH_MAGIC,
        version: HASH_VERSION,
        meta_type: HASH_META_TYPE,
        page_count,
        uid,
    }
    .page(format, fields.into_iter().chain(spares))
}
