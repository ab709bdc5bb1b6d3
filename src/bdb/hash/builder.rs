//! Writes a whole hash file from its entries, in one pass.
//!
//! # Layout
//!
//! With `2^k` buckets, bucket `b` has page `b + 1`; behind page `2^k` follow, bucket by bucket,
//! the further pages of the bucket's chain and then the overflow pages of its items. So the file
//! grows at two places only: the bucket pages and the pages behind them. Each has a buffer
//! (`Region`) that is written when it is full. The meta page is written last, because the file's
//! unique id is a digest of all other pages: **the same entries give the same bytes**, whatever
//! order they were inserted in.
//!
//! # Number of buckets
//!
//! The smallest power of two that can hold all pairs and leaves at most `OVERFULL_PERCENT` per
//! cent of the buckets with more than a page. Counted with the real hashes and sizes, not guessed.
//!
//! # Order
//!
//! On-page keys of a bucket come first, sorted as [`compare_on_page`] says. Off-page keys follow
//! on pages of their own: on one page with a prefix of itself an off-page key gets lost by
//! Berkeley DB's binary search, because its comparison is no consistent order there.
//!
//! To change this safely: the digests in the tests are those of files that Berkeley DB 5.3 was
//! seen to read and update. A change of layout changes them, and needs that proof again.

use std::cmp::Ordering;

use crate::bdb::hash::bucket::{Addressing, GROUP_COUNT, group};
use crate::bdb::hash::function::HashFunction;
use crate::bdb::hash::pairs::compare_on_page;
use crate::bdb::item::{HASH_OFF_PAGE_LEN, HASH_ON_PAGE, OffPage, hash_off_page};
use crate::bdb::meta::{
    CHARKEY_OFFSET, ELEMENT_COUNT_OFFSET, HASH_MAGIC, HASH_META_TYPE, HASH_VERSION,
    HIGH_MASK_OFFSET, LOW_MASK_OFFSET, MAX_BUCKET_OFFSET, SPARES_OFFSET, UID_LEN,
};
use crate::bdb::page::PageFormat;
use crate::bdb::page_buf::{HashPageBuf, Links};
use crate::bdb::writer::{NewMeta, OVERLAP_MIN, PageNumbers, Region, content_uid};
use crate::bdb::{BucketNo, PageNo, PageSize};
use crate::entries::Entries;
use crate::error::Result;
use crate::file::WriteAt;
use crate::file::overlap::build_and_write;
use crate::wire::ByteOrder;

/// How many buckets in a hundred may need more than one page before the table gets twice as many.
const OVERFULL_PERCENT: u64 = 15;
/// The function of every file this crate writes.
const FUNCTION: HashFunction = HashFunction::Func5;

/// Settings for writing a hash file. See [`HashReader`](super::HashReader) for an example.
#[derive(Clone, Debug)]
pub struct HashBuilder {
    page_size: PageSize,
    order: ByteOrder,
    bucket_count: Option<u32>,
    uid: Option<[u8; UID_LEN]>,
}

impl Default for HashBuilder {
    fn default() -> Self {
        HashBuilder {
            page_size: PageSize::DEFAULT,
            order: ByteOrder::NATIVE,
            bucket_count: None,
            uid: None,
        }
    }
}

impl HashBuilder {
    /// Pages of 4096 bytes in the byte order of this machine.
    pub fn new() -> HashBuilder {
        HashBuilder::default()
    }

    /// Sets the page size.
    pub fn page_size(mut self, size: PageSize) -> HashBuilder {
        self.page_size = size;
        self
    }

    /// Sets the byte order of the file.
    pub fn byte_order(mut self, order: ByteOrder) -> HashBuilder {
        self.order = order;
        self
    }

    /// Sets the file's unique id instead of deriving it from the content. Berkeley DB uses it only
    /// to tell files apart inside one shared cache.
    pub fn uid(mut self, uid: [u8; UID_LEN]) -> HashBuilder {
        self.uid = Some(uid);
        self
    }

    /// Sets the number of buckets: `2^log2`, with `log2` from 1 to 30.
    #[cfg(test)]
    fn bucket_count_log2(mut self, log2: u32) -> HashBuilder {
        self.bucket_count = Some(1 << log2);
        self
    }

    /// Writes the file that holds `entries` to `out`, which is empty, and returns the file's
    /// length in bytes.
    ///
    /// Needs 8 bytes of memory for each entry, and two megabytes.
    ///
    /// # Errors
    ///
    /// `TooLong` when the file would have more than 2^32 - 1 pages; whatever `out` fails with.
    pub fn build(&self, entries: &Entries, out: &mut dyn WriteAt) -> Result<u64> {
        let format = PageFormat {
            size: self.page_size,
            order: self.order,
            checksum: false,
        };
        let sizes = PairSizes::new(format);
        let plan = Plan::new(entries, sizes, self.bucket_count);
        if entries.len() < OVERLAP_MIN {
            return self.write(entries, &plan, format, out);
        }
        build_and_write(out, |out| self.write(entries, &plan, format, out))
    }

    fn write(
        &self,
        entries: &Entries,
        plan: &Plan,
        format: PageFormat,
        out: &mut dyn WriteAt,
    ) -> Result<u64> {
        let sizes = PairSizes::new(format);
        let mut file = FileWriter::new(out, format, plan.bucket_count)?;
        let mut sortable = Vec::new();
        let mut bucket_entries = Vec::new();
        for bucket in 0..plan.bucket_count {
            sortable.clear();
            for &number in plan.bucket(bucket) {
                if let Some((key, value)) = entries.entry(number) {
                    sortable.push(Sortable::new(key, value, sizes));
                }
            }
            sortable.sort_unstable_by(Sortable::compare);
            bucket_entries.clear();
            bucket_entries.extend(sortable.iter().map(|entry| (entry.key, entry.value)));
            file.write_bucket(BucketNo(bucket), &bucket_entries, sizes)?;
        }
        file.finish(self, entries.len())
    }
}

/// How much room pairs take on a page.
#[derive(Clone, Copy)]
struct PairSizes {
    /// The longest key or value that stays on a page.
    threshold: usize,
    /// What index and items of a page share.
    room: usize,
}

impl PairSizes {
    fn new(format: PageFormat) -> PairSizes {
        PairSizes {
            threshold: format.size.bytes() / 4,
            room: format.room(),
        }
    }

    #[inline]
    fn is_off_page(self, len: usize) -> bool {
        len > self.threshold
    }

    /// The bytes that a key or value of this length takes, its index entry included.
    #[inline]
    fn item_len(self, len: usize) -> usize {
        2 + if self.is_off_page(len) {
            HASH_OFF_PAGE_LEN
        } else {
            1 + len
        }
    }

    #[inline]
    fn pair_len(self, key_len: usize, value_len: usize) -> usize {
        self.item_len(key_len) + self.item_len(value_len)
    }
}

/// An entry with what sorting looks at first. The order: on-page keys as Berkeley DB sorts them,
/// then off-page keys.
struct Sortable<'e> {
    off_page: bool,
    /// The first eight bytes of the key, the first in the highest place. A key that ends earlier
    /// goes on with 0xff, because it sorts behind every longer key that begins like it.
    front: u64,
    key: &'e [u8],
    value: &'e [u8],
}

impl<'e> Sortable<'e> {
    #[inline]
    fn new(key: &'e [u8], value: &'e [u8], sizes: PairSizes) -> Sortable<'e> {
        let front = match key.first_chunk::<8>() {
            Some(front) => *front,
            None => {
                let mut front = [0xff; 8];
                front
                    .iter_mut()
                    .zip(key)
                    .for_each(|(place, byte)| *place = *byte);
                front
            }
        };
        let off_page = sizes.is_off_page(key.len());
        Sortable {
            off_page,
            front: u64::from_be_bytes(front),
            key,
            value,
        }
    }

    #[inline]
    fn compare(&self, other: &Sortable<'_>) -> Ordering {
        let fronts = (self.off_page, self.front).cmp(&(other.off_page, other.front));
        fronts.then_with(|| {
            if self.off_page {
                self.key.cmp(other.key)
            } else {
                compare_on_page(self.key, other.key)
            }
        })
    }
}

/// Which entries go to which bucket.
struct Plan {
    bucket_count: u32,
    /// Numbers of entries, bucket by bucket.
    numbers: Vec<u32>,
    /// Where each bucket's numbers end.
    ends: Vec<u32>,
}

impl Plan {
    fn new(entries: &Entries, sizes: PairSizes, forced: Option<u32>) -> Plan {
        let number_end = u32::try_from(entries.number_end()).unwrap_or(u32::MAX);
        // Replaced entries have no bucket; they are skipped wherever numbers are walked.
        let hashes: Vec<u32> = (0..number_end)
            .map(|number| {
                entries
                    .entry(number)
                    .map_or(0, |(key, _)| FUNCTION.hash(key))
            })
            .collect();
        let bucket_count = forced.unwrap_or_else(|| choose_bucket_count(entries, &hashes, sizes));
        let mask = bucket_count - 1;
        let live = || {
            (0..number_end)
                .zip(&hashes)
                .filter(|&(number, _)| entries.lens(number).is_some())
        };
        // A counting sort: first where each bucket begins, then every number to its place.
        let mut ends = vec![0u32; bucket_count as usize];
        for (_, hash) in live() {
            if let Some(count) = ends.get_mut((hash & mask) as usize) {
                *count += 1;
            }
        }
        let mut total = 0;
        for end in &mut ends {
            total += std::mem::replace(end, total);
        }
        let mut numbers = vec![0; entries.len()];
        for (number, hash) in live() {
            if let Some(end) = ends.get_mut((hash & mask) as usize)
                && let Some(place) = numbers.get_mut(*end as usize)
            {
                *place = number;
                *end += 1;
            }
        }
        Plan {
            bucket_count,
            numbers,
            ends,
        }
    }

    fn bucket(&self, bucket: u32) -> &[u32] {
        let end = |bucket: u32| self.ends.get(bucket as usize).copied().unwrap_or(0) as usize;
        let start = bucket.checked_sub(1).map_or(0, end);
        self.numbers.get(start..end(bucket)).unwrap_or_default()
    }
}

fn choose_bucket_count(entries: &Entries, hashes: &[u32], sizes: PairSizes) -> u32 {
    let pair_len = |number: usize| {
        let lens = u32::try_from(number)
            .ok()
            .and_then(|number| entries.lens(number));
        lens.map_or(0, |(key, value)| sizes.pair_len(key, value) as u64)
    };
    let total: u64 = (0..hashes.len()).map(pair_len).sum();
    let room = sizes.room as u64;
    let mut bucket_count: u32 = 2;
    while u64::from(bucket_count) * room < total && bucket_count < 1 << 30 {
        bucket_count *= 2;
    }
    let mut fill: Vec<u64> = Vec::new();
    // More buckets than four times the entries help nobody: the keys collide or are huge.
    while u64::from(bucket_count) <= 4 * entries.len() as u64 && bucket_count < 1 << 30 {
        fill.clear();
        fill.resize(bucket_count as usize, 0);
        for (number, hash) in hashes.iter().enumerate() {
            if let Some(fill) = fill.get_mut((hash & (bucket_count - 1)) as usize) {
                *fill += pair_len(number);
            }
        }
        let overfull = fill.iter().filter(|&&fill| fill > room).count() as u64;
        if overfull * 100 <= OVERFULL_PERCENT * u64::from(bucket_count) {
            break;
        }
        bucket_count *= 2;
    }
    bucket_count
}

struct FileWriter<'o> {
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
    fn new(
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

    fn finish(mut self, builder: &HashBuilder, entry_count: usize) -> Result<u64> {
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
fn cut_into_pages(entries: &[(&[u8], &[u8])], sizes: PairSizes) -> Vec<usize> {
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

#[cfg(test)]
mod tests {
    use sha2::{Digest, Sha256};

    use super::*;
    use crate::bdb::hash::HashReader;
    use crate::file::store::Store;

    fn entries<K: AsRef<[u8]>, V: AsRef<[u8]>>(list: impl IntoIterator<Item = (K, V)>) -> Entries {
        let mut entries = Entries::new();
        for (key, value) in list {
            entries.insert(key.as_ref(), value.as_ref()).unwrap();
        }
        entries
    }

    fn build(builder: HashBuilder, entries: &Entries) -> Vec<u8> {
        let mut file = Vec::new();
        let len = builder.build(entries, &mut file).unwrap();
        assert_eq!(len, file.len() as u64);
        file
    }

    fn two() -> Entries {
        entries([("alpha\0", "one\0"), ("beta\0", "two\0")])
    }

    fn with_off_page_items() -> Entries {
        let long_value = [&[b'v'; 1000][..], b"\0"].concat();
        let long_key = [&[b'K'; 200][..], b"\0"].concat();
        entries([
            (&b""[..], &b""[..]),
            (b"a\0", b"1\0"),
            (b"ab\0", b"2\0"),
            (b"k\0", &long_value),
            (&long_key, b"x\0"),
        ])
    }

    fn many() -> Entries {
        entries((0..1000).map(|i| (format!("key{i}\0"), format!("value {}\0", i * i))))
    }

    /// Digests of files that Berkeley DB 5.3 was seen to read, update and verify.
    #[test]
    fn canonical_files_byte_for_byte() {
        use ByteOrder::{Big, Little};
        for (name, entries, page_size, order, buckets_log2, len, digest) in [
            (
                "empty",
                Entries::new(),
                4096,
                Little,
                None,
                12288,
                "be97fce515e51880e5042f7525e589fe166fb5f8cc53a14009ecf3009bc257d1",
            ),
            (
                "two",
                two(),
                512,
                Little,
                None,
                1536,
                "a4a58df27f57502da96e5d5957d027b3359c614ccdf337191a3fc412d1de2276",
            ),
            (
                "two",
                two(),
                512,
                Big,
                None,
                1536,
                "46654c90ae0b632b7dfe9ec6f8c90de6a079972ae85c85123e7b761b8541c253",
            ),
            (
                "two",
                two(),
                4096,
                Little,
                None,
                12288,
                "179ed9d14fdfe085c3f9a2fa8d4f7f201f01794371970f58ef6f602acb54129c",
            ),
            (
                "off-page",
                with_off_page_items(),
                512,
                Little,
                None,
                4096,
                "9414f550e5f5bf56de9529439f131c42a9e427c0eab6cbeddaae0238d25148dd",
            ),
            (
                "many",
                many(),
                512,
                Little,
                None,
                34304,
                "821fbd0d8b637d536aa19bf4208bff7402f61b4cc8cee5d7f156643a314fc72e",
            ),
            (
                "many",
                many(),
                512,
                Little,
                Some(7),
                66048,
                "00a4d834d2a8cb4e06e646ddf0af2732ef97336b7da086acb59da3bf0355743d",
            ),
            (
                "many",
                many(),
                4096,
                Little,
                None,
                36864,
                "4f24a85730a2253167e53dad9cb3c53c8c920bb88c2169f2df11b3ca7f7e58df",
            ),
        ] {
            let mut builder = HashBuilder::new()
                .page_size(PageSize::new(page_size).unwrap())
                .byte_order(order)
                .uid(std::array::from_fn(|i| u8::try_from(i).unwrap()));
            if let Some(log2) = buckets_log2 {
                builder = builder.bucket_count_log2(log2);
            }
            let file = build(builder, &entries);
            let case = format!("{name}, {page_size}, {order:?}, {buckets_log2:?}");
            assert_eq!(file.len(), len, "{case}");
            assert_eq!(format!("{:x}", Sha256::digest(&file)), digest, "{case}");
        }
    }

    #[test]
    fn the_smallest_file_field_by_field() {
        let uid = std::array::from_fn(|i| u8::try_from(i).unwrap());
        let size = PageSize::new(512).unwrap();
        let order = ByteOrder::Little;
        let builder = HashBuilder::new()
            .page_size(size)
            .byte_order(order)
            .uid(uid);
        let file = build(builder, &two());
        let mut expect = vec![0; 1536];
        for (offset, bytes) in [
            (4, &b"\x01"[..]),
            (12, b"\x61\x15\x06\0"), // magic
            (16, b"\x09"),           // version
            (20, b"\0\x02\0\0"),     // page size
            (25, b"\x08"),           // hash meta
            (32, b"\x02"),           // last page
            (52, &uid),
            (72, b"\x01\0\0\0\x01\0\0\0\0\0\0\0"), // max_bucket, high_mask, low_mask
            (88, b"\x02"),                         // element counter
            (92, b"\xd1\x8d\x68\x5e"),             // h_charkey
            (96, b"\x01\0\0\0\x01\0\0\0"),         // spares
            (512, b"\0\0\0\0\x01\0\0\0\x01"),      // page 1
            (532, b"\x04\0\xe9\x01\0\x0d\xf9\x01\xf4\x01\xee\x01\xe9\x01"),
            (1001, b"\x01two\0\x01beta\0\x01one\0\x01alpha\0"),
            (1024, b"\0\0\0\0\x01\0\0\0\x02"), // page 2, empty
            (1044, b"\0\0\0\x02\0\x0d"),
        ] {
            expect[offset..offset + bytes.len()].copy_from_slice(bytes);
        }
        for (page, (file, expect)) in file.chunks(512).zip(expect.chunks(512)).enumerate() {
            assert_eq!(file, expect, "page {page}");
        }
    }

    #[test]
    fn the_order_of_insertion_does_not_show() {
        let mut reversed: Vec<_> = (0..1000)
            .map(|i| (format!("k{i}"), format!("{i}")))
            .collect();
        let forward = build(HashBuilder::new(), &entries(reversed.clone()));
        reversed.reverse();
        assert!(forward == build(HashBuilder::new(), &entries(reversed)));
    }

    #[test]
    fn different_content_gives_a_different_uid() {
        let uid = |entries: &Entries| {
            let file = build(HashBuilder::new(), entries);
            HashReader::new(Store::from_bytes(file)).unwrap().meta().uid
        };
        assert_ne!(uid(&two()), uid(&many()));
        assert_ne!(uid(&entries([("a", "1")])), uid(&entries([("a", "2")])));
    }

    #[test]
    fn off_page_keys_never_share_a_page_with_on_page_keys() {
        let sizes = PairSizes::new(PageFormat {
            size: PageSize::new(512).unwrap(),
            order: ByteOrder::Little,
            checksum: false,
        });
        let long = [b'c'; 134];
        let mut sorted = [&long[..], b"c", b"ca"].map(|key| Sortable::new(key, b"", sizes));
        sorted.sort_by(Sortable::compare);
        let keys = sorted.map(|entry| (entry.key, entry.value));
        assert_eq!(keys.map(|(key, _)| key.len()), [2, 1, 134]);
        assert_eq!(cut_into_pages(&keys, sizes), [2, 1]);
        assert_eq!(cut_into_pages(&keys[2..], sizes), [1]);
        assert_eq!(cut_into_pages(&[], sizes), [0]);
    }

    #[test]
    fn the_fast_comparison_is_the_comparison() {
        let sizes = PairSizes::new(PageFormat {
            size: PageSize::new(512).unwrap(),
            order: ByteOrder::Little,
            checksum: false,
        });
        let pieces: [&[u8]; 5] = [b"", b"\0", b"a", b"\xff", b"\xff\xff"];
        let mut keys = Vec::new();
        for start in ["", "abcde", "abcdefg", "abcdefgh"] {
            for (x, y) in pieces
                .iter()
                .flat_map(|x| pieces.iter().map(move |y| (x, y)))
            {
                keys.push([start.as_bytes(), x, y].concat());
            }
        }
        for (a, b) in keys.iter().flat_map(|a| keys.iter().map(move |b| (a, b))) {
            let (x, y) = (Sortable::new(a, b"", sizes), Sortable::new(b, b"", sizes));
            assert_eq!(x.compare(&y), compare_on_page(a, b), "{a:?} {b:?}");
        }
    }

    #[test]
    fn keys_that_all_collide_still_make_a_file() {
        // Keys of NULs only all hash to 0.
        let keys: Vec<Vec<u8>> = (0..300).map(|len| vec![0; len]).collect();
        let entries = entries(keys.iter().map(|key| (key, "v")));
        let file = build(
            HashBuilder::new().page_size(PageSize::new(512).unwrap()),
            &entries,
        );
        let reader = HashReader::new(Store::from_bytes(file)).unwrap();
        for key in &keys {
            assert_eq!(
                reader.get(key).unwrap().as_deref(),
                Some(&b"v"[..]),
                "{}",
                key.len()
            );
        }
        assert_eq!(reader.iter().unwrap().count(), 300);
    }
}
